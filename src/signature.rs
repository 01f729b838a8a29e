//! Signatures of Log Service requests, one implementation of each canonical form for the client that signs and the server
//! that verifies.
//!
//! ```text
//! v1   Authorization: LOG {id}:{base64(HMAC-SHA1(secret, string to sign))}
//! v4   Authorization: SLS4-HMAC-SHA256 Credential={id}/{day}/{region}/sls/aliyun_v4_request,Signature={hex}
//! ```
//!
//! Setting the headers that are signed, hashing the body and judging the time are the caller's: nothing here reads a
//! clock. Helpers write both hashes and both dates in their one form, and read the dates back.

use md5::{Digest, Md5};
use ring::digest::{SHA256, digest};

pub use self::date::{compact_date, http_date, parse_compact_date, parse_http_date};
pub use self::query::query_string;

mod date;
mod query;
pub mod v1;
pub mod v4;

/// v1: MD5 of the body, upper-case hexadecimal; only with a body.
pub const CONTENT_MD5: &str = "content-md5";
/// v4: SHA-256 of the body, lower-case hexadecimal; always.
pub const CONTENT_SHA256: &str = "x-log-content-sha256";
/// v4: the time as [`compact_date`] writes it. v1: another place for the text of `Date`.
pub const LOG_DATE: &str = "x-log-date";

/// Headers of these prefixes are signed in both versions.
const SIGNED_PREFIXES: [&str; 2] = ["x-log-", "x-acs-"];

/// A request as it is sent or was received.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// In upper case.
    pub method: &'a str,
    /// As it stands on the wire, without the query.
    pub path: &'a str,
    /// Names and decoded values; no name twice.
    pub query: &'a [(&'a str, &'a str)],
    /// Names in any case; none twice.
    pub headers: &'a [(&'a str, &'a str)],
}

impl<'a> Request<'a> {
    /// The value of a header, without blanks around it.
    fn header(&self, name: &str) -> Option<&'a str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    /// The headers that `wanted` lets through, sorted by name.
    fn sorted_headers(&self, wanted: impl Fn(&str) -> bool) -> Vec<(&'a str, &'a str)> {
        let mut headers = Vec::with_capacity(self.headers.len());
        headers.extend(self.headers.iter().filter(|(name, _)| wanted(name)));
        headers.sort_unstable_by(|(a, _), (b, _)| lower(a).cmp(lower(b)));
        headers
    }

    fn sorted_query(&self) -> Vec<(&'a str, &'a str)> {
        let mut query = self.query.to_vec();
        query.sort_by_key(|(name, _)| *name);
        query
    }

    /// About the length of a canonical form.
    fn text_len(&self) -> usize {
        let pairs = self.query.iter().chain(self.headers);
        let pairs: usize = pairs
            .map(|(name, value)| 2 * name.len() + value.len())
            .sum();
        self.path.len() + pairs + 128
    }
}

/// MD5 as `Content-MD5` takes it: 32 upper-case hexadecimal digits.
pub fn md5_hex_upper(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(32);
    push_hex(&mut text, &Md5::digest(bytes), b"0123456789ABCDEF");
    text
}

/// SHA-256 as `x-log-content-sha256` takes it: 64 lower-case hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    push_hex_lower(&mut text, digest(&SHA256, bytes).as_ref());
    text
}

fn is_signed_by_prefix(name: &str) -> bool {
    SIGNED_PREFIXES.iter().any(|prefix| {
        let start = name.get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    })
}

fn lower(name: &str) -> impl Iterator<Item = u8> {
    name.bytes().map(|byte| byte.to_ascii_lowercase())
}

/// Writes `name:value` with the name in lower case and no blanks around the value.
fn push_header(out: &mut String, name: &str, value: &str) {
    push_lower(out, name);
    out.push(':');
    out.push_str(value.trim());
}

fn push_lower(out: &mut String, name: &str) {
    out.extend(name.chars().map(|c| c.to_ascii_lowercase()));
}

fn push_hex_lower(out: &mut String, bytes: &[u8]) {
    push_hex(out, bytes, b"0123456789abcdef");
}

fn push_hex(out: &mut String, bytes: &[u8], digits: &[u8; 16]) {
    for byte in bytes {
        out.push(char::from(digits[usize::from(byte >> 4)]));
        out.push(char::from(digits[usize::from(byte & 15)]));
    }
}

#[cfg(test)]
mod tests;
