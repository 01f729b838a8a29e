//! The Log Service as the gateway sees it: one small trait. Nothing above it knows which one it is.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::logs::{Bounds, Codec, LogGroup, SourceRule, TimeWindow};
use crate::tenant::{LogstoreName, ProjectName, Tenant};

pub mod discard;
pub mod embedded;

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a backend asks of those above it.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    pub window: TimeWindow,
    pub bounds: Bounds,
    /// How the groups that it is given are compressed and hashed.
    pub codec: Codec,
    /// How long a group that is not full waits for company.
    pub linger: Duration,
    /// Writes at once.
    pub writes_in_flight_max: usize,
    pub source: SourceRule,
    /// Marks survive a restart, so the state of idempotent producers is complete: a gap is a gap.
    pub durable_marks: bool,
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
}

/// An opaque note that is stored with the groups of its write, or not at all. A later mark of the same key replaces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    pub project: ProjectName,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
}

/// A write: stored whole or not at all.
#[derive(Clone, Debug, Default)]
pub struct WriteSet {
    pub groups: Vec<Placed>,
    pub marks: Vec<Mark>,
}

/// Why a write failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PutError {
    /// Nothing of the set was stored; worth another try later.
    #[error("not stored: {0}")]
    NotStored(&'static str),
    /// It may have been stored (a time-out, a lost connection).
    #[error("perhaps stored: {0}")]
    Uncertain(&'static str),
    #[error("the project does not exist")]
    NoProject,
    #[error("the Logstore does not exist")]
    NoLogstore,
    #[error("the key may not write")]
    Unauthorized,
}

pub trait Backend: Send + Sync + 'static {
    fn profile(&self) -> Profile;

    /// Checks a login as far as the backend can without writing. `peer` is for per-address limits.
    fn log_in(&self, tenant: &Arc<Tenant>, peer: IpAddr) -> Answer<LoginOutcome>;

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

    /// Stores the set whole or not at all. Dropping the future does not cancel the write.
    fn put(&self, set: WriteSet) -> BoxFuture<'static, Result<(), PutError>>;

    /// All marks that are stored, with the second of their last use; read once at start.
    fn marks(&self) -> Vec<(Mark, i64)>;

    /// Commits what is under way and closes; later writes are refused as not stored.
    fn close(&self) -> BoxFuture<'static, ()>;
}
