//! `user show`, `user export` and `prove`: all that is held about a reader, and what they had agreed to.

use std::io::Read as _;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zip::ZipArchive;

use crate::support::{FOLDED, Home, PATIENCE, Serving};

mod faults;

const READER: &str = "5f6c984c-20eb-4fec-8d6b-0bb042187271";

fn agreement(name: &str, version: &str, last_seen: &str) -> Value {
    json!({
        "event_type": format!("user.agreement.consent.{name}"),
        "data": {
            "id": format!("a-{version}-{name}"), "subject_id": READER, "agreement_id": "house-rules",
            "scopes": [{"id": "terms", "status": "active", "consent_method": "explicit"}],
            "version_number": version, "first_seen_date": "2026-02-01T10:00:00Z",
            "last_seen_date": last_seen, "status": "active",
        },
    })
}

pub(crate) fn disclosed(agreed: bool, wording: &str, created_ms: i64) -> Value {
    json!({
        "event": "cdr.completed", "cdrId": format!("cdr_{created_ms}"), "domain": "letters.example.org",
        "createdAt": created_ms, "customMetadata": {"email": "ada@example.org"},
        "disclosures": [{"key": "newsletter", "language": wording, "agreed": agreed}],
        "webhookId": format!("wh_{created_ms}"), "timestamp": created_ms,
    })
}

pub(crate) fn registered(email: &str, name: &str) -> Value {
    json!({
        "userName": "9012004499", "userId": format!("u-{email}"), "email": email, "name": name,
        "phoneNumber": "9012004499", "clientSpecificUserId": "40017755999",
    })
}

/// Posts `body`: the delivery's number.
pub(crate) fn post(serving: &Serving, provider: &str, hook: &str, body: &Value) -> i64 {
    let (status, answer) = serving
        .post(provider, hook, body.to_string().as_bytes())
        .unwrap();
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    answer["seq"].as_i64().unwrap()
}

