//! Zotlo's traps.
//!
//! | trap | test |
//! |---|---|
//! | 200 exactly | `every_body_is_answered_with_200_exactly` |
//! | numbers and texts in each other's place | `ids_are_the_same_as_numbers_and_as_texts` |
//! | three app numbers in one body | `the_app_is_the_queues_whatever_else_is_called_app` |
//! | a legacy refund looks like its payment | `a_legacy_refund_with_its_payments_ids_gives_the_money_back_and_is_no_repeat` |
//! | no requestID, or one that is no UUID | `without_a_request_id_a_repeat_is_still_known` |
//! | a cancel leaves `status` active | `a_cancel_that_leaves_status_active_is_a_cancellation_and_takes_no_access` |
//! | null where an object is expected | `null_in_place_of_an_object_is_nothing` |
//! | `refund_reason` is anything | `a_reason_of_any_kind_is_told_as_sent` |
//! | registration and quiz have no id and come again | `a_registration_or_quiz_that_comes_again_is_known_by_its_bytes` |
//! | text that is not ASCII; cards | `turkish_names_are_whole_and_cards_stay_in_the_body` |
//! | 0.00 is a start, a trial may be paid, a consumable is no subscription | `a_trial_for_nothing_a_paid_trial_and_a_consumable` |
//! | what repeats its first transaction | `each_charge_of_a_subscription_is_a_payment_of_its_own` |

use serde_json::{Value as Json, json};

use crate::support::Home;
use crate::traps::{Book, MONEY, Post, SPELLS, STANDING, check};

/// A snapshot of one paid Zotlo subscription: what happened when, until when it is paid, and its two states.
fn zotlo(
    kind: &str,
    when: &str,
    until: &str,
    status: &str,
    running: &str,
    cancelled: Json,
) -> Post {
    Post::of(
        "zotlo",
        "subscriber-update-newSubscriber",
        &[
            ("/queue/eventType", kind.into()),
            ("/queue/requestID", format!("{kind} {when}").into()),
            (
                "/queue/createDate/date",
                format!("{when} 10:00:00.000000").into(),
            ),
            ("/parameters/profile/subscriptionType", "paid".into()),
            (
                "/parameters/profile/startDate",
                "2025-07-01 10:00:00".into(),
            ),
            (
                "/parameters/profile/expireDate",
                format!("{until} 10:00:00").into(),
            ),
            ("/parameters/profile/status", status.into()),
            ("/parameters/profile/realStatus", running.into()),
            ("/parameters/profile/cancellation", cancelled),
        ],
    )
}

fn started() -> Post {
    zotlo(
        "newSubscriber",
        "2025-07-01",
        "2025-08-01",
        "active",
        "active",
        Json::Null,
    )
}

fn cancelled() -> Post {
    let told = json!({"date": "2025-07-09 10:00:00", "reason": "moved", "code": "CU00001"});
    zotlo(
        "cancel",
        "2025-07-09",
        "2025-08-01",
        "active",
        "passive",
        told,
    )
}

#[test]
fn a_cancel_that_leaves_status_active_is_a_cancellation_and_takes_no_access() {
    check(
        "2025-07-20",
        &[started(), cancelled()],
        &[
            (STANDING, &["active|1|0|2025-08-01"]),
            (SPELLS, &["2025-07-09|unknown|exact|-"]),
            ("select reason, code from cancellations", &["moved|CU00001"]),
        ],
    );
}

#[test]
fn a_renewal_after_a_cancel_closes_it_and_keeps_its_row() {
    let renewed = zotlo(
        "renewal",
        "2025-08-01",
        "2025-09-01",
        "active",
        "active",
        Json::Null,
    );
    check(
        "2025-08-20",
        &[started(), cancelled(), renewed],
        &[
            (STANDING, &["active|1|1|2025-09-01"]),
            (SPELLS, &["2025-07-09|unknown|exact|2025-08-01"]),
        ],
    );
}

