//! The calls, each carried out for a caller who is known and may make it.

use hyper::body::Incoming;

use super::answer::Answer;
use super::body;
use super::call::Call;
use super::error::Error;
use super::head::Head;
use super::service::Service;
use crate::backend::embedded::access::Key;
use crate::backend::embedded::reader::ShardPlace;
use crate::backend::embedded::service::Shards;
use crate::tenant::{LogstoreName, ProjectName};

mod logstores;
mod pull;
mod put;
mod shards;

/// Who makes the call, and when.
pub struct Caller<'a> {
    pub project: ProjectName,
    pub key: &'a Key,
    /// Unix seconds.
    pub now_s: i64,
}

pub async fn carry_out(
    service: &Service,
    caller: &Caller<'_>,
    call: Call,
    head: &Head<'_>,
    body: &mut Incoming,
) -> Result<Answer, Error> {
    match call {
        Call::PutLogs(logstore, target) => {
            return put::put_logs(service, caller, &logstore, target, head, body).await;
        }
        Call::CreateLogStore => return logstores::create(service, caller, head, body).await,
        _ => {}
    }
    // These have no body; what is sent all the same must be what was signed.
    let len = body::length(body, 0)?;
    body::read(head, body, len, service.timeouts.body).await?;
    match call {
        Call::GetProject => Ok(logstores::project(service, caller)),
        Call::ListLogStores(listing) => Ok(logstores::list(service, caller, &listing)),
        Call::GetLogStore(logstore) => logstores::describe(service, caller, logstore).await,
        Call::ListShards(logstore) => shards::list(service, caller, logstore).await,
        Call::GetCursor(shard, from) => {
            shards::cursor(service, caller.place(service, shard)?, from).await
        }
        Call::GetCursorTime(shard, cursor) => {
            let place = caller.place(service, shard)?;
            shards::cursor_time(service, place, cursor, caller.now_s).await
        }
        Call::PullLogs(shard, wanted) => {
            pull::pull_logs(service, caller.place(service, shard)?, wanted, head).await
        }
        Call::PutLogs(..) | Call::CreateLogStore => Err(Error::MissingContentLength),
    }
}

impl Caller<'_> {
    /// The shards of a Logstore that exists.
    fn shards(&self, service: &Service, logstore: &LogstoreName) -> Result<Shards, Error> {
        let found = service.store.shards(&self.project, logstore);
        found.ok_or_else(|| Error::NoLogstore(logstore.to_string()))
    }

    /// A shard that exists.
    fn place(&self, service: &Service, shard: super::call::Shard) -> Result<ShardPlace, Error> {
        let super::call::Shard { logstore, number } = shard;
        if number >= self.shards(service, &logstore)?.count {
            let shard = number.to_string();
            return Err(Error::NoShard { logstore, shard });
        }
        Ok(ShardPlace {
            project: self.project.clone(),
            logstore,
            shard: number,
        })
    }
}
