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
use crate::backend::{BoxFuture, Placed, PutError, SetError, Unstorable, WriteSet};
use crate::failure::Failure;
use crate::spread::{Content, LaneId, Ready, ReadyGroup, Taken};

/// The outcome of one write, and whom it concerns.
struct Written {
    outcome: Result<(), SetError>,
    waiters: Vec<Delivery>,
}

/// Runs until the [`Inner`] it serves is gone and its last writes are settled.
pub async fn run(inner: Weak<Inner>, work: Arc<Notify>) {
    let mut writes: JoinSet<Option<Written>> = JoinSet::new();
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
async fn flush(inner: &Arc<Inner>, writes: &mut JoinSet<Option<Written>>) -> Option<Instant> {
    loop {
        let now = Instant::now();
        let (taken, next) = {
            let mut state = inner.lock();
            (state.batcher.take(now.into_std()), state.batcher.next_due())
        };
        match taken {
            None => return next.map(Instant::from_std),
            Some(Taken::Overdue(waiters)) => {
                let failure = Failure::NotStored("its time was over before it could be written");
                let each = waiters.into_iter();
                inner.settle(each.map(|delivery| (delivery, Err(failure.clone()))));
            }
            Some(Taken::Write(ready)) => write(inner, ready, writes).await,
        }
    }
}

/// Where all share one lane, sets are handed over in the order in which their batches came. Where lanes are many, none
/// waits for another one's groups to be compressed.
async fn write(inner: &Arc<Inner>, ready: Ready<Delivery>, writes: &mut JoinSet<Option<Written>>) {
    let done = LaneDone {
        inner: Arc::downgrade(inner),
        lane: ready.lane,
    };
    if inner.profile.linger.is_none() {
        let put = begin(inner, ready).await;
        writes.spawn(end(put, done));
    } else {
        let inner = Arc::clone(inner);
        writes.spawn(async move {
            let put = begin(&inner, ready).await;
            drop(inner);
            end(put, done).await
        });
    }
}

/// A write that has begun, and whom it concerns.
type Begun = (BoxFuture<'static, Result<(), SetError>>, Vec<Delivery>);

/// `None`: our own code failed, so that nothing is written, and the dropped deliveries say so.
async fn begin(inner: &Arc<Inner>, ready: Ready<Delivery>) -> Option<Begun> {
    let (set, waiters) = close(inner, ready).await?;
    Some((inner.backend.put(set), waiters))
}

async fn end(begun: Option<Begun>, done: LaneDone) -> Option<Written> {
    let (put, waiters) = begun?;
    let outcome = put.await;
    drop(done);
    Some(Written { outcome, waiters })
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
        deadline,
        ..
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
        batch_count: u32::try_from(waiters.len()).unwrap_or(u32::MAX),
        deadline,
    };
    Some((set, waiters))
}

fn place_all(inner: &Inner, worker: &mut Worker, groups: Vec<ReadyGroup>) -> Vec<Placed> {
    groups
        .into_iter()
        .map(|group| Placed {
            shard: group.shard,
            group: match group.content {
                Content::Closed(group) => group,
                Content::Open(piece) => {
                    let envelope = inner.envelope(&group.key.source, &group.key.topic);
                    worker.closer.close(vec![piece], &envelope)
                }
            },
            tenant: group.key.destination.tenant,
            logstore: group.key.destination.logstore,
            shares: group.shares,
        })
        .collect()
}

/// Lets the next write of a lane begin, also where this one panicked.
struct LaneDone {
    inner: Weak<Inner>,
    lane: LaneId,
}

impl Drop for LaneDone {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.upgrade() {
            inner.lock().batcher.done(self.lane);
        }
    }
}

fn settle(inner: &Weak<Inner>, written: Result<Option<Written>, tokio::task::JoinError>) {
    // A write that panicked dropped its deliveries, which ended as perhaps stored.
    let (Some(inner), Ok(Some(Written { outcome, waiters }))) = (inner.upgrade(), written) else {
        return;
    };
    let each = match outcome {
        Ok(()) => vec![Ok(()); waiters.len()],
        Err(SetError::Whole(error)) => vec![Err(error); waiters.len()],
        Err(SetError::Each(outcomes)) => {
            let mut state = inner.lock();
            for (delivery, outcome) in waiters.iter().zip(&outcomes) {
                state.unfinished.note(delivery, outcome.stored_logs);
            }
            outcomes.into_iter().map(|outcome| outcome.result).collect()
        }
    };
    let mut settled = Vec::with_capacity(waiters.len());
    // A backend that says nothing of a batch drops its delivery, which ends as perhaps stored.
    for (delivery, result) in waiters.into_iter().zip(each) {
        match result {
            Err(PutError::Content { log, why }) => refuse_record(&inner, delivery, log, why),
            result => settled.push((delivery, result.map_err(Failure::from))),
        }
    }
    inner.settle(settled);
}

/// Finds the record behind a log that the Log Service refused, by decoding the batch once more.
fn refuse_record(inner: &Arc<Inner>, delivery: Delivery, log: u32, why: Unstorable) {
    let this = Arc::clone(inner);
    inner.pool.run(move |worker| {
        let record = this.record_of(worker, &delivery, log);
        delivery.finish(Err(Failure::Unstorable { record, why }));
    });
}
