//! `sql`: one statement that reads, on the bundled engine.

use std::io::{IsTerminal, Read, stdin};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::cli::args::SqlArgs;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::interrupt;
use crate::cli::out::Out;
use crate::cli::queries::{QUERIES, title};
use crate::cli::table::{Head, Sheet};
use crate::config::read::nearest;
use crate::domain::count::in_words;
use crate::domain::page::Cell;
use crate::domain::printable::Printable;
use crate::domain::time::Zone;
use crate::store::{self, query::Reader};

/// Longest statement that is read, bytes.
const SQL_BYTES_MAX: u64 = 1 << 20;

/// Runs the statement, or lists the queries that come with subledger.
pub fn run(context: &Context, args: &SqlArgs, out: &mut Out) -> Result<()> {
    if args.sql.as_deref() == Some("@") {
        return list(context, args, out);
    }
    let sql = statement(args)?;
    let reader = Reader::open(&context.database)?;
    interrupt::watch(&reader)?;
    let format = context.format(args.format);
    let limit = (args.limit > 0).then_some(args.limit);
    let time_limit = Duration::from_secs(args.time_limit);
    let mut sheet: Option<Sheet<'_>> = None;
    let mut broken: Option<std::io::Error> = None;
    let mut slot = Some(&mut *out);
    let outcome = reader.sql(&sql, limit, time_limit, &mut |names, cells| {
        let written = begun(&mut sheet, &mut slot, names, format).and_then(|sheet| match sheet {
            Some(sheet) => sheet.row(&cells),
            None => Ok(()),
        });
        written.map_err(|error| {
            broken = Some(error);
            store::Error::Interrupted
        })
    });
    if let Some(error) = broken {
        return Err(error.into());
    }
    if let (Err(_), Some(sheet)) = (&outcome, &mut sheet) {
        sheet.flush()?;
    }
    let outcome = outcome?;
    begun(&mut sheet, &mut slot, &outcome.names, format)?;
    if let Some(sheet) = sheet {
        sheet.end()?;
    }
    if outcome.rows == 0 {
        out.say("no rows")?;
    }
    if outcome.truncated {
        out.say(format!(
            "{} and more: --limit 0 gives all",
            in_words(outcome.rows, "row", "rows")
        ))?;
    }
    Ok(())
}

/// The sheet, begun with the first names that are known.
fn begun<'s, 'o>(
    sheet: &'s mut Option<Sheet<'o>>,
    slot: &mut Option<&'o mut Out>,
    names: &[String],
    format: crate::cli::table::Format,
) -> std::io::Result<Option<&'s mut Sheet<'o>>> {
    if let Some(out) = slot.take() {
        let heads = names.iter().map(|name| Head::plain(name)).collect();
        *sheet = Some(Sheet::new(out, format, heads, Zone::UTC)?);
    }
    Ok(sheet.as_mut())
}

fn list(context: &Context, args: &SqlArgs, out: &mut Out) -> Result<()> {
    let heads = [("name", "Name"), ("question", "Question")]
        .map(Head::titled)
        .to_vec();
    let mut sheet = Sheet::new(out, context.format(args.format), heads, Zone::UTC)?;
    for (name, text) in QUERIES {
        sheet.row(&[
            Cell::Text(format!("@{name}")),
            Cell::Text(title(text).to_owned()),
        ])?;
    }
    sheet.end()?;
    Ok(())
}

fn statement(args: &SqlArgs) -> Result<String> {
    match (&args.file, args.sql.as_deref()) {
        (Some(path), _) => {
            let file = std::fs::File::open(path).map_err(|error| {
                Failure::usage(format!("cannot read {}: {error}", path.display()))
            })?;
            bounded(file)
        }
        (None, None | Some("-")) => {
            if stdin().is_terminal() {
                return Err(Failure::usage(
                    "no statement: give it as an argument, with --file, or on stdin; @ lists ready ones",
                )
                .into());
            }
            bounded(stdin().lock())
        }
        (None, Some(sql)) => match sql.strip_prefix('@') {
            Some(name) => named(name),
            None => Ok(sql.to_owned()),
        },
    }
}

fn bounded(from: impl Read) -> Result<String> {
    let mut text = String::new();
    from.take(SQL_BYTES_MAX)
        .read_to_string(&mut text)
        .context("cannot read the statement")?;
    Ok(text)
}

fn named(name: &str) -> Result<String> {
    if let Some((_, text)) = QUERIES.iter().find(|(known, _)| *known == name) {
        return Ok((*text).to_owned());
    }
    let near = nearest(name, QUERIES.iter().map(|(known, _)| *known));
    let hint = near.map_or_else(
        || "`subledger sql @` lists them".to_owned(),
        |near| format!("did you mean `@{near}`?"),
    );
    let name = Printable::line(name);
    Err(Failure::usage(format!("no query is called `@{name}`: {hint}")).into())
}
