//! A time as people type it, for the `@` prompt.

use chrono::{Datelike, NaiveDate, NaiveTime, TimeDelta, TimeZone, Weekday};

use crate::domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, Timestamp, Zone};

/// The instant that `text` names; `None` if it names none.
///
/// `14:30` and `14:30:05` are today; `2026-11-20`, `2026-11-20 14:30`, `20 Nov`, `today`, `yesterday` and weekdays
/// (the last one that was) are days in `zone`, meant to their end, as lists are newest first; `30m`, `5h`, `7d` and
/// `2w` are so long ago.
pub fn instant(text: &str, now: Timestamp, zone: Zone) -> Option<Timestamp> {
    let text = text.trim();
    let today = now.utc().with_timezone(&zone.0).date_naive();
    if let Some(ago_ms) = span_ms(text) {
        return Some(now.plus_ms(-ago_ms));
    }
    if let Some(time) = time_of_day(text) {
        return Some(at(today, time, zone));
    }
    if let Some(day) = day(text, today) {
        return Some(zone.day_start(day.succ_opt()?).plus_ms(-1));
    }
    let (first, last) = text.rsplit_once([' ', 'T'])?;
    if let (Some(day), Some(time)) = (day(first.trim(), today), time_of_day(last)) {
        return Some(at(day, time, zone));
    }
    Timestamp::parse(text)
}

fn at(day: NaiveDate, time: NaiveTime, zone: Zone) -> Timestamp {
    let since_midnight = time.signed_duration_since(NaiveTime::MIN);
    let local = zone.0.from_local_datetime(&day.and_time(time)).latest();
    // A time that the clocks skip is as long after midnight as it says.
    local.map_or_else(
        || zone.day_start(day).plus_ms(since_midnight.num_milliseconds()),
        |local| Timestamp::from_ms(local.timestamp_millis()),
    )
}

fn span_ms(text: &str) -> Option<i64> {
    let unit = text.chars().next_back()?;
    let amount: u32 = text.strip_suffix(unit)?.parse().ok()?;
    let unit_ms = match unit {
        'm' => MINUTE_MS,
        'h' => HOUR_MS,
        'd' => DAY_MS,
        'w' => 7 * DAY_MS,
        _ => return None,
    };
    unit_ms.checked_mul(i64::from(amount))
}

fn time_of_day(text: &str) -> Option<NaiveTime> {
    ["%H:%M", "%H:%M:%S"]
        .iter()
        .find_map(|form| NaiveTime::parse_from_str(text, form).ok())
}

fn day(text: &str, today: NaiveDate) -> Option<NaiveDate> {
    match text.to_ascii_lowercase().as_str() {
        "today" => return Some(today),
        "yesterday" => return today.pred_opt(),
        word => {
            if let Ok(weekday) = word.parse::<Weekday>() {
                let back = (7 + today.weekday().num_days_from_monday()
                    - weekday.num_days_from_monday())
                    % 7;
                return today.checked_sub_signed(TimeDelta::days(i64::from(back)));
            }
        }
    }
    let this_year = format!("{text} {}", today.year());
    NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .or_else(|_| NaiveDate::parse_from_str(text, "%d %b %Y"))
        .or_else(|_| NaiveDate::parse_from_str(&this_year, "%d %b %Y"))
        .ok()
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
            ("2026-11-19 10:30", "2026-11-19T07:30:00.000Z"),
            ("2026-11-19", "2026-11-19T20:59:59.999Z"),
            ("yesterday", "2026-11-19T20:59:59.999Z"),
            ("yesterday 08:00", "2026-11-19T05:00:00.000Z"),
            ("mon", "2026-11-16T20:59:59.999Z"),
            ("14 Nov", "2026-11-14T20:59:59.999Z"),
            ("7d", "2026-11-13T09:14:00.000Z"),
            ("2026-11-01T00:00:00Z", "2026-11-01T00:00:00.000Z"),
        ] {
            let instant = instant(typed, now, zone).unwrap_or_else(|| panic!("{typed}"));
            assert_eq!(instant.to_string(), meant, "{typed}");
        }
        for typed in ["", "soon", "25:00", "2026-13-01", "99999999999d", "é"] {
            assert_eq!(instant(typed, now, zone), None, "{typed}");
        }
    }

    #[test]
    fn an_hour_that_the_clocks_skip_is_the_one_after() {
        let now = Timestamp::parse("2026-03-29T12:00:00Z").unwrap();
        let zone: Zone = "Europe/Berlin".parse().unwrap();
        let meant = instant("02:30", now, zone).unwrap();
        assert_eq!(meant.to_string(), "2026-03-29T01:30:00.000Z");
    }
}
