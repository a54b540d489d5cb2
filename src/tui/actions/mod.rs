//! The one table of actions: keys, words, where they hold, when they are possible.
//!
//! Dispatch, the footer, the `?` sheet, the palette, the manual page and `assets/keys.md` all come from here, so no key can
//! be described wrongly. One file below for
//! the actions of each screen. Never holds state.

pub mod key;

mod rows;

mod record;

mod copy;

mod today;

mod connections;

mod ledger;

mod typing;

mod everywhere;

use crate::tui::actions::key::Key;
use crate::tui::app::App;
use crate::tui::copy::What;
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
    /// Drop the filter, or the part of it that hides all rows.
    Clear,
    /// Turn the order of the list.
    Turn,
    /// Hold the rows on screen, or follow what comes.
    Follow,
    /// Type what is sought.
    Search,
    /// The next row that fits.
    SearchOn,
    /// The row before that fits.
    SearchBack,
    /// Write the list into a file.
    Export,
    /// Copy the command that brings this screen back.
    CopyCommand,
    /// Type a command.
    Command,
    /// The saved filters.
    Views,
    /// The saved filter of this digit.
    Pinned(u8),
    /// Pin a saved filter to a digit, or free its digit.
    PinView,
    /// Drop a saved filter.
    DropView,
    /// Take in what was turned away.
    Admit,
    /// Read again what was not understood.
    Retry,
    /// Read all again that was not understood.
    RetryAll,
    /// Mark a webhook as a test, or take the mark off.
    MarkTest,
    /// The same for all webhooks of a reader.
    MarkReader,
    /// Do what was asked about.
    Yes,
    /// Present state or history of consents.
    Switch,
    /// The next face of an open record.
    Face,
    /// The face before.
    FaceBack,
    /// The body in hex or as text.
    Hex,
    /// The whole screen, or list and record.
    Whole,
    /// More room for the record.
    Wider,
    /// Less room for the record.
    Narrower,
    /// Other kinds of events on a timeline.
    Kinds,
    /// Open what stands behind a line of a record.
    OpenLine,
    /// Type what is sought in a record.
    Find,
    /// Open or fold a value.
    Fold,
    /// Into a value.
    GoIn,
    /// Out of a value.
    GoOut,
    /// Open every value.
    OpenAll,
    /// Fold every value.
    CloseAll,
    /// Open all within a value.
    OpenBelow,
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
    /// Copy the link.
    Copy,
    /// Choose what to copy.
    CopyMenu,
    /// Copy this.
    CopyThis(What),
    /// Copy the example command.
    CopyCurl,
    /// Copy the command that sends a sample.
    CopySend,
    /// Choose a period.
    Period,
    /// Take the period of this digit.
    Nth,
    /// What the selected figure means.
    Explain,
    /// The next figure of the line.
    StopOn,
    /// The figure before.
    StopBack,
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
    /// The next zone of times.
    Zone,
    /// Mask personal data, or show it.
    Mask,
    /// The keys.
    Help,
    /// Everything that can be done or opened, by name.
    Palette,
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

impl Act {
    /// It is done to an opened record.
    pub const fn is_of_record(self) -> bool {
        matches!(
            self,
            Self::Face
                | Self::FaceBack
                | Self::Hex
                | Self::Whole
                | Self::Wider
                | Self::Narrower
                | Self::Kinds
                | Self::OpenLine
                | Self::Find
                | Self::Fold
                | Self::GoIn
                | Self::GoOut
                | Self::OpenAll
                | Self::CloseAll
                | Self::OpenBelow
        )
    }
}

/// Where keys are read, from the most special to the most general.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everywhere but where text is typed or a question stands.
    Anywhere,
    /// What is written into the ledger, of a row of a list or its record opened.
    Ledger,
    /// Lists of rows.
    Rows,
    /// The consent lists.
    Consent,
    /// A row of a list, or its record opened.
    Record,
    /// An opened record.
    Pane,
    /// An opened record in lines of text.
    Lines,
    /// A body as a tree.
    Tree,
    /// The page of a reader.
    Reader,
    /// What is sought in a record.
    Find,
    /// The menu of what can be copied.
    Copy,
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
    /// The saved filters.
    Views,
    /// The formats of a file.
    Export,
    /// The choices of a filter.
    Picker,
    /// The keys.
    Help,
    /// The question on leaving.
    Leaving,
    /// The question before something is written.
    Asking,
    /// The periods of Today.
    Periods,
    /// What a figure of Today means.
    Explained,
    /// Wherever something can be cancelled or the program stopped, whatever is open.
    Always,
}

