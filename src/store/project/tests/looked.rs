//! A look finds nothing in what was folded, and something wherever one value or row is another.

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use rusqlite::types::Value;

use crate::domain::delivery::{Delivery, Reading};
use crate::domain::time::DAY_MS;
use crate::store::project::left::Left;
use crate::store::project::same::{Apart, Look, agreeing, entries};
use crate::store::project::tests::generated::{About, stream};
use crate::store::project::tests::{Ledger, START, Sent, zone};
use crate::store::project::{CLEAR, Read};

const CASES: u32 = 400;

/// So many deliveries are looked at in one piece, so that a case has several.
const PIECE: usize = 3;

/// Looks at all of the ledger as the comparison does, on one thread; deliveries without events were erased.
fn look(ledger: &Ledger) -> Result<(), Apart> {
    let parts: Vec<(Delivery, Reading, Option<String>)> = ledger
        .kept
        .iter()
        .map(|sent| (sent.delivery(), sent.reading(), sent.key.clone()))
        .collect();
    let batch: Vec<Read<'_>> = (1..)
        .zip(&parts)
        .map(|(seq, (delivery, reading, key))| Read {
            seq,
            delivery,
            reading,
            dedupe_key: key.as_deref(),
        })
        .collect();
    let conn = &ledger.conn;
    let end = i64::try_from(batch.len()).unwrap();
    let left = Left::of(conn, zone(), end)?;
    let mut look = Look::new(conn, &left.names, zone(), ledger.now);
    for piece in batch.chunks(PIECE) {
        let (first, last) = (piece[0].seq, piece[piece.len() - 1].seq);
        let whole: Vec<_> = piece
            .iter()
            .copied()
            .filter(|read| !read.reading.events().is_empty())
            .collect();
        look.deliveries(&whole, first - 1, last)?;
    }
    look.readers(0, end)?;
    let lone = look.seen.take_lone();
    look.groups(&lone)?;
    let mut outcome = Ok(());
    entries(conn, 2, &mut |some| {
        outcome = look.groups(&some);
        outcome.is_ok()
    })?;
    outcome?;
    let mut outcome = Ok(());
    agreeing(conn, 2, &mut |some| {
        outcome = look.consents(&some);
        outcome.is_ok()
    })?;
    outcome?;
    look.seen.accounts_for_all(conn, &left)
}

/// Erases a delivery as an erasure does, and leaves a residue.
fn erase(ledger: &mut Ledger, place: usize) {
    let seq = i64::try_from(place).unwrap() + 1;
    let erase = "insert into upkeep values ('erasure');
                 update deliveries set erased_at = received_at where seq in (select seq from erasing);
                 delete from upkeep";
    ledger.within(|projector, conn| {
        conn.execute("insert into erasing (seq) values (?1)", [seq])
            .unwrap();
        projector.note_residue(conn, &[seq]).unwrap();
    });
    ledger.retract(&[seq]);
    ledger.within(|projector, conn| {
        conn.execute_batch(erase).unwrap();
        projector.stand_in(conn, seq - 1, seq).unwrap();
        conn.execute_batch("delete from erasing").unwrap();
    });
    ledger.kept[place].events.clear();
}

/// One change of a value, or a row that goes.
#[derive(Clone, Debug)]
struct Change {
    table: usize,
    row: usize,
    column: usize,
    deletes: bool,
}

fn change() -> impl Strategy<Value = Change> {
    (
        0..CLEAR.len(),
        0_usize..64,
        0_usize..64,
        prop::bool::weighted(0.1),
    )
        .prop_map(|(table, row, column, deletes)| Change {
            table,
            row,
            column,
            deletes,
        })
}

fn count(ledger: &Ledger, sql: &str) -> usize {
    let count: i64 = ledger.conn.query_row(sql, [], |row| row.get(0)).unwrap();
    usize::try_from(count).unwrap()
}

