//! The lock beside a ledger: whoever holds it is the one process that writes.
//!
//! An operating system lock, so a crash leaves none behind. What the file says only names the holder for messages
//! and is never believed for anything else. Whatever else stands under its name, a link too, is left as it is.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;
use crate::store::Error;
use crate::store::schema::beside;

/// Somebody who only looks holds a shared lock for an instant: so often it is tried again.
const TRIES: u32 = 5;
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// What the words of a holder begin with.
const BEGINS: &[u8] = b"{\"pid\":";
/// They are never longer.
const HOLDER_BYTES_MAX: u64 = 4096;

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
        if !is_ours(&mut file).map_err(failed)? {
            return Err(failed(strange()));
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
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    open_with(options.mode(0o600), name)
}

/// Never through a link, and nothing but a file.
fn open_with(options: &mut OpenOptions, name: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = options
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
        .open(name);
    let file = opened.map_err(|error| match fs::symlink_metadata(name) {
        Ok(found) if found.is_symlink() => strange(),
        _ => error,
    })?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(strange())
    }
}

fn strange() -> io::Error {
    io::Error::new(
        io::ErrorKind::AlreadyExists,
        "this is no lock of subledger's, and was left as it is: move it away",
    )
}

/// Whether nothing stands in `file` but what a holder wrote, or what a cut of power left of that.
fn is_ours(file: &mut File) -> io::Result<bool> {
    let mut text = Vec::new();
    file.rewind()?;
    file.take(HOLDER_BYTES_MAX + 1).read_to_end(&mut text)?;
    let is_short = text.len() as u64 <= HOLDER_BYTES_MAX;
    let is_begun = text.starts_with(BEGINS) || BEGINS.starts_with(&text);
    Ok(is_short && (is_begun || text.iter().all(|byte| *byte == 0)))
}

/// Whether `file` is what `name` leads to.
fn is_named(file: &File, name: &Path) -> bool {
    let place = |about: Metadata| (about.dev(), about.ino());
    match (file.metadata(), fs::symlink_metadata(name)) {
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
    file.take(HOLDER_BYTES_MAX).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// Whether process `pid` has the lock file of the ledger at `path` open, as its holder has. `None` where the system does
/// not tell: the process is another user's, or there is no `/proc`.
pub fn is_open_in(path: &Path, pid: u32) -> Option<bool> {
    if !Path::new("/proc/self/fd").exists() {
        return None;
    }
    let Ok(own) = fs::symlink_metadata(lock_path(path)) else {
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
    let mut file = open_with(OpenOptions::new().read(true), &lock_path(path)).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(read(&mut file).unwrap_or(Holder {
            pid: 0,
            listen: String::new(),
            started_at: String::new(),
        })),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);

    #[test]
    fn what_a_holder_left_is_taken_over_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = dir.path().join("a.db");
        let name = lock_path(&ledger);
        for left in [
            &b""[..],
            b"{\"p",
            b"{\"pid\":12,\"listen\":\"\",\"started_at\":\"x\"}",
            b"{\"pid\":12\0\0\0",
            &[0; 100],
        ] {
            fs::write(&name, left).unwrap();
            let lock = Lock::take(&ledger, "", NOW).unwrap();
            assert_eq!(holder(&ledger).unwrap().pid, std::process::id());
            drop(lock);
            assert_eq!(fs::read(&name).unwrap(), b"");
        }
        let mut long = b"{\"pid\":".to_vec();
        long.resize(5000, b'1');
        for other in [&b"precious"[..], b"\0precious", &long] {
            fs::write(&name, other).unwrap();
            let error = Lock::take(&ledger, "", NOW).unwrap_err().to_string();
            assert!(error.contains("a.db.lock: this is no lock"), "{error}");
            assert_eq!(fs::read(&name).unwrap(), other);
        }
    }

    #[test]
    fn no_lock_is_taken_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = dir.path().join("a.db");
        let victim = dir.path().join("victim");
        fs::write(&victim, "").unwrap();
        std::os::unix::fs::symlink(&victim, lock_path(&ledger)).unwrap();
        let error = Lock::take(&ledger, "", NOW).unwrap_err().to_string();
        assert!(error.contains("move it away"), "{error}");
        assert!(holder(&ledger).is_none());
        fs::remove_file(&victim).unwrap();
        // Nor is a file made where one leads to.
        assert!(Lock::take(&ledger, "", NOW).is_err());
        assert!(!victim.exists());
    }
}
