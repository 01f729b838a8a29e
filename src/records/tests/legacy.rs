//! Message sets of magic 0 and 1: what is accepted, what is refused, and how.

use super::*;

fn plain(magic: u8, value: &str) -> Vec<u8> {
    entry(magic, 0, 5_000, None, Some(value.as_bytes()))
}

/// What [`plain`] is read as.
fn read(magic: u8, value: &str) -> Owned {
    let timestamp_ms = match magic {
        0 => -1,
        _ => 5_000,
    };
    owned(timestamp_ms, None, Some(value))
}

#[test]
fn plain_entries_and_wrappers_may_follow_each_other() {
    for magic in [0, 1] {
        let inner = [plain(magic, "b"), plain(magic, "c")].concat();
        let blob = [
            plain(magic, "a"),
            wrapper(magic, 1, &gzip(&inner)),
            plain(magic, "d"),
            wrapper(magic, 2, &framed_snappy(&inner)),
            wrapper(magic, 2, &snappy(&inner)),
            wrapper(magic, 3, &lz4(&inner)),
        ]
        .concat();
        let values = ["a", "b", "c", "d", "b", "c", "b", "c", "b", "c"];
        let expected: Vec<_> = values.iter().map(|value| read(magic, value)).collect();
        for version in [0, 2, 3, NEWEST] {
            assert_eq!(decode(&blob, version).as_ref(), Ok(&expected));
        }
    }
}

#[test]
fn keys_and_values_may_be_null_or_empty() {
    let blob = [
        entry(1, 0, -1, Some(b"k"), None),
        entry(1, 0, i64::MIN, Some(b""), Some(b"")),
        entry(1, 0, 9, None, None),
    ]
    .concat();
    let expected = vec![
        owned(-1, Some("k"), None),
        owned(i64::MIN, Some(""), Some("")),
        owned(9, None, None),
    ];
    assert_eq!(decode(&blob, 2), Ok(expected));
}

#[test]
fn the_bytes_told_are_those_of_the_entries_decompressed() {
    let (first, second) = (plain(1, "a"), plain(1, &"b".repeat(500)));
    let blob = [first.clone(), wrapper(1, 1, &gzip(&second))].concat();
    let decoded = Decoder::new().decode(&blob, 2, &LIMITS, |_| Ok::<_, DecodeError>(()));
    let bytes = first.len() + second.len();
    assert_eq!(
        decoded,
        Ok(Decoded {
            record_count: 2,
            bytes
        })
    );
}

#[test]
fn two_gzip_members_of_equal_size_are_both_read() {
    for magic in [0, 1] {
        let members = ["first", "other"].map(|value| gzip(&plain(magic, value)));
        assert_eq!(members[0].len(), members[1].len());
        let blob = wrapper(magic, 1, &members.concat());
        let expected = vec![read(magic, "first"), read(magic, "other")];
        assert_eq!(decode(&blob, 2), Ok(expected));
    }
}

#[test]
fn a_gzip_member_may_end_within_an_entry() {
    let set = [plain(1, "a"), plain(1, "b")].concat();
    let members = [gzip(&set[..20]), gzip(b""), gzip(&set[20..])].concat();
    let expected = vec![read(1, "a"), read(1, "b")];
    assert_eq!(decode(&wrapper(1, 1, &members), 2), Ok(expected));
}

#[test]
fn with_log_append_time_a_wrappers_timestamp_is_that_of_all() {
    let inner = [plain(1, "a"), plain(1, "b")].concat();
    let blob = entry(1, 0b1001, 7_000, None, Some(&gzip(&inner)));
    let expected = vec![owned(7_000, None, Some("a")), owned(7_000, None, Some("b"))];
    assert_eq!(decode(&blob, 2), Ok(expected));
    let alone = entry(1, 0b1000, 5_000, None, Some(b"a"));
    assert_eq!(decode(&alone, 2), Ok(vec![read(1, "a")]));
}

#[test]
fn offsets_are_ignored() {
    let with_offset = |mut entry: Vec<u8>, offset: i64| {
        entry[..8].copy_from_slice(&offset.to_be_bytes());
        entry
    };
    let inner = [
        with_offset(plain(1, "a"), 7),
        with_offset(plain(1, "b"), -3),
    ]
    .concat();
    let blob = with_offset(wrapper(1, 1, &gzip(&inner)), 2);
    assert_eq!(decode(&blob, 2), Ok(vec![read(1, "a"), read(1, "b")]));
}

