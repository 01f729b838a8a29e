//! What the tests of requests share, and the tests that take the protocol's parts together.

pub(crate) mod requests;

mod bounds;
mod skimmer;
