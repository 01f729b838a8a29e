//! What decoding and mapping cost by themselves: a record set of each codec → LogGroup, on one thread with reused buffers;
//! then one record set → a LogGroup of each kind that a backend may want.
//!
//! `cargo bench --bench decode` prints CPU seconds per GiB of uncompressed record set and per million records. Contenders
//! run in turn within a round, so ratios within one run can be trusted even where absolute times cannot.

mod support;

use std::time::Duration;

use sluice::backend::embedded;
use sluice::logs::{
    BatchContext, Codec, Compression, DigestKind, Encoder, Envelope, GroupCloser, Mapping,
};
use sluice::records::{DecodeError, Decoder, Limits};

use support::{CODECS, batch, cpu_seconds};

const ROUNDS: usize = 7;
/// CPU time of one contender in one round: well above the clock's tick of 10 ms.
const SLOT: Duration = Duration::from_millis(400);

/// What a backend may want groups to be.
const BODIES: [(&str, Compression, Option<DigestKind>); 6] = [
    ("LZ4", Compression::Lz4, None),
    ("LZ4, MD5", Compression::Lz4, Some(DigestKind::Md5)),
    ("LZ4, SHA-256", Compression::Lz4, Some(DigestKind::Sha256)),
    ("zstd", Compression::Zstd, None),
    ("zstd, MD5", Compression::Zstd, Some(DigestKind::Md5)),
    ("zstd, SHA-256", Compression::Zstd, Some(DigestKind::Sha256)),
];

fn main() {
    compare_record_sets();
    compare_bodies();
}

fn compare_record_sets() {
    let sets: Vec<(String, Vec<u8>, usize, u64)> = CODECS
        .iter()
        .flat_map(|(name, codec)| [5_000_u64, 1].map(|count| (*name, *codec, count)))
        .map(|(name, codec, count)| {
            let (bytes, raw) = batch(count, codec);
            (format!("{name} × {count}"), bytes, raw, count)
        })
        .collect();
    let mut costs: Vec<(Vec<f64>, Vec<f64>)> = sets.iter().map(|_| Default::default()).collect();
    let mut work = Work::new(embedded::PROFILE.codec);
    for _ in 0..ROUNDS {
        for ((_, bytes, _, _), (decoding, whole)) in sets.iter().zip(&mut costs) {
            decoding.push(seconds_each(|| work.decode(bytes)));
            whole.push(seconds_each(|| _ = work.map_and_close(bytes)));
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

fn compare_bodies() {
    let (bytes, raw) = batch(5_000, 0);
    let mut works = BODIES.map(|(_, compression, digest)| {
        let codec = Codec {
            compression,
            digest,
        };
        (Work::new(codec), Vec::new())
    });
    for _ in 0..ROUNDS {
        for (work, costs) in &mut works {
            costs.push(seconds_each(|| _ = work.map_and_close(&bytes)));
        }
    }
    println!("none × 5000 → LogGroup, by its body    whole      body");
    for ((name, ..), (mut work, mut costs)) in BODIES.into_iter().zip(works) {
        let gib = median(&mut costs) / raw as f64 * (1_u64 << 30) as f64;
        let share = work.map_and_close(&bytes) as f64 / raw as f64 * 100.0;
        println!("{name:>34}  {gib:6.2} s/GiB {share:5.1} %");
    }
}

struct Work {
    decoder: Decoder,
    encoder: Encoder,
    closer: GroupCloser,
}

const LIMITS: Limits = Limits {
    decompressed_bytes_max: 64 << 20,
    records_max: 1_000_000,
};

impl Work {
    fn new(codec: Codec) -> Self {
        Self {
            decoder: Decoder::default(),
            encoder: Encoder::default(),
            closer: GroupCloser::new(codec),
        }
    }

    fn decode(&mut self, bytes: &[u8]) {
        let mut values = 0;
        let decoded = self.decoder.decode(bytes, 9, &LIMITS, |record| {
            values += record.value.map_or(0, <[u8]>::len);
            Ok::<(), DecodeError>(())
        });
        assert!(decoded.is_ok() && values > 0, "the set decodes");
    }

    /// Gives the bytes of the groups' bodies.
    fn map_and_close(&mut self, bytes: &[u8]) -> usize {
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
