//! The opened row: what is known of it, its faces, and the ways from it to what belongs to it.

use crate::domain::page::{List, Row, RowKey};
use crate::store::query::Kinds;
use crate::tui::actions::Act;
use crate::tui::app::message::Effect;
use crate::tui::app::{App, Overlay};
use crate::tui::edit::Line;
use crate::tui::layout::Share;
use crate::tui::place::{Face, Pane, Place, Screen};
use crate::tui::record::{Frame, Raw, Record};
use crate::tui::theme::Meaning;
use crate::tui::tree::Tree;
use crate::tui::ways;

/// A step of the border between list and opened row, in percent.
const SHARE_STEP: i16 = 5;

/// From so many cells on the body stands beside what was read out of it, and the timeline beside the reader.
const BESIDE_WIDTH: u16 = 120;

/// The cells that what stands beside a face takes: the body, or the timeline of a reader.
pub fn beside_width(face: Face, pane_width: u16) -> u16 {
    let has_other = matches!(face, Face::Fields | Face::Consent | Face::Reader);
    if has_other && pane_width >= BESIDE_WIDTH {
        pane_width / 2
    } else {
        0
    }
}

/// Showing.
impl App {
    /// The opened row follows the selected one.
    pub(super) fn keep_record(&mut self, effects: &mut Vec<Effect>) {
        if self.place().pane.is_none() {
            self.record = None;
            return;
        }
        let Some((list, row)) = self.selected().map(|(list, row)| (list, row.clone())) else {
            self.record = None;
            return;
        };
        let kinds = self.kinds;
        match &mut self.record {
            Some(record) if record.row.key.id == row.key.id && record.list == list => {
                if record.row != row {
                    record.row = row.clone();
                    // What belongs to it may have changed too.
                    effects.push(Effect::Raw { list, row, kinds });
                    self.lay_out_record();
                }
            }
            _ => {
                self.record = Some(Record::new(list, row.clone()));
                effects.push(Effect::Raw { list, row, kinds });
                self.lay_out_record();
            }
        }
    }

    pub(super) fn take_raw(&mut self, of: &(List, RowKey), raw: Option<Box<Raw>>) {
        let record = self.record.as_mut();
        if let Some(record) = record.filter(|record| record.list == of.0 && record.row.key == of.1)
        {
            record.take(raw.map(|raw| *raw));
            self.lay_out_record();
        }
    }

    pub(super) fn lay_out_record(&mut self) {
        let pane_width = self.layout().pane.width;
        let sight = self.sight();
        if let (Some(pane), Some(record)) = (self.history.here().pane, &mut self.record) {
            let face = record.face(pane.face);
            let own = pane_width - beside_width(face, pane_width);
            let taken = if face == Face::Reader && own < pane_width {
                // As wide as the narrower of both, so that a line fits either.
                pane_width - own - 1
            } else {
                own
            };
            let width = usize::from(taken.saturating_sub(1));
            record.lay_out(Frame {
                face,
                width,
                hex: pane.hex,
                sight,
            });
            self.dirty = true;
        }
        self.clamp_pane();
    }

    /// The face of the opened row that is on screen.
    pub fn face(&self) -> Option<Face> {
        let pane = self.place().pane?;
        Some(self.record.as_ref()?.face(pane.face))
    }

    /// How the opened row shares the screen with its list; `None` if none is open.
    pub fn share(&self) -> Option<Share> {
        let pane = self.place().pane?;
        Some(Share {
            percent: self.percent,
            whole: pane.whole,
        })
    }

    /// The lines of the opened row that are on screen; above a tree stands a path.
    pub fn pane_height(&self) -> usize {
        let above = if self.face() == Some(Face::Body) {
            2
        } else {
            1
        };
        usize::from(self.layout().pane.height.saturating_sub(above)).max(1)
    }

    /// Brings the line that keys act on into bounds and into sight.
    pub(super) fn clamp_pane(&mut self) {
        let height = self.pane_height();
        let face = self.face();
        let lines = match (&self.record, face) {
            (Some(record), Some(face)) => record.len(face),
            _ => 0,
        };
        if let Some(pane) = &mut self.history.here_mut().pane {
            pane.line = pane.line.min(lines.saturating_sub(1));
            let top_min = (pane.line + 1).saturating_sub(height);
            pane.top = pane.top.clamp(top_min, pane.line.max(top_min));
            pane.top = pane.top.min(lines.saturating_sub(height).max(top_min));
        }
    }

    pub(super) fn step_pane(&mut self, lines: isize) {
        if let Some(pane) = &mut self.history.here_mut().pane {
            pane.line = pane.line.saturating_add_signed(lines);
        }
        self.clamp_pane();
    }

    fn stand_on(&mut self, line: usize) {
        if let Some(pane) = &mut self.history.here_mut().pane {
            pane.line = line;
        }
        self.clamp_pane();
        self.dirty = true;
    }

    /// What an opened row is told to do.
    pub(super) fn act_on_record(&mut self, act: Act, effects: &mut Vec<Effect>) {
        match act {
            Act::Face => self.turn(true),
            Act::FaceBack => self.turn(false),
            Act::Hex => {
                if let Some(pane) = &mut self.history.here_mut().pane {
                    pane.hex = !pane.hex;
                }
                self.lay_out_record();
            }
            Act::Whole | Act::Wider | Act::Narrower => self.share_out(act, effects),
            Act::Kinds => self.narrow(effects),
            Act::OpenLine => {
                if let Some(place) = self.line_opens().cloned() {
                    self.visit(place, effects);
                }
            }
            Act::Find => {
                self.overlay = Some(Overlay::Find {
                    line: Line::default(),
                });
            }
            Act::SearchOn => self.find_line(true),
            Act::SearchBack => self.find_line(false),
            _ => self.act_on_tree(act),
        }
    }

