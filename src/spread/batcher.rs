//! Batches wait here until their write set is taken. Small ones join an open group as they arrive.
//!
//! The queue is a line of segments, each the content of one write set to be. A batch goes to the last segment only, so one
//! never gets into an earlier set than those that came before it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::rotation::Rotation;
use super::{Content, Entry, GroupKey, Ready, ReadyGroup};
use crate::backend::Mark;
use crate::logs::{Bounds, Piece};

/// A write set is closed at this size: large enough to make a commit cheap, small enough to be written in some 10 ms.
const WRITE_SET_BYTES_MAX: usize = 16 << 20;
/// Outside `by-partition` all partitions share groups.
const ANY_SHARD: u32 = 0;

/// The waiting batches.
#[derive(Debug)]
pub struct Batcher<W> {
    bounds: Bounds,
    linger: Duration,
    by_partition: bool,
    rotation: Rotation,
    segments: VecDeque<Segment<W>>,
}

/// The content of one write set to be.
#[derive(Debug)]
struct Segment<W> {
    /// Set where each write set is one key's own: backends that linger write by Logstore.
    key: Option<GroupKey>,
    began: Instant,
    bytes: usize,
    /// A group in it cannot grow any more.
    full: bool,
    groups: Vec<Waiting>,
    /// The group of a key (and shard) that may still grow.
    open: HashMap<(GroupKey, u32), usize>,
    marks: Vec<Mark>,
    waiters: Vec<W>,
}

#[derive(Debug)]
struct Waiting {
    key: GroupKey,
    shards: Arc<[u32]>,
    partition: i32,
    content: Content,
}

