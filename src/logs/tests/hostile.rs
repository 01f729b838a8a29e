//! Bytes and bounds that nobody chose well: nothing panics, and what is written stays within the bounds.

use proptest::prelude::*;

use super::*;
use crate::logs::wire::{
    CATEGORY, CONTENT, KEY, LOG_TAG, LOGS, MACHINE_UUID, SOURCE, TIME, TOPIC, VALUE, put_delimited,
    put_pair,
};

/// Bytes that are now and then text, JSON, or names with a meaning.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let token = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\"",
        "\"\\ud800\"",
        "\"\"",
        "1",
        "null",
        "\\",
        "{\"k\":",
        "[{\"a\":1}",
        " ",
        "__part__",
        "content",
        "é",
        "\n",
    ]);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat().into_bytes()),
        (any::<[u8; 3]>(), 0..3_000_usize).prop_map(|(unit, count)| unit.repeat(count)),
        ("[{\\[,]{1,8}", 0..500_usize).prop_map(|(unit, count)| unit.repeat(count).into_bytes()),
        (1..200_usize)
            .prop_map(|count| format!("[{}]", vec!["{\"a\":1}"; count].join(",")).into_bytes()),
    ]
}

fn sent() -> impl Strategy<Value = Sent> {
    let header = (bytes(), prop::option::of(bytes()));
    let headers = prop::collection::vec(header, 0..6);
    (
        any::<i64>(),
        prop::option::of(bytes()),
        prop::option::of(bytes()),
        headers,
    )
        .prop_map(|(timestamp_ms, key, value, headers)| Sent {
            timestamp_ms,
            key,
            value,
            headers,
        })
}

fn mapping() -> impl Strategy<Value = Mapping> {
    let key = prop::sample::select(vec![KeyRule::Field, KeyRule::FieldName, KeyRule::Drop]);
    let headers = prop::sample::select(vec![
        HeaderRule::Drop,
        HeaderRule::Prefix("".into()),
        HeaderRule::Prefix("h_".into()),
    ]);
    let arrays = prop::sample::select(vec![ArrayRule::Expand, ArrayRule::Keep]);
    let oversize = prop::sample::select(vec![
        OversizeRule::Split,
        OversizeRule::Truncate,
        OversizeRule::Refuse,
    ]);
    (key, headers, arrays, oversize, any::<bool>()).prop_map(
        |(key, headers, arrays, oversize, trim_newline)| Mapping {
            key,
            headers,
            arrays,
            oversize,
            trim_newline,
            ..Mapping::default()
        },
    )
}

fn bounds() -> impl Strategy<Value = Bounds> {
    (
        0..6_000_usize,
        0..10_000_usize,
        0..20_u32,
        32..200_usize,
        0..60_000_usize,
    )
        .prop_map(
            |(
                log_bytes_max,
                piece_bytes_max,
                piece_logs_max,
                name_bytes_max,
                expansion_bytes_max,
            )| Bounds {
                log_bytes_max,
                piece_bytes_max,
                piece_logs_max,
                name_bytes_max,
                expansion_bytes_max,
            },
        )
}

fn gateway() -> impl Strategy<Value = Gateway> {
    let window = (prop::option::of(any::<u64>()), any::<u64>());
    let client_ip = prop::sample::select(vec![None, Some("2001:db8::7")]);
    (mapping(), bounds(), window, any::<bool>(), client_ip).prop_map(
        |(mapping, bounds, window, json_topic, client_ip)| Gateway {
            mapping,
            window: TimeWindow {
                past_seconds_max: window.0,
                future_seconds_max: window.1,
            },
            bounds,
            json_topic,
            client_ip,
        },
    )
}

fn check_within_bounds(pieces: &[Piece], bounds: &Bounds) {
    let bytes: usize = pieces.iter().map(|piece| piece.logs.len()).sum();
    assert!(bytes <= bounds.expansion_bytes_max);
    for piece in pieces {
        assert!(piece.log_count <= bounds.piece_logs_max || piece.log_count == 1);
        assert!(piece.logs.len() <= bounds.piece_bytes_max || piece.log_count == 1);
        let group = GroupMessage::decode(&*piece.logs).expect("a run of logs is a group");
        assert_eq!(group.logs.len(), piece.log_count as usize);
        for log in group.logs {
            assert!(wire::delimited_len(log.encoded_len()) <= bounds.log_bytes_max);
            let mut names: Vec<_> = log.contents.iter().map(|field| &*field.key).collect();
            assert!(
                names
                    .iter()
                    .all(|name| (1..=bounds.name_bytes_max).contains(&name.len()))
            );
            names.sort_unstable();
            assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
            assert!(
                log.time_ns
                    .is_none_or(|nanoseconds| nanoseconds < 1_000_000_000)
            );
        }
    }
}

