//! `export`: events, or whole deliveries as `import` takes them, oldest first.
//!
//! Read page by page, so that neither memory nor the writer's log grows with the ledger; what arrives meanwhile is left
//! for the next time. A file appears once it is whole.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::cli::args::{ExportArgs, ExportFormat};
use crate::cli::behind::Behind;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::interrupt;
use crate::cli::lists;
use crate::cli::out::Out;
use crate::cli::table::{Format, Head, Sheet};
use crate::config::fresh::Fresh;
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
    interrupt::watch(&reader)?;
    let Some(path) = args.out.as_deref().filter(|path| *path != Path::new("-")) else {
        let written = write(context, &reader, &query, args, out);
        // Whole lines, whatever ended it.
        out.flush()?;
        if written? == 0 {
            out.say(format!("no {list} fit: nothing is exported"))?;
        }
        return Ok(());
    };
    context.refuse_own(path)?;
    let fresh = begin(path, args.force)?;
    let mut into = Out::file(
        fresh
            .file()
            .try_clone()
            .with_context(|| cannot_write(path))?,
    );
    let written = write(context, &reader, &query, args, &mut into).map_err(|error| {
        if interrupt::is_asked() {
            return error;
        }
        error.context(cannot_write(path))
    })?;
    into.flush().with_context(|| cannot_write(path))?;
    put(fresh, path, args.force)?;
    out.say(format!("{written} {list} in {}", path.display()))?;
    Ok(())
}

/// What failed, where `path` could not be written.
pub(crate) fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

/// Gives what was begun its name, now that it is whole.
pub(crate) fn put(fresh: Fresh, path: &Path, force: bool) -> Result<()> {
    let put = if force {
        fresh.put()
    } else {
        fresh.put_where_nothing_is()
    };
    put.with_context(|| cannot_write(path))
}

/// How many rows were written.
fn write(
    context: &Context,
    reader: &Reader,
    query: &Query,
    args: &ExportArgs,
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
    if !args.deliveries
        && let Some(behind) = Behind::of(context, reader)?
    {
        out.say(format!("{}, and not among these", behind.says()))?;
    }
    let mut sheet = Sheet::new(out, format, heads, reader.zone()?)?;
    let mut take = |cells: &[Cell]| Ok(sheet.row(cells)?);
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

/// The file that becomes `path` once it is whole. Refused where `path` is there, unless it is a file and `force`.
pub(crate) fn begin(path: &Path, force: bool) -> Result<Fresh> {
    let refuse = |why: &str| Failure::usage(format!("{} {why}", path.display()));
    match fs::metadata(path) {
        Ok(there) if !there.is_file() => {
            return Err(refuse("is no file: name one, or leave --out away for stdout").into());
        }
        Ok(_) if !force => {
            return Err(refuse("is there already: --force replaces it").into());
        }
        _ => {}
    }
    path.file_name().ok_or_else(|| refuse("names no file"))?;
    // A link goes on pointing where it does.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    Fresh::beside(&target).with_context(|| cannot_write(path))
}
