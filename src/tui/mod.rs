//! The screen: one state, one table of actions, drawn from plain data.
//!
//! Imports domain and store. This file is the loop and what it does to the outside; it holds no logic. A key becomes
//! an action (`actions`), `app::update` changes the state and says what is to be done, the worker reads the ledger on
//! a thread of its own, `view::draw` draws the state. Never waits for the database.

pub mod theme;

pub mod edit;

pub mod exact;

pub mod curl;

pub mod jump;

pub mod complete;

pub mod recall;

pub mod search;

pub mod shell;

pub mod place;

pub mod window;

pub mod cell;

pub mod facts;

pub mod tree;

pub mod hex;

pub mod diff;

pub mod rows;

pub mod ways;

pub mod lookup;

pub mod timeline;

pub mod consent;

pub mod reader;

pub mod record;

pub mod copy;

pub mod picker;

pub mod palette;

pub mod command;

pub mod export;

pub mod wrap;

pub mod work;

pub mod layout;

pub mod actions;

pub mod app;

pub mod view;

pub mod headless;

pub mod term;

pub mod pace;

pub mod input;

pub mod today;

pub mod secrets;

pub mod connected;

pub mod reading;

pub mod worker;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver as Inbox, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossterm::event::{Event, KeyEventKind};
use ratatui::buffer::Buffer;
use rustix::process::{Signal, kill_current_process_group};
use serde::{Serialize, Serializer};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGTSTP};

use crate::domain::page::{List, Order};
use crate::domain::time::{Clock, Zone};
use crate::store::task::{Progress, Task, TaskReport};
use crate::store::today::Outside;
use crate::tui::app::message::{Effect, Msg};
use crate::tui::app::{App, Start, update};
use crate::tui::copy::Kept;
use crate::tui::curl::Curl;
use crate::tui::export::{Exports, Job};
use crate::tui::input::{Gone, Incoming, Input};
use crate::tui::pace::Pace;
use crate::tui::secrets::Several;
use crate::tui::term::Term;
use crate::tui::theme::Theme;
use crate::tui::worker::Worker;

/// So often is looked whether the last task has ended, when the screen is closed.
const END_LOOK: Duration = Duration::from_millis(33);

/// So much is taken in at most before a frame.
const BURST: usize = 256;

/// Time goes on for the screen this often.
const TICK: Duration = Duration::from_millis(500);

/// So long the last frame stays while the first rows of a new place are on their way: nothing flickers, and what
/// takes longer says so.
const PATIENCE: Duration = Duration::from_millis(80);

/// So long after they were asked for, rows that are on their way say how far they are: in the first frame without them.
const LOOK: Duration = Duration::from_millis(70);
/// And then so often.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// So long the screen waits when it is closed for what is being written.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What the screen is given.
pub struct Setup {
    /// The ledger.
    pub path: PathBuf,
    /// Where the present moment comes from.
    pub clock: Clock,
    /// How things look.
    pub theme: Theme,
    /// The receiver.
    pub receiver: ReceiverLink,
    /// The links to paste.
    pub links: Vec<LinkCard>,
    /// The settings that they are made of; `None` where there are none to look at.
    pub settings: Option<Watched>,
    /// The ledger is made up.
    pub demo: bool,
    /// What happens on `q` where the receiver is ours.
    pub on_quit: OnQuit,
    /// Begin with this list instead of the usual screen.
    pub first: Option<First>,
    /// The words that start this program on this ledger.
    pub program: Vec<String>,
    /// Writes lists into files.
    pub exports: Box<Exports>,
    /// Begin with personal data masked.
    pub masked: bool,
    /// The machine's zone, where it is known.
    pub machine_zone: Option<Zone>,
    /// The themes that this terminal can show, by their names in the settings.
    pub looks: Vec<(&'static str, Theme)>,
    /// What can be set in the settings.
    pub knobs: Vec<Knob>,
    /// Has something written to the ledger, wherever its writer is.
    pub tasks: Box<Tasks>,
    /// What settings and disk tell of what needs the publisher.
    pub outside: Box<Known>,
}

/// Something that can be set in the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knob {
    /// Its key with its table: `display.theme`.
    pub setting: String,
    /// What it is good for, in a sentence; empty where its key says it.
    pub help: String,
    /// The command that sets it; what it is set to is typed behind.
    pub command: String,
}

