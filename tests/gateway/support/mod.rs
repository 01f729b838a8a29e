//! What the tests of the gateway share.

#[path = "../../support/client.rs"]
pub mod client;
#[path = "../../support/eventually.rs"]
mod eventually;
#[path = "../../support/gateway.rs"]
mod gateway;
#[path = "../../support/store.rs"]
mod store;
pub mod told;

pub use eventually::eventually;
pub use gateway::{Gateway, LOGSTORE, PASSWORD, PROJECT, Settings};
pub use store::{contents, embedded};
