//! A file that appears whole or not at all: written beside its place, synced, then given the name.
//!
//! Serves the settings and whatever the command line writes; a copy of a ledger has a way of its own, with a log beside
//! it (`store::upkeep::copy`). Never knows what is written.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// The ending of a file that is not whole.
const UNFINISHED: &str = ".part";

/// A file on its way to its place; gone again unless it is put there.
#[derive(Debug)]
pub struct Fresh {
    path: PathBuf,
    target: PathBuf,
    file: File,
    is_placed: bool,
}

impl Fresh {
    /// An empty file beside `target`, for this user only. What a killed process left is replaced; an error while another
    /// one writes the same file.
    pub fn beside(target: &Path) -> io::Result<Self> {
        let mut name = target.as_os_str().to_owned();
        name.push(UNFINISHED);
        let path = PathBuf::from(name);
        clear_stale(&path)?;
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        // Held for as long as the file is open; whoever was quicker writes under the same name.
        file.try_lock().map_err(|error| locked(&path, error))?;
        Ok(Self {
            path,
            target: target.to_owned(),
            file,
            is_placed: false,
        })
    }

    /// The file, to be written to.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Writes `bytes` behind what is there.
    pub fn write(mut self, bytes: &[u8]) -> io::Result<Self> {
        self.file.write_all(bytes)?;
        Ok(self)
    }

    /// Has others enter it as `mode` says.
    pub fn with_mode(self, mode: u32) -> io::Result<Self> {
        self.file.set_permissions(Permissions::from_mode(mode))?;
        Ok(self)
    }

    /// Gives it its name, once its bytes are on disk. A file of that name is replaced in one step.
    pub fn put(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, &self.target)?;
        self.is_placed = true;
        self.sync_folder();
        Ok(())
    }

    /// The same, only if nothing has that name.
    pub fn put_where_nothing_is(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        match renameat_with(CWD, &self.path, CWD, &self.target, RenameFlags::NOREPLACE) {
            Ok(()) => self.is_placed = true,
            // Not every file system knows how: a second name for the same file is as good.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                fs::hard_link(&self.path, &self.target)
                    .or_else(|error| self.rename_if_free(error))?;
            }
            Err(error) => return Err(error.into()),
        }
        self.sync_folder();
        Ok(())
    }

    /// Where the file system knows no second names either.
    fn rename_if_free(&self, error: io::Error) -> io::Result<()> {
        if error.kind() == io::ErrorKind::AlreadyExists || self.target.symlink_metadata().is_ok() {
            return Err(error);
        }
        fs::rename(&self.path, &self.target)
    }

    /// Has the folder remember the name. The file is there all the same where that cannot be done.
    fn sync_folder(&self) {
        File::open(folder_of(&self.target))
            .and_then(|folder| folder.sync_all())
            .ok();
    }
}

impl Drop for Fresh {
    /// What was not put in place must not lie about with secrets in it.
    fn drop(&mut self) {
        if !self.is_placed {
            fs::remove_file(&self.path).ok();
        }
    }
}

/// The folder that `path` stands in.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Removes what stands at `path` if nobody works on it any more.
fn clear_stale(path: &Path) -> io::Result<()> {
    let removed = match File::open(path) {
        Ok(file) => {
            file.try_lock().map_err(|error| locked(path, error))?;
            fs::remove_file(path)
        }
        // A link that leads nowhere is removed too.
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::remove_file(path),
        Err(error) => return Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn locked(path: &Path, error: TryLockError) -> io::Error {
    match error {
        TryLockError::WouldBlock => io::Error::new(
            io::ErrorKind::ResourceBusy,
            format!("another one is writing {}: wait for it", path.display()),
        ),
        TryLockError::Error(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.txt");
        drop(Fresh::beside(&target).unwrap().write(b"half").unwrap());
        assert!(names(folder.path()).is_empty());
        let fresh = Fresh::beside(&target).unwrap().write(b"whole").unwrap();
        assert_eq!(names(folder.path()), ["a.txt.part"]);
        fresh.put().unwrap();
        assert_eq!(names(folder.path()), ["a.txt"]);
        let metadata = fs::metadata(&target).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        let fresh = Fresh::beside(&target).unwrap().write(b"newer").unwrap();
        fresh.with_mode(0o644).unwrap().put().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"newer");
        let metadata = fs::metadata(&target).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o644);
    }

    #[test]
    fn what_came_meanwhile_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.txt");
        let fresh = Fresh::beside(&target).unwrap().write(b"late").unwrap();
        fs::write(&target, "early").unwrap();
        let refused = fresh.put_where_nothing_is().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&target).unwrap(), b"early");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn what_a_killed_process_left_is_cleared_and_one_at_work_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.txt");
        fs::write(folder.path().join("a.txt.part"), "left by a crash").unwrap();
        let fresh = Fresh::beside(&target).unwrap().write(b"x").unwrap();
        let busy = Fresh::beside(&target).unwrap_err();
        assert_eq!(busy.kind(), io::ErrorKind::ResourceBusy);
        fresh.put().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"x");
    }
}
