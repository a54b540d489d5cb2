//! The schema of a ledger file: made once, checked at every opening.
//!
//! A ledger is told from other SQLite files by its application id, and from later ones by `user_version`. Never
//! touches a file that is not ours: its first hundred bytes are looked at before SQLite opens it for writing.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use crate::domain::time::{Timestamp, Zone};
use crate::store::kept;
use crate::store::seal;
use crate::store::upgrade::{self, Upgraded};
use crate::store::upkeep::again::clean_beside;
use crate::store::{Error, Mode, connect};

/// The whole schema.
const SCHEMA: &str = include_str!("../../schema.sql");

/// `PRAGMA application_id` of every ledger: `SubL` in ASCII.
pub const APPLICATION_ID: i64 = 0x5375_624c;

/// `PRAGMA user_version` of a new ledger: the first schema and the steps of `upgrade` since.
pub const SCHEMA_VERSION: i64 = 6;

/// The ending of the file in which everything is folded again, to be compared.
pub(crate) const COMPARED: &str = ".check";

/// Version of the code that reads and folds deliveries, raised whenever it reads or folds anything differently. A
/// ledger that is opened for writing with a smaller one has what was not understood read again, then everything folded
/// again; with a greater one, only the latter.
///
/// 2: amounts of any number of digits, `-0` and `1e3` are judged by their exact token; half of a surrogate pair costs its
/// own text and no longer the whole body.
pub const READER_VERSION: i64 = 2;

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Absent,
    /// A file without a byte: as good as nothing.
    Empty,
    /// A SQLite file that says it is a ledger.
    Ledger,
}

/// Looks at the first bytes of `path` without opening it as a database, so that nothing is left beside a foreign
/// file. `Error::Foreign` for anything that is neither nothing nor a ledger, `Error::Newer` for a later version.
pub fn look(path: &Path) -> Result<Found, Error> {
    let head = match kept::head::<100>(path) {
        Ok(Some(head)) => head,
        Ok(None) => return Err(Error::Foreign(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Absent),
        Err(source) => return Err(io_error(path, source)),
    };
    if head.is_empty() {
        return Ok(Found::Empty);
    }
    if head.len() < 100 || !head.starts_with(b"SQLite format 3\0") {
        return Err(Error::Foreign(path.to_owned()));
    }
    if i64::from(word(&head, 68)) != APPLICATION_ID {
        return Err(Error::Foreign(path.to_owned()));
    }
    let found = i64::from(word(&head, 60));
    if found > SCHEMA_VERSION {
        return Err(newer(path, found));
    }
    Ok(Found::Ledger)
}

/// Opens a file for reading; a pipe that nobody writes to keeps nobody waiting.
pub(crate) fn open_to_look(path: &Path) -> io::Result<File> {
    let without_waiting = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    OpenOptions::new()
        .read(true)
        .custom_flags(without_waiting)
        .open(path)
}

fn word(head: &[u8], at: usize) -> u32 {
    head[at..at + 4]
        .iter()
        .fold(0, |word, byte| (word << 8) | u32::from(*byte))
}

fn newer(path: &Path, found: i64) -> Error {
    Error::Newer {
        path: path.to_owned(),
        found,
        known: SCHEMA_VERSION,
        way_back: upgrade::way_back(path, SCHEMA_VERSION),
    }
}

fn io_error(path: &Path, source: io::Error) -> Error {
    Error::Io {
        path: path.to_owned(),
        cause: source,
    }
}

/// Opens the ledger at `path` for writing, making it if there is none and upgrading an older one. Whoever calls holds
/// the ledger's lock. A new ledger is made whole under another name and then renamed, so that no crash leaves half of
/// one.
pub fn open(
    path: &Path,
    zone: Zone,
    now: Timestamp,
) -> Result<(Connection, Option<Upgraded>), Error> {
    if look(path)? != Found::Ledger {
        spare_log(path)?;
        make(path, zone, now)?;
    }
    let mut conn = connect(path, Mode::Write).map_err(|error| judge(path, error))?;
    let found = check(&conn, path)?;
    let upgraded = (found < SCHEMA_VERSION)
        .then(|| upgrade::run(&mut conn, path, found, upgrade::STEPS, now))
        .transpose()?;
    seal::keep(&conn)?;
    // A comparison that was killed on the way: whoever holds the lock is the only one to make one.
    clean_beside(path)?;
    Ok((conn, upgraded))
}

/// A write-ahead log without its database may hold what was acknowledged last: SQLite would remove it.
fn spare_log(path: &Path) -> Result<(), Error> {
    let log = beside(path, "-wal");
    match fs::metadata(&log) {
        Ok(about) if about.len() > 0 => Err(Error::Refused(format!(
            "{} is gone and {} is still there, which may hold what was acknowledged last: put the database back beside \
             it, or move it away to begin a new ledger",
            path.display(),
            log.display()
        ))),
        _ => Ok(()),
    }
}

fn make(path: &Path, zone: Zone, now: Timestamp) -> Result<(), Error> {
    let unfinished = beside(path, ".new");
    for stale in [".new", ".new-wal", ".new-shm", ".new-journal"] {
        remove(&beside(path, stale))?;
    }
    private_file(&unfinished)?;
    let mut conn = connect(&unfinished, Mode::Write)?;
    create(&mut conn, zone, now)?;
    conn.close().map_err(|(_, error)| error)?;
    let renamed = File::open(&unfinished)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(&unfinished, path));
    renamed.map_err(|source| io_error(path, source))?;
    let folder = folder(path);
    File::open(&folder)
        .and_then(|dir| dir.sync_all())
        .map_err(|source| io_error(&folder, source))
}

