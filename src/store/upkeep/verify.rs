//! Whether a ledger is what was once acknowledged: sequence, chain, bodies, seals, what the ring kept, and SQLite's own
//! structures.
//!
//! Reads only, deliveries a bounded number at a time so that the writer's checkpoints go on; SQLite's own check is one
//! long read, on a thread of its own meanwhile. Never panics on a damaged file: what cannot be read is damage with a place. Nothing vouches
//! for what the publisher wrote (`reviews`, `views`), for counters (`checks`, `rejected_lost`, `erasures`), for what duplicates are
//! recognised by (`delivery_keys`, `unconfirmed`) and for the settings in `meta`, beyond what SQLite checks itself.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use sha2::{Digest, Sha256};

use crate::domain::time::Zone;
use crate::store::append::{Body, body_bytes, commit_to, link_of};
use crate::store::schema::{self, Found, hex};
use crate::store::seal::{self, seal_of, sealed};
use crate::store::upkeep::made::Made;
use crate::store::upkeep::{erasures, reapply, retention};
use crate::store::{Error, Mode, connect};

/// So many rows are read under one snapshot.
const CHUNK: i64 = 1_000;
/// The first schema with seals.
const SEALS_SINCE: i64 = 2;
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
    /// Deliveries whose body was dropped for its age, with what was read out of them.
    pub pruned: u64,
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
    /// The place of `head`, as it can be noted elsewhere and handed to `verify --noted`; empty without a delivery.
    pub fn end(&self) -> String {
        match self.last_seq {
            0 => String::new(),
            seq => format!("{seq}:{}", self.head),
        }
    }

    /// Adds what was found elsewhere.
    pub fn add(&mut self, damage: Option<Damage>) {
        if let Some(Damage { seq, what }) = damage {
            self.note(seq, what);
        }
    }

    /// Adds what another look at the same file found.
    fn join(&mut self, other: Self) {
        self.damaged += other.damaged;
        let room = NAMED_MAX - self.damage.len();
        self.damage.extend(other.damage.into_iter().take(room));
    }

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
    let conn = open_until(path, stop)?;
    let found = schema::check(&conn, path)?;
    let structure = open_until(path, stop)?;
    let mut verified = Verified::default();
    let structure = std::thread::scope(|scope| {
        let looking = std::thread::Builder::new()
            .name("structure".to_owned())
            .spawn_scoped(scope, move || {
                let mut verified = Verified::default();
                check_structure(&structure, &mut verified);
                verified
            });
        Walk::new(found).run(&conn, &mut verified, stop, progress);
        looking.map(|looking| looking.join().unwrap_or_else(|_| broken()))
    });
    let structure = structure.map_err(|source| Error::Io {
        path: path.to_owned(),
        cause: source,
    })?;
    if found >= SEALS_SINCE {
        check_seals(&conn, &mut verified);
    }
    if found >= reapply::SINCE {
        check_erasures(&conn, path, &mut verified);
        check_residue(&conn, &mut verified);
    }
    if found >= retention::SINCE {
        check_pruned(&conn, &mut verified);
    }
    if found == schema::SCHEMA_VERSION {
        check_schema(&conn, &mut verified);
    }
    check_ring(&conn, &mut verified);
    check_meta(&conn, &mut verified);
    verified.join(structure);
    // An interrupted statement looks like damage to whoever ran it.
    if stop.load(Ordering::Relaxed) {
        return Err(Error::Interrupted);
    }
    Ok(verified)
}

/// A connection whose statements end a moment after `stop` becomes true.
fn open_until(path: &Path, stop: &Arc<AtomicBool>) -> Result<Connection, Error> {
    let mut conn = connect(path, Mode::Read).map_err(|error| schema::judge(path, error))?;
    let stopped = Arc::clone(stop);
    conn.progress_handler(LOOK_EVERY, Some(move || stopped.load(Ordering::Relaxed)))?;
    Ok(conn)
}

/// What is found where the program itself failed.
fn broken() -> Verified {
    let mut verified = Verified::default();
    verified.note(
        None,
        "the program failed while looking at the file: please report this",
    );
    verified
}

/// How many deliveries there are to look at, as far as that can be read.
pub fn length(path: &Path) -> Option<u64> {
    if schema::look(path).ok()? != Found::Ledger {
        return None;
    }
    let conn = connect(path, Mode::Read).ok()?;
    let last: i64 = conn
        .query_row("select max(seq) from deliveries", [], |row| row.get(0))
        .ok()?;
    u64::try_from(last).ok()
}

