//! The writer's thread: what is done when.
//!
//! What waits in the queue is committed together; nobody waits for a timer while the queue is empty. The answers
//! follow the commit, checkpoints follow the answers, folding follows those unless the queue was short. Never looks
//! inside a body.

use std::cmp::Ordering;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering as Atomic;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, params};

use crate::domain::delivery::{Delivery, Outcome, Reading};
use crate::domain::printable::Printable;
use crate::domain::time::{Clock, Timestamp, Zone};
use crate::store::append::{self, Ack, Head};
use crate::store::fold::{self, Folder, Trouble, Unfolded};
use crate::store::inbox::{Job, Notes, Taken};
use crate::store::kept::{self, Place};
use crate::store::leaps::Watch;
use crate::store::project::Read;
use crate::store::reread;
use crate::store::ring::{RING, Ring, count_lost};
use crate::store::schema::{READER_VERSION, beside, set_meta};
use crate::store::task::Running;
use crate::store::upgrade::Upgrade;
use crate::store::upkeep::overwrite::{self, Came, Overwriting};
use crate::store::upkeep::room::give_back;
use crate::store::writer::{Options, Shared, held};
use crate::store::{BUSY_TIMEOUT, Error, upkeep};

/// Batches up to this length are folded in the transaction that appends them.
const SHORT_BATCH: usize = 8;
/// Folding behind begins when nothing has arrived for this long, longer while many arrive together, or this long after
/// the last time.
const QUIET: Duration = Duration::from_millis(3);
const BUSY_QUIET: Duration = Duration::from_millis(50);
const FOLD_EVERY: Duration = Duration::from_millis(200);
/// Folding along that takes longer than this is left for after the answers for a while.
const SLOW_FOLD: Duration = Duration::from_millis(25);
/// So many deliveries are folded in one transaction at most.
const FOLD_MAX: i64 = 256;
/// Folding goes on for so many transactions when there is a hurry to end; the next start takes it up from there.
const LAST_STEPS: u32 = 4;
/// After folding failed because of the disk.
const FOLD_AGAIN: Duration = Duration::from_secs(1);
/// A checkpoint after so many commits.
const COMMITS_PER_CHECKPOINT: u32 = 16;
/// Beyond this the writer waits a moment for readers to let go of the write-ahead log.
const WAL_BYTES_LARGE: u64 = 64 << 20;
const WAL_PATIENCE: Duration = Duration::from_millis(50);
/// The write-ahead log is emptied when nothing was committed for this long.
const IDLE: Duration = Duration::from_secs(1);
/// Emptying it is tried again after this, where a reader was in the way.
const EMPTY_AGAIN: Duration = Duration::from_secs(2);
/// A page and its head in the log.
const FRAME_BYTES: u64 = 4096 + 24;
const PROBE_EVERY: Duration = Duration::from_secs(5);
const PROBE_FAILING_EVERY: Duration = Duration::from_secs(1);
const TICK_EVERY: Duration = Duration::from_secs(60);
/// While the clock still changes something.
const TICK_AGAIN: Duration = Duration::from_millis(50);
pub(crate) const TICK_ROWS: usize = 500;
const EXPIRE_ROWS: i64 = 500;
/// So many free pages, 4 MiB, stay for what comes next; beyond them so many are given back at a time.
const FREE_PAGES_MIN: i64 = 1_024;
const SHRINK_PAGES: i64 = 64;
const SHRINK_AGAIN: Duration = Duration::from_millis(100);
/// Bodies are dropped for their age from this long after the start, and again after so long while there are more.
const PRUNE_FIRST: Duration = Duration::from_secs(1);
const PRUNE_AGAIN: Duration = Duration::from_millis(20);
/// What was deleted is overwritten a little at a time, and later where another program is in the way.
const OVERWRITE_AGAIN: Duration = Duration::from_millis(100);
const OVERWRITE_HELD: Duration = Duration::from_secs(2);

/// What the writer's thread owns.
pub(crate) struct Core {
    pub(crate) conn: Connection,
    pub(crate) path: PathBuf,
    pub(crate) clock: Clock,
    pub(crate) head: Head,
    pub(crate) folder: Folder,
    ring: Ring,
    shared: Arc<Shared>,
    pending: Notes,
    task: Option<Running>,
    /// Something was rolled back: what is kept in memory may not be what is on disk.
    stale: bool,
    commits: u32,
    /// When the write-ahead log is to be emptied.
    truncate_at: Option<Instant>,
    last_commit: Instant,
    last_append: Instant,
    /// So many were committed together last.
    last_batch: usize,
    last_fold: Instant,
    fold_not_before: Instant,
    fold_along_not_before: Instant,
    next_tick: Instant,
    next_probe: Instant,
    next_shrink: Instant,
    next_prune: Instant,
    next_overwrite: Instant,
    /// What was deleted and is still to be overwritten.
    pub(crate) overwriting: Overwriting,
    watch: Watch,
    /// Where the database and its write-ahead log are on the disk.
    places: Option<[Place; 2]>,
}

