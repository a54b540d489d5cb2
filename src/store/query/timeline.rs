//! What led to a row: the events of its subscription, payment or consent, and everything that a reader did.
//!
//! Each is read from the index of one entity, so that it costs the same in a ledger of any size.

use std::collections::BTreeMap;

use rusqlite::types::Value as Sql;

use crate::domain::delivery::words;
use crate::domain::event::ConsentKind;
use crate::domain::page::{Count, List, Row, RowKey};
use crate::store::Error;
use crate::store::project::standing::{self, Around, Consent};
use crate::store::query::detail::text_of;
use crate::store::query::lists::{columns, projection};
use crate::store::query::{Reader, cells};
use crate::store::today::{PeriodPrice, monthly};

words! {
    /// What a timeline can be narrowed to.
    #[derive(Default)]
    Kinds {
        /// Everything.
        #[default]
        All = "all",
        /// Subscriptions.
        Subscriptions = "subscriptions",
        /// Payments, refunds, purchases.
        Payments = "payments",
        /// Consents, agreements, experiments, identity checks and evidence.
        Consents = "consents",
        /// Registration, sign-ins, changes of a reader's data.
        Account = "account",
        /// Paywalls, meters, quizzes, and what is not known.
        Other = "other",
    }
}

impl Kinds {
    /// The next one, the first after the last.
    #[must_use]
    pub fn next(self) -> Self {
        let place = Self::ALL.iter().position(|kinds| *kinds == self);
        Self::ALL[(place.unwrap_or(0) + 1) % Self::ALL.len()]
    }

    /// The families of types that it means; none: all.
    pub const fn families(self) -> &'static [&'static str] {
        match self {
            Self::All => &[],
            Self::Subscriptions => &["subscription"],
            Self::Payments => &["payment", "purchase"],
            Self::Consents => &[
                "consent",
                "agreement",
                "experiment",
                "identity",
                "consent_evidence",
            ],
            Self::Account => &["user"],
            Self::Other => &["checkout", "engagement", "unknown"],
        }
    }

    /// A condition on `type`, of fixed words only.
    fn condition(self) -> String {
        let family = |family: &&str| format!("type >= '{family}' and type < '{family}/'");
        let families: Vec<String> = self.families().iter().map(family).collect();
        if families.is_empty() {
            "1".to_owned()
        } else {
            format!("({})", families.join(" or "))
        }
    }
}

/// Events, newest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// Whose they are: `subscription sub_1`.
    pub of: String,
    /// Rows of `List::Events`.
    pub events: Vec<Row>,
    /// There are older ones.
    pub more: bool,
}

/// What a reader paid and pays in one currency; tests left out unless the reader is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Money {
    /// Three letters.
    pub currency: String,
    /// Digits after the point.
    pub exponent: u8,
    /// Minor units that came in.
    pub paid_minor: i128,
    /// How many payments.
    pub payments: u64,
    /// Minor units that went back, not negative.
    pub refunded_minor: i128,
    /// How many refunds.
    pub refunds: u64,
    /// Minor units a month of what renews and has a price, as Today counts them.
    pub monthly_minor: i128,
}

/// By the id; of the reader what names none; cancels that named another and were found to belong; the row's own first.
/// A partial index is used only where its own condition is repeated.
const OF_SUBSCRIPTION: &str = "\
select at, id from events indexed by events_subscription
where provider = ?1 and account = ?2 and subscription_id = ?3
union
select at, id from events indexed by events_folded
where provider = ?1 and account = ?2 and user_id = ?4 and subscription_id is null
  and (substr(type, 1, 4) in ('subs', 'cons', 'agre', 'expe', 'iden') or type = 'payment.refunded')
  and (substr(type, 1, 4) = 'subs' or type = 'payment.refunded')
union
select e.at, e.id from cancellations c indexed by cancellations_subscription
cross join events e on e.id = c.id
where c.provider = ?1 and c.account = ?2 and c.subscription_id = ?3
union
select at, id from events where id = ?6
order by at desc, id desc limit ?5";

const OF_PAYMENT: &str = "\
select at, id from events where id = ?5
union
select e.at, e.id from payments p indexed by payments_transaction cross join events e on e.id = p.id
where p.provider = ?1 and p.account = ?2 and p.transaction_id = ?3
  and (p.user_id = ?6 or p.user_id is null or ?6 is null)
order by 1 desc, 2 desc limit ?4";

const OF_IDS: &str = "\
select e.at, e.id from json_each(?1) j cross join events e on e.id = j.value
order by e.at desc, e.id desc limit ?2";

const PAID: &str = "\
select p.currency, p.exponent, p.amount_minor, p.kind
from payments p indexed by payments_users cross join users u on u.id = p.users_id
where p.users_id = ?1 and p.test <= u.test and p.amount_minor is not null and p.currency is not null
  and p.exponent between 0 and 8";

