//! What the tests of the gateway share.

#[path = "../../support/client.rs"]
pub mod client;
#[path = "../../support/gateway.rs"]
mod gateway;
mod store;
pub mod told;

pub use gateway::{Gateway, LOGSTORE, PASSWORD, PROJECT, Settings, eventually};
pub use store::{contents, embedded};
