//! A reader erased because somebody asked: bodies, salts, headers, keys, events and what they add up to, requests that
//! were turned away, saved filters. The chain still verifies.
//!
//! The erasure is written down before anything is done, so that one which was begun is finished by the next start, and
//! it goes in bounded steps between deliveries: look through all deliveries, note what is left of each (`residue`),
//! erase them, then the ring and the notes, then what the disk still holds (`overwrite`). Who was sought stands in the
//! ledger until then, and after that only as HMACs (`erasures`).

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::domain::count::{in_words, word};
use crate::domain::delivery::KeyRule;
use crate::domain::time::Timestamp;
use crate::store::Error;
use crate::store::append::{body_bytes, key_hash, stored_at};
use crate::store::fold::Trouble;
use crate::store::query::who::{
    Match, Needles, Who, deliveries_of, matches, naming_deliveries, naming_rejected,
};
use crate::store::schema::meta;
use crate::store::task::{Progress, Step, Steps, TaskReport};
use crate::store::thread::Core;
use crate::store::today::alerts::ALERTS;
use crate::store::upkeep::erasures::{self, Line, Sealer, body_hash};
use crate::store::upkeep::notes::forget_view;
use crate::store::upkeep::overwrite::{self, Cleaning, Next};
use crate::store::upkeep::reach::{Sought, Stays, is_erased, rejected_at, views};
use crate::store::upkeep::tests::erase_some;
use crate::store::upkeep::{Reason, guard};

/// So many deliveries are noted or erased in one step.
const STEP: i64 = 16;
/// So many deliveries that name the reader and stay are named.
const OTHERS_MAX: usize = 20;

/// Whether an erasure was begun that is not finished.
pub(crate) fn is_pending(conn: &Connection) -> Result<bool, Error> {
    Ok(conn
        .prepare_cached("select 1 from erasures where finished_at is null")?
        .exists([])?)
}

/// What is done next.
enum Stage {
    /// The deliveries after this one are looked through.
    Look(i64),
    Note,
    Reduce,
    /// The requests that were turned away after this one.
    Ring(i64),
    Notes,
    /// What the disk still holds is overwritten.
    Disk,
    /// All that is left is to say so.
    End,
}

/// An erasure under way.
struct Erasure {
    id: i64,
    last_seq: i64,
    keeps: bool,
    sought: Sought,
    needles: Needles,
    stage: Stage,
    of: Option<u64>,
    others: Vec<i64>,
    others_count: u64,
    cleaning: Cleaning,
}

/// Erases whoever `who` names; `keeps` says whether a residue stays.
pub(crate) fn steps(who: Who, keeps: bool) -> Steps {
    run(Some((who, keeps)))
}

/// Goes on with what an earlier process began; `None` if there is nothing.
pub(crate) fn resumed(conn: &Connection) -> Result<Option<Steps>, Error> {
    Ok(is_pending(conn)?.then(|| {
        tracing::info!("an erasure that was begun goes on");
        let mut steps = run(None);
        let told: Steps = Box::new(move |core| {
            let done = steps(core);
            match &done {
                Ok(Step::Done(report)) => {
                    tracing::info!("it is finished: {}", report.summary);
                    report
                        .findings
                        .iter()
                        .for_each(|one| tracing::warn!("{one}"));
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::error!("an erasure that was begun is not finished: {error}");
                }
            }
            done
        });
        told
    }))
}

fn run(request: Option<(Who, bool)>) -> Steps {
    let mut request = request;
    let mut under_way: Option<Erasure> = None;
    let mut report = TaskReport::default();
    let mut rejected = 0;
    Box::new(move |core| {
        // A reader's deliveries are found by their events.
        let last = under_way.as_ref().map_or(core.head.seq, |one| one.last_seq);
        if core.folder.behind(last) && core.catch_up(256, &|| false)? > 0 {
            return Ok(Step::More(Progress::default()));
        }
        if let Some((who, keeps)) = request.take() {
            begin(core, &who, keeps)?;
        }
        let pending = match under_way.take() {
            None => next(&core.conn, &core.path)?,
            known => known,
        };
        let Some(mut erasure) = pending else {
            report.summary = summary(report.changed, rejected);
            return Ok(Step::Done(std::mem::take(&mut report)));
        };
        let mut pause = Duration::ZERO;
        match advance(core, &mut erasure)? {
            Advance::On => {}
            Advance::Wait(again) => pause = again,
            Advance::Finished => {
                let (deliveries, requests) = counts(&core.conn, erasure.id)?;
                report.changed += deliveries;
                rejected += requests;
                tell(&mut report, &erasure);
                return Ok(Step::More(Progress::default()));
            }
        }
        let progress = progress(&core.conn, &erasure)?;
        under_way = Some(erasure);
        Ok(if pause.is_zero() {
            Step::More(progress)
        } else {
            Step::Wait(progress, pause)
        })
    })
}

