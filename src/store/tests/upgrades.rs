//! Upgrades of schema and reading: what they change, what they leave, and what a crash on the way leaves.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::domain::delivery::Outcome;
use crate::domain::time::Zone;
use crate::store::schema::{self, READER_VERSION, SCHEMA_VERSION, beside};
use crate::store::task::Task;
use crate::store::tests::{Ledger, MORNING, delivery, eventually};
use crate::store::upgrade::{self, STEPS, Step, Upgrade};
use crate::store::upkeep::verify::verify;
use crate::store::{Error, Mode, connect};

fn noted(conn: &Connection) -> Result<(), Error> {
    conn.execute_batch("create table noted (seq integer) strict; insert into noted values (1)")?;
    Ok(())
}

fn failing(conn: &Connection) -> Result<(), Error> {
    noted(conn)?;
    conn.execute_batch("insert into nowhere values (1)")?;
    Ok(())
}

fn dangling(conn: &Connection) -> Result<(), Error> {
    conn.execute_batch("update events set users_id = 77 where id = 10000")?;
    Ok(())
}

/// The steps so far and one that is yet to come.
fn and(step: Step) -> Vec<Step> {
    STEPS.iter().copied().chain([step]).collect()
}

fn with_deliveries(count: i64) -> Ledger {
    let mut ledger = Ledger::new();
    for n in 0..count {
        ledger.post(&format!("id:{n} a"), n);
    }
    ledger.close();
    ledger
}

fn upgrade(path: &Path, steps: &[Step]) -> Result<upgrade::Upgraded, Error> {
    let mut conn = connect(path, Mode::Write).unwrap();
    upgrade::run(&mut conn, path, SCHEMA_VERSION, steps, MORNING)
}

fn beside_ledger(ledger: &Ledger) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(ledger.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("before-upgrade"))
        .collect();
    names.sort();
    names
}

fn version(path: &Path) -> i64 {
    let conn = connect(path, Mode::Read).unwrap();
    conn.pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap()
}

#[test]
fn an_upgrade_leaves_a_checked_copy_of_the_ledger_as_it_was() {
    let ledger = with_deliveries(5);
    let name = format!("subledger.db.before-upgrade-{SCHEMA_VERSION}-20260105T090000Z");
    fs::write(ledger.folder().join(&name), "taken").unwrap();
    let stale = format!("subledger.db.before-upgrade-{SCHEMA_VERSION}-20250105T090000Z.part");
    fs::write(ledger.folder().join(stale), "half").unwrap();
    let upgraded = upgrade(&ledger.path, &and(noted)).unwrap();
    assert_eq!(
        (upgraded.from, upgraded.to),
        (SCHEMA_VERSION, SCHEMA_VERSION + 1)
    );
    // Another name where one is taken; of all, the newest is kept.
    assert_eq!(beside_ledger(&ledger), [format!("{name}-2")]);
    let mode = fs::metadata(&upgraded.copy).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(version(&ledger.path), SCHEMA_VERSION + 1);
    assert_eq!(version(&upgraded.copy), SCHEMA_VERSION);
    let verified = verify(&upgraded.copy).unwrap();
    assert_eq!((verified.is_sound(), verified.deliveries), (true, 5));
    // This program is the older one now: it touches nothing and names the way back.
    let before = fs::read(&ledger.path).unwrap();
    let error = schema::look(&ledger.path).unwrap_err();
    assert!(matches!(&error, Error::Newer { way_back: Some(copy), .. } if *copy == upgraded.copy));
    let says = format!("subledger restore {} --replace", upgraded.copy.display());
    assert!(error.to_string().ends_with(&says), "{error}");
    assert!(crate::store::writer::Store::open(&ledger.path, ledger.options()).is_err());
    assert_eq!(fs::read(&ledger.path).unwrap(), before);
}

#[test]
fn an_upgrade_that_fails_leaves_the_old_ledger_and_nothing_beside_it() {
    for step in [failing as Step, dangling] {
        let mut ledger = with_deliveries(3);
        let error = upgrade(&ledger.path, &and(step)).unwrap_err();
        assert!(matches!(error, Error::NotUpgraded { .. }), "{error}");
        assert!(beside_ledger(&ledger).is_empty(), "{error}");
        assert_eq!(version(&ledger.path), SCHEMA_VERSION);
        ledger.reopen();
        assert_eq!(
            ledger.text("select count(*) from sqlite_schema where name = 'noted'"),
            "0"
        );
        assert_eq!(ledger.post("id:9 a", 9).seq, 4);
    }
}