impl Core {
    pub(crate) fn load(
        conn: Connection,
        path: PathBuf,
        options: Options,
        zone: Zone,
        shared: Arc<Shared>,
    ) -> Result<Self, Error> {
        // What may not come back is known before anything is read.
        if let Err(error) = upkeep::reapply::reconcile(&conn, &path, options.clock.now()) {
            tracing::error!("what was erased may not be known here: {error}");
        }
        let now = Instant::now();
        let (head, clock) = (Head::load(&conn)?, options.clock);
        let mut core = Self {
            watch: Watch::load(&conn, head.seq, clock.now(), clock.steady_ms())?,
            head,
            folder: Folder::load(&conn, options.read, zone)?,
            ring: Ring::load(&conn, RING)?,
            overwriting: Overwriting::load(&conn, &path)?,
            conn,
            path,
            clock,
            shared,
            pending: Notes::default(),
            task: None,
            stale: false,
            commits: 0,
            truncate_at: Some(now + IDLE),
            last_commit: now,
            last_append: now,
            last_batch: 0,
            last_fold: now,
            fold_not_before: now,
            fold_along_not_before: now,
            next_tick: now,
            next_probe: now,
            next_shrink: now + TICK_EVERY,
            next_prune: now + PRUNE_FIRST,
            places: None,
            next_overwrite: now + OVERWRITE_AGAIN,
        };
        core.places = core.places_now();
        core.take_over()?;
        core.task = upkeep::erase::resumed(&core.conn)?.map(Running::unasked);
        core.shared.vitals.look(&core.conn)?;
        core.show();
        Ok(core)
    }

    /// Has what another version of the reading code read taken up by this one, behind everything else.
    fn take_over(&mut self) -> Result<(), Error> {
        let before = fold::read_by(&self.conn)?;
        match before.cmp(&READER_VERSION) {
            Ordering::Equal => Ok(()),
            Ordering::Less => {
                tracing::info!(
                    "this version reads webhooks anew: what was not understood is read again, then lists catch up; \
                     receiving goes on"
                );
                let now = self.now();
                self.transact(|core| reread::begin(&core.conn, before, now))?;
                self.folder.reload(&self.conn)
            }
            Ordering::Greater => {
                tracing::warn!(
                    "a newer version has read this ledger: lists are made again by this one"
                );
                upkeep::rebuild::start_over(self)
            }
        }
    }

    /// The present moment, which does not go back a little.
    pub(crate) fn now(&self) -> Timestamp {
        self.watch.now(self.clock.now())
    }

