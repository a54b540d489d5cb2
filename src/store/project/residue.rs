//! What stands in the lists for events that were erased: a row without anybody, on a day and without a time of day, so
//! that figures of the past stay what they were.
//!
//! Imports domain. `note` writes the residue down while the events are still there; `stand_in` folds it in their place,
//! where their delivery has been erased.

use chrono::NaiveDate;
use rusqlite::{Connection, params};

use crate::domain::time::{Timestamp, Zone};
use crate::store::Error;
use crate::store::project::order::EVENTS_MAX;

const OF_DELIVERY: &str = "\
select e.n, e.provider, e.account, e.type, e.day, coalesce(e.plan, c.plan), e.amount_minor, e.currency, e.exponent,
  c.actor, c.reactivated_at
from events e left join cancellations c on c.id = e.id
where e.id >= ?1 and e.id < ?2 and e.test = 0 order by e.id";

const NOTE: &str = "\
insert into residue (seq, n, provider, account, type, day, plan, amount_minor, currency, exponent, actor, back_day)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
on conflict (seq, n) do nothing";

/// Writes down what will be left of delivery `seq`; tests leave nothing.
pub(super) fn note(conn: &Connection, zone: Zone, seq: i64) -> Result<(), Error> {
    let mut events = conn.prepare_cached(OF_DELIVERY)?;
    let mut rows = events.query([seq * EVENTS_MAX, (seq + 1) * EVENTS_MAX])?;
    while let Some(row) = rows.next()? {
        let back: Option<String> = row.get(10)?;
        let back = back.as_deref().and_then(Timestamp::parse);
        let text = |place| row.get::<_, Option<String>>(place);
        let number = |place| row.get::<_, Option<i64>>(place);
        conn.prepare_cached(NOTE)?.execute(params![
            seq,
            number(0)?,
            text(1)?,
            text(2)?,
            text(3)?,
            text(4)?,
            text(5)?,
            number(6)?,
            text(7)?,
            number(8)?,
            text(9)?,
            back.map(|at| at.day(zone)),
        ])?;
    }
    Ok(())
}

const COUNT_READER: &str = "update residue set readers = 1 where seq = ?1 and n = ?2";

/// Notes that the event `id`, which is gone, was what its reader counted by on its day.
pub(super) fn count_reader(conn: &Connection, id: i64) -> Result<(), Error> {
    conn.prepare_cached(COUNT_READER)?
        .execute([id / EVENTS_MAX, id % EVENTS_MAX])?;
    Ok(())
}

/// One event's residue.
struct Residue {
    seq: i64,
    n: i64,
    provider: String,
    account: String,
    word: String,
    day: String,
    plan: Option<String>,
    amount_minor: Option<i64>,
    currency: Option<String>,
    exponent: Option<u8>,
    readers: i64,
    actor: Option<String>,
    back_day: Option<String>,
    provider_type: String,
}

const AFTER: &str = "\
select r.seq, r.n, r.provider, r.account, r.type, r.day, r.plan, r.amount_minor, r.currency, r.exponent, r.readers,
  r.actor, r.back_day, d.provider_type
from residue r cross join deliveries d on d.seq = r.seq
where r.seq > ?1 and r.seq <= ?2 and d.erased_at is not null
order by r.seq, r.n";

/// Stores what stands in for the erased deliveries after `after`, up to `to`.
pub(super) fn stand_in(conn: &Connection, zone: Zone, after: i64, to: i64) -> Result<(), Error> {
    let mut statement = conn.prepare_cached(AFTER)?;
    let rows = statement.query_map([after, to], |row| {
        Ok(Residue {
            seq: row.get(0)?,
            n: row.get(1)?,
            provider: row.get(2)?,
            account: row.get(3)?,
            word: row.get(4)?,
            day: row.get(5)?,
            plan: row.get(6)?,
            amount_minor: row.get(7)?,
            currency: row.get(8)?,
            exponent: row.get(9)?,
            readers: row.get(10)?,
            actor: row.get(11)?,
            back_day: row.get(12)?,
            provider_type: row.get(13)?,
        })
    })?;
    for residue in rows {
        residue?.store(conn, zone)?;
    }
    Ok(())
}

