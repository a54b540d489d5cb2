//! The daily review: what came since the last one, against the same span a week earlier, and what needs the publisher.
//!
//! Every figure is the count of a list under a filter, and is counted by that very filter, so that the list which it
//! opens has as many rows as it says. Money is summed per currency and never across.

pub mod alerts;

pub(crate) mod monthly;
mod needs;
mod periods;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::thread;

use chrono::{Days, NaiveDate};
use serde::Serialize;

use crate::domain::page::List;
use crate::domain::query::{
    Key, Moment, Query, Vocabulary, Words, caseless, literal_text, moment, stretch, value_text,
};
use crate::domain::time::{DAY_MS, Timestamp, Zone};
use crate::store::Error;
use crate::store::query::figures::{Alike, Bearing, Money, Stretch};
use crate::store::query::{Beside, Reader, started};
use crate::store::upgrade::Upgrade;

pub(crate) use monthly::PeriodPrice;
use needs::Reach;
pub use needs::{BACKUP_MS_MAX, Backup, Need, Outside, Rule};
pub use periods::{PERIODS, Since};

/// Days of the small charts.
pub const DAYS: usize = 28;

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

/// The rows that one account brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    /// The provider; empty where what was turned away names none.
    pub provider: String,
    /// The account; empty where what was turned away could not name one.
    pub account: String,
    /// How many.
    pub count: u64,
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
    /// Whose, by provider and account: together as many.
    pub by: Vec<Share>,
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
    /// The same span a week earlier, or what it was a week ago at the prices of now; `None` where that is not known.
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
    /// Withdrawn: a no after a yes too.
    pub withdrawn: Figure,
}

impl Reader {
    /// The review of `since`, as far as the ledger itself can tell.
    pub fn today(&self, since: &Since, now: Timestamp) -> Result<Today, Error> {
        self.today_with(since, now, &Outside::default())
    }

    /// What needs the publisher by now, without the figures.
    pub fn needs(&self, now: Timestamp, outside: &Outside) -> Result<Vec<Need>, Error> {
        let stretch = Mutex::default();
        let review = Review::new(self, &Since::LastReview, now, outside, &stretch)?;
        let mut needs = needs::of(&review, outside, Reach::Ever)?;
        let queries = needs.iter_mut().filter_map(|need| need.query.as_mut());
        narrow(queries, outside);
        Ok(needs)
    }

    /// The review with what only the caller knows: receiver, backups, expectations.
    pub fn today_with(
        &self,
        since: &Since,
        now: Timestamp,
        outside: &Outside,
    ) -> Result<Today, Error> {
        let stretch = Mutex::default();
        let review = Review::new(self, since, now, outside, &stretch)?;
        let status = self.status(now)?;
        // Each of the four waits for the disk by itself.
        let (beside, frame) = (self.beside(), review.frame);
        let (needs_you, values, pasts, mine) = thread::scope(|scope| {
            let needs_you = started(scope, move || {
                frame.on(beside, |review| needs::of(review, outside, Reach::Period))
            });
            let values = started(scope, move || frame.on(beside, values));
            let pasts = started(scope, move || frame.on(beside, pasts));
            let mine = review.mine();
            (needs_you(), values(), pasts(), mine)
        });
        let (values, pasts, mine) = (values?, pasts?, mine?);
        let mut today = Today {
            now: now.to_string(),
            zone: review.frame.zone.name(),
            period: review.period(),
            seq: status.last_seq,
            folded_seq: status.folded_seq,
            history: review.history(),
            needs_you: needs_you?,
            upgraded: review.upgraded()?,
            new_readers: pasts.new_readers,
            new_subscriptions: pasts.new_subscriptions,
            cancelled: pasts.cancelled,
            ended: pasts.ended,
            involuntary: pasts.involuntary,
            payments: mine.payments,
            refunds: mine.refunds,
            monthly: values.monthly,
            renewing: values.renewing.all,
            priced: values.renewing.priced,
            ending_value: values.ending_value,
            ending: values.ending.all,
            consent: mine.consent,
            kept: mine.arrivals.kept,
            repeats: mine.arrivals.repeats,
            not_understood: mine.arrivals.not_understood,
            turned_away: mine.arrivals.turned_away,
            late: mine.late,
            last_backup: outside
                .backup
                .as_ref()
                .and_then(Backup::last)
                .map(|at| at.to_string()),
        };
        narrow(today.queries(), outside);
        Ok(today)
    }
}

