//! The database file: its schema, how it is made, and what is refused when it is opened.
//!
//! Shared by the writing store and the reader. Reading and writing rows is theirs.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::store::OpenError;

/// How far a commit reaches before it is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncMode {
    /// On the disk: survives a power cut.
    #[default]
    Full,
    /// In the operating system: survives a crash of this process, not a power cut.
    Normal,
}

impl SyncMode {
    fn pragma(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Normal => "NORMAL",
        }
    }
}

/// "Slui" in ASCII.
pub const APPLICATION_ID: i32 = 0x536c_7569;

/// Raised by every change of the tables.
pub const SCHEMA_VERSION: i32 = 1;

/// Measured with durable commits of one group over 8 shards, marks and counters included, checkpoints in the figures
/// (bytes from `/proc/self/io`, CPU of the process, best of two runs):
///
/// | page | 300 B group: written, CPU | 16 KiB: written | 256 KiB: written, CPU |
/// | --- | --- | --- | --- |
/// | 4 KiB | 23 KiB, 61 µs | 67 KiB | 558 KiB, 559 µs (2.3 s/GiB) |
/// | 8 KiB | 39 KiB, 64 µs | 97 KiB | 592 KiB, 439 µs (1.8 s/GiB) |
/// | 16 KiB | 69 KiB, 70 µs | 154 KiB | 662 KiB, 359 µs (1.5 s/GiB) |
/// | 64 KiB | 243 KiB, 95 µs | 518 KiB | 1094 KiB, 665 µs (2.7 s/GiB) |
///
/// 8 KiB gives most of the gain on large groups and keeps a lone small request cheap.
pub const PAGE_BYTES: u32 = 8192;

/// Bits of a group's key that are the sequence; the shard's row id stands above them. Leaves 2^22 shards.
pub const SEQUENCE_BITS: u32 = 41;

/// The row of `counters` that counts commits (`next`: the newest one; `bytes`: openings). It shares a page with the
/// shards' counters, which nearly every commit writes anyway.
pub const COMMITS_ROW: i64 = 0;

/// How long a statement waits for another connection's short lock.
pub const BUSY_TIMEOUT: Duration = Duration::from_millis(250);

/// The WAL is started over when it is longer: until then it only grows, and readers slow down with it. What readers made
/// it grow beyond this is cut off then.
pub const WAL_BYTES_MAX: u64 = 64 << 20;

/// Pages that the writer keeps in memory, in KiB: a usual commit, so that few pages are written twice.
const CACHE_KIB: i64 = 8192;

/// Statements of one connection that stay prepared; more than any of ours uses.
pub const STATEMENTS_CACHED: usize = 32;

/// A group's key packs (shard row, sequence) into the rowid: one tree without an index beside it, in which a shard's
/// groups lie together. Measured against (a) a rowid table with a unique index on (Logstore, shard, sequence): bytes within
/// a tenth at pages of 4 to 16 KiB, CPU between equal and a third less, but a second structure that can disagree with the
/// first; (b) WITHOUT ROWID with that key: 1.2 to 1.8 times the CPU for 256 KiB groups. There is no index over log times:
/// it would dirty one more page per shard and commit. A log is received at most one day before its time, so a range of log
/// times is a scan that starts at a receive time, which is found by bisection.
const TABLES: [&str; 6] = [
    "CREATE TABLE projects (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT",
    "CREATE TABLE logstores (id INTEGER PRIMARY KEY, project INTEGER NOT NULL, name TEXT NOT NULL, \
     created_ms INTEGER NOT NULL, UNIQUE (project, name)) STRICT",
    "CREATE TABLE shards (id INTEGER PRIMARY KEY, logstore INTEGER NOT NULL, number INTEGER NOT NULL, \
     UNIQUE (logstore, number)) STRICT",
    "CREATE TABLE counters (id INTEGER PRIMARY KEY, next INTEGER NOT NULL, receive_ms INTEGER NOT NULL, \
     bytes INTEGER NOT NULL) STRICT",
    "CREATE TABLE groups (key INTEGER PRIMARY KEY, receive_ms INTEGER NOT NULL, time_min INTEGER NOT NULL, \
     time_max INTEGER NOT NULL, log_count INTEGER NOT NULL, raw_bytes INTEGER NOT NULL, crc32c INTEGER NOT NULL, \
     lz4 BLOB NOT NULL) STRICT",
    "CREATE TABLE marks (project INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, used INTEGER NOT NULL, \
     PRIMARY KEY (project, key)) STRICT, WITHOUT ROWID",
];

