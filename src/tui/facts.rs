//! What the screens show beside lists, in the shape that they show it. Plain data, made by the worker.

use crate::domain::page::List;
use crate::domain::time::Timestamp;
use crate::store::today::PERIODS;
use crate::tui::theme::Meaning;
use crate::tui::today::terms::Term;

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
    /// Where it listens and its number, where it says so.
    pub listens: Option<(String, u32)>,
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

/// Which period is reviewed, by its word: `last-review`, `7d`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Period(pub String);

impl Default for Period {
    fn default() -> Self {
        Self(PERIODS[0].0.to_owned())
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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Today {
    /// The period in words: `Since your review Tue 09:02 (24 h 12 m)`.
    pub heading: String,
    /// The newest delivery that it counts.
    pub seq: i64,
    /// What needs the publisher, then the figures.
    pub lines: Vec<TodayLine>,
}

impl Today {
    /// Everything that can be selected, in order.
    pub fn stops(&self) -> impl Iterator<Item = &Stop> {
        self.lines.iter().flat_map(TodayLine::stops)
    }

    /// What the `at`th stop is.
    pub fn stop(&self, at: usize) -> Option<&Stop> {
        self.stops().nth(at)
    }
}

/// One line of the daily review.
#[derive(Clone, Debug, PartialEq)]
pub enum TodayLine {
    /// Something that needs the publisher: a whole sentence.
    Need(Stop),
    /// A plain remark, which may be selected.
    Remark(String, Option<Box<Stop>>),
    /// A figure with what it is compared to.
    Figure(Box<FigureLine>),
    /// A name and what belongs under it.
    Fact {
        /// Its name.
        title: String,
        /// Each stays whole where lines are broken.
        parts: Vec<Part>,
        /// It may stand on the line before, behind what is there.
        beside: bool,
    },
}

impl TodayLine {
    /// Everything in it that can be selected.
    fn stops(&self) -> Box<dyn Iterator<Item = &Stop> + '_> {
        match self {
            Self::Need(stop) => Box::new(std::iter::once(stop)),
            Self::Remark(_, stop) => Box::new(stop.iter().map(AsRef::as_ref)),
            Self::Figure(figure) => Box::new(std::iter::once(&figure.stop).chain(&figure.split)),
            Self::Fact { parts, .. } => Box::new(parts.iter().flat_map(|part| &part.0).filter_map(
                |bit| match bit {
                    Bit::Stop(stop) => Some(stop),
                    Bit::Text(_) => None,
                },
            )),
        }
    }
}

/// A piece of a line that is not broken.
#[derive(Clone, Debug, PartialEq)]
pub struct Part(pub Vec<Bit>);

/// What a part is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum Bit {
    /// Words around figures.
    Text(String),
    /// A figure.
    Stop(Stop),
}

/// Something that can be selected, explained, and mostly opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Stop {
    /// What it says.
    pub text: String,
    /// What is said of it beside, quietly: `+1.2 %`.
    pub after: String,
    /// What it is called: `Payments in TRY`.
    pub title: String,
    /// What it means.
    pub term: Term,
    /// The list that it counts; `None` if there is none.
    pub door: Option<Door>,
    /// Sentences that compare it.
    pub compared: Vec<String>,
    /// Whose it is: names and counts.
    pub split: Vec<(String, u64)>,
    /// Its days, oldest first; empty if there are none.
    pub days: Vec<u64>,
    /// The last of these days: `2026-11-20`.
    pub last_day: String,
    /// Of its days.
    pub usual: Option<f64>,
}

/// A figure with what it is compared to, each part empty where it is not known.
#[derive(Clone, Debug, PartialEq)]
pub struct FigureLine {
    /// The figure.
    pub stop: Stop,
    /// The same span a week before.
    pub before: String,
    /// The difference to it: `+6`.
    pub difference: String,
    /// The difference as a share, or `same`: `+17 %`.
    pub share: String,
    /// The difference in a word: `up`.
    pub word: String,
    /// A usual day.
    pub usual: String,
    /// Why nothing is compared: `3 of 28 days`.
    pub note: String,
    /// By provider and account, where there are several.
    pub split: Vec<Stop>,
}

/// What is known of one provider's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The provider's id; empty for requests that name none.
    pub provider: String,
    /// The account; empty where only requests that were turned away name the provider.
    pub account: String,
    /// What the publisher calls it.
    pub name: String,
    /// The most important in one phrase, and how it looks.
    pub state: (String, Meaning),
    /// What was turned away since the last webhook, if anything.
    pub refused: Option<String>,
    /// What to do about that.
    pub hint: Option<&'static str>,
    /// What still comes on old secrets.
    pub old: Vec<Fact>,
    /// All else.
    pub facts: Vec<Fact>,
}

impl Connection {
    /// Something is the matter that can be looked into.
    pub fn is_troubled(&self) -> bool {
        let is_warning = |fact: &Fact| fact.meaning == Meaning::Warning;
        self.refused.is_some() || self.facts.iter().any(is_warning)
    }
}

/// One thing that is known of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Its name.
    pub title: String,
    /// A phrase.
    pub text: String,
    /// How it looks.
    pub meaning: Meaning,
    /// What to do about it.
    pub hint: Option<&'static str>,
    /// The list that it counts, or speaks of.
    pub door: Option<Door>,
    /// How many rows that list has, where the phrase begins with their number.
    pub count: Option<u64>,
}

impl Fact {
    /// One without a list.
    pub fn new(title: &str, text: impl Into<String>, meaning: Meaning) -> Self {
        Self {
            title: title.to_owned(),
            text: text.into(),
            meaning,
            hint: None,
            door: None,
            count: None,
        }
    }
}
