//! Every API in every version that is advertised, from the request's bytes to the answer's.

use kafka_protocol::messages::{
    ApiVersionsResponse, FetchResponse, FindCoordinatorResponse, InitProducerIdResponse,
    MetadataResponse, ProduceResponse, SaslAuthenticateResponse, SaslHandshakeResponse,
};

use super::*;
use crate::protocol::SERVED;
use crate::protocol::tests::requests::{TOPIC, row, topic_name};

/// No Logstore's name.
const BAD_TOPIC: &str = "no such/logstore";

#[test]
fn every_advertised_version_is_answered() {
    for (served, version) in requests::served_versions() {
        let frame = answer_of(served.api, version);
        // ApiVersions is the exception: a client that guessed a version wrong must be able to read the answer (KIP-511).
        let flexible = version >= served.flexible_from && served.api != Api::ApiVersions;
        check_answer(served.api, version, frame, i16::from(flexible));
    }
}

/// The answer to the usual request, in the state that the request belongs to.
fn answer_of(api: Api, version: i16) -> Bytes {
    let mut session = session(match api {
        Api::SaslAuthenticate => At::FramedToken,
        _ => At::Proven,
    });
    match give(&mut session, &requests::request(api, version)) {
        Step::Answer(frame) | Step::Deny(frame, _) => frame,
        Step::LogIn(_) => answer(session.logged_in(LoginVerdict::Proven)),
        Step::Describe(step) => step.respond(&[
            step.topic(TOPIC, Ok(3)),
            step.topic(BAD_TOPIC, Err(ErrorCode::InvalidTopic)),
        ]),
        Step::InitProducerId(step) => step.respond(4_711, 2),
        Step::Produce(step) => step
            .respond(&results(), std::time::Duration::ZERO)
            .expect("acks=1 is answered"),
        _ => panic!("{api:?} v{version} is not served"),
    }
}

/// Of the four partitions that the usual Produce names.
fn results() -> [PartitionResult; 4] {
    let text = || Some("the record's text".to_owned());
    let mut guilty = PartitionResult::refused(ErrorCode::InvalidRecord, text());
    guilty.record_errors = vec![(5, text()), (6, None)];
    [
        PartitionResult::stored(),
        guilty,
        PartitionResult::refused(ErrorCode::UnknownTopicOrPartition, None),
        PartitionResult::refused(ErrorCode::KafkaStorageError, None),
    ]
}

fn check_answer(api: Api, version: i16, frame: Bytes, header: i16) {
    match api {
        Api::Produce if version < 3 => check_old_produce(body(frame, header), version),
        Api::Produce => check_produce(&decoded(frame, header, version), version),
        Api::Fetch if version < 4 => check_old_fetch(body(frame, header), version),
        Api::Fetch => check_fetch(&decoded(frame, header, version), version),
        Api::Metadata => check_metadata(&decoded(frame, header, version), version),
        Api::FindCoordinator => {
            let response: FindCoordinatorResponse = decoded(frame, header, version);
            assert_eq!(response.error_code, 30);
            assert_eq!((response.node_id.0, response.port), (-1, -1));
        }
        Api::SaslHandshake => {
            let response: SaslHandshakeResponse = decoded(frame, header, version);
            assert_eq!(response.error_code, 0);
            assert_eq!(response.mechanisms.len(), 1);
            assert_eq!(&*response.mechanisms[0], "PLAIN");
        }
        Api::ApiVersions => check_api_versions(&decoded(frame, header, version)),
        Api::InitProducerId => {
            let response: InitProducerIdResponse = decoded(frame, header, version);
            assert_eq!((response.error_code, response.throttle_time_ms), (0, 0));
            assert_eq!(
                (response.producer_id.0, response.producer_epoch),
                (4_711, 2)
            );
        }
        Api::SaslAuthenticate => {
            let response: SaslAuthenticateResponse = decoded(frame, header, version);
            assert_eq!(response.error_code, 0);
            assert!(response.auth_bytes.is_empty());
            assert_eq!(response.session_lifetime_ms, 0, "nobody logs in again");
        }
    }
}

fn check_api_versions(response: &ApiVersionsResponse) {
    assert_eq!((response.error_code, response.throttle_time_ms), (0, 0));
    let told: Vec<_> = response
        .api_keys
        .iter()
        .map(|row| (row.api_key, row.min_version, row.max_version))
        .collect();
    let table = SERVED.map(|served| (served.key, served.min, served.max));
    assert_eq!(told, table);
}

fn check_metadata(response: &MetadataResponse, version: i16) {
    let [broker] = &response.brokers[..] else {
        panic!("there is one broker");
    };
    assert_eq!(&*broker.host, "project-1.log.example.com");
    assert_eq!(broker.port, i32::from(PORT));
    if version >= 1 {
        assert_eq!(response.controller_id, broker.node_id);
    }
    if version >= 2 {
        assert_eq!(response.cluster_id.as_deref(), Some("sluice-project-1"));
    }
    let [good, bad] = &response.topics[..] else {
        panic!("two topics were described");
    };
    assert_eq!((good.error_code, bad.error_code), (0, 17));
    assert_eq!(good.name, Some(topic_name(TOPIC)));
    assert_eq!(bad.name, Some(topic_name(BAD_TOPIC)));
    assert_eq!(good.topic_id.is_nil(), version < 10);
    assert!(bad.topic_id.is_nil(), "a refused topic has no id");
    assert!(bad.partitions.is_empty());
    for (index, partition) in good.partitions.iter().enumerate() {
        assert_eq!(partition.partition_index as usize, index);
        assert_eq!(partition.error_code, 0);
        assert_eq!(partition.leader_id, broker.node_id);
        assert_eq!(partition.replica_nodes, [broker.node_id]);
        assert_eq!(partition.isr_nodes, [broker.node_id]);
        assert_eq!(partition.leader_epoch, if version >= 7 { 0 } else { -1 });
    }
    assert_eq!(good.partitions.len(), 3);
}

