//! What stands in the lists for deliveries that are gone: rows without anybody, on a day and without a time of day, so
//! that figures of the past stay what they were.
//!
//! Imports domain. `note` writes the residue down while the rows are still there; `stand_in` folds it in their place,
//! where their delivery has been erased. What is left says nothing of who is there now: a reader's row has a
//! registration and no sign-in, a subscription began and has no access.
//!
//! ```text
//! event         events, payments, daily
//! reader        users: who registered
//! subscription  subscriptions: began, became paid, was over
//! cancellation  cancellations
//! change        consent_changes
//! ```

use chrono::NaiveDate;
use rusqlite::{Connection, Row, params};

use crate::domain::time::{DAY_MS, Timestamp, Zone};
use crate::store::Error;
use crate::store::project::order::EVENTS_MAX;
use crate::store::query::ENDED_AT;

/// Every column of `residue`.
pub(crate) const COLUMNS: [&str; 25] = [
    "seq",
    "n",
    "what",
    "place",
    "why",
    "provider",
    "account",
    "type",
    "day",
    "plan",
    "amount_minor",
    "currency",
    "exponent",
    "readers",
    "kind",
    "purpose",
    "before_state",
    "after_state",
    "actor",
    "reason",
    "code",
    "start_day",
    "paid_day",
    "end_day",
    "ends",
];

/// Changes of one delivery have ids from `seq * CHANGES_MAX`; further parts of a refunded bundle the same, negative.
const CHANGES_MAX: i64 = EVENTS_MAX * EVENTS_MAX;

const EVENTS: &str = "\
insert into residue (seq, n, what, why, provider, account, type, day, plan, amount_minor, currency, exponent)
select seq, n, 'event', ?3, provider, account, type, day, plan, amount_minor, currency, exponent
from events where id >= ?1 and id < ?2 and test = 0
on conflict do nothing";

/// Who registered by an event of it; each plus keeps all other registrations out of the search.
const READERS: &str = "\
insert into residue (seq, n, what, why, provider, account, type, day)
select e.seq, e.n, 'reader', ?3, e.provider, e.account, e.type, e.day
from events e cross join users u on u.id = e.users_id
where e.id >= ?1 and e.id < ?2 and e.test = 0 and +e.type = 'user.registered' and e.at = +u.registered_at and u.test = 0
  and not exists (
    select 1 from events f indexed by events_users
    where f.users_id = e.users_id and f.type = e.type and f.at = e.at and f.test = 0 and f.id < e.id)
on conflict do nothing";

const CHANGES: &str = "\
insert into residue (seq, n, what, place, why, provider, account, type, day, kind, purpose, before_state, after_state)
select c.seq, e.n, 'change', c.id % 10000, ?3, c.provider, c.account, e.type, c.day, c.kind, c.purpose, c.before_state,
  c.after_state
from consent_changes c cross join events e on e.id = c.id / 10000
where c.id >= ?1 and c.id < ?2 and c.test = 0
on conflict do nothing";

/// A reason that only one reader gave may be in their own words.
const CANCELLATIONS: &str = "\
select e.seq, e.n, iif(c.id < 0, -c.id % 10000, 0), c.provider, c.account, e.type, c.day, c.plan, c.actor,
  (select o.reason from cancellations o
   where o.provider = c.provider and o.reason = c.reason and o.user_id is not c.user_id limit 1),
  c.code, c.reactivated_at,
  (select s.id from subscriptions s
   where c.actor = 'payment' and c.reactivated_at is null and s.provider = c.provider and s.account = c.account
     and s.subscription_id = c.subscription_id and s.status in ('expired', 'revoked'))
from cancellations c cross join events e on e.id = iif(c.id < 0, -c.id / 10000, c.id)
where c.id >= ?1 and c.id < ?2 and c.test = 0";

