//! How long what failed is left alone: longer each time, and at random, so that those who failed together do not come back
//! together.

use std::time::Duration;

const PAUSE_FIRST: Duration = Duration::from_millis(100);
pub const PAUSE_MAX: Duration = Duration::from_secs(2);
/// More of them pass the longest pause.
const DOUBLINGS_MAX: u32 = 5;

/// The longest pause after so many doublings.
pub fn longest(doublings: u32) -> Duration {
    (PAUSE_FIRST * 2_u32.pow(doublings.min(DOUBLINGS_MAX))).min(PAUSE_MAX)
}

/// A random time up to this one.
pub fn jitter(longest: Duration) -> Duration {
    let mut bytes = [0; 4];
    // Without randomness everybody waits the longest.
    if getrandom::fill(&mut bytes).is_err() {
        return longest;
    }
    longest.mul_f64(f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
}
