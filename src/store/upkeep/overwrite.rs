//! What was deleted is overwritten on disk too: rows are moved together, empty pages given back, unused parts of pages
//! overwritten, and the write-ahead log is emptied.
//!
//! Whatever deletes a reader's data notes in the same transaction that this is to be done (`meta`). An erasure and the
//! commands that drop something do it before they say that they are done; where a program that reads for long is in the
//! way, and after what is dropped for its age, it is done by the writer when nothing else is to be done, also by the next
//! one. It starts with the first page again whenever something was deleted or pages were moved meanwhile.

use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, params};

use crate::store::kept::{self, Place};
use crate::store::query::Reader;
use crate::store::schema::{beside, meta};
use crate::store::task::{Progress, TaskReport};
use crate::store::thread::Core;
use crate::store::upkeep::erasures::unwritable;
use crate::store::upkeep::pages::{self, Layout};
use crate::store::upkeep::room::{PAGES, give_back};
use crate::store::{Error, seal};

/// The key in `meta` under which stands since when there is something to overwrite.
const OVERWRITE_SINCE: &str = "overwrite_since";
/// Pages of so many bytes are looked at in one step.
const STEP_BYTES: usize = 4 << 20;
/// So often all pages are gone through at most while rows are written in between.
const PASSES_MAX: u32 = 3;
/// A file without a map of its pages is written anew up to this size; answers wait for some seconds at most.
const ANEW_BYTES_MAX: i64 = 256 << 20;
/// Where another program is in the way it is tried so often, and again after so long.
const TRIES: u32 = 12;
const AGAIN: Duration = Duration::from_millis(250);

/// How far this has come.
#[derive(Debug)]
pub(crate) struct Overwriting {
    file: Option<Place>,
    /// Whether there is anything to do.
    pub(crate) is_due: bool,
    /// The next page.
    next: u32,
    /// Passes through all pages behind it, in which rows were written.
    passes: u32,
    /// Rows that this connection had written when the pass began.
    written: u64,
}

impl Overwriting {
    /// As the ledger at `path` says.
    pub(crate) fn load(conn: &Connection, path: &Path) -> Result<Self, Error> {
        Ok(Self {
            file: kept::place_of(path),
            is_due: meta(conn, OVERWRITE_SINCE)?.is_some(),
            next: 1,
            passes: 0,
            written: 0,
        })
    }

    /// Pages were moved: what was seen of them may stand elsewhere now.
    pub(crate) const fn start_again(&mut self) {
        self.next = 1;
        self.passes = 0;
    }
}

impl Reader {
    /// Since when something that was deleted is still to be overwritten; `None` if nothing is.
    pub fn overwrite_since(&self) -> Result<Option<String>, Error> {
        self.with(|conn| meta(conn, OVERWRITE_SINCE))
    }
}

/// Something was deleted, in the caller's transaction.
pub(crate) fn note(core: &mut Core) -> Result<(), Error> {
    let now = core.now().to_string();
    core.conn
        .prepare_cached(
            "insert into meta (key, value) values (?1, ?2) on conflict (key) do nothing",
        )?
        .execute(params![OVERWRITE_SINCE, now])?;
    core.overwriting.is_due = true;
    core.overwriting.start_again();
    Ok(())
}

/// What one step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// There is more.
    On,
    /// Another program reads or writes.
    Held,
    /// Everything is overwritten.
    Through,
    /// The file has no map of its pages: another program has made it.
    Unmapped,
}

/// Overwrites what is unused of some pages, with nobody else writing and nothing in the log.
pub(crate) fn step(core: &mut Core) -> Result<Came, Error> {
    if !core.empty_log() {
        return Ok(Came::Held);
    }
    match core
        .conn
        .execute_batch("begin immediate")
        .map_err(Error::from)
    {
        Ok(()) => {}
        Err(Error::Busy) => return Ok(Came::Held),
        Err(error) => return Err(error),
    }
    let done = some_pages(core).map_err(|error| unwritable(&core.path, error));
    core.conn.execute_batch("rollback")?;
    // What it has in memory is older than what is on disk now, and would be written with the next row.
    core.conn.execute_batch("pragma shrink_memory")?;
    let came = done?;
    if came == Came::Through {
        core.transact(|core| {
            core.conn
                .execute("delete from meta where key = ?1", [OVERWRITE_SINCE])?;
            Ok(())
        })?;
        core.overwriting.is_due = false;
        core.overwriting.start_again();
    }
    Ok(came)
}

