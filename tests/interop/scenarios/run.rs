//! One run of a client, and what became of its records.

use std::time::Duration;

use crate::card::Seen;
use crate::records::{self, Carried, Expected, Record};
use crate::rows::{Report, Row, Source, Spec, TIMEOUT};
use crate::server::{Server, Target};

/// How a client sends.
#[derive(Clone, Copy)]
pub struct Way<'a> {
    pub codec: &'a str,
    pub acks: &'a str,
    pub idempotent: bool,
    pub message_format: u8,
    pub timeout: Duration,
    pub producers: usize,
    pub pause: Duration,
    /// The version of Kafka that the client is told to speak to; `None`: as the message format wants it.
    pub broker: Option<&'a str>,
}

impl<'a> Way<'a> {
    pub fn new(message_format: u8, codec: &'a str, acks: &'a str) -> Self {
        Self {
            codec,
            acks,
            idempotent: false,
            message_format,
            timeout: TIMEOUT,
            producers: 1,
            pause: Duration::ZERO,
            broker: None,
        }
    }

    /// The newest format for each version of Kafka that the client can be told to speak to.
    pub fn to_brokers(row: &'a Row) -> impl Iterator<Item = Self> {
        row.brokers.iter().map(|broker| Self {
            broker: Some(broker),
            ..Self::new(row.newest_format(), "gzip", "all")
        })
    }

    pub fn plainest(row: &Row) -> Self {
        Self::new(row.newest_format(), "none", "all")
    }

    /// With acks=all; `None` for a client or a message format that cannot.
    pub fn idempotent(row: &Row, message_format: u8, codec: &'a str) -> Option<Self> {
        (row.idempotent && message_format == 2).then_some(Self {
            idempotent: true,
            ..Self::new(message_format, codec, "all")
        })
    }

    /// Idempotent where the client can be.
    pub fn safest(row: &Row) -> Self {
        Self::idempotent(row, row.newest_format(), "none").unwrap_or_else(|| Self::plainest(row))
    }

    pub fn carries(self, row: &Row) -> Carried {
        Carried {
            // Message format 0 has no timestamps, and headers came with format 2.
            timestamps: row.timestamps && self.message_format > 0,
            headers: self.message_format == 2,
        }
    }
}

pub const NOT_IDEMPOTENT: &str = "it has no idempotent producer";

pub fn send(row: &Row, target: &Target, way: Way, records: &[Record]) -> Report {
    let file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    records::write(file.path(), records);
    send_source(row, target, way, Source::Records(file.path()))
}

pub fn send_source(row: &Row, target: &Target, way: Way, source: Source) -> Report {
    row.send(&Spec {
        bootstrap: &target.bootstrap,
        user: &target.user,
        password: &target.password,
        ca: &target.ca,
        topic: &target.topic,
        codec: way.codec,
        acks: way.acks,
        idempotent: way.idempotent,
        message_format: way.message_format,
        broker: way.broker,
        timeout_ms: way.timeout.as_millis() as u64,
        patient: true,
        producers: way.producers,
        pause_ms: way.pause.as_millis() as u64,
        request_timeout_ms: None,
        verbose: false,
        source,
    })
}

pub fn expected(row: &Row, way: Way, records: &[Record]) -> Expected {
    let mut expected = Expected::default();
    expected.add(records, way.carries(row));
    expected
}

pub fn assert_delivered(report: &Report, records: &[Record]) {
    assert_count_delivered(report, records.len());
}

pub fn assert_count_delivered(report: &Report, count: usize) {
    assert_eq!(
        report.delivered,
        count,
        "{:?}\n{}",
        report.errors.first(),
        report.log
    );
    assert!(report.errors.is_empty(), "{:?}", report.errors[0]);
}

/// What became of records that were sent through trouble. Nothing that the client took for delivered may be lost; all is to be
/// delivered in the end, and by an idempotent producer once, unless the client is known to have ways of its own.
pub fn outcome(row: &Row, scenario: &str, way: Way, sent: &Sent, server: &Server) -> Seen {
    let Sent { records, report } = sent;
    let expected = expected(row, way, records);
    let stored = server.stored();
    let (lost, repeats) = (expected.missing(&stored), expected.repeats(&stored));
    let failed = records.len() - report.delivered;
    let may_lose = way.idempotent && row.loses_behind_retries;
    assert!(
        lost <= failed || may_lose,
        "{lost} are lost, only {failed} were said to have failed"
    );
    let told = match (failed, lost, repeats) {
        (0, 0, 0) => return Seen::Good,
        (0, 0, _) if !way.idempotent => {
            return Seen::Noted(
                "some stored twice: without idempotence, at least once is the promise".to_owned(),
            );
        }
        _ => format!(
            "{failed} of {} given up by the client, {lost} not stored, {repeats} stored twice",
            records.len()
        ),
    };
    match row.own_ways.get(scenario) {
        Some(why) => Seen::Noted(format!("{told}: {why}")),
        None => panic!("{told}: {:?}\n{}", report.errors.first(), report.log),
    }
}

/// What a client was given, and what it says of it.
pub struct Sent {
    pub records: Vec<Record>,
    pub report: Report,
}
