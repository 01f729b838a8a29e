//! Whole dialogues of clients that no registry gives as programs, laid by hand after their sources: what they say, in
//! which order, from the first byte of a connection on.

use super::produce::good;
use super::producers::init;
use super::versions::api_versions;
use super::{Produce, metadata};
use crate::dialogue::{Probe, Step, authenticate, good_token, handshake};
use crate::request::Request;
use crate::schemas::METADATA;
use crate::sets::{self, Batch, Entry, GZIP, LZ4, SNAPPY, ZSTD, compress};
use crate::support::{LOGSTORE, PASSWORD, PROJECT};

pub fn probes() -> Vec<Probe> {
    [ruby(), librdkafka(), sarama(), java(), python(), others()].concat()
}

fn client(name: &str, login: Vec<Step>, requests: Vec<Request>) -> Probe {
    let rest = requests.into_iter().map(Step::Ask);
    let steps = login.into_iter().chain(rest).collect();
    Probe::new(format!("client {name}"), steps).unknown()
}

/// SaslHandshake v0 and a bare token.
fn raw_login() -> Vec<Step> {
    vec![Step::Ask(handshake(0, "PLAIN")), Step::Token(good_token())]
}

fn framed_login(version: i16) -> Vec<Step> {
    vec![
        Step::Ask(handshake(1, "PLAIN")),
        Step::Ask(authenticate(version, &good_token())),
    ]
}

fn asked(version: i16) -> Request {
    metadata::named(version, &[LOGSTORE], true)
}

fn produced(version: i16, acks: i16, set: &[u8]) -> Request {
    Produce {
        acks,
        ..Produce::new(version)
    }
    .set(set)
}

/// No batch of theirs has −1 for epoch and sequence.
fn zeroed(values: &[&str], codec: u8) -> Vec<u8> {
    Batch::new(values).codec(codec).producer(-1, 0, 0).bytes()
}

fn ruby() -> Vec<Probe> {
    let two = zeroed(&["one", "two"], GZIP);
    let both = Produce::new(7).request(&[(0, Some(&two)), (1, Some(&two))]);
    let first = Batch::new(&["one"]).producer(60_000, 0, 0).bytes();
    let set = Entry::wrapper(1, GZIP, &sets::set(1, sets::NONE)).bytes();
    vec![
        client(
            "ruby-kafka 1.5",
            raw_login(),
            vec![
                metadata::named(1, &[], true),
                asked(1),
                produced(3, -1, &two),
                produced(3, 1, &zeroed(&["x"], SNAPPY)),
            ],
        ),
        client(
            "ruby-kafka 1.5 with zstd",
            raw_login(),
            vec![asked(1), produced(7, -1, &zeroed(&["x"], ZSTD)), both],
        ),
        client(
            "ruby-kafka 1.5, idempotent",
            raw_login(),
            vec![
                asked(1),
                init(0, None, 60_000, (-1, -1)),
                produced(3, -1, &first),
            ],
        ),
        client(
            "ruby-kafka 0.7.6",
            raw_login(),
            vec![asked(1), produced(2, -1, &set)],
        ),
    ]
}

/// Offsets from 0, wrapper offset 0, and in magic 0 the wrong header checksum of lz4.
fn librdkafka() -> Vec<Probe> {
    let asks = |login: Vec<Step>| [vec![Step::Ask(api_versions(0))], login].concat();
    let lz4 = {
        let mut frame = compress(LZ4, &sets::set(0, sets::NONE));
        // Over the frame's magic too, as these clients reckon it.
        frame[6] = (twox_hash::XxHash32::oneshot(0, &frame[..6]) >> 8) as u8;
        Entry::new(0, &frame)
            .with(|entry| entry.attributes = LZ4)
            .bytes()
    };
    let snappy = Entry::wrapper(1, SNAPPY, &sets::set(1, sets::NONE)).bytes();
    let batch = Batch::new(&["one", "two"]).codec(LZ4).bytes();
    let none = metadata::named(2, &[], true);
    let all = metadata::named(0, &[], true);
    vec![
        client(
            "librdkafka 0.9.2",
            asks(raw_login()),
            vec![
                all,
                asked(0),
                produced(1, 1, &good(0)),
                produced(1, 1, &lz4),
            ],
        ),
        client(
            "librdkafka 0.9.5",
            asks(raw_login()),
            vec![
                none.clone(),
                asked(2),
                produced(2, 1, &snappy),
                produced(2, 1, &good(2)),
            ],
        ),
        client(
            "librdkafka 0.11",
            asks(raw_login()),
            vec![
                none.clone(),
                asked(2),
                produced(3, 1, &batch),
                produced(3, 1, &good(3)),
            ],
        ),
        client(
            "librdkafka 0.11 behind its gate",
            asks(raw_login()),
            vec![asked(2), produced(7, 1, &good(0))],
        ),
        client(
            "librdkafka 1.0",
            asks(raw_login()),
            vec![
                none,
                asked(2),
                init(1, None, 60_000, (-1, -1)),
                produced(7, -1, &Batch::new(&["x"]).codec(ZSTD).bytes()),
            ],
        ),
    ]
}

