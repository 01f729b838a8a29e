//! The good way: what each client sends is read back record for record, in every codec, by every signature, compression and
//! route.

use std::sync::Arc;
use std::thread;

use crate::clients::{Way, are_installed};
use crate::fault_proxy::request::{Call, Request};
use crate::records::{self, Carried, Expected, Record};
use crate::rows::{Row, Source, Spec, TIMEOUT};
use crate::stack::Stack;

const LOGSTORE: &str = "test-logstore-1";
const ROWS: [&str; 5] = [
    "confluent-kafka-2.16.1",
    "java-3.9.1",
    "kafka-python-2.0.2",
    "kcat-1.7.1",
    "sarama-1.38.1",
];
/// One of each dialect of the login.
const SOME_ROWS: [&str; 2] = ["kcat-1.7.1", "sarama-1.38.1"];
const RECORDS: usize = 100;

#[test]
fn by_key_hash_in_lz4_with_signature_v1() {
    check("v1", "lz4", "key-hash", &ROWS);
}

#[test]
fn load_balanced_in_zstd_with_signature_v4() {
    check("v4", "zstd", "load-balanced", &SOME_ROWS);
}

#[test]
fn load_balanced_in_lz4_with_signature_v1() {
    check("v1", "lz4", "load-balanced", &SOME_ROWS);
}

#[test]
fn by_key_hash_in_zstd_with_signature_v4() {
    check("v4", "zstd", "key-hash", &SOME_ROWS);
}

fn check(signature: &str, compression: &str, route: &str, rows: &[&str]) {
    if !are_installed("passage") {
        return;
    }
    let rows: Vec<Row> = rows
        .iter()
        .filter_map(|name| Row::installed(name, "passage"))
        .collect();
    let settings = format!(
        "[sls]\nsignature = \"{signature}\"\ncompression = \"{compression}\"\nroute = \"{route}\"\n"
    );
    let stack = Stack::start(&[], &settings);
    let expected = thread::scope(|scope| {
        let runs: Vec<_> = rows
            .iter()
            .map(|row| scope.spawn(|| send_every_codec(&stack, row)))
            .collect();
        let mut expected = Expected::default();
        for run in runs {
            for (records, timestamps) in run.join().expect("its records were delivered") {
                let headers = false;
                expected.add(
                    &records,
                    Carried {
                        timestamps,
                        headers,
                    },
                );
            }
        }
        expected
    });
    let stored = stack.stored();
    expected.assert_stored(&records::stored(&stored.logs(LOGSTORE)));
    assert_eq!(stored.shards(LOGSTORE), [0, 1].into());
    for write in writes(&stack) {
        assert_eq!(is_v1(&write), signature == "v1");
        assert_eq!(write.head.header("x-log-compresstype"), Some(compression));
        assert_eq!(write.hash_key().is_some(), route == "key-hash");
    }
}

/// What was sent, and whether it kept its timestamps.
fn send_every_codec(stack: &Stack, row: &Row) -> Vec<(Vec<Record>, bool)> {
    let newest = row.newest_format();
    let codecs = row.formats().filter(|(format, _)| *format == newest);
    let sent = codecs.map(|(_, codec)| {
        let records = records::mixed(&format!("{} {codec}", row.name), RECORDS);
        send(stack, row, codec, &records);
        (records, row.timestamps)
    });
    sent.collect()
}

fn send(stack: &Stack, row: &Row, codec: &str, records: &[Record]) {
    let file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    records::write(file.path(), records);
    let way = Way::patient();
    let report = row.send(&Spec {
        bootstrap: &stack.bootstrap,
        user: &way.user,
        password: &way.password,
        ca: &stack.ca(),
        topic: LOGSTORE,
        codec,
        acks: "all",
        idempotent: row.idempotent,
        message_format: row.newest_format(),
        broker: None,
        timeout_ms: TIMEOUT.as_millis() as u64,
        patient: false,
        producers: 1,
        pause_ms: 0,
        request_timeout_ms: None,
        verbose: false,
        source: Source::Records(file.path()),
    });
    let all = report.delivered == records.len() && report.errors.is_empty();
    assert!(all, "{} {codec}: {report:#?}", row.name);
}

fn writes(stack: &Stack) -> Vec<Arc<Request>> {
    let mut requests = stack.proxy.traffic().requests();
    requests.retain(|request| request.call == Call::PutLogs);
    requests
}

fn is_v1(request: &Request) -> bool {
    let authorization = request.head.header("authorization").unwrap_or_default();
    authorization.starts_with("LOG ")
}