/// A list to begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct First {
    /// The list.
    pub list: List,
    /// The filter.
    pub query: String,
    /// Which end comes first.
    pub order: Order,
    /// The row to select.
    pub id: Option<i64>,
}

/// A settings file that may change while the screen is open.
pub struct Watched {
    /// The file.
    pub path: PathBuf,
    /// Reads it again, for a ledger with this fingerprint key.
    pub read: Box<Reread>,
}

/// Reads the settings again: the links as they are now, or why the file does not hold.
pub type Reread = dyn Fn(&[u8; 32]) -> Result<Vec<LinkCard>, String> + Send;

/// What the ledger does not know by itself; asked for each review.
pub type Known = dyn Fn() -> Outside + Send;

/// Has something written, telling how far it is: a report, or why not.
pub type Tasks =
    dyn Fn(Task, &mut dyn FnMut(&Progress)) -> Result<TaskReport, String> + Send + Sync;

/// The receiver on this ledger, as it was when the screen was started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiverLink {
    /// Where it listens; empty if none runs.
    pub address: String,
    /// Its process.
    pub pid: Option<u32>,
    /// It was started together with this screen.
    pub ours: bool,
}

/// One link to paste into a provider's dashboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkCard {
    /// The provider's id.
    pub provider: String,
    /// The account.
    pub account: String,
    /// The provider's name, and the account's where that is not `main`.
    pub name: String,
    /// The last word before the secret.
    pub hook: String,
    /// What the dashboard calls it.
    pub title: String,
    /// What to paste.
    pub url: String,
    /// No public address is set: nobody but this machine can call it.
    pub is_local: bool,
    /// A request that tries it.
    pub curl: Curl,
    /// What the settings lack for this account.
    pub add: Vec<Missing>,
    /// The settings let everything in, whoever sends it.
    pub unguarded: bool,
    /// Keys whose secrets are being changed.
    pub several: Vec<Several>,
    /// Where in the provider's dashboard links are pasted.
    pub place: &'static str,
}

/// A key that the settings of an account lack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The key with its tables: `providers.conscent.api_key`.
    pub setting: String,
    /// Where it is found and what it is good for.
    pub help: String,
}

impl Missing {
    /// The key alone.
    pub fn key(&self) -> &str {
        self.setting
            .rsplit_once('.')
            .map_or(self.setting.as_str(), |(_, key)| key)
    }

    /// The command that asks for it and writes it down.
    pub fn command(&self) -> String {
        let mut tables = self.setting.split('.').skip(1);
        let mut command = "subledger connect ".to_owned();
        command.push_str(tables.next().unwrap_or_default());
        if let (Some("accounts"), Some(account)) = (tables.next(), tables.next()) {
            command.extend([" --account ", account]);
        }
        command
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.key(), self.help, self.command())
    }
}

impl Serialize for Missing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl LinkCard {
    /// Nothing is set by which a webhook could be let in: what the settings lack is needed.
    pub fn lets_none_in(&self) -> bool {
        self.add.iter().any(|missing| missing.key() == "path_key")
    }

    /// How what the settings lack is called.
    pub fn lacks(&self) -> &'static str {
        if self.lets_none_in() {
            "to add"
        } else {
            "optional"
        }
    }

    /// The part of the link that any receiver has; a secret follows where the settings have one.
    pub fn path(&self) -> String {
        format!("/hooks/{}/{}", self.provider, self.hook)
    }

    /// The command that sends a correctly signed sample of this link.
    pub fn send(&self) -> String {
        let mut command = format!("subledger send {} {}", self.provider, self.hook);
        if self.account != crate::domain::delivery::MAIN_ACCOUNT {
            command.extend([" --account ", &self.account]);
        }
        command
    }
}

