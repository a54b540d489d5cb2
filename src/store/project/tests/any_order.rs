//! Events that state their time give the same rows in whatever order they come, however often, in whatever batches and
//! with restarts in between. 10,000 cases of each entity, or as many as `PROPTEST_CASES` says; one ledger takes them
//! all, each case rolled back. proptest prints a failure in its smallest form and the seed that leads there.

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::domain::delivery::{DeliveryKey, KeyRule, Outcome, Reading};
use crate::domain::time::{DAY_MS, Timestamp};
use crate::store::append::{Head, append};
use crate::store::inbox::Job;
use crate::store::leaps::Leaps;
use crate::store::project::Read;
use crate::store::project::tests::generated::{About, same, stream};
use crate::store::project::tests::{Ledger, START, Sent};

const CASES: u32 = 10_000;

/// Few deliveries a case: a fault of order or of batches needs two or three.
const SENT_MAX: usize = 5;

/// One way in which a stream comes in.
#[derive(Clone, Debug)]
struct Arrivals {
    /// Places in the stream, each once or more.
    places: Vec<usize>,
    /// So many deliveries make a batch, over and over.
    batches: Vec<usize>,
    /// Behind which batches everything kept in memory is lost.
    restarts: Vec<bool>,
}

fn arrivals(count: usize) -> impl Strategy<Value = Arrivals> {
    let copies = proptest::collection::vec(0..count, 0..3);
    let places = copies.prop_flat_map(move |copies| {
        let all: Vec<usize> = (0..count).chain(copies).collect();
        Just(all).prop_shuffle()
    });
    (
        places,
        proptest::collection::vec(1_usize..4, 1..3),
        proptest::collection::vec(prop::bool::weighted(0.3), 1..4),
    )
        .prop_map(|(places, batches, restarts)| Arrivals {
            places,
            batches,
            restarts,
        })
}

/// A stream, how it comes in, and the moment of looking.
fn case(about: About) -> impl Strategy<Value = (Vec<Sent>, Arrivals, Timestamp)> {
    stream(about, true, SENT_MAX).prop_flat_map(|all| {
        let count = all.len();
        let now = (30_i64..80).prop_map(|days| START.plus_ms(days * DAY_MS));
        (Just(all), arrivals(count), now)
    })
}

/// A webhook on its way: a copy has the same natural key under another id, as Klustr's copies do.
fn job(sent: &Sent, copy: usize) -> Job {
    let key = sent.key.as_deref().unwrap();
    let natural = DeliveryKey {
        key: key.to_owned(),
        rule: KeyRule::Natural,
    };
    let id = DeliveryKey {
        key: format!("{key} {copy}"),
        rule: KeyRule::Id,
    };
    Job {
        delivery: sent.delivery(),
        reading: Reading {
            keys: vec![natural, id],
            ..sent.reading()
        },
        admits: None,
        repeats_at: None,
        reply: None,
    }
}

/// What stands in the ledger once all has come in as `arrivals` says, each delivery appended and judged by the store.
fn rows(ledger: &mut Ledger, all: &[Sent], arrivals: &Arrivals, now: Timestamp) -> Vec<String> {
    ledger.and_back(now, |ledger| {
        let mut head = Head::START;
        let mut rest = &arrivals.places[..];
        let batches = arrivals.batches.iter().cycle();
        for (size, restart) in batches.zip(arrivals.restarts.iter().cycle()) {
            let (batch, later) = rest.split_at((*size).min(rest.len()));
            let first = arrivals.places.len() - rest.len();
            take(ledger, &mut head, all, batch, first);
            if *restart {
                ledger.restart();
            }
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        ledger.rows(false)
    })
}

fn take(ledger: &mut Ledger, head: &mut Head, all: &[Sent], batch: &[usize], first: usize) {
    let now = ledger.now;
    let jobs: Vec<Job> = batch
        .iter()
        .enumerate()
        .map(|(at, place)| job(&all[*place], first + at))
        .collect();
    ledger.within(|projector, conn| {
        let mut fresh = Vec::with_capacity(jobs.len());
        for job in &jobs {
            let (ack, _) = append(conn, head, job, now, &Leaps::NONE).unwrap();
            if ack.outcome == Outcome::Stored {
                fresh.push(Read {
                    seq: ack.seq,
                    delivery: &job.delivery,
                    reading: &job.reading,
                    dedupe_key: Some(&job.reading.keys[0].key),
                });
            }
        }
        projector.project(conn, &fresh, now).unwrap();
    });
}

fn check(about: About) {
    let config = ProptestConfig {
        failure_persistence: None,
        cases: std::env::var_os("PROPTEST_CASES")
            .map_or(CASES, |_| ProptestConfig::default().cases),
        ..ProptestConfig::default()
    };
    let ledger = RefCell::new(Ledger::new(START));
    TestRunner::new(config)
        .run(&case(about), |(all, arrivals, now)| {
            let mut ledger = ledger.borrow_mut();
            let plain = Arrivals {
                places: (0..all.len()).collect(),
                batches: vec![all.len()],
                restarts: vec![false],
            };
            let rebuilt = rows(&mut ledger, &all, &plain, now);
            same(
                &rows(&mut ledger, &all, &arrivals, now),
                &rebuilt,
                "live and rebuilt",
            )
        })
        .unwrap();
}

/// What stands in the ledger at `now` if all came in and was looked at while the clock said `then`.
fn rows_after(ledger: &mut Ledger, all: &[Sent], then: Timestamp, now: Timestamp) -> Vec<String> {
    ledger.and_back(then, |ledger| {
        ledger.send(all);
        ledger.tick(then);
        let mut after = Some(0);
        while let Some(last) = after {
            ledger.within(|projector, conn| {
                after = projector.tick_again(conn, now, last, 2).unwrap();
            });
        }
        ledger.rows(false)
    })
}

#[test]
fn a_clock_set_back_leaves_what_a_right_one_would_have() {
    let config = ProptestConfig {
        failure_persistence: None,
        cases: 2_000,
        ..ProptestConfig::default()
    };
    let ledger = RefCell::new(Ledger::new(START));
    let cases = (
        stream(About::Subscriptions, true, SENT_MAX),
        0_i64..80,
        0_i64..800,
    );
    TestRunner::new(config)
        .run(&cases, |(all, days, ahead)| {
            let mut ledger = ledger.borrow_mut();
            let now = START.plus_ms(days * DAY_MS);
            let then = now.plus_ms(ahead * DAY_MS);
            let right = ledger.and_back(now, |ledger| {
                ledger.send(&all);
                ledger.rows(false)
            });
            let set_back = rows_after(&mut ledger, &all, then, now);
            same(&set_back, &right, "set back and right")
        })
        .unwrap();
}

#[test]
fn users_and_aliases_do_not_depend_on_arrival() {
    check(About::Users);
}

#[test]
fn subscriptions_do_not_depend_on_arrival() {
    check(About::Subscriptions);
}

#[test]
fn cancellations_do_not_depend_on_arrival() {
    check(About::Cancellations);
}

#[test]
fn consents_and_their_changes_do_not_depend_on_arrival() {
    check(About::Consents);
}

#[test]
fn payments_do_not_depend_on_arrival() {
    check(About::Payments);
}

#[test]
fn daily_counts_do_not_depend_on_arrival() {
    check(About::Daily);
}
