//! The side file of an import: lines that could not be taken in, each with its number and the reason.
//!
//! Made when the first of them comes, for this user only, and never in the place of another file.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::cli::failure::Failure;
use crate::cli::table::json_text;
use crate::store::upkeep::room::{self, RESERVE_BYTES};

/// So many names are tried.
const NAMES_MAX: u32 = 10_000;

/// A line that was left out.
#[derive(Debug)]
pub(crate) struct Bad {
    /// `line`, or `element` of an array.
    pub(crate) unit: &'static str,
    /// Its number.
    pub(crate) number: u64,
    /// Why.
    pub(crate) reason: String,
    /// The line itself, as far as it was read.
    pub(crate) source: Vec<u8>,
}

/// The side file.
pub(crate) struct Rejects {
    place: Place,
    /// So many bytes stay free on its disk.
    reserve: u64,
    file: Option<(PathBuf, BufWriter<File>)>,
}

enum Place {
    /// Exactly this.
    Named(PathBuf),
    /// This, or the next name like it that is free.
    Beside(PathBuf),
    /// Nothing is written.
    Nowhere,
}

impl Rejects {
    /// `named`, which must not be there; without it beside `source`.
    pub(crate) fn new(named: Option<&Path>, source: &Path) -> Result<Self> {
        let place = match named {
            Some(path) if path.symlink_metadata().is_ok() => {
                return Err(Failure::usage(format!(
                    "{} is there already: name a file that is not",
                    path.display()
                ))
                .into());
            }
            Some(path) => Place::Named(path.to_owned()),
            None => Place::Beside(source.to_owned()),
        };
        Ok(Self {
            place,
            reserve: RESERVE_BYTES,
            file: None,
        })
    }

    /// Nothing is written.
    pub(crate) const fn nowhere() -> Self {
        Self {
            place: Place::Nowhere,
            reserve: 0,
            file: None,
        }
    }

    /// Where it is, once there is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|(path, _)| path.as_path())
    }

    /// Adds one line for each of `bad`.
    pub(crate) fn add(&mut self, bad: &[Bad]) -> Result<()> {
        if bad.is_empty() || matches!(self.place, Place::Nowhere) {
            return Ok(());
        }
        let (path, file) = match &mut self.file {
            Some(open) => open,
            None => self.file.insert(self.place.open()?),
        };
        // A line of three bytes that is none takes a hundred here.
        room::check(&folder(path), self.reserve).with_context(|| cannot_write(path))?;
        bad.iter()
            .try_for_each(|bad| write(file, bad))
            .and_then(|()| file.flush())
            .with_context(|| cannot_write(path))
    }
}

impl Place {
    fn open(&self) -> Result<(PathBuf, BufWriter<File>)> {
        match self {
            Self::Named(path) => Ok((
                path.clone(),
                create(path).with_context(|| cannot_write(path))?,
            )),
            Self::Beside(source) => beside(source),
            Self::Nowhere => anyhow::bail!("nothing is to be written"),
        }
    }
}

/// The folder of `path`; of a bare name the one that the command runs in.
fn folder(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.parent().unwrap_or(Path::new("/")).to_owned()
}

fn beside(source: &Path) -> Result<(PathBuf, BufWriter<File>)> {
    for nth in 1..=NAMES_MAX {
        let mut name = source
            .file_name()
            .map_or_else(OsString::new, OsString::from);
        name.push(match nth {
            1 => ".rejected.ndjson".to_owned(),
            nth => format!(".rejected.{nth}.ndjson"),
        });
        let path = source.with_file_name(name);
        match create(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| cannot_write(&path)),
        }
    }
    Err(Failure::failed("no name is free for the rejected lines: name one with --rejects").into())
}

fn cannot_write(path: &Path) -> String {
    format!(
        "the lines that are left out cannot be kept (--rejects names another file for them): cannot write {}",
        path.display()
    )
}

fn create(path: &Path) -> io::Result<BufWriter<File>> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map(BufWriter::new)
}

fn write(file: &mut impl io::Write, bad: &Bad) -> io::Result<()> {
    let source = match std::str::from_utf8(&bad.source) {
        Ok(text) => json_text(text)?,
        Err(_) => format!("{{\"base64\":\"{}\"}}", STANDARD.encode(&bad.source)),
    };
    writeln!(
        file,
        "{{\"{}\":{},\"reason\":{},\"source\":{source}}}",
        bad.unit,
        bad.number,
        json_text(&bad.reason)?
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad() -> [Bad; 1] {
        [Bad {
            unit: "line",
            number: 7,
            reason: "it is none".to_owned(),
            source: b"{}".to_vec(),
        }]
    }

    #[test]
    fn a_nearly_full_disk_is_left_to_the_receiver() {
        let folder = tempfile::tempdir().unwrap();
        let mut rejects = Rejects::new(None, &folder.path().join("late.ndjson")).unwrap();
        rejects.add(&bad()).unwrap();
        let before = std::fs::read(rejects.path().unwrap()).unwrap();
        assert!(!before.is_empty());
        rejects.reserve = u64::MAX;
        let full = format!("{:#}", rejects.add(&bad()).unwrap_err());
        assert!(
            full.contains("no room") && full.contains("--rejects"),
            "{full}"
        );
        assert_eq!(std::fs::read(rejects.path().unwrap()).unwrap(), before);
    }
}