fn summary(deliveries: u64, rejected: u64) -> String {
    format!(
        "{} and {} erased; the chain still verifies",
        in_words(deliveries, "delivery", "deliveries"),
        in_words(rejected, "rejected request", "rejected requests"),
    )
}

fn tell(report: &mut TaskReport, erasure: &Erasure) {
    if erasure.others_count > 0 {
        let named: Vec<_> = erasure.others.iter().map(ToString::to_string).collect();
        report.find(format!(
            "{} and {}: {}",
            in_words(
                erasure.others_count,
                "delivery about another reader names this one",
                "deliveries about other readers name this one"
            ),
            word(erasure.others_count, "stays", "stay"),
            named.join(", ")
        ));
    }
    erasure.cleaning.tell(report);
}

fn progress(conn: &Connection, erasure: &Erasure) -> Result<Progress, Error> {
    let number = |number: i64| u64::try_from(number).unwrap_or(0);
    Ok(match erasure.stage {
        Stage::Look(after) => Progress {
            done: number(after),
            of: Some(number(erasure.last_seq)),
        },
        Stage::Reduce => {
            let left: i64 = conn
                .prepare_cached("select count(*) from erasing")?
                .query_row([], |row| row.get(0))?;
            Progress {
                done: erasure.of.unwrap_or(0).saturating_sub(number(left)),
                of: erasure.of,
            }
        }
        _ => Progress::default(),
    })
}

/// Writes down that this is to be done.
fn begin(core: &mut Core, who: &Who, keeps: bool) -> Result<(), Error> {
    let now = core.now().to_string();
    let found = matches(&core.conn, who)?;
    let sought = Sought::of(&core.conn, who, &found)?;
    core.transact(|core| {
        let conn = &core.conn;
        let sealer = Sealer::obtain(conn)?;
        let mut lines = Line::keys(&sealer);
        lines.extend(sought.marks(conn, &sealer, &until(conn, &found, &now)?)?);
        lines.iter().try_for_each(|line| line.store(conn))?;
        let text = serde_json::to_string(&sought).expect("plain values are always JSON");
        conn.execute(
            "insert into erasures (begun_at, last_seq, looked_seq, keeps, sought) values (?1, ?2, 0, ?3, ?4)",
            params![now, core.head.seq, keeps, text],
        )?;
        for one in &found {
            for seq in deliveries_of(conn, one)? {
                find(conn, seq)?;
            }
        }
        Ok(())
    })?;
    erasures::mirror(&core.conn, &core.path)
}

/// Up to when everything about them is erased: now, or later if the clock was ahead when one of them arrived.
fn until(conn: &Connection, found: &[Match], now: &str) -> Result<String, Error> {
    let mut until = now.to_owned();
    for one in found {
        for seq in deliveries_of(conn, one)? {
            let at: String = conn
                .prepare_cached("select received_at from deliveries where seq = ?1")?
                .query_row([seq], |row| row.get(0))?;
            until = until.max(at);
        }
    }
    Ok(until)
}

/// Notes that `seq` is to be erased; whether that is news.
fn find(conn: &Connection, seq: i64) -> Result<bool, Error> {
    let rows = conn
        .prepare_cached(
            "insert into erasing (seq) select seq from deliveries where seq = ?1 and erased_at is null
             on conflict (seq) do nothing",
        )?
        .execute([seq])?;
    Ok(rows > 0)
}