/// Filters, narrowed to the account that is asked for as the rows they count were.
fn narrow<'q>(queries: impl Iterator<Item = &'q mut String>, outside: &Outside) {
    let Some(account) = &outside.account else {
        return;
    };
    let term = of_account(account);
    for query in queries.filter(|query| !query.contains(&term)) {
        query.push_str(&term);
    }
}

/// The term for one account, behind others.
fn of_account(account: &str) -> String {
    format!(" account:{}", value_text(account))
}

impl Today {
    /// The filter of everything that is counted.
    fn queries(&mut self) -> impl Iterator<Item = &mut String> {
        let consent = self.consent.iter_mut();
        let figures = [
            &mut self.new_readers,
            &mut self.new_subscriptions,
            &mut self.cancelled,
            &mut self.ended,
            &mut self.involuntary,
            &mut self.renewing,
            &mut self.priced,
            &mut self.ending,
            &mut self.kept,
            &mut self.repeats,
            &mut self.not_understood,
            &mut self.turned_away,
        ]
        .into_iter()
        .chain(&mut self.late)
        .chain(consent.flat_map(|one| [&mut one.given, &mut one.withdrawn]));
        let sums = [&mut self.payments, &mut self.refunds];
        let worth = [&mut self.monthly, &mut self.ending_value];
        let sums = sums.into_iter().chain(worth).flatten();
        let needs = self.needs_you.iter_mut();
        figures
            .map(|figure| &mut figure.query)
            .chain(sums.map(|sum| &mut sum.query))
            .chain(needs.filter_map(|need| need.query.as_mut()))
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

/// Figures with a past.
struct Pasts {
    new_readers: Figure,
    new_subscriptions: Figure,
    cancelled: Figure,
    ended: Figure,
    involuntary: Figure,
}

/// What renews, what ends, and what it is worth a month.
struct Values {
    renewing: Valued,
    ending: Valued,
    monthly: Vec<Sum>,
    ending_value: Vec<Sum>,
}

/// What arrived, by what became of it and by what it told.
struct Mine {
    arrivals: Arrivals,
    payments: Vec<Sum>,
    refunds: Vec<Sum>,
    consent: Vec<Consent>,
    late: Option<Figure>,
}

/// What became of what arrived.
struct Arrivals {
    kept: Figure,
    repeats: Figure,
    not_understood: Figure,
    turned_away: Figure,
}

/// Subscriptions of one kind, and those of them whose price and period are known.
struct Valued {
    all: Figure,
    priced: Figure,
}

/// Prices and periods by currency and digits.
type Prices = BTreeMap<(String, u8), Vec<PeriodPrice>>;

/// What a review is of, whichever connection reads it.
#[derive(Clone, Copy)]
struct Frame<'a> {
    since: Since,
    now: Timestamp,
    zone: Zone,
    last: Option<(i64, Timestamp)>,
    /// The earliest thing that the ledger knows of.
    first: Option<Timestamp>,
    /// Only this account is asked for.
    account: Option<&'a str>,
    /// What came since the last review, once it was looked for: whoever is first does, and the others wait.
    stretch: &'a Mutex<OnceCell<Option<Stretch>>>,
}

impl Frame<'_> {
    /// Reads a part of it on a connection of its own.
    fn on<T>(
        self,
        beside: Beside<'_>,
        read: impl FnOnce(&Review<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        read(&Review {
            reader: &beside.reader()?,
            frame: self,
        })
    }
}

/// A review under way.
struct Review<'a> {
    reader: &'a Reader,
    frame: Frame<'a>,
}

