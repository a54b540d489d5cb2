//! `user` and `prove` where something is in the way: a signal, a disk, a file that is no ledger, a clock that goes back.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{Home, PATH_KEY, PATIENCE, Said};
use crate::user::{disclosed, post, proved, registered, unzipped, wait_until_folded};

/// A home with `count` sign-ins of one reader.
fn with_sign_ins(count: usize) -> Home {
    let home = Home::new();
    drop(home.serve());
    let lines: Vec<String> = (0..count)
        .map(|at| {
            let day = format!("2026-03-{:02}", 1 + at % 28);
            let data = json!({
                "id": format!("aud-{at}"), "subject_id": "reader-of-many-days", "app_id": "paper",
                "timestamp": format!("{day}T{:02}:{:02}:00Z", at / 60 % 24, at % 60),
            });
            json!({"event_type": "user.consent", "data": data}).to_string()
        })
        .collect();
    let file = home.path().join("many.ndjson");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let args = [
        "import",
        "--provider",
        "klustr",
        "--hook",
        "events",
        "--as-of",
        "2026-04-01",
        file.to_str().unwrap(),
    ];
    assert_eq!(home.says(&args).code, 0);
    wait_until_folded(&home);
    home
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn an_export_of_thousands_is_whole_or_not_there() {
    let home = with_sign_ins(3_000);
    let folder = home.path().join("out");
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("all.zip");
    let args = [
        "user",
        "export",
        "reader-of-many-days",
        "--out",
        file.to_str().unwrap(),
    ];
    for signal in [Signal::INT, Signal::TERM] {
        let child = home.command(&args).stderr(Stdio::piped()).spawn().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while names(&folder).is_empty() {
            assert!(Instant::now() < deadline, "no export is begun");
            std::thread::sleep(Duration::from_millis(1));
        }
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
        let ended = Said::from(child.wait_with_output().unwrap());
        assert_eq!(ended.err, "subledger: interrupted\n");
        assert_eq!(ended.code, 130);
        assert_eq!(names(&folder), [""; 0]);
    }
    assert_eq!(home.says(&args).code, 0);
    assert_eq!(names(&folder), ["all.zip"]);
    let files = unzipped(&file);
    let bodies = files.keys().filter(|name| name.starts_with("deliveries/"));
    assert_eq!(bodies.count(), 3_000);
    let data: Value = serde_json::from_slice(&files["data.json"]).unwrap();
    assert_eq!(
        data[0]["readers"][0]["events"].as_array().unwrap().len(),
        3_000
    );
}

#[test]
fn an_export_that_does_not_fit_or_may_not_be_written_leaves_nothing() {
    let home = with_sign_ins(300);
    let export = |to: &str| home.says(&["user", "export", "reader-of-many-days", "--out", to]);
    for nowhere in [
        "/proc/held.zip",
        "no/such/folder.zip",
        "many.ndjson/held.zip",
    ] {
        let output = export(nowhere);
        assert_eq!(output.code, 1, "{}", output.err);
        assert!(output.err.contains("cannot write"), "{}", output.err);
    }
    let full = home.path().join("full");
    std::fs::create_dir(&full).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=16k", "tmpfs"])
        .arg(&full)
        .stderr(Stdio::null())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("skipped: this user may mount no disk of its own");
        return;
    }
    let output = export("full/held.zip");
    let left = names(&full);
    Command::new("umount").arg(&full).status().unwrap();
    assert_eq!(output.code, 1, "{}", output.err);
    assert_eq!(output.err.lines().count(), 1, "{}", output.err);
    assert!(output.err.contains("No space left"), "{}", output.err);
    assert_eq!(left, [""; 0]);
}

