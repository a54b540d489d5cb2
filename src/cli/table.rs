//! Rows in every format: table, CSV, TSV, JSON, NDJSON, Markdown.
//!
//! JSON is exact, with what could act on a terminal as `\u` escapes; all other formats spell it out. Cells of CSV and
//! TSV are defused for spreadsheets.

use std::borrow::Cow;
use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use serde_json::value::RawValue;
use unicode_segmentation::UnicodeSegmentation;

use crate::cli::interrupt;
use crate::cli::out::Out;
use crate::domain::money::grouped;
use crate::domain::page::{Cell, Column, Shape};
use crate::domain::printable::{self, Printable, defused};
use crate::domain::time::{Timestamp, Zone};
use crate::tui::cell::{ending, ends};

/// How rows are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For reading.
    #[default]
    Table,
    /// Comma separated, RFC 4180.
    Csv,
    /// Tab separated, for cut and awk: a line feed ends a line, and nothing is quoted.
    Tsv,
    /// One array of objects.
    Json,
    /// One object a line.
    Ndjson,
    /// A Markdown table.
    Md,
}

/// So many rows are measured together before a table is written.
const ROWS_MEASURED: usize = 2_000;

/// No cell of a table is wider where nothing says how wide a line is.
const CELL_WIDTH_MAX: usize = 120;

/// The head of one column.
#[derive(Clone, Debug)]
pub struct Head {
    /// The key in machine formats.
    pub name: String,
    /// The head in tables.
    pub title: String,
    /// What it holds.
    pub shape: Shape,
    /// 0: not in tables; 9 is dropped first.
    pub priority: u8,
    /// The fewest cells it is worth showing in.
    pub width_min: usize,
    /// The most cells it can use.
    pub width_max: usize,
}

impl Head {
    /// Of a column that nothing is known of but its name.
    pub fn plain(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            title: Printable::line(name).into(),
            shape: Shape::Text,
            priority: 1,
            width_min: 4,
            width_max: CELL_WIDTH_MAX,
        }
    }

    /// Of a column of ours that holds words.
    pub fn titled((name, title): (&str, &str)) -> Self {
        Self {
            title: title.to_owned(),
            ..Self::plain(name)
        }
    }
}

impl From<&Column> for Head {
    fn from(column: &Column) -> Self {
        Self {
            name: column.name.to_owned(),
            title: column.title.to_owned(),
            shape: column.shape,
            priority: column.priority,
            width_min: usize::from(column.width_min),
            width_max: usize::from(column.width_max),
        }
    }
}

/// Writes rows as they come; nothing but tables is held back.
pub struct Sheet<'o> {
    out: &'o mut Out,
    format: Format,
    heads: Vec<Head>,
    zone: Zone,
    rows: Vec<Vec<String>>,
    widths: Option<Vec<usize>>,
    written: u64,
}

impl<'o> Sheet<'o> {
    /// A sheet with these columns; times in tables are shown in `zone`.
    pub fn new(out: &'o mut Out, format: Format, heads: Vec<Head>, zone: Zone) -> io::Result<Self> {
        let mut sheet = Self {
            out,
            format,
            heads,
            zone,
            rows: Vec::new(),
            widths: None,
            written: 0,
        };
        sheet.begin()?;
        Ok(sheet)
    }

