//! The Produce path on one page: admit → decode → map → spread → write → settle → answer.
//!
//! [`Ingest::start`] is called in arrival order, once for each Produce request of a connection. It admits the batches of
//! idempotent producers by their headers, decodes small batches at once and large ones on the pool, and hands the logs
//! to the batcher. One task (`flush.rs`) takes what is due from there, makes write sets of it and gives them to the
//! backend; their outcome settles the producers' state and completes the requests (`request.rs`).
//!
//! Nothing here knows a socket: a client's leaving changes nothing for a request that has started.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

use crate::backend::{Answer, Backend, BoxFuture, Mark, Profile};
use crate::catalog::{Catalog, Spread, Target};
use crate::failure::{Failure, NetworkError};
use crate::idempotence::{Admission, Gaps, Outcome, Producers, Temporary, Ticket, Verdict};
use crate::logs::{BatchContext, Envelope, LogGroup, Mapping, Piece, SourceRule, TopicRule};
use crate::memory::{Budget, Charge};
use crate::records;
use crate::refusals::Refusals;
use crate::session::ProduceStep;
use crate::spread::{Batcher, Entry, GroupKey};
use crate::tenant::{self, Route};

use pool::{Pool, Worker};
use request::{Delivery, Request, Role};
use unfinished::Unfinished;

mod flush;
mod pool;
mod request;
mod unfinished;

pub use request::{Done, InFlight};

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
}

/// What must change together: a batch's admission, its turn and its place in the batcher.
struct State {
    producers: Producers,
    batcher: Batcher<Delivery>,
    /// Decoded batches of idempotent producers that wait for their turn.
    prepared: HashMap<Ticket, Prepared>,
    /// Who is told when a ticket is settled.
    waiting: HashMap<Ticket, Vec<Delivery>>,
    /// The request behind each ticket that has no verdict yet: its answer may come before its outcome.
    owners: HashMap<Ticket, (Arc<Request>, usize)>,
    /// Why batches failed whose verdict waits for earlier ones.
    failures: HashMap<Ticket, Failure>,
    /// Batches of idempotent producers of which a part is stored.
    unfinished: Unfinished,
}

/// An answer that can be given, once the lock is released.
enum Told {
    /// The delivery has ended.
    Ended(Delivery, Result<(), Failure>),
    /// Its answer is known though its write goes on.
    Early(Arc<Request>, usize, Result<(), Failure>),
}

/// A decoded batch on its way to the batcher.
struct Prepared {
    target: Target,
    encoded: Encoded,
    delivery: Delivery,
}

/// One batch's logs: what may share a group, and what is one already.
#[derive(Default)]
struct Encoded {
    pieces: Vec<Piece>,
    groups: Vec<LogGroup>,
}

impl Encoded {
    /// Bytes that wait: logs as they are, complete groups as they are compressed.
    fn bytes(&self) -> u64 {
        let pieces = self.pieces.iter().map(|piece| piece.logs.len());
        let groups = self.groups.iter().map(|group| group.body.len());
        pieces.chain(groups).sum::<usize>() as u64
    }

    /// Leaves out the groups and pieces that lie in the first so many logs, which are stored; gives the logs left out. A
    /// piece of which a part is stored stays: twice is better than not.
    fn skip(&mut self, stored_logs: u32) -> u32 {
        let mut left = stored_logs;
        let mut skipped = 0;
        let mut is_stored = |log_count: u32| {
            let stored = log_count <= left;
            left = if stored { left - log_count } else { 0 };
            skipped += if stored { log_count } else { 0 };
            stored
        };
        self.groups.retain(|group| !is_stored(group.log_count));
        self.pieces.retain(|piece| !is_stored(piece.log_count));
        skipped
    }
}

