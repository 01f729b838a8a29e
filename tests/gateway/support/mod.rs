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
pub use store::{contents, contents_by_shard, embedded};

impl client::Client {
    /// Dials and logs in.
    pub fn new(gateway: &Gateway) -> Self {
        let mut client = Self::dial(gateway.address, &gateway.certificate, "localhost");
        client.log_in(PROJECT, PASSWORD).expect("a good key");
        client
    }
}