    /// To the next face or the one before.
    fn turn(&mut self, forward: bool) {
        let (Some(record), Some(face)) = (&self.record, self.face()) else {
            return;
        };
        let faces = record.faces();
        let here = faces.iter().position(|one| *one == face).unwrap_or(0);
        let step = if forward { 1 } else { faces.len() - 1 };
        let next = faces[(here + step) % faces.len()];
        if let Some(pane) = &mut self.history.here_mut().pane {
            pane.face = Some(next);
            (pane.line, pane.top) = (0, 0);
        }
        self.lay_out_record();
    }

    fn share_out(&mut self, act: Act, effects: &mut Vec<Effect>) {
        let Some(share) = self.share() else { return };
        let (width, height) = self.size;
        match act {
            Act::Whole => {
                let whole = !share.is_whole(width, height);
                if let Some(pane) = &mut self.history.here_mut().pane {
                    pane.whole = Some(whole);
                }
            }
            Act::Wider => self.percent = share.moved(SHARE_STEP, width).percent,
            _ => self.percent = share.moved(-SHARE_STEP, width).percent,
        }
        self.settle(effects);
        self.lay_out_record();
    }

    /// The next kind of events on a reader's timeline.
    fn narrow(&mut self, effects: &mut Vec<Effect>) {
        let Some(record) = &self.record else { return };
        self.kinds = record.kinds().map_or(Kinds::All, Kinds::next);
        effects.push(Effect::Raw {
            list: record.list,
            row: record.row.clone(),
            kinds: self.kinds,
        });
    }

    /// What Enter opens on the line that keys act on.
    pub fn line_opens(&self) -> Option<&Place> {
        let line = self.place().pane?.line;
        if self.tree().is_some() {
            return None;
        }
        self.record.as_ref()?.line(line)?.opens.as_deref()
    }
}

/// The tree, and searching.
impl App {
    /// The tree that is on screen.
    pub fn tree(&self) -> Option<&Tree> {
        self.record.as_ref()?.tree(self.face()?)
    }

    fn act_on_tree(&mut self, act: Act) {
        let Some(line) = self.place().pane.map(|pane| pane.line) else {
            return;
        };
        if self.tree().is_none() {
            return;
        }
        let Some(tree) = self.record.as_mut().and_then(Record::tree_mut) else {
            return;
        };
        let line = match act {
            Act::GoIn => tree.go_in(line),
            Act::GoOut => tree.go_out(line),
            Act::OpenAll => tree.open_all(line),
            Act::CloseAll => tree.close_all(line),
            Act::OpenBelow => {
                tree.open_below(line);
                line
            }
            _ => {
                tree.toggle(line);
                line
            }
        };
        self.stand_on(line);
    }

    /// What was typed is what is sought from now on.
    pub(super) fn seek(&mut self, text: &str) {
        if !text.is_empty() {
            text.clone_into(&mut self.sought);
        }
        self.find_line(true);
    }

    /// Whether what is sought is sought in the opened row rather than among the rows.
    pub fn seeks_in_record(&self) -> bool {
        self.place().pane.is_some() && !self.sought.is_empty()
    }

    /// To the next line that holds what is sought.
    fn find_line(&mut self, forward: bool) {
        let (Some(face), Some(pane)) = (self.face(), self.place().pane) else {
            return;
        };
        let sought = self.sought.clone();
        if sought.is_empty() {
            return self.say("nothing is sought yet: / seeks", Meaning::Warning);
        }
        let Some(record) = &mut self.record else {
            return;
        };
        let found = record.find(face, &sought, pane.line, forward);
        match found {
            Some((line, again)) => {
                self.stand_on(line);
                if again {
                    let from = if forward { "the beginning" } else { "the end" };
                    self.say(format!("found from {from} again"), Meaning::Quiet);
                }
            }
            None => self.say(format!("not found: {sought}"), Meaning::Warning),
        }
    }
}

/// From a row to others.
impl App {
    /// From a row to what belongs to it.
    pub(super) fn follow(&mut self, act: Act, effects: &mut Vec<Effect>) {
        let Some((list, row)) = self.selected() else {
            return;
        };
        let place = match act {
            Act::Delivery => ways::seq_of(list, row).map(ways::delivery),
            Act::Events => self.events_place(list, row),
            _ => ways::reader_of(list, row),
        };
        if let Some(place) = place {
            self.visit(place, effects);
        }
    }

    fn events_place(&self, list: List, row: &Row) -> Option<Place> {
        if let Some(key) = self.record.as_ref().and_then(first_event) {
            let mut place = Place::new(Screen::EVENTS);
            place.top = Some(key.clone());
            place.selected = Some(key);
            return Some(place);
        }
        let door = ways::events_of(list, row)?;
        Some(Place::with_query(Screen::EVENTS, door.query))
    }

    /// Of the readers that a filter found, the one that was meant: others may have the same id as another id.
    pub(super) fn select_reader(&mut self) {
        let Some(user) = self.history.here_mut().reader.take() else {
            return;
        };
        let is_meant = |row: &Row| {
            crate::tui::cell::text_field(List::Users, row, "user_id") == Some(user.as_str())
        };
        if let Some(place) = self.window.rows.iter().position(is_meant) {
            self.window.selected = place;
        } else if self.window.rows.is_empty() {
            self.history.here_mut().pane = None::<Pane>;
        }
    }
}

pub(super) fn first_event(record: &Record) -> Option<RowKey> {
    if record.list != List::Deliveries {
        return None;
    }
    Some(record.raw.as_ref()?.events.first()?.key.clone())
}
