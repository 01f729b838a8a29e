//! ListShards, GetCursor and GetCursorTime.

use serde::Serialize;

use super::Caller;
use crate::api::answer::{self, Answer};
use crate::api::cursor::{self, From};
use crate::api::error::Error;
use crate::api::ranges;
use crate::api::service::Service;
use crate::backend::embedded::reader::ShardPlace;
use crate::backend::embedded::service::Shards;
use crate::tenant::LogstoreName;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShardBody {
    #[serde(rename = "shardID")]
    shard_id: u32,
    status: &'static str,
    inclusive_begin_key: String,
    exclusive_end_key: String,
    /// Unix seconds.
    create_time: i64,
}

pub async fn list(
    service: &Service,
    caller: &Caller<'_>,
    logstore: LogstoreName,
) -> Result<Answer, Error> {
    let shards = caller.shards(service, &logstore)?;
    let create_time = super::logstores::created_s(service, caller, &logstore).await?;
    let each = (0..shards.count).map(|shard| describe(shard, &shards, create_time));
    Ok(answer::json(&each.collect::<Vec<_>>()))
}

/// The writable shards have all keys among them; the others are shown as when all were writable.
fn describe(shard_id: u32, shards: &Shards, create_time: i64) -> ShardBody {
    let writable = shards.writable.binary_search(&shard_id);
    let (status, index, count) = match writable {
        Ok(index) => ("readwrite", index as u32, shards.writable.len() as u32),
        Err(_) => ("readonly", shard_id, shards.count),
    };
    let (inclusive_begin_key, exclusive_end_key) = ranges::shown(index, count);
    ShardBody {
        shard_id,
        status,
        inclusive_begin_key,
        exclusive_end_key,
        create_time,
    }
}

pub async fn cursor(service: &Service, place: ShardPlace, from: From) -> Result<Answer, Error> {
    #[derive(Serialize)]
    struct Body {
        cursor: String,
    }
    let read = service.readers.read(move |reader| {
        Ok(match from {
            From::Begin => reader.begin(&place)?,
            From::End => reader.end(&place)?,
            From::Time(second) => reader.at_receive_time(&place, second * 1000)?,
        })
    });
    let cursor = cursor::write(read.await?);
    Ok(answer::json(&Body { cursor }))
}

/// At the end, where nothing was received yet, it is now.
pub async fn cursor_time(
    service: &Service,
    place: ShardPlace,
    cursor: u64,
    now_s: i64,
) -> Result<Answer, Error> {
    #[derive(Serialize)]
    struct Body {
        cursor_time: i64,
    }
    let read = service.readers.read(move |reader| {
        if let Some(receive_ms) = reader.receive_time(&place, cursor)? {
            return Ok(receive_ms / 1000);
        }
        if cursor == reader.end(&place)? {
            return Ok(now_s);
        }
        Err(Error::InvalidCursor)
    });
    let cursor_time = read.await?;
    Ok(answer::json(&Body { cursor_time }))
}
