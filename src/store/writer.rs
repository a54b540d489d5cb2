//! A ledger opened for writing, and the handle that every thread writes through.
//!
//! One thread owns the one connection that writes; everybody else puts what they have into its queue.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::domain::delivery::{Delivery, Reading};
use crate::domain::time::{Clock, Timestamp, Zone};
use crate::store::inbox::{Inbox, Job};
pub use crate::store::inbox::{Overloaded, Reply};
use crate::store::kept::{self, Hold};
use crate::store::lock::Lock;
pub use crate::store::ring::Rejected;
use crate::store::schema::{self, meta, unhex};
use crate::store::socket::Served;
use crate::store::task::{AdmitFn, Hands, Progress, Task, TaskReport};
use crate::store::thread::Core;
use crate::store::today::alerts::{ALERTS, Alerts, HEARTBEAT, Heartbeat};
use crate::store::upgrade::Upgraded;
use crate::store::upkeep::retention::Retention;
use crate::store::vitals::{Figures, Vitals};
use crate::store::{Error, ReadFn};

/// How a ledger is opened for writing.
#[derive(Clone)]
pub struct Options {
    /// Reads stored deliveries.
    pub read: ReadFn,
    /// The zone of days, used when the file is made.
    pub zone: Zone,
    /// The present moment.
    pub clock: Clock,
    /// The address it receives on, for the lock file; empty if it does not.
    pub listen: String,
}

/// How the writer is doing.
#[derive(Clone, Debug)]
pub struct Health {
    /// When something was last committed, by our clock.
    pub last_commit_at: Option<Timestamp>,
    /// How long ago that was. While nothing else happens, a probe is committed every 5 seconds.
    pub probe_age: Duration,
    /// Deliveries that wait.
    pub queued: usize,
    /// The newest delivery.
    pub last_seq: i64,
    /// Everything up to here is folded.
    pub folded_seq: i64,
    /// What is wrong, if the last commit failed.
    pub failing: Option<String>,
    /// Size of the write-ahead log at the last checkpoint.
    pub wal_bytes: u64,
    /// Commits since this ledger was opened.
    pub commits: u64,
}

/// What the writer's thread shows to others.
pub(crate) struct Shared {
    pub(crate) inbox: Inbox,
    opened: Instant,
    pub(crate) committed_ms: AtomicU64,
    pub(crate) last_commit_at: AtomicI64,
    pub(crate) last_seq: AtomicI64,
    pub(crate) folded_seq: AtomicI64,
    pub(crate) wal_bytes: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) failing: Mutex<Option<String>>,
    pub(crate) zone: Mutex<Zone>,
    pub(crate) vitals: Vitals,
    path: PathBuf,
    /// Whether webhooks come in here, which wait for whatever else is done.
    pub(crate) is_receiving: bool,
    hands: Mutex<Hands>,
    /// Closing need not wait until everything is folded.
    pub(crate) hurry: AtomicBool,
    /// What is kept how long.
    pub(crate) retention: Mutex<Retention>,
}

