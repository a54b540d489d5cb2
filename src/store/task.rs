//! Upkeep that a command or the screen asks for: done here if nobody holds the ledger's lock, else handed to whoever
//! does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::domain::delivery::Delivery;
use crate::domain::page::{List, Order};
use crate::store::query::who::Who;
use crate::store::ring::RejectedRow;
use crate::store::thread::Core;
use crate::store::upkeep::backup;
use crate::store::upkeep::import::{Imported, Parcel};
use crate::store::upkeep::retention::Retention;
use crate::store::writer::{Shared, Store};
use crate::store::{Error, lock, socket, upkeep};

/// Judges a rejected request by today's secrets: the delivery it would be now, or why it is still turned away.
pub type AdmitFn = Arc<dyn Fn(&RejectedRow) -> Result<Delivery, String> + Send + Sync>;

/// Whoever waits for a task hears from it at least this often.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(2);

/// One piece of upkeep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// The publisher has seen everything up to `seq`.
    MarkReviewed {
        /// The newest delivery that was on screen.
        seq: i64,
    },
    /// The last review was a slip.
    UndoReview,
    /// Keeps a filter under a name; one of that name is replaced.
    SaveView {
        /// Its name.
        name: String,
        /// Of which list.
        list: List,
        /// The filter's text.
        query: String,
        /// Which end of the list comes first.
        #[serde(default)]
        order: Order,
    },
    /// Drops a saved filter.
    DropView {
        /// Its name.
        name: String,
    },
    /// Has a digit open a saved filter, or none any more.
    PinView {
        /// Its name.
        name: String,
        /// From 1 to 9.
        digit: Option<u8>,
    },
    /// Marks deliveries as tests, or takes the mark away.
    MarkTest {
        /// Which.
        which: Which,
        /// Tests or not.
        test: bool,
    },
    /// Erases all test deliveries. The chain still verifies.
    ClearTests,
    /// Takes rejected requests in after all.
    Admit {
        /// Their ids in `rejected`.
        ids: Vec<i64>,
    },
    /// Reads again what could not be read or folded.
    RetryQuarantine,
    /// Reads these deliveries again, which could not be read or folded.
    RetryThese {
        /// Which.
        seqs: Vec<i64>,
    },
    /// Erases a reader. The chain still verifies.
    Erase {
        /// Only at this provider.
        provider: Option<String>,
        /// Only in this account.
        account: Option<String>,
        /// The id, e-mail or phone.
        text: String,
        /// What is left keeps past figures as they are: nobody, a day, a type, a plan, an amount.
        residue: bool,
    },
    /// Folds everything again.
    Rebuild {
        /// Only compare with what is there.
        check: bool,
    },
    /// Counts days in another zone, folding everything again.
    SetZone {
        /// IANA name.
        zone: String,
    },
    /// Drops bodies that are older than they are to be kept.
    Prune {
        /// What is kept how long.
        retention: Retention,
    },
    /// Takes deliveries in from a file, at most 4 MiB at a time.
    Import {
        /// In the order of record.
        parcels: Vec<Parcel>,
        /// The newest delivery when the import began: one that is among those up to it is here already.
        before: i64,
    },
    /// Writes down how backups went.
    NoteBackup {
        /// What.
        note: backup::Note,
    },
    /// Asks the process that holds the lock to stop, answering what it has accepted.
    Stop,
    /// Asks it to read its settings again.
    Reload,
}

/// Which deliveries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// These.
    Seqs(Vec<i64>),
    /// All that tell of this reader.
    User {
        /// At which provider.
        provider: String,
        /// In which account.
        account: String,
        /// The provider's id.
        user_id: String,
    },
}

/// How a task ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskReport {
    /// One sentence for the publisher.
    pub summary: String,
    /// Rows, deliveries or requests that it changed; of a check, differences found.
    pub changed: u64,
    /// One line each for what needs a look, the first twenty.
    pub findings: Vec<String>,
    /// Of a comparison: each list with differences, and how many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counts: Vec<(String, u64)>,
    /// The deliveries that it made.
    pub seqs: Vec<i64>,
    /// Of an import: what became of what was handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<Imported>,
}

impl TaskReport {
    pub(crate) fn of(summary: impl Into<String>, changed: u64) -> Self {
        Self {
            summary: summary.into(),
            changed,
            ..Self::default()
        }
    }

