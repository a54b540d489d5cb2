//! ExpressConsent's traps.
//!
//! | trap | test |
//! |---|---|
//! | `downloadURL` and `downloadUrl`; times as text and in milliseconds | `each_generation_writes_its_time_in_its_own_way` |
//! | a sample with comments in it is no JSON | `a_body_with_comments_is_kept_and_not_understood` |
//! | what makes a second webhook the same | `two_webhooks_for_one_record_are_one_event_unless_the_answers_changed`, `a_snapshot_sent_again_is_one` |
//! | metadata is whatever the site put there | `a_reader_is_found_in_metadata_of_any_shape` |
//! | links to records are secrets | `a_link_to_a_record_leaves_its_body_for_no_list` |
//! | a verdict on fraud is no consent | `a_verdict_on_fraud_gives_no_consent` |
//! | `ip` is the reader's | `the_readers_address_is_not_the_senders` |
//! | `domain` and `domainId` may differ | `a_record_belongs_to_its_domain_not_to_the_number_of_it` |
//! | not agreed to | `a_disclosure_that_was_not_agreed_to_is_a_refusal` |

use serde_json::{Value as Json, json};

use crate::traps::{Book, Post, check};

#[test]
fn a_disclosure_that_was_not_agreed_to_is_a_refusal() {
    let no = json!([{"key": "calls", "language": "You may call me.", "agreed": false}]);
    check(
        "2026-04-01",
        &[Post::of(
            "expressconsent",
            "cdr.completed",
            &[("/disclosures", no)],
        )],
        &[
            (
                "select kind, purpose, state from consents",
                &["evidence|calls|refused"],
            ),
            ("select consents_given from users", &["0"]),
        ],
    );
}

#[test]
fn two_webhooks_for_one_record_are_one_event_unless_the_answers_changed() {
    let first = Post::of("expressconsent", "cdr.completed", &[]);
    let again = Post::of(
        "expressconsent",
        "cdr.completed",
        &[("/webhookId", "wh_again".into())],
    );
    check(
        "2026-04-01",
        &[first.clone(), again.clone()],
        &[
            (
                "select outcome from deliveries order by seq",
                &["stored", "duplicate"],
            ),
            ("select count(*) from events", &["1"]),
        ],
    );
    let mut changed = again;
    changed.body = changed.body.replace("\"agreed\":true", "\"agreed\":false");
    let book = Book::new("2026-04-01", 60, &[first, changed]);
    assert_eq!(book.ask("select count(*) from events"), ["2"]);
}

#[test]
fn each_generation_writes_its_time_in_its_own_way() {
    let record = Post::of(
        "expressconsent",
        "cdr.completed",
        &[("/createdAt", json!(1_770_000_000_123_i64))],
    );
    let snapshot = Post::of(
        "expressconsent",
        "snapshot-v1",
        &[("/createdAt", "2026-02-01T02:03:04.567Z".into())],
    );
    check(
        "2026-04-01",
        &[record, snapshot],
        &[(
            "select provider_type, occurred_at, occurred_at_source from events order by 1",
            &[
                "cdr.completed|2026-02-02T02:40:00.123Z|body",
                "snapshot|2026-02-01T02:03:04.567Z|body",
            ],
        )],
    );
}

#[test]
fn a_body_with_comments_is_kept_and_not_understood() {
    let mut post = Post::of("expressconsent", "snapshot-v1", &[]);
    post.body = post.body.replacen('{', "{ // the snapshot\n", 1);
    let bytes = post.body.clone();
    check(
        "2026-04-01",
        &[post],
        &[
            ("select outcome from deliveries", &["quarantined"]),
            ("select body from deliveries", &[&bytes]),
            ("select count(*) from events", &["0"]),
        ],
    );
}

#[test]
fn a_snapshot_sent_again_is_one() {
    let first = Post::of("expressconsent", "snapshot-v1", &[]);
    let other = Post::of(
        "expressconsent",
        "snapshot-v1",
        &[("/transactionId", "snap-77311-b".into())],
    );
    check(
        "2026-04-01",
        &[first.clone(), other, first],
        &[
            (
                "select outcome, count(*) from deliveries group by 1 order by 1",
                &["duplicate|1", "stored|2"],
            ),
            ("select count(*) from users", &["1"]),
        ],
    );
}