/// The oldest that is not finished; one of which nobody can tell any more whom it meant is damage, and not done.
fn next(conn: &Connection, path: &Path) -> Result<Option<Erasure>, Error> {
    let found: Option<(i64, i64, i64, bool, Option<String>)> = conn
        .prepare_cached(
            "select id, last_seq, looked_seq, keeps, sought from erasures
             where finished_at is null order by id limit 1",
        )?
        .query_row([], |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
            ))
        })
        .optional()?;
    let Some((id, last_seq, looked_seq, keeps, sought)) = found else {
        return Ok(None);
    };
    // Who it was is forgotten once everything is done but for what the disk still holds.
    let (stage, sought) = match sought {
        Some(text) => (Stage::Look(looked_seq), read_sought(&text, id, path)?),
        None => (Stage::Disk, Sought::default()),
    };
    Ok(Some(Erasure {
        id,
        last_seq,
        keeps,
        needles: sought.needles(),
        sought,
        stage,
        of: None,
        others: Vec::new(),
        others_count: 0,
        cleaning: Cleaning::new(),
    }))
}

/// What `serde_json` says of it may hold the reader's data.
fn read_sought(text: &str, id: i64, path: &Path) -> Result<Sought, Error> {
    serde_json::from_str(text).map_err(|_| Error::Damaged {
        path: path.to_owned(),
        what: format!("whom erasure {id} is about cannot be read"),
    })
}

