//! Which logs `sluice logs` was asked for, from its options.

use regex::Regex;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::super::{Failure, Format};
use super::{Group, Log, LogsArguments};
use crate::config::units;

/// Logs that `-f` begins with, as tail does.
pub(super) const FOLLOW_LIMIT: usize = 10;

/// Which logs, and how.
pub struct Query {
    /// Nanoseconds since the epoch; a log's time is at or after `since` and before `until`.
    since: Option<i128>,
    until: Option<i128>,
    grep: Option<Regex>,
    pub limit: Option<usize>,
    pub follow: bool,
    pub format: Format,
}

const SECOND: i128 = 1_000_000_000;

impl Query {
    /// The first second that may hold a log asked for.
    pub fn since_seconds(&self) -> Option<u32> {
        let seconds = self.since?.div_euclid(SECOND).max(0);
        Some(u32::try_from(seconds).unwrap_or(u32::MAX))
    }

    pub fn new(arguments: &LogsArguments, now: OffsetDateTime) -> Result<Self, Failure> {
        let moment = |option: &str, text: &Option<String>| {
            text.as_deref()
                .map(|text| {
                    parse_moment(text, now).ok_or_else(|| {
                        Failure::Usage(format!(
                            "{option} {text}: write a time like 2025-07-01T12:00:00Z, a date, Unix seconds, or a period ago like 10m"
                        ))
                    })
                })
                .transpose()
        };
        let since = moment("--since", &arguments.since)?;
        let grep = arguments.grep.as_deref().map(Regex::new).transpose();
        let unnamed = arguments.follow && since.is_none();
        Ok(Self {
            since,
            until: moment("--until", &arguments.until)?,
            grep: grep.map_err(|error| Failure::Usage(format!("--grep: {error}")))?,
            limit: arguments.limit.or(unnamed.then_some(FOLLOW_LIMIT)),
            follow: arguments.follow,
            format: arguments.format,
        })
    }

    /// Can a group hold a log that is asked for? Spares decoding.
    pub fn may_match(&self, group: &Group) -> bool {
        let after = |since: i128| (i128::from(group.time_max) + 1) * SECOND > since;
        let before = |until: i128| i128::from(group.time_min) * SECOND < until;
        self.since.is_none_or(after) && self.until.is_none_or(before)
    }

    pub fn matches(&self, log: &Log<'_>) -> bool {
        let time = i128::from(log.time) * SECOND + i128::from(log.time_ns);
        self.since.is_none_or(|since| time >= since)
            && self.until.is_none_or(|until| time < until)
            && self
                .grep
                .as_ref()
                .is_none_or(|grep| log.fields.iter().any(|(_, value)| grep.is_match(value)))
    }
}

/// Nanoseconds since the epoch.
pub(super) fn parse_moment(text: &str, now: OffsetDateTime) -> Option<i128> {
    if let Ok(period) = units::parse_period(text) {
        return Some(now.unix_timestamp_nanos() - i128::try_from(period.as_nanos()).ok()?);
    }
    if let Some(moment) = parse_seconds(text) {
        return Some(moment);
    }
    let moment = OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| OffsetDateTime::parse(&format!("{text}T00:00:00Z"), &Rfc3339));
    Some(moment.ok()?.unix_timestamp_nanos())
}

/// Unix seconds, perhaps with a fraction.
fn parse_seconds(text: &str) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let nanos = format!("{fraction:0<9}").parse::<i128>().ok()?;
    Some(i128::from(whole.parse::<u64>().ok()?) * SECOND + nanos)
}
