//! What one client has said so far, and what it may say next: a value without sockets or clocks.
//!
//! A frame goes in, a [`Step`] comes out; whoever holds the connection carries it out. States and transitions, after
//! Apache Kafka's `SaslServerAuthenticator` (a second ApiVersions before the handshake is taken, which Kafka refuses and
//! some clients send):
//!
//! ```text
//!            ApiVersions                        ┌─────── SaslHandshake v1 ───────┐
//!            ┌──┐                               ▼                                │
//!   Start ───┴──┴── SaslHandshake v0 ──▶ Token(raw)                              │
//!     │                                     │ token frame                        │
//!     └──────────── SaslHandshake v1 ──▶ Token(framed)                           │
//!                                           │ SaslAuthenticate                   │
//!                                           ▼                                    │
//!                                        Checking ── logged in ──▶ Known ────────┘
//!                                           │                      │ ApiVersions, Metadata, Produce,
//!                                           └── refused ──▶ close  │ InitProducerId; Fetch, FindCoordinator (refusals)
//! ```
//!
//! Everything else closes the connection, as Kafka does; in Token(framed) the request is told so before. A Produce step can
//! be formed only in `Known`, with its tenant.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use zeroize::Zeroize;

use crate::protocol::error_code::ErrorCode;
use crate::protocol::header::{self, HeaderError, RequestHeader};
use crate::protocol::produce::{PartitionResult, Skimmer};
use crate::protocol::reader::Reader;
use crate::protocol::{Api, api_versions, init_producer_id, metadata, produce, refusals, sasl};
use crate::refusals::shown;
use crate::tenant::{self, Dialled, LoginError, Tenant};

mod out_of_turn;
mod steps;
#[cfg(test)]
mod tests;

pub use steps::{
    CloseReason, Denied, InitProducerIdStep, LoginAttempt, LoginVerdict, MetadataStep, ProduceStep,
    Step,
};

/// Sizes of frames that a client may send, by what it has proven.
#[derive(Clone, Debug)]
pub struct Limits {
    pub frame_before_login_bytes_max: usize,
    pub frame_before_proof_bytes_max: usize,
    pub frame_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A SASL token is far smaller; STS tokens reach a few KiB.
            frame_before_login_bytes_max: 16 << 10,
            frame_before_proof_bytes_max: 1 << 20,
            // As Kafka's socket.request.max.bytes; some clients fill it after an outage.
            frame_bytes_max: 100 << 20,
        }
    }
}

/// Frames of all APIs but Produce: a Metadata request naming thousands of topics fits.
const OTHER_FRAME_BYTES_MAX: usize = 1 << 20;
/// The shortest request header: key, version, correlation id.
const HEADER_BYTES_MIN: usize = 8;

/// The one SASL mechanism.
const MECHANISM: &str = "PLAIN";

/// How clients are told to come back.
#[derive(Clone, Debug)]
pub struct Advertised {
    pub host: Arc<str>,
    pub port: u16,
}

/// The state of one client.
pub struct Session {
    dialled: Dialled,
    peer: IpAddr,
    advertised: Advertised,
    limits: Limits,
    client_id: Arc<str>,
    state: State,
}

enum State {
    Start,
    /// A handshake was answered; the token comes next. `known`: a client that logs in again.
    Token {
        dialect: Dialect,
        known: Option<Known>,
    },
    /// The key is being checked by someone else.
    Checking {
        reply: Reply,
        tenant: Arc<Tenant>,
    },
    Known(Known),
    Closed,
}

#[derive(Clone, Copy)]
enum Dialect {
    /// After SaslHandshake v0: `[i32 length][token]`, no header.
    Raw,
    /// After SaslHandshake v1: SaslAuthenticate.
    Framed,
}

#[derive(Clone, Copy)]
enum Reply {
    Raw,
    Framed { version: i16, correlation_id: i32 },
}

#[derive(Clone)]
struct Known {
    tenant: Arc<Tenant>,
    standing: Standing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// The Log Service has accepted the key.
    Proven,
    /// It has not been asked yet.
    Unproven,
    /// The key is wrong; the login was taken only to say so for each topic.
    RefusedKey,
    /// As `RefusedKey`, by the Log Service's word on a topic, which may change.
    Disproven,
}

/// What the first bytes of a frame tell before its body is read.
pub enum Early {
    /// A Produce: its size has to be reserved first.
    Produce,
    /// A Produce of a client with a refused key: to be skipped, not read.
    Skim(Skimmer),
    Other,
    Close(CloseReason),
}

