//! Text on several lines.

use unicode_segmentation::UnicodeSegmentation as _;

use crate::domain::printable::{self, Printable};

/// The fewest cells that a line is given.
const CELLS_MIN: usize = 8;

/// `text` in pieces of at most `cells` cells: broken behind a blank or a slash where there is one, else between any two
/// graphemes.
pub fn wrapped(text: &str, cells: usize) -> Vec<String> {
    let cells = cells.max(CELLS_MIN);
    let text = Printable::line(text);
    let mut rest = text.as_str();
    let mut pieces = Vec::new();
    while printable::cells(rest) > cells {
        let fits = &rest[..fitting(rest, cells)];
        let end = if rest.contains(' ') { ' ' } else { '/' };
        let at = fits.rfind(end).map_or(fits.len(), |at| at + 1);
        let (piece, behind) = rest.split_at(at);
        pieces.push(piece.trim_end().to_owned());
        rest = behind;
    }
    pieces.push(rest.to_owned());
    pieces
}

/// How many bytes of `text` fit into `cells`: whole graphemes, one at least.
fn fitting(text: &str, cells: usize) -> usize {
    let mut ends = text.grapheme_indices(true).map(|(at, one)| at + one.len());
    let first = ends.next().unwrap_or(text.len());
    let fits = ends.take_while(|end| printable::cells(&text[..*end]) <= cells);
    fits.last().unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_broken_between_words_and_links_behind_a_slash() {
        assert_eq!(
            wrapped("paste each link into its dashboard", 16),
            ["paste each link", "into its", "dashboard"]
        );
        assert_eq!(
            wrapped("http://127.0.0.1:1/hooks/k_0123456789", 28),
            ["http://127.0.0.1:1/hooks/", "k_0123456789"]
        );
        assert_eq!(wrapped("", 28), [""]);
    }

    #[test]
    fn wide_characters_take_two_cells_each() {
        assert_eq!(wrapped("日本語日本語", 8), ["日本語日", "本語"]);
        assert_eq!(wrapped("drop 日本語 now", 10), ["drop", "日本語 now"]);
    }
}
