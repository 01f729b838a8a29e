//! Fetch (1), versions 0–11, and FindCoordinator (10), versions 0–2: advertised for old librdkafka's feature gate,
//! answered with refusals.
//!
//! Fetch: v1 throttle time, v3 max bytes, v4 isolation level, v5 log start offset, v7 sessions and forgotten topics,
//! v9 leader epoch, v11 rack. Each requested partition gets an error and no records.
//! FindCoordinator: v1 key types, throttle time and message. There are no groups and no transactions here.

use bytes::Bytes;
use kafka_protocol::messages::{BrokerId, FindCoordinatorResponse};

use super::error_code::ErrorCode;
use super::reader::{ReadError, Reader};
use super::writer::Writer;

/// The key type of transactional ids (`FindCoordinatorRequest.json`).
const TRANSACTION: i8 = 1;
/// Name, partition count.
const TOPIC_BYTES_MIN: usize = 6;

/// Reads a Fetch and refuses each of its partitions; `of_all` is told beside them, from v7 on.
///
/// # Errors
/// When it is malformed.
pub fn fetch(
    reader: &mut Reader<'_>,
    version: i16,
    correlation_id: i32,
    of_all: ErrorCode,
    of_each: ErrorCode,
) -> Result<Bytes, ReadError> {
    reader.skip(4 + 4 + 4)?;
    if version >= 3 {
        reader.skip(4)?;
    }
    if version >= 4 {
        reader.skip(1)?;
    }
    if version >= 7 {
        reader.skip(4 + 4)?;
    }
    let mut writer = Writer::frame(correlation_id, false);
    if version >= 1 {
        writer.i32(0);
    }
    if version >= 7 {
        writer.i16(of_all.code());
        writer.i32(0);
    }
    let topics = reader.count(false, TOPIC_BYTES_MIN)?;
    writer.count(topics, false);
    for _ in 0..topics {
        writer.nullable_text(Some(reader.text(false)?), false);
        fetch_partitions(reader, version, &mut writer, of_each)?;
    }
    if version >= 7 {
        pass_over_forgotten(reader)?;
    }
    if version >= 11 {
        reader.nullable_text(false)?;
    }
    Ok(writer.finish())
}

/// Partitions that leave the fetch session, of which there is none.
fn pass_over_forgotten(reader: &mut Reader<'_>) -> Result<(), ReadError> {
    let topics = reader.count(false, TOPIC_BYTES_MIN)?;
    for _ in 0..topics {
        reader.text(false)?;
        let partitions = reader.count(false, 4)?;
        reader.skip(4 * partitions)?;
    }
    Ok(())
}

fn fetch_partitions(
    reader: &mut Reader<'_>,
    version: i16,
    writer: &mut Writer,
    error: ErrorCode,
) -> Result<(), ReadError> {
    // Fetch offset and max bytes; leader epoch from v9, log start offset from v5.
    let rest = 8 + 4 + if version >= 9 { 4 } else { 0 } + if version >= 5 { 8 } else { 0 };
    let partitions = reader.count(false, 4 + rest)?;
    writer.count(partitions, false);
    for _ in 0..partitions {
        writer.i32(reader.i32()?);
        reader.skip(rest)?;
        writer.i16(error.code());
        writer.i64(-1);
        if version >= 4 {
            writer.i64(-1);
        }
        if version >= 5 {
            writer.i64(-1);
        }
        if version >= 4 {
            // No aborted transactions, as null.
            writer.i32(-1);
        }
        if version >= 11 {
            writer.i32(-1);
        }
        // No records: an empty byte field.
        writer.i32(0);
    }
    Ok(())
}

/// Reads a FindCoordinator; gives the error that refuses what it asks for.
///
/// # Errors
/// When it is malformed.
pub fn read_coordinator(reader: &mut Reader<'_>, version: i16) -> Result<ErrorCode, ReadError> {
    reader.text(false)?;
    let key_type = if version >= 1 { reader.i8()? } else { 0 };
    Ok(if key_type == TRANSACTION {
        ErrorCode::TransactionalIdAuthorizationFailed
    } else {
        ErrorCode::GroupAuthorizationFailed
    })
}

pub fn respond_coordinator(version: i16, correlation_id: i32, error: ErrorCode) -> Bytes {
    let response = FindCoordinatorResponse::default()
        .with_error_code(error.code())
        .with_node_id(BrokerId(-1))
        .with_port(-1);
    let mut writer = Writer::frame(correlation_id, false);
    writer.body(&response, version);
    writer.finish()
}
