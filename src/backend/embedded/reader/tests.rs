use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::backend::WriteSet;
use crate::backend::embedded::fixtures::{append, group, opened, place, set, stored};
use crate::backend::embedded::store::Store;

#[test]
fn what_does_not_exist_is_named() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(
        Reader::open(dir.path()),
        Err(OpenError::Missing { .. })
    ));
    let (_opener, _store) = opened(dir.path());
    let reader = Reader::open(dir.path()).unwrap();
    assert!(matches!(
        reader.end(&place("missing", 0)),
        Err(ReadError::NoLogstore { .. })
    ));
    assert!(matches!(
        reader.read(&place("access", 2), 0, 1, None),
        Err(ReadError::NoShard { shard: 2, .. })
    ));
}

#[test]
fn an_empty_shard_begins_where_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let (_opener, _store) = opened(dir.path());
    let reader = Reader::open(dir.path()).unwrap();
    let place = place("access", 0);
    assert_eq!(
        (reader.begin(&place).unwrap(), reader.end(&place).unwrap()),
        (0, 0)
    );
    assert_eq!(reader.at_receive_time(&place, 0).unwrap(), 0);
    assert_eq!(
        reader.read(&place, 0, 100, None).unwrap(),
        Page {
            groups: Vec::new(),
            next: 0
        }
    );
    assert_eq!(reader.read(&place, 7, 100, None).unwrap().next, 7);
}

#[test]
fn a_range_of_cursors_is_read_to_its_end_and_no_further() {
    let dir = tempfile::tempdir().unwrap();
    let (_opener, mut store) = opened(dir.path());
    for now_ms in [1000, 2000, 3000] {
        append(&mut store, now_ms, &[set("access", 0, 100)]);
    }
    let reader = Reader::open(dir.path()).unwrap();
    let place = place("access", 0);
    let check = |cursors: Range<u64>, bytes_max, count, next| {
        let page = reader
            .read_range(&place, cursors.clone(), bytes_max)
            .unwrap();
        assert_eq!((page.groups.len(), page.next), (count, next), "{cursors:?}");
    };
    check(0..2, 1000, 2, 2);
    check(1..2, 1000, 1, 2);
    check(0..9, 1000, 3, 3);
    check(0..3, 150, 1, 1);
    check(3..9, 1000, 0, 3);
    check(2..2, 1000, 0, 2);
    assert_eq!(reader.receive_time(&place, 1).unwrap(), Some(2000));
    assert_eq!(reader.receive_time(&place, 3).unwrap(), None);
    let made = |name: &str| {
        let logstore = LogstoreName::parse(name).unwrap();
        reader.created(&place.project, &logstore).unwrap()
    };
    assert_eq!((made("access"), made("missing")), (Some(1), None));
}

#[test]
fn a_page_holds_what_fits_but_at_least_one_group() {
    let dir = tempfile::tempdir().unwrap();
    let (_opener, mut store) = opened(dir.path());
    append(
        &mut store,
        1,
        &[
            set("access", 0, 600),
            set("access", 0, 400),
            set("access", 0, 1),
        ],
    );
    let reader = Reader::open(dir.path()).unwrap();
    let check = |cursor, bytes_max, count, next| {
        let page = reader
            .read(&place("access", 0), cursor, bytes_max, None)
            .unwrap();
        assert_eq!(
            (page.groups.len(), page.next),
            (count, next),
            "{cursor} {bytes_max}"
        );
    };
    check(0, 0, 1, 1);
    check(0, 999, 1, 1);
    check(0, 1000, 2, 2);
    check(0, usize::MAX, 3, 3);
    check(1, 401, 2, 3);
    check(3, 1000, 0, 3);
}

#[test]
fn a_group_comes_back_as_it_was_stored() {
    let dir = tempfile::tempdir().unwrap();
    let (_opener, mut store) = opened(dir.path());
    append(&mut store, 777, &[set("access", 1, 123_456)]);
    let reader = Reader::open(dir.path()).unwrap();
    let page = reader.read(&place("access", 1), 0, 0, None).unwrap();
    let expected = StoredGroup {
        sequence: 0,
        receive_ms: 777,
        time_min: 1000,
        time_max: 1001,
        log_count: 3,
        raw_bytes: 246_912,
        lz4: group(123_456, 0).body.to_vec(),
    };
    assert_eq!(page.groups, [Ok(expected)]);
}

#[test]
fn a_range_of_log_times_passes_over_groups_outside_it() {
    let dir = tempfile::tempdir().unwrap();
    let (_opener, mut store) = opened(dir.path());
    for time in [100, 300, 200] {
        let mut sets = [set("access", 0, 10)];
        (
            sets[0].groups[0].group.time_min,
            sets[0].groups[0].group.time_max,
        ) = (time, time + 50);
        append(&mut store, 1, &sets);
    }
    let reader = Reader::open(dir.path()).unwrap();
    let check = |times: RangeInclusive<u32>, expected: &[u64]| {
        let page = reader
            .read(&place("access", 0), 0, 1000, Some(times.clone()))
            .unwrap();
        let found: Vec<u64> = page
            .groups
            .into_iter()
            .map(|group| group.unwrap().sequence)
            .collect();
        assert_eq!((&*found, page.next), (expected, 3), "{times:?}");
    };
    check(0..=99, &[]);
    check(150..=150, &[0]);
    check(151..=200, &[2]);
    check(225..=1000, &[1, 2]);
}

