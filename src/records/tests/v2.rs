//! Batches of magic 2: what is refused, and how.

use super::*;

fn fault(index: usize, at: usize, fault: RecordFault) -> DecodeError {
    DecodeError::Record { index, at, fault }
}

/// A batch of one record, whose bytes are these.
fn of_one_record(record: &[u8]) -> Vec<u8> {
    with_records(&batch(&[owned(0, None, None)]), 0, record)
}

#[test]
fn what_a_foreign_encoder_wrote_is_read() {
    assert_eq!(decode(&batch(&some_records()), NEWEST), Ok(some_records()));
}

#[test]
fn the_bytes_told_are_those_of_the_records() {
    let blob = batch(&some_records());
    let decoded = Decoder::new().decode(&blob, NEWEST, &LIMITS, |_| Ok::<_, DecodeError>(()));
    assert_eq!(
        decoded,
        Ok(Decoded {
            record_count: 3,
            bytes: blob.len() - 61
        })
    );
}

#[test]
fn the_format_goes_by_the_magic_and_not_by_the_produce_version() {
    for version in 0..=NEWEST {
        assert_eq!(decode(&batch(&some_records()), version), Ok(some_records()));
    }
}

#[test]
fn a_callers_error_ends_the_walk() {
    let mut seen = 0;
    let error = Decoder::new().decode(&batch(&some_records()), NEWEST, &LIMITS, |_| {
        seen += 1;
        Err(DecodeError::ControlBatch)
    });
    assert_eq!((error, seen), (Err(DecodeError::ControlBatch), 1));
}

#[test]
fn an_empty_set_is_invalid_since_v3_and_nothing_before() {
    for version in 3..=NEWEST {
        assert_eq!(decode(&[], version), Err(DecodeError::Empty));
        assert_eq!(refusal(&[], version), Refusal::Invalid);
    }
    for version in 0..3 {
        assert_eq!(decode(&[], version), Ok(vec![]));
    }
}

#[test]
fn a_cut_batch_is_invalid_since_v3_and_corrupt_before() {
    let whole = batch(&some_records());
    for bytes in 1..whole.len() {
        assert_eq!(refusal(&whole[..bytes], 3), Refusal::Invalid, "{bytes}");
        assert_eq!(refusal(&whole[..bytes], 2), Refusal::Corrupt, "{bytes}");
    }
}

#[test]
fn a_batch_length_below_a_headers_is_corrupt() {
    for length in [i32::MIN, -1, 0, 48] {
        let mut blob = batch(&some_records());
        blob[8..12].copy_from_slice(&length.to_be_bytes());
        let error = decode(&blob, NEWEST).unwrap_err();
        assert_eq!(
            error,
            DecodeError::EntrySize {
                at: 0,
                size: length,
                min: 49
            }
        );
        assert_eq!(error.refusal(), Refusal::Corrupt);
    }
}

#[test]
fn a_magic_above_2_is_corrupt() {
    let mut blob = batch(&some_records());
    blob[16] = 3;
    let error = decode(&blob, NEWEST).unwrap_err();
    assert_eq!(error, DecodeError::Magic { at: 0, magic: 3 });
    assert_eq!(error.refusal(), Refusal::Corrupt);
}

#[test]
fn a_second_batch_or_any_byte_more_is_invalid() {
    let one = batch(&some_records());
    for more in [&one[..], &one[..20], &[0]] {
        let blob = [&one[..], more].concat();
        let error = decode(&blob, NEWEST).unwrap_err();
        assert_eq!(error, DecodeError::SecondBatch { bytes: more.len() });
        assert_eq!(error.refusal(), Refusal::Invalid);
    }
}

#[test]
fn every_damaged_byte_that_the_crc_covers_is_noticed() {
    let blob = batch(&some_records());
    for at in 17..blob.len() {
        let mut damaged = blob.clone();
        damaged[at] ^= 0x10;
        let error = decode(&damaged, NEWEST).unwrap_err();
        assert!(matches!(
            error,
            DecodeError::Checksum {
                at: 0,
                record_index: None,
                ..
            }
        ));
        assert_eq!(error.refusal(), Refusal::Corrupt);
    }
}

