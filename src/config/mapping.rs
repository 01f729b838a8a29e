//! `[mapping]` and `[spread]`: how records become logs, and how logs go over the shards.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::problem::Problems;
use crate::logs::{
    ArrayRule, HeaderRule, KeyRule, Mapping, OversizeRule, SourceRule, Tag, TopicRule,
};

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct MappingSection {
    pub key: KeyRule,
    pub headers: Headers,
    /// The prefix of `headers = "keep"`.
    pub header_prefix: String,
    pub arrays: ArrayRule,
    pub oversize: OversizeRule,
    pub trim_newline: bool,
    pub source: Source,
    pub topic: TopicRule,
    pub tags: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Headers {
    Drop,
    Keep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Source {
    /// As the backend prefers.
    Auto,
    Group,
    Field,
}

impl Default for MappingSection {
    fn default() -> Self {
        Self {
            key: KeyRule::Field,
            headers: Headers::Drop,
            header_prefix: "header_".into(),
            arrays: ArrayRule::Expand,
            oversize: OversizeRule::Split,
            trim_newline: false,
            source: Source::Auto,
            topic: TopicRule::Drop,
            tags: BTreeMap::new(),
        }
    }
}

impl MappingSection {
    pub fn convert(self) -> Mapping {
        Mapping {
            key: self.key,
            headers: match self.headers {
                Headers::Drop => HeaderRule::Drop,
                Headers::Keep => HeaderRule::Prefix(self.header_prefix.into()),
            },
            arrays: self.arrays,
            oversize: self.oversize,
            trim_newline: self.trim_newline,
            source: match self.source {
                Source::Auto => None,
                Source::Group => Some(SourceRule::Group),
                Source::Field => Some(SourceRule::Field),
            },
            topic: self.topic,
            tags: self.tags.into_iter().map(tag).collect(),
        }
    }
}

/// The Log Service's bound on topic and source, taken for names and values of tags too.
const TAG_BYTES_MAX: usize = 128;

impl MappingSection {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        for (name, value) in &self.tags {
            if name.is_empty() || name.len().max(value.len()) > TAG_BYTES_MAX {
                problems.error(
                    "mapping.tags",
                    format_args!("the tag `{name}` is empty or too long"),
                    format_args!("names and values have at most {TAG_BYTES_MAX} bytes"),
                );
            }
        }
    }
}

fn tag((name, value): (String, String)) -> Tag {
    Tag {
        name: name.into(),
        value: value.into(),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpreadMode {
    /// LogGroups go over the writable shards in turn, whatever partition the client chose.
    RoundRobin,
    /// Partition n goes to the n-th shard, for those who want order.
    ByPartition,
}

/// `[spread]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Spread {
    pub mode: SpreadMode,
    /// Partitions that Metadata shows; `None`: one per writable shard, at most 8.
    pub partitions: Option<u32>,
}

impl Default for Spread {
    fn default() -> Self {
        Self {
            mode: SpreadMode::RoundRobin,
            partitions: None,
        }
    }
}

/// Partition indexes that the gateway takes end here (0 to 1023).
const PARTITIONS_MAX: u32 = 1024;

impl Spread {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        let Some(count) = self.partitions else { return };
        if !(1..=PARTITIONS_MAX).contains(&count) {
            problems.error(
                "spread.partitions",
                format_args!("{count} is out of range"),
                format_args!("choose 1 to {PARTITIONS_MAX}"),
            );
        }
        if self.mode == SpreadMode::ByPartition {
            problems.error(
                "spread.partitions",
                "has no meaning with mode = \"by-partition\", where each shard is a partition",
                "remove one of the two",
            );
        }
    }
}
