//! Bodies dropped for their age or for the size of the file, where the publisher's settings say so.
//!
//! The exact bytes of a delivery go, with salt and headers; its row stays, so the chain verifies, and what was read out
//! of it stays beside it (`pruned`), so that every list and every past figure is folded again as before: a subscription
//! does not end because the webhook that began it is old. What gives no event goes without a trace of it. A delivery
//! that is not folded yet, or that could not be understood, keeps its body; those not understood have caps of their own,
//! for nothing can be read out of them any more.
//!
//! Done by the writer when it has nothing else to do, a few deliveries in a transaction. The position stands in `meta`,
//! so a crash loses nothing and does nothing twice.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::domain::count::in_words;
use crate::domain::delivery::{Content, Outcome, Reading};
use crate::domain::time::{DAY_MS, Timestamp};
use crate::store::Error;
use crate::store::append::{Stored, stored_at};
use crate::store::query::Reader;
use crate::store::schema::{meta, set_meta};
use crate::store::seal::seal_of;
use crate::store::task::{Progress, Step, Steps, TaskReport};
use crate::store::thread::Core;
use crate::store::upkeep::overwrite::{self, Cleaning, Next};
use crate::store::upkeep::{Reason, guard};

/// The first schema with bodies dropped for their age.
pub(crate) const SINCE: i64 = 3;
/// So many deliveries are looked at in one step.
const STEP: i64 = 32;
/// No reading is larger than this, bytes: bodies are not.
const UNPACKED_BYTES_MAX: u64 = 1 << 30;
/// For the size of the file no body is dropped that is younger than this.
pub const YOUNG_MS: i64 = 14 * DAY_MS;
/// The key in `meta` under which stands the last delivery that was looked at, by arrival: `received_at seq`.
const PRUNED_TO: &str = "pruned_to";
/// The key in `meta` under which stands what was dropped last.
pub(crate) const PRUNED_LAST: &str = "pruned_last";

/// What is kept how long. `None`: for ever, whatever the size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// Bodies of what was understood or repeats another, milliseconds since arrival.
    pub bodies_ms: Option<i64>,
    /// Bytes of the file in use, above which the oldest bodies go, those of the last 14 days excepted.
    pub file_bytes: Option<i64>,
    /// Bodies of what was not understood, milliseconds since arrival.
    pub quarantine_ms: Option<i64>,
    /// Bytes of such bodies in all, above which the oldest go.
    pub quarantine_bytes: Option<i64>,
}

impl Retention {
    /// Nothing is ever dropped.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// What was dropped lately.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// When.
    pub at: Timestamp,
    /// Deliveries that have lost their body, since the first.
    pub deliveries: u64,
    /// Bytes of those bodies.
    pub bytes: u64,
}

/// What would go by now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Deliveries whose body is older than the settings keep it.
    pub deliveries: i64,
    /// Bytes of those bodies.
    pub bytes: i64,
    /// The same of what was not understood, by age.
    pub quarantined: i64,
    /// Bytes of bodies that were not understood and are kept.
    pub quarantine_bytes: i64,
    /// Bytes of the file in use.
    pub file_bytes: i64,
}

const DUE: &str =
    "select count(*), ifnull(sum(body_bytes), 0) from deliveries indexed by deliveries_received
    where received_at >= ?2 and received_at < ?1 and outcome <> 'quarantined' and erased_at is null
      and not exists (select 1 from pruned p where p.seq = deliveries.seq)";
const DUE_QUARANTINED: &str = "select count(*) from deliveries indexed by deliveries_odd
    where outcome <> 'stored' and outcome = 'quarantined' and received_at < ?1 and erased_at is null
      and not exists (select 1 from pruned p where p.seq = deliveries.seq)";
const QUARANTINE_BYTES: &str =
    "select ifnull(sum(body_bytes), 0) from deliveries indexed by deliveries_odd
    where outcome <> 'stored' and outcome = 'quarantined' and erased_at is null
      and not exists (select 1 from pruned p where p.seq = deliveries.seq)";
const FILE_BYTES: &str =
    "select (p.page_count - f.freelist_count) * s.page_size from pragma_page_count p,
    pragma_freelist_count f, pragma_page_size s";

