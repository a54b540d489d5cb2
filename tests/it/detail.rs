//! What belongs to an opened row: its history, what it did to consents, a reader's time line and money, over a
//! made-up year and over webhooks as they come.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use subledger::domain::page::{Cell, Count, Cursor, List, Row};
use subledger::domain::query::Query;
use subledger::store::query::{Kinds, Reader, columns};
use subledger::tui::ways;

use crate::queries::generated::query;
use crate::support::{Home, Serving};

const ALL: usize = 1_000_000;

fn cell<'a>(list: List, row: &'a Row, name: &str) -> &'a Cell {
    let place = columns(list)
        .iter()
        .position(|column| column.name == name)
        .unwrap();
    &row.cells[place]
}

fn text<'a>(list: List, row: &'a Row, name: &str) -> Option<&'a str> {
    cell(list, row, name).as_text()
}

fn rows(reader: &Reader, list: List) -> Vec<Row> {
    let page = reader.page(list, &Query::default(), &Cursor::First, ALL);
    page.unwrap().rows
}

/// A made-up year.
fn year() -> (Home, Reader) {
    let home = Home::new();
    let path = home.path().join("year.db");
    let out = path.to_str().unwrap();
    let until = "2026-11-20T08:00:00Z";
    let args = ["demo", "--events", "1500", "--until", until, "--out", out];
    assert!(home.command(&args).output().unwrap().status.success());
    let reader = Reader::open(&path).unwrap();
    (home, reader)
}

#[test]
fn what_a_change_of_consent_was_before_and_after_is_what_its_row_says() {
    let (_home, reader) = year();
    let list = List::Changes;
    let changes = rows(&reader, list);
    assert!(changes.len() > 50);
    for row in &changes {
        let around = reader.around(row.key.id / 10_000).unwrap().unwrap();
        let purpose = text(list, row, "purpose").unwrap();
        let one = around.purposes.iter().find(|one| one.purpose == purpose);
        let one = one.unwrap();
        let state = |standing: &Option<_>| -> Option<&'static str> {
            let standing: &Option<subledger::store::query::Standing> = standing;
            standing.as_ref().map(|standing| standing.state.as_str())
        };
        assert_eq!(state(&one.before), text(list, row, "before_state"));
        assert_eq!(state(&one.after), text(list, row, "after_state"));
        let past = reader.past(list, row, ALL).unwrap();
        let own = past
            .events
            .iter()
            .any(|event| event.key.id == row.key.id / 10_000);
        assert!(own, "a change is in its own history");
    }
    let list = List::Consents;
    for row in &rows(&reader, list) {
        let around = reader.around(row.key.id / 10_000).unwrap().unwrap();
        let purpose = text(list, row, "purpose").unwrap();
        let one = around.purposes.iter().find(|one| one.purpose == purpose);
        let after = one.unwrap().after.as_ref().unwrap();
        assert_eq!(Some(after.state.as_str()), text(list, row, "state"));
    }
}

#[test]
fn a_row_is_made_by_the_events_of_its_history() {
    let (_home, reader) = year();
    for list in [List::Subscriptions, List::Cancellations, List::Payments] {
        let all = rows(&reader, list);
        assert!(!all.is_empty(), "{list}");
        for row in all.iter().filter(|row| row.key.id > 0) {
            let past = reader.past(list, row, ALL).unwrap();
            let ids: Vec<i64> = past.events.iter().map(|event| event.key.id).collect();
            assert!(ids.contains(&row.key.id), "{list} {}", row.key.id);
            assert!(past.events.is_sorted_by(|a, b| a.key > b.key));
            let user = text(list, row, "user_id");
            for event in &past.events {
                let theirs = text(List::Events, event, "user_id");
                // What names the subscription may call its reader otherwise.
                let named = text(List::Events, event, "subscription_id")
                    .is_some_and(|id| text(list, row, "subscription_id") == Some(id));
                assert!(named || user.is_none() || theirs.is_none() || theirs == user);
            }
            let some = reader.past(list, row, 1).unwrap();
            assert_eq!((some.events.len(), some.more), (1, ids.len() > 1));
        }
    }
    for row in rows(&reader, List::Events).iter().step_by(7) {
        let past = reader.past(List::Events, row, ALL).unwrap();
        let named = text(List::Events, row, "user_id").is_some();
        let own = past.events.iter().any(|event| event.key == row.key);
        assert!(own || !named, "an event is in its own history");
    }
}

