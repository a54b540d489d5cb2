//! Readers.

use crate::domain::delivery::IdentityProof;
use crate::domain::event::{
    Actor, CancellationFacts, Event, EventType, Facts, Occurred, SubscriptionFacts,
};
use crate::store::project::tests::named::told;
use crate::store::project::tests::{Ledger, Sent, at, event, reader};

fn plain(kind: EventType, when: &str) -> Sent {
    Sent::of(vec![event(kind, when, "ada", Facts::None)])
}

#[test]
fn the_latest_statement_wins_and_an_empty_one_says_nothing() {
    let mut first = plain(EventType::UserRegistered, "2026-01-01");
    first.events[0].subject.email = Some("old@example.org".into());
    first.events[0].subject.name = Some("Ada".into());
    let mut second = plain(EventType::UserSignedIn, "2026-01-02");
    second.events[0].subject.email = Some("new@example.org".into());
    second.events[0].subject.name = Some(String::new());
    let ledger = told("2026-02-01", &[first, second]);
    assert_eq!(
        ledger.ask("select email, name, sign_ins, substr(registered_at, 1, 10) from users"),
        ["new@example.org|Ada|1|2026-01-01"]
    );
}

#[test]
fn last_seen_is_what_the_reader_did_and_not_what_happened_to_them() {
    let cancel = |when, actor| {
        let mut cancel = event(
            EventType::SubscriptionCancelled,
            when,
            "ada",
            Facts::Subscription(SubscriptionFacts {
                cancellation: Some(CancellationFacts {
                    actor,
                    ..CancellationFacts::default()
                }),
                ..SubscriptionFacts::default()
            }),
        );
        cancel.subscription_id = Some("s1".into());
        Sent::of(vec![cancel])
    };
    let seen = "select substr(first_seen_at, 1, 10), substr(last_seen_at, 1, 10) from users";
    let ledger = told(
        "2026-02-01",
        &[
            plain(EventType::UserSignedIn, "2026-01-02"),
            plain(EventType::SubscriptionRenewed, "2026-01-03"),
            plain(EventType::SubscriptionExpired, "2026-01-04"),
            plain(EventType::PaymentRefunded, "2026-01-05"),
            cancel("2026-01-06", Actor::Unknown),
        ],
    );
    assert_eq!(ledger.ask(seen), ["2026-01-02|2026-01-02"]);
    let ledger = told(
        "2026-02-01",
        &[
            plain(EventType::SubscriptionRenewed, "2026-01-03"),
            cancel("2026-01-06", Actor::User),
        ],
    );
    assert_eq!(ledger.ask(seen), ["2026-01-03|2026-01-06"]);
    let ledger = told(
        "2026-02-01",
        &[
            plain(EventType::SubscriptionRenewed, "2026-01-03"),
            plain(EventType::SubscriptionExpired, "2026-01-04"),
        ],
    );
    assert_eq!(ledger.ask(seen), ["2026-01-03|2026-01-03"]);
}

#[test]
fn the_latest_proof_of_an_address_counts_unless_it_is_absent() {
    let sign_in = |when, proof| Sent {
        proof: Some(proof),
        ..plain(EventType::UserSignedIn, when)
    };
    let ledger = told(
        "2026-02-01",
        &[
            sign_in("2026-01-01", IdentityProof::Mismatch),
            sign_in("2026-01-02", IdentityProof::Verified),
            sign_in("2026-01-03", IdentityProof::Absent),
        ],
    );
    assert_eq!(ledger.ask("select identity_proof from users"), ["verified"]);
}

#[test]
fn other_ids_of_a_body_are_kept_as_aliases_of_the_first_that_said_so() {
    let mut bought = plain(EventType::PurchaseCompleted, "2026-01-02");
    bought.events[0].subject.aliases = vec![("61b9".into(), "userAccount".into())];
    let mut earlier = plain(EventType::PurchaseCompleted, "2026-01-01");
    earlier.events[0].subject.aliases = vec![("61b9".into(), "payload.user.userId".into())];
    let ledger = told("2026-02-01", &[bought, earlier]);
    assert_eq!(
        ledger.ask("select user_id, alias, source from user_aliases"),
        ["ada|61b9|payload.user.userId"]
    );
}

