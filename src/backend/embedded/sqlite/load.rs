//! Reads what the store remembers while it is open: projects, Logstores, shards and how many marks there are; and the
//! marks themselves, once.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use crate::backend::Mark;
use crate::backend::embedded::schema::{group_key, open_error};
use crate::backend::embedded::shards::{Shard, Shards};
use crate::backend::embedded::store::OpenError;
use crate::tenant::{LogstoreName, ProjectName};

/// Everything but groups and marks.
pub fn shards(connection: &Connection, file: &Path) -> Result<Shards, OpenError> {
    let sql = |e| open_error(file, e);
    let damaged = |what: String| OpenError::Damaged {
        file: file.to_owned(),
        what,
    };
    let mut shards = Shards::default();
    let project_name =
        |text: &str| ProjectName::parse(text).map_err(|e| damaged(format!("project name: {e}")));
    let logstore_name =
        |text: &str| LogstoreName::parse(text).map_err(|e| damaged(format!("Logstore name: {e}")));

    let mut statement = connection
        .prepare("SELECT id, name, (SELECT count(*) FROM marks WHERE project = projects.id) FROM projects")
        .map_err(sql)?;
    let mut rows = statement.query([]).map_err(sql)?;
    while let Some(row) = rows.next().map_err(sql)? {
        let (id, text, mark_count): (i64, String, i64) = row.try_into().map_err(sql)?;
        let name = project_name(&text)?;
        shards.add_project(name.clone(), id);
        if let Some(project) = shards.project_mut(&name) {
            project.mark_count = mark_count.unsigned_abs();
        }
    }

    let mut statement = connection
        .prepare("SELECT projects.name, logstores.name, logstores.id FROM logstores JOIN projects ON projects.id = project")
        .map_err(sql)?;
    let mut rows = statement.query([]).map_err(sql)?;
    while let Some(row) = rows.next().map_err(sql)? {
        let (project, logstore, id): (String, String, i64) = row.try_into().map_err(sql)?;
        shards.add_logstore(&project_name(&project)?, logstore_name(&logstore)?, id);
    }

    let mut statement = connection
        .prepare(
            "SELECT projects.name, logstores.name, shards.id, shards.number, next, receive_ms, bytes \
             FROM shards JOIN logstores ON logstores.id = logstore JOIN projects ON projects.id = project \
             JOIN counters ON counters.id = shards.id ORDER BY logstore, number",
        )
        .map_err(sql)?;
    let mut rows = statement.query([]).map_err(sql)?;
    while let Some(row) = rows.next().map_err(sql)? {
        let (project, logstore, id, number, next, receive_ms, bytes): (
            String,
            String,
            i64,
            u32,
            i64,
            i64,
            i64,
        ) = row.try_into().map_err(sql)?;
        let (project, logstore) = (project_name(&project)?, logstore_name(&logstore)?);
        let expected = shards
            .logstore(&project, &logstore)
            .map(|found| found.shard_count());
        if expected != Some(number) {
            return Err(damaged(format!(
                "shard {number} of {project}/{logstore} does not follow its forerunner"
            )));
        }
        let oldest_ms = oldest_ms(connection, id).map_err(sql)?;
        let mut shard = Shard::new(id);
        (shard.next, shard.receive_ms, shard.bytes, shard.oldest_ms) =
            (next, receive_ms, bytes, oldest_ms);
        shards.add_shard(&project, &logstore, shard);
    }
    Ok(shards)
}

/// Receive time of the shard's oldest group.
pub fn oldest_ms(connection: &Connection, shard_row: i64) -> rusqlite::Result<Option<i64>> {
    let mut statement = connection.prepare_cached(
        "SELECT receive_ms FROM groups WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT 1",
    )?;
    statement
        .query_row(
            [group_key(shard_row, 0), group_key(shard_row + 1, 0)],
            |row| row.get(0),
        )
        .optional()
}

/// All marks with the second of their last use.
pub fn marks(connection: &Connection) -> rusqlite::Result<Vec<(Mark, i64)>> {
    let mut statement = connection.prepare(
        "SELECT name, key, value, used FROM marks JOIN projects ON projects.id = project",
    )?;
    let mut rows = statement.query([])?;
    let mut marks = Vec::new();
    while let Some(row) = rows.next()? {
        let (name, key, value, used): (String, Vec<u8>, Vec<u8>, i64) = row.try_into()?;
        // Checked by `shards` when the store was opened.
        let Ok(project) = ProjectName::parse(&name) else {
            continue;
        };
        marks.push((
            Mark {
                project,
                key,
                value,
            },
            used,
        ));
    }
    Ok(marks)
}
