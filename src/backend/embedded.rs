//! The embedded backend: a durable store on this machine, with projects, keys and Logstores from the configuration.
//!
//! This file answers from memory who may do what; `writer` owns the writing thread, `store` the interface behind which
//! `sqlite` keeps the data, `reader` reads it back. It is one copy on one disk: acknowledged means synced there, no more.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use self::access::{Access, ConfigError, Key, Project, ProjectConfig};
use self::schema::SyncMode;
use self::sqlite::SqliteOpener;
use self::store::{Open, OpenError, Retention, Store};
use self::writer::{Arrangement, Counters, Rules, Shared, Writer};
use super::{
    Answer, Backend, BoxFuture, DescribeError, Linger, LoginOutcome, Logstore, Mark, Permission,
    Profile, SetError, WriteSet,
};
use crate::logs::{Bounds, Codec, SourceRule, TimeWindow};
use crate::tenant::{LogstoreName, ProjectName, Tenant};

pub mod access;
mod catalogue;
mod checkpointer;
mod folder;
pub mod reader;
mod retention;
pub mod schema;
pub mod service;
mod shards;
mod sqlite;
pub mod store;
pub mod writer;

/// Logstores of one project beyond which none is made on first use, as in the Log Service.
pub const LOGSTORES_PER_PROJECT_MAX: usize = 200;

/// Shards of one project beyond which no Logstore is made by a call, as in the Log Service.
pub const SHARDS_PER_PROJECT_MAX: u32 = 400;

/// Marks kept for one project; those unused longest go first.
pub const MARKS_PER_PROJECT_MAX: u64 = 100_000;

/// A mark goes this long after its last use.
pub const MARK_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Log times further ahead become the arrival time.
pub const FUTURE_SECONDS_MAX: u64 = 24 * 60 * 60;

pub const RETENTION_AGE_DEFAULT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
pub const RETENTION_BYTES_DEFAULT: u64 = 10 << 30;
pub const FREE_BYTES_MIN_DEFAULT: u64 = 256 << 20;

/// What the embedded store asks of those above it.
pub const PROFILE: Profile = Profile {
    // An old backlog keeps its times.
    window: TimeWindow {
        past_seconds_max: None,
        future_seconds_max: FUTURE_SECONDS_MAX,
    },
    bounds: Bounds {
        log_bytes_max: 1 << 20,
        piece_bytes_max: 4 << 20,
        piece_logs_max: 4096,
        name_bytes_max: 128,
        expansion_bytes_max: 128 << 20,
    },
    // The column holds LZ4 blocks, each with a CRC of its own.
    codec: Codec::LZ4,
    // What comes while a commit runs shares the next one; waiting would only add to a lone request's time.
    linger: Linger::NONE,
    // One in the commit that runs, one for the commit that follows.
    writes_in_flight_max: 2,
    source: SourceRule::Group,
    durable_marks: true,
};

/// The store and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// One server's own; made if it does not exist.
    pub data_dir: PathBuf,
    pub sync: SyncMode,
    /// Groups go this long after they were received.
    pub retention_age: Duration,
    /// Stored bytes that one Logstore may hold before its oldest groups go.
    pub retention_bytes_max: u64,
    /// Nothing is stored while the disk has less free space.
    pub free_bytes_min: u64,
    pub projects: Vec<ProjectConfig>,
}

/// Why the backend cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("cannot set up the configured Logstores: {0}")]
    Store(#[from] store::StoreError),
    #[error("cannot start the store's thread: {0}")]
    Thread(io::Error),
}

/// See the head of this file.
#[derive(Debug)]
pub struct Embedded {
    access: Access,
    shared: Arc<Shared>,
    writer: Writer,
    /// As they were at the start, until they are asked for.
    marks: Mutex<Vec<(Mark, i64)>>,
}

