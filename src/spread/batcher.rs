//! Batches wait here until their write set is taken. Small ones join an open group as they arrive.
//!
//! A lane is a line of segments, each the content of one write set to be. A backend that does not linger has one lane for
//! everything; with one that does, each Logstore and key has a lane of its own (with `by-partition` each shard), with its
//! own bound on writes at once, so that one that is slow holds up no other. Inside a lane what came first leaves first,
//! unless something behind it is full: what cannot leave yet goes on collecting company.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::pace::Paces;
use super::rotation::Rotation;
use super::{Content, Destination, Entry, GroupKey, LaneId, Ready, ReadyGroup, Taken};
use crate::backend::{Linger, Mark, Profile, Share};
use crate::logs::{Bounds, Piece};

/// A write set is closed at this size: large enough to make a commit cheap, small enough to be written in some 10 ms.
const WRITE_SET_BYTES_MAX: usize = 16 << 20;
/// Outside `by-partition` all partitions share groups.
const ANY_SHARD: u32 = 0;

/// The waiting batches.
#[derive(Debug)]
pub struct Batcher<W> {
    bounds: Bounds,
    linger: Linger,
    writes_max: usize,
    by_partition: bool,
    rotation: Rotation,
    paces: Paces,
    ids: HashMap<LaneKey, LaneId>,
    lanes: HashMap<LaneId, Lane<W>>,
    lanes_made: u64,
    /// When each lane next has something to hand out.
    wakes: BTreeSet<(Instant, LaneId)>,
}

/// Whose writes are bounded together; `None` in its place where all are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct LaneKey {
    destination: Destination,
    place: u32,
}

#[derive(Debug)]
struct Lane<W> {
    key: Option<LaneKey>,
    segments: Segments<W>,
    /// The segment that may take more of a key, where the backend lingers.
    growing: HashMap<(GroupKey, Patience), u64>,
    in_flight: usize,
    linger: Duration,
    wake: Option<Instant>,
}

/// A lane's segments by their age, and what is asked of them all without looking at each: a Logstore that takes nothing
/// may have tens of thousands.
#[derive(Debug)]
struct Segments<W> {
    all: HashMap<u64, Segment<W>>,
    made: u64,
    /// Those that wait for no company, oldest first.
    full: BTreeSet<u64>,
    /// The others.
    open: BTreeSet<u64>,
    deadlines: BTreeSet<(Instant, u64)>,
}

/// How long batches can wait for their write. Those that cannot for long share no write set with those that can: where
/// writes are held up, the first deadline ends the waiting of all in a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Patience {
    Short,
    Middling,
    Long,
}

const SHORT_MAX: Duration = Duration::from_secs(4);
const MIDDLING_MAX: Duration = Duration::from_secs(12);

impl Patience {
    fn of(deadline: Option<Instant>, now: Instant) -> Self {
        match deadline.map(|deadline| deadline.saturating_duration_since(now)) {
            Some(left) if left < SHORT_MAX => Self::Short,
            Some(left) if left < MIDDLING_MAX => Self::Middling,
            _ => Self::Long,
        }
    }
}

/// The content of one write set to be.
#[derive(Debug)]
struct Segment<W> {
    patience: Patience,
    began: Instant,
    /// The earliest of its batches.
    deadline: Option<Instant>,
    bytes: usize,
    /// A group in it cannot grow any more, so it waits for no company.
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
    shares: Vec<Share>,
}

impl<W> Batcher<W> {
    /// With `by_partition` a lingering backend gets one write at a time for each shard, or its logs would overtake each other.
    pub fn new(profile: &Profile, by_partition: bool) -> Self {
        let in_order = by_partition && !profile.linger.is_none();
        Self {
            bounds: profile.bounds,
            linger: profile.linger,
            writes_max: if in_order {
                1
            } else {
                profile.writes_in_flight_max
            },
            by_partition,
            rotation: Rotation::default(),
            paces: Paces::new(profile.linger),
            ids: HashMap::new(),
            lanes: HashMap::new(),
            lanes_made: 0,
            wakes: BTreeSet::new(),
        }
    }