impl Told {
    /// Not to be called under the lock.
    fn announce(self) {
        match self {
            Self::Ended(delivery, result) => delivery.answer(result),
            Self::Early(request, index, result) => request.answer(index, result),
        }
    }
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
        });
        tokio::spawn(flush::run(Arc::downgrade(&inner), work));
        Ok(Self(inner))
    }

    /// Starts a Produce request that arrived whole. `charge` is what its frame holds of the memory budget, until its
    /// logs are stored or refused; `source` is the client's address.
    pub fn start(&self, step: ProduceStep, charge: Option<Charge>, source: Arc<str>) -> InFlight {
        let request = Request::new(step, charge, source, self.0.config.network_error);
        let mut inline_left = INLINE_BYTES_MAX;
        let mut found: Option<(u32, Result<Target, Failure>)> = None;
        for index in 0..request.partition_count() {
            let Some(delivery) = self.admit(&request, index) else {
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
    fn admit(&self, request: &Arc<Request>, index: usize) -> Option<Delivery> {
        let inner = &self.0;
        let Some(batch) = records::producer_batch(&request.records(index)) else {
            return Some(Delivery::new(inner, request, index, Role::Plain));
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

    /// Records → logs → pieces, and groups where a piece is large enough to be one.
    fn encode(
        &self,
        worker: &mut Worker,
        limits: &records::Limits,
        target: &Target,
        delivery: &Delivery,
    ) -> Result<Encoded, Failure> {
        let request = delivery.request();
        let context = self.context(delivery, &target.route);
        let Worker {
            decoder,
            encoder,
            closer,
        } = worker;
        encoder.reset();
        let mut record = 0;
        decoder.decode(&delivery.records(), request.version(), limits, |each| {
            encoder
                .push(&context, &each)
                .map_err(|error| Failure::Log { record, error })?;
            record += 1;
            Ok::<(), Failure>(())
        })?;
        let mut encoded = Encoded::default();
        let (source, topic) = (self.source_of(request), self.topic_of(delivery));
        let envelope = self.envelope(&source, &topic);
        let pieces = encoder.finish();
        let count = pieces.len();
        for (index, piece) in pieces.into_iter().enumerate() {
            // Only the last may share a group, or its batch would lose its order.
            if index + 1 < count || piece.logs.len() >= ALONE_BYTES_MIN {
                encoded.groups.push(closer.close(vec![piece], &envelope));
                encoder.recycle(closer.take_buffer());
            } else {
                encoded.pieces.push(piece);
            }
        }
        Ok(encoded)
    }

    fn context<'c>(&'c self, delivery: &'c Delivery, route: &Route) -> BatchContext<'c> {
        let arrival = delivery.arrival();
        BatchContext {
            mapping: &self.config.mapping,
            window: self.profile.window,
            bounds: self.profile.bounds,
            now_ms: arrival.at_ms,
            json_topic: route.json,
            client_ip: (self.source == SourceRule::Field).then_some(&*arrival.source),
        }
    }

    /// The index of the record that became this log, counted from what was written in the last try.
    fn record_of(&self, worker: &mut Worker, delivery: &Delivery, log: u32) -> Option<usize> {
        let request = delivery.request();
        let route = tenant::route(delivery.topic()).ok()?;
        let context = self.context(delivery, &route);
        let wanted = delivery.stored_before.saturating_add(log);
        let (limits, version) = (&self.config.records, request.version());
        let Worker {
            decoder, encoder, ..
        } = worker;
        encoder.reset();
        let (mut record, mut found) = (0, None);
        let decoded = decoder.decode(&delivery.records(), version, limits, |each| {
            encoder
                .push(&context, &each)
                .map_err(|error| Failure::Log { record, error })?;
            if found.is_none() && encoder.log_count() > wanted {
                found = Some(record);
            }
            record += 1;
            Ok::<(), Failure>(())
        });
        encoder.reset();
        decoded.ok().and(found)
    }

    /// What stands in `__source__` of a batch's groups.
    fn source_of(&self, request: &Request) -> Arc<str> {
        match self.source {
            SourceRule::Group => Arc::clone(request.source()),
            SourceRule::Field => Arc::clone(&self.nothing),
        }
    }

    /// What stands in `__topic__` of a batch's groups.
    fn topic_of(&self, delivery: &Delivery) -> Arc<str> {
        match self.config.mapping.topic {
            TopicRule::Drop => Arc::clone(&self.nothing),
            TopicRule::Kafka => delivery.topic().into(),
        }
    }

    fn envelope<'e>(&'e self, source: &'e str, topic: &'e str) -> Envelope<'e> {
        Envelope {
            topic,
            source,
            tags: &self.config.mapping.tags,
        }
    }

    /// A batch is decoded: it goes to the batcher when its turn has come, or ends here.
    fn encoded(&self, target: Target, encoded: Result<Encoded, Failure>, delivery: Delivery) {
        let encoded = match encoded {
            Ok(encoded) => encoded,
            Err(failure) => return delivery.finish(Err(failure)),
        };
        let role = delivery.role();
        let prepared = Prepared {
            target,
            encoded,
            delivery,
        };
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
            Role::Plain | Role::Joined => called_off.extend(state.submit(self, prepared, None)),
        }
        drop(state);
        self.work.notify_one();
        for (delivery, result) in called_off {
            delivery.finish(result);
        }
    }

    /// What batches came to: the producers' state first, then everybody whose answer hangs on it.
    fn settle(&self, settled: impl IntoIterator<Item = (Delivery, Result<(), Failure>)>) {
        let mut told = Vec::new();
        let mut state = self.lock();
        for (delivery, result) in settled {
            match delivery.role() {
                Role::Owner(ticket) => state.settle(ticket, delivery, &result, &mut told),
                Role::Plain | Role::Joined => told.push(Told::Ended(delivery, result)),
            }
        }
        drop(state);
        told.into_iter().for_each(Told::announce);
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

impl State {
    /// Puts a batch into the batcher. What was given up meanwhile, or holds no log, comes back with its result.
    fn submit(
        &mut self,
        inner: &Inner,
        prepared: Prepared,
        mark: Option<(Vec<u8>, Vec<u8>)>,
    ) -> Option<(Delivery, Result<(), Failure>)> {
        let Prepared {
            target,
            mut encoded,
            mut delivery,
        } = prepared;
        delivery.stored_before = encoded.skip(delivery.stored_logs());
        if encoded.pieces.is_empty() && encoded.groups.is_empty() {
            return Some((delivery, Ok(())));
        }
        let project = &delivery.request().tenant().project;
        let Some(charge) = inner.waiting.try_reserve(Some(project), encoded.bytes()) else {
            let failure = Failure::NotStored("too much waits for the Log Service");
            return Some((delivery, Err(failure)));
        };
        delivery.hold(charge);
        if !delivery.submit() {
            return Some((
                delivery,
                Err(Failure::NotStored("given up before it was written")),
            ));
        }
        let request = delivery.request();
        let (source, topic) = (inner.source_of(request), inner.topic_of(&delivery));
        let tenant = Arc::clone(request.tenant());
        let mark = mark.map(|(key, value)| Mark {
            project: tenant.project.clone(),
            key,
            value,
        });
        let entry = Entry {
            key: GroupKey {
                tenant,
                logstore: target.route.logstore,
                source,
                topic,
            },
            shards: target.logstore.shards,
            partition: delivery.partition(),
            pieces: encoded.pieces,
            groups: encoded.groups,
            mark,
            deadline: Some(request.give_up_at()),
            waiter: delivery,
        };
        self.batcher.add(entry, Instant::now());
        None
    }

    /// Records the outcome of a ticket's batch; `told` gets everybody who can be answered now.
    fn settle(
        &mut self,
        ticket: Ticket,
        delivery: Delivery,
        result: &Result<(), Failure>,
        told: &mut Vec<Told>,
    ) {
        let outcome = outcome(result);
        if outcome == Outcome::Stored && delivery.stored_logs() > 0 {
            self.unfinished.forget(&delivery);
        }
        if self.owners.contains_key(&ticket) {
            self.waiting.entry(ticket).or_default().push(delivery);
        } else {
            // It was answered before, with the failure in front of it.
            told.push(Told::Ended(delivery, result.clone()));
        }
        if let (Err(failure), true) = (result, self.waiting.contains_key(&ticket)) {
            self.failures.insert(ticket, failure.clone());
        }
        for (ticket, verdict) in self.producers.settle(ticket, outcome) {
            self.tell(ticket, verdict, told);
        }
    }

    /// A ticket's verdict goes to all who wait for it.
    fn tell(&mut self, ticket: Ticket, verdict: Verdict, told: &mut Vec<Told>) {
        let own = self.failures.remove(&ticket);
        let result = match (verdict, own) {
            (Verdict::Stored, _) => Ok(()),
            (Verdict::Refused(refusal), _) => Err(Failure::Sequence(refusal)),
            (Verdict::Own, Some(own)) => Err(own),
            (Verdict::Failed(failure), Some(own))
                if outcome(&Err(own.clone())) == Outcome::Failed(failure) =>
            {
                Err(own)
            }
            (Verdict::Own, None) => Err(Failure::NotStored("its first try was refused")),
            (Verdict::Failed(Temporary::NotStored(why)), _) => Err(Failure::NotStored(why)),
            (Verdict::Failed(Temporary::Uncertain(why)), _) => Err(Failure::Uncertain(why)),
        };
        if let Some((request, index)) = self.owners.remove(&ticket) {
            told.push(Told::Early(request, index, result.clone()));
        }
        let waiting = self.waiting.remove(&ticket).unwrap_or_default();
        // A batch that waited for its turn behind a failed one goes with it.
        let unsent = self.prepared.remove(&ticket);
        let deliveries = waiting
            .into_iter()
            .chain(unsent.map(|prepared| prepared.delivery));
        told.extend(deliveries.map(|delivery| Told::Ended(delivery, result.clone())));
    }
}

fn is_too_large(encoded: &Result<Encoded, Failure>) -> bool {
    matches!(encoded, Err(Failure::Records(error)) if error.refusal() == records::Refusal::TooLarge)
}

fn outcome(result: &Result<(), Failure>) -> Outcome {
    match result {
        Ok(()) => Outcome::Stored,
        Err(Failure::NotStored(why)) => Outcome::Failed(Temporary::NotStored(why)),
        Err(Failure::Unknown) => {
            Outcome::Failed(Temporary::NotStored("the Log Service cannot tell now"))
        }
        // Clients retry these, so they are no end to the sequence.
        Err(Failure::NoLogstore | Failure::BadPartition(_)) => {
            Outcome::Failed(Temporary::NotStored("an earlier batch had nowhere to go"))
        }
        Err(Failure::Throttled { why, .. } | Failure::Unreachable(why)) => {
            Outcome::Failed(Temporary::NotStored(why))
        }
        Err(Failure::KeyHeld) => {
            Outcome::Failed(Temporary::NotStored("the access key is refused for a time"))
        }
        Err(Failure::Uncertain(why)) => Outcome::Failed(Temporary::Uncertain(why)),
        Err(_) => Outcome::Refused,
    }
}

/// Milliseconds since the epoch.
fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
