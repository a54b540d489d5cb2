//! The ledger file: one writer, any number of readers.
//!
//! Imports domain only, is synchronous, and is the one place that knows SQLite. Never looks inside a body: whoever
//! opens a ledger for writing hands over the function that reads deliveries.

pub mod lock;

mod kept;

pub mod schema;

pub mod upgrade;

pub mod append;

mod seal;

mod leaps;

pub mod project;

mod fold;

mod reread;

mod inbox;

pub mod ring;

pub mod writer;

pub mod vitals;

mod thread;

pub mod task;

pub mod socket;

pub mod upkeep;

pub mod query;

pub mod today;

#[cfg(subledger_control)]
mod control;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::domain::delivery::{Delivery, Reading};

/// Reads a stored delivery again; given by whoever opens the ledger for writing, so that the store needs no provider.
pub type ReadFn = Arc<dyn Fn(&Delivery) -> Reading + Send + Sync>;

/// So long a statement waits for a lock before it is busy.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What can go wrong, one variant per thing that a caller does differently.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no ledger here.
    #[error("there is no ledger at {}: start `subledger` to make one, or name another with --db", .0.display())]
    Absent(PathBuf),
    /// A file is here, and it is no ledger.
    #[error("{} is not a subledger database: it was left untouched; name another file with --db", .0.display())]
    Foreign(PathBuf),
    /// Written by a later version.
    #[error("{} was written by a newer subledger (schema {found}, this one knows {known}): it was left untouched; upgrade subledger{}", path.display(), or_back(way_back.as_deref()))]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
        /// The ledger as it was before it was upgraded, where that stands beside it and this program knows it.
        way_back: Option<PathBuf>,
    },
    /// Written by an earlier version, and the upgrade failed.
    #[error("{} is of an older subledger (schema {from}) and could not be upgraded to schema {to}, so it was left as it was: {cause}", path.display())]
    NotUpgraded {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        from: i64,
        /// The version of this program.
        to: i64,
        /// What went wrong.
        cause: Box<Error>,
    },
    /// The file is damaged.
    #[error("{} is damaged ({what}): it was left untouched; run `subledger doctor`, or restore a backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// In SQLite's words.
        what: String,
    },
    /// Another process writes to this ledger.
    #[error("another subledger (process {holder}) is writing to {}: wait until it is done, or `subledger stop` ends a receiver", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
        /// Its process id, as it wrote into the lock file.
        holder: String,
    },
    /// Nothing can be written: read-only, or the device fails.
    #[error("cannot write the ledger: {0}")]
    Unwritable(String),
    /// There is no room on the disk.
    #[error("cannot write the ledger: {0}: make room on its disk, then do it again")]
    Full(String),
    /// Somebody else holds the database's own lock for longer than `BUSY_TIMEOUT`.
    #[error("the ledger is busy: another program holds its lock")]
    Busy,
    /// The statement was interrupted or ran out of time.
    #[error("interrupted")]
    Interrupted,
    /// The request itself makes no sense: the sentence says what to do.
    #[error("{0}")]
    Refused(String),
    /// JSON of the one column that is asked for a part of it, `events.data`, is none.
    #[error(
        "a row of `events` holds JSON that cannot be read, which no subledger wrote: `subledger verify` says where the lists differ, `subledger rebuild` makes them again"
    )]
    Malformed,
    /// Anything else that SQLite says.
    #[error("sqlite: {0}")]
    Sqlite(rusqlite::Error),
    /// Files beside the database.
    #[error("{}: {cause}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said. The sentence has it, so it is no source that would be told a second time.
        cause: io::Error,
    },
}

fn or_back(copy: Option<&Path>) -> String {
    copy.map_or_else(String::new, |copy| {
        format!(
            ", or go back to the ledger as it was before: subledger restore {} --replace",
            copy.display()
        )
    })
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::OperationInterrupted) => Self::Interrupted,
            Some(ErrorCode::DiskFull) => Self::Full(error.to_string()),
            Some(ErrorCode::ReadOnly | ErrorCode::SystemIoFailure) => {
                Self::Unwritable(error.to_string())
            }
            _ if error.to_string() == "malformed JSON" => Self::Malformed,
            _ => Self::Sqlite(error),
        }
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The one connection that writes, creating the file if it is absent.
    Write,
    /// Reading only.
    Read,
    /// A new file that is filled page by page from another and thrown away if anything fails.
    Fill,
}

/// Opens a connection and says every setting. The schema is not looked at.
pub fn connect(path: &Path, mode: Mode) -> Result<Connection, Error> {
    let flags = match mode {
        Mode::Write | Mode::Fill => {
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE
        }
        Mode::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
    };
    let conn = kept::open(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_prepared_statement_cache_capacity(128);
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    conn.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.pragma_update(None, "cell_size_check", true)?;
    conn.pragma_update(None, "temp_store", "memory")?;
    conn.pragma_update(None, "mmap_size", 0)?;
    if mode != Mode::Read {
        // Else a statement whose plan might depend on what is bound is made anew at every call.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    }
    match mode {
        Mode::Write => {
            // Takes hold only while the file is still empty, so it comes before journal_mode.
            conn.pragma_update(None, "auto_vacuum", "incremental")?;
            conn.pragma_update(None, "journal_mode", "wal")?;
            conn.pragma_update(None, "synchronous", "full")?;
            #[cfg(subledger_control)]
            control::weaken(&conn)?;
            conn.pragma_update(None, "foreign_keys", true)?;
            conn.pragma_update(None, "secure_delete", true)?;
            conn.pragma_update(None, "journal_size_limit", 64 << 20)?;
            // The writer checkpoints by itself, after the replies.
            conn.pragma_update(None, "wal_autocheckpoint", 0)?;
            // The whole receiver is to stay under 64 MiB; the system keeps what does not fit.
            conn.pragma_update(None, "cache_size", -16_384)?;
        }
        Mode::Read => {
            conn.pragma_update(None, "query_only", true)?;
            conn.pragma_update(None, "cache_size", -16_384)?;
        }
        Mode::Fill => {
            // There is nothing to go back to, and whoever fills it syncs it.
            conn.pragma_update(None, "journal_mode", "memory")?;
            conn.pragma_update(None, "synchronous", "off")?;
            conn.pragma_update(None, "cache_size", -8_192)?;
        }
    }
    Ok(conn)
}

#[cfg(test)]
mod tests;
