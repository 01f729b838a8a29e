//! Produce (0), versions 0–12. Record sets are opaque here; they are chosen by their magic byte, not by this version.
//!
//! Honoured: acks, the time-out. v1 adds the throttle time, v2 the log append time, v3 the transactional id and batches v2,
//! v5 the log start offset, v7 allows zstd, v8 adds record errors and an error message, v9 is flexible, v10 adds the
//! current leader as a tagged field (left out), v11 and v12 change nothing here (KIP-890).

use std::ops::Range;

use bytes::Bytes;

use super::error_code::ErrorCode;
use super::header::{self, HeaderError};
use super::reader::{ReadError, Reader};
use super::writer::Writer;

const TRANSACTIONAL_ID_FROM: i16 = 3;
const FLEXIBLE_FROM: i16 = 9;
/// Index and a null record set.
const PARTITION_BYTES_MIN: usize = 5;
/// A name's length and a partition count.
const TOPIC_BYTES_MIN: usize = 2;
/// Topics of one request, and partitions of all of them: far more than clients send. What is kept and answered for a
/// partition is some 30 times the six bytes that an empty one takes.
pub(super) const PARTITIONS_MAX: usize = 1 << 14;
/// Names and partitions that a skimmed request may hold: far more than clients send, and little to keep.
pub(super) const SKIMMED_BYTES_MAX: usize = 64 << 10;
/// What a skimmer looks at in one step, so that it never holds more of a record set.
const SKIM_STEP_BYTES: usize = 256;

/// A request, as ranges of its frame.
#[derive(Clone, Debug)]
pub struct Request {
    frame: Bytes,
    pub acks: i16,
    pub timeout_ms: i32,
    /// It names a transactional id.
    pub transactional: bool,
    topics: Vec<Topic>,
    pub partitions: Vec<Partition>,
}

#[derive(Clone, Debug)]
struct Topic {
    name: Range<usize>,
    /// Where its partitions end in the list of all.
    partitions_end: usize,
}

/// One partition of a request; they stand in the order of the frame, repeated ones too.
#[derive(Clone, Debug)]
pub struct Partition {
    /// Which of the request's topics.
    pub topic: u32,
    pub index: i32,
    records: Option<Range<usize>>,
}

impl Request {
    /// Reads the body that begins at `body_at` of the frame.
    ///
    /// # Errors
    /// When it is malformed or does not end with the frame.
    pub fn read(frame: Bytes, body_at: usize, version: i16) -> Result<Self, ReadError> {
        let flexible = version >= FLEXIBLE_FROM;
        let bytes = frame.clone();
        let mut reader = Reader::at(&bytes, body_at);
        let transactional =
            version >= TRANSACTIONAL_ID_FROM && reader.nullable_text(flexible)?.is_some();
        let acks = reader.i16()?;
        let timeout_ms = reader.i32()?;
        let mut request = Self {
            frame,
            acks,
            timeout_ms,
            transactional,
            topics: Vec::new(),
            partitions: Vec::new(),
        };
        let count = reader.count(flexible, TOPIC_BYTES_MIN)?;
        for topic in 0..count {
            check_room(request.topics.len())?;
            request.read_topic(
                &mut reader,
                u32::try_from(topic).unwrap_or(u32::MAX),
                flexible,
            )?;
        }
        reader.tags(flexible)?;
        reader.finish()?;
        Ok(request)
    }

    fn read_topic(
        &mut self,
        reader: &mut Reader<'_>,
        topic: u32,
        flexible: bool,
    ) -> Result<(), ReadError> {
        let at = reader.position();
        let name = reader
            .text_range(flexible)?
            .ok_or(ReadError::Length { at })?;
        let count = reader.count(flexible, PARTITION_BYTES_MIN)?;
        for _ in 0..count {
            let index = reader.i32()?;
            let records = reader.bytes(flexible)?;
            reader.tags(flexible)?;
            check_room(self.partitions.len())?;
            self.partitions.push(Partition {
                topic,
                index,
                records,
            });
        }
        reader.tags(flexible)?;
        self.topics.push(Topic {
            name,
            partitions_end: self.partitions.len(),
        });
        Ok(())
    }

    /// The topic of a partition by its place in [`Request::partitions`], as written on the wire.
    pub fn topic(&self, position: usize) -> &str {
        self.name(&self.topics[self.partitions[position].topic as usize])
    }

    fn name(&self, topic: &Topic) -> &str {
        // It was checked when it was read.
        std::str::from_utf8(&self.frame[topic.name.clone()]).unwrap_or_default()
    }

    /// Takes the record sets out, one for each partition, empty where it is null; they alone hold the frame's memory. What
    /// is left is what the answer needs.
    pub fn take_records(&mut self) -> Vec<Bytes> {
        let frame = &self.frame;
        let records = self.partitions.iter_mut().map(|partition| {
            let range = partition.records.take();
            range.map_or_else(Bytes::new, |range| frame.slice(range))
        });
        let records = records.collect();
        let mut names = Vec::new();
        for topic in &mut self.topics {
            let start = names.len();
            names.extend_from_slice(&self.frame[topic.name.clone()]);
            topic.name = start..names.len();
        }
        self.frame = names.into();
        records
    }

