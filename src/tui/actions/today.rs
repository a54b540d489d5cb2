//! Actions on Today.

use crossterm::event::KeyCode;

use crate::store::today::PERIODS;
use crate::tui::actions::key::{
    DOWN, ENTER, FIRST, Key, LAST, LEFT, PAGE_DOWN, PAGE_UP, RIGHT, UP,
};
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
        "choose another period",
    ),
    action(
        Act::Review,
        Scope::Today,
        &[Key::char('R')],
        "reviewed",
        "mark everything up to now as reviewed",
    )
    .undoable(),
    action(
        Act::UndoReview,
        Scope::Today,
        &[Key::char('u')],
        "",
        "take the last review back",
    )
    .asking(),
    action(
        Act::Explain,
        Scope::Today,
        &[Key::char('i')],
        "means",
        "what the selected figure means and compares with",
    ),
    action(
        Act::StopOn,
        Scope::Today,
        RIGHT,
        "",
        "the next figure of the line",
    ),
    action(Act::StopBack, Scope::Today, LEFT, "", "the figure before"),
    action(Act::Down, Scope::Today, DOWN, "", "one line down"),
    action(Act::Up, Scope::Today, UP, "", "one line up"),
    action(Act::PageDown, Scope::Today, PAGE_DOWN, "", "a screen down"),
    action(Act::PageUp, Scope::Today, PAGE_UP, "", "a screen up"),
    action(Act::First, Scope::Today, FIRST, "", "to the first line"),
    action(Act::Last, Scope::Today, LAST, "", "to the last line"),
    action(
        Act::Apply,
        Scope::Periods,
        ENTER,
        "take it",
        "show this period",
    ),
    action(
        Act::Down,
        Scope::Periods,
        PERIOD_ON,
        "next",
        "the next period",
    ),
    action(Act::Up, Scope::Periods, UP, "", "the period before"),
    action(
        Act::Back,
        Scope::Periods,
        CLOSE_PERIODS,
        "leave",
        "keep the period",
    ),
    action(Act::Nth, Scope::Periods, DIGITS, "", "show this one"),
    action(Act::First, Scope::Periods, FIRST, "", "to the first period"),
    action(Act::Last, Scope::Periods, LAST, "", "to the last period"),
    action(Act::Down, Scope::Explained, DOWN, "", "further down"),
    action(Act::Up, Scope::Explained, UP, "", "further up"),
    action(
        Act::PageDown,
        Scope::Explained,
        PAGE_DOWN,
        "",
        "a screen down",
    ),
    action(Act::PageUp, Scope::Explained, PAGE_UP, "", "a screen up"),
    action(
        Act::Back,
        Scope::Explained,
        CLOSE_EXPLAINED,
        "close",
        "close this",
    ),
];

const PERIOD_ON: &[Key] = &[Key::char('j'), Key::plain(KeyCode::Down), Key::char('p')];
const CLOSE_PERIODS: &[Key] = &[Key::plain(KeyCode::Esc), Key::char('q')];
/// One for each period.
const DIGITS: &[Key; PERIODS.len()] = &[
    Key::char('1'),
    Key::char('2'),
    Key::char('3'),
    Key::char('4'),
    Key::char('5'),
    Key::char('6'),
    Key::char('7'),
];
const CLOSE_EXPLAINED: &[Key] = &[
    Key::plain(KeyCode::Esc),
    Key::char('i'),
    Key::char('q'),
    Key::plain(KeyCode::Enter),
];