/// Renewing and priced, as the filter means them.
const PAYS: &str = "\
select r.currency, r.exponent, r.price_minor, r.interval_unit, r.interval_count, r.interval_months
from subscriptions r indexed by subscriptions_users cross join users u on u.id = r.users_id
where r.users_id = ?1 and r.test <= u.test and r.status in ('active', 'grace') and r.has_access = 1
  and r.cancelled_at is null and r.auto_renew is not 0 and r.price_minor is not null
  and r.currency is not null and r.exponent between 0 and 8 and r.interval_months > 0";

fn of_currency<'a>(
    all: &'a mut BTreeMap<(String, u8), Money>,
    row: &rusqlite::Row<'_>,
) -> rusqlite::Result<&'a mut Money> {
    let (currency, exponent): (String, u8) = (row.get(0)?, row.get(1)?);
    let key = (currency.clone(), exponent);
    Ok(all.entry(key).or_insert_with(|| Money {
        currency,
        exponent,
        ..Money::default()
    }))
}

impl Reader {
    /// The events that made `row`, at most `limit`.
    pub fn past(&self, list: List, row: &Row, limit: usize) -> Result<Past, Error> {
        let text = |name: &str| text_of(list, row, name);
        let subscription = text("subscription_id");
        let is_consent = |kind: &str| ConsentKind::from_word(kind).is_some();
        match list {
            List::Consents | List::Changes if is_consent(&text("kind")) => {
                self.past_of_consent(&consent(list, row), limit)
            }
            List::Payments => self.past_of_payment(row, limit),
            List::Subscriptions | List::Cancellations => {
                self.past_of_subscription(list, row, &subscription, limit)
            }
            List::Events => match self.around(row.key.id)? {
                Some(around) => self.past_of_entity(row, around, limit),
                None if !subscription.is_empty() => {
                    self.past_of_subscription(list, row, &subscription, limit)
                }
                None => self.past_of_reader(list, row, limit),
            },
            List::Deliveries => Ok(Past::default()),
            _ => self.past_of_reader(list, row, limit),
        }
    }

    /// What event `id` did to the consents of its reader; `None` if it is about none or counts nowhere.
    pub fn around(&self, id: i64) -> Result<Option<Around>, Error> {
        self.with(|conn| standing::around(conn, id))
    }

    /// What the reader of `row` did, newest first.
    pub fn timeline(
        &self,
        list: List,
        row: &Row,
        kinds: Kinds,
        limit: usize,
    ) -> Result<Past, Error> {
        let key = format!(
            "select at, id from events indexed by events_user \
             where provider = ?1 and account = ?2 and user_id = ?3 and {} \
             order by at desc, id desc limit ?4",
            kinds.condition()
        );
        let user = text_of(list, row, "user_id");
        let values = [
            Sql::from(text_of(list, row, "provider")),
            Sql::from(text_of(list, row, "account")),
            Sql::from(user.clone()),
            limit_of(limit),
        ];
        // What all of them are is told by the index alone.
        if kinds == Kinds::All {
            let ids = self.numbers(&format!("select id from ({key})"), &values)?;
            self.fetch_ahead(&ids)?;
        }
        self.past_by(format!("reader {user}"), &key, &values, limit)
    }

    /// How many events `timeline` would give without a limit; counting stops at `cap`.
    pub fn timeline_count(
        &self,
        list: List,
        row: &Row,
        kinds: Kinds,
        cap: u64,
    ) -> Result<Count, Error> {
        let sql = format!(
            "select count(*) from (select 1 from events indexed by events_user \
             where provider = ?1 and account = ?2 and user_id = ?3 and {} limit ?4)",
            kinds.condition()
        );
        let values = [
            Sql::from(text_of(list, row, "provider")),
            Sql::from(text_of(list, row, "account")),
            Sql::from(text_of(list, row, "user_id")),
            limit_of(usize::try_from(cap).unwrap_or(usize::MAX)),
        ];
        let counted = self.number(&sql, &values)?.unwrap_or_default();
        let counted = u64::try_from(counted).unwrap_or_default();
        Ok(if counted > cap {
            Count::MoreThan(cap)
        } else {
            Count::Exact(counted)
        })
    }

    /// What the reader with this id in `users` paid and pays, by currency; of tests only where all are tests.
    pub fn money_of(&self, user: i64) -> Result<Vec<Money>, Error> {
        let mut all: BTreeMap<(String, u8), Money> = BTreeMap::new();
        self.each(PAID, &[Sql::from(user)], |row| {
            let one = of_currency(&mut all, row)?;
            // Single amounts may be near the end of 64 bits.
            let minor = i128::from(row.get::<_, i64>(2)?);
            if row.get_ref(3)?.as_str()? == "refund" {
                one.refunds += 1;
                one.refunded_minor -= minor;
            } else {
                one.payments += 1;
                one.paid_minor += minor;
            }
            Ok(())
        })?;
        let mut periods: BTreeMap<(String, u8), Vec<PeriodPrice>> = BTreeMap::new();
        self.each(PAYS, &[Sql::from(user)], |row| {
            let one = of_currency(&mut all, row)?;
            let key = (one.currency.clone(), one.exponent);
            periods.entry(key).or_default().push(PeriodPrice {
                price_minor: row.get(2)?,
                unit: row.get(3)?,
                count: row.get(4)?,
                months: row.get(5)?,
                subscriptions: 1,
            });
            Ok(())
        })?;
        for (key, periods) in periods {
            if let Some(one) = all.get_mut(&key) {
                one.monthly_minor = monthly::value(&periods);
            }
        }
        Ok(all.into_values().collect())
    }

