//! SaslHandshake (17), versions 0–1, and SaslAuthenticate (36), versions 0–2.
//!
//! Handshake v0 is followed by bare token frames, v1 by SaslAuthenticate (KIP-152). The only mechanism is PLAIN.
//! SaslAuthenticate v1 adds the session's lifetime, always 0: any other would make clients log in again in the middle of
//! their traffic. v2 is flexible. A success carries an empty token, not a null one: kafka-python compares with it.

use bytes::Bytes;
use kafka_protocol::messages::{SaslAuthenticateResponse, SaslHandshakeResponse};
use kafka_protocol::protocol::StrBytes;

use super::error_code::ErrorCode;
use super::reader::{ReadError, Reader};
use super::writer::Writer;

/// First flexible version of SaslAuthenticate.
const FLEXIBLE_FROM: i16 = 2;

/// The mechanism that the client asks for.
///
/// # Errors
/// When the body is malformed.
pub fn read_handshake<'a>(reader: &mut Reader<'a>) -> Result<&'a str, ReadError> {
    reader.text(false)
}

/// Names the mechanism, unless the request came in the wrong order of a login, as Kafka does.
pub fn respond_handshake(correlation_id: i32, error: ErrorCode) -> Bytes {
    let mechanisms = match error {
        ErrorCode::IllegalSaslState => Vec::new(),
        _ => vec![StrBytes::from_static_str("PLAIN")],
    };
    let response = SaslHandshakeResponse::default()
        .with_error_code(error.code())
        .with_mechanisms(mechanisms);
    let mut writer = Writer::frame(correlation_id, false);
    writer.body(&response, 0);
    writer.finish()
}

/// The token.
///
/// # Errors
/// When the body is malformed or the token null.
pub fn read_authenticate<'a>(reader: &mut Reader<'a>, version: i16) -> Result<&'a [u8], ReadError> {
    let flexible = version >= FLEXIBLE_FROM;
    let at = reader.position();
    let mut whole = reader.clone();
    let range = reader.bytes(flexible)?.ok_or(ReadError::Length { at })?;
    reader.tags(flexible)?;
    whole.skip(range.start - at)?;
    whole.take(range.len())
}

/// `message` is shown to the user by most clients.
pub fn respond_authenticate(
    version: i16,
    correlation_id: i32,
    error: ErrorCode,
    message: Option<&str>,
) -> Bytes {
    let response = SaslAuthenticateResponse::default()
        .with_error_code(error.code())
        .with_error_message(message.map(|text| StrBytes::from_string(text.to_owned())))
        .with_auth_bytes(Bytes::new());
    let mut writer = Writer::frame(correlation_id, version >= FLEXIBLE_FROM);
    writer.body(&response, version);
    writer.finish()
}
