//! Requests that are too large, too slow or endless.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use prost::Message;

use crate::support::group::{encoded, group};
use crate::support::request::{Reply, Request, Version, connect, exchange};
use crate::support::{ALL, OTHER, OTHER_PROJECT, Server, Settings, WRITER};
use sluice::api::limits::Timeouts;

const PUT: &str = "/logstores/logstore-1/shards/lb";

fn put() -> Request {
    Request::put(PUT, &encoded("hello")).signed(Version::V1, ALL)
}

/// A server that waits for nobody.
fn impatient() -> Server {
    let short = Duration::from_millis(300);
    Server::start_with(Settings {
        timeouts: Timeouts {
            handshake: short,
            head: short,
            body: short,
            discard: short,
            answer: short,
            room: short,
        },
        ..Settings::default()
    })
}

/// True: the server closed the connection without a further byte.
fn is_closed(stream: &mut impl Read) -> bool {
    matches!(stream.read(&mut [0]), Ok(0) | Err(_))
}

#[test]
fn a_body_without_length_is_refused() {
    let server = Server::start();
    let chunked = put()
        .without("Content-Length")
        .with("Transfer-Encoding", "chunked");
    let bytes = [chunked.head(), b"5\r\nhello\r\n0\r\n\r\n".to_vec()].concat();
    exchange(server.address, &bytes).expect(411, "MissingContentLength");
    // Two lengths that disagree are no request at all.
    let both = put().with("Transfer-Encoding", "chunked");
    let bytes = [both.head(), b"0\r\n\r\n".to_vec()].concat();
    assert!(matches!(exchange(server.address, &bytes).status, 400 | 411));
    assert_eq!(server.stored_count(), 0);
}

#[test]
fn a_body_over_the_limit_is_refused_before_it_comes() {
    let server = Server::start();
    for (length, target, content_type) in [
        ("10485761", PUT, "application/x-protobuf"),
        ("99999999999999", PUT, "application/x-protobuf"),
        ("65537", "/logstores", "application/json"),
    ] {
        let request = Request::new("POST", target, b"x").with("Content-Type", content_type);
        let request = request
            .signed(Version::V1, ALL)
            .with("Content-Length", length);
        let mut stream = connect(server.address);
        stream.write_all(&request.head()).unwrap();
        if length == "65537" {
            stream.write_all(&vec![b' '; 65_537]).unwrap();
        }
        Reply::read(&mut stream).expect(413, "PostBodyTooLarge");
    }
}

#[test]
fn a_call_without_body_takes_none() {
    let server = Server::start();
    let request = Request::new("GET", "/", b"{}").signed(Version::V1, ALL);
    server.send(&request).expect(413, "PostBodyTooLarge");
}

#[test]
fn heads_are_bounded() {
    let server = Server::start();
    let status = |request: &Request| server.send(request).status;
    let long = put().with("x-other", &"x".repeat(20_000));
    assert_eq!(status(&long), 431);
    let mut many = put();
    for number in 0..100 {
        many.set(&format!("x-other-{number}"), "x");
    }
    assert_eq!(status(&many), 431);
    let mut endless = connect(server.address);
    let mut sent = 0;
    while sent < 50 << 20 && endless.write_all(&[b'a'; 1 << 16]).is_ok() {
        sent += 1 << 16;
    }
    assert!(sent < 50 << 20, "it reads a request line without end");
    server.send(&put()).ok();
}

#[test]
fn what_is_not_http_is_refused_and_harms_nobody() {
    let server = Server::start();
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01"[..],
        b"\x00\x00\x00\x10\x00\x12\x00\x00",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost : b\r\n\r\n",
    ] {
        let mut stream = connect(server.address);
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{bytes:?}");
    }
    server.send(&put()).ok();
}

