//! Reading a LogGroup's protobuf back: for the embedded store, its HTTP interface and `sluice logs`.
//!
//! All text is borrowed, nothing is taken on the sender's word, and fields that are not known are skipped. The wire's
//! layout is drawn in [`wire`](super::wire); decompressing comes before and is left to [`codec`](super::codec).

use super::wire::{
    CATEGORY, CONTENT, FIELD_MAX, KEY, LOG_TAG, LOGS, MACHINE_UUID, SOURCE, TIME, TIME_NS, TOPIC,
    VALUE,
};

/// Why bytes are not a LogGroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogGroupError {
    #[error("a body of {body_bytes} bytes cannot hold {raw_bytes}")]
    ImpossibleSize { body_bytes: usize, raw_bytes: usize },
    #[error("the compressed body is damaged")]
    BadBody,
    #[error("the body holds {found} bytes and not {expected}")]
    WrongSize { found: usize, expected: usize },
    #[error("a protobuf field ends early")]
    Truncated,
    #[error("a protobuf number has more than 64 bits")]
    BadVarint,
    #[error("there is no protobuf field {0}")]
    BadField(u64),
    #[error("protobuf field {field} has wire type {wire_type}")]
    BadWireType { field: u64, wire_type: u8 },
    #[error("a text is not UTF-8")]
    NotUtf8,
    #[error("a log has no time")]
    NoTime,
    #[error("the log time {0} has more than 32 bits")]
    BadTime(u64),
    #[error("a field or tag has no key")]
    NoKey,
    #[error("a field or tag has no value")]
    NoValue,
}

/// A LogGroup in protobuf, checked in full and read in place.
#[derive(Clone, Copy, Debug)]
pub struct LogGroupReader<'a> {
    message: Message<'a>,
    topic: &'a str,
    source: &'a str,
}

impl<'a> LogGroupReader<'a> {
    /// Checks the whole group, so that walking over it cannot fail.
    ///
    /// # Errors
    /// All of [`LogGroupError`] but those of the compressed body.
    pub fn new(raw: &'a [u8]) -> Result<Self, LogGroupError> {
        let message = Message(raw);
        let (mut topic, mut source) = ("", "");
        for field in message {
            let field = field?;
            match field.tag {
                Some(LOGS) => check_log(field.bytes)?,
                Some(LOG_TAG) => check_pair(field.bytes)?,
                Some(TOPIC) => topic = text(field.bytes)?,
                Some(SOURCE) => source = text(field.bytes)?,
                Some(CATEGORY | MACHINE_UUID) => {
                    text(field.bytes)?;
                }
                _ => {}
            }
        }
        Ok(Self {
            message,
            topic,
            source,
        })
    }

    /// Empty where there is none.
    pub fn topic(&self) -> &'a str {
        self.topic
    }

    /// Name and value of each tag.
    pub fn tags(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.message
            .delimited(LOG_TAG)
            .filter_map(|bytes| Pair::new(bytes).ok())
            .map(|pair| (pair.key, pair.value))
    }

    /// Empty where there is none.
    pub fn source(&self) -> &'a str {
        self.source
    }

    /// The fields of the group as they stand, each with tag and length.
    pub(super) fn fields(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.message;
        std::iter::from_fn(move || {
            let bytes = rest.0;
            rest.next()?.ok()?;
            Some(&bytes[..bytes.len() - rest.0.len()])
        })
    }

    pub fn logs(&self) -> impl Iterator<Item = LogReader<'a>> + use<'a> {
        self.message
            .delimited(LOGS)
            .filter_map(|bytes| LogReader::new(bytes).ok())
    }
}

/// One log of a group that was checked.
#[derive(Clone, Copy, Debug)]
pub struct LogReader<'a> {
    message: Message<'a>,
    time: u32,
    time_ns: Option<u32>,
}

