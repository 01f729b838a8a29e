//! InitProducerId (22), versions 0–4.
//!
//! Honoured: a producer's own id and epoch (v3+, KIP-360). Ignored: the transaction time-out. A transactional id is for
//! the caller to refuse. v2 is flexible; v4 adds only an error code that we do not send.

use bytes::Bytes;
use kafka_protocol::messages::{InitProducerIdResponse, ProducerId};

use super::error_code::ErrorCode;
use super::reader::{ReadError, Reader};
use super::writer::Writer;

const FLEXIBLE_FROM: i16 = 2;
/// First version with the producer's own id and epoch.
const OWN_ID_FROM: i16 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// It names a transactional id.
    pub transactional: bool,
    /// Id and epoch that the producer has.
    pub producer: Option<(i64, i16)>,
}

/// Reads a request's body.
///
/// # Errors
/// When it is malformed.
pub fn read(reader: &mut Reader<'_>, version: i16) -> Result<Request, ReadError> {
    let flexible = version >= FLEXIBLE_FROM;
    let transactional = reader.nullable_text(flexible)?.is_some();
    let _transaction_timeout_ms = reader.i32()?;
    let producer = if version >= OWN_ID_FROM {
        Some((reader.i64()?, reader.i16()?))
    } else {
        None
    };
    reader.tags(flexible)?;
    Ok(Request {
        transactional,
        producer: producer.filter(|(id, epoch)| *id >= 0 && *epoch >= 0),
    })
}

pub fn respond(
    version: i16,
    correlation_id: i32,
    error: ErrorCode,
    producer_id: i64,
    epoch: i16,
) -> Bytes {
    let response = InitProducerIdResponse::default()
        .with_error_code(error.code())
        .with_producer_id(ProducerId(producer_id))
        .with_producer_epoch(epoch);
    let mut writer = Writer::frame(correlation_id, version >= FLEXIBLE_FROM);
    writer.body(&response, version);
    writer.finish()
}
