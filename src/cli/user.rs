//! `user show` and `user export`: all that is held about a reader (GDPR articles 15 and 20).
//!
//! Found at every provider and account, and in the bodies that name them without having given a row: kept and not
//! understood, repeats, turned away.

mod data;
mod export;
mod page;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use indicatif::ProgressBar;

use crate::cli::args::UserCommand;
use crate::cli::behind::{Behind, advice};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::out::Out;
use crate::cli::show::heads;
use crate::cli::table::{Format, Sheet, shown};
use crate::cli::{erase, interrupt};
use crate::domain::page::{Cursor, List, Row};
use crate::domain::printable::Printable;
use crate::domain::time::Zone;
use crate::providers::ALL;
use crate::store::query::reader::LISTS_OF_A_READER;
use crate::store::query::who::{Match, Needles, Who};
use crate::store::query::{Reader, columns};

/// Rows that are read at once.
const PAGE_ROWS: usize = 500;

/// What is asked now and then: an error ends the command.
type Check<'a> = &'a mut dyn FnMut() -> Result<()>;

/// All that is held about whom a publisher names.
struct Held {
    who: Who,
    matches: Vec<Match>,
    /// Readers who may be meant and were not named.
    similar: Vec<Match>,
    /// Ids that no body was searched for.
    too_short: BTreeSet<String>,
    deliveries: Vec<Kept>,
    /// Numbers of requests that were turned away.
    rejected: Vec<i64>,
}

/// One delivery that holds something of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kept {
    seq: i64,
    /// Events of other readers were read out of it too: its body is theirs as well.
    others: bool,
}

/// Does what `command` says.
pub fn run(context: &Context, command: &UserCommand, out: &mut Out) -> Result<()> {
    match command {
        UserCommand::Show { who, limit } => show(context, who, *limit, out),
        UserCommand::Erase(args) => erase::run(context, args, out),
        UserCommand::Export {
            who,
            out: path,
            force,
        } => export::run(context, who, path.as_deref(), *force, out),
    }
}

/// Whom `text` means.
pub fn whom(context: &Context, text: &str) -> Result<Who> {
    let providers: Vec<&str> = ALL.iter().map(|provider| provider.id()).collect();
    let mut who =
        Who::parse(text, &providers).map_err(|error| Failure::usage(error.to_string()))?;
    if who.account.is_none() {
        who.account.clone_from(&context.global.account);
    }
    Ok(who)
}

/// Everything that is held, or a failure that says where was looked.
fn find(
    reader: &Reader,
    who: Who,
    last: i64,
    behind: Option<Behind>,
    check: Check<'_>,
) -> Result<Held> {
    let matches = reader.readers(&who)?;
    let needles = reader.needles(&who, &matches)?;
    let mut seqs = BTreeSet::new();
    for one in &matches {
        seqs.extend(reader.deliveries_of(one)?);
    }
    seqs.extend(named(reader, &who, &needles, last, check)?);
    let mut deliveries = Vec::with_capacity(seqs.len());
    for seq in seqs.range(..=last) {
        deliveries.push(Kept {
            seq: *seq,
            others: reader.names_others(*seq, &matches)?,
        });
    }
    let rejected = turned_away(reader, &who, &needles, check)?;
    let similar = reader.similar(&who)?;
    let held = Held {
        who,
        matches,
        similar,
        too_short: needles.too_short,
        deliveries,
        rejected,
    };
    // A webhook about somebody similar is theirs.
    let is_of_others = held.deliveries.iter().all(|kept| kept.others);
    if held.matches.is_empty() && held.rejected.is_empty() && is_of_others {
        if !held.similar.is_empty() {
            return Err(nobody_but(&held.who, &held.similar, behind).into());
        }
        if held.deliveries.is_empty() {
            return Err(nothing(&held, behind).into());
        }
    }
    Ok(held)
}

/// What is said of readers who may be meant and were not named.
pub fn told_similar(similar: &[Match]) -> String {
    let places: Vec<String> = similar.iter().map(Match::place).collect();
    format!(
        "similar, but for the dots of an i, and not taken: {}",
        places.join(", ")
    )
}

/// Nobody is named, and somebody may be meant.
pub fn nobody_but(who: &Who, similar: &[Match], behind: Option<Behind>) -> Failure {
    let says = format!(
        "nobody is known as `{}`; {}: name one as it stands there{}",
        who.text,
        told_similar(similar),
        advice(behind)
    );
    Failure::failed(Printable::line(&says).to_string())
}

fn nothing(held: &Held, behind: Option<Behind>) -> Failure {
    let who = Printable::line(&held.who.text);
    let unread = if held.too_short.contains(&held.who.text) {
        " (bodies were not searched: it is too short)"
    } else {
        ""
    };
    let place = looked_at(&held.who);
    Failure::failed(format!(
        "nothing is held about `{who}`{place}: no reader, webhook or turned-away request names them{unread}{}",
        advice(behind)
    ))
}

