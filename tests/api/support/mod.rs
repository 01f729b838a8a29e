//! A store with its API in this process, on a port of its own.

pub mod group;
pub mod request;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::ServerConfig;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use sluice::api::limits::Timeouts;
use sluice::api::{Api, Config};
use sluice::backend::Backend;
use sluice::backend::embedded::access::{KeyConfig, LogstoreConfig, ProjectConfig, Rights};
use sluice::backend::embedded::reader::{PAGE_BYTES_MAX, Reader, ShardPlace};
use sluice::backend::embedded::schema::SyncMode;
use sluice::backend::embedded::{self, Embedded};
use sluice::logs::decompress;
use sluice::tenant::{LogstoreName, ProjectName, Secret};

use request::{Key, Reply, Request};

pub const PROJECT: &str = "project-1";
pub const OTHER_PROJECT: &str = "project-2";
/// Two shards.
pub const LOGSTORE: &str = "logstore-1";
/// One shard.
pub const NARROW: &str = "narrow-1";
pub const REGION: &str = "test-region";

pub const ALL: Key = key("all");
pub const WRITER: Key = key("writer");
pub const READER: Key = key("reader");
pub const ADMIN: Key = key("admin");
/// All rights, for `NARROW` and `narrow-2` only.
pub const NARROW_KEY: Key = key("narrow");
/// Of the other project; that project has an `all` with this secret too.
pub const OTHER: Key = Key {
    id: "other",
    secret: "another-secret",
};

const fn key(id: &'static str) -> Key {
    Key {
        id,
        secret: "the-secret",
    }
}

/// What a test may want otherwise.
#[derive(Clone, Default)]
pub struct Settings {
    pub check_times: bool,
    pub timeouts: Timeouts,
    pub tls: Option<Arc<ServerConfig>>,
}

/// Stopped and drained when dropped.
pub struct Server {
    pub address: SocketAddr,
    store: Arc<Embedded>,
    dir: TempDir,
    runtime: Option<Runtime>,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<bool>>,
}

impl Server {
    pub fn start() -> Self {
        Self::start_with(Settings::default())
    }

    pub fn start_with(settings: Settings) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Arc::new(Embedded::open(store_config(dir.path())).expect("a store"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("threads");
        let config = Config {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: settings.tls,
            region: REGION.into(),
            check_times: settings.check_times,
            data_dir: dir.path().to_owned(),
            retention_age: Duration::from_secs(3 * 86_400),
            timeouts: settings.timeouts,
            drain_grace: Duration::from_secs(10),
        };
        let api = runtime
            .block_on(Api::bind(config, Arc::clone(&store)))
            .expect("a free port");
        let address = api.address();
        let (stop, stopped) = oneshot::channel();
        let serving = runtime.spawn(api.run(async {
            let _ = stopped.await;
        }));
        Self {
            address,
            store,
            dir,
            runtime: Some(runtime),
            stop: Some(stop),
            serving: Some(serving),
        }
    }

    /// Begins the drain, as SIGTERM does.
    pub fn begin_stop(&mut self) {
        self.stop.take();
    }

    /// Waits for the end of the drain. True: all went in order.
    pub fn end(&mut self) -> bool {
        self.begin_stop();
        match (&self.runtime, self.serving.take()) {
            (Some(runtime), Some(serving)) => runtime.block_on(serving).expect("it ends"),
            _ => true,
        }
    }

    pub fn send(&self, request: &Request) -> Reply {
        request.send(self.address)
    }

    /// Protobuf of all groups of a shard of the first project, as a reader of the files finds them.
    pub fn stored(&self, logstore: &str, shard: u32) -> Vec<Vec<u8>> {
        let reader = Reader::open(self.dir.path()).expect("a store");
        let place = ShardPlace {
            project: ProjectName::parse(PROJECT).expect("a name"),
            logstore: LogstoreName::parse(logstore).expect("a name"),
            shard,
        };
        let mut found = Vec::new();
        let mut cursor = 0;
        loop {
            let page = reader
                .read(&place, cursor, PAGE_BYTES_MAX, None)
                .expect("it can be read");
            if page.next == cursor {
                return found;
            }
            cursor = page.next;
            found.extend(page.groups.into_iter().map(|group| {
                let group = group.expect("a whole group");
                decompress(&group.lz4, group.raw_bytes as usize).expect("LZ4")
            }));
        }
    }

    /// Groups in all shards of the Logstore of two.
    pub fn stored_count(&self) -> usize {
        self.stored(LOGSTORE, 0).len() + self.stored(LOGSTORE, 1).len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
        if let Some(runtime) = self.runtime.take() {
            runtime.block_on(self.store.close());
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

fn store_config(dir: &Path) -> embedded::Config {
    let rights = |write, read, admin| Rights { write, read, admin };
    let keys = vec![
        key_config(ALL, rights(true, true, true), None),
        key_config(WRITER, rights(true, false, false), None),
        key_config(READER, rights(false, true, false), None),
        key_config(ADMIN, rights(false, false, true), None),
        key_config(
            NARROW_KEY,
            rights(true, true, true),
            Some(vec![logstore(NARROW), logstore("narrow-2")]),
        ),
    ];
    let same_id = Key {
        id: ALL.id,
        ..OTHER
    };
    let others = [OTHER, same_id].map(|key| key_config(key, rights(true, true, true), None));
    embedded::Config {
        data_dir: dir.to_owned(),
        sync: SyncMode::Normal,
        retention_age: Duration::from_secs(86_400),
        retention_bytes_max: 1 << 30,
        free_bytes_min: 0,
        projects: vec![
            project(PROJECT, keys),
            project(OTHER_PROJECT, others.into()),
        ],
    }
}

fn project(name: &str, keys: Vec<KeyConfig>) -> ProjectConfig {
    let logstores = [(LOGSTORE, 2), (NARROW, 1)].map(|(name, shard_count)| LogstoreConfig {
        name: logstore(name),
        shard_count,
    });
    ProjectConfig {
        name: ProjectName::parse(name).expect("a name"),
        keys,
        logstores: logstores.into(),
        // A call to a Logstore that does not exist makes none all the same.
        create_on_first_use: true,
        created_shard_count: 2,
    }
}

fn logstore(name: &str) -> LogstoreName {
    LogstoreName::parse(name).expect("a name")
}

fn key_config(key: Key, rights: Rights, logstores: Option<Vec<LogstoreName>>) -> KeyConfig {
    KeyConfig {
        id: key.id.to_owned(),
        secret: Secret::new(key.secret),
        rights,
        logstores,
    }
}

pub fn now_s() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(now.expect("after 1970").as_secs()).expect("not yet")
}
