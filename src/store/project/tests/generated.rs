//! Made-up streams of deliveries, with and without a time of their own: whatever the batches, the test marks, the clock
//! and what is taken away, the rows are those of a rebuild, down to the ids. 256 cases of each, more with
//! `PROPTEST_CASES`; proptest prints the seed of a failure. Orders of arrival are in `any_order`.

use std::cell::RefCell;

use proptest::prelude::*;

use crate::domain::delivery::IdentityProof;
use crate::domain::event::{
    Actor, CancellationFacts, ConsentFacts, ConsentKind, ConsentState, Event, EventType, Facts,
    Grouping, Occurred, PaymentFacts, Scope, Snapshot, SnapshotStatus, Subject, SubscriptionFacts,
};
use crate::domain::money::Money;
use crate::domain::time::{DAY_MS, HOUR_MS, Timestamp};
use crate::store::project::KEPT_BYTES_MAX;
use crate::store::project::consents::kind_of;
use crate::store::project::tests::{Ledger, START, Sent, stated};

/// What a stream is mostly about.
#[derive(Clone, Copy, Debug)]
pub(super) enum About {
    Users,
    Subscriptions,
    Cancellations,
    Consents,
    Payments,
    Daily,
}

const SENT_MAX: usize = 12;

/// Few instants, so that many events share one.
pub(super) fn instant() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        (0_i64..6).prop_map(|hours| START.plus_ms(hours * HOUR_MS)),
        (0_i64..90).prop_map(|days| START.plus_ms(days * DAY_MS)),
    ]
}

fn maybe(words: &'static [&'static str]) -> impl Strategy<Value = Option<String>> {
    proptest::option::of(proptest::sample::select(words).prop_map(str::to_owned))
}

fn price() -> impl Strategy<Value = Money> {
    (
        proptest::sample::select(&["9.99", "12.00", "x"][..]),
        proptest::sample::select(&["USD", "TRY", ""][..]),
    )
        .prop_map(|(token, currency)| Money::read(token, currency))
}

prop_compose! {
    fn subject()(
        user in proptest::sample::select(&["ada", "bo"][..]),
        email in maybe(&["ada@example.org", "bo@example.org"]),
        phone in maybe(&["123", "4\u{0}5"]),
        name in maybe(&["Ada", "Bo", ""]),
        city in maybe(&["Pune", "Izmir\u{0}"]),
        alias in maybe(&["a-1", "b-2"]),
        form in 0..20,
    ) -> Subject {
        Subject {
            user_id: match form {
                0 => None,
                1 => Some("session:1".to_owned()),
                _ => Some(user.to_owned()),
            },
            email,
            phone,
            name,
            city,
            aliases: alias.into_iter().map(|alias| (alias, format!("field{form}"))).collect(),
            anonymous: form == 1,
            ..Subject::default()
        }
    }
}

prop_compose! {
    fn cancellation()(
        at in proptest::option::of(instant()),
        reason in maybe(&["too dear", "moved"]),
        code in maybe(&["CU00001"]),
        actor in proptest::sample::select(&[Actor::User, Actor::Unknown, Actor::Payment][..]),
    ) -> CancellationFacts {
        CancellationFacts { at, reason, code, actor }
    }
}

prop_compose! {
    fn snapshot()(
        status in proptest::sample::select(SnapshotStatus::ALL),
        trial in any::<bool>(),
        running in any::<bool>(),
    ) -> Snapshot {
        Snapshot { status, trial, running }
    }
}

prop_compose! {
    pub(super) fn subscription_facts()(
        grouping in proptest::sample::select(&[Grouping::Reader, Grouping::Reader, Grouping::Subscription][..]),
        gateway_id in maybe(&["g1", "g2"]),
        purchase_id in maybe(&["p1", "p2"]),
        price in proptest::option::of(price()),
        paid in proptest::option::of((instant(), instant())),
        access_until in proptest::option::of(instant()),
        access_derived in any::<bool>(),
        auto_renew in any::<Option<bool>>(),
        started_at in proptest::option::of(instant()),
        cancellation in proptest::option::of(cancellation()),
        snapshot in proptest::option::of(snapshot()),
        (stub, flag) in (any::<bool>(), maybe(&["several sellers\u{0}"])),
    ) -> SubscriptionFacts {
        SubscriptionFacts {
            grouping, gateway_id, purchase_id, price, interval: None, paid_period: paid, access_until, access_derived,
            auto_renew, started_at, cancellation, snapshot, stub, flag,
        }
    }
}

prop_compose! {
    fn payment_facts()(
        grouping in proptest::sample::select(&[Grouping::Reader, Grouping::Subscription][..]),
        transaction_id in maybe(&["t1", "t2", "t3"]),
        payment_id in proptest::sample::select(&["a", "b"][..]),
        net in proptest::option::of(price()),
        status in maybe(&["trial"]),
        cancels_access in any::<bool>(),
        for_subscription in any::<bool>(),
        flag in maybe(&["price of the sale"]),
    ) -> PaymentFacts {
        PaymentFacts {
            grouping, payment_id: Some(payment_id.to_owned()), transaction_id, net, status, flag, cancels_access,
            for_subscription,
        }
    }
}

