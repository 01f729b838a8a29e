//! What is noted of a request: its API and version, and of a Produce its first record set's message format and codec. Reads
//! only as far as that, in the layouts of Kafka's protocol page.

/// In the order in which a client sends them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Request {
    ApiVersions(i16),
    SaslHandshake(i16),
    /// What follows SaslHandshake v0, without any header.
    RawToken,
    SaslAuthenticate(i16),
    Metadata(i16),
    InitProducerId(i16),
    Produce {
        version: i16,
        message_format: u8,
        codec: u8,
    },
    Other {
        api: i16,
        version: i16,
    },
}

/// From here on lengths are variable and headers have tags.
const PRODUCE_FLEXIBLE: i16 = 9;
/// From here on a topic is named by 16 bytes.
const PRODUCE_TOPIC_IDS: i16 = 13;

impl Request {
    pub fn of(frame: &[u8]) -> Option<Self> {
        let mut body = Body {
            rest: frame,
            flexible: false,
        };
        let (api, version) = (body.i16()?, body.i16()?);
        Some(match api {
            18 => Self::ApiVersions(version),
            17 => Self::SaslHandshake(version),
            36 => Self::SaslAuthenticate(version),
            3 => Self::Metadata(version),
            22 => Self::InitProducerId(version),
            0 => body.produce(version)?,
            _ => Self::Other { api, version },
        })
    }

    pub fn is_raw_handshake(self) -> bool {
        self == Self::SaslHandshake(0)
    }

    pub fn is_produce(self) -> bool {
        matches!(self, Self::Produce { .. })
    }

    /// As the design documents write it: a letter for the API, a digit for the version.
    pub fn short(self) -> String {
        match self {
            Self::ApiVersions(version) => format!("A{version}"),
            Self::SaslHandshake(version) => format!("H{version}"),
            Self::RawToken => "raw".to_owned(),
            Self::SaslAuthenticate(version) => format!("S{version}"),
            Self::Metadata(version) => format!("M{version}"),
            Self::InitProducerId(version) => format!("I{version}"),
            Self::Produce { version, .. } => format!("P{version}"),
            Self::Other { api, version } => format!("API {api} v{version}"),
        }
    }
}

struct Body<'a> {
    rest: &'a [u8],
    flexible: bool,
}

impl<'a> Body<'a> {
    /// Behind API and version.
    fn produce(mut self, version: i16) -> Option<Request> {
        self.take(4)?; // correlation id
        let client_id = self.i16()?;
        self.take(usize::try_from(client_id).unwrap_or(0))?;
        self.flexible = version >= PRODUCE_FLEXIBLE;
        if self.flexible {
            self.take(1)?; // no client sends tags
        }
        if version >= 3 {
            self.text()?; // transactional id
        }
        self.take(2 + 4)?; // acks, time-out
        self.length(4)?; // topics
        if version >= PRODUCE_TOPIC_IDS {
            self.take(16)?;
        } else {
            self.text()?;
        }
        self.length(4)?; // partitions
        self.take(4)?; // the first one's index
        let size = self.length(4)?;
        let records = self.take(size)?;
        let message_format = *records.get(16)?;
        // The attributes: two bytes behind the checksum in format 2, one behind the format before.
        let attributes = records.get(if message_format == 2 { 22 } else { 17 })?;
        Some(Request::Produce {
            version,
            message_format,
            codec: attributes & 7,
        })
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn i16(&mut self) -> Option<i16> {
        let bytes = self.take(2)?.try_into().ok()?;
        Some(i16::from_be_bytes(bytes))
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let size = self.length(2)?;
        self.take(size)
    }

    /// A length of `width` bytes, or a variable one that is one more than it says. Null is nothing.
    fn length(&mut self, width: usize) -> Option<usize> {
        if self.flexible {
            return Some(self.varint()?.saturating_sub(1));
        }
        let bytes = self.take(width)?;
        let negative = bytes[0] & 0x80 != 0;
        let length = bytes
            .iter()
            .fold(0, |length, &byte| length << 8 | usize::from(byte));
        Some(if negative { 0 } else { length })
    }

    fn varint(&mut self) -> Option<usize> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.take(1)?[0];
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}
