//! Rows of `subscriptions` and `cancellations`: finding the events that are folded together, and writing what differs.
//!
//! Imports domain. A group is what shares a subscription id or, where the provider's cancels and refunds may name
//! none, a reader (MAPPING.md rule 11.4).

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use crate::domain::event::{EventType, Grouping, PaymentFacts, SubscriptionFacts};
use crate::domain::money::Money;
use crate::domain::time::{Timestamp, Zone};
use crate::store::Error;
use crate::store::project::clock;
use crate::store::project::events::currency;
use crate::store::project::order::{Data, Place, Scope, facts, instant, json, kind};
use crate::store::project::payments;
use crate::store::project::subscriptions::{Paid, Spell, Standing, Told, fold_all, months};
use crate::store::project::users::{Readers, UserKey};

/// Where a group is entered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Seed {
    /// A subscription id.
    Id(String),
    /// A reader.
    Reader(String),
}

/// The present moment and where its day is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Now.
    pub(super) now: Timestamp,
    /// The ledger's zone.
    pub(super) zone: Zone,
}

/// All that is folded together.
#[derive(Default)]
struct Members {
    ids: BTreeSet<String>,
    readers: BTreeSet<String>,
    events: BTreeMap<i64, Told>,
}

pub(super) const BY_ID: &str = "\
select e.seq, e.n, e.type, e.at, e.test, e.app, e.user_id, e.email, e.name, e.subscription_id, e.plan, e.data,
  d.dedupe_key
from events e cross join deliveries d on d.seq = e.seq
where e.provider = ?1 and e.account = ?2 and e.subscription_id = ?3
  and e.type >= 'payment.refunded' and e.type < 'subscription/'
  and e.type not in ('payment.succeeded', 'purchase.completed')";

pub(super) const BY_READER: &str = "\
select e.seq, e.n, e.type, e.at, e.test, e.app, e.user_id, e.email, e.name, e.subscription_id, e.plan, e.data,
  d.dedupe_key
from events e cross join deliveries d on d.seq = e.seq
where e.provider = ?1 and e.account = ?2 and e.user_id = ?3
  and e.type >= 'payment.refunded' and e.type < 'subscription/'
  and (substr(e.type, 1, 4) in ('subs', 'cons', 'agre', 'expe', 'iden') or e.type = 'payment.refunded')";

fn told(row: &Row<'_>) -> rusqlite::Result<Told> {
    let kind = kind(row, 2)?;
    let data: Data<'_> = json(11, row.get_ref(11)?.as_str()?)?;
    let (facts, refund): (SubscriptionFacts, PaymentFacts) = if kind == EventType::PaymentRefunded {
        (SubscriptionFacts::default(), facts(11, data.payment)?)
    } else {
        (facts(11, data.subscription)?, PaymentFacts::default())
    };
    Ok(Told {
        place: Place {
            at: instant(row, 3)?,
            rank: kind.rank(),
            key: row.get::<_, Option<String>>(12)?.unwrap_or_default(),
            n: row.get(1)?,
            seq: row.get(0)?,
        },
        kind,
        test: row.get(4)?,
        app: row.get(5)?,
        user_id: row.get(6)?,
        email: row.get(7)?,
        name: row.get(8)?,
        subscription_id: row.get(9)?,
        plan: row.get(10)?,
        facts,
        refund,
    })
}

fn gather(conn: &Connection, scope: &Scope, seed: Seed) -> Result<Members, Error> {
    let mut members = Members::default();
    let mut seeds = vec![seed];
    while let Some(seed) = seeds.pop() {
        let (is_id, name) = match seed {
            Seed::Id(id) if members.ids.insert(id.clone()) => (true, id),
            Seed::Reader(reader) if members.readers.insert(reader.clone()) => (false, reader),
            _ => continue,
        };
        let mut statement = conn.prepare_cached(if is_id { BY_ID } else { BY_READER })?;
        let rows = statement.query_map(params![scope.provider, scope.account, name], told)?;
        for row in rows {
            let told = row?;
            let with_reader = told.grouping() == Grouping::Reader;
            if !is_id && !with_reader {
                continue;
            }
            if with_reader && let Some(reader) = &told.user_id {
                seeds.push(Seed::Reader(reader.clone()));
            }
            if let Some(id) = &told.subscription_id {
                seeds.push(Seed::Id(id.clone()));
            }
            members.events.insert(told.place.id(), told);
        }
    }
    Ok(members)
}

