//! The Produce path on one page: admit → decode → map → spread → write → settle → answer.
//!
//! [`Ingest::start`] is called in arrival order, once for each Produce request of a connection. It admits the batches of
//! idempotent producers by their headers, gives others their turn where order is wanted (`turns.rs`), has small batches
//! decoded at once and large ones on the pool (`encoding.rs`), and hands the logs to the batcher, under the one lock of
//! `state.rs`. One task (`flush.rs`) takes what is due from there, makes write sets of it and gives them to the backend;
//! their outcome settles the producers' state and completes the requests (`request.rs`).
//!
//! Nothing here knows a socket: a client's leaving changes nothing for a request that has started.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

use crate::backend::{Answer, Backend, BoxFuture, Profile};
use crate::catalog::{Catalog, Spread, Target};
use crate::failure::{Failure, NetworkError};
use crate::idempotence::{Admission, Gaps, Producers};
use crate::logs::{Mapping, SourceRule};
use crate::memory::{Budget, Charge};
use crate::records;
use crate::refusals::Refusals;
use crate::session::ProduceStep;
use crate::spread::Batcher;

use encoding::Encoded;
use pool::{Pool, Worker};
use request::{Delivery, Request, Role};
use state::{Prepared, State, Told};
use turns::{Turn, Turns};
use unfinished::Unfinished;

mod encoding;
mod flush;
mod pool;
mod request;
mod state;
mod turns;
mod unfinished;

pub use request::{Done, InFlight};
pub use turns::ConnectionId;

/// Batches up to this size are decoded on the I/O thread; handing them over would cost more than they do.
const INLINE_BYTES_MAX: usize = 32 << 10;
/// What a batch decoded inline may decompress to; a larger one starts again on the pool.
const INLINE_DECOMPRESSED_BYTES_MAX: usize = 256 << 10;
/// A piece of at least this size is a LogGroup of its own, compressed where it was decoded.
const ALONE_BYTES_MIN: usize = 32 << 10;
/// Logs that may wait for the backend, of which one project may hold half of what the others leave. They are many times
/// larger than the frames that the memory budget knows of, where those were compressed.
const WAITING_BYTES_MAX: u64 = 256 << 20;
/// Waiting for a write ends so long before the request's own deadline, so that what was never written is not told to be
/// uncertain.
const GIVE_UP_MARGIN: Duration = Duration::from_millis(100);
/// Batches that go on in their turn under one hold of the lock.
const TURNS_AT_ONCE: usize = 64;
/// How often old producers are looked for.
const EXPIRE_INTERVAL: Duration = Duration::from_secs(10);
/// How often a draining ingest looks whether it is done.
const DRAIN_POLL: Duration = Duration::from_millis(5);

/// What ingest needs to know from the configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub mapping: Mapping,
    pub spread: Spread,
    pub records: records::Limits,
    pub network_error: NetworkError,
}

/// The Produce path. Cheap to clone; the last clone ends the pool.
#[derive(Clone)]
pub struct Ingest(Arc<Inner>);

struct Inner {
    backend: Arc<dyn Backend>,
    catalog: Arc<Catalog>,
    config: Config,
    profile: Profile,
    source: SourceRule,
    /// The text of what is left out.
    nothing: Arc<str>,
    pool: Pool,
    state: Mutex<State>,
    /// The logs that wait for the backend.
    waiting: Budget,
    /// Something was added to the batcher.
    work: Arc<Notify>,
    refusals: Arc<Refusals>,
    /// Deliveries that have not ended.
    under_way: AtomicUsize,
    /// Connections that there have been.
    connections: AtomicU64,
}

