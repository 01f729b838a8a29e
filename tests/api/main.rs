//! The store's HTTP API over real sockets: what each call answers, what it refuses, and what an attacker gets.
//!
//! Requests are written byte by byte, so that they can be as wrong as they like. That good ones are what the official SDKs
//! send is shown by tests/sdk, that signatures are right by the vectors of `sluice::signature`.

mod attacks;
mod calls;
mod groups;
mod limits;
mod pulls;
mod rights;
mod stopping;
mod support;