/// The payments that the group's refunds give back.
fn paid(conn: &Connection, scope: &Scope, members: &Members) -> Result<Vec<Paid>, Error> {
    let transactions: BTreeSet<&str> = members
        .events
        .values()
        .filter_map(|told| told.refund.transaction_id.as_deref())
        .collect();
    let mut paid = Vec::new();
    for transaction_id in transactions {
        let parts = payments::of_transaction(conn, scope, transaction_id)?;
        let mine = parts.into_iter().filter(|part| {
            part.is_payment()
                && part
                    .user_id
                    .as_ref()
                    .is_none_or(|reader| members.readers.contains(reader))
        });
        paid.extend(mine.map(|part| Paid {
            transaction_id: transaction_id.to_owned(),
            seq: part.seq(),
            test: part.test,
            subscription_id: part.subscription_id,
        }));
    }
    Ok(paid)
}

/// Folds every group that `seeds` enter and writes what differs; how many rows of `subscriptions` that changed.
pub(super) fn refold(
    conn: &Connection,
    moment: Moment,
    seeds: &BTreeSet<(Scope, Seed)>,
    readers: &mut Readers,
) -> Result<usize, Error> {
    let mut done: BTreeSet<(Scope, Seed)> = BTreeSet::new();
    let mut writes = Writes::default();
    for entry in seeds {
        if done.contains(entry) {
            continue;
        }
        let (scope, seed) = entry;
        let members = gather(conn, scope, seed.clone())?;
        let paid = paid(conn, scope, &members)?;
        let Members {
            ids,
            readers: people,
            events,
        } = members;
        let folded = fold_all(events.into_values().collect(), &paid);
        for (id, subscription_id) in &folded.refunds {
            payments::attach(conn, *id, subscription_id.as_deref())?;
        }
        writes.compare(conn, moment, scope, &ids, &folded.standings, readers)?;
        done.extend(ids.into_iter().map(|id| (scope.clone(), Seed::Id(id))));
        done.extend(
            people
                .into_iter()
                .map(|id| (scope.clone(), Seed::Reader(id))),
        );
    }
    writes.apply(conn)
}

pub(super) const DUE: &str = "\
select provider, account, subscription_id from subscriptions where clock_at <= ?1 order by clock_at limit ?2";

/// Where the clock has changed something, at most `limit` of them.
pub(super) fn due(
    conn: &Connection,
    now: Timestamp,
    limit: usize,
) -> Result<BTreeSet<(Scope, Seed)>, Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = conn.prepare_cached(DUE)?;
    let rows = statement.query_map(params![now.to_string(), limit], |row| {
        let scope = Scope {
            provider: row.get(0)?,
            account: row.get(1)?,
        };
        Ok((scope, Seed::Id(row.get(2)?)))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// One row of `subscriptions`, in the order of its columns.
fn row_of(
    scope: &Scope,
    id: &str,
    standing: &Standing,
    users_id: Option<i64>,
    moment: Moment,
) -> Vec<Value> {
    let view = clock::view(standing, moment.now, moment.zone);
    let open = standing.open_spell();
    let price = standing.price.as_ref();
    let interval = standing.interval;
    vec![
        Value::Integer(standing.id),
        scope.provider.clone().into(),
        scope.account.clone().into(),
        standing.app.clone().into(),
        id.to_owned().into(),
        standing.gateway_id.clone().into(),
        standing.purchase_id.clone().into(),
        standing.user_id.clone().into(),
        users_id.into(),
        standing.email.clone().into(),
        standing.plan.clone().into(),
        view.status.to_owned().into(),
        standing.phase.as_str().to_owned().into(),
        view.state.into(),
        standing.auto_renew.map(i64::from).into(),
        view.has_access.map(i64::from).into(),
        time(standing.access_until),
        i64::from(standing.access_derived).into(),
        time(standing.started_at),
        time(standing.renewed_at),
        time(standing.converted_at),
        time(open.map(|open| open.cancelled_at)),
        open.and_then(|open| open.reason.clone()).into(),
        price.and_then(|price| price.minor).into(),
        money_currency(price),
        price.and_then(|price| price.exponent).map(i64::from).into(),
        price.and_then(Money::real).into(),
        interval
            .map(|interval| interval.unit.as_str().to_owned())
            .into(),
        interval.map(|interval| i64::from(interval.count)).into(),
        interval.map(months).into(),
        standing.flag.clone().into(),
        time(Some(standing.changed_at)),
        time(view.clock_at),
        i64::from(standing.test).into(),
    ]
}

fn time(at: Option<Timestamp>) -> Value {
    at.map(|at| at.to_string()).into()
}

fn money_currency(money: Option<&Money>) -> Value {
    money
        .and_then(currency)
        .map(std::borrow::Cow::into_owned)
        .into()
}

const STORED: &str = "\
select id, provider, account, app, subscription_id, gateway_id, purchase_id, user_id, users_id, email, plan, status,
  stated_status, state, auto_renew, has_access, access_until, access_derived, started_at, renewed_at, converted_at,
  cancelled_at, cancel_reason, price_minor, currency, exponent, price, interval_unit, interval_count, interval_months,
  flag, changed_at, clock_at, test
from subscriptions where provider = ?1 and account = ?2 and subscription_id = ?3";

const INSERT: &str = "\
insert into subscriptions (id, provider, account, app, subscription_id, gateway_id, purchase_id, user_id, users_id,
  email, plan, status, stated_status, state, auto_renew, has_access, access_until, access_derived, started_at,
  renewed_at, converted_at, cancelled_at, cancel_reason, price_minor, currency, exponent, price, interval_unit,
  interval_count, interval_months, flag, changed_at, clock_at, test)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24,
  ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34)";

