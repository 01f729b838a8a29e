//! What each client is put through. One gateway each: nothing stored by one test is seen by another.

use std::collections::BTreeMap;
use std::net::ToSocketAddrs;
use std::time::Duration;

use serde_json::json;

use crate::gateway::{Gateway, LOGSTORE};
use crate::programs;
use crate::records::{self, Expected, Record, StoredLog};
use crate::rows::{Report, Row, Spec, TIMEOUT};

const RECORDS: usize = 1_000;
/// For runs that only ask whether records pass at all.
const FEW: usize = 20;
/// The time-out of a client that is to give up.
const GIVE_UP: Duration = Duration::from_secs(5);

/// How a client sends.
#[derive(Clone, Copy)]
struct Way<'a> {
    codec: &'a str,
    acks: &'a str,
    idempotent: bool,
    message_format: u8,
    timeout: Duration,
}

impl<'a> Way<'a> {
    fn new(message_format: u8, codec: &'a str, acks: &'a str) -> Self {
        Self {
            codec,
            acks,
            idempotent: false,
            message_format,
            timeout: TIMEOUT,
        }
    }

    fn plainest(row: &Row) -> Self {
        Self::new(row.newest_format(), "none", "all")
    }
}

pub fn every_codec_and_acks_delivers_every_record_once(row: &Row) {
    let gateway = Gateway::start();
    let mut expected = Expected::default();
    for way in confirmed_ways(row) {
        send_all(row, &gateway, way, &mut expected);
    }
    // Confirmed is stored: no waiting.
    expected.assert_stored(&gateway.logs(LOGSTORE));
    for (message_format, codec) in row.formats() {
        let way = Way::new(message_format, codec, "0");
        send_all(row, &gateway, way, &mut expected);
    }
    expected.assert_stored(&gateway.logs_when(LOGSTORE, expected.len()));
}

fn confirmed_ways(row: &Row) -> Vec<Way<'_>> {
    let mut ways = Vec::new();
    for (message_format, codec) in row.formats() {
        for acks in ["1", "all"] {
            ways.push(Way::new(message_format, codec, acks));
        }
        if row.idempotent && message_format == 2 {
            ways.push(Way {
                idempotent: true,
                ..Way::new(message_format, codec, "all")
            });
        }
    }
    ways
}

pub fn the_intranet_listener_takes_records(row: &Row) {
    let gateway = Gateway::start();
    assert_taken_at(row, &gateway, &gateway.greeting.intranet);
}

/// The published way to dial: `{project}.{endpoint}`. The gateway advertises the same name, so the client's whole
/// conversation goes through it.
pub fn the_project_may_stand_in_the_host_name(row: &Row) {
    let gateway = Gateway::start();
    let bootstrap = format!("{}.{}", gateway.greeting.user, gateway.greeting.bootstrap);
    if bootstrap.to_socket_addrs().is_err() {
        let host = bootstrap.split(':').next().unwrap_or_default();
        programs::skipped(&format!(
            "{}: project host: {host} has no address; /etc/hosts may give it one",
            row.name
        ));
        return;
    }
    assert_taken_at(row, &gateway, &bootstrap);
}

fn assert_taken_at(row: &Row, gateway: &Gateway, bootstrap: &str) {
    let records = records::mixed(bootstrap, FEW);
    let report = send(
        row,
        gateway,
        bootstrap,
        LOGSTORE,
        Way::plainest(row),
        &records,
    );
    assert_delivered(&report, &records);
    let mut expected = Expected::default();
    expected.add(&records, row.timestamps);
    expected.assert_stored(&gateway.logs(LOGSTORE));
}

