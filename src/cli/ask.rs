//! Questions on the terminal: secrets are not shown while they are typed, and Ctrl-C leaves the terminal as it was.

use std::fs::File;
use std::io::{self, BufRead, IsTerminal, Write, stderr, stdin};
use std::process::exit;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::cli::failure::{Failure, INTERRUPTED};
use crate::config::Secret;
use crate::domain::printable::Printable;

/// Where the person is, whatever stdin and stdout are.
const TERMINAL: &str = "/dev/tty";

/// Somebody who can be asked. As long as this lives, a signal that ends the program first gives the terminal back.
pub struct Person {
    writing: Arc<Mutex<()>>,
}

impl Person {
    /// The person at the terminal; `None` if stdin is none.
    pub fn at_terminal() -> Result<Option<Self>> {
        if !stdin().is_terminal() {
            return Ok(None);
        }
        let terminal = File::open(TERMINAL).context("cannot open the terminal")?;
        let as_it_was = tcgetattr(&terminal).context("cannot ask the terminal")?;
        let mut signals =
            Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot wait for signals")?;
        let writing = Arc::new(Mutex::new(()));
        let held = Arc::clone(&writing);
        std::thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                // What is being written is written to its end.
                let _held = held.lock().unwrap_or_else(PoisonError::into_inner);
                tcsetattr(&terminal, OptionalActions::Now, &as_it_was).ok();
                writeln!(stderr(), "\nsubledger: stopped").ok();
                exit(128 + signal);
            }
        });
        Ok(Some(Self { writing }))
    }

    /// Signals wait as long as the guard lives.
    pub fn undisturbed(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a secret, which is not shown. Blanks around it are none of it; `None` if it is empty.
    pub fn secret(&self, prompt: &str) -> Result<Option<Secret>> {
        let prompt = format!("{} (not shown): ", Printable::line(prompt));
        match rpassword::prompt_password(prompt) {
            Ok(text) => Ok(some(&text).map(Secret::new)),
            // The signal has been sent, too, and is answered by the thread above.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                Err(Failure::silent(INTERRUPTED).into())
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(stopped().into()),
            Err(error) => Err(error).context("cannot ask at the terminal"),
        }
    }

    /// Asks for a text; `None` if it is empty.
    pub fn text(&self, prompt: &str) -> Result<Option<String>> {
        write!(stderr(), "{}: ", Printable::line(prompt)).ok();
        let mut line = String::new();
        if stdin().lock().read_line(&mut line)? == 0 {
            writeln!(stderr()).ok();
            return Err(stopped().into());
        }
        Ok(some(&line).map(str::to_owned))
    }
}

/// The person went away in the middle.
fn stopped() -> Failure {
    Failure {
        code: INTERRUPTED,
        message: "stopped: nothing was written".to_owned(),
    }
}

fn some(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}
