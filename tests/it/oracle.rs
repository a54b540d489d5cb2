//! MAPPING.md's totals: every sample of every provider, each posted once, folded, and counted.
//!
//! The bundled samples have the providers' keys and oddities and values of our own, so the counts are those of the
//! contract and the sums are ours. Pointed at the providers' documented samples (`SUBLEDGER_SAMPLES`, one folder per
//! provider), the sums are checked as well. Beside them a made-up year, which is compared with itself folded again and
//! counted by plain SQL.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;

use rusqlite::Connection;
use subledger::demo::Demo;
use subledger::domain::delivery::{Delivery, IdentityProof, Origin, Outcome, ProviderId};
use subledger::domain::time::{Clock, Timestamp, Zone};
use subledger::providers::{self, door};
use subledger::store::query::Reader;
use subledger::store::task::Task;
use subledger::store::today::Since;
use subledger::store::upkeep::verify::verify;
use subledger::store::writer::{Options, Store};
use subledger::store::{Mode, connect};

/// One webhook to post: provider, hook, body.
type Post = (&'static str, String, Vec<u8>);

fn bundled() -> Vec<Post> {
    let mut posts = Vec::new();
    for provider in providers::ALL {
        for sample in provider.samples() {
            posts.push((
                provider.id(),
                sample.hook.to_owned(),
                sample.body.as_bytes().to_vec(),
            ));
        }
    }
    posts
}

fn documented(folder: &Path) -> Vec<Post> {
    let mut posts = Vec::new();
    for provider in providers::ALL {
        let mut files: Vec<_> = fs::read_dir(folder.join(provider.id()))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        // The story of one subscription in its own order; the others do not mind.
        files.sort_by_key(|path| (path.to_string_lossy().contains("renewal"), path.clone()));
        for file in files {
            let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
            let hook = match stem.as_str() {
                "subscription-payment-2024" => "subscription-payment",
                "subscription-bundle-payment" => "bundle-payment",
                other if provider.hooks().iter().any(|hook| hook.name == other) => other,
                _ => "events",
            };
            posts.push((provider.id(), hook.to_owned(), fs::read(&file).unwrap()));
        }
    }
    posts
}

/// Posts everything a minute apart and returns a connection to the folded ledger.
fn ledger(posts: &[Post], folder: &Path) -> Connection {
    let path = folder.join("ledger.db");
    let from = Timestamp::parse("2026-03-01T08:00:00Z").unwrap();
    let store = Store::open(
        &path,
        Options {
            read: Arc::new(door::read),
            zone: Zone::UTC,
            clock: Clock::Fixed(from.plus_ms(86_400_000)),
            listen: String::new(),
        },
    )
    .unwrap();
    let writer = store.writer();
    let (sender, receiver) = mpsc::channel();
    for (at, (provider, hook, body)) in (0..).zip(posts) {
        let delivery = Delivery {
            provider: ProviderId::known(provider),
            account: "main".to_owned(),
            hook: hook.clone(),
            received_at: from.plus_ms(at * 60_000),
            headers: Vec::new(),
            body: body.clone(),
            credential: "path_key".to_owned(),
            identity_proof: (*provider == "conscent").then_some(IdentityProof::Unverifiable),
            remote_ip: "127.0.0.1".to_owned(),
            origin: Origin::Live,
            test: false,
        };
        let reading = door::read(&delivery);
        let sender = sender.clone();
        writer
            .append(
                delivery,
                reading,
                Box::new(move |ack| sender.send(ack).unwrap()),
            )
            .ok()
            .unwrap();
        let ack = receiver.recv().unwrap().unwrap();
        assert_eq!(
            ack.outcome,
            Outcome::Stored,
            "{provider} {hook}: {}",
            String::from_utf8_lossy(body)
        );
        writer.confirm(ack.seq);
    }
    store.close().unwrap();
    connect(&path, Mode::Read).unwrap()
}

fn number(conn: &Connection, sql: &str) -> i64 {
    conn.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn counted(conn: &Connection, sql: &str) -> BTreeMap<String, i64> {
    let mut statement = conn.prepare(sql).unwrap();
    let rows = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    rows.map(Result::unwrap).collect()
}

/// What is counted, and how many there are (the totals of MAPPING.md part 1).
const COUNTS: &[(&str, i64)] = &[
    (
        "select count(*) from deliveries where outcome = 'stored'",
        42,
    ),
    ("select count(*) from events", 53),
    ("select count(*) from users", 22),
    ("select count(*) from users where provider = 'conscent'", 13),
    ("select count(*) from users where provider = 'klustr'", 1),
    (
        "select count(*) from users where provider = 'expressconsent'",
        2,
    ),
    ("select count(*) from users where provider = 'zotlo'", 6),
    ("select count(*) from subscriptions", 9),
    (
        "select count(*) from subscriptions where provider = 'conscent'",
        8,
    ),
    ("select count(*) from cancellations", 3),
    (
        "select count(*) from cancellations where reactivated_at is not null",
        1,
    ),
    ("select count(*) from consents", 7),
    ("select count(*) from consent_changes", 12),
    ("select count(*) from payments", 12),
    ("select count(*) from payments where kind = 'refund'", 3),
    (
        "select count(*) from events where amount_text is not null and type not like 'payment.%'",
        0,
    ),
    (
        "select (select total(amount_minor) from payments) - (select total(amount_minor) from events)",
        0,
    ),
];

/// Events by type.
const TYPES: &[(&str, i64)] = &[
    ("user.registered", 3),
    ("user.signed_in", 2),
    ("user.updated", 1),
    ("checkout.reviewed", 2),
    ("purchase.completed", 4),
    ("subscription.started", 6),
    ("subscription.trial_started", 1),
    ("subscription.renewed", 1),
    ("subscription.cancelled", 3),
    ("payment.succeeded", 9),
    ("payment.refunded", 3),
    ("consent.given", 1),
    ("consent.updated", 1),
    ("consent.withdrawn", 1),
    ("agreement.accepted", 1),
    ("agreement.withdrawn", 1),
    ("experiment.joined", 2),
    ("experiment.left", 1),
    ("identity.verified", 1),
    ("identity.revoked", 1),
    ("consent_evidence.captured", 2),
    ("engagement.meter", 2),
    ("engagement.paywall", 2),
    ("engagement.landing_page", 1),
    ("engagement.quiz", 1),
];

/// `pairs` as a query that counts gives them.
fn expected(pairs: &[(&str, i64)]) -> BTreeMap<String, i64> {
    let pairs = pairs.iter();
    pairs
        .map(|(key, count)| ((*key).to_owned(), *count))
        .collect()
}

fn check_counts(conn: &Connection) {
    for (sql, expected) in COUNTS {
        let found = number(conn, &format!("select cast(({sql}) as integer)"));
        assert_eq!(found, *expected, "{sql}");
    }
    let types = counted(conn, "select type, count(*) from events group by type");
    assert_eq!(types, expected(TYPES));
}

/// Events per day as plain SQL counts them.
const DAYS: &str = "
    select day, provider, account, type, count(*),
      count(distinct case when users_id is not null then user_id end)
    from events where test = 0 group by day, provider, account, type";

const DAILY: &str = "select day, provider, account, type, events, users from daily";

#[test]
fn a_made_up_year_is_the_same_folded_again_and_counted_by_plain_sql() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let until = Timestamp::parse("2026-06-30T09:00:00Z").unwrap();
    let store = Store::open(
        &path,
        Options {
            read: Arc::new(door::read),
            zone: "Asia/Kolkata".parse().unwrap(),
            clock: Clock::Fixed(until),
            listen: String::new(),
        },
    )
    .unwrap();
    // Handed over as fast as they are taken, so that some are folded along and most behind.
    let writer = store.writer();
    let mut posted = 0;
    for webhook in Demo::new(5, 4_000, until).filter(|posted| posted.rejected().is_none()) {
        let delivery = webhook.into_delivery();
        let reading = door::read(&delivery);
        while writer.health().queued > 500 {
            std::thread::yield_now();
        }
        let taken = writer.append(delivery, reading, Box::new(|ack| assert!(ack.is_ok())));
        assert!(taken.is_ok());
        posted += 1;
    }
    let check = || {
        let compare = Task::Rebuild { check: true };
        let report = writer.run(compare, &mut |_| {}).unwrap();
        assert_eq!((report.changed, report.findings), (0, Vec::new()));
    };
    check();
    let again = Task::Rebuild { check: false };
    writer.run(again, &mut |_| {}).unwrap();
    check();
    store.close().unwrap();
    assert!(verify(&path).unwrap().is_sound());
    let conn = connect(&path, Mode::Read).unwrap();
    assert_eq!(number(&conn, "select count(*) from deliveries"), posted);
    assert!(number(&conn, "select count(*) from daily") > 500);
    for (left, right) in [(DAYS, DAILY), (DAILY, DAYS)] {
        let differing = format!("select count(*) from ({left} except {right})");
        assert_eq!(number(&conn, &differing), 0, "{left}");
    }
}

#[test]
fn the_bundled_samples_fold_into_the_totals_of_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    check_counts(&ledger(&bundled(), folder.path()));
}

