//! The one table of actions: keys, words, where they hold, when they are possible.
//!
//! Dispatch, the footer and the `?` sheet all come from here, so no key can be described wrongly. Never holds state.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::tui::app::App;
use crate::tui::place::Screen;

/// What a publisher can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Open a screen.
    Go(Screen),
    /// Open what is selected.
    Open,
    /// Leave what is open, back to where it was opened from.
    Back,
    /// The place before this one.
    HistoryBack,
    /// The place after this one.
    HistoryOn,
    /// One line or row down.
    Down,
    /// One line or row up.
    Up,
    /// A screen down.
    PageDown,
    /// A screen up.
    PageUp,
    /// Half a screen down.
    HalfDown,
    /// Half a screen up.
    HalfUp,
    /// To the newest row or the first line.
    First,
    /// To the oldest row or the last line.
    Last,
    /// To a time.
    Jump,
    /// Type a filter.
    Filter,
    /// Choose a filter.
    Pick,
    /// Drop the filter.
    Clear,
    /// Present state or history of consents.
    Switch,
    /// The other face of an open record.
    Face,
    /// JSON as received or indented.
    Pretty,
    /// The next record, left open.
    NextRecord,
    /// The record before, left open.
    PreviousRecord,
    /// The webhook behind this.
    Delivery,
    /// The events of this.
    Events,
    /// The reader of this.
    Who,
    /// Copy what is selected.
    Copy,
    /// Copy the example command.
    CopyCurl,
    /// Copy the command that sends a sample.
    CopySend,
    /// The next period.
    Period,
    /// Mark all as reviewed.
    Review,
    /// Undo the last review.
    UndoReview,
    /// Choose or leave out.
    Toggle,
    /// Take over what was typed or chosen.
    Apply,
    /// Take the suggestion.
    Suggest,
    /// Goes on in the background.
    Keep,
    /// Make it a service.
    Install,
    /// Stop receiver and screen.
    Stop,
    /// The keys.
    Help,
    /// Leave the screen.
    Quit,
    /// Hand the terminal back to the shell for a while.
    Suspend,
    /// Write the screen anew.
    Redraw,
    /// The caret one place to the left.
    CaretLeft,
    /// The caret one place to the right.
    CaretRight,
    /// The caret to the start.
    CaretStart,
    /// The caret to the end.
    CaretEnd,
    /// Remove what is before the caret.
    EraseBefore,
    /// Remove what is after the caret.
    EraseAfter,
    /// Remove the word before the caret.
    EraseWord,
    /// Remove all before the caret.
    EraseLine,
}

/// Where keys are read, from the most special to the most general.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everywhere but where text is typed or a question stands.
    Anywhere,
    /// Lists of rows.
    Rows,
    /// The consent lists.
    Consent,
    /// A row of a list, or its record opened.
    Record,
    /// An opened record.
    Pane,
    /// Today.
    Today,
    /// Connections.
    Connections,
    /// The filter bar.
    Bar,
    /// The time prompt.
    Time,
    /// Wherever text is typed.
    Typing,
    /// The choices of a filter.
    Picker,
    /// The keys.
    Help,
    /// The question on leaving.
    Leaving,
    /// Wherever something can be cancelled or the program stopped, whatever is open.
    Always,
}

impl Scope {
    /// The heading in the `?` sheet.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Anywhere => "Everywhere",
            Self::Rows => "In lists",
            Self::Consent => "On Consent",
            Self::Record => "On a row",
            Self::Pane => "In an opened row",
            Self::Today => "On Today",
            Self::Connections => "On Connections",
            Self::Bar => "In the filter bar",
            Self::Time => "At the time prompt",
            Self::Typing => "While typing",
            Self::Picker => "Choosing a filter",
            Self::Help => "In this sheet",
            Self::Leaving => "On leaving",
            Self::Always => "Always",
        }
    }

    /// Every scope, in the order of the `?` sheet.
    pub const ALL: &'static [Self] = &[
        Self::Anywhere,
        Self::Rows,
        Self::Record,
        Self::Pane,
        Self::Consent,
        Self::Today,
        Self::Connections,
        Self::Bar,
        Self::Time,
        Self::Typing,
        Self::Picker,
        Self::Leaving,
        Self::Help,
        Self::Always,
    ];
}

