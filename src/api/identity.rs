//! Who asks: the signature of either version, its time and its key, from the head alone.
//!
//! Secrets are compared by the signatures that they make, in constant time. That the body is the one that was signed is
//! `body.rs`'s to see.

use super::error::Error;
use super::head::Head;
use super::limits::CLOCK_SKEW_MAX_S;
use crate::backend::embedded::Embedded;
use crate::backend::embedded::access::{Key, Refusal};
use crate::refusals::shown;
use crate::signature::{CONTENT_SHA256, LOG_DATE, parse_compact_date, parse_http_date, v1, v4};
use crate::tenant::ProjectName;

const API_VERSION: &str = "0.6.0";
const WRONG_SECRET: &str = "the signature is not that of this request and the key's secret";

/// The key of the project that signed this request now.
pub fn identify<'s>(
    store: &'s Embedded,
    region: &str,
    project: &ProjectName,
    head: &Head<'_>,
    now_s: i64,
) -> Result<&'s Key, Error> {
    check_version(head)?;
    let text = head
        .header("authorization")
        .ok_or(Error::MissingAccessKeyId)?;
    if !store.has_project(project) {
        return Err(Error::NoProject(project.to_string()));
    }
    if let Some(authorization) = v1::Authorization::parse(text) {
        by_version_1(store, project, head, authorization, now_s)
    } else if let Some(authorization) = v4::Authorization::parse(text) {
        by_version_4(store, region, project, head, authorization, now_s)
    } else {
        Err(Error::Unauthorized(
            "the Authorization header is neither of version 1 nor of version 4",
        ))
    }
}

fn check_version(head: &Head<'_>) -> Result<(), Error> {
    match head.header("x-log-apiversion") {
        None => Err(Error::MissingApiVersion),
        Some(API_VERSION) => Ok(()),
        Some(other) => Err(Error::InvalidApiVersion(shown(other))),
    }
}

fn by_version_1<'s>(
    store: &'s Embedded,
    project: &ProjectName,
    head: &Head<'_>,
    authorization: v1::Authorization<'_>,
    now_s: i64,
) -> Result<&'s Key, Error> {
    match head.header("x-log-signaturemethod") {
        None => return Err(Error::MissingSignatureMethod),
        Some("hmac-sha1") => {}
        Some(other) => return Err(Error::InvalidSignatureMethod(shown(other))),
    }
    let date = head.header(LOG_DATE).or_else(|| head.header("date"));
    check_time(date, parse_http_date, now_s)?;
    let key = find(store, project, authorization.id, head)?;
    let secret = &key.credentials.access_key_secret;
    if head.signed(|request| authorization.verify(secret, request)) {
        Ok(key)
    } else {
        Err(Error::SignatureNotMatch(WRONG_SECRET))
    }
}

fn by_version_4<'s>(
    store: &'s Embedded,
    region: &str,
    project: &ProjectName,
    head: &Head<'_>,
    authorization: v4::Authorization<'_>,
    now_s: i64,
) -> Result<&'s Key, Error> {
    match head.header("x-log-signaturemethod") {
        None | Some("hmac-sha256") => {}
        Some(other) => return Err(Error::InvalidSignatureMethod(shown(other))),
    }
    check_time(head.header(LOG_DATE), parse_compact_date, now_s)?;
    if authorization.region != region {
        return Err(Error::SignatureNotMatch(
            "the request is signed for another region than [embedded.api] region",
        ));
    }
    if head.signed(|request| v4::day_of(request) != authorization.day) {
        return Err(Error::SignatureNotMatch(
            "the request is signed for another day",
        ));
    }
    if head.header(CONTENT_SHA256).is_none() {
        return Err(Error::SignatureNotMatch("x-log-content-sha256 is missing"));
    }
    let key = find(store, project, authorization.id, head)?;
    let secret = &key.credentials.access_key_secret;
    let signing = v4::SigningKey::derive(secret, authorization.day, region);
    if head.signed(|request| authorization.verify(&signing, request)) {
        Ok(key)
    } else {
        Err(Error::SignatureNotMatch(WRONG_SECRET))
    }
}

fn check_time(date: Option<&str>, parse: fn(&str) -> Option<i64>, now_s: i64) -> Result<(), Error> {
    let date = date.ok_or(Error::MissingDate)?;
    let sent_s = parse(date).ok_or_else(|| Error::InvalidDateFormat(shown(date)))?;
    if (sent_s - now_s).abs() > CLOCK_SKEW_MAX_S {
        return Err(Error::RequestTimeExpired { sent_s, now_s });
    }
    Ok(())
}

fn find<'s>(
    store: &'s Embedded,
    project: &ProjectName,
    id: &str,
    head: &Head<'_>,
) -> Result<&'s Key, Error> {
    if head.header("x-acs-security-token").is_some() {
        return Err(Error::Unauthorized(Refusal::Token.reason()));
    }
    store
        .key(project, id)
        .map_err(|refusal| Error::Unauthorized(refusal.reason()))
}
