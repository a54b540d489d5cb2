//! Conscent's traps.
//!
//! | trap | test |
//! |---|---|
//! | sign-up and login are the same bytes, without time or id | `identical_sign_up_and_login_bodies_are_two_facts`, `the_same_login_on_another_day_counts_again` |
//! | `subscriptionDetails` means three things | `subscription_details_is_a_plan_a_price_or_a_choice` |
//! | an old cancel states no time | `an_old_cancel_is_dated_by_its_arrival_not_by_its_plan` |
//! | cancelled is not expired; a pass ends within hours | `an_old_cancel_keeps_access_to_the_end_of_what_was_paid`, `a_pass_of_hours_is_a_purchase_and_no_subscription` |
//! | numbers, texts, objects and `"undefined"` in each other's place | `values_of_another_type_are_read_as_what_they_say` |
//! | a cancel names its mandate, or nothing but its reader | `an_old_cancel_finds_its_purchase_by_the_mandate`, `a_new_cancel_finds_its_purchase_by_reader_and_price`, `a_new_cancel_at_another_price_or_among_two_is_not_guessed` |
//! | names that are misspelt | `a_misspelt_name_is_kept_as_sent_and_moves_no_money` |
//! | a payment of 2021 names only `userAccount` | `a_payment_of_2021_belongs_to_its_account` |
//! | `contains` names what `payload` lacks | `what_contains_promises_and_payload_lacks_is_not_missed` |
//! | the order of keys differs | `a_signature_is_over_the_bytes_whatever_the_order_of_keys` |

use serde_json::{Value as Json, json};
use subledger::domain::delivery::ProviderId;
use subledger::domain::time::Timestamp;
use subledger::providers;

use crate::support::{Home, PATH_KEY};
use crate::traps::{Book, MONEY, Post, STANDING, check};

#[test]
fn a_flat_bundle_looks_like_a_plain_subscription_and_is_a_bundle() {
    let body = include_str!("../../fixtures/conscent/bundle-payment.flat-2022-06.json");
    check(
        "2022-07-20",
        &[Post::fixture("conscent", "subscription-payment", body)],
        &[
            (
                "select provider_type from events limit 1",
                &["bundle-payment"],
            ),
            (
                "select subscription_id, plan from subscriptions",
                &["6b01aa10c0ffee0000000005#0|Both papers"],
            ),
            (MONEY, &["payment|80000|INR|-"]),
        ],
    );
}

#[test]
fn a_purchase_whose_user_ids_disagree_is_the_envelopes_reader_and_an_alias() {
    check(
        "2026-04-01",
        &[Post::of("conscent", "purchase.subscription", &[])],
        &[
            ("select user_id from users", &["6bbcd746d7178e377abe46cd"]),
            (
                "select user_id, alias from user_aliases",
                &["6bbcd746d7178e377abe46cd|6d48c96d8719d18dd7387852"],
            ),
        ],
    );
}

fn bare_cancel(price: f64) -> Post {
    Post::of(
        "conscent",
        "cancelled.subscription",
        &[
            ("/user_id", "6bbcd746d7178e377abe46cd".into()),
            ("/payload/user/userId", "6bbcd746d7178e377abe46cd".into()),
            ("/payload/renewal/price", json!(price)),
            ("/payload/renewal/currency", "INR".into()),
            ("/created_at", json!(1_774_708_298)),
        ],
    )
}

#[test]
fn a_new_cancel_finds_its_purchase_by_reader_and_price() {
    check(
        "2026-04-01",
        &[
            Post::of("conscent", "purchase.subscription", &[]),
            bare_cancel(80.0),
        ],
        &[
            (STANDING, &["active|1|0|2026-04-20"]),
            (
                "select matched, plan from cancellations",
                &["only|Morning edition"],
            ),
        ],
    );
}

#[test]
fn a_new_cancel_at_another_price_or_among_two_is_not_guessed() {
    let bought = Post::of("conscent", "purchase.subscription", &[]);
    let also = Post::of(
        "conscent",
        "purchase.subscription",
        &[
            ("/payload/purchase/_id", "69cfe31e2a451c66b39ff188".into()),
            (
                "/payload/purchase/subscriptionTitle",
                "Evening edition".into(),
            ),
        ],
    );
    for posts in [
        vec![bought.clone(), bare_cancel(81.0)],
        vec![bought, also, bare_cancel(80.0)],
    ] {
        check(
            "2026-04-01",
            &posts,
            &[
                ("select matched, plan from cancellations", &["none|-"]),
                (
                    "select count(*) from subscriptions where auto_renew = 0 and status <> 'pending'",
                    &["0"],
                ),
                (
                    "select count(*) from subscriptions where status = 'pending' and has_access is null",
                    &["1"],
                ),
            ],
        );
    }
}

