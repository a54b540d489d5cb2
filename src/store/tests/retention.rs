//! What is dropped for its age or size, and what stays because of it.

use crate::domain::delivery::{Delivery, Origin};
use crate::store::task::{Task, Which};
use crate::store::tests::{Ledger, delivery, eventually};
use crate::store::upkeep::import::{Imported, Parcel};
use crate::store::upkeep::retention::Retention;
use crate::store::upkeep::verify::verify;

const DAY: i64 = 86_400_000;

const BODIES: &str = "select ifnull(group_concat(seq), '-') from deliveries where body is not null and salt is not null";

fn days(days: i64) -> Retention {
    Retention {
        bodies_ms: Some(days * DAY),
        ..Retention::default()
    }
}

fn prune(ledger: &Ledger, retention: Retention) -> u64 {
    ledger.run(Task::Prune { retention }).unwrap().changed
}

fn differences(ledger: &Ledger) -> u64 {
    ledger.run(Task::Rebuild { check: true }).unwrap().changed
}

#[test]
fn a_body_goes_at_its_age_and_everything_else_stays() {
    let mut ledger = Ledger::new();
    ledger.post("id:1 a", -400 * DAY);
    ledger.post("id:1 a", -390 * DAY);
    ledger.post("id:3 garbage", -390 * DAY);
    for (n, age) in [(4, 101), (5, 100), (6, 99), (7, 0)] {
        ledger.post(&format!("id:{n} a"), -age * DAY - 1);
    }
    let before = ledger.text("select group_concat(id || type || at || data) from events");
    assert_eq!(prune(&ledger, days(100)), 4);
    // Not understood: it may be by a later version.
    assert_eq!(ledger.text(BODIES), "3,6,7");
    assert_eq!(
        ledger.text("select group_concat(headers, '') from deliveries where body is null"),
        "[][][][]"
    );
    assert_eq!(
        ledger.text("select group_concat(seq) from pruned where reading is null"),
        "2"
    );
    assert_eq!(differences(&ledger), 0);
    assert_eq!(prune(&ledger, days(100)), 0);
    ledger.run(Task::Rebuild { check: false }).unwrap();
    ledger
        .run(Task::SetZone {
            zone: "Europe/Istanbul".to_owned(),
        })
        .unwrap();
    ledger
        .run(Task::SetZone {
            zone: "UTC".to_owned(),
        })
        .unwrap();
    let after = ledger.text("select group_concat(id || type || at || data) from events");
    assert_eq!(after, before);
    // It is still known when it comes again.
    assert_eq!(ledger.post("id:1 a", 0).duplicate_of, Some(1));
    ledger.close();
    let verified = verify(&ledger.path).unwrap();
    assert_eq!(
        (verified.damaged, verified.pruned, verified.erased),
        (0, 4, 0),
        "{verified:?}"
    );
}

fn import(ledger: &Ledger, old: &[Delivery]) -> Imported {
    let last: i64 = ledger
        .text("select max(seq) from deliveries")
        .parse()
        .unwrap();
    let parcels = old.iter().map(|old| {
        let mut old = old.clone();
        old.origin = Origin::Import;
        Parcel::from(&old)
    });
    let task = Task::Import {
        parcels: parcels.collect(),
        before: last,
    };
    ledger.run(task).unwrap().import.unwrap()
}

#[test]
fn a_file_finds_what_lost_its_body_and_nothing_else_in_its_place() {
    let ledger = Ledger::new();
    let ago = -200 * DAY;
    let file = [
        delivery("id:1 a", ago),
        delivery("id:2 a", ago),
        // A repeat, and one that nothing but its bytes tells apart.
        delivery("id:1 a", ago + 5),
        delivery("bytes: login", ago + 10),
        delivery("id:7 garbage", ago + 20),
        delivery("no key a", ago + 30),
    ];
    for sent in &file {
        ledger.send(sent.clone());
    }
    let all_day = Retention {
        quarantine_ms: Some(100 * DAY),
        ..days(100)
    };
    assert_eq!(prune(&ledger, all_day), 6);
    let again = import(&ledger, &file);
    assert_eq!((again.present, again.erased, again.stored), (6, 0, 0));
    // Others of the same moments, hooks and lengths are not those.
    let others = [
        delivery("id:3 a", ago),
        delivery("id:3 a", ago + 5),
        delivery("bytes: enter", ago + 10),
        delivery("id:4 garbage", ago + 20),
    ];
    let new = import(&ledger, &others);
    assert_eq!((new.present, new.erased), (0, 0));
    assert_eq!((new.stored, new.repeats, new.quarantined), (2, 1, 1));
    assert_eq!(import(&ledger, &others).present, 4);
    // What is erased as well says nothing but that it was.
    let which = Which::Seqs(vec![2]);
    ledger.run(Task::MarkTest { which, test: true }).unwrap();
    ledger.run(Task::ClearTests).unwrap();
    let again = import(&ledger, &file);
    assert_eq!((again.present, again.erased), (5, 1));
    assert_eq!(differences(&ledger), 0);
}

#[test]
fn what_nobody_could_read_is_taken_in_again_once_it_can_be() {
    let ledger = Ledger::new();
    let old = [delivery("id:1 later", -200 * DAY)];
    ledger.send(old[0].clone());
    let quarantine_ms = Some(100 * DAY);
    let retention = Retention {
        quarantine_ms,
        ..Retention::default()
    };
    assert_eq!(prune(&ledger, retention), 1);
    assert_eq!(import(&ledger, &old).present, 1);
    ledger.upgrade();
    assert_eq!(import(&ledger, &old).stored, 1);
    assert_eq!(import(&ledger, &old).present, 1);
}

