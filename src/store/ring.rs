//! The rejected ring: requests that failed authentication or a limit, within fixed bounds.
//!
//! Low priority: written along with other commits, dropped first. A share per class of request keeps a scanner from
//! pushing out what a provider sent: while the ring is over a bound, the class that takes most of it gives up its
//! oldest row. A class is a provider and whether a body was kept, for only those can be taken in after all.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use crate::domain::time::{DAY_MS, Timestamp};
use crate::store::Error;
use crate::store::append::headers_text;
use crate::store::inbox::Notes;

/// The bounds of DESIGN.md section 7.
pub const RING: Bounds = Bounds {
    rows_max: 10_000,
    bytes_max: 64 << 20,
    age_ms: 14 * DAY_MS,
};

/// Counts of what fell out are kept this long.
const LOST_AGE_MS: i64 = 90 * DAY_MS;
/// What a row takes beside its texts and body.
const ROW_BYTES: i64 = 200;

/// How much a ring holds.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Rows.
    pub rows_max: i64,
    /// Bytes of bodies, headers and paths.
    pub bytes_max: i64,
    /// Milliseconds since arrival.
    pub age_ms: i64,
}

/// A request that was turned away. Credentials in it are fingerprints already.
#[derive(Clone, Debug)]
pub struct Rejected {
    /// When it had arrived.
    pub received_at: Timestamp,
    /// As far as the path tells; empty if it names none of ours.
    pub provider: String,
    /// As far as the path tells.
    pub hook: String,
    /// The path, a path key in it shown as its fingerprint.
    pub path: String,
    /// Why, from a closed set of sentences.
    pub reason: String,
    /// The caller, as far as trusted proxies tell.
    pub remote_ip: String,
    /// The HTTP method.
    pub method: String,
    /// Names in lower case and values; passwords and keys as fingerprints.
    pub headers: Vec<(String, String)>,
    /// The exact bytes, where they were kept.
    pub body: Option<Vec<u8>>,
    /// As received, even where the body was not kept.
    pub body_bytes: u64,
    /// Of the body, hex; `None` where it was not read to its end.
    pub sha256: Option<String>,
}

impl Rejected {
    /// What it takes in memory and in the ring, roughly.
    pub(crate) fn bytes(&self) -> usize {
        let headers: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len() + 6)
            .sum();
        self.body.as_ref().map_or(0, Vec::len) + headers + self.path.len()
    }
}

/// A row of the ring, read back so that it can be judged again.
#[derive(Clone, Debug)]
pub struct RejectedRow {
    /// Its id in `rejected`.
    pub id: i64,
    /// What was turned away.
    pub rejected: Rejected,
    /// The delivery that it became, if it was taken in already.
    pub admitted_seq: Option<i64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Share {
    rows: i64,
    bytes: i64,
}

/// What the ring holds, by class.
#[derive(Debug)]
pub(crate) struct Ring {
    bounds: Bounds,
    shares: HashMap<(String, bool), Share>,
}

impl Ring {
    pub(crate) fn load(conn: &Connection, bounds: Bounds) -> Result<Self, Error> {
        let mut ring = Self {
            bounds,
            shares: HashMap::new(),
        };
        let mut statement = conn.prepare(
            "select provider, body is not null, count(*), sum(ifnull(length(body), 0) + length(headers) + length(path))
             from rejected group by 1, 2",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let share = Share {
                rows: row.get(2)?,
                bytes: row.get::<_, i64>(3)? + ROW_BYTES * row.get::<_, i64>(2)?,
            };
            ring.shares.insert((row.get(0)?, row.get(1)?), share);
        }
        Ok(ring)
    }

