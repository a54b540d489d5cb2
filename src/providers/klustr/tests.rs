//! Klustr: each rule of MAPPING.md and each trap of its contract.

use proptest::prelude::*;
use serde_json::json;

use crate::domain::delivery::KeyRule;
use crate::domain::event::{
    ConsentFacts, ConsentKind, ConsentState, Event, EventType, Facts, OccurredSource,
};
use crate::providers::klustr::Klustr;
use crate::providers::testing::{
    any_json, at, delivery, documented, event, events, holds, mutated, read, refusal, request,
    rows, sample, settings, with, with_secrets,
};
use crate::providers::{Happening, Persona, Provider, Story, Verdict};

const SECRET: &str = "whsec_c3VibGVkZ2VyLXRlc3Qta2V5LW5vLTE=";

fn facts(event: &Event) -> &ConsentFacts {
    match &event.facts {
        Facts::Consent(facts) => facts,
        other => panic!("no facts of consents: {other:?}"),
    }
}

/// Purpose and state of each scope.
fn states(event: &Event) -> Vec<(&str, &'static str)> {
    facts(event)
        .scopes
        .iter()
        .map(|scope| (scope.purpose.as_str(), scope.state.as_str()))
        .collect()
}

fn named(name: &str) -> &'static str {
    sample(&Klustr, name)
}

#[test]
fn the_first_consent_registers_a_reader_and_states_the_whole_set() {
    let events = events(&Klustr, named("user.app.consent.create"));
    assert_eq!(
        events.iter().map(|event| event.kind).collect::<Vec<_>>(),
        [EventType::UserRegistered, EventType::ConsentGiven]
    );
    let given = &events[1];
    assert_eq!(
        states(given),
        [("openid", "given"), ("newsletter.read", "given")]
    );
    let facts = facts(given);
    assert!(facts.whole_set && !facts.withdraws_all);
    assert_eq!((facts.kind, &facts.app), (ConsentKind::Consent, &given.app));
    assert_eq!(facts.scopes[0].method.as_deref(), Some("implicit"));
    assert_eq!(facts.scopes[0].given_at, given.occurred.at);
}

#[test]
fn a_scope_that_left_without_a_word_is_gone_from_a_whole_set() {
    let body = include_str!("../../../tests/fixtures/klustr/events.removed-scope.json");
    let event = event(&Klustr, body);
    assert_eq!(event.kind, EventType::ConsentUpdated);
    assert_eq!(states(&event), [("openid", "given")]);
    assert!(facts(&event).whole_set);
}

#[test]
fn a_dropped_scope_that_is_listed_as_revoked_is_withdrawn_at_its_own_date() {
    let event = event(&Klustr, named("user.app.consent.update"));
    let facts = facts(&event);
    assert_eq!(states(&event)[2], ("ads.personalised", "withdrawn"));
    assert_eq!(facts.scopes[2].revoked_at, event.occurred.at);
}

#[test]
fn missing_scopes_are_the_empty_set_and_odd_ones_say_nothing() {
    let body = include_str!("../../../tests/fixtures/klustr/events.no-scopes.json");
    let none = event(&Klustr, body);
    assert!(facts(&none).whole_set && facts(&none).scopes.is_empty());
    let odd = event(&Klustr, &with(body, "/data/scopes", Some(json!("openid"))));
    assert!(!facts(&odd).whole_set && facts(&odd).scopes.is_empty());
    let one = json!({"id": "openid", "status": "active"});
    let one = event(&Klustr, &with(body, "/data/scopes", Some(one)));
    assert_eq!(states(&one), [("openid", "given")]);
}

#[test]
fn deleting_withdraws_every_scope_whatever_its_status_and_dates() {
    let body = include_str!("../../../tests/fixtures/klustr/events.delete-without-dates.json");
    let event = event(&Klustr, body);
    assert_eq!(event.kind, EventType::ConsentWithdrawn);
    assert!(facts(&event).withdraws_all);
    for scope in &facts(&event).scopes {
        assert_eq!(
            (scope.state, scope.revoked_at),
            (ConsentState::Withdrawn, None)
        );
    }
}

