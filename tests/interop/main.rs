//! Foreign clients and agents, unmodified, against a running `sluice dev`: what they sent is what `sluice logs` gives back, and what
//! they may not send they are told. The same against Apache Kafka itself, the measure of what can be expected.
//!
//! README.md beside this file says what a row is and how one is added. Each row is put through each scenario; `card` keeps the
//! outcomes. Where a client is not installed its tests say so and do nothing, unless `SLUICE_TEST_CLIENTS=required`, as
//! `tests/run` sets it.

mod agent;
#[path = "../support/broker.rs"]
mod broker;
mod card;
#[path = "../support/client.rs"]
mod client;
#[path = "../support/programs.rs"]
#[allow(dead_code, reason = "other tests use all of it")]
mod programs;
#[path = "../support/records.rs"]
mod records;
mod relay;
#[path = "../support/rows.rs"]
#[allow(dead_code, reason = "other tests use all of it")]
mod rows;
mod scenarios;
mod server;
mod tally;
mod trials;

use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use libtest_mimic::{Arguments, Trial};

use agent::Agent;
use card::Card;

/// Tests wait for time-outs more than they compute.
const TESTS_PER_CORE: usize = 2;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    arguments.test_threads.get_or_insert(TESTS_PER_CORE * cores);
    libtest_mimic::run(&arguments, all_trials()).exit_code()
}

fn all_trials() -> Vec<Trial> {
    let card = Arc::new(Card::wanted());
    let clients = rows::folders().into_iter().flat_map(|name| {
        let row = rows::Row::read(&name);
        trials::trials(&row, scenarios::SCENARIOS, &card)
    });
    let agents = agent::folders().into_iter().flat_map(|name| {
        let row = Agent::read(&name);
        trials::trials(&row, agent::scenarios::SCENARIOS, &card)
    });
    clients.chain(agents).collect()
}
