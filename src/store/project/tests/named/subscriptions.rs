//! Subscriptions and cancellations.

use crate::domain::event::{
    Actor, CancellationFacts, EventType, Facts, Interval, IntervalUnit, Snapshot, SubscriptionFacts,
};
use crate::domain::money::Money;
use crate::domain::time::{DAY_MS, HOUR_MS, Zone};
use crate::store::project::subscriptions::{months, period};
use crate::store::project::tests::named::{
    SPELLS, STANDING, bare_cancel, cancelled, passive, purchase, renewed, snapshot, started,
    stopped, told, until,
};
use crate::store::project::tests::{Ledger, Sent, at, event};

#[test]
fn a_cancellation_before_its_purchase_still_cancels() {
    let ledger = told("2026-01-20", &[cancelled("2026-01-10"), started()]);
    assert_eq!(
        ledger.ask(STANDING),
        ["s1|active|1|0|2026-02-01|cancelled, ends 1 Feb"]
    );
    assert_eq!(
        ledger.ask(SPELLS),
        ["s1|2026-01-10|too dear|unknown|exact|-"]
    );
    let bare = bare_cancel(
        "2026-01-10",
        "bo",
        "renewal-1",
        Money::read("300.00", "INR"),
    );
    let bought = Sent::of(purchase("2026-01-05", "bo", "bo:cricket", "t1"));
    let ledger = told("2026-01-20", &[bare, bought]);
    assert_eq!(
        ledger.ask(STANDING),
        ["bo:cricket|active|1|0|2026-02-05|cancelled, ends 5 Feb"]
    );
    assert_eq!(
        ledger.ask(SPELLS),
        ["bo:cricket|2026-01-10|-|unknown|only|-"]
    );
}

#[test]
fn a_renewal_after_a_cancellation_closes_it_and_keeps_its_row() {
    let ledger = told(
        "2026-02-10",
        &[
            started(),
            cancelled("2026-01-10"),
            renewed("2026-02-01", "2026-03-01"),
        ],
    );
    assert_eq!(
        ledger.ask(STANDING),
        ["s1|active|1|1|2026-03-01|renews 1 Mar"]
    );
    assert_eq!(
        ledger.ask(SPELLS),
        ["s1|2026-01-10|too dear|unknown|exact|2026-02-01"]
    );
    assert_eq!(
        ledger.ask("select cancelled_at, cancel_reason, substr(renewed_at, 1, 10), interval_unit, interval_count from subscriptions"),
        ["-|-|2026-02-01|month|1"]
    );
}

#[test]
fn a_second_cancellation_after_a_return_is_a_row_of_its_own() {
    let back = snapshot(
        EventType::SubscriptionReactivated,
        "2026-01-12",
        until("2026-02-01"),
    );
    let ledger = told(
        "2026-01-20",
        &[
            started(),
            cancelled("2026-01-10"),
            // The same spell, told again: no row.
            cancelled("2026-01-11"),
            back,
            cancelled("2026-01-15"),
        ],
    );
    assert_eq!(
        ledger.ask(SPELLS),
        [
            "s1|2026-01-10|too dear|unknown|exact|2026-01-12",
            "s1|2026-01-15|too dear|unknown|exact|-"
        ]
    );
}

#[test]
fn what_ends_after_the_last_year_keeps_no_other_from_ending() {
    let grace = |id: &str, access: &str| {
        let mut failed = snapshot(
            EventType::SubscriptionGraceEntered,
            "2026-01-01",
            until(access),
        );
        failed.events[0].subscription_id = Some(id.to_owned());
        failed
    };
    let mut ledger = Ledger::in_zone(Zone::UTC, at("2026-01-20"));
    ledger.send(&[
        grace("a", "9999-12-02T00:00:00Z"),
        grace("b", "9999-12-31T23:00:00Z"),
        grace("c", "9999-12-31T23:59:59.999Z"),
        grace("d", "2026-01-10"),
    ]);
    ledger.tick(at("2026-03-01"));
    assert_eq!(
        ledger.ask("select subscription_id, status from subscriptions order by 1"),
        ["a|grace", "b|grace", "c|grace", "d|expired"]
    );
    assert_eq!(
        ledger.ask("select count(*) from subscriptions where clock_at <= '2026-03-01'"),
        ["0"]
    );
}