/// The key of a group.
pub fn group_key(shard_row: i64, sequence: i64) -> i64 {
    (shard_row << SEQUENCE_BITS) | sequence
}

/// The sequence in a group's key.
pub fn sequence(key: i64) -> i64 {
    key & ((1 << SEQUENCE_BITS) - 1)
}

/// The columns of a group before its blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupHead {
    pub key: i64,
    pub receive_ms: i64,
    pub time_min: u32,
    pub time_max: u32,
    pub log_count: u32,
    pub raw_bytes: u32,
}

impl GroupHead {
    /// CRC-32C of the blob and of this, so that a row in the wrong place is noticed too.
    pub fn crc32c(&self, lz4: &[u8]) -> u32 {
        let mut head = [0; 32];
        head[..8].copy_from_slice(&self.key.to_le_bytes());
        head[8..16].copy_from_slice(&self.receive_ms.to_le_bytes());
        head[16..20].copy_from_slice(&self.time_min.to_le_bytes());
        head[20..24].copy_from_slice(&self.time_max.to_le_bytes());
        head[24..28].copy_from_slice(&self.log_count.to_le_bytes());
        head[28..].copy_from_slice(&self.raw_bytes.to_le_bytes());
        crc32c::crc32c_append(crc32c::crc32c(lz4), &head)
    }
}

/// Opens an existing file for writing; an empty one gets the schema. Nothing is changed in a file that is not ours.
pub fn open_writing(file: &Path, sync: SyncMode) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sql = |e| open_error(file, e);
    let connection = Connection::open_with_flags(file, flags).map_err(sql)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(sql)?;
    if is_empty(&connection).map_err(sql)? {
        create(&connection).map_err(sql)?;
    }
    check(&connection, file)?;
    configure(&connection, sync).map_err(sql)?;
    Ok(connection)
}

/// Opens an existing, complete file for reading.
pub fn open_reading(file: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags).map_err(|e| open_error(file, e))?;
    connection
        .busy_timeout(BUSY_TIMEOUT)
        .map_err(|e| open_error(file, e))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    check(&connection, file)?;
    Ok(connection)
}

/// Another connection to a file that is open for writing and was checked.
pub fn open_checkpointing(file: &Path, sync: SyncMode) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    configure(&connection, sync)?;
    Ok(connection)
}

/// Sorts what SQLite says into what the operator can do about it.
pub fn open_error(file: &Path, cause: rusqlite::Error) -> OpenError {
    let file = file.to_owned();
    match cause.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::NotADatabase { file },
        Some(ErrorCode::DatabaseCorrupt) => OpenError::Damaged {
            file,
            what: cause.to_string(),
        },
        _ => OpenError::Failed {
            file,
            cause: cause.into(),
        },
    }
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    let id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(id == 0 && tables == 0)
}

/// In one transaction, so that a crash leaves an empty file or a complete one.
fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let transaction = connection.unchecked_transaction()?;
    for table in TABLES {
        transaction.execute_batch(table)?;
    }
    transaction.execute("INSERT INTO counters VALUES (?1, 0, 0, 0)", [COMMITS_ROW])?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()
}

fn configure(connection: &Connection, sync: SyncMode) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", sync.pragma())?;
    // Automatic checkpoints would run inside a commit and make it wait for tens of milliseconds.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))?;
    connection.pragma_update_and_check(
        None,
        "journal_size_limit",
        WAL_BYTES_MAX.cast_signed(),
        |_| Ok(()),
    )?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    Ok(())
}

/// A quick look, not an integrity check: whose file is it, is its schema known and whole, can the counter be read.
fn check(connection: &Connection, file: &Path) -> Result<(), OpenError> {
    let sql = |e| open_error(file, e);
    let file = || file.to_owned();
    let id: i32 = connection
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(sql)?;
    if id != APPLICATION_ID {
        return Err(OpenError::Foreign {
            file: file(),
            found: id,
        });
    }
    let version: i32 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(sql)?;
    if version > SCHEMA_VERSION {
        return Err(OpenError::Newer {
            file: file(),
            found: version,
            known: SCHEMA_VERSION,
        });
    }
    if version != SCHEMA_VERSION || !tables_are_ours(connection).map_err(sql)? {
        return Err(OpenError::Damaged {
            file: file(),
            what: format!("not the tables of schema version {version}"),
        });
    }
    let commits = connection.query_row(
        "SELECT next FROM counters WHERE id = ?1",
        [COMMITS_ROW],
        |row| row.get(0),
    );
    match commits {
        Ok(0..) => Ok(()),
        Ok(found @ i64::MIN..0) => Err(OpenError::Damaged {
            file: file(),
            what: format!("the commit counter is {found}"),
        }),
        Err(rusqlite::Error::QueryReturnedNoRows) => Err(OpenError::Damaged {
            file: file(),
            what: "the commit counter is missing".to_owned(),
        }),
        Err(cause) => Err(sql(cause)),
    }
}

