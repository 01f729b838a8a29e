//! What a client really sends: a record that arrives does not tell by which requests, in which format and codec it came.

use std::collections::BTreeSet;

use super::run::{Way, assert_delivered, send};
use crate::card::Seen;
use crate::records;
use crate::relay::{Fault, Request};
use crate::rows::Row;
use crate::server::{Kind, Server, Wants};

/// Enough for batches that are worth compressing.
const RECORDS: usize = 200;
/// By the number that record sets have for it.
const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

pub fn what_it_sends(row: &Row, on: Kind) -> Seen {
    let wants = Wants {
        relayed: true,
        ..Wants::default()
    };
    let mut server = Server::start(on, wants);
    let target = server.target();
    let relay = server.relay(Fault::None);
    let mut parts: Vec<(String, BTreeSet<Request>)> = Vec::new();
    let mut name = String::new();
    for way in ways(row) {
        let records = records::plain(
            "much the same, so that compressing gains something",
            RECORDS,
        );
        let report = send(row, &target, way, &records);
        assert_delivered(&report, &records);
        name = format!("{} {}", report.library, report.version);
        let seen = relay.take_seen();
        assert_as_asked(&seen, way);
        let part = match way.broker {
            None => format!("m{}", way.message_format),
            Some(broker) => format!("m{} for Kafka {broker}", way.message_format),
        };
        match parts.last_mut() {
            Some((last, all)) if *last == part => all.extend(seen),
            _ => parts.push((part, seen)),
        }
    }
    let texts: Vec<String> = parts.iter().map(|(part, seen)| text(part, seen)).collect();
    Seen::Noted(format!("{name}: {}", texts.join("; ")))
}

fn ways(row: &Row) -> Vec<Way<'_>> {
    let mut ways = Vec::new();
    for (message_format, codec) in row.formats() {
        ways.push(Way::new(message_format, codec, "all"));
        ways.extend(Way::idempotent(row, message_format, codec));
    }
    ways.extend(Way::to_brokers(row));
    ways
}

/// Clients leave a batch uncompressed where compressing it gains nothing.
fn assert_as_asked(seen: &BTreeSet<Request>, way: Way) {
    let asked = CODECS.iter().position(|codec| *codec == way.codec);
    let asked = asked.expect("a codec of Kafka's") as u8;
    let produced: BTreeSet<(u8, u8)> = seen
        .iter()
        .filter_map(|request| match *request {
            Request::Produce {
                message_format,
                codec,
                ..
            } => Some((message_format, codec)),
            _ => None,
        })
        .collect();
    let allowed = BTreeSet::from([(way.message_format, asked), (way.message_format, 0)]);
    assert!(
        produced.contains(&(way.message_format, asked)) && produced.is_subset(&allowed),
        "format and codec {produced:?}, asked for {allowed:?}"
    );
}

/// Like `m2 A3 H1 S1 M12 I4 P10`.
fn text(part: &str, seen: &BTreeSet<Request>) -> String {
    let mut texts: Vec<String> = seen.iter().map(|request| request.short()).collect();
    texts.dedup();
    format!("{part} {}", texts.join(" "))
}