pub(crate) fn wait_until_folded(home: &Home) {
    let deadline = std::time::Instant::now() + PATIENCE;
    let lag = "select (select max(seq) from deliveries) - value from meta where key = 'folded_seq'";
    while home.number(lag) > 0 {
        assert!(std::time::Instant::now() < deadline, "folding hangs");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// What `prove --json` says of one consent at a time.
pub(crate) fn proved(home: &Home, who: &str, purpose: &str, at: &str) -> Value {
    let output = home.says(&["prove", who, purpose, "--at", at, "--json"]);
    assert_eq!(output.code, 0, "{}", output.err);
    let all: Vec<Value> = serde_json::from_str(&output.out).unwrap();
    assert_eq!(all.len(), 1);
    all.into_iter().next().unwrap()
}

#[test]
fn what_is_still_to_be_read_is_said_wherever_it_is_missing() {
    let home = Home::new();
    let serving = home.serve();
    post(
        &serving,
        "klustr",
        "events",
        &agreement("created", "1.0", "2026-02-01T10:00:00Z"),
    );
    let heron = registered("heron@example.org", "Heron");
    post(&serving, "conscent", "sign-up", &heron);
    wait_until_folded(&home);
    serving.terminate();
    let who = format!("klustr:{READER}");
    let proof = ["prove", &who, "terms", "--at", "2026-02-02"];
    let whole = home.says(&proof);
    assert_eq!((whole.code, whole.err.as_str()), (0, ""));
    assert_eq!(home.says(&["users"]).err, "");
    // As a rebuild leaves it that a crash cut off: the lists are to be emptied and read again.
    let conn = home.open();
    conn.pragma_update(None, "foreign_keys", false).unwrap();
    conn.execute_batch("insert into meta values ('clearing', '1'); update meta set value = '0' where key = 'folded_seq'")
        .unwrap();
    for table in FOLDED.iter().rev() {
        conn.execute_batch(&format!("delete from {table}")).unwrap();
    }
    drop(conn);
    let lags = "2 deliveries are still to be read";
    let said = |args: &[&str]| {
        let said = home.says(args);
        assert!(said.err.contains(lags), "{args:?}: {}", said.err);
        said
    };
    for list in ["events", "users", "subscriptions", "consents", "payments"] {
        assert_eq!(said(&[list]).code, 0);
        assert_eq!(said(&[list, "since:2020-01-01", "--json"]).out.trim(), "[]");
    }
    assert_eq!(home.says(&["deliveries"]).err, "");
    assert_eq!(said(&proof).code, 1);
    said(&["user", "show", READER]);
    assert_eq!(said(&["user", "show", "nobody@example.org"]).code, 1);
    assert_eq!(
        said(&["user", "erase", "nobody@example.org", "--yes"]).code,
        1
    );
    let preview = home.succeeds(&["user", "erase", "heron@example.org"]).out;
    assert!(
        preview.contains("0 readers known as") && preview.contains(lags),
        "{preview}"
    );
    let preview = home
        .succeeds(&["user", "erase", "heron@example.org", "--json"])
        .out;
    assert!(preview.contains("\"still_to_read\":2"), "{preview}");
    // It reads before it erases.
    home.succeeds(&["user", "erase", "heron@example.org", "--yes"]);
    assert_eq!(
        home.number("select count(*) from users where name = 'Heron'"),
        0
    );
    assert_eq!(
        home.number("select count(*) from deliveries where erased_at is not null"),
        1
    );
    assert_eq!(home.says(&proof).out, whole.out);
}

#[test]
fn a_consent_is_proved_as_it_stood_at_several_times() {
    let home = Home::new();
    let serving = home.serve();
    // In another order than they happened.
    let updated = agreement("updated", "2.0", "2026-02-20T10:00:00Z");
    for body in [
        &agreement("deleted", "2.0", "2026-03-10T10:00:00Z"),
        &agreement("created", "1.0", "2026-02-01T10:00:00Z"),
        &updated,
    ] {
        post(&serving, "klustr", "events", body);
    }
    wait_until_folded(&home);
    let who = format!("klustr:{READER}");
    let at = |time: &str| proved(&home, &who, "terms", time);

    let before = at("2026-01-31");
    assert_eq!(before["standing"], Value::Null);
    assert_eq!(before["verified"], Value::Null);
    assert_eq!(before["changes_since"], 2);

    let first = at("2026-02-01T10:00:00Z");
    assert_eq!(first["standing"]["state"], "given");
    assert_eq!(first["standing"]["version"], "1.0");
    assert_eq!(first["standing"]["seq"], 2);
    assert_eq!(first["verified"], true);
    // It arrived later than that: it was not known then.
    assert_eq!(first["known_then"], Value::Null);
    assert_eq!(first["evidence"][0]["head_seq"], 3);

    let third_of_march = at("2026-03-03");
    assert_eq!(third_of_march["standing"]["state"], "given");
    assert_eq!(third_of_march["standing"]["version"], "2.0");
    assert_eq!(third_of_march["standing"]["seq"], 2);
    assert_eq!(third_of_march["standing"]["version_seq"], 3);
    assert_eq!(third_of_march["evidence"].as_array().unwrap().len(), 2);

    let last = at("2026-03-10");
    assert_eq!(last["standing"]["state"], "withdrawn");
    assert_eq!(last["changes"].as_array().unwrap().len(), 2);
    let now = at("now");
    assert_eq!(now["known_then"]["state"], "withdrawn");
    drop(serving);
}

/// The link that is printed follows from what else is printed, as the page says.
fn follows_by_hand(told: &str, from: [&str; 3]) {
    let value = |title: &str| {
        let line = told
            .lines()
            .find_map(|line| line.trim().strip_prefix(title));
        line.unwrap_or_else(|| panic!("{title}: {told}")).trim()
    };
    let bytes = |title: &str| -> Vec<u8> {
        let hex = value(title);
        let at = |place| u8::from_str_radix(&hex[place..place + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(at).collect()
    };
    let seq: u64 = value("Delivery").parse().unwrap();
    let mut hash = Sha256::new();
    let mut add = |field: &[u8]| {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field);
    };
    add(&bytes("Previous link"));
    add(&seq.to_be_bytes());
    add(value("As hashed").as_bytes());
    for field in from {
        add(field.as_bytes());
    }
    add(&bytes("Commitment"));
    assert_eq!(hash.finalize().to_vec(), bytes("Link"), "{told}");
}

#[test]
fn a_proof_by_a_test_says_so() {
    let home = Home::new();
    let serving = home.serve();
    let body = disclosed(true, "Yes.", 1_772_577_000_000);
    post(&serving, "expressconsent", "events", &body);
    wait_until_folded(&home);
    let told = || home.says(&["prove", "ada@example.org", "newsletter"]).out;
    assert!(!told().contains("TEST"), "{}", told());
    assert_eq!(home.says(&["tests", "mark", "1"]).code, 0);
    assert!(told().contains("Delivery 1  TEST: "), "{}", told());
    drop(serving);
}

#[test]
fn the_wording_and_the_zone_of_a_time_are_told() {
    let home = Home::new();
    let settings = home.path().join("config/subledger/subledger.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, text.replace("\"UTC\"", "\"Europe/Istanbul\"")).unwrap();
    let serving = home.serve();
    // 2026-03-03T22:30:00Z, which is 4 March in Istanbul.
    post(
        &serving,
        "expressconsent",
        "events",
        &disclosed(true, "Yes, write to me.", 1_772_577_000_000),
    );
    wait_until_folded(&home);
    let state = |time: &str| {
        let found = proved(&home, "ada@example.org", "newsletter", time);
        found["standing"]["state"].clone()
    };
    assert_eq!(state("2026-03-03"), Value::Null);
    assert_eq!(state("2026-03-04T01:29"), Value::Null);
    assert_eq!(state("2026-03-04T01:30"), "given");
    assert_eq!(state("2026-03-03T22:29:59Z"), Value::Null);
    assert_eq!(state("2026-03-03T22:30:00Z"), "given");
    let found = proved(&home, "ada@example.org", "NEWSLETTER", "2026-03-04");
    assert_eq!(found["standing"]["wording"], "Yes, write to me.");
    assert_eq!(found["zone"], "Europe/Istanbul");
    let told = home.says(&["prove", "ada@example.org", "newsletter"]).out;
    assert!(
        told.contains("Yes, write to me.") && told.contains("verified: "),
        "{told}"
    );
    follows_by_hand(&told, ["expressconsent", "main", "events"]);

    for (args, wanted, words) in [
        (
            &["prove", "ada@example.org", "newsleter"][..],
            1,
            "did you mean `newsletter`?",
        ),
        (
            &["prove", "bob@example.org", "newsletter"],
            1,
            "no reader is known",
        ),
        (
            &["prove", "zotlo/weekly:ada@example.org", "newsletter"],
            1,
            "no reader is known as `ada@example.org` at zotlo/weekly, and nowhere else was looked",
        ),
        (
            &["prove", "ada@example.org", "newsletter", "--at", "soon"],
            2,
            "is no time",
        ),
        (
            &[
                "prove",
                "ada@example.org",
                "newsletter",
                "--at",
                "9998-01-01",
            ],
            2,
            "is yet to come",
        ),
        (&["prove", "", "newsletter"], 2, "name a reader"),
    ] {
        let output = home.says(args);
        assert_eq!(output.code, wanted, "{args:?}");
        assert!(output.err.contains(words), "{}", output.err);
    }
    drop(serving);
}

#[test]
fn a_body_or_a_link_that_was_changed_proves_nothing() {
    let home = Home::new();
    let serving = home.serve();
    post(
        &serving,
        "expressconsent",
        "events",
        &disclosed(true, "Yes.", 1_772_577_000_000),
    );
    post(
        &serving,
        "conscent",
        "sign-up",
        &registered("bob@example.org", "Bob"),
    );
    wait_until_folded(&home);
    assert_eq!(serving.terminate(), Some(0));
    let prove = ["prove", "ada@example.org", "newsletter"];
    assert_eq!(home.says(&prove).code, 0);
    for (change, undo, wrong) in [
        (
            "update deliveries set body = replace(body, 'Yes.', 'No. ') where seq = 1",
            "update deliveries set body = replace(body, 'No. ', 'Yes.') where seq = 1",
            "its body is not the one that was acknowledged",
        ),
        (
            "update deliveries set hook = 'other' where seq = 2",
            "update deliveries set hook = 'sign-up' where seq = 2",
            "the link of delivery 2 does not follow",
        ),
    ] {
        let conn = home.open();
        conn.execute_batch(
            "drop trigger if exists deliveries_guarded_update; drop trigger if exists deliveries_no_update",
        )
        .unwrap();
        conn.execute_batch(change).unwrap();
        let output = home.says(&prove);
        assert_eq!(output.code, 1);
        let told = output.out;
        assert!(
            told.contains("NOT VERIFIED") && told.contains(wrong),
            "{told}"
        );
        conn.execute_batch(undo).unwrap();
        assert_eq!(home.says(&prove).code, 0);
    }
}

pub(crate) fn unzipped(path: &Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    let mut zip = ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
    (0..zip.len())
        .map(|place| {
            let mut file = zip.by_index(place).unwrap();
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            (file.name().unwrap().into_owned(), bytes)
        })
        .collect()
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one export, looked at from all sides"
)]
fn an_export_holds_what_the_ledger_holds_and_nothing_of_others() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    let serving = home.serve();
    let hostile = "</td><script>alert(1)</script>\u{1b}[31m'\"&";
    let own = registered("ada@example.org", hostile);
    let seq = post(&serving, "conscent", "sign-up", &own);
    post(
        &serving,
        "conscent",
        "sign-up",
        &registered("bob@example.org", "Bob Other"),
    );
    let also = post(
        &serving,
        "expressconsent",
        "events",
        &disclosed(false, "Yes?", 1_772_577_000_000),
    );
    let unread = serving
        .post(
            "zotlo",
            "events",
            br#"broken {"mail":"ADA\u0040example.org"}"#,
        )
        .unwrap();
    assert!(unread.1.contains("quarantined"), "{}", unread.1);
    let refused = serving
        .request(
            "POST",
            "/hooks/zotlo/events/wrong",
            "",
            br#"{"mail":"ada@example.org"}"#,
        )
        .unwrap();
    assert_eq!(refused.0, 401);
    wait_until_folded(&home);
    let deadline = std::time::Instant::now() + PATIENCE;
    while home.number("select count(*) from rejected") == 0 {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }

    let output = home.says(&["user", "export", "ada@EXAMPLE.org", "--out", "ada.zip"]);
    assert_eq!(output.code, 0, "{}", output.err);
    let path = home.path().join("ada.zip");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let files = unzipped(&path);
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "README.txt",
            "data.json",
            "deliveries/000001.json",
            "deliveries/000003.json",
            "deliveries/000004.bin",
            "index.html",
            "rejected/000001.json"
        ]
    );
    assert_eq!(
        files["deliveries/000001.json"],
        own.to_string().into_bytes()
    );
    let data: Value = serde_json::from_slice(&files["data.json"]).unwrap();
    let seqs: Vec<i64> = data[0]["deliveries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|delivery| delivery["seq"].as_i64().unwrap())
        .collect();
    // The second is another reader's, with the same phone: told of, but not handed out.
    assert_eq!(seqs, [seq, 2, also, 4]);
    let theirs = &data[0]["deliveries"][1];
    assert_eq!(theirs["names_other_readers"], true);
    assert_eq!(theirs["file"], Value::Null);
    assert_eq!(theirs["events"], json!([]));
    assert_eq!(data[0]["readers"].as_array().unwrap().len(), 2);
    let everything = files.values().fold(String::new(), |all, bytes| {
        all + &String::from_utf8_lossy(bytes)
    });
    assert!(!everything.contains("Bob Other") && !everything.contains("bob@"));
    let page = String::from_utf8(files["index.html"].clone()).unwrap();
    assert!(page.contains("Content-Security-Policy") && page.contains("ada@example.org"));
    assert!(
        !page.contains("<script") && !page.contains('\u{1b}'),
        "{page}"
    );
    assert!(page.contains("&lt;script&gt;"));

    // A second time, and into what is no file.
    let again = home.says(&["user", "export", "ada@example.org", "--out", "ada.zip"]);
    assert_eq!(again.code, 2, "{}", again.err);
    assert_eq!(
        home.says(&[
            "subject",
            "export",
            "ada@example.org",
            "--out",
            "ada.zip",
            "--force"
        ])
        .code,
        0
    );
    assert_eq!(
        home.says(&["user", "export", "ada@example.org", "--out", "/dev/null"])
            .code,
        2
    );
    assert_eq!(
        home.says(&["user", "export", "ada@example.org", "--out", "-"])
            .code,
        2
    );
    assert_eq!(
        home.says(&[
            "user",
            "export",
            "ada@example.org",
            "--out",
            "no/such/folder.zip"
        ])
        .code,
        1
    );
    let left: Vec<_> = std::fs::read_dir(home.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.to_ascii_lowercase().ends_with(".part"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    drop(serving);
}

#[test]
fn a_reader_is_found_by_mail_phone_and_id_and_cut_lists_say_so() {
    let home = Home::new();
    assert_eq!(home.says(&["user", "show", "ada@example.org"]).code, 3);
    assert_eq!(home.says(&["prove", "ada@example.org", "x"]).code, 3);
    let serving = home.serve();
    post(
        &serving,
        "conscent",
        "sign-up",
        &registered("ada@example.org", "Ada"),
    );
    post(
        &serving,
        "conscent",
        "login",
        &registered("ada@example.org", "Ada"),
    );
    post(
        &serving,
        "expressconsent",
        "events",
        &disclosed(true, "Yes.", 1_772_577_000_000),
    );
    wait_until_folded(&home);
    for (who, readers) in [
        ("ADA@example.org", 2),
        ("+91 90120 04499", 1),
        ("0 9012004499", 1),
        ("u-ada@example.org", 1),
        ("conscent:u-ada@example.org", 1),
        ("conscent/main:ada@example.org", 1),
        ("40017755999", 1),
    ] {
        let output = home.says(&["user", "show", who, "--json"]);
        assert_eq!(output.code, 0, "{who}: {}", output.err);
        let all: Value = serde_json::from_str(&output.out).unwrap();
        assert_eq!(
            all[0]["readers"].as_array().unwrap().len(),
            readers,
            "{who}"
        );
    }
    let shown = home
        .says(&["subject", "show", "ada@example.org", "--limit", "1"])
        .out;
    assert!(shown.contains("1 more: --limit 0 shows all"), "{shown}");
    let whole = home.says(&["user", "show", "ada@example.org", "--limit", "0"]);
    assert!(!whole.out.contains("more: "));
    let elsewhere = home.says(&["user", "show", "ada@example.org", "--account", "b"]);
    assert!(
        elsewhere
            .err
            .contains("at account b, and nowhere else was looked")
    );
    for (who, wanted) in [
        ("bob@example.org", 1),
        ("", 2),
        ("'; drop table users; --", 1),
        ("%", 1),
        ("zotlo:", 2),
    ] {
        let output = home.says(&["user", "show", who]);
        assert_eq!(output.code, wanted, "{who}");
        assert!(output.out.is_empty() && !output.err.is_empty());
    }
    drop(serving);
}

#[test]
fn a_body_with_an_address_of_earlier_or_an_id_of_ones_own_is_found_by_the_one_of_today() {
    let home = Home::new();
    let serving = home.serve();
    let mut registered = registered("ada.old@example.org", "Ada");
    registered["userId"] = json!("rdr-77120031");
    post(&serving, "conscent", "sign-up", &registered);
    registered["email"] = json!("ada.new@example.org");
    post(&serving, "conscent", "login", &registered);
    // Nothing is read out of these two.
    for names in ["ada.old@example.org", "40017755999"] {
        let body = json!({"note": "not understood", "about": names});
        post(&serving, "conscent", "events", &body);
    }
    wait_until_folded(&home);
    let file = home.path().join("ada.zip");
    let args = ["user", "export", "ada.new@example.org", "--out", "ada.zip"];
    let output = home.says(&args);
    assert_eq!(output.code, 0, "{}", output.err);
    let held = unzipped(&file);
    for seq in 1..=4 {
        let named = format!("deliveries/{seq:06}.");
        assert!(
            held.keys().any(|name| name.starts_with(&named)),
            "{seq}: {:?}",
            held.keys()
        );
    }
    // The erasure takes the same.
    let output = home.says(&["user", "erase", "ada.new@example.org", "--json"]);
    let all: Value = serde_json::from_str(&output.out).unwrap();
    assert_eq!(all[0]["deliveries"], json!([1, 2, 3, 4]));
    drop(serving);
}
