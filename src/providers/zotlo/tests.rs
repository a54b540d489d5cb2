//! Zotlo: each rule of MAPPING.md and each trap of its contract.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::domain::delivery::KeyRule;
use crate::domain::event::{
    Actor, CancellationFacts, Event, EventType, OccurredSource, Snapshot, SnapshotStatus,
};
use crate::providers::testing::{
    amount, any_json, at, documented, event, events, holds, mutated, payment, read, refusal,
    request, rows, sample, settings, subscription, with,
};
use crate::providers::zotlo::Zotlo;
use crate::providers::{Happening, Persona, Plan, Provider, Story, Verdict};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!(
            "../../../tests/fixtures/zotlo/events.",
            $name,
            ".json"
        ))
    };
}

const NEW: &str = "subscriber-update-newSubscriber";
const CANCEL: &str = "subscriber-update-cancel";
const RENEWAL: &str = "subscriber-update-renewal";

fn named(name: &str) -> &'static str {
    sample(&Zotlo, name)
}

fn kinds(events: &[Event]) -> String {
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    kinds.join(" ")
}

fn keys(body: &str) -> Vec<(String, KeyRule)> {
    read(&Zotlo, body)
        .keys
        .into_iter()
        .map(|key| (key.key, key.rule))
        .collect()
}

fn profile(body: &str, key: &str, value: Json) -> String {
    with(body, &format!("/parameters/profile/{key}"), Some(value))
}

fn event_type(body: &str, word: Option<&str>) -> String {
    with(body, "/queue/eventType", word.map(Json::from))
}

#[test]
fn a_subscriber_is_a_person_by_email_or_phone_and_of_an_app_otherwise() {
    for (id, user, email, phone) in [
        (
            json!("Ada@Example.org"),
            "ada@example.org",
            Some("Ada@Example.org"),
            None,
        ),
        (
            json!("905555555555"),
            "905555555555",
            None,
            Some("905555555555"),
        ),
        (
            json!("+905555555555"),
            "905555555555",
            None,
            Some("+905555555555"),
        ),
        (
            json!(905_555_555_555_i64),
            "905555555555",
            None,
            Some("905555555555"),
        ),
        (json!("1"), "2204:1", None, None),
        (json!(1), "2204:1", None, None),
        (json!("1234567"), "2204:1234567", None, None),
        (
            json!("1234567890123456"),
            "2204:1234567890123456",
            None,
            None,
        ),
    ] {
        let body = profile(named(NEW), "subscriberId", id);
        let body = with(&body, "/parameters/customer", None);
        let subject = event(&Zotlo, &body).subject;
        assert_eq!(subject.user_id.as_deref(), Some(user));
        assert_eq!(subject.email.as_deref(), email);
        assert_eq!(subject.phone.as_deref(), phone);
    }
}

#[test]
fn without_a_subscriber_the_customer_names_the_reader() {
    let body = with(named(NEW), "/parameters/profile/subscriberId", None);
    let subject = event(&Zotlo, &body).subject;
    assert_eq!(subject.user_id.as_deref(), Some("ayse.deneme@example.com"));
    assert_eq!(subject.name.as_deref(), Some("Ayşe Yılmaz"));
}

#[test]
fn event_types_are_told_without_case_and_joints() {
    for (word, kind) in [
        ("newSubscriber", EventType::SubscriptionTrialStarted),
        ("new_subscriber", EventType::SubscriptionTrialStarted),
        ("RENEWAL", EventType::SubscriptionRenewed),
        ("activeToGrace", EventType::SubscriptionGraceEntered),
        ("active_to_grace", EventType::SubscriptionGraceEntered),
        ("graceToActive", EventType::SubscriptionRecovered),
        ("graceToPassive", EventType::SubscriptionExpired),
        ("Cancel", EventType::SubscriptionCancelled),
        ("reactivate", EventType::SubscriptionReactivated),
        ("package_update", EventType::SubscriptionPlanChanged),
        ("packageUpgrade", EventType::SubscriptionPlanChanged),
        ("packageDowngrade", EventType::SubscriptionPlanChanged),
        ("changePackage", EventType::SubscriptionPlanChanged),
        ("packageClosed", EventType::SubscriptionUpdated),
        ("freeze", EventType::SubscriptionUpdated),
    ] {
        let body = event_type(named(NEW), Some(word));
        let reading = read(&Zotlo, &body);
        assert_eq!(reading.events()[0].kind, kind, "{word}");
        assert_eq!(reading.label, format!("SubscriberUpdate/{word}"));
    }
    let paid = profile(named(NEW), "subscriptionType", json!("paid"));
    assert_eq!(event(&Zotlo, &paid).kind, EventType::SubscriptionStarted);
}

