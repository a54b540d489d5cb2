//! Instants, days and zones. Text forms are those of DESIGN.md section 10.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeZone, Utc};
use serde::{Deserialize, Serialize};

/// One second, in milliseconds.
pub const SECOND_MS: i64 = 1_000;
/// One minute, in milliseconds.
pub const MINUTE_MS: i64 = 60 * SECOND_MS;
/// One hour, in milliseconds.
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Twenty-four hours, in milliseconds.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// An instant: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "i64")]
pub struct Timestamp(i64);

/// The first and the last instant of the years 0 to 9999, milliseconds since 1970.
const YEARS_MS: (i64, i64) = (-62_167_219_200_000, 253_402_300_799_999);

/// From a file that somebody may have written by hand: cut to the years 0 to 9999, so that differences are numbers.
impl From<i64> for Timestamp {
    fn from(ms: i64) -> Self {
        Self(ms.clamp(YEARS_MS.0, YEARS_MS.1))
    }
}

impl Timestamp {
    /// The last one whose text stands in its order among others: a year of five digits is written with a sign.
    pub const LAST: Self = Self(YEARS_MS.1);

    /// The instant `ms` milliseconds after the epoch.
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// The instant `s` seconds after the epoch; `None` if that overflows.
    pub fn from_s(s: i64) -> Option<Self> {
        s.checked_mul(SECOND_MS).map(Self)
    }

    /// Milliseconds since the epoch.
    pub const fn ms(self) -> i64 {
        self.0
    }

    /// This instant moved by `ms` milliseconds, saturating.
    #[must_use]
    pub const fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Reads an ISO 8601 instant with an offset or `Z`, or the zone-less forms
    /// `YYYY-MM-DD HH:MM:SS[.ffffff]`, `YYYY-MM-DDTHH:MM:SS[.ffffff]` and `YYYY-MM-DD`, which are UTC
    /// (DESIGN.md section 11). `None` if it is none of them. Fractions beyond milliseconds are cut.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(at) = DateTime::parse_from_rfc3339(text) {
            return Some(Self(at.timestamp_millis()));
        }
        for form in ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"] {
            if let Ok(at) = NaiveDateTime::parse_from_str(text, form) {
                return Some(Self(at.and_utc().timestamp_millis()));
            }
        }
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        Some(Self(day.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis()))
    }

    /// This instant as chrono has it; the ends of chrono's range beyond it.
    pub fn utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0).unwrap_or(if self.0 < 0 {
            DateTime::<Utc>::MIN_UTC
        } else {
            DateTime::<Utc>::MAX_UTC
        })
    }

    /// The calendar day of this instant in `zone`, `YYYY-MM-DD`.
    pub fn day(self, zone: Zone) -> String {
        self.utc()
            .with_timezone(&zone.0)
            .format("%Y-%m-%d")
            .to_string()
    }

    /// This instant moved by whole calendar months, the day clamped to the month's last.
    #[must_use]
    pub fn plus_months(self, months: u32) -> Self {
        self.utc()
            .checked_add_months(chrono::Months::new(months))
            .map_or(self, |at| Self(at.timestamp_millis()))
    }
}

/// `YYYY-MM-DDTHH:MM:SS.sssZ`, the form of every time column.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.utc().format("%Y-%m-%dT%H:%M:%S%.3fZ"))
    }
}

/// How long `ms` milliseconds are, for people: `41 m`, `3 h 05 m`, from two days on `3 days 4 h`, from ten on `28 days`.
pub fn span(ms: i64) -> String {
    let minutes = ms.max(0) / MINUTE_MS;
    let (days, hours) = (minutes / 1_440, minutes / 60);
    match days {
        0..2 if hours == 0 => format!("{minutes} m"),
        0..2 => format!("{hours} h {:02} m", minutes % 60),
        2..10 if hours % 24 > 0 => format!("{days} days {} h", hours % 24),
        _ => format!("{days} days"),
    }
}

/// The zone that days are counted in: written into the ledger at first start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone(pub chrono_tz::Tz);

impl Zone {
    /// UTC.
    pub const UTC: Self = Self(chrono_tz::Tz::UTC);

    /// The IANA name.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// The first instant of `day` in this zone; where a clock change skips midnight, the first that exists.
    pub fn day_start(self, day: NaiveDate) -> Timestamp {
        self.time_of(day, 0, 0)
    }

