//! Ctrl-C in the middle of long work: the first asks it to end and tidy up, the second ends it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::cli::failure::{Failure, INTERRUPTED};
use crate::store;

/// A flag that becomes true at the first SIGINT, SIGTERM or SIGHUP; another one ends the process at once.
pub fn flagged() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register_conditional_shutdown(signal, i32::from(INTERRUPTED), Arc::clone(&stop))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .context("cannot listen for Ctrl-C")?;
    }
    Ok(stop)
}

/// The failure for work that left nothing behind when it was interrupted; any other error as it is.
pub fn told(error: store::Error) -> anyhow::Error {
    match error {
        store::Error::Interrupted => Failure {
            code: INTERRUPTED,
            message: "interrupted: nothing was left behind, nothing was changed".to_owned(),
        }
        .into(),
        error => error.into(),
    }
}