#[test]
fn identical_sign_up_and_login_bodies_are_two_facts() {
    let login = Post::of("conscent", "login", &[]);
    let sign_up = Post {
        hook: "sign-up",
        ..login.clone()
    };
    check(
        "2026-04-01",
        &[sign_up, login],
        &[
            (
                "select outcome, count(*) from deliveries group by 1",
                &["stored|2"],
            ),
            (
                "select type from events order by 1",
                &["user.registered", "user.signed_in"],
            ),
            ("select sign_ins from users", &["1"]),
        ],
    );
}

#[test]
fn a_fact_that_both_conscent_generations_report_counts_once() {
    let old = Post::of("conscent", "login", &[]);
    let new = Post::fixture(
        "conscent",
        "events",
        r#"{"entity":"event","user_id":"rdr0k3v7w9q2z4t6n8b1c5d0f2h","event":"user.login","contains":["user"],
            "payload":{"user":{"userId":"rdr0k3v7w9q2z4t6n8b1c5d0f2h"}},"created_at":1774266893}"#,
    );
    let told = "select outcome, confidence from deliveries where seq = 2";
    for posts in [[old.clone(), new.clone()], [new.clone(), old.clone()]] {
        let book = Book::new("2026-04-01", 59, &posts);
        assert_eq!(book.ask(told), ["duplicate|likely"]);
        assert_eq!(book.ask("select sign_ins from users"), ["1"]);
    }
    let book = Book::new("2026-04-01", 60, &[old, new]);
    assert_eq!(book.ask("select sign_ins from users"), ["2"]);
}

#[test]
fn one_purchase_told_by_both_conscent_generations_is_paid_once() {
    let new = Post::of("conscent", "purchase.subscription", &[]);
    let envelope: Json = serde_json::from_str(&new.body).unwrap();
    let mut purchase = envelope["payload"]["purchase"].clone();
    purchase["userId"] = envelope["user_id"].clone();
    let old = Post::fixture("conscent", "subscription-payment", &purchase.to_string());
    check(
        "2026-04-01",
        &[old, new],
        &[
            (
                "select outcome, reason from deliveries order by seq",
                &["stored|-", "duplicate|same id, other content"],
            ),
            ("select kind, amount_minor from payments", &["payment|8000"]),
            ("select count(*) from subscriptions", &["1"]),
        ],
    );
}

#[test]
fn the_same_login_on_another_day_counts_again() {
    let login = Post::of("conscent", "login", &[]);
    let day = 24 * 3_600;
    let book = Book::new("2026-04-01", day, &[login.clone(), login.clone(), login]);
    assert_eq!(
        book.ask("select outcome, count(*) from deliveries group by 1"),
        ["stored|3"]
    );
    assert_eq!(book.ask("select sign_ins from users"), ["3"]);
}

#[test]
fn subscription_details_is_a_plan_a_price_or_a_choice() {
    let cancelled = Post::of("conscent", "subscription-cancelled", &[]);
    let paid = Post::of("conscent", "subscription-payment-2024", &[]);
    let reviewed = Post::of("conscent", "review-subscription", &[]);
    // By the body alone, whatever the address says.
    let posts = [cancelled, paid, reviewed].map(|post| Post {
        hook: "events",
        ..post
    });
    check(
        "2026-04-01",
        &posts,
        &[
            (
                "select provider_type, type, plan from events order by 1, n",
                &[
                    "review-subscription|checkout.reviewed|Quiet reading",
                    "subscription-cancelled|subscription.cancelled|Five months",
                    "subscription-payment|subscription.started|Sport month",
                    "subscription-payment|payment.succeeded|Sport month",
                ],
            ),
            (
                MONEY,
                &["payment|150000|INR|62f80dae5305ba8af965cea0:6c47c4c2009f80df9f6f6e9c"],
            ),
            (
                "select plan, price_minor, interval_months from subscriptions order by 1",
                &["Five months|45000|5", "Sport month|150000|1"],
            ),
        ],
    );
}

#[test]
fn an_old_cancel_is_dated_by_its_arrival_not_by_its_plan() {
    let book = Book::new(
        "2023-12-01T10:00:00Z",
        0,
        &[Post::of("conscent", "subscription-cancelled", &[])],
    );
    assert_eq!(
        book.ask("select cancelled_at from cancellations"),
        ["2023-12-01T10:00:00.000Z"]
    );
    assert_eq!(
        book.ask("select occurred_at, occurred_at_source from events"),
        ["-|none"]
    );
    assert_eq!(book.ask("select started_at from subscriptions"), ["-"]);
}

