//! The rows of a list that are at hand: a piece of any length list, moved along by keys of rows.
//!
//! Plain data. Rows are newest first. The selected row is held by its key, so that a reload never moves it.

use crate::domain::page::{Count, Cursor, Page, Row, RowKey};

/// So many screens of rows are kept on each side of the selected one.
const SCREENS_KEPT: usize = 4;
/// The fewest rows that are kept, however small the screen.
const ROWS_KEPT_MIN: usize = 200;

/// An end of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// Newer rows.
    Before,
    /// Older rows.
    After,
}

/// What an answer is to do to the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Take the place of all rows, the first selected.
    Replace,
    /// Take the place of all rows, the last selected.
    ReplaceSelectLast,
    /// Join at an edge.
    Join(Edge),
    /// The same rows as they are now.
    Refresh,
}

/// How many rows stand before the newest one that was seen at the head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Newer {
    /// Rows.
    pub rows: usize,
    /// There are more than that.
    pub more: bool,
}

/// What becomes of rows that come while the newest is in sight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Follow {
    /// They appear at the top.
    #[default]
    Following,
    /// The selection was moved away from the newest row: what is on screen stays where it is, and they wait.
    Held,
}

impl Follow {
    const fn held(is_held: bool) -> Self {
        if is_held { Self::Held } else { Self::Following }
    }
}

/// A piece of a list.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// Newest first.
    pub rows: Vec<Row>,
    /// There are newer ones than the first.
    pub more_before: bool,
    /// There are older ones than the last.
    pub more_after: bool,
    /// The first row on screen.
    pub top: usize,
    /// The row that keys act on.
    pub selected: usize,
    /// What waits at the head while it is out of sight.
    pub newer: Newer,
    /// How many rows the whole list has; `None` while that is being counted.
    pub count: Option<Count>,
    /// An answer has come: no rows means that there are none.
    pub loaded: bool,
    /// Whether new rows come onto the screen.
    pub follow: Follow,
    head: Option<RowKey>,
    asked: Option<Edge>,
}

impl Window {
    /// The selected row.
    pub fn row(&self) -> Option<&Row> {
        self.rows.get(self.selected)
    }

    /// The rows on a screen of `height` rows.
    pub fn visible(&self, height: usize) -> &[Row] {
        let from = self.top.min(self.rows.len());
        let to = (from + height).min(self.rows.len());
        &self.rows[from..to]
    }

    /// The newest row there is stands at the top of the screen.
    pub fn is_at_head(&self) -> bool {
        self.top == 0 && !self.more_before
    }

    /// Takes an answer in. `keep` is the row to have selected after `Fill::Replace`.
    pub fn fill(&mut self, fill: Fill, page: Page, keep: Option<&RowKey>, height: usize) {
        match fill {
            Fill::Replace => self.replace(page, keep),
            Fill::ReplaceSelectLast => {
                self.replace(page, None);
                self.selected = self.rows.len().saturating_sub(1);
                self.top = self.rows.len().saturating_sub(height.max(1));
            }
            Fill::Join(edge) => self.join(edge, page, height),
            Fill::Refresh => self.refresh(page, height),
        }
        self.asked = None;
        self.loaded = true;
        self.settle(height);
    }

    fn replace(&mut self, page: Page, keep: Option<&RowKey>) {
        self.rows = page.rows;
        self.more_before = page.more_before;
        self.more_after = page.more_after;
        self.top = 0;
        self.selected = keep.and_then(|key| self.place(key)).unwrap_or(0);
        self.newer = Newer::default();
        self.head = None;
        self.follow = Follow::held(self.more_before || self.selected > 0);
    }

