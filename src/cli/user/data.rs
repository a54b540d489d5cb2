//! What is held about a reader, as JSON: for machines, and for the next service they give it to.

use std::io::Write;

use anyhow::Result;

use crate::cli::show::{heads, pairs, whole};
use crate::cli::table::{json_text, object};
use crate::cli::user::{Check, Held, Kept, each_row};
use crate::domain::page::{List, Row};
use crate::store::query::reader::LISTS_OF_A_READER;
use crate::store::query::who::Match;
use crate::store::query::{Reader, columns};

/// Where a delivery's or a request's body stands in the zip.
pub(super) type FileOf<'a> = &'a dyn Fn(bool, i64) -> Option<String>;

/// An array of one object: whom, the readers with every row of theirs, deliveries, requests that were turned away.
/// Deliveries are told without their bodies; `file` says where those stand.
pub(super) fn write(
    reader: &Reader,
    held: &Held,
    file: Option<FileOf<'_>>,
    out: &mut dyn Write,
    check: Check<'_>,
) -> Result<()> {
    write!(
        out,
        "[{{\"who\":{},\"zone\":{},\"readers\":[",
        json_text(&held.who.text)?,
        json_text(reader.zone()?.name())?
    )?;
    for (place, one) in held.matches.iter().enumerate() {
        comma(place, out)?;
        one_reader(reader, one, file.is_some(), out, check)?;
    }
    write!(out, "],\"deliveries\":[")?;
    let mut place = 0;
    for kept in &held.deliveries {
        check()?;
        if let Some(text) = delivery(reader, held, *kept, file)? {
            comma(place, out)?;
            write!(out, "{text}")?;
            place += 1;
        }
    }
    write!(out, "],\"rejected\":[")?;
    let mut place = 0;
    for id in &held.rejected {
        let Some(detail) = reader.rejected(*id)? else {
            continue;
        };
        comma(place, out)?;
        place += 1;
        let extra = [
            ("headers", pairs(&detail.headers)?),
            ("file", named(file, true, *id)?),
        ];
        write!(out, "{}", slim(&detail.row, &extra)?)?;
    }
    let short: Vec<String> = held
        .too_short
        .iter()
        .map(|id| json_text(id))
        .collect::<std::io::Result<_>>()?;
    writeln!(out, "],\"not_searched_for\":[{}]}}]", short.join(","))?;
    Ok(())
}

fn comma(place: usize, out: &mut dyn Write) -> Result<()> {
    if place > 0 {
        write!(out, ",")?;
    }
    Ok(())
}

fn named(file: Option<FileOf<'_>>, rejected: bool, id: i64) -> Result<String> {
    Ok(match file.and_then(|file| file(rejected, id)) {
        Some(name) => json_text(&name)?,
        None => "null".to_owned(),
    })
}

/// Who else is seen with the same address or id is for the publisher alone: they may be somebody else.
fn one_reader(
    reader: &Reader,
    one: &Match,
    given_away: bool,
    out: &mut dyn Write,
    check: Check<'_>,
) -> Result<()> {
    let by: Vec<&str> = one.by.iter().map(|by| by.as_str()).collect();
    write!(out, "{{\"found_by\":{}", serde_json::to_string(&by)?)?;
    if let Some(user) = reader.user(one.id)? {
        write!(
            out,
            ",\"user\":{}",
            object(&heads(List::Users), &user.row.cells)?
        )?;
        let aliases = serde_json::to_string(&user.aliases)?;
        write!(out, ",\"aliases\":{}", crate::cli::table::tame(&aliases))?;
        if !given_away {
            let also: Vec<String> = user
                .also_seen_as
                .iter()
                .map(|row| object(&heads(List::Users), &row.cells))
                .collect::<std::io::Result<_>>()?;
            write!(out, ",\"also_seen_as\":[{}]", also.join(","))?;
        }
    }
    for list in LISTS_OF_A_READER {
        write!(out, ",\"{list}\":[")?;
        let heads = heads(list);
        let mut place = 0;
        each_row(reader, one, list, &mut |row| {
            check()?;
            comma(place, out)?;
            place += 1;
            Ok(write!(out, "{}", object(&heads, &row.cells)?)?)
        })?;
        write!(out, "]")?;
    }
    Ok(write!(out, "}}")?)
}

/// One delivery; of its events those of the readers that are meant.
fn delivery(
    reader: &Reader,
    held: &Held,
    kept: Kept,
    file: Option<FileOf<'_>>,
) -> Result<Option<String>> {
    let Some(detail) = reader.delivery(kept.seq)? else {
        return Ok(None);
    };
    let heads = heads(List::Events);
    let mut events = Vec::new();
    for event in detail.events.iter().filter(|event| is_theirs(held, event)) {
        events.push(object(&heads, &event.cells)?);
    }
    let mut extra = vec![
        ("headers", pairs(&detail.headers)?),
        ("file", named(file, false, kept.seq)?),
        ("names_other_readers", kept.others.to_string()),
        ("events", format!("[{}]", events.join(","))),
    ];
    if kept.others {
        extra.push(("dedupe_key", "null".to_owned()));
    }
    Ok(Some(slim(&detail.row, &extra)?))
}

/// A row of `List::Deliveries` without what `file` holds.
fn slim(row: &Row, extra: &[(&str, String)]) -> Result<String> {
    let mut row = row.clone();
    let body = columns(List::Deliveries)
        .iter()
        .position(|column| column.name == "body");
    if let Some(cell) = body.and_then(|place| row.cells.get_mut(place)) {
        *cell = crate::domain::page::Cell::Null;
    }
    whole(&row, extra)
}

fn is_theirs(held: &Held, event: &Row) -> bool {
    let text = |name: &str| {
        let place = columns(List::Events)
            .iter()
            .position(|column| column.name == name);
        place
            .and_then(|place| event.cells.get(place)?.as_text())
            .unwrap_or_default()
    };
    let (provider, account, user_id) = (text("provider"), text("account"), text("user_id"));
    held.matches
        .iter()
        .any(|one| one.provider == provider && one.account == account && one.user_id == user_id)
}