    /// Adds a line, unless there are enough.
    pub(crate) fn find(&mut self, line: impl Into<String>) {
        if self.findings.len() < 20 {
            self.findings.push(line.into());
        }
    }
}

/// How far a task has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// So many are done.
    pub done: u64,
    /// Of so many, if that is known.
    pub of: Option<u64>,
}

/// What a task did in one step.
pub(crate) enum Step {
    /// There is more to do.
    More(Progress),
    /// There is more to do, but not before this has passed.
    Wait(Progress, Duration),
    /// That was all.
    Done(TaskReport),
}

/// A task as steps, each in a transaction of its own and short enough for deliveries to wait for.
pub(crate) type Steps = Box<dyn FnMut(&mut Core) -> Result<Step, Error> + Send>;

/// A task that waits for the writer.
pub(crate) struct TaskJob {
    steps: Steps,
    to: Sender<Heard>,
}

enum Heard {
    Progress(Progress),
    Done(Result<TaskReport, Error>),
}

/// The task under way.
pub(crate) struct Running {
    job: TaskJob,
    /// When its next step is due.
    pub(crate) at: Instant,
}

impl Running {
    pub(crate) fn new(job: TaskJob) -> Self {
        Self {
            job,
            at: Instant::now(),
        }
    }

    /// One that nobody waits for.
    pub(crate) fn unasked(steps: Steps) -> Self {
        let (to, _) = channel();
        Self::new(TaskJob { steps, to })
    }

    pub(crate) fn due(&self, now: Instant) -> bool {
        self.at <= now
    }

    /// Does one step; whether there is more to do.
    pub(crate) fn step(&mut self, core: &mut Core) -> bool {
        let steps = &mut self.job.steps;
        let done = catch_unwind(AssertUnwindSafe(|| steps(core))).unwrap_or_else(|_| {
            core.abandon();
            Err(Error::Refused(
                "the program failed in this task: please report this".to_owned(),
            ))
        });
        let (progress, pause) = match done {
            Ok(Step::More(progress)) => (progress, Duration::ZERO),
            Ok(Step::Wait(progress, pause)) => (progress, pause),
            Ok(Step::Done(report)) => {
                let _ = self.job.to.send(Heard::Done(Ok(report)));
                return false;
            }
            Err(error) => {
                let _ = self.job.to.send(Heard::Done(Err(error)));
                return false;
            }
        };
        self.at = Instant::now() + pause;
        // Whoever asked may have gone away: what was begun is finished all the same.
        let _ = self.job.to.send(Heard::Progress(progress));
        true
    }

    pub(crate) fn refuse(self) {
        let stopping = Error::Refused("the writer is stopping: try again".to_owned());
        let _ = self.job.to.send(Heard::Done(Err(stopping)));
    }
}

/// Does `task` on the writer's thread and waits for it.
pub(crate) fn run(
    shared: &Shared,
    task: Task,
    progress: &mut dyn FnMut(&Progress),
) -> Result<TaskReport, Error> {
    let steps = match task {
        Task::Stop => return stop(shared),
        Task::Reload => return reload(shared),
        Task::MarkReviewed { seq } => upkeep::notes::mark_reviewed(seq),
        Task::UndoReview => upkeep::notes::undo_review(),
        Task::SaveView {
            name,
            list,
            query,
            order,
        } => upkeep::notes::save_view(name, list, query, order),
        Task::PinView { name, digit } => upkeep::notes::pin_view(name, digit),
        Task::DropView { name } => upkeep::notes::drop_view(name),
        Task::MarkTest { which, test } => upkeep::tests::mark(which, test),
        Task::ClearTests => upkeep::tests::clear(),
        Task::Admit { ids } => upkeep::admit::steps(ids),
        Task::Erase {
            provider,
            account,
            text,
            residue,
        } => {
            let who = Who {
                provider,
                account,
                text,
            };
            upkeep::erase::steps(who, residue)
        }
        Task::RetryQuarantine => upkeep::quarantine::retry(),
        Task::RetryThese { seqs } => upkeep::quarantine::retry_these(seqs),
        Task::NoteBackup { note } => backup::note(note),
        Task::Import { parcels, before } => {
            upkeep::import::check_size(&parcels)?;
            upkeep::import::steps(parcels, before)
        }
        Task::Prune { retention } => upkeep::retention::prune(retention),
        Task::Rebuild { check: false } => upkeep::rebuild::rebuild(None),
        Task::Rebuild { check: true } => upkeep::rebuild::check(),
        Task::SetZone { zone } => {
            let zone = zone
                .parse()
                .map_err(|error: crate::domain::time::UnknownZone| {
                    Error::Refused(error.to_string())
                })?;
            upkeep::rebuild::rebuild(Some(zone))
        }
    };
    queue(shared, steps, progress)
}

