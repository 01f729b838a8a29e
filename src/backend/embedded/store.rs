//! What the writer asks of a store: the interface behind which SQLite can be replaced.
//!
//! A store is opened, takes batches of write sets in one transaction each, expires what retention names, and is closed.
//! After any error it is dropped and opened anew; nothing of its memory is trusted then. Reading while it is written
//! is `reader.rs`'s; threads, queues and answers are the writer's.

use std::path::PathBuf;
use std::time::Duration;

use crate::backend::{Mark, WriteSet};
use crate::tenant::{LogstoreName, ProjectName};

/// A batch holds no more than this, except a single larger set: so the first in it is not kept waiting for the last, its
/// pages fit a store's cache, and a store can see to it that a slice of expiry deletes more than a batch adds.
pub const BATCH_BYTES_MAX: usize = 4 << 20;
pub const BATCH_GROUPS_MAX: usize = 2048;

/// Where an error came from, in words that the store chose.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Opens a store, at the start and again after each failure.
pub trait Open: Send + 'static {
    type Store: Store;

    /// Opens, checks, and proves with a synced commit of its own that writing works. After this returns, whatever
    /// `last_commit` counts is durable, and a commit beyond it will never come back.
    fn open(&mut self) -> Result<Self::Store, OpenError>;
}

/// An open store. One thread uses it.
pub trait Store: Send + 'static {
    /// Number of the newest batch that is stored; 0 in a new store.
    fn last_commit(&self) -> u64;

    /// Shards of the Logstore, if it exists.
    fn shard_count(&self, project: &ProjectName, logstore: &LogstoreName) -> Option<u32>;

    fn logstores(&self) -> Vec<LogstoreSpec>;

    /// Number of Logstores in the project; `None`: the project is unknown.
    fn logstore_count(&self, project: &ProjectName) -> Option<usize>;

    /// Makes projects and Logstores that do not exist, and adds shards to those that have fewer than named.
    fn ensure(
        &mut self,
        projects: &[ProjectName],
        logstores: &[LogstoreSpec],
        now_ms: i64,
    ) -> Result<(), StoreError>;

    /// Stores all of the batch in one durable transaction.
    fn append(&mut self, batch: Batch<'_>) -> Result<(), StoreError>;

    /// All marks with the second of their last use.
    fn marks(&self) -> Result<Vec<(Mark, i64)>, StoreError>;

    /// Deletes one slice of what is past the rule. `more` in the answer asks for another call soon.
    fn expire(&mut self, rule: &Retention, now_ms: i64) -> Result<Expired, StoreError>;

    /// Housekeeping between two commits, a few milliseconds of it. True asks for another call soon.
    fn tidy(&mut self) -> Result<bool, StoreError>;

    /// Leaves everything in its final place on disk.
    fn close(self) -> Result<(), StoreError>;
}

/// A Logstore and how many shards it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogstoreSpec {
    pub project: ProjectName,
    pub logstore: LogstoreName,
    pub shard_count: u32,
}

/// What one transaction stores.
pub struct Batch<'a> {
    /// More than the store's last commit.
    pub number: u64,
    /// Receive time of its groups, milliseconds since the epoch.
    pub now_ms: i64,
    /// Logstores to make first.
    pub created: &'a [LogstoreSpec],
    /// Their places exist or are among `created`.
    pub sets: &'a [&'a WriteSet],
}

/// When stored things go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Age of a group, by receive time.
    pub age_max: Duration,
    /// Stored bytes of one Logstore.
    pub logstore_bytes_max: u64,
    /// Age of a mark, by last use.
    pub mark_age_max: Duration,
    /// Marks of one project; those unused longest go first.
    pub marks_max: u64,
}

/// What one slice of expiry deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    pub groups: u64,
    pub logs: u64,
    pub bytes: u64,
    pub marks: u64,
    pub more: bool,
}

/// Why a store cannot be opened. Each message names the file, what is wrong and the cure.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot use the data directory {}: {cause}", dir.display())]
    Folder { dir: PathBuf, cause: std::io::Error },
    #[error(
        "the data directory {} is in use by another server: stop it, or give this one a directory of its own",
        dir.display()
    )]
    InUse { dir: PathBuf },
    #[error("there is no store in {}: start the server once, or name its data directory", dir.display())]
    Missing { dir: PathBuf },
    #[error("{} is not a database: move it away, or name another data directory", file.display())]
    NotADatabase { file: PathBuf },
    #[error(
        "{} is the database of another program (application id {found:#010x}): move it away, or name another data directory",
        file.display()
    )]
    Foreign { file: PathBuf, found: i32 },
    #[error(
        "{} has schema version {found}, this program knows {known}: use the newer program that wrote it",
        file.display()
    )]
    Newer {
        file: PathBuf,
        found: i32,
        known: i32,
    },
    #[error(
        "{} is damaged ({what}): keep a copy, then restore it from a backup or move it away to start empty",
        file.display()
    )]
    Damaged { file: PathBuf, what: String },
    #[error("cannot open {}: {cause}", file.display())]
    Failed { file: PathBuf, cause: Cause },
}

/// Why a store's transaction failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Certain: nothing of it will ever be there.
    #[error("nothing was stored: {0}")]
    Nothing(Cause),
    /// The commit itself failed; only opening anew tells.
    #[error("the outcome of a commit is unknown: {0}")]
    Unknown(Cause),
}