    /// `hour:minute` of `day` in this zone; where a clock change skips it, so many hours later as it takes.
    pub fn time_of(self, day: NaiveDate, hour: u32, minute: u32) -> Timestamp {
        let local = day.and_hms_opt(hour, minute, 0).unwrap_or_default();
        (0..24)
            .find_map(|hours| {
                self.0
                    .from_local_datetime(&(local + chrono::TimeDelta::hours(hours)))
                    .earliest()
            })
            .map_or(Timestamp(local.and_utc().timestamp_millis()), |at| {
                Timestamp(at.timestamp_millis())
            })
    }
}

impl FromStr for Zone {
    type Err = UnknownZone;

    fn from_str(name: &str) -> Result<Self, UnknownZone> {
        name.parse()
            .map(Self)
            .map_err(|_| UnknownZone(name.to_owned()))
    }
}

/// A zone name that the IANA database does not have.
#[derive(Debug, thiserror::Error)]
#[error("no time zone is called {0:?}: use an IANA name such as Europe/Istanbul or UTC")]
pub struct UnknownZone(pub String);

/// Where the present moment comes from: the machine, or a test.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// The machine's wall clock.
    Machine,
    /// Always this instant.
    Fixed(Timestamp),
    /// What somebody else sets.
    Dial(&'static Dial),
}

/// A clock that can be set, beside one that cannot.
#[derive(Debug)]
pub struct Dial {
    /// What the wall clock says, milliseconds since 1970.
    pub wall_ms: AtomicI64,
    /// What the other one says, milliseconds.
    pub steady_ms: AtomicI64,
}

impl Clock {
    /// The present moment.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the wall clock"
    )]
    pub fn now(self) -> Timestamp {
        match self {
            Self::Machine => Timestamp(Utc::now().timestamp_millis()),
            Self::Fixed(at) => at,
            Self::Dial(dial) => Timestamp(dial.wall_ms.load(Ordering::Relaxed)),
        }
    }

    /// Milliseconds since some moment before this program started, by a clock that nobody sets: it goes on while the
    /// machine sleeps, where the system has such a one, and begins anew when the machine does.
    pub fn steady_ms(self) -> i64 {
        match self {
            Self::Machine => steady_ms(),
            Self::Fixed(at) => at.ms(),
            Self::Dial(dial) => dial.steady_ms.load(Ordering::Relaxed),
        }
    }
}

fn steady_ms() -> i64 {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let id = rustix::time::ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let id = rustix::time::ClockId::Monotonic;
    let at = rustix::time::clock_gettime(id);
    at.tv_sec * SECOND_MS + at.tv_nsec / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_out_of_files_are_of_four_digits_years() {
        for (written, read) in [
            (i64::MAX, "9999-12-31T23:59:59.999Z"),
            (i64::MIN, "0000-01-01T00:00:00.000Z"),
            (0, "1970-01-01T00:00:00.000Z"),
        ] {
            let at: Timestamp = serde_json::from_str(&written.to_string()).unwrap();
            assert_eq!(at.to_string(), read);
            assert_eq!(serde_json::to_string(&at).unwrap(), at.ms().to_string());
        }
    }

    #[test]
    fn spans_are_read_in_the_unit_that_fits() {
        for (ms, words) in [
            (-1, "0 m"),
            (59 * SECOND_MS, "0 m"),
            (41 * MINUTE_MS, "41 m"),
            (HOUR_MS + 5 * MINUTE_MS, "1 h 05 m"),
            (25 * HOUR_MS, "25 h 00 m"),
            (2 * DAY_MS - 1, "47 h 59 m"),
            (3 * DAY_MS, "3 days"),
            (3 * DAY_MS + 4 * HOUR_MS, "3 days 4 h"),
            (28 * DAY_MS + 4 * HOUR_MS, "28 days"),
        ] {
            assert_eq!(span(ms), words);
        }
    }

    #[test]
    fn zone_less_times_are_utc_and_fractions_are_cut() {
        for (text, shown) in [
            ("2024-05-13 08:18:22.978000", "2024-05-13T08:18:22.978Z"),
            ("2024-05-13 08:18:22", "2024-05-13T08:18:22.000Z"),
            ("2024-03-01T09:15:02Z", "2024-03-01T09:15:02.000Z"),
            ("2021-12-15T11:19:30.914Z", "2021-12-15T11:19:30.914Z"),
            ("2024-03-01T09:15:02+05:30", "2024-03-01T03:45:02.000Z"),
            ("2024-03-01", "2024-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp::parse(text).unwrap().to_string(), shown, "{text}");
        }
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    #[test]
    fn a_day_begins_at_the_first_instant_that_exists() {
        let zone: Zone = "America/Sao_Paulo".parse().unwrap();
        let day = NaiveDate::from_ymd_opt(2018, 11, 4).unwrap();
        assert_eq!(zone.day_start(day).to_string(), "2018-11-04T03:00:00.000Z");
    }
}
