//! What the writer knows of the clock: that it never goes back a little, when it leapt, and whether it is believed.
//!
//! Imports domain. The wall clock says when something arrived, whatever it was set to; a second clock, which nobody
//! sets, tells how much time truly passed. Where the two part, the wall clock leapt: what came before and after is then
//! as far apart as the second one says. Never reads a clock itself.

use std::cell::Cell;

use rusqlite::Connection;

use crate::domain::time::{DAY_MS, MINUTE_MS, Timestamp};
use crate::store::Error;
use crate::store::schema::{meta, set_meta};

/// Less than this is a clock that is kept in step.
const NOTED_MS: i64 = 500;
/// So many leaps are remembered; the oldest are forgotten.
const LEAPS_MAX: usize = 64;
/// A clock that is set back by no more is waited for.
const HELD_MS: i64 = 2 * MINUTE_MS;
/// A clock that leaps ahead by more than this is doubted so long: it may be set right.
const DOUBTED_MS: i64 = 3 * DAY_MS;
const DOUBT_MS: i64 = DAY_MS;

/// The key in `meta` under which stands the latest moment that rows were folded as of.
const AS_OF: &str = "as_of";
/// The key in `meta` under which stands how long the clock is still doubted, milliseconds.
const DOUBT: &str = "clock_doubt_ms";

/// By how much the wall clock leapt, and behind which delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leaps(Vec<(i64, i64)>);

impl Leaps {
    /// A clock that never leapt.
    pub(crate) const NONE: Self = Self(Vec::new());

    /// By how many milliseconds in all since delivery `seq`, as far as that is known.
    pub(crate) fn since(&self, seq: i64) -> i64 {
        let later = self.0.iter().filter(|(behind, _)| *behind >= seq);
        later.fold(0, |sum, (_, by_ms)| sum.saturating_add(*by_ms))
    }

    fn add(&mut self, behind: i64, by_ms: i64) {
        if self.0.len() == LEAPS_MAX {
            self.0.remove(0);
        }
        self.0.push((behind, by_ms));
    }
}

/// The writer's watch.
pub(crate) struct Watch {
    /// What `now` said last.
    latest: Cell<Timestamp>,
    /// The latest moment that rows may have been folded as of.
    as_of: Cell<Timestamp>,
    /// Both clocks when they were last compared.
    seen: (Timestamp, i64),
    pub(crate) leaps: Leaps,
    /// So many milliseconds of running nothing is thrown away for its age.
    doubt_ms: i64,
}

impl Watch {
    /// One for a ledger whose newest delivery is `seq`, with both clocks as they are now.
    pub(crate) fn load(
        conn: &Connection,
        seq: i64,
        wall: Timestamp,
        steady_ms: i64,
    ) -> Result<Self, Error> {
        let time = |key| {
            let text = meta(conn, key)?;
            Ok::<_, Error>(text.as_deref().and_then(Timestamp::parse))
        };
        let (as_of, probed) = (time(AS_OF)?, time("probe_at")?);
        let last = [as_of, probed].into_iter().flatten().max();
        let doubt = meta(conn, DOUBT)?.and_then(|text| text.parse().ok());
        let mut watch = Self {
            latest: Cell::new(as_of.unwrap_or(wall)),
            as_of: Cell::new(as_of.unwrap_or(wall)),
            seen: (wall, steady_ms),
            leaps: Leaps::default(),
            doubt_ms: doubt.unwrap_or(0),
        };
        // How long it was off nobody knows: set back, at least as long as that; ahead, perhaps that long.
        let by_ms = last.map_or(0, |last| wall.ms().saturating_sub(last.ms()));
        if by_ms <= -NOTED_MS {
            watch.leapt(seq, by_ms);
        } else if by_ms > DOUBTED_MS {
            watch.doubt(wall);
        }
        Ok(watch)
    }

    /// The present moment: `wall`, unless that was just set back a little.
    pub(crate) fn now(&self, wall: Timestamp) -> Timestamp {
        let latest = self.latest.get();
        let is_held = wall < latest && latest <= wall.plus_ms(HELD_MS);
        let now = if is_held { latest } else { wall };
        self.latest.set(now);
        self.as_of.set(self.as_of.get().max(now));
        now
    }

    /// Compares the two clocks, while delivery `seq` is the newest; whether the wall clock leapt.
    pub(crate) fn look(&mut self, wall: Timestamp, steady_ms: i64, seq: i64) -> bool {
        let (then, steady_then) = self.seen;
        let passed_ms = steady_ms.saturating_sub(steady_then).max(0);
        let by_ms = wall.ms().saturating_sub(then.plus_ms(passed_ms).ms());
        self.seen = (wall, steady_ms);
        self.doubt_ms = self.doubt_ms.saturating_sub(passed_ms).max(0);
        if by_ms.saturating_abs() < NOTED_MS {
            return false;
        }
        self.leapt(seq, by_ms);
        if by_ms > DOUBTED_MS {
            self.doubt(wall);
        }
        true
    }