    /// Writes a row and makes room for it; what falls out is counted in `notes`.
    pub(crate) fn push(
        &mut self,
        conn: &Connection,
        rejected: &Rejected,
        notes: &mut Notes,
    ) -> Result<(), Error> {
        let headers = headers_text(&rejected.headers);
        conn.prepare_cached(
            "insert into rejected (received_at, provider, hook, path, reason, remote_ip, method, headers, body_bytes,
             sha256, body) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            rejected.received_at.to_string(),
            rejected.provider,
            rejected.hook,
            rejected.path,
            rejected.reason,
            rejected.remote_ip,
            rejected.method,
            headers,
            i64::try_from(rejected.body_bytes).unwrap_or(i64::MAX),
            rejected.sha256,
            rejected.body,
        ])?;
        let bytes =
            rejected.body.as_ref().map_or(0, Vec::len) + headers.len() + rejected.path.len();
        let class = (rejected.provider.clone(), rejected.body.is_some());
        let share = self.shares.entry(class).or_default();
        share.rows += 1;
        share.bytes += i64::try_from(bytes).unwrap_or(i64::MAX) + ROW_BYTES;
        self.make_room(conn, notes)
    }

    fn make_room(&mut self, conn: &Connection, notes: &mut Notes) -> Result<(), Error> {
        loop {
            let rows: i64 = self.shares.values().map(|share| share.rows).sum();
            let bytes: i64 = self.shares.values().map(|share| share.bytes).sum();
            let by_bytes = bytes > self.bounds.bytes_max;
            if rows <= self.bounds.rows_max && !by_bytes {
                return Ok(());
            }
            let greatest = self
                .shares
                .iter()
                .max_by_key(|(_, share)| if by_bytes { share.bytes } else { share.rows });
            let Some(class) = greatest.map(|(class, _)| class.clone()) else {
                return Ok(());
            };
            self.evict_oldest(conn, &class, notes)?;
        }
    }

    fn evict_oldest(
        &mut self,
        conn: &Connection,
        class: &(String, bool),
        notes: &mut Notes,
    ) -> Result<(), Error> {
        let oldest: Option<(i64, String, String, i64, bool)> = conn
            .prepare_cached(
                "select id, received_at, reason, ifnull(length(body), 0) + length(headers) + length(path),
                 admitted_seq is not null from rejected
                 where provider = ?1 and (body is not null) = ?2 order by id limit 1",
            )?
            .query_row(params![class.0, class.1], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
            })
            .optional()?;
        let Some((id, received_at, reason, bytes, admitted)) = oldest else {
            self.shares.remove(class);
            return Ok(());
        };
        conn.prepare_cached("delete from rejected where id = ?1")?
            .execute([id])?;
        if !admitted {
            let at = Timestamp::parse(&received_at).unwrap_or(Timestamp::from_ms(0));
            notes.lose(at, &class.0, &reason);
        }
        if let Some(share) = self.shares.get_mut(class) {
            share.rows -= 1;
            share.bytes -= bytes + ROW_BYTES;
        }
        Ok(())
    }

    /// Takes out what is too old, so many rows at most, and counts it; how many it was.
    pub(crate) fn expire(
        &mut self,
        conn: &Connection,
        now: Timestamp,
        limit: i64,
    ) -> Result<usize, Error> {
        let before = now.plus_ms(-self.bounds.age_ms).to_string();
        conn.prepare_cached(
            "insert into rejected_lost (hour, provider, reason, requests)
             select substr(received_at, 1, 13) || ':00:00.000Z', provider, reason, count(*)
             from (select * from rejected where received_at < ?1 order by received_at, id limit ?2)
             where admitted_seq is null group by 1, 2, 3
             on conflict (hour, provider, reason) do update set requests = requests + excluded.requests",
        )?
        .execute(params![before, limit])?;
        let rows = conn
            .prepare_cached(
                "delete from rejected where id in
                 (select id from rejected where received_at < ?1 order by received_at, id limit ?2)",
            )?
            .execute(params![before, limit])?;
        conn.prepare_cached("delete from rejected_lost where hour < ?1")?
            .execute([now.plus_ms(-LOST_AGE_MS).to_string()])?;
        if rows > 0 {
            *self = Self::load(conn, self.bounds)?;
        }
        Ok(rows)
    }
}

/// Adds up what fell out.
pub(crate) fn count_lost(conn: &Connection, notes: &Notes) -> Result<(), Error> {
    for ((hour, provider, reason), requests) in &notes.lost {
        conn.prepare_cached(
            "insert into rejected_lost (hour, provider, reason, requests) values (?1, ?2, ?3, ?4)
             on conflict (hour, provider, reason) do update set requests = requests + excluded.requests",
        )?
        .execute(params![hour.to_string(), provider, reason, requests])?;
    }
    Ok(())
}

/// The row `id` of the ring, if it is still there.
pub(crate) fn row(conn: &Connection, id: i64) -> Result<Option<RejectedRow>, Error> {
    let found = conn
        .prepare_cached(
            "select id, received_at, provider, hook, path, reason, remote_ip, method, headers, body, body_bytes, sha256,
             admitted_seq from rejected where id = ?1",
        )?
        .query_row([id], |row| {
            let received_at: String = row.get(1)?;
            let headers: String = row.get(8)?;
            Ok(RejectedRow {
                id: row.get(0)?,
                rejected: Rejected {
                    received_at: Timestamp::parse(&received_at).unwrap_or(Timestamp::from_ms(0)),
                    provider: row.get(2)?,
                    hook: row.get(3)?,
                    path: row.get(4)?,
                    reason: row.get(5)?,
                    remote_ip: row.get(6)?,
                    method: row.get(7)?,
                    headers: serde_json::from_str(&headers).unwrap_or_default(),
                    body: row.get(9)?,
                    body_bytes: u64::try_from(row.get::<_, i64>(10)?).unwrap_or(0),
                    sha256: row.get(11)?,
                },
                admitted_seq: row.get(12)?,
            })
        })
        .optional()?;
    Ok(found)
}
