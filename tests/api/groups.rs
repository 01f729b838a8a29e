//! What PutLogs takes, and where it goes.

use prost::Message;

use crate::support::group::{LogGroup, Pair, encoded, group, log, pair};
use crate::support::request::{Reply, Request, VERSIONS, Version};
use crate::support::{ALL, LOGSTORE, NARROW, Server, Settings, now_s};

const PUT: &str = "/logstores/narrow-1/shards/lb";
const DAY: i64 = 86_400;

/// Name and body of each compression.
fn compressed(raw: &[u8]) -> [(&'static str, Vec<u8>); 3] {
    let mut deflate = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
    let mut zlib = vec![0; deflate.zlib_compress_bound(raw.len())];
    let len = deflate.zlib_compress(raw, &mut zlib).unwrap();
    zlib.truncate(len);
    [
        ("lz4", lz4_flex::block::compress(raw)),
        ("zstd", zstd::encode_all(raw, 3).unwrap()),
        ("deflate", zlib),
    ]
}

fn put_compressed(name: &str, body: &[u8], raw_bytes: usize) -> Request {
    Request::put(PUT, body)
        .with("x-log-compresstype", name)
        .with("x-log-bodyrawsize", &raw_bytes.to_string())
}

fn put(server: &Server, group: &LogGroup) -> Reply {
    let request = Request::put(PUT, &group.encode_to_vec());
    server.send(&request.signed(Version::V1, ALL))
}

#[test]
fn a_group_is_kept_as_it_was_sent_in_every_compression_and_signature() {
    let server = Server::start();
    let mut sent = group("hello, 世界");
    sent.topic = Some("a topic".into());
    sent.source = Some("192.0.2.1".into());
    sent.tags = vec![pair("host", "web-1"), pair("__pack_id__", "A-1")];
    sent.logs[0].time_ns = Some(5);
    sent.logs
        .push(log(now_s() - 400 * DAY, &[("a", ""), ("b", "2")]));
    sent.unknown = Some("kept".into());
    let raw = sent.encode_to_vec();
    for version in VERSIONS {
        for (name, body) in compressed(&raw) {
            let request = put_compressed(name, &body, raw.len());
            server.send(&request.signed(version, ALL)).ok();
        }
        server
            .send(&Request::put(PUT, &raw).signed(version, ALL))
            .ok();
    }
    let mut empty_texts = group("x");
    (empty_texts.topic, empty_texts.source) = (Some(String::new()), Some(String::new()));
    put(&server, &empty_texts).ok();
    let mut stored = server.stored(NARROW, 0);
    assert_eq!(stored.pop(), Some(empty_texts.encode_to_vec()));
    assert_eq!(stored, vec![raw; 8]);
}

#[test]
fn a_body_that_is_not_what_it_says_is_refused() {
    let server = Server::start();
    let raw = encoded(&"text ".repeat(200));
    let check = |request: Request, status, code: &str| {
        server
            .send(&request.signed(Version::V4, ALL))
            .expect(status, code);
    };
    for (name, body) in compressed(&raw) {
        for said in [0, 1, raw.len() - 1, raw.len() + 1, 10 << 20] {
            check(
                put_compressed(name, &body, said),
                400,
                "PostBodyUncompressError",
            );
        }
        for said in ["10485761", "18446744073709551615"] {
            let request = put_compressed(name, &body, 0).with("x-log-bodyrawsize", said);
            check(request, 413, "PostBodyTooLarge");
        }
        check(
            put_compressed(name, &body[1..], raw.len()),
            400,
            "PostBodyUncompressError",
        );
        check(
            put_compressed(name, &[], raw.len()),
            400,
            "PostBodyUncompressError",
        );
    }
    for said in ["0", "1", "10485760"] {
        check(
            Request::put(PUT, &raw).with("x-log-bodyrawsize", said),
            400,
            "InvalidBodyRawSize",
        );
    }
    assert!(server.stored(NARROW, 0).is_empty());
}

#[test]
fn a_bomb_bursts_at_the_size_that_it_said() {
    let server = Server::start();
    let zeros = vec![0; 200 << 20];
    for (name, body) in compressed(&zeros) {
        if body.len() <= 10 << 20 {
            let request = put_compressed(name, &body, 10 << 20).signed(Version::V1, ALL);
            server.send(&request).expect(400, "PostBodyUncompressError");
        }
    }
    put(&server, &group("still there")).ok();
}

#[test]
fn the_largest_group_is_taken_and_one_byte_more_is_not() {
    let server = Server::start();
    let now = now_s();
    let of_size = |bytes: usize| {
        let value = "v".repeat(1 << 20);
        let mut group = LogGroup {
            logs: (0..9).map(|_| log(now, &[("content", &value)])).collect(),
            ..LogGroup::default()
        };
        group.logs.push(log(now, &[("content", &value[..900_000])]));
        let missing = bytes - group.encoded_len();
        let rest = "v".repeat(900_000 + missing);
        group.logs[9].contents[0].value = rest;
        let raw = group.encode_to_vec();
        assert_eq!(raw.len(), bytes);
        raw
    };
    let send = |raw: &[u8]| {
        let body = lz4_flex::block::compress(raw);
        server.send(&put_compressed("lz4", &body, raw.len()).signed(Version::V1, ALL))
    };
    send(&of_size(10 << 20)).ok();
    send(&of_size((10 << 20) + 1)).expect(413, "PostBodyTooLarge");
    let whole = of_size(10 << 20);
    server
        .send(&Request::put(PUT, &whole).signed(Version::V4, ALL))
        .ok();
    let same = server.stored(NARROW, 0) == [whole.clone(), whole];
    assert!(same, "not both are stored as they were sent");
}

#[test]
fn one_bad_log_refuses_the_group() {
    let server = Server::start();
    let good = log(now_s(), &[("a", "b")]);
    let check = |bad: LogGroup, status, code: &str, part: &str| {
        let reply = put(&server, &bad).expect(status, code);
        assert!(reply.message().contains(part), "{}", reply.message());
    };
    let with = |bad| LogGroup {
        logs: vec![good.clone(), bad],
        ..LogGroup::default()
    };
    let (long_key, long_value) = ("k".repeat(129), "v".repeat((1 << 20) + 1));
    check(
        with(log(now_s(), &[(&long_key, "v")])),
        400,
        "InvalidKey",
        "log 2 has a key of 129 bytes",
    );
    check(
        with(log(now_s(), &[("k", &long_value)])),
        400,
        "PostBodyInvalid",
        "log 2 has a value",
    );
    check(
        with(log(now_s(), &[])),
        400,
        "PostBodyInvalid",
        "log 2 has no field",
    );
    check(LogGroup::default(), 400, "PostBodyInvalid", "no log");
    let text = |set: fn(&mut LogGroup, String)| {
        let mut group = with(good.clone());
        set(&mut group, "t".repeat(129));
        group
    };
    check(
        text(|group, text| group.topic = Some(text)),
        400,
        "PostBodyInvalid",
        "128 bytes",
    );
    check(
        text(|group, text| group.source = Some(text)),
        400,
        "PostBodyInvalid",
        "128 bytes",
    );
    let tag = |group: &mut LogGroup, key| {
        group.tags = vec![Pair {
            key,
            value: "v".into(),
        }]
    };
    check(text(tag), 400, "PostBodyInvalid", "128 bytes");
    let many = LogGroup {
        logs: vec![good.clone(); 40_961],
        ..LogGroup::default()
    };
    check(many.clone(), 413, "PostBodyTooLarge", "40960 logs");
    assert!(server.stored(NARROW, 0).is_empty());
    let most = LogGroup {
        logs: many.logs[1..].to_vec(),
        ..LogGroup::default()
    };
    put(&server, &most).ok();
}

#[test]
fn what_is_no_loggroup_is_refused() {
    let server = Server::start();
    let send = |raw: &[u8]| server.send(&Request::put(PUT, raw).signed(Version::V1, ALL));
    let good = encoded("x");
    send(&good[..good.len() - 1]).expect(400, "PostBodyInvalid");
    send(b"GET / HTTP/1.1").expect(400, "PostBodyInvalid");
    send(&[]).expect(400, "PostBodyInvalid");
    send(&[good.clone(), vec![0x02, 0x00]].concat()).expect(400, "PostBodyInvalid");
    send(&[good.clone(), vec![0x1a, 0x01, 0xff]].concat()).expect(400, "InvalidEncoding");
    send(&[good, vec![0x12, 0x01, 0xff]].concat()).expect(400, "InvalidEncoding");
    assert!(server.stored(NARROW, 0).is_empty());
}

#[test]
fn an_old_backlog_keeps_its_times_and_the_far_future_is_refused() {
    let server = Server::start();
    let at = |time| {
        let group = LogGroup {
            logs: vec![log(time, &[("a", "b")])],
            ..LogGroup::default()
        };
        put(&server, &group)
    };
    for time in [
        0,
        now_s() - 4000 * DAY,
        now_s() - 8 * DAY,
        now_s() + DAY - 60,
    ] {
        at(time).ok();
    }
    let late = now_s() + DAY + 60;
    let reply = at(late).expect(400, "PostBodyInvalid");
    assert!(
        reply.message().contains(&format!("the time {late}")),
        "{}",
        reply.message()
    );
}

#[test]
fn with_check_times_the_window_is_the_log_services() {
    let server = Server::start_with(Settings {
        check_times: true,
        ..Settings::default()
    });
    let at = |time| {
        let group = LogGroup {
            logs: vec![log(now_s(), &[("a", "b")]), log(time, &[("a", "b")])],
            ..LogGroup::default()
        };
        put(&server, &group)
    };
    for time in [now_s() - 7 * DAY + 60, now_s(), now_s() + 840] {
        at(time).ok();
    }
    for time in [0, now_s() - 7 * DAY - 60, now_s() + 960] {
        let reply = at(time).expect(400, "PostBodyInvalid");
        assert!(
            reply
                .message()
                .contains(&format!("log 2 has the time {time}")),
            "{}",
            reply.message()
        );
    }
}

#[test]
fn groups_take_turns_over_the_shards_of_each_logstore() {
    let server = Server::start();
    for _ in 0..4 {
        for target in ["/logstores/logstore-1/shards/lb", PUT] {
            server
                .send(&Request::put(target, &encoded("x")).signed(Version::V1, ALL))
                .ok();
        }
    }
    let counts = [0, 1].map(|shard| server.stored(LOGSTORE, shard).len());
    assert_eq!(counts, [2, 2]);
}

#[test]
fn a_key_leads_to_the_shard_whose_range_holds_it() {
    let server = Server::start();
    let send = |query: &str| {
        let target = format!("/logstores/logstore-1/shards/route{query}");
        server.send(&Request::put(&target, &encoded("x")).signed(Version::V4, ALL))
    };
    let counts = || [0, 1].map(|shard| server.stored(LOGSTORE, shard).len());
    for key in [
        "00000000000000000000000000000000",
        "7fffffffffffffffffffffffffffffff",
        "5F",
        "0",
    ] {
        send(&format!("?key={key}")).ok();
    }
    assert_eq!(counts(), [4, 0]);
    for key in [
        "80000000000000000000000000000000",
        "ffffffffffffffffffffffffffffffff",
        "8",
    ] {
        send(&format!("?key={key}")).ok();
    }
    assert_eq!(counts(), [4, 3]);
    send("").ok();
    send("?key=").ok();
    assert_eq!(counts(), [5, 4]);
    for query in [
        "?key=xyz",
        "?key=000000000000000000000000000000000",
        "?key=00&seqid=1",
        "?processor=p",
    ] {
        send(query).expect(400, "ParameterInvalid");
    }
}
