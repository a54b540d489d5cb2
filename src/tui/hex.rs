//! A body as it came: text with the numbers of its lines, anything else in hex. Cut into lines of the screen once;
//! each is made when it is drawn.
//!
//! Plain data. What comes out has passed `Printable`.

use std::sync::Arc;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::domain::printable::Printable;

/// A line of the screen within a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    from: usize,
    to: usize,
    /// The number of the line that begins here; 0 where one goes on.
    number: u32,
}

#[derive(Clone, Debug)]
enum Lines {
    Text(Vec<Piece>),
    /// Bytes on a line.
    Hex(usize),
}

/// A body in lines of the screen.
#[derive(Clone, Debug)]
pub struct Dump {
    body: Arc<[u8]>,
    lines: Lines,
    /// Cells for the numbers of lines.
    gutter: usize,
}

/// Cells of `00000000  ` before the bytes.
const OFFSET_WIDTH: usize = 10;

impl Dump {
    /// `body` in lines of `width` cells, in hex where it is no text or `hex` asks for it.
    pub fn new(body: Arc<[u8]>, width: usize, hex: bool) -> Self {
        let text = std::str::from_utf8(&body).ok().filter(|_| !hex);
        let (lines, gutter) = if let Some(text) = text {
            let count = text.lines().count().max(1);
            let gutter = count.to_string().len() + 1;
            (Lines::Text(pieces(text, width, gutter)), gutter)
        } else {
            // Each byte takes three cells in hex and one as text.
            let fit = width.saturating_sub(OFFSET_WIDTH + 1) / 4;
            let per_line = [32, 16, 8, 4].into_iter().find(|many| *many <= fit);
            (Lines::Hex(per_line.unwrap_or(2)), 0)
        };
        Self {
            body,
            lines,
            gutter,
        }
    }

    /// Shown in hex.
    pub const fn is_hex(&self) -> bool {
        matches!(self.lines, Lines::Hex(_))
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        match &self.lines {
            Lines::Text(pieces) => pieces.len(),
            Lines::Hex(per_line) => self.body.len().div_ceil(*per_line),
        }
    }

    /// There is no line.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of line `line`.
    pub fn bytes(&self, line: usize) -> &[u8] {
        let range = match &self.lines {
            Lines::Text(pieces) => pieces.get(line).map(|piece| piece.from..piece.to),
            Lines::Hex(per_line) => {
                let from = line * per_line;
                Some(from..(from + per_line).min(self.body.len()))
            }
        };
        range
            .and_then(|range| self.body.get(range))
            .unwrap_or_default()
    }

    /// What stands before line `line`, and the line.
    pub fn line(&self, line: usize) -> (String, String) {
        let bytes = self.bytes(line);
        match &self.lines {
            Lines::Text(pieces) => {
                let number = pieces.get(line).map_or(0, |piece| piece.number);
                let before = if number == 0 {
                    " ".repeat(self.gutter)
                } else {
                    format!("{number:>width$} ", width = self.gutter - 1)
                };
                (before, String::from(Printable::bytes(bytes)))
            }
            Lines::Hex(per_line) => {
                let before = format!("{:08x}  ", line * per_line);
                (before, hex(bytes, *per_line))
            }
        }
    }

    /// Whether `text`, its ASCII letters in any case, begins on line `line`, wrapped or not.
    pub fn begins(&self, text: &str, line: usize) -> bool {
        let wanted = text.as_bytes();
        let own = self.bytes(line).len();
        let from = self.start(line);
        let to = (from + own + wanted.len().saturating_sub(1)).min(self.body.len());
        let within = self.body.get(from..to).unwrap_or_default();
        !wanted.is_empty()
            && own > 0
            && within
                .windows(wanted.len())
                .any(|window| window.eq_ignore_ascii_case(wanted))
    }

    fn start(&self, line: usize) -> usize {
        match &self.lines {
            Lines::Text(pieces) => pieces.get(line).map_or(0, |piece| piece.from),
            Lines::Hex(per_line) => line * per_line,
        }
    }
}

fn hex(bytes: &[u8], per_line: usize) -> String {
    let pairs: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let text: String = bytes
        .iter()
        .map(|byte| match byte {
            b' '..=b'~' => char::from(*byte),
            _ => '.',
        })
        .collect();
    let pad = per_line * 3 - 1;
    format!("{:<pad$}  {text}", pairs.join(" "))
}

