//! What every fold shares: whose events they are, in which order they are folded, and how columns become values.
//!
//! Imports domain. Never writes.

use std::borrow::Cow;

use rusqlite::Row;
use rusqlite::types::{ToSqlOutput, Type, Value, ValueRef};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::domain::event::EventType;
use crate::domain::time::Timestamp;

/// Events of one delivery have ids from `seq * EVENTS_MAX`; changes of one event from `id * EVENTS_MAX`.
pub(super) const EVENTS_MAX: i64 = 10_000;

/// Whose events: one account at one provider.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Scope {
    /// `conscent`, `zotlo`, ...
    pub(super) provider: String,
    /// `main` unless named.
    pub(super) account: String,
}

/// Where an event stands in a fold (MAPPING.md rule 11.1): by time, then rank of its type, then what its delivery is
/// told apart by, and only then by arrival.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// When it happened, else when it arrived.
    pub(super) at: Timestamp,
    /// Of its type.
    pub(super) rank: u8,
    /// The delivery's `dedupe_key`; empty if it has none.
    pub(super) key: String,
    /// Place in its delivery.
    pub(super) n: i64,
    /// The delivery.
    pub(super) seq: i64,
}

impl Place {
    /// The event's id.
    pub(super) const fn id(&self) -> i64 {
        self.seq * EVENTS_MAX + self.n
    }
}

/// The events that count: those that are no tests, or all where there are only tests. The flag says which.
pub(super) fn counted<T>(events: Vec<T>, is_test: impl Fn(&T) -> bool) -> (Vec<T>, bool) {
    let only_tests = events.iter().all(&is_test);
    let kept = events
        .into_iter()
        .filter(|event| only_tests || !is_test(event))
        .collect();
    (kept, only_tests)
}

/// Text as a column takes it: a NUL would end it in most tools.
pub(super) fn text(value: &str) -> Cow<'_, str> {
    if value.contains('\0') {
        Cow::Owned(value.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(value)
    }
}

/// What a column takes.
pub(super) type Cell<'a> = ToSqlOutput<'a>;

/// Text in a column.
pub(super) fn word<'a>(value: impl Into<Cow<'a, str>>) -> Cell<'a> {
    match value.into() {
        Cow::Borrowed(value) => Cell::Borrowed(ValueRef::Text(value.as_bytes())),
        Cow::Owned(value) => Cell::Owned(Value::Text(value)),
    }
}

/// Text in a column, or nothing.
pub(super) fn word_maybe<'a, T: Into<Cow<'a, str>>>(value: Option<T>) -> Cell<'a> {
    value.map_or(Cell::Owned(Value::Null), word)
}

/// A whole number in a column; a flag is 0 or 1.
pub(super) fn number<'a>(value: impl Into<i64>) -> Cell<'a> {
    Cell::Owned(Value::Integer(value.into()))
}

/// A whole number in a column, or nothing.
pub(super) fn number_maybe<'a>(value: Option<impl Into<i64>>) -> Cell<'a> {
    value.map_or(Cell::Owned(Value::Null), number)
}

/// A number for reading in a column, or nothing.
pub(super) fn real<'a>(value: Option<f64>) -> Cell<'a> {
    Cell::Owned(value.map_or(Value::Null, Value::Real))
}

/// Whether a stored row has these columns.
pub(super) fn is_row(row: &Row<'_>, cells: &[Cell<'_>]) -> rusqlite::Result<bool> {
    for (place, cell) in cells.iter().enumerate() {
        if !is_cell(row.get_ref(place)?, cell) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a stored value is this one.
pub(super) fn is_cell(stored: ValueRef<'_>, cell: &Cell<'_>) -> bool {
    match cell {
        Cell::Borrowed(value) => stored == *value,
        Cell::Owned(value) => stored == ValueRef::from(value),
        _ => false,
    }
}

/// The keys of `events.data` that are ours; the rest are the provider's.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Data<'a> {
    /// Of `subscription.*`.
    #[serde(borrow)]
    pub(super) subscription: Option<&'a RawValue>,
    /// Of `payment.*`.
    #[serde(borrow)]
    pub(super) payment: Option<&'a RawValue>,
    /// Of the consent families.
    #[serde(borrow)]
    pub(super) consent: Option<&'a RawValue>,
    /// More of the subject than the columns hold.
    #[serde(borrow)]
    pub(super) subject: Option<&'a RawValue>,
}

/// Reads the JSON of column `index`.
pub(super) fn json<'a, T: Deserialize<'a>>(index: usize, text: &'a str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| broken(index, error))
}

/// Reads one of our own keys of `events.data`; its default where the event has none.
pub(super) fn facts<T: Default + DeserializeOwned>(
    index: usize,
    raw: Option<&RawValue>,
) -> rusqlite::Result<T> {
    raw.map_or(Ok(T::default()), |raw| {
        serde_json::from_str(raw.get()).map_err(|error| broken(index, error))
    })
}

/// The instant in column `index`.
pub(super) fn instant(row: &Row<'_>, index: usize) -> rusqlite::Result<Timestamp> {
    let text = row.get_ref(index)?.as_str()?;
    Timestamp::parse(text).ok_or_else(|| broken(index, "not a time"))
}

/// The instant in column `index`, if there is one.
pub(super) fn instant_maybe(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Timestamp>> {
    match row.get_ref(index)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => instant(row, index).map(Some),
    }
}

/// The type in column `index`; `Unknown` where a later version wrote a type that this one does not know.
pub(super) fn kind(row: &Row<'_>, index: usize) -> rusqlite::Result<EventType> {
    let word = row.get_ref(index)?.as_str()?;
    Ok(EventType::from_word(word).unwrap_or(EventType::Unknown))
}

fn broken(
    index: usize,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, error.into())
}
