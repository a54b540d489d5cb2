//! Deliveries from a file, handed to the one process that writes.
//!
//! The ordinary way: the same reading, the same duplicate decision, the same chain. Only the origin differs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::domain::delivery::{Delivery, IdentityProof, Origin, Outcome, ProviderId};
use crate::domain::time::Timestamp;
use crate::store::Error;
use crate::store::inbox::Job;
use crate::store::task::{Progress, Step, Steps, TaskReport};
use crate::store::thread::Core;

/// So many deliveries per step.
const STEP: usize = 64;

/// A delivery in a form that goes over the socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel {
    provider: String,
    account: String,
    hook: String,
    received_at: Timestamp,
    headers: Vec<(String, String)>,
    /// Base64.
    body: String,
    credential: String,
    identity_proof: Option<IdentityProof>,
    remote_ip: String,
    origin: Origin,
    test: bool,
}

impl From<&Delivery> for Parcel {
    fn from(delivery: &Delivery) -> Self {
        Self {
            provider: delivery.provider.as_str().to_owned(),
            account: delivery.account.clone(),
            hook: delivery.hook.clone(),
            received_at: delivery.received_at,
            headers: delivery.headers.clone(),
            body: STANDARD.encode(&delivery.body),
            credential: delivery.credential.clone(),
            identity_proof: delivery.identity_proof,
            remote_ip: delivery.remote_ip.clone(),
            origin: delivery.origin,
            test: delivery.test,
        }
    }
}

impl Parcel {
    /// The delivery; `None` if the body is no base64, or if it claims to have come over HTTP.
    fn open(self) -> Option<Delivery> {
        if !matches!(self.origin, Origin::Import | Origin::Demo) {
            return None;
        }
        Some(Delivery {
            provider: ProviderId::stored(self.provider),
            account: self.account,
            hook: self.hook,
            received_at: self.received_at,
            headers: self.headers,
            body: STANDARD.decode(self.body).ok()?,
            credential: self.credential,
            identity_proof: self.identity_proof,
            remote_ip: self.remote_ip,
            origin: self.origin,
            test: self.test,
        })
    }
}

pub(crate) fn steps(parcels: Vec<Parcel>) -> Steps {
    let of = parcels.len() as u64;
    let mut left = parcels.into_iter();
    let (mut done, mut stored, mut repeats, mut odd): (u64, u64, u64, u64) = (0, 0, 0, 0);
    let mut report = TaskReport::default();
    Box::new(move |core| {
        let chunk: Vec<_> = left.by_ref().take(STEP).collect();
        if chunk.is_empty() {
            report.changed = stored;
            report.summary = format!("{stored} stored, {repeats} repeats, {odd} not understood");
            return Ok(Step::Done(std::mem::take(&mut report)));
        }
        done += chunk.len() as u64;
        let mut jobs = jobs(core, chunk, &mut report);
        for ack in core.append(&mut jobs)? {
            let ack = match ack {
                Ok(ack) => ack,
                Err(error) => {
                    report.find(error.to_string());
                    continue;
                }
            };
            match ack.outcome {
                Outcome::Stored => stored += 1,
                Outcome::Duplicate => repeats += 1,
                Outcome::Quarantined => odd += 1,
            }
        }
        Ok(Step::More(Progress { done, of: Some(of) }))
    })
}

fn jobs(core: &Core, chunk: Vec<Parcel>, report: &mut TaskReport) -> Vec<Job> {
    let mut jobs = Vec::with_capacity(chunk.len());
    for parcel in chunk {
        let Some(delivery) = parcel.open() else {
            report.find("a delivery that is no import was left out");
            continue;
        };
        let reading = core.folder.read(&delivery);
        jobs.push(Job {
            delivery,
            reading,
            admits: None,
            reply: None,
        });
    }
    jobs
}

/// Refused where one message would be too long for the socket.
pub(crate) fn check_size(parcels: &[Parcel]) -> Result<(), Error> {
    let bytes: usize = parcels.iter().map(|parcel| parcel.body.len()).sum();
    if bytes > 4 << 20 && parcels.len() > 1 {
        return Err(Error::Refused(
            "too much at once: hand over at most 4 MiB of deliveries".to_owned(),
        ));
    }
    Ok(())
}
