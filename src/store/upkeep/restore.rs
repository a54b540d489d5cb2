//! A backup put in the place of a ledger: verified first, whole or not at all, the old file kept.
//!
//! Whoever restores holds the ledger's lock, so no receiver writes meanwhile. The copy is made and verified beside
//! the ledger; what must not come back with an old copy is done to it there, before anybody can see it (`tidy`).
//! Then the old file gets a second name, and the copy takes the first one in a single step.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};

use crate::domain::count::in_words;
use crate::domain::printable::Printable;
use crate::domain::time::Timestamp;
use crate::store::lock::{Lock, lock_path};
use crate::store::schema::{self, Found, beside, make_folder, remove};
use crate::store::upkeep::backup;
use crate::store::upkeep::copy::{Copied, Existing, Watch, prepare, sync_folder};
use crate::store::upkeep::made::Made;
use crate::store::upkeep::reapply::reapply;
use crate::store::{Error, Mode, connect};

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The copy that is the ledger now.
    pub copied: Copied,
    /// Where the ledger that was there is kept; `None` if there was none.
    pub kept: Option<PathBuf>,
    /// What the old one has and the new one does not.
    pub left_behind: LeftBehind,
    /// Deliveries, requests and saved filters of readers who were erased since the backup: erased from it too.
    pub erased: usize,
}

/// Deliveries of a ledger that a backup does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftBehind {
    /// All that the ledger has.
    pub deliveries: i64,
    /// The last one that both have, by the chain; 0 if they have nothing in common.
    pub common_seq: i64,
    /// The newest of the ledger.
    pub last_seq: i64,
}

impl LeftBehind {
    /// How many are not in the backup.
    pub const fn count(&self) -> i64 {
        self.last_seq - self.common_seq
    }
}

/// Puts the backup at `from` in the place of the ledger at `to`. A ledger that has deliveries, or cannot be read, is
/// only replaced where `replace` says so, and kept beside it under another name. `Error::Locked` if somebody writes
/// to it; on any error it stays as it is.
pub fn restore(
    from: &Path,
    to: &Path,
    replace: bool,
    now: Timestamp,
    watch: &mut Watch<'_>,
) -> Result<Restored, Error> {
    let to = &to.canonicalize().unwrap_or_else(|_| to.to_owned());
    if schema::look(from)? != Found::Ledger {
        return Err(Error::Absent(from.to_owned()));
    }
    let folder = schema::folder(to);
    let (was_folder, was_locked) = (folder.exists(), lock_path(to).exists());
    make_folder(to)?;
    let lock = Lock::take(to, "", now)?;
    let done = restore_locked(from, to, replace, now, watch);
    if done.is_err() && !was_locked && matches!(schema::look(to), Ok(Found::Absent)) {
        lock.discard();
        if !was_folder {
            // It goes only if nobody has put anything there meanwhile.
            let _ = fs::remove_dir(&folder);
        }
    }
    done
}

fn restore_locked(
    from: &Path,
    to: &Path,
    replace: bool,
    now: Timestamp,
    watch: &mut Watch<'_>,
) -> Result<Restored, Error> {
    let left_behind = left_behind(from, to, replace)?;
    let ready = prepare(from, to, Existing::Replace, watch)?;
    check_triggers(from, ready.path())?;
    let erased = tidy(ready.path(), to, now)?;
    let kept = put_aside(to, now)?;
    let copied = ready.place(Existing::Replace)?;
    Ok(Restored {
        copied,
        kept,
        left_behind,
        erased,
    })
}

/// A ledger's triggers keep deliveries as they are. Any other one would act with every webhook that is stored, on
/// whatever the file's author thought of.
fn check_triggers(from: &Path, copy: &Path) -> Result<(), Error> {
    let made = Made::compare(&connect(copy, Mode::Read)?)?;
    let Some(name) = made.strange("trigger").next() else {
        return Ok(());
    };
    Err(Error::Refused(format!(
        "{} has a trigger {:?} that no ledger has: nothing was restored; in a copy of it, `drop trigger` takes it out",
        from.display(),
        Printable::line(name).cut(60).as_str()
    )))
}

/// What is done to a copy before it becomes the ledger. Whatever must hold from the first moment on that an old copy
/// is in use again, such as what was erased since it was made, is done here.
fn tidy(copy: &Path, ledger: &Path, now: Timestamp) -> Result<usize, Error> {
    backup::forget(copy)?;
    reapply(copy, ledger, now)
}

