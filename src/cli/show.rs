//! `show SEQ`: one delivery, its events, raw body and headers.

use std::io::Write;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::lists::shown_cells;
use crate::cli::out::Out;
use crate::cli::table::{Format, Head, Sheet, json_text, object, shown};
use crate::domain::mask::Mask;
use crate::domain::page::{Cell, List, Row};
use crate::domain::printable::Printable;
use crate::domain::time::Zone;
use crate::store::query::{Detail, Reader, columns};

/// Columns of a delivery that only machines care for: JSON has them.
const FOR_MACHINES: &[&str] = &["headers", "body", "salt", "commitment", "link", "id"];

/// Writes the delivery `seq`, or only its body.
pub fn run(
    context: &Context,
    seq: i64,
    body_only: bool,
    redact: bool,
    out: &mut Out,
) -> Result<()> {
    let reader = Reader::open(&context.database)?;
    let zone = reader.zone()?;
    let Some(mut detail) = reader.delivery(seq)? else {
        let last = reader.status(context.clock.now())?.last_seq;
        return Err(no_delivery(seq, last).into());
    };
    if redact {
        mask(&mut detail, reader.mask()?);
    }
    if body_only {
        let Some(body) = &detail.body else {
            let says = match detail.gone {
                "erased" => format!("the body of delivery {seq} is erased"),
                gone => format!(
                    "the body of delivery {seq} was {gone}: `subledger prune` tells what is kept how long"
                ),
            };
            return Err(Failure::failed(says).into());
        };
        return body_out(body, out);
    }
    if context.global.json {
        let extra = [
            ("headers", pairs(&detail.headers)?),
            ("body", body_json(detail.body.as_deref())?),
            ("events", rows(List::Events, &detail.events)?),
        ];
        out.line(format!("[{}]", whole(&detail.row, &extra)?))?;
        return Ok(out.flush()?);
    }
    fields(&detail.row, zone, out)?;
    out.line("")?;
    out.heading("Events")?;
    let mut sheet = Sheet::new(out, Format::Table, heads(List::Events), zone)?;
    for row in &detail.events {
        sheet.row(&row.cells)?;
    }
    if sheet.end()? == 0 {
        out.line("none")?;
    }
    headers_and_body(&detail.headers, detail.body.as_deref(), detail.gone, out)
}

/// Masks what is personal in a delivery and its events.
fn mask(detail: &mut Detail, mask: Mask) {
    detail.row.cells = shown_cells(List::Deliveries, &detail.row, Some(mask)).into_owned();
    for event in &mut detail.events {
        event.cells = shown_cells(List::Events, event, Some(mask)).into_owned();
    }
    for (name, value) in &mut detail.headers {
        *value = mask.header(name, value);
    }
    let body = detail.body.take();
    detail.body = body.map(|body| mask.body(&body).into_bytes());
}

/// What is said where a delivery was named that is not there.
pub fn no_delivery(seq: i64, last: i64) -> Failure {
    Failure::failed(format!("there is no delivery {seq}: the last is {last}"))
}

/// The columns of a list as heads of a table.
pub fn heads(list: List) -> Vec<Head> {
    columns(list).iter().map(Head::from).collect()
}

/// The fields of a row of `List::Deliveries` that have a value, one a line.
pub fn fields(row: &Row, zone: Zone, out: &mut Out) -> Result<()> {
    let heads = heads(List::Deliveries);
    for (place, head) in heads.iter().enumerate() {
        let empty = matches!(row.cells.get(place), None | Some(Cell::Null));
        if empty || FOR_MACHINES.contains(&head.name.as_str()) {
            continue;
        }
        let text = shown(&heads, place, &row.cells, zone);
        if !text.is_empty() {
            out.line(format!("{:<16} {text}", head.title))?;
        }
    }
    Ok(())
}

/// Headers and body for reading; `gone` says why there is no body.
pub fn headers_and_body(
    headers: &[(String, String)],
    body: Option<&[u8]>,
    gone: &str,
    out: &mut Out,
) -> Result<()> {
    out.line("")?;
    out.heading("Headers")?;
    for (name, value) in headers {
        out.line(format!(
            "{}: {}",
            Printable::line(name),
            Printable::line(value)
        ))?;
    }
    out.line("")?;
    out.heading("Body")?;
    match body {
        Some(body) => out.line(Printable::bytes(body))?,
        None => out.line(gone)?,
    }
    Ok(out.flush()?)
}

/// The exact bytes; on a terminal, which would obey them, spelt out.
fn body_out(body: &[u8], out: &mut Out) -> Result<()> {
    if out.is_terminal() {
        out.line(Printable::bytes(body))?;
    } else {
        out.data().write_all(body)?;
    }
    Ok(out.flush()?)
}

/// The row as a JSON object, with `extra` in place of the columns of that name or behind them.
pub fn whole(row: &Row, extra: &[(&str, String)]) -> Result<String> {
    let heads = heads(List::Deliveries);
    let kept: Vec<usize> = (0..heads.len())
        .filter(|place| !extra.iter().any(|(name, _)| *name == heads[*place].name))
        .collect();
    let names: Vec<Head> = kept.iter().map(|place| heads[*place].clone()).collect();
    let cells: Vec<Cell> = kept
        .iter()
        .map(|place| row.cells.get(*place).cloned().unwrap_or(Cell::Null))
        .collect();
    let mut text = object(&names, &cells)?;
    text.pop();
    for (name, value) in extra {
        text = format!("{text},{}:{value}", json_text(name)?);
    }
    text.push('}');
    Ok(text)
}

/// Headers as an array of pairs.
pub fn pairs(headers: &[(String, String)]) -> Result<String> {
    let pairs: Vec<String> = headers
        .iter()
        .map(|(name, value)| Ok(format!("[{},{}]", json_text(name)?, json_text(value)?)))
        .collect::<Result<_>>()?;
    Ok(format!("[{}]", pairs.join(",")))
}

/// A body as text, as `{"base64": ...}` where it is none, or null.
pub fn body_json(body: Option<&[u8]>) -> Result<String> {
    Ok(match body.map(|body| (body, std::str::from_utf8(body))) {
        None => "null".to_owned(),
        Some((_, Ok(text))) => json_text(text)?,
        Some((body, Err(_))) => format!("{{\"base64\":\"{}\"}}", STANDARD.encode(body)),
    })
}

fn rows(list: List, rows: &[Row]) -> Result<String> {
    let heads = heads(list);
    let objects: Vec<String> = rows
        .iter()
        .map(|row| Ok(object(&heads, &row.cells)?))
        .collect::<Result<_>>()?;
    Ok(format!("[{}]", objects.join(",")))
}
