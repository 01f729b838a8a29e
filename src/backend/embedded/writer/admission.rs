//! Which sets of a batch can be stored, and which Logstores they make. A bad one does not harm the others.

use std::collections::HashMap;

use super::Put;
use crate::backend::embedded::LOGSTORES_PER_PROJECT_MAX;
use crate::backend::embedded::store::{LogstoreSpec, Store};
use crate::backend::{PutError, WriteSet};
use crate::tenant::ProjectName;

pub const NO_SHARD: &str = "the Logstore has no such shard";

/// Answers the puts that cannot be stored; returns the others and the Logstores that they make.
pub fn admit(
    store: &impl Store,
    created_shard_counts: &HashMap<ProjectName, u32>,
    waiting: &mut Vec<Put>,
) -> (Vec<Put>, Vec<LogstoreSpec>) {
    let mut created = Vec::new();
    let mut puts = Vec::with_capacity(waiting.len());
    for put in waiting.drain(..) {
        let created_before = created.len();
        match admit_set(store, created_shard_counts, &mut created, &put.set) {
            Ok(()) => puts.push(put),
            Err(refusal) => {
                created.truncate(created_before);
                put.answer(Err(refusal));
            }
        }
    }
    (puts, created)
}

fn admit_set(
    store: &impl Store,
    created_shard_counts: &HashMap<ProjectName, u32>,
    created: &mut Vec<LogstoreSpec>,
    set: &WriteSet,
) -> Result<(), PutError> {
    for placed in &set.groups {
        let (project, logstore) = (&placed.tenant.project, &placed.logstore);
        let is_same = |spec: &&LogstoreSpec| spec.project == *project && spec.logstore == *logstore;
        let existing = store.shard_count(project, logstore);
        let shard_count =
            match existing.or_else(|| created.iter().find(is_same).map(|spec| spec.shard_count)) {
                Some(shard_count) => shard_count,
                None => {
                    let existing = store.logstore_count(project).ok_or(PutError::NoProject)?;
                    let new = created
                        .iter()
                        .filter(|spec| spec.project == *project)
                        .count();
                    let shard_count = *created_shard_counts
                        .get(project)
                        .ok_or(PutError::NoLogstore)?;
                    if existing + new >= LOGSTORES_PER_PROJECT_MAX {
                        return Err(PutError::NoLogstore);
                    }
                    created.push(LogstoreSpec {
                        project: project.clone(),
                        logstore: logstore.clone(),
                        shard_count,
                    });
                    shard_count
                }
            };
        if placed.shard >= shard_count {
            return Err(PutError::NotStored(NO_SHARD));
        }
    }
    let is_known = |project: &ProjectName| store.logstore_count(project).is_some();
    if set.marks.iter().all(|mark| is_known(&mark.project)) {
        Ok(())
    } else {
        Err(PutError::NoProject)
    }
}
