//! Writes requests by hand, so that what no encoder would write can be written too.

use super::schemas::Api;

/// A request without its frame and its correlation id.
#[derive(Clone)]
pub struct Request {
    pub api: Api,
    pub version: i16,
    flexible: bool,
    /// From the client id to the tags of the header.
    header: Vec<u8>,
    body: Vec<u8>,
}

impl Request {
    pub fn new(api: Api, version: i16) -> Self {
        let flexible = version >= api.flexible_from;
        let mut header = b"\0\x04test".to_vec();
        header.extend(flexible.then_some(0));
        Self {
            api,
            version,
            flexible,
            header,
            body: Vec::new(),
        }
    }

    /// In place of the client id and what follows it in the header.
    pub fn header(mut self, bytes: &[u8]) -> Self {
        self.header = bytes.to_vec();
        self
    }

    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.body.extend_from_slice(bytes);
        self
    }

    /// Fields that only some versions have.
    pub fn when(self, has: bool, fields: impl FnOnce(Self) -> Self) -> Self {
        if has { fields(self) } else { self }
    }

    pub fn bool(self, value: bool) -> Self {
        self.raw(&[u8::from(value)])
    }

    pub fn i8(self, value: i8) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub fn i16(self, value: i16) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub fn i32(self, value: i32) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub fn i64(self, value: i64) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub fn text(self, text: &str) -> Self {
        self.nullable_text(Some(text))
    }

    pub fn nullable_text(self, text: Option<&str>) -> Self {
        let length = text.map_or(-1, |text| text.len() as i64);
        let prefixed = if self.flexible {
            self.unsigned_varint(length + 1)
        } else {
            self.i16(length as i16)
        };
        prefixed.raw(text.unwrap_or_default().as_bytes())
    }

    pub fn bytes(self, bytes: Option<&[u8]>) -> Self {
        self.count(bytes.map_or(-1, |bytes| bytes.len() as i64))
            .raw(bytes.unwrap_or_default())
    }

    /// The count of an array or the length of bytes; −1 is null, others may be false.
    pub fn count(self, count: i64) -> Self {
        if self.flexible {
            self.unsigned_varint(count + 1)
        } else {
            self.i32(count as i32)
        }
    }

    /// An empty tag section, where the version has such.
    pub fn tags(self) -> Self {
        if self.flexible { self.raw(&[0]) } else { self }
    }

    fn unsigned_varint(self, value: i64) -> Self {
        let mut rest = value as u32;
        let mut bytes = Vec::new();
        while rest >= 0x80 {
            bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
        self.raw(&bytes)
    }

    /// Leaves the last bytes of the body away.
    pub fn cut(mut self, bytes: usize) -> Self {
        self.body.truncate(self.body.len() - bytes);
        self
    }

    /// The whole frame, size prefix and all.
    pub fn frame(&self, correlation_id: i32) -> Vec<u8> {
        let size = 8 + self.header.len() + self.body.len();
        let mut frame = i32::try_from(size).expect("small").to_be_bytes().to_vec();
        frame.extend(self.api.key.to_be_bytes());
        frame.extend(self.version.to_be_bytes());
        frame.extend(correlation_id.to_be_bytes());
        frame.extend(&self.header);
        frame.extend(&self.body);
        frame
    }
}