/// What happens on `q` where the receiver is ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnQuit {
    /// The publisher is asked.
    #[default]
    Ask,
    /// It goes on in the background.
    Keep,
    /// It stops.
    Stop,
}

/// Why the screen was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// The publisher closed it; a receiver that was not ours goes on.
    Quit,
    /// Ours is to go on in the background.
    KeepReceiver,
    /// Ours is to become a service.
    InstallService,
    /// Ours is to stop.
    StopReceiver,
    /// The terminal went away: the receiver goes on.
    HangUp,
}

/// What keeps the screen from working.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The terminal does not do what a screen needs.
    #[error(
        "the terminal cannot show the screen ({0}): use `subledger today` or `subledger events`"
    )]
    Terminal(io::Error),
    /// A thread of the screen ended by a panic.
    #[error("a part of the screen ended unexpectedly: this is a bug; start `subledger` again")]
    Worker,
}

/// Shows the screen until it is closed. A terminal that goes away is no error.
pub fn run(setup: Setup) -> Result<Leave, Error> {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let size = crossterm::terminal::size().map_err(Error::Terminal)?;
    let app = App::new(Start::of(&setup, size));
    let (sender, inbox) = channel();
    let has_filter = setup
        .first
        .as_ref()
        .is_some_and(|first| !first.query.trim().is_empty());
    let worker = Worker::start(
        setup.path,
        has_filter,
        setup.clock,
        setup.settings,
        setup.outside,
        sender.clone(),
    );
    let input = Input::start(sender.clone()).map_err(Error::Terminal)?;
    let term = Term::take(!dumb).map_err(Error::Terminal)?;
    let mut screen = Loop {
        app,
        term,
        worker,
        inbox,
        sender,
        clock: setup.clock,
        tasks: Arc::from(setup.tasks),
        exports: Arc::from(setup.exports),
        exporting: None,
        writing: None,
        pace: Pace::default(),
        waiting_since: None,
        looked_at: None,
    };
    let left = screen.run();
    screen.stop_export();
    screen.finish_writing();
    drop(screen);
    input.stop();
    match left {
        End::Left(leave) => Ok(leave),
        // Nobody is there to read an error on a terminal that does not take output.
        End::TerminalGone => Ok(Leave::HangUp),
        End::WorkerGone => Err(Error::Worker),
    }
}

/// Draws `app` without a terminal.
pub fn render(app: &App, width: u16, height: u16) -> Buffer {
    headless::draw(&app.at_size(width, height)).cells
}

/// Why the loop ended.
enum End {
    Left(Leave),
    TerminalGone,
    WorkerGone,
}

struct Loop {
    app: App,
    term: Term,
    worker: Worker,
    inbox: Inbox<Incoming>,
    sender: Sender<Incoming>,
    clock: Clock,
    tasks: Arc<Tasks>,
    exports: Arc<Exports>,
    exporting: Option<JoinHandle<()>>,
    /// What is being written into the ledger.
    writing: Option<JoinHandle<()>>,
    pace: Pace,
    waiting_since: Option<Instant>,
    /// When rows that are on their way were last asked how far they are.
    looked_at: Option<Instant>,
}

impl Loop {
    fn run(&mut self) -> End {
        loop {
            if let Err(end) = self.turn() {
                return end;
            }
        }
    }

    /// Draws if something changed, then takes in what happened.
    fn turn(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if self.is_frame_due(now) {
            if self.term.draw(&self.app).map_err(|_| End::TerminalGone)? {
                self.pace.note(now);
            }
            self.app.dirty = false;
        }
        match self.inbox.recv_timeout(self.pause(now)) {
            Ok(incoming) => self.take_all(incoming)?,
            Err(RecvTimeoutError::Timeout) => self.tell(Msg::Tick(self.clock.now()))?,
            Err(RecvTimeoutError::Disconnected) => return Err(End::WorkerGone),
        }
        self.worker.nudge();
        if let Some(why) = self.worker.held_up()
            && self.app.trouble.is_none()
        {
            self.tell(Msg::Trouble(why.to_owned()))?;
        }
        self.look()
    }