const EVENT: &str = "\
insert into events (id, seq, n, provider, account, app, type, provider_type, at, day, occurred_at_source, received_at,
  plan, amount_minor, currency, exponent, amount, test, data)
values (?1, ?2, ?3, ?4, ?5, '', ?6, ?7, ?8, ?9, 'none', ?8, ?10, ?11, ?12, ?13, ?14, 0, '{\"erased\":true}')";

const PAYMENT: &str = "\
insert into payments (id, seq, provider, account, payment_id, at, day, kind, amount_minor, currency, exponent, amount,
  status, plan, for_subscription, test)
values (?1, ?2, ?3, ?4, 'erased:' || ?1, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'erased', ?12, 0, 0)";

const CANCELLATION: &str = "\
insert into cancellations (id, seq, provider, account, subscription_id, plan, cancelled_at, day, actor, matched,
  reactivated_at, test)
values (?1, ?2, ?3, ?4, 'erased:' || ?1, ?5, ?6, ?7, ?8, 'none', ?9, 0)";

const DAY: &str = "\
insert into daily (day, provider, account, type, events, users) values (?1, ?2, ?3, ?4, 1, ?5)
on conflict do update set events = events + 1, users = users + excluded.users";

impl Residue {
    fn store(&self, conn: &Connection, zone: Zone) -> Result<(), Error> {
        let id = self.seq * EVENTS_MAX + self.n;
        let at = day_start(zone, &self.day);
        conn.prepare_cached(EVENT)?.execute(params![
            id,
            self.seq,
            self.n,
            self.provider,
            self.account,
            self.word,
            self.provider_type,
            at,
            self.day,
            self.plan,
            self.amount_minor,
            self.currency,
            self.exponent,
            self.amount(),
        ])?;
        self.store_payment(conn, id, &at)?;
        self.store_cancellation(conn, zone, id, &at)?;
        conn.prepare_cached(DAY)?.execute(params![
            self.day,
            self.provider,
            self.account,
            self.word,
            self.readers
        ])?;
        Ok(())
    }

    fn store_payment(&self, conn: &Connection, id: i64, at: &str) -> Result<(), Error> {
        let kind = match self.word.as_str() {
            "payment.succeeded" => "payment",
            "payment.refunded" => "refund",
            _ => return Ok(()),
        };
        conn.prepare_cached(PAYMENT)?.execute(params![
            id,
            self.seq,
            self.provider,
            self.account,
            at,
            self.day,
            kind,
            self.amount_minor,
            self.currency,
            self.exponent,
            self.amount(),
            self.plan,
        ])?;
        Ok(())
    }

    fn store_cancellation(
        &self,
        conn: &Connection,
        zone: Zone,
        id: i64,
        at: &str,
    ) -> Result<(), Error> {
        let Some(actor) = &self.actor else {
            return Ok(());
        };
        conn.prepare_cached(CANCELLATION)?.execute(params![
            id,
            self.seq,
            self.provider,
            self.account,
            self.plan,
            at,
            self.day,
            actor,
            self.back_day.as_deref().map(|day| day_start(zone, day)),
        ])?;
        Ok(())
    }

    /// For reading only, as elsewhere.
    fn amount(&self) -> Option<f64> {
        let (minor, exponent) = self.amount_minor.zip(self.exponent)?;
        format!("{minor}e-{exponent}").parse().ok()
    }
}

fn day_start(zone: Zone, day: &str) -> String {
    day.parse::<NaiveDate>()
        .map_or(Timestamp::from_ms(0), |day| zone.day_start(day))
        .to_string()
}

/// Every statement here that looks rows up, for the test of query plans.
#[cfg(test)]
pub(super) const LOOKUPS: &[&str] = &[OF_DELIVERY, COUNT_READER, AFTER];
