//! What a subscription is by the clock: status, access, and the one phrase that says it (MAPPING.md rule 11.6).
//!
//! Imports domain. Pure: the present moment is given.

use chrono::{Datelike, NaiveDate};

use crate::domain::time::{DAY_MS, Timestamp, Zone};
use crate::store::project::subscriptions::{Phase, Standing};

/// So long a renewal may be late before its subscription counts as expired.
const LATE_MS: i64 = DAY_MS;
/// So long access goes on after a failed charge.
const GRACE_MS: i64 = 30 * DAY_MS;

/// A subscription at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    /// The word in `subscriptions.status`.
    pub(super) status: &'static str,
    /// `None` where no date is known.
    pub(super) has_access: Option<bool>,
    /// `renews 14 Dec`.
    pub(super) state: String,
    /// When any of this changes next without an event; `None` also after the year 9999, which no text in a column says.
    pub(super) clock_at: Option<Timestamp>,
}

/// How `standing` looks at `now` from `zone`.
pub(super) fn view(standing: &Standing, now: Timestamp, zone: Zone) -> View {
    let (ends, access_ends) = ends(standing);
    let is_over = ends.is_some_and(|ends| now >= ends);
    let phase = if is_over {
        Phase::Expired
    } else {
        standing.phase
    };
    let has_access = match standing.phase {
        Phase::Expired | Phase::Revoked => Some(false),
        _ => access_ends.map(|ends| now < ends),
    };
    let (words, date) = phrase(standing, phase, has_access, access_ends);
    let years = date.into_iter().flat_map(|date| {
        let year = date.utc().with_timezone(&zone.0).year();
        [year, year + 1].map(|year| year_start(year, zone))
    });
    let clock_at = [ends, access_ends]
        .into_iter()
        .chain(years)
        .flatten()
        .filter(|at| *at > now && *at <= Timestamp::LAST)
        .min();
    let state = match date {
        Some(date) => format!("{words} {}", day(date, now, zone)),
        None => words.to_owned(),
    };
    View {
        status: phase.as_str(),
        has_access,
        state,
        clock_at,
    }
}

/// When the subscription expires, and when access ends, by the clock alone.
fn ends(standing: &Standing) -> (Option<Timestamp>, Option<Timestamp>) {
    let until = standing.access_until;
    match standing.phase {
        Phase::Trialing | Phase::Active if standing.auto_renew == Some(false) => (until, until),
        Phase::Trialing | Phase::Active => (until.map(|until| until.plus_ms(LATE_MS)), until),
        Phase::Grace => {
            let ends = until.map(|until| until.plus_ms(GRACE_MS));
            (ends, ends)
        }
        Phase::Pending | Phase::Expired | Phase::Revoked => (None, None),
    }
}

/// The words and the date behind them. `phase` is what the clock makes of it.
fn phrase(
    standing: &Standing,
    phase: Phase,
    has_access: Option<bool>,
    access_ends: Option<Timestamp>,
) -> (&'static str, Option<Timestamp>) {
    let is_cancelled = standing.open_spell().is_some();
    let is_trial = phase == Phase::Trialing;
    let is_late = has_access == Some(false);
    match phase {
        Phase::Pending => (
            "purchase not seen, cancelled",
            standing.open_spell().map(|spell| spell.cancelled_at),
        ),
        Phase::Revoked => ("refunded", standing.ended.map(|told| told.at)),
        Phase::Expired => ("ended", ended(standing, access_ends)),
        Phase::Grace if access_ends.is_none() => ("payment failed", None),
        Phase::Grace => ("payment failed, ends", access_ends),
        Phase::Trialing | Phase::Active => {
            let words = match (standing.auto_renew, access_ends.is_some()) {
                _ if is_cancelled && access_ends.is_some() => "cancelled, ends",
                _ if is_cancelled => "cancelled",
                (Some(false), true) if is_trial => "trial, ends",
                (Some(false), true) => "ends",
                (Some(false), false) if is_trial => "trial, does not renew",
                (Some(false), false) => "does not renew",
                (Some(true), true) if is_trial && is_late => "trial, renewal due",
                (Some(true), true) if is_late => "renewal due",
                (Some(true), _) if is_trial => "trial, renews",
                (Some(true), _) => "renews",
                (None, true) if is_trial => "trial, until",
                (None, true) => "until",
                (None, false) if is_trial => "trial",
                (None, false) => "active",
            };
            (words, access_ends)
        }
    }
}

/// When it ended: told by an event, else by the clock. An event that tells it late does not move it.
fn ended(standing: &Standing, access_ends: Option<Timestamp>) -> Option<Timestamp> {
    match standing.ended {
        None => access_ends,
        Some(told) if told.in_grace => Some(told.at),
        Some(told) => Some(
            standing
                .access_until
                .map_or(told.at, |until| until.min(told.at)),
        ),
    }
}

fn year_start(year: i32, zone: Zone) -> Option<Timestamp> {
    NaiveDate::from_ymd_opt(year, 1, 1).map(|day| zone.day_start(day))
}

/// `14 Dec`, with the year where it is not that of `now`.
fn day(at: Timestamp, now: Timestamp, zone: Zone) -> String {
    let at = at.utc().with_timezone(&zone.0);
    let form = if at.year() == now.utc().with_timezone(&zone.0).year() {
        "%-d %b"
    } else {
        "%-d %b %Y"
    };
    at.format(form).to_string()
}
