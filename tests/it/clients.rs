//! Real clients: tokens signed by Node's `jsonwebtoken`, HMACs by `openssl`, bodies by `curl`.
//!
//! Where a tool is absent, the test says so and passes.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::{Home, PATH_KEY};

fn output_of(command: &mut Command, input: &[u8]) -> Option<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(input).ok()?;
    let output = child.wait_with_output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn skipped(what: &str) {
    eprintln!("skipped: no {what} on this machine");
}

#[test]
fn curl_posts_odd_bytes_and_they_are_kept() {
    let home = Home::new();
    let serving = home.serve();
    let url = format!(
        "http://127.0.0.1:{}/hooks/zotlo/events/{PATH_KEY}",
        home.port
    );
    let body: Vec<u8> = (0..=255).chain(*b"\r\n\0\xff{").collect();
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-X", "POST", "--data-binary", "@-", &url]);
    let Some(answer) = output_of(&mut curl, &body) else {
        return skipped("curl");
    };
    assert_eq!(answer, r#"{"status":"quarantined","seq":1}"#);
    let stored: Vec<u8> = home
        .open()
        .query_row("select body from deliveries", [], |row| row.get(0))
        .unwrap();
    assert_eq!(stored, body);
    drop(serving);
}

#[test]
fn an_hmac_made_by_openssl_is_right_and_one_of_other_bytes_is_not() {
    let home = Home::with_settings("");
    let file = home.path().join("config/subledger/subledger.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let table = "[providers.conscent]\n";
    std::fs::write(
        &file,
        text.replace(
            table,
            &format!("{table}webhook_secret = \"from-the-dashboard\"\n"),
        ),
    )
    .unwrap();
    let serving = home.serve();
    let body = "{ \"entity\":\"event\",\"event\":\"cancelled.subscription\",\"user_id\":\"5f0000000000000000000001\",\"payload\":{},\"created_at\":1760000000 }\n".as_bytes();
    let mut openssl = Command::new("openssl");
    openssl.args(["dgst", "-sha256", "-hmac", "from-the-dashboard", "-r"]);
    let Some(digest) = output_of(&mut openssl, body) else {
        return skipped("openssl");
    };
    let header = format!(
        "X-Conscent-Signature: {}\r\n",
        digest.split(' ').next().unwrap()
    );
    let (status, _) = serving
        .request("POST", "/hooks/conscent/events", &header, body)
        .unwrap();
    assert_eq!(status, 200);
    let (status, answer) = serving
        .request("POST", "/hooks/conscent/events", &header, &body[1..])
        .unwrap();
    assert_eq!(
        (status, answer.as_str()),
        (401, r#"{"error":"unauthorized"}"#)
    );
}

#[test]
fn a_token_signed_by_node_proves_its_address() {
    let home = Home::new();
    let file = home.path().join("config/subledger/subledger.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let table = "[providers.conscent]\n";
    std::fs::write(
        &file,
        text.replace(
            table,
            &format!("{table}api_key = \"key\"\napi_secret = \"example-api-secret\"\n"),
        ),
    )
    .unwrap();
    let script = "const t=require('jsonwebtoken');process.stdout.write(t.sign('reader@example.org','example-api-secret'))";
    let Some(token) = output_of(Command::new("node").args(["-e", script]), b"") else {
        return skipped("Node with jsonwebtoken");
    };
    let serving = home.serve();
    let body = format!(
        r#"{{"userId":"6a0000000000000000000001","email":"reader@example.org","hashedEmail":"{token}"}}"#
    );
    let (status, _) = serving.post("conscent", "login", body.as_bytes()).unwrap();
    assert_eq!(status, 200);
    let body = body.replace("\"email\":\"reader@", "\"email\":\"other@");
    assert_eq!(
        serving
            .post("conscent", "login", body.as_bytes())
            .unwrap()
            .0,
        200
    );
    let proofs: Vec<String> = home
        .open()
        .prepare("select identity_proof from deliveries order by seq")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(proofs, ["verified", "mismatch"]);
}
