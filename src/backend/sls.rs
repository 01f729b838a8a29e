//! The Alibaba Cloud Log Service behind the gateway.

pub mod client;
pub mod config;

pub use config::Config;
