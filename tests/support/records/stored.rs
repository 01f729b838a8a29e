//! What is stored, read back from whatever stores it.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value};

use super::expected::Sent;
use super::now_ms;

/// A log without the record's timestamp has its arrival time, which lies within this of the comparison.
const RECENT_MS: i64 = 15 * 60 * 1000;

/// One log as `sluice logs --format json` prints it.
pub type StoredLog = Map<String, Value>;
/// What a record is known by, however it is stored: its value and its key.
pub type Identity = (Vec<u8>, Option<Vec<u8>>);
/// Null and empty values are not told apart.
pub type Headers = BTreeMap<String, Vec<u8>>;

/// An empty key says no more than none; `content` is what samples set where they mean none.
pub fn identity(value: Option<Vec<u8>>, key: Option<Vec<u8>>) -> Identity {
    let says_something = |key: &Vec<u8>| !key.is_empty() && key.as_slice() != b"content";
    (value.unwrap_or_default(), key.filter(says_something))
}

/// One record, however it is stored.
#[derive(Debug)]
pub struct Stored {
    pub content: Vec<u8>,
    pub key: Option<Vec<u8>>,
    /// `None`: they are not kept.
    pub headers: Option<Headers>,
    pub time_ms: Option<i64>,
    pub place: Place,
}

/// Where it is stored: the place in a partition or shard, not lower than that of what came before.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub shard: u32,
    pub at: u64,
}

/// The records behind these logs: a value over the largest log is stored in parts, one behind the other.
pub fn stored(logs: &[StoredLog]) -> Vec<Stored> {
    let mut all: Vec<Stored> = Vec::new();
    for log in logs {
        let next = Stored::of(log);
        let part = log.get(PART).map(text).unwrap_or("1/1");
        match all.last_mut() {
            Some(whole) if !part.starts_with("1/") => whole.content.extend(next.content),
            _ => all.push(next),
        }
    }
    all
}

impl Stored {
    fn of(log: &StoredLog) -> Self {
        let known = [
            "__time__",
            SOURCE,
            CLIENT_IP,
            SHARD,
            CURSOR,
            "content",
            "content_base64",
            KEY,
            KEY_BASE64,
            PART,
        ];
        for name in log.keys() {
            assert!(
                known.contains(&name.as_str()) || name.starts_with(HEADER_PREFIX),
                "unexpected field {name}: {log:?}"
            );
        }
        let source = log.get(CLIENT_IP).or_else(|| log.get(SOURCE));
        assert_eq!(source.and_then(Value::as_str), Some("127.0.0.1"), "{log:?}");
        let headers: Headers = log
            .iter()
            .filter_map(|(name, value)| {
                let name = name.strip_prefix(HEADER_PREFIX)?;
                Some((name.to_owned(), text(value).as_bytes().to_vec()))
            })
            .collect();
        Self {
            content: bytes(log, "content", "content_base64").expect("every log has content"),
            key: bytes(log, KEY, KEY_BASE64),
            headers: (!headers.is_empty()).then_some(headers),
            time_ms: Some(time_ms(log)),
            place: place(log),
        }
    }

    pub(super) fn identity(&self) -> Identity {
        identity(Some(self.content.clone()), self.key.clone())
    }

    pub(super) fn difference(&self, sent: &Sent) -> Option<String> {
        match (sent.time_ms, self.time_ms) {
            (Some(sent), stored) if stored != Some(sent) => {
                return Some(format!("time {stored:?}, not {sent}"));
            }
            (None, Some(stored)) if (now_ms() - stored).abs() > RECENT_MS => {
                return Some(format!("time {stored} is no arrival"));
            }
            _ => {}
        }
        let none = Headers::new();
        let headers = self.headers.as_ref().unwrap_or(&none);
        (*headers != sent.headers).then(|| format!("headers {headers:?}, not {:?}", sent.headers))
    }
}

/// The client's address, where it is a group's.
const SOURCE: &str = "__source__";
/// The same, where it is a field.
const CLIENT_IP: &str = "__client_ip__";
const SHARD: &str = "__shard__";
const CURSOR: &str = "__cursor__";
const KEY: &str = "__kafka_key__";
const KEY_BASE64: &str = "__kafka_key_base64__";
const HEADER_PREFIX: &str = "header_";
/// Like `2/5`.
const PART: &str = "__part__";

/// The logs of one LogGroup share its cursor, and come in their order.
fn place(log: &StoredLog) -> Place {
    let shard = log.get(SHARD).and_then(Value::as_u64).unwrap_or_default();
    let cursor = log.get(CURSOR).map(text).unwrap_or_default();
    let cursor = BASE64_STANDARD.decode(cursor).expect("a cursor is base64");
    let cursor: u64 = String::from_utf8_lossy(&cursor).parse().unwrap_or_default();
    Place {
        shard: shard as u32,
        at: cursor,
    }
}

fn text(field: &Value) -> &str {
    field.as_str().expect("fields are text")
}

/// A field as the bytes that were sent.
fn bytes(log: &StoredLog, name: &str, base64_name: &str) -> Option<Vec<u8>> {
    let encoded = log
        .get(base64_name)
        .map(|encoded| BASE64_STANDARD.decode(text(encoded)).expect("it is base64"));
    match (log.get(name).map(text), encoded) {
        (Some(_), Some(_)) => panic!("both {name} and {base64_name}: {log:?}"),
        (Some(text), None) => Some(text.as_bytes().to_vec()),
        (None, encoded) => encoded,
    }
}

fn time_ms(log: &StoredLog) -> i64 {
    let seconds = log["__time__"].as_f64().expect("a time is a number");
    (seconds * 1000.0).round() as i64
}
