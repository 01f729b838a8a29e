//! Deletes groups and marks in small slices, and gives free pages back to the file system. What is to go, the caller says.

use rusqlite::{Connection, Transaction, params};

use super::load::oldest_ms;
use crate::backend::embedded::retention::{GROUP_OVERHEAD_BYTES, Slice};
use crate::backend::embedded::schema::group_key;
use crate::backend::embedded::shards::{Shard, Shards};
use crate::backend::embedded::store::{BATCH_BYTES_MAX, BATCH_GROUPS_MAX, Expired, Retention};

/// What one slice of expiry deletes at most: some milliseconds, and more than one batch adds, so that it keeps up.
pub const SLICE_GROUPS_MAX: i64 = 2 * BATCH_GROUPS_MAX as i64;
const SLICE_BYTES_MAX: i64 = 2 * BATCH_BYTES_MAX as i64;

/// Marks that one slice looks at.
const MARKS_SLICE: i64 = 1000;

/// Finding the marks unused longest reads all of the project's, so one in 128 of the limit goes beside the excess.
const MARKS_SPARE_SHARE: u64 = 128;

/// Free pages are kept for the next groups: one in 8 of the file, and never fewer than 1024 (8 MiB).
const FREE_PAGES_SHARE: i64 = 8;
pub const FREE_PAGES_MIN: i64 = 1024;

/// Pages that one step gives back to the file system (2 MiB).
pub const VACUUM_PAGES: i64 = 256;

/// What one transaction is to delete.
pub struct Due {
    pub slice: Option<Slice>,
    pub marks: Vec<MarkPlace>,
    pub crowd: Option<Crowd>,
}

/// A mark: its project's row and its key.
pub type MarkPlace = (i64, Vec<u8>);

/// Marks of a project with too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowd {
    project_row: i64,
    /// So many, unused longest, go.
    count: u64,
}

impl Due {
    pub fn delete(
        &self,
        transaction: &Transaction<'_>,
        shards: &mut Shards,
    ) -> rusqlite::Result<Expired> {
        let mut expired = Expired {
            more: self.slice.is_some() || self.crowd.is_some(),
            ..Expired::default()
        };
        for (project_row, key) in &self.marks {
            let deleted = delete_mark(transaction, *project_row, key)?;
            expired.marks += uncount(shards, *project_row, deleted);
        }
        if let Some(crowd) = self.crowd {
            let deleted = evict_marks(transaction, crowd)?;
            expired.marks += uncount(shards, crowd.project_row, deleted);
        }
        if let Some(slice) = self.slice {
            delete_groups(
                transaction,
                shards.shard_mut(slice.shard),
                slice,
                &mut expired,
            )?;
        }
        Ok(expired)
    }
}

/// A project with more marks than the rule allows.
pub fn crowd(shards: &Shards, rule: &Retention) -> Option<Crowd> {
    let project = shards
        .projects()
        .find(|project| project.mark_count > rule.marks_max)?;
    let excess = project.mark_count - rule.marks_max;
    Some(Crowd {
        project_row: project.row,
        count: excess + rule.marks_max / MARKS_SPARE_SHARE,
    })
}

/// Looks at the next few marks after `seen`, wrapping at the end; returns those unused for too long.
pub fn stale_marks(
    connection: &Connection,
    seen: &mut Option<MarkPlace>,
    rule: &Retention,
    now_ms: i64,
) -> rusqlite::Result<Vec<MarkPlace>> {
    let unused_before = (now_ms / 1000).saturating_sub_unsigned(rule.mark_age_max.as_secs());
    let mut statement = connection.prepare_cached(
        "SELECT project, key, used FROM marks WHERE (project, key) > (?1, ?2) ORDER BY project, key LIMIT ?3",
    )?;
    let (project, key) = seen.take().unwrap_or_default();
    let mut rows = statement.query(params![project, key, MARKS_SLICE])?;
    let mut stale = Vec::new();
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let (project, key, used): (i64, Vec<u8>, i64) = row.try_into()?;
        count += 1;
        if count == MARKS_SLICE {
            *seen = Some((project, key.clone()));
        }
        if used < unused_before {
            stale.push((project, key));
        }
    }
    Ok(stale)
}

/// Notes that marks of the project are gone; returns how many.
fn uncount(shards: &mut Shards, project_row: i64, deleted: u64) -> u64 {
    if let Some(project) = shards
        .projects_mut()
        .find(|project| project.row == project_row)
    {
        project.mark_count = project.mark_count.saturating_sub(deleted);
    }
    deleted
}

fn delete_mark(
    transaction: &Transaction<'_>,
    project_row: i64,
    key: &[u8],
) -> rusqlite::Result<u64> {
    let mut delete =
        transaction.prepare_cached("DELETE FROM marks WHERE project = ?1 AND key = ?2")?;
    delete
        .execute(params![project_row, key])
        .map(|count| count as u64)
}

fn evict_marks(transaction: &Transaction<'_>, crowd: Crowd) -> rusqlite::Result<u64> {
    let mut delete = transaction.prepare_cached(
        "DELETE FROM marks WHERE project = ?1 AND key IN \
         (SELECT key FROM marks WHERE project = ?1 ORDER BY used LIMIT ?2)",
    )?;
    delete
        .execute([crowd.project_row, crowd.count.cast_signed()])
        .map(|count| count as u64)
}

/// Deletes groups of the shard from its oldest on, as far as the slice and its bounds say.
fn delete_groups(
    transaction: &Transaction<'_>,
    shard: &mut Shard,
    slice: Slice,
    expired: &mut Expired,
) -> rusqlite::Result<()> {
    let (first, end) = (group_key(shard.row, 0), group_key(shard.row + 1, 0));
    let mut bytes = 0;
    let mut keep_from = end;
    {
        let mut select = transaction.prepare_cached(
            "SELECT key, receive_ms, log_count, length(lz4) FROM groups WHERE key >= ?1 AND key < ?2 ORDER BY key",
        )?;
        let mut rows = select.query([first, end])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            let (key, receive_ms, log_count, lz4_bytes): (i64, i64, i64, i64) = row.try_into()?;
            let is_past = receive_ms < slice.before_ms || bytes < slice.excess_bytes;
            if !is_past || count == SLICE_GROUPS_MAX || bytes >= SLICE_BYTES_MAX {
                keep_from = key;
                break;
            }
            count += 1;
            bytes += lz4_bytes + GROUP_OVERHEAD_BYTES;
            expired.groups += 1;
            expired.logs += log_count.unsigned_abs();
        }
    }
    expired.bytes += bytes.unsigned_abs();
    transaction
        .prepare_cached("DELETE FROM groups WHERE key >= ?1 AND key < ?2")?
        .execute([first, keep_from])?;
    shard.bytes -= bytes;
    shard.oldest_ms = oldest_ms(transaction, shard.row)?;
    let mut update = transaction.prepare_cached("UPDATE counters SET bytes = ?2 WHERE id = ?1")?;
    update.execute([shard.row, shard.bytes])?;
    Ok(())
}

/// Gives a few free pages back to the file system; true: there are more than are worth keeping.
pub fn vacuum_step(connection: &Connection) -> rusqlite::Result<bool> {
    let count = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let kept = (count("page_count")? / FREE_PAGES_SHARE).max(FREE_PAGES_MIN);
    if count("freelist_count")? <= kept {
        return Ok(false);
    }
    let mut vacuum =
        connection.prepare_cached(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"))?;
    let mut rows = vacuum.query([])?;
    while rows.next()?.is_some() {}
    Ok(true)
}
