//! The same page from other programs: the `sqlite3` shell on the same file, lnav on the same events as NDJSON.
//!
//! What is not installed is skipped, and that is a row too.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::screen::{Home, mib};
use crate::sheet::{Sheet, Times, ms};
use crate::terminal::Terminal;

/// How often the shell is asked.
const ROUNDS: usize = 20;
/// lnav is asked with so many events.
const LNAV_EVENTS: u64 = 1_000_000;

/// What a person types for the page that the screen shows.
const QUESTIONS: [(&str, &str); 2] = [
    (
        "events by provider",
        "select at, type, name, email, provider, amount_minor, currency, plan, account, seq from events \
         where provider = 'zotlo' order by at desc, id desc limit 37;",
    ),
    (
        "words in users",
        "select last_seen_at, name, email, provider, phone, country, sign_ins from users \
         where name like '%ayse%' or email like '%ayse%' or phone like '%ayse%' or user_id like '%ayse%' \
         order by last_seen_at desc, id desc limit 37;",
    ),
];

/// How lnav is told to read our events.
const LNAV_FORMAT: &str = r#"{
  "$schema": "https://lnav.org/schemas/format-v1.schema.json",
  "subledger_events": {
    "title": "events", "description": "events", "json": true, "hide-extra": true,
    "line-format": [
      {"field": "__timestamp__"}, " ", {"field": "type"}, " ", {"field": "who"}, " ", {"field": "provider"}
    ],
    "timestamp-field": "at", "body-field": "type",
    "value": {
      "provider": {"kind": "string", "identifier": true}, "who": {"kind": "string"}, "type": {"kind": "string"}
    }
  }
}"#;

/// Asks each program for the page and notes how long it took.
pub(crate) fn measure(ledger: &Path, events: u64, sheet: &mut Sheet) {
    if is_installed("sqlite3") {
        shell(ledger, sheet);
    } else {
        sheet.note("sqlite3 shell", "skipped: sqlite3 is not installed");
    }
    match (events == LNAV_EVENTS, is_installed("lnav")) {
        (false, _) => {}
        (true, true) => lnav(ledger, sheet),
        (true, false) => sheet.note("lnav", "skipped: lnav is not installed"),
    }
}

fn is_installed(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(program).is_file())
}

fn shell(ledger: &Path, sheet: &mut Sheet) {
    for (what, sql) in QUESTIONS {
        let once = (0..ROUNDS).map(|_| {
            let begun = Instant::now();
            let output = sqlite3(ledger).arg(sql).output().expect("it starts");
            assert!(output.status.success() && !output.stdout.is_empty());
            begun.elapsed()
        });
        let once = Times::of(once);
        sheet.times(&format!("sqlite3 shell: {what}, started for it"), &once);
        let open = Times::of(asked(ledger, sql));
        sheet.times(&format!("sqlite3 shell: {what}, open already"), &open);
    }
}

fn sqlite3(ledger: &Path) -> Command {
    let mut command = Command::new("sqlite3");
    command
        .args(["-init", "/dev/null", "-batch", "-readonly"])
        .arg(ledger)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// How long one shell takes for `sql`, each time.
fn asked(ledger: &Path, sql: &str) -> Vec<Duration> {
    let mut child = sqlite3(ledger)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut keys = child.stdin.take().expect("it listens");
    let mut rows = BufReader::new(child.stdout.take().expect("it answers")).lines();
    let took = (0..ROUNDS)
        .map(|round| {
            let begun = Instant::now();
            writeln!(keys, "{sql}\n.print end {round}").expect("it listens");
            let end = format!("end {round}");
            let answered = rows.by_ref().any(|row| row.is_ok_and(|row| row == end));
            assert!(answered, "sqlite3 ended");
            begun.elapsed()
        })
        .collect();
    drop(keys);
    child.wait().expect("it ends");
    took
}

/// The events as lines, kept beside the ledger.
fn exported(home: &Home, ledger: &Path) -> PathBuf {
    let path = ledger.with_file_name("events.ndjson");
    if !path.exists() {
        let mut command = home.subledger(ledger, &["export", "--out"]);
        let status = command.arg(&path).stderr(Stdio::null()).status();
        assert!(status.is_ok_and(|status| status.success()), "no export");
    }
    path
}

fn lnav(ledger: &Path, sheet: &mut Sheet) {
    let home = Home::new();
    let events = exported(&home, ledger);
    let formats = home.path().join("lnav/formats/subledger");
    fs::create_dir_all(&formats).expect("a place for files");
    fs::write(formats.join("events.json"), LNAV_FORMAT).expect("a file");
    let mut command = home.command("lnav");
    command.arg(&events);
    let mut terminal = Terminal::start(&command, |_| false);
    let shown = |span: Option<Duration>| {
        span.map_or("not seen in 30 s".to_owned(), |span| {
            format!("{} ms", ms(span))
        })
    };
    let first = terminal.until_first(|text| rows(text).count() > 20);
    sheet.note("lnav: start to the first screen of events", shown(first));
    // Typed and entered at once it is taken for something pasted.
    terminal.press(":filter-in zotlo");
    // It keeps its place near the end, so that few rows may be left on the screen.
    let filtered = terminal.until("\r", |text| {
        rows(text).next().is_some() && rows(text).all(|row| row.contains("zotlo"))
    });
    sheet.note("lnav: events by provider", shown(filtered));
    let memory = terminal.memory_peak();
    sheet.note("lnav: memory at most", mib(memory));
}

/// The rows that stand on lnav's screen.
fn rows(text: &str) -> impl Iterator<Item = &str> {
    let is_row = |line: &&str| {
        ["conscent", "klustr", "zotlo"]
            .iter()
            .any(|provider| line.contains(provider))
            // Its border is drawn by another character set, of which x is the upright line.
            && line.trim_start_matches(['│', 'x']).starts_with("20")
    };
    text.lines().skip(2).filter(is_row)
}