    pub fn add(&mut self, entry: Entry<W>, now: Instant) {
        let place = if self.by_partition {
            shard_of(&entry.shards, entry.partition)
        } else {
            ANY_SHARD
        };
        let id = self.lane(&entry.key, place);
        let (bounds, lingers, in_order) = (self.bounds, !self.linger.is_none(), self.by_partition);
        if let Some(lane) = self.lanes.get_mut(&id) {
            let segment = if lingers {
                let patience = match in_order {
                    true => Patience::Long,
                    false => Patience::of(entry.deadline, now),
                };
                lane.growing(&entry, patience, place, &bounds, now)
            } else {
                lane.last(entry.bytes(), now)
            };
            let take = |segment: &mut Segment<W>| segment.take(entry, place, &bounds);
            lane.segments.change(segment, take);
        }
        self.schedule(id);
    }

    /// The next write set, if one is due, or batches whose time is over. [`Batcher::done`] must be told of each write set.
    pub fn take(&mut self, now: Instant) -> Option<Taken<W>> {
        while let Some(&(wake, id)) = self.wakes.first() {
            if wake > now {
                return None;
            }
            let taken = self.take_from(id, now);
            self.schedule(id);
            if taken.is_some() {
                return taken;
            }
        }
        None
    }

    /// A write set of this lane has been written, or never will be.
    pub fn done(&mut self, id: LaneId) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.in_flight -= 1;
        }
        self.schedule(id);
    }

    /// When [`Batcher::take`] will have something; `None` when nothing waits, or only for a write to end.
    pub fn next_due(&self) -> Option<Instant> {
        self.wakes.first().map(|(wake, _)| *wake)
    }

    fn take_from(&mut self, id: LaneId, now: Instant) -> Option<Taken<W>> {
        let lane = self.lanes.get_mut(&id)?;
        if let Some(overdue) = lane.segments.overdue(now) {
            return lane
                .remove(overdue)
                .map(|segment| Taken::Overdue(segment.waiters));
        }
        if lane.in_flight >= self.writes_max {
            return None;
        }
        let linger = lane.linger;
        let due = lane.segments.due(linger, now)?;
        let segment = lane.remove(due)?;
        lane.in_flight += 1;
        lane.linger = self.paces.next(linger, segment.waiters.len());
        let groups = segment.groups.into_iter();
        Some(Taken::Write(Ready {
            lane: id,
            groups: groups.map(|group| self.place(group)).collect(),
            marks: segment.marks,
            waiters: segment.waiters,
            deadline: segment.deadline,
        }))
    }

    /// Gives a group its shard.
    fn place(&mut self, group: Waiting) -> ReadyGroup {
        let shard = if self.by_partition {
            shard_of(&group.shards, group.partition)
        } else {
            let Destination { tenant, logstore } = &group.key.destination;
            self.rotation.next(&tenant.project, logstore, &group.shards)
        };
        ReadyGroup {
            key: group.key,
            shard,
            content: group.content,
            shares: group.shares,
        }
    }

    fn lane(&mut self, key: &GroupKey, place: u32) -> LaneId {
        let key = (!self.linger.is_none()).then(|| LaneKey {
            destination: key.destination.clone(),
            place,
        });
        let id = match &key {
            None => LaneId(0),
            Some(key) => *self.ids.entry(key.clone()).or_insert_with(|| {
                self.lanes_made += 1;
                LaneId(self.lanes_made)
            }),
        };
        self.lanes.entry(id).or_insert_with(|| Lane {
            linger: key.as_ref().map_or(Duration::ZERO, |key| {
                let Destination { tenant, logstore } = &key.destination;
                self.paces.recall(&tenant.project, logstore)
            }),
            key,
            segments: Segments::new(),
            growing: HashMap::new(),
            in_flight: 0,
            wake: None,
        });
        id
    }

    /// Notes when the lane has to be looked at next; one that is done is forgotten with the key that it holds.
    fn schedule(&mut self, id: LaneId) {
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        let wake = lane.next_wake(lane.in_flight < self.writes_max);
        if wake != lane.wake {
            if let Some(old) = lane.wake {
                self.wakes.remove(&(old, id));
            }
            self.wakes.extend(wake.map(|wake| (wake, id)));
            lane.wake = wake;
        }
        if !lane.segments.all.is_empty() || lane.in_flight > 0 {
            return;
        }
        if let Some(Lane {
            key: Some(key),
            linger,
            ..
        }) = self.lanes.remove(&id)
        {
            let Destination { tenant, logstore } = &key.destination;
            self.paces.remember(&tenant.project, logstore, linger);
            self.ids.remove(&key);
        }
    }
}

