//! One Produce request under way: a result for each partition, its deadline, and the charge that its bytes hold.
//!
//! A [`Delivery`] stands for one partition's batch on its way. It ends in exactly one way; one that is dropped without
//! an end (a bug of ours) ends as "perhaps stored", so that no client waits for ever and no producer's state stays open.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tracing::info;

use super::turns::Turn;
use super::unfinished::Begun;
use super::{GIVE_UP_MARGIN, Inner, now_ms};
use crate::failure::{Failure, KeyState, NetworkError};
use crate::idempotence::Ticket;
use crate::memory::Charge;
use crate::protocol::produce::PartitionResult;
use crate::refusals::shown;
use crate::session::ProduceStep;
use crate::tenant::Tenant;

/// A request's own time-out is taken within these bounds: ruby-kafka and kafka-go give up after 10 s, Java after 30.
const TIMEOUT_MIN: Duration = Duration::from_secs(2);
const TIMEOUT_MAX: Duration = Duration::from_secs(30);

/// A Produce request and what became of each of its partitions.
pub struct Request {
    step: ProduceStep,
    arrival: Arrival,
    deadline: Instant,
    network_error: NetworkError,
    state: Mutex<Progress>,
}

/// When and whence records came, as their logs show it.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Milliseconds since the epoch.
    pub at_ms: i64,
    /// The client's address.
    pub source: Arc<str>,
}

struct Progress {
    stages: Vec<Stage>,
    /// Partitions without a result.
    unanswered: usize,
    /// Deliveries that have not ended; the charge ends with the last one.
    undelivered: usize,
    /// The record sets; they go with the charge, for the answer may have to wait for long.
    records: Vec<Bytes>,
    charge: Option<Charge>,
    waker: Option<Waker>,
    expired: bool,
}

enum Stage {
    /// Neither in the batcher nor waiting for another's write: it can still be called off.
    Open,
    /// It may reach the Log Service at any time.
    Submitted,
    Done(Result<(), Failure>),
}

impl Request {
    pub fn new(
        mut step: ProduceStep,
        charge: Option<Charge>,
        source: Arc<str>,
        network_error: NetworkError,
    ) -> Arc<Self> {
        let count = step.request().partitions.len();
        let timeout = Duration::from_millis(u64::try_from(step.request().timeout_ms).unwrap_or(0));
        let state = Progress {
            stages: std::iter::repeat_with(|| Stage::Open).take(count).collect(),
            unanswered: count,
            undelivered: count,
            records: step.take_records(),
            charge: charge.filter(|_| count > 0),
            waker: None,
            expired: false,
        };
        Arc::new(Self {
            deadline: Instant::now() + timeout.clamp(TIMEOUT_MIN, TIMEOUT_MAX) * 4 / 5,
            arrival: Arrival {
                at_ms: now_ms(),
                source,
            },
            network_error,
            step,
            state: Mutex::new(state),
        })
    }

    pub fn partition_count(&self) -> usize {
        self.step.request().partitions.len()
    }

    /// Which of the request's topics a partition belongs to.
    pub fn topic_index(&self, index: usize) -> u32 {
        self.step.request().partitions[index].topic
    }

    /// The topic as written on the wire.
    pub fn topic(&self, index: usize) -> &str {
        self.step.request().topic(index)
    }

    /// The partition's number.
    pub fn partition(&self, index: usize) -> i32 {
        self.step.request().partitions[index].index
    }

    /// The record set; empty where it was null, or once nothing is undelivered.
    pub fn records(&self, index: usize) -> Bytes {
        self.lock().records.get(index).cloned().unwrap_or_default()
    }

    pub fn tenant(&self) -> &Arc<Tenant> {
        self.step.tenant()
    }

    pub fn version(&self) -> i16 {
        self.step.version()
    }

    /// When waiting for a write to begin is over.
    pub fn give_up_at(&self) -> std::time::Instant {
        (self.deadline - GIVE_UP_MARGIN).into_std()
    }