impl<'a> LogReader<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, LogGroupError> {
        let message = Message(bytes);
        let (mut time, mut time_ns) = (None, None);
        for field in message {
            let Field { tag, number, .. } = field?;
            match tag {
                Some(TIME) => time = Some(number),
                // A fixed32.
                Some(TIME_NS) => time_ns = Some(number as u32),
                _ => {}
            }
        }
        let time = time.ok_or(LogGroupError::NoTime)?;
        let time = u32::try_from(time).map_err(|_| LogGroupError::BadTime(time))?;
        Ok(Self {
            message,
            time,
            time_ns,
        })
    }

    /// The log in a field of a group that was checked; `None`: another field.
    pub(super) fn of_entry(field: &'a [u8]) -> Option<Self> {
        let mut logs = Message(field).delimited(LOGS);
        logs.find_map(|bytes| Self::new(bytes).ok())
    }

    /// Unix seconds.
    pub fn time(&self) -> u32 {
        self.time
    }

    /// Nanoseconds within the second, as they were written.
    pub fn time_ns(&self) -> Option<u32> {
        self.time_ns
    }

    /// Names and values, in order.
    pub fn contents(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let pairs = self
            .message
            .delimited(CONTENT)
            .filter_map(|bytes| Pair::new(bytes).ok());
        pairs.map(|pair| (pair.key, pair.value))
    }
}

fn check_log(bytes: &[u8]) -> Result<(), LogGroupError> {
    LogReader::new(bytes)?;
    for field in Message(bytes) {
        let field = field?;
        if field.tag == Some(CONTENT) {
            check_pair(field.bytes)?;
        }
    }
    Ok(())
}

fn check_pair(bytes: &[u8]) -> Result<(), LogGroupError> {
    Pair::new(bytes).map(|_| ())
}

/// A `Content` or a `LogTag`.
struct Pair<'a> {
    key: &'a str,
    value: &'a str,
}

impl<'a> Pair<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, LogGroupError> {
        let (mut key, mut value) = (None, None);
        for field in Message(bytes) {
            let Field { tag, bytes, .. } = field?;
            match tag {
                Some(KEY) => key = Some(text(bytes)?),
                Some(VALUE) => value = Some(text(bytes)?),
                _ => {}
            }
        }
        Ok(Self {
            key: key.ok_or(LogGroupError::NoKey)?,
            value: value.ok_or(LogGroupError::NoValue)?,
        })
    }
}

fn text(bytes: &[u8]) -> Result<&str, LogGroupError> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| LogGroupError::NotUtf8)
}

/// A field of any message.
struct Field<'a> {
    /// Field number and wire type in one byte; `None` for numbers over 15, none of which is known.
    tag: Option<u8>,
    /// The value of a varint, fixed32 or fixed64.
    number: u64,
    /// The value of a length-delimited field.
    bytes: &'a [u8],
}

/// The fields of a message, from front to back; an error ends them.
#[derive(Clone, Copy, Debug)]
struct Message<'a>(&'a [u8]);

impl<'a> Message<'a> {
    /// The length-delimited fields with this tag, of a message that was checked: no error is left to be skipped.
    fn delimited(self, tag: u8) -> impl Iterator<Item = &'a [u8]> {
        let fields = self.filter_map(Result::ok);
        fields
            .filter(move |field| field.tag == Some(tag))
            .map(|field| field.bytes)
    }

    fn field(&mut self) -> Result<Field<'a>, LogGroupError> {
        let tag = self.varint()?;
        let (field, wire_type) = (tag >> 3, (tag & 7) as u8);
        if !(1..=FIELD_MAX).contains(&field) {
            return Err(LogGroupError::BadField(field));
        }
        let (mut number, mut bytes) = (0, [].as_slice());
        match wire_type {
            0 => number = self.varint()?,
            1 => number = u64::from_le_bytes(self.array()?),
            2 => bytes = self.delimited_bytes()?,
            5 => number = u32::from_le_bytes(self.array()?).into(),
            _ => return Err(LogGroupError::BadWireType { field, wire_type }),
        }
        Ok(Field {
            tag: u8::try_from(tag).ok(),
            number,
            bytes,
        })
    }

    fn varint(&mut self) -> Result<u64, LogGroupError> {
        let mut value = 0u64;
        for shift in (0..u64::BITS).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(LogGroupError::BadVarint);
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(LogGroupError::BadVarint)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], LogGroupError> {
        let (array, rest) = self.0.split_first_chunk().ok_or(LogGroupError::Truncated)?;
        self.0 = rest;
        Ok(*array)
    }

    fn delimited_bytes(&mut self) -> Result<&'a [u8], LogGroupError> {
        let len = usize::try_from(self.varint()?).map_err(|_| LogGroupError::Truncated)?;
        let (bytes, rest) = self
            .0
            .split_at_checked(len)
            .ok_or(LogGroupError::Truncated)?;
        self.0 = rest;
        Ok(bytes)
    }
}

impl<'a> Iterator for Message<'a> {
    type Item = Result<Field<'a>, LogGroupError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}
