//! What the state is told, and what it asks for: plain data, both ways.

use crate::domain::mask::Mask;
use crate::domain::page::{Choice, Count, Cursor, List, Order, Page, Row, RowKey};
use crate::domain::query::{Query, Vocabulary};
use crate::domain::time::{Timestamp, Zone};
use crate::store::query::{Kinds, Progress, View};
use crate::store::task::{Progress as Done, Task, TaskReport};
use crate::tui::actions::key::Key;
use crate::tui::copy::Kept;
use crate::tui::export::{Job, Written};
use crate::tui::facts::{Connection, Period, Status, Today};
use crate::tui::record::Raw;
use crate::tui::search::Rank;
use crate::tui::window::Newer;
use crate::tui::{Leave, LinkCard};

/// Counting stops here: `>10,000`.
pub const COUNT_MAX: u64 = 10_000;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Msg {
    /// A key was pressed.
    Key(Key),
    /// Text was pasted.
    Paste(String),
    /// The terminal has this size now.
    Resize(u16, u16),
    /// Time went on.
    Tick(Timestamp),
    /// The ledger can be read.
    Opened(Opened),
    /// The ledger cannot be read: why. It is tried again every second.
    Trouble(String),
    /// Something was written to the ledger.
    Changed,
    /// The state of the ledger.
    Status(Status),
    /// What filters can name, and up to which delivery, and when, everything was reviewed.
    Words(Vocabulary, Option<(i64, Timestamp)>),
    /// Rows that were asked for.
    Page {
        /// Which request this answers.
        ticket: u64,
        /// The rows, or why there are none.
        page: Result<Page, String>,
        /// What came since the head was last in sight.
        newer: Newer,
    },
    /// The rows of the whole list were counted.
    Count {
        /// Which request this answers.
        ticket: u64,
        /// How many.
        count: Count,
    },
    /// The webhook behind the opened row; `None` if there is none.
    Raw {
        /// Which row of which list.
        of: (List, RowKey),
        /// The webhook.
        raw: Option<Box<Raw>>,
    },
    /// Choices that were asked for.
    Choices {
        /// Which request this answers.
        ticket: u64,
        /// Of which key.
        key: &'static str,
        /// The choices.
        choices: Vec<Choice>,
    },
    /// The saved filters.
    Views(Vec<View>),
    /// What a search came upon.
    Found {
        /// Which request this answers.
        ticket: u64,
        /// The row, and whether the search went over an end of the list; `None`: no row fits.
        found: Option<(RowKey, bool)>,
    },
    /// Which of the rows that fit a search was come upon.
    Ranked {
        /// Which request this answers.
        ticket: u64,
        /// Its place among them.
        rank: Rank,
    },
    /// Which part of the filter hides all rows.
    Hiding {
        /// Which request this answers.
        ticket: u64,
        /// Its place among the parts; `None` if it takes more than one.
        part: Option<usize>,
    },
    /// How far the rows that are on their way have come.
    Looking(Progress),
    /// So many rows were written into the file so far.
    Exporting(u64),
    /// The list is in its file, or why not.
    Exported(Result<Written, String>),
    /// The daily review.
    Today(Period, Today),
    /// What is known of each account.
    Connections(Vec<Connection>),
    /// The links by the settings as they are now, or why those do not hold.
    Links(Result<Vec<LinkCard>, String>),
    /// How far the task under way is.
    Working(Done),
    /// The task is done, or why not.
    Done(Result<TaskReport, String>),
    /// What a question is about was counted.
    Weighed {
        /// Which request this answers.
        ticket: u64,
        /// How many rows.
        count: Count,
    },
    /// What was asked for cannot be read: why.
    Refused(String),
    /// The terminal was not handed back to a shell: there is none that could continue the screen.
    NotStopped,
    /// Bytes are in a file, or not: what to say of it.
    Kept(Result<String, String>),
}

/// What the worker found when it opened the ledger.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The zone of days.
    pub zone: Zone,
    /// What masks personal data of this ledger.
    pub mask: Mask,
    /// What filters can name; `None` where that is read later.
    pub vocabulary: Option<Vocabulary>,
    /// Up to which delivery, and when, everything was reviewed.
    pub last_review: Option<(i64, Timestamp)>,
    /// The state of the ledger.
    pub status: Status,
}

/// Rows to read.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// Comes back with the answer.
    pub ticket: u64,
    /// The list.
    pub list: List,
    /// The filter.
    pub query: Query,
    /// Which end comes first.
    pub order: Order,
    /// Which rows.
    pub from: From,
    /// At most so many.
    pub limit: usize,
    /// Count what is newer than this row.
    pub head: Option<RowKey>,
}

/// Where reading begins.
#[derive(Clone, Debug, PartialEq)]
pub enum From {
    /// At this place.
    Cursor(Cursor),
    /// At the row of this id.
    Id(i64),
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Read rows.
    Load(Load),
    /// Count the rows of a list.
    Count {
        /// Comes back with the answer.
        ticket: u64,
        /// The list.
        list: List,
        /// The filter.
        query: Query,
    },
    /// Count what a question is about.
    Weigh {
        /// Comes back with the answer.
        ticket: u64,
        /// The list.
        list: List,
        /// The filter.
        query: Query,
    },
    /// Look up the webhook behind a row.
    Raw {
        /// The list.
        list: List,
        /// The row.
        row: Row,
        /// Of a reader: what the timeline is narrowed to.
        kinds: Kinds,
    },
    /// Count the choices of every part of the picker.
    Choices {
        /// Comes back with the answers.
        ticket: u64,
        /// The list.
        list: List,
        /// The filter.
        query: Query,
    },
    /// Look for the next row that fits a search.
    Find {
        /// Comes back with the answer.
        ticket: u64,
        /// The list.
        list: List,
        /// Filter and search together.
        query: Query,
        /// The row to begin behind.
        from: RowKey,
        /// Towards newer rows.
        newer: bool,
    },
    /// Count the rows that fit a search, and those before the one that was come upon.
    Rank {
        /// Comes back with the answer.
        ticket: u64,
        /// The list.
        list: List,
        /// Filter and search together.
        query: Query,
        /// Which end of the list comes first.
        order: Order,
        /// The row.
        key: RowKey,
    },
    /// Find out which part of a filter hides all rows.
    Hiding {
        /// Comes back with the answer.
        ticket: u64,
        /// The list.
        list: List,
        /// The filter.
        query: Query,
    },
    /// Write a list into a file.
    Export(Job),
    /// Make up the daily review.
    Today(Period),
    /// Look at every account.
    Connections,
    /// Look at the ledger's state and words.
    Status,
    /// Have something written.
    Task(Task),
    /// Hand text to the terminal's clipboard.
    Copy(String),
    /// Keep bytes in a file.
    Keep(Kept),
    /// Hand the terminal back to the shell.
    Suspend,
    /// Write the whole screen anew.
    Redraw,
    /// Close the screen.
    Leave(Leave),
}
