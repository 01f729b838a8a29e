//! How long each Logstore's groups wait for company: longer while company comes, shorter while none does.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::backend::Linger;
use crate::tenant::{LogstoreName, ProjectName};

/// Logstores whose pace is remembered while nothing of them waits; one that is forgotten starts anew at the shortest.
const LOGSTORES_MAX: usize = 10_000;
/// More batches than this in one write set are company worth waiting for.
const LONELY_BATCHES_MAX: usize = 2;
/// The first step up from a shortest linger of zero.
const STEP_MIN: Duration = Duration::from_millis(1);

type Place = (ProjectName, LogstoreName);

#[derive(Debug)]
pub struct Paces {
    linger: Linger,
    /// Those that are not at the shortest.
    known: HashMap<Place, Duration>,
    added: VecDeque<Place>,
}

impl Paces {
    pub fn new(linger: Linger) -> Self {
        Self {
            linger,
            known: HashMap::new(),
            added: VecDeque::new(),
        }
    }

    /// The linger after a write set of so many batches.
    pub fn next(&self, last: Duration, batch_count: usize) -> Duration {
        if batch_count > LONELY_BATCHES_MAX {
            (last * 2).max(STEP_MIN).min(self.linger.max)
        } else {
            (last / 2).max(self.linger.min)
        }
    }

    pub fn recall(&self, project: &ProjectName, logstore: &LogstoreName) -> Duration {
        let place = (project.clone(), logstore.clone());
        self.known.get(&place).copied().unwrap_or(self.linger.min)
    }

    pub fn remember(&mut self, project: &ProjectName, logstore: &LogstoreName, linger: Duration) {
        let place = (project.clone(), logstore.clone());
        if let Some(known) = self.known.get_mut(&place) {
            *known = linger;
            return;
        }
        if linger <= self.linger.min {
            return;
        }
        self.known.insert(place.clone(), linger);
        self.added.push_back(place);
        if self.added.len() > LOGSTORES_MAX
            && let Some(oldest) = self.added.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}
