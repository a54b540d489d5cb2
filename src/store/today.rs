//! The daily review: what came since the last one, against the same span a week earlier, and what needs the publisher.
//!
//! Every figure is the count of a list under a filter, and is counted by that very filter, so that the list which it
//! opens has as many rows as it says. Money is summed per currency and never across.

pub mod alerts;

pub(crate) mod monthly;
mod needs;

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use serde::Serialize;

use crate::domain::page::{Count, List};
use crate::domain::query::{
    Key, Moment, Query, QueryError, Vocabulary, Words, folded, literal_text, moment,
};
use crate::domain::time::{DAY_MS, Timestamp, Zone};
use crate::store::Error;
use crate::store::query::Reader;
use crate::store::upgrade::Upgrade;

pub(crate) use monthly::PeriodPrice;
pub use needs::{BACKUP_MS_MAX, Backup, Need, Outside, Rule};

/// Days of the small charts.
pub const DAYS: usize = 28;

/// Which period is reviewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// Everything that arrived after the last review, by position; all there is if there was none.
    LastReview,
    /// From `from` on, before `to`.
    Span {
        /// The first instant within.
        from: Timestamp,
        /// The first instant after.
        to: Timestamp,
    },
}

impl Since {
    /// Reads `last-review`, or a time of the filter grammar (`today`, `7d`, `mon`, `2026-11-01`) from which on
    /// everything to `now` is meant, or a range of two.
    pub fn parse(text: &str, now: Timestamp, zone: Zone) -> Result<Self, QueryError> {
        if text.eq_ignore_ascii_case("last-review") {
            return Ok(Self::LastReview);
        }
        let end = |word: &str, last: bool| match moment(word, now, zone, None, false)? {
            Moment::Instant(at) => Some(at),
            Moment::Stretch(_, to) if last => Some(to),
            Moment::Stretch(from, _) => Some(from),
            Moment::Beginning => None,
        };
        let found = match text.split_once("..") {
            Some((from, "")) => end(from, false).map(|from| (from, now)),
            Some((from, to)) => end(from, false).zip(end(to, true)),
            None => end(text, false).map(|from| (from, now)),
        };
        match found {
            Some((from, to)) if from < to => Ok(Self::Span { from, to }),
            _ => Err(QueryError {
                at: 0..text.len(),
                message: format!("{text:?} is no period: last-review, today, 7d, mon, 2026-11-01"),
                suggestion: None,
            }),
        }
    }
}

/// The daily review.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Today {
    /// When this was true.
    pub now: String,
    /// The zone of days.
    pub zone: &'static str,
    /// What is reviewed.
    pub period: Period,
    /// The last delivery; marking reviewed means this one.
    pub seq: i64,
    /// The last delivery that the figures know of.
    pub folded_seq: i64,
    /// Why nothing is compared: `first day`, `3 of 28 days`; `None` where there is history enough.
    pub history: Option<String>,
    /// What needs the publisher, the most urgent first.
    pub needs_you: Vec<Need>,
    /// What a new version of subledger brought in this period, if anything.
    pub upgraded: Option<Upgrade>,
    /// Readers who registered.
    pub new_readers: Figure,
    /// Subscriptions that began, paid or on trial.
    pub new_subscriptions: Figure,
    /// Cancellations that somebody asked for.
    pub cancelled: Figure,
    /// Subscriptions that were over.
    pub ended: Figure,
    /// Of them, those for want of payment.
    pub involuntary: Figure,
    /// Money in, per currency.
    pub payments: Vec<Sum>,
    /// Money back, per currency, negative.
    pub refunds: Vec<Sum>,
    /// What renewing subscriptions are worth a month, per currency.
    pub monthly: Vec<Sum>,
    /// How many renew.
    pub renewing: Figure,
    /// Of them, those whose price and period are known.
    pub priced: Figure,
    /// What is cancelled and still has access was worth a month, per currency.
    pub ending_value: Vec<Sum>,
    /// How many are cancelled and still have access.
    pub ending: Figure,
    /// Consents given and withdrawn, by purpose.
    pub consent: Vec<Consent>,
    /// Deliveries kept and read.
    pub kept: Figure,
    /// Repeats.
    pub repeats: Figure,
    /// Kept, not understood.
    pub not_understood: Figure,
    /// Turned away.
    pub turned_away: Figure,
    /// Events that arrived since the last review and happened before it; `None` for other periods.
    pub late: Option<Figure>,
    /// When the last verified backup was made; `None` if there is none, or nobody looked.
    pub last_backup: Option<String>,
}