    /// Takes in `first` and what came meanwhile, so that a burst of keys gives one frame, and of sizes in a row only the
    /// last is laid out.
    fn take_all(&mut self, first: Incoming) -> Result<(), End> {
        let mut incoming = first;
        for _ in 0..BURST {
            let Ok(next) = self.inbox.try_recv() else {
                break;
            };
            let before = std::mem::replace(&mut incoming, next);
            if !(is_size(&before) && is_size(&incoming)) {
                self.take(before)?;
            }
        }
        self.take(incoming)
    }

    fn is_frame_due(&mut self, now: Instant) -> bool {
        if self.app.is_waiting() {
            let since = *self.waiting_since.get_or_insert(now);
            if now.duration_since(since) < PATIENCE && !self.pace.is_new() {
                return false;
            }
        } else {
            self.waiting_since = None;
        }
        self.app.dirty && self.pace.wait(now).is_zero()
    }

    /// How long there is nothing to do unless something happens.
    fn pause(&self, now: Instant) -> Duration {
        let until = |since: Option<Instant>, span: Duration| {
            since.map_or(span, |since| (since + span).saturating_duration_since(now))
        };
        let is_late = self.app.is_waiting() && until(self.waiting_since, PATIENCE).is_zero();
        if self.app.is_waiting() && !is_late {
            until(self.waiting_since, PATIENCE)
        } else if self.app.dirty {
            self.pace.wait(now)
        } else if self.app.is_reading() {
            until(self.looked_at, self.look_every())
        } else {
            TICK
        }
    }

    /// Soon for the first time, then seldom: every look is a frame.
    fn look_every(&self) -> Duration {
        if self.app.looking.is_some() {
            LOOK_AGAIN
        } else {
            LOOK
        }
    }

    /// Says how far rows that take long have come.
    fn look(&mut self) -> Result<(), End> {
        if !self.app.is_reading() {
            self.looked_at = None;
            return Ok(());
        }
        let now = Instant::now();
        let since = *self.looked_at.get_or_insert(now);
        if now.duration_since(since) < self.look_every() {
            return Ok(());
        }
        self.looked_at = Some(now);
        match self.worker.progress() {
            Some(progress) => self.tell(Msg::Looking(progress)),
            None => Ok(()),
        }
    }

    fn take(&mut self, incoming: Incoming) -> Result<(), End> {
        match incoming {
            Incoming::Terminal(Event::Key(key)) if key.kind != KeyEventKind::Release => {
                #[cfg(debug_assertions)]
                panic_if_asked(key.code);
                self.tell(Msg::Tick(self.clock.now()))?;
                self.tell(Msg::Key(key.into()))
            }
            Incoming::Terminal(Event::Paste(text)) => self.tell(Msg::Paste(text)),
            Incoming::Terminal(Event::Resize(width, height)) => {
                self.tell(Msg::Resize(width, height))
            }
            Incoming::Terminal(_) => Ok(()),
            Incoming::Signal(SIGHUP) => Err(End::Left(Leave::HangUp)),
            Incoming::Signal(SIGCONT) => self.come_back(),
            Incoming::Signal(SIGTSTP) => self.stop(),
            Incoming::Signal(_) if self.app.receiver.ours => Err(End::Left(Leave::StopReceiver)),
            Incoming::Signal(_) => Err(End::Left(Leave::Quit)),
            Incoming::TerminalGone => Err(End::TerminalGone),
            Incoming::Worker(msg) => self.tell(*msg),
            Incoming::WorkerGone => Err(End::WorkerGone),
        }
    }

    fn tell(&mut self, msg: Msg) -> Result<(), End> {
        for effect in update(&mut self.app, msg) {
            self.perform(effect)?;
        }
        Ok(())
    }