#[test]
fn a_reactivation_undoes_the_cancel_before_access_ends() {
    let back = zotlo(
        "reactivate",
        "2025-07-11",
        "2025-08-01",
        "active",
        "active",
        Json::Null,
    );
    check(
        "2025-07-20",
        &[started(), cancelled(), back],
        &[
            (STANDING, &["active|1|1|2025-08-01"]),
            (SPELLS, &["2025-07-09|unknown|exact|2025-07-11"]),
            ("select cancelled_at from subscriptions", &["-"]),
        ],
    );
}

#[test]
fn a_failed_charge_keeps_access_in_grace_and_recovers() {
    let grace = zotlo(
        "activeToGrace",
        "2025-08-01",
        "2025-08-01",
        "grace",
        "grace",
        Json::Null,
    );
    let paid = zotlo(
        "graceToActive",
        "2025-08-05",
        "2025-09-01",
        "active",
        "active",
        Json::Null,
    );
    check(
        "2025-08-03",
        &[started(), grace.clone()],
        &[(STANDING, &["grace|1|1|2025-08-01"])],
    );
    check(
        "2025-08-20",
        &[started(), grace, paid],
        &[(STANDING, &["active|1|1|2025-09-01"]), (SPELLS, &[])],
    );
}

#[test]
fn an_end_for_non_payment_is_a_cancellation_with_and_without_a_cancel() {
    let ended = zotlo(
        "graceToPassive",
        "2025-08-31",
        "2025-08-01",
        "passive",
        "passive",
        Json::Null,
    );
    check(
        "2025-09-03",
        &[started(), ended.clone()],
        &[
            (
                "select status, has_access from subscriptions",
                &["expired|0"],
            ),
            (SPELLS, &["2025-08-31|payment|exact|-"]),
        ],
    );
    check(
        "2025-09-03",
        &[started(), cancelled(), ended],
        &[
            (
                "select status, has_access from subscriptions",
                &["expired|0"],
            ),
            (SPELLS, &["2025-07-09|unknown|exact|-"]),
        ],
    );
}

#[test]
fn a_legacy_refund_with_its_payments_ids_gives_the_money_back_and_is_no_repeat() {
    let paid = Post::of("zotlo", "transaction-legacy-2020", &[]);
    let back = Post::of(
        "zotlo",
        "transaction-legacy-2020",
        &[
            ("/parameters/is_refund", "1".into()),
            ("/parameters/refund_price", json!(1)),
            ("/parameters/refund_date", "2021-10-01 09:10:11".into()),
        ],
    );
    check(
        "2025-07-20",
        &[paid, back],
        &[
            (
                "select outcome, count(*) from deliveries group by 1",
                &["stored|2"],
            ),
            (
                "select kind, sign(amount_minor) from payments order by 1",
                &["payment|1", "refund|-1"],
            ),
            (
                "select count(distinct transaction_id) from payments",
                &["1"],
            ),
        ],
    );
}

/// A charge of `token`, as it stands in the body, in `currency`.
fn charge(id: &str, token: &str, currency: &str) -> Post {
    let mut post = Post::of(
        "zotlo",
        "transaction",
        &[
            ("/parameters/transaction_id", id.into()),
            ("/parameters/status", "renewal".into()),
            ("/parameters/price", "the token".into()),
            ("/parameters/currency", currency.into()),
        ],
    );
    post.body = post.body.replace("\"the token\"", token);
    post
}

