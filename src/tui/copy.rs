//! What can be copied from a row: what it is called, how long it is, and the bytes. What is too long for the
//! terminal's clipboard is kept in a file that only its owner can read.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::domain::page::{Cell, List, Row};
use crate::domain::printable::defused;
use crate::tui::cell;

/// So many names are tried for a file before it is given up.
const NAMES_MAX: u32 = 1000;

/// What can be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// The value under the cursor.
    Value,
    /// Where it stands: a path or the name of a column.
    Path,
    /// The JSON under the cursor, as it was sent.
    Json,
    /// The row as JSON.
    Row,
    /// The row as CSV.
    Csv,
    /// The whole body, byte for byte.
    Body,
}

impl What {
    /// All, in the order of the menu.
    pub const ALL: [Self; 6] = [
        Self::Value,
        Self::Path,
        Self::Json,
        Self::Row,
        Self::Csv,
        Self::Body,
    ];

    /// What it is called.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Value => "the value",
            Self::Path => "its path",
            Self::Json => "its JSON",
            Self::Row => "the row as JSON",
            Self::Csv => "the row as CSV",
            Self::Body => "the whole body",
        }
    }

    const fn extension(self) -> &'static str {
        match self {
            Self::Value | Self::Path => "txt",
            Self::Json | Self::Row => "json",
            Self::Csv => "csv",
            Self::Body => "body",
        }
    }
}

/// One line of the menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What would be copied.
    pub what: What,
    /// How many bytes that is.
    pub bytes: usize,
    /// How it begins.
    pub begins: String,
}

/// What can be copied here, and which of it is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Menu {
    /// What there is.
    pub offers: Vec<Offer>,
    /// The chosen one.
    pub selected: usize,
}

impl Menu {
    /// Moves the choice.
    pub fn move_by(&mut self, lines: isize) {
        let last = self.offers.len().saturating_sub(1);
        self.selected = self.selected.saturating_add_signed(lines).min(last);
    }
}

/// Bytes to be kept in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What they are.
    pub what: What,
    /// The list and the row, for the name of the file.
    pub of: String,
    /// The bytes.
    pub bytes: Arc<[u8]>,
}

impl Kept {
    /// What is to be kept of a row.
    pub fn new(what: What, list: List, row: &Row, bytes: Arc<[u8]>) -> Self {
        let one = match list {
            List::Deliveries if row.key.id < 0 => "rejected",
            List::Deliveries => "delivery",
            List::Events => "event",
            List::Users => "user",
            List::Subscriptions => "subscription",
            List::Cancellations => "cancellation",
            List::Consents => "consent",
            List::Changes => "consent-change",
            List::Payments => "payment",
        };
        Self {
            what,
            of: format!("{one}-{}", row.key.id.unsigned_abs()),
            bytes,
        }
    }

    /// Writes a new file into `dir`: never over another, never through a link, for its owner alone. Its path.
    pub fn write(&self, dir: &Path) -> io::Result<PathBuf> {
        for number in 1..=NAMES_MAX {
            let number = match number {
                1 => String::new(),
                number => format!("-{number}"),
            };
            let name = format!("subledger-{}{number}.{}", self.of, self.what.extension());
            let path = dir.join(name);
            let opened = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path);
            let mut file = match opened {
                Ok(file) => file,
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            };
            if let Err(error) = file.write_all(&self.bytes).and_then(|()| file.sync_all()) {
                // Half a body would look like a whole one.
                std::fs::remove_file(&path).ok();
                return Err(error);
            }
            return Ok(path);
        }
        Err(io::Error::other("too many such files are there already"))
    }

    /// Writes it into the working directory; what to say of it.
    pub fn keep(&self) -> Result<String, String> {
        let dir = std::env::current_dir().map_err(|error| error.to_string())?;
        let bytes = cell::counted(self.bytes.len() as u64, "byte", "bytes");
        match self.write(&dir) {
            Ok(path) => Ok(format!(
                "{}, {bytes}, is in {}",
                self.what.title(),
                path.display()
            )),
            Err(error) => Err(format!(
                "{} cannot be kept in {}: {error}",
                self.what.title(),
                dir.display()
            )),
        }
    }
}

/// The row as one line of CSV, times and amounts as stored, defused for spreadsheets.
pub fn csv(row: &Row) -> String {
    let field = |cell: &Cell| {
        let text = match cell {
            Cell::Text(text) => defused(text).into_owned(),
            cell => cell::plain(cell),
        };
        if text.contains(['"', ',', '\n', '\r']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text
        }
    };
    let fields: Vec<String> = row.cells.iter().map(field).collect();
    fields.join(",")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::domain::page::RowKey;

    fn row(cells: Vec<Cell>) -> Row {
        Row {
            key: RowKey {
                sort: String::new(),
                id: 7,
            },
            cells,
        }
    }

    #[test]
    fn a_row_as_csv_is_quoted_and_defused() {
        let row = row(vec![
            Cell::Int(-1),
            Cell::Text("=1+1".to_owned()),
            Cell::Text("a \"b\", c".to_owned()),
            Cell::Null,
            Cell::Real(1.5),
            Cell::Text("x\t=1;@a".to_owned()),
        ]);
        assert_eq!(csv(&row), "-1,'=1+1,\"a \"\"b\"\", c\",,1.5,x\t'=1;'@a");
    }

    #[test]
    fn a_file_is_its_owners_alone_and_never_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let row = row(Vec::new());
        let kept = Kept::new(What::Body, List::Deliveries, &row, Arc::from(&b"{}"[..]));
        let first = kept.write(dir.path()).unwrap();
        let second = kept.write(dir.path()).unwrap();
        assert_eq!(first, dir.path().join("subledger-delivery-7.body"));
        assert_eq!(second, dir.path().join("subledger-delivery-7-2.body"));
        assert_eq!(std::fs::read(&first).unwrap(), b"{}");
        let mode = first.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::os::unix::fs::symlink("/nowhere", dir.path().join("subledger-delivery-7-3.body"))
            .unwrap();
        let fourth = kept.write(dir.path()).unwrap();
        assert_eq!(fourth, dir.path().join("subledger-delivery-7-4.body"));
        assert!(kept.write(Path::new("/nowhere/at/all")).is_err());
    }
}
