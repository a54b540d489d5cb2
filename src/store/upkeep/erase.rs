//! A reader erased because somebody asked: bodies, salts, headers, keys, events and what they add up to, requests that
//! were turned away, saved filters. The chain still verifies.
//!
//! The erasure is written down before anything is done, so that one which was begun is finished by the next start, and
//! it goes in bounded steps between deliveries: look through all deliveries, note what is left of each (`residue`),
//! erase them, then the ring and the notes, then the free pages and the write-ahead log. Who was sought stands in the
//! ledger until then, and after that only as HMACs (`erasures`).
//!
//! A delivery is erased whole if an event of it is about the reader, if it repeats one that is, or if it names the
//! reader and is about nobody else. One that names them and is about another reader stays, and is told of.

use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use crate::domain::delivery::KeyRule;
use crate::domain::time::Timestamp;
use crate::store::Error;
use crate::store::append::{key_hash, stored_at};
use crate::store::fold::Trouble;
use crate::store::project::residue::Why;
use crate::store::query::Reader;
use crate::store::query::who::{
    Match, Needles, Who, deliveries_of, matches, naming_deliveries, naming_rejected,
};
use crate::store::schema::{hex, meta};
use crate::store::task::{Progress, Step, Steps, TaskReport};
use crate::store::thread::Core;
use crate::store::today::alerts::ALERTS;
use crate::store::upkeep::erasures::{self, Line, Sealer, body_hash};
use crate::store::upkeep::tests::erase_some;

/// So many deliveries are noted or erased in one step.
const STEP: i64 = 16;
/// So many free pages are given back in one step.
const PAGES: u32 = 256;
/// Emptying the write-ahead log is tried so often, and again after so long.
const LOG_TRIES: u32 = 20;
const LOG_AGAIN: Duration = Duration::from_millis(250);
/// So many deliveries that name the reader and stay are named.
const OTHERS_MAX: usize = 20;

/// Who is sought, as it is written down until the erasure is finished.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sought {
    provider: Option<String>,
    account: Option<String>,
    text: String,
    /// Provider, account and id of everyone meant.
    readers: Vec<[String; 3]>,
    /// What their bodies are recognised by.
    words: BTreeSet<String>,
}

impl Sought {
    fn of(conn: &Connection, who: &Who, found: &[Match]) -> Result<Self, Error> {
        let mut words = BTreeSet::from([who.text.clone()]);
        for one in found {
            let own = [&one.email, &one.phone, &one.client_user_id];
            words.extend(own.into_iter().flatten().cloned());
            words.insert(one.user_id.clone());
            let mut more = conn.prepare_cached(
                "select alias from user_aliases where provider = ?1 and account = ?2 and user_id = ?3
                 union select email from events indexed by events_user
                   where provider = ?1 and account = ?2 and user_id = ?3 and email is not null
                 union select phone from events indexed by events_user
                   where provider = ?1 and account = ?2 and user_id = ?3 and phone is not null",
            )?;
            let more = more
                .query_map([&one.provider, &one.account, &one.user_id], |row| {
                    row.get::<_, String>(0)
                })?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            words.extend(more);
        }
        Ok(Self {
            provider: who.provider.clone(),
            account: who.account.clone(),
            text: who.text.clone(),
            readers: found
                .iter()
                .map(|one| {
                    [
                        one.provider.clone(),
                        one.account.clone(),
                        one.user_id.clone(),
                    ]
                })
                .collect(),
            words,
        })
    }

    fn needles(&self) -> Needles {
        Needles::of_texts(self.words.iter().map(String::as_str))
    }

    /// Hashes of what nothing may bring back: every id and alias in its account, and what was asked for.
    fn marks(&self, conn: &Connection, sealer: &Sealer, until: &str) -> Result<Vec<Line>, Error> {
        let mut hashes = BTreeSet::new();
        let who = Who {
            provider: self.provider.clone(),
            account: self.account.clone(),
            text: self.text.clone(),
        };
        hashes.insert(sealer.reader(asked_at(&who), &self.text));
        for [provider, account, user_id] in &self.readers {
            let place = Some((provider.as_str(), account.as_str()));
            hashes.insert(sealer.reader(place, user_id));
            let mut aliases = conn.prepare_cached(
                "select alias from user_aliases where provider = ?1 and account = ?2 and user_id = ?3",
            )?;
            let mut rows = aliases.query([provider, account, user_id])?;
            while let Some(row) = rows.next()? {
                hashes.insert(sealer.reader(place, &row.get::<_, String>(0)?));
            }
        }
        Ok(hashes
            .into_iter()
            .map(|hash| Line::Reader {
                hash: hex(&hash),
                until: until.to_owned(),
            })
            .collect())
    }