#[test]
fn without_an_event_type_the_state_tells_it() {
    let cancelled = event_type(named(CANCEL), None);
    assert_eq!(read(&Zotlo, &cancelled).label, "SubscriberUpdate");
    assert_eq!(
        event(&Zotlo, &cancelled).kind,
        EventType::SubscriptionCancelled
    );
    let passive = profile(&cancelled, "status", json!("passive"));
    assert_eq!(event(&Zotlo, &passive).kind, EventType::SubscriptionExpired);
    let grace = profile(&event_type(named(NEW), None), "status", json!("grace"));
    assert_eq!(
        event(&Zotlo, &grace).kind,
        EventType::SubscriptionGraceEntered
    );
    let nothing = event_type(named(NEW), None);
    assert_eq!(event(&Zotlo, &nothing).kind, EventType::SubscriptionUpdated);
}

#[test]
fn a_trial_states_plan_price_and_end_but_no_money_and_no_period() {
    let event = event(&Zotlo, named(NEW));
    let facts = subscription(&event);
    assert_eq!(event.money, None);
    assert_eq!(event.plan.as_deref(), Some("monthly_basic"));
    assert_eq!(facts.price.unwrap().minor, Some(1249));
    assert_eq!(facts.access_until, Some(at("2025-07-01 11:35:31")));
    assert_eq!(facts.started_at, Some(at("2025-06-28 11:35:31")));
    assert_eq!((facts.paid_period, facts.interval), (None, None));
    assert_eq!(facts.auto_renew, Some(true));
    let snapshot = Snapshot {
        status: SnapshotStatus::Active,
        trial: true,
        running: true,
    };
    assert_eq!(facts.snapshot, Some(snapshot));
    assert_eq!(event.extra["acceptPolicy"], true);
}

#[test]
fn a_cancellation_keeps_its_access_and_its_reason() {
    let facts = subscription(&event(&Zotlo, named(CANCEL)));
    assert_eq!(facts.auto_renew, Some(false));
    assert_eq!(facts.access_until, Some(at("2025-07-01 11:35:31")));
    assert_eq!(
        facts.cancellation,
        Some(CancellationFacts {
            at: Some(at("2025-06-29 13:17:09")),
            reason: Some("Too expensive".into()),
            code: Some("CU00003".into()),
            actor: Actor::Unknown,
        })
    );
    let snapshot = facts.snapshot.unwrap();
    assert!(snapshot.trial && !snapshot.running);
    assert_eq!(snapshot.status, SnapshotStatus::Active);
}

#[test]
fn a_cancel_that_says_nothing_of_itself_still_cancels() {
    for stated in [
        json!(null),
        json!([]),
        json!({}),
        json!({"date": "0000-00-00 00:00:00"}),
    ] {
        let body = profile(named(CANCEL), "cancellation", stated);
        let event = event(&Zotlo, &body);
        assert_eq!(event.kind, EventType::SubscriptionCancelled);
        let facts = subscription(&event);
        assert_eq!(facts.cancellation, Some(CancellationFacts::default()));
        assert_eq!(facts.auto_renew, Some(false));
    }
}

#[test]
fn a_cancellation_in_any_body_is_carried_and_stops_the_renewal() {
    let stated = json!({"date": "2025-07-20 10:00:00", "reason": null, "code": "X"});
    let body = profile(named(RENEWAL), "cancellation", stated);
    let facts = subscription(&event(&Zotlo, &body));
    assert_eq!(facts.auto_renew, Some(false));
    assert_eq!(
        facts.cancellation.unwrap().at,
        Some(at("2025-07-20 10:00:00"))
    );
    assert!(!facts.snapshot.unwrap().running);
}

#[test]
fn an_undone_cancellation_is_none() {
    let body = event_type(named(CANCEL), Some("reactivate"));
    let facts = subscription(&event(&Zotlo, &body));
    assert_eq!((facts.cancellation, facts.auto_renew), (None, Some(true)));
    assert!(facts.snapshot.unwrap().running);
}

#[test]
fn an_end_for_non_payment_says_so_and_is_nobodys_choice() {
    let event = event(&Zotlo, fixture!("grace-to-passive"));
    assert_eq!(event.kind, EventType::SubscriptionExpired);
    let facts = subscription(&event);
    let cancellation = facts.cancellation.unwrap();
    assert_eq!(cancellation.actor, Actor::Payment);
    assert_eq!(cancellation.reason.as_deref(), Some("non-payment"));
    assert_eq!(facts.auto_renew, Some(false));
    let other = event_type(fixture!("grace-to-passive"), Some("expire"));
    assert_eq!(
        subscription(&self::event(&Zotlo, &other)).cancellation,
        None
    );
}

