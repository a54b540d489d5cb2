//! `export` and `import`: what one ledger writes another one takes in, byte for byte and once.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::types::Value;
use rustix::process::Signal;
use subledger::providers;

use crate::interrupts::interrupted;
use crate::support::{FOLDED, Home, PATIENCE, Said, Serving, signal};

/// The one object that `import --json` writes.
fn counts(said: &Said) -> serde_json::Value {
    let mut array: Vec<serde_json::Value> = serde_json::from_str(&said.out).unwrap();
    array.remove(0)
}

fn number(counts: &serde_json::Value, key: &str) -> i64 {
    counts[key].as_i64().unwrap()
}

fn open(path: &Path) -> Connection {
    Connection::open(path).unwrap()
}

/// Every row of a relation, without what belongs to one ledger alone: numbers of rows and deliveries.
fn rows(db: &Connection, relation: &str) -> Vec<String> {
    let own = [
        "id",
        "seq",
        "users_id",
        "duplicate_of",
        "salt",
        "commitment",
        "link",
        "credential",
        "origin",
    ];
    let mut names = db
        .prepare("select name from pragma_table_info(?1)")
        .unwrap();
    let names: Vec<String> = names
        .query_map([relation], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .filter(|name: &String| !own.contains(&name.as_str()))
        .collect();
    let sql = format!("select {} from {relation}", names.join(", "));
    let mut statement = db.prepare(&sql).unwrap();
    let width = names.len();
    let rows = statement.query_map([], |row| {
        (0..width).try_fold(String::new(), |mut text, place| {
            let value: Value = row.get(place)?;
            write!(text, "{value:?} ").unwrap();
            Ok(text)
        })
    });
    let mut rows: Vec<String> = rows.unwrap().map(Result::unwrap).collect();
    rows.sort();
    rows
}

fn same_relations(one: &Connection, other: &Connection, relations: &[&str]) {
    for relation in relations {
        let (left, right) = (rows(one, relation), rows(other, relation));
        assert!(!left.is_empty(), "{relation} is empty");
        let only: Vec<_> = left.iter().filter(|row| !right.contains(row)).collect();
        assert_eq!(only, Vec::<&String>::new(), "{relation}");
        assert_eq!(left.len(), right.len(), "{relation}");
    }
}

fn is_sound(home: &Home, db: &str) {
    home.succeeds(&["--db", db, "verify"]);
    home.succeeds(&["--db", db, "rebuild", "--check"]);
}

/// Every sample of every provider, and bodies that nobody can read.
fn post_all(serving: &Serving) {
    for provider in providers::ALL {
        for sample in provider.samples() {
            let answer = serving.post(provider.id(), sample.hook, sample.body.as_bytes());
            assert_eq!(answer.unwrap().0, 200);
        }
    }
    let odd: [&[u8]; 6] = [
        b"",
        b"\xff\xfe\x00{",
        b"null \0 and more",
        b" {\"a\" : 1e400, \"a\":\"\\ud800\"}\r\n",
        "\u{1b}[2J \u{202e} \"quoted\" \\ \u{1f4a1}".as_bytes(),
        b"{\"base64\":\"AAAA\"}",
    ];
    for body in odd.iter().chain(&odd[..2]) {
        assert_eq!(serving.post("zotlo", "events", body).unwrap().0, 200);
    }
}

#[test]
fn an_exported_ledger_comes_back_whole_and_once() {
    let home = Home::with_settings(
        "[providers.conscent.accounts.weekly]\npath_key = \"k_anotheranotheranotheranother\"\n",
    );
    let serving = home.serve();
    post_all(&serving);
    // The same webhooks again: repeats in the first ledger, and repeats in the second.
    post_all(&serving);
    drop(serving);
    let db = |name: &str| home.path().join(name).display().to_string();
    let (file, other, a) = (db("a.ndjson"), db("b.db"), home.ledger());
    home.succeeds(&["export", "--deliveries", "--out", &file]);
    let output = home.succeeds(&["--db", &other, "import", &file, "--json"]);
    let first = counts(&output);
    let b = open(Path::new(&other));
    let a = open(&a);
    let all = rows(&a, "deliveries").len();
    assert_eq!(number(&first, "lines"), i64::try_from(all).unwrap());
    assert!(number(&first, "repeats") > 10, "{first}");
    assert!(number(&first, "quarantined") > 5, "{first}");
    same_relations(&a, &b, &FOLDED);
    same_relations(&a, &b, &["deliveries"]);
    is_sound(&home, &other);
    for ledger in [other.as_str(), home.ledger().to_str().unwrap()] {
        let again = counts(&home.succeeds(&["--db", ledger, "import", &file, "--json"]));
        assert_eq!(number(&again, "present"), number(&first, "lines"));
        assert_eq!(rows(&open(Path::new(ledger)), "deliveries").len(), all);
    }
    // The export of the copy is the export, but for what belongs to one ledger alone.
    let back = db("b.ndjson");
    home.succeeds(&["--db", &other, "export", "--deliveries", "--out", &back]);
    let bodies = |file: &str| -> Vec<String> {
        let text = std::fs::read_to_string(file).unwrap();
        let lines = text.lines().map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            format!(
                "{} {} {}",
                row["received_at"], row["body"], row["repeats_at"]
            )
        });
        lines.collect()
    };
    assert_eq!(bodies(&file), bodies(&back));
}

