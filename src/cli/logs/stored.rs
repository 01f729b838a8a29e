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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::backend::embedded::access::{LogstoreConfig, ProjectConfig};
    use crate::backend::embedded::schema::SyncMode;
    use crate::backend::embedded::{Config, Embedded, FUTURE_SECONDS_MAX};
    use crate::backend::{Backend, Placed, WriteSet};
    use crate::logs::LogGroup;
    use crate::tenant::{Tenant, parse_plain_token};

    #[tokio::test]
    async fn what_was_received_too_early_for_a_time_is_not_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let login = parse_plain_token(b"\0shop\0id#secret").unwrap();
        let logstore = LogstoreName::parse("access").unwrap();
        let backend = Embedded::open(Config {
            data_dir: dir.path().to_owned(),
            sync: SyncMode::Full,
            retention_age: Duration::from_secs(3600),
            retention_bytes_max: 1 << 20,
            free_bytes_min: 0,
            projects: vec![ProjectConfig {
                name: login.project.clone(),
                keys: Vec::new(),
                logstores: vec![LogstoreConfig {
                    name: logstore.clone(),
                    shard_count: 1,
                }],
                create_on_first_use: false,
                created_shard_count: 1,
            }],
        })
        .unwrap();
        let placed = Placed {
            tenant: Arc::new(Tenant {
                project: login.project.clone(),
                credentials: login.credentials,
                region: "dev".into(),
                endpoint: "localhost".into(),
                peer: std::net::Ipv4Addr::LOCALHOST.into(),
            }),
            logstore: logstore.clone(),
            shard: 0,
            group: LogGroup {
                body: vec![0].into(),
                digest: None,
                raw_bytes: 0,
                log_count: 1,
                time_min: 7,
                time_max: 7,
            },
            shares: Vec::new(),
        };
        let set = WriteSet {
            groups: vec![placed],
            ..WriteSet::default()
        };
        assert_eq!(backend.put(set).await, Ok(()));
        let now = u32::try_from(time::OffsetDateTime::now_utc().unix_timestamp()).unwrap();
        let later = now + 2 * FUTURE_SECONDS_MAX as u32;
        for (since, range) in [(None, 0..1), (Some(now), 0..1), (Some(later), 1..1)] {
            let (project, logstore) = (login.project.clone(), logstore.clone());
            let mut logs = StoredLogs::open(dir.path(), project, logstore, since).unwrap();
            assert_eq!(logs.range(0).unwrap(), range, "since {since:?}");
        }
    }
}
