//! What PullLogs, GetCursor and GetCursorTime give back.

use prost::Message;

use crate::support::group::{LogGroupList, encoded, group};
use crate::support::request::{Reply, Request, Version};
use crate::support::{ALL, NARROW, Server, now_s};

const SHARD: &str = "/logstores/narrow-1/shards/0";

fn put(server: &Server, raw: &[u8]) {
    let request = Request::put(&format!("/logstores/{NARROW}"), raw);
    server.send(&request.signed(Version::V1, ALL)).ok();
}

fn pull(server: &Server, query: &str, accept: &str) -> Reply {
    let request = Request::get(ALL, &format!("{SHARD}?type=logs&{query}"));
    server.send(&request.with("Accept-Encoding", accept))
}

/// The groups of an answer, decompressed.
fn groups(reply: &Reply) -> Vec<Vec<u8>> {
    let raw_bytes: usize = reply.header("x-log-bodyrawsize").unwrap().parse().unwrap();
    let raw = match reply.header("x-log-compresstype") {
        None => reply.body.clone(),
        Some("lz4") => lz4_flex::block::decompress(&reply.body, raw_bytes).unwrap(),
        Some("zstd") => zstd::decode_all(&*reply.body).unwrap(),
        Some("deflate") => {
            let mut raw = vec![0; raw_bytes];
            let mut inflate = libdeflater::Decompressor::new();
            inflate.zlib_decompress(&reply.body, &mut raw).unwrap();
            raw
        }
        Some(other) => panic!("{other}"),
    };
    assert_eq!(raw.len(), raw_bytes);
    let groups = LogGroupList::decode(&*raw).unwrap().groups;
    assert_eq!(
        reply.header("x-log-count").unwrap(),
        groups.len().to_string()
    );
    groups
}

fn cursor(server: &Server, from: &str) -> String {
    let request = Request::get(ALL, &format!("{SHARD}?type=cursor&from={from}"));
    let reply = server.send(&request).ok().json();
    reply["cursor"].as_str().unwrap().to_owned()
}

#[test]
fn groups_come_back_as_they_were_written_in_the_compression_that_is_asked_for() {
    let server = Server::start();
    let sent: Vec<Vec<u8>> = (0..5)
        .map(|n| encoded(&format!("log {n} ").repeat(100)))
        .collect();
    for raw in &sent {
        put(&server, raw);
    }
    for (accept, found) in [
        ("lz4", Some("lz4")),
        ("zstd", Some("zstd")),
        ("deflate", Some("deflate")),
        ("", None),
        ("identity", None),
        ("gzip, br", None),
        ("gzip, zstd, lz4", Some("zstd")),
    ] {
        let reply = pull(&server, "cursor=MA==&count=100", accept).ok();
        assert_eq!(reply.header("x-log-compresstype"), found, "{accept}");
        assert_eq!(reply.header("content-encoding"), None);
        assert_eq!(reply.header("content-type"), Some("application/x-protobuf"));
        assert_eq!(reply.header("x-log-read-last-cursor"), Some("4"));
        assert_eq!(groups(&reply), sent, "{accept}");
        assert_eq!(
            reply.header("x-log-cursor"),
            Some(cursor(&server, "end").as_str())
        );
    }
}

#[test]
fn at_the_end_there_is_nothing_and_the_cursor_stays() {
    let server = Server::start();
    put(&server, &encoded("x"));
    let end = cursor(&server, "end");
    let reply = pull(&server, &format!("cursor={end}"), "lz4").ok();
    assert_eq!(reply.header("x-log-cursor"), Some(end.as_str()));
    assert_eq!(reply.header("x-log-count"), Some("0"));
    assert_eq!(reply.header("x-log-bodyrawsize"), Some("0"));
    assert_eq!(reply.header("x-log-compresstype"), None);
    assert!(reply.body.is_empty());
    put(&server, &encoded("y"));
    assert_eq!(
        groups(&pull(&server, &format!("cursor={end}"), "")),
        [encoded("y")]
    );
}