#[test]
fn grace_goes_on_trying() {
    let body = event_type(named(RENEWAL), Some("activeToGrace"));
    let body = profile(&body, "status", json!("grace"));
    let facts = subscription(&event(&Zotlo, &body));
    assert_eq!(facts.auto_renew, Some(true));
    assert_eq!(facts.snapshot.unwrap().status, SnapshotStatus::Grace);
    assert_eq!(facts.paid_period, None);
}

#[test]
fn paid_periods_run_from_what_the_mapping_names() {
    let renewed = event(&Zotlo, named(RENEWAL));
    let end = at("2025-08-01 11:35:31");
    assert_eq!(
        subscription(&renewed).paid_period,
        Some((renewed.occurred.at.unwrap(), end))
    );
    let paid = profile(named(NEW), "subscriptionType", json!("paid"));
    assert_eq!(
        subscription(&event(&Zotlo, &paid)).paid_period,
        Some((at("2025-06-28 11:35:31"), at("2025-07-01 11:35:31")))
    );
    let backwards = profile(&paid, "expireDate", json!("2020-01-01 00:00:00"));
    assert_eq!(subscription(&event(&Zotlo, &backwards)).paid_period, None);
}

#[test]
fn a_changed_plan_is_told_and_counts_from_the_next_snapshot() {
    let event = event(&Zotlo, fixture!("package-update"));
    assert_eq!(event.kind, EventType::SubscriptionPlanChanged);
    assert_eq!(event.plan.as_deref(), Some("monthly_basic"));
    assert_eq!(event.extra["newPackage"]["packageId"], "yearly_plus");
    assert_eq!(subscription(&event).price.unwrap().text, "12.49");
}

#[test]
fn empty_lists_and_nulls_are_absent_objects() {
    let event = event(&Zotlo, fixture!("subscriber-update-empty-lists"));
    assert_eq!(event.kind, EventType::SubscriptionStarted);
    assert_eq!(event.subject.user_id.as_deref(), Some("905321112233"));
    let facts = subscription(&event);
    assert_eq!((facts.cancellation, facts.auto_renew), (None, Some(true)));
    assert_eq!(facts.price.unwrap().minor, Some(0));
    let nulls = profile(named(NEW), "customParameters", json!(null));
    let nulls = with(&nulls, "/parameters/card", Some(json!(null)));
    let nulls = with(&nulls, "/parameters/customer", Some(json!(null)));
    assert_eq!(self::event(&Zotlo, &nulls).subject.client_user_id, None);
}

#[test]
fn bodies_of_2020_are_read_without_event_type_and_request_id() {
    let body = fixture!("subscriber-update-legacy-2020");
    let reading = read(&Zotlo, body);
    let event = &reading.events()[0];
    assert_eq!(reading.label, "SubscriberUpdate");
    assert_eq!(event.kind, EventType::SubscriptionCancelled);
    assert_eq!(event.subject.user_id.as_deref(), Some("2:55"));
    assert_eq!(event.occurred.at, Some(at("2021-06-01 12:00:00")));
    let price = subscription(event).price.unwrap();
    assert_eq!(
        (price.minor, price.text.as_str()),
        (Some(299), "2.9900000000000002")
    );
    assert_eq!(reading.keys.len(), 1);
    assert_eq!(reading.keys[0].rule, KeyRule::Natural);
    assert!(reading.keys[0].key.ends_with(":2021-06-01 12:00:00"));
}

#[test]
fn a_legacy_refund_under_transaction_insert_is_another_payment_than_its_sale() {
    let sale = event(&Zotlo, named("transaction-legacy-2020"));
    let refund = event(&Zotlo, fixture!("refund-legacy-2020"));
    assert_eq!(sale.kind, EventType::PaymentSucceeded);
    assert_eq!(refund.kind, EventType::PaymentRefunded);
    assert_eq!(amount(&sale), (Some(300), "TRY", None));
    assert_eq!(amount(&refund), (Some(-300), "TRY", None));
    assert_eq!(refund.occurred.at, Some(at("2021-10-01 09:10:11")));
    let (sold, back) = (payment(&sale), payment(&refund));
    assert_eq!(sold.transaction_id, back.transaction_id);
    let id = sold.payment_id.unwrap();
    assert_eq!(
        back.payment_id,
        Some(format!("{id}/refund/2021-10-01 09:10:11"))
    );
    assert_eq!(
        keys(named("transaction-legacy-2020"))[0].0,
        format!("tx:{id}:0")
    );
    assert_eq!(
        keys(fixture!("refund-legacy-2020"))[0].0,
        format!("tx:{id}:1:2021-10-01 09:10:11")
    );
    assert_eq!(back.status, None);
}

