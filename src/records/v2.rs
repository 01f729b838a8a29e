//! Magic 2: the record batch of Kafka 0.11 and later. A set is exactly one of them.
//!
//! ```text
//!  at  size  batch
//!   0     8  base offset              ignored
//!   8     4  batch length             bytes after this field; the whole batch is 12 more, at least 61
//!  12     4  partition leader epoch   ignored
//!  16     1  magic                    2
//!  17     4  CRC-32C                  over everything after this field, as sent (compressed)
//!  21     2  attributes               bits 0–2 codec: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd
//!                                     bit 3 timestamp type: 1 log append
//!                                     bit 4 transactional, bit 5 control batch, bit 6 delete horizon
//!  23     4  last offset delta        record count − 1
//!  27     8  base timestamp           ms
//!  35     8  max timestamp            used only with timestamp type 1
//!  43     8  producer id              −1: none
//!  51     2  producer epoch
//!  53     4  base sequence
//!  57     4  record count
//!  61     …  records                  compressed as one stream unless the codec is 0
//!
//!            record
//!    varint  length                   bytes after this field
//!         1  attributes               unused
//!   varlong  timestamp delta          added to the base timestamp, wrapping; may be negative
//!    varint  offset delta             ignored
//!    varint  key length, key          −1: null
//!    varint  value length, value      −1: null
//!    varint  header count
//!            each: varint name length, name, varint value length (−1: null), value
//! ```
//!
//! Varints are zigzag, unlike those of the flexible protocol messages.
//! Sources: Kafka's protocol guide, "Record Batch"; KIP-98 (format), KIP-82 (headers), KIP-110 (zstd); Kafka's `DefaultRecordBatch`,
//! `DefaultRecord` and `LogValidator`.

use std::cmp::Ordering;

use super::compression::{Codec, Codecs};
use super::reader::Reader;
use super::{
    DecodeError, Decoded, ENTRY_PREFIX_BYTES, Header, Headers, ProducerBatch, Record, RecordFault,
    Set, entry_size,
};

pub(super) const MAGIC: u8 = 2;

const HEADER_BYTES: usize = 61;

/// The smallest batch length: a header without records.
const LENGTH_MIN: i32 = (HEADER_BYTES - ENTRY_PREFIX_BYTES) as i32;

/// Where the bytes begin that the CRC covers.
const CRC_COVERS_FROM: usize = 21;

/// A record of empty fields: length, attributes, two deltas, key and value length, header count.
const RECORD_BYTES_MIN: usize = 7;

/// A header of empty name and value: two lengths.
const HEADER_ENTRY_BYTES_MIN: usize = 2;

/// The first Produce version that may carry zstd (KIP-110); `Codec::Zstd` in an older one is refused as by a broker.
const ZSTD_SINCE: i16 = 7;

const CODEC_MASK: u16 = 0b111;
const LOG_APPEND_TIME: u16 = 1 << 3;
const TRANSACTIONAL: u16 = 1 << 4;
const CONTROL: u16 = 1 << 5;

pub(super) fn decode<E: From<DecodeError>>(
    set: &Set<'_>,
    codecs: &mut Codecs,
    each: &mut impl FnMut(Record<'_>) -> Result<(), E>,
) -> Result<Decoded, E> {
    let header = BatchHeader::of(set.blob).map_err(|error| set.alone(error))?;
    check_crc(set.blob, &header)?;
    let record_count = header.check()?;
    let codec = header.codec(set.produce_version)?;
    let sent = &set.blob[HEADER_BYTES..];
    if codec.is_none() {
        check_room(record_count, sent)?;
    }
    set.limits.check_records(record_count)?;
    let records = records(set, codecs, codec, sent)?;
    walk(records, record_count, &header, each)?;
    Ok(Decoded {
        record_count,
        bytes: records.len(),
    })
}

/// The records section, decompressed.
fn records<'a>(
    set: &Set<'_>,
    codecs: &'a mut Codecs,
    codec: Option<Codec>,
    sent: &'a [u8],
) -> Result<&'a [u8], DecodeError> {
    let Some(codec) = codec else {
        set.limits.check_bytes(sent.len())?;
        return Ok(sent);
    };
    codecs
        .decompress(codec, sent, MAGIC, set.limits.decompressed_bytes_max)
        .map_err(|error| set.undecodable(codec, error))
}

