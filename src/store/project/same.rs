//! Whether the projections are what the deliveries say, looked at piece by piece and on several threads at once.
//!
//! Imports domain. Reads only. A delivery is compared with its events and payments; a reader, a group of subscriptions
//! and everything a reader agreed to is folded once from its events and compared with its rows. Rows that no piece
//! accounts for are found by number at the end. It proves that nothing differs, or says that something does, not what.

use std::collections::{BTreeSet, HashSet};

use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator as _;
use rusqlite::{Connection, Row, Rows};

use crate::domain::event::EventType;
use crate::domain::time::{Timestamp, Zone};
use crate::store::Error;
use crate::store::project::daily::Tally;
use crate::store::project::events::{self, Fresh, USERS_ID};
use crate::store::project::groups::{self, Moment, Seed, Stands};
use crate::store::project::left::{Left, Names};
use crate::store::project::order::{Cell, EVENTS_MAX, Scope, is_cell, is_row};
use crate::store::project::payments::{self, FLAG_PLACE, SUBSCRIPTION_ID};
use crate::store::project::users::Readers;
use crate::store::project::{Read, Touched, consents, reader_of, users};

/// A group with so many entries is remembered once it was met, so that it is not gathered from each of them.
const LARGE: usize = 4;

/// Why a look ended early.
#[derive(Debug)]
pub(crate) enum Apart {
    /// Something differs.
    Differs,
    /// It could not be told.
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Apart {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// What differs ends the look.
fn ensure(holds: bool) -> Result<(), Apart> {
    if holds { Ok(()) } else { Err(Apart::Differs) }
}

/// Where a group of subscriptions is entered.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Entry(Scope, Seed);

/// Somebody at one provider.
pub(crate) struct Reader(Scope, String);

/// What was looked at, and how much of it there is.
#[derive(Default)]
pub(crate) struct Seen {
    tally: Tally,
    /// Refunds whose row names another subscription than the event, by id: a group must account for each.
    moved: HashSet<i64>,
    attached: HashSet<i64>,
    /// Readers whose groups have no id to be entered by.
    lone: HashSet<Entry>,
    events: u64,
    /// Events about a person, from the deliveries and from the readers.
    personal: u64,
    of_readers: u64,
    users: u64,
    payments: u64,
    aliases: u64,
    subscriptions: u64,
    cancellations: u64,
    consents: u64,
    changes: u64,
}

impl Seen {
    /// Adds what another thread looked at.
    pub(crate) fn join(&mut self, other: Self) {
        self.tally.join(other.tally);
        self.moved.extend(other.moved);
        self.attached.extend(other.attached);
        self.lone.extend(other.lone);
        self.events += other.events;
        self.personal += other.personal;
        self.of_readers += other.of_readers;
        self.users += other.users;
        self.payments += other.payments;
        self.aliases += other.aliases;
        self.subscriptions += other.subscriptions;
        self.cancellations += other.cancellations;
        self.consents += other.consents;
        self.changes += other.changes;
    }

    /// Readers whose groups are entered by nothing else, as far as deliveries were looked at.
    pub(crate) fn take_lone(&mut self) -> Vec<Entry> {
        self.lone.drain().collect()
    }

    /// Whether nothing stands in the tables but what was looked at, and what is `left` of what was erased.
    pub(crate) fn accounts_for_all(mut self, conn: &Connection, left: &Left) -> Result<(), Apart> {
        ensure(self.personal == self.of_readers)?;
        ensure(self.moved.is_subset(&self.attached))?;
        left.tally(&mut self.tally)?;
        let beside = left.stands(conn)?.ok_or(Apart::Differs)?;
        for (table, seen) in [
            ("events", self.events),
            ("users", self.users),
            ("payments", self.payments),
            ("user_aliases", self.aliases),
            ("subscriptions", self.subscriptions),
            ("cancellations", self.cancellations),
            ("consents", self.consents),
            ("consent_changes", self.changes),
        ] {
            let count = conn.query_row(&format!("select count(*) from {table}"), [], |row| {
                row.get::<_, i64>(0)
            })?;
            let of_left = beside.iter().find(|(name, _)| *name == table);
            let seen = seen + of_left.map_or(0, |(_, rows)| *rows);
            ensure(u64::try_from(count) == Ok(seen))?;
        }
        ensure(self.tally.stands(conn)?)
    }
}

/// Looks at pieces on one thread, as of one moment.
pub(crate) struct Look<'a> {
    conn: &'a Connection,
    left: &'a Names,
    moment: Moment,
    /// Large groups that were met.
    met: HashSet<Entry>,
    /// What was looked at so far.
    pub(crate) seen: Seen,
}

impl<'a> Look<'a> {
    pub(crate) fn new(conn: &'a Connection, left: &'a Names, zone: Zone, now: Timestamp) -> Self {
        Self {
            conn,
            left,
            moment: Moment { now, zone },
            met: HashSet::new(),
            seen: Seen::default(),
        }
    }

