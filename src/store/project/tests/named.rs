//! The cases that have a name: traps of the four providers, and the rules they led to.

mod consents;
mod money;
mod subscriptions;
mod users;

use crate::domain::event::{
    CancellationFacts, Event, EventType, Facts, Grouping, PaymentFacts, Snapshot, SnapshotStatus,
    SubscriptionFacts,
};
use crate::domain::money::Money;
use crate::store::project::tests::{Ledger, Sent, at, event};

/// A monthly subscription as Zotlo's snapshots tell it: own id, no reader needed.
fn snapshot(kind: EventType, when: &str, facts: SubscriptionFacts) -> Sent {
    let facts = SubscriptionFacts {
        price: Some(Money::read("9.99", "USD")),
        snapshot: facts.snapshot.or(Some(running())),
        ..facts
    };
    let mut event = event(kind, when, "ada@example.org", Facts::Subscription(facts));
    event.subscription_id = Some("s1".into());
    event.plan = Some("gold".into());
    Sent::of(vec![event])
}

const fn running() -> Snapshot {
    Snapshot {
        status: SnapshotStatus::Active,
        trial: false,
        running: true,
    }
}

const fn stopped() -> Snapshot {
    Snapshot {
        status: SnapshotStatus::Active,
        trial: false,
        running: false,
    }
}

const fn passive() -> Snapshot {
    Snapshot {
        status: SnapshotStatus::Passive,
        trial: false,
        running: false,
    }
}

fn until(when: &str) -> SubscriptionFacts {
    SubscriptionFacts {
        access_until: Some(at(when)),
        ..SubscriptionFacts::default()
    }
}

fn started() -> Sent {
    let facts = SubscriptionFacts {
        auto_renew: Some(true),
        paid_period: Some((at("2026-01-01"), at("2026-02-01"))),
        ..until("2026-02-01")
    };
    snapshot(EventType::SubscriptionStarted, "2026-01-01", facts)
}

fn cancelled(when: &str) -> Sent {
    let facts = SubscriptionFacts {
        auto_renew: Some(false),
        snapshot: Some(stopped()),
        cancellation: Some(CancellationFacts {
            at: Some(at(when)),
            reason: Some("too dear".into()),
            code: Some("CU00001".into()),
            ..CancellationFacts::default()
        }),
        ..until("2026-02-01")
    };
    snapshot(EventType::SubscriptionCancelled, when, facts)
}

fn renewed(when: &str, access: &str) -> Sent {
    let facts = SubscriptionFacts {
        auto_renew: Some(true),
        ..until(access)
    };
    snapshot(EventType::SubscriptionRenewed, when, facts)
}

/// A purchase as Conscent tells it: grouped by reader, with its payment.
fn purchase(when: &str, reader: &str, subscription_id: &str, transaction_id: &str) -> Vec<Event> {
    let mut started = event(
        EventType::SubscriptionStarted,
        when,
        reader,
        Facts::Subscription(SubscriptionFacts {
            grouping: Grouping::Reader,
            price: Some(Money::read("300", "INR")),
            access_until: Some(at(when).plus_months(1)),
            ..SubscriptionFacts::default()
        }),
    );
    started.subscription_id = Some(subscription_id.into());
    started.plan = Some("cricket".into());
    let mut paid = event(
        EventType::PaymentSucceeded,
        when,
        reader,
        Facts::Payment(PaymentFacts {
            grouping: Grouping::Reader,
            payment_id: Some(format!("pay-{transaction_id}")),
            transaction_id: Some(transaction_id.into()),
            for_subscription: true,
            ..PaymentFacts::default()
        }),
    );
    paid.subscription_id = Some(subscription_id.into());
    paid.money = Some(Money::read("300", "INR"));
    vec![started, paid]
}

/// A cancel as Conscent's envelope tells it: an id of its own, a price, neither plan nor date.
fn bare_cancel(when: &str, reader: &str, id: &str, price: Money) -> Sent {
    let mut cancel = event(
        EventType::SubscriptionCancelled,
        when,
        reader,
        Facts::Subscription(SubscriptionFacts {
            grouping: Grouping::Reader,
            auto_renew: Some(false),
            price: Some(price),
            stub: true,
            cancellation: Some(CancellationFacts::default()),
            ..SubscriptionFacts::default()
        }),
    );
    cancel.subscription_id = Some(id.into());
    Sent::of(vec![cancel])
}

fn refund(when: &str, reader: &str, transaction_id: &str, amount: &str) -> Sent {
    let mut refund = event(
        EventType::PaymentRefunded,
        when,
        reader,
        Facts::Payment(PaymentFacts {
            grouping: Grouping::Reader,
            payment_id: Some(format!("refund-{transaction_id}")),
            transaction_id: Some(transaction_id.into()),
            cancels_access: true,
            for_subscription: true,
            ..PaymentFacts::default()
        }),
    );
    refund.money = Some(Money::read(amount, "INR").negated());
    Sent::of(vec![refund])
}

/// A ledger at `now` that got `sent`, first in this order and then in the opposite one, which must not matter.
fn told(now: &str, sent: &[Sent]) -> Ledger {
    let mut keyed = sent.to_vec();
    for (index, sent) in keyed.iter_mut().enumerate() {
        sent.key = Some(format!("key-{index}"));
    }
    let mut ledger = Ledger::new(at(now));
    ledger.send(&keyed);
    keyed.reverse();
    let mut backwards = Ledger::new(at(now));
    backwards.send(&keyed);
    assert_eq!(ledger.rows(false), backwards.rows(false));
    ledger
}

const STANDING: &str = "\
select subscription_id, status, has_access, auto_renew, substr(access_until, 1, 10), state from subscriptions
order by subscription_id";

const SPELLS: &str = "\
select subscription_id, substr(cancelled_at, 1, 10), reason, actor, matched, substr(reactivated_at, 1, 10)
from cancellations order by cancelled_at, id";
