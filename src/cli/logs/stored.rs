//! The embedded store as a source of logs.

use std::ops::Range;
use std::path::Path;

use super::{Group, Log, ReadError, Source};
use crate::backend::embedded::reader::{PAGE_BYTES_MAX, Reader, ShardPlace};
use crate::logs::{LogGroupReader, decompress};
use crate::tenant::{LogstoreName, ProjectName};

/// One Logstore of a store that may be in use by a running server.
pub struct StoredLogs {
    reader: Reader,
    project: ProjectName,
    logstore: LogstoreName,
    /// Nothing older is asked for, by the logs' own time in seconds.
    since: Option<u32>,
}

impl StoredLogs {
    pub fn open(
        data_dir: &Path,
        project: ProjectName,
        logstore: LogstoreName,
        since: Option<u32>,
    ) -> Result<Self, ReadError> {
        let reader = Reader::open(data_dir).map_err(unreadable)?;
        Ok(Self {
            reader,
            project,
            logstore,
            since,
        })
    }

    fn place(&self, shard: u32) -> ShardPlace {
        ShardPlace {
            project: self.project.clone(),
            logstore: self.logstore.clone(),
            shard,
        }
    }
}

impl Source for StoredLogs {
    fn shards(&mut self) -> Result<Vec<u32>, ReadError> {
        let all = self.reader.logstores().map_err(unreadable)?;
        let found = all
            .into_iter()
            .find(|one| one.project == self.project && one.logstore == self.logstore);
        let Some(found) = found else {
            let text = format!(
                "the Logstore {} of {} does not exist; nothing was stored there",
                self.logstore, self.project
            );
            return Err(ReadError(text));
        };
        Ok((0..found.shard_count).collect())
    }

    fn range(&mut self, shard: u32) -> Result<Range<u64>, ReadError> {
        let place = self.place(shard);
        let begin = match self.since {
            Some(since) => self.reader.at_log_time(&place, since),
            None => self.reader.begin(&place),
        };
        let begin = begin.map_err(unreadable)?;
        let end = self.reader.end(&place).map_err(unreadable)?;
        Ok(begin..end)
    }

    fn read(&mut self, shard: u32, from: u64) -> Result<Vec<Group>, ReadError> {
        let place = self.place(shard);
        let from = from.max(self.reader.begin(&place).map_err(unreadable)?);
        let page = self
            .reader
            .read(&place, from, PAGE_BYTES_MAX, None)
            .map_err(unreadable)?;
        let mut groups = Vec::new();
        for group in page.groups {
            match group {
                Ok(group) => groups.push(Group {
                    sequence: group.sequence,
                    receive_ms: group.receive_ms,
                    time_min: group.time_min,
                    time_max: group.time_max,
                    raw_bytes: group.raw_bytes,
                    lz4: group.lz4,
                }),
                // What can be read is shown; what cannot is told, each time it is met.
                Err(damaged) => eprintln!("sluice: {damaged}"),
            }
        }
        Ok(groups)
    }

    fn logs(&mut self, group: &Group, each: &mut dyn FnMut(Log<'_>)) -> Result<(), ReadError> {
        let raw = decompress(&group.lz4, group.raw_bytes as usize).map_err(unreadable)?;
        let decoded = LogGroupReader::new(&raw).map_err(unreadable)?;
        let tags: Vec<(String, &str)> = decoded
            .tags()
            .map(|(name, value)| (format!("__tag__:{name}"), value))
            .collect();
        let topic = decoded.topic();
        let mut fields = Vec::new();
        for log in decoded.logs() {
            fields.clear();
            fields.extend(log.contents());
            fields.extend((!topic.is_empty()).then_some(("__topic__", topic)));
            fields.extend(tags.iter().map(|(name, value)| (name.as_str(), *value)));
            each(Log {
                time: log.time(),
                time_ns: log.time_ns().unwrap_or(0),
                source: decoded.source(),
                fields: &fields,
            });
        }
        Ok(())
    }
}

fn unreadable(error: impl std::fmt::Display) -> ReadError {
    ReadError(error.to_string())
}
