//! Shards that are split, merged or missing.

use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::support::client::{Ask, ask, batch};
use crate::support::eventually;
use crate::support::request::Call;
use crate::support::script::Rule;
use crate::support::service::Service;
use crate::support::setup::{SHARDS_REFRESH, Setup};
use crate::support::world::Shard;
use crate::support::{LOGSTORE, PROJECT};

fn set_shards(service: &Service, ids: &[u32]) {
    let shards = ids.iter().map(|id| Shard {
        id: *id,
        writable: true,
    });
    service.change(|world| {
        let logstores = &mut world.project(PROJECT).logstores;
        logstores.get_mut(LOGSTORE).expect("it is there").shards = shards.collect();
    });
}

#[test]
fn new_shards_are_written_to_after_the_refresh_and_old_ones_no_more() {
    let setup = Setup::refreshing();
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    set_shards(&setup.service, &[1, 3, 4, 5]);
    eventually("the new ones are known", || {
        client.metadata(LOGSTORE, false) == (0, 4)
    });
    let before = setup.service.change(|world| world.stored.len());
    for _ in 0..8 {
        assert_eq!(client.produce(&ask(LOGSTORE, batch(&["a"]))), [0]);
    }
    let written = setup.service.change(|world| {
        let stored = world.stored[before..].iter();
        let mut shards: Vec<u32> = stored.map(|stored| stored.shard).collect();
        shards.sort_unstable();
        shards
    });
    assert_eq!(written, [1, 1, 3, 3, 4, 4, 5, 5]);
}

#[test]
fn the_partition_count_never_falls_when_shards_merge() {
    let setup = Setup::refreshing();
    let mut client = setup.client();
    set_shards(&setup.service, &[0, 1, 2, 3, 4]);
    assert_eq!(client.metadata(LOGSTORE, false), (0, 5));
    set_shards(&setup.service, &[5, 6]);
    thread::sleep(SHARDS_REFRESH * 2);
    let calls = setup.service.count(Call::ListShards);
    eventually("they were asked for again", || {
        assert_eq!(client.metadata(LOGSTORE, false), (0, 5));
        setup.service.count(Call::ListShards) > calls
    });
    thread::sleep(Duration::from_millis(100));
    assert_eq!(client.metadata(LOGSTORE, false), (0, 5));
    for partition in 0..5 {
        let sets = vec![(partition, batch(&["a"]))];
        let asked = Ask {
            sets,
            ..ask(LOGSTORE, Bytes::new())
        };
        assert_eq!(client.produce(&asked), [0], "partition {partition}");
    }
    let shards = setup.service.change(|world| {
        let stored = world.stored.iter();
        stored.map(|stored| stored.shard).collect::<Vec<_>>()
    });
    assert!(
        shards.iter().all(|shard| [5, 6].contains(shard)),
        "{shards:?}"
    );
}

#[test]
fn a_shard_that_is_gone_is_asked_for_at_once_and_nothing_is_lost() {
    let setup = Setup::new();
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    // As while a shard is split: what is known is wrong, and the refresh is far away.
    set_shards(&setup.service, &[7, 8]);
    let gone = Rule::refuse(Call::PutLogs, 400, "ShardNotExist").times(2);
    setup.service.script(gone);
    assert_eq!(client.produce(&ask(LOGSTORE, batch(&["a"]))), [0]);
    assert_eq!(setup.stored(), ["a"]);
    assert!(setup.service.count(Call::ListShards) >= 2, "asked anew");
}

#[test]
fn shards_that_are_missing_for_a_moment_are_no_missing_logstore() {
    for code in ["ShardNotExist", "LogStoreWithoutShard"] {
        let setup = Setup::new();
        let mut client = setup.client();
        assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
        let gone = Rule::refuse(Call::PutLogs, 400, code);
        let end = Instant::now() + Duration::from_millis(700);
        setup.service.script(gone.until(end));
        assert_eq!(client.produce(&ask(LOGSTORE, batch(&["a"]))), [0], "{code}");
        assert_eq!(setup.stored(), ["a"]);
    }
}
