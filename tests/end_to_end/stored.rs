//! What is stored at the end of the way, and the comparison with what was sent.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use crate::records::StoredLog;

/// How many differences a failed test shows.
const SHOWN_MAX: usize = 10;

/// All logs of the project, as `reading.py` prints them.
pub struct Stored(pub Vec<Value>);

impl Stored {
    /// The logs of a Logstore, as `sluice logs` would print them.
    pub fn logs(&self, logstore: &str) -> Vec<StoredLog> {
        let of_it = |log: &&Value| log["logstore"] == logstore;
        self.0.iter().filter(of_it).map(flattened).collect()
    }

    /// The shards of a Logstore that hold something.
    pub fn shards(&self, logstore: &str) -> BTreeSet<u64> {
        let of_it = self.0.iter().filter(|log| log["logstore"] == logstore);
        of_it.filter_map(|log| log["shard"].as_u64()).collect()
    }

    /// How often each content is there, in whatever form.
    pub fn counts(&self, logstore: &str) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for log in self.logs(logstore) {
            *counts.entry(content(&log)).or_insert(0) += 1;
        }
        counts
    }

    /// All of these are there.
    pub fn assert_holds(&self, logstore: &str, values: &[String]) {
        let counts = self.counts(logstore);
        let missing = values.iter().filter(|value| !counts.contains_key(*value));
        none(logstore, "missing", missing.cloned());
    }

    /// Nothing is there but these.
    pub fn assert_only(&self, logstore: &str, values: &[String]) {
        let found = self.counts(logstore).into_keys();
        let strangers = found.filter(|value| !values.contains(value));
        none(logstore, "never sent", strangers);
    }

    pub fn assert_none_twice(&self, logstore: &str) {
        self.assert_none_twice_but(logstore, &[]);
    }

    /// Whether these are there twice does not matter.
    pub fn assert_none_twice_but(&self, logstore: &str, values: &[String]) {
        let again = self
            .counts(logstore)
            .into_iter()
            .filter(|(value, count)| *count > 1 && !values.contains(value));
        let shown = again.map(|(value, count)| format!("{count} × {value}"));
        none(logstore, "more than once", shown);
    }

    /// All of these are there, and nothing else.
    pub fn assert_each(&self, logstore: &str, values: &[String]) {
        self.assert_holds(logstore, values);
        self.assert_only(logstore, values);
    }

    /// All of these are there, each once, and nothing else.
    pub fn assert_each_once(&self, logstore: &str, values: &[String]) {
        self.assert_each(logstore, values);
        self.assert_none_twice(logstore);
    }
}

fn content(log: &StoredLog) -> String {
    let text = |name| log.get(name).and_then(Value::as_str);
    match (text("content"), text("content_base64")) {
        (Some(text), None) => text.to_owned(),
        (None, Some(encoded)) => {
            let bytes = BASE64_STANDARD.decode(encoded).expect("it is base64");
            String::from_utf8_lossy(&bytes).into_owned()
        }
        _ => panic!("one content is wanted: {log:?}"),
    }
}

fn none(logstore: &str, what: &str, found: impl Iterator<Item = String>) {
    let found: Vec<String> = found.collect();
    let shown = &found[..found.len().min(SHOWN_MAX)];
    assert!(
        found.is_empty(),
        "{logstore}, {what}: {} logs: {shown:#?}",
        found.len()
    );
}

fn flattened(log: &Value) -> StoredLog {
    let mut flat = Map::new();
    let seconds = log["time_ms"].as_f64().expect("a time is a number") / 1_000.0;
    flat.insert("__time__".into(), seconds.into());
    for field in log["fields"].as_array().expect("fields are a list") {
        let name = field[0].as_str().expect("a name is text");
        let before = flat.insert(name.to_owned(), field[1].clone());
        assert!(before.is_none(), "{name} twice: {log}");
    }
    flat
}
