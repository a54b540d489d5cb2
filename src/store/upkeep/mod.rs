//! Upkeep: what is done to a ledger beside appending. Every task runs on the writer's thread, in bounded steps.

pub mod admit;

pub mod import;
mod look;

pub mod notes;

pub mod quarantine;

pub mod rebuild;

pub mod retention;

pub mod tests;

pub mod verify;

mod made;

pub(crate) mod again;
pub mod reach;

pub mod erase;

pub(crate) mod overwrite;

mod pages;

pub mod erasures;

pub(crate) mod reapply;

pub mod copy;

pub mod room;

pub mod backup;

pub mod restore;

use rusqlite::Connection;

use crate::store::Error;

/// Why a stored delivery may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Body, salt and identifiers are taken out.
    Erasure,
    /// Body, salt and headers are dropped for their age.
    Retention,
    /// It could not be read or folded, or now it can.
    Quarantine,
    /// Its test mark.
    Test,
}

impl Reason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Erasure => "erasure",
            Self::Retention => "retention",
            Self::Quarantine => "quarantine",
            Self::Test => "test",
        }
    }
}

/// Lets `work` past the triggers that keep deliveries append-only, inside the caller's transaction.
pub(crate) fn guard<T>(
    conn: &Connection,
    reason: Reason,
    work: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    conn.prepare_cached("insert into upkeep (reason) values (?1)")?
        .execute([reason.as_str()])?;
    let done = work()?;
    conn.prepare_cached("delete from upkeep where reason = ?1")?
        .execute([reason.as_str()])?;
    Ok(done)
}
