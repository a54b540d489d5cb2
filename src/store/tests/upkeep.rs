//! Upkeep between deliveries: tests, admissions, quarantine, rebuild, verify, the ring and the socket.

use std::fs;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::params;

use crate::domain::delivery::{Delivery, Origin, Outcome};
use crate::domain::page::{Cursor, List, Order};
use crate::domain::query::{Query, Vocabulary, Words};
use crate::domain::time::Zone;
use crate::store::inbox::Notes;
use crate::store::project::Projector;
use crate::store::query::Reader;
use crate::store::ring::{Bounds, Rejected, Ring};
use crate::store::task::{Task, Which, submit};
use crate::store::tests::{Ledger, MORNING, delivery, eventually};
use crate::store::upkeep::import::{Imported, Parcel};
use crate::store::upkeep::verify::verify;
use crate::store::{Error, Mode, connect};

fn rejected(provider: &str, n: i64, body: Option<&str>) -> Rejected {
    Rejected {
        received_at: MORNING.plus_ms(n),
        provider: provider.to_owned(),
        hook: "events".to_owned(),
        path: format!("/hooks/{provider}/events/fp:0011223344556677"),
        reason: "secret link wrong".to_owned(),
        remote_ip: "203.0.113.9".to_owned(),
        method: "POST".to_owned(),
        headers: vec![("user-agent".to_owned(), "x".to_owned())],
        body: body.map(|body| body.as_bytes().to_vec()),
        body_bytes: body.map_or(0, |body| body.len() as u64),
        sha256: None,
    }
}

#[test]
fn cleared_tests_are_gone_and_the_chain_still_verifies() {
    let mut ledger = Ledger::new();
    for n in 0..120 {
        let mut test = delivery(&format!("id:t{n} canary{n} a"), n);
        test.test = true;
        ledger.send(test);
    }
    ledger.post("id:real a", 200);
    ledger
        .run(Task::MarkTest {
            which: Which::Seqs(vec![7, 121]),
            test: false,
        })
        .unwrap();
    let report = ledger.run(Task::ClearTests).unwrap();
    assert_eq!(report.summary, "119 test deliveries erased");
    assert_eq!(ledger.text("select group_concat(seq) from events"), "7,121");
    assert_eq!(ledger.text("select count(*) from delivery_keys"), "2");
    assert_eq!(
        ledger.text("select count(*) from deliveries where body is null and salt is null and dedupe_key is null"),
        "119"
    );
    let verified = verify(&ledger.path).unwrap();
    assert_eq!((verified.is_sound(), verified.erased), (true, 119));
    assert_eq!(
        ledger.send(delivery("id:t3 canary3 a", 300)).outcome,
        Outcome::Stored
    );
    ledger.close();
    let bytes = fs::read(&ledger.path).unwrap();
    let stands = |word: &[u8]| bytes.windows(word.len()).any(|window| window == word);
    assert!(stands(b"canary6") && !stands(b"canary50"));
}

#[test]
fn tests_are_cleared_while_the_lists_are_being_emptied() {
    let mut ledger = Ledger::new();
    let parcels = (0..1_500).map(|n| {
        let mut trial = delivery(&format!("id:{n} paid"), n);
        trial.origin = Origin::Import;
        trial.test = n % 10 == 0;
        Parcel::from(&trial)
    });
    let parcels = parcels.collect();
    ledger.run(Task::Import { parcels, before: 0 }).unwrap();
    eventually("folded", || {
        ledger.text("select count(*) from payments") == "1500"
    });
    ledger.close();
    // The payments have gone, and their events have not.
    let conn = connect(&ledger.path, Mode::Write).unwrap();
    crate::store::fold::start_over(&conn).unwrap();
    conn.execute_batch("delete from daily; delete from payments")
        .unwrap();
    drop(conn);
    ledger.reopen();
    let report = ledger.run(Task::ClearTests).unwrap();
    assert_eq!(report.summary, "150 test deliveries erased");
    assert_eq!(ledger.text("select count(*) from payments"), "1350");
    assert_eq!(ledger.text("select sum(test) from events"), "0");
    let checked = ledger.run(Task::Rebuild { check: true }).unwrap();
    assert_eq!((checked.changed, checked.findings), (0, Vec::new()));
}

