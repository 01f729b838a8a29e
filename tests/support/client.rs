//! A Kafka client in the small: real TLS, requests and answers by the `kafka-protocol` crate.

#![allow(dead_code, reason = "each binary uses a part of it")]

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use kafka_protocol::records::{
    Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use socket2::{Domain, Socket, Type};

/// Of all Produce requests here unless a test says otherwise.
pub const PRODUCE_VERSION: i16 = 9;
/// Of records that a test says nothing else of: the start of 2026.
const TIMESTAMP_MS: i64 = 1_767_225_600_000;

pub struct Client {
    stream: StreamOwned<ClientConnection, TcpStream>,
    next_id: i32,
}

/// What a Produce asks for.
pub struct Ask<'a> {
    pub version: i16,
    pub acks: i16,
    pub timeout_ms: i32,
    pub topic: &'a str,
    pub sets: Vec<(i32, Bytes)>,
}

/// One set for partition 0, acks=all.
pub fn ask(topic: &str, set: Bytes) -> Ask<'_> {
    Ask {
        version: PRODUCE_VERSION,
        acks: -1,
        timeout_ms: 30_000,
        topic,
        sets: vec![(0, set)],
    }
}

impl Client {
    /// Dials from this address.
    pub fn dial_from(
        source: IpAddr,
        address: SocketAddr,
        certificate: &CertificateDer<'static>,
    ) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None);
        let socket = socket.expect("a socket");
        let local = SocketAddr::new(source, 0);
        socket.bind(&local.into()).expect("an address of loopback");
        socket.connect(&address.into()).expect("the server listens");
        Self::over(socket.into(), certificate, "localhost")
    }

    pub fn dial(address: SocketAddr, certificate: &CertificateDer<'static>, name: &str) -> Self {
        let socket = TcpStream::connect(address).expect("the server listens");
        Self::over(socket, certificate, name)
    }

    fn over(socket: TcpStream, certificate: &CertificateDer<'static>, name: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).expect("a certificate");
        let config =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("both versions")
                .with_root_certificates(roots)
                .with_no_client_auth();
        socket
            .set_read_timeout(Some(Duration::from_secs(30)))
            .expect("a socket option");
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let connection = ClientConnection::new(Arc::new(config), name).expect("TLS");
        Self {
            stream: StreamOwned::new(connection, socket),
            next_id: 1,
        }
    }

    /// SaslHandshake v1 and SaslAuthenticate v2; the error code and text of a refusal.
    pub fn log_in(&mut self, user: &str, password: &str) -> Result<(), (i16, String)> {
        let handshake =
            SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str("PLAIN"));
        self.send(ApiKey::SaslHandshake, 1, &handshake);
        let _: SaslHandshakeResponse = self.receive(ApiKey::SaslHandshake, 1).expect("an answer");
        let token = format!("\0{user}\0{password}");
        let authenticate =
            SaslAuthenticateRequest::default().with_auth_bytes(token.into_bytes().into());
        self.send(ApiKey::SaslAuthenticate, 2, &authenticate);
        let answer: SaslAuthenticateResponse = self
            .receive(ApiKey::SaslAuthenticate, 2)
            .map_err(|error| (0, error.to_string()))?;
        match answer.error_code {
            0 => Ok(()),
            code => Err((
                code,
                answer
                    .error_message
                    .map(|text| text.to_string())
                    .unwrap_or_default(),
            )),
        }
    }

    pub fn send(&mut self, key: ApiKey, version: i16, body: &impl Encodable) -> i32 {
        let frame = self.frame(key, version, body);
        self.write(&frame);
        self.next_id - 1
    }

    /// A request with its size prefix, not sent.
    pub fn frame(&mut self, key: ApiKey, version: i16, body: &impl Encodable) -> Vec<u8> {
        let header = RequestHeader::default()
            .with_request_api_key(key as i16)
            .with_request_api_version(version)
            .with_correlation_id(self.next_id)
            .with_client_id(Some(StrBytes::from_static_str("test")));
        self.next_id += 1;
        let mut bytes = BytesMut::new();
        header
            .encode(&mut bytes, key.request_header_version(version))
            .expect("it encodes");
        body.encode(&mut bytes, version).expect("it encodes");
        let mut frame = i32::try_from(bytes.len())
            .expect("small")
            .to_be_bytes()
            .to_vec();
        frame.extend_from_slice(&bytes);
        frame
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.try_write(bytes).expect("the server reads");
    }

    pub fn try_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// One frame without its size prefix.
    pub fn read_frame(&mut self) -> io::Result<Bytes> {
        let mut size = [0; 4];
        self.stream.read_exact(&mut size)?;
        let mut body = vec![0; usize::try_from(i32::from_be_bytes(size)).expect("not negative")];
        self.stream.read_exact(&mut body)?;
        Ok(body.into())
    }

    pub fn receive<R: Decodable>(&mut self, key: ApiKey, version: i16) -> io::Result<R> {
        let mut frame = self.read_frame()?;
        ResponseHeader::decode(&mut frame, key.response_header_version(version)).expect("a header");
        let answer = R::decode(&mut frame, version).expect("an answer");
        assert!(frame.is_empty(), "bytes behind the answer");
        Ok(answer)
    }

    /// The server has closed, and said nothing more before.
    pub fn expect_close(&mut self) {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => assert!(rest.is_empty(), "the server said something: {rest:?}"),
            Err(error) => assert_ne!(
                error.kind(),
                io::ErrorKind::WouldBlock,
                "the server did not close"
            ),
        }
    }

    /// Ends the TCP connection without a word of TLS.
    pub fn cut(self) {
        let _ = self.stream.sock.shutdown(std::net::Shutdown::Both);
    }

    // Produce

    pub fn send_produce(&mut self, ask: &Ask<'_>) {
        let frame = self.produce_frame(ask);
        self.write(&frame);
    }

    pub fn produce_frame(&mut self, ask: &Ask<'_>) -> Vec<u8> {
        let partitions = ask.sets.iter().map(|(index, set)| {
            PartitionProduceData::default()
                .with_index(*index)
                .with_records(Some(set.clone()))
        });
        let topic = TopicProduceData::default()
            .with_name(TopicName(StrBytes::from_string(ask.topic.to_owned())))
            .with_partition_data(partitions.collect());
        let request = ProduceRequest::default()
            .with_acks(ask.acks)
            .with_timeout_ms(ask.timeout_ms)
            .with_topic_data(vec![topic]);
        self.frame(ApiKey::Produce, ask.version, &request)
    }

    /// The partitions of the next Produce answer.
    pub fn receive_produce(&mut self, version: i16) -> io::Result<Vec<PartitionProduceResponse>> {
        Ok(self.receive_throttled(version)?.0)
    }

    /// As [`Client::receive_produce`], with the time to send nothing; milliseconds.
    pub fn receive_throttled(
        &mut self,
        version: i16,
    ) -> io::Result<(Vec<PartitionProduceResponse>, i32)> {
        let mut answer: ProduceResponse = self.receive(ApiKey::Produce, version)?;
        let partitions = answer.responses.remove(0).partition_responses;
        Ok((partitions, answer.throttle_time_ms))
    }

    /// Sends and waits; gives the error codes.
    pub fn produce(&mut self, ask: &Ask<'_>) -> Vec<i16> {
        self.send_produce(ask);
        let partitions = self.receive_produce(ask.version).expect("an answer");
        partitions
            .iter()
            .map(|partition| partition.error_code)
            .collect()
    }

    /// An idempotent producer's id.
    pub fn producer_id(&mut self) -> i64 {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(1_000);
        self.send(ApiKey::InitProducerId, 1, &request);
        let answer: InitProducerIdResponse =
            self.receive(ApiKey::InitProducerId, 1).expect("an answer");
        assert_eq!((answer.error_code, answer.producer_epoch), (0, 0));
        answer.producer_id.0
    }

    /// Error code and partition count of one topic.
    pub fn metadata(&mut self, topic: &str, create: bool) -> (i16, usize) {
        let asked = metadata_request::MetadataRequestTopic::default()
            .with_name(Some(TopicName(StrBytes::from_string(topic.to_owned()))));
        let request = MetadataRequest::default()
            .with_topics(Some(vec![asked]))
            .with_allow_auto_topic_creation(create);
        self.send(ApiKey::Metadata, 9, &request);
        let answer: MetadataResponse = self.receive(ApiKey::Metadata, 9).expect("an answer");
        assert_eq!(answer.brokers.len(), 1);
        (
            answer.topics[0].error_code,
            answer.topics[0].partitions.len(),
        )
    }
}

