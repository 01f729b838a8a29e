//! From record to log: a test for each rule of the product's table and of the repairs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

const BINARY: [u8; 4] = [0xff, 0x00, 0xc3, 0x28];

/// Joins the parts of the field `name`, after a look at their `__part__`.
#[track_caller]
fn joined(logs: &[LogMessage], name: &str) -> String {
    for (at, log) in logs.iter().enumerate() {
        let part = format!("{}/{}", at + 1, logs.len());
        assert_eq!(log.field("__part__"), Some(&*part));
    }
    logs.iter().filter_map(|log| log.field(name)).collect()
}

// Time.

#[test]
fn the_record_s_timestamp_is_the_log_s_time() {
    let log = Gateway::default().log(&Sent::value("x").at(NOW_MS - 7_000));
    assert_eq!(log.time, 1_751_371_193);
    assert_eq!(log.time_ns, Some(250_000_000));
    assert_eq!(log.fields(), [("content", "x")]);
}

#[test]
fn a_record_without_a_timestamp_gets_the_arrival_time() {
    let log = Gateway::default().log(&Sent::value("x").at(-1));
    assert_eq!((log.time, log.time_ns), (1_751_371_200, Some(250_000_000)));
    assert_eq!(log.fields(), [("content", "x")]);
}

#[test]
fn a_timestamp_outside_the_window_is_replaced_and_kept_in_a_field() {
    for ms in [
        0,
        -2,
        i64::MIN,
        i64::MAX,
        315_532_799_999,
        NOW_MS + 86_400_001,
    ] {
        let log = Gateway::default().log(&Sent::value("x").at(ms));
        assert_eq!(log.time, 1_751_371_200, "{ms}");
        assert_eq!(log.field("__kafka_timestamp__"), Some(&*ms.to_string()));
    }
}

#[test]
fn the_window_is_the_backend_s_to_tell() {
    let old = Sent::value("x").at(NOW_MS - 8 * 86_400_000);
    assert_eq!(Gateway::default().log(&old).time, 1_750_680_000);
    let mut narrow = Gateway::default();
    narrow.window.past_seconds_max = Some(7 * 86_400 - 3_600);
    assert_eq!(narrow.log(&old).time, 1_751_371_200);
}

