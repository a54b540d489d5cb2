//! Lists and their rows, as the screen, the command line and the store all mean them.

use crate::domain::delivery::words;

words! {
    /// The lists of DESIGN.md section 5: one relation each, one command each.
    List {
        /// Normalised facts, newest first by `at`.
        Events = "events",
        /// Readers, last seen first.
        Users = "users",
        /// Subscriptions, last changed first.
        Subscriptions = "subscriptions",
        /// Cancellations, newest first.
        Cancellations = "cancellations",
        /// The present state of every purpose, last changed first.
        Consents = "consents",
        /// The history of consents, newest first.
        Changes = "changes",
        /// Payments and refunds, newest first.
        Payments = "payments",
        /// What arrived, stored or rejected, newest first.
        Deliveries = "deliveries",
    }
}

/// What a column holds, which says how it is aligned, shown and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Text from data: hostile until it has passed `Printable`.
    Text,
    /// One of our own words.
    Word,
    /// A UTC instant, shown in the ledger's zone.
    Time,
    /// A calendar day.
    Day,
    /// A whole number.
    Number,
    /// 0 or 1.
    Flag,
    /// Minor units: shown with the row's `currency` and `exponent`.
    Minor,
    /// A number for reading.
    Real,
    /// JSON text.
    Json,
    /// Bytes, or text where they are that.
    Body,
}

/// One column of a list.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The name in section 10 of DESIGN.md, in JSON and in CSV.
    pub name: &'static str,
    /// The head in tables.
    pub title: &'static str,
    /// What it holds.
    pub shape: Shape,
    /// 0: not in tables, only in machine formats and detail. 1 is dropped last as the screen narrows, 9 first.
    pub priority: u8,
    /// The fewest cells it is worth showing in.
    pub width_min: u16,
    /// The most cells it can use.
    pub width_max: u16,
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// A whole number.
    Int(i64),
    /// A number for reading.
    Real(f64),
    /// Text, hostile until it has passed `Printable`.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Cell {
    /// The text, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    pub const fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }
}

/// One row of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What selection and cursors hold on to: unique in its list, the same after a reload.
    pub key: RowKey,
    /// One cell per column of the list, in that order.
    pub cells: Vec<Cell>,
}

/// The place of a row: lists are ordered by `(sort, id)`, greatest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// The time the list is ordered by, as stored; empty where it is unknown.
    pub sort: String,
    /// Breaks ties. Of `deliveries`: the seq, or minus the id of a rejected one.
    pub id: i64,
}

/// Which rows to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// From the newest.
    First,
    /// The oldest ones.
    Last,
    /// Those after (older than) this row.
    After(RowKey),
    /// Those before (newer than) this row.
    Before(RowKey),
    /// This row and those after it.
    From(RowKey),
    /// This row and those before it.
    To(RowKey),
    /// From the newest row whose time is not after this instant (as stored).
    At(String),
    /// Up to the oldest row whose time is not before this instant (as stored).
    Since(String),
}

impl Cursor {
    /// The cursor of the same rows in a list that is turned round.
    #[must_use]
    pub fn mirrored(&self) -> Self {
        match self.clone() {
            Self::First => Self::Last,
            Self::Last => Self::First,
            Self::After(key) => Self::Before(key),
            Self::Before(key) => Self::After(key),
            Self::From(key) => Self::To(key),
            Self::To(key) => Self::From(key),
            Self::At(at) => Self::Since(at),
            Self::Since(at) => Self::At(at),
        }
    }
}

words! {
    /// Which end of a list comes first. No other order has an index.
    #[derive(Default)]
    Order {
        /// As the list is kept.
        #[default]
        Newest = "newest",
        /// Turned round.
        Oldest = "oldest",
    }
}

impl Order {
    /// The other one.
    #[must_use]
    pub const fn turned(self) -> Self {
        match self {
            Self::Newest => Self::Oldest,
            Self::Oldest => Self::Newest,
        }
    }

    /// The order that `word` names, or why there is no such order.
    pub fn parse(word: &str) -> Result<Self, String> {
        Self::from_word(word).ok_or_else(|| {
            format!(
                "lists come newest or oldest first, not by {word:?}: `subledger sql` sorts by anything"
            )
        })
    }
}

/// Some rows, newest first unless the list was asked for in another order.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The rows.
    pub rows: Vec<Row>,
    /// There are newer ones than the first.
    pub more_before: bool,
    /// There are older ones than the last.
    pub more_after: bool,
}

impl Page {
    /// The same rows from the other end.
    #[must_use]
    pub fn turned(mut self) -> Self {
        self.rows.reverse();
        std::mem::swap(&mut self.more_before, &mut self.more_after);
        self
    }
}

/// How many rows there are, and how sure that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Counted to the end.
    Exact(u64),
    /// Counting stopped here: `>10,000`.
    MoreThan(u64),
    /// From the roll-ups: `~5.1 M`.
    About(u64),
}

impl Count {
    /// The number, however sure it is.
    pub const fn number(self) -> u64 {
        match self {
            Self::Exact(number) | Self::MoreThan(number) | Self::About(number) => number,
        }
    }
}

/// One value of a filter and how many rows have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The filter key: `provider`, `type`, `account`, `day`.
    pub key: &'static str,
    /// The value.
    pub value: String,
    /// Rows.
    pub count: Count,
}
