//! The screen, wired to this ledger.

use anyhow::Result;

use crate::cli::context::Context;
use crate::cli::running::Running;
use crate::tui::Leave;

/// Opens the screen and gives back how it was left.
pub fn open(_context: &Context, _query: Option<String>, _receiver: Option<(&Running, bool)>) -> Result<Leave> {
    Ok(Leave::Quit)
}
