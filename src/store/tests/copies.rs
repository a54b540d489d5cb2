//! Copies of a ledger: whole, checked, and nothing left of those that fail.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::store::tests::Ledger;
use crate::store::upkeep::copy::{Copied, Existing, Stage, UNFINISHED, Watch, copy, prepare};
use crate::store::upkeep::verify::verify;
use crate::store::{Error, Mode, connect, schema};

fn copied(from: &Path, to: &Path, existing: Existing) -> Result<Copied, Error> {
    stopping(from, to, existing, |_| false)
}

/// Copies, and stops at the first stage that `at` names.
fn stopping(
    from: &Path,
    to: &Path,
    existing: Existing,
    at: impl Fn(Stage) -> bool,
) -> Result<Copied, Error> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut told = |stage| {
        if at(stage) {
            stop.store(true, Ordering::Relaxed);
        }
    };
    let mut watch = Watch {
        stop: &stop,
        gentle: false,
        told: &mut told,
    };
    copy(from, to, existing, &mut watch)
}

fn target(ledger: &Ledger) -> PathBuf {
    let folder = ledger.folder().join("copies");
    fs::create_dir_all(&folder).unwrap();
    folder.join("copy.db")
}

fn left(target: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(target.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_copy_made_while_deliveries_arrive_is_whole_and_holds_what_was_acknowledged_before() {
    let ledger = Ledger::new();
    let body = "x".repeat(20_000);
    for n in 0..200 {
        ledger.post(&format!("id:{n} {body} a"), n);
    }
    let to = target(&ledger);
    let (acknowledged, done) = (AtomicI64::new(200), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 200;
            while !done.load(Ordering::Relaxed) {
                n += 1;
                let ack = ledger.post(&format!("id:{n} b"), n);
                acknowledged.store(ack.seq, Ordering::Relaxed);
            }
        });
        for _ in 0..5 {
            let before = acknowledged.load(Ordering::Relaxed);
            let made = copied(&ledger.path, &to, Existing::Replace);
            done.store(made.is_err(), Ordering::Relaxed);
            let made = made.unwrap();
            assert!(made.verified.last_seq >= before);
            assert_eq!(made.bytes, to.metadata().unwrap().len());
            assert_eq!(made.verified, verify(&to).unwrap());
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(left(&to), ["copy.db"]);
    assert_eq!(to.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(verify(&ledger.path).unwrap().is_sound());
    let opened = crate::store::writer::Store::open(&to, ledger.options()).unwrap();
    opened.close().unwrap();
}

#[test]
fn what_is_stopped_at_any_stage_leaves_nothing() {
    let ledger = Ledger::new();
    for n in 0..300 {
        ledger.post(&format!("id:{n} {} a", "y".repeat(9_000)), n);
    }
    let to = target(&ledger);
    let stages: [fn(Stage) -> bool; 3] = [
        |stage| matches!(stage, Stage::Copying { .. }),
        |stage| matches!(stage, Stage::Checking { done: 0, .. }),
        |stage| matches!(stage, Stage::Checking { done: 1.., .. }),
    ];
    for at in stages {
        let made = stopping(&ledger.path, &to, Existing::Keep, at);
        assert!(matches!(made, Err(Error::Interrupted)), "{made:?}");
        assert_eq!(left(&to), [""; 0]);
    }
    fs::write(&to, "old").unwrap();
    stopping(&ledger.path, &to, Existing::Replace, stages[1]).unwrap_err();
    assert_eq!(fs::read_to_string(&to).unwrap(), "old");
}

#[test]
fn a_file_that_is_there_is_replaced_only_where_asked() {
    let ledger = Ledger::new();
    ledger.post("id:1 a", 0);
    let to = target(&ledger);
    fs::write(&to, "a letter").unwrap();
    let kept = copied(&ledger.path, &to, Existing::Keep).unwrap_err();
    assert!(kept.to_string().contains("is there already"), "{kept}");
    assert_eq!(fs::read_to_string(&to).unwrap(), "a letter");
    copied(&ledger.path, &to, Existing::Replace).unwrap();
    let again = fs::hard_link(&ledger.path, to.with_extension("link"));
    again.unwrap();
    let itself = copied(&ledger.path, &to.with_extension("link"), Existing::Replace);
    assert!(
        itself
            .unwrap_err()
            .to_string()
            .contains("the ledger itself")
    );
    let nowhere = ledger.folder().join("nowhere/copy.db");
    let absent = copied(&ledger.path, &nowhere, Existing::Keep);
    assert!(matches!(absent, Err(Error::Io { .. })));
}

#[test]
fn a_copy_that_a_crash_left_is_cleared_and_one_under_way_is_not() {
    let ledger = Ledger::new();
    ledger.post("id:1 a", 0);
    let to = target(&ledger);
    let part = schema::beside(&to, UNFINISHED);
    fs::write(&part, "half").unwrap();
    fs::write(schema::beside(&part, "-wal"), "half").unwrap();
    copied(&ledger.path, &to, Existing::Keep).unwrap();
    assert_eq!(left(&to), ["copy.db"]);
    fs::write(&part, "somebody is at it").unwrap();
    let held = File::open(&part).unwrap();
    held.try_lock().unwrap();
    let busy = copied(&ledger.path, &to, Existing::Replace).unwrap_err();
    assert!(busy.to_string().contains("another copy"), "{busy}");
    assert!(part.exists());
}

#[test]
fn a_damaged_ledger_is_not_taken_for_a_backup() {
    let mut ledger = Ledger::new();
    for n in 0..10 {
        ledger.post(&format!("id:{n} a"), n);
    }
    ledger.close();
    let conn = connect(&ledger.path, Mode::Write).unwrap();
    conn.execute_batch(
        "drop trigger deliveries_no_update; drop trigger deliveries_guarded_update; update deliveries set body = 'other' where seq = 4",
    )
    .unwrap();
    drop(conn);
    let to = target(&ledger);
    let refused = copied(&ledger.path, &to, Existing::Keep).unwrap_err();
    let said = refused.to_string();
    assert!(
        matches!(refused, Error::Damaged { .. }) && said.contains("delivery 4: its body"),
        "{said}"
    );
    assert_eq!(left(&to), [""; 0]);
}

#[test]
fn a_prepared_copy_is_gone_unless_it_is_placed() {
    let ledger = Ledger::new();
    ledger.post("id:1 a", 0);
    let to = target(&ledger);
    let stop = Arc::new(AtomicBool::new(false));
    let mut watch = Watch {
        stop: &stop,
        gentle: true,
        told: &mut |_| {},
    };
    let ready = prepare(&ledger.path, &to, Existing::Keep, &mut watch).unwrap();
    assert_eq!(ready.copied().verified.last_seq, 1);
    assert!(ready.path().exists() && !to.exists());
    drop(ready);
    assert_eq!(left(&to), [""; 0]);
    let ready = prepare(&ledger.path, &to, Existing::Keep, &mut watch).unwrap();
    fs::write(&to, "quicker").unwrap();
    assert!(ready.place(Existing::Keep).is_err());
    assert_eq!(left(&to), ["copy.db"]);
    assert_eq!(to.metadata().unwrap().size(), 7);
}

#[test]
fn a_pipe_in_the_way_keeps_nobody_waiting() {
    let ledger = Ledger::new();
    ledger.post("id:1 a", 0);
    let to = target(&ledger);
    let pipe = |path: &Path| {
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    };
    pipe(&schema::beside(&to, UNFINISHED));
    copied(&ledger.path, &to, Existing::Keep).unwrap();
    let other = to.with_file_name("pipe.db");
    pipe(&other);
    assert!(matches!(schema::look(&other), Err(Error::Foreign(_))));
}
