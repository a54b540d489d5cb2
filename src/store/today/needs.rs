//! What needs the publisher: rules, each with a sentence and the list behind it.

use serde::{Deserialize, Serialize};

use crate::domain::count::word;
use crate::domain::delivery::MAIN_ACCOUNT;
use crate::domain::page::List;
use crate::domain::query::{Key, literal_text, stretch, value_text};
use crate::domain::time::{DAY_MS, HOUR_MS, Timestamp, span};
use crate::store::Error;
use crate::store::query::Expectation;
use crate::store::today::{Review, WITHDRAWN};

/// A backup older than this is none, in milliseconds.
pub const BACKUP_MS_MAX: i64 = 36 * HOUR_MS;
/// Fewer cancellations in a day are no spike, whatever was usual.
const SPIKE_MIN: u64 = 5;
/// A spike can only be told against so many days.
const SPIKE_DAYS_MIN: i64 = 14;

/// What only the caller knows. The default knows nothing, and nothing is said of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// Whether a receiver runs; `None`: not looked.
    pub receiving: Option<bool>,
    /// Backups; `None`: not looked.
    pub backup: Option<Backup>,
    /// Provider, account and the longest silence, in milliseconds, that the settings expect (`expect_every`).
    pub expected: Vec<(String, String, i64)>,
    /// Providers and accounts that are never called quiet: `expect_every = "never"`.
    pub unexpected: Vec<(String, String)>,
    /// Provider ids and the names that the publisher knows them by; one without a name is called by its id.
    pub names: Vec<(String, String)>,
    /// The disk is nearly full: bytes left.
    pub disk_low: Option<u64>,
    /// Only this account is asked for; what was turned away names none and is left out then.
    pub account: Option<String>,
}

/// How backups stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backup {
    /// None are asked for.
    Unset,
    /// Asked for, and none was made yet.
    Never,
    /// When the last verified one was made.
    Last(Timestamp),
    /// The last one could not be made.
    Failed {
        /// Why, as one clause.
        why: String,
        /// When the last verified one was made that is still there.
        last: Option<Timestamp>,
    },
    /// The file of the last one is not there any more.
    Gone(String),
}

impl Backup {
    /// When the last verified one was made, if there is one.
    pub const fn last(&self) -> Option<Timestamp> {
        match self {
            Self::Last(at) => Some(*at),
            Self::Failed { last, .. } => *last,
            Self::Unset | Self::Never | Self::Gone(_) => None,
        }
    }
}

/// Which rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// No receiver runs.
    NotReceiving,
    /// The receiver is of an older version than this program.
    OlderReceiver,
    /// The disk is nearly full.
    DiskLow,
    /// A provider is quiet for longer than ever.
    Quiet,
    /// Requests were turned away.
    TurnedAway,
    /// Deliveries were not understood.
    Quarantined,
    /// Repeats with other content.
    Differing,
    /// More cancellations than on any day before.
    CancelSpike,
    /// A consent was withdrawn by a reader who pays.
    WithdrawnPaying,
    /// Money for a subscription that was never announced.
    MoneyUnannounced,
    /// A refund that should have ended a subscription and found none.
    RefundUnrevoked,
    /// Access runs out within a week and will not renew.
    ExpiringSoon,
    /// No backup, or an old one.
    NoBackup,
    /// Nobody can be told of all this.
    AlertsFail,
}

impl Rule {
    /// Every rule, in the order in which they are shown.
    pub const ALL: &'static [Self] = &[
        Self::NotReceiving,
        Self::OlderReceiver,
        Self::DiskLow,
        Self::Quiet,
        Self::TurnedAway,
        Self::Quarantined,
        Self::Differing,
        Self::CancelSpike,
        Self::WithdrawnPaying,
        Self::MoneyUnannounced,
        Self::RefundUnrevoked,
        Self::ExpiringSoon,
        Self::NoBackup,
        Self::AlertsFail,
    ];

    /// The word that it is called by in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotReceiving => "not_receiving",
            Self::OlderReceiver => "older_receiver",
            Self::DiskLow => "disk_low",
            Self::Quiet => "quiet",
            Self::TurnedAway => "turned_away",
            Self::Quarantined => "quarantined",
            Self::Differing => "differing",
            Self::CancelSpike => "cancel_spike",
            Self::WithdrawnPaying => "withdrawn_paying",
            Self::MoneyUnannounced => "money_unannounced",
            Self::RefundUnrevoked => "refund_unrevoked",
            Self::ExpiringSoon => "expiring_soon",
            Self::NoBackup => "no_backup",
            Self::AlertsFail => "alerts_fail",
        }
    }

    /// Whether it counts what is folded out of deliveries: while that lags, it may hold for no reason.
    pub const fn is_folded(self) -> bool {
        matches!(
            self,
            Self::CancelSpike
                | Self::WithdrawnPaying
                | Self::MoneyUnannounced
                | Self::RefundUnrevoked
                | Self::ExpiringSoon
        )
    }
}

