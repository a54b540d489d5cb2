//! Every row of the table of answers.

use super::*;
use crate::domain::time::Zone;
use crate::providers::door::read;
use crate::receiver::{Setup, serve};
use crate::store::writer::{Options, Store};

fn is_json(answer: &Answer, status: u16, body: &str) {
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (status, body),
        "{answer:?}"
    );
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn what_is_committed_is_answered_with_its_outcome_and_number() {
    let server = Server::start().await;
    let first = server.ask(post(URL, "", sample())).await;
    is_json(&first, 200, r#"{"status":"stored","seq":1}"#);
    let again = server.ask(post(URL, "", sample())).await;
    is_json(&again, 200, r#"{"status":"duplicate","seq":2}"#);
    for (n, odd) in ["", "not JSON", "\u{feff}{}", "[1e400]"].iter().enumerate() {
        let answer = server.ask(post(URL, "", odd)).await;
        let body = format!("{{\"status\":\"quarantined\",\"seq\":{}}}", n + 3);
        is_json(&answer, 200, &body);
    }
    let desk = server.fake.desk();
    assert_eq!(desk.kept[0].body, sample().as_bytes());
    assert_eq!(desk.kept[0].hook, "events");
    assert_eq!(desk.kept[0].remote_ip, "127.0.0.1");
    assert!(desk.rejected.is_empty());
}

#[tokio::test]
async fn a_trailing_slash_a_query_and_an_old_protocol_are_tolerated() {
    let server = Server::start().await;
    for request in [
        post(&format!("{URL}/"), "", sample()),
        post(&format!("{URL}?a=b"), "", sample()),
        post(&format!("http://example.com{URL}"), "", sample()),
        format!("POST {URL} HTTP/1.0\r\nContent-Length: 2\r\n\r\n{{}}"),
    ] {
        assert_eq!(server.ask(&request).await.status, 200, "{request}");
    }
}

#[tokio::test]
async fn the_right_link_shows_that_it_works_and_any_other_does_not() {
    let server = Server::start().await;
    for method in ["GET", "HEAD", "OPTIONS"] {
        let answer = server
            .ask(
                format!("{method} {URL} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                    .replace("HEAD", "GET"),
            )
            .await;
        is_json(&answer, 200, r#"{"status":"ready"}"#);
    }
    let mut client = server.connect().await;
    client.send(format!("HEAD {URL} HTTP/1.0\r\n\r\n")).await;
    let mut raw = String::new();
    client.stream.read_to_string(&mut raw).await.unwrap();
    assert!(
        raw.starts_with("HTTP/1.0 200") && raw.ends_with("\r\n\r\n"),
        "{raw}"
    );
    for (method, url, allow) in [
        ("GET", "/hooks/zotlo/events", "POST"),
        ("GET", "/hooks/zotlo/events/", "POST"),
        ("GET", "/hooks/zotlo/events/k_wrong", "POST"),
        ("PUT", "/hooks/zotlo/events/k_wrong", "POST"),
        ("DELETE", URL, "POST, GET, HEAD, OPTIONS"),
    ] {
        let answer = server
            .ask(format!("{method} {url} HTTP/1.1\r\nHost: a\r\n\r\n"))
            .await;
        is_json(&answer, 405, r#"{"error":"method_not_allowed"}"#);
        assert_eq!(answer.header("allow"), Some(allow), "{method} {url}");
    }
    let desk = server.fake.desk();
    assert_eq!(desk.checked.len(), 4);
    assert_eq!(
        desk.checked[0],
        ("zotlo".to_owned(), "main".to_owned(), "events".to_owned())
    );
    assert!(desk.kept.is_empty());
}

#[tokio::test]
async fn a_wrong_credential_is_refused_and_kept_whole_without_the_key() {
    let server = Server::start().await;
    for url in ["/hooks/zotlo/events", "/hooks/zotlo/events/k_wrongcanary"] {
        let request = post(url, "Authorization: Basic Y2FuYXJ5\r\n", "{\"a\":1}");
        is_json(
            &server.ask(request).await,
            401,
            r#"{"error":"unauthorized"}"#,
        );
    }
    let desk = server.fake.desk();
    let kept = &desk.rejected[1];
    assert_eq!(
        (kept.provider.as_str(), kept.hook.as_str()),
        ("zotlo", "events")
    );
    assert_eq!(
        (kept.method.as_str(), kept.remote_ip.as_str()),
        ("POST", "127.0.0.1")
    );
    assert_eq!(kept.body.as_deref(), Some(&b"{\"a\":1}"[..]));
    assert_eq!(kept.body_bytes, 7);
    assert!(!kept.reason.is_empty());
    let sum = "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862";
    assert_eq!(kept.sha256.as_deref(), Some(sum));
    assert!(
        kept.path.starts_with("/hooks/zotlo/events/fp:"),
        "{}",
        kept.path
    );
    for secret in ["k_wrongcanary", "Y2FuYXJ5"] {
        assert!(!format!("{kept:?}").contains(secret));
    }
    assert!(desk.kept.is_empty());
}

#[tokio::test]
async fn an_unknown_place_is_told_the_nearest_and_never_keeps_a_key() {
    let server = Server::start().await;
    for (path, kept, nearest) in [
        (
            "/hooks/zotl/events/k_canary",
            "/hooks/zotl/events/fp:",
            "/hooks/zotlo/events",
        ),
        (
            "/hooks/zotlo/event",
            "/hooks/zotlo/event",
            "/hooks/zotlo/events",
        ),
        ("/hooks/zotlo/k_canary", "/hooks/zotlo/fp:", "/hooks/"),
        (
            "/hooks/conscent/signup/x",
            "/hooks/conscent/signup/fp:",
            "/hooks/conscent/sign-up",
        ),
        (
            "/hooks/zotlo/events/a/b",
            "/hooks/zotlo/events/fp:",
            "/hooks/zotlo/events",
        ),
        ("/hooks/zotlo//events", "/hooks/zotlo//fp:", "/hooks/"),
        ("/hooks/zotlo", "/hooks/zotlo", "/hooks/"),
        ("/hooks/", "/hooks/", "/hooks/"),
        (
            "/hooks/__proto__/events",
            "/hooks/__proto__/events",
            "/hooks/",
        ),
        ("/hooks/ZOTLO/events", "/hooks/ZOTLO/events", "/hooks/"),
        ("/hooks/../etc/passwd", "/hooks/../etc/fp:", "/hooks/"),
        ("/hooks/%2e%2e%2fzotlo/events", "/hooks/fp:", "/hooks/"),
        ("/hooks/zotlo%00/events", "/hooks/fp:", "/hooks/"),
    ] {
        let answer = server.ask(post(path, "", "{\"canary\":1}")).await;
        is_json(&answer, 404, r#"{"error":"not_found"}"#);
        let desk = server.fake.desk();
        let row = desk.rejected.last().unwrap();
        assert!(row.path.starts_with(kept), "{path}: {}", row.path);
        assert!(row.reason.contains(nearest), "{path}: {}", row.reason);
        assert!(!format!("{row:?}").contains("canary"), "{row:?}");
        assert_eq!(row.body, None);
    }
    let known = server.fake.desk().rejected.len();
    for path in [
        "/",
        "/robots.txt",
        "/hooks",
        "//hooks/zotlo/events",
        "/.env",
        "*",
    ] {
        let answer = server.ask(post(path, "", "")).await;
        is_json(&answer, 404, r#"{"error":"not_found"}"#);
    }
    assert_eq!(server.fake.desk().rejected.len(), known);
}

#[tokio::test]
async fn a_path_key_in_the_place_of_a_hook_is_never_kept() {
    let server = Server::start().await;
    let key = "ordinaryword";
    server.live.set(live(short(), key));
    for path in [
        format!("/hooks/zotlo/{key}"),
        format!("/hooks/{key}/events"),
    ] {
        assert_eq!(server.ask(post(&path, "", "")).await.status, 404);
    }
    assert!(!format!("{:?}", server.fake.desk().rejected).contains(key));
}

#[tokio::test]
async fn a_path_key_in_a_header_of_a_proxy_is_never_kept() {
    let server = Server::start().await;
    let headers = format!(
        "X-Original-URI: {URL}\r\nForwarded: for=a;path=\"{URL}?b=c\", for=b\r\nReferer: https://a.example{URL}\r\n"
    );
    server.ask(post(URL, &headers, "{}")).await;
    server
        .ask(post("/hooks/zotlo/events/k_wrong", &headers, "{}"))
        .await;
    let desk = server.fake.desk();
    for kept in [&desk.kept[0].headers, &desk.rejected[0].headers] {
        assert!(!format!("{kept:?}").contains("canary"), "{kept:?}");
        let forwarded = kept.iter().find(|(name, _)| name == "forwarded").unwrap();
        assert!(
            forwarded
                .1
                .starts_with("for=a;path=\"/hooks/zotlo/events/fp:"),
            "{forwarded:?}"
        );
        assert!(forwarded.1.ends_with("?b=c\", for=b"), "{forwarded:?}");
    }
}

#[tokio::test]
async fn a_body_at_the_limit_is_kept_and_one_byte_more_is_not() {
    let server = Server::start().await;
    let (fits, over) = ("x".repeat(4096), "x".repeat(4097));
    let chunked = |body: &str| {
        let head = format!("POST {URL} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
    };
    assert_eq!(server.ask(post(URL, "", &fits)).await.status, 200);
    assert_eq!(server.ask(chunked(&fits)).await.status, 200);
    for request in [post(URL, "", &over), chunked(&over)] {
        let answer = server.ask(request).await;
        is_json(&answer, 413, r#"{"error":"body_too_large"}"#);
        assert_eq!(answer.header("connection"), Some("close"));
    }
    let desk = server.fake.desk();
    assert_eq!(desk.kept.len(), 2);
    for row in &desk.rejected {
        assert_eq!((row.body_bytes, row.body.is_none()), (4097, true));
        assert!(row.reason.contains("body_limit"));
    }
    assert_eq!(desk.rejected.len(), 2);
}

#[tokio::test]
async fn a_sender_of_far_too_much_can_say_it_all_and_then_read_why() {
    let server = Server::with(Limits {
        linger: Duration::from_secs(2),
        ..short()
    })
    .await;
    let mut client = server.connect().await;
    let request = post(URL, "", &"x".repeat(12 << 20));
    client.stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(client.answer().await.unwrap().status, 413);
    assert_eq!(server.fake.desk().rejected[0].body_bytes, 12 << 20);
    let head = format!(
        "POST {URL} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n"
    );
    assert_eq!(server.ask(head).await.status, 413);
}

#[tokio::test]
async fn a_sender_that_asks_first_is_told_to_continue() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client
        .send(format!(
            "POST {URL} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        ))
        .await;
    assert_eq!(client.answer().await.unwrap().status, 100);
    client.send("{}").await;
    assert_eq!(client.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_body_that_trickles_is_too_slow() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client
        .send(format!(
            "POST {URL} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n123"
        ))
        .await;
    let answer = client.answer().await.unwrap();
    is_json(&answer, 408, r#"{"error":"too_slow"}"#);
    assert_eq!(answer.header("connection"), Some("close"));
    client.closed().await;
    let desk = server.fake.desk();
    assert_eq!((desk.kept.len(), desk.rejected[0].body_bytes), (0, 3));
}

#[tokio::test]
async fn a_compressed_body_is_refused_and_an_identity_is_not() {
    let server = Server::start().await;
    for coding in ["gzip", "identity, br", "x"] {
        let request = post(URL, &format!("Content-Encoding: {coding}\r\n"), "{}");
        let answer = server.ask(request).await;
        is_json(
            &answer,
            415,
            r#"{"error":"content_encoding_not_supported"}"#,
        );
    }
    assert_eq!(server.fake.desk().rejected.len(), 3);
    for coding in ["identity", "Identity", ""] {
        let request = post(URL, &format!("Content-Encoding: {coding}\r\n"), "{}");
        assert_eq!(server.ask(request).await.status, 200);
    }
}

#[tokio::test]
async fn a_writer_that_is_full_failing_or_stalled_is_a_503_with_a_time_to_come_back() {
    let server = Server::start().await;
    for mode in [Mode::Full, Mode::Fail, Mode::Hold] {
        server.fake.desk().mode = mode;
        let answer = server.ask(post(URL, "", sample())).await;
        is_json(&answer, 503, r#"{"error":"unavailable"}"#);
        assert_eq!(answer.header("retry-after"), Some("5"), "{mode:?}");
    }
    // What was stored after all is a duplicate when it comes again.
    server.fake.release();
    server.fake.desk().mode = Mode::Commit;
    let answer = server.ask(post(URL, "", sample())).await;
    is_json(&answer, 200, r#"{"status":"duplicate","seq":2}"#);
    eventually("confirmed", || server.fake.desk().confirmed == [2]).await;
}

#[tokio::test]
async fn a_panic_is_a_500_and_the_receiver_goes_on() {
    let server = Server::start().await;
    server.fake.desk().mode = Mode::Panic;
    let answer = server.ask(post(URL, "", sample())).await;
    is_json(&answer, 500, r#"{"error":"internal"}"#);
    server.fake.desk().mode = Mode::Commit;
    assert_eq!(server.ask(post(URL, "", sample())).await.status, 200);
}

#[tokio::test]
async fn a_flood_of_failures_waits_while_a_right_credential_passes() {
    let server = Server::with(Limits {
        failures_burst: 3,
        failures_per_s: 0,
        ..short()
    })
    .await;
    let flood = "X-Forwarded-For: 198.51.100.1\r\n";
    for path in ["/hooks/zotlo/events", "/hooks/zotlo/nothing", "/nothing"] {
        assert!([401, 404].contains(&server.ask(post(path, flood, "{}")).await.status));
    }
    for path in ["/hooks/zotlo/events", "/hooks/zotlo/nothing", "/nothing"] {
        let answer = server.ask(post(path, flood, "{}")).await;
        is_json(&answer, 429, r#"{"error":"too_many_failures"}"#);
        assert_eq!(answer.header("retry-after"), Some("60"));
    }
    assert_eq!(server.fake.desk().rejected.len(), 2);
    let counted = server.fake.desk().lost.clone();
    let providers = counted.iter().map(|(provider, _)| provider.as_str());
    assert!(providers.eq(["zotlo", "zotlo", ""]));
    assert_eq!(server.ask(post(URL, flood, sample())).await.status, 200);
    let other = "X-Forwarded-For: 198.51.100.1, 198.51.100.2\r\n";
    assert_eq!(
        server
            .ask(post("/hooks/zotlo/events", other, "{}"))
            .await
            .status,
        401
    );
    assert_eq!(server.fake.desk().kept[0].remote_ip, "198.51.100.1");
}

#[tokio::test]
async fn a_large_body_is_judged_like_a_small_one() {
    let server = Server::with(Limits::default()).await;
    let large = "x".repeat(1 << 20);
    assert_eq!(server.ask(post(URL, "", &large)).await.status, 200);
    assert_eq!(
        server
            .ask(post("/hooks/zotlo/events", "", &large))
            .await
            .status,
        401
    );
    assert_eq!(server.fake.desk().kept[0].body.len(), 1 << 20);
    assert_eq!(server.fake.desk().rejected[0].body_bytes, 1 << 20);
}

#[tokio::test]
async fn a_test_delivery_is_marked() {
    let server = Server::start().await;
    server.ask(post(URL, "Subledger-Test: 1\r\n", "{}")).await;
    server.ask(post(URL, "", "{}")).await;
    let tests: Vec<bool> = server
        .fake
        .desk()
        .kept
        .iter()
        .map(|kept| kept.test)
        .collect();
    assert_eq!(tests, [true, false]);
}

#[tokio::test]
async fn new_settings_hold_from_the_next_request_on() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.send(post(URL, "", "{}")).await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    server.live.set(live(short(), "k_another"));
    client.send(post(URL, "", "{}")).await;
    assert_eq!(client.answer().await.unwrap().status, 401);
    client
        .send(post("/hooks/zotlo/events/k_another", "", "{}"))
        .await;
    assert_eq!(client.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn health_is_looked_at_and_nothing_else() {
    let server = Server::start().await;
    for path in ["/livez", "/readyz", "/metrics"] {
        for method in ["POST", "DELETE", "OPTIONS"] {
            let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
            let answer = server.ask(format!("{head}\r\n")).await;
            is_json(&answer, 405, r#"{"error":"method_not_allowed"}"#);
            assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{method} {path}");
            let passed_on = server.ask(format!("{head}X-Forwarded-For: 198.51.100.1\r\n\r\n"));
            let status = if path == "/livez" { 405 } else { 404 };
            assert_eq!(passed_on.await.status, status, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn health_is_told_to_this_machine_only() {
    let server = Server::start().await;
    let get = |path: &str, host: &str, more: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n")
    };
    for (host, more) in [
        ("a.example", ""),
        ("localhost", "X-Forwarded-For: 198.51.100.1\r\n"),
    ] {
        assert_eq!(server.ask(get("/livez", host, more)).await.status, 200);
        assert_eq!(server.ask(get("/readyz", host, more)).await.status, 404);
        assert_eq!(server.ask(get("/metrics", host, more)).await.status, 404);
    }
    assert_eq!(
        server.ask(get("/readyz", "localhost", "")).await.status,
        503
    );
    for (age_s, is_failing, status) in [(3, false, 200), (11, false, 503), (3, true, 503)] {
        server.fake.desk().pulse = Pulse {
            committed: Some(Duration::from_secs(age_s)),
            is_failing,
            ..Pulse::default()
        };
        assert_eq!(
            server.ask(get("/readyz", "[::1]:8484", "")).await.status,
            status
        );
    }
    server.ask(post(URL, "", sample())).await;
    let metrics = server.ask(get("/metrics", "127.0.0.1", "")).await;
    assert_eq!(metrics.status, 200);
    let line = "subledger_requests_total{provider=\"zotlo\",outcome=\"stored\"} 1\n";
    assert!(metrics.body.contains(line), "{}", metrics.body);
    assert!(!metrics.body.contains("canary"));
    server.live.set(Live {
        metrics: false,
        ..live(short(), KEY)
    });
    assert_eq!(
        server.ask(get("/metrics", "127.0.0.1", "")).await.status,
        404
    );
}

#[tokio::test]
async fn no_answer_echoes_what_was_sent() {
    let server = Server::start().await;
    for request in [
        post("/canary", "X: canary\r\n", "canary"),
        post("/hooks/canary/canary/canary", "X: canary\r\n", "canary"),
        post("/hooks/zotlo/events/canary", "X: canary\r\n", "canary"),
        post(URL, "Subledger-Fault: canary:malformed\r\n", "canary"),
        "CANARY canary HTTP/9.9\r\n\r\n".to_owned(),
    ] {
        let answer = server.ask(&request).await;
        assert!(
            !format!("{answer:?}").to_lowercase().contains("canary"),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn the_ledger_itself_answers_and_the_receiver_ends_with_it_intact() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        read: Arc::new(read),
        zone: Zone::UTC,
        clock: Clock::Machine,
        listen: String::new(),
    };
    let store = Store::open(&folder.path().join("ledger.db"), options).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let setup = Setup {
        live: ReloadHandle::new(live(short(), KEY)),
        writer: store.writer(),
        clock: Clock::Machine,
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(serve(listener, setup, async move { drop(stopped.await) }));
    let mut client = Client {
        stream: TcpStream::connect(at).await.unwrap(),
        inbox: Vec::new(),
    };
    client
        .send(
            [
                post(URL, "", sample()),
                post(URL, "", sample()),
                post(URL, "", "?"),
            ]
            .concat(),
        )
        .await;
    for body in [
        r#"{"status":"stored","seq":1}"#,
        r#"{"status":"duplicate","seq":2}"#,
        r#"{"status":"quarantined","seq":3}"#,
    ] {
        is_json(&client.answer().await.unwrap(), 200, body);
    }
    client
        .send("GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    is_json(
        &client.answer().await.unwrap(),
        200,
        r#"{"status":"ready"}"#,
    );
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    assert_eq!(store.writer().health().last_seq, 3);
    store.close().unwrap();
}