impl<'a> Review<'a> {
    fn new(
        reader: &'a Reader,
        since: &Since,
        now: Timestamp,
        outside: &'a Outside,
        stretch: &'a Mutex<OnceCell<Option<Stretch>>>,
    ) -> Result<Self, Error> {
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
            frame: Frame {
                since: *since,
                now,
                zone: reader.zone()?,
                last: reader.last_review()?,
                first: event.into_iter().chain(delivery).min(),
                account: outside.account.as_deref(),
                stretch,
            },
        })
    }

    fn mine(&self) -> Result<Mine, Error> {
        Ok(Mine {
            arrivals: self.arrivals()?,
            late: self.late()?,
            payments: self.money("is:payment")?,
            refunds: self.money("is:refund")?,
            consent: self.consent()?,
        })
    }

    /// What came since the last review, if that is reviewed and indexes tell.
    fn stretch(&self) -> Result<Option<Stretch>, Error> {
        let (Since::LastReview, Some((after, _))) = (self.frame.since, self.frame.last) else {
            return Ok(None);
        };
        let known = self.frame.stretch.lock();
        let known = known.unwrap_or_else(PoisonError::into_inner);
        if let Some(stretch) = known.get() {
            return Ok(stretch.clone());
        }
        let found = self.reader.stretch_after(after)?;
        Ok(known.get_or_init(|| found).clone())
    }

    /// What came since the last review and happened before it.
    fn late(&self) -> Result<Option<Figure>, Error> {
        const LATE: &str = "is:late -is:test";
        let (Since::LastReview, Some((_, at))) = (self.frame.since, self.frame.last) else {
            return Ok(None);
        };
        let by = match self.stretch()? {
            Some(stretch) if self.frame.account.is_none() => self.reader.late_in(&stretch, at)?,
            _ => None,
        };
        let figure = by.map(|by| of_shares(List::Events, LATE, by));
        figure
            .map_or_else(|| self.figure(List::Events, LATE), Ok)
            .map(Some)
    }

    /// Where the period begins and ends.
    fn span(&self) -> (Option<Timestamp>, Timestamp) {
        match self.frame.since {
            Since::LastReview => (
                self.frame.last.map(|(_, at)| at).or(self.frame.first),
                self.frame.now,
            ),
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
            kind: match (self.frame.since, self.frame.last) {
                (Since::LastReview, Some(_)) => "last-review",
                (Since::LastReview, None) => "beginning",
                (Since::Span { .. }, _) => "span",
            },
            from: from.map(|at| at.to_string()),
            to: to.to_string(),
            after_seq: match self.frame.since {
                Since::LastReview => Some(self.frame.last.map_or(0, |(seq, _)| seq)),
                Since::Span { .. } => None,
            },
        }
    }

    /// Days of history, today's included.
    fn days_known(&self) -> i64 {
        let day = |at: Timestamp| at.day(self.frame.zone).parse::<NaiveDate>().ok();
        match (self.frame.first.and_then(day), day(self.frame.now)) {
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
            now: self.frame.now,
            zone: self.frame.zone,
            list,
            last_review: self.frame.last,
            stored: &Vocabulary::default(),
        };
        let narrowed;
        let text = match &self.frame.account {
            Some(account) => {
                narrowed = format!("{text}{}", of_account(account));
                narrowed.trim_start()
            }
            None => text,
        };
        Query::parse(text, &words)
            .map_err(|error| Error::Refused(format!("{list} {text}: {error}")))
    }

    /// The rows of `list` under `text`, counted to the end.
    fn count(&self, list: List, text: &str) -> Result<u64, Error> {
        let query = self.parse(list, text)?;
        Ok(self.reader.count(list, &query, u64::MAX - 1)?.number())
    }

    /// `text` narrowed to the period, by position or by the time that `key` filters, tests aside.
    fn fresh(&self, text: &str, key: Key) -> String {
        let when = match self.frame.since {
            // Being over is a matter of the clock, not of what arrived.
            Since::LastReview if key == Key::Ended => "ended:last-review".to_owned(),
            Since::LastReview => "is:new".to_owned(),
            Since::Span { from, to } => within(key, from, to, self.frame.zone),
        };
        format!("{text} {when} -is:test").trim_start().to_owned()
    }

    /// The rows of `list` under `text`, by whom they came.
    fn figure(&self, list: List, text: &str) -> Result<Figure, Error> {
        let by = self.reader.shares(list, &self.parse(list, text)?)?;
        Ok(of_shares(list, text, by))
    }

    /// A figure with the same span a week earlier and the last 28 days, by the time that `key` filters.
    fn compared(&self, list: List, text: &str, key: Key) -> Result<Figure, Error> {
        let past = self.past(list, text, key)?;
        Ok(Figure {
            before: self.week_before().map(|_| past.before),
            median: (self.days_known() >= 28).then(|| median(&past.days[..DAYS - 1])),
            daily: past.days,
            ..self.figure(list, &self.fresh(text, key))?
        })
    }

    /// The same clock times seven days earlier; `None` where the ledger does not reach back so far.
    fn week_before(&self) -> Option<(Timestamp, Timestamp)> {
        let (from, to) = self.span();
        let back = |at: Timestamp| match moment("7d", at, self.frame.zone, None, false) {
            Some(Moment::Instant(at)) => Some(at),
            _ => None,
        };
        let (from, to) = (back(from?)?, back(to)?);
        (self.frame.first? <= from).then_some((from, to))
    }

    /// Rows of the last 28 days and of the same span a week earlier, in one pass. Who has rows that are not in the list
    /// any more, though they still count, adds them here.
    fn past(&self, list: List, text: &str, key: Key) -> Result<Past, Error> {
        let today: NaiveDate = self
            .frame
            .now
            .day(self.frame.zone)
            .parse()
            .unwrap_or_default();
        let back = Days::new(DAYS as u64 - 1);
        let first = today.checked_sub_days(back).unwrap_or_default();
        let week_before = self.week_before();
        let from = week_before
            .map(|(from, _)| from)
            .into_iter()
            .chain([self.frame.zone.day_start(first)])
            .min();
        let text = format!("{text} {key}:{}.. -is:test", from.unwrap_or(self.frame.now));
        let query = self.parse(list, text.trim_start())?;
        let found = self.reader.per_day(list, &query, key, week_before)?;
        let of_day = |day: NaiveDate| found.days.get(&day.to_string()).copied();
        Ok(Past {
            days: first
                .iter_days()
                .take(DAYS)
                .map(|day| of_day(day).unwrap_or_default())
                .collect(),
            before: found.within,
        })
    }

    /// What became of what arrived in the period, tests aside.
    fn arrivals(&self) -> Result<Arrivals, Error> {
        let outcomes = self.outcomes()?;
        let of = |outcome: &str| {
            let by = outcomes.iter().filter(|(_, of)| of == outcome);
            of_shares(
                List::Deliveries,
                &self.fresh(&format!("is:{outcome}"), Key::At),
                by.map(|(share, _)| share.clone()).collect(),
            )
        };
        Ok(Arrivals {
            kept: of("stored"),
            repeats: of("duplicate"),
            not_understood: of("quarantined"),
            turned_away: of("rejected"),
        })
    }

    /// Repeats with other content since the last review, where an index tells.
    fn differing(&self) -> Result<Option<u64>, Error> {
        let (Some((after, _)), None) = (self.frame.last, self.frame.account) else {
            return Ok(None);
        };
        if !self.reader.is_short_stretch(after)? {
            return Ok(None);
        }
        let stretch = self.stretch()?;
        stretch
            .map(|stretch| self.reader.differing_in(&stretch))
            .transpose()
    }

    /// What became of what arrived in the period, by whom it came.
    fn outcomes(&self) -> Result<Vec<(Share, String)>, Error> {
        let parse = |text: &str| self.parse(List::Deliveries, &self.fresh(text, Key::At));
        let stored = match self.frame.since {
            Since::Span { from, to } => Some(self.reader.outcomes_within((from, to))?),
            Since::LastReview => {
                let stretch = self.stretch()?;
                let stretch = stretch.map(|stretch| self.reader.outcomes_in(&stretch));
                stretch.transpose()?
            }
        };
        let Some(mut stored) = stored else {
            return self.reader.outcomes(&parse("")?);
        };
        if let Some(account) = self.frame.account {
            stored.retain(|(share, _)| share.account == account);
        }
        stored.extend(self.reader.outcomes(&parse("is:rejected")?)?);
        Ok(stored)
    }

    /// Payments or refunds of the period, per currency.
    fn money(&self, kind: &str) -> Result<Vec<Sum>, Error> {
        let list = List::Payments;
        let text = self.fresh(kind, Key::At);
        let before = match self.week_before() {
            Some((from, to)) => {
                let text = format!(
                    "{kind} {} -is:test",
                    within(Key::At, from, to, self.frame.zone)
                );
                Some(self.reader.money(&self.parse(list, &text)?)?)
            }
            None => None,
        };
        let found = self.reader.money(&self.parse(list, &text)?)?;
        let of = |money: Money| Sum {
            before: before.as_ref().map(|before| {
                let same = before.iter().find(|then| {
                    (&then.currency, then.exponent) == (&money.currency, money.exponent)
                });
                same.map_or(0, |then| then.total)
            }),
            query: format!("{text} currency:{}", money.currency),
            list,
            minor: money.total,
            count: money.count,
            currency: money.currency,
            exponent: money.exponent,
        };
        Ok(found.into_iter().map(of).collect())
    }

    /// When renewing subscriptions are compared with themselves; `None` where what they were then is not known.
    fn week_ago(&self) -> Option<Timestamp> {
        match moment("7d", self.frame.now, self.frame.zone, None, false) {
            // What moved is known of all accounts together.
            _ if self.frame.account.is_some() => None,
            Some(Moment::Instant(then)) => self
                .frame
                .first
                .is_some_and(|first| first <= then)
                .then_some(then),
            _ => None,
        }
    }

    /// Changes of the period by purpose; purposes that differ in case alone are one.
    fn consent(&self) -> Result<Vec<Consent>, Error> {
        let list = List::Changes;
        let text = self.fresh("kind:consent,evidence", Key::At);
        let mut purposes: BTreeMap<String, Purpose> = BTreeMap::new();
        for (purpose, states, share) in self.reader.purposes(&self.parse(list, &text)?)? {
            let of = purposes
                .entry(caseless(&purpose))
                .or_insert_with(|| Purpose {
                    name: purpose,
                    given: Vec::new(),
                    withdrawn: Vec::new(),
                });
            match [states[0].as_str(), states[1].as_str()] {
                [_, "given"] => of.given.push(share),
                [_, "withdrawn"] | ["given", "refused"] => of.withdrawn.push(share),
                _ => {}
            }
        }
        // A name that no filter has room for would have no list behind its figures.
        let is_shown = |one: &Purpose| {
            literal_text(&one.name).len() <= PURPOSE_BYTES_MAX
                && !(one.given.is_empty() && one.withdrawn.is_empty())
        };
        let shown = purposes.into_values().filter(is_shown);
        Ok(shown
            .map(|one| {
                let of_purpose = format!("{text} purpose:{}", literal_text(&one.name));
                let figure =
                    |state: &str, by| of_shares(list, &format!("{of_purpose} {state}"), by);
                Consent {
                    given: figure("state:given", one.given),
                    withdrawn: figure(WITHDRAWN, one.withdrawn),
                    purpose: one.name,
                }
            })
            .collect())
    }
}

