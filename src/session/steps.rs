//! What a session may ask of its connection, and how each request is answered.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ring::digest;

use super::Advertised;
use crate::protocol::error_code::ErrorCode;
use crate::protocol::init_producer_id;
use crate::protocol::metadata::{self, AskedTopics, Broker, TopicAnswer};
use crate::protocol::produce::{self, PartitionResult};
use crate::protocol::reader::ReadError;
use crate::tenant::{LoginError, Tenant};

/// The one virtual broker. Any node behind the same name is it, so the id never changes.
const NODE_ID: i32 = 1;

/// What the connection has to do next.
pub enum Step {
    /// Send this, behind the answers under way.
    Answer(Bytes),
    /// Send this, which tells that what was asked for is not to be had.
    Deny(Bytes, Denied),
    /// Send nothing, read on.
    Nothing,
    /// Send this and close.
    AnswerThenClose(Bytes, CloseReason),
    Close(CloseReason),
    /// A malformed login: after the delay for failed logins send this (empty: nothing), then close.
    RefuseLogin(Bytes, CloseReason),
    /// After the delay for failed logins send this.
    Refused(Bytes),
    /// Have the key checked, then call `logged_in`. No frame may be given meanwhile.
    LogIn(LoginAttempt),
    Describe(MetadataStep),
    InitProducerId(InitProducerIdStep),
    Produce(ProduceStep),
}

/// What is not to be had, whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    Transactions,
    /// Produce knows acks 0, 1 and all.
    OtherAcks,
    /// Nothing is read back by the Kafka protocol.
    Consuming,
}

impl Denied {
    /// As refusals are counted and logged by.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Transactions => "no-transactions",
            Self::OtherAcks => "bad-acks",
            Self::Consuming => "no-consumers",
        }
    }
}

/// Why the session ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    #[error("a frame of {bytes} bytes is over the limit of {max}")]
    FrameTooLarge { bytes: usize, max: usize },
    #[error("a frame's size is negative")]
    NegativeSize,
    #[error("a request is malformed")]
    Malformed,
    #[error("API {key} is not served")]
    UnsupportedApi { key: i16 },
    #[error("version {version} of API {key} is not served")]
    UnsupportedVersion { key: i16, version: i16 },
    #[error("a request that is not allowed in this state of the login")]
    IllegalState,
    #[error("a SASL mechanism other than PLAIN")]
    UnsupportedMechanism,
    #[error("malformed login: {0}")]
    BadLogin(LoginError),
    #[error("a second login with another user")]
    OtherUser,
    #[error("login refused")]
    LoginRefused,
    #[error("login refused; closed without an answer, so that the agent keeps its data")]
    LoginHeld,
    #[error("a request with acks=0 was refused")]
    UnackedRefused,
}

impl From<ReadError> for CloseReason {
    fn from(_: ReadError) -> Self {
        Self::Malformed
    }
}

/// A login whose form is right.
pub struct LoginAttempt {
    pub(super) tenant: Arc<Tenant>,
}

impl LoginAttempt {
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }
}

/// What the check of a login came to.
#[derive(Debug)]
pub enum LoginVerdict {
    Proven,
    /// The first Metadata or write will tell.
    Unproven,
    /// Wrong, but let in: each topic is answered with 29, as published.
    RefusedKey,
    /// Wrong: refused with 58. `refusal` ties the answer to the reason in the log.
    Refused {
        refusal: String,
    },
    /// Wrong: closed without an answer.
    Hold,
}

/// A Metadata request.
pub struct MetadataStep {
    pub(super) tenant: Arc<Tenant>,
    pub(super) advertised: Advertised,
    pub(super) request: metadata::Request,
    pub(super) version: i16,
    pub(super) correlation_id: i32,
}

impl MetadataStep {
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    pub fn topics(&self) -> &AskedTopics {
        &self.request.topics
    }

    /// Whether the client wants topics that do not exist to be made.
    pub fn creates(&self) -> bool {
        self.request.create
    }

    /// A topic's partition count, or its refusal: then it has no id, as with Kafka.
    pub fn topic(&self, name: &str, outcome: Result<i32, ErrorCode>) -> TopicAnswer {
        let id = match outcome {
            Ok(_) => topic_id(&self.tenant, name),
            Err(_) => [0; 16],
        };
        TopicAnswer {
            name: Some(name.to_owned()),
            id,
            outcome,
        }
    }