/// A key with what is held down beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The key.
    pub code: KeyCode,
    /// Ctrl is held.
    pub ctrl: bool,
}

impl Key {
    /// A key alone.
    pub const fn plain(code: KeyCode) -> Self {
        Self { code, ctrl: false }
    }

    /// A character.
    pub const fn char(c: char) -> Self {
        Self::plain(KeyCode::Char(c))
    }

    /// Ctrl and a character.
    pub const fn ctrl(c: char) -> Self {
        Self {
            code: KeyCode::Char(c),
            ctrl: true,
        }
    }

    /// How it is written on screen: `Ctrl-D`, `PgDn`, `Enter`, `g`.
    pub fn name(self) -> String {
        let name = match self.code {
            KeyCode::Char(' ') => "Space".to_owned(),
            KeyCode::Char(c) if self.ctrl => c.to_uppercase().to_string(),
            KeyCode::Char(c) => c.to_string(),
            KeyCode::PageDown => "PgDn".to_owned(),
            KeyCode::PageUp => "PgUp".to_owned(),
            KeyCode::Backspace => "Backspace".to_owned(),
            KeyCode::Delete => "Del".to_owned(),
            other => format!("{other:?}"),
        };
        if self.ctrl {
            format!("Ctrl-{name}")
        } else {
            name
        }
    }
}

impl From<KeyEvent> for Key {
    fn from(event: KeyEvent) -> Self {
        let alt = event.modifiers.contains(KeyModifiers::ALT);
        Self {
            // Nothing is bound to Alt: it must not be taken for the key alone.
            code: if alt { KeyCode::Null } else { event.code },
            ctrl: event.modifiers.contains(KeyModifiers::CONTROL),
        }
    }
}

/// Why an action is impossible at the moment; `None` if it is possible.
pub type WhyNot = fn(&App) -> Option<&'static str>;

/// One line of the table.
pub struct Action {
    /// What it does.
    pub act: Act,
    /// Where its keys hold.
    pub scope: Scope,
    /// Its keys, the one shown first.
    pub keys: &'static [Key],
    /// One or two words, for the footer; empty: not in the footer.
    pub title: &'static str,
    /// One line, for the `?` sheet.
    pub help: &'static str,
    /// Whether it is possible now.
    pub why_not: WhyNot,
}

const fn action(
    act: Act,
    scope: Scope,
    keys: &'static [Key],
    title: &'static str,
    help: &'static str,
) -> Action {
    Action {
        act,
        scope,
        keys,
        title,
        help,
        why_not: |_| None,
    }
}

impl Action {
    const fn unless(self, why_not: WhyNot) -> Self {
        Self { why_not, ..self }
    }
}

const DOWN: &[Key] = &[Key::char('j'), Key::plain(KeyCode::Down)];
const UP: &[Key] = &[Key::char('k'), Key::plain(KeyCode::Up)];
const PAGE_DOWN: &[Key] = &[Key::plain(KeyCode::PageDown), Key::ctrl('f')];
const PAGE_UP: &[Key] = &[Key::plain(KeyCode::PageUp), Key::ctrl('b')];
const HALF_DOWN: &[Key] = &[Key::ctrl('d')];
const HALF_UP: &[Key] = &[Key::ctrl('u')];
const FIRST: &[Key] = &[Key::char('g'), Key::plain(KeyCode::Home)];
const LAST: &[Key] = &[Key::char('G'), Key::plain(KeyCode::End)];
const ENTER: &[Key] = &[Key::plain(KeyCode::Enter)];
const ESC: &[Key] = &[Key::plain(KeyCode::Esc)];
const TAB: &[Key] = &[Key::plain(KeyCode::Tab)];
const CLOSE_SHEET: &[Key] = &[
    Key::plain(KeyCode::Esc),
    Key::char('?'),
    Key::char('q'),
    Key::plain(KeyCode::Enter),
];