#[test]
fn every_form_of_money_is_minor_units_or_a_flag_that_the_payment_shows() {
    let forty = "1234567890123456789012345678901234567890";
    let told = [
        ("289.5", "INR", "28950|INR|-"),
        ("\"201.00\"", "INR", "20100|INR|-"),
        ("2.9900000000000002", "TRY", "299|TRY|rounded"),
        ("147.01999999999998", "inr", "14702|INR|rounded"),
        ("0", "TRY", "0|TRY|-"),
        ("-0", "TRY", "0|TRY|-"),
        ("1e3", "TRY", "100000|TRY|-"),
        ("500", "JPY", "500|JPY|-"),
        ("1.5", "JPY", "-|JPY|more digits than the currency has"),
        ("1.234", "KWD", "1234|KWD|-"),
        ("1.2345", "CLF", "12345|CLF|-"),
        (forty, "TRY", "-|TRY|not a number"),
        ("12.5", "", "-|-|no currency"),
        ("12.5", "XQQ", "-|XQQ|unknown currency"),
    ];
    let posts: Vec<Post> = (0..)
        .zip(told)
        .map(|(place, (token, currency, _))| charge(&format!("t{place:02}"), token, currency))
        .collect();
    let expected: Vec<&str> = told.iter().map(|(.., row)| *row).collect();
    let tokens: Vec<&str> = told
        .iter()
        .map(|(token, ..)| token.trim_matches('"'))
        .collect();
    check(
        "2025-08-20",
        &posts,
        &[
            (
                "select amount_minor, currency, flag from payments order by payment_id",
                &expected,
            ),
            (
                "select amount_text from payments order by payment_id",
                &tokens,
            ),
            (
                "select currency, sum(amount_minor) from payments where amount_minor is not null group by 1 order by 1",
                &[
                    "CLF|12345",
                    "INR|63752",
                    "JPY|500",
                    "KWD|1234",
                    "TRY|100299",
                ],
            ),
            (
                "select count(*) from payments p join events e on e.seq = p.seq
                 where e.amount_minor is not p.amount_minor or e.amount_text is not p.amount_text",
                &["0"],
            ),
        ],
    );
}

#[test]
fn every_body_is_answered_with_200_exactly() {
    let home = Home::new();
    let serving = home.serve();
    let zotlo = subledger::providers::ALL
        .iter()
        .find(|known| known.id() == "zotlo");
    let mut bodies: Vec<&str> = zotlo
        .unwrap()
        .samples()
        .iter()
        .map(|sample| sample.body)
        .collect();
    // One that nobody knows, one that is no JSON, none at all.
    bodies.extend([
        r#"{"queue":{"type":"SomethingNew","appId":9},"parameters":{"subscriber_id":"kai@example.org"}}"#,
        "not json",
        "",
    ]);
    for _ in 0..2 {
        for body in &bodies {
            let (status, _) = serving.post("zotlo", "events", body.as_bytes()).unwrap();
            assert_eq!(status, 200, "{body}");
        }
    }
    assert_eq!(serving.terminate(), Some(0));
    let all = i64::try_from(bodies.len() * 2).unwrap();
    assert_eq!(home.number("select count(*) from deliveries"), all);
}

#[test]
fn ids_are_the_same_as_numbers_and_as_texts() {
    let told =
        |queue_app: Json, subscriber: Json, subscription: Json, request: &str, kind: &str| {
            Post::of(
                "zotlo",
                "subscriber-update-newSubscriber",
                &[
                    ("/queue/appId", queue_app),
                    ("/queue/requestID", request.into()),
                    ("/queue/eventType", kind.into()),
                    ("/parameters/profile/subscriberId", subscriber),
                    ("/parameters/profile/subscriptionId", subscription),
                    ("/parameters/profile/originalTransactionId", Json::Null),
                    ("/parameters/profile/subscriptionType", "paid".into()),
                ],
            )
        };
    check(
        "2025-06-29",
        &[
            told(
                json!(7),
                json!(4411),
                json!(9_292_132),
                "r1",
                "newSubscriber",
            ),
            told("7".into(), "4411".into(), "9292132".into(), "r2", "renewal"),
        ],
        &[
            ("select user_id from users", &["7:4411"]),
            (
                "select subscription_id, user_id, app from subscriptions",
                &["7:9292132|7:4411|7"],
            ),
            (
                "select outcome, count(*) from deliveries group by 1",
                &["stored|2"],
            ),
        ],
    );
    let refunded = |mark: Json| {
        Post::of(
            "zotlo",
            "transaction",
            &[
                ("/parameters/id", json!(61_204)),
                ("/parameters/is_refund", mark),
                ("/parameters/refund_price", "4.00".into()),
                ("/parameters/refund_date", "2025-08-01 09:10:11".into()),
            ],
        )
    };
    for (mark, kind) in [
        (json!(1), "refund"),
        (json!("1"), "refund"),
        (json!(0), "payment"),
        (json!("0"), "payment"),
    ] {
        check(
            "2025-08-20",
            &[refunded(mark)],
            &[("select kind from payments", &[kind])],
        );
    }
}

