//! An answer of the Log Service, read up to a limit.
//!
//! Only an answer with a request id is the Log Service's; any other came from something on the way.

use reqwest::Response;
use reqwest::header::{DATE, HeaderMap};
use serde::Deserialize;

use super::clock::is_plausible;
use super::codes;
use super::error::{CallError, Kind, clean};
use crate::signature::parse_http_date;

const REQUEST_ID: &str = "x-log-requestid";
/// The Log Service's clock, Unix seconds.
const SERVER_TIME: &str = "x-log-time";
/// Success of every call.
const OK: u16 = 200;
/// Of an answer that says why not.
const ERROR_BYTES_MAX: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Answer {
    status: u16,
    request_id: Box<str>,
    /// The Log Service's time, where it is told.
    pub server_s: Option<i64>,
    /// Cut at the limit, or where the connection broke.
    pub body: Vec<u8>,
}

/// The body of an error answer.
#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "errorCode")]
    code: String,
    #[serde(rename = "errorMessage", default)]
    message: String,
}

impl Answer {
    /// Reads the body, up to `bytes_max` where all went well. `None`: not the Log Service's.
    pub async fn read(response: Response, bytes_max: usize) -> Option<Self> {
        let request_id = clean(text(response.headers(), REQUEST_ID)?);
        let server_s = server_time(response.headers());
        let status = response.status().as_u16();
        let bytes_max = if status == OK {
            bytes_max
        } else {
            ERROR_BYTES_MAX
        };
        Some(Self {
            status,
            request_id,
            server_s,
            body: read_body(response, bytes_max).await,
        })
    }

    /// # Errors
    /// What the answer says, unless it says that all went well.
    pub fn into_result(self) -> Result<Self, CallError> {
        if self.status == OK {
            return Ok(self);
        }
        let refusal: Option<Refusal> = serde_json::from_slice(&self.body).ok();
        let (kind, code) = match &refusal {
            Some(Refusal { code, message }) => {
                (codes::kind_of(self.status, code, message), code.as_str())
            }
            None => (codes::kind_without_code(self.status), ""),
        };
        Err(self.error(kind, code))
    }

    /// For an answer that went well and yet is not what was asked for.
    pub fn unreadable(&self, why: &dyn std::error::Error) -> CallError {
        self.error(Kind::BadAnswer, &why.to_string())
    }

    fn error(&self, kind: Kind, text: &str) -> CallError {
        CallError {
            kind,
            status: Some(self.status),
            text: clean(text),
            request_id: Some(self.request_id.clone()),
        }
    }
}

/// What is over the limit, or behind a break, is left: the head says what became of the request.
async fn read_body(mut response: Response, bytes_max: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = bytes_max - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() >= room {
            break;
        }
    }
    body
}

fn server_time(headers: &HeaderMap) -> Option<i64> {
    let told = text(headers, SERVER_TIME).and_then(|seconds| seconds.parse().ok());
    let date = || parse_http_date(text(headers, DATE.as_str())?);
    told.or_else(date).filter(|seconds| is_plausible(*seconds))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let text = headers.get(name)?.to_str().ok()?.trim();
    (!text.is_empty()).then_some(text)
}