#[test]
fn base_offset_leader_epoch_and_max_timestamp_are_ignored() {
    let blob = batch(&some_records());
    for at in [0, 35] {
        let blob = patched(&blob, at, 77_i64.to_be_bytes());
        assert_eq!(decode(&blob, NEWEST), Ok(some_records()));
    }
    let blob = patched(&blob, 12, 5_i32.to_be_bytes());
    assert_eq!(decode(&blob, NEWEST), Ok(some_records()));
}

#[test]
fn with_log_append_time_the_max_timestamp_is_that_of_all() {
    let blob = patched(&batch(&some_records()), 35, 77_i64.to_be_bytes());
    let records = decode(&patched(&blob, 22, [0b1000]), NEWEST).unwrap();
    assert!(records.iter().all(|record| record.timestamp_ms == 77));
}

#[test]
fn timestamps_wrap() {
    let blob = batch(&[owned(0, None, None), owned(1, None, None)]);
    let records = decode(&patched(&blob, 27, i64::MAX.to_be_bytes()), NEWEST).unwrap();
    let timestamps: Vec<_> = records.iter().map(|record| record.timestamp_ms).collect();
    assert_eq!(timestamps, [i64::MAX, i64::MIN]);
}

#[test]
fn a_count_that_is_not_the_last_offset_delta_and_one_is_invalid() {
    let blob = batch(&some_records());
    for (count, last_offset_delta) in [(0, -1), (-1, -2), (i32::MIN, i32::MAX), (3, 3), (2, 2)] {
        let blob = patched(&blob, 57, i32::to_be_bytes(count));
        let blob = patched(&blob, 23, i32::to_be_bytes(last_offset_delta));
        let error = decode(&blob, NEWEST).unwrap_err();
        assert_eq!(
            error,
            DecodeError::RecordCount {
                count,
                last_offset_delta
            }
        );
        assert_eq!(error.refusal(), Refusal::Invalid);
    }
}

fn with_count(batch: &[u8], count: i32) -> Vec<u8> {
    let blob = patched(batch, 57, count.to_be_bytes());
    patched(&blob, 23, (count - 1).to_be_bytes())
}

#[test]
fn more_records_counted_than_present_is_invalid() {
    let blob = batch(&some_records());
    let bytes = blob.len() - 61;
    assert_eq!(
        decode(&with_count(&blob, 4), NEWEST),
        Err(fault(3, bytes, RecordFault::Cut))
    );
    assert_eq!(
        decode(&with_count(&blob, 9_999), NEWEST),
        Err(DecodeError::TooFewBytes {
            count: 9_999,
            bytes
        })
    );
    for count in [4, 9_999, i32::MAX] {
        let blob = with_count(&blob, count);
        assert_eq!(refusal(&blob, NEWEST), Refusal::Invalid, "{count}");
    }
}

#[test]
fn a_huge_count_of_compressed_records_is_too_large_before_they_are_decompressed() {
    let mut blob = with_count(&batch(&some_records()), i32::MAX);
    // gzip, which these bytes are not.
    blob = patched(&blob, 22, [1]);
    let error = decode(&blob, NEWEST).unwrap_err();
    assert_eq!(error.refusal(), Refusal::TooLarge);
}

#[test]
fn bytes_after_the_last_record_are_invalid() {
    let blob = with_count(&batch(&some_records()), 2);
    let error = decode(&blob, NEWEST).unwrap_err();
    assert!(matches!(error, DecodeError::BytesAfterRecords { count: 2, bytes } if bytes > 0));
    assert_eq!(error.refusal(), Refusal::Invalid);
}

#[test]
fn more_records_than_allowed_are_too_large() {
    let limits = Limits {
        records_max: 2,
        ..LIMITS
    };
    let error = decode_within(
        &mut Decoder::new(),
        &batch(&some_records()),
        NEWEST,
        &limits,
    )
    .unwrap_err();
    assert_eq!(error, DecodeError::TooManyRecords { records_max: 2 });
    assert_eq!(error.refusal(), Refusal::TooLarge);
}

