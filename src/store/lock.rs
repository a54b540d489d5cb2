//! The lock beside a ledger: whoever holds it is the one process that writes.
//!
//! An operating system lock, so a crash leaves none behind. What the file says only names the holder for messages
//! and is never believed for anything else.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;
use crate::store::Error;
use crate::store::schema::beside;

/// Somebody who only looks holds a shared lock for an instant: so often it is tried again.
const TRIES: u32 = 5;
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// Who holds the lock, in its own words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Process id.
    pub pid: u32,
    /// The address it receives on; empty if it does not receive.
    pub listen: String,
    /// When it took the lock.
    pub started_at: String,
}

/// The lock, held until this is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    name: PathBuf,
}

/// `<database>.lock`.
pub fn lock_path(path: &Path) -> PathBuf {
    beside(path, ".lock")
}

impl Lock {
    /// Takes the lock of the ledger at `path`. `Error::Locked` names the holder if it is held.
    pub fn take(path: &Path, listen: &str, now: Timestamp) -> Result<Self, Error> {
        let name = lock_path(path);
        let failed = |source| Error::Io {
            path: name.clone(),
            cause: source,
        };
        let mut file = open(&name).map_err(failed)?;
        for attempt in 0.. {
            match file.try_lock() {
                Ok(()) if is_named(&file, &name) => break,
                // Whoever held it has taken the file away: that lock keeps nobody out.
                Ok(()) => file = open(&name).map_err(failed)?,
                Err(TryLockError::WouldBlock) if attempt < TRIES => std::thread::sleep(TRY_AGAIN),
                Err(TryLockError::WouldBlock) => return Err(locked(path, &mut file)),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
        let holder = Holder {
            pid: std::process::id(),
            listen: listen.to_owned(),
            started_at: now.to_string(),
        };
        let text = serde_json::to_string(&holder).unwrap_or_default();
        // A full disk must not keep the ledger closed for want of a name in a message.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()));
        Ok(Self { file, name })
    }

    /// Lets go and takes the file away too, where there was to be no ledger after all.
    pub(crate) fn discard(self) {
        let _ = fs::remove_file(&self.name);
    }
}

fn open(name: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(name)
}

/// Whether `file` is what `name` leads to.
fn is_named(file: &File, name: &Path) -> bool {
    let place = |about: Metadata| (about.dev(), about.ino());
    match (file.metadata(), fs::metadata(name)) {
        (Ok(file), Ok(named)) => place(file) == place(named),
        _ => false,
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

fn locked(path: &Path, file: &mut File) -> Error {
    Error::Locked {
        path: path.to_owned(),
        holder: read(file).map_or_else(|| "unknown".to_owned(), |holder| holder.pid.to_string()),
    }
}

fn read(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(4096).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// Whether process `pid` has the lock file of the ledger at `path` open, as its holder has. `None` where the system does
/// not tell: the process is another user's, or there is no `/proc`.
pub fn is_open_in(path: &Path, pid: u32) -> Option<bool> {
    if !Path::new("/proc/self/fd").exists() {
        return None;
    }
    let Ok(own) = fs::metadata(lock_path(path)) else {
        return Some(false);
    };
    let is_it = |found: &fs::Metadata| (found.dev(), found.ino()) == (own.dev(), own.ino());
    match fs::read_dir(format!("/proc/{pid}/fd")) {
        Ok(entries) => Some(
            entries
                .flatten()
                .any(|entry| fs::metadata(entry.path()).is_ok_and(|found| is_it(&found))),
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(false),
        Err(_) => None,
    }
}

/// Who writes to the ledger at `path` now; `None` if nobody does. A holder whose words cannot be read has pid 0.
pub fn holder(path: &Path) -> Option<Holder> {
    let mut file = File::open(lock_path(path)).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(read(&mut file).unwrap_or(Holder {
            pid: 0,
            listen: String::new(),
            started_at: String::new(),
        })),
        _ => None,
    }
}
