//! Everything folded again, in a file of its own beside the ledger.
//!
//! The file is no ledger and is gone with its owner: it has the projections, without what only lists are found by, and
//! of each delivery what folds look up. Nothing in it needs to last, so nothing is synced. Deliveries are read on one
//! thread and folded on another where nobody waits for the ledger meanwhile. What cannot be folded is left out, one by
//! one. Never writes to the ledger.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::domain::time::{Timestamp, Zone};
use crate::store::append::stored_some;
use crate::store::fold::{Folder, Trouble, Unfolded, start_again_by_the_clock, unfolded};
use crate::store::project::residue;
use crate::store::schema::{self, COMPARED, beside, folder, remove};
use crate::store::task::TaskReport;
use crate::store::thread::{Core, TICK_ROWS};
use crate::store::upkeep::room::{self, RESERVE_BYTES};
use crate::store::{Error, Mode, ReadFn, connect};

/// So many deliveries, and bytes of bodies, are folded together; one delivery may always be.
const LOT: i64 = 1_024;
const LOT_BYTES: usize = 2 << 20;
/// So many lots are read ahead.
const AHEAD: usize = 2;
/// So many deliveries are folded on the writer's thread before it looks at its queue.
const FOLLOW: i64 = 32;

/// What folds look up beside the projections: each table, and its columns.
const COPIED: [(&str, &[&str]); 2] = [
    (
        "deliveries",
        &[
            "seq",
            "dedupe_key",
            "identity_proof",
            "provider_type",
            "erased_at",
        ],
    ),
    ("residue", &residue::COLUMNS),
];

/// Makes the file of a new ledger into one to fold in. Deliveries stand in it without what they name.
const BARE: &str = "
    pragma foreign_keys = off;
    pragma locking_mode = exclusive;
    pragma cache_size = -32768;
    drop table deliveries;
    create table deliveries (
      seq integer primary key, dedupe_key text, identity_proof text, provider_type text, erased_at text
    )";

/// Indexes that folds find rows by; all others are for lists, and are left away.
const FOUND_BY: &[&str] = &[
    "events_user",
    "events_subscription",
    "events_users",
    "events_folded",
    "subscriptions_user",
    "subscriptions_clock",
    "subscriptions_users",
    "cancellations_subscription",
    "consent_changes_user",
    "payments_user",
    "payments_users",
    "payments_transaction",
    "payments_subscription",
];

/// Takes the indexes away that no fold needs.
pub(crate) fn drop_lists(conn: &Connection) -> Result<(), Error> {
    let mut statement =
        conn.prepare("select name from sqlite_schema where type = 'index' and sql is not null")?;
    let names = statement.query_map([], |row| row.get::<_, String>(0))?;
    let names = names.collect::<rusqlite::Result<Vec<_>>>()?;
    for name in names {
        if !FOUND_BY.contains(&name.as_str()) {
            conn.execute_batch(&format!("drop index \"{name}\""))?;
        }
    }
    Ok(())
}

/// Where what is folded again comes from.
pub(super) struct Origin {
    /// The ledger.
    path: PathBuf,
    pub(super) zone: Zone,
    pub(super) reader: ReadFn,
}

impl Origin {
    pub(super) fn of(core: &Core) -> Self {
        Self {
            path: core.path.clone(),
            zone: core.folder.zone(),
            reader: core.folder.reader(),
        }
    }
}

/// What is folded again.
pub(super) struct Again {
    pub(super) conn: Connection,
    folder: Folder,
    /// The latest moment that it was folded as of.
    as_of: Timestamp,
    file: Beside,
}

/// The file itself.
struct Beside(PathBuf);

impl Drop for Beside {
    fn drop(&mut self) {
        // What cannot be removed now is removed at the next start.
        let _ = clean(&self.0);
    }
}

/// Removes what was folded again beside the ledger at `ledger`. Whoever calls holds the lock.
pub(crate) fn clean_beside(ledger: &Path) -> Result<(), Error> {
    clean(&beside(ledger, COMPARED))
}

/// An empty file to fold in.
fn empty(path: &Path, zone: Zone, now: Timestamp) -> Result<Connection, Error> {
    clean(path)?;
    schema::private_file(path)?;
    let mut conn = connect(path, Mode::Fill)?;
    schema::create(&mut conn, zone, now)?;
    conn.execute_batch(BARE)?;
    drop_lists(&conn)?;
    Ok(conn)
}

fn clean(path: &Path) -> Result<(), Error> {
    ["", "-wal", "-shm", "-journal"]
        .iter()
        .try_for_each(|ending| remove(&beside(path, ending)))
}

/// Some deliveries, read.
struct Lot {
    last: i64,
    count: usize,
    read: Vec<Unfolded>,
    /// Rows of each table of `COPIED`.
    copied: Vec<Vec<Vec<Value>>>,
}

impl Lot {
    /// The deliveries of `ledger` after `after`; `None` if there are none.
    fn next(
        ledger: &Connection,
        reader: &ReadFn,
        after: i64,
        limit: i64,
    ) -> Result<Option<Self>, Error> {
        let rows = stored_some(ledger, after, limit, LOT_BYTES)?;
        let Some(last) = rows.last().map(|row| row.seq) else {
            return Ok(None);
        };
        let copied = COPIED
            .iter()
            .map(|(table, columns)| copy(ledger, table, columns, after, last));
        Ok(Some(Self {
            last,
            count: rows.len(),
            copied: copied.collect::<Result<_, _>>()?,
            read: rows
                .into_iter()
                .filter_map(|row| unfolded(reader, row))
                .collect(),
        }))
    }
}

