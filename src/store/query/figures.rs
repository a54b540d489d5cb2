//! What Today asks of lists beside counts: sums, days, distinct values. Each in one pass over the rows, however many
//! figures come of it.

use std::collections::BTreeMap;

use rusqlite::types::Value as Sql;
use serde::de::DeserializeOwned;

use crate::domain::page::List;
use crate::domain::query::{Key, Query};
use crate::domain::time::{MINUTE_MS, Timestamp};
use crate::store::Error;
use crate::store::query::Reader;
use crate::store::query::filter::{Bound, ENDED_AT, PRICED, RENEWING, time_column};
use crate::store::query::lists::Source;
use crate::store::query::plan::{self, Statement};
use crate::store::today::{PeriodPrice, Share};

const ALL: u64 = u64::MAX;

/// Sums of billions and of what is below them stay within 64 bits for nine billion rows.
const BILLION: i128 = 1_000_000_000;

/// Every zone's days begin at a quarter of an hour: few enough to be turned into days here.
const QUARTER_MS: i64 = 15 * MINUTE_MS;

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

/// What a monthly value gained and lost.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Moved {
    /// What counts now and did not then.
    pub(crate) gained: Vec<(String, u8, PeriodPrice)>,
    /// What counted then and does not now.
    pub(crate) lost: Vec<(String, u8, PeriodPrice)>,
}

/// Subscriptions that are alike in all that their monthly value depends on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Alike {
    /// Whose.
    pub(crate) share: Share,
    /// Currency and digits, price and period; `None` where these are not known.
    pub(crate) priced: Option<(String, u8, PeriodPrice)>,
    /// On trial.
    pub(crate) is_trial: bool,
}

