//! What nobody should send, sent with right credentials: kept byte for byte, folded, and shown without harm.

use std::collections::BTreeMap;
use std::sync::Barrier;

use serde_json::Value;
use subledger::domain::page::List;
use subledger::providers;

use crate::fuzz::seeds;
use crate::fuzz::targets::printable;
use crate::support::{Home, PATH_KEY, PATIENCE, Serving};

/// The hooks that bodies are thrown at.
const HOOKS: [(&str, &str); 5] = [
    ("zotlo", "events"),
    ("klustr", "events"),
    ("expressconsent", "events"),
    ("conscent", "events"),
    ("conscent", "sign-up"),
];

/// Bodies that JSON readers refuse or choke on, and values that terminals and spreadsheets act on.
fn bodies() -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> = [
        &b""[..],
        b"hello",
        b"null",
        b"[]",
        b"{}{}",
        b" \r\n\t",
        b"{\"a\":\"\\ud800\",\"event_type\":\"\\udc00\"}",
        b"{\"a\":1e400}",
        b"\xef\xbb\xbf{\"a\":1}",
        b"{\"a\":1,\"a\":2,\"queue\":{},\"queue\":[]}",
        b"{\"email\":\"a\\u0000b\"}",
        b"\0{\"a\":1}\0",
        b"{\"a\":\"\xff\xfe\"}",
        b"{\"_id\":\"=1+1\",\"email\":\"\\u001b[31m\\u009b2J\",\"name\":\"@x\\r\\n\\t\\u202e\"}",
        b"{\"event_type\":\"=\\u001b]0;x\\u0007\",\"user_id\":\"+1\\u007f\",\"app_id\":{}}",
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    bodies.push(format!("{{\"amount\":{}}}", "9".repeat(40)).into_bytes());
    for depth in [200, 100_000] {
        bodies.push(["[".repeat(depth), "]".repeat(depth)].concat().into_bytes());
    }
    bodies.push(format!("\"{}\"", "s".repeat((1 << 20) - 2)).into_bytes());
    bodies.push(format!("{{\"subscriptionsDetail\":[{}{{}}]}}", "{},".repeat(20_000)).into_bytes());
    bodies
}

/// The delivery's number in a 200.
fn seq_in(answer: &str) -> i64 {
    let number = answer.rsplit_once(':').unwrap().1;
    number.trim_end_matches('}').parse().unwrap()
}

fn wait_until_folded(home: &Home) {
    let deadline = std::time::Instant::now() + PATIENCE;
    let lag = "select (select max(seq) from deliveries) - value from meta where key = 'folded_seq'";
    while home.number(lag) > 0 {
        assert!(std::time::Instant::now() < deadline, "folding hangs");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// That nothing in `text` acts on a terminal or hides in it.
#[track_caller]
fn assert_acts_on_nothing(text: &str, args: &[&str]) {
    let held = printable::harmless("the output", text, "\r\n\t");
    assert!(held.is_ok(), "{args:?}: {:.300}", held.unwrap_err());
}

fn assert_harmless(home: &Home) {
    for list in [
        "events",
        "users",
        "consents",
        "changes",
        "deliveries",
        "quarantine",
    ] {
        for format in ["table", "csv", "tsv", "json", "ndjson", "md"] {
            let args = [list, "--format", format, "--limit", "0"];
            let output = home.command(&args).output().unwrap();
            assert!(output.status.success(), "{args:?}");
            let text = String::from_utf8(output.stdout).unwrap();
            assert_acts_on_nothing(&text, &args);
        }
    }
}

#[test]
fn hostile_bodies_are_kept_exactly_folded_and_shown_without_harm() {
    let home = Home::new();
    let serving = home.serve();
    for (provider, hook) in HOOKS {
        // Those of the fuzzer are what readers of JSON are known to differ on.
        for body in bodies().into_iter().chain(seeds("read")) {
            let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
            let (status, answer) = serving.post(provider, hook, &body).unwrap();
            assert_eq!(status, 200, "{provider}/{hook} {shown}: {answer}");
            let kept: Vec<u8> = home
                .open()
                .query_row(
                    "select cast(body as blob) from deliveries where seq = ?1",
                    [seq_in(&answer)],
                    |row| row.get(0),
                )
                .unwrap();
            assert!(kept == body, "{provider}/{hook} {shown}");
        }
    }
    wait_until_folded(&home);
    assert_harmless(&home);
    assert_eq!(serving.terminate(), Some(0));
    for args in [&["rebuild", "--check"][..], &["verify"]] {
        let output = home.command(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
    }
}

fn post_at_once(serving: &Serving, times: usize, body: &[u8]) -> Vec<String> {
    let barrier = Barrier::new(times);
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..times)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    serving.post("conscent", "sign-up", body).unwrap().1
                })
            })
            .collect();
        senders
            .into_iter()
            .map(|sender| sender.join().unwrap())
            .collect()
    })
}