impl Outside {
    /// How long `who`, a provider and an account, may be silent.
    pub fn expectation(&self, who: (&str, &str)) -> Expectation {
        let is_who = |provider: &str, account: &str| (provider, account) == who;
        if self.unexpected.iter().any(|(p, a)| is_who(p, a)) {
            return Expectation::Never;
        }
        let expected = self.expected.iter().find(|(p, a, _)| is_who(p, a));
        expected.map_or(Expectation::Habit, |(.., every_ms)| {
            Expectation::Every(*every_ms)
        })
    }

    /// What the publisher calls `account` at `provider`: `Zotlo`, `Zotlo weekly`.
    fn name(&self, provider: &str, account: &str) -> String {
        let name = self
            .names
            .iter()
            .find(|(id, _)| id == provider)
            .map_or(provider, |(_, name)| name);
        match account {
            "" | MAIN_ACCOUNT => name.to_owned(),
            account => format!("{name} {account}"),
        }
    }
}

/// Something that needs the publisher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Need {
    /// Which rule.
    pub rule: Rule,
    /// At which provider; `None` where the rule is about none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// In which account; `None` where the rule is about none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// What is the matter, in one sentence; reasons and accounts in it are as stored. No reader is named in it.
    pub sentence: String,
    /// How many rows; 0 where there is no list.
    pub count: u64,
    /// The list behind it.
    pub list: Option<List>,
    /// Its filter.
    pub query: Option<String>,
}

/// Since when that counts which stays as it is, until it is understood or erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Since the period began: the publisher has seen what was there before.
    Period,
    /// Since ever: an alert is over when the matter is, not when somebody looked.
    Ever,
}

/// The rules in the order in which they are shown.
pub(super) fn of(review: &Review<'_>, outside: &Outside, reach: Reach) -> Result<Vec<Need>, Error> {
    let mut out = Vec::new();
    if outside.receiving == Some(false) {
        let says = "no receiver runs: webhooks are not kept; `subledger serve` starts one";
        out.push(bare(Rule::NotReceiving, says.to_owned()));
    }
    if let Some(pid) = review.reader.older_writer() {
        let says = format!(
            "the receiver (process {pid}) is an older version: `subledger stop`, then start it again"
        );
        out.push(bare(Rule::OlderReceiver, says));
    }
    if let Some(bytes) = outside.disk_low {
        let says = format!("the disk has {} MiB left", bytes >> 20);
        out.push(bare(Rule::DiskLow, says));
    }
    quiet(review, outside, &mut out)?;
    turned_away(review, outside, &mut out)?;
    counted(review, reach, &mut out)?;
    out.extend(
        outside
            .backup
            .as_ref()
            .and_then(|backup| no_backup(backup, review.frame.now)),
    );
    alerts_fail(review, &mut out)?;
    Ok(out)
}

fn bare(rule: Rule, sentence: String) -> Need {
    Need {
        rule,
        provider: None,
        account: None,
        sentence,
        count: 0,
        list: None,
        query: None,
    }
}