#[test]
fn an_old_cancel_keeps_access_to_the_end_of_what_was_paid() {
    let post = [Post::of("conscent", "subscription-cancelled", &[])];
    check(
        "2024-06-09",
        &post,
        &[(STANDING, &["active|1|0|2024-06-09"])],
    );
    check(
        "2024-06-10",
        &post,
        &[(STANDING, &["expired|0|0|2024-06-09"])],
    );
}

#[test]
fn a_pass_of_hours_is_a_purchase_and_no_subscription() {
    check(
        "2023-07-08T16:00:00Z",
        &[Post::of("conscent", "pass-payment", &[])],
        &[
            (
                "select type, json_extract(data, '$.expiryDate') from events order by n",
                &[
                    "purchase.completed|2023-07-08T21:14:16.126Z",
                    "payment.succeeded|-",
                ],
            ),
            ("select count(*) from subscriptions", &["0"]),
            (MONEY, &["payment|12500|INR|-"]),
        ],
    );
}

#[test]
fn values_of_another_type_are_read_as_what_they_say() {
    let turned: &[(&str, Json)] = &[
        ("/location/postcode", json!(600_020)),
        ("/userAddress/pincode", json!(600_020)),
        ("/price", "450.00".into()),
        ("/priceDetails/price", "450.00".into()),
        ("/buyingPrice", "434.25".into()),
        ("/freeTrial", json!(0)),
        ("/renewSubscription", "true".into()),
        ("/clientSpecificUserId", json!(40_017_755_012_i64)),
        ("/chosenTier/duration", "5".into()),
        ("/userName", "undefined".into()),
    ];
    let plain = Post::of(
        "conscent",
        "subscription-payment",
        &[("/userName", "".into())],
    );
    let turned = Post::of("conscent", "subscription-payment", turned);
    let rows = |post: &Post| {
        let book = Book::new("2023-02-01", 60, std::slice::from_ref(post));
        [
            "select type, plan, amount_minor, subscription_id from events order by n",
            "select status, auto_renew, interval_months, price_minor from subscriptions",
            "select kind, amount_minor, net_minor, flag from payments",
            "select email, phone, name, client_user_id from users",
        ]
        .map(|sql| book.ask(sql))
    };
    let expected = [
        vec![
            "subscription.started|Five months|-|6c4c8afea47d45d70c080c50".to_owned(),
            "payment.succeeded|Five months|45000|6c4c8afea47d45d70c080c50".to_owned(),
        ],
        vec!["active|1|5|45000".to_owned()],
        vec!["payment|45000|43425|-".to_owned()],
        vec!["leela@example.org|9012013131|-|40017755012".to_owned()],
    ];
    assert_eq!(rows(&plain), expected);
    assert_eq!(rows(&turned), expected);

    // A mandate that is the text `undefined`, in a purchase that is otherwise whole.
    let unsaid = Post::of(
        "conscent",
        "subscription-payment",
        &[("/renewedSubscriptionDetails", "undefined".into())],
    );
    check(
        "2023-02-01",
        &[unsaid],
        &[
            ("select gateway_id, auto_renew from subscriptions", &["-|1"]),
            (MONEY, &["payment|45000|INR|6c4c8afea47d45d70c080c50"]),
        ],
    );
}

#[test]
fn an_old_cancel_finds_its_purchase_by_the_mandate() {
    let bought = Post::of(
        "conscent",
        "subscription-payment",
        &[
            (
                "/renewedSubscriptionDetails/rzpSubscriptionId",
                "sub_harbour1".into(),
            ),
            ("/createdAt", "2024-01-09T12:10:00.951Z".into()),
            ("/expiryDate", "2024-06-09T12:10:00.951Z".into()),
        ],
    );
    // It was bought under one renewal and is cancelled under another: the mandate is the same.
    let cancelled = Post::of(
        "conscent",
        "subscription-cancelled",
        &[(
            "/cancelledSubscriptionDetails/rzpSubscriptionId",
            "sub_harbour1".into(),
        )],
    );
    check(
        "2024-02-01",
        &[bought, cancelled],
        &[
            (STANDING, &["active|1|0|2024-06-09"]),
            (
                "select matched, actor from cancellations",
                &["gateway|user"],
            ),
        ],
    );
}