/// Whether the delivery at `seq` still has the link `noted`, which was written down elsewhere; damage is what differs.
pub fn check_noted(path: &Path, seq: i64, noted: &str) -> Result<Option<Damage>, Error> {
    let conn = connect(path, Mode::Read).map_err(|error| schema::judge(path, error))?;
    let link = conn
        .prepare("select link from deliveries where seq = ?1")
        .and_then(|mut statement| statement.query_row([seq], |row| row.get::<_, Vec<u8>>(0)));
    let what = match link {
        Ok(link) if hex(&link) == noted => return Ok(None),
        Ok(_) => "is not the delivery that was noted: it or one before it was changed",
        Err(rusqlite::Error::QueryReturnedNoRows) => "is missing, and its link was noted",
        Err(error) => return Err(schema::judge(path, error.into())),
    };
    Ok(Some(Damage {
        seq: Some(seq),
        what: what.to_owned(),
    }))
}

/// Where the deliveries are looked at.
struct Walk {
    sql: String,
    /// Whether there are seals to compare with.
    has_seals: bool,
    /// The newest delivery that was looked at, or given up.
    seq: i64,
    /// Its link; empty: not known, so the next one cannot be checked against it.
    link: Vec<u8>,
    /// So many deliveries are given up if the next ones cannot be read either.
    stride: i64,
}

/// The columns before the sealed ones, but whether the body is meant to be gone, and the body.
const FIRST: &str = "d.seq, d.received_at, d.provider, d.account, d.hook, d.commitment, d.link, d.salt, d.body_bytes";
const GONE: &str = "d.erased_at is not null";
const GONE_OR_PRUNED: &str = "d.erased_at is not null
    or (d.body is null and exists (select 1 from pruned p where p.seq = d.seq))";
const FIRST_WIDTH: usize = 11;

impl Walk {
    fn new(found: i64) -> Self {
        let has_seals = found >= SEALS_SINCE;
        let (more, from) = if has_seals {
            let more = format!(", s.seal, {}", sealed("d"));
            (more, "deliveries d left join seals s on s.seq = d.seq")
        } else {
            (String::new(), "deliveries d")
        };
        let gone = if found >= retention::SINCE {
            GONE_OR_PRUNED
        } else {
            GONE
        };
        Self {
            sql: format!(
                "select {FIRST}, {gone}, d.body{more} from {from} where d.seq > ?1 order by d.seq limit {CHUNK}"
            ),
            has_seals,
            seq: 0,
            link: vec![0; 32],
            stride: 1,
        }
    }

    fn run(
        &mut self,
        conn: &Connection,
        verified: &mut Verified,
        stop: &AtomicBool,
        progress: &mut dyn FnMut(u64),
    ) {
        while !stop.load(Ordering::Relaxed) {
            let before = self.seq;
            match self.chunk(conn, verified) {
                Ok(0) => break,
                Ok(_) if self.seq > before => progress(verified.deliveries),
                Ok(_) => {
                    verified.note(Some(next(before)), "the sequence goes back");
                    break;
                }
                Err(error) => {
                    if self.seq > before {
                        self.stride = 1;
                    }
                    verified.note(Some(next(self.seq)), format!("cannot be read: {error}"));
                    if !self.step_over(conn) {
                        break;
                    }
                }
            }
        }
        verified.last_seq = verified.last_seq.max(self.seq);
        verified.head = hex(&self.link);
    }

    /// Gives up what cannot be read, twice as much each time, so that a damaged page does not take for ever. Whether
    /// there is anything behind it.
    fn step_over(&mut self, conn: &Connection) -> bool {
        let last = conn.query_row("select max(seq) from deliveries", [], |row| row.get(0));
        let over = self.seq.saturating_add(self.stride);
        self.stride = self.stride.saturating_mul(2);
        self.link = conn
            .query_row(
                "select link from deliveries where seq = ?1",
                [over],
                |row| row.get(0),
            )
            .unwrap_or_default();
        self.seq = over;
        last.is_ok_and(|last: i64| over < last)
    }

