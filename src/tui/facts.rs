//! What the screens show beside lists, in the shape that they show it. Plain data, made by the worker.

use crate::domain::page::List;
use crate::domain::time::Timestamp;
use crate::tui::theme::Meaning;

/// The state of the ledger, for the header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// What has been stored.
    pub arrived: Arrived,
    /// When the last one arrived.
    pub last_received_at: Option<Timestamp>,
    /// Deliveries that are stored and not yet in any list.
    pub behind: u64,
    /// Requests that were turned away and could not be kept.
    pub lost: u64,
    /// The ledger is made up.
    pub demo: bool,
    /// A process that receives into this ledger is running.
    pub running: bool,
    /// When the last verified backup was made, in words; `None` if there is none.
    pub last_backup: Option<String>,
}

/// What has been stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arrived {
    /// Nothing.
    #[default]
    Nothing,
    /// Nothing but tests.
    Tests,
    /// A delivery that is no test.
    Real,
}

/// The periods that `p` walks through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Period {
    /// Since everything was last marked as reviewed.
    #[default]
    LastReview,
    /// Since midnight.
    Today,
    /// 7 days.
    Week,
    /// 28 days.
    FourWeeks,
}

impl Period {
    /// The next one.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::LastReview => Self::Today,
            Self::Today => Self::Week,
            Self::Week => Self::FourWeeks,
            Self::FourWeeks => Self::LastReview,
        }
    }
}

/// A list and the filter that shows exactly what a figure counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// The list.
    pub list: List,
    /// The filter.
    pub query: String,
}

/// The daily review.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Today {
    /// The period in words: `Since your review Tue 09:02 (24 h 12 m)`.
    pub heading: String,
    /// The newest delivery that it counts.
    pub seq: i64,
    /// What needs the publisher, then the figures.
    pub lines: Vec<TodayLine>,
}

/// One line of the daily review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TodayLine {
    /// What it says.
    pub say: Say,
    /// What Enter opens; `None` if there is no list behind it.
    pub door: Option<Door>,
}

/// The kinds of lines of the daily review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Say {
    /// Something that needs the publisher: a whole sentence.
    Need(String),
    /// A figure with what it is compared to.
    Figure {
        /// Its name.
        title: String,
        /// Now.
        now: String,
        /// The same span a week before; empty if unknown.
        before: String,
        /// The difference in a number, a share, a word.
        change: String,
        /// The last days, oldest first.
        days: Vec<u64>,
    },
    /// A name and a phrase.
    Fact {
        /// Its name.
        title: String,
        /// The phrase.
        text: String,
    },
    /// A plain remark.
    Remark(String),
}

/// What is known of one provider's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The provider's id.
    pub provider: String,
    /// The account.
    pub account: String,
    /// The most important in one phrase, and how it looks.
    pub state: (String, Meaning),
    /// What was turned away since the last webhook, if anything.
    pub refused: Option<String>,
    /// What still comes on old secrets: name, phrase, how it looks.
    pub old: Vec<(String, String, Meaning)>,
    /// Lines beside the links: name, phrase, how it looks.
    pub lines: Vec<(String, String, Meaning)>,
}
