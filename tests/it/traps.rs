//! The traps of the four providers, told in their own bodies: what each must become, in both orders of arrival.
//!
//! Bodies are the bundled samples with the one thing changed that the trap is about. One file for each provider; its
//! head says which test holds which trap.

#![expect(
    clippy::unwrap_used,
    reason = "tests: helpers fail as loudly as the tests that call them"
)]

mod conscent;
mod expressconsent;
mod klustr;
mod zotlo;

use std::sync::Arc;
use std::sync::mpsc;

use rusqlite::Connection;
use rusqlite::types::Value;
use serde_json::Value as Json;
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
