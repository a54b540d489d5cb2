//! A whole, checked copy of a ledger file, made while others write to it.
//!
//! All pages are copied under one snapshot, so a writer that never pauses does not make it begin again; what is
//! written meanwhile waits in the write-ahead log until the pages are through. (A copy without a snapshot begins again
//! at every commit; `vacuum into` holds the same one, for four times the processor time, and can neither pause nor
//! sync as it goes.) The copy stands under a name of
//! its own beside its target until it is synced and verified, and only then takes the name: on any failure nothing is
//! left. Reads the ledger only, and needs no lock.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use crate::store::schema::{self, Found, beside, folder, meta, remove};
use crate::store::upkeep::room::{self, RESERVE_BYTES};
use crate::store::upkeep::verify::{Verified, verify_until};
use crate::store::{Error, Mode, connect};

/// So many pages are copied between two looks at `Watch::stop`: 1 MiB.
const STEP_PAGES: i32 = 256;
/// So much is written before it is synced, so that a commit's own sync never waits for all of it.
const SYNC_BYTES: u64 = 8 << 20;
/// A gentle copy rests as long as it worked, at most this.
const REST_MAX: Duration = Duration::from_millis(200);

/// The ending of a copy that is not finished.
pub(crate) const UNFINISHED: &str = ".part";

/// What a copy has to do with what stands at its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Whatever is there stays, and the copy is refused.
    Keep,
    /// A file that is there is replaced, in one step.
    Replace,
}

/// How far a copy has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Bytes that are copied, and of how many.
    Copying {
        /// So many.
        done: u64,
        /// Of so many.
        of: u64,
    },
    /// Deliveries of the copy that are checked, and of how many; then the file's structure is looked at.
    Checking {
        /// So many.
        done: u64,
        /// Of so many.
        of: u64,
    },
}

/// Who watches a copy.
pub struct Watch<'a> {
    /// Once it is true, the copy ends with `Error::Interrupted` within a moment, and nothing is left of it.
    pub stop: &'a Arc<AtomicBool>,
    /// Whether to rest between steps, for copies that nobody waits for.
    pub gentle: bool,
    /// Is told how far it is, many times a second.
    pub told: &'a mut dyn FnMut(Stage),
}

impl Watch<'_> {
    fn check(&self) -> Result<(), Error> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        Ok(())
    }
}

/// What was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Size of the file.
    pub bytes: u64,
    /// What verifying the copy found; it is sound.
    pub verified: Verified,
    /// Which ledger it is, 32 hex digits.
    pub ledger_id: String,
}

/// Copies the ledger at `from` to `to`. `Error::Damaged` names the first damage of the copy, which is the ledger's.
pub fn copy(
    from: &Path,
    to: &Path,
    existing: Existing,
    watch: &mut Watch<'_>,
) -> Result<Copied, Error> {
    prepare(from, to, existing, watch)?.place(existing)
}

/// Makes the copy and verifies it; it takes its name when it is placed, and is gone if it is dropped.
pub fn prepare(
    from: &Path,
    to: &Path,
    existing: Existing,
    watch: &mut Watch<'_>,
) -> Result<Ready, Error> {
    if schema::look(from)? != Found::Ledger {
        return Err(Error::Absent(from.to_owned()));
    }
    check_target(from, to, existing)?;
    check_room(from, to)?;
    let part = Part::begin(to)?;
    let ledger_id = fill(from, &part, watch).map_err(|error| room(&part.path, error))?;
    let verified = verify(from, &part, watch)?;
    let bytes = part
        .file
        .sync_all()
        .and_then(|()| part.file.metadata())
        .map_err(|source| io_error(&part.path, source))?
        .len();
    Ok(Ready {
        part,
        to: to.to_owned(),
        copied: Copied {
            bytes,
            verified,
            ledger_id,
        },
    })
}

/// A verified copy that has not taken its name yet.
pub struct Ready {
    part: Part,
    to: PathBuf,
    copied: Copied,
}

impl Ready {
    /// Where it stands for now.
    pub fn path(&self) -> &Path {
        &self.part.path
    }

    /// What was copied.
    pub const fn copied(&self) -> &Copied {
        &self.copied
    }

