//! The values that a list could be narrowed to, with counts, and counts from the roll-ups.

use std::collections::BTreeMap;

use rusqlite::types::Value as Sql;

use crate::domain::page::{Choice, Count, List};
use crate::domain::query::{Expr, Is, Key, Query, Span, Term, Test};
use crate::store::Error;
use crate::store::query::filter::Bound;
use crate::store::query::lists::Source;
use crate::store::query::{Reader, plan};

/// The keys that `choices` knows.
pub const CHOICE_KEYS: [&str; 4] = ["provider", "account", "type", "day"];

/// So many rows are counted, in no order; beyond, counts say that there are more.
const ROWS_MAX: u64 = 50_000;

impl Reader {
    /// The values of `key` (`provider`, `account`, `type`, `day`) among the rows of `list` that meet `query`, the
    /// query's own choice of that key aside, most frequent first (days: newest first). Empty for a key that the
    /// list has not. Counts from the roll-ups are about right (they leave tests out); others are exact or, where
    /// counting stopped early, at least that many.
    pub fn choices(&self, list: List, query: &Query, key: &str) -> Result<Vec<Choice>, Error> {
        let Some(&key) = CHOICE_KEYS.iter().find(|known| **known == key) else {
            return Ok(Vec::new());
        };
        let own: &[Key] = match key {
            "provider" => &[Key::Provider],
            "account" => &[Key::Account],
            "type" => &[Key::Type],
            _ => &[Key::At, Key::Day],
        };
        let query = query.without(own);
        let mut out = Vec::new();
        let columns: Vec<&str> = match (key, list) {
            ("type", List::Events) => vec!["type", "provider_type"],
            ("type", List::Deliveries) => vec!["provider_type"],
            ("type", _) => return Ok(out),
            (key, _) => vec![key],
        };
        for column in columns {
            let rolled = match column {
                "provider_type" => None,
                column => self.rolled_choices(list, &query, column)?,
            };
            let counts = match rolled {
                Some(counts) => counts,
                None => self.scanned_choices(list, &query, column)?,
            };
            for (value, count) in counts {
                if !out.iter().any(|known: &Choice| known.value == value) {
                    out.push(Choice { key, value, count });
                }
            }
        }
        out.sort_by(|a, b| match key {
            "day" => b.value.cmp(&a.value),
            _ => (b.count.number(), &a.value).cmp(&(a.count.number(), &b.value)),
        });
        Ok(out)
    }

    fn scanned_choices(
        &self,
        list: List,
        query: &Query,
        column: &str,
    ) -> Result<Vec<(String, Count)>, Error> {
        let expr = |source: Source| match (column, source) {
            ("account" | "provider_type", Source::Rejected) => "null".to_owned(),
            (
                "day",
                Source::Events | Source::Cancellations | Source::Changes | Source::Payments,
            ) => "r.day".to_owned(),
            ("day", _) => format!("local_day({})", source.sort()),
            _ => format!("r.{column}"),
        };
        let statement = plan::scan(self, list, query, |source, _| expr(source), ROWS_MAX + 1)?;
        let sql = format!(
            "select value, count(*) from ({}) group by value order by count(*) desc limit 1000",
            statement.sql
        );
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let mut rows = 0;
        self.each(&sql, statement.bound.values(), |row| {
            let count = row.get::<_, i64>(1)?.unsigned_abs();
            rows += count;
            if let Some(value) = row.get::<_, Option<String>>(0)?
                && !value.is_empty()
            {
                counts.insert(value, count);
            }
            Ok(())
        })?;
        let cut = rows > ROWS_MAX;
        Ok(counts
            .into_iter()
            .map(|(value, count)| {
                let count = if cut {
                    Count::MoreThan(count.saturating_sub(1))
                } else {
                    Count::Exact(count)
                };
                (value, count)
            })
            .collect())
    }

    fn rolled_choices(
        &self,
        list: List,
        query: &Query,
        column: &str,
    ) -> Result<Option<Vec<(String, Count)>>, Error> {
        let mut bound = Bound::default();
        let Some(condition) = self.on_daily(list, query, &mut bound) else {
            return Ok(None);
        };
        let sql =
            format!("select {column}, sum(events) from daily where {condition} group by {column}");
        let mut out = Vec::new();
        self.each(&sql, bound.values(), |row| {
            out.push((
                row.get(0)?,
                Count::About(row.get::<_, i64>(1)?.unsigned_abs()),
            ));
            Ok(())
        })?;
        Ok(Some(out))
    }

    /// The number of events that meet `query` by the roll-ups; `None` where they cannot tell.
    pub(super) fn rolled_up(&self, list: List, query: &Query) -> Result<Option<i64>, Error> {
        let mut bound = Bound::default();
        match self.on_daily(list, query, &mut bound) {
            None => Ok(None),
            Some(condition) => self.number(
                &format!("select coalesce(sum(events), 0) from daily where {condition}"),
                bound.values(),
            ),
        }
    }

    /// `query` on `daily`, if it asks of nothing but provider, account, type and whole days.
    fn on_daily(&self, list: List, query: &Query, bound: &mut Bound) -> Option<String> {
        if list != List::Events {
            return None;
        }
        let mut parts = vec!["1".to_owned()];
        for part in query.parts() {
            let Expr::Term(Term::Field { key, values }) = part else {
                if leaves_out_tests(part) {
                    continue;
                }
                return None;
            };
            let column = match key {
                Key::Provider => "provider",
                Key::Account => "account",
                Key::Type => "type",
                Key::At | Key::Day | Key::Since | Key::Until => "day",
                _ => return None,
            };
            let mut wanted = Vec::new();
            for value in values {
                match &value.test {
                    Test::Equal(text) => {
                        wanted.push(format!("{column} = {}", bound.add(text.clone())));
                    }
                    Test::Types {
                        types,
                        provider_types,
                    } if provider_types.is_empty() => {
                        let types = bound.list(types.iter().map(|kind| kind.as_str()));
                        wanted.push(format!("type in {types}"));
                    }
                    Test::Time(span) => wanted.push(self.whole_days(*span, bound)?),
                    _ => return None,
                }
            }
            parts.push(format!("({})", wanted.join(" or ")));
        }
        Some(parts.join(" and "))
    }

    fn whole_days(&self, span: Span, bound: &mut Bound) -> Option<String> {
        let mut parts = vec!["1".to_owned()];
        for (edge, sign) in [(span.from, ">="), (span.to, "<")] {
            if let Some(at) = edge {
                let day = at.day(self.zone);
                if self.zone.day_start(day.parse().ok()?) != at {
                    return None;
                }
                parts.push(format!("day {sign} {}", bound.add(Sql::from(day))));
            }
        }
        Some(format!("({})", parts.join(" and ")))
    }
}

/// Tests are not in the roll-ups in any case.
fn leaves_out_tests(part: &Expr) -> bool {
    let Expr::Not(inner) = part else { return false };
    let Expr::Term(Term::Field { values, .. }) = &**inner else {
        return false;
    };
    values.iter().all(|value| value.test == Test::Is(Is::Test))
}
