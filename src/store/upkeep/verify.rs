//! Whether a ledger is what was once acknowledged: sequence, chain, bodies and SQLite's own structures.
//!
//! Reads only, deliveries a bounded number at a time so that the writer's checkpoints go on; SQLite's own check at the
//! end is one long read. Never panics on a damaged file: what cannot be read is damage with a place.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Connection, Row};

use crate::domain::time::Zone;
use crate::store::append::{body_bytes, commit_to, link_of};
use crate::store::schema::{self, Found, hex};
use crate::store::{Error, Mode, connect};

/// So many rows are read under one snapshot.
const CHUNK: i64 = 1_000;
/// So many places are named; the rest are counted.
const NAMED_MAX: usize = 100;
/// So many of SQLite's own steps are done between two looks whether to stop.
const LOOK_EVERY: i32 = 10_000;

/// What verifying found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Deliveries looked at.
    pub deliveries: u64,
    /// Of them, erased: their commitment stands, their body is gone.
    pub erased: u64,
    /// The newest delivery; 0 if there is none.
    pub last_seq: i64,
    /// The newest link, hex: whoever wrote it down can tell later that nothing before it was changed.
    pub head: String,
    /// What is wrong, the first hundred places.
    pub damage: Vec<Damage>,
    /// How many things are wrong.
    pub damaged: u64,
}

impl Verified {
    /// Nothing is wrong.
    pub const fn is_sound(&self) -> bool {
        self.damaged == 0
    }

