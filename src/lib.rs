//! Sluice: a Kafka-protocol ingestion gateway for a Log Service.
//!
//! Agents speak Kafka to it over TLS; their records leave it as logs. Imports between the modules point one way, from
//! [`server`] and [`ingest`] down to [`protocol`], [`records`] and [`tenant`], which know nothing of the rest; a test holds
//! them to it.
//!
//! # The life of a Produce request
//!
//! 1. [`server`] accepts a connection and shakes hands; the certificate goes by the SNI name. `server/connection.rs` reads
//!    the frame: its size is checked, its first bytes tell the [`session`] what comes, and for a Produce the frame's
//!    whole size is reserved from the [`memory`] budget before its body is read.
//! 2. [`session`] knows what this client has said: it was told the client's project and key at the login ([`tenant`]),
//!    reads the request with the bounded readers of [`protocol`], and returns a step. A Produce step can be formed only
//!    with a tenant in hand. No socket, no clock: it is a value.
//! 3. [`ingest`] starts the request, in arrival order. Each topic's Logstore comes from the [`catalog`], which asks the
//!    [`backend`]. Batches of idempotent producers are admitted by their headers ([`idempotence`]): a repeated one is
//!    answered without a write, or waits for the outcome of the first try. Where partitions are shards, for users who want
//!    order, all others take their turn in a line of their connection and partition.
//! 4. The record set is decoded ([`records`]), on this thread where it is small, on a fixed pool where it is large. Each
//!    record becomes one or more logs ([`logs`]), written straight into the protobuf of a LogGroup. Kafka's words end
//!    here, the Log Service's begin.
//! 5. [`spread`] lets small requests share a group and gives each group its shard, round-robin. A backend that lingers
//!    gets a lane for each Logstore and key, so that a slow one holds up no other.
//! 6. The backend's write takes the groups and the producers' marks. The embedded store keeps them together, whole or not
//!    at all, and returns when they are synced to disk; the Log Service of Alibaba Cloud is tried until just before the
//!    client gives up, and each batch gets its own outcome.
//! 7. The outcome settles the producers' state, gives each partition its result ([`failure`] maps one to a Kafka code),
//!    ends the memory charge, and wakes the connection, which sends the answers in request order.
//!
//! [`api`] offers the Log Service's own HTTP API on the embedded store, with the keys of the same configuration;
//! [`signature`] signs its requests, there and towards the real one. [`config`] reads the configuration, [`telemetry`] sets up logging and [`cli`] joins the parts into commands.

pub mod api;
pub mod backend;
pub mod catalog;
pub mod cli;
pub mod config;
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
pub mod signature;
pub mod spread;
pub mod telemetry;
pub mod tenant;
