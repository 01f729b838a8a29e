//! Groups taken apart: nothing is lost on the way into smaller groups, and repairs change what they should.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::protobuf::{batch, gateway};
use super::*;
use crate::logs::wire::{CONTENT, LOGS, TIME, TIME_NS, put_delimited, put_pair};

const NOW_S: u32 = (NOW_MS / 1000) as u32;
const WEEK: TimeWindow = TimeWindow {
    past_seconds_max: Some(600_000),
    future_seconds_max: 840,
};

pub(super) fn closer_of(compression: Compression) -> GroupCloser {
    GroupCloser::new(Codec {
        compression,
        digest: Some(DigestKind::Md5),
    })
}

fn message(group: &LogGroup, compression: Compression) -> GroupMessage {
    let raw = compression.decompress(&group.body, group.raw_bytes as usize);
    GroupMessage::decode(&*raw.expect("our own body")).expect("our own protobuf")
}

/// A group whose counts, times and digest are those of its logs.
#[track_caller]
fn check_group(group: &LogGroup, compression: Compression) -> GroupMessage {
    let message = message(group, compression);
    let times = || message.logs.iter().map(|log| log.time);
    assert_eq!(group.log_count as usize, message.logs.len());
    assert_eq!(Some(group.time_min), times().min());
    assert_eq!(Some(group.time_max), times().max());
    assert_eq!(group.digest, Some(DigestKind::Md5.of(&group.body)));
    message
}

fn compression() -> impl Strategy<Value = Compression> {
    prop::sample::select(vec![Compression::Lz4, Compression::Zstd])
}

/// Any group of ours, with its closer's compression.
pub(super) fn group() -> impl Strategy<Value = (LogGroup, Compression)> {
    let tags = prop::collection::vec(("[a-z]{1,8}", "[a-z]{0,8}"), 0..3);
    let envelope = ("[a-z]{0,8}", "[0-9.]{0,8}", tags);
    let logs = prop::collection::vec(batch(), 1..3);
    (gateway(), logs, envelope, compression()).prop_map(
        |(gateway, batches, (topic, source, tags), compression)| {
            let tag = |(name, value): (String, String)| Tag {
                name: name.into(),
                value: value.into(),
            };
            let tags: Vec<Tag> = tags.into_iter().map(tag).collect();
            let envelope = Envelope {
                topic: &topic,
                source: &source,
                tags: &tags,
            };
            let pieces = batches
                .iter()
                .flat_map(|batch| gateway.pieces(batch).expect("it fits"));
            let pieces = pieces.collect();
            let group = closer_of(compression).close(pieces, &envelope);
            (group, compression)
        },
    )
}

/// The group of one log: time, nanoseconds, fields.
fn group_of_one(time: u32, time_ns: Option<u32>, fields: &[(&str, &str)]) -> Apart {
    let mut log = Vec::new();
    wire::put_header(&mut log, TIME, time as usize);
    for (name, value) in fields {
        put_pair(&mut log, CONTENT, name.as_bytes(), value.as_bytes());
    }
    if let Some(nanoseconds) = time_ns {
        log.push(TIME_NS);
        log.extend_from_slice(&nanoseconds.to_le_bytes());
    }
    let mut logs = Vec::new();
    put_delimited(&mut logs, LOGS, &log);
    let piece = Piece {
        logs,
        ..Piece::default()
    };
    let group = lz4_closer().close(vec![piece], &source_of("192.0.2.7"));
    Apart::open(&group, Compression::Lz4).expect("a good group")
}

/// What the only log of `apart` becomes; `None` where the repair finds nothing to do.
fn repaired(mut apart: Apart, repair: Repair) -> Option<LogMessage> {
    let changed = apart.repair(0..1, repair);
    let group = apart.group(0..1, &mut closer_of(Compression::Lz4));
    let message = check_group(&group, Compression::Lz4);
    assert_eq!(message.source.as_deref(), Some("192.0.2.7"));
    (changed == 1).then(|| message.logs[0].clone())
}