#[test]
fn a_reader_marked_as_test_leaves_the_figures() {
    let ledger = Ledger::new();
    ledger.post("id:1 a", 0);
    ledger.post("id:2 a", 1);
    let which = Which::User {
        provider: "conscent".to_owned(),
        account: "main".to_owned(),
        user_id: "reader".to_owned(),
    };
    // The fake projection of some tests writes no user_id, so the reader is written here if it must be.
    connect(&ledger.path, Mode::Write)
        .unwrap()
        .execute_batch("update events set user_id = 'reader' where user_id is null")
        .unwrap();
    let report = ledger.run(Task::MarkTest { which, test: true }).unwrap();
    assert_eq!(report.changed, 2);
    assert_eq!(ledger.text("select sum(test) from deliveries"), "2");
    assert_eq!(ledger.text("select sum(test) from events"), "2");
}

#[test]
fn a_rejected_delivery_is_taken_in_once_with_its_own_arrival_judged() {
    let ledger = Ledger::new();
    let writer = ledger.store().writer();
    ledger.store().admit_with(Arc::new(|row| {
        assert_eq!(row.rejected.received_at, MORNING.plus_ms(row.id));
        let body = String::from_utf8(row.rejected.body.clone().unwrap()).unwrap();
        if body.contains("forged") {
            return Err("secret link wrong".to_owned());
        }
        Ok(Delivery {
            received_at: row.rejected.received_at,
            ..delivery(&body, 0)
        })
    }));
    writer.reject(rejected("zotlo", 1, Some("bytes: login")));
    writer.reject(rejected("zotlo", 2, Some("bytes: forged")));
    writer.reject(rejected("zotlo", 3, None));
    writer.reject(rejected("zotlo", 4, Some("bytes: login")));
    ledger.post("id:1 later-than-those", 3_600_000);
    eventually("in the ring", || {
        ledger.text("select count(*) from rejected") == "4"
    });
    let report = ledger
        .run(Task::Admit {
            ids: vec![1, 2, 3, 4, 9],
        })
        .unwrap();
    assert_eq!(report.summary, "2 of 5 taken in");
    assert_eq!(
        report.findings,
        [
            "2: secret link wrong",
            "3: its body was not kept",
            "9: it is not kept any more"
        ]
    );
    assert_eq!(
        ledger.text("select group_concat(outcome || origin) from deliveries where seq > 1"),
        "storedadmitted,duplicateadmitted"
    );
    assert_eq!(
        ledger.text("select received_at from deliveries where seq = 2"),
        MORNING.to_string()
    );
    let again = ledger.run(Task::Admit { ids: vec![1] }).unwrap();
    assert_eq!(again.findings, ["1: taken in already, as delivery 2"]);
}

#[test]
fn what_is_understood_after_an_upgrade_counts_once() {
    let ledger = Ledger::new();
    ledger.post("natural:k later", 0);
    ledger.post("natural:k later", 1);
    ledger.post("id:2 garbage", 2);
    ledger.post("natural:m later", 3);
    ledger.upgrade();
    ledger.post("natural:m later", 4);
    let report = ledger.run(Task::RetryQuarantine).unwrap();
    assert_eq!(report.summary, "2 of 3 understood now");
    assert_eq!(
        ledger.text(
            "select group_concat(outcome) from (select outcome from deliveries order by seq)"
        ),
        "stored,duplicate,quarantined,duplicate,stored"
    );
    assert_eq!(
        ledger.text("select group_concat(seq) from (select seq from events order by seq)"),
        "1,5"
    );
    assert_eq!(ledger.run(Task::RetryQuarantine).unwrap().changed, 0);
}

#[test]
fn a_delivery_that_breaks_its_reader_is_kept() {
    let ledger = Ledger::new();
    let reading = crate::domain::delivery::Reading::unreadable("", "broke");
    let (to, answer) = std::sync::mpsc::channel();
    ledger
        .store()
        .writer()
        .append(
            delivery("trap", 0),
            reading,
            Box::new(move |done| to.send(done).unwrap()),
        )
        .unwrap();
    assert_eq!(
        answer.recv().unwrap().unwrap().outcome,
        Outcome::Quarantined
    );
    assert_eq!(ledger.run(Task::RetryQuarantine).unwrap().changed, 0);
    assert_eq!(ledger.post("id:1 a", 1).seq, 2);
}

