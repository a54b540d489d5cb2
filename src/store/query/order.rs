//! Lists turned round: oldest first.
//!
//! The same index, read from its other end, so that it costs the same at any length. An order by another column would
//! need an index that ends in that column, and there is none: it would sort the whole list for each page.

use crate::domain::page::{Cursor, List, Order, Page};
use crate::domain::query::Query;
use crate::store::Error;
use crate::store::query::Reader;

impl Reader {
    /// The same as `page`, in this order: what the cursor calls before and after is meant in it.
    pub fn page_in(
        &self,
        list: List,
        query: &Query,
        order: Order,
        cursor: &Cursor,
        limit: usize,
    ) -> Result<Page, Error> {
        turned(order, cursor, |cursor| {
            self.page(list, query, cursor, limit)
        })
    }

    /// The same as `light_page`, in this order.
    pub fn light_page_in(
        &self,
        list: List,
        query: &Query,
        order: Order,
        cursor: &Cursor,
        limit: usize,
    ) -> Result<Page, Error> {
        turned(order, cursor, |cursor| {
            self.light_page(list, query, cursor, limit)
        })
    }
}

fn turned(
    order: Order,
    cursor: &Cursor,
    page: impl Fn(&Cursor) -> Result<Page, Error>,
) -> Result<Page, Error> {
    if order == Order::Newest {
        return page(cursor);
    }
    Ok(page(&cursor.mirrored())?.turned())
}
