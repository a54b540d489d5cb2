//! An opened row: all its fields, and the webhook behind it as it came.
//!
//! Lines are laid out once, when the row, the face or the width changes, so that a long body costs nothing while
//! scrolling. Everything in a line has passed `Printable`.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::domain::mask::Mask;
use crate::domain::page::{Cell, List, Row};
use crate::domain::printable::Printable;
use crate::store::query::columns;
use crate::tui::cell::{self, Sight};
use crate::tui::place::{Face, Pane};
use crate::tui::theme::Meaning;

/// So many lines of a body are laid out at most; the rest is announced.
const LINES_MAX: usize = 100_000;

/// A webhook as it came, stored or turned away.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Raw {
    /// What to do about it.
    pub hint: Option<String>,
    /// What else is known of it: a name and a phrase each.
    pub notes: Vec<(String, String)>,
    /// Names and values; credentials are fingerprints.
    pub headers: Vec<(String, String)>,
    /// The exact bytes; `None` where they are not kept.
    pub body: Option<Vec<u8>>,
    /// The rows of `events` that came with it.
    pub events: Vec<Row>,
}

/// One line of an opened row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordLine {
    /// What it is; empty on the further lines of a long value.
    pub label: String,
    /// The value.
    pub text: String,
    /// How the value looks.
    pub meaning: Meaning,
}

/// An opened row.
#[derive(Clone, Debug)]
pub struct Record {
    /// Which list it is a row of.
    pub list: List,
    /// The row.
    pub row: Row,
    /// The webhook behind it; `None` while it is looked up, or where there is none.
    pub raw: Option<Raw>,
    /// It has been looked up.
    pub loaded: bool,
    /// The lines of the face that is shown.
    pub lines: Vec<RecordLine>,
}

impl Record {
    /// A row whose webhook is still to be looked up.
    pub fn new(list: List, row: Row) -> Self {
        Self {
            list,
            row,
            raw: None,
            loaded: false,
            lines: Vec::new(),
        }
    }

    /// The body is JSON, so that it can be shown indented.
    pub fn is_json(&self) -> bool {
        let body = self.raw.as_ref().and_then(|raw| raw.body.as_deref());
        body.is_some_and(|body| serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok())
    }

    /// Lays the lines out for a pane of `width` cells.
    pub fn lay_out(&mut self, pane: Pane, width: usize, sight: Sight) {
        let mut sheet = Sheet::new(width);
        match pane.face {
            Face::Fields => self.fields(&mut sheet, sight),
            Face::Raw => self.as_it_came(&mut sheet, pane.verbatim, sight.mask),
        }
        self.lines = sheet.lines;
    }

    fn fields(&self, sheet: &mut Sheet, sight: Sight) {
        if cell::is_test(self.list, &self.row) {
            sheet.put("TEST", "made to try things; in no figure", Meaning::Test);
        }
        if let Some(raw) = &self.raw {
            sheet.put_some("what to do", raw.hint.as_deref(), Meaning::Strong);
        }
        for (column, value) in columns(self.list).iter().zip(&self.row.cells) {
            let hidden = matches!(
                column.name,
                "salt" | "commitment" | "link" | "body" | "headers" | "test"
            );
            if hidden || *value == Cell::Null {
                continue;
            }
            let text = cell::long(self.list, &self.row, column, value, sight);
            if !text.as_str().is_empty() {
                let label = Printable::line(column.title);
                sheet.put(label.as_str(), text.as_str(), cell::meaning(column, value));
            }
        }
        if let Some(raw) = &self.raw {
            for (label, text) in &raw.notes {
                let masked = sight.mask.map(|mask| masked_note(mask, label, text));
                let text = Printable::line(masked.as_ref().unwrap_or(text));
                sheet.put(label, text.as_str(), Meaning::Plain);
            }
            if matches!(self.list, List::Deliveries | List::Users) {
                list_events(sheet, raw, sight);
            }
        }
    }
}

/// Notes that name no reader stay as they are.
fn masked_note(mask: Mask, label: &str, text: &str) -> String {
    match label {
        "subscription" | "consent" | "consent change" | "payment" | "taken in" => text.to_owned(),
        "asked for" => mask.words(text),
        _ => mask.tag(text),
    }
}

fn list_events(sheet: &mut Sheet, raw: &Raw, sight: Sight) {
    sheet.gap();
    if raw.events.is_empty() {
        sheet.put("events", "none", Meaning::Quiet);
    }
    for row in &raw.events {
        let names = ["at", "type", "plan", "amount_minor"];
        let text = cell::summary(List::Events, row, &names, sight);
        sheet.put("event", &text, Meaning::Plain);
    }
}

