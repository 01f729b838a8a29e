//! The request header: v1 (key, version, correlation id, client id), v2 with tagged fields for flexible versions.
//!
//! The client id keeps its i16 length in v2 (Kafka: `RequestHeader.json`).

use super::reader::{ReadError, Reader};
use super::{Served, served};

/// A header of a request that is served.
#[derive(Clone, Copy, Debug)]
pub struct RequestHeader<'a> {
    pub served: &'static Served,
    pub version: i16,
    pub correlation_id: i32,
    /// `None`: null, or not UTF-8.
    pub client_id: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("{0}")]
    Malformed(#[from] ReadError),
    #[error("API {key} is not served")]
    UnsupportedApi { key: i16 },
    #[error("version {version} of API {key} is not served")]
    UnsupportedVersion {
        key: i16,
        version: i16,
        correlation_id: i32,
    },
}

/// Reads a request's header; the reader then stands at the body.
///
/// # Errors
/// For APIs and versions outside the table, and for malformed bytes.
pub fn read<'a>(reader: &mut Reader<'a>) -> Result<RequestHeader<'a>, HeaderError> {
    let key = reader.i16()?;
    let version = reader.i16()?;
    let correlation_id = reader.i32()?;
    let served = served(key).ok_or(HeaderError::UnsupportedApi { key })?;
    if !(served.min..=served.max).contains(&version) {
        return Err(HeaderError::UnsupportedVersion {
            key,
            version,
            correlation_id,
        });
    }
    let client_id = match reader.clone().nullable_text(false) {
        Err(ReadError::Text { .. }) => {
            let length = reader.i16()?;
            reader.skip(usize::try_from(length).unwrap_or(0))?;
            None
        }
        _ => reader.nullable_text(false)?,
    };
    reader.tags(version >= served.flexible_from)?;
    Ok(RequestHeader {
        served,
        version,
        correlation_id,
        client_id,
    })
}
