//! Sets of magic 0 and 1: entries, and wrappers around compressed ones.

use super::{Case, named};
use crate::sets::{self, Entry, GZIP, LZ4, NONE, SNAPPY, compress, snappy_framed};

/// Each in magic 0 and 1.
fn both(cases: impl Fn(u8) -> Vec<Case>) -> Vec<Case> {
    let named = |magic| {
        let case = move |(case, set)| (format!("magic {magic} {case}"), set);
        cases(magic).into_iter().map(case)
    };
    [0, 1].into_iter().flat_map(named).collect()
}

pub fn entries() -> Vec<Case> {
    both(|magic| {
        let with = |change: fn(&mut Entry)| Entry::new(magic, b"one").with(change).bytes();
        let plain = || Entry::new(magic, b"one").bytes();
        let mut cut = plain();
        cut.truncate(cut.len() - 1);
        named(
            "entry",
            [
                ("a bad checksum", with(|entry| entry.crc = Some(1))),
                ("offset 7", with(|entry| entry.offset = 7)),
                ("offset -1", with(|entry| entry.offset = -1)),
                ("timestamp -1", with(|entry| entry.timestamp = -1)),
                ("timestamp -5", with(|entry| entry.timestamp = -5)),
                ("log append time", with(|entry| entry.attributes = 1 << 3)),
                ("unused attributes", with(|entry| entry.attributes = 0xf0)),
                ("null value", with(|entry| entry.value = None)),
                ("key length -2", with(|entry| entry.key_length = Some(-2))),
                (
                    "key length too great",
                    with(|entry| entry.key_length = Some(1_000)),
                ),
                (
                    "value length -2",
                    with(|entry| entry.value_length = Some(-2)),
                ),
                (
                    "value length too great",
                    with(|entry| entry.value_length = Some(1_000)),
                ),
                (
                    "value length too small",
                    with(|entry| entry.value_length = Some(1)),
                ),
                ("size 13", with(|entry| entry.size = Some(13))),
                ("size 0", with(|entry| entry.size = Some(0))),
                ("size -1", with(|entry| entry.size = Some(-1))),
                ("size huge", with(|entry| entry.size = Some(i32::MAX))),
                ("two", [plain(), plain()].concat()),
                (
                    "the second of another magic",
                    [plain(), Entry::new(1 - magic, b"two").bytes()].concat(),
                ),
                ("a batch behind", [plain(), sets::set(2, NONE)].concat()),
                (
                    "the second with a bad checksum",
                    [plain(), with(|entry| entry.crc = Some(1))].concat(),
                ),
                ("cut", cut.clone()),
                ("the second cut", [plain(), cut].concat()),
                ("four bytes behind", [plain(), b"more".to_vec()].concat()),
                ("eleven bytes", plain()[..11].to_vec()),
            ],
        )
    })
}

pub fn wrappers() -> Vec<Case> {
    both(|magic| {
        let entry = |value: &[u8]| Entry::new(magic, value);
        let wrapper = |inner: &[u8]| Entry::wrapper(magic, GZIP, inner);
        let good = || wrapper(&entry(b"one").bytes());
        let pair = || {
            [
                entry(b"one").bytes(),
                entry(b"two").with(|entry| entry.offset = 1).bytes(),
            ]
            .concat()
        };
        let bad = entry(b"one").with(|entry| entry.crc = Some(1)).bytes();
        let inner = entry(b"one").bytes();
        let codec = |codec| Entry::wrapper(magic, codec, &inner).bytes();
        let mut checksum = compress(LZ4, &inner);
        checksum[6] ^= 0xff;
        named(
            "wrapper",
            [
                ("offset 0 of two", wrapper(&pair()).bytes()),
                (
                    "offset 9 of two",
                    wrapper(&pair()).with(|wrapper| wrapper.offset = 9).bytes(),
                ),
                (
                    "null value",
                    good().with(|wrapper| wrapper.value = None).bytes(),
                ),
                (
                    "empty value",
                    good()
                        .with(|wrapper| wrapper.value = Some(Vec::new()))
                        .bytes(),
                ),
                ("of nothing", wrapper(b"").bytes()),
                ("of a wrapper", wrapper(&good().bytes()).bytes()),
                (
                    "of another magic",
                    wrapper(&Entry::new(1 - magic, b"one").bytes()).bytes(),
                ),
                ("of a batch", wrapper(&sets::set(2, NONE)).bytes()),
                ("of a bad checksum", wrapper(&bad).bytes()),
                ("of a cut entry", wrapper(&inner[..inner.len() - 1]).bytes()),
                (
                    "of an entry and a cut one",
                    wrapper(&[&inner[..], &inner[..20]].concat()).bytes(),
                ),
                (
                    "a bad checksum",
                    good().with(|wrapper| wrapper.crc = Some(1)).bytes(),
                ),
                (
                    "log append time",
                    good().with(|wrapper| wrapper.attributes |= 1 << 3).bytes(),
                ),
                ("two", [good().bytes(), good().bytes()].concat()),
                ("behind an entry", [inner.clone(), good().bytes()].concat()),
                ("before an entry", [good().bytes(), inner.clone()].concat()),
                ("codec 5", codec(5)),
                ("codec 7", codec(7)),
                (
                    "no gzip at all",
                    good()
                        .with(|wrapper| wrapper.value = Some(b"no gzip".to_vec()))
                        .bytes(),
                ),
                (
                    "snappy framed",
                    entry(&snappy_framed(&inner))
                        .with(|entry| entry.attributes = SNAPPY)
                        .bytes(),
                ),
                (
                    "lz4 with a wrong header checksum",
                    entry(&checksum)
                        .with(|entry| entry.attributes = LZ4)
                        .bytes(),
                ),
            ],
        )
    })
}
