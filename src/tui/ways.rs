//! From a row to what belongs to it: its webhook, its events, its reader, another row.
//!
//! Plain data: places to visit, never the visit itself.

use crate::domain::page::{List, Row, RowKey};
use crate::domain::query::value_text;
use crate::store::query::Kinds;
use crate::tui::cell;
use crate::tui::facts::Door;
use crate::tui::place::{Pane, Place, Screen};

/// The delivery that a row came with.
pub fn seq_of(list: List, row: &Row) -> Option<i64> {
    cell::field(list, row, "seq")?
        .as_int()
        .filter(|seq| *seq > 0)
}

/// The filter for one reader at one account.
fn who(list: List, row: &Row) -> Option<String> {
    let user = cell::text_field(list, row, "user_id")?;
    Some(format!(
        "user:{}{}",
        value_text(user),
        at_account(list, row)
    ))
}

fn at_account(list: List, row: &Row) -> String {
    let mut query = String::new();
    for key in ["provider", "account"] {
        if let Some(value) = cell::text_field(list, row, key) {
            query.extend([" ", key, ":", &value_text(value)]);
        }
    }
    query
}

/// The events of the reader of a row.
pub fn events_of(list: List, row: &Row) -> Option<Door> {
    Some(Door {
        list: List::Events,
        query: who(list, row)?,
    })
}

/// The events of a reader, of these kinds, from the one of this key on.
pub fn events_from(reader: &Row, kinds: Kinds, key: &RowKey) -> Option<Place> {
    let mut query = who(List::Users, reader)?;
    if !kinds.families().is_empty() {
        query.extend([" type:", &kinds.families().join(",")]);
    }
    let mut place = Place::with_query(Screen::EVENTS, query);
    place.top = Some(key.clone());
    place.selected = Some(key.clone());
    Some(place)
}

/// The page of the reader of a row, on the whole screen.
pub fn reader_of(list: List, row: &Row) -> Option<Place> {
    if list == List::Users {
        return None;
    }
    let mut place = Place::with_query(Screen::USERS, who(list, row)?);
    place.reader = cell::text_field(list, row, "user_id").map(str::to_owned);
    place.pane = Some(Pane {
        whole: Some(true),
        ..Pane::default()
    });
    Some(place)
}

/// The subscription that a row of another list names.
pub fn subscription_of(list: List, row: &Row) -> Option<Place> {
    if list == List::Subscriptions {
        return None;
    }
    let id = cell::text_field(list, row, "subscription_id")?;
    let query = format!("id:{}{}", value_text(id), at_account(list, row));
    let mut place = Place::with_query(Screen::SUBSCRIPTIONS, query);
    place.pane = Some(Pane::default());
    Some(place)
}

/// A delivery, opened.
pub fn delivery(seq: i64) -> Place {
    let mut place = Place::new(Screen::DELIVERIES);
    place.seek = Some(seq);
    place.pane = Some(Pane::default());
    place
}

/// A row of a list among its neighbours, opened.
pub fn row(list: List, key: &RowKey) -> Place {
    let mut place = Place::new(Screen::List(list));
    place.top = Some(key.clone());
    place.selected = Some(key.clone());
    place.pane = Some(Pane {
        whole: (list == List::Users).then_some(true),
        ..Pane::default()
    });
    place
}
