//! Conscent's rules, one test each; the documented samples where `SUBLEDGER_SAMPLES` names their folder.

use super::*;
use crate::config::Secret;
use crate::domain::delivery::{Origin, ProviderId};
use crate::domain::money::MoneyFlag;
use crate::providers::Verdict;

const RECEIVED: &str = "2026-03-01T12:00:00.000Z";

fn received() -> Timestamp {
    Timestamp::parse(RECEIVED).unwrap()
}

fn delivery(hook: &str, body: &[u8]) -> Delivery {
    Delivery {
        provider: ProviderId::known("conscent"),
        account: "main".to_owned(),
        hook: hook.to_owned(),
        received_at: received(),
        headers: Vec::new(),
        body: body.to_vec(),
        credential: "path_key".to_owned(),
        identity_proof: None,
        remote_ip: "192.0.2.1".to_owned(),
        origin: Origin::Live,
        test: false,
    }
}

fn read(hook: &str, body: &str) -> Reading {
    Conscent.read(&delivery(hook, body.as_bytes()))
}

/// Reads a fixture and gives its events; it must be readable.
fn events(hook: &str, body: &str) -> Vec<Event> {
    let reading = read(hook, body);
    match reading.content {
        Content::Events(events) => events,
        Content::Unreadable(why) => panic!("{}: {why}", reading.label),
    }
}

fn types(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(|event| event.kind.as_str()).collect()
}

fn subscription(event: &Event) -> &SubscriptionFacts {
    match &event.facts {
        Facts::Subscription(facts) => facts,
        other => panic!("no subscription: {other:?}"),
    }
}

fn payment(event: &Event) -> &PaymentFacts {
    match &event.facts {
        Facts::Payment(facts) => facts,
        other => panic!("no payment: {other:?}"),
    }
}

fn minor(money: Option<&Money>) -> Option<(i64, &str)> {
    let money = money?;
    Some((money.minor?, money.currency.as_str()))
}

fn unreadable(reading: &Reading) -> bool {
    matches!(reading.content, Content::Unreadable(_))
}

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../tests/fixtures/conscent/", $name, ".json"))
    };
}

#[test]
fn our_own_samples_are_all_read() {
    let expected: &[(&str, &[&str])] = &[
        ("sign-up", &["user.registered"]),
        ("login", &["user.signed_in"]),
        (
            "subscription-payment",
            &["subscription.started", "payment.succeeded"],
        ),
        (
            "subscription-payment-2024",
            &["subscription.started", "payment.succeeded"],
        ),
        ("subscription-cancelled", &["subscription.cancelled"]),
        ("pass-payment", &["purchase.completed", "payment.succeeded"]),
        (
            "bundle-payment",
            &[
                "purchase.completed",
                "payment.succeeded",
                "subscription.started",
                "subscription.started",
                "subscription.started",
            ],
        ),
        ("review-subscription", &["checkout.reviewed"]),
        (
            "micro-payment",
            &["purchase.completed", "payment.succeeded"],
        ),
        (
            "purchase.subscription",
            &["subscription.started", "payment.succeeded"],
        ),
        (
            "purchase.pass",
            &["purchase.completed", "payment.succeeded"],
        ),
        ("refunded.pay_per_use", &["payment.refunded"]),
        ("refunded.subscription", &["payment.refunded"]),
        ("cancelled.subscription", &["subscription.cancelled"]),
        ("subscription_review.view", &["checkout.reviewed"]),
        ("sub_landing_page.click", &["engagement.landing_page"]),
        ("meter_banner.click", &["engagement.meter"]),
        ("meter_banner.close", &["engagement.meter"]),
        ("paywall.click", &["engagement.paywall"]),
        ("paywall.exit", &["engagement.paywall"]),
    ];
    let names: Vec<&str> = SAMPLES.iter().map(|sample| sample.name).collect();
    assert_eq!(
        names,
        expected.iter().map(|(name, _)| *name).collect::<Vec<_>>()
    );
    for (sample, (name, kinds)) in SAMPLES.iter().zip(expected) {
        let all = events(sample.hook, sample.body);
        assert_eq!(types(&all), *kinds, "{name}");
        assert!(
            all.iter().all(|event| event.subject.user_id.is_some()),
            "{name}"
        );
        assert!(HOOKS.iter().any(|hook| hook.name == sample.hook), "{name}");
        let label = read(sample.hook, sample.body).label;
        assert_eq!(label, name.trim_end_matches("-2024"));
    }
}

#[test]
fn the_body_decides_wherever_it_can_and_the_hook_only_the_rest() {
    for sample in SAMPLES.iter().filter(|sample| sample.hook != "events") {
        let at_home = read(sample.hook, sample.body);
        let elsewhere = read("events", sample.body);
        let tells_itself = !matches!(sample.name, "sign-up" | "login");
        assert_eq!(
            at_home.label == elsewhere.label,
            tells_itself || sample.name == "login"
        );
    }
    let sign_up = SAMPLES[0].body;
    assert_eq!(read("events", sign_up).label, "login");
    assert_eq!(types(&events("events", sign_up)), ["user.signed_in"]);
    let cancel = SAMPLES[4].body;
    assert_eq!(read("login", cancel).label, "subscription-cancelled");
}

#[test]
fn the_payment_of_2021_is_tied_to_a_reader_by_the_account_alone() {
    let all = events(
        "subscription-payment",
        fixture!("subscription-payment.2021"),
    );
    assert_eq!(types(&all), ["subscription.started", "payment.succeeded"]);
    let user = "6b01aa10c0ffee00000000a1";
    assert_eq!(all[0].subject.user_id.as_deref(), Some(user));
    assert_eq!(all[0].subject.aliases, []);
    assert_eq!(all[0].plan.as_deref(), Some("Quarter"));
    assert_eq!(
        all[0].subscription_id.as_deref(),
        Some("6b01aa10c0ffee00000000a1:6b01aa10c0ffee00000000d1")
    );
    let facts = subscription(&all[0]);
    assert_eq!(facts.grouping, Grouping::Reader);
    assert_eq!(facts.interval, None);
    let (from, until) = facts.paid_period.unwrap();
    assert_eq!((until.ms() - from.ms()) / crate::domain::time::DAY_MS, 90);
    assert_eq!(minor(all[1].money.as_ref()), Some((20_000, "INR")));
    assert_eq!(payment(&all[1]).net.as_ref().unwrap().minor, Some(19_050));
    assert_eq!(payment(&all[1]).transaction_id, None);
}

