//! What the store's HTTP API asks beyond the `Backend` trait: keys by their id, all shards of a Logstore, and making one.
//!
//! Whether a request may do what it asks is the API's to judge; reading is `reader.rs`'s.

use std::future::Future;
use std::sync::Arc;

use super::Embedded;
use super::access::{Key, Refusal};
use super::store::LogstoreSpec;
pub use super::writer::CreateError;
use crate::tenant::{LogstoreName, ProjectName};

/// The shards of a Logstore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shards {
    /// Shards 0 to this, less one, can be read.
    pub count: u32,
    /// Those that take logs, ascending, never empty.
    pub writable: Arc<[u32]>,
}

impl Embedded {
    pub fn has_project(&self, project: &ProjectName) -> bool {
        self.access.project(project).is_some()
    }

    /// The key of this id. Whoever names it has proven nothing yet.
    pub fn key(&self, project: &ProjectName, id: &str) -> Result<&Key, Refusal> {
        self.access.find(project, id).map(|(_, key)| key)
    }

    /// `None`: the Logstore does not exist.
    pub fn shards(&self, project: &ProjectName, logstore: &LogstoreName) -> Option<Shards> {
        let stored = self.shared.catalogue.shards(project, logstore)?;
        let settings = self.access.project(project)?;
        Some(Shards {
            count: u32::try_from(stored.len()).unwrap_or(u32::MAX),
            writable: settings.logstores.get(logstore).cloned().unwrap_or(stored),
        })
    }

    /// The Logstores that exist and that `wanted` lets through, sorted.
    pub fn logstores(
        &self,
        project: &ProjectName,
        wanted: impl Fn(&LogstoreName) -> bool,
    ) -> Vec<LogstoreName> {
        let listed = self.shared.catalogue.list(project, usize::MAX, wanted);
        listed.into_iter().map(|(name, _)| name).collect()
    }

    /// Makes a Logstore; ready when it is durable.
    pub fn create(
        &self,
        spec: LogstoreSpec,
    ) -> impl Future<Output = Result<(), CreateError>> + Send + 'static + use<> {
        self.writer.create(spec)
    }
}
