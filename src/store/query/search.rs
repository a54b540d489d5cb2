//! Finding one row: by its id, the next that fits a search, and the term of a filter that hides all of them.

use crate::domain::page::{Cursor, List, Row, RowKey};
use crate::domain::query::Query;
use crate::store::Error;
use crate::store::query::lists::Source;
use crate::store::query::{Reader, Sql};

/// A row that a search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The row.
    pub row: Row,
    /// The search went over an end of the list.
    pub wrapped: bool,
}

impl Reader {
    /// The place of the row of this id in `list`; of rejected requests the id is negative, as in lists. `None` if there
    /// is none.
    pub fn key_of(&self, list: List, id: i64) -> Result<Option<RowKey>, Error> {
        let (source, own) = match list {
            List::Deliveries if id < 0 => (Source::Rejected, id.saturating_neg()),
            list => (Source::of(list)[0], id),
        };
        let sql = format!(
            "select {} from {} r where {} = ?1",
            source.sort(),
            source.table(),
            source.id()
        );
        let mut sort = None;
        self.each(&sql, &[Sql::from(own)], |row| {
            sort = Some(row.get::<_, Option<String>>(0)?.unwrap_or_default());
            Ok(())
        })?;
        Ok(sort.map(|sort| RowKey { sort, id }))
    }

    /// The next row of `list` that meets `query`, older than `from` or, if so wanted, `newer`; round the end of the list
    /// to `from` itself. `None` if no row meets it.
    pub fn next_match(
        &self,
        list: List,
        query: &Query,
        from: &RowKey,
        newer: bool,
    ) -> Result<Option<Found>, Error> {
        let (ahead, around) = if newer {
            (Cursor::Before(from.clone()), Cursor::Last)
        } else {
            (Cursor::After(from.clone()), Cursor::First)
        };
        for (cursor, wrapped) in [(ahead, false), (around, true)] {
            let page = self.light_page(list, query, &cursor, 1)?;
            if let Some(row) = page.rows.into_iter().next() {
                return Ok(Some(Found { row, wrapped }));
            }
        }
        Ok(None)
    }

    /// Which of the parts of `query`, of which no row of `list` meets all, hides the rows that meet the others: the
    /// first such part. `None` if it takes more than one.
    pub fn hiding_part(&self, list: List, query: &Query) -> Result<Option<usize>, Error> {
        let parts = query.parts();
        if parts.len() < 2 {
            return Ok((parts.len() == 1).then_some(0));
        }
        for hidden in 0..parts.len() {
            let others = query.without_part(hidden);
            let page = self.light_page(list, &others, &Cursor::First, 1)?;
            if !page.rows.is_empty() {
                return Ok(Some(hidden));
            }
        }
        Ok(None)
    }
}
