//! How the tries of one group went, how long to wait for the next, and what is told when there is none.

use std::time::{Duration, Instant};

use super::client::{CallError, Kind};
use super::pause::{self, PAUSE_MAX};
use crate::backend::PutError;

const NO_ANSWER: &str = "the Log Service did not answer in time";
const KEY_UNDER_TEST: &str = "the Log Service refuses what was good a moment ago";

/// How the tries of one group went so far.
#[derive(Default)]
pub struct Tries {
    pub failures: u32,
    /// The Log Service could not decompress it.
    pub unreadable: u32,
    /// When a shard was first missing.
    pub shardless: Option<Instant>,
    /// A try may have stored it.
    pub uncertain: bool,
    /// The shard, where it is no more the one that was chosen first.
    pub shard: Option<u32>,
}

impl Tries {
    /// At random up to the longest, so that those who failed together do not come back together.
    pub fn pause(&self) -> Duration {
        pause::jitter(pause::longest(self.failures.saturating_sub(1)))
    }

    pub fn throttled(&self, pause: Duration) -> PutError {
        self.surely(PutError::Throttled {
            why: "a quota of the Log Service is used up",
            pause,
        })
    }

    /// This, unless an earlier try may have stored it.
    pub fn surely(&self, error: PutError) -> PutError {
        if self.uncertain {
            return PutError::Uncertain(NO_ANSWER);
        }
        error
    }

    /// What is told when the last try ended so.
    pub fn verdict(&self, error: &CallError) -> PutError {
        let why = match error.kind {
            Kind::Quota(_) => return self.throttled(PAUSE_MAX / 2),
            Kind::Network { .. } | Kind::BadAnswer => {
                return self.surely(PutError::Unreachable("the Log Service cannot be reached"));
            }
            Kind::NoShard => "the Logstore has no such shard now",
            Kind::ServerError => "the Log Service failed",
            Kind::Busy => "the Log Service is busy",
            Kind::ClockSkew => "the clock of this machine is wrong",
            Kind::ProjectForbidden => "the project is disabled",
            Kind::Unauthorized
            | Kind::InvalidAccessKeyId
            | Kind::SignatureNotMatch
            | Kind::NoProject
            | Kind::NoLogstore => KEY_UNDER_TEST,
            Kind::BadCompression => "the Log Service cannot decompress it",
            _ => "the Log Service refuses the gateway's request",
        };
        self.surely(PutError::NotStored(why))
    }
}
