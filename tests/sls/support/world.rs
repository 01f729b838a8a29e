//! What the stand-in knows: projects, keys, Logstores with their shards, and the groups that it has stored.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::group::{Group, Log};

#[derive(Default)]
pub struct World {
    projects: BTreeMap<String, Project>,
    /// Where set: hosts of other endpoints are another region's.
    pub endpoint: Option<String>,
    /// How far its clock is ahead.
    pub clock_offset_s: i64,
    /// In the order of storing.
    pub stored: Vec<Stored>,
    /// What no gateway may send, whatever it was answered.
    pub complaints: Vec<String>,
}

#[derive(Default)]
pub struct Project {
    pub keys: BTreeMap<String, Key>,
    pub logstores: BTreeMap<String, Logstore>,
}

pub struct Key {
    pub secret: String,
    /// Of temporary credentials.
    pub token: Option<String>,
    pub may_write: bool,
    pub may_describe: bool,
}

pub struct Logstore {
    pub shards: Vec<Shard>,
    next: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    pub id: u32,
    pub writable: bool,
}

/// A group and where it lies.
#[derive(Clone, Debug)]
pub struct Stored {
    pub project: String,
    pub logstore: String,
    pub shard: u32,
    pub group: Arc<Group>,
}

impl World {
    /// Made where it is missing.
    pub fn project(&mut self, name: &str) -> &mut Project {
        self.projects.entry(name.to_owned()).or_default()
    }

    pub fn find(&mut self, name: &str) -> Option<&mut Project> {
        self.projects.get_mut(name)
    }

    pub fn remove_project(&mut self, name: &str) {
        self.projects.remove(name);
    }

    /// The logs of a Logstore, in the order of storing.
    pub fn logs(&self, project: &str, logstore: &str) -> Vec<Log> {
        let of_it = |stored: &&Stored| stored.project == project && stored.logstore == logstore;
        let groups = self.stored.iter().filter(of_it);
        groups
            .flat_map(|stored| stored.group.logs.clone())
            .collect()
    }
}

impl Project {
    /// A key that may do all that a gateway needs.
    pub fn key(&mut self, id: &str, secret: &str) -> &mut Key {
        let key = Key {
            secret: secret.to_owned(),
            token: None,
            may_write: true,
            may_describe: true,
        };
        self.keys.entry(id.to_owned()).insert_entry(key).into_mut()
    }

    pub fn logstore(&mut self, name: &str, shard_count: u32) -> &mut Logstore {
        let shards = (0..shard_count).map(|id| Shard { id, writable: true });
        let logstore = Logstore {
            shards: shards.collect(),
            next: 0,
        };
        self.logstores
            .entry(name.to_owned())
            .insert_entry(logstore)
            .into_mut()
    }
}

impl Logstore {
    /// The writable shards divide all keys evenly, in their order.
    pub fn range(&self, id: u32) -> Option<RangeInclusive<u128>> {
        let writable = self.writable();
        let place = writable.iter().position(|shard| *shard == id)?;
        let count = writable.len() as u128;
        let begin = |place: usize| match place as u128 {
            0 => 0,
            place => (u128::MAX / count + 1) * place,
        };
        let last = place + 1 == writable.len();
        Some(
            begin(place)..=if last {
                u128::MAX
            } else {
                begin(place + 1) - 1
            },
        )
    }

    /// Where a write goes: by its hash key, or to the next one in turn.
    pub fn shard_for(&mut self, key: Option<u128>) -> Option<u32> {
        let writable = self.writable();
        if let Some(key) = key {
            let holds = |id: &u32| self.range(*id).is_some_and(|range| range.contains(&key));
            return writable.into_iter().find(holds);
        }
        self.next += 1;
        let place = (self.next - 1).checked_rem(writable.len())?;
        Some(writable[place])
    }

    fn writable(&self) -> Vec<u32> {
        let writable = self.shards.iter().filter(|shard| shard.writable);
        writable.map(|shard| shard.id).collect()
    }
}