    /// One row.
    pub fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        if let Err(interrupted) = interrupt::check() {
            self.flush()?;
            return Err(interrupted);
        }
        self.written += 1;
        match self.format {
            Format::Table => {
                self.rows.push(self.shown(cells));
                if self.rows.len() >= ROWS_MEASURED {
                    self.write_table()?;
                }
                Ok(())
            }
            Format::Csv | Format::Tsv => {
                let cells: Vec<String> = cells.iter().map(flat).collect();
                self.delimited(&cells)
            }
            Format::Md => {
                let cells = self.shown(cells);
                self.markdown(&cells)
            }
            Format::Json => {
                let start = if self.written == 1 { "[\n" } else { ",\n" };
                let object = object(&self.heads, cells)?;
                write!(self.out.data(), "{start}{object}")
            }
            Format::Ndjson => {
                let object = object(&self.heads, cells)?;
                self.out.line(object)
            }
        }
    }

    /// What was given so far is written out.
    pub fn flush(&mut self) -> io::Result<()> {
        self.write_table()?;
        self.out.flush()
    }

    /// The rows are at their end. Gives their number.
    pub fn end(mut self) -> io::Result<u64> {
        match self.format {
            Format::Table => self.write_table()?,
            Format::Json if self.written == 0 => self.out.line("[]")?,
            Format::Json => self.out.line("\n]")?,
            _ => {}
        }
        self.out.flush()?;
        Ok(self.written)
    }

    fn begin(&mut self) -> io::Result<()> {
        match self.format {
            Format::Csv | Format::Tsv => {
                let names: Vec<String> = self
                    .heads
                    .iter()
                    .map(|head| Printable::line(&head.name).into())
                    .collect();
                self.delimited(&names)
            }
            Format::Md => {
                let titles: Vec<String> = self
                    .in_table()
                    .map(|(_, head)| head.title.clone())
                    .collect();
                self.markdown(&titles)?;
                let rule: Vec<String> = self
                    .in_table()
                    .map(|(_, head)| if is_number(head.shape) { "---:" } else { "---" }.to_owned())
                    .collect();
                self.out.line(format!("| {} |", rule.join(" | ")))
            }
            _ => Ok(()),
        }
    }

    fn in_table(&self) -> impl Iterator<Item = (usize, &Head)> {
        self.heads
            .iter()
            .enumerate()
            .filter(|(_, head)| head.priority > 0)
    }

    /// The cells of a table row, as people read them.
    fn shown(&self, cells: &[Cell]) -> Vec<String> {
        self.in_table()
            .map(|(place, _)| shown(&self.heads, place, cells, self.zone))
            .collect()
    }

    fn write_table(&mut self) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.rows);
        let first = self.widths.is_none();
        let widths = match self.widths.take() {
            Some(widths) => widths,
            None => self.fit(&rows)?,
        };
        let kept: Vec<usize> = (0..widths.len())
            .filter(|place| widths[*place] > 0)
            .collect();
        let heads: Vec<&Head> = self.in_table().map(|(_, head)| head).collect();
        let line = |texts: &[&str]| {
            let cells = kept.iter().map(|place| {
                let is_right = is_number(heads[*place].shape);
                padded(texts[*place], widths[*place], is_right)
            });
            let cells: Vec<String> = cells.collect();
            cells.join("  ").trim_end().to_owned()
        };
        let titles: Vec<&str> = heads.iter().map(|head| head.title.as_str()).collect();
        let head = first.then(|| line(&titles));
        let texts = |row: &Vec<String>| line(&row.iter().map(String::as_str).collect::<Vec<_>>());
        let lines: Vec<String> = rows.iter().map(texts).collect();
        if let Some(head) = head {
            self.out.heading(head)?;
        }
        for line in lines {
            self.out.line(line)?;
        }
        self.widths = Some(widths);
        Ok(())
    }

    /// How wide each column of the table is; 0: dropped, which is said.
    fn fit(&mut self, rows: &[Vec<String>]) -> io::Result<Vec<usize>> {
        let heads: Vec<&Head> = self.in_table().map(|(_, head)| head).collect();
        let mut widths: Vec<usize> = heads
            .iter()
            .enumerate()
            .map(|(place, head)| {
                let widest = rows.iter().map(|row| printable::cells(&row[place])).max();
                let title = printable::cells(&head.title);
                let most = head.width_max.max(title);
                widest.unwrap_or(0).max(title).min(most).max(1)
            })
            .collect();
        let Some(room) = self.out.width() else {
            return Ok(widths);
        };
        let needed = |widths: &[usize]| -> usize {
            widths
                .iter()
                .zip(&heads)
                .filter(|(width, _)| **width > 0)
                .map(|(width, head)| (*width).min(head.width_min.max(1)) + 2)
                .sum()
        };
        let mut dropped = 0;
        while needed(&widths) > room + 2 && widths.iter().filter(|width| **width > 0).count() > 1 {
            let last = (0..widths.len())
                .filter(|place| widths[*place] > 0)
                .max_by_key(|place| (heads[*place].priority, *place));
            if let Some(place) = last {
                widths[place] = 0;
                dropped += 1;
            }
        }
        let minimum: Vec<usize> = heads.iter().map(|head| head.width_min.max(1)).collect();
        shrink(&mut widths, &minimum, room + 2);
        if dropped > 0 {
            let word = if dropped == 1 { "column" } else { "columns" };
            self.out.say(format!(
                "+{dropped} {word} in a wider window or with --format json"
            ))?;
        }
        Ok(widths)
    }

    fn delimited(&mut self, cells: &[String]) -> io::Result<()> {
        if self.format == Format::Tsv {
            let cells: Vec<_> = cells.iter().map(|cell| unquoted(cell)).collect();
            return self.out.line(cells.join("\t"));
        }
        let mut writer = csv::WriterBuilder::new()
            .terminator(csv::Terminator::CRLF)
            .from_writer(self.out.data());
        writer.write_record(cells)?;
        writer.flush()
    }

    fn markdown(&mut self, cells: &[String]) -> io::Result<()> {
        let cells: Vec<String> = cells.iter().map(|cell| printable::markdown(cell)).collect();
        self.out.line(format!("| {} |", cells.join(" | ")))
    }
}

