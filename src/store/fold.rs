//! Folding deliveries into the projections: along with their own commit, or right behind it from a stored position.
//!
//! `folded_seq` in `meta` is that position: every delivery up to it has been folded. A delivery that cannot be folded
//! is set aside, so that it never holds up the others. To fold everything again, `clearing` is set beside it: then the
//! projections are emptied first, a few rows at a time, so that nobody waits for an answer meanwhile. While
//! `reader_version` in `meta` is below that of this program, what was not understood is read again before all that.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rusqlite::{Connection, ErrorCode, params};

use crate::domain::delivery::{Content, Delivery, Outcome, Reading};
use crate::domain::time::{Timestamp, Zone};
use crate::store::append::{Stored, stored_after, stored_some};
use crate::store::project::{Projector, Read};
use crate::store::reread::{self, Again, Gain, Rereading};
use crate::store::schema::{READER_VERSION, meta, set_meta};
use crate::store::{Error, ReadFn, upkeep};

/// So many deliveries are folded at once, before the writer looks at its queue again; more where many wait, since what
/// is about one reader is then folded once.
const CHUNK: i64 = 16;
const LARGE_CHUNK: i64 = 64;
/// So many are many.
const MANY: usize = 256;
/// Readings kept in memory for folding soon; beyond that they are read from disk again.
const RECENT_MAX: usize = 1024;
const RECENT_BYTES_MAX: usize = 4 << 20;
/// So many rows are taken away in one transaction while the projections are emptied.
const CLEAR_ROWS: u32 = 500;

/// The key in `meta` that stands there while the projections are being emptied.
const CLEARING: &str = "clearing";
/// The key in `meta` that says, after the clock was set back, up to which subscription its work was looked at again.
const CLOCK_AGAIN: &str = "clock_again";

/// A stored delivery and what was read out of it.
pub(crate) struct Unfolded {
    pub(crate) seq: i64,
    pub(crate) delivery: Delivery,
    pub(crate) reading: Reading,
}

impl Unfolded {
    fn bytes(&self) -> usize {
        self.delivery.body.len()
    }

    /// One that was stored and cannot be read any more is kept where the publisher sees it.
    fn set_aside_if_lost(&self, conn: &Connection) -> Result<(), Error> {
        match &self.reading.content {
            Content::Events(_) => Ok(()),
            Content::Unreadable(why) => reread::set_aside(conn, self.seq, why),
        }
    }

    pub(crate) fn read(&self) -> Read<'_> {
        Read {
            seq: self.seq,
            delivery: &self.delivery,
            reading: &self.reading,
            dedupe_key: self.reading.keys.first().map(|key| key.key.as_str()),
        }
    }
}

/// Why folding failed.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The disk, a lock: it may go better later.
    Passing(Error),
    /// What is folded: it will fail again. The words hold nothing of the data.
    Lasting(String),
}

impl Trouble {
    /// What a task that ran into it says.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Passing(error) => error,
            Self::Lasting(why) => Error::Refused(format!("could not be folded: {why}")),
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        match error {
            Error::Full(_)
            | Error::Unwritable(_)
            | Error::Busy
            | Error::Interrupted
            | Error::Io { .. } => Self::Passing(error),
            Error::Sqlite(cause) => match cause.sqlite_error_code() {
                Some(
                    ErrorCode::OutOfMemory | ErrorCode::DatabaseCorrupt | ErrorCode::CannotOpen,
                ) => Self::Passing(Error::Sqlite(cause)),
                _ => Self::Lasting(cause.to_string()),
            },
            other => Self::Lasting(other.to_string()),
        }
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::from(Error::from(error))
    }
}

/// What was folded in one go.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Folded {
    /// Deliveries passed.
    pub(crate) passed: i64,
    /// Of them, set aside.
    pub(crate) set_aside: i64,
    /// Rows of the projections taken away instead.
    pub(crate) cleared: i64,
    /// Deliveries read again instead.
    pub(crate) reread: i64,
}

