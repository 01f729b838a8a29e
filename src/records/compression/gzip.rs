//! gzip: members one after the other, their contents joined.
//!
//! ```text
//!  10  header: 1f 8b 08, flags, modification time (4), extra flags, system
//!   …  if flagged: extra field (2 length, little-endian, and so many bytes), name and comment (each up to a zero byte), header CRC (2)
//!   …  deflate data
//!   8  CRC-32 and size mod 2^32 of the content, little-endian
//! ```
//!
//! Bytes after a member that do not begin a further one are ignored, as Java's `GZIPInputStream` does.
//!
//! libdeflate is half as fast again as a streaming decoder, but it decodes one member, into memory of the right size, and does not say
//! whether another one follows. So it is used where the end of the input gives a plausible size and nothing can be a second member.
//! Source: RFC 1952.

use flate2::{Decompress, FlushDecompress, Status};
use libdeflater::{DecompressionError, Decompressor};

use super::{CodecError, CodecFault, Output};

const MAGIC: [u8; 3] = [0x1f, 0x8b, 0x08];
const HEADER_BYTES: usize = 10;
const TRAILER_BYTES: usize = 8;

const HEADER_CRC: u8 = 1 << 1;
const EXTRA_FIELD: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

#[derive(Default)]
pub(super) struct Gzip {
    whole: Option<Decompressor>,
    stream: Option<Decompress>,
}

impl Gzip {
    pub(super) fn decompress(
        &mut self,
        input: &[u8],
        output: &mut Output<'_>,
    ) -> Result<(), CodecError> {
        match single_member_bytes(input, output) {
            Some(announced) if self.whole(input, announced, output)? => Ok(()),
            _ => self.members(input, output),
        }
    }

    /// Decodes the only member at once; false if there is more than was announced.
    fn whole(
        &mut self,
        input: &[u8],
        announced: usize,
        output: &mut Output<'_>,
    ) -> Result<bool, CodecError> {
        output.reserve(announced);
        let decoder = self.whole.get_or_insert_with(Decompressor::new);
        match decoder.gzip_decompress(input, &mut output.free()[..announced]) {
            Ok(bytes) => output.wrote(bytes).map(|()| true),
            Err(DecompressionError::InsufficientSpace) => Ok(false),
            Err(DecompressionError::BadData) => Err(CodecError::malformed(0, CodecFault::Data)),
        }
    }

    fn members(&mut self, input: &[u8], output: &mut Output<'_>) -> Result<(), CodecError> {
        let mut at = header_bytes(input).ok_or(CodecError::malformed(0, CodecFault::Header))?;
        loop {
            let from = output.written;
            at += self.deflated(&input[at..], at, output)?;
            check_trailer(&input[at..], at, &output.written()[from..])?;
            at += TRAILER_BYTES;
            match header_bytes(&input[at..]) {
                Some(bytes) => at += bytes,
                None => return Ok(()),
            }
        }
    }

    /// Decodes one deflate stream; gives its length. `at`: where it begins in the whole input.
    fn deflated(
        &mut self,
        input: &[u8],
        at: usize,
        output: &mut Output<'_>,
    ) -> Result<usize, CodecError> {
        let decoder = self.stream.get_or_insert_with(|| Decompress::new(false));
        decoder.reset(false);
        loop {
            output.reserve_some(input.len());
            let (read, written) = (decoder.total_in() as usize, decoder.total_out());
            let status = decoder
                .decompress(&input[read..], output.free(), FlushDecompress::None)
                .map_err(|_| CodecError::malformed(at + read, CodecFault::Data))?;
            let now_read = decoder.total_in() as usize;
            let progress = now_read > read || decoder.total_out() > written;
            output.wrote((decoder.total_out() - written) as usize)?;
            match status {
                Status::StreamEnd => return Ok(now_read),
                Status::Ok | Status::BufError if progress => {}
                _ => return Err(CodecError::malformed(at + now_read, CodecFault::Cut)),
            }
        }
    }
}

/// The content's size by the input's last bytes, if there can be but one member and the size is plausible.
fn single_member_bytes(input: &[u8], output: &Output<'_>) -> Option<usize> {
    let after_first = input.get(HEADER_BYTES + TRAILER_BYTES..)?;
    let announced = u32::from_le_bytes(*input.last_chunk()?);
    let single =
        output.is_plausible(u64::from(announced), input.len()) && !holds_magic(after_first);
    single.then_some(announced as usize)
}

/// No early exit within a piece, so that the compiler can compare many bytes at once.
fn holds_magic(bytes: &[u8]) -> bool {
    const PIECE_BYTES: usize = 4096;
    let [a, b, c] = MAGIC;
    (0..bytes.len()).step_by(PIECE_BYTES).any(|from| {
        let end = bytes.len().min(from + PIECE_BYTES + MAGIC.len() - 1);
        let piece = &bytes[from..end];
        let pairs = piece.iter().zip(piece.iter().skip(1));
        let found = pairs
            .zip(piece.iter().skip(2))
            .fold(0, |found, ((x, y), z)| {
                found | u8::from((*x == a) & (*y == b) & (*z == c))
            });
        found != 0
    })
}

/// The length of the member header that `input` begins with; `None`: it does not begin with a whole one.
fn header_bytes(input: &[u8]) -> Option<usize> {
    let flags = input.strip_prefix(&MAGIC)?.first()?;
    if flags & RESERVED != 0 {
        return None;
    }
    let mut rest = input.get(HEADER_BYTES..)?;
    if flags & EXTRA_FIELD != 0 {
        let (length, after) = rest.split_first_chunk()?;
        rest = after.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            rest = rest.get(rest.iter().position(|&byte| byte == 0)? + 1..)?;
        }
    }
    if flags & HEADER_CRC != 0 {
        rest = rest.get(2..)?;
    }
    Some(input.len() - rest.len())
}

fn check_trailer(input: &[u8], at: usize, content: &[u8]) -> Result<(), CodecError> {
    let cut = CodecError::malformed(at, CodecFault::Cut);
    let (crc, rest) = input.split_first_chunk().ok_or(cut)?;
    let size = rest.first_chunk().ok_or(cut)?;
    if u32::from_le_bytes(*crc) != crc32fast::hash(content) {
        return Err(CodecError::malformed(at, CodecFault::Checksum));
    }
    if u32::from_le_bytes(*size) != content.len() as u32 {
        return Err(CodecError::malformed(at, CodecFault::Length));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_magic_is_found_wherever_it_stands() {
        let mut bytes = vec![0x1f; 9_000];
        assert!(!holds_magic(&bytes));
        for at in (0..20).chain(4_080..4_110).chain(8_180..8_998) {
            bytes[at..at + 3].copy_from_slice(&MAGIC);
            assert!(holds_magic(&bytes), "{at}");
            assert!(!holds_magic(&bytes[..at + 2]), "{at}");
            bytes[at..at + 3].fill(0x1f);
        }
    }
}