    /// Compares the deliveries after `after`, up to `to`, with their events and payments; `batch` is what was read out of
    /// those among them that give any, in their order.
    pub(crate) fn deliveries(
        &mut self,
        batch: &[Read<'_>],
        after: i64,
        to: i64,
    ) -> Result<(), Apart> {
        let fresh = events::prepare(self.moment.zone, batch)?;
        let ids = [(after + 1) * EVENTS_MAX, (to + 1) * EVENTS_MAX];
        let users = self.events(&fresh, ids)?;
        self.payments(&fresh, &users, ids)
    }

    /// The reader's row of each event.
    fn events(&mut self, fresh: &[Fresh<'_>], ids: [i64; 2]) -> Result<Vec<Option<i64>>, Apart> {
        let mut statement = self.conn.prepare_cached(events::ROWS)?;
        let mut rows = statement.query(ids)?;
        let mut users = Vec::with_capacity(fresh.len());
        for fresh in fresh {
            // A name of ours in a webhook is for the whole comparison.
            let named = fresh.subscription_id.as_deref();
            ensure(!named.is_some_and(|id| self.left.subscriptions.contains(id)))?;
            let row = self.next(&mut rows)?.ok_or(Apart::Differs)?;
            let users_id: Option<i64> = row.get(USERS_ID)?;
            ensure(users_id.is_some() == reader_of(fresh).is_some())?;
            ensure(is_row(row, &events::row(fresh, users_id))?)?;
            users.push(users_id);
            self.seen.events += 1;
            self.seen.personal += u64::from(users_id.is_some());
            if !fresh.is_test() {
                let kind = fresh.event.kind.as_str();
                self.seen.tally.event(&fresh.day, &fresh.scope, kind);
            }
            let seeds = Touched::seeds(fresh);
            if let [None, Some(reader)] = seeds {
                self.seen.lone.insert(Entry(fresh.scope.clone(), reader));
            }
        }
        ensure(self.next(&mut rows)?.is_none())?;
        Ok(users)
    }

    /// The next row that does not stand for something erased.
    fn next<'r, 's>(&self, rows: &'r mut Rows<'s>) -> Result<Option<&'r Row<'s>>, Apart> {
        loop {
            rows.advance()?;
            match rows.get() {
                Some(row) if self.left.events.contains(&row.get(0)?) => {}
                _ => break,
            }
        }
        let rows: &'r Rows<'s> = rows;
        Ok(rows.get())
    }

    fn payments(
        &mut self,
        fresh: &[Fresh<'_>],
        users: &[Option<i64>],
        ids: [i64; 2],
    ) -> Result<(), Apart> {
        let mut statement = self.conn.prepare_cached(payments::ROWS)?;
        let mut rows = statement.query(ids)?;
        for (fresh, users_id) in fresh.iter().zip(users) {
            let Some(mut wanted) = payments::row(fresh, *users_id) else {
                continue;
            };
            let row = self.next(&mut rows)?.ok_or(Apart::Differs)?;
            self.seen.payments += 1;
            if fresh.event.kind == EventType::PaymentRefunded {
                self.refund(fresh, row, &mut wanted)?;
            }
            ensure(is_row(row, &wanted)?)?;
        }
        ensure(self.next(&mut rows)?.is_none())
    }

    /// What is decided of a refund beyond its event: whether it gives back too much, and whose it is.
    fn refund(
        &mut self,
        fresh: &Fresh<'_>,
        row: &Row<'_>,
        wanted: &mut [Cell<'_>],
    ) -> Result<(), Apart> {
        let id = fresh.place.id();
        if !is_cell(row.get_ref(SUBSCRIPTION_ID)?, &wanted[SUBSCRIPTION_ID]) {
            self.seen.moved.insert(id);
            wanted[SUBSCRIPTION_ID] = Cell::Owned(row.get(SUBSCRIPTION_ID)?);
        }
        let Some(transaction_id) = payments::transaction_of(fresh) else {
            return Ok(());
        };
        let flag: Option<String> = row.get(FLAG_PLACE)?;
        let own = payments::own_flag(flag.as_deref());
        ensure(is_cell(own.as_deref().into(), &wanted[FLAG_PLACE]))?;
        wanted[FLAG_PLACE] = Cell::Owned(flag.into());
        let checked = payments::is_checked(self.conn, &fresh.scope, &transaction_id, id)?;
        ensure(checked.unwrap_or(true))
    }

    /// Looks at the readers who were first met by the deliveries after `after`, up to `to`.
    pub(crate) fn readers(&mut self, after: i64, to: i64) -> Result<(), Apart> {
        let mut statement = self.conn.prepare_cached(users::ROWS)?;
        let mut rows = statement.query([(after + 1) * EVENTS_MAX, (to + 1) * EVENTS_MAX])?;
        while let Some(row) = rows.next()? {
            if self.left.users.contains(&row.get(0)?) {
                continue;
            }
            let settled = users::stands(self.conn, row)?.ok_or(Apart::Differs)?;
            self.seen.users += 1;
            self.seen.of_readers += settled.events;
            self.seen.aliases += settled.aliases;
            let scope = Scope {
                provider: row.get(1)?,
                account: row.get(2)?,
            };
            for (day, kind) in settled.days {
                self.seen.tally.reader(&day, &scope, &kind);
            }
        }
        Ok(())
    }

    /// Looks at what these readers agreed to.
    pub(crate) fn consents(&mut self, readers: &[Reader]) -> Result<(), Apart> {
        for Reader(scope, user_id) in readers {
            let settled = consents::stands(self.conn, self.moment.zone, scope, user_id)?;
            let settled = settled.ok_or(Apart::Differs)?;
            self.seen.consents += settled.purposes;
            self.seen.changes += settled.changes;
        }
        Ok(())
    }

    /// Looks at the groups of subscriptions behind these entries.
    pub(crate) fn groups(&mut self, entries: &[Entry]) -> Result<(), Apart> {
        let mut readers = Readers::default();
        for entry in entries {
            if self.met.remove(entry) {
                continue;
            }
            let Entry(scope, seed) = entry;
            if matches!(seed, Seed::Id(id) if self.left.subscriptions.contains(id)) {
                continue;
            }
            match groups::stands(self.conn, self.moment, scope, seed, &mut readers)? {
                Stands::Otherwise => return Err(Apart::Differs),
                Stands::Elsewhere(seeds) => self.meet(scope, seeds),
                Stands::Settled(settled) => {
                    self.seen.subscriptions += settled.subscriptions;
                    self.seen.cancellations += settled.cancellations;
                    self.seen.attached.extend(settled.refunds);
                    self.meet(scope, settled.seeds);
                }
            }
        }
        Ok(())
    }

    /// The first entry comes first wherever entries come in their order; this thread need not gather the group again.
    fn meet(&mut self, scope: &Scope, seeds: BTreeSet<Seed>) {
        if seeds.len() >= LARGE {
            let entries = seeds.into_iter().skip(1);
            self.met
                .extend(entries.map(|seed| Entry(scope.clone(), seed)));
        }
    }
}

/// Where groups are entered: every subscription that an event names, in their order.
pub(crate) fn entries(
    conn: &Connection,
    lot: usize,
    to: &mut dyn FnMut(Vec<Entry>) -> bool,
) -> Result<(), Error> {
    let sql = "select distinct provider, account, subscription_id from events indexed by events_subscription
               where subscription_id is not null order by provider, account, subscription_id";
    named(conn, sql, lot, |scope, id| Entry(scope, Seed::Id(id)), to)
}

/// Everybody who was told to have agreed to something or not, in their order.
pub(crate) fn agreeing(
    conn: &Connection,
    lot: usize,
    to: &mut dyn FnMut(Vec<Reader>) -> bool,
) -> Result<(), Error> {
    let sql = "select distinct provider, account, user_id from events indexed by events_folded
               where substr(type, 1, 4) in ('cons', 'agre', 'expe', 'iden') and user_id is not null
                 and (substr(type, 1, 4) in ('subs', 'cons', 'agre', 'expe', 'iden') or type = 'payment.refunded')
               order by provider, account, user_id";
    named(conn, sql, lot, Reader, to)
}

/// Gives what a statement names to `to`, `lot` at a time, until it wants no more.
fn named<T>(
    conn: &Connection,
    sql: &str,
    lot: usize,
    name: impl Fn(Scope, String) -> T,
    to: &mut dyn FnMut(Vec<T>) -> bool,
) -> Result<(), Error> {
    let mut statement = conn.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut some = Vec::with_capacity(lot);
    while let Some(row) = rows.next()? {
        let scope = Scope {
            provider: row.get(0)?,
            account: row.get(1)?,
        };
        some.push(name(scope, row.get(2)?));
        if some.len() == lot && !to(std::mem::take(&mut some)) {
            return Ok(());
        }
    }
    if !some.is_empty() {
        to(some);
    }
    Ok(())
}
