//! Klustr's traps.
//!
//! | trap | test |
//! |---|---|
//! | a scope goes by being left out, or by being marked | `a_scope_goes_by_being_left_out_or_by_being_marked` |
//! | a delete may lack `date_revoked` | `a_delete_without_dates_withdraws_at_its_own_time` |
//! | copies to every endpoint, each with an id of its own; equal sign-ins within one second | `klustrs_copies_under_ids_of_their_own_are_one_event`, `two_sign_ins_of_one_second_are_two` |
//! | scopes are objects, or texts | `scopes_that_are_texts_are_no_consents` |
//! | pairwise subjects | `one_person_under_a_subject_for_each_app_is_not_merged`, `two_apps_of_one_subject_have_each_their_own_consents` |
//! | experiments may never be told; leaving an app touches them | `leaving_an_app_ends_its_experiments_only_when_that_is_told` |
//! | names as documented and as coded | `experiments_are_told_under_two_sets_of_names` |
//! | a counter of prompts, and a flag that is text | `a_counter_of_prompts_and_a_flag_as_text_change_nothing` |
//! | a late update after a delete | `a_late_update_after_a_delete_gives_no_consent_back` |

use serde_json::{Value as Json, json};

use crate::traps::{CONSENTS, Post, check};

fn klustr(kind: &str, when: &str, scopes: Json) -> Post {
    let changes = [
        ("/event_type", format!("user.app.consent.{kind}").into()),
        ("/data/timestamp", format!("{when}T10:00:00Z").into()),
        ("/data/last_seen_date", format!("{when}T10:00:00Z").into()),
        ("/data/scopes", scopes),
    ];
    Post::of("klustr", "user.app.consent.create", &changes)
}

fn scope(id: &str) -> Json {
    json!({"id": id, "status": "active", "consent_method": "explicit", "date_created": "2025-04-01T09:00:00Z"})
}

#[test]
fn a_scope_goes_by_being_left_out_or_by_being_marked() {
    let given = klustr(
        "create",
        "2025-04-01",
        json!([scope("mail"), scope("place"), scope("push")]),
    );
    let marked =
        json!({"id": "place", "status": "revoked", "date_revoked": "2025-04-03T09:00:00Z"});
    let update = klustr("update", "2025-04-03", json!([scope("push"), marked]));
    check(
        "2025-05-01",
        &[given, update],
        &[(
            CONSENTS,
            &[
                "mail|withdrawn|2025-04-03",
                "place|withdrawn|2025-04-03",
                "push|given|2025-04-01",
            ],
        )],
    );
}

#[test]
fn a_late_update_after_a_delete_gives_no_consent_back() {
    let given = klustr("create", "2025-04-01", json!([scope("mail")]));
    let gone = klustr("delete", "2025-04-09", json!([scope("mail")]));
    let late = klustr(
        "update",
        "2025-04-05",
        json!([scope("mail"), scope("push")]),
    );
    check(
        "2025-05-01",
        &[given, gone, late],
        &[
            (
                CONSENTS,
                &["mail|withdrawn|2025-04-09", "push|withdrawn|2025-04-09"],
            ),
            ("select consents_given from users", &["0"]),
        ],
    );
}

#[test]
fn klustrs_copies_under_ids_of_their_own_are_one_event() {
    let copies = ["msg_a", "msg_b", "msg_a"].map(|id| Post {
        id: Some(id),
        ..klustr("create", "2025-04-01", json!([scope("mail")]))
    });
    check(
        "2025-05-01",
        &copies,
        &[
            (
                "select outcome, duplicate_of, confidence from deliveries",
                &[
                    "stored|-|certain",
                    "duplicate|1|certain",
                    "duplicate|1|certain",
                ],
            ),
            ("select count(*) from consent_changes", &["1"]),
        ],
    );
}

#[test]
fn two_apps_of_one_subject_have_each_their_own_consents() {
    let one = klustr("create", "2025-04-01", json!([scope("mail")]));
    let mut two = klustr("create", "2025-04-02", json!([scope("mail")]));
    let mut body: Json = serde_json::from_str(&two.body).unwrap();
    body["data"]["app_id"] = "another-app".into();
    body["data"]["id"] = "another-record".into();
    two.body = body.to_string();
    let gone = klustr("delete", "2025-04-03", json!([scope("mail")]));
    check(
        "2025-05-01",
        &[one, two, gone],
        &[
            (
                "select app = 'another-app', state from consents order by 1",
                &["0|withdrawn", "1|given"],
            ),
            ("select count(*) from users", &["1"]),
        ],
    );
}

#[test]
fn a_delete_without_dates_withdraws_at_its_own_time() {
    let given = klustr(
        "create",
        "2025-04-01",
        json!([scope("mail"), scope("push")]),
    );
    let gone = klustr(
        "delete",
        "2025-04-09",
        json!([{"id": "mail", "status": "active"}, {"id": "push", "status": "revoked"}]),
    );
    check(
        "2025-05-01",
        &[given, gone],
        &[(
            CONSENTS,
            &["mail|withdrawn|2025-04-09", "push|withdrawn|2025-04-09"],
        )],
    );
}

fn sign_in(id: &str, scopes: Json) -> Post {
    let changes = [("/data/id", id.into()), ("/data/scopes", scopes)];
    Post::of("klustr", "user.consent", &changes)
}

