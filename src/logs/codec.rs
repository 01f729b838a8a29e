//! How a group's body is compressed and hashed, as its backend wants it; and decompressing one.
//!
//! What stands in the body is left to [`log_group`](super::log_group) and [`reader`](super::reader); what the digest is
//! signed with, to the backend.

use md5::{Digest as _, Md5};
use ring::digest::SHA256;
use zstd::bulk;

use super::LogGroupError;

/// Capacity that a buffer for whole groups keeps from one to the next; more only served an unusual group.
pub(super) const BUFFER_BYTES_MAX: usize = 4 << 20;

/// The default of the Log Service's own producers; each level more costs far more time than it saves bytes.
const ZSTD_LEVEL: i32 = 1;

/// Most bytes that one byte of an LZ4 block can stand for (a match length is continued by bytes of 255).
const LZ4_RATIO_MAX: usize = 255;

/// Most bytes that one byte of a zstd frame can stand for (RFC 8878: a block gives 128 KiB at most, and takes a header
/// of three bytes and one more).
const ZSTD_RATIO_MAX: usize = (128 << 10) / 4;

/// What a backend wants done to the protobuf of each group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codec {
    pub compression: Compression,
    /// `None`: it needs no digest, and none is computed.
    pub digest: Option<DigestKind>,
}

impl Codec {
    /// LZ4, without a digest.
    pub const LZ4: Self = Self {
        compression: Compression::Lz4,
        digest: None,
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// One raw block, without frame or size prefix.
    Lz4,
    /// One frame that names the size of its content.
    Zstd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestKind {
    Md5,
    Sha256,
}

/// A digest of a body as it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    Md5([u8; 16]),
    Sha256([u8; 32]),
}

impl DigestKind {
    pub fn of(self, body: &[u8]) -> Digest {
        match self {
            Self::Md5 => Digest::Md5(Md5::digest(body).into()),
            Self::Sha256 => {
                let digest = ring::digest::digest(&SHA256, body);
                // It is as long as the algorithm says.
                Digest::Sha256(digest.as_ref().try_into().expect("32 bytes"))
            }
        }
    }
}

impl Compression {
    /// Decompresses a body of exactly `raw_bytes`. What the caller takes for `raw_bytes` bounds the memory used; a size
    /// that the body cannot have is refused before any is taken.
    ///
    /// # Errors
    /// [`LogGroupError::ImpossibleSize`], [`LogGroupError::BadBody`], [`LogGroupError::WrongSize`].
    pub fn decompress(self, body: &[u8], raw_bytes: usize) -> Result<Vec<u8>, LogGroupError> {
        let ratio_max = match self {
            Self::Lz4 => LZ4_RATIO_MAX,
            Self::Zstd => ZSTD_RATIO_MAX,
        };
        let body_bytes = body.len();
        if raw_bytes > body_bytes.saturating_mul(ratio_max) {
            return Err(LogGroupError::ImpossibleSize {
                body_bytes,
                raw_bytes,
            });
        }
        let mut raw = vec![0; raw_bytes];
        let found = match self {
            Self::Lz4 => lz4_flex::block::decompress_into(body, &mut raw).ok(),
            Self::Zstd => bulk::decompress_to_buffer(body, raw.as_mut_slice()).ok(),
        };
        match found.ok_or(LogGroupError::BadBody)? {
            found if found == raw_bytes => Ok(raw),
            found => Err(LogGroupError::WrongSize {
                found,
                expected: raw_bytes,
            }),
        }
    }
}

/// As [`Compression::decompress`], of one raw LZ4 block.
///
/// # Errors
/// Those of [`Compression::decompress`].
pub fn decompress(lz4: &[u8], raw_bytes: usize) -> Result<Vec<u8>, LogGroupError> {
    Compression::Lz4.decompress(lz4, raw_bytes)
}

/// Compresses one body after another; its buffer, and what zstd needs, are reused.
pub(super) struct Compressor {
    buffer: Vec<u8>,
    /// `None`: LZ4, which keeps nothing.
    zstd: Option<bulk::Compressor<'static>>,
}

impl Compressor {
    pub fn new(compression: Compression) -> Self {
        let zstd = || {
            // The level is one of zstd's own, and a fresh context refuses none of those.
            bulk::Compressor::new(ZSTD_LEVEL).expect("a level that zstd has")
        };
        Self {
            buffer: Vec::new(),
            zstd: (compression == Compression::Zstd).then(zstd),
        }
    }

