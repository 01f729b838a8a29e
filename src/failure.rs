//! What went wrong on the path from a Produce to the Log Service, and what the client is told.
//!
//! [`Failure::code`] is the one place where a failure becomes a Kafka error code. It leaves the codes of the login to the session.

use std::time::Duration;

use serde::Deserialize;

use crate::backend::{DescribeError, PutError, Unstorable};
use crate::idempotence::{Refusal, Temporary};
use crate::logs::LogError;
use crate::protocol::error_code::ErrorCode;
use crate::records::{self, DecodeError};
use crate::tenant::NameError;

/// The first Produce version whose speakers all retry KAFKA_STORAGE_ERROR; older librdkafka and sarama
/// take it for final, ruby-kafka does not know it.
const STORAGE_ERROR_VERSION_MIN: i16 = 8;

/// What a network failure towards the Log Service is told as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkError {
    /// By codes that every client retries.
    #[default]
    Safe,
    /// NETWORK_EXCEPTION, as published; librdkafka, sarama and others drop data on it.
    Published,
}

/// What a failure says of the client's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyState {
    /// Nothing bad.
    Fine,
    Refused,
    /// It worked a short time ago: the connection closes without an answer, so that the agent keeps its data.
    Held,
}

/// Why one partition of a Produce request, or one topic of a Metadata request, was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("the access key is not valid")]
    BadKey,
    #[error("the access key may not write to this Logstore")]
    NoRight,
    /// The Log Service does not say which.
    #[error("the access key is not valid or lacks a permission")]
    BadKeyOrNoRight,
    #[error("the access key worked before and is refused now")]
    KeyHeld,
    #[error("the project or the Logstore does not exist")]
    NoLogstore,
    #[error("not a Logstore's name: {0}")]
    BadName(#[from] NameError),
    #[error("partition {0} is out of range")]
    BadPartition(i32),
    #[error("the Log Service cannot tell now")]
    Unknown,
    #[error("not stored, try again: {0}")]
    NotStored(&'static str),
    #[error("not stored, try again: {why}")]
    Throttled { why: &'static str, pause: Duration },
    #[error("not stored, try again: {0}")]
    Unreachable(&'static str),
    #[error("perhaps stored: {0}")]
    Uncertain(&'static str),
    #[error("{0}")]
    Records(#[from] DecodeError),
    #[error("record {record}: {error}")]
    Log { record: usize, error: LogError },
    /// The Log Service refused this record, even repaired. Its index is not known where it was looked for in vain.
    #[error("record {}: {why}", record.map_or("unknown".to_owned(), |index| index.to_string()))]
    Unstorable {
        record: Option<usize>,
        why: Unstorable,
    },
    #[error("{0}")]
    Sequence(Refusal),
}

impl Failure {
    /// The code for a Produce answer of this version.
    pub fn code(&self, produce_version: i16, network_error: NetworkError) -> ErrorCode {
        match self {
            Self::BadKey | Self::NoRight | Self::BadKeyOrNoRight => {
                ErrorCode::TopicAuthorizationFailed
            }
            Self::Unreachable(_) | Self::Uncertain(_)
                if network_error == NetworkError::Published =>
            {
                ErrorCode::NetworkException
            }
            Self::NoLogstore | Self::BadPartition(_) => ErrorCode::UnknownTopicOrPartition,
            Self::BadName(_) => ErrorCode::InvalidTopic,
            Self::Unknown
            | Self::NotStored(_)
            | Self::Throttled { .. }
            | Self::Unreachable(_)
            | Self::KeyHeld => try_again(produce_version),
            Self::Uncertain(_) => ErrorCode::RequestTimedOut,
            Self::Records(error) => match error.refusal() {
                records::Refusal::Corrupt => ErrorCode::CorruptMessage,
                records::Refusal::Invalid => ErrorCode::InvalidRecord,
                records::Refusal::UnsupportedCompression => ErrorCode::UnsupportedCompressionType,
                records::Refusal::TooLarge => ErrorCode::MessageTooLarge,
                records::Refusal::Transactional => ErrorCode::TransactionalIdAuthorizationFailed,
            },
            Self::Log { .. } => ErrorCode::MessageTooLarge,
            Self::Unstorable { why, .. } => match why {
                Unstorable::Invalid => ErrorCode::InvalidRecord,
                Unstorable::TooLarge => ErrorCode::MessageTooLarge,
            },
            Self::Sequence(refusal) => match refusal {
                Refusal::Gap | Refusal::NewEpochNotZero => ErrorCode::OutOfOrderSequenceNumber,
                Refusal::OldEpoch => ErrorCode::InvalidProducerEpoch,
                Refusal::Later(Temporary::Uncertain(_)) => ErrorCode::RequestTimedOut,
                Refusal::Later(Temporary::NotStored(_)) | Refusal::TooMany => {
                    try_again(produce_version)
                }
            },
        }
    }

    /// The code for a topic in a Metadata answer: only 3, 5, 17 and 29 are safe there, where clients take others for final or pass over them.
    pub fn metadata_code(&self) -> ErrorCode {
        match self {
            Self::BadKey | Self::NoRight | Self::BadKeyOrNoRight => {
                ErrorCode::TopicAuthorizationFailed
            }
            Self::NoLogstore => ErrorCode::UnknownTopicOrPartition,
            Self::BadName(_) => ErrorCode::InvalidTopic,
            _ => ErrorCode::LeaderNotAvailable,
        }
    }

    /// The guilty record's place in its batch, where one is known.
    pub fn record_index(&self) -> Option<usize> {
        match self {
            Self::Records(error) => error.record_index(),
            Self::Log { record, .. } => Some(*record),
            Self::Unstorable { record, .. } => *record,
            _ => None,
        }
    }

    /// What this says of the client's key.
    pub fn key_state(&self) -> KeyState {
        match self {
            Self::BadKey | Self::NoRight | Self::BadKeyOrNoRight => KeyState::Refused,
            Self::KeyHeld => KeyState::Held,
            _ => KeyState::Fine,
        }
    }

    /// How long the client should send nothing.
    pub fn throttle(&self) -> Duration {
        match self {
            Self::Throttled { pause, .. } => *pause,
            _ => Duration::ZERO,
        }
    }

    /// One of a closed set, for counting and for the rate limit of the log.
    pub fn label(&self) -> &'static str {
        match self {
            Self::BadKey => "bad-key",
            Self::NoRight => "no-right",
            Self::BadKeyOrNoRight => "bad-key-or-no-right",
            Self::KeyHeld => "key-held",
            Self::NoLogstore => "no-logstore",
            Self::BadName(_) => "bad-name",
            Self::BadPartition(_) => "bad-partition",
            Self::Unknown => "unknown",
            Self::NotStored(_) => "not-stored",
            Self::Throttled { .. } => "throttled",
            Self::Unreachable(_) => "unreachable",
            Self::Uncertain(_) => "uncertain",
            Self::Records(_) => "bad-records",
            Self::Log { .. } => "too-large",
            Self::Unstorable { .. } => "unstorable",
            Self::Sequence(_) => "sequence",
        }
    }
}

/// "Not stored, come back": the code that every speaker of this version retries without losing data.
fn try_again(produce_version: i16) -> ErrorCode {
    if produce_version >= STORAGE_ERROR_VERSION_MIN {
        ErrorCode::KafkaStorageError
    } else {
        ErrorCode::NotLeaderOrFollower
    }
}

impl From<DescribeError> for Failure {
    fn from(error: DescribeError) -> Self {
        match error {
            DescribeError::NoProject | DescribeError::NoLogstore => Self::NoLogstore,
            DescribeError::BadKey => Self::BadKey,
            DescribeError::Unauthorized => Self::BadKeyOrNoRight,
            DescribeError::KeyHeld => Self::KeyHeld,
            DescribeError::Unavailable => Self::Unknown,
        }
    }
}

impl From<PutError> for Failure {
    fn from(error: PutError) -> Self {
        match error {
            PutError::NotStored(why) => Self::NotStored(why),
            PutError::Uncertain(why) => Self::Uncertain(why),
            PutError::NoProject | PutError::NoLogstore => Self::NoLogstore,
            PutError::Throttled { why, pause } => Self::Throttled { why, pause },
            PutError::Unreachable(why) => Self::Unreachable(why),
            PutError::BadKey => Self::BadKey,
            PutError::Unauthorized => Self::NoRight,
            PutError::KeyHeld => Self::KeyHeld,
            PutError::Content { why, .. } => Self::Unstorable { record: None, why },
        }
    }
}