#[test]
fn count_and_end_cursor_bound_a_pull_and_both_spellings_are_taken() {
    let server = Server::start();
    for number in 0..5 {
        put(&server, &encoded(&number.to_string()));
    }
    let count = |query: &str| groups(&pull(&server, query, "lz4").ok()).len();
    assert_eq!(count("cursor=MA==&count=1"), 1);
    assert_eq!(count("cursor=MA==&count=0"), 1);
    assert_eq!(count("cursor=MA==&count=1000"), 5);
    assert_eq!(count("cursor=MA=="), 5);
    // Mg== is 2.
    assert_eq!(count("cursor=MA==&end_cursor=Mg=="), 2);
    assert_eq!(count("cursor=MA==&endCursor=Mg=="), 2);
    assert_eq!(count("cursor=Mg==&end_cursor=MA=="), 0);
    assert_eq!(count("cursor=MA==&end_cursor="), 5);
    for (query, code) in [
        ("cursor=MA==&count=1001", "ParameterInvalid"),
        ("cursor=MA==&count=x", "ParameterInvalid"),
        ("count=1", "InvalidCursor"),
        ("cursor=x", "InvalidCursor"),
        ("cursor=MA==&end_cursor=x", "InvalidCursor"),
        // 99: this shard never had so many.
        ("cursor=OTk=", "InvalidCursor"),
        ("cursor=MA==&query=*", "NotSupported"),
    ] {
        pull(&server, query, "").expect(400, code);
    }
}

#[test]
fn both_names_of_the_type_are_taken_and_others_refused() {
    let server = Server::start();
    for (kind, status) in [("logs", 200), ("log", 200), ("history", 400)] {
        let request = Request::get(ALL, &format!("{SHARD}?type={kind}&cursor=MA=="));
        assert_eq!(server.send(&request).status, status, "{kind}");
    }
    server
        .send(&Request::get(ALL, SHARD))
        .expect(400, "ParameterInvalid");
    for shard in ["1", "-1", "x", "4294967296"] {
        let request = Request::get(
            ALL,
            &format!("/logstores/narrow-1/shards/{shard}?type=logs&cursor=MA=="),
        );
        server.send(&request).expect(400, "ShardNotExist");
    }
    // This is the search of logs, which is not served.
    let search = Request::get(ALL, "/logstores/narrow-1?type=log&from=0&to=9");
    server.send(&search).expect(400, "NotSupported");
}

#[test]
fn a_reader_that_goes_on_sees_every_group_once() {
    let server = Server::start();
    // About 30 MiB in all, in groups that a pull takes few of.
    let big = "0123456789".repeat(100_000);
    let sent: Vec<Vec<u8>> = (0..10)
        .map(|n| {
            let mut one = group(&n.to_string());
            let log = one.logs[0].clone();
            one.logs.resize(4, log);
            for log in &mut one.logs[1..] {
                log.contents[0].value.clone_from(&big);
            }
            one.encode_to_vec()
        })
        .collect();
    for raw in &sent {
        put(&server, raw);
    }
    let (mut cursor, end) = (cursor(&server, "begin"), cursor(&server, "end"));
    let (mut found, mut pulls) = (Vec::new(), 0);
    while cursor != end {
        let reply = pull(&server, &format!("cursor={cursor}&count=1000"), "lz4").ok();
        let raw_bytes: usize = reply.header("x-log-bodyrawsize").unwrap().parse().unwrap();
        assert!(raw_bytes <= 10 << 20, "{raw_bytes}");
        found.extend(groups(&reply));
        cursor = reply.header("x-log-cursor").unwrap().to_owned();
        pulls += 1;
    }
    assert_eq!(found, sent);
    assert!(pulls > 1);
}

#[test]
fn cursors_follow_the_time_of_receipt() {
    let server = Server::start();
    assert_eq!(cursor(&server, "begin"), cursor(&server, "end"));
    put(&server, &encoded("x"));
    let (begin, end) = (cursor(&server, "begin"), cursor(&server, "end"));
    assert_eq!((begin.as_str(), end.as_str()), ("MA==", "MQ=="));
    assert_eq!(cursor(&server, "0"), begin);
    assert_eq!(cursor(&server, &(now_s() - 60).to_string()), begin);
    assert_eq!(cursor(&server, &(now_s() + 60).to_string()), end);
    let time = |cursor: &str| {
        let request = Request::get(ALL, &format!("{SHARD}?type=cursor_time&cursor={cursor}"));
        server.send(&request)
    };
    for cursor in [&begin, &end] {
        let found = time(cursor).ok().json()["cursor_time"].as_i64().unwrap();
        assert!((found - now_s()).abs() < 10);
    }
    // 2, -1 and no number at all.
    for bad in ["Mg==", "LTE=", "eA==", ""] {
        time(bad).expect(400, "InvalidCursor");
    }
    for bad in ["", "now", "-1", "99999999999"] {
        let request = Request::get(ALL, &format!("{SHARD}?type=cursor&from={bad}"));
        server.send(&request).expect(400, "ParameterInvalid");
    }
}
