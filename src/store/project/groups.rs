//! Rows of `subscriptions` and `cancellations`: finding the events that are folded together, and writing what differs.
//!
//! Imports domain. A group is what shares a subscription id or, where the provider's cancels and refunds may name
//! none, a reader (MAPPING.md rule 11.4).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use crate::domain::event::{EventType, Grouping, PaymentFacts, SubscriptionFacts};
use crate::domain::money::Money;
use crate::domain::time::{Timestamp, Zone};
use crate::store::Error;
use crate::store::project::clock;
use crate::store::project::events::currency;
use crate::store::project::order::{Data, EVENTS_MAX, Place, Scope, facts, instant, json, kind};
use crate::store::project::payments;
use crate::store::project::recent::Recent;
use crate::store::project::subscriptions::{Paid, Spell, Standing, Sum, Told, months};
use crate::store::project::users::{Readers, UserKey};
use crate::store::project::{long, weight};

/// Where a group is entered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

impl Seed {
    /// About the bytes that it takes in memory.
    fn bytes(&self) -> usize {
        let (Self::Id(name) | Self::Reader(name)) = self;
        size_of::<Self>() + weight::text(name)
    }

    /// The statement that finds its events, and what it looks for.
    fn events(&self) -> (&'static str, &str) {
        match self {
            Self::Id(id) => (BY_ID, id),
            Self::Reader(reader) => (BY_READER, reader),
        }
    }
}

/// Where groups are entered, and the new events of each entry.
pub(super) type Seeds = BTreeMap<(Scope, Seed), BTreeSet<i64>>;

/// A group of so many events is kept in memory once it has been folded: fewer are read again as fast. Tests
/// keep every one, so that short streams take the same path.
const KEPT_FROM: usize = if cfg!(test) { 1 } else { 16 };

/// Groups that were folded lately, so that later events are added to what there is.
#[derive(Debug)]
pub(super) struct Kept {
    groups: Recent<u64, Group>,
    /// The group that each of its entries leads to.
    entries: HashMap<(Scope, Seed), u64>,
    latest: u64,
}

impl Kept {
    /// Keeps so many bytes; a group that takes more than half of them is not kept.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            groups: Recent::new(bytes_max),
            entries: HashMap::new(),
            latest: 0,
        }
    }
}

/// What is folded together, and what it adds up to.
#[derive(Debug)]
struct Group {
    scope: Scope,
    seeds: BTreeSet<Seed>,
    sum: Sum,
    /// Whether a refund is among its events: the payments of whoever joins it later may be what that gives back.
    refunds: bool,
    /// All events, where one came late, none is a refund and they are not too large.
    told: Option<Vec<Told>>,
}

impl Group {
    /// About the bytes that it takes in memory, its entries included.
    fn bytes(&self) -> usize {
        let scope = weight::text(&self.scope.provider) + weight::text(&self.scope.account);
        let entry = size_of::<((Scope, Seed), u64)>() + scope;
        let seeds = self.seeds.iter();
        let seeds: usize = seeds.map(|seed| entry + 2 * seed.bytes()).sum();
        let told = self.told.as_deref().map_or(0, bytes_of);
        size_of::<Self>() + seeds + self.sum.bytes() + told
    }

    /// Adds new events, wherever they stand; the subscriptions that this changes, with what they were before where that
    /// is not what the group adds up to. `None` if the events are not kept that all of it is folded from.
    fn add(&mut self, events: Vec<Told>) -> Option<Change> {
        let known = self.told.as_ref().map(Vec::len);
        if let Some(told) = &mut self.told {
            told.extend_from_slice(&events);
        }
        self.told.take_if(|told| has_refunds(told));
        if let Some(changed) = self.sum.add(events) {
            return Some(Change { changed, was: None });
        }
        let (told, known) = self.told.as_ref().zip(known)?;
        let was = Sum::of(told[..known].to_vec(), &[]);
        self.sum = Sum::of(told.clone(), &[]);
        Some(Change {
            changed: self.sum.differs(&was),
            was: Some(was),
        })
    }
}