/// What is reviewed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Period {
    /// `last-review`, `beginning` (nothing was ever reviewed) or `span`.
    pub kind: &'static str,
    /// Where it begins; `None` at the beginning of an empty ledger.
    pub from: Option<String>,
    /// Where it ends.
    pub to: String,
    /// Only greater seqs are new; `None` for a span.
    pub after_seq: Option<i64>,
}

/// One figure: the rows of `list` under `query`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// How many.
    pub count: u64,
    /// Of which list.
    pub list: List,
    /// Under which filter.
    pub query: String,
    /// The same span a week earlier; `None` where that is not known.
    pub before: Option<u64>,
    /// The last 28 days, today last; empty where there is no chart.
    pub daily: Vec<u64>,
    /// Of the 27 days before today; `None` without as much history.
    pub median: Option<f64>,
}

/// Money of one currency: the rows of `list` under `query`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sum {
    /// Three letters.
    pub currency: String,
    /// Digits after the point.
    pub exponent: u8,
    /// Minor units, rounded once, half to even.
    pub minor: i128,
    /// Rows.
    pub count: u64,
    /// Of which list.
    pub list: List,
    /// Under which filter.
    pub query: String,
    /// The same span a week earlier; `None` where that is not known.
    pub before: Option<i128>,
}

/// Purposes with longer names, as they stand in a filter, are in no figure.
const PURPOSE_BYTES_MAX: usize = 1_000;

/// Changes of consent to one purpose.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Consent {
    /// For what.
    pub purpose: String,
    /// Given.
    pub given: Figure,
    /// Withdrawn.
    pub withdrawn: Figure,
}

impl Reader {
    /// The review of `since`, as far as the ledger itself can tell.
    pub fn today(&self, since: &Since, now: Timestamp) -> Result<Today, Error> {
        self.today_with(since, now, &Outside::default())
    }

    /// What needs the publisher by now, without the figures.
    pub fn needs(&self, now: Timestamp, outside: &Outside) -> Result<Vec<Need>, Error> {
        needs::of(&Review::new(self, &Since::LastReview, now)?, outside)
    }

    /// The review with what only the caller knows: receiver, backups, expectations.
    pub fn today_with(
        &self,
        since: &Since,
        now: Timestamp,
        outside: &Outside,
    ) -> Result<Today, Error> {
        let review = Review::new(self, since, now)?;
        let status = self.status(now)?;
        let deliveries = |word: &str| {
            review.figure(
                List::Deliveries,
                &review.fresh(&format!("is:{word}"), Key::At),
            )
        };
        let plain = |list, text: &str| review.figure(list, text);
        Ok(Today {
            now: now.to_string(),
            zone: review.zone.name(),
            period: review.period(),
            seq: status.last_seq,
            folded_seq: status.folded_seq,
            history: review.history(),
            needs_you: needs::of(&review, outside)?,
            upgraded: review.upgraded()?,
            new_readers: review.compared(List::Users, "is:registered", Key::Registered)?,
            new_subscriptions: review.compared(
                List::Subscriptions,
                "-status:pending",
                Key::Started,
            )?,
            cancelled: review.compared(List::Cancellations, "is:asked", Key::At)?,
            ended: review.compared(List::Subscriptions, "", Key::Ended)?,
            involuntary: review.compared(List::Subscriptions, "is:involuntary", Key::Ended)?,
            payments: review.money("is:payment")?,
            refunds: review.money("is:refund")?,
            monthly: review.monthly("is:renewing is:priced")?,
            renewing: plain(List::Subscriptions, "is:renewing -is:test")?,
            priced: plain(List::Subscriptions, "is:renewing is:priced -is:test")?,
            ending_value: review.monthly("is:ending is:priced -is:trial")?,
            ending: plain(List::Subscriptions, "is:ending -is:test")?,
            consent: review.consent()?,
            kept: deliveries("stored")?,
            repeats: deliveries("duplicate")?,
            not_understood: deliveries("quarantined")?,
            turned_away: deliveries("rejected")?,
            late: match review.since {
                Since::LastReview if review.last.is_some() => {
                    Some(plain(List::Events, "is:late -is:test")?)
                }
                _ => None,
            },
            last_backup: outside
                .backup
                .as_ref()
                .and_then(Backup::last)
                .map(|at| at.to_string()),
        })
    }
}