impl<W> Lane<W> {
    /// The last segment, if it has room; else a new one.
    fn last(&mut self, bytes: usize, now: Instant) -> u64 {
        let last = self.segments.last();
        let fits = last.filter(|(_, last)| last.bytes + bytes <= WRITE_SET_BYTES_MAX);
        match fits {
            Some((id, _)) => id,
            None => self.segments.begin(now),
        }
    }

    /// The segment whose open group takes this batch, or a new one; whatever cannot grow any more need not wait.
    fn growing(
        &mut self,
        entry: &Entry<W>,
        patience: Patience,
        place: u32,
        bounds: &Bounds,
        now: Instant,
    ) -> u64 {
        let key = (entry.key.clone(), patience);
        if let Some(id) = self.growing.get(&key).copied() {
            let segment = self.segments.all.get(&id);
            if segment.is_some_and(|segment| segment.has_room(entry, place, bounds)) {
                return id;
            }
            self.segments.change(id, |segment| segment.full = true);
        }
        let id = self.segments.begin(now);
        self.segments
            .change(id, |segment| segment.patience = patience);
        self.growing.insert(key, id);
        id
    }

    fn remove(&mut self, id: u64) -> Option<Segment<W>> {
        let segment = self.segments.remove(id)?;
        if let Some(first) = segment.groups.first() {
            let key = (first.key.clone(), segment.patience);
            if self.growing.get(&key) == Some(&id) {
                self.growing.remove(&key);
            }
        }
        Some(segment)
    }

    /// Without room for a write only a deadline is worth waking for.
    fn next_wake(&self, has_room: bool) -> Option<Instant> {
        let due = self.segments.next_due(self.linger).filter(|_| has_room);
        let deadline = self.segments.deadlines.first().map(|(at, _)| *at);
        due.into_iter().chain(deadline).min()
    }
}

impl<W> Segments<W> {
    fn new() -> Self {
        Self {
            all: HashMap::new(),
            made: 0,
            full: BTreeSet::new(),
            open: BTreeSet::new(),
            deadlines: BTreeSet::new(),
        }
    }

    fn begin(&mut self, now: Instant) -> u64 {
        self.made += 1;
        self.all.insert(self.made, Segment::new(now));
        self.open.insert(self.made);
        self.made
    }

    fn last(&self) -> Option<(u64, &Segment<W>)> {
        let last = self.all.get(&self.made)?;
        Some((self.made, last))
    }

    fn change(&mut self, id: u64, change: impl FnOnce(&mut Segment<W>)) {
        let Some(segment) = self.all.get_mut(&id) else {
            return;
        };
        let deadline = segment.deadline;
        change(segment);
        if segment.full && self.open.remove(&id) {
            self.full.insert(id);
        }
        if segment.deadline != deadline {
            if let Some(old) = deadline {
                self.deadlines.remove(&(old, id));
            }
            self.deadlines.extend(segment.deadline.map(|at| (at, id)));
        }
    }

    fn remove(&mut self, id: u64) -> Option<Segment<W>> {
        let segment = self.all.remove(&id)?;
        self.full.remove(&id);
        self.open.remove(&id);
        if let Some(deadline) = segment.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        Some(segment)
    }

