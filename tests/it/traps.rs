//! The traps of the four providers, told in their own bodies: what each must become, in both orders of arrival.
//!
//! Bodies are the bundled samples with the one thing changed that the trap is about.

use std::sync::Arc;
use std::sync::mpsc;

use rusqlite::Connection;
use rusqlite::types::Value;
use serde_json::{Value as Json, json};
use subledger::domain::delivery::{Delivery, Origin, ProviderId};
use subledger::domain::time::{Clock, Timestamp, Zone};
use subledger::providers::{self, door};
use subledger::store::writer::{Options, Store};
use subledger::store::{Mode, connect};
use tempfile::TempDir;

/// One webhook: provider, hook, body, and Klustr's id of the delivery.
#[derive(Clone)]
struct Post {
    provider: &'static str,
    hook: &'static str,
    body: String,
    id: Option<&'static str>,
}

impl Post {
    /// The bundled sample `name` with what stands at these pointers replaced.
    fn of(provider: &'static str, name: &str, changes: &[(&str, Json)]) -> Self {
        let known = providers::ALL.iter().find(|known| known.id() == provider);
        let samples = known.unwrap().samples();
        let sample = samples.iter().find(|sample| sample.name == name);
        let sample = sample.unwrap_or_else(|| panic!("no sample {name}"));
        let mut body: Json = serde_json::from_str(sample.body).unwrap();
        for (pointer, value) in changes {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            body.pointer_mut(parent).unwrap()[key] = value.clone();
        }
        Self {
            provider,
            hook: sample.hook,
            body: body.to_string(),
            id: None,
        }
    }

    fn fixture(provider: &'static str, hook: &'static str, body: &str) -> Self {
        Self {
            provider,
            hook,
            body: body.to_owned(),
            id: None,
        }
    }

    fn delivery(&self, received_at: Timestamp) -> Delivery {
        let headers = self.id.map(|id| ("svix-id".to_owned(), id.to_owned()));
        Delivery {
            provider: ProviderId::known(self.provider),
            account: "main".to_owned(),
            hook: self.hook.to_owned(),
            received_at,
            headers: headers.into_iter().collect(),
            body: self.body.clone().into_bytes(),
            credential: "path_key".to_owned(),
            identity_proof: None,
            remote_ip: "203.0.113.7".to_owned(),
            origin: Origin::Live,
            test: false,
        }
    }
}

/// A ledger that got these webhooks, `gap_s` seconds apart, as it stands at `now`.
struct Book {
    _dir: TempDir,
    conn: Connection,
}

impl Book {
    fn new(now: &str, gap_s: i64, posts: &[Post]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.db");
        let now = Timestamp::parse(now).unwrap();
        let options = Options {
            read: Arc::new(door::read),
            zone: Zone::UTC,
            clock: Clock::Fixed(now),
            listen: String::new(),
        };
        let store = Store::open(&path, options).unwrap();
        let (sender, receiver) = mpsc::channel();
        for (place, post) in (0..).zip(posts) {
            let delivery = post.delivery(now.plus_ms((place - 100) * gap_s * 1000));
            let reading = door::read(&delivery);
            let sender = sender.clone();
            let reply = Box::new(move |ack| sender.send(ack).unwrap());
            store
                .writer()
                .append(delivery, reading, reply)
                .ok()
                .unwrap();
            store
                .writer()
                .confirm(receiver.recv().unwrap().unwrap().seq);
        }
        store.close().unwrap();
        let conn = connect(&path, Mode::Read).unwrap();
        Self { _dir: dir, conn }
    }

    /// The rows of `sql` as text: `a|b|-` with `-` for null.
    fn ask(&self, sql: &str) -> Vec<String> {
        let mut statement = self.conn.prepare(sql).unwrap();
        let width = statement.column_count();
        let rows = statement.query_map([], |row| {
            let cells: Vec<String> = (0..width)
                .map(|index| match row.get(index).unwrap() {
                    Value::Null => "-".to_owned(),
                    Value::Integer(number) => number.to_string(),
                    Value::Real(number) => number.to_string(),
                    Value::Text(text) => text,
                    Value::Blob(_) => "blob".to_owned(),
                })
                .collect();
            Ok(cells.join("|"))
        });
        rows.unwrap().map(Result::unwrap).collect()
    }
}

/// Each question and its answer, whichever way round the webhooks come, a minute apart.
fn check(now: &str, posts: &[Post], answers: &[(&str, &[&str])]) {
    let backwards: Vec<Post> = posts.iter().rev().cloned().collect();
    for (way, posts) in [("as told", posts), ("backwards", &backwards)] {
        let book = Book::new(now, 60, posts);
        for (sql, answer) in answers {
            assert_eq!(book.ask(sql), *answer, "{way}: {sql}");
        }
    }
}

const STANDING: &str =
    "select status, has_access, auto_renew, substr(access_until, 1, 10) from subscriptions
    order by subscription_id";
const SPELLS: &str =
    "select substr(cancelled_at, 1, 10), actor, matched, substr(reactivated_at, 1, 10)
    from cancellations order by cancelled_at";
const CONSENTS: &str =
    "select purpose, state, substr(since, 1, 10) from consents order by app, purpose";
const MONEY: &str =
    "select kind, amount_minor, currency, subscription_id from payments order by kind, at";

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

#[test]
fn a_flat_bundle_looks_like_a_plain_subscription_and_is_a_bundle() {
    let body = include_str!("../fixtures/conscent/bundle-payment.flat-2022-06.json");
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
