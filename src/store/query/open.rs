//! Opening a ledger for reading, and saying in plain words why it cannot be done.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use rusqlite::{Connection, ErrorCode};

use crate::domain::time::Zone;
use crate::store::{Error, Mode, connect};

/// `PRAGMA application_id` of every ledger: `SubL`.
const APPLICATION_ID: u32 = 0x5375_624c;
/// The newest `PRAGMA user_version` that is understood.
const SCHEMA_VERSION: u32 = 1;

pub(super) fn open(path: &Path) -> Result<(Connection, Zone), Error> {
    look(path)?;
    let conn = connect(path, Mode::Read).map_err(|error| judged(path, error))?;
    let zone: String = conn
        .query_row("select value from meta where key = 'zone'", [], |row| {
            row.get(0)
        })
        .map_err(|error| judged(path, error.into()))?;
    let zone = zone.parse().map_err(|_| Error::Damaged {
        path: path.to_owned(),
        what: "its time zone is unknown".to_owned(),
    })?;
    Ok((conn, zone))
}

/// The first bytes say whose file it is, before SQLite leaves anything beside it.
fn look(path: &Path) -> Result<(), Error> {
    let io = |source: std::io::Error| match source.kind() {
        ErrorKind::NotFound => Error::Absent(path.to_owned()),
        _ => Error::Io {
            path: path.to_owned(),
            source,
        },
    };
    let file = File::open(path).map_err(io)?;
    if !file.metadata().map_err(io)?.is_file() {
        return Err(Error::Foreign(path.to_owned()));
    }
    let mut head = Vec::with_capacity(100);
    file.take(100).read_to_end(&mut head).map_err(io)?;
    if head.is_empty() {
        return Err(Error::Absent(path.to_owned()));
    }
    let word = |at: usize| {
        head.get(at..at + 4).map(|bytes| {
            bytes
                .iter()
                .fold(0_u32, |word, byte| (word << 8) | u32::from(*byte))
        })
    };
    if !head.starts_with(b"SQLite format 3\0") || word(68) != Some(APPLICATION_ID) {
        return Err(Error::Foreign(path.to_owned()));
    }
    match word(60) {
        Some(found) if found > SCHEMA_VERSION => Err(Error::Newer {
            path: path.to_owned(),
            found: found.into(),
            known: SCHEMA_VERSION.into(),
        }),
        _ => Ok(()),
    }
}

fn judged(path: &Path, error: Error) -> Error {
    match error {
        Error::Sqlite(error) => match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Error::Foreign(path.to_owned()),
            _ => Error::Damaged {
                path: path.to_owned(),
                what: error.to_string(),
            },
        },
        other => other,
    }
}
