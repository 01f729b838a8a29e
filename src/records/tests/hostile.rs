//! Any bytes: no panic, no loop without end, no memory past the limit; and whatever a foreign encoder writes comes back.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

const SMALL: Limits = Limits {
    decompressed_bytes_max: 16 << 10,
    records_max: 100,
};

/// Decodes and checks only what must hold for any bytes.
fn survive(blob: &[u8], produce_version: i16) {
    let mut decoder = Decoder::new();
    let (mut records, mut bytes) = (0, 0);
    let result = decoder.decode(blob, produce_version, &SMALL, |record| {
        records += 1;
        let headers: usize = record
            .headers
            .map(|h| h.name.len() + h.value.map_or(0, <[u8]>::len))
            .sum();
        bytes += record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len) + headers;
        Ok::<_, DecodeError>(())
    });
    assert!(records <= SMALL.records_max);
    assert!(bytes <= SMALL.decompressed_bytes_max);
    assert!(decoder.codecs.memory_bytes() <= SMALL.decompressed_bytes_max + 1);
    if let Ok(decoded) = result {
        assert_eq!(decoded.record_count, records);
        assert!((bytes..=SMALL.decompressed_bytes_max).contains(&decoded.bytes));
    }
    let _ = producer_batch(blob);
}

#[derive(Clone, Debug)]
enum Mutation {
    Set(Index, u8),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    Cut(Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let place = any::<Index>;
    prop_oneof![
        (
            place(),
            prop_oneof![any::<u8>(), Just(0), Just(0xff), Just(0x7f), Just(0x80)]
        )
            .prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (place(), 0..8_u8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        (place(), vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (place(), 1..8_usize).prop_map(|(at, bytes)| Mutation::Remove(at, bytes)),
        (place(), 1..40_usize).prop_map(|(at, bytes)| Mutation::Repeat(at, bytes)),
        place().prop_map(Mutation::Cut),
    ]
}

fn mutate(blob: &mut Vec<u8>, mutation: &Mutation) {
    if blob.is_empty() {
        return;
    }
    let len = blob.len();
    match mutation {
        Mutation::Set(at, byte) => blob[at.index(len)] = *byte,
        Mutation::Flip(at, bit) => blob[at.index(len)] ^= 1 << bit,
        Mutation::Insert(at, bytes) => {
            let at = at.index(len);
            blob.splice(at..at, bytes.iter().copied());
        }
        Mutation::Remove(at, bytes) => {
            let at = at.index(len);
            blob.drain(at..len.min(at + bytes));
        }
        Mutation::Repeat(at, bytes) => {
            let at = at.index(len);
            let piece = blob[at..len.min(at + bytes)].to_vec();
            blob.splice(at..at, piece);
        }
        Mutation::Cut(at) => blob.truncate(at.index(len)),
    }
}

/// Makes size and CRC right again, so that what lies behind them is reached.
fn sealed(blob: Vec<u8>) -> Vec<u8> {
    match blob.get(MAGIC_AT) {
        Some(2) if blob.len() >= 61 => seal(blob),
        Some(0 | 1) => seal_entry(blob),
        _ => blob,
    }
}

/// Sound sets of all formats and codecs to start from.
fn seeds() -> Vec<Vec<u8>> {
    let plain = batch(&some_records());
    let records = &plain[61..];
    let inner = [
        entry(1, 0, 1, None, Some(b"a")),
        entry(1, 0, 1, Some(b"k"), Some(&[b'b'; 300])),
    ]
    .concat();
    let mut seeds = captured::blobs();
    seeds.extend([
        with_records(&plain, 1, &gzip(records).repeat(2)),
        with_records(&plain, 2, &framed_snappy(records)),
        with_records(&plain, 4, &zstd(records).repeat(2)),
        wrapper(1, 1, &gzip(&inner).repeat(2)),
        wrapper(1, 2, &framed_snappy(&inner)),
        [inner.clone(), wrapper(1, 3, &lz4(&inner)), inner].concat(),
    ]);
    seeds
}

fn record() -> impl Strategy<Value = Owned> {
    let bytes = || option::of(vec(any::<u8>(), 0..300));
    let header = ("[a-z]{0,8}", option::of(vec(any::<u8>(), 0..40)));
    let headers = proptest::collection::btree_map(header.0, header.1, 0..4);
    (any::<i64>(), bytes(), bytes(), headers).prop_map(|(timestamp_ms, key, value, headers)| {
        Owned {
            timestamp_ms: timestamp_ms >> 2,
            key,
            value,
            headers: headers
                .into_iter()
                .map(|(name, value)| (name.into_bytes(), value))
                .collect(),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn any_bytes_are_survived(
        mut blob in vec(any::<u8>(), 0..200), magic in 0..4_u8, codec in 0..8_u8, version in -1..=NEWEST, seal in any::<bool>()
    ) {
        if blob.len() > 22 {
            blob[MAGIC_AT] = magic;
            let attributes_at = if magic == 2 { 22 } else { 17 };
            blob[attributes_at] = codec;
        }
        survive(&if seal { sealed(blob) } else { blob }, version);
    }

    #[test]
    fn any_damage_to_sound_sets_is_survived(
        seed in any::<Index>(), mutations in vec(mutation(), 1..6), version in 0..=NEWEST, seal in any::<bool>()
    ) {
        let mut blob = seed.get(&seeds()).clone();
        for mutation in &mutations {
            mutate(&mut blob, mutation);
        }
        survive(&if seal { sealed(blob) } else { blob }, version);
    }

    #[test]
    fn any_compressed_bytes_are_survived(
        codec in 1..=4_u8, content in vec(0..4_u8, 0..2_000), mutations in vec(mutation(), 1..6)
    ) {
        let mut data = match codec {
            1 => [gzip(&content), gzip(&content)].concat(),
            2 => framed_snappy(&content),
            3 => lz4(&content),
            _ => [zstd(&content), streamed_zstd(&content)].concat(),
        };
        for mutation in &mutations {
            mutate(&mut data, mutation);
        }
        survive(&with_records(&batch(&[owned(0, None, None)]), codec, &data), NEWEST);
        survive(&wrapper(0, codec, &data), 0);
    }
}

proptest! {
    #[test]
    fn whatever_a_foreign_encoder_writes_comes_back(records in vec(record(), 1..20), codec in 0..=5_u8) {
        let plain = batch(&records);
        let sent = &plain[61..];
        let blob = match codec {
            1 => with_records(&plain, 1, &gzip(sent)),
            2 => with_records(&plain, 2, &snappy(sent)),
            3 => with_records(&plain, 3, &lz4(sent)),
            4 => with_records(&plain, 4, &streamed_zstd(sent)),
            5 => with_records(&plain, 2, &framed_snappy(sent)),
            _ => plain.clone(),
        };
        prop_assert_eq!(decode(&blob, NEWEST), Ok(records));
    }

    #[test]
    fn every_message_set_comes_back(records in vec(record(), 1..20), magic in 0..=1_u8, codec in 0..=3_u8) {
        let mut expected = records;
        for record in &mut expected {
            record.headers.clear();
            if magic == 0 {
                record.timestamp_ms = -1;
            }
        }
        let entries: Vec<_> = expected
            .iter()
            .map(|record| entry(magic, 0, record.timestamp_ms, record.key.as_deref(), record.value.as_deref()))
            .collect();
        let set = entries.concat();
        let blob = match codec {
            1 => wrapper(magic, 1, &gzip(&set)),
            2 => wrapper(magic, 2, &framed_snappy(&set)),
            3 => wrapper(magic, 3, &lz4(&set)),
            _ => set,
        };
        prop_assert_eq!(decode(&blob, 2), Ok(expected));
    }
}
