use proptest::prelude::*;

use super::*;
use crate::backend::embedded;
use crate::logs::LogGroup;
use crate::tenant::{LogstoreName, Tenant, parse_plain_token};

const WRITES_MAX: usize = embedded::PROFILE.writes_in_flight_max;

const BOUNDS: Bounds = Bounds {
    log_bytes_max: 100,
    piece_bytes_max: 100,
    piece_logs_max: 10,
    name_bytes_max: 128,
    expansion_bytes_max: 1_000,
};

fn tenant(secret: &str) -> Arc<Tenant> {
    let login =
        parse_plain_token(format!("\0project-1\0id#{secret}").as_bytes()).expect("well formed");
    let (region, endpoint) = ("local".into(), "localhost".into());
    Arc::new(Tenant {
        project: login.project,
        credentials: login.credentials,
        region,
        endpoint,
        peer: std::net::Ipv4Addr::LOCALHOST.into(),
    })
}

fn key(secret: &str, source: &str) -> GroupKey {
    let logstore = LogstoreName::parse("logstore").expect("a good name");
    GroupKey {
        destination: Destination {
            tenant: tenant(secret),
            logstore,
        },
        source: source.into(),
        topic: "".into(),
    }
}

fn piece(logs: &[u8]) -> Piece {
    Piece {
        logs: logs.to_vec(),
        log_count: 1,
        time_min: 7,
        time_max: 7,
    }
}

fn entry<W>(key: GroupKey, partition: i32, logs: &[u8], waiter: W) -> Entry<W> {
    let shards = Arc::from([0, 1, 2]);
    Entry {
        key,
        shards,
        partition,
        pieces: vec![piece(logs)],
        groups: Vec::new(),
        mark: None,
        deadline: None,
        waiter,
    }
}

fn batcher<W>(linger: Duration, by_partition: bool) -> Batcher<W> {
    let profile = Profile {
        bounds: BOUNDS,
        linger: Linger {
            min: linger,
            max: linger,
        },
        ..embedded::PROFILE
    };
    Batcher::new(&profile, by_partition)
}

/// The next write set, which is done at once.
fn written<W>(batcher: &mut Batcher<W>, now: Instant) -> Option<Ready<W>> {
    match batcher.take(now)? {
        Taken::Write(ready) => {
            batcher.done(ready.lane);
            Some(ready)
        }
        Taken::Overdue(_) => panic!("nothing has a deadline"),
    }
}

fn content(group: &ReadyGroup) -> Vec<u8> {
    match &group.content {
        Content::Open(piece) => piece.logs.clone(),
        Content::Closed(group) => group.body.to_vec(),
    }
}

#[test]
fn small_batches_of_one_key_share_a_group() {
    let (mut batcher, now) = (batcher(Duration::ZERO, false), Instant::now());
    // Two logins with the same credentials are one key.
    batcher.add(entry(key("a", "10.0.0.1"), 0, b"one", 1), now);
    batcher.add(entry(key("a", "10.0.0.1"), 1, b"two", 2), now);
    let ready = written(&mut batcher, now).expect("due at once");
    assert_eq!(
        ready.groups.iter().map(content).collect::<Vec<_>>(),
        [b"onetwo"]
    );
    assert_eq!(ready.waiters, [1, 2]);
    assert!(written(&mut batcher, now).is_none() && batcher.lanes.is_empty());
}

#[test]
fn different_secrets_and_sources_never_share_a_group() {
    let (mut batcher, now) = (batcher(Duration::ZERO, false), Instant::now());
    for (secret, source) in [("a", "10.0.0.1"), ("b", "10.0.0.1"), ("a", "10.0.0.2")] {
        batcher.add(entry(key(secret, source), 0, b"x", ()), now);
    }
    let ready = written(&mut batcher, now).expect("due");
    assert_eq!(ready.groups.len(), 3);
    let mut shards: Vec<u32> = ready.groups.iter().map(|group| group.shard).collect();
    shards.sort_unstable();
    assert_eq!(
        shards,
        [0, 1, 2],
        "groups of one Logstore go round its shards"
    );
}