    /// The client's address, as logs show it.
    pub fn source(&self) -> &Arc<str> {
        &self.arrival.source
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on it may be written. False: the request was given up meanwhile.
    fn submit(&self, index: usize) -> bool {
        let mut progress = self.lock();
        match &mut progress.stages[index] {
            stage @ Stage::Open => {
                *stage = Stage::Submitted;
                true
            }
            Stage::Submitted | Stage::Done(_) => false,
        }
    }

    /// One delivery has ended; with the last one the record sets and their charge end.
    fn delivered(&self) {
        let mut progress = self.lock();
        progress.undelivered -= 1;
        if progress.undelivered == 0 {
            progress.records = Vec::new();
            progress.charge = None;
        }
    }

    /// Gives a partition its result; the first one counts.
    pub fn answer(&self, index: usize, result: Result<(), Failure>) {
        let mut progress = self.lock();
        if matches!(progress.stages[index], Stage::Done(_)) {
            return;
        }
        progress.stages[index] = Stage::Done(result);
        progress.unanswered -= 1;
        if progress.unanswered == 0
            && let Some(waker) = progress.waker.take()
        {
            drop(progress);
            waker.wake();
        }
    }

    /// Gives up: what is not in the batcher is called off, what is may have been written.
    fn expire(&self) {
        let mut progress = self.lock();
        progress.expired = true;
        progress.unanswered = 0;
        for stage in &mut progress.stages {
            let failure = match stage {
                Stage::Open => Failure::NotStored("its time was over before it could be written"),
                Stage::Submitted => {
                    Failure::Uncertain("its time was over before the Log Service answered")
                }
                Stage::Done(_) => continue,
            };
            *stage = Stage::Done(Err(failure));
        }
    }

    fn partition_result(&self, result: &Result<(), Failure>) -> PartitionResult {
        let Err(failure) = result else {
            return PartitionResult::stored();
        };
        let message = failure.to_string();
        let record_errors = failure
            .record_index()
            .and_then(|index| i32::try_from(index).ok())
            .map(|index| (index, None));
        PartitionResult {
            record_errors: record_errors.into_iter().collect(),
            ..PartitionResult::refused(
                failure.code(self.step.version(), self.network_error),
                Some(message),
            )
        }
    }
}

/// Whose outcome a delivery brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Not an idempotent producer's.
    Plain,
    /// The same where the user wants order: it goes on when those in front of it have.
    InTurn(Turn),
    /// It writes the batch of this ticket, and settles it.
    Owner(Ticket),
    /// It waits for the outcome of another delivery, or has no need of one.
    Joined,
}

/// One partition's batch on its way to its result.
pub struct Delivery {
    inner: Arc<Inner>,
    request: Arc<Request>,
    index: usize,
    role: Role,
    /// For the logs that wait for the Log Service.
    waiting: Option<Charge>,
    /// What an earlier try has stored, of which this one is the repeat.
    begun: Option<Begun>,
    /// Logs from the start that are left out, since they are stored.
    pub stored_before: u32,
    ended: bool,
}

impl Delivery {
    pub fn new(inner: &Arc<Inner>, request: &Arc<Request>, index: usize, role: Role) -> Self {
        inner.under_way.fetch_add(1, Ordering::AcqRel);
        Self {
            inner: Arc::clone(inner),
            request: Arc::clone(request),
            index,
            role,
            waiting: None,
            begun: None,
            stored_before: 0,
            ended: false,
        }
    }

    pub fn role(&self) -> Role {
        self.role
    }

    pub fn request(&self) -> &Request {
        &self.request
    }

    pub fn partition(&self) -> i32 {
        self.request.partition(self.index)
    }

    /// The topic as written on the wire.
    pub fn topic(&self) -> &str {
        self.request.topic(self.index)
    }

    pub fn records(&self) -> Bytes {
        self.request.records(self.index)
    }

