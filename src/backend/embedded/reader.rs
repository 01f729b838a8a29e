//! Reads groups back, by cursor, receive time and log time, while another thread or process writes.
//!
//! Each call is one short read transaction, so that a reader never holds up the checkpoints of the writer for long.
//! A cursor is the sequence of the next group wanted; sequences of a shard have no gaps. Groups come as they were
//! stored; decompressing and decoding is the caller's.

use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, Transaction, params};

use super::FUTURE_SECONDS_MAX;
use super::folder::DATABASE_NAME;
use super::schema::{self, GroupHead, group_key, sequence};
use super::store::OpenError;
use crate::tenant::{LogstoreName, NameError, ProjectName};

/// A page never holds more bytes of groups, except a single larger group.
pub const PAGE_BYTES_MAX: usize = 8 << 20;

/// Groups that one page looks at, whether they are in the time range or not.
const PAGE_GROUPS_MAX: u64 = 16_384;

/// A reading connection. It changes nothing in the store.
#[derive(Debug)]
pub struct Reader {
    file: PathBuf,
    connection: Connection,
}

/// One shard of a Logstore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardPlace {
    pub project: ProjectName,
    pub logstore: LogstoreName,
    pub shard: u32,
}

/// A Logstore that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLogstore {
    pub project: ProjectName,
    pub logstore: LogstoreName,
    /// Shards 0 to this, less one; some may no longer be written to.
    pub shard_count: u32,
    /// Bytes that retention counts.
    pub bytes: u64,
    /// Milliseconds since the epoch.
    pub created_ms: i64,
}

/// A group as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredGroup {
    pub sequence: u64,
    /// Milliseconds since the epoch.
    pub receive_ms: i64,
    /// Range of the logs' times, Unix seconds.
    pub time_min: u32,
    pub time_max: u32,
    pub log_count: u32,
    pub raw_bytes: u32,
    /// The LogGroup as one raw LZ4 block.
    pub lz4: Vec<u8>,
}

/// Groups that are not what was stored. Those around them can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("group {sequence} of shard {} of {}/{} {damage}", place.shard, place.project, place.logstore)]
pub struct DamagedGroup {
    pub place: ShardPlace,
    pub sequence: u64,
    pub damage: Damage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    #[error("is damaged: its CRC-32C is {found:#010x}, stored was {stored:#010x}")]
    Checksum { found: u32, stored: u32 },
    #[error("is damaged: a column is not what can have been stored")]
    Columns,
    /// Seen only without a time range.
    #[error("is missing, {count} groups from it on")]
    Missing { count: u64 },
}

/// Some groups in order, and the cursor behind them: the same as asked for when there is nothing new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub groups: Vec<Result<StoredGroup, DamagedGroup>>,
    pub next: u64,
}

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("the Logstore {project}/{logstore} does not exist")]
    NoLogstore {
        project: ProjectName,
        logstore: LogstoreName,
    },
    #[error("the Logstore {project}/{logstore} has no shard {shard}")]
    NoShard {
        project: ProjectName,
        logstore: LogstoreName,
        shard: u32,
    },
    #[error("{} is damaged ({cause}): keep a copy and restore it from a backup", file.display())]
    Damaged {
        file: PathBuf,
        cause: rusqlite::Error,
    },
    #[error("{} holds a name that breaks the rules: {cause}", file.display())]
    Name { file: PathBuf, cause: NameError },
    #[error("cannot read {}: {cause}", file.display())]
    Failed {
        file: PathBuf,
        cause: rusqlite::Error,
    },
}

/// Project, Logstore, shards, bytes, time of creation.
type LogstoreRow = (String, String, u32, i64, i64);

/// What a shard holds.
#[derive(Clone, Copy, Debug)]
struct Extent {
    row: i64,
    begin: u64,
    end: u64,
}

