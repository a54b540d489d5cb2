//! Lines of text laid out for a width: a label, a value wrapped between words, another beside it.

use unicode_segmentation::UnicodeSegmentation;

use crate::domain::printable;
use crate::tui::place::Place;
use crate::tui::theme::Meaning;

/// So many lines are laid out at most; the rest is announced.
const LINES_MAX: usize = 20_000;

/// The cells that labels take, and where there is little room.
const LABEL_WIDTH: usize = 16;
const LABEL_WIDTH_MIN: usize = 10;

/// Below so many cells two values do not stand side by side.
const BESIDE_WIDTH_MIN: usize = 14;

/// A part of a line, and how it looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// What it says.
    pub text: String,
    /// How it looks.
    pub meaning: Meaning,
}

impl Piece {
    /// `text` looking like `meaning`.
    pub fn new(text: impl Into<String>, meaning: Meaning) -> Self {
        Self {
            text: text.into(),
            meaning,
        }
    }
}

/// One line of an opened row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordLine {
    /// `+` new, `-` gone, `~` changed.
    pub mark: Option<char>,
    /// What it is; empty on the further lines of a long value.
    pub label: String,
    /// The value.
    pub pieces: Vec<Piece>,
    /// The value beside it.
    pub beside: Option<Vec<Piece>>,
    /// What Enter opens.
    pub opens: Option<Box<Place>>,
    /// The whole value that it is of, among `Rows::sources`.
    pub source: Option<usize>,
}

impl RecordLine {
    /// A line of this label.
    pub fn new(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            ..Self::default()
        }
    }

    /// Of this whole value.
    #[must_use]
    pub fn from(self, source: usize) -> Self {
        Self {
            source: Some(source),
            ..self
        }
    }

    /// Enter opens this.
    #[must_use]
    pub fn opening(self, place: Option<Place>) -> Self {
        Self {
            opens: place.map(Box::new),
            ..self
        }
    }

    /// All that it says, for a search.
    pub fn text(&self) -> String {
        let beside = self.beside.iter().flatten();
        let pieces = self.pieces.iter().chain(beside);
        let mut text = self.label.clone();
        for piece in pieces {
            text.push(' ');
            text.push_str(&piece.text);
        }
        text
    }

    /// With a mark.
    #[must_use]
    pub fn marked(self, mark: char) -> Self {
        Self {
            mark: Some(mark),
            ..self
        }
    }
}

/// A whole value, to copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The column or header.
    pub name: String,
    /// The value as stored.
    pub value: String,
}

/// Lines being laid out for a width.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Cells across.
    width: usize,
    /// The lines.
    pub lines: Vec<RecordLine>,
    /// The values that they are made of.
    pub sources: Vec<Source>,
}

impl Rows {
    /// None yet, for a width.
    pub fn new(width: usize) -> Self {
        Self {
            width: width.max(8),
            ..Self::default()
        }
    }

    /// Cells for labels.
    pub fn label_width(&self) -> usize {
        if self.width >= 48 {
            LABEL_WIDTH
        } else {
            LABEL_WIDTH_MIN
        }
    }

    /// Where the value beside begins.
    pub fn beside_at(&self) -> usize {
        let left = self.label_width() + 2;
        left + self.half() + 2
    }

    fn half(&self) -> usize {
        self.width.saturating_sub(self.label_width() + 4) / 2
    }

    /// There is room for two values side by side.
    pub fn has_beside(&self) -> bool {
        self.half() >= BESIDE_WIDTH_MIN
    }

    fn value_width(&self) -> usize {
        self.width.saturating_sub(self.label_width() + 2).max(8)
    }

    /// Keeps a whole value.
    pub fn source(&mut self, name: &str, value: &str) -> usize {
        self.sources.push(Source {
            name: name.to_owned(),
            value: value.to_owned(),
        });
        self.sources.len() - 1
    }

    /// The whole value that `line` is of.
    pub fn source_of(&self, line: usize) -> Option<&Source> {
        self.sources.get(self.lines.get(line)?.source?)
    }

    fn push(&mut self, line: RecordLine) {
        if self.lines.len() < LINES_MAX {
            self.lines.push(line);
        } else if self.lines.len() == LINES_MAX {
            self.lines.push(RecordLine {
                pieces: vec![Piece::new("… cut here", Meaning::Warning)],
                ..RecordLine::default()
            });
        }
    }

    /// An empty line.
    pub fn gap(&mut self) {
        self.push(RecordLine::default());
    }

    /// A heading.
    pub fn heading(&mut self, text: &str) {
        self.push(RecordLine {
            label: text.to_owned(),
            pieces: Vec::new(),
            ..RecordLine::default()
        });
    }

