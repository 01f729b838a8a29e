//! The `sls` backend against a Log Service that does as it is told, and what it must do when that one goes wrong.
//!
//! `support` holds the scripted Log Service and a fault proxy; neither shares code with the gateway's own client, server or
//! signatures. `machinery` tests them.

mod machinery;
mod support;