    fn join(&mut self, edge: Edge, page: Page, height: usize) {
        let keep = ROWS_KEPT_MIN.max(SCREENS_KEPT * 2 * height);
        match edge {
            Edge::After => {
                self.rows.extend(page.rows);
                self.more_after = page.more_after;
                let surplus = self.rows.len().saturating_sub(keep).min(self.top);
                self.rows.drain(..surplus);
                self.top -= surplus;
                self.selected = self.selected.saturating_sub(surplus);
                self.more_before |= surplus > 0;
            }
            Edge::Before => {
                let added = page.rows.len();
                self.rows.splice(..0, page.rows);
                self.more_before = page.more_before;
                self.top += added;
                self.selected += added;
                let last_needed = (self.top + height).max(self.selected + 1).max(keep);
                self.more_after |= self.rows.len() > last_needed;
                self.rows.truncate(last_needed);
            }
        }
    }

    fn refresh(&mut self, page: Page, height: usize) {
        let at_head = self.is_at_head();
        let selected = self.row().map(|row| row.key.clone());
        let first_shown = self.rows.get(self.top).map(|row| row.key.clone());
        let (was_selected, was_top) = (self.selected, self.top);
        let selected_still = |key: &RowKey| page.rows.iter().any(|row| row.key.id == key.id);
        if at_head && page.more_after && !selected.as_ref().is_none_or(selected_still) {
            // More came at once than fits: what is on screen stays, and the rest waits at the head.
            self.more_before = true;
            return;
        }
        self.rows = page.rows;
        self.more_before = page.more_before;
        self.more_after = page.more_after;
        self.selected = selected
            .and_then(|key| self.place(&key))
            .unwrap_or(was_selected);
        self.top = if at_head && self.follow == Follow::Following {
            (self.selected + 1).saturating_sub(height)
        } else {
            let moved = first_shown.and_then(|key| self.place(&key));
            moved.unwrap_or_else(|| (was_top + self.selected).saturating_sub(was_selected))
        };
        if !self.more_before {
            let seen = self.head.clone().and_then(|key| self.place(&key));
            self.newer = Newer {
                rows: seen.unwrap_or(0),
                more: false,
            };
        }
    }

    /// Where the row of this key is now; one whose time changed is found by its id.
    fn place(&self, key: &RowKey) -> Option<usize> {
        let exact = self.rows.iter().position(|row| row.key == *key);
        exact.or_else(|| self.rows.iter().position(|row| row.key.id == key.id))
    }

    /// The same by a key: whoever goes away from the newest row reads, and new rows wait until they come back.
    pub fn step_by(&mut self, rows: isize, height: usize) {
        self.move_by(rows, height);
        self.follow = Follow::held(self.selected > 0 || !self.is_at_head());
    }

    /// Moves the selection by so many rows, as far as rows are at hand.
    pub fn move_by(&mut self, rows: isize, height: usize) {
        self.selected = self.selected.saturating_add_signed(rows);
        self.settle(height);
    }

    /// To the first or last row at hand.
    pub fn move_to(&mut self, edge: Edge, height: usize) {
        self.selected = match edge {
            Edge::Before => 0,
            Edge::After => self.rows.len(),
        };
        self.follow = Follow::held(edge == Edge::After);
        self.settle(height);
    }

    /// Brings selection and first row into bounds, and the selection into sight.
    pub fn settle(&mut self, height: usize) {
        let height = height.max(1);
        self.selected = self.selected.min(self.rows.len().saturating_sub(1));
        let top_min = (self.selected + 1).saturating_sub(height);
        let top_max = self.rows.len().saturating_sub(height);
        self.top = self.top.clamp(top_min, self.selected.max(top_min));
        if !self.more_after {
            self.top = self.top.min(top_max.max(top_min));
        }
        if self.is_at_head() {
            self.head = self.rows.first().map(|row| row.key.clone());
            self.newer = Newer::default();
        }
    }

    /// The rows to ask for because an edge is near; asked once until the answer comes.
    pub fn wants(&mut self, height: usize) -> Option<(Edge, Cursor)> {
        if self.asked.is_some() || !self.loaded {
            return None;
        }
        let near = height.max(1);
        let (first, last) = (self.rows.first()?, self.rows.last()?);
        let wanted = if self.more_after && self.selected + 2 * near >= self.rows.len() {
            (Edge::After, Cursor::After(last.key.clone()))
        } else if self.more_before && self.top < near {
            (Edge::Before, Cursor::Before(first.key.clone()))
        } else {
            return None;
        };
        self.asked = Some(wanted.0);
        Some(wanted)
    }