/// `path` with `ending` after its whole name: `subledger.db` and `.lock` give `subledger.db.lock`.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// The directory that `path` stands in.
pub(crate) fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Makes the directory of `path`, 0700, if there is none.
pub(crate) fn make_folder(path: &Path) -> Result<(), Error> {
    let folder = folder(path);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(|source| io_error(&folder, source))
}

pub(crate) fn private_file(path: &Path) -> Result<(), Error> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|source| io_error(path, source))
}

pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(path, error)),
        _ => Ok(()),
    }
}

/// Makes the present schema in an empty database, in one transaction.
pub fn create(conn: &mut Connection, zone: Zone, now: Timestamp) -> Result<(), Error> {
    let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    tx.execute_batch(SCHEMA)?;
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    for (key, value) in [
        ("schema_version", SCHEMA_VERSION.to_string()),
        ("ledger_id", hex(&random::<16>()?)),
        ("zone", zone.name().to_owned()),
        ("created_at", now.to_string()),
        ("folded_seq", "0".to_owned()),
        ("reader_version", READER_VERSION.to_string()),
        ("fingerprint_key", hex(&random::<32>()?)),
    ] {
        set_meta(&tx, key, &value)?;
    }
    tx.commit()?;
    // The application id belongs into the file itself: `look` does not read the log beside it.
    conn.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()))?;
    Ok(())
}

/// The schema of the ledger that an open connection stands on; `Error::Foreign`, `Error::Newer` or `Error::Damaged` if
/// this program cannot use it. `path` is for messages only.
pub fn check(conn: &Connection, path: &Path) -> Result<i64, Error> {
    let judged = |error: rusqlite::Error| judge(path, error.into());
    let id: i64 = conn
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(judged)?;
    if id != APPLICATION_ID {
        return Err(Error::Foreign(path.to_owned()));
    }
    let found: i64 = conn
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(judged)?;
    if found > SCHEMA_VERSION {
        return Err(newer(path, found));
    }
    let stated: Option<String> =
        meta(conn, "schema_version").map_err(|error| judge(path, error))?;
    if found < 1 || stated != Some(found.to_string()) {
        return Err(Error::Damaged {
            path: path.to_owned(),
            what: "its schema version is missing".to_owned(),
        });
    }
    Ok(found)
}

/// What SQLite says of a file that it cannot read, in our words.
pub(crate) fn judge(path: &Path, error: Error) -> Error {
    let Error::Sqlite(cause) = error else {
        return error;
    };
    match cause.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => Error::Foreign(path.to_owned()),
        Some(ErrorCode::CannotOpen) => cannot_open(path),
        Some(ErrorCode::DatabaseCorrupt) => Error::Damaged {
            path: path.to_owned(),
            what: cause.to_string(),
        },
        _ if cause.to_string().contains("no such table") => Error::Damaged {
            path: path.to_owned(),
            what: "a table is missing".to_owned(),
        },
        // Our statements name the index that they are read by.
        _ if ["no such index", "no query solution"]
            .iter()
            .any(|words| cause.to_string().contains(words)) =>
        {
            Error::Damaged {
                path: path.to_owned(),
                what: "an index is missing".to_owned(),
            }
        }
        _ => Error::Sqlite(cause),
    }
}

/// Why SQLite cannot open the file at `path`, which it does not say.
fn cannot_open(path: &Path) -> Error {
    match kept::head::<1>(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Error::Absent(path.to_owned()),
        Err(error) => io_error(path, error),
        Ok(_) => io_error(
            path,
            io::Error::other(
                "reading it needs a file beside it, and none can be made there: copy the database, with its -wal if \
                 there is one, to a folder of your own and name that with --db",
            ),
        ),
    }
}

/// The value under `key` in `meta`, if there is one.
pub(crate) fn meta(conn: &Connection, key: &str) -> Result<Option<String>, Error> {
    let value = conn
        .prepare_cached("select value from meta where key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?;
    Ok(value)
}

/// Writes `value` under `key` in `meta`.
pub(crate) fn set_meta(conn: &Connection, key: &str, value: &str) -> Result<(), Error> {
    conn.prepare_cached(
        "insert into meta (key, value) values (?1, ?2) on conflict (key) do update set value = excluded.value",
    )?
    .execute(params![key, value])?;
    Ok(())
}

/// `N` bytes from the system's source of randomness.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::Unwritable(format!("no randomness from the system: {error}")))?;
    Ok(bytes)
}

/// Bytes in lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes that lower-case hex spells; `None` if it is none.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.is_ascii() {
        return None;
    }
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).ok()?;
    }
    Some(bytes)
}
