//! The shards of a Logstore in the order of arrival, forwards, and one shard's groups, for going backwards.

use std::collections::VecDeque;
use std::ops::Range;

use super::{Group, ReadError, Source};

/// The shards of a Logstore as one stream, in the order of arrival.
pub struct Merge {
    pub shards: Vec<Shard>,
}

pub struct Shard {
    pub id: u32,
    /// The sequence to read next.
    pub next: u64,
    page: VecDeque<Group>,
    /// Nothing more since the last look.
    dry: bool,
}

impl Merge {
    pub fn from_oldest(source: &mut dyn Source) -> Result<Self, ReadError> {
        Self::new(source, |range| range.start)
    }

    pub fn from_next(source: &mut dyn Source) -> Result<Self, ReadError> {
        Self::new(source, |range| range.end)
    }

    fn new(source: &mut dyn Source, begin: fn(Range<u64>) -> u64) -> Result<Self, ReadError> {
        let mut shards = Vec::new();
        for id in source.shards()? {
            shards.push(Shard {
                id,
                next: begin(source.range(id)?),
                page: VecDeque::new(),
                dry: false,
            });
        }
        Ok(Self { shards })
    }

    pub fn look_again(&mut self) {
        for shard in &mut self.shards {
            shard.dry = false;
        }
    }

    /// The group that arrived first of those not given yet; `None` when all shards are dry.
    pub fn next(&mut self, source: &mut dyn Source) -> Result<Option<(u32, Group)>, ReadError> {
        for shard in &mut self.shards {
            if shard.page.is_empty() && !shard.dry {
                shard.page = source.read(shard.id, shard.next)?.into();
                shard.dry = shard.page.is_empty();
            }
        }
        let waiting = self
            .shards
            .iter_mut()
            .filter(|shard| !shard.page.is_empty());
        let first = waiting.min_by_key(|shard| (shard.page[0].receive_ms, shard.id));
        Ok(first.and_then(|shard| {
            let group = shard.page.pop_front()?;
            shard.next = group.sequence + 1;
            Some((shard.id, group))
        }))
    }
}

/// Gives the groups of one shard in this range of sequences, in order.
pub fn for_each_group(
    source: &mut dyn Source,
    shard: u32,
    sequences: Range<u64>,
    mut each: impl FnMut(&mut dyn Source, &Group) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let mut from = sequences.start;
    while from < sequences.end {
        let page = source.read(shard, from)?;
        let Some(last) = page.last() else { break };
        from = last.sequence + 1;
        for group in page.iter().filter(|group| group.sequence < sequences.end) {
            each(source, group)?;
        }
    }
    Ok(())
}