    /// Whether an event of delivery `seq` is about somebody else.
    fn is_about_others(&self, conn: &Connection, seq: i64) -> Result<bool, Error> {
        let mut statement = conn.prepare_cached(
            "select provider, account, user_id from events
             where id >= ?1 * 10000 and id < (?1 + 1) * 10000 and users_id is not null",
        )?;
        let people = statement
            .query_map([seq], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))?
            .collect::<rusqlite::Result<Vec<[String; 3]>>>()?;
        Ok(!people.is_empty() && people.iter().all(|person| !self.readers.contains(person)))
    }
}

/// Where what was asked for holds: everywhere, or at one provider, or in one account of it.
fn asked_at(who: &Who) -> erasures::Place<'_> {
    let provider = who.provider.as_deref()?;
    Some((provider, who.account.as_deref().unwrap_or_default()))
}

/// What an erasure takes, before it is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Everyone meant.
    pub readers: Vec<Match>,
    /// Deliveries and events of each, in the same order.
    pub counts: Vec<(i64, i64)>,
    /// Deliveries that are erased.
    pub deliveries: BTreeSet<i64>,
    /// Events that stay as a residue.
    pub events: i64,
    /// Requests that were turned away and name them.
    pub rejected: Vec<i64>,
    /// Saved filters that name them.
    pub views: Vec<String>,
    /// Deliveries that name them and are about others: they stay.
    pub others: Vec<i64>,
    /// Ids too short to be looked for in bodies.
    pub too_short: BTreeSet<String>,
}

impl Reach {
    /// There is nothing to erase.
    pub fn is_empty(&self) -> bool {
        self.readers.is_empty()
            && self.deliveries.is_empty()
            && self.rejected.is_empty()
            && self.views.is_empty()
    }
}

impl Reader {
    /// What erasing `who` would take; `told` hears how many deliveries were looked through.
    pub fn erasure(&self, who: &Who, told: &mut dyn FnMut(i64)) -> Result<Reach, Error> {
        self.with(|conn| reach(conn, who, told))
    }

    /// Up to when everything about `who` was erased, by the hash that is kept of what was asked for.
    pub fn erased_until(&self, who: &Who) -> Result<Option<String>, Error> {
        self.with(|conn| {
            let Some(sealer) = Sealer::load(conn)? else {
                return Ok(None);
            };
            let hash = sealer.reader(asked_at(who), &who.text);
            Ok(conn.query_row(
                "select max(until) from erased_readers where hash = ?1",
                [hash],
                |row| row.get(0),
            )?)
        })
    }
}

fn reach(conn: &Connection, who: &Who, told: &mut dyn FnMut(i64)) -> Result<Reach, Error> {
    let readers = matches(conn, who)?;
    let sought = Sought::of(conn, who, &readers)?;
    let needles = sought.needles();
    let mut reach = Reach::default();
    for one in &readers {
        let own = deliveries_of(conn, one)?;
        let events = conn.query_row(
            "select count(*) from events indexed by events_user where provider = ?1 and account = ?2 and user_id = ?3",
            [&one.provider, &one.account, &one.user_id],
            |row| row.get(0),
        )?;
        reach
            .counts
            .push((i64::try_from(own.len()).unwrap_or(i64::MAX), events));
        reach.deliveries.extend(own);
    }
    reach.readers = readers;
    let mut after = 0;
    while !needles.is_empty() {
        let named = naming_deliveries(conn, &needles, after)?;
        for seq in named.found {
            if reach.deliveries.contains(&seq) || is_erased(conn, seq)? {
                continue;
            }
            if sought.is_about_others(conn, seq)? {
                reach.others.push(seq);
            } else {
                reach.deliveries.insert(seq);
            }
        }
        let Some(to) = named.to else { break };
        after = to;
        told(after);
    }
    for seq in &reach.deliveries {
        let events: i64 = conn
            .prepare_cached("select count(*) from events where id >= ?1 * 10000 and id < (?1 + 1) * 10000 and test = 0")?
            .query_row([seq], |row| row.get(0))?;
        reach.events += events;
    }
    let mut after = 0;
    while !needles.is_empty() {
        let named = naming_rejected(conn, &needles, after)?;
        reach.rejected.extend(named.found);
        let Some(to) = named.to else { break };
        after = to;
    }
    reach.views = views(conn, &needles)?
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    reach.too_short = needles.too_short;
    Ok(reach)
}

fn is_erased(conn: &Connection, seq: i64) -> Result<bool, Error> {
    Ok(conn
        .prepare_cached("select 1 from deliveries where seq = ?1 and erased_at is not null")?
        .exists([seq])?)
}

