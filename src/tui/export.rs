//! Writing what is seen into a file: the whole list behind the filter, on a thread of its own.
//!
//! Plain data; who writes is handed to the screen from outside, as the formats are those of the command line.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::domain::page::{List, Order};
use crate::tui::command::FileFormat;

/// What is to be written.
#[derive(Clone, Debug)]
pub struct Job {
    /// The list.
    pub list: List,
    /// The filter's text.
    pub query: String,
    /// Which end comes first.
    pub order: Order,
    /// How.
    pub format: FileFormat,
    /// Set to leave it be: nothing stays behind then.
    pub stop: Arc<AtomicBool>,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Rows.
    pub rows: u64,
    /// The file, whole path.
    pub path: String,
}

/// Writes `Job`, telling now and then how many rows there are; what was written, or why not.
pub type Exports = dyn Fn(&Job, &mut dyn FnMut(u64)) -> Result<Written, String> + Send + Sync;

/// A list that is being written.
#[derive(Clone, Debug)]
pub struct Export {
    /// Rows so far.
    pub rows: u64,
    /// What stops it.
    pub stop: Arc<AtomicBool>,
}
