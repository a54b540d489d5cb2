//! Ctrl-C: what was written so far is out, and the exit code is 130.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{Home, PATIENCE, signal};

/// Starts a command, signals it after its first line, and gives all that it wrote; it must have ended with 130.
pub(crate) fn interrupted(home: &Home, args: &[&str], kind: Signal) -> String {
    let mut child = home
        .command(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    stdout.read_line(&mut text).unwrap();
    signal(&child, kind);
    stdout.read_to_string(&mut text).unwrap();
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(130), "{args:?} {kind:?}: {said}");
    assert_eq!(said, "subledger: interrupted\n", "{args:?}");
    assert!(text.ends_with('\n'), "{args:?}: {text:?}");
    text
}

#[test]
fn a_follower_is_interrupted() {
    let home = Home::new();
    let _serving = home.serve();
    let text = interrupted(
        &home,
        &["events", "--follow", "--format", "tsv"],
        Signal::INT,
    );
    assert!(text.starts_with("id\t"), "{text}");
}

#[test]
fn a_made_up_year_is_whole_or_not_there() {
    let home = Home::new();
    let dir = home.path().join("years");
    std::fs::create_dir(&dir).unwrap();
    let file = dir.join("year.db");
    let args = [
        "demo",
        "--events",
        "1000000",
        "--out",
        file.to_str().unwrap(),
    ];
    let child = home.command(&args).stderr(Stdio::piped()).spawn().unwrap();
    let is_begun = || {
        let made = std::fs::read_dir(&dir).unwrap().next()?.ok()?.path();
        std::fs::metadata(made.join("demo.db-wal")).ok()
    };
    let deadline = Instant::now() + PATIENCE;
    while is_begun().is_none() {
        assert!(Instant::now() < deadline, "no year is begun");
        std::thread::sleep(Duration::from_millis(10));
    }
    signal(&child, Signal::INT);
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(130), "{said}");
    assert_eq!(said, "subledger: interrupted\n");
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
}

#[test]
fn sending_is_interrupted() {
    let home = Home::new();
    let _serving = home.serve();
    let args = ["send", "zotlo", "--count", "1000000", "--rate", "2"];
    let text = interrupted(&home, &args, Signal::INT);
    assert!(text.starts_with("200 stored as 1"), "{text}");
}

#[test]
fn a_question_is_interrupted_and_its_rows_are_out() {
    let home = Home::new();
    drop(home.serve());
    // Rows beyond what is held back, then a search without an end.
    let sql = "with recursive n(i) as (select 1 union all select i + 1 from n)
               select i from n where i <= 20000 or i < 0";
    for format in ["csv", "tsv", "ndjson"] {
        let args = [
            "sql",
            sql,
            "--limit",
            "0",
            "--time-limit",
            "600",
            "--format",
            format,
        ];
        let text = interrupted(&home, &args, Signal::INT);
        let rows = text.lines().filter(|line| !line.starts_with('i'));
        for (n, row) in rows.enumerate() {
            assert!(row.contains(&(n + 1).to_string()), "{row}");
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let home = Home::new();
    drop(home.serve());
    let sql = "with recursive n(i) as (select 1 union all select i + 1 from n) select i from n";
    let mut child = home
        .command(&["sql", sql, "--limit", "0", "--format", "tsv"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    drop(stdout);
    let ended = child.wait_with_output().unwrap();
    assert_eq!(
        (ended.status.code(), ended.stderr.as_slice()),
        (Some(0), &b""[..])
    );
}
