//! Rows of `payments`: one per payment event, refunds beside the payments they give back.
//!
//! Imports domain. Which subscription a refund belongs to is decided where subscriptions are folded.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension as _, params, params_from_iter};

use crate::domain::event::{EventType, Facts, PaymentFacts};
use crate::domain::money::Money;
use crate::store::Error;
use crate::store::project::events::{Fresh, currency};
use crate::store::project::order::{
    Cell, EVENTS_MAX, Place, Scope, instant, number, number_maybe, real, text, word, word_maybe,
};

/// Said of a refund that gives back more than was paid.
const BEYOND: &str = "more than was paid";
/// Said of a payment that states no amount.
const NO_AMOUNT: &str = "no amount";
/// Between two things said of one payment.
const AND: &str = "; ";

/// The columns, in the order of `row`.
macro_rules! columns {
    () => {
        "id, seq, provider, account, payment_id, transaction_id, user_id, users_id, subscription_id, at, day, kind,
  amount_minor, net_minor, currency, exponent, amount, amount_text, status, plan, flag, for_subscription, test"
    };
}

const INSERT: &str = concat!(
    "insert into payments (",
    columns!(),
    ") values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)"
);

/// The payments of deliveries, by their ids from `?1` to before `?2`, as `row` has them.
pub(super) const ROWS: &str = concat!(
    "select ",
    columns!(),
    " from payments where id >= ?1 and id < ?2 order by id"
);

/// Places in a row.
pub(super) const SUBSCRIPTION_ID: usize = 8;
pub(super) const FLAG_PLACE: usize = 20;

/// The payment that `fresh` is, as first stored, if it is one; `users_id` is the row of its reader.
pub(super) fn row<'a>(fresh: &'a Fresh<'_>, users_id: Option<i64>) -> Option<[Cell<'a>; 23]> {
    let (kind, done) = match fresh.event.kind {
        EventType::PaymentSucceeded => ("payment", "succeeded"),
        EventType::PaymentRefunded => ("refund", "refunded"),
        _ => return None,
    };
    let facts = facts(fresh);
    let money = fresh.event.money.as_ref();
    let payment_id = facts
        .and_then(|facts| facts.payment_id.as_deref())
        .map_or_else(|| format!("delivery:{}", fresh.place.seq).into(), text);
    Some([
        number(fresh.place.id()),
        number(fresh.place.seq),
        word(&fresh.scope.provider),
        word(&fresh.scope.account),
        word(payment_id),
        word_maybe(transaction_of(fresh)),
        word_maybe(fresh.user_id.as_deref()),
        number_maybe(users_id),
        word_maybe(fresh.subscription_id.as_deref()),
        word(fresh.place.at.to_string()),
        word(&fresh.day),
        word(kind),
        number_maybe(money.and_then(|money| money.minor)),
        number_maybe(facts.and_then(|facts| facts.net.as_ref()?.minor)),
        word_maybe(money.and_then(currency)),
        number_maybe(money.and_then(|money| money.exponent)),
        real(money.and_then(Money::real)),
        word_maybe(money.map(|money| text(&money.text))),
        word(
            facts
                .and_then(|facts| facts.status.as_deref())
                .map_or(done.into(), text),
        ),
        word_maybe(fresh.event.plan.as_deref().map(text)),
        word_maybe(flag(money, facts)),
        number(facts.is_some_and(|facts| facts.for_subscription)),
        number(fresh.is_test()),
    ])
}

fn facts<'a>(fresh: &'a Fresh<'_>) -> Option<&'a PaymentFacts> {
    match &fresh.event.facts {
        Facts::Payment(facts) => Some(facts),
        _ => None,
    }
}

/// The transaction that the payment which `fresh` is belongs to.
pub(super) fn transaction_of<'a>(fresh: &'a Fresh<'_>) -> Option<Cow<'a, str>> {
    facts(fresh)?.transaction_id.as_deref().map(text)
}

/// Stores the payment that `fresh` is, if it is one; its transaction, if it has one.
pub(super) fn insert(
    conn: &Connection,
    fresh: &Fresh<'_>,
    users_id: Option<i64>,
) -> Result<Option<String>, Error> {
    let Some(row) = row(fresh, users_id) else {
        return Ok(None);
    };
    conn.prepare_cached(INSERT)?
        .execute(params_from_iter(row))?;
    Ok(transaction_of(fresh).map(Cow::into_owned))
}

