//! The screen's lists as text, by the screen's filters.

use std::time::Duration;

use anyhow::Result;

use crate::cli::args::ListArgs;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::out::Out;
use crate::cli::table::{Format, Head, Sheet};
use crate::domain::page::{Count, Cursor, List, Row};
use crate::domain::printable::Printable;
use crate::domain::query::{Query, QueryError, Words};
use crate::store::query::{Reader, columns};

/// So many rows are read at once.
const PAGE_ROWS: usize = 1_000;

/// Counting the rows that were left out stops here.
const COUNT_CAP: u64 = 1_000_000;

/// So often a follower looks whether anything was written.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Writes a list, newest first.
pub fn run(context: &Context, list: List, args: &ListArgs, out: &mut Out) -> Result<()> {
    let reader = Reader::open(&context.database)?;
    let query = parse(context, &reader, list, &args.query)?;
    let heads = columns(list).iter().map(Head::from).collect();
    let mut sheet = Sheet::new(out, context.format(args.format), heads, reader.zone()?)?;
    let limit = if args.limit == 0 { usize::MAX } else { args.limit };
    let mut cursor = Cursor::First;
    let mut left = limit;
    let mut more = true;
    while more && left > 0 {
        let page = reader.page(list, &query, &cursor, left.min(PAGE_ROWS))?;
        for row in &page.rows {
            sheet.row(&row.cells)?;
        }
        left = left.saturating_sub(page.rows.len());
        more = page.more_after;
        match page.rows.last() {
            Some(row) => cursor = Cursor::After(row.key.clone()),
            None => break,
        }
    }
    let written = sheet.end()?;
    if more {
        let all = match reader.count(list, &query, COUNT_CAP)? {
            Count::Exact(all) => all.to_string(),
            Count::MoreThan(many) => format!("more than {many}"),
            Count::About(many) => format!("about {many}"),
        };
        out.say(format!("{written} of {all} {list}: --limit 0 gives all"))?;
    } else if written == 0 {
        out.say(format!("no {list}{}", if args.query.is_empty() { " yet" } else { " fit" }))?;
    }
    Ok(())
}

/// The query that the words of the command line make, narrowed to `--account`.
pub fn parse(context: &Context, reader: &Reader, list: List, words: &[String]) -> Result<Query> {
    let mut text = words.join(" ");
    if let Some(account) = &context.global.account {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&format!("account:{account}"));
    }
    parse_text(context, reader, list, &text)
}

/// The query that `text` is, by the words of this ledger.
pub fn parse_text(context: &Context, reader: &Reader, list: List, text: &str) -> Result<Query> {
    let stored = reader.vocabulary()?;
    let words = Words {
        now: context.clock.now(),
        zone: reader.zone()?,
        list,
        last_review: reader.last_review()?,
        stored: &stored,
    };
    Query::parse(text, &words).map_err(|error| Failure::usage(pointed(text, &error)).into())
}

/// The message, and under it the term that is meant.
fn pointed(text: &str, error: &QueryError) -> String {
    let before = text.get(..error.at.start).unwrap_or("");
    let term = text.get(error.at.clone()).unwrap_or("");
    let hint = error
        .suggestion
        .as_deref()
        .map_or_else(String::new, |term| format!("; did you mean `{}`?", Printable::line(term)));
    if term.is_empty() {
        return format!("{}{hint}", error.message);
    }
    format!(
        "{}{hint}\n  {}\n  {}{}",
        error.message,
        Printable::line(text),
        " ".repeat(Printable::line(before).width()),
        "^".repeat(Printable::line(term).width())
    )
}
