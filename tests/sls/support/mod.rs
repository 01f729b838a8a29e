//! A scripted Log Service, a fault proxy for a real one, and a gateway in front of either.
//!
//! ```text
//! setup: client ── gateway ──▶ server ── connections ──▶ exchange ── rules ──▶ script
//!                                 │                          └── no rule: an origin answers
//!                                 └── traffic: what came            ├── service: world, calls, group, signature
//!                                                                   └── proxy: passes on
//! ```

mod calls;
#[path = "../../support/client.rs"]
pub mod client;
pub mod events;
#[path = "../../support/eventually.rs"]
mod eventually;
mod exchange;
#[path = "../../support/gateway.rs"]
mod gateway;
pub mod group;
pub mod http;
pub mod proxy;
pub mod request;
pub mod script;
mod server;
pub mod service;
pub mod setup;
pub mod signature;
mod traffic;
pub mod world;

pub use calls::rfc_1123;
pub use eventually::eventually;
pub use gateway::{Gateway, LOGSTORE, PASSWORD, PROJECT, Settings};