    /// Gives it its name, for good: file and folder are synced.
    pub fn place(mut self, existing: Existing) -> Result<Copied, Error> {
        if existing == Existing::Keep && self.to.symlink_metadata().is_ok() {
            return Err(there_already(&self.to));
        }
        self.part
            .file
            .sync_all()
            .and_then(|()| fs::rename(&self.part.path, &self.to))
            .map_err(|source| io_error(&self.to, source))?;
        self.part.placed = true;
        sync_folder(&self.to)?;
        Ok(self.copied.clone())
    }
}

/// The unfinished file, locked as long as somebody works on it, so that one left by a crash can be told apart.
struct Part {
    path: PathBuf,
    file: File,
    placed: bool,
}

impl Part {
    fn begin(to: &Path) -> Result<Self, Error> {
        let path = beside(to, UNFINISHED);
        clear_stale(&path)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| io_error(&path, source))?;
        // Held for as long as the file is open; whoever was quicker wrote under the same name.
        file.try_lock().map_err(|_| busy(&path))?;
        Ok(Self {
            path,
            file,
            placed: false,
        })
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.placed {
            // What cannot be removed now is stale, and goes at the next copy.
            let _ = remove_all(&self.path);
        }
    }
}

/// Removes the unfinished copy at `path` if nobody works on it any more.
pub(crate) fn clear_stale(path: &Path) -> Result<(), Error> {
    match schema::open_to_look(path) {
        Ok(file) => match file.try_lock() {
            Ok(()) => remove_all(path),
            Err(TryLockError::WouldBlock) => Err(busy(path)),
            Err(TryLockError::Error(source)) => Err(io_error(path, source)),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => remove_all(path),
        Err(source) => Err(io_error(path, source)),
    }
}

fn busy(path: &Path) -> Error {
    let path = path.display();
    Error::Refused(format!(
        "another copy is being written to {path}: wait for it"
    ))
}

fn remove_all(path: &Path) -> Result<(), Error> {
    for ending in ["-wal", "-shm", "-journal", ""] {
        remove(&beside(path, ending))?;
    }
    Ok(())
}

fn check_target(from: &Path, to: &Path, existing: Existing) -> Result<(), Error> {
    let Ok(there) = fs::metadata(to) else {
        return match to.symlink_metadata() {
            Ok(_) => Err(there_already(to)),
            Err(_) => Ok(()),
        };
    };
    let source = fs::metadata(from).map_err(|source| io_error(from, source))?;
    if (there.dev(), there.ino()) == (source.dev(), source.ino()) {
        let to = to.display();
        return Err(Error::Refused(format!(
            "{to} is the ledger itself: name another file"
        )));
    }
    if existing == Existing::Keep || !there.is_file() {
        return Err(there_already(to));
    }
    Ok(())
}

fn there_already(to: &Path) -> Error {
    Error::Refused(format!(
        "{} is there already: it was left as it is; name another file, or say --force",
        to.display()
    ))
}

/// Refuses early what cannot end well. A disk that cannot be asked may have room.
fn check_room(from: &Path, to: &Path) -> Result<(), Error> {
    let into = folder(to);
    let target = fs::metadata(&into).map_err(|source| io_error(&into, source))?;
    let source = fs::metadata(from).map_err(|source| io_error(from, source))?;
    let log = fs::metadata(beside(from, "-wal")).map_or(0, |log| log.len());
    let mut needed = source.len().saturating_add(log);
    if target.dev() == source.dev() {
        needed = needed.saturating_add(RESERVE_BYTES);
    }
    let Some(free) = room::free_bytes(&into) else {
        return Ok(());
    };
    if free >= needed {
        return Ok(());
    }
    let says = format!(
        "no room for a copy: it needs {} MiB, and {} are free",
        needed.div_ceil(1 << 20),
        free >> 20
    );
    Err(io_error(
        &into,
        io::Error::new(io::ErrorKind::StorageFull, says),
    ))
}

/// A copy that cannot be written says nothing about the ledger.
fn room(part: &Path, error: Error) -> Error {
    match error {
        Error::Full(what) => io_error(part, io::Error::new(io::ErrorKind::StorageFull, what)),
        Error::Unwritable(what) => io_error(part, io::Error::other(what)),
        other => other,
    }
}

/// Copies all pages; which ledger it is.
fn fill(from: &Path, part: &Part, watch: &mut Watch<'_>) -> Result<String, Error> {
    let judged = |error: rusqlite::Error| schema::judge(from, error.into());
    let source = connect(from, Mode::Read).map_err(|error| schema::judge(from, error))?;
    schema::check(&source, from)?;
    // The snapshot is taken by the first read after this.
    source.execute_batch("begin")?;
    let ledger_id = meta(&source, "ledger_id")
        .map_err(|error| schema::judge(from, error))?
        .ok_or_else(|| damaged(from, "it does not say which ledger it is".to_owned()))?;
    let page_bytes: u32 = source
        .pragma_query_value(None, "page_size", |row| row.get(0))
        .map_err(judged)?;
    let mut target = connect(&part.path, Mode::Fill)?;
    let pages = Backup::new(&source, &mut target)?;
    let mut unsynced = 0;
    loop {
        watch.check()?;
        let begun = Instant::now();
        let step = pages.step(STEP_PAGES).map_err(judged)?;
        let progress = pages.progress();
        let bytes = |count: i32| u64::try_from(count).unwrap_or(0) * u64::from(page_bytes);
        (watch.told)(Stage::Copying {
            done: bytes(progress.pagecount - progress.remaining),
            of: bytes(progress.pagecount),
        });
        match step {
            StepResult::Done => break,
            StepResult::Busy | StepResult::Locked => return Err(Error::Busy),
            _ => {}
        }
        unsynced += bytes(STEP_PAGES);
        if unsynced >= SYNC_BYTES {
            unsynced = 0;
            part.file
                .sync_data()
                .map_err(|source| io_error(&part.path, source))?;
        }
        if watch.gentle {
            std::thread::sleep(begun.elapsed().min(REST_MAX));
        }
    }
    drop(pages);
    single_file(&target)?;
    target.close().map_err(|(_, error)| error)?;
    Ok(ledger_id)
}

/// The pages say that a log stands beside them: none does.
fn single_file(target: &Connection) -> Result<(), Error> {
    let mode: String = target.query_row("pragma journal_mode = delete", [], |row| row.get(0))?;
    if mode == "delete" {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "the copy keeps a log beside it ({mode}): please report this"
    )))
}

