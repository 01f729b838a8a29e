//! One log as one line, for people and for programs. Whatever a log holds, it stays one line and steers no terminal.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use time::OffsetDateTime;
use time::macros::format_description;

use super::Log;

/// Where a log's group is stored.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub shard: u32,
    pub sequence: u64,
}

impl Place {
    /// The group's cursor: the sequence in base64, as the Log Service's own.
    fn cursor(self) -> String {
        STANDARD.encode(self.sequence.to_string())
    }
}

/// `TIME SOURCE content name=value …`: `content` bare, other values quoted where they would be unclear; control characters
/// escaped.
pub fn text(log: &Log<'_>) -> String {
    let mut line = time_text(log);
    for part in [Some(log.source), content(log)].into_iter().flatten() {
        if !part.is_empty() {
            line.push(' ');
            push_visible(&mut line, part);
        }
    }
    for (name, value) in log.fields.iter().filter(|(name, _)| *name != CONTENT) {
        line.push(' ');
        push_visible(&mut line, name);
        line.push('=');
        if is_plain(value) {
            line.push_str(value);
        } else {
            let _ = write!(line, "{value:?}");
        }
    }
    line.push('\n');
    line
}

const CONTENT: &str = "content";

fn content<'a>(log: &Log<'a>) -> Option<&'a str> {
    let content = log.fields.iter().find(|(name, _)| *name == CONTENT);
    content.map(|(_, value)| *value)
}

/// RFC 3339 to the millisecond, UTC.
fn time_text(log: &Log<'_>) -> String {
    let shape =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    let nanos = i128::from(log.time) * 1_000_000_000 + i128::from(log.time_ns);
    OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .ok()
        .and_then(|time| time.format(shape).ok())
        // Times of 32 bits all have a date; the number says as much.
        .unwrap_or_else(|| log.time.to_string())
}

fn push_visible(line: &mut String, text: &str) {
    for c in text.chars() {
        if c.is_control() || is_line_break(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
}

/// Line and paragraph separator, which some readers break lines at.
fn is_line_break(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

fn is_plain(value: &str) -> bool {
    let unclear = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '=' | '\\');
    !value.is_empty() && !value.contains(unclear)
}

/// One object: `__time__` (seconds, a number with its fraction), `__source__`, `__shard__`, `__cursor__`, then the fields in
/// their order. A field that bears one of these names gets the prefix `user_`, as the mapping gives it.
pub fn json(log: &Log<'_>, place: Place) -> String {
    let mut line = format!("{{\"{TIME}\":{}", log.time);
    if log.time_ns != 0 {
        let fraction = format!("{:09}", log.time_ns);
        let _ = write!(line, ".{}", fraction.trim_end_matches('0'));
    }
    let _ = write!(line, ",\"{SOURCE}\":");
    push_json(&mut line, log.source);
    let _ = write!(
        line,
        ",\"{SHARD}\":{},\"{CURSOR}\":\"{}\"",
        place.shard,
        place.cursor()
    );
    for (name, value) in log.fields {
        line.push(',');
        if [TIME, SOURCE, SHARD, CURSOR].contains(name) {
            push_json(&mut line, &format!("user_{name}"));
        } else {
            push_json(&mut line, name);
        }
        line.push(':');
        push_json(&mut line, value);
    }
    line.push_str("}\n");
    line
}

const TIME: &str = "__time__";
const SOURCE: &str = "__source__";
const SHARD: &str = "__shard__";
const CURSOR: &str = "__cursor__";

fn push_json(line: &mut String, text: &str) {
    line.push_str(&serde_json::Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLACE: Place = Place {
        shard: 1,
        sequence: 42,
    };

    fn log<'a>(fields: &'a [(&'a str, &'a str)]) -> Log<'a> {
        Log {
            time: 1_751_371_200,
            time_ns: 123_000_000,
            source: "10.0.0.1",
            fields,
        }
    }

    #[test]
    fn text_has_time_source_content_and_other_fields() {
        let check = |fields: &[(&str, &str)], expected: &str| {
            assert_eq!(
                text(&log(fields)),
                format!("2025-07-01T12:00:00.123Z 10.0.0.1{expected}\n")
            );
        };
        check(&[("content", "GET /index 200")], " GET /index 200");
        check(&[("code", "200"), ("content", "hi")], " hi code=200");
        check(
            &[("a", "x y"), ("b", ""), ("c", "d=e"), ("f", "q\"")],
            r#" a="x y" b="" c="d=e" f="q\"""#,
        );
        check(
            &[("content", "two\nlines\u{1b}[31m")],
            r" two\nlines\u{1b}[31m",
        );
        check(&[("a", "two\nlines")], r#" a="two\nlines""#);
        check(&[], "");
    }

    #[test]
    fn json_has_the_time_as_a_number_with_its_fraction() {
        let check = |time_ns, expected: &str| {
            let line = json(
                &Log {
                    time_ns,
                    ..log(&[])
                },
                PLACE,
            );
            assert!(
                line.starts_with(&format!("{{\"__time__\":{expected},")),
                "{line}"
            );
        };
        check(0, "1751371200");
        check(123_000_000, "1751371200.123");
        check(1, "1751371200.000000001");
    }

    #[test]
    fn json_has_place_source_and_fields_in_order() {
        let fields = [("content", "a\"b\n"), ("__shard__", "x")];
        assert_eq!(
            json(&log(&fields), PLACE),
            "{\"__time__\":1751371200.123,\"__source__\":\"10.0.0.1\",\"__shard__\":1,\"__cursor__\":\"NDI=\",\
             \"content\":\"a\\\"b\\n\",\"user___shard__\":\"x\"}\n"
        );
    }

    proptest! {
        #[test]
        fn whatever_a_log_holds_json_gives_it_back_and_both_are_one_line(
            name in "\\PC*|(?s).*", value in "(?s).*", source in "(?s).*", time: u32, time_ns in 0..1_000_000_000u32,
        ) {
            let name = format!("f{name}");
            let fields = [(name.as_str(), value.as_str()), ("content", value.as_str())];
            let log = Log { time, time_ns, source: &source, fields: &fields };
            let line = json(&log, PLACE);
            prop_assert_eq!(line.matches('\n').count(), 1);
            let read: serde_json::Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(read["__source__"].as_str(), Some(source.as_str()));
            prop_assert_eq!(read["content"].as_str(), Some(value.as_str()));
            if name != "content" {
                prop_assert_eq!(read[&name].as_str(), Some(value.as_str()));
            }
            let line = text(&log);
            prop_assert_eq!(line.chars().filter(|c| c.is_control()).count(), 1);
            prop_assert!(line.ends_with('\n'));
        }
    }
}
