//! Why a call failed: a closed set to decide by, and a short text for the log.
//!
//! Which code of the Log Service means what stands in [`codes`](super::codes). The message of a refusal is not kept: that
//! of a wrong signature repeats what was signed, security token and all.

use std::fmt;

/// A failed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    pub kind: Kind,
    /// `None`: no answer of the Log Service came.
    pub status: Option<u16>,
    /// The Log Service's error code, or what failed on the way; escaped and cut. May be empty.
    pub text: Box<str>,
    /// What the Log Service's support asks for.
    pub request_id: Option<Box<str>>,
}

/// What a failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Kind {
    #[error("the key is not valid here or may not do this")]
    Unauthorized,
    #[error("the id of the key is not valid")]
    InvalidAccessKeyId,
    #[error("the signature does not match")]
    SignatureNotMatch,
    /// Usually an unpaid bill.
    #[error("the project is disabled")]
    ProjectForbidden,
    /// Not the client's fault and not the record's.
    #[error("the request is malformed")]
    OurFault,
    /// Still, with the time of the Log Service's own refusal.
    #[error("the Log Service's clock is more than 15 minutes away")]
    ClockSkew,
    #[error("there is no such project in this region")]
    NoProject,
    #[error("there is no such Logstore")]
    NoLogstore,
    /// The Logstore is being made or resharded.
    #[error("there is no such shard")]
    NoShard,
    #[error("the content is refused: {0}")]
    Content(Content),
    #[error("the group is too large")]
    TooLarge,
    #[error("the body cannot be decompressed")]
    BadCompression,
    #[error("{0}")]
    Quota(Quota),
    #[error("the Log Service failed")]
    ServerError,
    #[error("the Log Service is busy")]
    Busy,
    /// No answer, or one that is not the Log Service's.
    #[error("the network failed")]
    Network { sent: Sent },
    /// From the Log Service, but nothing that it should have said.
    #[error("the answer cannot be read")]
    BadAnswer,
    /// A code that is not known here.
    #[error("the Log Service refused")]
    Unknown,
}

/// What a group was refused for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Content {
    #[error("it cannot be parsed")]
    Body,
    #[error("a time is out of range")]
    Timestamp,
    #[error("a text is not UTF-8")]
    Encoding,
    #[error("a field name is bad")]
    Key,
}

/// Whose rate is exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{level} is over its quota{measure}")]
pub struct Quota {
    pub level: QuotaLevel,
    pub measure: Measure,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuotaLevel {
    #[error("the shard")]
    Shard,
    #[error("the project")]
    Project,
    /// Calls that ask, like ListShards.
    #[error("reading")]
    Reads,
}

/// What a quota counts, where the refusal says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Measure {
    #[error(" of bytes")]
    Bytes,
    #[error(" of requests")]
    Requests,
    #[error("")]
    Untold,
}

/// Did the network take a write's body?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Nothing of it: nothing is stored.
    No,
    /// The Log Service may have it.
    Maybe,
}

/// Longest text and request id that are kept, in characters.
const TEXT_CHARS_MAX: usize = 160;

impl CallError {
    /// A request that cannot be made.
    pub(super) fn ours(text: &str) -> Self {
        Self::unsent(Kind::OurFault, text)
    }

    /// Refused before anything was sent.
    pub(super) fn unsent(kind: Kind, text: &str) -> Self {
        Self {
            kind,
            status: None,
            text: clean(text),
            request_id: None,
        }
    }

    pub(super) fn network(sent: Sent, text: &str) -> Self {
        Self::unsent(Kind::Network { sent }, text)
    }

    /// May the write have been stored all the same? A refusal tells that it was not, and so does the Log Service's word
    /// that it failed or is busy.
    pub fn may_be_stored(&self) -> bool {
        match self.kind {
            Kind::Network { sent } => sent == Sent::Maybe,
            Kind::BadAnswer => true,
            _ => false,
        }
    }

    /// May the same request succeed a moment later, with nobody doing anything about it?
    pub fn is_worth_retrying(&self) -> bool {
        match self.kind {
            Kind::NoShard
            | Kind::BadCompression
            | Kind::Quota(_)
            | Kind::ServerError
            | Kind::Busy
            | Kind::Network { .. }
            | Kind::BadAnswer => true,
            Kind::Unauthorized
            | Kind::InvalidAccessKeyId
            | Kind::SignatureNotMatch
            | Kind::ProjectForbidden
            | Kind::OurFault
            | Kind::ClockSkew
            | Kind::NoProject
            | Kind::NoLogstore
            | Kind::Content(_)
            | Kind::TooLarge
            | Kind::Unknown => false,
        }
    }

    /// Which quota is exceeded, if one is.
    pub fn quota(&self) -> Option<Quota> {
        match self.kind {
            Kind::Quota(quota) => Some(quota),
            _ => None,
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        let mut facts = Vec::new();
        facts.extend(self.status.map(|status| status.to_string()));
        facts.extend((!self.text.is_empty()).then(|| self.text.to_string()));
        facts.extend(self.request_id.as_ref().map(|id| format!("request {id}")));
        match facts.is_empty() {
            true => Ok(()),
            false => write!(f, " ({})", facts.join(", ")),
        }
    }
}

impl std::error::Error for CallError {}

/// A peer's text, fit for a log.
pub(super) fn clean(text: &str) -> Box<str> {
    let escaped = text.chars().flat_map(char::escape_debug);
    escaped.take(TEXT_CHARS_MAX).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peers_text_is_escaped_and_cut() {
        assert_eq!(&*clean("Bad\r\n\u{1b}[31mCode"), "Bad\\r\\n\\u{1b}[31mCode");
        assert_eq!(clean(&"x".repeat(10_000)).len(), TEXT_CHARS_MAX);
    }

    #[test]
    fn an_error_reads_as_one_line_with_its_facts() {
        let error = CallError {
            kind: Kind::Quota(Quota {
                level: QuotaLevel::Shard,
                measure: Measure::Bytes,
            }),
            status: Some(403),
            text: "ShardWriteQuotaExceed".into(),
            request_id: Some("5C3E".into()),
        };
        assert_eq!(
            error.to_string(),
            "the shard is over its quota of bytes (403, ShardWriteQuotaExceed, request 5C3E)"
        );
        let error = CallError::network(Sent::No, "");
        assert_eq!(error.to_string(), "the network failed");
    }
}
