//! What goes where, from the size of the terminal alone. Used by drawing and by everything that scrolls.

use ratatui::layout::Rect;

/// The least size that anything can be shown in.
pub const SIZE_MIN: (u16, u16) = (40, 8);

/// From this width on a list and the opened row stand side by side.
const SIDE_BY_SIDE_WIDTH: u16 = 100;

/// The parts of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The names of the screens.
    pub tabs: Rect,
    /// Where we are, zone, receiver.
    pub info: Rect,
    /// All between head and foot.
    pub body: Rect,
    /// The list, or what stands in its place.
    pub main: Rect,
    /// The opened row; empty if none is open.
    pub pane: Rect,
    /// Keys, a message, or the line being typed.
    pub foot: Rect,
}

impl Layout {
    /// The parts of a terminal of this size; `foot_lines` are needed at the bottom.
    pub fn of(width: u16, height: u16, pane_open: bool, foot_lines: u16) -> Self {
        let foot_lines = foot_lines.min(height.saturating_sub(3)).max(1);
        let row = |y: u16, lines: u16| {
            Rect::new(0, y.min(height), width, lines.min(height.saturating_sub(y)))
        };
        let body_height = height.saturating_sub(2 + foot_lines);
        let body = row(2, body_height);
        let (main, pane) = match (pane_open, width >= SIDE_BY_SIDE_WIDTH) {
            (false, _) => (body, Rect::ZERO),
            (true, false) => (Rect::ZERO, body),
            (true, true) => {
                let pane_width = (width * 9 / 20).max(48);
                let main_width = width - pane_width - 1;
                (
                    Rect::new(0, body.y, main_width, body.height),
                    Rect::new(main_width + 1, body.y, pane_width, body.height),
                )
            }
        };
        Self {
            tabs: row(0, 1),
            info: row(1, 1),
            body,
            main,
            pane,
            foot: row(height.saturating_sub(foot_lines), foot_lines),
        }
    }

    /// The rows of a list: one line is its head. A list behind an opened row keeps its height.
    pub fn rows(&self) -> usize {
        usize::from(self.body.height.saturating_sub(1))
    }
}