const UPDATE: &str = "\
update subscriptions set app = ?4, gateway_id = ?6, purchase_id = ?7, user_id = ?8, users_id = ?9, email = ?10,
  plan = ?11, status = ?12, stated_status = ?13, state = ?14, auto_renew = ?15, has_access = ?16, access_until = ?17,
  access_derived = ?18, started_at = ?19, renewed_at = ?20, converted_at = ?21, cancelled_at = ?22,
  cancel_reason = ?23, price_minor = ?24, currency = ?25, exponent = ?26, price = ?27, interval_unit = ?28,
  interval_count = ?29, interval_months = ?30, flag = ?31, changed_at = ?32, clock_at = ?33, test = ?34
where id = ?1 and provider = ?2 and account = ?3 and subscription_id = ?5";

const DELETE: &str = "delete from subscriptions where id = ?1";

/// Places in a row.
const ID: usize = 0;
const USER_ID: usize = 7;
const HAS_ACCESS: usize = 15;
const TEST: usize = 33;
const WIDTH: usize = 34;

fn values(row: &Row<'_>, width: usize) -> rusqlite::Result<Vec<Value>> {
    (0..width).map(|index| row.get(index)).collect()
}

/// What differs between folded and stored rows. All groups are compared before any is written: a row's id may go from
/// one to another when what joined them was taken away.
#[derive(Default)]
struct Writes {
    changed: usize,
    gone: Vec<Value>,
    wanted: Vec<(&'static str, Vec<Value>)>,
    spells_gone: Vec<Value>,
    spells_wanted: Vec<Vec<Value>>,
}

impl Writes {
    fn compare(
        &mut self,
        conn: &Connection,
        moment: Moment,
        scope: &Scope,
        ids: &BTreeSet<String>,
        standings: &BTreeMap<String, Standing>,
        readers: &mut Readers,
    ) -> Result<(), Error> {
        for id in ids {
            let mut now = None;
            let mut spells = Vec::new();
            if let Some(standing) = standings.get(id) {
                let users_id = reader(conn, scope, standing.user_id.as_ref(), readers)?;
                now = Some(row_of(scope, id, standing, users_id, moment));
                let rows = standing.spells.iter();
                spells.extend(rows.map(|spell| spell_row(scope, id, standing, spell, moment.zone)));
            }
            self.compare_spells(conn, scope, id, spells)?;
            let before = stored(conn, scope, id)?;
            if before == now {
                continue;
            }
            self.changed += 1;
            touch(conn, scope, before.as_deref(), now.as_deref(), readers)?;
            match (before, now) {
                (Some(before), Some(now)) if before[ID] == now[ID] => {
                    self.wanted.push((UPDATE, now));
                }
                (before, now) => {
                    self.gone
                        .extend(before.map(|mut before| before.swap_remove(ID)));
                    self.wanted.extend(now.map(|now| (INSERT, now)));
                }
            }
        }
        Ok(())
    }

    fn compare_spells(
        &mut self,
        conn: &Connection,
        scope: &Scope,
        id: &str,
        spells: Vec<Vec<Value>>,
    ) -> Result<(), Error> {
        let mut statement = conn.prepare_cached(SPELLS)?;
        let mut before: Vec<Vec<Value>> = statement
            .query_map(params![scope.provider, scope.account, id], |row| {
                values(row, SPELL_WIDTH)
            })?
            .collect::<Result<_, _>>()?;
        for now in spells {
            match before.iter().position(|row| *row == now) {
                Some(same) => {
                    before.swap_remove(same);
                }
                None => self.spells_wanted.push(now),
            }
        }
        self.spells_gone
            .extend(before.into_iter().map(|mut row| row.swap_remove(ID)));
        Ok(())
    }

