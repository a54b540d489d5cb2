//! Payments and refunds.

use crate::domain::event::{EventType, Facts, Grouping, PaymentFacts, SubscriptionFacts};
use crate::domain::money::Money;
use crate::store::project::tests::named::{
    SPELLS, STANDING, purchase, refund, snapshot, started, told, until,
};
use crate::store::project::tests::{Ledger, Sent, at, event};

#[test]
fn a_refund_that_ends_access_revokes_and_is_a_cancellation_by_the_merchant() {
    let bought = Sent::of(purchase("2026-01-05", "bo", "bo:cricket", "t1"));
    let back = refund("2026-01-10", "bo", "t1", "300");
    let mut ledger = told("2026-01-20", &[bought, back]);
    assert_eq!(
        ledger.ask(STANDING),
        ["bo:cricket|revoked|0|0|2026-01-10|refunded 10 Jan"]
    );
    assert_eq!(
        ledger.ask(SPELLS),
        ["bo:cricket|2026-01-10|refund|merchant|exact|-"]
    );
    assert_eq!(
        ledger.ask("select kind, subscription_id, amount_minor, flag from payments order by at"),
        ["payment|bo:cricket|30000|-", "refund|bo:cricket|-30000|-"]
    );
    // Bought again, for a shorter time than what was given back.
    let again = Sent::of(purchase("2026-01-15", "bo", "bo:cricket", "t2"));
    ledger.send(&[again]);
    assert_eq!(
        ledger.ask(STANDING),
        ["bo:cricket|active|1|-|2026-02-15|until 15 Feb"]
    );
}

#[test]
fn a_refund_without_its_payment_means_the_only_row_with_access_or_none() {
    let one = Sent::of(purchase("2026-01-05", "bo", "bo:cricket", "t1"));
    let two = Sent::of(purchase("2026-01-06", "bo", "bo:tennis", "t2"));
    let unknown = refund("2026-01-10", "bo", "t9", "300");
    let ledger = told("2026-01-20", &[one.clone(), unknown.clone()]);
    assert_eq!(
        ledger.ask(SPELLS),
        ["bo:cricket|2026-01-10|refund|merchant|only|-"]
    );
    let ledger = told("2026-01-20", &[one, two, unknown.clone()]);
    assert_eq!(ledger.ask(SPELLS), [""; 0]);
    assert_eq!(
        ledger.ask("select subscription_id from payments where kind = 'refund'"),
        ["-"]
    );
    let ledger = told("2026-01-20", &[unknown]);
    assert_eq!(ledger.ask("select count(*) from subscriptions"), ["0"]);
}

#[test]
fn a_refund_of_a_bundle_revokes_its_parts_and_one_of_a_pass_nothing() {
    let mut bundle = purchase("2026-01-05", "bo", "b#0", "t1");
    let mut second = bundle[0].clone();
    second.subscription_id = Some("b#1".into());
    bundle[1].subscription_id = None;
    bundle.insert(1, second);
    let other = Sent::of(purchase("2026-01-06", "bo", "bo:tennis", "t2"));
    let back = refund("2026-01-10", "bo", "t1", "300");
    let ledger = told(
        "2026-01-20",
        &[Sent::of(bundle), other.clone(), back.clone()],
    );
    assert_eq!(
        ledger.ask("select subscription_id, stated_status from subscriptions order by 1"),
        ["b#0|revoked", "b#1|revoked", "bo:tennis|active"]
    );
    assert_eq!(ledger.ask("select count(*) from cancellations"), ["2"]);
    let mut pass = purchase("2026-01-05", "bo", "unused", "t1").split_off(1);
    pass[0].subscription_id = None;
    let ledger = told("2026-01-20", &[Sent::of(pass), other, back]);
    assert_eq!(
        ledger.ask("select stated_status from subscriptions"),
        ["active"],
        "its payment is known, and was for something else"
    );
}