impl Session {
    /// `advertised_host` is for clients that sent no SNI; default: the listener's default endpoint.
    pub fn new(
        dialled: Dialled,
        peer: IpAddr,
        advertised_host: Option<Arc<str>>,
        advertised_port: u16,
        limits: Limits,
    ) -> Self {
        let host = match &dialled.host {
            Some(host) => host.as_str().into(),
            None => advertised_host.unwrap_or_else(|| Arc::clone(&dialled.endpoint.name)),
        };
        Self {
            dialled,
            peer,
            advertised: Advertised {
                host,
                port: advertised_port,
            },
            limits,
            client_id: "".into(),
            state: State::Start,
        }
    }

    /// The client's tenant, once its login was taken.
    pub fn tenant(&self) -> Option<&Arc<Tenant>> {
        match &self.state {
            State::Known(known)
            | State::Token {
                known: Some(known), ..
            } => Some(&known.tenant),
            State::Checking { .. }
            | State::Token { known: None, .. }
            | State::Start
            | State::Closed => None,
        }
    }

    /// Whether the Log Service has accepted the client's key.
    pub fn is_proven(&self) -> bool {
        matches!(&self.state, State::Known(known) if known.standing == Standing::Proven)
    }

    /// The client id of its last request, escaped and cut; empty before the first.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Judges a frame's size prefix by the state.
    ///
    /// # Errors
    /// For a negative size and one over the limit.
    pub fn check_size(&self, size: i32) -> Result<usize, CloseReason> {
        let max = match &self.state {
            State::Known(known) => match known.standing {
                // A refused key's Produce is skipped as it comes, so its size costs nothing; other frames have their
                // own limit.
                Standing::Proven | Standing::RefusedKey | Standing::Disproven => {
                    self.limits.frame_bytes_max
                }
                Standing::Unproven => self.limits.frame_before_proof_bytes_max,
            },
            // Only a token may come, also where a known client logs in again.
            State::Start | State::Token { .. } | State::Checking { .. } | State::Closed => {
                self.limits.frame_before_login_bytes_max
            }
        };
        let bytes = usize::try_from(size).map_err(|_| CloseReason::NegativeSize)?;
        if bytes > max {
            Err(CloseReason::FrameTooLarge { bytes, max })
        } else {
            Ok(bytes)
        }
    }

    /// Judges a frame by its first bytes (at least the request header's first 8, less if the frame is shorter).
    pub fn early(&self, size: usize, head: &[u8]) -> Early {
        let State::Known(known) = &self.state else {
            return Early::Other;
        };
        if size < HEADER_BYTES_MIN {
            return Early::Close(CloseReason::Malformed);
        }
        let key = i16::from_be_bytes([head[0], head[1]]);
        let is_produce =
            crate::protocol::served(key).is_some_and(|served| served.api == Api::Produce);
        match (is_produce, known.standing) {
            (true, Standing::RefusedKey | Standing::Disproven) => Early::Skim(Skimmer::new()),
            (true, _) => Early::Produce,
            (false, _) if size > OTHER_FRAME_BYTES_MAX => {
                Early::Close(CloseReason::FrameTooLarge {
                    bytes: size,
                    max: OTHER_FRAME_BYTES_MAX,
                })
            }
            (false, _) => Early::Other,
        }
    }

    /// Takes a whole frame, without its size prefix.
    pub fn on_frame(&mut self, frame: Bytes) -> Step {
        let holds_token = matches!(self.state, State::Token { .. });
        let step = match &self.state {
            State::Token {
                dialect: Dialect::Raw,
                known,
            } => {
                let known = known.clone();
                self.on_token(&frame, Reply::Raw, known.as_ref())
            }
            _ => self.on_request(frame.clone()).unwrap_or_else(Step::Close),
        };
        if matches!(
            step,
            Step::Close(_) | Step::AnswerThenClose(..) | Step::RefuseLogin(..)
        ) {
            self.state = State::Closed;
        }
        if holds_token {
            drop(wiped(frame));
        }
        step
    }

    fn on_request(&mut self, frame: Bytes) -> Result<Step, CloseReason> {
        let bytes = frame.clone();
        let mut reader = Reader::new(&bytes);
        let header = match header::read(&mut reader) {
            Ok(header) => header,
            Err(error) => return self.on_bad_header(error),
        };
        self.note_client(header.client_id);
        let (api, version, id) = (header.served.api, header.version, header.correlation_id);
        match (&self.state, api) {
            (State::Start | State::Known(_), Api::ApiVersions) => {
                api_versions::read(&mut reader, version)?;
                Ok(Step::Answer(api_versions::respond(version, id)))
            }
            (State::Start | State::Known(_), Api::SaslHandshake) => {
                self.on_handshake(&mut reader, &header)
            }
            (
                State::Token {
                    dialect: Dialect::Framed,
                    known,
                },
                Api::SaslAuthenticate,
            ) => {
                let known = known.clone();
                let token = sasl::read_authenticate(&mut reader, version)?;
                Ok(self.on_token(
                    token,
                    Reply::Framed {
                        version,
                        correlation_id: id,
                    },
                    known.as_ref(),
                ))
            }
            (
                State::Token {
                    dialect: Dialect::Framed,
                    ..
                },
                _,
            ) => out_of_turn::refuse(&header, &mut reader, frame),
            (State::Known(_), Api::SaslAuthenticate) => {
                Ok(illegal_sasl(version, id, CloseReason::IllegalState))
            }
            (State::Known(known), _) => {
                let known = known.clone();
                self.on_known(&known, &header, &mut reader, frame)
            }
            _ => Err(CloseReason::IllegalState),
        }
    }

