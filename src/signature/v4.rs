//! Version 4: HMAC-SHA256 over a canonical request, with a key derived for one day and region.
//!
//! ```text
//! canonical request                          string to sign
//!   POST                                       SLS4-HMAC-SHA256
//!   /logstores/a/shards/lb                     20250102T030405Z
//!   key=14…            sorted, values encoded   20250102/cn-hangzhou/sls/aliyun_v4_request
//!   host:…             each signed header       hex(SHA-256(canonical request))
//!   …
//!                      an empty line
//!   host;…             their names
//!   e3886bcb…          hash of the body
//! ```
//!
//! Signed are `host`, `content-type` and all `x-log-` and `x-acs-` headers. The header does not list them: the server
//! takes all that it receives, so whoever adds one on the way breaks the signature.

use std::sync::Arc;

use ring::digest::{SHA256, digest};
use ring::hmac;
use zeroize::Zeroizing;

use super::query::push_encoded;
use super::{
    CONTENT_SHA256, LOG_DATE, Request, is_signed_by_prefix, push_header, push_hex_lower, push_lower,
};
use crate::tenant::Secret;

const ALGORITHM: &str = "SLS4-HMAC-SHA256";
const PRODUCT: &str = "sls";
const TERMINATOR: &str = "aliyun_v4_request";
/// Stands before the secret in the first key.
const SECRET_PREFIX: &str = "aliyun_v4";
/// `yyyyMMdd`.
const DAY_LEN: usize = 8;
const SIGNATURE_BYTES: usize = 32;

/// What is derived from a secret for one day and region. Worth keeping: it takes four HMACs to make.
#[derive(Clone)]
pub struct SigningKey {
    day: Box<str>,
    region: Arc<str>,
    key: Zeroizing<[u8; SIGNATURE_BYTES]>,
}

/// What an `Authorization` header of this version says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authorization<'a> {
    pub id: &'a str,
    pub day: &'a str,
    pub region: &'a str,
    /// Hexadecimal, as received.
    pub signature: &'a str,
}

/// The value of `Authorization`. `x-log-date` and `x-log-content-sha256` must be among the headers, and `Host` as it is
/// sent.
pub fn authorization(id: &str, secret: &Secret, region: &str, request: &Request<'_>) -> String {
    SigningKey::derive(secret, day_of(request), region).authorization(id, request)
}

/// The day of a request: the start of its `x-log-date`.
pub fn day_of<'a>(request: &Request<'a>) -> &'a str {
    let date = request.header(LOG_DATE).unwrap_or_default();
    date.get(..DAY_LEN).unwrap_or(date)
}

impl SigningKey {
    /// `day` is `yyyyMMdd`.
    pub fn derive(secret: &Secret, day: &str, region: &str) -> Self {
        let mut first = Zeroizing::new(Vec::with_capacity(
            SECRET_PREFIX.len() + secret.expose().len(),
        ));
        first.extend_from_slice(SECRET_PREFIX.as_bytes());
        first.extend_from_slice(secret.expose().as_bytes());
        let mut key = step(&first, day);
        for text in [region, PRODUCT, TERMINATOR] {
            key = step(&*key, text);
        }
        Self {
            day: day.into(),
            region: region.into(),
            key,
        }
    }

    /// Is it the key of this day and region?
    pub fn is_for(&self, day: &str, region: &str) -> bool {
        *self.day == *day && *self.region == *region
    }

    /// See [`authorization`].
    pub fn authorization(&self, id: &str, request: &Request<'_>) -> String {
        let Self { day, region, .. } = self;
        let mut text =
            format!("{ALGORITHM} Credential={id}/{day}/{region}/{PRODUCT}/{TERMINATOR},Signature=");
        push_hex_lower(&mut text, self.sign(request).as_ref());
        text
    }

    fn sign(&self, request: &Request<'_>) -> hmac::Tag {
        hmac::sign(&self.hmac(), self.string_to_sign(request).as_bytes())
    }

    fn hmac(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &*self.key)
    }

    /// The text that is signed.
    pub fn string_to_sign(&self, request: &Request<'_>) -> String {
        let Self { day, region, .. } = self;
        let date = request.header(LOG_DATE).unwrap_or_default();
        let mut text = format!("{ALGORITHM}\n{date}\n{day}/{region}/{PRODUCT}/{TERMINATOR}\n");
        let canonical = digest(&SHA256, canonical_request(request).as_bytes());
        push_hex_lower(&mut text, canonical.as_ref());
        text
    }
}

impl<'a> Authorization<'a> {
    /// `None`: of another version, or malformed.
    pub fn parse(value: &'a str) -> Option<Self> {
        let rest = value.strip_prefix(ALGORITHM)?.strip_prefix(' ')?;
        let (credential, signature) = rest.trim().split_once(',')?;
        let signature = signature.trim_start().strip_prefix("Signature=")?;
        let mut scope = credential.strip_prefix("Credential=")?.rsplitn(5, '/');
        if scope.next() != Some(TERMINATOR) || scope.next() != Some(PRODUCT) {
            return None;
        }
        let (region, day, id) = (scope.next()?, scope.next()?, scope.next()?);
        let is_whole = !id.is_empty() && day.len() == DAY_LEN && !region.is_empty();
        is_whole.then_some(Self {
            id,
            day,
            region,
            signature,
        })
    }

    /// Does the signature belong to this request, by a key of the same day and region? In constant time for a signature
    /// of the right form.
    pub fn verify(&self, key: &SigningKey, request: &Request<'_>) -> bool {
        key.is_for(self.day, self.region)
            && unhex(self.signature).is_some_and(|signature| {
                let text = key.string_to_sign(request);
                hmac::verify(&key.hmac(), text.as_bytes(), &signature).is_ok()
            })
    }
}

fn step(key: &[u8], text: &str) -> Zeroizing<[u8; SIGNATURE_BYTES]> {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    let mut next = Zeroizing::new([0; SIGNATURE_BYTES]);
    next.copy_from_slice(tag.as_ref());
    next
}

fn unhex(text: &str) -> Option<[u8; SIGNATURE_BYTES]> {
    let digit = |byte| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let text: &[u8; 2 * SIGNATURE_BYTES] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; SIGNATURE_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// The request as version 4 sees it.
pub fn canonical_request(request: &Request<'_>) -> String {
    let headers = request.sorted_headers(is_signed);
    let mut text = String::with_capacity(request.text_len() + 64);
    for line in [request.method, request.path] {
        text.push_str(line);
        text.push('\n');
    }
    push_query(&mut text, request);
    text.push('\n');
    for (name, value) in &headers {
        push_header(&mut text, name, value);
        text.push('\n');
    }
    text.push('\n');
    for (index, (name, _)) in headers.iter().enumerate() {
        if index > 0 {
            text.push(';');
        }
        push_lower(&mut text, name);
    }
    text.push('\n');
    text.push_str(request.header(CONTENT_SHA256).unwrap_or_default());
    text
}

/// Names are not encoded, and an empty value leaves out its `=`.
fn push_query(text: &mut String, request: &Request<'_>) {
    for (index, (name, value)) in request.sorted_query().into_iter().enumerate() {
        if index > 0 {
            text.push('&');
        }
        text.push_str(name);
        if !value.is_empty() {
            text.push('=');
            push_encoded(text, value);
        }
    }
}

fn is_signed(name: &str) -> bool {
    is_signed_by_prefix(name)
        || ["host", "content-type"]
            .iter()
            .any(|other| name.eq_ignore_ascii_case(other))
}
