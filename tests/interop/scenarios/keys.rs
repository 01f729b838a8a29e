//! A key that was good is bad for a while.

use std::time::Duration;

use super::names;
use super::outages::{WANTS, sending};
use super::run::{Way, expected, outcome};
use crate::card::Seen;
use crate::rows::Row;
use crate::server::{Kind, Server, Wants};

const REVOKED: Duration = Duration::from_secs(2);

/// The client is told so, and drops what it has; nothing that it took for delivered is lost.
pub fn revoked_and_restored(row: &Row, on: Kind) -> Seen {
    let mut server = Server::start(on, WANTS);
    let way = Way::safest(row);
    let sent = sending(row, way, &mut server, |server| {
        server.revoke_key_for(REVOKED)
    });
    let lost = expected(row, way, &sent.records).missing(&server.stored());
    let (count, failed) = (
        sent.records.len(),
        sent.records.len() - sent.report.delivered,
    );
    assert!(
        lost <= failed,
        "{lost} are lost, only {failed} were said to have failed"
    );
    Seen::Noted(format!("{lost} of {count} dropped by the client"))
}

/// `bad-key = "hold"`: the client is not told, and loses nothing.
pub fn held(row: &Row, on: Kind) -> Seen {
    let wants = Wants {
        holds_bad_keys: true,
        ..WANTS
    };
    let mut server = Server::start(on, wants);
    let way = Way::safest(row);
    let sent = sending(row, way, &mut server, |server| {
        server.revoke_key_for(REVOKED)
    });
    outcome(row, names::HELD, way, &sent, &server)
}
