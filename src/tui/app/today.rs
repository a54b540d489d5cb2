//! The daily review: its period, and marking it done.

use crossterm::event::KeyCode;

use crate::store::task::Task;
use crate::store::today::PERIODS;
use crate::tui::actions::Act;
use crate::tui::actions::key::Key;
use crate::tui::app::message::Effect;
use crate::tui::app::{App, Overlay};
use crate::tui::facts::{Period, Today};
use crate::tui::place::Screen;
use crate::tui::theme::Meaning;
use crate::tui::today::rows::{Row, beside, columns, rows, step};
use crate::tui::today::{about, place_of};

impl App {
    pub(super) fn take_today(&mut self, period: &Period, today: Today) {
        if *period != self.period {
            return;
        }
        self.dirty |= self.today.as_ref() != Some(&today);
        // The same figure stays selected where lines before it came or went.
        let line = self.place().line;
        let was = self.today.as_ref().and_then(|today| today.stop(line));
        let again = was.and_then(|was| {
            let mut same: Vec<usize> = Vec::new();
            for (place, stop) in today.stops().enumerate() {
                if (stop.term, &stop.title) == (was.term, &was.title) {
                    same.push(place);
                }
            }
            // One rule may hold for several providers.
            same.into_iter().min_by_key(|place| place.abs_diff(line))
        });
        if let Some(again) = again.filter(|_| self.place().screen == Screen::Today) {
            self.history.here_mut().line = again;
        }
        self.today = Some(today);
        self.clamp_line();
    }

    /// The rows of Today as they are on screen.
    fn today_rows(&self) -> Vec<Row> {
        self.today.as_ref().map_or_else(Vec::new, |today| {
            rows(today, columns(self.layout().main), true)
        })
    }

    /// The first line of what a figure means where the last is in sight.
    pub(super) fn explained_last_top(&self) -> usize {
        let area = self.layout().body;
        let stop = self
            .today
            .as_ref()
            .and_then(|today| today.stop(self.place().line));
        stop.map_or(0, |stop| {
            let lines = about::sheet(stop, usize::from(area.width)).len();
            about::last_top(lines, usize::from(area.height))
        })
    }

    pub(super) fn step_today(&mut self, by: isize) {
        let line = step(&self.today_rows(), self.place().line, by);
        self.history.here_mut().line = line;
    }

    pub(super) fn step_beside(&mut self, on: bool) {
        let line = beside(&self.today_rows(), self.place().line, on);
        self.history.here_mut().line = line;
    }

    pub(super) fn review(&mut self, act: Act, effects: &mut Vec<Effect>) {
        match act {
            Act::Period => self.overlay = Some(Overlay::Periods(place_of(&self.period))),
            Act::Explain => {
                let line = self.place().line;
                match self.today.as_ref().and_then(|today| today.stop(line)) {
                    Some(_) => self.overlay = Some(Overlay::Explained(0)),
                    None => self.say("nothing is selected", Meaning::Warning),
                }
            }
            Act::Review => match self.today.as_ref().map(|today| today.seq) {
                Some(seq) => self.begin(Task::MarkReviewed { seq }, effects),
                None => self.say("nothing could be read yet", Meaning::Warning),
            },
            _ => self.ask_undo(effects),
        }
    }

    /// The period before which this digit stands.
    pub(super) fn take_nth_period(&mut self, key: Key, effects: &mut Vec<Effect>) {
        if let KeyCode::Char(digit) = key.code
            && let Some(nth) = digit.to_digit(10)
        {
            self.take_period(nth.saturating_sub(1) as usize, effects);
        }
    }

    /// The period that was chosen.
    pub(super) fn take_period(&mut self, chosen: usize, effects: &mut Vec<Effect>) {
        self.overlay = None;
        if let Some((word, _)) = PERIODS.get(chosen) {
            self.period = Period((*word).to_owned());
            effects.push(Effect::Today(self.period.clone()));
        }
    }
}
