//! Room on disk that is left for what arrives: whoever writes much for the publisher stops before it is gone.

use std::io;
use std::path::Path;

use crate::store::Error;

/// So much is left free on the ledger's own disk: webhooks go on arriving.
pub const RESERVE_BYTES: u64 = 64 << 20;

/// How many bytes are free for this user on the disk of `path`; `None` where that cannot be asked.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    // Some that are no disks say that they have no size.
    (disk.f_blocks > 0).then(|| disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Refused where fewer than `reserve` bytes are free in `folder`. A disk that cannot be asked may have room.
pub fn check(folder: &Path, reserve: u64) -> Result<(), Error> {
    match free_bytes(folder) {
        Some(free) if free < reserve => {
            let says = format!(
                "no room: {} MiB are free, and the last {} MiB are left for webhooks; make room, then do it again",
                free >> 20,
                reserve >> 20
            );
            Err(Error::Io {
                path: folder.to_owned(),
                cause: io::Error::new(io::ErrorKind::StorageFull, says),
            })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_without_the_reserve_is_full() {
        let folder = tempfile::tempdir().unwrap();
        check(folder.path(), 1).unwrap();
        let full = check(folder.path(), u64::MAX).unwrap_err();
        assert!(full.to_string().contains("no room"), "{full}");
        check(&folder.path().join("absent"), u64::MAX).unwrap();
    }
}
