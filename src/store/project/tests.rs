//! A ledger in memory, and what every fold must hold: order of arrival, batches, tests and taking away.

mod any_order;
mod cost;
mod generated;
mod looked;
mod named;
mod plans;
mod pure;
mod weights;

use std::fmt::Write;

use rusqlite::types::Value;
use rusqlite::{Connection, params};

use crate::domain::delivery::{Content, Delivery, IdentityProof, Origin, ProviderId, Reading};
use crate::domain::event::{Event, EventType, Facts, Occurred, OccurredSource, Subject};
use crate::domain::time::{Timestamp, Zone};
use crate::store::project::{KEPT_BYTES_MAX, Projector, Read};

/// 2026-01-01T00:00:00Z.
const START: Timestamp = Timestamp::from_ms(1_767_225_600_000);

/// One delivery on its way into a ledger.
#[derive(Clone, Debug)]
struct Sent {
    provider: &'static str,
    received_at: Timestamp,
    key: Option<String>,
    proof: Option<IdentityProof>,
    test: bool,
    events: Vec<Event>,
}

impl Sent {
    fn of(events: Vec<Event>) -> Self {
        Self {
            provider: "zotlo",
            received_at: START,
            key: None,
            proof: None,
            test: false,
            events,
        }
    }

    fn delivery(&self) -> Delivery {
        Delivery {
            provider: ProviderId::known(self.provider),
            account: "main".into(),
            hook: "events".into(),
            received_at: self.received_at,
            headers: Vec::new(),
            body: b"{}".to_vec(),
            credential: "path_key".into(),
            identity_proof: self.proof,
            remote_ip: "127.0.0.1".into(),
            origin: Origin::Live,
            test: self.test,
        }
    }

    fn reading(&self) -> Reading {
        Reading {
            label: "made up".into(),
            keys: Vec::new(),
            content: Content::Events(self.events.clone()),
        }
    }
}

struct Ledger {
    conn: Connection,
    projector: Projector,
    kept: Vec<Sent>,
    now: Timestamp,
    zone: Zone,
    kept_bytes_max: usize,
}

impl Ledger {
    fn new(now: Timestamp) -> Self {
        Self::in_zone(zone(), now)
    }

    fn in_zone(zone: Zone, now: Timestamp) -> Self {
        let conn = Connection::open_in_memory().unwrap();
        conn.pragma_update(None, "foreign_keys", true).unwrap();
        conn.set_prepared_statement_cache_capacity(512);
        conn.execute_batch(include_str!("../../../schema.sql"))
            .unwrap();
        Self {
            conn,
            projector: Projector::new(zone),
            kept: Vec::new(),
            now,
            zone,
            kept_bytes_max: KEPT_BYTES_MAX,
        }
    }