/// ` at zotlo/weekly`, where not every provider and account is meant.
pub fn looked_at(who: &Who) -> String {
    let place = match (&who.provider, &who.account) {
        (None, None) => return String::new(),
        (Some(provider), None) => provider.clone(),
        (Some(provider), Some(account)) => format!("{provider}/{account}"),
        (None, Some(account)) => format!("account {account}"),
    };
    format!(
        " at {}, and nowhere else was looked",
        Printable::line(&place)
    )
}

/// Numbers of the deliveries up to `last` whose bytes name them.
fn named(
    reader: &Reader,
    who: &Who,
    needles: &Needles,
    last: i64,
    check: Check<'_>,
) -> Result<Vec<i64>> {
    let mut found = Vec::new();
    if needles.is_empty() {
        return Ok(found);
    }
    let bar = ProgressBar::new(u64::try_from(last).unwrap_or_default());
    bar.enable_steady_tick(Duration::from_millis(200));
    let mut after = 0;
    loop {
        check()?;
        let named = reader.naming_deliveries(needles, after)?;
        for seq in named.found {
            if is_meant(reader, who, seq)? {
                found.push(seq);
            }
        }
        match named.to {
            Some(to) if to < last => after = to,
            _ => break,
        }
        bar.set_position(u64::try_from(after).unwrap_or_default());
    }
    bar.finish_and_clear();
    Ok(found)
}

/// Whether delivery `seq` came to the provider and account that were named.
fn is_meant(reader: &Reader, who: &Who, seq: i64) -> Result<bool> {
    if who.provider.is_none() && who.account.is_none() {
        return Ok(true);
    }
    let Some(detail) = reader.delivery(seq)? else {
        return Ok(false);
    };
    let is = |name: &str, wanted: &Option<String>| {
        wanted
            .as_deref()
            .is_none_or(|wanted| text_of(&detail.row, name) == wanted)
    };
    Ok(is("provider", &who.provider) && is("account", &who.account))
}

fn turned_away(
    reader: &Reader,
    who: &Who,
    needles: &Needles,
    check: Check<'_>,
) -> Result<Vec<i64>> {
    let mut found = Vec::new();
    if needles.is_empty() {
        return Ok(found);
    }
    let mut after = 0;
    loop {
        check()?;
        let named = reader.naming_rejected(needles, after)?;
        for id in named.found {
            let Some(detail) = reader.rejected(id)? else {
                continue;
            };
            let provider = text_of(&detail.row, "provider");
            if who.provider.as_deref().is_none_or(|own| own == provider) {
                found.push(id);
            }
        }
        match named.to {
            Some(to) => after = to,
            None => return Ok(found),
        }
    }
}

/// The text of a column of a row of `List::Deliveries`.
fn text_of<'a>(row: &'a Row, name: &str) -> &'a str {
    let place = columns(List::Deliveries)
        .iter()
        .position(|column| column.name == name);
    place
        .and_then(|place| row.cells.get(place)?.as_text())
        .unwrap_or_default()
}

/// Hands over every row of `one` in `list`, newest first.
fn each_row(
    reader: &Reader,
    one: &Match,
    list: List,
    take: &mut dyn FnMut(&Row) -> Result<()>,
) -> Result<()> {
    let mut cursor = Cursor::First;
    loop {
        let page = reader.rows_of(one, list, &cursor, PAGE_ROWS)?;
        for row in &page.rows {
            take(row)?;
        }
        match page.rows.into_iter().next_back() {
            Some(row) if page.more_after => cursor = Cursor::After(row.key),
            _ => return Ok(()),
        }
    }
}

fn show(context: &Context, who: &str, limit: usize, out: &mut Out) -> Result<()> {
    let who = whom(context, who)?;
    let reader = Reader::open(&context.database)?;
    interrupt::watch(&reader)?;
    let last = reader.status(context.clock.now())?.last_seq;
    let behind = Behind::of(context, &reader)?;
    let held = find(&reader, who, last, behind, &mut || Ok(interrupt::check()?))?;
    if let Some(behind) = behind {
        out.say(format!("{}, and not in this", behind.says()))?;
    }
    if context.global.json {
        data::write(&reader, &held, None, out.data(), &mut || {
            Ok(interrupt::check()?)
        })?;
        return Ok(out.flush()?);
    }
    let zone = reader.zone()?;
    if !held.similar.is_empty() {
        out.say(Printable::line(&told_similar(&held.similar)))?;
    }
    for one in &held.matches {
        identity(&reader, one, zone, out)?;
        for list in LISTS_OF_A_READER {
            table(&reader, one, list, limit, out)?;
        }
    }
    deliveries(&reader, &held, limit, out)?;
    rejected(&reader, &held, limit, out)?;
    if !held.too_short.is_empty() {
        let ids: Vec<String> = held.too_short.iter().map(|id| quoted(id)).collect();
        out.say(format!(
            "bodies were not searched for {}: too short to tell them from other words",
            ids.join(", ")
        ))?;
    }
    Ok(out.flush()?)
}