fn tables_are_ours(connection: &Connection) -> rusqlite::Result<bool> {
    let mut statement =
        connection.prepare("SELECT sql FROM sqlite_schema WHERE type = 'table' ORDER BY rowid")?;
    let tables = statement
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<String>>>()?;
    Ok(tables == TABLES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(dir: &tempfile::TempDir) -> std::path::PathBuf {
        let file = dir.path().join("sluice.db");
        std::fs::write(&file, b"").unwrap();
        open_writing(&file, SyncMode::Full).unwrap();
        file
    }

    fn altered(pragma: &str, value: i32) -> OpenError {
        let dir = tempfile::tempdir().unwrap();
        let file = made(&dir);
        Connection::open(&file)
            .unwrap()
            .pragma_update(None, pragma, value)
            .unwrap();
        let refusal = open_writing(&file, SyncMode::Full).unwrap_err();
        assert!(
            refusal.to_string().contains(file.to_str().unwrap()),
            "{refusal}"
        );
        assert!(open_reading(&file).is_err());
        refusal
    }

    #[test]
    fn an_empty_file_becomes_a_store_with_the_settings_that_cannot_be_changed_later() {
        let dir = tempfile::tempdir().unwrap();
        let connection = open_writing(&made(&dir), SyncMode::Full).unwrap();
        let pragma = |name| {
            connection
                .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
                .unwrap()
        };
        assert_eq!(pragma("page_size"), i64::from(PAGE_BYTES));
        assert_eq!(pragma("auto_vacuum"), 2);
        assert_eq!(pragma("synchronous"), 2);
        assert_eq!(pragma("wal_autocheckpoint"), 0);
        let journal: String = connection
            .pragma_query_value(None, "journal_mode", |row| row.get(0))
            .unwrap();
        assert_eq!(journal, "wal");
    }

    #[test]
    fn a_foreign_or_newer_file_is_refused_by_name() {
        assert!(matches!(
            altered("application_id", 7),
            OpenError::Foreign { found: 7, .. }
        ));
        assert!(matches!(
            altered("user_version", 2),
            OpenError::Newer {
                found: 2,
                known: 1,
                ..
            }
        ));
        assert!(matches!(
            altered("user_version", 0),
            OpenError::Damaged { .. }
        ));
    }

    #[test]
    fn another_programs_database_is_refused_and_not_changed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("sluice.db");
        Connection::open(&file)
            .unwrap()
            .execute_batch("CREATE TABLE theirs (x)")
            .unwrap();
        let before = std::fs::read(&file).unwrap();
        assert!(matches!(
            open_writing(&file, SyncMode::Full).unwrap_err(),
            OpenError::Foreign { found: 0, .. }
        ));
        assert_eq!(std::fs::read(&file).unwrap(), before);
    }

    #[test]
    fn what_is_no_database_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("sluice.db");
        std::fs::write(&file, b"these are my holiday pictures. ".repeat(400)).unwrap();
        assert!(matches!(
            open_writing(&file, SyncMode::Full).unwrap_err(),
            OpenError::NotADatabase { .. }
        ));
    }

    #[test]
    fn a_truncated_file_is_reported_as_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let file = made(&dir);
        std::fs::OpenOptions::new()
            .write(true)
            .open(&file)
            .unwrap()
            .set_len(u64::from(PAGE_BYTES) * 2)
            .unwrap();
        assert!(matches!(
            open_writing(&file, SyncMode::Full).unwrap_err(),
            OpenError::Damaged { .. }
        ));
    }

    #[test]
    fn a_missing_table_is_reported_as_damage() {
        let dir = tempfile::tempdir().unwrap();
        let file = made(&dir);
        Connection::open(&file)
            .unwrap()
            .execute_batch("DROP TABLE marks")
            .unwrap();
        assert!(matches!(
            open_writing(&file, SyncMode::Full).unwrap_err(),
            OpenError::Damaged { .. }
        ));
    }

    #[test]
    fn keys_of_a_shard_lie_together_in_the_order_of_their_sequence() {
        assert!(group_key(1, (1 << SEQUENCE_BITS) - 1) < group_key(2, 0));
        assert!(group_key((1 << (63 - SEQUENCE_BITS)) - 1, 5) > 0);
        assert_eq!(sequence(group_key(77, 123_456)), 123_456);
    }
}
