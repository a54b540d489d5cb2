//! Folding everything again, for real or only to compare.
//!
//! For real, the position is set to zero and a note says that the projections are to be emptied; what follows, a crash
//! or not, is the ordinary folding behind, so the receiver goes on. To compare, a snapshot of the ledger is folded into a file beside it, on a thread of its
//! own, and every projection is compared row by row.

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
use crate::store::schema::{self, beside, remove, set_meta};
use crate::store::task::{Progress, Step, Steps, TaskReport};
use crate::store::thread::{Core, TICK_ROWS};
use crate::store::{Error, Mode, ReadFn, connect};

/// So many deliveries per step.
const STEP: i64 = 256;
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Everything that is not folded out of deliveries.
const KEPT: &[&str] = &[
    "deliveries",
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

pub(crate) fn rebuild(mut zone: Option<Zone>) -> Steps {
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
    let mut comparing: Option<Comparing> = None;
    Box::new(move |core| {
        let Some(under_way) = comparing.take() else {
            if core.behind() && core.catch_up(STEP, &|| false)? > 0 {
                return Ok(Step::More(progress(core.folder.seq, core.head.seq)));
            }
            let now = core.now();
            // What only the clock changes is brought to the same instant on both sides.
            if core.transact(|core| core.tick_rows(now))? > 0 {
                return Ok(Step::More(Progress::default()));
            }
            comparing = Some(Comparing::start(core, now)?);
            return Ok(Step::Wait(Progress::default(), LOOK_AGAIN));
        };
        if !under_way.thread.is_finished() {
            let done = progress(under_way.done.load(Atomic::Relaxed), under_way.end);
            comparing = Some(under_way);
            return Ok(Step::Wait(done, LOOK_AGAIN));
        }
        match under_way.thread.join() {
            Ok(report) => report.map(Step::Done),
            Err(_) => Err(Error::Refused(
                "the program failed while comparing: please report this".to_owned(),
            )),
        }
    })
}

/// A comparison under way on its own thread.
struct Comparing {
    thread: JoinHandle<Result<TaskReport, Error>>,
    done: Arc<AtomicI64>,
    end: i64,
}

impl Comparing {
    fn start(core: &Core, now: Timestamp) -> Result<Self, Error> {
        let ledger = connect(&core.path, Mode::Read)?;
        ledger.execute_batch("begin")?;
        // The snapshot is taken by the first read, while the writer's thread is here and writes nothing.
        let end = ledger.query_row("select ifnull(max(seq), 0) from deliveries", [], |row| {
            row.get(0)
        })?;
        let done = Arc::new(AtomicI64::new(0));
        let comparison = Comparison {
            ledger,
            beside: beside(&core.path, ".check"),
            read: core.folder.reader(),
            zone: core.folder.zone(),
            now,
            done: Arc::clone(&done),
        };
        let thread = std::thread::Builder::new()
            .name("check".to_owned())
            .spawn(move || comparison.run())
            .map_err(|source| Error::Io {
                path: core.path.clone(),
                source,
            })?;
        Ok(Self { thread, done, end })
    }
}

struct Comparison {
    ledger: Connection,
    beside: PathBuf,
    read: ReadFn,
    zone: Zone,
    now: Timestamp,
    done: Arc<AtomicI64>,
}

impl Comparison {
    fn run(self) -> Result<TaskReport, Error> {
        clean(&self.beside)?;
        let compared = self.compare();
        clean(&self.beside)?;
        compared
    }

    fn compare(&self) -> Result<TaskReport, Error> {
        let mut report = TaskReport::default();
        let rebuilt = self.fold_again(&mut report)?;
        for table in projections(&self.ledger)? {
            compare_table(&self.ledger, &rebuilt, &table, &mut report)?;
        }
        report.summary = match report.changed {
            0 => "the lists are what the deliveries say".to_owned(),
            1 => "1 row is not what the deliveries say".to_owned(),
            rows => format!("{rows} rows are not what the deliveries say"),
        };
        Ok(report)
    }

    fn fold_again(&self, report: &mut TaskReport) -> Result<Connection, Error> {
        schema::private_file(&self.beside)?;
        let mut conn = connect(&self.beside, Mode::Write)?;
        schema::create(&mut conn, self.zone, self.now)?;
        // This file is thrown away: nothing in it needs to last, and deliveries stand in it without what they name.
        conn.execute_batch("pragma foreign_keys = off; pragma synchronous = off")?;
        let mut folder = Folder::load(&conn, Arc::clone(&self.read), self.zone)?;
        loop {
            let rows = stored_after(&self.ledger, folder.seq, STEP)?;
            let Some(last) = rows.last().map(|row| row.seq) else {
                break;
            };
            conn.execute_batch("begin")?;
            self.copy(&conn, folder.seq, last)?;
            let batch: Vec<_> = rows
                .into_iter()
                .filter_map(|row| folder.unfolded(row))
                .collect();
            self.fold(&conn, &mut folder, &batch, last, report)?;
            conn.execute_batch("commit")?;
            self.done.store(last, Atomic::Relaxed);
        }
        while folder
            .guarded(&conn, |projector| {
                projector.tick(&conn, self.now, TICK_ROWS)
            })
            .map_err(Trouble::into_error)?
            > 0
        {}
        Ok(conn)
    }

    fn fold(
        &self,
        conn: &Connection,
        folder: &mut Folder,
        batch: &[Unfolded],
        last: i64,
        report: &mut TaskReport,
    ) -> Result<(), Error> {
        let reads: Vec<_> = batch.iter().map(Unfolded::read).collect();
        if folder.fold(conn, &reads, last, self.now).is_ok() {
            return Ok(());
        }
        for read in reads {
            let seq = read.seq;
            match folder.fold(conn, &[read], seq, self.now) {
                Ok(()) => {}
                Err(Trouble::Passing(error)) => return Err(error),
                Err(Trouble::Lasting(why)) => {
                    report.changed += 1;
                    report.find(format!("delivery {seq} could not be folded: {why}"));
                }
            }
        }
        folder
            .fold(conn, &[], last, self.now)
            .map_err(Trouble::into_error)
    }

    /// Deliveries without what they hold: folding looks at their keys and marks only.
    fn copy(&self, conn: &Connection, after: i64, to: i64) -> Result<(), Error> {
        let columns = "seq, received_at, provider, account, hook, outcome, duplicate_of, reason, dedupe_policy,
            dedupe_key, confidence, credential, identity_proof, remote_ip, origin, test, provider_type,
            reader_version, body_bytes, commitment, link, erased_at";
        let mut from = self.ledger.prepare_cached(&format!(
            "select {columns} from deliveries where seq > ?1 and seq <= ?2 order by seq"
        ))?;
        let marks = vec!["?"; from.column_count()].join(", ");
        let mut into = conn.prepare_cached(&format!(
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
        self.copy_residue(conn, after, to)
    }

    fn copy_residue(&self, conn: &Connection, after: i64, to: i64) -> Result<(), Error> {
        let columns = "seq, n, provider, account, type, day, plan, amount_minor, currency, exponent, readers, actor,
            back_day";
        let mut from = self.ledger.prepare_cached(&format!(
            "select {columns} from residue where seq > ?1 and seq <= ?2"
        ))?;
        let width = from.column_count();
        let marks = vec!["?"; width].join(", ");
        let mut into =
            conn.prepare_cached(&format!("insert into residue ({columns}) values ({marks})"))?;
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
    rebuilt: &Connection,
    table: &str,
    report: &mut TaskReport,
) -> Result<(), Error> {
    let (columns, key) = shape(ledger, table)?;
    let quoted: Vec<_> = columns.iter().map(|name| format!("\"{name}\"")).collect();
    let order: Vec<_> = key.iter().map(|place| quoted[*place].clone()).collect();
    let sql = format!(
        "select {} from \"{table}\" order by {}",
        quoted.join(", "),
        order.join(", ")
    );
    let (mut here, mut there) = (ledger.prepare(&sql)?, rebuilt.prepare(&sql)?);
    let (mut here, mut there) = (Cursor::of(&mut here)?, Cursor::of(&mut there)?);
    loop {
        let order = match (&here.row, &there.row) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(here), Some(there)) => key
                .iter()
                .map(|place| sqlite_order(&here[*place], &there[*place]))
                .find(|order| order.is_ne())
                .unwrap_or(Ordering::Equal),
        };
        let row = if order.is_gt() { &there.row } else { &here.row };
        let place = row
            .as_deref()
            .map_or(String::new(), |row| place(table, &columns, row));
        match order {
            Ordering::Less => report.differ(format!("{place} stands in no delivery")),
            Ordering::Greater => report.differ(format!("{place} is missing")),
            Ordering::Equal if here.row != there.row => {
                let differing = differing(&columns, here.row.as_deref(), there.row.as_deref());
                report.differ(format!("{place} differs in {differing}"));
            }
            Ordering::Equal => {}
        }
        if order.is_le() {
            here.step()?;
        }
        if order.is_ge() {
            there.step()?;
        }
    }
}

impl TaskReport {
    fn differ(&mut self, line: String) {
        self.changed += 1;
        self.find(line);
    }
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
