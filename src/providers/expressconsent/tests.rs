//! ExpressConsent: each rule of MAPPING.md and each trap of its contract.

use proptest::prelude::*;
use serde_json::json;

use crate::config::Settings;
use crate::domain::delivery::{DeliveryKey, KeyRule};
use crate::domain::event::{ConsentKind, ConsentState, Event, EventType, Facts, Scope};
use crate::domain::time::Timestamp;
use crate::providers::expressconsent::ExpressConsent;
use crate::providers::testing::{
    ARRIVAL, any_json, at, documented, event, events, holds, mutated, read, refusal, request,
    sample, settings, with, with_secrets, with_texts,
};
use crate::providers::{Happening, Persona, Provider, Story, Verdict};

fn record() -> &'static str {
    sample(&ExpressConsent, "cdr.completed")
}

fn snapshot() -> &'static str {
    sample(&ExpressConsent, "snapshot-v1")
}

fn scopes(event: &Event) -> &[Scope] {
    match &event.facts {
        Facts::Consent(facts) => &facts.scopes,
        other => panic!("no facts of consents: {other:?}"),
    }
}

fn user(body: &str) -> (String, bool) {
    let event = event(&ExpressConsent, body);
    (event.subject.user_id.unwrap(), event.subject.anonymous)
}

#[test]
fn an_agreed_disclosure_is_evidence_of_a_consent() {
    let event = event(&ExpressConsent, record());
    assert_eq!(event.kind, EventType::ConsentEvidenceCaptured);
    let Facts::Consent(facts) = &event.facts else {
        panic!("no consent");
    };
    assert_eq!(
        (facts.kind, facts.app.as_str()),
        (ConsentKind::Evidence, "")
    );
    assert!(!facts.whole_set && !facts.withdraws_all);
    let scope = &facts.scopes[0];
    assert_eq!(scope.purpose, "newsletter");
    assert_eq!(scope.state, ConsentState::Given);
    assert_eq!(scope.evidence.as_deref(), Some("cdr_7Q2M9"));
    assert_eq!(scope.version.as_deref(), Some("2a46cc67cb5c"));
    assert!(
        scope
            .wording
            .as_deref()
            .unwrap()
            .starts_with("Yes, send me")
    );
    assert_eq!(event.app, "signup.harbourtimes.example");
}

#[test]
fn a_refusal_is_no_consent_and_silence_is_neither() {
    let body = include_str!("../../../tests/fixtures/expressconsent/events.mixed-answers.json");
    let event = event(&ExpressConsent, body);
    let read: Vec<(&str, ConsentState)> = scopes(&event)
        .iter()
        .map(|scope| (scope.purpose.as_str(), scope.state))
        .collect();
    assert_eq!(
        read,
        [
            ("newsletter", ConsentState::Given),
            ("partners", ConsentState::Refused),
            ("wording:711b3e992c26", ConsentState::Given),
        ]
    );
}

#[test]
fn a_snapshot_and_a_record_without_answers_name_no_purpose() {
    for body in [
        snapshot().to_owned(),
        with(record(), "/disclosures", None),
        with(record(), "/disclosures", Some(json!([]))),
        with(record(), "/disclosures", Some(json!("newsletter"))),
    ] {
        let event = event(&ExpressConsent, &body);
        assert_eq!(event.kind, EventType::ConsentEvidenceCaptured);
        assert_eq!(event.facts, Facts::None);
    }
}

#[test]
fn a_record_says_its_time_in_milliseconds_and_a_snapshot_in_text() {
    let occurred = |body: &str| event(&ExpressConsent, body).occurred.at.unwrap();
    let ms = Timestamp::from_ms(1_774_122_629_000);
    assert_eq!(
        occurred(&with(record(), "/createdAt", Some(json!(ms.ms())))),
        ms
    );
    let text = json!(ms.ms().to_string());
    assert_eq!(occurred(&with(record(), "/createdAt", Some(text))), ms);
    let text = json!(ms.to_string());
    assert_eq!(occurred(&with(snapshot(), "/createdAt", Some(text))), ms);
    let bare = include_str!("../../../tests/fixtures/expressconsent/events.bare-snapshot.json");
    assert_eq!(occurred(bare), Timestamp::from_ms(1_749_300_000_000));
    let unsaid = with(record(), "/createdAt", None);
    assert_eq!(event(&ExpressConsent, &unsaid).occurred.at, None);
}

