//! Test deliveries: marked, unmarked, erased.

use rusqlite::{OptionalExtension, params};

use crate::domain::count::in_words;
use crate::domain::delivery::Outcome;
use crate::store::Error;
use crate::store::append::forget_keys;
use crate::store::fold::Trouble;
use crate::store::task::{Progress, Step, Steps, TaskReport, Which};
use crate::store::thread::Core;
use crate::store::upkeep::overwrite::{self, Cleaning, Next};
use crate::store::upkeep::{Reason, guard, retention};

/// So many deliveries per step.
const STEP: u16 = 50;

pub(crate) fn mark(which: Which, test: bool) -> Steps {
    let mut which = Some(which);
    let mut seqs: Vec<i64> = Vec::new();
    let mut done = 0;
    let mut changed = 0;
    Box::new(move |core| {
        // A reader's deliveries are found by their events, so everything is folded first.
        if which.is_some() && core.behind() && core.catch_up(256, &|| false)? > 0 {
            return Ok(Step::More(Progress::default()));
        }
        if let Some(which) = which.take() {
            seqs = find(core, which)?;
        }
        let chunk = &seqs[done..seqs.len().min(done + usize::from(STEP))];
        changed += core.transact(|core| mark_some(core, chunk, test))?;
        done += chunk.len();
        if done < seqs.len() {
            return Ok(Step::More(progress(done, seqs.len())));
        }
        let summary = match (test, changed) {
            (true, 1) => "1 delivery marked as a test".to_owned(),
            (true, _) => format!("{changed} deliveries marked as tests"),
            (false, 1) => "1 delivery is no test any more".to_owned(),
            (false, _) => format!("{changed} deliveries are no tests any more"),
        };
        Ok(Step::Done(TaskReport::of(summary, changed)))
    })
}

fn progress(done: usize, of: usize) -> Progress {
    Progress {
        done: done as u64,
        of: Some(of as u64),
    }
}

fn find(core: &Core, which: Which) -> Result<Vec<i64>, Error> {
    let (provider, account, user_id) = match which {
        Which::Seqs(seqs) => return Ok(seqs),
        Which::User {
            provider,
            account,
            user_id,
        } => (provider, account, user_id),
    };
    let mut statement = core.conn.prepare(
        "select distinct seq from events where provider = ?1 and account = ?2 and user_id = ?3 order by seq",
    )?;
    let rows = statement.query_map([provider, account, user_id], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn mark_some(core: &mut Core, seqs: &[i64], test: bool) -> Result<u64, Error> {
    let mut changed = Vec::new();
    guard(&core.conn, Reason::Test, || {
        for seq in seqs {
            let rows = core
                .conn
                .prepare_cached("update deliveries set test = ?2 where seq = ?1 and test <> ?2 and erased_at is null")?
                .execute(params![seq, test])?;
            if rows > 0 {
                changed.push(*seq);
            }
        }
        Ok(())
    })?;
    // Those not folded yet are folded with their new mark.
    let folded: Vec<i64> = changed
        .iter()
        .copied()
        .filter(|seq| *seq <= core.folder.seq)
        .collect();
    if folded.len() < changed.len() {
        core.folder.forget();
    }
    let now = core.now();
    let conn = &core.conn;
    if !folded.is_empty() {
        core.folder
            .guarded(conn, |projector| projector.retest(conn, &folded, test, now))
            .map_err(Trouble::into_error)?;
    }
    Ok(changed.len() as u64)
}

pub(crate) fn clear() -> Steps {
    let mut folded = false;
    let mut last = 0;
    let mut cleared = 0;
    let mut cleaning = Cleaning::new();
    Box::new(move |core| {
        // What is taken away must stand whole: while the lists are emptied, payments go before their events.
        if !folded && core.behind() && core.catch_up(256, &|| false)? > 0 {
            return Ok(Step::More(Progress::default()));
        }
        folded = true;
        let seqs = tests_after(core, last)?;
        let Some(end) = seqs.last().copied() else {
            match cleaning.advance(core)? {
                Next::On(progress) => return Ok(Step::More(progress)),
                Next::Wait(again) => return Ok(Step::Wait(Progress::default(), again)),
                Next::Through => {}
            }
            let summary = format!(
                "{} erased",
                in_words(cleared, "test delivery", "test deliveries")
            );
            let mut report = TaskReport::of(summary, cleared);
            cleaning.tell(&mut report);
            return Ok(Step::Done(report));
        };
        core.transact(|core| erase_some(core, &seqs))?;
        overwrite::pack(core, &seqs)?;
        last = end;
        cleared += seqs.len() as u64;
        Ok(Step::More(Progress {
            done: cleared,
            of: None,
        }))
    })
}

fn tests_after(core: &Core, last: i64) -> Result<Vec<i64>, Error> {
    let mut statement = core.conn.prepare_cached(
        "select seq from deliveries where test = 1 and erased_at is null and seq > ?1 order by seq limit ?2",
    )?;
    let rows = statement.query_map([last, i64::from(STEP)], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Takes body, salt, headers and keys out of these deliveries, and their events out of the projections.
pub(crate) fn erase_some(core: &mut Core, seqs: &[i64]) -> Result<(), Error> {
    overwrite::note(core)?;
    let now = core.now();
    for seq in seqs {
        let stored = retention::forget(&core.conn, *seq)?;
        let read = stored.and_then(|row| match row.delivery {
            Some(delivery) => {
                let reading = core.folder.read(&delivery);
                Some((delivery, reading))
            }
            None => row.pruned,
        });
        if let Some((delivery, reading)) = read {
            forget_keys(&core.conn, *seq, &delivery, &reading)?;
        }
        core.conn
            .prepare_cached("delete from unconfirmed where seq = ?1")?
            .execute([seq])?;
    }
    // Keys of an older reading of these bodies are found by looking at all; it happens after an upgrade only.
    let old = seqs.iter().try_fold(false, |old, seq| {
        Ok::<_, Error>(old || read_by_other(core, *seq)?)
    })?;
    if old {
        for seq in seqs {
            core.conn
                .execute("delete from delivery_keys where seq = ?1", [seq])?;
        }
    }
    let conn = &core.conn;
    core.folder
        .guarded(conn, |projector| projector.retract(conn, seqs, now))
        .map_err(Trouble::into_error)?;
    guard(&core.conn, Reason::Erasure, || {
        for seq in seqs {
            core.conn
                .prepare_cached(
                    "update deliveries set body = null, salt = null, headers = '[]', dedupe_key = null,
                     erased_at = ?2 where seq = ?1",
                )?
                .execute(params![seq, now.to_string()])?;
        }
        Ok(())
    })?;
    core.folder.forget();
    Ok(())
}

fn read_by_other(core: &Core, seq: i64) -> Result<bool, Error> {
    let found: Option<(i64, String)> = core
        .conn
        .prepare_cached("select reader_version, outcome from deliveries where seq = ?1")?
        .query_row([seq], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(found.is_some_and(|(version, outcome)| {
        version != crate::store::schema::READER_VERSION && outcome != Outcome::Duplicate.as_str()
    }))
}
