//! Reading a ledger: lists by keyset windows, counts, choices, one record, status and the publisher's own SQL.
//!
//! One read-only connection that never holds a snapshot across calls, so that the writer's checkpoints are not
//! starved. Filters become fixed fragments and bound values (`filter`), read from the index that fits (`plan`).
//! Never OFFSET, never a value in SQL text.

mod choices;
mod detail;
mod export;
pub(crate) mod figures;
mod filter;
mod functions;
mod lists;
mod looked;
mod open;
mod order;
mod plan;
pub mod reader;
mod search;
mod sql;
mod status;
mod timeline;
pub(crate) mod views;
mod vocabulary;
pub mod who;

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Scope, ScopedJoinHandle};

use rusqlite::types::{Value as Sql, ValueRef};
use rusqlite::{Connection, InterruptHandle, OptionalExtension, Statement as Prepared};

use crate::domain::page::{Cell, Count, Cursor, List, Page, Row, RowKey};
use crate::domain::query::{Bounds, Query, Span};
use crate::domain::time::Zone;
use crate::store::schema::{self, SCHEMA_VERSION};
use crate::store::upgrade::Upgrade;
use crate::store::{Error, lock};

pub use choices::CHOICE_KEYS;
pub use detail::{Alias, Detail, RejectedDetail, UserDetail};
pub use export::{Stretch, exported};
pub(crate) use filter::ENDED_AT;
pub use lists::columns;
pub use looked::{Looked, Progress};
pub use search::Found;
pub use sql::{EachRow, SqlOutcome};
pub use status::{
    Checked, Connection as Connected, Expectation, Growth, Lost, Quiet, Refusals, Status,
};

pub use timeline::{Kinds, Money, Past};
pub use views::View;

pub use crate::store::project::standing::{Around, AtTime, Consent, Difference, Standing, Turn};

use lists::Source;
use looked::SharedLooked;
use plan::{Held, Statement, Values};

/// What a connection beside another keeps of the file in memory.
const BESIDE_KIB: i64 = 4096;
/// From so far apart the rows of a table may be many: as many deliveries as they came with, times 10,000.
const BESIDE_FROM: i64 = LARGE * 10_000;
/// A ledger of so many deliveries is large.
const LARGE: i64 = 100_000;
/// Fewer events are not fetched ahead, and of more only a page is shown.
const AHEAD: RangeInclusive<usize> = 16..=1_000;
/// So many threads fetch ahead.
const AHEAD_AT_ONCE: usize = 4;
/// Whether it is to stop is looked at every so many steps of SQLite's machine.
const STEPS: i32 = 1_000;

/// One read-only connection to a ledger.
pub struct Reader {
    /// Only `sql` needs it mutable, to put up its guards.
    conn: RefCell<Connection>,
    path: PathBuf,
    /// As it was when the ledger was opened.
    schema: i64,
    zone: Zone,
    held: RefCell<Held>,
    looked: SharedLooked,
    /// Whether what is read beside it, on connections of their own, is to end.
    stop_beside: Arc<AtomicBool>,
    /// It is read beside another, whose interrupts are meant for it too.
    is_beside: bool,
}

/// Stops whatever a reader does, from any thread.
pub struct Interrupt {
    own: InterruptHandle,
    beside: Arc<AtomicBool>,
}

impl Interrupt {
    /// What runs ends with `Error::Interrupted`.
    pub fn interrupt(&self) {
        self.beside.store(true, Ordering::Relaxed);
        self.own.interrupt();
    }
}

/// Where a ledger is read beside a reader.
#[derive(Clone, Copy)]
pub(crate) struct Beside<'a> {
    path: &'a Path,
    stop: &'a Arc<AtomicBool>,
}

impl Beside<'_> {
    /// A connection of its own, for another thread; its statements end when the reader it is beside is interrupted.
    pub(crate) fn reader(self) -> Result<Reader, Error> {
        let mut reader = Reader::open(self.path)?;
        reader.stop_beside = Arc::clone(self.stop);
        reader.is_beside = true;
        let stop = Arc::clone(self.stop);
        {
            let mut conn = reader.conn.borrow_mut();
            conn.pragma_update(None, "cache_size", -BESIDE_KIB)?;
            conn.progress_handler(STEPS, Some(move || stop.load(Ordering::Relaxed)))?;
        }
        Ok(reader)
    }
}

