//! Unmodified clients through the whole way, with what can go wrong between gateway and Log Service.
//!
//! ```text
//! kcat, sarama, Java … ──TLS──▶ sluice serve, `backend = "sls"` ──▶ fault proxy ──▶ sluice dev, a store with its HTTP API
//!        └── what the client's own log says                                               └── read back by the Python SDK
//! ```
//!
//! Whatever a client takes for delivered must be read back, once where no answer was lost. `tests/run` installs the clients
//! and the SDK; where one is missing the tests say so and do nothing, unless `SLUICE_TEST_CLIENTS=required`.

mod a_minute;
mod answers;
mod clients;
#[path = "../support/eventually.rs"]
mod eventually;
mod fault_proxy;
mod faults;
mod kcat;
mod keys;
mod logins;
mod network;
mod passage;
mod poison;
mod process;
#[path = "../sdk/program.rs"]
#[allow(dead_code, reason = "the SDK's own tests use all of it")]
mod program;
#[path = "../support/programs.rs"]
#[allow(dead_code, reason = "the clients' own tests use all of it")]
mod programs;
#[path = "../support/records.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "the clients' own tests use all of it"
)]
mod records;
#[path = "../support/rows.rs"]
#[allow(dead_code, reason = "the clients' own tests use all of it")]
mod rows;
mod sdk;
mod shown;
mod side_by_side;
mod stack;
mod stored;