#[test]
fn grace_keeps_access_for_thirty_days_and_recovery_ends_it() {
    let failed = snapshot(
        EventType::SubscriptionGraceEntered,
        "2026-02-01T01:00:00Z",
        until("2026-02-01"),
    );
    let ledger = told("2026-02-10", &[started(), failed.clone()]);
    assert_eq!(
        ledger.ask(STANDING),
        ["s1|grace|1|1|2026-02-01|payment failed, ends 3 Mar"]
    );
    assert_eq!(ledger.ask(SPELLS), [""; 0]);
    let ledger = told("2026-03-04", &[started(), failed.clone()]);
    assert_eq!(
        ledger.ask(STANDING),
        ["s1|expired|0|1|2026-02-01|ended 3 Mar"]
    );
    let paid = snapshot(
        EventType::SubscriptionRecovered,
        "2026-02-05",
        until("2026-03-01"),
    );
    let ledger = told("2026-02-10", &[started(), failed, paid]);
    assert_eq!(
        ledger.ask(STANDING),
        ["s1|active|1|1|2026-03-01|renews 1 Mar"]
    );
}

#[test]
fn ending_for_non_payment_is_a_cancellation_with_and_without_a_cancel() {
    let failed = snapshot(
        EventType::SubscriptionGraceEntered,
        "2026-02-01T01:00:00Z",
        until("2026-02-01"),
    );
    let facts = SubscriptionFacts {
        snapshot: Some(passive()),
        ..until("2026-02-01")
    };
    let over = snapshot(EventType::SubscriptionExpired, "2026-02-20", facts.clone());
    let ledger = told("2026-02-25", &[started(), failed.clone(), over.clone()]);
    assert_eq!(
        ledger.ask(STANDING),
        ["s1|expired|0|0|2026-02-01|ended 20 Feb"]
    );
    assert_eq!(
        ledger.ask(SPELLS),
        ["s1|2026-02-20|non-payment|payment|exact|-"]
    );
    let failed = snapshot(
        EventType::SubscriptionGraceEntered,
        "2026-02-01T01:00:00Z",
        SubscriptionFacts {
            snapshot: Some(stopped()),
            ..until("2026-02-01")
        },
    );
    let ledger = told(
        "2026-02-25",
        &[started(), cancelled("2026-01-10"), failed, over],
    );
    assert_eq!(
        ledger.ask(SPELLS),
        ["s1|2026-01-10|too dear|unknown|exact|-"]
    );
    // The provider may say itself that nobody paid, without grace.
    let told_so = snapshot(
        EventType::SubscriptionExpired,
        "2026-02-20",
        SubscriptionFacts {
            cancellation: Some(CancellationFacts {
                actor: Actor::Payment,
                reason: Some("non-payment".into()),
                ..CancellationFacts::default()
            }),
            ..facts.clone()
        },
    );
    let ledger = told("2026-02-25", &[started(), told_so]);
    assert_eq!(
        ledger.ask(SPELLS),
        ["s1|2026-02-20|non-payment|payment|exact|-"]
    );
    let plain = snapshot(EventType::SubscriptionExpired, "2026-02-20", facts);
    let ledger = told("2026-02-25", &[started(), plain]);
    assert_eq!(ledger.ask(SPELLS), ["s1|2026-02-20|-|unknown|exact|-"]);
}

#[test]
fn a_snapshot_that_carries_a_cancellation_is_one_without_a_cancel_event() {
    let facts = SubscriptionFacts {
        cancellation: Some(CancellationFacts {
            at: Some(at("2026-01-09")),
            ..CancellationFacts::default()
        }),
        auto_renew: Some(false),
        snapshot: Some(stopped()),
        ..until("2026-02-01")
    };
    let carried = snapshot(EventType::SubscriptionUpdated, "2026-01-10", facts);
    let ledger = told("2026-01-20", &[started(), carried.clone()]);
    assert_eq!(ledger.ask(SPELLS), ["s1|2026-01-09|-|unknown|exact|-"]);
    assert_eq!(
        ledger.ask(STANDING),
        ["s1|active|1|0|2026-02-01|cancelled, ends 1 Feb"]
    );
    let back = snapshot(
        EventType::SubscriptionUpdated,
        "2026-01-12",
        until("2026-02-01"),
    );
    let ledger = told("2026-01-20", &[started(), carried, back]);
    assert_eq!(
        ledger.ask(SPELLS),
        ["s1|2026-01-09|-|unknown|exact|2026-01-12"]
    );
    assert_eq!(
        ledger.ask(STANDING),
        ["s1|active|1|1|2026-02-01|renews 1 Feb"]
    );
}

