//! Records to send, awkward ones among them, and the comparison with what was stored.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Serialize;

#[path = "records/expected.rs"]
mod expected;
#[path = "records/stored.rs"]
mod stored;

pub use expected::{Carried, Expected};
pub use stored::{Place, Stored, StoredLog, stored};

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

/// `count` records without awkward ones, all with the same headers.
pub fn plain(run: &str, count: usize) -> Vec<Record> {
    (0..count)
        .map(|at| Record::of(format!("{run} {at}").into_bytes()))
        .collect()
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

    pub fn with_key(self, key: &[u8]) -> Self {
        Self {
            key: Some(key.to_vec()),
            ..self
        }
    }

    pub fn older(self, age: Duration) -> Self {
        Self {
            timestamp_ms: self.timestamp_ms - age.as_millis() as i64,
            ..self
        }
    }

    pub fn with_header(self, name: &'static str, value: &'static [u8]) -> Self {
        Self {
            headers: vec![(name, Some(value))],
            ..self
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
