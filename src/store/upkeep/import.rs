//! Deliveries from a file, handed to the one process that writes.
//!
//! The ordinary way: the same reading, the same duplicate decision, the same chain. Only the origin differs, and that
//! a delivery which is here already is not kept twice: same provider, account, hook, arrival and bytes. Imported ones
//! are found by a key of their own in `delivery_keys`, all others by the moment of their arrival. Where the bytes were
//! dropped for their age, what the provider tells deliveries apart by decides. What was erased here stays erased.

use std::cell::OnceCell;
use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::domain::count::in_words;
use crate::domain::delivery::{
    Content, Delivery, IdentityProof, Origin, Outcome, ProviderId, Reading,
};
use crate::domain::time::Timestamp;
use crate::store::append::{Head, commit_to, find_twin, import_hash, without_nul};
use crate::store::inbox::Job;
use crate::store::leaps::Leaps;
use crate::store::schema::READER_VERSION;
use crate::store::task::{Progress, Step, Steps, TaskReport};
use crate::store::thread::Core;
use crate::store::upkeep::erasures;
use crate::store::upkeep::room::{self, RESERVE_BYTES};
use crate::store::{Error, Mode, connect, schema};

/// So many deliveries per step at first; more where that is quick, fewer where live ones would wait for long. Not fewer
/// than some: each step waits for the disk once, and many of them would keep live ones waiting for longer.
const STEP: usize = 64;
const STEP_MIN: usize = 32;
const STEP_MAX: usize = 256;
/// Where no live ones come in.
const STEP_ALONE: usize = 1_024;
const STEP_QUICK: Duration = Duration::from_millis(5);
const STEP_LONG: Duration = Duration::from_millis(15);

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
    /// When the delivery had arrived that this one was found to repeat, where it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    repeats_at: Option<Timestamp>,
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
            repeats_at: None,
        }
    }
}

impl Parcel {
    /// The same, which repeats what had arrived at `at`: said by a ledger that saw both come.
    #[must_use]
    pub fn repeating(mut self, at: Option<Timestamp>) -> Self {
        self.repeats_at = at;
        self
    }

    /// About the bytes that `delivery` takes in a message.
    pub fn bytes_of(delivery: &Delivery) -> usize {
        size(delivery.body.len().div_ceil(3) * 4, &delivery.headers)
    }

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

/// What became of the parcels of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// Taken in and read.
    pub stored: u64,
    /// Taken in as repeats of others.
    pub repeats: u64,
    /// Taken in, not understood.
    pub quarantined: u64,
    /// Here already: left as they are.
    pub present: u64,
    /// Erased here: not taken in again.
    pub erased: u64,
    /// The first one taken in.
    pub first_seq: Option<i64>,
    /// The last one taken in.
    pub last_seq: Option<i64>,
    /// Places in the task, from 0, of those that could not be taken in, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<(usize, String)>,
}

impl Imported {
    /// Adds what became of later parcels; the places in `failed` stay those of their own task.
    pub fn add(&mut self, later: Self) {
        self.stored += later.stored;
        self.repeats += later.repeats;
        self.quarantined += later.quarantined;
        self.present += later.present;
        self.erased += later.erased;
        self.first_seq = self.first_seq.or(later.first_seq);
        self.last_seq = later.last_seq.or(self.last_seq);
        self.failed.extend(later.failed);
    }

    fn kept(&mut self, outcome: Outcome, seq: i64) {
        match outcome {
            Outcome::Stored => self.stored += 1,
            Outcome::Duplicate => self.repeats += 1,
            Outcome::Quarantined => self.quarantined += 1,
        }
        self.first_seq.get_or_insert(seq);
        self.last_seq = Some(seq);
    }
}

/// Takes `parcels` in; those that are among the deliveries up to `before` are here already.
pub(crate) fn steps(parcels: Vec<Parcel>, before: i64) -> Steps {
    let of = parcels.len() as u64;
    let mut left = parcels.into_iter().enumerate();
    let mut done = 0;
    let mut imported = Imported::default();
    let mut here = Here::up_to(before);
    let mut step = STEP;
    Box::new(move |core| {
        room::check(&schema::folder(&core.path), RESERVE_BYTES)?;
        let begun = Instant::now();
        let alone = !core.shared().is_receiving;
        let size = if alone { STEP_ALONE } else { step };
        let chunk: Vec<_> = left.by_ref().take(size).collect();
        if chunk.is_empty() {
            return Ok(Step::Done(report(std::mem::take(&mut imported))));
        }
        done += chunk.len() as u64;
        let (places, mut jobs) = jobs(core, &mut here, chunk, &mut imported)?;
        if !jobs.is_empty() {
            for (place, ack) in places.into_iter().zip(core.append(&mut jobs)?) {
                match ack {
                    Ok(ack) => imported.kept(ack.outcome, ack.seq),
                    Err(error) => imported.failed.push((place, error.to_string())),
                }
            }
        }
        step = next_step(step, begun.elapsed());
        Ok(Step::More(Progress { done, of: Some(of) }))
    })
}