    fn chunk(&mut self, conn: &Connection, verified: &mut Verified) -> rusqlite::Result<usize> {
        let mut statement = conn.prepare_cached(&self.sql)?;
        let mut rows = statement.query([self.seq])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            self.look_at(row, verified)?;
            self.stride = 1;
            count += 1;
        }
        Ok(count)
    }

    fn look_at(&mut self, row: &Row<'_>, verified: &mut Verified) -> rusqlite::Result<()> {
        let seq: i64 = row.get(0)?;
        if seq <= self.seq {
            verified.note(Some(seq), "stands in the wrong place of the sequence");
            return Ok(());
        }
        if seq != next(self.seq) {
            let missing = format!("missing: {} is followed by {seq}", self.seq);
            verified.note(Some(next(self.seq)), missing);
        }
        let link = row.get_ref(6)?.as_blob().unwrap_or_default();
        self.look_at_link(row, seq, link, verified)?;
        look_at_body(row, seq, verified)?;
        if self.has_seals {
            look_at_seal(row, seq, verified)?;
        }
        verified.deliveries += 1;
        self.seq = seq;
        self.link = link.to_vec();
        Ok(())
    }

    fn look_at_link(
        &self,
        row: &Row<'_>,
        seq: i64,
        link: &[u8],
        verified: &mut Verified,
    ) -> rusqlite::Result<()> {
        if seq != next(self.seq) || self.link.is_empty() {
            return Ok(());
        }
        let texts = [
            row.get_ref(1)?,
            row.get_ref(2)?,
            row.get_ref(3)?,
            row.get_ref(4)?,
        ]
        .map(|value| value.as_str().unwrap_or_default());
        let commitment = row.get_ref(5)?.as_blob().unwrap_or_default();
        let place = [texts[1], texts[2], texts[3]];
        if link != link_of(&self.link, seq, texts[0], place, commitment) {
            verified.note(Some(seq), "its link does not follow from the one before it");
        }
        Ok(())
    }
}

const fn next(seq: i64) -> i64 {
    seq.saturating_add(1)
}

fn look_at_body(row: &Row<'_>, seq: i64, verified: &mut Verified) -> rusqlite::Result<()> {
    let commitment = row.get_ref(5)?.as_blob().unwrap_or_default();
    let salt = row.get_ref(7)?.as_blob_or_null().unwrap_or_default();
    let erased: bool = row.get(9)?;
    let stored = row.get_ref(10)?;
    match (body_bytes(stored), salt) {
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
            if Body(body).is_text() != matches!(stored, ValueRef::Text(_)) {
                verified.note(
                    Some(seq),
                    "its body is kept as text where it is none, or the reverse",
                );
            }
        }
        _ => verified.note(
            Some(seq),
            "its body or salt is gone, and it is not marked as erased",
        ),
    }
    Ok(())
}

fn look_at_seal(row: &Row<'_>, seq: i64, verified: &mut Verified) -> rusqlite::Result<()> {
    let seal: Option<i64> = row.get(FIRST_WIDTH)?;
    let mut values = Vec::with_capacity(seal::WIDTH);
    for place in 0..seal::WIDTH {
        values.push(row.get_ref(FIRST_WIDTH + 1 + place)?);
    }
    match seal {
        None => verified.note(
            Some(seq),
            "the checksum of what was noted beside its body is missing",
        ),
        Some(seal) if seal != seal_of(values.into_iter()) => {
            verified.note(
                Some(seq),
                "what was noted beside its body does not fit its checksum",
            );
        }
        Some(_) => {}
    }
    Ok(())
}

/// Seals of deliveries that are not there: the newest ones are missing.
fn check_seals(conn: &Connection, verified: &mut Verified) {
    let counted = conn.query_row(
        "select count(*), ifnull(max(seq), 0) from seals",
        [],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
    );
    match counted {
        Ok((_, last)) if last > verified.last_seq => {
            verified.note(
                Some(last),
                "is missing: the checksum that was noted when it arrived is there",
            );
        }
        Ok((seals, _)) if u64::try_from(seals).is_ok_and(|seals| seals > verified.deliveries) => {
            verified.note(None, "there are checksums of deliveries that are missing");
        }
        Ok(_) => {}
        Err(error) => verified.note(
            None,
            format!("the checksums of deliveries cannot be read: {error}"),
        ),
    }
}

/// Without its memory of erasures a ledger would take back who was erased.
fn check_erasures(conn: &Connection, path: &Path, verified: &mut Verified) {
    match erasures::damaged(conn) {
        Ok(0) => {}
        Ok(rows) => verified.note(
            None,
            format!("{rows} of the hashes by which erased readers are recognised were changed"),
        ),
        Err(error) => verified.note(
            None,
            format!("the hashes of erased readers cannot be read: {error}"),
        ),
    }
    match erasures::lacks_key(conn) {
        Ok(false) => {}
        Ok(true) => verified.note(
            None,
            "the key of the hashes is missing by which erased readers are recognised",
        ),
        Err(error) => verified.note(None, format!("the key of erasures cannot be read: {error}")),
    }
    match erasures::unknown(conn, path) {
        Ok(0) => {}
        Ok(lines) => verified.note(
            None,
            format!(
                "{lines} lines of {} are not in the ledger: the next start erases again what they name",
                erasures::file(path).display()
            ),
        ),
        Err(error) => verified.note(None, format!("what was erased cannot be read: {error}")),
    }
}