#[test]
fn a_made_up_year_is_the_same_year_elsewhere() {
    let home = Home::new();
    let db = |name: &str| home.path().join(name).display().to_string();
    let (a, b, file) = (db("a.db"), db("b.db"), db("a.ndjson"));
    let year = [
        "demo",
        "--events",
        "1200",
        "--until",
        "2026-11-01T09:00:00Z",
        "--out",
        &a,
    ];
    home.succeeds(&year);
    // Made by the clock of its own year: what today's clock changes is changed in both.
    home.succeeds(&["--db", &a, "rebuild"]);
    home.succeeds(&["--db", &a, "export", "--deliveries", "--out", &file]);
    home.succeeds(&["--db", &b, "import", &file]);
    let (one, other) = (open(Path::new(&a)), open(Path::new(&b)));
    let folded = FOLDED.map(|relation| match relation {
        // Nobody in that year has a second id.
        "user_aliases" => "events",
        relation => relation,
    });
    same_relations(&one, &other, &folded);
    is_sound(&home, &b);
}

#[test]
fn what_the_old_box_still_got_comes_over_and_counts_once() {
    let home = Home::new();
    let zotlo = |n: u32| {
        format!(
            "{{\"registerDate\":\"2026-10-01 09:00:00\",\"country\":\"TR\",\"subscriberId\":\"r{n}\",\"packageId\":\"p\",\
             \"email\":\"r{n}@example.org\",\"queue\":{{\"id\":{n}}}}}"
        )
    };
    let sample = |provider: usize, nth: usize| providers::ALL[provider].samples()[nth];
    let serving = home.serve();
    for nth in 0..3 {
        let one = sample(0, nth);
        serving.post("conscent", one.hook, one.body.as_bytes());
    }
    assert_eq!(serving.terminate(), Some(0));
    let moved = home.path().join("moved.db");
    std::fs::copy(home.ledger(), &moved).unwrap();
    // The old box goes on for a while.
    let serving = home.serve();
    for provider in [1, 2, 3] {
        for one in providers::ALL[provider].samples() {
            serving.post(providers::ALL[provider].id(), one.hook, one.body.as_bytes());
        }
    }
    serving.post("zotlo", "events", zotlo(1).as_bytes());
    assert_eq!(serving.terminate(), Some(0));
    let export = home.succeeds(&["export", "--deliveries"]);
    let moved = moved.display().to_string();
    let output = home.given(&["--db", &moved, "import", "-", "--json"], &export.out);
    assert_eq!(output.code, 0, "{}", output.err);
    let merged = counts(&output);
    assert_eq!(number(&merged, "present"), 3);
    same_relations(&home.open(), &open(Path::new(&moved)), &FOLDED);
    is_sound(&home, &moved);
}

