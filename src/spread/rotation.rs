//! Round-robin over the shards of each Logstore: over any window the shards' shares differ by at most one group.

use super::remembered::Remembered;
use crate::tenant::{LogstoreName, ProjectName};

/// Logstores whose place in the round is remembered; one that is forgotten merely starts its round again.
const LOGSTORES_MAX: usize = 100_000;

/// The shard of each Logstore that took the last group.
#[derive(Debug)]
pub struct Rotation(Remembered<u32>);

impl Default for Rotation {
    fn default() -> Self {
        Self(Remembered::new(LOGSTORES_MAX))
    }
}

impl Rotation {
    /// The next shard of a Logstore. The round goes by shard id, so it holds when the list of shards changes.
    pub fn next(&mut self, project: &ProjectName, logstore: &LogstoreName, shards: &[u32]) -> u32 {
        let place = (project.clone(), logstore.clone());
        let last = self.0.get(&place);
        let first = shards.iter().copied().min().unwrap_or(0);
        let above =
            last.and_then(|last| shards.iter().copied().filter(|shard| *shard > last).min());
        let shard = above.unwrap_or(first);
        self.0.set(place, shard);
        shard
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn project(index: u8) -> ProjectName {
        ProjectName::parse(&format!("project-{index}")).expect("a good name")
    }

    fn logstore() -> LogstoreName {
        LogstoreName::parse("logstore").expect("a good name")
    }

    proptest! {
        #[test]
        fn over_any_window_the_shares_of_shards_differ_by_at_most_one(
            calls in proptest::collection::vec(0..3_u8, 1..200),
            shard_count in 1..6_u32,
            from in 0..200_usize,
            length in 1..200_usize,
        ) {
            let shards: Vec<u32> = (0..shard_count).map(|index| index * 3 + 1).collect();
            let mut rotation = Rotation::default();
            let taken: Vec<(u8, u32)> =
                calls.iter().map(|call| (*call, rotation.next(&project(*call), &logstore(), &shards))).collect();
            for which in 0..3 {
                let own: Vec<u32> = taken.iter().filter(|(call, _)| *call == which).map(|(_, shard)| *shard).collect();
                let window = own.iter().skip(from % own.len().max(1)).take(length);
                let share = |shard: &u32| window.clone().filter(|taken| *taken == shard).count();
                let shares: Vec<usize> = shards.iter().map(share).collect();
                let (most, least) = (shares.iter().max(), shares.iter().min());
                prop_assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{shares:?}");
            }
        }
    }

    #[test]
    fn the_round_goes_on_when_the_shards_change() {
        let mut rotation = Rotation::default();
        let mut next = |shards: &[u32]| rotation.next(&project(0), &logstore(), shards);
        assert_eq!([next(&[0, 1]), next(&[0, 1]), next(&[0, 1])], [0, 1, 0]);
        // 0 was split into 2 and 3.
        assert_eq!(
            [
                next(&[1, 2, 3]),
                next(&[1, 2, 3]),
                next(&[1, 2, 3]),
                next(&[1, 2, 3])
            ],
            [1, 2, 3, 1]
        );
    }
}