#[test]
fn the_same_body_on_32_connections_at_once_is_stored_once() {
    let home = Home::new();
    let serving = home.serve();
    let body = br#"{"_id":"64b0","email":"ada@example.org","name":"Ada"}"#;
    let answers = post_at_once(&serving, 32, body);
    let stored = answers
        .iter()
        .filter(|answer| answer.contains("\"stored\""));
    assert_eq!(stored.count(), 1, "{answers:?}");
    assert_eq!(home.number("select count(*) from deliveries"), 32);
}

#[test]
fn no_path_key_reaches_the_ring_by_another_way() {
    let home = Home::new();
    let serving = home.serve();
    let headers =
        format!("Referer: http://h/hooks/zotlo/events/{PATH_KEY}\r\nX-Key: key={PATH_KEY}; a\r\n");
    for path in [
        format!("/hooks/{PATH_KEY}/zotlo/events"),
        format!("/hooks/zotlo/event/{PATH_KEY}"),
        format!("/hooks/zotlo/events?key={PATH_KEY}"),
        "/hooks/zotlo/events/k_mistyped".to_owned(),
    ] {
        let (status, _) = serving.request("POST", &path, &headers, b"{}").unwrap();
        assert!(matches!(status, 401 | 404), "{path}: {status}");
    }
    assert_eq!(serving.terminate(), Some(0));
    assert_eq!(home.number("select count(*) from rejected"), 4);
    let shown = format!(
        "select count(*) from rejected where instr(path || headers || reason || hook, '{PATH_KEY}')
         or instr(path || headers || reason, 'k_mistyped')"
    );
    assert_eq!(home.number(&shown), 0);
}

/// Text that terminals act on: clear, set a title, link, copy, ask, change the cursor, draw from right to left, hide.
fn corpus() -> Vec<String> {
    let mut corpus: Vec<String> = [
        "\u{1b}[2J\u{1b}[1;1Hgone",
        "\u{1b}]0;title\u{7}",
        "\u{1b}]2;title\u{1b}\\",
        "\u{1b}]8;;https://example.org\u{1b}\\link",
        "\u{1b}]52;c;ZXZpbA==\u{7}",
        "\u{1b}P$q q\u{1b}\\",
        "\u{1b}_Ga=T\u{1b}\\",
        "\u{1b}[5 q\u{1b}[?1049l\u{1b}c",
        "\u{9b}31m\u{9d}0;title\u{9c}\u{90}q\u{9c}",
        "a\u{202e}gnp.exe\u{202c}\u{2066}b\u{2069}\u{200f}",
        "ze\u{200b}ro\u{feff}wi\u{e000}dth",
        "\r\n\u{8}\u{7f}\u{0}\u{85}\u{2028}",
        "=1+1\t@x",
    ]
    .map(str::to_owned)
    .to_vec();
    corpus.push(format!("o{}", "\u{301}".repeat(10_000)));
    corpus
}

/// Where texts stand in a document.
fn texts(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::String(_) => found.push(at.to_owned()),
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                texts(item, &format!("{at}/{i}"), found);
            }
        }
        Value::Object(fields) => {
            for (key, field) in fields {
                let key = key.replace('~', "~0").replace('/', "~1");
                texts(field, &format!("{at}/{key}"), found);
            }
        }
        _ => {}
    }
}

/// Every sample of every provider, once for each text in it, that text replaced; by provider and hook, one a line.
fn spoilt() -> BTreeMap<(&'static str, &'static str), String> {
    let corpus = corpus();
    let mut turns = corpus.iter().cycle();
    let mut lines: BTreeMap<_, String> = BTreeMap::new();
    for provider in providers::ALL {
        for sample in provider.samples() {
            let whole: Value = serde_json::from_str(sample.body).unwrap();
            let mut places = Vec::new();
            texts(&whole, "", &mut places);
            assert!(!places.is_empty(), "{} holds no text", sample.name);
            for place in places {
                let mut one = whole.clone();
                *one.pointer_mut(&place).unwrap() = turns.next().unwrap().as_str().into();
                let line = lines.entry((provider.id(), sample.hook)).or_default();
                line.push_str(&one.to_string());
                line.push('\n');
            }
        }
    }
    lines
}