impl Record {
    fn as_it_came(&self, sheet: &mut Sheet, verbatim: bool, mask: Option<Mask>) {
        let Some(raw) = self.raw.as_ref().filter(|_| self.list != List::Users) else {
            let text = if self.loaded {
                "no webhook stands behind this row alone: `e` lists the events"
            } else {
                "looking …"
            };
            sheet.put("", text, Meaning::Quiet);
            return;
        };
        for (name, value) in &raw.headers {
            let masked = mask.map(|mask| mask.header(name, value));
            let value = Printable::line(masked.as_ref().unwrap_or(value));
            let name = Printable::line(name);
            sheet.put(name.as_str(), value.as_str(), Meaning::Plain);
        }
        sheet.gap();
        let masked = match (mask, &raw.body) {
            (Some(mask), Some(body)) => Some(mask.body(body).into_bytes()),
            _ => None,
        };
        match masked.as_ref().or(raw.body.as_ref()) {
            None => sheet.put("body", "not kept", Meaning::Quiet),
            Some(body) if body.is_empty() => sheet.put("body", "empty", Meaning::Quiet),
            Some(body) => match std::str::from_utf8(body) {
                Ok(text) if !verbatim && self.is_json() => sheet.put_text(&indented(text)),
                Ok(text) => sheet.put_text(text),
                Err(_) => sheet.put_hex(body),
            },
        }
    }
}

/// Lines being laid out for a width.
struct Sheet {
    width: usize,
    lines: Vec<RecordLine>,
}

/// The cells that labels take.
pub const LABEL_WIDTH: usize = 16;

impl Sheet {
    fn new(width: usize) -> Self {
        Self {
            width: width.max(8),
            lines: Vec::new(),
        }
    }

    fn value_width(&self) -> usize {
        self.width.saturating_sub(LABEL_WIDTH + 1).max(8)
    }

    fn gap(&mut self) {
        self.line("", "", Meaning::Plain);
    }

    fn line(&mut self, label: &str, text: &str, meaning: Meaning) {
        if self.lines.len() < LINES_MAX {
            self.lines.push(RecordLine {
                label: label.to_owned(),
                text: text.to_owned(),
                meaning,
            });
        } else if self.lines.len() == LINES_MAX {
            self.lines.push(RecordLine {
                label: String::new(),
                text: "… cut here: `subledger show` prints all of it".to_owned(),
                meaning: Meaning::Warning,
            });
        }
    }

    fn put_some(&mut self, label: &str, text: Option<&str>, meaning: Meaning) {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            self.put(label, Printable::line(text).as_str(), meaning);
        }
    }

    fn put(&mut self, label: &str, text: &str, meaning: Meaning) {
        let mut label = label;
        for part in wrapped(text, self.value_width()) {
            self.line(label, part, meaning);
            label = "";
        }
    }

    fn put_text(&mut self, text: &str) {
        let clean = Printable::lines(text);
        for line in clean.as_str().lines() {
            for part in wrapped(line, self.width) {
                self.line("", part, Meaning::Plain);
            }
        }
    }

    fn put_hex(&mut self, body: &[u8]) {
        let per_line = if self.width >= 76 { 16 } else { 8 };
        for (i, chunk) in body.chunks(per_line).enumerate() {
            let hex: Vec<_> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
            let text: String = chunk
                .iter()
                .map(|byte| match byte {
                    b' '..=b'~' => char::from(*byte),
                    _ => '.',
                })
                .collect();
            let hex = hex.join(" ");
            let line = format!(
                "{:08x}  {hex:<pad$}  {text}",
                i * per_line,
                pad = per_line * 3 - 1
            );
            self.line("", &line, Meaning::Plain);
        }
    }
}

/// `text` in pieces of at most `cells` cells, cut on grapheme borders; one empty piece of an empty text.
fn wrapped(text: &str, cells: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut from, mut used) = (0, 0);
    for (at, grapheme) in text.grapheme_indices(true) {
        let width = grapheme.width();
        if used + width > cells && at > from {
            pieces.push(&text[from..at]);
            (from, used) = (at, 0);
        }
        used += width;
    }
    pieces.push(&text[from..]);
    pieces
}

/// JSON with a line per value, every token as it was sent: no number is read, no key is moved.
fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut tokens = json.chars().peekable();
    let new_line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&"  ".repeat(depth.min(40)));
    };
    while let Some(c) = tokens.next() {
        if in_string {
            out.push(c);
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            ' ' | '\t' | '\r' | '\n' => {}
            '"' => {
                in_string = true;
                out.push(c);
            }
            '{' | '[' => {
                out.push(c);
                while tokens.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(end) = tokens.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indented_json_keeps_every_token() {
        let json = r#"{"a":1.50,"b":[],"c":[1e400,"x\"}, {"],"d":{"e":null}}"#;
        let shown = indented(json);
        assert_eq!(
            shown,
            "{\n  \"a\": 1.50,\n  \"b\": [],\n  \"c\": [\n    1e400,\n    \"x\\\"}, {\"\n  ],\n  \"d\": {\n    \"e\": null\n  }\n}"
        );
    }

    #[test]
    fn long_values_wrap_on_grapheme_borders() {
        assert_eq!(wrapped("日本語", 4), ["日本", "語"]);
        assert_eq!(wrapped("", 4), [""]);
        assert_eq!(wrapped("日", 1), ["日"]);
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_hex() {
        let mut sheet = Sheet::new(40);
        sheet.put_hex(b"ab\xff\x1b[31m");
        assert_eq!(
            sheet.lines[0].text,
            "00000000  61 62 ff 1b 5b 33 31 6d  ab..[31m"
        );
    }
}
