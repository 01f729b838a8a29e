use std::time::Duration;

use proptest::prelude::*;

use super::expire::{FREE_PAGES_MIN, SLICE_GROUPS_MAX, VACUUM_PAGES};
use super::*;
use crate::backend::WriteSet;
use crate::backend::embedded::fixtures::{
    RETENTION, append, mark, opened, place, project, set, spec, stored,
};
use crate::backend::embedded::reader::Reader;

fn reopened(opener: &mut SqliteOpener, store: SqliteStore) -> SqliteStore {
    drop(store);
    opener.open().unwrap()
}

#[test]
fn a_batch_is_counted_and_found_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let (mut opener, mut store) = opened(dir.path());
    append(
        &mut store,
        5,
        &[
            set("access", 0, 300),
            set("access", 1, 200_000),
            set("access", 0, 10),
        ],
    );
    let store = reopened(&mut opener, store);
    assert_eq!(store.last_commit(), 1);
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(stored(&reader, &place("access", 0)), [(0, 300), (1, 10)]);
    assert_eq!(stored(&reader, &place("access", 1)), [(0, 200_000)]);
}

#[test]
fn a_batch_that_fails_in_its_last_set_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut opener, mut store) = opened(dir.path());
    let sets = [set("access", 0, 300), set("missing", 0, 1)];
    let batch = Batch {
        number: 1,
        now_ms: 1,
        created: &[spec("made", 1)],
        sets: &[&sets[0], &sets[1]],
    };
    assert!(matches!(store.append(batch), Err(StoreError::Nothing(_))));
    let store = reopened(&mut opener, store);
    assert_eq!(
        (store.last_commit(), store.shards.specs()),
        (0, vec![spec("access", 2)])
    );
    assert_eq!(
        stored(&Reader::open(dir.path()).unwrap(), &place("access", 0)),
        []
    );
}

#[test]
fn a_full_disk_is_known_to_have_stored_nothing_and_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let (mut opener, mut store) = opened(dir.path());
    append(&mut store, 1, &[set("access", 0, 100)]);
    let pages: i64 = store
        .connection
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .unwrap();
    store
        .connection
        .pragma_update_and_check(None, "max_page_count", pages + 2, |_| Ok(()))
        .unwrap();
    let large = set("access", 0, 1 << 20);
    let batch = Batch {
        number: 2,
        now_ms: 1,
        created: &[],
        sets: &[&large],
    };
    assert!(matches!(store.append(batch), Err(StoreError::Nothing(_))));
    let mut store = reopened(&mut opener, store);
    append(&mut store, 2, &[large]);
    assert_eq!(
        stored(&Reader::open(dir.path()).unwrap(), &place("access", 0)),
        [(0, 100), (1, 1 << 20)]
    );
}

#[test]
fn marks_are_replaced_by_key_and_survive() {
    let dir = tempfile::tempdir().unwrap();
    let (mut opener, mut store) = opened(dir.path());
    let first = WriteSet {
        groups: Vec::new(),
        marks: vec![mark("a", "1"), mark("b", "1")],
        ..WriteSet::default()
    };
    append(&mut store, 5_000, &[first]);
    let second = WriteSet {
        groups: Vec::new(),
        marks: vec![mark("a", "2")],
        ..WriteSet::default()
    };
    append(&mut store, 6_000, &[second]);
    let store = reopened(&mut opener, store);
    assert_eq!(
        store.marks().unwrap(),
        [(mark("a", "2"), 6), (mark("b", "1"), 5)]
    );
    assert_eq!(
        store.shards.project(&project("shop")).unwrap().mark_count,
        2
    );
}

#[test]
fn marks_unused_for_their_age_go_and_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let (_opener, mut store) = opened(dir.path());
    let marks = (0..2500)
        .map(|number| mark(&format!("{number:05}"), "old"))
        .collect();
    append(
        &mut store,
        0,
        &[WriteSet {
            groups: Vec::new(),
            marks,
            ..WriteSet::default()
        }],
    );
    append(
        &mut store,
        2_000,
        &[WriteSet {
            groups: Vec::new(),
            marks: vec![mark("01234", "new")],
            ..WriteSet::default()
        }],
    );
    let rule = Retention {
        mark_age_max: Duration::from_secs(1),
        marks_max: 10_000,
        ..RETENTION
    };
    let mut gone = 0;
    for _ in 0..3 {
        gone += store.expire(&rule, 2_000).unwrap().marks;
    }
    assert_eq!(gone, 2499);
    assert_eq!(store.marks().unwrap(), [(mark("01234", "new"), 2)]);
}

