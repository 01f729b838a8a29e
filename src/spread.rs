//! Spreading and batching: which logs share a LogGroup, which shard a group goes to, which groups are written together.
//!
//! The unit that is spread is a LogGroup. Small batches that meet share one, as long as project, endpoint, credentials,
//! Logstore and source are the same ([`GroupKey`]). How long to wait for company is the backend's to say. Now is passed
//! in; compressing and writing are ingest's.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Instant;

use crate::backend::{Mark, Share};
use crate::logs::{LogGroup, Piece};
use crate::tenant::{LogstoreName, Tenant};

mod batcher;
mod pace;
mod remembered;
mod rotation;

pub use batcher::Batcher;
pub use rotation::Rotation;

/// A Logstore, and the key with which it is written to. Credentials count whole, so that a wrong secret can never ride
/// in another's group.
#[derive(Clone, Debug)]
pub struct Destination {
    pub tenant: Arc<Tenant>,
    pub logstore: LogstoreName,
}

impl PartialEq for Destination {
    fn eq(&self, other: &Self) -> bool {
        self.logstore == other.logstore && same_tenant(&self.tenant, &other.tenant)
    }
}

impl Eq for Destination {}

impl Hash for Destination {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.tenant.project.hash(state);
        self.tenant.credentials.access_key_id.hash(state);
        self.logstore.hash(state);
    }
}

fn same_tenant(one: &Arc<Tenant>, other: &Arc<Tenant>) -> bool {
    Arc::ptr_eq(one, other)
        || (one.project == other.project
            && one.endpoint == other.endpoint
            && one.credentials == other.credentials)
}

/// Whose logs may share a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupKey {
    pub destination: Destination,
    /// What stands in `__source__`.
    pub source: Arc<str>,
    /// What stands in `__topic__`.
    pub topic: Arc<str>,
}

/// One Kafka batch: all of it goes into one write set.
#[derive(Debug)]
pub struct Entry<W> {
    pub key: GroupKey,
    /// The Logstore's writable shards, never empty.
    pub shards: Arc<[u32]>,
    pub partition: i32,
    /// Logs that may share a group with others'.
    pub pieces: Vec<Piece>,
    /// Groups that are complete.
    pub groups: Vec<LogGroup>,
    pub mark: Option<Mark>,
    /// When waiting for its write is over.
    pub deadline: Option<Instant>,
    /// Whom the outcome concerns.
    pub waiter: W,
}

impl<W> Entry<W> {
    /// Bytes that wait: logs as they are, complete groups as they are compressed.
    fn bytes(&self) -> usize {
        let pieces = self.pieces.iter().map(|piece| piece.logs.len());
        let groups = self.groups.iter().map(|group| group.body.len());
        pieces.chain(groups).sum()
    }
}

/// A group's logs.
#[derive(Debug)]
pub enum Content {
    /// Still to be closed and compressed.
    Open(Piece),
    Closed(LogGroup),
}

impl Content {
    fn log_count(&self) -> u32 {
        match self {
            Self::Open(piece) => piece.log_count,
            Self::Closed(group) => group.log_count,
        }
    }
}

/// A group on its way to a shard.
#[derive(Debug)]
pub struct ReadyGroup {
    pub key: GroupKey,
    pub shard: u32,
    pub content: Content,
    pub shares: Vec<Share>,
}

impl ReadyGroup {
    /// Bytes that have yet to be compressed.
    pub fn uncompressed_bytes(&self) -> usize {
        match &self.content {
            Content::Open(piece) => piece.logs.len(),
            Content::Closed(_) => 0,
        }
    }
}

/// Whose writes are bounded together.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LaneId(u64);

/// What the batcher hands out.
#[derive(Debug)]
pub enum Taken<W> {
    Write(Ready<W>),
    /// Their time was over before a write could begin: nothing of them was written.
    Overdue(Vec<W>),
}

/// One write set.
#[derive(Debug)]
pub struct Ready<W> {
    pub lane: LaneId,
    pub groups: Vec<ReadyGroup>,
    pub marks: Vec<Mark>,
    /// In the order of the shares' batches.
    pub waiters: Vec<W>,
    pub deadline: Option<Instant>,
}