#[test]
fn a_file_that_is_no_sound_ledger_is_told_of_and_left_as_it_is() {
    let home = Home::new();
    let asked = |ledger: &Path| {
        let ledger = ledger.to_str().unwrap();
        [
            &["user", "show", "ada@example.org"][..],
            &["user", "export", "ada@example.org", "--out", "held.zip"],
            &["prove", "ada@example.org", "newsletter"],
        ]
        .map(|args| home.says(&[&["--db", ledger], args].concat()))
    };
    let check = |ledger: &Path, wanted: i32| {
        let before = std::fs::read(ledger).ok();
        for output in asked(ledger) {
            assert_eq!(output.code, wanted, "{}", output.err);
            assert_eq!(output.err.lines().count(), 1, "{}", output.err);
            assert!(output.out.is_empty());
        }
        assert_eq!(std::fs::read(ledger).ok(), before);
        assert!(!home.path().join("held.zip").exists());
    };
    let at = |name: &str| home.path().join(name);
    check(&at("absent.db"), 3);
    std::fs::write(
        at("text.db"),
        "no ledger at all, but a long enough text\n".repeat(200),
    )
    .unwrap();
    check(&at("text.db"), 1);
    let serving = home.serve();
    post(
        &serving,
        "expressconsent",
        "events",
        &disclosed(true, "Yes.", 1_772_577_000_000),
    );
    wait_until_folded(&home);
    // While the receiver has the lock, all of them answer.
    for output in asked(&home.ledger()) {
        assert_eq!(output.code, 0, "{}", output.err);
    }
    std::fs::remove_file(at("held.zip")).unwrap();
    assert_eq!(serving.terminate(), Some(0));
    let copy = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = std::fs::read(home.ledger()).unwrap();
        change(&mut bytes);
        std::fs::write(at(name), bytes).unwrap();
        at(name)
    };
    // `user_version` and `application_id` stand at fixed places of the first page.
    let newer = copy("newer.db", &|bytes| {
        bytes[60..64].copy_from_slice(&9_999_u32.to_be_bytes());
    });
    check(&newer, 1);
    let foreign = copy("foreign.db", &|bytes| {
        bytes[68..72].copy_from_slice(b"Othr");
    });
    check(&foreign, 1);
    let cut = copy("cut.db", &|bytes| bytes.truncate(bytes.len() / 2));
    check(&cut, 1);
    let spoilt = copy("spoilt.db", &|bytes| bytes[4_096..].fill(0x5a));
    check(&spoilt, 1);
}

#[test]
fn an_hour_that_the_clocks_show_twice_is_told_apart() {
    let home = Home::new();
    let settings = home.path().join("config/subledger/subledger.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, text.replace("\"UTC\"", "\"America/New_York\"")).unwrap();
    let serving = home.serve();
    let told = |kind: &str, at: &str| {
        let body = json!({
            "event_type": format!("user.app.consent.{kind}"),
            "data": {
                "id": "r1", "subject_id": "sub-1", "app_id": "paper", "timestamp": at,
                "scopes": [{"id": "mail", "status": "active", "date_created": at}],
            },
        });
        post(&serving, "klustr", "events", &body)
    };
    // Clocks went back on 2 November 2025 at 06:00 UTC, and forward on 8 March 2026 at 07:00 UTC.
    told("create", "2025-11-02T05:30:00Z");
    told("delete", "2025-11-02T06:30:00Z");
    told("update", "2026-03-08T07:00:00Z");
    wait_until_folded(&home);
    let state = |at: &str| proved(&home, "sub-1", "mail", at)["standing"]["state"].clone();
    for (at, wanted) in [
        ("2025-11-01", Value::Null),
        ("2025-11-02T01:29", "given".into()),
        ("2025-11-02T01:30", "withdrawn".into()),
        ("2025-11-02 01:30:00 -04:00", "given".into()),
        ("2025-11-02 01:29:59 -05:00", "given".into()),
        ("2025-11-02 01:30:00 -05:00", "withdrawn".into()),
        ("2025-11-02T05:30:00Z", "given".into()),
        ("2025-11-02t06:29:59.999z", "given".into()),
        ("2025-11-02T12:00:00+05:30", "withdrawn".into()),
        ("2025-11-02", "withdrawn".into()),
        ("2026-03-07", "withdrawn".into()),
        ("2026-03-08T01:59", "withdrawn".into()),
        // An hour that there was not: the first instant after it.
        ("2026-03-08 02:30", "given".into()),
        ("2026-03-08 03:00", "given".into()),
        ("2026-03-08", "given".into()),
    ] {
        assert_eq!(state(at), wanted, "{at}");
    }
    let shown = home
        .says(&["prove", "sub-1", "mail", "--at", "2025-11-02"])
        .out;
    for line in [
        "2025-11-02 01:30:00 -04:00  not known -> given",
        "2025-11-02 01:30:00 -05:00  given -> withdrawn",
        "1 more since then",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
    for wrong in [
        "2025-11-31",
        "2025-11-02T24:00",
        "2025-11-02 25:00",
        "2025-11-02 01:30 Europe/Berlin",
        "02/11/2025",
        "",
    ] {
        let output = home.says(&["prove", "sub-1", "mail", "--at", wrong]);
        assert_eq!(output.code, 2, "{wrong}: {}", output.err);
    }
    drop(serving);
}