impl Scope {
    /// The heading in the `?` sheet.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Anywhere => "Everywhere",
            Self::Ledger => "Putting a row right",
            Self::Rows => "In lists",
            Self::Consent => "On Consent",
            Self::Record => "On a row",
            Self::Pane => "In an opened row",
            Self::Lines => "In an opened row, but for a body as a tree",
            Self::Tree => "In a body as a tree",
            Self::Reader => "On the page of a reader",
            Self::Find => "Seeking in an opened row",
            Self::Copy => "Choosing what to copy",
            Self::Today => "On Today",
            Self::Connections => "On Connections",
            Self::Bar => "Typing a filter, a search or a command",
            Self::Time => "At the time prompt",
            Self::Typing => "While typing",
            Self::Views => "Among saved filters",
            Self::Export => "Writing a file",
            Self::Picker => "Choosing a filter",
            Self::Help => "Looking for a key or an action",
            Self::Leaving => "On leaving",
            Self::Asking => "Asked before something is written",
            Self::Periods => "Choosing a period",
            Self::Explained => "Reading what a figure means",
            Self::Always => "Always",
        }
    }

    /// Every scope, in the order of the `?` sheet.
    pub const ALL: &'static [Self] = &[
        Self::Anywhere,
        Self::Rows,
        Self::Record,
        Self::Ledger,
        Self::Pane,
        Self::Lines,
        Self::Tree,
        Self::Reader,
        Self::Consent,
        Self::Today,
        Self::Connections,
        Self::Bar,
        Self::Time,
        Self::Find,
        Self::Typing,
        Self::Picker,
        Self::Copy,
        Self::Views,
        Self::Export,
        Self::Periods,
        Self::Explained,
        Self::Leaving,
        Self::Asking,
        Self::Help,
        Self::Always,
    ];
}

/// What an action may do to the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Danger {
    /// It only looks, and never asks.
    Looks,
    /// It writes, and another key takes that back: it does not ask.
    Undoable,
    /// It writes, and asks once before.
    Asks,
}

impl Danger {
    /// What is said of it beside its help; empty where it only looks.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Looks => "",
            Self::Undoable => "can be undone",
            Self::Asks => "asks first",
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
    /// What it may do to the ledger.
    pub danger: Danger,
}

/// One line of the table that is always possible.
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
        danger: Danger::Looks,
    }
}

impl Action {
    const fn unless(self, why_not: WhyNot) -> Self {
        Self { why_not, ..self }
    }

    const fn undoable(self) -> Self {
        Self {
            danger: Danger::Undoable,
            ..self
        }
    }

    const fn asking(self) -> Self {
        Self {
            danger: Danger::Asks,
            ..self
        }
    }

    /// What it does, and whether it asks or can be undone.
    pub fn told(&self) -> String {
        match self.danger.words() {
            "" => self.help.to_owned(),
            words => format!("{} ({words})", self.help),
        }
    }

    /// Its keys as they are written on screen.
    pub fn key_names(&self) -> impl Iterator<Item = String> + use<> {
        self.keys.iter().map(|key| key.name())
    }
}

/// Every table. Within a scope the order is that of the footer and of the `?` sheet.
static TABLES: [&[Action]; 8] = [
    ledger::ACTIONS,
    rows::ACTIONS,
    record::ACTIONS,
    copy::ACTIONS,
    today::ACTIONS,
    connections::ACTIONS,
    typing::ACTIONS,
    everywhere::ACTIONS,
];

/// Every action.
pub fn all() -> impl Iterator<Item = &'static Action> {
    TABLES.iter().copied().flatten()
}

/// The action that `key` stands for where `scopes` hold, the first of them first.
pub fn lookup(scopes: &[Scope], key: Key) -> Option<&'static Action> {
    scopes
        .iter()
        .find_map(|scope| all().find(|action| action.scope == *scope && action.keys.contains(&key)))
}

/// The actions for the footer where `scopes` hold, possible ones only: what puts a row right comes first, for most rows
/// need nothing.
pub fn footer<'a>(
    scopes: &'a [Scope],
    app: &'a App,
) -> impl Iterator<Item = &'static Action> + use<'a> {
    let is_first = |scope: &&Scope| **scope == Scope::Ledger;
    let first = scopes.iter().filter(is_first);
    let rest = scopes.iter().filter(move |scope| !is_first(scope));
    first.chain(rest).flat_map(move |scope| {
        all().filter(move |action| {
            action.scope == *scope && !action.title.is_empty() && (action.why_not)(app).is_none()
        })
    })
}

/// The whole table for people: every scope with its actions, in the order of the `?` sheet.
pub fn chapters() -> impl Iterator<Item = (Scope, Vec<&'static Action>)> {
    Scope::ALL.iter().map(|scope| (*scope, of(*scope)))
}

/// The actions of one scope.
pub fn of(scope: Scope) -> Vec<&'static Action> {
    all().filter(|action| action.scope == scope).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use crossterm::event::KeyCode;

    use super::*;
    use crate::tui::app::CHAINS;

    #[test]
    fn every_action_has_keys_and_a_line_of_help() {
        for action in all() {
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
                for action in all().filter(|action| action.scope == *scope) {
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
    fn where_text_is_typed_no_character_is_an_action() {
        for chain in CHAINS.iter().filter(|chain| chain.contains(&Scope::Typing)) {
            for action in all().filter(|action| chain.contains(&action.scope)) {
                let typed = |key: &&Key| matches!(key.code, KeyCode::Char(_)) && !key.ctrl;
                let key = action.keys.iter().find(typed);
                assert_eq!(key, None, "{:?} takes a character away", action.act);
            }
        }
    }

    #[test]
    fn every_key_has_a_name_that_reads_back() {
        for key in all().flat_map(|action| action.keys) {
            assert_eq!(Key::named(&key.name()), Some(*key));
        }
    }

    #[test]
    fn every_scope_of_the_table_is_in_a_chain_and_on_the_sheet() {
        for action in all() {
            assert!(CHAINS.iter().any(|chain| chain.contains(&action.scope)));
            assert!(Scope::ALL.contains(&action.scope));
        }
    }
}
