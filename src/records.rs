//! Record sets: what stands in a Produce request's `records` field, message formats v0, v1 and v2.
//!
//! A set is checked and walked here, and each record is lent to the caller. What a record becomes is `logs`' business;
//! which Kafka error code a refusal becomes is the Produce path's, by [`DecodeError::refusal`].
//!
//! # The three formats
//!
//! Byte 16 of every entry is its *magic*, whatever the format: it alone decides how the entry is read. The Produce version
//! does not, because some clients put old message sets into new requests. Magic 0 and 1 are drawn in `records/legacy.rs`,
//! magic 2 in `records/v2.rs`, both after Kafka's protocol guide (section "Record Batch") and its `LegacyRecord`, `DefaultRecordBatch`
//! and `DefaultRecord` sources. All integers are big-endian.
//!
//! # Where this differs from a Kafka broker
//!
//! - Compressed data that cannot be read is refused as invalid, so that the client stops sending it; a broker's answer makes it retry.
//! - One limit holds for the bytes that a set decompresses to; a broker has none.
//! - Base offsets, offset deltas, wrapper offsets and the maximum timestamp's plausibility are not looked at: clients disagree on them,
//!   and offsets mean nothing to the Log Service.

mod compression;
mod error;
mod legacy;
mod reader;
mod v2;

#[cfg(test)]
mod tests;

use compression::{CodecError, Codecs};
use reader::Reader;

pub use compression::{Codec, CodecFault};
pub use error::{DecodeError, RecordFault, Refusal};

/// Where the magic byte of an entry stands, in all formats.
const MAGIC_AT: usize = 16;

/// Offset and size: what stands before the bytes that an entry's size field counts.
const ENTRY_PREFIX_BYTES: usize = 12;

/// The first Produce version whose record sets must be whole (KIP-98); before it a cut last entry is ignored.
const WHOLE_SETS_SINCE: i16 = 3;

/// One Kafka record, borrowed from the frame or from the decoder's buffer.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Milliseconds since the epoch; −1: none.
    pub timestamp_ms: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: Headers<'a>,
}

/// A record's headers, already validated, walked lazily. Names may repeat; order is kept.
///
/// Names are UTF-8 by the protocol but not checked: the bytes are given as they came.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a> {
    /// `count` headers as drawn in [`v2`], exactly.
    bytes: &'a [u8],
    count: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    pub name: &'a [u8],
    pub value: Option<&'a [u8]>,
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        self.count = self.count.checked_sub(1)?;
        let mut reader = Reader::new(self.bytes);
        // Cannot fail: `v2` has read these very bytes with this very function.
        let header = v2::header(&mut reader).ok()?;
        self.bytes = reader.rest();
        Some(header)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count, Some(self.count))
    }
}

impl ExactSizeIterator for Headers<'_> {}

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Decompressed bytes of one record set.
    pub decompressed_bytes_max: usize,
    /// Records of one record set.
    pub records_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            decompressed_bytes_max: 64 << 20,
            records_max: 1_000_000,
        }
    }
}

/// What was in a record set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    pub record_count: usize,
    /// Bytes of the record set after decompression; batch headers and wrappers are not counted.
    pub bytes: usize,
}

/// The idempotent producer's part of a v2 batch header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerBatch {
    pub producer_id: i64,
    pub epoch: i16,
    pub first_sequence: i32,
    pub record_count: i32,
}

/// Reads the producer's part of the header without decoding; `None` for magic 0 and 1, for producer id −1
/// and for what is too short or inconsistent to say (decoding then says why). The CRC is not checked.
pub fn producer_batch(blob: &[u8]) -> Option<ProducerBatch> {
    if blob.get(MAGIC_AT) != Some(&v2::MAGIC) {
        return None;
    }
    let header = v2::BatchHeader::of(blob).ok()?;
    header.check().ok()?;
    header.producer()
}

/// The size field of the entry that `bytes` begins with; `None`: it is cut.
fn entry_size(bytes: &[u8]) -> Option<i32> {
    let (_offset, rest) = bytes.split_at_checked(8)?;
    rest.first_chunk().copied().map(i32::from_be_bytes)
}

/// Decodes record sets, one at a time; its decompression buffer is reused and shrinks back.
#[derive(Default)]
pub struct Decoder {
    codecs: Codecs,
}

impl Decoder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes `blob` (the `records` field of one partition) as it came with this Produce version, giving each record to `each`.
    /// The first error ends the walk; what was given before is then to be thrown away.
    pub fn decode<E: From<DecodeError>>(
        &mut self,
        blob: &[u8],
        produce_version: i16,
        limits: &Limits,
        mut each: impl FnMut(Record<'_>) -> Result<(), E>,
    ) -> Result<Decoded, E> {
        let set = Set {
            blob,
            produce_version,
            limits,
        };
        let decoded = set.decode(&mut self.codecs, &mut each);
        self.codecs.shrink();
        decoded
    }
}

/// A record set and the rules that it came under.
struct Set<'a> {
    blob: &'a [u8],
    produce_version: i16,
    limits: &'a Limits,
}

impl Set<'_> {
    fn decode<E: From<DecodeError>>(
        &self,
        codecs: &mut Codecs,
        each: &mut impl FnMut(Record<'_>) -> Result<(), E>,
    ) -> Result<Decoded, E> {
        if self.blob.is_empty() {
            return Ok(self.nothing()?);
        }
        match self.blob.get(MAGIC_AT) {
            Some(&v2::MAGIC) => v2::decode(self, codecs, each),
            _ => legacy::decode(self, codecs, each),
        }
    }

    /// An empty set is an error since version 3 and was nothing to do before.
    fn nothing(&self) -> Result<Decoded, DecodeError> {
        if self.must_be_whole() {
            return Err(DecodeError::Empty);
        }
        Ok(Decoded::default())
    }

    /// Before Produce version 3 a cut entry would be ignored; `error` is about one that stands alone.
    fn alone(&self, error: DecodeError) -> DecodeError {
        match error {
            DecodeError::CutEntry { needed, left, .. } if !self.must_be_whole() => {
                DecodeError::OnlyCutEntry { needed, left }
            }
            other => other,
        }
    }

    fn undecodable(&self, codec: Codec, error: CodecError) -> DecodeError {
        match error {
            CodecError::OverLimit => DecodeError::TooManyBytes {
                bytes_max: self.limits.decompressed_bytes_max,
            },
            CodecError::Malformed { at, fault } => DecodeError::Undecodable { codec, at, fault },
        }
    }

    fn must_be_whole(&self) -> bool {
        self.produce_version >= WHOLE_SETS_SINCE
    }
}

impl Limits {
    fn check_bytes(&self, bytes: usize) -> Result<(), DecodeError> {
        if bytes > self.decompressed_bytes_max {
            return Err(DecodeError::TooManyBytes {
                bytes_max: self.decompressed_bytes_max,
            });
        }
        Ok(())
    }

    fn check_records(&self, records: usize) -> Result<(), DecodeError> {
        if records > self.records_max {
            return Err(DecodeError::TooManyRecords {
                records_max: self.records_max,
            });
        }
        Ok(())
    }
}
