//! Idempotent producers: which batch is new, which is a repeat, and in what order their outcomes may be told.
//!
//! Pure state: no clock, no lock, no I/O. The caller admits each batch in arrival order from its header, tells when it
//! is decoded ([`Producers::ready`]), hands over to the backend what is released, and tells the outcome of every
//! [`Admission::Write`] ([`Producers::settle`]); it answers clients with the verdicts. One batch on its way:
//!
//! ```text
//! admit ─ Write ─ decode ─ ready ─ (its turn) ─ backend ─ settle ─ (in sequence) ─ verdict
//!       └ Wait ──────────────────────────────────────────────────────────────────── verdict
//!       └ Stored, Refuse: answered at once
//! ```
//!
//! The rules stand in `lane`, which is one producer on one partition in one epoch; here lanes are found, bounded in
//! number and forgotten. What is stored with a batch, to know it after a restart, is in `mark`. Which Kafka error a
//! refusal becomes is the caller's matter.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::records::ProducerBatch;
use crate::tenant::ProjectName;

mod lane;
mod mark;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use lane::Lane;

/// A producer that says nothing for this long is forgotten, as Kafka does (`producer.id.expiration.ms`, a day).
pub const PRODUCER_IDLE_MAX_S: i64 = 24 * 60 * 60;

/// Producers times partitions that one project may have; at a few hundred bytes each, some 50 MB.
pub const PRODUCERS_PER_PROJECT_MAX: usize = 100_000;

/// What one call of [`Producers::expire`] forgets at most: well under a millisecond.
pub const EXPIRED_PER_CALL_MAX: usize = 1_000;

/// One try to store a batch, or a wait for one; never used again in a process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Ticket(u64);

/// What to do when a batch is not the next of its producer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gaps {
    /// All state is here, so the client lost a batch.
    Refuse,
    /// The missing batch may have gone through another node, unless this one turned it away.
    AcceptUnlessRefusedHere,
}

/// A failure after which the client is to send the batch again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Temporary {
    /// Nothing of it was stored.
    NotStored(&'static str),
    /// It may have been stored.
    Uncertain(&'static str),
}

/// Why a batch is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    #[error("a batch before this one is missing")]
    Gap,
    #[error("the first sequence of a new epoch is 0")]
    NewEpochNotZero,
    #[error("the producer has a newer epoch")]
    OldEpoch,
    /// An earlier batch failed for a time and has to come first.
    #[error("an earlier batch failed: {0:?}")]
    Later(Temporary),
    #[error("too many batches or producers are under way")]
    TooMany,
}

/// What becomes of a batch that arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// Decode it, and settle the ticket whatever happens; its verdict comes.
    Write(Ticket),
    /// A repeat of what is not decided yet: its verdict comes under this ticket, to all who wait for it.
    Wait(Ticket),
    /// A repeat of what is stored.
    Stored,
    Refuse(Refusal),
}

/// How a try ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Only for a ticket that [`Producers::ready`] released.
    Stored,
    Failed(Temporary),
    /// For good: it cannot be decoded, is too large, its client may not write.
    Refused,
}

/// What those who wait for a ticket are to be told. After `Failed` the same ticket may get another one,
/// for a repeat that came while the first try was still with the backend.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Stored,
    Failed(Temporary),
    /// The batch's own refusal for good, which the caller knows.
    Own,
    /// `Gap` behind one that was refused for good, `OldEpoch` if its producer went on to a new epoch.
    Refused(Refusal),
}

/// Gives out tickets.
#[derive(Debug, Default)]
struct Tickets(u64);