#[test]
fn more_bytes_than_allowed_are_too_large_without_a_codec_too() {
    let blob = batch(&some_records());
    let mut limits = Limits {
        decompressed_bytes_max: blob.len() - 61,
        ..LIMITS
    };
    assert!(decode_within(&mut Decoder::new(), &blob, NEWEST, &limits).is_ok());
    limits.decompressed_bytes_max -= 1;
    let error = decode_within(&mut Decoder::new(), &blob, NEWEST, &limits).unwrap_err();
    assert_eq!(error.refusal(), Refusal::TooLarge);
}

#[test]
fn control_batches_are_invalid_and_transactional_ones_not_allowed() {
    let blob = batch(&some_records());
    for (attributes, expected, refusal) in [
        (
            1 << 4,
            DecodeError::TransactionalBatch,
            Refusal::Transactional,
        ),
        (1 << 5, DecodeError::ControlBatch, Refusal::Invalid),
        (
            3 << 4,
            DecodeError::TransactionalBatch,
            Refusal::Transactional,
        ),
    ] {
        let error = decode(&patched(&blob, 22, [attributes]), NEWEST).unwrap_err();
        assert_eq!(error, expected);
        assert_eq!(error.refusal(), refusal);
    }
}

#[test]
fn a_producer_needs_a_sequence_and_no_producer_needs_none() {
    let blob = batch(&some_records());
    let with_producer = |id: i64, epoch: i16, sequence: i32| {
        let blob = patched(&blob, 43, id.to_be_bytes());
        patched(
            &patched(&blob, 51, epoch.to_be_bytes()),
            53,
            sequence.to_be_bytes(),
        )
    };
    for (epoch, sequence) in [(-1, -1), (0, 0), (5, 12), (i16::MIN, i32::MIN)] {
        let blob = with_producer(-1, epoch, sequence);
        assert_eq!(decode(&blob, NEWEST), Ok(some_records()));
        assert_eq!(producer_batch(&blob), None);
    }
    let error = decode(&with_producer(9, 0, -1), NEWEST).unwrap_err();
    let expected = DecodeError::BaseSequence {
        producer_id: 9,
        base_sequence: -1,
    };
    assert_eq!((error, error.refusal()), (expected, Refusal::Invalid));
    assert_eq!(producer_batch(&with_producer(9, 0, -1)), None);
    let sound = with_producer(9, 2, i32::MAX);
    assert_eq!(decode(&sound, NEWEST), Ok(some_records()));
    let expected = ProducerBatch {
        producer_id: 9,
        epoch: 2,
        first_sequence: i32::MAX,
        record_count: 3,
    };
    assert_eq!(producer_batch(&sound), Some(expected));
    for bytes in 0..sound.len() {
        assert_eq!(producer_batch(&sound[..bytes]), None);
    }
}

#[test]
fn codecs_5_to_7_are_unsupported() {
    for id in 5..=7 {
        let error =
            decode(&with_records(&batch(&some_records()), id, b"data"), NEWEST).unwrap_err();
        let expected = DecodeError::UnsupportedCodec {
            id,
            magic: 2,
            produce_version: NEWEST,
        };
        assert_eq!(
            (error, error.refusal()),
            (expected, Refusal::UnsupportedCompression)
        );
    }
}

#[test]
fn zstd_is_unsupported_before_v7() {
    let plain = batch(&some_records());
    let blob = with_records(&plain, 4, &zstd(&plain[61..]));
    for version in 0..7 {
        assert_eq!(refusal(&blob, version), Refusal::UnsupportedCompression);
    }
    for version in 7..=NEWEST {
        assert_eq!(decode(&blob, version), Ok(some_records()));
    }
}

#[test]
fn a_record_of_null_key_and_value_is_the_smallest() {
    let blob = of_one_record(&[12, 0, 0, 0, 1, 1, 0]);
    assert_eq!(decode(&blob, NEWEST), Ok(vec![owned(0, None, None)]));
}

