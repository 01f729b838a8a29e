//! One write set on its way to the Log Service, group after group.
//!
//! ```text
//! set ── each group ──▶ tries (send) ──▶ stored, or why not
//!                         └── refused for its content ──▶ taken apart (isolate)
//! ```
//!
//! A set cannot be stored whole or not at all here: each batch gets its own outcome, and how much of it is stored.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Shared;
use super::send::{Failed, Sender};
use crate::backend::{BatchOutcome, Placed, PutError, SetError, Share, WriteSet};

/// Of a set that has no deadline.
const TIME_DEFAULT: Duration = Duration::from_secs(24);
/// What became of a group's shares, in order.
pub type ShareResults = Vec<Result<(), PutError>>;

/// Writes the whole set.
pub async fn put(shared: Arc<Shared>, set: WriteSet) -> Result<(), SetError> {
    let deadline = set
        .deadline
        .unwrap_or_else(|| Instant::now() + TIME_DEFAULT);
    let mut batches = vec![Batch::default(); set.batch_count as usize];
    for placed in set.groups {
        let is_given_up = |share: &Share| batches[share.batch as usize].failed.is_some();
        // What follows a part that could not be stored would only be stored twice.
        if placed.shares.iter().all(is_given_up) {
            continue;
        }
        let shares = placed.shares.clone();
        let results = put_group(&shared, placed, deadline).await;
        for (share, result) in shares.into_iter().zip(results) {
            batches[share.batch as usize].take(share, result);
        }
    }
    match batches.iter().all(|batch| batch.failed.is_none()) {
        true => Ok(()),
        false => Err(SetError::Each(
            batches.into_iter().map(Batch::outcome).collect(),
        )),
    }
}

/// A batch as its groups are written.
#[derive(Clone, Copy, Default)]
struct Batch {
    stored_logs: u32,
    failed: Option<PutError>,
}

impl Batch {
    fn take(&mut self, share: Share, result: Result<(), PutError>) {
        match (self.failed, result) {
            (Some(_), _) => {}
            (None, Ok(())) => self.stored_logs += share.log_count,
            (None, Err(PutError::Content { log, why })) => {
                let log = self.stored_logs + log;
                self.failed = Some(PutError::Content { log, why });
            }
            (None, Err(error)) => self.failed = Some(error),
        }
    }

    /// How much is stored matters only where the same batch comes again; of one that is refused for good the numbers are
    /// free for another.
    fn outcome(self) -> BatchOutcome {
        let (result, stored_logs) = match self.failed {
            None => (Ok(()), 0),
            Some(
                error @ (PutError::Content { .. } | PutError::BadKey | PutError::Unauthorized),
            ) => (Err(error), 0),
            Some(error) if self.stored_logs > 0 => (Err(in_part(error)), self.stored_logs),
            Some(error) => (Err(error), 0),
        };
        BatchOutcome {
            result,
            stored_logs,
        }
    }
}

/// A failure of what is stored in part.
pub fn in_part(error: PutError) -> PutError {
    match error {
        PutError::NotStored(_) | PutError::Throttled { .. } | PutError::Unreachable(_) => {
            PutError::Uncertain("only a part of it is stored")
        }
        error => error,
    }
}

async fn put_group(shared: &Arc<Shared>, placed: Placed, deadline: Instant) -> ShareResults {
    let sender = Sender::new(shared, &placed, deadline);
    match sender.send(placed.group.clone()).await {
        Ok(()) => vec![Ok(()); placed.shares.len()],
        Err(Failed::Put(error)) => vec![Err(error); placed.shares.len()],
        Err(Failed::Content(kind)) => sender.isolate(&placed, kind).await,
    }
}
