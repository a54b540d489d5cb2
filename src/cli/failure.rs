//! From what went wrong to the exit code of DESIGN.md section 5.

use std::io;

use crate::cli::interrupt;
use crate::config::SettingsError;
use crate::domain::query::QueryError;
use crate::store;

/// It failed.
pub const FAILED: u8 = 1;
/// Arguments or settings are wrong.
pub const USAGE: u8 = 2;
/// The database is absent, locked or unreachable, or the port is in use.
pub const UNREACHABLE: u8 = 3;
/// `--exit-code` found something.
pub const FOUND: u8 = 4;
/// Interrupted.
pub const INTERRUPTED: u8 = 130;

/// A failure with an exit code of its own.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// One line that says what to do; empty: nothing is said.
    pub message: String,
}

impl Failure {
    /// Arguments or settings are wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(USAGE, message)
    }

    /// Something that must be there cannot be reached.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::new(UNREACHABLE, message)
    }

    /// It failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(FAILED, message)
    }

    /// Somebody pressed Ctrl-C.
    pub fn interrupted() -> Self {
        Self::new(INTERRUPTED, "interrupted")
    }

    /// This exit code and nothing to say.
    pub fn silent(code: u8) -> Self {
        Self::new(code, "")
    }

    fn new(code: u8, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// The exit code of `error`; `None`: whoever read our output has gone, which is no failure and not worth a word.
pub fn exit_code(error: &anyhow::Error) -> Option<u8> {
    for cause in error.chain() {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return Some(failure.code);
        }
        if let Some(error) = cause.downcast_ref::<store::Error>() {
            if matches!(error, store::Error::Interrupted) && interrupt::is_asked() {
                return Some(INTERRUPTED);
            }
            return Some(of_store(error));
        }
        if cause.is::<SettingsError>() || cause.is::<QueryError>() {
            return Some(USAGE);
        }
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            if error.kind() == io::ErrorKind::BrokenPipe {
                return None;
            }
            let within = error.get_ref().and_then(|error| error.downcast_ref());
            if let Some(Failure { code, .. }) = within {
                return Some(*code);
            }
        }
    }
    Some(FAILED)
}

/// What went wrong and why, in one line. A message that names its cause already is not followed by it again.
pub fn text(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.ends_with(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

fn of_store(error: &store::Error) -> u8 {
    use store::Error;
    match error {
        Error::NotUpgraded { cause, .. } => of_store(cause),
        Error::Io { cause, .. } if is_full(cause) => FAILED,
        Error::Absent(_)
        | Error::Locked { .. }
        | Error::Busy
        | Error::Unwritable(_)
        | Error::Io { .. } => UNREACHABLE,
        Error::Full(_)
        | Error::Foreign(_)
        | Error::Newer { .. }
        | Error::Damaged { .. }
        | Error::Interrupted
        | Error::Refused(_)
        | Error::Malformed
        | Error::Sqlite(_) => FAILED,
    }
}

/// A ledger on a full disk is there and can be read: whatever was asked for has failed, and no more.
fn is_full(cause: &io::Error) -> bool {
    matches!(
        cause.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use anyhow::Context;

    use super::*;

    #[test]
    fn every_failure_has_the_code_that_scripts_expect() {
        let absent: Result<(), _> = Err(store::Error::Absent(PathBuf::from("x")));
        let absent = absent.context("while looking").unwrap_err();
        assert_eq!(exit_code(&absent), Some(UNREACHABLE));
        let foreign = store::Error::Foreign(PathBuf::from("x")).into();
        assert_eq!(exit_code(&foreign), Some(FAILED));
        let full = |cause| store::Error::Io {
            path: PathBuf::from("x"),
            cause,
        };
        let room = full(io::ErrorKind::StorageFull.into()).into();
        assert_eq!(exit_code(&room), Some(FAILED));
        let words = store::Error::Full("database or disk is full".to_owned()).into();
        assert_eq!(exit_code(&words), Some(FAILED));
        let closed = full(io::ErrorKind::PermissionDenied.into()).into();
        assert_eq!(exit_code(&closed), Some(UNREACHABLE));
        let settings = SettingsError("x".to_owned()).into();
        assert_eq!(exit_code(&settings), Some(USAGE));
        let pipe = io::Error::from(io::ErrorKind::BrokenPipe).into();
        assert_eq!(exit_code(&pipe), None);
        assert_eq!(exit_code(&anyhow::anyhow!("x")), Some(FAILED));
    }

    #[test]
    fn a_cause_is_said_once() {
        let full = || io::Error::other("no room");
        let named: anyhow::Error = store::Error::Io {
            path: PathBuf::from("copy.db"),
            cause: full(),
        }
        .into();
        assert_eq!(text(&named), "copy.db: no room");
        assert_eq!(
            text(&named.context("cannot begin")),
            "cannot begin: copy.db: no room"
        );
        let plain: Result<(), _> = Err(full());
        let plain = plain.context("cannot write x").unwrap_err();
        assert_eq!(text(&plain), "cannot write x: no room");
        assert_eq!(text(&Failure::silent(FAILED).into()), "");
    }
}
