//! Upgrades and the way back: ledgers that earlier versions wrote, one of each kept in `fixtures/ledgers`.
//!
//! `v1.db` was written by schema 1, and so on; `v1.json` beside it holds what was counted in it then. The ledger of the
//! present version is written, once it is released, by
//! `cargo test --locked --test it -- --ignored write_the_ledger_of_this_version`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;

use rusqlite::Connection;
use subledger::domain::delivery::{Delivery, IdentityProof, Origin, ProviderId};
use subledger::domain::page::List;
use subledger::domain::time::{Clock, Timestamp, Zone};
use subledger::providers::{self, door};
use subledger::store::append::Ack;
use subledger::store::ring::Rejected;
use subledger::store::schema::SCHEMA_VERSION;
use subledger::store::task::{Task, Which};
use subledger::store::upkeep::import::Parcel;
use subledger::store::writer::{Options, Store};
use subledger::store::{Mode, connect};

/// When the first webhook of every such ledger came.
const BEGIN: &str = "2026-03-01T08:00:00Z";
/// What was counted was counted then, a day later.
const THEN: &str = "2026-03-02T08:00:00Z";

/// The figures that a version must find in the ledgers of earlier ones: a name and a query for a text and a number.
const FIGURES: &[(&str, &str)] = &[
    (
        "deliveries",
        "select outcome || ' ' || origin || iif(test, ' test', ''), count(*) from deliveries group by 1",
    ),
    (
        "erased",
        "select 'bodies', count(*) from deliveries where body is null and erased_at is not null",
    ),
    (
        "events",
        "select type || iif(test, ' test', ''), count(*) from events group by 1",
    ),
    ("users", "select provider, count(*) from users group by 1"),
    (
        "aliases",
        "select provider, count(*) from user_aliases group by 1",
    ),
    (
        "subscriptions",
        "select provider || ' ' || status, count(*) from subscriptions group by 1",
    ),
    (
        "cancellations",
        "select matched || ' ' || actor, count(*) from cancellations group by 1",
    ),
    (
        "consents",
        "select kind || ' ' || state, count(*) from consents group by 1",
    ),
    (
        "changes",
        "select kind, count(*) from consent_changes group by 1",
    ),
    (
        "payments",
        "select kind || ' ' || ifnull(currency, '?'), sum(ifnull(amount_minor, 0)) from payments group by 1",
    ),
    (
        "daily",
        "select provider, sum(events) from daily group by 1",
    ),
    (
        "rejected",
        "select reason, count(*) from rejected group by 1",
    ),
    (
        "checks",
        "select provider || ' ' || hook, sum(requests) from checks group by 1",
    ),
    (
        "reviews",
        "select iif(undone_at is null, 'standing', 'undone'), seq from reviews",
    ),
    (
        "views",
        "select name || ': ' || list || ' ' || query, 1 from views",
    ),
];

type Figures = BTreeMap<String, BTreeMap<String, i64>>;

fn figures(conn: &Connection) -> Figures {
    let mut out = Figures::new();
    for (name, sql) in FIGURES {
        let mut statement = conn.prepare(sql).unwrap();
        let rows = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        out.insert((*name).to_owned(), rows.map(Result::unwrap).collect());
    }
    out
}

fn ledgers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ledgers")
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn open(path: &Path) -> Store {
    let options = Options {
        read: Arc::new(door::read),
        zone: Zone::UTC,
        clock: Clock::Fixed(at(THEN)),
        listen: String::new(),
    };
    Store::open(path, options).unwrap()
}

fn delivery(provider: &str, hook: &str, body: &[u8], minute: i64) -> Delivery {
    Delivery {
        provider: ProviderId::known(provider_named(provider)),
        account: "main".to_owned(),
        hook: hook.to_owned(),
        received_at: at(BEGIN).plus_ms(minute * 60_000),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: body.to_vec(),
        credential: "path_key".to_owned(),
        identity_proof: (provider == "conscent").then_some(IdentityProof::Unverifiable),
        remote_ip: "192.0.2.7".to_owned(),
        origin: Origin::Live,
        test: false,
    }
}

fn provider_named(name: &str) -> &'static str {
    providers::ALL
        .iter()
        .map(|provider| provider.id())
        .find(|id| *id == name)
        .unwrap()
}

fn send(store: &Store, delivery: Delivery) -> Ack {
    let reading = door::read(&delivery);
    let (to, answer) = mpsc::channel();
    let reply = Box::new(move |ack| to.send(ack).unwrap());
    let writer = store.writer();
    writer.append(delivery, reading, reply).ok().unwrap();
    let ack = answer.recv().unwrap().unwrap();
    writer.confirm(ack.seq);
    ack
}