/// Names and texts of the saved filters that name the reader.
fn views(conn: &Connection, needles: &Needles) -> Result<Vec<(String, String)>, Error> {
    let mut statement = conn.prepare_cached("select name, query from views")?;
    let all = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let all: Vec<(String, String)> = all.collect::<rusqlite::Result<_>>()?;
    let names = |text: &str| needles.are_in(text.as_bytes());
    Ok(all
        .into_iter()
        .filter(|(name, query)| names(name) || names(query))
        .collect())
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
    Pages,
    /// Tries so far.
    Log(u32),
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
}

/// Erases whoever `who` names; `keeps` says whether a residue stays.
pub(crate) fn steps(who: Who, keeps: bool) -> Steps {
    run(Some((who, keeps)))
}

/// Goes on with what an earlier process began; `None` if there is nothing.
pub(crate) fn resumed(conn: &Connection) -> Result<Option<Steps>, Error> {
    let pending = conn
        .prepare_cached("select 1 from erasures where finished_at is null")?
        .exists([])?;
    Ok(pending.then(|| {
        tracing::info!("an erasure that was begun goes on");
        let mut steps = run(None);
        let told: Steps = Box::new(move |core| {
            steps(core).inspect_err(|error| {
                tracing::error!("an erasure that was begun is not finished: {error}");
            })
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
            None => next(&core.conn)?,
            known => known,
        };
        let Some(mut erasure) = pending else {
            report.summary = summary(report.changed, rejected);
            return Ok(Step::Done(std::mem::take(&mut report)));
        };
        let mut pause = Duration::ZERO;
        match advance(core, &mut erasure)? {
            Advance::On => {}
            Advance::Wait => pause = LOG_AGAIN,
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
    let plural = |count: u64, one: &str, more: &str| {
        if count == 1 {
            format!("1 {one}")
        } else {
            format!("{count} {more}")
        }
    };
    format!(
        "{} and {} erased; the chain still verifies",
        plural(deliveries, "delivery", "deliveries"),
        plural(rejected, "rejected request", "rejected requests"),
    )
}

fn tell(report: &mut TaskReport, erasure: &Erasure) {
    if erasure.others_count > 0 {
        let named: Vec<_> = erasure.others.iter().map(ToString::to_string).collect();
        report.find(format!(
            "{} deliveries about other readers name this one and stay: {}",
            erasure.others_count,
            named.join(", ")
        ));
    }
    if matches!(erasure.stage, Stage::Log(LOG_TRIES)) {
        report.find(
            "another program is reading the database: erased bytes may stand in the log beside it (-wal) until that \
             program lets go and the receiver is idle or stopped",
        );
    }
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
    let path = core.path.clone();
    core.transact(|core| {
        let conn = &core.conn;
        let sealer = Sealer::obtain(conn)?;
        let mut lines = vec![Line::key(&sealer)];
        lines.extend(sought.marks(conn, &sealer, &now)?);
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
        erasures::add(&path, &lines)
    })
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

/// The oldest that is not finished.
fn next(conn: &Connection) -> Result<Option<Erasure>, Error> {
    let found: Option<(i64, i64, i64, bool, String)> = conn
        .prepare_cached(
            "select id, last_seq, looked_seq, keeps, ifnull(sought, '') from erasures
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
    Ok(found.map(|(id, last_seq, looked_seq, keeps, sought)| {
        let sought: Sought = serde_json::from_str(&sought).unwrap_or_default();
        Erasure {
            id,
            last_seq,
            keeps,
            needles: sought.needles(),
            sought,
            stage: Stage::Look(looked_seq),
            of: None,
            others: Vec::new(),
            others_count: 0,
        }
    }))
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
    Wait,
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
            if core.transact(|core| note(core, erasure.keeps))? == 0 {
                let of: i64 = core
                    .conn
                    .query_row("select count(*) from erasing", [], |row| row.get(0))?;
                erasure.of = u64::try_from(of).ok();
                erasure.stage = Stage::Reduce;
            }
        }
        Stage::Reduce => {
            if core.transact(|core| reduce(core, erasure.id))? == 0 {
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
            core.transact(|core| finish(core, erasure))?;
            erasure.stage = Stage::Pages;
        }
        Stage::Pages => {
            if !give_back(&core.conn)? {
                erasure.stage = Stage::Log(0);
            }
        }
        Stage::Log(LOG_TRIES) => return Ok(Advance::Finished),
        Stage::Log(tries) => {
            if core.empty_log() {
                return Ok(Advance::Finished);
            }
            erasure.stage = Stage::Log(tries + 1);
            return Ok(Advance::Wait);
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
        if !erasure.sought.is_about_others(conn, seq)? {
            find(conn, seq)?;
        } else if !is_erased(conn, seq)? {
            erasure.others_count += 1;
            if erasure.others.len() < OTHERS_MAX {
                erasure.others.push(seq);
            }
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
fn note(core: &mut Core, keeps: bool) -> Result<usize, Error> {
    let seqs = found(&core.conn, "noted = 0")?;
    if keeps {
        let conn = &core.conn;
        core.folder
            .guarded(conn, |projector| {
                projector.note_residue(conn, &seqs, Why::Erased)
            })
            .map_err(Trouble::into_error)?;
    }
    for seq in &seqs {
        core.conn
            .prepare_cached("update erasing set noted = 1 where seq = ?1")?
            .execute([seq])?;
    }
    Ok(seqs.len())
}

fn found(conn: &Connection, which: &str) -> Result<Vec<i64>, Error> {
    let mut statement = conn.prepare_cached(&format!(
        "select seq from erasing where {which} order by seq limit {STEP}"
    ))?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Erases a few deliveries.
fn reduce(core: &mut Core, id: i64) -> Result<usize, Error> {
    let seqs = found(&core.conn, "noted = 1")?;
    if seqs.is_empty() {
        return Ok(0);
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
    Ok(seqs.len())
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
    core.folder
        .guarded(conn, |projector| {
            seqs.iter()
                .try_for_each(|seq| projector.stand_in(conn, seq - 1, *seq))
        })
        .map_err(Trouble::into_error)?;
    for seq in seqs {
        let link: Vec<u8> = conn
            .prepare_cached("select link from deliveries where seq = ?1")?
            .query_row([seq], |row| row.get(0))?;
        lines.push(Line::Delivery {
            seq: *seq,
            link: hex(&link),
            residue: erasures::left_of(conn, *seq)?,
        });
    }
    erasures::add(&core.path, &lines)
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
        .map(|key| Line::Known {
            hash: hex(&sealer.key(&key_hash(&delivery, &key.key, key.rule))),
            seq: Some(seq),
        })
        .collect();
    if has_body {
        lines.push(Line::Known {
            hash: hex(&sealer.body(&body_hash(&delivery.body))),
            seq: None,
        });
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
        ids = named.found;
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
        let sha256: Option<String> = conn
            .prepare_cached("select sha256 from rejected where id = ?1")?
            .query_row([id], |row| row.get(0))
            .optional()?
            .flatten();
        lines.extend(sha256.map(|sha256| Line::Known {
            hash: hex(&sealer.body(&sha256)),
            seq: None,
        }));
        conn.prepare_cached("delete from rejected where id = ?1")?
            .execute([id])?;
    }
    lines.iter().try_for_each(|line| line.store(conn))?;
    conn.prepare_cached("update erasures set rejected = rejected + ?2 where id = ?1")?
        .execute(params![
            erasure.id,
            i64::try_from(ids.len()).unwrap_or(i64::MAX)
        ])?;
    if !lines.is_empty() {
        erasures::add(&core.path, &lines)?;
    }
    Ok(to)
}

/// Takes the reader out of what the publisher and the program wrote, and forgets who it was.
fn finish(core: &mut Core, erasure: &Erasure) -> Result<(), Error> {
    let now: Timestamp = core.now();
    let conn = &core.conn;
    let sealer = Sealer::obtain(conn)?;
    let mut lines = Vec::new();
    for (name, query) in views(conn, &erasure.needles)? {
        conn.prepare_cached("delete from views where name = ?1")?
            .execute([name])?;
        lines.push(Line::Known {
            hash: hex(&sealer.view(&query)),
            seq: None,
        });
    }
    let alerts = meta(conn, ALERTS)?;
    if alerts.is_some_and(|text| erasure.needles.are_in(text.as_bytes())) {
        conn.prepare_cached("delete from meta where key = ?1")?
            .execute([ALERTS])?;
    }
    lines.iter().try_for_each(|line| line.store(conn))?;
    conn.prepare_cached("update erasures set finished_at = ?2, sought = null where id = ?1")?
        .execute(params![erasure.id, now.to_string()])?;
    if lines.is_empty() {
        return Ok(());
    }
    erasures::add(&core.path, &lines)
}

/// Gives some free pages back to the disk; whether there are more.
pub(crate) fn give_back(conn: &Connection) -> Result<bool, Error> {
    let free = || conn.query_row("pragma freelist_count", [], |row| row.get::<_, u32>(0));
    let before = free()?;
    if before == 0 {
        return Ok(false);
    }
    conn.execute_batch(&format!("pragma incremental_vacuum({PAGES})"))?;
    let after = free()?;
    Ok(after > 0 && after < before)
}
