//! Whatever ends `rebuild` half-way leaves the old rows or the new, and nothing beside the ledger; whatever keeps it or
//! `verify` from the ledger is said in a line, with the exit code for it.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use subledger::domain::delivery::{Delivery, Origin, ProviderId};
use subledger::domain::time::Timestamp;
use subledger::providers;
use subledger::store::task::Task;

use crate::support::{Disk, Home, PATIENCE, signal};

/// Left free on the ledger's own disk.
const RESERVE_KIB: usize = 64 << 10;

/// A home whose ledger is a small made-up year.
fn year() -> Home {
    let home = Home::new();
    let ledger = home.ledger();
    fs::create_dir_all(ledger.parent().unwrap()).unwrap();
    let path = ledger.to_str().unwrap();
    let args = [
        "demo",
        "--events",
        "2500",
        "--until",
        "2026-06-30",
        "--out",
        path,
    ];
    fine(&home, &args);
    home
}

fn run(home: &Home, args: &[&str]) -> Output {
    home.command(args).stdin(Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .concat()
}

fn fine(home: &Home, args: &[&str]) -> String {
    let output = run(home, args);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {said}");
    said
}

fn start(home: &Home, args: &[&str]) -> Child {
    home.command(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Makes rows of two lists untrue.
fn forge(home: &Home) -> i64 {
    home.open()
        .execute_batch(
            "update users set email = 'forged@example.org' where id % 3 = 0;
             update payments set plan = 'forged' where id % 3 = 0",
        )
        .unwrap();
    forged(home)
}

fn forged(home: &Home) -> i64 {
    home.number(
        "select (select count(*) from users where email = 'forged@example.org')
           + (select count(*) from payments where plan = 'forged')",
    )
}

/// The file in which everything is folded again.
fn beside(home: &Home) -> PathBuf {
    home.ledger().with_extension("db.check")
}

fn bytes(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |about| about.len())
}

/// Waits until `done`, or until the child has ended.
fn until(child: &mut Child, what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() && child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "{what} is not reached");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn ctrl_c_and_kill_9_leave_the_old_rows_or_the_new() {
    let home = year();
    let file = beside(&home);
    let mut cut_short = 0;
    // So many bytes stand beside the ledger when the signal comes.
    for reached in [0, 300_000, 600_000, 900_000, 1_200_000] {
        for kind in [Signal::INT, Signal::KILL] {
            let all = forge(&home);
            assert!(all > 100, "{all}");
            // What a killed one left would look like the new one's.
            let _ = fs::remove_file(&file);
            let mut child = start(&home, &["rebuild"]);
            until(&mut child, "so many bytes", || {
                file.exists() && bytes(&file) >= reached
            });
            signal(&child, kind);
            let ended = child.wait_with_output().unwrap();
            let said = said(&ended);
            if kind == Signal::INT && ended.status.code() != Some(0) {
                assert_eq!(ended.status.code(), Some(130), "{said}");
                assert!(
                    said.contains("interrupted: no delivery was touched"),
                    "{said}"
                );
                assert!(!file.exists(), "{reached}");
            }
            let left = forged(&home);
            assert!(left == 0 || left == all, "{left} of {all}: {said}");
            cut_short += usize::from(left > 0);
            fine(&home, &["verify", "--deliveries"]);
        }
    }
    assert!(cut_short > 3, "{cut_short}: it was through each time");
    forge(&home);
    let said = fine(&home, &["rebuild"]);
    assert!(said.contains("rows put right"), "{said}");
    assert_eq!(forged(&home), 0);
    assert!(!file.exists());
    fine(&home, &["verify"]);
}

#[test]
fn days_in_another_zone_are_counted_to_the_end_however_often_that_is_killed() {
    let home = year();
    let counted = "select sum(events) from daily";
    let before = home.number(counted);
    let settings = home.path().join("config/subledger/subledger.toml");
    let text = fs::read_to_string(&settings).unwrap();
    let text = text.replace("timezone = \"UTC\"", "timezone = \"Asia/Kolkata\"");
    fs::write(&settings, text).unwrap();
    let position = "select value from meta where key = 'folded_seq'";
    let folded = || -> i64 {
        let text: String = home
            .open()
            .query_row(position, [], |row| row.get(0))
            .unwrap();
        text.parse().unwrap()
    };
    let zone = "select count(*) from meta where key = 'zone' and value = 'Asia/Kolkata'";
    for reached in [0, 1, 700, 1_400] {
        let mut child = start(&home, &["serve"]);
        until(&mut child, "so many folded", || {
            home.number(zone) == 1 && folded() >= reached
        });
        signal(&child, Signal::KILL);
        child.wait().unwrap();
        fine(&home, &["verify", "--deliveries"]);
    }
    let serving = home.serve();
    let last = home.number("select max(seq) from deliveries");
    let deadline = Instant::now() + PATIENCE;
    while folded() < last {
        assert!(Instant::now() < deadline, "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(serving.terminate(), Some(0));
    assert_eq!(home.number(counted), before);
    let said = fine(&home, &["verify"]);
    assert!(said.contains("the lists are what"), "{said}");
}

#[test]
fn a_disk_that_fills_up_ends_it_with_the_old_rows() {
    let home = year();
    let data = home.path().join("disk");
    let Some(disk) = Disk::of(&data, RESERVE_KIB + (32 << 10)) else {
        return;
    };
    let ledger = data.join("ledger.db");
    fs::copy(home.ledger(), &ledger).unwrap();
    fs::set_permissions(&ledger, fs::Permissions::from_mode(0o600)).unwrap();
    let db = ledger.to_str().unwrap();
    let forge = "update users set email = 'forged@example.org'";
    #[expect(
        clippy::disallowed_methods,
        reason = "as any other program opens it, without the store"
    )]
    let open = || rusqlite::Connection::open(&ledger).unwrap();
    let all = i64::try_from(open().execute(forge, []).unwrap()).unwrap();
    let left = || -> i64 {
        open()
            .query_row(
                "select count(*) from users where email = 'forged@example.org'",
                [],
                |row| row.get(0),
            )
            .unwrap()
    };
    let filler = data.join("filler");
    // Less is free than is left for webhooks from the beginning on, or soon after it.
    for room_kib in [-1_024, 64, 512, 1_024] {
        fill(&data, &filler, room_kib);
        for args in [&["rebuild"][..], &["rebuild", "--check"], &["verify"]] {
            let output = run(&home, &[&["--db", db], args].concat());
            let said = said(&output);
            assert_eq!(output.status.code(), Some(1), "{room_kib} {args:?}: {said}");
            assert!(said.contains("no room: "), "{said}");
            assert!(!data.join("ledger.db.check").exists(), "{said}");
            assert_eq!(left(), all, "{said}");
        }
        fine(&home, &["--db", db, "verify", "--deliveries"]);
    }
    fs::remove_file(&filler).unwrap();
    fine(&home, &["--db", db, "rebuild"]);
    assert_eq!(left(), 0);
    fine(&home, &["--db", db, "verify"]);
    drop(disk);
}

/// Leaves so much more free on the disk of `folder` than is left for webhooks.
fn fill(folder: &Path, filler: &Path, more_kib: i64) {
    let _ = fs::remove_file(filler);
    let disk = rustix::fs::statvfs(folder).unwrap();
    let free = i64::try_from(disk.f_bavail * disk.f_frsize).unwrap();
    let reserve = i64::try_from(RESERVE_KIB << 10).unwrap();
    let size = usize::try_from(free - reserve - (more_kib << 10)).unwrap();
    let mut file = fs::File::create(filler).unwrap();
    file.write_all(&vec![1; size]).unwrap();
}

#[test]
fn a_second_rebuild_at_once_is_done_too_or_says_who_is_at_it() {
    let home = year();
    forge(&home);
    let both = [(); 2].map(|()| start(&home, &["rebuild"]));
    let both = both.map(|child| child.wait_with_output().unwrap());
    let mut through = 0;
    for ended in &both {
        let said = said(ended);
        match ended.status.code() {
            Some(0) => through += 1,
            Some(1) => assert!(said.contains("try again"), "{said}"),
            Some(3) => assert!(said.contains("is writing to"), "{said}"),
            code => panic!("{code:?}: {said}"),
        }
    }
    assert!(through > 0, "{both:?}");
    assert_eq!(forged(&home), 0);
    forge(&home);
    let serving = home.serve();
    let both = [(); 2].map(|()| start(&home, &["rebuild"]));
    for ended in both.map(|child| child.wait_with_output().unwrap()) {
        assert_eq!(ended.status.code(), Some(0), "{}", said(&ended));
    }
    assert_eq!(forged(&home), 0);
    assert_eq!(serving.terminate(), Some(0));
    fine(&home, &["verify"]);
}

#[test]
fn a_receiver_that_ends_in_the_middle_takes_its_file_away() {
    let home = year();
    let serving = home.serve();
    let mut check = start(&home, &["rebuild", "--check"]);
    until(&mut check, "a comparison", || beside(&home).exists());
    assert_eq!(serving.terminate(), Some(0));
    let ended = check.wait_with_output().unwrap();
    let said = said(&ended);
    // It may have been through by then.
    assert!(
        ended.status.success() || said.contains("try again") || said.contains("is writing to"),
        "{said}"
    );
    assert!(!beside(&home).exists());
    fine(&home, &["verify"]);
}

#[test]
fn another_programs_lock_is_named() {
    let home = year();
    let foreign = home.open();
    foreign.execute_batch("begin exclusive").unwrap();
    // Who only reads is kept from nothing.
    fine(&home, &["verify", "--deliveries"]);
    let waiting = [&["rebuild"][..], &["rebuild", "--check"], &["verify"]];
    let waiting = waiting.map(|args| {
        // One at a time: each is to meet the foreign lock, and not that of another one.
        let ended = run(&home, args);
        (args, ended)
    });
    for (args, ended) in waiting {
        let said = said(&ended);
        assert_eq!(ended.status.code(), Some(3), "{args:?}: {said}");
        assert!(said.contains("another program holds its lock"), "{said}");
    }
    foreign.execute_batch("rollback").unwrap();
    fine(&home, &["verify"]);
}

#[test]
fn what_may_not_be_written_is_read_as_far_as_can_be_and_never_half_changed() {
    let home = year();
    let data = home.path().join("disk");
    let Some(disk) = Disk::of(&data, 32 << 10) else {
        return;
    };
    let ledger = data.join("ledger.db");
    fs::copy(home.ledger(), &ledger).unwrap();
    let before = fs::read(&ledger).unwrap();
    disk.close();
    let db = ledger.to_str().unwrap();
    for args in [
        &["rebuild"][..],
        &["rebuild", "--check"],
        &["verify"],
        &["verify", "--deliveries"],
    ] {
        let output = run(&home, &[&["--db", db], args].concat());
        let said = said(&output);
        assert_eq!(output.status.code(), Some(3), "{args:?}: {said}");
        assert!(said.contains("copy the database"), "{args:?}: {said}");
    }
    assert_eq!(fs::read(&ledger).unwrap(), before);
    drop(disk);
}

#[test]
fn a_file_of_somebody_else_is_read_and_its_lists_are_left() {
    let home = year();
    fs::set_permissions(home.ledger(), fs::Permissions::from_mode(0o400)).unwrap();
    let may_write = fs::OpenOptions::new().write(true).open(home.ledger());
    if may_write.is_ok() {
        eprintln!("skipped: this user may write to any file");
        return;
    }
    fine(&home, &["verify", "--deliveries"]);
    for args in [&["rebuild"][..], &["rebuild", "--check"], &["verify"]] {
        let output = run(&home, args);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(3), "{args:?}: {said}");
        assert!(said.contains("cannot write the ledger"), "{said}");
    }
}

#[test]
fn a_damaged_log_takes_no_more_than_what_stood_in_it() {
    let home = year();
    let serving = home.serve();
    let told = home.number("select max(seq) from deliveries");
    for number in 0..40 {
        let body =
            format!(r#"{{"event_type":"visitor.greeted","data":{{"visitor_id":"v{number}"}}}}"#);
        serving.post("klustr", "events", body.as_bytes()).unwrap();
    }
    serving.kill();
    let log = home.ledger().with_extension("db-wal");
    let whole = fs::read(&log).unwrap();
    let ledger = fs::read(home.ledger()).unwrap();
    assert!(whole.len() > 10 * 4096, "{}", whole.len());
    for (place, byte) in [(0, 0xff), (40, 7), (whole.len() / 2, 0x55)] {
        let mut damaged = whole.clone();
        damaged[place..place + 20].fill(byte);
        for damaged in [&damaged[..], &whole[..whole.len() / 3], &[0; 9000]] {
            fs::write(home.ledger(), &ledger).unwrap();
            let _ = fs::remove_file(home.ledger().with_extension("db-shm"));
            fs::write(&log, damaged).unwrap();
            let said = fine(&home, &["verify"]);
            assert!(said.contains("the chain holds"), "{said}");
            assert!(home.number("select max(seq) from deliveries") >= told);
        }
    }
}

#[test]
fn what_came_while_the_clock_was_wrong_is_read_by_the_arrival_that_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::upgrade::open(&folder.path().join("subledger.db"));
    let writer = store.writer();
    let read = crate::upgrade::options().read;
    for (provider, arrived) in providers::ALL.iter().zip([
        "2026-03-01T08:00:00Z",
        "1970-01-01T00:00:01Z",
        "1970-01-01T00:00:02Z",
        "1970-01-01T00:00:03Z",
    ]) {
        for sample in provider.samples() {
            let delivery = Delivery {
                provider: ProviderId::known(provider.id()),
                account: "main".to_owned(),
                hook: sample.hook.to_owned(),
                received_at: Timestamp::parse(arrived).unwrap(),
                headers: Vec::new(),
                body: sample.body.as_bytes().to_vec(),
                credential: "path_key".to_owned(),
                identity_proof: None,
                remote_ip: "198.51.100.7".to_owned(),
                origin: Origin::Live,
                test: false,
            };
            let reading = read(&delivery);
            let (told, answer) = std::sync::mpsc::channel();
            let reply = Box::new(move |ack| told.send(ack).unwrap());
            writer.append(delivery, reading, reply).ok().unwrap();
            answer.recv().unwrap().unwrap();
        }
    }
    let check = writer
        .run(Task::Rebuild { check: true }, &mut |_| {})
        .unwrap();
    assert_eq!(check.findings, Vec::<String>::new());
    store.close().unwrap();
}