/// The cell at `place` of a row, as people read it: times in `zone`, money in its currency.
pub fn shown(heads: &[Head], place: usize, cells: &[Cell], zone: Zone) -> String {
    let (Some(head), Some(cell)) = (heads.get(place), cells.get(place)) else {
        return String::new();
    };
    match (head.shape, cell) {
        (Shape::Time, Cell::Text(text)) => local(text, zone),
        (Shape::Minor, Cell::Int(minor)) => money(heads, *minor, cells),
        (Shape::Flag, Cell::Int(0)) => "no".to_owned(),
        (Shape::Flag, Cell::Int(1)) => "yes".to_owned(),
        (Shape::Word, Cell::Text(_)) if head.name == "status" && is_ending(heads, cells) => {
            ending(cell).to_owned()
        }
        _ => text_of(cell),
    }
}

fn named<'c>(heads: &[Head], cells: &'c [Cell], name: &str) -> Option<&'c Cell> {
    let place = heads.iter().position(|head| head.name == name)?;
    cells.get(place)
}

fn is_ending(heads: &[Head], cells: &[Cell]) -> bool {
    let named = |name| named(heads, cells, name);
    ends(named("cancelled_at"), named("has_access"))
}

fn money(heads: &[Head], minor: i64, cells: &[Cell]) -> String {
    let named = |name| named(heads, cells, name);
    let exponent = named("exponent")
        .and_then(Cell::as_int)
        .and_then(|digits| u8::try_from(digits).ok());
    let currency = named("currency").and_then(Cell::as_text).unwrap_or("");
    match exponent {
        Some(digits) => format!("{} {}", Printable::line(currency), grouped(minor, digits)),
        None => minor.to_string(),
    }
}

/// A row as a JSON object on one line.
pub fn object(heads: &[Head], cells: &[Cell]) -> io::Result<String> {
    let mut object = String::from("{");
    for (place, head) in heads.iter().enumerate() {
        if place > 0 {
            object.push(',');
        }
        object.push_str(&json_text(&head.name)?);
        object.push(':');
        object.push_str(&json(cells.get(place).unwrap_or(&Cell::Null), head.shape)?);
    }
    object.push('}');
    Ok(object)
}