impl Reader {
    /// What `retention` would have dropped by `now`.
    pub fn due(&self, retention: Retention, now: Timestamp) -> Result<Due, Error> {
        self.with(|conn| {
            if !is_known(conn)? {
                return Ok(Due::default());
            }
            let before = |ms: Option<i64>| ms.map(|ms| now.plus_ms(-ms).to_string());
            let mut due = Due {
                quarantine_bytes: number(conn, QUARANTINE_BYTES)?,
                file_bytes: number(conn, FILE_BYTES)?,
                ..Due::default()
            };
            if let Some(before) = before(retention.bodies_ms) {
                // What stands before the position was looked at.
                let position = meta(conn, PRUNED_TO)?.unwrap_or_default();
                let from = position.split(' ').next().unwrap_or_default();
                (due.deliveries, due.bytes) =
                    conn.query_row(DUE, [&before, from], |row| Ok((row.get(0)?, row.get(1)?)))?;
            }
            if let Some(before) = before(retention.quarantine_ms) {
                due.quarantined = conn.query_row(DUE_QUARANTINED, [before], |row| row.get(0))?;
            }
            Ok(due)
        })
    }

    /// Bytes of bodies that were not understood and are kept.
    pub fn quarantine_bytes(&self) -> Result<u64, Error> {
        self.with(|conn| {
            if !is_known(conn)? {
                return Ok(0);
            }
            Ok(u64::try_from(number(conn, QUARANTINE_BYTES)?).unwrap_or(0))
        })
    }

    /// What was dropped lately, if anything ever was.
    pub fn pruned(&self) -> Result<Option<Pruned>, Error> {
        self.with(last)
    }
}

/// Whether the body of delivery `seq` was dropped for its age; a ledger of an older schema drops none.
pub(crate) fn is_pruned(conn: &Connection, seq: i64) -> bool {
    conn.prepare_cached("select 1 from pruned where seq = ?1")
        .and_then(|mut statement| statement.exists([seq]))
        .unwrap_or(false)
}

/// Whether bodies are dropped in a ledger as old as this one; one that is only read is not upgraded.
pub(crate) fn is_known(conn: &Connection) -> Result<bool, Error> {
    let found: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(found >= SINCE)
}

fn number(conn: &Connection, sql: &str) -> Result<i64, Error> {
    Ok(conn.query_row(sql, [], |row| row.get(0))?)
}

fn last(conn: &Connection) -> Result<Option<Pruned>, Error> {
    let text = meta(conn, PRUNED_LAST)?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Drops what is due now, in bounded steps, when asked for by hand.
pub(crate) fn prune(retention: Retention) -> Steps {
    let (mut deliveries, mut bytes) = (0_u64, 0_u64);
    let mut cleaning = Cleaning::new();
    Box::new(move |core| {
        if core.behind() && core.catch_up(256, &|| false)? > 0 {
            return Ok(Step::More(Progress::default()));
        }
        if !core.is_clock_believed() {
            return Err(Error::Refused(
                "the clock leapt ahead lately and may be wrong: nothing is dropped for its age for a day".to_owned(),
            ));
        }
        let gone = step(core, retention)?;
        deliveries += gone.dropped();
        bytes += gone.bytes;
        if gone.looked > 0 {
            return Ok(Step::More(Progress {
                done: deliveries,
                of: None,
            }));
        }
        match cleaning.advance(core)? {
            Next::On(_) => {
                return Ok(Step::More(Progress {
                    done: deliveries,
                    of: None,
                }));
            }
            Next::Wait(again) => return Ok(Step::Wait(Progress::default(), again)),
            Next::Through => {}
        }
        let size = crate::domain::size::in_words(bytes);
        let mut report = TaskReport::of(
            format!("{} dropped, {size}", in_words(deliveries, "body", "bodies")),
            deliveries,
        );
        cleaning.tell(&mut report);
        Ok(Step::Done(report))
    })
}

/// What one step did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gone {
    /// Deliveries looked at; 0: there is nothing more to do now.
    pub(crate) looked: usize,
    /// Those of them whose body was dropped.
    seqs: Vec<i64>,
    bytes: u64,
}