    fn note(&mut self, seq: Option<i64>, what: impl Into<String>) {
        self.damaged += 1;
        if self.damage.len() < NAMED_MAX {
            self.damage.push(Damage {
                seq,
                what: what.into(),
            });
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The delivery; `None` if it is about the file.
    pub seq: Option<i64>,
    /// In words, without anything of the delivery.
    pub what: String,
}

/// Verifies the ledger at `path`. An error means that it could not be looked at; damage is in the result.
pub fn verify(path: &Path) -> Result<Verified, Error> {
    verify_with(path, &mut |_| {})
}

/// `verify`, telling how many deliveries were looked at.
pub fn verify_with(path: &Path, progress: &mut dyn FnMut(u64)) -> Result<Verified, Error> {
    verify_until(path, &Arc::new(AtomicBool::new(false)), progress)
}

/// `verify_with`, ended by `Error::Interrupted` a moment after `stop` becomes true.
pub fn verify_until(
    path: &Path,
    stop: &Arc<AtomicBool>,
    progress: &mut dyn FnMut(u64),
) -> Result<Verified, Error> {
    if schema::look(path)? != Found::Ledger {
        return Err(Error::Absent(path.to_owned()));
    }
    let mut conn = connect(path, Mode::Read).map_err(|error| schema::judge(path, error))?;
    schema::check(&conn, path)?;
    let stopped = Arc::clone(stop);
    conn.progress_handler(LOOK_EVERY, Some(move || stopped.load(Ordering::Relaxed)))?;
    let mut verified = Verified::default();
    walk(&conn, &mut verified, stop, progress);
    check_structure(&conn, &mut verified);
    // An interrupted statement looks like damage to whoever ran it.
    if stop.load(Ordering::Relaxed) {
        return Err(Error::Interrupted);
    }
    Ok(verified)
}

/// The newest place that was looked at, and the link that the next one builds on.
struct Place {
    seq: i64,
    link: Vec<u8>,
}

fn walk(
    conn: &Connection,
    verified: &mut Verified,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(u64),
) {
    let mut place = Place {
        seq: 0,
        link: vec![0; 32],
    };
    while !stop.load(Ordering::Relaxed) {
        match walk_chunk(conn, &mut place, verified) {
            Ok(0) => break,
            Ok(_) => progress(verified.deliveries),
            Err(error) => {
                verified.note(Some(place.seq + 1), format!("cannot be read: {error}"));
                match after_damage(conn, &place) {
                    Some(next) => place = next,
                    None => break,
                }
            }
        }
    }
    verified.last_seq = place.seq;
    verified.head = hex(&place.link);
}

/// Skips the one delivery that cannot be read, if there is one behind it.
fn after_damage(conn: &Connection, place: &Place) -> Option<Place> {
    let skipped = place.seq + 1;
    let last: i64 = conn
        .query_row("select max(seq) from deliveries", [], |row| row.get(0))
        .ok()?;
    let link = conn.query_row(
        "select link from deliveries where seq = ?1",
        [skipped],
        |row| row.get(0),
    );
    // Without its link the next one cannot be checked against it: an empty one stands for not known.
    (skipped < last).then(|| Place {
        seq: skipped,
        link: link.unwrap_or_default(),
    })
}

fn walk_chunk(
    conn: &Connection,
    place: &mut Place,
    verified: &mut Verified,
) -> rusqlite::Result<usize> {
    let mut statement = conn.prepare_cached(
        "select seq, received_at, provider, account, hook, commitment, link, salt, body_bytes, erased_at is not null,
         body from deliveries where seq > ?1 order by seq limit ?2",
    )?;
    let mut rows = statement.query([place.seq, CHUNK])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let seq = row.get(0)?;
        look_at(row, seq, place, verified)?;
        count += 1;
    }
    Ok(count)
}

fn look_at(
    row: &Row<'_>,
    seq: i64,
    place: &mut Place,
    verified: &mut Verified,
) -> rusqlite::Result<()> {
    if seq != place.seq + 1 {
        let missing = format!("missing: {} is followed by {seq}", place.seq);
        verified.note(Some(place.seq + 1), missing);
    }
    let texts = [
        row.get_ref(1)?,
        row.get_ref(2)?,
        row.get_ref(3)?,
        row.get_ref(4)?,
    ]
    .map(|value| value.as_str().unwrap_or_default());
    let commitment = row.get_ref(5)?.as_blob().unwrap_or_default();
    let link = row.get_ref(6)?.as_blob().unwrap_or_default();
    let expected = link_of(
        &place.link,
        seq,
        texts[0],
        [texts[1], texts[2], texts[3]],
        commitment,
    );
    if seq == place.seq + 1 && !place.link.is_empty() && link != expected {
        verified.note(Some(seq), "its link does not follow from the one before it");
    }
    let salt = row.get_ref(7)?.as_blob_or_null().unwrap_or_default();
    let erased: bool = row.get(9)?;
    match (body_bytes(row.get_ref(10)?), salt) {
        (None, None) if erased => verified.erased += 1,
        (Some(_), _) | (_, Some(_)) if erased => {
            verified.note(Some(seq), "is marked as erased and still holds something");
        }
        (Some(body), Some(salt)) => {
            if commit_to(salt, body)[..] != *commitment {
                verified.note(Some(seq), "its body is not the one that was acknowledged");
            }
            let stated: i64 = row.get(8)?;
            if usize::try_from(stated) != Ok(body.len()) {
                verified.note(Some(seq), "its body has another length than was noted");
            }
        }
        _ => verified.note(
            Some(seq),
            "its body or salt is gone, and it is not marked as erased",
        ),
    }
    verified.deliveries += 1;
    *place = Place {
        seq,
        link: link.to_vec(),
    };
    Ok(())
}

fn check_structure(conn: &Connection, verified: &mut Verified) {
    let found = conn
        .prepare("pragma integrity_check(20)")
        .and_then(|mut statement| {
            let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
            lines.collect::<rusqlite::Result<Vec<_>>>()
        });
    match found {
        Ok(lines) => {
            for line in lines.iter().filter(|line| *line != "ok") {
                verified.note(None, format!("integrity check: {line}"));
            }
        }
        Err(error) => verified.note(None, format!("integrity check: {error}")),
    }
    check_meta(conn, verified);
}

/// Without these a ledger cannot be opened.
fn check_meta(conn: &Connection, verified: &mut Verified) {
    let meta = |key| schema::meta(conn, key).ok().flatten();
    if meta("zone").is_none_or(|name| name.parse::<Zone>().is_err()) {
        verified.note(None, "its time zone is unknown");
    }
    if meta("fingerprint_key").is_none_or(|text| schema::unhex::<32>(&text).is_none()) {
        verified.note(None, "its fingerprint key is missing");
    }
    let folded = meta("folded_seq");
    let folded: Option<i64> = folded.and_then(|text| text.parse().ok());
    if folded.is_none_or(|folded| folded < 0 || folded > verified.last_seq) {
        verified.note(None, "the position of folding lies outside the ledger");
    }
}
