//! A 200 means that the exact bytes are on disk; and what happens when the disk says no.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::domain::delivery::{Origin, Outcome};
use crate::domain::time::Zone;
use crate::store::project::Projector;
use crate::store::query::Reader;
use crate::store::schema::{APPLICATION_ID, beside};
use crate::store::task::Task;
use crate::store::tests::{Ledger, MORNING, delivery, eventually, raw};
use crate::store::upkeep::import::Parcel;
use crate::store::upkeep::verify::verify;
use crate::store::writer::Store;
use crate::store::{Error, Mode, connect};

#[test]
fn what_is_tried_again_is_read_by_the_arrival_that_is_stored() {
    let ledger = Ledger::new();
    ledger.post("id:1 a", 0);
    let from_file = |body: &str, days: i64, origin| {
        let mut old = delivery(body, days * 86_400_000);
        old.origin = origin;
        Parcel::from(&old)
    };
    let import = |parcels| {
        let task = Task::Import { parcels, before: 1 };
        ledger.run(task).unwrap().import.unwrap()
    };
    import(vec![from_file("id:2 a", -90, Origin::Import)]);
    let conn = connect(&ledger.path, Mode::Write).unwrap();
    conn.execute_batch(
        "create trigger broken before insert on deliveries when new.provider_type = 'broken'
         begin select raise(abort, 'no'); end",
    )
    .unwrap();
    // The first try moves the first of the two behind what arrived last; the second finds an import there.
    let done = import(vec![
        from_file("id:3 dated", -10, Origin::Demo),
        from_file("id:4 broken", -9, Origin::Demo),
    ]);
    assert_eq!((done.stored, done.failed.len()), (1, 1));
    let row = "select received_at || ' ' || provider_type from deliveries where seq = 3";
    let arrived = MORNING.plus_ms(-10 * 86_400_000);
    assert_eq!(ledger.text(row), format!("{arrived} {arrived}"));
}