#[test]
fn an_empty_date_of_withdrawal_withdraws_nothing() {
    for (date, state) in [("", "given"), ("2024-03-05T18:40:11Z", "withdrawn")] {
        let scopes = json!([{"id": "x", "date_revoked": date}]);
        let body = with(
            named("user.app.consent.update"),
            "/data/scopes",
            Some(scopes),
        );
        assert_eq!(states(&event(&Klustr, &body)), [("x", state)], "{date}");
    }
}

#[test]
fn a_scope_with_a_status_nobody_knows_is_no_consent() {
    for (status, state) in [
        (json!("active"), Some("given")),
        (json!("ACTIVE"), Some("given")),
        (json!("expired"), Some("expired")),
        (json!("denied"), Some("refused")),
        (json!("pending"), None),
        (json!(true), None),
    ] {
        let scopes = json!([{"id": "x", "status": status}]);
        let body = with(
            named("user.app.consent.update"),
            "/data/scopes",
            Some(scopes),
        );
        let event = event(&Klustr, &body);
        let read = states(&event).first().map(|(_, state)| *state);
        assert_eq!(read, state, "{status}");
    }
}

#[test]
fn a_sign_in_touches_no_consent_although_it_lists_scopes() {
    let event = event(&Klustr, named("user.consent"));
    assert_eq!(
        (event.kind, &event.facts),
        (EventType::UserSignedIn, &Facts::None)
    );
}

#[test]
fn an_agreements_name_and_status_outrank_its_scopes() {
    let accepted = event(&Klustr, named("user.agreement.consent.created"));
    assert_eq!(accepted.kind, EventType::AgreementAccepted);
    assert_eq!(states(&accepted), [("terms", "given")]);
    assert_eq!(facts(&accepted).scopes[0].version.as_deref(), Some("3.1.0"));
    assert!(!facts(&accepted).app.is_empty() && accepted.app.is_empty());

    let deleted = named("user.agreement.consent.deleted");
    assert_eq!(event(&Klustr, deleted).kind, EventType::AgreementWithdrawn);
    assert_eq!(states(&event(&Klustr, deleted)), [("terms", "withdrawn")]);
    let by_name = with(deleted, "/data/status", Some(json!("active")));
    assert_eq!(event(&Klustr, &by_name).kind, EventType::AgreementWithdrawn);
    let by_status = with(
        deleted,
        "/event_type",
        Some(json!("user.agreement.consent.updated")),
    );
    assert_eq!(
        event(&Klustr, &by_status).kind,
        EventType::AgreementWithdrawn
    );
}

#[test]
fn an_agreement_without_scopes_is_its_own_purpose() {
    let body = with(
        named("user.agreement.consent.created"),
        "/data/scopes",
        None,
    );
    let agreement = event(&Klustr, &body);
    assert_eq!(
        states(&agreement),
        [(facts(&agreement).app.as_str(), "given")]
    );
}

#[test]
fn an_experiment_is_joined_changed_or_left() {
    let joined = event(&Klustr, named("user.experiment.consent.update"));
    assert_eq!(joined.kind, EventType::ExperimentJoined);
    let again = event(&Klustr, named("user.experiment.consent.updated"));
    assert_eq!(again.kind, EventType::ExperimentJoined);
    let created = include_str!("../../../tests/fixtures/klustr/events.experiment-create.json");
    assert_eq!(event(&Klustr, created).kind, EventType::ExperimentJoined);
    let updated = with(
        created,
        "/event_type",
        Some(json!("user.experiment.consent.update")),
    );
    assert_eq!(event(&Klustr, &updated).kind, EventType::ExperimentUpdated);

    let left = event(&Klustr, named("user.experiment.consent.revoked"));
    assert_eq!(left.kind, EventType::ExperimentLeft);
    assert_eq!(facts(&left).kind, ConsentKind::Experiment);
    assert_eq!(facts(&left).scopes.len(), 1);
    assert_eq!(facts(&left).scopes[0].state, ConsentState::Withdrawn);
    assert_eq!(
        facts(&left).scopes[0].purpose,
        facts(&joined).scopes[0].purpose
    );
    let by_name = with(
        named("user.experiment.consent.updated"),
        "/event_type",
        Some(json!("user.experiment.consent.delete")),
    );
    assert_eq!(event(&Klustr, &by_name).kind, EventType::ExperimentLeft);
}

