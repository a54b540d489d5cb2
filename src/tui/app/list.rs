//! The rows of a list: asking for them, taking them in, moving among them.

use crate::domain::page::{Count, Cursor, List, Order, Page, RowKey};
use crate::tui::app::message::{Effect, From, Load};
use crate::tui::app::{App, Pending};
use crate::tui::place::{Place, Screen};
use crate::tui::theme::Meaning;
use crate::tui::window::{Edge, Fill, Follow, Newer, Window};

/// No fewer rows are asked for, however small the screen.
const ROWS_MIN: usize = 25;

/// Reading.
impl App {
    pub(super) fn ask_page(
        &mut self,
        from: From,
        fill: Fill,
        keep: Option<RowKey>,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(list) = self.place().screen.list() {
            let rows = self.layout().rows();
            let limit = match fill {
                // What is on screen first: rows may lie all over the file. Those behind it join.
                Fill::Replace | Fill::ReplaceSelectLast => rows + 1,
                Fill::Join(_) | Fill::Refresh => rows * 2,
            };
            self.ask(list, from, limit.max(ROWS_MIN), fill, keep, effects);
        }
    }

    pub(super) fn ask(
        &mut self,
        list: List,
        from: From,
        limit: usize,
        fill: Fill,
        keep: Option<RowKey>,
        effects: &mut Vec<Effect>,
    ) {
        let query = match self.parse(list, &self.place().query) {
            Ok(query) => query,
            // Its words may have gone since: the rows stay as they are rather than widen.
            Err(error) => return self.say(error.message, Meaning::Bad),
        };
        self.ticket += 1;
        // The worker drops the count that rows are asked before.
        self.counting = None;
        let head = self.window.head().filter(|_| fill == Fill::Refresh);
        self.looking = None;
        if matches!(fill, Fill::Replace | Fill::ReplaceSelectLast) {
            // What was counted is of the rows before.
            (self.rank, self.ranking) = (None, None);
        }
        self.pending = Some(Pending {
            ticket: self.ticket,
            from: from.clone(),
            fill,
            keep,
            counts_newer: head.is_some(),
            may_retry: fill == Fill::Replace && from == From::Cursor(Cursor::First),
        });
        effects.push(Effect::Load(Load {
            ticket: self.ticket,
            list,
            query,
            order: self.place().order,
            from,
            limit,
            head,
        }));
    }

    pub(super) fn take_page(
        &mut self,
        ticket: u64,
        page: Result<Page, String>,
        newer: Newer,
        effects: &mut Vec<Effect>,
    ) {
        let Some(pending) = self.pending.take_if(|pending| pending.ticket == ticket) else {
            return;
        };
        self.dirty |= self.looking.take().is_some();
        let page = match page {
            Ok(page) => page,
            Err(why) => {
                self.window.give_up();
                return self.say(why, Meaning::Bad);
            }
        };
        let lost = |key: &RowKey| !page.rows.iter().any(|row| row.key.id == key.id);
        if pending.may_retry && page.more_after && pending.keep.as_ref().is_some_and(lost) {
            let keep = pending.keep.clone();
            let from = keep.clone().map_or(Cursor::First, Cursor::From);
            return self.ask_page(From::Cursor(from), Fill::Replace, keep, effects);
        }
        // All that matches is newer than the place that was kept: the nearest of it is the last.
        let is_below_all = pending.fill == Fill::Replace
            && matches!(pending.from, From::Cursor(Cursor::From(_)))
            && page.rows.is_empty()
            && page.more_before;
        if is_below_all || self.is_past_the_end(&pending, &page) {
            let end = From::Cursor(Cursor::Last);
            return self.ask_page(end, Fill::ReplaceSelectLast, None, effects);
        }
        let height = self.layout().rows();
        let before = self
            .dirty
            .then_some(())
            .map_or_else(|| Some(self.window.clone()), |()| None);
        self.window
            .fill(pending.fill, page, pending.keep.as_ref(), height);
        self.select_reader();
        if self.window.head().is_some() && pending.counts_newer {
            self.window.newer = newer;
        }
        let seen = |was: &Window| {
            was.loaded != self.window.loaded
                || was.visible(height) != self.window.visible(height)
                || (was.top, was.selected, was.newer)
                    != (self.window.top, self.window.selected, self.window.newer)
        };
        self.dirty |= before.as_ref().is_none_or(seen);
        self.keep_place();
        self.ask_what_hides(pending.fill, effects);
        self.recount(pending.fill, effects);
        self.settle(effects);
        self.keep_record(effects);
        if self.stale && self.pending.is_none() {
            self.refresh(effects);
        }
    }

    /// No row stands where `@` led, or where the command line did: says so. True where the last row is to be shown.
    fn is_past_the_end(&mut self, pending: &Pending, page: &Page) -> bool {
        match &pending.from {
            From::Cursor(Cursor::At(_)) if page.rows.is_empty() => {
                self.say(past_the_end(self.place().order), Meaning::Warning);
                true
            }
            From::Id(id) if !page.rows.iter().any(|row| row.key.id == *id) => {
                self.say(format!("no row {id} is in this list"), Meaning::Warning);
                false
            }
            _ => false,
        }
    }