#[test]
fn a_bare_cancel_is_not_guessed_among_several_nor_over_another_price() {
    let cancel = |price| bare_cancel("2026-01-10", "bo", "renewal-1", price);
    let same = || Money::read("300", "INR");
    let one = Sent::of(purchase("2026-01-05", "bo", "bo:cricket", "t1"));
    let two = Sent::of(purchase("2026-01-06", "bo", "bo:tennis", "t2"));
    let ledger = told("2026-01-20", &[one.clone(), two.clone(), cancel(same())]);
    assert_eq!(
        ledger.ask(STANDING),
        [
            "bo:cricket|active|1|-|2026-02-05|until 5 Feb",
            "bo:tennis|active|1|-|2026-02-06|until 6 Feb",
            "renewal-1|pending|-|0|-|purchase not seen, cancelled 10 Jan"
        ]
    );
    assert_eq!(
        ledger.ask(SPELLS),
        ["renewal-1|2026-01-10|-|unknown|none|-"]
    );
    for other in [Money::read("299", "INR"), Money::read("300", "USD")] {
        let ledger = told("2026-01-20", &[one.clone(), cancel(other)]);
        assert_eq!(
            ledger.ask("select matched from cancellations"),
            ["none"],
            "another price or currency"
        );
    }
    let mut fixed = one.clone();
    if let Facts::Subscription(facts) = &mut fixed.events[0].facts {
        facts.auto_renew = Some(false);
    }
    let ledger = told("2026-01-20", &[fixed, cancel(same())]);
    assert_eq!(
        ledger.ask("select matched from cancellations"),
        ["none"],
        "it never renewed"
    );
    let later = Sent::of(purchase("2026-01-15", "bo", "bo:cricket", "t1"));
    let ledger = told("2026-01-20", &[later, cancel(same())]);
    assert_eq!(
        ledger.ask("select matched from cancellations"),
        ["none"],
        "bought after the cancel"
    );
}

#[test]
fn a_bare_cancel_finds_its_purchase_by_the_gateway_s_id() {
    let gateway = |sent: &mut Sent, id: &str| {
        if let Facts::Subscription(facts) = &mut sent.events[0].facts {
            facts.gateway_id = Some(id.into());
        }
    };
    let mut one = Sent::of(purchase("2026-01-05", "bo", "bo:cricket", "t1"));
    let mut two = Sent::of(purchase("2026-01-06", "bo", "bo:tennis", "t2"));
    let mut cancel = bare_cancel("2026-01-10", "bo", "renewal-1", Money::read("1", "INR"));
    gateway(&mut one, "I-1");
    gateway(&mut two, "I-2");
    gateway(&mut cancel, "I-2");
    let ledger = told("2026-01-20", &[one.clone(), two, cancel.clone()]);
    assert_eq!(
        ledger.ask(SPELLS),
        ["bo:tennis|2026-01-10|-|unknown|gateway|-"]
    );
    // Another mandate at the same price is not meant.
    let mut same_price = bare_cancel("2026-01-10", "bo", "renewal-1", Money::read("300", "INR"));
    gateway(&mut same_price, "I-9");
    let ledger = told("2026-01-20", &[one, same_price]);
    assert_eq!(
        ledger.ask(SPELLS),
        ["renewal-1|2026-01-10|-|unknown|none|-"]
    );
}

#[test]
fn a_cancel_that_tells_plan_and_date_is_a_row_that_is_active_until_then() {
    let mut cancel = bare_cancel("2026-01-10", "bo", "mandate-2", Money::read("300", "INR"));
    if let Facts::Subscription(facts) = &mut cancel.events[0].facts {
        facts.stub = false;
        facts.access_until = Some(at("2026-03-01"));
    }
    let bought = Sent::of(purchase("2026-01-05", "bo", "mandate-1", "t1"));
    let ledger = told("2026-01-20", &[bought, cancel]);
    assert_eq!(
        ledger.ask(STANDING),
        [
            "mandate-1|active|1|-|2026-02-05|until 5 Feb",
            "mandate-2|active|1|0|2026-03-01|cancelled, ends 1 Mar"
        ]
    );
    assert_eq!(
        ledger.ask("select started_at from subscriptions where subscription_id = 'mandate-2'"),
        ["-"]
    );
}

