//! Reads the ledger on a thread of its own: the newest request of a kind wins, one that nobody waits for any more is
//! interrupted, rows come before counts.
//!
//! The one file of the screen that knows the store's `Reader`. Never writes.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use std::time::{Duration, Instant};

use crate::domain::time::Clock;
use crate::store::query::{Looked, Progress, Reader};
use crate::store::{Error, schema};
use crate::tui::app::message::{Effect, Msg};
use crate::tui::input::{Gone, Incoming};
use crate::tui::{Known, reading};
use crate::tui::{LinkCard, Watched};

/// So often is looked whether something was written.
const POLL: Duration = Duration::from_millis(250);

/// So often is looked whether a receiver is running.
const LOOK: Duration = Duration::from_secs(2);

/// Whoever waits so long for a ledger to open is told why.
const OPEN_PATIENCE: Duration = Duration::from_millis(800);

/// So often is tried again to open a ledger that cannot be read.
const RETRY: Duration = Duration::from_secs(1);

/// A kind of request: of each only the newest counts. The order is that in which they are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Rows,
    Found,
    Record,
    Today,
    Connections,
    Status,
    Choices,
    Weigh,
    Hiding,
    Count,
    Rank,
}

const KINDS: usize = 11;

fn kind(effect: &Effect) -> Option<Kind> {
    match effect {
        Effect::Load(_) => Some(Kind::Rows),
        Effect::Find { .. } => Some(Kind::Found),
        Effect::Hiding { .. } => Some(Kind::Hiding),
        Effect::Raw { .. } => Some(Kind::Record),
        Effect::Today(_) => Some(Kind::Today),
        Effect::Connections => Some(Kind::Connections),
        Effect::Status => Some(Kind::Status),
        Effect::Choices { .. } => Some(Kind::Choices),
        Effect::Weigh { .. } => Some(Kind::Weigh),
        Effect::Count { .. } => Some(Kind::Count),
        Effect::Rank { .. } => Some(Kind::Rank),
        Effect::Export(_)
        | Effect::Task(_)
        | Effect::Copy(_)
        | Effect::Keep(_)
        | Effect::Suspend
        | Effect::Redraw
        | Effect::Leave(_) => None,
    }
}

#[derive(Default)]
struct Desk {
    waiting: [Option<Effect>; KINDS],
    running: Option<Kind>,
    /// What runs is not wanted any more.
    interrupted: bool,
    interrupt: Option<Box<dyn Fn() + Send>>,
    /// What notes how far a page has come.
    looked: Option<Arc<Looked>>,
    /// Since when the ledger is being opened.
    opening: Option<Instant>,
    closed: bool,
}

/// The desk that requests are laid on.
#[derive(Clone, Default)]
struct Shared(Arc<(Mutex<Desk>, Condvar)>);

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that reads.
pub struct Worker {
    shared: Shared,
}

impl Worker {
    /// Opens the ledger at `path` as soon as that is possible; answers go to `inbox`. `with_words`: the first place has a
    /// filter, which names what the ledger holds.
    pub fn start(
        path: PathBuf,
        with_words: bool,
        clock: Clock,
        settings: Option<Watched>,
        outside: Box<Known>,
        inbox: Sender<Incoming>,
    ) -> Self {
        let shared = Shared::default();
        let job = Job {
            shared: shared.clone(),
            path,
            clock,
            settings,
            outside,
            links: RefCell::default(),
            was_there: Cell::new(false),
            with_words: Cell::new(with_words),
            inbox: inbox.clone(),
        };
        std::thread::spawn(move || {
            let _gone = Gone::new(inbox);
            job.run();
        });
        Self { shared }
    }

    /// Lays a request on the desk. One of its kind that waits is dropped; what runs gives way if this is answered
    /// before it.
    pub fn ask(&self, effect: Effect) {
        let Some(kind) = kind(&effect) else {
            return;
        };
        let mut desk = self.shared.desk();
        desk.waiting[kind as usize] = Some(effect);
        if kind == Kind::Rows {
            // Rows of another place: nobody waits for the count of this one.
            desk.waiting[Kind::Count as usize] = None;
            desk.waiting[Kind::Hiding as usize] = None;
        }
        if desk.running.is_some_and(|running| running >= kind) {
            desk.interrupted = true;
            interrupt(&desk);
        }
        self.shared.0.1.notify_one();
    }

    /// How far the rows or the search that are being read have come; `None` while something else is.
    pub fn progress(&self) -> Option<Progress> {
        let desk = self.shared.desk();
        let reads = matches!(desk.running, Some(Kind::Rows | Kind::Found));
        desk.looked
            .as_ref()
            .filter(|_| reads)
            .map(|looked| looked.progress())
    }

