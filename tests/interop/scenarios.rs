//! What each client is put through. Each has a topic of its own: nothing stored by one test is seen by another.

use std::collections::BTreeMap;

use crate::card::Section::{Refused, Stored, Trouble};
use crate::rows::Row;
use crate::trials::On::{Both, BothDiffer, SluiceAlone};
use crate::trials::{self, Scenario};

mod delivery;
mod fields;
mod keys;
mod million;
mod odd;
mod outages;
mod refusals;
mod run;
mod trouble;
mod wire;

pub use refusals::other_authority;

/// For runs that only ask whether records pass at all.
const FEW: usize = 20;

/// Why a wrong key looks different on Kafka.
pub const WRONG_KEY_DIFFERS: &str = "an error of the topic (29), as published, where Kafka refuses the login; `[auth] bad-key = \"refuse-login\"` does as Kafka";

/// Why a key without the right to write reads otherwise on Kafka.
const HIDDEN: &str = "on Kafka the user may not even see the topic, and this client keeps a refused Metadata to itself";

/// Why a refusal reads otherwise on Kafka.
const OWN_WORDS: &str =
    "from Produce v8 on the server's own words are shown, and Sluice's name the limit";

pub const SCENARIOS: &[Scenario<Row>] = &[
    Scenario::new(
        Stored,
        "what_it_sends",
        "sends",
        SluiceAlone,
        wire::what_it_sends,
    ),
    Scenario::new(
        Stored,
        "every_codec_and_acks_delivers_every_record_once",
        "formats × codecs × acks",
        Both,
        delivery::every_codec_and_acks,
    )
    .for_every_row(),
    Scenario::new(
        Stored,
        "a_million_records_are_counted_once",
        "1,000,000 records",
        Both,
        million::counted_once,
    ),
    Scenario::new(
        Stored,
        "the_intranet_listener_takes_records",
        "second listener",
        SluiceAlone,
        delivery::the_intranet_listener,
    ),
    Scenario::new(
        Stored,
        "the_project_may_stand_in_the_host_name",
        "project in the host name",
        SluiceAlone,
        delivery::the_project_in_the_host_name,
    ),
    Scenario::new(
        Stored,
        "a_hundred_connections_at_once_deliver",
        "100 producers at once",
        Both,
        delivery::a_hundred_connections,
    ),
    Scenario::new(
        Stored,
        "odd_records_among_good_ones_are_stored",
        "odd records",
        Both,
        odd::among_good_ones,
    ),
    Scenario::new(
        Stored,
        "a_json_topic_makes_fields",
        "topic `.json`",
        SluiceAlone,
        fields::a_json_topic,
    ),
    Scenario::new(
        Stored,
        "a_json_topic_makes_a_log_of_each_object_in_an_array",
        "arrays of objects",
        SluiceAlone,
        fields::arrays_of_objects,
    ),
    Scenario::new(
        Stored,
        "a_header_asks_for_fields",
        "header `data-parse-format`",
        SluiceAlone,
        fields::a_header,
    ),
    Scenario::new(
        Refused,
        "a_wrong_key_is_a_refused_topic",
        "wrong key",
        BothDiffer(WRONG_KEY_DIFFERS),
        refusals::a_wrong_key,
    )
    .for_every_row(),
    Scenario::new(
        Refused,
        "another_projects_key_is_a_refused_topic",
        "another project's key",
        BothDiffer(WRONG_KEY_DIFFERS),
        refusals::another_projects_key,
    ),
    Scenario::new(
        Refused,
        "a_key_that_may_not_write_is_a_refused_topic",
        "key may not write",
        BothDiffer(HIDDEN),
        refusals::a_key_that_may_not_write,
    ),
    Scenario::new(
        Refused,
        "a_missing_logstore_is_an_unknown_topic",
        "no such Logstore",
        Both,
        refusals::a_missing_logstore,
    ),
    Scenario::new(
        Refused,
        "too_large_a_record_is_refused",
        "record too large",
        BothDiffer(OWN_WORDS),
        refusals::too_large_a_record,
    ),
    Scenario::new(
        Refused,
        "an_unknown_authority_is_not_trusted",
        "unknown authority",
        Both,
        refusals::an_unknown_authority,
    ),
    Scenario::new(
        Trouble,
        names::KILLED,
        "killed midway",
        Both,
        outages::killed,
    ),
    Scenario::new(
        Trouble,
        names::KILLED_IDEMPOTENT,
        "killed midway, idempotent",
        Both,
        outages::killed_idempotent,
    )
    .for_every_row(),
    Scenario::new(
        Trouble,
        names::DRAINED,
        "drained midway",
        Both,
        outages::drained,
    ),
    Scenario::new(
        Trouble,
        names::DRAINED_IDEMPOTENT,
        "drained midway, idempotent",
        Both,
        outages::drained_idempotent,
    ),
    Scenario::new(
        Trouble,
        names::IN_FLIGHT,
        "error amid batches in flight, idempotent",
        Both,
        trouble::a_retriable_error_in_flight,
    ),
    Scenario::new(
        Trouble,
        names::LATE,
        "answers after 8 s",
        Both,
        trouble::late_answers,
    ),
    Scenario::new(
        Trouble,
        names::PARTITIONS,
        "partitions added midway",
        Both,
        trouble::more_partitions,
    ),
    Scenario::new(
        Trouble,
        "a_key_revoked_and_restored_loses_nothing_acknowledged",
        "key revoked for 2 s",
        SluiceAlone,
        keys::revoked_and_restored,
    ),
    Scenario::new(
        Trouble,
        names::HELD,
        "key held for 2 s",
        SluiceAlone,
        keys::held,
    ),
];

impl trials::Row for Row {
    const TABLE: &'static str = "clients";

    fn name(&self) -> &str {
        &self.name
    }

    fn is_installed(&self) -> bool {
        self.is_installed()
    }

    fn is_thorough(&self) -> bool {
        self.thorough
    }

    fn is_slow(&self) -> bool {
        self.slow
    }

    fn reasons(&self) -> &BTreeMap<String, String> {
        &self.reasons
    }
}

/// Of scenarios in which a client may have ways of its own.
mod names {
    pub const KILLED: &str = "a_killed_server_loses_nothing_acknowledged";
    pub const KILLED_IDEMPOTENT: &str = "a_killed_server_repeats_nothing_idempotent";
    pub const DRAINED: &str = "a_drained_server_loses_nothing_acknowledged";
    pub const DRAINED_IDEMPOTENT: &str = "a_drained_server_repeats_nothing_idempotent";
    pub const IN_FLIGHT: &str = "a_retriable_error_among_five_in_flight_repeats_nothing";
    pub const LATE: &str = "answers_after_eight_seconds_are_waited_for";
    pub const PARTITIONS: &str = "partitions_may_be_added_midway";
    pub const HELD: &str = "a_held_key_loses_nothing";
}
