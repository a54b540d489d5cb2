//! Alerts from the ledger to the program that is run, with time as a value; and from the built binary once.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use subledger::cli::alerts::{Heart, Watch};
use subledger::cli::args::Global;
use subledger::cli::context::Context;
use subledger::domain::time::{Clock, MINUTE_MS, Timestamp, Zone};
use subledger::providers::door;
use subledger::store::query::Reader;
use subledger::store::task::Task;
use subledger::store::today::Outside;
use subledger::store::today::alerts::Alerts;
use subledger::store::writer::{Options, Rejected, Store};
use tempfile::TempDir;

use crate::support::{Home, PATIENCE};

fn morning() -> Timestamp {
    Timestamp::parse("2026-11-04T09:00:00Z").unwrap()
}

/// A ledger, settings with an alert command, and what that was told.
struct Watched {
    dir: TempDir,
    store: Option<Store>,
    watch: Option<Watch>,
}

impl Watched {
    fn new(script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut watched = Self {
            dir,
            store: None,
            watch: None,
        };
        watched.program(script);
        let program = watched.path("tell");
        let settings = format!(
            "[alerts]\ncommand = [{:?}, \"one\", \"two words\"]\n",
            program.display().to_string()
        );
        std::fs::write(watched.path("s.toml"), settings).unwrap();
        watched.start();
        watched
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The program: `$DIR` is the directory of this test.
    fn program(&self, script: &str) {
        let dir = self.dir.path().display();
        let path = self.path("tell");
        let fresh = self.path("tell.new");
        std::fs::write(&fresh, format!("#!/bin/sh\nDIR='{dir}'\n{script}\n")).unwrap();
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o700)).unwrap();
        std::fs::rename(fresh, path).unwrap();
    }

    fn start(&mut self) {
        let options = Options {
            read: Arc::new(door::read),
            zone: Zone::UTC,
            clock: Clock::Fixed(morning()),
            listen: String::new(),
        };
        let store = Store::open(&self.path("l.db"), options).unwrap();
        self.watch = Some(Watch::new(store.writer()));
        self.store = Some(store);
    }

    /// The process ends and begins again.
    fn restart(&mut self) {
        self.watch = None;
        self.store.take().unwrap().close().unwrap();
        self.start();
    }

    fn context(&self) -> Context {
        let global = Global {
            db: Some(self.path("l.db")),
            config: Some(self.path("s.toml")),
            ..Global::default()
        };
        Context::read(&global).unwrap()
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    /// One look, so many minutes after the morning.
    fn turn(&mut self, minutes: i64) {
        let context = self.context();
        let at = morning().plus_ms(minutes * MINUTE_MS);
        self.watch.as_mut().unwrap().turn(&context, at, &|| false);
    }

    /// Somebody is turned away, a reader by name.
    fn turn_away(&self) {
        self.store().writer().reject(Rejected {
            received_at: morning().plus_ms(-1),
            provider: "zotlo".to_owned(),
            hook: "events".to_owned(),
            path: "/hooks/zotlo/events/fp:0".to_owned(),
            reason: "secret link wrong".to_owned(),
            remote_ip: "203.0.113.9".to_owned(),
            method: "POST".to_owned(),
            headers: Vec::new(),
            body: Some(b"{\"email\":\"reader@example.com\"}".to_vec()),
            body_bytes: 30,
            sha256: None,
        });
        self.until("the request is kept", |reader| {
            let known = reader
                .connections(morning(), &[], &Outside::default())
                .unwrap();
            known.iter().any(|one| !one.refusals.is_empty())
        });
    }

    fn review(&self) {
        let review = Task::MarkReviewed { seq: 0 };
        self.store().writer().run(review, &mut |_| {}).unwrap();
    }

    fn until(&self, what: &str, done: impl Fn(&Reader) -> bool) {
        let begun = Instant::now();
        while !done(&Reader::open(&self.path("l.db")).unwrap()) {
            assert!(begun.elapsed() < PATIENCE, "never: {what}");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    fn alerts(&self) -> Alerts {
        Reader::open(&self.path("l.db")).unwrap().alerts().unwrap()
    }

    /// Every object that was told.
    fn told(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("told")).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

fn rules(object: &Value, key: &str) -> Vec<String> {
    let told = object[key].as_array().unwrap().iter();
    told.map(|told| told["rule"].as_str().unwrap().to_owned())
        .collect()
}

const KEEP: &str = "cat >> $DIR/told; printf '%s|' \"$@\" > $DIR/args; env > $DIR/env";

#[test]
fn a_start_and_an_end_reach_the_program_once_also_across_a_restart() {
    let mut watched = Watched::new(KEEP);
    watched.turn(0);
    let first = watched.told();
    assert_eq!(rules(&first[0], "started"), ["no_backup"], "{first:?}");
    watched.turn_away();
    watched.turn(2);
    let told = watched.told();
    assert_eq!(told.len(), 2);
    assert_eq!(rules(&told[1], "started"), ["turned_away"]);
    assert_eq!(told[1]["open"], 2);
    let one = &told[1]["started"][0];
    assert_eq!(one["provider"], "zotlo");
    let says = one["says"].as_str().unwrap();
    assert!(
        says.starts_with("Zotlo: 1 webhook turned away since "),
        "{says}"
    );
    assert_eq!(
        told[1]["ledger"],
        watched.path("l.db").display().to_string()
    );
    let text = std::fs::read_to_string(watched.path("told")).unwrap();
    assert!(!text.contains("reader@example.com") && !text.contains("203.0.113.9"));
    assert_eq!(
        std::fs::read_to_string(watched.path("args")).unwrap(),
        "one|two words|"
    );
    let env = std::fs::read_to_string(watched.path("env")).unwrap();
    assert!(
        !env.contains("CARGO"),
        "only what is known to be harmless is passed on: {env}"
    );
    watched.restart();
    watched.turn(10);
    assert_eq!(watched.told().len(), 2, "it is known");
    watched.restart();
    watched.review();
    watched.turn(32);
    let told = watched.told();
    assert_eq!(rules(&told[2], "ended"), ["turned_away"]);
    assert_eq!(told[2]["ended"][0]["lasted_s"], 30 * 60);
    watched.restart();
    watched.turn(40);
    assert_eq!(watched.told().len(), 3);
}

#[test]
fn what_could_not_be_told_is_told_later_and_said_meanwhile() {
    let mut watched = Watched::new("echo 'no route to the mail box'; exit 75");
    watched.turn_away();
    watched.turn(0);
    let why = watched.path("tell").display().to_string()
        + " ended with exit code 75: no route to the mail box";
    watched.until("the failure is kept", |reader| {
        reader.alerts().unwrap().last.is_some()
    });
    assert_eq!(
        watched.alerts().last.unwrap().failing,
        Some((morning(), why.clone()))
    );
    let needs = Reader::open(&watched.path("l.db"))
        .unwrap()
        .needs(morning(), &subledger::store::today::Outside::default())
        .unwrap();
    let said = &needs.last().unwrap().sentence;
    assert_eq!(*said, format!("alerts reach nobody since 09:00: {why}"));
    watched.review();
    watched.restart();
    watched.program(KEEP);
    watched.turn(0);
    assert!(watched.told().is_empty(), "not before a minute has passed");
    watched.turn(1);
    let told = watched.told();
    assert_eq!(rules(&told[0], "started"), ["no_backup", "turned_away"]);
    assert_eq!(rules(&told[0], "ended"), ["turned_away"]);
    watched.until("that it was told is kept", |reader| {
        reader.alerts().unwrap().last.unwrap().failing.is_none()
    });
}

#[test]
fn without_a_command_nothing_is_followed() {
    let mut watched = Watched::new("exit 1");
    watched.turn(0);
    watched.until("the failure is kept", |reader| {
        reader.alerts().unwrap() != Alerts::default()
    });
    std::fs::write(watched.path("s.toml"), "").unwrap();
    watched.turn(1);
    watched.until("it is forgotten", |reader| {
        reader.alerts().unwrap() == Alerts::default()
    });
}

#[test]
fn a_heartbeat_goes_out_while_the_ledger_is_written() {
    let watched = Watched::new("exit 0");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = vec![0; 4096];
        let count = stream.read(&mut head).unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
        String::from_utf8_lossy(&head[..count]).into_owned()
    });
    let settings = format!("[alerts]\nheartbeat_url = \"http://127.0.0.1:{port}/token\"\n");
    std::fs::write(watched.path("s.toml"), settings).unwrap();
    std::fs::set_permissions(
        watched.path("s.toml"),
        std::fs::Permissions::from_mode(0o600),
    )
    .unwrap();
    let mut heart = Heart::new(watched.store().writer());
    watched.review();
    assert_eq!(heart.turn(&watched.context(), morning()), Some(true));
    let asked = served.join().unwrap();
    assert!(asked.starts_with("GET /token HTTP/1.1\r\n"), "{asked}");
    assert!(
        !asked.contains("l.db"),
        "nothing of the ledger goes out: {asked}"
    );
    watched.until("it is kept", |reader| {
        reader.heartbeat().unwrap().sent_at == Some(morning())
    });
    assert_eq!(
        heart.turn(&watched.context(), morning()),
        Some(false),
        "nobody listens now"
    );
}

fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

#[test]
fn the_receiver_tells_and_doctor_tries_it() {
    let home = Home::new();
    let told = home.path().join("told");
    let script = format!("[\"sh\", \"-c\", \"cat >> {}; echo ok\"]", told.display());
    let set = |key: &str, value: &str| {
        let done = home
            .command(&["config", "set", key, value])
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        String::from_utf8_lossy(&done.stderr).into_owned()
    };
    set("alerts.command", &script);
    let shown = home.command(&["config", "print"]).output().unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        shown.contains("alerts.command = [\"sh\", [secret], [secret]]"),
        "{shown}"
    );
    let tried = home.command(&["doctor", "--alerts"]).output().unwrap();
    assert!(tried.status.success(), "{tried:?}");
    assert_eq!(lines(&told), 1);
    let serving = home.serve();
    // A home without backups needs somebody.
    let begun = Instant::now();
    while lines(&told) < 2 {
        assert!(begun.elapsed() < PATIENCE, "nobody was told");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(serving.terminate(), Some(0));
    let missing = set("alerts.command", "/nowhere/at/all");
    assert!(
        missing.contains("warning: alerts.command: cannot use /nowhere/at/all"),
        "{missing}"
    );
    let check = home.command(&["config", "check"]).output().unwrap();
    assert!(check.status.success(), "a receiver must start without it");
    assert!(String::from_utf8_lossy(&check.stderr).contains("/nowhere/at/all"));
    let tried = home.command(&["doctor", "--alerts"]).output().unwrap();
    assert_eq!(tried.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&tried.stdout).contains("cannot run /nowhere/at/all"));
}
