//! Which shard loses its oldest groups next, by age and by size. Deleting is the store's.
//!
//! A Logstore is measured alone, so no project and no Logstore ever evicts another's groups.

use super::shards::Shards;
use super::store::Retention;

/// Counted for each group beside its compressed bytes: its row, and its part of pages that are not full.
pub const GROUP_OVERHEAD_BYTES: i64 = 64;

/// The oldest groups of one shard that are to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Index of the shard in `Shards`.
    pub shard: usize,
    /// Groups received before this go.
    pub before_ms: i64,
    /// Then more of them, until this many bytes are gone.
    pub excess_bytes: i64,
    pub next_turn: usize,
}

/// The next slice; `None`: everything is within the rule. The search begins at the Logstore of this `turn`, so that one
/// that is always over its size does not keep the others waiting.
pub fn victim(shards: &Shards, rule: &Retention, now_ms: i64, turn: usize) -> Option<Slice> {
    let age_ms = i64::try_from(rule.age_max.as_millis()).unwrap_or(i64::MAX);
    let bytes_max = i64::try_from(rule.logstore_bytes_max).unwrap_or(i64::MAX);
    let before_ms = now_ms.saturating_sub(age_ms);
    let numbered = || shards.by_logstore().enumerate();
    numbered()
        .skip(turn)
        .chain(numbered().take(turn))
        .find_map(|(number, logstore)| {
            let oldest = |index: &usize| {
                shards
                    .shard(*index)
                    .oldest_ms
                    .map(|oldest_ms| (oldest_ms, *index))
            };
            let (oldest_ms, shard) = logstore.iter().filter_map(oldest).min()?;
            let bytes: i64 = logstore
                .iter()
                .map(|index| shards.shard(*index).bytes)
                .sum();
            let excess_bytes = bytes.saturating_sub(bytes_max).max(0);
            let is_past = oldest_ms < before_ms || excess_bytes > 0;
            is_past.then_some(Slice {
                shard,
                before_ms,
                excess_bytes,
                next_turn: number + 1,
            })
        })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::backend::embedded::shards::Shard;
    use crate::tenant::{LogstoreName, ProjectName};

    const RULE: Retention = Retention {
        age_max: Duration::from_secs(10),
        logstore_bytes_max: 100,
        mark_age_max: Duration::from_secs(1),
        marks_max: 1,
    };

    /// One project with these Logstores, each a list of shards: (oldest receive time, bytes).
    fn shards(logstores: &[&[(Option<i64>, i64)]]) -> Shards {
        let project = ProjectName::parse("shop").unwrap();
        let mut shards = Shards::default();
        shards.add_project(project.clone(), 1);
        for (number, logstore) in logstores.iter().enumerate() {
            let name = LogstoreName::parse(&format!("logs{number}")).unwrap();
            shards.add_logstore(&project, name.clone(), 1);
            for &(oldest_ms, bytes) in *logstore {
                let mut shard = Shard::new(1);
                (shard.oldest_ms, shard.bytes) = (oldest_ms, bytes);
                shards.add_shard(&project, &name, shard);
            }
        }
        shards
    }

    #[test]
    fn the_oldest_shard_of_the_logstore_past_its_rule_is_next() {
        let check = |logstores: &[&[(Option<i64>, i64)]], now_ms, expected| {
            let found = victim(&shards(logstores), &RULE, now_ms, 0);
            assert_eq!(
                found.map(|slice| (slice.shard, slice.excess_bytes)),
                expected,
                "{logstores:?}"
            );
        };
        check(&[], 0, None);
        check(&[&[(None, 0)]], 1_000_000, None);
        check(&[&[(Some(5_000), 50), (Some(4_000), 50)]], 14_000, None);
        check(
            &[&[(Some(5_000), 50), (Some(4_000), 50)]],
            14_001,
            Some((1, 0)),
        );
        check(
            &[&[(Some(5_000), 50), (Some(4_000), 51)]],
            5_000,
            Some((1, 1)),
        );
    }

    #[test]
    fn a_full_logstore_takes_nothing_from_another() {
        let found = victim(
            &shards(&[&[(Some(1), 100)], &[(Some(2), 101)]]),
            &RULE,
            3,
            0,
        )
        .unwrap();
        assert_eq!(
            (found.shard, found.before_ms, found.excess_bytes),
            (1, -9_997, 1)
        );
    }

    #[test]
    fn logstores_that_are_all_over_their_size_take_turns() {
        let shards = shards(&[&[(Some(1), 101)], &[(Some(1), 101)], &[(Some(1), 101)]]);
        let mut turn = 0;
        let mut seen = std::collections::HashSet::new();
        for _ in 0..3 {
            let slice = victim(&shards, &RULE, 2, turn).unwrap();
            turn = slice.next_turn;
            seen.insert(slice.shard);
        }
        assert_eq!(seen.len(), 3);
        assert!(victim(&shards, &RULE, 2, turn).is_some());
    }
}