const BAD: &[(&str, &str)] = &[
    ("not json", "not JSON"),
    ("[1]", "no JSON object"),
    (r#"{"a":1}"#, "--as-of"),
    (
        r#"{"provider":"zotl","hook":"events","received_at":"2026-01-01","body":"{}"}"#,
        "\"zotlo\"",
    ),
    (
        r#"{"provider":"zotlo","hook":"event","received_at":"2026-01-01","body":"{}"}"#,
        "\"events\"",
    ),
    (
        r#"{"provider":"conscent","hook":"signup","received_at":"2026-01-01","body":"{}"}"#,
        "\"sign-up\"",
    ),
    (
        r#"{"provider":"zotlo","hok":"events","received_at":"2026-01-01","body":"{}"}"#,
        "`hok`",
    ),
    (
        r#"{"provider":"zotlo","hook":"events","received_at":"2026-01-01","body":"{}","acount":"b"}"#,
        "`account`",
    ),
    (
        r#"{"provider":"zotlo","hook":"events","received_at":"2026-01-01","body":"{}","account":"B!"}"#,
        "no name",
    ),
    (
        r#"{"provider":"zotlo","hook":"events","received_at":"soon","body":"{}"}"#,
        "no time",
    ),
    (
        r#"{"provider":"zotlo","hook":"events","received_at":"2199-01-01","body":"{}"}"#,
        "future",
    ),
    (
        r#"{"provider":"zotlo","hook":"events","received_at":"1999-12-31","body":"{}"}"#,
        "before 2000",
    ),
    (
        r#"{"provider":"zotlo","hook":"events","received_at":"2026-01-01"}"#,
        "no `body`",
    ),
    (
        r#"{"provider":"zotlo","hook":"events","received_at":"2026-01-01","body":"\ud800"}"#,
        "body_base64",
    ),
    (
        r#"{"provider":"zotlo","hook":"events","received_at":"2026-01-01","body":{"base64":"%"}}"#,
        "no base64",
    ),
    (
        r#"{"provider":"zotlo","hook":"events","received_at":"2026-01-01","body":"{}","test":"x"}"#,
        "`test`",
    ),
    (
        r#"{"provider":"zotlo","hook":"events","received_at":"2026-01-01","body":"{}","headers":3}"#,
        "`headers`",
    ),
    (
        r#"{"provider":"zotlo","outcome":"rejected","hook":"events","received_at":"2026-01-01","body":"{}"}"#,
        "admit",
    ),
    (
        r#"{"provider":"zotlo","hook":"events","rece"#,
        "in the middle",
    ),
];

#[test]
fn a_delivery_has_no_more_headers_than_one_over_http() {
    let home = Home::new();
    let pairs = |count: usize| vec![r#"["",""]"#; count].join(",");
    let line = |count| {
        let at = "2026-01-01T09:00:00Z";
        let pairs = pairs(count);
        format!(
            r#"{{"provider":"zotlo","hook":"events","received_at":"{at}","body":"{count}","headers":[{pairs}]}}"#
        )
    };
    let text = format!("{}\n{}\n", line(16), line(20_000));
    let output = home.given(&["import", "-", "--json"], text.as_bytes());
    assert_eq!(output.code, 1);
    assert!(
        output
            .err
            .contains("line 2: its `headers` have 80000 bytes"),
        "{}",
        output.err
    );
    assert_eq!(number(&counts(&output), "quarantined"), 1);
}

const GOOD: &str = r#"{"provider":"zotlo","hook":"events","received_at":"2026-01-01","body":{"a" : 1.10},"test":true}"#;

#[test]
fn bad_lines_are_put_aside_by_number_and_the_rest_is_taken() {
    let home = Home::new();
    let mut text = format!("\u{feff}{GOOD}\r\n\r\n");
    for (line, _) in BAD {
        writeln!(text, "{line}").unwrap();
    }
    let text = text.trim_end();
    let file = home.path().join("old.ndjson");
    std::fs::write(&file, text).unwrap();
    let path = file.display().to_string();
    let output = home.says(&["import", &path, "--json"]);
    assert_eq!(output.code, 1, "{}", output.err);
    let taken = counts(&output);
    assert_eq!(number(&taken, "quarantined"), 1);
    assert_eq!(
        number(&taken, "rejected"),
        i64::try_from(BAD.len()).unwrap()
    );
    let body = "select hex(body) || test || origin || credential from deliveries";
    let body: String = home.open().query_row(body, [], |row| row.get(0)).unwrap();
    assert_eq!(body, "7B226122203A20312E31307D1importimport");
    let side = PathBuf::from(format!("{path}.rejected.ndjson"));
    let kept = std::fs::read_to_string(&side).unwrap();
    assert_eq!(kept.lines().count(), BAD.len());
    for (nth, ((source, reason), line)) in BAD.iter().zip(kept.lines()).enumerate() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["line"], nth + 3);
        assert_eq!(line["source"], *source);
        let said = line["reason"].as_str().unwrap();
        assert!(said.contains(reason), "{said} lacks {reason}");
    }
    assert_eq!(mode(&side), 0o600);
    // A second run takes nothing, and puts its own lines elsewhere.
    let again = home.says(&["import", &path]);
    assert!(again.err.contains("1 here already"), "{}", again.err);
    assert!(again.err.contains("old.ndjson.rejected.2.ndjson"));
    assert_eq!(std::fs::read_to_string(&side).unwrap(), kept);
    let named = side.display().to_string();
    let refused = home.says(&["import", &path, "--rejects", &named]);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("is there already"));
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_is_plainly_no_list_is_refused_before_anything_is_made() {
    let home = Home::new();
    let file = |name: &str, bytes: &[u8]| {
        let path = home.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let folder = home.path().display().to_string();
    let cases = [
        (file("a.gz", b"\x1f\x8b\x08\x00"), "gunzip"),
        (
            file("a.db", b"SQLite format 3\0rest"),
            "export --deliveries",
        ),
        (file("a.txt", b"\xff\xfe{\0"), "UTF-16"),
        (folder, "directory"),
        ("/nowhere/at/all".to_owned(), "cannot read"),
    ];
    for (path, says) in cases {
        let output = home.says(&["import", &path]);
        assert_eq!(output.code, 2, "{path}");
        assert!(output.err.contains(says), "{}", output.err);
    }
    let list = file("bare", b"{}\n");
    let slips: [&[&str]; 3] = [
        &[
            "import",
            &list,
            "--provider",
            "zotlo",
            "--hook",
            "event",
            "--as-of",
            "2026-01-01",
        ],
        &[
            "import",
            &list,
            "--provider",
            "zotlo",
            "--hook",
            "events",
            "--as-of",
            "2199-01-01",
        ],
        &["import", &list, "--provider", "zotlo"],
    ];
    for args in slips {
        assert_eq!(home.says(args).code, 2, "{args:?}");
    }
    let dry = home.says(&["import", &list, "--dry-run"]);
    assert_eq!(dry.code, 1);
    assert!(!home.ledger().exists());
    assert_eq!(std::fs::read_dir(home.path()).unwrap().flatten().count(), 5);
}

#[test]
fn bare_bodies_are_taken_as_of_one_time_as_lines_or_as_a_list() {
    let home = Home::new();
    let sign_in = providers::ALL[0]
        .samples()
        .iter()
        .find(|one| one.hook == "login")
        .unwrap();
    let sign_in: serde_json::Value = serde_json::from_str(sign_in.body).unwrap();
    let lines = format!("{sign_in}\n{{\"odd\": 1}}\n{sign_in}\n");
    let list = format!("[{sign_in}, {{\"odd\": 1}},\n {sign_in}]");
    let as_of = |at: &'static str| {
        [
            "import",
            "-",
            "--json",
            "--account",
            "weekly",
            "--provider",
            "conscent",
            "--hook",
            "login",
            "--as-of",
            at,
        ]
    };
    let first = counts(&home.given(&as_of("2026-01-01"), lines.as_bytes()));
    let told = ["stored", "repeats", "quarantined"].map(|key| number(&first, key));
    assert_eq!(told, [1, 1, 1], "{first}");
    let second = counts(&home.given(&as_of("2026-01-01"), list.as_bytes()));
    assert_eq!(number(&second, "present"), 3, "{second}");
    // Another day is another sign-in.
    let third = counts(&home.given(&as_of("2026-01-02"), list.as_bytes()));
    assert_eq!(number(&third, "stored"), 1, "{third}");
    let cut = home.given(&as_of("2026-01-02"), &list.as_bytes()[..list.len() - 1]);
    assert_eq!(cut.code, 1);
    assert!(cut.err.contains("ends before the list"), "{}", cut.err);
    assert_eq!(
        home.number("select count(*) from deliveries where account = 'weekly'"),
        6
    );
    assert_eq!(home.number("select sign_ins from users"), 2);
}

