//! Actions on Connections.

use crate::tui::actions::key::{DOWN, ENTER, FIRST, Key, LAST, PAGE_DOWN, PAGE_UP, UP};
use crate::tui::actions::{Act, Action, Scope, action};
use crate::tui::app::App;

/// In the order of the footer and of the `?` sheet.
pub(super) static ACTIONS: &[Action] = &[
    action(
        Act::Open,
        Scope::Connections,
        ENTER,
        "open",
        "all about this account; there, the list behind a line",
    )
    .unless(App::why_nothing_opens),
    action(
        Act::Copy,
        Scope::Connections,
        &[Key::char('y')],
        "copy",
        "copy the link, or the command that adds what is missing",
    )
    .unless(App::why_no_link),
    action(
        Act::CopyCurl,
        Scope::Connections,
        &[Key::char('Y')],
        "copy curl",
        "copy a command that sends a sample with curl",
    )
    .unless(App::why_no_card),
    action(
        Act::CopySend,
        Scope::Connections,
        &[Key::char('t')],
        "copy send",
        "copy the command that sends a correctly signed sample",
    )
    .unless(App::why_no_card),
    action(Act::Down, Scope::Connections, DOWN, "", "the next line"),
    action(Act::Up, Scope::Connections, UP, "", "the line before"),
    action(
        Act::PageDown,
        Scope::Connections,
        PAGE_DOWN,
        "",
        "a screen down",
    ),
    action(Act::PageUp, Scope::Connections, PAGE_UP, "", "a screen up"),
    action(
        Act::First,
        Scope::Connections,
        FIRST,
        "",
        "to the first line",
    ),
    action(Act::Last, Scope::Connections, LAST, "", "to the last line"),
];