/// `today 03:10, checked`: the words for a verified backup that was made at `at`.
pub fn backup_words(at: Timestamp, now: Timestamp, zone: Zone) -> String {
    let local = at.utc().with_timezone(&zone.0);
    let day = match at.day(zone) {
        day if day == now.day(zone) => "today".to_owned(),
        day if day == now.plus_ms(-DAY_MS).day(zone) => "yesterday".to_owned(),
        _ => local.format("%a %-d %b").to_string(),
    };
    format!("{day} {}, checked", local.format("%H:%M"))
}

/// A review under way.
struct Review<'a> {
    reader: &'a Reader,
    since: Since,
    now: Timestamp,
    zone: Zone,
    last: Option<(i64, Timestamp)>,
    /// The earliest thing that the ledger knows of.
    first: Option<Timestamp>,
}

impl<'a> Review<'a> {
    fn new(reader: &'a Reader, since: &Since, now: Timestamp) -> Result<Self, Error> {
        // A test may tell of any day, and is no history.
        let event = reader.time(
            "select at from events where test = 0 order by at, id limit 1",
            &[],
        )?;
        let delivery = reader.time(
            "select received_at from deliveries where test = 0 order by received_at limit 1",
            &[],
        )?;
        Ok(Self {
            reader,
            since: *since,
            now,
            zone: reader.zone()?,
            last: reader.last_review()?,
            first: event.into_iter().chain(delivery).min(),
        })
    }

    /// Where the period begins and ends.
    fn span(&self) -> (Option<Timestamp>, Timestamp) {
        match self.since {
            Since::LastReview => (self.last.map(|(_, at)| at).or(self.first), self.now),
            Since::Span { from, to } => (Some(from), to),
        }
    }

    /// What was gained or lost by reading anew since the period began.
    fn upgraded(&self) -> Result<Option<Upgrade>, Error> {
        let from = self.period().from.unwrap_or_default();
        let upgrade = self.reader.upgrade()?;
        Ok(upgrade.filter(|upgrade| upgrade.is_news() && upgrade.at >= from))
    }

    fn period(&self) -> Period {
        let (from, to) = self.span();
        Period {
            kind: match (self.since, self.last) {
                (Since::LastReview, Some(_)) => "last-review",
                (Since::LastReview, None) => "beginning",
                (Since::Span { .. }, _) => "span",
            },
            from: from.map(|at| at.to_string()),
            to: to.to_string(),
            after_seq: match self.since {
                Since::LastReview => Some(self.last.map_or(0, |(seq, _)| seq)),
                Since::Span { .. } => None,
            },
        }
    }

    /// Days of history, today's included.
    fn days_known(&self) -> i64 {
        let day = |at: Timestamp| at.day(self.zone).parse::<NaiveDate>().ok();
        match (self.first.and_then(day), day(self.now)) {
            (Some(first), Some(today)) => (today - first).num_days() + 1,
            _ => 0,
        }
    }

    fn history(&self) -> Option<String> {
        match self.days_known() {
            days if days >= 28 => None,
            0 | 1 => Some("first day".to_owned()),
            days => Some(format!("{days} of {DAYS} days")),
        }
    }