#[test]
fn a_reader_of_conscent_is_proved_by_the_address_that_others_know_too() {
    let home = Home::new();
    let settings = home.path().join("config/subledger/subledger.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    let own = format!("[providers.conscent]\npath_key = \"{PATH_KEY}\"");
    let with_secret = format!("{own}\napi_secret = \"example-api-secret\"");
    std::fs::write(&settings, text.replace(&own, &with_secret)).unwrap();
    let serving = home.serve();
    let mut sign_up = registered("reader@example.org", "Ada");
    sign_up["hashedEmail"] =
        "eyJhbGciOiJIUzI1NiJ9.cmVhZGVyQGV4YW1wbGUub3Jn.Io12bPBBnl1rxY9yTIQb4xbB7OcYNT9wi2rwgtxzAKY"
            .into();
    post(&serving, "conscent", "sign-up", &sign_up);
    let mut agreed = disclosed(true, "Yes, write to me.", 1_772_577_000_000);
    agreed["customMetadata"]["email"] = "Reader@Example.org".into();
    let seq = post(&serving, "expressconsent", "events", &agreed);
    wait_until_folded(&home);

    let found = proved(&home, "reader@example.org", "newsletter", "2026-04-01");
    assert_eq!(found["provider"], "expressconsent");
    assert_eq!(found["standing"]["state"], "given");
    assert_eq!(found["evidence"][0]["seq"], seq);
    assert_eq!(found["verified"], true);
    // What is asked of one provider is answered for that one alone.
    let alone = home.says(&["prove", "conscent:u-reader@example.org", "newsletter"]);
    assert_eq!(alone.code, 1);
    assert!(
        alone
            .err
            .contains("no consent of conscent:u-reader@example.org is known"),
        "{}",
        alone.err
    );
    let shown = home.says(&["user", "show", "reader@example.org"]).out;
    assert!(shown.contains("verified"), "{shown}");
    assert!(
        shown.contains("expressconsent:reader@example.org"),
        "{shown}"
    );
    drop(serving);
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one proof, with ever more taken away from what it rests on"
)]
fn of_what_was_erased_the_commitment_and_the_link_are_told() {
    let home = Home::new();
    let serving = home.serve();
    let kept = disclosed(false, "May we call?", 1_772_576_000_000);
    post(&serving, "expressconsent", "events", &kept);
    let agreed = disclosed(true, "Yes, write to me.", 1_772_577_000_000);
    let seq = post(&serving, "expressconsent", "events", &agreed);
    post(
        &serving,
        "conscent",
        "sign-up",
        &registered("bob@example.org", "Bob"),
    );
    wait_until_folded(&home);
    let before = proved(&home, "ada@example.org", "newsletter", "2026-04-01");
    assert_eq!(serving.terminate(), Some(0));
    let conn = home.open();
    let guards = "select group_concat('drop trigger ' || name, ';') from sqlite_schema
                  where type = 'trigger' and tbl_name = 'deliveries'";
    let guards: String = conn.query_row(guards, [], |row| row.get(0)).unwrap();
    conn.execute_batch(&guards).unwrap();
    let proof = |sql: &str| {
        conn.execute_batch(sql).unwrap();
        let output = home.says(&[
            "prove",
            "ada@example.org",
            "newsletter",
            "--at",
            "2026-04-01",
            "--json",
        ]);
        assert_eq!(output.code, 1, "{}", output.err);
        let all: Value = serde_json::from_str(&output.out).unwrap();
        all[0].clone()
    };

    let gone = proof(&format!(
        "update deliveries set body = null where seq = {seq}"
    ));
    let wrong = gone["evidence"][0]["wrong"].as_str().unwrap();
    assert!(wrong.contains("nothing says that it was erased"), "{wrong}");
    let erased = proof(&format!(
        "update deliveries set salt = null, erased_at = '2026-05-01T00:00:00.000Z' where seq = {seq}"
    ));
    assert_eq!(erased["verified"], false);
    let (old, new) = (&before["evidence"][0], &erased["evidence"][0]);
    for known in ["commitment", "link", "previous_link", "head", "received_at"] {
        assert_eq!(new[known], old[known], "{known}");
    }
    assert_eq!(new["salt"], Value::Null);
    assert_eq!(new["erased_at"], "2026-05-01T00:00:00.000Z");
    let wrong = new["wrong"].as_str().unwrap();
    assert!(
        wrong.contains("was erased") && wrong.contains("every link since then hold"),
        "{wrong}"
    );

    // The export tells of it, without a body.
    let export = ["user", "export", "ada@example.org", "--out", "held.zip"];
    assert_eq!(home.says(&export).code, 0);
    let files = unzipped(&home.path().join("held.zip"));
    assert!(!files.contains_key(&format!("deliveries/{seq:06}.json")));
    assert_eq!(
        files["deliveries/000001.json"],
        kept.to_string().into_bytes()
    );
    let page = String::from_utf8(files["index.html"].clone()).unwrap();
    assert!(page.contains("Its content is erased."), "{page}");

    // A link behind it that does not follow is no erasure.
    let broken = proof(&format!(
        "update deliveries set hook = 'x' where seq = {}",
        seq + 1
    ));
    let wrong = broken["evidence"][0]["wrong"].as_str().unwrap();
    assert!(
        wrong.contains(&format!("the link of delivery {}", seq + 1)),
        "{wrong}"
    );
}

#[test]
fn nothing_is_held_or_proved_of_a_reader_that_was_erased() {
    let home = Home::new();
    let serving = home.serve();
    let agreed = disclosed(true, "Yes, write to me.", 1_772_577_000_000);
    post(&serving, "expressconsent", "events", &agreed);
    wait_until_folded(&home);
    assert_eq!(
        home.says(&["user", "erase", "ada@example.org", "--yes"])
            .code,
        0
    );
    for args in [
        &["user", "show", "ada@example.org"][..],
        &["user", "export", "ada@example.org", "--out", "held.zip"],
        &["prove", "ada@example.org", "newsletter"],
    ] {
        let output = home.says(args);
        assert_eq!(output.code, 1, "{}", output.err);
        assert!(output.out.is_empty());
    }
    assert!(!home.path().join("held.zip").exists());
    // What is left of the delivery is its place in the chain.
    let output = home.says(&[
        "sql",
        "select length(commitment), length(link), body from deliveries",
        "--format",
        "csv",
    ]);
    assert!(output.out.contains("32,32,"), "{output:?}");
    assert_eq!(home.says(&["verify"]).code, 0);
    drop(serving);
}
