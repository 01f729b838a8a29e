//! JSON that is taken apart, compared with what `serde_json` understands; and JSON that is not, which stays whole.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::logs::json::{DEPTH_MAX, ELEMENTS_MAX, FIELDS_MAX};

/// A document is written in one of these ways.
#[derive(Clone, Copy, Debug)]
enum Style {
    Compact,
    Pretty,
    /// Every character of a name or string as `\uXXXX`, and white space wherever it may stand.
    Escaped,
}

fn written(value: &Value, style: Style) -> String {
    match (style, value) {
        (Style::Compact, _) => value.to_string(),
        (Style::Pretty, _) => serde_json::to_string_pretty(value).unwrap(),
        (Style::Escaped, Value::String(text)) => escaped(text),
        (Style::Escaped, Value::Array(items)) => {
            let items: Vec<_> = items.iter().map(|item| written(item, style)).collect();
            format!("[ {} ]", items.join("\r\n, "))
        }
        (Style::Escaped, Value::Object(members)) => {
            let members: Vec<_> = members.iter().collect();
            written_members(&members, style)
        }
        (Style::Escaped, literal) => literal.to_string(),
    }
}

fn written_members(members: &[(&String, &Value)], style: Style) -> String {
    let name = |name: &String| written(&Value::from(name.as_str()), style);
    let member =
        |(key, value): &(&String, &Value)| format!("{} : {}", name(key), written(value, style));
    let members: Vec<_> = members.iter().map(member).collect();
    format!("{{\t{} }}", members.join(" ,\n"))
}

fn escaped(text: &str) -> String {
    let units = text.encode_utf16().map(|unit| format!("\\u{unit:04X}"));
    format!("\"{}\"", units.collect::<String>())
}

fn value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // Quarters: the oracle does not read every fraction back exactly.
        any::<i32>().prop_map(|number| Value::from(f64::from(number) / 4.0)),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        any::<String>().prop_map(Value::from),
        "[a\"\\\\ \\n\u{1}🚀]{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Members in order, some with one name.
fn members() -> impl Strategy<Value = Vec<(String, Value)>> {
    let name = prop_oneof![
        "[ab]",
        any::<String>(),
        Just(String::new()),
        Just("__time__".to_owned()),
        Just("n".repeat(200)),
    ];
    prop::collection::vec((name, value()), 1..8)
}

fn style() -> impl Strategy<Value = Style> {
    prop::sample::select(vec![Style::Compact, Style::Pretty, Style::Escaped])
}

fn document(members: &[(String, Value)], style: Style) -> String {
    let members: Vec<_> = members.iter().map(|(name, value)| (name, value)).collect();
    written_members(&members, style)
}

fn repaired(name: &str) -> String {
    name::repair(name, "", BOUNDS.name_bytes_max, &mut String::new()).to_owned()
}

/// Compares a log with the object that it comes from: of one name the last, nested values by their meaning.
fn check_log(log: &LogMessage, members: &[(String, Value)]) {
    let by_name = members.iter().map(|(name, value)| (repaired(name), value));
    let expected: BTreeMap<String, &Value> = by_name.collect();
    assert_eq!(log.contents.len(), expected.len());
    for (name, value) in expected {
        let text = log.field(&name).expect("the member is a field");
        match value {
            Value::Null => assert_eq!(text, ""),
            Value::String(string) => assert_eq!(text, string),
            Value::Bool(_) | Value::Number(_) => assert_eq!(text, value.to_string()),
            Value::Array(_) | Value::Object(_) => {
                assert_eq!(&serde_json::from_str::<Value>(text).unwrap(), value);
                assert!(is_compact(text), "{text}");
            }
        }
    }
}

/// No white space outside of strings.
fn is_compact(json: &str) -> bool {
    let (mut inside, mut escaped) = (false, false);
    json.bytes().all(|byte| {
        let fine = inside || !byte.is_ascii_whitespace();
        (inside, escaped) = match byte {
            b'"' if !escaped => (!inside, false),
            b'\\' => (inside, !escaped),
            _ => (inside, false),
        };
        fine
    })
}

