//! Waiting, with an end.

use std::time::{Duration, Instant};

/// Waits for what has to come true, but not for ever.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "it never came true: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
