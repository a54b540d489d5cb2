//! What is typed after `:`, and the saved filters.

use crate::domain::page::List;
use crate::store::query::View;
use crate::store::task::Task;
use crate::tui::actions::Act;
use crate::tui::app::message::Effect;
use crate::tui::app::{App, Overlay};
use crate::tui::command::{self, Command, FileFormat};
use crate::tui::complete::Offers;
use crate::tui::edit::Line;
use crate::tui::palette::Palette;
use crate::tui::place::{Place, Screen};
use crate::tui::theme::Meaning;

/// Commands.
impl App {
    pub(super) fn ask_command(&mut self) {
        self.commands.begin();
        self.overlay = Some(Overlay::Command {
            line: Line::default(),
            offers: Offers::default(),
            fault: None,
        });
    }

    /// What the word at the end of the line may become: names, or terms where a filter is typed.
    pub(super) fn command_offers(&self, list: List, line: &Line) -> Offers {
        let text = line.text();
        if line.caret() < text.len() {
            return Offers::default();
        }
        if let Some((from, list)) = command::filter_in(text, list) {
            return self.terms(list, line, from);
        }
        let (from, items) = command::offers(text, &self.views);
        Offers::new(items, from..text.len())
    }

    /// Does what was typed, or says why that is no command and leaves it to be changed.
    pub(super) fn enter_command(&mut self, effects: &mut Vec<Effect>) {
        let Some(Overlay::Command { line, .. }) = &self.overlay else {
            return;
        };
        let text = line.text().trim().to_owned();
        if text.is_empty() {
            self.overlay = None;
            return;
        }
        let done = command::parse(&text).and_then(|command| self.command(command, effects));
        if done.is_ok() {
            self.commands.keep(&text);
        }
        match (done, &mut self.overlay) {
            (Err(why), Some(Overlay::Command { fault, offers, .. })) => {
                *fault = Some(why);
                offers.close();
            }
            // What it opened stays.
            (Ok(()), overlay @ Some(Overlay::Command { .. })) => *overlay = None,
            _ => {}
        }
    }

    fn command(&mut self, command: Command, effects: &mut Vec<Effect>) -> Result<(), String> {
        match command {
            Command::Go(Screen::List(list), Some(filter)) => {
                self.parse(list, &filter)
                    .map_err(|error| error.to_string())?;
                self.visit(Place::with_query(Screen::List(list), filter), effects);
            }
            Command::Go(screen, _) => self.go(screen, effects),
            Command::Save(name) => {
                let list = self.list_here()?;
                self.save_view(name, list, effects);
            }
            Command::View(name) => {
                let view = self.view_named(&name)?;
                self.open_view(&view, effects);
            }
            Command::Views if self.views.is_empty() => {
                return Err("no filter is saved yet: `:save NAME` keeps one".to_owned());
            }
            Command::Views => self.overlay = Some(Overlay::Views(0)),
            Command::Delete(name) => {
                let name = self.view_named(&name)?.name;
                self.ask_drop(name);
            }
            Command::Pin(name, digit) => {
                let name = self.view_named(&name)?.name;
                self.begin(Task::PinView { name, digit }, effects);
            }
            Command::Filter(text) => {
                let list = self.bar_list();
                self.parse(list, &text).map_err(|error| error.to_string())?;
                self.filter_by(list, &text, effects);
            }
            Command::Clear => self.filter_by(self.list_here()?, "", effects),
            Command::Order(order) => {
                self.list_here()?;
                self.order_by(order, effects);
            }
            Command::Time(text) => {
                self.list_here()?;
                if !self.go_to_time(&text, effects) {
                    return Err(format!("no time reads like {text:?}: 14:30, yesterday, 7d"));
                }
            }
            Command::Export(format) => {
                self.list_here()?;
                match format {
                    None => self.ask_export(),
                    Some(format) => self.begin_export_as(format, effects),
                }
            }
            Command::Help => self.overlay = Some(Overlay::Help(Palette::default())),
            Command::Quit => {
                self.overlay = None;
                self.leave(Act::Quit, effects);
            }
        }
        Ok(())
    }

