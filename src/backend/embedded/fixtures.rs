//! What the tests of several files of the store share.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::access::{KeyConfig, LogstoreConfig, ProjectConfig, Rights};
use super::reader::{Reader, ShardPlace};
use super::schema::SyncMode;
use super::sqlite::{SqliteOpener, SqliteStore};
use super::store::{Batch, LogstoreSpec, Open, Retention, Store};
use super::{Config, Embedded};
use crate::backend::{Mark, Placed, WriteSet};
use crate::logs::LogGroup;
use crate::tenant::{Credentials, LogstoreName, ProjectName, Secret, Tenant};

pub const RETENTION: Retention = Retention {
    age_max: Duration::from_secs(3600),
    logstore_bytes_max: 1 << 30,
    mark_age_max: Duration::from_secs(86_400),
    marks_max: 1000,
};

pub fn project(name: &str) -> ProjectName {
    ProjectName::parse(name).unwrap()
}

pub fn logstore(name: &str) -> LogstoreName {
    LogstoreName::parse(name).unwrap()
}

pub fn tenant_with(project_name: &str, id: &str, secret: &str) -> Arc<Tenant> {
    let credentials = Arc::new(Credentials {
        access_key_id: id.to_owned(),
        access_key_secret: Secret::new(secret),
        security_token: None,
    });
    Arc::new(Tenant {
        project: project(project_name),
        credentials,
        region: "cn-hangzhou".into(),
        endpoint: "cn-hangzhou.log.example.com".into(),
        peer: std::net::Ipv4Addr::LOCALHOST.into(),
    })
}

/// A group of so many bytes, its logs' times around `time`.
pub fn group(bytes: usize, time: u32) -> LogGroup {
    let body = (0..bytes).map(|at| (at * 31 + bytes) as u8).collect();
    LogGroup {
        body,
        digest: None,
        raw_bytes: 2 * bytes as u32,
        log_count: 3,
        time_min: time,
        time_max: time + 1,
    }
}

/// One group for `shop/{logstore}`.
pub fn set(logstore_name: &str, shard: u32, bytes: usize) -> WriteSet {
    let tenant = tenant_with("shop", "agent", "s3cret");
    let placed = Placed {
        tenant,
        logstore: logstore(logstore_name),
        shard,
        group: group(bytes, 1000),
        shares: Vec::new(),
    };
    WriteSet {
        groups: vec![placed],
        marks: Vec::new(),
        ..WriteSet::default()
    }
}

pub fn mark(key: &str, value: &str) -> Mark {
    Mark {
        project: project("shop"),
        key: key.into(),
        value: value.into(),
    }
}

pub fn place(logstore_name: &str, shard: u32) -> ShardPlace {
    ShardPlace {
        project: project("shop"),
        logstore: logstore(logstore_name),
        shard,
    }
}

pub fn spec(logstore_name: &str, shard_count: u32) -> LogstoreSpec {
    LogstoreSpec {
        project: project("shop"),
        logstore: logstore(logstore_name),
        shard_count,
    }
}

/// Project `shop` with the Logstore `access` of two shards and three keys.
pub fn shop() -> ProjectConfig {
    let key = |id: &str, rights, logstores| KeyConfig {
        id: id.to_owned(),
        secret: Secret::new("s3cret"),
        rights,
        logstores,
    };
    ProjectConfig {
        name: project("shop"),
        keys: vec![
            key("agent", Rights::default(), None),
            key(
                "reader",
                Rights {
                    write: false,
                    read: true,
                    admin: false,
                },
                None,
            ),
            key("narrow", Rights::default(), Some(vec![logstore("access")])),
        ],
        logstores: vec![LogstoreConfig {
            name: logstore("access"),
            shard_count: 2,
        }],
        create_on_first_use: false,
        created_shard_count: 3,
    }
}

pub fn config(dir: &Path) -> Config {
    Config {
        data_dir: dir.to_owned(),
        sync: SyncMode::Full,
        retention_age: Duration::from_secs(3600),
        retention_bytes_max: 1 << 30,
        free_bytes_min: 0,
        projects: vec![shop()],
    }
}

pub fn embedded(dir: &Path) -> Embedded {
    Embedded::open(config(dir)).unwrap()
}

/// An opener and its open store with `shop/access`, two shards.
pub fn opened(dir: &Path) -> (SqliteOpener, SqliteStore) {
    let mut opener = SqliteOpener::new(dir, SyncMode::Full).unwrap();
    let mut store = opener.open().unwrap();
    store.ensure(&[], &[spec("access", 2)], 1).unwrap();
    (opener, store)
}

pub fn append(store: &mut impl Store, now_ms: i64, sets: &[WriteSet]) {
    let sets: Vec<&WriteSet> = sets.iter().collect();
    let number = store.last_commit() + 1;
    store
        .append(Batch {
            number,
            now_ms,
            created: &[],
            sets: &sets,
        })
        .unwrap();
}

/// (Sequence, bytes) of all groups of the shard, page by page.
pub fn stored(reader: &Reader, place: &ShardPlace) -> Vec<(u64, usize)> {
    let mut found = Vec::new();
    let mut cursor = 0;
    loop {
        let page = reader.read(place, cursor, 1000, None).unwrap();
        if page.next == cursor {
            return found;
        }
        cursor = page.next;
        for group in page.groups {
            let group = group.unwrap();
            found.push((group.sequence, group.lz4.len()));
        }
    }
}
