//! The Kafka wire protocol as far as it is served: bounded bytes in, responses out. It imports nothing of ours.
//!
//! Requests are read by our own [`reader`], which allocates nothing on a count or length from the wire. Responses of the
//! APIs without record sets are encoded by the `kafka-protocol` crate; Produce and Fetch, whose oldest versions it lacks,
//! by our own [`writer`].

pub mod api_versions;
pub mod error_code;
pub mod header;
pub mod init_producer_id;
pub mod metadata;
pub mod produce;
pub mod reader;
pub mod refusals;
pub mod sasl;
pub mod writer;

#[cfg(test)]
pub(crate) mod tests;

/// The APIs that are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    Produce,
    Fetch,
    Metadata,
    FindCoordinator,
    SaslHandshake,
    ApiVersions,
    InitProducerId,
    SaslAuthenticate,
}

/// One API's row.
#[derive(Debug)]
pub struct Served {
    pub api: Api,
    pub key: i16,
    pub min: i16,
    pub max: i16,
    /// First version with compact types, tagged fields and request header v2.
    pub flexible_from: i16,
}

const NEVER: i16 = i16::MAX;

/// The table that feeds dispatch, version checks and the ApiVersions answer.
///
/// The ranges are an interface of their own: librdkafka up to 2.11.0 turns features off unless Produce starts at 0, Fetch
/// reaches from 0 to 10 and FindCoordinator starts at 0, so Fetch and FindCoordinator stand here though both are only
/// refused (librdkafka: `rdkafka_feature.c`; KAFKA-18659).
pub const SERVED: [Served; 8] = [
    Served {
        api: Api::Produce,
        key: 0,
        min: 0,
        max: 12,
        flexible_from: 9,
    },
    Served {
        api: Api::Fetch,
        key: 1,
        min: 0,
        max: 11,
        flexible_from: NEVER,
    },
    Served {
        api: Api::Metadata,
        key: 3,
        min: 0,
        max: 12,
        flexible_from: 9,
    },
    Served {
        api: Api::FindCoordinator,
        key: 10,
        min: 0,
        max: 2,
        flexible_from: NEVER,
    },
    Served {
        api: Api::SaslHandshake,
        key: 17,
        min: 0,
        max: 1,
        flexible_from: NEVER,
    },
    Served {
        api: Api::ApiVersions,
        key: 18,
        min: 0,
        max: 4,
        flexible_from: 3,
    },
    Served {
        api: Api::InitProducerId,
        key: 22,
        min: 0,
        max: 4,
        flexible_from: 2,
    },
    Served {
        api: Api::SaslAuthenticate,
        key: 36,
        min: 0,
        max: 2,
        flexible_from: 2,
    },
];

/// The row of an API key.
pub fn served(key: i16) -> Option<&'static Served> {
    SERVED.iter().find(|served| served.key == key)
}