#[test]
fn the_app_is_the_queues_whatever_else_is_called_app() {
    let changes = [
        ("/queue/appId", json!(1_651)),
        ("/parameters/app_id", json!(5)),
        (
            "/parameters/custom_parameters/dataWarehouse/appId",
            json!(1_094),
        ),
        // A number that names nobody outside its app.
        ("/parameters/subscriber_id", json!(31)),
    ];
    check(
        "2025-08-20",
        &[Post::of("zotlo", "transaction", &changes)],
        &[
            ("select app, user_id from events", &["1651|1651:31"]),
            ("select user_id from users", &["1651:31"]),
        ],
    );
}

#[test]
fn without_a_request_id_a_repeat_is_still_known() {
    let told = |kind: &str, date: &str| {
        let mut post = zotlo(
            kind,
            "2025-07-01",
            "2025-08-01",
            "active",
            "active",
            Json::Null,
        );
        let mut body: Json = serde_json::from_str(&post.body).unwrap();
        let queue = body["queue"].as_object_mut().unwrap();
        queue.remove("requestID");
        queue.insert("createDate".to_owned(), date.into());
        post.body = body.to_string();
        post
    };
    let outcomes = "select outcome, count(*) from deliveries group by 1 order by 1";
    check(
        "2025-07-20",
        &[
            told("newSubscriber", "2025-07-01 10:00:00"),
            told("renewal", "2025-07-01 10:00:00"),
            told("newSubscriber", "2025-07-01 10:00:01"),
            told("newSubscriber", "2025-07-01 10:00:00"),
        ],
        &[(outcomes, &["duplicate|1", "stored|3"])],
    );
    // An id of another form is an id.
    let told = |id: &str| {
        let mut post = started();
        post.body = post.body.replace("newSubscriber 2025-07-01", id);
        post
    };
    let book = Book::new("2025-07-20", 60, &[told("7ab1-8c02"), told("7ab1-8c02")]);
    assert_eq!(book.ask(outcomes), ["duplicate|1", "stored|1"]);
}

#[test]
fn null_in_place_of_an_object_is_nothing() {
    for nothing in [Json::Null, json!([]), json!(""), json!({})] {
        let mut post = started();
        let mut body: Json = serde_json::from_str(&post.body).unwrap();
        for name in ["card", "newPackage", "customer"] {
            body["parameters"][name] = nothing.clone();
        }
        for name in ["customParameters", "cancellation"] {
            body["parameters"]["profile"][name] = nothing.clone();
        }
        post.body = body.to_string();
        check(
            "2025-07-20",
            &[post],
            &[
                (STANDING, &["active|1|1|2025-08-01"]),
                (SPELLS, &[]),
                (
                    "select user_id, name from users",
                    &["ayse.deneme@example.com|-"],
                ),
            ],
        );
    }
}

#[test]
fn a_reason_of_any_kind_is_told_as_sent() {
    let told = [
        (Json::Null, "-"),
        (json!(""), ""),
        (json!("moved house"), "moved house"),
        (
            json!("{\"code\":\"R7\",\"note\":\"iade\"}"),
            "{\"code\":\"R7\",\"note\":\"iade\"}",
        ),
    ];
    for (reason, row) in told {
        check(
            "2026-01-01",
            &[Post::of(
                "zotlo",
                "refund",
                &[("/parameters/refund_reason", reason)],
            )],
            &[
                (
                    "select json_extract(data, '$.refund_reason') from events",
                    &[row],
                ),
                (
                    "select kind, amount_minor, flag from payments",
                    &["refund|-1249|-"],
                ),
            ],
        );
    }
}

#[test]
fn a_registration_or_quiz_that_comes_again_is_known_by_its_bytes() {
    let registered = Post::of("zotlo", "registered-users", &[]);
    let quiz = Post::of("zotlo", "quiz-responses", &[]);
    let again = Post::of(
        "zotlo",
        "quiz-responses",
        &[("/answers/8112/answerDate", "2025-02-25 14:04:34".into())],
    );
    // Retries come for ten hours.
    let posts = [&registered, &quiz, &registered, &quiz, &again].map(Clone::clone);
    let book = Book::new("2025-03-01", 10 * 3_600, &posts);
    assert_eq!(
        book.ask("select outcome, count(*) from deliveries group by 1 order by 1"),
        ["duplicate|2", "stored|3"]
    );
    assert_eq!(
        book.ask("select type, count(*) from events group by 1 order by 1"),
        ["engagement.quiz|2", "user.registered|1"]
    );
}