fn take_in_spoilt(home: &Home) {
    let file = home.path().join("bodies.ndjson");
    for ((provider, hook), lines) in spoilt() {
        std::fs::write(&file, lines).unwrap();
        let file = file.to_str().unwrap();
        let output = home
            .command(&["import", file, "--provider", provider, "--hook", hook])
            .args(["--as-of", "2026-11-20T06:00:00Z"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{provider}/{hook}: {said}");
    }
}

/// What a command writes, which acts on nothing.
fn harmless(home: &Home, args: &[&str]) -> String {
    let output = home.command(args).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{args:?}: {said}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_acts_on_nothing(&text, args);
    assert_acts_on_nothing(&said, args);
    text
}

#[test]
fn every_text_of_every_provider_is_harmless_in_every_form() {
    let home = Home::new();
    take_in_spoilt(&home);
    assert!(home.number("select count(*) from deliveries") > 300);
    assert!(home.number("select count(*) from events") > 200);
    for list in List::ALL.iter().map(|list| list.as_str()) {
        for format in ["table", "csv", "tsv", "json", "ndjson", "md"] {
            let args = [list, "--format", format, "--limit", "0"];
            let text = harmless(&home, &args);
            let is_exact = matches!(format, "json" | "ndjson");
            let flood = "\u{301}".repeat(20);
            assert!(is_exact || !text.contains(&flood), "{args:?}");
        }
        harmless(&home, &[list, "--redact", "--json"]);
    }
    for args in [
        &["today"][..],
        &["today", "--md"],
        &["today", "--json"],
        &["show", "1"],
        &["show", "9", "--json"],
        &["show", "40", "--redact"],
    ] {
        harmless(&home, args);
    }
    pictures(&home);
}

fn pictures(home: &Home) {
    let ledger = home.ledger();
    for screen in [
        "events",
        "users",
        "subscriptions",
        "changes",
        "payments",
        "deliveries",
    ] {
        for keys in ["jjj", "jjjj<Enter>", "j<Enter><Tab>"] {
            for format in ["txt", "svg"] {
                let args = [
                    "shot", "--size", "200x60", "--screen", screen, "--keys", keys,
                ];
                let of = ["--db", ledger.to_str().unwrap(), "--format", format];
                let text = harmless(home, &[&args[..], &of].concat());
                assert!(text.lines().count() >= 60, "{args:?}");
            }
        }
    }
}

/// What a terminal would act on: a clipboard, a title, an empty screen, an 8-bit control, text turned round.
const ACTS: &str = "\u{1b}]52;c;eA==\u{7}\u{1b}]0;x\u{7}\u{1b}[2J\u{9b}2J\u{202e}";

#[test]
fn what_was_typed_or_stored_is_quoted_without_harm() {
    let home = Home::new();
    let serving = home.serve();
    let body = serde_json::json!({
        "clientUuid": "u1", "subscriberId": "1", "subscriberName": ACTS, "appId": 1, "country": "TR",
        "registerDate": "2026-01-01 00:00:00"
    });
    let answer = serving.post("zotlo", "events", body.to_string().as_bytes());
    assert_eq!(answer.unwrap().0, 200);
    wait_until_folded(&home);
    let option = format!("--x{ACTS}");
    let path = home.path().join(format!("no{ACTS}/such"));
    let path = path.to_str().unwrap();
    let of_name = "select json_extract('{}', name) from users";
    for args in [
        &["sql", of_name][..],
        &["sql", ACTS],
        &["tui", "--list", ACTS],
        &["show", ACTS],
        &[ACTS],
        &["events", &option],
        &["events", "--sort", ACTS],
        &["events", "--limit", ACTS],
        &[
            "--color", "always", "events", "--format", ACTS, "--color", "never",
        ],
        &["--account", ACTS, "send", "zotlo"],
        &["--db", path, "events"],
        &["--config", path, "serve"],
        &["import", path],
        &["restore", path],
        &["backup", path],
        &["export", "--out", path],
    ] {
        let said = home.says(args);
        assert!(said.code > 0 && !said.err.is_empty(), "{args:?}: {said:?}");
        assert_acts_on_nothing(&said.all(), args);
    }
    let said = home.says(&["sql", of_name]);
    assert!(said.err.contains("\\x1b[2J<U+009B>2J<U+202E>"), "{said:?}");
    // Whoever edits the file writes where no provider can.
    assert_eq!(serving.terminate(), Some(0));
    home.open()
        .execute(
            "insert into rejected (received_at, provider, hook, path, reason, remote_ip, method, headers, body_bytes)
             values (strftime('%Y-%m-%dT%H:%M:%fZ'), ?1, ?1, ?1, ?1, ?1, 'POST', '[]', 0)",
            [ACTS],
        )
        .unwrap();
    for args in [&["doctor"][..], &["rejected"], &["today"], &["status"]] {
        let said = home.says(args);
        assert_acts_on_nothing(&said.all(), args);
    }
}
