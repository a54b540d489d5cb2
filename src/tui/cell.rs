//! One value as the screen shows it: in the ledger's zone, with its currency, in the publisher's words.
//!
//! Everything that comes out of here has passed `Printable`.

use chrono::Datelike;

use crate::domain::count::{in_words, word as word_for};
use crate::domain::mask::Mask;
use crate::domain::money::grouped;
use crate::domain::page::{Cell, Column, Count, List, Order, Row, Shape};
use crate::domain::printable::Printable;
use crate::domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, Timestamp, Zone};
use crate::store::query::{Progress, columns};
use crate::tui::theme::Meaning;

/// The present moment and the zone it is shown in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    /// Now.
    pub now: Timestamp,
    /// The ledger's zone.
    pub zone: Zone,
}

/// What values are seen through: the moment, the zone, and the mask over personal data if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Moment and zone.
    pub when: When,
    /// Personal data is shown as tags of this mask.
    pub mask: Option<Mask>,
}

impl From<When> for Sight {
    fn from(when: When) -> Self {
        Self { when, mask: None }
    }
}

impl When {
    /// `09:12:33` today, `14 Nov 09:12` this year, `2025-11-14` before.
    pub fn short(self, at: Timestamp) -> String {
        let local = at.utc().with_timezone(&self.zone.0);
        let now = self.now.utc().with_timezone(&self.zone.0);
        if local.date_naive() == now.date_naive() {
            local.format("%H:%M:%S").to_string()
        } else if local.year() == now.year() {
            local.format("%-d %b %H:%M").to_string()
        } else {
            local.format("%Y-%m-%d").to_string()
        }
    }

    /// `2026-11-14 09:12:33.120 +03:00`.
    pub fn long(self, at: Timestamp) -> String {
        at.utc()
            .with_timezone(&self.zone.0)
            .format("%Y-%m-%d %H:%M:%S%.3f %:z")
            .to_string()
    }

    /// `1 min ago`, `3 h ago`, `in 12 days`; `just now` within a minute.
    pub fn ago(self, at: Timestamp) -> String {
        let ms = self.now.ms().saturating_sub(at.ms());
        if ms.saturating_abs() < MINUTE_MS {
            return "just now".to_owned();
        }
        let span = match ms.saturating_abs() {
            span if span < HOUR_MS => format!("{} min", span / MINUTE_MS),
            span if span < DAY_MS => format!("{} h", span / HOUR_MS),
            span if span < 2 * DAY_MS => "1 day".to_owned(),
            span => format!("{} days", span / DAY_MS),
        };
        if ms < 0 {
            format!("in {span}")
        } else {
            format!("{span} ago")
        }
    }
}

/// `1,204`.
pub fn number(value: u64) -> String {
    grouped(i64::try_from(value).unwrap_or(i64::MAX), 0)
}

/// `1,204 payments`, `1 payment`.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(count), word_for(count, one, many))
}

/// `1,204` counted, `>10,000` counting stopped, `~5.1 M` from the daily sums.
pub fn count(count: Count) -> String {
    match count {
        Count::Exact(rows) => number(rows),
        Count::MoreThan(rows) => format!(">{}", number(rows)),
        Count::About(rows) if rows >= 1_000_000 => {
            let tenths = rows / 100_000;
            format!("~{}.{} M", number(tenths / 10), tenths % 10)
        }
        Count::About(rows) => format!("~{}", number(rows)),
    }
}

/// A value as stored, for copying; bytes as their number.
pub fn plain(cell: &Cell) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Int(value) => value.to_string(),
        Cell::Real(value) => value.to_string(),
        Cell::Text(text) => text.clone(),
        Cell::Blob(bytes) => in_words(bytes.len(), "byte", "bytes"),
    }
}

/// A row as a mask shows it.
pub fn masked(list: List, row: &Row, mask: Mask) -> Row {
    let cells = columns(list).iter().zip(&row.cells);
    Row {
        key: row.key.clone(),
        cells: cells
            .map(|(column, cell)| mask.cell(column.name, cell))
            .collect(),
    }
}

/// How far rows that take long have come: `1,240,000 rows, at 3 Mar 08:00, 23 %`.
pub fn progress(progress: Progress, when: When) -> String {
    let mut text = format!("{} rows", number(progress.rows));
    if let Some(at) = progress.at {
        text.extend([", at ", &when.short(at)]);
    }
    if let Some(percent) = progress.percent {
        text.extend([", ", &percent.to_string(), " %"]);
    }
    text
}

/// What is said of the order of a list; nothing of the usual one.
pub fn order(order: Order) -> &'static str {
    match order {
        Order::Newest => "",
        Order::Oldest => ", oldest first",
    }
}

/// The cell of this name in a row of `list`.
pub fn field<'a>(list: List, row: &'a Row, name: &str) -> Option<&'a Cell> {
    let place = columns(list)
        .iter()
        .position(|column| column.name == name)?;
    row.cells.get(place)
}