#[test]
fn what_is_filled_in_later_and_older_goes_too() {
    let ledger = Ledger::new();
    ledger.post("id:1 later", -200 * DAY);
    ledger.post("id:2 a", -200 * DAY);
    assert_eq!(prune(&ledger, days(100)), 1);
    assert_eq!(ledger.text(BODIES), "1");
    ledger.upgrade();
    ledger.run(Task::RetryQuarantine).unwrap();
    assert_eq!(prune(&ledger, days(100)), 1);
    assert_eq!(ledger.text(BODIES), "-");
    assert_eq!(differences(&ledger), 0);
}

#[test]
fn what_was_not_understood_goes_by_caps_of_its_own() {
    let ledger = Ledger::new();
    for n in 0..10 {
        ledger.post(
            &format!("id:{n} garbage {}", "x".repeat(1_000)),
            (n - 9) * DAY,
        );
    }
    let by_age = Retention {
        quarantine_ms: Some(7 * DAY + 1),
        ..Retention::default()
    };
    assert_eq!(prune(&ledger, by_age), 2);
    let by_size = Retention {
        quarantine_bytes: Some(5_100),
        ..Retention::default()
    };
    assert_eq!(prune(&ledger, by_size), 3);
    assert_eq!(ledger.text(BODIES), "6,7,8,9,10");
    assert_eq!(
        ledger.text("select count(*) from deliveries where outcome = 'quarantined'"),
        "10"
    );
    ledger.run(Task::RetryQuarantine).unwrap();
    assert_eq!(differences(&ledger), 0);
}

#[test]
fn a_file_too_large_loses_its_oldest_bodies_and_becomes_smaller() {
    let mut ledger = Ledger::new();
    for n in 0..60 {
        let age = if n < 50 { 300 - n } else { 13 };
        ledger.post(&format!("id:{n} {} a", "y".repeat(100_000)), -age * DAY);
    }
    ledger.close();
    let size = |ledger: &Ledger| std::fs::metadata(&ledger.path).unwrap().len();
    let before = size(&ledger);
    ledger.reopen();
    let large = Retention {
        file_bytes: Some(4 << 20),
        ..Retention::default()
    };
    let gone = prune(&ledger, large);
    assert!((15..50).contains(&gone), "{gone}");
    // The young ones stay, however large the file.
    let small = Retention {
        file_bytes: Some(1 << 20),
        ..Retention::default()
    };
    prune(&ledger, small);
    assert_eq!(
        ledger.text("select count(*) from deliveries where body is not null"),
        "10"
    );
    ledger.close();
    assert!(size(&ledger) < before / 3, "{before} {}", size(&ledger));
}

#[test]
fn the_writer_does_it_by_itself_and_goes_on_where_a_crash_left_it() {
    let mut ledger = Ledger::new();
    for n in 0..200 {
        ledger.post(&format!("id:{n} a"), -400 * DAY + n);
    }
    ledger.store().writer().retain(days(100));
    let left = |ledger: &Ledger| -> i64 {
        let sql =
            "select count(*) from deliveries where body is not null and received_at < '2025-11-01'";
        ledger.text(sql).parse().unwrap()
    };
    eventually("begun", || left(&ledger) < 200);
    let mut image = ledger.crash_image();
    for n in 0..50 {
        let ack = ledger.post(&format!("id:new-{n} a"), n);
        assert_eq!(ack.duplicate_of, None);
    }
    eventually("done", || left(&ledger) == 0);
    assert_eq!(differences(&ledger), 0);
    ledger.close();
    image.reopen();
    image.store().writer().retain(days(100));
    eventually("done after a crash", || left(&image) == 0);
    assert_eq!(differences(&image), 0);
    image.close();
    assert!(verify(&image.path).unwrap().is_sound());
}

#[test]
fn a_test_without_its_body_is_erased_like_any_other() {
    let ledger = Ledger::new();
    let mut sent = delivery("id:1 natural:k a", -200 * DAY);
    sent.test = true;
    ledger.send(sent);
    prune(&ledger, days(100));
    assert_eq!(ledger.run(Task::ClearTests).unwrap().changed, 1);
    assert_eq!(ledger.text("select count(*) from pruned"), "0");
    assert_eq!(ledger.text("select count(*) from delivery_keys"), "0");
    assert_eq!(differences(&ledger), 0);
}

#[test]
fn damage_to_what_is_kept_of_a_dropped_body_is_found() {
    let mut ledger = Ledger::new();
    ledger.post("id:1 a", -200 * DAY);
    prune(&ledger, days(100));
    ledger.close();
    let conn = crate::store::connect(&ledger.path, crate::store::Mode::Write).unwrap();
    let kept: Vec<u8> = conn
        .query_row("select reading from pruned", [], |row| row.get(0))
        .unwrap();
    let put = |reading: &[u8], by: i64| {
        conn.execute(
            "update pruned set reading = ?1, seal = seal + ?2",
            (reading, by),
        )
        .unwrap();
        verify(&ledger.path).unwrap()
    };
    let mut flipped = kept.clone();
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(put(&flipped, 0).damage[0].seq, Some(1));
    assert!(put(&kept, 0).is_sound());
    assert_eq!(put(&kept, 1).damage[0].seq, Some(1));
    assert!(put(&kept, -1).is_sound());
    conn.execute_batch("delete from pruned").unwrap();
    assert!(!verify(&ledger.path).unwrap().is_sound());
}
