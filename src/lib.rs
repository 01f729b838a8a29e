//! Sluice: a Kafka-protocol ingestion gateway for a Log Service.

pub mod records;