const CANCELLATION: &str = "\
insert into residue (seq, n, what, place, why, provider, account, type, day, plan, actor, reason, code, end_day, ends)
values (?1, ?2, 'cancellation', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
on conflict do nothing";

/// Subscriptions that were first heard of by an event of it. One that goes on is told by its other events.
fn subscriptions() -> String {
    format!(
        "select e.seq, e.n, r.provider, r.account, e.type, e.day, r.plan, r.status, r.started_at, r.converted_at, {ENDED_AT}
         from subscriptions r cross join events e on e.id = r.id
         where r.id >= ?1 and r.id < ?2 and r.test = 0 and not exists (
           select 1 from events x indexed by events_subscription
           where x.provider = r.provider and x.account = r.account and x.subscription_id = r.subscription_id
             and x.seq not in (select seq from erasing))"
    )
}

const SUBSCRIPTION: &str = "\
insert into residue (seq, n, what, why, provider, account, type, day, plan, after_state, start_day, paid_day, end_day)
values (?1, ?2, 'subscription', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
on conflict do nothing";

/// Why a delivery goes: a reader asked.
const WHY: &str = "erased";

/// Writes down what will be left of delivery `seq`, which stands in `erasing` with all that go with it; tests leave
/// nothing.
pub(super) fn note(conn: &Connection, zone: Zone, seq: i64) -> Result<(), Error> {
    let (first, last) = (seq * EVENTS_MAX, (seq + 1) * EVENTS_MAX);
    let why = WHY;
    conn.prepare_cached(EVENTS)?
        .execute(params![first, last, why])?;
    conn.prepare_cached(READERS)?
        .execute(params![first, last, why])?;
    conn.prepare_cached(CHANGES)?.execute(params![
        seq * CHANGES_MAX,
        (seq + 1) * CHANGES_MAX,
        why
    ])?;
    note_cancellations(conn, zone, (first, last), why)?;
    // Negative ones count down.
    let parts = (1 - (seq + 1) * CHANGES_MAX, 1 - seq * CHANGES_MAX);
    note_cancellations(conn, zone, parts, why)?;
    note_subscriptions(conn, zone, (first, last), why)
}

fn day_of(row: &Row<'_>, place: usize, zone: Zone) -> rusqlite::Result<Option<String>> {
    let at: Option<String> = row.get(place)?;
    Ok(at
        .as_deref()
        .and_then(Timestamp::parse)
        .map(|at| at.day(zone)))
}

fn note_cancellations(
    conn: &Connection,
    zone: Zone,
    (first, last): (i64, i64),
    why: &str,
) -> Result<(), Error> {
    let mut statement = conn.prepare_cached(CANCELLATIONS)?;
    let mut rows = statement.query([first, last])?;
    while let Some(row) = rows.next()? {
        let number = |place| row.get::<_, Option<i64>>(place);
        let text = |place| row.get::<_, Option<String>>(place);
        conn.prepare_cached(CANCELLATION)?.execute(params![
            number(0)?,
            number(1)?,
            number(2)?,
            why,
            text(3)?,
            text(4)?,
            text(5)?,
            text(6)?,
            text(7)?,
            text(8)?,
            text(9)?,
            text(10)?,
            day_of(row, 11, zone)?,
            number(12)?,
        ])?;
    }
    Ok(())
}

fn note_subscriptions(
    conn: &Connection,
    zone: Zone,
    (first, last): (i64, i64),
    why: &str,
) -> Result<(), Error> {
    let mut statement = conn.prepare_cached(&subscriptions())?;
    let mut rows = statement.query([first, last])?;
    while let Some(row) = rows.next()? {
        let number = |place| row.get::<_, i64>(place);
        let text = |place| row.get::<_, Option<String>>(place);
        let status = text(7)?.filter(|status| status == "expired" || status == "revoked");
        conn.prepare_cached(SUBSCRIPTION)?.execute(params![
            number(0)?,
            number(1)?,
            why,
            text(2)?,
            text(3)?,
            text(4)?,
            text(5)?,
            text(6)?,
            status,
            day_of(row, 8, zone)?,
            day_of(row, 9, zone)?,
            day_of(row, 10, zone)?,
        ])?;
    }
    Ok(())
}

const COUNT_READER: &str =
    "update residue set readers = 1 where seq = ?1 and n = ?2 and what = 'event' and place = 0";

/// Notes that the event `id`, which is gone, was what its reader counted by on its day.
pub(super) fn count_reader(conn: &Connection, id: i64) -> Result<(), Error> {
    conn.prepare_cached(COUNT_READER)?
        .execute([id / EVENTS_MAX, id % EVENTS_MAX])?;
    Ok(())
}

/// One row of what is left.
struct Residue {
    seq: i64,
    n: i64,
    what: String,
    place: i64,
    provider: String,
    account: String,
    word: String,
    day: String,
    plan: Option<String>,
    amount_minor: Option<i64>,
    currency: Option<String>,
    exponent: Option<u8>,
    readers: i64,
    kind: Option<String>,
    purpose: Option<String>,
    before_state: Option<String>,
    after_state: Option<String>,
    actor: Option<String>,
    reason: Option<String>,
    code: Option<String>,
    start_day: Option<String>,
    paid_day: Option<String>,
    end_day: Option<String>,
    ends: Option<i64>,
    provider_type: String,
    subscribed: bool,
}

const AFTER: &str = "\
select r.seq, r.n, r.what, r.place, r.provider, r.account, r.type, r.day, r.plan, r.amount_minor, r.currency, r.exponent,
  r.readers, r.kind, r.purpose, r.before_state, r.after_state, r.actor, r.reason, r.code, r.start_day, r.paid_day,
  r.end_day, r.ends, d.provider_type,
  exists (select 1 from residue s where s.seq = r.seq and s.n = r.n and s.what = 'subscription' and s.place = 0)
    as subscribed
from residue r cross join deliveries d on d.seq = r.seq
where r.seq > ?1 and r.seq <= ?2 and d.erased_at is not null
order by r.seq, r.n, r.what, r.place";

impl Residue {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: row.get("seq")?,
            n: row.get("n")?,
            what: row.get("what")?,
            place: row.get("place")?,
            provider: row.get("provider")?,
            account: row.get("account")?,
            word: row.get("type")?,
            day: row.get("day")?,
            plan: row.get("plan")?,
            amount_minor: row.get("amount_minor")?,
            currency: row.get("currency")?,
            exponent: row.get("exponent")?,
            readers: row.get("readers")?,
            kind: row.get("kind")?,
            purpose: row.get("purpose")?,
            before_state: row.get("before_state")?,
            after_state: row.get("after_state")?,
            actor: row.get("actor")?,
            reason: row.get("reason")?,
            code: row.get("code")?,
            start_day: row.get("start_day")?,
            paid_day: row.get("paid_day")?,
            end_day: row.get("end_day")?,
            ends: row.get("ends")?,
            provider_type: row.get("provider_type")?,
            subscribed: row.get("subscribed")?,
        })
    }
}

