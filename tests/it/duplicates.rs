//! Promise 3 of DESIGN.md over HTTP: nothing is counted twice, nothing honest is taken for a repeat, and every repeat
//! can be seen with its reason.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Barrier;
use std::time::Instant;

use crate::support::{Home, PATH_KEY, PATIENCE, Serving};

const REGISTRATION: &[u8] = br#"{"clientUuid":"c-1","country":"TR","storeRegister":false,"subscriberId":"race@example.org","appId":1,"registerDate":"2026-02-03 04:05:06"}"#;

fn login(reader: usize) -> Vec<u8> {
    format!(r#"{{"userId":"reader-{reader}","email":"r{reader}@example.org","country":"IN"}}"#)
        .into_bytes()
}

fn wait_for(home: &Home, sql: &str, number: i64) {
    let start = Instant::now();
    while home.number(sql) != number {
        assert!(start.elapsed() < PATIENCE, "never {number}: {sql}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

fn post_at_once(serving: &Serving, times: usize, body: &[u8]) {
    let barrier = Barrier::new(times);
    std::thread::scope(|scope| {
        for _ in 0..times {
            scope.spawn(|| {
                barrier.wait();
                let (status, answer) = serving.post("zotlo", "events", body).unwrap();
                assert_eq!(status, 200, "{answer}");
            });
        }
    });
}

#[test]
fn racing_on_64_connections_gives_one_event_and_63_repeats_with_their_reason() {
    let home = Home::new();
    let serving = home.serve();
    post_at_once(&serving, 64, REGISTRATION);
    assert_eq!(serving.terminate(), Some(0));
    assert_eq!(home.number("select count(*) from deliveries"), 64);
    assert_eq!(home.number("select count(*) from events"), 1);
    assert_eq!(home.number("select count(*) from users"), 1);
    let told = "select count(*) from deliveries where outcome = 'duplicate' and duplicate_of = 1 and seq > 1
        and dedupe_policy = 2 and confidence = 'certain' and reason is null
        and dedupe_key = (select dedupe_key from deliveries where seq = 1)";
    assert_eq!(home.number(told), 63);
}

/// Posts `body`, and kills the receiver the moment the delivery is on disk: its answer is not confirmed, whether or
/// not it was written.
fn lose_the_answer(home: &Home, body: &[u8]) {
    let before = if home.ledger().exists() {
        home.number("select count(*) from deliveries")
    } else {
        0
    };
    let mut serving = home.serve();
    let reader = home.open();
    let mut count = reader.prepare("select count(*) from deliveries").unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", home.port)).unwrap();
    let head = format!(
        "POST /hooks/conscent/login/{PATH_KEY} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let start = Instant::now();
    while count.query_row([], |row| row.get::<_, i64>(0)).unwrap() == before {
        assert!(start.elapsed() < PATIENCE, "the delivery is never kept");
    }
    serving.child.kill().unwrap();
    serving.kill();
}

#[test]
fn a_retry_after_an_answer_that_was_lost_in_a_crash_is_a_repeat() {
    let home = Home::new();
    // The answer is confirmed by the next commit, which may come before the kill: then there is nothing to test.
    for reader in 0..30 {
        lose_the_answer(&home, &login(reader));
        if home.number("select count(*) from unconfirmed") == 0 {
            continue;
        }
        let serving = home.serve();
        let (status, answer) = serving.post("conscent", "login", &login(reader)).unwrap();
        assert_eq!(status, 200);
        assert!(answer.contains("\"duplicate\""), "{answer}");
        assert_eq!(serving.terminate(), Some(0));
        let signed_in = format!("select sign_ins from users where user_id = 'reader-{reader}'");
        assert_eq!(home.number(&signed_in), 1);
        let told =
            "select count(*) from deliveries where outcome = 'duplicate' and dedupe_policy = 3
            and confidence = 'ambiguous' and dedupe_key is not null and reason is null";
        assert_eq!(home.number(told), 1);
        return;
    }
    panic!("no answer of 30 was lost");
}

#[test]
fn a_second_honest_sign_in_with_the_same_bytes_counts_once_its_answer_was_read() {
    let home = Home::new();
    let serving = home.serve();
    for _ in 0..2 {
        let (_, answer) = serving.post("conscent", "login", &login(1)).unwrap();
        assert!(answer.contains("\"stored\""), "{answer}");
        wait_for(&home, "select count(*) from unconfirmed", 0);
        // The two seconds in which the same bytes are a repeat pass by the clock of the machine.
        let passed = "select unixepoch('subsec') - unixepoch(max(received_at), 'subsec') > 2.1 from deliveries";
        wait_for(&home, passed, 1);
    }
    assert_eq!(serving.terminate(), Some(0));
    assert_eq!(home.number("select sign_ins from users"), 2);
}

#[test]
fn a_repeat_that_says_something_else_is_shown_and_the_first_one_speaks() {
    let home = Home::new();
    let serving = home.serve();
    let purchase = |price: u32| {
        format!(
            r#"{{"_id":"6b01aa10c0ffee0000000091","userId":"u1","price":{price},"priceDetails":{{"price":{price},"currency":"INR"}},"type":"PASS","passTitle":"Day","createdAt":"2026-02-01T00:00:00.000Z"}}"#
        )
    };
    for price in [50, 60] {
        let (status, _) = serving
            .post("conscent", "pass-payment", purchase(price).as_bytes())
            .unwrap();
        assert_eq!(status, 200);
    }
    assert_eq!(serving.terminate(), Some(0));
    assert_eq!(home.number("select sum(amount_minor) from payments"), 5000);
    let shown = |args: &[&str]| {
        let output = home.command(args).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let listed: serde_json::Value =
        serde_json::from_str(&shown(&["deliveries", "is:differing", "--json"])).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed[0]["reason"], "same id, other content");
    assert_eq!(listed[0]["duplicate_of"], 1);
    let today = shown(&["today", "--json", "--since", "1d"]);
    assert!(today.contains("differing"), "{today}");
}