/// What new events change in a group.
struct Change {
    changed: BTreeSet<String>,
    /// What the group added up to, where it was folded again.
    was: Option<Sum>,
}

fn bytes_of(events: &[Told]) -> usize {
    events.iter().map(Told::bytes).sum()
}

fn has_refunds(events: &[Told]) -> bool {
    let refund = |told: &Told| told.kind == EventType::PaymentRefunded;
    events.iter().any(refund)
}

impl Kept {
    fn knows(&self, entry: &(Scope, Seed)) -> bool {
        self.entries.contains_key(entry)
    }

    /// Takes a group out, to be put back or left.
    fn take(&mut self, entry: &(Scope, Seed)) -> Option<(u64, Group)> {
        let number = *self.entries.get(entry)?;
        Some((number, self.groups.take(&number)?))
    }

    /// Puts a group back that was taken out, now entered by `seeds` too.
    fn put_back(&mut self, number: u64, mut group: Group, seeds: BTreeSet<Seed>) {
        for seed in seeds {
            if group.seeds.insert(seed.clone()) {
                self.entries.insert((group.scope.clone(), seed), number);
            }
        }
        let mut bytes = group.bytes();
        if bytes > self.groups.weight_max() && group.told.take().is_some() {
            bytes = group.bytes();
        }
        for gone in self.groups.put(number, group, bytes) {
            self.leave(gone);
        }
    }

    fn put(&mut self, group: Group) {
        self.latest += 1;
        for seed in &group.seeds {
            let entry = (group.scope.clone(), seed.clone());
            self.entries.insert(entry, self.latest);
        }
        self.put_back(self.latest, group, BTreeSet::new());
    }

    fn leave(&mut self, group: Group) {
        let Group { scope, seeds, .. } = group;
        for seed in seeds {
            self.entries.remove(&(scope.clone(), seed));
        }
    }

    /// Has the group behind an entry folded again from the beginning.
    pub(super) fn forget(&mut self, entry: &(Scope, Seed)) {
        if let Some((_, group)) = self.take(entry) {
            self.leave(group);
        }
    }
}

/// All that is folded together.
#[derive(Default)]
struct Members {
    seeds: BTreeSet<Seed>,
    events: BTreeMap<i64, Told>,
}

impl Members {
    /// Takes an event in that was found by `seed`, if it is folded with what else is; what it leads to.
    fn meet(&mut self, seed: &Seed, told: Told) -> [Option<Seed>; 2] {
        let with_reader = told.grouping() == Grouping::Reader;
        if matches!(seed, Seed::Reader(_)) && !with_reader {
            return [None, None];
        }
        let reader = told.user_id.clone().filter(|_| with_reader);
        let id = told.subscription_id.clone();
        self.events.insert(told.place.id(), told);
        [reader.map(Seed::Reader), id.map(Seed::Id)]
    }

    fn has_reader(&self, reader: &str) -> bool {
        self.seeds.contains(&Seed::Reader(reader.to_owned()))
    }
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

/// An event as it is folded.
fn told(row: &Row<'_>) -> rusqlite::Result<Told> {
    let mut told = told_whole(row)?;
    told.shorten();
    Ok(told)
}

/// An event with its long texts.
fn told_whole(row: &Row<'_>) -> rusqlite::Result<Told> {
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
        if !members.seeds.insert(seed.clone()) {
            continue;
        }
        let (sql, name) = seed.events();
        let mut statement = conn.prepare_cached(sql)?;
        let rows = statement.query_map(params![scope.provider, scope.account, name], told)?;
        for row in rows {
            seeds.extend(members.meet(&seed, row?).into_iter().flatten());
        }
    }
    Ok(members)
}