/// What a thread found out; a panic in it goes on here.
fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Has `read` done on a thread of its own, and gives what waits for it; where no more threads are to be had, it is done
/// then.
pub(crate) fn started<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    read: impl Fn() -> T + Copy + Send + 'scope,
) -> impl FnOnce() -> T {
    let thread = thread::Builder::new().spawn_scoped(scope, read);
    move || thread.map_or_else(|_| read(), joined)
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("zone", &self.zone)
            .finish_non_exhaustive()
    }
}

impl Reader {
    /// Opens the ledger at `path`. `Error::Absent`, `Foreign`, `Newer` or `Damaged` where that cannot be done; the
    /// file is not touched.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let (conn, schema, zone) = open::open(path)?;
        let looked = SharedLooked::default();
        functions::add(&conn, zone, &looked)?;
        Ok(Self {
            conn: RefCell::new(conn),
            path: path.to_owned(),
            schema,
            zone,
            held: RefCell::default(),
            looked,
            stop_beside: Arc::default(),
            is_beside: false,
        })
    }

    /// What stops whatever statement runs.
    pub fn interrupt(&self) -> Interrupt {
        Interrupt {
            own: self.conn.borrow().get_interrupt_handle(),
            beside: Arc::clone(&self.stop_beside),
        }
    }

    /// Where parts of a question are read on other threads, from now until the next interrupt. One that comes while the
    /// parts of a part begin may not reach all of them: who interrupts does so until what runs has ended.
    pub(crate) fn beside(&self) -> Beside<'_> {
        if !self.is_beside {
            self.stop_beside.store(false, Ordering::Relaxed);
        }
        Beside {
            path: &self.path,
            stop: &self.stop_beside,
        }
    }

    /// Reads `table` by what `read` makes of a condition on its ids: where there may be many rows, the older half on a
    /// thread beside this one.
    fn in_halves<T: Send>(
        &self,
        table: &str,
        read: impl Fn(&Self, &str) -> Result<T, Error> + Sync,
    ) -> Result<Vec<T>, Error> {
        let edge = |which: &str| {
            let id = self.number(&format!("select {which}(id) from {table}"), &[])?;
            Ok::<i64, Error>(id.unwrap_or_default())
        };
        let (first, last) = (edge("min")?, edge("max")?);
        if last.saturating_sub(first) < BESIDE_FROM {
            return Ok(vec![read(self, "1")?]);
        }
        let middle = first.midpoint(last);
        let (newer, older) = self.aside(
            |reader| read(reader, &format!("id >= {middle}")),
            &|reader: &Self| read(reader, &format!("id < {middle}")),
        );
        Ok(vec![older?, newer?])
    }

    /// Two questions at once, the second on a thread and a connection of its own; one after the other where no more threads
    /// are to be had.
    fn aside<A, B: Send>(
        &self,
        mine: impl FnOnce(&Self) -> Result<A, Error>,
        other: &(impl Fn(&Self) -> Result<B, Error> + Sync),
    ) -> (Result<A, Error>, Result<B, Error>) {
        let beside = self.beside();
        thread::scope(|scope| {
            let other = started(scope, move || other(&beside.reader()?));
            let mine = mine(self);
            (mine, other())
        })
    }

    /// Two questions at once: the second on a thread beside this one, where the ledger is so large that each of them
    /// waits for the disk.
    pub(crate) fn both<A, B: Send>(
        &self,
        mine: impl Fn(&Self) -> Result<A, Error>,
        other: impl Fn(&Self) -> Result<B, Error> + Sync,
    ) -> Result<(A, B), Error> {
        if self.last_seq()? < LARGE {
            return Ok((mine(self)?, other(self)?));
        }
        let (mine, other) = self.aside(|reader| mine(reader), &other);
        Ok((mine?, other?))
    }

    /// What `read` makes of each part; where the ledger is large, of all at once.
    fn of_each<P: Sync, T: Send>(
        &self,
        parts: &[P],
        read: &(impl Fn(&Self, &P) -> Result<T, Error> + Sync),
    ) -> Result<Vec<T>, Error> {
        let is_small = self.last_seq()? < LARGE;
        let (Some((first, others)), false) = (parts.split_first(), is_small) else {
            return parts.iter().map(|part| read(self, part)).collect();
        };
        let beside = self.beside();
        thread::scope(|scope| {
            let started = others
                .iter()
                .map(|part| started(scope, move || read(&beside.reader()?, part)));
            let started: Vec<_> = started.collect();
            let mut found = vec![read(self, first)];
            found.extend(started.into_iter().map(|other| other()));
            found.into_iter().collect()
        })
    }

    /// Has the system read the events with these ids, several at a time: they lie all over the file, and one who asks for
    /// them in turn waits for each.
    fn fetch_ahead(&self, ids: &[i64]) -> Result<(), Error> {
        const FETCH: &str = "select count(r.test) from json_each(?1) j \
            cross join events r on r.id = j.value";
        let is_apart = match (ids.iter().min(), ids.iter().max()) {
            (Some(first), Some(last)) => last.saturating_sub(*first) >= BESIDE_FROM,
            _ => false,
        };
        if !is_apart || !AHEAD.contains(&ids.len()) {
            return Ok(());
        }
        let fetch = |reader: &Self, ids: &[i64]| {
            let ids = serde_json::to_string(ids).unwrap_or_default();
            reader.number(FETCH, &[Sql::from(ids)]).map(drop)
        };
        let (beside, fetch) = (self.beside(), &fetch);
        thread::scope(|scope| {
            let mut parts = ids.chunks(ids.len().div_ceil(AHEAD_AT_ONCE));
            let own = parts.next().unwrap_or_default();
            let others = parts.map(|part| started(scope, move || fetch(&beside.reader()?, part)));
            let others: Vec<_> = others.collect();
            let own = fetch(self, own);
            // Whatever another could not fetch is read in its turn.
            let is_stopped = |other: &Result<(), Error>| matches!(other, Err(Error::Interrupted));
            let stopped = others.into_iter().map(|other| other()).find(is_stopped);
            own.and(stopped.unwrap_or(Ok(())))
        })
    }

    /// How far the page that is being read has come, for whoever waits on another thread.
    pub fn looked(&self) -> std::sync::Arc<Looked> {
        SharedLooked::clone(&self.looked)
    }

    /// Reads with the connection itself; for files of the store that keep their SQL beside what they write.
    pub(crate) fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        read(&self.conn.borrow())
    }

    /// A number that changes when another process or connection has committed.
    pub fn version(&self) -> Result<i64, Error> {
        Ok(self
            .conn
            .borrow()
            .pragma_query_value(None, "data_version", |row| row.get(0))?)
    }

    /// Whether the ledger was upgraded under this reader, which is of no use then and is opened again; `Error::Newer` if a
    /// newer version of subledger did it.
    pub fn is_outdated(&self) -> Result<bool, Error> {
        Ok(schema::check(&self.conn.borrow(), &self.path)? != self.schema)
    }

    /// The process that writes to the ledger, where it is of an older version than this one: a newer would have
    /// upgraded the schema. It holds the lock, so nobody else upgrades it either.
    pub fn older_writer(&self) -> Option<u32> {
        if self.schema >= SCHEMA_VERSION {
            return None;
        }
        lock::holder(&self.path).map(|holder| holder.pid)
    }

    /// What the newest version that read webhooks anew made of this ledger, if one ever did.
    pub fn upgrade(&self) -> Result<Option<Upgrade>, Error> {
        // The first schema had no place for it.
        if self.schema < 2 {
            return Ok(None);
        }
        Upgrade::of_reading(&self.conn.borrow())
    }

    /// The zone of days, as it was when the ledger was opened.
    pub const fn zone(&self) -> Result<Zone, Error> {
        Ok(self.zone)
    }

    /// At most `limit` rows of `list` that meet `query`, at `cursor`, with every column.
    pub fn page(
        &self,
        list: List,
        query: &Query,
        cursor: &Cursor,
        limit: usize,
    ) -> Result<Page, Error> {
        self.window(list, query, cursor, limit, false)
    }

    /// The same, for screens: headers, body and hashes of deliveries are `Null`, so that a window stays small
    /// whatever was sent.
    pub fn light_page(
        &self,
        list: List,
        query: &Query,
        cursor: &Cursor,
        limit: usize,
    ) -> Result<Page, Error> {
        self.window(list, query, cursor, limit, true)
    }

    fn window(
        &self,
        list: List,
        query: &Query,
        cursor: &Cursor,
        limit: usize,
        light: bool,
    ) -> Result<Page, Error> {
        let statement = plan::page(self, list, query, cursor, limit.saturating_add(1), light)?;
        if !query.is_empty() {
            self.begin_looking(list, cursor, statement.branches)?;
        }
        let mut rows = self.rows(&statement)?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        if plan::backward(cursor) {
            rows.reverse();
            let more_after = match (cursor, rows.last()) {
                (Cursor::Last, _) => false,
                (Cursor::Before(_), _) => true,
                (_, Some(lowest)) => self.any(list, query, &Cursor::After(lowest.key.clone()))?,
                (_, None) => self.any(list, query, &Cursor::First)?,
            };
            return Ok(Page {
                more_before: more,
                more_after,
                rows,
            });
        }
        let more_before = match (cursor, rows.first()) {
            (Cursor::First, _) => false,
            (Cursor::After(_), _) => true,
            (_, Some(first)) => self.any(list, query, &Cursor::Before(first.key.clone()))?,
            (_, None) => self.any(list, query, &Cursor::Last)?,
        };
        Ok(Page {
            rows,
            more_before,
            more_after: more,
        })
    }

    /// Notes from where to where a page of so many `branches` may have to look.
    fn begin_looking(&self, list: List, cursor: &Cursor, branches: usize) -> Result<(), Error> {
        let edge = |which: &str| -> Result<Option<String>, Error> {
            let source = Source::of(list)[0];
            let (sort, table) = (source.sort(), source.table());
            let mut found = None;
            self.each(
                &format!("select {which}({sort}) from {table} r"),
                &[],
                |row| {
                    found = row.get(0)?;
                    Ok(())
                },
            )?;
            Ok(found)
        };
        let (ahead, behind) = if plan::backward(cursor) {
            ("max", "min")
        } else {
            ("min", "max")
        };
        let from = match cursor {
            Cursor::First | Cursor::Last => edge(behind)?,
            Cursor::After(key) | Cursor::Before(key) | Cursor::From(key) | Cursor::To(key) => {
                Some(key.sort.clone())
            }
            Cursor::At(at) | Cursor::Since(at) => Some(at.clone()),
        };
        self.looked.begin(branches, from, edge(ahead)?);
        Ok(())
    }

    /// The steps by which SQLite would read that page, one each.
    pub fn explain(
        &self,
        list: List,
        query: &Query,
        cursor: &Cursor,
        limit: usize,
    ) -> Result<Vec<String>, Error> {
        let statement = plan::page(self, list, query, cursor, limit, true)?;
        let mut steps = Vec::new();
        let sql = format!("explain query plan {}", statement.sql);
        self.each(&sql, statement.bound.values(), |row| {
            steps.push(row.get(3)?);
            Ok(())
        })?;
        Ok(steps)
    }

    fn any(&self, list: List, query: &Query, cursor: &Cursor) -> Result<bool, Error> {
        let statement = plan::page(self, list, query, cursor, 1, true)?;
        Ok(!self.rows(&statement)?.is_empty())
    }

    /// How many rows meet `query`: exact up to `cap`, else from the roll-ups if they can tell, else more than `cap`.
    pub fn count(&self, list: List, query: &Query, cap: u64) -> Result<Count, Error> {
        let statement = plan::scan(
            self,
            list,
            query,
            |_, _| "1".to_owned(),
            cap.saturating_add(1),
        )?;
        let sql = format!("select count(*) from ({})", statement.sql);
        let counted = self
            .number(&sql, statement.bound.values())?
            .unwrap_or_default();
        let counted = u64::try_from(counted).unwrap_or_default();
        if counted <= cap {
            return Ok(Count::Exact(counted));
        }
        let about = match list {
            List::Deliveries if query.is_empty() => {
                self.number("select coalesce(max(seq), 0) from deliveries", &[])?
            }
            _ => self.rolled_up(list, query)?,
        };
        Ok(match about.map(u64::try_from) {
            Some(Ok(about)) if about > cap => Count::About(about),
            _ => Count::MoreThan(cap),
        })
    }

    fn rows(&self, statement: &Statement) -> Result<Vec<Row>, Error> {
        let mut rows = Vec::new();
        self.each(&statement.sql, statement.bound.values(), |row| {
            rows.push(Row {
                key: RowKey {
                    sort: row.get(0)?,
                    id: row.get(1)?,
                },
                cells: cells(row, 2)?,
            });
            Ok(())
        })?;
        Ok(rows)
    }

    /// Runs `sql` and hands over each row.
    fn each(
        &self,
        sql: &str,
        values: Values<'_>,
        mut take: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), Error> {
        let conn = self.conn.borrow();
        let mut read = || {
            let mut prepared = conn.prepare_cached(sql)?;
            bind(&mut prepared, values)?;
            let mut rows = prepared.raw_query();
            while let Some(row) = rows.next()? {
                take(row)?;
            }
            Ok(())
        };
        read().map_err(|error| schema::judge(&self.path, error))
    }

    fn number(&self, sql: &str, values: Values<'_>) -> Result<Option<i64>, Error> {
        let mut out = None;
        self.each(sql, values, |row| {
            out = row.get(0)?;
            Ok(())
        })?;
        Ok(out)
    }

    fn numbers(&self, sql: &str, values: Values<'_>) -> Result<Vec<i64>, Error> {
        let mut out = Vec::new();
        self.each(sql, values, |row| {
            out.push(row.get(0)?);
            Ok(())
        })?;
        Ok(out)
    }

    fn last_seq(&self) -> Result<i64, Error> {
        Ok(self
            .number("select max(seq) from deliveries", &[])?
            .unwrap_or_default())
    }

    /// The seqs between which everything lies that arrived within `span`; `None` if that is more than `most`. Imports
    /// keep their own times, so the first to arrive need not be the first in line.
    fn seqs_received(&self, span: Span, most: i64) -> Result<Option<Bounds>, Error> {
        const WITHIN: &str = "select min(seq), max(seq), count(*) from (select seq from deliveries \
                              indexed by deliveries_received where received_at >= ?1 \
                              and received_at < ?2 limit ?3)";
        let from = span.from.map_or(String::new(), |at| at.to_string());
        // Greater than every time.
        let to = span.to.map_or("~".to_owned(), |at| at.to_string());
        let values = [Sql::from(from), Sql::from(to), Sql::from(most + 1)];
        let mut found = (None, None, 0);
        self.each(WITHIN, &values, |row| {
            found = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(())
        })?;
        let (low, high, count): (Option<i64>, Option<i64>, i64) = found;
        Ok((count <= most).then(|| Bounds {
            low: Some((low.unwrap_or(1).into(), true)),
            high: Some((high.unwrap_or(0).into(), true)),
        }))
    }

    /// Every provider and account that sent something, by skipping through an index.
    pub(crate) fn accounts(&self) -> Result<Vec<(String, String)>, Error> {
        // A comparison of both columns at once would read every entry of the provider.
        const SAME: &str = "select provider, account from deliveries \
            indexed by deliveries_provider where provider = ?1 and account > ?2 \
            order by account limit 1";
        const NEXT: &str = "select provider, account from deliveries \
            indexed by deliveries_provider where provider > ?1 and ?2 is not null \
            order by provider, account limit 1";
        let conn = self.conn.borrow();
        let mut same = conn.prepare_cached(SAME)?;
        let mut next = conn.prepare_cached(NEXT)?;
        let mut out: Vec<(String, String)> = Vec::new();
        loop {
            let (provider, account) = out.last().cloned().unwrap_or_default();
            let pair = |statement: &mut Prepared<'_>| {
                statement
                    .query_row([&provider, &account], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()
            };
            match pair(&mut same)?.map_or_else(|| pair(&mut next), |found| Ok(Some(found)))? {
                Some(found) => out.push(found),
                None => return Ok(out),
            }
        }
    }

    /// Provider, account and id of the readers that `alias` is another id of.
    fn by_alias(&self, alias: &str) -> Result<Vec<(String, String, String)>, Error> {
        let mut out = Vec::new();
        self.each(
            "select provider, account, user_id from user_aliases where alias = ?1 limit 500",
            &[Sql::from(alias.to_owned())],
            |row| {
                out.push((row.get(0)?, row.get(1)?, row.get(2)?));
                Ok(())
            },
        )?;
        Ok(out)
    }
}

