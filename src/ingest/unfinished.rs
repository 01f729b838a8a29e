//! Batches of which a part is stored: their repeats write only the rest.
//!
//! A backend that cannot store a set whole or not at all may store the first groups of a batch and then fail. An idempotent
//! producer sends that batch again, the same to the byte, and it becomes the same logs in the same order: it is encoded as
//! of its first try, for a log's length, and so into how many a value is cut, depends on arrival and address as well.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::request::{Arrival, Delivery};
use crate::records;
use crate::tenant::ProjectName;

/// Batches that are remembered; past that the oldest is written again whole.
const BATCHES_MAX: usize = 10_000;

/// A batch of an idempotent producer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Batch {
    region: Arc<str>,
    project: ProjectName,
    /// As written on the wire.
    topic: Arc<str>,
    partition: i32,
    producer_id: i64,
    epoch: i16,
    first_sequence: i32,
    record_count: i32,
    /// CRC-32C of the record set: other records under the same numbers are another batch.
    checksum: u32,
}

/// What is known of one.
#[derive(Clone, Debug)]
pub struct Begun {
    /// Logs from its start that are stored.
    pub stored_logs: u32,
    /// Of its first try.
    pub arrival: Arrival,
}

#[derive(Debug, Default)]
pub struct Unfinished {
    begun: HashMap<Batch, Begun>,
    added: VecDeque<Batch>,
}

impl Unfinished {
    /// What an earlier try has stored of this batch.
    pub fn find(&self, delivery: &Delivery) -> Option<Begun> {
        if self.begun.is_empty() {
            return None;
        }
        self.begun.get(&batch(delivery)?).cloned()
    }

    /// All of this batch is stored.
    pub fn forget(&mut self, delivery: &Delivery) {
        if let Some(batch) = batch(delivery)
            && self.begun.remove(&batch).is_some()
        {
            self.added.retain(|added| *added != batch);
        }
    }

    /// A try stored so many logs more, and then failed.
    pub fn note(&mut self, delivery: &Delivery, stored_logs: u32) {
        let Some(batch) = batch(delivery).filter(|_| stored_logs > 0) else {
            return;
        };
        // What this try left out is stored too.
        let stored_logs = delivery.stored_before.saturating_add(stored_logs);
        match self.begun.get_mut(&batch) {
            Some(begun) => begun.stored_logs = begun.stored_logs.max(stored_logs),
            None => {
                let arrival = delivery.arrival().clone();
                let begun = Begun {
                    stored_logs,
                    arrival,
                };
                self.begun.insert(batch.clone(), begun);
                self.added.push_back(batch);
            }
        }
        if self.added.len() > BATCHES_MAX
            && let Some(oldest) = self.added.pop_front()
        {
            self.begun.remove(&oldest);
        }
    }
}

/// `None`: not an idempotent producer's.
fn batch(delivery: &Delivery) -> Option<Batch> {
    let records = delivery.records();
    let found = records::producer_batch(&records)?;
    let tenant = delivery.request().tenant();
    Some(Batch {
        region: Arc::clone(&tenant.region),
        project: tenant.project.clone(),
        topic: delivery.topic().into(),
        partition: delivery.partition(),
        producer_id: found.producer_id,
        epoch: found.epoch,
        first_sequence: found.first_sequence,
        record_count: found.record_count,
        checksum: crc32c::crc32c(&records),
    })
}