    /// Counts the whole list, unless what is at hand is all of it or it is being counted already.
    pub(super) fn recount(&mut self, fill: Fill, effects: &mut Vec<Effect>) {
        let Some(list) = self.place().screen.list() else {
            return;
        };
        if !self.window.more_before && !self.window.more_after {
            let all = Some(Count::Exact(self.window.rows.len() as u64));
            self.dirty |= self.window.count != all;
            self.window.count = all;
        } else if (!matches!(fill, Fill::Join(_)) || self.window.count.is_none())
            && self.counting.is_none()
            && let Ok(query) = self.parse(list, &self.place().query)
        {
            self.counting = Some(self.ticket);
            effects.push(Effect::Count {
                ticket: self.ticket,
                list,
                query,
            });
        }
    }

    pub(super) fn take_count(&mut self, ticket: u64, count: Count) {
        if self.counting == Some(ticket) {
            self.counting = None;
            self.dirty |= self.window.count != Some(count);
            self.window.count = Some(count);
        }
    }

    /// Brings the window into bounds and asks for what is near its edges.
    pub(super) fn settle(&mut self, effects: &mut Vec<Effect>) {
        let height = self.layout().rows();
        self.window.settle(height);
        self.keep_place();
        if self.pending.is_none()
            && self.place().screen.list().is_some()
            && let Some((edge, cursor)) = self.window.wants(height)
        {
            self.ask_page(From::Cursor(cursor), Fill::Join(edge), None, effects);
        }
    }

    /// Writes down where we are, so that coming back finds it.
    pub(super) fn keep_place(&mut self) {
        if self.place().screen.list().is_none() || !self.window.loaded {
            return;
        }
        let selected = self.window.row().map(|row| row.key.clone());
        let top = self.window.rows.get(self.window.top);
        let top = top
            .map(|row| row.key.clone())
            .filter(|_| !self.window.is_at_head());
        let place = self.history.here_mut();
        place.selected = selected;
        place.top = top;
        place.seek = None;
    }
}

/// Why the last row is shown instead of a time.
const fn past_the_end(order: Order) -> &'static str {
    match order {
        Order::Newest => "no row here is that old: this is the oldest",
        Order::Oldest => "no row here is that new: this is the newest",
    }
}

/// Moving.
impl App {
    pub(super) fn step_rows(&mut self, rows: isize, effects: &mut Vec<Effect>) {
        let height = self.layout().rows().max(1);
        self.window.step_by(rows, height);
        if let Some(pane) = &mut self.history.here_mut().pane {
            (pane.line, pane.top) = (0, 0);
        }
        self.settle(effects);
        self.keep_record(effects);
    }

    /// Holds what is on screen while new rows come, or goes to the newest and lets them in. With the oldest first
    /// they come behind the last and move nothing.
    pub(super) fn hold_or_follow(&mut self, effects: &mut Vec<Effect>) {
        if self.place().order == Order::Oldest {
            self.go_to_edge(Edge::After, effects);
            self.say("the end: new rows appear here", Meaning::Plain);
        } else if self.window.follow == Follow::Held {
            self.go_to_edge(Edge::Before, effects);
            self.window.follow = Follow::Following;
            self.say("following: new rows appear at the top", Meaning::Plain);
        } else {
            self.window.follow = Follow::Held;
            self.say("held: new rows wait, f lets them in", Meaning::Plain);
        }
    }

    pub(super) fn go_to_edge(&mut self, edge: Edge, effects: &mut Vec<Effect>) {
        let height = self.layout().rows();
        let more = match edge {
            Edge::Before => self.window.more_before,
            Edge::After => self.window.more_after,
        };
        let far: isize = if edge == Edge::Before {
            isize::MIN / 2
        } else {
            isize::MAX / 2
        };
        let in_list = self.overlay.is_none() && self.place().pane.is_none();
        if !in_list || self.place().screen.list().is_none() {
            self.step(far, effects);
        } else if more {
            let (cursor, fill) = match edge {
                Edge::Before => (Cursor::First, Fill::Replace),
                Edge::After => (Cursor::Last, Fill::ReplaceSelectLast),
            };
            self.ask_page(From::Cursor(cursor), fill, None, effects);
        } else {
            self.window.move_to(edge, height);
            self.settle(effects);
        }
    }

    /// The same list from its other end, the selected row kept unless it is but the first.
    pub(super) fn order_by(&mut self, order: Order, effects: &mut Vec<Effect>) {
        let here = self.place();
        if here.screen.list().is_none() || here.order == order {
            return;
        }
        let mut place = Place {
            order,
            ..here.clone()
        };
        if self.window.is_at_head() && self.window.selected == 0 && place.pane.is_none() {
            place.selected = None;
        }
        place.top = place.selected.clone().filter(|_| place.top.is_some());
        self.history.visit(place, false);
        self.load(effects);
        let said = match order {
            Order::Newest => "newest first",
            Order::Oldest => "oldest first: new rows appear at the end",
        };
        self.say(said, Meaning::Plain);
    }

    pub(super) fn switch(&mut self, effects: &mut Vec<Effect>) {
        let other = match self.place().screen {
            Screen::CONSENTS => Screen::CHANGES,
            _ => Screen::CONSENTS,
        };
        let mut place = Place::with_query(other, self.place().query.clone());
        if let Some(list) = other.list()
            && self.parse(list, &place.query).is_err()
        {
            place.query = String::new();
        }
        place.opened_from = self.place().opened_from;
        self.history.visit(place, false);
        self.load(effects);
    }
}
