//! What folds keep in memory is bounded in bytes, whatever is sent.

use crate::domain::event::{
    CancellationFacts, ConsentFacts, ConsentKind, ConsentState, Event, EventType, Facts, Grouping,
    PaymentFacts, Scope, SubscriptionFacts,
};
use crate::domain::money::Money;
use crate::domain::time::{DAY_MS, HOUR_MS};
use crate::store::project::order::Place;
use crate::store::project::subscriptions::{Sum, Told};
use crate::store::project::tests::{Ledger, START, Sent, reader, stated};
use crate::store::project::{KEPT_BYTES_MAX, consents};

/// A text of so many bytes, every one of them an x: they are counted wherever they are kept.
fn long(bytes: usize) -> String {
    "x".repeat(bytes)
}

fn count(kept: &impl std::fmt::Debug) -> usize {
    format!("{kept:?}").matches('x').count()
}

fn place(seq: i64) -> Place {
    Place {
        at: START.plus_ms(seq * HOUR_MS),
        rank: 0,
        key: long(500),
        n: 0,
        seq,
    }
}

/// Long in every text.
fn facts(bytes: usize) -> (SubscriptionFacts, PaymentFacts) {
    let money = Money {
        currency: long(bytes),
        text: long(bytes),
        ..Money::read("9.99", "USD")
    };
    let told = SubscriptionFacts {
        gateway_id: Some(long(bytes)),
        purchase_id: Some(long(bytes)),
        price: Some(money.clone()),
        cancellation: Some(CancellationFacts {
            reason: Some(long(bytes)),
            code: Some(long(bytes)),
            ..CancellationFacts::default()
        }),
        flag: Some(long(bytes)),
        ..SubscriptionFacts::default()
    };
    let refund = PaymentFacts {
        payment_id: Some(long(bytes)),
        transaction_id: Some(long(bytes)),
        net: Some(money),
        status: Some(long(bytes)),
        flag: Some(long(bytes)),
        ..PaymentFacts::default()
    };
    (told, refund)
}

#[test]
fn nothing_weighs_less_than_its_texts() {
    let kinds = [
        EventType::SubscriptionStarted,
        EventType::SubscriptionCancelled,
        EventType::SubscriptionRenewed,
        EventType::SubscriptionExpired,
        EventType::PaymentRefunded,
    ];
    let events = (1_i64..).zip(kinds).flat_map(|(seq, kind)| {
        [false, true].map(|test| {
            let (mut facts, refund) = facts(300);
            if kind == EventType::SubscriptionCancelled {
                facts.grouping = Grouping::Reader;
            }
            Told {
                place: place(seq * 2 + i64::from(test)),
                kind,
                test,
                app: long(300),
                user_id: Some(long(300)),
                email: Some(long(300)),
                name: Some(long(300)),
                subscription_id: Some(long(300 + usize::from(kind.rank()))),
                plan: Some(long(300)),
                facts,
                refund,
            }
        })
    });
    let events: Vec<Told> = events.collect();
    for told in &events {
        assert!(told.bytes() >= count(told));
        let mut short = told.clone();
        short.shorten();
        assert!(short.bytes() < told.bytes() - 3_000, "{}", short.bytes());
    }
    let sum = Sum::of(events, &[]);
    assert!(count(&sum) > 10_000);
    assert!(sum.bytes() >= count(&sum));
}

fn consent(hour: i64, purposes: usize, user_id: &str) -> Sent {
    let scopes = (0..purposes).map(|purpose| Scope {
        purpose: format!("{purpose}-{}", "x".repeat(30)),
        state: ConsentState::ALL[usize::try_from(hour).unwrap() % ConsentState::ALL.len()],
        method: Some(long(10)),
        version: Some(long(10)),
        evidence: Some(long(10)),
        given_at: None,
        revoked_at: None,
        wording: Some(long(50)),
    });
    let facts = ConsentFacts {
        kind: ConsentKind::Consent,
        app: long(50),
        whole_set: true,
        withdraws_all: false,
        scopes: scopes.collect(),
    };
    let when = START.plus_ms(hour * HOUR_MS);
    let mut event = Event::new(EventType::ConsentUpdated, stated(when), reader(user_id));
    event.facts = Facts::Consent(facts);
    event.subject.email = Some(long(40));
    Sent::of(vec![event])
}

#[test]
fn consents_are_kept_as_far_as_there_is_room() {
    const ROOM: usize = 400_000;
    let mut ledger = Ledger::new(START.plus_ms(DAY_MS));
    ledger.kept_bytes_max = ROOM;
    ledger.restart();
    let mut most = 0;
    // The last one came late, so the events are kept too, where there is room.
    for (purposes, readers) in [(40, 60), (300, 6), (1_500, 2)] {
        for reader in 0..readers {
            let name = format!("{purposes} {reader}");
            for hour in [1, 2, 5, 3, 4] {
                ledger.send(&[consent(hour, purposes, &name)]);
                let kept = count(&ledger.projector.consents);
                assert!(kept <= ROOM, "{kept} of {purposes} purposes");
                most = most.max(kept);
            }
        }
        assert!(most > ROOM / 4, "{most} are all that is kept");
    }
    // What is heavier than half of the room is let go, and others are kept on.
    ledger.send(&[consent(1, 40, "light"), consent(6, 1_500, "1500 0")]);
    let kept = format!("{:?}", ledger.projector.consents);
    assert!(kept.contains("\"light\"") && !kept.contains("\"1500 0\""));
    let (live, seqs) = (ledger.rows(true), ledger.seqs());
    ledger.rebuild(&seqs);
    assert!(live == ledger.rows(true), "rebuilt at once");
}

