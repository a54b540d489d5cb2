//! Reading again, after an upgrade of the reading code, what the earlier one did not understand: quarantined deliveries
//! and events of unknown type.
//!
//! It comes before everything is folded again, in bounded steps between deliveries. Each delivery remembers the version
//! that decided it, so after a crash the rest goes on. What is decided here is outcome, duplicate and keys, once and
//! for all; events follow when all is folded. The gain stands in `upgrades`.

use std::collections::{BTreeSet, VecDeque};

use rusqlite::{Connection, OptionalExtension, params};

use crate::domain::delivery::{Content, Delivery, Outcome, Reading};
use crate::domain::event::EventType;
use crate::domain::time::Timestamp;
use crate::store::Error;
use crate::store::append::{
    Stored, Verdict, find_twin, forget_key, remember_keys, stored_at, without_nul,
};
use crate::store::leaps::Leaps;
use crate::store::schema::READER_VERSION;
use crate::store::upgrade::PROGRAM;
use crate::store::upkeep::{Reason, erasures, guard, retention};

/// So many deliveries per step.
const STEP: usize = 16;
/// So many are looked up at once.
const PIECE: i64 = 10_000;
/// So many types are named.
const TYPES_MAX: usize = 50;

/// What is read again, as far as it was looked up.
#[derive(Default)]
pub(crate) struct Rereading {
    waiting: VecDeque<i64>,
    /// The last one looked up.
    last: i64,
}

impl Rereading {
    /// The next few; none if that was all. `folded` is the position of folding: of what stands behind it no event tells
    /// the type.
    pub(crate) fn next(&mut self, conn: &Connection, folded: i64) -> Result<Vec<i64>, Error> {
        if self.waiting.is_empty() {
            self.waiting = candidates(conn, self.last, folded)?;
            self.last = self.waiting.back().copied().unwrap_or(self.last);
        }
        let few = self.waiting.len().min(STEP);
        Ok(self.waiting.drain(..few).collect())
    }
}

