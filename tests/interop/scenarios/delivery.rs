//! What is sent is stored, once, whichever way it is sent.

use std::net::ToSocketAddrs;

use super::FEW;
use super::run::{Way, assert_delivered, expected, send};
use crate::card::{self, Seen};
use crate::records::{self, Expected};
use crate::rows::Row;
use crate::server::{Kind, Server, Target, Wants};

const RECORDS: usize = 1_000;
const PRODUCERS: usize = 100;

pub fn every_codec_and_acks(row: &Row, on: Kind) -> Seen {
    let server = Server::start(on, Wants::default());
    let (unconfirmed, confirmed) = ways(row).into_iter().partition(|way| way.acks == "0");
    let mut expected = Expected::default();
    send_each(row, &server, confirmed, &mut expected);
    // Confirmed is stored: no waiting.
    let stored = server.stored();
    expected.assert_stored(&stored);
    expected.assert_in_order(&stored);
    // In no order: kafka-go, which waits for no answer, sends on several connections.
    send_each(row, &server, unconfirmed, &mut expected);
    expected.assert_stored(&server.stored_when(expected.len()));
    Seen::Good
}

/// Every format and codec with every acks; where neither row nor card is to be thorough, with one of them in turn.
fn ways(row: &Row) -> Vec<Way<'_>> {
    let mut ways = Vec::new();
    for (at, (message_format, codec)) in row.formats().enumerate() {
        let mut each: Vec<Way> = ["1", "all", "0"]
            .iter()
            .map(|acks| Way::new(message_format, codec, acks))
            .chain(Way::idempotent(row, message_format, codec))
            .collect();
        if !row.thorough && !card::wanted() {
            each = vec![each[at % each.len()]];
        }
        ways.extend(each);
    }
    ways.extend(Way::to_brokers(row));
    ways
}

fn send_each(row: &Row, server: &Server, ways: Vec<Way>, expected: &mut Expected) {
    for way in ways {
        let Way {
            codec,
            acks,
            idempotent,
            message_format,
            broker,
            ..
        } = way;
        let producer = if idempotent { " idempotent" } else { "" };
        let broker = broker.unwrap_or("any");
        let run = format!("v{message_format} {codec} acks={acks}{producer} to {broker}");
        let records = records::mixed(&run, RECORDS);
        assert_delivered(&send(row, &server.target(), way, &records), &records);
        expected.add(&records, way.carries(row));
    }
}

pub fn the_intranet_listener(row: &Row, on: Kind) -> Seen {
    let mut server = Server::start(on, Wants::default());
    let intranet = server.sluice().greeting.intranet.clone();
    assert_taken_at(row, &server, intranet);
    Seen::Good
}

/// The published way to dial: `{project}.{endpoint}`. The gateway advertises the same name, so the client's whole
/// conversation goes through it.
pub fn the_project_in_the_host_name(row: &Row, on: Kind) -> Seen {
    let server = Server::start(on, Wants::default());
    let Target {
        bootstrap, user, ..
    } = server.target();
    let bootstrap = format!("{user}.{bootstrap}");
    if bootstrap.to_socket_addrs().is_err() {
        let host = bootstrap.split(':').next().unwrap_or_default();
        return Seen::Skipped(format!("{host} has no address; /etc/hosts may give it one"));
    }
    assert_taken_at(row, &server, bootstrap);
    Seen::Good
}

fn assert_taken_at(row: &Row, server: &Server, bootstrap: String) {
    let records = records::mixed(&bootstrap, FEW);
    let target = Target {
        bootstrap,
        ..server.target()
    };
    let way = Way::plainest(row);
    assert_delivered(&send(row, &target, way, &records), &records);
    expected(row, way, &records).assert_stored(&server.stored());
}

/// Each with a connection for what it asks and, mostly, another for what it sends.
pub fn a_hundred_connections(row: &Row, on: Kind) -> Seen {
    let server = Server::start(on, Wants::default());
    let records = records::plain("hundred", 10 * PRODUCERS);
    let way = Way {
        producers: PRODUCERS,
        ..Way::plainest(row)
    };
    assert_delivered(&send(row, &server.target(), way, &records), &records);
    expected(row, way, &records).assert_stored(&server.stored());
    Seen::Good
}
