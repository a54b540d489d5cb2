//! Putting text on cells: every piece has passed `Printable` and is cut to its place on a grapheme border.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use crate::domain::printable::Printable;
use crate::tui::theme::{Meaning, Theme};

/// Where the real cursor belongs; `None` hides it.
pub type Cursor = Option<Position>;

/// Pieces of a line, and how they look.
pub type Pieces<'a> = &'a [(&'a str, Meaning)];

/// The cells of a frame and the theme they are painted in.
pub struct Paint<'a> {
    cells: &'a mut Buffer,
    theme: Theme,
}

impl<'a> Paint<'a> {
    /// Paints on `cells`, which take the ground of `theme`.
    pub fn new(cells: &'a mut Buffer, theme: Theme) -> Self {
        cells.set_style(cells.area, theme.base());
        Self { cells, theme }
    }

    /// Puts `text` at `x`, at most `width` cells of it, with `…` where it is cut. The cells it took.
    pub fn text(&mut self, x: u16, y: u16, width: u16, text: &str, meaning: Meaning) -> u16 {
        let area = self.cells.area;
        if y >= area.bottom() || x >= area.right() {
            return 0;
        }
        let width = width.min(area.right() - x);
        let text = Printable::line(text).cut(usize::from(width));
        let style = self.theme.style(meaning);
        self.cells
            .set_stringn(x, y, text.as_str(), usize::from(width), style);
        u16::try_from(text.width()).unwrap_or(width)
    }

    /// Puts `text` so that it ends at `x + width`.
    pub fn text_right(&mut self, x: u16, y: u16, width: u16, text: &str, meaning: Meaning) {
        let text = Printable::line(text).cut(usize::from(width));
        let used = u16::try_from(text.width()).unwrap_or(width).min(width);
        self.text(x + width - used, y, used, text.as_str(), meaning);
    }

    /// Puts pieces one after the other on line `line` of `area`, from its left. The cells they took.
    pub fn line(&mut self, area: Rect, line: u16, pieces: Pieces<'_>) -> u16 {
        self.line_from(area, line, 0, pieces)
    }

    /// Puts pieces on line `line` of `area`, `indent` cells from its left. The cells up to their end.
    pub fn line_from(&mut self, area: Rect, line: u16, indent: u16, pieces: Pieces<'_>) -> u16 {
        let mut used = indent;
        if line >= area.height {
            return used;
        }
        for (text, meaning) in pieces {
            let left = area.width.saturating_sub(used);
            if left == 0 {
                break;
            }
            used += self.text(area.x + used, area.y + line, left, text, *meaning);
        }
        used
    }

    /// Shows line `line` of `area` as the selected one, whatever its pieces look like.
    pub fn select(&mut self, area: Rect, line: u16) -> Cursor {
        self.mark(area, line, Meaning::Selected)
    }

    /// Shows line `line` of `area` as one that `meaning` holds for, whatever its pieces look like.
    pub fn mark(&mut self, area: Rect, line: u16, meaning: Meaning) -> Cursor {
        if line >= area.height {
            return None;
        }
        let row = Rect::new(area.x, area.y + line, area.width, 1);
        let style = self.theme.style(meaning);
        self.cells
            .set_style(row.intersection(self.cells.area), style);
        Some(Position::new(row.x, row.y))
    }

    /// Empties `area`.
    pub fn clear(&mut self, area: Rect) {
        for position in area.intersection(self.cells.area).positions() {
            self.cells[position].reset();
        }
        let area = area.intersection(self.cells.area);
        self.cells.set_style(area, self.theme.base());
    }
}

/// The cells that `text` takes once it is printable.
pub fn width(text: &str) -> u16 {
    u16::try_from(Printable::line(text).width()).unwrap_or(u16::MAX)
}

/// The first line to show of a list so that `selected` is in sight, keeping a line of what comes before.
pub fn first_line(selected: usize, lines: usize, height: usize) -> usize {
    let height = height.max(1);
    let last_first = lines.saturating_sub(height);
    (selected + 2).saturating_sub(height).min(last_first)
}