#[test]
fn a_damaged_ledger_is_not_upgraded() {
    let ledger = with_deliveries(3);
    let conn = connect(&ledger.path, Mode::Write).unwrap();
    conn.execute_batch(
        "insert into upkeep values ('erasure'); update deliveries set body = 'forged' where seq = 2;
         delete from upkeep",
    )
    .unwrap();
    drop(conn);
    let error = upgrade(&ledger.path, &and(noted)).unwrap_err().to_string();
    assert!(
        error.contains("delivery 2: its body is not the one"),
        "{error}"
    );
    assert_eq!(version(&ledger.path), SCHEMA_VERSION);
    assert!(beside_ledger(&ledger).is_empty());
}

#[test]
fn a_full_disk_in_the_middle_of_a_step_leaves_the_old_ledger() {
    let ledger = with_deliveries(3);
    let mut conn = connect(&ledger.path, Mode::Write).unwrap();
    let pages: i64 = conn
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .unwrap();
    conn.pragma_update(None, "max_page_count", pages).unwrap();
    let large: Step = |conn| {
        conn.execute_batch(
            "create table large as with recursive n(i) as (select 1 union all select i + 1 from n limit 2000)
             select i, hex(randomblob(500)) from n",
        )?;
        Ok(())
    };
    let error = upgrade::run(
        &mut conn,
        &ledger.path,
        SCHEMA_VERSION,
        &and(large),
        MORNING,
    )
    .unwrap_err();
    let Error::NotUpgraded { cause, .. } = &error else {
        panic!("{error}");
    };
    assert!(matches!(**cause, Error::Full(_)), "{error}");
    assert_eq!(version(&ledger.path), SCHEMA_VERSION);
    assert!(beside_ledger(&ledger).is_empty());
}

/// Where the step of the next test leaves what a crash at that moment would leave.
static IMAGE: std::sync::Mutex<Option<(PathBuf, PathBuf)>> = std::sync::Mutex::new(None);

fn crashing(conn: &Connection) -> Result<(), Error> {
    noted(conn)?;
    // Enough that some of it is in the log before the commit.
    conn.execute_batch(
        "pragma cache_size = 10;
         create table large as with recursive n(i) as (select 1 union all select i + 1 from n limit 4000)
         select i, hex(randomblob(500)) from n",
    )?;
    let image = IMAGE.lock().unwrap();
    let (from, to) = image.as_ref().unwrap();
    for ending in ["", "-wal"] {
        fs::copy(beside(from, ending), beside(to, ending)).unwrap();
    }
    Ok(())
}

#[test]
fn a_crash_in_the_middle_of_the_steps_leaves_the_old_ledger_whole() {
    let ledger = with_deliveries(40);
    let mut image = Ledger::closed();
    *IMAGE.lock().unwrap() = Some((ledger.path.clone(), image.path.clone()));
    upgrade(&ledger.path, &and(crashing)).unwrap();
    let log = fs::metadata(beside(&image.path, "-wal")).unwrap().len();
    assert!(
        log > 100_000,
        "nothing of the step was in the log: {log} bytes"
    );
    assert_eq!(version(&image.path), SCHEMA_VERSION);
    image.reopen();
    assert_eq!(
        image.text("select count(*) from sqlite_schema where name in ('noted', 'large')"),
        "0"
    );
    assert_eq!(image.post("id:new a", 90).seq, 41);
    let check = image.run(Task::Rebuild { check: true }).unwrap();
    assert_eq!(check.findings, Vec::<String>::new());
    assert!(verify(&image.path).unwrap().is_sound());
}

/// Names and statements, without comments and spaces.
fn shape(conn: &Connection) -> Vec<(String, String)> {
    let mut statement = conn
        .prepare("select name, sql from sqlite_schema where sql is not null order by name")
        .unwrap();
    let rows = statement
        .query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))
        .unwrap();
    rows.map(|row| {
        let (name, sql) = row.unwrap();
        let bare: Vec<&str> = sql
            .lines()
            .map(|line| line.split("--").next().unwrap_or_default())
            .collect();
        (name, bare.concat().split_whitespace().collect())
    })
    .collect()
}

