//! What the tests of record sets share: records that own their bytes, and encoders. Whole batches come from `kafka-protocol`,
//! compressed data from the codecs' own crates; only message sets and broken things are put together by hand.

mod captured;
mod compressed;
mod hostile;
mod legacy;
mod v2;

use std::io::Write;

use bytes::BytesMut;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression, Record as EncoderRecord, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

use super::*;

const LIMITS: Limits = Limits {
    decompressed_bytes_max: 1 << 20,
    records_max: 10_000,
};

/// The newest Produce version that is served.
const NEWEST: i16 = 12;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Owned {
    timestamp_ms: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl From<Record<'_>> for Owned {
    fn from(record: Record<'_>) -> Self {
        let header = |header: Header<'_>| (header.name.to_vec(), header.value.map(<[u8]>::to_vec));
        Self {
            timestamp_ms: record.timestamp_ms,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record.headers.map(header).collect(),
        }
    }
}

fn owned(timestamp_ms: i64, key: Option<&str>, value: Option<&str>) -> Owned {
    Owned {
        timestamp_ms,
        key: key.map(|key| key.as_bytes().to_vec()),
        value: value.map(|value| value.as_bytes().to_vec()),
        headers: Vec::new(),
    }
}

fn some_records() -> Vec<Owned> {
    let mut records = vec![
        owned(1_000, Some("key"), Some("value")),
        owned(990, None, Some(&"a longer line of text ".repeat(20))),
        owned(1_001, Some(""), None),
    ];
    records[0].headers = vec![(b"a".to_vec(), Some(b"1".to_vec())), (b"b".to_vec(), None)];
    records
}

fn decode(blob: &[u8], produce_version: i16) -> Result<Vec<Owned>, DecodeError> {
    decode_within(&mut Decoder::new(), blob, produce_version, &LIMITS)
}

fn decode_within(
    decoder: &mut Decoder,
    blob: &[u8],
    produce_version: i16,
    limits: &Limits,
) -> Result<Vec<Owned>, DecodeError> {
    let mut records = Vec::new();
    let decoded = decoder.decode(blob, produce_version, limits, |record| {
        records.push(Owned::from(record));
        Ok::<_, DecodeError>(())
    })?;
    assert_eq!(decoded.record_count, records.len());
    Ok(records)
}

fn refusal(blob: &[u8], produce_version: i16) -> Refusal {
    decode(blob, produce_version)
        .expect_err("refused")
        .refusal()
}

/// A batch of magic 2 by a foreign encoder, not compressed.
fn batch(records: &[Owned]) -> Vec<u8> {
    let records: Vec<_> = (0..).zip(records).map(encoder_record).collect();
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    RecordBatchEncoder::encode(&mut bytes, &records, &options).expect("records can be encoded");
    bytes.to_vec()
}

fn encoder_record((offset, record): (i64, &Owned)) -> EncoderRecord {
    let text = |bytes: &[u8]| StrBytes::from_string(String::from_utf8(bytes.to_vec()).unwrap());
    let header =
        |(name, value): &(Vec<u8>, Option<Vec<u8>>)| (text(name), value.clone().map(Into::into));
    EncoderRecord {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: TimestampType::Creation,
        offset,
        // The encoder begins a new batch where sequences do not follow each other.
        sequence: offset as i32,
        timestamp: record.timestamp_ms,
        key: record.key.clone().map(Into::into),
        value: record.value.clone().map(Into::into),
        headers: record.headers.iter().map(header).collect(),
    }
}

/// Makes the length and the CRC of a batch right again.
fn seal(mut batch: Vec<u8>) -> Vec<u8> {
    let length = batch.len() as i32 - 12;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

/// The batch with some bytes of its header overwritten, and sealed.
fn patched<const N: usize>(batch: &[u8], at: usize, bytes: [u8; N]) -> Vec<u8> {
    let mut batch = batch.to_vec();
    batch[at..at + N].copy_from_slice(&bytes);
    seal(batch)
}

/// The header of `batch` before other records, which are compressed by the codec of this id.
fn with_records(batch: &[u8], codec: u8, records: &[u8]) -> Vec<u8> {
    let mut changed = batch[..61].to_vec();
    changed[22] = codec;
    changed.extend_from_slice(records);
    seal(changed)
}

/// A message set's entry.
fn entry(
    magic: u8,
    attributes: u8,
    timestamp_ms: i64,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Vec<u8> {
    let mut bytes = vec![0; 16];
    bytes.extend([magic, attributes]);
    if magic == 1 {
        bytes.extend(timestamp_ms.to_be_bytes());
    }
    for field in [key, value] {
        let length = field.map_or(-1, |field| field.len() as i32);
        bytes.extend(length.to_be_bytes());
        bytes.extend(field.unwrap_or_default());
    }
    seal_entry(bytes)
}

/// Makes the size and the CRC of an entry right again.
fn seal_entry(mut entry: Vec<u8>) -> Vec<u8> {
    let size = entry.len() as i32 - 12;
    entry[8..12].copy_from_slice(&size.to_be_bytes());
    let crc = crc32fast::hash(&entry[16..]);
    entry[12..16].copy_from_slice(&crc.to_be_bytes());
    entry
}

fn wrapper(magic: u8, codec: u8, compressed: &[u8]) -> Vec<u8> {
    entry(magic, codec, 7_000, None, Some(compressed))
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn snappy(data: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(data).unwrap()
}

/// snappy-java's framing, with rubbish for versions and a second header before every other block.
fn framed_snappy(data: &[u8]) -> Vec<u8> {
    const HEADER: &[u8; 16] = b"\x82SNAPPY\0\x01\0\0\0\xff\xff\xff\xff";
    let mut framed = HEADER.to_vec();
    for (index, chunk) in data.chunks(100).enumerate() {
        if index % 2 == 1 {
            framed.extend(HEADER);
        }
        let block = snappy(chunk);
        framed.extend((block.len() as i32).to_be_bytes());
        framed.extend(block);
    }
    framed
}

fn lz4(data: &[u8]) -> Vec<u8> {
    lz4_with(data, lz4_flex::frame::FrameInfo::new())
}

fn lz4_with(data: &[u8], info: lz4_flex::frame::FrameInfo) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zstd(data: &[u8]) -> Vec<u8> {
    ::zstd::bulk::compress(data, 3).unwrap()
}

/// As librdkafka does it: the frame does not tell the content's size.
fn streamed_zstd(data: &[u8]) -> Vec<u8> {
    ::zstd::stream::encode_all(data, 3).unwrap()
}
