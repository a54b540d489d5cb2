//! Promises about backups: what was acknowledged is in them, what is damaged is refused, moving loses nothing, and
//! whatever goes wrong leaves the old or the new whole.

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rustix::process::Signal;

use crate::support::{Disk, Home, PATIENCE, Serving, signal};

fn registration(number: usize) -> Vec<u8> {
    format!(
        r#"{{"clientUuid":"c-{number}","country":"TR","storeRegister":false,"subscriberId":"r{number}@example.org","subscriberName":"Reader {}","appId":1,"registerDate":"2026-02-03 04:05:06"}}"#,
        "x".repeat(4_000)
    )
    .into_bytes()
}

fn fill(serving: &Serving, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let answer = serving.post("zotlo", "events", &registration(number));
        assert_eq!(answer.unwrap().0, 200);
    }
}

/// A home whose ledger has `count` deliveries and no receiver.
fn filled(count: usize) -> Home {
    let home = Home::new();
    let serving = home.serve();
    fill(&serving, 0..count);
    assert_eq!(serving.terminate(), Some(0));
    home
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn fails(home: &Home, args: &[&str], code: i32, words: &str) {
    let output = home.run(args);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    assert!(said.contains(words), "{args:?}: {said}");
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn number(path: &Path, sql: &str) -> i64 {
    let conn = Connection::open(path).unwrap();
    conn.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Polls until `done`.
#[track_caller]
fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_backup_under_load_holds_everything_that_was_acknowledged_before_it_began() {
    let home = Home::new();
    let serving = home.serve();
    fill(&serving, 0..40);
    let (acknowledged, done) = (AtomicUsize::new(40), AtomicBool::new(false));
    let file = home.path().join("copy.db");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let next = acknowledged.load(Ordering::Relaxed);
                fill(&serving, next..next + 1);
                acknowledged.store(next + 1, Ordering::Relaxed);
            }
        });
        for _ in 0..3 {
            let before = acknowledged.load(Ordering::Relaxed);
            let output = home.run(&["backup", "--force", text(&file)]);
            let held = output.status.success()
                && usize::try_from(number(&file, "select max(seq) from deliveries"))
                    .is_ok_and(|last| last >= before);
            done.store(!held, Ordering::Relaxed);
            assert!(held, "{}", said(&output));
        }
        done.store(true, Ordering::Relaxed);
    });
    home.done(&["restore", "--check", text(&file)]);
    assert!(
        !names(home.path())
            .iter()
            .any(|name| name.contains("copy.db-"))
    );
    let today = home.done(&["today", "--json"]);
    assert!(today.contains("\"last_backup\":\"2"), "{today}");
}

#[test]
fn a_backup_that_could_not_be_opened_or_brings_orders_of_its_own_is_not_restored() {
    let home = filled(3);
    let good = home.path().join("good.db");
    home.done(&["backup", text(&good)]);
    let before = fs::read(home.ledger()).unwrap();
    for (sql, words) in [
        (
            "update meta set value = '../../etc/passwd' where key = 'zone'",
            "its time zone is unknown",
        ),
        (
            "update meta set value = 'zz' where key = 'fingerprint_key'",
            "its fingerprint key is missing",
        ),
        (
            "create trigger evil after insert on deliveries begin delete from meta; end",
            "a trigger \"evil\"",
        ),
        (
            "drop trigger deliveries_no_delete;
             create trigger deliveries_no_delete before delete on deliveries begin select 1; end",
            "trigger deliveries_no_delete is not what this version makes",
        ),
    ] {
        let bad = home.path().join("bad.db");
        fs::copy(&good, &bad).unwrap();
        Connection::open(&bad).unwrap().execute_batch(sql).unwrap();
        fails(&home, &["restore", "--replace", text(&bad)], 1, words);
        assert!(before == fs::read(home.ledger()).unwrap(), "{sql}");
    }
    let views =
        "create view mine as select count(*) from events; create index own on events (plan)";
    Connection::open(&good)
        .unwrap()
        .execute_batch(views)
        .unwrap();
    home.done(&["restore", "--replace", text(&good)]);
}

