//! One line of text being typed.
//!
//! Plain data: keys in, text and caret out. The caret always stands between graphemes.

use unicode_segmentation::UnicodeSegmentation;

use crate::domain::printable;

/// So many bytes a line may have: a pasted body is no filter.
const BYTES_MAX: usize = 4096;

/// Text and where the caret stands in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    text: String,
    caret: usize,
}

impl Line {
    /// A line with the caret at its end.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            caret: text.len(),
            text,
        }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The caret, in bytes from the start.
    pub fn caret(&self) -> usize {
        self.caret
    }

    /// Puts `text` in at the caret. Line breaks and tabs become spaces, other control characters are left out.
    pub fn insert(&mut self, text: &str) {
        let clean: String = text
            .chars()
            .map(|c| {
                if matches!(c, '\n' | '\r' | '\t') {
                    ' '
                } else {
                    c
                }
            })
            .filter(|c| !c.is_control())
            .collect();
        if self.text.len() + clean.len() <= BYTES_MAX {
            self.text.insert_str(self.caret, &clean);
            self.caret += clean.len();
            self.settle();
        }
    }

    /// Puts `text` in place of the bytes `range`, caret behind it.
    pub fn replace(&mut self, range: std::ops::Range<usize>, text: &str) {
        if self.text.get(range.clone()).is_some() {
            self.text.replace_range(range.clone(), text);
            self.caret = range.start + text.len();
        }
    }

    /// Removes the grapheme before the caret.
    pub fn erase_before(&mut self) {
        let from = self.before();
        self.text.replace_range(from..self.caret, "");
        self.caret = from;
        self.settle();
    }

    /// Removes the grapheme after the caret.
    pub fn erase_after(&mut self) {
        let to = self.after();
        self.text.replace_range(self.caret..to, "");
        self.settle();
    }

    /// Removes the word before the caret and the space behind it.
    pub fn erase_word(&mut self) {
        let kept = self.text[..self.caret].trim_end();
        let from = kept.rfind(' ').map_or(0, |space| space + 1);
        self.text.replace_range(from..self.caret, "");
        self.caret = from;
        self.settle();
    }

    /// Removes all before the caret.
    pub fn erase_to_start(&mut self) {
        self.text.replace_range(..self.caret, "");
        self.caret = 0;
    }

    /// One grapheme to the left.
    pub fn left(&mut self) {
        self.caret = self.before();
    }

    /// One grapheme to the right.
    pub fn right(&mut self) {
        self.caret = self.after();
    }

    /// To the start.
    pub fn start(&mut self) {
        self.caret = 0;
    }

    /// To the end.
    pub fn end(&mut self) {
        self.caret = self.text.len();
    }

    fn before(&self) -> usize {
        self.text[..self.caret]
            .grapheme_indices(true)
            .next_back()
            .map_or(0, |(at, _)| at)
    }

    fn after(&self) -> usize {
        self.text[self.caret..]
            .graphemes(true)
            .next()
            .map_or(self.caret, |grapheme| self.caret + grapheme.len())
    }

    /// What was typed or removed may have joined graphemes: the caret goes to the end of the one it is in.
    fn settle(&mut self) {
        let on_border = self
            .text
            .grapheme_indices(true)
            .map(|(at, _)| at)
            .chain([self.text.len()])
            .find(|at| *at >= self.caret);
        self.caret = on_border.unwrap_or(self.text.len());
    }

    /// The part of the text that fits `cells` with the caret in sight: its range in bytes, and the caret's cell.
    pub fn window(&self, cells: usize) -> (std::ops::Range<usize>, usize) {
        let mut from = 0;
        while printable::cells(&self.text[from..self.caret]) + 1 > cells.max(1) && from < self.caret
        {
            let step = self.text[from..].graphemes(true).next().map_or(1, str::len);
            from += step;
        }
        let mut to = from;
        for grapheme in self.text[from..].graphemes(true) {
            if printable::cells(&self.text[from..to + grapheme.len()]) > cells {
                break;
            }
            to += grapheme.len();
        }
        (from..to, printable::cells(&self.text[from..self.caret]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn emoji_are_erased_whole() {
        let mut line = Line::new("a👩‍👩‍👧b");
        line.left();
        line.erase_before();
        assert_eq!(line.text(), "ab");
    }

    #[test]
    fn a_paste_is_one_line_without_controls() {
        let mut line = Line::default();
        line.insert("type:cancel\r\n\x1b[31mx");
        assert_eq!(line.text(), "type:cancel  [31mx");
    }

    proptest! {
        #[test]
        fn the_caret_is_never_inside_a_grapheme(edits in prop::collection::vec((0..9u8, "\\PC{0,3}"), 0..40), cells in 0..30usize) {
            let mut line = Line::default();
            for (edit, text) in edits {
                match edit {
                    0 => line.erase_before(),
                    1 => line.erase_after(),
                    2 => line.erase_word(),
                    3 => line.left(),
                    4 => line.right(),
                    5 => line.start(),
                    6 => line.end(),
                    7 => line.erase_to_start(),
                    _ => line.insert(&text),
                }
                prop_assert!(line.text().grapheme_indices(true).any(|(at, _)| at == line.caret()) || line.caret() == line.text().len());
                let (range, caret) = line.window(cells);
                prop_assert!(range.contains(&line.caret()) || range.end == line.caret());
                prop_assert!(caret <= cells.max(2));
            }
        }
    }
}
