//! The screen's lists as text, by the screen's filters.

use std::borrow::Cow;
use std::time::Duration;

use anyhow::Result;

use crate::cli::args::ListArgs;
use crate::cli::behind::Behind;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::interrupt;
use crate::cli::out::Out;
use crate::cli::table::{Format, Head, Sheet};
use crate::domain::mask::Mask;
use crate::domain::page::{Cell, Count, Cursor, List, Order, Row};
use crate::domain::printable::Printable;
use crate::domain::query::{Query, QueryError, Words};
use crate::providers::ALL;
use crate::store::query::{Reader, View, columns};

/// So many rows are read at once.
const PAGE_ROWS: usize = 1_000;

/// Counting the rows that were left out stops here.
const COUNT_CAP: u64 = 1_000_000;

/// So often a follower looks whether anything was written.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The id of an event is its delivery's number times this, and its place in it.
const EVENTS_PER_DELIVERY: i64 = 10_000;

/// Which columns a table shows.
#[derive(Clone, Copy, Debug)]
pub enum Shown {
    /// Those that the list is usually shown with.
    Usual,
    /// These, in this order.
    Only(&'static [&'static str]),
}

/// Writes a list, newest first unless it is to be turned round.
pub fn run(context: &Context, list: List, args: &ListArgs, out: &mut Out) -> Result<()> {
    self::list(context, list, args, Shown::Usual, None, out)
}

/// How a list that is narrowed beforehand speaks of its rows.
#[derive(Clone, Copy)]
pub struct Wording<'a> {
    /// There is none.
    pub none: &'a str,
    /// What they are: `requests turned away`.
    pub rows: &'a str,
}

/// Writes a list, newest first, with other columns than usual. Without `wording` it speaks of all rows of the list.
pub fn list(
    context: &Context,
    list: List,
    args: &ListArgs,
    shown: Shown,
    wording: Option<Wording<'_>>,
    out: &mut Out,
) -> Result<()> {
    let reader = Reader::open(&context.database)?;
    let query = parse(context, &reader, list, &args.query)?;
    let order = order(&reader, list, args)?;
    let behind = match list {
        List::Deliveries => None,
        _ => Behind::of(context, &reader)?,
    };
    interrupt::watch(&reader)?;
    let format = context.format(args.format);
    let (heads, places) = heads(list, shown, format);
    let mask = mask(&reader, args)?;
    let mut sheet = Sheet::new(out, format, heads, reader.zone()?)?;
    let limit = if args.limit == 0 {
        usize::MAX
    } else {
        args.limit
    };
    let mut cursor = Cursor::First;
    let mut left = limit;
    let mut more = true;
    while more && left > 0 {
        let page = match reader.page_in(list, &query, order, &cursor, left.min(PAGE_ROWS)) {
            Ok(page) => page,
            Err(error) => {
                sheet.flush()?;
                return Err(error.into());
            }
        };
        for row in &page.rows {
            let cells = shown_cells(list, row, mask);
            let cells: Vec<Cell> = places.iter().map(|place| cells[*place].clone()).collect();
            sheet.row(&cells)?;
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
        let rows = wording.map_or(list.as_str(), |wording| wording.rows);
        out.say(format!("{written} of {all} {rows}: --limit 0 gives all"))?;
    } else if written == 0 {
        match wording {
            Some(wording) => out.say(wording.none)?,
            None => out.say(no_rows(&reader, list, &args.query.join(" "))?)?,
        }
    }
    if let Some(behind) = behind {
        out.say(format!("{}, and not among these", behind.says()))?;
    }
    Ok(())
}

/// What an empty list says. `@NAME` that names no saved filter was taken as a word; where no row has it, it is refused.
fn no_rows(reader: &Reader, list: List, text: &str) -> Result<String> {
    match text.trim().strip_prefix('@') {
        Some(name) if saved(reader, None, text)?.is_none() => no_view(list, name),
        _ if text.is_empty() => Ok(format!("no {list} yet")),
        _ => Ok(format!("no {list} fit")),
    }
}

/// `@name` is neither a saved filter nor a word that rows have: a failure, unless it may be the end of an address, of
/// which there are none.
pub fn no_view(list: List, name: &str) -> Result<String> {
    let is_address = name.contains('.') && !name.contains(' ');
    let name = Printable::line(name);
    let name = name.as_str();
    let says = format!("no {list} fit, and no saved filter is called {name:?}");
    if is_address {
        Ok(says)
    } else {
        Err(Failure::usage(says).into())
    }
}

/// What masks personal data, where that is asked for.
fn mask(reader: &Reader, args: &ListArgs) -> Result<Option<Mask>> {
    Ok(args.redact.then(|| reader.mask()).transpose()?)
}

/// The cells of a row, personal data masked where there is a mask.
pub fn shown_cells(list: List, row: &Row, mask: Option<Mask>) -> Cow<'_, [Cell]> {
    match mask {
        None => Cow::Borrowed(&row.cells),
        Some(mask) => columns(list)
            .iter()
            .zip(&row.cells)
            .map(|(column, cell)| mask.cell(column.name, cell))
            .collect(),
    }
}

