//! Events one below the other, newest first, each openable; long stretches without any are one line.

use std::collections::HashMap;

use crate::domain::page::{List, Row};
use crate::domain::printable::Printable;
use crate::domain::time::{DAY_MS, Timestamp};
use crate::store::query::Past;
use crate::tui::cell::{self, When};
use crate::tui::rows::{Piece, RecordLine, Rows};
use crate::tui::theme::Meaning;
use crate::tui::ways;

/// From so many days on a stretch without events is told.
const GAP_DAYS: i64 = 7;

/// So many consents of one event are named.
const CONSENTS_MAX: usize = 6;

/// What events did to consents, in words, by the event's id.
pub type Turns = HashMap<i64, Vec<String>>;

/// What `changes`, rows of `List::Changes`, say of each event.
pub fn turns(changes: &[Row]) -> Turns {
    let mut turns = Turns::new();
    for row in changes {
        let text = |name: &str| cell::text_field(List::Changes, row, name);
        let purpose = text("purpose").unwrap_or_default();
        let after = text("after_state").unwrap_or_default();
        let turn = match text("before_state") {
            Some(before) => format!("{purpose} {before} to {after}"),
            None => format!("{purpose} {after}"),
        };
        turns.entry(row.key.id / 10_000).or_default().push(turn);
    }
    turns
}

fn at_of(row: &Row) -> Option<Timestamp> {
    Timestamp::parse(cell::text_field(List::Events, row, "at")?)
}

/// One event, which Enter opens.
pub fn event(rows: &mut Rows, label: &str, row: &Row, when: When, turned: &[String]) {
    let line = RecordLine::new(label).opening(Some(ways::row(List::Events, &row.key)));
    let mut pieces = Vec::new();
    if label == "event" {
        let at = at_of(row).map_or_else(String::new, |at| format!("{}  ", when.short(at)));
        pieces.push(Piece::new(at, Meaning::Plain));
    }
    if cell::is_test(List::Events, row) {
        pieces.push(Piece::new("TEST ", Meaning::Test));
    }
    let kind = cell::text_field(List::Events, row, "type").unwrap_or_default();
    pieces.push(Piece::new(
        String::from(Printable::line(kind)),
        Meaning::Plain,
    ));
    let more = cell::summary(List::Events, row, &["plan", "amount_minor"], when.into());
    if !more.is_empty() {
        pieces.push(Piece::new(format!("  {more}"), Meaning::Plain));
    }
    if !turned.is_empty() {
        let mut told: Vec<String> = turned.iter().take(CONSENTS_MAX).cloned().collect();
        if turned.len() > CONSENTS_MAX {
            told.push(format!("{} more", turned.len() - CONSENTS_MAX));
        }
        let told = Printable::line(&told.join(", "));
        pieces.push(Piece::new(format!("  {}", told.as_str()), Meaning::Strong));
    }
    rows.put_line(line, &pieces);
}

/// How many whole days lie between two instants, the later first, if they are enough to be told.
fn gap(later: Timestamp, earlier: Timestamp) -> Option<i64> {
    let days = (later.ms().saturating_sub(earlier.ms())) / DAY_MS;
    (days >= GAP_DAYS).then_some(days)
}

fn say_gap(rows: &mut Rows, days: i64, until_now: bool) {
    let until = if until_now { " until now" } else { "" };
    let days = cell::counted(days.unsigned_abs(), "day", "days");
    rows.put("", &format!("· {days} nothing{until} ·"), Meaning::Quiet);
}

/// Events with the stretches between them; `own` is the one that is open.
pub fn events(rows: &mut Rows, past: &[Row], own: Option<i64>, turns: &Turns, when: When) {
    let mut later = when.now;
    let mut first = true;
    for row in past {
        let at = at_of(row);
        if let Some(days) = at.and_then(|at| gap(later, at)) {
            say_gap(rows, days, first);
        }
        first = false;
        later = at.unwrap_or(later);
        let shown = at.map_or_else(String::new, |at| when.short(at));
        let here = rows.lines.len();
        let turned = turns.get(&row.key.id).map_or(&[][..], Vec::as_slice);
        event(rows, &shown, row, when, turned);
        if own == Some(row.key.id)
            && let Some(line) = rows.lines.get_mut(here)
        {
            line.mark = Some('>');
        }
    }
}

/// The history of a row.
pub fn history(rows: &mut Rows, past: &Past, own: Option<i64>, turns: &Turns, when: When) {
    if past.events.is_empty() {
        rows.say(
            "No event is kept that this row came from: they were erased or dropped, or none names it.",
            Meaning::Quiet,
        );
        return;
    }
    let count = cell::counted(past.events.len() as u64, "event", "events");
    let more = if past.more { ", and older ones" } else { "" };
    let of = Printable::line(&past.of);
    rows.heading(&format!("{}: {count}{more}", of.as_str()));
    events(rows, &past.events, own, turns, when);
    if past.more {
        rows.put("", "older ones: `e` lists them all", Meaning::Quiet);
    }
}