    /// Notes whether the clock was set.
    fn look_at_clock(&mut self) {
        let (wall, steady_ms) = (self.clock.now(), self.clock.steady_ms());
        if self.watch.look(wall, steady_ms, self.head.seq) {
            self.next_tick = Instant::now();
        }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The life of the thread: until the inbox is closed and empty.
    pub(crate) fn live(mut self) -> Result<(), Error> {
        loop {
            let taken = self.shared.inbox.take(self.deadline(), self.task.is_some());
            let closed = taken.closed;
            if catch_unwind(AssertUnwindSafe(|| self.turn(taken))).is_err() {
                tracing::error!("the writer failed in the middle of its work and goes on");
                self.failed("the writer failed in the middle of its work");
                self.task = None;
            }
            if closed {
                return self.finish();
            }
        }
    }

    fn turn(&mut self, taken: Taken) {
        let earlier = std::mem::take(&mut self.pending);
        self.pending = earlier.before(taken.notes);
        if !taken.jobs.is_empty() {
            self.keep(taken.jobs);
        } else if !self.pending.is_empty() && Instant::now() >= self.fold_not_before {
            self.keep_notes();
        }
        if let Some(job) = taken.task {
            self.task = Some(Running::new(job));
            // It may move pages.
            self.overwriting.start_again();
        }
        if !taken.closed {
            self.background();
        }
    }

    /// Everything that can wait for deliveries.
    fn background(&mut self) {
        let now = Instant::now();
        if self.behind() && now >= self.fold_at() {
            self.fold_behind();
        }
        if let Some(mut running) = self.task.take_if(|running| running.due(now)) {
            if running.step(self) {
                self.task = Some(running);
            }
            self.show();
        }
        if now >= self.next_probe {
            self.probe();
        }
        if now >= self.next_tick {
            self.tick();
        }
        if now >= self.next_shrink && !self.behind() && self.task.is_none() {
            self.shrink();
        }
        if now >= self.next_prune && !self.behind() && self.task.is_none() {
            self.prune();
        }
        if now >= self.next_overwrite && self.may_overwrite() {
            self.overwrite();
        }
        if self.truncate_at.is_some_and(|at| now >= at) && !self.behind() {
            let emptied = self.checkpoint("truncate", Duration::ZERO);
            self.truncate_at = (!emptied).then(|| now + EMPTY_AGAIN);
        }
    }

    fn deadline(&self) -> Instant {
        let mut at = self.next_probe.min(self.next_tick);
        if !self.behind() && self.task.is_none() {
            at = at.min(self.next_shrink).min(self.next_prune);
        }
        if self.may_overwrite() {
            at = at.min(self.next_overwrite);
        }
        if let Some(running) = &self.task {
            at = at.min(running.at);
        }
        if self.behind() {
            at = at.min(self.fold_at());
        } else if let Some(truncate_at) = self.truncate_at {
            at = at.min(truncate_at);
        }
        at
    }

    fn fold_at(&self) -> Instant {
        let quiet = if self.last_batch > SHORT_BATCH {
            BUSY_QUIET
        } else {
            QUIET
        };
        let soon = (self.last_append + quiet).min(self.last_fold + FOLD_EVERY);
        soon.max(self.fold_not_before)
    }

    pub(crate) const fn behind(&self) -> bool {
        self.folder.behind(self.head.seq)
    }

    /// Commits `jobs` together and answers them.
    fn keep(&mut self, mut jobs: Vec<Job>) {
        self.last_append = Instant::now();
        self.last_batch = jobs.len();
        let done = self.append(&mut jobs);
        match done {
            Ok(acks) => {
                for (job, ack) in jobs.iter_mut().zip(acks) {
                    if let Some(reply) = job.reply.take() {
                        reply(ack);
                    }
                }
                self.after_commit();
            }
            Err(error) => {
                for job in &mut jobs {
                    if let Some(reply) = job.reply.take() {
                        reply(Err(again(&error)));
                    }
                }
            }
        }
    }

    /// Appends `jobs` in one transaction, folded along if they are few and nothing is left unfolded.
    pub(crate) fn append(&mut self, jobs: &mut [Job]) -> Result<Vec<Result<Ack, Error>>, Error> {
        self.look_at_clock();
        let arrived: Vec<_> = jobs.iter().map(|job| job.delivery.received_at).collect();
        let short = jobs.len() <= SHORT_BATCH && Instant::now() >= self.fold_along_not_before;
        let fold = short && !self.behind();
        let mut done = self.append_once(jobs, fold, false);
        // What is wrong with one of them, or with folding it: each by itself keeps the others, folding is looked at behind.
        if matches!(&done, Err(Error::Sqlite(_))) {
            for (job, at) in jobs.iter_mut().zip(&arrived) {
                if job.delivery.received_at != *at {
                    job.delivery.received_at = *at;
                    // The first try read it by the time that it would have been given.
                    job.reading = self.folder.read(&job.delivery);
                }
            }
            done = self.append_once(jobs, false, true);
        }
        done
    }

    fn append_once(
        &mut self,
        jobs: &mut [Job],
        fold: bool,
        apart: bool,
    ) -> Result<Vec<Result<Ack, Error>>, Error> {
        let mut folded = false;
        let acks = self.transact(|core| {
            core.write_notes()?;
            let mut acks = Vec::with_capacity(jobs.len());
            for job in jobs.iter_mut() {
                acks.push(if apart {
                    core.append_apart(job)?
                } else {
                    Ok(core.append_one(job)?)
                });
                #[cfg(subledger_control)]
                crate::store::control::answer_early(job, acks.last());
            }
            if fold {
                folded = core.fold_along(jobs, &acks);
            }
            Ok(acks)
        })?;
        self.pending = Notes::default();
        self.count(jobs, &acks);
        if !folded {
            for (job, ack) in jobs.iter_mut().zip(&acks) {
                if let Ok(ack) = ack {
                    let unfolded = (ack.outcome == Outcome::Stored).then(|| job.unfolded(ack.seq));
                    self.folder.remember(ack.seq, unfolded);
                }
            }
        }
        self.show();
        Ok(acks)
    }

    fn count(&self, jobs: &[Job], acks: &[Result<Ack, Error>]) {
        let kept = jobs.iter().zip(acks).filter_map(|(job, ack)| {
            let (delivery, ack) = (&job.delivery, ack.as_ref().ok()?);
            Some((
                delivery.provider.as_str(),
                delivery.received_at,
                ack.outcome,
            ))
        });
        self.shared.vitals.kept(kept);
    }

    /// One delivery behind a savepoint, which costs a copy of each page that it touches: what is wrong with it alone fails
    /// alone.
    fn append_apart(&mut self, job: &mut Job) -> Result<Result<Ack, Error>, Error> {
        self.conn.prepare_cached("savepoint one")?.execute([])?;
        let head = self.head;
        match self.append_one(job) {
            Ok(ack) => {
                self.conn.prepare_cached("release one")?.execute([])?;
                Ok(Ok(ack))
            }
            Err(Error::Sqlite(cause)) if !self.conn.is_autocommit() && alone(&cause) => {
                self.conn.execute_batch("rollback to one; release one")?;
                self.head = head;
                Ok(Err(Error::Sqlite(cause)))
            }
            Err(error) => Err(error),
        }
    }

    fn append_one(&mut self, job: &mut Job) -> Result<Ack, Error> {
        let now = self.now();
        let mut head = self.head;
        let (ack, received_at) =
            append::append(&self.conn, &mut head, job, now, &self.watch.leaps)?;
        if let Some(id) = job.admits {
            self.conn
                .prepare_cached("update rejected set admitted_seq = ?2 where id = ?1")?
                .execute(params![id, ack.seq])?;
        }
        self.head = head;
        if job.delivery.received_at != received_at {
            job.delivery.received_at = received_at;
            // Which times are plausible goes by the arrival, and a rebuild knows only the one that is stored.
            job.reading = self.folder.read(&job.delivery);
        }
        Ok(ack)
    }

    fn fold_along(&mut self, jobs: &[Job], acks: &[Result<Ack, Error>]) -> bool {
        let (now, begun) = (self.now(), Instant::now());
        let mut batch = Vec::with_capacity(jobs.len());
        for (job, ack) in jobs.iter().zip(acks) {
            match ack {
                Ok(ack) if ack.outcome == Outcome::Stored => batch.push(Read {
                    seq: ack.seq,
                    delivery: &job.delivery,
                    reading: &job.reading,
                    dedupe_key: job.reading.keys.first().map(|key| key.key.as_str()),
                }),
                _ => {}
            }
        }
        let folded = self.folder.fold(&self.conn, &batch, self.head.seq, now);
        if begun.elapsed() > SLOW_FOLD {
            self.fold_along_not_before = Instant::now() + FOLD_AGAIN;
        }
        folded.is_ok()
    }

    /// Runs `work` in a transaction of its own; on an error nothing of it has happened.
    pub(crate) fn transact<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.stale {
            self.reload().inspect_err(|error| self.fail(error))?;
        }
        let before = self.conn.total_changes();
        let done = self
            .begin()
            .and_then(|()| work(self))
            .and_then(|value| self.commit().map(|()| value));
        match done {
            Ok(value) => {
                // One that wrote nothing, such as a tick of a clock that changes nothing, succeeds on a full disk too.
                if self.conn.total_changes() > before {
                    self.committed();
                }
                Ok(value)
            }
            Err(error) => {
                self.roll_back();
                self.fail(&error);
                Err(error)
            }
        }
    }