#[test]
fn the_second_charge_is_a_renewal_and_status_says_whether_it_renews() {
    let body = fixture!("subscription-payment.status-instead-of-auto-renew");
    let all = events("subscription-payment", body);
    assert_eq!(types(&all), ["subscription.renewed", "payment.succeeded"]);
    assert_eq!(subscription(&all[0]).auto_renew, Some(true));
    let first = body.replace("\"renewalCount\": 2", "\"renewalCount\": 1");
    assert_eq!(types(&events("events", &first))[0], "subscription.started");
    let by_hand = first.replace("\"freeTrial\"", "\"manuallyRenewed\": true, \"freeTrial\"");
    assert_eq!(
        types(&events("events", &by_hand))[0],
        "subscription.renewed"
    );
    let repeat = first.replace(
        "\"freeTrial\"",
        "\"paymentType\": [\"REPEAT\"], \"freeTrial\"",
    );
    let all = events("events", &repeat);
    assert_eq!(
        types(&all)[0],
        "subscription.started",
        "paymentType decides nothing"
    );
    assert_eq!(all[0].extra["paymentType"], serde_json::json!(["REPEAT"]));
    let untold = body.replace("\"status\": \"ACTIVE\",", "");
    assert_eq!(subscription(&events("events", &untold)[0]).auto_renew, None);
    let stopped = body.replace("ACTIVE", "cancelled");
    assert_eq!(
        subscription(&events("events", &stopped)[0]).auto_renew,
        Some(false)
    );
}

#[test]
fn a_free_trial_has_the_price_of_its_renewal_and_its_own_charge() {
    let body = fixture!("subscription-payment.trial");
    let all = events("subscription-payment", body);
    assert_eq!(
        types(&all),
        ["subscription.trial_started", "payment.succeeded"]
    );
    assert_eq!(
        minor(subscription(&all[0]).price.as_ref()),
        Some((35_000, "INR"))
    );
    assert_eq!(minor(all[1].money.as_ref()), Some((0, "INR")));
    assert_eq!(payment(&all[1]).flag, None);
    let priced = body.replace("{ \"price\": 0,", "{ \"price\": 350,");
    let all = events("subscription-payment", &priced);
    assert!(
        payment(&all[1])
            .flag
            .as_ref()
            .unwrap()
            .contains("free trial")
    );
}

#[test]
fn what_was_migrated_is_no_payment() {
    let all = events(
        "subscription-payment",
        fixture!("subscription-payment.migrated"),
    );
    assert_eq!(types(&all), ["subscription.started"]);
    assert_eq!(all[0].subject.name, None, "the name is the e-mail");
    assert_eq!(
        minor(subscription(&all[0]).price.as_ref()),
        Some((50_000, "INR"))
    );
}

#[test]
fn a_flat_bundle_is_one_subscription_called_zero() {
    let all = events(
        "subscription-payment",
        fixture!("bundle-payment.flat-2022-06"),
    );
    assert_eq!(
        types(&all),
        [
            "purchase.completed",
            "payment.succeeded",
            "subscription.started"
        ]
    );
    assert_eq!(
        all[2].subscription_id.as_deref(),
        Some("6b01aa10c0ffee0000000005#0")
    );
    assert_eq!(all[1].subscription_id, None);
    assert_eq!(minor(all[1].money.as_ref()), Some((80_000, "INR")));
    assert_eq!(subscription(&all[2]).auto_renew, Some(false));
    assert_eq!(all[0].subject.name, None, "the name is the phone");
    let reading = read(
        "subscription-payment",
        fixture!("bundle-payment.flat-2022-06"),
    );
    assert_eq!(reading.label, "bundle-payment");

    let later = events("bundle-payment", fixture!("bundle-payment.flat-2022-07"));
    assert_eq!(
        later[2].subscription_id.as_deref(),
        Some("6b01aa10c0ffee00000000b6#0")
    );
    assert_eq!(
        payment(&later[1]).flag.as_deref(),
        Some("several sellers in one bundle")
    );
}

#[test]
fn a_bundle_without_dates_runs_for_its_durations_from_arrival() {
    let all = events("bundle-payment", fixture!("bundle-payment.undated"));
    assert_eq!(all[0].occurred, Occurred::NOT_TOLD);
    let until: Vec<String> = all[2..]
        .iter()
        .map(|part| subscription(part).access_until.unwrap().to_string())
        .collect();
    assert_eq!(
        until,
        ["2026-04-01T12:00:00.000Z", "2027-03-01T12:00:00.000Z"]
    );
    assert!(
        all[2..]
            .iter()
            .all(|part| subscription(part).access_derived)
    );
    assert_eq!(minor(all[1].money.as_ref()), Some((49_500, "INR")));
    assert_eq!(payment(&all[1]).net.as_ref().unwrap().minor, Some(47_025));
    assert_eq!(payment(&all[1]).flag, None, "one seller");
    assert_eq!(all[0].subject.name.as_deref(), Some("Nila Bose"));
    assert_eq!(all[0].extra["utmParameters"]["utm_source"], "poster");
}

#[test]
fn parts_of_several_sellers_are_flagged_and_tax_never_enters_an_amount() {
    let all = events("bundle-payment", SAMPLES[6].body);
    assert_eq!(
        payment(&all[1]).flag.as_deref(),
        Some("several sellers in one bundle")
    );
    assert_eq!(minor(all[1].money.as_ref()), Some((210_000, "INR")));
    let prices: Vec<_> = all[2..]
        .iter()
        .map(|part| subscription(part).price.as_ref().unwrap().minor.unwrap())
        .collect();
    assert_eq!(prices.iter().sum::<i64>(), 210_000);
}

#[test]
fn a_cancel_of_2022_is_read_through_its_last_purchase() {
    let all = events(
        "subscription-cancelled",
        fixture!("subscription-cancelled.2022-01"),
    );
    assert_eq!(types(&all), ["subscription.cancelled"]);
    let cancel = &all[0];
    assert_eq!(
        cancel.occurred,
        Occurred::NOT_TOLD,
        "the dates are the plan's"
    );
    assert_eq!(
        cancel.subject.user_id.as_deref(),
        Some("6b01aa10c0ffee00000000a1")
    );
    assert_eq!(cancel.subject.email, None, "undefined is nothing");
    assert_eq!(
        cancel.subscription_id.as_deref(),
        Some("sub_fixture0000002")
    );
    let facts = subscription(cancel);
    assert_eq!(facts.interval.unwrap().count, 3);
    assert_eq!(facts.auto_renew, Some(false));
    assert_eq!(facts.cancellation.as_ref().unwrap().actor, Actor::User);
    assert_eq!(
        facts.purchase_id.as_deref(),
        Some("6b01aa10c0ffee0000000001")
    );
    assert!(!facts.stub);
    assert_eq!(cancel.money, None);
}

#[test]
fn a_reader_without_an_id_is_known_by_address() {
    let by_phone = events("sign-up", fixture!("sign-up.2021-07"));
    assert_eq!(
        by_phone[0].subject.user_id.as_deref(),
        Some("phone:919012055504")
    );
    assert_eq!(by_phone[0].subject.email, None);
    let by_email = events("login", fixture!("login.2021-12"));
    let who = &by_email[0].subject;
    assert_eq!(who.user_id.as_deref(), Some("email:login@example.org"));
    assert_eq!(who.email.as_deref(), Some("Login@Example.ORG"));
    let named = events("login", fixture!("login.name-is-phone"));
    assert_eq!(named[0].subject.name, None);
    assert_eq!(named[0].extra["freeTrial"], true);
    assert_eq!(
        named[0].facts,
        Facts::None,
        "a free trial of a person is no subscription"
    );
}

