//! What a peer's words may cost: counts, names and lengths.

use bytes::{BufMut, Bytes, BytesMut};

use super::requests::{self, RECORDS, TOPIC};
use crate::protocol::error_code::ErrorCode;
use crate::protocol::header;
use crate::protocol::metadata::{self, AskedTopics};
use crate::protocol::produce;
use crate::protocol::reader::{ReadError, Reader};
use crate::protocol::{Api, refusals};

fn read_produce(frame: &Bytes) -> Result<produce::Request, ReadError> {
    let mut reader = Reader::new(frame);
    let header = header::read(&mut reader).expect("a header");
    produce::Request::read(frame.clone(), reader.position(), header.version)
}

fn read_metadata(frame: &Bytes) -> Result<metadata::Request, ReadError> {
    let mut reader = Reader::new(frame);
    let header = header::read(&mut reader).expect("a header");
    metadata::read(&mut reader, header.version)
}

/// Bodies that announce 2³¹−1 or 2³²−2 elements and hold none.
#[test]
fn a_count_that_lies_is_refused_in_every_version() {
    let counts = |flexible| -> Vec<&'static [u8]> {
        if flexible {
            vec![b"\xff\xff\xff\xff\x07", b"\xff\xff\xff\xff\x0f"]
        } else {
            vec![b"\x7f\xff\xff\xff"]
        }
    };
    for (row, version) in requests::served_versions() {
        let before: &[u8] = match row.api {
            Api::Metadata => b"",
            Api::Produce if version < 3 => b"\0\x01\0\0\0\0",
            Api::Produce if version < 9 => b"\xff\xff\0\x01\0\0\0\0",
            Api::Produce => b"\0\0\x01\0\0\0\0",
            Api::Fetch => &[0; 12 + 4 + 1 + 8][..fetch_bytes_before_topics(version)],
            _ => continue,
        };
        for count in counts(version >= row.flexible_from) {
            let body = [before, count, &[1; 5]].concat();
            let frame = requests::frame_of(row.api, version, &body);
            let mut reader = Reader::new(&frame);
            header::read(&mut reader).expect("a header");
            let error = match row.api {
                Api::Metadata => read_metadata(&frame).err(),
                Api::Produce => read_produce(&frame).err(),
                _ => {
                    let error = ErrorCode::TopicAuthorizationFailed;
                    refusals::fetch(&mut reader, version, 1, ErrorCode::None, error).err()
                }
            };
            assert!(
                matches!(error, Some(ReadError::Length { .. })),
                "{:?} v{version}: {error:?}",
                row.api
            );
        }
    }
}

/// Kafka's readers refuse them; only from v1 on does a null list of Metadata ask for all topics.
#[test]
fn a_null_array_is_refused_where_it_may_not_be_null() {
    assert!(read_metadata(&requests::frame_of(Api::Metadata, 0, b"\xff\xff\xff\xff")).is_err());
    for version in 0..=12 {
        let no_topics = null_topics(version);
        let no_partitions = null_partitions(version);
        for frame in [no_topics, no_partitions] {
            let error = read_produce(&frame).err();
            assert!(
                matches!(error, Some(ReadError::Length { .. })),
                "v{version}: {error:?}"
            );
        }
    }
}

/// A Produce whose topics are null.
pub fn null_topics(version: i16) -> Bytes {
    let null: &[u8] = match version {
        9.. => b"\0\0",
        _ => b"\xff\xff\xff\xff",
    };
    produce_of(version, null)
}

/// A Produce with a topic whose partitions are null.
pub fn null_partitions(version: i16) -> Bytes {
    let null: &[u8] = match version {
        9.. => b"\x02\x02x\0\0\0",
        _ => b"\0\0\0\x01\0\x01x\xff\xff\xff\xff",
    };
    produce_of(version, null)
}

