//! The embedded Log Service as a backend, and what it has stored.

#![allow(dead_code, reason = "each binary uses a part of it")]

use std::path::Path;
use std::sync::Arc;

use sluice::backend::Backend;
use sluice::backend::embedded::access::{KeyConfig, LogstoreConfig, ProjectConfig, Rights};
use sluice::backend::embedded::reader::{PAGE_BYTES_MAX, Reader, ShardPlace};
use sluice::backend::embedded::schema::SyncMode;
use sluice::backend::embedded::{self, Embedded};
use sluice::logs::{LogGroupReader, decompress};
use sluice::tenant::{LogstoreName, ProjectName, Secret};

use super::{LOGSTORE, PROJECT};

/// The embedded Log Service with one project, one key and one Logstore of three shards.
pub fn embedded(folder: &Path, create_on_first_use: bool) -> Arc<dyn Backend> {
    let logstore = LogstoreConfig {
        name: LogstoreName::parse(LOGSTORE).expect("a good name"),
        shard_count: 3,
    };
    let project = ProjectConfig {
        name: ProjectName::parse(PROJECT).expect("a good name"),
        keys: vec![KeyConfig {
            id: "key-id".into(),
            secret: Secret::new("key-secret"),
            rights: Rights::default(),
            logstores: None,
        }],
        logstores: vec![logstore],
        create_on_first_use,
        created_shard_count: 2,
    };
    let store = Embedded::open(embedded::Config {
        data_dir: folder.join("data"),
        sync: SyncMode::Full,
        retention_age: embedded::RETENTION_AGE_DEFAULT,
        retention_bytes_max: embedded::RETENTION_BYTES_DEFAULT,
        free_bytes_min: 0,
        projects: vec![project],
    });
    Arc::new(store.expect("the store opens"))
}

/// The field `content` of every log that is stored in a Logstore.
pub fn contents(folder: &Path, logstore: &str) -> Vec<String> {
    contents_by_shard(folder, logstore).concat()
}

/// As [`contents`], of each shard in the order of storing.
pub fn contents_by_shard(folder: &Path, logstore: &str) -> Vec<Vec<String>> {
    let reader = Reader::open(&folder.join("data")).expect("the store can be read");
    let mut contents = Vec::new();
    for stored in reader.logstores().expect("readable") {
        if stored.logstore.as_str() != logstore {
            continue;
        }
        for shard in 0..stored.shard_count {
            let place = ShardPlace {
                project: stored.project.clone(),
                logstore: stored.logstore.clone(),
                shard,
            };
            contents.push(shard_contents(&reader, &place));
        }
    }
    contents
}

fn shard_contents(reader: &Reader, place: &ShardPlace) -> Vec<String> {
    let mut contents = Vec::new();
    let mut cursor = reader.begin(place).expect("readable");
    loop {
        let page = reader
            .read(place, cursor, PAGE_BYTES_MAX, None)
            .expect("readable");
        if page.next == cursor {
            return contents;
        }
        cursor = page.next;
        for group in page.groups {
            let group = group.expect("undamaged");
            let raw = decompress(&group.lz4, group.raw_bytes as usize).expect("one LZ4 block");
            let logs = LogGroupReader::new(&raw).expect("a LogGroup");
            for log in logs.logs() {
                contents.extend(
                    log.contents()
                        .filter(|(name, _)| *name == "content")
                        .map(|(_, value)| value.to_owned()),
                );
            }
        }
    }
}
