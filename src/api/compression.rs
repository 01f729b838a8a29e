//! The three compressions that the Log Service's bodies have: a raw LZ4 block, one zstd frame, deflate with zlib's head.
//!
//! Sizes are known on both sides before anything is decompressed, so a body never takes more than it said.

use libdeflater::{CompressionLvl, Compressor, Decompressor};
use zstd::zstd_safe;

use super::error::Error;
use crate::logs::Compression;
use crate::refusals::shown;

/// Fast, as the official SDKs choose it.
const ZSTD_LEVEL: i32 = 1;
/// The fastest that compresses at all.
const DEFLATE_LEVEL: i32 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    Lz4,
    Zstd,
    Deflate,
}

impl Codec {
    /// By its name in `x-log-compresstype` and `Accept-Encoding`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "lz4" => Some(Self::Lz4),
            "zstd" => Some(Self::Zstd),
            "deflate" => Some(Self::Deflate),
            _ => None,
        }
    }

    /// `None`: the body is not compressed.
    pub fn of_header(value: Option<&str>) -> Result<Option<Self>, Error> {
        match value {
            None | Some("") => Ok(None),
            Some(name) => match Self::parse(name) {
                Some(codec) => Ok(Some(codec)),
                None => Err(Error::InvalidCompressType(shown(name))),
            },
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
            Self::Deflate => "deflate",
        }
    }

    /// Exactly `raw_bytes`, which the caller has bounded.
    pub fn decompress(self, body: &[u8], raw_bytes: usize) -> Result<Vec<u8>, Error> {
        let raw = match self {
            Self::Lz4 => Compression::Lz4.decompress(body, raw_bytes).ok(),
            Self::Zstd => Compression::Zstd.decompress(body, raw_bytes).ok(),
            Self::Deflate => {
                let mut raw = vec![0; raw_bytes];
                let found = Decompressor::new().zlib_decompress(body, &mut raw).ok();
                (found == Some(raw_bytes)).then_some(raw)
            }
        };
        raw.ok_or(Error::Uncompress)
    }

    /// `None`: the library refuses, and the bytes go as they are.
    pub fn compress(self, raw: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Lz4 => Some(lz4_flex::block::compress(raw)),
            Self::Zstd => {
                let mut out = Vec::with_capacity(zstd_safe::compress_bound(raw.len()));
                zstd_safe::compress(&mut out, raw, ZSTD_LEVEL).ok()?;
                Some(out)
            }
            Self::Deflate => {
                let mut compressor = Compressor::new(CompressionLvl::new(DEFLATE_LEVEL).ok()?);
                let mut out = vec![0; compressor.zlib_compress_bound(raw.len())];
                let len = compressor.zlib_compress(raw, &mut out).ok()?;
                out.truncate(len);
                Some(out)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Codec; 3] = [Codec::Lz4, Codec::Zstd, Codec::Deflate];

    #[test]
    fn what_is_compressed_is_decompressed() {
        let raw = b"a log, a log, a log, and another log".repeat(50);
        for codec in ALL {
            assert_eq!(Codec::parse(codec.name()), Some(codec));
            let body = codec.compress(&raw).unwrap();
            assert!(body.len() < raw.len() / 4, "{codec:?}");
            assert_eq!(codec.decompress(&body, raw.len()).unwrap(), raw);
        }
    }

    #[test]
    fn a_body_of_another_size_than_it_says_is_refused() {
        let raw = vec![b'x'; 100_000];
        for codec in ALL {
            let body = codec.compress(&raw).unwrap();
            for said in [0, 1, raw.len() - 1, raw.len() + 1, 10 << 20] {
                assert!(codec.decompress(&body, said).is_err(), "{codec:?} {said}");
            }
            assert!(
                codec
                    .decompress(&body[..body.len() - 1], raw.len())
                    .is_err(),
                "{codec:?}"
            );
            assert!(codec.decompress(&[], 10).is_err(), "{codec:?}");
            assert!(
                codec.decompress(b"no such data at all", 19).is_err(),
                "{codec:?}"
            );
        }
    }

    #[test]
    fn an_unknown_compression_is_refused() {
        assert!(matches!(Codec::of_header(None), Ok(None)));
        assert!(matches!(Codec::of_header(Some("")), Ok(None)));
        for name in ["gzip", "LZ4", "snappy"] {
            assert!(matches!(
                Codec::of_header(Some(name)),
                Err(Error::InvalidCompressType(_))
            ));
        }
    }
}
