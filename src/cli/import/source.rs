//! The file that is imported: opened, and refused if it is plainly something else.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal as _};
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::cli::failure::Failure;

/// So much is read at once.
const BUFFER_BYTES: usize = 256 << 10;

/// How files begin that hold no text, what they are, and what to do.
const OTHERS: [(&[u8], &str); 8] = [
    (
        b"\x1f\x8b",
        "it is compressed: gunzip -c FILE | subledger import -",
    ),
    (
        b"\x28\xb5\x2f\xfd",
        "it is compressed: zstd -dc FILE | subledger import -",
    ),
    (
        b"\xfd7zXZ",
        "it is compressed: xz -dc FILE | subledger import -",
    ),
    (
        b"BZh",
        "it is compressed: bzip2 -dc FILE | subledger import -",
    ),
    (b"PK\x03\x04", "it is a zip archive: unpack it first"),
    (
        b"SQLite format 3\0",
        "it is a database: subledger --db FILE export --deliveries | subledger import -",
    ),
    (
        b"\xff\xfe",
        "it is UTF-16 text: iconv -f UTF-16 -t UTF-8 FILE | subledger import -",
    ),
    (
        b"\xfe\xff",
        "it is UTF-16 text: iconv -f UTF-16 -t UTF-8 FILE | subledger import -",
    ),
];

/// What is read.
pub(crate) struct Source {
    /// Its bytes.
    pub(crate) from: Box<dyn BufRead + Send>,
    /// Its name; of stdin one that a file could have.
    pub(crate) name: PathBuf,
    /// Its size, where that is known.
    pub(crate) bytes: Option<u64>,
}

impl Source {
    /// Opens `path`, or stdin where that is `-`.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            if io::stdin().is_terminal() {
                return Err(Failure::usage(
                    "nothing is piped in: name a file, or pipe one into `subledger import -`",
                )
                .into());
            }
            let from = BufReader::with_capacity(BUFFER_BYTES, io::stdin());
            return Self::looked_at(Box::new(from), Path::new("stdin"), None);
        }
        let cannot =
            |error: &io::Error| Failure::usage(format!("cannot read {}: {error}", path.display()));
        let file = File::open(path).map_err(|error| cannot(&error))?;
        let about = file.metadata().map_err(|error| cannot(&error))?;
        if about.is_dir() {
            let path = path.display();
            return Err(Failure::usage(format!("{path} is a directory: name a file")).into());
        }
        let bytes = about.is_file().then_some(about.len());
        let from = BufReader::with_capacity(BUFFER_BYTES, file);
        Self::looked_at(Box::new(from), path, bytes)
    }

    fn looked_at(
        mut from: Box<dyn BufRead + Send>,
        name: &Path,
        bytes: Option<u64>,
    ) -> Result<Self> {
        let cannot = |why: &str| Failure::usage(format!("cannot read {}: {why}", name.display()));
        let head = from
            .fill_buf()
            .map_err(|error| cannot(&error.to_string()))?;
        if let Some((_, what)) = OTHERS.iter().find(|(magic, _)| head.starts_with(magic)) {
            return Err(cannot(&what.replace("FILE", &name.display().to_string())).into());
        }
        Ok(Self {
            from,
            name: name.to_owned(),
            bytes,
        })
    }
}