fn flag(money: Option<&Money>, facts: Option<&PaymentFacts>) -> Option<String> {
    let amount = match money {
        None => Some(NO_AMOUNT),
        Some(money) => money.flag.map(crate::domain::money::MoneyFlag::as_str),
    };
    let told = facts.and_then(|facts| facts.flag.as_deref());
    let said: Vec<_> = [amount, told].into_iter().flatten().map(text).collect();
    (!said.is_empty()).then(|| said.join(AND))
}

/// One row of a transaction.
pub(super) struct Part {
    place: Place,
    /// The reader.
    pub(super) user_id: Option<String>,
    /// The subscription.
    pub(super) subscription_id: Option<String>,
    is_refund: bool,
    amount_minor: Option<i64>,
    currency: Option<String>,
    flag: Option<String>,
    /// Of a test delivery.
    pub(super) test: bool,
}

impl Part {
    /// The delivery.
    pub(super) const fn seq(&self) -> i64 {
        self.place.seq
    }

    /// Whether money came in by it.
    pub(super) const fn is_payment(&self) -> bool {
        !self.is_refund
    }
}

const OF_TRANSACTION: &str = "\
select p.id, p.seq, p.at, d.dedupe_key, p.user_id, p.subscription_id, p.kind, p.amount_minor, p.currency, p.flag,
  p.test
from payments p cross join deliveries d on d.seq = p.seq
where p.provider = ?1 and p.account = ?2 and p.transaction_id = ?3";

/// All payments and refunds of one transaction, in their order.
pub(super) fn of_transaction(
    conn: &Connection,
    scope: &Scope,
    transaction_id: &str,
) -> Result<Vec<Part>, Error> {
    let mut statement = conn.prepare_cached(OF_TRANSACTION)?;
    let rows = statement.query_map(
        params![scope.provider, scope.account, transaction_id],
        |row| {
            let is_refund = row.get_ref(6)?.as_str()? == "refund";
            let kind = if is_refund {
                EventType::PaymentRefunded
            } else {
                EventType::PaymentSucceeded
            };
            Ok(Part {
                place: Place {
                    at: instant(row, 2)?,
                    rank: kind.rank(),
                    key: row.get::<_, Option<String>>(3)?.unwrap_or_default(),
                    n: row.get::<_, i64>(0)? % EVENTS_MAX,
                    seq: row.get(1)?,
                },
                user_id: row.get(4)?,
                subscription_id: row.get(5)?,
                is_refund,
                amount_minor: row.get(7)?,
                currency: row.get(8)?,
                flag: row.get(9)?,
                test: row.get(10)?,
            })
        },
    )?;
    let mut parts: Vec<Part> = rows.collect::<Result<_, _>>()?;
    parts.sort_by(|a, b| a.place.cmp(&b.place));
    Ok(parts)
}

/// The refunds of a transaction that give back more than was paid, by their ids. A transaction without a payment says
/// nothing of that, nor does one with an amount that is not known; tests are set against tests.
fn beyond(parts: &[Part]) -> BTreeSet<i64> {
    let mut found = BTreeSet::new();
    for test in [false, true] {
        let mut left: BTreeMap<Option<&str>, Option<i128>> = BTreeMap::new();
        let mine = || parts.iter().filter(|part| part.test == test);
        if !mine().any(Part::is_payment) {
            continue;
        }
        for part in mine().filter(|part| part.is_payment()) {
            let sum = left.entry(part.currency.as_deref()).or_insert(Some(0));
            *sum = (*sum)
                .zip(part.amount_minor)
                .map(|(sum, minor)| sum + i128::from(minor));
        }
        for part in mine().filter(|part| part.is_refund) {
            let sum = left.entry(part.currency.as_deref()).or_insert(Some(0));
            // A refund is negative already.
            *sum = (*sum)
                .zip(part.amount_minor)
                .map(|(sum, minor)| sum + i128::from(minor));
            if sum.is_some_and(|sum| sum < 0) {
                found.insert(part.place.id());
            }
        }
    }
    found
}

const FLAG: &str = "update payments set flag = ?2 where id = ?1";

