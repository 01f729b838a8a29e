//! PutLogs: one LogGroup, checked, to one shard; answered when the store has it for good.

use std::net::Ipv4Addr;
use std::sync::{Arc, PoisonError};

use hyper::body::Incoming;

use super::Caller;
use crate::api::answer::{self, Answer, PROTOBUF};
use crate::api::body;
use crate::api::call::Target;
use crate::api::compression::Codec;
use crate::api::error::Error;
use crate::api::group::{self, Window};
use crate::api::head::Head;
use crate::api::limits::{BODY_BYTES_MAX, INLINE_BYTES_MAX, RAW_BYTES_MAX};
use crate::api::ranges;
use crate::api::service::Service;
use crate::backend::embedded::service::Shards;
use crate::backend::{Backend, Placed, WriteSet};
use crate::logs::LogGroup;
use crate::refusals::shown;
use crate::tenant::{LogstoreName, Tenant};

pub async fn put_logs(
    service: &Service,
    caller: &Caller<'_>,
    logstore: &LogstoreName,
    target: Target,
    head: &Head<'_>,
    body: &mut Incoming,
) -> Result<Answer, Error> {
    let shards = caller.shards(service, logstore)?;
    check_type(head, PROTOBUF)?;
    let codec = Codec::of_header(head.header("x-log-compresstype"))?;
    let len = body::length(body, BODY_BYTES_MAX)?;
    let raw_bytes = raw_bytes(head)?;
    let copies = if codec == Some(Codec::Lz4) { 1 } else { 2 };
    let share = service
        .memory
        .take(&caller.project, len + copies * raw_bytes)
        .await?;
    let sent = body::read(head, body, len, service.timeouts.body).await?;
    let window = Window::new(caller.now_s, service.check_times);
    // The share goes where the bytes go, which outlive a client that leaves.
    let open = move || Ok((open(sent, codec, raw_bytes, window)?, share));
    let (group, share) = if raw_bytes <= INLINE_BYTES_MAX {
        open()?
    } else {
        service.readers.work(open).await?
    };
    let shard = shard(service, caller, logstore, target, &shards);
    let stored = service
        .store
        .put(set(service, caller, logstore, shard, group));
    let stored = tokio::spawn(async move {
        let outcome = stored.await;
        drop(share);
        outcome
    });
    match stored.await {
        Ok(Ok(_)) => Ok(answer::empty()),
        Ok(Err(error)) => Err(Error::of_put(error, &caller.project, logstore)),
        // The process is ending, or a mistake of ours.
        Err(_) => Err(Error::Uncertain),
    }
}

pub fn check_type(head: &Head<'_>, wanted: &'static str) -> Result<(), Error> {
    let found = head
        .header("content-type")
        .ok_or(Error::MissingContentType(wanted))?;
    let essence = found.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(wanted) {
        Ok(())
    } else {
        let found = shown(found);
        Err(Error::InvalidContentType { found, wanted })
    }
}

fn raw_bytes(head: &Head<'_>) -> Result<usize, Error> {
    let text = head
        .header("x-log-bodyrawsize")
        .ok_or(Error::MissingBodyRawSize)?;
    let raw_bytes = text.parse::<u64>().map_err(|_| Error::InvalidBodyRawSize)?;
    match usize::try_from(raw_bytes) {
        Ok(raw_bytes) if raw_bytes <= RAW_BYTES_MAX => Ok(raw_bytes),
        _ => Err(Error::GroupTooLarge),
    }
}

/// Checks the whole body and makes a group of it. An LZ4 block is kept as it came.
fn open(
    sent: Vec<u8>,
    codec: Option<Codec>,
    raw_bytes: usize,
    window: Window,
) -> Result<LogGroup, Error> {
    let (raw, block) = match codec {
        None if sent.len() != raw_bytes => return Err(Error::InvalidBodyRawSize),
        None => (sent, None),
        Some(codec) => {
            let raw = codec.decompress(&sent, raw_bytes)?;
            (raw, (codec == Codec::Lz4).then_some(sent))
        }
    };
    let checked = group::check(&raw, window)?;
    Ok(LogGroup {
        body: block
            .unwrap_or_else(|| lz4_flex::block::compress(&raw))
            .into(),
        digest: None,
        raw_bytes: u32::try_from(raw.len()).map_err(|_| Error::GroupTooLarge)?,
        log_count: checked.log_count,
        time_min: checked.time_min,
        time_max: checked.time_max,
    })
}

fn shard(
    service: &Service,
    caller: &Caller<'_>,
    logstore: &LogstoreName,
    target: Target,
    shards: &Shards,
) -> u32 {
    let writable = &shards.writable;
    match target {
        Target::InTurn => {
            let rotation = service.rotation.lock();
            let mut rotation = rotation.unwrap_or_else(PoisonError::into_inner);
            rotation.next(&caller.project, logstore, writable)
        }
        Target::Key(key) => {
            let count = u32::try_from(writable.len()).unwrap_or(u32::MAX);
            writable[ranges::index_of(key, count) as usize]
        }
    }
}

fn set(
    service: &Service,
    caller: &Caller<'_>,
    logstore: &LogstoreName,
    shard: u32,
    group: LogGroup,
) -> WriteSet {
    let tenant = Tenant {
        project: caller.project.clone(),
        credentials: Arc::clone(&caller.key.credentials),
        region: Arc::clone(&service.region),
        endpoint: Arc::clone(&service.region),
        // Limits by address are the API's own.
        peer: Ipv4Addr::UNSPECIFIED.into(),
    };
    let placed = Placed {
        tenant: Arc::new(tenant),
        logstore: logstore.clone(),
        shard,
        group,
        shares: Vec::new(),
    };
    WriteSet {
        groups: vec![placed],
        ..WriteSet::default()
    }
}