#[test]
fn nothing_failed_is_ever_money_or_a_subscription() {
    for body in [
        fixture!("events.transaction-failed"),
        fixture!("events.purchase-failed"),
    ] {
        let all = events("events", body);
        assert_eq!(types(&all), ["unknown"]);
        assert_eq!((&all[0].money, &all[0].facts), (&None, &Facts::None));
        assert_eq!(all[0].subject.email.as_deref(), Some("failed@example.org"));
    }
}

#[test]
fn a_refund_or_cancel_that_failed_is_none() {
    for sample in [11, 12, 13] {
        let body = SAMPLES[sample]
            .body
            .replace("\"event\": \"", "\"event\": \"failed.");
        assert_eq!(types(&events("events", &body)), ["unknown"]);
    }
}

#[test]
fn a_bundle_without_price_details_has_the_price_of_the_whole() {
    let body = fixture!("bundle-payment.undated").replace("bundlePriceDetails", "unread");
    let all = events("bundle-payment", &body);
    assert_eq!(minor(all[1].money.as_ref()), Some((49_500, "INR")));
    assert_eq!(payment(&all[1]).net, None);
}

#[test]
fn the_type_of_a_purchase_outranks_the_name_of_its_event() {
    let all = events("events", fixture!("events.type-outranks-name"));
    assert_eq!(types(&all), ["purchase.completed", "payment.succeeded"]);
    assert_eq!(all[1].plan.as_deref(), Some("Match day"));
    assert_eq!(all[0].extra["expiryDate"], "2026-02-02T00:00:00.000Z");
    let untyped = fixture!("events.type-outranks-name").replace("\"type\": \"PASS\",", "");
    let all = events("events", &untyped);
    assert_eq!(types(&all), ["subscription.started", "payment.succeeded"]);
}

fn envelope(event: &str) -> String {
    format!(
        r#"{{"entity":"event","user_id":"u1","event":"{event}","payload":{{"user":{{"email":"a@example.org"}}}},"created_at":1767225600}}"#
    )
}

#[test]
fn names_of_envelope_events_are_matched_loosely() {
    for (event, kind) in [
        ("meter_banner.view", "engagement.meter"),
        ("paywall.view", "engagement.paywall"),
        ("popup.close", "engagement.popup"),
        ("sub_landing_page.view", "engagement.landing_page"),
        ("subscription_review.exit", "checkout.reviewed"),
        ("user.signup", "user.registered"),
        ("user.sign_up", "user.registered"),
        ("user.Login", "user.signed_in"),
        ("user.update", "user.updated"),
        ("user_profile.updated", "user.updated"),
        ("order.review", "checkout.reviewed"),
        ("transaction.created", "unknown"),
        ("payment_gateway.login", "unknown"),
        ("refunded.subscription", "unknown"),
        ("cancelled.subscription", "unknown"),
        ("purchase.subscription", "unknown"),
        ("something.new", "unknown"),
    ] {
        let body = envelope(event);
        assert_eq!(types(&events("events", &body)), [kind], "{event}");
        let reading = read("events", &body);
        assert_eq!(reading.label, event, "kept as sent");
        let hash = hex(&Sha256::digest(body.as_bytes()));
        assert_eq!(reading.keys[0].key, format!("{event}:{hash}"));
        assert_eq!(reading.keys[0].rule, KeyRule::Natural);
    }
}

