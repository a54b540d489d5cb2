//! Actions in the menu of what can be copied.

use crossterm::event::KeyCode;

use crate::tui::actions::key::{DOWN, ENTER, Key, UP};
use crate::tui::actions::{Act, Action, Scope, action};
use crate::tui::copy::What;

/// In the order of the footer and of the `?` sheet.
pub(super) static ACTIONS: &[Action] = &[
    action(
        Act::Apply,
        Scope::Copy,
        ENTER,
        "copy",
        "copy the chosen one",
    ),
    action(
        Act::CopyThis(What::Value),
        Scope::Copy,
        &[Key::char('y')],
        "",
        "the value under the cursor",
    ),
    action(
        Act::CopyThis(What::Path),
        Scope::Copy,
        &[Key::char('p')],
        "",
        "its path, or the name of its column",
    ),
    action(
        Act::CopyThis(What::Json),
        Scope::Copy,
        &[Key::char('v')],
        "",
        "its JSON, as it was sent",
    ),
    action(
        Act::CopyThis(What::Row),
        Scope::Copy,
        &[Key::char('r')],
        "",
        "the row as JSON",
    ),
    action(
        Act::CopyThis(What::Csv),
        Scope::Copy,
        &[Key::char('c')],
        "",
        "the row as a line of CSV",
    ),
    action(
        Act::CopyThis(What::Body),
        Scope::Copy,
        &[Key::char('b')],
        "",
        "the whole body, byte for byte",
    ),
    action(
        Act::Back,
        Scope::Copy,
        &[Key::plain(KeyCode::Esc), Key::char('q')],
        "leave",
        "leave without copying",
    ),
    action(Act::Down, Scope::Copy, DOWN, "", "the next one"),
    action(Act::Up, Scope::Copy, UP, "", "the one before"),
];
