//! What is typed or chosen: the filter bar, the time prompt, the picker of filters.

use crate::domain::page::{Choice, Cursor, List};
use crate::tui::actions::Act;
use crate::tui::app::message::{Effect, From};
use crate::tui::app::{App, Overlay};
use crate::tui::edit::Line;
use crate::tui::jump;
use crate::tui::picker::Picker;
use crate::tui::place::{Place, Screen};
use crate::tui::theme::Meaning;
use crate::tui::window::Fill;

impl App {
    pub(super) fn paste(&mut self, text: &str) {
        if let Some(
            Overlay::Bar { line, .. } | Overlay::Time { line, .. } | Overlay::Find { line },
        ) = &mut self.overlay
        {
            line.insert(text);
            self.check_line();
        }
    }

    /// Looks at the line being typed again.
    pub(super) fn check_line(&mut self) {
        self.dirty = true;
        let list = self.bar_list();
        let text = match &self.overlay {
            Some(Overlay::Bar { line, .. }) => line.text().to_owned(),
            Some(Overlay::Time { .. }) => String::new(),
            _ => return,
        };
        let found = self.parse(list, &text).err();
        match &mut self.overlay {
            Some(Overlay::Bar { error, .. }) => *error = found,
            Some(Overlay::Time { wrong, .. }) => *wrong = false,
            _ => {}
        }
    }

    /// The list that a filter is typed for: on Today and Connections, events.
    pub(super) fn bar_list(&self) -> List {
        self.place().screen.list().unwrap_or(List::Events)
    }

    pub(super) fn act_on_filter(&mut self, act: Act, effects: &mut Vec<Effect>) {
        match act {
            Act::Filter => {
                let query = self
                    .place()
                    .screen
                    .list()
                    .map_or("", |_| &self.place().query);
                let line = Line::new(query);
                self.overlay = Some(Overlay::Bar { line, error: None });
                self.check_line();
            }
            Act::Jump => {
                let line = Line::default();
                self.overlay = Some(Overlay::Time { line, wrong: false });
            }
            Act::Pick => self.pick(effects),
            Act::Clear => match &mut self.overlay {
                Some(Overlay::Picker(picker)) => picker.chosen.clear(),
                _ => self.filter_by(self.bar_list(), "", effects),
            },
            Act::Toggle => {
                if let Some(Overlay::Picker(picker)) = &mut self.overlay {
                    picker.toggle();
                }
            }
            Act::Apply => self.apply(effects),
            Act::Suggest => self.suggest(),
            _ => self.edit(act),
        }
    }

    pub(super) fn edit(&mut self, act: Act) {
        let Some(Overlay::Bar { line, .. } | Overlay::Time { line, .. } | Overlay::Find { line }) =
            &mut self.overlay
        else {
            return;
        };
        match act {
            Act::CaretLeft => line.left(),
            Act::CaretRight => line.right(),
            Act::CaretStart => line.start(),
            Act::CaretEnd => line.end(),
            Act::EraseBefore => line.erase_before(),
            Act::EraseAfter => line.erase_after(),
            Act::EraseWord => line.erase_word(),
            Act::EraseLine => line.erase_to_start(),
            _ => {}
        }
        self.check_line();
    }

    pub(super) fn suggest(&mut self) {
        match &mut self.overlay {
            Some(Overlay::Bar { line, error }) => {
                if let Some(error) = error.take()
                    && let Some(term) = error.suggestion
                {
                    line.replace(error.at, &term);
                }
                self.check_line();
            }
            Some(Overlay::Picker(picker)) => picker.next_part(),
            _ => {}
        }
    }

    pub(super) fn apply(&mut self, effects: &mut Vec<Effect>) {
        match &mut self.overlay {
            Some(Overlay::Bar { line, .. }) => {
                let query = line.text().trim().to_owned();
                let list = self.bar_list();
                // What does not parse stays in the bar, and the rows stay as they are.
                if self.parse(list, &query).is_ok() {
                    self.overlay = None;
                    self.filter_by(list, &query, effects);
                } else {
                    self.check_line();
                }
            }
            Some(Overlay::Picker(picker)) => {
                let query = picker.query();
                self.overlay = None;
                self.filter_by(self.bar_list(), &query, effects);
            }
            Some(Overlay::Time { .. }) => self.jump(effects),
            Some(Overlay::Find { line }) => {
                let text = line.text().to_owned();
                self.overlay = None;
                self.seek(&text);
            }
            Some(Overlay::Copy(_)) => {
                if let Some(what) = self.chosen_copy() {
                    self.copy(what, effects);
                }
            }
            _ => {}
        }
    }

    pub(super) fn jump(&mut self, effects: &mut Vec<Effect>) {
        let (now, zone) = (self.now, self.zone_shown());
        let reviewed_at = self.last_review.map(|(_, at)| at);
        if let Some(Overlay::Time { line, wrong }) = &mut self.overlay {
            match jump::instant(line.text(), now, zone, reviewed_at) {
                Some(at) => {
                    self.overlay = None;
                    let from = From::Cursor(Cursor::At(at.to_string()));
                    self.ask_page(from, Fill::Replace, None, effects);
                }
                None => *wrong = true,
            }
        }
    }

    /// The same list through another filter, the selected row kept where it is still among the rows.
    pub(super) fn filter_by(&mut self, list: List, query: &str, effects: &mut Vec<Effect>) {
        if self.place().screen.list() == Some(list) && self.place().query == query {
            return;
        }
        if let Err(error) = self.parse(list, query) {
            return self.say(error.message, Meaning::Bad);
        }
        let mut place = Place::with_query(Screen::List(list), query);
        if self.place().screen.list() == Some(list) {
            place.selected.clone_from(&self.place().selected);
            place.top = place
                .selected
                .clone()
                .filter(|_| self.place().top.is_some());
            place.opened_from = self.place().opened_from;
        }
        let from_list = self.place().screen.list().is_some();
        self.history.visit(place, !from_list);
        self.load(effects);
    }

    pub(super) fn pick(&mut self, effects: &mut Vec<Effect>) {
        let list = self.bar_list();
        if let Ok(query) = self.parse(list, &self.place().query) {
            self.overlay = Some(Overlay::Picker(Picker::new(&query)));
            effects.push(Effect::Choices {
                ticket: self.ticket,
                list,
                query,
            });
        }
    }

    pub(super) fn take_choices(&mut self, ticket: u64, key: &str, choices: Vec<Choice>) {
        if let Some(Overlay::Picker(picker)) = &mut self.overlay
            && ticket == self.ticket
        {
            picker.fill(key, choices);
            self.dirty = true;
        }
    }
}
