//! Values that are JSON become fields where the topic or a header asks for it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::FEW;
use super::run::{Way, assert_delivered, send};
use crate::card::Seen;
use crate::records::{Record, StoredLog};
use crate::rows::Row;
use crate::server::{Kind, Server, Target, Wants};

type Fields = BTreeMap<String, String>;

pub fn a_json_topic(row: &Row, on: Kind) -> Seen {
    assert_fields(row, on, ".json", objects(), object_fields());
    Seen::Good
}

/// On the plain topic.
pub fn a_header(row: &Row, on: Kind) -> Seen {
    if row.newest_format() < 2 {
        return Seen::Other("headers began with message format 2".to_owned());
    }
    let dressed = objects()
        .into_iter()
        .map(|record| record.with_header("data-parse-format", b"json"))
        .collect();
    assert_fields(row, on, "", dressed, object_fields());
    Seen::Good
}

/// As collectd sends them.
pub fn arrays_of_objects(row: &Row, on: Kind) -> Seen {
    let object = |at: usize, side: &str| json!({"plugin": "cpu", "at": at, "side": side});
    let records = (0..FEW).map(|at| json!([object(at, "left"), object(at, "right")]));
    let records = records.map(|array| record(&array)).collect();
    let logs = (0..FEW).flat_map(|at| ["left", "right"].map(|side| (at.to_string(), side)));
    let logs = logs.map(|(at, side)| fields(&[("plugin", "cpu"), ("at", &at), ("side", side)]));
    assert_fields(row, on, ".json", records, logs.collect());
    Seen::Good
}

fn objects() -> Vec<Record> {
    let object =
        |at| json!({"id": at, "text": "日志", "ok": true, "none": null, "nested": {"a": [1, 2]}});
    let no_object = [b"not JSON".to_vec()].map(Record::of);
    (0..FEW)
        .map(|at| record(&object(at)))
        .chain(no_object)
        .collect()
}

fn record(value: &Value) -> Record {
    Record::of(value.to_string().into_bytes())
}

fn object_fields() -> Vec<Fields> {
    let of_object = |at: usize| {
        fields(&[
            ("id", &at.to_string()),
            ("text", "日志"),
            ("ok", "true"),
            ("none", ""),
            ("nested", "{\"a\":[1,2]}"),
        ])
    };
    (0..FEW)
        .map(of_object)
        .chain([fields(&[("content", "not JSON")])])
        .collect()
}

fn fields(pairs: &[(&str, &str)]) -> Fields {
    pairs
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn assert_fields(row: &Row, on: Kind, suffix: &str, records: Vec<Record>, mut logs: Vec<Fields>) {
    let mut server = Server::start(on, Wants::default());
    let target = server.target();
    let target = Target {
        topic: format!("{}{suffix}", target.topic),
        ..target
    };
    let report = send(row, &target, Way::plainest(row), &records);
    assert_delivered(&report, &records);
    let mut stored: Vec<Fields> = server.sluice().logs().iter().map(fields_of).collect();
    stored.sort();
    logs.sort();
    assert_eq!(stored, logs);
}

/// A log without what `sluice logs` adds, and without the header that asked.
fn fields_of(log: &StoredLog) -> Fields {
    log.iter()
        .filter(|(name, _)| !name.starts_with("__") && !name.starts_with("header_"))
        .map(|(name, value)| {
            (
                name.clone(),
                value.as_str().expect("fields are text").to_owned(),
            )
        })
        .collect()
}
