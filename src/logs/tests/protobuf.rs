//! What is written against `prost`: any batch decodes to the logs that the rules ask for, with right counts and times.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;

/// Small enough that all limits are met.
const SMALL: Bounds = Bounds {
    log_bytes_max: 2_048,
    piece_bytes_max: 3_000,
    piece_logs_max: 4,
    name_bytes_max: 32,
    expansion_bytes_max: 1 << 20,
};

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let run = |unit: String, count: usize| unit.repeat(count).into_bytes();
    prop_oneof![
        4 => "[a-z é你🚀\\n]{0,40}".prop_map(String::into_bytes),
        2 => prop::collection::vec(any::<u8>(), 0..40),
        1 => ("[a-zé你🚀]{1,3}", 0..1_500_usize).prop_map(move |(unit, count)| run(unit, count)),
        1 => prop::collection::vec(128..=255_u8, 1_000..4_000),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("content".to_owned()),
        Just("__kafka".to_owned()),
        Just("__part__".to_owned()),
        "[ab]",
        "[a-zé_]{1,60}",
    ]
}

fn timestamp() -> impl Strategy<Value = i64> {
    prop_oneof![
        Just(-1),
        Just(0),
        any::<i64>(),
        0..2 * NOW_MS,
        (NOW_MS - 5_000)..NOW_MS
    ]
}

fn sent() -> impl Strategy<Value = Sent> {
    let headers = prop::collection::vec((name(), prop::option::of(bytes())), 0..4);
    let key = prop::option::of(prop_oneof![bytes(), name().prop_map(String::into_bytes)]);
    (timestamp(), key, prop::option::of(bytes()), headers).prop_map(|(ms, key, value, headers)| {
        Sent {
            timestamp_ms: ms,
            key,
            value,
            headers: headers
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect(),
        }
    })
}

pub(super) fn batch() -> impl Strategy<Value = Vec<Sent>> {
    prop::collection::vec(sent(), 1..12)
}

pub(super) fn gateway() -> impl Strategy<Value = Gateway> {
    let key = prop::sample::select(vec![KeyRule::Field, KeyRule::FieldName, KeyRule::Drop]);
    let headers = prop::sample::select(vec![None, Some(""), Some("h.")]);
    let client_ip = prop::sample::select(vec![None, Some("192.0.2.7")]);
    (key, headers, client_ip).prop_map(|(key, prefix, client_ip)| {
        let mut gateway = Gateway {
            bounds: SMALL,
            client_ip,
            ..Gateway::default()
        };
        gateway.mapping.key = key;
        if let Some(prefix) = prefix {
            gateway.mapping.headers = HeaderRule::Prefix(prefix.into());
        }
        gateway
    })
}

/// A field's name and text by the rules, with the name repaired by `repair`, which has tests of its own.
fn field(name: &str, bytes: &[u8]) -> (String, String) {
    let (suffix, text) = match std::str::from_utf8(bytes) {
        Ok(text) => ("", text.to_owned()),
        Err(_) => ("_base64", STANDARD.encode(bytes)),
    };
    let mut scratch = String::new();
    let name = name::repair(name, suffix, SMALL.name_bytes_max, &mut scratch);
    (name.to_owned(), text)
}

/// What a record is by the rules, each field whole.
struct Expected {
    /// Headers and key.
    shared: BTreeMap<String, String>,
    value: (String, String),
    /// The gateway's own.
    tail: BTreeMap<&'static str, String>,
}

fn expected(gateway: &Gateway, sent: &Sent) -> Expected {
    let mut fields = BTreeMap::new();
    if let HeaderRule::Prefix(prefix) = &gateway.mapping.headers {
        for (name, value) in &sent.headers {
            let name = format!("{prefix}{}", std::str::from_utf8(name).unwrap());
            fields.extend([field(&name, value.as_deref().unwrap_or_default())]);
        }
    }
    let key = sent.key.as_deref().unwrap_or_default();
    let names = gateway.mapping.key == KeyRule::FieldName && !key.is_empty();
    let value_name = std::str::from_utf8(key).ok().filter(|_| names);
    let keeps = gateway.mapping.key != KeyRule::Drop && !key.is_empty() && key != b"content";
    if keeps && value_name.is_none() {
        let (name, text) = match std::str::from_utf8(key) {
            Ok(text) => ("__kafka_key__", text.to_owned()),
            Err(_) => ("__kafka_key_base64__", STANDARD.encode(key)),
        };
        fields.insert(name.to_owned(), text);
    }
    let value = sent.value.as_deref().unwrap_or_default();
    let value = field(value_name.unwrap_or("content"), value);
    fields.remove(&value.0);
    let replaced = sent.timestamp_ms != -1 && !is_kept(sent.timestamp_ms);
    let timestamp = replaced.then(|| ("__kafka_timestamp__", sent.timestamp_ms.to_string()));
    let client_ip = gateway.client_ip.map(|ip| ("__client_ip__", ip.to_owned()));
    Expected {
        shared: fields,
        value,
        tail: timestamp.into_iter().chain(client_ip).collect(),
    }
}

