//! Folding everything again, for real or only to compare.
//!
//! A snapshot of the ledger is folded into a file beside it, on a thread of its own, and every projection is compared row
//! by row, while the receiver goes on. For real, the rows that differ are then exchanged in one transaction and
//! everything is compared once more, until nothing differs: whoever looks sees the old rows or the new ones, and
//! whatever ends it halfway leaves the old. Where so much differs that one transaction would hold up answers, or where the zone
//! of days is another, the projections are emptied and folded again in place, bit by bit: the position is set to zero
//! and a note says so, and what follows, a crash or not, is the ordinary folding behind.

use std::cmp::Ordering;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering as Atomic};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator as _;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Row, Rows, Statement};

use crate::domain::count::in_words;
use crate::domain::time::{Timestamp, Zone};
use crate::store::fold;
use crate::store::schema::set_meta;
use crate::store::task::{Progress, Step, Steps, TaskReport};
use crate::store::thread::Core;
use crate::store::upkeep::again::{Again, Origin};
use crate::store::upkeep::look::{self, Terms, Threads};
use crate::store::{Error, Mode, connect};

/// So many deliveries per step.
const STEP: i64 = 256;
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// So many rows are exchanged in one transaction at most; answers wait that long.
const EXCHANGE_MAX: usize = 10_000;
/// So often is compared again what arrivals may have built on a wrong row.
const PASSES_MAX: u32 = 5;
/// So many rows are compared before it is looked whether to stop.
const LOOK_EVERY: u64 = 4_096;

/// Everything that is not folded out of deliveries.
const KEPT: &[&str] = &[
    "deliveries",
    "seals",
    "pruned",
    "upkeep",
    "delivery_keys",
    "unconfirmed",
    "rejected",
    "rejected_lost",
    "checks",
    "reviews",
    "views",
    "upgrades",
    "erasures",
    "erasing",
    "residue",
    "erased_readers",
    "erased_keys",
    "meta",
];

/// Has the projections emptied and everything folded again from the first delivery, bit by bit.
pub(crate) fn start_over(core: &mut Core) -> Result<(), Error> {
    let zone = core.folder.zone();
    core.transact(|core| {
        fold::start_over(&core.conn)?;
        set_meta(&core.conn, "zone", zone.name())
    })?;
    core.folder.reload(&core.conn)
}

/// Folds everything again, in place if days are to be counted in another `zone`.
pub(crate) fn rebuild(zone: Option<Zone>) -> Steps {
    if zone.is_some() {
        return in_place(zone);
    }
    let mut stage = Stage::Begin(None);
    let mut put_right = 0;
    let mut passes = 0;
    Box::new(move |core| {
        let (next, step) = match std::mem::replace(&mut stage, Stage::Begin(None)) {
            Stage::Begin(again) => begin(core, again)?,
            Stage::Compare(under_way) => match under_way.look()? {
                Looked::Still(under_way, done) => {
                    (Stage::Compare(under_way), Step::Wait(done, LOOK_AGAIN))
                }
                Looked::Ended(compared) if compared.found.is_none() => {
                    let summary = summary(core.folder.seq, put_right);
                    return Ok(Step::Done(TaskReport::of(summary, put_right)));
                }
                // What cannot be folded at all is set aside by the ordinary folding.
                Looked::Ended(compared) => {
                    let Compared { found, again } = *compared;
                    let few = !found.are_too_many() && passes < PASSES_MAX;
                    let next = match again.filter(|_| few) {
                        Some(again) => Stage::Exchange(found, again),
                        None => Stage::InPlace(in_place(None)),
                    };
                    (next, Step::More(Progress::default()))
                }
            },
            Stage::Exchange(found, mut again) => {
                let next = if follow(core, &mut again)? {
                    Stage::Exchange(found, again)
                } else {
                    put_right += exchange(core, &found, &again)?;
                    passes += 1;
                    Stage::Begin(Some(again))
                };
                (next, Step::More(Progress::default()))
            }
            Stage::InPlace(mut steps) => {
                let step = steps(core)?;
                (Stage::InPlace(steps), step)
            }
        };
        stage = next;
        Ok(step)
    })
}

enum Stage {
    /// To be compared, with what was folded again so far.
    Begin(Option<Box<Again>>),
    Compare(Comparing),
    Exchange(Differences, Box<Again>),
    InPlace(Steps),
}