proptest! {
    #[test]
    fn any_record_under_any_bounds_is_written_within_them_or_refused(
        gateway in gateway(),
        batch in prop::collection::vec(sent(), 0..6),
    ) {
        let mut encoder = Encoder::new();
        for sent in &batch {
            if gateway.push(&mut encoder, sent).is_err() {
                encoder.reset();
            }
        }
        check_within_bounds(&encoder.finish(), &gateway.bounds);
    }

    #[test]
    fn with_room_in_the_batch_a_record_is_refused_only_where_configured(
        gateway in gateway(),
        log_bytes_max in 1_500..6_000_usize,
        sent in sent(),
    ) {
        let mut gateway = gateway;
        gateway.bounds.log_bytes_max = log_bytes_max;
        gateway.bounds.expansion_bytes_max = BOUNDS.expansion_bytes_max;
        match gateway.pieces(&[sent]) {
            Ok(pieces) => check_within_bounds(&pieces, &gateway.bounds),
            Err(error) => {
                prop_assert!(matches!(error, LogError::TooLarge { .. }), "{error}");
                prop_assert_eq!(gateway.mapping.oversize, OversizeRule::Refuse);
            }
        }
    }
}

/// One log with one field, as bytes.
fn good_log() -> Vec<u8> {
    let mut log = vec![TIME, 7];
    put_pair(&mut log, CONTENT, b"content", b"x");
    log
}

fn group_of(log: &[u8]) -> Vec<u8> {
    let mut group = Vec::new();
    put_delimited(&mut group, LOGS, log);
    group
}

#[track_caller]
fn check_refused(raw: &[u8], error: LogGroupError) {
    assert_eq!(LogGroupReader::new(raw).err(), Some(error));
}

#[test]
fn a_group_that_is_not_one_is_refused_with_the_reason() {
    let good = group_of(&good_log());
    assert!(LogGroupReader::new(&good).is_ok());
    check_refused(&good[..good.len() - 1], LogGroupError::Truncated);
    check_refused(&[LOGS], LogGroupError::Truncated);
    check_refused(
        &[LOGS, 0xff, 0xff, 0xff, 0xff, 0x0f],
        LogGroupError::Truncated,
    );
    check_refused(&[0xff; 11], LogGroupError::BadVarint);
    let bits_65 = [&[0xff; 9][..], &[0x02]].concat();
    check_refused(&bits_65, LogGroupError::BadVarint);
    check_refused(
        &[0x0b],
        LogGroupError::BadWireType {
            field: 1,
            wire_type: 3,
        },
    );
    check_refused(&[SOURCE, 1, 0xff], LogGroupError::NotUtf8);
    check_refused(&[TOPIC, 1, 0xff], LogGroupError::NotUtf8);
    check_refused(&[CATEGORY, 1, 0xff], LogGroupError::NotUtf8);
    check_refused(&[MACHINE_UUID, 1, 0xff], LogGroupError::NotUtf8);
    check_refused(&[0x02, 0], LogGroupError::BadField(0));
    check_refused(
        &[0x82, 0x80, 0x80, 0x80, 0x10, 0],
        LogGroupError::BadField(1 << 29),
    );
    check_refused(&group_of(&[]), LogGroupError::NoTime);
    let late = [TIME, 0x80, 0x80, 0x80, 0x80, 0x10];
    check_refused(&group_of(&late), LogGroupError::BadTime(1 << 32));
}

#[test]
fn a_field_or_tag_must_have_key_and_value_of_text() {
    let pairs = [
        (vec![VALUE, 0], LogGroupError::NoKey),
        (vec![KEY, 0], LogGroupError::NoValue),
        (vec![KEY, 1, 0xff, VALUE, 0], LogGroupError::NotUtf8),
        (vec![KEY, 0, VALUE, 1, 0xff], LogGroupError::NotUtf8),
    ];
    for (pair, error) in pairs {
        let mut log = vec![TIME, 7];
        put_delimited(&mut log, CONTENT, &pair);
        check_refused(&group_of(&log), error);
        let mut group = group_of(&good_log());
        put_delimited(&mut group, LOG_TAG, &pair);
        check_refused(&group, error);
    }
}

