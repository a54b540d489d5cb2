//! What Today asks of lists beside counts: sums, days, distinct values. Each in one pass over the rows, however many
//! figures come of it, or by what indexes hold.

use std::collections::BTreeMap;

use rusqlite::types::Value as Sql;
use serde::de::DeserializeOwned;

use crate::domain::page::List;
use crate::domain::query::{Key, Query};
use crate::domain::time::Timestamp;
use crate::store::Error;
use crate::store::append::OTHER_CONTENT;
use crate::store::query::Reader;
use crate::store::query::filter::{Bound, ENDED_AT, LIVE, OVER, PRICED, RENEWING, time_column};
use crate::store::query::lists::Source;
use crate::store::query::plan::{self, SCHEMA_OF_LIFETIMES, SCHEMA_OF_LIVE};
use crate::store::today::{PeriodPrice, Share};

const ALL: u64 = u64::MAX;

/// Longer stretches are not counted for repeats in them.
const STRETCH_MAX: i64 = 200_000;

/// So long ones are counted in two halves at once.
const HALVED_FROM: i64 = 10_000;

/// A condition on deliveries: of one stretch, by the values of `Arrived`.
const ARRIVED: &str = "received_at >= ?1 and received_at < ?2 and seq > ?3 and seq <= ?4";

/// A stretch of deliveries.
#[derive(Clone, Debug)]
struct Arrived {
    /// From this time on.
    from: String,
    /// Before this time.
    to: String,
    /// Behind this one.
    after: i64,
    /// Up to this one: what comes while it is counted is not in it.
    last: i64,
}

/// The deliveries behind one, where none of them was imported or arrived before it did, by a clock that was set back:
/// what became of them is told by indexes alone, and no body is read.
#[derive(Clone, Debug)]
pub(crate) struct Stretch {
    arrived: Arrived,
    /// How many of each account, tests included.
    shares: Vec<Share>,
}

impl Arrived {
    fn values(&self) -> [Sql; 4] {
        let [from, to] = [&self.from, &self.to].map(|at| Sql::from(at.clone()));
        [from, to, Sql::from(self.after), Sql::from(self.last)]
    }
}

/// Sums of billions and of what is below them stay within 64 bits for nine billion rows.
const BILLION: i128 = 1_000_000_000;

/// Rows by the day of one of their times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Days {
    /// By day; days without rows are absent.
    pub(crate) days: BTreeMap<String, u64>,
    /// Of all of them, those within the span that was asked for beside.
    pub(crate) within: u64,
}

/// Money of one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Money {
    /// Three letters.
    pub(crate) currency: String,
    /// Digits after the point.
    pub(crate) exponent: u8,
    /// Rows.
    pub(crate) count: u64,
    /// Minor units.
    pub(crate) total: i128,
}

/// Subscriptions that are alike in all that their monthly value depends on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Alike {
    /// What they are to it.
    pub(crate) bearing: Bearing,
    /// Whose.
    pub(crate) share: Share,
    /// Currency and digits, price and period; `None` where these are not known.
    pub(crate) priced: Option<(String, u8, PeriodPrice)>,
}

/// What a subscription is to the monthly value. One that moved is told of as what it is now, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bearing {
    /// It meets the query for those that renew.
    Renewing,
    /// It meets the query for those that end, and was paid for.
    Ending,
    /// It meets the query for those that end, and is on trial.
    EndingTrial,
    /// It counts now, and did not then.
    Gained,
    /// It counted then, and does not now.
    Lost,
}

impl Reader {
    /// Rows by provider and account, in that order; what was turned away has no account.
    pub(crate) fn shares(&self, list: List, query: &Query) -> Result<Vec<Share>, Error> {
        let found = plan::scan(self, list, query, |source, _| who(source), ALL)?;
        self.shares_of(&found.sql, found.bound.values())
    }

    /// Rows by the JSON array of provider and account that `sql` makes of each.
    fn shares_of(&self, sql: &str, values: &[Sql]) -> Result<Vec<Share>, Error> {
        let mut out = Vec::new();
        self.grouped(sql, values, |(provider, account), count| {
            out.push(Share {
                provider,
                account,
                count,
            });
        })?;
        Ok(out)
    }