fn copy(
    ledger: &Connection,
    table: &str,
    columns: &[&str],
    after: i64,
    to: i64,
) -> Result<Vec<Vec<Value>>, Error> {
    let mut from = ledger.prepare_cached(&format!(
        "select {} from {table} where seq > ?1 and seq <= ?2",
        columns.join(", ")
    ))?;
    let width = columns.len();
    let rows = from.query_map([after, to], |row| {
        (0..width).map(|place| row.get(place)).collect()
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

impl Again {
    /// Begins with nothing, as of `now`.
    pub(super) fn new(origin: Origin, now: Timestamp) -> Result<Self, Error> {
        let file = Beside(beside(&origin.path, COMPARED));
        let zone = origin.zone;
        let conn = empty(&file.0, zone, now)?;
        let folder = Folder::load(&conn, origin.reader, zone)?;
        Ok(Self {
            conn,
            folder,
            as_of: now,
            file,
        })
    }

    /// Everything up to here is folded again.
    pub(super) const fn seq(&self) -> i64 {
        self.folder.seq
    }

    /// Folds all deliveries of `ledger`, telling `done` how far it is and noting in `report` what cannot be folded;
    /// gives the connection back. `Error::Interrupted` a moment after `stop` becomes true.
    pub(super) fn fold_all(
        &mut self,
        ledger: Connection,
        now: Timestamp,
        report: &mut TaskReport,
        stop: &AtomicBool,
        done: &dyn Fn(i64),
    ) -> Result<Connection, Error> {
        let (to, lots) = sync_channel(AHEAD);
        let (reader, mut after) = (self.folder.reader(), self.folder.seq);
        std::thread::scope(|scope| {
            let reading = std::thread::Builder::new()
                .name("read".to_owned())
                .spawn_scoped(scope, move || {
                    while let Some(lot) = Lot::next(&ledger, &reader, after, LOT)? {
                        after = lot.last;
                        if to.send(lot).is_err() {
                            break;
                        }
                    }
                    Ok(ledger)
                })
                .map_err(|source| Error::Io {
                    path: self.file.0.clone(),
                    cause: source,
                })?;
            for lot in lots {
                if stop.load(Ordering::Relaxed) {
                    return Err(Error::Interrupted);
                }
                room::check(&folder(&self.file.0), RESERVE_BYTES)?;
                self.fold_lot(lot, now, report)?;
                done(self.folder.seq);
            }
            reading.join().unwrap_or_else(|_| {
                Err(Error::Refused(
                    "the program failed while reading: please report this".to_owned(),
                ))
            })
        })
    }

    /// Folds the next few deliveries of `ledger`; how many.
    pub(super) fn follow(&mut self, ledger: &Connection, now: Timestamp) -> Result<usize, Error> {
        let lot = Lot::next(ledger, &self.folder.reader(), self.folder.seq, FOLLOW)?;
        match lot {
            Some(lot) => self.fold_lot(lot, now, &mut TaskReport::default()),
            None => Ok(0),
        }
    }

    fn fold_lot(
        &mut self,
        lot: Lot,
        now: Timestamp,
        report: &mut TaskReport,
    ) -> Result<usize, Error> {
        self.as_of = self.as_of.max(now);
        self.conn.execute_batch("begin")?;
        for ((table, columns), rows) in COPIED.iter().zip(lot.copied) {
            let marks = vec!["?"; columns.len()].join(", ");
            let columns = columns.join(", ");
            let mut into = self
                .conn
                .prepare_cached(&format!("insert into {table} ({columns}) values ({marks})"))?;
            for row in rows {
                into.execute(rusqlite::params_from_iter(row))?;
            }
        }
        self.fold(&lot.read, lot.last, now, report)?;
        self.conn.execute_batch("commit")?;
        Ok(lot.count)
    }

    fn fold(
        &mut self,
        batch: &[Unfolded],
        last: i64,
        now: Timestamp,
        report: &mut TaskReport,
    ) -> Result<(), Error> {
        let (conn, folder) = (&self.conn, &mut self.folder);
        let reads: Vec<_> = batch.iter().map(Unfolded::read).collect();
        match folder.fold(conn, &reads, last, now) {
            Ok(()) => return Ok(()),
            Err(Trouble::Passing(error)) => return Err(error),
            Err(Trouble::Lasting(_)) => {}
        }
        for read in reads {
            let seq = read.seq;
            match folder.fold(conn, &[read], seq, now) {
                Ok(()) => {}
                Err(Trouble::Passing(error)) => return Err(error),
                Err(Trouble::Lasting(why)) => {
                    report.changed += 1;
                    report.find(format!("delivery {seq} could not be folded: {why}"));
                }
            }
        }
        folder
            .fold(conn, &[], last, now)
            .map_err(Trouble::into_error)
    }

    /// Applies what the clock alone changes by `now`.
    pub(super) fn tick(&mut self, now: Timestamp) -> Result<(), Error> {
        let conn = &self.conn;
        conn.execute_batch("begin")?;
        if now < self.as_of {
            start_again_by_the_clock(conn)?;
        }
        self.as_of = now;
        let tick = |folder: &mut Folder| folder.tick(conn, now, TICK_ROWS);
        while tick(&mut self.folder).map_err(Trouble::into_error)? > 0 {}
        Ok(conn.execute_batch("commit")?)
    }
}