#[test]
fn a_log_time_is_looked_for_from_one_day_before_on() {
    let dir = tempfile::tempdir().unwrap();
    let (_opener, mut store) = opened(dir.path());
    for day in 0..4 {
        append(&mut store, day * 86_400_000, &[set("access", 0, 10)]);
    }
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(reader.at_log_time(&place("access", 0), 0).unwrap(), 0);
    assert_eq!(
        reader.at_log_time(&place("access", 0), 3 * 86_400).unwrap(),
        2
    );
    assert_eq!(
        reader.at_log_time(&place("access", 0), u32::MAX).unwrap(),
        4
    );
}

#[test]
fn a_bit_flipped_on_disk_is_reported_and_its_neighbours_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let (opener, mut store) = opened(dir.path());
    append(
        &mut store,
        1,
        &[
            set("access", 0, 10),
            set("access", 0, 500_000),
            set("access", 0, 20),
        ],
    );
    store.close().unwrap();
    drop(opener);
    let file = dir.path().join("sluice.db");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2 + 100;
    bytes[middle] ^= 4;
    std::fs::write(&file, bytes).unwrap();
    let page = Reader::open(dir.path())
        .unwrap()
        .read(&place("access", 0), 0, 1 << 20, None)
        .unwrap();
    let damaged = page.groups[1].clone().unwrap_err();
    assert_eq!((damaged.sequence, damaged.place), (1, place("access", 0)));
    assert_eq!(page.groups[2].as_ref().unwrap().sequence, 2);
    assert_eq!((page.groups.len(), page.next), (3, 3));
}

#[test]
fn reads_go_on_while_groups_are_stored_and_see_them_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (_opener, mut store) = opened(dir.path());
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let reader = Reader::open(dir.path()).unwrap();
            let mut passes = 0;
            loop {
                let is_last = ended.load(Ordering::Acquire);
                let found = stored(&reader, &place("access", 0));
                assert!(
                    found
                        .iter()
                        .enumerate()
                        .all(|(at, (sequence, _))| at as u64 == *sequence)
                );
                passes += 1;
                if is_last {
                    return (found.len(), passes);
                }
            }
        });
        for _ in 0..100 {
            let sets: [WriteSet; 2] = [set("access", 0, 3000), set("access", 0, 30)];
            append(&mut store, 1, &sets);
        }
        ended.store(true, Ordering::Release);
        let (count, passes) = reading.join().unwrap();
        assert_eq!(count, 200);
        assert!(passes > 0);
    });
}

#[test]
fn a_missing_group_is_reported_where_it_should_stand() {
    let dir = tempfile::tempdir().unwrap();
    let (_opener, mut store) = opened(dir.path());
    let sets: Vec<WriteSet> = (0..6).map(|_| set("access", 0, 10)).collect();
    append(&mut store, 1, &sets);
    let vandal = Connection::open(dir.path().join("sluice.db")).unwrap();
    vandal
        .execute_batch("DELETE FROM groups WHERE key & 15 IN (2, 3, 5)")
        .unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    let page = reader.read(&place("access", 0), 0, 1 << 20, None).unwrap();
    let found: Vec<_> = page
        .groups
        .into_iter()
        .map(|group| {
            group
                .map(|group| group.sequence)
                .map_err(|damaged| (damaged.sequence, damaged.damage))
        })
        .collect();
    let missing = |sequence, count| Err((sequence, Damage::Missing { count }));
    assert_eq!(found, [Ok(0), Ok(1), missing(2, 2), Ok(4), missing(5, 1)]);
    assert_eq!(page.next, 6);
}

#[test]
fn a_changed_column_is_reported_as_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (_opener, mut store) = opened(dir.path());
    append(
        &mut store,
        1,
        &[
            set("access", 0, 10),
            set("access", 0, 10),
            set("access", 0, 10),
        ],
    );
    let vandal = Connection::open(dir.path().join("sluice.db")).unwrap();
    vandal
        .execute_batch("UPDATE groups SET receive_ms = receive_ms + 1 WHERE key & 15 = 0")
        .unwrap();
    vandal
        .execute_batch("UPDATE groups SET log_count = -1 WHERE key & 15 = 1")
        .unwrap();
    let page = Reader::open(dir.path())
        .unwrap()
        .read(&place("access", 0), 0, 1000, None)
        .unwrap();
    let damage = |at: usize| {
        page.groups[at]
            .as_ref()
            .map_err(|damaged| damaged.damage)
            .err()
    };
    assert!(matches!(damage(0), Some(Damage::Checksum { .. })));
    assert_eq!(damage(1), Some(Damage::Columns));
    assert_eq!(damage(2), None);
}