/// Folds, and knows how far that has come.
pub(crate) struct Folder {
    projector: Projector,
    read: ReadFn,
    zone: Zone,
    recent: VecDeque<(i64, Option<Unfolded>)>,
    recent_bytes: usize,
    /// Everything up to here is folded.
    pub(crate) seq: i64,
    /// The projections hold rows of an earlier folding, which go before anything is folded.
    clearing: bool,
    /// What an earlier version did not understand is read again before that.
    rereading: Option<Rereading>,
    /// The row in `upgrades` of the reading that is being upgraded.
    upgrade: Option<i64>,
}

impl Folder {
    pub(crate) fn load(conn: &Connection, read: ReadFn, zone: Zone) -> Result<Self, Error> {
        let mut folder = Self {
            projector: Projector::new(zone),
            read,
            zone,
            recent: VecDeque::new(),
            recent_bytes: 0,
            seq: 0,
            clearing: false,
            rereading: None,
            upgrade: None,
        };
        folder.reload(conn)?;
        Ok(folder)
    }

    /// Takes the position from disk again, after a rollback.
    pub(crate) fn reload(&mut self, conn: &Connection) -> Result<(), Error> {
        self.forget();
        self.seq = meta(conn, "folded_seq")?
            .and_then(|seq| seq.parse().ok())
            .unwrap_or(0);
        self.clearing = meta(conn, CLEARING)?.is_some();
        self.upgrade = reread::unfinished(conn)?;
        let older = read_by(conn)? < READER_VERSION;
        self.rereading = older.then(Rereading::default);
        Ok(())
    }

    /// Whether anything up to `last` is still to be folded.
    pub(crate) const fn behind(&self, last: i64) -> bool {
        self.rereading.is_some() || self.clearing || self.seq < last
    }

    /// Whether what an earlier version did not understand is still being read again.
    pub(crate) const fn is_rereading(&self) -> bool {
        self.rereading.is_some()
    }

    /// The upgrade of reading that is done once nothing is behind.
    pub(crate) const fn upgrade(&self) -> Option<i64> {
        self.upgrade
    }

    /// Whether rows of an earlier folding are still being taken away.
    pub(crate) const fn is_clearing(&self) -> bool {
        self.clearing
    }

    /// Drops everything kept in memory: what is on disk has changed under it.
    pub(crate) fn forget(&mut self) {
        self.projector = Projector::new(self.zone);
        self.recent.clear();
        self.recent_bytes = 0;
    }

    /// What reads deliveries.
    pub(crate) fn reader(&self) -> ReadFn {
        Arc::clone(&self.read)
    }

    pub(crate) const fn zone(&self) -> Zone {
        self.zone
    }

    pub(crate) fn set_zone(&mut self, zone: Zone) {
        self.zone = zone;
        self.forget();
    }

    /// Reads a delivery; one on which reading itself breaks is unreadable.
    pub(crate) fn read(&self, delivery: &Delivery) -> Reading {
        reading(&self.read, delivery)
    }

    /// Keeps a reading that is to be folded soon, if there is room; `None` stands for a delivery without events.
    pub(crate) fn remember(&mut self, seq: i64, unfolded: Option<Unfolded>) {
        let bytes = unfolded.as_ref().map_or(0, Unfolded::bytes);
        // Once one is left to the disk, so are those behind it, until all in memory are folded.
        let follows = self.recent.back().is_none_or(|(last, _)| last + 1 == seq);
        if follows
            && self.recent.len() < RECENT_MAX
            && self.recent_bytes + bytes <= RECENT_BYTES_MAX
        {
            self.recent_bytes += bytes;
            self.recent.push_back((seq, unfolded));
        }
    }

