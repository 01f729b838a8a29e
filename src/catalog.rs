//! What the gateway says of a topic: its Logstore and its partitions.
//!
//! Metadata and Produce both ask here. The Log Service's answers are the backend's; this adds the rules of what Kafka
//! clients may be shown.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::backend::{Answer, Backend, Logstore, Permission};
use crate::failure::Failure;
use crate::tenant::{self, LogstoreName, ProjectName, Route, Tenant};

/// Metadata waits no longer for the Log Service; then it says "ask again".
pub const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(3);
/// More partitions only make the agents' batches smaller.
const PARTITIONS_SHOWN_MAX: usize = 8;
/// Clients may keep the numbering of another cluster, so any sensible index is taken.
const PARTITION_INDEX_MAX: i32 = 1023;
/// Logstores whose partition counts are remembered; past that a count could fall, which only delays clients.
const REMEMBERED_MAX: usize = 100_000;

/// How partitions relate to shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// Logs go round-robin over the shards. `partitions`: a fixed number to show, or min(writable shards, 8).
    RoundRobin { partitions: Option<u32> },
    /// Partition → shard, for users who want order.
    ByPartition,
}

/// A topic that may be written to.
#[derive(Clone, Debug)]
pub struct Target {
    pub route: Route,
    pub logstore: Logstore,
}

pub struct Catalog {
    backend: Arc<dyn Backend>,
    spread: Spread,
    /// The most partitions ever shown: queued batches of a vanished partition stall in Java.
    most: Mutex<HashMap<(ProjectName, LogstoreName), i32>>,
}

impl Catalog {
    pub fn new(backend: Arc<dyn Backend>, spread: Spread) -> Self {
        Self {
            backend,
            spread,
            most: Mutex::default(),
        }
    }

    /// Finds the Logstore of a topic, at once where the backend knows it.
    pub fn find(&self, tenant: &Arc<Tenant>, topic: &str) -> Answer<Result<Target, Failure>> {
        let route = match tenant::route(topic) {
            Ok(route) => route,
            Err(error) => return Answer::Now(Err(error.into())),
        };
        match self.backend.describe(tenant, &route.logstore) {
            Answer::Now(described) => Answer::Now(
                described
                    .map_err(Failure::from)
                    .and_then(|l| allowed(route, l)),
            ),
            Answer::Later(answer) => Answer::Later(Box::pin(async move {
                let described = within(DESCRIBE_TIMEOUT, answer).await?;
                described
                    .map_err(Failure::from)
                    .and_then(|logstore| allowed(route, logstore))
            })),
        }
    }

    /// The partitions to show for a topic, at once where the backend knows it; a Logstore that does not exist yet counts
    /// only where the client asks for creation.
    pub fn partitions(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        topic: &str,
        create: bool,
    ) -> Answer<Result<i32, Failure>> {
        let found = match self.find(tenant, topic) {
            Answer::Now(found) => {
                return Answer::Now(found.and_then(|target| self.shown(tenant, &target, create)));
            }
            Answer::Later(found) => found,
        };
        let (this, tenant) = (Arc::clone(self), Arc::clone(tenant));
        Answer::Later(Box::pin(async move {
            let target = found.await?;
            this.shown(&tenant, &target, create)
        }))
    }

    fn shown(&self, tenant: &Tenant, target: &Target, create: bool) -> Result<i32, Failure> {
        if !target.logstore.exists && !create {
            return Err(Failure::NoLogstore);
        }
        Ok(self.partition_count(tenant, &target.route.logstore, &target.logstore))
    }

    /// All topics of this tenant, at most `max`, sorted; none when the backend cannot tell.
    pub async fn list(&self, tenant: &Arc<Tenant>, max: usize) -> Vec<(String, i32)> {
        let listed = match self.backend.list(tenant, max) {
            Answer::Now(listed) => Ok(listed),
            Answer::Later(listed) => within(DESCRIBE_TIMEOUT, listed).await,
        };
        let Ok(Ok(listed)) = listed else {
            return Vec::new();
        };
        listed
            .into_iter()
            .map(|(name, logstore)| {
                let count = self.partition_count(tenant, &name, &logstore);
                (name.as_str().to_owned(), count)
            })
            .collect()
    }

    /// Whether a batch may name this partition: any sensible number, or with by-partition those that were ever shown.
    pub fn accepts(&self, tenant: &Tenant, target: &Target, index: i32) -> bool {
        let end = match self.spread {
            Spread::RoundRobin { .. } => PARTITION_INDEX_MAX + 1,
            Spread::ByPartition => {
                self.partition_count(tenant, &target.route.logstore, &target.logstore)
            }
        };
        (0..end).contains(&index)
    }

    fn partition_count(&self, tenant: &Tenant, name: &LogstoreName, logstore: &Logstore) -> i32 {
        let count = match self.spread {
            Spread::RoundRobin {
                partitions: Some(fixed),
            } => usize::try_from(fixed).unwrap_or(1),
            Spread::RoundRobin { partitions: None } => {
                logstore.shards.len().min(PARTITIONS_SHOWN_MAX)
            }
            Spread::ByPartition => logstore.shards.len(),
        };
        let count = i32::try_from(count.max(1)).unwrap_or(i32::MAX);
        let mut shown = self.most.lock().unwrap_or_else(PoisonError::into_inner);
        let room = shown.len() < REMEMBERED_MAX;
        let key = (tenant.project.clone(), name.clone());
        match shown.get_mut(&key) {
            Some(most) => {
                *most = (*most).max(count);
                *most
            }
            None if room => *shown.entry(key).or_insert(count),
            None => count,
        }
    }
}

async fn within<T>(limit: Duration, answer: impl Future<Output = T>) -> Result<T, Failure> {
    tokio::time::timeout(limit, answer)
        .await
        .map_err(|_| Failure::Unknown)
}

fn allowed(route: Route, logstore: Logstore) -> Result<Target, Failure> {
    match logstore.may_write {
        Permission::Yes | Permission::Unknown => Ok(Target { route, logstore }),
        Permission::No => Err(Failure::NoRight),
    }
}
