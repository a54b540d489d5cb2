//! Actions where something is typed or chosen.

use crossterm::event::KeyCode;

use crate::tui::actions::key::{DOWN, ENTER, ESC, FIRST, Key, LAST, PAGE_DOWN, PAGE_UP, TAB, UP};
use crate::tui::actions::{Act, Action, Scope, action};

/// In the order of the footer and of the `?` sheet.
pub(super) static ACTIONS: &[Action] = &[
    action(
        Act::Apply,
        Scope::Bar,
        ENTER,
        "apply",
        "apply what was typed, or take the chosen offer",
    ),
    action(
        Act::Suggest,
        Scope::Bar,
        TAB,
        "complete",
        "take the first or chosen offer; in a gap, show all keys",
    ),
    action(
        Act::Down,
        Scope::Bar,
        &[Key::plain(KeyCode::Down), Key::ctrl('n')],
        "",
        "the next offer; without offers, what was typed after",
    ),
    action(
        Act::Up,
        Scope::Bar,
        &[Key::plain(KeyCode::Up), Key::ctrl('p')],
        "",
        "the offer before; without offers, what was typed before",
    ),
    action(Act::Apply, Scope::Time, ENTER, "go", "go to that time"),
    action(
        Act::Back,
        Scope::Typing,
        ESC,
        "leave",
        "close the offers, else leave without a change",
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
        "apply what is chosen; nothing chosen: the value here",
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
    // Saved filters.
    action(
        Act::Apply,
        Scope::Views,
        ENTER,
        "open",
        "open the saved filter",
    ),
    action(
        Act::PinView,
        Scope::Views,
        &[Key::char('p')],
        "pin",
        "pin it to a digit, or free its digit",
    )
    .undoable(),
    action(
        Act::DropView,
        Scope::Views,
        &[Key::char('D')],
        "delete",
        "delete the saved filter",
    )
    .asking(),
    action(
        Act::Back,
        Scope::Views,
        LEAVE,
        "leave",
        "leave without a change",
    ),
    action(Act::Down, Scope::Views, DOWN, "", "the next one"),
    action(Act::Up, Scope::Views, UP, "", "the one before"),
    action(Act::PageDown, Scope::Views, PAGE_DOWN, "", "a screen down"),
    action(Act::PageUp, Scope::Views, PAGE_UP, "", "a screen up"),
    action(Act::First, Scope::Views, FIRST, "", "to the first"),
    action(Act::Last, Scope::Views, LAST, "", "to the last"),
    pinned(1, &[Key::char('1')]),
    pinned(2, &[Key::char('2')]),
    pinned(3, &[Key::char('3')]),
    pinned(4, &[Key::char('4')]),
    pinned(5, &[Key::char('5')]),
    pinned(6, &[Key::char('6')]),
    pinned(7, &[Key::char('7')]),
    pinned(8, &[Key::char('8')]),
    pinned(9, &[Key::char('9')]),
    // Formats of a file.
    action(Act::Apply, Scope::Export, ENTER, "write", "write the file"),
    action(
        Act::Back,
        Scope::Export,
        LEAVE,
        "leave",
        "leave without a file",
    ),
    action(Act::Down, Scope::Export, DOWN, "", "the next format"),
    action(Act::Up, Scope::Export, UP, "", "the format before"),
];

const LEAVE: &[Key] = &[Key::plain(KeyCode::Esc), Key::char('q')];

const fn pinned(digit: u8, keys: &'static [Key]) -> Action {
    action(
        Act::Pinned(digit),
        Scope::Views,
        keys,
        "",
        "open the one that is pinned to it",
    )
}
