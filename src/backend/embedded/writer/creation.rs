//! Making one Logstore on request, between two commits.

use tokio::sync::oneshot;

use super::{REOPENING, Run, State, now_ms};
use crate::backend::embedded::store::{LogstoreSpec, Open, Store};
use crate::backend::embedded::{LOGSTORES_PER_PROJECT_MAX, SHARDS_PER_PROJECT_MAX};

/// A Logstore that somebody waits for.
#[derive(Debug)]
pub struct Creation {
    pub spec: LogstoreSpec,
    pub answer: oneshot::Sender<Result<(), CreateError>>,
}

/// Why a Logstore was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    #[error("the project does not exist")]
    NoProject,
    #[error("the Logstore exists already")]
    Exists,
    #[error("the project has its most Logstores, {LOGSTORES_PER_PROJECT_MAX}, already")]
    LogstoresFull,
    #[error("the project would have more than {SHARDS_PER_PROJECT_MAX} shards")]
    ShardsFull,
    /// It may exist all the same.
    #[error("the store cannot make it now: {0}")]
    Failed(&'static str),
}

const NOT_MADE: &str = "the store could not commit";

impl<O: Open> Run<O> {
    /// Makes the Logstores that wait, each in a transaction of its own: there are few.
    pub(super) fn create(&mut self) {
        for Creation { spec, answer } in std::mem::take(&mut self.creations) {
            // Nobody may be waiting any more; the Logstore stands all the same.
            let _ = answer.send(self.create_one(&spec));
        }
    }

    fn create_one(&mut self, spec: &LogstoreSpec) -> Result<(), CreateError> {
        let State::Open(store) = &mut self.state else {
            return Err(CreateError::Failed(REOPENING));
        };
        judge(store, spec)?;
        match store.ensure(&[], std::slice::from_ref(spec), now_ms()) {
            Ok(()) => {
                self.shared.catalogue.publish(store.logstores());
                Ok(())
            }
            Err(cause) => {
                self.fail(&cause, None);
                Err(CreateError::Failed(NOT_MADE))
            }
        }
    }

    /// Answers all that wait as not made.
    pub(super) fn refuse_creations(&mut self, reason: &'static str) {
        for creation in self.creations.drain(..) {
            let _ = creation.answer.send(Err(CreateError::Failed(reason)));
        }
    }
}

fn judge(store: &impl Store, spec: &LogstoreSpec) -> Result<(), CreateError> {
    let LogstoreSpec {
        project,
        logstore,
        shard_count,
    } = spec;
    let count = store
        .logstore_count(project)
        .ok_or(CreateError::NoProject)?;
    if store.shard_count(project, logstore).is_some() {
        return Err(CreateError::Exists);
    }
    if count >= LOGSTORES_PER_PROJECT_MAX {
        return Err(CreateError::LogstoresFull);
    }
    let all = store.logstores().into_iter();
    let shards: u32 = all
        .filter(|other| other.project == *project)
        .map(|other| other.shard_count)
        .sum();
    if shards.saturating_add(*shard_count) > SHARDS_PER_PROJECT_MAX {
        return Err(CreateError::ShardsFull);
    }
    Ok(())
}