#[test]
fn a_misspelt_name_is_kept_as_sent_and_moves_no_money() {
    let tax = |value: f64| json!({"physical": value, "digital": value});
    let bundle = Post::of(
        "conscent",
        "bundle-payment",
        &[("/bundleInrGstComponets", tax(77_000.5))],
    );
    let review = Post::of(
        "conscent",
        "subscription_review.view",
        &[("/payload/tier/rzpPlainId", "plan_harbour1".into())],
    );
    check(
        "2026-04-01",
        &[bundle, review],
        &[
            (MONEY, &["payment|210000|INR|-"]),
            (
                "select price_minor from subscriptions order by subscription_id",
                &["15100", "84900", "110000"],
            ),
            (
                "select count(*) from deliveries where json_extract(body, '$.bundleInrGstComponets.physical') = 77000.5
                   or json_extract(body, '$.payload.tier.rzpPlainId') = 'plan_harbour1'",
                &["2"],
            ),
            ("select count(*) from deliveries where outcome <> 'stored'", &["0"]),
        ],
    );
}

#[test]
fn a_payment_of_2021_belongs_to_its_account() {
    let body = include_str!("../../fixtures/conscent/subscription-payment.2021.json");
    let account: Json = serde_json::from_str(body).unwrap();
    let account = account["userAccount"].as_str().unwrap();
    check(
        "2022-02-01",
        &[Post::fixture("conscent", "subscription-payment", body)],
        &[
            ("select user_id from users", &[account]),
            ("select user_id from subscriptions", &[account]),
            ("select user_id from payments", &[account]),
            ("select count(*) from user_aliases", &["0"]),
        ],
    );
}

#[test]
fn what_contains_promises_and_payload_lacks_is_not_missed() {
    let names = json!(["user", "paywall", "purchase", "refund", "renewal"]);
    let exit = Post::of("conscent", "paywall.exit", &[("/contains", names)]);
    let mut none = Post::of(
        "conscent",
        "purchase.subscription",
        &[("/contains", json!([]))],
    );
    none.body = none.body.replace("\"contains\":[],", "");
    assert!(!none.body.contains("contains"));
    check(
        "2026-04-01",
        &[exit, none],
        &[
            (
                "select type from events order by 1",
                &[
                    "engagement.paywall",
                    "payment.succeeded",
                    "subscription.started",
                ],
            ),
            (
                MONEY,
                &["payment|8000|INR|6bbcd746d7178e377abe46cd:Morning edition"],
            ),
            ("select count(*) from cancellations", &["0"]),
        ],
    );
}

#[test]
fn a_signature_is_over_the_bytes_whatever_the_order_of_keys() {
    let home = Home::with_settings("");
    let settings = home.path().join("config/subledger/subledger.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    let own = format!("[providers.conscent]\npath_key = \"{PATH_KEY}\"");
    let with_secret = format!("{own}\nwebhook_secret = \"harbour-hook\"");
    std::fs::write(&settings, text.replace(&own, &with_secret)).unwrap();
    let serving = home.serve();

    // One event told three times: as the sender wrote it, with the keys the other way round, and with blanks.
    let orders = [
        r#"{"entity":"event","event":"user.login","user_id":"rdr_order","created_at":1774266893,"payload":{"user":{"userId":"rdr_order"}}}"#,
        r#"{"payload":{"user":{"userId":"rdr_order"}},"created_at":1774266893,"user_id":"rdr_order","event":"user.login","entity":"event"}"#,
        "{ \"event\": \"user.login\",\n  \"created_at\": 1774266893.0, \"user_id\": \"rdr_order\", \"payload\": {} }",
    ];
    let conscent = providers::ALL.iter().find(|known| known.id() == "conscent");
    let signed = |body: &str| {
        let settings = subledger::config::Settings {
            provider: ProviderId::known("conscent").as_str().to_owned(),
            account: "main".to_owned(),
            secrets: std::iter::once((
                "webhook_secret".to_owned(),
                vec![subledger::config::Secret::new("harbour-hook")],
            ))
            .collect(),
            ..subledger::config::Settings::default()
        };
        let at = Timestamp::parse("2026-04-01").unwrap();
        let headers = conscent.unwrap().sign(&settings, body.as_bytes(), at);
        let lines = headers
            .iter()
            .flat_map(|(name, value)| [name, ": ", value, "\r\n"]);
        lines.collect::<String>()
    };
    let path = format!("/hooks/conscent/events/{PATH_KEY}");
    for (body, next) in orders.iter().zip(orders.iter().cycle().skip(1)) {
        let answer = serving.request("POST", &path, &signed(body), body.as_bytes());
        assert_eq!(answer.unwrap().0, 200);
        // The signature of the same facts in another order is another signature.
        let answer = serving.request("POST", &path, &signed(next), body.as_bytes());
        assert_eq!(answer.unwrap().0, 401);
    }
    assert_eq!(serving.terminate(), Some(0));
    let bodies: Vec<String> = {
        let conn = home.open();
        let mut statement = conn
            .prepare("select body from deliveries order by seq")
            .unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    assert_eq!(bodies, orders);
}
