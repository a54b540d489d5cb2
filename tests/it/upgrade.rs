//! Upgrades and the way back: ledgers that earlier versions wrote, one of each kept in `fixtures/ledgers`.
//!
//! `v1.db` was written by schema 1, and so on; `v1.json` beside it holds what was counted in it then. The ledger of the
//! present version is written, once it is released, by
//! `cargo test --locked --test it -- --ignored write_the_ledger_of_this_version`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use subledger::domain::delivery::{Delivery, IdentityProof, Origin, ProviderId};
use subledger::domain::page::{Cursor, List, Order};
use subledger::domain::query::{Query, Vocabulary, Words};
use subledger::domain::time::{Clock, Timestamp, Zone};
use subledger::providers::{self, door};
use subledger::store::append::Ack;
use subledger::store::lock::Lock;
use subledger::store::query::Reader;
use subledger::store::ring::Rejected;
use subledger::store::schema::SCHEMA_VERSION;
use subledger::store::task::{Task, Which};
use subledger::store::today::Since;
use subledger::store::upkeep::import::Parcel;
use subledger::store::upkeep::verify::verify;
use subledger::store::writer::{Options, Store};
use subledger::store::{Error, Mode, connect};

use crate::support::{Home, PATIENCE, Said};

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

/// A reader who came long before.
const REGISTERED: &[u8] =
    br#"{"clientUuid":"c-1","country":"TR","storeRegister":false,"subscriberId":"imported@example.org",
    "subscriberName":"Reader","appId":1,"registerDate":"2025-02-03 04:05:06"}"#;

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

pub(crate) fn options() -> Options {
    Options {
        read: Arc::new(door::read),
        zone: Zone::UTC,
        clock: Clock::Fixed(at(THEN)),
        listen: String::new(),
    }
}