/// Every sample of every provider, what is not known and what cannot be read.
fn webhooks() -> Vec<(String, String, Vec<u8>)> {
    let mut out = Vec::new();
    for provider in providers::ALL {
        for sample in provider.samples() {
            out.push((
                provider.id().to_owned(),
                sample.hook.to_owned(),
                sample.body.as_bytes().to_vec(),
            ));
        }
    }
    let odd: &[(&str, &str, &[u8])] = &[
        ("klustr", "events", br#"{"event_type":"visitor.greeted","data":{"visitor_id":"v-greeted"}}"#),
        ("zotlo", "events", br#"{"queue":{"appId":7,"type":"SubscriberGreeting","eventType":"hello","createDate":"2026-03-01 09:00:00"},"parameters":{}}"#),
        ("zotlo", "events", b"not JSON"),
        ("conscent", "events", b"\x00\xff\xfe"),
        ("expressconsent", "events", b"[]"),
    ];
    out.extend(
        odd.iter().map(|(provider, hook, body)| {
            ((*provider).to_owned(), (*hook).to_owned(), body.to_vec())
        }),
    );
    out
}

fn rejected(provider: &str, body: Option<&[u8]>, reason: &str) -> Rejected {
    Rejected {
        received_at: at(BEGIN),
        provider: provider.to_owned(),
        hook: "events".to_owned(),
        path: format!("/hooks/{provider}/events/fp:0011223344556677"),
        reason: reason.to_owned(),
        remote_ip: "203.0.113.9".to_owned(),
        method: "POST".to_owned(),
        headers: vec![("user-agent".to_owned(), "test".to_owned())],
        body: body.map(<[u8]>::to_vec),
        body_bytes: body.map_or(70_000_000, |body| body.len() as u64),
        sha256: None,
    }
}

fn run(store: &Store, task: Task) {
    store.writer().run(task, &mut |_| {}).unwrap();
}

/// Something of everything that a ledger can hold.
fn fill(store: &Store) {
    let webhooks = webhooks();
    let mut minute = 0;
    let mut post = |(provider, hook, body): &(String, String, Vec<u8>), more: &[u8], test: bool| {
        minute += 1;
        let body = [body.as_slice(), more].concat();
        let mut delivery = delivery(provider, hook, &body, minute);
        delivery.test = test;
        send(store, delivery)
    };
    for webhook in &webhooks {
        post(webhook, b"", false);
    }
    // The same once more, some of them with other bytes.
    for (place, webhook) in webhooks.iter().enumerate().step_by(12) {
        post(webhook, if place % 24 == 0 { b"" } else { b"\n" }, false);
    }
    for webhook in webhooks.iter().step_by(17) {
        post(webhook, b" ", true);
    }
    run(store, Task::ClearTests);
    for webhook in webhooks.iter().step_by(23) {
        post(webhook, b"  ", true);
    }
    let seqs = vec![2, 3];
    run(
        store,
        Task::MarkTest {
            which: Which::Seqs(seqs),
            test: true,
        },
    );
    let mut old = delivery("zotlo", "events", br#"{"clientUuid":"c-1","country":"TR","storeRegister":false,"subscriberId":"imported@example.org","subscriberName":"Reader","appId":1,"registerDate":"2025-02-03 04:05:06"}"#, -100_000);
    old.origin = Origin::Import;
    run(
        store,
        Task::Import {
            parcels: vec![Parcel::from(&old)],
        },
    );
    let writer = store.writer();
    writer.reject(rejected("zotlo", Some(b"{}"), "path key wrong"));
    writer.reject(rejected("klustr", None, "body too large"));
    writer.checked("zotlo", "main", "events");
    for seq in [5, 9] {
        run(store, Task::MarkReviewed { seq });
    }
    run(store, Task::UndoReview);
    let (name, query) = ("endings".to_owned(), "type:cancel".to_owned());
    run(
        store,
        Task::SaveView {
            name,
            list: List::Events,
            query,
        },
    );
}

#[test]
#[ignore = "writes into tests/fixtures/ledgers, once for each released schema"]
fn write_the_ledger_of_this_version() {
    let path = ledgers().join(format!("v{SCHEMA_VERSION}.db"));
    assert!(
        !path.exists(),
        "{} is there already: remove it first",
        path.display()
    );
    let store = open(&path);
    fill(&store);
    store.close().unwrap();
    let _ = fs::remove_file(path.with_extension("db.lock"));
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch("pragma secure_delete = on; vacuum; pragma wal_checkpoint(truncate)")
        .unwrap();
    drop(conn);
    let figures = figures(&connect(&path, Mode::Read).unwrap());
    let mut text = serde_json::to_string_pretty(&figures).unwrap();
    text.push('\n');
    fs::write(path.with_extension("json"), text).unwrap();
}
