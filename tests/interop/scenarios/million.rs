//! More records than anybody looks through: numbers, of which each is stored once.

use std::thread;
use std::time::{Duration, Instant};

use super::run::{NOT_IDEMPOTENT, Way, assert_count_delivered, send_source};
use crate::card::{self, Seen};
use crate::rows::{Report, Row, Source};
use crate::server::{Kind, Server, Wants};
use crate::tally::Tally;

const RECORDS: usize = 1_000_000;
/// Where no card is wanted.
const RECORDS_QUICK: usize = 100_000;
/// For all of them together, on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(240);
/// This part of them is stored when the server goes. The fastest clients send all of them in three seconds.
const BEFORE: usize = 20;
const NOT_KILLED: &str =
    "the server is not killed midway: what this client is given while it tries again it may lose";
const AWAY: Duration = Duration::from_millis(300);

/// Sluice is killed midway and comes back. Kafka is not: it takes long to come back.
pub fn counted_once(row: &Row, on: Kind) -> Seen {
    let Some(way) = way(row) else {
        return Seen::Other(NOT_IDEMPOTENT.to_owned());
    };
    let count = match card::wanted() {
        true => RECORDS,
        false => RECORDS_QUICK,
    };
    let kills = on == Kind::Sluice && !row.loses_behind_retries;
    let wants = Wants {
        restarts: kills,
        ..Wants::default()
    };
    let mut server = Server::start(on, wants);
    let report = match kills {
        true => send_and_kill(row, way, &mut server, count),
        false => send_source(row, &server.target(), way, Source::Numbers(count)),
    };
    assert_count_delivered(&report, count);
    let mut tally = Tally::new(count);
    server.each_value(|value| tally.add(value));
    tally.assert_each_once();
    match row.loses_behind_retries {
        true => Seen::Noted(NOT_KILLED.to_owned()),
        false => Seen::Good,
    }
}

fn way(row: &Row) -> Option<Way<'static>> {
    let newest = row.newest_format();
    let has_lz4 = row.formats().any(|each| each == (newest, "lz4"));
    let way = Way::idempotent(row, newest, if has_lz4 { "lz4" } else { "gzip" })?;
    Some(Way {
        timeout: TIMEOUT,
        ..way
    })
}

fn send_and_kill(row: &Row, way: Way, server: &mut Server, count: usize) -> Report {
    let target = server.target();
    thread::scope(|threads| {
        let sending = threads.spawn(|| send_source(row, &target, way, Source::Numbers(count)));
        wait_until_midway(server, count);
        assert!(!sending.is_finished(), "it had sent all before");
        server.kill();
        thread::sleep(AWAY);
        server.start_again();
        sending.join().expect("the client reports")
    })
}

fn wait_until_midway(server: &mut Server, count: usize) {
    let deadline = Instant::now() + TIMEOUT;
    while server.sluice().contents().nth(count / BEFORE).is_none() {
        assert!(Instant::now() < deadline, "too little arrives");
        thread::sleep(Duration::from_millis(20));
    }
}
