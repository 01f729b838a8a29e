//! A record's timestamp as a log's time, repaired where the backend would refuse it.
//!
//! No clock is read here: the arrival time is handed in.

/// Which log times the backend takes, relative to now; others become the arrival time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeWindow {
    /// `None`: any age (but never before 1980).
    pub past_seconds_max: Option<u64>,
    pub future_seconds_max: u64,
}

impl TimeWindow {
    /// Would logs of this range of times (Unix seconds) be taken now?
    pub fn covers(self, time_min: u32, time_max: u32, now_s: u32) -> bool {
        let milliseconds = |seconds: u32| i64::from(seconds) * 1000;
        let mut times = [time_min, time_max].into_iter().map(milliseconds);
        times.all(|time_ms| accepts(self, time_ms, milliseconds(now_s)))
    }
}

/// When a log happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogTime {
    /// Unix seconds.
    pub seconds: u32,
    /// Nanoseconds within the second; `None`: not known, and not written.
    pub nanoseconds: Option<u32>,
}

/// Kafka's timestamp of a record that has none.
const NO_TIMESTAMP: i64 = -1;

/// 1980-01-01T00:00:00Z. Older timestamps come from clocks that were never set.
const OLDEST_MS: i64 = 315_532_800_000;

/// The last millisecond whose second fits the Log Service's 32 bits, in the year 2106.
const NEWEST_MS: i64 = u32::MAX as i64 * 1000 + 999;

/// The log's time, and the record's own timestamp where it was replaced by the arrival time.
pub(super) fn log_time(
    timestamp_ms: i64,
    now_ms: i64,
    window: TimeWindow,
) -> (LogTime, Option<i64>) {
    if accepts(window, timestamp_ms, now_ms) {
        return (LogTime::of(timestamp_ms), None);
    }
    let replaced = (timestamp_ms != NO_TIMESTAMP).then_some(timestamp_ms);
    (LogTime::of(now_ms), replaced)
}

fn accepts(window: TimeWindow, timestamp_ms: i64, now_ms: i64) -> bool {
    let newest = now_ms.saturating_add(milliseconds(window.future_seconds_max));
    let oldest = window
        .past_seconds_max
        .map_or(OLDEST_MS, |past| now_ms.saturating_sub(milliseconds(past)));
    (oldest.max(OLDEST_MS)..=newest.min(NEWEST_MS)).contains(&timestamp_ms)
}

fn milliseconds(seconds: u64) -> i64 {
    i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX)
}

impl LogTime {
    /// A whole second has no nanoseconds: many agents only know seconds.
    fn of(unix_ms: i64) -> Self {
        let unix_ms = unix_ms.clamp(0, NEWEST_MS);
        let within_second = (unix_ms % 1000) as u32;
        Self {
            seconds: (unix_ms / 1000) as u32,
            nanoseconds: (within_second > 0).then_some(within_second * 1_000_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_751_371_200_250;
    const WEEK: TimeWindow = TimeWindow {
        past_seconds_max: Some(600_000),
        future_seconds_max: 840,
    };
    const ANY_AGE: TimeWindow = TimeWindow {
        past_seconds_max: None,
        future_seconds_max: 86_400,
    };

    fn kept(timestamp_ms: i64, window: TimeWindow) -> bool {
        let (time, replaced) = log_time(timestamp_ms, NOW_MS, window);
        if time != LogTime::of(timestamp_ms) {
            assert_eq!(time, LogTime::of(NOW_MS));
        }
        replaced.is_none()
    }

    #[test]
    fn a_timestamp_inside_the_window_is_kept_to_its_edges() {
        assert!(kept(NOW_MS - 600_000_000, WEEK));
        assert!(!kept(NOW_MS - 600_000_001, WEEK));
        assert!(kept(NOW_MS + 840_000, WEEK));
        assert!(!kept(NOW_MS + 840_001, WEEK));
    }

    #[test]
    fn an_old_backlog_is_kept_where_any_age_is_taken_but_not_before_1980() {
        assert!(kept(OLDEST_MS, ANY_AGE));
        assert!(!kept(OLDEST_MS - 1, ANY_AGE));
        assert!(!kept(0, ANY_AGE));
        assert!(!kept(-7, ANY_AGE));
    }

    #[test]
    fn an_absent_timestamp_leaves_nothing_to_remember() {
        assert_eq!(log_time(-1, NOW_MS, ANY_AGE), (LogTime::of(NOW_MS), None));
    }

    #[test]
    fn a_range_is_covered_when_both_its_ends_lie_in_the_window() {
        let now_s = (NOW_MS / 1000) as u32;
        let (oldest, newest) = (now_s - 600_000, now_s + 840);
        assert!(WEEK.covers(oldest, newest, now_s));
        assert!(!WEEK.covers(oldest - 1, now_s, now_s));
        assert!(!WEEK.covers(now_s, newest + 1, now_s));
        assert!(ANY_AGE.covers((OLDEST_MS / 1000) as u32, now_s, now_s));
        assert!(!ANY_AGE.covers(0, now_s, now_s));
    }

    #[test]
    fn a_time_that_was_just_kept_is_covered_in_the_same_second() {
        for timestamp_ms in [NOW_MS - 600_000_000, NOW_MS + 840_000, NOW_MS] {
            let (time, replaced) = log_time(timestamp_ms, NOW_MS, WEEK);
            assert_eq!(replaced, None);
            assert!(WEEK.covers(time.seconds, time.seconds, (NOW_MS / 1000) as u32));
        }
    }

    #[test]
    fn extremes_neither_overflow_nor_wrap() {
        let unbounded = TimeWindow {
            past_seconds_max: Some(u64::MAX),
            future_seconds_max: u64::MAX,
        };
        assert!(!kept(i64::MIN, unbounded));
        assert!(!kept(i64::MAX, unbounded));
        assert!(kept(NEWEST_MS, unbounded));
        assert_eq!(LogTime::of(NEWEST_MS).seconds, u32::MAX);
    }

    #[test]
    fn milliseconds_become_nanoseconds_and_a_whole_second_has_none() {
        assert_eq!(LogTime::of(NOW_MS).nanoseconds, Some(250_000_000));
        assert_eq!(LogTime::of(1_751_371_200_000).nanoseconds, None);
    }
}
