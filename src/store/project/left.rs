//! What stands in the projections for deliveries that were erased, folded again by itself and compared.
//!
//! Imports domain. It depends on nothing else and nothing on it, so a table in memory is enough; the rest of a look
//! leaves these rows out.

use std::collections::HashSet;

use rusqlite::types::Value;
use rusqlite::{Connection, Row};

use crate::domain::time::{Timestamp, Zone};
use crate::store::project::daily::Tally;
use crate::store::project::residue;
use crate::store::schema;
use crate::store::{Error, Mode, connect};

/// The tables that it has rows in, but for `daily`; each with one id.
const TABLES: [&str; 6] = [
    "events",
    "users",
    "subscriptions",
    "cancellations",
    "consent_changes",
    "payments",
];

/// The rows.
pub(crate) struct Left {
    conn: Connection,
    pub(crate) names: Names,
}

/// What the rest of a look leaves out.
pub(crate) struct Names {
    /// Events, and the payments of the same ids.
    pub(super) events: HashSet<i64>,
    pub(super) users: HashSet<i64>,
    pub(super) subscriptions: HashSet<String>,
}

impl Left {
    /// What is left of the deliveries of `ledger` up to `end`.
    pub(crate) fn of(ledger: &Connection, zone: Zone, end: i64) -> Result<Self, Error> {
        let mut conn = connect(std::path::Path::new(":memory:"), Mode::Fill)?;
        schema::create(&mut conn, zone, Timestamp::from_ms(0))?;
        conn.execute_batch("pragma foreign_keys = off; begin")?;
        residue::stand_in_of(ledger, &conn, zone, 0, end)?;
        conn.execute_batch("commit")?;
        let events = ids(&conn, "select id from events")?;
        let users = ids(&conn, "select id from users")?;
        let subscriptions = ids(
            &conn,
            "select subscription_id from subscriptions
             union select subscription_id from events where subscription_id is not null",
        )?;
        let names = Names {
            events,
            users,
            subscriptions,
        };
        Ok(Self { conn, names })
    }

    /// How many rows each table has of it, where the ledger has the same; `None` where it has not.
    pub(super) fn stands(&self, ledger: &Connection) -> Result<Option<Vec<(&str, u64)>>, Error> {
        let mut counts = Vec::new();
        for table in TABLES {
            let mut wanted = self.conn.prepare(&format!("select * from {table}"))?;
            let id = wanted.column_index("id")?;
            let width = wanted.column_count();
            let mut stored = ledger.prepare(&format!("select * from {table} where id = ?1"))?;
            let mut rows = wanted.query([])?;
            let mut count = 0;
            while let Some(row) = rows.next()? {
                let wanted = values(row, width)?;
                let mut found = stored.query([&wanted[id]])?;
                match found.next()? {
                    Some(row) if values(row, width)? == wanted => count += 1,
                    _ => return Ok(None),
                }
            }
            counts.push((table, count));
        }
        Ok(Some(counts))
    }

    /// Adds what it counts on past days.
    pub(super) fn tally(&self, tally: &mut Tally) -> Result<(), Error> {
        tally.table(&self.conn)
    }
}

fn values(row: &Row<'_>, width: usize) -> rusqlite::Result<Vec<Value>> {
    (0..width).map(|place| row.get(place)).collect()
}

fn ids<T: rusqlite::types::FromSql + Eq + std::hash::Hash>(
    conn: &Connection,
    sql: &str,
) -> Result<HashSet<T>, Error> {
    let mut statement = conn.prepare(sql)?;
    let ids = statement.query_map([], |row| row.get(0))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}
