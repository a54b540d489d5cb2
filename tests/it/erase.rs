//! Erasing a reader: nothing of them is left in any file, and what is left adds up to what it did before.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::{Home, PATIENCE, Serving};

/// Under these one person is known to four providers.
pub(crate) const WHO: [&str; 4] = [
    "kestrel.canary@example.org",
    "905321112233",
    "klustr:20eb5fec-3d6b-5f6c-984c-87bbb0421872",
    "(555) 867-5309",
];

/// Texts that only that person's webhooks hold.
pub(crate) const CANARIES: [&str; 12] = [
    "Kestrel.Canary",
    "kestrel.canary@example.org",
    "Kestrel Çanary",
    "Kestrel \\u00c7anary",
    "905321112233",
    "+90 532 111 22 33",
    "Zeynep",
    "20eb5fec-3d6b-5f6c-984c-87bbb0421872",
    "867-5309",
    "8675309",
    "6bbcd746d7178e377abe46cd",
    "6d48c96d8719d18dd7387852",
];

const HOOKS: [(&str, &str, &str); 10] = [
    ("conscent", "events", "purchase.subscription"),
    ("conscent", "events", "cancelled.subscription"),
    ("conscent", "sign-up", "sign-up"),
    ("klustr", "events", "user.app.consent.create"),
    ("klustr", "events", "user.ekyc.verified"),
    ("expressconsent", "events", "snapshot-v1"),
    ("zotlo", "events", "quiz-responses"),
    ("zotlo", "events", "registered-users"),
    ("zotlo", "events", "transaction"),
    ("zotlo", "events", "refund"),
];

pub(crate) fn body(provider: &str, name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join(format!("assets/samples/{provider}/{name}.json"));
    let mut text = fs::read_to_string(file).unwrap();
    for theirs in [
        "ravi.menon@example.org",
        "selin.quiz@example.org",
        "mehmet.iade@example.net",
        "ayse.deneme@example.com",
    ] {
        text = text.replace(theirs, "Kestrel.Canary@example.org");
    }
    text.replace("Ravi Menon", "Kestrel Çanary")
        .replace("Selin Öztürk", "Kestrel \\u00c7anary")
}

/// Posts a payment of `who` and nobody else.
pub(crate) fn payment(serving: &Serving, who: &str, number: usize) {
    let text = body("zotlo", "transaction")
        .replace("can.deneme@example.com", who)
        .replace("7ab1-8c02-d9e01f2a3b4c", &format!("request-{number}"))
        .replace("dc19h40b7e2-51aa-8e04", &format!("payment-{number}"))
        .replace("61204", &format!("9{number:05}"));
    let answer = serving.post("zotlo", "events", text.as_bytes()).unwrap();
    assert_eq!(answer.0, 200);
}

/// Everything that names the person, and somebody else.
pub(crate) fn fill(home: &Home, serving: &Serving) {
    for (provider, hook, name) in HOOKS {
        let answer = serving.post(provider, hook, body(provider, name).as_bytes());
        assert_eq!(answer.unwrap().0, 200, "{provider} {name}");
    }
    let broken = br#"{"queue": "Kestrel.Canary@example.org", "phone": "+90 532 111 22 33" "#;
    let answer = serving.post("zotlo", "events", broken).unwrap();
    assert!(answer.1.contains("quarantined"), "{answer:?}");
    let refused = body("conscent", "purchase.subscription");
    let path = "/hooks/conscent/events/k_notthekeynotthekeynotthekey";
    let answer = serving.request(
        "POST",
        path,
        "X-Note: kestrel.canary@example.org\r\n",
        refused.as_bytes(),
    );
    assert_eq!(answer.unwrap().0, 401);
    eventually("the rejected request is kept", || {
        home.number("select count(*) from rejected") == 1
    });
    home.open()
        .execute(
            "insert into meta values ('alerts', '{\"said\":[\"kestrel.canary@example.org pays and withdrew\"]}')
             on conflict do update set value = excluded.value",
            [],
        )
        .unwrap();
    home.open()
        .execute(
            "insert into views
             values ('my reader kestrel.canary@example.org', 'users', 'kestrel.canary@example.org', '2026-01-05T09:00:00.000Z')",
            [],
        )
        .unwrap();
    home.open()
        .execute(
            "insert into meta values ('pin.3', 'my reader kestrel.canary@example.org')",
            [],
        )
        .unwrap();
}

pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn erase_all(home: &Home) {
    for who in WHO {
        home.done(&["user", "erase", who, "--yes"]);
    }
}

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else if path.metadata().is_ok_and(|data| data.is_file()) {
            into.push(path);
        }
    }
}

/// The canaries that stand in any file of the home, in any spelling.
pub(crate) fn traces(home: &Home) -> Vec<String> {
    let mut all = Vec::new();
    files(home.path(), &mut all);
    // All are read before any is searched: what moves from the log into the database meanwhile is in one of them.
    all.sort_by_key(|file| !file.to_string_lossy().ends_with("-wal"));
    let all: Vec<_> = all
        .into_iter()
        .map(|file| {
            let bytes = fs::read(&file).unwrap().to_ascii_lowercase();
            (file, String::from_utf8_lossy(&bytes).into_owned())
        })
        .collect();
    let mut found = Vec::new();
    for (file, text) in all {
        for canary in CANARIES {
            for spelling in spellings(canary) {
                let spelling = spelling.to_ascii_lowercase();
                if text.contains(&*String::from_utf8_lossy(&spelling)) {
                    found.push(format!("{canary} in {}", file.display()));
                }
            }
        }
    }
    found
}

fn spellings(canary: &str) -> Vec<Vec<u8>> {
    vec![
        canary.as_bytes().to_vec(),
        canary.replace('@', "\\u0040").into_bytes(),
        canary.replace('@', "%40").into_bytes(),
        STANDARD
            .encode(canary)
            .trim_end_matches('=')
            .as_bytes()
            .to_vec(),
        hex(canary),
        canary.encode_utf16().flat_map(u16::to_le_bytes).collect(),
    ]
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |half: u8| b"0123456789abcdef"[usize::from(half)];
    text.bytes()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// What figures of the past are made of.
fn figures(home: &Home) -> Vec<String> {
    let conn = home.open();
    [
        "select day || provider || account || type || ' ' || events || ' ' || users from daily",
        "select substr(day, 1, 7) || kind || ifnull(currency, '') || count(*) || ' ' || ifnull(sum(amount_minor), '')
         from payments group by substr(day, 1, 7), kind, currency",
        "select substr(day, 1, 7) || actor || count(*) || count(reactivated_at) from cancellations group by substr(day, 1, 7), actor",
        "select day || type || count(*) from events group by day, type",
        "select substr(registered_at, 1, 10) || provider || count(*) from users where registered_at is not null
         group by substr(registered_at, 1, 10), provider",
        "select substr(started_at, 1, 10) || plan || count(converted_at) || count(*) from subscriptions
         where started_at is not null group by substr(started_at, 1, 10), plan",
        "select day || kind || purpose || ifnull(before_state, '') || after_state || count(*) from consent_changes
         group by day, kind, purpose, before_state, after_state",
    ]
    .iter()
    .flat_map(|sql| {
        let mut statement = conn.prepare(&format!("{sql} order by 1")).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        rows.map(Result::unwrap).collect::<Vec<_>>()
    })
    .collect()
}

#[test]
fn an_erased_reader_is_in_no_file_and_in_every_past_figure() {
    let home = Home::new();
    let serving = home.serve();
    fill(&home, &serving);
    let before = figures(&home);
    assert!(!traces(&home).is_empty());
    let told = home.done(&["user", "erase", WHO[0]]);
    for part in [
        "Kestrel",
        "1 rejected request: 1",
        "my reader",
        "Nothing was erased",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(
        home.number("select count(*) from deliveries where erased_at is not null"),
        0
    );
    erase_all(&home);
    assert_eq!(traces(&home), Vec::<String>::new());
    assert_eq!(figures(&home), before);
    assert_eq!(home.number("select count(*) from rejected"), 0);
    assert_eq!(home.number("select count(*) from views"), 0);
    assert!(home.number("select count(*) from users") > 0, "others stay");
    assert_eq!(
        home.number("select count(*) from payments where user_id is not null and plan is null"),
        0
    );
    let verified = home.done(&["verify"]);
    assert!(verified.contains("the chain holds"), "{verified}");
    assert!(
        verified.contains("the lists are what the deliveries say"),
        "{verified}"
    );
    home.done(&["rebuild"]);
    assert_eq!(figures(&home), before);
    let again = home.done(&["user", "erase", WHO[0], "--yes"]);
    assert!(again.contains("was erased "), "{again}");
    assert_eq!(serving.terminate(), Some(0));
    assert_eq!(traces(&home), Vec::<String>::new());
}

#[test]
fn without_a_receiver_and_without_a_residue_nothing_is_left_at_all() {
    let home = Home::new();
    let serving = home.serve();
    fill(&home, &serving);
    assert_eq!(serving.terminate(), Some(0));
    for who in WHO {
        home.done(&["user", "erase", who, "--yes", "--residue", "none"]);
    }
    assert_eq!(traces(&home), Vec::<String>::new());
    assert_eq!(home.number("select count(*) from residue"), 0);
    assert_eq!(
        home.number("select count(*) from events e join deliveries d using (seq) where d.erased_at is not null"),
        0
    );
    home.done(&["verify"]);
}

#[test]
fn an_erasure_that_is_killed_is_finished_by_the_next_start() {
    let home = Home::new();
    let serving = home.serve();
    fill(&home, &serving);
    for number in 0..400 {
        payment(&serving, WHO[0], number);
    }
    let mut erasing = home
        .command(&["user", "erase", WHO[0], "--yes"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the erasure is begun", || {
        home.number("select count(*) from erasures") == 1
    });
    serving.kill();
    erasing.wait().unwrap();
    let serving = home.serve();
    eventually("it is finished", || {
        home.number("select count(*) from erasures where finished_at is null") == 0
    });
    assert_eq!(home.number("select count(*) from erasing"), 0);
    for who in &WHO[1..] {
        home.done(&["user", "erase", who, "--yes"]);
    }
    assert_eq!(serving.terminate(), Some(0));
    assert_eq!(traces(&home), Vec::<String>::new());
    home.done(&["verify"]);
}

#[test]
fn what_was_erased_comes_back_by_no_way() {
    let home = Home::new();
    let serving = home.serve();
    fill(&home, &serving);
    let before = figures(&home);
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("copy.db");
    let copy = copy.to_str().unwrap();
    home.done(&["backup", copy]);
    let exported = elsewhere.path().join("all.ndjson");
    fs::write(&exported, home.done(&["export", "--deliveries"])).unwrap();
    erase_all(&home);
    // A retry is a repeat of which nothing is kept.
    let retry = body("conscent", "purchase.subscription");
    let answer = serving
        .post("conscent", "events", retry.as_bytes())
        .unwrap();
    assert!(answer.1.contains("duplicate"), "{answer:?}");
    let imported = home.run(&["import", exported.to_str().unwrap()]);
    let imported = String::from_utf8(imported.stderr).unwrap();
    assert!(imported.contains(" 0 stored"), "{imported}");
    home.done(&["verify"]);
    // A reader who comes back is a new one.
    payment(&serving, "someone.else@example.org", 1);
    assert_eq!(serving.terminate(), Some(0));
    assert_eq!(traces(&home), Vec::<String>::new());
    home.done(&["restore", copy, "--replace"]);
    assert_eq!(traces(&home), Vec::<String>::new());
    home.done(&["verify"]);
    assert_eq!(figures(&home), before);
    // Also into a new ledger, which never had it.
    let ledger = home.ledger();
    for entry in fs::read_dir(ledger.parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        if !path.to_string_lossy().ends_with(".erased") {
            fs::remove_file(path).unwrap();
        }
    }
    home.done(&["restore", copy]);
    assert_eq!(traces(&home), Vec::<String>::new());
    home.done(&["import", exported.to_str().unwrap()]);
    assert_eq!(traces(&home), Vec::<String>::new());
}

#[test]
fn a_wrong_request_changes_nothing_and_says_why() {
    let home = Home::new();
    let code = |args: &[&str]| home.run(args).status.code();
    assert_eq!(code(&["user", "erase", "a@example.org", "--yes"]), Some(3));
    assert!(!home.ledger().exists());
    let serving = home.serve();
    assert!(
        serving
            .post("zotlo", "events", body("zotlo", "transaction").as_bytes())
            .is_some()
    );
    assert_eq!(code(&["user", "erase", "a@example.org", "--yes"]), Some(1));
    assert_eq!(code(&["user", "erase", "  ", "--yes"]), Some(2));
    assert_eq!(
        code(&["user", "erase", "' or 1=1 --\u{202e}", "--yes"]),
        Some(1)
    );
    assert_eq!(
        code(&[
            "user",
            "erase",
            "klustr:kestrel.canary@example.org",
            "--yes"
        ]),
        Some(1)
    );
    assert_eq!(home.number("select count(*) from erasures"), 0);
    let there = "can.deneme@example.com";
    assert_eq!(code(&["user", "erase", there]), Some(0));
    assert_eq!(home.number("select count(*) from erasures"), 0);
    let foreign = home.path().join("foreign.db");
    fs::write(&foreign, "not a database").unwrap();
    assert_eq!(
        code(&["user", "erase", WHO[0], "--db", foreign.to_str().unwrap()]),
        Some(1)
    );
    assert_eq!(fs::read(&foreign).unwrap(), b"not a database");
}

#[test]
fn an_erasure_in_one_account_leaves_the_others_also_after_a_restore() {
    let home = Home::new();
    let mut lines = String::new();
    for (account, at) in [("main", "00"), ("weekly", "01")] {
        let line = serde_json::json!({
            "provider": "zotlo", "account": account, "hook": "events",
            "received_at": format!("2026-11-01T09:00:{at}Z"), "body": body("zotlo", "registered-users"),
        });
        lines.push_str(&line.to_string());
        lines.push('\n');
    }
    let file = home.path().join("two.ndjson");
    fs::write(&file, lines).unwrap();
    let copy = home.path().join("copy.db");
    home.done(&["import", file.to_str().unwrap()]);
    home.done(&["backup", copy.to_str().unwrap()]);
    home.done(&[
        "user",
        "erase",
        "905321112233",
        "--account",
        "weekly",
        "--yes",
    ]);
    home.done(&["restore", copy.to_str().unwrap(), "--replace"]);
    let left = "select count(*) from deliveries where account = 'main' and erased_at is null";
    assert_eq!(home.number(left), 1);
    let gone = "select count(*) from deliveries where account = 'weekly' and erased_at is not null";
    assert_eq!(home.number(gone), 1);
}

#[test]
fn a_reader_who_differs_by_the_dots_of_an_i_is_told_of_and_never_taken() {
    let home = Home::new();
    let serving = home.serve();
    payment(&serving, "ilhan@example.org", 1);
    payment(&serving, "ılhan@example.org", 2);
    let told = home.done(&["user", "erase", "ILHAN@example.org"]);
    assert!(told.contains("1 reader known"), "{told}");
    assert!(
        told.contains("not taken: zotlo:ılhan@example.org"),
        "{told}"
    );
    // Only similar ones are nobody: whoever is meant is named.
    let nobody = home.run(&["user", "erase", "İLHAN@example.org", "--yes"]);
    let says = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert_eq!(nobody.status.code(), Some(1), "{nobody:?}");
    for place in ["zotlo:ilhan@example.org", "zotlo:ılhan@example.org"] {
        assert!(says.contains(place), "{says}");
    }
    for args in [
        vec!["user", "show", "İLHAN@example.org"],
        vec!["prove", "İLHAN@example.org", "newsletter"],
    ] {
        let nobody = home.run(&args);
        assert_eq!(nobody.status.code(), Some(1), "{nobody:?}");
        let says = String::from_utf8_lossy(&nobody.stderr).into_owned();
        assert!(says.contains("but for the dots of an i"), "{says}");
    }
    home.done(&["user", "erase", "ilhan@example.org", "--yes"]);
    let left: String = home
        .open()
        .query_row(
            "select group_concat(user_id) from users where user_id not like 'erased%'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(left, "ılhan@example.org");
    let again = home.done(&["user", "erase", "ilhan@example.org"]);
    assert!(
        again.contains("was erased") && again.contains(" UTC: nothing"),
        "{again}"
    );
    assert_eq!(serving.terminate(), Some(0));
}

#[test]
fn an_erasure_at_one_provider_leaves_what_others_sent_and_nobody_could_read() {
    let home = Home::new();
    let serving = home.serve();
    payment(&serving, "heron@example.org", 1);
    let unread = br#"{"of": "heron@example.org""#;
    for provider in ["zotlo", "conscent"] {
        let answer = serving.post(provider, "events", unread).unwrap();
        assert!(answer.1.contains("quarantined"), "{answer:?}");
        let path = format!("/hooks/{provider}/events/k_notthekeynotthekeynotthekey");
        let refused = serving.request("POST", &path, "", unread);
        assert_eq!(refused.unwrap().0, 401);
    }
    eventually("the rejected requests are kept", || {
        home.number("select count(*) from rejected") == 2
    });
    let told = home.done(&["user", "erase", "zotlo:heron@example.org"]);
    assert!(told.contains("2 deliveries: body"), "{told}");
    assert!(told.contains("1 rejected request: 1"), "{told}");
    assert!(told.contains("1 delivery elsewhere names them"), "{told}");
    home.done(&["user", "erase", "zotlo:heron@example.org", "--yes"]);
    let left = "select count(*) from deliveries where erased_at is null";
    assert_eq!(home.number(left), 1);
    assert_eq!(
        home.number("select count(*) from rejected where provider = 'conscent'"),
        1
    );
    assert_eq!(home.number("select count(*) from rejected"), 1);
    home.done(&["user", "erase", "heron@example.org", "--yes"]);
    assert_eq!(home.number(left), 0);
    assert_eq!(home.number("select count(*) from rejected"), 0);
    assert_eq!(serving.terminate(), Some(0));
}

#[test]
fn one_damaged_row_of_users_ends_no_question_about_the_others() {
    let home = Home::new();
    let serving = home.serve();
    payment(&serving, "heron@example.org", 1);
    payment(&serving, "wren@example.org", 2);
    assert_eq!(serving.terminate(), Some(0));
    home.open()
        .execute_batch(
            "update users set name = cast(x'57ff72656e' as text), country = cast(x'ff' as text),
               email = cast(x'c3287772656e' as text) where user_id = 'wren@example.org'",
        )
        .unwrap();
    for who in ["heron@example.org", "wren@example.org"] {
        for args in [
            vec!["user", "show", who],
            vec!["user", "show", who, "--json"],
            vec!["user", "erase", who],
            vec!["users"],
        ] {
            home.done(&args);
        }
        let out = home.path().join("out.zip").display().to_string();
        home.done(&["user", "export", who, "--out", &out, "--force"]);
        let proof = home.run(&["prove", who, "newsletter"]);
        assert_eq!(proof.status.code(), Some(1), "{proof:?}");
        let says = String::from_utf8_lossy(&proof.stderr).into_owned();
        assert!(says.contains("no consent of"), "{says}");
    }
    home.done(&["user", "erase", "heron@example.org", "--yes"]);
    home.done(&["user", "erase", "wren@example.org", "--yes"]);
    assert_eq!(
        home.number("select count(*) from deliveries where erased_at is null"),
        0
    );
}
