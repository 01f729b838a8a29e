//! What is answered in the middle of a login, where only its token may come: 34, in the form of the request's own answer,
//! before the connection is closed. As Kafka does (`SaslServerAuthenticator`, and `getErrorResponse` of each request).

use bytes::Bytes;

use super::{CloseReason, Step, illegal_sasl};
use crate::protocol::error_code::ErrorCode;
use crate::protocol::header::RequestHeader;
use crate::protocol::produce::{self, PartitionResult};
use crate::protocol::reader::{ReadError, Reader};
use crate::protocol::{Api, api_versions, init_producer_id, metadata, refusals, sasl};

const ERROR: ErrorCode = ErrorCode::IllegalSaslState;
const REASON: CloseReason = CloseReason::IllegalState;

/// Reads a request to its end and refuses it. One that is never answered just closes.
pub(super) fn refuse(
    header: &RequestHeader<'_>,
    reader: &mut Reader<'_>,
    frame: Bytes,
) -> Result<Step, CloseReason> {
    let (version, id) = (header.version, header.correlation_id);
    let answer = match header.served.api {
        Api::ApiVersions => {
            api_versions::read(reader, version)?;
            api_versions::respond_refused(version, id, ERROR)
        }
        Api::SaslHandshake => {
            sasl::read_handshake(reader)?;
            sasl::respond_handshake(id, ERROR)
        }
        Api::SaslAuthenticate => return Ok(illegal_sasl(version, id, REASON)),
        Api::Metadata => {
            let request = metadata::read(reader, version)?;
            metadata::respond_refused(version, id, request, ERROR)
        }
        Api::Produce => refuse_produce(frame, reader.position(), version, id)?.ok_or(REASON)?,
        Api::InitProducerId => {
            init_producer_id::read(reader, version)?;
            init_producer_id::respond(version, id, ERROR, -1, -1)
        }
        Api::Fetch => refusals::fetch(reader, version, id, ERROR, ERROR)?,
        Api::FindCoordinator => {
            refusals::read_coordinator(reader, version)?;
            refusals::respond_coordinator(version, id, ERROR)
        }
    };
    Ok(Step::AnswerThenClose(answer, REASON))
}

/// `None` for acks=0.
fn refuse_produce(
    frame: Bytes,
    body_at: usize,
    version: i16,
    correlation_id: i32,
) -> Result<Option<Bytes>, ReadError> {
    let request = produce::Request::read(frame, body_at, version)?;
    let results = vec![PartitionResult::refused(ERROR, None); request.partitions.len()];
    let answer = produce::respond(version, correlation_id, &request, &results, 0);
    Ok((request.acks != 0).then_some(answer))
}