const ONE: &str = "\
select e.seq, e.n, e.type, e.at, e.test, e.app, e.user_id, e.email, e.name, e.subscription_id, e.plan, e.data,
  d.dedupe_key
from events e cross join deliveries d on d.seq = e.seq
where e.id = ?1";

/// The new events that are folded with `group`; `None` if they bring earlier ones with them, or a reader whose payments
/// its refunds were not set against.
fn gather_fresh(conn: &Connection, group: &Group, all: &Seeds) -> Result<Option<Members>, Error> {
    let mut members = Members::default();
    let mine = |(scope, seed): &&(Scope, Seed)| *scope == group.scope && group.seeds.contains(seed);
    let entries = all.keys().filter(mine);
    let mut seeds: Vec<Seed> = entries.map(|(_, seed)| seed.clone()).collect();
    while let Some(seed) = seeds.pop() {
        if !members.seeds.insert(seed.clone()) {
            continue;
        }
        let entry = (group.scope.clone(), seed);
        let fresh = all.get(&entry);
        let (scope, seed) = entry;
        for id in fresh.into_iter().flatten() {
            let told = conn.prepare_cached(ONE)?.query_row([id], told)?;
            seeds.extend(members.meet(&seed, told).into_iter().flatten());
        }
        if group.seeds.contains(&seed) {
            continue;
        }
        let pays = group.refunds && matches!(seed, Seed::Reader(_));
        if pays || has_others(conn, &scope, &seed, fresh)? {
            return Ok(None);
        }
    }
    Ok(Some(members))
}

/// Whether `seed` has events other than those of `fresh`.
fn has_others(
    conn: &Connection,
    scope: &Scope,
    seed: &Seed,
    fresh: Option<&BTreeSet<i64>>,
) -> Result<bool, Error> {
    let (sql, name) = seed.events();
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params![scope.provider, scope.account, name])?;
    while let Some(row) = rows.next()? {
        let id = row.get::<_, i64>(0)? * EVENTS_MAX + row.get::<_, i64>(1)?;
        if !fresh.is_some_and(|fresh| fresh.contains(&id)) {
            return Ok(true);
        }
    }
    Ok(false)
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
                    .is_none_or(|reader| members.has_reader(reader))
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
    seeds: &Seeds,
    kept: &mut Kept,
    readers: &mut Readers,
) -> Result<usize, Error> {
    let mut done: BTreeSet<(Scope, Seed)> = BTreeSet::new();
    let mut writes = Writes::default();
    // A new subscription of a known reader is found from the reader.
    let (known, fresh): (Vec<_>, Vec<_>) = seeds.keys().partition(|entry| kept.knows(entry));
    for entry in known.into_iter().chain(fresh) {
        if done.contains(entry) {
            continue;
        }
        let is_late = kept.knows(entry);
        let met = match add(conn, moment, entry, seeds, kept, &mut writes, readers)? {
            Some(met) => met,
            None => refold_one(conn, moment, entry, is_late, kept, &mut writes, readers)?,
        };
        done.extend(met.into_iter().map(|seed| (entry.0.clone(), seed)));
    }
    writes.apply(conn)
}

/// Adds the new events of the group behind `entry` to what it is known to add up to; the entries that this serves.
/// `None` if all of the group must be folded again.
fn add(
    conn: &Connection,
    moment: Moment,
    entry: &(Scope, Seed),
    seeds: &Seeds,
    kept: &mut Kept,
    writes: &mut Writes,
    readers: &mut Readers,
) -> Result<Option<BTreeSet<Seed>>, Error> {
    let Some((number, mut group)) = kept.take(entry) else {
        return Ok(None);
    };
    let scope = &entry.0;
    let mut found = None;
    if let Some(members) = gather_fresh(conn, &group, seeds)? {
        let change = group.add(members.events.into_values().collect());
        found = change.map(|change| (members.seeds, change));
    }
    let Some((met, Change { mut changed, was })) = found else {
        kept.leave(group);
        return Ok(None);
    };
    // What the clock changes, it changes without an event.
    changed.extend(ids(&met).cloned());
    for id in &changed {
        let standing = group.sum.standing(id);
        match &was {
            Some(was) => {
                let both = [was.standing(id), standing];
                writes.compare_both(conn, moment.zone, scope, id, both)?;
            }
            None => writes.compare_latest_spells(conn, moment.zone, scope, id, standing)?,
        }
        writes.compare(conn, moment, scope, id, standing, readers)?;
    }
    if was.is_some() {
        let all = group.seeds.union(&met).cloned().collect();
        group.sum.settle(ids(&all));
    } else {
        group.sum.settle(changed.iter());
    }
    kept.put_back(number, group, met.clone());
    Ok(Some(met))
}