    /// The stretch of deliveries behind `after`, if it is one and an index tells.
    pub(crate) fn stretch_after(&self, after: i64) -> Result<Option<Stretch>, Error> {
        const SINCE: &str = "select received_at from deliveries \
            where seq = ?1 and origin <> 'import'";
        const IMPORTED: &str = "select count(*) from (select 1 from deliveries \
            indexed by deliveries_imported where origin = 'import' and seq > ?1 limit 1)";
        if self.schema < SCHEMA_OF_LIFETIMES {
            return Ok(None);
        }
        let Some(from) = self.time(SINCE, &[Sql::from(after)])? else {
            return Ok(None);
        };
        let last = self.last_seq()?;
        if self.number(IMPORTED, &[Sql::from(after)])? != Some(0) {
            return Ok(None);
        }
        let arrived = Arrived {
            from: from.to_string(),
            // Greater than every time.
            to: "~".to_owned(),
            after,
            last,
        };
        let shares = self.arrived_at_once(&arrived)?;
        let found: u64 = shares.iter().map(|share| share.count).sum();
        let is_whole = found == last.saturating_sub(after).unsigned_abs();
        Ok(is_whole.then_some(Stretch { arrived, shares }))
    }

    /// Whether a stretch behind `after` is short enough to ask for it again and again, as alerts do: since a review of
    /// long ago there may be fewer repeats than webhooks.
    pub(crate) fn is_short_stretch(&self, after: i64) -> Result<bool, Error> {
        Ok(self.last_seq()?.saturating_sub(after) <= STRETCH_MAX)
    }

    /// Repeats with other content in it, tests aside.
    pub(crate) fn differing_in(&self, stretch: &Stretch) -> Result<u64, Error> {
        let sql = format!(
            "select count(*) from deliveries indexed by deliveries_odd where outcome <> 'stored' \
             and outcome = 'duplicate' and {ARRIVED} and reason = ?5 and test = 0"
        );
        let mut values = stretch.arrived.values().to_vec();
        values.push(Sql::from(OTHER_CONTENT.to_owned()));
        let found = self.number(&sql, &values)?;
        Ok(found.unwrap_or_default().unsigned_abs())
    }

    /// Deliveries of it, tests aside, by provider, account and outcome.
    pub(crate) fn outcomes_in(&self, stretch: &Stretch) -> Result<Vec<(Share, String)>, Error> {
        self.outcomes_of(&stretch.arrived, stretch.shares.clone())
    }

    /// Events that came in it and happened before `review`, tests aside, by provider and account; `None` where no index
    /// tells.
    ///
    /// Most events happen in the hour in which they come. An index holds the others; of these, only what happened in the
    /// hours between the first arrival of the stretch and `review` may be late. What is left of erased events does not
    /// tell when they came.
    pub(crate) fn late_in(
        &self,
        stretch: &Stretch,
        review: Timestamp,
    ) -> Result<Option<Vec<Share>>, Error> {
        const OTHER_HOUR: &str = "substr(r.at, 1, 13) < substr(r.received_at, 1, 13)";
        const ERASED: &str = "select count(*) from (select 1 from residue where seq > ?1 limit 1)";
        let after = Sql::from(stretch.arrived.after);
        if self.schema < SCHEMA_OF_LIVE || self.number(ERASED, &[after])? != Some(0) {
            return Ok(None);
        }
        let sql = format!(
            "select json_array(provider, account) from (\
             select r.provider, r.account from events r indexed by events_late \
             where {OTHER_HOUR} and r.id >= ?1 and r.at < ?2 and r.test = 0 \
             union all \
             select r.provider, r.account from events r indexed by events_at \
             where r.at >= ?3 and r.at < ?2 and r.id >= ?1 and not {OTHER_HOUR} and r.test = 0)"
        );
        let hour = stretch.arrived.from.get(..13).unwrap_or_default();
        let first = stretch.arrived.after.saturating_add(1);
        let per_seq = Source::Events.ids_per_seq().unwrap_or(1);
        let values = [
            Sql::from(first.saturating_mul(per_seq)),
            Sql::from(review.to_string()),
            Sql::from(hour.to_owned()),
        ];
        self.shares_of(&sql, &values).map(Some)
    }