fn queue(
    shared: &Shared,
    steps: Steps,
    progress: &mut dyn FnMut(&Progress),
) -> Result<TaskReport, Error> {
    let (to, heard) = channel();
    shared
        .inbox
        .task(TaskJob { steps, to })
        .map_err(|_| Error::Refused("the writer is stopping: try again".to_owned()))?;
    listen(&heard, progress)
}

fn listen(
    heard: &Receiver<Heard>,
    progress: &mut dyn FnMut(&Progress),
) -> Result<TaskReport, Error> {
    let mut last = Progress::default();
    loop {
        match heard.recv_timeout(HEARTBEAT) {
            Ok(Heard::Done(done)) => return done,
            Ok(Heard::Progress(news)) => last = news,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::Refused(
                    "the writer has stopped: try again".to_owned(),
                ));
            }
        }
        progress(&last);
    }
}

#[cfg(test)]
pub(crate) fn limit_pages(shared: &Shared, pages: i64) -> Result<(), Error> {
    let limit: Steps = Box::new(move |core| {
        core.conn
            .query_row(&format!("pragma max_page_count = {pages}"), [], |_| Ok(()))?;
        Ok(Step::Done(TaskReport::default()))
    });
    queue(shared, limit, &mut |_| {}).map(drop)
}

/// What a task can ask of the process around the ledger.
#[derive(Default)]
pub(crate) struct Hands {
    pub(crate) admit: Option<AdmitFn>,
    pub(crate) stop: Option<Arc<dyn Fn() + Send + Sync>>,
    pub(crate) reload: Option<Arc<dyn Fn() -> Result<String, String> + Send + Sync>>,
}

fn stop(shared: &Shared) -> Result<TaskReport, Error> {
    let stop = shared.hands().stop.clone();
    let stop = stop.ok_or_else(|| Error::Refused("no receiver runs on this ledger".to_owned()))?;
    stop();
    Ok(TaskReport::of("stopping", 0))
}

fn reload(shared: &Shared) -> Result<TaskReport, Error> {
    let reload = shared.hands().reload.clone();
    let reload =
        reload.ok_or_else(|| Error::Refused("no receiver runs on this ledger".to_owned()))?;
    reload()
        .map(|summary| TaskReport::of(summary, 0))
        .map_err(Error::Refused)
}

/// Does `task` on the ledger at `path`: with the store that `local` opens if nobody holds the lock, else by whoever
/// does. `Error::Locked` names a holder that does not answer.
pub fn submit(
    path: &Path,
    task: Task,
    local: impl FnOnce() -> Result<Store, Error>,
) -> Result<TaskReport, Error> {
    submit_with(path, task, local, &mut |_| {})
}

/// `submit`, telling how far it has come.
pub fn submit_with(
    path: &Path,
    task: Task,
    local: impl FnOnce() -> Result<Store, Error>,
    progress: &mut dyn FnMut(&Progress),
) -> Result<TaskReport, Error> {
    if let Some(holder) = lock::holder(path) {
        match socket::ask(path, &task, progress) {
            // The holder went away between the two looks: the lock is free now.
            Err(Error::Locked { .. }) if lock::holder(path).is_none() => {}
            Err(Error::Locked { path, .. }) => {
                let holder = holder.pid.to_string();
                return Err(Error::Locked { path, holder });
            }
            answered => return answered,
        }
    }
    if matches!(task, Task::Stop | Task::Reload) {
        return Err(Error::Refused("no receiver runs on this ledger".to_owned()));
    }
    match local() {
        Ok(store) => {
            let report = store.writer().run(task, progress)?;
            store.close()?;
            Ok(report)
        }
        Err(Error::Locked { path, holder }) => {
            socket::ask(&path, &task, progress).map_err(|error| match error {
                Error::Locked { path, .. } => Error::Locked { path, holder },
                other => other,
            })
        }
        Err(error) => Err(error),
    }
}
