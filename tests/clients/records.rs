//! Records to send, awkward ones among them, and the comparison with what was stored.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Serialize;
use serde_json::{Map, Value};

/// A log without the record's timestamp has its arrival time, which lies within this of the comparison.
const RECENT_MS: i64 = 15 * 60 * 1000;
/// How many differences a failed test shows.
const SHOWN_MAX: usize = 10;

/// One log as `sluice logs --format json` prints it.
pub type StoredLog = Map<String, Value>;

#[derive(Clone, Default)]
pub struct Record {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(&'static str, Option<&'static [u8]>)>,
    timestamp_ms: i64,
}

/// A record in the file that programs read.
#[derive(Serialize)]
struct Line {
    key: Option<String>,
    value: Option<String>,
    headers: Vec<(&'static str, Option<String>)>,
    timestamp_ms: i64,
}

/// `count` records, each with `run` and its number in its value or, where the value cannot hold them, in its key; so no
/// two are the same, whatever else was sent.
pub fn mixed(run: &str, count: usize) -> Vec<Record> {
    let now_ms = now_ms();
    let mut records: Vec<Record> = (0..count).map(|at| record(run, at)).collect();
    // Apart by no whole number of seconds, all in the past.
    for (at, record) in records.iter_mut().rev().enumerate() {
        record.timestamp_ms = now_ms - 37 * at as i64;
        record.headers = vec![("trace", Some(b"4bf92f35")), ("none", None)];
    }
    records
}

fn record(run: &str, at: usize) -> Record {
    let id = format!("{run} {at}");
    let text = format!("{id} 日志 журнал 😀 GET /index.html?q=%20 200\n");
    let (key, value): (Option<&[u8]>, Option<Vec<u8>>) = match at {
        0 => (Some(id.as_bytes()), Some(Vec::new())),
        1 => (Some(id.as_bytes()), None),
        2 => (Some(b"\xff\x00\xfe"), Some(text.into())),
        3 => (None, Some(large(&id))),
        4 => (Some(b"content"), Some(text.into())),
        5 => (Some(b""), Some(text.into())),
        6 => (None, Some([id.as_bytes(), b" \xff\xfe\x00"].concat())),
        _ if at.is_multiple_of(3) => (Some(id.as_bytes()), Some(text.into())),
        _ => (None, Some(text.into())),
    };
    Record {
        key: key.map(<[u8]>::to_vec),
        value,
        ..Record::default()
    }
}

/// 200 KiB that do not shrink to nothing when compressed.
fn large(id: &str) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b'a' + (state >> 24) as u8 % 26
    });
    id.bytes()
        .chain([b' '])
        .chain(noise)
        .take(200 * 1024)
        .collect()
}

