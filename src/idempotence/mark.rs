//! The bytes of a mark: what the store keeps beside a batch, so that its repeat is recognised after a restart.
//!
//! A mark tells of its own batch only: an earlier batch may fail while a later one is stored.
//!
//! ```text
//! key:   version u8 = 1 · producer id i64 · partition i32 · topic length u16, bytes · slot u8
//! value: epoch i16 · first sequence i32 · record count i32 · life u64 · index u64 · at i64 · settled before u8
//! ```
//!
//! All big-endian. A later mark of the same key replaces the earlier one, so a producer holds at most [`SLOTS`] marks a partition.

const VERSION: u8 = 1;

/// Marks of one producer and partition. A client has at most five batches in flight and a failed batch keeps its slot,
/// so eight never let a batch overwrite the mark of one that may still be repeated.
pub(super) const SLOTS: u64 = 8;

/// Kafka's limit on a topic name.
const TOPIC_BYTES_MAX: usize = 249;

/// Far over what a running counter reaches, far under where adding to it overflows.
const COUNTER_MAX: u64 = 1 << 62;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key<'a> {
    pub producer_id: i64,
    pub partition: i32,
    pub topic: &'a str,
}

/// One stored batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub epoch: i16,
    pub first_sequence: i32,
    pub record_count: i32,
    /// Grows with each new epoch and each new start of a forgotten producer: marks of an earlier life mean nothing.
    pub life: u64,
    /// Batches of this life before this one.
    pub index: u64,
    /// Records of this life before this one: the sequence without its wrap.
    pub at: i64,
    /// All before it was stored when it was handed over. Where marks of earlier batches are absent, they have expired.
    pub settled_before: bool,
}

impl Key<'_> {
    pub fn encode(&self, index: u64) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(16 + self.topic.len());
        bytes.push(VERSION);
        bytes.extend(self.producer_id.to_be_bytes());
        bytes.extend(self.partition.to_be_bytes());
        // A topic this long is no Logstore's name; its mark would only be skipped later.
        let topic_bytes = u16::try_from(self.topic.len()).unwrap_or(u16::MAX);
        bytes.extend(topic_bytes.to_be_bytes());
        bytes.extend(self.topic.as_bytes());
        bytes.push((index % SLOTS) as u8);
        bytes
    }
}

impl Value {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(35);
        bytes.extend(self.epoch.to_be_bytes());
        bytes.extend(self.first_sequence.to_be_bytes());
        bytes.extend(self.record_count.to_be_bytes());
        bytes.extend(self.life.to_be_bytes());
        bytes.extend(self.index.to_be_bytes());
        bytes.extend(self.at.to_be_bytes());
        bytes.push(u8::from(self.settled_before));
        bytes
    }
}

/// Reads a mark; `None` if it is not one of ours or contradicts itself.
pub(super) fn decode<'a>(key: &'a [u8], value: &[u8]) -> Option<(Key<'a>, Value)> {
    let (key, slot) = decode_key(key)?;
    let value = decode_value(value)?;
    (value.index % SLOTS == u64::from(slot)).then_some((key, value))
}

fn decode_key(mut bytes: &[u8]) -> Option<(Key<'_>, u8)> {
    let [version] = take(&mut bytes)?;
    let producer_id = i64::from_be_bytes(take(&mut bytes)?);
    let partition = i32::from_be_bytes(take(&mut bytes)?);
    let topic_bytes = usize::from(u16::from_be_bytes(take(&mut bytes)?));
    let (topic, rest) = bytes.split_at_checked(topic_bytes)?;
    let &[slot] = rest else { return None };
    if version != VERSION || producer_id < 0 || topic_bytes > TOPIC_BYTES_MAX {
        return None;
    }
    let topic = std::str::from_utf8(topic).ok()?;
    Some((
        Key {
            producer_id,
            partition,
            topic,
        },
        slot,
    ))
}

fn decode_value(mut bytes: &[u8]) -> Option<Value> {
    let value = Value {
        epoch: i16::from_be_bytes(take(&mut bytes)?),
        first_sequence: i32::from_be_bytes(take(&mut bytes)?),
        record_count: i32::from_be_bytes(take(&mut bytes)?),
        life: u64::from_be_bytes(take(&mut bytes)?),
        index: u64::from_be_bytes(take(&mut bytes)?),
        at: i64::from_be_bytes(take(&mut bytes)?),
        settled_before: match take(&mut bytes)? {
            [0] => false,
            [1] => true,
            _ => return None,
        },
    };
    let numbers_hold = value.epoch >= 0
        && value.first_sequence >= 0
        && value.record_count > 0
        && value.life < COUNTER_MAX
        && value.index < COUNTER_MAX
        && (0..COUNTER_MAX as i64).contains(&value.at);
    (bytes.is_empty() && numbers_hold).then_some(value)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}