#[test]
fn a_rebuild_gives_what_live_writing_gave_and_a_check_finds_what_drifted() {
    let ledger = Ledger::new();
    for n in 0..600 {
        ledger.post(&format!("id:{} a", n % 500), n);
    }
    let check = Task::Rebuild { check: true };
    let sound = ledger.run(check.clone()).unwrap();
    assert_eq!((sound.changed, sound.findings.len()), (0, 0));
    let conn = connect(&ledger.path, Mode::Write).unwrap();
    conn.execute_batch(
        "update events set day = '1999-01-01' where seq = 3; delete from events where seq = 9",
    )
    .unwrap();
    drop(conn);
    let drifted = ledger.run(check.clone()).unwrap();
    assert_eq!(
        drifted.findings,
        [
            "events id 30000 differs in day",
            "events id 90000 is missing"
        ]
    );
    let rebuilt = ledger.run(Task::Rebuild { check: false }).unwrap();
    assert_eq!(
        rebuilt.summary,
        "600 deliveries folded again: 2 rows put right"
    );
    assert_eq!(ledger.run(check).unwrap().changed, 0);
    assert_eq!(ledger.text("select count(*) from events"), "500");
    assert!(!ledger.folder().join("subledger.db.check").exists());
}

#[test]
fn another_zone_is_written_down_and_counted_in() {
    let mut ledger = Ledger::new();
    ledger.post("id:1 a", 0);
    let wrong = ledger.run(Task::SetZone {
        zone: "Mars".to_owned(),
    });
    assert!(matches!(wrong, Err(Error::Refused(_))));
    ledger
        .run(Task::SetZone {
            zone: "Asia/Kolkata".to_owned(),
        })
        .unwrap();
    assert_eq!(ledger.store().zone().name(), "Asia/Kolkata");
    ledger.reopen();
    assert_eq!(ledger.store().zone().name(), "Asia/Kolkata");
    assert_eq!(ledger.text("select count(*) from events"), "1");
}

#[test]
fn verify_names_the_delivery_whose_bytes_were_flipped() {
    for (column, places) in [("body", 8), ("link", 32), ("commitment", 32), ("salt", 16)] {
        let mut ledger = Ledger::new();
        for n in 0..20 {
            ledger.post(&format!("id:{n} canary{n:02}"), n);
        }
        ledger.close();
        let needle: Vec<u8> = {
            let sql = format!("select cast({column} as blob) from deliveries where seq = 7");
            connect(&ledger.path, Mode::Read)
                .unwrap()
                .query_row(&sql, [], |row| row.get(0))
                .unwrap()
        };
        let bytes = fs::read(&ledger.path).unwrap();
        let at = bytes
            .windows(needle.len())
            .position(|window| window == needle)
            .unwrap();
        let flipped = at + places / 2;
        let file = fs::OpenOptions::new()
            .write(true)
            .open(&ledger.path)
            .unwrap();
        file.write_all_at(&[bytes[flipped] ^ 4], flipped as u64)
            .unwrap();
        let verified = verify(&ledger.path).unwrap();
        assert_eq!(
            verified.damage.first().and_then(|damage| damage.seq),
            Some(7),
            "{column}: {verified:?}"
        );
    }
}

#[test]
fn verify_never_panics_on_a_damaged_file() {
    let mut ledger = Ledger::new();
    for n in 0..40 {
        ledger.post(&format!("id:{n} {}", "y".repeat(3_000)), n);
    }
    ledger.close();
    let bytes = fs::read(&ledger.path).unwrap();
    let mut noticed = 0;
    for page in 1..bytes.len() / 4096 {
        let mut damaged = bytes.clone();
        damaged[page * 4096..page * 4096 + 2048].fill(0xa5);
        fs::write(&ledger.path, &damaged).unwrap();
        match verify(&ledger.path) {
            Ok(verified) if verified.is_sound() => {}
            _ => noticed += 1,
        }
    }
    assert!(noticed > bytes.len() / 4096 / 2, "{noticed}");
}

