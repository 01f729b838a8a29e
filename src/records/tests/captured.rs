//! Bytes of foreign clients, see `tests/data/records/README.md`.

use std::fs;
use std::path::PathBuf;

use super::*;

const LINE: &str = "GET /index.html 200 ";

fn files() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/records");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "bin"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// All files, for tests that want foreign bytes to break.
pub(super) fn blobs() -> Vec<Vec<u8>> {
    files().into_iter().map(|(_, blob)| blob).collect()
}

/// What the programs beside the files were told to write, after the last part of the file's name.
fn expected(content: &str) -> Vec<Owned> {
    let lines = LINE.repeat(50);
    match content {
        "large" => vec![owned(
            1_700_000_000_000,
            None,
            Some(&"abcdefghij".repeat(7_000)),
        )],
        "lines" => vec![
            owned(0, Some("k0"), Some("first")),
            owned(0, None, None),
            owned(0, Some("k2"), Some(&lines)),
        ],
        _ => {
            let mut records = vec![
                owned(1_700_000_000_000, Some("k0"), Some("first")),
                owned(1_700_000_000_123, None, Some("")),
                owned(1_699_999_999_000, Some(""), Some(&lines)),
                owned(1_700_000_000_001, Some("k3"), None),
            ];
            records[0].headers = [
                ("trace", Some("1")),
                ("trace", Some("2")),
                ("empty", Some("")),
                ("null", None),
            ]
            .map(|(name, value)| (name.into(), value.map(Into::into)))
            .to_vec();
            records
        }
    }
}

fn expected_of(name: &str) -> Vec<Owned> {
    let (format, content) = (
        name.split('-').nth(1).unwrap(),
        name.rsplit('-').next().unwrap(),
    );
    let mut records = expected(content);
    for record in &mut records {
        if content == "append" {
            record.timestamp_ms = 1_700_000_009_999;
        }
        if content == "lines" {
            record.headers = [("trace", "1"), ("trace", "2")]
                .map(|(name, value)| (name.into(), Some(value.into())))
                .to_vec();
        }
        if format != "v2" {
            record.headers.clear();
        }
        if format == "v0" {
            record.timestamp_ms = -1;
        }
    }
    records
}

/// kcat stamps with its own clock: replaced by 0 if it is of the days of the capture.
fn without_capture_time(mut records: Vec<Owned>) -> Vec<Owned> {
    for record in &mut records {
        if (1_790_000_000_000..1_800_000_000_000).contains(&record.timestamp_ms) {
            record.timestamp_ms = 0;
        }
    }
    records
}

#[test]
fn what_foreign_clients_send_is_read_exactly() {
    let files = files();
    assert_eq!(files.len(), 62);
    let mut decoder = Decoder::new();
    for (name, blob) in files {
        let records = decode_within(&mut decoder, &blob, NEWEST, &LIMITS)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(without_capture_time(records), expected_of(&name), "{name}");
    }
}

#[test]
fn old_message_sets_are_read_in_old_requests_too() {
    for (name, blob) in files() {
        if !name.contains("-v2-") {
            let records = decode(&blob, 2).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(without_capture_time(records), expected_of(&name), "{name}");
        }
    }
}

#[test]
fn the_wrong_lz4_header_checksum_of_old_clients_is_taken_with_magic_0_only() {
    let files = files();
    let blob = |name: &str| files.iter().find(|file| file.0 == name).unwrap().1.clone();
    let old = blob("python-v0-lz4-small");
    let compressed = &old[26..];
    assert!(decode(&wrapper(0, 3, compressed), 0).is_ok());
    let error = decode(&wrapper(1, 3, compressed), 0).unwrap_err();
    assert_eq!(
        error,
        DecodeError::Undecodable {
            codec: Codec::Lz4,
            at: 7,
            fault: CodecFault::Checksum
        }
    );
}

#[test]
fn the_producer_of_an_idempotent_batch_can_be_peeked_at() {
    for (name, blob) in files() {
        let expected = (name == "java-v2-none-idempotent").then_some(ProducerBatch {
            producer_id: 4711,
            epoch: 3,
            first_sequence: 17,
            record_count: 4,
        });
        assert_eq!(producer_batch(&blob), expected, "{name}");
    }
}
