//! Rows as CSV and its siblings: what is written is read back as the cells, and no cell is a formula.

use std::collections::BTreeMap;
use std::io::{Read as _, Seek as _, SeekFrom};

use serde_json::value::RawValue;
use subledger::cli::out::Out;
use subledger::cli::table::{Format, Head, Sheet};
use subledger::domain::page::{Cell, Shape};
use subledger::domain::printable::Printable;
use subledger::domain::time::Zone;

use super::draw::Draw;
use super::keeper;
use super::printable::harmless;
use super::{Held, must};

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// Rows as they are written.
    pub write: Write,
}

/// Writes rows of these columns.
pub type Write = fn(Format, &[Head], &[Vec<Cell>]) -> std::io::Result<Vec<u8>>;

/// As it is.
pub const REAL: Subject = Subject { write };

fn write(format: Format, heads: &[Head], rows: &[Vec<Cell>]) -> std::io::Result<Vec<u8>> {
    let mut file = tempfile::tempfile_in(keeper::folder())?;
    let mut out = Out::file(file.try_clone()?);
    let mut sheet = Sheet::new(&mut out, format, heads.to_vec(), Zone::UTC)?;
    for row in rows {
        sheet.row(row)?;
    }
    sheet.end()?;
    drop(out);
    let mut written = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut written)?;
    Ok(written)
}

const SHAPES: [Shape; 10] = [
    Shape::Text,
    Shape::Word,
    Shape::Time,
    Shape::Day,
    Shape::Number,
    Shape::Flag,
    Shape::Minor,
    Shape::Real,
    Shape::Json,
    Shape::Body,
];

/// Some columns, and rows of any cells.
fn drawn(data: &[u8]) -> (Vec<Head>, Vec<Vec<Cell>>) {
    let mut draw = Draw::new(data);
    let heads: Vec<Head> = (0..=draw.below(4))
        .map(|place| Head {
            shape: *draw.of(&SHAPES),
            ..Head::plain(["seq", "currency", "exponent", "name"][place % 4])
        })
        .collect();
    let mut rows = Vec::new();
    while !draw.is_over() && rows.len() < 8 {
        rows.push(heads.iter().map(|_| cell(&mut draw)).collect());
    }
    (heads, rows)
}

fn cell(draw: &mut Draw<'_>) -> Cell {
    match draw.below(8) {
        0 => Cell::Null,
        1 => Cell::Int(i64::from_le_bytes(eight(draw))),
        2 => Cell::Int(i64::from(draw.byte()) - 100),
        3 => Cell::Real(f64::from_le_bytes(eight(draw))),
        4 => Cell::Blob(some(draw).to_vec()),
        _ => Cell::Text(String::from_utf8_lossy(some(draw)).into_owned()),
    }
}

fn some<'a>(draw: &mut Draw<'a>) -> &'a [u8] {
    let count = usize::from(draw.byte());
    draw.bytes(count)
}

fn eight(draw: &mut Draw<'_>) -> [u8; 8] {
    [0; 8].map(|_: u8| draw.byte())
}

/// Looks at `subject` with `data` as rows.
pub fn check(data: &[u8], subject: Subject) -> Held {
    let (heads, rows) = drawn(data);
    for (format, but) in [
        (Format::Csv, "\r\n"),
        (Format::Tsv, "\t\n"),
        (Format::Json, "\n"),
        (Format::Ndjson, "\n"),
        (Format::Md, "\n"),
        (Format::Table, "\n"),
    ] {
        let written = (subject.write)(format, &heads, &rows)
            .map_err(|error| format!("{format:?} cannot be written: {error}"))?;
        let text = String::from_utf8(written).map_err(|error| format!("{format:?}: {error}"))?;
        harmless(&format!("{format:?}"), &text, but)?;
        match format {
            Format::Csv => csv(&heads, &rows, &text),
            Format::Tsv => tsv(&heads, &rows, &text),
            Format::Json => json(&heads, &rows, &text),
            Format::Ndjson => ndjson(&heads, &rows, &text),
            Format::Md => must(text.lines().count() == rows.len() + 2, || text.clone()),
            Format::Table => Ok(()),
        }
        .map_err(|what| format!("{format:?}: {what}"))?;
    }
    Ok(())
}

/// What a spreadsheet should find in a cell.
fn wanted(cell: &Cell) -> String {
    let text: String = match cell {
        Cell::Null => return String::new(),
        Cell::Int(number) => return number.to_string(),
        Cell::Real(number) => return number.to_string(),
        Cell::Text(text) => Printable::line(text).into(),
        Cell::Blob(bytes) => Printable::line(Printable::bytes(bytes).as_str()).into(),
    };
    // Where a quotation mark or an apostrophe stands before it a formula is none, and one more says which were there.
    let parts = text.split_inclusive(SEPARATORS).map(|part| {
        let is_near = is_formula(part.trim_start_matches(['\'', '"']));
        format!("{}{part}", if is_near { "'" } else { "" })
    });
    parts.collect()
}

/// What spreadsheets split cells at, beside the comma: those of many countries at `;`.
const SEPARATORS: [char; 4] = [';', '\t', '\r', '\n'];

/// Whether a spreadsheet computes what is in a cell, or in a part of it that it takes for a cell.
pub(super) fn is_formula(text: &str) -> bool {
    let begins = |part: &str| {
        part.starts_with([
            '=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
        ])
    };
    let mut parts = text.split(SEPARATORS).skip(1);
    begins(text)
        || text.starts_with(['\t', '\r', '\n', '\0'])
        || parts.any(|part| begins(part.trim_start_matches('"')))
}

