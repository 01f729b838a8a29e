//! Answers: their headers, which every one has, and their bodies.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde::Serialize;

use super::error::Error;
use crate::memory::Charge;

pub type Answer = Response<Full<Bytes>>;

pub const PROTOBUF: &str = "application/x-protobuf";
pub const JSON: &str = "application/json";

const REQUEST_ID: HeaderName = HeaderName::from_static("x-log-requestid");
const LOG_TIME: HeaderName = HeaderName::from_static("x-log-time");

/// Bytes that stay spoken for until they are sent.
struct Held {
    bytes: Vec<u8>,
    _share: Charge,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Success without anything to say.
pub fn empty() -> Answer {
    Answer::default()
}

pub fn json(value: &impl Serialize) -> Answer {
    // Made of texts and numbers only: nothing in it can fail to become JSON.
    let text = serde_json::to_vec(value).expect("plain values become JSON");
    of_type(JSON, text.into())
}

/// A protobuf body that keeps its share of the memory until it is sent.
pub fn protobuf(bytes: Vec<u8>, mut share: Charge) -> Answer {
    share.shrink(bytes.len() as u64);
    let held = Held {
        bytes,
        _share: share,
    };
    of_type(PROTOBUF, Bytes::from_owner(held))
}

fn of_type(name: &'static str, body: Bytes) -> Answer {
    let mut answer = Answer::new(Full::new(body));
    let value = HeaderValue::from_static(name);
    answer.headers_mut().insert(CONTENT_TYPE, value);
    answer
}

pub fn refusal(error: &Error) -> Answer {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        error_code: &'static str,
        error_message: String,
    }
    let (error_code, status) = error.code();
    let mut answer = json(&Body {
        error_code,
        error_message: error.to_string(),
    });
    *answer.status_mut() = status;
    answer
}

/// Adds a header whose value is a text of ours.
pub fn set(answer: &mut Answer, name: &'static str, value: &str) {
    // Numbers, base64 and names of codecs: plain text.
    let value = HeaderValue::from_str(value).expect("a plain text");
    answer
        .headers_mut()
        .insert(HeaderName::from_static(name), value);
}

/// What every answer says of itself. The date is the connection's to add.
pub fn sign_off(answer: &mut Answer, request_id: &str, now_s: i64) {
    let text = |text: &str| HeaderValue::from_str(text).expect("digits");
    let headers = answer.headers_mut();
    headers.insert(REQUEST_ID, text(request_id));
    headers.insert(LOG_TIME, text(&now_s.to_string()));
}

/// Makes ids of requests: 24 upper-case hexadecimal digits, never the same twice in a process.
#[derive(Debug)]
pub struct RequestIds {
    start: u32,
    next: AtomicU64,
}

impl RequestIds {
    /// # Errors
    /// When the system has no random numbers.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            start: getrandom::u32().map_err(std::io::Error::other)?,
            next: AtomicU64::new(0),
        })
    }

    pub fn next(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{:08X}{number:016X}", self.start)
    }
}