#[test]
fn an_idle_connection_and_a_slow_head_are_closed() {
    let server = impatient();
    let mut idle = connect(server.address);
    let mut slow = connect(server.address);
    let start = Instant::now();
    let head = put().head();
    for byte in &head {
        if slow.write_all(&[*byte]).is_err() || start.elapsed() > Duration::from_secs(5) {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    let mut answer = Vec::new();
    let _ = slow.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "it waited for a slow head"
    );
    assert!(is_closed(&mut idle));
}

#[test]
fn a_slow_body_is_refused_and_not_waited_for() {
    let server = impatient();
    let request = put();
    let mut stream = connect(server.address);
    let start = Instant::now();
    stream.write_all(&request.head()).unwrap();
    stream.write_all(&request.body[..5]).unwrap();
    let reply = Reply::read(&mut stream).expect(500, "RequestTimeout");
    assert!(reply.header("x-log-requestid").is_some());
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(is_closed(&mut stream));
    assert_eq!(server.stored_count(), 0);
}

#[test]
fn a_client_that_leaves_in_the_middle_stores_nothing() {
    let server = Server::start();
    let request = put();
    for cut in [1, 50, request.head().len(), request.bytes().len() - 1] {
        let mut stream = connect(server.address);
        stream.write_all(&request.bytes()[..cut]).unwrap();
    }
    server.send(&request).ok();
    assert_eq!(server.stored_count(), 1);
}

#[test]
fn an_answer_that_nobody_takes_is_given_up() {
    let server = impatient();
    // Nothing in it repeats, so that the answer is larger than the buffers between.
    let mut state = 1u64;
    let mut text = |len: usize| -> String {
        let next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(b'!' + (state >> 33) as u8 % 90)
        };
        std::iter::repeat_with(next).take(len).collect()
    };
    let mut big = group("x");
    let log = big.logs[0].clone();
    big.logs = (0..9)
        .map(|_| {
            let mut log = log.clone();
            log.contents[0].value = text(1 << 20);
            log
        })
        .collect();
    let raw = big.encode_to_vec();
    let target = "/logstores/narrow-1/shards/lb";
    server
        .send(&Request::put(target, &raw).signed(Version::V1, ALL))
        .ok();

    let pull = Request::get(ALL, "/logstores/narrow-1/shards/0?type=logs&cursor=MA==");
    let mut stream = connect(server.address);
    stream.write_all(&pull.bytes()).unwrap();
    thread::sleep(Duration::from_secs(2));
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(
        answer.len() < raw.len(),
        "{} of {}",
        answer.len(),
        raw.len()
    );
    assert!(server.send(&pull).ok().body.len() >= raw.len());
}

#[test]
fn a_refused_client_that_is_still_sending_reads_its_answer() {
    let server = Server::start();
    let wrong = crate::support::request::Key {
        secret: "wrong",
        ..ALL
    };
    let request = Request::put(PUT, &vec![b'x'; 8 << 20]).signed(Version::V1, wrong);
    let mut stream = connect(server.address);
    stream
        .write_all(&request.bytes())
        .expect("all of it is read");
    Reply::read(&mut stream).expect(401, "SignatureNotMatch");
}

/// Whoever may write to one project can announce large bodies on many connections and send none of them.
#[test]
fn bodies_that_do_not_come_take_no_room_from_another_project() {
    let server = Server::start_with(Settings {
        timeouts: Timeouts {
            room: Duration::from_millis(500),
            ..Timeouts::default()
        },
        ..Settings::default()
    });
    let announced = Request::put(PUT, &vec![b'x'; 4 << 20])
        .with("x-log-compresstype", "lz4")
        .signed(Version::V1, WRITER);
    // Each takes 8 MiB of 128, for itself and for what it is decompressed to.
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = connect(server.address);
            stream.write_all(&announced.head()).unwrap();
            stream
        })
        .collect();
    // Until those that find no room are told so.
    thread::sleep(Duration::from_millis(800));
    let mut other = Request::put(PUT, &encoded("hello"));
    other.set("Host", &format!("{OTHER_PROJECT}.localhost"));
    server.send(&other.signed(Version::V1, OTHER)).ok();
    drop(waiting);
}