    /// Deliveries that arrived within `span`, tests aside, by provider, account and outcome.
    pub(crate) fn outcomes_within(
        &self,
        span: (Timestamp, Timestamp),
    ) -> Result<Vec<(Share, String)>, Error> {
        let stretch = Arrived {
            from: span.0.to_string(),
            to: span.1.to_string(),
            after: 0,
            last: self.last_seq()?,
        };
        let shares = self.arrived(&stretch)?;
        self.outcomes_of(&stretch, shares)
    }

    /// How many of each account arrived in it, tests included; of a long one the earlier half is counted on a thread
    /// beside this one.
    fn arrived_at_once(&self, stretch: &Arrived) -> Result<Vec<Share>, Error> {
        const WHEN: &str = "select received_at from deliveries where seq = ?1";
        if stretch.last.saturating_sub(stretch.after) < HALVED_FROM {
            return self.arrived(stretch);
        }
        let middle = stretch.after.midpoint(stretch.last);
        let middle = self.time(WHEN, &[Sql::from(middle)])?;
        // One that was taken in after all keeps the time at which it came.
        let Some(middle) = middle.filter(|at| at.to_string() > stretch.from) else {
            return self.arrived(stretch);
        };
        let earlier = Arrived {
            to: middle.to_string(),
            ..stretch.clone()
        };
        let later = Arrived {
            from: middle.to_string(),
            ..stretch.clone()
        };
        let (later, earlier) = self.aside(|reader| reader.arrived(&later), &|reader: &Self| {
            reader.arrived(&earlier)
        });
        Ok([earlier?, later?].concat())
    }

    /// How many of each account arrived in it, tests included.
    fn arrived(&self, stretch: &Arrived) -> Result<Vec<Share>, Error> {
        let sql = format!(
            "select count(*) from deliveries indexed by deliveries_provider \
             where provider = ?5 and account = ?6 and {ARRIVED}"
        );
        let of = |(provider, account): (String, String)| {
            let mut values = stretch.values().to_vec();
            values.extend([&provider, &account].map(|word| Sql::from(word.clone())));
            Ok(Share {
                count: self
                    .number(&sql, &values)?
                    .unwrap_or_default()
                    .unsigned_abs(),
                provider,
                account,
            })
        };
        self.accounts()?.into_iter().map(of).collect()
    }

    /// What became of those of `stretch`, tests aside: all that `arrived` less what is odd. Each is counted by an index that
    /// holds all it needs.
    fn outcomes_of(
        &self,
        stretch: &Arrived,
        arrived: Vec<Share>,
    ) -> Result<Vec<(Share, String)>, Error> {
        const STORED: &str = "stored";
        let odd = format!(
            "select provider, account, outcome, count(*), sum(test) from deliveries \
             indexed by deliveries_odd where outcome <> 'stored' \
             and outcome in ('duplicate', 'quarantined') and {ARRIVED} \
             group by provider, account, outcome"
        );
        let tests = format!(
            "select provider, account, outcome, 0, count(*) from deliveries \
             indexed by deliveries_test where test = 1 and outcome = 'stored' and {ARRIVED} \
             group by provider, account, outcome"
        );
        let mut found: BTreeMap<(String, String, String), u64> = BTreeMap::new();
        for share in arrived {
            let of = (share.provider, share.account, STORED.to_owned());
            *found.entry(of).or_default() += share.count;
        }
        for sql in [odd, tests] {
            self.each(&sql, &stretch.values(), |row| {
                let (provider, account): (String, String) = (row.get(0)?, row.get(1)?);
                let outcome: String = row.get(2)?;
                let [count, tests] = [row.get::<_, i64>(3)?, row.get(4)?].map(i64::unsigned_abs);
                let less = if outcome == STORED { tests } else { count };
                let of = (provider.clone(), account.clone(), STORED.to_owned());
                let stored = found.entry(of).or_default();
                *stored = stored.saturating_sub(less);
                if outcome != STORED {
                    let odd = found.entry((provider, account, outcome)).or_default();
                    *odd += count.saturating_sub(tests);
                }
                Ok(())
            })?;
        }
        let share = |((provider, account, outcome), count)| {
            let share = Share {
                provider,
                account,
                count,
            };
            (share, outcome)
        };
        let found = found.into_iter().filter(|(_, count)| *count > 0);
        Ok(found.map(share).collect())
    }