#[test]
fn a_restored_ledger_does_not_know_what_the_other_one_told_of() {
    let home = filled(1);
    let copy = home.path().join("copy.db");
    home.done(&["backup", text(&copy)]);
    let written = Connection::open(&copy).unwrap();
    written
        .execute_batch("insert or replace into meta values ('alerts', '{\"last\":{\"at\":-9223372036854775808,\"told_at\":null,\"failing\":[0,\"x\"]},\"open\":[],\"ended\":[]}'), ('heartbeat', '{}')")
        .unwrap();
    drop(written);
    home.done(&["restore", "--replace", text(&copy)]);
    let told = "select count(*) from meta where key in ('alerts', 'heartbeat', 'backup')";
    assert_eq!(number(&home.ledger(), told), 0);
}

#[test]
fn no_force_writes_over_what_is_our_own() {
    let home = Home::new();
    let serving = home.serve();
    fill(&serving, 0..3);
    let settings = home.path().join("config/subledger/subledger.toml");
    let other_name = home.path().join("other-name");
    std::os::unix::fs::symlink(&settings, &other_name).unwrap();
    let beside = |ending: &str| PathBuf::from(format!("{}{ending}", text(&home.ledger())));
    let mut own = vec![settings, other_name];
    own.extend(["", "-wal", "-shm", "-journal", ".lock", ".sock"].map(beside));
    let before: Vec<_> = own.iter().map(|path| fs::read(path).ok()).collect();
    for path in &own {
        for args in [
            ["backup", "--force", text(path)].as_slice(),
            &["export", "--force", "--out", text(path)],
        ] {
            fails(&home, args, 2, "is subledger's own");
        }
    }
    let after: Vec<_> = own.iter().map(|path| fs::read(path).ok()).collect();
    assert!(before[0].is_some() && before[..2] == after[..2]);
    fill(&serving, 3..4);
    home.done(&["verify"]);
    assert_eq!(serving.terminate(), Some(0));
}

