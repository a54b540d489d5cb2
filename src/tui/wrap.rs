//! Text on several lines.

use crate::domain::printable::Printable;

/// The fewest characters that a line is given.
const CELLS_MIN: usize = 8;

/// `text` in pieces of at most `cells` characters: broken behind a blank or a slash where there is one, else anywhere.
pub fn wrapped(text: &str, cells: usize) -> Vec<String> {
    let cells = cells.max(CELLS_MIN);
    let text = Printable::line(text);
    let mut rest: Vec<char> = text.as_str().chars().collect();
    let mut pieces = Vec::new();
    while rest.len() > cells {
        let is_link = !rest.contains(&' ');
        let ends = |c: &char| *c == if is_link { '/' } else { ' ' };
        let at = rest[..cells]
            .iter()
            .rposition(ends)
            .map_or(cells, |at| at + 1);
        let tail = rest.split_off(at);
        pieces.push(rest.iter().collect::<String>().trim_end().to_owned());
        rest = tail;
    }
    pieces.push(rest.iter().collect());
    pieces
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
}