impl Gone {
    fn dropped(&self) -> u64 {
        self.seqs.len() as u64
    }
}

/// Drops the bodies of a few deliveries, once everything is folded, and moves together what is left of them.
pub(crate) fn step(core: &mut Core, retention: Retention) -> Result<Gone, Error> {
    let gone = core.transact(|core| drop_some(core, retention))?;
    overwrite::pack(core, &gone.seqs)?;
    Ok(gone)
}

fn drop_some(core: &mut Core, retention: Retention) -> Result<Gone, Error> {
    let now = core.now();
    let mut gone = bodies(core, retention, now)?;
    if gone.looked == 0 {
        gone = quarantined(core, retention, now)?;
    }
    if !gone.seqs.is_empty() {
        overwrite::note(core)?;
        let before = last(&core.conn)?;
        let (deliveries, bytes) = before.map_or((0, 0), |last| (last.deliveries, last.bytes));
        let text = serde_json::to_string(&Pruned {
            at: now,
            deliveries: deliveries + gone.dropped(),
            bytes: bytes + gone.bytes,
        });
        set_meta(&core.conn, PRUNED_LAST, &text.unwrap_or_default())?;
    }
    Ok(gone)
}

const NEXT: &str = "select received_at, seq, outcome, salt is null, body_bytes
    from deliveries indexed by deliveries_received
    where (received_at, seq) > (?1, ?2) and received_at < ?3 order by received_at, seq limit ?4";

fn bodies(core: &mut Core, retention: Retention, now: Timestamp) -> Result<Gone, Error> {
    let by_age = retention.bodies_ms.map(|ms| now.plus_ms(-ms));
    let by_size = match retention.file_bytes {
        Some(bytes) if is_larger(&core.conn, bytes)? => Some(now.plus_ms(-YOUNG_MS)),
        _ => None,
    };
    let Some(before) = by_age.max(by_size) else {
        return Ok(Gone::default());
    };
    let position = meta(&core.conn, PRUNED_TO)?;
    let (at, seq) = position
        .as_deref()
        .and_then(|text| text.split_once(' '))
        .map_or(("", 0), |(at, seq)| (at, seq.parse().unwrap_or(0)));
    let rows = {
        let mut statement = core.conn.prepare_cached(NEXT)?;
        let found = statement.query_map(params![at, seq, before.to_string(), STEP], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, String>(2)?,
                row.get::<_, bool>(3)?,
                row.get::<_, i64>(4)?,
            ))
        })?;
        found.collect::<rusqlite::Result<Vec<_>>>()?
    };
    let mut gone = Gone::default();
    let mut to = None;
    let by_age = by_age.map(|before| before.to_string());
    for (received_at, seq, outcome, is_gone, body_bytes) in rows {
        let is_old = by_age.as_ref().is_some_and(|before| received_at < *before);
        if let (false, Some(bytes)) = (is_old, retention.file_bytes)
            && !is_larger(&core.conn, bytes)?
        {
            break;
        }
        let is_quarantined = outcome == Outcome::Quarantined.as_str();
        if !is_gone && !is_quarantined && drop_body(core, seq)? {
            gone.seqs.push(seq);
            gone.bytes += u64::try_from(body_bytes).unwrap_or(0);
        }
        gone.looked += 1;
        to = Some(format!("{received_at} {seq}"));
    }
    if let Some(to) = to {
        set_meta(&core.conn, PRUNED_TO, &to)?;
    }
    Ok(gone)
}

fn is_larger(conn: &Connection, bytes: i64) -> Result<bool, Error> {
    Ok(number(conn, FILE_BYTES)? > bytes)
}

