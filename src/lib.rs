//! Sluice: a Kafka-protocol ingestion gateway for a Log Service.

pub mod logs;
pub mod records;
pub mod tenant;
