//! How far a page has come while it is being read: most filters come from an index at once, some look at every row.
//!
//! Written by the statement as it goes, read by whoever waits, from any thread. Costs one call a row.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::time::Timestamp;

/// The time of every so manieth row is noted.
const NOTED_EVERY: u64 = 1_024;

/// What a statement that is under way has looked at.
#[derive(Debug, Default)]
pub struct Looked {
    rows: AtomicU64,
    place: Mutex<Place>,
}

/// Where in which branch of the statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Place {
    /// Branches in all; one after the other is read.
    branches: u64,
    branch: u64,
    /// The time of the row looked at last.
    at: Option<String>,
    /// The times where each branch begins and ends.
    from: Option<String>,
    to: Option<String>,
}

/// How far a page has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Rows looked at.
    pub rows: u64,
    /// The time of the last of them.
    pub at: Option<Timestamp>,
    /// Of the time there is to look through, in hundredths.
    pub percent: Option<u8>,
}

impl Looked {
    /// A page of so many branches begins, each from the time `from` to the time `to`.
    pub(super) fn begin(&self, branches: usize, from: Option<String>, to: Option<String>) {
        self.rows.store(0, Ordering::Relaxed);
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = Place {
            branches: branches as u64,
            from,
            to,
            ..Place::default()
        };
    }

    /// A row of this branch, and its time, was looked at.
    pub(super) fn note(&self, branch: u64, at: Option<&str>) {
        let rows = self.rows.fetch_add(1, Ordering::Relaxed);
        if rows.is_multiple_of(NOTED_EVERY) {
            let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
            place.branch = branch;
            place.at = at.map(str::to_owned);
        }
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        let at = |text: &Option<String>| text.as_deref().and_then(Timestamp::parse);
        Progress {
            rows: self.rows.load(Ordering::Relaxed),
            at: at(&place.at),
            percent: percent(&place, at(&place.from), at(&place.at), at(&place.to)),
        }
    }
}

/// Hundredths of the way, all branches being as long; never all of it before the end.
fn percent(
    place: &Place,
    from: Option<Timestamp>,
    at: Option<Timestamp>,
    to: Option<Timestamp>,
) -> Option<u8> {
    let (from, at, to) = (from?.ms(), at?.ms(), to?.ms());
    let whole = i128::from(from.abs_diff(to)).max(1);
    let gone = i128::from(from.abs_diff(at)).min(whole);
    let branches = i128::from(place.branches.max(1));
    let share = (i128::from(place.branch) * whole + gone) * 100 / (branches * whole);
    u8::try_from(share.min(99)).ok()
}

/// Shared with whoever waits.
pub(super) type SharedLooked = Arc<Looked>;

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: u8) -> String {
        format!("2026-11-{day:02}T00:00:00.000Z")
    }

    fn begun(branches: usize, from: u8, to: u8) -> Looked {
        let looked = Looked::default();
        looked.begin(branches, Some(day(from)), Some(day(to)));
        looked
    }

    #[test]
    fn the_share_goes_by_time_through_one_branch_after_the_other() {
        assert_eq!(Looked::default().progress(), Progress::default());
        let looked = begun(1, 21, 11);
        looked.note(0, Some(&day(16)));
        let halfway = looked.progress();
        assert_eq!((halfway.rows, halfway.percent), (1, Some(50)));
        assert_eq!(halfway.at, Timestamp::parse("2026-11-16"));
        let third_of_four = begun(4, 21, 11);
        third_of_four.note(2, Some(&day(16)));
        assert_eq!(third_of_four.progress().percent, Some(62));
        let at_the_end = begun(1, 1, 11);
        at_the_end.note(0, Some(&day(11)));
        assert_eq!(at_the_end.progress().percent, Some(99));
    }

    #[test]
    fn what_is_read_after_the_long_branches_is_the_end() {
        let looked = begun(1, 21, 11);
        looked.note(0, Some(&day(13)));
        assert_eq!(looked.progress().percent, Some(80));
        for _ in 0..NOTED_EVERY {
            looked.note(1, Some(&day(20)));
        }
        assert_eq!(looked.progress().percent, Some(99));
    }

    #[test]
    fn only_some_rows_cost_more_than_a_number() {
        let looked = begun(1, 21, 11);
        for _ in 0..NOTED_EVERY {
            looked.note(0, Some(&day(20)));
        }
        looked.note(0, Some(&day(12)));
        assert_eq!(looked.progress().rows, NOTED_EVERY + 1);
        assert_eq!(looked.progress().percent, Some(90));
    }
}