#[test]
fn the_same_fact_of_both_generations_has_one_key() {
    let fact = |hook: &str, body: &str| read(hook, body).keys[1].clone();
    let old = fact("sign-up", r#"{"userId":"u1","email":"a@example.org"}"#);
    let new = fact("events", &envelope("user.signup"));
    assert_eq!(old.key, "fact:registered:u1");
    assert_eq!(old.key, new.key);
    assert_eq!(old.rule, KeyRule::OtherGeneration(0));
    assert_eq!(new.rule, KeyRule::OtherGeneration(1));
    for (hook, sample, key) in [
        ("login", SAMPLES[1], "fact:signed_in:"),
        ("subscription-cancelled", SAMPLES[4], "fact:cancelled:"),
        ("review-subscription", SAMPLES[7], "fact:reviewed:"),
        ("events", SAMPLES[13], "fact:cancelled:"),
        ("events", SAMPLES[14], "fact:reviewed:"),
    ] {
        assert!(
            fact(hook, sample.body).key.starts_with(key),
            "{}",
            sample.name
        );
    }
}

#[test]
fn the_same_bytes_on_sign_up_and_login_are_two_deliveries() {
    let body = SAMPLES[0].body;
    let keys = ["sign-up", "login"].map(|hook| read(hook, body).keys[0].clone());
    assert_ne!(keys[0].key, keys[1].key);
    assert!(keys.iter().all(|key| key.rule == KeyRule::Bytes));
}

#[test]
fn a_purchase_has_one_key_in_both_generations() {
    let old = r#"{"_id":"p1","purchaseId":"p2","type":"PASS","userId":"u1","createdAt":"2026-01-01T00:00:00Z"}"#;
    let new = format!(
        r#"{{"event":"purchase.pass","user_id":"u1","payload":{{"purchase":{old}}},"created_at":1}}"#
    );
    for body in [old, &new] {
        let reading = read("events", body);
        assert_eq!(reading.keys[0].key, "purchase:p1");
        assert_eq!(reading.keys[0].rule, KeyRule::Natural);
    }
    let without = r#"{"type":"PASS","userId":"u1","price":5}"#;
    let reading = read("events", without);
    assert_eq!(reading.keys[0].rule, KeyRule::Bytes);
    assert!(reading.keys[0].key.starts_with("pass-payment:"));
    assert_eq!(payment(&reading.events()[1]).payment_id, None);
}

#[test]
fn money_comes_from_the_exact_token() {
    for (token, expected, flag) in [
        ("289.5", Some(28_950), None),
        ("\"201.00\"", Some(20_100), None),
        ("147.01999999999998", Some(14_702), Some(MoneyFlag::Rounded)),
        ("9007199254740993", Some(900_719_925_474_099_300), None),
        ("1e400", None, Some(MoneyFlag::NotANumber)),
        ("0.125", None, Some(MoneyFlag::Inexact)),
    ] {
        let body = format!(
            r#"{{"_id":"p","type":"CONTENT","userId":"u","priceDetails":{{"price":{token},"currency":"INR"}}}}"#
        );
        let all = events("events", &body);
        let money = all[1].money.as_ref().unwrap();
        assert_eq!((money.minor, money.flag), (expected, flag), "{token}");
        assert_eq!(money.text, token.trim_matches('"'));
    }
}

#[test]
fn the_net_is_told_only_in_the_currency_of_the_price() {
    let net = |price: &str| {
        let body = format!(
            r#"{{"_id":"p","type":"CONTENT","userId":"u","price":{price},"buyingPrice":80,"priceDetails":{{"price":100,"currency":"USD"}}}}"#
        );
        let all = events("events", &body);
        payment(&all[1]).net.clone()
    };
    assert_eq!(minor(net("100.0").as_ref()), Some((8_000, "USD")));
    assert_eq!(net("8300"), None);
    assert_eq!(net("null"), None);
}

#[test]
fn a_price_without_details_keeps_its_lack_of_a_currency_visible() {
    let all = events(
        "events",
        r#"{"_id":"p","type":"PASS","userId":"u","price":5}"#,
    );
    let money = all[1].money.as_ref().unwrap();
    assert_eq!(
        (money.minor, money.flag),
        (None, Some(MoneyFlag::NoCurrency))
    );
    let none = events("events", r#"{"_id":"p","type":"PASS","userId":"u"}"#);
    assert_eq!(none[1].money, None);
    assert_eq!(payment(&none[1]).flag.as_deref(), Some("no amount told"));
}

#[test]
fn a_refund_is_negative_and_ends_access_only_of_a_subscription() {
    let refund = |event: &str, amount: &str| {
        let body = format!(
            r#"{{"event":"{event}","user_id":"u1","payload":{{"refund":{{"_id":"r1","amount":{amount},"currency":"INR","cancelAccess":true,"transactionId":"t1"}}}},"created_at":1767225600}}"#
        );
        events("events", &body).remove(0)
    };
    for amount in ["2.50", "-2.50", "\"2.50\""] {
        let event = refund("refunded.subscription", amount);
        assert_eq!(minor(event.money.as_ref()), Some((-250, "INR")));
        assert_eq!(event.money.unwrap().text, "-2.50");
        let Facts::Payment(facts) = event.facts else {
            panic!("no payment facts");
        };
        assert!(facts.cancels_access && facts.for_subscription);
        assert_eq!(facts.transaction_id.as_deref(), Some("t1"));
    }
    let pass = refund("refunded.pass", "1");
    assert!(!payment(&pass).cancels_access);
}

#[test]
fn a_cancel_in_an_envelope_without_an_end_is_a_stub() {
    let all = events("events", SAMPLES[13].body);
    let facts = subscription(&all[0]);
    assert!(facts.stub);
    assert_eq!(facts.cancellation.as_ref().unwrap().actor, Actor::Unknown);
    assert_eq!(minor(facts.price.as_ref()), Some((949, "USD")));
    assert_eq!(facts.access_until, None);
}

#[test]
fn impossible_times_are_kept_out_of_use() {
    for (created_at, source) in [
        ("-1", OccurredSource::Implausible),
        ("4102444800", OccurredSource::Implausible),
        ("1767225600", OccurredSource::Body),
        ("1767225600000", OccurredSource::Body),
        ("\"2026-01-01T00:00:00Z\"", OccurredSource::Body),
        ("\"soon\"", OccurredSource::None),
        ("1e300", OccurredSource::None),
        ("null", OccurredSource::None),
    ] {
        let body = envelope("paywall.exit").replace("1767225600", created_at);
        let event = events("events", &body).remove(0);
        assert_eq!(event.occurred.source, source, "{created_at}");
    }
}

#[test]
fn a_part_that_is_the_word_undefined_does_not_decide_the_kind() {
    let body = r#"{"_id":"p1","userId":"u1","type":"SUBSCRIPTION","subscriptionTitle":"Gold",
        "cancelledSubscriptionDetails":"undefined","subscriptionsDetail":"","bundleBuyingPrice":"undefined",
        "priceDetails":{"price":"10","currency":"INR"}}"#;
    let told = events("events", body);
    assert_eq!(types(&told), ["subscription.started", "payment.succeeded"]);
    let review = r#"{"userId":"u1","username":"","subscriptionDetails":{"title":"Gold"}}"#;
    assert_eq!(types(&events("events", review)), ["checkout.reviewed"]);
}

#[test]
fn a_view_a_cancel_and_a_refund_that_name_a_purchase_are_no_sale() {
    for (name, kind) in [
        ("paywall.click", "engagement.paywall"),
        ("subscription_review.view", "checkout.reviewed"),
        ("refunded.subscription", "unknown"),
        ("cancelled.subscription", "unknown"),
    ] {
        let body = format!(
            r#"{{"event":"{name}","user_id":"u1","created_at":1709189670,"payload":{{"purchase":
                {{"_id":"p1","type":"SUBSCRIPTION","priceDetails":{{"price":10,"currency":"INR"}}}}}}}}"#
        );
        assert_eq!(types(&events("events", &body)), [kind], "{name}");
    }
}

#[test]
fn a_short_phone_is_no_name_either() {
    let body = r#"{"userId":"u1","phoneNumber":"12345","userName":12345}"#;
    assert_eq!(events("login", body)[0].subject.name, None);
}

#[test]
fn an_impossible_time_stays_in_data() {
    let sale = r#"{"_id":"p1","userId":"u1","type":"PASS","createdAt":"1970-01-01T00:00:00.000Z"}"#;
    let told = events("events", sale);
    assert_eq!(told[0].occurred.source, OccurredSource::Implausible);
    assert_eq!(told[0].extra["createdAt"], "1970-01-01T00:00:00.000Z");
    let view = r#"{"event":"paywall.exit","user_id":"u1","created_at":12,"payload":{}}"#;
    assert_eq!(events("events", view)[0].extra["created_at"], "12");
}

#[test]
fn an_offer_is_in_data_and_never_an_amount() {
    let all = events("review-subscription", SAMPLES[7].body);
    assert_eq!(all[0].plan.as_deref(), Some("Quiet reading"));
    assert_eq!(all[0].extra["subscriptionDetails"]["price"], 720);
    assert_eq!(all[0].money, None);
    let viewed = events("events", SAMPLES[14].body);
    assert_eq!(viewed[0].plan.as_deref(), Some("Evening edition"));
    assert_eq!(viewed[0].extra["tier"]["price"], 450);
}