#[test]
fn a_reader_is_the_first_of_email_phone_lead_session_record() {
    let all = json!({"Email": "Ana@Example.org", "phone": "(555) 123-4567", "leadId": 7});
    let body = with(record(), "/customMetadata", Some(all));
    assert_eq!(user(&body), ("ana@example.org".into(), false));
    let subject = event(&ExpressConsent, &body).subject;
    let aliases: Vec<&str> = subject.aliases.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(aliases, ["5551234567", "lead:7"]);
    assert_eq!(subject.phone.as_deref(), Some("(555) 123-4567"));

    let body = with(&body, "/customMetadata/Email", Some(json!("nobody")));
    assert_eq!(user(&body), ("5551234567".into(), false));
    let body = with(&body, "/customMetadata/phone", Some(json!("n/a")));
    assert_eq!(user(&body), ("lead:7".into(), false));
    let body = with(&body, "/customMetadata", Some(json!({})));
    assert_eq!(user(&body), ("session:session_k3v8".into(), true));
    let body = with(&body, "/sessionId", None);
    assert_eq!(user(&body), ("cdr:cdr_7Q2M9".into(), true));
    let bare = include_str!("../../../tests/fixtures/expressconsent/events.bare-snapshot.json");
    assert_eq!(user(bare), ("snapshot:88120".into(), true));
}

#[test]
fn metadata_is_searched_in_its_depth_and_numbers_are_phones_too() {
    let body = include_str!("../../../tests/fixtures/expressconsent/events.nested-metadata.json");
    let subject = event(&ExpressConsent, body).subject;
    assert_eq!(subject.user_id.as_deref(), Some("deniz.kaya@example.org"));
    assert_eq!(subject.email.as_deref(), Some("Deniz.Kaya@Example.org"));
    assert_eq!(subject.phone.as_deref(), Some("905551112233"));
    assert_eq!(subject.name.as_deref(), Some("Deniz Kaya"));
}

#[test]
fn download_links_never_leave_the_body() {
    let nested = include_str!("../../../tests/fixtures/expressconsent/events.nested-metadata.json");
    let hidden = with(
        record(),
        "/customMetadata",
        Some(json!({
            "a": [{"DownloadURL": "https://x"}, "https://records.example/cdr_7Q2M9?sig=made-up"],
        })),
    );
    for body in [record(), snapshot(), nested, &hidden] {
        for event in events(&ExpressConsent, body) {
            let shown = format!("{event:?}");
            assert!(!shown.contains("sig=made-up"), "{shown}");
            assert!(!shown.to_lowercase().contains("downloadurl"), "{shown}");
        }
    }
    let event = event(&ExpressConsent, nested);
    assert_eq!(event.extra["customMetadata"]["leadId"], 7731);
}

#[test]
fn a_verdict_on_fraud_is_no_consent() {
    let event = event(&ExpressConsent, snapshot());
    assert_eq!(event.facts, Facts::None);
    assert_eq!(event.extra["anuraData"]["result"], "good");
}

#[test]
fn new_answers_on_a_known_record_are_an_event_of_their_own() {
    let keys = |body: &str| read(&ExpressConsent, body).keys;
    let first = keys(record());
    assert_eq!(first[0].key, "webhook:wh_9f8e7d6c");
    assert_eq!(
        (first[0].rule, first[1].rule),
        (KeyRule::Id, KeyRule::Natural)
    );
    assert!(first[1].key.starts_with("cdr:cdr_7Q2M9:"));
    let again = keys(&with(record(), "/webhookId", Some(json!("wh_2"))));
    assert_ne!(again[0], first[0]);
    let changed = with(record(), "/webhookId", Some(json!("wh_3")));
    let changed = with(&changed, "/customMetadata", Some(json!({"leadId": "1"})));
    assert_ne!(keys(&changed)[1], again[1]);
    let same_answers = with(record(), "/timestamp", Some(json!(1)));
    assert_eq!(keys(&with(&same_answers, "/webhookId", None)).len(), 1);
}

