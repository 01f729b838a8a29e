//! The Log Service's official SDKs, unmodified, against the HTTP API of a running `sluice dev`.
//!
//! An SDK is a folder here: `install` is called with it and an empty folder, and leaves an executable `run` there; versions
//! are pinned. `run SCENARIO VERSION` carries out one scenario with one version of the signature, is told where the store is
//! by JSON on its standard input, and exits with 0 if all was as it should be; `run read VERSION` prints all logs for the
//! tests in `end_to_end`. `tests/run` installs them. Where one is not installed its tests say so and do nothing, unless
//! `SLUICE_TEST_CLIENTS=required`.

mod program;
#[path = "../support/programs.rs"]
#[allow(dead_code, reason = "others skip more, and talk to their programs")]
mod programs;
mod store;

/// A test per scenario, and the list of them.
macro_rules! scenarios {
    ($sdk:literal: $($scenario:ident,)*) => {
        const SCENARIOS: &[&str] = &[$(stringify!($scenario)),*];
        $(
            #[test]
            fn $scenario() {
                if let Some(program) = program::installed($sdk, stringify!($scenario)) {
                    for version in ["v1", "v4"] {
                        let store = store::Store::start();
                        program::run(&program, [stringify!($scenario), version], store.place());
                    }
                }
            }
        )*
    };
}

scenarios! {
    "python-0.9.52":
    every_describing_call_answers,
    what_is_put_is_pulled_in_every_compression,
    groups_take_turns_or_go_by_their_key,
    a_raw_group_is_taken_whole,
    the_iterator_gives_every_log_once,
    cursors_follow_the_time_of_receipt,
    a_logstore_is_made_and_used,
    what_does_not_exist_is_named,
    a_wrong_key_is_refused,
    an_agents_key_writes_and_cannot_read,
    a_readers_key_reads_and_cannot_write,
    a_client_may_take_the_store_for_a_proxy,
    what_came_by_kafka_is_read_through_the_sdk,
}

#[test]
fn every_scenario_has_a_test() {
    const HELPERS: [&str; 2] = ["check_group", "large_request"];
    let file = program::home("python-0.9.52").join("scenarios.py");
    let text = std::fs::read_to_string(file).expect("the scenarios can be read");
    let written = text
        .lines()
        .filter_map(|line| line.strip_prefix("def ")?.split('(').next())
        .filter(|name| !HELPERS.contains(name));
    assert_eq!(written.collect::<Vec<_>>(), SCENARIOS);
}