/// Binds as many of `values` as the statement names: a fragment that was left out took its own with it.
fn bind(prepared: &mut Prepared<'_>, values: Values<'_>) -> rusqlite::Result<()> {
    for (i, value) in values.iter().enumerate().take(prepared.parameter_count()) {
        prepared.raw_bind_parameter(i + 1, value)?;
    }
    Ok(())
}

/// The values of `row` from column `first` on.
fn cells(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Vec<Cell>> {
    let columns = row.as_ref().column_count();
    (first..columns).map(|i| row.get_ref(i).map(cell)).collect()
}

fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Int(number),
        ValueRef::Real(number) => Cell::Real(number),
        ValueRef::Text(bytes) => Cell::Text(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Blob(bytes) => Cell::Blob(bytes.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Ledger;

    #[test]
    fn what_is_read_beside_a_reader_ends_with_it() {
        const LONG: &str = "with recursive n(i) as (select 1 union all select i + 1 from n \
            limit 1000000) select count(*) from n";
        let ledger = Ledger::new();
        let reader = Reader::open(&ledger.path).unwrap();
        let beside = reader.beside();
        let other = beside.reader().unwrap();
        assert_eq!(other.number(LONG, &[]).unwrap(), Some(1_000_000));
        reader.interrupt().interrupt();
        let ended = other.number(LONG, &[]).unwrap_err();
        assert!(matches!(ended, Error::Interrupted), "{ended}");
        // The next question is another one.
        assert!(reader.beside().reader().unwrap().number(LONG, &[]).is_ok());
    }
}
