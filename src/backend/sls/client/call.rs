//! The three calls: method, path, query and body, before anything is signed.

use bytes::Bytes;

use super::Target;
use crate::logs::{Compression, Digest, DigestKind, LogGroup};
use crate::tenant::LogstoreName;

/// A ListShards answer has some 200 bytes a shard, of 1,024 at most.
const SHARDS_BYTES_MAX: usize = 1 << 20;
/// Of answers of which only the head counts.
const HEAD_ONLY_BYTES_MAX: usize = 64 << 10;

/// A request that can be sent any number of times.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub method: Method,
    /// Nothing in it needs an encoding: names are checked.
    pub path: String,
    pub query: Option<(&'static str, String)>,
    pub payload: Option<Payload>,
    /// Of a good answer's body, what is read at most.
    pub answer_bytes_max: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Post,
}

/// A group as it is sent. Cloning it copies no logs.
#[derive(Clone, Debug)]
pub struct Payload {
    pub(super) body: Bytes,
    /// Bytes before compression.
    pub(super) raw_bytes: u32,
    pub(super) compression: Compression,
    pub(super) digest: Digest,
}

impl Payload {
    /// A group that was closed with this codec. A digest that it does not have is computed.
    pub(super) fn new(group: &LogGroup, compression: Compression, kind: DigestKind) -> Self {
        let digest = match (kind, group.digest) {
            (DigestKind::Md5, Some(digest @ Digest::Md5(_)))
            | (DigestKind::Sha256, Some(digest @ Digest::Sha256(_))) => digest,
            _ => kind.of(&group.body),
        };
        Self {
            body: group.body.clone(),
            raw_bytes: group.raw_bytes,
            compression,
            digest,
        }
    }
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

impl Call {
    pub fn get_project() -> Self {
        Self::get("/".into(), HEAD_ONLY_BYTES_MAX)
    }

    pub fn list_shards(logstore: &LogstoreName) -> Self {
        Self::get(format!("/logstores/{logstore}/shards"), SHARDS_BYTES_MAX)
    }

    fn get(path: String, answer_bytes_max: usize) -> Self {
        Self {
            method: Method::Get,
            path,
            query: None,
            payload: None,
            answer_bytes_max,
        }
    }

    pub fn put_logs(logstore: &LogstoreName, target: Target, payload: Payload) -> Self {
        let (form, query) = match target {
            Target::AnyShard => ("lb", None),
            Target::Key(key) => ("route", Some(("key", format!("{key:032x}")))),
        };
        Self {
            method: Method::Post,
            path: format!("/logstores/{logstore}/shards/{form}"),
            query,
            payload: Some(payload),
            answer_bytes_max: HEAD_ONLY_BYTES_MAX,
        }
    }
}
