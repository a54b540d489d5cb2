//! What waits for the writer: deliveries first, then notes, then upkeep. Everything here is bounded.
//!
//! Never touches the database.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::delivery::{Delivery, Reading};
use crate::domain::time::{HOUR_MS, Timestamp};
use crate::store::Error;
use crate::store::append::Ack;
use crate::store::ring::Rejected;
use crate::store::task::TaskJob;

/// Called once, on the writer's thread, after the commit or the failure. Must be quick.
pub type Reply = Box<dyn FnOnce(Result<Ack, Error>) + Send>;

/// The queue is full, or closed: answer 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ledger's queue is full")]
pub struct Overloaded;

/// So many deliveries wait at most.
pub(crate) const QUEUE_MAX: usize = 1024;
/// So many bytes of bodies wait at most; one delivery may always wait.
pub(crate) const QUEUE_BYTES_MAX: usize = 16 << 20;
/// So many are committed together at most.
pub(crate) const BATCH_MAX: usize = 256;
/// So many rejected requests wait at most, and so many bytes of them.
const REJECTS_MAX: usize = 256;
const REJECT_BYTES_MAX: usize = 8 << 20;
/// So many rejected requests go along with one commit; none with a batch longer than that.
const REJECTS_PER_COMMIT: usize = 64;
/// So many reasons are counted apart while they wait.
const LOST_MAX: usize = 256;
/// Notes that no commit takes along are committed alone after this.
const NOTES_WAIT: Duration = Duration::from_millis(150);

/// A delivery on its way to disk.
pub(crate) struct Job {
    pub(crate) delivery: Delivery,
    pub(crate) reading: Reading,
    /// The row of the rejected ring that it is taken in from.
    pub(crate) admits: Option<i64>,
    /// When the delivery had arrived that it repeats, as another ledger found.
    pub(crate) repeats_at: Option<Timestamp>,
    pub(crate) reply: Option<Reply>,
}

/// Who tried which link: provider, account, hook.
pub(crate) type Link = (String, String, String);

/// What fell out of the ring: hour, provider, reason.
pub(crate) type Loss = (Timestamp, String, String);

/// Small things that go along with the next commit.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) confirms: Vec<i64>,
    pub(crate) rejects: Vec<Rejected>,
    pub(crate) lost: BTreeMap<Loss, i64>,
    pub(crate) checks: BTreeMap<Link, i64>,
}

impl Notes {
    pub(crate) fn is_empty(&self) -> bool {
        self.confirms.is_empty()
            && self.rejects.is_empty()
            && self.lost.is_empty()
            && self.checks.is_empty()
    }

    /// Counts a request that the ring cannot hold.
    pub(crate) fn lose(&mut self, at: Timestamp, provider: &str, reason: &str) {
        let hour = Timestamp::from_ms(at.ms() - at.ms().rem_euclid(HOUR_MS));
        let mut loss = (hour, provider.to_owned(), reason.to_owned());
        if self.lost.len() >= LOST_MAX && !self.lost.contains_key(&loss) {
            loss = (hour, String::new(), "other".to_owned());
        }
        *self.lost.entry(loss).or_default() += 1;
    }

    fn absorb(&mut self, later: Self) {
        self.confirms.extend(later.confirms);
        self.rejects.extend(later.rejects);
        for (loss, count) in later.lost {
            *self.lost.entry(loss).or_default() += count;
        }
        for (link, count) in later.checks {
            *self.checks.entry(link).or_default() += count;
        }
    }
}

/// What the writer takes at once.
pub(crate) struct Taken {
    pub(crate) jobs: Vec<Job>,
    pub(crate) notes: Notes,
    pub(crate) task: Option<TaskJob>,
    /// Nothing more will come.
    pub(crate) closed: bool,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Since when each of them waits.
    since: VecDeque<Instant>,
    job_bytes: usize,
    notes: Notes,
    reject_bytes: usize,
    notes_since: Option<Instant>,
    tasks: VecDeque<TaskJob>,
    closed: bool,
}

/// The queue between everybody and the writer.
#[derive(Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    wake: Condvar,
}

