//! What the backend is told by the configuration: plain data, checked where it was read.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;

use super::client::Settings;
use crate::tenant::ProjectName;

/// Everything the backend needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub client: Settings,
    pub projects: Projects,
    pub route: Route,
    /// Partition n goes to the n-th shard.
    pub by_partition: bool,
    /// A login waits until the Log Service has judged its key.
    pub verify_logins: bool,
    /// How long a group that is not full waits for company: at least, and at most.
    pub linger_min: Duration,
    pub linger_max: Duration,
    /// HTTP writes at once to one Logstore.
    pub writes_per_logstore_max: usize,
    /// The age at which a list of shards is asked for anew.
    pub shards_refresh: Duration,
    /// A key that worked within this time and is now refused is held first.
    pub key_grace: Duration,
}

/// Whose logs are passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Projects {
    All,
    Only(BTreeSet<ProjectName>),
}

impl Projects {
    pub fn contain(&self, project: &ProjectName) -> bool {
        match self {
            Self::All => true,
            Self::Only(projects) => projects.contains(project),
        }
    }
}

/// Who chooses a group's shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// The gateway, by a key of the shard's range.
    KeyHash,
    /// The Log Service, at each write.
    LoadBalanced,
}
