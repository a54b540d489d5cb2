//! Reading again what could not be read or folded, after an upgrade of the reading code.

use rusqlite::params;

use crate::domain::delivery::{Content, Outcome};
use crate::store::Error;
use crate::store::append::{Verdict, find_twin, remember_keys, stored_at};
use crate::store::fold::{Trouble, Unfolded};
use crate::store::schema::READER_VERSION;
use crate::store::task::{Progress, Step, Steps, TaskReport};
use crate::store::thread::Core;
use crate::store::upkeep::{Reason, guard};

/// So many deliveries per step.
const STEP: i64 = 16;

pub(crate) fn retry() -> Steps {
    let mut last = 0;
    let mut tried: u64 = 0;
    let mut report = TaskReport::default();
    Box::new(move |core| {
        let seqs = quarantined_after(core, last)?;
        for seq in &seqs {
            match core.transact(|core| retry_one(core, *seq)) {
                Ok(true) => {
                    report.changed += 1;
                    report.seqs.push(*seq);
                }
                Ok(false) => {}
                Err(Error::Refused(why)) => report.find(format!("delivery {seq}: {why}")),
                Err(error) => return Err(error),
            }
            tried += 1;
            last = *seq;
        }
        if !seqs.is_empty() {
            return Ok(Step::More(Progress {
                done: tried,
                of: None,
            }));
        }
        report.summary = format!("{} of {tried} understood now", report.changed);
        Ok(Step::Done(std::mem::take(&mut report)))
    })
}

fn quarantined_after(core: &Core, last: i64) -> Result<Vec<i64>, Error> {
    let mut statement = core.conn.prepare_cached(
        "select seq from deliveries where outcome <> 'stored' and outcome = 'quarantined' and seq > ?1
         and erased_at is null order by seq limit ?2",
    )?;
    let rows = statement.query_map([last, STEP], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whether delivery `seq` can be read now; then it is stored or a duplicate, once and for all.
fn retry_one(core: &mut Core, seq: i64) -> Result<bool, Error> {
    let Some(delivery) = stored_at(&core.conn, seq)?.and_then(|row| row.delivery) else {
        return Ok(false);
    };
    let reading = core.folder.read(&delivery);
    if !matches!(reading.content, Content::Events(_)) {
        return Ok(false);
    }
    let twin = find_twin(
        &core.conn,
        &delivery,
        &reading,
        delivery.received_at,
        Some(seq),
    )?;
    let verdict = Verdict::of(&reading, twin.as_ref());
    guard(&core.conn, Reason::Quarantine, || {
        core.conn
            .prepare_cached(
                "update deliveries set outcome = ?2, duplicate_of = ?3, reason = ?4, dedupe_key = ?5,
                 provider_type = ?6, reader_version = ?7 where seq = ?1",
            )?
            .execute(params![
                seq,
                verdict.outcome.as_str(),
                verdict.duplicate_of,
                verdict.reason,
                reading.keys.first().map(|key| key.key.replace('\0', "\u{fffd}")),
                reading.label.replace('\0', "\u{fffd}"),
                READER_VERSION,
            ])?;
        Ok(())
    })?;
    remember_keys(&core.conn, seq, &delivery, &reading, twin.as_ref())?;
    // One that is not folded yet is folded in its turn.
    if verdict.outcome == Outcome::Stored && seq <= core.folder.seq {
        let unfolded = Unfolded {
            seq,
            delivery,
            reading,
        };
        let (now, conn) = (core.now(), &core.conn);
        core.folder
            .guarded(conn, |projector| {
                projector.project(conn, &[unfolded.read()], now)
            })
            .map_err(Trouble::into_error)?;
    }
    core.folder.forget();
    Ok(true)
}
