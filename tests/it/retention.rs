//! Bodies dropped for their age: no list and no figure changes, and every command says so instead of failing.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::types::Value;

use subledger::domain::time::{Clock, DAY_MS};

use crate::support::{FOLDED, Home, PATIENCE, Serving};

/// Every row of every list.
fn lists(home: &Home) -> Vec<String> {
    let conn = home.open();
    let mut all = Vec::new();
    for list in FOLDED {
        let mut statement = conn.prepare(&format!("select * from {list}")).unwrap();
        let width = statement.column_count();
        let rows = statement
            .query_map([], |row| {
                let values: Vec<Value> = (0..width).map(|n| row.get(n).unwrap()).collect();
                Ok(format!("{list} {values:?}"))
            })
            .unwrap();
        all.extend(rows.map(Result::unwrap));
    }
    all.sort();
    all
}

/// A home with a made-up year in its ledger.
fn year(settings: &str) -> Home {
    let home = Home::with_settings(settings);
    fs::create_dir_all(home.ledger().parent().unwrap()).unwrap();
    let ledger = home.ledger().display().to_string();
    home.done(&["demo", "--events", "1500", "--out", &ledger]);
    home
}

fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

const OLD: &str =
    "select count(*) from deliveries where outcome <> 'quarantined' and body is not null
    and received_at < strftime('%Y-%m-%dT%H:%M:%S', 'now', '-101 days')";

#[test]
fn a_year_without_its_old_bodies_says_what_it_said() {
    let home = year("[store]\nkeep_bodies = \"100d\"\n");
    let (before, bodies) = (lists(&home), home.number(OLD));
    assert!(bodies > 100, "{bodies}");
    assert!(
        home.done(&["prune", "--dry-run"])
            .contains("older than 100 days would go")
    );
    assert_eq!(home.number(OLD), bodies);
    assert!(home.done(&["prune"]).contains("bodies dropped"));
    assert_eq!(home.number(OLD), 0);
    assert!(home.number("select count(*) from deliveries where body is not null") > 100);
    assert_eq!(lists(&home), before);
    home.done(&["rebuild", "--check"]);
    assert!(
        home.done(&["verify"])
            .contains("without their body, which was dropped for its age")
    );
    assert!(home.done(&["prune"]).starts_with("0 bodies dropped"));
    says_so(&home);
}

/// What every command that shows a body says of one that is gone.
fn says_so(home: &Home) {
    let seq = home.number("select min(p.seq) from pruned p join users u on u.id / 10000 = p.seq");
    let seq = seq.to_string();
    assert!(home.done(&["show", &seq]).contains("dropped for its age"));
    let body = home.run(&["show", &seq, "--body"]);
    assert_eq!(body.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&body.stderr).contains("was dropped for its age"));
    let doctor = home.run(&["doctor"]);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("have gone"));
    let file = home.path().join("all.ndjson").display().to_string();
    home.done(&["export", "--deliveries", "--out", &file]);
    let other = Home::new();
    other.done(&["import", &file]);
    let whole = "select count(*) from deliveries where body is not null";
    assert_eq!(
        other.number("select count(*) from deliveries"),
        home.number(whole)
    );
    let who = home
        .open()
        .query_row(
            "select user_id from users where id / 10000 = ?1",
            [seq.parse::<i64>().unwrap()],
            |row| row.get::<_, String>(0),
        )
        .unwrap();
    let out = home.path().join("one.zip").display().to_string();
    home.done(&["user", "export", &who, "--out", &out]);
    // Erasing takes what was kept of it too.
    home.done(&["user", "erase", &who, "--yes"]);
    let left = format!("select count(*) from pruned where seq = {seq}");
    assert_eq!(home.number(&left), 0);
    let named = format!("select count(*) from users where user_id = '{who}'");
    assert_eq!(home.number(&named), 0);
    home.done(&["verify"]);
}

#[test]
fn the_receiver_drops_them_by_itself_and_answers_meanwhile() {
    let home = year("");
    assert_eq!(
        home.run(&["prune"]).status.code(),
        Some(2),
        "nothing is asked for"
    );
    let before = lists(&home);
    let serving = home.serve();
    let settings = home.path().join("config/subledger/subledger.toml");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(
        &settings,
        format!("{text}\n[store]\nkeep_bodies = \"soon\"\n"),
    )
    .unwrap();
    assert!(!home.run(&["reload"]).status.success());
    fs::write(
        &settings,
        format!("{text}\n[store]\nkeep_bodies = \"100d\"\n"),
    )
    .unwrap();
    let bodies = home.number(OLD);
    home.done(&["reload"]);
    let post = |serving: &Serving, n: i64| {
        let body = format!("{{\"event\":\"made.up\",\"id\":\"{n}\"}}");
        let answer = serving.post("conscent", "events", body.as_bytes()).unwrap();
        assert_eq!(answer.0, 200);
    };
    (0..20).for_each(|n| post(&serving, n));
    eventually("begun", || home.number(OLD) < bodies);
    serving.kill();
    let serving = home.serve();
    (20..40).for_each(|n| post(&serving, n));
    eventually("done", || home.number(OLD) == 0);
    assert_eq!(serving.terminate(), Some(0));
    assert_eq!(
        home.number("select count(*) from deliveries where origin = 'live' and body is not null"),
        40
    );
    home.done(&["verify"]);
    let after = lists(&home);
    let gone: Vec<_> = before
        .iter()
        .filter(|row| after.binary_search(row).is_err())
        .collect();
    assert!(gone.is_empty(), "{gone:?}");
}

