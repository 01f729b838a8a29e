//! What the tests of logs share: records that own their bytes, the way from them to a closed LogGroup, and the Log
//! Service's messages by `prost` as the reader that does not share our mistakes.

mod agents;
mod apart;
mod hostile;
mod json;
mod protobuf;
mod rules;
mod sdk;
mod vectors;

use prost::Message;

use super::*;
use crate::records::{Header, Headers, Record};

/// 2025-07-01T12:00:00.250Z.
const NOW_MS: i64 = 1_751_371_200_250;

/// Those of the embedded store.
const BOUNDS: Bounds = Bounds {
    log_bytes_max: 1 << 20,
    piece_bytes_max: 1 << 20,
    piece_logs_max: 4_096,
    name_bytes_max: 128,
    expansion_bytes_max: 96 << 20,
};

#[derive(Clone, PartialEq, Message)]
struct GroupMessage {
    #[prost(message, repeated, tag = "1")]
    logs: Vec<LogMessage>,
    #[prost(string, optional, tag = "3")]
    topic: Option<String>,
    #[prost(string, optional, tag = "4")]
    source: Option<String>,
    #[prost(message, repeated, tag = "6")]
    tags: Vec<PairMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct LogMessage {
    #[prost(uint32, required, tag = "1")]
    time: u32,
    #[prost(message, repeated, tag = "2")]
    contents: Vec<PairMessage>,
    #[prost(fixed32, optional, tag = "4")]
    time_ns: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
struct PairMessage {
    #[prost(string, required, tag = "1")]
    key: String,
    #[prost(string, required, tag = "2")]
    value: String,
}

impl LogMessage {
    fn fields(&self) -> Vec<(&str, &str)> {
        self.contents.iter().map(PairMessage::pair).collect()
    }

    /// The value of the field with this name.
    fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.contents.iter().filter(|field| field.key == name);
        let field = fields.next().map(|field| &*field.value);
        assert_eq!(fields.next(), None, "{name} stands twice");
        field
    }
}

impl PairMessage {
    fn pair(&self) -> (&str, &str) {
        (&self.key, &self.value)
    }
}

/// A record that owns its bytes; a plain text that was just written unless said otherwise.
#[derive(Clone, Debug)]
struct Sent {
    timestamp_ms: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Sent {
    fn value(value: impl AsRef<[u8]>) -> Self {
        Self {
            timestamp_ms: NOW_MS,
            key: None,
            value: Some(value.as_ref().to_vec()),
            headers: Vec::new(),
        }
    }

    fn key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.key = Some(key.as_ref().to_vec());
        self
    }

    fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref().to_vec();
        self.headers.push((name.into(), Some(value)));
        self
    }

    fn at(mut self, timestamp_ms: i64) -> Self {
        self.timestamp_ms = timestamp_ms;
        self
    }
}

/// What a batch is encoded under; the defaults are the embedded store's.
#[derive(Clone, Debug)]
struct Gateway {
    mapping: Mapping,
    window: TimeWindow,
    bounds: Bounds,
    json_topic: bool,
    client_ip: Option<&'static str>,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            mapping: Mapping::default(),
            window: TimeWindow {
                past_seconds_max: None,
                future_seconds_max: 86_400,
            },
            bounds: BOUNDS,
            json_topic: false,
            client_ip: None,
        }
    }
}

impl Gateway {
    fn json() -> Self {
        Self {
            json_topic: true,
            ..Self::default()
        }
    }

    fn with_headers(prefix: &str) -> Self {
        let mut gateway = Self::default();
        gateway.mapping.headers = HeaderRule::Prefix(prefix.into());
        gateway
    }

    fn with_key(key: KeyRule) -> Self {
        let mut gateway = Self::default();
        gateway.mapping.key = key;
        gateway
    }

    fn with_log_bytes_max(log_bytes_max: usize) -> Self {
        let mut gateway = Self::default();
        gateway.bounds.log_bytes_max = log_bytes_max;
        gateway
    }

    fn push(&self, encoder: &mut Encoder, sent: &Sent) -> Result<(), LogError> {
        let context = BatchContext {
            mapping: &self.mapping,
            window: self.window,
            bounds: self.bounds,
            now_ms: NOW_MS,
            json_topic: self.json_topic,
            client_ip: self.client_ip,
        };
        let record = Record {
            timestamp_ms: sent.timestamp_ms,
            key: sent.key.as_deref(),
            value: sent.value.as_deref(),
            headers: Headers::default(),
        };
        let headers = sent.headers.iter().map(|(name, value)| Header {
            name,
            value: value.as_deref(),
        });
        encoder.push_with_headers(&context, &record, headers)
    }

    fn pieces(&self, batch: &[Sent]) -> Result<Vec<Piece>, LogError> {
        let mut encoder = Encoder::new();
        for sent in batch {
            self.push(&mut encoder, sent)?;
        }
        Ok(encoder.finish())
    }

    /// The logs that `sent` becomes.
    #[track_caller]
    fn logs(&self, sent: &Sent) -> Vec<LogMessage> {
        let pieces = self.pieces(std::slice::from_ref(sent)).expect("it fits");
        decoded(&lz4_closer().close(pieces, &source_of(""))).logs
    }

    /// The one log that `sent` becomes.
    #[track_caller]
    fn log(&self, sent: &Sent) -> LogMessage {
        let mut logs = self.logs(sent);
        assert_eq!(logs.len(), 1, "{logs:?}");
        logs.remove(0)
    }
}

/// An envelope with nothing but a source.
fn source_of(source: &str) -> Envelope<'_> {
    Envelope {
        source,
        ..Envelope::default()
    }
}

/// A closer for whoever does not care how groups are compressed.
fn lz4_closer() -> GroupCloser {
    GroupCloser::new(Codec::LZ4)
}

/// Reads a closed group as the Log Service would.
#[track_caller]
fn decoded(group: &LogGroup) -> GroupMessage {
    let raw = decompress(&group.body, group.raw_bytes as usize).expect("our own block");
    GroupMessage::decode(&*raw).expect("our own protobuf")
}