    /// Writes; how many rows of `subscriptions` changed.
    fn apply(self, conn: &Connection) -> Result<usize, Error> {
        for (delete, ids) in [(DELETE, self.gone), (DELETE_SPELL, self.spells_gone)] {
            for id in ids {
                conn.prepare_cached(delete)?.execute([id])?;
            }
        }
        let spells = self.spells_wanted.into_iter();
        let rows = self.wanted.into_iter();
        for (sql, row) in rows.chain(spells.map(|row| (INSERT_SPELL, row))) {
            conn.prepare_cached(sql)?.execute(params_from_iter(row))?;
        }
        Ok(self.changed)
    }
}

fn stored(conn: &Connection, scope: &Scope, id: &str) -> Result<Option<Vec<Value>>, Error> {
    let mut statement = conn.prepare_cached(STORED)?;
    let mut rows = statement.query(params![scope.provider, scope.account, id])?;
    Ok(rows.next()?.map(|row| values(row, WIDTH)).transpose()?)
}

fn reader(
    conn: &Connection,
    scope: &Scope,
    user_id: Option<&String>,
    readers: &mut Readers,
) -> Result<Option<i64>, Error> {
    let Some(user_id) = user_id else {
        return Ok(None);
    };
    let key = UserKey {
        scope: scope.clone(),
        user_id: user_id.clone(),
    };
    readers.id(conn, &key)
}

/// Has readers counted again whose subscriptions with access this changes.
fn touch(
    conn: &Connection,
    scope: &Scope,
    before: Option<&[Value]>,
    now: Option<&[Value]>,
    readers: &mut Readers,
) -> Result<(), Error> {
    let counts = |row: Option<&[Value]>| {
        row.map(|row| [USER_ID, HAS_ACCESS, TEST].map(|index| row[index].clone()))
    };
    if counts(before) == counts(now) {
        return Ok(());
    }
    for row in [before, now].into_iter().flatten() {
        if let Value::Text(user_id) = &row[USER_ID] {
            let key = UserKey {
                scope: scope.clone(),
                user_id: user_id.clone(),
            };
            readers.recount(conn, &key)?;
        }
    }
    Ok(())
}

/// One row of `cancellations`, in the order of its columns.
fn spell_row(
    scope: &Scope,
    id: &str,
    standing: &Standing,
    spell: &Spell,
    zone: Zone,
) -> Vec<Value> {
    let price = spell.price.as_ref();
    vec![
        spell.id.into(),
        spell.seq.into(),
        scope.provider.clone().into(),
        scope.account.clone().into(),
        id.to_owned().into(),
        spell.gateway_id.clone().into(),
        spell.user_id.clone().into(),
        spell.email.clone().into(),
        spell.name.clone().into(),
        spell.plan.clone().into(),
        time(Some(spell.cancelled_at)),
        spell.cancelled_at.day(zone).into(),
        spell.reason.clone().into(),
        spell.code.clone().into(),
        spell.actor.as_str().to_owned().into(),
        spell.matched.as_str().to_owned().into(),
        time(spell.access_until),
        price.and_then(|price| price.minor).into(),
        money_currency(price),
        price.and_then(|price| price.exponent).map(i64::from).into(),
        price.and_then(Money::real).into(),
        time(spell.reactivated_at),
        i64::from(standing.test).into(),
    ]
}

const SPELLS: &str = "\
select id, seq, provider, account, subscription_id, gateway_id, user_id, email, name, plan, cancelled_at, day, reason,
  code, actor, matched, access_until, price_minor, currency, exponent, price, reactivated_at, test
from cancellations where provider = ?1 and account = ?2 and subscription_id = ?3";

const INSERT_SPELL: &str = "\
insert into cancellations (id, seq, provider, account, subscription_id, gateway_id, user_id, email, name, plan,
  cancelled_at, day, reason, code, actor, matched, access_until, price_minor, currency, exponent, price,
  reactivated_at, test)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)";

const DELETE_SPELL: &str = "delete from cancellations where id = ?1";

const SPELL_WIDTH: usize = 23;

/// Every statement here that looks rows up, for the test of query plans.
#[cfg(test)]
pub(super) const LOOKUPS: &[&str] = &[
    BY_ID,
    BY_READER,
    DUE,
    STORED,
    UPDATE,
    DELETE,
    SPELLS,
    DELETE_SPELL,
];