/// Is this a log's time as it is?
fn is_kept(timestamp_ms: i64) -> bool {
    (315_532_800_000..=NOW_MS + 86_400_000).contains(&timestamp_ms)
}

/// The logs of the record that `logs` begins with: by the `2/5` of the first, or one.
fn take_record<'a>(logs: &mut &'a [LogMessage]) -> &'a [LogMessage] {
    let count =
        |log: &LogMessage| Some(log.field("__part__")?.rsplit_once('/')?.1.parse().unwrap());
    let (parts, rest) = logs.split_at(count(&logs[0]).unwrap_or(1));
    *logs = rest;
    for (at, part) in parts.iter().enumerate().filter(|_| parts.len() > 1) {
        let mark = format!("{}/{}", at + 1, parts.len());
        assert_eq!(part.field("__part__"), Some(&*mark));
    }
    parts
}

fn check_record(parts: &[LogMessage], expected: &Expected) {
    let values = |name: &str| {
        parts
            .iter()
            .map(|part| part.field(name))
            .collect::<Vec<_>>()
    };
    let concat = |name: &str| values(name).into_iter().flatten().collect::<String>();
    let in_each = |name: &str, value: &str| values(name).iter().all(|found| *found == Some(value));

    let (name, value) = &expected.value;
    assert_eq!(&concat(name), value);
    for (name, value) in &expected.tail {
        assert!(in_each(name, value), "{name}");
    }
    for (name, value) in &expected.shared {
        assert!(in_each(name, value) || concat(name) == *value, "{name}");
    }
    let known = |name: &str| {
        let tail = expected.tail.contains_key(name) || name == "__part__";
        tail || name == expected.value.0 || expected.shared.contains_key(name)
    };
    let mut names = parts.iter().flat_map(|part| part.fields());
    assert!(names.all(|(name, _)| known(name)), "{parts:?}");
    assert!(
        expected
            .shared
            .keys()
            .all(|name| values(name).iter().any(Option::is_some))
    );
}

fn check_time(log: &LogMessage, timestamp_ms: i64) {
    let ms = if is_kept(timestamp_ms) {
        timestamp_ms
    } else {
        NOW_MS
    };
    assert_eq!(i64::from(log.time), ms / 1000);
    assert_eq!(i64::from(log.time_ns.unwrap_or(0)), ms % 1000 * 1_000_000);
    assert_ne!(log.time_ns, Some(0));
}

fn check_piece(piece: &Piece, bounds: &Bounds) -> GroupMessage {
    let group = GroupMessage::decode(&*piece.logs).expect("a run of logs is a group");
    let times = || group.logs.iter().map(|log| log.time);
    assert_eq!(group.logs.len(), piece.log_count as usize);
    assert_eq!(times().min(), Some(piece.time_min));
    assert_eq!(times().max(), Some(piece.time_max));
    assert!(piece.log_count <= bounds.piece_logs_max);
    assert!(piece.logs.len() <= bounds.piece_bytes_max || piece.log_count == 1);
    for log in &group.logs {
        let len = wire::delimited_len(log.encoded_len());
        assert!(len <= bounds.log_bytes_max, "{len}");
        let names = log.contents.iter().map(|field| field.key.len());
        assert!(names.max() <= Some(bounds.name_bytes_max));
    }
    group
}

