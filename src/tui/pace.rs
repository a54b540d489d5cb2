//! How often a frame is drawn: at most 30 a second, yet what a key brings about need not wait for the turn of a frame
//! that only echoed it.

use std::time::{Duration, Instant};

/// So many frames follow each other at once where none came before.
const AT_ONCE: usize = 3;

/// That many take at least so long, so that there are never more than 30 in a second.
const SPAN: Duration = Duration::from_millis(100);

/// When the last frames were drawn.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    /// The oldest first.
    drawn: [Option<Instant>; AT_ONCE],
}

impl Pace {
    /// No frame has been drawn yet.
    pub const fn is_new(&self) -> bool {
        self.drawn[AT_ONCE - 1].is_none()
    }

    /// A frame was drawn.
    pub fn note(&mut self, now: Instant) {
        self.drawn.rotate_left(1);
        self.drawn[AT_ONCE - 1] = Some(now);
    }

    /// How long the next frame has to wait; zero if it may be drawn.
    pub fn wait(&self, now: Instant) -> Duration {
        self.drawn[0].map_or(Duration::ZERO, |oldest| {
            (oldest + SPAN).saturating_duration_since(now)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_frames_come_at_once_and_never_more_than_thirty_in_a_second() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pace = Pace::default();
        assert!(pace.is_new());
        let mut drawn = Vec::new();
        // Something changes every millisecond.
        for ms in 0..3000 {
            if pace.wait(at(ms)).is_zero() {
                pace.note(at(ms));
                drawn.push(ms);
            }
        }
        assert_eq!(drawn[..4], [0, 1, 2, 100]);
        assert_eq!(pace.wait(at(2903)), Duration::from_millis(97));
        for from in 0..2000 {
            let second = drawn.iter().filter(|ms| (from..from + 1000).contains(*ms));
            assert!(second.count() <= 30, "from {from}");
        }
    }
}
