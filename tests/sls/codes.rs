//! What a Kafka client is told for each refusal of the Log Service.

use std::thread;

use crate::support::client::{Ask, batch};
use crate::support::request::Call;
use crate::support::script::Rule;
use crate::support::service::Service;
use crate::support::setup::{KEY, Setup, short};
use crate::support::{LOGSTORE, PASSWORD};

/// Status and code of the Log Service; what a Produce v9, a Produce v7 and a Metadata are told.
type Row = (u16, &'static str, i16, i16, i16);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    (401, "Unauthorized", 29, 29, 29),
    (403, "Unauthorized", 29, 29, 29),
    (401, "InvalidAccessKeyId", 29, 29, 29),
    (401, "SignatureNotMatch", 29, 29, 29),
    (403, "ProjectForbidden", 56, 6, 5),
    (403, "SomethingNew", 56, 6, 5),
    (400, "SomethingNew", 56, 6, 5),
    (400, "MissAccessKeyId", 56, 6, 5),
    (400, "MissingSignatureMethod", 56, 6, 5),
    (400, "InvalidSignatureMethod", 56, 6, 5),
    (400, "MissingDate", 56, 6, 5),
    (400, "InvalidDateFormat", 56, 6, 5),
    (400, "InvalidRequestTime", 56, 6, 5),
    (400, "MissingAPIVersion", 56, 6, 5),
    (400, "InvalidAPIVersion", 56, 6, 5),
    (400, "MissingHost", 56, 6, 5),
    (400, "InvalidHost", 56, 6, 5),
    (400, "MissingBodyRawSize", 56, 6, 5),
    (400, "InvalidBodyRawSize", 56, 6, 5),
    (400, "InvalidCompressType", 56, 6, 5),
    (415, "InvalidContentType", 56, 6, 5),
    (400, "MissingContentType", 56, 6, 5),
    (411, "MissingContentLength", 56, 6, 5),
    (400, "ParameterInvalid", 56, 6, 5),
    (400, "RequestTimeExpired", 56, 6, 5),
    (400, "RequestTimeTooSkewed", 56, 6, 5),
    (404, "ProjectNotExist", 3, 3, 3),
    (404, "ProjectNotExists", 3, 3, 3),
    (404, "LogStoreNotExist", 3, 3, 3),
    (404, "LogstoreNotExists", 3, 3, 3),
    (400, "LogStoreWithoutShard", 3, 3, 3),
    (400, "ShardNotExist", 3, 3, 3),
    (400, "PostBodyInvalid", 87, 87, 5),
    (400, "InvalidTimestamp", 87, 87, 5),
    (400, "InvalidEncoding", 87, 87, 5),
    (400, "InvalidKey", 87, 87, 5),
    (400, "PostBodyTooLarge", 10, 10, 5),
    (413, "PostBodyTooLarge", 10, 10, 5),
    (400, "PostBodyUncompressError", 56, 6, 5),
    (403, "ShardWriteQuotaExceed", 56, 6, 5),
    (403, "WriteQuotaExceed", 56, 6, 5),
    (403, "ExceedQuota", 56, 6, 5),
    (403, "ReadQuotaExceed", 56, 6, 5),
    (403, "ShardReadQuotaExceed", 56, 6, 5),
    (403, "MetaOperationQpsLimitExceeded", 56, 6, 5),
    (400, "ProjectQuotaExceed", 56, 6, 5),
    (500, "InternalServerError", 56, 6, 5),
    (500, "RequestTimeout", 56, 6, 5),
    (503, "ServerBusy", 56, 6, 5),
];

/// A project for each row, whose Logstore is there.
pub fn project(row: usize) -> String {
    format!("row-{row}")
}

pub fn start(rows: usize) -> Setup {
    let service = Service::start();
    service.change(|world| {
        for row in 0..rows {
            let project = world.project(&project(row));
            project.key(KEY.0, KEY.1);
            project.logstore(LOGSTORE, 3);
        }
    });
    Setup::before(service, |_| {})
}

pub fn produce(setup: &Setup, row: usize, version: i16) -> i16 {
    let mut client = setup.client_of(&project(row), PASSWORD);
    let asked = Ask {
        version,
        ..short(batch(&["a"]))
    };
    client.produce(&asked)[0]
}

pub fn metadata(setup: &Setup, row: usize) -> i16 {
    let mut client = setup.client_of(&project(row), PASSWORD);
    client.metadata(LOGSTORE, true).0
}

/// All rows at once, since some are only answered when their time is over.
pub fn check(expected: &[(String, i16)], told: impl Fn(usize) -> i16 + Sync) {
    let told = &told;
    let found: Vec<i16> = thread::scope(|scope| {
        let rows = 0..expected.len();
        let threads: Vec<_> = rows.map(|row| scope.spawn(move || told(row))).collect();
        let each = threads.into_iter();
        each.map(|thread| thread.join().expect("it was answered"))
            .collect()
    });
    let rows = expected.iter().zip(&found);
    let wrong: Vec<String> = rows
        .filter(|((_, expected), found)| expected != *found)
        .map(|((name, expected), found)| format!("{name}: {found} instead of {expected}"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn expect(code: impl Fn(&Row) -> i16) -> Vec<(String, i16)> {
    let rows = ROWS.iter();
    rows.map(|row| (format!("{} {}", row.0, row.1), code(row)))
        .collect()
}

fn refusing(call: Call) -> Setup {
    let setup = start(ROWS.len());
    for (row, (status, code, ..)) in ROWS.iter().enumerate() {
        let rule = Rule::refuse(call, *status, code);
        setup.service.script(rule.project(&project(row)));
    }
    setup
}

#[test]
fn each_refusal_of_a_write_has_its_code_in_produce_v9() {
    let setup = refusing(Call::PutLogs);
    check(&expect(|row| row.2), |row| produce(&setup, row, 9));
    assert!(setup.service.change(|world| world.stored.is_empty()));
}

#[test]
fn each_refusal_of_a_write_has_its_code_in_produce_v7() {
    let setup = refusing(Call::PutLogs);
    check(&expect(|row| row.3), |row| produce(&setup, row, 7));
}

#[test]
fn each_refusal_to_describe_has_its_code_in_metadata() {
    let setup = refusing(Call::ListShards);
    // Signatures of this version are good here.
    setup.service.change(|world| {
        let project = world.project("project-1");
        project.key(KEY.0, KEY.1);
        project.logstore(LOGSTORE, 1);
    });
    assert_eq!(setup.client().metadata(LOGSTORE, false), (0, 1));
    check(&expect(|row| row.4), |row| metadata(&setup, row));
}

#[test]
fn what_only_listing_refuses_is_told_in_produce_as_in_metadata() {
    let setup = refusing(Call::ListShards);
    setup.service.change(|world| {
        let project = world.project("project-1");
        project.key(KEY.0, KEY.1);
        project.logstore(LOGSTORE, 1);
    });
    assert_eq!(setup.client().metadata(LOGSTORE, false), (0, 1));
    let code = |row: &Row| if row.4 == 5 { 56 } else { row.4 };
    check(&expect(code), |row| produce(&setup, row, 9));
    assert_eq!(setup.service.count(Call::PutLogs), 0);
}