/// Folds all of the group behind `entry`; the entries that this serves. Where an event came late, others will: the events
/// are kept for them.
fn refold_one(
    conn: &Connection,
    moment: Moment,
    entry: &(Scope, Seed),
    was_late: bool,
    kept: &mut Kept,
    writes: &mut Writes,
    readers: &mut Readers,
) -> Result<BTreeSet<Seed>, Error> {
    let (scope, seed) = entry;
    let members = gather(conn, scope, seed.clone())?;
    let paid = paid(conn, scope, &members)?;
    let Members { seeds, events } = members;
    for seed in &seeds {
        kept.forget(&(scope.clone(), seed.clone()));
    }
    let is_long = events.len() >= KEPT_FROM;
    let events: Vec<Told> = events.into_values().collect();
    let refunds = has_refunds(&events);
    // What a refund gives back is looked up.
    let may_keep = is_long && !refunds && bytes_of(&events) <= kept.groups.weight_max();
    let told = (was_late && may_keep).then(|| events.clone());
    let mut sum = Sum::of(events, &paid);
    for (id, subscription_id) in sum.refunds() {
        payments::attach(conn, id, subscription_id)?;
    }
    for id in ids(&seeds) {
        let standing = sum.standing(id);
        writes.compare_spells(conn, moment.zone, scope, id, standing)?;
        writes.compare(conn, moment, scope, id, standing, readers)?;
    }
    if is_long {
        sum.settle(ids(&seeds));
        kept.put(Group {
            scope: scope.clone(),
            seeds: seeds.clone(),
            sum,
            refunds,
            told,
        });
    }
    Ok(seeds)
}

/// What a group has in the lists, where each of its rows is as folded.
pub(super) struct Settled {
    /// Everything that enters it.
    pub(super) seeds: BTreeSet<Seed>,
    /// Rows of `subscriptions`.
    pub(super) subscriptions: u64,
    /// Rows of `cancellations`.
    pub(super) cancellations: u64,
    /// Refunds of which it says to which subscription they belong.
    pub(super) refunds: Vec<i64>,
}

/// What stands of the group behind an entry.
pub(super) enum Stands {
    /// The rows that it folds into.
    Settled(Settled),
    /// A group has several entries, and is looked at from its first.
    Elsewhere(BTreeSet<Seed>),
    /// Other rows.
    Otherwise,
}

/// Folds the group behind `seed` again and looks whether its rows are what that gives; writes nothing.
pub(super) fn stands(
    conn: &Connection,
    moment: Moment,
    scope: &Scope,
    seed: &Seed,
    readers: &mut Readers,
) -> Result<Stands, Error> {
    let members = gather(conn, scope, seed.clone())?;
    if members.seeds.first() != Some(seed) {
        return Ok(Stands::Elsewhere(members.seeds));
    }
    let paid = paid(conn, scope, &members)?;
    let Members { seeds, events } = members;
    let sum = Sum::of(events.into_values().collect(), &paid);
    let mut settled = Settled {
        subscriptions: 0,
        cancellations: 0,
        refunds: Vec::new(),
        seeds,
    };
    for (id, subscription_id) in sum.refunds() {
        if !payments::is_attached(conn, id, subscription_id)? {
            return Ok(Stands::Otherwise);
        }
        settled.refunds.push(id);
    }
    let mut writes = Writes::default();
    for id in ids(&settled.seeds) {
        let standing = sum.standing(id);
        writes.compare_spells(conn, moment.zone, scope, id, standing)?;
        writes.compare(conn, moment, scope, id, standing, readers)?;
        settled.subscriptions += u64::from(standing.is_some());
        settled.cancellations += standing.map_or(0, |standing| standing.spells.len() as u64);
    }
    Ok(if writes.is_empty() {
        Stands::Settled(settled)
    } else {
        Stands::Otherwise
    })
}