pub(crate) fn open(path: &Path) -> Store {
    Store::open(path, options()).unwrap()
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

pub(crate) fn run(store: &Store, task: Task) {
    store.writer().run(task, &mut |_| {}).unwrap();
}

/// Something of everything that a ledger can hold.
pub(crate) fn fill(store: &Store) {
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
    let mut old = delivery("zotlo", "events", REGISTERED, -100_000);
    old.origin = Origin::Import;
    run(
        store,
        Task::Import {
            parcels: vec![Parcel::from(&old)],
            before: 0,
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
    run(
        store,
        Task::Erase {
            provider: None,
            account: None,
            text: "ayse.deneme@example.com".to_owned(),
            residue: true,
        },
    );
    let (name, query) = ("endings".to_owned(), "type:cancel".to_owned());
    run(
        store,
        Task::SaveView {
            name,
            list: List::Events,
            query,
            order: Order::Oldest,
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

/// The ledgers of all versions: schema, file and what was counted in it.
fn kept() -> Vec<(i64, PathBuf, Figures)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(ledgers()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "json") {
            let stem = path.file_stem().unwrap().to_string_lossy();
            let version = stem.trim_start_matches('v').parse().unwrap();
            let figures = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            found.push((version, path.with_extension("db"), figures));
        }
    }
    assert!(!found.is_empty());
    found
}

#[test]
fn a_ledger_that_nobody_upgraded_yet_is_reviewed_as_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    for (version, kept, figures) in kept() {
        let path = folder.path().join(format!("{version}.db"));
        fs::copy(kept, &path).unwrap();
        // A review, as the writer of that time would have noted it.
        let conn = Connection::open(&path).unwrap();
        let review = "insert into reviews (reviewed_at, seq) values (?1, 1)";
        conn.execute(review, [BEGIN]).unwrap();
        drop(conn);
        let reader = Reader::open(&path).unwrap();
        for word in ["last-review", "2026-03-01..2026-03-03"] {
            let since = Since::parse(word, at(THEN), Zone::UTC).unwrap();
            let today = reader.today(&since, at(THEN)).unwrap();
            let in_all: i64 = figures["deliveries"].values().sum();
            let counted = [&today.kept, &today.repeats, &today.not_understood];
            let counted: u64 = counted.iter().map(|figure| figure.count).sum();
            assert!(
                counted > 0 && counted <= in_all.unsigned_abs(),
                "{version} {word}"
            );
            for figure in [
                &today.kept,
                &today.new_subscriptions,
                &today.ended,
                &today.new_readers,
            ] {
                let stored = Vocabulary::default();
                let words = Words {
                    now: at(THEN),
                    zone: Zone::UTC,
                    list: figure.list,
                    last_review: reader.last_review().unwrap(),
                    stored: &stored,
                };
                let query = Query::parse(&figure.query, &words).unwrap();
                let rows = reader
                    .page(figure.list, &query, &Cursor::First, 1_000)
                    .unwrap()
                    .rows;
                assert_eq!(
                    rows.len() as u64,
                    figure.count,
                    "{version} {}",
                    figure.query
                );
            }
        }
    }
}

/// A ledger of schema 1 where `home` has its ledger.
fn old_ledger(home: &Home) -> PathBuf {
    let path = home.ledger();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::copy(ledgers().join("v1.db"), &path).unwrap();
    path
}

fn schema(path: &Path) -> i64 {
    let conn = connect(path, Mode::Read).unwrap();
    conn.pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap()
}

/// What stands in the folder of `path`, by name.
fn beside(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path.parent().unwrap()).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn copies(path: &Path) -> Vec<String> {
    let mut names = beside(path);
    names.retain(|name| name.contains(".before-upgrade-"));
    names
}

#[test]
fn every_earlier_ledger_opens_upgrades_and_counts_as_it_did() {
    for (version, file, figures_then) in kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("subledger.db");
        fs::copy(&file, &path).unwrap();
        let before = verify(&path).unwrap();
        assert!(before.is_sound(), "{version}: {:?}", before.damage);
        let store = open(&path);
        let upgraded = store
            .upgraded()
            .map(|upgraded| (upgraded.from, upgraded.to));
        assert_eq!(
            upgraded,
            (version < SCHEMA_VERSION).then_some((version, SCHEMA_VERSION))
        );
        let writer = store.writer();
        let check = writer
            .run(Task::Rebuild { check: true }, &mut |_| {})
            .unwrap();
        assert_eq!(check.findings, Vec::<String>::new(), "version {version}");
        let conn = connect(&path, Mode::Read).unwrap();
        assert_eq!(figures(&conn), figures_then, "version {version}");
        let after = verify(&path).unwrap();
        assert_eq!(
            (after.is_sound(), after.last_seq, &after.head),
            (true, before.last_seq, &before.head)
        );
        let ack = send(
            &store,
            delivery("zotlo", "events", b"not JSON either", 5_000),
        );
        assert_eq!(ack.seq, before.last_seq + 1);
        // Folded from the first delivery on, it is the same once more.
        run(&store, Task::Rebuild { check: false });
        let mut again = figures(&conn);
        for (name, then) in &figures_then {
            if name != "deliveries" {
                assert_eq!(again.remove(name).as_ref(), Some(then), "version {version}");
            }
        }
        store.close().unwrap();
    }
}

#[test]
fn what_an_upgrade_brought_is_told_by_serve_status_doctor_and_today() {
    let home = Home::new();
    let path = old_ledger(&home);
    // As if the version before had not known what the present one knows.
    Connection::open(&path)
        .unwrap()
        .execute_batch(
            "insert into upkeep values ('quarantine');
             update deliveries set reader_version = 0;
             update deliveries set outcome = 'quarantined', reason = 'an unknown list' where seq = 5;
             delete from upkeep;
             update events set type = 'unknown' where seq = 8;
             update meta set value = '0' where key = 'reader_version'",
        )
        .unwrap();
    let waiting: i64 = home.number(
        "select count(*) from deliveries d where erased_at is null and (outcome = 'quarantined'
         or outcome = 'stored' and exists (select 1 from events e where e.seq = d.seq and e.type = 'unknown'))",
    );
    let serving = home.serve();
    let deadline = Instant::now() + PATIENCE;
    while home
        .number("select count(*) from upgrades where what = 'reading' and finished_at is not null")
        == 0
    {
        assert!(Instant::now() < deadline, "the upgrade does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
    let version = env!("CARGO_PKG_VERSION");
    let wanted = format!(
        "upgraded to {version}: 2 of {waiting} webhooks that were not understood are now, a new type: "
    );
    for args in [&["status"] as &[&str], &["doctor"], &["today"]] {
        let Said { out, .. } = home.says(args);
        assert!(out.contains(&wanted), "{args:?}: {out}");
    }
    let Said { out: json, .. } = home.says(&["today", "--json"]);
    assert!(json.contains("\"understood\":2"), "{json}");
    assert_eq!(serving.terminate(), Some(0));
    assert_eq!(home.says(&["verify"]).code, 0);
}

#[test]
fn a_newer_ledger_is_refused_by_every_command_and_left_untouched() {
    let home = Home::new();
    let path = old_ledger(&home);
    Connection::open(&path)
        .unwrap()
        .execute_batch("pragma journal_mode = delete; pragma user_version = 99")
        .unwrap();
    fs::write(
        path.with_file_name("subledger.db.before-upgrade-98-20270101T000000Z"),
        "",
    )
    .unwrap();
    let copy = path.with_file_name("subledger.db.before-upgrade-1-20260101T000000Z");
    fs::write(&copy, "").unwrap();
    let (bytes, names) = (fs::read(&path).unwrap(), beside(&path));
    let since = home.path().join("since.ndjson");
    fs::write(
        &since,
        r#"{"provider":"zotlo","hook":"events","received_at":"2026-03-01T09:00:00Z","body":"{}"}"#,
    )
    .unwrap();
    let since = since.to_string_lossy().into_owned();
    let commands: &[&[&str]] = &[
        &["serve"],
        &["events"],
        &["users"],
        &["subscriptions"],
        &["cancellations"],
        &["consents"],
        &["changes"],
        &["payments"],
        &["deliveries"],
        &["events", "--follow", "--format", "csv"],
        &["today"],
        &["show", "1"],
        &["sql", "select 1"],
        &["status"],
        &["doctor"],
        &["verify"],
        &["rebuild"],
        &["rebuild", "--check"],
        &["tests", "clear"],
        &["quarantine", "retry"],
        &["rejected", "admit", "1"],
        &["backup", "copy.db"],
        &["export", "--deliveries"],
        &["import", &since],
    ];
    for args in commands {
        let Said { code, out, err } = home.says(args);
        assert_eq!(code, 1, "{args:?}: {err}");
        let said = format!("{out}{err}");
        assert!(
            said.contains("was written by a newer subledger (schema 99"),
            "{args:?}: {said}"
        );
        let way_back = format!("subledger restore {} --replace", copy.display());
        assert!(said.contains(&way_back), "{args:?}: {said}");
        assert_eq!(
            (fs::read(&path).unwrap() == bytes, beside(&path)),
            (true, names.clone()),
            "{args:?}"
        );
    }
}

#[test]
fn an_older_ledger_is_read_as_it_stands_while_an_older_receiver_holds_it() {
    let home = Home::new();
    let path = old_ledger(&home);
    let pid = std::process::id();
    let held = Lock::take(&path, "127.0.0.1:1", at(THEN)).unwrap();
    let Said { code, out, .. } = home.says(&["events", "--format", "csv"]);
    assert_eq!((code, out.lines().count() > 20), (0, true), "{out}");
    let older =
        format!("(process {pid}) is an older version: `subledger stop`, then start it again");
    let Said { code, out, .. } = home.says(&["today"]);
    assert!(code == 0 && out.contains(&older), "{out}");
    let Said { out, .. } = home.says(&["status"]);
    assert!(
        out.contains(&format!("process {pid} is an older version")),
        "{out}"
    );
    assert_eq!(home.says(&["tests", "clear"]).code, 3);
    assert_eq!(home.says(&["serve"]).code, 3);
    assert_eq!((schema(&path), copies(&path).len()), (1, 0));
    // Reading alone never upgrades, whoever holds it.
    drop(held);
    assert_eq!(home.says(&["users"]).code, 0);
    assert_eq!((schema(&path), copies(&path).len()), (1, 0));
    // A command that writes does, and says where the ledger stands as it was.
    let Said { code, out, .. } = home.says(&["tests", "clear"]);
    let copies = copies(&path);
    assert_eq!((code, schema(&path), copies.len()), (0, SCHEMA_VERSION, 1));
    assert!(out.contains(&copies[0]), "{out}");
    assert_eq!(schema(&path.with_file_name(&copies[0])), 1);
}

#[test]
fn an_upgrade_that_is_killed_leaves_the_old_ledger_or_the_new_one() {
    let home = Home::new();
    let path = old_ledger(&home);
    let last = verify(&path).unwrap().head;
    for round in 0..16 {
        for name in beside(&path) {
            fs::remove_file(path.with_file_name(name)).unwrap();
        }
        fs::copy(ledgers().join("v1.db"), &path).unwrap();
        let mut child = home
            .command(&["serve"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Wherever that falls, what is left must hold.
        std::thread::sleep(Duration::from_millis(round * 5));
        child.kill().unwrap();
        child.wait().unwrap();
        let found = schema(&path);
        assert!(found == 1 || found == SCHEMA_VERSION, "schema {found}");
        let verified = verify(&path).unwrap();
        assert!(
            verified.is_sound() && verified.head == last,
            "{:?}",
            verified.damage
        );
        let store = open(&path);
        run(&store, Task::RetryQuarantine);
        store.close().unwrap();
        assert_eq!(schema(&path), SCHEMA_VERSION);
        let left = copies(&path);
        assert!(left.len() == 1 && !left[0].contains(".part"), "{left:?}");
    }
}

#[test]
fn of_two_that_start_at_once_one_upgrades() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("subledger.db");
    fs::copy(ledgers().join("v1.db"), &path).unwrap();
    let start = Barrier::new(2);
    let opened = std::thread::scope(|scope| {
        let one = || {
            start.wait();
            Store::open(&path, options())
        };
        let both = [scope.spawn(one), scope.spawn(one)];
        both.map(|thread| thread.join().unwrap())
    });
    let locked = opened
        .iter()
        .filter(|one| matches!(one, Err(Error::Locked { .. })))
        .count();
    assert_eq!((opened.iter().flatten().count(), locked), (1, 1));
    assert_eq!((schema(&path), copies(&path).len()), (SCHEMA_VERSION, 1));
}

#[test]
fn the_way_back_loses_nothing_that_came_since() {
    let home = Home::new();
    let path = old_ledger(&home);
    let before = verify(&path).unwrap().last_seq;
    let serving = home.serve();
    for n in 0..3 {
        let body = format!("{{\"came\":\"since {n}\"}}");
        let answer = serving.post("zotlo", "events", body.as_bytes());
        assert_eq!(answer.map(|(status, _)| status), Some(200));
    }
    assert_eq!(serving.terminate(), Some(0));
    let copy = path.with_file_name(&copies(&path)[0]);
    let copy = copy.to_string_lossy().into_owned();
    let Said { out, .. } = home.says(&["status", "--db", &copy]);
    assert!(out.contains(&format!("{before} deliveries")), "{out}");
    let query = format!("seq:>{before}");
    let Said {
        code,
        out: exported,
        err,
    } = home.says(&["export", "--deliveries", &query]);
    assert_eq!((code, exported.lines().count()), (0, 3), "{err}");
    let since = home.path().join("since.ndjson");
    fs::write(&since, exported).unwrap();
    // From here on this program is the older one.
    Connection::open(&path)
        .unwrap()
        .execute_batch("pragma user_version = 99; pragma wal_checkpoint(truncate)")
        .unwrap();
    let Said { code, err, .. } = home.says(&["users"]);
    assert!(
        code == 1 && err.contains(&format!("restore {copy}")),
        "{err}"
    );
    let Said { code, err, .. } = home.says(&["restore", &copy, "--replace"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(schema(&path), 1);
    let Said { code, err, .. } = home.says(&["import", &since.to_string_lossy()]);
    assert_eq!(code, 0, "{err}");
    let found = verify(&path).unwrap();
    assert!(
        found.is_sound() && found.last_seq == before + 3,
        "{found:?}"
    );
    let came = "select count(*) from deliveries where body like '%since%' and origin = 'import'";
    assert_eq!(home.number(came), 3);
}
