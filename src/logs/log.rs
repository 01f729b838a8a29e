//! One log as it is about to be written, and the lists of fields that it is made of.

use super::time::LogTime;
use super::wire::{
    CONTENT, LOGS, TIME, TIME_NS, delimited_len, pair_len, put_header, put_pair, varint_len,
};

/// What a log adds to its fields at most: tag and length, time, nanoseconds.
pub(super) const LOG_OVERHEAD_MAX: usize = (1 + 5) + (1 + 5) + (1 + 4);

/// Bytes of `Time_ns` with its tag.
const TIME_NS_BYTES: usize = 1 + 4;

/// A log, borrowed from where its fields lie; they are written in the order of this struct.
pub(super) struct Log<'a> {
    pub time: LogTime,
    /// Encoded fields of the record that every log of it has.
    pub shared: &'a [u8],
    pub body: Body<'a>,
    /// Encoded fields that the gateway adds.
    pub tail: &'a [u8],
}

/// The fields that come from the value.
pub(super) enum Body<'a> {
    /// Name and value, both UTF-8.
    One {
        name: &'a [u8],
        value: &'a [u8],
    },
    Encoded(&'a [u8]),
}

impl Log<'_> {
    /// Bytes of this log as an entry of `LogGroup.Logs`, with tag and length.
    pub fn entry_len(&self) -> usize {
        delimited_len(self.message_len())
    }

    pub fn put(&self, out: &mut Vec<u8>) {
        put_header(out, LOGS, self.message_len());
        put_header(out, TIME, self.time.seconds as usize);
        out.extend_from_slice(self.shared);
        match self.body {
            Body::One { name, value } => put_pair(out, CONTENT, name, value),
            Body::Encoded(fields) => out.extend_from_slice(fields),
        }
        out.extend_from_slice(self.tail);
        if let Some(nanoseconds) = self.time.nanoseconds {
            out.push(TIME_NS);
            out.extend_from_slice(&nanoseconds.to_le_bytes());
        }
    }

    fn message_len(&self) -> usize {
        let body = match self.body {
            Body::One { name, value } => pair_len(name, value),
            Body::Encoded(fields) => fields.len(),
        };
        let time = 1 + varint_len(self.time.seconds as usize);
        let nanoseconds = self.time.nanoseconds.map_or(0, |_| TIME_NS_BYTES);
        time + self.shared.len() + body + self.tail.len() + nanoseconds
    }
}

/// Encoded fields, and where in them each one lies. The buffers are reused from log to log.
#[derive(Default)]
pub(super) struct Fields {
    bytes: Vec<u8>,
    spans: Vec<Span>,
    /// Indices of `spans`, sorted to find names that repeat.
    order: Vec<usize>,
}

/// One encoded field; the offsets of name and value count from its own start.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    name_at: usize,
    name_len: usize,
    value_at: usize,
    len: usize,
    dropped: bool,
}

impl Fields {
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
    }

    /// Gives memory back that only an unusual record needed.
    pub fn shrink(&mut self, bytes_max: usize) {
        self.clear();
        self.bytes.shrink_to(bytes_max);
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn count(&self) -> usize {
        self.spans.len()
    }

    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        let start = self.bytes.len();
        put_pair(&mut self.bytes, CONTENT, name, value);
        let len = self.bytes.len() - start;
        let value_at = len - value.len();
        self.spans.push(Span {
            start,
            name_at: len + 1 - delimited_len(value.len()) - name.len() - 1,
            name_len: name.len(),
            value_at,
            len,
            dropped: false,
        });
    }

    /// Becomes a copy of `other`.
    pub fn copy_from(&mut self, other: &Fields) {
        self.bytes.clone_from(&other.bytes);
        self.spans.clone_from(&other.spans);
    }

    /// Keeps the first `count` fields.
    pub fn truncate(&mut self, count: usize) {
        if let Some(span) = self.spans.get(count) {
            self.bytes.truncate(span.start);
            self.spans.truncate(count);
        }
    }

    /// Drops the first field of this name.
    pub fn remove(&mut self, name: &[u8]) {
        if let Some(at) = (0..self.spans.len()).find(|at| self.name(*at) == name) {
            self.spans[at].dropped = true;
            self.sweep();
        }
    }

    /// Of the fields with one name, keeps the last.
    pub fn drop_repeated(&mut self) {
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        order.extend(0..self.spans.len());
        order.sort_unstable_by(|a, b| self.name(*a).cmp(self.name(*b)).then(a.cmp(b)));
        let mut any = false;
        for pair in order.windows(2) {
            let repeated = self.name(pair[0]) == self.name(pair[1]);
            self.spans[pair[0]].dropped = repeated;
            any |= repeated;
        }
        self.order = order;
        if any {
            self.sweep();
        }
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        self.spans.iter().enumerate().map(|(at, span)| {
            let field = &self.bytes[span.start..span.start + span.len];
            (self.name(at), &field[span.value_at..])
        })
    }

    fn name(&self, at: usize) -> &[u8] {
        let span = &self.spans[at];
        &self.bytes[span.start + span.name_at..][..span.name_len]
    }

    fn sweep(&mut self) {
        let bytes = &mut self.bytes;
        let mut end = 0;
        self.spans.retain_mut(|span| {
            if span.dropped {
                return false;
            }
            bytes.copy_within(span.start..span.start + span.len, end);
            span.start = end;
            end += span.len;
            true
        });
        bytes.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        let mut fields = Fields::default();
        for (name, value) in pairs {
            fields.push(name.as_bytes(), value.as_bytes());
        }
        fields
    }

    #[test]
    fn of_fields_with_one_name_the_last_stays_in_its_place() {
        let mut repeated = fields(&[("a", "1"), ("b", "2"), ("a", "3"), ("c", ""), ("b", "4")]);
        repeated.drop_repeated();
        let kept = fields(&[("a", "3"), ("c", ""), ("b", "4")]);
        assert_eq!(repeated.bytes(), kept.bytes());
        assert!(repeated.iter().eq(kept.iter()));
    }

    #[test]
    fn a_field_is_removed_by_name() {
        let mut removed = fields(&[("a", "1"), ("b", "2"), ("c", "3")]);
        removed.remove(b"b");
        removed.remove(b"x");
        assert_eq!(removed.bytes(), fields(&[("a", "1"), ("c", "3")]).bytes());
    }

    #[test]
    fn names_and_values_are_found_again_at_every_length() {
        for len in [0, 1, 127, 128, 20_000] {
            let (name, value) = ("n".repeat(len), "v".repeat(len));
            let pairs = [(name.as_bytes(), value.as_bytes()), (b"x", b"y")];
            let fields = fields(&[(&name, &value), ("x", "y")]);
            assert!(fields.iter().eq(pairs));
        }
    }

    #[test]
    fn a_log_has_the_length_that_is_computed_for_it() {
        let shared = fields(&[("a", "1")]);
        for (seconds, nanoseconds) in [(0, None), (u32::MAX, Some(999_999_999))] {
            let log = Log {
                time: LogTime {
                    seconds,
                    nanoseconds,
                },
                shared: shared.bytes(),
                body: Body::One {
                    name: b"content",
                    value: b"hello",
                },
                tail: &[],
            };
            let mut out = Vec::new();
            log.put(&mut out);
            assert_eq!(out.len(), log.entry_len());
        }
    }
}
