//! Consents and their history.

use crate::domain::event::{ConsentFacts, ConsentKind, ConsentState, EventType, Facts, Scope};
use crate::store::project::tests::named::told;
use crate::store::project::tests::{Sent, at, event};

fn scope(purpose: &str, state: ConsentState) -> Scope {
    Scope {
        purpose: purpose.into(),
        state,
        method: None,
        version: None,
        evidence: None,
        given_at: None,
        revoked_at: None,
        wording: None,
    }
}

fn app(kind: EventType, when: &str, app: &str, scopes: Vec<Scope>) -> Sent {
    Sent::of(vec![event(
        kind,
        when,
        "subject",
        Facts::Consent(ConsentFacts {
            kind: ConsentKind::Consent,
            app: app.into(),
            whole_set: true,
            withdraws_all: kind == EventType::ConsentWithdrawn,
            scopes,
        }),
    )])
}

fn given(when: &str) -> Sent {
    app(
        EventType::ConsentGiven,
        when,
        "app-1",
        vec![
            scope("openid", ConsentState::Given),
            scope("profile", ConsentState::Given),
        ],
    )
}

const PRESENT: &str = "\
select app, purpose, state, substr(since, 1, 10) from consents order by app, purpose";

const HISTORY: &str = "\
select purpose, before_state, after_state, substr(at, 1, 10) from consent_changes order by at, id";

#[test]
fn a_scope_that_is_left_out_of_an_update_is_withdrawn() {
    let update = app(
        EventType::ConsentUpdated,
        "2026-01-05",
        "app-1",
        vec![scope("openid", ConsentState::Given)],
    );
    let ledger = told("2026-02-01", &[given("2026-01-01"), update]);
    assert_eq!(
        ledger.ask(PRESENT),
        [
            "app-1|openid|given|2026-01-01",
            "app-1|profile|withdrawn|2026-01-05"
        ]
    );
    assert_eq!(
        ledger.ask(HISTORY),
        [
            "openid|-|given|2026-01-01",
            "profile|-|given|2026-01-01",
            "profile|given|withdrawn|2026-01-05"
        ]
    );
    assert_eq!(ledger.ask("select consents_given from users"), ["1"]);
}

#[test]
fn a_scope_that_is_marked_revoked_is_withdrawn_when_it_says_so() {
    let mut revoked = scope("profile", ConsentState::Withdrawn);
    revoked.revoked_at = Some(at("2026-01-04"));
    let mut unheard = scope("place", ConsentState::Withdrawn);
    unheard.revoked_at = Some(at("2026-01-09"));
    let update = app(
        EventType::ConsentUpdated,
        "2026-01-05",
        "app-1",
        vec![scope("openid", ConsentState::Given), revoked, unheard],
    );
    let ledger = told("2026-02-01", &[given("2026-01-01"), update]);
    assert_eq!(
        ledger.ask(PRESENT),
        [
            "app-1|openid|given|2026-01-01",
            // A time after the event itself is not believed.
            "app-1|place|withdrawn|2026-01-05",
            "app-1|profile|withdrawn|2026-01-04"
        ]
    );
}

#[test]
fn an_update_that_arrives_after_a_delete_gives_nothing_back() {
    let delete = app(
        EventType::ConsentWithdrawn,
        "2026-01-09",
        "app-1",
        vec![scope("openid", ConsentState::Given)],
    );
    let late = app(
        EventType::ConsentUpdated,
        "2026-01-05",
        "app-1",
        vec![
            scope("openid", ConsentState::Given),
            scope("profile", ConsentState::Given),
        ],
    );
    let ledger = told("2026-02-01", &[given("2026-01-01"), delete, late]);
    assert_eq!(
        ledger.ask(PRESENT),
        [
            "app-1|openid|withdrawn|2026-01-09",
            "app-1|profile|withdrawn|2026-01-09"
        ]
    );
    assert_eq!(ledger.ask("select count(*) from consent_changes"), ["4"]);
    assert_eq!(ledger.ask("select consents_given from users"), ["0"]);
}

#[test]
fn two_apps_of_one_subject_do_not_touch_each_other() {
    let other = app(
        EventType::ConsentGiven,
        "2026-01-03",
        "app-2",
        vec![scope("mail", ConsentState::Given)],
    );
    let ledger = told("2026-02-01", &[given("2026-01-01"), other]);
    assert_eq!(
        ledger.ask(PRESENT),
        [
            "app-1|openid|given|2026-01-01",
            "app-1|profile|given|2026-01-01",
            "app-2|mail|given|2026-01-03"
        ]
    );
}

#[test]
fn a_refusal_is_no_consent_and_a_later_answer_replaces_it() {
    let answer = |when: &str, state, version: &str| {
        let mut stated = scope("tcpa", state);
        stated.version = Some(version.into());
        stated.evidence = Some(format!("cdr-{version}"));
        Sent::of(vec![event(
            EventType::ConsentEvidenceCaptured,
            when,
            "lead:1",
            Facts::Consent(ConsentFacts {
                kind: ConsentKind::Evidence,
                app: String::new(),
                whole_set: false,
                withdraws_all: false,
                scopes: vec![stated],
            }),
        )])
    };
    let no = answer("2026-01-01", ConsentState::Refused, "1");
    let ledger = told("2026-02-01", std::slice::from_ref(&no));
    assert_eq!(ledger.ask("select consents_given from users"), ["0"]);
    let yes = answer("2026-01-02", ConsentState::Given, "2");
    let again = answer("2026-01-03", ConsentState::Given, "3");
    let ledger = told("2026-02-01", &[no, yes, again]);
    assert_eq!(
        ledger.ask("select state, substr(since, 1, 10), version, evidence from consents"),
        ["given|2026-01-02|3|cdr-3"]
    );
    assert_eq!(
        ledger.ask("select before_state, after_state, version from consent_changes order by at"),
        ["-|refused|1", "refused|given|2"]
    );
    assert_eq!(ledger.ask("select consents_given from users"), ["1"]);
}

#[test]
fn a_first_given_is_dated_by_the_provider_and_a_second_one_by_its_event() {
    let mut first = scope("openid", ConsentState::Given);
    first.given_at = Some(at("2025-12-24"));
    let first_given = app(
        EventType::ConsentGiven,
        "2026-01-01",
        "app-1",
        vec![first.clone()],
    );
    let gone = app(EventType::ConsentUpdated, "2026-01-02", "app-1", Vec::new());
    let back = app(
        EventType::ConsentUpdated,
        "2026-01-03",
        "app-1",
        vec![first],
    );
    let ledger = told("2026-02-01", &[first_given, gone, back]);
    assert_eq!(
        ledger.ask(HISTORY),
        [
            "openid|-|given|2025-12-24",
            "openid|given|withdrawn|2026-01-02",
            "openid|withdrawn|given|2026-01-03"
        ]
    );
    assert_eq!(
        ledger.ask("select id - seq * 100000000, c.id = (select max(id) from consent_changes) from consents c"),
        ["0|1"]
    );
}

#[test]
fn a_session_has_consents_but_is_no_reader() {
    let mut sent = given("2026-01-01");
    sent.events[0].subject.user_id = Some("session:9".into());
    sent.events[0].subject.anonymous = true;
    let ledger = told("2026-02-01", &[sent]);
    assert_eq!(ledger.ask("select count(*) from users"), ["0"]);
    assert_eq!(ledger.ask("select count(*) from consents"), ["2"]);
    assert_eq!(ledger.ask("select users_id from events"), ["-"]);
}
