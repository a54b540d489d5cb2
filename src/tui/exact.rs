//! A back end that never trusts the terminal's idea of how wide a character is.
//!
//! Terminals differ on the width of what several code points make up (vowel signs, joined emoji). After each of those
//! the place of the next cell is said anew, so that no column moves and nothing is left behind.

use std::collections::{BTreeSet, HashMap};
use std::{io, iter};

use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Writes frames to `W`.
pub struct Exact<W: io::Write> {
    inner: CrosstermBackend<W>,
    /// What each cell was last told to show; none: blank. Empty: covered by what stands before it.
    shown: HashMap<(u16, u16), Cell>,
    /// Where something doubtful stands, and the first column that it cannot reach.
    doubtful: HashMap<(u16, u16), u16>,
    /// Where the cursor was put last.
    cursor: Position,
    /// It is still there.
    is_placed: bool,
    /// Whether it is shown; `None` until that was said.
    cursor_shown: Option<bool>,
}

impl<W: io::Write> Exact<W> {
    /// Writes frames to `out`.
    pub fn new(out: W) -> Self {
        Self {
            inner: CrosstermBackend::new(out),
            shown: HashMap::new(),
            doubtful: HashMap::new(),
            cursor: Position::ORIGIN,
            is_placed: false,
            cursor_shown: None,
        }
    }

    /// Remembers what is shown; the first column behind it.
    fn keep(&mut self, x: u16, y: u16, cell: &Cell) -> u16 {
        let next = x.saturating_add(width(cell.symbol()));
        self.shown.insert((x, y), cell.clone());
        let mut beside = cell.clone();
        beside.set_symbol("");
        for x in x + 1..next {
            self.shown.insert((x, y), beside.clone());
        }
        // What is left of something wider that stood here.
        beside.set_symbol(" ");
        for x in next.. {
            match self.shown.get_mut(&(x, y)) {
                Some(rest) if rest.symbol().is_empty() => rest.clone_from(&beside),
                _ => break,
            }
        }
        next
    }

    /// Shows again what something doubtful may have covered.
    fn mend(&mut self, mut covered: BTreeSet<(u16, u16)>) -> io::Result<()> {
        if covered.is_empty() {
            return Ok(());
        }
        let columns = self.inner.size().map_or(u16::MAX, |size| size.width);
        let blank = Cell::new(" ");
        while let Some((y, x)) = covered.pop_first() {
            let cell = self.shown.get(&(x, y)).unwrap_or(&blank);
            if x >= columns || cell.symbol().is_empty() {
                continue;
            }
            self.inner.draw(iter::once((x, y, cell)))?;
            let next = x.saturating_add(width(cell.symbol()));
            if let Some(end) = self.doubtful.get(&(x, y)) {
                covered.extend((next..*end).map(|x| (y, x)));
            }
        }
        Ok(())
    }

    fn forget(&mut self) {
        self.shown.clear();
        self.doubtful.clear();
        self.is_placed = false;
        self.cursor_shown = None;
    }
}

/// Terminals agree on the width of what is a single code point.
fn is_doubtful(symbol: &str) -> bool {
    symbol.chars().nth(1).is_some()
}

/// The cells that `symbol` counts for.
fn width(symbol: &str) -> u16 {
    u16::try_from(symbol.width()).unwrap_or(u16::MAX).max(1)
}

/// The cells that `symbol` takes in a terminal that joins nothing.
fn reach(symbol: &str) -> u16 {
    let apart: usize = symbol.chars().filter_map(UnicodeWidthChar::width).sum();
    u16::try_from(apart.max(symbol.width())).unwrap_or(u16::MAX)
}