#[test]
fn identity_checks_and_profiles_state_no_time() {
    for (name, kind, state) in [
        (
            "user.ekyc.verified",
            EventType::IdentityVerified,
            Some("given"),
        ),
        (
            "user.ekyc.revoked",
            EventType::IdentityRevoked,
            Some("withdrawn"),
        ),
        ("user.profile.update", EventType::UserUpdated, None),
    ] {
        let reading = read(&Klustr, named(name));
        let event = &reading.events()[0];
        assert_eq!(event.kind, kind);
        assert_eq!(event.occurred.source, OccurredSource::None);
        if let Some(state) = state {
            assert_eq!(states(event), [("ekyc", state)]);
            assert_eq!(facts(event).kind, ConsentKind::Identity);
        }
        assert_eq!(reading.keys[0].rule, KeyRule::NaturalWithin(600_000));
    }
}

#[test]
fn without_a_time_in_the_body_the_header_tells_it() {
    let headers = [("svix-id", "msg_1"), ("svix-timestamp", "1767323000")];
    let body = named("user.ekyc.verified").as_bytes();
    let reading = Klustr.read(&delivery(&Klustr, body, &headers));
    let occurred = reading.events()[0].occurred;
    assert_eq!(occurred.at, Some(at("2026-01-02T03:03:20Z")));
    assert_eq!(occurred.source, OccurredSource::Header);
    assert_eq!(reading.keys[0].rule, KeyRule::NaturalWithin(600_000));
    assert_eq!(reading.keys[1].key, "svix:msg_1");
    assert_eq!(reading.keys[1].rule, KeyRule::Id);
}

#[test]
fn an_impossible_time_is_kept_in_data_and_not_used() {
    let body = with(
        named("user.app.consent.update"),
        "/data/timestamp",
        Some(json!("2099-01-01T00:00:00Z")),
    );
    let event = event(&Klustr, &body);
    assert_eq!(event.occurred.source, OccurredSource::Implausible);
    assert_eq!(event.occurred.at, None);
    assert_eq!(event.extra["timestamp"], "2099-01-01T00:00:00Z");
}

#[test]
fn copies_under_other_ids_share_a_key_and_other_names_do_not() {
    let body = named("user.experiment.consent.update");
    let key = |headers: &[(&str, &str)], body: &str| {
        let reading = Klustr.read(&delivery(&Klustr, body.as_bytes(), headers));
        reading.keys[0].clone()
    };
    let first = key(&[("svix-id", "msg_1")], body);
    assert_eq!(first, key(&[("webhook-id", "msg_2")], body));
    assert_eq!(first.rule, KeyRule::Natural);
    assert_ne!(first, key(&[], named("user.experiment.consent.updated")));
    let other_record = with(body, "/data/id", Some(json!("another")));
    assert_ne!(first, key(&[], &other_record));
}

#[test]
fn a_bare_object_with_an_event_is_read_like_a_wrapped_one() {
    let body = include_str!("../../../tests/fixtures/klustr/events.bare.json");
    let reading = read(&Klustr, body);
    assert_eq!(reading.label, "user.app.consent.created");
    let events = reading.events();
    assert_eq!(events[1].kind, EventType::ConsentGiven);
    assert_eq!(events[1].subject.user_id.as_deref(), Some("pairwise-9f1"));
    assert_eq!(events[1].app, "41");
    assert_eq!(
        states(&events[1]),
        [("openid", "given"), ("ads.personalised", "given")]
    );
    let by_type = body.replace("\"event\"", "\"type\"");
    assert_eq!(read(&Klustr, &by_type).events().len(), 2);
}

#[test]
fn names_nobody_knows_are_kept_as_unknown() {
    for name in [
        "user.wallet.opened",
        "user.ekyc.delete",
        "user.profile.create",
        "x",
    ] {
        let body = json!({"event_type": name, "data": {"a": [1, {"b": null}]}}).to_string();
        let reading = read(&Klustr, &body);
        assert_eq!(reading.label, name);
        assert_eq!(reading.events()[0].kind, EventType::Unknown);
    }
}

#[test]
fn what_names_no_event_or_nobody_is_quarantined_with_a_reason() {
    assert_eq!(
        refusal(&Klustr, "{}"),
        "nothing says which event this is: no event_type"
    );
    let body = r#"{"event_type":"user.consent","data":{"app_id":"a"}}"#;
    assert_eq!(
        refusal(&Klustr, body),
        "it names neither a record nor a reader"
    );
    let body = r#"{"event_type":"user.ekyc.verified","data":{"id":"a"}}"#;
    assert_eq!(
        refusal(&Klustr, body),
        "it names neither a record nor a reader"
    );
    let record_only = with(named("user.app.consent.update"), "/data/subject_id", None);
    assert_eq!(events(&Klustr, &record_only).len(), 1);
}