#[test]
fn the_documented_samples_fold_into_the_totals_of_the_contract() {
    let Some(samples) = std::env::var_os("SUBLEDGER_SAMPLES") else {
        eprintln!("skipped: SUBLEDGER_SAMPLES names no folder of documented samples");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let conn = ledger(&documented(Path::new(&samples)), folder.path());
    check_counts(&conn);
    let sums = counted(
        &conn,
        "select provider || ' ' || currency, sum(amount_minor) from payments group by 1",
    );
    assert_eq!(
        sums,
        expected(&[
            ("conscent INR", 808_700),
            ("zotlo TRY", 100),
            ("zotlo USD", -999),
        ])
    );
}

/// A ledger of what had arrived by `to`, folded as of then; its monthly value by currency, now and a week before.
fn monthly(folder: &Path, to: Timestamp) -> BTreeMap<String, (i128, Option<i128>)> {
    let path = folder.join(format!("{}.db", to.ms()));
    let options = Options {
        read: Arc::new(door::read),
        zone: Zone::UTC,
        clock: Clock::Fixed(to),
        listen: String::new(),
    };
    let store = Store::open(&path, options).unwrap();
    let writer = store.writer();
    let until = Timestamp::parse("2026-06-30T09:00:00Z").unwrap();
    let year = Demo::new(9, 3_000, until).filter(|posted| posted.rejected().is_none());
    for webhook in year.take_while(|posted| posted.at <= to) {
        let delivery = webhook.into_delivery();
        let reading = door::read(&delivery);
        while writer.health().queued > 500 {
            std::thread::yield_now();
        }
        let taken = writer.append(delivery, reading, Box::new(|ack| assert!(ack.is_ok())));
        assert!(taken.is_ok());
    }
    let compare = Task::Rebuild { check: true };
    writer.run(compare, &mut |_| {}).unwrap();
    store.close().unwrap();
    let reader = Reader::open(&path).unwrap();
    let today = reader.today(&Since::LastReview, to).unwrap();
    let sums = today.monthly.into_iter();
    sums.map(|sum| (sum.currency, (sum.minor, sum.before)))
        .collect()
}

#[test]
fn the_monthly_value_of_a_week_ago_is_what_it_was_then() {
    let folder = tempfile::tempdir().unwrap();
    let now = Timestamp::parse("2026-06-28T09:00:00Z").unwrap();
    let was = monthly(folder.path(), now.plus_ms(-7 * 86_400_000));
    let is = monthly(folder.path(), now);
    let mut moved = 0;
    for (currency, (worth, before)) in &is {
        let then = was.get(currency).map_or(0, |(then, _)| *then);
        assert_eq!(*before, Some(then), "{currency}: {worth} now");
        moved += usize::from(then != *worth);
    }
    assert!(is.len() > 2 && moved > 0, "{is:?}");
}