impl Ingest {
    /// Restores the producers' state from the backend's marks; starts the pool and the task that writes.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start_up(
        backend: Arc<dyn Backend>,
        catalog: Arc<Catalog>,
        config: Config,
        refusals: Arc<Refusals>,
    ) -> std::io::Result<Self> {
        let profile = backend.profile();
        let gaps = if profile.durable_marks {
            Gaps::Refuse
        } else {
            Gaps::AcceptUnlessRefusedHere
        };
        let mut producers = Producers::new(gaps);
        let marks = backend.marks();
        let malformed = producers.restore(
            marks
                .iter()
                .map(|(mark, used_s)| (&mark.project, &*mark.key, &*mark.value, *used_s)),
        );
        if malformed > 0 {
            tracing::warn!(
                malformed,
                "marks of idempotent producers that this version cannot read were left out"
            );
        }
        let work = Arc::new(Notify::new());
        let inner = Arc::new(Inner {
            source: config.mapping.source.unwrap_or(profile.source),
            nothing: "".into(),
            pool: Pool::start(profile.codec)?,
            state: Mutex::new(State {
                producers,
                batcher: Batcher::new(&profile, config.spread == Spread::ByPartition),
                unfinished: Unfinished::default(),
                turns: Turns::default(),
                prepared: HashMap::new(),
                waiting: HashMap::new(),
                owners: HashMap::new(),
                failures: HashMap::new(),
            }),
            waiting: Budget::new(WAITING_BYTES_MAX),
            work: Arc::clone(&work),
            backend,
            catalog,
            config,
            profile,
            refusals,
            under_way: AtomicUsize::new(0),
            connections: AtomicU64::new(0),
        });
        tokio::spawn(flush::run(Arc::downgrade(&inner), work));
        Ok(Self(inner))
    }

    /// A connection begins.
    pub fn connection(&self) -> ConnectionId {
        ConnectionId(self.0.connections.fetch_add(1, Ordering::Relaxed))
    }

    /// Starts a Produce request that arrived whole. `charge` is what its frame holds of the memory budget, until its
    /// logs are stored or refused; `source` is the client's address.
    pub fn start(
        &self,
        step: ProduceStep,
        charge: Option<Charge>,
        connection: ConnectionId,
        source: Arc<str>,
    ) -> InFlight {
        let request = Request::new(step, charge, source, self.0.config.network_error);
        let mut inline_left = INLINE_BYTES_MAX;
        let mut found: Option<(u32, Result<Target, Failure>)> = None;
        for index in 0..request.partition_count() {
            let Some(delivery) = self.admit(&request, index, connection) else {
                continue;
            };
            let topic = request.topic_index(index);
            let target = match found.take() {
                Some((of, target)) if of == topic => target,
                _ => match self.0.catalog.find(request.tenant(), request.topic(index)) {
                    Answer::Now(target) => target,
                    Answer::Later(target) => {
                        self.deliver_later(target, delivery);
                        continue;
                    }
                },
            };
            match &target {
                Ok(target) => self.deliver(target.clone(), delivery, &mut inline_left),
                Err(failure) => delivery.finish(Err(failure.clone())),
            }
            found = Some((topic, target));
        }
        InFlight::new(request)
    }

    /// Waits until nothing is under way; for a stopping server whose connections are closed.
    pub async fn drain(&self) {
        while self.0.under_way.load(Ordering::Acquire) > 0 {
            tokio::time::sleep(DRAIN_POLL).await;
        }
    }

    /// Decides on a batch of an idempotent producer by its header; all others just pass. `None`: it needs no writing.
    fn admit(
        &self,
        request: &Arc<Request>,
        index: usize,
        connection: ConnectionId,
    ) -> Option<Delivery> {
        let inner = &self.0;
        let Some(batch) = records::producer_batch(&request.records(index)) else {
            let role = inner.plain(request, index, connection);
            return Some(Delivery::new(inner, request, index, role));
        };
        let (project, topic) = (&request.tenant().project, request.topic(index));
        let joined = || Delivery::new(inner, request, index, Role::Joined);
        let mut told = Vec::new();
        let mut state = inner.lock();
        let admission = state.producers.admit(
            project,
            topic,
            request.partition(index),
            batch,
            now_ms() / 1_000,
        );
        let written = match admission {
            Admission::Write(ticket) => {
                state.owners.insert(ticket, (Arc::clone(request), index));
                let mut delivery = Delivery::new(inner, request, index, Role::Owner(ticket));
                delivery.resume(state.unfinished.find(&delivery));
                Some(delivery)
            }
            Admission::Wait(ticket) => {
                let joined = joined();
                // The first try may be written at any time.
                joined.submit();
                state.waiting.entry(ticket).or_default().push(joined);
                None
            }
            Admission::Stored => {
                told.push(Told::Ended(joined(), Ok(())));
                None
            }
            Admission::Refuse(refusal) => {
                told.push(Told::Ended(joined(), Err(Failure::Sequence(refusal))));
                None
            }
        };
        for (ticket, verdict) in state.producers.due() {
            state.tell(ticket, verdict, &mut told);
        }
        drop(state);
        told.into_iter().for_each(Told::announce);
        written
    }

    fn deliver_later(
        &self,
        target: BoxFuture<'static, Result<Target, Failure>>,
        delivery: Delivery,
    ) {
        let this = self.clone();
        tokio::spawn(async move {
            match target.await {
                Ok(target) => this.deliver(target, delivery, &mut 0),
                Err(failure) => delivery.finish(Err(failure)),
            }
        });
    }

    /// Decodes a batch, here or on the pool, and sends it on.
    fn deliver(&self, target: Target, delivery: Delivery, inline_left: &mut usize) {
        let partition = delivery.partition();
        let tenant = delivery.request().tenant();
        if !self.0.catalog.accepts(tenant, &target, partition) {
            return delivery.finish(Err(Failure::BadPartition(partition)));
        }
        let size = delivery.records().len();
        if size <= *inline_left {
            *inline_left -= size;
            let mut limits = self.0.config.records;
            limits.decompressed_bytes_max = limits
                .decompressed_bytes_max
                .min(INLINE_DECOMPRESSED_BYTES_MAX);
            let encode = |worker: &mut Worker| self.0.encode(worker, &limits, &target, &delivery);
            // Without a result our own code failed, and the dropped delivery says so.
            let Some(encoded) = self.0.pool.inline(encode) else {
                return;
            };
            if !is_too_large(&encoded) {
                return self.0.encoded(target, encoded, delivery);
            }
        }
        let inner = Arc::clone(&self.0);
        self.0.pool.run(move |worker| {
            let encoded = inner.encode(worker, &inner.config.records, &target, &delivery);
            inner.encoded(target, encoded, delivery);
        });
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The role of a batch that is not an idempotent producer's: it takes its turn where the user wants order.
    fn plain(&self, request: &Request, index: usize, connection: ConnectionId) -> Role {
        if self.config.spread != Spread::ByPartition {
            return Role::Plain;
        }
        let (topic, partition) = (request.topic(index), request.partition(index));
        Role::InTurn(self.lock().turns.enter(connection, topic, partition))
    }

    /// A batch is decoded: its logs are charged, and it goes to the batcher when its turn has come, or ends here.
    fn encoded(&self, target: Target, encoded: Result<Encoded, Failure>, delivery: Delivery) {
        let encoded = match encoded {
            Ok(encoded) => encoded,
            Err(failure) => return delivery.finish(Err(failure)),
        };
        let role = delivery.role();
        let mut prepared = Prepared {
            target,
            encoded,
            delivery,
        };
        if !prepared.charge(&self.waiting) {
            let failure = Failure::NotStored("too much waits for the Log Service");
            return prepared.delivery.finish(Err(failure));
        }
        let mut called_off = Vec::new();
        let mut state = self.lock();
        match role {
            Role::Owner(ticket) if !state.owners.contains_key(&ticket) => {
                let failure = Failure::NotStored("an earlier batch of this producer failed");
                called_off.push((prepared.delivery, Err(failure)));
            }
            Role::Owner(ticket) => {
                state.prepared.insert(ticket, prepared);
                for ticket in state.producers.ready(ticket) {
                    let Some(prepared) = state.prepared.remove(&ticket) else {
                        continue;
                    };
                    let mark = state.producers.mark(ticket);
                    called_off.extend(state.submit(self, prepared, mark));
                }
            }
            Role::InTurn(turn) => {
                state.turns.ready(turn, prepared);
                drop(state);
                return self.advance(turn);
            }
            Role::Plain | Role::Joined => called_off.extend(state.submit(self, prepared, None)),
        }
        drop(state);
        self.work.notify_one();
        for (delivery, result) in called_off {
            delivery.finish(result);
        }
    }

    /// Gives the batcher what may go on in the line of this turn, a few at a time, for others wait for the lock.
    fn advance(&self, turn: Turn) {
        loop {
            let mut state = self.lock();
            let ready = state.turns.take(turn, TURNS_AT_ONCE);
            let is_all = ready.len() < TURNS_AT_ONCE;
            let mut called_off = Vec::new();
            for prepared in ready {
                called_off.extend(state.submit(self, prepared, None));
            }
            drop(state);
            self.work.notify_one();
            for (delivery, result) in called_off {
                delivery.finish(result);
            }
            if is_all {
                return;
            }
        }
    }

    /// What batches came to: the producers' state first, then everybody whose answer hangs on it, and who waited in line.
    fn settle(&self, settled: impl IntoIterator<Item = (Delivery, Result<(), Failure>)>) {
        let mut told = Vec::new();
        let mut left = Vec::new();
        let mut state = self.lock();
        for (delivery, result) in settled {
            match delivery.role() {
                Role::Owner(ticket) => state.settle(ticket, delivery, &result, &mut told),
                Role::InTurn(turn) => {
                    left.extend(state.turns.leave(turn).then_some(turn));
                    told.push(Told::Ended(delivery, result));
                }
                Role::Plain | Role::Joined => told.push(Told::Ended(delivery, result)),
            }
        }
        drop(state);
        told.into_iter().for_each(Told::announce);
        left.into_iter().for_each(|turn| self.advance(turn));
    }

    /// Forgets producers that were not seen for long.
    fn expire_producers(&self) {
        self.lock().producers.expire(now_ms() / 1_000);
    }
}

impl Drop for Inner {
    /// The writing task sees that it is no longer needed.
    fn drop(&mut self) {
        self.work.notify_one();
    }
}

fn is_too_large(encoded: &Result<Encoded, Failure>) -> bool {
    matches!(encoded, Err(Failure::Records(error)) if error.refusal() == records::Refusal::TooLarge)
}

/// Milliseconds since the epoch.
fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