/// A batch v2 with these values.
pub fn batch(values: &[&str]) -> Bytes {
    producer_batch(values, -1, -1, -1)
}

/// A batch of an idempotent producer.
pub fn producer_batch(values: &[&str], producer_id: i64, epoch: i16, first_sequence: i32) -> Bytes {
    let timed = values.iter().map(|value| (TIMESTAMP_MS, *value));
    let timed: Vec<(i64, &str)> = timed.collect();
    encode(&timed, producer_id, epoch, first_sequence)
}

/// A batch whose records have these times, in milliseconds.
pub fn timed_batch(records: &[(i64, &str)]) -> Bytes {
    encode(records, -1, -1, -1)
}

/// A batch of an idempotent producer, whose records have these times.
pub fn timed_producer_batch(
    records: &[(i64, &str)],
    producer_id: i64,
    epoch: i16,
    first_sequence: i32,
) -> Bytes {
    encode(records, producer_id, epoch, first_sequence)
}

fn encode(values: &[(i64, &str)], producer_id: i64, epoch: i16, first_sequence: i32) -> Bytes {
    let records: Vec<Record> = values
        .iter()
        .enumerate()
        .map(|(index, (timestamp, value))| Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id,
            producer_epoch: epoch,
            timestamp_type: TimestampType::Creation,
            offset: index as i64,
            sequence: first_sequence + index as i32,
            timestamp: *timestamp,
            key: None,
            value: Some(Bytes::copy_from_slice(value.as_bytes())),
            headers: Default::default(),
        })
        .collect();
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    RecordBatchEncoder::encode(&mut bytes, &records, &options).expect("it encodes");
    bytes.freeze()
}

/// A batch with one value, its records compressed with zstd.
pub fn compressed_batch(value: &str) -> Bytes {
    // Layout: `records/v2.rs`. The codec stands in the attributes, the records behind 61 bytes.
    let plain = batch(&[value]);
    let mut set = plain[..61].to_vec();
    set[22] = 4;
    set.extend(zstd::bulk::compress(&plain[61..], 3).expect("into memory"));
    let length = i32::try_from(set.len() - 12).expect("small");
    set[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&set[21..]);
    set[17..21].copy_from_slice(&crc.to_be_bytes());
    set.into()
}
