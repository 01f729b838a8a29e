//! A record becomes a log here and nowhere else (product 4, delivery 4).
//!
//! ```text
//! value   ── JSON wanted, and fit for it ──▶ a log per object
//!         └─ else ──▶ one field ── small enough ──▶ one log
//!                               └─ else ──▶ parts
//! shared  headers, key                        the same in each log of the record
//! tail    __client_ip__, __kafka_timestamp__  the same, the gateway's own
//! ```

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::json::{self, FIELDS_MAX, Quoted, Sink, Value};
use super::log::{Body, Fields, LOG_OVERHEAD_MAX, Log};
use super::mapping::{HeaderRule, KeyRule, Mapping, OversizeRule};
use super::name::{
    BASE64_SUFFIX, CLIENT_IP, CONTENT, KAFKA_KEY, KAFKA_KEY_BASE64, KAFKA_TIMESTAMP, PART, repair,
};
use super::parts::{Layout, PART_FIELD_BYTES_MAX, Slice, room_min};
use super::pieces::Pieces;
use super::time::{LogTime, log_time};
use super::wire::{self, put_pair};
use super::{BatchContext, Bounds, LogError, Piece};
use crate::records::{Header, Record};

/// The record header that asks for its value to be taken apart, and its value (the Log Service's own convention for its Kafka endpoint).
const PARSE_FORMAT_HEADER: &[u8] = b"data-parse-format";
const PARSE_FORMAT_JSON: &[u8] = b"json";

/// Capacity that working buffers keep from batch to batch; more only served an unusual record.
const SCRATCH_BYTES_MAX: usize = 1 << 20;

/// Encodes the records of one batch at a time; its buffers are reused.
#[derive(Default)]
pub struct Encoder {
    pieces: Pieces,
    fields: RecordFields,
    scratch: Scratch,
}

/// Text under way to the fields that hold it.
#[derive(Default)]
struct Scratch {
    name: String,
    repaired: String,
    value: String,
}

/// The fields of the record at hand.
#[derive(Default)]
struct RecordFields {
    /// Headers, then the key. A field of the value's own goes before one of the same name here.
    shared: Fields,
    /// Encoded fields of the gateway's own; their names are reserved, so none repeats.
    tail: Vec<u8>,
    /// The fields of the log at hand.
    own: Fields,
}