proptest! {
    #[test]
    fn an_object_becomes_a_log_of_its_members(members in members(), style in style()) {
        let text = document(&members, style);
        prop_assert!(serde_json::from_str::<Value>(&text).is_ok(), "the oracle reads it");
        check_log(&Gateway::json().log(&Sent::value(text)), &members);
    }

    #[test]
    fn an_array_of_objects_becomes_a_log_of_each(
        objects in prop::collection::vec((members(), style()), 1..5),
    ) {
        let texts: Vec<_> = objects.iter().map(|(members, style)| document(members, *style)).collect();
        let logs = Gateway::json().logs(&Sent::value(format!("[{}]", texts.join(" , "))));
        prop_assert_eq!(logs.len(), objects.len());
        for (log, (members, _)) in logs.iter().zip(&objects) {
            check_log(log, members);
        }
    }
}

#[track_caller]
fn check_stays_whole(gateway: &Gateway, text: &str) {
    assert_eq!(
        gateway.log(&Sent::value(text)).fields(),
        [("content", text)]
    );
}

#[test]
fn what_is_not_an_object_or_an_array_of_objects_stays_whole() {
    let texts = [
        "",
        " ",
        "{}",
        "[]",
        "[{}]",
        "[{\"a\":1},{}]",
        "[{\"a\":1},2]",
        "[1]",
        "1",
        "\"x\"",
        "null",
        "{\"a\":1",
        "{\"a\":1}{\"a\":1}",
        "\u{feff}{\"a\":1}",
        "{'a':1}",
        "{\"a\":NaN}",
        "{\"a\":\"\u{1}\"}",
    ];
    for text in texts {
        check_stays_whole(&Gateway::json(), text);
    }
}

#[test]
fn only_the_header_s_exact_value_asks_for_json() {
    for (name, value) in [
        ("data-parse-format", "JSON"),
        ("Data-Parse-Format", "json"),
        ("x", "json"),
    ] {
        let sent = Sent::value("{\"a\":1}").header(name, value);
        let log = Gateway::default().log(&sent);
        assert_eq!(log.fields(), [("content", "{\"a\":1}")]);
    }
}

#[test]
fn an_array_stays_whole_where_configured() {
    let mut gateway = Gateway::json();
    gateway.mapping.arrays = ArrayRule::Keep;
    check_stays_whole(&gateway, "[{\"a\":1}]");
    assert_eq!(
        gateway.log(&Sent::value("{\"a\":1}")).fields(),
        [("a", "1")]
    );
}