#[test]
fn a_refund_of_an_older_kind_has_its_payment_s_ids_and_is_a_row_of_its_own() {
    let money = |kind, when, amount: Money| {
        let mut event = event(
            kind,
            when,
            "ada@example.org",
            Facts::Payment(PaymentFacts {
                payment_id: Some("tx".into()),
                transaction_id: Some("tx".into()),
                for_subscription: true,
                ..PaymentFacts::default()
            }),
        );
        event.subscription_id = Some("s1".into());
        event.money = Some(amount);
        Sent::of(vec![event])
    };
    let price = || Money::read("9.99", "USD");
    let paid = money(EventType::PaymentSucceeded, "2026-01-01", price());
    let back = money(EventType::PaymentRefunded, "2026-01-03", price().negated());
    let ledger = told("2026-01-20", &[started(), paid, back]);
    assert_eq!(
        ledger.ask("select kind, status, amount_minor, amount, amount_text, subscription_id from payments order by at"),
        [
            "payment|succeeded|999|9.99|9.99|s1",
            "refund|refunded|-999|-9.99|-9.99|s1"
        ]
    );
    assert_eq!(
        ledger.ask(STANDING),
        ["s1|active|1|1|2026-02-01|renews 1 Feb"],
        "only its own webhook says that it ended"
    );
    assert_eq!(
        ledger.ask("select sum(amount_minor) from events where amount_minor is not null"),
        ["0"]
    );
}

#[test]
fn a_refund_beyond_its_payment_is_flagged_and_not_cut() {
    let bought = Sent::of(purchase("2026-01-05", "bo", "bo:cricket", "t1"));
    let first = refund("2026-01-10", "bo", "t1", "200");
    let second = refund("2026-01-11", "bo", "t1", "100");
    let third = refund("2026-01-12", "bo", "t1", "0.01");
    let mut ledger = told(
        "2026-01-20",
        &[bought, first.clone(), second, third.clone()],
    );
    let flags = "select amount_minor, flag from payments where kind = 'refund' order by at";
    assert_eq!(
        ledger.ask(flags),
        ["-20000|-", "-10000|-", "-1|more than was paid"]
    );
    ledger.retract(&[3]);
    assert_eq!(ledger.ask(flags), ["-20000|-", "-1|-"]);
    let ledger = told("2026-01-20", &[first, third]);
    assert_eq!(
        ledger.ask(flags),
        ["-20000|-", "-1|-"],
        "nothing is known of what was paid"
    );
}

#[test]
fn an_amount_that_is_not_known_is_flagged_and_never_guessed() {
    let mut paid = purchase("2026-01-05", "bo", "s", "t1").split_off(1);
    paid[0].money = Some(Money::read("12.5", ""));
    let mut none = purchase("2026-01-06", "bo", "s", "t2").split_off(1);
    none[0].money = None;
    if let Facts::Payment(facts) = &mut none[0].facts {
        facts.payment_id = None;
        facts.flag = Some("several sellers".into());
    }
    let ledger = told("2026-01-20", &[Sent::of(paid)]);
    assert_eq!(
        ledger.ask("select amount_minor, currency, amount, amount_text, flag from payments"),
        ["-|-|-|12.5|no currency"]
    );
    let ledger = told("2026-01-20", &[Sent::of(none)]);
    assert_eq!(
        ledger.ask("select payment_id, amount_minor, flag from payments"),
        ["delivery:1|-|no amount; several sellers"]
    );
}

#[test]
fn money_alone_makes_no_subscription() {
    let paid = purchase("2026-01-05", "bo", "s", "t1").split_off(1);
    let ledger = told("2026-01-20", &[Sent::of(paid)]);
    assert_eq!(ledger.ask("select count(*) from subscriptions"), ["0"]);
    assert_eq!(
        ledger.ask("select subscription_id, for_subscription from payments"),
        ["s|1"]
    );
}