#[test]
fn an_upgraded_ledger_has_the_tables_of_a_new_one() {
    let ledger = Ledger::closed();
    let fresh = ledger.folder().join("fresh.db");
    let mut new = connect(&fresh, Mode::Write).unwrap();
    schema::create(&mut new, Zone::UTC, MORNING).unwrap();
    let first = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ledgers/v1.db");
    fs::copy(first, &ledger.path).unwrap();
    let (old, upgraded) = schema::open(&ledger.path, Zone::UTC, MORNING).unwrap();
    let upgraded = upgraded.unwrap();
    // Every schema but the first has the step that makes it.
    assert_eq!((upgraded.from, upgraded.to), (1, SCHEMA_VERSION));
    assert_eq!(shape(&old), shape(&new));
}

/// As if the version before had decided everything so far.
fn by_an_earlier_version(ledger: &Ledger) {
    let conn = connect(&ledger.path, Mode::Write).unwrap();
    conn.execute_batch(
        "insert into upkeep values ('quarantine'); update deliveries set reader_version = 0;
         delete from upkeep; update meta set value = '0' where key = 'reader_version'",
    )
    .unwrap();
}

fn gain(ledger: &Ledger) -> Upgrade {
    eventually("the upgrade is finished", || {
        ledger.text("select count(*) from upgrades where finished_at is null") == "0"
    });
    Upgrade::of_reading(&ledger.reader()).unwrap().unwrap()
}

#[test]
fn a_new_version_reads_again_what_the_one_before_did_not_understand() {
    let mut ledger = Ledger::new();
    ledger.post("id:1 a", 0);
    ledger.post("natural:k later", 1);
    ledger.post("id:2 unheard-of b", 2);
    ledger.post("id:3 garbage", 3);
    ledger.post("id:4 unheard-of b", 4);
    // A repeat stays one.
    ledger.post("id:1 unheard-of b", 5);
    assert_eq!(
        ledger.text("select group_concat(id) from events where type = 'unknown'"),
        "30000,50000"
    );
    ledger.close();
    by_an_earlier_version(&ledger);
    ledger.upgrade();
    ledger.reopen();
    let told = gain(&ledger);
    assert_eq!((told.looked_at, told.understood, told.lost), (4, 3, 0));
    assert_eq!(told.types, ["conscent b"]);
    assert_eq!(
        told.sentence(),
        format!(
            "upgraded to {}: 3 of 4 webhooks that were not understood are now, a new type: conscent b",
            upgrade::PROGRAM
        )
    );
    assert_eq!(
        ledger.text("select group_concat(distinct type) from events"),
        "user.signed_in"
    );
    assert_eq!(ledger.text("select count(*) from events"), "4");
    assert_eq!(
        ledger.text(
            "select group_concat(reader_version, '') from (select * from deliveries order by seq)"
        ),
        format!("0{}0", READER_VERSION.to_string().repeat(4))
    );
    assert_eq!(
        ledger.text("select value from meta where key = 'reader_version'"),
        READER_VERSION.to_string()
    );
    let check = ledger.run(Task::Rebuild { check: true }).unwrap();
    assert_eq!(check.findings, Vec::<String>::new());
    // Once is enough.
    ledger.reopen();
    assert_eq!(ledger.text("select count(*) from upgrades"), "1");
}

#[test]
fn what_is_understood_now_and_was_here_twice_counts_once() {
    let mut ledger = Ledger::new();
    ledger.post("natural:p1 unheard-of natural:k b", 0);
    ledger.post("natural:p2 unheard-of natural:k b", 1);
    assert_eq!(
        ledger.text("select count(*) from events where type = 'unknown'"),
        "2"
    );
    ledger.close();
    by_an_earlier_version(&ledger);
    ledger.upgrade();
    ledger.reopen();
    assert_eq!(gain(&ledger).understood, 2);
    assert_eq!(
        ledger.text("select group_concat(outcome || ifnull(duplicate_of, '')) from (select * from deliveries order by seq)"),
        "stored,duplicate1"
    );
    assert_eq!(ledger.text("select group_concat(seq) from events"), "1");
    // What was known before goes by the keys of now, and leaves none of those of then.
    assert_eq!(ledger.text("select count(*) from delivery_keys"), "1");
    let again = ledger.post("natural:p3 unheard-of natural:k b", 2);
    assert_eq!(
        (again.outcome, again.duplicate_of),
        (Outcome::Duplicate, Some(1))
    );
}

