//! What the disk does: how long one sync takes, what the write-ahead log takes, and which table or index the bytes of
//! a ledger belong to.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use subledger::store::{Mode, connect};

/// What is appended before each sync.
const APPENDED: [u8; 4096] = [b'x'; 4096];
/// A page and its head in the write-ahead log.
const FRAME_BYTES: u64 = 4096 + 24;
/// How often the write-ahead log is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// How long `count` times one append of 4 KiB and its fdatasync took, shortest first; one every `every`.
pub(crate) fn syncs(folder: &Path, count: u32, every: Duration) -> io::Result<Vec<Duration>> {
    let path = folder.join("syncs");
    let mut file = File::options().create(true).append(true).open(&path)?;
    let mut took = Vec::new();
    let first = Instant::now();
    for number in 0..count {
        std::thread::sleep((first + every * number).saturating_duration_since(Instant::now()));
        let begun = Instant::now();
        file.write_all(&APPENDED)?;
        file.sync_data()?;
        took.push(begun.elapsed());
    }
    std::fs::remove_file(path)?;
    took.sort_unstable();
    Ok(took)
}

/// Counts the pages that are written to a write-ahead log, by the index beside it, until it is dropped.
pub(crate) struct WalWatch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
}

impl WalWatch {
    /// Of the database `db`, which another process has open.
    pub(crate) fn start(db: &Path) -> io::Result<Self> {
        let mut index = db.as_os_str().to_owned();
        index.push("-shm");
        let index = File::open(PathBuf::from(index))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut frames = Frames::default();
            while !stopped.load(Ordering::Relaxed) {
                frames.look(&index);
                std::thread::sleep(LOOK_AGAIN);
            }
            frames.look(&index);
            frames.written
        });
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }

    /// Bytes written to the log since the start.
    pub(crate) fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take();
        thread.map_or(0, |thread| {
            thread.join().expect("it only looks") * FRAME_BYTES
        })
    }
}

impl Drop for WalWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Where the log stood and what was written so far.
#[derive(Default)]
struct Frames {
    seen: Option<(u32, u32)>,
    written: u64,
}

impl Frames {
    /// Looks at the head of the index: the number of frames at byte 16, the salt that a log from its beginning has at
    /// byte 32 (file format of SQLite, section 4 of walformat.html).
    fn look(&mut self, index: &File) {
        let mut head = [0; 48];
        if index.read_exact_at(&mut head, 0).is_err() {
            return;
        }
        let number =
            |at: usize| u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (frames, salt) = (number(16), number(32));
        self.written += u64::from(match self.seen {
            None => 0,
            Some((before, same)) if same == salt && frames >= before => frames - before,
            Some(_) => frames,
        });
        self.seen = Some((frames, salt));
    }
}

/// Bytes of one table or index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) name: String,
    /// The table it is an index of; its own name where it is a table.
    pub(crate) table: String,
    pub(crate) bytes: u64,
}

/// A closed ledger: how many deliveries, and whose the bytes of its file are, most first.
pub(crate) struct Sizes {
    pub(crate) deliveries: u64,
    /// Deliveries that repeat an earlier one.
    pub(crate) duplicates: u64,
    pub(crate) file_bytes: u64,
    /// Of them, in pages that hold nothing.
    pub(crate) free_bytes: u64,
    pub(crate) shares: Vec<Share>,
}

impl Sizes {
    pub(crate) fn of(db: &Path) -> io::Result<Self> {
        let conn = connect(db, Mode::Read).map_err(io::Error::other)?;
        Self::in_ledger(&conn, db).map_err(io::Error::other)
    }

    fn in_ledger(conn: &Connection, db: &Path) -> rusqlite::Result<Self> {
        let count = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0));
        let shares = conn
            .prepare(SHARES)?
            .query_map([], |row| {
                Ok(Share {
                    name: row.get(0)?,
                    table: row.get(1)?,
                    bytes: row.get::<_, i64>(2)?.unsigned_abs(),
                })
            })?
            .collect::<rusqlite::Result<_>>()?;
        Ok(Self {
            deliveries: count("select count(*) from deliveries")?.unsigned_abs(),
            duplicates: count("select count(*) from deliveries where outcome = 'duplicate'")?
                .unsigned_abs(),
            file_bytes: std::fs::metadata(db).map_or(0, |file| file.len()),
            free_bytes: count(
                "select freelist_count * page_size from pragma_freelist_count, pragma_page_size",
            )?
            .unsigned_abs(),
            shares,
        })
    }

    /// Bytes of the file for each delivery.
    pub(crate) fn each(&self) -> f64 {
        crate::real(self.file_bytes) / crate::real(self.deliveries.max(1))
    }
}

/// The schema itself has no row in its own table.
const SHARES: &str = "select s.name, coalesce(m.tbl_name, s.name), s.pgsize \
    from dbstat as s left join sqlite_schema as m on m.name = s.name \
    where s.aggregate = true order by s.pgsize desc, s.name";