/// Quiet by its own habit, or by what the settings expect.
fn quiet(review: &Review<'_>, outside: &Outside, out: &mut Vec<Need>) -> Result<(), Error> {
    for (provider, account) in review.reader.accounts()? {
        let who = (provider.as_str(), account.as_str());
        if outside
            .account
            .as_ref()
            .is_some_and(|only| *only != account)
        {
            continue;
        }
        let expectation = outside.expectation(who);
        let Some(quiet) = review.reader.silence(who, expectation, review.frame.now)? else {
            continue;
        };
        let mut query = quiet.query(who, review.frame.now, review.frame.zone);
        let name = outside.name(&provider, &account);
        let heard = review.frame.now.plus_ms(-quiet.gap_ms);
        // What is turned away names no account: its list is of all of them.
        let is_refused =
            outside.account.is_none() && review.reader.is_refused_since(&provider, heard)?;
        let why = if is_refused {
            query = quiet.query_of_all(&provider, review.frame.now, review.frame.zone);
            "it calls, and is turned away".to_owned()
        } else {
            quiet.than()
        };
        out.push(Need {
            rule: Rule::Quiet,
            sentence: format!("{name} quiet for {}; {why}", span(quiet.gap_ms)),
            count: review.count(List::Deliveries, &query)?,
            list: Some(List::Deliveries),
            query: Some(query),
            provider: Some(provider),
            account: Some(account),
        });
    }
    Ok(())
}

/// By provider and reason; a path that names no provider of ours is somebody else's business.
fn turned_away(review: &Review<'_>, outside: &Outside, out: &mut Vec<Need>) -> Result<(), Error> {
    let list = List::Deliveries;
    let text = review.fresh("is:rejected", Key::At);
    for (provider, reason, first) in review.reader.refused(&review.parse(list, &text)?)? {
        if provider.is_empty() || reason.trim().is_empty() {
            continue;
        }
        let query = format!(
            "{text} provider:{} reason:{}",
            value_text(&provider),
            literal_text(&reason)
        );
        let count = review.count(list, &query)?;
        let since = clock(&first, review);
        let noun = word(count, "webhook", "webhooks");
        let name = outside.name(&provider, "");
        out.push(Need {
            rule: Rule::TurnedAway,
            sentence: format!("{name}: {count} {noun} turned away since {since}, {reason}"),
            provider: Some(provider),
            account: None,
            count,
            list: Some(list),
            query: Some(query),
        });
    }
    Ok(())
}

/// A rule that a count alone decides: its list, its filter, and the sentence after the number.
struct Counted {
    rule: Rule,
    list: List,
    query: String,
    one: &'static str,
    many: &'static str,
}

fn counted(review: &Review<'_>, reach: Reach, out: &mut Vec<Need>) -> Result<(), Error> {
    for rule in rules(review, reach) {
        let by_index = match rule.rule {
            Rule::Differing => review.differing()?,
            _ => None,
        };
        let count = by_index.map_or_else(|| review.count(rule.list, &rule.query), Ok)?;
        if count > 0 {
            out.push(Need {
                rule: rule.rule,
                provider: None,
                account: None,
                sentence: format!("{count} {}", word(count, rule.one, rule.many)),
                count,
                list: Some(rule.list),
                query: Some(rule.query),
            });
        }
        if rule.rule == Rule::Differing {
            out.extend(cancel_spike(review)?);
        }
    }
    Ok(())
}

fn rules(review: &Review<'_>, reach: Reach) -> Vec<Counted> {
    const QUARANTINED: &str = "is:quarantined -is:erased";
    let rule = |rule, list, query: String, one, many| Counted {
        rule,
        list,
        query,
        one,
        many,
    };
    vec![
        rule(
            Rule::Quarantined,
            List::Deliveries,
            match reach {
                // What was there at the last review is in its list, and `status` counts it.
                Reach::Period => review.fresh(QUARANTINED, Key::At),
                Reach::Ever => format!("{QUARANTINED} -is:test"),
            },
            "webhook is kept and not understood",
            "webhooks are kept and not understood",
        ),
        rule(
            Rule::Differing,
            List::Deliveries,
            review.fresh("is:differing", Key::At),
            "repeat came with other content; the first one counts",
            "repeats came with other content; the first ones count",
        ),
        rule(
            Rule::WithdrawnPaying,
            List::Changes,
            review.fresh(
                &format!("kind:consent,evidence {WITHDRAWN} is:paying"),
                Key::At,
            ),
            "consent was withdrawn by a reader who still pays",
            "consents were withdrawn by readers who still pay",
        ),
        rule(
            Rule::MoneyUnannounced,
            List::Payments,
            review.fresh("is:unannounced", Key::At),
            "payment is for a subscription that was never announced",
            "payments are for subscriptions that were never announced",
        ),
        rule(
            Rule::RefundUnrevoked,
            List::Events,
            review.fresh("is:unrevoked", Key::At),
            "refund should have ended a subscription and found none",
            "refunds should have ended a subscription and found none",
        ),
        rule(
            Rule::ExpiringSoon,
            List::Subscriptions,
            "ends:7d (is:ending OR is:fixed) -is:test".to_owned(),
            "subscription runs out within 7 days and does not renew",
            "subscriptions run out within 7 days and do not renew",
        ),
    ]
}