/// The text in the cell of this name; `None` where there is none or it is empty.
pub fn text_field<'a>(list: List, row: &'a Row, name: &str) -> Option<&'a str> {
    field(list, row, name)?
        .as_text()
        .filter(|text| !text.is_empty())
}

/// The row was made to try things.
pub fn is_test(list: List, row: &Row) -> bool {
    field(list, row, "test").and_then(Cell::as_int) == Some(1)
}

/// A value for a table: short, one line.
pub fn short(list: List, row: &Row, column: &Column, cell: &Cell, sight: Sight) -> Printable {
    if column.name == "outcome" && text_field(list, row, "erased_at").is_some() {
        return Printable::line("erased");
    }
    show(list, row, column, cell, sight.mask, |at| {
        sight.when.short(at)
    })
}

/// A value for the opened row: whole.
pub fn long(list: List, row: &Row, column: &Column, cell: &Cell, sight: Sight) -> Printable {
    let when = sight.when;
    show(list, row, column, cell, sight.mask, |at| {
        format!("{}  ({})", when.long(at), when.ago(at))
    })
}

fn show(
    list: List,
    row: &Row,
    column: &Column,
    cell: &Cell,
    mask: Option<Mask>,
    time: impl Fn(Timestamp) -> String,
) -> Printable {
    let masked = mask.map(|mask| mask.cell(column.name, cell));
    match (column.shape, masked.as_ref().unwrap_or(cell)) {
        (_, Cell::Null) => Printable::default(),
        (Shape::Time, Cell::Text(text)) => match Timestamp::parse(text) {
            Some(at) => Printable::line(&time(at)),
            None => Printable::line(text),
        },
        (Shape::Word, Cell::Text(_)) if column.name == "status" && is_ending(list, row) => {
            Printable::line(ending(cell))
        }
        (Shape::Word, Cell::Text(text)) => Printable::line(word(text)),
        (Shape::Flag, Cell::Int(flag)) => Printable::line(if *flag == 0 { "no" } else { "yes" }),
        (Shape::Minor, Cell::Int(minor)) => Printable::line(&money(list, row, *minor)),
        (_, Cell::Int(value)) => Printable::line(&value.to_string()),
        (_, Cell::Real(value)) => Printable::line(&value.to_string()),
        (_, Cell::Text(text)) => Printable::line(text),
        (_, Cell::Blob(bytes)) => Printable::line(&in_words(bytes.len(), "byte", "bytes")),
    }
}

fn money(list: List, row: &Row, minor: i64) -> String {
    let exponent = field(list, row, "exponent")
        .and_then(Cell::as_int)
        .and_then(|digits| u8::try_from(digits).ok());
    let currency = text_field(list, row, "currency").unwrap_or_default();
    match exponent {
        Some(exponent) if exponent <= 8 => format!("{} {currency}", grouped(minor, exponent)),
        _ => format!("{minor} minor {currency}"),
    }
}

/// The status of a subscription that is cancelled while access is left: it is stored as what it was.
pub const ENDING: &str = "ending";

/// That status of a subscription whose stored one is `stored`: a trial stays known as one.
pub fn ending(stored: &Cell) -> &'static str {
    match stored.as_text() {
        Some("trialing") => "ending trial",
        _ => ENDING,
    }
}

/// The row is a subscription that will not renew, with access left: what `status:cancelled` means.
pub fn is_ending(list: List, row: &Row) -> bool {
    let cell = |name| field(list, row, name);
    list == List::Subscriptions && ends(cell("cancelled_at"), cell("has_access"))
}

/// The same of its columns.
pub fn ends(cancelled_at: Option<&Cell>, has_access: Option<&Cell>) -> bool {
    let is_cancelled = cancelled_at.and_then(Cell::as_text).is_some();
    is_cancelled && has_access.and_then(Cell::as_int) == Some(1)
}

/// The publisher's word for one of ours.
pub fn word(stored: &str) -> &str {
    match stored {
        "quarantined" => "kept, not understood",
        "rejected" => "turned away",
        "duplicate" => "repeat",
        "grace" => "payment failed",
        other => other,
    }
}

/// How a word of ours in a row of `list` looks; the word itself always says it too.
pub fn meaning(list: List, row: &Row, column: &Column, cell: &Cell) -> Meaning {
    if column.shape != Shape::Word {
        return Meaning::Plain;
    }
    if column.name == "status" && is_ending(list, row) {
        return Meaning::Warning;
    }
    match cell.as_text().unwrap_or_default() {
        "given" | "active" | "trialing" | "verified" => Meaning::Good,
        "grace" | "on_hold" | "quarantined" | "withdrawn" | "expired" | "ambiguous" => {
            Meaning::Warning
        }
        "rejected" | "revoked" | "mismatch" | "refused" => Meaning::Bad,
        "duplicate" => Meaning::Quiet,
        _ => Meaning::Plain,
    }
}