proptest! {
    #[test]
    fn whatever_is_written_decodes_to_what_the_rules_ask_for(
        gateway in gateway(),
        batch in batch(),
        source in "[0-9.:a-f]{0,12}",
    ) {
        let pieces = gateway.pieces(&batch).unwrap();
        let by_piece = pieces.iter().map(|piece| check_piece(piece, &SMALL).logs);
        let logs: Vec<LogMessage> = by_piece.flatten().collect();

        let mut rest = logs.as_slice();
        for sent in &batch {
            let parts = take_record(&mut rest);
            check_record(parts, &expected(&gateway, sent));
            for part in parts {
                check_time(part, sent.timestamp_ms);
            }
        }
        prop_assert!(rest.is_empty());

        let group = lz4_closer().close(pieces, &source_of(&source));
        let message = decoded(&group);
        let times = || logs.iter().map(|log| log.time);
        prop_assert_eq!(group.log_count as usize, logs.len());
        prop_assert_eq!(Some(group.time_min), times().min());
        prop_assert_eq!(Some(group.time_max), times().max());
        prop_assert_eq!(group.raw_bytes as usize, message.encoded_len());
        prop_assert_eq!(message.source.unwrap_or_default(), source);
        prop_assert_eq!((message.logs, message.topic, message.tags), (logs, None, vec![]));
    }

    #[test]
    fn a_group_holds_the_same_logs_under_each_codec(
        gateway in gateway(),
        batches in prop::collection::vec(batch(), 1..4),
        digest in prop::sample::select(vec![None, Some(DigestKind::Md5), Some(DigestKind::Sha256)]),
    ) {
        let codec = Codec { compression: Compression::Zstd, digest };
        let (mut lz4, mut zstd) = (lz4_closer(), GroupCloser::new(codec));
        for batch in batches {
            let pieces = gateway.pieces(&batch).unwrap();
            let by_lz4 = lz4.close(pieces.clone(), &source_of("192.0.2.7"));
            let by_zstd = zstd.close(pieces, &source_of("192.0.2.7"));
            let len = by_lz4.raw_bytes as usize;
            let raw = decompress(&by_lz4.body, len);
            prop_assert_eq!(Compression::Zstd.decompress(&by_zstd.body, len), raw.clone());
            // By a decoder that trusts the frame alone.
            prop_assert_eq!(zstd::decode_all(&*by_zstd.body).unwrap(), raw.unwrap());
            prop_assert_eq!(by_lz4.digest, None);
            prop_assert_eq!(by_zstd.digest, digest.map(|kind| kind.of(&by_zstd.body)));
            let rest = |group: LogGroup| LogGroup { body: Vec::new().into(), digest: None, ..group };
            prop_assert_eq!(rest(by_lz4), rest(by_zstd));
        }
    }

    #[test]
    fn our_reader_sees_what_prost_sees(gateway in gateway(), batch in batch()) {
        let group = lz4_closer().close(gateway.pieces(&batch).unwrap(), &source_of("192.0.2.7"));
        let raw = decompress(&group.body, group.raw_bytes as usize).unwrap();
        let reader = LogGroupReader::new(&raw).unwrap();
        let by_prost = GroupMessage::decode(&*raw).unwrap();
        prop_assert_eq!(reader.source(), "192.0.2.7");
        prop_assert_eq!(reader.logs().count(), by_prost.logs.len());
        for (log, by_prost) in reader.logs().zip(&by_prost.logs) {
            prop_assert_eq!((log.time(), log.time_ns()), (by_prost.time, by_prost.time_ns));
            prop_assert_eq!(log.contents().collect::<Vec<_>>(), by_prost.fields());
        }
    }

    #[test]
    fn a_reused_encoder_and_closer_write_what_fresh_ones_write(
        gateway in gateway(),
        batches in prop::collection::vec((batch(), any::<bool>()), 1..4),
    ) {
        let (mut encoder, mut closer) = (Encoder::new(), lz4_closer());
        for (batch, bad) in batches {
            for sent in &batch {
                gateway.push(&mut encoder, sent).unwrap();
            }
            if bad {
                encoder.reset();
                continue;
            }
            let pieces = encoder.finish();
            prop_assert_eq!(&pieces, &gateway.pieces(&batch).unwrap());
            let fresh = lz4_closer().close(pieces.clone(), &source_of("s"));
            for _ in 0..2 {
                prop_assert_eq!(&closer.close(pieces.clone(), &source_of("s")), &fresh);
            }
            for piece in pieces {
                let fresh = lz4_closer().close(vec![piece.clone()], &source_of("s"));
                prop_assert_eq!(closer.close(vec![piece], &source_of("s")), fresh);
                encoder.recycle(closer.take_buffer());
            }
        }
    }
}
