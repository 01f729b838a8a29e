//! Repairs of a log that the Log Service refuses though it was written by the rules, or whose time went out of the
//! window while it waited (delivery 4).
//!
//! Nothing of the log is lost, whatever is done to it. Which logs to repair, and what the Log Service said of them, is
//! the backend's business; there is no clock here.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::log::{Body, Log};
use super::name::{
    BASE64_SUFFIX, KAFKA_KEY, KAFKA_KEY_BASE64, KAFKA_TIMESTAMP, hash, is_own, push_hash, reduce,
    repair,
};
use super::time::LogTime;
use super::wire::{CONTENT, put_pair};
use super::{LogReader, TimeWindow};

/// What is to be done to a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// A time outside the window becomes now, and its milliseconds are kept in `__kafka_timestamp__`; where the log has
    /// that field already, it holds the record's own, and stays. The log grows by about 40 bytes.
    Time {
        /// Unix seconds.
        now_s: u32,
        /// `None`: any time is taken to be outside.
        window: Option<TimeWindow>,
    },
    /// Each value becomes base64, and its field's name letters, digits and `_`, ending in `_base64`. What the gateway
    /// itself has written stays. The values grow by a third.
    Base64 {
        /// Longest field name, in bytes.
        name_bytes_max: usize,
    },
}

/// Repairs one log after another; its buffers are reused.
pub(super) struct Mender {
    repair: Repair,
    /// Encoded fields of the log at hand.
    fields: Vec<u8>,
    names: Names,
    value: String,
}

impl Mender {
    pub fn new(repair: Repair) -> Self {
        Self {
            repair,
            fields: Vec::new(),
            names: Names::default(),
            value: String::new(),
        }
    }

    /// The repaired log. `None`: nothing in it needs this repair.
    pub fn mend(&mut self, log: LogReader<'_>) -> Option<Log<'_>> {
        self.fields.clear();
        let time = match self.repair {
            Repair::Time { now_s, window } => {
                let covers = |window: TimeWindow| window.covers(log.time(), log.time(), now_s);
                if window.is_some_and(covers) {
                    return None;
                }
                self.put_remembering_time(log);
                LogTime {
                    seconds: now_s,
                    nanoseconds: None,
                }
            }
            Repair::Base64 { name_bytes_max } => {
                self.put_base64(log, name_bytes_max);
                LogTime {
                    seconds: log.time(),
                    nanoseconds: log.time_ns(),
                }
            }
        };
        Some(Log {
            time,
            shared: &[],
            body: Body::Encoded(&self.fields),
            tail: &[],
        })
    }

    fn put_remembering_time(&mut self, log: LogReader<'_>) {
        let mut remembered = false;
        for (name, value) in log.contents() {
            remembered |= name == KAFKA_TIMESTAMP;
            self.put(name, value);
        }
        if !remembered {
            let within_second = log.time_ns().unwrap_or_default() / 1_000_000;
            let unix_ms = u64::from(log.time()) * 1000 + u64::from(within_second);
            self.put(KAFKA_TIMESTAMP, &unix_ms.to_string());
        }
    }

    fn put_base64(&mut self, log: LogReader<'_>, name_bytes_max: usize) {
        self.names.clear();
        for (name, value) in log.contents() {
            if is_own(name) && name != KAFKA_KEY {
                self.put(name, value);
                continue;
            }
            self.value.clear();
            STANDARD.encode_string(value, &mut self.value);
            let name = self.names.base64(name, name_bytes_max).as_bytes();
            put_pair(&mut self.fields, CONTENT, name, self.value.as_bytes());
        }
    }

    fn put(&mut self, name: &str, value: &str) {
        let (name, value) = (name.as_bytes(), value.as_bytes());
        put_pair(&mut self.fields, CONTENT, name, value);
    }
}

/// The new names of one log's fields.
#[derive(Default)]
struct Names {
    given: HashSet<String>,
    reduced: String,
    repaired: String,
}

impl Names {
    fn clear(&mut self) {
        self.given.clear();
    }

    /// The name for the base64 of a field. Where the log has got it already, the hash of the old name keeps them apart.
    fn base64(&mut self, name: &str, bytes_max: usize) -> &str {
        if name == KAFKA_KEY {
            return KAFKA_KEY_BASE64;
        }
        let Self {
            given,
            reduced,
            repaired,
        } = self;
        reduced.clear();
        reduce(name, reduced);
        if given.contains(repair(reduced, BASE64_SUFFIX, bytes_max, repaired)) {
            push_hash(hash(name), reduced);
        }
        let new = repair(reduced, BASE64_SUFFIX, bytes_max, repaired);
        given.insert(new.to_owned());
        new
    }
}