#[test]
fn days_count_events_and_distinct_readers_in_the_ledger_s_zone() {
    let sign_in =
        |when, who| Sent::of(vec![event(EventType::UserSignedIn, when, who, Facts::None)]);
    let mut test = sign_in("2026-01-05T10:00:00Z", "cy");
    test.test = true;
    let mut ledger = Ledger::new(at("2026-01-20"));
    ledger.send(&[
        sign_in("2026-01-05T10:00:00Z", "ada"),
        sign_in("2026-01-05T10:00:00Z", "ada"),
        sign_in("2026-01-05T18:29:59Z", "bo"),
        // Half past five in the morning of the next day, in Kolkata.
        sign_in("2026-01-05T18:30:00Z", "ada"),
        test,
    ]);
    let counts = "select day, events, users from daily order by day";
    assert_eq!(ledger.ask(counts), ["2026-01-05|3|2", "2026-01-06|1|1"]);
    ledger.retract(&[1]);
    assert_eq!(ledger.ask(counts), ["2026-01-05|2|2", "2026-01-06|1|1"]);
    ledger.retract(&[2]);
    assert_eq!(ledger.ask(counts), ["2026-01-05|1|1", "2026-01-06|1|1"]);
    ledger.retest(&[5], false);
    assert_eq!(ledger.ask(counts), ["2026-01-05|2|2", "2026-01-06|1|1"]);
    ledger.retest(&[4], true);
    assert_eq!(ledger.ask(counts), ["2026-01-05|2|2"]);
}

#[test]
fn a_day_that_comes_back_counts_its_readers_once() {
    let zone = "America/St_Johns".parse().unwrap();
    let sent = |time: &str| {
        let when = format!("2010-11-07T{time}Z");
        Sent::of(vec![event(
            EventType::ConsentUpdated,
            &when,
            "ada",
            Facts::None,
        )])
    };
    // At one minute past midnight clocks went back by an hour: the 6th, the 7th, the 6th again, the 7th again.
    let sent = ["02:00:00", "02:30:30", "02:40:00", "03:40:00"].map(sent);
    let mut ledger = Ledger::in_zone(zone, at("2010-11-08"));
    for one in sent {
        ledger.send(&[one]);
        ledger.restart();
    }
    let counts = "select day, events, users from daily order by day";
    let live = ledger.ask(counts);
    assert_eq!(live, ["2010-11-06|2|1", "2010-11-07|2|1"]);
    ledger.rebuild(&[1, 2, 3, 4]);
    assert_eq!(ledger.ask(counts), live);
}

#[test]
fn a_purchase_that_arrives_after_its_refund_is_found() {
    let bought = Sent::of(purchase("2026-01-05", "bo", "bo:cricket", "t1"));
    let mut ledger = Ledger::new(at("2026-01-20"));
    ledger.send(&[refund("2026-01-10", "bo", "t1", "301"), bought]);
    assert_eq!(
        ledger.ask("select subscription_id, flag from payments where kind = 'refund'"),
        ["bo:cricket|more than was paid"]
    );
    assert_eq!(
        ledger.ask("select stated_status from subscriptions"),
        ["revoked"]
    );
}

#[test]
fn a_payment_of_a_reader_whom_a_later_event_joins_is_given_back() {
    // A payment alone, as one without a subscription is told.
    let paid = Sent::of(purchase("2026-01-05", "bo", "bo:cricket", "t1").split_off(1));
    let adas = Sent::of(purchase("2026-01-06", "ada", "shared", "t2"));
    let back = refund("2026-01-10", "ada", "t1", "300");
    let bos = Sent::of(purchase("2026-01-12", "bo", "shared", "t3"));
    let ledger = told("2026-01-20", &[paid, adas, back, bos]);
    assert_eq!(
        ledger.ask("select user_id, subscription_id from payments where kind = 'refund'"),
        ["ada|bo:cricket"]
    );
}

#[test]
fn a_subscription_s_own_id_is_enough_to_revoke_it() {
    let facts = SubscriptionFacts {
        grouping: Grouping::Subscription,
        ..until("2026-02-01")
    };
    let began = snapshot(EventType::SubscriptionStarted, "2026-01-01", facts);
    let mut back = refund("2026-01-10", "ada@example.org", "t1", "1");
    back.events[0].subscription_id = Some("s1".into());
    if let Facts::Payment(facts) = &mut back.events[0].facts {
        facts.grouping = Grouping::Subscription;
    }
    let ledger = told("2026-01-20", &[began, back]);
    assert_eq!(
        ledger.ask("select stated_status, state from subscriptions"),
        ["revoked|refunded 10 Jan"]
    );
}
