//! A skimmed Produce is the request without its record sets, however its bytes come in.

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;

use super::bounds::{null_partitions, null_topics};
use super::requests::{self, CLIENT_ID, CORRELATION_ID, ProduceTopic, RECORDS, TOPIC};
use crate::protocol::produce::{Request, SKIMMED_BYTES_MAX, Skimmed, Skimmer};
use crate::protocol::reader::{ReadError, Reader};
use crate::protocol::{Api, header};

const VERSIONS: std::ops::RangeInclusive<i16> = 0..=12;

/// Feeds a frame in pieces of the sizes given, which repeat.
fn skim(frame: &[u8], sizes: &[usize]) -> Result<Skimmed, ReadError> {
    let mut skimmer = Skimmer::new();
    let mut rest = frame;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at(rest.len().min(*size));
        skimmer.feed(piece);
        rest = after;
    }
    skimmer.finish()
}

fn read(frame: &Bytes) -> Result<Request, ReadError> {
    let mut reader = Reader::new(frame);
    let header = header::read(&mut reader).expect("a header");
    Request::read(frame.clone(), reader.position(), header.version)
}

/// What a request says without its record sets.
type Facts = (i16, i32, bool, Vec<(String, u32, i32)>);

fn facts(request: &Request) -> Facts {
    let partitions = request.partitions.iter().enumerate();
    let partitions = partitions
        .map(|(at, one)| (request.topic(at).to_owned(), one.topic, one.index))
        .collect();
    (
        request.acks,
        request.timeout_ms,
        request.transactional,
        partitions,
    )
}

fn check(frame: &Bytes, sizes: &[usize]) {
    let skimmed = skim(frame, sizes).expect("a good request");
    assert_eq!(skimmed.correlation_id, CORRELATION_ID);
    assert_eq!(skimmed.client_id.as_deref(), Some(CLIENT_ID));
    let request = read(frame).expect("a good request");
    assert_eq!(facts(&skimmed.request), facts(&request), "{sizes:?}");
    for at in 0..skimmed.request.partitions.len() {
        assert!(skimmed.request.records(at).is_empty());
    }
}

#[test]
fn it_does_not_matter_how_the_bytes_are_cut() {
    let long = vec![7; 3_000];
    let topics: [Vec<ProduceTopic<'_>>; 6] = [
        vec![],
        vec![(TOPIC, vec![])],
        requests::two_topics(),
        vec![(TOPIC, vec![(0, Some(&long)), (1, None), (2, Some(&long))])],
        vec![(TOPIC, vec![(i32::MAX, Some(RECORDS)); 40]); 30],
        vec![("a", vec![(0, None)]); 300],
    ];
    for version in VERSIONS {
        for topics in &topics {
            for acks in [-1, 0, 1] {
                let frame = requests::produce(version, acks, None, topics);
                for sizes in [&[1][..], &[14, 4096], &[255], &[256], &[257], &[1 << 20]] {
                    check(&frame, sizes);
                }
            }
        }
    }
}

#[test]
fn a_transactional_id_is_noticed() {
    for version in 3..=12 {
        let frame = requests::produce(version, 1, Some("tx-1"), &requests::two_topics());
        check(&frame, &[3]);
        assert!(skim(&frame, &[3]).is_ok_and(|skimmed| skimmed.request.transactional));
    }
}

#[test]
fn null_arrays_are_refused() {
    for version in VERSIONS {
        for frame in [null_topics(version), null_partitions(version)] {
            assert!(skim(&frame, &[5]).is_err(), "v{version}");
        }
    }
}

#[test]
fn a_frame_that_ends_too_early_or_too_late_is_refused() {
    for version in VERSIONS {
        let frame = requests::request(Api::Produce, version);
        for length in 0..frame.len() {
            assert!(
                skim(&frame[..length], &[5]).is_err(),
                "v{version}, {length}"
            );
        }
        let longer = [&frame[..], b"\0"].concat();
        assert!(skim(&longer, &[5]).is_err(), "v{version}");
    }
}