    fn begin(&self) -> Result<(), Error> {
        self.conn.prepare_cached("begin immediate")?.execute([])?;
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Error> {
        let begun = Instant::now();
        self.conn.prepare_cached("commit")?.execute([])?;
        self.shared.vitals.committed(begun.elapsed());
        // What is committed must be where the next start looks for it.
        let now = self.places_now();
        if self.places.is_none() {
            self.places = now;
        }
        if now.is_some() && now == self.places {
            return Ok(());
        }
        Err(Error::Unwritable(format!(
            "{} or its -wal was taken away or replaced while it was open: put it back, or start subledger again",
            self.path.display()
        )))
    }

    fn places_now(&self) -> Option<[Place; 2]> {
        Some([
            kept::place_of(&self.path)?,
            kept::place_of(&beside(&self.path, "-wal"))?,
        ])
    }

    fn roll_back(&mut self) {
        if !self.conn.is_autocommit() {
            // If this fails too, the next transaction says so.
            let _ = self.conn.execute_batch("rollback");
        }
        self.stale = true;
        if self.reload().is_err() {
            tracing::warn!("the ledger cannot be read again after a failed commit; trying on");
        }
    }

    fn reload(&mut self) -> Result<(), Error> {
        if !self.conn.is_autocommit() {
            self.conn.execute_batch("rollback")?;
        }
        self.head = Head::load(&self.conn)?;
        self.folder.reload(&self.conn)?;
        self.ring = Ring::load(&self.conn, RING)?;
        self.watch.reload(&self.conn)?;
        self.stale = false;
        Ok(())
    }

    fn committed(&mut self) {
        let shared = &self.shared;
        self.last_commit = Instant::now();
        self.next_probe = self.last_commit + PROBE_EVERY;
        shared
            .committed_ms
            .store(shared.uptime_ms(), Atomic::Relaxed);
        shared
            .last_commit_at
            .store(self.clock.now().ms(), Atomic::Relaxed);
        shared.commits.fetch_add(1, Atomic::Relaxed);
        if held(&shared.failing).take().is_some() {
            tracing::info!("the ledger can be written again");
        }
    }

    /// Shows how far this has come.
    pub(crate) fn show(&self) {
        let shared = &self.shared;
        shared.last_seq.store(self.head.seq, Atomic::Relaxed);
        shared.folded_seq.store(self.folder.seq, Atomic::Relaxed);
        *held(&shared.zone) = self.folder.zone();
    }

    fn fail(&mut self, error: &Error) {
        // What was asked for makes no sense: the disk is not to blame.
        if matches!(error, Error::Busy) {
            self.shared.vitals.busy();
        }
        if !matches!(error, Error::Refused(_)) {
            self.failed(&error.to_string());
        }
    }

    fn failed(&mut self, what: &str) {
        self.stale = true;
        let now = Instant::now();
        self.next_probe = now + PROBE_FAILING_EVERY;
        self.fold_not_before = now + FOLD_AGAIN;
        let mut failing = held(&self.shared.failing);
        if failing.is_none() {
            tracing::error!(what, "the ledger cannot be written");
        }
        *failing = Some(what.to_owned());
    }

    fn write_notes(&mut self) -> Result<(), Error> {
        let mut notes = std::mem::take(&mut self.pending);
        let written = self.write(&mut notes);
        self.pending = notes;
        written
    }

    fn write(&mut self, notes: &mut Notes) -> Result<(), Error> {
        let now = self.now().to_string();
        for seq in &notes.confirms {
            append::confirm(&self.conn, *seq)?;
        }
        for ((provider, account, hook), requests) in &notes.checks {
            self.conn
                .prepare_cached(
                    "insert into checks (provider, account, hook, requests, last_at) values (?1, ?2, ?3, ?4, ?5)
                     on conflict (provider, account, hook) do update
                     set requests = requests + excluded.requests, last_at = excluded.last_at",
                )?
                .execute(params![provider, account, hook, requests, now])?;
        }
        for (key, value) in &notes.kept {
            set_meta(&self.conn, key, value)?;
        }
        let mut fallen = Notes::default();
        for rejected in &notes.rejects {
            self.ring.push(&self.conn, rejected, &mut fallen)?;
        }
        count_lost(&self.conn, notes)?;
        count_lost(&self.conn, &fallen)
    }

    fn keep_notes(&mut self) {
        if self.transact(Self::write_notes).is_ok() {
            self.pending = Notes::default();
            self.after_commit();
        }
    }

    fn fold_behind(&mut self) {
        if self.stale && self.reload().is_err() {
            self.failed("the ledger cannot be read");
            return;
        }
        let shared = Arc::clone(&self.shared);
        let pause = move || shared.inbox.waiting() > 0;
        match self.catch_up(FOLD_MAX, &pause) {
            // Behind and nothing to fold: the rows are not what they should be, and looking again at once is no help.
            Ok(0) => self.fold_not_before = Instant::now() + FOLD_AGAIN,
            Ok(_) => {}
            Err(error) => self.fail(&error),
        }
    }

    /// Folds up to `limit` deliveries behind, in a transaction of its own, or takes rows of an earlier folding away; how
    /// many of either. 0 says that it got no further.
    pub(crate) fn catch_up(&mut self, limit: i64, pause: &dyn Fn() -> bool) -> Result<i64, Error> {
        let now = self.now();
        let folded = self.folder.catch_up(&self.conn, now, limit, pause);
        self.last_fold = Instant::now();
        let folded = folded?;
        let done = folded.passed + folded.cleared + folded.reread;
        if done > 0 {
            self.committed();
            self.show();
            self.after_commit();
        }
        if let Some(upgrade) = self.folder.upgrade().filter(|_| !self.behind()) {
            self.transact(|core| reread::finish(&core.conn, upgrade, now))?;
            self.folder.reload(&self.conn)?;
            if let Some(upgrade) = Upgrade::of_reading(&self.conn)? {
                tracing::info!("{}", Printable::line(&upgrade.sentence()));
            }
        }
        Ok(done)
    }

    /// Checkpoints now and then, after the answers.
    fn after_commit(&mut self) {
        self.truncate_at = Some(self.last_commit + IDLE);
        self.commits += 1;
        if self.commits >= COMMITS_PER_CHECKPOINT {
            self.commits = 0;
            let all = self.checkpoint("passive", Duration::ZERO);
            // While a long reader is in the way there is nothing to wait for.
            if all && self.shared.wal_bytes.load(Atomic::Relaxed) > WAL_BYTES_LARGE {
                self.checkpoint("truncate", WAL_PATIENCE);
            }
        }
    }

    /// Whether everything in the write-ahead log is in the ledger now.
    fn checkpoint(&mut self, mode: &str, patience: Duration) -> bool {
        let done = self.conn.busy_timeout(patience).and_then(|()| {
            self.conn
                .query_row(&format!("pragma wal_checkpoint({mode})"), [], |row| {
                    let (busy, frames, moved): (bool, i64, i64) =
                        (row.get(0)?, row.get(1)?, row.get(2)?);
                    Ok((!busy && frames == moved, frames))
                })
        });
        let restored = self.conn.busy_timeout(BUSY_TIMEOUT);
        if let Err(error) = restored {
            self.failed(&Error::from(error).to_string());
        }
        match done {
            Ok((all, frames)) => {
                let bytes = u64::try_from(frames).unwrap_or(0) * FRAME_BYTES;
                self.shared.wal_bytes.store(bytes, Atomic::Relaxed);
                all
            }
            // Another one is checkpointing or reading: the next attempt gets further.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => false,
            Err(error) => {
                self.failed(&Error::from(error).to_string());
                false
            }
        }
    }

    /// Empties the write-ahead log, where erased bytes may still stand; whether nobody was in the way.
    pub(crate) fn empty_log(&mut self) -> bool {
        self.checkpoint("truncate", WAL_PATIENCE)
    }

    /// Counts the ring again, from which rows were taken.
    pub(crate) fn reload_ring(&mut self) -> Result<(), Error> {
        self.ring = Ring::load(&self.conn, RING)?;
        Ok(())
    }

    /// After a panic in the middle of something: nothing in memory is believed.
    pub(crate) fn abandon(&mut self) {
        self.failed("a task failed in the middle of its work");
    }

    fn tick(&mut self) {
        self.look_at_clock();
        let now = self.now();
        let believed = self.watch.is_believed();
        let ticked = self.transact(|core| {
            let rows = core.tick_rows(now)?;
            if believed {
                core.ring.expire(&core.conn, now, EXPIRE_ROWS)?;
            }
            append::forget_unconfirmed(&core.conn, now)?;
            Ok(rows)
        });
        let more = ticked.is_ok_and(|rows| rows > 0);
        if !more && let Err(error) = self.shared.vitals.look(&self.conn) {
            self.fail(&error);
        }
        self.next_tick = Instant::now() + if more { TICK_AGAIN } else { TICK_EVERY };
    }

    /// Lets the clock change what it changes, a bounded number of rows; how many it was.
    pub(crate) fn tick_rows(&mut self, now: Timestamp) -> Result<usize, Error> {
        let went_back = self.watch.went_back(now);
        let conn = &self.conn;
        self.watch.keep(conn)?;
        if self.folder.is_clearing() {
            return Ok(0);
        }
        if went_back {
            fold::start_again_by_the_clock(conn)?;
        }
        match self.folder.tick(conn, now, TICK_ROWS) {
            Ok(rows) => Ok(rows),
            Err(Trouble::Passing(error)) => Err(error),
            Err(Trouble::Lasting(why)) => {
                tracing::error!(why, "what the clock changes could not be folded");
                Ok(0)
            }
        }
    }

    /// Gives a few free pages back to the disk while nothing else is to be done, unless there are only few.
    fn shrink(&mut self) {
        let freed = free_pages(&self.conn).and_then(|free| {
            if free < FREE_PAGES_MIN {
                return Ok(false);
            }
            self.transact(|core| {
                give_back(&core.conn, SHRINK_PAGES)?;
                Ok(())
            })?;
            self.overwriting.start_again();
            self.next_overwrite = Instant::now() + 2 * SHRINK_AGAIN;
            self.after_commit();
            Ok(true)
        });
        let pause = match freed {
            Ok(true) => SHRINK_AGAIN,
            Ok(false) => TICK_EVERY,
            Err(error) => {
                self.fail(&error);
                TICK_EVERY
            }
        };
        self.next_shrink = Instant::now() + pause;
    }

    /// Drops a few bodies that are older than they are to be kept, while nothing else is to be done.
    fn prune(&mut self) {
        let retention = *held(&self.shared.retention);
        let is_idle = self.shared.inbox.waiting() == 0;
        if retention.is_none() || !self.watch.is_believed() || !is_idle {
            let pause = if is_idle { PROBE_EVERY } else { PRUNE_AGAIN };
            self.next_prune = Instant::now() + pause;
            return;
        }
        let gone = upkeep::retention::step(self, retention);
        let more = gone.is_ok_and(|gone| gone.looked > 0);
        if more {
            self.after_commit();
            self.next_shrink = self.next_shrink.min(Instant::now() + SHRINK_AGAIN);
            self.next_overwrite = Instant::now() + OVERWRITE_AGAIN;
        }
        self.next_prune = Instant::now() + if more { PRUNE_AGAIN } else { TICK_EVERY };
    }

    fn may_overwrite(&self) -> bool {
        self.overwriting.is_due && self.task.is_none() && !self.behind()
    }

    /// Overwrites some of what was deleted, while nothing else is to be done.
    fn overwrite(&mut self) {
        let mut pause = OVERWRITE_AGAIN;
        if self.shared.inbox.waiting() == 0 {
            match overwrite::step(self) {
                Ok(Came::On | Came::Through) => {}
                Ok(Came::Held) => pause = OVERWRITE_HELD,
                Ok(Came::Unmapped) => {
                    // Nothing more can be done here and now.
                    tracing::warn!(
                        "what was deleted cannot be overwritten page by page: another program made this file; \
                         `subledger backup` and `subledger restore` of that copy leave nothing of it"
                    );
                    self.overwriting.is_due = false;
                }
                Err(error) => {
                    tracing::warn!("what was deleted cannot be overwritten yet: {error}");
                    pause = TICK_EVERY;
                }
            }
        }
        self.next_overwrite = Instant::now() + pause;
    }

    /// Whether the clock may be gone by where something is thrown away for its age.
    pub(crate) const fn is_clock_believed(&self) -> bool {
        self.watch.is_believed()
    }

    /// A commit that says that there can be one.
    fn probe(&mut self) {
        let now = self.now().to_string();
        let probed = self.transact(|core| set_meta(&core.conn, "probe_at", &now));
        if probed.is_ok() {
            self.commits += 1;
            if self.commits >= COMMITS_PER_CHECKPOINT {
                self.commits = 0;
                self.checkpoint("passive", Duration::ZERO);
            }
        }
    }

    pub(crate) fn finish(mut self) -> Result<(), Error> {
        if let Some(running) = self.task.take() {
            running.refuse();
        }
        if !self.pending.is_empty() {
            self.keep_notes();
        }
        // A panic in the last turn may have left a transaction open.
        if self.stale {
            self.reload()?;
        }
        let mut steps = 0;
        while self.behind() && (steps < LAST_STEPS || !self.shared.hurry.load(Atomic::Relaxed)) {
            steps += 1;
            if self.catch_up(FOLD_MAX, &|| false)? == 0 {
                break;
            }
        }
        if held(&self.shared.failing).is_none() {
            let (now, hurry) = (self.now(), self.shared.hurry.load(Atomic::Relaxed));
            while self.transact(|core| core.tick_rows(now))? > 0 && !hurry {}
        }
        self.checkpoint("truncate", BUSY_TIMEOUT.min(Duration::from_secs(1)));
        let failing = held(&self.shared.failing).clone();
        self.conn.close().map_err(|(_, error)| error)?;
        failing.map_or(Ok(()), |what| Err(Error::Unwritable(what)))
    }
}

impl Job {
    /// Moves delivery and reading out, once nobody needs them here.
    fn unfolded(&mut self, seq: i64) -> Unfolded {
        let delivery = Delivery {
            provider: self.delivery.provider.clone(),
            account: std::mem::take(&mut self.delivery.account),
            hook: std::mem::take(&mut self.delivery.hook),
            headers: std::mem::take(&mut self.delivery.headers),
            body: std::mem::take(&mut self.delivery.body),
            credential: std::mem::take(&mut self.delivery.credential),
            remote_ip: std::mem::take(&mut self.delivery.remote_ip),
            ..self.delivery
        };
        let reading = std::mem::replace(&mut self.reading, Reading::unreadable("", ""));
        Unfolded {
            seq,
            delivery,
            reading,
        }
    }
}

/// Pages of the file that hold nothing.
fn free_pages(conn: &Connection) -> Result<i64, Error> {
    Ok(conn.pragma_query_value(None, "freelist_count", |row| row.get(0))?)
}

/// Whether an error is about one delivery rather than the file.
fn alone(cause: &rusqlite::Error) -> bool {
    !matches!(
        cause.sqlite_error_code(),
        Some(
            ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::OutOfMemory
                | ErrorCode::CannotOpen
        )
    )
}

/// The same error for everybody in a batch.
fn again(error: &Error) -> Error {
    match error {
        Error::Busy => Error::Busy,
        Error::Interrupted => Error::Interrupted,
        Error::Full(what) => Error::Full(what.clone()),
        Error::Unwritable(what) => Error::Unwritable(what.clone()),
        other => Error::Unwritable(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::domain::time::{DAY_MS, Dial};
    use crate::store::tests::{Ledger, MORNING, delivery};
    use crate::store::{Mode, connect, schema};

    /// A ledger with so many deliveries, none of them folded.
    fn unfolded(count: i64) -> Ledger {
        let mut ledger = Ledger::new();
        let (acks, answers) = channel();
        for n in 0..count {
            let delivery = delivery(&format!("id:{n} a"), n);
            let reading = (ledger.options().read)(&delivery);
            let acks = acks.clone();
            let reply = Box::new(move |ack: Result<Ack, Error>| acks.send(ack.is_ok()).unwrap());
            let writer = ledger.store().writer();
            writer.append(delivery, reading, reply).unwrap();
            if n % 100 == 99 {
                assert!((0..100).all(|_| answers.recv().unwrap()));
            }
        }
        ledger.close();
        let conn = connect(&ledger.path, Mode::Write).unwrap();
        let mut projector = crate::store::project::Projector::new(Zone::UTC);
        projector.clear(&conn, u32::MAX).unwrap();
        set_meta(&conn, "folded_seq", "0").unwrap();
        ledger
    }

    fn core(ledger: &Ledger) -> Core {
        let shared = Arc::new(Shared::new(Zone::UTC, PathBuf::new(), true));
        let (conn, _) = schema::open(&ledger.path, Zone::UTC, MORNING).unwrap();
        let path = ledger.path.clone();
        Core::load(conn, path, ledger.options(), Zone::UTC, shared).unwrap()
    }

    fn end(ledger: &Ledger, hurry: bool) -> String {
        let core = core(ledger);
        core.shared.hurry.store(hurry, Atomic::Relaxed);
        core.finish().unwrap();
        ledger.text("select value from meta where key = 'folded_seq'")
    }

    #[test]
    fn a_commit_that_writes_nothing_does_not_say_that_the_disk_is_well() {
        let mut ledger = Ledger::new();
        ledger.close();
        let mut core = core(&ledger);
        core.tick();
        core.failed("disk full");
        core.tick();
        assert_eq!(held(&core.shared.failing).as_deref(), Some("disk full"));
        core.probe();
        assert_eq!(*held(&core.shared.failing), None);
    }

    #[test]
    fn a_stop_leaves_a_long_backlog_to_the_next_start() {
        let few = FOLD_MAX * i64::from(LAST_STEPS);
        let ledger = unfolded(few + 100);
        assert_eq!(end(&ledger, true), few.to_string());
        assert_eq!(end(&ledger, true), (few + 100).to_string());
        assert_eq!(
            ledger.text("select count(*) from events"),
            (few + 100).to_string()
        );
    }

    fn core_on(ledger: &Ledger, first: &str) -> Core {
        let shared = Arc::new(Shared::new(Zone::UTC, PathBuf::new(), true));
        let (conn, _) = schema::open(&ledger.path, Zone::UTC, MORNING).unwrap();
        conn.execute_batch(first).unwrap();
        let path = ledger.path.clone();
        Core::load(conn, path, ledger.options(), Zone::UTC, shared).unwrap()
    }

    #[test]
    fn a_clock_that_leaps_ahead_throws_nothing_away() {
        let ledger = unfolded(1);
        let mut core = core_on(
            &ledger,
            "insert or replace into meta values ('probe_at', '2026-01-05T09:00:00.000Z');
             insert into rejected (received_at, provider, hook, path, reason, remote_ip, method, headers, body_bytes)
             values ('2026-01-05T08:00:00.000Z', '', '', '', '', '', '', '[]', 0)",
        );
        let kept = |core: &Core| -> i64 {
            let sql = "select count(*) from rejected";
            core.conn.query_row(sql, [], |row| row.get(0)).unwrap()
        };
        let dial = dial();
        core.clock = Clock::Dial(dial);
        core.tick();
        dial.wall_ms.fetch_add(365 * DAY_MS, Atomic::Relaxed);
        core.tick();
        assert_eq!(kept(&core), 1);
        // A restart does not make it right.
        core.finish().unwrap();
        let mut core = core_on(&ledger, "");
        core.clock = Clock::Dial(dial);
        core.tick();
        assert_eq!(kept(&core), 1);
        // Still so after a day, it is believed.
        dial.wall_ms.fetch_add(DAY_MS, Atomic::Relaxed);
        dial.steady_ms.fetch_add(DAY_MS, Atomic::Relaxed);
        core.tick();
        assert_eq!(kept(&core), 0);
    }

    #[test]
    fn after_the_clock_was_set_back_its_work_is_looked_at_again_also_by_the_next_start() {
        let ledger = unfolded(1);
        let dial = dial();
        let mut core = core(&ledger);
        core.clock = Clock::Dial(dial);
        let look = |core: &mut Core| core.tick_rows(core.now()).unwrap() > 0;
        dial.wall_ms.fetch_add(365 * DAY_MS, Atomic::Relaxed);
        assert!(!look(&mut core));
        dial.wall_ms.fetch_sub(365 * DAY_MS, Atomic::Relaxed);
        assert!(look(&mut core));
        assert!(!look(&mut core));
        dial.wall_ms.fetch_add(DAY_MS, Atomic::Relaxed);
        core.tick();
        core.finish().unwrap();
        // This one starts with the clock a day back.
        let mut core = core_on(&ledger, "");
        assert!(look(&mut core));
        assert!(!look(&mut core));
    }

    #[test]
    fn a_delivery_of_a_wrong_clock_pins_nobody_elses_time() {
        let mut ledger = Ledger::new();
        ledger.close();
        let mut core = core(&ledger);
        let dial = dial();
        core.clock = Clock::Dial(dial);
        let mut send = |body: &str, passes_ms: i64, leaps_ms: i64| {
            dial.steady_ms.fetch_add(passes_ms, Atomic::Relaxed);
            dial.wall_ms
                .fetch_add(passes_ms + leaps_ms, Atomic::Relaxed);
            let mut delivery = delivery(body, 0);
            delivery.received_at = core.clock.now();
            let reading = (ledger.options().read)(&delivery);
            let job = Job {
                delivery,
                reading,
                admits: None,
                repeats_at: None,
                reply: None,
            };
            let ack = core.append(&mut [job]).unwrap().remove(0).unwrap();
            core.pending.confirms.push(ack.seq);
            (ack.outcome, ack.seq)
        };
        let (year, hour) = (365 * DAY_MS, 60 * 60_000);
        for (passes_ms, leaps_ms, outcome) in [
            (0, 0, Outcome::Stored),
            // Ahead by a year: a retry one second later is one all the same.
            (1_000, year, Outcome::Duplicate),
            (hour, 0, Outcome::Stored),
            // Set right: a retry, then two honest sign-ins.
            (1_000, -year, Outcome::Duplicate),
            (hour, 0, Outcome::Stored),
            (hour, 0, Outcome::Stored),
            // Back by just as much as has passed: that is no retry.
            (hour, -hour, Outcome::Stored),
        ] {
            assert_eq!(send("bytes: login", passes_ms, leaps_ms).0, outcome);
        }
        let last = "select received_at from deliveries order by seq desc limit 1";
        let says: String = core.conn.query_row(last, [], |row| row.get(0)).unwrap();
        assert_eq!(says, MORNING.plus_ms(3 * hour + 2_000).to_string());
    }

    fn dial() -> &'static Dial {
        Box::leak(Box::new(Dial {
            wall_ms: MORNING.ms().into(),
            steady_ms: MORNING.ms().into(),
        }))
    }

    #[test]
    fn the_file_shrinks_a_little_at_a_time() {
        let ledger = unfolded(1);
        let mut core = core_on(
            &ledger,
            "create table large (i, text);
             insert into large with recursive n(i) as (select 1 union all select i + 1 from n limit 6000)
             select i, hex(randomblob(500)) from n;
             drop table large",
        );
        let mut free = free_pages(&core.conn).unwrap();
        assert!(free > FREE_PAGES_MIN, "{free}");
        while free >= FREE_PAGES_MIN {
            core.shrink();
            let left = free_pages(&core.conn).unwrap();
            assert!(
                left < free && left >= free - SHRINK_PAGES - 1,
                "{free} {left}"
            );
            free = left;
        }
        core.shrink();
        assert_eq!(free_pages(&core.conn).unwrap(), free);
    }

    #[test]
    fn a_close_leaves_nothing() {
        let all = FOLD_MAX * i64::from(LAST_STEPS) + 100;
        assert_eq!(end(&unfolded(all), false), all.to_string());
    }
}