/// `text` in exactly so many `cells`, at their end if `is_right`.
fn padded(text: &str, cells: usize, is_right: bool) -> String {
    let text = Printable::line(text).cut(cells);
    let blanks = " ".repeat(cells.saturating_sub(text.width()));
    if is_right {
        format!("{blanks}{text}")
    } else {
        format!("{text}{blanks}")
    }
}

/// Takes cells from the widest column until all fit into `room`, none below its minimum.
fn shrink(widths: &mut [usize], minimum: &[usize], room: usize) {
    loop {
        let used: usize = widths
            .iter()
            .filter(|width| **width > 0)
            .map(|width| width + 2)
            .sum();
        if used <= room {
            return;
        }
        let widest = (0..widths.len())
            .filter(|place| widths[*place] > minimum[*place])
            .max_by_key(|place| widths[*place]);
        match widest {
            Some(place) => widths[place] -= 1,
            None => return,
        }
    }
}

const fn is_number(shape: Shape) -> bool {
    matches!(shape, Shape::Number | Shape::Minor | Shape::Real)
}

/// An instant as stored, in `zone` and to the minute.
pub fn local(text: &str, zone: Zone) -> String {
    match Timestamp::parse(text) {
        Some(at) => at
            .utc()
            .with_timezone(&zone.0)
            .format("%Y-%m-%d %H:%M")
            .to_string(),
        None => Printable::line(text).into(),
    }
}

fn text_of(cell: &Cell) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Int(number) => number.to_string(),
        Cell::Real(number) => number.to_string(),
        Cell::Text(text) => Printable::line(text).into(),
        Cell::Blob(bytes) => Printable::line(Printable::bytes(bytes).as_str()).into(),
    }
}

/// A cell of CSV: one line, no formula.
fn flat(cell: &Cell) -> String {
    match cell {
        Cell::Text(_) | Cell::Blob(_) => defused(&text_of(cell)).into_owned(),
        _ => text_of(cell),
    }
}

/// A cell of TSV. A spreadsheet would take a quotation mark at its start for the start of a quotation, over tabs and
/// lines up to the next one.
fn unquoted(cell: &str) -> Cow<'_, str> {
    if cell.starts_with('"') {
        return format!("'{cell}").into();
    }
    cell.into()
}

fn json(cell: &Cell, shape: Shape) -> io::Result<String> {
    Ok(match cell {
        Cell::Null => "null".to_owned(),
        Cell::Int(number) => number.to_string(),
        Cell::Real(number) => serde_json::to_string(number)?,
        Cell::Text(text) if shape == Shape::Json => match serde_json::from_str::<&RawValue>(text) {
            Ok(raw) => tame(raw.get()),
            Err(_) => json_text(text)?,
        },
        Cell::Text(text) => json_text(text)?,
        Cell::Blob(bytes) => format!("{{\"base64\":\"{}\"}}", STANDARD.encode(bytes)),
    })
}

/// A JSON string that no terminal acts on.
pub fn json_text(text: &str) -> io::Result<String> {
    Ok(tame(&serde_json::to_string(text)?))
}

/// JSON on one line in which everything that a terminal could act on is an escape. In valid JSON such characters stand
/// within strings only, and line breaks between tokens only.
pub fn tame(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find(|c: char| !c.is_ascii()) {
        // A mark is judged by what it stands on.
        let from = at.saturating_sub(1);
        let end = rest[at..].find(|c: char| c.is_ascii());
        let end = end.map_or(rest.len(), |end| at + end);
        push_tame(&mut out, &rest[..from]);
        for grapheme in rest[from..end].graphemes(true) {
            if Printable::line(grapheme).as_str() == grapheme {
                out.push_str(grapheme);
            } else {
                push_tame(&mut out, grapheme);
            }
        }
        rest = &rest[end..];
    }
    push_tame(&mut out, rest);
    out
}