fn verify(from: &Path, part: &Part, watch: &mut Watch<'_>) -> Result<Verified, Error> {
    let last: i64 = connect(&part.path, Mode::Read)?
        .query_row("select ifnull(max(seq), 0) from deliveries", [], |row| {
            row.get(0)
        })
        .map_err(|error| schema::judge(from, error.into()))?;
    let of = u64::try_from(last).unwrap_or(0);
    let told = &mut *watch.told;
    told(Stage::Checking { done: 0, of });
    let verified = verify_until(&part.path, watch.stop, &mut |done| {
        told(Stage::Checking { done, of });
    })?;
    if verified.is_sound() {
        return Ok(verified);
    }
    Err(damaged(from, first_damage(&verified)))
}

/// The first thing that is wrong, and how many more.
pub fn first_damage(verified: &Verified) -> String {
    let first = verified.damage.first();
    let says = match first.map(|damage| (damage.seq, damage.what.as_str())) {
        Some((Some(seq), what)) => format!("delivery {seq}: {what}"),
        Some((None, what)) => what.to_owned(),
        None => "something is wrong".to_owned(),
    };
    match verified.damaged {
        0 | 1 => says,
        more => format!("{says}; {} more", more - 1),
    }
}

fn damaged(path: &Path, what: String) -> Error {
    Error::Damaged {
        path: path.to_owned(),
        what,
    }
}

/// Has the folder of `path` remember the names in it.
pub(crate) fn sync_folder(path: &Path) -> Result<(), Error> {
    let folder = folder(path);
    File::open(&folder)
        .and_then(|dir| dir.sync_all())
        .map_err(|source| io_error(&folder, source))
}

fn io_error(path: &Path, source: io::Error) -> Error {
    Error::Io {
        path: path.to_owned(),
        cause: source,
    }
}