pub(crate) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(zone: Zone, path: PathBuf, is_receiving: bool) -> Self {
        Self {
            inbox: Inbox::default(),
            opened: Instant::now(),
            committed_ms: AtomicU64::new(0),
            last_commit_at: AtomicI64::new(i64::MIN),
            last_seq: AtomicI64::new(0),
            folded_seq: AtomicI64::new(0),
            wal_bytes: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            failing: Mutex::new(None),
            zone: Mutex::new(zone),
            vitals: Vitals::default(),
            path,
            is_receiving,
            hands: Mutex::new(Hands::default()),
            hurry: AtomicBool::new(false),
            retention: Mutex::new(Retention::default()),
        }
    }

    pub(crate) fn hands(&self) -> MutexGuard<'_, Hands> {
        held(&self.hands)
    }

    pub(crate) fn uptime_ms(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A ledger opened for writing: the lock and the writer's thread.
pub struct Store {
    shared: Arc<Shared>,
    path: PathBuf,
    fingerprint_key: [u8; 32],
    thread: Option<JoinHandle<Result<(), Error>>>,
    served: Mutex<Option<Served>>,
    upgraded: Option<Upgraded>,
    // Last: the locks are let go of after the thread has ended.
    _hold: Option<Hold>,
    _lock: Lock,
}

impl Store {
    /// Takes the lock, makes, upgrades or checks the file, and goes on folding where it was left. `Error::Locked` if another
    /// process holds it; the other errors of `schema::open` leave the file untouched.
    pub fn open(path: &Path, options: Options) -> Result<Self, Error> {
        let path = &real_path(path);
        let now = options.clock.now();
        schema::look(path)?;
        schema::make_folder(path)?;
        let lock = Lock::take(path, &options.listen, now)?;
        let (conn, upgraded) = schema::open(path, options.zone, now)?;
        let hold = hold(path)?;
        let damaged = |what: &str| Error::Damaged {
            path: path.clone(),
            what: what.to_owned(),
        };
        let zone: Zone = meta(&conn, "zone")?
            .and_then(|name| name.parse().ok())
            .ok_or_else(|| damaged("its time zone is missing"))?;
        let fingerprint_key = meta(&conn, "fingerprint_key")?
            .and_then(|text| unhex(&text))
            .ok_or_else(|| damaged("its fingerprint key is missing"))?;
        let shared = Arc::new(Shared::new(zone, path.clone(), !options.listen.is_empty()));
        let core = Core::load(conn, path.clone(), options, zone, Arc::clone(&shared))
            .map_err(|error| schema::judge(path, error))?;
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || core.live())
            .map_err(|source| Error::Io {
                path: path.clone(),
                cause: source,
            })?;
        Ok(Self {
            shared,
            path: path.clone(),
            fingerprint_key,
            thread: Some(thread),
            served: Mutex::new(None),
            upgraded,
            _hold: hold,
            _lock: lock,
        })
    }

    /// A handle that any thread can write through.
    pub fn writer(&self) -> Writer {
        Writer {
            shared: Arc::clone(&self.shared),
        }
    }

    /// The file, links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What opening it upgraded, if anything.
    pub const fn upgraded(&self) -> Option<&Upgraded> {
        self.upgraded.as_ref()
    }

    /// The zone that days are counted in.
    pub fn zone(&self) -> Zone {
        *held(&self.shared.zone)
    }

    /// The key that fingerprints of credentials are made with.
    pub const fn fingerprint_key(&self) -> [u8; 32] {
        self.fingerprint_key
    }

    /// Says how rejected requests are judged again, without listening for tasks.
    pub fn admit_with(&self, admit: AdmitFn) {
        self.shared.hands().admit = Some(admit);
    }

    /// Does tasks that other processes hand over at `<database>.sock`; `admit` judges rejected requests again.
    pub fn serve_tasks(&self, admit: AdmitFn) -> Result<(), Error> {
        self.admit_with(admit);
        let served = Served::start(&self.path, self.writer())?;
        *held(&self.served) = Some(served);
        Ok(())
    }

    /// What `Task::Stop` calls. It should return at once.
    pub fn on_stop(&self, stop: impl Fn() + Send + Sync + 'static) {
        self.shared.hands().stop = Some(Arc::new(stop));
    }

    /// What `Task::Reload` calls: what was taken over, or why the settings stay as they were.
    pub fn on_reload(&self, reload: impl Fn() -> Result<String, String> + Send + Sync + 'static) {
        self.shared.hands().reload = Some(Arc::new(reload));
    }

    /// Commits and answers what waits, folds everything and what the clock changes, empties the write-ahead log and lets go of the lock.
    pub fn close(mut self) -> Result<(), Error> {
        self.end()
    }

    /// As `close`, within a few steps of folding: what is left is folded after the next start. For whoever is told to
    /// end, and killed if that takes long.
    pub fn stop(mut self) -> Result<(), Error> {
        self.shared.hurry.store(true, Ordering::Relaxed);
        self.end()
    }

    fn end(&mut self) -> Result<(), Error> {
        drop(held(&self.served).take());
        self.shared.inbox.close();
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(done)) => done,
            Some(Err(_)) => Err(Error::Unwritable("the writer failed".to_owned())),
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.shared.hurry.store(true, Ordering::Relaxed);
        // Nobody is left to be told.
        let _ = self.end();
    }
}

/// Keeps others from writing to the ledger by another name of the same file; `None` where the disk has no such locks.
fn hold(path: &Path) -> Result<Option<Hold>, Error> {
    match kept::hold(path) {
        Ok(Some(hold)) => Ok(Some(hold)),
        Ok(None) => Err(Error::Locked {
            path: path.to_owned(),
            holder: "unknown, it opened the file by another name".to_owned(),
        }),
        Err(error) => {
            tracing::debug!("another name of the ledger would not be noticed: {error}");
            Ok(None)
        }
    }
}