impl Encoder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one record; it may become several logs.
    ///
    /// All parts of one value come to stand in one piece, if they fit one with 60 bytes a part to spare; else in
    /// consecutive pieces. After an error the batch is to be given up with [`reset`](Self::reset).
    ///
    /// # Errors
    /// [`LogError::TooLarge`] for a record that must not be split by [`OversizeRule::Refuse`], or cannot be;
    /// [`LogError::BatchTooLarge`] when the batch's logs outgrow [`Bounds::expansion_bytes_max`].
    pub fn push(
        &mut self,
        context: &BatchContext<'_>,
        record: &Record<'_>,
    ) -> Result<(), LogError> {
        self.push_with_headers(context, record, record.headers)
    }

    /// Ends the batch and hands its pieces over, in order. Empty when nothing was pushed.
    pub fn finish(&mut self) -> Vec<Piece> {
        self.shrink();
        self.pieces.finish()
    }

    /// Logs of the batch so far.
    pub fn log_count(&self) -> u32 {
        self.pieces.log_count()
    }

    /// Forgets a batch that turned out bad.
    pub fn reset(&mut self) {
        self.shrink();
        self.pieces.reset();
    }

    /// Takes the buffer of a piece that is no longer needed, for a piece to come.
    pub fn recycle(&mut self, buffer: Vec<u8>) {
        self.pieces.recycle(buffer);
    }

    /// `headers` stands for the record's own.
    pub(super) fn push_with_headers<'h>(
        &mut self,
        context: &BatchContext<'_>,
        record: &Record<'_>,
        headers: impl Iterator<Item = Header<'h>> + Clone,
    ) -> Result<(), LogError> {
        let mapping = context.mapping;
        let (time, replaced) = log_time(record.timestamp_ms, context.now_ms, context.window);
        self.fields
            .put_tail(context.client_ip, replaced, &mut self.scratch.value);
        self.put_headers(context, headers.clone());

        let header_count = self.fields.shared.count();
        let names_field = named_field(mapping, record.key);
        let json = context.json_topic || headers.clone().any(asks_for_json);
        if json || names_field.is_none() {
            self.put_key(mapping, record.key);
        }

        let value = record.value.unwrap_or_default();
        if json && self.expand(context, time, value) {
            return Ok(());
        }
        if names_field.is_some() {
            self.fields.shared.truncate(header_count);
        }
        self.put_whole(context, time, names_field.unwrap_or(CONTENT), value)
    }

    fn put_headers<'h>(
        &mut self,
        context: &BatchContext<'_>,
        headers: impl Iterator<Item = Header<'h>>,
    ) {
        self.fields.shared.clear();
        if let HeaderRule::Prefix(prefix) = &context.mapping.headers {
            for header in headers.take(FIELDS_MAX) {
                self.put_header(prefix, header, context.bounds.name_bytes_max);
            }
            self.fields.shared.drop_repeated();
        }
    }

    fn put_header(&mut self, prefix: &str, header: Header<'_>, name_bytes_max: usize) {
        let Scratch {
            name,
            repaired,
            value,
        } = &mut self.scratch;
        name.clear();
        name.push_str(prefix);
        name.push_str(&String::from_utf8_lossy(header.name));
        let (value, suffix) = text_or_base64(header.value.unwrap_or_default(), value);
        let name = repair(name, suffix, name_bytes_max, repaired);
        self.fields.shared.push(name.as_bytes(), value);
    }

    fn put_key(&mut self, mapping: &Mapping, key: Option<&[u8]>) {
        let key = key.unwrap_or_default();
        if mapping.key == KeyRule::Drop || key.is_empty() || key == CONTENT.as_bytes() {
            return;
        }
        let (value, suffix) = text_or_base64(key, &mut self.scratch.value);
        let name = if suffix.is_empty() {
            KAFKA_KEY
        } else {
            KAFKA_KEY_BASE64
        };
        self.fields.shared.push(name.as_bytes(), value);
    }

    /// Takes a JSON value apart. False: nothing of it was kept, it is to stay whole.
    fn expand(&mut self, context: &BatchContext<'_>, time: LogTime, value: &[u8]) -> bool {
        let Ok(text) = simdutf8::basic::from_utf8(value) else {
            return false;
        };
        let mark = self.pieces.mark();
        let mut expansion = Expansion {
            pieces: &mut self.pieces,
            fields: &mut self.fields,
            scratch: &mut self.scratch,
            bounds: &context.bounds,
            time,
        };
        expansion.begin();
        let expanded = json::expand(text, context.mapping.arrays, &mut expansion).is_some();
        if !expanded {
            self.pieces.undo(mark);
        }
        expanded
    }

    /// Stores the value in one field.
    fn put_whole(
        &mut self,
        context: &BatchContext<'_>,
        time: LogTime,
        name: &str,
        value: &[u8],
    ) -> Result<(), LogError> {
        let Self {
            pieces,
            fields,
            scratch,
        } = self;
        let BatchContext {
            mapping, bounds, ..
        } = context;
        let max = bounds.log_bytes_max;
        let (value, suffix) = text_or_base64(value, &mut scratch.value);
        // Base64 ends in no newline: only text is trimmed.
        let value = if mapping.trim_newline {
            without_newline(value)
        } else {
            value
        };
        let name = repair(name, suffix, bounds.name_bytes_max, &mut scratch.repaired).as_bytes();
        fields.shared.remove(name);

        let log = fields.log(time, Body::One { name, value });
        let bytes = log.entry_len();
        if bytes <= max {
            return pieces.append(&log, bounds);
        }
        match mapping.oversize {
            OversizeRule::Refuse => Err(LogError::TooLarge { bytes, max }),
            OversizeRule::Truncate => fields.put_parts(pieces, time, (name, value), bounds, 1),
            OversizeRule::Split => fields.put_parts(pieces, time, (name, value), bounds, u32::MAX),
        }
    }

    fn shrink(&mut self) {
        self.fields.shared.shrink(SCRATCH_BYTES_MAX);
        self.fields.own.shrink(SCRATCH_BYTES_MAX);
        for text in [
            &mut self.scratch.name,
            &mut self.scratch.repaired,
            &mut self.scratch.value,
        ] {
            text.clear();
            text.shrink_to(SCRATCH_BYTES_MAX);
        }
    }
}

impl RecordFields {
    fn put_tail(
        &mut self,
        client_ip: Option<&str>,
        timestamp_ms: Option<i64>,
        digits: &mut String,
    ) {
        self.tail.clear();
        let mut put = |name: &str, value: &str| {
            let (name, value) = (name.as_bytes(), value.as_bytes());
            put_pair(&mut self.tail, wire::CONTENT, name, value);
        };
        if let Some(ip) = client_ip {
            put(CLIENT_IP, ip);
        }
        if let Some(ms) = timestamp_ms {
            digits.clear();
            // Writing to a string does not fail.
            let _ = write!(digits, "{ms}");
            put(KAFKA_TIMESTAMP, digits);
        }
    }

