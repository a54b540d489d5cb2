//! What a delivery costs does not grow with what its reader did before. Counted in steps of the database engine, so
//! that nothing depends on how fast the machine is. Refunds are not among them: one has its reader's subscriptions read
//! again, for what it gives back may stand anywhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::event::{
    ConsentFacts, ConsentKind, ConsentState, Event, EventType, Facts, Grouping, Scope,
    SubscriptionFacts,
};
use crate::domain::time::{DAY_MS, HOUR_MS, Timestamp};
use crate::store::project::tests::{Ledger, START, Sent, reader, stated};

/// A reader whose deliveries are measured once they are known well, and again with much more behind them.
const KNOWN: usize = 60;
const MUCH: usize = 500;

/// Engine steps that the `KNOWN`th and the `MUCH`th delivery take, the dearest of ten each. Those of one instant stand in
/// the order of their keys, which they do not come in.
fn steps(one: impl Fn(usize) -> Event) -> (u64, u64) {
    let mut ledger = Ledger::new(START.plus_ms(400 * DAY_MS));
    let count = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&count);
    let handler = move || {
        seen.fetch_add(1, Ordering::Relaxed);
        false
    };
    ledger.conn.progress_handler(1, Some(handler)).unwrap();
    let mut taken = Vec::with_capacity(MUCH);
    for index in 0..MUCH {
        let mut sent = Sent::of(vec![one(index)]);
        sent.key = Some(format!("key-{}", index * 7 % 13));
        sent.received_at = time(index);
        let seq = ledger.append(&[sent]);
        let before = count.load(Ordering::Relaxed);
        ledger.project(&[seq]);
        taken.push(count.load(Ordering::Relaxed) - before);
    }
    let live = ledger.rows(true);
    let seqs = ledger.seqs();
    ledger.rebuild(&seqs);
    assert!(live == ledger.rows(true), "rebuilt at once");
    let dearest = |upto: usize| taken[upto - 10..upto].iter().copied().max().unwrap();
    (dearest(KNOWN), dearest(MUCH))
}

fn check(one: impl Fn(usize) -> Event) {
    for (order, when) in ORDERS {
        let (known, much) = steps(|index| {
            let mut event = one(index);
            event.occurred = stated(time(when(index)));
            event
        });
        assert!(known > 50, "{order}: {known}");
        assert!(much < 2 * known, "{order}: {known} steps became {much}");
    }
}

/// When the event of a place in a stream happened.
type When = fn(usize) -> usize;

/// The orders in which events come.
const ORDERS: [(&str, When); 4] = [
    ("in order", |index| index),
    ("in pairs of one instant", |index| index / 2),
    ("all at one instant", |_| 0),
    ("the last first", |index| MUCH - index),
];

fn time(index: usize) -> Timestamp {
    START.plus_ms(i64::try_from(index).unwrap() * HOUR_MS / 4)
}

fn happened(kind: EventType, index: usize, facts: Facts) -> Event {
    Event {
        facts,
        ..Event::new(kind, stated(time(index)), reader("ada"))
    }
}

fn told(kind: EventType, index: usize, id: String) -> Event {
    let facts = SubscriptionFacts {
        grouping: Grouping::Reader,
        gateway_id: Some("g1".to_owned()),
        access_until: Some(time(index).plus_ms(30 * DAY_MS)),
        ..SubscriptionFacts::default()
    };
    Event {
        subscription_id: Some(id),
        ..happened(kind, index, Facts::Subscription(facts))
    }
}

#[test]
fn a_renewal_costs_the_same_after_many() {
    check(|index| told(EventType::SubscriptionRenewed, index, "s1".to_owned()));
}

#[test]
fn cancelling_and_coming_back_costs_the_same_after_many() {
    check(|index| {
        let kinds = [
            EventType::SubscriptionStarted,
            EventType::SubscriptionCancelled,
        ];
        told(kinds[index % 2], index, "s1".to_owned())
    });
}

#[test]
fn a_new_subscription_costs_the_same_after_many() {
    check(|index| told(EventType::SubscriptionStarted, index, format!("s{index}")));
}

#[test]
fn a_changed_mind_costs_the_same_after_many() {
    check(|index| {
        let states = [ConsentState::Given, ConsentState::Withdrawn];
        let scopes = ["mail", "place"].map(|purpose| Scope {
            purpose: purpose.to_owned(),
            state: states[index % 2],
            method: None,
            version: None,
            evidence: None,
            given_at: None,
            revoked_at: None,
            wording: None,
        });
        let facts = ConsentFacts {
            kind: ConsentKind::Consent,
            app: "app".to_owned(),
            whole_set: true,
            withdraws_all: false,
            scopes: scopes.into(),
        };
        happened(EventType::ConsentUpdated, index, Facts::Consent(facts))
    });
}

#[test]
fn a_sign_in_costs_the_same_after_many() {
    let kinds = [
        EventType::UserSignedIn,
        EventType::PurchaseCompleted,
        EventType::CheckoutReviewed,
    ];
    check(|index| happened(kinds[index % 3], index, Facts::None));
}
