//! Sluice: a Kafka-protocol ingestion gateway for a Log Service.

pub mod logs;
pub mod protocol;
pub mod records;
pub mod session;
pub mod tenant;
