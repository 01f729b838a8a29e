//! The codecs of record sets, all under one limit for what they may write.
//!
//! A codec gets compressed bytes and an [`Output`]; the output's memory grows with what is really written, never with a size
//! that the input announces, and never past the limit. Which codec a set may use is `v2`'s and `legacy`'s to say.

mod gzip;
mod lz4;
mod snappy;
mod zstd;

use std::fmt;

/// Memory that the decoder keeps between record sets. Clients send batches of at most 1 MB by default, and text shrinks to
/// a quarter: what is larger than this is rare and gets its memory anew.
const KEPT_BYTES: usize = 4 << 20;

/// The first piece of memory for output of unknown size.
const FIRST_BYTES: usize = 4 << 10;

/// Output of unknown size begins with this many times its input: log text seldom shrinks more.
const USUAL_RATIO: usize = 4;

/// A size that the input announces is believed up to this many times the input: rare for log text, and harmless if it is a lie.
const PLAUSIBLE_RATIO: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        })
    }
}

/// What is wrong with compressed data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecFault {
    #[error("the data ends too early")]
    Cut,
    #[error("a bad header")]
    Header,
    #[error("a bad length")]
    Length,
    #[error("bad data")]
    Data,
    #[error("a bad checksum")]
    Checksum,
    #[error("too large a window")]
    Window,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CodecError {
    /// There is more output than allowed.
    OverLimit,
    /// `at` is a byte of the compressed data, near the fault.
    Malformed { at: usize, fault: CodecFault },
}

impl CodecError {
    fn malformed(at: usize, fault: CodecFault) -> Self {
        Self::Malformed { at, fault }
    }
}

/// The decoders' states and the memory for their output, kept between record sets.
#[derive(Default)]
pub(super) struct Codecs {
    memory: Vec<u8>,
    gzip: gzip::Gzip,
    snappy: snappy::Snappy,
    zstd: zstd::Zstd,
}

impl Codecs {
    /// Decompresses `input`, all of it, as it came in a set of this magic.
    pub(super) fn decompress(
        &mut self,
        codec: Codec,
        input: &[u8],
        magic: u8,
        bytes_max: usize,
    ) -> Result<&[u8], CodecError> {
        let mut output = Output::new(&mut self.memory, bytes_max);
        match codec {
            Codec::Gzip => self.gzip.decompress(input, &mut output)?,
            Codec::Snappy => self.snappy.decompress(input, &mut output)?,
            Codec::Lz4 => {
                lz4::decompress(input, lz4::HeaderChecksum::of_magic(magic), &mut output)?
            }
            Codec::Zstd => self.zstd.decompress(input, &mut output)?,
        }
        Ok(output.into_written())
    }

    /// Gives back what a large record set took.
    pub(super) fn shrink(&mut self) {
        self.memory.truncate(KEPT_BYTES);
        self.memory.shrink_to(KEPT_BYTES);
        self.zstd.shrink();
    }

    #[cfg(test)]
    pub(super) fn memory_bytes(&self) -> usize {
        self.memory.capacity()
    }
}

/// Where a codec writes: memory that doubles as it fills, up to a limit.
struct Output<'a> {
    /// All of it may be written to; it stays initialised between record sets, so that it is zeroed once only.
    memory: &'a mut Vec<u8>,
    written: usize,
    bytes_max: usize,
}

impl<'a> Output<'a> {
    fn new(memory: &'a mut Vec<u8>, bytes_max: usize) -> Self {
        Self {
            memory,
            written: 0,
            bytes_max,
        }
    }

    /// Memory never passes this. The one byte more is how a codec is caught that has more to write than it may.
    fn memory_max(&self) -> usize {
        self.bytes_max.saturating_add(1)
    }

    /// Bytes that may be written before [`Self::wrote`] says that it is too much, and one more.
    fn room(&self) -> usize {
        self.memory_max() - self.written
    }

    /// Makes the free part at least `bytes` long, or as long as the limit allows.
    fn reserve(&mut self, bytes: usize) {
        let needed = self.written.saturating_add(bytes).min(self.memory_max());
        let have = self.memory.len();
        if needed > have {
            let target = needed.max(have.saturating_mul(2)).min(self.memory_max());
            self.memory.reserve_exact(target - have);
            self.memory.resize(target, 0);
        }
    }

    /// Makes some free part for a codec that cannot tell how much it will write.
    fn reserve_some(&mut self, input_bytes: usize) {
        if self.free().is_empty() {
            self.reserve(input_bytes.saturating_mul(USUAL_RATIO).max(FIRST_BYTES));
        }
    }

    /// Is it harmless to take memory for `announced` bytes at once?
    fn is_plausible(&self, announced: u64, input_bytes: usize) -> bool {
        let harmless = input_bytes
            .saturating_mul(PLAUSIBLE_RATIO)
            .max(self.memory.len() - self.written)
            .min(self.bytes_max - self.written);
        announced <= harmless as u64
    }

    fn free(&mut self) -> &mut [u8] {
        let end = self.memory.len().min(self.memory_max());
        &mut self.memory[self.written..end]
    }

    /// What was written so far, and the free part.
    fn split(&mut self) -> (&[u8], &mut [u8]) {
        let end = self.memory.len().min(self.memory_max());
        let (written, free) = self.memory[..end].split_at_mut(self.written);
        (written, free)
    }

    /// Says that the first `bytes` of the free part were written.
    fn wrote(&mut self, bytes: usize) -> Result<(), CodecError> {
        self.written += bytes;
        if self.written > self.bytes_max {
            return Err(CodecError::OverLimit);
        }
        Ok(())
    }

    fn copy(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        if bytes.len() > self.bytes_max - self.written {
            return Err(CodecError::OverLimit);
        }
        self.reserve(bytes.len());
        self.free()[..bytes.len()].copy_from_slice(bytes);
        self.wrote(bytes.len())
    }

    fn written(&self) -> &[u8] {
        &self.memory[..self.written]
    }

    fn into_written(self) -> &'a [u8] {
        &self.memory[..self.written]
    }
}