#[test]
fn an_import_goes_through_the_receiver_that_runs() {
    let home = Home::new();
    let serving = home.serve();
    serving.post("zotlo", "events", b"{\"live\":1}");
    let mut lines = String::new();
    for n in 0..3_000 {
        let at = format!("2026-01-01T00:{:02}:{:02}Z", n / 60 % 60, n % 60);
        writeln!(
            lines,
            r#"{{"provider":"zotlo","hook":"events","received_at":"{at}","body":{{"n":{n}}},"headers":{{"Authorization":"Basic c2VjcmV0"}}}}"#
        )
        .unwrap();
    }
    let output = home.given(&["import", "-", "--json"], lines.as_bytes());
    assert_eq!(output.code, 0, "{}", output.err);
    assert_eq!(number(&counts(&output), "quarantined"), 3_000);
    serving.post("zotlo", "events", b"{\"live\":2}");
    assert_eq!(home.number("select count(*) from deliveries"), 3_002);
    // Its times are its own, and do not move those of live ones.
    let odd =
        "select count(*) from deliveries where (origin = 'import') <> (received_at < '2026-01-02')";
    assert_eq!(home.number(odd), 0);
    let leaked = "select count(*) from deliveries where headers like '%c2VjcmV0%'";
    assert_eq!(home.number(leaked), 0);
    let prints = "select count(*) from deliveries where headers like '[[\"authorization\",\"fp:%'";
    assert_eq!(home.number(prints), 3_000);
}