#[test]
fn receiving_does_not_wait_for_an_upgrade_and_a_crash_in_it_goes_on() {
    let mut ledger = Ledger::new();
    for n in 0..200 {
        ledger.post(&format!("natural:{n} later"), n);
    }
    ledger.close();
    by_an_earlier_version(&ledger);
    ledger.upgrade();
    // One step, then a crash.
    let conn = connect(&ledger.path, Mode::Write).unwrap();
    crate::store::reread::begin(&conn, 0, MORNING).unwrap();
    let mut folder =
        crate::store::fold::Folder::load(&conn, ledger.options().read, Zone::UTC).unwrap();
    folder.catch_up(&conn, MORNING, 256, &|| false).unwrap();
    drop((folder, conn));
    assert_eq!(
        ledger.text("select understood || ' ' || (select count(*) from events) from upgrades"),
        "16 0"
    );
    ledger.reopen();
    let ack = ledger.post("id:live a", 900);
    assert_eq!((ack.seq, ack.outcome), (201, Outcome::Stored));
    let told = gain(&ledger);
    assert_eq!((told.looked_at, told.understood), (200, 200));
    assert_eq!(ledger.text("select count(*) from events"), "201");
    assert_eq!(ledger.text("select count(*) from upgrades"), "1");
}

#[test]
fn a_rebuild_that_is_asked_for_meanwhile_comes_after_the_reading() {
    let mut ledger = Ledger::new();
    for n in 0..50 {
        ledger.post(&format!("natural:{n} later"), n);
    }
    ledger.close();
    by_an_earlier_version(&ledger);
    ledger.upgrade();
    ledger.reopen();
    ledger.run(Task::Rebuild { check: false }).unwrap();
    assert_eq!(gain(&ledger).understood, 50);
    assert_eq!(ledger.text("select count(*) from events"), "50");
}

#[test]
fn what_a_worse_reader_does_not_understand_is_kept_in_sight() {
    let mut ledger = Ledger::new();
    ledger.upgrade();
    ledger.post("natural:k later", 0);
    ledger.post("id:1 a", 1);
    ledger.close();
    by_an_earlier_version(&ledger);
    ledger.downgrade();
    ledger.reopen();
    let told = gain(&ledger);
    assert_eq!((told.looked_at, told.lost), (0, 1));
    assert!(
        told.sentence()
            .ends_with("; 1 that was understood is not any more: it is kept")
    );
    assert_eq!(
        ledger.text("select outcome || ': ' || reason from deliveries where seq = 1"),
        "quarantined: understood by an earlier version, not by this one: no JSON object"
    );
    assert_eq!(ledger.text("select group_concat(seq) from events"), "2");
    // The next version gets it back, alone or with all others.
    ledger.upgrade();
    let seqs = vec![2, 1];
    let retried = ledger.run(Task::RetryThese { seqs }).unwrap();
    assert_eq!((retried.changed, retried.seqs), (1, vec![1]));
    assert_eq!(retried.findings, ["delivery 2 was understood"]);
    assert_eq!(ledger.run(Task::RetryQuarantine).unwrap().changed, 0);
    let check = ledger.run(Task::Rebuild { check: true }).unwrap();
    assert_eq!(check.findings, Vec::<String>::new());
}

#[test]
fn an_older_version_on_a_ledger_that_a_newer_one_read_makes_its_own_lists() {
    let mut ledger = Ledger::new();
    ledger.post("id:1 a", 0);
    ledger.close();
    let conn = connect(&ledger.path, Mode::Write).unwrap();
    conn.execute_batch(
        "update meta set value = '99' where key = 'reader_version';
         update events set type = 'user.teleported'",
    )
    .unwrap();
    drop(conn);
    ledger.reopen();
    eventually("folded again", || {
        ledger.text("select group_concat(type) from events") == "user.signed_in"
    });
    assert_eq!(
        ledger.text("select value from meta where key = 'reader_version'"),
        READER_VERSION.to_string()
    );
    assert_eq!(ledger.send(delivery("id:2 a", 5)).outcome, Outcome::Stored);
}
