//! Record → log → LogGroup: the waist between Kafka and the Log Service.
//!
//! A record becomes a log here and nowhere else ([`Encoder`]); it is encoded straight into the Log Service's protobuf.
//! Nothing in it can make the Log Service refuse the group that it shares: names, times, sizes and encodings are
//! repaired by fixed rules, and only the repaired log is written.
//!
//! ```text
//! Record ──Encoder──▶ Piece … ──GroupCloser──▶ LogGroup ──decompress──▶ LogGroupReader
//!                                                └──open──▶ Apart: some of its logs, repaired, to be closed again
//! ```
//!
//! Which Logstore and shard a log goes to, how long a group waits for company, and what the backend's bounds are, is
//! decided elsewhere. There is no I/O here, and no clock.

mod apart;
mod codec;
mod encoder;
mod json;
mod log;
mod log_group;
mod mapping;
mod mend;
mod name;
mod parts;
mod pieces;
mod reader;
mod time;
mod wire;

#[cfg(test)]
mod tests;

pub use apart::Apart;
pub use codec::{Codec, Compression, Digest, DigestKind, decompress};
pub use encoder::Encoder;
pub use log_group::{Envelope, GroupCloser, LogGroup, Tag};
pub use mapping::{ArrayRule, HeaderRule, KeyRule, Mapping, OversizeRule, SourceRule, TopicRule};
pub use mend::Repair;
pub use reader::{LogGroupError, LogGroupReader, LogReader};
pub use time::TimeWindow;

/// Sizes that the backend takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Largest log, in bytes of its encoded form with tag and length; a larger value is split into parts. A few
    /// kilobytes at least.
    pub log_bytes_max: usize,
    /// A piece is cut before it has more encoded bytes than this; only a single log may.
    pub piece_bytes_max: usize,
    /// A piece is cut when it holds this many logs.
    pub piece_logs_max: u32,
    /// Longest field name, in bytes; 32 at least.
    pub name_bytes_max: usize,
    /// Encoded bytes that one Kafka batch may expand to. A log adds up to 60 bytes and its key's name to its record;
    /// base64 adds a third.
    pub expansion_bytes_max: usize,
}

/// Encoded logs of one Kafka batch that may share a LogGroup: a run of protobuf `Logs` entries
/// (`0a len Log`), cut at log boundaries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    pub logs: Vec<u8>,
    pub log_count: u32,
    /// Unix seconds.
    pub time_min: u32,
    pub time_max: u32,
}

/// Why a record cannot become a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    #[error("a log of {bytes} bytes is over the limit of {max}")]
    TooLarge { bytes: usize, max: usize },
    #[error("the batch's logs are over the limit of {max} bytes")]
    BatchTooLarge { max: usize },
}

/// What all records of one Kafka batch share.
#[derive(Clone, Copy, Debug)]
pub struct BatchContext<'a> {
    pub mapping: &'a Mapping,
    pub window: TimeWindow,
    pub bounds: Bounds,
    /// Arrival time, milliseconds since the epoch.
    pub now_ms: i64,
    /// The topic had the suffix `.json`.
    pub json_topic: bool,
    /// Set with `source = "field"`: goes into each log as `__client_ip__`.
    pub client_ip: Option<&'a str>,
}
