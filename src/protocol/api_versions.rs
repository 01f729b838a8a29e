//! ApiVersions (18), versions 0–4.
//!
//! Honoured: the version. Ignored: the client's software name and version (v3+), which are read loosely.
//! The response header is always v0, so that a client that guessed wrong can read the answer (KIP-511).
//! v1 adds the throttle time; v3 is flexible; v4 changes only how min versions of features are told, of which we have none.

use bytes::Bytes;
use kafka_protocol::messages::ApiVersionsResponse;
use kafka_protocol::messages::api_versions_response::ApiVersion;

use super::error_code::ErrorCode;
use super::reader::{ReadError, Reader};
use super::writer::Writer;
use super::{Api, SERVED};

/// First flexible version.
const FLEXIBLE_FROM: i16 = 3;

/// Reads a request's body.
///
/// # Errors
/// When it is malformed.
pub fn read(reader: &mut Reader<'_>, version: i16) -> Result<(), ReadError> {
    if version >= FLEXIBLE_FROM {
        reader.nullable_text(true)?;
        reader.nullable_text(true)?;
        reader.tags(true)?;
    }
    Ok(())
}

/// The whole table.
pub fn respond(version: i16, correlation_id: i32) -> Bytes {
    let keys = SERVED.iter().map(|served| {
        ApiVersion::default()
            .with_api_key(served.key)
            .with_min_version(served.min)
            .with_max_version(served.max)
    });
    let response = ApiVersionsResponse::default().with_api_keys(keys.collect());
    let mut writer = Writer::frame(correlation_id, false);
    writer.body(&response, version);
    writer.finish()
}

/// To a request in the wrong order of a login.
pub fn respond_refused(version: i16, correlation_id: i32, error: ErrorCode) -> Bytes {
    let response = ApiVersionsResponse::default().with_error_code(error.code());
    let mut writer = Writer::frame(correlation_id, false);
    writer.body(&response, version);
    writer.finish()
}

/// To a request of a version that is not served: a v0 body with 35 and the one entry that tells which are, as Kafka
/// gives it (`ApiVersionsResponse`).
pub fn respond_unsupported(correlation_id: i32) -> Bytes {
    let own = SERVED
        .iter()
        .filter(|served| served.api == Api::ApiVersions);
    let mut writer = Writer::frame(correlation_id, false);
    writer.i16(ErrorCode::UnsupportedVersion.code());
    writer.count(own.clone().count(), false);
    for served in own {
        writer.i16(served.key);
        writer.i16(served.min);
        writer.i16(served.max);
    }
    writer.finish()
}
