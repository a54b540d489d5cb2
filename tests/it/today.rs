//! `today` of the built binary: text, Markdown, JSON and the lists say the same, on every kind of ledger.

use serde_json::Value;

use crate::support::Home;

/// The moment at which the made-up year ends.
const UNTIL: &str = "2026-11-20T09:14:00Z";

/// What the binary writes, and its exit code.
fn says(home: &Home, args: &[&str]) -> (i32, String) {
    let output = home.command(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let text = String::from_utf8(output.stdout).unwrap();
    let code = output.status.code().unwrap();
    assert!(code == 0 || code == 4 || code == 2, "{args:?}: {said}");
    (code, if code == 2 { said } else { text })
}

/// A ledger with a made-up year in it.
fn made_up(home: &Home, events: &str) -> String {
    let file = home.path().join("made.db").to_str().unwrap().to_owned();
    let args = ["demo", "--events", events, "--until", UNTIL, "--out", &file];
    assert!(home.command(&args).output().unwrap().status.success());
    file
}

/// Every figure of `today`: its list, its filter, how many rows.
fn figures(today: &Value, out: &mut Vec<(String, String, u64)>) {
    match today {
        Value::Object(fields) => {
            if let (Some(list), Some(query), Some(count)) = (
                fields.get("list").and_then(Value::as_str),
                fields.get("query").and_then(Value::as_str),
                fields.get("count").and_then(Value::as_u64),
            ) {
                out.push((list.to_owned(), query.to_owned(), count));
            }
            for value in fields.values() {
                figures(value, out);
            }
        }
        Value::Array(values) => {
            for value in values {
                figures(value, out);
            }
        }
        _ => {}
    }
}

#[test]
fn every_figure_of_the_json_is_the_number_of_rows_of_its_command() {
    let home = Home::new();
    let file = made_up(&home, "2500");
    let mut seen = 0;
    for since in ["last-review", "2026-11-01..2026-11-14", "2026-10"] {
        let args = ["today", "--db", &file, "--since", since, "--json"];
        let (_, text) = says(&home, &args);
        let mut found = Vec::new();
        figures(&serde_json::from_str(&text).unwrap(), &mut found);
        found.sort();
        found.dedup();
        // Those that hold something are asked for by the command that the list is called by.
        for (list, query, count) in found.into_iter().filter(|(.., count)| *count > 0).take(8) {
            let args = [
                &*list, "--db", &file, &query, "--limit", "0", "--format", "ndjson",
            ];
            let (_, rows) = says(&home, &args);
            assert_eq!(rows.lines().count() as u64, count, "{list} {query}");
            seen += 1;
        }
    }
    assert!(seen >= 15, "{seen}");
}

#[test]
fn text_and_markdown_say_what_the_json_says() {
    let home = Home::new();
    let file = made_up(&home, "2500");
    for since in ["last-review", "2026-10-01..2026-10-31", "2026-11-16.."] {
        let args = |format: &'static str| ["today", "--db", &file, "--since", since, format];
        let (_, json) = says(&home, &args("--json"));
        let json: Value = serde_json::from_str(&json).unwrap();
        let (_, text) = says(&home, &args("--color=never"));
        let (_, md) = says(&home, &args("--md"));
        for (name, key) in [
            ("New readers", "new_readers"),
            ("New subscriptions", "new_subscriptions"),
            ("Cancelled", "cancelled"),
            ("Ended", "ended"),
        ] {
            let count = json[key]["count"].as_u64().unwrap().to_string();
            let before = json[key]["before"].as_u64().unwrap().to_string();
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            let words: Vec<&str> = line[name.len()..].split_whitespace().collect();
            assert_eq!(words[..2], [&*count, &*before], "{line}");
            assert!(line.chars().count() <= 80, "{line}");
            let row = format!("| {name} | {count} | {before} | ");
            assert!(md.contains(&row), "{row} in {md}");
        }
        for need in json["needs_you"].as_array().unwrap() {
            let sentence = need["sentence"].as_str().unwrap();
            assert!(text.contains(&format!("! {sentence}\n")), "{text}");
        }
        let kept = format!("Deliveries   {} kept", json["kept"]["count"]);
        assert!(text.contains(&kept), "{kept} in {text}");
        let monthly = json["monthly"].as_array().unwrap();
        assert!(monthly.iter().all(|sum| sum["before"].is_i64()));
    }
}

#[test]
fn a_new_ledger_says_that_nothing_has_arrived_and_a_first_webhook_is_a_first_day() {
    let home = Home::new();
    let serving = home.serve();
    let (code, text) = says(&home, &["today", "--exit-code"]);
    assert!(text.starts_with("Since the beginning"), "{text}");
    assert!(text.contains("Nothing has arrived yet: `subledger urls`"));
    assert!(
        !text.contains("New readers") && !text.contains('%'),
        "{text}"
    );
    assert_eq!(code, 4, "no backup is made: {text}");
    let (_, md) = says(&home, &["today", "--md"]);
    assert!(md.contains("Nothing has arrived yet"), "{md}");
    let body = br#"{"userId":"u1","email":"ada@example.org"}"#;
    let (status, _) = serving.post("conscent", "sign-up", body).unwrap();
    assert_eq!(status, 200);
    for args in [&["today"] as &[&str], &["today", "--md"]] {
        let (_, text) = says(&home, args);
        assert!(text.contains("first day") && !text.contains('%'), "{text}");
    }
}

#[test]
fn a_period_that_is_none_is_refused_with_those_that_are() {
    let home = Home::new();
    let file = made_up(&home, "300");
    let known = "last-review, today, yesterday, 7d, 28d, month, last-month";
    for (wrong, why) in [
        ("soon", known),
        ("", known),
        ("tomorrow", "begins in the future"),
        ("today..yesterday", "ends before it begins"),
    ] {
        let (code, said) = says(&home, &["today", "--db", &file, "--since", wrong]);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(why), "{said}");
    }
    for word in ["yesterday", "month", "last-month", "MON.."] {
        assert_eq!(says(&home, &["today", "--db", &file, "--since", word]).0, 0);
    }
}