fn quoted(text: &str) -> String {
    format!("`{}`", Printable::line(text))
}

/// By what a reader was found, in words.
fn by(one: &Match) -> String {
    let words: Vec<&str> = one.by.iter().map(|by| by.as_str()).collect();
    words.join(", ")
}

fn identity(reader: &Reader, one: &Match, zone: Zone, out: &mut Out) -> Result<()> {
    out.heading(format!(
        "{} (found by {})",
        Printable::line(&one.place()),
        by(one)
    ))?;
    let Some(user) = reader.user(one.id)? else {
        return Ok(());
    };
    let heads = heads(List::Users);
    for (place, head) in heads.iter().enumerate() {
        let text = shown(&heads, place, &user.row.cells, zone);
        if !text.is_empty() && head.name != "id" {
            out.line(format!("{:<16} {text}", head.title))?;
        }
    }
    for alias in user.aliases {
        out.line(format!(
            "{:<16} {} ({}, delivery {})",
            "Another id",
            Printable::line(&alias.alias),
            Printable::line(&alias.source),
            alias.seq
        ))?;
    }
    for other in user.also_seen_as {
        out.line(format!("{:<16} {}", "Also seen as", place_of(&other)))?;
    }
    out.line("")?;
    Ok(())
}

/// `provider/account:id` of a row of `List::Users`.
fn place_of(row: &Row) -> String {
    let named = |name: &str| {
        let place = columns(List::Users)
            .iter()
            .position(|column| column.name == name);
        let text = place.and_then(|place| row.cells.get(place)?.as_text());
        Printable::line(text.unwrap_or_default())
    };
    format!(
        "{}/{}:{}",
        named("provider"),
        named("account"),
        named("user_id")
    )
}

fn title(list: List) -> &'static str {
    match list {
        List::Events => "Events",
        List::Users => "Readers",
        List::Subscriptions => "Subscriptions",
        List::Cancellations => "Cancellations",
        List::Consents => "Consents as they stand",
        List::Changes => "Changes of consents",
        List::Payments => "Payments and refunds",
        List::Deliveries => "Webhooks",
    }
}

fn table(reader: &Reader, one: &Match, list: List, limit: usize, out: &mut Out) -> Result<()> {
    let (mut rows, mut more) = (Vec::new(), 0_usize);
    each_row(reader, one, list, &mut |row| {
        if limit == 0 || rows.len() < limit {
            rows.push(row.clone());
        } else {
            more += 1;
        }
        Ok(interrupt::check()?)
    })?;
    if rows.is_empty() {
        return Ok(());
    }
    out.heading(title(list))?;
    let mut sheet = Sheet::new(out, Format::Table, heads(list), reader.zone()?)?;
    for row in &rows {
        sheet.row(&row.cells)?;
    }
    sheet.end()?;
    cut(more, out)
}

/// Says what was left away.
fn cut(more: usize, out: &mut Out) -> Result<()> {
    if more > 0 {
        out.line(format!("{more} more: --limit 0 shows all"))?;
    }
    Ok(out.line("")?)
}

fn deliveries(reader: &Reader, held: &Held, limit: usize, out: &mut Out) -> Result<()> {
    let zone = reader.zone()?;
    out.heading("Webhooks that hold something of them")?;
    let all = held.deliveries.len();
    let shown = if limit == 0 { all } else { limit.min(all) };
    for kept in held.deliveries.iter().rev().take(shown) {
        interrupt::check()?;
        if let Some(detail) = reader.delivery(kept.seq)? {
            let others = if kept.others {
                "  names other readers too"
            } else {
                ""
            };
            out.line(format!(
                "{:>8}  {}{others}",
                kept.seq,
                line(&detail.row, zone)
            ))?;
        }
    }
    if all == 0 {
        out.line("none")?;
    }
    cut(all - shown, out)
}

fn rejected(reader: &Reader, held: &Held, limit: usize, out: &mut Out) -> Result<()> {
    if held.rejected.is_empty() {
        return Ok(());
    }
    let zone = reader.zone()?;
    out.heading("Turned away, and kept for 14 days")?;
    let all = held.rejected.len();
    let shown = if limit == 0 { all } else { limit.min(all) };
    for id in held.rejected.iter().rev().take(shown) {
        if let Some(detail) = reader.rejected(*id)? {
            out.line(format!("{id:>8}  {}", line(&detail.row, zone)))?;
        }
    }
    cut(all - shown, out)
}

/// When, whose, where to and what became of it.
fn line(row: &Row, zone: Zone) -> String {
    let heads = heads(List::Deliveries);
    let mut words = Vec::new();
    for name in ["received_at", "provider", "hook", "outcome", "reason"] {
        let place = heads.iter().position(|head| head.name == name);
        let text = place.map(|place| shown(&heads, place, &row.cells, zone));
        words.extend(text.filter(|text| !text.is_empty()));
    }
    words.join("  ")
}