#[test]
fn a_partial_refund_is_what_was_given_back() {
    let refund = event(&Zotlo, fixture!("partial-refund"));
    assert_eq!(amount(&refund), (Some(-400), "EUR", None));
    assert_eq!(payment(&refund).flag, None);
    assert!(!payment(&refund).cancels_access);
}

#[test]
fn a_refund_that_states_no_amount_takes_the_price_and_is_marked() {
    for unsaid in [None, Some(json!(null)), Some(json!(""))] {
        let body = with(named("refund"), "/parameters/refund_price", unsaid);
        let refund = event(&Zotlo, &body);
        assert_eq!(amount(&refund), (Some(-1249), "EUR", None));
        let flag = payment(&refund).flag;
        assert_eq!(flag.as_deref(), Some("price of the sale, refund untold"));
    }
    let negative = with(
        named("refund"),
        "/parameters/refund_price",
        Some(json!("-5.00")),
    );
    assert_eq!(amount(&event(&Zotlo, &negative)).0, Some(-500));
}

#[test]
fn refund_marks_come_as_text_number_or_not_at_all() {
    let base = with(
        named("transaction"),
        "/parameters/refund_date",
        Some(json!("2025-09-01")),
    );
    for (mark, kind) in [
        (Some(json!("1")), EventType::PaymentRefunded),
        (Some(json!(1)), EventType::PaymentRefunded),
        (Some(json!(true)), EventType::PaymentRefunded),
        (None, EventType::PaymentRefunded),
        (Some(json!("0")), EventType::PaymentSucceeded),
        (Some(json!(0)), EventType::PaymentSucceeded),
    ] {
        let body = with(&base, "/parameters/is_refund", mark);
        assert_eq!(event(&Zotlo, &body).kind, kind);
    }
}

#[test]
fn amounts_come_from_the_exact_token() {
    for (token, minor, flag) in [
        ("1", Some(100), None),
        ("\"9.99\"", Some(999), None),
        ("2.9900000000000002", Some(299), Some("rounded")),
        ("0", Some(0), None),
        ("\"0.00\"", Some(0), None),
        ("1e400", None, Some("not a number")),
        ("\"free\"", None, Some("not a number")),
        ("null", None, Some("not a number")),
    ] {
        let body = named("transaction").replace("\"0.00\"", token);
        assert_eq!(amount(&event(&Zotlo, &body)), (minor, "TRY", flag));
    }
    let no_currency = with(named("transaction"), "/parameters/currency", None);
    assert_eq!(
        amount(&event(&Zotlo, &no_currency)),
        (None, "", Some("no currency"))
    );
}

#[test]
fn a_free_trial_is_a_payment_of_nothing_with_the_providers_word() {
    let paid = event(&Zotlo, named("transaction"));
    assert_eq!(amount(&paid).0, Some(0));
    let facts = payment(&paid);
    assert_eq!(facts.status.as_deref(), Some("trial"));
    assert!(facts.for_subscription);
}

#[test]
fn a_consumable_is_a_purchase_and_no_subscription() {
    let events = events(&Zotlo, fixture!("consumable"));
    assert_eq!(kinds(&events), "purchase.completed payment.succeeded");
    assert_eq!(events[0].money, None);
    assert_eq!(amount(&events[1]), (Some(1234), "KWD", None));
    // Rule 8.14: the original transaction in every webhook; what keeps it apart is that nothing announces it.
    assert!(events[1].subscription_id.is_some());
    assert!(!payment(&events[1]).for_subscription);
}

#[test]
fn a_trial_that_is_paid_converts_at_the_plans_price() {
    let events = events(&Zotlo, fixture!("trial-to-paid"));
    assert_eq!(
        kinds(&events),
        "subscription.trial_converted payment.succeeded"
    );
    let facts = subscription(&events[0]);
    assert_eq!(facts.price.unwrap().minor, Some(9990));
    let end = at("2025-08-14 15:08:44");
    assert_eq!(facts.paid_period, Some((at("2025-08-07 15:08:44"), end)));
    assert_eq!(facts.access_until, Some(end));
    assert_eq!(amount(&events[1]).0, Some(7990));
    let unpriced = with(
        fixture!("trial-to-paid"),
        "/parameters/package_price",
        Some(json!(0)),
    );
    let unpriced = subscription(&self::events(&Zotlo, &unpriced)[0]);
    assert_eq!(unpriced.price.unwrap().minor, Some(7990));
}

