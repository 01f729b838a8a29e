//! The server goes away while a client sends, and comes back: what was acknowledged is stored.

use std::thread;
use std::time::{Duration, Instant};

use super::names;
use super::run::{NOT_IDEMPOTENT, Sent, Way, outcome, send};
use crate::card::Seen;
use crate::records;
use crate::rows::Row;
use crate::server::{Kind, Server, Wants};

/// Sent over three seconds.
const RECORDS: usize = 600;
const PAUSE: Duration = Duration::from_millis(5);
/// So many are stored when it goes.
const BEFORE: usize = 50;
const BEFORE_MAX: Duration = Duration::from_secs(20);
const AWAY: Duration = Duration::from_millis(300);
/// For a server that takes long to come back.
const TIMEOUT: Duration = Duration::from_secs(60);

pub const WANTS: Wants = Wants {
    topic_exists: true,
    batch_bytes_max: None,
    relayed: false,
    restarts: true,
    holds_bad_keys: false,
};

pub fn killed(row: &Row, on: Kind) -> Seen {
    away_and_back(row, on, names::KILLED, Way::plainest(row), Server::kill)
}

pub fn killed_idempotent(row: &Row, on: Kind) -> Seen {
    away_and_back_idempotent(row, on, names::KILLED_IDEMPOTENT, Server::kill)
}

pub fn drained(row: &Row, on: Kind) -> Seen {
    away_and_back(row, on, names::DRAINED, Way::plainest(row), Server::drain)
}

pub fn drained_idempotent(row: &Row, on: Kind) -> Seen {
    away_and_back_idempotent(row, on, names::DRAINED_IDEMPOTENT, Server::drain)
}

fn away_and_back_idempotent(row: &Row, on: Kind, name: &str, end: fn(&mut Server)) -> Seen {
    match Way::idempotent(row, row.newest_format(), "none") {
        Some(way) => away_and_back(row, on, name, way, end),
        None => Seen::Other(NOT_IDEMPOTENT.to_owned()),
    }
}

/// Everything is to be delivered in the end: the time-out is far longer than the server is away.
fn away_and_back(row: &Row, on: Kind, name: &str, way: Way, end: fn(&mut Server)) -> Seen {
    let mut server = Server::start(on, WANTS);
    let sent = sending(row, way, &mut server, |server| {
        end(server);
        thread::sleep(AWAY);
        server.start_again();
    });
    outcome(row, name, way, &sent, &server)
}

/// Sends for some seconds, and does this when some is stored.
pub fn sending(row: &Row, way: Way, server: &mut Server, midway: impl FnOnce(&mut Server)) -> Sent {
    let way = Way {
        pause: PAUSE,
        timeout: TIMEOUT,
        ..way
    };
    let records = records::plain("midway", RECORDS);
    let target = server.target();
    let report = thread::scope(|threads| {
        let sending = threads.spawn(|| send(row, &target, way, &records));
        wait_for_some(server);
        assert!(!sending.is_finished(), "it had sent all before");
        midway(server);
        sending.join().expect("the client reports")
    });
    Sent { records, report }
}

fn wait_for_some(server: &Server) {
    let deadline = Instant::now() + BEFORE_MAX;
    while server.stored().len() < BEFORE {
        assert!(Instant::now() < deadline, "nothing arrives");
        thread::sleep(Duration::from_millis(50));
    }
}