    /// Goes through a buffer of the worst case's size, so that the body itself takes no more than it needs.
    pub fn compress(&mut self, raw: &[u8]) -> Vec<u8> {
        let worst = match self.zstd {
            Some(_) => zstd::compress_bound(raw.len()),
            None => lz4_flex::block::get_maximum_output_size(raw.len()),
        };
        if self.buffer.len() < worst {
            self.buffer.resize(worst, 0);
        }
        let len = match &mut self.zstd {
            Some(zstd) => zstd
                .compress_to_buffer(raw, self.buffer.as_mut_slice())
                .ok(),
            None => lz4_flex::block::compress_into(raw, &mut self.buffer).ok(),
        };
        // Both fail only on a buffer below the size just computed, zstd also where the system has no memory left.
        let body = self.buffer[..len.expect("the buffer holds the worst case")].to_vec();
        self.buffer.truncate(BUFFER_BYTES_MAX);
        self.buffer.shrink_to(BUFFER_BYTES_MAX);
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Compression; 2] = [Compression::Lz4, Compression::Zstd];

    #[test]
    fn a_zstd_body_is_one_frame_that_names_its_size_and_bears_no_checksum() {
        let raw = b"the same again and again, ".repeat(1_000);
        let body = Compressor::new(Compression::Zstd).compress(&raw);
        assert_eq!(body[..4], 0xfd2f_b528_u32.to_le_bytes());
        // The fifth byte describes the frame; its third bit is that of the checksum (RFC 8878, 3.1.1.1.1).
        assert_eq!(body[4] & 0b100, 0);
        let size = zstd::zstd_safe::get_frame_content_size(&body);
        assert_eq!(size.ok().flatten(), Some(raw.len() as u64));
        let frame = zstd::zstd_safe::find_frame_compressed_size(&body);
        assert_eq!(frame, Ok(body.len()));
    }

    #[test]
    fn the_densest_body_is_not_taken_for_impossible() {
        let zeros = vec![0; 4 << 20];
        for (compression, ratio_max) in BOTH.into_iter().zip([LZ4_RATIO_MAX, ZSTD_RATIO_MAX]) {
            let body = Compressor::new(compression).compress(&zeros);
            assert!(zeros.len() / body.len() > ratio_max / 2, "{compression:?}");
            assert_eq!(
                compression.decompress(&body, zeros.len()),
                Ok(zeros.clone())
            );
        }
    }

    #[test]
    fn the_buffer_of_an_unusual_group_is_not_kept() {
        for compression in BOTH {
            let mut compressor = Compressor::new(compression);
            compressor.compress(&vec![7; 2 * BUFFER_BYTES_MAX]);
            assert!(compressor.buffer.capacity() <= BUFFER_BYTES_MAX);
        }
    }

    #[test]
    fn digests_are_those_of_the_standards() {
        // RFC 1321, A.5, and FIPS 180-2, B.1.
        let md5 = 0x9001_5098_3cd2_4fb0_d696_3f7d_28e1_7f72_u128;
        assert_eq!(DigestKind::Md5.of(b"abc"), Digest::Md5(md5.to_be_bytes()));
        let Digest::Sha256(sha256) = DigestKind::Sha256.of(b"abc") else {
            panic!("another kind");
        };
        let ends = (&sha256[..4], &sha256[28..]);
        let expected: (&[u8], &[u8]) = (&[0xba, 0x78, 0x16, 0xbf], &[0xf2, 0x00, 0x15, 0xad]);
        assert_eq!(ends, expected);
    }
}
