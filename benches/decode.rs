//! What decoding and mapping cost by themselves: a record set of each codec → LogGroup, on one thread with reused buffers.
//!
//! `cargo bench --bench decode` prints CPU seconds per GiB of uncompressed record set and per million records. Contenders
//! run in turn within a round, so ratios within one run can be trusted even where absolute times cannot.

mod support;

use std::time::Duration;

use sluice::backend::embedded;
use sluice::logs::{BatchContext, Encoder, Envelope, GroupCloser, Mapping};
use sluice::records::{DecodeError, Decoder, Limits};

use support::{CODECS, batch, cpu_seconds};

const ROUNDS: usize = 7;
/// CPU time of one contender in one round: well above the clock's tick of 10 ms.
const SLOT: Duration = Duration::from_millis(400);

fn main() {
    let sets: Vec<(String, Vec<u8>, usize, u64)> = CODECS
        .iter()
        .flat_map(|(name, codec)| [5_000_u64, 1].map(|count| (*name, *codec, count)))
        .map(|(name, codec, count)| {
            let (bytes, raw) = batch(count, codec);
            (format!("{name} × {count}"), bytes, raw, count)
        })
        .collect();
    let mut costs: Vec<(Vec<f64>, Vec<f64>)> = sets.iter().map(|_| Default::default()).collect();
    let mut work = Work::default();
    for _ in 0..ROUNDS {
        for ((_, bytes, _, _), (decoding, whole)) in sets.iter().zip(&mut costs) {
            decoding.push(seconds_each(|| work.decode(bytes)));
            whole.push(seconds_each(|| work.map_and_close(bytes)));
        }
    }
    println!("median of {ROUNDS} rounds        decode only         → LZ4 LogGroup");
    for ((name, _, raw, count), (mut decoding, mut whole)) in sets.into_iter().zip(costs) {
        let gib = |seconds: f64| seconds / raw as f64 * (1_u64 << 30) as f64;
        let million = |seconds: f64| seconds / count as f64 * 1e6;
        let (decoding, whole) = (median(&mut decoding), median(&mut whole));
        println!(
            "{name:>14}  {:6.2} s/GiB {:6.2} s/M   {:6.2} s/GiB {:6.2} s/M records",
            gib(decoding),
            million(decoding),
            gib(whole),
            million(whole)
        );
    }
}

struct Work {
    decoder: Decoder,
    encoder: Encoder,
    closer: GroupCloser,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            decoder: Decoder::default(),
            encoder: Encoder::default(),
            closer: GroupCloser::new(embedded::PROFILE.codec),
        }
    }
}

const LIMITS: Limits = Limits {
    decompressed_bytes_max: 64 << 20,
    records_max: 1_000_000,
};

impl Work {
    fn decode(&mut self, bytes: &[u8]) {
        let mut values = 0;
        let decoded = self.decoder.decode(bytes, 9, &LIMITS, |record| {
            values += record.value.map_or(0, <[u8]>::len);
            Ok::<(), DecodeError>(())
        });
        assert!(decoded.is_ok() && values > 0, "the set decodes");
    }

    fn map_and_close(&mut self, bytes: &[u8]) {
        let mapping = Mapping::default();
        let context = BatchContext {
            mapping: &mapping,
            window: embedded::PROFILE.window,
            bounds: embedded::PROFILE.bounds,
            now_ms: 1_767_225_700_000,
            json_topic: false,
            client_ip: None,
        };
        let encoder = &mut self.encoder;
        let decoded = self.decoder.decode(bytes, 9, &LIMITS, |record| {
            encoder.push(&context, &record).expect("small logs");
            Ok::<(), DecodeError>(())
        });
        assert!(decoded.is_ok(), "the set decodes");
        for piece in encoder.finish() {
            let group = self.closer.close(vec![piece], &Envelope::default());
            assert!(group.log_count > 0, "a group holds logs");
            let buffer = self.closer.take_buffer();
            encoder.recycle(buffer);
        }
    }
}

/// CPU seconds of one call, over a slot.
fn seconds_each(mut call: impl FnMut()) -> f64 {
    let start = cpu_seconds();
    let mut calls = 0_u32;
    loop {
        for _ in 0..16 {
            call();
        }
        calls += 16;
        let used = cpu_seconds() - start;
        if used >= SLOT.as_secs_f64() {
            return used / f64::from(calls);
        }
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