impl<W> Batcher<W> {
    pub fn new(bounds: Bounds, linger: Duration, by_partition: bool) -> Self {
        Self {
            bounds,
            linger,
            by_partition,
            rotation: Rotation::default(),
            segments: VecDeque::new(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Bytes that wait: logs as they are, complete groups as they are compressed.
    pub fn bytes(&self) -> usize {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    pub fn add(&mut self, entry: Entry<W>, now: Instant) {
        let by_partition = self.by_partition;
        let bounds = self.bounds;
        let segment = self.segment(&entry, now);
        let place = if by_partition {
            shard_of(&entry.shards, entry.partition)
        } else {
            ANY_SHARD
        };
        if !entry.groups.is_empty() {
            // Later logs must not slip into a group in front of these.
            segment.open.remove(&(entry.key.clone(), place));
            segment.full = true;
        }
        for group in entry.groups {
            segment.bytes += group.body.len();
            segment.groups.push(Waiting {
                key: entry.key.clone(),
                shards: Arc::clone(&entry.shards),
                partition: entry.partition,
                content: Content::Closed(group),
            });
        }
        for piece in entry.pieces {
            segment.bytes += piece.logs.len();
            segment.add_piece(
                &entry.key,
                place,
                &entry.shards,
                entry.partition,
                piece,
                &bounds,
            );
        }
        segment.marks.extend(entry.mark);
        segment.waiters.push(entry.waiter);
    }

    /// The next write set, if one is due.
    pub fn take(&mut self, now: Instant) -> Option<Ready<W>> {
        let due = self
            .segments
            .iter()
            .position(|segment| self.is_due(segment, now))?;
        let segment = self.segments.remove(due)?;
        let groups = segment.groups.into_iter().map(|group| {
            let shard = if self.by_partition {
                shard_of(&group.shards, group.partition)
            } else {
                self.rotation.next(
                    &group.key.tenant.project,
                    &group.key.logstore,
                    &group.shards,
                )
            };
            let GroupKey {
                tenant,
                logstore,
                source,
                topic,
            } = group.key;
            ReadyGroup {
                tenant,
                logstore,
                source,
                topic,
                shard,
                content: group.content,
            }
        });
        Some(Ready {
            groups: groups.collect(),
            marks: segment.marks,
            waiters: segment.waiters,
        })
    }

    /// When [`Batcher::take`] will have something; `None` when nothing waits.
    pub fn next_due(&self) -> Option<Instant> {
        self.segments
            .iter()
            .map(|segment| {
                if segment.full {
                    segment.began
                } else {
                    segment.began + self.linger
                }
            })
            .min()
    }

    fn is_due(&self, segment: &Segment<W>, now: Instant) -> bool {
        segment.full || now >= segment.began + self.linger
    }

    /// The segment that takes this batch: the last one (of its key, where write sets are a key's own), if it has room.
    fn segment(&mut self, entry: &Entry<W>, now: Instant) -> &mut Segment<W> {
        let own = !self.linger.is_zero();
        let last = self
            .segments
            .iter()
            .rposition(|segment| !own || segment.key.as_ref() == Some(&entry.key));
        let bytes = entry
            .pieces
            .iter()
            .map(|piece| piece.logs.len())
            .sum::<usize>()
            + entry
                .groups
                .iter()
                .map(|group| group.body.len())
                .sum::<usize>();
        let fits = |index: &usize| {
            let segment = &self.segments[*index];
            segment.bytes + bytes <= WRITE_SET_BYTES_MAX && !(own && segment.full)
        };
        let index = match last.filter(fits) {
            Some(index) => index,
            None => {
                self.segments
                    .push_back(Segment::new(own.then(|| entry.key.clone()), now));
                self.segments.len() - 1
            }
        };
        &mut self.segments[index]
    }
}

impl<W> Segment<W> {
    fn new(key: Option<GroupKey>, began: Instant) -> Self {
        Self {
            key,
            began,
            bytes: 0,
            full: false,
            groups: Vec::new(),
            open: HashMap::new(),
            marks: Vec::new(),
            waiters: Vec::new(),
        }
    }

    fn add_piece(
        &mut self,
        key: &GroupKey,
        place: u32,
        shards: &Arc<[u32]>,
        partition: i32,
        piece: Piece,
        bounds: &Bounds,
    ) {
        let open = (key.clone(), place);
        if let Some(&index) = self.open.get(&open)
            && let Content::Open(grown) = &mut self.groups[index].content
        {
            if grown.logs.len() + piece.logs.len() <= bounds.piece_bytes_max
                && grown.log_count + piece.log_count <= bounds.piece_logs_max
            {
                return merge(grown, &piece);
            }
            self.full = true;
        }
        self.open.insert(open, self.groups.len());
        self.groups.push(Waiting {
            key: key.clone(),
            shards: Arc::clone(shards),
            partition,
            content: Content::Open(piece),
        });
    }
}

fn merge(grown: &mut Piece, piece: &Piece) {
    grown.logs.extend_from_slice(&piece.logs);
    grown.log_count += piece.log_count;
    grown.time_min = grown.time_min.min(piece.time_min);
    grown.time_max = grown.time_max.max(piece.time_max);
}

/// The shard of a partition where the user wants order.
fn shard_of(shards: &[u32], partition: i32) -> u32 {
    let index = usize::try_from(partition).unwrap_or(0) % shards.len().max(1);
    shards.get(index).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::logs::LogGroup;
    use crate::tenant::{LogstoreName, Tenant, parse_plain_token};

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
        })
    }

    fn key(secret: &str, source: &str) -> GroupKey {
        let logstore = LogstoreName::parse("logstore").expect("a good name");
        GroupKey {
            tenant: tenant(secret),
            logstore,
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
            waiter,
        }
    }

    fn batcher<W>(linger: Duration, by_partition: bool) -> Batcher<W> {
        Batcher::new(BOUNDS, linger, by_partition)
    }

    fn content(group: &ReadyGroup) -> Vec<u8> {
        match &group.content {
            Content::Open(piece) => piece.logs.clone(),
            Content::Closed(group) => group.body.clone(),
        }
    }

    #[test]
    fn small_batches_of_one_key_share_a_group() {
        let (mut batcher, now) = (batcher(Duration::ZERO, false), Instant::now());
        // Two logins with the same credentials are one key.
        batcher.add(entry(key("a", "10.0.0.1"), 0, b"one", 1), now);
        batcher.add(entry(key("a", "10.0.0.1"), 1, b"two", 2), now);
        assert_eq!(batcher.bytes(), 6);
        let ready = batcher.take(now).expect("due at once");
        assert_eq!(
            ready.groups.iter().map(content).collect::<Vec<_>>(),
            [b"onetwo"]
        );
        assert_eq!(ready.waiters, [1, 2]);
        assert!(batcher.take(now).is_none() && batcher.is_empty());
    }

    #[test]
    fn different_secrets_and_sources_never_share_a_group() {
        let (mut batcher, now) = (batcher(Duration::ZERO, false), Instant::now());
        for (secret, source) in [("a", "10.0.0.1"), ("b", "10.0.0.1"), ("a", "10.0.0.2")] {
            batcher.add(entry(key(secret, source), 0, b"x", ()), now);
        }
        let ready = batcher.take(now).expect("due");
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
        let ready = batcher.take(now).expect("due");
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
        assert!(batcher.take(now).is_none());
        assert_eq!(batcher.next_due(), Some(now + linger));
        batcher.add(entry(key("a", "s"), 0, &[2; 60], 2), now);
        let ready = batcher.take(now).expect("full");
        assert_eq!(ready.waiters, [1, 2]);
        batcher.add(entry(key("a", "s"), 0, &[3; 6], 3), now);
        batcher.add(entry(key("b", "s"), 0, &[3; 6], 4), now + linger / 2);
        assert_eq!(
            batcher.take(now + linger).map(|ready| ready.waiters),
            Some(vec![3]),
            "each key by itself"
        );
        assert!(batcher.take(now + linger).is_none());
        assert_eq!(
            batcher.take(now + linger * 2).map(|ready| ready.waiters),
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
            let ready = batcher.take(now).expect("due");
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
        let ready = batcher.take(now).expect("due");
        let order: Vec<_> = ready.groups.iter().map(content).collect();
        assert_eq!(order, [b"first".to_vec(), vec![0; 7], b"last".to_vec()]);
    }

    fn group(bytes: usize) -> LogGroup {
        LogGroup {
            body: vec![0; bytes],
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
                if *take && let Some(ready) = batcher.take(now) {
                    check(ready);
                }
            }
            while let Some(ready) = batcher.take(now + linger) {
                check(ready);
            }
            prop_assert!(batcher.is_empty());
            prop_assert_eq!(taken.len(), adds.len());
            for which in 0..3 {
                let own: Vec<usize> = taken.iter().filter(|(key, _)| *key == which).map(|(_, index)| *index).collect();
                prop_assert!(own.is_sorted(), "{own:?}");
            }
        }
    }
}
