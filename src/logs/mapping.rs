//! The rules of `[mapping]` in the configuration: what the user may choose about records becoming logs.

use serde::Deserialize;

use super::Tag;

/// What becomes of the record key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyRule {
    /// Keep the record key as field `__kafka_key__`, unless empty or `content`.
    Field,
    /// The record key names the field that holds the value. A key that names none (empty, not UTF-8, or beside a
    /// value whose own fields are the log's) is kept as under [`KeyRule::Field`].
    FieldName,
    Drop,
}

/// What becomes of the record headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderRule {
    Drop,
    /// Keep each header as a field, its name behind this prefix; of more than 1,024, the first.
    Prefix(Box<str>),
}

/// What becomes of a JSON array of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArrayRule {
    /// One log per object.
    Expand,
    /// It stays whole in `content`.
    Keep,
}

/// What becomes of a value that is larger than the largest log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OversizeRule {
    /// Several logs, each with the field `__part__`.
    Split,
    /// One log with as much of it as fits.
    Truncate,
    /// The batch is refused.
    Refuse,
}

/// Where the client's address goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceRule {
    /// One LogGroup per client address, in `__source__`.
    Group,
    /// One LogGroup for all; each log has `__client_ip__`.
    Field,
}

/// What stands in `__topic__` of a LogGroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TopicRule {
    Drop,
    /// The Kafka topic as the client wrote it.
    Kafka,
}

/// How records become logs, from the configuration's `[mapping]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    pub key: KeyRule,
    pub headers: HeaderRule,
    pub arrays: ArrayRule,
    pub oversize: OversizeRule,
    /// Trim one trailing newline (`\n` or `\r\n`) of a value that is text.
    pub trim_newline: bool,
    /// `None`: as the backend prefers.
    pub source: Option<SourceRule>,
    pub topic: TopicRule,
    /// Written into every LogGroup.
    pub tags: Vec<Tag>,
}

impl Default for Mapping {
    fn default() -> Self {
        Self {
            key: KeyRule::Field,
            headers: HeaderRule::Drop,
            arrays: ArrayRule::Expand,
            oversize: OversizeRule::Split,
            trim_newline: false,
            source: None,
            topic: TopicRule::Drop,
            tags: Vec::new(),
        }
    }
}