/// Flags the refunds of a transaction that give back more than was paid; the readers whose refunds it holds.
pub(super) fn check(
    conn: &Connection,
    scope: &Scope,
    transaction_id: &str,
) -> Result<Vec<String>, Error> {
    let parts = of_transaction(conn, scope, transaction_id)?;
    if parts.iter().all(Part::is_payment) {
        return Ok(Vec::new());
    }
    let beyond = beyond(&parts);
    let mut readers = Vec::new();
    for part in parts.into_iter().filter(|part| part.is_refund) {
        let flag = flagged(part.flag.as_deref(), beyond.contains(&part.place.id()));
        if flag != part.flag {
            conn.prepare_cached(FLAG)?
                .execute(params![part.place.id(), flag])?;
        }
        readers.extend(part.user_id);
    }
    Ok(readers)
}

/// `flag` with or without the word that it is beyond.
fn flagged(flag: Option<&str>, beyond: bool) -> Option<String> {
    let mut said: Vec<&str> = flag
        .into_iter()
        .flat_map(|flag| flag.split(AND))
        .filter(|word| *word != BEYOND)
        .collect();
    said.extend(beyond.then_some(BEYOND));
    (!said.is_empty()).then(|| said.join(AND))
}

const ATTACH: &str = "\
update payments set subscription_id = ?2 where id = ?1 and subscription_id is not ?2";

/// Says which subscription a refund belongs to.
pub(super) fn attach(
    conn: &Connection,
    id: i64,
    subscription_id: Option<&str>,
) -> Result<(), Error> {
    conn.prepare_cached(ATTACH)?
        .execute(params![id, subscription_id])?;
    Ok(())
}

const IS_ATTACHED: &str = "select subscription_id is ?2 from payments where id = ?1";

/// Whether that is what the refund says.
pub(super) fn is_attached(
    conn: &Connection,
    id: i64,
    subscription_id: Option<&str>,
) -> Result<bool, Error> {
    let mut statement = conn.prepare_cached(IS_ATTACHED)?;
    let said = statement.query_row(params![id, subscription_id], |row| row.get(0));
    Ok(said.optional()?.unwrap_or(false))
}

const EARLIER: &str = "\
select 1 from payments
where provider = ?1 and account = ?2 and transaction_id = ?3 and id < ?4 and kind = 'refund' limit 1";

/// Whether the refunds of a transaction, by their flags, give back more than was paid exactly where they do. `None`
/// where another of its refunds comes before `id`.
pub(super) fn is_checked(
    conn: &Connection,
    scope: &Scope,
    transaction_id: &str,
    id: i64,
) -> Result<Option<bool>, Error> {
    let mut earlier = conn.prepare_cached(EARLIER)?;
    if earlier.exists(params![scope.provider, scope.account, transaction_id, id])? {
        return Ok(None);
    }
    let parts = of_transaction(conn, scope, transaction_id)?;
    let refunds = || parts.iter().filter(|part| part.is_refund);
    let beyond = beyond(&parts);
    Ok(Some(refunds().all(|part| {
        flagged(part.flag.as_deref(), beyond.contains(&part.place.id())) == part.flag
    })))
}

/// What a flag says that a payment has by itself.
pub(super) fn own_flag(flag: Option<&str>) -> Option<String> {
    flagged(flag, false)
}

const TRANSACTION: &str = "select transaction_id from payments where id = ?1";

/// The transaction of a stored payment.
pub(super) fn transaction(conn: &Connection, id: i64) -> Result<Option<String>, Error> {
    Ok(conn
        .prepare_cached(TRANSACTION)?
        .query_row([id], |row| row.get(0))?)
}

const DELETE: &str = "delete from payments where id = ?1";

/// Takes a payment away.
pub(super) fn delete(conn: &Connection, id: i64) -> Result<(), Error> {
    conn.prepare_cached(DELETE)?.execute([id])?;
    Ok(())
}

const MARK: &str = "update payments set test = ?2 where id = ?1";

/// Sets a payment's test mark.
pub(super) fn mark(conn: &Connection, id: i64, test: bool) -> Result<(), Error> {
    conn.prepare_cached(MARK)?.execute(params![id, test])?;
    Ok(())
}

/// Every statement here that looks rows up, for the test of query plans.
#[cfg(test)]
pub(super) const LOOKUPS: &[&str] = &[
    OF_TRANSACTION,
    ROWS,
    FLAG,
    ATTACH,
    IS_ATTACHED,
    EARLIER,
    TRANSACTION,
    DELETE,
    MARK,
];
