//! LogGroups: closing pieces into one (the Log Service's `LogGroup` message).
//!
//! The wire's layout is drawn in [`wire`](super::wire). How the protobuf is compressed and hashed is left to
//! [`codec`](super::codec), reading it back to [`reader`](super::reader).

use bytes::Bytes;

use super::Piece;
use super::codec::{BUFFER_BYTES_MAX, Codec, Compressor, Digest};
use super::wire::{LOG_TAG, SOURCE, TOPIC, put_delimited, put_pair};

/// A complete LogGroup: protobuf, ready to be sent or stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogGroup {
    /// Compressed as the backend wants it.
    pub body: Bytes,
    /// Of the body, where the backend wants one.
    pub digest: Option<Digest>,
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
pub struct GroupCloser {
    codec: Codec,
    compressor: Compressor,
    raw: Vec<u8>,
}

impl GroupCloser {
    pub fn new(codec: Codec) -> Self {
        Self {
            codec,
            compressor: Compressor::new(codec.compression),
            raw: Vec::new(),
        }
    }

    /// What it does to the protobuf of each group.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Makes a complete group of pieces that share project, Logstore and envelope; at least one.
    /// A single piece is not copied.
    pub fn close(&mut self, pieces: Vec<Piece>, envelope: &Envelope<'_>) -> LogGroup {
        self.close_with(pieces, |raw| envelope.put(raw))
    }

    /// As [`close`](Self::close), with whatever `put_envelope` writes behind the logs.
    pub(super) fn close_with(
        &mut self,
        mut pieces: Vec<Piece>,
        put_envelope: impl FnOnce(&mut Vec<u8>),
    ) -> LogGroup {
        let [piece] = pieces.as_mut_slice() else {
            return self.close_joined(&pieces, put_envelope);
        };
        let mut raw = std::mem::take(&mut piece.logs);
        put_envelope(&mut raw);
        let group = self.group(&raw, &pieces);
        self.keep(raw);
        group
    }

    /// Hands out a buffer that is no longer needed, for [`Encoder::recycle`](super::Encoder::recycle).
    pub fn take_buffer(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.raw)
    }

    fn close_joined(
        &mut self,
        pieces: &[Piece],
        put_envelope: impl FnOnce(&mut Vec<u8>),
    ) -> LogGroup {
        let mut raw = std::mem::take(&mut self.raw);
        let logs: usize = pieces.iter().map(|piece| piece.logs.len()).sum();
        raw.reserve(logs);
        for piece in pieces {
            raw.extend_from_slice(&piece.logs);
        }
        put_envelope(&mut raw);
        let group = self.group(&raw, pieces);
        self.keep(raw);
        group
    }

    fn group(&mut self, raw: &[u8], pieces: &[Piece]) -> LogGroup {
        let times = |time: fn(&Piece) -> u32| pieces.iter().map(time);
        let body = self.compressor.compress(raw);
        LogGroup {
            digest: self.codec.digest.map(|kind| kind.of(&body)),
            body: body.into(),
            // Pieces are cut, and groups filled, far below 4 GiB.
            raw_bytes: u32::try_from(raw.len()).expect("a group is under 4 GiB"),
            log_count: pieces.iter().map(|piece| piece.log_count).sum(),
            time_min: times(|piece| piece.time_min).min().unwrap_or_default(),
            time_max: times(|piece| piece.time_max).max().unwrap_or_default(),
        }
    }

    fn keep(&mut self, mut raw: Vec<u8>) {
        raw.clear();
        raw.shrink_to(BUFFER_BYTES_MAX);
        if raw.capacity() > self.raw.capacity() {
            self.raw = raw;
        }
    }
}