#[test]
fn bodies_are_kept_byte_for_byte() {
    let ledger = Ledger::new();
    let mut wild = vec![0xff, 0, b'{'];
    wild.resize(1 << 20, 0xfe);
    ledger.send(raw(&wild, 0));
    ledger.send(raw("{\"name\":\"İş\"}".as_bytes(), 1));
    ledger.send(raw(b"a\0b", 2));
    ledger.send(raw(b"", 3));
    let types = "select group_concat(typeof(body)) from (select body from deliveries order by seq)";
    assert_eq!(ledger.text(types), "blob,text,blob,text");
    let kept: Vec<u8> = ledger
        .reader()
        .query_row("select body from deliveries where seq = 1", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert!(kept == wild);
    assert_eq!(
        ledger.text("select json_extract(body, '$.name') from deliveries where seq = 2"),
        "İş"
    );
    assert!(verify(&ledger.path).unwrap().is_sound());
}

#[test]
fn deliveries_cannot_be_changed_from_a_plain_connection() {
    let ledger = Ledger::new();
    ledger.post("id:1 a", 0);
    let plain = connect(&ledger.path, Mode::Write).unwrap();
    for sql in [
        "update deliveries set body = 'x'",
        "update deliveries set outcome = 'duplicate'",
        "update deliveries set received_at = '2020'",
        "update deliveries set test = 1",
        "delete from deliveries",
        "replace into deliveries select * from deliveries",
        "insert into deliveries select 0, received_at, provider, account, hook, outcome, duplicate_of, reason, dedupe_policy,
         dedupe_key, confidence, credential, identity_proof, remote_ip, origin, test, provider_type, reader_version,
         body_bytes, salt, commitment, link, erased_at, headers, body from deliveries",
    ] {
        let refused = plain.execute(sql, []).unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{sql}: {refused}");
    }
}

#[test]
fn arrival_times_are_what_the_clock_said_and_the_order_of_record_is_seq() {
    let ledger = Ledger::new();
    ledger.post("id:1 a", 5_000);
    ledger.post("id:2 a", 0);
    assert_eq!(
        ledger.text("select received_at from deliveries where seq = 2"),
        MORNING.to_string()
    );
    eventually("folded", || {
        ledger.text("select count(*) from events") == "2"
    });
    assert_eq!(
        ledger.text("select received_at from events where seq = 2"),
        MORNING.to_string()
    );
}

#[test]
fn what_was_acknowledged_survives_a_crash_and_is_folded_afterwards() {
    let ledger = Ledger::new();
    std::thread::scope(|scope| {
        for lane in 0..4 {
            let ledger = &ledger;
            scope.spawn(move || {
                for n in 0..25 {
                    ledger.post(&format!("id:{lane}-{n} b"), n);
                }
            });
        }
    });
    let mut image = ledger.crash_image();
    let verified = verify(&image.path).unwrap();
    assert_eq!((verified.deliveries, verified.is_sound()), (100, true));
    // As a crash right after the commits would leave it: nothing folded.
    let conn = connect(&image.path, Mode::Write).unwrap();
    Projector::new(Zone::UTC).clear(&conn, u32::MAX).unwrap();
    conn.execute_batch("update meta set value = '0' where key = 'folded_seq'")
        .unwrap();
    drop(conn);
    image.reopen();
    eventually("folded", || {
        image.text("select count(*) from events") == "100"
    });
    assert_eq!(
        image.text("select value from meta where key = 'folded_seq'"),
        "100"
    );
    assert_eq!(
        image.send(delivery("id:0-0 b", 0)).outcome,
        Outcome::Duplicate
    );
}

/// Makes every event of deliveries whose body ends in `label` fail with `sql`.
fn break_folding(ledger: &Ledger, sql: &str, label: &str) {
    connect(&ledger.path, Mode::Write)
        .unwrap()
        .execute_batch(&format!(
            "create trigger broken before insert on events when new.provider_type = '{label}' begin select {sql}; end"
        ))
        .unwrap();
}

#[test]
fn one_that_cannot_be_folded_is_set_aside_and_blocks_nobody() {
    let mut ledger = Ledger::new();
    break_folding(&ledger, "raise(abort, 'no such fold')", "bad");
    assert_eq!(ledger.post("id:1 good", 0).outcome, Outcome::Stored);
    assert_eq!(ledger.post("id:2 bad", 1).outcome, Outcome::Stored);
    assert_eq!(ledger.post("id:3 good", 2).outcome, Outcome::Stored);
    eventually("folded", || {
        ledger.store().writer().health().folded_seq == 3
    });
    assert_eq!(
        ledger.text("select outcome || ': ' || reason from deliveries where seq = 2"),
        "quarantined: could not be folded: no such fold"
    );
    assert_eq!(ledger.text("select group_concat(seq) from events"), "1,3");
    assert_eq!(ledger.store().writer().health().failing, None);
    ledger.reopen();
    assert!(verify(&ledger.path).unwrap().is_sound());
}

#[test]
fn after_slow_folding_the_answer_comes_first() {
    let ledger = Ledger::new();
    let slow = "(with recursive n (n) as (values (1) union all select n + 1 from n limit 500000) select max(n) from n)";
    break_folding(&ledger, slow, "a");
    let folded = |body: &str, n: i64| {
        let (sender, answer) = std::sync::mpsc::channel();
        let writer = ledger.store().writer();
        let health = writer.clone();
        let delivery = delivery(body, n);
        let reading = (ledger.options().read)(&delivery);
        let reply = Box::new(move |_| sender.send(health.health().folded_seq).unwrap());
        writer.append(delivery, reading, reply).unwrap();
        answer.recv().unwrap()
    };
    assert_eq!(folded("id:1 a", 0), 1);
    assert_eq!(
        folded("id:2 a", 1),
        1,
        "the answer to the second came before its folding"
    );
    eventually("folded", || {
        ledger.store().writer().health().folded_seq == 2
    });
}

#[test]
fn one_that_fails_only_at_the_commit_is_kept_all_the_same() {
    let ledger = Ledger::new();
    connect(&ledger.path, Mode::Write)
        .unwrap()
        .execute_batch(
            "create trigger broken after insert on events when new.provider_type = 'bad'
             begin insert into payments (id, seq, provider, account, payment_id, users_id, at, day, kind, status,
             for_subscription, test) values (new.id, new.seq, '', '', '', 999, '', '', 'payment', '', 0, 0); end",
        )
        .unwrap();
    assert_eq!(ledger.post("id:1 bad", 0).outcome, Outcome::Stored);
    assert_eq!(ledger.post("id:2 good", 1).outcome, Outcome::Stored);
    eventually("folded", || {
        ledger.store().writer().health().folded_seq == 2
    });
    assert_eq!(
        ledger.text("select outcome from deliveries where seq = 1"),
        "quarantined"
    );
    assert_eq!(ledger.text("select group_concat(seq) from events"), "2");
}

#[test]
fn a_busy_ledger_says_no_and_recovers() {
    let ledger = Ledger::new();
    let other = connect(&ledger.path, Mode::Write).unwrap();
    other.execute_batch("begin immediate").unwrap();
    assert!(matches!(
        ledger.try_send(delivery("id:1 a", 0)),
        Err(Error::Busy)
    ));
    assert!(ledger.store().writer().health().failing.is_some());
    other.execute_batch("rollback").unwrap();
    assert_eq!(ledger.post("id:1 a", 1).seq, 1);
    assert_eq!(ledger.store().writer().health().failing, None);
}

#[test]
fn a_full_disk_says_no_loses_nothing_and_recovers() {
    let ledger = Ledger::new();
    ledger.post("id:1 a", 0);
    let before = ledger.text("pragma page_count").parse::<i64>().unwrap();
    // The writer's own connection is out of reach: the limit comes through a task.
    ledger.store().writer().limit_pages(before + 4).unwrap();
    let large = format!("id:2 {}", "x".repeat(100_000));
    assert!(matches!(
        ledger.try_send(delivery(&large, 1)),
        Err(Error::Full(_))
    ));
    assert!(ledger.store().writer().health().failing.is_some());
    ledger
        .store()
        .writer()
        .limit_pages(i64::from(u32::MAX))
        .unwrap();
    assert_eq!(ledger.post(&large, 2).seq, 2);
    assert!(verify(&ledger.path).unwrap().is_sound());
}

#[test]
fn a_long_reader_holds_up_nobody_and_the_log_shrinks_after_it() {
    let ledger = Ledger::new();
    let reader = ledger.reader();
    reader
        .execute_batch("begin; select count(*) from deliveries")
        .unwrap();
    let body = "x".repeat(20_000);
    for n in 0..60 {
        ledger.post(&format!("id:{n} {body}"), n);
    }
    let log = beside(&ledger.path, "-wal");
    assert!(fs::metadata(&log).unwrap().len() > 1_000_000);
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    assert!(fs::metadata(&log).unwrap().len() > 1_000_000);
    reader.execute_batch("rollback").unwrap();
    eventually("a small log", || {
        fs::metadata(&log).unwrap().len() < 100_000
    });
}

#[test]
fn a_ledger_and_what_stands_beside_it_is_for_its_owner_only() {
    let ledger = Ledger::closed();
    let path = ledger.folder().join("new/deep/ledger.db");
    let store = Store::open(&path, ledger.options()).unwrap();
    store
        .serve_tasks(std::sync::Arc::new(|_| Err("no".to_owned())))
        .unwrap();
    for ending in ["", "-wal", "-shm", ".lock", ".sock"] {
        let mode = fs::metadata(beside(&path, ending))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{ending}");
    }
    let mode = fs::metadata(path.parent().unwrap())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    let conn = connect(&path, Mode::Read).unwrap();
    let id: i64 = conn
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .unwrap();
    assert_eq!(id, APPLICATION_ID);
    let vacuum: i64 = conn
        .pragma_query_value(None, "auto_vacuum", |row| row.get(0))
        .unwrap();
    assert_eq!(vacuum, 2);
    drop(conn);
    store.close().unwrap();
    assert!(!beside(&path, ".sock").exists());
}

#[test]
fn files_that_are_no_ledger_are_left_untouched() {
    let ledger = Ledger::closed();
    let foreign = rusqlite_file(&ledger, "create table t (a); insert into t values (1)");
    let newer = rusqlite_file(
        &ledger,
        &format!(
            "create table t (a); pragma application_id = {APPLICATION_ID}; pragma user_version = 7"
        ),
    );
    for (bytes, expected) in [
        (
            b"not a database, just some text".to_vec(),
            "is not a subledger database",
        ),
        (foreign, "is not a subledger database"),
        (newer, "was written by a newer subledger (schema 7"),
    ] {
        fs::write(&ledger.path, &bytes).unwrap();
        let Err(error) = Store::open(&ledger.path, ledger.options()) else {
            panic!("opened: {expected}");
        };
        assert!(error.to_string().contains(expected), "{error}");
        assert!(fs::read(&ledger.path).unwrap() == bytes);
        let beside: Vec<_> = fs::read_dir(ledger.folder())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(beside, ["subledger.db"]);
    }
    fs::write(&ledger.path, b"").unwrap();
    Store::open(&ledger.path, ledger.options())
        .unwrap()
        .close()
        .unwrap();
}

fn rusqlite_file(ledger: &Ledger, sql: &str) -> Vec<u8> {
    let path = ledger.folder().join("other.db");
    let conn = connect(&path, Mode::Write).unwrap();
    conn.execute_batch(sql).unwrap();
    conn.pragma_update(None, "journal_mode", "delete").unwrap();
    drop(conn);
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    bytes
}

#[test]
fn a_damaged_schema_is_named_as_damage() {
    let mut ledger = Ledger::new();
    ledger.close();
    let conn = connect(&ledger.path, Mode::Write).unwrap();
    conn.execute_batch("drop table meta").unwrap();
    drop(conn);
    assert!(matches!(
        Store::open(&ledger.path, ledger.options()),
        Err(Error::Damaged { .. })
    ));
}

#[test]
fn where_nothing_can_be_written_beside_it_the_error_says_what_to_do() {
    let mut ledger = Ledger::new();
    ledger.close();
    // On a read-only disk this file cannot be made; here a link, which is never followed, has its name.
    std::os::unix::fs::symlink("nowhere", beside(&ledger.path, "-shm")).unwrap();
    let Err(error) = Reader::open(&ledger.path) else {
        panic!("opened");
    };
    assert!(matches!(error, Error::Io { .. }), "{error}");
    assert!(error.to_string().contains("copy the database"), "{error}");
    // The sentence has the cause, so whoever tells a chain of causes does not say it twice.
    assert!(std::error::Error::source(&error).is_none());
}

#[test]
fn one_process_writes_and_the_other_is_told_who() {
    let ledger = Ledger::new();
    let Err(Error::Locked { holder, .. }) = Store::open(&ledger.path, ledger.options()) else {
        panic!("two writers");
    };
    assert_eq!(holder, std::process::id().to_string());
    let link = ledger.folder().join("other-name.db");
    std::os::unix::fs::symlink(&ledger.path, &link).unwrap();
    assert!(matches!(
        Store::open(&link, ledger.options()),
        Err(Error::Locked { .. })
    ));
}

#[test]
fn stale_words_in_the_lock_file_never_matter() {
    let mut ledger = Ledger::closed();
    fs::write(
        beside(&ledger.path, ".lock"),
        r#"{"pid":1,"listen":"","started_at":""}"#,
    )
    .unwrap();
    assert_eq!(crate::store::lock::holder(&ledger.path), None);
    ledger.reopen();
    assert_eq!(
        crate::store::lock::holder(&ledger.path).unwrap().pid,
        std::process::id()
    );
}

#[test]
fn a_probe_says_that_commits_go_through() {
    let ledger = Ledger::new();
    eventually("a probe", || {
        ledger.text("select count(*) from meta where key = 'probe_at'") == "1"
    });
    assert!(ledger.store().writer().health().probe_age.as_secs() < 10);
}

#[test]
fn confirmations_are_committed_alone_when_nothing_follows() {
    let ledger = Ledger::new();
    let ack = ledger.send(delivery("id:1 a", 0));
    assert_eq!(ledger.text("select count(*) from unconfirmed"), "1");
    ledger.store().writer().confirm(ack.seq);
    eventually("confirmed", || {
        ledger.text("select count(*) from unconfirmed") == "0"
    });
}

#[test]
fn no_ledger_is_made_over_the_log_of_one_that_is_gone() {
    let ledger = Ledger::closed();
    let log = ledger.path.with_file_name("subledger.db-wal");
    for put in [
        |_: &std::path::Path| {},
        |path: &std::path::Path| fs::write(path, "").unwrap(),
    ] {
        put(&ledger.path);
        fs::write(&log, "what was acknowledged last").unwrap();
        let Err(error) = Store::open(&ledger.path, ledger.options()) else {
            panic!("opened");
        };
        assert!(
            error.to_string().contains("put the database back"),
            "{error}"
        );
        assert!(fs::read(&log).unwrap() == b"what was acknowledged last");
    }
    fs::remove_file(&log).unwrap();
    Store::open(&ledger.path, ledger.options())
        .unwrap()
        .close()
        .unwrap();
}

#[test]
fn sqlite_is_built_without_a_count_that_threads_wait_for() {
    let conn = rusqlite::Connection::open_in_memory().unwrap();
    let mut options = conn.prepare("pragma compile_options").unwrap();
    let options = options
        .query_map([], |row| row.get::<_, String>(0))
        .unwrap();
    let options: Vec<String> = options.map(Result::unwrap).collect();
    let wanted = "DEFAULT_MEMSTATUS=0".to_owned();
    assert!(
        options.contains(&wanted),
        "{wanted} is not among {options:?}: LIBSQLITE3_FLAGS of .cargo/config.toml did not hold"
    );
}
