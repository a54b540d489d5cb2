//! Actions on a row, and in an opened one.

use crossterm::event::KeyCode;

use crate::tui::actions::key::{
    DOWN, FIRST, HALF_DOWN, HALF_UP, Key, LAST, PAGE_DOWN, PAGE_UP, TAB, UP,
};
use crate::tui::actions::{Act, Action, Scope, action};
use crate::tui::app::App;

/// In the order of the footer and of the `?` sheet.
pub(super) static ACTIONS: &[Action] = &[
    action(
        Act::Face,
        Scope::Pane,
        TAB,
        "raw",
        "fields, or the webhook as it came: headers and body",
    ),
    action(
        Act::Pretty,
        Scope::Pane,
        &[Key::char('p')],
        "indent",
        "JSON indented, or as received",
    )
    .unless(App::why_no_pretty),
    action(Act::Down, Scope::Pane, DOWN, "", "one line down"),
    action(Act::Up, Scope::Pane, UP, "", "one line up"),
    action(Act::PageDown, Scope::Pane, PAGE_DOWN, "", "a screen down"),
    action(Act::PageUp, Scope::Pane, PAGE_UP, "", "a screen up"),
    action(
        Act::HalfDown,
        Scope::Pane,
        HALF_DOWN,
        "",
        "half a screen down",
    ),
    action(Act::HalfUp, Scope::Pane, HALF_UP, "", "half a screen up"),
    action(Act::First, Scope::Pane, FIRST, "", "to the first line"),
    action(Act::Last, Scope::Pane, LAST, "", "to the last line"),
    action(
        Act::NextRecord,
        Scope::Pane,
        &[Key::char('J'), Key::plain(KeyCode::Right)],
        "next",
        "the row below, opened",
    ),
    action(
        Act::PreviousRecord,
        Scope::Pane,
        &[Key::char('K'), Key::plain(KeyCode::Left)],
        "",
        "the row above, opened",
    ),
    // A row, opened or not.
    action(
        Act::Delivery,
        Scope::Record,
        &[Key::char('d')],
        "webhook",
        "the webhook that this came with",
    )
    .unless(App::why_no_delivery),
    action(
        Act::Events,
        Scope::Record,
        &[Key::char('e')],
        "events",
        "the events of this reader, subscription or webhook",
    )
    .unless(App::why_no_events),
    action(
        Act::Who,
        Scope::Record,
        &[Key::char('w')],
        "reader",
        "the reader of this row",
    )
    .unless(App::why_no_reader),
    action(
        Act::Copy,
        Scope::Record,
        &[Key::char('y')],
        "copy",
        "copy the row as JSON, or the body that is on screen",
    )
    .unless(App::why_no_row),
    action(
        Act::Search,
        Scope::Record,
        &[Key::char('s')],
        "search",
        "search this list without filtering it",
    ),
    action(
        Act::SearchOn,
        Scope::Record,
        &[Key::char('n')],
        "",
        "the next row that fits the search",
    )
    .unless(App::why_no_search),
    action(
        Act::SearchBack,
        Scope::Record,
        &[Key::char('N')],
        "",
        "the row before that fits the search",
    )
    .unless(App::why_no_search),
    action(
        Act::CopyCommand,
        Scope::Record,
        &[Key::char('Y')],
        "",
        "copy the command that brings this screen back",
    ),
];