/// Stores what stands in for the erased deliveries after `after`, up to `to`.
pub(super) fn stand_in(conn: &Connection, zone: Zone, after: i64, to: i64) -> Result<(), Error> {
    stand_in_of(conn, conn, zone, after, to)
}

/// The same of `ledger`, stored in `into`.
pub(super) fn stand_in_of(
    ledger: &Connection,
    into: &Connection,
    zone: Zone,
    after: i64,
    to: i64,
) -> Result<(), Error> {
    let mut statement = ledger.prepare_cached(AFTER)?;
    let rows = statement.query_map([after, to], Residue::from_row)?;
    for residue in rows {
        residue?.store(into, zone)?;
    }
    Ok(())
}

const EVENT: &str = "\
insert into events (id, seq, n, provider, account, app, type, provider_type, at, day, occurred_at_source, received_at,
  subscription_id, plan, amount_minor, currency, exponent, amount, test, data)
values (?1, ?2, ?3, ?4, ?5, '', ?6, ?7, ?8, ?9, 'none', ?8, ?10, ?11, ?12, ?13, ?14, ?15, 0, '{\"erased\":true}')
on conflict do nothing";

const PAYMENT: &str = "\
insert into payments (id, seq, provider, account, payment_id, at, day, kind, amount_minor, currency, exponent, amount,
  status, plan, for_subscription, test)
values (?1, ?2, ?3, ?4, 'erased:' || ?1, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'erased', ?12, 0, 0)";

const DAY: &str = "\
insert into daily (day, provider, account, type, events, users) values (?1, ?2, ?3, ?4, 1, ?5)
on conflict do update set events = events + 1, users = users + excluded.users";

const READER: &str = "\
insert into users (id, provider, account, user_id, registered_at, first_seen_at, last_seen_at, sign_ins,
  active_subscriptions, consents_given, test, folded_to)
values (?1, ?2, ?3, 'erased:' || ?1, ?4, ?4, ?4, 0, 0, 0, 0, ?4)
on conflict do nothing";

const STANDING: &str = "\
insert into subscriptions (id, provider, account, app, subscription_id, plan, status, stated_status, state, has_access,
  access_derived, started_at, converted_at, changed_at, test)
values (?1, ?2, ?3, '', 'erased:' || ?1, ?4, ?5, ?5, 'erased', 0, 0, ?6, ?7, ?8, 0)
on conflict do nothing";

const SPELL: &str = "\
insert into cancellations (id, seq, provider, account, subscription_id, plan, cancelled_at, day, reason, code, actor,
  matched, reactivated_at, test)