#[test]
fn a_cancel_under_another_id_of_the_same_reader_finds_its_mandate() {
    let bought = Sent::of(purchase("2026-01-05", "bo", "renewal-1", "t1"));
    let cancel = bare_cancel(
        "2026-01-10",
        "bo-alias",
        "renewal-1",
        Money::read("300", "INR"),
    );
    let ledger = told("2026-01-20", &[bought, cancel]);
    assert_eq!(
        ledger.ask("select subscription_id, user_id, state from subscriptions"),
        ["renewal-1|bo|cancelled, ends 5 Feb"]
    );
    assert_eq!(
        ledger.ask("select user_id, active_subscriptions from users order by user_id"),
        ["bo|1", "bo-alias|0"]
    );
}

#[test]
fn a_shorter_extension_never_lowers_access_but_a_plain_statement_does() {
    let ledger = told(
        "2026-01-20",
        &[started(), renewed("2026-01-15", "2026-01-25")],
    );
    assert_eq!(
        ledger.ask("select substr(access_until, 1, 10) from subscriptions"),
        ["2026-02-01"]
    );
    let lowered = snapshot(
        EventType::SubscriptionUpdated,
        "2026-01-15",
        until("2026-01-25"),
    );
    let ledger = told("2026-01-20", &[started(), lowered]);
    assert_eq!(
        ledger.ask("select substr(access_until, 1, 10) from subscriptions"),
        ["2026-01-25"]
    );
}

#[test]
fn the_clock_takes_access_first_and_then_the_status() {
    let mut ledger = told("2026-01-20", &[started()]);
    let renews = "s1|active|1|1|2026-02-01|renews 1 Feb";
    assert_eq!(ledger.ask(STANDING), [renews]);
    assert_eq!(ledger.tick(at("2026-01-31T23:59:59Z")), 0);
    assert_eq!(ledger.ask("select active_subscriptions from users"), ["1"]);
    assert_eq!(ledger.tick(at("2026-02-01")), 1);
    assert_eq!(
        ledger.ask(STANDING),
        ["s1|active|0|1|2026-02-01|renewal due 1 Feb"]
    );
    assert_eq!(ledger.ask("select active_subscriptions from users"), ["0"]);
    assert_eq!(ledger.tick(at("2026-02-02")), 1);
    assert_eq!(
        ledger.ask(STANDING),
        ["s1|expired|0|1|2026-02-01|ended 1 Feb"]
    );
    assert_eq!(
        ledger.ask("select stated_status from subscriptions"),
        ["active"]
    );
    // Midnight of the year in Kolkata.
    assert_eq!(ledger.tick(at("2026-12-31T18:29:59Z")), 0);
    assert_eq!(ledger.tick(at("2026-12-31T18:30:00Z")), 1);
    assert_eq!(
        ledger.ask("select state, clock_at from subscriptions"),
        ["ended 1 Feb 2026|-"]
    );
    assert_eq!(ledger.ask(SPELLS), [""; 0], "ran out by the clock");
}

#[test]
fn a_cancelled_one_expires_at_once_when_its_access_does() {
    let mut ledger = told("2026-01-20", &[started(), cancelled("2026-01-10")]);
    assert_eq!(ledger.tick(at("2026-02-01")), 1);
    assert_eq!(
        ledger.ask(STANDING),
        ["s1|expired|0|0|2026-02-01|ended 1 Feb"]
    );
}

#[test]
fn a_date_of_another_year_says_so() {
    let ledger = told(
        "2026-01-20",
        &[started(), renewed("2026-01-15", "2027-01-15")],
    );
    assert_eq!(
        ledger.ask("select state, clock_at from subscriptions"),
        ["renews 15 Jan 2027|2026-12-31T18:30:00.000Z"]
    );
}

