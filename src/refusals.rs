//! Refusals are counted by a closed set of reasons and logged at a bounded rate: a thousand agents with one wrong key
//! must not fill the log, and the first of them must still be seen.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One line per reason in this time; the next one tells how many were left out.
const LOG_INTERVAL: Duration = Duration::from_secs(1);

/// What is kept of a peer's text: any legal name, and a client id that can be told from others.
const SHOWN_CHARS_MAX: usize = 64;

/// A peer's text as the log may show it: escaped and cut.
pub fn shown(text: &str) -> String {
    text.escape_default().take(SHOWN_CHARS_MAX).collect()
}

/// Counts of refusals by reason.
#[derive(Debug, Default)]
pub struct Refusals {
    reasons: Mutex<HashMap<&'static str, Tally>>,
}

#[derive(Debug, Default)]
struct Tally {
    total: u64,
    unlogged: u64,
    logged_last: Option<Instant>,
}

impl Refusals {
    /// Counts one refusal. `Some(n)`: log it now; `n` others of this reason went unlogged since the last line.
    pub fn count(&self, reason: &'static str, now: Instant) -> Option<u64> {
        let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = reasons.entry(reason).or_default();
        tally.total += 1;
        let due = tally
            .logged_last
            .is_none_or(|last| now.duration_since(last) >= LOG_INTERVAL);
        if !due {
            tally.unlogged += 1;
            return None;
        }
        tally.logged_last = Some(now);
        Some(std::mem::take(&mut tally.unlogged))
    }

    /// How many refusals of this reason there were.
    pub fn total(&self, reason: &'static str) -> u64 {
        let reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        reasons.get(reason).map_or(0, |tally| tally.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_peers_say_is_escaped_and_cut() {
        assert_eq!(shown("a\n\u{1b}"), "a\\n\\u{1b}");
        assert_eq!(shown(&"x".repeat(1 << 20)).len(), SHOWN_CHARS_MAX);
    }

    #[test]
    fn each_reason_is_logged_once_a_second_and_tells_what_it_left_out() {
        let refusals = Refusals::default();
        let start = Instant::now();
        assert_eq!(refusals.count("bad-key", start), Some(0));
        assert_eq!(refusals.count("bad-key", start), None);
        assert_eq!(
            refusals.count("no-logstore", start),
            Some(0),
            "another reason has its own line"
        );
        assert_eq!(refusals.count("bad-key", start + LOG_INTERVAL / 2), None);
        assert_eq!(refusals.count("bad-key", start + LOG_INTERVAL), Some(2));
        assert_eq!(refusals.total("bad-key"), 4);
    }
}
