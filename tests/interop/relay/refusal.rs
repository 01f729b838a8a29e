//! The answer to a Produce that does not reach the server.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    ApiKey, ProduceRequest, ProduceResponse, RequestHeader, ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable};

/// Every partition of the request, a frame from Produce v3 on, with this code.
pub fn answer(frame: &[u8], code: i16) -> Vec<u8> {
    let version = i16::from_be_bytes([frame[2], frame[3]]);
    let mut frame = Bytes::copy_from_slice(frame);
    let header_version = ApiKey::Produce.request_header_version(version);
    let header = RequestHeader::decode(&mut frame, header_version).expect("a client's header");
    let request = ProduceRequest::decode(&mut frame, version).expect("a client's request");
    let topics = request.topic_data.into_iter().map(|topic| {
        let partitions = topic.partition_data.iter().map(|partition| {
            PartitionProduceResponse::default()
                .with_index(partition.index)
                .with_error_code(code)
                .with_base_offset(-1)
        });
        TopicProduceResponse::default()
            .with_name(topic.name)
            .with_topic_id(topic.topic_id)
            .with_partition_responses(partitions.collect())
    });
    let response = ProduceResponse::default().with_responses(topics.collect());
    let mut bytes = BytesMut::new();
    ResponseHeader::default()
        .with_correlation_id(header.correlation_id)
        .encode(&mut bytes, ApiKey::Produce.response_header_version(version))
        .expect("it encodes");
    response.encode(&mut bytes, version).expect("it encodes");
    bytes.to_vec()
}
