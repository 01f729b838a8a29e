//! A LogGroup that a client sent: all of it is checked before any of it is stored, for one bad log makes the Log Service
//! refuse the group.

use super::error::Error;
use super::limits::{
    FUTURE_MAX_S, KEY_BYTES_MAX, LOGS_MAX, PAST_MAX_S, TEXT_BYTES_MAX, VALUE_BYTES_MAX,
};
use crate::backend::embedded::FUTURE_SECONDS_MAX;
use crate::logs::{LogGroupReader, LogReader};

/// What is known of a good group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    pub log_count: u32,
    pub time_min: u32,
    pub time_max: u32,
}

/// The times that a log may have, Unix seconds.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    min: i64,
    max: i64,
}

impl Window {
    /// As the Log Service has it where `strict`. Otherwise any past: an old backlog keeps its times; and as far ahead as the
    /// store finds logs by their time.
    pub fn new(now_s: i64, strict: bool) -> Self {
        if strict {
            Self {
                min: now_s - PAST_MAX_S,
                max: now_s + FUTURE_MAX_S,
            }
        } else {
            Self {
                min: 0,
                max: now_s.saturating_add_unsigned(FUTURE_SECONDS_MAX),
            }
        }
    }
}

pub fn check(raw: &[u8], window: Window) -> Result<Checked, Error> {
    let group = LogGroupReader::new(raw)?;
    let is_long = |text: &str| text.len() > TEXT_BYTES_MAX;
    if is_long(group.topic())
        || is_long(group.source())
        || group.tags().any(|(key, _)| is_long(key))
    {
        return Err(Error::TextTooLong);
    }
    let mut checked = Checked {
        log_count: 0,
        time_min: u32::MAX,
        time_max: 0,
    };
    for log in group.logs() {
        if checked.log_count == LOGS_MAX {
            return Err(Error::TooManyLogs);
        }
        checked.log_count += 1;
        check_log(&log, checked.log_count, window)?;
        checked.time_min = checked.time_min.min(log.time());
        checked.time_max = checked.time_max.max(log.time());
    }
    if checked.log_count == 0 {
        return Err(Error::NoLog);
    }
    Ok(checked)
}

/// `log` is its number, from 1.
fn check_log(reader: &LogReader<'_>, log: u32, window: Window) -> Result<(), Error> {
    let time = reader.time();
    let Window { min, max } = window;
    if !(min..=max).contains(&i64::from(time)) {
        return Err(Error::TimeOutOfRange {
            log,
            time,
            min,
            max,
        });
    }
    let mut is_empty = true;
    for (key, value) in reader.contents() {
        is_empty = false;
        if key.len() > KEY_BYTES_MAX {
            let bytes = key.len();
            return Err(Error::KeyTooLong { log, bytes });
        }
        if value.len() > VALUE_BYTES_MAX {
            let bytes = value.len();
            return Err(Error::ValueTooLong { log, bytes });
        }
    }
    if is_empty {
        return Err(Error::NoField(log));
    }
    Ok(())
}
