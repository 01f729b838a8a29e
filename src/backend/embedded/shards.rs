//! What the writing store remembers of projects, Logstores and shards, so that a commit reads nothing.

use std::collections::HashMap;

use super::store::LogstoreSpec;
use crate::tenant::{LogstoreName, ProjectName};

#[derive(Debug, Default)]
pub struct Shards {
    projects: HashMap<ProjectName, Project>,
    shards: Vec<Shard>,
    /// Shards that the transaction under way has touched.
    dirty: Vec<usize>,
}

#[derive(Debug)]
pub struct Project {
    pub row: i64,
    pub mark_count: u64,
    logstores: HashMap<LogstoreName, Logstore>,
}

#[derive(Debug)]
pub struct Logstore {
    pub row: i64,
    shards: Vec<usize>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shard {
    pub row: i64,
    /// Sequence of the next group.
    pub next: i64,
    /// Receive time of the newest group ever; the next is never before it, whatever the clock does.
    pub receive_ms: i64,
    /// Stored bytes, as retention counts them.
    pub bytes: i64,
    /// Receive time of the oldest group that is still there.
    pub oldest_ms: Option<i64>,
    dirty: bool,
}

impl Shards {
    pub fn add_project(&mut self, name: ProjectName, row: i64) {
        self.projects.insert(
            name,
            Project {
                row,
                mark_count: 0,
                logstores: HashMap::new(),
            },
        );
    }

    pub fn add_logstore(&mut self, project: &ProjectName, name: LogstoreName, row: i64) {
        if let Some(project) = self.projects.get_mut(project) {
            project.logstores.insert(
                name,
                Logstore {
                    row,
                    shards: Vec::new(),
                },
            );
        }
    }

    /// Shards come in the order of their numbers, from 0.
    pub fn add_shard(&mut self, project: &ProjectName, logstore: &LogstoreName, shard: Shard) {
        let found = self
            .projects
            .get_mut(project)
            .and_then(|project| project.logstores.get_mut(logstore));
        if let Some(logstore) = found {
            logstore.shards.push(self.shards.len());
            self.shards.push(shard);
        }
    }

    pub fn project(&self, name: &ProjectName) -> Option<&Project> {
        self.projects.get(name)
    }

    pub fn project_mut(&mut self, name: &ProjectName) -> Option<&mut Project> {
        self.projects.get_mut(name)
    }

    pub fn projects(&self) -> impl Iterator<Item = &Project> {
        self.projects.values()
    }

    pub fn projects_mut(&mut self) -> impl Iterator<Item = &mut Project> {
        self.projects.values_mut()
    }

    pub fn logstore(&self, project: &ProjectName, logstore: &LogstoreName) -> Option<&Logstore> {
        self.projects.get(project)?.logstores.get(logstore)
    }

    pub fn specs(&self) -> Vec<LogstoreSpec> {
        let of = |project: &ProjectName, logstore: &LogstoreName, found: &Logstore| LogstoreSpec {
            project: project.clone(),
            logstore: logstore.clone(),
            shard_count: found.shard_count(),
        };
        let each = self.projects.iter();
        each.flat_map(|(project, found)| {
            found
                .logstores
                .iter()
                .map(move |(name, logstore)| of(project, name, logstore))
        })
        .collect()
    }

    /// The shard, noted as touched.
    pub fn touch(
        &mut self,
        project: &ProjectName,
        logstore: &LogstoreName,
        number: u32,
    ) -> Option<&mut Shard> {
        let index = *self
            .logstore(project, logstore)?
            .shards
            .get(number as usize)?;
        let shard = &mut self.shards[index];
        if !shard.dirty {
            shard.dirty = true;
            self.dirty.push(index);
        }
        Some(shard)
    }

    /// The shards touched since the last call.
    pub fn take_dirty(&mut self) -> impl Iterator<Item = Shard> {
        let Self { shards, dirty, .. } = self;
        dirty.drain(..).map(|index| {
            shards[index].dirty = false;
            shards[index]
        })
    }

    /// Each Logstore's shards, by index.
    pub fn by_logstore(&self) -> impl Iterator<Item = &[usize]> {
        self.projects
            .values()
            .flat_map(|project| project.logstores.values())
            .map(|logstore| &*logstore.shards)
    }

    pub fn shard(&self, index: usize) -> &Shard {
        &self.shards[index]
    }

    pub fn shard_mut(&mut self, index: usize) -> &mut Shard {
        &mut self.shards[index]
    }
}

impl Project {
    pub fn logstore_count(&self) -> usize {
        self.logstores.len()
    }
}

impl Logstore {
    pub fn shard_count(&self) -> u32 {
        u32::try_from(self.shards.len()).unwrap_or(u32::MAX)
    }
}

impl Shard {
    /// A shard that never held anything.
    pub fn new(row: i64) -> Self {
        Self {
            row,
            ..Self::default()
        }
    }

    /// Takes a group of so many bytes; returns its sequence and receive time.
    pub fn append(&mut self, now_ms: i64, bytes: i64) -> (i64, i64) {
        let sequence = self.next;
        self.next += 1;
        self.receive_ms = self.receive_ms.max(now_ms);
        self.bytes += bytes;
        self.oldest_ms.get_or_insert(self.receive_ms);
        (sequence, self.receive_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receive_time_never_decreases_and_sequences_have_no_gap() {
        let mut shard = Shard::new(1);
        assert_eq!(shard.append(100, 5), (0, 100));
        assert_eq!(shard.append(90, 5), (1, 100));
        assert_eq!(shard.append(101, 5), (2, 101));
        assert_eq!((shard.bytes, shard.oldest_ms), (15, Some(100)));
    }

    #[test]
    fn a_shard_touched_twice_is_written_once() {
        let project = ProjectName::parse("shop").unwrap();
        let logstore = LogstoreName::parse("access").unwrap();
        let mut shards = Shards::default();
        shards.add_project(project.clone(), 1);
        shards.add_logstore(&project, logstore.clone(), 1);
        shards.add_shard(&project, &logstore, Shard::new(9));
        for _ in 0..2 {
            shards.touch(&project, &logstore, 0).unwrap().append(1, 1);
        }
        assert!(shards.touch(&project, &logstore, 1).is_none());
        assert_eq!(
            shards
                .take_dirty()
                .map(|shard| (shard.row, shard.next))
                .collect::<Vec<_>>(),
            [(9, 2)]
        );
        assert_eq!(shards.take_dirty().count(), 0);
    }
}