    fn overdue(&self, now: Instant) -> Option<u64> {
        let (deadline, id) = *self.deadlines.first()?;
        (deadline <= now).then_some(id)
    }

    /// The oldest that is due.
    fn due(&self, linger: Duration, now: Instant) -> Option<u64> {
        let due = self.firsts(linger).filter(|(_, due)| *due <= now);
        due.map(|(id, _)| id).min()
    }

    fn next_due(&self, linger: Duration) -> Option<Instant> {
        self.firsts(linger).map(|(_, due)| due).min()
    }

    /// The oldest of either kind, and when it is due: of its kind none is due earlier.
    fn firsts(&self, linger: Duration) -> impl Iterator<Item = (u64, Instant)> {
        let ids = self.full.first().into_iter().chain(self.open.first());
        ids.filter_map(move |id| Some((*id, self.all.get(id)?.due(linger))))
    }
}

impl<W> Segment<W> {
    fn new(began: Instant) -> Self {
        Self {
            patience: Patience::Long,
            began,
            deadline: None,
            bytes: 0,
            full: false,
            groups: Vec::new(),
            open: HashMap::new(),
            marks: Vec::new(),
            waiters: Vec::new(),
        }
    }

    fn due(&self, linger: Duration) -> Instant {
        if self.full {
            self.began
        } else {
            self.began + linger
        }
    }

    fn has_room(&self, entry: &Entry<W>, place: u32, bounds: &Bounds) -> bool {
        !self.full
            && entry.groups.is_empty()
            && entry
                .pieces
                .iter()
                .all(|piece| self.room_for(piece, &entry.key, place, bounds).is_some())
    }

    /// The open group that this piece fits in.
    fn room_for(
        &self,
        piece: &Piece,
        key: &GroupKey,
        place: u32,
        bounds: &Bounds,
    ) -> Option<usize> {
        let index = *self.open.get(&(key.clone(), place))?;
        let Content::Open(grown) = &self.groups[index].content else {
            return None;
        };
        let fits = grown.logs.len() + piece.logs.len() <= bounds.piece_bytes_max
            && grown.log_count + piece.log_count <= bounds.piece_logs_max;
        fits.then_some(index)
    }

    fn take(&mut self, entry: Entry<W>, place: u32, bounds: &Bounds) {
        let batch = u32::try_from(self.waiters.len()).unwrap_or(u32::MAX);
        self.bytes += entry.bytes();
        if !entry.groups.is_empty() {
            // Later logs must not slip into a group in front of these.
            self.open.remove(&(entry.key.clone(), place));
            self.full = true;
        }
        let waiting = |content: Content| Waiting {
            key: entry.key.clone(),
            shards: Arc::clone(&entry.shards),
            partition: entry.partition,
            shares: vec![Share {
                batch,
                log_count: content.log_count(),
            }],
            content,
        };
        let closed = entry.groups.into_iter().map(Content::Closed);
        self.groups.extend(closed.map(waiting));
        for piece in entry.pieces {
            if let Some(index) = self.room_for(&piece, &entry.key, place, bounds) {
                self.groups[index].grow(&piece, batch);
                continue;
            }
            let open = (entry.key.clone(), place);
            // The one that was open cannot take a piece any more.
            self.full |= self.open.insert(open, self.groups.len()).is_some();
            self.groups.push(waiting(Content::Open(piece)));
        }
        self.deadline = self.deadline.into_iter().chain(entry.deadline).min();
        self.marks.extend(entry.mark);
        self.waiters.push(entry.waiter);
    }
}

impl Waiting {
    fn grow(&mut self, piece: &Piece, batch: u32) {
        if let Content::Open(grown) = &mut self.content {
            merge(grown, piece);
        }
        let log_count = piece.log_count;
        match self.shares.last_mut() {
            Some(last) if last.batch == batch => last.log_count += log_count,
            _ => self.shares.push(Share { batch, log_count }),
        }
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
mod tests;