    fn perform(&mut self, effect: Effect) -> Result<(), End> {
        let done = match effect {
            Effect::Leave(leave) => return Err(End::Left(leave)),
            Effect::Copy(text) => self.term.copy(&text),
            // Those it was started with stop too, as Ctrl-Z has it; this one when the signal comes back to it.
            Effect::Suspend => kill_current_process_group(Signal::TSTP).map_err(io::Error::from),
            Effect::Redraw => self.term.forget(),
            Effect::Task(task) => {
                self.start(task);
                Ok(())
            }
            Effect::Keep(kept) => {
                self.keep(kept);
                Ok(())
            }
            Effect::Export(job) => {
                self.export(job);
                Ok(())
            }
            read => {
                self.worker.ask(read);
                Ok(())
            }
        };
        done.map_err(|_| End::TerminalGone)
    }

    /// Somebody wants this process to stop: the terminal is given back first, and taken again when it goes on.
    fn stop(&mut self) -> Result<(), End> {
        if !term::can_be_continued() {
            return self.tell(Msg::NotStopped);
        }
        self.term.suspend().map_err(|_| End::TerminalGone)
    }

    /// The terminal is ours again, perhaps in another size.
    fn come_back(&mut self) -> Result<(), End> {
        self.term.retake().map_err(|_| End::TerminalGone)?;
        let (width, height) = crossterm::terminal::size().map_err(|_| End::TerminalGone)?;
        self.tell(Msg::Resize(width, height))
    }

    /// Keeps bytes in a file, without the screen waiting for the disk.
    fn keep(&self, kept: Kept) {
        let sender = self.sender.clone();
        std::thread::spawn(move || {
            let told = Msg::Kept(kept.keep());
            // The screen may be closed by now.
            sender.send(Incoming::Worker(Box::new(told))).ok();
        });
    }

    /// Has a list written into a file, without the screen waiting for it.
    fn export(&mut self, job: Job) {
        let (exports, sender) = (Arc::clone(&self.exports), self.sender.clone());
        self.exporting = Some(std::thread::spawn(move || {
            let _gone = Gone::new(sender.clone());
            let tell = |msg| sender.send(Incoming::Worker(Box::new(msg))).ok();
            let done = exports(&job, &mut |rows| {
                tell(Msg::Exporting(rows));
            });
            tell(Msg::Exported(done));
        }));
    }

    /// A file that is not whole does not stay behind.
    fn stop_export(&mut self) {
        if let Some(export) = &self.app.export {
            export.stop.store(true, Ordering::Relaxed);
        }
        if let Some(exporting) = self.exporting.take() {
            // It ended one way or another.
            exporting.join().ok();
        }
    }

    /// Has something written, without the screen waiting for it.
    fn start(&mut self, task: Task) {
        let (tasks, sender) = (Arc::clone(&self.tasks), self.sender.clone());
        self.writing = Some(std::thread::spawn(move || {
            let _gone = Gone::new(sender.clone());
            // The screen may be closed by now.
            let tell = |msg| sender.send(Incoming::Worker(Box::new(msg))).ok();
            let done = tasks(task, &mut |progress| {
                tell(Msg::Working(progress.clone()));
            });
            tell(Msg::Done(done));
        }));
    }

    /// What was asked for with the last keys is written before the process ends. What takes long is left as far as it
    /// is: each of its steps is whole.
    fn finish_writing(&mut self) {
        let Some(writing) = self.writing.take() else {
            return;
        };
        let deadline = Instant::now() + LAST_WORDS;
        while !writing.is_finished() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero()
                || self
                    .inbox
                    .recv_timeout(left.min(END_LOOK))
                    .is_err_and(is_closed)
            {
                return;
            }
        }
    }
}

fn is_closed(error: RecvTimeoutError) -> bool {
    error == RecvTimeoutError::Disconnected
}

fn is_size(incoming: &Incoming) -> bool {
    matches!(incoming, Incoming::Terminal(Event::Resize(..)))
}

/// Lets a test see that a panic gives the terminal back: `SUBLEDGER_PANIC_ON=x` panics on that key. Not in releases.
#[cfg(debug_assertions)]
fn panic_if_asked(code: crossterm::event::KeyCode) {
    let asked = std::env::var("SUBLEDGER_PANIC_ON")
        .ok()
        .and_then(|word| word.chars().next());
    assert!(
        asked.is_none() || code.as_char() != asked,
        "a test asked for this panic"
    );
}
