//! Version 1: HMAC-SHA1 over method, Content-MD5, Content-Type, date, `x-log-` and `x-acs-` headers, path and query.
//!
//! ```text
//! POST                                   method
//! C0C9F9BAD7DC1421434C9B62935AC837       Content-MD5, empty without a body
//! application/x-protobuf                 Content-Type, empty without the header
//! Thu, 02 Jan 2025 03:04:05 GMT          Date
//! x-log-apiversion:0.6.0                 each signed header, sorted
//! …
//! /logstores/a/shards/route?key=14…      path, sorted query with decoded values; no line feed behind it
//! ```
//!
//! `x-log-date` takes the place of `Date` where it is sent and is left out of the headers' lines: the official Python SDK
//! adds it after signing.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use super::{CONTENT_MD5, LOG_DATE, Request, is_signed_by_prefix, push_header};
use crate::tenant::Secret;

const SCHEME: &str = "LOG ";

/// What an `Authorization` header of this version says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authorization<'a> {
    pub id: &'a str,
    /// Base64, as received.
    pub signature: &'a str,
}

/// The value of `Authorization`. The date must be among the headers.
pub fn authorization(id: &str, secret: &Secret, request: &Request<'_>) -> String {
    let tag = hmac::sign(&key(secret), string_to_sign(request).as_bytes());
    let mut text = String::with_capacity(SCHEME.len() + id.len() + 29);
    text.push_str(SCHEME);
    text.push_str(id);
    text.push(':');
    STANDARD.encode_string(tag, &mut text);
    text
}

impl<'a> Authorization<'a> {
    /// `None`: of another version, or malformed.
    pub fn parse(value: &'a str) -> Option<Self> {
        let (id, signature) = value.strip_prefix(SCHEME)?.trim().split_once(':')?;
        let is_whole = !id.is_empty() && !signature.is_empty();
        is_whole.then_some(Self { id, signature })
    }

    /// Does the signature belong to this request? In constant time for a signature of the right form.
    pub fn verify(&self, secret: &Secret, request: &Request<'_>) -> bool {
        STANDARD.decode(self.signature).is_ok_and(|signature| {
            hmac::verify(&key(secret), string_to_sign(request).as_bytes(), &signature).is_ok()
        })
    }
}

fn key(secret: &Secret) -> hmac::Key {
    hmac::Key::new(
        hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        secret.expose().as_bytes(),
    )
}

/// The text that is signed.
pub fn string_to_sign(request: &Request<'_>) -> String {
    let header = |name| request.header(name).unwrap_or_default();
    let date = request.header(LOG_DATE).unwrap_or_else(|| header("date"));
    let mut text = String::with_capacity(request.text_len());
    for line in [
        request.method,
        header(CONTENT_MD5),
        header("content-type"),
        date,
    ] {
        text.push_str(line);
        text.push('\n');
    }
    for (name, value) in request.sorted_headers(is_signed) {
        push_header(&mut text, name, value);
        text.push('\n');
    }
    text.push_str(request.path);
    for (index, (name, value)) in request.sorted_query().into_iter().enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        text.push_str(value);
    }
    text
}

fn is_signed(name: &str) -> bool {
    is_signed_by_prefix(name) && !name.eq_ignore_ascii_case(LOG_DATE)
}