/// The cells of these names that are not empty, side by side.
pub fn summary(list: List, row: &Row, names: &[&str], sight: Sight) -> String {
    let of = |name: &&str| columns(list).iter().position(|column| column.name == *name);
    let shown = names.iter().filter_map(of).filter_map(|place| {
        let text = short(
            list,
            row,
            &columns(list)[place],
            row.cells.get(place)?,
            sight,
        );
        (!text.as_str().is_empty()).then(|| String::from(text))
    });
    shown.collect::<Vec<_>>().join("  ")
}

/// The row as one JSON object keyed by the names of its columns; bytes as their number.
pub fn json(list: List, row: &Row) -> String {
    let fields = columns(list).iter().zip(&row.cells).map(|(column, cell)| {
        let value = match cell {
            Cell::Null => serde_json::Value::Null,
            Cell::Int(value) => (*value).into(),
            Cell::Real(value) => (*value).into(),
            Cell::Text(text) => text.as_str().into(),
            Cell::Blob(bytes) => in_words(bytes.len(), "byte", "bytes").into(),
        };
        (column.name.to_owned(), value)
    });
    serde_json::Value::Object(fields.collect()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::page::RowKey;
    use crate::domain::query::Key;

    fn when() -> When {
        When {
            now: Timestamp::parse("2026-11-20T09:14:00Z").unwrap(),
            zone: "Europe/Istanbul".parse().unwrap(),
        }
    }

    #[test]
    fn times_are_shown_in_the_ledgers_zone() {
        for (stored, shown) in [
            ("2026-11-20T06:00:00.000Z", "09:00:00"),
            ("2026-11-19T20:59:00.000Z", "19 Nov 23:59"),
            ("2026-11-19T21:01:00.000Z", "00:01:00"),
            ("2025-12-31T20:00:00.000Z", "2025-12-31"),
        ] {
            assert_eq!(when().short(Timestamp::parse(stored).unwrap()), shown);
        }
    }

    #[test]
    fn counts_say_how_sure_they_are() {
        assert_eq!(count(Count::Exact(1204)), "1,204");
        assert_eq!(count(Count::MoreThan(10_000)), ">10,000");
        assert_eq!(count(Count::About(5_149_000)), "~5.1 M");
    }

    #[test]
    fn an_erased_delivery_is_not_called_stored() {
        let list = List::Deliveries;
        let cell = |column: &Column| match column.name {
            "outcome" => Cell::Text("stored".to_owned()),
            "erased_at" => Cell::Text("2026-11-20T06:00:00.000Z".to_owned()),
            _ => Cell::Null,
        };
        let mut row = Row {
            key: RowKey {
                sort: String::new(),
                id: 1,
            },
            cells: columns(list).iter().map(cell).collect(),
        };
        let shown = |row: &Row| summary(list, row, &["outcome"], when().into());
        assert_eq!(shown(&row), "erased");
        let erased_at = columns(list).iter().position(|c| c.name == "erased_at");
        row.cells[erased_at.unwrap()] = Cell::Null;
        assert_eq!(shown(&row), "stored");
    }

    #[test]
    fn a_subscription_that_was_cancelled_is_not_called_active_while_access_is_left() {
        let list = List::Subscriptions;
        let shown = |status: &str, cancelled: bool, access: i64| {
            let cell = |column: &Column| match column.name {
                "status" => Cell::Text(status.to_owned()),
                "cancelled_at" if cancelled => Cell::Text("2026-11-20T06:00:00.000Z".to_owned()),
                "has_access" => Cell::Int(access),
                _ => Cell::Null,
            };
            let row = Row {
                key: RowKey {
                    sort: String::new(),
                    id: 1,
                },
                cells: columns(list).iter().map(cell).collect(),
            };
            assert_eq!(text_field(list, &row, "status"), Some(status));
            summary(list, &row, &["status"], when().into())
        };
        assert_eq!(shown("active", true, 1), "ending");
        assert_eq!(shown("trialing", true, 1), "ending trial");
        assert_eq!(shown("active", true, 0), "active");
        assert_eq!(shown("active", false, 1), "active");
    }

    #[test]
    fn a_filter_by_a_word_of_the_screen_is_told_the_word_to_write() {
        for key in [Key::Status, Key::Outcome] {
            for (said, written) in key.spoken() {
                let shown = [word(written), ENDING];
                assert!(shown.contains(said), "{said} is said nowhere");
            }
        }
    }

    #[test]
    fn how_long_ago_is_said_in_words() {
        let now = when().now;
        for (ms, said) in [
            (-5, "just now"),
            (59_999, "just now"),
            (60_000, "1 min ago"),
            (3 * HOUR_MS, "3 h ago"),
            (DAY_MS, "1 day ago"),
            (12 * DAY_MS, "12 days ago"),
            (-3 * HOUR_MS, "in 3 h"),
            (-364 * DAY_MS, "in 364 days"),
        ] {
            assert_eq!(when().ago(now.plus_ms(-ms)), said);
        }
    }
}