#[test]
fn a_subscription_is_known_by_its_first_transaction_else_by_its_number() {
    for name in [NEW, "transaction"] {
        let body = match name {
            NEW => with(
                named(NEW),
                "/parameters/profile/originalTransactionId",
                Some(json!("")),
            ),
            _ => with(named(name), "/parameters/original_transaction_id", None),
        };
        let id = event(&Zotlo, &body).subscription_id.unwrap();
        let expected = if name == NEW {
            "2204:31077"
        } else {
            "3:8817301"
        };
        assert_eq!(id, expected);
    }
}

#[test]
fn a_webhook_sent_again_is_known_by_request_or_by_time() {
    let first = keys(named(CANCEL));
    assert_eq!((first[0].1, first[1].1), (KeyRule::Id, KeyRule::Natural));
    let other_request = with(named(CANCEL), "/queue/requestID", Some(json!("r-2")));
    let second = keys(&other_request);
    assert_ne!(second[0], first[0]);
    assert_eq!(second[1], first[1]);
    let same_request = event_type(named(CANCEL), Some("reactivate"));
    assert_ne!(keys(&same_request)[0], first[0]);
    let timeless = with(named(CANCEL), "/queue/createDate", None);
    assert_eq!(keys(&timeless), [first[0].clone()]);
    let neither = with(&timeless, "/queue/requestID", None);
    assert_eq!(keys(&neither)[0].1, KeyRule::Bytes);
}

#[test]
fn money_is_known_by_its_transaction_whatever_the_request() {
    let first = keys(named("transaction"));
    let again = with(named("transaction"), "/queue/requestID", Some(json!("r-2")));
    assert_eq!(keys(&again), first);
    assert_eq!(first.len(), 1);
    let nameless = with(named("transaction"), "/parameters/transaction_id", None);
    assert_eq!(keys(&nameless)[0].1, KeyRule::Bytes);
    assert_eq!(payment(&event(&Zotlo, &nameless)).payment_id, None);
}

#[test]
fn a_moment_in_another_zone_is_read_in_it() {
    for (zone, expected) in [
        (json!("Europe/Istanbul"), "2025-07-31T12:08:44.807Z"),
        (json!("+03:00"), "2025-07-31T12:08:44.807Z"),
        (json!("UTC"), "2025-07-31T15:08:44.807Z"),
        (json!("nowhere"), "2025-07-31T15:08:44.807Z"),
        (json!(null), "2025-07-31T15:08:44.807Z"),
    ] {
        let body = with(
            named("transaction"),
            "/queue/createDate/timezone",
            Some(zone),
        );
        assert_eq!(event(&Zotlo, &body).occurred.at, Some(at(expected)));
    }
    let odd = with(
        named("transaction"),
        "/queue/createDate",
        Some(json!({"date": "1999-01-01"})),
    );
    let odd = event(&Zotlo, &odd);
    assert_eq!(odd.occurred.source, OccurredSource::Implausible);
    assert_eq!(odd.extra["createDate"]["date"], "1999-01-01");
}

#[test]
fn a_date_with_an_offset_of_its_own_needs_no_zone() {
    let created = json!({"date": "2025-07-31T12:00:00+03:00", "timezone": "Europe/Istanbul"});
    let body = with(named("transaction"), "/queue/createDate", Some(created));
    let told = event(&Zotlo, &body).occurred.at;
    assert_eq!(told, Some(at("2025-07-31T09:00:00.000Z")));
}

#[test]
fn cards_never_leave_the_body() {
    for sample in Zotlo.samples() {
        for event in events(&Zotlo, sample.body) {
            assert!(!format!("{event:?}").contains("555555"), "{}", sample.name);
        }
    }
}

#[test]
fn a_quiz_says_what_was_answered_and_when_last() {
    let event = event(&Zotlo, named("quiz-responses"));
    assert_eq!(event.kind, EventType::EngagementQuiz);
    assert_eq!(
        event.extra["answers"],
        json!({"Neden okuyorsun?": ["Haber için"]})
    );
    assert_eq!(
        event.subject.user_id.as_deref(),
        Some("selin.quiz@example.org")
    );
    let answers = json!([
        {"answerDate": "2025-02-24 10:00:00", "answer": "evet"},
        {"answerDate": "2025-02-25 10:00:00"},
        7,
    ]);
    let listed = with(named("quiz-responses"), "/answers", Some(answers));
    let event = self::event(&Zotlo, &listed);
    assert_eq!(event.occurred.at, Some(at("2025-02-25 10:00:00")));
    let empty = with(named("quiz-responses"), "/answers", Some(json!([])));
    assert_eq!(self::event(&Zotlo, &empty).occurred.at, None);
}

