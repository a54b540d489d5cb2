//! Ctrl-C while a command writes or asks: what was written so far comes out, and the exit code says it.

use std::io;
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;

use crate::cli::failure::{Failure, INTERRUPTED};
use crate::store::query::Reader;

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
