//! What decoding and mapping cost by themselves: a record set of each codec → LogGroup, on one thread with reused buffers;
//! then one record set → a LogGroup of each kind that a backend may want.
//!
//! `cargo bench --bench decode` prints CPU seconds per GiB of uncompressed record set and per million records. Contenders
//! run in turn within a round, so ratios within one run can be trusted even where absolute times cannot.

#[path = "support/parts.rs"]
mod parts;
mod support;

use std::time::Duration;

use sluice::backend::{Profile, embedded};
use sluice::logs::{Codec, Compression, DigestKind};
use sluice::records::{DecodeError, Decoder};

use parts::{LIMITS, Work, seconds_each};
use support::{CODECS, batch};

const ROUNDS: usize = 7;
/// CPU time of one contender in one round.
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
    let mut decoder = Decoder::default();
    let mut work = work(embedded::PROFILE.codec);
    for _ in 0..ROUNDS {
        for ((_, bytes, _, _), (decoding, whole)) in sets.iter().zip(&mut costs) {
            decoding.push(seconds_each(SLOT, || decode(&mut decoder, bytes)));
            whole.push(seconds_each(SLOT, || _ = work.map_and_close(bytes)));
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
        (work(codec), Vec::new())
    });
    for _ in 0..ROUNDS {
        for (work, costs) in &mut works {
            costs.push(seconds_each(SLOT, || _ = work.map_and_close(&bytes)));
        }
    }
    println!("none × 5000 → LogGroup, by its body    whole      body");
    for ((name, ..), (mut work, mut costs)) in BODIES.into_iter().zip(works) {
        let gib = median(&mut costs) / raw as f64 * (1_u64 << 30) as f64;
        let share = work.map_and_close(&bytes) as f64 / raw as f64 * 100.0;
        println!("{name:>34}  {gib:6.2} s/GiB {share:5.1} %");
    }
}

fn decode(decoder: &mut Decoder, bytes: &[u8]) {
    let mut values = 0;
    let decoded = decoder.decode(bytes, 9, &LIMITS, |record| {
        values += record.value.map_or(0, <[u8]>::len);
        Ok::<(), DecodeError>(())
    });
    assert!(decoded.is_ok() && values > 0, "the set decodes");
}

fn work(codec: Codec) -> Work {
    let profile = Profile {
        codec,
        ..embedded::PROFILE
    };
    Work::new(profile, None)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