    /// Ids cannot be turned back into names: who asks by id is told to ask by name.
    pub fn unknown_id(id: [u8; 16]) -> TopicAnswer {
        TopicAnswer {
            name: None,
            id,
            outcome: Err(ErrorCode::UnknownTopicId),
        }
    }

    pub fn respond(&self, topics: &[TopicAnswer]) -> Bytes {
        let broker = Broker {
            node_id: NODE_ID,
            host: &self.advertised.host,
            port: self.advertised.port,
        };
        let cluster = format!("sluice-{}", self.tenant.project);
        metadata::respond(self.version, self.correlation_id, &broker, &cluster, topics)
    }
}

/// The same on every node and after every restart: a changed id would make clients take the topic for a new one.
fn topic_id(tenant: &Tenant, topic: &str) -> [u8; 16] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [&*tenant.region, tenant.project.as_str(), topic] {
        context.update(part.as_bytes());
        context.update(b"\0");
    }
    let hash = context.finish();
    let mut id = [0; 16];
    id.copy_from_slice(&hash.as_ref()[..16]);
    id
}

/// An InitProducerId request.
pub struct InitProducerIdStep {
    pub(super) request: init_producer_id::Request,
    pub(super) version: i16,
    pub(super) correlation_id: i32,
}

impl InitProducerIdStep {
    pub(super) fn checked(self) -> Step {
        if self.request.transactional {
            let error = ErrorCode::TransactionalIdAuthorizationFailed;
            let (version, id) = (self.version, self.correlation_id);
            let answer = init_producer_id::respond(version, id, error, -1, -1);
            return Step::Deny(answer, Denied::Transactions);
        }
        Step::InitProducerId(self)
    }

    /// The client's own id with its next epoch (KIP-360); `None`: it needs a new id, also where its
    /// epochs are used up.
    pub fn next_epoch(&self) -> Option<(i64, i16)> {
        let (id, epoch) = self.request.producer?;
        epoch.checked_add(1).map(|epoch| (id, epoch))
    }

    pub fn respond(&self, producer_id: i64, epoch: i16) -> Bytes {
        init_producer_id::respond(
            self.version,
            self.correlation_id,
            ErrorCode::None,
            producer_id,
            epoch,
        )
    }
}

/// A Produce request of a client whose login was taken.
pub struct ProduceStep {
    pub(super) tenant: Arc<Tenant>,
    pub(super) client_id: Arc<str>,
    pub(super) request: produce::Request,
    pub(super) version: i16,
    pub(super) correlation_id: i32,
}

impl ProduceStep {
    /// Refuses what no record could mend.
    pub(super) fn checked(self) -> Step {
        let refusal = match self.request.acks {
            _ if self.request.transactional => Some((
                ErrorCode::TransactionalIdAuthorizationFailed,
                Denied::Transactions,
            )),
            -1..=1 => None,
            _ => Some((ErrorCode::InvalidRequiredAcks, Denied::OtherAcks)),
        };
        let results = match refusal {
            None if !self.request.partitions.is_empty() => return Step::Produce(self),
            None => Vec::new(),
            Some((error, _)) => self
                .request
                .partitions
                .iter()
                .map(|_| PartitionResult::refused(error, None))
                .collect(),
        };
        match (self.respond(&results, Duration::ZERO), refusal) {
            (Some(answer), Some((_, denied))) => Step::Deny(answer, denied),
            (Some(answer), None) => Step::Answer(answer),
            (None, Some(_)) => Step::Close(CloseReason::UnackedRefused),
            (None, None) => Step::Nothing,
        }
    }

    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    pub fn request(&self) -> &produce::Request {
        &self.request
    }

    /// As [`super::Session::client_id`].
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// See [`produce::Request::take_records`].
    pub fn take_records(&mut self) -> Vec<Bytes> {
        self.request.take_records()
    }

    pub fn version(&self) -> i16 {
        self.version
    }

    /// `None` for acks=0, which is never answered. `throttle`: how long the client should send nothing.
    pub fn respond(&self, results: &[PartitionResult], throttle: Duration) -> Option<Bytes> {
        let (version, id) = (self.version, self.correlation_id);
        let throttle_ms = i32::try_from(throttle.as_millis()).unwrap_or(i32::MAX);
        (self.request.acks != 0)
            .then(|| produce::respond(version, id, &self.request, results, throttle_ms))
    }
}
