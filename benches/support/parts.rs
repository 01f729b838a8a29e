//! The work on a record set by itself: decoding, mapping and closing groups, on one thread with reused buffers.

use std::fs;
use std::time::Duration;

use sluice::backend::Profile;
use sluice::logs::{BatchContext, Encoder, Envelope, GroupCloser, Mapping};
use sluice::records::{DecodeError, Decoder, Limits};

use super::support::now_ms;

pub const LIMITS: Limits = Limits {
    decompressed_bytes_max: 64 << 20,
    records_max: 1_000_000,
};

/// What one thread of the gateway keeps from batch to batch.
pub struct Work {
    profile: Profile,
    /// What stands in each log, where the profile wants it there.
    client_ip: Option<&'static str>,
    decoder: Decoder,
    encoder: Encoder,
    closer: GroupCloser,
}

impl Work {
    /// As a backend of this profile wants it.
    pub fn new(profile: Profile, client_ip: Option<&'static str>) -> Self {
        Self {
            profile,
            client_ip,
            decoder: Decoder::default(),
            encoder: Encoder::default(),
            closer: GroupCloser::new(profile.codec),
        }
    }

    /// A record set → LogGroups; gives the bytes of their bodies.
    pub fn map_and_close(&mut self, bytes: &[u8]) -> usize {
        let mapping = Mapping::default();
        let context = BatchContext {
            mapping: &mapping,
            window: self.profile.window,
            bounds: self.profile.bounds,
            now_ms: now_ms(),
            json_topic: false,
            client_ip: self.client_ip,
        };
        let encoder = &mut self.encoder;
        let decoded = self.decoder.decode(bytes, 9, &LIMITS, |record| {
            encoder.push(&context, &record).expect("small logs");
            Ok::<(), DecodeError>(())
        });
        assert!(decoded.is_ok(), "the set decodes");
        let mut body_bytes = 0;
        for piece in encoder.finish() {
            let group = self.closer.close(vec![piece], &Envelope::default());
            body_bytes += group.body.len();
            let buffer = self.closer.take_buffer();
            encoder.recycle(buffer);
        }
        assert!(body_bytes > 0, "groups have bodies");
        body_bytes
    }
}

/// CPU seconds of one call, over a slot of at least so much CPU time. The clock is looked at more and more rarely.
pub fn seconds_each(slot: Duration, mut call: impl FnMut()) -> f64 {
    let start = thread_seconds();
    let mut calls = 0_u32;
    loop {
        let more = calls + 1;
        for _ in 0..more {
            call();
        }
        calls += more;
        let used = thread_seconds() - start;
        if used >= slot.as_secs_f64() {
            return used / f64::from(calls);
        }
    }
}

/// CPU seconds of this thread so far.
pub fn thread_seconds() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells");
    let nanoseconds = text.split(' ').next().and_then(|text| text.parse().ok());
    nanoseconds.map_or(0.0, |nanoseconds: u64| nanoseconds as f64 / 1e9)
}
