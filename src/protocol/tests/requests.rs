//! Requests as clients encode them: by `kafka-protocol` where it knows the version, else by hand.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiVersionsRequest, FetchRequest, FindCoordinatorRequest, InitProducerIdRequest,
    MetadataRequest, ProduceRequest, ProducerId, RequestHeader, SaslAuthenticateRequest,
    SaslHandshakeRequest, TopicName, TransactionalId,
};
use kafka_protocol::protocol::{Encodable, StrBytes};
use uuid::Uuid;

use crate::protocol::{Api, SERVED, Served};

/// Near the top of the range, where Java puts the requests of its login.
pub const CORRELATION_ID: i32 = i32::MAX - 7;
pub const CLIENT_ID: &str = "agent-1";
pub const TOPIC: &str = "my-logstore";
pub const TOKEN: &[u8] = b"\0project-1\0id#secret";
pub const RECORDS: &[u8] = b"a record set, opaque here";

/// Each row with each of its versions.
pub fn served_versions() -> impl Iterator<Item = (&'static Served, i16)> {
    SERVED
        .iter()
        .flat_map(|served| (served.min..=served.max).map(move |version| (served, version)))
}

pub fn row(api: Api) -> &'static Served {
    SERVED
        .iter()
        .find(|served| served.api == api)
        .expect("each API has a row")
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

/// A frame without its size: header, then the body.
pub fn frame(key: i16, version: i16, flexible: bool, body: &[u8]) -> Bytes {
    let header = RequestHeader::default()
        .with_request_api_key(key)
        .with_request_api_version(version)
        .with_correlation_id(CORRELATION_ID)
        .with_client_id(Some(text(CLIENT_ID)));
    let mut frame = BytesMut::new();
    header
        .encode(&mut frame, if flexible { 2 } else { 1 })
        .expect("a header");
    frame.put_slice(body);
    frame.freeze()
}

/// A frame of a served API.
pub fn frame_of(api: Api, version: i16, body: &[u8]) -> Bytes {
    let served = row(api);
    frame(served.key, version, version >= served.flexible_from, body)
}

/// A frame whose body `kafka-protocol` encodes.
pub fn encoded(api: Api, version: i16, body: &impl Encodable) -> Bytes {
    let mut bytes = BytesMut::new();
    body.encode(&mut bytes, version).expect("a body");
    frame_of(api, version, &bytes)
}

/// A usual request of each API and version.
pub fn request(api: Api, version: i16) -> Bytes {
    match api {
        Api::Produce => produce(version, 1, None, &two_topics()),
        Api::Fetch => fetch(version),
        Api::Metadata => metadata(version, Some(&[TOPIC])),
        Api::FindCoordinator => find_coordinator(version, 0),
        Api::SaslHandshake => handshake(version, "PLAIN"),
        Api::ApiVersions => api_versions(version),
        Api::InitProducerId => init_producer_id(version, None, None),
        Api::SaslAuthenticate => authenticate(version, TOKEN),
    }
}

pub fn api_versions(version: i16) -> Bytes {
    let mut body = ApiVersionsRequest::default();
    if version >= 3 {
        body = body
            .with_client_software_name(text("apache-kafka-java"))
            .with_client_software_version(text("4.0.0"));
    }
    encoded(Api::ApiVersions, version, &body)
}

pub fn handshake(version: i16, mechanism: &str) -> Bytes {
    let body = SaslHandshakeRequest::default().with_mechanism(text(mechanism));
    encoded(Api::SaslHandshake, version, &body)
}

pub fn authenticate(version: i16, token: &[u8]) -> Bytes {
    let body = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::copy_from_slice(token));
    encoded(Api::SaslAuthenticate, version, &body)
}

pub fn find_coordinator(version: i16, key_type: i8) -> Bytes {
    let mut body = FindCoordinatorRequest::default().with_key(text("group-1"));
    if version >= 1 {
        body = body.with_key_type(key_type);
    }
    encoded(Api::FindCoordinator, version, &body)
}

/// `producer`: the id and epoch that the client has, sent from v3 on.
pub fn init_producer_id(
    version: i16,
    transactional_id: Option<&str>,
    producer: Option<(i64, i16)>,
) -> Bytes {
    let id = transactional_id.map(|id| TransactionalId(text(id)));
    let mut body = InitProducerIdRequest::default()
        .with_transactional_id(id)
        .with_transaction_timeout_ms(60_000);
    if let Some((id, epoch)) = producer {
        body = body
            .with_producer_id(ProducerId(id))
            .with_producer_epoch(epoch);
    }
    encoded(Api::InitProducerId, version, &body)
}