#[test]
fn malformed_records_are_invalid_and_named() {
    let check = |record: &[u8], at: usize, expected: RecordFault| {
        let error = decode(&of_one_record(record), NEWEST).unwrap_err();
        assert_eq!(error, fault(0, at, expected), "{record:?}");
        assert_eq!(error.refusal(), Refusal::Invalid);
        assert_eq!(error.record_index(), Some(0));
    };
    // The record's length: negative, past the end, short by one, long by one.
    check(&[1, 0, 0, 0, 1, 1, 0], 0, RecordFault::NegativeLength);
    check(&[14, 0, 0, 0, 1, 1, 0], 0, RecordFault::Cut);
    check(&[10, 0, 0, 0, 1, 1, 0], 0, RecordFault::Cut);
    check(&[14, 0, 0, 0, 1, 1, 0, 0], 0, RecordFault::BytesAfterFields);
    // Varints of 6 and 11 bytes: the length, the offset delta, the timestamp delta.
    check(
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0, 0],
        0,
        RecordFault::Varint,
    );
    check(
        &[22, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 1, 1, 0],
        0,
        RecordFault::Varint,
    );
    let mut long = vec![32, 0];
    long.extend([0x80; 10]);
    long.extend([0, 0, 1, 1, 0]);
    check(&long, 0, RecordFault::Varint);
    // Key and value: length −2, longer than the record.
    check(&[12, 0, 0, 0, 3, 1, 0], 0, RecordFault::NegativeLength);
    check(&[12, 0, 0, 0, 1, 3, 0], 0, RecordFault::NegativeLength);
    check(&[12, 0, 0, 0, 20, 1, 0], 0, RecordFault::Cut);
    check(&[12, 0, 0, 0, 1, 20, 0], 0, RecordFault::Cut);
    // Headers: a count that is negative or not to be had, names and values of bad length.
    check(&[12, 0, 0, 0, 1, 1, 1], 0, RecordFault::NegativeLength);
    check(&[12, 0, 0, 0, 1, 1, 2], 0, RecordFault::HeaderCount);
    check(
        &[20, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f],
        0,
        RecordFault::HeaderCount,
    );
    check(
        &[16, 0, 0, 0, 1, 1, 2, 1, 1],
        0,
        RecordFault::NegativeLength,
    );
    check(
        &[16, 0, 0, 0, 1, 1, 2, 0, 3],
        0,
        RecordFault::NegativeLength,
    );
    check(&[16, 0, 0, 0, 1, 1, 2, 4, 1], 0, RecordFault::Cut);
    check(&[16, 0, 0, 0, 1, 1, 2, 0, 2], 0, RecordFault::Cut);
}

#[test]
fn the_guilty_record_is_named() {
    let mut blob = batch(&[owned(0, None, None), owned(0, None, None)]);
    assert_eq!(blob.len(), 61 + 14);
    blob[61 + 7 + 4] = 3;
    let error = decode(&seal(blob), NEWEST).unwrap_err();
    assert_eq!(error, fault(1, 7, RecordFault::NegativeLength));
    assert_eq!(error.record_index(), Some(1));
}

#[test]
fn header_names_may_repeat_be_empty_and_need_not_be_text() {
    let record = b"\x1e\0\0\0\x01\x01\x06\x02\xff\x01\x02\xff\0\0\x02v";
    let mut expected = owned(0, None, None);
    expected.headers = vec![
        (vec![0xff], None),
        (vec![0xff], Some(vec![])),
        (vec![], Some(b"v".to_vec())),
    ];
    assert_eq!(decode(&of_one_record(record), NEWEST), Ok(vec![expected]));
}

#[test]
fn headers_tell_how_many_are_left() {
    let mut lengths = Vec::new();
    let give = |record: Record<'_>| {
        lengths.push((record.headers.len(), record.headers.count()));
        Ok::<_, DecodeError>(())
    };
    Decoder::new()
        .decode(&batch(&some_records()), NEWEST, &LIMITS, give)
        .unwrap();
    assert_eq!(lengths, [(2, 2), (0, 0), (0, 0)]);
}
