//! Ctrl-C, SIGTERM and a hang-up in the middle of a command.
//!
//! Work that has something to finish is told and looks by itself (`Interrupt`); a command that writes what it asks the
//! ledger for is interrupted, and what was written so far comes out (`watch`). A second signal ends either at once.

use std::io::{self, Write as _};
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use crate::cli::failure::{Failure, INTERRUPTED};
use crate::store;
use crate::store::query::Reader;

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

    /// Ends the process if it is time to, for work that can be left at any moment.
    pub fn end(&self) {
        if self.is_asked() {
            // There is nobody left to tell if this fails.
            let _ = io::stderr().write_all(b"interrupted: no delivery was touched\n");
            exit(INTERRUPTED.into());
        }
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

static SEEN: AtomicBool = AtomicBool::new(false);

/// What is being asked is interrupted this often: one interruption may fall between two statements.
const AGAIN: Duration = Duration::from_millis(50);

/// From now on a first SIGINT interrupts what `reader` is asked, and `check` tells of it; a second one ends the process
/// at once. To be called once.
pub fn watch(reader: &Reader) -> Result<()> {
    let handle = reader.interrupt();
    let mut signals = Signals::new([SIGINT]).context("cannot listen for Ctrl-C")?;
    std::thread::Builder::new()
        .name("interrupt".to_owned())
        .spawn(move || {
            signals.forever().next();
            SEEN.store(true, Ordering::Relaxed);
            while signals.pending().next().is_none() {
                handle.interrupt();
                std::thread::sleep(AGAIN);
            }
            exit(i32::from(INTERRUPTED));
        })
        .context("cannot listen for Ctrl-C")?;
    Ok(())
}

/// Whether SIGINT came.
pub fn seen() -> bool {
    SEEN.load(Ordering::Relaxed)
}

/// An error that ends the command, once SIGINT came.
pub fn check() -> io::Result<()> {
    if seen() {
        return Err(io::Error::other(failure()));
    }
    Ok(())
}

/// What an interrupted command fails with.
pub fn failure() -> Failure {
    Failure {
        code: INTERRUPTED,
        message: "interrupted".to_owned(),
    }
}