#[test]
fn what_names_nobody_is_quarantined_and_what_is_unknown_is_stored() {
    for (hook, body) in [
        ("login", "{}"),
        ("events", r#"{"hello":"world"}"#),
        ("events", r#"{"type":"PASS","price":5}"#),
        ("events", r#"{"cancelledSubscriptionDetails":{"price":1}}"#),
        ("events", "[1,2]"),
        ("events", "not json"),
        ("events", ""),
    ] {
        assert!(unreadable(&read(hook, body)), "{body}");
    }
    let donation = read("events", r#"{"type":"DONATION","userId":"u1"}"#);
    assert_eq!(donation.label, "DONATION");
    assert_eq!(types(donation.events()), ["unknown"]);
    let nobody = read("events", r#"{"event":"something.new"}"#);
    assert_eq!(types(nobody.events()), ["unknown"]);
    let no_user = r#"{"event":"paywall.view","payload":{},"created_at":1767225600}"#;
    assert_eq!(types(&events("events", no_user)), ["engagement.paywall"]);
}

#[test]
fn a_bundle_of_too_many_parts_is_kept_and_not_read() {
    let parts = vec!["{}"; EVENTS_MAX].join(",");
    let body = format!(r#"{{"purchaseId":"p","userId":"u","subscriptionsDetail":[{parts}]}}"#);
    assert!(unreadable(&read("bundle-payment", &body)));
}

mod gates {
    //! Credentials and the tokens of addresses, by the vectors of the provider's notes.

    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        Settings {
            provider: "conscent".to_owned(),
            account: "main".to_owned(),
            secrets: pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), vec![Secret::new(*value)]))
                .collect(),
            ..Settings::default()
        }
    }

    fn proofs(
        settings: &Settings,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Vec<(&'static str, Verdict)> {
        let request = Request {
            hook: "events".to_owned(),
            path_key: None,
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
                .collect(),
            body: body.as_bytes().to_vec(),
            received_at: received(),
            remote_ip: String::new(),
        };
        let gate = Conscent.gate(settings).unwrap();
        let proofs = (gate.prove)(&request).into_iter();
        proofs.map(|proof| (proof.name, proof.verdict)).collect()
    }

    #[test]
    fn the_documented_credentials_are_right() {
        let settings = settings(&[
            ("api_key", "example-api-key"),
            ("api_secret", "example-api-secret"),
            ("webhook_secret", "example-webhook-secret"),
        ]);
        let headers = [
            (
                "authorization",
                "Basic ZXhhbXBsZS1hcGkta2V5OmV4YW1wbGUtYXBpLXNlY3JldA==",
            ),
            (
                "x-conscent-signature",
                "746c80e5fc64c45145220e026ea0705f9576e8ce30d0776b5afe078004773717",
            ),
        ];
        let body = r#"{"entity":"event","event":"cancelled.subscription"}"#;
        let right = [
            ("basic", Verdict::Right(0)),
            ("signature", Verdict::Right(0)),
        ];
        assert_eq!(proofs(&settings, &headers, body), right);
        let signed: Vec<(String, String)> = Conscent.sign(&settings, body.as_bytes(), received());
        for (own, documented) in signed.iter().zip(headers) {
            assert_eq!((own.0.to_lowercase().as_str(), own.1.as_str()), documented);
        }
    }

    #[test]
    fn on_day_one_basic_is_unchecked() {
        let headers = [("authorization", "Basic ZXhhbXBsZS1hcGkta2V5OmV4YW1wbGU=")];
        let unchecked = [("basic", Verdict::Unchecked)];
        assert_eq!(proofs(&settings(&[]), &headers, "{}"), unchecked);
        assert_eq!(
            proofs(&settings(&[("api_secret", "s")]), &headers, "{}"),
            unchecked
        );
        assert_eq!(proofs(&settings(&[]), &[], "{}"), []);
    }

    #[test]
    fn a_key_without_its_secret_is_a_settings_error() {
        let error = Conscent.gate(&settings(&[("api_key", "k")])).err().unwrap();
        assert!(error.0.contains("api_secret") && error.0.contains("[providers.conscent]"));
    }

    const BY_EMAIL: &str =
        "eyJhbGciOiJIUzI1NiJ9.cmVhZGVyQGV4YW1wbGUub3Jn.Io12bPBBnl1rxY9yTIQb4xbB7OcYNT9wi2rwgtxzAKY";
    const BY_PHONE: &str =
        "eyJhbGciOiJIUzI1NiJ9.OTg0NzU5ODY3Mw.nmzEVpReETELslff0K_A3fA9HhdY5fTmKtjNdswjEvM";

    fn proof(body: &str, secret: Option<&str>) -> IdentityProof {
        let secrets: Vec<Secret> = secret.into_iter().map(Secret::new).collect();
        identify(body.as_bytes(), &secrets)
    }

    fn with(fields: &[(&str, &str)]) -> String {
        let fields: Vec<String> = fields
            .iter()
            .map(|(key, value)| format!(r#""{key}":"{value}""#))
            .collect();
        format!("{{{}}}", fields.join(","))
    }

    #[test]
    fn the_documented_tokens_prove_their_addresses() {
        let secret = Some("example-api-secret");
        let email = with(&[("email", "reader@example.org"), ("hashedEmail", BY_EMAIL)]);
        let phone = with(&[
            ("phoneNumber", "9847598673"),
            ("hashedPhoneNumber", BY_PHONE),
        ]);
        for body in [&email, &phone] {
            assert_eq!(proof(body, secret), IdentityProof::Verified);
            assert_eq!(proof(body, Some("other")), IdentityProof::Mismatch);
            assert_eq!(proof(body, None), IdentityProof::Unverifiable);
        }
        let as_number = format!(r#"{{"phoneNumber":9847598673,"hashedPhoneNumber":"{BY_PHONE}"}}"#);
        assert_eq!(proof(&as_number, secret), IdentityProof::Verified);
        let enveloped = format!(r#"{{"event":"x","payload":{{"user":{email}}}}}"#);
        assert_eq!(proof(&enveloped, secret), IdentityProof::Verified);
    }

    #[test]
    fn what_a_token_does_not_prove_is_told_apart() {
        let secret = Some("example-api-secret");
        let other_address = with(&[("email", "Reader@example.org"), ("hashedEmail", BY_EMAIL)]);
        assert_eq!(proof(&other_address, secret), IdentityProof::Mismatch);
        let no_field = with(&[("hashedEmail", BY_EMAIL)]);
        assert_eq!(proof(&no_field, secret), IdentityProof::Unverifiable);
        let dotless = with(&[("email", "a@example.org"), ("hashedEmail", "8392mx30")]);
        assert_eq!(proof(&dotless, secret), IdentityProof::Unverifiable);
        let none = format!("eyJhbGciOiJub25lIn0.{}", &BY_EMAIL[21..]);
        let unsigned = with(&[("email", "reader@example.org"), ("hashedEmail", &none)]);
        assert_eq!(proof(&unsigned, secret), IdentityProof::Unverifiable);
        assert_eq!(
            proof(&with(&[("email", "a@example.org")]), secret),
            IdentityProof::Absent
        );
        assert_eq!(proof("not json", secret), IdentityProof::Absent);
    }

    #[test]
    fn of_two_tokens_one_mismatch_decides_and_else_one_proof() {
        let secret = Some("example-api-secret");
        let both = |phone: &str, phone_token: &str| {
            with(&[
                ("email", "reader@example.org"),
                ("hashedEmail", BY_EMAIL),
                ("phoneNumber", phone),
                ("hashedPhoneNumber", phone_token),
            ])
        };
        assert_eq!(
            proof(&both("9847598673", BY_PHONE), secret),
            IdentityProof::Verified
        );
        assert_eq!(proof(&both("1", BY_PHONE), secret), IdentityProof::Mismatch);
        assert_eq!(
            proof(&both("1", "7942mey"), secret),
            IdentityProof::Verified
        );
    }
}

mod told {
    //! Made-up lives come out as they were meant.

    use super::*;
    use crate::providers::{Happening, Persona, Plan};

    const PLAN: Plan = Plan {
        title: "Morning",
        price_minor: 28_950,
        currency: "INR",
        months: 3,
    };

    fn tell(number: u64, what: Happening) -> Vec<Event> {
        let who = Persona {
            number,
            name: "Ada \"L\" 日本".to_owned(),
            email: "ada@example.org".to_owned(),
            phone: "919012055599".to_owned(),
            country: "IN",
            city: "Pune",
        };
        let story = Story {
            who: &who,
            at: Timestamp::parse("2026-02-01T10:00:00.123Z").unwrap(),
            nonce: 42 + number,
            what,
        };
        Conscent
            .tell(&story)
            .iter()
            .flat_map(|told| {
                assert!(HOOKS.iter().any(|hook| hook.name == told.hook));
                events(told.hook, std::str::from_utf8(&told.body).unwrap())
            })
            .collect()
    }

    #[test]
    fn stories_become_the_events_that_they_tell() {
        let until = Timestamp::parse("2026-05-01T10:00:00Z").unwrap();
        for number in [0, 1] {
            for (what, expected) in [
                (Happening::Registered, &["user.registered"][..]),
                (Happening::SignedIn, &["user.signed_in"]),
                (
                    Happening::TrialStarted {
                        days: 7,
                        plan: PLAN,
                    },
                    &["subscription.trial_started", "payment.succeeded"],
                ),
                (
                    Happening::Started(PLAN),
                    &["subscription.started", "payment.succeeded"],
                ),
                (
                    Happening::Renewed(PLAN),
                    &["subscription.renewed", "payment.succeeded"],
                ),
                (
                    Happening::Cancelled {
                        plan: PLAN,
                        until,
                        reason: "",
                    },
                    &["subscription.cancelled"],
                ),
                (Happening::Refunded(PLAN), &["payment.refunded"]),
                (
                    Happening::BoughtOnce {
                        price_minor: 4_900,
                        currency: "INR",
                    },
                    &["purchase.completed", "payment.succeeded"],
                ),
                (Happening::SawPaywall, &["engagement.paywall"]),
                (Happening::Ended(PLAN), &[]),
                (Happening::Withdrew, &[]),
            ] {
                assert_eq!(types(&tell(number, what)), expected);
            }
        }
    }

    #[test]
    fn a_told_subscription_keeps_its_price_its_reader_and_its_mandate() {
        for number in [0, 1] {
            let started = tell(number, Happening::Started(PLAN));
            assert_eq!(minor(started[1].money.as_ref()), Some((28_950, "INR")));
            assert_eq!(subscription(&started[0]).interval.unwrap().count, 3);
            assert_eq!(started[0].subject.name.as_deref(), Some("Ada \"L\" 日本"));
            let renewed = tell(number, Happening::Renewed(PLAN));
            assert_eq!(renewed[0].subscription_id, started[0].subscription_id);
            assert_eq!(renewed[0].subject.user_id, started[0].subject.user_id);
            let refunded = tell(number, Happening::Refunded(PLAN));
            assert_eq!(
                payment(&refunded[0]).transaction_id,
                payment(&started[1]).transaction_id
            );
        }
    }
}

mod hostile {
    //! Nothing that can be sent makes reading or judging panic.

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn odd_json_is_read_or_kept_and_never_panics() {
        let deep = "[".repeat(50_000) + &"]".repeat(50_000);
        for body in [
            "\u{feff}{\"userId\":\"u\"}".to_owned(),
            r#"{"userId":"\ud800","name":"\udfff\ud800"}"#.to_owned(),
            r#"{"userId":1e400,"location":1e999999}"#.to_owned(),
            format!(r#"{{"userId":"u","address":{deep}}}"#),
            format!(r#"{{"event":"a","payload":{deep}}}"#),
            r#"{"userId":"a","userId":"b"}"#.to_owned(),
            r#"{"userId":"u\u0000v"}"#.to_owned(),
        ] {
            assert!(!unreadable(&read("login", &body)), "{}", &body[..20]);
        }
        assert_eq!(
            events("login", r#"{"userId":"a","userId":"b"}"#)[0]
                .subject
                .user_id
                .as_deref(),
            Some("b")
        );
        assert_eq!(
            events("login", r#"{"userId":"u\u0000v"}"#)[0]
                .subject
                .user_id
                .as_deref(),
            Some("u\u{fffd}v")
        );
        let reading = Conscent.read(&delivery("login", b"{\"userId\":\"u\",\"name\":\"\xff\"}"));
        assert_eq!(
            reading.events()[0].subject.name.as_deref(),
            Some("\u{fffd}")
        );
        for body in [
            &deep,
            "{} {}",
            "{\"a\":NaN}",
            "\0{}",
            "{\"userId\":\"u\"}\0",
        ] {
            assert!(unreadable(&read("login", body)));
        }
    }

    const KEYS: &[&str] = &[
        "event",
        "payload",
        "user",
        "refund",
        "renewal",
        "purchase",
        "subscription",
        "tier",
        "action",
        "paywall",
        "user_id",
        "userId",
        "userAccount",
        "email",
        "phoneNumber",
        "userName",
        "name",
        "type",
        "bundle",
        "_id",
        "purchaseId",
        "createdAt",
        "created_at",
        "expiryDate",
        "price",
        "priceDetails",
        "currency",
        "buyingPrice",
        "subscriptionsDetail",
        "duration",
        "title",
        "cancelledSubscriptionDetails",
        "lastPurchaseDetails",
        "subscriptionDetails",
        "username",
        "hashedEmail",
        "hashedPhoneNumber",
        "renewedSubscriptionDetails",
        "renewalCount",
        "amount",
        "cancelAccess",
        "freeTrial",
        "tiers",
        "tierId",
        "id",
        "bundlePriceDetails",
    ];

    const WORDS: &[&str] = &[
        "",
        "undefined",
        "SUBSCRIPTION",
        "PASS",
        "CONTENT",
        "INR",
        "XXX",
        "2026-01-01T00:00:00Z",
        "9999-12-31",
        "-262143-01-01T00:00:00Z",
        "1e400",
        "-1",
        "true",
        "cancelled.subscription",
        "purchase.pass",
        "paywall.x",
        "a@b",
        "eyJhbGciOiJIUzI1NiJ9.YQ.YQ",
        "..",
        "\0",
        "日本",
    ];

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(|number| json!(number)),
            proptest::sample::select(WORDS).prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 64, 8, |inner| {
            let key = proptest::sample::select(KEYS).prop_map(str::to_owned);
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map(key, inner, 0..10)
                    .prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    fn try_all(body: &[u8]) {
        for hook in HOOKS {
            let reading = Conscent.read(&delivery(hook.name, body));
            for event in reading.events() {
                assert!(event.money.is_none() || event.kind.family() == "payment");
                serde_json::to_string(&event.facts).unwrap();
            }
        }
        identify(body, &[Secret::new("example-api-secret")]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            try_all(&body);
        }

        #[test]
        fn any_json_is_survived(body in any_value()) {
            try_all(body.to_string().as_bytes());
        }

        #[test]
        fn any_damage_to_a_sample_is_survived(which in 0..SAMPLES.len(), at in any::<prop::sample::Index>(), byte: u8) {
            let mut body = SAMPLES[which].body.as_bytes().to_vec();
            let at = at.index(body.len());
            body[at] = byte;
            try_all(&body);
            try_all(&body[..at]);
        }

        #[test]
        fn any_headers_are_survived(value in proptest::collection::vec(any::<u8>(), 0..80)) {
            let settings = Settings {
                secrets: ["api_key", "api_secret", "webhook_secret"]
                    .map(|key| (key.to_owned(), vec![Secret::new("x")]))
                    .into(),
                ..Settings::default()
            };
            let headers = ["authorization", "x-conscent-signature"];
            let request = Request {
                hook: "events".to_owned(),
                path_key: None,
                headers: headers.map(|name| (name.to_owned(), value.clone())).into(),
                body: value.clone(),
                received_at: received(),
                remote_ip: String::new(),
            };
            let gate = Conscent.gate(&settings).unwrap();
            for proof in (gate.prove)(&request) {
                prop_assert!(matches!(proof.verdict, Verdict::Wrong(_)));
            }
        }
    }
}

mod documented {
    //! MAPPING.md part 1, line by line. The files are the provider's own examples, which are not ours to ship.

    use super::*;

    /// One line of the table.
    struct Line {
        file: &'static str,
        hook: &'static str,
        label: &'static str,
        types: &'static [&'static str],
        user: &'static str,
        subscriptions: &'static [&'static str],
        /// Of the one payment or refund.
        amount: Option<(i64, &'static str)>,
        net: Option<i64>,
        occurred: Option<&'static str>,
        /// `=` and a whole key, or the word before the hash of the body.
        key: &'static str,
    }

    const SHARED: &str = "7843y9xm44428xm24x2m0x2xm42";
    const BLOCKED: &str = "65e01bd8d03692125f1f353d";

    const fn engagement(
        file: &'static str,
        label: &'static str,
        types: &'static [&'static str],
        user: &'static str,
        occurred: &'static str,
    ) -> Line {
        Line {
            file,
            hook: "events",
            label,
            types,
            user,
            subscriptions: &[],
            amount: None,
            net: None,
            occurred: Some(occurred),
            key: label,
        }
    }

    #[rustfmt::skip]
    const TABLE: &[Line] = &[
        Line { file: "sign-up", hook: "sign-up", label: "sign-up", types: &["user.registered"], user: SHARED,
            subscriptions: &[], amount: None, net: None, occurred: None, key: "sign-up" },
        Line { file: "login", hook: "login", label: "login", types: &["user.signed_in"], user: SHARED,
            subscriptions: &[], amount: None, net: None, occurred: None, key: "login" },
        Line { file: "subscription-payment", hook: "subscription-payment", label: "subscription-payment",
            types: &["subscription.started", "payment.succeeded"], user: SHARED,
            subscriptions: &["61efb40a672c7f15840e803c", "61efb40a672c7f15840e803c"],
            amount: Some((30_000, "INR")), net: Some(28_950), occurred: Some("2021-12-15T11:19:30.914Z"),
            key: "=purchase:61b9cf42f5d1f54797aaf14f" },
        Line { file: "subscription-payment-2024", hook: "subscription-payment", label: "subscription-payment",
            types: &["subscription.started", "payment.succeeded"], user: "65d43ac1cc6cfa43c284a040",
            subscriptions: &["65d43ac1cc6cfa43c284a040:65c4e2f1f296fa057f3efa9a", "65d43ac1cc6cfa43c284a040:65c4e2f1f296fa057f3efa9a"],
            amount: Some((200_000, "INR")), net: Some(190_000), occurred: Some("2024-02-20T05:38:31.810Z"),
            key: "=purchase:65d43ad7cc6cfa43c284a06f" },
        Line { file: "subscription-cancelled", hook: "subscription-cancelled", label: "subscription-cancelled",
            types: &["subscription.cancelled"], user: SHARED, subscriptions: &["61efc865acb0d82962e2ad14"],
            amount: None, net: None, occurred: None, key: "subscription-cancelled" },
        Line { file: "pass-payment", hook: "pass-payment", label: "pass-payment",
            types: &["purchase.completed", "payment.succeeded"], user: "628b765e16d01ac4721e1676",
            subscriptions: &[], amount: Some((10_000, "INR")), net: Some(8_000),
            occurred: Some("2022-05-23T11:57:08.061Z"), key: "=purchase:628b76941ed3d9c772be2626" },
        Line { file: "micro-payment", hook: "micro-payment", label: "micro-payment",
            types: &["purchase.completed", "payment.succeeded"], user: "642ed4902107e35b19bf29fa",
            subscriptions: &[], amount: Some((9_900, "INR")), net: Some(7_920),
            occurred: Some("2023-04-13T07:23:16.829Z"), key: "=purchase:6437ade44c60bc0552ad3477" },
        Line { file: "subscription-bundle-payment", hook: "bundle-payment", label: "bundle-payment",
            types: &["purchase.completed", "payment.succeeded", "subscription.started", "subscription.started", "subscription.started"],
            user: "6345153cb9beaf3033c06838",
            subscriptions: &["6345155cb9beaf3033c0683c#0", "6345155cb9beaf3033c0683c#1", "6345155cb9beaf3033c0683c#2"],
            amount: Some((247_100, "INR")), net: Some(234_745), occurred: Some("2022-10-11T07:03:56.672Z"),
            key: "=purchase:6345155cb9beaf3033c0683c" },
        Line { file: "review-subscription", hook: "review-subscription", label: "review-subscription",
            types: &["checkout.reviewed"], user: "6345116cb9beaf3033c065cc", subscriptions: &[],
            amount: None, net: None, occurred: None, key: "review-subscription" },
        Line { file: "new-purchase-subscription", hook: "events", label: "purchase.subscription",
            types: &["subscription.started", "payment.succeeded"], user: "67a33080b06ceb81ad1a0962",
            subscriptions: &["67a33080b06ceb81ad1a0962:kuchbhi", "67a33080b06ceb81ad1a0962:kuchbhi"],
            amount: Some((12_000, "INR")), net: Some(10_800), occurred: Some("2025-02-05T09:37:44.508Z"),
            key: "=purchase:67a33168b06ceb81ad1a0dbf" },
        Line { file: "new-purchase-pass", hook: "events", label: "purchase.pass",
            types: &["purchase.completed", "payment.succeeded"], user: "65e01f76d03692125f1f355e",
            subscriptions: &[], amount: Some((300_000, "INR")), net: Some(240_000),
            occurred: Some("2024-02-29T06:26:34.010Z"), key: "=purchase:65e0239ad03692125f1f35c5" },
        Line { file: "new-refund-pay-per-use", hook: "events", label: "refunded.pay_per_use",
            types: &["payment.refunded"], user: "65dde318171dbd055b502de3", subscriptions: &[],
            amount: Some((-100, "INR")), net: None, occurred: Some("2024-02-29T06:20:29.000Z"),
            key: "=refund:65e0220ed03692125f1f3592" },
        Line { file: "new-refund-subscription", hook: "events", label: "refunded.subscription",
            types: &["payment.refunded"], user: "65e01719d03692125f1f323f", subscriptions: &[],
            amount: Some((-200, "INR")), net: None, occurred: Some("2024-02-29T06:31:03.000Z"),
            key: "=refund:65e0249ed03692125f1f3610" },
        Line { file: "new-cancelled-subscription", hook: "events", label: "cancelled.subscription",
            types: &["subscription.cancelled"], user: "65e026f7d03692125f1f36fa",
            subscriptions: &["65df2e5cd821380560e3c5c4"], amount: None, net: None,
            occurred: Some("2024-02-29T06:54:30.000Z"), key: "=cancel:65df2e5cd821380560e3c5c4:1709189670" },
        engagement("new-subscription-review-view", "subscription_review.view", &["checkout.reviewed"], "65e01719d03692125f1f323f", "2024-02-29T05:35:00.000Z"),
        engagement("new-sub-landing-page-click", "sub_landing_page.click", &["engagement.landing_page"], "65e800a2823acd057d66f897", "2024-03-06T05:38:20.000Z"),
        engagement("new-meter-banner-click", "meter_banner.click", &["engagement.meter"], BLOCKED, "2024-02-29T05:55:30.000Z"),
        engagement("new-meter-banner-close", "meter_banner.close", &["engagement.meter"], BLOCKED, "2024-02-29T05:55:26.000Z"),
        engagement("new-paywall-click", "paywall.click", &["engagement.paywall"], BLOCKED, "2024-02-29T05:57:20.000Z"),
        engagement("new-paywall-exit", "paywall.exit", &["engagement.paywall"], BLOCKED, "2024-02-29T05:56:52.000Z"),
    ];

    fn folder() -> Option<std::path::PathBuf> {
        std::env::var_os("SUBLEDGER_SAMPLES")
            .map(|path| std::path::Path::new(&path).join("conscent"))
    }

    fn body(file: &str) -> Option<String> {
        let path = folder()?.join(format!("{file}.json"));
        Some(std::fs::read_to_string(path).unwrap())
    }

    fn check(line: &Line, body: &str) {
        let file = line.file;
        let reading = read(line.hook, body);
        assert_eq!(reading.label, line.label, "{file}");
        let all = reading.events();
        assert_eq!(types(all), line.types, "{file}");
        for event in all {
            assert_eq!(event.subject.user_id.as_deref(), Some(line.user), "{file}");
            let at = event.occurred.at.map(|at| at.to_string());
            assert_eq!(at.as_deref(), line.occurred, "{file}");
            if event.kind.family() != "payment" {
                assert_eq!(event.money, None, "{file}");
            }
        }
        let ids: Vec<&str> = all
            .iter()
            .filter_map(|event| event.subscription_id.as_deref())
            .collect();
        assert_eq!(ids, line.subscriptions, "{file}");
        let paid = all.iter().find(|event| event.kind.family() == "payment");
        assert_eq!(
            minor(paid.and_then(|event| event.money.as_ref())),
            line.amount,
            "{file}"
        );
        let net = paid.and_then(|event| payment(event).net.as_ref()?.minor);
        assert_eq!(net, line.net, "{file}");
        let key = match line.key.strip_prefix('=') {
            Some(key) => key.to_owned(),
            None => format!("{}:{}", line.key, hex(&Sha256::digest(body))),
        };
        assert_eq!(reading.keys[0].key, key, "{file}");
        let policy = if line.occurred.is_some() { 2 } else { 3 };
        assert_eq!(reading.keys[0].rule.policy(), policy, "{file}");
    }

    #[test]
    fn every_line_of_the_table_holds() {
        if folder().is_none() {
            return;
        }
        let mut sum = 0;
        for line in TABLE {
            let body = body(line.file).unwrap();
            check(line, &body);
            sum += line.amount.map_or(0, |(minor, _)| minor);
        }
        assert_eq!(sum, 808_700);
        let files = std::fs::read_dir(folder().unwrap()).unwrap().count();
        assert_eq!(files, TABLE.len());
    }

    #[test]
    fn the_rows_named_in_the_table_are_told() {
        let Some(paid) = body("subscription-payment") else {
            return;
        };
        let paid = events("subscription-payment", &paid);
        let facts = subscription(&paid[0]);
        assert_eq!(paid[0].plan.as_deref(), Some("Subscription 5"));
        assert_eq!(facts.auto_renew, Some(true));
        assert_eq!(facts.interval.unwrap().count, 5);
        assert_eq!(facts.gateway_id.as_deref(), Some("sub_Inua2HuuV2lxLG"));
        assert_eq!(minor(facts.price.as_ref()), Some((30_000, "INR")));
        assert_eq!(
            facts.access_until.unwrap().to_string(),
            "2022-05-15T11:19:30.897Z"
        );
        assert_eq!(
            paid[0].subject.aliases,
            [(
                "61b9cefbf5d1f54797aaf149".to_owned(),
                "userAccount".to_owned()
            )]
        );

        let cancelled = events(
            "subscription-cancelled",
            &body("subscription-cancelled").unwrap(),
        );
        let facts = subscription(&cancelled[0]);
        assert_eq!(cancelled[0].plan.as_deref(), Some("Subscription 5"));
        assert_eq!(facts.interval.unwrap().count, 5);
        assert_eq!(
            facts.access_until.unwrap().to_string(),
            "2023-04-25T09:52:52.814Z"
        );
        assert_eq!(facts.gateway_id.as_deref(), Some("sub_InvqpVxG0vu7n8"));
        assert_eq!(minor(facts.price.as_ref()), Some((30_000, "INR")));
        assert_eq!(cancelled[0].subject.name.as_deref(), Some("john doe"));
        assert!(!facts.stub);
    }

    #[test]
    fn the_rows_named_for_envelopes_and_bundles_are_told() {
        let Some(newer) = body("new-purchase-subscription") else {
            return;
        };
        let newer = events("events", &newer);
        let who = &newer[0].subject;
        assert_eq!(who.aliases[0].0, "67a3307bb06ceb81ad1a0945");
        assert_eq!(
            (who.name.as_deref(), who.city.as_deref()),
            (Some("ayush"), Some("faridabad"))
        );
        assert_eq!(subscription(&newer[0]).auto_renew, None);

        let stub = events("events", &body("new-cancelled-subscription").unwrap());
        let facts = subscription(&stub[0]);
        assert!(facts.stub);
        assert_eq!(minor(facts.price.as_ref()), Some((1326, "USD")));
        assert_eq!(facts.gateway_id.as_deref(), Some("I-VY5DHGTSMYUR"));

        let bundle = events(
            "bundle-payment",
            &body("subscription-bundle-payment").unwrap(),
        );
        let parts: Vec<_> = bundle[2..]
            .iter()
            .map(|part| {
                let facts = subscription(part);
                (
                    part.plan.as_deref().unwrap(),
                    minor(facts.price.as_ref()).unwrap().0,
                    facts.interval.unwrap().count,
                )
            })
            .collect();
        assert_eq!(
            parts,
            [
                ("Digital", 20_100, 12),
                ("Physical-Digital", 100_100, 1),
                ("Didi+Phy+Ad Free", 126_900, 1)
            ]
        );
    }

    #[test]
    fn the_proofs_named_in_the_table_are_found() {
        let Some(sign_up) = body("sign-up") else {
            return;
        };
        let review = body("review-subscription").unwrap();
        let secrets = [Secret::new("example-api-secret")];
        assert_eq!(
            identify(sign_up.as_bytes(), &secrets),
            IdentityProof::Unverifiable
        );
        assert_eq!(
            identify(review.as_bytes(), &secrets),
            IdentityProof::Mismatch
        );
        assert_eq!(
            identify(review.as_bytes(), &[]),
            IdentityProof::Unverifiable
        );
    }
}