    /// An edge was asked for, and no answer will come.
    pub fn give_up(&mut self) {
        self.asked = None;
    }

    /// The cursor that reads the same rows again: from the head if that is in sight, else from the first at hand.
    pub fn again(&self) -> Cursor {
        match self.rows.first() {
            Some(first) if !self.is_at_head() => Cursor::From(first.key.clone()),
            _ => Cursor::First,
        }
    }

    /// The newest row that was seen at the head, to count what came after it; `None` while the head is in sight.
    pub fn head(&self) -> Option<RowKey> {
        if self.is_at_head() {
            None
        } else {
            self.head.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::page::Cell;

    fn rows(ids: impl Iterator<Item = i64>) -> Vec<Row> {
        ids.map(|id| Row {
            key: RowKey {
                sort: format!("{id:06}"),
                id,
            },
            cells: vec![Cell::Int(id)],
        })
        .collect()
    }

    fn page(ids: impl Iterator<Item = i64>, more_before: bool, more_after: bool) -> Page {
        Page {
            rows: rows(ids),
            more_before,
            more_after,
        }
    }

    fn selected(window: &Window) -> i64 {
        window.row().unwrap().key.id
    }

    #[test]
    fn new_rows_appear_at_the_head_and_the_selected_row_stays_the_same() {
        let mut window = Window::default();
        window.fill(Fill::Replace, page((1..=50).rev(), false, false), None, 10);
        window.move_by(2, 10);
        window.fill(Fill::Refresh, page((1..=53).rev(), false, false), None, 10);
        assert_eq!(selected(&window), 48);
        assert_eq!((window.top, window.selected), (0, 5));
    }

    #[test]
    fn away_from_the_head_a_reload_moves_nothing_on_screen() {
        let mut window = Window::default();
        window.fill(Fill::Replace, page((1..=50).rev(), false, false), None, 10);
        window.move_by(20, 10);
        let before: Vec<_> = window.visible(10).to_vec();
        let Cursor::From(first) = window.again() else {
            panic!("the head is out of sight");
        };
        assert_eq!(first.id, 50);
        assert_eq!(window.head().unwrap().id, 50);
        window.fill(Fill::Refresh, page((1..=50).rev(), true, false), None, 10);
        assert_eq!(window.visible(10), before);
        assert_eq!(selected(&window), 30);
    }

    #[test]
    fn a_row_whose_time_changed_is_found_by_its_id() {
        let mut window = Window::default();
        window.fill(Fill::Replace, page((1..=5).rev(), false, false), None, 10);
        window.move_by(3, 10);
        assert_eq!(selected(&window), 2);
        let mut moved = rows([2, 5, 4, 3, 1].into_iter());
        moved[0].key.sort = "9".to_owned();
        let answer = Page {
            rows: moved,
            more_before: false,
            more_after: false,
        };
        window.fill(Fill::Refresh, answer, None, 10);
        assert_eq!((selected(&window), window.selected), (2, 0));
    }

    #[test]
    fn edges_are_asked_for_once_and_far_rows_are_let_go() {
        let mut window = Window::default();
        window.fill(
            Fill::Replace,
            page((900..=1000).rev(), false, true),
            None,
            20,
        );
        window.move_by(90, 20);
        let (edge, cursor) = window.wants(20).unwrap();
        assert_eq!(edge, Edge::After);
        assert!(matches!(cursor, Cursor::After(key) if key.id == 900));
        assert_eq!(window.wants(20), None);
        let keep = selected(&window);
        window.fill(
            Fill::Join(Edge::After),
            page((600..900).rev(), false, true),
            None,
            20,
        );
        assert_eq!(selected(&window), keep);
        assert!(window.more_before && window.rows.len() < 401);
    }
}