    /// It is to be encoded as of the try that has stored so much.
    pub fn resume(&mut self, begun: Option<Begun>) {
        self.begun = begun;
    }

    /// Logs from the start that an earlier try has stored.
    pub fn stored_logs(&self) -> u32 {
        self.begun.as_ref().map_or(0, |begun| begun.stored_logs)
    }

    /// As the logs show it: that of the first try.
    pub fn arrival(&self) -> &Arrival {
        let first = self.begun.as_ref().map(|begun| &begun.arrival);
        first.unwrap_or(&self.request.arrival)
    }

    /// Keeps the charge of its logs until it ends.
    pub fn hold(&mut self, waiting: Option<Charge>) {
        self.waiting = waiting;
    }

    /// From here on it may be written. False: the request was given up meanwhile.
    pub fn submit(&self) -> bool {
        self.request.submit(self.index)
    }

    /// The batch has come to this: settles its producer's state and answers all who hang on it.
    pub fn finish(self, result: Result<(), Failure>) {
        let inner = Arc::clone(&self.inner);
        inner.settle([(self, result)]);
    }

    /// Gives the partition its result. The producer's state is settled already.
    pub fn answer(mut self, result: Result<(), Failure>) {
        self.ended = true;
        self.waiting = None;
        if let Err(failure) = &result {
            self.report(failure);
        }
        self.request.answer(self.index, result);
        self.request.delivered();
    }

    fn report(&self, failure: &Failure) {
        let now = std::time::Instant::now();
        if let Some(unlogged) = self.inner.refusals.count(failure.label(), now) {
            info!(
                peer = %self.request.source(),
                project = %self.request.tenant().project,
                client = self.request.step.client_id(),
                topic = %shown(self.topic()),
                partition = self.partition(),
                reason = %failure,
                unlogged,
                "batch refused"
            );
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.ended {
            self.ended = true;
            let again = Self::new(&self.inner, &self.request, self.index, self.role);
            again.finish(Err(Failure::Uncertain("internal failure")));
        }
        self.inner.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A request as its connection sees it.
pub struct InFlight {
    request: Arc<Request>,
}

/// The end of a request.
pub struct Done {
    /// `None` for acks=0.
    pub frame: Option<Bytes>,
    /// acks=0 and something was not stored: the connection has to be closed, as Kafka does.
    pub unacked_failed: bool,
    /// The worst that a partition's failure says of the key.
    pub key: KeyState,
}

impl InFlight {
    pub fn new(request: Arc<Request>) -> Self {
        Self { request }
    }

    /// When the client gives up: arrival + 0.8 × its time-out, everything included.
    pub fn deadline(&self) -> Instant {
        self.request.deadline
    }

    pub fn is_expired(&self) -> bool {
        self.request.lock().expired
    }

    /// The time is over: the next poll is ready.
    pub fn expire(&self) {
        self.request.expire();
    }

    /// Ready when each partition has its result. Not to be polled again after that.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Done> {
        let mut progress = self.request.lock();
        if progress.unanswered > 0 {
            progress.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        let answered = progress.stages.iter().map(|stage| match stage {
            Stage::Done(result) => self.request.partition_result(result),
            Stage::Open | Stage::Submitted => unreachable!("unanswered counts them"),
        });
        let results: Vec<PartitionResult> = answered.collect();
        let failures = progress.stages.iter().filter_map(|stage| match stage {
            Stage::Done(Err(failure)) => Some(failure),
            _ => None,
        });
        let key = failures.clone().map(Failure::key_state).max();
        let throttle = failures.map(Failure::throttle).max().unwrap_or_default();
        drop(progress);
        let frame = self.request.step.respond(&results, throttle);
        let failed = results.iter().any(|result| !result.is_success());
        Poll::Ready(Done {
            unacked_failed: frame.is_none() && failed,
            frame,
            key: key.unwrap_or(KeyState::Fine),
        })
    }
}
