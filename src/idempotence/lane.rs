//! One producer's batches on one partition in one epoch: which are awaited, which are stored, where something is missing.
//!
//! Sequences wrap, so each batch has a place counted in records from the start of the lane's life, which does not.
//! The lane keeps, in order of that place, the last stored batches and everything after them that is not finished:
//!
//! ```text
//! stored stored │ under way  stored (held)  decoded  decoding │ next
//!               └ a verdict goes out only when everything before has had its own
//! ```

use std::collections::VecDeque;

use super::mark::{self, SLOTS};
use super::{Admission, Gaps, Outcome, Refusal, Temporary, Ticket, Tickets, Verdict};
use crate::records::ProducerBatch;

/// Stored batches that a repeat is compared with: what Kafka's brokers keep, and the most a client may have in flight.
pub(super) const STORED_MAX: usize = 5;

/// Batches that are not finished; well over the five in flight that clients may have, reconnects included.
pub(super) const PENDING_MAX: usize = 16;

/// Sequences count from 0 to 2^31 − 1 and start again (Kafka's `DefaultRecordBatch.incrementSequence`).
const SEQUENCES: i64 = 1 << 31;

/// The ticket of an entry that never had a try here; none is drawn with this number.
const NOBODY: Ticket = Ticket(0);

const CROWDED: Temporary = Temporary::NotStored("too many batches of this producer are under way");
const LOST: Temporary = Temporary::NotStored("an earlier batch was not stored before the restart");

const REFUSED_UNSEEN: Temporary =
    Temporary::NotStored("this batch was refused while its repeat was awaited");

/// Where a batch stands in the life of its lane.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Records before it.
    at: i64,
    sequence: i32,
    /// Batches before it.
    index: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Not handed over by its decoder yet.
    Decoding,
    /// Waits for the decoding of an earlier one.
    Decoded,
    /// With the backend.
    UnderWay,
    Stored,
    /// Not stored, or perhaps not: the client is expected to send it again.
    Hole(Temporary),
    /// Like `Hole`, after a restart: one or several batches of which only the extent is known.
    Gap,
    /// Refused for good; only until its verdict goes out.
    Refused,
}

impl Progress {
    fn is_open(self) -> bool {
        matches!(self, Self::Decoding | Self::Decoded | Self::UnderWay)
    }