    /// A heading with a mark.
    pub fn heading_marked(&mut self, mark: char, text: &str) {
        self.push(RecordLine::new(text).marked(mark));
    }

    /// A label and a value.
    pub fn put(&mut self, label: &str, text: &str, meaning: Meaning) {
        self.put_line(RecordLine::new(label), &[Piece::new(text, meaning)]);
    }

    /// A sentence over the whole width.
    pub fn say(&mut self, text: &str, meaning: Meaning) {
        for pieces in wrapped(&[Piece::new(text, meaning)], self.width) {
            self.push(RecordLine {
                pieces,
                mark: Some(' '),
                ..RecordLine::default()
            });
        }
    }

    /// A line with its value in pieces, wrapped to further lines that open the same.
    pub fn put_line(&mut self, line: RecordLine, pieces: &[Piece]) {
        let mut line = line;
        for pieces in wrapped(pieces, self.value_width()) {
            let further = RecordLine {
                label: String::new(),
                ..line.clone()
            };
            self.push(RecordLine { pieces, ..line });
            line = further;
        }
    }

    /// Two values side by side; where there is no room, one below the other with a mark each.
    pub fn put_beside(&mut self, line: &RecordLine, left: &[Piece], right: &[Piece]) {
        let half = self.half();
        if !self.has_beside() {
            if left == right {
                return self.put_line(line.clone(), left);
            }
            for (mark, pieces) in [('-', left), ('+', right)] {
                if !pieces.is_empty() {
                    self.put_line(line.clone().marked(mark), pieces);
                }
            }
            return;
        }
        let (left, right) = (wrapped(left, half), wrapped(right, half));
        for place in 0..left.len().max(right.len()) {
            let first = place == 0;
            self.push(RecordLine {
                label: if first {
                    line.label.clone()
                } else {
                    String::new()
                },
                mark: line.mark.filter(|_| first),
                pieces: left.get(place).cloned().unwrap_or_default(),
                beside: Some(right.get(place).cloned().unwrap_or_default()),
                ..line.clone()
            });
        }
    }
}

/// Pieces in lines of at most `cells` cells, cut where two blanks tell values apart, else at blanks, else between words,
/// else on grapheme borders; one empty line of nothing.
fn wrapped(pieces: &[Piece], cells: usize) -> Vec<Vec<Piece>> {
    let mut wrapping = Wrapping {
        cells: cells.max(1),
        lines: vec![Vec::new()],
        used: 0,
    };
    if pieces.iter().all(|piece| !piece.text.contains("  ")) {
        for word in flowing(pieces) {
            wrapping.put_whole(&word);
        }
        return wrapping.lines;
    }
    for piece in pieces {
        for value in cut_at(&piece.text, 2) {
            wrapping.put(value, piece.meaning);
        }
    }
    wrapping.lines
}

/// A running text in turns of words and of the blanks between them: a word may begin in one piece and end in the next.
fn flowing(pieces: &[Piece]) -> Vec<Vec<Piece>> {
    let mut words: Vec<Vec<Piece>> = Vec::new();
    let mut was_blank = true;
    for piece in pieces {
        for run in cut_at(&piece.text, 1) {
            let is_blank = run.starts_with(' ');
            let part = Piece::new(run, piece.meaning);
            match words.last_mut() {
                Some(word) if !was_blank && !is_blank => word.push(part),
                _ => words.push(vec![part]),
            }
            was_blank = is_blank;
        }
    }
    words
}

/// `text` in turns of what stands together and of blanks, of which so many tell two parts apart.
fn cut_at(text: &str, blanks: usize) -> impl Iterator<Item = &str> {
    const BLANKS: &str = "  ";
    let mut rest = text;
    std::iter::from_fn(move || {
        let apart = &BLANKS[..blanks.min(BLANKS.len())];
        let end = if rest.starts_with(apart) {
            rest.find(|c: char| c != ' ')
        } else {
            rest.find(apart)
        };
        let (part, behind) = rest.split_at(end.unwrap_or(rest.len()));
        rest = behind;
        (!part.is_empty()).then_some(part)
    })
}

/// Lines being filled.
struct Wrapping {
    cells: usize,
    lines: Vec<Vec<Piece>>,
    used: usize,
}

impl Wrapping {
    /// A word goes onto the next line with all its parts.
    fn put_whole(&mut self, word: &[Piece]) {
        let cells: usize = word.iter().map(|part| printable::cells(&part.text)).sum();
        if self.used > 0 && self.used + cells > self.cells && cells <= self.cells {
            self.lines.push(Vec::new());
            self.used = 0;
            if word.iter().all(|part| part.text.starts_with(' ')) {
                return;
            }
        }
        for part in word {
            self.put(&part.text, part.meaning);
        }
    }

