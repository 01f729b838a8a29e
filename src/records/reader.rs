//! A bounded reader over the fields of a record: big-endian integers, zigzag varints, byte strings with a length before them.
//!
//! It never looks past the slice it was made of; records and their fields get a reader of their own by [`Reader::sub`].

use super::RecordFault;

#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], RecordFault> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(RecordFault::Cut)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordFault> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(RecordFault::Cut)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(super) fn i32(&mut self) -> Result<i32, RecordFault> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, RecordFault> {
        self.array().map(i64::from_be_bytes)
    }

    /// A reader of the next `length` bytes.
    #[inline]
    pub(super) fn sub(&mut self, length: i32) -> Result<Reader<'a>, RecordFault> {
        let length = usize::try_from(length).map_err(|_| RecordFault::NegativeLength)?;
        self.bytes(length).map(Reader::new)
    }

    /// The next `length` bytes; −1 stands for null.
    #[inline]
    pub(super) fn nullable(&mut self, length: i32) -> Result<Option<&'a [u8]>, RecordFault> {
        if length == -1 {
            return Ok(None);
        }
        Ok(Some(self.sub(length)?.rest))
    }

    /// A zigzag varint of at most 5 bytes. Bits over the 32nd are dropped, as Kafka's `ByteUtils.readVarint` does.
    #[inline]
    pub(super) fn varint(&mut self) -> Result<i32, RecordFault> {
        let raw = self.unsigned::<5>()? as u32;
        Ok((raw >> 1) as i32 ^ -((raw & 1) as i32))
    }

    /// A zigzag varint of at most 10 bytes. Bits over the 64th are dropped.
    #[inline]
    pub(super) fn varlong(&mut self) -> Result<i64, RecordFault> {
        let raw = self.unsigned::<10>()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// One and two bytes are nearly all there is in real batches: deltas, header counts and lengths below 8 KiB.
    #[inline]
    fn unsigned<const BYTES_MAX: usize>(&mut self) -> Result<u64, RecordFault> {
        match *self.rest {
            [a, ref rest @ ..] if a < 0x80 => {
                self.rest = rest;
                Ok(u64::from(a))
            }
            [a, b, ref rest @ ..] if b < 0x80 => {
                self.rest = rest;
                Ok(u64::from(a & 0x7f) | u64::from(b) << 7)
            }
            _ => self.unsigned_long::<BYTES_MAX>(),
        }
    }

    fn unsigned_long<const BYTES_MAX: usize>(&mut self) -> Result<u64, RecordFault> {
        let mut value = 0;
        for (index, &byte) in self.rest.iter().take(BYTES_MAX).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        if self.rest.len() < BYTES_MAX {
            Err(RecordFault::Cut)
        } else {
            Err(RecordFault::Varint)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varint(bytes: &[u8]) -> Result<i32, RecordFault> {
        Reader::new(bytes).varint()
    }

    fn varlong(bytes: &[u8]) -> Result<i64, RecordFault> {
        Reader::new(bytes).varlong()
    }

    #[test]
    fn varints_are_zigzag() {
        assert_eq!(varint(&[0]), Ok(0));
        assert_eq!(varint(&[1]), Ok(-1));
        assert_eq!(varint(&[2]), Ok(1));
        assert_eq!(varint(&[0x7f]), Ok(-64));
        assert_eq!(varint(&[0x80, 0x01]), Ok(64));
        assert_eq!(varint(&[0x80, 0x80, 0x01]), Ok(8192));
        assert_eq!(varint(&[0xfe, 0xff, 0xff, 0xff, 0x0f]), Ok(i32::MAX));
        assert_eq!(varint(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Ok(i32::MIN));
        let mut longest = [0xff; 10];
        longest[9] = 0x01;
        assert_eq!(varlong(&longest), Ok(i64::MIN));
        longest[0] = 0xfe;
        assert_eq!(varlong(&longest), Ok(i64::MAX));
    }

    #[test]
    fn a_varint_ends_within_5_bytes_and_a_varlong_within_10() {
        assert_eq!(varint(&[0x80, 0x80, 0x80, 0x80, 0x00]), Ok(0));
        assert_eq!(
            varint(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00]),
            Err(RecordFault::Varint)
        );
        assert_eq!(varlong(&[0x80; 10]), Err(RecordFault::Varint));
    }

    #[test]
    fn a_cut_varint_is_cut_and_not_too_long() {
        assert_eq!(varint(&[]), Err(RecordFault::Cut));
        assert_eq!(varint(&[0x80; 4]), Err(RecordFault::Cut));
        assert_eq!(varlong(&[0x80; 9]), Err(RecordFault::Cut));
    }

    #[test]
    fn a_length_of_minus_one_is_null_and_below_is_refused() {
        let mut reader = Reader::new(b"abc");
        assert_eq!(reader.nullable(-1), Ok(None));
        assert_eq!(reader.nullable(-2), Err(RecordFault::NegativeLength));
        assert_eq!(reader.nullable(4), Err(RecordFault::Cut));
        assert_eq!(reader.nullable(0), Ok(Some(&b""[..])));
        assert_eq!(reader.nullable(3), Ok(Some(&b"abc"[..])));
        assert!(reader.is_empty());
    }
}
