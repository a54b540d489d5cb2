//! From place to place, and from line to line within one.

use crate::domain::page::Cursor;
use crate::store::today::PERIODS;
use crate::tui::app::message::Effect;
use crate::tui::app::message::From;
use crate::tui::app::{App, Overlay};
use crate::tui::command::FileFormat;
use crate::tui::complete::Offers;
use crate::tui::place::{Pane, Place, Screen};
use crate::tui::theme::Meaning;
use crate::tui::window::Fill;
use crate::tui::window::Window;

impl App {
    pub(super) fn go(&mut self, screen: Screen, effects: &mut Vec<Effect>) {
        if self.place().screen == screen && self.place().pane.is_none() {
            return;
        }
        self.history.visit_screen(screen);
        self.history.here_mut().pane = None;
        self.load(effects);
    }

    pub(super) fn visit(&mut self, place: Place, effects: &mut Vec<Effect>) {
        self.history.visit(place, true);
        self.load(effects);
    }

    /// Reads what the place on screen needs, from its beginning.
    pub(super) fn load(&mut self, effects: &mut Vec<Effect>) {
        self.record = None;
        self.dirty = true;
        match self.place().screen {
            Screen::Today => effects.push(Effect::Today(self.period.clone())),
            Screen::Connections | Screen::Account(_) => effects.push(Effect::Connections),
            Screen::List(_) => {
                self.window = Window::default();
                self.counting = None;
                self.hiding = None;
                let place = self.place();
                let keep = place.selected.clone();
                let from = match (&place.top, place.seek) {
                    (_, Some(id)) => From::Id(id),
                    (Some(top), None) => From::Cursor(Cursor::From(top.clone())),
                    (None, None) => From::Cursor(Cursor::First),
                };
                self.ask_page(from, Fill::Replace, keep, effects);
            }
        }
        self.clamp_line();
    }

    pub(super) fn open_selected(&mut self, effects: &mut Vec<Effect>) {
        match self.place().screen {
            Screen::List(_) if self.window.row().is_some() => {
                self.history.here_mut().pane = Some(Pane::default());
                self.keep_record(effects);
                // The list may be narrower or gone from sight now.
                self.settle(effects);
            }
            Screen::List(_) => self.say("there is no row to open", Meaning::Warning),
            Screen::Today => {
                let line = self.place().line;
                let door = self
                    .today
                    .as_ref()
                    .and_then(|today| today.stop(line)?.door.clone());
                match door {
                    Some(door) => self.visit(
                        Place::with_query(Screen::List(door.list), door.query),
                        effects,
                    ),
                    None => self.say("no list stands behind this line", Meaning::Warning),
                }
            }
            Screen::Connections => {
                let account = self.place().line;
                if account < self.accounts().len() {
                    let mut place = Place::new(Screen::Account(account));
                    place.line = self.first_stop(account);
                    self.visit(place, effects);
                }
            }
            Screen::Account(account) => self.open_stop(account, effects),
        }
    }

    pub(super) fn back(&mut self, effects: &mut Vec<Effect>) {
        // The popup has an Esc of its own.
        if self.offers_mut().is_some_and(Offers::close) || self.overlay.take().is_some() {
            return;
        }
        if self.history.here_mut().pane.take().is_some() {
            self.record = None;
            self.settle(effects);
        } else if self.is_waiting() {
            self.give_up(effects);
        } else if self.history.close() {
            self.load(effects);
        }
    }

    /// Leaves a filter whose rows are still looked for: back to the place before, or to all rows.
    fn give_up(&mut self, effects: &mut Vec<Effect>) {
        if self.history.back() {
            self.load(effects);
        } else if let Some(list) = self.place().screen.list() {
            self.filter_by(list, "", effects);
        }
    }

    pub(super) fn screenful(&self) -> isize {
        let layout = self.layout();
        let rows = match self.place().pane {
            Some(_) if self.overlay.is_none() => self.pane_height(),
            _ => layout.rows(),
        };
        isize::try_from(rows.max(1)).unwrap_or(1)
    }

    pub(super) fn step(&mut self, lines: isize, effects: &mut Vec<Effect>) {
        match &mut self.overlay {
            Some(Overlay::Picker(picker)) => return picker.move_by(lines),
            Some(Overlay::Copy(menu)) => return menu.move_by(lines),
            Some(Overlay::Views(at)) => {
                *at = at
                    .saturating_add_signed(lines)
                    .min(self.views.len().saturating_sub(1));
                return;
            }
            Some(Overlay::Export(at)) => {
                *at = at
                    .saturating_add_signed(lines)
                    .min(FileFormat::ALL.len() - 1);
                return;
            }
            Some(Overlay::Bar { .. } | Overlay::Search { .. } | Overlay::Command { .. }) => {
                return self.step_typed(lines);
            }
            Some(Overlay::Time { .. }) => return,
            Some(Overlay::Help(_)) => return self.step_palette(lines),
            Some(Overlay::Periods(chosen)) => {
                let last = PERIODS.len() - 1;
                *chosen = chosen.saturating_add_signed(lines).min(last);
                return;
            }
            Some(Overlay::Explained(top)) => {
                let moved = top.saturating_add_signed(lines);
                self.overlay = Some(Overlay::Explained(moved.min(self.explained_last_top())));
                return;
            }
            _ => {}
        }
        if self.place().pane.is_some() {
            self.step_pane(lines);
        } else if self.place().screen.list().is_some() {
            let height = self.layout().rows();
            self.window.step_by(lines, height);
            self.settle(effects);
        } else if self.place().screen == Screen::Today {
            self.step_today(lines);
        } else {
            let place = self.history.here_mut();
            place.line = place.line.saturating_add_signed(lines);
            self.clamp_line();
        }
    }

    pub(super) fn clamp_line(&mut self) {
        let lines = match self.place().screen {
            Screen::Today => self
                .today
                .as_ref()
                .map_or(usize::MAX, |today| today.stops().count()),
            Screen::Connections => self.accounts().len(),
            Screen::Account(account) => self.stops(account).len(),
            Screen::List(_) => return,
        };
        let place = self.history.here_mut();
        place.line = place.line.min(lines.saturating_sub(1));
    }
}
