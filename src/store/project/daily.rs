//! Rows of `daily`: events and distinct readers per day, account and type, tests left out (MAPPING.md rule 10.6).
//!
//! Imports domain. Counts up and down as events come and go, and never counts a day again from its events.

use std::collections::{BTreeMap, HashSet};

use rusqlite::{Connection, params};

use crate::domain::time::{DAY_MS, HOUR_MS, Timestamp, Zone};
use crate::store::Error;
use crate::store::project::order::{Scope, is_row, number, word};
use crate::store::project::recent::Recent;

/// One row's key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Cell {
    day: String,
    scope: Scope,
    kind: String,
}

/// What is counted of one event.
#[derive(Clone, Copy)]
pub(super) struct Counted<'a> {
    /// The day of its time.
    pub(super) day: &'a str,
    /// Whose it is.
    pub(super) scope: &'a Scope,
    /// The word of its type.
    pub(super) kind: &'a str,
    /// Its time.
    pub(super) at: Timestamp,
    /// The reader and their row; `None` if the event is about nobody.
    pub(super) reader: Option<(&'a str, i64)>,
}

/// Readers, days and types kept in memory, of some 150 bytes each.
const KEPT_MAX: usize = 8192;

/// Readers lately counted on a day, by type: they have an event that counts there, so none is looked for again.
#[derive(Debug)]
pub(super) struct Kept(Recent<(i64, Cell), ()>);

impl Default for Kept {
    fn default() -> Self {
        Self(Recent::new(KEPT_MAX))
    }
}

impl Kept {
    /// Whether the reader is known to have been counted there; from now on it is.
    fn meet(&mut self, users_id: i64, cell: &Cell) -> bool {
        let key = (users_id, cell.clone());
        let known = self.0.take(&key).is_some();
        self.0.put(key, (), 1);
        known
    }
}

/// What a batch adds or takes away.
#[derive(Default)]
pub(super) struct Daily {
    changes: BTreeMap<Cell, (i64, i64)>,
    met: HashSet<(i64, Cell)>,
}

impl Daily {
    /// Counts an event that is about to be stored. `is_first` says that the reader has none that counts on this day
    /// from before the batch, if that is known.
    pub(super) fn add(
        &mut self,
        conn: &Connection,
        event: Counted<'_>,
        is_first: bool,
        kept: &mut Kept,
    ) -> Result<(), Error> {
        let cell = event.cell();
        let mut users = 0;
        if let Some((user_id, users_id)) = event.reader
            && self.met.insert((users_id, cell.clone()))
            && !kept.meet(users_id, &cell)
            && (is_first || !stands(conn, event, user_id)?)
        {
            users = 1;
        }
        self.change(cell, 1, users);
        Ok(())
    }

    /// Counts an event down that was taken away; whether its reader counts no more on that day.
    pub(super) fn remove(&mut self, conn: &Connection, event: Counted<'_>) -> Result<bool, Error> {
        let cell = event.cell();
        let mut users = 0;
        if let Some((user_id, users_id)) = event.reader
            && self.met.insert((users_id, cell.clone()))
            && !stands(conn, event, user_id)?
        {
            users = -1;
        }
        self.change(cell, -1, users);
        Ok(users < 0)
    }

    fn change(&mut self, cell: Cell, events: i64, users: i64) {
        let change = self.changes.entry(cell).or_default();
        change.0 += events;
        change.1 += users;
    }

    /// Writes what was counted.
    pub(super) fn write(self, conn: &Connection) -> Result<(), Error> {
        for (cell, (events, users)) in self.changes {
            let Scope { provider, account } = &cell.scope;
            conn.prepare_cached(ADD)?.execute(params![
                cell.day, provider, account, cell.kind, events, users
            ])?;
            if events < 0 {
                conn.prepare_cached(DELETE_EMPTY)?
                    .execute(params![cell.day, provider, account, cell.kind])?;
            }
        }
        Ok(())
    }
}

/// Days counted anew, to be compared with what stands.
#[derive(Default)]
pub(super) struct Tally(BTreeMap<Cell, (i64, i64)>);

impl Tally {
    /// Counts an event.
    pub(super) fn event(&mut self, day: &str, scope: &Scope, kind: &str) {
        self.at(day, scope, kind).0 += 1;
    }