    /// Only ApiVersions answers a version that it does not know.
    fn on_bad_header(&self, error: HeaderError) -> Result<Step, CloseReason> {
        match error {
            HeaderError::UnsupportedVersion {
                key,
                correlation_id,
                ..
            } if crate::protocol::served(key)
                .is_some_and(|served| served.api == Api::ApiVersions)
                && matches!(self.state, State::Start | State::Known(_)) =>
            {
                Ok(Step::Answer(api_versions::respond_unsupported(
                    correlation_id,
                )))
            }
            HeaderError::UnsupportedVersion { key, version, .. } => {
                Err(CloseReason::UnsupportedVersion { key, version })
            }
            HeaderError::UnsupportedApi { key, .. } => Err(CloseReason::UnsupportedApi { key }),
            HeaderError::Malformed(_) => Err(CloseReason::Malformed),
        }
    }

    fn note_client(&mut self, client_id: Option<&str>) {
        let id = client_id.unwrap_or_default();
        if *self.client_id != *id {
            self.client_id = shown(id).into();
        }
    }

    // Login

    fn on_handshake(
        &mut self,
        reader: &mut Reader<'_>,
        header: &RequestHeader<'_>,
    ) -> Result<Step, CloseReason> {
        let mechanism = sasl::read_handshake(reader)?;
        let known = match &self.state {
            State::Known(known) => Some(known.clone()),
            _ => None,
        };
        let dialect = if header.version == 0 {
            Dialect::Raw
        } else {
            Dialect::Framed
        };
        if mechanism != MECHANISM {
            let refusal =
                sasl::respond_handshake(header.correlation_id, ErrorCode::UnsupportedSaslMechanism);
            return Ok(Step::AnswerThenClose(
                refusal,
                CloseReason::UnsupportedMechanism,
            ));
        }
        self.state = State::Token { dialect, known };
        Ok(Step::Answer(sasl::respond_handshake(
            header.correlation_id,
            ErrorCode::None,
        )))
    }

    fn on_token(&mut self, token: &[u8], reply: Reply, known: Option<&Known>) -> Step {
        let login = match tenant::parse_plain_token(token) {
            Ok(login) => login,
            Err(error) => return refuse_login(reply, &error),
        };
        if known.is_some_and(|known| known.tenant.project != login.project) {
            return match reply {
                Reply::Raw => Step::Close(CloseReason::OtherUser),
                Reply::Framed {
                    version,
                    correlation_id,
                } => illegal_sasl(version, correlation_id, CloseReason::OtherUser),
            };
        }
        let tenant = match self.dialled.tenant(login, self.peer) {
            Ok(tenant) => Arc::new(tenant),
            Err(error) => return refuse_login(reply, &error),
        };
        self.state = State::Checking {
            reply,
            tenant: Arc::clone(&tenant),
        };
        Step::LogIn(LoginAttempt { tenant })
    }

    /// What the check of the last [`Step::LogIn`] came to.
    pub fn logged_in(&mut self, verdict: LoginVerdict) -> Step {
        let State::Checking { reply, tenant } = std::mem::replace(&mut self.state, State::Closed)
        else {
            return Step::Close(CloseReason::IllegalState);
        };
        let standing = match verdict {
            LoginVerdict::Proven => Standing::Proven,
            LoginVerdict::Unproven => Standing::Unproven,
            LoginVerdict::RefusedKey => Standing::RefusedKey,
            LoginVerdict::Hold => return Step::Close(CloseReason::LoginHeld),
            LoginVerdict::Refused { refusal } => {
                let text = format!("project, access key id or secret is wrong (refusal {refusal})");
                return match reply {
                    Reply::Raw => Step::Close(CloseReason::LoginRefused),
                    Reply::Framed {
                        version,
                        correlation_id,
                    } => Step::AnswerThenClose(
                        failed(version, correlation_id, &text),
                        CloseReason::LoginRefused,
                    ),
                };
            }
        };
        self.state = State::Known(Known { tenant, standing });
        Step::Answer(match reply {
            // An empty token: four zero bytes.
            Reply::Raw => Bytes::from_static(&[0; 4]),
            Reply::Framed {
                version,
                correlation_id,
            } => sasl::respond_authenticate(version, correlation_id, ErrorCode::None, None),
        })
    }