fn check_produce(response: &ProduceResponse, version: i16) {
    assert_eq!(response.throttle_time_ms, 0);
    let mut partitions = Vec::new();
    for topic in &response.responses {
        for partition in &topic.partition_responses {
            let name = topic.name.0.as_str();
            partitions.push((name, partition.index, partition.error_code));
            let stored = partition.error_code == 0;
            assert_eq!(partition.base_offset, if stored { 0 } else { -1 });
            assert_eq!(partition.log_append_time_ms, -1);
            let start = if stored && version >= 5 { 0 } else { -1 };
            assert_eq!(partition.log_start_offset, start);
        }
    }
    assert_eq!(partitions, PRODUCED);
    let guilty = &response.responses[0].partition_responses[1];
    let records: Vec<_> = guilty
        .record_errors
        .iter()
        .map(|error| {
            (
                error.batch_index,
                error.batch_index_error_message.as_deref(),
            )
        })
        .collect();
    if version >= 8 {
        assert_eq!(guilty.error_message.as_deref(), Some("the record's text"));
        assert_eq!(records, [(5, Some("the record's text")), (6, None)]);
    } else {
        assert_eq!((guilty.error_message.as_deref(), records), (None, vec![]));
    }
}

/// What became of the usual Produce: topic, partition, error.
const PRODUCED: [(&str, i32, i16); 4] = [
    (TOPIC, 0, 0),
    (TOPIC, 7, 87),
    ("other-logstore.json", -1, 3),
    (TOPIC, 0, 56),
];

fn check_old_produce(mut body: Bytes, version: i16) {
    let mut partitions = Vec::new();
    for _ in 0..body.get_i32() {
        let name = read_text(&mut body);
        for _ in 0..body.get_i32() {
            let (index, error) = (body.get_i32(), body.get_i16());
            assert_eq!(body.get_i64(), if error == 0 { 0 } else { -1 });
            if version >= 2 {
                assert_eq!(body.get_i64(), -1, "the log append time");
            }
            partitions.push((name.clone(), index, error));
        }
    }
    let expected = PRODUCED.map(|(name, index, error)| (name.to_owned(), index, error));
    assert_eq!(partitions, expected);
    if version >= 1 {
        assert_eq!(body.get_i32(), 0, "the throttle time");
    }
    assert!(body.is_empty());
}

fn check_fetch(response: &FetchResponse, version: i16) {
    assert_eq!(response.throttle_time_ms, 0);
    assert_eq!((response.error_code, response.session_id), (0, 0));
    let [topic] = &response.responses[..] else {
        panic!("one topic was asked for");
    };
    assert_eq!(topic.topic, topic_name(TOPIC));
    let indexes: Vec<_> = topic
        .partitions
        .iter()
        .map(|one| one.partition_index)
        .collect();
    assert_eq!(indexes, [0, 3]);
    for partition in &topic.partitions {
        assert_eq!(partition.error_code, 29, "v{version}");
        assert_eq!(partition.high_watermark, -1);
        assert_eq!(partition.last_stable_offset, -1);
        assert_eq!(partition.log_start_offset, -1);
        assert_eq!(partition.aborted_transactions, None);
        assert_eq!(partition.preferred_read_replica.0, -1);
        assert!(partition.records.as_ref().is_some_and(Bytes::is_empty));
    }
}

fn check_old_fetch(mut body: Bytes, version: i16) {
    if version >= 1 {
        assert_eq!(body.get_i32(), 0, "the throttle time");
    }
    assert_eq!(body.get_i32(), 1);
    assert_eq!(read_text(&mut body), TOPIC);
    assert_eq!(body.get_i32(), 2);
    for index in [0, 3] {
        assert_eq!((body.get_i32(), body.get_i16()), (index, 29));
        assert_eq!(body.get_i64(), -1, "the high watermark");
        assert_eq!(body.get_i32(), 0, "the records");
    }
    assert!(body.is_empty());
}

fn read_text(bytes: &mut Bytes) -> String {
    let length = usize::try_from(bytes.get_i16()).expect("a text");
    String::from_utf8(bytes.split_to(length).to_vec()).expect("UTF-8")
}

/// The ranges that librdkafka up to 2.11.0 must overlap before it uses format v2, LZ4, zstd, SASL frames and idempotence.
#[test]
fn the_table_opens_the_gates_of_old_librdkafka() {
    for (api, versions) in [
        (Api::Produce, &[0, 1, 2, 3, 7][..]),
        (Api::Fetch, &[0, 1, 2, 4, 10]),
        (Api::FindCoordinator, &[0]),
        (Api::SaslHandshake, &[0, 1]),
        (Api::SaslAuthenticate, &[0]),
        (Api::InitProducerId, &[0]),
    ] {
        let served = row(api);
        for version in versions {
            assert!((served.min..=served.max).contains(version), "{api:?}");
        }
    }
}