prop_compose! {
    fn scope()(
        purpose in proptest::sample::select(&["openid", "mail", "place"][..]),
        state in proptest::sample::select(ConsentState::ALL),
        method in maybe(&["explicit", "implicit"]),
        version in maybe(&["1.0", "2.0"]),
        given_at in proptest::option::of(instant()),
        revoked_at in proptest::option::of(instant()),
    ) -> Scope {
        Scope {
            purpose: purpose.to_owned(), state, method, version, evidence: None, given_at, revoked_at, wording: None,
        }
    }
}

prop_compose! {
    pub(super) fn consent_facts()(
        app in proptest::sample::select(&["", "app-1"][..]),
        whole_set in any::<bool>(),
        withdraws_all in prop::bool::weighted(0.2),
        scopes in proptest::collection::vec(scope(), 0..4),
    ) -> ConsentFacts {
        ConsentFacts { kind: ConsentKind::Consent, app: app.to_owned(), whole_set, withdraws_all, scopes }
    }
}

fn kind(about: About) -> impl Strategy<Value = EventType> {
    let mine = move |kind: &EventType| match about {
        About::Users => matches!(
            kind.family(),
            "user" | "checkout" | "engagement" | "unknown" | "purchase"
        ),
        About::Subscriptions => matches!(kind.family(), "subscription" | "payment"),
        About::Cancellations => matches!(
            kind,
            EventType::SubscriptionStarted
                | EventType::SubscriptionUpdated
                | EventType::SubscriptionCancelled
                | EventType::SubscriptionReactivated
                | EventType::SubscriptionExpired
                | EventType::PaymentRefunded
        ),
        About::Consents => kind_of(*kind).is_some(),
        About::Payments => kind.family() == "payment",
        About::Daily => true,
    };
    let close: Vec<EventType> = EventType::ALL.iter().copied().filter(mine).collect();
    prop_oneof![
        8 => proptest::sample::select(close),
        1 => proptest::sample::select(EventType::ALL),
    ]
}

fn event(about: About, always_stated: bool) -> impl Strategy<Value = Event> {
    let facts = (subscription_facts(), payment_facts(), consent_facts());
    let more = (
        maybe(&["s1", "s2", "ada:plan", "s1\u{0}"]),
        maybe(&["Gold", "Silver"]),
        proptest::option::of(price()),
        proptest::sample::select(&["", "app"][..]),
    );
    (kind(about), instant(), any::<bool>(), facts, more).prop_map(
        move |(kind, when, is_stated, facts, (subscription_id, plan, money, app))| {
            let mut event = Event::new(kind, Occurred::NOT_TOLD, Subject::default());
            if always_stated || is_stated {
                event.occurred = stated(when);
            }
            event.facts = match kind.family() {
                "subscription" => Facts::Subscription(facts.0),
                "payment" => Facts::Payment(facts.1),
                _ => match kind_of(kind) {
                    Some(kind) => Facts::Consent(ConsentFacts { kind, ..facts.2 }),
                    None => Facts::None,
                },
            };
            event.subscription_id = subscription_id;
            event.plan = plan;
            event.app = app.to_owned();
            event.money = money.filter(|_| kind.family() == "payment").map(|money| {
                if kind == EventType::PaymentRefunded {
                    money.negated()
                } else {
                    money
                }
            });
            event.extra.insert("subject".to_owned(), "theirs".into());
            event
        },
    )
}

fn sent(about: About, always_stated: bool) -> impl Strategy<Value = Sent> {
    (
        proptest::collection::vec(event(about, always_stated), 1..4),
        subject(),
        subject(),
        proptest::option::of(proptest::sample::select(IdentityProof::ALL)),
        prop::bool::weighted(0.15),
        prop::bool::weighted(0.8),
    )
        .prop_map(|(mut events, first, other, proof, test, same)| {
            for (n, event) in events.iter_mut().enumerate() {
                event.subject = if n == 0 || same {
                    first.clone()
                } else {
                    other.clone()
                };
            }
            Sent {
                proof,
                test,
                ..Sent::of(events)
            }
        })
}

/// A stream; each delivery has a key of its own, which decides between equal times.
pub(super) fn stream(
    about: About,
    always_stated: bool,
    most: usize,
) -> impl Strategy<Value = Vec<Sent>> {
    proptest::collection::vec(sent(about, always_stated), 1..most).prop_map(|mut all| {
        for (index, sent) in (0_i64..).zip(all.iter_mut()) {
            sent.key = Some(format!("key-{}", index * 7 % 13));
            sent.received_at = START.plus_ms(40 * DAY_MS + index * 90 * 1000);
        }
        all
    })
}