#[test]
fn a_trailing_partial_entry_is_ignored_before_v3_and_invalid_since() {
    for magic in [0, 1] {
        let (whole, more) = (plain(magic, "a"), plain(magic, "b"));
        for bytes in 1..more.len() {
            let blob = [&whole[..], &more[..bytes]].concat();
            assert_eq!(decode(&blob, 2), Ok(vec![read(magic, "a")]), "{bytes}");
            let error = decode(&blob, 3).unwrap_err();
            assert!(
                matches!(error, DecodeError::CutEntry { at, left, .. } if (at, left) == (whole.len(), bytes))
            );
            assert_eq!(error.refusal(), Refusal::Invalid);
        }
    }
}

#[test]
fn a_set_of_one_partial_entry_is_corrupt_before_v3_and_invalid_since() {
    for magic in [0, 1] {
        let whole = plain(magic, "a");
        for bytes in 1..whole.len() {
            assert_eq!(refusal(&whole[..bytes], 0), Refusal::Corrupt, "{bytes}");
            assert_eq!(refusal(&whole[..bytes], 3), Refusal::Invalid, "{bytes}");
        }
    }
}

#[test]
fn a_size_below_the_smallest_entrys_is_corrupt() {
    let check = |blob: &[u8], expected: DecodeError| {
        for version in [0, NEWEST] {
            assert_eq!(decode(blob, version), Err(expected));
        }
        assert_eq!(expected.refusal(), Refusal::Corrupt);
    };
    for size in [i32::MIN, -1, 0, 13] {
        let mut blob = plain(0, "a");
        blob[8..12].copy_from_slice(&size.to_be_bytes());
        check(
            &blob,
            DecodeError::EntrySize {
                at: 0,
                size,
                min: 14,
            },
        );
        check(
            &blob[..12],
            DecodeError::EntrySize {
                at: 0,
                size,
                min: 14,
            },
        );
    }
    let short = seal_entry(plain(1, "a")[..12 + 21].to_vec());
    check(
        &short,
        DecodeError::EntrySize {
            at: 0,
            size: 21,
            min: 22,
        },
    );
}

#[test]
fn a_magic_that_changes_is_invalid_and_an_unknown_one_corrupt() {
    let with_second = |second: Vec<u8>| decode(&[plain(0, "a"), second].concat(), 2).unwrap_err();
    let at = plain(0, "a").len();
    let first = 0;
    assert_eq!(
        with_second(plain(1, "b")),
        DecodeError::MixedMagic {
            at,
            magic: 1,
            first
        }
    );
    assert_eq!(
        with_second(batch(&some_records())),
        DecodeError::MixedMagic {
            at,
            magic: 2,
            first
        }
    );
    let error = with_second(plain(9, "b"));
    assert_eq!(error, DecodeError::Magic { at, magic: 9 });
    assert_eq!(error.refusal(), Refusal::Corrupt);
    assert_eq!(
        DecodeError::MixedMagic {
            at,
            magic: 1,
            first
        }
        .refusal(),
        Refusal::Invalid
    );
}

#[test]
fn every_damaged_byte_that_the_crc_covers_is_noticed() {
    for magic in [0, 1] {
        let good = plain(magic, "good");
        let damaged_at = |at: usize| {
            let mut bad = plain(magic, "a value");
            bad[at] ^= 0x10;
            bad
        };
        for at in (12..good.len()).filter(|&at| at != MAGIC_AT) {
            let blob = [good.clone(), damaged_at(at)].concat();
            let error = decode(&blob, 2).unwrap_err();
            assert!(matches!(
                error,
                DecodeError::Checksum {
                    record_index: Some(1),
                    ..
                }
            ));
            assert_eq!(error.refusal(), Refusal::Corrupt);

            let inner = [good.clone(), good.clone(), damaged_at(at)].concat();
            let error = decode(&wrapper(magic, 1, &gzip(&inner)), 2).unwrap_err();
            assert!(matches!(
                error,
                DecodeError::Checksum {
                    record_index: Some(2),
                    ..
                }
            ));
            assert_eq!(error.refusal(), Refusal::Corrupt);
        }
    }
}