pub fn a_json_topic_makes_fields(row: &Row) {
    let gateway = Gateway::start();
    let records: Vec<Record> = (0..FEW)
        .map(|at| {
            let value = json!({"id": at, "text": "日志", "ok": true, "none": null, "nested": {"a": [1, 2]}});
            Record::of(value.to_string().into_bytes())
        })
        .chain([Record::of(b"not JSON".to_vec())])
        .collect();
    let topic = format!("{LOGSTORE}.json");
    let report = send(
        row,
        &gateway,
        &gateway.greeting.bootstrap,
        &topic,
        Way::plainest(row),
        &records,
    );
    assert_delivered(&report, &records);

    let mut stored: Vec<BTreeMap<String, String>> =
        gateway.logs(LOGSTORE).iter().map(fields).collect();
    let mut sent: Vec<BTreeMap<String, String>> = (0..FEW)
        .map(|at| {
            let id = at.to_string();
            map(&[
                ("id", &id),
                ("text", "日志"),
                ("ok", "true"),
                ("none", ""),
                ("nested", "{\"a\":[1,2]}"),
            ])
        })
        .chain([map(&[("content", "not JSON")])])
        .collect();
    stored.sort();
    sent.sort();
    assert_eq!(stored, sent);
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// A log without what `sluice logs` adds.
fn fields(log: &StoredLog) -> BTreeMap<String, String> {
    log.iter()
        .filter(|(name, _)| !name.starts_with("__"))
        .map(|(name, value)| {
            (
                name.clone(),
                value.as_str().expect("fields are text").to_owned(),
            )
        })
        .collect()
}

/// TopicAuthorizationException in the published table.
pub fn a_wrong_key_is_a_refused_topic(row: &Row) {
    let mut gateway = Gateway::start();
    gateway.greeting.password.push_str("-wrong");
    assert_refused(row, &gateway, LOGSTORE, 29);
    assert_eq!(gateway.logs(LOGSTORE), []);
}

/// UnknownTopicOrPartitionException in the published table.
pub fn a_missing_logstore_is_an_unknown_topic(row: &Row) {
    let gateway = Gateway::start_without_creation();
    assert_refused(row, &gateway, "no-such-logstore", 3);
    assert_eq!(gateway.logs(LOGSTORE), []);
}

/// One record: clients wait for each record of a refused topic.
fn assert_refused(row: &Row, gateway: &Gateway, topic: &str, code: i64) {
    let records = records::mixed("refused", 1);
    let bootstrap = &gateway.greeting.bootstrap;
    let way = Way {
        timeout: GIVE_UP,
        ..Way::plainest(row)
    };
    let report = send(row, gateway, bootstrap, topic, way, &records);
    assert_eq!(report.delivered, 0, "{report:?}");
    assert!(!report.errors.is_empty(), "a failure without an error");
    assert!(report.names(code) || !row.names_refusals, "{report:?}");
}

fn send_all(row: &Row, gateway: &Gateway, way: Way, expected: &mut Expected) {
    let Way {
        codec,
        acks,
        idempotent,
        message_format,
        ..
    } = way;
    let producer = if idempotent { " idempotent" } else { "" };
    let run = format!("v{message_format} {codec} acks={acks}{producer}");
    let records = records::mixed(&run, RECORDS);
    let report = send(
        row,
        gateway,
        &gateway.greeting.bootstrap,
        LOGSTORE,
        way,
        &records,
    );
    assert_delivered(&report, &records);
    // Message format 0 has no timestamps.
    expected.add(&records, row.timestamps && message_format > 0);
}

fn assert_delivered(report: &Report, records: &[Record]) {
    assert_eq!(
        report.delivered,
        records.len(),
        "{:?}\n{}",
        report.errors.first(),
        report.log
    );
    assert!(report.errors.is_empty(), "{:?}", report.errors[0]);
}

fn send(
    row: &Row,
    gateway: &Gateway,
    bootstrap: &str,
    topic: &str,
    way: Way,
    records: &[Record],
) -> Report {
    let file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    records::write(file.path(), records);
    row.send(&Spec {
        bootstrap,
        user: &gateway.greeting.user,
        password: &gateway.greeting.password,
        ca: &gateway.greeting.ca,
        topic,
        codec: way.codec,
        acks: way.acks,
        idempotent: way.idempotent,
        message_format: way.message_format,
        timeout_ms: way.timeout.as_millis() as u64,
        request_timeout_ms: None,
        verbose: false,
        records: file.path(),
    })
}
