//! What was erased goes out of an older copy before that becomes the ledger.
//!
//! By place and link for the deliveries that the ledger had erased; by hash for readers in deliveries that it never had,
//! for requests that were turned away, and for saved filters. The lists of a copy that something went out of are emptied
//! and folded again by its first start.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::{Connection, params};

use crate::domain::time::{Timestamp, Zone};
use crate::store::append::body_bytes;
use crate::store::project::Projector;
use crate::store::schema::{self, Found, meta};
use crate::store::today::alerts::ALERTS;
use crate::store::upkeep::erasures::{self, Line, Place, Sealer, body_hash};
use crate::store::upkeep::notes::forget_view;
use crate::store::upkeep::overwrite::vacuum;
use crate::store::upkeep::{Reason, guard, retention};
use crate::store::{Error, Mode, connect, fold, seal, upgrade};

/// The first schema that remembers erasures.
pub(crate) const SINCE: i64 = 3;

/// Erases from the file at `copy`, which nobody sees yet, what was erased from the ledger at `ledger`; how many
/// deliveries, requests and saved filters.
pub(crate) fn reapply(copy: &Path, ledger: &Path, now: Timestamp) -> Result<usize, Error> {
    let mut lines = erasures::lines(ledger)?;
    // One that cannot be read has nothing to say, and its file beside it has said it.
    lines.extend(remembered(ledger).unwrap_or_default());
    if lines.is_empty() {
        return Ok(0);
    }
    let mut conn = connect(copy, Mode::Fill)?;
    conn.pragma_update(None, "secure_delete", true)?;
    let tx = conn.transaction()?;
    upgrade::in_place(&tx)?;
    seal::keep(&tx)?;
    let gone = apply(&tx, &lines, now)?;
    tx.commit()?;
    if gone > 0 {
        // There is nothing to go back to here, and unused parts of pages may hold copies.
        conn.pragma_update(None, "journal_mode", "off")?;
        vacuum(&conn)?;
    }
    conn.close().map_err(|(_, error)| error)?;
    Ok(gone)
}

fn remembered(ledger: &Path) -> Result<Vec<Line>, Error> {
    if schema::look(ledger)? != Found::Ledger {
        return Ok(Vec::new());
    }
    let conn = connect(ledger, Mode::Read)?;
    if schema::check(&conn, ledger)? < SINCE {
        return Ok(Vec::new());
    }
    erasures::remembered(&conn)
}

/// Brings the ledger at `path` and the file beside it together: the ledger may have been made anew or be an older copy,
/// and the file may be missing.
pub(crate) fn reconcile(conn: &Connection, path: &Path, now: Timestamp) -> Result<(), Error> {
    let lines = erasures::lines(path)?;
    if are_news(conn, &lines)? {
        let tx = conn.unchecked_transaction()?;
        let gone = apply(&tx, &lines, now)?;
        tx.commit()?;
        if gone > 0 {
            vacuum(conn)?;
        }
        tracing::info!(
            "{} was not known to this ledger: {gone} deliveries and requests erased again",
            erasures::file(path).display()
        );
    }
    erasures::mirror(conn, path)
}

