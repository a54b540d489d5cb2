//! What goes where, from the size of the terminal alone. Used by drawing and by everything that scrolls.

use ratatui::layout::Rect;

/// The least size that anything can be shown in.
pub const SIZE_MIN: (u16, u16) = (40, 8);

/// From this width on a list and the opened row stand side by side.
const SIDE_BY_SIDE_WIDTH: u16 = 100;

/// Below so many lines a list and the opened row do not stand one above the other.
const ONE_ABOVE_HEIGHT: u16 = 14;

/// The shares of the width or height that an opened row can have, in percent.
const SHARES: (u16, u16) = (20, 80);

/// The fewest cells and lines that a part is given.
const PART_WIDTH_MIN: u16 = 30;
const PART_HEIGHT_MIN: u16 = 4;

/// How an opened row shares the screen with its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Percent of the opened row; `None`: as the size suggests.
    pub percent: Option<u16>,
    /// On the whole screen; `None`: where the list does not fit beside it.
    pub whole: Option<bool>,
}

impl Share {
    /// The percent in a terminal of this width.
    pub fn percent(self, width: u16) -> u16 {
        self.percent.unwrap_or(match width {
            ..SIDE_BY_SIDE_WIDTH => 60,
            SIDE_BY_SIDE_WIDTH..160 => 45,
            _ => 55,
        })
    }

    /// A step wider or narrower.
    #[must_use]
    pub fn moved(self, by: i16, width: u16) -> Self {
        let percent = self.percent(width).saturating_add_signed(by);
        Self {
            percent: Some(percent.clamp(SHARES.0, SHARES.1)),
            ..self
        }
    }

    /// Whether the opened row has the whole screen in a terminal of this size.
    pub fn is_whole(self, width: u16, height: u16) -> bool {
        let beside = width >= SIDE_BY_SIDE_WIDTH;
        let no_room = !beside && height < ONE_ABOVE_HEIGHT;
        no_room || self.whole.unwrap_or(!beside)
    }
}

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
    pub fn of(width: u16, height: u16, pane: Option<Share>, foot_lines: u16) -> Self {
        let foot_lines = foot_lines.min(height.saturating_sub(3)).max(1);
        let row = |y: u16, lines: u16| {
            Rect::new(0, y.min(height), width, lines.min(height.saturating_sub(y)))
        };
        let body_height = height.saturating_sub(2 + foot_lines);
        let body = row(2, body_height);
        let (main, pane) = match pane {
            None => (body, Rect::ZERO),
            Some(share) if share.is_whole(width, height) => (Rect::ZERO, body),
            Some(share) if width >= SIDE_BY_SIDE_WIDTH => beside(body, share.percent(width)),
            Some(share) => above(body, share.percent(width)),
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
        let list = if self.main.is_empty() {
            self.body
        } else {
            self.main
        };
        usize::from(list.height.saturating_sub(1))
    }
}

/// A list, a column between, an opened row with so many percent.
fn beside(body: Rect, percent: u16) -> (Rect, Rect) {
    let wanted = u32::from(body.width) * u32::from(percent) / 100;
    let wanted = u16::try_from(wanted).unwrap_or(body.width);
    let most = body.width.saturating_sub(PART_WIDTH_MIN + 1);
    let pane_width = wanted.clamp(PART_WIDTH_MIN.min(most), most);
    let main_width = body.width.saturating_sub(pane_width + 1);
    (
        Rect::new(body.x, body.y, main_width, body.height),
        Rect::new(body.x + main_width + 1, body.y, pane_width, body.height),
    )
}

/// A list, a line between, an opened row with so many percent.
fn above(body: Rect, percent: u16) -> (Rect, Rect) {
    let wanted = body.height * percent.min(100) / 100;
    let most = body.height.saturating_sub(PART_HEIGHT_MIN + 1);
    let pane_height = wanted.clamp(PART_HEIGHT_MIN.min(most), most);
    let main_height = body.height.saturating_sub(pane_height + 1);
    (
        Rect::new(body.x, body.y, body.width, main_height),
        Rect::new(body.x, body.y + main_height + 1, body.width, pane_height),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_parts_never_overlap_nor_leave_the_screen(
            size in (0..300u16, 0..90u16),
            percent in prop::option::of(0..200u16),
            whole in prop::option::of(any::<bool>()),
            foot in 0..4u16,
        ) {
            let share = Share { percent, whole };
            let layout = Layout::of(size.0, size.1, Some(share), foot);
            let screen = Rect::new(0, 0, size.0, size.1);
            for part in [layout.main, layout.pane, layout.foot, layout.tabs, layout.info] {
                prop_assert!(part.is_empty() || screen.union(part) == screen, "{layout:?}");
            }
            prop_assert!(layout.main.intersection(layout.pane).is_empty());
            prop_assert!(size.1 < 8 || size.0 < 40 || !layout.pane.is_empty());
            prop_assert!(layout.pane.is_empty() || layout.main.is_empty() || layout.pane.area() + layout.main.area() < layout.body.area());
        }
    }

    #[test]
    fn a_wide_screen_has_list_and_row_side_by_side_and_a_narrow_one_the_row_alone() {
        let share = Share {
            percent: None,
            whole: None,
        };
        let parts = |width, height, share| {
            let layout = Layout::of(width, height, Some(share), 1);
            (
                layout.main.width,
                layout.main.height,
                layout.pane.width,
                layout.pane.height,
            )
        };
        assert_eq!(parts(120, 40, share), (65, 37, 54, 37));
        assert_eq!(parts(80, 24, share), (0, 0, 80, 21));
        let below = Share {
            whole: Some(false),
            ..share
        };
        assert_eq!(parts(80, 24, below), (80, 8, 80, 12));
        assert_eq!(parts(40, 10, below), (0, 0, 40, 7));
        let whole = Share {
            whole: Some(true),
            ..share
        };
        assert_eq!(parts(120, 40, whole), (0, 0, 120, 37));
    }
}
