//! The opened row: what is known of it, its faces, and the ways from it to what belongs to it.

use crate::domain::page::{List, Row, RowKey};
use crate::domain::query::value_text;
use crate::tui::actions::Act;
use crate::tui::app::App;
use crate::tui::app::message::Effect;
use crate::tui::cell;
use crate::tui::facts::Door;
use crate::tui::place::{Face, Pane, Place, Screen};
use crate::tui::record::{Raw, Record};

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
        match &mut self.record {
            Some(record) if record.row.key.id == row.key.id && record.list == list => {
                if record.row != row {
                    record.row = row;
                    self.lay_out_record();
                }
            }
            _ => {
                self.record = Some(Record::new(list, row.clone()));
                effects.push(Effect::Raw { list, row });
                self.lay_out_record();
            }
        }
    }

    pub(super) fn take_raw(&mut self, of: &(List, RowKey), raw: Option<Box<Raw>>) {
        let record = self.record.as_mut();
        if let Some(record) = record.filter(|record| record.list == of.0 && record.row.key == of.1)
        {
            record.raw = raw.map(|raw| *raw);
            record.loaded = true;
            self.lay_out_record();
        }
    }

    pub(super) fn lay_out_record(&mut self) {
        let width = usize::from(self.layout().pane.width.saturating_sub(1));
        let sight = self.sight();
        if let (Some(pane), Some(record)) = (self.history.here().pane, &mut self.record) {
            record.lay_out(pane, width, sight);
            self.dirty = true;
        }
        self.clamp_scroll();
    }

    pub(super) fn clamp_scroll(&mut self) {
        let lines = self.record.as_ref().map_or(0, |record| record.lines.len());
        let height = usize::from(self.layout().pane.height.saturating_sub(1));
        if let Some(pane) = &mut self.history.here_mut().pane {
            pane.scroll = pane.scroll.min(lines.saturating_sub(height));
        }
    }

    pub(super) fn turn(&mut self, act: Act) {
        if let Some(pane) = &mut self.history.here_mut().pane {
            match act {
                Act::Face => {
                    pane.face = match pane.face {
                        Face::Fields => Face::Raw,
                        Face::Raw => Face::Fields,
                    };
                    pane.scroll = 0;
                }
                _ => pane.verbatim = !pane.verbatim,
            }
        }
        self.lay_out_record();
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
            Act::Delivery => seq_of(list, row).map(|seq| {
                let mut place = Place::new(Screen::DELIVERIES);
                place.seek = Some(seq);
                place.pane = Some(Pane::default());
                place
            }),
            Act::Events => self.events_place(list, row),
            _ => reader_of(list, row).map(|door| {
                let mut place = Place::with_query(Screen::List(door.list), door.query);
                place.pane = Some(Pane::default());
                place
            }),
        };
        if let Some(place) = place {
            self.visit(place, effects);
        }
    }

    pub(super) fn events_place(&self, list: List, row: &Row) -> Option<Place> {
        if let Some(key) = self.record.as_ref().and_then(first_event) {
            let mut place = Place::new(Screen::EVENTS);
            place.top = Some(key.clone());
            place.selected = Some(key);
            return Some(place);
        }
        let door = events_of(list, row)?;
        Some(Place::with_query(Screen::EVENTS, door.query))
    }
}

pub(super) fn seq_of(list: List, row: &Row) -> Option<i64> {
    cell::field(list, row, "seq")?
        .as_int()
        .filter(|seq| *seq > 0)
}

/// The filter for one reader at one account.
fn who(list: List, row: &Row) -> Option<String> {
    let user = cell::text_field(list, row, "user_id")?;
    let mut query = format!("user:{}", value_text(user));
    for key in ["provider", "account"] {
        if let Some(value) = cell::text_field(list, row, key) {
            query.extend([" ", key, ":", &value_text(value)]);
        }
    }
    Some(query)
}

pub(super) fn events_of(list: List, row: &Row) -> Option<Door> {
    Some(Door {
        list: List::Events,
        query: who(list, row)?,
    })
}

pub(super) fn reader_of(list: List, row: &Row) -> Option<Door> {
    if list == List::Users {
        return None;
    }
    Some(Door {
        list: List::Users,
        query: who(list, row)?,
    })
}

pub(super) fn first_event(record: &Record) -> Option<RowKey> {
    if record.list != List::Deliveries {
        return None;
    }
    Some(record.raw.as_ref()?.events.first()?.key.clone())
}