    fn parse(&self, list: List, text: &str) -> Result<Query, Error> {
        let words = Words {
            now: self.now,
            zone: self.zone,
            list,
            last_review: self.last,
            stored: &Vocabulary::default(),
        };
        Query::parse(text, &words)
            .map_err(|error| Error::Refused(format!("{list} {text}: {error}")))
    }

    /// The rows of `list` under `text`, counted to the end.
    fn count(&self, list: List, text: &str) -> Result<u64, Error> {
        match self
            .reader
            .count(list, &self.parse(list, text)?, u64::MAX - 1)?
        {
            Count::Exact(count) | Count::MoreThan(count) | Count::About(count) => Ok(count),
        }
    }

    /// `text` narrowed to the period, by position or by the time that `key` filters, tests aside.
    fn fresh(&self, text: &str, key: Key) -> String {
        let when = match self.since {
            // Being over is a matter of the clock, not of what arrived.
            Since::LastReview if key == Key::Ended => "ended:last-review".to_owned(),
            Since::LastReview => "is:new".to_owned(),
            Since::Span { from, to } => within(key, from, to),
        };
        format!("{text} {when} -is:test").trim_start().to_owned()
    }

    fn figure(&self, list: List, text: &str) -> Result<Figure, Error> {
        Ok(Figure {
            count: self.count(list, text)?,
            list,
            query: text.to_owned(),
            before: None,
            daily: Vec::new(),
            median: None,
        })
    }

    /// A figure with the same span a week earlier and the last 28 days, by the time that `key` filters.
    fn compared(&self, list: List, text: &str, key: Key) -> Result<Figure, Error> {
        let daily = self.daily(list, text, key)?;
        Ok(Figure {
            before: match self.week_before() {
                Some((from, to)) => {
                    let text = format!("{text} {} -is:test", within(key, from, to));
                    Some(self.count(list, text.trim_start())?)
                }
                None => None,
            },
            median: (self.days_known() >= 28).then(|| median(&daily[..DAYS - 1])),
            daily,
            ..self.figure(list, &self.fresh(text, key))?
        })
    }

    /// The same clock times seven days earlier; `None` where the ledger does not reach back so far.
    fn week_before(&self) -> Option<(Timestamp, Timestamp)> {
        let (from, to) = self.span();
        let back = |at: Timestamp| match moment("7d", at, self.zone, None, false) {
            Some(Moment::Instant(at)) => Some(at),
            _ => None,
        };
        let (from, to) = (back(from?)?, back(to)?);
        (self.first? <= from).then_some((from, to))
    }

    /// Rows of the last 28 days, day by day, today last.
    fn daily(&self, list: List, text: &str, key: Key) -> Result<Vec<u64>, Error> {
        let today: NaiveDate = self.now.day(self.zone).parse().unwrap_or_default();
        let back = Days::new(DAYS as u64 - 1);
        let first = today.checked_sub_days(back).unwrap_or_default();
        let text = format!("{text} {key}:{first}.. -is:test");
        let query = self.parse(list, text.trim_start())?;
        let counts = self.reader.per_day(list, &query, key)?;
        Ok(first
            .iter_days()
            .take(DAYS)
            .map(|day| counts.get(&day.to_string()).copied().unwrap_or_default())
            .collect())
    }

    /// Payments or refunds of the period, per currency.
    fn money(&self, kind: &str) -> Result<Vec<Sum>, Error> {
        let list = List::Payments;
        let text = self.fresh(kind, Key::At);
        let mut out = Vec::new();
        for (currency, exponent) in self.reader.currencies(list, &self.parse(list, &text)?)? {
            let of_currency = |text: &str| format!("{text} currency:{currency}");
            let query = of_currency(&text);
            let parsed = self.parse(list, &query)?;
            let before = match self.week_before() {
                Some((from, to)) => {
                    let text = format!("{kind} {} -is:test", within(Key::At, from, to));
                    let parsed = self.parse(list, &of_currency(&text))?;
                    Some(self.reader.total(list, &parsed)?)
                }
                None => None,
            };
            out.push(Sum {
                minor: self.reader.total(list, &parsed)?,
                count: self.count(list, &query)?,
                currency,
                exponent,
                list,
                query,
                before,
            });
        }
        Ok(out)
    }