proptest! {
    #[test]
    fn the_parts_of_a_group_hold_its_logs_in_order_and_its_envelope(
        (group, compression) in group(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        into in compression(),
    ) {
        let whole = message(&group, compression);
        let apart = Apart::open(&group, compression).unwrap();
        prop_assert_eq!(apart.log_count(), whole.logs.len());

        let mut bounds: Vec<_> = cuts.iter().map(|cut| cut.index(apart.log_count())).collect();
        bounds.extend([0, apart.log_count()]);
        bounds.sort_unstable();
        bounds.dedup();
        let (mut closer, mut logs) = (closer_of(into), Vec::new());
        for part in bounds.windows(2) {
            let part = apart.group(part[0]..part[1], &mut closer);
            let part = check_group(&part, into);
            prop_assert_eq!((&part.topic, &part.source), (&whole.topic, &whole.source));
            prop_assert_eq!(&part.tags, &whole.tags);
            logs.extend(part.logs);
        }
        prop_assert_eq!(logs, whole.logs);
        let again = apart.group(0..apart.log_count(), &mut closer_of(compression));
        prop_assert_eq!(again, group);
    }

    #[test]
    fn times_outside_the_window_become_now_and_are_remembered(
        (group, compression) in group(),
        seconds_later in 0..700_000_u32,
        from in any::<prop::sample::Index>(),
        always in any::<bool>(),
    ) {
        let now_s = NOW_S + seconds_later;
        let mut apart = Apart::open(&group, compression).unwrap();
        let from = from.index(apart.log_count());
        let window = (!always).then_some(WEEK);
        let changed = apart.repair(from..apart.log_count(), Repair::Time { now_s, window });
        let after = apart.group(0..apart.log_count(), &mut closer_of(compression));
        let (before, after) = (message(&group, compression), check_group(&after, compression));

        let mut expected = before.logs.clone();
        let outside = |log: &&mut LogMessage| always || !WEEK.covers(log.time, log.time, now_s);
        let outside: Vec<_> = expected[from..].iter_mut().filter(outside).collect();
        prop_assert_eq!(changed, outside.len());
        for log in outside {
            let unix_ms = u64::from(log.time) * 1000 + u64::from(log.time_ns.unwrap_or(0)) / 1_000_000;
            if log.field("__kafka_timestamp__").is_none() {
                let key = "__kafka_timestamp__".to_owned();
                log.contents.push(PairMessage { key, value: unix_ms.to_string() });
            }
            (log.time, log.time_ns) = (now_s, None);
        }
        prop_assert_eq!(after.logs, expected);
    }

    #[test]
    fn base64_keeps_every_value_under_a_name_that_cannot_offend((group, compression) in group()) {
        let mut apart = Apart::open(&group, compression).unwrap();
        let all = 0..apart.log_count();
        let repair = Repair::Base64 { name_bytes_max: 32 };
        prop_assert_eq!(apart.repair(all.clone(), repair), all.len());
        let after = apart.group(all, &mut closer_of(compression));
        let (before, after) = (message(&group, compression), check_group(&after, compression));
        prop_assert_eq!(before.logs.len(), after.logs.len());
        for (before, after) in before.logs.iter().zip(&after.logs) {
            prop_assert_eq!((before.time, before.time_ns), (after.time, after.time_ns));
            check_base64(before, after, 32);
        }
    }

    #[test]
    fn any_bytes_are_taken_apart_and_repaired_without_panic(
        raw in prop::collection::vec(any::<u8>(), 0..200),
        log in prop::collection::vec(any::<u8>(), 0..60),
        body in prop::collection::vec(any::<u8>(), 0..60),
        compression in compression(),
    ) {
        let mut entry = Vec::new();
        put_delimited(&mut entry, LOGS, &[&[TIME, 7], &*log].concat());
        let mut closer = closer_of(compression);
        for logs in [raw, entry.clone(), [entry.clone(), log.clone(), entry].concat()] {
            let piece = Piece { logs, ..Piece::default() };
            check_hostile(&closer.close(vec![piece], &Envelope::default()), compression);
        }
        let group = LogGroup { body: body.into(), digest: None, raw_bytes: 100, log_count: 1, time_min: 0, time_max: 0 };
        check_hostile(&group, compression);
    }
}

fn check_base64(before: &LogMessage, after: &LogMessage, name_bytes_max: usize) {
    let own = [
        "__kafka_key_base64__",
        "__kafka_timestamp__",
        "__part__",
        "__client_ip__",
    ];
    assert_eq!(before.contents.len(), after.contents.len());
    for (before, after) in before.contents.iter().zip(&after.contents) {
        if own.contains(&&*before.key) {
            assert_eq!(before, after);
            continue;
        }
        let of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        assert!(after.key.chars().all(of_name), "{}", after.key);
        assert!(
            !after.key.starts_with(|c: char| c.is_ascii_digit()),
            "{}",
            after.key
        );
        assert!(after.key.len() <= name_bytes_max, "{}", after.key);
        let ending = match &*before.key {
            "__kafka_key__" => "__kafka_key_base64__",
            _ => "_base64",
        };
        assert!(after.key.ends_with(ending), "{}", after.key);
        assert_eq!(
            STANDARD.decode(&after.value).as_deref(),
            Ok(before.value.as_bytes())
        );
    }
    let names: HashSet<_> = after.contents.iter().map(|field| &field.key).collect();
    assert_eq!(names.len(), after.contents.len(), "{:?}", after.contents);
}

/// A group of whatever bytes can be opened, divided, repaired and opened again, or is refused.
fn check_hostile(group: &LogGroup, compression: Compression) {
    let Ok(mut apart) = Apart::open(group, compression) else {
        return;
    };
    let mut closer = closer_of(compression);
    for at in 0..apart.log_count() {
        apart.group(at..at + 1, &mut closer);
    }
    let (all, now_s) = (0..apart.log_count(), u32::MAX);
    for repair in [
        Repair::Base64 {
            name_bytes_max: 128,
        },
        Repair::Time {
            now_s,
            window: None,
        },
    ] {
        assert_eq!(apart.repair(all.clone(), repair), all.len());
        let group = apart.group(all.clone(), &mut closer);
        let again = Apart::open(&group, compression).expect("we wrote it");
        assert_eq!(again.log_count(), all.len());
    }
}

#[test]
fn a_log_that_grew_too_old_while_it_waited_gets_the_time_of_its_sending() {
    let fields = [("content", "x"), ("__client_ip__", "192.0.2.9")];
    let week = Repair::Time {
        now_s: NOW_S,
        window: Some(WEEK),
    };
    let old = group_of_one(NOW_S - 600_001, Some(250_000_000), &fields);
    let log = repaired(old, week).expect("it is too old");
    assert_eq!((log.time, log.time_ns), (NOW_S, None));
    let timestamp = format!("{}250", NOW_S - 600_001);
    let expected = [&fields[..], &[("__kafka_timestamp__", &*timestamp)]].concat();
    assert_eq!(log.fields(), expected);

    let good = group_of_one(NOW_S - 600_000, Some(250_000_000), &fields);
    assert_eq!(repaired(good, week), None);
}

#[test]
fn a_time_that_the_service_refuses_is_replaced_though_we_find_it_good() {
    let always = Repair::Time {
        now_s: NOW_S,
        window: None,
    };
    let log = repaired(group_of_one(NOW_S - 1, None, &[("content", "x")]), always);
    let log = log.expect("each time is replaced");
    assert_eq!((log.time, log.time_ns), (NOW_S, None));
    let timestamp = format!("{}000", NOW_S - 1);
    assert_eq!(log.field("__kafka_timestamp__"), Some(&*timestamp));
}

#[test]
fn the_first_timestamp_of_a_record_outlives_a_second_repair() {
    let fields = [("content", "x"), ("__kafka_timestamp__", "17")];
    let always = Repair::Time {
        now_s: NOW_S,
        window: None,
    };
    let log = repaired(group_of_one(7, None, &fields), always).expect("it is replaced");
    assert_eq!(log.fields(), fields);
}

#[test]
fn only_the_logs_that_are_named_are_repaired() {
    let batch = ["a", "b", "c"].map(Sent::value);
    let group = lz4_closer().close(Gateway::default().pieces(&batch).unwrap(), &source_of(""));
    let mut apart = Apart::open(&group, Compression::Lz4).unwrap();
    apart.repair(
        1..2,
        Repair::Base64 {
            name_bytes_max: 128,
        },
    );
    let logs = decoded(&apart.group(0..3, &mut lz4_closer())).logs;
    let fields: Vec<_> = logs.iter().map(LogMessage::fields).collect();
    let expected = [
        ("content", "a"),
        ("content_base64", "Yg=="),
        ("content", "c"),
    ];
    assert_eq!(fields, expected.map(|field| vec![field]));
}

#[test]
fn in_base64_a_name_is_the_same_in_each_log() {
    let pieces = Gateway::default().pieces(&["a", "b"].map(Sent::value));
    let group = lz4_closer().close(pieces.unwrap(), &source_of(""));
    let mut apart = Apart::open(&group, Compression::Lz4).unwrap();
    apart.repair(
        0..2,
        Repair::Base64 {
            name_bytes_max: 128,
        },
    );
    let logs = decoded(&apart.group(0..2, &mut lz4_closer())).logs;
    let values: Vec<_> = logs.iter().map(|log| log.field("content_base64")).collect();
    assert_eq!(values, [Some("YQ=="), Some("Yg==")]);
}

#[track_caller]
fn check_base64_fields(fields: &[(&str, &str)], expected: &[(&str, &str)]) {
    let repair = Repair::Base64 {
        name_bytes_max: 128,
    };
    let log = repaired(group_of_one(7, None, fields), repair).expect("each log is changed");
    assert_eq!(log.fields(), expected);
}

#[test]
fn in_base64_names_are_reduced_and_what_the_gateway_wrote_stays() {
    check_base64_fields(
        &[
            ("content", "hé"),
            ("2.status", ""),
            ("__part__", "1/2"),
            ("__client_ip__", "192.0.2.9"),
            ("__kafka_timestamp__", "17"),
        ],
        &[
            ("content_base64", "aMOp"),
            ("_2_status_base64", ""),
            ("__part__", "1/2"),
            ("__client_ip__", "192.0.2.9"),
            ("__kafka_timestamp__", "17"),
        ],
    );
}

#[test]
fn in_base64_the_key_gets_the_name_that_one_of_bytes_has() {
    check_base64_fields(
        &[("__kafka_key__", "k")],
        &[("__kafka_key_base64__", "aw==")],
    );
    let bytes = [("__kafka_key_base64__", "/w==")];
    check_base64_fields(&bytes, &bytes);
}

#[test]
fn in_base64_names_that_differ_in_what_is_reduced_stay_apart() {
    let hash = |name: &str| crc32fast::hash(name.as_bytes());
    check_base64_fields(
        &[("a.b", "1"), ("a-b", "2"), ("a_b", "3")],
        &[
            ("a_b_base64", "MQ=="),
            (&format!("a_b_{:08x}_base64", hash("a-b")), "Mg=="),
            (&format!("a_b_{:08x}_base64", hash("a_b")), "Mw=="),
        ],
    );
}

#[test]
fn a_damaged_group_is_not_taken_apart() {
    let pieces = Gateway::default().pieces(&[Sent::value("x")]).unwrap();
    let mut group = lz4_closer().close(pieces, &source_of(""));
    group.raw_bytes += 1;
    let wrong = LogGroupError::WrongSize {
        found: group.raw_bytes as usize - 1,
        expected: group.raw_bytes as usize,
    };
    assert_eq!(Apart::open(&group, Compression::Lz4).err(), Some(wrong));
}
