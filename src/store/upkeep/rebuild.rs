//! Folding everything again, for real or only to compare.
//!
//! A snapshot of the ledger is folded into a file beside it, on a thread of its own, and every projection is compared row
//! by row, while the receiver goes on. For real, the rows that differ are then exchanged in one transaction and
//! everything is compared once more, until nothing differs: whoever looks sees the old rows or the new ones, and
//! whatever ends it halfway leaves the old. Where so much differs that one transaction would hold up answers, or where the zone
//! of days is another, the projections are emptied and folded again in place, bit by bit: the position is set to zero
//! and a note says so, and what follows, a crash or not, is the ordinary folding behind.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering as Atomic};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{Connection, Rows, Statement};

use crate::domain::time::{Timestamp, Zone};
use crate::store::append::stored_after;
use crate::store::fold::{self, Folder, Trouble, Unfolded};
use crate::store::project::residue;
use crate::store::schema::{self, COMPARED, beside, remove, set_meta};
use crate::store::task::{Progress, Step, Steps, TaskReport};
use crate::store::thread::{Core, TICK_ROWS};
use crate::store::{Error, Mode, connect};

/// So many deliveries per step.
const STEP: i64 = 256;
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// So many deliveries are folded on the writer's thread before it looks at its queue.
const FOLLOW: i64 = 32;
/// So many rows are exchanged in one transaction at most; answers wait that long.
const EXCHANGE_MAX: usize = 10_000;
/// So often is compared again what arrivals may have built on a wrong row.
const PASSES_MAX: u32 = 5;

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
                Looked::Ended(compared)
                    if compared.found.are_too_many() || passes >= PASSES_MAX =>
                {
                    drop(compared);
                    (
                        Stage::InPlace(in_place(None)),
                        Step::More(Progress::default()),
                    )
                }
                Looked::Ended(compared) => {
                    (Stage::Exchange(compared), Step::More(Progress::default()))
                }
            },
            Stage::Exchange(mut compared) => {
                if follow(core, &mut compared.again)? {
                    (Stage::Exchange(compared), Step::More(Progress::default()))
                } else {
                    put_right += exchange(core, &compared)?;
                    passes += 1;
                    (
                        Stage::Begin(Some(compared.again)),
                        Step::More(Progress::default()),
                    )
                }
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
    Exchange(Box<Compared>),
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
    if again.folder.seq < core.folder.seq {
        again.fold_some(&core.conn, core.now(), &mut TaskReport::default())?;
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
fn exchange(core: &mut Core, compared: &Compared) -> Result<u64, Error> {
    let rows = core.transact(|core| {
        for one in &compared.found.rows {
            take_out(&core.conn, one)?;
        }
        for one in &compared.found.rows {
            put_in(&core.conn, &compared.again.conn, one)?;
        }
        Ok(compared.found.rows.len())
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
    let noun = if folded == 1 {
        "delivery"
    } else {
        "deliveries"
    };
    match put_right {
        0 => format!("{folded} {noun} folded again: nothing differed"),
        1 => format!("{folded} {noun} folded again: 1 row put right"),
        rows => format!("{folded} {noun} folded again: {rows} rows put right"),
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
        let noun = if count == 1 { "delivery" } else { "deliveries" };
        let summary = format!("{count} {noun} folded again");
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

/// A comparison under way on its own thread.
struct Comparing {
    thread: JoinHandle<Result<Compared, Error>>,
    done: Arc<AtomicI64>,
    end: i64,
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
        let done = Arc::new(AtomicI64::new(0));
        let again = match again {
            Some(again) => again,
            None => Box::new(Again::new(core, now)?),
        };
        let comparison = Comparison {
            ledger,
            again,
            now,
            done: Arc::clone(&done),
        };
        let thread = std::thread::Builder::new()
            .name("check".to_owned())
            .spawn(move || comparison.run())
            .map_err(|source| Error::Io {
                path: core.path.clone(),
                cause: source,
            })?;
        Ok(Self { thread, done, end })
    }

    fn look(self) -> Result<Looked, Error> {
        if !self.thread.is_finished() {
            let done = progress(self.done.load(Atomic::Relaxed), self.end);
            return Ok(Looked::Still(self, done));
        }
        let broke = "the program failed while comparing: please report this";
        let compared = self
            .thread
            .join()
            .map_err(|_| Error::Refused(broke.to_owned()))?;
        Ok(Looked::Ended(Box::new(compared?)))
    }
}

/// How a comparison ended.
struct Compared {
    found: Differences,
    again: Box<Again>,
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
        let terms: Vec<_> = terms
            .map(|(place, name)| format!("\"{name}\" is ?{}", place + 1))
            .collect();
        terms.join(" and ")
    }
}

struct Comparison {
    ledger: Connection,
    again: Box<Again>,
    now: Timestamp,
    done: Arc<AtomicI64>,
}

impl Comparison {
    fn run(mut self) -> Result<Compared, Error> {
        let mut found = Differences::default();
        while self
            .again
            .fold_some(&self.ledger, self.now, &mut found.report)?
            > 0
        {
            self.done.store(self.again.folder.seq, Atomic::Relaxed);
        }
        self.again.tick(self.now)?;
        for table in projections(&self.ledger)? {
            let before = found.report.changed;
            compare_table(&self.ledger, &self.again.conn, &table, &mut found)?;
            let rows = found.report.changed - before;
            if rows > 0 {
                found.report.counts.push((table, rows));
            }
        }
        found.report.summary = match found.report.changed {
            0 => "the lists are what the deliveries say".to_owned(),
            1 => "1 row is not what the deliveries say".to_owned(),
            rows => format!("{rows} rows are not what the deliveries say"),
        };
        Ok(Compared {
            found,
            again: self.again,
        })
    }
}

/// What is folded again, in a file beside the ledger that is gone with it.
struct Again {
    conn: Connection,
    folder: Folder,
    /// The latest moment that it was folded as of.
    as_of: Timestamp,
    file: Beside,
}

/// The file itself.
struct Beside(PathBuf);

impl Drop for Beside {
    fn drop(&mut self) {
        // What cannot be removed now is removed at the next start.
        let _ = clean(&self.0);
    }
}

impl Again {
    fn new(core: &Core, now: Timestamp) -> Result<Self, Error> {
        let path = beside(&core.path, COMPARED);
        clean(&path)?;
        schema::private_file(&path)?;
        let file = Beside(path);
        let mut conn = connect(&file.0, Mode::Write)?;
        let zone = core.folder.zone();
        schema::create(&mut conn, zone, now)?;
        // This file is thrown away: nothing in it needs to last, and deliveries stand in it without what they name.
        conn.execute_batch(
            "pragma foreign_keys = off; pragma synchronous = off; pragma wal_autocheckpoint = 1000",
        )?;
        let folder = Folder::load(&conn, core.folder.reader(), zone)?;
        Ok(Self {
            conn,
            folder,
            as_of: now,
            file,
        })
    }

    /// Folds the next deliveries of `ledger`; how many.
    fn fold_some(
        &mut self,
        ledger: &Connection,
        now: Timestamp,
        report: &mut TaskReport,
    ) -> Result<usize, Error> {
        debug_assert!(self.file.0.exists(), "it goes only with this");
        self.as_of = self.as_of.max(now);
        let rows = stored_after(ledger, self.folder.seq, FOLLOW)?;
        let Some(last) = rows.last().map(|row| row.seq) else {
            return Ok(0);
        };
        let count = rows.len();
        self.conn.execute_batch("begin")?;
        self.copy(ledger, self.folder.seq, last)?;
        let batch: Vec<_> = rows
            .into_iter()
            .filter_map(|row| self.folder.unfolded(row))
            .collect();
        self.fold(&batch, last, now, report)?;
        self.conn.execute_batch("commit")?;
        Ok(count)
    }

    fn tick(&mut self, now: Timestamp) -> Result<(), Error> {
        let conn = &self.conn;
        if now < self.as_of {
            fold::start_again_by_the_clock(conn)?;
        }
        self.as_of = now;
        let tick = |folder: &mut Folder| folder.tick(conn, now, TICK_ROWS);
        while tick(&mut self.folder).map_err(Trouble::into_error)? > 0 {}
        Ok(())
    }

    fn fold(
        &mut self,
        batch: &[Unfolded],
        last: i64,
        now: Timestamp,
        report: &mut TaskReport,
    ) -> Result<(), Error> {
        let (conn, folder) = (&self.conn, &mut self.folder);
        let reads: Vec<_> = batch.iter().map(Unfolded::read).collect();
        if folder.fold(conn, &reads, last, now).is_ok() {
            return Ok(());
        }
        for read in reads {
            let seq = read.seq;
            match folder.fold(conn, &[read], seq, now) {
                Ok(()) => {}
                Err(Trouble::Passing(error)) => return Err(error),
                Err(Trouble::Lasting(why)) => {
                    report.changed += 1;
                    report.find(format!("delivery {seq} could not be folded: {why}"));
                }
            }
        }
        folder
            .fold(conn, &[], last, now)
            .map_err(Trouble::into_error)
    }

    /// Deliveries without what they hold: folding looks at their keys and marks only.
    fn copy(&self, ledger: &Connection, after: i64, to: i64) -> Result<(), Error> {
        let columns = "seq, received_at, provider, account, hook, outcome, duplicate_of, reason, dedupe_policy,
            dedupe_key, confidence, credential, identity_proof, remote_ip, origin, test, provider_type,
            reader_version, body_bytes, commitment, link, erased_at";
        let mut from = ledger.prepare_cached(&format!(
            "select {columns} from deliveries where seq > ?1 and seq <= ?2 order by seq"
        ))?;
        let marks = vec!["?"; from.column_count()].join(", ");
        let mut into = self.conn.prepare_cached(&format!(
            "insert into deliveries ({columns}, headers) values ({marks}, '[]')"
        ))?;
        let width = from.column_count();
        let mut rows = from.query([after, to])?;
        while let Some(row) = rows.next()? {
            let values = (0..width)
                .map(|place| row.get::<_, Value>(place))
                .collect::<rusqlite::Result<Vec<_>>>()?;
            into.execute(rusqlite::params_from_iter(values))?;
        }
        self.copy_residue(ledger, after, to)
    }

    fn copy_residue(&self, ledger: &Connection, after: i64, to: i64) -> Result<(), Error> {
        let columns = residue::COLUMNS.join(", ");
        let mut from = ledger.prepare_cached(&format!(
            "select {columns} from residue where seq > ?1 and seq <= ?2"
        ))?;
        let width = from.column_count();
        let marks = vec!["?"; width].join(", ");
        let mut into = self
            .conn
            .prepare_cached(&format!("insert into residue ({columns}) values ({marks})"))?;
        let mut rows = from.query([after, to])?;
        while let Some(row) = rows.next()? {
            let values = (0..width)
                .map(|place| row.get::<_, Value>(place))
                .collect::<rusqlite::Result<Vec<_>>>()?;
            into.execute(rusqlite::params_from_iter(values))?;
        }
        Ok(())
    }
}

fn clean(path: &Path) -> Result<(), Error> {
    ["", "-wal", "-shm", "-journal"]
        .iter()
        .try_for_each(|ending| remove(&beside(path, ending)))
}

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
    loop {
        let order = match (&here.row, &there.row) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(here), Some(there)) => key
                .iter()
                .map(|place| sqlite_order(&here[*place], &there[*place]))
                .find(|order| order.is_ne())
                .unwrap_or(Ordering::Equal),
        };
        let row = if order.is_gt() { &there.row } else { &here.row };
        let what = match order {
            Ordering::Less => Some("stands in no delivery".to_owned()),
            Ordering::Greater => Some("is missing".to_owned()),
            Ordering::Equal if here.row != there.row => Some(format!(
                "differs in {}",
                differing(&columns, here.row.as_deref(), there.row.as_deref())
            )),
            Ordering::Equal => None,
        };
        if let (Some(what), Some(row)) = (what, row.as_deref()) {
            let line = format!("{} {what}", place(table, &columns, row));
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

fn differing(columns: &[String], here: Option<&[Value]>, there: Option<&[Value]>) -> String {
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
fn sqlite_order(here: &Value, there: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Null => 0,
        Value::Integer(_) | Value::Real(_) => 1,
        Value::Text(_) => 2,
        Value::Blob(_) => 3,
    };
    match (here, there) {
        (Value::Integer(here), Value::Integer(there)) => here.cmp(there),
        (Value::Real(here), Value::Real(there)) => here.total_cmp(there),
        (Value::Text(here), Value::Text(there)) => here.cmp(there),
        (Value::Blob(here), Value::Blob(there)) => here.cmp(there),
        _ => rank(here).cmp(&rank(there)),
    }
}

/// The row that a statement stands on.
struct Cursor<'a> {
    rows: Rows<'a>,
    width: usize,
    row: Option<Vec<Value>>,
}

impl<'a> Cursor<'a> {
    fn of(statement: &'a mut Statement<'_>) -> Result<Self, Error> {
        let width = statement.column_count();
        let mut cursor = Self {
            rows: statement.query([])?,
            width,
            row: None,
        };
        cursor.step()?;
        Ok(cursor)
    }

    fn step(&mut self) -> Result<(), Error> {
        self.row = match self.rows.next()? {
            None => None,
            Some(row) => Some(
                (0..self.width)
                    .map(|place| row.get(place))
                    .collect::<rusqlite::Result<_>>()?,
            ),
        };
        Ok(())
    }
}