/// More asked-for cancellations in 24 hours than on any day of the 4 weeks before yesterday.
fn cancel_spike(review: &Review<'_>) -> Result<Option<Need>, Error> {
    if review.days_known() < SPIKE_DAYS_MIN {
        return Ok(None);
    }
    let list = List::Cancellations;
    let from = review.frame.now.plus_ms(-DAY_MS);
    let day = stretch(from, review.frame.now.plus_ms(1), review.frame.zone);
    let query = format!("is:asked at:{day} -is:test");
    let count = review.count(list, &query)?;
    if count < SPIKE_MIN {
        return Ok(None);
    }
    let days = review.past(list, "is:asked", Key::At)?.days;
    // The last 24 hours reach into yesterday, whose own count is no measure for them.
    let before = days.iter().rev().skip(2).max();
    let usual = before.copied().unwrap_or_default();
    Ok((count > usual).then(|| Need {
        rule: Rule::CancelSpike,
        provider: None,
        account: None,
        sentence: format!(
            "{count} cancellations in 24 hours; the most on a day of the 4 weeks before was {usual}"
        ),
        count,
        list: Some(list),
        query: Some(query),
    }))
}

fn no_backup(backup: &Backup, now: Timestamp) -> Option<Need> {
    let says = match backup {
        Backup::Unset => "no backup is made: subledger config set backup.dir FOLDER".to_owned(),
        Backup::Failed { why, last: None } => {
            format!("the backup failed, and there is none: {why}")
        }
        Backup::Failed {
            why,
            last: Some(at),
        } => {
            let old = span(now.ms() - at.ms());
            format!("the backup failed, the last good one is {old} old: {why}")
        }
        Backup::Gone(file) => format!("the last backup is not there any more: {file}"),
        Backup::Never => "no backup was made yet".to_owned(),
        Backup::Last(at) if now.ms() - at.ms() > BACKUP_MS_MAX => {
            format!("the last backup is {} old", span(now.ms() - at.ms()))
        }
        Backup::Last(_) => return None,
    };
    Some(bare(Rule::NoBackup, says))
}

/// The program that should have told somebody of all this does not.
fn alerts_fail(review: &Review<'_>, out: &mut Vec<Need>) -> Result<(), Error> {
    let failing = review.reader.alerts()?.last.and_then(|last| last.failing);
    if let Some((since, why)) = failing {
        let since = clock(&since.to_string(), review);
        let says = format!("alerts reach nobody since {since}: {why}");
        out.push(bare(Rule::AlertsFail, says));
    }
    Ok(())
}

/// `08:40` today, `2 Nov 08:40` on another day.
fn clock(at: &str, review: &Review<'_>) -> String {
    let Some(at) = Timestamp::parse(at) else {
        return at.to_owned();
    };
    let local = at.utc().with_timezone(&review.frame.zone.0);
    let form = if at.day(review.frame.zone) == review.frame.now.day(review.frame.zone) {
        "%H:%M"
    } else {
        "%-d %b %H:%M"
    };
    local.format(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_of_last_night_is_enough() {
        let now = Timestamp::from_ms(100 * DAY_MS);
        assert!(no_backup(&Backup::Last(now.plus_ms(-6 * HOUR_MS)), now).is_none());
        for backup in [
            Backup::Unset,
            Backup::Never,
            Backup::Last(now.plus_ms(-3 * DAY_MS)),
        ] {
            assert!(no_backup(&backup, now).is_some());
        }
    }
}
