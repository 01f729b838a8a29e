//! The store on SQLite: one database file in WAL mode, one writing connection.
//!
//! What a failed commit leaves behind: SQLite publishes a commit only after its sync succeeded, so the frames of a
//! commit whose sync failed lie unpublished in the WAL, possibly whole. Left there, a crash would make them part of the
//! database on recovery. `Open::open` therefore commits once before it answers: either its frames take their place, or,
//! where recovery adopted them, they stay for good. It then copies the whole WAL into the database file and syncs that,
//! so nothing rests on pages whose sync failed. Not covered: a disk that loses what it said was synced. Frames in the
//! WAL carry checksums, pages of the database file do not; each group has a CRC of its own.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use self::append::{append_all, ensure_logstore, ensure_project};
use self::expire::{Due, crowd, stale_marks, vacuum_step};
use super::checkpointer::{Checkpointer, Mode, NUDGE_BYTES};
use super::folder::Folder;
use super::retention::victim;
use super::schema::{self, COMMITS_ROW, SyncMode, WAL_BYTES_MAX, open_error};
use super::shards::Shards;
use super::store::{Batch, Expired, LogstoreSpec, Open, OpenError, Retention, Store, StoreError};
use crate::backend::Mark;
use crate::tenant::{LogstoreName, ProjectName};

mod append;
mod expire;
mod load;

/// How much longer than its limit the WAL gets before the next try, when readers were in the way.
const WAL_RETRY_BYTES: u64 = 16 << 20;

/// Opens the database in a locked folder, and keeps the thread that checkpoints beside the writer.
#[derive(Debug)]
pub struct SqliteOpener {
    sync: SyncMode,
    // Dropped before the folder: the lock goes last.
    checkpointer: Option<Arc<Checkpointer>>,
    folder: Folder,
}

impl SqliteOpener {
    /// Makes the data directory if need be and locks it.
    pub fn new(data_dir: &Path, sync: SyncMode) -> Result<Self, OpenError> {
        Ok(Self {
            sync,
            checkpointer: None,
            folder: Folder::lock(data_dir)?,
        })
    }

    fn checkpointer(&mut self) -> std::io::Result<Arc<Checkpointer>> {
        if let Some(running) = &self.checkpointer {
            return Ok(running.clone());
        }
        let started = Arc::new(Checkpointer::start(self.folder.database(), self.sync)?);
        self.checkpointer = Some(started.clone());
        Ok(started)
    }
}

impl Open for SqliteOpener {
    type Store = SqliteStore;

    fn open(&mut self) -> Result<SqliteStore, OpenError> {
        let file = self.folder.database();
        let connection = schema::open_writing(&file, self.sync)?;
        let checkpointer = self.checkpointer().map_err(|e| OpenError::Failed {
            file: file.clone(),
            cause: e.into(),
        })?;
        settle(&connection, &checkpointer, &file)?;
        let sql = |e| open_error(&file, e);
        let last_commit = connection
            .query_row(
                "SELECT next FROM counters WHERE id = ?1",
                [COMMITS_ROW],
                |row| row.get::<_, i64>(0),
            )
            .map_err(sql)?;
        let shards = load::shards(&connection, &file)?;
        Ok(SqliteStore {
            shards,
            last_commit: last_commit.unsigned_abs(),
            checkpointer,
            unmoved_bytes: 0,
            restart_bytes: WAL_BYTES_MAX,
            turn: 0,
            marks_seen: None,
            may_vacuum: false,
            connection,
        })
    }
}

/// Proves that the disk takes a commit, and moves everything out of the WAL; see the head of this file.
fn settle(
    connection: &Connection,
    checkpointer: &Checkpointer,
    file: &Path,
) -> Result<(), OpenError> {
    let sql = |e| open_error(file, e);
    connection
        .execute(
            "UPDATE counters SET bytes = bytes + 1 WHERE id = ?1",
            [COMMITS_ROW],
        )
        .map_err(sql)?;
    if checkpointer
        .checkpoint(connection, Mode::Full)
        .map_err(sql)?
        .is_complete()
    {
        return Ok(());
    }
    let cause = "a process that reads the store holds it up".into();
    Err(OpenError::Failed {
        file: file.to_owned(),
        cause,
    })
}

/// See `Store`.
#[derive(Debug)]
pub struct SqliteStore {
    shards: Shards,
    last_commit: u64,
    checkpointer: Arc<Checkpointer>,
    /// Written since the checkpointer was last nudged.
    unmoved_bytes: u64,
    /// Length of the WAL at which it is started over.
    restart_bytes: u64,
    /// The Logstore at which expiry goes on.
    turn: usize,
    /// Where the search for old marks goes on.
    marks_seen: Option<(i64, Vec<u8>)>,
    /// Pages may have become free since the last look.
    may_vacuum: bool,
    connection: Connection,
}