/// ASCII as it is, blanks for line breaks and tabs, all else as escapes.
fn push_tame(out: &mut String, json: &str) {
    let mut units = [0; 2];
    for c in json.chars() {
        match c {
            '\n' | '\r' | '\t' => out.push(' '),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut units) {
                    out.extend(format!("\\u{unit:04x}").chars());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_exact_and_tame() {
        let hostile = "a\u{1b}[2J\u{9b}\u{202e}\u{7f}😀é";
        let text = json_text(hostile).unwrap();
        assert!(!text.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\u{7f}']));
        assert!(text.contains("😀é"));
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), hostile);
    }

    #[test]
    fn json_keeps_marks_on_letters_and_spells_others_out() {
        for (text, json) in [
            ("e\u{301}", "\"e\u{301}\""),
            ("हिन्दी ก็", "\"हिन्दी ก็\""),
            ("\u{605}", "\"\\u0605\""),
            ("é\u{200b}é", "\"é\\u200bé\""),
        ] {
            assert_eq!(json_text(text).unwrap(), json);
        }
    }

    #[test]
    fn json_in_a_column_is_embedded_as_it_is() {
        let cell = Cell::Text("{\"n\": 1e400,\n \"n\": 2}".to_owned());
        assert_eq!(
            json(&cell, Shape::Json).unwrap(),
            "{\"n\": 1e400,  \"n\": 2}"
        );
        let broken = Cell::Text("{".to_owned());
        assert_eq!(json(&broken, Shape::Json).unwrap(), "\"{\"");
        assert_eq!(
            json(&Cell::Blob(vec![255]), Shape::Body).unwrap(),
            "{\"base64\":\"/w==\"}"
        );
    }

    #[test]
    fn foreign_words_in_a_table_of_markdown_are_no_markup() {
        use std::io::{Read as _, Seek as _};
        let mut file = tempfile::tempfile().unwrap();
        let mut out = Out::file(file.try_clone().unwrap());
        let heads = vec![Head::plain("a"), Head::plain("b")];
        let mut sheet = Sheet::new(&mut out, Format::Md, heads, Zone::UTC).unwrap();
        let cells = ["![i](http://evil.example) **b**", "<b>`x` | a@b.example"];
        let cells = cells.map(|text| Cell::Text(text.to_owned()));
        sheet.row(&cells).unwrap();
        sheet.end().unwrap();
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(
            text.lines().last().unwrap(),
            r"| !\[i\](http\://evil.example) \*\*b\*\* | \<b\>\`x\` \| a\@b.example |"
        );
    }

    #[test]
    fn cells_of_a_spreadsheet_are_no_formulas_and_no_second_line() {
        assert_eq!(flat(&Cell::Text("=1+1".to_owned())), "'=1+1");
        assert_eq!(flat(&Cell::Text("a\r\nb".to_owned())), "a\\r\\nb");
        assert_eq!(flat(&Cell::Int(-5)), "-5");
    }

    #[test]
    fn cells_of_tsv_stand_between_tabs_as_they_are() {
        assert_eq!(unquoted("say \"no\""), "say \"no\"");
        assert_eq!(unquoted("\"no\""), "'\"no\"");
        assert_eq!(flat(&Cell::Text("a\tb".to_owned())), "a\\tb");
    }

    #[test]
    fn a_cell_of_a_table_takes_its_width_whatever_the_letters() {
        for (text, shown) in [
            ("ab", "ab  "),
            ("日本", "日本"),
            ("日本語", "日… "),
            ("لا", "لا  "),
            ("لالا", "لالا"),
            ("abcde", "abc…"),
        ] {
            assert_eq!(padded(text, 4, false), shown);
        }
        assert_eq!(padded("7", 3, true), "  7");
    }

    #[test]
    fn the_widest_column_gives_way_first() {
        let mut widths = [5, 40, 0, 10];
        shrink(&mut widths, &[4, 4, 4, 4], 31);
        assert_eq!(widths, [5, 10, 0, 10]);
        shrink(&mut widths, &[4, 4, 4, 4], 1);
        assert_eq!(widths, [4, 4, 0, 4]);
    }
}
