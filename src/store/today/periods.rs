//! Which period is reviewed: by a word that the screen offers too, or by times as filters read them.

use chrono::{Datelike, Months, NaiveDate};

use crate::domain::query::{Moment, QueryError, moment};
use crate::domain::time::{Timestamp, Zone};

/// The words for periods, and what they mean; the first is what is meant without one.
pub const PERIODS: &[(&str, &str)] = &[
    ("last-review", "since your last review"),
    ("today", "since midnight"),
    ("yesterday", "the whole of yesterday"),
    ("7d", "the last 7 days"),
    ("28d", "the last 28 days"),
    ("month", "since the first of this month"),
    ("last-month", "the whole of last month"),
];

/// Which period is reviewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// Everything that arrived after the last review, by position; all there is if there was none.
    LastReview,
    /// From `from` on, before `to`.
    Span {
        /// The first instant within.
        from: Timestamp,
        /// The first instant after.
        to: Timestamp,
    },
}

impl Since {
    /// Reads a word of `PERIODS`; or a time of the filter grammar (`24h`, `mon`, `2026-11-01`), from which on everything
    /// to `now` is meant; or a range of two (`mon..`, `2026-11-01..2026-11-07`).
    pub fn parse(text: &str, now: Timestamp, zone: Zone) -> Result<Self, QueryError> {
        let word = text.to_ascii_lowercase();
        if word == "last-review" {
            return Ok(Self::LastReview);
        }
        let end = |word: &str, last: bool| match moment(word, now, zone, None, false)? {
            Moment::Instant(at) => Some(at),
            Moment::Stretch(_, to) if last => Some(to),
            Moment::Stretch(from, _) => Some(from),
            Moment::Beginning => None,
        };
        let today = now.utc().with_timezone(&zone.0).date_naive();
        let found = match (word.as_str(), text.split_once("..")) {
            ("today", _) => end(text, false).map(|from| (from, now.max(from.plus_ms(1)))),
            ("yesterday", _) => end(text, false).zip(end(text, true)),
            ("month", _) => month(today, zone).map(|from| (from, now.max(from.plus_ms(1)))),
            ("last-month", _) => today
                .checked_sub_months(Months::new(1))
                .and_then(|before| month(before, zone))
                .zip(month(today, zone)),
            (_, Some((from, ""))) => end(from, false).map(|from| (from, now)),
            (_, Some((from, to))) => end(from, false).zip(end(to, true)),
            (_, None) => end(text, false).map(|from| (from, now)),
        };
        match found {
            Some((from, to)) if from < to => Ok(Self::Span { from, to }),
            found => Err(QueryError {
                at: 0..text.len(),
                message: match found {
                    Some((from, _)) if from >= now => {
                        format!("{text:?} begins in the future: a period begins before now")
                    }
                    Some(_) => format!("{text:?} ends before it begins"),
                    None => format!(
                        "{text:?} is no period: {}, a time such as 24h, mon, 2026-11-01, or a range such as mon.., \
                         2026-11-01..2026-11-07",
                        words()
                    ),
                },
                suggestion: None,
            }),
        }
    }
}

/// The first instant of the month of `day`.
fn month(day: NaiveDate, zone: Zone) -> Option<Timestamp> {
    Some(zone.day_start(day.with_day(1)?))
}

/// The words of `PERIODS`.
fn words() -> String {
    let words: Vec<&str> = PERIODS.iter().map(|(word, _)| *word).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::DAY_MS;

    #[test]
    fn periods_are_read_as_the_filter_reads_times() {
        let now = Timestamp::parse("2026-11-04T11:00:00Z").unwrap();
        let zone: Zone = "Europe/Berlin".parse().unwrap();
        let read = |text: &str| Since::parse(text, now, zone);
        assert_eq!(read("last-review"), Ok(Since::LastReview));
        let span = |from: &str, to: &str| {
            let at = |text: &str| Timestamp::parse(text).unwrap();
            Ok(Since::Span {
                from: at(from),
                to: at(to),
            })
        };
        for (text, from, to) in [
            ("today", "2026-11-03T23:00:00Z", "2026-11-04T11:00:00Z"),
            ("7d", "2026-10-28T11:00:00Z", "2026-11-04T11:00:00Z"),
            (
                "2026-11-01..2026-11-02",
                "2026-10-31T23:00:00Z",
                "2026-11-02T23:00:00Z",
            ),
            ("yesterday", "2026-11-02T23:00:00Z", "2026-11-03T23:00:00Z"),
            (
                "yesterday..",
                "2026-11-02T23:00:00Z",
                "2026-11-04T11:00:00Z",
            ),
            ("Month", "2026-10-31T23:00:00Z", "2026-11-04T11:00:00Z"),
            // The clocks were put back in October.
            ("last-month", "2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"),
        ] {
            assert_eq!(read(text), span(from, to), "{text}");
        }
        for wrong in ["tomorrow", "soon", "", "..", "today..yesterday"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_word_is_a_period_at_any_moment() {
        let zone: Zone = "Europe/Istanbul".parse().unwrap();
        for day in 0..800 {
            // Midnight in Istanbul is 21:00 the day before in UTC.
            let now = Timestamp::parse("2025-12-31T21:00:00Z").unwrap();
            let now = now.plus_ms(day * DAY_MS / 2);
            for (word, _) in PERIODS {
                assert!(Since::parse(word, now, zone).is_ok(), "{word} at {now}");
            }
        }
    }
}