impl Store for SqliteStore {
    fn last_commit(&self) -> u64 {
        self.last_commit
    }

    fn shard_count(&self, project: &ProjectName, logstore: &LogstoreName) -> Option<u32> {
        self.shards
            .logstore(project, logstore)
            .map(|found| found.shard_count())
    }

    fn logstores(&self) -> Vec<LogstoreSpec> {
        self.shards.specs()
    }

    fn logstore_count(&self, project: &ProjectName) -> Option<usize> {
        self.shards
            .project(project)
            .map(|found| found.logstore_count())
    }

    fn ensure(
        &mut self,
        projects: &[ProjectName],
        logstores: &[LogstoreSpec],
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let transaction = begin(&self.connection).map_err(nothing)?;
        for project in projects {
            ensure_project(&transaction, &mut self.shards, project).map_err(nothing)?;
        }
        for spec in logstores {
            ensure_logstore(&transaction, &mut self.shards, spec, now_ms).map_err(nothing)?;
        }
        commit(transaction)
    }

    fn append(&mut self, batch: Batch<'_>) -> Result<(), StoreError> {
        let transaction = begin(&self.connection).map_err(nothing)?;
        let bytes = append_all(&transaction, &mut self.shards, &batch).map_err(nothing)?;
        commit(transaction)?;
        self.last_commit = batch.number;
        self.unmoved_bytes += bytes;
        if self.unmoved_bytes >= NUDGE_BYTES {
            self.unmoved_bytes = 0;
            self.checkpointer.nudge();
        }
        Ok(())
    }

    fn marks(&self) -> Result<Vec<(Mark, i64)>, StoreError> {
        load::marks(&self.connection).map_err(nothing)
    }

    fn expire(&mut self, rule: &Retention, now_ms: i64) -> Result<Expired, StoreError> {
        let slice = victim(&self.shards, rule, now_ms, self.turn);
        self.turn = slice.map_or(0, |slice| slice.next_turn);
        let marks =
            stale_marks(&self.connection, &mut self.marks_seen, rule, now_ms).map_err(nothing)?;
        let crowd = crowd(&self.shards, rule);
        if slice.is_none() && marks.is_empty() && crowd.is_none() {
            return Ok(Expired::default());
        }
        let due = Due {
            slice,
            marks,
            crowd,
        };
        let transaction = begin(&self.connection).map_err(nothing)?;
        let expired = due
            .delete(&transaction, &mut self.shards)
            .map_err(nothing)?;
        commit(transaction)?;
        self.may_vacuum = true;
        Ok(expired)
    }

    fn tidy(&mut self) -> Result<bool, StoreError> {
        if self.checkpointer.log_bytes() >= self.restart_bytes {
            self.restart_log().map_err(nothing)?;
        }
        if self.may_vacuum {
            self.may_vacuum = vacuum_step(&self.connection).map_err(nothing)?;
        }
        Ok(self.may_vacuum)
    }

    fn close(self) -> Result<(), StoreError> {
        self.checkpointer
            .checkpoint(&self.connection, Mode::Truncate)
            .map_err(nothing)?;
        self.connection.close().map_err(|(_, cause)| nothing(cause))
    }
}

impl SqliteStore {
    fn restart_log(&mut self) -> rusqlite::Result<()> {
        if self
            .checkpointer
            .checkpoint(&self.connection, Mode::Restart)?
            .is_complete()
        {
            self.restart_bytes = WAL_BYTES_MAX;
        } else {
            self.restart_bytes = self.checkpointer.log_bytes() + WAL_RETRY_BYTES;
        }
        Ok(())
    }
}

fn nothing(cause: rusqlite::Error) -> StoreError {
    StoreError::Nothing(cause.into())
}

fn begin(connection: &Connection) -> rusqlite::Result<Transaction<'_>> {
    Transaction::new_unchecked(connection, TransactionBehavior::Immediate)
}

fn commit(transaction: Transaction<'_>) -> Result<(), StoreError> {
    transaction
        .commit()
        .map_err(|cause| match cause.sqlite_error_code() {
            // A full disk cuts the writing of frames short, and the frame that makes them a commit is the last of them.
            Some(ErrorCode::DiskFull) => nothing(cause),
            _ => StoreError::Unknown(cause.into()),
        })
}

#[cfg(test)]
mod tests;