/// Brings the ledger to one moment and has it compared.
fn begin(core: &mut Core, again: Option<Box<Again>>) -> Result<(Stage, Step), Error> {
    if core.behind() && core.catch_up(STEP, &|| false)? > 0 {
        let done = progress(core.folder.seq, core.head.seq);
        return Ok((Stage::Begin(again), Step::More(done)));
    }
    let now = core.now();
    // What only the clock changes is brought to the same instant on both sides.
    if core.transact(|core| core.tick_rows(now))? > 0 {
        return Ok((Stage::Begin(again), Step::More(Progress::default())));
    }
    let comparing = Comparing::start(core, now, again)?;
    Ok((
        Stage::Compare(comparing),
        Step::Wait(Progress::default(), LOOK_AGAIN),
    ))
}

/// Brings what was folded again to where the ledger stands by now, a few deliveries at a time; whether there is more.
fn follow(core: &mut Core, again: &mut Again) -> Result<bool, Error> {
    if core.behind() {
        return Ok(core.catch_up(STEP, &|| false)? > 0);
    }
    if again.seq() < core.folder.seq {
        again.follow(&core.conn, core.now())?;
        return Ok(true);
    }
    let now = core.now();
    if core.transact(|core| core.tick_rows(now))? > 0 {
        return Ok(true);
    }
    again.tick(now)?;
    Ok(false)
}

/// Puts the rows that were folded again in the place of those that differ, in one transaction; how many.
fn exchange(core: &mut Core, found: &Differences, again: &Again) -> Result<u64, Error> {
    let rows = core.transact(|core| {
        for one in &found.rows {
            take_out(&core.conn, one)?;
        }
        for one in &found.rows {
            put_in(&core.conn, &again.conn, one)?;
        }
        Ok(found.rows.len())
    })?;
    core.folder.forget();
    Ok(rows as u64)
}

fn take_out(conn: &Connection, one: &Differing) -> Result<(), Error> {
    let sql = format!("delete from \"{}\" where {}", one.table, one.condition());
    conn.prepare_cached(&sql)?
        .execute(rusqlite::params_from_iter(&one.key))?;
    Ok(())
}

fn put_in(conn: &Connection, again: &Connection, one: &Differing) -> Result<(), Error> {
    let (columns, _) = shape(again, &one.table)?;
    let names: Vec<_> = columns.iter().map(|name| format!("\"{name}\"")).collect();
    let names = names.join(", ");
    let sql = format!(
        "select {names} from \"{}\" where {}",
        one.table,
        one.condition()
    );
    let mut statement = again.prepare_cached(&sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(&one.key))?;
    while let Some(row) = rows.next()? {
        let values = (0..columns.len())
            .map(|place| row.get::<_, Value>(place))
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let marks = vec!["?"; columns.len()].join(", ");
        conn.prepare_cached(&format!(
            "insert into \"{}\" ({names}) values ({marks})",
            one.table
        ))?
        .execute(rusqlite::params_from_iter(values))?;
    }
    Ok(())
}

fn summary(folded: i64, put_right: u64) -> String {
    let folded = in_words(folded, "delivery", "deliveries");
    match put_right {
        0 => format!("{folded} folded again: nothing differed"),
        rows => format!(
            "{folded} folded again: {} put right",
            in_words(rows, "row", "rows")
        ),
    }
}

/// Empties the projections and folds everything again where it stands.
fn in_place(mut zone: Option<Zone>) -> Steps {
    let mut end = None;
    Box::new(move |core| {
        // What an earlier version did not understand is known only as long as its lists are there.
        if core.folder.is_rereading() && core.catch_up(STEP, &|| false)? > 0 {
            return Ok(Step::More(Progress::default()));
        }
        let Some(end) = end else {
            let before = core.folder.zone();
            if let Some(zone) = zone.take() {
                core.folder.set_zone(zone);
            }
            if let Err(error) = start_over(core) {
                core.folder.set_zone(before);
                return Err(error);
            }
            end = Some(core.head.seq);
            return Ok(Step::More(Progress::default()));
        };
        if core.folder.behind(end) && core.catch_up(STEP, &|| false)? > 0 {
            return Ok(Step::More(progress(core.folder.seq, end)));
        }
        let count = u64::try_from(end).unwrap_or(0);
        let summary = format!("{} folded again", in_words(count, "delivery", "deliveries"));
        Ok(Step::Done(TaskReport::of(summary, count)))
    })
}

fn progress(done: i64, of: i64) -> Progress {
    Progress {
        done: u64::try_from(done).unwrap_or(0),
        of: u64::try_from(of).ok(),
    }
}