fn found(rows: &[Vec<Cell>], records: &[Vec<String>]) -> Held {
    must(records.len() == rows.len(), || {
        format!("{} rows are {} records", rows.len(), records.len())
    })?;
    for (row, record) in rows.iter().zip(records) {
        let cells: Vec<String> = row.iter().map(wanted).collect();
        must(cells == *record, || {
            format!("{cells:?} is read back as {record:?}")
        })?;
        for (cell, text) in row.iter().zip(record) {
            let is_ours = matches!(cell, Cell::Int(_) | Cell::Real(_));
            must(is_ours || !is_formula(text), || {
                format!("{text:?} is a formula")
            })?;
        }
    }
    Ok(())
}

fn csv(heads: &[Head], rows: &[Vec<Cell>], text: &str) -> Held {
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let names = reader.headers().map_err(|error| error.to_string())?;
    let is_head = names.iter().eq(heads.iter().map(|head| head.name.as_str()));
    must(is_head, || format!("the head is {names:?}"))?;
    let records: Result<Vec<_>, _> = reader.records().collect();
    let records = records.map_err(|error| format!("{error} in {text:?}"))?;
    let records: Vec<Vec<String>> = records
        .iter()
        .map(|record| record.iter().map(str::to_owned).collect())
        .collect();
    found(rows, &records)
}

fn tsv(heads: &[Head], rows: &[Vec<Cell>], text: &str) -> Held {
    let whole = text.strip_suffix('\n');
    let whole = whole.ok_or_else(|| format!("{text:?} has no end"))?;
    let mut records = Vec::new();
    for (number, line) in whole.split('\n').enumerate() {
        let cells: Vec<&str> = line.split('\t').collect();
        must(cells.len() == heads.len(), || {
            format!("{line:?} has {} cells", cells.len())
        })?;
        let opens = cells.iter().any(|cell| cell.starts_with('"'));
        must(!opens, || format!("{line:?} opens a quotation"))?;
        if number > 0 {
            // What stands before a quotation mark at the start stands there for spreadsheets alone.
            let bare = |cell: &&str| cell.strip_prefix("'\"").map(|rest| format!("\"{rest}"));
            let bare = |cell: &&str| bare(cell).unwrap_or_else(|| (*cell).to_owned());
            records.push(cells.iter().map(bare).collect());
        }
    }
    found(rows, &unquoted(rows, records))
}

/// Records as they would be read, where a text of ours begins with `'"` itself.
fn unquoted(rows: &[Vec<Cell>], mut records: Vec<Vec<String>>) -> Vec<Vec<String>> {
    for (row, record) in rows.iter().zip(&mut records) {
        for (cell, text) in row.iter().zip(record) {
            let own = wanted(cell);
            if own.starts_with("'\"") && own[1..] == *text {
                *text = own;
            }
        }
    }
    records
}

type Object = BTreeMap<String, Box<RawValue>>;

fn ndjson(heads: &[Head], rows: &[Vec<Cell>], text: &str) -> Held {
    let objects: Result<Vec<Object>, _> = text.lines().map(serde_json::from_str).collect();
    let objects = objects.map_err(|error| format!("{error} in {text:?}"))?;
    same(heads, rows, &objects)
}

fn json(heads: &[Head], rows: &[Vec<Cell>], text: &str) -> Held {
    let objects: Result<Vec<Object>, _> = serde_json::from_str(text);
    let objects = objects.map_err(|error| format!("{error} in {text:?}"))?;
    same(heads, rows, &objects)
}

fn same(heads: &[Head], rows: &[Vec<Cell>], objects: &[Object]) -> Held {
    must(objects.len() == rows.len(), || {
        format!("{} rows are {} objects", rows.len(), objects.len())
    })?;
    for (row, object) in rows.iter().zip(objects) {
        must(object.len() == heads.len(), || format!("{object:?}"))?;
        for (head, cell) in heads.iter().zip(row) {
            let raw = object.get(&head.name).map_or("", |raw| raw.get());
            must(is_exact(cell, head.shape, raw), || {
                format!("{cell:?} as {:?} is {raw}", head.shape)
            })?;
        }
    }
    Ok(())
}

/// Whether `raw` is `cell`, to the last character.
fn is_exact(cell: &Cell, shape: Shape, raw: &str) -> bool {
    let value = serde_json::from_str::<serde_json::Value>(raw);
    match cell {
        Cell::Null => raw == "null",
        Cell::Int(number) => raw == number.to_string(),
        Cell::Real(number) if !number.is_finite() => raw == "null",
        Cell::Real(number) => raw
            .parse::<f64>()
            .is_ok_and(|back| back.to_bits() == number.to_bits()),
        Cell::Text(text) => match serde_json::from_str::<&RawValue>(text) {
            // JSON is embedded as it was sent; of what a reader makes nothing of there is nothing to compare.
            Ok(own) if shape == Shape::Json => {
                let own = serde_json::from_str::<serde_json::Value>(own.get());
                own.is_err() && value.is_err() || own.ok() == value.ok()
            }
            _ => value.is_ok_and(|value| value == text.as_str()),
        },
        Cell::Blob(bytes) => {
            use base64::Engine as _;
            let text = base64::engine::general_purpose::STANDARD.encode(bytes);
            value.is_ok_and(|value| value == serde_json::json!({ "base64": text }))
        }
    }
}
