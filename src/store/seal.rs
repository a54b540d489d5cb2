//! The seal of a delivery: a checksum over every column that its link does not cover.
//!
//! The chain proves what arrived; outcome, marks, headers and the like may change with upkeep, so they cannot stand in
//! it. A seal finds damage to them, not forgery: it needs no secret. It is kept by triggers of the writing connection,
//! so no statement that changes a delivery can forget it. A row of `seals` takes about 16 bytes.

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;
use sha2::{Digest, Sha256};

use crate::store::Error;

/// What is sealed, in this order, with `x.` before each column: `seq` first, so that no row passes for another.
const SEALED: [&str; 17] = [
    "seq",
    "outcome",
    "duplicate_of",
    "reason",
    "dedupe_policy",
    "dedupe_key",
    "confidence",
    "credential",
    "identity_proof",
    "remote_ip",
    "origin",
    "test",
    "provider_type",
    "reader_version",
    "body_bytes",
    "erased_at",
    "headers",
];

/// The sealed columns of the row that is called `row`, and the kind of its body, divided by commas.
pub(crate) fn sealed(row: &str) -> String {
    let mut columns: Vec<_> = SEALED.iter().map(|name| format!("{row}.{name}")).collect();
    columns.push(format!("typeof({row}.body)"));
    columns.join(", ")
}

/// How many values `sealed` names.
pub(crate) const WIDTH: usize = SEALED.len() + 1;

/// The first eight bytes of SHA-256 over the values, each behind its kind and its length.
pub(crate) fn seal_of<'a>(values: impl Iterator<Item = ValueRef<'a>>) -> i64 {
    let mut hash = Sha256::new();
    for value in values {
        let number;
        let (kind, bytes) = match value {
            ValueRef::Null => (0, &[][..]),
            ValueRef::Integer(whole) => {
                number = whole.to_be_bytes();
                (1, &number[..])
            }
            ValueRef::Real(real) => {
                number = real.to_be_bytes();
                (2, &number[..])
            }
            ValueRef::Text(bytes) => (3, bytes),
            ValueRef::Blob(bytes) => (4, bytes),
        };
        hash.update([kind]);
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    }
    let whole = hash.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&whole[..8]);
    i64::from_be_bytes(first)
}

/// From here on, whatever `conn` does to a delivery is sealed in the same transaction.
pub(crate) fn keep(conn: &Connection) -> Result<(), Error> {
    add_function(conn)?;
    let new = sealed("new");
    conn.execute_batch(&format!(
        "create temp trigger if not exists delivery_is_new after insert on main.deliveries
         begin insert into seals (seq, seal) values (new.seq, seal({new})); end;
         create temp trigger if not exists delivery_has_changed after update on main.deliveries
         begin insert or replace into seals (seq, seal) values (new.seq, seal({new})); end"
    ))?;
    Ok(())
}

/// Seals what is there.
pub(crate) fn seal_all(conn: &Connection) -> Result<(), Error> {
    add_function(conn)?;
    conn.execute_batch(&format!(
        "insert into seals (seq, seal) select d.seq, seal({}) from deliveries d order by d.seq",
        sealed("d")
    ))?;
    Ok(())
}

fn add_function(conn: &Connection) -> Result<(), Error> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    conn.create_scalar_function("seal", -1, flags, |ctx| {
        Ok(seal_of((0..ctx.len()).map(|place| ctx.get_raw(place))))
    })?;
    Ok(())
}
