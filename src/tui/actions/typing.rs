//! Actions where something is typed or chosen.

use crossterm::event::KeyCode;

use crate::tui::actions::key::{DOWN, ENTER, ESC, FIRST, Key, LAST, PAGE_DOWN, PAGE_UP, TAB, UP};
use crate::tui::actions::{Act, Action, Scope, action};
use crate::tui::app::App;

/// In the order of the footer and of the `?` sheet.
pub(super) static ACTIONS: &[Action] = &[
    action(Act::Apply, Scope::Bar, ENTER, "apply", "apply the filter"),
    action(
        Act::Suggest,
        Scope::Bar,
        TAB,
        "take it",
        "take the suggestion",
    )
    .unless(App::why_no_suggestion),
    action(Act::Apply, Scope::Time, ENTER, "go", "go to that time"),
    action(
        Act::Back,
        Scope::Typing,
        ESC,
        "leave",
        "leave without a change",
    ),
    action(
        Act::CaretLeft,
        Scope::Typing,
        &[Key::plain(KeyCode::Left), Key::ctrl('b')],
        "",
        "caret to the left",
    ),
    action(
        Act::CaretRight,
        Scope::Typing,
        &[Key::plain(KeyCode::Right), Key::ctrl('f')],
        "",
        "caret to the right",
    ),
    action(
        Act::CaretStart,
        Scope::Typing,
        &[Key::plain(KeyCode::Home), Key::ctrl('a')],
        "",
        "caret to the start",
    ),
    action(
        Act::CaretEnd,
        Scope::Typing,
        &[Key::plain(KeyCode::End), Key::ctrl('e')],
        "",
        "caret to the end",
    ),
    action(
        Act::EraseBefore,
        Scope::Typing,
        &[Key::plain(KeyCode::Backspace), Key::ctrl('h')],
        "",
        "remove before the caret",
    ),
    action(
        Act::EraseAfter,
        Scope::Typing,
        &[Key::plain(KeyCode::Delete), Key::ctrl('d')],
        "",
        "remove after the caret",
    ),
    action(
        Act::EraseWord,
        Scope::Typing,
        &[Key::ctrl('w')],
        "",
        "remove the word before the caret",
    ),
    action(
        Act::EraseLine,
        Scope::Typing,
        &[Key::ctrl('u')],
        "",
        "remove all before the caret",
    ),
    // Choosing a filter.
    action(
        Act::Toggle,
        Scope::Picker,
        &[Key::char(' ')],
        "choose",
        "choose the value or leave it out",
    ),
    action(
        Act::Apply,
        Scope::Picker,
        ENTER,
        "apply",
        "apply what is chosen",
    ),
    action(
        Act::Back,
        Scope::Picker,
        &[Key::plain(KeyCode::Esc), Key::char('q')],
        "leave",
        "leave without a change",
    ),
    action(
        Act::Clear,
        Scope::Picker,
        &[Key::char('x')],
        "none",
        "choose nothing",
    ),
    action(Act::Down, Scope::Picker, DOWN, "", "the next value"),
    action(Act::Up, Scope::Picker, UP, "", "the value before"),
    action(
        Act::Suggest,
        Scope::Picker,
        TAB,
        "next part",
        "to the next part",
    ),
    action(Act::PageDown, Scope::Picker, PAGE_DOWN, "", "a screen down"),
    action(Act::PageUp, Scope::Picker, PAGE_UP, "", "a screen up"),
    action(Act::First, Scope::Picker, FIRST, "", "to the first value"),
    action(Act::Last, Scope::Picker, LAST, "", "to the last value"),
];
