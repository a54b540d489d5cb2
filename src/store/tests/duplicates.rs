//! Nothing is counted twice, and nothing honest is taken for a repeat.

use crate::domain::delivery::Outcome::{Duplicate, Quarantined, Stored};
use crate::domain::delivery::{Origin, Outcome};
use crate::store::tests::{Ledger, delivery};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

fn outcomes(ledger: &Ledger, posts: &[(&str, i64)]) -> Vec<Outcome> {
    posts
        .iter()
        .map(|(body, ms)| ledger.post(body, *ms).outcome)
        .collect()
}

#[test]
fn an_id_is_known_for_ever_and_within_its_account() {
    let mut ledger = Ledger::new();
    assert_eq!(ledger.post("id:1 a", 0).outcome, Stored);
    let again = ledger.post("id:1 a", 900 * DAY);
    assert_eq!((again.outcome, again.duplicate_of), (Duplicate, Some(1)));
    let mut elsewhere = delivery("id:1 a", 0);
    elsewhere.account = "weekly".to_owned();
    assert_eq!(ledger.send(elsewhere).outcome, Stored);
    ledger.reopen();
    assert_eq!(ledger.post("id:1 a", 0).duplicate_of, Some(1));
    let row = "select dedupe_policy || dedupe_key || confidence || ifnull(reason, '-') from deliveries where seq = 2";
    assert_eq!(ledger.text(row), "1id:1certain-");
}

#[test]
fn any_certain_key_is_enough() {
    let ledger = Ledger::new();
    let posts = [
        ("id:1 natural:n a", 0),
        ("id:2 natural:n a", 1),
        ("id:1 natural:m a", 2),
    ];
    assert_eq!(outcomes(&ledger, &posts), [Stored, Duplicate, Duplicate]);
}

#[test]
fn a_repeat_with_other_content_is_told_and_the_first_one_speaks() {
    let ledger = Ledger::new();
    ledger.post("natural:n first", 0);
    ledger.post("natural:n second", 1);
    let odd = "select reason || duplicate_of from deliveries where seq = 2";
    assert_eq!(ledger.text(odd), "same id, other content1");
    assert_eq!(ledger.text("select group_concat(seq) from events"), "1");
}

#[test]
fn a_key_without_a_time_holds_for_its_window_after_the_last_stored_one() {
    let ledger = Ledger::new();
    let posts = [
        ("within:k a", 0),
        ("within:k a", 10 * MINUTE),
        ("within:k a", 10 * MINUTE + 1),
        ("within:k a", 20 * MINUTE),
        ("within:k a", 20 * MINUTE + 2),
    ];
    assert_eq!(
        outcomes(&ledger, &posts),
        [Stored, Duplicate, Stored, Duplicate, Stored]
    );
}

#[test]
fn a_second_honest_sign_in_counts() {
    let ledger = Ledger::new();
    let posts = [
        ("bytes: login", 0),
        ("bytes: login", 2_000),
        ("bytes: login", 2_001),
        ("bytes: login", DAY),
    ];
    assert_eq!(
        outcomes(&ledger, &posts),
        [Stored, Duplicate, Stored, Stored]
    );
}

#[test]
fn a_retry_after_a_lost_answer_is_a_repeat_for_a_day_and_across_a_restart() {
    let mut ledger = Ledger::new();
    assert_eq!(ledger.send(delivery("bytes: login", 0)).outcome, Stored);
    assert_eq!(
        ledger.send(delivery("bytes: login", 10 * MINUTE)).outcome,
        Duplicate
    );
    ledger.reopen();
    assert_eq!(
        ledger.send(delivery("bytes: login", DAY)).outcome,
        Duplicate
    );
    assert_eq!(
        ledger.send(delivery("bytes: login", DAY + 1)).outcome,
        Stored
    );
}

#[test]
fn an_answered_repeat_stands_for_the_first_ones_answer() {
    let ledger = Ledger::new();
    ledger.send(delivery("bytes: login", 0));
    assert_eq!(ledger.post("bytes: login", MINUTE).outcome, Duplicate);
    assert_eq!(ledger.post("bytes: login", 60 * MINUTE).outcome, Stored);
}

#[test]
fn the_same_fact_in_both_formats_counts_once() {
    let ledger = Ledger::new();
    let posts = [
        ("old:reader a", 0),
        ("new:reader b", 59_999),
        ("old:reader a", 60_000),
        ("new:reader b", 2 * MINUTE),
    ];
    assert_eq!(
        outcomes(&ledger, &posts),
        [Stored, Duplicate, Stored, Stored]
    );
    let told = "select confidence || ' ' || reason from deliveries where seq = 2";
    assert_eq!(
        ledger.text(told),
        "likely the same fact in the provider's other format"
    );
}

#[test]
fn what_could_not_be_read_does_not_speak_for_what_can() {
    let ledger = Ledger::new();
    let posts = [
        ("id:1 garbage", 0),
        ("id:1 garbage", 1),
        ("id:1 fine", 2),
        ("id:1 fine", 3),
    ];
    assert_eq!(
        outcomes(&ledger, &posts),
        [Quarantined, Duplicate, Stored, Duplicate]
    );
    assert_eq!(
        ledger.text("select duplicate_of from deliveries where seq = 4"),
        "3"
    );
}

#[test]
fn a_test_does_not_swallow_the_real_thing() {
    let ledger = Ledger::new();
    let mut test = delivery("id:1 a", 0);
    test.test = true;
    assert_eq!(ledger.send(test.clone()).outcome, Stored);
    assert_eq!(ledger.send(test.clone()).outcome, Duplicate);
    assert_eq!(ledger.post("id:1 a", 1).outcome, Stored);
    assert_eq!(ledger.send(test).duplicate_of, Some(3));
}

#[test]
fn an_import_done_twice_adds_nothing_and_keeps_its_own_times() {
    let ledger = Ledger::new();
    ledger.post("bytes: login", 0);
    let import = |ms| {
        let mut old = delivery("bytes: login", ms);
        old.origin = Origin::Import;
        ledger.send(old).outcome
    };
    let days = [-9, -8, -7, -6].map(|day| day * DAY);
    assert_eq!(days.map(import), [Stored; 4]);
    assert_eq!(days.map(import), [Duplicate; 4]);
    assert_eq!(
        ledger.text("select received_at from deliveries where seq = 3"),
        "2025-12-28T09:00:00.000Z"
    );
    assert_eq!(ledger.post("bytes: login", 1).outcome, Duplicate);
}

#[test]
fn racing_threads_give_one_event() {
    let ledger = Ledger::new();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for id in 0..20 {
                    ledger.post(&format!("id:{id} a"), 0);
                }
            });
        }
    });
    assert_eq!(ledger.text("select count(*) from deliveries"), "160");
    assert_eq!(
        ledger.text("select count(*) from deliveries where outcome = 'stored'"),
        "20"
    );
    super::eventually("folded", || {
        ledger.text("select count(*) from events") == "20"
    });
}
