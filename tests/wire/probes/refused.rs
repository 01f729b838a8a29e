//! Fetch and FindCoordinator, which Sluice names so that old clients use all of Produce, and refuses.

use crate::dialogue::Probe;
use crate::request::Request;
use crate::schemas::{FETCH, FIND_COORDINATOR};
use crate::support::LOGSTORE;

pub fn probes() -> Vec<Probe> {
    let fetches = (0..=11).map(|version| Probe::ask(format!("Fetch v{version}"), fetch(version)));
    let coordinators = (0..=2).flat_map(|version| {
        [("a group", 0), ("a transaction", 1)].map(|(case, key_type)| {
            let request = Request::new(FIND_COORDINATOR, version)
                .text("key-1")
                .when(version >= 1, |request| request.i8(key_type));
            Probe::ask(format!("FindCoordinator v{version}, {case}"), request)
        })
    });
    fetches.chain(coordinators).collect()
}

/// What lies behind the end: nothing to send.
pub fn fetch(version: i16) -> Request {
    Request::new(FETCH, version)
        .i32(-1)
        .i32(0)
        .i32(0)
        .when(version >= 3, |request| request.i32(1 << 20))
        .when(version >= 4, |request| request.i8(0))
        .when(version >= 7, |request| request.i32(0).i32(-1))
        .count(1)
        .text(LOGSTORE)
        .count(1)
        .i32(0)
        .when(version >= 9, |request| request.i32(-1))
        .i64(0)
        .when(version >= 5, |request| request.i64(-1))
        .i32(0)
        .when(version >= 7, |request| request.count(0))
        .when(version >= 11, |request| request.text(""))
}
