//! The store from outside: what is acknowledged, what it is taken for, what survives.

mod copies;
mod duplicates;
mod durability;
mod retention;
mod upgrades;
mod upkeep;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tempfile::TempDir;

use crate::domain::delivery::{
    Content, Delivery, DeliveryKey, KeyRule, MAIN_ACCOUNT, Origin, ProviderId, Reading,
};
use crate::domain::event::{Event, EventType, Occurred, Subject};
use crate::domain::time::{Clock, Timestamp, Zone};
use crate::store::append::Ack;
use crate::store::task::{Task, TaskReport};
use crate::store::writer::{Options, Store};
use crate::store::{Error, Mode, ReadFn, connect};

/// 2026-01-05T09:00:00.000Z.
pub(super) const MORNING: Timestamp = Timestamp::from_ms(1_767_603_600_000);

/// A ledger in a directory of its own.
pub(super) struct Ledger {
    dir: TempDir,
    pub(super) path: PathBuf,
    /// Whether bodies with `later` can be read and what is `unheard-of` is known.
    upgraded: Arc<AtomicBool>,
    store: Option<Store>,
}

impl Ledger {
    pub(super) fn new() -> Self {
        let mut ledger = Self::closed();
        ledger.reopen();
        ledger
    }

    pub(super) fn closed() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("subledger.db");
        Self {
            dir,
            path,
            upgraded: Arc::new(AtomicBool::new(false)),
            store: None,
        }
    }

    pub(super) fn options(&self) -> Options {
        Options {
            read: reader(&self.upgraded),
            zone: Zone::UTC,
            clock: Clock::Fixed(MORNING),
            listen: "127.0.0.1:8484".to_owned(),
        }
    }

    pub(super) fn reopen(&mut self) {
        if let Some(store) = self.store.take() {
            store.close().unwrap();
        }
        self.store = Some(Store::open(&self.path, self.options()).unwrap());
    }

    pub(super) fn close(&mut self) {
        self.store.take().unwrap().close().unwrap();
    }

    pub(super) fn upgrade(&self) {
        self.upgraded.store(true, Ordering::Relaxed);
    }

    pub(super) fn downgrade(&self) {
        self.upgraded.store(false, Ordering::Relaxed);
    }

    pub(super) fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    pub(super) fn try_send(&self, delivery: Delivery) -> Result<Ack, Error> {
        let reading = reader(&self.upgraded)(&delivery);
        let (to, answer) = channel();
        let reply = Box::new(move |done| to.send(done).unwrap());
        self.store()
            .writer()
            .append(delivery, reading, reply)
            .unwrap();
        answer.recv().unwrap()
    }

    pub(super) fn send(&self, delivery: Delivery) -> Ack {
        self.try_send(delivery).unwrap()
    }

    /// Sends `body` at `ms` after the morning, and confirms its answer.
    pub(super) fn post(&self, body: &str, ms: i64) -> Ack {
        let ack = self.send(delivery(body, ms));
        self.store().writer().confirm(ack.seq);
        ack
    }

    pub(super) fn run(&self, task: Task) -> Result<TaskReport, Error> {
        self.store().writer().run(task, &mut |_| {})
    }

    pub(super) fn reader(&self) -> Connection {
        connect(&self.path, Mode::Read).unwrap()
    }

    pub(super) fn text(&self, sql: &str) -> String {
        let value = self
            .reader()
            .query_row(sql, [], |row| row.get::<_, rusqlite::types::Value>(0));
        match value.unwrap() {
            rusqlite::types::Value::Null => "null".to_owned(),
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Real(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            rusqlite::types::Value::Blob(bytes) => format!("{bytes:?}"),
        }
    }

    /// What a crash at this moment would leave: the file and its log, copied while the writer stands still.
    pub(super) fn crash_image(&self) -> Self {
        let mut image = Self::closed();
        for ending in ["", "-wal"] {
            let from = crate::store::schema::beside(&self.path, ending);
            if from.exists() {
                std::fs::copy(from, crate::store::schema::beside(&image.path, ending)).unwrap();
            }
        }
        image.upgraded = Arc::clone(&self.upgraded);
        image
    }

    pub(super) fn folder(&self) -> &Path {
        self.dir.path()
    }
}

/// Waits until `done`; the writer works on a thread of its own.
pub(super) fn eventually(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(super) fn delivery(body: &str, ms: i64) -> Delivery {
    raw(body.as_bytes(), ms)
}

pub(super) fn raw(body: &[u8], ms: i64) -> Delivery {
    Delivery {
        provider: ProviderId::known("conscent"),
        account: MAIN_ACCOUNT.to_owned(),
        hook: "events".to_owned(),
        received_at: MORNING.plus_ms(ms),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: body.to_vec(),
        credential: "path_key".to_owned(),
        identity_proof: None,
        remote_ip: "127.0.0.1".to_owned(),
        origin: Origin::Live,
        test: false,
    }
}

/// A reading function for bodies such as `id:7 natural:a rest`: words before a plain one are keys. What is `paid` is a
/// payment; what is `dated` is labelled with its arrival.
fn reader(upgraded: &Arc<AtomicBool>) -> ReadFn {
    let upgraded = Arc::clone(upgraded);
    Arc::new(move |delivery| {
        let text = String::from_utf8_lossy(&delivery.body).into_owned();
        assert!(!text.contains("trap"), "reading breaks on this one");
        let upgraded = upgraded.load(Ordering::Relaxed);
        let keys = match (text.split_once(" unheard-of "), upgraded) {
            (Some((before, _)), false) => vec![key(before, &text).unwrap()],
            (Some((_, after)), true) => after
                .split(' ')
                .map_while(|word| key(word, &text))
                .collect(),
            (None, _) => text.split(' ').map_while(|word| key(word, &text)).collect(),
        };
        let unreadable = text.contains("garbage") || (text.contains("later") && !upgraded);
        let unknown = text.contains("unheard-of") && !upgraded;
        Reading {
            label: match text.split(' ').next_back().unwrap_or_default() {
                "dated" => delivery.received_at.to_string(),
                last => last.to_owned(),
            },
            keys,
            content: if unreadable {
                Content::Unreadable("no JSON object".to_owned())
            } else {
                Content::Events(vec![event(if unknown {
                    EventType::Unknown
                } else if text.ends_with("paid") {
                    EventType::PaymentSucceeded
                } else {
                    EventType::UserSignedIn
                })])
            },
        }
    })
}

fn event(kind: EventType) -> Event {
    let subject = Subject {
        user_id: Some("reader".to_owned()),
        ..Subject::default()
    };
    Event::new(kind, Occurred::NOT_TOLD, subject)
}

fn key(word: &str, text: &str) -> Option<DeliveryKey> {
    let (rule, value) = word.split_once(':')?;
    let rule = match rule {
        "id" => KeyRule::Id,
        "natural" => KeyRule::Natural,
        "within" => KeyRule::NaturalWithin(600_000),
        "bytes" => KeyRule::Bytes,
        "old" => KeyRule::OtherGeneration(0),
        "new" => KeyRule::OtherGeneration(1),
        _ => return None,
    };
    let key = match rule {
        KeyRule::Bytes => format!("bytes:{text}"),
        KeyRule::OtherGeneration(_) => format!("fact:{value}"),
        _ => word.to_owned(),
    };
    Some(DeliveryKey { key, rule })
}