/// What takes a consent back: who says no after a yes withdraws, whatever the provider calls it.
const WITHDRAWN: &str = "(state:withdrawn OR (was:given state:refused))";

/// Subscriptions that count towards the monthly value.
const VALUED: &str = "is:renewing is:priced";

/// What renews and what ends.
fn values(review: &Review<'_>) -> Result<Values, Error> {
    const RENEWING: &str = "is:renewing";
    const ENDING: &str = "is:ending";
    let parse = |all: &str| review.parse(List::Subscriptions, &format!("{all} -is:test"));
    let (renewing, ending) = (parse(RENEWING)?, parse(ENDING)?);
    let then = review.week_ago();
    let found = review.reader.alike(&renewing, &ending, then)?;
    let worth = prices(&found, |one| one.bearing == Bearing::Renewing);
    let mut monthly = sums(&worth, VALUED);
    if then.is_some() {
        let (lost, gained) = (
            prices(&found, |one| one.bearing == Bearing::Lost),
            prices(&found, |one| one.bearing == Bearing::Gained),
        );
        monthly = a_week_ago(monthly, worth, lost, gained);
    }
    let ended = prices(&found, |one| one.bearing == Bearing::Ending);
    Ok(Values {
        renewing: valued(&found, RENEWING, |one| one.bearing == Bearing::Renewing),
        ending: valued(&found, ENDING, |one| {
            matches!(one.bearing, Bearing::Ending | Bearing::EndingTrial)
        }),
        monthly,
        ending_value: sums(&ended, "is:ending is:priced -is:trial"),
    })
}