    fn past_of_reader(&self, list: List, row: &Row, limit: usize) -> Result<Past, Error> {
        if text_of(list, row, "user_id").is_empty() {
            return Ok(Past::default());
        }
        self.timeline(list, row, Kinds::All, limit)
    }

    fn past_of_subscription(
        &self,
        list: List,
        row: &Row,
        id: &str,
        limit: usize,
    ) -> Result<Past, Error> {
        let values = [
            Sql::from(text_of(list, row, "provider")),
            Sql::from(text_of(list, row, "account")),
            Sql::from(id.to_owned()),
            reader_of(list, row),
            limit_of(limit),
            Sql::from(row.key.id),
        ];
        self.past_by(
            format!("subscription {id}"),
            OF_SUBSCRIPTION,
            &values,
            limit,
        )
    }

    fn past_of_payment(&self, row: &Row, limit: usize) -> Result<Past, Error> {
        let transaction = text_of(List::Payments, row, "transaction_id");
        let of = if transaction.is_empty() {
            format!("payment {}", text_of(List::Payments, row, "payment_id"))
        } else {
            format!("transaction {transaction}")
        };
        let transaction = if transaction.is_empty() {
            Sql::Null
        } else {
            Sql::from(transaction)
        };
        let values = [
            Sql::from(text_of(List::Payments, row, "provider")),
            Sql::from(text_of(List::Payments, row, "account")),
            transaction,
            limit_of(limit),
            Sql::from(row.key.id),
            reader_of(List::Payments, row),
        ];
        self.past_by(of, OF_PAYMENT, &values, limit)
    }

    fn past_of_entity(&self, row: &Row, around: Around, limit: usize) -> Result<Past, Error> {
        let mut ids = Vec::new();
        for one in around.purposes {
            let consent = Consent {
                kind: around.kind,
                app: around.app.clone(),
                purpose: one.purpose,
                ..consent(List::Events, row)
            };
            ids.extend(self.with(|conn| standing::events_of(conn, &consent))?);
        }
        ids.sort_unstable();
        ids.dedup();
        let of = format!("{} of this reader", around.kind.as_str());
        self.past_by_ids(of, &ids, limit)
    }

    fn past_of_consent(&self, consent: &Consent, limit: usize) -> Result<Past, Error> {
        let ids = self.with(|conn| standing::events_of(conn, consent))?;
        let of = format!("{} for {}", consent.kind.as_str(), consent.purpose);
        self.past_by_ids(of, &ids, limit)
    }

    fn past_by_ids(&self, of: String, ids: &[i64], limit: usize) -> Result<Past, Error> {
        self.fetch_ahead(ids)?;
        let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
        let values = [Sql::from(format!("[{}]", ids.join(","))), limit_of(limit)];
        self.past_by(of, OF_IDS, &values, limit)
    }

    /// The events whose keys the statement `keys` tells.
    fn past_by(&self, of: String, keys: &str, values: &[Sql], limit: usize) -> Result<Past, Error> {
        let sql = format!(
            "with k(sort, id) as materialized (select * from ({keys})) {} \
             order by k.sort desc, k.id desc",
            projection(List::Events, true)
        );
        let mut events = Vec::new();
        self.each(&sql, values, |found| {
            events.push(Row {
                key: RowKey {
                    sort: found.get(0)?,
                    id: found.get(1)?,
                },
                cells: cells(found, 2)?,
            });
            Ok(())
        })?;
        let more = events.len() > limit;
        events.truncate(limit);
        Ok(Past { of, events, more })
    }
}

/// One more than wanted, to know whether there are more.
fn limit_of(limit: usize) -> Sql {
    Sql::from(i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX))
}

fn reader_of(list: List, row: &Row) -> Sql {
    let user = text_of(list, row, "user_id");
    if user.is_empty() {
        Sql::Null
    } else {
        Sql::from(user)
    }
}

/// The consent that a row of consents, of their history or of events is about; its purpose empty where it has none.
fn consent(list: List, row: &Row) -> Consent {
    let text = |name: &str| text_of(list, row, name);
    let has = |name: &str| columns(list).iter().any(|column| column.name == name);
    Consent {
        provider: text("provider"),
        account: text("account"),
        user_id: text("user_id"),
        kind: ConsentKind::from_word(&text("kind")).unwrap_or(ConsentKind::Consent),
        app: if has("purpose") {
            text("app")
        } else {
            String::new()
        },
        purpose: text("purpose"),
    }
}