impl Inbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, job: Job) -> Result<(), Overloaded> {
        let mut state = self.state();
        let bytes = state.job_bytes + job.delivery.body.len();
        let full =
            state.jobs.len() >= QUEUE_MAX || (bytes > QUEUE_BYTES_MAX && !state.jobs.is_empty());
        if state.closed || full {
            return Err(Overloaded);
        }
        state.job_bytes = bytes;
        state.jobs.push_back(job);
        state.since.push_back(Instant::now());
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    pub(crate) fn confirm(&self, seq: i64) {
        self.note(|state| state.notes.confirms.push(seq));
    }

    pub(crate) fn check(&self, link: Link) {
        self.note(|state| *state.notes.checks.entry(link).or_default() += 1);
    }

    pub(crate) fn reject(&self, rejected: Rejected) {
        self.note(|state| {
            let bytes = state.reject_bytes + rejected.bytes();
            if state.notes.rejects.len() >= REJECTS_MAX || bytes > REJECT_BYTES_MAX {
                let Rejected {
                    received_at,
                    provider,
                    reason,
                    ..
                } = &rejected;
                state.notes.lose(*received_at, provider, reason);
            } else {
                state.reject_bytes = bytes;
                state.notes.rejects.push(rejected);
            }
        });
    }

    pub(crate) fn lose(&self, at: Timestamp, provider: &str, reason: &str) {
        self.note(|state| state.notes.lose(at, provider, reason));
    }

    fn note(&self, write: impl FnOnce(&mut State)) {
        let mut state = self.state();
        write(&mut state);
        if state.notes_since.is_none() {
            state.notes_since = Some(Instant::now());
            drop(state);
            self.wake.notify_one();
        }
    }

    /// Queues upkeep; gives it back if the writer has stopped.
    pub(crate) fn task(&self, job: TaskJob) -> Result<(), TaskJob> {
        let mut state = self.state();
        if state.closed {
            return Err(job);
        }
        state.tasks.push_back(job);
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.wake.notify_all();
    }

    /// Deliveries that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.state().jobs.len()
    }

    /// How long the first of them has waited.
    pub(crate) fn oldest(&self) -> Duration {
        let since = self.state().since.front().copied();
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Takes what waits; sleeps until there is something to do, or until `deadline`. `busy`: a task is under way, so
    /// no other is taken.
    pub(crate) fn take(&self, deadline: Instant, busy: bool) -> Taken {
        let mut state = self.state();
        loop {
            let now = Instant::now();
            let notes_at = state.notes_since.map(|since| since + NOTES_WAIT);
            let until = notes_at.map_or(deadline, |at| at.min(deadline));
            let ready = !state.jobs.is_empty()
                || (!busy && !state.tasks.is_empty())
                || state.closed
                || until <= now;
            if ready {
                return state.hand_over(busy, notes_at.is_some_and(|at| at <= now));
            }
            state = self
                .wake
                .wait_timeout(state, until - now)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl State {
    fn hand_over(&mut self, busy: bool, notes_due: bool) -> Taken {
        let count = self.jobs.len().min(BATCH_MAX);
        let jobs: Vec<_> = self.jobs.drain(..count).collect();
        self.since.drain(..count);
        self.job_bytes -= jobs
            .iter()
            .map(|job| job.delivery.body.len())
            .sum::<usize>();
        let mut notes = Notes::default();
        if !jobs.is_empty() || notes_due || self.closed {
            let quiet = self.closed || jobs.len() <= REJECTS_PER_COMMIT;
            notes = std::mem::take(&mut self.notes);
            let keep = match quiet {
                true if self.closed => 0,
                true => notes.rejects.len().saturating_sub(REJECTS_PER_COMMIT),
                false => notes.rejects.len(),
            };
            let later = notes.rejects.len() - keep;
            self.notes.absorb(Notes {
                rejects: notes.rejects.split_off(later),
                ..Notes::default()
            });
            self.reject_bytes = self.notes.rejects.iter().map(Rejected::bytes).sum();
            self.notes_since = (!self.notes.is_empty()).then(Instant::now);
        }
        Taken {
            jobs,
            notes,
            task: if busy { None } else { self.tasks.pop_front() },
            closed: self.closed && self.jobs.is_empty(),
        }
    }
}

impl Notes {
    /// Puts these back in front of what came since.
    pub(crate) fn before(mut self, later: Self) -> Self {
        self.absorb(later);
        self
    }
}
