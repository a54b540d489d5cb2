//! The filters that the publisher saved under a name, and the digits that some are pinned to.

use rusqlite::OptionalExtension;

use crate::domain::page::{List, Order};
use crate::store::Error;
use crate::store::query::Reader;

/// A saved filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Its name.
    pub name: String,
    /// Of which list.
    pub list: List,
    /// The filter's text, as it was typed: times that count back from now go on doing so.
    pub query: String,
    /// Which end of the list comes first.
    pub order: Order,
    /// The digit that opens it, 1 to 9.
    pub pin: Option<u8>,
}

/// What stands before the digit in `meta`.
pub(crate) const PIN: &str = "pin.";

/// What stands before the name in `meta`, where the list of a saved filter comes in another order than usual.
pub(crate) const ORDER: &str = "order.";

const COLUMNS: &str = "select v.name, v.list, v.query, \
    (select min(substr(m.key, 5)) from meta m where m.key between 'pin.1' and 'pin.9' \
    and m.value = v.name) as pin, \
    (select m.value from meta m where m.key = 'order.' || v.name) as \"order\" from views v";

fn view(row: &rusqlite::Row<'_>) -> rusqlite::Result<View> {
    let pin: Option<String> = row.get(3)?;
    let order: Option<String> = row.get(4)?;
    Ok(View {
        name: row.get(0)?,
        // One of a list that this version does not know is shown over events, where it may not parse.
        list: List::from_word(row.get_ref(1)?.as_str()?).unwrap_or(List::Events),
        query: row.get(2)?,
        order: order
            .and_then(|word| Order::from_word(&word))
            .unwrap_or_default(),
        pin: pin.and_then(|digit| digit.parse().ok()),
    })
}

impl Reader {
    /// Every saved filter: pinned ones first, by their digits, the others by name.
    pub fn views(&self) -> Result<Vec<View>, Error> {
        let mut out = Vec::new();
        let sql = format!("{COLUMNS} order by pin is null, pin, v.name");
        self.each(&sql, &[], |row| {
            out.push(view(row)?);
            Ok(())
        })?;
        Ok(out)
    }

    /// The saved filter of this name.
    pub fn view(&self, name: &str) -> Result<Option<View>, Error> {
        self.with(|conn| {
            let sql = format!("{COLUMNS} where v.name = ?1");
            let mut statement = conn.prepare_cached(&sql)?;
            Ok(statement.query_row([name], view).optional()?)
        })
    }
}
