//! What is not advertised.

use kafka_protocol::messages::{
    ApiVersionsResponse, FetchResponse, FindCoordinatorResponse, InitProducerIdResponse,
    MetadataResponse, ProduceResponse, SaslHandshakeResponse,
};

use super::*;
use crate::protocol::{Served, served};

const KEYS: std::ops::RangeInclusive<i16> = -1..=100;
const VERSIONS: std::ops::RangeInclusive<i16> = -1..=20;
const API_VERSIONS: i16 = 18;

/// Each key and version outside the table.
fn unserved() -> impl Iterator<Item = (i16, i16)> {
    KEYS.flat_map(|key| VERSIONS.map(move |version| (key, version)))
        .filter(|(key, version)| {
            served(*key).is_none_or(|served| !(served.min..=served.max).contains(version))
        })
}

#[test]
fn every_version_that_is_not_advertised_closes_the_connection() {
    for at in STATES {
        // In the raw dialect any frame is a token.
        if matches!(at, At::RawToken) {
            continue;
        }
        let answers_api_versions =
            matches!(at, At::Start | At::Proven | At::Unproven | At::RefusedKey);
        for (key, version) in unserved() {
            if key == API_VERSIONS && answers_api_versions {
                continue;
            }
            for flexible in [false, true] {
                let mut session = session(at);
                let frame = requests::frame(key, version, flexible, &[0; 16]);
                let step = give(&mut session, &frame);
                assert!(matches!(step, Step::Close(_)), "{at:?}, {key} v{version}");
            }
        }
    }
}

#[test]
fn an_unknown_version_of_api_versions_is_told_the_known_ones_and_the_connection_stays() {
    for at in [At::Start, At::Proven, At::Unproven, At::RefusedKey] {
        let mut session = session(at);
        for version in VERSIONS.chain([99, i16::MAX, i16::MIN]) {
            if (0..=4).contains(&version) {
                continue;
            }
            let frame = requests::frame(API_VERSIONS, version, true, b"\x05java\x024\0");
            let told: ApiVersionsResponse = decoded(answer(give(&mut session, &frame)), 0, 0);
            assert_eq!(told.error_code, 35);
            let rows: Vec<_> = told
                .api_keys
                .iter()
                .map(|row| (row.api_key, row.min_version, row.max_version))
                .collect();
            assert_eq!(rows, [(API_VERSIONS, 0, 4)]);
        }
        let step = give(&mut session, &requests::api_versions(3));
        assert!(matches!(step, Step::Answer(_)), "{at:?}");
    }
}

/// What is advertised, but does not belong here.
#[test]
fn a_request_out_of_turn_closes_the_connection() {
    for at in STATES {
        for (row, version) in requests::served_versions() {
            let allowed = match at {
                At::Start => matches!(row.api, Api::ApiVersions | Api::SaslHandshake),
                At::FramedToken | At::FramedTokenAgain => row.api == Api::SaslAuthenticate,
                At::Proven | At::Unproven | At::RefusedKey => row.api != Api::SaslAuthenticate,
                At::RawToken | At::Checking | At::Closed => false,
            };
            let step = give(&mut session(at), &requests::request(row.api, version));
            let closes = matches!(
                step,
                Step::Close(_) | Step::AnswerThenClose(..) | Step::RefuseLogin(..)
            );
            assert_eq!(closes, !allowed, "{at:?}, {:?} v{version}", row.api);
        }
    }
}

/// As Kafka does.
#[test]
fn a_request_in_the_middle_of_a_login_is_told_so_in_its_own_answer_and_closes() {
    for at in [At::FramedToken, At::FramedTokenAgain] {
        for (row, version) in requests::served_versions() {
            if row.api == Api::SaslAuthenticate {
                continue;
            }
            let step = give(&mut session(at), &requests::request(row.api, version));
            let (frame, reason) = answer_then_close(step);
            assert_eq!(reason, CloseReason::IllegalState);
            for code in codes(row, version, frame) {
                assert_eq!(code, 34, "{at:?}, {:?} v{version}", row.api);
            }
        }
    }
}

/// All error codes of an answer; none where `kafka-protocol` does not know the version.
fn codes(row: &Served, version: i16, frame: Bytes) -> Vec<i16> {
    let header = i16::from(row.api != Api::ApiVersions && version >= row.flexible_from);
    match row.api {
        Api::ApiVersions => {
            let told: ApiVersionsResponse = decoded(frame, header, version);
            vec![told.error_code]
        }
        Api::SaslHandshake => {
            let told: SaslHandshakeResponse = decoded(frame, header, version);
            vec![told.error_code]
        }
        Api::InitProducerId => {
            let told: InitProducerIdResponse = decoded(frame, header, version);
            vec![told.error_code]
        }
        Api::FindCoordinator => {
            let told: FindCoordinatorResponse = decoded(frame, header, version);
            vec![told.error_code]
        }
        Api::Metadata => {
            let told: MetadataResponse = decoded(frame, header, version);
            assert!(told.brokers.is_empty());
            assert_eq!(told.topics.len(), 1);
            told.topics.iter().map(|topic| topic.error_code).collect()
        }
        Api::Produce if version >= 3 => {
            let told: ProduceResponse = decoded(frame, header, version);
            let topics = told.responses.iter();
            let partitions = topics.flat_map(|topic| &topic.partition_responses);
            partitions.map(|partition| partition.error_code).collect()
        }
        Api::Fetch if version >= 4 => {
            let told: FetchResponse = decoded(frame, header, version);
            let topics = told.responses.iter();
            let partitions = topics.flat_map(|topic| &topic.partitions);
            let codes = partitions.map(|partition| partition.error_code);
            codes
                .chain((version >= 7).then_some(told.error_code))
                .collect()
        }
        Api::Produce | Api::Fetch | Api::SaslAuthenticate => Vec::new(),
    }
}

#[test]
fn a_produce_without_acknowledgement_in_the_middle_of_a_login_just_closes() {
    let frame = requests::produce(9, 0, None, &requests::two_topics());
    let step = give(&mut session(At::FramedToken), &frame);
    assert_eq!(closed(step), CloseReason::IllegalState);
}
