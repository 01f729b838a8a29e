//! A backend that takes everything and keeps nothing: for measuring what stands in front of a store.

use std::sync::Arc;

use super::{
    Answer, Backend, BoxFuture, DescribeError, LoginOutcome, Logstore, Mark, Permission, Profile,
    SetError, WriteSet, embedded,
};
use crate::tenant::{LogstoreName, Tenant};

/// Every project and Logstore exists, every key is good, every write succeeds at once.
#[derive(Clone, Debug)]
pub struct Discard {
    shards: Arc<[u32]>,
}

impl Discard {
    /// Each Logstore has this many shards, at least one.
    pub fn new(shard_count: u32) -> Self {
        Self {
            shards: (0..shard_count.max(1)).collect(),
        }
    }
}

impl Backend for Discard {
    /// As the embedded store's, so that what stands in front does the same work.
    fn profile(&self) -> Profile {
        Profile {
            durable_marks: false,
            ..embedded::PROFILE
        }
    }

    fn log_in(&self, _tenant: &Arc<Tenant>) -> Answer<LoginOutcome> {
        Answer::Now(LoginOutcome::Proven)
    }

    fn describe(
        &self,
        _tenant: &Arc<Tenant>,
        _logstore: &LogstoreName,
    ) -> Answer<Result<Logstore, DescribeError>> {
        Answer::Now(Ok(Logstore {
            shards: self.shards.clone(),
            may_write: Permission::Yes,
            exists: true,
        }))
    }

    fn list(
        &self,
        _tenant: &Arc<Tenant>,
        _max: usize,
    ) -> Answer<Result<Vec<(LogstoreName, Logstore)>, DescribeError>> {
        Answer::Now(Ok(Vec::new()))
    }

    fn put(&self, _set: WriteSet) -> BoxFuture<'static, Result<(), SetError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn marks(&self) -> Vec<(Mark, i64)> {
        Vec::new()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}
