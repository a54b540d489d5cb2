//! Secrets and what readers are called, in every place where a sender can put them: nothing of it is kept or logged in clear.

use std::fs::File;
use std::process::Stdio;

use crate::support::{Home, PATH_KEY, Serving};

pub(crate) fn settle(home: &Home, rows: &str, wanted: i64) {
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    while home.number(rows) < wanted {
        assert!(std::time::Instant::now() < deadline, "{rows} stays low");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_secret_link_in_a_header_of_any_name_is_kept_as_a_fingerprint() {
    let home = Home::with_settings(
        "[providers.conscent.accounts.other]\npath_key = \"k_second-account-key\"\n",
    );
    let serving = home.serve();
    let wrong_key = "k_typed-with-a-slip";
    let headers = |key: &str| {
        format!(
            "X-Envoy-Original-Path: %2Fhooks%2Fconscent%2Flogin%2F{key}\r\nX-Rewrite: conscent/login/{key}\r\n\
             X-Api-Key: k_second-account-key\r\nReferer: https://a.example/x?key={key}&again={key}\r\n"
        )
    };
    let body = br#"{"userId":"6a0000000000000000000001"}"#;
    let post = |provider: &str, key: &str| {
        let path = format!("/hooks/{provider}/login/{key}");
        serving
            .request("POST", &path, &headers(key), body)
            .unwrap()
            .0
    };
    assert_eq!(post("conscent", PATH_KEY), 200);
    assert_eq!(post("conscent", wrong_key), 401);
    assert_eq!(post("nobody", PATH_KEY), 404);
    settle(&home, "select count(*) from rejected", 2);
    for key in [PATH_KEY, wrong_key, "k_second-account-key"] {
        let sql = format!(
            "select (select count(*) from deliveries where headers like '%{key}%')
                + (select count(*) from rejected where headers || path || reason like '%{key}%')"
        );
        assert_eq!(home.number(&sql), 0, "{key}");
    }
    let kept = "select count(*) from deliveries where headers like '%https://a.example/x?key=fp:%&again=fp:%'";
    assert_eq!(home.number(kept), 1, "the rest of the value stays");
}

#[test]
fn what_proxies_and_senders_prove_themselves_by_is_kept_as_a_fingerprint() {
    let home = Home::new();
    let serving = home.serve();
    let names = [
        "x-auth-token",
        "x-webhook-token",
        "x-amz-security-token",
        "cf-access-jwt-assertion",
        "ocp-apim-subscription-key",
        "x-client-secret",
        "set-cookie",
    ];
    let headers = names.map(|name| format!("{name}: canary-{name}\r\n"));
    let mut headers = headers.concat();
    headers += "x-vercel-proxy-signature: Bearer canary-b\r\nx-odd: basic canary-c\r\n";
    let plain = "idempotency-key: plain-1\r\nsvix-id: plain-2\r\nwebhook-signature: v1,plain-3\r\n";
    headers += plain;
    let body = br#"{"clientUuid":"u1"}"#;
    for (key, status) in [(PATH_KEY, 200), ("k_wrong-key-in-the-link", 401)] {
        let path = format!("/hooks/zotlo/events/{key}");
        let answer = serving.request("POST", &path, &headers, body);
        assert_eq!(answer.unwrap().0, status);
    }
    settle(&home, "select count(*) from rejected", 1);
    for table in ["deliveries", "rejected"] {
        let with = |text: &str| {
            home.number(&format!(
                "select count(*) from {table} where headers like '%{text}%'"
            ))
        };
        assert_eq!(with("canary"), 0, "{table}");
        for number in 1..=3 {
            assert_eq!(with(&format!("plain-{number}")), 1, "{table} {number}");
        }
    }
}

#[test]
fn a_log_line_never_holds_what_a_reader_is_called() {
    let home = Home::new();
    let log = home.path().join("log");
    let child = home
        .command(&["serve", "-vv"])
        .stdout(Stdio::null())
        .stderr(Stdio::from(File::create(&log).unwrap()))
        .spawn()
        .unwrap();
    let serving = Serving::wait(child, home.port);
    let address = "canary.reader@a.example";
    let body = format!(
        r#"{{"event":"{address}","user_id":"u","payload":{{"user":{{"email":"{address}"}}}}}}"#
    );
    assert_eq!(
        serving
            .post("conscent", "events", body.as_bytes())
            .unwrap()
            .0,
        200
    );
    let body = format!(
        r#"{{"queue":{{"type":"{address}"}},"parameters":{{"subscriber_id":"{address}"}}}}"#
    );
    assert_eq!(
        serving.post("zotlo", "events", body.as_bytes()).unwrap().0,
        200
    );
    let path = format!("/hooks/zotlo/events/{address}");
    assert_eq!(
        serving
            .request("POST", &path, "", body.as_bytes())
            .unwrap()
            .0,
        401
    );
    assert_eq!(serving.terminate(), Some(0));
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(
        log.contains("turned away") && log.contains("webhook"),
        "{log}"
    );
    assert!(!log.contains("canary") && !log.contains(PATH_KEY), "{log}");
}
