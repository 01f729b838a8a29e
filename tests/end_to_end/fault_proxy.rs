//! The fault proxy of the tests of the `sls` backend, as it is.
#![allow(dead_code, reason = "the backend's own tests use all of it")]

#[path = "../sls/support/calls.rs"]
mod calls;
#[path = "../sls/support/exchange.rs"]
mod exchange;
#[path = "../sls/support/group.rs"]
pub mod group;
#[path = "../sls/support/http.rs"]
pub mod http;
#[path = "../sls/support/proxy.rs"]
mod proxy;
#[path = "../sls/support/request.rs"]
pub mod request;
#[path = "../sls/support/script.rs"]
pub mod script;
#[path = "../sls/support/server.rs"]
mod server;
#[path = "../sls/support/service.rs"]
mod service;
#[path = "../sls/support/signature.rs"]
mod signature;
#[path = "../sls/support/traffic.rs"]
mod traffic;
#[path = "../sls/support/world.rs"]
mod world;

pub use proxy::Proxy;
