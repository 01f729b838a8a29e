//! Sluice beside other implementations of what it speaks. README.md beside this file says how it is read and added to.
//!
//! `wire` asks Apache Kafka itself and Sluice the same, byte for byte, and compares the answers field by field.

mod broker;
#[path = "../support/programs.rs"]
#[allow(dead_code, reason = "the clients' own tests use all of it")]
mod programs;
mod support;
mod wire;
