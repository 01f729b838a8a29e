//! Magic 0 and 1: the message sets of Kafka before 0.11. A set is entries back to back, with neither a count nor a total length.
//!
//! ```text
//!  at  size  entry
//!   0     8  offset                   ignored: clients disagree on it
//!   8     4  size                     bytes after this field; at least 14 (magic 0) or 22 (magic 1)
//!  12     4  CRC-32                   over everything after this field
//!  16     1  magic                    0 or 1, the same in the whole set
//!  17     1  attributes               bits 0–2 codec: 0 none, 1 gzip, 2 snappy, 3 lz4
//!                                     bit 3 timestamp type, magic 1: 1 log append
//!  18     8  timestamp                magic 1 only; ms, −1 unknown
//!   …     4  key length, key          −1: null
//!   …     4  value length, value      −1: null
//! ```
//!
//! An entry with a codec is a *wrapper*: its value is a compressed set of entries of the same magic, which may not be wrappers themselves.
//! Plain entries and wrappers may follow each other. With log append time a wrapper's timestamp is that of all its entries.
//! The last entry of a set may be cut; since Produce version 3 that is an error, before it the entry is ignored.
//!
//! Sources: Kafka's protocol guide, "Old Message Format"; KIP-31 and KIP-32 (magic 1); Kafka's `LegacyRecord`, `AbstractLegacyRecordBatch`
//! and `ByteBufferLogInputStream`.

use super::compression::{Codec, Codecs};
use super::reader::Reader;
use super::{
    DecodeError, Decoded, ENTRY_PREFIX_BYTES, Headers, MAGIC_AT, Record, RecordFault, Set,
    entry_size,
};

/// Entries of higher magic are damage rather than a mistake.
const MAGIC_KNOWN_MAX: u8 = super::v2::MAGIC;

/// Sizes of an entry with null key and null value: CRC, magic, attributes, timestamp (magic 1), two lengths.
const SIZE_MIN: [i32; 2] = [14, 22];

const CRC_AT: usize = ENTRY_PREFIX_BYTES;

/// Where the bytes begin that the CRC covers.
const CRC_COVERS_FROM: usize = 16;

const CODEC_MASK: u8 = 0b111;
const LOG_APPEND_TIME: u8 = 1 << 3;

pub(super) fn decode<E: From<DecodeError>>(
    set: &Set<'_>,
    codecs: &mut Codecs,
    each: &mut impl FnMut(Record<'_>) -> Result<(), E>,
) -> Result<Decoded, E> {
    let mut walk = Walk {
        set,
        each,
        decoded: Decoded::default(),
    };
    walk.outer(codecs)?;
    Ok(walk.decoded)
}

/// The way through a set: what was seen of it so far, and where its records go.
struct Walk<'a, F> {
    set: &'a Set<'a>,
    each: &'a mut F,
    decoded: Decoded,
}

impl<E: From<DecodeError>, F: FnMut(Record<'_>) -> Result<(), E>> Walk<'_, F> {
    fn outer(&mut self, codecs: &mut Codecs) -> Result<(), E> {
        let blob = self.set.blob;
        let mut at = 0;
        while at < blob.len() {
            let raw = match RawEntry::at(blob, at) {
                // Old brokers cut sets at a size when they answer fetches, and so ignore such a rest here, too.
                Err(DecodeError::CutEntry { .. }) if at > 0 && !self.set.must_be_whole() => break,
                other => other.map_err(|error| self.set.alone(error))?,
            };
            raw.check_known_magic()?;
            raw.check_magic(blob[MAGIC_AT])?;
            let entry = raw.entry(self.decoded.record_count)?;
            match entry.codec(self.set.produce_version)? {
                None => self.plain(&entry)?,
                Some(codec) => self.wrapper(&entry, codec, codecs)?,
            }
            at = raw.end();
        }
        Ok(())
    }

    fn plain(&mut self, entry: &Entry<'_>) -> Result<(), E> {
        self.decoded.bytes += entry.raw.bytes.len();
        self.set.limits.check_bytes(self.decoded.bytes)?;
        self.give(entry, entry.timestamp_ms)
    }

    fn wrapper(&mut self, wrapper: &Entry<'_>, codec: Codec, codecs: &mut Codecs) -> Result<(), E> {
        let RawEntry { at, magic, .. } = wrapper.raw;
        let compressed = wrapper
            .value
            .ok_or(DecodeError::WrapperWithoutValue { at })?;
        let bytes_left = self.set.limits.decompressed_bytes_max - self.decoded.bytes;
        let inner = codecs
            .decompress(codec, compressed, magic, bytes_left)
            .map_err(|error| self.set.undecodable(codec, error))?;
        if inner.is_empty() {
            return Err(DecodeError::EmptyWrapper { at }.into());
        }
        self.decoded.bytes += inner.len();
        self.inner(wrapper, inner)
    }

    fn inner(&mut self, wrapper: &Entry<'_>, set: &[u8]) -> Result<(), E> {
        let mut at = 0;
        while at < set.len() {
            let index = self.decoded.record_count;
            let raw = RawEntry::at(set, at)?;
            raw.check_magic(wrapper.raw.magic)?;
            let entry = raw.entry(index)?;
            if entry.attributes & CODEC_MASK != 0 {
                return Err(DecodeError::NestedCompression { index }.into());
            }
            self.give(&entry, wrapper.timestamp_for_inner(&entry))?;
            at = raw.end();
        }
        Ok(())
    }

    fn give(&mut self, entry: &Entry<'_>, timestamp_ms: i64) -> Result<(), E> {
        self.set
            .limits
            .check_records(self.decoded.record_count + 1)?;
        (self.each)(Record {
            timestamp_ms,
            key: entry.key,
            value: entry.value,
            headers: Headers::default(),
        })?;
        self.decoded.record_count += 1;
        Ok(())
    }
}

/// An entry that is there as a whole; nothing else of it is checked.
#[derive(Clone, Copy)]
struct RawEntry<'a> {
    /// Where it begins in its set.
    at: usize,
    magic: u8,
    /// The whole entry.
    bytes: &'a [u8],
}

