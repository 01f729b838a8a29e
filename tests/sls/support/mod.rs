//! A scripted Log Service, and a fault proxy for a real one.
//!
//! ```text
//! server ── connections ──▶ exchange ── rules ──▶ script
//!    │                          └── no rule: an origin answers
//!    └── traffic: what came            ├── service: world, calls, group, signature
//!                                      └── proxy: passes on
//! ```

mod calls;
#[path = "../../support/eventually.rs"]
mod eventually;
mod exchange;
pub mod group;
pub mod http;
pub mod proxy;
pub mod request;
pub mod script;
mod server;
pub mod service;
pub mod signature;
mod traffic;
pub mod world;

pub use calls::rfc_1123;
pub use eventually::eventually;
