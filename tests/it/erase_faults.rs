//! Erasing where something is in the way: a full disk, a signal, another program; and the ways by which an erased reader
//! might come back.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::erase::{CANARIES, WHO, body, erase_all, eventually, fill, payment, traces};
use crate::support::{Disk, Home, PATH_KEY};

fn says(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// Figures of a long past, as Today and the questions give them.
fn past(home: &Home) -> Vec<(String, Value)> {
    let today = home.done(&["today", "--json", "--since", "2019-01-01..2030-01-01"]);
    let mut today: Value = serde_json::from_str(&today).unwrap();
    if let Value::Array(rows) = &mut today {
        today = rows.remove(0);
    }
    let mut out = Vec::new();
    for name in [
        "new_readers",
        "new_subscriptions",
        "cancelled",
        "ended",
        "involuntary",
        "payments",
        "refunds",
        "consent",
        "kept",
        "repeats",
        "not_understood",
    ] {
        assert!(!today[name].is_null(), "{name}: {today}");
        out.push((name.to_owned(), today[name].clone()));
    }
    for question in [
        "@churn-by-month",
        "@consent-by-week",
        "@new-readers-by-week",
        "@new-subscriptions-by-day",
        "@payments-by-month",
        "@trials",
        "@webhooks-by-day",
    ] {
        let rows = home.done(&["sql", question, "--json"]);
        out.push((question.to_owned(), serde_json::from_str(&rows).unwrap()));
    }
    out
}

#[test]
fn figures_of_the_past_hold_and_those_of_the_present_lose_the_reader() {
    let home = Home::new();
    let serving = home.serve();
    fill(&home, &serving);
    let before = past(&home);
    erase_all(&home);
    let after = past(&home);
    for (before, after) in before.iter().zip(&after) {
        // How many trials there are now is of the present.
        assert_eq!(before, after);
    }
    for sql in [
        "select count(*) from subscriptions where has_access = 1",
        "select count(*) from users where user_id like 'erased%' and (active_subscriptions > 0 or sign_ins > 0)",
        "select count(*) from consents where user_id like 'erased%'",
        "select count(*) from user_aliases",
    ] {
        assert_eq!(home.number(sql), 0, "{sql}");
    }
    let checked = home.done(&["rebuild", "--check"]);
    assert!(checked.contains("what the deliveries say"), "{checked}");
    assert_eq!(serving.terminate(), Some(0));
}

#[test]
fn whatever_ends_it_halfway_the_next_start_finishes_it_and_says_so() {
    let home = Home::new();
    let serving = home.serve();
    fill(&home, &serving);
    for round in 0..5 {
        for number in 0..40 {
            payment(
                &serving,
                &format!("reader-{round}@example.org"),
                round * 100 + number,
            );
        }
    }
    assert_eq!(serving.terminate(), Some(0));
    let erased = "select count(*) from deliveries where erased_at is not null";
    for (round, (signal, moment)) in [
        ("-KILL", "select count(*) from erasures where finished_at is null"),
        ("-INT", "select count(*) from erasing where noted = 1"),
        ("-KILL", "select count(*) from deliveries where erased_at is not null and seq in (select seq from deliveries)"),
        ("-TERM", erased),
        ("-KILL", "select count(*) from erasures where sought is null and finished_at is null"),
    ]
    .into_iter()
    .enumerate()
    {
        let who = format!("reader-{round}@example.org");
        let before = home.number(moment);
        let mut erasing = home
            .command(&["user", "erase", &who, "--yes"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        eventually("it is on its way, or done", || {
            home.number(moment) > before || erasing.try_wait().unwrap().is_some()
        });
        let pid = erasing.id().to_string();
        let _ = Command::new("kill").args([signal, &pid]).stderr(Stdio::null()).status();
        let code = erasing.wait().unwrap().code();
        assert!(matches!(code, None | Some(0 | 130)), "{code:?}");
        let pending = home.number("select count(*) from erasures where finished_at is null") > 0;
        let log = home.path().join("log");
        let child = home
            .command(&["serve"])
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let serving = crate::support::Serving::wait(child, home.port);
        eventually("it is finished", || {
            home.number("select count(*) from erasures where finished_at is null") == 0
        });
        assert_eq!(serving.terminate(), Some(0));
        let log = fs::read_to_string(log).unwrap();
        assert_eq!(log.contains("an erasure that was begun goes on"), pending, "{log}");
        assert_eq!(home.number("select count(*) from erasing"), 0);
        let left = fs::read(home.ledger()).unwrap();
        let left = String::from_utf8_lossy(&left);
        let found = left.find(&who).map(|at| &left[at.saturating_sub(300)..at + 100]);
        assert_eq!(found, None, "{who} after {signal}");
    }
    assert_eq!(home.number(erased), 200);
    assert!(home.done(&["verify"]).contains("what the deliveries say"));
}

#[test]
fn a_program_that_reads_for_long_is_named_and_the_log_emptied_after_it() {
    let home = Home::new();
    let serving = home.serve();
    fill(&home, &serving);
    let reading = home.open();
    reading.execute_batch("begin").unwrap();
    let _: i64 = reading
        .query_row("select count(*) from deliveries", [], |row| row.get(0))
        .unwrap();
    let told = home.done(&["user", "erase", WHO[0], "--yes"]);
    assert!(told.contains("another program is reading"), "{told}");
    let still = says(&home.run(&["status"]));
    assert!(still.contains("is being overwritten on disk"), "{still}");
    drop(reading);
    eventually("the rest is overwritten", || {
        home.number("select count(*) from meta where key = 'overwrite_since'") == 0
    });
    let done_now = says(&home.run(&["status"]));
    assert!(!done_now.contains("overwritten"), "{done_now}");
    for who in &WHO[1..] {
        home.done(&["user", "erase", who, "--yes"]);
    }
    eventually("nothing is left in the log", || traces(&home).is_empty());
    assert_eq!(serving.terminate(), Some(0));
}

/// The bytes of what a failure must not change.
fn ledger(home: &Home) -> Vec<u8> {
    fs::read(home.ledger()).unwrap()
}

#[test]
fn a_ledger_that_cannot_be_written_is_told_and_left_as_it_is() {
    let home = Home::new();
    let serving = home.serve();
    fill(&home, &serving);
    assert_eq!(serving.terminate(), Some(0));
    let erase = ["user", "erase", WHO[0], "--yes"];
    let other = home.open();
    other.execute_batch("begin immediate").unwrap();
    let busy = home.run(&erase);
    assert_eq!(busy.status.code(), Some(3), "{busy:?}");
    assert!(says(&busy).contains("busy"), "{busy:?}");
    other.execute_batch("rollback").unwrap();
    assert_eq!(home.number("select count(*) from erasures"), 0);
    other
        .execute_batch("pragma wal_checkpoint(truncate)")
        .unwrap();
    other
        .execute_batch("pragma user_version = 99; pragma wal_checkpoint(truncate)")
        .unwrap();
    drop(other);
    let whole = ledger(&home);
    let newer = home.run(&erase);
    assert_eq!(newer.status.code(), Some(1));
    assert!(says(&newer).contains("newer subledger"), "{newer:?}");
    assert_eq!(ledger(&home), whole);
    let mut broken = whole.clone();
    broken[100..4096].fill(0x5a);
    broken[60..64].copy_from_slice(&3_u32.to_be_bytes());
    fs::write(home.ledger(), &broken).unwrap();
    let damaged = home.run(&erase);
    assert_eq!(damaged.status.code(), Some(1), "{damaged:?}");
    assert!(says(&damaged).contains("damaged"), "{damaged:?}");
    assert_eq!(ledger(&home), broken);
}

/// Bytes that are free on the disk of `folder`.
fn free(folder: &Path) -> usize {
    let disk = rustix::fs::statvfs(folder).unwrap();
    usize::try_from(disk.f_bavail * disk.f_frsize).unwrap()
}

#[test]
fn on_a_full_disk_it_stops_and_is_finished_once_there_is_room() {
    let home = Home::new();
    let folder = home.ledger().parent().unwrap().to_owned();
    let Some(disk) = Disk::of(&folder, 88 << 10) else {
        return;
    };
    let serving = home.serve();
    fill(&home, &serving);
    for number in 0..200 {
        payment(&serving, WHO[0], number);
    }
    assert_eq!(serving.terminate(), Some(0));
    disk.close();
    let whole = ledger(&home);
    let refused = home.run(&["user", "erase", WHO[0], "--yes"]);
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    assert_eq!(ledger(&home), whole);
    disk.reopen();
    let filler = folder.join("filler");
    // Some room is left, so that it stops on its way.
    fs::write(&filler, vec![1; free(&folder) - (160 << 10)]).unwrap();
    let full = home.run(&["user", "erase", WHO[0], "--yes"]);
    assert_eq!(full.status.code(), Some(1), "{full:?}");
    assert!(says(&full).contains("cannot write"), "{full:?}");
    fs::remove_file(&filler).unwrap();
    erase_all(&home);
    assert_eq!(
        home.number("select count(*) from erasures where finished_at is null"),
        0
    );
    assert_eq!(traces(&home), Vec::<String>::new());
    assert!(home.done(&["verify"]).contains("what the deliveries say"));
    drop(disk);
}

#[test]
fn with_less_room_than_the_file_takes_it_is_finished_all_the_same() {
    let home = Home::new();
    let folder = home.ledger().parent().unwrap().to_owned();
    let Some(disk) = Disk::of(&folder, 24 << 10) else {
        return;
    };
    let year = home.ledger();
    let year = ["demo", "--events", "2500", "--out", year.to_str().unwrap()];
    home.done(&year);
    let who: String = home
        .open()
        .query_row(
            "select email from users where email is not null",
            [],
            |row| row.get(0),
        )
        .unwrap();
    // Less than the file itself is free, and enough for every other step.
    let room = ledger(&home).len() / 2;
    fs::write(folder.join("filler"), vec![1; free(&folder) - room]).unwrap();
    let told = home.done(&["user", "erase", &who, "--yes"]);
    assert!(
        told.contains("the chain still verifies") && !told.contains("may stand"),
        "{told}"
    );
    let left = String::from_utf8_lossy(&ledger(&home)).into_owned();
    assert!(!left.contains(&who), "{who}");
    assert_eq!(
        home.number("select count(*) from erasures where finished_at is null"),
        0
    );
    drop(disk);
}

#[test]
fn an_erasure_that_no_longer_says_whom_it_meant_is_damage_and_never_called_done() {
    let home = Home::new();
    let serving = home.serve();
    fill(&home, &serving);
    assert_eq!(serving.terminate(), Some(0));
    home.open()
        .execute_batch(
            "insert into erasures (begun_at, last_seq, looked_seq, keeps, sought)
             values ('2026-03-03T10:00:00.000Z', 1, 0, 1, '{\"readers\":\"heron')",
        )
        .unwrap();
    let told = home.run(&["user", "erase", WHO[0], "--yes"]);
    assert_eq!(told.status.code(), Some(1), "{told:?}");
    let said = says(&told);
    assert!(
        said.contains("whom erasure 1 is about cannot be read"),
        "{said}"
    );
    assert!(!said.contains("heron"), "{said}");
    assert!(home.number("select count(*) from erasures where finished_at is null") > 0);
}

#[test]
fn a_backup_alone_carries_the_memory_of_erasures_to_another_machine() {
    let home = Home::new();
    let serving = home.serve();
    fill(&home, &serving);
    let elsewhere = tempfile::tempdir().unwrap();
    let at = |name: &str| elsewhere.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("all.ndjson"), home.done(&["export", "--deliveries"])).unwrap();
    home.done(&["backup", &at("before.db")]);
    erase_all(&home);
    // Somebody who comes back is there again, and stays.
    let back = body("zotlo", "transaction").replace("can.deneme@example.com", "back@example.org");
    payment(&serving, "back@example.org", 7);
    home.done(&["user", "erase", "back@example.org", "--yes"]);
    let again = back.replace("dc19h40b7e2-51aa-8e04", "a-later-payment");
    assert_eq!(
        serving.post("zotlo", "events", again.as_bytes()).unwrap().0,
        200
    );
    let is_back = "select count(*) from users where email = 'back@example.org'";
    eventually("they are back", || home.number(is_back) == 1);
    home.done(&["backup", &at("after.db")]);
    assert_eq!(serving.terminate(), Some(0));

    let moved = Home::new();
    moved.done(&["restore", &at("after.db")]);
    assert_eq!(moved.number(is_back), 1);
    assert!(moved.done(&["import", &at("all.ndjson")]).is_empty());
    assert_eq!(traces(&moved), Vec::<String>::new());
    let beside = moved.ledger().with_file_name("subledger.db.erased");
    let memory = fs::read_to_string(&beside).unwrap();
    assert!(CANARIES.iter().all(|canary| !memory.contains(canary)));
    let told = moved.run(&["restore", &at("before.db"), "--replace"]);
    assert!(
        says(&told).contains("erased since: erased from it too"),
        "{told:?}"
    );
    for entry in fs::read_dir(moved.ledger().parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().contains(".before-restore-") {
            fs::remove_file(path).unwrap();
        }
    }
    assert_eq!(traces(&moved), Vec::<String>::new());
    assert!(moved.done(&["verify"]).contains("what the deliveries say"));
    // Not even by a file that is put in its place by hand.
    fs::copy(at("before.db"), moved.ledger()).unwrap();
    assert!(!traces(&moved).is_empty());
    moved.done(&["rebuild", "--check"]);
    assert_eq!(traces(&moved), Vec::<String>::new());
}

#[test]
fn a_rejected_request_of_an_erased_reader_is_not_taken_in() {
    let home = Home::new();
    let serving = home.serve();
    let registration = body("zotlo", "registered-users");
    let path = "/hooks/zotlo/events/k_forgotten";
    assert_eq!(
        serving
            .request("POST", path, "", registration.as_bytes())
            .unwrap()
            .0,
        401
    );
    eventually("it is kept", || {
        home.number("select count(*) from rejected") == 1
    });
    assert_eq!(
        serving
            .post("zotlo", "events", registration.as_bytes())
            .unwrap()
            .0,
        200
    );
    let elsewhere = tempfile::tempdir().unwrap();
    let aside = elsewhere.path().join("aside.db");
    let conn = home.open();
    conn.execute("attach ?1 as aside", [aside.to_str().unwrap()])
        .unwrap();
    conn.execute_batch("create table aside.kept as select * from rejected")
        .unwrap();
    home.done(&["user", "erase", WHO[1], "--yes"]);
    assert_eq!(home.number("select count(*) from rejected"), 0);
    conn.execute_batch("insert into rejected select * from aside.kept; detach aside")
        .unwrap();
    drop(conn);
    assert_eq!(serving.terminate(), Some(0));
    let settings = home.path().join("config/subledger/subledger.toml");
    let text = fs::read_to_string(&settings).unwrap();
    let forgotten = text.replace(PATH_KEY, "k_forgotten");
    assert_ne!(forgotten, text);
    fs::write(&settings, forgotten).unwrap();
    let admitted = home.run(&["rejected", "admit", "1"]);
    assert!(
        says(&admitted).contains("erased since: dropped"),
        "{admitted:?}"
    );
    assert_eq!(home.number("select count(*) from rejected"), 0);
    assert_eq!(
        home.number("select count(*) from deliveries where body is not null"),
        0
    );
    assert_eq!(traces(&home), Vec::<String>::new());
}

#[test]
fn a_memory_of_erasures_that_was_tampered_with_is_found_and_damage_stops_nothing() {
    let home = Home::new();
    let serving = home.serve();
    fill(&home, &serving);
    erase_all(&home);
    assert_eq!(serving.terminate(), Some(0));
    home.done(&["verify"]);
    let beside = home.ledger().with_file_name("subledger.db.erased");
    let memory = fs::read_to_string(&beside).unwrap();
    for (sql, told) in [
        (
            "delete from meta where key = 'erasure_key'",
            "the key of the hashes is missing",
        ),
        ("delete from erased_readers", "the next start erases again"),
        (
            "update meta set value = substr(value, 2) where key = 'erasure_key'",
            "the key of the hashes is missing",
        ),
    ] {
        assert!(home.open().execute(sql, []).unwrap() > 0, "{sql}");
        let verified = home.run(&["verify", "--deliveries"]);
        let said = String::from_utf8(verified.stdout).unwrap();
        assert_eq!(verified.status.code(), Some(1), "{sql}: {said}");
        assert!(said.contains(told), "{sql}: {said}");
        if sql.starts_with("delete") {
            home.done(&["rebuild", "--check"]);
            home.done(&["verify"]);
        }
    }
    home.open()
        .execute("delete from meta where key = 'erasure_key'", [])
        .unwrap();
    home.done(&["rebuild", "--check"]);
    // Every line of the file damaged: the ledger knows them all, goes on, and writes them again.
    let damaged = memory
        .replace("\"hash\":\"", "\"hash\":\"z")
        .replace("\"until\":\"", "\"until\":\"never ")
        .replace("\"link\":\"", "\"link\":\"z");
    fs::write(&beside, damaged).unwrap();
    home.done(&["rebuild", "--check"]);
    home.done(&["verify"]);
    let again = fs::read_to_string(&beside).unwrap();
    assert!(memory.lines().all(|line| again.contains(line)));
}

#[test]
fn a_body_that_others_share_is_not_erased_with_a_request_that_names_the_reader() {
    let home = Home::new();
    let serving = home.serve();
    payment(&serving, "ada@example.org", 3);
    let path = "/hooks/zotlo/events/k_notthekeynotthekeynotthekey";
    let answer = serving.request("POST", path, "X-Note: ada@example.org\r\n", b"{}");
    assert_eq!(answer.unwrap().0, 401);
    eventually("the rejected request is kept", || {
        home.number("select count(*) from rejected") == 1
    });
    home.done(&["user", "erase", "ada@example.org", "--yes"]);
    assert_eq!(home.number("select count(*) from rejected"), 0);
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("one.ndjson");
    let line = r#"{"provider": "zotlo", "hook": "events", "received_at": "2026-01-01T09:00:00Z", "body": {}}"#;
    fs::write(&file, line).unwrap();
    let imported = home.run(&["import", file.to_str().unwrap()]);
    assert!(!says(&imported).contains("erased"), "{imported:?}");
    assert_eq!(
        home.number("select count(*) from deliveries where origin = 'import' and body = '{}'"),
        1
    );
}
