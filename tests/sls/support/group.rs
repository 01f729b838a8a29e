//! A PutLogs body: decompressed, decoded by `prost`, and judged by the Log Service's rules for its content.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use prost::Message;

use super::http::Head;

const RAW_BYTES_MAX: usize = 10 << 20;
const LOGS_MAX: usize = 40_960;
const VALUE_BYTES_MAX: usize = 1 << 20;
const KEY_BYTES_MAX: usize = 128;

#[derive(Clone, PartialEq, Message)]
pub struct Group {
    #[prost(message, repeated, tag = "1")]
    pub logs: Vec<Log>,
    #[prost(string, optional, tag = "3")]
    pub topic: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub source: Option<String>,
    #[prost(message, repeated, tag = "6")]
    pub tags: Vec<Pair>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Log {
    #[prost(uint32, required, tag = "1")]
    pub time: u32,
    #[prost(message, repeated, tag = "2")]
    pub contents: Vec<Pair>,
    #[prost(fixed32, optional, tag = "4")]
    pub time_ns: Option<u32>,
}

/// Bytes, so that text which is none can be told from what is no message.
#[derive(Clone, PartialEq, Message)]
pub struct Pair {
    #[prost(bytes = "vec", required, tag = "1")]
    pub key: Vec<u8>,
    #[prost(bytes = "vec", required, tag = "2")]
    pub value: Vec<u8>,
}

/// The Log Service's code and its words.
pub type Fault = (u16, &'static str, &'static str);

const UNCOMPRESS: &str = "PostBodyUncompressError";
const INVALID: &str = "PostBodyInvalid";

impl Group {
    /// What the body holds, whatever it may be worth.
    pub fn read(head: &Head, body: &[u8]) -> Result<Self, Fault> {
        let raw_bytes = head.header("x-log-bodyrawsize");
        let raw_bytes: usize = raw_bytes.and_then(|digits| digits.parse().ok()).ok_or((
            400,
            "MissingBodyRawSize",
            "x-log-bodyrawsize is needed",
        ))?;
        if raw_bytes > RAW_BYTES_MAX || body.len() > RAW_BYTES_MAX {
            return Err((413, "PostBodyTooLarge", "over 10 MiB"));
        }
        let raw = match head.header("x-log-compresstype") {
            None => Some(body.to_vec()),
            Some("lz4") => lz4_flex::block::decompress(body, raw_bytes).ok(),
            Some("zstd") => zstd::bulk::decompress(body, raw_bytes).ok(),
            Some(_) => return Err((400, "InvalidCompressType", "not known")),
        };
        let raw = raw.filter(|raw| raw.len() == raw_bytes);
        let raw = raw.ok_or((400, UNCOMPRESS, "damaged, or not of that size"))?;
        Self::decode(&*raw).map_err(|_| (400, INVALID, "not a LogGroup"))
    }

    /// Refuses the whole group for one bad log.
    pub fn judge(&self, times: &RangeInclusive<i64>) -> Result<(), Fault> {
        if self.logs.is_empty() {
            return Err((400, INVALID, "no log"));
        }
        if self.logs.len() > LOGS_MAX {
            return Err((413, "PostBodyTooLarge", "too many logs"));
        }
        self.logs.iter().try_for_each(|log| log.judge(times))
    }

    /// The values of a field, one for each log that has it.
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.logs.iter().filter_map(|log| log.field(name)).collect()
    }

    /// A log of it has this value in its field `content`.
    pub fn holds(&self, content: &str) -> bool {
        self.values("content").contains(&content)
    }
}

impl Log {
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut named = self
            .contents
            .iter()
            .filter(|pair| pair.key == name.as_bytes());
        named
            .next()
            .and_then(|pair| str::from_utf8(&pair.value).ok())
    }

    fn judge(&self, times: &RangeInclusive<i64>) -> Result<(), Fault> {
        if !times.contains(&i64::from(self.time)) {
            return Err((400, INVALID, "the log's time is out of range"));
        }
        if self.time_ns.is_some_and(|ns| ns >= 1_000_000_000) {
            return Err((400, "InvalidTimestamp", "nanoseconds over a second"));
        }
        if self.contents.is_empty() {
            return Err((400, INVALID, "a log without a field"));
        }
        self.contents.iter().try_for_each(Pair::judge)
    }

    /// Legal, but of no defined meaning: the gateway promises not to send it.
    pub fn names_a_field_twice(&self) -> bool {
        let mut seen = HashSet::new();
        !self.contents.iter().all(|pair| seen.insert(&pair.key))
    }
}

impl Pair {
    fn judge(&self) -> Result<(), Fault> {
        if str::from_utf8(&self.key).is_err() || str::from_utf8(&self.value).is_err() {
            return Err((400, "InvalidEncoding", "not UTF-8"));
        }
        if self.key.is_empty() || self.key.len() > KEY_BYTES_MAX {
            return Err((400, "InvalidKey", "a name of 1 to 128 bytes is needed"));
        }
        if self.value.len() > VALUE_BYTES_MAX {
            return Err((400, INVALID, "a value over 1 MiB"));
        }
        Ok(())
    }
}