impl Reader {
    /// Opens the store of a data directory, whether a server is running on it or not.
    pub fn open(data_dir: &Path) -> Result<Self, OpenError> {
        let file = data_dir.join(DATABASE_NAME);
        match file.metadata() {
            Ok(found) if found.len() > 0 => {}
            Ok(_) => {
                return Err(OpenError::Missing {
                    dir: data_dir.to_owned(),
                });
            }
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                return Err(OpenError::Missing {
                    dir: data_dir.to_owned(),
                });
            }
            Err(cause) => {
                return Err(OpenError::Folder {
                    dir: data_dir.to_owned(),
                    cause,
                });
            }
        }
        let connection = schema::open_reading(&file)?;
        Ok(Self { file, connection })
    }

    /// All Logstores, sorted by project and name.
    pub fn logstores(&self) -> Result<Vec<StoredLogstore>, ReadError> {
        let rows = self.logstore_rows().map_err(|e| self.failed(e))?;
        let name = |cause| ReadError::Name {
            file: self.file.clone(),
            cause,
        };
        let each = rows
            .into_iter()
            .map(|(project, logstore, shard_count, bytes, created_ms)| {
                Ok(StoredLogstore {
                    project: ProjectName::parse(&project).map_err(name)?,
                    logstore: LogstoreName::parse(&logstore).map_err(name)?,
                    shard_count,
                    bytes: u64::try_from(bytes).unwrap_or(0),
                    created_ms,
                })
            });
        each.collect()
    }

    /// The cursor of the oldest group.
    pub fn begin(&self, place: &ShardPlace) -> Result<u64, ReadError> {
        Ok(self.extent(place)?.begin)
    }

    /// The cursor of the next group to be stored.
    pub fn end(&self, place: &ShardPlace) -> Result<u64, ReadError> {
        Ok(self.extent(place)?.end)
    }

    /// The cursor of the first group received at or after this time, in milliseconds since the epoch.
    pub fn at_receive_time(&self, place: &ShardPlace, receive_ms: i64) -> Result<u64, ReadError> {
        let _snapshot = self.snapshot()?;
        let extent = self.extent(place)?;
        self.bisect(extent, receive_ms).map_err(|e| self.failed(e))
    }

    /// A cursor behind which all logs of this time (Unix seconds) and later lie, and few older ones.
    pub fn at_log_time(&self, place: &ShardPlace, time: u32) -> Result<u64, ReadError> {
        // A log is received at most so long before its time: what is further ahead got its arrival time.
        let received = i64::from(time) - FUTURE_SECONDS_MAX.cast_signed();
        self.at_receive_time(place, received * 1000)
    }

    /// Groups from the cursor on, up to `bytes_max` (at most `PAGE_BYTES_MAX`) but at least one; with `times` only those
    /// whose logs' times (Unix seconds) touch the range. A cursor that retention has overtaken starts at the oldest group.
    pub fn read(
        &self,
        place: &ShardPlace,
        cursor: u64,
        bytes_max: usize,
        times: Option<RangeInclusive<u32>>,
    ) -> Result<Page, ReadError> {
        let _snapshot = self.snapshot()?;
        let extent = self.extent(place)?;
        let page = self.page(place, extent, cursor, bytes_max.min(PAGE_BYTES_MAX), times);
        page.map_err(|e| self.failed(e))
    }

    /// Groups from the first cursor on, up to the second, up to `bytes_max` but at least one. Otherwise as [`Self::read`].
    pub fn read_range(
        &self,
        place: &ShardPlace,
        cursors: Range<u64>,
        bytes_max: usize,
    ) -> Result<Page, ReadError> {
        let _snapshot = self.snapshot()?;
        let mut extent = self.extent(place)?;
        extent.end = extent.end.min(cursors.end);
        self.page(
            place,
            extent,
            cursors.start,
            bytes_max.min(PAGE_BYTES_MAX),
            None,
        )
        .map_err(|e| self.failed(e))
    }

    /// When the group at this cursor was received, in milliseconds since the epoch; `None`: there is no such group.
    pub fn receive_time(&self, place: &ShardPlace, cursor: u64) -> Result<Option<i64>, ReadError> {
        let _snapshot = self.snapshot()?;
        let extent = self.extent(place)?;
        if !(extent.begin..extent.end).contains(&cursor) {
            return Ok(None);
        }
        self.receive_ms(extent, cursor).map_err(|e| self.failed(e))
    }

    /// When the Logstore was made, in milliseconds since the epoch; `None`: it does not exist.
    pub fn created(
        &self,
        project: &ProjectName,
        logstore: &LogstoreName,
    ) -> Result<Option<i64>, ReadError> {
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT created_ms FROM projects JOIN logstores ON project = projects.id \
                 WHERE projects.name = ?1 AND logstores.name = ?2",
            )
            .map_err(|e| self.failed(e))?;
        statement
            .query_row([project.as_str(), logstore.as_str()], |row| row.get(0))
            .optional()
            .map_err(|e| self.failed(e))
    }

    /// While this lives, retention changes nothing that is read.
    fn snapshot(&self) -> Result<Transaction<'_>, ReadError> {
        self.connection
            .unchecked_transaction()
            .map_err(|e| self.failed(e))
    }

    fn page(
        &self,
        place: &ShardPlace,
        extent: Extent,
        cursor: u64,
        bytes_max: usize,
        times: Option<RangeInclusive<u32>>,
    ) -> rusqlite::Result<Page> {
        let from = cursor.max(extent.begin);
        if from >= extent.end {
            return Ok(Page {
                groups: Vec::new(),
                next: cursor,
            });
        }
        let until = extent.end.min(from.saturating_add(PAGE_GROUPS_MAX));
        let mut page = Page {
            groups: Vec::new(),
            next: from,
        };
        let may_skip = times.is_some();
        let times = times.unwrap_or(0..=u32::MAX);
        let mut statement = self.connection.prepare_cached(
            "SELECT key, receive_ms, time_min, time_max, log_count, raw_bytes, crc32c, lz4 FROM groups \
             WHERE key >= ?1 AND key < ?2 AND time_max >= ?3 AND time_min <= ?4 ORDER BY key",
        )?;
        let key = |sequence: u64| group_key(extent.row, sequence.cast_signed());
        let mut rows =
            statement.query(params![key(from), key(until), times.start(), times.end()])?;
        let mut bytes = 0;
        while let Some(row) = rows.next()? {
            let sequence = sequence(row.get(0)?).cast_unsigned();
            bytes += row.get_ref(7)?.as_blob().map_or(0, <[u8]>::len);
            if bytes > bytes_max && !page.groups.is_empty() {
                return Ok(page);
            }
            if !may_skip {
                page.expect(place, sequence);
            }
            page.groups.push(group(place, sequence, row));
            page.next = sequence + 1;
        }
        if !may_skip {
            page.expect(place, until);
        }
        page.next = until;
        Ok(page)
    }

    fn extent(&self, place: &ShardPlace) -> Result<Extent, ReadError> {
        let ShardPlace {
            project,
            logstore,
            shard,
        } = place;
        let found = self.find(place).map_err(|e| self.failed(e))?;
        let Some((row, next)) = found else {
            let (project, logstore) = (project.clone(), logstore.clone());
            let is_there = self.logstore_exists(place).map_err(|e| self.failed(e))?;
            return Err(if is_there {
                ReadError::NoShard {
                    project,
                    logstore,
                    shard: *shard,
                }
            } else {
                ReadError::NoLogstore { project, logstore }
            });
        };
        let begin = self
            .first_key(row)
            .map_err(|e| self.failed(e))?
            .map_or(next, sequence);
        Ok(Extent {
            row,
            begin: begin.cast_unsigned(),
            end: next.cast_unsigned(),
        })
    }

    fn find(&self, place: &ShardPlace) -> rusqlite::Result<Option<(i64, i64)>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT shards.id, next FROM projects JOIN logstores ON project = projects.id \
             JOIN shards ON logstore = logstores.id JOIN counters ON counters.id = shards.id \
             WHERE projects.name = ?1 AND logstores.name = ?2 AND number = ?3",
        )?;
        let names = params![place.project.as_str(), place.logstore.as_str(), place.shard];
        statement.query_row(names, |row| row.try_into()).optional()
    }

    fn logstore_exists(&self, place: &ShardPlace) -> rusqlite::Result<bool> {
        let mut statement = self.connection.prepare_cached(
            "SELECT 1 FROM projects JOIN logstores ON project = projects.id \
             WHERE projects.name = ?1 AND logstores.name = ?2",
        )?;
        statement.exists([place.project.as_str(), place.logstore.as_str()])
    }

    fn first_key(&self, row: i64) -> rusqlite::Result<Option<i64>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT key FROM groups WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT 1",
        )?;
        statement
            .query_row([group_key(row, 0), group_key(row + 1, 0)], |row| row.get(0))
            .optional()
    }

    /// Receive times never decrease in a shard.
    fn bisect(&self, extent: Extent, receive_ms: i64) -> rusqlite::Result<u64> {
        let (mut low, mut high) = (extent.begin, extent.end);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.receive_ms(extent, middle)? {
                Some(found) if found < receive_ms => low = middle + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    fn receive_ms(&self, extent: Extent, sequence: u64) -> rusqlite::Result<Option<i64>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT receive_ms FROM groups WHERE key = ?1")?;
        statement
            .query_row([group_key(extent.row, sequence.cast_signed())], |row| {
                row.get(0)
            })
            .optional()
    }

    fn logstore_rows(&self) -> rusqlite::Result<Vec<LogstoreRow>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT projects.name, logstores.name, count(*), sum(bytes), created_ms \
             FROM projects JOIN logstores ON project = projects.id JOIN shards ON logstore = logstores.id \
             JOIN counters ON counters.id = shards.id GROUP BY logstores.id ORDER BY projects.name, logstores.name",
        )?;
        statement.query_map([], |row| row.try_into())?.collect()
    }

    fn failed(&self, cause: rusqlite::Error) -> ReadError {
        let file = self.file.clone();
        match cause.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                ReadError::Damaged { file, cause }
            }
            _ => ReadError::Failed { file, cause },
        }
    }
}

