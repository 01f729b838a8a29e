//! What a client meets at a server that lives: an error, slowness, change.

use std::time::Duration;

use super::names;
use super::outages::{WANTS, sending};
use super::run::{NOT_IDEMPOTENT, Sent, Way, expected, outcome, send};
use crate::card::Seen;
use crate::records;
use crate::relay::Fault;
use crate::rows::Row;
use crate::server::{Kind, Server, Wants};

const LATE: Duration = Duration::from_secs(8);
/// The partition's leader has moved: every client knows it, and tries again.
const NOT_LEADER: i16 = 6;
/// A few have gone before, a few follow.
const REFUSED: usize = 3;

const RELAYED: Wants = Wants {
    relayed: true,
    restarts: false,
    ..WANTS
};

/// One batch of an idempotent producer is refused while those behind it are on their way: the server sees a gap in their
/// sequence numbers, and the client has to send them again in order.
pub fn a_retriable_error_in_flight(row: &Row, on: Kind) -> Seen {
    let Some(way) = Way::idempotent(row, row.newest_format(), "none") else {
        return Seen::Other(NOT_IDEMPOTENT.to_owned());
    };
    let mut server = Server::start(on, RELAYED);
    let fault = Fault::Refused {
        number: REFUSED,
        code: NOT_LEADER,
    };
    server.relay(fault);
    let sent = sending(row, way, &mut server, |_| ());
    assert_eq!(server.refused(), 1, "no request was refused");
    let seen = outcome(row, names::IN_FLIGHT, way, &sent, &server);
    if let Seen::Good = seen {
        expected(row, way, &sent.records).assert_in_order(&server.stored());
    }
    seen
}

/// Longer than most clients wait between two requests, shorter than they wait for one.
pub fn late_answers(row: &Row, on: Kind) -> Seen {
    let mut server = Server::start(on, RELAYED);
    server.relay(Fault::Late(LATE));
    let records = records::plain("late", 100);
    let way = Way {
        timeout: 6 * LATE,
        ..Way::safest(row)
    };
    let report = send(row, &server.target(), way, &records);
    let sent = Sent { records, report };
    outcome(row, names::LATE, way, &sent, &server)
}

pub fn more_partitions(row: &Row, on: Kind) -> Seen {
    let mut server = Server::start(on, WANTS);
    let way = Way::safest(row);
    let sent = sending(row, way, &mut server, Server::add_partitions);
    outcome(row, names::PARTITIONS, way, &sent, &server)
}