#[test]
fn a_consent_of_ten_thousand_purposes_is_kept() {
    let mut kept = consents::State::default();
    let Sent { events, .. } = consent(1, 9_900, "ada");
    let Facts::Consent(mut facts) = events[0].facts.clone() else {
        unreachable!("a consent is one");
    };
    for stated in &mut facts.scopes {
        (stated.version, stated.evidence) = (None, None);
    }
    kept.add(&consents::Told {
        place: place(1),
        test: false,
        email: None,
        facts,
    });
    kept.changes.clear();
    assert!(kept.bytes() >= count(&kept.purposes));
    assert!(kept.bytes() < KEPT_BYTES_MAX / 2, "{}", kept.bytes());
}

/// A subscription of ada's with long texts about her.
fn subscription(kind: EventType, hour: i64, id: &str, bytes: usize) -> Sent {
    let (mut facts, _) = facts(bytes);
    facts.gateway_id = None;
    facts.price = None;
    facts.cancellation = facts
        .cancellation
        .filter(|_| kind == EventType::SubscriptionCancelled);
    let when = START.plus_ms(hour * HOUR_MS);
    let mut event = Event::new(kind, stated(when), reader("ada"));
    event.facts = Facts::Subscription(facts);
    event.subscription_id = Some(id.to_owned());
    event.plan = Some(long(bytes + 1));
    event.subject.email = Some(long(bytes + 2));
    event.subject.name = Some(long(bytes + 3));
    Sent::of(vec![event])
}

#[test]
fn what_a_reader_is_called_is_written_whole_and_not_kept() {
    const LONG: usize = 200_000;
    let mut ledger = Ledger::new(START.plus_ms(DAY_MS));
    let hours = (1..20).chain([30, 25]);
    for hour in hours {
        let kind = match hour % 2 {
            0 => EventType::SubscriptionCancelled,
            _ => EventType::SubscriptionRenewed,
        };
        ledger.send(&[subscription(kind, hour, "s1", LONG)]);
        assert!(count(&ledger.projector) < 1_000);
    }
    let lengths = "select length(email) - 200000, length(plan) - 200000, length(purchase_id) - 200000, \
                   length(flag) - 200000, length(cancel_reason) - 200000 from subscriptions";
    assert_eq!(ledger.ask(lengths), ["2|1|0|0|0"]);
    let lengths = "select length(email) - 200000, length(name) - 200000, length(plan) - 200000, \
                   length(reason) - 200000, length(code) - 200000 from cancellations group by 1, 2, 3, 4, 5";
    assert_eq!(ledger.ask(lengths), ["2|3|1|0|0"]);
    let (live, seqs) = (ledger.rows(true), ledger.seqs());
    ledger.rebuild(&seqs);
    assert!(live == ledger.rows(true), "rebuilt at once");
}

#[test]
fn a_text_that_looks_like_a_word_for_one_is_itself() {
    let mut sent = subscription(EventType::SubscriptionCancelled, 1, "s1", 2);
    let Facts::Subscription(facts) = &mut sent.events[0].facts else {
        unreachable!("a subscription is one");
    };
    facts.cancellation = Some(CancellationFacts {
        reason: Some("\u{0}20000".to_owned()),
        code: Some("\u{0}".to_owned()),
        ..CancellationFacts::default()
    });
    let mut ledger = Ledger::new(START.plus_ms(DAY_MS));
    ledger.send(&[sent]);
    assert_eq!(
        ledger.ask("select reason, code from cancellations"),
        ["\u{fffd}20000|\u{fffd}"]
    );
}

#[test]
fn groups_are_kept_as_far_as_there_is_room() {
    const ROOM: usize = 400_000;
    let mut ledger = Ledger::new(START.plus_ms(DAY_MS));
    ledger.kept_bytes_max = ROOM;
    ledger.restart();
    let mut most = 0;
    for (bytes, subscriptions) in [(30, 60), (3_000, 30), (30_000, 6), (150_000, 2)] {
        for id in 0..subscriptions {
            let id = format!("{id}-{}", "x".repeat(bytes));
            for hour in [1, 2, 5, 3, 4] {
                ledger.send(&[subscription(EventType::SubscriptionRenewed, hour, &id, 10)]);
                let kept = count(&ledger.projector.groups);
                assert!(kept <= ROOM, "{kept} of ids of {bytes} bytes");
                most = most.max(kept);
            }
        }
    }
    assert!(most > ROOM / 4, "{most} are all that is kept");
    let light = subscription(EventType::SubscriptionStarted, 6, "light", 10);
    ledger.send(&[light]);
    let kept = format!("{:?}", ledger.projector.groups);
    assert!(kept.contains("\"light\"") && !kept.contains(&"x".repeat(150_000)));
    let (live, seqs) = (ledger.rows(true), ledger.seqs());
    ledger.rebuild(&seqs);
    assert!(live == ledger.rows(true), "rebuilt at once");
}
