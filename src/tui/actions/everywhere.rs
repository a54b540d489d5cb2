//! Actions on every screen, in the sheet of keys and on leaving.

use crossterm::event::KeyCode;

use crate::tui::actions::key::{DOWN, ESC, FIRST, Key, LAST, PAGE_DOWN, PAGE_UP, UP};
use crate::tui::actions::{Act, Action, Scope, action};
use crate::tui::app::App;
use crate::tui::place::Screen;

/// What closes the sheet.
const CLOSE_SHEET: &[Key] = &[
    Key::plain(KeyCode::Esc),
    Key::char('?'),
    Key::char('q'),
    Key::plain(KeyCode::Enter),
];

/// In the order of the footer and of the `?` sheet.
pub(super) static ACTIONS: &[Action] = &[
    action(
        Act::Keep,
        Scope::Leaving,
        &[Key::char('k')],
        "keep receiving",
        "close the screen, keep receiving in the background",
    ),
    action(
        Act::Install,
        Scope::Leaving,
        &[Key::char('i')],
        "install",
        "install the service, which also starts with the machine",
    ),
    action(
        Act::Stop,
        Scope::Leaving,
        &[Key::char('s')],
        "stop",
        "stop receiving",
    ),
    action(
        Act::Back,
        Scope::Leaving,
        &[Key::plain(KeyCode::Esc), Key::char('n')],
        "stay",
        "stay here",
    ),
    // The keys.
    action(
        Act::Back,
        Scope::Help,
        CLOSE_SHEET,
        "close",
        "close this sheet",
    ),
    action(Act::Down, Scope::Help, DOWN, "down", "one line down"),
    action(Act::Up, Scope::Help, UP, "", "one line up"),
    action(Act::PageDown, Scope::Help, PAGE_DOWN, "", "a screen down"),
    action(Act::PageUp, Scope::Help, PAGE_UP, "", "a screen up"),
    action(Act::First, Scope::Help, FIRST, "", "to the first line"),
    action(Act::Last, Scope::Help, LAST, "", "to the last line"),
    // Everywhere.
    action(
        Act::Back,
        Scope::Anywhere,
        ESC,
        "",
        "back to where this was opened from",
    ),
    action(
        Act::HistoryBack,
        Scope::Anywhere,
        &[Key::char('[')],
        "",
        "the place before",
    ),
    action(
        Act::HistoryOn,
        Scope::Anywhere,
        &[Key::char(']')],
        "",
        "the place after",
    ),
    action(
        Act::Go(Screen::Today),
        Scope::Anywhere,
        &[Key::char('1')],
        "",
        "Today",
    ),
    action(
        Act::Go(Screen::EVENTS),
        Scope::Anywhere,
        &[Key::char('2')],
        "",
        "Events",
    ),
    action(
        Act::Go(Screen::USERS),
        Scope::Anywhere,
        &[Key::char('3')],
        "",
        "Users",
    ),
    action(
        Act::Go(Screen::SUBSCRIPTIONS),
        Scope::Anywhere,
        &[Key::char('4')],
        "",
        "Subscriptions",
    ),
    action(
        Act::Go(Screen::CANCELLATIONS),
        Scope::Anywhere,
        &[Key::char('5')],
        "",
        "Cancellations",
    ),
    action(
        Act::Go(Screen::CONSENTS),
        Scope::Anywhere,
        &[Key::char('6')],
        "",
        "Consent",
    ),
    action(
        Act::Go(Screen::DELIVERIES),
        Scope::Anywhere,
        &[Key::char('7')],
        "",
        "Deliveries: every webhook, stored or turned away",
    ),
    action(
        Act::Go(Screen::Connections),
        Scope::Anywhere,
        &[Key::char('9')],
        "",
        "Connections: links, last webhooks, proofs",
    ),
    action(
        Act::Go(Screen::PAYMENTS),
        Scope::Anywhere,
        &[Key::char('$')],
        "",
        "Payments and refunds",
    ),
    action(
        Act::Views,
        Scope::Anywhere,
        &[Key::char('v')],
        "",
        "saved filters; a digit opens a pinned one",
    )
    .unless(App::why_no_view),
    action(
        Act::Command,
        Scope::Anywhere,
        &[Key::char(':')],
        "",
        "type a command: save, view, export, a screen",
    ),
    action(
        Act::Zone,
        Scope::Anywhere,
        &[Key::char('Z')],
        "",
        "times in the ledger's zone, UTC, this machine's zone",
    )
    .unless(App::why_no_zone),
    action(
        Act::Mask,
        Scope::Anywhere,
        &[Key::char('P')],
        "",
        "mask personal data, or show it again",
    ),
    action(
        Act::Help,
        Scope::Anywhere,
        &[Key::char('?')],
        "keys",
        "the keys",
    ),
    action(
        Act::Quit,
        Scope::Anywhere,
        &[Key::char('q')],
        "quit",
        "close the screen",
    ),
    action(
        Act::Redraw,
        Scope::Anywhere,
        &[Key::ctrl('l')],
        "",
        "write the screen anew",
    ),
    action(
        Act::Suspend,
        Scope::Always,
        &[Key::ctrl('z')],
        "",
        "back to the shell for a while; `fg` returns",
    ),
    action(
        Act::Stop,
        Scope::Always,
        &[Key::ctrl('c')],
        "",
        "stop: the receiver too, if it was started with this screen",
    ),
];