impl<W: io::Write> Backend for Exact<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut run = Vec::new();
        let mut covered = BTreeSet::new();
        let mut content = content.peekable();
        // The inner one says colours even where there is nothing to draw.
        if content.peek().is_none() {
            return Ok(());
        }
        self.is_placed = false;
        for (x, y, cell) in content {
            if let Some(end) = self.doubtful.remove(&(x, y)) {
                covered.extend((x + 1..end).map(|x| (y, x)));
            }
            let next = self.keep(x, y, cell);
            run.push((x, y, cell));
            if is_doubtful(cell.symbol()) {
                let end = x.saturating_add(reach(cell.symbol()));
                self.doubtful.insert((x, y), end);
                covered.extend((next..end).map(|x| (y, x)));
                // Each piece begins with where it belongs.
                self.inner.draw(run.drain(..))?;
            }
        }
        self.inner.draw(run.into_iter())?;
        self.mend(covered)
    }

    fn append_lines(&mut self, lines: u16) -> io::Result<()> {
        self.inner.append_lines(lines)
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        if self.cursor_shown.replace(false) == Some(false) {
            return Ok(());
        }
        self.inner.hide_cursor()
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        if self.cursor_shown.replace(true) == Some(true) {
            return Ok(());
        }
        self.inner.show_cursor()
    }

    /// Never asks the terminal: one that went away does not answer, and its answer would come among the keys.
    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(self.cursor)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        let position = position.into();
        if std::mem::replace(&mut self.is_placed, true) && position == self.cursor {
            return Ok(());
        }
        self.cursor = position;
        self.inner.set_cursor_position(position)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.forget();
        self.inner.clear()
    }

    fn clear_region(&mut self, clear_type: ClearType) -> io::Result<()> {
        self.forget();
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
    fn a_frame_like_the_one_before_is_no_byte() {
        let mut out = Vec::new();
        let mut back_end = Exact::new(&mut out);
        let cell = Cell::new("a");
        for _ in 0..2 {
            back_end.show_cursor().unwrap();
            back_end.draw(iter::once((0, 0, &cell))).unwrap();
            back_end.set_cursor_position((4, 2)).unwrap();
        }
        back_end.draw(iter::empty()).unwrap();
        back_end.show_cursor().unwrap();
        back_end.set_cursor_position((4, 2)).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches("\u{1b}[3;5H").count(), 2, "{text:?}");
        assert_eq!(text.matches("\u{1b}[?25h").count(), 1, "{text:?}");
        assert!(text.ends_with("\u{1b}[3;5H"), "{text:?}");
    }

    #[test]
    fn a_terminal_that_was_cleared_is_told_of_its_cursor_again() {
        let mut out = Vec::new();
        let mut back_end = Exact::new(&mut out);
        for _ in 0..2 {
            back_end.hide_cursor().unwrap();
            back_end.set_cursor_position((4, 2)).unwrap();
            back_end.clear_region(ClearType::All).unwrap();
        }
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches("\u{1b}[?25l").count(), 2, "{text:?}");
        assert_eq!(text.matches("\u{1b}[3;5H").count(), 2, "{text:?}");
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

    #[test]
    fn what_a_doubtful_cell_covers_is_shown_again() {
        let mut out = Vec::new();
        let mut back_end = Exact::new(&mut out);
        // A terminal that joins nothing takes four cells for what counts as two.
        let joined = Cell::new("\u{1f469}\u{200d}\u{1f467}");
        assert_eq!(width(joined.symbol()), 2);
        assert!(reach(joined.symbol()) > 2);
        let beside = Cell::new("e");
        back_end.draw(iter::once((2, 0, &beside))).unwrap();
        back_end.draw(iter::once((0, 0, &joined))).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.matches("\u{1b}[1;3He").count() > 1, "{text:?}");
    }

    #[test]
    fn what_stood_below_something_wide_does_not_come_back() {
        let mut out = Vec::new();
        let mut back_end = Exact::new(&mut out);
        let joined = Cell::new("\u{915}\u{94d}\u{937}\u{93f}");
        let old = ["a", "b", "c", "d"].map(Cell::new);
        let content = (0..).zip(&old).map(|(x, cell)| (x, 0, cell));
        back_end.draw(content).unwrap();
        back_end.draw(iter::once((0, 0, &joined))).unwrap();
        back_end.draw(iter::once((0, 0, &Cell::new("e")))).unwrap();
        for x in 1..width(joined.symbol()) {
            assert_eq!(back_end.shown[&(x, 0)].symbol(), " ");
        }
        assert_eq!(back_end.shown[&(3, 0)].symbol(), "d");
    }
}