/// A late moment and an earlier one, both after some of what is stated.
fn moments() -> impl Strategy<Value = (Timestamp, Timestamp)> {
    (30_i64..80, 0_i64..800).prop_map(|(days, more)| {
        let first = START.plus_ms(days * DAY_MS);
        (first, first.plus_ms(more * DAY_MS))
    })
}

/// Memory for what was folded lately: none, for a few small things, and as it is.
pub(super) fn room() -> impl Strategy<Value = usize> {
    proptest::sample::select(&[0, 4_000, 16_000, KEPT_BYTES_MAX][..])
}

/// Nothing, or the rows that stand on one side only.
pub(super) fn same(left: &[String], right: &[String], what: &str) -> Result<(), TestCaseError> {
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        let missing = these.iter().filter(|row| !those.contains(row));
        missing.cloned().collect()
    };
    prop_assert!(
        left == right,
        "{what}\nleft only: {:#?}\nright only: {:#?}",
        only(left, right),
        only(right, left)
    );
    Ok(())
}

fn check_batches(live: &mut Ledger, all: &[Sent], cuts: &[usize]) -> Result<(), TestCaseError> {
    live.send(all);
    let expected = live.rows(true);
    let seqs = live.seqs();
    live.rebuild(&seqs);
    same(&live.rows(true), &expected, "rebuilt at once")?;
    live.rebuild(&[]);
    let mut rest = &seqs[..];
    for cut in cuts.iter().cycle() {
        let (batch, later) = rest.split_at((*cut).min(rest.len()));
        live.project(batch);
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    same(&live.rows(true), &expected, "rebuilt in batches")?;
    // Quarantine retry brings old deliveries after new ones.
    live.rebuild(&[]);
    for seq in seqs.iter().rev() {
        live.project(&[*seq]);
    }
    same(&live.rows(true), &expected, "rebuilt backwards")
}

fn check_marks(live: &mut Ledger, all: &[Sent], picks: &[bool]) -> Result<(), TestCaseError> {
    live.send(all);
    let (some, others): (Vec<i64>, Vec<i64>) = live
        .seqs()
        .into_iter()
        .partition(|seq| picks[usize::try_from(*seq).unwrap() % picks.len()]);
    for (seqs, test) in [(&some, true), (&others, false), (&some, false)] {
        live.retest(seqs, test);
        let marked = live.rows(true);
        let all = live.seqs();
        live.rebuild(&all);
        same(
            &marked,
            &live.rows(true),
            &format!("marked {seqs:?} {test}"),
        )?;
    }
    live.retract(&some);
    let left = live.rows(true);
    live.rebuild(&others);
    same(&left, &live.rows(true), &format!("retracted {some:?}"))?;
    live.retract(&others);
    prop_assert_eq!(live.rows(true), Vec::<String>::new());
    Ok(())
}

fn check_clock(
    ledger: &mut Ledger,
    all: &[Sent],
    now: Timestamp,
    later: Timestamp,
) -> Result<(), TestCaseError> {
    let ticked = ledger.and_back(now, |ticked| {
        ticked.send(all);
        ticked.tick(later);
        prop_assert_eq!(ticked.tick(later), 0);
        Ok(ticked.rows(true))
    })?;
    let fresh = ledger.and_back(later, |fresh| {
        fresh.send(all);
        fresh.rows(true)
    });
    same(&ticked, &fresh, "the clock")
}

fn check(about: About) {
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let any_stream = (
        stream(about, false, SENT_MAX),
        proptest::collection::vec(1_usize..5, 1..5),
        proptest::collection::vec(any::<bool>(), 7),
        moments(),
        room(),
    );
    let ledger = RefCell::new(Ledger::new(START));
    runner
        .run(&any_stream, |(all, cuts, picks, (now, later), room)| {
            let mut ledger = ledger.borrow_mut();
            ledger.kept_bytes_max = room;
            ledger.restart();
            ledger.and_back(now, |live| check_batches(live, &all, &cuts))?;
            ledger.and_back(now, |live| check_marks(live, &all, &picks))?;
            check_clock(&mut ledger, &all, now, later)
        })
        .unwrap();
}

#[test]
fn users_are_those_of_a_rebuild() {
    check(About::Users);
}

#[test]
fn subscriptions_and_cancellations_are_those_of_a_rebuild() {
    check(About::Subscriptions);
}

#[test]
fn cancellations_are_those_of_a_rebuild() {
    check(About::Cancellations);
}

#[test]
fn days_are_those_of_a_rebuild() {
    check(About::Daily);
}

#[test]
fn consents_are_those_of_a_rebuild() {
    check(About::Consents);
}

#[test]
fn payments_are_those_of_a_rebuild() {
    check(About::Payments);
}
