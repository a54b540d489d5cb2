//! Taking rejected requests in after all, judged by today's secrets.

use crate::domain::delivery::Origin;
use crate::store::Error;
use crate::store::inbox::Job;
use crate::store::ring;
use crate::store::task::{AdmitFn, Progress, Step, Steps, TaskReport};
use crate::store::thread::Core;
use crate::store::upkeep::erasures;

pub(crate) fn steps(ids: Vec<i64>) -> Steps {
    let mut done = 0;
    let mut report = TaskReport::default();
    Box::new(move |core| {
        let admit = core.shared().hands().admit.clone();
        let Some(admit) = admit else {
            return Err(Error::Refused(
                "nothing here can judge a rejected request".to_owned(),
            ));
        };
        if let Some(id) = ids.get(done) {
            match one(core, &admit, *id)? {
                Ok(seq) => {
                    report.changed += 1;
                    report.seqs.push(seq);
                }
                Err(why) => report.find(format!("{id}: {why}")),
            }
            done += 1;
        }
        if done < ids.len() {
            return Ok(Step::More(Progress {
                done: done as u64,
                of: Some(ids.len() as u64),
            }));
        }
        report.summary = format!("{} of {} taken in", report.changed, ids.len());
        Ok(Step::Done(std::mem::take(&mut report)))
    })
}

fn one(core: &mut Core, admit: &AdmitFn, id: i64) -> Result<Result<i64, String>, Error> {
    let Some(row) = ring::row(&core.conn, id)? else {
        return Ok(Err("it is not kept any more".to_owned()));
    };
    if let Some(seq) = row.admitted_seq {
        return Ok(Err(format!("taken in already, as delivery {seq}")));
    }
    if row.rejected.body.is_none() {
        return Ok(Err("its body was not kept".to_owned()));
    }
    let mut delivery = match admit(&row) {
        Ok(delivery) => delivery,
        Err(why) => return Ok(Err(why)),
    };
    delivery.origin = Origin::Admitted;
    delivery.received_at = row.rejected.received_at;
    let reading = core.folder.read(&delivery);
    if erasures::covers(&core.conn, &delivery, &reading, delivery.received_at)? {
        core.transact(|core| {
            core.conn
                .execute("delete from rejected where id = ?1", [id])?;
            Ok(())
        })?;
        core.reload_ring()?;
        return Ok(Err(
            "it is about a reader who was erased since: dropped".to_owned()
        ));
    }
    let mut jobs = [Job {
        delivery,
        reading,
        admits: Some(id),
        repeats_at: None,
        reply: None,
    }];
    let ack = core.append(&mut jobs)?.pop();
    match ack {
        Some(Ok(ack)) => Ok(Ok(ack.seq)),
        Some(Err(error)) => Ok(Err(error.to_string())),
        None => Ok(Err("it was not taken in".to_owned())),
    }
}
