//! The values that a ledger holds, found without reading all of it.

use std::collections::BTreeSet;

use rusqlite::types::Value as Sql;

use crate::domain::event::EventType;
use crate::domain::query::Vocabulary;
use crate::store::Error;
use crate::store::query::Reader;

/// So many values of a kind are offered at most.
const VALUES_MAX: usize = 1_000;

impl Reader {
    /// What filters may be checked against and what may be offered. Providers' own names of types are those of the
    /// 100 newest and 30 oldest events of every type and account, and of the 200 newest deliveries.
    pub fn vocabulary(&self) -> Result<Vocabulary, Error> {
        let mut plans = self.plans()?;
        plans.truncate(VALUES_MAX);
        Ok(Vocabulary {
            provider_types: distinct(self.provider_types()?),
            plans,
            currencies: self.texts(
                "select distinct currency from (select currency from payments \
                 order by at desc, id desc limit 2000) where currency is not null",
            )?,
            purposes: self.texts(
                "select distinct purpose from (select purpose from consent_changes \
                 order by at desc, id desc limit 5000)",
            )?,
            ..self.senders()?
        })
    }

    /// The providers and accounts alone, by a seek each.
    pub fn senders(&self) -> Result<Vocabulary, Error> {
        let accounts = self.accounts()?;
        let mut providers: Vec<String> = accounts.iter().map(|(one, _)| one.clone()).collect();
        providers.extend(self.skip("provider", "rejected indexed by rejected_provider")?);
        providers.truncate(VALUES_MAX);
        providers.retain(|provider| !provider.is_empty());
        Ok(Vocabulary {
            providers: distinct(providers),
            accounts: distinct(accounts.into_iter().map(|(_, account)| account).collect()),
            ..Vocabulary::default()
        })
    }

    fn provider_types(&self) -> Result<Vec<String>, Error> {
        const NAMES: &str = "select distinct provider_type from ( \
            select * from (select provider_type from events indexed by events_type \
              where type = ?1 and provider = ?2 and account = ?3 order by at desc, id desc limit 100) \
            union select * from (select provider_type from events indexed by events_type \
              where type = ?1 and provider = ?2 and account = ?3 order by at, id limit 30))";
        let mut out = self.texts(
            "select distinct provider_type from (select provider_type from deliveries \
             order by seq desc limit 200) where provider_type <> ''",
        )?;
        for (provider, account) in self.accounts()? {
            for kind in EventType::ALL {
                let words = [kind.as_str(), &provider, &account];
                self.each(
                    NAMES,
                    &words.map(|word| Sql::from(word.to_owned())),
                    |row| {
                        out.push(row.get(0)?);
                        Ok(())
                    },
                )?;
            }
        }
        Ok(out)
    }

    /// Every plan of a subscription or a payment, in order.
    pub(super) fn plans(&self) -> Result<Vec<String>, Error> {
        let mut plans = self.skip("plan", "subscriptions indexed by subscriptions_plan")?;
        // A ledger of an older schema has no index of these.
        plans.extend(self.skip("plan", "payments")?);
        Ok(distinct(plans))
    }

    /// The distinct values of the first column of an index: one seek each.
    fn skip(&self, column: &str, from: &str) -> Result<Vec<String>, Error> {
        let sql = format!(
            "with recursive v(value) as ( \
               select * from (select {column} from {from} where {column} >= '' \
                 order by {column} limit 1) \
               union all \
               select (select {column} from {from} where {column} > v.value \
                 order by {column} limit 1) from v where v.value is not null) \
             select value from v where value is not null"
        );
        self.texts(&sql)
    }

    fn texts(&self, sql: &str) -> Result<Vec<String>, Error> {
        let mut out = Vec::new();
        self.each(sql, &[], |row| {
            out.push(row.get(0)?);
            Ok(())
        })?;
        Ok(out)
    }
}

/// Each once, in order.
fn distinct(values: Vec<String>) -> Vec<String> {
    values
        .into_iter()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}