impl Tickets {
    fn draw(&mut self) -> Ticket {
        self.0 += 1;
        Ticket(self.0)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
struct LaneId(u64);

/// A lane, where it belongs, and when it was used.
#[derive(Debug)]
struct Kept {
    project: ProjectName,
    topic: Arc<str>,
    partition: i32,
    producer_id: i64,
    lane: Lane,
    last_used_s: i64,
    /// A newer epoch has taken its place: it stays until its last outcome.
    retired: bool,
}

#[derive(Debug, Default)]
struct Project {
    /// By topic as written on the wire, then by partition and producer id.
    topics: HashMap<Arc<str>, HashMap<(i32, i64), LaneId>>,
    lane_count: usize,
    /// Those that wait for nothing, by their last use.
    idle: BTreeSet<(i64, LaneId)>,
}

/// All idempotent producers of the node.
#[derive(Debug)]
pub struct Producers {
    gaps: Gaps,
    projects: HashMap<ProjectName, Project>,
    lanes: HashMap<LaneId, Kept>,
    /// Tries whose outcome is awaited.
    tries: HashMap<Ticket, LaneId>,
    tickets: Tickets,
    lanes_made: u64,
    /// The life of the next new lane; over that of every mark.
    next_life: u64,
    /// Verdicts that an admission brought about.
    due: Vec<(Ticket, Verdict)>,
}

impl Producers {
    pub fn new(gaps: Gaps) -> Self {
        Self {
            gaps,
            projects: HashMap::new(),
            lanes: HashMap::new(),
            tries: HashMap::new(),
            tickets: Tickets::default(),
            lanes_made: 0,
            next_life: 0,
            due: Vec::new(),
        }
    }

    /// Decides about a batch as it arrives. `topic` is what the client wrote: `x` and `x.json` count apart.
    pub fn admit(
        &mut self,
        project: &ProjectName,
        topic: &str,
        partition: i32,
        batch: ProducerBatch,
        now_s: i64,
    ) -> Admission {
        if batch.epoch < 0 {
            return Admission::Refuse(Refusal::OldEpoch);
        }
        if batch.first_sequence < 0 || batch.record_count < 1 {
            return Admission::Refuse(Refusal::Gap);
        }
        let known = self.find(project, topic, partition, batch.producer_id);
        let id = match known {
            None => self.begin(project, topic, partition, batch, now_s),
            Some(id) if batch.epoch > self.lanes[&id].lane.epoch => {
                if batch.first_sequence != 0 {
                    return Admission::Refuse(Refusal::NewEpochNotZero);
                }
                self.retire(id);
                self.begin(project, topic, partition, batch, now_s)
            }
            Some(id) => Some(id),
        };
        let Some((id, kept)) = id.and_then(|id| Some((id, self.lanes.get_mut(&id)?))) else {
            return Admission::Refuse(Refusal::TooMany);
        };
        if batch.epoch < kept.lane.epoch {
            return Admission::Refuse(Refusal::OldEpoch);
        }
        let admission = kept.lane.admit(batch, self.gaps, &mut self.tickets);
        if let Admission::Write(ticket) = admission {
            self.tries.insert(ticket, id);
        }
        self.touch(id, now_s);
        admission
    }

    /// The batch is decoded. Gives the batches that may be handed to the backend now, in sequence: none if it is not its
    /// turn yet or it has failed meanwhile.
    pub fn ready(&mut self, ticket: Ticket) -> Vec<Ticket> {
        let id = self.tries.get(&ticket);
        let kept = id.and_then(|id| self.lanes.get_mut(id));
        kept.map_or_else(Vec::new, |kept| kept.lane.ready(ticket))
    }

    /// Key and value of the mark to store with a batch; `None` for an unknown ticket.
    pub fn mark(&self, ticket: Ticket) -> Option<(Vec<u8>, Vec<u8>)> {
        let kept = self.lanes.get(self.tries.get(&ticket)?)?;
        let value = kept.lane.mark(ticket)?;
        let key = mark::Key {
            producer_id: kept.producer_id,
            partition: kept.partition,
            topic: &kept.topic,
        };
        Some((key.encode(value.index), value.encode()))
    }

    /// The verdicts that an admission brought about: a new epoch ends what waits of the old one. The next
    /// [`settle`](Self::settle) gives them too.
    pub fn due(&mut self) -> Vec<(Ticket, Verdict)> {
        std::mem::take(&mut self.due)
    }

    /// Takes the outcome of a try; an unknown ticket's is ignored. Gives the verdicts that are due, of this and of other tickets.
    pub fn settle(&mut self, ticket: Ticket, outcome: Outcome) -> Vec<(Ticket, Verdict)> {
        let mut verdicts = std::mem::take(&mut self.due);
        let Some(id) = self.tries.remove(&ticket) else {
            return verdicts;
        };
        let told = verdicts.len();
        if let Some(kept) = self.lanes.get_mut(&id) {
            kept.lane.settle(ticket, outcome, &mut verdicts);
        }
        self.close_tries(id, &verdicts[told..]);
        self.rest(id);
        verdicts
    }

    /// Takes up what was stored before a restart: marks by project, key and value, and the second of their last use.
    /// Returns how many were malformed; those are skipped.
    pub fn restore<'a>(
        &mut self,
        marks: impl Iterator<Item = (&'a ProjectName, &'a [u8], &'a [u8], i64)>,
    ) -> usize {
        let mut malformed = 0;
        let mut found: HashMap<(&ProjectName, mark::Key<'_>), Vec<(mark::Value, i64)>> =
            HashMap::new();
        for (project, key, value, last_used_s) in marks {
            let Some((key, value)) = mark::decode(key, value) else {
                malformed += 1;
                continue;
            };
            self.next_life = self.next_life.max(value.life + 1);
            let of_key = found.entry((project, key)).or_default();
            of_key.push((value, last_used_s));
        }
        for ((project, key), marks) in found {
            self.restore_lane(project, key, marks);
        }
        malformed
    }

    fn restore_lane(
        &mut self,
        project: &ProjectName,
        key: mark::Key<'_>,
        marks: Vec<(mark::Value, i64)>,
    ) {
        let newest = marks.iter().map(|(mark, _)| mark.life).max();
        let of_newest = marks.iter().filter(|(mark, _)| Some(mark.life) == newest);
        let last_used_s = of_newest.clone().map(|(_, used_s)| *used_s).max();
        let mut values: Vec<_> = of_newest.map(|(mark, _)| *mark).collect();
        values.sort_unstable_by_key(|mark| mark.index);
        if let (Some(lane), Some(last_used_s)) = (Lane::restored(&values), last_used_s) {
            self.place(
                project,
                key.topic,
                key.partition,
                key.producer_id,
                lane,
                last_used_s,
            );
        }
    }

    /// Forgets producers that were idle for [`PRODUCER_IDLE_MAX_S`]; at most [`EXPIRED_PER_CALL_MAX`] a call.
    pub fn expire(&mut self, now_s: i64) {
        let newest = (now_s.saturating_sub(PRODUCER_IDLE_MAX_S), LaneId(u64::MAX));
        let expired = self.projects.values().flat_map(|p| p.idle.range(..=newest));
        let expired: Vec<_> = expired.take(EXPIRED_PER_CALL_MAX).copied().collect();
        for (_, id) in expired {
            self.detach(id);
            self.lanes.remove(&id);
        }
    }

    fn find(
        &self,
        project: &ProjectName,
        topic: &str,
        partition: i32,
        producer_id: i64,
    ) -> Option<LaneId> {
        let of_topic = self.projects.get(project)?.topics.get(topic)?;
        of_topic.get(&(partition, producer_id)).copied()
    }

    fn begin(
        &mut self,
        project: &ProjectName,
        topic: &str,
        partition: i32,
        batch: ProducerBatch,
        now_s: i64,
    ) -> Option<LaneId> {
        let lane = Lane::new(batch.epoch, self.next_life, batch.first_sequence);
        self.next_life += 1;
        self.place(project, topic, partition, batch.producer_id, lane, now_s)
    }

    /// Puts a lane where admissions find it, in place of the one longest unused if the project has no room;
    /// `None` if all of them wait for something.
    fn place(
        &mut self,
        project: &ProjectName,
        topic: &str,
        partition: i32,
        producer_id: i64,
        lane: Lane,
        last_used_s: i64,
    ) -> Option<LaneId> {
        let of_project = self.projects.entry(project.clone()).or_default();
        if of_project.lane_count >= PRODUCERS_PER_PROJECT_MAX {
            let (_, oldest) = *of_project.idle.first()?;
            self.detach(oldest);
            self.lanes.remove(&oldest);
        }
        self.lanes_made += 1;
        let id = LaneId(self.lanes_made);
        let of_project = self.projects.entry(project.clone()).or_default();
        let topic: Arc<str> = match of_project.topics.get_key_value(topic) {
            Some((topic, _)) => Arc::clone(topic),
            None => topic.into(),
        };
        let of_topic = of_project.topics.entry(Arc::clone(&topic)).or_default();
        of_topic.insert((partition, producer_id), id);
        of_project.lane_count += 1;
        of_project.idle.insert((last_used_s, id));
        let kept = Kept {
            project: project.clone(),
            topic,
            partition,
            producer_id,
            lane,
            last_used_s,
            retired: false,
        };
        self.lanes.insert(id, kept);
        Some(id)
    }

    /// Takes a lane from where admissions find it.
    fn detach(&mut self, id: LaneId) {
        let Some(kept) = self.lanes.get(&id) else {
            return;
        };
        let Some(of_project) = self.projects.get_mut(&kept.project) else {
            return;
        };
        of_project.idle.remove(&(kept.last_used_s, id));
        of_project.lane_count -= 1;
        if let Some(of_topic) = of_project.topics.get_mut(&kept.topic) {
            of_topic.remove(&(kept.partition, kept.producer_id));
            if of_topic.is_empty() {
                of_project.topics.remove(&kept.topic);
            }
        }
        if of_project.lane_count == 0 {
            self.projects.remove(&kept.project);
        }
    }

    /// Makes room for a newer epoch of the same producer.
    fn retire(&mut self, id: LaneId) {
        self.detach(id);
        let mut verdicts = Vec::new();
        if let Some(kept) = self.lanes.get_mut(&id) {
            kept.retired = true;
            kept.lane.retire(&mut verdicts);
        }
        self.close_tries(id, &verdicts);
        self.due.append(&mut verdicts);
        self.rest(id);
    }

    /// Strikes off the tries that got their verdict without an outcome.
    fn close_tries(&mut self, id: LaneId, verdicts: &[(Ticket, Verdict)]) {
        let lane = self.lanes.get(&id).map(|kept| &kept.lane);
        for (ticket, _) in verdicts {
            if !lane.is_some_and(|lane| lane.is_open(*ticket)) {
                self.tries.remove(ticket);
            }
        }
    }

    fn touch(&mut self, id: LaneId, now_s: i64) {
        if let Some(kept) = self.lanes.get_mut(&id)
            && let Some(of_project) = self.projects.get_mut(&kept.project)
        {
            of_project.idle.remove(&(kept.last_used_s, id));
            kept.last_used_s = kept.last_used_s.max(now_s);
        }
        self.rest(id);
    }

    /// Notes that a lane waits for nothing, if so; a retired one is gone then.
    fn rest(&mut self, id: LaneId) {
        let Some(kept) = self.lanes.get(&id).filter(|kept| !kept.lane.is_busy()) else {
            return;
        };
        if kept.retired {
            self.lanes.remove(&id);
        } else if let Some(of_project) = self.projects.get_mut(&kept.project) {
            of_project.idle.insert((kept.last_used_s, id));
        }
    }
}

/// A new producer id: 63 random bits, above 0.
///
/// # Panics
///
/// If the operating system has no random numbers; keys could not be made then either.
pub fn new_producer_id() -> i64 {
    let bits = getrandom::u64().expect("the operating system gives random numbers");
    // The shift leaves 63 bits, so it fits.
    ((bits >> 1) as i64).max(1)
}
