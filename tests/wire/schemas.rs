//! The fields of answers, as Kafka's message definitions (`clients/src/main/resources/common/message`) give them.
//!
//! They are written down here once more because Sluice encodes some of its answers with the crate that would decode them,
//! and because that crate no longer knows the oldest versions.

use self::Kind::{Array, Bool, Bytes, I16, I32, I32s, I64, Rest, Text, Uuid};

/// An API, as far as this test speaks it.
#[derive(Clone, Copy, Debug)]
pub struct Api {
    pub name: &'static str,
    pub key: i16,
    /// First version with compact types, tagged fields and request header v2.
    pub flexible_from: i16,
    pub answer: &'static [Field],
}

#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub since: i16,
    pub until: i16,
    /// Its value names the element of the array that it stands in.
    pub is_key: bool,
}

#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Bool,
    I16,
    I32,
    I64,
    Uuid,
    Text,
    /// Only their count is compared.
    Bytes,
    I32s,
    Array(&'static [Field]),
    /// All that is left, not compared.
    Rest,
}

impl Field {
    const fn since(mut self, version: i16) -> Self {
        self.since = version;
        self
    }

    const fn until(mut self, version: i16) -> Self {
        self.until = version;
        self
    }
}

const fn field(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        since: 0,
        until: i16::MAX,
        is_key: false,
    }
}

const fn key(name: &'static str, kind: Kind) -> Field {
    let mut key = field(name, kind);
    key.is_key = true;
    key
}

const NEVER: i16 = i16::MAX;

pub const PRODUCE: Api = Api {
    name: "Produce",
    key: 0,
    flexible_from: 9,
    answer: &[
        field(
            "topics",
            Array(&[
                key("name", Text),
                field(
                    "partitions",
                    Array(&[
                        key("index", I32),
                        field("error_code", I16),
                        field("base_offset", I64),
                        field("log_append_time_ms", I64).since(2),
                        field("log_start_offset", I64).since(5),
                        field(
                            "record_errors",
                            Array(&[
                                key("batch_index", I32),
                                field("batch_index_error_message", Text),
                            ]),
                        )
                        .since(8),
                        field("error_message", Text).since(8),
                    ]),
                ),
            ]),
        ),
        field("throttle_time_ms", I32).since(1),
    ],
};

pub const FETCH: Api = Api {
    name: "Fetch",
    key: 1,
    flexible_from: 12,
    answer: &[
        field("throttle_time_ms", I32).since(1),
        field("error_code", I16).since(7),
        field("session_id", I32).since(7),
        field(
            "topics",
            Array(&[
                key("name", Text),
                field(
                    "partitions",
                    Array(&[
                        key("index", I32),
                        field("error_code", I16),
                        field("high_watermark", I64),
                        field("last_stable_offset", I64).since(4),
                        field("log_start_offset", I64).since(5),
                        field(
                            "aborted_transactions",
                            Array(&[field("producer_id", I64), field("first_offset", I64)]),
                        )
                        .since(4),
                        field("preferred_read_replica", I32).since(11),
                        field("records", Bytes),
                    ]),
                ),
            ]),
        ),
    ],
};

pub const LIST_OFFSETS: Api = Api {
    name: "ListOffsets",
    key: 2,
    flexible_from: 6,
    answer: &[field("rest", Rest)],
};

pub const METADATA: Api = Api {
    name: "Metadata",
    key: 3,
    flexible_from: 9,
    answer: &[
        field("throttle_time_ms", I32).since(3),
        field(
            "brokers",
            Array(&[
                key("node_id", I32),
                field("host", Text),
                field("port", I32),
                field("rack", Text).since(1),
            ]),
        ),
        field("cluster_id", Text).since(2),
        field("controller_id", I32).since(1),
        field(
            "topics",
            Array(&[
                field("error_code", I16),
                key("name", Text),
                field("topic_id", Uuid).since(10),
                field("is_internal", Bool).since(1),
                field(
                    "partitions",
                    Array(&[
                        field("error_code", I16),
                        key("index", I32),
                        field("leader_id", I32),
                        field("leader_epoch", I32).since(7),
                        field("replica_nodes", I32s),
                        field("isr_nodes", I32s),
                        field("offline_replicas", I32s).since(5),
                    ]),
                ),
                field("topic_authorized_operations", I32).since(8),
            ]),
        ),
        field("cluster_authorized_operations", I32)
            .since(8)
            .until(10),
    ],
};

pub const FIND_COORDINATOR: Api = Api {
    name: "FindCoordinator",
    key: 10,
    flexible_from: 3,
    answer: &[
        field("throttle_time_ms", I32).since(1),
        field("error_code", I16),
        field("error_message", Text).since(1),
        field("node_id", I32),
        field("host", Text),
        field("port", I32),
    ],
};

pub const SASL_HANDSHAKE: Api = Api {
    name: "SaslHandshake",
    key: 17,
    flexible_from: NEVER,
    answer: &[
        field("error_code", I16),
        field("mechanisms", Array(&[key("mechanism", Text)])),
    ],
};

pub const API_VERSIONS: Api = Api {
    name: "ApiVersions",
    key: 18,
    flexible_from: 3,
    answer: &[
        field("error_code", I16),
        field(
            "api_keys",
            Array(&[
                key("api_key", I16),
                field("min_version", I16),
                field("max_version", I16),
            ]),
        ),
        field("throttle_time_ms", I32).since(1),
    ],
};

pub const INIT_PRODUCER_ID: Api = Api {
    name: "InitProducerId",
    key: 22,
    flexible_from: 2,
    answer: &[
        field("throttle_time_ms", I32),
        field("error_code", I16),
        field("producer_id", I64),
        field("producer_epoch", I16),
    ],
};

pub const SASL_AUTHENTICATE: Api = Api {
    name: "SaslAuthenticate",
    key: 36,
    flexible_from: 2,
    answer: &[
        field("error_code", I16),
        field("error_message", Text),
        field("auth_bytes", Bytes),
        field("session_lifetime_ms", I64).since(1),
    ],
};

/// Of no server.
pub const UNKNOWN: Api = Api {
    name: "Unknown",
    key: 999,
    flexible_from: NEVER,
    answer: &[field("rest", Rest)],
};