#[test]
fn too_many_scopes_are_quarantined() {
    let many: Vec<String> = (0..10_000).map(|n| format!("scope {n}")).collect();
    let body = with(
        named("user.app.consent.update"),
        "/data/scopes",
        Some(json!(many)),
    );
    assert_eq!(refusal(&Klustr, &body), "it states more than 9999 scopes");
}

#[test]
fn an_unreadable_body_is_known_by_its_header_alone() {
    let reading = Klustr.read(&delivery(&Klustr, b"\xff", &[("svix-id", "msg_7")]));
    assert_eq!(reading.keys.len(), 1);
    assert_eq!(reading.keys[0].key, "svix:msg_7");
    assert!(
        Klustr
            .read(&delivery(&Klustr, b"\xff", &[]))
            .keys
            .is_empty()
    );
}

#[test]
fn a_secret_that_is_not_base64_is_refused_at_the_start() {
    let settings = with_secrets(settings(&Klustr), &[SECRET, "whsec_not base64!"]);
    let why = Klustr.gate(&settings).err().unwrap().to_string();
    assert_eq!(
        why,
        "secret under [providers.klustr] is not base64: paste it whole, as Klustr shows it (whsec_...)"
    );
}

#[test]
fn its_own_signature_is_right_and_another_is_wrong() {
    let settings = with_secrets(settings(&Klustr), &[SECRET]);
    let gate = Klustr.gate(&settings).unwrap();
    let body = named("user.consent");
    let arrival = at(crate::providers::testing::ARRIVAL);
    let headers = Klustr.sign(&settings, body.as_bytes(), arrival);
    let verdicts = |body: &str| (gate.prove)(&request(body, &headers));
    assert_eq!(verdicts(body)[0].verdict, Verdict::Right(0));
    assert!(matches!(verdicts("{}")[0].verdict, Verdict::Wrong(_)));
    assert!((gate.prove)(&request(body, &[])).is_empty());
}

#[test]
fn stories_are_told_in_bodies_that_read_back() {
    let who = Persona {
        number: 7,
        name: "أمل حداد".into(),
        email: "amal@example.org".into(),
        phone: "96170111222".into(),
        country: "LB",
        city: "Beirut",
    };
    for (what, kind) in [
        (Happening::Registered, EventType::ConsentGiven),
        (Happening::SignedIn, EventType::UserSignedIn),
        (
            Happening::Consented(vec!["newsletter"]),
            EventType::ConsentUpdated,
        ),
        (Happening::Withdrew, EventType::ConsentWithdrawn),
        (
            Happening::AcceptedTerms("2.0.0"),
            EventType::AgreementAccepted,
        ),
    ] {
        let story = Story {
            who: &who,
            at: at("2025-06-01T08:00:00Z"),
            nonce: 3,
            what,
        };
        let told = Klustr.tell(&story);
        let body = std::str::from_utf8(&told[0].body).unwrap();
        let events = events(&Klustr, body);
        let last = events.last().unwrap();
        assert_eq!((last.kind, last.occurred.at), (kind, Some(story.at)));
        let own = Klustr.sign(
            &with_secrets(settings(&Klustr), &[SECRET]),
            &told[0].body,
            story.at,
        );
        assert_eq!(own[..2], told[0].headers);
    }
}

/// MAPPING.md part 1: file, `provider_type`, events, time.
const DOCUMENTED: &str = "
user.app.consent.create           | user.app.consent.create         | user.registered consent.given | 2024-03-01T09:15:02.000Z
user.app.consent.update           | user.app.consent.update         | consent.updated               | 2024-03-05T18:40:11.000Z
user.app.consent.delete           | user.app.consent.delete         | consent.withdrawn             | 2024-03-09T07:02:33.000Z
user.consent                      | user.consent                    | user.signed_in                | 2024-03-05T18:40:11.000Z
user.agreement.consent.created    | user.agreement.consent.created  | agreement.accepted            | 2024-03-01T09:15:02.000Z
user.agreement.consent.deleted    | user.agreement.consent.deleted  | agreement.withdrawn           | 2024-03-10T00:00:00.000Z
user.experiment.consent.update    | user.experiment.consent.update  | experiment.joined             | 2024-03-02T10:00:00.000Z
user.experiment.consent.updated   | user.experiment.consent.updated | experiment.joined             | 2024-03-02T10:00:00.000Z
user.experiment.consent.revoked   | user.experiment.consent.revoked | experiment.left               | 2024-03-06T12:30:00.000Z
user.ekyc.verified-unknown-shape  | user.ekyc.verified              | identity.verified             |
user.ekyc.revoked-unknown-shape   | user.ekyc.revoked               | identity.revoked              |
user.profile.update-unknown-shape | user.profile.update             | user.updated                  |
";

