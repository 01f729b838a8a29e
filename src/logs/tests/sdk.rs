//! What is written against the Log Service's own SDK: it reads any group of ours, and writes the same bytes.

use aliyun_log_sdk_protobuf::LogGroupList;
use proptest::prelude::*;

use super::apart::{closer_of, group};
use super::*;
use crate::logs::wire::{LOGS, put_delimited};

/// What the SDK makes of a group: read by it, written by it again, and its count of logs.
fn through_the_sdk(raw: &[u8]) -> (Vec<u8>, usize) {
    // It reads lists only. `LogGroupList.LogGroups` has the tag of `LogGroup.Logs`.
    let mut list = Vec::new();
    put_delimited(&mut list, LOGS, raw);
    let list = LogGroupList::decode(&list).expect("a good group");
    let [group] = list.log_groups().as_slice() else {
        panic!("another count of groups");
    };
    (group.encode().expect("a good group"), group.logs().len())
}

fn check(group: &LogGroup, compression: Compression) {
    let raw = compression.decompress(&group.body, group.raw_bytes as usize);
    let raw = raw.expect("our own body");
    let (again, count) = through_the_sdk(&raw);
    assert_eq!(count, group.log_count as usize);
    assert_eq!(again, raw);
}

proptest! {
    #[test]
    fn the_sdk_writes_any_group_as_we_do((group, compression) in group()) {
        check(&group, compression);
    }

    #[test]
    fn the_sdk_writes_repaired_groups_as_we_do((group, compression) in group()) {
        let mut apart = Apart::open(&group, compression).unwrap();
        let all = 0..apart.log_count();
        apart.repair(all.clone(), Repair::Time { now_s: 7, window: None });
        apart.repair(all.clone(), Repair::Base64 { name_bytes_max: 128 });
        check(&apart.group(all, &mut closer_of(compression)), compression);
    }
}
