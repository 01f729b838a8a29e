//! Protobuf of the Log Service's messages, written by hand into a buffer (PutLogs: `LogGroup`, `Log`, `LogTag`).
//!
//! ```text
//! LogGroup  0a len Log *     1a len topic   22 len source   32 len LogTag *
//! Log       08 time          12 len Content *               25 time_ns (4 bytes, little-endian)
//! Content   0a len key       12 len value
//! LogTag    0a len key       12 len value
//! ```
//!
//! Every length is computed before it is written, so nothing is written twice or moved. What the fields mean, and
//! that the text in them is UTF-8, is the caller's business.

/// `LogGroup.Logs`.
pub const LOGS: u8 = 0x0a;
/// Reserved in `LogGroup`: read by none here, a text for those who know it.
pub const CATEGORY: u8 = 0x12;
/// Written by other collectors only; a text.
pub const MACHINE_UUID: u8 = 0x2a;
/// Protobuf has no larger field number, and no 0.
pub const FIELD_MAX: u64 = (1 << 29) - 1;
/// `LogGroup.Topic`.
pub const TOPIC: u8 = 0x1a;
/// `LogGroup.Source`.
pub const SOURCE: u8 = 0x22;
/// `LogGroup.LogTags`.
pub const LOG_TAG: u8 = 0x32;
/// `Log.Time`, Unix seconds as a varint.
pub const TIME: u8 = 0x08;
/// `Log.Contents`.
pub const CONTENT: u8 = 0x12;
/// `Log.Time_ns`, nanoseconds within the second as a fixed32.
pub const TIME_NS: u8 = 0x25;
/// `Content.Key` and `LogTag.Key`.
pub const KEY: u8 = 0x0a;
/// `Content.Value` and `LogTag.Value`.
pub const VALUE: u8 = 0x12;

/// Longest varint: 64 bits in groups of seven.
const VARINT_BYTES_MAX: usize = 10;

/// Tag and length of a pair, tag and length of its key: all that stands before the key's bytes.
const PREFIX_BYTES_MAX: usize = 2 * (1 + VARINT_BYTES_MAX);

/// What a pair adds to its key and value at most: three tags and three lengths, of up to 32 bits.
pub const PAIR_OVERHEAD_MAX: usize = 3 * (1 + 5);

/// Bytes of `value` as a varint.
pub fn varint_len(value: usize) -> usize {
    let bits = usize::BITS - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Bytes of a length-delimited field of `len` bytes, with its tag.
pub fn delimited_len(len: usize) -> usize {
    1 + varint_len(len) + len
}

/// Bytes of a `Content` or `LogTag` field, with its tag.
pub fn pair_len(key: &[u8], value: &[u8]) -> usize {
    delimited_len(pair_body_len(key, value))
}

/// Writes a length-delimited field.
pub fn put_delimited(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    put_header(out, tag, bytes.len());
    out.extend_from_slice(bytes);
}

/// Writes a tag and a varint: a varint field, or the start of a length-delimited one whose bytes the caller writes next.
pub fn put_header(out: &mut Vec<u8>, tag: u8, len: usize) {
    let mut prefix = Prefix::default();
    prefix.header(tag, len);
    out.extend_from_slice(prefix.bytes());
}

/// Writes a `Content` (tag [`CONTENT`]) or a `LogTag` (tag [`LOG_TAG`]).
pub fn put_pair(out: &mut Vec<u8>, tag: u8, key: &[u8], value: &[u8]) {
    let mut prefix = Prefix::default();
    prefix.header(tag, pair_body_len(key, value));
    prefix.header(KEY, key.len());
    out.extend_from_slice(prefix.bytes());
    out.extend_from_slice(key);
    put_delimited(out, VALUE, value);
}

fn pair_body_len(key: &[u8], value: &[u8]) -> usize {
    delimited_len(key.len()) + delimited_len(value.len())
}

/// Tags and lengths gathered on the stack, so that the buffer is asked for room once and not for each byte.
#[derive(Default)]
struct Prefix {
    bytes: [u8; PREFIX_BYTES_MAX],
    len: usize,
}

impl Prefix {
    fn header(&mut self, tag: u8, len: usize) {
        self.byte(tag);
        let mut rest = len;
        while rest >= 0x80 {
            self.byte((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.byte(rest as u8);
    }

    fn byte(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_varint_has_the_length_that_is_computed_for_it() {
        for value in [0, 1, 127, 128, 16_383, 16_384, 1 << 21, 1 << 28, usize::MAX] {
            let mut out = Vec::new();
            put_header(&mut out, LOGS, value);
            assert_eq!(out.len(), 1 + varint_len(value), "{value}");
        }
    }

    #[test]
    fn a_pair_has_the_length_that_is_computed_for_it() {
        for (key, value) in [(0, 0), (1, 127), (128, 128), (5, 16_384), (200, 70_000)] {
            let (key, value) = (vec![b'k'; key], vec![b'v'; value]);
            let mut out = Vec::new();
            put_pair(&mut out, CONTENT, &key, &value);
            assert_eq!(out.len(), pair_len(&key, &value));
            assert!(out.len() <= key.len() + value.len() + PAIR_OVERHEAD_MAX);
        }
    }
}