pub(crate) fn check() -> Steps {
    let mut stage = Stage::Begin(None);
    Box::new(move |core| {
        let (next, step) = match std::mem::replace(&mut stage, Stage::Begin(None)) {
            Stage::Compare(under_way) => match under_way.look()? {
                Looked::Ended(compared) => return Ok(Step::Done(compared.found.report)),
                Looked::Still(under_way, done) => {
                    (Stage::Compare(under_way), Step::Wait(done, LOOK_AGAIN))
                }
            },
            _ => begin(core, None)?,
        };
        stage = next;
        Ok(step)
    })
}

/// A comparison under way on its own thread, which ends where this is dropped.
struct Comparing {
    thread: Option<JoinHandle<Result<Compared, Error>>>,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicI64>,
    end: i64,
}

impl Drop for Comparing {
    fn drop(&mut self) {
        self.stop.store(true, Atomic::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

enum Looked {
    Still(Comparing, Progress),
    Ended(Box<Compared>),
}

impl Comparing {
    fn start(core: &Core, now: Timestamp, again: Option<Box<Again>>) -> Result<Self, Error> {
        let ledger = connect(&core.path, Mode::Read)?;
        ledger.execute_batch("begin")?;
        // The snapshot is taken by the first read, while the writer's thread is here and writes nothing.
        let end = ledger.query_row("select ifnull(max(seq), 0) from deliveries", [], |row| {
            row.get(0)
        })?;
        // What was folded again already is a file to compare with.
        let threads = match &again {
            None => Some(Threads::open(&core.path)?),
            Some(_) => None,
        };
        let (stop, done) = (Arc::default(), Arc::default());
        let comparison = Comparison {
            ledger,
            threads,
            again,
            origin: Origin::of(core),
            now,
            end,
            stop: Arc::clone(&stop),
            done: Arc::clone(&done),
        };
        let thread = std::thread::Builder::new()
            .name("check".to_owned())
            .spawn(move || comparison.run())
            .map_err(|source| Error::Io {
                path: core.path.clone(),
                cause: source,
            })?;
        Ok(Self {
            thread: Some(thread),
            stop,
            done,
            end,
        })
    }

    fn look(mut self) -> Result<Looked, Error> {
        let Some(thread) = self.thread.take_if(|thread| thread.is_finished()) else {
            let done = progress(self.done.load(Atomic::Relaxed), self.end);
            return Ok(Looked::Still(self, done));
        };
        let broke = "the program failed while comparing: please report this";
        let compared = thread
            .join()
            .map_err(|_| Error::Refused(broke.to_owned()))?;
        Ok(Looked::Ended(Box::new(compared?)))
    }
}

/// How a comparison ended.
struct Compared {
    found: Differences,
    /// What was folded again; `None` where a look was enough.
    again: Option<Box<Again>>,
}

/// What differs.
#[derive(Default)]
struct Differences {
    report: TaskReport,
    /// The rows, up to one more than can be exchanged at once.
    rows: Vec<Differing>,
}

impl Differences {
    const fn is_none(&self) -> bool {
        self.report.changed == 0
    }

    fn are_too_many(&self) -> bool {
        self.report.changed > self.rows.len() as u64 || self.rows.len() > EXCHANGE_MAX
    }

    fn differ(&mut self, table: &str, (columns, key): (Vec<String>, Vec<Value>), line: String) {
        self.report.changed += 1;
        self.report.find(line);
        if self.rows.len() <= EXCHANGE_MAX {
            let table = table.to_owned();
            self.rows.push(Differing {
                table,
                columns,
                key,
            });
        }
    }
}

/// The place of a row that differs.
struct Differing {
    table: String,
    /// Of its primary key.
    columns: Vec<String>,
    key: Vec<Value>,
}

impl Differing {
    fn condition(&self) -> String {
        let terms = self.columns.iter().enumerate();
        // Bytes in a key are text that is none.
        let terms: Vec<_> = terms
            .map(|(place, name)| match self.key[place] {
                Value::Blob(_) => format!("\"{name}\" is cast(?{} as text)", place + 1),
                _ => format!("\"{name}\" is ?{}", place + 1),
            })
            .collect();
        terms.join(" and ")
    }
}

struct Comparison {
    ledger: Connection,
    /// To look with first; what is folded again in a file of its own takes several times as long.
    threads: Option<Threads>,
    again: Option<Box<Again>>,
    origin: Origin,
    now: Timestamp,
    end: i64,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicI64>,
}

impl Comparison {
    fn run(mut self) -> Result<Compared, Error> {
        let mut found = Differences::default();
        if self.is_same()? {
            SAME.clone_into(&mut found.report.summary);
            let again = None;
            return Ok(Compared { found, again });
        }
        let Self {
            ledger,
            again,
            origin,
            now,
            stop,
            done,
            ..
        } = self;
        let mut again = match again {
            Some(again) => again,
            None => Box::new(Again::new(origin, now)?),
        };
        let tell = |seq| done.store(seq, Atomic::Relaxed);
        let ledger = again.fold_all(ledger, now, &mut found.report, &stop, &tell)?;
        again.tick(now)?;
        for table in projections(&ledger)? {
            let before = found.report.changed;
            compare_table(&ledger, &again.conn, &table, &mut found, &stop)?;
            let rows = found.report.changed - before;
            if rows > 0 {
                found.report.counts.push((table, rows));
            }
        }
        found.report.summary = match found.report.changed {
            0 => SAME.to_owned(),
            rows => format!(
                "{} not what the deliveries say",
                in_words(rows, "row is", "rows are")
            ),
        };
        let again = Some(again);
        Ok(Compared { found, again })
    }

    /// Whether a look on every core finds that nothing differs.
    fn is_same(&mut self) -> Result<bool, Error> {
        let Some(threads) = self.threads.take() else {
            return Ok(false);
        };
        let terms = Terms {
            zone: self.origin.zone,
            now: self.now,
            reader: &self.origin.reader,
            end: self.end,
            stop: &self.stop,
            done: &self.done,
        };
        look::is_same(threads, &terms)
    }
}

/// What a comparison says that found nothing.
const SAME: &str = "the lists are what the deliveries say";

fn projections(conn: &Connection) -> Result<Vec<String>, Error> {
    let mut statement = conn.prepare(
        "select name from sqlite_schema where type = 'table' and name not like 'sqlite%' order by name",
    )?;
    let names = statement.query_map([], |row| row.get::<_, String>(0))?;
    let names = names.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(names
        .into_iter()
        .filter(|name| !KEPT.contains(&name.as_str()))
        .collect())
}

/// The columns of a table and the places of its primary key among them.
fn shape(conn: &Connection, table: &str) -> Result<(Vec<String>, Vec<usize>), Error> {
    let mut statement =
        conn.prepare("select name, pk, cid from pragma_table_info(?1) order by cid")?;
    let mut names = Vec::new();
    let mut key: Vec<(i64, usize)> = Vec::new();
    let mut rows = statement.query([table])?;
    while let Some(row) = rows.next()? {
        let place: i64 = row.get(1)?;
        if place > 0 {
            key.push((place, names.len()));
        }
        names.push(row.get(0)?);
    }
    key.sort_unstable();
    Ok((names, key.into_iter().map(|(_, place)| place).collect()))
}

fn compare_table(
    ledger: &Connection,
    again: &Connection,
    table: &str,
    found: &mut Differences,
    stop: &AtomicBool,
) -> Result<(), Error> {
    let (columns, key) = shape(ledger, table)?;
    let quoted: Vec<_> = columns.iter().map(|name| format!("\"{name}\"")).collect();
    let order: Vec<_> = key.iter().map(|place| quoted[*place].clone()).collect();
    let sql = format!(
        "select {} from \"{table}\" order by {}",
        quoted.join(", "),
        order.join(", ")
    );
    let (mut here, mut there) = (ledger.prepare(&sql)?, again.prepare(&sql)?);
    let (mut here, mut there) = (Cursor::of(&mut here)?, Cursor::of(&mut there)?);
    for looked in 1_u64.. {
        if looked.is_multiple_of(LOOK_EVERY) && stop.load(Atomic::Relaxed) {
            return Err(Error::Interrupted);
        }
        let (order, differing) = match (here.row(), there.row()) {
            (None, None) => break,
            (Some(_), None) => (Ordering::Less, true),
            (None, Some(_)) => (Ordering::Greater, true),
            (Some(here), Some(there)) => match key_order(here, there, &key)? {
                Ordering::Equal => (Ordering::Equal, !same(here, there, columns.len())?),
                order => (order, true),
            },
        };
        if differing {
            let (here, there) = (here.values()?, there.values()?);
            let what = match order {
                Ordering::Less => "stands in no delivery".to_owned(),
                Ordering::Greater => "is missing".to_owned(),
                Ordering::Equal => {
                    let names = differing_in(&columns, here.as_deref(), there.as_deref());
                    format!("differs in {names}")
                }
            };
            let row = if order.is_gt() { there } else { here };
            let row = row.unwrap_or_default();
            let line = format!("{} {what}", place(table, &columns, &row));
            let at = key
                .iter()
                .map(|place| (columns[*place].clone(), row[*place].clone()));
            found.differ(table, at.unzip(), line);
        }
        if order.is_le() {
            here.step()?;
        }
        if order.is_ge() {
            there.step()?;
        }
    }
    Ok(())
}

fn key_order(here: &Row<'_>, there: &Row<'_>, key: &[usize]) -> Result<Ordering, Error> {
    for place in key {
        let order = sqlite_order(here.get_ref(*place)?, there.get_ref(*place)?);
        if order.is_ne() {
            return Ok(order);
        }
    }
    Ok(Ordering::Equal)
}

fn same(here: &Row<'_>, there: &Row<'_>, width: usize) -> Result<bool, Error> {
    for place in 0..width {
        if here.get_ref(place)? != there.get_ref(place)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Names a row without any of a reader's data.
fn place(table: &str, columns: &[String], row: &[Value]) -> String {
    let shown = ["id", "seq", "day", "type"].iter().find_map(|name| {
        let at = columns.iter().position(|column| column == name)?;
        match &row[at] {
            Value::Integer(number) => Some(format!("{name} {number}")),
            Value::Text(text) => Some(format!("{name} {text}")),
            _ => None,
        }
    });
    format!("{table} {}", shown.unwrap_or_default())
}

fn differing_in(columns: &[String], here: Option<&[Value]>, there: Option<&[Value]>) -> String {
    let (Some(here), Some(there)) = (here, there) else {
        return String::new();
    };
    let names: Vec<_> = columns
        .iter()
        .zip(here.iter().zip(there))
        .filter(|(_, (here, there))| here != there)
        .map(|(name, _)| name.as_str())
        .collect();
    names.join(", ")
}

/// The order of SQLite: null, numbers, text, bytes.
fn sqlite_order(here: ValueRef<'_>, there: ValueRef<'_>) -> Ordering {
    let rank = |value| match value {
        ValueRef::Null => 0,
        ValueRef::Integer(_) | ValueRef::Real(_) => 1,
        ValueRef::Text(_) => 2,
        ValueRef::Blob(_) => 3,
    };
    match (here, there) {
        (ValueRef::Integer(here), ValueRef::Integer(there)) => here.cmp(&there),
        (ValueRef::Real(here), ValueRef::Real(there)) => here.total_cmp(&there),
        (ValueRef::Text(here), ValueRef::Text(there))
        | (ValueRef::Blob(here), ValueRef::Blob(there)) => here.cmp(there),
        _ => rank(here).cmp(&rank(there)),
    }
}

/// A stored value; text that is none, as a damaged one may be, as its bytes.
fn value(stored: ValueRef<'_>) -> Value {
    match stored {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => String::from_utf8(text.to_vec())
            .map_or_else(|text| Value::Blob(text.into_bytes()), Value::Text),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

/// The row that a statement stands on.
struct Cursor<'a> {
    rows: Rows<'a>,
    width: usize,
}

impl<'a> Cursor<'a> {
    fn of(statement: &'a mut Statement<'_>) -> Result<Self, Error> {
        let width = statement.column_count();
        let mut cursor = Self {
            rows: statement.query([])?,
            width,
        };
        cursor.step()?;
        Ok(cursor)
    }

    fn step(&mut self) -> Result<(), Error> {
        Ok(self.rows.advance()?)
    }

    fn row(&self) -> Option<&Row<'a>> {
        self.rows.get()
    }

    fn values(&self) -> Result<Option<Vec<Value>>, Error> {
        let values = self.row().map(|row| {
            let values = (0..self.width).map(|place| Ok(value(row.get_ref(place)?)));
            values.collect::<rusqlite::Result<_>>()
        });
        Ok(values.transpose()?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::store::project::CLEAR;
    use crate::store::schema;

    #[test]
    fn every_table_is_kept_or_emptied_and_folded_again() {
        let mut conn = connect(Path::new(":memory:"), Mode::Fill).unwrap();
        schema::create(&mut conn, Zone::UTC, Timestamp::from_ms(0)).unwrap();
        let folded: BTreeSet<_> = projections(&conn).unwrap().into_iter().collect();
        let emptied = CLEAR.iter().map(|(table, _)| (*table).to_owned());
        assert_eq!(folded, emptied.collect());
        for table in KEPT {
            assert!(!shape(&conn, table).unwrap().0.is_empty(), "{table}");
        }
    }
}
