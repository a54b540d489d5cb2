//! Reading again what could not be read or folded, when the publisher asks. An upgrade does it by itself (`reread`).

use crate::domain::delivery::{Content, Outcome};
use crate::store::Error;
use crate::store::append::stored_at;
use crate::store::fold::{Trouble, Unfolded};
use crate::store::reread::settle;
use crate::store::task::{Progress, Step, Steps, TaskReport};
use crate::store::thread::Core;
use crate::store::upkeep::erase::erase;
use crate::store::upkeep::erasures;

/// So many deliveries per step.
const STEP: i64 = 16;

/// Reads everything again that was not understood.
pub(crate) fn retry() -> Steps {
    let mut last = 0;
    let mut tried = Tried::default();
    Box::new(move |core| {
        let seqs = quarantined_after(core, last)?;
        for seq in &seqs {
            tried.one(core, *seq)?;
            last = *seq;
        }
        if seqs.is_empty() {
            Ok(tried.done())
        } else {
            Ok(tried.more(None))
        }
    })
}

/// Reads these again; one that is not among what was not understood is named.
pub(crate) fn retry_these(seqs: Vec<i64>) -> Steps {
    let mut tried = Tried::default();
    let (mut at, of) = (0, seqs.len() as u64);
    Box::new(move |core| {
        let step = usize::try_from(STEP).unwrap_or(1);
        for seq in seqs.iter().skip(at).take(step) {
            let outcome = stored_at(&core.conn, *seq)?.map(|stored| stored.outcome);
            match outcome {
                Some(Outcome::Quarantined) => tried.one(core, *seq)?,
                Some(_) => tried.pass(format!("delivery {seq} was understood")),
                None => tried.pass(format!("there is no delivery {seq}")),
            }
        }
        at += step;
        if at < seqs.len() {
            Ok(tried.more(Some(of)))
        } else {
            Ok(tried.done())
        }
    })
}

/// What came of it so far.
#[derive(Default)]
struct Tried {
    deliveries: u64,
    report: TaskReport,
}

impl Tried {
    fn one(&mut self, core: &mut Core, seq: i64) -> Result<(), Error> {
        self.deliveries += 1;
        match core.transact(|core| retry_one(core, seq)) {
            Ok(true) => {
                self.report.changed += 1;
                self.report.seqs.push(seq);
            }
            Ok(false) => {}
            Err(Error::Refused(why)) => self.report.find(format!("delivery {seq}: {why}")),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn pass(&mut self, why: String) {
        self.deliveries += 1;
        self.report.find(why);
    }

    fn more(&self, of: Option<u64>) -> Step {
        Step::More(Progress {
            done: self.deliveries,
            of,
        })
    }

    fn done(&mut self) -> Step {
        let understood = self.report.changed;
        self.report.summary = format!("{understood} of {} understood now", self.deliveries);
        Step::Done(std::mem::take(&mut self.report))
    }
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
    let Some(stored) = stored_at(&core.conn, seq)? else {
        return Ok(false);
    };
    let Some(delivery) = &stored.delivery else {
        return Ok(false);
    };
    let reading = core.folder.read(delivery);
    if !matches!(reading.content, Content::Events(_)) {
        return Ok(false);
    }
    if erasures::covers(&core.conn, delivery, &reading, delivery.received_at)? {
        erase(core, &[seq])?;
        tracing::info!("delivery {seq} is about a reader who was erased: erased too");
        return Ok(false);
    }
    let outcome = settle(&core.conn, &stored, &reading)?;
    // One that is not folded yet is folded in its turn.
    if let (Outcome::Stored, Some(delivery)) = (outcome, stored.delivery)
        && seq <= core.folder.seq
    {
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