#[test]
fn a_trial_has_a_price_but_no_interval_until_it_is_paid() {
    let trial = || {
        let facts = SubscriptionFacts {
            auto_renew: Some(true),
            snapshot: Some(Snapshot {
                trial: true,
                ..super::running()
            }),
            paid_period: Some((at("2026-01-01"), at("2026-01-04"))),
            ..until("2026-01-04")
        };
        snapshot(EventType::SubscriptionTrialStarted, "2026-01-01", facts)
    };
    let ledger = told("2026-01-02", &[trial()]);
    assert_eq!(
        ledger.ask("select status, state, price_minor, price, interval_unit from subscriptions"),
        ["trialing|trial, renews 4 Jan|999|9.99|-"]
    );
    let facts = SubscriptionFacts {
        paid_period: Some((at("2026-01-04T00:00:03Z"), at("2026-02-04"))),
        ..until("2026-02-04")
    };
    let converted = snapshot(
        EventType::SubscriptionTrialConverted,
        "2026-01-04T00:00:03Z",
        facts,
    );
    let ledger = told("2026-01-05", &[trial(), converted]);
    assert_eq!(
        ledger.ask(
            "select status, state, interval_unit, interval_count, interval_months,
               substr(converted_at, 1, 10), substr(started_at, 1, 10)
             from subscriptions"
        ),
        ["active|renews 4 Feb|month|1|1|2026-01-04|2026-01-01"]
    );
}

#[test]
fn a_period_has_the_length_that_a_calendar_would_give_it() {
    let from = at("2026-01-01");
    for (days, unit, count) in [
        (1, IntervalUnit::Day, 1),
        (7, IntervalUnit::Week, 1),
        (14, IntervalUnit::Day, 14),
        (28, IntervalUnit::Month, 1),
        (31, IntervalUnit::Month, 1),
        (59, IntervalUnit::Month, 2),
        (90, IntervalUnit::Month, 3),
        (184, IntervalUnit::Month, 6),
        (365, IntervalUnit::Year, 1),
        (366, IntervalUnit::Year, 1),
        (731, IntervalUnit::Month, 24),
        (45, IntervalUnit::Day, 45),
    ] {
        for off in [-HOUR_MS, 0, HOUR_MS] {
            let found = period(from, from.plus_ms(days * DAY_MS + off));
            assert_eq!(found, Some(Interval { unit, count }), "{days} days");
        }
    }
    assert_eq!(period(from, from), None);
    assert_eq!(period(from, from.plus_ms(-DAY_MS)), None);
    let week = Interval {
        unit: IntervalUnit::Week,
        count: 1,
    };
    assert!((months(week) - 84.0 / 365.25).abs() < 1e-12);
}

#[test]
fn a_test_cancel_leaves_a_real_subscription_alone() {
    let mut test = cancelled("2026-01-10");
    test.test = true;
    let mut ledger = Ledger::new(at("2026-01-20"));
    ledger.send(&[test, started()]);
    assert_eq!(
        ledger.ask("select state, test from subscriptions"),
        ["renews 1 Feb|0"]
    );
    assert_eq!(ledger.ask(SPELLS), [""; 0]);
    ledger.retest(&[1], false);
    assert_eq!(
        ledger.ask("select state, test from subscriptions"),
        ["cancelled, ends 1 Feb|0"]
    );
}

#[test]
fn a_cancel_finds_nothing_at_another_provider_nor_what_is_folded_by_itself() {
    let mut own = event(
        EventType::SubscriptionStarted,
        "2026-01-01",
        "bo",
        Facts::Subscription(until("2026-02-01")),
    );
    own.subscription_id = Some("alone".into());
    let cancel = bare_cancel("2026-01-10", "bo", "renewal-1", Money::read("300", "INR"));
    let mut elsewhere = Sent::of(purchase("2026-01-05", "bo", "bo:cricket", "t1"));
    elsewhere.provider = "conscent";
    let ledger = told("2026-01-20", &[Sent::of(vec![own]), cancel, elsewhere]);
    assert_eq!(
        ledger.ask("select provider, subscription_id, stated_status from subscriptions order by 2"),
        [
            "zotlo|alone|active",
            "conscent|bo:cricket|active",
            "zotlo|renewal-1|pending"
        ]
    );
}