#[test]
fn reviews_and_saved_filters_are_kept_outside_the_chain() {
    let ledger = Ledger::new();
    ledger.post("id:1 a", 0);
    // Nobody can have seen what is not here: it would hide what comes next.
    for seq in [2, i64::MAX, -1, i64::MIN] {
        let refused = ledger.run(Task::MarkReviewed { seq });
        assert!(matches!(refused, Err(Error::Refused(why)) if why.contains("the last is 1")));
    }
    assert_eq!(ledger.text("select count(*) from reviews"), "0");
    ledger.run(Task::MarkReviewed { seq: 1 }).unwrap();
    assert_eq!(ledger.text("select seq from reviews"), "1");
    ledger.run(Task::UndoReview).unwrap();
    assert!(matches!(
        ledger.run(Task::UndoReview),
        Err(Error::Refused(_))
    ));
    let save = Task::SaveView {
        name: "mine".to_owned(),
        list: List::Events,
        query: "type:cancel".to_owned(),
        order: Order::Oldest,
    };
    ledger.run(save.clone()).unwrap();
    ledger.run(save).unwrap();
    assert_eq!(
        ledger.text("select value from meta where key = 'order.mine'"),
        "oldest"
    );
    ledger
        .run(Task::DropView {
            name: "mine".to_owned(),
        })
        .unwrap();
    assert!(matches!(
        ledger.run(Task::DropView {
            name: "mine".to_owned()
        }),
        Err(Error::Refused(_))
    ));
    let kept = "select count(*) from meta where key glob 'order.*'";
    assert_eq!(ledger.text(kept), "0", "its order goes with it");
}

#[test]
fn a_scanner_cannot_push_out_what_a_provider_sent() {
    let mut ledger = Ledger::new();
    ledger.close();
    let conn = connect(&ledger.path, Mode::Write).unwrap();
    let bounds = Bounds {
        rows_max: 100,
        bytes_max: 40_000,
        age_ms: 1_000_000,
    };
    let mut ring = Ring::load(&conn, bounds).unwrap();
    let mut notes = Notes::default();
    for n in 0..30 {
        ring.push(&conn, &rejected("zotlo", n, Some("{}")), &mut notes)
            .unwrap();
    }
    for n in 0..500 {
        ring.push(&conn, &rejected("", n, None), &mut notes)
            .unwrap();
        ring.push(&conn, &rejected("zotlo", n, None), &mut notes)
            .unwrap();
    }
    for n in 0..50 {
        ring.push(
            &conn,
            &rejected("klustr", n, Some(&"k".repeat(5_000))),
            &mut notes,
        )
        .unwrap();
    }
    let count = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(
        count("select count(*) from rejected where provider = 'zotlo' and body is not null"),
        30
    );
    assert!(count("select count(*) from rejected") <= 100);
    assert!(
        count(
            "select sum(length(ifnull(body, '')) + length(headers) + length(path) + 200) from rejected"
        ) <= 40_000
    );
    let lost: i64 = notes.lost.values().sum();
    assert_eq!(lost + count("select count(*) from rejected"), 1_080);
    let gone = ring
        .expire(&conn, MORNING.plus_ms(2_000_000), 1_000)
        .unwrap();
    assert!(gone > 0);
    assert_eq!(count("select count(*) from rejected"), 0);
    let counted = count("select sum(requests) from rejected_lost");
    assert_eq!(counted, i64::try_from(gone).unwrap());
}

#[test]
fn what_the_ring_cannot_take_is_counted() {
    let ledger = Ledger::new();
    let writer = ledger.store().writer();
    let body = "z".repeat(1 << 20);
    for n in 0..40 {
        writer.reject(rejected("zotlo", n, Some(&body)));
    }
    eventually("all accounted for", || {
        ledger.text("select (select count(*) from rejected) + (select ifnull(sum(requests), 0) from rejected_lost)") == "40"
    });
    assert_ne!(ledger.text("select count(*) from rejected_lost"), "0");
}

#[test]
fn checks_of_a_link_are_counted() {
    let ledger = Ledger::new();
    for _ in 0..3 {
        ledger.store().writer().checked("zotlo", "main", "events");
    }
    eventually("counted", || {
        ledger.text("select ifnull(max(requests), 0) from checks") == "3"
    });
}