    fn hole(self) -> Option<Temporary> {
        match self {
            Self::Hole(why) => Some(why),
            Self::Gap => Some(LOST),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    place: Place,
    count: i64,
    progress: Progress,
    ticket: Ticket,
    /// Somebody waits for a verdict under this ticket.
    owed: bool,
}

#[derive(Debug)]
pub(super) struct Lane {
    pub epoch: i16,
    life: u64,
    next: Place,
    entries: VecDeque<Entry>,
    /// This node itself turned batches away up to this place, and so: what comes before it is no client's mistake.
    turned_away: Option<(i64, Refusal)>,
}

impl Lane {
    pub fn new(epoch: i16, life: u64, first_sequence: i32) -> Self {
        Self {
            epoch,
            life,
            next: Place {
                at: 0,
                sequence: first_sequence,
                index: 0,
            },
            entries: VecDeque::new(),
            turned_away: None,
        }
    }

    /// A lane as its marks tell; they are of one life, sorted by index.
    pub fn restored(marks: &[mark::Value]) -> Option<Self> {
        // An older mark is left over where the batch that had its slot after it was not stored; between it and the
        // last ones, marks are absent because they were replaced.
        let oldest = marks.last()?.index.saturating_sub(SLOTS - 1);
        let marks = &marks[marks.partition_point(|mark| mark.index < oldest)..];
        let first = marks.first()?;
        let mut lane = Self::new(first.epoch, first.life, first.first_sequence);
        if oldest == 0 && !first.settled_before {
            // Nothing was replaced yet, and it has not expired: what is absent before the first mark was not stored.
            lane.next.sequence = sequence_after(first.first_sequence, -first.at);
        } else {
            lane.next.at = first.at;
        }
        for mark in marks {
            lane.restore(mark);
        }
        lane.forget_old();
        Some(lane)
    }

    fn restore(&mut self, mark: &mark::Value) {
        let missing = mark.at - self.next.at;
        if missing < 0 {
            return;
        }
        if missing > 0 {
            self.push(missing, Progress::Gap);
        }
        // The absent batches between had the slots between.
        self.next.index = mark.index;
        self.push(i64::from(mark.record_count), Progress::Stored);
    }

    /// Appends at `next` an entry that nobody waits for.
    fn push(&mut self, count: i64, progress: Progress) {
        self.entries.push_back(Entry {
            place: self.next,
            count,
            progress,
            ticket: NOBODY,
            owed: false,
        });
        self.next = after(self.next, count);
    }

    /// Decides about a batch of this epoch; its first sequence is not negative, its record count is above 0.
    pub fn admit(&mut self, batch: ProducerBatch, gaps: Gaps, tickets: &mut Tickets) -> Admission {
        let at = self.place_of(batch.first_sequence);
        let count = i64::from(batch.record_count);
        let same = |e: &Entry| e.place.at == at && e.count == count && e.progress != Progress::Gap;
        match self.entries.iter().position(same) {
            Some(found) => self.admit_repeat(found, tickets),
            None => self.admit_new(at, count, gaps, tickets),
        }
    }

    fn admit_repeat(&mut self, found: usize, tickets: &mut Tickets) -> Admission {
        let entry = self.entries[found];
        if entry.owed || entry.progress.is_open() {
            self.entries[found].owed = true;
            return Admission::Wait(entry.ticket);
        }
        if let Some(why) = self.hole_before(entry.place.at) {
            return Admission::Refuse(Refusal::Later(why));
        }
        let stored = entry.progress == Progress::Stored;
        if stored && !self.entries.range(..found).any(|e| e.progress.is_open()) {
            return Admission::Stored;
        }
        let entry = &mut self.entries[found];
        entry.ticket = tickets.draw();
        entry.owed = true;
        if stored {
            return Admission::Wait(entry.ticket);
        }
        entry.progress = Progress::Decoding;
        Admission::Write(entry.ticket)
    }

    fn admit_new(&mut self, at: i64, count: i64, gaps: Gaps, tickets: &mut Tickets) -> Admission {
        let end = at + count;
        if let Some(why) = self.hole_before(at) {
            return self.turn_away(end, Refusal::Later(why));
        }
        if at > self.next.at {
            match (self.turned_away, gaps) {
                (Some((_, refusal)), _) => return self.turn_away(end, refusal),
                (None, Gaps::Refuse) => return Admission::Refuse(Refusal::Gap),
                (None, Gaps::AcceptUnlessRefusedHere) => {}
            }
        }
        let gap = self.gap_at(at, count);
        if at < self.next.at && gap.is_none() {
            return Admission::Refuse(Refusal::Gap);
        }
        if self.entries.len() - self.finished() >= PENDING_MAX {
            self.turn_away(end, Refusal::Later(CROWDED));
            return Admission::Refuse(Refusal::TooMany);
        }
        let ticket = tickets.draw();
        let added = match gap {
            Some(gap) => self.fill(gap, count),
            None => self.append(at, count),
        };
        let entry = &mut self.entries[added];
        entry.progress = Progress::Decoding;
        entry.ticket = ticket;
        entry.owed = true;
        Admission::Write(ticket)
    }

    fn turn_away(&mut self, end: i64, refusal: Refusal) -> Admission {
        if end > self.next.at {
            let end = self.turned_away.map_or(end, |(until, _)| until.max(end));
            self.turned_away = Some((end, refusal));
        }
        Admission::Refuse(refusal)
    }

    /// Takes the first `count` records of a gap as a batch of its own; returns where that batch stands.
    fn fill(&mut self, gap: usize, count: i64) -> usize {
        let whole = self.entries[gap];
        self.entries[gap].count = count;
        if whole.count > count {
            let rest = Entry {
                place: after(whole.place, count),
                count: whole.count - count,
                ..whole
            };
            self.entries.insert(gap + 1, rest);
        }
        gap
    }

    fn append(&mut self, at: i64, count: i64) -> usize {
        self.next.sequence = sequence_after(self.next.sequence, at - self.next.at);
        self.next.at = at;
        self.push(count, Progress::Decoding);
        if self
            .turned_away
            .is_some_and(|(until, _)| until <= self.next.at)
        {
            self.turned_away = None;
        }
        self.entries.len() - 1
    }

    /// Takes note that a batch is decoded; gives those whose turn it is now.
    pub fn ready(&mut self, ticket: Ticket) -> Vec<Ticket> {
        match self.open(ticket) {
            Some(found) if self.entries[found].progress == Progress::Decoding => {
                self.entries[found].progress = Progress::Decoded;
            }
            _ => return Vec::new(),
        }
        let mut released = Vec::new();
        for entry in &mut self.entries {
            match entry.progress {
                Progress::Stored | Progress::UnderWay => {}
                Progress::Decoded => {
                    entry.progress = Progress::UnderWay;
                    released.push(entry.ticket);
                }
                // Behind a known failure nothing may be stored any more.
                Progress::Decoding | Progress::Hole(_) | Progress::Gap | Progress::Refused => break,
            }
        }
        released
    }

    pub fn mark(&self, ticket: Ticket) -> Option<mark::Value> {
        let found = self.open(ticket)?;
        let entry = self.entries[found];
        let stored = |e: &Entry| e.progress == Progress::Stored;
        Some(mark::Value {
            epoch: self.epoch,
            first_sequence: entry.place.sequence,
            // Not a gap, so it came from an i32.
            record_count: entry.count as i32,
            life: self.life,
            index: entry.place.index,
            at: entry.place.at,
            settled_before: self.entries.range(..found).all(stored),
        })
    }

    pub fn settle(
        &mut self,
        ticket: Ticket,
        outcome: Outcome,
        verdicts: &mut Vec<(Ticket, Verdict)>,
    ) {
        let Some(found) = self.open(ticket) else {
            return;
        };
        self.entries[found].progress = match outcome {
            Outcome::Stored => Progress::Stored,
            Outcome::Failed(why) => Progress::Hole(why),
            // Nobody waits, so nobody is to be told, and the client repeats what it was told to repeat.
            Outcome::Refused if !self.entries[found].owed => Progress::Hole(REFUSED_UNSEEN),
            Outcome::Refused => Progress::Refused,
        };
        self.deliver(verdicts);
        self.forget_old();
    }

    /// A newer epoch has begun. What is with the backend goes on; the rest is not written any more,
    /// since the client may send the same records in its new epoch.
    pub fn retire(&mut self, verdicts: &mut Vec<(Ticket, Verdict)>) {
        self.entries.retain(|entry| {
            let unsent = matches!(entry.progress, Progress::Decoding | Progress::Decoded);
            if unsent {
                verdicts.push((entry.ticket, Verdict::Refused(Refusal::OldEpoch)));
            }
            !unsent
        });
        self.deliver(verdicts);
    }

    /// Whether an outcome or a verdict is awaited.
    pub fn is_busy(&self) -> bool {
        self.entries.iter().any(|e| e.owed || e.progress.is_open())
    }

    pub fn is_open(&self, ticket: Ticket) -> bool {
        self.open(ticket).is_some()
    }

    /// Gives the verdicts that are due, in sequence.
    fn deliver(&mut self, verdicts: &mut Vec<(Ticket, Verdict)>) {
        for at in 0..self.entries.len() {
            let entry = self.entries[at];
            let verdict = match entry.progress {
                Progress::Stored => Verdict::Stored,
                Progress::Refused => Verdict::Own,
                Progress::Hole(why) => Verdict::Failed(why),
                Progress::Gap => Verdict::Failed(LOST),
                Progress::Decoding | Progress::Decoded | Progress::UnderWay => break,
            };
            if entry.owed {
                self.entries[at].owed = false;
                verdicts.push((entry.ticket, verdict));
            }
            match verdict {
                Verdict::Failed(why) => return self.fail_from(at + 1, why, verdicts),
                Verdict::Own => return self.rewind(at, verdicts),
                Verdict::Stored | Verdict::Refused(_) => {}
            }
        }
    }

    /// Answers everything behind a failure like the failure itself: a later success would tell the client that the
    /// failed batch is stored too.
    fn fail_from(&mut self, at: usize, why: Temporary, verdicts: &mut Vec<(Ticket, Verdict)>) {
        for entry in self.entries.range_mut(at..) {
            if std::mem::take(&mut entry.owed) {
                verdicts.push((entry.ticket, Verdict::Failed(why)));
            }
            match entry.progress {
                Progress::Decoding | Progress::Decoded | Progress::Refused => {
                    entry.progress = Progress::Hole(not_stored(why));
                }
                // Its outcome is still to come, for the repeat.
                Progress::UnderWay => {}
                Progress::Stored | Progress::Hole(_) | Progress::Gap => {}
            }
        }
    }

    /// Takes back a batch that was refused for good, and all behind it: the client numbers those anew, from its place.
    fn rewind(&mut self, at: usize, verdicts: &mut Vec<(Ticket, Verdict)>) {
        let removed = self.entries.split_off(at);
        self.turned_away = Some((self.next.at, Refusal::Gap));
        self.next = removed[0].place;
        for entry in removed.iter().filter(|entry| entry.owed) {
            verdicts.push((entry.ticket, Verdict::Refused(Refusal::Gap)));
        }
    }

    fn forget_old(&mut self) {
        let surplus = self.finished().saturating_sub(STORED_MAX);
        self.entries.drain(..surplus);
    }

    /// How many entries at the front are stored and answered.
    fn finished(&self) -> usize {
        let finished = |e: &&Entry| e.progress == Progress::Stored && !e.owed;
        self.entries.iter().take_while(finished).count()
    }

    fn open(&self, ticket: Ticket) -> Option<usize> {
        let found = |e: &Entry| e.ticket == ticket && e.progress.is_open();
        self.entries.iter().position(found)
    }

    fn hole_before(&self, at: i64) -> Option<Temporary> {
        let earlier = self.entries.iter().take_while(|e| e.place.at < at);
        earlier.filter_map(|e| e.progress.hole()).next()
    }

    fn gap_at(&self, at: i64, count: i64) -> Option<usize> {
        let fits = |e: &Entry| e.progress == Progress::Gap && e.place.at == at && count <= e.count;
        self.entries.iter().position(fits)
    }

    /// The place of a sequence: ahead of `next` up to half of all sequences, else behind.
    fn place_of(&self, sequence: i32) -> i64 {
        let ahead = (i64::from(sequence) - i64::from(self.next.sequence)).rem_euclid(SEQUENCES);
        let wrapped = if ahead < SEQUENCES / 2 { 0 } else { SEQUENCES };
        self.next.at + ahead - wrapped
    }
}

fn not_stored(why: Temporary) -> Temporary {
    match why {
        Temporary::NotStored(text) | Temporary::Uncertain(text) => Temporary::NotStored(text),
    }
}

fn after(place: Place, count: i64) -> Place {
    Place {
        at: place.at + count,
        sequence: sequence_after(place.sequence, count),
        index: place.index + 1,
    }
}

/// `count` may be negative.
fn sequence_after(sequence: i32, count: i64) -> i32 {
    // Below 2^31, so it fits.
    (i64::from(sequence) + count).rem_euclid(SEQUENCES) as i32
}
