//! Times as a publisher writes them, in the ledger's zone: `7d`, `yesterday`, `mon`, `2026-11-01T10:00`.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, TimeDelta, TimeZone};

use crate::domain::time::{HOUR_MS, MINUTE_MS, SECOND_MS, Timestamp, Zone};

/// What a time text names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// One instant: `7d`, `last-review`.
    Instant(Timestamp),
    /// A stretch of time, its first instant and the first after it: a day, a month, a minute.
    Stretch(Timestamp, Timestamp),
    /// Before everything: `last-review` where nothing was reviewed yet.
    Beginning,
}

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Reads `text`. `ahead`: durations count into the future. `None` if it is no time, or one before 1970 or after 9999.
pub fn moment(
    text: &str,
    now: Timestamp,
    zone: Zone,
    last_review: Option<Timestamp>,
    ahead: bool,
) -> Option<Moment> {
    let text = text.to_ascii_lowercase();
    let today = now.utc().with_timezone(&zone.0).date_naive();
    let found = match text.as_str() {
        "now" => Moment::Instant(now),
        "last-review" => last_review.map_or(Moment::Beginning, Moment::Instant),
        "today" => days(zone, today, today.succ_opt()?),
        "yesterday" => days(zone, today.pred_opt()?, today),
        "tomorrow" => {
            let day = today.succ_opt()?;
            days(zone, day, day.succ_opt()?)
        }
        word => weekday(word, today)
            .and_then(|day| Some(days(zone, day, day.succ_opt()?)))
            .or_else(|| duration(word, now, zone, ahead))
            .or_else(|| calendar(word, zone))?,
    };
    let (first, last) = match found {
        Moment::Instant(at) => (at, at),
        Moment::Stretch(from, to) => (from, to),
        Moment::Beginning => return Some(found),
    };
    (first.ms() >= 0 && last.utc().year() <= 9999).then_some(found)
}

/// A stretch of time from `from` on, before `to`, as a filter takes it behind `at:`: in the fewest characters that mean
/// the same in `zone`, as `2026-10`, `2026-11-01..2026-11-07` or `2026-11-01T08:30..2026-11-01T09:29`.
pub fn stretch(from: Timestamp, to: Timestamp, zone: Zone) -> String {
    let means = |text: &str| match moment(text, from, zone, None, false) {
        Some(Moment::Stretch(first, after)) => Some((first, after)),
        _ => None,
    };
    let mut whole = forms(from, zone, &["%Y-%m", "%Y-%m-%d"]);
    if let Some(text) = whole.find(|text| means(text) == Some((from, to))) {
        return text;
    }
    let ends = &["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"];
    let last = to.plus_ms(-1);
    let first = forms(from, zone, ends).find(|text| means(text).is_some_and(|of| of.0 == from));
    let end = forms(last, zone, ends).find(|text| means(text).is_some_and(|of| of.1 == to));
    let or_exact = |text: Option<String>, at: Timestamp| text.unwrap_or_else(|| at.to_string());
    format!("{}..{}", or_exact(first, from), or_exact(end, last))
}

/// `at` in each of `forms`, as the clocks of `zone` show it.
fn forms(at: Timestamp, zone: Zone, forms: &[&str]) -> impl Iterator<Item = String> {
    let local = at.utc().with_timezone(&zone.0);
    forms.iter().map(move |form| local.format(form).to_string())
}

fn days(zone: Zone, from: NaiveDate, to: NaiveDate) -> Moment {
    Moment::Stretch(zone.day_start(from), zone.day_start(to))
}

/// The latest such day that has begun.
fn weekday(word: &str, today: NaiveDate) -> Option<NaiveDate> {
    let wanted = WEEKDAYS.iter().position(|day| *day == word)?;
    let back = (u64::from(today.weekday().num_days_from_monday()) + 7 - wanted as u64) % 7;
    today.checked_sub_days(Days::new(back))
}

/// Hours and minutes are exact; days and weeks keep the time of day, whatever the clocks did between.
fn duration(word: &str, now: Timestamp, zone: Zone, ahead: bool) -> Option<Moment> {
    let unit = word.chars().last()?;
    let digits = &word[..word.len() - unit.len_utf8()];
    if digits.is_empty() || digits.len() > 6 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let count: i64 = digits.parse().ok()?;
    let count = if ahead { count } else { -count };
    let at = match unit {
        'h' => now.plus_ms(count * HOUR_MS),
        'm' => now.plus_ms(count * MINUTE_MS),
        'd' => plus_days(now, zone, count)?,
        'w' => plus_days(now, zone, count * 7)?,
        _ => return None,
    };
    Some(Moment::Instant(at))
}

fn plus_days(now: Timestamp, zone: Zone, count: i64) -> Option<Timestamp> {
    let local = now.utc().with_timezone(&zone.0).naive_local();
    let there = local.checked_add_signed(TimeDelta::try_days(count)?)?;
    Some(resolved(zone, there)?.0)
}

fn calendar(word: &str, zone: Zone) -> Option<Moment> {
    if let Ok(day) = NaiveDate::parse_from_str(word, "%Y-%m-%d") {
        return Some(days(zone, day, day.succ_opt()?));
    }
    if let Ok(first) = NaiveDate::parse_from_str(&format!("{word}-01"), "%Y-%m-%d") {
        return Some(days(zone, first, first.checked_add_months(Months::new(1))?));
    }
    let word = word.to_ascii_uppercase();
    if let Ok(at) = DateTime::parse_from_rfc3339(&word) {
        let from = Timestamp::from_ms(at.timestamp_millis());
        let length = if word.contains('.') { 1 } else { SECOND_MS };
        return Some(Moment::Stretch(from, from.plus_ms(length)));
    }
    for (form, length) in [
        ("%Y-%m-%dT%H:%M", MINUTE_MS),
        ("%Y-%m-%dT%H:%M:%S", SECOND_MS),
    ] {
        if let Ok(local) = NaiveDateTime::parse_from_str(&word, form) {
            let (first, last) = resolved(zone, local)?;
            return Some(Moment::Stretch(first, last.plus_ms(length)));
        }
    }
    None
}

/// First and last instant that the clocks show `local`; where they skip it, the first after the gap.
fn resolved(zone: Zone, local: NaiveDateTime) -> Option<(Timestamp, Timestamp)> {
    (0..=24).find_map(|quarter| {
        let there = local.checked_add_signed(TimeDelta::minutes(15 * quarter))?;
        let found = zone.0.from_local_datetime(&there);
        let first = found.earliest()?.timestamp_millis();
        let last = found.latest()?.timestamp_millis();
        Some((Timestamp::from_ms(first), Timestamp::from_ms(last)))
    })
}
