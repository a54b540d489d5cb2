//! Ctrl-C, SIGTERM and a hang-up for commands that have something to finish: they are told, and a second one ends them
//! at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::cli::failure::{Failure, INTERRUPTED};
use crate::store;

/// Whether this process was asked to end.
#[derive(Clone, Debug)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From here on the signals are noted instead of ending the process.
    pub fn noted() -> Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // In this order: only a second signal finds the first one noted.
            flag::register_conditional_shutdown(signal, INTERRUPTED.into(), Arc::clone(&asked))
                .and_then(|_| flag::register(signal, Arc::clone(&asked)))
                .context("cannot listen for signals")?;
        }
        Ok(Self(asked))
    }

    /// Whether it is time to end.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The same, for work that looks by itself.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
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