fn quarantined(core: &mut Core, retention: Retention, now: Timestamp) -> Result<Gone, Error> {
    let conn = &core.conn;
    let too_much = match retention.quarantine_bytes {
        Some(bytes) => number(conn, QUARANTINE_BYTES)? > bytes,
        None => false,
    };
    let before = match (too_much, retention.quarantine_ms) {
        // The oldest, one at a time: what is left is counted again.
        (true, _) => "9999".to_owned(),
        (false, Some(ms)) => now.plus_ms(-ms).to_string(),
        (false, None) => return Ok(Gone::default()),
    };
    let oldest: Option<(i64, i64)> = conn
        .prepare_cached(
            "select seq, body_bytes from deliveries indexed by deliveries_odd
             where outcome <> 'stored' and outcome = 'quarantined' and received_at < ?1 and erased_at is null
               and not exists (select 1 from pruned p where p.seq = deliveries.seq)
             order by received_at limit 1",
        )?
        .query_row([before], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((seq, body_bytes)) = oldest else {
        return Ok(Gone::default());
    };
    note(conn, seq, None)?;
    empty(conn, seq)?;
    Ok(Gone {
        looked: 1,
        seqs: vec![seq],
        bytes: u64::try_from(body_bytes).unwrap_or(0),
    })
}

/// Drops the body of delivery `seq` and keeps what was read out of it; whether it could be kept exactly.
fn drop_body(core: &Core, seq: i64) -> Result<bool, Error> {
    let Some(stored) = stored_at(&core.conn, seq)? else {
        return Ok(false);
    };
    let reading = match stored.outcome {
        Outcome::Stored => match core.folder.unfolded(stored).map(|one| one.reading) {
            Some(reading) if matches!(reading.content, Content::Events(_)) => {
                let Some(text) = exact_text(&reading) else {
                    return Ok(false);
                };
                Some(text)
            }
            _ => return Ok(false),
        },
        Outcome::Duplicate => None,
        Outcome::Quarantined => return Ok(false),
    };
    note(&core.conn, seq, reading.as_deref().map(pack).as_deref())?;
    empty(&core.conn, seq)?;
    Ok(true)
}

/// `reading` as JSON, if it is the same when it is read back.
fn exact_text(reading: &Reading) -> Option<String> {
    let text = serde_json::to_string(reading).ok()?;
    let back: Reading = serde_json::from_str(&text).ok()?;
    (serde_json::to_string(&back).ok()? == text).then_some(text)
}

fn pack(text: &str) -> Vec<u8> {
    let mut packer = ZlibEncoder::new(Vec::new(), Compression::best());
    packer
        .write_all(text.as_bytes())
        .and_then(|()| packer.finish())
        .expect("memory takes what is written to it")
}

/// What was packed; `None` if it is damaged.
pub(crate) fn unpack(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let unpacked = ZlibDecoder::new(bytes)
        .take(UNPACKED_BYTES_MAX)
        .read_to_end(&mut text);
    unpacked.ok().map(|_| text)
}

fn note(conn: &Connection, seq: i64, reading: Option<&[u8]>) -> Result<(), Error> {
    conn.prepare_cached("insert or replace into pruned (seq, seal, reading) values (?1, ?2, ?3)")?
        .execute(params![seq, seal(seq, reading), reading])?;
    Ok(())
}

/// The checksum that stands beside a reading.
pub(crate) fn seal(seq: i64, reading: Option<&[u8]>) -> i64 {
    let reading = reading.map_or(ValueRef::Null, ValueRef::Blob);
    seal_of([ValueRef::Integer(seq), reading].into_iter())
}

fn empty(conn: &Connection, seq: i64) -> Result<(), Error> {
    guard(conn, Reason::Retention, || {
        conn.prepare_cached(
            "update deliveries set body = null, salt = null, headers = '[]' where seq = ?1",
        )?
        .execute([seq])?;
        Ok(())
    })
}

/// What was read out of a delivery that lost its body, as it was packed.
pub(crate) fn kept(packed: &[u8]) -> Option<Reading> {
    serde_json::from_slice(&unpack(packed)?).ok()
}

/// Something older than what was looked at has come or changed: all is looked at again.
pub(crate) fn look_again(conn: &Connection) -> Result<(), Error> {
    conn.prepare_cached("delete from meta where key = ?1")?
        .execute([PRUNED_TO])?;
    Ok(())
}

/// Delivery `seq`, for whoever erases it: what was kept of it without its body is gone then.
pub(crate) fn forget(conn: &Connection, seq: i64) -> Result<Option<Stored>, Error> {
    let stored = stored_at(conn, seq)?;
    conn.prepare_cached("delete from pruned where seq = ?1")?
        .execute([seq])?;
    Ok(stored)
}
