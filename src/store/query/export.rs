//! Deliveries whole and in line, for another ledger.
//!
//! Read in stretches that end after so many numbers, rows or bytes, and handed over once the statement is done: whoever
//! writes them out may be slow, and must not keep the writer from its checkpoints.

use std::collections::HashMap;

use rusqlite::types::Value as Sql;

use crate::domain::page::{Cell, Column, List, Shape};
use crate::domain::query::Query;
use crate::store::Error;
use crate::store::query::filter::{Bound, Filter};
use crate::store::query::lists::{Source, columns, plain};
use crate::store::query::plan::Wanted;
use crate::store::query::{Reader, bind, cells};

/// So many numbers are looked at in one statement.
const SEQS_MAX: i64 = 20_000;
/// So many rows, and bytes of bodies, are held at once; one delivery may always be.
const ROWS_MAX: usize = 500;
const BYTES_MAX: i64 = 4 << 20;

/// When the delivery had arrived that a duplicate repeats: its number means nothing elsewhere.
const REPEATS_AT: Column = plain("repeats_at", "First one's arrival", Shape::Time);

/// Whether its body was dropped for its age.
const PRUNED: Column = plain("pruned", "Body dropped", Shape::Flag);

/// The columns of an exported delivery.
pub fn exported() -> Vec<Column> {
    let own = columns(List::Deliveries).iter();
    let own = own.filter(|column| column.name != "id").copied();
    own.chain([REPEATS_AT, PRUNED]).collect()
}

/// Some deliveries in line.
pub struct Stretch {
    /// A row of `exported` cells each.
    pub rows: Vec<Vec<Cell>>,
    /// Everything up to here was looked at.
    pub to: i64,
}

impl Reader {
    /// The next deliveries after number `after` and up to `last` that meet `query`: few, or none, where few do.
    pub fn stretch(&self, query: &Query, after: i64, last: i64) -> Result<Stretch, Error> {
        let mut bound = Bound::default();
        let condition = Filter {
            bound: &mut bound,
            plans: &[],
            held: &HashMap::new(),
            wanted: Wanted::All,
            imports: self.imports(),
        }
        .condition(Source::Deliveries, query.root());
        let to = last.min(after.saturating_add(SEQS_MAX));
        let (low, high) = (bound.add(after), bound.add(to));
        let columns: Vec<String> = exported().iter().map(expr).collect();
        let sql = format!(
            "select r.seq, r.body_bytes, {} from deliveries r not indexed \
             where r.seq > {low} and r.seq <= {high} and {condition} order by r.seq",
            columns.join(", ")
        );
        self.some_rows(&sql, bound.values(), to)
    }

    fn some_rows(&self, sql: &str, values: &[Sql], to: i64) -> Result<Stretch, Error> {
        let conn = self.conn.borrow();
        let mut prepared = conn.prepare_cached(sql)?;
        bind(&mut prepared, values)?;
        let mut found = prepared.raw_query();
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while let Some(row) = found.next()? {
            let (seq, body_bytes): (i64, i64) = (row.get(0)?, row.get(1)?);
            bytes += body_bytes;
            rows.push(cells(row, 2)?);
            if rows.len() >= ROWS_MAX || bytes >= BYTES_MAX {
                return Ok(Stretch { rows, to: seq });
            }
        }
        Ok(Stretch { rows, to })
    }
}

fn expr(column: &Column) -> String {
    if column.name == REPEATS_AT.name {
        return "(select f.received_at from deliveries f where f.seq = r.duplicate_of)".to_owned();
    }
    if column.name == PRUNED.name {
        return "iif(r.body is null and r.erased_at is null, 1, null)".to_owned();
    }
    format!("r.{}", column.name)
}
