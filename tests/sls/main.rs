//! The `sls` backend against a Log Service that does as it is told, and what it must do when that one goes wrong.
//!
//! `support` holds the scripted Log Service, a fault proxy and the gateway before them; the Log Service shares no code with
//! the gateway's own client, server or signatures. `machinery` tests it. All other files look at the whole gateway as Kafka
//! clients see it, over real TLS: one file for each kind of rule.

mod bad_key;
mod batching;
mod caches;
mod codes;
mod content;
mod contradictions;
mod deadlines;
mod ending;
mod keys;
mod machinery;
mod neighbours;
mod network;
mod order;
mod quotas;
mod repeats;
mod routes;
mod secrecy;
mod shards;
mod support;
mod times;
mod unproven;
mod weather;