#[test]
fn names_beyond_the_limit_break_it_before_the_frame_ends() {
    for version in VERSIONS {
        let name = "n".repeat(1_000);
        let topics = |count| vec![(&*name, vec![(0, Some(RECORDS))]); count];
        let fits = requests::produce(version, 1, None, &topics(60));
        assert!(skim(&fits, &[4096]).is_ok(), "v{version}");
        let frame = requests::produce(version, 1, None, &topics(200));
        let mut skimmer = Skimmer::new();
        let (first, rest) = frame.split_at(SKIMMED_BYTES_MAX * 5 / 4);
        skimmer.feed(first);
        assert!(skimmer.is_broken(), "v{version}");
        skimmer.feed(rest);
        let max = SKIMMED_BYTES_MAX;
        assert_eq!(skimmer.finish().err(), Some(ReadError::Names { max }));
    }
}

#[test]
fn a_malformed_request_breaks_it_with_its_own_error() {
    let body = b"\0\0\x01\0\0\x75\x30\xff\xff\xff\xff\xff\xff";
    let skimmed = skim(&requests::frame_of(Api::Produce, 9, body), &[1]);
    assert!(matches!(skimmed, Err(ReadError::Varint { .. })));
}

/// Record sets alone never break it, whatever they announce.
#[test]
fn a_large_record_set_takes_no_room() {
    for version in VERSIONS {
        let records = vec![0; 4 * SKIMMED_BYTES_MAX];
        let topics = [(TOPIC, vec![(0, Some(&records[..])); 3])];
        check(&requests::produce(version, 1, None, &topics), &[9_999]);
    }
}

/// Tagged fields that no version knows, at the end of each structure.
#[test]
fn unknown_tagged_fields_are_passed_over() {
    const TAGS: &[u8] = &[2, 0, 3, b'a', b'b', b'c', 9, 0];
    for version in 9..=12 {
        let mut body = BytesMut::from(&b"\0\0\x01\0\0\x75\x30\x02\x0cmy-logstore\x03"[..]);
        for (index, records) in [(4, &b"\0"[..]), (5, b"\x04xyz")] {
            body.put_i32(index);
            body.put_slice(records);
            body.put_slice(TAGS);
        }
        // Of the topic, then of the request.
        body.put_slice(TAGS);
        body.put_slice(TAGS);
        let frame = requests::frame_of(Api::Produce, version, &body);
        for size in 1..=20 {
            check(&frame, &[size]);
        }
        assert_eq!(read(&frame).expect("good").records(1), b"xyz");
    }
}

type OwnedTopic = (String, Vec<(i32, Option<Vec<u8>>)>);

fn topics() -> impl Strategy<Value = Vec<OwnedTopic>> {
    let records = prop::option::of(prop::collection::vec(any::<u8>(), 0..600));
    let partitions = prop::collection::vec((any::<i32>(), records), 0..5);
    prop::collection::vec(("\\PC{0,40}", partitions), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn it_equals_the_whole_request_for_any_topics_and_any_pieces(
        version in VERSIONS,
        topics in topics(),
        sizes in prop::collection::vec(1..400_usize, 1..20),
    ) {
        let borrowed: Vec<ProduceTopic<'_>> = topics
            .iter()
            .map(|(name, partitions)| {
                let partitions = partitions.iter();
                (&**name, partitions.map(|(index, records)| (*index, records.as_deref())).collect())
            })
            .collect();
        check(&requests::produce(version, 1, None, &borrowed), &sizes);
    }

    #[test]
    fn it_refuses_what_the_whole_request_refuses(
        version in VERSIONS,
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        sizes in prop::collection::vec(1..40_usize, 1..20),
    ) {
        let mut frame = requests::request(Api::Produce, version).to_vec();
        // Behind the header, which both read alike.
        let header = 10 + CLIENT_ID.len() + usize::from(version >= 9);
        let at = header + at.index(frame.len() - header);
        frame[at] = byte;
        let frame = Bytes::from(frame);
        let skimmed = skim(&frame, &sizes).map(|skimmed| facts(&skimmed.request));
        let whole = read(&frame).map(|request| facts(&request));
        prop_assert_eq!(skimmed.ok(), whole.ok());
    }
}