/// `topics`: `None` is a null array, which v0 does not know.
pub fn metadata(version: i16, topics: Option<&[&str]>) -> Bytes {
    let topics = topics.map(|names| {
        let named = |name: &&str| MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        names.iter().map(named).collect()
    });
    encoded(
        Api::Metadata,
        version,
        &MetadataRequest::default().with_topics(topics),
    )
}

/// A question for one topic by its id alone (v12).
pub fn metadata_by_id(id: [u8; 16]) -> Bytes {
    let topic = MetadataRequestTopic::default()
        .with_topic_id(Uuid::from_bytes(id))
        .with_name(None);
    let body = MetadataRequest::default().with_topics(Some(vec![topic]));
    encoded(Api::Metadata, 12, &body)
}

/// One topic of a Produce: its partitions with their record sets.
pub type ProduceTopic<'a> = (&'a str, Vec<(i32, Option<&'a [u8]>)>);

/// Two topics, one of them twice, with a full, an empty and a null record set.
pub fn two_topics() -> Vec<ProduceTopic<'static>> {
    vec![
        (TOPIC, vec![(0, Some(RECORDS)), (7, Some(&[]))]),
        ("other-logstore.json", vec![(-1, None)]),
        (TOPIC, vec![(0, Some(RECORDS))]),
    ]
}

pub fn produce(
    version: i16,
    acks: i16,
    transactional_id: Option<&str>,
    topics: &[ProduceTopic<'_>],
) -> Bytes {
    if version < 3 {
        return frame_of(Api::Produce, version, &old_produce(acks, topics));
    }
    let topic_data = topics.iter().map(|(name, partitions)| {
        let partition = |(index, records): &(i32, Option<&[u8]>)| {
            PartitionProduceData::default()
                .with_index(*index)
                .with_records(records.map(Bytes::copy_from_slice))
        };
        TopicProduceData::default()
            .with_name(topic_name(name))
            .with_partition_data(partitions.iter().map(partition).collect())
    });
    let body = ProduceRequest::default()
        .with_transactional_id(transactional_id.map(|id| TransactionalId(text(id))))
        .with_acks(acks)
        .with_timeout_ms(30_000)
        .with_topic_data(topic_data.collect());
    encoded(Api::Produce, version, &body)
}

/// The body of v0–2.
fn old_produce(acks: i16, topics: &[ProduceTopic<'_>]) -> BytesMut {
    let mut body = BytesMut::new();
    body.put_i16(acks);
    body.put_i32(30_000);
    body.put_i32(topics.len() as i32);
    for (name, partitions) in topics {
        put_text(&mut body, name);
        body.put_i32(partitions.len() as i32);
        for (index, records) in partitions {
            body.put_i32(*index);
            body.put_i32(records.map_or(-1, |records| records.len() as i32));
            body.put_slice(records.unwrap_or_default());
        }
    }
    body
}

/// Two partitions of one topic; from v7 on with a forgotten topic.
pub fn fetch(version: i16) -> Bytes {
    if version < 4 {
        return frame_of(Api::Fetch, version, &old_fetch(version));
    }
    let partition = |index| {
        FetchPartition::default()
            .with_partition(index)
            .with_fetch_offset(42)
            .with_partition_max_bytes(1 << 20)
    };
    let topic = FetchTopic::default()
        .with_topic(topic_name(TOPIC))
        .with_partitions(vec![partition(0), partition(3)]);
    let mut body = FetchRequest::default()
        .with_max_wait_ms(500)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_topics(vec![topic]);
    if version >= 7 {
        let forgotten = ForgottenTopic::default()
            .with_topic(topic_name("forgotten"))
            .with_partitions(vec![1, 2]);
        body = body.with_forgotten_topics_data(vec![forgotten]);
    }
    if version >= 11 {
        body = body.with_rack_id(text("rack-1"));
    }
    encoded(Api::Fetch, version, &body)
}

/// The body of v0–3.
fn old_fetch(version: i16) -> BytesMut {
    let mut body = BytesMut::new();
    for field in [-1, 500, 1] {
        body.put_i32(field);
    }
    if version >= 3 {
        body.put_i32(1 << 20);
    }
    body.put_i32(1);
    put_text(&mut body, TOPIC);
    body.put_i32(2);
    for partition in [0, 3] {
        body.put_i32(partition);
        body.put_i64(42);
        body.put_i32(1 << 20);
    }
    body
}

fn put_text(bytes: &mut BytesMut, text: &str) {
    bytes.put_i16(text.len() as i16);
    bytes.put_slice(text.as_bytes());
}
