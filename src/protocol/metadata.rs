//! Metadata (3), versions 0–12.
//!
//! Honoured: the topics asked for, the creation flag. Ignored: the flags for authorized operations, answered as "not asked".
//! v0: an empty array asks for all topics, from v1 on null does and empty asks for none. v1 adds controller and rack, v2 the
//! cluster id, v3 the throttle time, v4 the creation flag (before it was always on), v5 offline replicas, v7 leader
//! epochs, v8 authorized operations, v9 is flexible, v10 adds topic ids, v11 drops the cluster's operations, v12 allows to
//! ask by id.

use std::collections::HashSet;

use bytes::Bytes;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::error_code::ErrorCode;
use super::reader::{ReadError, Reader};
use super::writer::Writer;

const FLEXIBLE_FROM: i16 = 9;
const CREATION_FLAG_FROM: i16 = 4;
const TOPIC_ID_FROM: i16 = 10;
/// Topics of one question: clients ask for those that they write to. What is kept and answered for a name is many times
/// the two bytes that an empty one takes.
pub(super) const TOPICS_ASKED_MAX: usize = 10_000;

/// What a client asks about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskedTopics {
    All,
    None,
    /// Each topic once, as Kafka answers repeated ones.
    Named(Vec<Asked>),
}

/// One topic, by name or (v12) by id alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub name: Option<String>,
    pub id: [u8; 16],
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub topics: AskedTopics,
    /// Topics that do not exist may be created.
    pub create: bool,
}

/// The one broker that clients see.
#[derive(Clone, Copy, Debug)]
pub struct Broker<'a> {
    pub node_id: i32,
    pub host: &'a str,
    pub port: u16,
}

/// One topic's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicAnswer {
    pub name: Option<String>,
    pub id: [u8; 16],
    /// How many partitions it has, from 0 on.
    pub outcome: Result<i32, ErrorCode>,
}

/// Reads a request's body.
///
/// # Errors
/// When it is malformed.
pub fn read(reader: &mut Reader<'_>, version: i16) -> Result<Request, ReadError> {
    let flexible = version >= FLEXIBLE_FROM;
    // A name takes its length at least.
    let name_bytes_min = if flexible { 1 } else { 2 };
    let count = match version {
        0 => Some(reader.count(flexible, name_bytes_min)?),
        _ => reader.nullable_count(flexible, name_bytes_min)?,
    };
    let topics = match count {
        Some(0) if version == 0 => AskedTopics::All,
        Some(0) => AskedTopics::None,
        None => AskedTopics::All,
        Some(count) => AskedTopics::Named(read_topics(reader, version, count)?),
    };
    let create = if version >= CREATION_FLAG_FROM {
        reader.bool()?
    } else {
        true
    };
    if (8..=10).contains(&version) {
        reader.bool()?;
    }
    if version >= 8 {
        reader.bool()?;
    }
    reader.tags(flexible)?;
    Ok(Request { topics, create })
}

fn read_topics(
    reader: &mut Reader<'_>,
    version: i16,
    count: usize,
) -> Result<Vec<Asked>, ReadError> {
    let mut asked = Vec::new();
    let mut seen = HashSet::new();
    for _ in 0..count {
        let (name, id) = read_topic(reader, version)?;
        if !seen.insert((name, id)) {
            continue;
        }
        if asked.len() == TOPICS_ASKED_MAX {
            return Err(ReadError::TooMany {
                max: TOPICS_ASKED_MAX,
            });
        }
        asked.push(Asked {
            name: name.map(str::to_owned),
            id,
        });
    }
    Ok(asked)
}

fn read_topic<'a>(
    reader: &mut Reader<'a>,
    version: i16,
) -> Result<(Option<&'a str>, [u8; 16]), ReadError> {
    let flexible = version >= FLEXIBLE_FROM;
    let (name, id) = if version >= TOPIC_ID_FROM {
        let id = reader.uuid()?;
        (reader.nullable_text(flexible)?, id)
    } else {
        (Some(reader.text(flexible)?), [0; 16])
    };
    reader.tags(flexible)?;
    Ok((name, id))
}

/// An answer with one broker that leads every partition.
pub fn respond(
    version: i16,
    correlation_id: i32,
    broker: &Broker<'_>,
    cluster_id: &str,
    topics: &[TopicAnswer],
) -> Bytes {
    let node = MetadataResponseBroker::default()
        .with_node_id(BrokerId(broker.node_id))
        .with_host(text(broker.host))
        .with_port(i32::from(broker.port));
    let mut response = MetadataResponse::default()
        .with_brokers(vec![node])
        .with_topics(
            topics
                .iter()
                .map(|topic| topic_response(topic, version, broker.node_id))
                .collect(),
        );
    if version >= 1 {
        response = response.with_controller_id(BrokerId(broker.node_id));
    }
    if version >= 2 {
        response = response.with_cluster_id(Some(text(cluster_id)));
    }
    let mut writer = Writer::frame(correlation_id, version >= FLEXIBLE_FROM);
    writer.body(&response, version);
    writer.finish()
}

/// An answer that tells nothing but this for each topic that was named.
pub fn respond_refused(
    version: i16,
    correlation_id: i32,
    request: Request,
    error: ErrorCode,
) -> Bytes {
    let asked = match request.topics {
        AskedTopics::Named(asked) => asked,
        AskedTopics::All | AskedTopics::None => Vec::new(),
    };
    let refused = asked.into_iter().map(|Asked { name, id }| {
        let outcome = Err(error);
        topic_response(&TopicAnswer { name, id, outcome }, version, -1)
    });
    let response = MetadataResponse::default().with_topics(refused.collect());
    let mut writer = Writer::frame(correlation_id, version >= FLEXIBLE_FROM);
    writer.body(&response, version);
    writer.finish()
}

fn topic_response(topic: &TopicAnswer, version: i16, node_id: i32) -> MetadataResponseTopic {
    let (error, partitions) = match topic.outcome {
        Ok(partitions) => (ErrorCode::None, partitions),
        Err(error) => (error, 0),
    };
    let mut response = MetadataResponseTopic::default()
        .with_error_code(error.code())
        .with_name(topic.name.as_deref().map(|name| TopicName(text(name))))
        .with_partitions(
            (0..partitions)
                .map(|index| partition_response(index, version, node_id))
                .collect(),
        );
    if version < 12 && response.name.is_none() {
        response = response.with_name(Some(TopicName(StrBytes::default())));
    }
    if version >= TOPIC_ID_FROM {
        response = response.with_topic_id(uuid(topic.id));
    }
    response
}

fn partition_response(index: i32, version: i16, node_id: i32) -> MetadataResponsePartition {
    let response = MetadataResponsePartition::default()
        .with_partition_index(index)
        .with_leader_id(BrokerId(node_id))
        .with_replica_nodes(vec![BrokerId(node_id)])
        .with_isr_nodes(vec![BrokerId(node_id)]);
    if version >= 7 {
        response.with_leader_epoch(0)
    } else {
        response
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn uuid(bytes: [u8; 16]) -> uuid::Uuid {
    uuid::Uuid::from_bytes(bytes)
}
