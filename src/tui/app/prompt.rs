//! What is typed or chosen: the filter bar, the time prompt, the picker of filters.

use std::ops::Range;

use crate::domain::page::{Choice, Cursor, List};
use crate::domain::query::{self, completions, term_start};
use crate::tui::actions::Act;
use crate::tui::app::message::{Effect, From};
use crate::tui::app::{App, Overlay};
use crate::tui::complete::{Offer, Offers};
use crate::tui::edit::Line;
use crate::tui::jump;
use crate::tui::picker::Picker;
use crate::tui::place::{Place, Screen};
use crate::tui::recall::Recall;
use crate::tui::theme::Meaning;
use crate::tui::window::Fill;

impl App {
    /// A paste is never keys: where nothing is typed, it does nothing but say where it would go.
    pub(super) fn paste(&mut self, text: &str) {
        // Nothing that was copied somewhere answers a question.
        if matches!(self.overlay, Some(Overlay::Ask(_))) {
            return self.leave_question();
        }
        if !self.insert(text) {
            let why = "nothing is being typed that a paste could go into: / filters, : commands";
            self.say(why, Meaning::Warning);
        }
    }

    /// Puts `text` into the line being typed; false if there is none.
    pub(super) fn insert(&mut self, text: &str) -> bool {
        let Some(line) = self.line_mut() else {
            return false;
        };
        line.insert(text);
        self.check_line();
        true
    }

    /// What was entered before in a line like the one being typed.
    fn recall_mut(&mut self) -> Option<&mut Recall> {
        match self.overlay.as_ref()? {
            Overlay::Bar { .. } => Some(&mut self.filters),
            Overlay::Search { .. } => Some(&mut self.searches),
            Overlay::Command { .. } => Some(&mut self.commands),
            _ => None,
        }
    }

    /// Through the offers that are open, else through what was entered before.
    pub(super) fn step_typed(&mut self, lines: isize) {
        if let Some(offers) = self.offers_mut().filter(|offers| offers.is_open()) {
            return offers.move_by(lines);
        }
        let typed = self.line_mut().map(|line| line.text().to_owned());
        let (Some(typed), Some(recall)) = (typed, self.recall_mut()) else {
            return;
        };
        let found = if lines < 0 {
            recall.older(&typed)
        } else {
            recall.newer()
        };
        let Some(found) = found.map(Line::new) else {
            return;
        };
        if let Some(line) = self.line_mut() {
            *line = found;
        }
        self.check_line();
        // The next key goes on through what was entered.
        if let Some(offers) = self.offers_mut() {
            offers.close();
        }
    }

    /// The line being typed.
    pub(super) fn line_mut(&mut self) -> Option<&mut Line> {
        match self.overlay.as_mut()? {
            Overlay::Bar { line, .. }
            | Overlay::Search { line, .. }
            | Overlay::Command { line, .. }
            | Overlay::Time { line, .. }
            | Overlay::Find { line } => Some(line),
            Overlay::Help(palette) => Some(&mut palette.line),
            _ => None,
        }
    }

    /// What is offered for the line being typed.
    pub fn offers(&self) -> Option<&Offers> {
        match self.overlay.as_ref()? {
            Overlay::Bar { offers, .. }
            | Overlay::Search { offers, .. }
            | Overlay::Command { offers, .. } => Some(offers),
            _ => None,
        }
    }

    pub(super) fn offers_mut(&mut self) -> Option<&mut Offers> {
        match self.overlay.as_mut()? {
            Overlay::Bar { offers, .. }
            | Overlay::Search { offers, .. }
            | Overlay::Command { offers, .. } => Some(offers),
            _ => None,
        }
    }

    /// Looks at the line being typed again.
    pub(super) fn check_line(&mut self) {
        self.dirty = true;
        let list = self.bar_list();
        let (wrong, offered) = match &self.overlay {
            Some(Overlay::Bar { line, .. } | Overlay::Search { line, .. }) => (
                self.parse(list, line.text()).err(),
                self.terms(list, line, 0),
            ),
            Some(Overlay::Command { line, .. }) => (None, self.command_offers(list, line)),
            _ => (None, Offers::default()),
        };
        match &mut self.overlay {
            Some(Overlay::Bar { error, offers, .. } | Overlay::Search { error, offers, .. }) => {
                (*error, *offers) = (wrong, offered);
            }
            Some(Overlay::Command { offers, fault, .. }) => (*offers, *fault) = (offered, None),
            Some(Overlay::Time { wrong, .. }) => *wrong = false,
            Some(Overlay::Help(palette)) => palette.at = 0,
            _ => {}
        }
    }

    /// What the term at the caret may become, of the filter that begins at byte `from` of `line`. Nothing within a word,
    /// or before one is begun.
    pub(super) fn terms(&self, list: List, line: &Line, from: usize) -> Offers {
        let (Some(text), Some(caret)) = (line.text().get(from..), line.caret().checked_sub(from))
        else {
            return Offers::default();
        };
        let ends = text[caret..].chars().next();
        let start = term_start(text, caret);
        if start == caret || !ends.is_none_or(|c| c.is_whitespace() || c == ')') {
            return Offers::default();
        }
        self.offers_at(list, text, start..caret, from)
    }

    fn offers_at(&self, list: List, text: &str, term: Range<usize>, from: usize) -> Offers {
        let items = completions(text, term.end, &self.words(list));
        let items = items.into_iter().map(|text| Offer {
            help: text
                .trim_start_matches('-')
                .strip_suffix(':')
                .and_then(query::Key::from_word)
                .map_or("", query::Key::help),
            text,
        });
        Offers::new(items.collect(), term.start + from..term.end + from)
    }

