//! Keys, sizes and signals, from threads of their own into the one inbox of the loop.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossterm::event::{self, Event};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::iterator::{Handle, Signals};

use crate::tui::app::message::Msg;

/// So often the keyboard's thread looks whether it is still wanted.
const POLL: Duration = Duration::from_millis(50);

/// Something for the loop.
#[derive(Debug)]
pub enum Incoming {
    /// A key, a paste, a size.
    Terminal(Event),
    /// The terminal cannot be read any more.
    TerminalGone,
    /// A signal by its number.
    Signal(i32),
    /// An answer.
    Worker(Box<Msg>),
    /// The worker, or another thread of the screen, ended by a panic, which gave the terminal back.
    WorkerGone,
}

/// Tells the loop if a thread ends by a panic.
pub struct Gone(Sender<Incoming>);

impl Gone {
    /// Watches over the thread that holds this.
    pub const fn new(inbox: Sender<Incoming>) -> Self {
        Self(inbox)
    }
}

impl Drop for Gone {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The loop may have ended before.
            self.0.send(Incoming::WorkerGone).ok();
        }
    }
}

/// The threads that listen.
pub struct Input {
    unwanted: Arc<AtomicBool>,
    keyboard: JoinHandle<()>,
    signals: Handle,
}

impl Input {
    /// Listens, and sends to `inbox`.
    pub fn start(inbox: Sender<Incoming>) -> io::Result<Self> {
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGTSTP, SIGCONT])?;
        let handle = signals.handle();
        let to_inbox = inbox.clone();
        std::thread::spawn(move || {
            for signal in &mut signals {
                if to_inbox.send(Incoming::Signal(signal)).is_err() {
                    break;
                }
            }
        });
        let unwanted = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&unwanted);
        let keyboard = std::thread::spawn(move || listen(&inbox, &stop));
        Ok(Self {
            unwanted,
            keyboard,
            signals: handle,
        })
    }

    /// Stops listening, so that whoever comes next has the keyboard to itself. A terminal that went away may keep its
    /// thread from ending: it is not waited for longer than a moment.
    pub fn stop(self) {
        self.unwanted.store(true, Ordering::Relaxed);
        self.signals.close();
        let started = Instant::now();
        while !self.keyboard.is_finished() && started.elapsed() < 4 * POLL {
            std::thread::sleep(POLL / 10);
        }
    }
}

fn listen(inbox: &Sender<Incoming>, unwanted: &AtomicBool) {
    while !unwanted.load(Ordering::Relaxed) {
        let incoming = match event::poll(POLL) {
            Ok(false) => continue,
            Ok(true) => event::read().map_or(Incoming::TerminalGone, Incoming::Terminal),
            Err(_) => Incoming::TerminalGone,
        };
        let gone = matches!(incoming, Incoming::TerminalGone);
        if inbox.send(incoming).is_err() || gone {
            break;
        }
    }
}