#[test]
fn codecs_4_to_7_are_unsupported_in_a_wrapper() {
    for magic in [0, 1] {
        for id in 4..=7 {
            let blob = wrapper(magic, id, &zstd(&plain(magic, "a")));
            for produce_version in [0, 7, NEWEST] {
                let error = decode(&blob, produce_version).unwrap_err();
                let expected = DecodeError::UnsupportedCodec {
                    id,
                    magic,
                    produce_version,
                };
                assert_eq!(
                    (error, error.refusal()),
                    (expected, Refusal::UnsupportedCompression)
                );
            }
        }
    }
}

#[test]
fn a_wrapper_without_records_is_invalid() {
    for magic in [0, 1] {
        let null = entry(magic, 1, 0, None, None);
        assert_eq!(
            decode(&null, 2),
            Err(DecodeError::WrapperWithoutValue { at: 0 })
        );
        assert_eq!(refusal(&null, 2), Refusal::Invalid);
        let empty = wrapper(magic, 1, &gzip(b""));
        assert_eq!(decode(&empty, 2), Err(DecodeError::EmptyWrapper { at: 0 }));
        assert_eq!(refusal(&empty, 2), Refusal::Invalid);
        let header_only = wrapper(magic, 2, b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01");
        assert_eq!(refusal(&header_only, 2), Refusal::Invalid);
    }
}

#[test]
fn inner_entries_are_whole_whatever_the_version() {
    let inner = [plain(1, "a"), plain(1, "b")[..20].to_vec()].concat();
    let blob = wrapper(1, 1, &gzip(&inner));
    assert_eq!(refusal(&blob, 0), Refusal::Invalid);
}

#[test]
fn an_inner_entry_of_another_magic_is_invalid() {
    for other in [0, 2, 9] {
        let error = decode(&wrapper(1, 1, &gzip(&plain(other, "a"))), 2).unwrap_err();
        let expected = DecodeError::MixedMagic {
            at: 0,
            magic: other,
            first: 1,
        };
        assert_eq!((error, error.refusal()), (expected, Refusal::Invalid));
    }
}

#[test]
fn a_wrapper_in_a_wrapper_is_invalid() {
    let inner = [plain(1, "a"), wrapper(1, 1, &gzip(&plain(1, "b")))].concat();
    let error = decode(&wrapper(1, 1, &gzip(&inner)), 2).unwrap_err();
    assert_eq!(error, DecodeError::NestedCompression { index: 1 });
    assert_eq!(
        (error.refusal(), error.record_index()),
        (Refusal::Invalid, Some(1))
    );
}

#[test]
fn bad_lengths_inside_an_entry_are_invalid() {
    let check = |key_length: i32, value_length: i32, fault: RecordFault| {
        let mut bad = entry(0, 0, 0, Some(b"k"), Some(b"v"));
        bad[18..22].copy_from_slice(&key_length.to_be_bytes());
        bad[23..27].copy_from_slice(&value_length.to_be_bytes());
        let error = decode(&seal_entry(bad), 2).unwrap_err();
        assert!(
            matches!(error, DecodeError::Record { index: 0, fault: found, .. } if found == fault)
        );
        assert_eq!(error.refusal(), Refusal::Invalid);
    };
    check(-2, 1, RecordFault::NegativeLength);
    check(1, -2, RecordFault::NegativeLength);
    check(i32::MAX, 1, RecordFault::Cut);
    check(1, 2, RecordFault::Cut);
    check(1, 0, RecordFault::BytesAfterFields);
    check(1, -1, RecordFault::BytesAfterFields);
}

#[test]
fn the_limits_hold_for_the_whole_set() {
    let (a, inner) = (plain(1, "a"), [plain(1, "b"), plain(1, "c")].concat());
    let blob = [
        a.clone(),
        wrapper(1, 1, &gzip(&inner)),
        wrapper(1, 3, &lz4(&inner)),
    ]
    .concat();
    let bytes = a.len() + 2 * inner.len();
    let within = |decompressed_bytes_max, records_max| {
        let limits = Limits {
            decompressed_bytes_max,
            records_max,
        };
        decode_within(&mut Decoder::new(), &blob, 2, &limits).map(|records| records.len())
    };
    assert_eq!(within(bytes, 5), Ok(5));
    for bytes_max in 0..bytes {
        assert_eq!(
            within(bytes_max, 5),
            Err(DecodeError::TooManyBytes { bytes_max })
        );
    }
    for records_max in 0..5 {
        assert_eq!(
            within(bytes, records_max),
            Err(DecodeError::TooManyRecords { records_max })
        );
    }
}
