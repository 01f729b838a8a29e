//! LogGroups: closing pieces into one (the Log Service's `LogGroup` message), and decompressing one.
//!
//! The wire's layout is drawn in [`wire`](super::wire); reading it back is left to [`reader`](super::reader).

use super::wire::{LOG_TAG, SOURCE, TOPIC, put_delimited, put_pair};
use super::{LogGroupError, Piece};

/// Capacity that a closer's buffers keep from group to group; more only served an unusual group.
const BUFFER_BYTES_MAX: usize = 4 << 20;

/// Most bytes that one byte of an LZ4 block can stand for (a match length is continued by bytes of 255).
const LZ4_RATIO_MAX: usize = 255;

/// A complete LogGroup: protobuf, compressed as one raw LZ4 block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogGroup {
    /// One block without frame or size prefix.
    pub lz4: Vec<u8>,
    /// Bytes of the protobuf.
    pub raw_bytes: u32,
    pub log_count: u32,
    /// Range of the logs' times, Unix seconds.
    pub time_min: u32,
    pub time_max: u32,
}

/// What stands once in a LogGroup, for all its logs. Empty texts are left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Envelope<'a> {
    /// Shown as `__topic__`.
    pub topic: &'a str,
    /// Shown as `__source__`.
    pub source: &'a str,
    /// Shown as `__tag__:{name}`.
    pub tags: &'a [Tag],
}

/// A name and a value that the configuration gives to every LogGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    pub name: Box<str>,
    pub value: Box<str>,
}

impl Envelope<'_> {
    /// In the order of their numbers, as the Log Service wants them.
    fn put(&self, raw: &mut Vec<u8>) {
        for (tag, text) in [(TOPIC, self.topic), (SOURCE, self.source)] {
            if !text.is_empty() {
                put_delimited(raw, tag, text.as_bytes());
            }
        }
        for Tag { name, value } in self.tags {
            put_pair(raw, LOG_TAG, name.as_bytes(), value.as_bytes());
        }
    }
}

/// Closes groups one after another; its buffers are reused.
#[derive(Default)]
pub struct GroupCloser {
    raw: Vec<u8>,
    compressed: Vec<u8>,
}

impl GroupCloser {
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a complete group of pieces that share project, Logstore and envelope; at least one.
    /// A single piece is not copied.
    pub fn close(&mut self, mut pieces: Vec<Piece>, envelope: &Envelope<'_>) -> LogGroup {
        let [piece] = pieces.as_mut_slice() else {
            return self.close_joined(&pieces, envelope);
        };
        let mut raw = std::mem::take(&mut piece.logs);
        envelope.put(&mut raw);
        let group = self.group(&raw, &pieces);
        self.keep(raw);
        group
    }

    /// Hands out a buffer that is no longer needed, for [`Encoder::recycle`](super::Encoder::recycle).
    pub fn take_buffer(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.raw)
    }

    fn close_joined(&mut self, pieces: &[Piece], envelope: &Envelope<'_>) -> LogGroup {
        let mut raw = std::mem::take(&mut self.raw);
        let logs: usize = pieces.iter().map(|piece| piece.logs.len()).sum();
        raw.reserve(logs);
        for piece in pieces {
            raw.extend_from_slice(&piece.logs);
        }
        envelope.put(&mut raw);
        let group = self.group(&raw, pieces);
        self.keep(raw);
        group
    }

    fn group(&mut self, raw: &[u8], pieces: &[Piece]) -> LogGroup {
        let times = |time: fn(&Piece) -> u32| pieces.iter().map(time);
        LogGroup {
            lz4: self.compress(raw),
            // Pieces are cut, and groups filled, far below 4 GiB.
            raw_bytes: u32::try_from(raw.len()).expect("a group is under 4 GiB"),
            log_count: pieces.iter().map(|piece| piece.log_count).sum(),
            time_min: times(|piece| piece.time_min).min().unwrap_or_default(),
            time_max: times(|piece| piece.time_max).max().unwrap_or_default(),
        }
    }

    /// Goes through a buffer of the worst case's size, so that the block itself takes no more than it needs.
    fn compress(&mut self, raw: &[u8]) -> Vec<u8> {
        let worst = lz4_flex::block::get_maximum_output_size(raw.len());
        if self.compressed.len() < worst {
            self.compressed.resize(worst, 0);
        }
        // It fails only on a buffer below the size just computed.
        let len = lz4_flex::block::compress_into(raw, &mut self.compressed)
            .expect("the buffer holds the worst case");
        let block = self.compressed[..len].to_vec();
        self.compressed.truncate(BUFFER_BYTES_MAX);
        self.compressed.shrink_to(BUFFER_BYTES_MAX);
        block
    }

    fn keep(&mut self, mut raw: Vec<u8>) {
        raw.clear();
        raw.shrink_to(BUFFER_BYTES_MAX);
        if raw.capacity() > self.raw.capacity() {
            self.raw = raw;
        }
    }
}

/// Decompresses one raw LZ4 block of exactly `raw_bytes`. What the caller takes for `raw_bytes` bounds the memory
/// used; a size that the block cannot have is refused before any is taken.
///
/// # Errors
/// [`LogGroupError::ImpossibleSize`], [`LogGroupError::BadBlock`], [`LogGroupError::WrongSize`].
pub fn decompress(lz4: &[u8], raw_bytes: usize) -> Result<Vec<u8>, LogGroupError> {
    let lz4_bytes = lz4.len();
    if raw_bytes > lz4_bytes.saturating_mul(LZ4_RATIO_MAX) {
        return Err(LogGroupError::ImpossibleSize {
            lz4_bytes,
            raw_bytes,
        });
    }
    let mut raw = vec![0; raw_bytes];
    let found =
        lz4_flex::block::decompress_into(lz4, &mut raw).map_err(|_| LogGroupError::BadBlock)?;
    if found != raw_bytes {
        return Err(LogGroupError::WrongSize {
            found,
            expected: raw_bytes,
        });
    }
    Ok(raw)
}
