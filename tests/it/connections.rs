//! What Connections, `doctor` and `rejected show` say of an account: the same hints, and counts that equal their lists.

use std::time::{Duration, Instant};

use subledger::domain::page::{Count, List};
use subledger::domain::query::{Query, Words};
use subledger::domain::time::Clock;
use subledger::store::query::Reader;
use subledger::tui::connected;
use subledger::tui::facts::Connection;

use crate::support::{Home, PATH_KEY, PATIENCE};

/// What the screen says of each account.
fn shown(home: &Home) -> Vec<Connection> {
    let reader = Reader::open(&home.ledger()).unwrap();
    let names = [("zotlo".to_owned(), "Zotlo".to_owned())];
    connected::read(&reader, Clock::Machine.now(), &[], &names).unwrap()
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
    wait_turned_away(&home, 5);
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
    wait_turned_away(&home, 6);
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
