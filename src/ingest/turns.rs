//! The order of one connection's batches to one partition, for users who want order.
//!
//! Batches become ready in any order: small ones are decoded as they arrive, large ones on the pool, and a Logstore may
//! have to be looked up first. So each takes its turn as it arrives, and what is ready waits here until all in front of
//! it went on or left. One batch on its way:
//!
//! ```text
//! enter ─ decode ─ ready ─ (its turn) ─ take ─ batcher
//!                └ leave: it failed, or was dropped
//! ```
//!
//! Pure state, of what is under way only: a line is forgotten with its last batch, so nothing is left of a connection.
//! Idempotent producers have an order of their own, which `idempotence` keeps.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// A client's connection; never used again in a process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ConnectionId(pub(super) u64);

/// A batch's place in its line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Turn {
    line: LineId,
    number: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct LineId(u64);

/// Whose batches keep their order.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Key {
    connection: ConnectionId,
    /// As written on the wire.
    topic: Arc<str>,
    partition: i32,
}

#[derive(Debug)]
struct Line<T> {
    key: Key,
    /// The number of the first place.
    first: u64,
    /// Those of all that are under way.
    places: VecDeque<Place<T>>,
}

#[derive(Debug)]
enum Place<T> {
    Awaited,
    Ready(T),
    Left,
}

/// All lines in which a batch is under way.
#[derive(Debug)]
pub struct Turns<T> {
    ids: HashMap<Key, LineId>,
    lines: HashMap<LineId, Line<T>>,
    lines_made: u64,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self {
            ids: HashMap::new(),
            lines: HashMap::new(),
            lines_made: 0,
        }
    }
}

impl<T> Turns<T> {
    /// A batch has arrived, behind all that arrived before it.
    pub fn enter(&mut self, connection: ConnectionId, topic: &str, partition: i32) -> Turn {
        let key = Key {
            connection,
            topic: topic.into(),
            partition,
        };
        let id = *self.ids.entry(key.clone()).or_insert_with(|| {
            self.lines_made += 1;
            LineId(self.lines_made)
        });
        let line = self.lines.entry(id).or_insert_with(|| Line::new(key));
        Turn {
            line: id,
            number: line.lengthen(),
        }
    }

    /// A batch is decoded: [`Turns::take`] gives it when its turn has come.
    pub fn ready(&mut self, turn: Turn, batch: T) {
        self.fill(turn, Place::Ready(batch));
    }

    /// A batch has come to its end. True: it had not gone on, and [`Turns::take`] is to be asked what may do so now.
    pub fn leave(&mut self, turn: Turn) -> bool {
        self.fill(turn, Place::Left)
    }

    /// What may go on of the line of this turn, in order and at most so many; fewer only if that is all for now.
    pub fn take(&mut self, turn: Turn, count_max: usize) -> Vec<T> {
        let Some(line) = self.lines.get_mut(&turn.line) else {
            return Vec::new();
        };
        let next = std::iter::from_fn(|| line.next());
        let taken = next.take(count_max).collect();
        if line.places.is_empty()
            && let Some(line) = self.lines.remove(&turn.line)
        {
            self.ids.remove(&line.key);
        }
        taken
    }

    /// False: the batch has gone on already.
    fn fill(&mut self, turn: Turn, with: Place<T>) -> bool {
        let line = self.lines.get_mut(&turn.line);
        let place = line.and_then(|line| line.place(turn.number));
        let is_there = place.is_some();
        if let Some(place) = place {
            *place = with;
        }
        is_there
    }
}

impl<T> Line<T> {
    fn new(key: Key) -> Self {
        Self {
            key,
            first: 0,
            places: VecDeque::new(),
        }
    }

    /// Gives the number of the new last place.
    fn lengthen(&mut self) -> u64 {
        self.places.push_back(Place::Awaited);
        self.first + self.places.len() as u64 - 1
    }

    fn place(&mut self, number: u64) -> Option<&mut Place<T>> {
        let index = number.checked_sub(self.first)?;
        self.places.get_mut(usize::try_from(index).ok()?)
    }