/// What the ledger at `to` has and the backup at `from` does not. Refused if that is something and `replace` is not
/// said.
pub fn left_behind(from: &Path, to: &Path, replace: bool) -> Result<LeftBehind, Error> {
    let counted = match schema::look(to) {
        Ok(Found::Absent | Found::Empty) => return Ok(LeftBehind::default()),
        Ok(Found::Ledger) => compare(from, to),
        Err(error) => Err(error),
    };
    match counted {
        Err(Error::Foreign(path)) => Err(Error::Foreign(path)),
        Ok(left) if replace || left.deliveries == 0 => Ok(left),
        Ok(left) => Err(Error::Refused(there(to, left))),
        // It is damaged or newer: it is kept as it is.
        Err(_) if replace => Ok(LeftBehind::default()),
        Err(error) => Err(Error::Refused(format!(
            "there is a ledger already that cannot be read: {error}; --replace puts the backup in its place and keeps it"
        ))),
    }
}

fn there(to: &Path, left: LeftBehind) -> String {
    let LeftBehind {
        deliveries,
        common_seq,
        ..
    } = left;
    let (to, count) = (to.display(), left.count());
    let lost = match count {
        0 => "all of them are in the backup".to_owned(),
        _ => format!(
            "{} not in the backup, and `subledger export --deliveries 'seq:>{common_seq}'` writes \
             those out for `subledger import`",
            in_words(count, "of them is", "of them are")
        ),
    };
    let deliveries = in_words(deliveries, "delivery", "deliveries");
    format!(
        "{to} has {deliveries}; {lost}; --replace puts the backup in its place and keeps the old file"
    )
}

fn compare(from: &Path, to: &Path) -> Result<LeftBehind, Error> {
    let opened = |path: &Path| {
        let conn = connect(path, Mode::Read).map_err(|error| schema::judge(path, error))?;
        schema::check(&conn, path)?;
        Ok::<_, Error>(conn)
    };
    let judged = |error: Error| schema::judge(to, error);
    let (old, new) = (opened(to)?, opened(from)?);
    let last = |conn: &Connection| -> Result<i64, Error> {
        Ok(
            conn.query_row("select ifnull(max(seq), 0) from deliveries", [], |row| {
                row.get(0)
            })?,
        )
    };
    let last_seq = last(&old).map_err(judged)?;
    let newest = last(&new).map_err(|error| schema::judge(from, error))?;
    // A link stands for everything before it, so those that both have are the first ones.
    let (mut common, mut differing) = (0, last_seq.min(newest) + 1);
    while differing - common > 1 {
        let middle = common + (differing - common) / 2;
        if link(&old, middle)? == link(&new, middle)? {
            common = middle;
        } else {
            differing = middle;
        }
    }
    Ok(LeftBehind {
        deliveries: last_seq,
        common_seq: common,
        last_seq,
    })
}

fn link(conn: &Connection, seq: i64) -> Result<Option<Vec<u8>>, Error> {
    Ok(conn
        .prepare_cached("select link from deliveries where seq = ?1")?
        .query_row([seq], |row| row.get(0))
        .optional()?)
}

/// Gives the ledger at `to` a second name and takes its log away, so that the copy can take the first; the second
/// name, if there was a ledger.
fn put_aside(to: &Path, now: Timestamp) -> Result<Option<PathBuf>, Error> {
    if matches!(schema::look(to), Ok(Found::Absent | Found::Empty)) {
        remove_log(to)?;
        return Ok(None);
    }
    let kept = beside(to, &format!(".before-restore-{}", stamp(now)));
    let log = beside(to, "-wal");
    match into_one_file(to) {
        Err(Error::Busy) => return Err(Error::Busy),
        // It cannot be opened: its log is kept with it.
        Err(_) if log.exists() => link_or_move(&log, &beside(&kept, "-wal"))?,
        _ => {}
    }
    link_or_move(to, &kept)?;
    sync_folder(to)?;
    remove_log(to)?;
    Ok(Some(kept))
}

/// `20261121T061443Z`.
fn stamp(now: Timestamp) -> String {
    now.utc().format("%Y%m%dT%H%M%SZ").to_string()
}

/// A second name for a file; where the disk knows no second names, it is moved.
fn link_or_move(from: &Path, to: &Path) -> Result<(), Error> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => fs::rename(from, to),
        done => done,
    }
    .map_err(|source| Error::Io {
        path: to.to_owned(),
        cause: source,
    })
}

/// Brings everything in the log into the ledger at `path` itself.
fn into_one_file(path: &Path) -> Result<(), Error> {
    let conn = connect(path, Mode::Write)?;
    let busy: bool = conn.query_row("pragma wal_checkpoint(truncate)", [], |row| row.get(0))?;
    conn.close().map_err(|(_, error)| error)?;
    if busy { Err(Error::Busy) } else { Ok(()) }
}

/// A log that is left would be taken for the new file's. Whoever still reads the old one keeps it open.
fn remove_log(path: &Path) -> Result<(), Error> {
    for ending in ["-wal", "-shm", "-journal"] {
        remove(&beside(path, ending))?;
    }
    Ok(())
}