fn next_step(step: usize, took: Duration) -> usize {
    if took > STEP_LONG {
        (step / 2).max(STEP_MIN)
    } else if took < STEP_QUICK {
        (step * 2).min(STEP_MAX)
    } else {
        step
    }
}

fn report(imported: Imported) -> TaskReport {
    let Imported {
        stored,
        repeats,
        quarantined,
        present,
        ..
    } = &imported;
    TaskReport {
        summary: format!(
            "{stored} stored, {}, {quarantined} not understood, {present} here already",
            in_words(*repeats, "repeat", "repeats")
        ),
        changed: *stored,
        import: Some(imported),
        ..TaskReport::default()
    }
}

/// What is to be appended, and the places of these parcels in the task.
fn jobs(
    core: &Core,
    here: &mut Here,
    chunk: Vec<(usize, Parcel)>,
    imported: &mut Imported,
) -> Result<(Vec<usize>, Vec<Job>), Error> {
    let (mut places, mut jobs) = (Vec::new(), Vec::with_capacity(chunk.len()));
    for (place, parcel) in chunk {
        let repeats_at = parcel.repeats_at;
        let Some(delivery) = parcel.open() else {
            let why = "this is no delivery from a file".to_owned();
            imported.failed.push((place, why));
            continue;
        };
        let read = OnceCell::new();
        let reading = || read.get_or_init(|| core.folder.read(&delivery));
        match here.find(&core.conn, &delivery, &reading)? {
            Some(Found::Whole) => imported.present += 1,
            Some(Found::Erased) => imported.erased += 1,
            None => {
                let reading = read.into_inner();
                let reading = reading.unwrap_or_else(|| core.folder.read(&delivery));
                let at = delivery.received_at;
                if erasures::covers(&core.conn, &delivery, &reading, at)? {
                    imported.erased += 1;
                    continue;
                }
                places.push(place);
                jobs.push(Job {
                    reading,
                    delivery,
                    admits: None,
                    repeats_at,
                    reply: None,
                });
            }
        }
    }
    Ok((places, jobs))
}

/// How a delivery that is to be taken in is here already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Whole,
    Erased,
}

/// The deliveries that were here before an import began.
struct Here {
    before: i64,
    /// Those of one moment that are found by it alone: a file holds many of a moment in a row.
    moment: Option<(Timestamp, Vec<Known>)>,
}

/// One of them.
struct Known {
    place: [String; 3],
    bytes: i64,
    /// `None`: erased, or the body was dropped for its age.
    salt: Option<Vec<u8>>,
    commitment: Vec<u8>,
    is_erased: bool,
    outcome: String,
    reader_version: i64,
    dedupe_key: Option<String>,
}

/// What was read out of the delivery that is looked for: asked for only where its bytes say too little.
type ReadHere<'a> = &'a dyn Fn() -> &'a Reading;

impl Here {
    const fn up_to(before: i64) -> Self {
        Self {
            before,
            moment: None,
        }
    }

    fn find(
        &mut self,
        conn: &Connection,
        delivery: &Delivery,
        reading: ReadHere<'_>,
    ) -> Result<Option<Found>, Error> {
        let seq: Option<i64> = conn
            .prepare_cached("select seq from delivery_keys where hash = ?1")?
            .query_row([import_hash(delivery)], |row| row.get(0))
            .optional()?;
        if seq.is_some_and(|seq| seq <= self.before) {
            return Ok(Some(Found::Whole));
        }
        let at = delivery.received_at;
        if self.moment.as_ref().is_none_or(|(known, _)| *known != at) {
            self.moment = Some((at, known(conn, at, self.before)?));
        }
        let known = self.moment.as_ref().map_or(&[][..], |(_, known)| known);
        let mut same = known.iter().filter_map(|known| known.is(delivery, reading));
        Ok(same.next())
    }
}

impl Known {
    fn is(&self, delivery: &Delivery, reading: ReadHere<'_>) -> Option<Found> {
        let [provider, account, hook] = &self.place;
        let alike = provider == delivery.provider.as_str()
            && *account == delivery.account
            && *hook == delivery.hook
            && usize::try_from(self.bytes) == Ok(delivery.body.len());
        match &self.salt {
            _ if !alike => None,
            // Of erased bytes nothing but their number is known, which is the point.
            None if self.is_erased => Some(Found::Erased),
            None => self.is_read_as(reading()).then_some(Found::Whole),
            Some(salt) => {
                (commit_to(salt, &delivery.body)[..] == self.commitment).then_some(Found::Whole)
            }
        }
    }

