//! Record sets of every format, written by hand and as wrong as a probe wants them. Layouts: `src/records/v2.rs` and
//! `src/records/legacy.rs`.

use std::io::Write;

/// The start of 2026.
pub const TIMESTAMP_MS: i64 = 1_767_225_600_000;

pub const NONE: u8 = 0;
pub const GZIP: u8 = 1;
pub const SNAPPY: u8 = 2;
pub const LZ4: u8 = 3;
pub const ZSTD: u8 = 4;

pub const CODECS: [(u8, &str); 5] = [
    (NONE, "none"),
    (GZIP, "gzip"),
    (SNAPPY, "snappy"),
    (LZ4, "lz4"),
    (ZSTD, "zstd"),
];

/// A batch of magic 2. Its lengths and its checksum are made right last, unless they are given.
#[derive(Clone)]
pub struct Batch {
    pub base_offset: i64,
    pub length: Option<i32>,
    pub leader_epoch: i32,
    pub magic: u8,
    pub crc: Option<u32>,
    pub attributes: i16,
    pub last_offset_delta: i32,
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    pub producer_id: i64,
    pub epoch: i16,
    pub sequence: i32,
    pub count: i32,
    /// As they are sent, compressed or not.
    pub records: Vec<u8>,
}

impl Batch {
    /// With one plain record for each value.
    pub fn new(values: &[&str]) -> Self {
        let records = values.iter().enumerate();
        let records = records.flat_map(|(index, value)| Record::new(index, value).bytes());
        Self::of(records.collect(), values.len() as i32)
    }

    pub fn of(records: Vec<u8>, count: i32) -> Self {
        Self {
            base_offset: 0,
            length: None,
            leader_epoch: -1,
            magic: 2,
            crc: None,
            attributes: 0,
            last_offset_delta: count - 1,
            base_timestamp: TIMESTAMP_MS,
            max_timestamp: TIMESTAMP_MS,
            producer_id: -1,
            epoch: -1,
            sequence: -1,
            count,
            records,
        }
    }

    pub fn codec(mut self, codec: u8) -> Self {
        self.records = compress(codec, &self.records);
        self.attributes |= i16::from(codec);
        self
    }

    pub fn producer(mut self, id: i64, epoch: i16, sequence: i32) -> Self {
        (self.producer_id, self.epoch, self.sequence) = (id, epoch, sequence);
        self
    }

    /// With some fields otherwise.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut covered = self.attributes.to_be_bytes().to_vec();
        covered.extend(self.last_offset_delta.to_be_bytes());
        covered.extend(self.base_timestamp.to_be_bytes());
        covered.extend(self.max_timestamp.to_be_bytes());
        covered.extend(self.producer_id.to_be_bytes());
        covered.extend(self.epoch.to_be_bytes());
        covered.extend(self.sequence.to_be_bytes());
        covered.extend(self.count.to_be_bytes());
        covered.extend(&self.records);
        let length = self.length.unwrap_or(9 + covered.len() as i32);
        let crc = self.crc.unwrap_or_else(|| crc32c::crc32c(&covered));
        let mut bytes = self.base_offset.to_be_bytes().to_vec();
        bytes.extend(length.to_be_bytes());
        bytes.extend(self.leader_epoch.to_be_bytes());
        bytes.push(self.magic);
        bytes.extend(crc.to_be_bytes());
        bytes.extend(covered);
        bytes
    }
}

/// A record of magic 2.
#[derive(Clone)]
pub struct Record {
    pub length_error: i64,
    pub attributes: u8,
    pub timestamp_delta: i64,
    pub offset_delta: i64,
    /// A length that is not the key's.
    pub key_length: Option<i64>,
    pub key: Option<Vec<u8>>,
    pub value_length: Option<i64>,
    pub value: Option<Vec<u8>>,
    pub header_count: Option<i64>,
    pub headers: Vec<u8>,
}

