//! What is shared with the other tests of the gateway.

#[path = "../support/gateway.rs"]
mod gateway;
#[path = "../support/store.rs"]
mod store;

pub use gateway::{Gateway, LOGSTORE, PASSWORD, PROJECT, Settings};
pub use store::embedded;