fn pieces(text: &str, width: usize, gutter: usize) -> Vec<Piece> {
    let cells = width.saturating_sub(gutter).max(4);
    let mut pieces = Vec::new();
    let mut from = 0;
    for (number, line) in (1..).zip(text.split('\n')) {
        wrap(line, from, cells, number, &mut pieces);
        from += line.len() + 1;
    }
    // What ends with a line feed has no further line.
    if pieces
        .last()
        .is_some_and(|piece| piece.from == piece.to && piece.number > 1)
    {
        pieces.pop();
    }
    pieces
}

/// Cuts one line, which begins at byte `start` of its text, on grapheme borders.
fn wrap(line: &str, start: usize, cells: usize, number: u32, pieces: &mut Vec<Piece>) {
    let (mut from, mut used, mut number) = (0, 0, number);
    let mut cut = |from: usize, to: usize| {
        pieces.push(Piece {
            from: start + from,
            to: start + to,
            number: std::mem::take(&mut number),
        });
    };
    if line.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        while line.len() - from > cells {
            cut(from, from + cells);
            from += cells;
        }
    } else {
        for (at, grapheme) in line.grapheme_indices(true) {
            let width = shown_width(grapheme);
            if used + width > cells && at > from {
                cut(from, at);
                (from, used) = (at, 0);
            }
            used += width;
        }
    }
    cut(from, line.len());
}

/// The cells that a grapheme takes once it is printable.
fn shown_width(grapheme: &str) -> usize {
    match grapheme.as_bytes() {
        [b' '..=b'~'] => 1,
        _ => Printable::lines(grapheme).as_str().width(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(body: &[u8], width: usize, hex: bool) -> Vec<String> {
        let dump = Dump::new(Arc::from(body), width, hex);
        let line = |line| {
            let (before, text) = dump.line(line);
            format!("{before}{text}")
        };
        (0..dump.len()).map(line).collect()
    }

    #[test]
    fn text_has_the_numbers_of_its_lines() {
        assert_eq!(
            shown("ab\n日本語\r\n".as_bytes(), 6, false),
            ["1 ab", "2 日本", "  語\\r"]
        );
        assert_eq!(shown(b"", 6, false), ["1 "]);
        assert_eq!(shown(b"a\n\nb", 6, false), ["1 a", "2 ", "3 b"]);
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_hex() {
        assert_eq!(
            shown(b"ab\xff\x1b[31m", 44, false),
            ["00000000  61 62 ff 1b 5b 33 31 6d  ab..[31m"]
        );
        assert_eq!(
            shown(b"abcdef", 28, true),
            ["00000000  61 62 63 64  abcd", "00000004  65 66        ef"]
        );
    }

    #[test]
    fn a_search_finds_what_is_wrapped() {
        let dump = Dump::new(Arc::from(&b"one Needle two needle"[..]), 10, false);
        assert_eq!(dump.len(), 3);
        let on = |dump: &Dump, text: &str| -> Vec<bool> {
            (0..dump.len())
                .map(|line| dump.begins(text, line))
                .collect()
        };
        assert_eq!(on(&dump, "NEEDLE"), [true, true, false]);
        assert_eq!(on(&dump, "absent"), [false, false, false]);
        let hex = Dump::new(Arc::from(&b"\xff one needle"[..]), 28, false);
        assert_eq!(on(&hex, "needle"), [false, true, false]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_wider_than_its_place(body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "[\\PC\\n\\t]{0,80}".prop_map(String::into_bytes),
        ], width in 8..60usize, hex in any::<bool>()) {
            let dump = Dump::new(Arc::from(&body[..]), width, hex);
            let feeds = if dump.is_hex() { 0 } else { body.split(|byte| *byte == b'\n').count() - 1 };
            let mut bytes = 0;
            for line in 0..dump.len() {
                bytes += dump.bytes(line).len();
                let (before, text) = dump.line(line);
                prop_assert!(!text.chars().any(char::is_control), "{text:?}");
                let one_grapheme = Printable::bytes(dump.bytes(line)).as_str().graphemes(true).count() <= 12;
                prop_assert!(width < 24 || one_grapheme || before.width() + text.width() <= width.max(28));
            }
            prop_assert_eq!(bytes + feeds, body.len());
        }
    }
}
