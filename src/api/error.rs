//! Why a request is refused: the Log Service's code and status for it, and a text that helps whoever sent it.
//!
//! Peers' texts are shown cut and escaped; secrets, signatures and what the store says inside are not shown at all.

use hyper::StatusCode;

use super::limits::{
    BODY_BYTES_MAX, CLOCK_SKEW_MAX_S, KEY_BYTES_MAX, LOGS_MAX, RAW_BYTES_MAX, TEXT_BYTES_MAX,
    VALUE_BYTES_MAX,
};
use crate::backend::embedded::reader::ReadError;
use crate::backend::embedded::service::CreateError;
use crate::backend::{PutError, SetError};
use crate::logs::LogGroupError;
use crate::signature::http_date;
use crate::tenant::{LogstoreName, ProjectName};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    // The head.
    #[error("the request has no Host header, or more than one")]
    MissingHost,
    #[error("the host of the request line is not the Host header's")]
    InvalidHost,
    #[error("{0}")]
    Parameter(&'static str),
    #[error("the header {0} stands there twice or is not plain text")]
    Header(String),
    #[error("a body takes a Content-Length; chunked bodies are not read")]
    MissingContentLength,
    #[error("x-log-apiversion is missing")]
    MissingApiVersion,
    #[error("x-log-apiversion is `{0}`; this is 0.6.0")]
    InvalidApiVersion(String),
    #[error("x-log-bodyrawsize is missing")]
    MissingBodyRawSize,
    #[error("x-log-bodyrawsize is not the size of the body before compression")]
    InvalidBodyRawSize,
    #[error("x-log-compresstype is `{0}`; lz4, zstd and deflate are known")]
    InvalidCompressType(String),
    #[error("Content-Type is missing; this call takes {0}")]
    MissingContentType(&'static str),
    #[error("Content-Type is `{found}`; this call takes {wanted}")]
    InvalidContentType { found: String, wanted: &'static str },
    #[error("{0}")]
    NotSupported(&'static str),

    // Who.
    #[error("the request is not signed: it has no Authorization header")]
    MissingAccessKeyId,
    #[error("x-log-signaturemethod is missing")]
    MissingSignatureMethod,
    #[error(
        "x-log-signaturemethod is `{0}`; version 1 takes hmac-sha1, version 4 hmac-sha256 or none"
    )]
    InvalidSignatureMethod(String),
    #[error(
        "the date is missing: Date for signatures of version 1, x-log-date for those of version 4"
    )]
    MissingDate,
    #[error("the date `{0}` is not in the form of this version of the signature")]
    InvalidDateFormat(String),
    #[error(
        "the request is of {}, here it is {}: more than {CLOCK_SKEW_MAX_S} seconds apart",
        http_date(*sent_s), http_date(*now_s)
    )]
    RequestTimeExpired { sent_s: i64, now_s: i64 },
    #[error("requests of web pages are not served")]
    Browser,
    #[error("{0}")]
    Unauthorized(&'static str),
    #[error("the access key has not the right that {call} takes: {rights}")]
    NoRight {
        call: &'static str,
        rights: &'static str,
    },
    #[error("the access key does not reach the Logstore {0}")]
    OtherLogstore(LogstoreName),
    #[error("{0}")]
    SignatureNotMatch(&'static str),

    // Where.
    #[error(
        "the project `{0}` does not exist; it is read from x-log-project, else from the first label of Host"
    )]
    NoProject(String),
    #[error("the Logstore `{0}` does not exist")]
    NoLogstore(String),
    #[error("the Logstore {logstore} has no shard `{shard}`")]
    NoShard {
        logstore: LogstoreName,
        shard: String,
    },
    #[error("the cursor is none of this shard")]
    InvalidCursor,

    // What.
    #[error("a body has at most {BODY_BYTES_MAX} bytes, and JSON far fewer")]
    BodyTooLarge,
    #[error("a LogGroup has at most {RAW_BYTES_MAX} bytes before compression")]
    GroupTooLarge,
    #[error("a LogGroup has at most {LOGS_MAX} logs")]
    TooManyLogs,
    #[error("the body is not what x-log-compresstype and x-log-bodyrawsize say")]
    Uncompress,
    #[error("the body is not a LogGroup: {0}")]
    BadGroup(#[from] LogGroupError),
    #[error("the LogGroup has no log")]
    NoLog,
    #[error("log {0} has no field")]
    NoField(u32),
    #[error("log {log} has a key of {bytes} bytes; {KEY_BYTES_MAX} is the most")]
    KeyTooLong { log: u32, bytes: usize },
    #[error("log {log} has a value of {bytes} bytes; {VALUE_BYTES_MAX} is the most")]
    ValueTooLong { log: u32, bytes: usize },
    #[error("the topic, the source and a tag's key have at most {TEXT_BYTES_MAX} bytes")]
    TextTooLong,
    #[error("log {log} has the time {time}, which is not between {min} and {max}")]
    TimeOutOfRange {
        log: u32,
        time: u32,
        min: i64,
        max: i64,
    },
    #[error("{0}")]
    LogstoreInfo(&'static str),
    #[error("the Logstore {0} exists already")]
    LogstoreExists(LogstoreName),
    #[error("{0}")]
    ProjectFull(CreateError),

    // Here.
    #[error("the request did not come in time")]
    RequestTimeout,
    #[error("there is no room for this request now")]
    Busy,
    #[error("the store cannot take it now: {0}")]
    NotStored(&'static str),
    #[error("the store failed; whether it was done is not known")]
    Uncertain,
    #[error("the store cannot be read")]
    Unreadable,
}

impl Error {
    /// The Log Service's code, and the status of the answer.
    pub fn code(&self) -> (&'static str, StatusCode) {
        let bad = StatusCode::BAD_REQUEST;
        match self {
            Self::MissingHost => ("MissingHost", bad),
            Self::InvalidHost => ("InvalidHost", bad),
            Self::Parameter(_) | Self::Header(_) => ("ParameterInvalid", bad),
            Self::MissingContentLength => ("MissingContentLength", StatusCode::LENGTH_REQUIRED),
            Self::MissingApiVersion => ("MissingAPIVersion", bad),
            Self::InvalidApiVersion(_) => ("InvalidAPIVersion", bad),
            Self::MissingBodyRawSize => ("MissingBodyRawSize", bad),
            Self::InvalidBodyRawSize => ("InvalidBodyRawSize", bad),
            Self::InvalidCompressType(_) => ("InvalidCompressType", bad),
            Self::MissingContentType(_) => ("MissingContentType", bad),
            Self::InvalidContentType { .. } => {
                ("InvalidContentType", StatusCode::UNSUPPORTED_MEDIA_TYPE)
            }
            Self::NotSupported(_) => ("NotSupported", bad),
            Self::MissingAccessKeyId => ("MissAccessKeyId", bad),
            Self::MissingSignatureMethod => ("MissingSignatureMethod", bad),
            Self::InvalidSignatureMethod(_) => ("InvalidSignatureMethod", bad),
            Self::MissingDate => ("MissingDate", bad),
            Self::InvalidDateFormat(_) => ("InvalidDateFormat", bad),
            Self::RequestTimeExpired { .. } => ("RequestTimeExpired", bad),
            Self::Browser
            | Self::Unauthorized(_)
            | Self::NoRight { .. }
            | Self::OtherLogstore(_) => ("Unauthorized", StatusCode::UNAUTHORIZED),
            Self::SignatureNotMatch(_) => ("SignatureNotMatch", StatusCode::UNAUTHORIZED),
            Self::NoProject(_) => ("ProjectNotExist", StatusCode::NOT_FOUND),
            Self::NoLogstore(_) => ("LogStoreNotExist", StatusCode::NOT_FOUND),
            Self::NoShard { .. } => ("ShardNotExist", bad),
            Self::InvalidCursor => ("InvalidCursor", bad),
            Self::BodyTooLarge | Self::GroupTooLarge | Self::TooManyLogs => {
                ("PostBodyTooLarge", StatusCode::PAYLOAD_TOO_LARGE)
            }
            Self::Uncompress => ("PostBodyUncompressError", bad),
            Self::BadGroup(LogGroupError::NotUtf8) => ("InvalidEncoding", bad),
            Self::KeyTooLong { .. } => ("InvalidKey", bad),
            Self::BadGroup(_)
            | Self::NoLog
            | Self::NoField(_)
            | Self::ValueTooLong { .. }
            | Self::TextTooLong
            | Self::TimeOutOfRange { .. } => ("PostBodyInvalid", bad),
            Self::LogstoreInfo(_) => ("LogStoreInfoInvalid", bad),
            Self::LogstoreExists(_) => ("LogStoreAlreadyExist", bad),
            Self::ProjectFull(_) => ("ProjectQuotaExceed", bad),
            Self::RequestTimeout => ("RequestTimeout", StatusCode::INTERNAL_SERVER_ERROR),
            Self::Busy | Self::NotStored(_) => ("ServerBusy", StatusCode::SERVICE_UNAVAILABLE),
            Self::Uncertain | Self::Unreadable => {
                ("InternalServerError", StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }

    /// Of a write to this place.
    pub fn of_put(error: SetError, project: &ProjectName, logstore: &LogstoreName) -> Self {
        match error {
            SetError::Whole(PutError::NotStored(reason)) => Self::NotStored(reason),
            SetError::Whole(PutError::NoProject) => Self::NoProject(project.to_string()),
            SetError::Whole(PutError::NoLogstore) => Self::NoLogstore(logstore.to_string()),
            SetError::Whole(PutError::Unauthorized) => Self::Unauthorized("the key may not write"),
            // The embedded store says nothing else, and stores a set whole or not at all.
            SetError::Whole(_) | SetError::Each(_) => Self::Uncertain,
        }
    }

    pub fn of_create(error: CreateError, project: &ProjectName, logstore: &LogstoreName) -> Self {
        match error {
            CreateError::NoProject => Self::NoProject(project.to_string()),
            CreateError::Exists => Self::LogstoreExists(logstore.clone()),
            CreateError::LogstoresFull | CreateError::ShardsFull => Self::ProjectFull(error),
            CreateError::Failed(_) => Self::Uncertain,
        }
    }
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NoLogstore { logstore, .. } => Self::NoLogstore(logstore.to_string()),
            ReadError::NoShard {
                logstore, shard, ..
            } => Self::NoShard {
                logstore,
                shard: shard.to_string(),
            },
            ReadError::Damaged { .. } | ReadError::Name { .. } | ReadError::Failed { .. } => {
                tracing::error!(%error, "cannot read the store");
                Self::Unreadable
            }
        }
    }
}
