//! What belongs to an opened row beside its webhook, read from the store: its history, what it did to consents, the
//! whole of a reader.

use crate::domain::mask::Mask;
use crate::domain::page::{Count, List, Row};
use crate::domain::time::Timestamp;
use crate::store::Error;
use crate::store::query::{Alias, Around, Consent, Kinds, Money, Past, Reader, UserDetail};
use crate::tui::app::message::COUNT_MAX;
use crate::tui::record::Raw;
use crate::tui::timeline::Turns;
use crate::tui::{cell, ways};

/// So many events stand in a history.
const HISTORY_MAX: usize = 1000;
/// So many stand in a reader's timeline, which goes on in a list: they lie all over the file, and each has to be fetched.
const TIMELINE_MAX: usize = 100;

/// Changes of one event have ids from its own times this.
const CHANGES_OF_EVENT: i64 = 10_000;

/// Everything of one reader, as one account of one provider knows them.
#[derive(Clone, Debug)]
pub struct ReaderPage {
    /// Their row with what hangs on it.
    pub user: UserDetail,
    /// What they paid and pay.
    pub money: Vec<Money>,
    /// What they did, newest first.
    pub timeline: Past,
    /// How many events that is in all, where not all are here.
    pub in_all: Option<Count>,
    /// What the timeline is narrowed to.
    pub kinds: Kinds,
}

impl ReaderPage {
    /// It as a mask shows it.
    #[must_use]
    pub fn masked(&self, mask: Mask) -> Self {
        let rows = |list: List, rows: &[Row]| -> Vec<Row> {
            rows.iter()
                .map(|row| cell::masked(list, row, mask))
                .collect()
        };
        let user = &self.user;
        let alias = |alias: &Alias| Alias {
            alias: mask.tag(&alias.alias),
            ..alias.clone()
        };
        Self {
            user: UserDetail {
                row: cell::masked(List::Users, &user.row, mask),
                aliases: user.aliases.iter().map(alias).collect(),
                also_seen_as: rows(List::Users, &user.also_seen_as),
                subscriptions: rows(List::Subscriptions, &user.subscriptions),
                consents: rows(List::Consents, &user.consents),
                changes: rows(List::Changes, &user.changes),
                payments: rows(List::Payments, &user.payments),
            },
            timeline: masked(&self.timeline, mask),
            ..self.clone()
        }
    }
}

/// Events as a mask shows them; what they are of is named by an id, but for consents.
pub fn masked(past: &Past, mask: Mask) -> Past {
    let of = match past.of.split_once(' ') {
        Some((what @ ("subscription" | "reader" | "payment" | "transaction"), id)) => {
            format!("{what} {}", mask.tag(id))
        }
        _ => past.of.clone(),
    };
    let event = |row: &Row| cell::masked(List::Events, row, mask);
    Past {
        of,
        events: past.events.iter().map(event).collect(),
        more: past.more,
    }
}

/// Adds to the webhook behind `row`, if there is one, what else belongs to it.
pub fn complete(
    reader: &Reader,
    list: List,
    row: &Row,
    kinds: Kinds,
    found: Option<Raw>,
) -> Result<Option<Raw>, Error> {
    let mut raw = found.unwrap_or_default();
    if list == List::Users {
        raw.reader = page(reader, row, kinds)?.map(Box::new);
        return Ok(raw.reader.is_some().then_some(raw));
    }
    raw.past = reader.past(list, row, HISTORY_MAX)?;
    let event = match list {
        List::Events => Some(row.key.id),
        List::Consents | List::Changes => Some(row.key.id / CHANGES_OF_EVENT),
        _ => None,
    };
    if let Some(event) = event {
        raw.around = reader.around(event)?;
    }
    if let (List::Consents | List::Changes, Some(around)) = (list, &raw.around) {
        raw.turns = turns(reader, list, row, around, &raw.past)?;
    }
    Ok(Some(raw))
}

/// What each event of `past` did to the consent that `row` is about.
fn turns(
    reader: &Reader,
    list: List,
    row: &Row,
    around: &Around,
    past: &Past,
) -> Result<Turns, Error> {
    let text = |name: &str| {
        cell::text_field(list, row, name)
            .unwrap_or_default()
            .to_owned()
    };
    let consent = Consent {
        provider: text("provider"),
        account: text("account"),
        user_id: text("user_id"),
        kind: around.kind,
        app: around.app.clone(),
        purpose: text("purpose"),
    };
    let whole = reader.consent_at(&consent, Timestamp::from_ms(i64::MAX))?;
    let mut turns = Turns::new();
    for event in &past.events {
        let seq = ways::seq_of(List::Events, event);
        for turn in whole.turns.iter().filter(|turn| Some(turn.seq) == seq) {
            let told = match turn.before {
                Some(before) => format!("{before} to {}", turn.after),
                None => turn.after.to_string(),
            };
            turns.entry(event.key.id).or_default().push(told);
        }
    }
    Ok(turns)
}

fn page(reader: &Reader, row: &Row, kinds: Kinds) -> Result<Option<ReaderPage>, Error> {
    let did = |reader: &Reader| {
        let timeline = reader.timeline(List::Users, row, kinds, TIMELINE_MAX)?;
        let in_all = timeline
            .more
            .then(|| reader.timeline_count(List::Users, row, kinds, COUNT_MAX))
            .transpose()?;
        Ok((timeline, in_all))
    };
    let is = |reader: &Reader| Ok((reader.user(row.key.id)?, reader.money_of(row.key.id)?));
    let ((timeline, in_all), (user, money)) = reader.both(did, is)?;
    Ok(user.map(|user| ReaderPage {
        user,
        money,
        timeline,
        in_all,
        kinds,
    }))
}
