//! Actions on a row, and in an opened one.

use crossterm::event::KeyCode;

use crate::tui::actions::key::{
    BACK_TAB, DOWN, ENTER, FIRST, HALF_DOWN, HALF_UP, Key, LAST, PAGE_DOWN, PAGE_UP, TAB, UP,
};
use crate::tui::actions::{Act, Action, Scope, action};
use crate::tui::app::App;

/// In the order of the footer and of the `?` sheet.
pub(super) static ACTIONS: &[Action] = &[
    action(
        Act::Kinds,
        Scope::Reader,
        &[Key::char('f')],
        "kind",
        "narrow the timeline: subscriptions, payments, consents ...",
    ),
    action(
        Act::OpenLine,
        Scope::Lines,
        ENTER,
        "open",
        "open what stands behind this line",
    )
    .unless(App::why_no_line),
    action(
        Act::NextRecord,
        Scope::Lines,
        &[Key::plain(KeyCode::Right)],
        "",
        "the row below, opened",
    ),
    action(
        Act::PreviousRecord,
        Scope::Lines,
        &[Key::plain(KeyCode::Left)],
        "",
        "the row above, opened",
    ),
    // A body as a tree.
    action(
        Act::Fold,
        Scope::Tree,
        &[Key::plain(KeyCode::Enter), Key::char(' ')],
        "open",
        "open or close the value",
    ),
    action(
        Act::GoIn,
        Scope::Tree,
        &[Key::char('l'), Key::plain(KeyCode::Right)],
        "",
        "open the value; where it is open, into it",
    ),
    action(
        Act::GoOut,
        Scope::Tree,
        &[Key::char('h'), Key::plain(KeyCode::Left)],
        "",
        "close the value; where it is closed, out of it",
    ),
    action(
        Act::OpenAll,
        Scope::Tree,
        &[Key::char('+'), Key::char('=')],
        "all",
        "open every value",
    ),
    action(
        Act::CloseAll,
        Scope::Tree,
        &[Key::char('-')],
        "none",
        "close every value",
    ),
    action(
        Act::OpenBelow,
        Scope::Tree,
        &[Key::char('*')],
        "",
        "open everything within the value",
    ),
    action(
        Act::Apply,
        Scope::Find,
        ENTER,
        "seek",
        "seek what was typed",
    ),
    // Every face.
    action(
        Act::Face,
        Scope::Pane,
        TAB,
        "turn",
        "turn on: fields, body, as it came, history ...",
    ),
    action(Act::FaceBack, Scope::Pane, BACK_TAB, "", "turn back"),
    action(
        Act::Find,
        Scope::Pane,
        &[Key::char('/')],
        "seek",
        "seek in what is open, n and N go on",
    ),
    action(
        Act::Hex,
        Scope::Pane,
        &[Key::char('x')],
        "hex",
        "the body in hex, or as text where it is text",
    )
    .unless(App::why_no_hex),
    action(
        Act::Whole,
        Scope::Pane,
        &[Key::char('z')],
        "list",
        "the whole screen, or the list too",
    )
    .unless(App::why_no_whole),
    action(
        Act::Wider,
        Scope::Pane,
        &[Key::char('<')],
        "",
        "more room for the opened row",
    )
    .unless(App::why_no_share),
    action(
        Act::Narrower,
        Scope::Pane,
        &[Key::char('>')],
        "",
        "more room for the list",
    )
    .unless(App::why_no_share),
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
        &[Key::char('J')],
        "next",
        "the row below, opened",
    ),
    action(
        Act::PreviousRecord,
        Scope::Pane,
        &[Key::char('K')],
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
        Act::CopyMenu,
        Scope::Record,
        &[Key::char('y')],
        "copy",
        "choose what to copy: value, path, JSON, CSV, the body",
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
        "the next row that fits the search; in an opened row, line",
    )
    .unless(App::why_no_search),
    action(
        Act::SearchBack,
        Scope::Record,
        &[Key::char('N')],
        "",
        "the one before that fits",
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
