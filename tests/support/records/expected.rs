//! What should be stored, and the comparison with what is.

use std::collections::{BTreeMap, BTreeSet};

use super::Record;
use super::stored::{Headers, Identity, Stored, identity};

/// How many differences a failed test shows.
const SHOWN_MAX: usize = 10;

/// What should be stored.
#[derive(Default)]
pub struct Expected {
    records: BTreeMap<Identity, Sent>,
    runs: usize,
}

#[derive(Clone)]
pub(super) struct Sent {
    /// `None`: the client sent no time.
    pub(super) time_ms: Option<i64>,
    pub(super) headers: Headers,
    run: usize,
    /// Its place in the run; none where the client cannot send it in its turn.
    at: Option<usize>,
}

/// What a run's client sends beside value and key.
#[derive(Clone, Copy)]
pub struct Carried {
    pub timestamps: bool,
    pub headers: bool,
}

impl Expected {
    pub fn add(&mut self, records: &[Record], carried: Carried) {
        for (at, record) in records.iter().enumerate() {
            let headers = record.headers.iter().filter(|_| carried.headers);
            let sent = Sent {
                time_ms: carried.timestamps.then_some(record.timestamp_ms),
                headers: headers
                    .map(|&(name, value)| (name.to_owned(), value.unwrap_or_default().to_vec()))
                    .collect(),
                run: self.runs,
                // kcat sends those by a run of their own.
                at: record.value.is_some().then_some(at),
            };
            let identity = identity(record.value.clone(), record.key.clone());
            let before = self.records.insert(identity, sent);
            assert!(before.is_none(), "two records cannot be told apart");
        }
        self.runs += 1;
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Fails unless exactly these were stored, each once.
    pub fn assert_stored(&self, stored: &[Stored]) {
        let repeats = self.assert_stored_repeats_allowed(stored);
        assert_eq!(repeats, 0, "stored more than once");
    }

    /// Fails unless exactly these were stored; says how many were stored again.
    pub fn assert_stored_repeats_allowed(&self, stored: &[Stored]) -> usize {
        let mut repeats = 0;
        let mut missing: BTreeSet<Identity> = self.records.keys().cloned().collect();
        let mut differences = Vec::new();
        for each in stored {
            let identity = each.identity();
            let Some(sent) = self.records.get(&identity) else {
                differences.push(format!("never sent: {}", show(&identity)));
                continue;
            };
            if !missing.remove(&identity) {
                repeats += 1;
            }
            differences.extend(
                each.difference(sent)
                    .map(|difference| format!("{difference}: {}", show(&identity))),
            );
        }
        differences.extend(
            missing
                .iter()
                .map(|identity| format!("missing: {}", show(identity))),
        );
        assert!(
            differences.is_empty(),
            "{} of {} differ:\n{}",
            differences.len(),
            self.len(),
            differences[..differences.len().min(SHOWN_MAX)].join("\n")
        );
        repeats
    }

    /// How many are not stored.
    pub fn missing(&self, stored: &[Stored]) -> usize {
        let found: BTreeSet<Identity> = stored.iter().map(Stored::identity).collect();
        let missing = self.records.keys().filter(|each| !found.contains(each));
        missing.count()
    }

    /// How many are stored beside their first time.
    pub fn repeats(&self, stored: &[Stored]) -> usize {
        stored.len() - (self.len() - self.missing(stored))
    }

    /// Fails where a run's records do not stand in a partition in the order in which they were sent.
    pub fn assert_in_order(&self, stored: &[Stored]) {
        let mut places: BTreeMap<(usize, u32), Vec<(u64, usize)>> = BTreeMap::new();
        for each in stored {
            let sent = &self.records[&each.identity()];
            let of_run = places.entry((sent.run, each.place.shard)).or_default();
            of_run.extend(sent.at.map(|at| (each.place.at, at)));
        }
        for ((run, shard), places) in &mut places {
            places.sort_by_key(|(place, _)| *place);
            let in_order = places.is_sorted_by_key(|(_, at)| *at);
            assert!(in_order, "run {run}, partition {shard}: {places:?}");
        }
    }
}

fn show((content, key): &Identity) -> String {
    let start: String = String::from_utf8_lossy(content).chars().take(60).collect();
    let key = key.as_deref().map(String::from_utf8_lossy);
    format!("content {start:?} ({} bytes), key {key:?}", content.len())
}