#[test]
fn lone_surrogates_become_the_replacement_character() {
    let text = r#"{"\ud800":"a\udc00\ud800b","c":["\ud800"],"d":"\ud83d\ude80"}"#;
    let log = Gateway::json().log(&Sent::value(text));
    let expected = [
        ("\u{fffd}", "a\u{fffd}\u{fffd}b"),
        // What is nested is kept as JSON, where the escape is text.
        ("c", r#"["\ud800"]"#),
        ("d", "🚀"),
    ];
    assert_eq!(log.fields(), expected);
}

#[test]
fn numbers_beyond_every_type_are_kept_as_written() {
    let number = "-123456789012345678901234567890.10e+400";
    let log = Gateway::json().log(&Sent::value(format!("{{\"a\":{number}}}")));
    assert_eq!(log.fields(), [("a", number)]);
}

#[test]
fn nesting_over_64_stays_whole() {
    let nested = |depth: usize| {
        format!(
            "{{\"a\":{}{}}}",
            "[".repeat(depth - 1),
            "]".repeat(depth - 1)
        )
    };
    let deepest = nested(DEPTH_MAX as usize);
    assert_eq!(
        Gateway::json().log(&Sent::value(deepest)).contents[0].key,
        "a"
    );
    check_stays_whole(&Gateway::json(), &nested(DEPTH_MAX as usize + 1));
}

#[test]
fn a_megabyte_of_open_brackets_stays_whole() {
    for open in ["[", "{\"\":", "[{\"a\":"] {
        check_stays_whole(&Gateway::json(), &open.repeat(1_000_000 / open.len()));
    }
}

#[test]
fn over_1024_fields_stay_whole() {
    let object = |count: usize| {
        let members: Vec<_> = (0..count).map(|at| format!("\"f{at}\":{at}")).collect();
        format!("{{{}}}", members.join(","))
    };
    let log = Gateway::json().log(&Sent::value(object(FIELDS_MAX)));
    assert_eq!(log.contents.len(), 1_024);
    check_stays_whole(&Gateway::json(), &object(FIELDS_MAX + 1));
}

#[test]
fn over_10000_elements_stay_whole() {
    let array = |count: usize| format!("[{}]", vec!["{\"a\":1}"; count].join(","));
    assert_eq!(
        Gateway::json()
            .logs(&Sent::value(array(ELEMENTS_MAX)))
            .len(),
        10_000
    );
    check_stays_whole(&Gateway::json(), &array(ELEMENTS_MAX + 1));
}

#[test]
fn an_expansion_over_the_limit_stays_whole() {
    // The key is copied into each of a thousand logs.
    let sent =
        Sent::value(format!("[{}]", vec!["{\"a\":1}"; 1_000].join(","))).key("k".repeat(1_000));
    assert_eq!(Gateway::json().logs(&sent).len(), 1_000);
    let mut gateway = Gateway::json();
    gateway.bounds.expansion_bytes_max = 1_000_000;
    let log = gateway.log(&sent);
    assert_eq!(
        log.field("content").map(str::as_bytes),
        sent.value.as_deref()
    );
}

#[test]
fn an_object_over_the_largest_log_stays_whole_in_parts() {
    let mut gateway = Gateway::json();
    gateway.bounds.log_bytes_max = 4_096;
    let text = format!("[{{\"a\":1}},{{\"a\":\"{}\"}}]", "x".repeat(5_000));
    let logs = gateway.logs(&Sent::value(&text));
    let joined: String = logs.iter().filter_map(|log| log.field("content")).collect();
    assert_eq!((logs.len(), joined), (2, text));
}

#[test]
fn an_expansion_that_fails_late_leaves_no_log_behind() {
    let mut gateway = Gateway::json();
    gateway.bounds.piece_logs_max = 3;
    let broken = format!("[{}1]", "{\"a\":1},".repeat(10));
    let good = Sent::value("{\"b\":2}").at(NOW_MS - 60_000);
    let batch = [
        good.clone(),
        Sent::value(&broken).at(NOW_MS - 9_000_000),
        good.clone(),
        good,
    ];
    let pieces = gateway.pieces(&batch).unwrap();
    assert_eq!(
        pieces
            .iter()
            .map(|piece| piece.log_count)
            .collect::<Vec<_>>(),
        [3, 1]
    );
    let group = decoded(&lz4_closer().close(pieces, &source_of("")));
    let fields: Vec<_> = group.logs.iter().map(|log| log.fields()[0]).collect();
    assert_eq!(
        fields,
        [("b", "2"), ("content", &*broken), ("b", "2"), ("b", "2")]
    );
}

#[test]
fn an_expansion_that_fails_leaves_no_time_behind() {
    let mut gateway = Gateway::json();
    gateway.bounds.piece_bytes_max = 500;
    let broken = format!("[{{\"a\":1}},{{\"b\":\"{}\"]", "x".repeat(450));
    for ms in [NOW_MS - 90_000, NOW_MS - 30_000] {
        let batch = [
            Sent::value("{\"b\":2}").at(NOW_MS - 60_000),
            Sent::value(&broken).at(ms),
        ];
        let pieces = gateway.pieces(&batch).unwrap();
        let times: Vec<_> = pieces
            .iter()
            .map(|piece| (piece.time_min, piece.time_max))
            .collect();
        let seconds = [NOW_MS - 60_000, ms].map(|ms| (ms / 1000) as u32);
        assert_eq!(times, seconds.map(|time| (time, time)));
    }
}

#[test]
fn of_many_members_with_few_names_the_last_of_each_wins() {
    let members: Vec<_> = (0..300)
        .map(|at| format!("\"n{}\":{at}", at * 7 % 5))
        .collect();
    let log = Gateway::json().log(&Sent::value(format!("{{{}}}", members.join(","))));
    let mut values: Vec<_> = log
        .fields()
        .iter()
        .map(|(_, value)| value.to_string())
        .collect();
    values.sort_unstable();
    assert_eq!(values, ["295", "296", "297", "298", "299"]);
}

#[test]
fn failed_expansions_use_up_the_work_that_a_batch_may_cause() {
    let mut gateway = Gateway::json();
    gateway.bounds.expansion_bytes_max = 100_000;
    let broken = Sent::value(format!("[{}1]", "{\"a\":1},".repeat(1_500)));
    let good = Sent::value("{\"b\":2}");
    let pieces = gateway
        .pieces(&[good.clone(), broken.clone(), broken.clone(), broken, good])
        .unwrap();
    let logs = decoded(&lz4_closer().close(pieces, &source_of(""))).logs;
    let names: Vec<_> = logs.iter().map(|log| &*log.contents[0].key).collect();
    assert_eq!(names, ["b", "content", "content", "content", "content"]);
}
