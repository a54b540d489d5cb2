//! Opening a ledger for reading, and saying in plain words why it cannot be done.

use std::path::Path;

use rusqlite::Connection;

use crate::domain::time::Zone;
use crate::store::schema::{self, Found};
use crate::store::{Error, Mode, connect};

pub(super) fn open(path: &Path) -> Result<(Connection, Zone), Error> {
    if schema::look(path)? != Found::Ledger {
        return Err(Error::Absent(path.to_owned()));
    }
    let judged = |error| schema::judge(path, error);
    let conn = connect(path, Mode::Read).map_err(judged)?;
    schema::check(&conn, path)?;
    let zone = schema::meta(&conn, "zone").map_err(judged)?;
    match zone.and_then(|name| name.parse().ok()) {
        Some(zone) => Ok((conn, zone)),
        None => Err(Error::Damaged {
            path: path.to_owned(),
            what: "its time zone is unknown".to_owned(),
        }),
    }
}