/// The subscriptions that are `meant`, which are those under `all`.
fn valued(found: &[Alike], all: &str, meant: impl Fn(&Alike) -> bool) -> Valued {
    let list = List::Subscriptions;
    let meant: Vec<&Alike> = found.iter().filter(|one| meant(one)).collect();
    let priced = meant.iter().filter(|one| one.priced.is_some());
    Valued {
        priced: of_shares(
            list,
            &format!("{all} is:priced -is:test"),
            priced.map(|one| one.share.clone()).collect(),
        ),
        all: of_shares(
            list,
            &format!("{all} -is:test"),
            meant.iter().map(|one| one.share.clone()).collect(),
        ),
    }
}

/// Prices and periods of those that are `meant`.
fn prices(found: &[Alike], meant: impl Fn(&Alike) -> bool) -> Prices {
    let mut prices = Prices::new();
    for one in found.iter().filter(|one| meant(one)) {
        if let Some((currency, exponent, price)) = &one.priced {
            let key = (currency.clone(), *exponent);
            prices.entry(key).or_default().push(price.clone());
        }
    }
    prices
}

/// What they are worth a month, per currency, which are the rows under `text`.
fn sums(prices: &Prices, text: &str) -> Vec<Sum> {
    let sum = |((currency, exponent), prices): (&(String, u8), &Vec<PeriodPrice>)| Sum {
        currency: currency.clone(),
        exponent: *exponent,
        minor: monthly::value(prices),
        count: prices
            .iter()
            .map(|one| one.subscriptions.unsigned_abs())
            .sum(),
        list: List::Subscriptions,
        query: format!("{text} -is:test currency:{currency}"),
        before: None,
    };
    prices.iter().map(sum).collect()
}

