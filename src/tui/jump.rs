//! A time as people type it, for the `@` prompt: what the filter takes, and a time of day.

use chrono::{NaiveTime, TimeZone};

use crate::domain::query::{Moment, moment};
use crate::domain::time::{Timestamp, Zone};

/// The instant that `text` names; `None` if it names none.
///
/// `14:30` and `14:30:05` are today. A stretch (`yesterday`, `2026-11-20`) is meant to its end, as lists are newest
/// first. Everything else is what `since:` takes.
pub fn instant(
    text: &str,
    now: Timestamp,
    zone: Zone,
    last_review: Option<Timestamp>,
) -> Option<Timestamp> {
    let text = text.trim();
    if let Some(at) = time_of_day(text, now, zone) {
        return Some(at);
    }
    let joined = text.replacen(' ', "T", 1);
    let found = moment(text, now, zone, last_review, false)
        .or_else(|| moment(&joined, now, zone, last_review, false))?;
    match found {
        Moment::Instant(at) => Some(at),
        Moment::Stretch(_, end) => Some(end.plus_ms(-1)),
        Moment::Beginning => None,
    }
}

fn time_of_day(text: &str, now: Timestamp, zone: Zone) -> Option<Timestamp> {
    let time = ["%H:%M", "%H:%M:%S"]
        .iter()
        .find_map(|form| NaiveTime::parse_from_str(text, form).ok())?;
    let today = now.utc().with_timezone(&zone.0).date_naive();
    let local = zone.0.from_local_datetime(&today.and_time(time)).latest();
    let since_midnight = time.signed_duration_since(NaiveTime::MIN);
    // A time that the clocks skip is as long after midnight as it says.
    Some(local.map_or_else(
        || {
            zone.day_start(today)
                .plus_ms(since_midnight.num_milliseconds())
        },
        |local| Timestamp::from_ms(local.timestamp_millis()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_people_type_them() {
        let now = Timestamp::parse("2026-11-20T09:14:00Z").unwrap();
        let zone: Zone = "Europe/Istanbul".parse().unwrap();
        for (typed, meant) in [
            ("10:30", "2026-11-20T07:30:00.000Z"),
            ("2026-11-19", "2026-11-19T20:59:59.999Z"),
            ("yesterday", "2026-11-19T20:59:59.999Z"),
            ("mon", "2026-11-16T20:59:59.999Z"),
            ("7d", "2026-11-13T09:14:00.000Z"),
        ] {
            let instant = instant(typed, now, zone, None).unwrap_or_else(|| panic!("{typed}"));
            assert_eq!(instant.to_string(), meant, "{typed}");
        }
        for typed in ["", "soon", "25:00", "2026-13-01", "99999999999d", "é"] {
            assert_eq!(instant(typed, now, zone, None), None, "{typed}");
        }
    }

    #[test]
    fn an_hour_that_the_clocks_skip_is_the_one_after() {
        let now = Timestamp::parse("2026-03-29T12:00:00Z").unwrap();
        let zone: Zone = "Europe/Berlin".parse().unwrap();
        let meant = instant("02:30", now, zone, None).unwrap();
        assert_eq!(meant.to_string(), "2026-03-29T01:30:00.000Z");
    }
}
