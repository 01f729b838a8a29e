//! A probe: what a client says, step by step, and what it hears.

use super::answer::Fields;
use super::request::Request;
use super::schemas::{SASL_AUTHENTICATE, SASL_HANDSHAKE};
use crate::support::{PASSWORD, PROJECT};

/// The same bytes go to both servers.
#[derive(Clone)]
pub struct Probe {
    /// Its name in the table of differences.
    pub case: String,
    /// The client is logged in before the first step.
    pub known: bool,
    pub of: Of,
    pub steps: Vec<Step>,
    /// Each request is asked again while the server says that it is not ready.
    pub settles: bool,
    /// Kafka is known to say nothing to it, for ever.
    pub hangs: bool,
}

/// Which Sluice is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Of {
    /// As `serve` is by default: nothing is made on first use, a wrong key is told for each topic.
    Published,
    /// As like Kafka as it can be set up: topics are made on first use, partitions are shards, a wrong key fails the login.
    Alike,
}

#[derive(Clone)]
pub enum Step {
    /// Sent, and its answer awaited.
    Ask(Request),
    /// Sent, and nothing awaited: acks=0, or more follows in the same breath.
    Tell(Request),
    /// `[i32 length][token]`, answered in the same way, as behind SaslHandshake v0.
    Token(Vec<u8>),
    /// Bytes that are no request.
    Send(Vec<u8>),
}

/// What became of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heed {
    Answered(Fields),
    /// Behind a step that awaits nothing: nothing came.
    Unanswered,
    Closed,
    Silent,
    Unreadable(String),
}

/// Every step by its name, then `end`: whether the connection still serves.
pub type Course = Vec<(String, Heed)>;

impl Probe {
    pub fn new(case: impl Into<String>, steps: Vec<Step>) -> Self {
        Self {
            case: case.into(),
            known: true,
            of: Of::Published,
            steps,
            settles: false,
            hangs: false,
        }
    }

    pub fn ask(case: impl Into<String>, request: Request) -> Self {
        Self::new(case, vec![Step::Ask(request)])
    }

    /// From the first byte on, the login included.
    pub fn unknown(mut self) -> Self {
        self.known = false;
        self
    }

    pub fn alike(mut self) -> Self {
        self.of = Of::Alike;
        self
    }

    pub fn settles(mut self) -> Self {
        self.settles = true;
        self
    }

    pub fn hangs(mut self) -> Self {
        self.hangs = true;
        self
    }
}

pub fn good_token() -> Vec<u8> {
    format!("\0{PROJECT}\0{PASSWORD}").into_bytes()
}

pub fn handshake(version: i16, mechanism: &str) -> Request {
    Request::new(SASL_HANDSHAKE, version).text(mechanism)
}

pub fn authenticate(version: i16, token: &[u8]) -> Request {
    Request::new(SASL_AUTHENTICATE, version)
        .bytes(Some(token))
        .tags()
}