#[test]
fn an_account_is_the_same_in_capitals() {
    let home = Home::new();
    let file = made_up(&home, "600");
    for since in ["last-review", "2026-10-20..2026-11-19"] {
        let of = |account: &str| {
            let args = [
                "today",
                "--db",
                &file,
                "--since",
                since,
                "--account",
                account,
                "--json",
            ];
            let (_, text) = says(&home, &args);
            let today: Value = serde_json::from_str(&text).unwrap();
            ["kept", "repeats", "needs_you"].map(|name| today[name].clone())
        };
        assert!(of("main")[0]["count"].as_u64() > Some(0));
        assert_eq!(of("MAIN"), of("main"), "{since}");
    }
}

#[test]
fn what_was_turned_away_and_names_no_account_is_told_beside_those_of_one() {
    let home = Home::new();
    let file = made_up(&home, "2500");
    for (account, rows) in [("main", true), ("weekly", false)] {
        let ask = |more: &'static str| {
            let args = [
                "today",
                "--db",
                &file,
                "--since",
                "28d",
                "--account",
                account,
                more,
            ];
            says(&home, &args).1
        };
        let today: Value = serde_json::from_str(&ask("--json")).unwrap();
        assert_eq!(today["turned_away"]["count"], 0);
        let told = &today["turned_away_nameless"];
        let (list, query) = (
            told["list"].as_str().unwrap(),
            told["query"].as_str().unwrap(),
        );
        let args = [
            list, "--db", &file, query, "--limit", "0", "--format", "ndjson",
        ];
        let (_, found) = says(&home, &args);
        assert_eq!(
            told["count"].as_u64().unwrap(),
            found.lines().count() as u64,
            "{query}"
        );
        assert_eq!(query.contains("klustr"), rows, "{query}");
        assert!(!query.contains("account:"), "{query}");
        for text in [ask("--color=never"), ask("--md")] {
            let said = match told["count"].as_u64().unwrap() {
                0 => continue,
                1 => "1 webhook turned away names no account: it is in no figure here".to_owned(),
                many => format!(
                    "{many} webhooks turned away name no account: they are in no figure here"
                ),
            };
            assert!(text.contains(&said), "{said}: {text}");
        }
        assert!(!rows || told["count"].as_u64() > Some(1), "{told}");
    }
    // Of all accounts together it is a figure like the others.
    let (_, all) = says(&home, &["today", "--db", &file, "--json"]);
    assert!(!all.contains("turned_away_nameless"));
}
