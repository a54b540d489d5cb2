//! What comes over the wire in odd forms.

use super::*;

#[tokio::test]
async fn every_ambiguous_request_is_answered_400_and_closed() {
    let server = Server::start().await;
    for (line, headers, body) in [
        (
            "POST",
            "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
            "2\r\n{}\r\n0\r\n\r\n",
        ),
        ("POST", "Content-Length: 2\r\nContent-Length: 2\r\n", "{}"),
        ("POST", "Content-Length: 2\r\nContent-Length: 3\r\n", "{}"),
        ("POST", "Content-Length: +2\r\n", "{}"),
        ("POST", "Transfer-Encoding: xchunked\r\n", "{}"),
        ("POST", "Transfer-Encoding: identity\r\n", "{}"),
        ("POST", "Content-Length: 2\r\nX: a\r\n folded\r\n", "{}"),
        ("POST", "Content-Length : 2\r\n", "{}"),
        ("POST", "Host: b\r\nContent-Length: 2\r\n", "{}"),
        ("POST", "Content-Length: 2\n", "{}"),
        ("POST", "Content-Length: 2\r\nX: \0\r\n", "{}"),
        ("PO ST", "Content-Length: 2\r\n", "{}"),
    ] {
        let request = format!("{line} {URL} HTTP/1.1\r\nHost: a\r\n{headers}\r\n{body}");
        let mut client = server.connect().await;
        client.send(&request).await;
        let answer = client.answer().await.unwrap();
        assert_eq!(answer.status, 400, "{request:?}");
        assert_eq!(answer.body, r#"{"error":"malformed_request"}"#);
        assert_eq!(answer.header("connection"), Some("close"));
        client.closed().await;
    }
    for request in [
        format!("POST {URL} HTTP/1.1\r\nContent-Length: 2\r\n\r\n{{}}"),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        format!("POST {URL}\r\n\r\n"),
    ] {
        assert_eq!(server.ask(&request).await.status, 400, "{request:?}");
    }
    assert!(server.fake.desk().kept.is_empty());
}

#[tokio::test]
async fn a_head_too_large_is_431() {
    let server = Server::start().await;
    let many = "X: y\r\n".repeat(101);
    let long = format!("X: {}\r\n", "y".repeat(64 << 10));
    for headers in [many, long] {
        let answer = server.ask(post(URL, &headers, "{}")).await;
        assert_eq!(answer.status, 431);
        assert_eq!(answer.header("connection"), Some("close"));
    }
    let path = format!("/{}", "a".repeat(64 << 10));
    assert_eq!(server.ask(post(&path, "", "")).await.status, 431);
    let fits = format!("X: {}\r\n", "y".repeat(31 << 10));
    assert_eq!(server.ask(post(URL, &fits, "{}")).await.status, 200);
    let fits = "X: y\r\n".repeat(62);
    assert_eq!(server.ask(post(URL, &fits, "{}")).await.status, 200);
}

#[tokio::test]
async fn fifty_requests_at_once_are_answered_in_order() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let all: String = (0..50)
        .map(|n| post(URL, "", &format!("body {n}")))
        .collect();
    client.send(all).await;
    for n in 1..=50 {
        let answer = client.answer().await.unwrap();
        assert_eq!(
            answer.body,
            format!("{{\"status\":\"quarantined\",\"seq\":{n}}}")
        );
    }
    let bodies: Vec<String> = (0..50).map(|n| format!("body {n}")).collect();
    let desk = server.fake.desk();
    assert!(
        desk.kept
            .iter()
            .map(|kept| &kept.body)
            .eq(bodies.iter().map(String::as_bytes))
    );
}

#[tokio::test]
async fn a_fault_waits_for_the_answers_before_it() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client
        .send(format!(
            "{}{}GET / HTTP/1.1\n\n{}",
            post(URL, "", "1"),
            post(URL, "", "2"),
            post(URL, "", "3")
        ))
        .await;
    for status in [200, 200, 400] {
        assert_eq!(client.answer().await.unwrap().status, status);
    }
    client.closed().await;
    assert_eq!(server.fake.desk().kept.len(), 2);
}