/// Every action. The order is that of the footer and of the `?` sheet.
pub static ACTIONS: &[Action] = &[
    // Lists of rows.
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
        "drop the filter",
    )
    .unless(App::why_no_clear),
    action(
        Act::Jump,
        Scope::Rows,
        &[Key::char('@')],
        "time",
        "jump to a time: 14:30, yesterday, 2026-11-20, 7d",
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
    action(Act::First, Scope::Rows, FIRST, "", "to the newest"),
    action(Act::Last, Scope::Rows, LAST, "", "to the oldest"),
    action(
        Act::Switch,
        Scope::Consent,
        &[Key::char('c')],
        "state/history",
        "switch between the present state and the history",
    ),
    // An opened record.
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
    // Today.
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
    // Connections.
    action(
        Act::Open,
        Scope::Connections,
        ENTER,
        "open",
        "all links of this provider; there, what arrived from it",
    )
    .unless(App::why_no_card),
    action(
        Act::Copy,
        Scope::Connections,
        &[Key::char('y')],
        "copy link",
        "copy the selected link",
    )
    .unless(App::why_no_card),
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
    action(Act::Down, Scope::Connections, DOWN, "", "the next link"),
    action(Act::Up, Scope::Connections, UP, "", "the link before"),
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
        "to the first link",
    ),
    action(Act::Last, Scope::Connections, LAST, "", "to the last link"),
    // Typing.
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
    // Leaving.
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

/// The action that `key` stands for where `scopes` hold, the first of them first.
pub fn lookup(scopes: &[Scope], key: Key) -> Option<&'static Action> {
    scopes.iter().find_map(|scope| {
        ACTIONS
            .iter()
            .find(|action| action.scope == *scope && action.keys.contains(&key))
    })
}

/// The actions for the footer where `scopes` hold, possible ones only.
pub fn footer<'a>(
    scopes: &'a [Scope],
    app: &'a App,
) -> impl Iterator<Item = &'static Action> + use<'a> {
    scopes.iter().flat_map(move |scope| {
        ACTIONS.iter().filter(move |action| {
            action.scope == *scope && !action.title.is_empty() && (action.why_not)(app).is_none()
        })
    })
}

/// A line of the `?` sheet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SheetLine {
    /// The heading of a scope.
    Head(&'static str),
    /// Keys, and what they do.
    Keys(String, &'static str),
}

/// The `?` sheet: what holds here first, then all the rest.
pub fn sheet(here: &[Scope]) -> Vec<SheetLine> {
    let rest = Scope::ALL.iter().filter(|scope| !here.contains(scope));
    let mut lines = Vec::new();
    for scope in here.iter().chain(rest) {
        lines.push(SheetLine::Head(scope.title()));
        for action in ACTIONS.iter().filter(|action| action.scope == *scope) {
            let keys: Vec<_> = action.keys.iter().map(|key| key.name()).collect();
            lines.push(SheetLine::Keys(keys.join(" "), action.help));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::tui::app::CHAINS;

    #[test]
    fn every_action_has_keys_and_a_line_of_help() {
        for action in ACTIONS {
            assert!(!action.keys.is_empty(), "{:?} has no key", action.act);
            assert!(!action.help.is_empty(), "{:?} has no help", action.act);
            assert!(action.help.len() < 64, "{:?} says too much", action.act);
        }
    }

    #[test]
    fn no_key_means_two_things_in_one_place() {
        for chain in CHAINS {
            let mut seen = HashSet::new();
            for scope in *chain {
                for action in ACTIONS.iter().filter(|action| action.scope == *scope) {
                    for key in action.keys {
                        assert!(
                            seen.insert(*key),
                            "{} means two things in {chain:?}",
                            key.name()
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn every_scope_of_the_table_is_in_a_chain_and_on_the_sheet() {
        for action in ACTIONS {
            assert!(CHAINS.iter().any(|chain| chain.contains(&action.scope)));
            assert!(Scope::ALL.contains(&action.scope));
        }
    }

    #[test]
    fn keys_are_written_as_people_say_them() {
        assert_eq!(Key::ctrl('d').name(), "Ctrl-D");
        assert_eq!(Key::plain(KeyCode::PageDown).name(), "PgDn");
        assert_eq!(Key::char(' ').name(), "Space");
    }
}