values (?1, ?2, ?3, ?4, 'erased:' || ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'none', ?12, 0)
on conflict do nothing";

const CHANGE: &str = "\
insert into consent_changes (id, seq, at, day, provider, account, app, user_id, kind, purpose, before_state,
  after_state, test)
values (?1, ?2, ?3, ?4, ?5, ?6, '', 'erased:' || ?7, ?8, ?9, ?10, ?11, 0)
on conflict do nothing";

impl Residue {
    fn store(&self, conn: &Connection, zone: Zone) -> Result<(), Error> {
        let id = self.seq * EVENTS_MAX + self.n;
        let at = instant(zone, &self.day);
        match self.what.as_str() {
            "reader" => {
                conn.prepare_cached(READER)?.execute(params![
                    id,
                    self.provider,
                    self.account,
                    at
                ])?;
                Ok(())
            }
            "subscription" => self.store_subscription(conn, zone, id, &at),
            "cancellation" => self.store_cancellation(conn, zone, id, &at),
            "change" => self.store_change(conn, id, &at),
            _ => self.store_event(conn, id, &at),
        }
    }

    fn store_event(&self, conn: &Connection, id: i64, at: &str) -> Result<(), Error> {
        // The subscription that began with it finds it again.
        let subscription = self.subscribed.then(|| format!("erased:{id}"));
        let rows = conn.prepare_cached(EVENT)?.execute(params![
            id,
            self.seq,
            self.n,
            self.provider,
            self.account,
            self.word,
            self.provider_type,
            at,
            self.day,
            subscription,
            self.plan,
            self.amount_minor,
            self.currency,
            self.exponent,
            self.amount(),
        ])?;
        // An erasure that goes on in a restored copy finds what was folded there.
        if rows == 0 {
            return Ok(());
        }
        self.store_payment(conn, id, at)?;
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

    /// One that was not over has no access any more, and no end in any figure either.
    fn store_subscription(
        &self,
        conn: &Connection,
        zone: Zone,
        id: i64,
        at: &str,
    ) -> Result<(), Error> {
        let on = |day: &Option<String>| day.as_deref().map(|day| instant(zone, day));
        let ended = on(&self.end_day);
        conn.prepare_cached(STANDING)?.execute(params![
            id,
            self.provider,
            self.account,
            self.plan,
            self.after_state.as_deref().unwrap_or("on_hold"),
            on(&self.start_day),
            on(&self.paid_day),
            ended.as_deref().unwrap_or(at),
        ])?;
        Ok(())
    }

    fn store_cancellation(
        &self,
        conn: &Connection,
        zone: Zone,
        event: i64,
        at: &str,
    ) -> Result<(), Error> {
        let id = match self.place {
            0 => event,
            place => -(event * EVENTS_MAX + place),
        };
        conn.prepare_cached(SPELL)?.execute(params![
            id,
            self.seq,
            self.provider,
            self.account,
            self.ends.unwrap_or(id),
            self.plan,
            at,
            self.day,
            self.reason,
            self.code,
            self.actor,
            self.end_day.as_deref().map(|day| instant(zone, day)),
        ])?;
        Ok(())
    }

    fn store_change(&self, conn: &Connection, event: i64, at: &str) -> Result<(), Error> {
        conn.prepare_cached(CHANGE)?.execute(params![
            event * EVENTS_MAX + self.place,
            self.seq,
            at,
            self.day,
            self.provider,
            self.account,
            event,
            self.kind,
            self.purpose,
            self.before_state,
            self.after_state,
        ])?;
        Ok(())
    }

    /// For reading only, as elsewhere.
    fn amount(&self) -> Option<f64> {
        let (minor, exponent) = self.amount_minor.zip(self.exponent)?;
        format!("{minor}e-{exponent}").parse().ok()
    }
}

/// The first moment that is on this day both in the ledger's zone and in UTC, which some questions count by.
fn instant(zone: Zone, day: &str) -> String {
    day.parse::<NaiveDate>()
        .map_or(Timestamp::from_ms(0), |day| {
            let utc = day.to_epoch_days();
            zone.day_start(day)
                .max(Timestamp::from_ms(i64::from(utc) * DAY_MS))
        })
        .to_string()
}

/// Every statement here that looks rows up, for the test of query plans; `CANCELLATIONS` looks for another reader's
/// reason, which has no index.
#[cfg(test)]
pub(super) const LOOKUPS: &[&str] = &[EVENTS, READERS, CHANGES, COUNT_READER, AFTER];