/// The heads, and where in a row their cells stand.
fn heads(list: List, shown: Shown, format: Format) -> (Vec<Head>, Vec<usize>) {
    let all: Vec<Head> = columns(list).iter().map(Head::from).collect();
    let is_machine = !matches!(format, Format::Table | Format::Md);
    let Shown::Only(names) = shown else {
        return (all.clone(), (0..all.len()).collect());
    };
    if is_machine {
        return (all.clone(), (0..all.len()).collect());
    }
    names
        .iter()
        .filter_map(|name| {
            let place = all.iter().position(|head| head.name == *name)?;
            let mut head = all[place].clone();
            head.priority = head.priority.max(1);
            Some((head, place))
        })
        .unzip()
}

/// The query that the words of the command line make, narrowed to `--account`.
pub fn parse(context: &Context, reader: &Reader, list: List, words: &[String]) -> Result<Query> {
    let text = words.join(" ");
    let text = saved(reader, Some(list), &text)?.map_or(text, |view| view.query);
    let Some(account) = &context.global.account else {
        return parse_text(context, reader, list, &text);
    };
    // Looked at by itself first, so that a fault is pointed at as it was typed.
    parse_text(context, reader, list, &text)?;
    let account = format!("account:\"{}\"", account.replace(['"', '\\'], ""));
    let both = if text.is_empty() {
        account
    } else {
        format!("({text}) {account}")
    };
    parse_text(context, reader, list, &both)
}

/// Which end comes first: as asked for, else as the filter was saved.
fn order(reader: &Reader, list: List, args: &ListArgs) -> Result<Order> {
    if let Some(order) = args.sort {
        return Ok(order);
    }
    let view = saved(reader, Some(list), &args.query.join(" "))?;
    Ok(view.map_or(Order::default(), |view| view.order))
}

/// The saved filter that `@NAME` names. One of another list than is asked for is refused; a name that none has is left
/// to be a word: `@example.org` is sought in addresses.
pub fn saved(reader: &Reader, list: Option<List>, text: &str) -> Result<Option<View>> {
    let Some(name) = text.trim().strip_prefix('@') else {
        return Ok(None);
    };
    let view = reader.view(name)?;
    match (&view, list) {
        (Some(view), Some(list)) if view.list != list => Err(Failure::usage(format!(
            "the saved filter {name:?} is of {}, not of {list}: subledger {} @{name}",
            view.list, view.list
        ))
        .into()),
        _ => Ok(view),
    }
}

/// The query that `text` is, by the words of this ledger.
pub fn parse_text(context: &Context, reader: &Reader, list: List, text: &str) -> Result<Query> {
    let mut stored = reader.vocabulary()?;
    // What could send and has not yet is no slip of the pen.
    stored
        .providers
        .extend(ALL.iter().map(|provider| provider.id().to_owned()));
    let accounts = context.config.accounts.iter();
    stored
        .accounts
        .extend(accounts.map(|settings| settings.account.clone()));
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
        .map_or_else(String::new, |term| {
            format!("; did you mean `{}`?", Printable::line(term))
        });
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

/// Writes events as they arrive, oldest first, until interrupted.
pub fn follow(context: &Context, args: &ListArgs, out: &mut Out) -> Result<()> {
    let format = context.format(args.format);
    if format == Format::Json {
        return Err(
            Failure::usage("an array that never ends is no JSON: use --format ndjson").into(),
        );
    }
    let mut reader = Reader::open(&context.database)?;
    // A query that does not parse is refused at once.
    parse(context, &reader, List::Events, &args.query)?;
    interrupt::watch(&reader)?;
    let mut seen = reader.status(context.clock.now())?.folded_seq;
    let heads = columns(List::Events).iter().map(Head::from).collect();
    let mask = mask(&reader, args)?;
    let mut sheet = Sheet::new(out, format, heads, reader.zone()?)?;
    let mut version = 0;
    loop {
        let now = reader.version()?;
        if now != version {
            version = now;
            if reader.is_outdated()? {
                // The next look is at the upgraded ledger.
                reader = Reader::open(&context.database)?;
                version = 0;
                continue;
            }
            for row in news(context, &reader, &args.query, &mut seen)? {
                sheet.row(&shown_cells(List::Events, &row, mask))?;
            }
            sheet.flush()?;
        }
        std::thread::sleep(LOOK_EVERY);
        interrupt::check()?;
    }
}

/// The events of deliveries after `seen`, in the order of arrival.
fn news(context: &Context, reader: &Reader, words: &[String], seen: &mut i64) -> Result<Vec<Row>> {
    let newer = format!("seq:>{seen}");
    let text = words.join(" ");
    let text = if text.is_empty() {
        newer
    } else {
        format!("({text}) {newer}")
    };
    let query = parse(context, reader, List::Events, &[text])?;
    let mut rows = Vec::new();
    let mut cursor = Cursor::First;
    loop {
        let page = reader.page(List::Events, &query, &cursor, PAGE_ROWS)?;
        let last = page.rows.last().map(|row| row.key.clone());
        rows.extend(page.rows);
        match last {
            Some(key) if page.more_after => cursor = Cursor::After(key),
            _ => break,
        }
    }
    rows.sort_by_key(|row| row.key.id);
    if let Some(last) = rows.last() {
        *seen = last.key.id / EVENTS_PER_DELIVERY;
    }
    Ok(rows)
}