/// `worth`, which `prices` add up to, beside what it was a week ago: those who renewed then, at the prices of now.
fn a_week_ago(mut worth: Vec<Sum>, prices: Prices, lost: Prices, gained: Prices) -> Vec<Sum> {
    let mut before = prices;
    for (key, prices) in lost {
        before.entry(key).or_default().extend(prices);
    }
    for (key, prices) in gained {
        let less = prices.into_iter().map(|price| PeriodPrice {
            subscriptions: -price.subscriptions,
            ..price
        });
        before.entry(key).or_default().extend(less);
    }
    for then in sums(&before, VALUED) {
        let same = worth
            .iter_mut()
            .find(|sum| (&sum.currency, sum.exponent) == (&then.currency, then.exponent));
        match same {
            Some(sum) => sum.before = Some(then.minor),
            // Nobody renews in it any more.
            None => worth.push(Sum {
                minor: 0,
                count: 0,
                before: Some(then.minor),
                ..then
            }),
        }
    }
    worth.sort_by(|a, b| (&a.currency, a.exponent).cmp(&(&b.currency, b.exponent)));
    worth
}

/// What has a past to compare with.
fn pasts(review: &Review<'_>) -> Result<Pasts, Error> {
    let list = List::Subscriptions;
    Ok(Pasts {
        new_readers: review.compared(List::Users, "is:registered", Key::Registered)?,
        new_subscriptions: review.compared(list, "-status:pending", Key::Started)?,
        cancelled: review.compared(List::Cancellations, "is:asked", Key::At)?,
        ended: review.compared(list, "", Key::Ended)?,
        involuntary: review.figure(list, &review.fresh("is:involuntary", Key::Ended))?,
    })
}

/// Changes of consent to one purpose, by whom they came.
struct Purpose {
    name: String,
    given: Vec<Share>,
    withdrawn: Vec<Share>,
}

/// Rows of the past.
struct Past {
    /// The last 28 days, day by day, today last.
    days: Vec<u64>,
    /// Of the same span a week earlier, if there is one.
    before: u64,
}

/// The figure that `by` adds up to.
fn of_shares(list: List, text: &str, by: Vec<Share>) -> Figure {
    let mut of: BTreeMap<(String, String), u64> = BTreeMap::new();
    for share in by {
        *of.entry((share.provider, share.account)).or_default() += share.count;
    }
    Figure {
        count: of.values().sum(),
        by: of
            .into_iter()
            .map(|((provider, account), count)| Share {
                provider,
                account,
                count,
            })
            .collect(),
        list,
        query: text.to_owned(),
        before: None,
        daily: Vec::new(),
        median: None,
    }
}

/// The rows from `from` on and before `to`.
fn within(key: Key, from: Timestamp, to: Timestamp, zone: Zone) -> String {
    format!("{key}:{}", stretch(from, to, zone))
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