#[test]
fn by_partition_keeps_partition_to_shard() {
    let (mut batcher, now) = (batcher(Duration::ZERO, true), Instant::now());
    for (partition, logs) in [(0, b"a"), (1, b"b"), (4, b"c"), (0, b"d")] {
        batcher.add(entry(key("a", "s"), partition, logs, ()), now);
    }
    let ready = written(&mut batcher, now).expect("due");
    let placed: Vec<(u32, Vec<u8>)> = ready
        .groups
        .iter()
        .map(|group| (group.shard, content(group)))
        .collect();
    assert_eq!(placed, [(0, b"ad".to_vec()), (1, b"bc".to_vec())]);
}

#[test]
fn a_backend_that_lingers_gets_a_group_when_it_is_full_or_old() {
    let linger = Duration::from_millis(10);
    let (mut batcher, now) = (batcher(linger, false), Instant::now());
    batcher.add(entry(key("a", "s"), 0, &[1; 60], 1), now);
    assert!(written(&mut batcher, now).is_none());
    assert_eq!(batcher.next_due(), Some(now + linger));
    batcher.add(entry(key("a", "s"), 0, &[2; 60], 2), now);
    let ready =
        written(&mut batcher, now).expect("the first group has no room for the second batch");
    assert_eq!(ready.waiters, [1]);
    assert!(
        written(&mut batcher, now).is_none(),
        "the second one may grow"
    );
    batcher.add(entry(key("a", "s"), 0, &[3; 6], 3), now);
    batcher.add(entry(key("b", "s"), 0, &[3; 6], 4), now + linger / 2);
    assert_eq!(
        written(&mut batcher, now + linger).map(|ready| ready.waiters),
        Some(vec![2, 3]),
        "each key by itself"
    );
    assert!(written(&mut batcher, now + linger).is_none());
    assert_eq!(
        written(&mut batcher, now + linger * 2).map(|ready| ready.waiters),
        Some(vec![4])
    );
    assert_eq!(batcher.next_due(), None);
}

#[test]
fn a_batch_is_never_split_over_two_write_sets() {
    let (mut batcher, now) = (batcher(Duration::ZERO, false), Instant::now());
    let large = |waiter| Entry {
        groups: vec![
            group(WRITE_SET_BYTES_MAX / 2),
            group(WRITE_SET_BYTES_MAX / 2),
        ],
        ..entry(key("a", "s"), 0, b"x", waiter)
    };
    batcher.add(large(1), now);
    batcher.add(large(2), now);
    for waiter in [1, 2] {
        let ready = written(&mut batcher, now).expect("due");
        assert_eq!((ready.groups.len(), ready.waiters), (3, vec![waiter]));
    }
}

#[test]
fn later_logs_never_slip_in_front_of_a_complete_group_of_their_key() {
    let (mut batcher, now) = (batcher(Duration::ZERO, true), Instant::now());
    batcher.add(entry(key("a", "s"), 0, b"first", ()), now);
    let large = Entry {
        groups: vec![group(7)],
        pieces: Vec::new(),
        ..entry(key("a", "s"), 0, b"", ())
    };
    batcher.add(large, now);
    batcher.add(entry(key("a", "s"), 0, b"last", ()), now);
    let ready = written(&mut batcher, now).expect("due");
    let order: Vec<_> = ready.groups.iter().map(content).collect();
    assert_eq!(order, [b"first".to_vec(), vec![0; 7], b"last".to_vec()]);
}

