//! The headers of a call, with its signature: made anew for each try, since the time is signed.

use std::borrow::Cow;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::call::{Call, Payload};
use super::error::{CallError, Kind};
use super::{Endpoint, SignatureVersion};
use crate::logs::{Compression, Digest};
use crate::signature::{self, Request, compact_date, http_date, v1, v4};
use crate::tenant::Credentials;

const API_VERSION: &str = "0.6.0";
const CONTENT_TYPE: &str = "application/x-protobuf";
const TOKEN: &str = "x-acs-security-token";
const AUTHORIZATION: &str = "authorization";
/// SHA-256 of nothing.
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

type Headers<'a> = Vec<(&'static str, Cow<'a, str>)>;

/// The headers of `call`, signed at `now_s` of the Log Service's clock. `host` is what is sent as `Host`.
///
/// # Errors
/// When the credentials hold what no header may.
pub(super) fn headers(
    call: &Call,
    version: SignatureVersion,
    endpoint: &Endpoint,
    host: &str,
    credentials: &Credentials,
    now_s: i64,
) -> Result<HeaderMap, CallError> {
    let mut headers: Headers<'_> = vec![
        ("host", host.into()),
        ("x-log-apiversion", API_VERSION.into()),
        ("x-log-bodyrawsize", raw_size(call).into()),
    ];
    put_payload(&mut headers, call);
    if let Some(token) = &credentials.security_token {
        headers.push((TOKEN, token.expose().into()));
    }
    let payload = call.payload.as_ref();
    match version {
        SignatureVersion::V1 => prepare_v1(&mut headers, payload, now_s),
        SignatureVersion::V4 => prepare_v4(&mut headers, payload, now_s),
    }
    let authorization = authorization(call, version, endpoint, credentials, &headers);
    headers.push((AUTHORIZATION, authorization.into()));
    into_map(headers)
}

fn raw_size(call: &Call) -> String {
    let payload = call.payload.as_ref();
    payload.map_or(0, |payload| payload.raw_bytes).to_string()
}

fn put_payload(headers: &mut Headers<'_>, call: &Call) {
    match &call.payload {
        // With a body the HTTP client writes its length.
        None => headers.push(("content-length", "0".into())),
        Some(payload) => {
            headers.push(("content-type", CONTENT_TYPE.into()));
            let compression = match payload.compression {
                Compression::Lz4 => "lz4",
                Compression::Zstd => "zstd",
            };
            headers.push(("x-log-compresstype", compression.into()));
        }
    }
}

fn prepare_v1(headers: &mut Headers<'_>, payload: Option<&Payload>, now_s: i64) {
    headers.push(("date", http_date(now_s).into()));
    headers.push(("x-log-signaturemethod", "hmac-sha1".into()));
    if let Some(payload) = payload {
        headers.push((signature::CONTENT_MD5, hash(payload).into()));
    }
}

fn prepare_v4(headers: &mut Headers<'_>, payload: Option<&Payload>, now_s: i64) {
    headers.push((signature::LOG_DATE, compact_date(now_s).into()));
    let hash = payload.map_or(EMPTY_SHA256.into(), |payload| hash(payload).into());
    headers.push((signature::CONTENT_SHA256, hash));
}

/// The digest in the one form that its header takes.
fn hash(payload: &Payload) -> String {
    match &payload.digest {
        Digest::Md5(bytes) => hex(bytes, b"0123456789ABCDEF"),
        Digest::Sha256(bytes) => hex(bytes, b"0123456789abcdef"),
    }
}

fn hex(bytes: &[u8], digits: &[u8; 16]) -> String {
    let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    halves
        .map(|half| char::from(digits[usize::from(half)]))
        .collect()
}

fn authorization(
    call: &Call,
    version: SignatureVersion,
    endpoint: &Endpoint,
    credentials: &Credentials,
    headers: &Headers<'_>,
) -> String {
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (*name, &**value))
        .collect();
    let query: Vec<(&str, &str)> = call
        .query
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let request = Request {
        method: call.method.as_str(),
        path: &call.path,
        query: &query,
        headers: &headers,
    };
    let (id, secret) = (&credentials.access_key_id, &credentials.access_key_secret);
    match version {
        SignatureVersion::V1 => v1::authorization(id, secret, &request),
        SignatureVersion::V4 => {
            // Without one the Log Service refuses, which is what a check of the configuration is there to prevent.
            let region = endpoint.signing_region.as_deref().unwrap_or_default();
            v4::authorization(id, secret, region, &request)
        }
    }
}

fn into_map(headers: Headers<'_>) -> Result<HeaderMap, CallError> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        // Only what a client logged in with can hold such bytes.
        let Some(mut value) = header_value(&value) else {
            return Err(CallError::unsent(
                refused(name),
                "characters that no key has",
            ));
        };
        value.set_sensitive(matches!(name, AUTHORIZATION | TOKEN));
        map.insert(HeaderName::from_static(name), value);
    }
    Ok(map)
}

/// Visible ASCII and blanks: whatever else a header may hold, front ends disagree on it.
fn header_value(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(text).ok().filter(|_| text.is_ascii())
}

fn refused(header: &str) -> Kind {
    match header {
        TOKEN => Kind::Unauthorized,
        _ => Kind::InvalidAccessKeyId,
    }
}