#[test]
fn over_the_limit_the_marks_unused_longest_go() {
    let dir = tempfile::tempdir().unwrap();
    let (_opener, mut store) = opened(dir.path());
    for second in 0..5 {
        let marks = vec![mark(&format!("k{}", 9 - second), "x")];
        append(
            &mut store,
            second * 1000,
            &[WriteSet {
                groups: Vec::new(),
                marks,
                ..WriteSet::default()
            }],
        );
    }
    let expired = store
        .expire(
            &Retention {
                marks_max: 3,
                ..RETENTION
            },
            5_000,
        )
        .unwrap();
    assert_eq!(expired.marks, 2);
    let left: Vec<i64> = store
        .marks()
        .unwrap()
        .into_iter()
        .map(|(_, used)| used)
        .collect();
    assert_eq!(left, [4, 3, 2]);
}

#[test]
fn groups_past_their_age_go_in_slices_and_their_sequences_are_not_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let (mut opener, mut store) = opened(dir.path());
    let count = 2 * SLICE_GROUPS_MAX + 88;
    let many: Vec<WriteSet> = (0..count).map(|_| set("access", 0, 1)).collect();
    append(&mut store, 1_000, &many);
    append(&mut store, 10_000, &[set("access", 1, 20)]);
    let rule = Retention {
        age_max: Duration::from_secs(5),
        ..RETENTION
    };
    let mut slices = Vec::new();
    loop {
        let expired = store.expire(&rule, 10_000).unwrap();
        slices.push(expired.groups);
        if !expired.more {
            break;
        }
    }
    let full = SLICE_GROUPS_MAX.unsigned_abs();
    assert_eq!(slices, [full, full, 88, 0]);
    let mut store = reopened(&mut opener, store);
    append(&mut store, 10_001, &[set("access", 0, 7)]);
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(
        stored(&reader, &place("access", 0)),
        [(count.unsigned_abs(), 7)]
    );
    assert_eq!(stored(&reader, &place("access", 1)), [(0, 20)]);
}

#[test]
fn a_logstore_over_its_size_loses_its_oldest_groups_and_no_other_does() {
    let dir = tempfile::tempdir().unwrap();
    let (_opener, mut store) = opened(dir.path());
    store.ensure(&[], &[spec("other", 1)], 1).unwrap();
    append(&mut store, 1, &[set("other", 0, 900)]);
    for shard in [0, 1, 0, 1, 0] {
        append(&mut store, 2, &[set("access", shard, 436)]);
    }
    // Each group counts 500 bytes with its overhead.
    let rule = Retention {
        logstore_bytes_max: 1500,
        ..RETENTION
    };
    let expired = store.expire(&rule, 3).unwrap();
    assert_eq!((expired.groups, expired.bytes, expired.logs), (2, 1000, 6));
    assert!(!store.expire(&rule, 3).unwrap().more);
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(stored(&reader, &place("other", 0)), [(0, 900)]);
    let sizes: Vec<u64> = reader
        .logstores()
        .unwrap()
        .into_iter()
        .map(|found| found.bytes)
        .collect();
    assert_eq!(sizes, [1500, 964]);
}

#[test]
fn shards_are_added_and_never_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    let (mut opener, mut store) = opened(dir.path());
    for shard_count in [4, 1] {
        store
            .ensure(&[], &[spec("access", shard_count)], 1)
            .unwrap();
        assert_eq!(store.shards.specs(), [spec("access", 4)]);
    }
    append(&mut store, 1, &[set("access", 3, 1)]);
    assert_eq!(
        reopened(&mut opener, store).shards.specs(),
        [spec("access", 4)]
    );
}

