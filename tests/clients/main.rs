//! Foreign clients, unmodified, against a running `sluice dev`: what they sent is what `sluice logs` gives back, and what
//! they may not send they are told.
//!
//! README.md beside this file says what a row is and how one is added. Where a client is not installed its tests say so and
//! do nothing, unless `SLUICE_TEST_CLIENTS=required`, as `tests/run` sets it.

mod gateway;
#[path = "../support/programs.rs"]
mod programs;
mod records;
mod rows;
mod scenarios;

/// A module of tests per row, and the list of rows.
macro_rules! rows {
    ($($module:ident = $name:literal,)*) => {
        const ROWS: &[&str] = &[$($name),*];
        $(mod $module {
            use super::{rows::Row, scenarios};

            fn check(what: &str, scenario: fn(&Row)) {
                if let Some(row) = Row::installed($name, what) {
                    scenario(&row);
                }
            }

            #[test]
            fn every_codec_and_acks_delivers_every_record_once() {
                check("codecs and acks", scenarios::every_codec_and_acks_delivers_every_record_once);
            }

            #[test]
            fn both_listeners_take_records() {
                check("intranet", scenarios::the_intranet_listener_takes_records);
            }

            #[test]
            fn the_project_may_stand_in_the_host_name() {
                check("project host", scenarios::the_project_may_stand_in_the_host_name);
            }

            #[test]
            fn a_json_topic_makes_fields() {
                check("JSON topic", scenarios::a_json_topic_makes_fields);
            }

            #[test]
            fn a_wrong_key_is_a_refused_topic() {
                check("wrong key", scenarios::a_wrong_key_is_a_refused_topic);
            }

            #[test]
            fn a_missing_logstore_is_an_unknown_topic() {
                check("missing Logstore", scenarios::a_missing_logstore_is_an_unknown_topic);
            }
        })*
    };
}

rows! {
    confluent_kafka_2_16_1 = "confluent-kafka-2.16.1",
    java_3_9_1 = "java-3.9.1",
    kafka_python_2_0_2 = "kafka-python-2.0.2",
    kcat_1_7_1 = "kcat-1.7.1",
    sarama_1_38_1 = "sarama-1.38.1",
}

#[test]
fn every_row_has_tests() {
    assert_eq!(rows::folders(), ROWS);
}