    fn log<'a>(&'a self, time: LogTime, body: Body<'a>) -> Log<'a> {
        Log {
            time,
            shared: self.shared.bytes(),
            body,
            tail: &self.tail,
        }
    }

    /// Lays `field` out over several logs and keeps the first `parts_max` of them; one that stands alone is not marked
    /// as a part. Headers and key are copied into each, unless they would take more than half of it: then they are laid
    /// out behind the field.
    fn put_parts(
        &mut self,
        pieces: &mut Pieces,
        time: LogTime,
        field: (&[u8], &[u8]),
        bounds: &Bounds,
        parts_max: u32,
    ) -> Result<(), LogError> {
        let Self { shared, tail, own } = self;
        let max = bounds.log_bytes_max;
        let added = LOG_OVERHEAD_MAX + tail.len() + PART_FIELD_BYTES_MAX;
        let copied = Some(shared.bytes()).filter(|copy| added + copy.len() <= max / 2);
        let laid_out = shared.iter().filter(|_| copied.is_none());
        let copied = copied.unwrap_or_default();

        let (added, least) = (added + copied.len(), room_min(bounds.name_bytes_max));
        if added + least > max {
            return Err(LogError::TooLarge {
                bytes: added + least,
                max,
            });
        }
        let layout = Layout::new(std::iter::once(field).chain(laid_out), max - added);
        let size = |(_, bytes), slice: Slice<'_>| (slice.part + 1, bytes + slice.bytes_max());
        let (count, bytes) = layout.clone().fold((0, 0), size);
        let kept = count.min(parts_max);
        if kept > 1 {
            pieces.keep_together(bytes + kept as usize * added, kept, bounds);
        }

        let mut slices = layout.peekable();
        for part in 0..kept {
            own.clear();
            while let Some(slice) = slices.next_if(|slice| slice.part == part) {
                own.push(slice.name, slice.value);
            }
            if kept > 1 {
                own.push(PART.as_bytes(), format!("{}/{count}", part + 1).as_bytes());
            }
            let body = Body::Encoded(own.bytes());
            pieces.append(
                &Log {
                    time,
                    shared: copied,
                    body,
                    tail,
                },
                bounds,
            )?;
        }
        Ok(())
    }
}

/// Writes the logs that a JSON value is taken apart into, object by object.
struct Expansion<'e> {
    pieces: &'e mut Pieces,
    fields: &'e mut RecordFields,
    scratch: &'e mut Scratch,
    bounds: &'e Bounds,
    time: LogTime,
}

impl Expansion<'_> {
    /// Starts a log with what all logs of the record have, so that the value's own fields come later and win.
    fn begin(&mut self) {
        self.fields.own.copy_from(&self.fields.shared);
    }
}

impl<'a> Sink<'a> for Expansion<'_> {
    fn member(&mut self, name: Quoted<'a>, value: Value<'a>) {
        let Scratch {
            name: plain,
            repaired,
            value: text,
        } = &mut *self.scratch;
        let name = repair(name.plain(plain), "", self.bounds.name_bytes_max, repaired);
        self.fields
            .own
            .push(name.as_bytes(), value.text(text).as_bytes());
    }

    fn end(&mut self) -> Option<()> {
        let RecordFields { own, tail, .. } = &mut *self.fields;
        own.drop_repeated();
        let body = Body::Encoded(own.bytes());
        let log = Log {
            time: self.time,
            shared: &[],
            body,
            tail,
        };
        self.pieces.append_expanded(&log, self.bounds)?;
        self.begin();
        Some(())
    }
}

/// The record key as the name of the value's field, where it can be one.
fn named_field<'a>(mapping: &Mapping, key: Option<&'a [u8]>) -> Option<&'a str> {
    let key = key.filter(|key| mapping.key == KeyRule::FieldName && !key.is_empty())?;
    simdutf8::basic::from_utf8(key).ok()
}

fn asks_for_json(header: Header<'_>) -> bool {
    header.name == PARSE_FORMAT_HEADER && header.value == Some(PARSE_FORMAT_JSON)
}

/// `bytes` where they are UTF-8, else their base64 in `scratch`, and what the field's name ends in then.
fn text_or_base64<'a>(bytes: &'a [u8], scratch: &'a mut String) -> (&'a [u8], &'static str) {
    // Most logs are ASCII, and that is found out several times faster.
    if bytes.is_ascii() || simdutf8::basic::from_utf8(bytes).is_ok() {
        return (bytes, "");
    }
    scratch.clear();
    STANDARD.encode_string(bytes, scratch);
    (scratch.as_bytes(), BASE64_SUFFIX)
}

fn without_newline(text: &[u8]) -> &[u8] {
    let line = text.strip_suffix(b"\n");
    line.map_or(text, |line| line.strip_suffix(b"\r").unwrap_or(line))
}