    /// What fits no line is cut smaller, so that it begins on the line that is there.
    fn put(&mut self, value: &str, meaning: Meaning) {
        if printable::cells(value) <= self.cells {
            return self.put_word(value, meaning);
        }
        for run in cut_at(value, 1) {
            if printable::cells(run) <= self.cells {
                self.put_word(run, meaning);
                continue;
            }
            for word in run.split_word_bounds() {
                if printable::cells(word) <= self.cells {
                    self.put_word(word, meaning);
                    continue;
                }
                for grapheme in word.graphemes(true) {
                    self.put_word(grapheme, meaning);
                }
            }
        }
    }

    fn put_word(&mut self, word: &str, meaning: Meaning) {
        let width = printable::cells(word);
        if self.used + width > self.cells && self.used > 0 {
            self.lines.push(Vec::new());
            self.used = 0;
            // Blanks at the cut are not needed.
            if word.chars().all(|c| c == ' ') {
                return;
            }
        }
        add(&mut self.lines, word, meaning);
        self.used += width;
    }
}

fn add(lines: &mut [Vec<Piece>], text: &str, meaning: Meaning) {
    let Some(line) = lines.last_mut() else { return };
    match line.last_mut() {
        Some(last) if last.meaning == meaning => last.text.push_str(text),
        _ => line.push(Piece::new(text, meaning)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(line: &[Piece]) -> String {
        line.iter().map(|piece| piece.text.as_str()).collect()
    }

    fn lines(text_in: &str, cells: usize) -> Vec<String> {
        let pieces = [Piece::new(text_in, Meaning::Plain)];
        wrapped(&pieces, cells)
            .iter()
            .map(|line| text(line))
            .collect()
    }

    #[test]
    fn long_values_wrap_at_blanks_between_words_and_on_grapheme_borders() {
        assert_eq!(lines("one two three", 8), ["one two ", "three"]);
        assert_eq!(lines("日本語", 4), ["日本", "語"]);
        assert_eq!(lines("", 4), [""]);
        assert_eq!(lines("abcdefgh", 3), ["abc", "def", "gh"]);
        // What is one to the eye stays one where it fits.
        assert_eq!(
            lines("at 2026-11-18 21:37:11.000", 14),
            ["at 2026-11-18 ", "21:37:11.000"]
        );
        assert_eq!(
            lines("2026-11-18  (2 days ago)", 16),
            ["2026-11-18  ", "(2 days ago)"]
        );
        assert_eq!(lines("id 6f0c2d1e-8b7a", 13), ["id ", "6f0c2d1e-8b7a"]);
        assert_eq!(lines("6f0c2d1e-8b7a-4956", 13), ["6f0c2d1e-8b7a", "-4956"]);
    }

    #[test]
    fn a_text_of_pieces_flows_by_words_and_what_touches_stays_together() {
        let pieces = [
            Piece::new("the weekly letter", Meaning::Plain),
            Piece::new(" and offers of partners", Meaning::Good),
            Piece::new(". I can stop", Meaning::Plain),
        ];
        let shown: Vec<String> = wrapped(&pieces, 18).iter().map(|line| text(line)).collect();
        assert_eq!(
            shown,
            [
                "the weekly letter ",
                "and offers of ",
                "partners. I can ",
                "stop"
            ]
        );
        let torn = [
            Piece::new("日本", Meaning::Plain),
            Piece::new("語の文字", Meaning::Good),
        ];
        let shown: Vec<String> = wrapped(&torn, 5).iter().map(|line| text(line)).collect();
        assert_eq!(shown, ["日本", "語の", "文字"]);
    }

    #[test]
    fn two_values_stand_side_by_side_where_there_is_room() {
        let (left, right) = (
            [Piece::new("given", Meaning::Plain)],
            [Piece::new("withdrawn", Meaning::Wrong)],
        );
        let mut wide = Rows::new(80);
        wide.put_beside(&RecordLine::new("state").marked('~'), &left, &right);
        assert_eq!(wide.lines.len(), 1);
        assert_eq!(wide.lines[0].beside.as_deref(), Some(&right[..]));
        let mut narrow = Rows::new(38);
        narrow.put_beside(&RecordLine::new("state").marked('~'), &left, &right);
        let marks: Vec<_> = narrow.lines.iter().map(|line| line.mark).collect();
        assert_eq!(marks, [Some('-'), Some('+')]);
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_its_place_and_only_blanks_are_lost(value in "[\\PC ]{0,60}", cells in 2..30usize) {
            let lines = lines(&value, cells);
            for line in &lines {
                prop_assert!(printable::cells(line) <= cells || line.graphemes(true).count() == 1, "{line:?}");
            }
            let solid = |text: &str| text.replace(' ', "");
            prop_assert_eq!(solid(&lines.concat()), solid(&value));
        }
    }
}
