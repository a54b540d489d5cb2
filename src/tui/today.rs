//! The daily review in the shape in which screen and command line show it: words and doors for the figures of the
//! store.
//!
//! Imports domain and store. Never counts anything itself: a figure and the list behind it are the store's.

pub mod about;

pub mod lines;

pub mod rows;

pub mod terms;

use std::path::Path;

use crate::domain::time::{DAY_MS, Timestamp, Zone, span};
use crate::store::query::Reader;
use crate::store::today::{self, Outside, PERIODS, Since};
use crate::store::{Error, lock};
use crate::tui::Known;
use crate::tui::facts::{Period, Today};
use crate::tui::today::lines::{Told, lines};

/// Reads the review of `period` from the ledger at `path`.
pub fn read(
    reader: &Reader,
    path: &Path,
    period: &Period,
    now: Timestamp,
    known: &Known,
) -> Result<Today, Error> {
    let zone = reader.zone()?;
    let since =
        Since::parse(&period.0, now, zone).map_err(|error| Error::Refused(error.message))?;
    let status = reader.status(now)?;
    let only_tests = !status.connected && !status.demo;
    let known = known();
    let outside = Outside {
        receiving: (!status.demo).then(|| lock::holder(path).is_some()),
        backup: if status.demo {
            None
        } else {
            Some(reader.backup_standing()?)
        },
        ..known
    };
    let review = reader.today_with(&since, now, &outside)?;
    Ok(Today {
        heading: heading(&review, &period.0, zone),
        seq: review.seq,
        lines: lines(&Told {
            review: &review,
            zone,
            names: &outside.names,
            tests: if only_tests { status.tests } else { 0 },
            empty: "Nothing has arrived yet: 9 shows the links to paste",
        }),
    })
}

/// `Since your review Tue 09:02 (24 h 12 m)`, `Yesterday, Tue 3 Nov`, `1 Oct to 31 Oct 2026 (31 days)`; `word` is how
/// the period was asked for.
pub fn heading(review: &today::Today, word: &str, zone: Zone) -> String {
    let parsed = review.period.from.as_deref().and_then(Timestamp::parse);
    let Some(from) = parsed else {
        return "Since the beginning".to_owned();
    };
    let to = Timestamp::parse(&review.period.to).unwrap_or(from);
    let length = to.ms() - from.ms();
    let shown =
        |at: Timestamp, form: &str| at.utc().with_timezone(&zone.0).format(form).to_string();
    let form = if length < 6 * DAY_MS {
        "%a %H:%M"
    } else {
        "%-d %b %Y"
    };
    let now = Timestamp::parse(&review.now).unwrap_or(to);
    match (review.period.kind, word.to_ascii_lowercase().as_str()) {
        ("last-review", _) => {
            format!("Since your review {} ({})", shown(from, form), span(length))
        }
        ("beginning", _) => format!("Since the beginning ({})", shown(from, form)),
        (_, "today") => format!("Today, {}", shown(from, "%a %-d %b")),
        (_, "yesterday") => format!("Yesterday, {}", shown(from, "%a %-d %b")),
        (_, "month") => format!("This month, {}", shown(from, "%B %Y")),
        (_, "last-month") => format!("Last month, {}", shown(from, "%B %Y")),
        _ if to >= now => format!("Since {} ({})", shown(from, form), span(length)),
        _ => {
            let last = to.plus_ms(-1);
            format!(
                "{} to {} ({})",
                shown(from, "%-d %b %H:%M"),
                shown(last, "%-d %b %H:%M"),
                span(length)
            )
        }
    }
}

/// Which of the periods `period` is.
pub fn place_of(period: &Period) -> usize {
    let same = PERIODS.iter().position(|(word, _)| *word == period.0);
    same.unwrap_or(0)
}