#[test]
fn documented_samples_read_as_the_mapping_says() {
    for [file, label, kinds, time] in rows(DOCUMENTED) {
        let Some(body) = documented(&format!("klustr/{file}.json")) else {
            return;
        };
        let reading = read(&Klustr, &body);
        assert_eq!(reading.label, label);
        let read: Vec<&str> = reading
            .events()
            .iter()
            .map(|event| event.kind.as_str())
            .collect();
        assert_eq!(read.join(" "), kinds, "{file}");
        let rule = match time {
            "" => KeyRule::NaturalWithin(600_000),
            _ => KeyRule::Natural,
        };
        assert_eq!(reading.keys.len(), 1);
        assert_eq!(reading.keys[0].rule, rule);
        for event in reading.events() {
            let user = "7b0d1c52-1f0e-4a43-8c53-2f5c3f0a9e10";
            assert_eq!(event.subject.user_id.as_deref(), Some(user));
            assert_eq!((&event.subscription_id, &event.money), (&None, &None));
            let stated = event.occurred.at.map(|at| at.to_string());
            assert_eq!(stated.unwrap_or_default(), time, "{file}");
        }
    }
}

#[test]
fn documented_consents_state_what_the_mapping_says() {
    for (file, app, scopes) in [
        (
            "user.app.consent.update",
            "9c8e2f2a-3a55-4f5b-9a7f-5f8f3f1f0c21",
            "openid given, profile.read given, location.read withdrawn",
        ),
        (
            "user.app.consent.delete",
            "9c8e2f2a-3a55-4f5b-9a7f-5f8f3f1f0c21",
            "openid withdrawn, profile.read withdrawn, location.read withdrawn",
        ),
        (
            "user.agreement.consent.created",
            "d4c3b2a1-0f0e-4d0c-8b0a-090807060504",
            "tos given 1.2.0",
        ),
        (
            "user.agreement.consent.deleted",
            "d4c3b2a1-0f0e-4d0c-8b0a-090807060504",
            "tos withdrawn 1.2.0",
        ),
        (
            "user.experiment.consent.revoked",
            "9c8e2f2a-3a55-4f5b-9a7f-5f8f3f1f0c21",
            "e2b7c6a4-0d7a-4a0d-8b1e-6f1f0a2b3c4d withdrawn",
        ),
        ("user.ekyc.verified-unknown-shape", "", "ekyc given"),
        ("user.ekyc.revoked-unknown-shape", "", "ekyc withdrawn"),
    ] {
        let Some(body) = documented(&format!("klustr/{file}.json")) else {
            return;
        };
        let event = event(&Klustr, &body);
        let facts = facts(&event);
        let stated: Vec<String> = facts
            .scopes
            .iter()
            .map(|scope| {
                let version = scope.version.as_deref().unwrap_or_default();
                let text = format!("{} {} {version}", scope.purpose, scope.state);
                text.trim().to_owned()
            })
            .collect();
        assert_eq!(
            (facts.app.as_str(), stated.join(", ").as_str()),
            (app, scopes)
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(body in prop::collection::vec(any::<u8>(), 0..400)) {
        holds(&Klustr, &body);
    }

    #[test]
    fn any_json_is_read_without_harm(json in any_json(), data in any_json()) {
        holds(&Klustr, json.to_string().as_bytes());
        let wrapped = json!({"event_type": "user.app.consent.update", "data": data});
        holds(&Klustr, wrapped.to_string().as_bytes());
    }

    #[test]
    fn changed_samples_are_read_without_harm(body in mutated(&Klustr)) {
        holds(&Klustr, body.as_bytes());
    }
}
