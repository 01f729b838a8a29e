//! The statements of a batch: Logstores that it makes, groups, marks, and the counters of the shards it touched.
//!
//! An error in any of them is for the caller to roll back, and to drop the store's memory with.

use rusqlite::{Transaction, params};

use crate::backend::embedded::retention::GROUP_OVERHEAD_BYTES;
use crate::backend::embedded::schema::{COMMITS_ROW, GroupHead, group_key};
use crate::backend::embedded::shards::{Shard, Shards};
use crate::backend::embedded::store::{Batch, LogstoreSpec};
use crate::backend::{Mark, Placed};
use crate::tenant::ProjectName;

/// Returns the project's row.
pub fn ensure_project(
    transaction: &Transaction<'_>,
    shards: &mut Shards,
    name: &ProjectName,
) -> rusqlite::Result<i64> {
    if let Some(found) = shards.project(name) {
        return Ok(found.row);
    }
    transaction.execute("INSERT INTO projects (name) VALUES (?1)", [name.as_str()])?;
    let row = transaction.last_insert_rowid();
    shards.add_project(name.clone(), row);
    Ok(row)
}

/// Makes what is missing of the Logstore and its shards.
pub fn ensure_logstore(
    transaction: &Transaction<'_>,
    shards: &mut Shards,
    spec: &LogstoreSpec,
    now_ms: i64,
) -> rusqlite::Result<()> {
    let LogstoreSpec {
        project,
        logstore,
        shard_count,
    } = spec;
    let project_row = ensure_project(transaction, shards, project)?;
    let found = shards
        .logstore(project, logstore)
        .map(|found| (found.row, found.shard_count()));
    let (row, first) = match found {
        Some(found) => found,
        None => {
            let new = params![project_row, logstore.as_str(), now_ms];
            transaction.execute(
                "INSERT INTO logstores (project, name, created_ms) VALUES (?1, ?2, ?3)",
                new,
            )?;
            let row = transaction.last_insert_rowid();
            shards.add_logstore(project, logstore.clone(), row);
            (row, 0)
        }
    };
    for number in first..*shard_count {
        transaction.execute(
            "INSERT INTO shards (logstore, number) VALUES (?1, ?2)",
            params![row, number],
        )?;
        let shard_row = transaction.last_insert_rowid();
        transaction.execute("INSERT INTO counters VALUES (?1, 0, 0, 0)", [shard_row])?;
        shards.add_shard(project, logstore, Shard::new(shard_row));
    }
    Ok(())
}

/// Stores the batch in the transaction; returns the bytes written, about.
pub fn append_all(
    transaction: &Transaction<'_>,
    shards: &mut Shards,
    batch: &Batch<'_>,
) -> rusqlite::Result<u64> {
    for spec in batch.created {
        ensure_logstore(transaction, shards, spec, batch.now_ms)?;
    }
    let mut bytes = 0;
    for set in batch.sets {
        for placed in &set.groups {
            bytes += append_group(transaction, shards, placed, batch.now_ms)?;
        }
        for mark in &set.marks {
            upsert_mark(transaction, shards, mark, batch.now_ms / 1000)?;
        }
    }
    let mut update = transaction.prepare_cached(
        "UPDATE counters SET next = ?2, receive_ms = ?3, bytes = ?4 WHERE id = ?1",
    )?;
    for shard in shards.take_dirty() {
        update.execute([shard.row, shard.next, shard.receive_ms, shard.bytes])?;
    }
    let mut count = transaction
        .prepare_cached("UPDATE counters SET next = ?2, receive_ms = ?3 WHERE id = ?1")?;
    count.execute([COMMITS_ROW, batch.number.cast_signed(), batch.now_ms])?;
    Ok(bytes.unsigned_abs())
}

fn append_group(
    transaction: &Transaction<'_>,
    shards: &mut Shards,
    placed: &Placed,
    now_ms: i64,
) -> rusqlite::Result<i64> {
    let group = &placed.group;
    let shard = shards
        .touch(&placed.tenant.project, &placed.logstore, placed.shard)
        .ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    let bytes = i64::try_from(group.body.len()).unwrap_or(i64::MAX) + GROUP_OVERHEAD_BYTES;
    let (sequence, receive_ms) = shard.append(now_ms, bytes);
    let head = GroupHead {
        key: group_key(shard.row, sequence),
        receive_ms,
        time_min: group.time_min,
        time_max: group.time_max,
        log_count: group.log_count,
        raw_bytes: group.raw_bytes,
    };
    let GroupHead {
        key,
        time_min,
        time_max,
        log_count,
        raw_bytes,
        ..
    } = head;
    let crc32c = head.crc32c(&group.body);
    let mut insert =
        transaction.prepare_cached("INSERT INTO groups VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    insert.execute(params![
        key,
        receive_ms,
        time_min,
        time_max,
        log_count,
        raw_bytes,
        crc32c,
        &*group.body
    ])?;
    Ok(bytes)
}

fn upsert_mark(
    transaction: &Transaction<'_>,
    shards: &mut Shards,
    mark: &Mark,
    used: i64,
) -> rusqlite::Result<()> {
    let project = shards
        .project_mut(&mark.project)
        .ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    let row = params![project.row, mark.key, mark.value, used];
    let mut update = transaction
        .prepare_cached("UPDATE marks SET value = ?3, used = ?4 WHERE project = ?1 AND key = ?2")?;
    if update.execute(row)? == 0 {
        transaction
            .prepare_cached("INSERT INTO marks VALUES (?1, ?2, ?3, ?4)")?
            .execute(row)?;
        project.mark_count += 1;
    }
    Ok(())
}
