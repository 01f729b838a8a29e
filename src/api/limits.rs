//! What one process lets the clients of its HTTP API take. Sizes of logs and groups are those of the Log Service.

use std::time::Duration;

/// How long whom is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    pub handshake: Duration,
    /// From the end of one request to the end of the next one's head: idle clients and slow ones alike.
    pub head: Duration,
    pub body: Duration,
    /// For the rest of a refused request, so that its client comes to read the answer.
    pub discard: Duration,
    /// From the first byte that has to wait to the last one sent.
    pub answer: Duration,
    /// For memory, and for a thread.
    pub room: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            // Official SDKs drop their idle connections after 55 s.
            head: Duration::from_secs(60),
            body: Duration::from_secs(60),
            discard: Duration::from_secs(5),
            answer: Duration::from_secs(60),
            room: Duration::from_secs(10),
        }
    }
}

pub const CONNECTIONS_MAX: usize = 1000;
/// Request line and headers. A security token may take several hundred bytes, the rest seldom one thousand.
pub const HEAD_BYTES_MAX: usize = 16 << 10;
pub const HEADERS_MAX: usize = 64;
/// What is read ahead of a connection.
pub const BUFFER_BYTES_MAX: usize = 64 << 10;
pub const PARAMETERS_MAX: usize = 32;
pub const PARAMETER_NAME_BYTES_MAX: usize = 64;

/// A body as it is sent.
pub const BODY_BYTES_MAX: u64 = 10 << 20;
/// The JSON of CreateLogStore.
pub const JSON_BYTES_MAX: u64 = 64 << 10;

/// Bodies, decompressed groups and answers of all requests under way.
pub const IN_FLIGHT_BYTES_MAX: u64 = 128 << 20;
/// Threads that read the store, decompress and compress.
pub const WORKERS_MAX: usize = 4;
/// A group of so many bytes is checked where it arrives: handing it over would cost more.
pub const INLINE_BYTES_MAX: usize = 64 << 10;

/// Between a request's time and the time here.
pub const CLOCK_SKEW_MAX_S: i64 = 15 * 60;

/// A LogGroup before compression.
pub const RAW_BYTES_MAX: usize = 10 << 20;
pub const LOGS_MAX: u32 = 40_960;
pub const KEY_BYTES_MAX: usize = 128;
pub const VALUE_BYTES_MAX: usize = 1 << 20;
/// `__topic__` and `__source__`.
pub const TEXT_BYTES_MAX: usize = 128;
/// With `check-times`: how far a log's time may lie from now.
pub const PAST_MAX_S: i64 = 7 * 24 * 60 * 60;
pub const FUTURE_MAX_S: i64 = 15 * 60;

/// LogGroups of one PullLogs.
pub const PULL_GROUPS_MAX: u64 = 1000;
pub const PULL_GROUPS_DEFAULT: u64 = 100;
/// What one PullLogs reads of the store, but at least one group, and what it makes of that, but at least one group.
pub const PULL_STORED_BYTES_MAX: usize = 4 << 20;
pub const PULL_RAW_BYTES_MAX: usize = 10 << 20;

/// Logstores of one page of ListLogStores.
pub const LIST_MAX: usize = 500;
pub const LIST_DEFAULT: usize = 200;

/// Shards of a new Logstore.
pub const CREATED_SHARDS_MAX: u32 = 100;
/// Days that a Logstore may ask to keep its logs.
pub const TTL_DAYS_MAX: u32 = 3650;