fn candidates(conn: &Connection, after: i64, folded: i64) -> Result<VecDeque<i64>, Error> {
    let mut statement = conn.prepare_cached(
        "select seq from deliveries indexed by deliveries_odd
           where outcome <> 'stored' and outcome = 'quarantined' and seq > ?1 and reader_version < ?4
         union select id / 10000 from events indexed by events_type where type = 'unknown' and id / 10000 > ?1
         union select * from (select seq from deliveries
           where seq > max(?1, ?2) and reader_version < ?4 order by seq limit ?3)
         order by 1 limit ?3",
    )?;
    let rows = statement.query_map([after, folded, PIECE, READER_VERSION], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// What became of a delivery that was read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// It is not up for it: erased, understood before, or decided by this version.
    Settled,
    /// It is not understood by this version either.
    Not,
    /// It is understood now: a repeat of another, or with events.
    Understood {
        /// What it is, where its type was not known before.
        new_type: Option<String>,
    },
}

/// What reading again has brought so far.
#[derive(Default)]
pub(crate) struct Gain {
    looked_at: i64,
    understood: i64,
    types: BTreeSet<String>,
}

impl Gain {
    pub(crate) fn add(&mut self, again: Again) {
        match again {
            Again::Settled => {}
            Again::Not => self.looked_at += 1,
            Again::Understood { new_type } => {
                self.looked_at += 1;
                self.understood += 1;
                self.types.extend(new_type);
            }
        }
    }

    /// Adds it to what is written down, in the caller's transaction.
    pub(crate) fn write(self, conn: &Connection, upgrade: i64) -> Result<(), Error> {
        if self.looked_at == 0 {
            return Ok(());
        }
        let known: String = conn
            .prepare_cached("select types from upgrades where id = ?1")?
            .query_row([upgrade], |row| row.get(0))?;
        let mut types: BTreeSet<String> = serde_json::from_str(&known).unwrap_or_default();
        types.extend(self.types);
        while types.len() > TYPES_MAX {
            types.pop_last();
        }
        let types = serde_json::to_string(&types).unwrap_or(known);
        conn.prepare_cached(
            "update upgrades set looked_at = looked_at + ?2, understood = understood + ?3, types = ?4 where id = ?1",
        )?
        .execute(params![upgrade, self.looked_at, self.understood, types])?;
        Ok(())
    }
}

/// Notes that this version reads a ledger that version `before` read, unless that is noted already.
pub(crate) fn begin(conn: &Connection, before: i64, now: Timestamp) -> Result<(), Error> {
    if unfinished(conn)?.is_none() {
        conn.execute(
            "insert into upgrades (at, program, what, before, after) values (?1, ?2, 'reading', ?3, ?4)",
            params![now.to_string(), PROGRAM, before, READER_VERSION],
        )?;
    }
    Ok(())
}

/// The upgrade of reading to this version that is not finished.
pub(crate) fn unfinished(conn: &Connection) -> Result<Option<i64>, Error> {
    let id = conn
        .prepare_cached(
            "select id from upgrades where what = 'reading' and after = ?1 and finished_at is null
             order by id desc limit 1",
        )?
        .query_row([READER_VERSION], |row| row.get(0))
        .optional()?;
    Ok(id)
}

/// Everything is folded again: the upgrade is done.
pub(crate) fn finish(conn: &Connection, upgrade: i64, now: Timestamp) -> Result<(), Error> {
    conn.execute(
        "update upgrades set finished_at = ?2 where id = ?1",
        params![upgrade, now.to_string()],
    )?;
    Ok(())
}

/// Decides delivery `seq` again if an earlier version decided it and did not understand it, inside the caller's
/// transaction.
pub(crate) fn decide_again(
    conn: &Connection,
    read: &dyn Fn(&Delivery) -> Reading,
    seq: i64,
) -> Result<Again, Error> {
    if read_by(conn, seq)?.is_none_or(|version| version >= READER_VERSION) {
        return Ok(Again::Settled);
    }
    let Some(stored) = stored_at(conn, seq)? else {
        return Ok(Again::Settled);
    };
    let Some(delivery) = &stored.delivery else {
        return Ok(Again::Settled);
    };
    let reading = read(delivery);
    match (&reading.content, stored.outcome) {
        (Content::Unreadable(why), Outcome::Quarantined) => {
            guard(conn, Reason::Quarantine, || {
                conn.prepare_cached(
                    "update deliveries set reason = ?2, reader_version = ?3 where seq = ?1",
                )?
                .execute(params![seq, without_nul(why), READER_VERSION])?;
                Ok(())
            })?;
            Ok(Again::Not)
        }
        (Content::Events(_), Outcome::Quarantined)
            if erasures::covers(conn, delivery, &reading, delivery.received_at)? =>
        {
            take_out(conn, seq)?;
            Ok(Again::Settled)
        }
        (Content::Events(_), Outcome::Quarantined) => {
            settle(conn, &stored, &reading)?;
            Ok(Again::Understood { new_type: None })
        }
        (Content::Events(_), Outcome::Stored) => decide_unknown(conn, &stored, &reading),
        // What is not understood any more is set aside when it is folded; a repeat stays one.
        (Content::Unreadable(_), Outcome::Stored) | (_, Outcome::Duplicate) => Ok(Again::Settled),
    }
}

fn read_by(conn: &Connection, seq: i64) -> Result<Option<i64>, Error> {
    let version = conn
        .prepare_cached("select reader_version from deliveries where seq = ?1")?
        .query_row([seq], |row| row.get(0))
        .optional()?;
    Ok(version)
}

/// One that was kept as an event of unknown type, or whose events were not folded when the upgrade began.
fn decide_unknown(conn: &Connection, stored: &Stored, reading: &Reading) -> Result<Again, Error> {
    let was_unknown = conn
        .prepare_cached("select 1 from events where seq = ?1 and type = 'unknown'")?
        .exists([stored.seq])?;
    let key = reading.keys.first().map(|key| without_nul(&key.key));
    if key == stored.dedupe_key {
        mark(conn, stored.seq, reading)?;
    } else {
        settle(conn, stored, reading)?;
    }
    if !was_unknown {
        return Ok(Again::Settled);
    }
    if reading
        .events()
        .iter()
        .any(|event| event.kind == EventType::Unknown)
    {
        return Ok(Again::Not);
    }
    let provider = stored
        .delivery
        .as_ref()
        .map_or("", |of| of.provider.as_str());
    let label = without_nul(&reading.label);
    Ok(Again::Understood {
        new_type: Some(format!("{provider} {label}").trim_end().to_owned()),
    })
}

/// The decision stands: the provider's name for it and the version are written down.
fn mark(conn: &Connection, seq: i64, reading: &Reading) -> Result<(), Error> {
    guard(conn, Reason::Quarantine, || {
        conn.prepare_cached(
            "update deliveries set provider_type = ?2, reader_version = ?3 where seq = ?1",
        )?
        .execute(params![seq, without_nul(&reading.label), READER_VERSION])?;
        Ok(())
    })
}

/// Decides a delivery as `reading` has it now: stored, or a repeat of one that is understood already. Gives the outcome.
pub(crate) fn settle(
    conn: &Connection,
    stored: &Stored,
    reading: &Reading,
) -> Result<Outcome, Error> {
    let seq = stored.seq;
    let Some(delivery) = &stored.delivery else {
        return Ok(stored.outcome);
    };
    if let Some(key) = &stored.dedupe_key {
        forget_key(conn, seq, delivery, key)?;
    }
    let twin = find_twin(
        conn,
        delivery,
        reading,
        delivery.received_at,
        &Leaps::NONE,
        Some(seq),
    )?;
    let verdict = Verdict::of(reading, twin.as_ref());
    guard(conn, Reason::Quarantine, || {
        conn.prepare_cached(
            "update deliveries set outcome = ?2, duplicate_of = ?3, reason = ?4, dedupe_key = ?5,
             provider_type = ?6, reader_version = ?7 where seq = ?1",
        )?
        .execute(params![
            seq,
            verdict.outcome.as_str(),
            verdict.duplicate_of,
            verdict.reason,
            reading.keys.first().map(|key| without_nul(&key.key)),
            without_nul(&reading.label),
            READER_VERSION,
        ])?;
        Ok(())
    })?;
    if verdict.erased {
        take_out(conn, seq)?;
    }
    remember_keys(conn, seq, delivery, reading, twin.as_ref())?;
    retention::look_again(conn)?;
    Ok(verdict.outcome)
}

/// Takes out what delivery `seq` holds, which belongs to what was erased and gave no events.
fn take_out(conn: &Connection, seq: i64) -> Result<(), Error> {
    guard(conn, Reason::Erasure, || {
        conn.prepare_cached(
            "update deliveries set body = null, salt = null, headers = '[]', dedupe_key = null,
             erased_at = (select max(begun_at) from erasures) where seq = ?1",
        )?
        .execute([seq])?;
        Ok(())
    })
}

/// Keeps delivery `seq`, which was understood before, as one that is not; inside the caller's transaction.
pub(crate) fn set_aside(conn: &Connection, seq: i64, why: &str) -> Result<(), Error> {
    let reason = format!(
        "understood by an earlier version, not by this one: {}",
        without_nul(why)
    );
    guard(conn, Reason::Quarantine, || {
        conn.prepare_cached(
            "update deliveries set outcome = 'quarantined', reason = ?2, reader_version = ?3
             where seq = ?1 and outcome = 'stored'",
        )?
        .execute(params![seq, reason, READER_VERSION])?;
        Ok(())
    })?;
    if let Some(upgrade) = unfinished(conn)? {
        conn.prepare_cached("update upgrades set lost = lost + 1 where id = ?1")?
            .execute([upgrade])?;
    }
    Ok(())
}
