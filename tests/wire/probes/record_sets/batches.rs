//! Sets of magic 2: the header of the batch, and its records.

use super::{Case, named};
use crate::sets::{self, Batch, NONE, Record, TIMESTAMP_MS, varint};

/// Headers of batches.
pub fn batches() -> Vec<Case> {
    let with = |change: fn(&mut Batch)| Batch::new(&["one", "two"]).with(change).bytes();
    let plain = || Batch::new(&["one"]).bytes();
    let mut cut = plain();
    cut.truncate(cut.len() - 1);
    named(
        "batch",
        [
            ("a bad checksum", with(|batch| batch.crc = Some(1))),
            ("magic 3", with(|batch| batch.magic = 3)),
            ("magic -1", with(|batch| batch.magic = 0xff)),
            ("base offset 7", with(|batch| batch.base_offset = 7)),
            ("base offset -1", with(|batch| batch.base_offset = -1)),
            ("leader epoch 5", with(|batch| batch.leader_epoch = 5)),
            ("unused attributes", with(|batch| batch.attributes = 0x7f00)),
            ("delete horizon", with(|batch| batch.attributes = 1 << 6)),
            ("log append time", with(|batch| batch.attributes = 1 << 3)),
            ("transactional", with(|batch| batch.attributes = 1 << 4)),
            ("control", with(|batch| batch.attributes = 1 << 5)),
            (
                "control and transactional",
                with(|batch| batch.attributes = 3 << 4),
            ),
            ("no records", Batch::of(Vec::new(), 0).bytes()),
            ("count 1 of 2", with(|batch| batch.count = 1)),
            ("count 3 of 2", with(|batch| batch.count = 3)),
            ("count -1", with(|batch| batch.count = -1)),
            (
                "count huge",
                with(|batch| (batch.count, batch.last_offset_delta) = (i32::MAX, i32::MAX - 1)),
            ),
            (
                "count and delta 1 of 2",
                with(|batch| (batch.count, batch.last_offset_delta) = (1, 0)),
            ),
            (
                "count and delta 3 of 2",
                with(|batch| (batch.count, batch.last_offset_delta) = (3, 2)),
            ),
            ("delta 5 of 2", with(|batch| batch.last_offset_delta = 5)),
            ("delta -1", with(|batch| batch.last_offset_delta = -1)),
            (
                "base timestamp -1",
                with(|batch| (batch.base_timestamp, batch.max_timestamp) = (-1, -1)),
            ),
            (
                "base timestamp 0",
                with(|batch| (batch.base_timestamp, batch.max_timestamp) = (0, 0)),
            ),
            (
                "base timestamp -5",
                with(|batch| (batch.base_timestamp, batch.max_timestamp) = (-5, -5)),
            ),
            (
                "base timestamp of the year 5000",
                with(|batch| batch.base_timestamp = 95_617_584_000_000),
            ),
            (
                "base timestamp greatest",
                with(|batch| batch.base_timestamp = i64::MAX),
            ),
            ("max timestamp -1", with(|batch| batch.max_timestamp = -1)),
            (
                "max timestamp too great",
                with(|batch| batch.max_timestamp = TIMESTAMP_MS + 1_000),
            ),
            (
                "producer id -1 with epoch and sequence 0",
                with(|batch| (batch.epoch, batch.sequence) = (0, 0)),
            ),
            ("producer id -2", with(|batch| batch.producer_id = -2)),
            (
                "producer id without a sequence",
                with(|batch| (batch.producer_id, batch.epoch) = (5_000, 0)),
            ),
            (
                "producer id without an epoch",
                with(|batch| (batch.producer_id, batch.sequence) = (5_001, 0)),
            ),
            ("two batches", [plain(), plain()].concat()),
            ("four bytes behind", [plain(), b"more".to_vec()].concat()),
            ("twenty bytes behind", [plain(), vec![0; 20]].concat()),
            (
                "a message set behind",
                [plain(), sets::set(1, NONE)].concat(),
            ),
            ("cut", cut),
            ("cut in its header", plain()[..30].to_vec()),
            ("cut before its magic", plain()[..14].to_vec()),
            ("eleven bytes", plain()[..11].to_vec()),
            ("length 48", with(|batch| batch.length = Some(48))),
            ("length 9", with(|batch| batch.length = Some(9))),
            ("length 0", with(|batch| batch.length = Some(0))),
            ("length -1", with(|batch| batch.length = Some(-1))),
            ("length huge", with(|batch| batch.length = Some(i32::MAX))),
        ],
    )
}

/// Records of batches.
pub fn records() -> Vec<Case> {
    let with = |change: fn(&mut Record)| Record::new(0, "one").with(change).batch().bytes();
    let raw = |bytes: &[u8]| Batch::of(bytes.to_vec(), 1).bytes();
    let behind = Batch::of([Record::new(0, "one").bytes(), vec![0; 3]].concat(), 1);
    named(
        "record",
        [
            (
                "with key and headers",
                with(|record| {
                    record.key = Some(b"key".to_vec());
                    record.header_count = Some(2);
                    record.headers = [
                        varint(1),
                        b"a".to_vec(),
                        varint(1),
                        b"b".to_vec(),
                        varint(0),
                        varint(-1),
                    ]
                    .concat();
                }),
            ),
            ("null value", with(|record| record.value = None)),
            (
                "empty value",
                with(|record| record.value = Some(Vec::new())),
            ),
            ("attributes 0x7f", with(|record| record.attributes = 0x7f)),
            ("offset delta 9", with(|record| record.offset_delta = 9)),
            ("offset delta -1", with(|record| record.offset_delta = -1)),
            (
                "timestamp delta -5",
                with(|record| record.timestamp_delta = -5),
            ),
            (
                "timestamp delta 5 over the greatest",
                with(|record| record.timestamp_delta = 5),
            ),
            (
                "timestamp delta that overflows",
                with(|record| record.timestamp_delta = i64::MAX),
            ),
            (
                "length one too many",
                with(|record| record.length_error = 1),
            ),
            (
                "length one too few",
                with(|record| record.length_error = -1),
            ),
            (
                "length huge",
                with(|record| record.length_error = i64::from(i32::MAX) - 20),
            ),
            ("length negative", raw(&varint(-1))),
            ("length 0", raw(&varint(0))),
            (
                "a varint of six bytes",
                raw(&[0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
            ),
            ("key length -2", with(|record| record.key_length = Some(-2))),
            (
                "value length -2",
                with(|record| {
                    record.value_length = Some(-2);
                    record.value = None;
                }),
            ),
            (
                "value length too great",
                with(|record| record.value_length = Some(1_000)),
            ),
            (
                "header count -1",
                with(|record| record.header_count = Some(-1)),
            ),
            (
                "header count too great",
                with(|record| record.header_count = Some(5)),
            ),
            (
                "header count huge",
                with(|record| record.header_count = Some(i64::from(i32::MAX))),
            ),
            (
                "header without a name",
                with(|record| {
                    record.header_count = Some(1);
                    record.headers = [varint(-1), varint(-1)].concat();
                }),
            ),
            (
                "header name not UTF-8",
                with(|record| {
                    record.header_count = Some(1);
                    record.headers = [varint(1), vec![0xff], varint(-1)].concat();
                }),
            ),
            (
                "bytes behind its headers",
                with(|record| record.headers = b"more".to_vec()),
            ),
            ("bytes behind the last", behind.bytes()),
        ],
    )
}
