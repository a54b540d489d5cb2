//! A back end that never trusts the terminal's idea of how wide a character is.
//!
//! Terminals differ on the width of what several code points make up (vowel signs, joined emoji). After each of those
//! the place of the next cell is said anew, so that no column moves and nothing is left behind.

use std::collections::HashSet;
use std::{io, iter};

use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use unicode_width::UnicodeWidthStr;

/// Writes frames to `W`.
pub struct Exact<W: io::Write> {
    inner: CrosstermBackend<W>,
    /// Where the terminal shows something whose second cell it may not clear with the first.
    doubtful: HashSet<(u16, u16)>,
    /// Where the cursor was put last.
    cursor: Position,
}

impl<W: io::Write> Exact<W> {
    /// Writes frames to `out`.
    pub fn new(out: W) -> Self {
        Self {
            inner: CrosstermBackend::new(out),
            doubtful: HashSet::new(),
            cursor: Position::ORIGIN,
        }
    }
}

/// Terminals agree on the width of a single code point below those that combine.
fn is_doubtful(symbol: &str) -> bool {
    symbol.chars().nth(1).is_some()
}

impl<W: io::Write> Backend for Exact<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut run = Vec::new();
        for (x, y, cell) in content {
            if self.doubtful.remove(&(x, y)) {
                self.inner.draw(run.drain(..))?;
                let blank = Cell::new(" ");
                self.inner.draw(iter::once((x + 1, y, &blank)))?;
            }
            run.push((x, y, cell));
            if is_doubtful(cell.symbol()) {
                if cell.symbol().width() > 1 {
                    self.doubtful.insert((x, y));
                }
                // Each piece begins with where it belongs.
                self.inner.draw(run.drain(..))?;
            }
        }
        self.inner.draw(run.into_iter())
    }

    fn append_lines(&mut self, lines: u16) -> io::Result<()> {
        self.inner.append_lines(lines)
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.inner.hide_cursor()
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.inner.show_cursor()
    }

    /// Never asks the terminal: one that went away does not answer, and its answer would come among the keys.
    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(self.cursor)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.cursor = position.into();
        self.inner.set_cursor_position(self.cursor)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.doubtful.clear();
        self.inner.clear()
    }

    fn clear_region(&mut self, clear_type: ClearType) -> io::Result<()> {
        self.inner.clear_region(clear_type)
    }

    fn size(&self) -> io::Result<Size> {
        self.inner.size()
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        self.inner.window_size()
    }

    fn flush(&mut self) -> io::Result<()> {
        Backend::flush(&mut self.inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cell_after_a_doubtful_one_is_placed_anew() {
        let mut out = Vec::new();
        let cells = ["\u{92a}\u{93e}", "b", "c"].map(Cell::new);
        let content = (0..).zip(&cells).map(|(x, cell)| (x, 4, cell));
        Exact::new(&mut out).draw(content).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("\u{92a}\u{93e}"), "{text:?}");
        assert!(text.contains("\u{1b}[5;2H"), "{text:?}");
        assert!(!text.contains("\u{1b}[5;3H"), "{text:?}");
    }

    #[test]
    fn the_terminal_is_not_asked_where_its_cursor_is() {
        let mut out = Vec::new();
        let mut back_end = Exact::new(&mut out);
        back_end.set_cursor_position((7, 3)).unwrap();
        assert_eq!(back_end.get_cursor_position().unwrap(), Position::new(7, 3));
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains("\u{1b}[6n"), "{text:?}");
    }

    #[test]
    fn what_a_doubtful_cell_left_behind_is_blanked() {
        let mut out = Vec::new();
        let mut back_end = Exact::new(&mut out);
        let (wide, narrow) = (Cell::new("\u{92a}\u{93e}\u{902}"), Cell::new("a"));
        assert_eq!(wide.symbol().width(), 2);
        back_end.draw(iter::once((3, 0, &wide))).unwrap();
        back_end.draw(iter::once((3, 0, &narrow))).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("\u{1b}[1;5H "), "{text:?}");
    }
}
