//! The whole server over real TLS, on a port of its own: what a client sees of the rules of delivery.
//!
//! `rules` and `producers` use a Log Service that does as it is told (`support/told.rs`), `stored` and `order` the embedded one, `faults` the real
//! program with crashes, full disks and failing syncs. Requests are encoded and answers decoded by the `kafka-protocol`
//! crate, so that the server is not judged by its own code.

mod faults;
mod order;
mod producers;
mod rules;
mod stored;
mod support;
