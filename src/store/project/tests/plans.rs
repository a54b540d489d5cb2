//! Every statement of the folds that looks rows up finds them by an index.

use rusqlite::types::Null;

use crate::store::project::tests::{Ledger, START};
use crate::store::project::{CLEAR, consents, daily, events, groups, payments, residue, users};
use crate::store::upkeep::again::drop_lists;

fn plan(ledger: &Ledger, sql: &str) -> Vec<String> {
    let mut statement = ledger
        .conn
        .prepare(&format!("explain query plan {sql}"))
        .unwrap();
    let bound = vec![Null; statement.parameter_count()];
    let steps = statement
        .query_map(rusqlite::params_from_iter(bound), |row| row.get(3))
        .unwrap();
    steps.map(Result::unwrap).collect()
}

fn lookups() -> Vec<&'static str> {
    let all = [
        events::LOOKUPS,
        users::LOOKUPS,
        daily::LOOKUPS,
        payments::LOOKUPS,
        consents::LOOKUPS,
        groups::LOOKUPS,
        residue::LOOKUPS,
    ];
    all.concat()
}

#[test]
fn no_fold_scans_a_table() {
    let ledger = Ledger::new(START);
    for sql in lookups() {
        let plan = plan(&ledger, sql);
        assert!(!plan.is_empty(), "{sql}");
        for step in &plan {
            let is_constant = step == "SCAN CONSTANT ROW";
            assert!(is_constant || !step.starts_with("SCAN"), "{sql}\n{plan:?}");
        }
    }
}

#[test]
fn what_is_folded_again_finds_rows_by_the_indexes_of_the_ledger() {
    let ledger = Ledger::new(START);
    let whole: Vec<_> = lookups().iter().map(|sql| plan(&ledger, sql)).collect();
    drop_lists(&ledger.conn).unwrap();
    for (sql, whole) in lookups().iter().zip(whole) {
        assert_eq!(plan(&ledger, sql), whole, "{sql}");
    }
}

#[test]
fn emptying_a_list_seeks_the_few_rows_that_it_takes_away() {
    let ledger = Ledger::new(START);
    for (table, few) in CLEAR {
        let plan = plan(&ledger, &format!("delete from {table} where {few}"));
        assert!(
            plan[0].starts_with(&format!("SEARCH {table} USING")),
            "{plan:?}"
        );
    }
}

#[test]
fn one_reader_s_subscriptions_are_found_without_their_sign_ins() {
    let ledger = Ledger::new(START);
    for (sql, index) in [
        (groups::BY_READER, "events_folded"),
        (consents::TOLD, "events_folded"),
        (groups::BY_ID, "events_subscription"),
        (users::SAID, "events_users"),
        (users::SINCE, "events_user"),
        (daily::STANDS, "events_user"),
        (groups::DUE, "subscriptions_clock"),
    ] {
        let plan = plan(&ledger, sql);
        assert!(
            plan.iter().any(|step| step.contains(&format!(" {index} "))),
            "{plan:?}"
        );
    }
}