impl Page {
    /// Sequences have no gaps: what lies between the cursor and this one is lost.
    fn expect(&mut self, place: &ShardPlace, sequence: u64) {
        let count = sequence - self.next;
        if count > 0 {
            let damage = Damage::Missing { count };
            self.groups.push(Err(DamagedGroup {
                place: place.clone(),
                sequence: self.next,
                damage,
            }));
        }
    }
}

fn group(place: &ShardPlace, sequence: u64, row: &Row<'_>) -> Result<StoredGroup, DamagedGroup> {
    let damaged = |damage| DamagedGroup {
        place: place.clone(),
        sequence,
        damage,
    };
    let (head, stored, lz4) = columns(row).map_err(|_| damaged(Damage::Columns))?;
    let found = head.crc32c(lz4);
    if stored != found {
        return Err(damaged(Damage::Checksum { found, stored }));
    }
    let GroupHead {
        receive_ms,
        time_min,
        time_max,
        log_count,
        raw_bytes,
        ..
    } = head;
    Ok(StoredGroup {
        sequence,
        receive_ms,
        time_min,
        time_max,
        log_count,
        raw_bytes,
        lz4: lz4.to_vec(),
    })
}

/// Fails only where a column is not of the type and range that was stored.
fn columns<'a>(row: &'a Row<'_>) -> rusqlite::Result<(GroupHead, u32, &'a [u8])> {
    let head = GroupHead {
        key: row.get(0)?,
        receive_ms: row.get(1)?,
        time_min: row.get(2)?,
        time_max: row.get(3)?,
        log_count: row.get(4)?,
        raw_bytes: row.get(5)?,
    };
    Ok((head, row.get(6)?, row.get_ref(7)?.as_blob()?))
}

#[cfg(test)]
mod tests;
