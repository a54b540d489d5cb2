//! Files that this process must not close: the databases that it has connections to.
//!
//! POSIX locks belong to a process and a file. Whoever closes any descriptor of the file, whichever it is, lets go of
//! all locks of the process on it, and so of those that SQLite holds. Another program that opens the ledger and closes
//! it then takes itself for the last one and removes the write-ahead log under the writer, with all that was
//! acknowledged since. So a look at the first bytes of a file that somebody here is connected to leaves it open, and
//! the next look uses the same descriptor. Holds no connection, takes no lock.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags};

use crate::store::schema::open_to_look;

/// Device and inode.
pub(crate) type Place = (u64, u64);

/// Files with connections now or earlier, and the descriptor of each that was looked at since.
static CONNECTED: Mutex<BTreeMap<Place, Option<File>>> = Mutex::new(BTreeMap::new());

/// Which file that is, whatever its name.
pub(crate) fn place(about: &Metadata) -> Place {
    (about.dev(), about.ino())
}

/// Where the file at `path` is on its disk; `None` if there is none.
pub(crate) fn place_of(path: &Path) -> Option<Place> {
    fs::metadata(path).ok().as_ref().map(place)
}

/// Opens a connection, without any setting.
#[expect(
    clippy::disallowed_methods,
    reason = "what `store::connect` opens databases with"
)]
pub(crate) fn open(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    // Held meanwhile, so that nobody who looked before closes the file after.
    let mut connected = CONNECTED.lock().unwrap_or_else(PoisonError::into_inner);
    let conn = Connection::open_with_flags(path, flags)?;
    if let Some(place) = place_of(path) {
        connected.entry(place).or_default();
    }
    Ok(conn)
}

/// The first `N` bytes of the file at `path`, fewer if it is shorter; `None` if what is there is no file.
pub(crate) fn head<const N: usize>(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut connected = CONNECTED.lock().unwrap_or_else(PoisonError::into_inner);
    // A file without a name is locked by nobody else; its room on the disk is wanted back.
    connected.retain(|_, kept| {
        let is_named = |file: &File| file.metadata().is_ok_and(|about| about.nlink() > 0);
        kept.as_ref().is_none_or(is_named)
    });
    if let Some(Some(file)) = place_of(path).and_then(|place| connected.get(&place)) {
        return first::<N>(file).map(Some);
    }
    let file = open_to_look(path)?;
    let about = file.metadata()?;
    let read = about.is_file().then(|| first::<N>(&file)).transpose();
    if let Some(kept) = connected.get_mut(&place(&about)) {
        *kept = Some(file);
    }
    read
}

/// The file at `path`, to be read and written beside SQLite; never closed, and opened once however often it is asked for.
pub(crate) fn writable(path: &Path) -> io::Result<&'static File> {
    static OPEN: Mutex<BTreeMap<Place, &'static File>> = Mutex::new(BTreeMap::new());
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(file) = open.get(&place(&fs::metadata(path)?)) {
        return Ok(file);
    }
    let file: &'static File = Box::leak(Box::new(
        OpenOptions::new().read(true).write(true).open(path)?,
    ));
    open.insert(place(&file.metadata()?), file);
    Ok(file)
}

/// Keeps other processes from writing to a file by another of its names, until it is dropped. SQLite's own locks would
/// let them, each with a write-ahead log of its own.
#[derive(Debug)]
pub(crate) struct Hold(Place);

/// Holds the file at `path`; `None` if another process does.
pub(crate) fn hold(path: &Path) -> io::Result<Option<Hold>> {
    let mut connected = CONNECTED.lock().unwrap_or_else(PoisonError::into_inner);
    let place = place(&fs::metadata(path)?);
    let kept = connected.entry(place).or_default();
    let file = match kept {
        Some(file) => file,
        None => kept.insert(open_to_look(path)?),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(Hold(place))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let connected = CONNECTED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Some(file)) = connected.get(&self.0) {
            // Whoever cannot let go keeps others out until it ends, as it does now.
            let _ = file.unlock();
        }
    }
}

fn first<const N: usize>(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; N];
    let mut filled = 0;
    while filled < N {
        match file.read_at(&mut bytes[filled..], filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
