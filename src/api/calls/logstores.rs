//! GetProject, ListLogStores, GetLogStore and CreateLogStore.
//!
//! The store keeps one rule of retention for all and no index: what a client asks for of these is checked and otherwise
//! without effect, and what it is told are the Log Service's defaults.

use hyper::body::Incoming;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::macros::format_description;

use super::Caller;
use super::put::check_type;
use crate::api::answer::{self, Answer, JSON};
use crate::api::body;
use crate::api::call::Listing;
use crate::api::error::Error;
use crate::api::head::Head;
use crate::api::limits::{CREATED_SHARDS_MAX, JSON_BYTES_MAX, TTL_DAYS_MAX};
use crate::api::service::Service;
use crate::backend::embedded::store::LogstoreSpec;
use crate::tenant::LogstoreName;

pub fn project(service: &Service, caller: &Caller<'_>) -> Answer {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        project_name: &'a str,
        status: &'static str,
        description: &'static str,
        region: &'a str,
        owner: &'static str,
        create_time: String,
        last_modify_time: String,
    }
    // Projects come from the configuration, which was read then.
    let time = day_and_time(service.started_s);
    answer::json(&Body {
        project_name: caller.project.as_str(),
        status: "Normal",
        description: "",
        region: &service.region,
        owner: "",
        create_time: time.clone(),
        last_modify_time: time,
    })
}

/// `2025-01-02 03:04:05`.
fn day_and_time(unix_s: i64) -> String {
    let form = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let time = OffsetDateTime::from_unix_timestamp(unix_s).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(form).unwrap_or_default()
}

pub fn list(service: &Service, caller: &Caller<'_>, listing: &Listing) -> Answer {
    #[derive(Serialize)]
    struct Body<'a> {
        count: usize,
        total: usize,
        logstores: &'a [String],
    }
    let all = service.store.logstores(&caller.project, |name| {
        caller.key.covers(name) && name.as_str().contains(&listing.name_part)
    });
    let page = all.iter().skip(listing.offset).take(listing.size);
    let logstores: Vec<String> = page.map(LogstoreName::to_string).collect();
    answer::json(&Body {
        count: logstores.len(),
        total: all.len(),
        logstores: &logstores,
    })
}

pub async fn describe(
    service: &Service,
    caller: &Caller<'_>,
    logstore: LogstoreName,
) -> Result<Answer, Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        logstore_name: &'a str,
        /// Days.
        ttl: u64,
        shard_count: usize,
        #[serde(rename = "enable_tracking")]
        enable_tracking: bool,
        append_meta: bool,
        auto_split: bool,
        max_split_shard: u32,
        telemetry_type: &'static str,
        mode: &'static str,
        /// Unix seconds.
        create_time: i64,
        last_modify_time: i64,
    }
    let shards = caller.shards(service, &logstore)?;
    let created_s = created_s(service, caller, &logstore).await?;
    Ok(answer::json(&Body {
        logstore_name: logstore.as_str(),
        ttl: service.retention_days,
        shard_count: shards.writable.len(),
        enable_tracking: false,
        append_meta: false,
        auto_split: false,
        max_split_shard: 0,
        telemetry_type: "None",
        mode: "standard",
        create_time: created_s,
        last_modify_time: created_s,
    }))
}

/// When a Logstore was made, in Unix seconds.
pub async fn created_s(
    service: &Service,
    caller: &Caller<'_>,
    logstore: &LogstoreName,
) -> Result<i64, Error> {
    let (project, name) = (caller.project.clone(), logstore.clone());
    let read = service
        .readers
        .read(move |reader| Ok(reader.created(&project, &name)?));
    let created_ms = read.await?;
    let created_ms = created_ms.ok_or_else(|| Error::NoLogstore(logstore.to_string()))?;
    Ok(created_ms / 1000)
}

/// What CreateLogStore reads of its body.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    logstore_name: String,
    /// Days.
    ttl: u32,
    shard_count: u32,
}

pub async fn create(
    service: &Service,
    caller: &Caller<'_>,
    head: &Head<'_>,
    body: &mut Incoming,
) -> Result<Answer, Error> {
    check_type(head, JSON)?;
    let len = body::length(body, JSON_BYTES_MAX)?;
    let share = service.memory.take(&caller.project, len).await?;
    let sent = body::read(head, body, len, service.timeouts.body).await?;
    let spec = spec(caller, &sent)?;
    drop((sent, share));
    let logstore = spec.logstore.clone();
    if !caller.key.covers(&logstore) {
        return Err(Error::OtherLogstore(logstore));
    }
    let made = service.store.create(spec).await;
    made.map_err(|error| Error::of_create(error, &caller.project, &logstore))?;
    tracing::info!(project = %caller.project, %logstore, "a Logstore was made by a call");
    Ok(answer::empty())
}

fn spec(caller: &Caller<'_>, json: &[u8]) -> Result<LogstoreSpec, Error> {
    let wanted: Wanted = serde_json::from_slice(json).map_err(|_| {
        Error::LogstoreInfo("the body is not JSON with logstoreName, ttl and shardCount")
    })?;
    let logstore = LogstoreName::parse(&wanted.logstore_name)
        .map_err(|_| Error::LogstoreInfo("logstoreName takes 3 to 63 of a-z, 0-9, - and _"))?;
    if !(1..=TTL_DAYS_MAX).contains(&wanted.ttl) {
        return Err(Error::LogstoreInfo("ttl is 1 to 3650 days"));
    }
    if !(1..=CREATED_SHARDS_MAX).contains(&wanted.shard_count) {
        return Err(Error::LogstoreInfo("shardCount is 1 to 100"));
    }
    Ok(LogstoreSpec {
        project: caller.project.clone(),
        logstore,
        shard_count: wanted.shard_count,
    })
}