    /// The Log Service has accepted the client's key. One that was refused at the login stays refused.
    pub fn prove(&mut self) {
        if let State::Known(known) = &mut self.state
            && matches!(known.standing, Standing::Unproven | Standing::Disproven)
        {
            known.standing = Standing::Proven;
        }
    }

    /// The Log Service has refused the key of a client that had not proven it.
    pub fn disprove(&mut self) {
        if let State::Known(known) = &mut self.state
            && known.standing == Standing::Unproven
        {
            known.standing = Standing::Disproven;
        }
    }

    // Requests of a known client

    fn on_known(
        &self,
        known: &Known,
        header: &RequestHeader<'_>,
        reader: &mut Reader<'_>,
        frame: Bytes,
    ) -> Result<Step, CloseReason> {
        let (version, id) = (header.version, header.correlation_id);
        match header.served.api {
            Api::Metadata => Ok(Step::Describe(MetadataStep {
                tenant: Arc::clone(&known.tenant),
                advertised: self.advertised.clone(),
                request: metadata::read(reader, version)?,
                version,
                correlation_id: id,
            })),
            Api::Produce => {
                let request = produce::Request::read(frame, reader.position(), version)?;
                Ok(ProduceStep {
                    tenant: Arc::clone(&known.tenant),
                    client_id: Arc::clone(&self.client_id),
                    request,
                    version,
                    correlation_id: id,
                }
                .checked())
            }
            Api::InitProducerId => {
                let request = init_producer_id::read(reader, version)?;
                Ok(InitProducerIdStep {
                    request,
                    version,
                    correlation_id: id,
                }
                .checked())
            }
            Api::Fetch => {
                let refused = ErrorCode::TopicAuthorizationFailed;
                let answer = refusals::fetch(reader, version, id, ErrorCode::None, refused)?;
                Ok(Step::Deny(answer, Denied::Consuming))
            }
            Api::FindCoordinator => {
                let refused = refusals::read_coordinator(reader, version)?;
                let answer = refusals::respond_coordinator(version, id, refused);
                let denied = match refused {
                    ErrorCode::TransactionalIdAuthorizationFailed => Denied::Transactions,
                    _ => Denied::Consuming,
                };
                Ok(Step::Deny(answer, denied))
            }
            Api::ApiVersions | Api::SaslHandshake | Api::SaslAuthenticate => {
                Err(CloseReason::IllegalState)
            }
        }
    }

    /// A Produce of a client with a refused key was skipped to its end: each partition is told so.
    pub fn on_skimmed(&mut self, skimmer: Skimmer) -> Step {
        let skimmed = match skimmer.finish() {
            Ok(skimmed) => skimmed,
            Err(_) => return Step::Close(CloseReason::Malformed),
        };
        self.note_client(skimmed.client_id.as_deref());
        if skimmed.request.acks == 0 {
            return Step::Close(CloseReason::UnackedRefused);
        }
        let refused = || PartitionResult::refused(ErrorCode::TopicAuthorizationFailed, None);
        let results: Vec<_> = skimmed
            .request
            .partitions
            .iter()
            .map(|_| refused())
            .collect();
        let (version, id) = (skimmed.version, skimmed.correlation_id);
        Step::Refused(produce::respond(version, id, &skimmed.request, &results, 0))
    }
}

/// A token's secret does not outlive its login. Gives the bytes back as they are where someone else holds them too.
fn wiped(frame: Bytes) -> Result<BytesMut, Bytes> {
    let mut bytes = frame.try_into_mut()?;
    bytes.zeroize();
    Ok(bytes)
}

fn illegal_sasl(version: i16, correlation_id: i32, reason: CloseReason) -> Step {
    let answer =
        sasl::respond_authenticate(version, correlation_id, ErrorCode::IllegalSaslState, None);
    Step::AnswerThenClose(answer, reason)
}

fn failed(version: i16, correlation_id: i32, text: &str) -> Bytes {
    sasl::respond_authenticate(
        version,
        correlation_id,
        ErrorCode::SaslAuthenticationFailed,
        Some(text),
    )
}

/// The raw dialect has no room for words: its answer is a close.
fn refuse_login(reply: Reply, error: &LoginError) -> Step {
    let answer = match reply {
        Reply::Raw => Bytes::new(),
        Reply::Framed {
            version,
            correlation_id,
        } => failed(version, correlation_id, &error.to_string()),
    };
    Step::RefuseLogin(answer, CloseReason::BadLogin(*error))
}
