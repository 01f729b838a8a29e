//! Produce around its record sets, versions 0–11: acks, names, partitions, shapes.

use super::{Produce, asks, topic};
use crate::dialogue::{Probe, Step};
use crate::probes::metadata;
use crate::request::Request;
use crate::schemas::PRODUCE;
use crate::sets::{self, Batch};
use crate::support::LOGSTORE;

const VERSIONS: std::ops::RangeInclusive<i16> = 0..=11;

pub fn probes() -> Vec<Probe> {
    let others = [2, 3, 9]
        .into_iter()
        .flat_map(|version| [null_sets(version), alike(version)].concat());
    VERSIONS
        .flat_map(|version| {
            [
                acks(version),
                names(version),
                partitions(version),
                shapes(version),
                lies(version),
                sizes(version),
            ]
            .concat()
        })
        .chain(others)
        .collect()
}

/// A set that this version may carry.
pub fn good(version: i16) -> Vec<u8> {
    match version {
        0 | 1 => sets::set(0, sets::NONE),
        2 => sets::set(1, sets::NONE),
        _ => sets::set(2, sets::NONE),
    }
}

/// The same with a wrong checksum.
fn bad(version: i16) -> Vec<u8> {
    let mut set = good(version);
    let last = set.len() - 1;
    set[last] ^= 1;
    set
}

fn case(version: i16, what: &str) -> String {
    format!("Produce v{version}, {what}")
}

fn acks(version: i16) -> Vec<Probe> {
    let with = |acks| Produce {
        acks,
        ..Produce::new(version)
    };
    let unknown = Produce {
        topic: "unknown-1",
        ..with(0)
    };
    let mut probes: Vec<Probe> = [-1, 1, 2, -2]
        .map(|acks| {
            Probe::ask(
                case(version, &format!("acks {acks}")),
                with(acks).set(&good(version)),
            )
        })
        .into();
    let told = [
        ("acks 0", with(0).set(&good(version))),
        ("acks 0, a bad checksum", with(0).set(&bad(version))),
        ("acks 0, an unknown topic", unknown.set(&good(version))),
        ("acks 0, no topics", with(0).head().count(0).tags()),
    ];
    // The answer to the second comes behind what the first might have had.
    for (what, request) in told {
        let steps = vec![
            Step::Tell(request),
            Step::Ask(metadata::named(1, &[LOGSTORE], false)),
        ];
        probes.push(Probe::new(case(version, what), steps));
    }
    for timeout_ms in [0, -1] {
        let request = Produce {
            timeout_ms,
            ..with(-1)
        }
        .set(&good(version));
        probes.push(Probe::ask(
            case(version, &format!("time-out {timeout_ms}")),
            request,
        ));
    }
    probes
}

fn names(version: i16) -> Vec<Probe> {
    let long = "x".repeat(250);
    let names = [
        ("an unknown topic", "unknown-1"),
        ("a name with a slash", "a/b"),
        ("an empty name", ""),
        ("the name ..", ".."),
        ("a name of 250 bytes", &long),
        ("a name in capitals", "UPPER-1"),
    ];
    let one = |(what, topic): (&str, &str)| {
        let request = Produce {
            topic,
            ..Produce::new(version)
        }
        .set(&good(version));
        Probe::ask(case(version, what), request)
    };
    names.map(one).into()
}

fn partitions(version: i16) -> Vec<Probe> {
    let produce = Produce::new(version);
    let (good, bad) = (good(version), bad(version));
    let mut probes: Vec<Probe> = [1, 5, 5_000, -1]
        .map(|index| {
            let request = produce.request(&[(index, Some(&good))]);
            Probe::ask(case(version, &format!("partition {index}")), request)
        })
        .into();
    let requests = [
        (
            "two partitions",
            produce.request(&[(0, Some(&good)), (1, Some(&good))]),
        ),
        (
            "two partitions, one bad",
            produce.request(&[(0, Some(&bad)), (1, Some(&good))]),
        ),
        (
            "two partitions, one unknown",
            produce.request(&[(0, Some(&good)), (5_000, Some(&good))]),
        ),
        (
            "a partition twice",
            produce.request(&[(0, Some(&good)), (0, Some(&good))]),
        ),
        ("an empty set", produce.request(&[(0, Some(&[]))])),
    ];
    probes.extend(requests.map(|(what, request)| Probe::ask(case(version, what), request)));
    probes
}