#[test]
fn an_import_that_is_stopped_keeps_what_it_has_and_goes_on() {
    let home = Home::new();
    let mut lines = String::new();
    for n in 0..2_500 {
        writeln!(
            lines,
            r#"{{"provider":"zotlo","hook":"events","received_at":"2026-01-01","body":{{"n":{n}}}}}"#
        )
        .unwrap();
    }
    let mut child = home
        .command(&["import", "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(lines.as_bytes()).unwrap();
    // The pipe stays open: it waits for more, and has taken the first lot in.
    let deadline = Instant::now() + PATIENCE;
    let is_in = || {
        let rows = "select count(*) from deliveries";
        home.ledger().exists()
            && open(&home.ledger())
                .query_row(rows, [], |row| row.get::<_, i64>(0))
                .is_ok_and(|rows| rows == 2_000)
    };
    while !is_in() {
        assert!(Instant::now() < deadline, "the first lot was not taken in");
        std::thread::sleep(Duration::from_millis(20));
    }
    signal(&child, Signal::INT);
    let output = Said::from(child.wait_with_output().unwrap());
    drop(pipe);
    assert_eq!(output.code, 130, "{}", output.err);
    assert!(
        output.err.contains("stopped behind line 2000"),
        "{}",
        output.err
    );
    assert_eq!(counts(&output)["interrupted"], true);
    let rest = counts(&home.given(&["import", "-", "--json"], lines.as_bytes()));
    assert_eq!(number(&rest, "present"), 2_000);
    assert_eq!(number(&rest, "quarantined"), 500);
}

#[test]
fn an_import_through_a_receiver_that_stops_goes_on_or_says_to_try_again() {
    let home = Home::new();
    let serving = home.serve();
    let mut lines = String::new();
    for n in 0..12_000 {
        writeln!(
            lines,
            r#"{{"provider":"zotlo","hook":"events","received_at":"2026-01-01","body":{{"n":{n}}}}}"#
        )
        .unwrap();
    }
    let file = home.path().join("all.ndjson");
    std::fs::write(&file, lines).unwrap();
    let args = ["import", file.to_str().unwrap(), "--json"];
    let child = home
        .command(&args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let rows = || home.number("select count(*) from deliveries");
    let deadline = Instant::now() + PATIENCE;
    while rows() == 0 {
        assert!(Instant::now() < deadline, "nothing was taken in");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(serving.terminate(), Some(0));
    let output = Said::from(child.wait_with_output().unwrap());
    match output.code {
        // Nobody held the ledger any more: it went on by itself.
        0 => assert_eq!(rows(), 12_000),
        1 => assert!(output.err.contains("try again"), "{}", output.err),
        other => panic!("exit code {other}: {}", output.err),
    }
    let taken = rows();
    let rest = counts(&home.succeeds(&args));
    assert_eq!(number(&rest, "present"), taken);
    assert_eq!(number(&rest, "quarantined"), 12_000 - taken);
    assert_eq!(rows(), 12_000);
    let args = ["verify", "--deliveries"];
    home.succeeds(&args);
}

#[test]
fn erased_deliveries_go_out_without_a_body_and_do_not_come_back() {
    let home = Home::new();
    let serving = home.serve();
    let sample = providers::ALL[3].samples()[0];
    serving.request(
        "POST",
        &format!("/hooks/zotlo/{}/{}", sample.hook, crate::support::PATH_KEY),
        "Subledger-Test: 1\r\n",
        sample.body.as_bytes(),
    );
    let before = home.succeeds(&["export", "--deliveries"]).out;
    home.succeeds(&["tests", "clear"]);
    let after = home.succeeds(&["export", "--deliveries"]).out;
    for export in [&before, &after] {
        let output = home.given(&["import", "-", "--json"], export);
        assert_eq!(output.code, 0, "{}", output.err);
        assert_eq!(number(&counts(&output), "erased"), 1);
    }
    assert_eq!(
        home.number("select count(*) from deliveries where body is null"),
        1
    );
    assert_eq!(home.number("select count(*) from deliveries"), 1);
}

#[test]
fn a_file_is_whole_or_not_there_and_never_written_over_silently() {
    let home = Home::new();
    let serving = home.serve();
    post_all(&serving);
    let path = home.path().join("out/events.csv");
    let name = path.display().to_string();
    let absent = home.says(&["export", "--out", &name]);
    assert_eq!(absent.code, 1, "{}", absent.err);
    std::fs::create_dir(home.path().join("out")).unwrap();
    home.succeeds(&[
        "export",
        "--format",
        "csv",
        "--out",
        &name,
        "since:2020-01-01",
    ]);
    assert_eq!(mode(&path), 0o600);
    let first = std::fs::read(&path).unwrap();
    let refused = home.says(&["export", "--out", &name]);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("--force"));
    assert_eq!(std::fs::read(&path).unwrap(), first);
    home.succeeds(&["export", "--out", &name, "--force"]);
    assert!(std::fs::read(&path).unwrap().starts_with(b"{\"id\""));
    let ledger = home.ledger().display().to_string();
    for own in [ledger.as_str(), "/dev/null"] {
        assert_eq!(
            home.says(&["export", "--out", own, "--force"]).code,
            2,
            "{own}"
        );
    }
    // Nothing else is left beside it.
    assert_eq!(
        std::fs::read_dir(home.path().join("out")).unwrap().count(),
        1
    );
    let full = std::fs::File::create("/dev/full");
    if let Ok(full) = full {
        let mut export = home.command(&["export", "--deliveries"]);
        let status = export.stdout(full).stderr(Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(1));
    }
}

#[test]
fn events_go_out_all_oldest_first_and_by_the_filters_of_the_lists() {
    let home = Home::new();
    let db = home.path().join("a.db").display().to_string();
    let year = [
        "demo",
        "--events",
        "2500",
        "--until",
        "2026-11-01T09:00:00Z",
        "--out",
        &db,
    ];
    home.succeeds(&year);
    let lines = |args: &[&str]| -> Vec<String> {
        let mut all = vec!["--db", &db];
        all.extend(args);
        let text = home.succeeds(&all).out;
        text.lines().map(str::to_owned).collect()
    };
    for query in [
        "",
        "provider:zotlo",
        "type:cancel -is:test",
        "since:2026-05-01",
    ] {
        let mut exported = lines(&["export", query]);
        let list = lines(&["events", query, "--format", "ndjson", "--limit", "0"]);
        exported.reverse();
        assert_eq!(exported, list, "{query}");
    }
    let csv = lines(&[
        "export",
        "--deliveries",
        "--format",
        "csv",
        "provider:klustr",
    ]);
    let count = "select count(*) from deliveries where provider = 'klustr'";
    let count: usize = open(Path::new(&db))
        .query_row(count, [], |row| row.get::<_, i64>(0))
        .unwrap()
        .try_into()
        .unwrap();
    assert_eq!(csv.len(), count + 1);
    let array = home.succeeds(&["--db", &db, "export", "--json"]).out;
    let array: Vec<serde_json::Value> = serde_json::from_str(&array).unwrap();
    assert!(array.len() > 2_000);
}

#[test]
fn an_export_that_is_stopped_ends_with_a_whole_line() {
    let home = Home::new();
    let db = home.path().join("a.db").display().to_string();
    home.succeeds(&["demo", "--events", "2500", "--out", &db]);
    for kind in [Signal::INT, Signal::TERM] {
        let text = interrupted(&home, &["--db", &db, "export", "--deliveries"], kind);
        assert!(text.ends_with("}\n"));
        for line in text.lines() {
            serde_json::from_str::<serde_json::Value>(line).unwrap();
        }
    }
}