    /// Deliveries by provider, account and outcome.
    pub(crate) fn outcomes(&self, query: &Query) -> Result<Vec<(Share, String)>, Error> {
        let parts = |source: Source, _: &mut Bound| match source {
            Source::Rejected => "json_array(r.provider, '', 'rejected')".to_owned(),
            _ => "json_array(r.provider, r.account, r.outcome)".to_owned(),
        };
        let found = plan::scan(self, List::Deliveries, query, parts, ALL)?;
        let mut out = Vec::new();
        self.grouped(
            &found.sql,
            found.bound.values(),
            |(provider, account, outcome): (String, String, String), count| {
                let share = Share {
                    provider,
                    account,
                    count,
                };
                out.push((share, outcome));
            },
        )?;
        Ok(out)
    }

    /// Rows by the day of the time that `key` filters, and how many lie within `span`.
    pub(crate) fn per_day(
        &self,
        list: List,
        query: &Query,
        key: Key,
        span: Option<(Timestamp, Timestamp)>,
    ) -> Result<Days, Error> {
        let at = |source, _: &mut Bound| time_column(source, key).unwrap_or("null").to_owned();
        let found = plan::scan(self, list, query, at, ALL)?;
        let [from, to] = span.map_or(Default::default(), |(from, to)| {
            [from, to].map(|at| at.to_string())
        });
        let (mut out, mut quarters) = (Days::default(), BTreeMap::<String, u64>::new());
        self.each(&found.sql, found.bound.values(), |row| {
            let Ok(at) = row.get_ref(0)?.as_str() else {
                return Ok(());
            };
            if from.as_str() <= at && at < to.as_str() {
                out.within += 1;
            }
            *quarters.entry(quarter(at)).or_default() += 1;
            Ok(())
        })?;
        for (quarter, count) in quarters {
            if let Some(at) = Timestamp::parse(&quarter) {
                *out.days.entry(at.day(self.zone)).or_default() += count;
            }
        }
        Ok(out)
    }

    /// Payments per currency, of those that have one. A single amount may be near the end of 64 bits, where SQLite gives
    /// up on a sum: billions and what is below them are summed apart.
    pub(crate) fn money(&self, query: &Query) -> Result<Vec<Money>, Error> {
        let found = plan::scan(self, List::Payments, query, |_, _| "r.id".to_owned(), ALL)?;
        let sql = format!(
            "select p.currency, p.exponent, count(*), coalesce(sum(p.amount_minor / {BILLION}), 0), \
             coalesce(sum(p.amount_minor % {BILLION}), 0) from ({}) f \
             cross join payments p on p.id = f.value \
             where p.currency is not null and p.exponent is not null group by 1, 2 order by 1, 2",
            found.sql
        );
        let mut out = Vec::new();
        self.each(&sql, found.bound.values(), |row| {
            let (billions, rest): (i64, i64) = (row.get(3)?, row.get(4)?);
            out.push(Money {
                currency: row.get(0)?,
                exponent: row.get(1)?,
                count: row.get::<_, i64>(2)?.unsigned_abs(),
                total: i128::from(billions) * BILLION + i128::from(rest),
            });
            Ok(())
        })?;
        Ok(out)
    }

    /// Subscriptions that meet `renewing` or `ending`, by what their monthly value depends on; and what has begun or
    /// ceased to count towards it after `then`.
    pub(crate) fn alike(
        &self,
        renewing: &Query,
        ending: &Query,
        then: Option<Timestamp>,
    ) -> Result<Vec<Alike>, Error> {
        let (standing, moved) = self.both(
            |reader| reader.standing(renewing, ending),
            |reader| then.map_or_else(|| Ok(Vec::new()), |then| reader.moved(then)),
        )?;
        Ok([standing, moved].concat())
    }