    /// Folds `batch` and moves the position to `seq`, inside the caller's transaction; if that fails, nothing of it
    /// has happened.
    pub(crate) fn fold(
        &mut self,
        conn: &Connection,
        batch: &[Read<'_>],
        seq: i64,
        now: Timestamp,
    ) -> Result<(), Trouble> {
        let after = self.seq;
        self.guarded(conn, |projector| {
            if !batch.is_empty() {
                projector.project(conn, batch, now)?;
            }
            projector.stand_in(conn, after, seq)?;
            set_meta(conn, "folded_seq", &seq.to_string())
        })?;
        self.seq = seq;
        Ok(())
    }

    /// Runs `work` behind a savepoint; if it fails or panics, nothing of it has happened.
    pub(crate) fn guarded<T>(
        &mut self,
        conn: &Connection,
        work: impl FnOnce(&mut Projector) -> Result<T, Error>,
    ) -> Result<T, Trouble> {
        conn.prepare_cached("savepoint fold")?.execute([])?;
        let projector = &mut self.projector;
        let done = catch_unwind(AssertUnwindSafe(|| work(projector)));
        let trouble = match done {
            Ok(Ok(value)) => {
                conn.prepare_cached("release fold")?.execute([])?;
                return Ok(value);
            }
            Ok(Err(error)) => Trouble::from(error),
            Err(_) => Trouble::Lasting("the program failed while folding it".to_owned()),
        };
        self.projector = Projector::new(self.zone);
        if !conn.is_autocommit() {
            conn.execute_batch("rollback to fold; release fold")?;
        }
        Err(trouble)
    }

    /// Lets the clock change what it changes by `now`, in the caller's transaction, at most `limit` subscriptions;
    /// nothing is left to do when it gives 0. Of a failure nothing has happened.
    pub(crate) fn tick(
        &mut self,
        conn: &Connection,
        now: Timestamp,
        limit: usize,
    ) -> Result<usize, Trouble> {
        let again = meta(conn, CLOCK_AGAIN)?;
        self.guarded(conn, |projector| {
            let Some(after) = again.and_then(|after| after.parse().ok()) else {
                return projector.tick(conn, now, limit);
            };
            match projector.tick_again(conn, now, after, limit)? {
                Some(last) => set_meta(conn, CLOCK_AGAIN, &last.to_string())?,
                None => {
                    conn.prepare_cached("delete from meta where key = ?1")?
                        .execute([CLOCK_AGAIN])?;
                }
            }
            Ok(limit.max(1))
        })
    }

    /// Folds what follows the position, up to `limit` deliveries or until `pause` says so, in a transaction of its
    /// own. What cannot be folded is set aside.
    pub(crate) fn catch_up(
        &mut self,
        conn: &Connection,
        now: Timestamp,
        limit: i64,
        pause: &dyn Fn() -> bool,
    ) -> Result<Folded, Error> {
        let start = self.seq;
        if self.rereading.is_some() {
            return self.read_again(conn, start);
        }
        if self.clearing {
            return match self.clear_some(conn) {
                Ok(cleared) => Ok(Folded {
                    cleared,
                    ..Folded::default()
                }),
                Err(error) => {
                    self.roll_back(conn, start);
                    Err(error)
                }
            };
        }
        match self.chunks(conn, now, limit, pause) {
            Ok(passed) => Ok(Folded {
                passed,
                ..Folded::default()
            }),
            Err(Trouble::Passing(error)) => {
                self.roll_back(conn, start);
                Err(error)
            }
            Err(Trouble::Lasting(_)) => {
                self.roll_back(conn, start);
                self.one_by_one(conn, now)
            }
        }
    }

    /// Reads a few deliveries again that an earlier version did not understand, in a transaction of its own; after the
    /// last everything is to be folded again.
    fn read_again(&mut self, conn: &Connection, start: i64) -> Result<Folded, Error> {
        let done = self.read_some_again(conn);
        if done.is_err() {
            self.roll_back(conn, start);
            // Those that were decided say so themselves.
            self.rereading = Some(Rereading::default());
        }
        Ok(Folded {
            reread: done?,
            ..Folded::default()
        })
    }

    fn read_some_again(&mut self, conn: &Connection) -> Result<i64, Error> {
        conn.prepare_cached("begin immediate")?.execute([])?;
        let seqs = match &mut self.rereading {
            Some(rereading) => rereading.next(conn, self.seq)?,
            None => Vec::new(),
        };
        let Some(upgrade) = self.upgrade.filter(|_| !seqs.is_empty()) else {
            start_over(conn)?;
            conn.prepare_cached("commit")?.execute([])?;
            self.reload(conn)?;
            return Ok(1);
        };
        let mut gain = Gain::default();
        for seq in &seqs {
            match self.read_one_again(conn, *seq) {
                Ok(again) => gain.add(again),
                Err(Trouble::Passing(error)) => return Err(error),
                Err(Trouble::Lasting(why)) => {
                    tracing::error!(
                        seq,
                        why,
                        "a delivery could not be read again and stays as it is"
                    );
                }
            }
        }
        gain.write(conn, upgrade)?;
        conn.prepare_cached("commit")?.execute([])?;
        Ok(i64::try_from(seqs.len()).unwrap_or(i64::MAX))
    }

    fn read_one_again(&mut self, conn: &Connection, seq: i64) -> Result<Again, Trouble> {
        let read = self.reader();
        self.guarded(conn, |_| {
            reread::decide_again(conn, &|delivery| reading(&read, delivery), seq)
        })
    }

    /// Takes a few rows of the projections away, in a transaction of its own; how many, and at the end one for the note
    /// that there are some.
    fn clear_some(&mut self, conn: &Connection) -> Result<i64, Error> {
        conn.prepare_cached("begin immediate")?.execute([])?;
        let cleared = self.projector.clear(conn, CLEAR_ROWS)?;
        if cleared == 0 {
            conn.prepare_cached("delete from meta where key = ?1")?
                .execute([CLEARING])?;
        }
        conn.prepare_cached("commit")?.execute([])?;
        self.clearing = cleared > 0;
        Ok(i64::from(cleared.max(1)))
    }

    fn roll_back(&mut self, conn: &Connection, seq: i64) {
        if !conn.is_autocommit() {
            // If this fails too, the next statement says so.
            let _ = conn.execute_batch("rollback");
        }
        self.forget();
        self.seq = seq;
    }

    fn chunks(
        &mut self,
        conn: &Connection,
        now: Timestamp,
        limit: i64,
        pause: &dyn Fn() -> bool,
    ) -> Result<i64, Trouble> {
        let mut passed = 0;
        conn.prepare_cached("begin immediate")?.execute([])?;
        while passed < limit {
            let Some((last, batch)) = self.next(conn, self.chunk().min(limit - passed))? else {
                break;
            };
            passed += last - self.seq;
            for lost in &batch {
                lost.set_aside_if_lost(conn)?;
            }
            let reads: Vec<_> = batch.iter().map(Unfolded::read).collect();
            self.fold(conn, &reads, last, now)?;
            if pause() {
                break;
            }
        }
        conn.prepare_cached("commit")?.execute([])?;
        Ok(passed)
    }

    /// How many to fold at once. Where the next one is not in memory any more, many wait.
    fn chunk(&self) -> i64 {
        if self.recent.is_empty() || self.recent.len() >= MANY {
            LARGE_CHUNK
        } else {
            CHUNK
        }
    }

    /// What follows the position: the last seq of it and those that give events; `None` if there is nothing.
    fn next(
        &mut self,
        conn: &Connection,
        limit: i64,
    ) -> Result<Option<(i64, Vec<Unfolded>)>, Error> {
        while self.recent.front().is_some_and(|(seq, _)| *seq <= self.seq) {
            self.take_recent();
        }
        let mut batch = Vec::new();
        let mut last = self.seq;
        while last - self.seq < limit
            && self.recent.front().is_some_and(|(seq, _)| *seq == last + 1)
        {
            last += 1;
            batch.extend(self.take_recent());
        }
        if last > self.seq {
            return Ok(Some((last, batch)));
        }
        let rows = stored_some(conn, self.seq, limit, RECENT_BYTES_MAX)?;
        let Some(last) = rows.last().map(|row| row.seq) else {
            return Ok(None);
        };
        let batch = rows
            .into_iter()
            .filter_map(|row| self.unfolded(row))
            .collect();
        Ok(Some((last, batch)))
    }

    fn take_recent(&mut self) -> Option<Unfolded> {
        let unfolded = self.recent.pop_front()?.1?;
        self.recent_bytes -= unfolded.bytes();
        Some(unfolded)
    }

    /// A stored row as something to fold; `None` if it gives no events.
    pub(crate) fn unfolded(&self, row: Stored) -> Option<Unfolded> {
        unfolded(&self.read, row)
    }

    /// Folds the next chunk with a transaction for each delivery, setting aside those that fail alone.
    fn one_by_one(&mut self, conn: &Connection, now: Timestamp) -> Result<Folded, Error> {
        let mut folded = Folded::default();
        for row in stored_after(conn, self.seq, CHUNK)? {
            let seq = row.seq;
            let start = self.seq;
            let unfolded = self.unfolded(row);
            match self.alone(conn, unfolded.as_ref(), seq, now) {
                Ok(()) => {}
                Err(Trouble::Passing(error)) => {
                    self.roll_back(conn, start);
                    return Err(error);
                }
                Err(Trouble::Lasting(why)) => {
                    self.roll_back(conn, start);
                    set_aside(conn, seq, &why)?;
                    self.seq = seq;
                    folded.set_aside += 1;
                    tracing::error!(seq, "a delivery could not be folded and was set aside");
                }
            }
            folded.passed += 1;
        }
        Ok(folded)
    }

    fn alone(
        &mut self,
        conn: &Connection,
        unfolded: Option<&Unfolded>,
        seq: i64,
        now: Timestamp,
    ) -> Result<(), Trouble> {
        conn.prepare_cached("begin immediate")?.execute([])?;
        if let Some(lost) = unfolded {
            lost.set_aside_if_lost(conn)?;
        }
        let reads: Vec<_> = unfolded.into_iter().map(Unfolded::read).collect();
        self.fold(conn, &reads, seq, now)?;
        conn.prepare_cached("commit")?.execute([])?;
        Ok(())
    }
}

/// A stored row, read again by `read`; `None` if it gives no events.
pub(crate) fn unfolded(read: &ReadFn, row: Stored) -> Option<Unfolded> {
    if row.outcome != Outcome::Stored {
        return None;
    }
    let (delivery, mut reading) = match row.delivery {
        Some(delivery) => {
            let reading = reading(read, &delivery);
            (delivery, reading)
        }
        None => row.pruned?,
    };
    // A rebuild keeps the stored decision, and so the key that folding orders by.
    match (row.dedupe_key, reading.keys.first_mut()) {
        (Some(stored), Some(first)) => first.key = stored,
        (None, _) => reading.keys.clear(),
        (Some(_), None) => {}
    }
    Some(Unfolded {
        seq: row.seq,
        delivery,
        reading,
    })
}

fn reading(read: &ReadFn, delivery: &Delivery) -> Reading {
    catch_unwind(AssertUnwindSafe(|| read(delivery))).unwrap_or_else(|_| {
        Reading::unreadable(
            "",
            "the program failed while reading it: please report this",
        )
    })
}

/// Notes that the clock was set back, so that what it changed is to be looked at again, inside the caller's
/// transaction. `Folder::tick` takes it up.
pub(crate) fn start_again_by_the_clock(conn: &Connection) -> Result<(), Error> {
    set_meta(conn, CLOCK_AGAIN, "0")
}

/// Notes that everything is to be folded again by this version, inside the caller's transaction. `Folder::reload` takes
/// it up.
pub(crate) fn start_over(conn: &Connection) -> Result<(), Error> {
    empty_first(conn)?;
    set_meta(conn, "reader_version", &READER_VERSION.to_string())
}

/// Notes that the projections are to be emptied and everything folded again, inside the caller's transaction.
pub(crate) fn empty_first(conn: &Connection) -> Result<(), Error> {
    set_meta(conn, CLEARING, "1")?;
    set_meta(conn, "folded_seq", "0")
}

/// The version that the ledger was last read by; 0 if it does not say.
pub(crate) fn read_by(conn: &Connection) -> Result<i64, Error> {
    let version = meta(conn, "reader_version")?;
    Ok(version.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Marks the delivery at `seq` as one that could not be folded and moves the position past it.
fn set_aside(conn: &Connection, seq: i64, why: &str) -> Result<(), Error> {
    let tx = conn.unchecked_transaction()?;
    upkeep::guard(&tx, upkeep::Reason::Quarantine, || {
        tx.execute(
            "update deliveries set outcome = 'quarantined', reason = ?2 where seq = ?1 and outcome = 'stored'",
            params![seq, format!("could not be folded: {why}")],
        )?;
        Ok(())
    })?;
    set_meta(&tx, "folded_seq", &seq.to_string())?;
    Ok(tx.commit()?)
}
