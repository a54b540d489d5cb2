//! What Connections, `doctor` and `rejected show` say of an account: the same hints, and counts that equal their lists.

use std::time::{Duration, Instant};

use subledger::domain::page::{Count, List};
use subledger::domain::query::{Query, Words};
use subledger::domain::time::Clock;
use subledger::store::query::Reader;
use subledger::store::today::Outside;
use subledger::tui::connected;
use subledger::tui::facts::Connection;

use crate::support::{Home, PATH_KEY, PATIENCE};

/// What the screen says of each account.
fn shown(home: &Home) -> Vec<Connection> {
    let reader = Reader::open(&home.ledger()).unwrap();
    let outside = Outside {
        names: vec![("zotlo".to_owned(), "Zotlo".to_owned())],
        ..Outside::default()
    };
    connected::read(&reader, Clock::Machine.now(), &[], &outside).unwrap()
}

fn of<'a>(all: &'a [Connection], provider: &str) -> &'a Connection {
    all.iter().find(|one| one.provider == provider).unwrap()
}

/// Waits until so many requests that were turned away are written down, which has no hurry.
fn wait_turned_away(home: &Home, many: i64) {
    let deadline = Instant::now() + PATIENCE;
    while home.number("select count(*) from rejected") < many {
        assert!(Instant::now() < deadline, "the requests are not kept");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Every line that counts rows names a list of as many.
fn counts_hold(home: &Home) -> usize {
    let reader = Reader::open(&home.ledger()).unwrap();
    let stored = reader.vocabulary().unwrap();
    let words = Words {
        now: Clock::Machine.now(),
        zone: reader.zone().unwrap(),
        list: List::Deliveries,
        last_review: reader.last_review().unwrap(),
        stored: &stored,
    };
    let all = shown(home);
    let facts = all.iter().flat_map(|one| &one.facts);
    let mut held = 0;
    for fact in facts {
        let (Some(door), Some(count)) = (&fact.door, fact.count) else {
            continue;
        };
        let query = Query::parse(&door.query, &words).unwrap();
        let found = reader.count(door.list, &query, 10_000).unwrap();
        assert_eq!(found, Count::Exact(count), "{}: {}", door.query, fact.text);
        let number = fact.text.split(' ').next().unwrap();
        assert_eq!(number, count.to_string(), "{}", fact.text);
        held += 1;
    }
    held
}

#[test]
fn counts_equal_the_lists_behind_them() {
    let more = "[providers.zotlo.accounts.weekly]\npath_key = \"k_weeklyweeklyweekly\"\n";
    let home = Home::with_settings(more);
    let serving = home.serve();
    for n in 0..3 {
        let body = format!("{{\"odd\":{n}}}");
        serving.post("zotlo", "events", body.as_bytes()).unwrap();
        let wrong = format!("/hooks/zotlo/events/k_wrong{n}");
        serving.request("POST", &wrong, "", b"{}").unwrap();
    }
    serving
        .request("POST", "/hooks/zotlo/evnts/k_x", "", b"{}")
        .unwrap();
    serving
        .request("POST", "/hooks/zottlo/events/k_x", "", b"{}")
        .unwrap();
    // The same reason as a path of nobody.
    serving
        .request("POST", "/hooks/zotlo/event/k_x", "", b"{}")
        .unwrap();
    wait_turned_away(&home, 6);
    assert!(
        counts_hold(&home) >= 4,
        "webhooks, two reasons, a path of nobody"
    );
    // After a review only what came since is counted, and what came before stays in the whole.
    let seq = home.number("select max(seq) from deliveries");
    let reviewed = format!(
        "insert into reviews (seq, reviewed_at) values ({seq}, strftime('%Y-%m-%dT%H:%M:%fZ'))"
    );
    home.open().execute_batch(&reviewed).unwrap();
    serving
        .request("POST", "/hooks/zotlo/events/k_again", "", b"{}")
        .unwrap();
    wait_turned_away(&home, 7);
    counts_hold(&home);
    let all = shown(&home);
    let texts: Vec<&str> = of(&all, "zotlo")
        .facts
        .iter()
        .map(|fact| fact.text.as_str())
        .collect();
    let wrong = texts
        .iter()
        .find(|text| text.ends_with("secret link wrong"));
    let wrong = wrong.unwrap();
    assert!(
        wrong.starts_with("1 since your last review, 4 in 14 days"),
        "{wrong}"
    );
    let nobodys = all.last().unwrap();
    assert_eq!(nobodys.name, "Paths that are none of yours");
    let counts: Vec<_> = nobodys.facts.iter().map(|fact| fact.count).collect();
    assert_eq!(counts, [Some(1)], "the other one is Zotlo's");
    assert!(
        nobodys
            .refused
            .as_ref()
            .unwrap()
            .contains("the nearest is /hooks/zotlo/events")
    );
    assert!(nobodys.hint.unwrap().contains("correct the link"));
}

#[test]
fn a_link_that_was_dropped_is_told_on_screen_in_doctor_and_beside_the_request() {
    let home = Home::new();
    let serving = home.serve();
    assert!(
        home.says(&["keys", "rotate", "zotlo"])
            .all()
            .contains("/hooks/zotlo/")
    );
    // It still comes on the old one, and its mark is written down.
    assert_eq!(serving.post("zotlo", "events", b"{}").unwrap().0, 200);
    home.says(&["keys", "drop", "zotlo", "--yes"]).all();
    let refused = serving.post("zotlo", "events", br#"{"n":2}"#).unwrap();
    assert_eq!(refused.0, 401, "{PATH_KEY} is dropped");
    serving
        .request("POST", "/hooks/klustr/events/k_never", "", b"{}")
        .unwrap();
    wait_turned_away(&home, 2);
    let all = shown(&home);
    let words = of(&all, "zotlo").hint.unwrap();
    assert!(words.contains("one of yours that was dropped"), "{words}");
    let never = of(&all, "klustr").hint.unwrap();
    assert!(never.contains("none of yours"), "{never}");
    let doctor = home.says(&["doctor"]).all();
    assert!(doctor.contains(words) && doctor.contains(never), "{doctor}");
    assert!(home.says(&["rejected", "show", "1"]).all().contains(words));
    assert!(home.says(&["rejected", "show", "2"]).all().contains(never));
}

#[test]
fn how_long_a_silence_may_be_holds_wherever_it_is_said() {
    let home = Home::new();
    let demo = home.path().join("demo.db");
    let demo = demo.to_str().unwrap();
    home.says(&["demo", "--out", demo, "--events", "2000"])
        .all();
    let said = |home: &Home| {
        let screen = |name| home.says(&["shot", "--db", demo, "--screen", name]).all();
        let doctor = home.says(&["doctor", "--db", demo]).all();
        let today = home.says(&["today", "--db", demo]).all();
        [screen("today"), screen("connections"), doctor, today]
    };
    home.says(&["config", "set", "providers.zotlo.expect_every", "1m"])
        .all();
    for said in said(&home) {
        let lines = said.lines().filter(|line| line.contains("quiet"));
        assert!(lines.count() > 0, "{said}");
    }
    for provider in ["zotlo", "klustr", "conscent", "expressconsent"] {
        let key = format!("providers.{provider}.expect_every");
        home.says(&["config", "set", &key, "never"]).all();
    }
    for said in said(&home) {
        assert!(!said.contains("quiet"), "{said}");
    }
}

#[test]
fn tests_are_no_webhooks_of_a_provider() {
    let home = Home::new();
    let serving = home.serve();
    let path = format!("/hooks/zotlo/events/{PATH_KEY}");
    let test = "Subledger-Test: 1\r\n";
    for n in 0..2 {
        let body = format!("{{\"odd\":{n}}}");
        let answer = serving.request("POST", &path, test, body.as_bytes());
        assert_eq!(answer.unwrap().0, 200);
    }
    let all = shown(&home);
    let (state, _) = &of(&all, "zotlo").state;
    assert!(state.starts_with("only tests so far, the last "), "{state}");
    let doctor = home.says(&["doctor"]).all();
    assert!(doctor.contains("only tests so far"), "{doctor}");
    counts_hold(&home);
    assert_eq!(serving.post("zotlo", "events", b"{}").unwrap().0, 200);
    assert!(counts_hold(&home) >= 2, "webhooks, tests");
    let all = shown(&home);
    let facts = of(&all, "zotlo").facts.iter();
    let facts: Vec<_> = facts
        .map(|fact| (fact.title.as_str(), fact.text.as_str()))
        .collect();
    assert!(
        facts.contains(&("webhooks", "1 in 24 hours, 1 in all")),
        "{facts:?}"
    );
    assert!(facts.contains(&("tests", "2")), "{facts:?}");
    let (state, _) = &of(&all, "zotlo").state;
    assert!(state.starts_with("last webhook "), "{state}");
}