fn shapes(version: i16) -> Vec<Probe> {
    let produce = Produce::new(version);
    let set = good(version);
    let sets: &[(i32, Option<&[u8]>)] = &[(0, Some(&set))];
    let two = topic(
        topic(produce.head().count(2), LOGSTORE, sets),
        "unknown-1",
        sets,
    )
    .tags();
    let twice = topic(
        topic(produce.head().count(2), LOGSTORE, sets),
        LOGSTORE,
        &[(1, Some(&set))],
    )
    .tags();
    let mut probes: Vec<Probe> = [
        ("no topics", produce.head().count(0).tags()),
        ("a topic without partitions", produce.request(&[])),
        ("two topics, one unknown", two),
        ("a topic twice", twice),
        ("bytes behind the body", produce.set(&set).raw(b"more")),
        ("cut", produce.set(&set).cut(3)),
        ("an empty body", Request::new(PRODUCE, version)),
    ]
    .map(|(what, request)| Probe::ask(case(version, what), request))
    .into();
    if version >= 3 {
        let request = transactional(version, &set);
        probes.push(Probe::ask(case(version, "a transactional id"), request));
    }
    let pipelined = vec![
        Step::Tell(produce.set(&set)),
        Step::Tell(produce.set(&bad(version))),
        Step::Tell(Produce { acks: 0, ..produce }.set(&set)),
        Step::Ask(metadata::named(1, &[LOGSTORE], false)),
    ];
    probes.push(Probe::new(
        case(version, "several in one breath"),
        pipelined,
    ));
    probes.push(Probe::new(
        case(version, "one after the other"),
        asks([produce.set(&set), produce.set(&set)]),
    ));
    probes
}

fn transactional(version: i16, set: &[u8]) -> Request {
    let head = Request::new(PRODUCE, version)
        .text("transaction-1")
        .i16(-1)
        .i32(1_000);
    topic(head.count(1), LOGSTORE, &[(0, Some(set))]).tags()
}

/// Counts and lengths that are not so.
fn lies(version: i16) -> Vec<Probe> {
    let produce = Produce::new(version);
    let set = good(version);
    let topics = |count| {
        produce
            .head()
            .count(count)
            .text(LOGSTORE)
            .count(0)
            .tags()
            .tags()
    };
    let partitions = |count| {
        produce
            .head()
            .count(1)
            .text(LOGSTORE)
            .count(count)
            .tags()
            .tags()
    };
    let length = |length| {
        let head = produce
            .head()
            .count(1)
            .text(LOGSTORE)
            .count(1)
            .i32(0)
            .count(length);
        head.raw(&set).tags().tags().tags()
    };
    let huge = i64::from(i32::MAX - 1);
    let whole = set.len() as i64;
    [
        ("topic count -1", produce.head().count(-1).tags()),
        ("topic count -2", produce.head().count(-2).tags()),
        ("topic count 2 with one", topics(2)),
        ("topic count huge", topics(huge)),
        ("partition count -1", partitions(-1)),
        ("partition count -2", partitions(-2)),
        ("partition count huge", partitions(huge)),
        ("set length huge", length(huge)),
        ("set length one too many", length(whole + 1)),
        ("set length one too few", length(whole - 1)),
    ]
    .map(|(what, request)| Probe::ask(case(version, what), request))
    .into()
}

/// With partitions that are shards, and Logstores made on first use.
fn alike(version: i16) -> Vec<Probe> {
    let good = good(version);
    let unknown = Produce {
        topic: "unknown-1",
        ..Produce::new(version)
    };
    let fifth = Produce::new(version).request(&[(5, Some(&good))]);
    [
        ("partition 5, by partition", fifth),
        ("an unknown topic, made on first use", unknown.set(&good)),
    ]
    .map(|(what, request)| Probe::ask(case(version, what), request).alike())
    .into()
}

/// Kafka never answers these, whatever the version.
fn null_sets(version: i16) -> Vec<Probe> {
    let produce = Produce::new(version);
    let good = good(version);
    let length = produce.head().count(1).text(LOGSTORE).count(1).i32(0);
    [
        ("a null set", produce.request(&[(0, None)])),
        (
            "a null set and a good one",
            produce.request(&[(0, None), (1, Some(&good))]),
        ),
        ("set length -2", length.count(-2).tags().tags().tags()),
    ]
    .map(|(what, request)| Probe::ask(case(version, what), request).hangs())
    .into()
}

/// Both servers take sets of a mebibyte.
fn sizes(version: i16) -> Vec<Probe> {
    if version < 3 {
        // An old set is judged by Kafka after it was rewritten as a new one.
        return Vec::new();
    }
    let produce = Produce::new(version);
    let with = |bytes| Batch::new(&[&"x".repeat(bytes)]).bytes();
    let of = |what, bytes| Probe::ask(case(version, what), produce.set(&with(bytes)));
    vec![
        of("a set of nearly a mebibyte", (1 << 20) - 200),
        of("a set of more than a mebibyte", (1 << 20) + 200),
    ]
}