    /// Why the ledger may take so long to open, where it does. A lock is known for sure once SQLite has given up.
    pub fn held_up(&self) -> Option<&'static str> {
        let opening = self.shared.desk().opening?;
        (opening.elapsed() >= OPEN_PATIENCE)
            .then_some("still opening the ledger; perhaps another program keeps the ledger locked")
    }

    /// Interrupts once more what was interrupted between two statements and runs on.
    pub fn nudge(&self) {
        let desk = self.shared.desk();
        if desk.interrupted && desk.running.is_some() {
            interrupt(&desk);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let mut desk = self.shared.desk();
        desk.closed = true;
        interrupt(&desk);
        self.shared.0.1.notify_one();
    }
}

fn interrupt(desk: &Desk) {
    if let Some(handle) = &desk.interrupt {
        handle();
    }
}

struct Job {
    shared: Shared,
    path: PathBuf,
    clock: Clock,
    settings: Option<Watched>,
    /// The links of the settings that held last.
    links: RefCell<Vec<LinkCard>>,
    /// The ledger could be opened once.
    was_there: Cell<bool>,
    /// What filters can name is read before all else: there is a filter, or may be by now.
    with_words: Cell<bool>,
    outside: Box<Known>,
    inbox: Sender<Incoming>,
}

/// Why a ledger is not read any more.
enum Stop {
    /// The screen is closed.
    Closed,
    /// It was upgraded, or another file was put in its place: that is opened at once.
    Another,
    /// Something is wrong with the ledger: it is opened again.
    Trouble(String),
}

/// What is said of a ledger that does not open.
const LOCKED: &str = "another program keeps the ledger locked; trying again";

/// What keeps the ledger at `path` from being read, in a line: the path alone would fill it.
fn trouble(path: &Path, was_there: bool, error: Error) -> Stop {
    Stop::Trouble(match schema::judge(path, error) {
        Error::Newer { .. } => {
            "a newer subledger has upgraded this file: `q`, then start that one".to_owned()
        }
        Error::Absent(_) if was_there => {
            "the ledger's file is not there any more; looking for it".to_owned()
        }
        Error::Absent(_) => format!("no ledger yet, looking for it: {}", path.display()),
        Error::Foreign(_) => {
            "the ledger's file is no ledger any more: put a backup back".to_owned()
        }
        Error::Damaged { what, .. } => {
            format!("the ledger is damaged: see `subledger doctor` ({what})")
        }
        Error::Busy => LOCKED.to_owned(),
        Error::Io { cause, .. } => format!("the ledger cannot be read: {cause}"),
        other => other.to_string(),
    })
}