/// A count that these bytes cannot hold is a lie, however many records are allowed.
fn check_room(record_count: usize, records: &[u8]) -> Result<(), DecodeError> {
    if record_count > records.len() / RECORD_BYTES_MIN {
        return Err(DecodeError::TooFewBytes {
            count: record_count,
            bytes: records.len(),
        });
    }
    Ok(())
}

fn walk<E: From<DecodeError>>(
    records: &[u8],
    record_count: usize,
    header: &BatchHeader,
    each: &mut impl FnMut(Record<'_>) -> Result<(), E>,
) -> Result<(), E> {
    check_room(record_count, records)?;
    let mut reader = Reader::new(records);
    for index in 0..record_count {
        match record(&mut reader, header) {
            Ok(record) => each(record)?,
            Err(fault) => {
                let at = records.len() - reader.rest().len();
                return Err(DecodeError::Record { index, at, fault }.into());
            }
        }
    }
    match reader.rest().len() {
        0 => Ok(()),
        bytes => Err(DecodeError::BytesAfterRecords {
            count: record_count,
            bytes,
        }
        .into()),
    }
}

/// Reads one record. On an error `reader` stands at its start or, if its length was sound, behind it.
#[inline]
fn record<'a>(reader: &mut Reader<'a>, header: &BatchHeader) -> Result<Record<'a>, RecordFault> {
    let mut body = *reader;
    let length = body.varint()?;
    let mut fields = body.sub(length)?;
    let [_attributes] = fields.array()?;
    let timestamp_delta = fields.varlong()?;
    let _offset_delta = fields.varint()?;
    let key_length = fields.varint()?;
    let key = fields.nullable(key_length)?;
    let value_length = fields.varint()?;
    let value = fields.nullable(value_length)?;
    let headers = headers(&mut fields)?;
    if !fields.is_empty() {
        return Err(RecordFault::BytesAfterFields);
    }
    *reader = body;
    Ok(Record {
        timestamp_ms: header.timestamp_ms(timestamp_delta),
        key,
        value,
        headers,
    })
}

#[inline]
fn headers<'a>(fields: &mut Reader<'a>) -> Result<Headers<'a>, RecordFault> {
    let count = fields.varint()?;
    if count == 0 {
        return Ok(Headers::default());
    }
    let count = usize::try_from(count).map_err(|_| RecordFault::NegativeLength)?;
    if count > fields.rest().len() / HEADER_ENTRY_BYTES_MIN {
        return Err(RecordFault::HeaderCount);
    }
    let bytes = fields.rest();
    for _ in 0..count {
        header(fields)?;
    }
    let bytes = &bytes[..bytes.len() - fields.rest().len()];
    Ok(Headers { bytes, count })
}

/// Reads one header of a record.
pub(super) fn header<'a>(fields: &mut Reader<'a>) -> Result<Header<'a>, RecordFault> {
    let name_length = fields.varint()?;
    let name = fields.sub(name_length)?.rest();
    let value_length = fields.varint()?;
    let value = fields.nullable(value_length)?;
    Ok(Header { name, value })
}

fn check_crc(blob: &[u8], header: &BatchHeader) -> Result<(), DecodeError> {
    let computed = crc32c::crc32c(&blob[CRC_COVERS_FROM..]);
    if computed != header.crc {
        return Err(DecodeError::Checksum {
            at: 0,
            stored: header.crc,
            computed,
            record_index: None,
        });
    }
    Ok(())
}

/// The fields of a batch's header that matter here, of a blob that is exactly one batch long.
pub(super) struct BatchHeader {
    crc: u32,
    attributes: u16,
    last_offset_delta: i32,
    base_timestamp_ms: i64,
    max_timestamp_ms: i64,
    producer_id: i64,
    epoch: i16,
    base_sequence: i32,
    record_count: i32,
}