impl Record {
    pub fn new(index: usize, value: &str) -> Self {
        Self {
            length_error: 0,
            attributes: 0,
            timestamp_delta: 0,
            offset_delta: index as i64,
            key_length: None,
            key: None,
            value_length: None,
            value: Some(value.into()),
            header_count: None,
            headers: Vec::new(),
        }
    }

    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// The only record of a batch.
    pub fn batch(&self) -> Batch {
        Batch::of(self.bytes(), 1)
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut body = vec![self.attributes];
        body.extend(varint(self.timestamp_delta));
        body.extend(varint(self.offset_delta));
        for (length, bytes) in [
            (self.key_length, &self.key),
            (self.value_length, &self.value),
        ] {
            let own = bytes.as_ref().map_or(-1, |bytes| bytes.len() as i64);
            body.extend(varint(length.unwrap_or(own)));
            body.extend(bytes.iter().flatten());
        }
        body.extend(varint(self.header_count.unwrap_or(0)));
        body.extend(&self.headers);
        let mut bytes = varint(body.len() as i64 + self.length_error);
        bytes.extend(body);
        bytes
    }
}

/// Zigzag, as in records.
pub fn varint(value: i64) -> Vec<u8> {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    let mut bytes = Vec::new();
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

/// An entry of magic 0 or 1.
#[derive(Clone)]
pub struct Entry {
    pub offset: i64,
    pub size: Option<i32>,
    pub crc: Option<u32>,
    pub magic: u8,
    pub attributes: u8,
    pub timestamp: i64,
    pub key_length: Option<i32>,
    pub value_length: Option<i32>,
    pub value: Option<Vec<u8>>,
}

impl Entry {
    pub fn new(magic: u8, value: &[u8]) -> Self {
        Self {
            offset: 0,
            size: None,
            crc: None,
            magic,
            attributes: 0,
            timestamp: TIMESTAMP_MS,
            key_length: None,
            value_length: None,
            value: Some(value.to_vec()),
        }
    }

    /// A wrapper around these entries.
    pub fn wrapper(magic: u8, codec: u8, inner: &[u8]) -> Self {
        Self::new(magic, &compress(codec, inner)).with(|entry| entry.attributes = codec)
    }

    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut covered = vec![self.magic, self.attributes];
        if self.magic == 1 {
            covered.extend(self.timestamp.to_be_bytes());
        }
        covered.extend(self.key_length.unwrap_or(-1).to_be_bytes());
        let own = self.value.as_ref().map_or(-1, |value| value.len() as i32);
        covered.extend(self.value_length.unwrap_or(own).to_be_bytes());
        covered.extend(self.value.iter().flatten());
        let crc = self.crc.unwrap_or_else(|| crc32fast::hash(&covered));
        let size = self.size.unwrap_or(4 + covered.len() as i32);
        let mut bytes = self.offset.to_be_bytes().to_vec();
        bytes.extend(size.to_be_bytes());
        bytes.extend(crc.to_be_bytes());
        bytes.extend(covered);
        bytes
    }
}

/// Two records as a client of this message format sends them.
pub fn set(magic: u8, codec: u8) -> Vec<u8> {
    if magic == 2 {
        return Batch::new(&["one", "two"]).codec(codec).bytes();
    }
    let entry = |offset, value: &[u8]| Entry::new(magic, value).with(|entry| entry.offset = offset);
    let inner = [entry(0, b"one").bytes(), entry(1, b"two").bytes()].concat();
    match codec {
        NONE => inner,
        _ => Entry::wrapper(magic, codec, &inner)
            .with(|wrapper| wrapper.offset = 1)
            .bytes(),
    }
}

pub fn compress(codec: u8, bytes: &[u8]) -> Vec<u8> {
    match codec {
        NONE => bytes.to_vec(),
        GZIP => {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), Default::default());
            writer.write_all(bytes).expect("into memory");
            writer.finish().expect("into memory")
        }
        SNAPPY => snap::raw::Encoder::new()
            .compress_vec(bytes)
            .expect("small"),
        LZ4 => {
            let mut writer = lz4_flex::frame::FrameEncoder::new(Vec::new());
            writer.write_all(bytes).expect("into memory");
            writer.finish().expect("into memory")
        }
        ZSTD => zstd::bulk::compress(bytes, 3).expect("into memory"),
        // No codec has these numbers.
        _ => bytes.to_vec(),
    }
}

/// Snappy as Java frames it: a head, then blocks with their lengths.
pub fn snappy_framed(bytes: &[u8]) -> Vec<u8> {
    let block = compress(SNAPPY, bytes);
    let head = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
    [&head[..], &(block.len() as u32).to_be_bytes(), &block].concat()
}
