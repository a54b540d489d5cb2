//! Actions in lists of rows.

use crate::tui::actions::key::{
    DOWN, ENTER, FIRST, HALF_DOWN, HALF_UP, Key, LAST, PAGE_DOWN, PAGE_UP, UP,
};
use crate::tui::actions::{Act, Action, Scope, action};
use crate::tui::app::App;

/// In the order of the footer and of the `?` sheet.
pub(super) static ACTIONS: &[Action] = &[
    action(
        Act::Open,
        Scope::Rows,
        ENTER,
        "open",
        "open the selected row",
    ),
    action(
        Act::Filter,
        Scope::Rows,
        &[Key::char('/')],
        "filter",
        "type a filter",
    ),
    action(
        Act::Pick,
        Scope::Rows,
        &[Key::char('F')],
        "choose",
        "choose provider, type, account and day, with counts",
    ),
    action(
        Act::Clear,
        Scope::Rows,
        &[Key::char('x')],
        "clear",
        "drop the filter, or the term of it that hides all rows",
    )
    .unless(App::why_no_clear),
    action(
        Act::Jump,
        Scope::Rows,
        &[Key::char('@')],
        "time",
        "jump to a time: 14:30, yesterday, 2026-11-20, 7d",
    ),
    action(
        Act::Turn,
        Scope::Rows,
        &[Key::char('o')],
        "",
        "turn the order: oldest first, newest first",
    ),
    action(
        Act::Export,
        Scope::Rows,
        &[Key::char('E')],
        "",
        "write all rows of this list into a file; again: leave it be",
    ),
    action(
        Act::Follow,
        Scope::Rows,
        &[Key::char('f')],
        "",
        "hold the rows on screen, or follow what comes",
    ),
    action(Act::Down, Scope::Rows, DOWN, "", "one row down"),
    action(Act::Up, Scope::Rows, UP, "", "one row up"),
    action(Act::PageDown, Scope::Rows, PAGE_DOWN, "", "a screen down"),
    action(Act::PageUp, Scope::Rows, PAGE_UP, "", "a screen up"),
    action(
        Act::HalfDown,
        Scope::Rows,
        HALF_DOWN,
        "",
        "half a screen down",
    ),
    action(Act::HalfUp, Scope::Rows, HALF_UP, "", "half a screen up"),
    action(Act::First, Scope::Rows, FIRST, "", "to the first row"),
    action(Act::Last, Scope::Rows, LAST, "", "to the last row"),
    action(
        Act::Switch,
        Scope::Consent,
        &[Key::char('c')],
        "state/history",
        "switch between the present state and the history",
    ),
];