/// A Produce with acks=1 and these bytes from its topics on.
fn produce_of(version: i16, topics: &[u8]) -> Bytes {
    let transactional_id: &[u8] = match version {
        ..3 => b"",
        3..9 => b"\xff\xff",
        _ => b"\0",
    };
    let body = [transactional_id, b"\0\x01\0\0\0\0", topics].concat();
    requests::frame_of(Api::Produce, version, &body)
}

fn fetch_bytes_before_topics(version: i16) -> usize {
    let max_bytes = if version >= 3 { 4 } else { 0 };
    let isolation_level = if version >= 4 { 1 } else { 0 };
    let session = if version >= 7 { 8 } else { 0 };
    12 + max_bytes + isolation_level + session
}

/// Kafka's own readers refuse them too; there is no way to repeat them in an answer.
#[test]
fn a_name_is_at_most_32767_bytes_long_in_flexible_versions_too() {
    for (length, good) in [(32_767, true), (32_768, false), (1 << 20, false)] {
        let mut body = BytesMut::new();
        put_varint(&mut body, length + 1);
        body.put_bytes(b'a', length);
        let read = Reader::new(&body).text(true).map(str::len);
        assert_eq!(
            read,
            if good {
                Ok(length)
            } else {
                Err(ReadError::Length { at: 0 })
            }
        );
    }
}

fn put_varint(bytes: &mut BytesMut, mut value: usize) {
    while value >= 0x80 {
        bytes.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.put_u8(value as u8);
}

#[test]
fn a_metadata_request_names_each_topic_once_and_a_bounded_number() {
    let names: Vec<_> = (0..=metadata::TOPICS_ASKED_MAX)
        .map(|index| format!("topic-{index}"))
        .collect();
    let mut names: Vec<_> = names.iter().map(String::as_str).collect();
    for version in 0..=12 {
        let error = read_metadata(&requests::metadata(version, Some(&names)));
        let max = metadata::TOPICS_ASKED_MAX;
        assert_eq!(error, Err(ReadError::TooMany { max }), "v{version}");
    }
    names.pop();
    names.extend(["topic-0"; 1_000]);
    for version in 0..=12 {
        let request = read_metadata(&requests::metadata(version, Some(&names)));
        let AskedTopics::Named(asked) = request.expect("within the bound").topics else {
            panic!("topics were named");
        };
        assert_eq!(asked.len(), metadata::TOPICS_ASKED_MAX);
    }
}

#[test]
fn a_produce_holds_a_bounded_number_of_topics_and_partitions() {
    let max = produce::PARTITIONS_MAX;
    let records: Option<&[u8]> = Some(RECORDS);
    for version in 0..=12 {
        for (topics, good) in [
            (vec![(TOPIC, vec![(0, records); max])], true),
            (vec![(TOPIC, vec![(0, records); max + 1])], false),
            (vec![(TOPIC, vec![]); max], true),
            (vec![(TOPIC, vec![]); max + 1], false),
            (vec![(TOPIC, vec![(0, None); max / 2 + 1]); 2], false),
        ] {
            let read = read_produce(&requests::produce(version, 1, None, &topics));
            let expected = if good {
                None
            } else {
                Some(ReadError::TooMany { max })
            };
            assert_eq!(read.err(), expected, "v{version}");
        }
    }
}

#[test]
fn what_an_answer_needs_does_not_hold_the_frame() {
    let frame = requests::request(Api::Produce, 3);
    // A frame of its own, so that it can be seen who else holds it.
    let frame = Bytes::copy_from_slice(&frame);
    let mut request = read_produce(&frame).expect("it is good");
    let read: Vec<Bytes> = (0..request.partitions.len())
        .map(|position| Bytes::copy_from_slice(request.records(position)))
        .collect();
    let results = vec![produce::PartitionResult::stored(); read.len()];
    let before = produce::respond(3, 1, &request, &results, 0);
    assert_eq!(request.take_records(), read);
    assert_eq!(produce::respond(3, 1, &request, &results, 0), before);
    assert!(frame.try_into_mut().is_ok(), "nothing else holds it");
}