fn counts(conn: &Connection, id: i64) -> Result<(u64, u64), Error> {
    let (deliveries, rejected): (i64, i64) = conn.query_row(
        "select deliveries, rejected from erasures where id = ?1",
        [id],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok((
        u64::try_from(deliveries).unwrap_or(0),
        u64::try_from(rejected).unwrap_or(0),
    ))
}

enum Advance {
    On,
    Wait(Duration),
    Finished,
}

fn advance(core: &mut Core, erasure: &mut Erasure) -> Result<Advance, Error> {
    match erasure.stage {
        Stage::Look(after) if after >= erasure.last_seq || erasure.needles.is_empty() => {
            core.transact(|core| find_repeats(&core.conn))?;
            erasure.stage = Stage::Note;
        }
        Stage::Look(after) => {
            let looked = core.transact(|core| look(&core.conn, erasure, after))?;
            erasure.stage = Stage::Look(looked);
        }
        Stage::Note => {
            if core.transact(|core| note(core, erasure))? == 0 {
                let of: i64 = core
                    .conn
                    .query_row("select count(*) from erasing", [], |row| row.get(0))?;
                erasure.of = u64::try_from(of).ok();
                erasure.stage = Stage::Reduce;
            }
        }
        Stage::Reduce => {
            let seqs = core.transact(|core| reduce(core, erasure.id))?;
            overwrite::pack(core, &seqs)?;
            if seqs.is_empty() {
                erasure.stage = Stage::Ring(0);
            }
        }
        Stage::Ring(after) => {
            erasure.stage = match core.transact(|core| clear_ring(core, erasure, after))? {
                Some(to) => Stage::Ring(to),
                None => Stage::Notes,
            };
            core.reload_ring()?;
        }
        Stage::Notes => {
            core.transact(|core| forget(core, erasure))?;
            erasures::mirror(&core.conn, &core.path)?;
            erasure.stage = Stage::Disk;
        }
        Stage::Disk => match erasure.cleaning.advance(core)? {
            Next::On(_) => {}
            Next::Wait(again) => return Ok(Advance::Wait(again)),
            Next::Through => erasure.stage = Stage::End,
        },
        Stage::End => {
            core.transact(|core| finish(core, erasure.id))?;
            return Ok(Advance::Finished);
        }
    }
    Ok(Advance::On)
}

/// Looks through some deliveries after `after`; the last one.
fn look(conn: &Connection, erasure: &mut Erasure, after: i64) -> Result<i64, Error> {
    let named = naming_deliveries(conn, &erasure.needles, after)?;
    for seq in named.found {
        if seq > erasure.last_seq {
            break;
        }
        match erasure.sought.stays(conn, seq)? {
            None => {
                find(conn, seq)?;
            }
            Some(Stays::AboutOthers) if !is_erased(conn, seq)? => {
                erasure.others_count += 1;
                if erasure.others.len() < OTHERS_MAX {
                    erasure.others.push(seq);
                }
            }
            Some(_) => {}
        }
    }
    let to = named.to.unwrap_or(erasure.last_seq);
    conn.prepare_cached("update erasures set looked_seq = ?2 where id = ?1")?
        .execute(params![erasure.id, to])?;
    Ok(to)
}

/// What repeats a delivery that goes goes too.
fn find_repeats(conn: &Connection) -> Result<(), Error> {
    conn.execute(
        "insert into erasing (seq) select seq from deliveries indexed by deliveries_odd
         where outcome <> 'stored' and outcome = 'duplicate' and erased_at is null
           and (duplicate_of in (select seq from erasing)
             or duplicate_of in (select seq from deliveries f where f.seq = duplicate_of and f.erased_at is not null))
         on conflict (seq) do nothing",
        [],
    )?;
    Ok(())
}

/// Writes down what will be left of a few deliveries, before any of them goes: what one adds up to with another is
/// known only as long as both are there.
fn note(core: &mut Core, erasure: &Erasure) -> Result<usize, Error> {
    let seqs = found(&core.conn, "noted = 0")?;
    if erasure.keeps {
        let conn = &core.conn;
        core.folder
            .guarded(conn, |projector| projector.note_residue(conn, &seqs))
            .map_err(Trouble::into_error)?;
    }
    for seq in &seqs {
        scrub(&core.conn, &erasure.needles, *seq)?;
        core.conn
            .prepare_cached("update erasing set noted = 1 where seq = ?1")?
            .execute([seq])?;
    }
    Ok(seqs.len())
}

/// Takes out of what will be left whatever names the reader: a provider may write anything anywhere.
fn scrub(conn: &Connection, needles: &Needles, seq: i64) -> Result<(), Error> {
    for column in ["plan", "purpose", "reason", "code"] {
        let texts: Vec<String> = conn
            .prepare_cached(&format!(
                "select distinct {column} from residue where seq = ?1 and {column} is not null"
            ))?
            .query_map([seq], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for text in texts.iter().filter(|text| needles.are_in(text.as_bytes())) {
            let instead = (column == "purpose").then_some("erased");
            conn.prepare_cached(&format!(
                "update residue set {column} = ?3 where seq = ?1 and {column} = ?2"
            ))?
            .execute(params![seq, text, instead])?;
        }
    }
    let kind: String = conn
        .prepare_cached("select provider_type from deliveries where seq = ?1")?
        .query_row([seq], |row| row.get(0))?;
    if needles.are_in(kind.as_bytes()) {
        guard(conn, Reason::Erasure, || {
            conn.prepare_cached("update deliveries set provider_type = '' where seq = ?1")?
                .execute([seq])?;
            Ok(())
        })?;
    }
    Ok(())
}

fn found(conn: &Connection, which: &str) -> Result<Vec<i64>, Error> {
    let mut statement = conn.prepare_cached(&format!(
        "select seq from erasing where {which} order by seq limit {STEP}"
    ))?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Erases a few deliveries; which.
fn reduce(core: &mut Core, id: i64) -> Result<Vec<i64>, Error> {
    let seqs = found(&core.conn, "noted = 1")?;
    if seqs.is_empty() {
        return Ok(seqs);
    }
    erase(core, &seqs)?;
    core.conn
        .prepare_cached("update erasures set deliveries = deliveries + ?2 where id = ?1")?
        .execute(params![id, i64::try_from(seqs.len()).unwrap_or(i64::MAX)])?;
    for seq in &seqs {
        core.conn
            .prepare_cached("delete from erasing where seq = ?1")?
            .execute([seq])?;
    }
    Ok(seqs)
}

/// Erases these deliveries, puts their residue in their place if one is written down, and remembers what they were
/// recognised by; inside the caller's transaction.
pub(crate) fn erase(core: &mut Core, seqs: &[i64]) -> Result<(), Error> {
    let sealer = Sealer::obtain(&core.conn)?;
    let mut lines = Vec::new();
    for seq in seqs {
        lines.extend(recognised_by(core, &sealer, *seq)?);
    }
    lines.iter().try_for_each(|line| line.store(&core.conn))?;
    erase_some(core, seqs)?;
    let conn = &core.conn;
    guard(conn, Reason::Erasure, || {
        for seq in seqs {
            // Why something was not understood may quote it.
            conn.prepare_cached(
                "update deliveries set reason = null where seq = ?1 and outcome = 'quarantined'",
            )?
            .execute([seq])?;
        }
        Ok(())
    })?;
    core.folder
        .guarded(conn, |projector| {
            seqs.iter()
                .try_for_each(|seq| projector.stand_in(conn, seq - 1, *seq))
        })
        .map_err(Trouble::into_error)?;
    Ok(())
}

fn recognised_by(core: &Core, sealer: &Sealer, seq: i64) -> Result<Vec<Line>, Error> {
    let Some(stored) = stored_at(&core.conn, seq)? else {
        return Ok(Vec::new());
    };
    let has_body = stored.delivery.is_some();
    let read = match stored.delivery {
        Some(delivery) => {
            let reading = core.folder.read(&delivery);
            Some((delivery, reading))
        }
        None => stored.pruned,
    };
    let Some((delivery, reading)) = read else {
        return Ok(Vec::new());
    };
    let sure = reading
        .keys
        .iter()
        .filter(|key| matches!(key.rule, KeyRule::Id | KeyRule::Natural));
    let mut lines: Vec<Line> = sure
        .map(|key| {
            let hash = key_hash(&delivery, &key.key, key.rule);
            Line::known(&sealer.key(&hash), Some(seq))
        })
        .collect();
    if has_body {
        lines.push(Line::known(&sealer.body(&body_hash(&delivery.body)), None));
    }
    Ok(lines)
}

/// Drops some of the requests that were turned away after `after` and name the reader, or became a delivery that is
/// erased; where it stopped, `None` at the end.
fn clear_ring(core: &mut Core, erasure: &Erasure, after: i64) -> Result<Option<i64>, Error> {
    let conn = &core.conn;
    let mut ids = Vec::new();
    let mut to = None;
    if !erasure.needles.is_empty() {
        let named = naming_rejected(conn, &erasure.needles, after)?;
        for id in named.found {
            if erasure.sought.is_at(&rejected_at(conn, id)?) {
                ids.push(id);
            }
        }
        to = named.to;
    }
    if to.is_none() {
        let mut statement = conn.prepare_cached(
            "select r.id from rejected r join deliveries d on d.seq = r.admitted_seq where d.erased_at is not null",
        )?;
        let rows = statement.query_map([], |row| row.get::<_, i64>(0))?;
        ids.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    let ids: BTreeSet<i64> = ids.into_iter().collect();
    let sealer = Sealer::obtain(conn)?;
    let mut lines = Vec::new();
    for id in &ids {
        lines.extend(
            hash_of_request(conn, &erasure.needles, *id)?
                .map(|sha256| Line::known(&sealer.body(&sha256), None)),
        );
        conn.prepare_cached("delete from rejected where id = ?1")?
            .execute([id])?;
    }
    lines.iter().try_for_each(|line| line.store(conn))?;
    conn.prepare_cached("update erasures set rejected = rejected + ?2 where id = ?1")?
        .execute(params![
            erasure.id,
            i64::try_from(ids.len()).unwrap_or(i64::MAX)
        ])?;
    Ok(to)
}

/// The hash of what came with request `id`, where that names the reader or was taken in. Anybody may send a body that
/// many deliveries share under a path that names the reader: that body is not theirs, and comes back.
fn hash_of_request(conn: &Connection, needles: &Needles, id: i64) -> Result<Option<String>, Error> {
    let mut statement = conn.prepare_cached(
        "select sha256, admitted_seq is not null, body from rejected where id = ?1",
    )?;
    let mut rows = statement.query([id])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let theirs =
        row.get(1)? || body_bytes(row.get_ref(2)?).is_some_and(|body| needles.are_in(body));
    Ok(if theirs { row.get(0)? } else { None })
}

fn finish(core: &mut Core, id: i64) -> Result<(), Error> {
    let now: Timestamp = core.now();
    core.conn
        .prepare_cached("update erasures set finished_at = ?2 where id = ?1")?
        .execute(params![id, now.to_string()])?;
    Ok(())
}

/// Takes the reader out of what the publisher and the program wrote, and forgets who it was.
fn forget(core: &mut Core, erasure: &Erasure) -> Result<(), Error> {
    overwrite::note(core)?;
    let conn = &core.conn;
    let sealer = Sealer::obtain(conn)?;
    let mut lines = Vec::new();
    for (name, query) in views(conn, &erasure.needles)? {
        conn.prepare_cached("delete from views where name = ?1")?
            .execute([&name])?;
        forget_view(conn, &name)?;
        lines.push(Line::known(&sealer.view(&query), None));
    }
    let alerts = meta(conn, ALERTS)?;
    if alerts.is_some_and(|text| erasure.needles.are_in(text.as_bytes())) {
        conn.prepare_cached("delete from meta where key = ?1")?
            .execute([ALERTS])?;
    }
    lines.iter().try_for_each(|line| line.store(conn))?;
    conn.prepare_cached("update erasures set sought = null where id = ?1")?
        .execute([erasure.id])?;
    Ok(())
}
