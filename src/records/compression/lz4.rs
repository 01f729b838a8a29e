//! LZ4 frames. The frame is walked here and its blocks are decoded straight into the output.
//!
//! ```text
//!   4  magic             04 22 4d 18
//!   1  flags             bits 6–7 version 1, 5 blocks are independent, 4 blocks have checksums,
//!                        3 content size follows, 2 content checksum, 1 reserved, 0 dictionary id
//!   1  block descriptor  bits 4–6: blocks of at most 64 KiB, 256 KiB, 1 MiB, 4 MiB (4…7); the rest reserved
//!   8  content size      if flagged; ignored, as by Kafka
//!   1  header checksum   second byte of xxh32 over the flags and what follows them
//!      blocks: 4 size, little-endian (top bit: stored, not compressed), data, 4 xxh32 of the data if flagged
//!   4  end mark          0
//!   4  content checksum  xxh32 of the output, if flagged
//! ```
//!
//! What follows the first frame is ignored, as Kafka does. Old clients take the header checksum over the magic as well, in sets of magic 0
//! (KAFKA-3160); there it is not looked at. Linked blocks are accepted although Kafka's reader refuses them.
//! Sources: the LZ4 frame format description, version 1.6; KIP-57; Kafka's `Lz4BlockInputStream`.

use lz4_flex::block::{DecompressError, decompress_into, decompress_into_with_dict};
use twox_hash::XxHash32;

use super::{CodecError, CodecFault, Output};

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
const CONTENT_SIZE_BYTES: usize = 8;

/// Everything in the flags that has but one allowed value: version, reserved bit, no dictionary (nobody could have sent us one).
const FIXED_FLAGS: u8 = 0b1100_0011;
const VERSION_1: u8 = 0b0100_0000;
const INDEPENDENT_BLOCKS: u8 = 1 << 5;
const BLOCK_CHECKSUMS: u8 = 1 << 4;
const CONTENT_SIZE: u8 = 1 << 3;
const CONTENT_CHECKSUM: u8 = 1 << 2;

const STORED_BLOCK: u32 = 1 << 31;

/// How far back a linked block may reach.
const WINDOW_BYTES: usize = 64 << 10;

/// The most output of one byte of input: each further byte of a match's length stands for 255.
const RATIO_MAX: usize = 255;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderChecksum {
    Checked,
    Ignored,
}

impl HeaderChecksum {
    pub(super) fn of_magic(magic: u8) -> Self {
        match magic {
            0 => Self::Ignored,
            _ => Self::Checked,
        }
    }
}

pub(super) fn decompress(
    input: &[u8],
    checksum: HeaderChecksum,
    output: &mut Output<'_>,
) -> Result<(), CodecError> {
    let mut source = Source { input, at: 0 };
    let header = FrameHeader::read(&mut source, checksum)?;
    while let Some(block) = Block::read(&mut source, &header)? {
        block.write(&header, output)?;
    }
    if header.has(CONTENT_CHECKSUM) {
        source.check(output.written())?;
    }
    Ok(())
}

struct FrameHeader {
    flags: u8,
    block_bytes_max: usize,
}

impl FrameHeader {
    fn read(source: &mut Source<'_>, checksum: HeaderChecksum) -> Result<Self, CodecError> {
        if source.array()? != MAGIC {
            return Err(source.malformed(CodecFault::Header));
        }
        let from = source.at;
        let [flags, descriptor] = source.array()?;
        let header = Self {
            flags,
            block_bytes_max: block_bytes_max(descriptor)
                .ok_or(source.malformed(CodecFault::Header))?,
        };
        if flags & FIXED_FLAGS != VERSION_1 {
            return Err(source.malformed(CodecFault::Header));
        }
        if header.has(CONTENT_SIZE) {
            source.take(CONTENT_SIZE_BYTES)?;
        }
        let computed = XxHash32::oneshot(0, &source.input[from..source.at]).to_le_bytes()[1];
        let [stored] = source.array()?;
        if checksum == HeaderChecksum::Checked && stored != computed {
            return Err(source.malformed(CodecFault::Checksum));
        }
        Ok(header)
    }

    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

fn block_bytes_max(descriptor: u8) -> Option<usize> {
    match descriptor {
        0x40 => Some(64 << 10),
        0x50 => Some(256 << 10),
        0x60 => Some(1 << 20),
        0x70 => Some(4 << 20),
        _ => None,
    }
}

struct Block<'a> {
    stored: bool,
    data: &'a [u8],
    /// Where the data begins in the input.
    at: usize,
}

impl<'a> Block<'a> {
    /// The next block; `None` at the end mark.
    fn read(source: &mut Source<'a>, header: &FrameHeader) -> Result<Option<Self>, CodecError> {
        let word = u32::from_le_bytes(source.array()?);
        if word == 0 {
            return Ok(None);
        }
        let size = (word & !STORED_BLOCK) as usize;
        if size > header.block_bytes_max {
            return Err(source.malformed(CodecFault::Length));
        }
        let at = source.at;
        let data = source.take(size)?;
        if header.has(BLOCK_CHECKSUMS) {
            source.check(data)?;
        }
        Ok(Some(Self {
            stored: word & STORED_BLOCK != 0,
            data,
            at,
        }))
    }

    fn write(&self, header: &FrameHeader, output: &mut Output<'_>) -> Result<(), CodecError> {
        if self.stored {
            return output.copy(self.data);
        }
        let bytes_max = header
            .block_bytes_max
            .min(self.data.len().saturating_mul(RATIO_MAX))
            .min(output.room());
        output.reserve(bytes_max);
        let (before, free) = output.split();
        let free = &mut free[..bytes_max];
        let result = if header.has(INDEPENDENT_BLOCKS) {
            decompress_into(self.data, free)
        } else {
            let window = &before[before.len().saturating_sub(WINDOW_BYTES)..];
            decompress_into_with_dict(self.data, free, window)
        };
        match result {
            Ok(bytes) => output.wrote(bytes),
            Err(DecompressError::OutputTooSmall { .. }) if bytes_max == output.room() => {
                Err(CodecError::OverLimit)
            }
            Err(_) => Err(CodecError::malformed(self.at, CodecFault::Data)),
        }
    }
}

/// The input, and how far it was read.
struct Source<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Source<'a> {
    fn malformed(&self, fault: CodecFault) -> CodecError {
        CodecError::malformed(self.at, fault)
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], CodecError> {
        let taken = self.input[self.at..]
            .get(..bytes)
            .ok_or(self.malformed(CodecFault::Cut))?;
        self.at += bytes;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let taken = self.input[self.at..]
            .first_chunk()
            .ok_or(self.malformed(CodecFault::Cut))?;
        self.at += N;
        Ok(*taken)
    }

    /// Reads a checksum of `data`.
    fn check(&mut self, data: &[u8]) -> Result<(), CodecError> {
        if u32::from_le_bytes(self.array()?) != XxHash32::oneshot(0, data) {
            return Err(self.malformed(CodecFault::Checksum));
        }
        Ok(())
    }
}