#[test]
fn two_sign_ins_of_one_second_are_two() {
    let one = sign_in("aud-1", json!(["mail"]));
    let two = sign_in("aud-2", json!(["mail"]));
    check(
        "2025-05-01",
        &[one.clone(), two, one],
        &[
            (
                "select outcome, count(*) from deliveries group by 1 order by 1",
                &["duplicate|1", "stored|2"],
            ),
            ("select sign_ins from users", &["2"]),
        ],
    );
}

#[test]
fn scopes_that_are_texts_are_no_consents() {
    check(
        "2025-05-01",
        &[
            klustr("create", "2025-04-01", json!([scope("mail")])),
            sign_in("aud-1", json!(["mail", "place", "push"])),
        ],
        &[
            (CONSENTS, &["mail|given|2025-04-01"]),
            ("select count(*) from consent_changes", &["1"]),
            ("select sign_ins, consents_given from users", &["1|1"]),
        ],
    );
}

#[test]
fn one_person_under_a_subject_for_each_app_is_not_merged() {
    // The same record and the same agent, told under the name that each app knows the person by.
    let told = |subject: &str, app: &str| {
        let mut post = klustr("create", "2025-04-01", json!([scope("mail")]));
        let mut body: Json = serde_json::from_str(&post.body).unwrap();
        body["data"]["subject_id"] = subject.into();
        body["data"]["app_id"] = app.into();
        post.body = body.to_string();
        post
    };
    check(
        "2025-05-01",
        &[told("pair-a", "paper"), told("pair-b", "radio")],
        &[
            (
                "select outcome, count(*) from deliveries group by 1",
                &["stored|2"],
            ),
            (
                "select user_id, consents_given from users order by 1",
                &["pair-a|1", "pair-b|1"],
            ),
            (
                "select user_id, app, state from consents order by 1",
                &["pair-a|paper|given", "pair-b|radio|given"],
            ),
            ("select count(*) from user_aliases", &["0"]),
        ],
    );
}

/// Word of a membership in an experiment of the app that `klustr` tells of.
fn experiment(kind: &str, first: &str, last: &str, status: &str) -> Post {
    let changes = [
        (
            "/event_type",
            format!("user.experiment.consent.{kind}").into(),
        ),
        ("/data/experiment_id", "front-page".into()),
        ("/data/first_seen_date", format!("{first}T10:00:00Z").into()),
        ("/data/last_seen_date", format!("{last}T10:00:00Z").into()),
        ("/data/status", status.into()),
    ];
    Post::of("klustr", "user.experiment.consent.update", &changes)
}

#[test]
fn leaving_an_app_ends_its_experiments_only_when_that_is_told() {
    let given = klustr("create", "2025-04-01", json!([scope("mail")]));
    let joined = experiment("update", "2025-04-02", "2025-04-02", "active");
    let gone = klustr("delete", "2025-04-09", json!([scope("mail")]));
    let left = experiment("update", "2025-04-02", "2025-04-09", "revoked");
    let states = "select kind, purpose, state from consents order by 1";
    check(
        "2025-05-01",
        &[given.clone(), joined.clone(), gone.clone()],
        &[(
            states,
            &["consent|mail|withdrawn", "experiment|front-page|given"],
        )],
    );
    check(
        "2025-05-01",
        &[given, joined, gone, left],
        &[(
            states,
            &["consent|mail|withdrawn", "experiment|front-page|withdrawn"],
        )],
    );
}

#[test]
fn experiments_are_told_under_two_sets_of_names() {
    for (join, leave, status) in [
        ("create", "delete", "active"),
        ("update", "update", "revoked"),
        ("updated", "revoked", "revoked"),
    ] {
        check(
            "2025-05-01",
            &[
                experiment(join, "2025-04-02", "2025-04-02", "active"),
                experiment(leave, "2025-04-02", "2025-04-05", status),
            ],
            &[
                (
                    "select type from events order by at",
                    &["experiment.joined", "experiment.left"],
                ),
                (CONSENTS, &["front-page|withdrawn|2025-04-05"]),
            ],
        );
    }
}

#[test]
fn a_counter_of_prompts_and_a_flag_as_text_change_nothing() {
    let told = |impressions: Json, trusted: Json| {
        let changes = [
            ("/data/impressions", impressions),
            ("/data/agent/device/trusted", trusted),
            ("/data/scopes", json!([scope("mail")])),
        ];
        Post::of("klustr", "user.app.consent.create", &changes)
    };
    for (impressions, trusted) in [
        (json!(0), json!("true")),
        (json!(41), json!("false")),
        (json!("7"), json!(true)),
        (Json::Null, Json::Null),
    ] {
        let impressed = impressions
            .as_str()
            .map_or(impressions.to_string(), str::to_owned);
        let kept = if impressions.is_null() {
            "-"
        } else {
            &impressed
        };
        check(
            "2025-05-01",
            &[told(impressions.clone(), trusted)],
            &[
                ("select consents_given, sign_ins from users", &["1|0"]),
                (CONSENTS, &["mail|given|2025-04-01"]),
                (
                    "select json_extract(data, '$.impressions') from events where n = 0",
                    &[kept],
                ),
                (
                    "select count(*) from events where data like '%trusted%'",
                    &["0"],
                ),
            ],
        );
    }
}