#[test]
fn a_nul_becomes_a_visible_sign_in_every_column() {
    let mut sent = plain(EventType::SubscriptionStarted, "2026-01-01");
    sent.events[0].subject.user_id = Some("a\0b".into());
    sent.events[0].subject.city = Some("Pu\0ne".into());
    sent.events[0].subscription_id = Some("s\0".into());
    sent.events[0].facts = Facts::Subscription(SubscriptionFacts {
        gateway_id: Some("g\0".into()),
        ..SubscriptionFacts::default()
    });
    sent.events[0]
        .extra
        .insert("k\0ey".into(), serde_json::json!(["v\0"]));
    let ledger = told("2026-02-01", &[sent]);
    assert_eq!(
        ledger.ask("select user_id, city from users"),
        ["a\u{fffd}b|Pu\u{fffd}ne"]
    );
    assert_eq!(
        ledger.ask("select subscription_id, gateway_id, user_id from subscriptions"),
        ["s\u{fffd}|g\u{fffd}|a\u{fffd}b"]
    );
    assert_eq!(
        ledger.ask("select json_extract(data, '$.subject.city') from events"),
        ["Pu\u{fffd}ne"]
    );
    assert!(
        ledger
            .rows(true)
            .iter()
            .all(|row| !row.contains("\\u0000") && !row.contains("\\0"))
    );
}

#[test]
fn a_provider_s_own_key_does_not_stand_in_the_place_of_ours() {
    let mut sent = plain(EventType::CheckoutReviewed, "2026-01-01");
    sent.events[0].subject.city = Some("Pune".into());
    for key in ["subscription", "subject", "plain"] {
        sent.events[0]
            .extra
            .insert(key.into(), serde_json::json!({"theirs": 1}));
    }
    let ledger = told("2026-02-01", &[sent]);
    assert_eq!(
        ledger.ask("select data from events"),
        [concat!(
            r#"{"subject":{"city":"Pune"},"plain":{"theirs":1},"#,
            r#""body_subject":{"theirs":1},"subscription":{"theirs":1}}"#
        )]
    );
}

#[test]
fn what_states_no_time_is_ordered_by_arrival() {
    let untimed = |email: &str, minutes: i64| {
        let mut event = Event::new(EventType::UserSignedIn, Occurred::NOT_TOLD, reader("ada"));
        event.subject.email = Some(email.into());
        Sent {
            received_at: at("2026-01-01").plus_ms(minutes * 60_000),
            ..Sent::of(vec![event])
        }
    };
    let mut ledger = Ledger::new(at("2026-02-01"));
    ledger.send(&[untimed("a@example.org", 0), untimed("b@example.org", 1)]);
    assert_eq!(
        ledger.ask("select email, sign_ins from users"),
        ["b@example.org|2"]
    );
    assert_eq!(
        ledger.ask("select at = received_at, occurred_at, occurred_at_source from events where n = 0 limit 1"),
        ["1|-|none"]
    );
}

#[test]
fn a_reader_of_tests_only_becomes_real_with_the_first_real_event() {
    let mut test = plain(EventType::UserSignedIn, "2026-01-01");
    test.test = true;
    test.events[0].subject.phone = Some("123".into());
    let mut ledger = Ledger::new(at("2026-02-01"));
    ledger.send(&[test]);
    let row = "select test, sign_ins, phone from users";
    assert_eq!(ledger.ask(row), ["1|1|123"]);
    ledger.send(&[plain(EventType::UserSignedIn, "2026-01-02")]);
    assert_eq!(ledger.ask(row), ["0|1|-"]);
    ledger.retract(&[2]);
    assert_eq!(ledger.ask(row), ["1|1|123"]);
    ledger.retract(&[1]);
    assert_eq!(ledger.ask(row), [""; 0]);
}