#[test]
fn a_reader_is_found_in_metadata_of_any_shape() {
    let told = [
        (
            json!({"phoneNumber": "555-123-4567"}),
            "5551234567|555-123-4567",
        ),
        (
            json!({"phoneNumber": 5_551_234_567_i64}),
            "5551234567|5551234567",
        ),
        (
            json!({"form": {"contact": {"Email": "Kai@Example.org"}}}),
            "kai@example.org|-",
        ),
        (json!({"leadId": 48_151}), "lead:48151|-"),
    ];
    for (metadata, row) in told {
        let post = Post::of(
            "expressconsent",
            "cdr.completed",
            &[("/customMetadata", metadata)],
        );
        check(
            "2026-04-01",
            &[post],
            &[("select user_id, phone from users", &[row])],
        );
    }
    for nothing in [json!({}), Json::Null, json!([]), json!("none")] {
        let post = Post::of(
            "expressconsent",
            "cdr.completed",
            &[("/customMetadata", nothing)],
        );
        check(
            "2026-04-01",
            &[post],
            &[
                ("select user_id from events", &["session:session_k3v8"]),
                ("select count(*) from users", &["0"]),
                ("select state from consents", &["given"]),
            ],
        );
    }
}

#[test]
fn a_link_to_a_record_leaves_its_body_for_no_list() {
    let link = "https://records.example/secret-of-the-record";
    let posts = [
        Post::of(
            "expressconsent",
            "cdr.completed",
            &[("/downloadUrl", link.into())],
        ),
        Post::of(
            "expressconsent",
            "snapshot-v1",
            &[("/downloadURL", link.into())],
        ),
    ];
    let book = Book::new("2026-04-01", 60, &posts);
    let holding = "select count(*) from deliveries where instr(body, 'secret-of-the-record')";
    assert_eq!(book.ask(holding), ["2"]);
    for relation in [
        "events",
        "users",
        "user_aliases",
        "consents",
        "consent_changes",
    ] {
        let columns = book.ask(&format!("select name from pragma_table_info('{relation}')"));
        let any = columns.join("\" || '' || \"");
        let sql = format!(
            "select count(*) from \"{relation}\" where {}",
            columns
                .iter()
                .map(|column| format!("instr(coalesce(\"{column}\", ''), 'secret-of-the-record')"))
                .collect::<Vec<_>>()
                .join(" or ")
        );
        assert!(!any.is_empty(), "{relation} has no columns");
        assert_eq!(book.ask(&sql), ["0"], "{relation}");
    }
}

#[test]
fn a_verdict_on_fraud_gives_no_consent() {
    for verdict in [
        json!({"result": "good"}),
        json!({"result": "bad"}),
        Json::Null,
    ] {
        check(
            "2026-04-01",
            &[Post::of(
                "expressconsent",
                "snapshot-v1",
                &[("/anuraData", verdict)],
            )],
            &[
                ("select type from events", &["consent_evidence.captured"]),
                ("select count(*) from consents", &["0"]),
                ("select consents_given from users", &["0"]),
            ],
        );
    }
}

#[test]
fn the_readers_address_is_not_the_senders() {
    let post = |ip: Json| Post::of("expressconsent", "cdr.completed", &[("/ip", ip)]);
    for ip in [
        json!("198.51.100.9"),
        json!("2001:db8::9"),
        json!(7),
        Json::Null,
    ] {
        check(
            "2026-04-01",
            &[post(ip)],
            &[
                ("select remote_ip from deliveries", &["203.0.113.7"]),
                // It names nobody: neither a reader nor what a reader is called.
                ("select user_id from users", &["lead:48151"]),
                ("select count(*) from user_aliases", &["0"]),
            ],
        );
    }
}

#[test]
fn a_record_belongs_to_its_domain_not_to_the_number_of_it() {
    let post = |domain: Json, id: Json| {
        let changes = [("/domain", domain), ("/domainId", id)];
        Post::of("expressconsent", "cdr.completed", &changes)
    };
    for (domain, id, app) in [
        (json!("letters.example"), json!("dom_7"), "letters.example"),
        (json!("letters.example"), Json::Null, "letters.example"),
        (Json::Null, json!("dom_7"), "dom_7"),
    ] {
        check(
            "2026-04-01",
            &[post(domain, id)],
            &[("select app from events", &[app])],
        );
    }
}