    /// Appends deliveries without folding them; the seq of the first.
    fn append(&mut self, sent: &[Sent]) -> i64 {
        let first = i64::try_from(self.kept.len()).unwrap() + 1;
        for sent in sent {
            self.kept.push(sent.clone());
            self.conn
                .execute(
                    "insert into deliveries (seq, received_at, provider, account, hook, outcome, dedupe_key, credential,
                       identity_proof, remote_ip, origin, test, provider_type, reader_version, body_bytes, commitment,
                       link, headers)
                     values (?1, ?2, ?3, 'main', 'events', 'stored', ?4, 'path_key', ?5, '', 'live', ?6, 'made up', 1,
                       2, x'', x'', '[]')",
                    params![
                        i64::try_from(self.kept.len()).unwrap(),
                        sent.received_at.to_string(),
                        sent.provider,
                        sent.key,
                        sent.proof.map(IdentityProof::as_str),
                        sent.test,
                    ],
                )
                .unwrap();
        }
        first
    }

    /// Folds deliveries, by their seqs, in one batch and one transaction.
    fn project(&mut self, seqs: &[i64]) {
        let parts: Vec<(i64, Delivery, Reading, Option<String>)> = seqs
            .iter()
            .map(|seq| {
                let sent = &self.kept[usize::try_from(seq - 1).unwrap()];
                (*seq, sent.delivery(), sent.reading(), sent.key.clone())
            })
            .collect();
        let batch: Vec<Read<'_>> = parts
            .iter()
            .map(|(seq, delivery, reading, key)| Read {
                seq: *seq,
                delivery,
                reading,
                dedupe_key: key.as_deref(),
            })
            .collect();
        let now = self.now;
        self.within(|projector, conn| projector.project(conn, &batch, now).unwrap());
    }

    fn within(&mut self, work: impl FnOnce(&mut Projector, &Connection)) {
        self.conn.execute_batch("savepoint batch").unwrap();
        work(&mut self.projector, &self.conn);
        self.conn.execute_batch("release batch").unwrap();
    }

    /// Lets go of what the projector keeps in memory, as a restart does.
    fn restart(&mut self) {
        self.projector = Projector::keeping(self.zone, self.kept_bytes_max);
    }

    /// Runs `work` on this ledger at `now` and takes back all that it wrote: cheaper than a ledger of its own.
    fn and_back<T>(&mut self, now: Timestamp, work: impl FnOnce(&mut Self) -> T) -> T {
        self.now = now;
        self.conn.execute_batch("begin immediate").unwrap();
        let done = work(self);
        self.conn.execute_batch("rollback").unwrap();
        self.kept.clear();
        self.restart();
        done
    }

    fn send(&mut self, sent: &[Sent]) {
        for sent in sent {
            let seq = self.append(std::slice::from_ref(sent));
            self.project(&[seq]);
        }
    }

    fn retract(&mut self, seqs: &[i64]) {
        let now = self.now;
        self.within(|projector, conn| projector.retract(conn, seqs, now).unwrap());
    }

    fn retest(&mut self, seqs: &[i64], test: bool) {
        let now = self.now;
        for seq in seqs {
            self.kept[usize::try_from(seq - 1).unwrap()].test = test;
        }
        self.within(|projector, conn| projector.retest(conn, seqs, test, now).unwrap());
    }

    fn tick(&mut self, now: Timestamp) -> usize {
        self.now = now;
        let mut changed = 0;
        self.within(|projector, conn| {
            loop {
                match projector.tick(conn, now, 2).unwrap() {
                    0 => break,
                    rows => changed += rows,
                }
            }
        });
        changed
    }

    fn rebuild(&mut self, seqs: &[i64]) {
        self.within(|projector, conn| assert!(projector.clear(conn, u32::MAX).is_ok()));
        self.project(seqs);
    }

    /// Every row of every projection, sorted. Without `arrival`, the columns that depend on it are left out.
    fn rows(&self, arrival: bool) -> Vec<String> {
        let mut all = Vec::new();
        for table in [
            "events",
            "users",
            "user_aliases",
            "subscriptions",
            "cancellations",
            "consents",
            "consent_changes",
            "payments",
            "daily",
        ] {
            let mut statement = self
                .conn
                .prepare_cached(&format!("select * from {table}"))
                .unwrap();
            let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
            let rows = statement
                .query_map([], |row| {
                    let mut line = format!("{table}:");
                    for (index, name) in names.iter().enumerate() {
                        let told = ["id", "seq", "users_id", "received_at"];
                        if arrival || !told.contains(&name.as_str()) {
                            let value: Value = row.get(index)?;
                            let by_seq = |text: &str| text.starts_with("delivery:");
                            if !arrival && matches!(&value, Value::Text(text) if by_seq(text)) {
                                continue;
                            }
                            write!(line, " {name}={value:?}").unwrap();
                        }
                    }
                    Ok(line)
                })
                .unwrap();
            all.extend(rows.map(Result::unwrap));
        }
        all.sort();
        all
    }

    /// The rows that `sql` gives, as text: `a|b|-` with `-` for null.
    fn ask(&self, sql: &str) -> Vec<String> {
        let mut statement = self.conn.prepare(sql).unwrap();
        let width = statement.column_count();
        statement
            .query_map([], |row| {
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
            })
            .unwrap()
            .map(Result::unwrap)
            .collect()
    }

    fn seqs(&self) -> Vec<i64> {
        (1..=i64::try_from(self.kept.len()).unwrap()).collect()
    }
}

fn zone() -> Zone {
    "Asia/Kolkata".parse().unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn stated(when: Timestamp) -> Occurred {
    Occurred {
        at: Some(when),
        source: OccurredSource::Body,
    }
}

fn reader(user_id: &str) -> Subject {
    Subject {
        user_id: Some(user_id.to_owned()),
        ..Subject::default()
    }
}

fn event(kind: EventType, when: &str, user_id: &str, facts: Facts) -> Event {
    Event {
        facts,
        ..Event::new(kind, stated(at(when)), reader(user_id))
    }
}