    /// All of a price and period lie side by side in the index, and are counted where they lie.
    fn standing(&self, renewing: &Query, ending: &Query) -> Result<Vec<Alike>, Error> {
        const BEARINGS: [Bearing; 3] = [Bearing::Renewing, Bearing::Ending, Bearing::EndingTrial];
        let mut bound = Bound::default();
        let renewing = plan::condition(self, renewing, &mut bound);
        let ending = plan::condition(self, ending, &mut bound);
        let of = if self.schema < SCHEMA_OF_LIVE {
            String::new()
        } else {
            format!("indexed by subscriptions_live where {LIVE}")
        };
        let sql = format!(
            "select {}, sum(iif({renewing}, 1, 0)), \
             sum(iif({ending} and r.status <> 'trialing', 1, 0)), \
             sum(iif({ending} and r.status = 'trialing', 1, 0)) \
             from subscriptions r {of} group by r.provider, r.account, r.currency, r.exponent, \
             r.price_minor, r.interval_unit, r.interval_count, r.interval_months",
            valued()
        );
        let mut out = Vec::new();
        self.each(&sql, bound.values(), |row| {
            // What somebody else wrote may be no text.
            let valued = row.get_ref(0)?.as_str().ok();
            let Some(valued) = valued.and_then(|text| serde_json::from_str::<Valued>(text).ok())
            else {
                return Ok(());
            };
            for (place, bearing) in (1..).zip(BEARINGS) {
                let count: i64 = row.get(place)?;
                if count > 0 {
                    out.push(alike_of(bearing, valued.clone(), count.unsigned_abs()));
                }
            }
            Ok(())
        })?;
        Ok(out)
    }

    /// What has begun or ceased to count after `then`, tests aside.
    fn moved(&self, then: Timestamp) -> Result<Vec<Alike>, Error> {
        let mut bound = Bound::default();
        let at = bound.add(then.to_string());
        let (gained, lost) = (gained(&at), lost(&at));
        let parts = if self.schema < SCHEMA_OF_LIVE {
            vec![
                (Bearing::Gained, format!("not indexed where {gained}")),
                (Bearing::Lost, format!("not indexed where {lost}")),
            ]
        } else {
            let begun = begun(&at);
            vec![
                (
                    Bearing::Gained,
                    format!("not indexed where r.id in ({begun}) and {gained}"),
                ),
                (
                    Bearing::Lost,
                    format!("indexed by subscriptions_live where {LIVE} and {lost}"),
                ),
                (
                    Bearing::Lost,
                    format!(
                        "indexed by subscriptions_ended where {OVER} and {ENDED_AT} > {at} \
                         and r.has_access is not 1 and {lost}"
                    ),
                ),
            ]
        };
        let found = self.of_each(&parts, &|reader: &Self, (bearing, of)| {
            let sql = format!(
                "select {} from subscriptions r {of} and r.test = 0 and {PRICED}",
                valued()
            );
            let mut out = Vec::new();
            reader.grouped(&sql, bound.values(), |valued, count| {
                out.push(alike_of(*bearing, valued, count));
            })?;
            Ok(out)
        })?;
        Ok(found.concat())
    }

    /// Changes of consent by purpose and the states before and after; no state before is empty.
    pub(crate) fn purposes(
        &self,
        query: &Query,
    ) -> Result<Vec<(String, [String; 2], Share)>, Error> {
        let parts = |_: Source, _: &mut Bound| {
            "json_array(r.purpose, ifnull(r.before_state, ''), r.after_state, r.provider, r.account)"
                .to_owned()
        };
        let found = plan::scan(self, List::Changes, query, parts, ALL)?;
        let mut out = Vec::new();
        self.grouped(
            &found.sql,
            found.bound.values(),
            |(purpose, before, after, provider, account): (
                String,
                String,
                String,
                String,
                String,
            ),
             count| {
                let share = Share {
                    provider,
                    account,
                    count,
                };
                out.push((purpose, [before, after], share));
            },
        )?;
        Ok(out)
    }

    /// Provider and reason of rejected requests, and the arrival of the first.
    pub(crate) fn refused(&self, query: &Query) -> Result<Vec<(String, String, String)>, Error> {
        let parts = |source: Source, _: &mut Bound| match source {
            Source::Rejected => "json_array(r.provider, r.reason, r.received_at)".to_owned(),
            _ => "null".to_owned(),
        };
        let found = plan::scan(self, List::Deliveries, query, parts, ALL)?;
        let mut first: BTreeMap<(String, String), String> = BTreeMap::new();
        self.grouped(
            &found.sql,
            found.bound.values(),
            |(provider, reason, at): (String, String, String), _| {
                let known = first
                    .entry((provider, reason))
                    .or_insert_with(|| at.clone());
                if at < *known {
                    *known = at;
                }
            },
        )?;
        Ok(first
            .into_iter()
            .map(|((provider, reason), at)| (provider, reason, at))
            .collect())
    }

