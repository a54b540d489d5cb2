//! What Today asks of lists beside counts: sums, days, distinct values.

use std::collections::BTreeMap;

use rusqlite::types::Value as Sql;

use crate::domain::page::List;
use crate::domain::query::{Key, Query};
use crate::domain::time::Timestamp;
use crate::store::Error;
use crate::store::query::Reader;
use crate::store::query::filter::time_column;
use crate::store::query::lists::Source;
use crate::store::query::plan::{self, Statement};
use crate::store::today::PeriodPrice;

const ALL: u64 = u64::MAX;

/// Sums of billions and of what is below them stay within 64 bits for nine billion rows.
const BILLION: i128 = 1_000_000_000;

impl Reader {
    /// Rows by the day of the time that `key` filters.
    pub(crate) fn per_day(
        &self,
        list: List,
        query: &Query,
        key: Key,
    ) -> Result<BTreeMap<String, u64>, Error> {
        // Every zone's days begin at a quarter of an hour: few enough to be turned into days here.
        let quarter = |source| {
            let at = time_column(source, key).unwrap_or("null");
            format!("substr({at}, 1, 14) || printf('%02d', substr({at}, 15, 2) / 15 * 15)")
        };
        let found = plan::scan(self, list, query, quarter, ALL)?;
        let mut out = BTreeMap::new();
        self.grouped(&found, |quarter, count| {
            if let Sql::Text(quarter) = quarter
                && let Some(at) = Timestamp::parse(&format!("{quarter}:00Z"))
            {
                *out.entry(at.day(self.zone)).or_default() += count.unsigned_abs();
            }
        })?;
        Ok(out)
    }

    /// The currencies of the rows that have one, with their digits.
    pub(crate) fn currencies(&self, list: List, query: &Query) -> Result<Vec<(String, u8)>, Error> {
        let pair = |_: Source| "r.currency || ' ' || r.exponent".to_owned();
        let found = plan::scan(self, list, query, pair, ALL)?;
        let mut out: BTreeMap<String, u8> = BTreeMap::new();
        self.grouped(&found, |pair, _| {
            if let Sql::Text(pair) = pair
                && let Some((currency, exponent)) = pair.split_once(' ')
                && let Ok(exponent) = exponent.parse()
            {
                out.insert(currency.to_owned(), exponent);
            }
        })?;
        Ok(out.into_iter().collect())
    }

    /// The sum of the amounts, in minor units. A single one may be near the end of 64 bits, where SQLite gives up on a
    /// sum: billions and what is below them are summed apart.
    pub(crate) fn total(&self, list: List, query: &Query) -> Result<i128, Error> {
        let found = plan::scan(self, list, query, |_| "r.amount_minor".to_owned(), ALL)?;
        let sql = format!(
            "select coalesce(sum(value / {BILLION}), 0), coalesce(sum(value % {BILLION}), 0) from ({})",
            found.sql
        );
        let mut total = 0;
        self.each(&sql, found.bound.values(), |row| {
            let (billions, rest): (i64, i64) = (row.get(0)?, row.get(1)?);
            total = i128::from(billions) * BILLION + i128::from(rest);
            Ok(())
        })?;
        Ok(total)
    }

    /// Prices and periods of subscriptions, each with how many have it.
    pub(crate) fn periods(&self, query: &Query) -> Result<Vec<PeriodPrice>, Error> {
        let parts = |_: Source| {
            "json_array(r.price_minor, r.interval_unit, r.interval_count, r.interval_months)"
                .to_owned()
        };
        let found = plan::scan(self, List::Subscriptions, query, parts, ALL)?;
        let mut out = Vec::new();
        self.grouped(&found, |parts, subscriptions| {
            if let Sql::Text(parts) = parts
                && let Ok((price_minor, unit, count, months)) = serde_json::from_str(&parts)
            {
                out.push(PeriodPrice {
                    price_minor,
                    unit,
                    count,
                    months,
                    subscriptions,
                });
            }
        })?;
        Ok(out)
    }

    /// The purposes of changes of consent.
    pub(crate) fn purposes(&self, query: &Query) -> Result<Vec<String>, Error> {
        let found = plan::scan(self, List::Changes, query, |_| "r.purpose".to_owned(), ALL)?;
        let mut out = Vec::new();
        self.grouped(&found, |purpose, _| {
            if let Sql::Text(purpose) = purpose {
                out.push(purpose);
            }
        })?;
        Ok(out)
    }

    /// Provider, reason and count of rejected requests, and the arrival of the first.
    pub(crate) fn refused(&self, query: &Query) -> Result<Vec<(String, String, String)>, Error> {
        let parts = |source| match source {
            Source::Rejected => "json_array(r.provider, r.reason, r.received_at)".to_owned(),
            _ => "null".to_owned(),
        };
        let found = plan::scan(self, List::Deliveries, query, parts, ALL)?;
        let mut first: BTreeMap<(String, String), String> = BTreeMap::new();
        self.grouped(&found, |parts, _| {
            if let Sql::Text(parts) = parts
                && let Ok((provider, reason, at)) =
                    serde_json::from_str::<(String, String, String)>(&parts)
            {
                let known = first
                    .entry((provider, reason))
                    .or_insert_with(|| at.clone());
                if at < *known {
                    *known = at;
                }
            }
        })?;
        Ok(first
            .into_iter()
            .map(|((provider, reason), at)| (provider, reason, at))
            .collect())
    }

    fn grouped(&self, found: &Statement, mut take: impl FnMut(Sql, i64)) -> Result<(), Error> {
        let sql = format!(
            "select value, count(*) from ({}) group by value order by value",
            found.sql
        );
        self.each(&sql, found.bound.values(), |row| {
            take(row.get(0)?, row.get(1)?);
            Ok(())
        })
    }
}
