//! Quotas that are used up, each at its own level: a shard, a project, a region. Whoever writes there waits its pause out;
//! nobody else does.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::pause::{self, PAUSE_MAX};
use crate::backend::Placed;
use crate::tenant::{LogstoreName, ProjectName};

/// A level that gave no trouble for so long is forgotten.
const MEMORY: Duration = Duration::from_secs(60);
/// Levels remembered; beyond that none is added.
const LEVELS_MAX: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    Shard(Arc<str>, ProjectName, LogstoreName, u32),
    Project(Arc<str>, ProjectName),
    Region(Arc<str>),
}

impl Level {
    pub fn shard(placed: &Placed, shard: u32) -> Self {
        let tenant = &placed.tenant;
        Self::Shard(
            Arc::clone(&tenant.region),
            tenant.project.clone(),
            placed.logstore.clone(),
            shard,
        )
    }

    pub fn project(placed: &Placed) -> Self {
        Self::Project(
            Arc::clone(&placed.tenant.region),
            placed.tenant.project.clone(),
        )
    }

    pub fn region(placed: &Placed) -> Self {
        Self::Region(Arc::clone(&placed.tenant.region))
    }

    /// Another project of the same region.
    fn is_neighbour(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Project(region, own), Self::Project(theirs, other)) => {
                region == theirs && own != other
            }
            _ => false,
        }
    }
}

#[derive(Debug)]
struct Pause {
    until: Instant,
    doublings: u32,
    /// The Log Service was busy, rather than a quota used up.
    busy: bool,
}

#[derive(Debug, Default)]
pub struct Levels {
    /// How many there are, for the usual case that there is none.
    count: AtomicUsize,
    pauses: Mutex<HashMap<Level, Pause>>,
}

impl Levels {
    /// A quota of this level is used up: nothing is to be sent there before the time that is given back.
    pub fn exceeded(&self, level: Level, now: Instant) -> Instant {
        let mut pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        self.pause(&mut pauses, level, false, now)
    }

    /// The Log Service is too busy for this project. If it is for another one too, the region is.
    pub fn busy(&self, project: Level, region: Level, now: Instant) {
        let mut pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        let is_region_busy = pauses.iter().any(|(level, pause)| {
            pause.busy && now < pause.until + PAUSE_MAX && project.is_neighbour(level)
        });
        self.pause(&mut pauses, project, true, now);
        if is_region_busy {
            self.pause(&mut pauses, region, true, now);
        }
    }

    fn pause(
        &self,
        pauses: &mut HashMap<Level, Pause>,
        level: Level,
        busy: bool,
        now: Instant,
    ) -> Instant {
        pauses.retain(|_, pause| now < pause.until + MEMORY);
        let doublings = match pauses.get(&level) {
            // Writes that were under way together were refused together: that is one refusal.
            Some(pause) if now < pause.until => return pause.until,
            Some(pause) => pause.doublings.saturating_add(1),
            None => 0,
        };
        let longest = pause::longest(doublings);
        let until = now + longest / 2 + pause::jitter(longest / 2);
        if pauses.len() < LEVELS_MAX || pauses.contains_key(&level) {
            let pause = Pause {
                until,
                doublings,
                busy,
            };
            pauses.insert(level, pause);
        }
        self.count.store(pauses.len(), Ordering::Release);
        until
    }

    /// When something may be sent there again; `None`: now.
    pub fn until(&self, level: &Level, now: Instant) -> Option<Instant> {
        let pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        let until = pauses.get(level)?.until;
        (now < until).then_some(until)
    }

    /// A write went through: these levels have room again.
    pub fn passed(&self, levels: [Level; 3]) {
        let mut pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        for level in levels {
            pauses.remove(&level);
        }
        self.count.store(pauses.len(), Ordering::Release);
    }

    /// The usual case: nothing is paused, and nothing of the above need be asked.
    pub fn is_quiet(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(project: &str) -> Level {
        let project = ProjectName::parse(project).expect("a good name");
        Level::Project("region".into(), project)
    }

    #[test]
    fn one_busy_project_is_its_own_matter_and_two_are_the_regions() {
        let (levels, now) = (Levels::default(), Instant::now());
        let region = || Level::Region("region".into());
        levels.busy(level("one"), region(), now);
        levels.busy(level("one"), region(), now);
        assert_eq!(levels.until(&region(), now), None);
        levels.exceeded(level("two"), now);
        levels.busy(level("three"), region(), now);
        assert!(levels.until(&region(), now).is_some());
        assert_eq!(levels.until(&level("four"), now), None);
    }

    #[test]
    fn each_level_waits_for_itself_alone_and_longer_each_time() {
        let (levels, mut now) = (Levels::default(), Instant::now());
        assert!(levels.is_quiet());
        for doublings in 0..8 {
            let longest = pause::longest(doublings);
            let until = levels.exceeded(level("one"), now);
            assert!((now + longest / 2..=now + longest).contains(&until));
            assert_eq!(
                levels.exceeded(level("one"), now),
                until,
                "at once is the same"
            );
            assert_eq!(levels.until(&level("one"), now), Some(until));
            assert_eq!(levels.until(&level("two"), now), None);
            now = until;
            assert_eq!(levels.until(&level("one"), now), None);
        }
        levels.passed([level("one"), level("two"), level("three")]);
        assert!(levels.is_quiet());
    }
}
