//! Room on disk that is left for what arrives: whoever writes much for the publisher stops before it is gone.

use std::io;
use std::path::Path;

use rusqlite::Connection;

use crate::store::Error;

/// So much is left free on the ledger's own disk: webhooks go on arriving.
pub const RESERVE_BYTES: u64 = 64 << 20;

/// So many free pages are given back at a time where nobody waits for it.
pub(crate) const PAGES: i64 = 256;

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

/// Gives up to `pages` free pages back to the disk; whether there are more.
pub(crate) fn give_back(conn: &Connection, pages: i64) -> Result<bool, Error> {
    let free = || conn.query_row("pragma freelist_count", [], |row| row.get::<_, i64>(0));
    let before = free()?;
    if before == 0 {
        return Ok(false);
    }
    let mut statement = conn.prepare(&format!("pragma incremental_vacuum({pages})"))?;
    // Each row that is asked for is a page given back.
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    let after = free()?;
    Ok(after > 0 && after < before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Mode, connect};

    #[test]
    fn a_disk_without_the_reserve_is_full() {
        let folder = tempfile::tempdir().unwrap();
        check(folder.path(), 1).unwrap();
        let full = check(folder.path(), u64::MAX).unwrap_err();
        assert!(full.to_string().contains("no room"), "{full}");
        check(&folder.path().join("absent"), u64::MAX).unwrap();
    }

    #[test]
    fn free_pages_are_given_back_many_at_a_time() {
        let conn = connect(Path::new(":memory:"), Mode::Fill).unwrap();
        conn.execute_batch(
            "pragma auto_vacuum = incremental;
             create table large (i, text);
             insert into large with recursive n(i) as (select 1 union all select i + 1 from n limit 3000)
             select i, hex(randomblob(500)) from n;
             drop table large",
        )
        .unwrap();
        let free = || -> i64 {
            conn.query_row("pragma freelist_count", [], |row| row.get(0))
                .unwrap()
        };
        let before = free();
        assert!(before > 2 * PAGES, "{before}");
        assert!(give_back(&conn, PAGES).unwrap());
        // A page that only points at others may go with them.
        assert!(
            (PAGES..=PAGES + 2).contains(&(before - free())),
            "{before} {}",
            free()
        );
    }
}
