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
use crate::store::query::filter::{Bound, ENDED_AT, PRICED, RENEWING, time_column};
use crate::store::query::lists::Source;
use crate::store::query::plan::{self, SCHEMA_OF_LIFETIMES};
use crate::store::today::{PeriodPrice, Share};

const ALL: u64 = u64::MAX;

/// Longer stretches are not counted for repeats in them.
const STRETCH_MAX: i64 = 200_000;

/// A condition on deliveries: of one stretch, by the values of `Arrived`.
const ARRIVED: &str = "received_at >= ?1 and received_at < ?2 and seq > ?3 and seq <= ?4";

/// A stretch of deliveries.
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
    /// Whose.
    pub(crate) share: Share,
    /// Currency and digits, price and period; `None` where these are not known.
    pub(crate) priced: Option<(String, u8, PeriodPrice)>,
    /// Which of `Bearing` they have.
    bearings: [u8; Bearing::COUNT],
}

impl Alike {
    /// Whether they have it.
    pub(crate) fn is(&self, bearing: Bearing) -> bool {
        self.bearings[bearing as usize] == 1
    }
}

/// What a subscription may be to the monthly value, several at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bearing {
    /// On trial.
    Trial,
    /// It meets the query for those that renew.
    Renewing,
    /// It meets the query for those that end.
    Ending,
    /// It counts now, and did not then.
    Gained,
    /// It counted then, and does not now.
    Lost,
}

impl Bearing {
    /// How many there are.
    const COUNT: usize = 5;
}

impl Reader {
    /// Rows by provider and account, in that order; what was turned away has no account.
    pub(crate) fn shares(&self, list: List, query: &Query) -> Result<Vec<Share>, Error> {
        let found = plan::scan(self, list, query, |source, _| who(source), ALL)?;
        let mut out = Vec::new();
        self.grouped(
            &found.sql,
            found.bound.values(),
            |(provider, account), count| {
                out.push(Share {
                    provider,
                    account,
                    count,
                });
            },
        )?;
        Ok(out)
    }

    /// The stretch of deliveries behind `after`, where none of them was imported or arrived before `after` did, by a clock
    /// that was set back: such a stretch is counted by indexes alone, and no body is read.
    fn stretch_after(&self, after: i64) -> Result<Option<(Arrived, Vec<Share>)>, Error> {
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
        let stretch = Arrived {
            from: from.to_string(),
            // Greater than every time.
            to: "~".to_owned(),
            after,
            last,
        };
        let shares = self.arrived(&stretch)?;
        let found: u64 = shares.iter().map(|share| share.count).sum();
        let is_whole = found == last.saturating_sub(after).unsigned_abs();
        Ok(is_whole.then_some((stretch, shares)))
    }

    /// Repeats with other content behind `after`, imports and tests aside, as far as indexes tell.
    pub(crate) fn differing_after(&self, after: i64) -> Result<Option<u64>, Error> {
        let sql = format!(
            "select count(*) from deliveries indexed by deliveries_odd where outcome <> 'stored' \
             and outcome = 'duplicate' and {ARRIVED} and reason = ?5 and test = 0"
        );
        // Alerts ask again and again: since a review of long ago there may be fewer repeats than webhooks.
        if self.last_seq()?.saturating_sub(after) > STRETCH_MAX {
            return Ok(None);
        }
        let Some((stretch, _)) = self.stretch_after(after)? else {
            return Ok(None);
        };
        let mut values = stretch.values().to_vec();
        values.push(Sql::from(OTHER_CONTENT.to_owned()));
        Ok(self.number(&sql, &values)?.map(i64::unsigned_abs))
    }

    /// Deliveries behind `after`, imports and tests aside, by provider, account and outcome, as far as indexes tell.
    pub(crate) fn outcomes_after(&self, after: i64) -> Result<Option<Vec<(Share, String)>>, Error> {
        let stretch = self.stretch_after(after)?;
        stretch
            .map(|(stretch, shares)| self.outcomes_of(&stretch, shares))
            .transpose()
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
            found.insert(of, share.count);
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

    /// Subscriptions that meet `renewing` or `ending`, or ceased to count towards the monthly value after `then`, by what
    /// that depends on: however many figures come of them, they are looked at once.
    pub(crate) fn alike(
        &self,
        renewing: &Query,
        ending: &Query,
        then: Option<Timestamp>,
    ) -> Result<Vec<Alike>, Error> {
        let mut bound = Bound::default();
        let renewing = plan::condition(self, renewing, &mut bound);
        let ending = plan::condition(self, ending, &mut bound);
        let [gained_since, lost_since] = match then {
            Some(then) => {
                let then = bound.add(then.to_string());
                [gained(&then), lost(&then)]
            }
            None => ["0", "0"].map(str::to_owned),
        };
        let counting = format!("r.test = 0 and {PRICED}");
        // In the order of `Bearing`. What stands in a condition is looked at only as far as it takes.
        let bearings: [String; Bearing::COUNT] = [
            "r.status = 'trialing'".to_owned(),
            renewing,
            ending,
            format!("{counting} and {gained_since}"),
            format!("{counting} and {lost_since}"),
        ]
        .map(|condition| format!("iif({condition}, 1, 0)"));
        let [trial, renewing, ending, gained, lost] = bearings;
        let found = self.in_halves("subscriptions", |reader, half| {
            // The limit has each condition looked at once for each row.
            let sql = format!(
                "select json_array(provider, account, \
                 json_array(trial, renewing, ending, gained, lost), iif(priced, \
                 json_array(currency, exponent, price_minor, interval_unit, interval_count, \
                 interval_months), null)) from (\
                 select r.provider, r.account, {trial} as trial, {renewing} as renewing, \
                 {ending} as ending, {gained} as gained, {lost} as lost, {PRICED} as priced, \
                 r.currency, r.exponent, r.price_minor, r.interval_unit, r.interval_count, \
                 r.interval_months from subscriptions r not indexed where {half} limit -1) \
                 where renewing or ending or lost"
            );
            let mut out = Vec::new();
            let take = |(provider, account, bearings, priced): Valued, count| {
                out.push(Alike {
                    share: Share {
                        provider,
                        account,
                        count,
                    },
                    priced: priced.map(|priced| priced_of(priced, count)),
                    bearings,
                });
            };
            reader.grouped(&sql, bound.values(), take)?;
            Ok(out)
        })?;
        Ok(found.into_iter().flatten().collect())
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

/// Provider, account, bearings and price.
type Valued = (String, String, [u8; Bearing::COUNT], Option<Priced>);

/// Currency, digits, price, unit, count, months.
type Priced = (String, u8, i64, Option<String>, Option<i64>, f64);

fn priced_of(priced: Priced, subscriptions: u64) -> (String, u8, PeriodPrice) {
    let (currency, exponent, price_minor, unit, count, months) = priced;
    let price = PeriodPrice {
        price_minor,
        unit,
        count,
        months,
        subscriptions: i64::try_from(subscriptions).unwrap_or(i64::MAX),
    };
    (currency, exponent, price)
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
           then r.id in (select r.id from subscriptions r where {ENDED_AT} > {then}) \
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