#[test]
fn a_backup_is_private_refuses_to_overwrite_and_says_what_it_lacks() {
    let home =
        Home::with_settings("[providers.klustr.accounts.weekly]\nsecret = { env = \"WEEKLY\" }\n");
    let with_secret = |args: &[&str]| {
        home.command(args)
            .env("WEEKLY", "whsec_AAAAAAAAAAAAAAAAAAAAAAAA")
            .output()
            .unwrap()
    };
    let serving = Serving::wait(
        home.command(&["serve"])
            .env("WEEKLY", "whsec_AAAAAAAAAAAAAAAAAAAAAAAA")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
        home.port,
    );
    fill(&serving, 0..2);
    let folder = home.path().join("copies");
    fs::create_dir(&folder).unwrap();
    let output = with_secret(&["backup", "--with-settings", text(&folder)]);
    assert!(output.status.success(), "{}", said(&output));
    let listed = names(&folder);
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert!(listed[0].starts_with("subledger-2") && listed[1].ends_with(".db.settings.toml"));
    for name in &listed {
        let mode = folder.join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let settings = home.path().join("config/subledger/subledger.toml");
    assert_eq!(
        fs::read(folder.join(&listed[1])).unwrap(),
        fs::read(settings).unwrap()
    );
    assert!(
        said(&output).contains("{ env = \"WEEKLY\" }"),
        "{}",
        said(&output)
    );
    assert!(!said(&output).contains("whsec_"));
    let again = with_secret(&["backup", text(&folder)]);
    assert_eq!(again.status.code(), Some(1), "{}", said(&again));
    assert!(said(&again).contains("is there already"));
    let itself = with_secret(&["backup", "--force", text(&home.ledger())]);
    assert_ne!(itself.status.code(), Some(0), "{}", said(&itself));
    let out = with_secret(&["backup", "-"]);
    assert_eq!(out.status.code(), Some(2));
    assert_eq!(names(&folder), listed);
}

#[test]
fn a_ledger_moves_to_another_box_and_its_chain_goes_on() {
    let old = Home::with_settings(
        "[alerts]\ncommand = [\"true\", \"--token\", \"s3cret\"]\nheartbeat_url = \"http://127.0.0.1:9/s3cret\"\n",
    );
    let serving = old.serve();
    fill(&serving, 0..12);
    let file = old.path().join("move.db");
    old.done(&["backup", "--with-settings", text(&file)]);
    // What still arrives on the old box after the backup.
    fill(&serving, 12..15);
    let urls = old.done(&["urls"]);
    assert_eq!(serving.terminate(), Some(0));

    let new = Home::new();
    let settings = new.path().join("config/subledger/subledger.toml");
    fs::remove_file(&settings).unwrap();
    let restored = new.run(&["restore", "--with-settings", text(&file)]);
    let said = String::from_utf8_lossy(&restored.stderr).into_owned();
    assert_eq!(restored.status.code(), Some(0), "{said}");
    // A program that they would have run is not taken over in silence; what it is given may be a secret.
    assert!(
        said.contains("alerts.command comes with them")
            && said.contains("run `true` with 2 arguments"),
        "{said}"
    );
    assert!(
        said.contains("fetch an address at http://127.0.0.1:9"),
        "{said}"
    );
    assert!(!said.contains("s3cret"), "{said}");
    assert_eq!(
        settings.metadata().unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(new.done(&["urls"]), urls, "the links are the same");
    let listen = format!("127.0.0.1:{}", new.port);
    new.done(&["config", "set", "receiver.listen", &listen]);
    let serving = new.serve();
    fill(&serving, 20..25);
    // A provider that tries again what the old box had already is no second one.
    fill(&serving, 3..4);
    assert_eq!(new.number("select max(seq) from deliveries"), 18);
    assert_eq!(
        new.number("select count(*) from deliveries where outcome = 'duplicate'"),
        1
    );
    new.done(&["verify"]);
    new.done(&["rebuild", "--check"]);
    let id = |home: &Home| -> String {
        let sql = "select value from meta where key = 'ledger_id'";
        home.open().query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(id(&old), id(&new));
    assert_eq!(
        new.number("select count(*) from meta where key = 'backup'"),
        0,
        "the copies of the old box are not this one's"
    );
    // What the old box got after the backup comes over, once.
    let late = new.path().join("late.ndjson");
    fs::write(&late, old.done(&["export", "--deliveries", "seq:>12"])).unwrap();
    for _ in 0..2 {
        new.done(&["import", text(&late)]);
        assert_eq!(new.number("select count(*) from users"), 20);
    }
    new.done(&["verify"]);
    drop(serving);
    // Back again, over a ledger that has gone on by itself: what would be lost is counted by the chain.
    fails(
        &old,
        &["restore", text(&file)],
        1,
        "3 of them are not in the backup",
    );
    fails(&old, &["restore", text(&file)], 1, "'seq:>12'");
}

#[test]
fn what_is_no_sound_backup_is_refused_and_nothing_is_touched() {
    let home = filled(30);
    let file = home.path().join("copy.db");
    home.done(&["backup", text(&file)]);
    let ledger = fs::read(home.ledger()).unwrap();
    let bad = home.path().join("bad.db");
    let restore = ["restore", "--replace", text(&bad)];

    fails(&home, &restore, 3, "there is no backup at");
    fs::write(
        &bad,
        "a letter, not a database, and longer than the head of one: ".repeat(4),
    )
    .unwrap();
    fails(&home, &restore, 1, "not a subledger database");

    fs::copy(&file, &bad).unwrap();
    let half = fs::metadata(&bad).unwrap().len() / 2;
    fs::File::options()
        .write(true)
        .open(&bad)
        .unwrap()
        .set_len(half)
        .unwrap();
    fails(&home, &restore, 1, "is damaged");
    fails(&home, &["restore", "--check", text(&bad)], 1, "is damaged");

    fs::copy(&file, &bad).unwrap();
    let mut newer = fs::File::options().write(true).open(&bad).unwrap();
    newer.seek(SeekFrom::Start(60)).unwrap();
    newer.write_all(&99_u32.to_be_bytes()).unwrap();
    drop(newer);
    fails(&home, &restore, 1, "newer subledger");

    fs::copy(&file, &bad).unwrap();
    Connection::open(&bad)
        .unwrap()
        .execute_batch(
            "drop trigger deliveries_no_update; drop trigger deliveries_guarded_update;
             update deliveries set body = '{}' where seq = 7",
        )
        .unwrap();
    fails(&home, &restore, 1, "delivery 7:");
    let output = home.run(&["restore", "--check", text(&bad)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("  7: its body"));

    assert_eq!(fs::read(home.ledger()).unwrap(), ledger);
    let mut left = names(home.ledger().parent().unwrap());
    // Whoever reads leaves SQLite's two files.
    left.retain(|name| !name.ends_with("-wal") && !name.ends_with("-shm"));
    assert_eq!(left, ["subledger.db", "subledger.db.lock"]);
}

#[test]
fn a_refused_restore_into_an_empty_place_leaves_it_empty() {
    let home = filled(3);
    let bad = home.path().join("bad.db");
    home.done(&["backup", text(&bad)]);
    let mut bytes = fs::read(&bad).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 9000].fill(0x5a);
    fs::write(&bad, &bytes).unwrap();
    let place = home.path().join("new");
    let at = |folder: &Path| folder.join("ledger.db").to_str().unwrap().to_owned();
    let run = |db: &str| fails(&home, &["--db", db, "restore", text(&bad)], 1, "");
    run(&at(&place));
    assert!(!place.exists(), "{:?}", names(&place));
    fs::create_dir(&place).unwrap();
    run(&at(&place));
    assert_eq!(names(&place), [""; 0]);
}

#[test]
fn a_ledger_in_use_or_with_deliveries_is_not_replaced_by_accident() {
    let home = filled(5);
    let file = home.path().join("copy.db");
    home.done(&["backup", text(&file)]);
    let serving = home.serve();
    let pid = serving.child.id().to_string();
    fails(&home, &["restore", "--replace", text(&file)], 3, &pid);
    fill(&serving, 5..8);
    assert_eq!(serving.terminate(), Some(0));
    fails(&home, &["restore", text(&file)], 1, "8 deliveries");
    assert_eq!(home.number("select count(*) from deliveries"), 8);
    let output = home.run(&["restore", "--replace", text(&file)]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("3 of its deliveries are not in the backup"));
    assert_eq!(home.number("select count(*) from deliveries"), 5);
    let folder = home.ledger().parent().unwrap().to_owned();
    let kept = names(&folder)
        .into_iter()
        .find(|name| name.starts_with("subledger.db.before-restore-2"))
        .unwrap();
    assert_eq!(
        number(&folder.join(kept), "select max(seq) from deliveries"),
        8
    );
    let settings = home.path().join("config/subledger/subledger.toml");
    let beside = home.path().join("copy.db.settings.toml");
    fs::copy(&settings, &beside).unwrap();
    fails(
        &home,
        &["restore", "--with-settings", text(&file)],
        1,
        "there are settings already",
    );
    // A ledger that cannot be read any more is what backups are for.
    fs::write(home.ledger(), vec![b'x'; 5_000]).unwrap();
    fails(
        &home,
        &["restore", "--replace", text(&file)],
        1,
        "not a subledger database",
    );
}

#[test]
fn a_damaged_ledger_is_replaced_where_asked_and_kept() {
    let home = filled(30);
    let file = home.path().join("copy.db");
    home.done(&["backup", text(&file)]);
    let mut damaged = fs::File::options().write(true).open(home.ledger()).unwrap();
    damaged.seek(SeekFrom::Start(4_096)).unwrap();
    damaged.write_all(&vec![0xff; 40_960]).unwrap();
    drop(damaged);
    fails(&home, &["restore", text(&file)], 1, "--replace");
    home.done(&["restore", "--replace", text(&file)]);
    home.done(&["verify"]);
    assert_eq!(home.number("select max(seq) from deliveries"), 30);
}

/// Starts `args`, waits until the unfinished copy `part` is there, and sends a signal of this `kind`; how it ended.
fn stopped(home: &Home, args: &[&str], part: &Path, kind: Signal) -> Option<i32> {
    let mut child = home
        .command(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !part.exists() && child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "no unfinished copy");
        std::thread::yield_now();
    }
    signal(&child, kind);
    child.wait().unwrap().code()
}

/// A ledger that takes a while to copy.
fn large(home: &Home) {
    home.done(&[
        "demo",
        "--events",
        "6000",
        "--out",
        text(&home.path().join("large.db")),
    ]);
}

#[test]
fn ctrl_c_leaves_nothing_and_kill_9_leaves_the_old_or_the_new_whole() {
    let home = Home::new();
    large(&home);
    let large = home.path().join("large.db");
    let folder = home.path().join("copies");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("copy.db");
    let part = folder.join("copy.db.part");
    let backup = ["--db", text(&large), "backup", text(&file)];
    match stopped(&home, &backup, &part, Signal::INT) {
        Some(130) => assert_eq!(names(&folder), [""; 0]),
        // It was through already: then it is whole.
        code => assert_eq!(
            (code, names(&folder)),
            (Some(0), vec!["copy.db".to_owned()])
        ),
    }
    stopped(
        &home,
        &["--db", text(&large), "backup", "--force", text(&file)],
        &part,
        Signal::KILL,
    );
    home.done(&["--db", text(&large), "backup", "--force", text(&file)]);
    assert_eq!(names(&folder), ["copy.db"]);

    let serving = home.serve();
    fill(&serving, 0..3);
    assert_eq!(serving.terminate(), Some(0));
    let part = PathBuf::from(format!("{}.part", text(&home.ledger())));
    let restore = ["restore", "--replace", text(&file)];
    for kind in [Signal::INT, Signal::KILL] {
        stopped(&home, &restore, &part, kind);
        home.done(&["verify"]);
        let there = home.number("select max(seq) from deliveries");
        assert!(there == 3 || there > 1_000, "{there} after {kind:?}");
    }
    home.done(&restore);
    assert!(home.number("select max(seq) from deliveries") > 1_000);
    assert!(!part.exists());
    home.done(&["verify"]);
}

/// A home that asks for a backup each night.
fn asking(dir: &str, keep: usize) -> Home {
    Home::with_settings(&format!("[backup]\ndir = {dir:?}\nkeep = {keep}\n"))
}

#[test]
fn the_receiver_makes_a_copy_soon_after_its_start_prunes_its_own_and_today_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let home = asking(text(folder.path()), 2);
    let other = filled(1);
    let stranger = folder.path().join("subledger-2020-01-01.db");
    other.done(&["backup", text(&stranger)]);
    fs::write(folder.path().join("subledger-2020-01-02.db"), "a letter").unwrap();
    let serving = home.serve();
    fill(&serving, 0..3);
    let made = |home: &Home| {
        let sql = "select json_extract(value, '$.nightly.file') from meta where key = 'backup'";
        home.open()
            .query_row(sql, [], |row| row.get::<_, String>(0))
            .ok()
    };
    eventually("a first copy", || made(&home).is_some());
    let today = home.done(&["today"]);
    assert!(
        today.contains("Last backup  today ") && today.contains(", checked"),
        "{today}"
    );
    assert!(!today.contains("no backup"), "{today}");
    let first = PathBuf::from(made(&home).unwrap());
    assert_eq!(serving.terminate(), Some(0));
    // Copies of earlier nights, and a box that was off when the next was due.
    for day in ["2019-03-01", "2019-03-02", "2019-03-03"] {
        fs::copy(&first, folder.path().join(format!("subledger-{day}.db"))).unwrap();
    }
    fs::write(folder.path().join("subledger-2019-03-04.db.part"), "half").unwrap();
    home.open()
        .execute(
            "update meta set value = json_set(value, '$.nightly.at', 1000) where key = 'backup'",
            [],
        )
        .unwrap();
    let serving = home.serve();
    let today_name = first.file_name().unwrap().to_str().unwrap().to_owned();
    let left = [
        "subledger-2019-03-03.db".to_owned(),
        "subledger-2020-01-01.db".to_owned(),
        "subledger-2020-01-02.db".to_owned(),
        today_name,
    ];
    eventually("only those to keep and those of others", || {
        names(folder.path()) == left
    });
    home.done(&["rebuild"]);
    eventually("the record outlives a rebuild", || made(&home).is_some());
    drop(serving);
    home.done(&["restore", "--check", text(&first)]);
    fs::remove_file(&first).unwrap();
    let today = home.done(&["today"]);
    assert!(
        today.contains("the last backup is not there any more"),
        "{today}"
    );
    fs::remove_dir_all(folder.path()).unwrap();
    let doctor = home.run(&["doctor"]);
    let found = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(found.contains("BAD   backup"), "{found}");
    assert!(found.contains("there is no folder"), "{found}");
    assert_eq!(doctor.status.code(), Some(1));
}

#[test]
fn a_restore_under_a_receiver_says_how_to_end_it() {
    let home = filled(1);
    let file = home.path().join("copy.db");
    home.done(&["backup", text(&file)]);
    let serving = home.serve();
    let restore = ["restore", "--replace", text(&file)];
    fails(&home, &restore, 3, "`subledger stop` ends it");
    drop(serving);
}

#[test]
fn a_night_without_a_copy_is_told_in_words() {
    let missing = tempfile::tempdir().unwrap();
    let dir = missing.path().join("unmounted");
    let home = asking(text(&dir), 3);
    let serving = home.serve();
    let told = |words: &str| {
        eventually(words, || home.done(&["today"]).contains(words));
    };
    told("unmounted is not there: make the folder, or mount its disk");
    assert!(
        !dir.exists(),
        "a folder under a disk that is not mounted is not made"
    );
    let doctor = home.run(&["doctor"]);
    let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.contains("BAD   backup"), "{doctor}");
    drop(serving);
    let home = asking("../../data/subledger", 3);
    let serving = home.serve();
    eventually("the ledger's own folder", || {
        home.done(&["today"]).contains("is the ledger's own folder")
    });
    drop(serving);
    let home = Home::new();
    let serving = home.serve();
    assert!(
        home.done(&["today"])
            .contains("no backup is made: subledger config set backup.dir FOLDER")
    );
    drop(serving);
}

#[test]
fn a_full_disk_is_named_and_nothing_is_left_on_it() {
    let home = filled(60);
    let full = home.path().join("full");
    let Some(disk) = Disk::of(&full, 100) else {
        return;
    };
    let file = full.join("copy.db");
    fails(
        &home,
        &["backup", text(&file)],
        1,
        "no room for a copy: it needs",
    );
    assert_eq!(names(&full), [""; 0]);
    fs::write(full.join("copy.db"), "old").unwrap();
    fails(&home, &["backup", "--force", text(&file)], 1, "no room");
    assert_eq!(fs::read_to_string(&file).unwrap(), "old");
    drop(disk);
}