#[test]
fn times_and_sizes_that_make_no_sense_are_told() {
    for (key, value) in [
        ("keep_bodies", "soon"),
        ("keep_bodies", "1h"),
        ("keep_bodies", "-4d"),
        ("keep_quarantine", "0d"),
        ("size_max", "12"),
        ("quarantine_max", "many"),
    ] {
        let home = Home::with_settings(&format!("[store]\n{key} = \"{value}\"\n"));
        let output = home.run(&["config", "check"]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{key} {value}: {told}");
        assert!(told.contains(key) && told.contains(value), "{told}");
    }
    let home = Home::with_settings(
        "[store]\nkeep_bodies = \"400d\"\nsize_max = \"20GiB\"\nkeep_quarantine = \"90d\"\nquarantine_max = \"64MiB\"\n",
    );
    home.done(&["config", "check"]);
    assert_eq!(
        home.run(&["prune"]).status.code(),
        Some(3),
        "there is no ledger"
    );
    assert!(!home.ledger().exists());
}

/// Webhooks of 1 KB that are between 400 days and a day old, with a word that stands only in their headers.
fn small_ones(home: &Home, count: i64) {
    let sample =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/samples/zotlo/transaction.json");
    let body = fs::read_to_string(sample).unwrap();
    let mut lines = String::new();
    for n in 0..count {
        let body = body
            .replace("can.deneme", &format!("reader-{}", n / 3))
            .replace("7ab1-8c02-d9e01f2a3b4c", &format!("request-{n}"))
            .replace("dc19h40b7e2-51aa-8e04", &format!("payment-{n}"))
            .replace("61204", &format!("9{n:05}"));
        let at = Clock::Machine
            .now()
            .plus_ms(-DAY_MS * (400 * (count - n) / count + 1));
        let line = serde_json::json!({
            "provider": "zotlo", "account": "main", "hook": "events", "received_at": at.to_string(),
            "headers": [["content-type", "application/json"], ["x-request-id", format!("sandpiper-{n:030}")]],
            "body": body,
        });
        lines = lines + &line.to_string() + "\n";
    }
    let file = home.path().join("small.ndjson");
    fs::write(&file, lines).unwrap();
    home.done(&["import", file.to_str().unwrap()]);
    fs::remove_file(file).unwrap();
}

/// How often the word of those webhooks stands in the file of the ledger, and its size.
fn stands(home: &Home) -> (usize, usize) {
    let bytes = fs::read(home.ledger()).unwrap();
    let times = bytes.windows(10).filter(|bytes| bytes == b"sandpiper-");
    (times.count(), bytes.len())
}

#[test]
fn a_file_of_small_bodies_shrinks_and_holds_no_copy_of_them() {
    let home = Home::with_settings("[store]\nkeep_bodies = \"100d\"\n");
    small_ones(&home, 1_200);
    let (before, size) = stands(&home);
    assert!(before >= 1_200, "{before}");
    let lists_before = lists(&home);
    home.done(&["prune"]);
    let kept = home.number("select count(*) from deliveries where body is not null");
    assert!((250..350).contains(&kept), "{kept}");
    let (left, smaller) = stands(&home);
    assert_eq!(i64::try_from(left).unwrap(), kept);
    assert!(smaller * 5 < size * 4, "{size} {smaller}");
    assert_eq!(lists(&home), lists_before);
    home.done(&["verify"]);
}

#[test]
fn the_receiver_overwrites_what_it_dropped_and_answers_meanwhile() {
    let home = Home::with_settings("[store]\nkeep_bodies = \"100d\"\n");
    small_ones(&home, 900);
    let serving = home.serve();
    let mut number = 0;
    let mut post = |serving: &Serving| {
        let body = format!("{{\"event\":\"made.up\",\"id\":\"{number}\"}}");
        let answer = serving.post("conscent", "events", body.as_bytes()).unwrap();
        assert_eq!(answer.0, 200);
        number += 1;
    };
    let due = "select count(*) from meta where key = 'overwrite_since'";
    eventually("something is dropped", || home.number(due) == 1);
    post(&serving);
    // Whatever it was doing, the next one goes on with it.
    serving.kill();
    let serving = home.serve();
    eventually("everything is dropped and overwritten", || {
        post(&serving);
        home.number(OLD) == 0 && home.number(due) == 0
    });
    assert_eq!(serving.terminate(), Some(0));
    let kept =
        home.number("select count(*) from deliveries where body is not null and origin = 'import'");
    assert_eq!(i64::try_from(stands(&home).0).unwrap(), kept);
    home.done(&["verify"]);
}