#[test]
fn each_log_of_a_record_has_its_time() {
    let logs = Gateway::json().logs(&Sent::value(r#"[{"a":1},{"a":2}]"#).at(0));
    for log in &logs {
        assert_eq!(log.time, 1_751_371_200);
        assert_eq!(log.field("__kafka_timestamp__"), Some("0"));
    }
    assert_eq!(logs.len(), 2);
}

// Value.

#[test]
fn a_value_is_stored_byte_for_byte_in_content() {
    for value in ["", "x", "line\n", " \r\n", "é你🚀\0", "{\"a\":1}\n"] {
        let log = Gateway::default().log(&Sent::value(value));
        assert_eq!(log.fields(), [("content", value)]);
    }
}

#[test]
fn a_null_value_becomes_an_empty_content() {
    let mut sent = Sent::value("");
    sent.value = None;
    for gateway in [Gateway::default(), Gateway::json()] {
        assert_eq!(gateway.log(&sent).fields(), [("content", "")]);
    }
}

#[test]
fn a_value_that_is_not_utf_8_is_stored_as_base64() {
    for gateway in [Gateway::default(), Gateway::json()] {
        let log = gateway.log(&Sent::value(BINARY));
        assert_eq!(
            log.fields(),
            [("content_base64", &*STANDARD.encode(BINARY))]
        );
    }
}

#[test]
fn one_trailing_newline_of_text_is_trimmed_where_configured() {
    let mut gateway = Gateway::default();
    gateway.mapping.trim_newline = true;
    let cases = [
        ("a\n", "a"),
        ("a\r\n", "a"),
        ("a\n\n", "a\n"),
        ("a\r", "a\r"),
        ("\n", ""),
    ];
    for (value, content) in cases {
        assert_eq!(
            gateway.log(&Sent::value(value)).fields(),
            [("content", content)]
        );
    }
    let binary = [&BINARY[..], b"\n"].concat();
    let log = gateway.log(&Sent::value(&binary));
    assert_eq!(log.field("content_base64"), Some(&*STANDARD.encode(binary)));
}

// Key.

#[test]
fn the_key_is_kept_unless_empty_or_the_word_content() {
    let log = Gateway::default().log(&Sent::value("x").key("k"));
    assert_eq!(log.fields(), [("__kafka_key__", "k"), ("content", "x")]);
    for key in ["", "content"] {
        let log = Gateway::default().log(&Sent::value("x").key(key));
        assert_eq!(log.fields(), [("content", "x")]);
    }
}

#[test]
fn a_key_that_is_not_utf_8_is_kept_as_base64() {
    for key in [KeyRule::Field, KeyRule::FieldName] {
        let log = Gateway::with_key(key).log(&Sent::value("x").key(BINARY));
        let expected = [
            ("__kafka_key_base64__", &*STANDARD.encode(BINARY)),
            ("content", "x"),
        ];
        assert_eq!(log.fields(), expected);
    }
}

#[test]
fn the_key_can_be_dropped() {
    let log = Gateway::with_key(KeyRule::Drop).log(&Sent::value("x").key("k"));
    assert_eq!(log.fields(), [("content", "x")]);
}

#[test]
fn the_key_can_name_the_value_s_field() {
    let named = Gateway::with_key(KeyRule::FieldName);
    let fields = |sent: &Sent| named.log(sent).contents[0].key.clone();
    assert_eq!(fields(&Sent::value("x").key("line")), "line");
    assert_eq!(fields(&Sent::value(BINARY).key("line")), "line_base64");
    assert_eq!(fields(&Sent::value("x").key("")), "content");
    assert_eq!(fields(&Sent::value("x").key("__time__")), "user___time__");
    assert_eq!(named.log(&Sent::value("x").key("line")).contents.len(), 1);
}

#[test]
fn a_key_beside_fields_of_the_value_s_own_names_none_and_is_kept() {
    let mut named = Gateway::with_key(KeyRule::FieldName);
    named.json_topic = true;
    let log = named.log(&Sent::value(r#"{"a":1}"#).key("line"));
    assert_eq!(log.fields(), [("__kafka_key__", "line"), ("a", "1")]);
    let log = named.log(&Sent::value("no json").key("line"));
    assert_eq!(log.fields(), [("line", "no json")]);
}

// Headers and names.

#[test]
fn headers_are_dropped_by_default() {
    let log = Gateway::default().log(&Sent::value("x").header("h", "v"));
    assert_eq!(log.fields(), [("content", "x")]);
}

#[test]
fn headers_are_kept_as_fields_with_a_prefix_where_configured() {
    let mut sent = Sent::value("x")
        .key("k")
        .header("a", "1")
        .header("b", BINARY);
    sent.headers.push((b"none".to_vec(), None));
    let log = Gateway::with_headers("h.").log(&sent);
    let expected = [
        ("h.a", "1"),
        ("h.b_base64", &*STANDARD.encode(BINARY)),
        ("h.none", ""),
        ("__kafka_key__", "k"),
        ("content", "x"),
    ];
    assert_eq!(log.fields(), expected);
}

#[test]
fn of_more_than_1024_headers_the_first_are_kept() {
    let mut sent = Sent::value("x");
    for at in 0..1_025 {
        sent = sent.header(&at.to_string(), "v");
    }
    let log = Gateway::with_headers("h.").log(&sent);
    assert_eq!(log.contents.len(), 1_024 + 1);
    assert_eq!(log.field("h.1023"), Some("v"));
}

#[test]
fn a_header_name_that_is_not_utf_8_is_repaired() {
    let mut sent = Sent::value("x");
    sent.headers.push((b"a\xff".to_vec(), Some(b"v".to_vec())));
    let log = Gateway::with_headers("").log(&sent);
    assert_eq!(log.field("a\u{fffd}"), Some("v"));
}

#[test]
fn of_a_name_that_stands_twice_the_last_wins() {
    let twice = Sent::value("x").header("a", "1").header("a", "2");
    let log = Gateway::with_headers("").log(&twice);
    assert_eq!(log.fields(), [("a", "2"), ("content", "x")]);

    let log = Gateway::json().log(&Sent::value(r#"{"a":1,"b":2,"\u0061":3}"#));
    assert_eq!(log.fields(), [("b", "2"), ("a", "3")]);
}

#[test]
fn a_field_of_the_value_s_own_wins_over_a_header() {
    let sent = Sent::value("x")
        .header("content", "h")
        .header("data-parse-format", "json");
    let log = Gateway::with_headers("").log(&sent);
    assert_eq!(log.field("content"), Some("x"));

    let sent = Sent::value(r#"{"a":"own"}"#).header("a", "header");
    let mut gateway = Gateway::with_headers("");
    gateway.json_topic = true;
    assert_eq!(gateway.log(&sent).fields(), [("a", "own")]);
}

const RESERVED: [&str; 14] = [
    "__time__",
    "__source__",
    "__topic__",
    "__partition_time__",
    "_extract_others_",
    "__extract_others__",
    "__tag__:host",
    "__raw__",
    "__raw_log__",
    "__time_ns_part__",
    "__kafka_key__",
    "__kafka_timestamp__",
    "__part__",
    "__client_ip__",
];

#[test]
fn reserved_names_get_the_prefix_user_wherever_they_come_from() {
    for name in RESERVED {
        let user = format!("user_{name}");
        let sent = Sent::value("x").header(name, "v");
        assert_eq!(Gateway::with_headers("").log(&sent).field(&user), Some("v"));
        let sent = Sent::value(format!("{{\"{name}\":\"v\"}}"));
        assert_eq!(Gateway::json().log(&sent).fields(), [(&*user, "v")]);
        let sent = Sent::value("v").key(name);
        let log = Gateway::with_key(KeyRule::FieldName).log(&sent);
        assert_eq!(log.fields(), [(&*user, "v")]);
    }
}

#[test]
fn a_name_that_base64_makes_reserved_gets_the_prefix_too() {
    let log = Gateway::with_headers("").log(&Sent::value("x").header("__kafka", BINARY));
    assert_eq!(log.contents[0].key, "user___kafka_base64");
}

#[test]
fn an_empty_name_becomes_an_underscore() {
    let log = Gateway::json().log(&Sent::value(r#"{"":1}"#));
    assert_eq!(log.fields(), [("_", "1")]);
    let log = Gateway::with_headers("").log(&Sent::value("x").header("", "v"));
    assert_eq!(log.field("_"), Some("v"));
}

#[test]
fn a_name_too_long_is_cut_at_a_character_and_ends_in_a_short_hash() {
    let long = "é".repeat(100);
    let log = Gateway::json().log(&Sent::value(format!("{{\"{long}1\":1,\"{long}2\":2}}")));
    let [(first, "1"), (second, "2")] = log.fields()[..] else {
        panic!("{log:?}");
    };
    assert_ne!(first, second);
    for name in [first, second] {
        assert!(name.len() <= BOUNDS.name_bytes_max && name.starts_with("ééé"));
        let (stem, hash) = name.rsplit_once('_').unwrap();
        assert!(long.starts_with(stem) && hash.len() == 8);
    }
}

// Source.

#[test]
fn the_source_stands_in_the_group_or_by_configuration_in_each_log() {
    let pieces = Gateway::default().pieces(&[Sent::value("x")]).unwrap();
    let group = decoded(&lz4_closer().close(pieces, &source_of("192.0.2.7")));
    assert_eq!(group.source.as_deref(), Some("192.0.2.7"));
    assert_eq!(group.logs[0].field("__client_ip__"), None);

    let mut gateway = Gateway::json();
    gateway.client_ip = Some("192.0.2.7");
    for log in gateway.logs(&Sent::value(r#"[{"a":1},{"__client_ip__":"forged"}]"#)) {
        assert_eq!(log.field("__client_ip__"), Some("192.0.2.7"));
    }
}

// Too large.

#[test]
fn a_value_over_the_largest_log_is_split_at_characters_with_key_and_headers_in_each_part() {
    let value = "é你🚀x".repeat(1_000);
    let mut gateway = Gateway::with_headers("h.");
    gateway.bounds.log_bytes_max = 4_096;
    let logs = gateway.logs(&Sent::value(&value).key("k").header("a", "1"));
    assert!(logs.len() > 2);
    assert_eq!(joined(&logs, "content"), value);
    for log in &logs {
        assert_eq!(log.field("__kafka_key__"), Some("k"));
        assert_eq!(log.field("h.a"), Some("1"));
        assert!(log.encoded_len() + 3 <= 4_096);
    }
}

#[test]
fn growth_by_base64_counts_for_the_largest_log() {
    let value = [0xff; 3_500];
    let logs = Gateway::with_log_bytes_max(4_096).logs(&Sent::value(value));
    assert_eq!(logs.len(), 2);
    assert_eq!(joined(&logs, "content_base64"), STANDARD.encode(value));
}

#[test]
fn a_log_may_be_exactly_as_large_as_the_largest_and_no_larger() {
    let gateway = Gateway::with_log_bytes_max(4_096);
    // Tag and length of the log and of the field; time; name; tag and length of the value; nanoseconds.
    let overhead = 3 + 3 + 6 + (2 + "content".len()) + 3 + 5;
    assert_eq!(
        gateway
            .logs(&Sent::value(vec![b'x'; 4_096 - overhead]))
            .len(),
        1
    );
    assert_eq!(
        gateway
            .logs(&Sent::value(vec![b'x'; 4_097 - overhead]))
            .len(),
        2
    );
}

#[test]
fn headers_and_key_too_large_to_be_copied_are_laid_out_behind_the_value() {
    let (key, header) = ("k".repeat(3_000), "h".repeat(9_000));
    let mut gateway = Gateway::with_headers("");
    gateway.bounds.log_bytes_max = 4_096;
    let logs = gateway.logs(&Sent::value("value").key(&key).header("a", &header));
    assert_eq!(logs[0].contents[0].pair(), ("content", "value"));
    assert_eq!(joined(&logs, "content"), "value");
    assert_eq!(joined(&logs, "a"), header);
    assert_eq!(joined(&logs, "__kafka_key__"), key);
}

#[test]
fn a_value_too_large_is_truncated_where_configured() {
    let mut gateway = Gateway::with_log_bytes_max(4_096);
    gateway.mapping.oversize = OversizeRule::Truncate;
    let value = "你".repeat(3_000);
    let log = gateway.log(&Sent::value(&value));
    let content = log.field("content").unwrap();
    assert!(value.starts_with(content) && content.len() > 3_900);
    assert_eq!(log.field("__part__"), None);
}

#[test]
fn a_value_too_large_is_refused_where_configured() {
    let mut gateway = Gateway::with_log_bytes_max(4_096);
    gateway.mapping.oversize = OversizeRule::Refuse;
    let refused = gateway.pieces(&[Sent::value([b'x'; 5_000])]);
    let Err(LogError::TooLarge { bytes, max: 4_096 }) = refused else {
        panic!("{refused:?}");
    };
    assert!(bytes > 5_000);
}

#[test]
fn a_batch_that_expands_too_far_is_refused() {
    let mut gateway = Gateway::default();
    gateway.bounds.expansion_bytes_max = 10_000;
    let batch = vec![Sent::value([b'x'; 900]); 10];
    assert!(gateway.pieces(&batch).is_ok());
    let batch = vec![Sent::value([b'x'; 1_000]); 10];
    assert_eq!(
        gateway.pieces(&batch),
        Err(LogError::BatchTooLarge { max: 10_000 })
    );
}

// Pieces.

#[test]
fn the_parts_of_a_value_stand_in_one_piece_where_they_fit_one() {
    let mut gateway = Gateway::with_log_bytes_max(4_096);
    gateway.bounds.piece_bytes_max = 20_000;
    let pieces = gateway
        .pieces(&[Sent::value([b'a'; 3_900]), Sent::value([b'b'; 17_000])])
        .unwrap();
    assert_eq!(
        pieces
            .iter()
            .map(|piece| piece.log_count)
            .collect::<Vec<_>>(),
        [1, 5]
    );
}

#[test]
fn a_piece_is_cut_by_bytes_and_by_logs() {
    let mut gateway = Gateway::default();
    gateway.bounds.piece_bytes_max = 1_000;
    let counts = |gateway: &Gateway, bytes| {
        let pieces = gateway
            .pieces(&vec![Sent::value(vec![b'x'; bytes]); 7])
            .unwrap();
        pieces
            .iter()
            .map(|piece| piece.log_count)
            .collect::<Vec<_>>()
    };
    assert_eq!(counts(&gateway, 400), [2, 2, 2, 1]);
    assert_eq!(counts(&gateway, 2_000), [1; 7]);
    gateway.bounds.piece_logs_max = 3;
    assert_eq!(counts(&gateway, 1), [3, 3, 1]);
}

#[test]
fn a_batch_without_records_has_no_pieces() {
    assert_eq!(Gateway::default().pieces(&[]), Ok(Vec::new()));
}

#[test]
fn topic_source_and_tags_stand_once_in_the_group() {
    let tags = [("env", "test"), ("empty", "")].map(|(name, value)| Tag {
        name: name.into(),
        value: value.into(),
    });
    let envelope = Envelope {
        topic: "orders.json",
        source: "192.0.2.7",
        tags: &tags,
    };
    let pieces = Gateway::default()
        .pieces(&[Sent::value("x")])
        .expect("it fits");
    let closed = lz4_closer().close(pieces, &envelope);
    let group = decoded(&closed);
    assert_eq!(group.topic.as_deref(), Some("orders.json"));
    assert_eq!(group.source.as_deref(), Some("192.0.2.7"));
    let told: Vec<_> = group.tags.iter().map(PairMessage::pair).collect();
    assert_eq!(told, [("env", "test"), ("empty", "")]);
    let raw = decompress(&closed.body, closed.raw_bytes as usize).expect("our own block");
    let reader = LogGroupReader::new(&raw).expect("our own protobuf");
    assert_eq!(reader.topic(), "orders.json");
    assert_eq!(reader.tags().collect::<Vec<_>>(), told);
}
