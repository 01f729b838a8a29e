//! The Log Service's clock, learned from its answers: it refuses what was signed more than 15 minutes away from it.
//!
//! The offset from the local clock is the median of the last few answers, so that one odd answer, or one front end whose
//! own clock is wrong, moves nothing. A clock that is really off is followed after a few answers; until then each refused
//! request is signed again with the time of its refusal (see [`upstream`](super::upstream)).

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Odd, so that there is a middle one; more than half of them must agree before the clock moves.
const SAMPLES: usize = 9;

/// Of the Log Service's clock: from the start of 2020 to the end of 2099. Anything else is no time.
const PLAUSIBLE_S: std::ops::Range<i64> = 1_577_836_800..4_102_444_800;

/// Between two warnings about one clock.
const WARNING_PAUSE: Duration = Duration::from_secs(60);

pub(super) struct Clock {
    offset_s: AtomicI64,
    inner: Mutex<Inner>,
}

struct Inner {
    /// Offsets, from zero: the local clock is trusted until most of them say otherwise.
    offsets_s: [i64; SAMPLES],
    next: usize,
    warned: Option<Instant>,
}

impl Clock {
    pub fn new() -> Self {
        Self {
            offset_s: AtomicI64::new(0),
            inner: Mutex::new(Inner {
                offsets_s: [0; SAMPLES],
                next: 0,
                warned: None,
            }),
        }
    }

    /// Unix seconds by the Log Service's clock.
    pub fn now_s(&self) -> i64 {
        local_s() + self.offset_s.load(Ordering::Relaxed)
    }

    /// Takes note of the time in an answer that just came.
    pub fn observe(&self, server_s: i64) {
        self.note(server_s, local_s());
    }

    fn note(&self, server_s: i64, local_s: i64) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let at = inner.next;
        inner.offsets_s[at] = server_s - local_s;
        inner.next = (at + 1) % SAMPLES;
        let mut sorted = inner.offsets_s;
        sorted.sort_unstable();
        self.offset_s.store(sorted[SAMPLES / 2], Ordering::Relaxed);
    }

    /// Is a warning about this clock due? Then it counts as given.
    pub fn warns(&self) -> bool {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let due = inner.warned.is_none_or(|at| at.elapsed() >= WARNING_PAUSE);
        if due {
            inner.warned = Some(Instant::now());
        }
        due
    }
}

/// Unix seconds by the local clock.
pub(super) fn local_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

/// Could this be the Log Service's time?
pub(super) fn is_plausible(unix_s: i64) -> bool {
    PLAUSIBLE_S.contains(&unix_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: i64 = 1_800_000_000;

    fn offset_after(offsets: &[i64]) -> i64 {
        let clock = Clock::new();
        for offset in offsets {
            clock.note(LOCAL + offset, LOCAL);
        }
        clock.offset_s.load(Ordering::Relaxed)
    }

    #[test]
    fn odd_answers_do_not_move_the_clock() {
        assert_eq!(offset_after(&[86_400]), 0);
        assert_eq!(offset_after(&[0, 86_400, -86_400, 1, 86_400, 86_400]), 0);
        assert_eq!(offset_after(&[3600; 4]), 0);
    }

    #[test]
    fn a_clock_that_is_off_is_followed_once_most_answers_agree() {
        assert_eq!(offset_after(&[3600; 5]), 3600);
        assert_eq!(offset_after(&[-900, -901, -900, -901, -900]), -900);
    }

    #[test]
    fn a_step_of_the_local_clock_is_followed_back() {
        let mut offsets = vec![3600; 9];
        offsets.extend([0; 5]);
        assert_eq!(offset_after(&offsets), 0);
    }

    #[test]
    fn times_outside_this_century_are_no_times() {
        for (unix_s, expected) in [(0, false), (-1, false), (LOCAL, true), (i64::MAX, false)] {
            assert_eq!(is_plausible(unix_s), expected, "{unix_s}");
        }
    }

    #[test]
    fn a_warning_is_due_once_and_not_again_at_once() {
        let clock = Clock::new();
        assert!(clock.warns());
        assert!(!clock.warns());
    }
}