    fn leapt(&mut self, seq: i64, by_ms: i64) {
        self.leaps.add(seq, by_ms);
        if by_ms < -DOUBTED_MS {
            self.doubt_ms = 0;
        }
    }

    fn doubt(&mut self, wall: Timestamp) {
        tracing::warn!(
            "the clock leapt ahead to {wall}: nothing is thrown away for its age for a day"
        );
        self.doubt_ms = DOUBT_MS;
    }

    /// Whether what is old by the clock may be thrown away.
    pub(crate) const fn is_believed(&self) -> bool {
        self.doubt_ms == 0
    }

    /// Whether rows may have been folded as of a later moment than `now`, told once.
    pub(crate) fn went_back(&self, now: Timestamp) -> bool {
        self.as_of.replace(now) > now
    }

    /// Writes down what the next start must know, inside the caller's transaction.
    pub(crate) fn keep(&self, conn: &Connection) -> Result<(), Error> {
        let as_of = self.as_of.get().to_string();
        if meta(conn, AS_OF)?.is_none_or(|kept| kept != as_of) {
            set_meta(conn, AS_OF, &as_of)?;
        }
        let doubt = self.doubt_ms.to_string();
        if meta(conn, DOUBT)?.map_or(self.doubt_ms > 0, |kept| kept != doubt) {
            set_meta(conn, DOUBT, &doubt)?;
        }
        Ok(())
    }

    /// After a rollback: what is on disk may be of as late as it says.
    pub(crate) fn reload(&self, conn: &Connection) -> Result<(), Error> {
        let kept = meta(conn, AS_OF)?.as_deref().and_then(Timestamp::parse);
        if let Some(kept) = kept {
            self.as_of.set(self.as_of.get().max(kept));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp::from_ms(1_767_603_600_000);

    fn watch() -> Watch {
        Watch {
            latest: Cell::new(START),
            as_of: Cell::new(START),
            seen: (START, 0),
            leaps: Leaps::default(),
            doubt_ms: 0,
        }
    }

    #[test]
    fn a_clock_set_back_a_little_is_waited_for_and_one_set_back_far_is_followed() {
        let watch = watch();
        assert_eq!(watch.now(START.plus_ms(1_000)), START.plus_ms(1_000));
        assert_eq!(watch.now(START.plus_ms(900)), START.plus_ms(1_000));
        assert_eq!(watch.now(START.plus_ms(1_100)), START.plus_ms(1_100));
        let back = START.plus_ms(1_100 - HELD_MS - 1);
        assert_eq!(watch.now(back), back);
        assert!(watch.went_back(back));
        assert!(!watch.went_back(back));
    }

    #[test]
    fn a_clock_set_right_is_believed_at_once_and_a_wrong_one_after_a_day() {
        let mut watch = watch();
        let ahead = START.plus_ms(365 * DAY_MS);
        watch.look(ahead, 1_000, 7);
        assert!(!watch.is_believed());
        watch.look(START.plus_ms(2_000), 2_000, 9);
        assert!(watch.is_believed());
        watch.look(ahead, 3_000, 9);
        watch.look(ahead.plus_ms(DAY_MS), DAY_MS + 3_000, 9);
        assert!(watch.is_believed());
    }

    proptest! {
        #[test]
        fn however_the_clock_leaps_the_true_time_between_two_deliveries_is_known(
            turns in prop::collection::vec((0_i64..100_000, prop_oneof![
                Just(0_i64), -400 * DAY_MS..400 * DAY_MS, -3_000_i64..3_000,
            ]), 2..40),
            first in 0_usize..20,
        ) {
            let mut watch = watch();
            let (mut wall, mut steady) = (START, 0);
            let mut came = Vec::new();
            for (seq, (passes, leap)) in (1_i64..).zip(&turns) {
                // Leaps too small to be noted are those of a clock that is kept in step.
                let leap = if leap.abs() < NOTED_MS { 0 } else { *leap };
                steady += passes;
                wall = wall.plus_ms(passes + leap);
                watch.look(wall, steady, seq - 1);
                came.push((seq, wall, steady));
            }
            let (seq, at, then) = came[first.min(came.len() - 1)];
            let apart = wall.ms() - at.ms() - watch.leaps.since(seq);
            prop_assert_eq!(apart, steady - then);
        }
    }
}