fn ids(seeds: &BTreeSet<Seed>) -> impl Iterator<Item = &String> {
    seeds.iter().filter_map(|seed| match seed {
        Seed::Id(id) => Some(id),
        Seed::Reader(_) => None,
    })
}

pub(super) const DUE: &str = "\
select provider, account, subscription_id from subscriptions where clock_at <= ?1 order by clock_at limit ?2";

/// Where the clock has changed something, at most `limit` of them.
pub(super) fn due(conn: &Connection, now: Timestamp, limit: usize) -> Result<Seeds, Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = conn.prepare_cached(DUE)?;
    let rows = statement.query_map(params![now.to_string(), limit], |row| {
        let scope = Scope {
            provider: row.get(0)?,
            account: row.get(1)?,
        };
        Ok(((scope, Seed::Id(row.get(2)?)), BTreeSet::new()))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) const AFTER: &str = "\
select provider, account, subscription_id, id from subscriptions where id > ?1 order by id limit ?2";

/// The subscriptions behind the row `after`, at most `limit`, and the id of the last.
pub(super) fn after(
    conn: &Connection,
    after: i64,
    limit: usize,
) -> Result<(Seeds, Option<i64>), Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = conn.prepare_cached(AFTER)?;
    let mut rows = statement.query([after, limit])?;
    let (mut seeds, mut last) = (Seeds::default(), None);
    while let Some(row) = rows.next()? {
        let scope = Scope {
            provider: row.get(0)?,
            account: row.get(1)?,
        };
        seeds.insert((scope, Seed::Id(row.get(2)?)), BTreeSet::new());
        last = Some(row.get(3)?);
    }
    Ok((seeds, last))
}

/// Where an event has a text.
type Field = fn(Told) -> Option<String>;

const EMAIL: Field = |told| told.email;
const NAME: Field = |told| told.name;
const PLAN: Field = |told| told.plan;
const PURCHASE_ID: Field = |told| told.facts.purchase_id;
const FLAG: Field = |told| told.facts.flag;
const REASON: Field = |told| told.facts.cancellation?.reason;
const CODE: Field = |told| told.facts.cancellation?.code;

/// A text as its column has it: one that a word stands for is read from its event.
fn whole(conn: &Connection, text: Option<&String>, field: Field) -> Result<Value, Error> {
    let Some(id) = text.and_then(|text| long::event_of(text)) else {
        return Ok(text.cloned().into());
    };
    let told = conn.prepare_cached(ONE)?.query_row([id], told_whole)?;
    Ok(field(told).into())
}

