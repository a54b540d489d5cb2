//! `export`: events, or whole deliveries as `import` takes them, oldest first.
//!
//! Read page by page, so that neither memory nor the writer's log grows with the ledger; what arrives meanwhile is left
//! for the next time. A file appears once it is whole.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::cli::args::{ExportArgs, ExportFormat};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::interrupt::{self, Interrupt};
use crate::cli::lists;
use crate::cli::out::Out;
use crate::cli::table::{Format, Head, Sheet};
use crate::domain::page::{Cell, Cursor, List};
use crate::domain::query::Query;
use crate::store::query::{Reader, columns, exported};

/// So many events are read at once.
const PAGE_ROWS: usize = 1_000;

/// Writes what `args` ask for to stdout or into a file.
pub fn run(context: &Context, args: &ExportArgs, out: &mut Out) -> Result<()> {
    let reader = Reader::open(&context.database)?;
    let list = if args.deliveries {
        List::Deliveries
    } else {
        List::Events
    };
    let query = lists::parse(context, &reader, list, &args.query)?;
    let Some(path) = args.out.as_deref().filter(|path| *path != Path::new("-")) else {
        interrupt::watch(&reader)?;
        let written = write(context, &reader, &query, args, None, out);
        // Whole lines, whatever ended it.
        out.flush()?;
        return written.map(drop);
    };
    context.refuse_own(path)?;
    let interrupt = Interrupt::noted()?;
    let (partial, file) = Partial::create(path, args.force)?;
    let mut into = Out::file(file.try_clone().with_context(|| cannot_write(path))?);
    let written = write(context, &reader, &query, args, Some(&interrupt), &mut into)
        .with_context(|| cannot_write(path))?;
    into.flush().with_context(|| cannot_write(path))?;
    partial.finish(&file, args.force)?;
    out.say(format!("{written} {list} in {}", path.display()))?;
    Ok(())
}

/// What failed, where `path` could not be written.
pub(crate) fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

/// How many rows were written.
fn write(
    context: &Context,
    reader: &Reader,
    query: &Query,
    args: &ExportArgs,
    interrupt: Option<&Interrupt>,
    out: &mut Out,
) -> Result<u64> {
    let format = match args.format {
        Some(ExportFormat::Csv) => Format::Csv,
        None if context.global.json => Format::Json,
        None | Some(ExportFormat::Ndjson) => Format::Ndjson,
    };
    let heads: Vec<Head> = if args.deliveries {
        exported().iter().map(Head::from).collect()
    } else {
        columns(List::Events).iter().map(Head::from).collect()
    };
    let status = reader.status(context.clock.now())?;
    if !args.deliveries && status.folded_seq < status.last_seq {
        out.say(format!(
            "{} deliveries are still to be read: their events are not among these",
            status.last_seq - status.folded_seq
        ))?;
    }
    let mut sheet = Sheet::new(out, format, heads, reader.zone()?)?;
    let mut take = |cells: &[Cell]| -> Result<()> {
        if interrupt.is_some_and(Interrupt::is_asked) {
            return Err(interrupt::failure().into());
        }
        Ok(sheet.row(cells)?)
    };
    if args.deliveries {
        deliveries(reader, query, status.last_seq, &mut take)?;
    } else {
        events(reader, query, status.last_seq, &mut take)?;
    }
    Ok(sheet.end()?)
}

/// A row's destination.
type Take<'a> = &'a mut dyn FnMut(&[Cell]) -> Result<()>;

/// In the order of record.
fn deliveries(reader: &Reader, query: &Query, last: i64, take: Take<'_>) -> Result<()> {
    let mut after = 0;
    while after < last {
        let stretch = reader.stretch(query, after, last)?;
        for cells in &stretch.rows {
            take(cells)?;
        }
        after = stretch.to;
    }
    Ok(())
}

/// In the order of their time.
fn events(reader: &Reader, query: &Query, last: i64, take: Take<'_>) -> Result<()> {
    let seq = columns(List::Events)
        .iter()
        .position(|column| column.name == "seq");
    let is_later = |cells: &[Cell]| {
        let seq = seq
            .and_then(|place| cells.get(place))
            .and_then(Cell::as_int);
        seq.is_some_and(|seq| seq > last)
    };
    let mut cursor = Cursor::Last;
    loop {
        let page = reader.page(List::Events, query, &cursor, PAGE_ROWS)?;
        for row in page.rows.iter().rev() {
            if !is_later(&row.cells) {
                take(&row.cells)?;
            }
        }
        match page.rows.into_iter().next() {
            Some(newest) if page.more_before => cursor = Cursor::Before(newest.key),
            _ => return Ok(()),
        }
    }
}

/// A file under another name while it is not whole; gone if it never is.
pub(crate) struct Partial {
    temporary: PathBuf,
    target: PathBuf,
}

impl Partial {
    /// The file, empty and for this user only. Refused where `target` is there, unless it is a file and `force`.
    pub(crate) fn create(target: &Path, force: bool) -> Result<(Self, File)> {
        let refuse = |why: &str| Failure::usage(format!("{} {why}", target.display()));
        match fs::metadata(target) {
            Ok(there) if !there.is_file() => {
                return Err(refuse("is no file: name one, or leave --out away for stdout").into());
            }
            Ok(_) if !force => {
                return Err(refuse("is there already: --force replaces it").into());
            }
            _ => {}
        }
        // A link goes on pointing where it does.
        let target = fs::canonicalize(target).unwrap_or_else(|_| target.to_owned());
        let name = target.file_name().ok_or_else(|| refuse("names no file"))?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.part", std::process::id()));
        let temporary = target.with_file_name(hidden);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .with_context(|| cannot_write(&target))?;
        Ok((Self { temporary, target }, file))
    }

    /// Gives the file its name, once its bytes are on disk.
    pub(crate) fn finish(self, file: &File, force: bool) -> Result<()> {
        file.sync_all()
            .with_context(|| cannot_write(&self.target))?;
        let named = if force {
            fs::rename(&self.temporary, &self.target)
        } else {
            // Unlike a renaming, a link replaces nothing that came meanwhile.
            fs::hard_link(&self.temporary, &self.target).or_else(|error| self.renamed(error))
        };
        named.with_context(|| cannot_write(&self.target))
    }

    /// Where the file system knows no links.
    fn renamed(&self, error: io::Error) -> io::Result<()> {
        if error.kind() == io::ErrorKind::AlreadyExists || self.target.exists() {
            return Err(error);
        }
        fs::rename(&self.temporary, &self.target)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After a renaming there is nothing left to remove.
        let _ = fs::remove_file(&self.temporary);
    }
}
