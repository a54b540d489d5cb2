//! Opening a ledger for reading, and saying in plain words why it cannot be done.

use std::path::Path;

use rusqlite::Connection;

use crate::domain::time::Zone;
use crate::store::schema::{self, Found};
use crate::store::{Error, Mode, connect};

/// A connection, the schema of the ledger, and the zone of its days. An older schema is read as it stands: whoever writes
/// to the ledger upgrades it.
pub(super) fn open(path: &Path) -> Result<(Connection, i64, Zone), Error> {
    if schema::look(path)? != Found::Ledger {
        return Err(Error::Absent(path.to_owned()));
    }
    let judged = |error| schema::judge(path, error);
    let conn = connect(path, Mode::Read).map_err(judged)?;
    let schema = schema::check(&conn, path)?;
    let zone = schema::meta(&conn, "zone").map_err(judged)?;
    match zone.and_then(|name| name.parse().ok()) {
        Some(zone) => Ok((conn, schema, zone)),
        None => Err(Error::Damaged {
            path: path.to_owned(),
            what: "its time zone is unknown".to_owned(),
        }),
    }
}