#[test]
fn a_key_that_is_slow_holds_up_no_other_and_goes_on_collecting() {
    let linger = Duration::from_millis(5);
    let (mut batcher, now) = (batcher(linger, false), Instant::now());
    let later = now + linger;
    let mut lanes = Vec::new();
    for waiter in 0..WRITES_MAX {
        batcher.add(entry(key("a", "s"), 0, &[1; 60], waiter), now);
        batcher.add(entry(key("a", "s"), 0, &[1; 60], waiter), now);
        let Some(Taken::Write(ready)) = batcher.take(later) else {
            panic!("a write may begin");
        };
        lanes.push(ready.lane);
    }
    assert!(
        batcher.take(later).is_none(),
        "as many are in flight as may be"
    );
    batcher.add(entry(key("b", "s"), 0, b"x", 90), now);
    assert!(matches!(batcher.take(later), Some(Taken::Write(ready)) if ready.waiters == [90]));
    let waiting = WRITES_MAX * 2;
    batcher.add(entry(key("a", "s"), 0, &[1; 6], waiting), now);
    assert!(batcher.take(later).is_none());
    batcher.done(lanes[0]);
    assert!(matches!(batcher.take(later), Some(Taken::Write(_))));
}

#[test]
fn what_cannot_be_written_in_time_comes_back_unwritten() {
    let linger = Duration::from_millis(5);
    let (mut batcher, now) = (batcher(linger, true), Instant::now());
    let until = |waiter, deadline| Entry {
        deadline: Some(deadline),
        ..entry(key("a", "s"), 0, b"x", waiter)
    };
    batcher.add(until(1, now + linger * 10), now);
    let Some(Taken::Write(first)) = batcher.take(now + linger) else {
        panic!("it is due");
    };
    batcher.add(until(2, now + linger * 20), now + linger);
    batcher.add(until(3, now + linger * 4), now + linger);
    assert_eq!(batcher.next_due(), Some(now + linger * 4));
    assert!(
        batcher.take(now + linger * 3).is_none(),
        "in order: one at a time"
    );
    let overdue = batcher.take(now + linger * 4);
    assert!(matches!(overdue, Some(Taken::Overdue(waiters)) if waiters == [2, 3]));
    batcher.done(first.lane);
    assert!(batcher.lanes.is_empty(), "no key is kept for nothing");
}

#[test]
fn who_cannot_wait_for_long_takes_nobody_along() {
    let linger = Duration::from_millis(5);
    let (mut batcher, now) = (batcher(linger, false), Instant::now());
    let within = |waiter, seconds| Entry {
        deadline: Some(now + Duration::from_secs(seconds)),
        ..entry(key("a", "s"), 0, b"x", waiter)
    };
    for (waiter, seconds) in [(1, 2), (2, 24), (3, 8), (4, 23), (5, 1)] {
        batcher.add(within(waiter, seconds), now);
    }
    let mut sets = Vec::new();
    while let Some(Taken::Write(ready)) = batcher.take(now + linger) {
        batcher.done(ready.lane);
        sets.push(ready.waiters);
    }
    assert_eq!(sets, [vec![1, 5], vec![2, 4], vec![3]]);
}

#[test]
fn the_linger_grows_with_company_and_shrinks_without() {
    let (min, max) = (Duration::from_millis(5), Duration::from_millis(20));
    let profile = Profile {
        linger: Linger { min, max },
        ..embedded::PROFILE
    };
    let (mut batcher, mut now) = (Batcher::new(&profile, false), Instant::now());
    let mut linger = |batches| {
        for _ in 0..batches {
            batcher.add(entry(key("a", "s"), 0, b"x", ()), now);
        }
        let due = batcher.next_due().expect("something waits");
        let lingered = due - now;
        now = due;
        assert!(written(&mut batcher, now).is_some());
        lingered.as_millis()
    };
    assert_eq!(
        [3, 3, 3, 3, 1, 1, 1].map(&mut linger),
        [5, 10, 20, 20, 20, 10, 5]
    );
}

