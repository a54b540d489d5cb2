//! A ledger in memory that deliveries are folded into by hand, in any order and any batches.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use rusqlite::types::Value;
use rusqlite::{Connection, params};
use subledger::domain::delivery::{Content, Delivery, IdentityProof, Reading};
use subledger::domain::time::{Timestamp, Zone};
use subledger::providers::door;
use subledger::store::Error;
use subledger::store::project::{Projector, Read};

/// Folds a batch.
pub(super) type Project =
    fn(&mut Projector, &Connection, &[Read<'_>], Timestamp) -> Result<(), Error>;

const TABLES: [&str; 9] = [
    "events",
    "users",
    "user_aliases",
    "subscriptions",
    "cancellations",
    "consents",
    "consent_changes",
    "payments",
    "daily",
];

/// A delivery that stands in a ledger, readable and no repeat.
pub(super) struct Kept {
    pub(super) seq: i64,
    delivery: Delivery,
    reading: Reading,
}

/// Of `deliveries` those that give events, numbered in the order of arrival.
pub(super) fn kept(deliveries: Vec<Delivery>) -> Vec<Kept> {
    let mut seen = BTreeSet::new();
    let mut kept = Vec::new();
    for (seq, delivery) in (1..).zip(deliveries) {
        let reading = door::read(&delivery);
        let keys = reading.keys.iter().map(|key| {
            let of = (delivery.provider.clone(), delivery.account.clone());
            (of, key.key.clone())
        });
        let keys: Vec<_> = keys.collect();
        let is_repeat = keys.iter().any(|key| seen.contains(key));
        if !is_repeat && matches!(reading.content, Content::Events(_)) {
            seen.extend(keys);
            kept.push(Kept {
                seq,
                delivery,
                reading,
            });
        }
    }
    kept
}

thread_local! {
    static CONN: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

/// A ledger with deliveries in it.
pub(super) struct Ledger<'a> {
    conn: &'a Connection,
    kept: &'a [Kept],
    projector: Projector,
    project: Project,
}

fn zone() -> Result<Zone, String> {
    let zone = "Asia/Kolkata".parse();
    zone.map_err(|error| format!("{error}"))
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn fresh() -> Result<Connection, String> {
    let conn = Connection::open_in_memory().map_err(said)?;
    conn.pragma_update(None, "foreign_keys", true)
        .map_err(said)?;
    conn.set_prepared_statement_cache_capacity(512);
    conn.execute_batch(include_str!("../../schema.sql"))
        .map_err(said)?;
    Ok(conn)
}

/// Does `work` with a ledger that holds `kept`, nothing of it folded, and takes everything back.
pub(super) fn with<T>(
    kept: &[Kept],
    project: Project,
    work: impl FnOnce(&mut Ledger<'_>) -> Result<T, String>,
) -> Result<T, String> {
    CONN.with_borrow_mut(|conn| {
        let conn = match conn {
            Some(conn) => conn,
            none => none.insert(fresh()?),
        };
        conn.execute_batch("begin immediate").map_err(said)?;
        let mut ledger = Ledger {
            conn,
            kept,
            projector: Projector::new(zone()?),
            project,
        };
        let done = ledger.append().and_then(|()| work(&mut ledger));
        conn.execute_batch("rollback").map_err(said)?;
        done
    })
}

impl Ledger<'_> {
    fn append(&self) -> Result<(), String> {
        let sql = "
            insert into deliveries (seq, received_at, provider, account, hook, outcome, dedupe_key, credential,
              identity_proof, remote_ip, origin, test, provider_type, reader_version, body_bytes, commitment, link, headers)
            values (?1, ?2, ?3, ?4, ?5, 'stored', ?6, 'path_key', ?7, '', 'live', ?8, ?9, 1, 2, x'', x'', '[]')";
        let mut insert = self.conn.prepare_cached(sql).map_err(said)?;
        for one in self.kept {
            let delivery = &one.delivery;
            let row = params![
                one.seq,
                delivery.received_at.to_string(),
                delivery.provider.as_str(),
                delivery.account,
                delivery.hook,
                one.dedupe_key(),
                delivery.identity_proof.map(IdentityProof::as_str),
                delivery.test,
                one.reading.label,
            ];
            insert.execute(row).map_err(said)?;
        }
        Ok(())
    }

    /// Folds these, by their places, as one batch.
    pub(super) fn fold(&mut self, places: &[usize], now: Timestamp) -> Result<(), String> {
        let batch: Vec<Read<'_>> = places
            .iter()
            .map(|place| self.kept[*place].read())
            .collect();
        let done = (self.project)(&mut self.projector, self.conn, &batch, now);
        done.map_err(said)
    }

    /// Takes these away again.
    pub(super) fn retract(&mut self, places: &[usize], now: Timestamp) -> Result<(), String> {
        let seqs: Vec<i64> = places.iter().map(|place| self.kept[*place].seq).collect();
        let done = self.projector.retract(self.conn, &seqs, now);
        done.map_err(said)
    }

    /// Lets the clock come to `now`.
    pub(super) fn tick(&mut self, now: Timestamp) -> Result<(), String> {
        // Each subscription changes a few times at most.
        for _ in 0..1_000 {
            let changed = self.projector.tick(self.conn, now, 2);
            if changed.map_err(said)? == 0 {
                return Ok(());
            }
        }
        Err("the clock never comes to an end".to_owned())
    }

    /// Lets go of what is kept in memory, as a restart does.
    pub(super) fn restart(&mut self) -> Result<(), String> {
        self.projector = Projector::new(zone()?);
        Ok(())
    }

    /// Everything is to be folded again.
    pub(super) fn clear(&mut self) -> Result<(), String> {
        let cleared = self.projector.clear(self.conn, u32::MAX);
        cleared.map(drop).map_err(said)
    }

    /// Every row of every projection, sorted.
    pub(super) fn rows(&self) -> Result<Vec<String>, String> {
        let mut all = Vec::new();
        for table in TABLES {
            let sql = format!("select * from {table}");
            let mut statement = self.conn.prepare_cached(&sql).map_err(said)?;
            let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
            let mut rows = statement.query([]).map_err(said)?;
            while let Some(row) = rows.next().map_err(said)? {
                let mut line = format!("{table}:");
                for (place, name) in names.iter().enumerate() {
                    let value: Value = row.get(place).map_err(said)?;
                    write!(line, " {name}={value:?}").map_err(said)?;
                }
                all.push(line);
            }
        }
        all.sort();
        Ok(all)
    }
}

impl Kept {
    fn dedupe_key(&self) -> Option<&str> {
        self.reading.keys.first().map(|key| key.key.as_str())
    }

    fn read(&self) -> Read<'_> {
        Read {
            seq: self.seq,
            delivery: &self.delivery,
            reading: &self.reading,
            dedupe_key: self.dedupe_key(),
        }
    }
}