/// Follows symbolic links, so that two names of one ledger have one lock.
fn real_path(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new(".")).canonicalize();
    match (parent, path.file_name()) {
        (Ok(parent), Some(name)) => parent.join(name),
        _ => path.to_owned(),
    }
}

/// A way to write to a ledger from any thread.
#[derive(Clone)]
pub struct Writer {
    shared: Arc<Shared>,
}

impl Writer {
    /// Queues a delivery. `reply` is called after it is on disk, synced, or could not be written; it may be dropped
    /// uncalled if the writer fails, which means no as well.
    pub fn append(
        &self,
        delivery: Delivery,
        reading: Reading,
        reply: Reply,
    ) -> Result<(), Overloaded> {
        self.shared.inbox.push(Job {
            delivery,
            reading,
            admits: None,
            repeats_at: None,
            reply: Some(reply),
        })
    }

    /// The 200 for delivery `seq` was written out.
    pub fn confirm(&self, seq: i64) {
        self.shared.inbox.confirm(seq);
    }

    /// Keeps a request that was turned away, if there is room; it is counted if not.
    pub fn reject(&self, rejected: Rejected) {
        self.shared.inbox.reject(rejected);
    }

    /// Counts a request that was turned away and is not to be kept. `reason` comes from a small set.
    pub fn lose(&self, at: Timestamp, provider: &str, reason: &str) {
        self.shared.inbox.lose(at, provider, reason);
    }

    /// Somebody tried a link with the right path key.
    pub fn checked(&self, provider: &str, account: &str, hook: &str) {
        self.shared
            .inbox
            .check((provider.to_owned(), account.to_owned(), hook.to_owned()));
    }

    /// Keeps what was told, along with the next commit.
    pub fn keep_alerts(&self, alerts: &Alerts) {
        self.keep(ALERTS, serde_json::to_string(alerts));
    }

    /// Keeps the last heartbeat, along with the next commit.
    pub fn keep_heartbeat(&self, heartbeat: &Heartbeat) {
        self.keep(HEARTBEAT, serde_json::to_string(heartbeat));
    }

    fn keep(&self, key: &'static str, value: serde_json::Result<String>) {
        match value {
            Ok(value) => self.shared.inbox.keep(key, value),
            Err(error) => tracing::error!("{key} cannot be kept: {error}"),
        }
    }

    /// What is dropped for its age from now on, when nothing else is to be done.
    pub fn retain(&self, retention: Retention) {
        *held(&self.shared.retention) = retention;
    }

    /// Does upkeep in bounded steps between deliveries, and waits for it. `progress` is called now and then, at
    /// least every other second.
    pub fn run(
        &self,
        task: Task,
        progress: &mut dyn FnMut(&Progress),
    ) -> Result<TaskReport, Error> {
        crate::store::task::run(&self.shared, task, progress)
    }

    /// Makes the disk as good as full beyond so many pages.
    #[cfg(test)]
    pub(crate) fn limit_pages(&self, pages: i64) -> Result<(), Error> {
        crate::store::task::limit_pages(&self.shared, pages)
    }

    /// What the writer has counted, and how much room there is: a few calls of the system, no look at a table.
    pub fn figures(&self) -> Figures {
        let shared = &self.shared;
        let oldest = shared.inbox.oldest();
        shared.vitals.figures(&shared.path, oldest)
    }

    /// How the writer is doing.
    pub fn health(&self) -> Health {
        let shared = &self.shared;
        let committed = shared.last_commit_at.load(Ordering::Relaxed);
        let age_ms = shared
            .uptime_ms()
            .saturating_sub(shared.committed_ms.load(Ordering::Relaxed));
        Health {
            last_commit_at: (committed != i64::MIN).then(|| Timestamp::from_ms(committed)),
            probe_age: Duration::from_millis(age_ms),
            queued: shared.inbox.waiting(),
            last_seq: shared.last_seq.load(Ordering::Relaxed),
            folded_seq: shared.folded_seq.load(Ordering::Relaxed),
            failing: held(&shared.failing).clone(),
            wal_bytes: shared.wal_bytes.load(Ordering::Relaxed),
            commits: shared.commits.load(Ordering::Relaxed),
        }
    }
}