#[test]
fn freed_pages_go_back_to_the_file_system_in_steps() {
    let dir = tempfile::tempdir().unwrap();
    let (_opener, mut store) = opened(dir.path());
    for _ in 0..16 {
        append(&mut store, 1, &[set("access", 0, 1 << 20)]);
    }
    let pages = |store: &SqliteStore| -> i64 {
        store
            .connection
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .unwrap()
    };
    let before = pages(&store);
    while store.expire(&RETENTION, 10_000_000).unwrap().more {}
    assert!(store.tidy().unwrap());
    assert_eq!(before - pages(&store), VACUUM_PAGES);
    while store.tidy().unwrap() {}
    assert!(pages(&store) <= FREE_PAGES_MIN + 100);
}

#[test]
fn the_wal_is_started_over_when_it_has_become_long_even_with_a_reader_open() {
    let dir = tempfile::tempdir().unwrap();
    let (_opener, mut store) = opened(dir.path());
    let reader = Reader::open(dir.path()).unwrap();
    let large = vec![set("access", 0, 4 << 20)];
    for _ in 0..3 {
        append(&mut store, 1, &large);
    }
    store.restart_bytes = 0;
    store.tidy().unwrap();
    assert_eq!(store.restart_bytes, WAL_BYTES_MAX);
    let wal = dir.path().join("sluice.db-wal");
    let before = wal.metadata().unwrap().len();
    append(&mut store, 1, &large);
    assert_eq!(wal.metadata().unwrap().len(), before);
    assert_eq!(stored(&reader, &place("access", 0)).len(), 4);
}

#[test]
fn a_closed_store_has_everything_in_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let (opener, mut store) = opened(dir.path());
    append(&mut store, 1, &[set("access", 0, 5)]);
    store.close().unwrap();
    drop(opener);
    assert!(!dir.path().join("sluice.db-wal").exists());
    assert_eq!(
        stored(&Reader::open(dir.path()).unwrap(), &place("access", 0)),
        [(0, 5)]
    );
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<(u32, usize)>),
    /// Everything older than so many milliseconds goes.
    Expire(u64),
    Reopen,
}

/// What a shard holds, as (receive time, sequence, bytes), and its next sequence.
type Model = (Vec<(i64, u64, usize)>, u64);

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec((0..2u32, 0..40_000usize), 0..5).prop_map(Step::Append),
        1 => (0..8u64).prop_map(Step::Expire),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_run_of_steps_leaves_what_a_list_would(steps in prop::collection::vec(step(), 1..25)) {
        let dir = tempfile::tempdir().unwrap();
        let (mut opener, mut store) = opened(dir.path());
        let mut model: [Model; 2] = Default::default();
        for (at, step) in steps.into_iter().enumerate() {
            let now_ms = i64::try_from(at).unwrap();
            match step {
                Step::Append(groups) => {
                    let sets: Vec<WriteSet> = groups.iter().map(|(shard, bytes)| set("access", *shard, *bytes)).collect();
                    append(&mut store, now_ms, &sets);
                    for (shard, bytes) in groups {
                        let (there, next) = &mut model[shard as usize];
                        there.push((now_ms, *next, bytes));
                        *next += 1;
                    }
                }
                Step::Expire(age_ms) => {
                    let rule = Retention { age_max: Duration::from_millis(age_ms), ..RETENTION };
                    while store.expire(&rule, now_ms).unwrap().more {}
                    for (there, _) in &mut model {
                        there.retain(|(receive_ms, ..)| *receive_ms >= now_ms - age_ms.cast_signed());
                    }
                }
                Step::Reopen => store = reopened(&mut opener, store),
            }
        }
        let reader = Reader::open(dir.path()).unwrap();
        for (shard, (there, next)) in (0..).zip(model) {
            let place = place("access", shard);
            let expected: Vec<(u64, usize)> = there.iter().map(|(_, sequence, bytes)| (*sequence, *bytes)).collect();
            prop_assert_eq!(stored(&reader, &place), expected);
            prop_assert_eq!(reader.end(&place).unwrap(), next);
            for now_ms in 0..25 {
                let first = there.iter().find(|(receive_ms, ..)| *receive_ms >= now_ms).map_or(next, |found| found.1);
                prop_assert_eq!(reader.at_receive_time(&place, now_ms).unwrap(), first);
            }
        }
    }
}