#[test]
fn registrations_and_quizzes_are_known_by_their_bytes() {
    for name in ["registered-users", "quiz-responses"] {
        let keys = keys(named(name));
        assert_eq!((keys.len(), keys[0].1), (1, KeyRule::Natural));
    }
    let early = json!({"subscriberId": "a@example.org", "registerDate": "2025-01-01 00:00:00"});
    assert_eq!(
        event(&Zotlo, &early.to_string()).kind,
        EventType::UserRegistered
    );
}

#[test]
fn types_nobody_knows_are_kept_and_shapeless_bodies_quarantined() {
    let other = with(
        named("transaction"),
        "/queue/type",
        Some(json!("FreezeUpdate")),
    );
    let reading = read(&Zotlo, &other);
    assert_eq!(reading.label, "FreezeUpdate/transaction");
    assert_eq!(reading.events()[0].kind, EventType::Unknown);
    assert_eq!(reading.keys[0].rule, KeyRule::Id);

    let untold = "nothing says what this is: no queue, no registerDate, no quiz";
    assert_eq!(refusal(&Zotlo, "{}"), untold);
    assert_eq!(refusal(&Zotlo, r#"{"queue":"SubscriberUpdate"}"#), untold);
    assert_eq!(
        refusal(&Zotlo, r#"{"queue":{"appId":1},"parameters":{"a":1}}"#),
        "nothing says what this is: no queue.type"
    );
    for nobody in [
        r#"{"queue":{"type":"SubscriberUpdate"},"parameters":{}}"#,
        r#"{"queue":{"type":"TransactionInsert"}}"#,
        r#"{"registerDate":"2025-01-01 00:00:00"}"#,
        r#"{"client":{"a":1},"answers":{}}"#,
    ] {
        assert_eq!(
            refusal(&Zotlo, nobody),
            "it names neither a record nor a reader"
        );
    }
}

#[test]
fn a_queue_without_a_type_is_told_by_its_parameters() {
    let body = with(named("transaction"), "/queue/type", None);
    assert_eq!(event(&Zotlo, &body).kind, EventType::PaymentSucceeded);
    let body = with(named(CANCEL), "/queue/type", None);
    assert_eq!(event(&Zotlo, &body).kind, EventType::SubscriptionCancelled);
}

#[test]
fn a_caller_outside_allow_ips_is_wrong_and_one_inside_proves_nothing() {
    let mut settings = settings(&Zotlo);
    let list = ["203.0.113.0/28", "2001:db8::7"].map(String::from).to_vec();
    settings.lists.insert("allow_ips".into(), list);
    let gate = Zotlo.gate(&settings).unwrap();
    for (caller, is_in) in [
        ("203.0.113.1", true),
        ("::ffff:203.0.113.1", true),
        ("2001:db8::7", true),
        ("203.0.113.16", false),
        ("2001:db8::8", false),
        ("", false),
        ("unknown", false),
    ] {
        let mut request = request("{}", &[]);
        request.remote_ip = caller.into();
        let proofs = (gate.prove)(&request);
        assert_eq!(proofs.is_empty(), is_in, "{caller}");
        for proof in proofs {
            assert_eq!(proof.name, "address");
            assert!(matches!(proof.verdict, Verdict::Wrong(_)));
        }
    }
    let open = Zotlo.gate(&self::settings(&Zotlo)).unwrap();
    assert!((open.prove)(&request("{}", &[])).is_empty());
}

#[test]
fn an_address_range_that_is_none_is_refused_at_the_start() {
    let mut settings = settings(&Zotlo);
    settings
        .lists
        .insert("allow_ips".into(), vec!["zotlo.com".into()]);
    let why = Zotlo.gate(&settings).err().unwrap().0;
    assert_eq!(
        why,
        "allow_ips \"zotlo.com\" under [providers.zotlo] is neither an address nor a CIDR such as 203.0.113.0/24"
    );
}

const PLAN: Plan = Plan {
    title: "Gündem",
    price_minor: 9_900,
    currency: "TRY",
    months: 1,
};

fn told(what: Happening) -> Vec<Event> {
    let who = Persona {
        number: 12,
        name: "Çağla Işık".into(),
        email: "cagla@example.com".into(),
        phone: "905321110000".into(),
        country: "TR",
        city: "İzmir",
    };
    let story = Story {
        who: &who,
        at: at("2025-06-01T08:00:00.250Z"),
        nonce: 5,
        what,
    };
    Zotlo
        .tell(&story)
        .iter()
        .flat_map(|told| events(&Zotlo, std::str::from_utf8(&told.body).unwrap()))
        .collect()
}

#[test]
fn stories_are_told_in_bodies_that_read_back() {
    let until = at("2025-07-01T08:00:00Z");
    for (what, expected) in [
        (Happening::Registered, "user.registered"),
        (
            Happening::TrialStarted {
                days: 7,
                plan: PLAN,
            },
            "subscription.trial_started payment.succeeded",
        ),
        (
            Happening::Started(PLAN),
            "subscription.started payment.succeeded",
        ),
        (
            Happening::Renewed(PLAN),
            "subscription.renewed payment.succeeded",
        ),
        (
            Happening::Cancelled {
                plan: PLAN,
                until,
                reason: "no time to read",
            },
            "subscription.cancelled",
        ),
        (Happening::Reactivated(PLAN), "subscription.reactivated"),
        (Happening::PaymentFailed(PLAN), "subscription.grace_entered"),
        (
            Happening::Recovered(PLAN),
            "subscription.recovered payment.succeeded",
        ),
        (Happening::Ended(PLAN), "subscription.expired"),
        (Happening::Refunded(PLAN), "payment.refunded"),
        (
            Happening::BoughtOnce {
                price_minor: 4_990,
                currency: "TRY",
            },
            "purchase.completed payment.succeeded",
        ),
        (Happening::SawPaywall, ""),
    ] {
        let events = told(what);
        assert_eq!(kinds(&events), expected);
        for event in &events {
            assert_eq!(event.subject.user_id.as_deref(), Some("cagla@example.com"));
        }
    }
}

#[test]
fn a_told_refund_gives_back_the_told_payment() {
    let paid = told(Happening::Started(PLAN));
    let refunded = told(Happening::Refunded(PLAN));
    assert_eq!(
        payment(&paid[1]).transaction_id,
        payment(&refunded[0]).transaction_id
    );
    assert_eq!(paid[0].subscription_id, refunded[0].subscription_id);
    assert_eq!(amount(&refunded[0]).0, Some(-9_900));
}

/// MAPPING.md part 1: file, `provider_type`, event, user, subscription, amount, time, key up to its hash.
const DOCUMENTED: &str = "
registered-users                      | registeredUser                 | user.registered            | 905555555555         |                                      |          | 2020-03-20T12:35:41.000Z | registeredUser:
quiz-responses                        | quiz                           | engagement.quiz            | test123@gmail.com    |                                      |          | 2024-01-10T10:47:25.000Z | quiz:
subscriber-update-newSubscriber       | SubscriberUpdate/newSubscriber | subscription.trial_started | testwebhook@mail.com | bfe87fcd-72f7-4902-88ba-b2695c829590 |          | 2024-05-13T08:18:22.978Z | request:SubscriberUpdate/newSubscriber:
subscriber-update-cancel-constructed  | SubscriberUpdate/cancel        | subscription.cancelled     | testwebhook@mail.com | bfe87fcd-72f7-4902-88ba-b2695c829590 |          | 2024-05-14T10:00:00.123Z | request:SubscriberUpdate/cancel:
subscriber-update-renewal-constructed | SubscriberUpdate/renewal       | subscription.renewed       | testwebhook@mail.com | bfe87fcd-72f7-4902-88ba-b2695c829590 |          | 2024-05-16T08:18:25.001Z | request:SubscriberUpdate/renewal:
transaction                           | TransactionInsert/transaction  | payment.succeeded          | test@zotlo.com       | 6kab56hfs773-a25f3ebf8e2f            | 0 TRY    | 2024-06-15T11:51:35.807Z | tx:ba3325ge3ad6791-49f4-9693-a25f3ebf8e2f:0
refund                                | TransactionRefund/refund       | payment.refunded           | test@mail.com        | 093b8307-1658-4f94-a9bd-f101748d3c4b | -999 USD | 2024-10-25T15:23:48.000Z | tx:093b8307-16-a9bd-f101748d3c4b:1:2024-10-25 15:23:48
transaction-legacy-2020               | TransactionInsert              | payment.succeeded          | 1:1                  | f5e58d26-ce4e-4e8c-bbc4-0b250d0ed396 | 100 TRY  | 2020-03-20T12:35:41.000Z | tx:f5e58d26-ce4e-4e8c-bbc4-0b250d0ed396:0
";

#[test]
fn documented_samples_read_as_the_mapping_says() {
    for [file, label, kind, user, sub, money, time, key] in rows(DOCUMENTED) {
        let Some(body) = documented(&format!("zotlo/{file}.json")) else {
            return;
        };
        let reading = read(&Zotlo, &body);
        assert_eq!(
            (reading.label.as_str(), kinds(reading.events()).as_str()),
            (label, kind)
        );
        let event = &reading.events()[0];
        assert_eq!(event.subject.user_id.as_deref(), Some(user), "{file}");
        assert_eq!(
            event.subscription_id.as_deref().unwrap_or_default(),
            sub,
            "{file}"
        );
        let read = event
            .money
            .as_ref()
            .map(|money| format!("{} {}", money.minor.unwrap(), money.currency));
        assert_eq!(read.unwrap_or_default(), money, "{file}");
        assert_eq!(event.occurred.at.unwrap().to_string(), time, "{file}");
        assert!(reading.keys[0].key.starts_with(key), "{:?}", reading.keys);
    }
}

#[test]
fn documented_subscriptions_state_what_the_mapping_says() {
    let Some(body) = documented("zotlo/subscriber-update-newSubscriber.json") else {
        return;
    };
    let started = event(&Zotlo, &body);
    let facts = subscription(&started);
    assert_eq!(started.plan.as_deref(), Some("paypal_test"));
    assert_eq!(facts.access_until, Some(at("2024-05-16T08:18:22Z")));
    assert_eq!(facts.started_at, Some(at("2024-05-13T08:18:22Z")));
    assert_eq!(facts.price.unwrap().minor, Some(999));
    assert_eq!(facts.paid_period, None);
    let subject = &started.subject;
    assert_eq!(subject.name.as_deref(), Some("Test Webhook"));
    assert_eq!(subject.country.as_deref(), Some("TR"));
    assert!(
        subject
            .client_user_id
            .as_ref()
            .unwrap()
            .starts_with("5adf7031-")
    );

    let body = documented("zotlo/subscriber-update-cancel-constructed.json").unwrap();
    let facts = subscription(&event(&Zotlo, &body));
    let cancellation = facts.cancellation.unwrap();
    assert_eq!(cancellation.at, Some(at("2024-05-14T10:00:00Z")));
    assert_eq!(cancellation.reason.as_deref(), Some("Not Interest"));
    assert_eq!(cancellation.code.as_deref(), Some("CU00001"));
    assert_eq!(facts.access_until, Some(at("2024-05-16T08:18:22Z")));

    let body = documented("zotlo/subscriber-update-renewal-constructed.json").unwrap();
    let facts = subscription(&event(&Zotlo, &body));
    assert_eq!(facts.auto_renew, Some(true));
    assert_eq!(
        facts.paid_period,
        Some((at("2024-05-16T08:18:25.001Z"), at("2024-06-16T08:18:22Z")))
    );
}

#[test]
fn documented_money_states_what_the_mapping_says() {
    let Some(body) = documented("zotlo/transaction.json") else {
        return;
    };
    let trial = event(&Zotlo, &body);
    assert_eq!(trial.plan.as_deref(), Some("weekly_"));
    assert_eq!(payment(&trial).status.as_deref(), Some("trial"));
    assert_eq!(trial.subject.country.as_deref(), Some("TR"));

    let body = documented("zotlo/refund.json").unwrap();
    let refund = payment(&event(&Zotlo, &body));
    assert_eq!(
        refund.payment_id.as_deref(),
        Some("093b8307-16-a9bd-f101748d3c4b/refund/2024-10-25 15:23:48")
    );
    assert_eq!(refund.status, None);

    let body = documented("zotlo/transaction-legacy-2020.json").unwrap();
    let legacy = event(&Zotlo, &body);
    assert_eq!(legacy.plan.as_deref(), Some("package"));
    assert_eq!(payment(&legacy).status.as_deref(), Some("start_paid"));
    let again = with(&body, "/parameters/is_refund", Some(json!("1")));
    assert_ne!(keys(&again), keys(&body));

    let body = documented("zotlo/registered-users.json").unwrap();
    let registered = event(&Zotlo, &body).subject;
    assert_eq!(registered.phone.as_deref(), Some("905555555555"));
    assert_eq!(registered.name.as_deref(), Some("john doe"));
    assert_eq!(registered.client_user_id.as_deref(), Some("string"));
    assert_eq!(registered.country.as_deref(), Some("US"));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(body in prop::collection::vec(any::<u8>(), 0..400)) {
        holds(&Zotlo, &body);
    }

    #[test]
    fn any_json_is_read_without_harm(json in any_json(), parameters in any_json()) {
        holds(&Zotlo, json.to_string().as_bytes());
        for kind in ["SubscriberUpdate", "TransactionInsert", "TransactionRefund"] {
            let body = json!({"queue": {"type": kind, "createDate": json}, "parameters": parameters});
            holds(&Zotlo, body.to_string().as_bytes());
        }
    }

    #[test]
    fn changed_samples_are_read_without_harm(body in mutated(&Zotlo)) {
        holds(&Zotlo, body.as_bytes());
    }
}
