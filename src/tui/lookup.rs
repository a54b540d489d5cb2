//! What belongs to an opened row beside its webhook, read from the store: its history, what it did to consents, the
//! whole of a reader.

use crate::domain::page::{List, Row};
use crate::store::Error;
use crate::store::query::{Kinds, Money, Past, Reader, UserDetail};
use crate::tui::record::Raw;

/// So many events stand in a history or a timeline.
const PAST_MAX: usize = 1000;

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
    /// What the timeline is narrowed to.
    pub kinds: Kinds,
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
    raw.past = reader.past(list, row, PAST_MAX)?;
    let event = match list {
        List::Events => Some(row.key.id),
        List::Consents | List::Changes => Some(row.key.id / CHANGES_OF_EVENT),
        _ => None,
    };
    if let Some(event) = event {
        raw.around = reader.around(event)?;
    }
    Ok(Some(raw))
}

fn page(reader: &Reader, row: &Row, kinds: Kinds) -> Result<Option<ReaderPage>, Error> {
    let Some(user) = reader.user(row.key.id)? else {
        return Ok(None);
    };
    Ok(Some(ReaderPage {
        money: reader.money(row.key.id)?,
        timeline: reader.timeline(List::Users, row, kinds, PAST_MAX)?,
        kinds,
        user,
    }))
}