#[test]
fn the_kinds_of_a_time_line_are_all_of_it_and_share_nothing() {
    let (_home, reader) = year();
    let list = List::Users;
    let mut by_user: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    let key = |list: List, row: &Row| {
        let word = |name: &str| text(list, row, name).map(str::to_owned);
        Some((word("provider")?, word("account")?, word("user_id")?))
    };
    for event in rows(&reader, List::Events) {
        if let Some(key) = key(List::Events, &event) {
            *by_user.entry(key).or_default() += 1;
        }
    }
    for row in rows(&reader, list).iter().step_by(3) {
        let count = |kinds: Kinds| {
            let past = reader.timeline(list, row, kinds, ALL).unwrap();
            past.events.len()
        };
        let all = count(Kinds::All);
        assert_eq!(Some(&all), by_user.get(&key(list, row).unwrap()));
        for kinds in Kinds::ALL.iter().copied() {
            let counted = |cap| reader.timeline_count(list, row, kinds, cap).unwrap();
            let here = count(kinds) as u64;
            assert_eq!(counted(here), Count::Exact(here));
            if here > 0 {
                assert_eq!(counted(here - 1), Count::MoreThan(here - 1));
            }
            // Where a timeline ends, a list goes on: it is of the same events.
            let list = ways::events_from(row, kinds, &row.key).unwrap();
            let listed = reader.count(
                List::Events,
                &query(List::Events, &list.query, None),
                10_000,
            );
            assert_eq!(listed.unwrap(), Count::Exact(here), "{}", list.query);
        }
        let parts = Kinds::ALL.iter().filter(|kinds| **kinds != Kinds::All);
        assert_eq!(parts.map(|kinds| count(*kinds)).sum::<usize>(), all);
    }
}

#[test]
fn what_a_reader_paid_is_the_sum_of_their_payments() {
    let (_home, reader) = year();
    let mut paid: BTreeMap<(String, String), i128> = BTreeMap::new();
    for row in rows(&reader, List::Payments) {
        let list = List::Payments;
        let (user, currency) = (text(list, &row, "user_id"), text(list, &row, "currency"));
        if let (Some(user), Some(currency), Some(minor)) =
            (user, currency, cell(list, &row, "amount_minor").as_int())
        {
            let key = (user.to_owned(), currency.to_owned());
            *paid.entry(key).or_default() += i128::from(minor);
        }
    }
    let mut found = 0;
    for row in rows(&reader, List::Users) {
        let user = text(List::Users, &row, "user_id").unwrap();
        for one in reader.money_of(row.key.id).unwrap() {
            if one.payments + one.refunds > 0 {
                let key = (user.to_owned(), one.currency.clone());
                assert_eq!(paid.get(&key), Some(&(one.paid_minor - one.refunded_minor)));
                found += 1;
            }
        }
    }
    assert!(found > 20, "{found}");
}

fn disclosed(agreed: bool, wording: &str, created_ms: i64) -> Value {
    json!({
        "event": "cdr.completed", "cdrId": format!("cdr_{created_ms}"), "domain": "letters.example.org",
        "createdAt": created_ms, "customMetadata": {"email": "mira@example.org"},
        "disclosures": [{"key": "newsletter", "language": wording, "agreed": agreed}],
        "webhookId": format!("wh_{created_ms}"), "timestamp": created_ms,
    })
}

fn post(serving: &Serving, body: &Value) -> i64 {
    let (status, answer) = serving
        .post("expressconsent", "events", body.to_string().as_bytes())
        .unwrap();
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    answer["seq"].as_i64().unwrap()
}

#[test]
fn the_wording_before_a_change_is_known_after_it() {
    let home = Home::new();
    let serving = home.serve();
    let first = post(
        &serving,
        &disclosed(true, "Send me the letter.", 1_770_000_000_000),
    );
    let second = post(
        &serving,
        &disclosed(false, "Send me the letter and offers.", 1_770_100_000_000),
    );
    let lag = "select (select max(seq) from deliveries) - value from meta where key = 'folded_seq'";
    let deadline = std::time::Instant::now() + crate::support::PATIENCE;
    while home.number(lag) > 0 {
        assert!(std::time::Instant::now() < deadline, "folding hangs");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let reader = Reader::open(&home.ledger()).unwrap();
    let around = reader.around(second * 10_000).unwrap().unwrap();
    let one = &around.purposes[0];
    let wording = |standing: &Option<subledger::store::query::Standing>| {
        let standing = standing.as_ref().unwrap();
        (standing.wording.clone().unwrap(), standing.seq)
    };
    assert_eq!(
        wording(&one.before),
        ("Send me the letter.".to_owned(), first)
    );
    assert_eq!(wording(&one.after).0, "Send me the letter and offers.");
    let one = &reader.around(first * 10_000).unwrap().unwrap().purposes[0];
    assert_eq!(one.before, None);
    assert_eq!(reader.around(77 * 10_000).unwrap(), None);
}
