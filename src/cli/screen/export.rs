//! What the screen's `E` does: all rows of a list, by its filter, in a new file in the current folder.
//!
//! The same columns and bytes as the list's own command with `--limit 0`. The file appears once it is whole, for this
//! user only, and never in the place of another.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::cli::context::Context;
use crate::cli::export::cannot_write;
use crate::cli::failure::Failure;
use crate::cli::lists;
use crate::cli::out::Out;
use crate::cli::table::{Format, Head, Sheet};
use crate::config::fresh::Fresh;
use crate::domain::page::{Cursor, List};
use crate::domain::query::Query;
use crate::store::query::{Reader, columns};
use crate::tui::command::FileFormat;
use crate::tui::export::{Job, Written};

/// So many rows are read at once, and told of.
const PAGE_ROWS: usize = 1_000;

/// So often is looked whether the file is wanted no more.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// So many files of one list, day and format are made beside one another.
const NAMES_MAX: u32 = 1_000;

/// Writes `job`, telling how many rows there are so far; what was written, or why not in one line.
pub(super) fn write(
    context: &Context,
    job: &Job,
    tell: &mut dyn FnMut(u64),
) -> std::result::Result<Written, String> {
    try_write(context, job, tell).map_err(|error| {
        if job.stop.load(Ordering::Relaxed) {
            "stopped: no file was left".to_owned()
        } else {
            format!("{error:#}")
        }
    })
}

fn try_write(context: &Context, job: &Job, tell: &mut dyn FnMut(u64)) -> Result<Written> {
    let reader = Reader::open(&context.database)?;
    let query = lists::parse_text(context, &reader, job.list, &job.query)?;
    let target = target(context, &reader, job)?;
    let fresh = Fresh::beside(&target).with_context(|| cannot_write(&target))?;
    let file = fresh.file().try_clone();
    let mut into = Out::file(file.with_context(|| cannot_write(&target))?);
    let watched = Watch::begin(&reader, &job.stop);
    let rows = rows(&reader, job, &query, &mut into, tell).with_context(|| cannot_write(&target));
    drop(watched);
    let rows = rows?;
    into.flush().with_context(|| cannot_write(&target))?;
    fresh
        .put_where_nothing_is()
        .with_context(|| cannot_write(&target))?;
    Ok(Written {
        rows,
        path: target.display().to_string(),
    })
}

/// Every row in the order of the screen.
fn rows(
    reader: &Reader,
    job: &Job,
    query: &Query,
    into: &mut Out,
    tell: &mut dyn FnMut(u64),
) -> Result<u64> {
    let heads = columns(job.list).iter().map(Head::from).collect();
    let mut sheet = Sheet::new(into, format(job.format), heads, reader.zone()?)?;
    let mut cursor = Cursor::First;
    let mut written = 0;
    loop {
        let page = reader.page_in(job.list, query, job.order, &cursor, PAGE_ROWS)?;
        for row in &page.rows {
            sheet.row(&row.cells)?;
        }
        written += page.rows.len() as u64;
        tell(written);
        if job.stop.load(Ordering::Relaxed) {
            return Err(Failure::interrupted().into());
        }
        match page.rows.into_iter().next_back() {
            Some(last) if page.more_after => cursor = Cursor::After(last.key),
            _ => return Ok(sheet.end()?),
        }
    }
}

const fn format(format: FileFormat) -> Format {
    match format {
        FileFormat::Csv => Format::Csv,
        FileFormat::Tsv => Format::Tsv,
        FileFormat::Json => Format::Json,
        FileFormat::Ndjson => Format::Ndjson,
        FileFormat::Md => Format::Md,
    }
}

/// A name in the current folder that nothing has: list, day, and a number if need be.
fn target(context: &Context, reader: &Reader, job: &Job) -> Result<PathBuf> {
    let folder = env::current_dir().context("the current folder is gone")?;
    let day = context.clock.now().day(reader.zone()?);
    free_name(&folder, job.list, &day, job.format.word())
}

fn free_name(folder: &Path, list: List, day: &str, ending: &str) -> Result<PathBuf> {
    (1..=NAMES_MAX)
        .map(|number| {
            let number = match number {
                1 => String::new(),
                number => format!("-{number}"),
            };
            folder.join(format!("subledger-{list}-{day}{number}.{ending}"))
        })
        .find(|path| fs::symlink_metadata(path).is_err())
        .ok_or_else(|| {
            let folder = folder.display();
            Failure::failed(format!(
                "{folder} holds {NAMES_MAX} such files already: remove some"
            ))
            .into()
        })
}

/// Interrupts what the ledger is asked once the file is wanted no more; until dropped.
struct Watch(Arc<AtomicBool>);

impl Watch {
    fn begin(reader: &Reader, stop: &Arc<AtomicBool>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (handle, ended, stop) = (reader.interrupt(), Arc::clone(&over), Arc::clone(stop));
        thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                if stop.load(Ordering::Relaxed) {
                    handle.interrupt();
                }
                thread::sleep(LOOK_EVERY);
            }
        });
        Self(over)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_never_given_twice() {
        let folder = tempfile::tempdir().unwrap();
        let name = || {
            let path = free_name(folder.path(), List::Users, "2026-11-20", "csv").unwrap();
            fs::write(&path, "").unwrap();
            path.file_name().unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(name(), "subledger-users-2026-11-20.csv");
        assert_eq!(name(), "subledger-users-2026-11-20-2.csv");
        assert_eq!(name(), "subledger-users-2026-11-20-3.csv");
    }
}