    /// Whether a delivery of this moment, place and length is the one whose body was dropped, by what they are told apart
    /// by. An earlier version may have told them apart by something else: then it is taken for the same, or a file would
    /// be counted again after an upgrade. What could not be read counted for nothing, and may be read from the file now.
    fn is_read_as(&self, reading: &Reading) -> bool {
        let key = reading.keys.first().map(|key| without_nul(&key.key));
        let is_lost = self.outcome == Outcome::Quarantined.as_str();
        match (&reading.content, is_lost) {
            (Content::Events(_), true) => false,
            (Content::Unreadable(_), true) => self.dedupe_key == key,
            (_, false) => self.dedupe_key == key || self.reader_version != READER_VERSION,
        }
    }
}

/// What arrived at this moment, but for imports: those are known by a key, and thousands may be of one moment.
fn known(conn: &Connection, at: Timestamp, before: i64) -> Result<Vec<Known>, Error> {
    let mut statement = conn.prepare_cached(
        "select provider, account, hook, body_bytes, salt, commitment, erased_at is not null, outcome, reader_version,
           dedupe_key
         from deliveries indexed by deliveries_received where received_at = ?1 and seq <= ?2
         and (origin <> 'import' or erased_at is not null)",
    )?;
    let rows = statement.query_map(params![at.to_string(), before], |row| {
        Ok(Known {
            place: [row.get(0)?, row.get(1)?, row.get(2)?],
            bytes: row.get(3)?,
            salt: row.get(4)?,
            commitment: row.get(5)?,
            is_erased: row.get(6)?,
            outcome: row.get(7)?,
            reader_version: row.get(8)?,
            dedupe_key: row.get(9)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Tells what an import would do, without doing it. Repeats within the file itself are not seen.
pub struct Preview {
    /// `None`: there is no ledger yet.
    conn: Option<Connection>,
    here: Here,
}

impl Preview {
    /// Looks at the ledger at `path`, which may be absent.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self {
            conn: readable(path)?,
            here: Here::up_to(i64::MAX),
        })
    }

    /// What would become of `delivery`, read as `reading`, added to `imported`.
    pub fn judge(
        &mut self,
        delivery: &Delivery,
        reading: &Reading,
        imported: &mut Imported,
    ) -> Result<(), Error> {
        let mut twin = None;
        if let Some(conn) = &self.conn {
            match self.here.find(conn, delivery, &|| reading)? {
                Some(Found::Whole) => {
                    imported.present += 1;
                    return Ok(());
                }
                Some(Found::Erased) => {
                    imported.erased += 1;
                    return Ok(());
                }
                None if erasures::covers(conn, delivery, reading, delivery.received_at)? => {
                    imported.erased += 1;
                    return Ok(());
                }
                None => {
                    twin = find_twin(
                        conn,
                        delivery,
                        reading,
                        delivery.received_at,
                        &Leaps::NONE,
                        None,
                    )?;
                }
            }
        }
        match (twin, &reading.content) {
            (Some(_), _) => imported.repeats += 1,
            (None, Content::Events(_)) => imported.stored += 1,
            (None, Content::Unreadable(_)) => imported.quarantined += 1,
        }
        Ok(())
    }
}

fn size(body_bytes: usize, headers: &[(String, String)]) -> usize {
    let headers = headers.iter();
    let header_bytes: usize = headers
        .map(|(name, value)| name.len() + value.len() + 8)
        .sum();
    body_bytes + header_bytes + 256
}

/// Refused where one message would be too long for the socket.
pub(crate) fn check_size(parcels: &[Parcel]) -> Result<(), Error> {
    let bytes: usize = parcels
        .iter()
        .map(|parcel| size(parcel.body.len(), &parcel.headers))
        .sum();
    if bytes > 4 << 20 && parcels.len() > 1 {
        return Err(Error::Refused(
            "too much at once: hand over at most 4 MiB of deliveries".to_owned(),
        ));
    }
    Ok(())
}

/// What an import begins from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ground {
    /// The newest delivery.
    pub last_seq: i64,
    /// The key that fingerprints of credentials are made with.
    pub fingerprint_key: [u8; 32],
}

/// What is at `path`; `None` if there is no ledger yet.
pub fn ground(path: &Path) -> Result<Option<Ground>, Error> {
    let Some(conn) = readable(path)? else {
        return Ok(None);
    };
    let fingerprint_key = schema::meta(&conn, "fingerprint_key")?;
    let fingerprint_key = fingerprint_key.and_then(|text| schema::unhex(&text));
    Ok(Some(Ground {
        last_seq: Head::load(&conn)?.seq,
        fingerprint_key: fingerprint_key.ok_or_else(|| Error::Damaged {
            path: path.to_owned(),
            what: "its fingerprint key is missing".to_owned(),
        })?,
    }))
}

fn readable(path: &Path) -> Result<Option<Connection>, Error> {
    if schema::look(path)? != schema::Found::Ledger {
        return Ok(None);
    }
    let conn = connect(path, Mode::Read).map_err(|error| schema::judge(path, error))?;
    schema::check(&conn, path)?;
    Ok(Some(conn))
}