impl Record {
    pub fn of(value: Vec<u8>) -> Self {
        Self {
            value: Some(value),
            timestamp_ms: now_ms(),
            ..Self::default()
        }
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("the clock is past 1970").as_millis() as i64
}

pub fn write(file: &Path, records: &[Record]) {
    let mut text = Vec::new();
    let base64 = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
    for record in records {
        let line = Line {
            key: record.key.as_deref().map(base64),
            value: record.value.as_deref().map(base64),
            headers: record
                .headers
                .iter()
                .map(|&(name, value)| (name, value.map(base64)))
                .collect(),
            timestamp_ms: record.timestamp_ms,
        };
        serde_json::to_writer(&mut text, &line).expect("a record is JSON");
        text.push(b'\n');
    }
    let written = std::fs::File::create(file).and_then(|mut file| file.write_all(&text));
    written.expect("the records can be written");
}

/// What a log is known by: its content and its record key.
type Identity = (Vec<u8>, Option<Vec<u8>>);

/// Logs that should be stored, with their times where the client sent them.
#[derive(Default)]
pub struct Expected(BTreeMap<Identity, Option<i64>>);

impl Expected {
    pub fn add(&mut self, records: &[Record], with_timestamps: bool) {
        for record in records {
            // An empty key says no more than none; `content` is what samples set where they mean none.
            let keyed = |key: &&Vec<u8>| !key.is_empty() && key.as_slice() != b"content";
            let key = record.key.as_ref().filter(keyed).cloned();
            let time_ms = with_timestamps.then_some(record.timestamp_ms);
            let before = self
                .0
                .insert((record.value.clone().unwrap_or_default(), key), time_ms);
            assert!(before.is_none(), "two records cannot be told apart");
        }
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Fails unless exactly these logs were stored, each once.
    pub fn assert_stored(&self, logs: &[StoredLog]) {
        let mut missing = self.0.clone();
        let mut differences = Vec::new();
        for log in logs {
            let Stored { identity, time_ms } = Stored::of(log);
            match missing.remove(&identity) {
                Some(Some(sent_ms)) if sent_ms != time_ms => {
                    differences.push(format!(
                        "time {time_ms}, not {sent_ms}: {}",
                        show(&identity)
                    ));
                }
                Some(None) if (now_ms() - time_ms).abs() > RECENT_MS => {
                    differences.push(format!("time {time_ms} is no arrival: {}", show(&identity)));
                }
                Some(_) => {}
                None if self.0.contains_key(&identity) => {
                    differences.push(format!("more than once: {}", show(&identity)));
                }
                None => differences.push(format!("never sent: {}", show(&identity))),
            }
        }
        differences.extend(
            missing
                .keys()
                .map(|identity| format!("missing: {}", show(identity))),
        );
        assert!(
            differences.is_empty(),
            "{} of {} logs differ:\n{}",
            differences.len(),
            self.len(),
            differences[..differences.len().min(SHOWN_MAX)].join("\n")
        );
    }
}

struct Stored {
    identity: Identity,
    time_ms: i64,
}

impl Stored {
    fn of(log: &StoredLog) -> Self {
        let known = [
            "__time__",
            SOURCE,
            CLIENT_IP,
            "__shard__",
            "__cursor__",
            "content",
            "content_base64",
            KEY,
            KEY_BASE64,
        ];
        for name in log.keys() {
            assert!(
                known.contains(&name.as_str()),
                "unexpected field {name}: {log:?}"
            );
        }
        let source = log.get(CLIENT_IP).or_else(|| log.get(SOURCE));
        assert_eq!(source.and_then(Value::as_str), Some("127.0.0.1"), "{log:?}");
        let content = bytes(log, "content", "content_base64").expect("every log has content");
        Self {
            identity: (content, bytes(log, KEY, KEY_BASE64)),
            time_ms: time_ms(log),
        }
    }
}

/// The client's address, where it is a group's.
const SOURCE: &str = "__source__";
/// The same, where it is a field.
const CLIENT_IP: &str = "__client_ip__";
const KEY: &str = "__kafka_key__";
const KEY_BASE64: &str = "__kafka_key_base64__";

/// A field as the bytes that were sent.
fn bytes(log: &StoredLog, name: &str, base64_name: &str) -> Option<Vec<u8>> {
    let text = |name| {
        log.get(name)
            .map(|value| value.as_str().expect("fields are text"))
    };
    let encoded = text(base64_name).map(|text| BASE64_STANDARD.decode(text).expect("it is base64"));
    match (text(name), encoded) {
        (Some(_), Some(_)) => panic!("both {name} and {base64_name}: {log:?}"),
        (Some(text), None) => Some(text.as_bytes().to_vec()),
        (None, encoded) => encoded,
    }
}

fn time_ms(log: &StoredLog) -> i64 {
    let seconds = log["__time__"].as_f64().expect("a time is a number");
    (seconds * 1000.0).round() as i64
}

fn show((content, key): &Identity) -> String {
    let start: String = String::from_utf8_lossy(content).chars().take(60).collect();
    let key = key.as_deref().map(String::from_utf8_lossy);
    format!("content {start:?} ({} bytes), key {key:?}", content.len())
}
