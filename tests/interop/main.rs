//! Sluice beside other implementations of what it speaks. README.md beside this file says how it is read and added to.
//!
//! `wire` asks Apache Kafka itself and Sluice the same, byte for byte, and compares the answers field by field.

mod broker;
mod support;
mod wire;