#[test]
fn turkish_names_are_whole_and_cards_stay_in_the_body() {
    let name = "Şule İğneci-Çağlayan ığdır";
    let mut escaped = Post::of(
        "zotlo",
        "registered-users",
        &[("/subscriberName", name.into())],
    );
    // As PHP writes it: every letter that is not ASCII as an escape.
    escaped.body = escaped.body.chars().fold(String::new(), |mut out, c| {
        use std::fmt::Write as _;
        if c.is_ascii() {
            out.push(c);
        } else {
            write!(out, "\\u{:04x}", u32::from(c)).unwrap();
        }
        out
    });
    assert!(escaped.body.is_ascii() && escaped.body.contains("\\u015e"));
    check(
        "2025-07-20",
        &[escaped, started(), charge("t1", "\"9.99\"", "TRY")],
        &[
            (
                "select name from users where user_id = '905321112233'",
                &[name],
            ),
            (
                "select name from users where user_id = 'ayse.deneme@example.com'",
                &["Ayşe Yılmaz"],
            ),
            (
                "select count(*) from deliveries where instr(body, '****4444') > 0",
                &["2"],
            ),
            (
                "select count(*) from events where instr(data, '4444') > 0 or instr(coalesce(name, ''), '4444') > 0",
                &["0"],
            ),
        ],
    );
}

#[test]
fn a_trial_for_nothing_a_paid_trial_and_a_consumable() {
    let told = |id: &str, status: &str, price: &str| {
        Post::of(
            "zotlo",
            "transaction",
            &[
                ("/parameters/transaction_id", id.into()),
                ("/parameters/original_transaction_id", id.into()),
                ("/parameters/status", status.into()),
                ("/parameters/price", price.into()),
            ],
        )
    };
    check(
        "2025-08-20",
        &[
            told("t1", "trial", "0.00"),
            told("t2", "trial", "1.50"),
            told("t3", "consumable", "4.00"),
        ],
        &[
            (
                "select payment_id, status, amount_minor, flag from payments order by 1",
                &["t1|trial|0|-", "t2|trial|150|-", "t3|consumable|400|-"],
            ),
            (
                "select type, count(*) from events group by 1 order by 1",
                &["payment.succeeded|3", "purchase.completed|1"],
            ),
            ("select count(*) from subscriptions", &["0"]),
        ],
    );
}

#[test]
fn each_charge_of_a_subscription_is_a_payment_of_its_own() {
    let told = |id: &str, status: &str, price: &str, day: &str| {
        let date = format!("{day} 15:08:44");
        Post::of(
            "zotlo",
            "transaction",
            &[
                ("/queue/createDate/date", format!("{date}.000000").into()),
                ("/queue/requestID", "7ab1-8c02".into()),
                ("/parameters/original_transaction_id", "first".into()),
                ("/parameters/transaction_id", id.into()),
                ("/parameters/status", status.into()),
                ("/parameters/price", price.into()),
                ("/parameters/purchase_date", date.into()),
            ],
        )
    };
    check(
        "2025-09-01",
        &[
            told("first", "trial", "0.00", "2025-07-31"),
            told("second", "trial_to_paid", "12.00", "2025-08-07"),
            told("third", "renewal", "12.00", "2025-08-14"),
            told("third", "renewal", "12.00", "2025-08-14"),
        ],
        &[
            (
                MONEY,
                &[
                    "payment|0|TRY|first",
                    "payment|1200|TRY|first",
                    "payment|1200|TRY|first",
                ],
            ),
            (
                "select outcome, count(*) from deliveries group by 1 order by 1",
                &["duplicate|1", "stored|3"],
            ),
            (
                "select type from events where type like 'subscription.%'",
                &["subscription.trial_converted"],
            ),
        ],
    );
}