    /// The record set of a partition by its place; empty where it is null.
    pub fn records(&self, position: usize) -> &[u8] {
        self.partitions[position]
            .records
            .clone()
            .map_or(&[], |range| &self.frame[range])
    }
}

fn check_room(held: usize) -> Result<(), ReadError> {
    if held == PARTITIONS_MAX {
        return Err(ReadError::TooMany {
            max: PARTITIONS_MAX,
        });
    }
    Ok(())
}

/// What became of one partition's record set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionResult {
    pub error: ErrorCode,
    /// −1 on errors.
    pub base_offset: i64,
    /// Shown to users by newer clients (v8+).
    pub message: Option<String>,
    /// Guilty records by their place in the batch (v8+).
    pub record_errors: Vec<(i32, Option<String>)>,
}

impl PartitionResult {
    /// There are no offsets here; 0 satisfies every client.
    pub fn stored() -> Self {
        Self {
            error: ErrorCode::None,
            base_offset: 0,
            message: None,
            record_errors: Vec::new(),
        }
    }

    pub fn refused(error: ErrorCode, message: Option<String>) -> Self {
        Self {
            error,
            base_offset: -1,
            message,
            record_errors: Vec::new(),
        }
    }

    pub fn is_success(&self) -> bool {
        self.error == ErrorCode::None
    }
}

/// One entry for each requested partition, in the order of the request. `results` are as many.
pub fn respond(
    version: i16,
    correlation_id: i32,
    request: &Request,
    results: &[PartitionResult],
    throttle_ms: i32,
) -> Bytes {
    let flexible = version >= FLEXIBLE_FROM;
    let mut writer = Writer::frame(correlation_id, flexible);
    writer.count(request.topics.len(), flexible);
    let mut start = 0;
    let mut partitions = request.partitions.iter().zip(results);
    for topic in &request.topics {
        let own = partitions.by_ref().take(topic.partitions_end - start);
        writer.nullable_text(Some(request.name(topic)), flexible);
        writer.count(topic.partitions_end - start, flexible);
        for (partition, result) in own {
            put_partition(&mut writer, version, partition.index, result);
        }
        writer.tags(flexible);
        start = topic.partitions_end;
    }
    if version >= 1 {
        writer.i32(throttle_ms);
    }
    writer.tags(flexible);
    writer.finish()
}

fn put_partition(writer: &mut Writer, version: i16, index: i32, result: &PartitionResult) {
    let flexible = version >= FLEXIBLE_FROM;
    writer.i32(index);
    writer.i16(result.error.code());
    writer.i64(result.base_offset);
    if version >= 2 {
        // Logs keep the time that the producer gave them.
        writer.i64(-1);
    }
    if version >= 5 {
        writer.i64(if result.is_success() { 0 } else { -1 });
    }
    if version >= 8 {
        writer.count(result.record_errors.len(), flexible);
        for (record, message) in &result.record_errors {
            writer.i32(*record);
            writer.nullable_text(message.as_deref(), flexible);
            writer.tags(flexible);
        }
        writer.nullable_text(result.message.as_deref(), flexible);
    }
    writer.tags(flexible);
}

/// Reads a Produce frame as its bytes arrive and keeps all but the record sets, which it leaves out as null: what is kept is
/// a small frame of the same request.
#[derive(Debug, Default)]
pub struct Skimmer {
    kept: Vec<u8>,
    /// The next element's bytes so far.
    pending: Vec<u8>,
    stage: Stage,
    version: i16,
    topics_left: u32,
    partitions_left: u32,
    /// Bytes of a record set still to come.
    skip: usize,
    /// Why the rest need not be read.
    broken: Option<ReadError>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Stage {
    #[default]
    Header,
    Start,
    Topic,
    Partition,
    PartitionEnd,
    TopicEnd,
    End,
    Done,
}

/// A request without its record sets.
#[derive(Debug)]
pub struct Skimmed {
    pub version: i16,
    pub correlation_id: i32,
    pub client_id: Option<String>,
    pub request: Request,
}

impl Skimmer {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the frame, from its request header on.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.broken.is_none() {
            if self.skip > 0 {
                let count = self.skip.min(bytes.len());
                self.skip -= count;
                bytes = &bytes[count..];
                continue;
            }
            let (step, rest) = bytes.split_at(bytes.len().min(SKIM_STEP_BYTES));
            self.pending.extend_from_slice(step);
            bytes = rest;
            self.advance();
            if self.kept.len() + self.pending.len() > SKIMMED_BYTES_MAX {
                self.broken = Some(ReadError::Names {
                    max: SKIMMED_BYTES_MAX,
                });
            }
        }
    }