#[test]
fn a_snapshot_is_known_by_its_transaction_and_one_without_by_its_bytes() {
    assert_eq!(
        read(&ExpressConsent, snapshot()).keys,
        [DeliveryKey {
            key: "snapshot:snap-77310-b".into(),
            rule: KeyRule::Natural,
        }]
    );
    let nameless = with(snapshot(), "/transactionId", None);
    let reading = read(&ExpressConsent, &nameless);
    assert_eq!(reading.label, "snapshot");
    assert_eq!(reading.keys[0].rule, KeyRule::Bytes);
}

#[test]
fn other_events_are_unknown_and_shapeless_bodies_quarantined() {
    let other = with(record(), "/event", Some(json!("cdr.deleted")));
    let reading = read(&ExpressConsent, &other);
    assert_eq!(reading.label, "cdr.deleted");
    assert_eq!(reading.events()[0].kind, EventType::Unknown);
    assert_eq!(
        refusal(&ExpressConsent, "{}"),
        "nothing says what this is: no event and no transactionId"
    );
    assert_eq!(
        refusal(&ExpressConsent, r#"{"event":"cdr.completed"}"#),
        "it names neither a record nor a reader nor a session"
    );
}

fn configured(texts: &[(&str, &str)]) -> Settings {
    with_texts(with_secrets(settings(&ExpressConsent), &["s3cret"]), texts)
}

#[test]
fn settings_that_cannot_judge_a_signature_are_refused_at_the_start() {
    for (texts, words) in [
        (&[][..], "has no signature_header"),
        (
            &[
                ("signature_header", "X-Sig"),
                ("signature_encoding", "hexx"),
            ],
            "\"hexx\" is neither \"hex\" nor \"base64\"",
        ),
        (
            &[("signature_header", "X-Sig"), ("signed_content", "url")],
            "\"url\" is neither \"body\" nor \"timestamp.body\"",
        ),
        (
            &[
                ("signature_header", "X-Sig"),
                ("signed_content", "timestamp.body"),
            ],
            "needs timestamp_header",
        ),
        (&[("signature_header", "X-Sig: abc")], "is no header name"),
    ] {
        let why = ExpressConsent.gate(&configured(texts)).err().unwrap().0;
        assert!(why.contains(words), "{why}");
        assert!(why.contains("[providers.expressconsent]") && !why.contains("s3cret"));
    }
}

#[test]
fn every_configured_way_of_signing_is_right_for_its_own_body_only() {
    for texts in [
        &[("signature_header", "X-Sig")][..],
        &[
            ("signature_header", "X-Sig"),
            ("signature_prefix", "sha256="),
        ],
        &[
            ("signature_header", "X-Sig"),
            ("signature_encoding", "base64"),
        ],
        &[
            ("signature_header", "X-Sig"),
            ("signed_content", "timestamp.body"),
            ("timestamp_header", "X-Time"),
        ],
    ] {
        let settings = configured(texts);
        let gate = ExpressConsent.gate(&settings).unwrap();
        assert_eq!(gate.signature_headers, ["x-sig"]);
        let headers = ExpressConsent.sign(&settings, record().as_bytes(), at(ARRIVAL));
        let right = (gate.prove)(&request(record(), &headers));
        assert_eq!(right[0].verdict, Verdict::Right(0), "{texts:?}");
        let wrong = (gate.prove)(&request(snapshot(), &headers));
        assert!(matches!(wrong[0].verdict, Verdict::Wrong(_)), "{texts:?}");
    }
}

#[test]
fn a_signature_without_a_secret_is_unchecked_and_never_verified() {
    let settings = with_texts(settings(&ExpressConsent), &[("signature_header", "X-Sig")]);
    let gate = ExpressConsent.gate(&settings).unwrap();
    let headers = [("x-sig".to_owned(), "abc".to_owned())];
    let proofs = (gate.prove)(&request(record(), &headers));
    assert_eq!(proofs[0].verdict, Verdict::Unchecked);
    assert!(
        ExpressConsent
            .sign(&settings, b"{}", at(ARRIVAL))
            .is_empty()
    );
}

#[test]
fn an_answer_is_told_in_a_body_that_reads_back() {
    let who = Persona {
        number: 1,
        name: "山田 花子".into(),
        email: "hanako@example.jp".into(),
        phone: "819012345678".into(),
        country: "JP",
        city: "Osaka",
    };
    let story = Story {
        who: &who,
        at: at("2025-06-01T08:00:00Z"),
        nonce: 9,
        what: Happening::Answered {
            agreed: false,
            wording: "ok?",
        },
    };
    let told = ExpressConsent.tell(&story);
    let event = event(&ExpressConsent, std::str::from_utf8(&told[0].body).unwrap());
    assert_eq!(event.occurred.at, Some(story.at));
    assert_eq!(event.subject.name, Some(who.name.clone()));
    assert_eq!(scopes(&event)[0].state, ConsentState::Refused);
}

/// Every row of MAPPING.md part 1, on the documented bodies.
#[test]
fn documented_samples_read_as_the_mapping_says() {
    let Some(body) = documented("expressconsent/snapshot-v1.json") else {
        return;
    };
    let reading = read(&ExpressConsent, &body);
    let event = &reading.events()[0];
    assert_eq!(
        (reading.label.as_str(), reading.events().len()),
        ("snapshot", 1)
    );
    assert_eq!(event.kind, EventType::ConsentEvidenceCaptured);
    assert_eq!(event.facts, Facts::None);
    assert_eq!(event.subject.user_id.as_deref(), Some("5551234567"));
    assert_eq!(event.subject.phone.as_deref(), Some("555-123-4567"));
    assert_eq!(event.occurred.at, Some(at("2023-06-08T14:06:40.000Z")));
    assert_eq!(reading.keys[0].key, "snapshot:xyzzy-12345");
    assert_eq!(reading.keys[0].rule.policy(), 2);
}

#[test]
fn the_documented_record_reads_as_the_mapping_says() {
    let Some(body) = documented("expressconsent/cdr.completed.json") else {
        return;
    };
    let reading = read(&ExpressConsent, &body);
    let event = &reading.events()[0];
    assert_eq!(
        (reading.label.as_str(), reading.events().len()),
        ("cdr.completed", 1)
    );
    assert_eq!(event.subject.user_id.as_deref(), Some("lead:123"));
    assert_eq!((&event.subject.email, &event.subject.phone), (&None, &None));
    assert!(!event.subject.anonymous && event.subject.aliases.is_empty());
    assert_eq!(event.occurred.at, Some(at("2025-02-03T16:26:40.000Z")));
    let scope = &scopes(event)[0];
    assert_eq!(
        (scope.purpose.as_str(), scope.state),
        ("tcpa", ConsentState::Given)
    );
    assert_eq!(scope.version.as_ref().unwrap().len(), 12);
    assert_eq!(scope.evidence.as_deref(), Some("abc_123"));
    assert_eq!(reading.keys[0].key, "webhook:wh_a1b2c3d4");
    assert_eq!(reading.keys[0].rule.policy(), 1);
    assert!(reading.keys[1].key.starts_with("cdr:abc_123:"));
    assert_eq!(event.money, None);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(body in prop::collection::vec(any::<u8>(), 0..400)) {
        holds(&ExpressConsent, &body);
    }

    #[test]
    fn any_json_is_read_without_harm(json in any_json(), metadata in any_json()) {
        holds(&ExpressConsent, json.to_string().as_bytes());
        let body = with(record(), "/customMetadata", Some(metadata));
        holds(&ExpressConsent, body.as_bytes());
    }

    #[test]
    fn changed_samples_are_read_without_harm(body in mutated(&ExpressConsent)) {
        holds(&ExpressConsent, body.as_bytes());
    }
}
