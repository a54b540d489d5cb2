//! What happens outside: the ledger opens, is written to or cannot be read, the terminal changes, time goes on.

use crate::domain::time::{MINUTE_MS, Timestamp};
use crate::tui::First;
use crate::tui::app::connections::with_links;
use crate::tui::app::message::{Effect, From, Opened};
use crate::tui::app::{App, Overlay};
use crate::tui::complete::Offers;
use crate::tui::edit::Line;
use crate::tui::facts::Arrived;
use crate::tui::place::{History, Place, Screen};
use crate::tui::window::Fill;

impl App {
    pub(super) fn tick(&mut self, now: Timestamp) {
        let minute = |at: Timestamp| at.ms().div_euclid(MINUTE_MS);
        self.dirty |= minute(now) != minute(self.now);
        self.now = now;
    }

    pub(super) fn resize(&mut self, width: u16, height: u16, effects: &mut Vec<Effect>) {
        self.size = (width, height);
        self.dirty = true;
        self.settle(effects);
        self.lay_out_record();
    }

    pub(super) fn open(&mut self, opened: Opened, effects: &mut Vec<Effect>) {
        let first = self.status.is_none();
        self.zone = opened.zone;
        self.mask = opened.mask;
        if let Some(vocabulary) = opened.vocabulary {
            self.vocabulary = with_links(vocabulary, &self.links);
        }
        self.last_review = opened.last_review;
        self.trouble = None;
        self.dirty = true;
        let any_real = opened.status.arrived == Arrived::Real;
        self.demo |= opened.status.demo;
        self.status = Some(opened.status);
        if let Some(asked) = self.first.take() {
            self.ask_first(&asked);
        } else if first && any_real && self.place().screen == Screen::Connections {
            self.history = History::new(Place::new(Screen::Today));
        }
        self.load(effects);
    }

    /// The filter that the screen was started with; one that does not parse is put before the publisher.
    pub(super) fn ask_first(&mut self, asked: &First) {
        let line = Line::new(asked.query.trim());
        match self.parse(asked.list, line.text()) {
            // The place has it already.
            Ok(_) => {}
            Err(error) => {
                self.history.here_mut().query.clear();
                self.overlay = Some(Overlay::Bar {
                    line,
                    error: Some(error),
                    offers: Offers::default(),
                });
            }
        }
    }

    /// Something was written: the same rows again, without moving anything.
    pub(super) fn refresh(&mut self, effects: &mut Vec<Effect>) {
        effects.push(Effect::Status);
        match self.place().screen {
            Screen::Today => effects.push(Effect::Today(self.period.clone())),
            Screen::Connections | Screen::Account(_) => effects.push(Effect::Connections),
            Screen::List(_) if self.pending.is_some() => self.stale = true,
            Screen::List(list) => {
                self.stale = false;
                let limit = self.window.rows.len() + self.layout().rows() + 1;
                let from = From::Cursor(self.window.again());
                self.ask(list, from, limit, Fill::Refresh, None, effects);
            }
        }
    }
}