    /// Hands over every value that is there, which is JSON, and how many rows have it. They are counted here: SQLite would
    /// keep every row to sort them.
    fn grouped<T: DeserializeOwned>(
        &self,
        sql: &str,
        values: &[Sql],
        mut take: impl FnMut(T, u64),
    ) -> Result<(), Error> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        self.each(sql, values, |row| {
            if let Ok(value) = row.get_ref(0)?.as_str() {
                match counts.get_mut(value) {
                    Some(count) => *count += 1,
                    None => {
                        counts.insert(value.to_owned(), 1);
                    }
                }
            }
            Ok(())
        })?;
        for (value, count) in counts {
            if let Ok(value) = serde_json::from_str(&value) {
                take(value, count);
            }
        }
        Ok(())
    }
}

/// Provider, account and price.
type Valued = (String, String, Option<Priced>);

/// Currency, digits, price, unit, count, months.
type Priced = (String, u8, i64, Option<String>, Option<i64>, f64);

/// A subscription's `Valued`, as JSON.
fn valued() -> String {
    format!(
        "json_array(r.provider, r.account, iif({PRICED}, json_array(r.currency, r.exponent, \
         r.price_minor, r.interval_unit, r.interval_count, r.interval_months), null))"
    )
}

fn alike_of(bearing: Bearing, (provider, account, priced): Valued, count: u64) -> Alike {
    let priced = priced.map(|(currency, exponent, price_minor, unit, periods, months)| {
        let price = PeriodPrice {
            price_minor,
            unit,
            count: periods,
            months,
            subscriptions: i64::try_from(count).unwrap_or(i64::MAX),
        };
        (currency, exponent, price)
    });
    Alike {
        bearing,
        share: Share {
            provider,
            account,
            count,
        },
        priced,
    }
}

/// Subscriptions that may have begun to count after `then`.
fn begun(then: &str) -> String {
    format!(
        "select id from subscriptions indexed by subscriptions_started where started_at > {then} \
         union all select id from subscriptions indexed by subscriptions_converted \
         where converted_at is not null and converted_at > {then} \
         union all select id from {}",
        back(then)
    )
}

/// Renews now; was on trial, not there, or cancelled at `then`.
fn gained(then: &str) -> String {
    format!(
        "{RENEWING} and (coalesce(r.converted_at, r.started_at) > {then} \
         or r.id in {})",
        back(then)
    )
}

/// Does not renew now; was paid for, had access and was not cancelled at `then`.
fn lost(then: &str) -> String {
    format!(
        "not {RENEWING} and r.status not in ('pending', 'trialing') \
         and coalesce(r.converted_at, r.started_at) <= {then} \
         and (r.cancelled_at > {then} or (r.cancelled_at is null and r.auto_renew is not 0)) \
         and case when r.status in ('expired', 'revoked') \
           then {ENDED_AT} > {then} \
           when r.status in ('on_hold', 'paused') then r.changed_at > {then} else 1 end \
         and r.id not in {} \
         and (r.converted_at is not null or not exists (\
           select 1 from events e where e.provider = r.provider and e.account = r.account \
           and e.subscription_id = r.subscription_id \
           and e.type = 'subscription.trial_started'))",
        back(then)
    )
}

/// Subscriptions that were cancelled at `then` and are not any more.
fn back(then: &str) -> String {
    format!(
        "(select s.id from cancellations x cross join subscriptions s on s.provider = x.provider \
         and s.account = x.account and s.subscription_id = x.subscription_id \
         where x.cancelled_at <= {then} and x.reactivated_at > {then})"
    )
}

/// The quarter of an hour that `at` lies in, at one of which every zone's days begin: few enough to be turned into days.
fn quarter(at: &str) -> String {
    let (hour, rest) = at.split_at_checked(14).unwrap_or((at, ""));
    let minutes: u8 = rest
        .get(..2)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    format!("{hour}{:02}:00Z", minutes / 15 * 15)
}

fn who(source: Source) -> String {
    match source {
        Source::Rejected => "json_array(r.provider, '')".to_owned(),
        _ => "json_array(r.provider, r.account)".to_owned(),
    }
}
