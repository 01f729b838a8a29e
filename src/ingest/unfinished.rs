//! Batches of which a part is stored: their repeats write only the rest.
//!
//! A backend that cannot store a set whole or not at all may store the first groups of a batch and then fail. An idempotent
//! producer sends that batch again, the same to the byte, and it becomes the same logs in the same order.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::request::Delivery;
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

#[derive(Debug, Default)]
pub struct Unfinished {
    /// Logs from the start of the batch that are stored.
    stored: HashMap<Batch, u32>,
    added: VecDeque<Batch>,
}

impl Unfinished {
    /// Logs from the start of this batch that need not be written.
    pub fn stored_logs(&self, delivery: &Delivery) -> u32 {
        if self.stored.is_empty() {
            return 0;
        }
        batch(delivery)
            .and_then(|batch| self.stored.get(&batch).copied())
            .unwrap_or(0)
    }

    /// A try stored so many logs more, and then failed.
    pub fn note(&mut self, delivery: &Delivery, stored_logs: u32) {
        let Some(batch) = batch(delivery).filter(|_| stored_logs > 0) else {
            return;
        };
        // Counted from where this try began: it may have been divided otherwise than the one before, since a log whose time
        // left the window meanwhile is longer.
        let stored_logs = delivery.stored_before.saturating_add(stored_logs);
        match self.stored.get_mut(&batch) {
            Some(stored) => *stored = (*stored).max(stored_logs),
            None => {
                self.stored.insert(batch.clone(), stored_logs);
                self.added.push_back(batch);
            }
        }
        if self.added.len() > BATCHES_MAX
            && let Some(oldest) = self.added.pop_front()
        {
            self.stored.remove(&oldest);
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
