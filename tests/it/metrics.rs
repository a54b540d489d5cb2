//! `/metrics` of a receiver that runs: off unless asked for, and what it tells after a restart.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Instant;

use subledger::providers;

use crate::support::{Home, PATIENCE, Serving};

/// Every sample by its name and labels.
fn samples(serving: &Serving) -> BTreeMap<String, f64> {
    let (status, text) = serving.get("/metrics").unwrap();
    assert_eq!(status, 200);
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let family = series.split_once('{').map_or(series, |(name, _)| name);
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|ending| family.strip_suffix(ending))
                .unwrap_or(family);
            for kind in ["HELP", "TYPE"] {
                assert!(text.contains(&format!("# {kind} {family} ")), "{line}");
            }
            (series.to_owned(), value.parse().unwrap())
        })
        .collect()
}

#[test]
fn metrics_are_off_until_asked_for_and_know_the_ledger_from_the_start() {
    let home = Home::new();
    let serving = home.serve();
    assert_eq!(serving.get("/metrics").unwrap().0, 404);
    let sample = providers::ALL[3].samples()[0];
    serving.post("zotlo", sample.hook, sample.body.as_bytes());
    serving.post("zotlo", sample.hook, sample.body.as_bytes());
    serving.post("klustr", "events", b"canary");
    assert_eq!(serving.terminate(), Some(0));
    let set = ["config", "set", "receiver.metrics", "true"];
    let status = home.command(&set).stdout(Stdio::null()).status().unwrap();
    assert!(status.success());
    let serving = home.serve();
    let told = samples(&serving);
    assert_eq!(told.get("subledger_quarantined_deliveries"), Some(&1.0));
    assert_eq!(told.get("subledger_last_seq"), Some(&3.0));
    for at_least_one in ["subledger_db_bytes", "subledger_disk_free_bytes"] {
        assert!(told[at_least_one] >= 1.0, "{at_least_one}");
    }
    let last = |told: &BTreeMap<String, f64>, provider: &str| {
        told[&format!("subledger_last_delivery_timestamp_seconds{{provider=\"{provider}\"}}")]
    };
    let (before, klustr) = (last(&told, "zotlo"), last(&told, "klustr"));
    assert!(klustr >= before && before > 1_700_000_000.0);
    serving.post("zotlo", sample.hook, sample.body.as_bytes());
    serving.post("zotlo", "events", b"canary too");
    serving.request("POST", "/hooks/zotlo/events/k_wrong", "", b"canary");
    serving.request("POST", "/hooks/zotlo/canary/k_wrong", "", b"canary");
    let deadline = Instant::now() + PATIENCE;
    let told = loop {
        let told = samples(&serving);
        // The line of a delivery is counted once its answer is written out.
        if told.contains_key("subledger_requests_total{provider=\"zotlo\",outcome=\"quarantined\"}")
        {
            break told;
        }
        assert!(Instant::now() < deadline, "never counted");
        std::thread::sleep(std::time::Duration::from_millis(10));
    };
    for (series, value) in [
        (
            "subledger_requests_total{provider=\"zotlo\",outcome=\"duplicate\"}",
            1.0,
        ),
        (
            "subledger_rejected_total{provider=\"zotlo\",reason=\"path_key\"}",
            1.0,
        ),
        (
            "subledger_rejected_total{provider=\"zotlo\",reason=\"unknown_path\"}",
            1.0,
        ),
        (
            "subledger_secret_used_total{provider=\"zotlo\",credential=\"path_key\",position=\"1\"}",
            2.0,
        ),
        ("subledger_quarantined_deliveries", 2.0),
    ] {
        assert_eq!(told.get(series), Some(&value), "{series}");
    }
    assert!(last(&told, "zotlo") > before);
    assert!(told["subledger_commit_seconds_count"] >= 2.0);
    assert!(!told.keys().any(|series| series.contains("canary")));
}
