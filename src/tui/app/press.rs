//! A key becomes an action, and an action is done.

use crate::tui::actions::key::Key;
use crate::tui::actions::{self, Act, Danger};
use crate::tui::app::message::Effect;
use crate::tui::app::{App, Overlay};
use crate::tui::layout::SIZE_MIN;
use crate::tui::palette::Palette;
use crate::tui::theme::Meaning;
use crate::tui::window::Edge;
use crate::tui::{Leave, OnQuit};

impl App {
    pub(super) fn press(&mut self, key: Key, effects: &mut Vec<Effect>) {
        self.dirty |= self.notice.take().is_some();
        let too_small = self.size.0 < SIZE_MIN.0 || self.size.1 < SIZE_MIN.1;
        if let Some(action) = actions::lookup(self.scopes(), key) {
            let leaves = matches!(action.act, Act::Quit | Act::Stop | Act::Suspend);
            if too_small && !leaves {
                return;
            }
            self.dirty = true;
            match ((action.why_not)(self), action.act) {
                (Some(why), _) => self.say(why, Meaning::Warning),
                (None, Act::Nth) => self.take_nth_period(key, effects),
                (None, act) => self.act(act, effects),
            }
        } else if matches!(self.overlay, Some(Overlay::Ask(_))) {
            self.leave_question();
        } else if let Some(Overlay::Periods(_) | Overlay::Explained(_)) = self.overlay {
            self.press_below(key, effects);
        } else if let crossterm::event::KeyCode::Char(c) = key.code
            && !key.ctrl
        {
            self.insert(c.encode_utf8(&mut [0; 4]));
        }
    }

    /// A key that means nothing in what stands over Today closes it and does what it does on Today; what writes is not
    /// done from there.
    fn press_below(&mut self, key: Key, effects: &mut Vec<Effect>) {
        let action = actions::lookup(self.place_scopes(), key);
        if action.is_some_and(|action| action.danger == Danger::Looks) {
            self.overlay = None;
            self.press(key, effects);
        } else {
            self.say("Esc closes this first", Meaning::Warning);
        }
    }

    pub(super) fn act(&mut self, act: Act, effects: &mut Vec<Effect>) {
        match act {
            Act::Go(screen) => self.go(screen, effects),
            Act::Open => self.open_selected(effects),
            Act::Back => self.back(effects),
            Act::HistoryBack => {
                if self.history.back() {
                    self.load(effects);
                }
            }
            Act::HistoryOn => {
                if self.history.on() {
                    self.load(effects);
                }
            }
            Act::Down => self.step(1, effects),
            Act::Up => self.step(-1, effects),
            Act::PageDown => self.step(self.screenful(), effects),
            Act::PageUp => self.step(-self.screenful(), effects),
            Act::HalfDown => self.step((self.screenful() / 2).max(1), effects),
            Act::HalfUp => self.step(-(self.screenful() / 2).max(1), effects),
            Act::First => self.go_to_edge(Edge::Before, effects),
            Act::Last => self.go_to_edge(Edge::After, effects),
            Act::NextRecord => self.step_rows(1, effects),
            Act::PreviousRecord => self.step_rows(-1, effects),
            Act::Switch => self.switch(effects),
            Act::Turn => self.order_by(self.place().order.turned(), effects),
            Act::Delivery | Act::Events | Act::Who => self.follow(act, effects),
            Act::Copy | Act::CopyCurl | Act::CopySend => self.copy_link(act, effects),
            Act::CopyMenu => self.offer_copies(),
            Act::CopyThis(what) => self.copy(what, effects),
            Act::CopyCommand => self.copy_command(effects),
            Act::Follow => self.hold_or_follow(effects),
            Act::Suspend => effects.push(Effect::Suspend),
            Act::Redraw => effects.push(Effect::Redraw),
            Act::Quit | Act::Keep | Act::Install | Act::Stop => self.leave(act, effects),
            Act::Period | Act::Explain | Act::Review | Act::UndoReview => {
                self.review(act, effects);
            }
            Act::Admit | Act::Retry | Act::RetryAll | Act::MarkTest | Act::MarkReader => {
                self.put_right(act, effects);
            }
            Act::Yes => self.answer_yes(effects),
            Act::StopOn => self.step_beside(true),
            Act::StopBack => self.step_beside(false),
            Act::Zone => self.next_zone(),
            Act::Mask => self.turn_mask(),
            Act::Help => self.overlay = Some(Overlay::Help(Palette::default())),
            Act::Palette => self.overlay = Some(Overlay::Help(Palette::wide())),
            Act::SearchOn | Act::SearchBack if self.seeks_in_record() => {
                self.act_on_record(act, effects);
            }
            _ if act.is_of_record() => self.act_on_record(act, effects),
            _ => self.act_on_filter(act, effects),
        }
    }

    pub(super) fn leave(&mut self, act: Act, effects: &mut Vec<Effect>) {
        let leave = match (act, self.receiver.ours, self.on_quit) {
            (Act::Keep, ..) | (Act::Quit, true, OnQuit::Keep) => Leave::KeepReceiver,
            (Act::Install, ..) => Leave::InstallService,
            (Act::Stop, true, _) | (Act::Quit, true, OnQuit::Stop) => Leave::StopReceiver,
            (Act::Quit, true, OnQuit::Ask) => {
                self.overlay = Some(Overlay::Leaving);
                return;
            }
            _ => Leave::Quit,
        };
        effects.push(Effect::Leave(leave));
    }
}