/// Makes a change; what it was, or `None` where there is nothing to change or the schema refuses it.
fn make(ledger: &Ledger, change: &Change) -> Option<String> {
    let (table, _) = CLEAR[change.table];
    let rows = count(ledger, &format!("select count(*) from {table}"));
    let row = change.row.checked_rem(rows)?;
    let columns = names(
        ledger,
        &format!("select name from pragma_table_info('{table}') order by cid"),
    );
    let key = names(
        ledger,
        &format!("select name from pragma_table_info('{table}') where pk > 0 order by pk"),
    )
    .join(", ");
    let which =
        format!("({key}) = (select {key} from {table} order by {key} limit 1 offset {row})");
    if change.deletes {
        let sql = format!("delete from {table} where {which}");
        return ledger.conn.execute(&sql, []).ok().map(|_| sql);
    }
    let column = &columns[change.column % columns.len()];
    let value: Value = ledger
        .conn
        .query_row(
            &format!("select {column} from {table} where {which}"),
            [],
            |row| row.get(0),
        )
        .unwrap();
    // A whole number fits into a column of any type, and text into most.
    let tried = match &value {
        Value::Null => vec![Value::Integer(1)],
        Value::Integer(number) => vec![Value::Integer(number ^ 1)],
        Value::Real(number) => vec![Value::Real(number + 1.0)],
        Value::Text(text) => [&format!("{text}x"), "given", "refused"]
            .map(|word| Value::Text(word.to_owned()))
            .to_vec(),
        Value::Blob(_) => return None,
    };
    let sql = format!("update {table} set {column} = ?1 where {which}");
    tried
        .into_iter()
        .filter(|other| *other != value)
        .find(|other| ledger.conn.execute(&sql, [other]).is_ok())
        .map(|other| format!("{sql} -- {other:?}"))
}

fn names(ledger: &Ledger, sql: &str) -> Vec<String> {
    let mut statement = ledger.conn.prepare(sql).unwrap();
    let names = statement.query_map([], |row| row.get(0)).unwrap();
    names.collect::<rusqlite::Result<_>>().unwrap()
}

fn check(about: About) {
    let config = ProptestConfig {
        failure_persistence: None,
        cases: CASES,
        ..ProptestConfig::default()
    };
    let ledger = RefCell::new(Ledger::new(START));
    // What is changed for good is another case's affair: nothing else may refuse it.
    ledger
        .borrow()
        .conn
        .pragma_update(None, "foreign_keys", false)
        .unwrap();
    let erased = proptest::option::of(0_usize..12);
    let cases = (stream(about, true, 12), 0_i64..80, change(), erased);
    TestRunner::new(config)
        .run(&cases, |(all, days, change, erased)| {
            let mut ledger = ledger.borrow_mut();
            ledger.and_back(START.plus_ms(days * DAY_MS), |ledger| {
                looked(ledger, &all, &change, erased)
            })
        })
        .unwrap();
}

fn looked(
    ledger: &mut Ledger,
    all: &[Sent],
    change: &Change,
    erased: Option<usize>,
) -> Result<(), TestCaseError> {
    ledger.send(all);
    ledger.tick(ledger.now);
    if let Some(place) = erased {
        erase(ledger, place % all.len());
    }
    let whole = look(ledger);
    prop_assert!(whole.is_ok(), "found in what was folded: {whole:?}");
    if let Some(made) = make(ledger, change) {
        prop_assert!(look(ledger).is_err(), "not found: {made}");
    }
    Ok(())
}

#[test]
fn a_look_at_users_finds_every_change() {
    check(About::Users);
}

#[test]
fn a_look_at_subscriptions_finds_every_change() {
    check(About::Subscriptions);
}

#[test]
fn a_look_at_cancellations_finds_every_change() {
    check(About::Cancellations);
}

#[test]
fn a_look_at_consents_finds_every_change() {
    check(About::Consents);
}

#[test]
fn a_look_at_payments_finds_every_change() {
    check(About::Payments);
}

#[test]
fn a_look_at_everything_finds_every_change() {
    check(About::Daily);
}
