//! A bounded reader over a request: every length is checked against the bytes that are there, nothing is allocated.

use std::ops::Range;
use std::str;

/// What is wrong with a request, and at which byte of its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("{wanted} bytes are wanted at byte {at}, {left} are left")]
    Short {
        at: usize,
        wanted: usize,
        left: usize,
    },
    #[error("the length or count at byte {at} is out of range")]
    Length { at: usize },
    #[error("the text at byte {at} is not UTF-8")]
    Text { at: usize },
    #[error("the number at byte {at} is longer than its type")]
    Varint { at: usize },
    #[error("{left} bytes are left over at byte {at}")]
    Trailing { at: usize, left: usize },
    #[error("topic names take more than the limit of {max} bytes")]
    Names { max: usize },
    #[error("more than {max} topics or partitions")]
    TooMany { max: usize },
}

/// Reads big-endian fields, one behind the other.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Bytes of the longest unsigned varint of 32 bits.
const VARINT_BYTES_MAX: usize = 5;
/// Kafka refuses longer texts in flexible versions too, where their length could tell more.
const TEXT_BYTES_MAX: usize = i16::MAX as usize;

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// A reader that starts behind what others have read.
    pub fn at(bytes: &'a [u8], position: usize) -> Self {
        Self {
            bytes,
            at: position.min(bytes.len()),
        }
    }

    pub fn position(&self) -> usize {
        self.at
    }

    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8], ReadError> {
        self.skip(count).map(|range| &self.bytes[range])
    }

    /// Passes over bytes; gives where they stand.
    pub fn skip(&mut self, count: usize) -> Result<Range<usize>, ReadError> {
        let left = self.remaining();
        if count > left {
            return Err(ReadError::Short {
                at: self.at,
                wanted: count,
                left,
            });
        }
        let start = self.at;
        self.at += count;
        Ok(start..self.at)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub fn i8(&mut self) -> Result<i8, ReadError> {
        self.array().map(i8::from_be_bytes)
    }

    pub fn i16(&mut self) -> Result<i16, ReadError> {
        self.array().map(i16::from_be_bytes)
    }

    pub fn i32(&mut self) -> Result<i32, ReadError> {
        self.array().map(i32::from_be_bytes)
    }

    pub fn i64(&mut self) -> Result<i64, ReadError> {
        self.array().map(i64::from_be_bytes)
    }

    pub fn uuid(&mut self) -> Result<[u8; 16], ReadError> {
        self.array()
    }

    pub fn bool(&mut self) -> Result<bool, ReadError> {
        self.i8().map(|byte| byte != 0)
    }

    /// Base-128, least significant group first, no zigzag.
    pub fn unsigned_varint(&mut self) -> Result<u32, ReadError> {
        let at = self.at;
        let mut value = 0_u64;
        for index in 0..VARINT_BYTES_MAX {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| ReadError::Varint { at });
            }
        }
        Err(ReadError::Varint { at })
    }

    /// A length or count: i32 with −1 for null, or compact (unsigned varint of one more, 0 for null).
    fn length(&mut self, flexible: bool) -> Result<Option<usize>, ReadError> {
        let at = self.at;
        if flexible {
            let plus_one = self.unsigned_varint()?;
            return Ok(plus_one.checked_sub(1).map(|length| length as usize));
        }
        match self.i32()? {
            -1 => Ok(None),
            length => usize::try_from(length)
                .map(Some)
                .map_err(|_| ReadError::Length { at }),
        }
    }

    /// A byte field (i32 or compact length); gives where it stands, `None` for null.
    pub fn bytes(&mut self, flexible: bool) -> Result<Option<Range<usize>>, ReadError> {
        self.length(flexible)?
            .map(|length| self.skip(length))
            .transpose()
    }

    /// The count of an array that may not be null; otherwise as [`Reader::nullable_count`].
    pub fn count(&mut self, flexible: bool, element_bytes_min: usize) -> Result<usize, ReadError> {
        let at = self.at;
        self.nullable_count(flexible, element_bytes_min)?
            .ok_or(ReadError::Length { at })
    }

    /// The count of an array whose elements take at least `element_bytes_min` each; `None` for null. A count that the
    /// bytes left cannot hold is refused here, before anybody loops or allocates by it.
    pub fn nullable_count(
        &mut self,
        flexible: bool,
        element_bytes_min: usize,
    ) -> Result<Option<usize>, ReadError> {
        let at = self.at;
        let count = self.length(flexible)?;
        match count {
            Some(count) if count > self.remaining() / element_bytes_min.max(1) => {
                Err(ReadError::Length { at })
            }
            count => Ok(count),
        }
    }

    /// A text (i16 or compact length); gives where it stands, `None` for null.
    pub fn text_range(&mut self, flexible: bool) -> Result<Option<Range<usize>>, ReadError> {
        let at = self.at;
        let length = if flexible {
            self.length(true)?
        } else {
            match self.i16()? {
                -1 => None,
                length => Some(usize::try_from(length).map_err(|_| ReadError::Length { at })?),
            }
        };
        let Some(length) = length else {
            return Ok(None);
        };
        if length > TEXT_BYTES_MAX {
            return Err(ReadError::Length { at });
        }
        let range = self.skip(length)?;
        str::from_utf8(&self.bytes[range.clone()]).map_err(|_| ReadError::Text { at })?;
        Ok(Some(range))
    }

    pub fn nullable_text(&mut self, flexible: bool) -> Result<Option<&'a str>, ReadError> {
        let at = self.at;
        let Some(range) = self.text_range(flexible)? else {
            return Ok(None);
        };
        str::from_utf8(&self.bytes[range])
            .map(Some)
            .map_err(|_| ReadError::Text { at })
    }

    /// A text that may not be null.
    pub fn text(&mut self, flexible: bool) -> Result<&'a str, ReadError> {
        let at = self.at;
        self.nullable_text(flexible)?
            .ok_or(ReadError::Length { at })
    }

    /// Passes over the tagged fields that end each structure of a flexible version.
    pub fn tags(&mut self, flexible: bool) -> Result<(), ReadError> {
        if !flexible {
            return Ok(());
        }
        let count = self.unsigned_varint()?;
        for _ in 0..count {
            // A tag takes two bytes at least, so a false count ends with the bytes.
            self.unsigned_varint()?;
            let size = self.unsigned_varint()?;
            self.skip(size as usize)?;
        }
        Ok(())
    }

    /// All has been read.
    pub fn finish(&self) -> Result<(), ReadError> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(ReadError::Trailing { at: self.at, left }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_never_reaches_past_the_end() {
        for bytes in [&[0, 5, b'a'][..], &[0x7f, 0xff], &[0xff, 0xfe]] {
            assert!(Reader::new(bytes).text(false).is_err(), "{bytes:?}");
        }
        assert!(Reader::new(&[6, b'a']).text(true).is_err());
        assert_eq!(Reader::new(&[0xff, 0xff]).nullable_text(false), Ok(None));
        assert_eq!(Reader::new(&[0]).nullable_text(true), Ok(None));
        assert!(
            Reader::new(&[0]).text(true).is_err(),
            "null where a text must be"
        );
    }

    #[test]
    fn a_count_that_the_bytes_cannot_hold_is_refused() {
        assert_eq!(
            Reader::new(&[0, 0, 0, 2, 1, 2, 3, 4]).count(false, 2),
            Ok(2)
        );
        assert!(
            Reader::new(&[0, 0, 0, 3, 1, 2, 3, 4])
                .count(false, 2)
                .is_err()
        );
        assert!(
            Reader::new(&[0x7f, 0xff, 0xff, 0xff, 1])
                .count(false, 1)
                .is_err()
        );
        assert!(
            Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x0f, 1])
                .count(true, 1)
                .is_err()
        );
        assert!(
            Reader::new(&[0x80, 0, 0, 0]).count(false, 1).is_err(),
            "negative"
        );
    }

    #[test]
    fn a_null_array_is_told_from_an_empty_one() {
        for (flexible, null, empty) in [
            (false, &[0xff; 4][..], &[0; 4][..]),
            (true, &[0][..], &[1][..]),
        ] {
            let read = |bytes| Reader::new(bytes).nullable_count(flexible, 1);
            assert_eq!((read(null), read(empty)), (Ok(None), Ok(Some(0))));
            let read = |bytes| Reader::new(bytes).count(flexible, 1);
            assert_eq!(read(null), Err(ReadError::Length { at: 0 }));
            assert_eq!(read(empty), Ok(0));
        }
    }

    #[test]
    fn a_varint_is_at_most_32_bits() {
        assert_eq!(
            Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x0f]).unsigned_varint(),
            Ok(u32::MAX)
        );
        assert!(
            Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x1f])
                .unsigned_varint()
                .is_err()
        );
        assert!(Reader::new(&[0x80; 6]).unsigned_varint().is_err());
    }

    #[test]
    fn tags_are_passed_over_and_a_false_count_ends_with_the_bytes() {
        let mut reader = Reader::new(&[2, 0, 1, 9, 1, 0, 7]);
        assert_eq!(reader.tags(true), Ok(()));
        assert_eq!(reader.remaining(), 1);
        assert!(
            Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0])
                .tags(true)
                .is_err()
        );
    }
}