fn are_news(conn: &Connection, lines: &[Line]) -> Result<bool, Error> {
    for line in lines {
        if !line.is_known(conn)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn apply(conn: &Connection, lines: &[Line], now: Timestamp) -> Result<usize, Error> {
    lines.iter().try_for_each(|line| line.store(conn))?;
    let deliveries = erased_before(conn, lines, now)? + readers(conn, now)? + unread(conn, now)?;
    if deliveries > 0 {
        // What was told of them is told again if it still holds.
        conn.execute("delete from meta where key = ?1", [ALERTS])?;
        conn.execute(
            "delete from delivery_keys where seq in (select seq from deliveries where erased_at is not null)",
            [],
        )?;
        let zone: Zone = meta(conn, "zone")?
            .and_then(|name| name.parse().ok())
            .unwrap_or(Zone::UTC);
        Projector::new(zone).clear(conn, u32::MAX)?;
        fold::empty_first(conn)?;
    }
    Ok(deliveries + requests(conn)? + saved_filters(conn)?)
}

fn erased_before(conn: &Connection, lines: &[Line], now: Timestamp) -> Result<usize, Error> {
    let mut gone = 0;
    for line in lines {
        let Line::Delivery { seq, link, residue } = line else {
            continue;
        };
        let same = conn
            .prepare_cached(
                "select 1 from deliveries where seq = ?1 and lower(hex(link)) = ?2 and erased_at is null",
            )?
            .exists(params![seq, link])?;
        if !same {
            continue;
        }
        take_out(conn, *seq, now)?;
        for left in residue {
            // A file may be damaged: that nothing comes back goes before past figures.
            if let Err(error) = left.store(conn, *seq) {
                tracing::warn!("what was left of delivery {seq} cannot be taken over: {error}");
            }
        }
        gone += 1;
    }
    Ok(gone)
}

fn take_out(conn: &Connection, seq: i64, now: Timestamp) -> Result<(), Error> {
    guard(conn, Reason::Erasure, || {
        conn.prepare_cached(
            "update deliveries set body = null, salt = null, headers = '[]', dedupe_key = null, erased_at = ?2,
               reason = iif(outcome = 'quarantined', null, reason) where seq = ?1",
        )?
        .execute(params![seq, now.to_string()])?;
        retention::forget(conn, seq)?;
        Ok(())
    })
}

/// Readers whom the ledger had erased, in deliveries that it never had.
fn readers(conn: &Connection, now: Timestamp) -> Result<usize, Error> {
    let Some(sealer) = Sealer::load(conn)? else {
        return Ok(0);
    };
    let mut statement = conn.prepare(
        "select provider, account, user_id, user_id from users
         union all select provider, account, user_id, email from users where email is not null
         union all select provider, account, user_id, phone from users where phone is not null
         union all select provider, account, user_id, client_user_id from users where client_user_id is not null
         union all select provider, account, user_id, alias from user_aliases",
    )?;
    let mut rows = statement.query([])?;
    let mut found: BTreeMap<[String; 3], String> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let who: [String; 3] = [row.get(0)?, row.get(1)?, row.get(2)?];
        let text: String = row.get(3)?;
        if let Some(until) = erased_until(conn, &sealer, &who, &text)? {
            let known = found.entry(who).or_default();
            *known = until.max(std::mem::take(known));
        }
    }
    let mut gone = 0;
    for ([provider, account, user_id], until) in found {
        let seqs: Vec<i64> = conn
            .prepare_cached(
                "select distinct e.seq from events e join deliveries d on d.seq = e.seq
                 where e.provider = ?1 and e.account = ?2 and e.user_id = ?3 and d.received_at <= ?4
                   and d.erased_at is null",
            )?
            .query_map([&provider, &account, &user_id, &until], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for seq in seqs {
            take_out(conn, seq, now)?;
            gone += 1;
        }
    }
    Ok(gone)
}

fn erased_until(
    conn: &Connection,
    sealer: &Sealer,
    [provider, account, _]: &[String; 3],
    text: &str,
) -> Result<Option<String>, Error> {
    let places: [Place<'_>; 3] = [Some((provider, account)), Some((provider, "")), None];
    let mut latest = None;
    for place in places {
        latest = latest.max(erasures::erased_until(conn, &sealer.reader(place, text))?);
    }
    Ok(latest)
}

/// Deliveries of which nothing was read that the ledger had erased, and repeats of what was erased.
fn unread(conn: &Connection, now: Timestamp) -> Result<usize, Error> {
    let Some(sealer) = Sealer::load(conn)? else {
        return Ok(0);
    };
    let mut statement = conn.prepare(
        "select d.seq, d.body from deliveries d
         where d.erased_at is null and d.received_at <= (select max(until) from erased_readers)
           and not exists (select 1 from events e where e.id >= d.seq * 10000 and e.id < (d.seq + 1) * 10000
             and e.user_id is not null)",
    )?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let Some(body) = body_bytes(row.get_ref(1)?) else {
            continue;
        };
        if erasures::is_known(conn, &sealer.body(&body_hash(body)))? {
            found.push(row.get(0)?);
        }
    }
    let mut repeats = conn.prepare(
        "select d.seq from deliveries d join deliveries f on f.seq = d.duplicate_of
         where d.outcome = 'duplicate' and d.erased_at is null and f.erased_at is not null",
    )?;
    let repeats = repeats.query_map([], |row| row.get::<_, i64>(0))?;
    found.extend(repeats.collect::<rusqlite::Result<Vec<_>>>()?);
    let found: BTreeSet<i64> = found.into_iter().collect();
    for seq in &found {
        take_out(conn, *seq, now)?;
    }
    Ok(found.len())
}

fn requests(conn: &Connection) -> Result<usize, Error> {
    let Some(sealer) = Sealer::load(conn)? else {
        return Ok(0);
    };
    let mut statement = conn.prepare("select id, sha256 from rejected where sha256 is not null")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let rows: Vec<(i64, String)> = rows.collect::<rusqlite::Result<_>>()?;
    let mut gone = 0;
    for (id, sha256) in rows {
        if erasures::is_known(conn, &sealer.body(&sha256))? {
            gone += conn.execute("delete from rejected where id = ?1", [id])?;
        }
    }
    Ok(gone)
}

fn saved_filters(conn: &Connection) -> Result<usize, Error> {
    let Some(sealer) = Sealer::load(conn)? else {
        return Ok(0);
    };
    let mut statement = conn.prepare("select name, query from views")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let rows: Vec<(String, String)> = rows.collect::<rusqlite::Result<_>>()?;
    let mut gone = 0;
    for (name, query) in rows {
        if erasures::is_known(conn, &sealer.view(&query))? {
            gone += conn.execute("delete from views where name = ?1", [&name])?;
            forget_view(conn, &name)?;
        }
    }
    Ok(gone)
}