impl Reader {
    /// Rows by provider and account, in that order; what was turned away has no account.
    pub(crate) fn shares(&self, list: List, query: &Query) -> Result<Vec<Share>, Error> {
        let found = plan::scan(self, list, query, |source, _| who(source), ALL)?;
        let mut out = Vec::new();
        self.grouped(&found, |(provider, account), count| {
            out.push(Share {
                provider,
                account,
                count,
            });
        })?;
        Ok(out)
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
            &found,
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

    /// Deliveries that were kept, read and no test, by provider and account: what arrived within `span` less what is
    /// odd. Each of the three is counted by an index that holds all it needs, so that no delivery is looked at.
    pub(crate) fn kept_within(&self, span: (Timestamp, Timestamp)) -> Result<Vec<Share>, Error> {
        const ARRIVED: &str = "select count(*) from deliveries indexed by deliveries_provider \
            where provider = ?1 and account = ?2 and received_at >= ?3 and received_at < ?4";
        const ODD: &str = "select provider, account, count(*) from deliveries \
            indexed by deliveries_odd where outcome <> 'stored' \
            and outcome in ('duplicate', 'quarantined') \
            and received_at >= ?1 and received_at < ?2 group by provider, account";
        const TESTS: &str = "select provider, account, count(*) from deliveries \
            indexed by deliveries_test where test = 1 and outcome = 'stored' \
            and received_at >= ?1 and received_at < ?2 group by provider, account";
        let [from, to] = [span.0, span.1].map(|at| Sql::from(at.to_string()));
        let mut out = Vec::new();
        for (provider, account) in self.accounts()? {
            let who = [provider.clone(), account.clone()].map(Sql::from);
            let [of, at] = who;
            let arrived = self.number(ARRIVED, &[of, at, from.clone(), to.clone()])?;
            out.push(Share {
                provider,
                account,
                count: arrived.unwrap_or_default().unsigned_abs(),
            });
        }
        for sql in [ODD, TESTS] {
            self.each(sql, &[from.clone(), to.clone()], |row| {
                let (provider, account): (String, String) = (row.get(0)?, row.get(1)?);
                let odd = row.get::<_, i64>(2)?.unsigned_abs();
                let found = out
                    .iter_mut()
                    .find(|share| share.provider == provider && share.account == account);
                if let Some(share) = found {
                    share.count = share.count.saturating_sub(odd);
                }
                Ok(())
            })?;
        }
        out.retain(|share| share.count > 0);
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
        let found = plan::scan(
            self,
            list,
            query,
            |source, bound| {
                let at = time_column(source, key).unwrap_or("null");
                let within = span.map_or_else(
                    || "0".to_owned(),
                    |(from, to)| {
                        let [from, to] = [from, to].map(|at| bound.add(at.to_string()));
                        format!("({at} >= {from} and {at} < {to})")
                    },
                );
                format!("substr({at}, 1, 14) || (substr({at}, 15, 2) / 15) || {within}")
            },
            ALL,
        )?;
        let mut out = Days::default();
        let sql = counted(&found);
        self.each(&sql, found.bound.values(), |row| {
            let text: Option<String> = row.get(0)?;
            let count = row.get::<_, i64>(1)?.unsigned_abs();
            let Some((hour, rest)) = text.as_deref().and_then(|text| text.split_at_checked(14))
            else {
                return Ok(());
            };
            let quarter = rest
                .bytes()
                .next()
                .map_or(0, |c| i64::from(c.wrapping_sub(b'0')));
            if let Some(at) = Timestamp::parse(&format!("{hour}00:00Z")) {
                let day = at.plus_ms(quarter * QUARTER_MS).day(self.zone);
                *out.days.entry(day).or_default() += count;
            }
            if rest.ends_with('1') && rest.len() > 1 {
                out.within += count;
            }
            Ok(())
        })?;
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

    /// Subscriptions by what their monthly value depends on.
    pub(crate) fn alike(&self, query: &Query) -> Result<Vec<Alike>, Error> {
        let parts = |_: Source, _: &mut Bound| {
            format!(
                "json_array(r.provider, r.account, r.status = 'trialing', iif({PRICED}, \
                 json_array(r.currency, r.exponent, r.price_minor, r.interval_unit, \
                 r.interval_count, r.interval_months), null))"
            )
        };
        let found = plan::scan(self, List::Subscriptions, query, parts, ALL)?;
        let mut out = Vec::new();
        self.grouped(
            &found,
            |(provider, account, trial, priced): (String, String, i64, Option<Priced>), count| {
                out.push(Alike {
                    is_trial: trial == 1,
                    priced: priced.map(|priced| priced_of(priced, count)),
                    share: Share {
                        provider,
                        account,
                        count,
                    },
                });
            },
        )?;
        Ok(out)
    }

    /// What began to count towards the monthly value after `at`, and what ceased to, at the prices of now.
    pub(crate) fn moved(&self, at: Timestamp) -> Result<Moved, Error> {
        let mut moved = Moved::default();
        let values = [Sql::from(at.to_string())];
        for (condition, to) in [(gained(), &mut moved.gained), (lost(), &mut moved.lost)] {
            let sql = format!(
                "select r.currency, r.exponent, r.price_minor, r.interval_unit, r.interval_count, \
                 r.interval_months, count(*) from subscriptions r not indexed \
                 where r.test = 0 and {PRICED} and {condition} group by 1, 2, 3, 4, 5, 6"
            );
            self.each(&sql, &values, |row| {
                let priced = (
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                    row.get(5)?,
                );
                to.push(priced_of(priced, row.get::<_, i64>(6)?.unsigned_abs()));
                Ok(())
            })?;
        }
        Ok(moved)
    }

    /// Changes of consent by purpose and the state they led to.
    pub(crate) fn purposes(&self, query: &Query) -> Result<Vec<(String, String, Share)>, Error> {
        let parts = |_: Source, _: &mut Bound| {
            "json_array(r.purpose, r.after_state, r.provider, r.account)".to_owned()
        };
        let found = plan::scan(self, List::Changes, query, parts, ALL)?;
        let mut out = Vec::new();
        self.grouped(
            &found,
            |(purpose, state, provider, account): (String, String, String, String), count| {
                let share = Share {
                    provider,
                    account,
                    count,
                };
                out.push((purpose, state, share));
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
            &found,
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

    /// Hands over every value that is there, which is JSON, and how many rows have it.
    fn grouped<T: DeserializeOwned>(
        &self,
        found: &Statement,
        mut take: impl FnMut(T, u64),
    ) -> Result<(), Error> {
        let sql = counted(found);
        self.each(&sql, found.bound.values(), |row| {
            let text: Option<String> = row.get(0)?;
            if let Some(value) = text.and_then(|text| serde_json::from_str(&text).ok()) {
                take(value, row.get::<_, i64>(1)?.unsigned_abs());
            }
            Ok(())
        })
    }
}

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

/// Renews now; was on trial, not there, or cancelled at `?1`.
fn gained() -> String {
    format!(
        "{RENEWING} and (coalesce(r.converted_at, r.started_at) > ?1 \
         or (r.provider, r.account, r.subscription_id) in (\
           select x.provider, x.account, x.subscription_id from cancellations x \
           where x.cancelled_at <= ?1 and x.reactivated_at > ?1))"
    )
}

/// Does not renew now; was paid for, had access and was not cancelled at `?1`.
fn lost() -> String {
    format!(
        "not {RENEWING} and r.status not in ('pending', 'trialing') \
         and coalesce(r.converted_at, r.started_at) <= ?1 \
         and (r.cancelled_at > ?1 or (r.cancelled_at is null and r.auto_renew is not 0)) \
         and case when r.status in ('expired', 'revoked') then {ENDED_AT} > ?1 \
           when r.status in ('on_hold', 'paused') then r.changed_at > ?1 else 1 end \
         and (r.provider, r.account, r.subscription_id) not in (\
           select x.provider, x.account, x.subscription_id from cancellations x \
           where x.cancelled_at <= ?1 and x.reactivated_at > ?1) \
         and (r.converted_at is not null or not exists (\
           select 1 from events e where e.provider = r.provider and e.account = r.account \
           and e.subscription_id = r.subscription_id \
           and e.type = 'subscription.trial_started'))"
    )
}

fn who(source: Source) -> String {
    match source {
        Source::Rejected => "json_array(r.provider, '')".to_owned(),
        _ => "json_array(r.provider, r.account)".to_owned(),
    }
}

/// Every value of `found`, and how many rows have it.
fn counted(found: &Statement) -> String {
    format!(
        "select value, count(*) from ({}) group by value order by value",
        found.sql
    )
}