    fn list_here(&self) -> Result<List, String> {
        let list = self.place().screen.list();
        list.ok_or_else(|| "this screen is no list: 2 to 7 open one".to_owned())
    }
}

/// Saved filters.
impl App {
    pub(super) fn take_views(&mut self, views: Vec<View>) {
        self.dirty |= self.views != views;
        self.views = views;
        match &mut self.overlay {
            Some(Overlay::Views(_)) if self.views.is_empty() => self.overlay = None,
            Some(Overlay::Views(at)) => *at = (*at).min(self.views.len() - 1),
            _ => {}
        }
    }

    /// The saved filter of this name, in any case where that is clear.
    fn view_named(&self, name: &str) -> Result<View, String> {
        let exact = self.views.iter().find(|view| view.name == name);
        let folded = || {
            let alike = |view: &&View| view.name.to_lowercase() == name.to_lowercase();
            let mut found = self.views.iter().filter(alike);
            found.next().filter(|_| found.next().is_none())
        };
        exact.or_else(folded).cloned().ok_or_else(|| {
            let names = self.views.iter().map(|view| view.name.as_str());
            let near = names
                .map(|known| (strsim::damerau_levenshtein(name, known), known))
                .filter(|(distance, known)| *distance <= 1 + known.chars().count() / 3)
                .min_by_key(|(distance, _)| *distance);
            match near {
                Some((_, near)) => {
                    format!("no saved filter is called {name:?}; did you mean {near:?}?")
                }
                None => format!("no saved filter is called {name:?}: `:views` shows all"),
            }
        })
    }

    /// Opens a saved filter. One that does not parse any more is put into the bar.
    fn open_view(&mut self, view: &View, effects: &mut Vec<Effect>) {
        self.overlay = None;
        if let Err(error) = self.parse(view.list, &view.query) {
            if self.place().screen.list() != Some(view.list) {
                self.go(Screen::List(view.list), effects);
            }
            self.overlay = Some(Overlay::Bar {
                line: Line::new(view.query.as_str()),
                error: Some(error),
                offers: Offers::default(),
            });
            return;
        }
        let mut place = Place::with_query(Screen::List(view.list), view.query.as_str());
        place.order = view.order;
        self.visit(place, effects);
    }

    pub(super) fn open_view_at(&mut self, at: usize, effects: &mut Vec<Effect>) {
        if let Some(view) = self.views.get(at).cloned() {
            self.open_view(&view, effects);
        }
    }

    pub(super) fn open_pinned(&mut self, digit: u8, effects: &mut Vec<Effect>) {
        let pinned = self.views.iter().find(|view| view.pin == Some(digit));
        match pinned.cloned() {
            Some(view) => self.open_view(&view, effects),
            None => self.say(
                format!("no saved filter is pinned to {digit}: p pins the selected one"),
                Meaning::Warning,
            ),
        }
    }

    /// Drops or pins the selected saved filter.
    pub(super) fn manage_views(&mut self, act: Act, effects: &mut Vec<Effect>) {
        let Some(Overlay::Views(at)) = self.overlay else {
            return;
        };
        let Some(view) = self.views.get(at) else {
            return;
        };
        let name = view.name.clone();
        let task = match act {
            Act::DropView => return self.ask_drop(name),
            _ if view.pin.is_some() => Task::PinView { name, digit: None },
            _ => {
                let is_free = |digit: &u8| self.views.iter().all(|view| view.pin != Some(*digit));
                let Some(digit) = (1..=9).find(is_free) else {
                    let why = "nine are pinned already: p on one of them frees its digit";
                    return self.say(why, Meaning::Warning);
                };
                Task::PinView {
                    name,
                    digit: Some(digit),
                }
            }
        };
        self.begin(task, effects);
    }
}

/// The format at this place.
pub(super) fn format_at(at: usize) -> FileFormat {
    FileFormat::ALL
        .get(at)
        .map_or(FileFormat::Csv, |(format, ..)| *format)
}