#[test]
fn another_process_hands_its_task_over_the_socket() {
    let ledger = Ledger::new();
    ledger.post("id:1 a", 0);
    let stopped = Arc::new(AtomicBool::new(false));
    let silent = submit(&ledger.path, Task::ClearTests, || {
        unreachable!("the lock is held")
    });
    assert!(
        matches!(silent, Err(Error::Locked { holder, .. }) if holder == std::process::id().to_string())
    );
    let flag = Arc::clone(&stopped);
    ledger
        .store()
        .on_stop(move || flag.store(true, Ordering::Relaxed));
    ledger
        .store()
        .on_reload(|| Err("[providers.zotlo] is wrong".to_owned()));
    ledger
        .store()
        .serve_tasks(Arc::new(|_| Err("no".to_owned())))
        .unwrap();
    let hand = |task| submit(&ledger.path, task, || unreachable!("the lock is held"));
    let report = hand(Task::MarkTest {
        which: Which::Seqs(vec![1]),
        test: true,
    })
    .unwrap();
    assert_eq!(report.summary, "1 delivery marked as a test");
    assert_eq!(hand(Task::ClearTests).unwrap().changed, 1);
    assert!(
        matches!(hand(Task::UndoReview), Err(Error::Refused(why)) if why == "there is no review to undo")
    );
    assert!(matches!(hand(Task::Reload), Err(Error::Refused(why)) if why.contains("zotlo")));
    hand(Task::Stop).unwrap();
    assert!(stopped.load(Ordering::Relaxed));
}

#[test]
fn a_task_is_done_here_when_nobody_holds_the_lock() {
    let mut ledger = Ledger::new();
    ledger.post("id:1 a", 0);
    ledger.close();
    let options = ledger.options();
    let path = ledger.path.clone();
    submit(&path, Task::MarkReviewed { seq: 1 }, || {
        crate::store::writer::Store::open(&path, options)
    })
    .unwrap();
    assert_eq!(ledger.text("select count(*) from reviews"), "1");
    let stop = submit(&path, Task::Stop, || unreachable!("nothing to stop"));
    assert!(matches!(stop, Err(Error::Refused(_))));
}

#[test]
fn a_long_path_still_has_a_socket() {
    let ledger = Ledger::closed();
    let deep = ledger.folder().join("d".repeat(120)).join("subledger.db");
    let store = crate::store::writer::Store::open(&deep, ledger.options()).unwrap();
    store
        .serve_tasks(Arc::new(|_| Err("no".to_owned())))
        .unwrap();
    submit(&deep, Task::MarkReviewed { seq: 0 }, || {
        unreachable!("the lock is held")
    })
    .unwrap();
}