    /// All that a term may be, where none is begun.
    fn offer_keys(&mut self) {
        let list = self.bar_list();
        let all = match &self.overlay {
            Some(Overlay::Bar { line, .. } | Overlay::Search { line, .. }) => {
                let at = line.caret();
                self.offers_at(list, line.text(), at..at, 0)
            }
            _ => return,
        };
        if let Some(offers) = self.offers_mut() {
            *offers = all;
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
                // The next term is typed at once, not onto the end of the last one.
                let line = Line::new(match query {
                    "" => String::new(),
                    query => format!("{query} "),
                });
                self.overlay = Some(Overlay::Bar {
                    line,
                    error: None,
                    offers: Offers::default(),
                });
                self.filters.begin();
                self.check_line();
                // What stands there already is not being typed.
                if let Some(offers) = self.offers_mut() {
                    offers.close();
                }
            }
            Act::Jump => {
                let line = Line::default();
                self.overlay = Some(Overlay::Time { line, wrong: false });
            }
            Act::Pick => self.pick(effects),
            Act::Clear => match &mut self.overlay {
                Some(Overlay::Picker(picker)) => picker.clear(),
                _ => self.drop_filter(effects),
            },
            Act::Toggle => {
                if let Some(Overlay::Picker(picker)) = &mut self.overlay {
                    picker.toggle();
                }
            }
            Act::Apply => self.apply(effects),
            Act::Suggest => self.suggest(),
            Act::Search | Act::SearchOn | Act::SearchBack => self.search(act, effects),
            Act::Export => self.ask_export(),
            Act::Command => self.ask_command(),
            Act::Views => self.overlay = Some(Overlay::Views(0)),
            Act::Pinned(digit) => self.open_pinned(digit, effects),
            Act::DropView | Act::PinView => self.manage_views(act, effects),
            _ => self.edit(act),
        }
    }

    pub(super) fn edit(&mut self, act: Act) {
        let Some(line) = self.line_mut() else {
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
            Some(
                Overlay::Bar {
                    line,
                    error,
                    offers,
                }
                | Overlay::Search {
                    line,
                    error,
                    offers,
                },
            ) => {
                let suggestion = error.as_ref().and_then(|error| error.suggestion.clone());
                if offers.take(line) {
                    self.check_line();
                } else if let (Some(error), Some(term)) = (error.take(), suggestion) {
                    line.replace(error.at, &term);
                    self.check_line();
                } else {
                    self.check_line();
                    self.offer_keys();
                }
            }
            Some(Overlay::Command { line, offers, .. }) => {
                offers.take(line);
                self.check_line();
            }
            Some(Overlay::Picker(picker)) => picker.next_part(),
            _ => {}
        }
    }

    /// Drops the filter, or of one that hides all rows the part that does.
    fn drop_filter(&mut self, effects: &mut Vec<Effect>) {
        let list = self.bar_list();
        let without = self
            .hiding
            .filter(|_| self.window.rows.is_empty())
            .and_then(|hiding| Some((hiding, self.parse(list, &self.place().query).ok()?)))
            .map(|(hiding, query)| query.without_part(hiding).to_string());
        self.filter_by(list, &without.unwrap_or_default(), effects);
    }

    pub(super) fn apply(&mut self, effects: &mut Vec<Effect>) {
        // What keys moved to is taken, and looked at before it is entered.
        if self.offers().is_some_and(Offers::is_chosen) {
            return self.suggest();
        }
        match &mut self.overlay {
            Some(Overlay::Help(_)) => self.run_entry(effects),
            Some(Overlay::Search { .. }) => self.begin_search(effects),
            Some(Overlay::Command { .. }) => self.enter_command(effects),
            Some(Overlay::Views(at)) => {
                let at = *at;
                self.open_view_at(at, effects);
            }
            Some(Overlay::Export(at)) => {
                let at = *at;
                self.begin_export(at, effects);
            }
            Some(Overlay::Bar { line, .. }) => {
                let query = line.text().trim().to_owned();
                let list = self.bar_list();
                // What does not parse stays in the bar, and the rows stay as they are.
                if self.parse(list, &query).is_ok() {
                    self.overlay = None;
                    self.filters.keep(&query);
                    self.filter_by(list, &query, effects);
                } else {
                    self.check_line();
                }
            }
            Some(Overlay::Picker(picker)) => {
                picker.settle();
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
            Some(Overlay::Periods(chosen)) => {
                let chosen = *chosen;
                self.take_period(chosen, effects);
            }
            _ => {}
        }
    }

    pub(super) fn jump(&mut self, effects: &mut Vec<Effect>) {
        let Some(Overlay::Time { line, .. }) = &self.overlay else {
            return;
        };
        let text = line.text().to_owned();
        let went = self.go_to_time(&text, effects);
        match &mut self.overlay {
            overlay if went => *overlay = None,
            Some(Overlay::Time { wrong, .. }) => *wrong = true,
            _ => {}
        }
    }

    /// To the newest row that is not after the time that `text` names; false if it names none.
    pub(super) fn go_to_time(&mut self, text: &str, effects: &mut Vec<Effect>) -> bool {
        let reviewed_at = self.last_review.map(|(_, at)| at);
        let Some(at) = jump::instant(text, self.now, self.zone_shown(), reviewed_at) else {
            return false;
        };
        let from = From::Cursor(Cursor::At(at.to_string()));
        self.ask_page(from, Fill::Replace, None, effects);
        true
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
            place.order = self.place().order;
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
