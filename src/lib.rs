//! Sluice: a Kafka-protocol ingestion gateway for a Log Service.

pub mod backend;
pub mod catalog;
pub mod failure;
pub mod idempotence;
pub mod ingest;
pub mod logs;
pub mod memory;
pub mod protocol;
pub mod records;
pub mod refusals;
pub mod server;
pub mod session;
pub mod spread;
pub mod tenant;