#[test]
fn deliveries_are_answered_while_a_rebuild_goes_on() {
    let ledger = Ledger::new();
    for n in 0..300 {
        ledger.post(&format!("id:{n} a"), n);
    }
    std::thread::scope(|scope| {
        let rebuild = scope.spawn(|| ledger.run(Task::Rebuild { check: false }).unwrap());
        for n in 300..400 {
            assert_eq!(
                ledger.post(&format!("id:{n} a"), n).outcome,
                Outcome::Stored
            );
        }
        rebuild.join().unwrap();
    });
    eventually("folded", || {
        ledger.text("select count(*) from events") == "400"
    });
    assert!(verify(&ledger.path).unwrap().is_sound());
    let conn = ledger.reader();
    let gaps: i64 = conn
        .query_row(
            "select count(*) from deliveries where seq > ?1",
            params![400],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(gaps, 0);
}

#[test]
fn a_crash_while_the_lists_are_emptied_for_a_rebuild_leaves_nothing_behind() {
    let mut ledger = Ledger::new();
    for n in 0..40 {
        ledger.post(&format!("id:{n} a"), n);
    }
    eventually("folded", || {
        ledger.text("select count(*) from events") == "40"
    });
    ledger.close();
    let conn = connect(&ledger.path, Mode::Write).unwrap();
    crate::store::fold::start_over(&conn).unwrap();
    // The lists of money, days and states are gone, and some of the events.
    let of_others = conn
        .query_row("select count(*) from daily", [], |row| row.get::<_, u32>(0))
        .unwrap();
    assert_eq!(
        Projector::new(Zone::UTC)
            .clear(&conn, of_others + 25)
            .unwrap(),
        of_others + 25
    );
    drop(conn);
    ledger.reopen();
    eventually("folded again", || {
        ledger.store().writer().health().folded_seq == 40
    });
    let checked = ledger.run(Task::Rebuild { check: true }).unwrap();
    assert_eq!((checked.changed, checked.findings), (0, Vec::new()));
    assert_eq!(
        ledger.text("select count(*) from meta where key = 'clearing'"),
        "0"
    );
}

#[test]
fn an_import_goes_over_the_socket_byte_for_byte() {
    let ledger = Ledger::new();
    ledger
        .store()
        .serve_tasks(Arc::new(|_| Err("no".to_owned())))
        .unwrap();
    let parcels: Vec<Parcel> = (0..150)
        .map(|n| {
            let mut old = delivery(&format!("id:{} \u{1f4a1} a", n % 100), -n);
            old.body.push(0xff);
            old.origin = if n == 7 { Origin::Live } else { Origin::Import };
            Parcel::from(&old)
        })
        .collect();
    let task = Task::Import { parcels, before: 0 };
    let report = submit(&ledger.path, task, || unreachable!("the lock is held")).unwrap();
    assert_eq!(
        report.summary,
        "100 stored, 49 repeats, 0 not understood, 0 here already"
    );
    assert_eq!(
        report.import.unwrap().failed,
        [(7, "this is no delivery from a file".to_owned())]
    );
    assert_eq!(
        ledger.text("select max(hex(body) like '%F09F92A1%FF') from deliveries"),
        "1"
    );
    assert!(verify(&ledger.path).unwrap().is_sound());
}

/// What `bodies`, each at its time after the morning, become in an import that began at `before`.
fn import(ledger: &Ledger, bodies: &[(&str, i64)], before: i64) -> Imported {
    let parcels = bodies.iter().map(|(body, ms)| {
        let mut old = delivery(body, *ms);
        old.origin = Origin::Import;
        Parcel::from(&old)
    });
    let task = Task::Import {
        parcels: parcels.collect(),
        before,
    };
    ledger.run(task).unwrap().import.unwrap()
}

#[test]
fn a_second_import_adds_no_row_whatever_the_bodies_hold() {
    let ledger = Ledger::new();
    let bodies = [
        ("id:1 a", -9000),
        ("bytes: login", -8000),
        ("bytes: login", -5000),
        ("garbage", -4000),
        ("garbage", -4000),
        ("id:1 a", -3000),
        ("within:k a", -3000),
    ];
    let first = import(&ledger, &bodies, 0);
    assert_eq!((first.stored, first.repeats, first.quarantined), (4, 1, 2));
    assert_eq!((first.first_seq, first.last_seq), (Some(1), Some(7)));
    let second = import(&ledger, &bodies, 7);
    assert_eq!((second.present, second.last_seq), (7, None));
    assert_eq!(ledger.text("select count(*) from deliveries"), "7");
    // Cut off after the third: the rest comes in, the first ones stay as they are.
    let ledger = Ledger::new();
    import(&ledger, &bodies[..3], 0);
    let rest = import(&ledger, &bodies, 3);
    assert_eq!((rest.present, rest.stored, rest.quarantined), (3, 1, 2));
}

#[test]
fn what_came_over_http_is_known_when_it_comes_from_a_file_too() {
    let ledger = Ledger::new();
    ledger.post("garbage", -50);
    ledger.post("bytes: login", -40);
    ledger.post("id:1 a", -30);
    let bodies = [("garbage", -50), ("bytes: login", -40), ("id:1 a", -30)];
    assert_eq!(import(&ledger, &bodies, 3).present, 3);
    // The same bytes at another time, or other bytes at the same time, are another delivery.
    let others = [("garbage", -51), ("garbage2", -50)];
    assert_eq!(import(&ledger, &others, 3).quarantined, 2);
}

#[test]
fn what_was_erased_does_not_come_back_with_an_old_file() {
    let ledger = Ledger::new();
    let mut trial = delivery("bytes: login", -40);
    trial.test = true;
    ledger.send(trial);
    import(&ledger, &[("id:1 a", -90), ("id:2 b", -90)], 1);
    let which = Which::Seqs(vec![2]);
    ledger.run(Task::MarkTest { which, test: true }).unwrap();
    ledger.run(Task::ClearTests).unwrap();
    let bodies = [("id:1 a", -90), ("id:2 b", -90), ("bytes: login", -40)];
    let again = import(&ledger, &bodies, 3);
    assert_eq!((again.erased, again.present), (2, 1));
    assert_eq!(ledger.text("select count(*) from deliveries"), "3");
    assert!(verify(&ledger.path).unwrap().is_sound());
}

#[test]
fn a_retry_that_another_ledger_saw_is_one_here() {
    let ledger = Ledger::new();
    let hour = 3_600_000;
    import(&ledger, &[("bytes: login", -9 * hour)], 0);
    let retry = |ms, first: Option<i64>| {
        let mut old = delivery("bytes: login", ms);
        old.origin = Origin::Import;
        let first = first.map(|ms| MORNING.plus_ms(ms));
        let parcels = vec![Parcel::from(&old).repeating(first)];
        let report = ledger.run(Task::Import { parcels, before: 0 }).unwrap();
        report.import.unwrap().repeats
    };
    assert_eq!(retry(-8 * hour, Some(-9 * hour)), 1);
    assert_eq!(retry(-7 * hour, None), 0);
    // What it is said to repeat is not here: it counts.
    assert_eq!(retry(-6 * hour, Some(-20 * hour)), 0);
}

#[test]
fn arrivals_are_found_by_their_time_in_whatever_order_they_came() {
    let ledger = Ledger::new();
    for n in 0..3 {
        ledger.post(&format!("id:{n} live"), -n);
    }
    let day = 86_400_000;
    import(&ledger, &[("id:a", -40 * day), ("id:b", -39 * day)], 3);
    ledger.post("id:9 live", 0);
    let reader = Reader::open(&ledger.path).unwrap();
    let words = Words {
        now: MORNING,
        zone: Zone::UTC,
        list: List::Deliveries,
        last_review: None,
        stored: &Vocabulary::default(),
    };
    let seqs = |text: &str| -> Vec<i64> {
        let query = Query::parse(text, &words).unwrap();
        let page = reader.page(List::Deliveries, &query, &Cursor::First, 50);
        page.unwrap().rows.iter().map(|row| row.key.id).collect()
    };
    assert_eq!(seqs("received:2025-11-26..2025-12-01"), [5, 4]);
    assert_eq!(seqs("received:..2025-11-26"), [4]);
    assert_eq!(seqs("received:2026-01-01.."), [6, 1, 2, 3]);
    assert_eq!(seqs("received:2025-12-20..2025-12-21"), [0_i64; 0]);
    assert_eq!(reader.status(MORNING).unwrap().quiet_ms, Some(0));
}

#[test]
fn what_is_understood_later_brings_no_erased_reader_back() {
    let mut ledger = Ledger::new();
    ledger.post("id:1 a", -2_000);
    // Nobody can tell yet whom it is about.
    ledger.post("id:2 later heron", -1_000);
    let erase = Task::Erase {
        provider: None,
        account: None,
        text: "reader".to_owned(),
        residue: true,
    };
    assert_eq!(ledger.run(erase).unwrap().changed, 1);
    assert_eq!(
        ledger.text("select group_concat(seq) from deliveries where erased_at is null"),
        "2"
    );
    ledger.upgrade();
    let report = ledger.run(Task::RetryQuarantine).unwrap();
    assert_eq!(report.summary, "0 of 1 understood now");
    assert_eq!(
        ledger.text("select count(*) from deliveries where erased_at is null"),
        "0"
    );
    assert_eq!(
        ledger.text("select count(*) from users where user_id = 'reader'"),
        "0"
    );
    assert_eq!(
        ledger.text("select count(*) from events where user_id = 'reader'"),
        "0"
    );
    ledger.close();
    assert!(verify(&ledger.path).unwrap().is_sound());
}