    /// Counts a reader, once for all their events of a day and type.
    pub(super) fn reader(&mut self, day: &str, scope: &Scope, kind: &str) {
        self.at(day, scope, kind).1 += 1;
    }

    fn at(&mut self, day: &str, scope: &Scope, kind: &str) -> &mut (i64, i64) {
        let (day, scope, kind) = (day.to_owned(), scope.clone(), kind.to_owned());
        self.0.entry(Cell { day, scope, kind }).or_default()
    }

    /// Counts what a table says.
    pub(super) fn table(&mut self, conn: &Connection) -> Result<(), Error> {
        let mut statement = conn.prepare_cached(ROWS)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let [day, kind]: [String; 2] = [row.get(0)?, row.get(3)?];
            let scope = Scope {
                provider: row.get(1)?,
                account: row.get(2)?,
            };
            let counted = self.at(&day, &scope, &kind);
            counted.0 += row.get::<_, i64>(4)?;
            counted.1 += row.get::<_, i64>(5)?;
        }
        Ok(())
    }

    /// Adds what was counted elsewhere.
    pub(super) fn join(&mut self, other: Self) {
        for (cell, (events, users)) in other.0 {
            let counted = self.0.entry(cell).or_default();
            counted.0 += events;
            counted.1 += users;
        }
    }

    /// Whether the table says the same.
    pub(super) fn stands(&self, conn: &Connection) -> Result<bool, Error> {
        let mut statement = conn.prepare_cached(ROWS)?;
        let mut rows = statement.query([])?;
        let mut counted = self.0.iter();
        while let Some(row) = rows.next()? {
            let Some((cell, (events, users))) = counted.next() else {
                return Ok(false);
            };
            let cells = [
                word(&cell.day),
                word(&cell.scope.provider),
                word(&cell.scope.account),
                word(&cell.kind),
                number(*events),
                number(*users),
            ];
            if !is_row(row, &cells)? {
                return Ok(false);
            }
        }
        Ok(counted.next().is_none())
    }
}

const ROWS: &str = "\
select day, provider, account, type, events, users from daily order by day, provider, account, type";

impl Counted<'_> {
    fn cell(self) -> Cell {
        Cell {
            day: self.day.to_owned(),
            scope: self.scope.clone(),
            kind: self.kind.to_owned(),
        }
    }
}

/// Whether nothing that happened by `to` is on the day of `at`. Where clocks are set back over midnight a day comes back,
/// so another day in between says nothing: what counts is where this one first begins.
pub(super) fn is_new_day(zone: Zone, to: Timestamp, at: Timestamp) -> bool {
    let day = at.utc().with_timezone(&zone.0).date_naive();
    to < at && to < zone.day_start(day) && to.utc().with_timezone(&zone.0).date_naive() != day
}

/// No day is longer, not even one that a country repeated by moving its date line.
const LONGEST_DAY_MS: i64 = 2 * DAY_MS + HOUR_MS;

pub(super) const STANDS: &str = "\
select exists (
  select 1 from events
  where provider = ?1 and account = ?2 and user_id = ?3 and at > ?4 and at < ?5
    and day = ?6 and type = ?7 and test = 0 and users_id is not null)";

/// Whether the reader has a stored event of this day and type that counts.
fn stands(conn: &Connection, event: Counted<'_>, user_id: &str) -> Result<bool, Error> {
    Ok(conn.prepare_cached(STANDS)?.query_row(
        params![
            event.scope.provider,
            event.scope.account,
            user_id,
            event.at.plus_ms(-LONGEST_DAY_MS).to_string(),
            event.at.plus_ms(LONGEST_DAY_MS).to_string(),
            event.day,
            event.kind,
        ],
        |row| row.get(0),
    )?)
}

const ADD: &str = "\
insert into daily (day, provider, account, type, events, users) values (?1, ?2, ?3, ?4, ?5, ?6)
on conflict do update set events = events + excluded.events, users = users + excluded.users";

const DELETE_EMPTY: &str = "\
delete from daily where day = ?1 and provider = ?2 and account = ?3 and type = ?4 and events = 0";

/// Every statement here that looks rows up, for the test of query plans.
#[cfg(test)]
pub(super) const LOOKUPS: &[&str] = &[STANDS, DELETE_EMPTY];
