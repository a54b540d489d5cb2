//! Ctrl-C, SIGTERM and a hang-up in the middle of a command.
//!
//! From `noted` on a first signal is remembered, and whoever works looks whether it is time to end: what was written so
//! far comes out, nothing half done stays. `watch` also interrupts what the ledger is being asked. A second signal ends
//! the process at once. Signals belong to the whole process, and so does what is remembered of them.

use std::fs;
use std::io::{self, Write as _};
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anyhow::{Context as _, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use crate::cli::failure::{Failure, INTERRUPTED};
use crate::cli::out;
use crate::store;
use crate::store::query::Reader;

static ASKED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// What is being asked is interrupted this often: one interruption may fall between two statements.
const AGAIN: Duration = Duration::from_millis(50);

/// From here on a first signal is remembered; where, for work that looks by itself.
pub fn noted() -> Result<Arc<AtomicBool>> {
    for signal in signals() {
        // In this order: only a second signal finds the first one noted.
        flag::register_conditional_shutdown(signal, INTERRUPTED.into(), Arc::clone(&ASKED))
            .and_then(|_| flag::register(signal, Arc::clone(&ASKED)))
            .context("cannot listen for signals")?;
    }
    Ok(Arc::clone(&ASKED))
}

/// The same, and a first signal interrupts what `reader` is asked.
pub fn watch(reader: &Reader) -> Result<()> {
    noted()?;
    let handle = reader.interrupt();
    let mut signals = Signals::new(signals()).context("cannot listen for signals")?;
    std::thread::Builder::new()
        .name("interrupt".to_owned())
        .spawn(move || {
            signals.forever().next();
            loop {
                handle.interrupt();
                std::thread::sleep(AGAIN);
            }
        })
        .context("cannot listen for signals")?;
    Ok(())
}

/// The signals that ask this process to end. Under `nohup` a hang-up does not.
fn signals() -> Vec<i32> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut signals = vec![SIGINT, SIGTERM];
    if !ignores(&status, SIGHUP) {
        signals.push(SIGHUP);
    }
    signals
}

/// Whether the process with this `/proc` status ignores `signal`.
fn ignores(status: &str, signal: i32) -> bool {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Whether it is time to end.
pub fn is_asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Ends the process if it is time to, for work that can be left at any moment; `left` says what becomes of it.
pub fn end(left: &str) {
    if is_asked() {
        // There is nobody left to tell if this fails.
        let _ = io::stderr().write_all(out::tame(format!("interrupted: {left}\n")).as_bytes());
        exit(INTERRUPTED.into());
    }
}

/// An error that ends the command, once it is time.
pub fn check() -> io::Result<()> {
    if is_asked() {
        return Err(io::Error::other(Failure::interrupted()));
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn under_nohup_a_hang_up_is_nothing() {
        let status = |mask: &str| format!("Name:\tx\nSigIgn:\t{mask}\nSigCgt:\t0000000000000001\n");
        assert!(ignores(&status("0000000000000001"), SIGHUP));
        assert!(!ignores(&status("0000000000000002"), SIGHUP));
        assert!(!ignores(&status("0000000000001000"), SIGHUP));
        assert!(!ignores("", SIGHUP));
    }
}
