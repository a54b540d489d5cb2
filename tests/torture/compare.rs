//! What was acknowledged against what is stored.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use crate::load::Said;
use crate::suite::{Held, Stop, must};
use crate::support::Home;

/// Every 200 is there exactly as sent, once, and nothing is there that was not sent. Returns what was lost, a line each.
pub(crate) fn lost(path: &Path, said: &Said) -> Vec<String> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut lost = Vec::new();
    let mut seqs = HashMap::new();
    let mut at = conn
        .prepare("select cast(body as blob) from deliveries where seq = ?1")
        .unwrap();
    for one in &said.acknowledged {
        if seqs.insert(one.seq, &one.body) == Some(&one.body) {
            lost.push(format!("{} was given twice", one.seq));
        }
        let stored: Option<Vec<u8>> = at
            .query_row([one.seq], |row| row.get(0))
            .optional()
            .unwrap();
        match stored {
            Some(body) if body == one.body => {}
            Some(_) => lost.push(format!("{} holds another body", one.seq)),
            None => lost.push(format!("{} was acknowledged and is gone", one.seq)),
        }
    }
    let mut stored: HashMap<Vec<u8>, u32> = HashMap::new();
    let mut all = conn
        .prepare("select cast(body as blob) from deliveries")
        .unwrap();
    let mut rows = all.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        *stored.entry(row.get(0).unwrap()).or_default() += 1;
    }
    for (body, times) in stored {
        if times > said.sent.get(&body).copied().unwrap_or(0) {
            lost.push(format!(
                "a body of {} bytes is stored more often than sent",
                body.len()
            ));
        }
    }
    lost
}

/// As `lost`, and the row is missed where anything is.
pub(crate) fn nothing_lost(path: &Path, said: &Said) -> Result<(), Stop> {
    let lost = lost(path, said);
    must(lost.is_empty(), || {
        format!("{} lost: {}", lost.len(), lost[0])
    })
}

/// Chain, sequence, structure and projections, as `verify` sees them.
pub(crate) fn verified(home: &Home) -> Held {
    let output = home.command(&["verify"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    must(output.status.success(), || format!("verify: {said}"))?;
    Ok(said)
}