fn some_pages(core: &mut Core) -> io::Result<Came> {
    let log = beside(&core.path, "-wal");
    let is_empty = log.metadata().is_ok_and(|data| data.len() == 0);
    let file = kept::writable(&core.path)?;
    // A file that was put in the place of ours belongs to somebody else.
    let is_ours = core.overwriting.file == Some(kept::place(&file.metadata()?));
    if !is_ours || !is_empty {
        return Ok(Came::Held);
    }
    let Some(layout) = Layout::of(file)? else {
        return Ok(Came::Unmapped);
    };
    let count = core
        .conn
        .pragma_query_value(None, "page_count", |row| row.get::<_, u32>(0))
        .map_err(io::Error::other)?;
    let written = core.conn.total_changes();
    let now = &mut core.overwriting;
    let from = now.next;
    if from == 1 {
        now.written = written;
    }
    let to = from
        .saturating_add(layout.pages_in(STEP_BYTES))
        .min(count + 1);
    if from < to {
        pages::overwrite(file, layout, from..to)?;
    }
    now.next = to;
    if to <= count {
        return Ok(Came::On);
    }
    // Where SQLite evens out neighbouring pages it may exchange their places, with what is unused of them: one that was
    // not looked at yet may come to stand where one was.
    if now.written != written && now.passes + 1 < PASSES_MAX {
        now.passes += 1;
        now.next = 1;
        return Ok(Came::On);
    }
    Ok(Came::Through)
}

/// What is left to do on disk after something was deleted, as the end of a task.
pub(crate) struct Cleaning {
    stage: Stage,
    /// The unused parts of pages could not be overwritten.
    pages_are_old: bool,
    /// Somebody read the database for so long that the log could not be emptied.
    log_is_held: bool,
}

enum Stage {
    /// Free pages are given back.
    Free,
    /// Pages are overwritten; tries of this one.
    Pages(u32),
    /// The log is emptied; tries so far.
    Log(u32),
}

/// How it goes on.
pub(crate) enum Next {
    /// At once.
    On(Progress),
    /// After this.
    Wait(Duration),
    /// No more.
    Through,
}

impl Cleaning {
    /// From the beginning.
    pub(crate) const fn new() -> Self {
        Self {
            stage: Stage::Free,
            pages_are_old: false,
            log_is_held: false,
        }
    }

    /// Does one bounded step.
    pub(crate) fn advance(&mut self, core: &mut Core) -> Result<Next, Error> {
        match self.stage {
            Stage::Free => {
                if !core.transact(|core| give_back(&core.conn, PAGES))? {
                    core.overwriting.start_again();
                    self.stage = Stage::Pages(0);
                }
            }
            Stage::Pages(tries) => match step(core) {
                Ok(Came::On) => self.stage = Stage::Pages(0),
                Ok(Came::Through) => self.stage = Stage::Log(0),
                Ok(Came::Held) if tries < TRIES => {
                    self.stage = Stage::Pages(tries + 1);
                    return Ok(Next::Wait(AGAIN));
                }
                Ok(Came::Held) => {
                    self.log_is_held = true;
                    return Ok(Next::Through);
                }
                Ok(Came::Unmapped) => {
                    self.pages_are_old = !write_anew(core)?;
                    self.stage = Stage::Log(0);
                }
                Err(Error::Full(_) | Error::Unwritable(_) | Error::Io { .. }) => {
                    self.pages_are_old = true;
                    self.stage = Stage::Log(0);
                }
                Err(error) => return Err(error),
            },
            Stage::Log(tries) => {
                let emptied = core.empty_log();
                self.log_is_held = !emptied;
                if emptied || tries >= TRIES {
                    return Ok(Next::Through);
                }
                self.stage = Stage::Log(tries + 1);
                return Ok(Next::Wait(AGAIN));
            }
        }
        Ok(Next::On(Progress::default()))
    }

