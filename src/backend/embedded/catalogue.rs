//! Which Logstores exist, in memory, for questions that must not wait for the store. The writer keeps it up to date.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use super::store::LogstoreSpec;
use crate::tenant::{LogstoreName, ProjectName};

type Projects = HashMap<ProjectName, BTreeMap<LogstoreName, Arc<[u32]>>>;

#[derive(Debug, Default)]
pub struct Catalogue(RwLock<Projects>);

impl Catalogue {
    /// Takes over what the store has.
    pub fn publish(&self, logstores: Vec<LogstoreSpec>) {
        let mut projects = Projects::new();
        for LogstoreSpec {
            project,
            logstore,
            shard_count,
        } in logstores
        {
            projects
                .entry(project)
                .or_default()
                .insert(logstore, (0..shard_count).collect());
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = projects;
    }

    /// Shards of the Logstore, if it exists.
    pub fn shards(&self, project: &ProjectName, logstore: &LogstoreName) -> Option<Arc<[u32]>> {
        self.read(|projects| projects.get(project)?.get(logstore).cloned())
    }

    pub fn logstore_count(&self, project: &ProjectName) -> usize {
        self.read(|projects| projects.get(project).map_or(0, BTreeMap::len))
    }

    /// Up to `max` Logstores of the project that `wanted` lets through, sorted.
    pub fn list(
        &self,
        project: &ProjectName,
        max: usize,
        wanted: impl Fn(&LogstoreName) -> bool,
    ) -> Vec<(LogstoreName, Arc<[u32]>)> {
        self.read(|projects| {
            let all = projects.get(project).into_iter().flatten();
            all.filter(|(name, _)| wanted(name))
                .take(max)
                .map(|(name, shards)| (name.clone(), shards.clone()))
                .collect()
        })
    }

    fn read<T>(&self, look: impl FnOnce(&Projects) -> T) -> T {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}
