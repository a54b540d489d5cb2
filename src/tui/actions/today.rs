//! Actions on Today.

use crate::tui::actions::key::{DOWN, ENTER, FIRST, Key, LAST, PAGE_DOWN, PAGE_UP, UP};
use crate::tui::actions::{Act, Action, Scope, action};

/// In the order of the footer and of the `?` sheet.
pub(super) static ACTIONS: &[Action] = &[
    action(
        Act::Open,
        Scope::Today,
        ENTER,
        "open",
        "open the list behind the selected line",
    ),
    action(
        Act::Filter,
        Scope::Today,
        &[Key::char('/')],
        "filter",
        "type a filter over all events",
    ),
    action(
        Act::CopyCommand,
        Scope::Today,
        &[Key::char('Y')],
        "",
        "copy the command that opens this screen",
    ),
    action(
        Act::Period,
        Scope::Today,
        &[Key::char('p')],
        "period",
        "the next period",
    ),
    action(
        Act::Review,
        Scope::Today,
        &[Key::char('R')],
        "reviewed",
        "mark everything up to now as reviewed",
    ),
    action(
        Act::UndoReview,
        Scope::Today,
        &[Key::char('u')],
        "",
        "undo the last review",
    ),
    action(Act::Down, Scope::Today, DOWN, "", "one line down"),
    action(Act::Up, Scope::Today, UP, "", "one line up"),
    action(Act::PageDown, Scope::Today, PAGE_DOWN, "", "a screen down"),
    action(Act::PageUp, Scope::Today, PAGE_UP, "", "a screen up"),
    action(Act::First, Scope::Today, FIRST, "", "to the first line"),
    action(Act::Last, Scope::Today, LAST, "", "to the last line"),
];