impl Job {
    fn run(&self) {
        loop {
            // Looked at first: a file that takes its place meanwhile is noticed.
            let file = identity(&self.path);
            self.shared.desk().opening = Some(Instant::now());
            let opened = Reader::open(&self.path);
            self.shared.desk().opening = None;
            let stop = match opened {
                Ok(reader) => {
                    self.was_there.set(true);
                    self.serve(&reader, file)
                }
                Err(error) => self.trouble(error),
            };
            self.shared.desk().interrupt = None;
            match stop {
                Stop::Closed => return,
                Stop::Another => {}
                Stop::Trouble(why) => {
                    if self.tell(Msg::Trouble(why)).is_err() || self.rest(RETRY).is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn trouble(&self, error: Error) -> Stop {
        trouble(&self.path, self.was_there.get(), error)
    }

    fn tell(&self, msg: Msg) -> Result<(), Stop> {
        self.inbox
            .send(Incoming::Worker(Box::new(msg)))
            .map_err(|_| Stop::Closed)
    }

    /// Waits, unless the screen is closed.
    fn rest(&self, span: Duration) -> Result<(), Stop> {
        let until = Instant::now() + span;
        let mut desk = self.shared.desk();
        while !desk.closed {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            let waited = self.shared.0.1.wait_timeout(desk, left);
            desk = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Err(Stop::Closed)
    }

    /// Answers from one opened ledger.
    fn serve(&self, reader: &Reader, file: Option<Identity>) -> Stop {
        let handle = reader.interrupt();
        let mut desk = self.shared.desk();
        desk.interrupt = Some(Box::new(move || handle.interrupt()));
        desk.looked = Some(reader.looked());
        drop(desk);
        match self.answer_all(reader, file) {
            Ok(never) => match never {},
            Err(stop) => stop,
        }
    }

    fn answer_all(
        &self,
        reader: &Reader,
        file: Option<Identity>,
    ) -> Result<std::convert::Infallible, Stop> {
        let trouble = |error| self.trouble(error);
        let with_words = self.with_words.replace(true);
        let opened = reading::opened(reader, &self.path, self.clock.now(), with_words);
        self.tell(Msg::Opened(opened.map_err(trouble)?))?;
        if !with_words {
            // After what the first place needs.
            self.shared.desk().waiting[Kind::Status as usize] = Some(Effect::Status);
        }
        self.tell(Msg::Views(reader.views().map_err(trouble)?))?;
        let mut version = reader.version().map_err(trouble)?;
        let mut looked_at = Instant::now();
        let mut running_looked_at = Instant::now();
        let mut settings = None;
        self.look_at_settings(reader, &mut settings)?;
        loop {
            if let Some(effect) = self.next(looked_at + POLL)? {
                self.answer(reader, effect)?;
            }
            if looked_at.elapsed() >= POLL {
                looked_at = Instant::now();
                if identity(&self.path) != file {
                    return Err(Stop::Another);
                }
                if running_looked_at.elapsed() >= LOOK {
                    running_looked_at = Instant::now();
                    let status = reading::status(reader, &self.path, self.clock.now());
                    self.tell(Msg::Status(status.map_err(trouble)?))?;
                    self.look_at_settings(reader, &mut settings)?;
                }
                let now = reader.version().map_err(trouble)?;
                if now != version {
                    version = now;
                    if reader.is_outdated().map_err(trouble)? {
                        return Err(Stop::Another);
                    }
                    self.tell(Msg::Changed)?;
                }
            }
        }
    }

    /// Reads the settings again if the file is another one than it `was`.
    fn look_at_settings(&self, reader: &Reader, was: &mut Option<Looks>) -> Result<(), Stop> {
        let Some(settings) = &self.settings else {
            return Ok(());
        };
        let now = Looks(stamp(&settings.path));
        // A file that is still not there is not looked for anew.
        if *was == Some(now) {
            return Ok(());
        }
        *was = Some(now);
        let key = reader.fingerprint_key();
        let key = key.map_err(|error| self.trouble(error))?;
        let links = (settings.read)(&key);
        if let Ok(links) = &links {
            self.links.replace(links.clone());
        }
        self.tell(Msg::Links(links))?;
        self.tell(Msg::Changed)
    }

    /// The next request by rank; `None` if none comes until `until`.
    fn next(&self, until: Instant) -> Result<Option<Effect>, Stop> {
        let mut desk = self.shared.desk();
        loop {
            if desk.closed {
                return Err(Stop::Closed);
            }
            let found = desk.waiting.iter_mut().find_map(Option::take);
            if let Some(effect) = found {
                desk.running = kind(&effect);
                desk.interrupted = false;
                return Ok(Some(effect));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let waited = self.shared.0.1.wait_timeout(desk, left);
            desk = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn answer(&self, reader: &Reader, effect: Effect) -> Result<(), Stop> {
        let done = {
            let links = self.links.borrow();
            reading::answer(
                reader,
                &self.path,
                self.clock.now(),
                &links,
                &*self.outside,
                &effect,
                &mut |msg| self.tell(msg).map_err(|_| Error::Interrupted),
            )
        };
        let mut desk = self.shared.desk();
        let running = desk.running.take();
        let was_interrupted = std::mem::take(&mut desk.interrupted);
        match done {
            Ok(()) => Ok(()),
            Err(Error::Interrupted) if was_interrupted => {
                // It gave way to something more urgent: it is done after that, unless a newer one of its kind came.
                if let Some(slot) = running.map(|kind| kind as usize)
                    && desk.waiting[slot].is_none()
                    && !matches!(running, Some(Kind::Count | Kind::Hiding))
                {
                    desk.waiting[slot] = Some(effect);
                }
                Ok(())
            }
            Err(Error::Interrupted) if desk.closed => Err(Stop::Closed),
            Err(Error::Refused(why)) => {
                drop(desk);
                reading::refused(&effect, &why).map_or(Ok(()), |msg| self.tell(msg))
            }
            Err(error) => {
                // Whatever was asked is asked again of the ledger that is opened next.
                drop(desk);
                Err(self.trouble(error))
            }
        }
    }
}

/// How a file looked; `None` where there was none.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Looks(Option<Stamp>);

/// What changes when a file is written or replaced.
type Stamp = (u64, u64, SystemTime);

fn stamp(path: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.ino(), meta.len(), meta.modified().ok()?))
}

/// What tells a file from another at the same path.
type Identity = (u64, u64);

/// `None` if there is none.
fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.dev(), meta.ino()))
}
