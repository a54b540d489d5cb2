//! What the writer counts of itself, for whoever watches it from outside.
//!
//! Kept in memory and brought up to date as it works; looking at it reads no table.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;

use crate::domain::delivery::Outcome;
use crate::domain::time::Timestamp;
use crate::store::Error;
use crate::store::schema::beside;
use crate::store::upkeep::room;
use crate::store::writer::held;

/// Upper bounds of the histogram of commits, milliseconds.
pub const COMMIT_BOUNDS_MS: [u64; 10] = [1, 2, 5, 10, 25, 50, 100, 500, 1_000, 5_000];
/// Counting what is not understood stops here.
const QUARANTINED_MAX: i64 = 100_000;

/// What the writer's thread counts.
#[derive(Default)]
pub(crate) struct Vitals {
    commits: [AtomicU64; COMMIT_BOUNDS_MS.len() + 1],
    commits_us: AtomicU64,
    busy: AtomicU64,
    kept: Mutex<Kept>,
}

/// What can be told of the deliveries without looking at them.
#[derive(Clone, Debug, Default)]
struct Kept {
    last_received: Vec<(String, Timestamp)>,
    quarantined: u64,
}

/// What can be seen of a writer at one moment.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Commits by how long they took: at most each of `COMMIT_BOUNDS_MS`, then those beyond the last.
    pub commits: [u64; COMMIT_BOUNDS_MS.len() + 1],
    /// How long all of them took.
    pub commits_took: Duration,
    /// So often the database's own lock was held by another program for too long.
    pub busy: u64,
    /// How long the delivery has waited that has waited longest.
    pub queue_oldest: Duration,
    /// When each provider's latest delivery had arrived.
    pub last_received: Vec<(String, Timestamp)>,
    /// Deliveries that are kept and not understood, as of the last minute, 100,000 at most.
    pub quarantined: u64,
    /// Size of the database.
    pub db_bytes: u64,
    /// Size of the write-ahead log.
    pub wal_bytes: u64,
    /// What is free on their disk for this user; `None` where the system does not tell.
    pub disk_free_bytes: Option<u64>,
}

impl Vitals {
    pub(crate) fn committed(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let place = COMMIT_BOUNDS_MS.iter().position(|ms| us <= ms * 1_000);
        self.commits[place.unwrap_or(COMMIT_BOUNDS_MS.len())].fetch_add(1, Ordering::Relaxed);
        self.commits_us.fetch_add(us, Ordering::Relaxed);
    }

    pub(crate) fn busy(&self) {
        self.busy.fetch_add(1, Ordering::Relaxed);
    }

    /// Deliveries were appended.
    pub(crate) fn kept<'a>(&self, some: impl Iterator<Item = (&'a str, Timestamp, Outcome)>) {
        let mut kept = held(&self.kept);
        for (provider, at, outcome) in some {
            kept.quarantined += u64::from(outcome == Outcome::Quarantined);
            match kept
                .last_received
                .iter_mut()
                .find(|(known, _)| known == provider)
            {
                Some((_, latest)) => *latest = at.max(*latest),
                None => kept.last_received.push((provider.to_owned(), at)),
            }
        }
    }

    /// Looks at the ledger, by its indexes: at the start, and now and then, as upkeep changes what is understood.
    pub(crate) fn look(&self, conn: &Connection) -> Result<(), Error> {
        let looked = Kept {
            last_received: last_received(conn)?,
            quarantined: quarantined(conn)?,
        };
        *held(&self.kept) = looked;
        Ok(())
    }

    pub(crate) fn figures(&self, path: &Path, queue_oldest: Duration) -> Figures {
        let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |about| about.len());
        let kept = held(&self.kept).clone();
        Figures {
            commits: std::array::from_fn(|place| self.commits[place].load(Ordering::Relaxed)),
            commits_took: Duration::from_micros(self.commits_us.load(Ordering::Relaxed)),
            busy: self.busy.load(Ordering::Relaxed),
            queue_oldest,
            last_received: kept.last_received,
            quarantined: kept.quarantined,
            db_bytes: bytes(path),
            wal_bytes: bytes(&beside(path, "-wal")),
            disk_free_bytes: room::free_bytes(path),
        }
    }
}

/// By skipping through the index from one account to the next.
const LAST_RECEIVED: &str = "with recursive
    p(provider) as (select min(provider) from deliveries union all
      select (select min(d.provider) from deliveries d where d.provider > p.provider) from p
      where p.provider is not null),
    a(provider, account) as (
      select provider, (select min(d.account) from deliveries d where d.provider = p.provider) from p
      where provider is not null union all
      select a.provider, (select min(d.account) from deliveries d
        where d.provider = a.provider and d.account > a.account) from a where a.account is not null)
    select provider, max((select max(d.received_at) from deliveries d
      where d.provider = a.provider and d.account = a.account)) from a where account is not null group by provider";

fn last_received(conn: &Connection) -> Result<Vec<(String, Timestamp)>, Error> {
    let mut statement = conn.prepare_cached(LAST_RECEIVED)?;
    let rows = statement.query_map([], |row| {
        let at: String = row.get(1)?;
        Ok((row.get(0)?, Timestamp::parse(&at)))
    })?;
    let rows = rows.collect::<rusqlite::Result<Vec<(String, Option<Timestamp>)>>>()?;
    let told = rows
        .into_iter()
        .filter_map(|(provider, at)| Some((provider, at?)));
    Ok(told.collect())
}

fn quarantined(conn: &Connection) -> Result<u64, Error> {
    let rows: i64 = conn
        .prepare_cached(
            "select count(*) from (select 1 from deliveries indexed by deliveries_odd
             where outcome <> 'stored' and outcome = 'quarantined' limit ?1)",
        )?
        .query_row([QUARANTINED_MAX], |row| row.get(0))?;
    Ok(u64::try_from(rows).unwrap_or(0))
}
