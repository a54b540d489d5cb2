//! What was erased goes out of an older copy before that becomes the ledger.
//!
//! By place and link for the deliveries that the ledger had erased; by hash for readers in deliveries that it never had,
//! for requests that were turned away, and for saved filters. The lists of a copy that something went out of are emptied
//! and folded again by its first start.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, params};

use crate::domain::time::{Timestamp, Zone};
use crate::store::project::Projector;
use crate::store::schema::meta;
use crate::store::upkeep::erasures::{self, Line, Place, Sealer};
use crate::store::upkeep::{Reason, guard, retention};
use crate::store::{Error, Mode, connect, fold, seal, upgrade};

/// Erases from the file at `copy`, which nobody sees yet, what was erased from the ledger at `ledger`.
pub(crate) fn reapply(copy: &Path, ledger: &Path, now: Timestamp) -> Result<(), Error> {
    let lines = erasures::lines(ledger)?;
    if lines.is_empty() {
        return Ok(());
    }
    let mut conn = connect(copy, Mode::Fill)?;
    conn.pragma_update(None, "secure_delete", true)?;
    let tx = conn.transaction()?;
    upgrade::in_place(&tx)?;
    seal::keep(&tx)?;
    take_over(&tx, &lines)?;
    let gone = erased_before(&tx, &lines, now)?
        + readers(&tx, now)?
        + requests(&tx)?
        + saved_filters(&tx)?;
    if gone > 0 {
        tx.execute(
            "delete from delivery_keys where seq in (select seq from deliveries where erased_at is not null)",
            [],
        )?;
        let zone: Zone = meta(&tx, "zone")?
            .and_then(|name| name.parse().ok())
            .unwrap_or(Zone::UTC);
        Projector::new(zone).clear(&tx, u32::MAX)?;
        fold::empty_first(&tx)?;
    }
    tx.commit()?;
    conn.close().map_err(|(_, error)| error.into())
}

/// Writes the hashes down, as far as they were made with the key of this copy.
fn take_over(conn: &Connection, lines: &[Line]) -> Result<(), Error> {
    let mut ours = meta(conn, "erasure_key")?;
    let mut fits = false;
    for line in lines {
        if let Line::Key(key) = line {
            fits = ours.get_or_insert_with(|| key.clone()) == key;
        }
        if fits {
            line.store(conn)?;
        }
    }
    Ok(())
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
        residue.iter().try_for_each(|left| left.store(conn, *seq))?;
        gone += 1;
    }
    Ok(gone)
}

fn take_out(conn: &Connection, seq: i64, now: Timestamp) -> Result<(), Error> {
    guard(conn, Reason::Erasure, || {
        conn.prepare_cached(
            "update deliveries set body = null, salt = null, headers = '[]', dedupe_key = null, erased_at = ?2
             where seq = ?1",
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
        let until: Option<String> = conn
            .prepare_cached("select max(until) from erased_readers where hash = ?1")?
            .query_row([sealer.reader(place, text)], |row| row.get(0))?;
        latest = latest.max(until);
    }
    Ok(latest)
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
            gone += conn.execute("delete from views where name = ?1", [name])?;
        }
    }
    Ok(gone)
}