    /// Tells what could not be done.
    pub(crate) fn tell(&self, report: &mut TaskReport) {
        if self.pages_are_old {
            report.find(
                "the disk is too full, or the database too large to be written anew: copies of erased bytes may stand in \
                 unused parts of its pages; `subledger backup` and `subledger restore` of that copy leave none",
            );
        }
        if self.log_is_held {
            report.find(
                "another program is reading the database: erased bytes may stand in unused parts of its pages and in the \
                 log beside it (-wal) until that program lets go; the receiver, or the next one, overwrites them then",
            );
        }
    }
}

/// Writes the whole file anew, unless it is too large for answers to wait so long; whether that was done.
fn write_anew(core: &mut Core) -> Result<bool, Error> {
    let bytes: i64 = core.conn.query_row(
        "select page_count * page_size from pragma_page_count, pragma_page_size",
        [],
        |row| row.get(0),
    )?;
    if bytes > ANEW_BYTES_MAX {
        return Ok(false);
    }
    match vacuum(&core.conn) {
        Ok(()) => {}
        Err(Error::Full(_) | Error::Unwritable(_) | Error::Busy) => return Ok(false),
        Err(error) => return Err(error),
    }
    // It has a map from now on.
    core.overwriting.start_again();
    step(core).map(|_| true)
}

/// Writes the whole file anew, with a map of its pages.
pub(crate) fn vacuum(conn: &Connection) -> Result<(), Error> {
    // The copy stands in a file meanwhile, not in memory. This drops the triggers that seal deliveries.
    conn.pragma_update(None, "temp_store", "file")?;
    conn.pragma_update(None, "auto_vacuum", "incremental")?;
    conn.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 1)?;
    let done = conn.execute_batch("vacuum");
    conn.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    conn.pragma_update(None, "temp_store", "memory")?;
    seal::keep(conn)?;
    Ok(done?)
}

