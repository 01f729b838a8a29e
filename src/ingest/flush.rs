//! From the batcher to the backend: takes what is due, closes its groups, writes, settles.
//!
//! One task, so that write sets leave in the order in which their batches came. With the embedded store, what arrives
//! while one set is being committed forms the next.

use std::sync::{Arc, Weak};

use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep_until};

use super::pool::Worker;
use super::request::Delivery;
use super::{EXPIRE_INTERVAL, INLINE_BYTES_MAX, Inner};
use crate::backend::{Placed, PutError, WriteSet};
use crate::failure::Failure;
use crate::spread::{Content, Ready, ReadyGroup};

/// The outcome of one write, and whom it concerns.
type Written = (Result<(), PutError>, Vec<Delivery>);

/// Runs until the [`Inner`] it serves is gone and its last writes are settled.
pub async fn run(inner: Weak<Inner>, work: Arc<Notify>) {
    let mut writes: JoinSet<Written> = JoinSet::new();
    let mut expiry = interval(EXPIRE_INTERVAL);
    loop {
        let due = match inner.upgrade() {
            Some(inner) => flush(&inner, &mut writes).await,
            None => break,
        };
        tokio::select! {
            () = work.notified() => {}
            Some(written) = writes.join_next() => settle(&inner, written),
            () = wait_until(due) => {}
            _ = expiry.tick() => expire(&inner),
        }
    }
    while let Some(written) = writes.join_next().await {
        settle(&inner, written);
    }
}

/// Starts as many writes as may be in flight; gives the time at which more will be due.
async fn flush(inner: &Arc<Inner>, writes: &mut JoinSet<Written>) -> Option<Instant> {
    while writes.len() < inner.profile.writes_in_flight_max {
        let now = Instant::now();
        let (ready, next) = {
            let mut state = inner.lock();
            (state.batcher.take(now.into_std()), state.batcher.next_due())
        };
        let Some(ready) = ready else {
            return next.map(Instant::from_std);
        };
        // Where our own code failed, nothing is written and the dropped deliveries say so.
        let Some((set, waiters)) = close(inner, ready).await else {
            continue;
        };
        let put = inner.backend.put(set);
        writes.spawn(async move { (put.await, waiters) });
    }
    None
}

fn expire(inner: &Weak<Inner>) {
    if let Some(inner) = inner.upgrade() {
        inner.expire_producers();
    }
}

async fn wait_until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Makes a write set of what is due; what is small is compressed at once, the rest on the pool. `None`: it panicked, and
/// a set without its groups must never be written, for its deliveries would be told "stored".
async fn close(inner: &Arc<Inner>, ready: Ready<Delivery>) -> Option<(WriteSet, Vec<Delivery>)> {
    let Ready {
        groups,
        marks,
        waiters,
    } = ready;
    let uncompressed: usize = groups.iter().map(ReadyGroup::uncompressed_bytes).sum();
    let placed = if uncompressed <= INLINE_BYTES_MAX {
        inner.pool.inline(|worker| place_all(inner, worker, groups))
    } else {
        let (done, placed) = oneshot::channel();
        let this = Arc::clone(inner);
        inner.pool.run(move |worker| {
            let _ = done.send(place_all(&this, worker, groups));
        });
        placed.await.ok()
    };
    let set = WriteSet {
        groups: placed?,
        marks,
    };
    Some((set, waiters))
}

fn place_all(inner: &Inner, worker: &mut Worker, groups: Vec<ReadyGroup>) -> Vec<Placed> {
    groups
        .into_iter()
        .map(|group| Placed {
            tenant: group.tenant,
            logstore: group.logstore,
            shard: group.shard,
            group: match group.content {
                Content::Closed(group) => group,
                Content::Open(piece) => {
                    let envelope = inner.envelope(&group.source, &group.topic);
                    worker.closer.close(vec![piece], &envelope)
                }
            },
        })
        .collect()
}

fn settle(inner: &Weak<Inner>, written: Result<Written, tokio::task::JoinError>) {
    // A write that panicked dropped its deliveries, which ended as perhaps stored.
    let Ok((outcome, waiters)) = written else {
        return;
    };
    if let Some(inner) = inner.upgrade() {
        let result = outcome.map_err(Failure::from);
        inner.settle(
            waiters
                .into_iter()
                .map(|delivery| (delivery, result.clone())),
        );
    }
}