/// What is kept of deliveries without a body: of each that is not erased, and as it was noted.
fn check_pruned(conn: &Connection, verified: &mut Verified) {
    let looked = conn
        .prepare(
            "select p.seq, p.seal, p.reading, d.body is null and d.erased_at is null, d.outcome from pruned p
             left join deliveries d on d.seq = p.seq order by p.seq",
        )
        .and_then(|mut statement| {
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let seq: i64 = row.get(0)?;
                let reading: Option<Vec<u8>> = row.get(2)?;
                let is_whole = reading.as_deref().is_none_or(|packed| retention::kept(packed).is_some());
                if !is_whole || retention::seal(seq, reading.as_deref()) != row.get::<_, i64>(1)? {
                    verified.note(
                        Some(seq),
                        "what is kept of it is not what was read out of it",
                    );
                }
                if row.get::<_, Option<bool>>(3)? != Some(true) {
                    verified.note(Some(seq), "is noted as one whose body was dropped for its age, and is none");
                }
                if reading.is_none()
                    && row.get::<_, Option<String>>(4)?.as_deref() == Some("stored")
                {
                    verified.note(
                        Some(seq),
                        "has no body, and nothing is kept of what was read out of it",
                    );
                }
                verified.pruned += 1;
            }
            Ok(())
        });
    if let Err(error) = looked {
        verified.note(
            None,
            format!("what is kept of dropped bodies cannot be read: {error}"),
        );
    }
    verified.erased = verified.erased.saturating_sub(verified.pruned);
}

/// Of what is left of an event in several rows, only one is counted: the others say the same.
const CONTRADICTED: &str = "\
select r.seq from residue r
  cross join residue e on e.seq = r.seq and e.n = r.n and e.what = 'event' and e.place = 0
where r.what <> 'event' and (r.type <> e.type or r.provider <> e.provider or r.account <> e.account
  or r.readers <> 0 or (r.what = 'subscription' and r.day <> e.day))";

/// Deliveries of which something is left beside them, though no erasure under way has found them.
const LEFT_BESIDE: &str = "\
select distinct r.seq from residue r join deliveries d on d.seq = r.seq
where d.erased_at is null and r.why = 'erased' and r.seq not in (select seq from erasing)";

/// What no list shows of what is left of erased deliveries; all else differs in a list.
fn check_residue(conn: &Connection, verified: &mut Verified) {
    for (sql, what) in [
        (CONTRADICTED, "what is left of it contradicts itself"),
        (
            LEFT_BESIDE,
            "is whole, and yet something is left in its place",
        ),
    ] {
        let found = conn.prepare(sql).and_then(|mut statement| {
            let seqs = statement.query_map([], |row| row.get::<_, i64>(0))?;
            seqs.collect::<rusqlite::Result<Vec<_>>>()
        });
        match found {
            Ok(seqs) => seqs
                .into_iter()
                .for_each(|seq| verified.note(Some(seq), what)),
            Err(error) => {
                let what = format!("what is left of erased deliveries cannot be read: {error}");
                verified.note(None, what);
            }
        }
    }
}

/// Everything that this version makes is there as it makes it; more may be.
fn check_schema(conn: &Connection, verified: &mut Verified) {
    match Made::compare(conn) {
        Ok(made) => {
            for (kind, name) in made.missing() {
                let what = format!("schema: {kind} {name} is not what this version makes");
                verified.note(None, what);
            }
        }
        Err(error) => verified.note(None, format!("schema: {error}")),
    }
}

/// Bodies of requests that were turned away, which may yet be taken in, against their own sums.
fn check_ring(conn: &Connection, verified: &mut Verified) {
    let looked = conn
        .prepare(
            "select id, sha256, body from rejected where sha256 is not null and body is not null",
        )
        .and_then(|mut statement| {
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let id: i64 = row.get(0)?;
                let stated = row.get_ref(1)?.as_bytes().unwrap_or_default();
                let body = body_bytes(row.get_ref(2)?).unwrap_or_default();
                if hex(&Sha256::digest(body)).as_bytes() != stated {
                    verified.note(
                        None,
                        format!("turned away {id}: its body is not the one that came"),
                    );
                }
            }
            Ok(())
        });
    if let Err(error) = looked {
        verified.note(
            None,
            format!("what was turned away cannot be read: {error}"),
        );
    }
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
    match conn
        .prepare("pragma foreign_key_check")
        .and_then(|mut statement| {
            let tables = statement.query_map([], |row| row.get::<_, String>(0))?;
            tables.take(NAMED_MAX).collect::<rusqlite::Result<Vec<_>>>()
        }) {
        Ok(tables) => {
            for table in tables {
                let what = format!("a row of {table} points at one that is not there");
                verified.note(None, what);
            }
        }
        Err(error) => verified.note(None, format!("foreign keys: {error}")),
    }
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