fn sarama() -> Vec<Probe> {
    let all = |version| {
        let count = if version == 0 { 0 } else { -1 };
        Request::new(METADATA, version)
            .count(count)
            .when(version >= 4, |request| request.bool(false))
    };
    // It never sets the greatest timestamp.
    let batch = Batch::new(&["one", "two"])
        .codec(GZIP)
        .with(|batch| batch.max_timestamp = -1)
        .bytes();
    vec![
        client(
            "sarama 1.26, version 0.8.2",
            raw_login(),
            vec![all(0), asked(0), produced(0, 1, &good(0))],
        ),
        client(
            "sarama 1.26, version 0.10",
            raw_login(),
            vec![all(1), asked(1), produced(2, 1, &good(2))],
        ),
        client(
            "sarama 1.27 and Beats 7",
            raw_login(),
            vec![
                metadata::named(5, &[LOGSTORE], false),
                produced(3, 1, &batch),
            ],
        ),
        client(
            "sarama 1.38, after the login",
            raw_login(),
            vec![api_versions(3), all(5), produced(3, 1, &batch)],
        ),
    ]
}

fn java() -> Vec<Probe> {
    let asks = |version, login: Vec<Step>| [vec![Step::Ask(api_versions(version))], login].concat();
    let first = Batch::new(&["one"]).producer(61_000, 0, 0).bytes();
    vec![
        client(
            "Java 0.10.0",
            raw_login(),
            vec![asked(1), produced(2, 1, &good(2))],
        ),
        client(
            "Java 0.10.2",
            asks(0, raw_login()),
            vec![
                api_versions(0),
                asked(2),
                produced(2, -1, &sets::set(1, LZ4)),
            ],
        ),
        client(
            "Java 0.11",
            asks(0, raw_login()),
            vec![
                api_versions(1),
                asked(4),
                init(0, None, 60_000, (-1, -1)),
                produced(3, -1, &first),
            ],
        ),
        client(
            "Java 1.1",
            asks(0, framed_login(0)),
            vec![api_versions(1), asked(5), produced(5, 1, &good(5))],
        ),
        client(
            "Java 2.1",
            asks(0, framed_login(0)),
            vec![api_versions(2), asked(7), produced(7, 1, &good(7))],
        ),
    ]
}

/// Who logs in gives the user twice; versions are guessed from two questions in one breath.
fn python() -> Vec<Probe> {
    let token = format!("{PROJECT}\0{PROJECT}\0{PASSWORD}").into_bytes();
    let probe = Request::new(METADATA, 0).count(0);
    let steps = vec![
        Step::Ask(handshake(0, "PLAIN")),
        Step::Token(token),
        Step::Tell(api_versions(0)),
        Step::Ask(probe),
        Step::Ask(asked(1)),
        Step::Ask(produced(7, 1, &good(7))),
    ];
    vec![Probe::new("client kafka-python 2.0.2", steps).unknown()]
}

fn others() -> Vec<Probe> {
    let kafkajs = Batch::new(&["one", "two"])
        .producer(-1, 0, 0)
        .with(|batch| batch.leader_epoch = 0);
    let steps = [vec![Step::Ask(api_versions(2))], framed_login(1)].concat();
    let requests = vec![asked(6), produced(7, -1, &kafkajs.bytes())];
    let goes_steps = [vec![Step::Ask(api_versions(0))], framed_login(1)].concat();
    vec![
        client("kafkajs", steps, requests),
        client(
            "kafka-go 0.4",
            goes_steps,
            vec![
                metadata::named(8, &[LOGSTORE], false),
                produced(8, -1, &good(8)),
            ],
        ),
    ]
}