#[tokio::test]
async fn a_request_may_come_byte_by_byte() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.stream.set_nodelay(true).unwrap();
    for byte in post(URL, "", "{}").as_bytes() {
        client.send([*byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.answer().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_chunked_body_with_extensions_and_trailers_is_its_data() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let head = format!("POST {URL} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let body = "3;a=\"b\"\r\nabc\r\n02\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n";
    client
        .send(format!("{head}{body}{}", post(URL, "", "next")))
        .await;
    assert_eq!(client.answer().await.unwrap().status, 200);
    assert_eq!(client.answer().await.unwrap().status, 200);
    let desk = server.fake.desk();
    assert_eq!(desk.kept[0].body, b"abcde");
    assert_eq!(desk.kept[1].body, b"next");
}

#[tokio::test]
async fn a_chunked_body_that_breaks_is_400_and_stores_nothing() {
    let server = Server::start().await;
    for body in ["3\r\nabcd\r\n0\r\n\r\n", "3\nabc\n0\n\n", "zz\r\n"] {
        let head = format!("POST {URL} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        let mut client = server.connect().await;
        client.send(format!("{head}{body}")).await;
        let answer = client.answer().await.unwrap();
        assert_eq!(
            (answer.status, answer.header("connection")),
            (400, Some("close")),
            "{body:?}"
        );
        client.closed().await;
    }
    assert!(server.fake.desk().kept.is_empty());
}

#[tokio::test]
async fn a_sender_that_has_said_all_is_still_answered() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.send(post(URL, "", sample())).await;
    client.stream.shutdown().await.unwrap();
    assert_eq!(client.answer().await.unwrap().status, 200);
    client.closed().await;
    assert_eq!(server.fake.desk().kept.len(), 1);
}

#[tokio::test]
async fn a_sender_that_stops_in_the_middle_stores_nothing() {
    let server = Server::start().await;
    let whole = post(URL, "", sample());
    for end in [10, whole.len() - 1] {
        let mut client = server.connect().await;
        client.send(&whole[..end]).await;
        client.stream.shutdown().await.unwrap();
        assert_eq!(client.answer().await.unwrap().status, 400);
        let mut client = server.connect().await;
        client.send(&whole[..end]).await;
        drop(client);
    }
    assert_eq!(server.ask(&whole).await.status, 200);
    assert_eq!(server.fake.desk().kept.len(), 1);
}

#[tokio::test]
async fn an_answer_is_confirmed_only_when_the_sender_was_there_to_read_it() {
    let server = Server::start().await;
    server.ask(post(URL, "", "1")).await;
    eventually("confirmed", || server.fake.desk().confirmed == [1]).await;
    server.fake.desk().mode = Mode::Hold;
    let mut gone = server.connect().await;
    gone.send(post(URL, "", "2")).await;
    eventually("held", || server.fake.desk().held.len() == 1).await;
    drop(gone);
    // The end of the connection must have arrived before the answer is written.
    sleep(Duration::from_millis(50)).await;
    server.fake.desk().mode = Mode::Commit;
    server.fake.release();
    server.ask(post(URL, "", "3")).await;
    eventually("confirmed", || server.fake.desk().confirmed == [1, 3]).await;
}

#[tokio::test]
async fn nobody_leaves_http_1() {
    let server = Server::start().await;
    for (request, status) in [
        (
            post(
                URL,
                "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
                "{}",
            ),
            200,
        ),
        (
            post(
                "/livez",
                "Connection: Upgrade\r\nUpgrade: websocket\r\n",
                "{}",
            ),
            405,
        ),
        (
            "CONNECT a.example:443 HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            404,
        ),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 404),
        (format!("TRACE {URL} HTTP/1.1\r\nHost: a\r\n\r\n"), 405),
    ] {
        assert_eq!(server.ask(&request).await.status, status, "{request}");
    }
}
