//! The daily review: its period, and marking it done.

use crate::store::task::Task;
use crate::tui::actions::Act;
use crate::tui::app::App;
use crate::tui::app::message::Effect;
use crate::tui::facts::{Period, Today};
use crate::tui::theme::Meaning;

impl App {
    pub(super) fn take_today(&mut self, period: Period, today: Today) {
        if period == self.period {
            self.dirty |= self.today.as_ref() != Some(&today);
            self.today = Some(today);
            self.clamp_line();
        }
    }

    pub(super) fn review(&mut self, act: Act, effects: &mut Vec<Effect>) {
        match act {
            Act::Period => {
                self.period = self.period.next();
                effects.push(Effect::Today(self.period));
            }
            Act::Review => match self.today.as_ref().map(|today| today.seq) {
                Some(seq) => effects.push(Effect::Task(Task::MarkReviewed { seq })),
                None => self.say("nothing could be read yet", Meaning::Warning),
            },
            _ => effects.push(Effect::Task(Task::UndoReview)),
        }
    }
}