    /// The first batch, if it is ready; passes over those that left.
    fn next(&mut self) -> Option<T> {
        loop {
            let first = self.places.pop_front()?;
            self.first += 1;
            match first {
                Place::Ready(batch) => return Some(batch),
                Place::Left => {}
                Place::Awaited => {
                    self.first -= 1;
                    self.places.push_front(first);
                    return None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MANY: usize = 100;

    fn enter(turns: &mut Turns<usize>, count: usize) -> Vec<Turn> {
        (0..count)
            .map(|_| turns.enter(ConnectionId(1), "x", 0))
            .collect()
    }

    fn is_empty(turns: &Turns<usize>) -> bool {
        turns.ids.is_empty() && turns.lines.is_empty()
    }

    #[test]
    fn what_is_ready_waits_for_all_in_front_of_it() {
        let mut turns = Turns::default();
        let line = enter(&mut turns, 3);
        turns.ready(line[1], 1);
        assert!(turns.take(line[1], MANY).is_empty());
        turns.ready(line[2], 2);
        assert!(turns.take(line[2], MANY).is_empty());
        turns.ready(line[0], 0);
        assert_eq!(turns.take(line[0], MANY), [0, 1, 2]);
        assert!(is_empty(&turns));
    }

    #[test]
    fn one_that_leaves_lets_the_others_go_on() {
        let mut turns = Turns::default();
        let line = enter(&mut turns, 4);
        turns.ready(line[1], 1);
        turns.ready(line[3], 3);
        assert!(turns.leave(line[2]), "it may be waited for");
        assert!(turns.take(line[2], MANY).is_empty());
        assert!(turns.leave(line[0]));
        assert_eq!(turns.take(line[0], MANY), [1, 3]);
        assert!(is_empty(&turns));
    }

    #[test]
    fn one_that_went_on_has_left_its_line() {
        let mut turns = Turns::default();
        let line = enter(&mut turns, 2);
        turns.ready(line[0], 0);
        assert_eq!(turns.take(line[0], MANY), [0]);
        assert!(!turns.leave(line[0]));
        turns.ready(line[1], 1);
        assert_eq!(turns.take(line[1], MANY), [1]);
        assert!(!turns.leave(line[1]), "the line is forgotten");
        let again = enter(&mut turns, 1);
        assert!(!turns.leave(line[0]), "a later line is another one");
        assert!(turns.leave(again[0]));
        assert!(turns.take(again[0], MANY).is_empty());
        assert!(is_empty(&turns));
    }

    #[test]
    fn each_connection_topic_and_partition_has_a_line_of_its_own() {
        let mut turns = Turns::default();
        let all = [(1, "x", 0), (2, "x", 0), (1, "y", 0), (1, "x", 1)]
            .map(|(id, topic, partition)| turns.enter(ConnectionId(id), topic, partition));
        for (index, turn) in all.into_iter().enumerate().rev() {
            turns.ready(turn, index);
            assert_eq!(turns.take(turn, MANY), [index]);
        }
        assert!(is_empty(&turns));
    }

    #[test]
    fn many_are_taken_a_few_at_a_time_and_later_ones_stay_behind() {
        let mut turns = Turns::default();
        let line = enter(&mut turns, 5);
        for (index, turn) in line.iter().enumerate().rev() {
            turns.ready(*turn, index);
        }
        assert_eq!(turns.take(line[0], 2), [0, 1]);
        let last = enter(&mut turns, 1)[0];
        turns.ready(last, 5);
        assert_eq!(turns.take(last, 2), [2, 3]);
        assert_eq!(turns.take(line[0], 3), [4, 5]);
        assert!(is_empty(&turns));
    }

    proptest! {
        /// Whatever the order in which they become ready or leave: what goes on does so in order, none stays.
        #[test]
        fn all_go_on_in_order_or_leave(
            events in Just((0..40_usize).collect::<Vec<_>>()).prop_shuffle(),
            leaving in proptest::collection::vec(any::<bool>(), 40),
        ) {
            let mut turns = Turns::default();
            let line = enter(&mut turns, 40);
            let mut gone = Vec::new();
            for index in events {
                if leaving[index] {
                    prop_assert!(turns.leave(line[index]));
                } else {
                    turns.ready(line[index], index);
                }
                gone.extend(turns.take(line[index], MANY));
            }
            let stayed: Vec<usize> = (0..40).filter(|index| !leaving[*index]).collect();
            prop_assert_eq!(gone, stayed);
            prop_assert!(is_empty(&turns));
        }
    }
}
