//! The publisher's own SQL, and the twenty questions that come with the program.

use std::time::Duration;

use subledger::domain::page::Cell;
use subledger::store::Error;
use subledger::store::query::Reader;

use crate::queries::generated::{ledger, reader};

fn run(reader: &Reader, sql: &str, limit: Option<u64>) -> Result<(Vec<Vec<Cell>>, bool), Error> {
    let mut rows = Vec::new();
    let outcome = reader.sql(sql, limit, Duration::from_secs(5), &mut |_, row| {
        rows.push(row);
        Ok(())
    })?;
    Ok((rows, outcome.truncated))
}

#[test]
fn only_statements_that_read_are_run() {
    let ledger = ledger(1, 40);
    let reader = reader(&ledger);
    for sql in [
        "delete from events",
        "insert into views values ('a', 'b', 'c', 'd')",
        "update meta set value = '1'",
        "create table x (a)",
        "create temp table x (a)",
        "drop table events",
        "attach database '/tmp/other.db' as other",
        "detach database main",
        "pragma query_only = off",
        "pragma query_only(0)",
        "pragma journal_mode = delete",
        "pragma wal_checkpoint",
        "pragma writable_schema = on",
        "pragma optimize",
        "begin immediate",
        "vacuum into '/tmp/copy.db'",
        "select 1; select 2",
        "select 1; delete from events",
        "select load_extension('x')",
        "select nonsense",
        "select ?1",
        "",
        "-- nothing",
    ] {
        let refused = run(&reader, sql, None);
        assert!(
            matches!(refused, Err(Error::Refused(_))),
            "{sql}: {refused:?}"
        );
    }
    let (rows, _) = run(&reader, "select count(*) from deliveries", None).unwrap();
    assert_eq!(rows, [[Cell::Int(40)]]);
    let (rows, _) = run(&reader, "pragma table_info(events)", None).unwrap();
    assert!(rows.len() > 20);
    assert!(run(&reader, "explain query plan select * from events;", None).is_ok());
    assert!(
        run(
            &reader,
            "with x(a) as (values (1)) select a from x; -- done",
            None
        )
        .is_ok()
    );
}

#[test]
fn a_limit_is_announced_and_names_are_known_without_rows() {
    let ledger = ledger(1, 40);
    let reader = reader(&ledger);
    let (rows, truncated) = run(&reader, "select seq from deliveries", Some(10)).unwrap();
    assert!(rows.len() == 10 && truncated);
    let (rows, truncated) = run(&reader, "select seq from deliveries", Some(40)).unwrap();
    assert!(rows.len() == 40 && !truncated);
    let outcome = reader
        .sql(
            "select seq as a, 1 as b from deliveries where 0",
            None,
            Duration::from_secs(5),
            &mut |_, _| Ok(()),
        )
        .unwrap();
    assert_eq!(outcome.names, ["a", "b"]);
}

#[test]
fn an_endless_statement_is_stopped_and_the_reader_goes_on() {
    let ledger = ledger(1, 40);
    let reader = reader(&ledger);
    let endless =
        "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n";
    let stopped = reader.sql(endless, None, Duration::from_millis(50), &mut |_, _| Ok(()));
    assert!(
        matches!(&stopped, Err(Error::Refused(why)) if why.contains("stopped")),
        "{stopped:?}"
    );
    assert!(run(&reader, "select 1", None).is_ok());
    assert!(reader.status(crate::queries::generated::now()).is_ok());
}

#[test]
fn the_twenty_questions_run_here_and_in_the_shell() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/queries");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert_eq!(files.len(), 20);
    let ledger = ledger(21, 200);
    let reader = reader(&ledger);
    let shell = std::process::Command::new("sqlite3")
        .arg("--version")
        .output()
        .is_ok();
    if !shell {
        eprintln!("no sqlite3 shell here: the questions run on the bundled engine only");
    }
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let title = text.lines().next().unwrap_or_default();
        assert!(
            title.starts_with("-- ") && title.len() <= 80,
            "{file:?}: {title:?}"
        );
        let names = reader
            .sql(&text, None, Duration::from_secs(10), &mut |_, _| Ok(()))
            .unwrap_or_else(|error| panic!("{file:?}: {error}"))
            .names;
        assert!(names.len() >= 2, "{file:?}");
        if shell {
            let output = std::process::Command::new("sqlite3")
                .args(["-readonly", "-bail"])
                .arg(&ledger.path)
                .stdin(std::fs::File::open(&file).unwrap())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success() && said.is_empty(),
                "{file:?}: {said}"
            );
        }
    }
}
