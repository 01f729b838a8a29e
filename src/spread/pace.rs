//! How long each Logstore's groups wait for company: longer while company comes, shorter while none does.

use std::time::Duration;

use super::remembered::Remembered;
use crate::backend::Linger;
use crate::tenant::{LogstoreName, ProjectName};

/// Logstores whose pace is remembered while nothing of them waits; one that is forgotten starts anew at the shortest.
const LOGSTORES_MAX: usize = 10_000;
/// More batches than this in one write set are company worth waiting for.
const LONELY_BATCHES_MAX: usize = 2;
/// The first step up from a shortest linger of zero.
const STEP_MIN: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub struct Paces {
    linger: Linger,
    /// Those that were not always at the shortest.
    known: Remembered<Duration>,
}

impl Paces {
    pub fn new(linger: Linger) -> Self {
        Self {
            linger,
            known: Remembered::new(LOGSTORES_MAX),
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
        self.known.get(&place).unwrap_or(self.linger.min)
    }

    pub fn remember(&mut self, project: &ProjectName, logstore: &LogstoreName, linger: Duration) {
        let place = (project.clone(), logstore.clone());
        if linger > self.linger.min || self.known.get(&place).is_some() {
            self.known.set(place, linger);
        }
    }
}
