//! Builds one response frame: size, response header, fields.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::Encodable;

/// A frame under construction.
pub struct Writer {
    bytes: BytesMut,
}

/// First capacity: most answers are smaller.
const CAPACITY: usize = 128;
const SIZE_BYTES: usize = 4;

impl Writer {
    /// Begins a frame; response header v1 (an empty tag section) where the version is flexible.
    pub fn frame(correlation_id: i32, flexible_header: bool) -> Self {
        let mut bytes = BytesMut::with_capacity(CAPACITY);
        bytes.put_i32(0);
        bytes.put_i32(correlation_id);
        if flexible_header {
            bytes.put_u8(0);
        }
        Self { bytes }
    }

    pub fn i16(&mut self, value: i16) {
        self.bytes.put_i16(value);
    }

    pub fn i32(&mut self, value: i32) {
        self.bytes.put_i32(value);
    }

    pub fn i64(&mut self, value: i64) {
        self.bytes.put_i64(value);
    }

    fn unsigned_varint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.bytes.put_u8((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.put_u8(value as u8);
    }

    /// The count of an array. Counts come from requests that were read, so they fit.
    pub fn count(&mut self, count: usize, flexible: bool) {
        if flexible {
            self.unsigned_varint(count + 1);
        } else {
            self.bytes.put_i32(i32::try_from(count).unwrap_or(i32::MAX));
        }
    }

    /// A text of at most 32,767 bytes; `None` is null. A longer one is cut, which only words for users can be.
    pub fn nullable_text(&mut self, text: Option<&str>, flexible: bool) {
        let Some(text) = text else {
            return if flexible {
                self.bytes.put_u8(0)
            } else {
                self.bytes.put_i16(-1)
            };
        };
        let mut end = text.len().min(i16::MAX as usize);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        if flexible {
            self.unsigned_varint(end + 1);
        } else {
            self.bytes.put_i16(end as i16);
        }
        self.bytes.put_slice(&text.as_bytes()[..end]);
    }

    /// The empty tag section that ends each structure of a flexible version.
    pub fn tags(&mut self, flexible: bool) {
        if flexible {
            self.bytes.put_u8(0);
        }
    }

    /// A body that the `kafka-protocol` crate encodes.
    pub(super) fn body(&mut self, body: &impl Encodable, version: i16) {
        let encoded = body.encode(&mut self.bytes, version);
        // It fails only for a version outside the crate's table or a field that the version lacks; a test encodes each.
        debug_assert!(
            encoded.is_ok(),
            "a response that cannot be encoded: {encoded:?}"
        );
    }

    /// Ends the frame.
    pub fn finish(mut self) -> Bytes {
        let size = i32::try_from(self.bytes.len() - SIZE_BYTES).unwrap_or(i32::MAX);
        self.bytes[..SIZE_BYTES].copy_from_slice(&size.to_be_bytes());
        self.bytes.freeze()
    }
}
