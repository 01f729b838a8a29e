//! Snappy: one raw block (librdkafka, franz-go, older sarama), or the framing of the snappy-java library (Java, Python, newer sarama).
//!
//! ```text
//! framed:  82 "SNAPPY" 00    magic
//!          4 + 4             version, lowest compatible version; some clients write rubbish here, so it is ignored
//!          then, to the end: 4 length, big-endian; a raw block of so many bytes
//!                            (or the 16 bytes of a header again, where streams were joined)
//! ```
//!
//! No raw block begins like the magic: it would announce 10626 bytes and then copy from output that is not there yet.
//! Sources: snappy's `format_description.txt`; snappy-java's `SnappyInputStream`.

use snap::raw::{Decoder, decompress_len};

use super::{CodecError, CodecFault, Output};

const MAGIC: &[u8] = b"\x82SNAPPY\0";
const VERSIONS_BYTES: usize = 8;
const LENGTH_BYTES: usize = 4;

/// The most output of one byte of input: a copy tag of 3 bytes writes up to 64.
const RATIO_MAX: usize = 22;

#[derive(Default)]
pub(super) struct Snappy {
    decoder: Decoder,
}

impl Snappy {
    pub(super) fn decompress(
        &mut self,
        input: &[u8],
        output: &mut Output<'_>,
    ) -> Result<(), CodecError> {
        if input.starts_with(MAGIC) {
            self.framed(input, output)
        } else {
            self.block(input, 0, output)
        }
    }

    fn framed(&mut self, input: &[u8], output: &mut Output<'_>) -> Result<(), CodecError> {
        let mut rest = input;
        while !rest.is_empty() {
            let at = input.len() - rest.len();
            let cut = CodecError::malformed(at, CodecFault::Cut);
            if let Some(after) = rest.strip_prefix(MAGIC) {
                rest = after.get(VERSIONS_BYTES..).ok_or(cut)?;
                continue;
            }
            let (length, after) = rest.split_first_chunk::<LENGTH_BYTES>().ok_or(cut)?;
            let length = usize::try_from(i32::from_be_bytes(*length))
                .map_err(|_| CodecError::malformed(at, CodecFault::Length))?;
            let (block, after) = after.split_at_checked(length).ok_or(cut)?;
            self.block(block, at + LENGTH_BYTES, output)?;
            rest = after;
        }
        Ok(())
    }

    /// `at`: where the block begins in the whole input.
    fn block(
        &mut self,
        block: &[u8],
        at: usize,
        output: &mut Output<'_>,
    ) -> Result<(), CodecError> {
        let announced =
            decompress_len(block).map_err(|_| CodecError::malformed(at, CodecFault::Length))?;
        if announced > block.len().saturating_mul(RATIO_MAX) {
            return Err(CodecError::malformed(at, CodecFault::Length));
        }
        if announced >= output.room() {
            return Err(CodecError::OverLimit);
        }
        output.reserve(announced);
        let written = self
            .decoder
            .decompress(block, &mut output.free()[..announced])
            .map_err(|_| CodecError::malformed(at, CodecFault::Data))?;
        output.wrote(written)
    }
}
