//! LogGroups of the Log Service's own SDK (`tests/data/README.md`): written here byte for byte, and read back.

use serde::Deserialize;

use super::*;
use crate::logs::wire::{
    CONTENT, LOG_TAG, LOGS, SOURCE, TIME, TIME_NS, TOPIC, put_delimited, put_header, put_pair,
};

#[derive(Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
    pull_logs_response: PulledVector,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    log_group: GroupVector,
    protobuf_hex: String,
    raw_size: usize,
    lz4_block_hex: String,
    md5_upper_of_lz4_body: String,
    sha256_of_lz4_body: String,
    log_group_list_of_one_hex: String,
}

#[derive(Deserialize)]
struct PulledVector {
    log_group_list_hex: String,
    raw_size: usize,
    lz4_block_hex: String,
}

#[derive(Deserialize)]
struct GroupVector {
    logs: Vec<LogVector>,
    topic: Option<String>,
    source: Option<String>,
    #[serde(default)]
    tags: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct LogVector {
    time: u32,
    contents: Vec<(String, String)>,
    time_ns: Option<u32>,
}

fn vectors() -> Vectors {
    let text = include_str!("../../../tests/data/sls-loggroup-vectors.json");
    serde_json::from_str(text).expect("the vectors are JSON")
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.map(byte).collect()
}

fn put_log(out: &mut Vec<u8>, log: &LogVector) {
    let mut message = Vec::new();
    put_header(&mut message, TIME, log.time as usize);
    for (key, value) in &log.contents {
        put_pair(&mut message, CONTENT, key.as_bytes(), value.as_bytes());
    }
    if let Some(nanoseconds) = log.time_ns {
        message.push(TIME_NS);
        message.extend_from_slice(&nanoseconds.to_le_bytes());
    }
    put_delimited(out, LOGS, &message);
}

fn written(group: &GroupVector) -> Vec<u8> {
    let mut out = Vec::new();
    for log in &group.logs {
        put_log(&mut out, log);
    }
    for (tag, text) in [(TOPIC, &group.topic), (SOURCE, &group.source)] {
        if let Some(text) = text {
            put_delimited(&mut out, tag, text.as_bytes());
        }
    }
    for (key, value) in &group.tags {
        put_pair(&mut out, LOG_TAG, key.as_bytes(), value.as_bytes());
    }
    out
}

/// Our own reader, `prost` and the vector must agree.
fn check_reading(raw: &[u8], expected: &GroupVector) {
    let read = LogGroupReader::new(raw).expect("a good group");
    let by_prost = GroupMessage::decode(raw).expect("a good group");
    assert_eq!(read.source(), expected.source.as_deref().unwrap_or(""));
    assert_eq!(by_prost.source, expected.source);
    assert_eq!(by_prost.topic, expected.topic);
    let tags = by_prost.tags.iter().map(PairMessage::pair);
    assert!(tags.eq(expected.tags.iter().map(|(key, value)| (&**key, &**value))));

    let read: Vec<_> = read.logs().collect();
    assert_eq!(read.len(), expected.logs.len());
    assert_eq!(by_prost.logs.len(), expected.logs.len());
    for ((read, by_prost), expected) in read.iter().zip(&by_prost.logs).zip(&expected.logs) {
        let fields = expected.contents.iter();
        let fields: Vec<_> = fields.map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(read.contents().collect::<Vec<_>>(), fields);
        assert_eq!(by_prost.fields(), fields);
        assert_eq!(
            (read.time(), read.time_ns()),
            (expected.time, expected.time_ns)
        );
    }
}

#[test]
fn groups_are_written_byte_for_byte_as_the_sdk_writes_them() {
    for vector in vectors().vectors {
        let raw = written(&vector.log_group);
        assert_eq!(raw, bytes(&vector.protobuf_hex), "{}", vector.name);
        assert_eq!(raw.len(), vector.raw_size, "{}", vector.name);
    }
}

#[test]
fn groups_of_the_sdk_are_read() {
    for vector in vectors().vectors {
        check_reading(&bytes(&vector.protobuf_hex), &vector.log_group);
    }
}

#[test]
fn blocks_of_the_sdk_are_decompressed() {
    for vector in vectors().vectors {
        let raw = decompress(&bytes(&vector.lz4_block_hex), vector.raw_size);
        assert_eq!(raw, Ok(bytes(&vector.protobuf_hex)), "{}", vector.name);
    }
}

#[test]
fn bodies_have_the_digests_that_the_sdk_sends() {
    for vector in vectors().vectors {
        let body = bytes(&vector.lz4_block_hex);
        let md5 = bytes(&vector.md5_upper_of_lz4_body).try_into().unwrap();
        let sha256 = bytes(&vector.sha256_of_lz4_body).try_into().unwrap();
        assert_eq!(
            DigestKind::Md5.of(&body),
            Digest::Md5(md5),
            "{}",
            vector.name
        );
        assert_eq!(
            DigestKind::Sha256.of(&body),
            Digest::Sha256(sha256),
            "{}",
            vector.name
        );
    }
}

#[test]
fn our_blocks_hold_the_groups_of_the_sdk() {
    for vector in vectors().vectors {
        let logs = written(&vector.log_group);
        let piece = Piece {
            logs,
            ..Piece::default()
        };
        let group = lz4_closer().close(vec![piece], &source_of(""));
        assert_eq!(group.raw_bytes as usize, vector.raw_size);
        let raw = decompress(&group.body, vector.raw_size);
        assert_eq!(raw, Ok(bytes(&vector.protobuf_hex)), "{}", vector.name);
    }
}

#[test]
fn a_pulled_list_holds_the_groups_one_after_another() {
    let Vectors {
        vectors,
        pull_logs_response: pulled,
    } = vectors();
    let list = decompress(&bytes(&pulled.lz4_block_hex), pulled.raw_size).expect("a good block");
    assert_eq!(list, bytes(&pulled.log_group_list_hex));
    let lists_of_one = vectors.iter();
    let joined: Vec<u8> = lists_of_one
        .flat_map(|vector| bytes(&vector.log_group_list_of_one_hex))
        .collect();
    assert_eq!(list, joined);
    // `LogGroupList.LogGroups` has the tag of `LogGroup.Logs`.
    let mut written_here = Vec::new();
    for vector in &vectors {
        put_delimited(&mut written_here, LOGS, &written(&vector.log_group));
    }
    assert_eq!(list, written_here);
}

#[test]
fn the_encoder_writes_the_minimal_group_of_the_sdk() {
    let vector = vectors().vectors.remove(0);
    let time_ms = i64::from(vector.log_group.logs[0].time) * 1000;
    let pieces = Gateway::default().pieces(&[Sent::value("hello").at(time_ms)]);
    assert_eq!(pieces.unwrap()[0].logs, bytes(&vector.protobuf_hex));
}