/// One row of `subscriptions`, in the order of its columns.
fn row_of(
    conn: &Connection,
    scope: &Scope,
    id: &str,
    standing: &Standing,
    users_id: Option<i64>,
    moment: Moment,
) -> Result<Vec<Value>, Error> {
    let view = clock::view(standing, moment.now, moment.zone);
    let open = standing.open_spell();
    let price = standing.price.as_ref();
    let interval = standing.interval;
    Ok(vec![
        Value::Integer(standing.id),
        scope.provider.clone().into(),
        scope.account.clone().into(),
        standing.app.clone().into(),
        id.to_owned().into(),
        standing.gateway_id.clone().into(),
        whole(conn, standing.purchase_id.as_ref(), PURCHASE_ID)?,
        standing.user_id.clone().into(),
        users_id.into(),
        whole(conn, standing.email.as_ref(), EMAIL)?,
        whole(conn, standing.plan.as_ref(), PLAN)?,
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
        whole(conn, open.and_then(|open| open.reason.as_ref()), REASON)?,
        price.and_then(|price| price.minor).into(),
        money_currency(price),
        price.and_then(|price| price.exponent).map(i64::from).into(),
        price.and_then(Money::real).into(),
        interval
            .map(|interval| interval.unit.as_str().to_owned())
            .into(),
        interval.map(|interval| i64::from(interval.count)).into(),
        interval.map(months).into(),
        whole(conn, standing.flag.as_ref(), FLAG)?,
        time(Some(standing.changed_at)),
        time(view.clock_at),
        i64::from(standing.test).into(),
    ])
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
    /// One row of `subscriptions`.
    fn compare(
        &mut self,
        conn: &Connection,
        moment: Moment,
        scope: &Scope,
        id: &str,
        standing: Option<&Standing>,
        readers: &mut Readers,
    ) -> Result<(), Error> {
        let now = match standing {
            Some(standing) => {
                let users_id = reader(conn, scope, standing.user_id.as_ref(), readers)?;
                Some(row_of(conn, scope, id, standing, users_id, moment)?)
            }
            None => None,
        };
        let before = stored(conn, scope, id)?;
        if before == now {
            return Ok(());
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
        Ok(())
    }

    /// All cancellations of a subscription.
    fn compare_spells(
        &mut self,
        conn: &Connection,
        zone: Zone,
        scope: &Scope,
        id: &str,
        standing: Option<&Standing>,
    ) -> Result<(), Error> {
        let mut statement = conn.prepare_cached(SPELLS)?;
        let before = statement
            .query_map(params![scope.provider, scope.account, id], |row| {
                values(row, SPELL_WIDTH)
            })?
            .collect::<Result<_, _>>()?;
        self.replace_spells(before, spell_rows(conn, scope, id, standing, zone)?);
        Ok(())
    }

    /// The cancellations that were not settled before: the first of them may stand already.
    fn compare_latest_spells(
        &mut self,
        conn: &Connection,
        zone: Zone,
        scope: &Scope,
        id: &str,
        standing: Option<&Standing>,
    ) -> Result<(), Error> {
        let wanted = spell_rows(conn, scope, id, standing, zone)?;
        let Some(first) = wanted.first() else {
            return Ok(());
        };
        let mut statement = conn.prepare_cached(SPELL)?;
        let before = statement
            .query_map([&first[ID]], |row| values(row, SPELL_WIDTH))?
            .collect::<Result<_, _>>()?;
        self.replace_spells(before, wanted);
        Ok(())
    }

    /// The cancellations that differ between what a subscription was and what it is.
    fn compare_both(
        &mut self,
        conn: &Connection,
        zone: Zone,
        scope: &Scope,
        id: &str,
        [was, is]: [Option<&Standing>; 2],
    ) -> Result<(), Error> {
        let known = |one: Option<&Standing>| -> Result<BTreeMap<i64, Vec<Value>>, Error> {
            let rows = spell_rows(conn, scope, id, one, zone)?.into_iter();
            let named = one.into_iter().flat_map(|one| &one.spells);
            Ok(named.map(|spell| spell.id).zip(rows).collect())
        };
        let (mut before, mut wanted) = (known(was)?, known(is)?);
        before.retain(|spell, row| {
            let same = wanted.get(spell) == Some(row);
            if same {
                wanted.remove(spell);
            }
            !same
        });
        self.spells_gone.extend(before.into_keys().map(Value::from));
        self.spells_wanted.extend(wanted.into_values());
        Ok(())
    }

    fn replace_spells(&mut self, mut before: Vec<Vec<Value>>, wanted: Vec<Vec<Value>>) {
        for now in wanted {
            match before.iter().position(|row| *row == now) {
                Some(same) => {
                    before.swap_remove(same);
                }
                None => self.spells_wanted.push(now),
            }
        }
        self.spells_gone
            .extend(before.into_iter().map(|mut row| row.swap_remove(ID)));
    }

    const fn is_empty(&self) -> bool {
        self.changed == 0 && self.spells_gone.is_empty() && self.spells_wanted.is_empty()
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

/// Counts the subscriptions with access of readers whom this changes.
fn touch(
    conn: &Connection,
    scope: &Scope,
    before: Option<&[Value]>,
    now: Option<&[Value]>,
    readers: &mut Readers,
) -> Result<(), Error> {
    let counted = |row: Option<&[Value]>| {
        row.filter(|row| row[HAS_ACCESS] == Value::Integer(1))
            .map(|row| [USER_ID, TEST].map(|index| row[index].clone()))
    };
    let (before, now) = (counted(before), counted(now));
    if before == now {
        return Ok(());
    }
    for (row, change) in [(before, -1), (now, 1)] {
        if let Some([Value::Text(user_id), test]) = row {
            let key = UserKey {
                scope: scope.clone(),
                user_id,
            };
            readers.count_access(conn, &key, test == Value::Integer(1), change)?;
        }
    }
    Ok(())
}

fn spell_rows(
    conn: &Connection,
    scope: &Scope,
    id: &str,
    standing: Option<&Standing>,
    zone: Zone,
) -> Result<Vec<Vec<Value>>, Error> {
    let rows = standing.into_iter().flat_map(|standing| {
        let spells = standing.spells.iter();
        spells.map(move |spell| spell_row(conn, scope, id, standing, spell, zone))
    });
    rows.collect()
}

/// One row of `cancellations`, in the order of its columns.
fn spell_row(
    conn: &Connection,
    scope: &Scope,
    id: &str,
    standing: &Standing,
    spell: &Spell,
    zone: Zone,
) -> Result<Vec<Value>, Error> {
    let price = spell.price.as_ref();
    Ok(vec![
        spell.id.into(),
        spell.seq.into(),
        scope.provider.clone().into(),
        scope.account.clone().into(),
        id.to_owned().into(),
        spell.gateway_id.clone().into(),
        spell.user_id.clone().into(),
        whole(conn, spell.email.as_ref(), EMAIL)?,
        whole(conn, spell.name.as_ref(), NAME)?,
        whole(conn, spell.plan.as_ref(), PLAN)?,
        time(Some(spell.cancelled_at)),
        spell.cancelled_at.day(zone).into(),
        whole(conn, spell.reason.as_ref(), REASON)?,
        whole(conn, spell.code.as_ref(), CODE)?,
        spell.actor.as_str().to_owned().into(),
        spell.matched.as_str().to_owned().into(),
        time(spell.access_until),
        price.and_then(|price| price.minor).into(),
        money_currency(price),
        price.and_then(|price| price.exponent).map(i64::from).into(),
        price.and_then(Money::real).into(),
        time(spell.reactivated_at),
        i64::from(standing.test).into(),
    ])
}

const SPELLS: &str = "\
select id, seq, provider, account, subscription_id, gateway_id, user_id, email, name, plan, cancelled_at, day, reason,
  code, actor, matched, access_until, price_minor, currency, exponent, price, reactivated_at, test
from cancellations where provider = ?1 and account = ?2 and subscription_id = ?3";

const SPELL: &str = "\
select id, seq, provider, account, subscription_id, gateway_id, user_id, email, name, plan, cancelled_at, day, reason,
  code, actor, matched, access_until, price_minor, currency, exponent, price, reactivated_at, test
from cancellations where id = ?1";

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
    ONE,
    DUE,
    AFTER,
    STORED,
    UPDATE,
    DELETE,
    SPELLS,
    SPELL,
    DELETE_SPELL,
];