    /// What the subscriptions under `text` are worth a month, per currency.
    fn monthly(&self, text: &str) -> Result<Vec<Sum>, Error> {
        let list = List::Subscriptions;
        let text = format!("{text} -is:test");
        let mut out = Vec::new();
        for (currency, exponent) in self.reader.currencies(list, &self.parse(list, &text)?)? {
            let query = format!("{text} currency:{currency}");
            let parsed = self.parse(list, &query)?;
            out.push(Sum {
                minor: monthly::value(&self.reader.periods(&parsed)?),
                count: self.count(list, &query)?,
                currency,
                exponent,
                list,
                query,
                before: None,
            });
        }
        Ok(out)
    }

    /// Changes of the period by purpose; purposes that differ in case alone are one.
    fn consent(&self) -> Result<Vec<Consent>, Error> {
        let list = List::Changes;
        let text = self.fresh("kind:consent,evidence", Key::At);
        let mut purposes: BTreeMap<String, String> = BTreeMap::new();
        for purpose in self.reader.purposes(&self.parse(list, &text)?)? {
            purposes.entry(folded(&purpose)).or_insert(purpose);
        }
        let mut out = Vec::new();
        // A name that no filter has room for would have no list behind its figures.
        let named = |purpose: &String| literal_text(purpose).len() <= PURPOSE_BYTES_MAX;
        for purpose in purposes.into_values().filter(named) {
            let of_purpose = format!("{text} purpose:{}", literal_text(&purpose));
            let given = self.figure(list, &format!("{of_purpose} state:given"))?;
            let withdrawn = self.figure(list, &format!("{of_purpose} state:withdrawn"))?;
            if given.count + withdrawn.count > 0 {
                out.push(Consent {
                    purpose,
                    given,
                    withdrawn,
                });
            }
        }
        Ok(out)
    }
}

/// `key:from..to` where `to` is the first instant after.
fn within(key: Key, from: Timestamp, to: Timestamp) -> String {
    format!("{key}:{from}..{}", to.plus_ms(-1))
}

fn median(days: &[u64]) -> f64 {
    let mut sorted = days.to_vec();
    sorted.sort_unstable();
    let middle = sorted.len() / 2;
    let sum = match sorted.len() % 2 {
        0 if middle > 0 => sorted[middle - 1] + sorted[middle],
        0 => 0,
        _ => 2 * sorted[middle],
    };
    f64::from(u32::try_from(sum).unwrap_or(u32::MAX)) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_read_as_the_filter_reads_times() {
        let now = Timestamp::parse("2026-11-04T11:00:00Z").unwrap();
        let zone: Zone = "Europe/Berlin".parse().unwrap();
        let read = |text: &str| Since::parse(text, now, zone);
        assert_eq!(read("last-review"), Ok(Since::LastReview));
        let span = |from: &str, to: &str| {
            let at = |text: &str| Timestamp::parse(text).unwrap();
            Ok(Since::Span {
                from: at(from),
                to: at(to),
            })
        };
        assert_eq!(
            read("today"),
            span("2026-11-03T23:00:00Z", "2026-11-04T11:00:00Z")
        );
        assert_eq!(
            read("7d"),
            span("2026-10-28T11:00:00Z", "2026-11-04T11:00:00Z")
        );
        assert_eq!(
            read("2026-11-01..2026-11-02"),
            span("2026-10-31T23:00:00Z", "2026-11-02T23:00:00Z")
        );
        assert!(read("tomorrow").is_err() && read("soon").is_err() && read("").is_err());
    }

    #[test]
    fn a_median_lies_in_the_middle() {
        for (days, middle) in [
            (&[3, 1, 2][..], 2.0),
            (&[4, 1, 2, 3][..], 2.5),
            (&[][..], 0.0),
            (&[7][..], 7.0),
        ] {
            assert!((median(days) - middle).abs() < 1e-9, "{days:?}");
        }
    }
}
