//! The Log Service as the gateway sees it: one small trait. Nothing above it knows which one it is.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::logs::{Bounds, Codec, LogGroup, SourceRule, TimeWindow};
use crate::tenant::{LogstoreName, ProjectName, Tenant};

pub mod discard;
pub mod embedded;
pub mod sls;

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a backend asks of those above it.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    pub window: TimeWindow,
    pub bounds: Bounds,
    /// How the groups that it is given are compressed and hashed.
    pub codec: Codec,
    pub linger: Linger,
    /// Writes at once: of all, or of one Logstore where the backend lingers.
    pub writes_in_flight_max: usize,
    pub source: SourceRule,
    /// Marks survive a restart, so the state of idempotent producers is complete: a gap is a gap.
    pub durable_marks: bool,
}

/// How long a group that is not full waits for company: between these, by how much company came last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linger {
    /// Zero: nothing waits, and write sets are not kept apart by Logstore.
    pub min: Duration,
    pub max: Duration,
}

impl Linger {
    /// What comes is written as soon as a write may begin.
    pub const NONE: Self = Self {
        min: Duration::ZERO,
        max: Duration::ZERO,
    };

    pub fn is_none(self) -> bool {
        self.max.is_zero()
    }
}

/// May this key write to this Logstore?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    Yes,
    No,
    /// Only a write will tell (`sls`).
    Unknown,
}

/// A Logstore as the gateway needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logstore {
    /// Ids of the writable shards, ascending, never empty.
    pub shards: Arc<[u32]>,
    pub may_write: Permission,
    /// False: it will be made by the first stored group (create-on-first-use).
    pub exists: bool,
}

/// Why a Logstore cannot be described.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescribeError {
    #[error("the project does not exist")]
    NoProject,
    #[error("the Logstore does not exist")]
    NoLogstore,
    #[error("the access key is not valid")]
    BadKey,
    /// The key is not valid, or may not do this: the Log Service does not say which.
    #[error("the access key is not valid or lacks a permission")]
    Unauthorized,
    /// A key that worked a short time ago: its refusal is not passed on yet.
    #[error("the access key worked before and is refused now")]
    KeyHeld,
    /// Nothing is known yet, or the backend did not answer in time.
    #[error("the Log Service cannot tell now")]
    Unavailable,
}

/// The outcome of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginOutcome {
    /// The key is proven good.
    Proven,
    /// The first Metadata or write will tell (`sls`).
    Unproven,
    /// Wrong project, id or secret; the reason is for the log only.
    Refused(&'static str),
}

/// A question that may be answered at once, from memory.
pub enum Answer<T> {
    Now(T),
    Later(BoxFuture<'static, T>),
}

/// One group and where it goes.
#[derive(Clone, Debug)]
pub struct Placed {
    pub tenant: Arc<Tenant>,
    pub logstore: LogstoreName,
    pub shard: u32,
    pub group: LogGroup,
    /// Whose logs these are, in the order of the logs.
    pub shares: Vec<Share>,
}

/// A run of logs in a group that come from one Kafka batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Which of the set's batches.
    pub batch: u32,
    pub log_count: u32,
}

/// An opaque note that is stored with the groups of its write, or not at all. A later mark of the same key replaces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    pub project: ProjectName,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
}

/// A write: stored whole or not at all, where the backend can.
#[derive(Clone, Debug, Default)]
pub struct WriteSet {
    pub groups: Vec<Placed>,
    pub marks: Vec<Mark>,
    /// Kafka batches whose logs these are; each lies in the groups in order.
    pub batch_count: u32,
    /// No try may begin later; `None`: at any time.
    pub deadline: Option<Instant>,
}

/// Why logs were not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PutError {
    /// Nothing was stored; worth another try later.
    #[error("not stored: {0}")]
    NotStored(&'static str),
    /// As [`PutError::NotStored`], for a quota that is used up; it is worth no try before the pause is over.
    #[error("not stored: {why}")]
    Throttled { why: &'static str, pause: Duration },
    /// As [`PutError::NotStored`]: the Log Service could not be reached.
    #[error("not stored: {0}")]
    Unreachable(&'static str),
    /// It, or some of it, may have been stored (a time-out, a lost connection).
    #[error("perhaps stored: {0}")]
    Uncertain(&'static str),
    #[error("the project does not exist")]
    NoProject,
    #[error("the Logstore does not exist")]
    NoLogstore,
    #[error("the access key is not valid")]
    BadKey,
    #[error("the access key may not write")]
    Unauthorized,
    /// See [`DescribeError::KeyHeld`].
    #[error("the access key worked before and is refused now")]
    KeyHeld,
    /// The Log Service does not take this log, counted from the start of its batch, even repaired.
    #[error("log {log}: {why}")]
    Content { log: u32, why: Unstorable },
}

/// Why the Log Service does not take a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unstorable {
    #[error("the Log Service does not take its content")]
    Invalid,
    #[error("it is too large for the Log Service")]
    TooLarge,
}

/// Why a write set failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// The same for all batches.
    #[error("{0}")]
    Whole(#[from] PutError),
    /// An outcome for each batch, in order: only from backends that cannot store a set whole or not at all.
    #[error("some batches were not stored")]
    Each(Vec<BatchOutcome>),
}

/// What became of one batch of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOutcome {
    pub result: Result<(), PutError>,
    /// Logs from its start that are stored for sure, where the rest is not.
    pub stored_logs: u32,
}

pub trait Backend: Send + Sync + 'static {
    fn profile(&self) -> Profile;

    /// Checks a login as far as the backend can without writing.
    fn log_in(&self, tenant: &Arc<Tenant>) -> Answer<LoginOutcome>;

    fn describe(
        &self,
        tenant: &Arc<Tenant>,
        logstore: &LogstoreName,
    ) -> Answer<Result<Logstore, DescribeError>>;

    /// The Logstores that this tenant may see, sorted, without those that do not exist yet; at most `max`.
    fn list(
        &self,
        tenant: &Arc<Tenant>,
        max: usize,
    ) -> Answer<Result<Vec<(LogstoreName, Logstore)>, DescribeError>>;

    /// Stores the set, whole or not at all where the backend can. Dropping the future does not cancel the write.
    fn put(&self, set: WriteSet) -> BoxFuture<'static, Result<(), SetError>>;

    /// All marks that are stored, with the second of their last use; read once at start.
    fn marks(&self) -> Vec<(Mark, i64)>;

    /// Commits what is under way and closes; later writes are refused as not stored.
    fn close(&self) -> BoxFuture<'static, ()>;
}