impl Embedded {
    /// Locks the data directory, opens or makes the store, and sets up what is configured. Blocks while it does.
    pub fn open(config: Config) -> Result<Self, StartError> {
        let access = Access::new(config.projects)?;
        let mut opener = SqliteOpener::new(&config.data_dir, config.sync)?;
        let mut store = opener.open()?;
        let arrangement = arrangement(&access);
        store.ensure(
            &arrangement.projects,
            &arrangement.logstores,
            writer::now_ms(),
        )?;
        let marks = store.marks()?;
        let rules = Rules {
            retention: Retention {
                age_max: config.retention_age,
                logstore_bytes_max: config.retention_bytes_max,
                mark_age_max: MARK_AGE_MAX,
                marks_max: MARKS_PER_PROJECT_MAX,
            },
            free_bytes_min: config.free_bytes_min,
            verdict_timeout: writer::VERDICT_TIMEOUT_DEFAULT,
        };
        let shared = Arc::new(Shared::default());
        let dir = config.data_dir;
        let free_bytes = Box::new(move || folder::free_bytes(&dir));
        let writer = Writer::start(
            opener,
            store,
            rules,
            &arrangement,
            free_bytes,
            shared.clone(),
        )
        .map_err(StartError::Thread)?;
        Ok(Self {
            access,
            shared,
            writer,
            marks: Mutex::new(marks),
        })
    }

    /// What was stored and expired since the start.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    fn find(
        &self,
        project: &ProjectName,
        settings: &Project,
        key: &Key,
        logstore: &LogstoreName,
    ) -> Option<Logstore> {
        if !key.covers(logstore) {
            // The same whether it exists or not: that is not this key's to know.
            return Some(Logstore {
                shards: Arc::from([0]),
                may_write: Permission::No,
                exists: true,
            });
        }
        let may_write = permission(key.rights.write);
        let stored = self.shared.catalogue.shards(project, logstore);
        if let Some(shards) = stored {
            let shards = settings.logstores.get(logstore).cloned().unwrap_or(shards);
            return Some(Logstore {
                shards,
                may_write,
                exists: true,
            });
        }
        let created = settings.created.clone()?;
        let is_room = self.shared.catalogue.logstore_count(project) < LOGSTORES_PER_PROJECT_MAX;
        is_room.then_some(Logstore {
            shards: created,
            may_write,
            exists: false,
        })
    }
}

impl Backend for Embedded {
    fn profile(&self) -> Profile {
        PROFILE
    }

    fn log_in(&self, tenant: &Arc<Tenant>) -> Answer<LoginOutcome> {
        Answer::Now(match self.access.admit(tenant) {
            Ok(_) => LoginOutcome::Proven,
            Err(refusal) => LoginOutcome::Refused(refusal.reason()),
        })
    }

    fn describe(
        &self,
        tenant: &Arc<Tenant>,
        logstore: &LogstoreName,
    ) -> Answer<Result<Logstore, DescribeError>> {
        let access = &self.access;
        // Whatever was wrong in a login that was let through looks the same.
        let Ok((project, key)) = access.admit(tenant) else {
            return Answer::Now(Err(DescribeError::BadKey));
        };
        Answer::Now(
            self.find(&tenant.project, project, key, logstore)
                .ok_or(DescribeError::NoLogstore),
        )
    }

    fn list(
        &self,
        tenant: &Arc<Tenant>,
        max: usize,
    ) -> Answer<Result<Vec<(LogstoreName, Logstore)>, DescribeError>> {
        let access = &self.access;
        let Ok((project, key)) = access.admit(tenant) else {
            return Answer::Now(Err(DescribeError::BadKey));
        };
        let listed = self
            .shared
            .catalogue
            .list(&tenant.project, max, |name| key.covers(name));
        let described = listed.into_iter().map(|(name, stored)| {
            let shards = project.logstores.get(&name).cloned().unwrap_or(stored);
            (
                name,
                Logstore {
                    shards,
                    may_write: permission(key.rights.write),
                    exists: true,
                },
            )
        });
        Answer::Now(Ok(described.collect()))
    }

    fn put(&self, set: WriteSet) -> BoxFuture<'static, Result<(), SetError>> {
        let put = self.writer.put(set);
        Box::pin(async move { Ok(put.await?) })
    }

    /// The first call hands them over; later ones find none.
    fn marks(&self) -> Vec<(Mark, i64)> {
        std::mem::take(&mut self.marks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        Box::pin(self.writer.close())
    }
}

fn permission(may: bool) -> Permission {
    if may { Permission::Yes } else { Permission::No }
}

fn arrangement(access: &Access) -> Arrangement {
    Arrangement {
        projects: access.projects(),
        logstores: access.logstores(),
        created_shard_counts: access.created_shard_counts(),
    }
}

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;