impl BatchHeader {
    /// Reads the header of the batch that `blob` is. Checks sizes only.
    pub(super) fn of(blob: &[u8]) -> Result<Self, DecodeError> {
        let needed = batch_bytes(blob)?;
        let Some((header, records)) = blob.split_first_chunk::<HEADER_BYTES>() else {
            return Err(cut(blob, needed));
        };
        match (HEADER_BYTES + records.len()).cmp(&needed) {
            Ordering::Less => return Err(cut(blob, needed)),
            Ordering::Greater => {
                return Err(DecodeError::SecondBatch {
                    bytes: blob.len() - needed,
                });
            }
            Ordering::Equal => {}
        }
        Ok(Self {
            crc: u32::from_be_bytes(field(header, 17)),
            attributes: u16::from_be_bytes(field(header, 21)),
            last_offset_delta: i32::from_be_bytes(field(header, 23)),
            base_timestamp_ms: i64::from_be_bytes(field(header, 27)),
            max_timestamp_ms: i64::from_be_bytes(field(header, 35)),
            producer_id: i64::from_be_bytes(field(header, 43)),
            epoch: i16::from_be_bytes(field(header, 51)),
            base_sequence: i32::from_be_bytes(field(header, 53)),
            record_count: i32::from_be_bytes(field(header, 57)),
        })
    }

    /// Checks what does not need the records; gives their count, which is still the sender's word.
    pub(super) fn check(&self) -> Result<usize, DecodeError> {
        if self.attributes & TRANSACTIONAL != 0 {
            return Err(DecodeError::TransactionalBatch);
        }
        if self.attributes & CONTROL != 0 {
            return Err(DecodeError::ControlBatch);
        }
        if self.producer_id >= 0 && self.base_sequence < 0 {
            return Err(DecodeError::BaseSequence {
                producer_id: self.producer_id,
                base_sequence: self.base_sequence,
            });
        }
        match usize::try_from(self.record_count) {
            Ok(count) if count > 0 && self.last_offset_delta == self.record_count - 1 => Ok(count),
            _ => Err(DecodeError::RecordCount {
                count: self.record_count,
                last_offset_delta: self.last_offset_delta,
            }),
        }
    }

    pub(super) fn producer(&self) -> Option<ProducerBatch> {
        (self.producer_id >= 0).then_some(ProducerBatch {
            producer_id: self.producer_id,
            epoch: self.epoch,
            first_sequence: self.base_sequence,
            record_count: self.record_count,
        })
    }

    fn codec(&self, produce_version: i16) -> Result<Option<Codec>, DecodeError> {
        let id = (self.attributes & CODEC_MASK) as u8;
        match id {
            0 => Ok(None),
            1 => Ok(Some(Codec::Gzip)),
            2 => Ok(Some(Codec::Snappy)),
            3 => Ok(Some(Codec::Lz4)),
            4 if produce_version >= ZSTD_SINCE => Ok(Some(Codec::Zstd)),
            _ => Err(DecodeError::UnsupportedCodec {
                id,
                magic: MAGIC,
                produce_version,
            }),
        }
    }

    #[inline]
    fn timestamp_ms(&self, delta: i64) -> i64 {
        match self.attributes & LOG_APPEND_TIME {
            0 => self.base_timestamp_ms.wrapping_add(delta),
            _ => self.max_timestamp_ms,
        }
    }
}

/// The whole batch's size as its length field says.
fn batch_bytes(blob: &[u8]) -> Result<usize, DecodeError> {
    let length = entry_size(blob).ok_or(cut(blob, HEADER_BYTES))?;
    match usize::try_from(length) {
        Ok(bytes) if length >= LENGTH_MIN => Ok(ENTRY_PREFIX_BYTES + bytes),
        _ => Err(DecodeError::EntrySize {
            at: 0,
            size: length,
            min: LENGTH_MIN,
        }),
    }
}

fn cut(blob: &[u8], needed: usize) -> DecodeError {
    DecodeError::CutEntry {
        at: 0,
        needed,
        left: blob.len(),
    }
}

/// `N` bytes of the header; the offsets are those of the drawing above.
fn field<const N: usize>(header: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    std::array::from_fn(|index| header[at + index])
}