#[test]
fn fields_that_are_not_known_are_skipped() {
    // Numbers 7, 8 and 9 of each wire type, and number 16, whose tag takes two bytes.
    let unknown = [
        0x38, 0x05, 0x41, 1, 2, 3, 4, 5, 6, 7, 8, 0x4d, 1, 2, 3, 4, 0x82, 0x01, 1, b'x',
    ];
    let mut group = group_of(&[&good_log()[..], &unknown].concat());
    group.extend_from_slice(&unknown);
    let reader = LogGroupReader::new(&group).unwrap();
    let logs: Vec<_> = reader.logs().collect();
    assert_eq!(logs.len(), 1);
    assert_eq!(logs[0].contents().collect::<Vec<_>>(), [("content", "x")]);
}

#[test]
fn a_body_is_refused_before_memory_is_taken_for_an_impossible_size() {
    let error = LogGroupError::ImpossibleSize {
        body_bytes: 10,
        raw_bytes: usize::MAX,
    };
    for compression in [Compression::Lz4, Compression::Zstd] {
        let refused = compression.decompress(&[0; 10], usize::MAX);
        assert_eq!(refused, Err(error));
    }
}

#[test]
fn a_body_must_hold_exactly_the_size_that_is_told() {
    let raw = vec![b'x'; 1_000];
    let bodies = [
        (Compression::Lz4, lz4_flex::block::compress(&raw)),
        (Compression::Zstd, zstd::encode_all(&*raw, 3).unwrap()),
    ];
    let wrong = LogGroupError::WrongSize {
        found: 1_000,
        expected: 1_001,
    };
    for (compression, body) in bodies {
        let decompress = |raw_bytes| compression.decompress(&body, raw_bytes);
        assert_eq!(decompress(1_000), Ok(raw.clone()));
        assert_eq!(decompress(999), Err(LogGroupError::BadBody));
        assert_eq!(decompress(1_001), Err(wrong));
    }
}

/// A group of ours in which some bytes were changed.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4);
    (prop::collection::vec(sent(), 1..3), changes).prop_map(|(batch, changes)| {
        let pieces = Gateway::with_headers("").pieces(&batch).expect("it fits");
        let group = lz4_closer().close(pieces, &source_of("192.0.2.7"));
        let mut raw = decompress(&group.body, group.raw_bytes as usize).expect("our own block");
        for (at, byte) in changes {
            *at.get_mut(&mut raw) = byte;
        }
        raw
    })
}

/// What is read must be what `prost` reads, where both do.
fn check_reading(raw: &[u8]) {
    let Ok(reader) = LogGroupReader::new(raw) else {
        return;
    };
    let logs: Vec<_> = reader.logs().collect();
    let Ok(by_prost) = GroupMessage::decode(raw) else {
        return;
    };
    assert_eq!(reader.source(), by_prost.source.as_deref().unwrap_or(""));
    assert_eq!(logs.len(), by_prost.logs.len());
    for (log, by_prost) in logs.iter().zip(&by_prost.logs) {
        assert_eq!(
            (log.time(), log.time_ns()),
            (by_prost.time, by_prost.time_ns)
        );
        assert_eq!(log.contents().collect::<Vec<_>>(), by_prost.fields());
    }
}

proptest! {
    #[test]
    fn a_damaged_group_is_read_as_prost_reads_it_or_refused(raw in damaged()) {
        check_reading(&raw);
    }

    #[test]
    fn any_bytes_are_taken_for_a_group_without_panic(
        raw in prop::collection::vec(any::<u8>(), 0..200),
        log in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        check_reading(&raw);
        check_reading(&group_of(&log));
        check_reading(&group_of(&[good_log(), log].concat()));
    }

    #[test]
    fn any_bytes_are_taken_for_a_body_without_panic(
        block in prop::collection::vec(any::<u8>(), 0..200),
        raw_bytes in 0..5_000_usize,
    ) {
        for compression in [Compression::Lz4, Compression::Zstd] {
            if let Ok(raw) = compression.decompress(&block, raw_bytes) {
                prop_assert_eq!(raw.len(), raw_bytes);
            }
        }
    }
}
