//! A request's body: read under a limit and a time, then held to the hash that its head was signed with.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use subtle::ConstantTimeEq;
use tokio::time::timeout;

use super::error::Error;
use super::head::Head;
use super::limits::BODY_BYTES_MAX;
use crate::signature::{CONTENT_MD5, CONTENT_SHA256, md5_hex_upper, sha256_hex};

/// Memory for a body begins with this much and grows with what really comes.
const FIRST_BYTES: usize = 64 << 10;

const OTHER_BODY: &str = "the body is not the one that was signed";

/// The length that the head announces, within the limit.
pub fn length(body: &Incoming, bytes_max: u64) -> Result<usize, Error> {
    let announced = body.size_hint().exact();
    let announced = announced.ok_or(Error::MissingContentLength)?;
    if announced > bytes_max {
        return Err(Error::BodyTooLarge);
    }
    usize::try_from(announced).map_err(|_| Error::BodyTooLarge)
}

/// The body, which has this length.
pub async fn read(
    head: &Head<'_>,
    body: &mut Incoming,
    len: usize,
    patience: Duration,
) -> Result<Vec<u8>, Error> {
    let all = timeout(patience, collect(body, len)).await;
    let bytes = all.map_err(|_| Error::RequestTimeout)??;
    check_hash(head, &bytes)?;
    Ok(bytes)
}

async fn collect(body: &mut Incoming, len: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::with_capacity(len.min(FIRST_BYTES));
    while let Some(frame) = body.frame().await {
        // A client that went away: nobody reads the answer.
        let frame = frame.map_err(|_| Error::RequestTimeout)?;
        let data = frame.into_data().unwrap_or_default();
        if data.len() > len - bytes.len() {
            return Err(Error::BodyTooLarge);
        }
        bytes.extend_from_slice(&data);
    }
    if bytes.len() == len {
        Ok(bytes)
    } else {
        Err(Error::RequestTimeout)
    }
}

/// Reads what is left of a refused request, within limits, and keeps none of it: a client that is still sending would miss
/// the answer.
pub async fn discard(body: &mut Incoming, patience: Duration) {
    let bounded = body
        .size_hint()
        .exact()
        .is_some_and(|left| left <= BODY_BYTES_MAX);
    if bounded {
        let all = async { while let Some(Ok(_)) = body.frame().await {} };
        let _ = timeout(patience, all).await;
    }
}

/// Version 1 signs both headers, version 4 the SHA-256, which it never comes without.
fn check_hash(head: &Head<'_>, bytes: &[u8]) -> Result<(), Error> {
    let (sha256, md5) = (head.header(CONTENT_SHA256), head.header(CONTENT_MD5));
    if sha256.is_none() && md5.is_none() && !bytes.is_empty() {
        return Err(Error::SignatureNotMatch("Content-MD5 is missing"));
    }
    if let Some(signed) = sha256 {
        matches(signed, &sha256_hex(bytes))?;
    }
    if let Some(signed) = md5 {
        matches(signed, &md5_hex_upper(bytes))?;
    }
    Ok(())
}

fn matches(signed: &str, found: &str) -> Result<(), Error> {
    if signed.as_bytes().ct_eq(found.as_bytes()).into() {
        Ok(())
    } else {
        Err(Error::SignatureNotMatch(OTHER_BODY))
    }
}