    /// It is malformed or holds too many names: the rest need not be fed.
    pub fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Ends with the frame.
    ///
    /// # Errors
    /// When the frame was malformed or is not complete.
    pub fn finish(mut self) -> Result<Skimmed, ReadError> {
        // What follows a record set may be empty, so no byte of it came.
        self.advance();
        if let Some(error) = self.broken {
            return Err(error);
        }
        let left = self.pending.len();
        if !matches!(self.stage, Stage::Done) || self.skip > 0 || left > 0 {
            return Err(ReadError::Short {
                at: self.kept.len(),
                wanted: self.skip.max(1),
                left,
            });
        }
        let frame = Bytes::from(self.kept);
        let bytes = frame.clone();
        let mut reader = Reader::new(&bytes);
        let header = header::read(&mut reader).map_err(|_| ReadError::Length { at: 0 })?;
        Ok(Skimmed {
            version: header.version,
            correlation_id: header.correlation_id,
            client_id: header.client_id.map(str::to_owned),
            request: Request::read(frame, reader.position(), header.version)?,
        })
    }

    /// Moves complete elements from `pending` to `kept`.
    fn advance(&mut self) {
        while self.skip == 0 {
            let pending = std::mem::take(&mut self.pending);
            let mut reader = Reader::new(&pending);
            let read = self.element(&mut reader);
            let used = reader.position();
            self.pending = pending;
            match read {
                Ok(true) => {
                    self.pending.drain(..used);
                    self.skip_pending();
                }
                Err(ReadError::Short { .. }) | Ok(false) => return,
                Err(error) => {
                    self.broken = Some(error);
                    return;
                }
            }
        }
    }

    /// Part of the record set may have come with the element in front of it.
    fn skip_pending(&mut self) {
        let count = self.skip.min(self.pending.len());
        self.pending.drain(..count);
        self.skip -= count;
    }

    /// Reads one element and keeps it. False: the request has ended.
    fn element(&mut self, reader: &mut Reader<'_>) -> Result<bool, ReadError> {
        let flexible = self.version >= FLEXIBLE_FROM;
        let mut whole = reader.clone();
        let next = match self.stage {
            Stage::Header => {
                let header = header::read(reader).map_err(|error| match error {
                    HeaderError::Malformed(error) => error,
                    _ => ReadError::Length { at: 0 },
                })?;
                self.version = header.version;
                Stage::Start
            }
            Stage::Start => {
                if self.version >= TRANSACTIONAL_ID_FROM {
                    reader.nullable_text(flexible)?;
                }
                reader.skip(2 + 4)?;
                self.topics_left = open_count(reader, flexible)?;
                self.next_topic()
            }
            Stage::Topic => {
                reader.text(flexible)?;
                self.partitions_left = open_count(reader, flexible)?;
                self.next_partition()
            }
            Stage::Partition => {
                let index = reader.i32()?;
                self.skip = open_length(reader, flexible)?.unwrap_or(0) as usize;
                self.kept.extend_from_slice(&index.to_be_bytes());
                // The record set, as null.
                self.kept
                    .extend_from_slice(if flexible { &[0][..] } else { &[0xff; 4] });
                self.stage = Stage::PartitionEnd;
                return Ok(true);
            }
            Stage::PartitionEnd => {
                reader.tags(flexible)?;
                self.partitions_left -= 1;
                self.next_partition()
            }
            Stage::TopicEnd => {
                reader.tags(flexible)?;
                self.topics_left -= 1;
                self.next_topic()
            }
            Stage::End => {
                reader.tags(flexible)?;
                Stage::Done
            }
            Stage::Done => return Ok(false),
        };
        self.kept.extend_from_slice(whole.take(reader.position())?);
        self.stage = next;
        Ok(true)
    }

    fn next_topic(&self) -> Stage {
        if self.topics_left > 0 {
            Stage::Topic
        } else {
            Stage::End
        }
    }

    fn next_partition(&self) -> Stage {
        if self.partitions_left > 0 {
            Stage::Partition
        } else {
            Stage::TopicEnd
        }
    }
}

/// The count of an array that may not be null and is still to come.
fn open_count(reader: &mut Reader<'_>, flexible: bool) -> Result<u32, ReadError> {
    let at = reader.position();
    open_length(reader, flexible)?.ok_or(ReadError::Length { at })
}

/// A length or count of what is still to come, `None` for null. The frame's end bounds it.
fn open_length(reader: &mut Reader<'_>, flexible: bool) -> Result<Option<u32>, ReadError> {
    if flexible {
        return Ok(reader.unsigned_varint()?.checked_sub(1));
    }
    let at = reader.position();
    match reader.i32()? {
        -1 => Ok(None),
        count => u32::try_from(count)
            .map(Some)
            .map_err(|_| ReadError::Length { at }),
    }
}