/// Moves deliveries that have become short together, so that pages become free: SQLite does so where a row is deleted
/// and not where one is made shorter. Nothing of them changes, so neither what refuses changes nor what looks for rows
/// that point at them is asked.
pub(crate) fn pack(core: &mut Core, seqs: &[i64]) -> Result<(), Error> {
    if seqs.is_empty() {
        return Ok(());
    }
    let watched = |core: &Core, is_on: bool| {
        core.conn.pragma_update(None, "foreign_keys", is_on)?;
        core.conn
            .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, is_on)
            .map(drop)
    };
    watched(core, false)?;
    let moved = core.transact(|core| {
        // To say the number is enough: the row is deleted and inserted again, byte by byte the same.
        let mut statement = core
            .conn
            .prepare("update deliveries set seq = seq where seq = ?1 and body is null")?;
        seqs.iter()
            .try_for_each(|seq| statement.execute([seq]).map(drop))?;
        Ok(())
    });
    watched(core, true)?;
    moved
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::*;
    use crate::domain::time::Zone;
    use crate::store::tests::{Ledger, MORNING};
    use crate::store::writer::Shared;
    use crate::store::{Mode, connect, schema};

    /// A ledger with the copies that divided pages leave: of names that are in no row any more.
    fn worn() -> (Ledger, Core) {
        let mut ledger = Ledger::new();
        ledger.close();
        let mut core = core_of(&ledger);
        core.conn.execute_batch("begin").unwrap();
        for n in 0..3_000_u64 {
            let name = format!("{:016x} canary", n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            core.conn
                .execute("insert into views values (?1, 'users', '', '')", [name])
                .unwrap();
        }
        core.conn.execute_batch("commit").unwrap();
        core.transact(|core| {
            core.conn.execute(
                "delete from views where substr(name, 16, 1) in ('1', '5', '9', 'd')",
                [],
            )?;
            note(core)
        })
        .unwrap();
        (ledger, core)
    }

    fn canaries(core: &Core) -> usize {
        let bytes = fs::read(&core.path).unwrap();
        bytes
            .windows(6)
            .filter(|window| window == b"canary")
            .count()
    }

    fn named(core: &Core) -> usize {
        let sql = "select count(*) from views";
        let rows: i64 = core.conn.query_row(sql, [], |row| row.get(0)).unwrap();
        usize::try_from(rows).unwrap()
    }

    fn until_through(core: &mut Core) {
        while step(core).unwrap() != Came::Through {}
    }

    #[test]
    fn what_was_deleted_is_gone_and_no_later_row_brings_it_back() {
        let (_ledger, mut core) = worn();
        assert!(core.empty_log());
        assert!(canaries(&core) > named(&core));
        until_through(&mut core);
        assert_eq!(canaries(&core), named(&core));
        assert!(!core.overwriting.is_due);
        assert_eq!(meta(&core.conn, OVERWRITE_SINCE).unwrap(), None);
        // Every page of the table is written again, out of what the writer has in memory.
        core.transact(|core| {
            core.conn.execute("update views set query = 'x'", [])?;
            Ok(())
        })
        .unwrap();
        assert!(core.empty_log());
        assert_eq!(canaries(&core), named(&core));
    }

    #[test]
    fn what_is_deleted_meanwhile_is_overwritten_too() {
        let (_ledger, mut core) = worn();
        core.overwriting.next = 1_000_000;
        core.transact(|core| {
            core.conn.execute("delete from views", [])?;
            note(core)
        })
        .unwrap();
        until_through(&mut core);
        assert_eq!(canaries(&core), 0);
    }

    #[test]
    fn pages_that_may_have_moved_behind_a_pass_are_seen_by_the_next() {
        for (writes, is_seen) in [(false, false), (true, true)] {
            let (_ledger, mut core) = worn();
            // As if the pass were at its end.
            core.overwriting.next = 1_000_000;
            core.overwriting.written = core.conn.total_changes();
            if writes {
                core.transact(|core| set(core, "x")).unwrap();
            }
            until_through(&mut core);
            assert_eq!(canaries(&core) == named(&core), is_seen);
        }
    }

    #[test]
    fn whoever_reads_is_waited_for_and_the_next_writer_goes_on() {
        let (ledger, mut core) = worn();
        let reading = ledger.reader();
        reading.execute_batch("begin").unwrap();
        reading
            .query_row("select count(*) from views", [], |_| Ok(()))
            .unwrap();
        assert_eq!(step(&mut core).unwrap(), Came::Held);
        core.transact(|core| set(core, "x")).unwrap();
        let mut cleaning = Cleaning::new();
        while !matches!(cleaning.advance(&mut core).unwrap(), Next::Through) {}
        let mut report = TaskReport::default();
        cleaning.tell(&mut report);
        assert!(report.findings[0].contains("is reading"), "{report:?}");
        drop(reading);
        core.finish().unwrap();
        let mut core = core_of(&ledger);
        assert!(core.overwriting.is_due);
        until_through(&mut core);
        assert_eq!(canaries(&core), named(&core));
    }

    fn set(core: &mut Core, text: &str) -> Result<(), Error> {
        core.conn.execute("update views set query = ?1", [text])?;
        Ok(())
    }

    fn core_of(ledger: &Ledger) -> Core {
        let shared = Arc::new(Shared::new(Zone::UTC, PathBuf::new(), true));
        let (conn, _) = schema::open(&ledger.path, Zone::UTC, MORNING).unwrap();
        let path = ledger.path.clone();
        Core::load(conn, path, ledger.options(), Zone::UTC, shared).unwrap()
    }

    #[test]
    fn a_file_without_a_map_is_written_anew() {
        let (ledger, core) = worn();
        core.finish().unwrap();
        let other = connect(&ledger.path, Mode::Fill).unwrap();
        other.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 1).unwrap();
        other
            .execute_batch("pragma auto_vacuum = none; vacuum")
            .unwrap();
        drop(other);
        let mut core = core_of(&ledger);
        core.transact(|core| {
            core.conn.execute("delete from views", [])?;
            note(core)
        })
        .unwrap();
        assert_eq!(step(&mut core).unwrap(), Came::Unmapped);
        let mut cleaning = Cleaning::new();
        while !matches!(cleaning.advance(&mut core).unwrap(), Next::Through) {}
        assert_eq!(canaries(&core), 0);
        assert!(!core.overwriting.is_due);
    }

    #[test]
    fn a_file_that_was_put_in_its_place_is_left_alone() {
        let (ledger, mut core) = worn();
        assert!(core.empty_log());
        let other = ledger.folder().join("other");
        fs::copy(&ledger.path, &other).unwrap();
        fs::rename(&other, &ledger.path).unwrap();
        let before = canaries(&core);
        assert_eq!(step(&mut core).unwrap(), Came::Held);
        assert_eq!(canaries(&core), before);
    }
}
