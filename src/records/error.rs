//! Why a record set is refused: the facts, and what kind of refusal they make.
//!
//! The kinds follow what a Kafka broker answers to the same bytes, except where that answer makes clients send them for ever.

use super::compression::{Codec, CodecFault};

/// Why a record set was refused. `at` is a byte of the `records` field, unless a variant says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the record set is empty")]
    Empty,
    /// Since Produce version 3 only whole sets may be sent.
    #[error("the entry at byte {at} is cut: it needs {needed} bytes, {left} are left")]
    CutEntry {
        at: usize,
        needed: usize,
        left: usize,
    },
    /// Before Produce version 3 a cut last entry is ignored, but here it is the only one.
    #[error("the only entry is cut: it needs {needed} bytes, {left} are there")]
    OnlyCutEntry { needed: usize, left: usize },
    #[error("the entry at byte {at} has size {size}, at least {min} are needed")]
    EntrySize { at: usize, size: i32, min: i32 },
    #[error("the entry at byte {at} has magic {magic}")]
    Magic { at: usize, magic: u8 },
    #[error("the entry at byte {at} has magic {magic} in a set that began with magic {first}")]
    MixedMagic { at: usize, magic: u8, first: u8 },
    /// `at` counts from the start of the decompressed bytes for an entry inside a wrapper.
    #[error("the entry at byte {at} has checksum {computed:08x}, its header says {stored:08x}")]
    Checksum {
        at: usize,
        stored: u32,
        computed: u32,
        /// The record that is lost; `None` if all records of the set are.
        record_index: Option<usize>,
    },
    #[error("{bytes} bytes follow the batch, only one batch is allowed")]
    SecondBatch { bytes: usize },
    #[error("control batches come from brokers only")]
    ControlBatch,
    #[error("the batch is transactional")]
    TransactionalBatch,
    #[error("the batch counts {count} records, its last offset delta is {last_offset_delta}")]
    RecordCount { count: i32, last_offset_delta: i32 },
    #[error("producer {producer_id} sent base sequence {base_sequence}")]
    BaseSequence {
        producer_id: i64,
        base_sequence: i32,
    },
    #[error("codec {id} is not supported with magic {magic} in Produce version {produce_version}")]
    UnsupportedCodec {
        id: u8,
        magic: u8,
        produce_version: i16,
    },
    /// `at` counts from the start of the compressed bytes.
    #[error("cannot decompress {codec}: {fault} at byte {at}")]
    Undecodable {
        codec: Codec,
        at: usize,
        fault: CodecFault,
    },
    #[error("the record set holds more than {bytes_max} bytes")]
    TooManyBytes { bytes_max: usize },
    #[error("the record set holds more than {records_max} records")]
    TooManyRecords { records_max: usize },
    #[error("the wrapper at byte {at} has no value")]
    WrapperWithoutValue { at: usize },
    #[error("the wrapper at byte {at} holds no records")]
    EmptyWrapper { at: usize },
    #[error("record {index} is itself compressed")]
    NestedCompression { index: usize },
    /// `at` counts from the start of the records, after decompression.
    #[error("record {index} is malformed at byte {at}: {fault}")]
    Record {
        index: usize,
        at: usize,
        fault: RecordFault,
    },
    #[error("{bytes} bytes cannot hold {count} records")]
    TooFewBytes { count: usize, bytes: usize },
    #[error("{bytes} bytes follow the last of {count} records")]
    BytesAfterRecords { count: usize, bytes: usize },
}

/// What is wrong inside a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    #[error("it ends too early")]
    Cut,
    #[error("a varint is too long")]
    Varint,
    #[error("a length is negative")]
    NegativeLength,
    #[error("it has more headers than bytes for them")]
    HeaderCount,
    #[error("bytes follow its last field")]
    BytesAfterFields,
}

/// The kinds of refusal, one for each Kafka error code that a record set can earn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Damaged on the way; clients send it again. Kafka's CORRUPT_MESSAGE (2).
    Corrupt,
    /// Made wrong; sending it again is useless. Kafka's INVALID_RECORD (87).
    Invalid,
    /// Kafka's UNSUPPORTED_COMPRESSION_TYPE (76).
    UnsupportedCompression,
    /// Java splits the batch and sends the parts. Kafka's MESSAGE_TOO_LARGE (10).
    TooLarge,
    /// There are no transactions. Kafka's TRANSACTIONAL_ID_AUTHORIZATION_FAILED (53).
    Transactional,
}

impl DecodeError {
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::OnlyCutEntry { .. }
            | Self::EntrySize { .. }
            | Self::Magic { .. }
            | Self::Checksum { .. } => Refusal::Corrupt,
            Self::UnsupportedCodec { .. } => Refusal::UnsupportedCompression,
            Self::TooManyBytes { .. } | Self::TooManyRecords { .. } => Refusal::TooLarge,
            Self::TransactionalBatch => Refusal::Transactional,
            Self::Empty
            | Self::CutEntry { .. }
            | Self::MixedMagic { .. }
            | Self::SecondBatch { .. }
            | Self::ControlBatch
            | Self::RecordCount { .. }
            | Self::BaseSequence { .. }
            | Self::Undecodable { .. }
            | Self::WrapperWithoutValue { .. }
            | Self::EmptyWrapper { .. }
            | Self::NestedCompression { .. }
            | Self::Record { .. }
            | Self::TooFewBytes { .. }
            | Self::BytesAfterRecords { .. } => Refusal::Invalid,
        }
    }

    /// The guilty record's place in the set, from 0, if one is known: `batch_index` in a Produce response's `record_errors`.
    pub fn record_index(&self) -> Option<usize> {
        match *self {
            Self::NestedCompression { index } | Self::Record { index, .. } => Some(index),
            Self::Checksum { record_index, .. } => record_index,
            _ => None,
        }
    }
}