impl<'a> RawEntry<'a> {
    fn at(set: &'a [u8], at: usize) -> Result<Self, DecodeError> {
        let rest = &set[at..];
        let cut = |needed| DecodeError::CutEntry {
            at,
            needed,
            left: rest.len(),
        };
        let size = entry_size(rest).ok_or(cut(ENTRY_PREFIX_BYTES))?;
        let bytes = ENTRY_PREFIX_BYTES + check_size(at, size, SIZE_MIN[0])?;
        let magic = *rest.get(MAGIC_AT).ok_or(cut(bytes))?;
        Ok(Self {
            at,
            magic,
            bytes: rest.get(..bytes).ok_or(cut(bytes))?,
        })
    }

    fn end(&self) -> usize {
        self.at + self.bytes.len()
    }

    fn check_known_magic(&self) -> Result<(), DecodeError> {
        let Self { at, magic, .. } = *self;
        if magic > MAGIC_KNOWN_MAX {
            return Err(DecodeError::Magic { at, magic });
        }
        Ok(())
    }

    fn check_magic(&self, first: u8) -> Result<(), DecodeError> {
        let Self { at, magic, .. } = *self;
        if magic != first {
            return Err(DecodeError::MixedMagic { at, magic, first });
        }
        Ok(())
    }

    /// Reads the entry, which is or holds the record of this index.
    fn entry(self, record_index: usize) -> Result<Entry<'a>, DecodeError> {
        if self.has_timestamp() {
            // It was an i32 on the wire.
            let size = (self.bytes.len() - ENTRY_PREFIX_BYTES) as i32;
            check_size(self.at, size, SIZE_MIN[1])?;
        }
        self.check_crc(record_index)?;
        let mut fields = Reader::new(&self.bytes[MAGIC_AT + 1..]);
        self.fields(&mut fields)
            .map_err(|fault| DecodeError::Record {
                index: record_index,
                at: self.end() - fields.rest().len(),
                fault,
            })
    }

    fn fields(self, fields: &mut Reader<'a>) -> Result<Entry<'a>, RecordFault> {
        let [attributes] = fields.array()?;
        let timestamp_ms = if self.has_timestamp() {
            fields.i64()?
        } else {
            -1
        };
        let key_length = fields.i32()?;
        let key = fields.nullable(key_length)?;
        let value_length = fields.i32()?;
        let value = fields.nullable(value_length)?;
        if !fields.is_empty() {
            return Err(RecordFault::BytesAfterFields);
        }
        Ok(Entry {
            raw: self,
            attributes,
            timestamp_ms,
            key,
            value,
        })
    }

    fn has_timestamp(&self) -> bool {
        self.magic == 1
    }

    fn stored_crc(&self) -> u32 {
        u32::from_be_bytes(std::array::from_fn(|index| self.bytes[CRC_AT + index]))
    }

    fn check_crc(&self, record_index: usize) -> Result<(), DecodeError> {
        let computed = crc32fast::hash(&self.bytes[CRC_COVERS_FROM..]);
        let stored = self.stored_crc();
        if computed != stored {
            return Err(DecodeError::Checksum {
                at: self.at,
                stored,
                computed,
                record_index: Some(record_index),
            });
        }
        Ok(())
    }
}

/// An entry whose CRC is right, read.
struct Entry<'a> {
    raw: RawEntry<'a>,
    attributes: u8,
    /// −1 with magic 0.
    timestamp_ms: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
}

impl Entry<'_> {
    fn codec(&self, produce_version: i16) -> Result<Option<Codec>, DecodeError> {
        let id = self.attributes & CODEC_MASK;
        match id {
            0 => Ok(None),
            1 => Ok(Some(Codec::Gzip)),
            2 => Ok(Some(Codec::Snappy)),
            3 => Ok(Some(Codec::Lz4)),
            _ => Err(DecodeError::UnsupportedCodec {
                id,
                magic: self.raw.magic,
                produce_version,
            }),
        }
    }

    fn timestamp_for_inner(&self, inner: &Entry<'_>) -> i64 {
        match self.attributes & LOG_APPEND_TIME {
            0 => inner.timestamp_ms,
            _ => self.timestamp_ms,
        }
    }
}

/// The entry's size as a length.
fn check_size(at: usize, size: i32, min: i32) -> Result<usize, DecodeError> {
    usize::try_from(size)
        .ok()
        .filter(|_| size >= min)
        .ok_or(DecodeError::EntrySize { at, size, min })
}