#[test]
fn each_group_tells_whose_logs_it_holds() {
    let (mut batcher, now) = (batcher(Duration::ZERO, false), Instant::now());
    batcher.add(entry(key("a", "s"), 0, b"x", ()), now);
    let large = Entry {
        groups: vec![group(7)],
        ..entry(key("a", "s"), 0, b"y", ())
    };
    batcher.add(large, now);
    batcher.add(entry(key("a", "s"), 0, b"z", ()), now);
    let ready = written(&mut batcher, now).expect("due");
    let shares: Vec<Vec<(u32, u32)>> = ready
        .groups
        .iter()
        .map(|group| {
            group
                .shares
                .iter()
                .map(|share| (share.batch, share.log_count))
                .collect()
        })
        .collect();
    assert_eq!(shares, [vec![(0, 1)], vec![(1, 1)], vec![(1, 1), (2, 1)]]);
}

fn group(bytes: usize) -> LogGroup {
    LogGroup {
        body: vec![0; bytes].into(),
        digest: None,
        raw_bytes: 1,
        log_count: 1,
        time_min: 0,
        time_max: 0,
    }
}

proptest! {
    #[test]
    fn no_log_is_lost_or_doubled_groups_stay_below_the_limits_and_a_key_keeps_its_order(
        adds in proptest::collection::vec((0..3_u8, 1..60_usize, any::<bool>()), 1..200),
        lingers in any::<bool>(),
    ) {
        let linger = if lingers { Duration::from_millis(5) } else { Duration::ZERO };
        let mut batcher = batcher(linger, false);
        let mut now = Instant::now();
        let mut taken = Vec::new();
        let mut check = |ready: Ready<(u8, usize)>| {
            for group in &ready.groups {
                let Content::Open(piece) = &group.content else { unreachable!("only pieces were added") };
                assert!(piece.logs.len() <= BOUNDS.piece_bytes_max && piece.log_count <= BOUNDS.piece_logs_max);
            }
            let bytes: usize = ready.groups.iter().map(ReadyGroup::uncompressed_bytes).sum();
            let wanted: usize = ready.waiters.iter().map(|(_, index)| adds[*index].1).sum();
            assert_eq!(bytes, wanted, "a set holds the logs of its waiters");
            taken.extend(ready.waiters);
        };
        for (index, (which, bytes, take)) in adds.iter().enumerate() {
            now += Duration::from_millis(1);
            batcher.add(entry(key("a", &which.to_string()), 0, &vec![*which; *bytes], (*which, index)), now);
            if *take && let Some(ready) = written(&mut batcher, now) {
                check(ready);
            }
        }
        while let Some(ready) = written(&mut batcher, now + linger) {
            check(ready);
        }
        prop_assert!(batcher.lanes.is_empty() && batcher.wakes.is_empty() && batcher.ids.is_empty());
        prop_assert_eq!(taken.len(), adds.len());
        for which in 0..3 {
            let own: Vec<usize> = taken.iter().filter(|(key, _)| *key == which).map(|(_, index)| *index).collect();
            prop_assert!(own.is_sorted(), "{own:?}");
        }
    }
}

/// A Logstore that takes nothing while many large batches come for it: the lock under which they wait is everybody's.
#[test]
fn a_lane_with_many_waiting_write_sets_costs_no_more_for_each() {
    let mut batcher = batcher(Duration::from_millis(5), false);
    let now = Instant::now();
    let key = key("a", "10.0.0.1");
    let count = 30_000;
    for number in 0..count {
        let mut entry = entry(key.clone(), 0, b"", number);
        entry.pieces = Vec::new();
        entry.groups = vec![group(1)];
        entry.deadline = Some(now + Duration::from_secs(20));
        batcher.add(entry, now);
    }
    for _ in 0..WRITES_MAX {
        assert!(matches!(batcher.take(now), Some(Taken::Write(_))));
    }
    assert!(batcher.take(now).is_none());
    let late = now + Duration::from_secs(20);
    let overdue = std::iter::from_fn(|| batcher.take(late)).count();
    assert_eq!(overdue, count - WRITES_MAX);
    // In a millisecond each it would take half a minute; it should be microseconds.
    assert!(
        now.elapsed() < Duration::from_secs(3),
        "{:?}",
        now.elapsed()
    );
}
