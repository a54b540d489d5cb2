//! Every known body with odd values in every place: kept to the byte, read and folded, and no total spoilt.

use serde_json::Value;

use crate::leaks::settle;
use crate::support::Home;

/// Every place in a sample, as the keys and indexes that lead there.
fn places(value: &Value, here: &mut Vec<String>, all: &mut Vec<Vec<String>>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| (key.clone(), value))
            .collect(),
        Value::Array(values) => values
            .iter()
            .enumerate()
            .take(2)
            .map(|(place, value)| (place.to_string(), value))
            .collect(),
        _ => return,
    };
    for (key, child) in children {
        here.push(key);
        all.push(here.clone());
        places(child, here, all);
        here.pop();
    }
}

/// `sample` with `json` at `place`; `id`s of its own, so that it is no duplicate.
fn changed(sample: &Value, place: &[String], json: &str, number: usize) -> String {
    let mut sample = sample.clone();
    let pointer = place.iter().fold(String::new(), |pointer, key| {
        pointer + "/" + &key.replace('~', "~0").replace('/', "~1")
    });
    for own in ["_id", "purchaseId", "transactionId", "webhookId", "cdrId"] {
        if let Some(id) = sample.get_mut(own) {
            *id = Value::from(format!("own-{number}"));
        }
    }
    for own in [
        "/payload/purchase/_id",
        "/payload/refund/_id",
        "/queue/requestID",
        "/data/id",
    ] {
        if let Some(id) = sample.pointer_mut(own) {
            *id = Value::from(format!("own-{number}"));
        }
    }
    *sample.pointer_mut(&pointer).unwrap() = Value::from("@@here@@");
    sample.to_string().replace("\"@@here@@\"", json)
}

/// JSON values that no provider should send.
fn odd_values() -> Vec<String> {
    let mut values = [
        "null",
        "-7",
        "1e400",
        "1234567890123456789012345678901234567890.5",
        "\"12.50\"",
        "\"\"",
        "\"undefined\"",
        "\"a\\u0000b\"",
        "\"x\\ud800y\"",
        "[]",
        "[\"a\",1,null,{}]",
        "{}",
        "true",
        "\"0000-00-00 00:00:00\"",
        "\"9999-12-31T23:59:59.999Z\"",
        "\"+1+1\\u001b[2J\"",
    ]
    .map(str::to_owned)
    .to_vec();
    values.push(format!("{}1{}", "[".repeat(127), "]".repeat(127)));
    values.push(format!("{}1{}", "{\"a\":".repeat(5_000), "}".repeat(5_000)));
    values
}

#[test]
fn any_value_anywhere_in_any_sample_is_kept_read_and_folded() {
    let home = Home::new();
    let serving = home.serve();
    let odd = odd_values();
    let mut sent = Vec::new();
    for provider in subledger::providers::ALL {
        for sample in provider.samples() {
            let value: Value = serde_json::from_str(sample.body).unwrap();
            let mut all = Vec::new();
            places(&value, &mut Vec::new(), &mut all);
            for place in all {
                // Each place meets one of the values, each value many places.
                let number = sent.len();
                let body = changed(&value, &place, &odd[(number * 7) % odd.len()], number);
                sent.push((provider.id(), sample.hook, body));
            }
        }
    }
    let bodies: Vec<&[u8]> = sent.iter().map(|(.., body)| body.as_bytes()).collect();
    for (number, (provider, hook, body)) in sent.iter().enumerate() {
        let (status, answer) = serving.post(provider, hook, body.as_bytes()).unwrap();
        assert_eq!(status, 200, "{provider} {hook} {answer}: {body:.300}");
        assert!(
            answer.ends_with(&format!("\"seq\":{}}}", number + 1)),
            "{answer}"
        );
    }
    let last = i64::try_from(sent.len()).unwrap();
    settle(
        &home,
        "select cast(value as integer) from meta where key = 'folded_seq'",
        last,
    );
    let conn = home.open();
    let mut statement = conn
        .prepare("select cast(body as blob) from deliveries order by seq")
        .unwrap();
    let kept: Vec<Vec<u8>> = statement
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(kept.iter().map(Vec::as_slice).eq(bodies), "the exact bytes");
    assert_eq!(
        home.number("select count(*) from deliveries where reason like '%bug of ours%'"),
        0
    );
    assert_eq!(
        home.number("select count(*) from events where not json_valid(data)"),
        0
    );
    assert_eq!(serving.terminate(), Some(0));
    for check in [&["verify"][..], &["rebuild", "--check"]] {
        let output = home.command(check).output().unwrap();
        assert!(
            output.status.success(),
            "{check:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn an_absurd_price_spoils_no_total() {
    let home = Home::new();
    let serving = home.serve();
    for number in 0..3 {
        let body = format!(
            r#"{{"queue":{{"type":"TransactionInsert","eventType":"transaction","createDate":{{"date":"2026-01-0{} 00:00:00"}}}},
            "parameters":{{"transaction_id":"absurd-{number}","subscriber_id":"a@b.example","price":"90000000000000000","currency":"INR"}}}}"#,
            number + 1
        );
        let (status, answer) = serving.post("zotlo", "events", body.as_bytes()).unwrap();
        assert_eq!((status, &answer[..18]), (200, r#"{"status":"stored""#));
    }
    settle(
        &home,
        "select count(*) from payments where flag = 'too large to be a price'",
        3,
    );
    assert_eq!(
        home.number("select count(*) from payments where amount_text = '90000000000000000'"),
        3
    );
    for command in [
        &["today"][..],
        &["sql", "@payments-by-month"],
        &["payments"],
    ] {
        let output = home.command(command).output().unwrap();
        assert!(
            output.status.success(),
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
