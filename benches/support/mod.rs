//! What all benches share: log lines as agents send them, and record batches of each codec made by encoders that are not
//! ours.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use kafka_protocol::records::{
    Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

/// The codecs of a record batch, with their number in the attributes.
pub const CODECS: [(&str, i16); 5] = [
    ("none", 0),
    ("gzip", 1),
    ("snappy", 2),
    ("lz4", 3),
    ("zstd", 4),
];

/// A JSON log line of about 200 bytes; its words and numbers vary with `seed` as those of a busy service do.
pub fn line(seed: u64) -> String {
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let services = [
        "checkout",
        "billing",
        "search",
        "gateway",
        "profile",
        "inventory",
    ];
    let levels = ["INFO", "INFO", "INFO", "WARN", "DEBUG", "ERROR"];
    let words = [
        "cache", "miss", "retry", "order", "user", "timeout", "slow", "query", "commit", "accepted",
    ];
    let pick = |list: &[&'static str], random: u64| list[(random % list.len() as u64) as usize];
    format!(
        r#"{{"ts":"2026-05-01T12:{:02}:{:02}.{:06}Z","level":"{}","service":"{}","trace":"{:016x}","ms":{},"msg":"{} {} {} {} for {}"}}"#,
        next() % 60,
        next() % 60,
        next() % 1_000_000,
        pick(&levels, next()),
        pick(&services, next()),
        next(),
        next() % 5_000,
        pick(&words, next()),
        pick(&words, next()),
        pick(&words, next()),
        pick(&words, next()),
        next() % 1_000_000,
    )
}

/// Milliseconds since the epoch.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_millis()).expect("before the year 292,000,000")
}

/// A batch v2 of `count` lines of now, a millisecond apart, its records compressed with `codec`; also the bytes before compression.
pub fn batch(count: u64, codec: i16) -> (Vec<u8>, usize) {
    let first_ms = now_ms();
    let records: Vec<Record> = (0..count)
        .map(|index| Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id: -1,
            producer_epoch: -1,
            timestamp_type: TimestampType::Creation,
            offset: i64::try_from(index).expect("small"),
            sequence: i32::try_from(index).expect("small"),
            timestamp: first_ms + i64::try_from(index).expect("small"),
            key: None,
            value: Some(line(index).into_bytes().into()),
            headers: Default::default(),
        })
        .collect();
    let mut plain = BytesMut::new();
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    RecordBatchEncoder::encode(&mut plain, &records, &options).expect("it encodes");
    let raw = plain.len();
    (recompress(&plain, codec), raw)
}

/// Where the records start, and the fields that change with the codec (layout: `records/v2.rs`).
const RECORDS_AT: usize = 61;

fn recompress(plain: &[u8], codec: i16) -> Vec<u8> {
    let mut out = plain[..RECORDS_AT].to_vec();
    out[21..23].copy_from_slice(&codec.to_be_bytes());
    out.extend_from_slice(&compressed(&plain[RECORDS_AT..], codec));
    let length = i32::try_from(out.len() - 12).expect("a small batch");
    out[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&out[21..]);
    out[17..21].copy_from_slice(&crc.to_be_bytes());
    out
}

fn compressed(records: &[u8], codec: i16) -> Vec<u8> {
    match codec {
        0 => records.to_vec(),
        1 => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
            encoder.write_all(records).expect("into memory");
            encoder.finish().expect("into memory")
        }
        2 => snap::raw::Encoder::new()
            .compress_vec(records)
            .expect("it fits"),
        3 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(records).expect("into memory");
            encoder.finish().expect("into memory")
        }
        4 => zstd::bulk::compress(records, 3).expect("into memory"),
        other => unreachable!("no codec {other}"),
    }
}
