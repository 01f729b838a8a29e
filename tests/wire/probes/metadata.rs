//! Metadata, versions 0–12.

use crate::dialogue::{Probe, Step};
use crate::request::Request;
use crate::schemas::METADATA;
use crate::support::LOGSTORE;

const VERSIONS: std::ops::RangeInclusive<i16> = 0..=12;
/// First version that can ask for topics without having them made.
const CREATION_FLAG_FROM: i16 = 4;
const TOPIC_ID_FROM: i16 = 10;

pub fn probes() -> Vec<Probe> {
    let every = VERSIONS.flat_map(|version| [asked(version), malformed(version)].concat());
    let mut probes: Vec<Probe> = every.collect();
    probes.extend((CREATION_FLAG_FROM..=12).flat_map(refused));
    probes.extend((TOPIC_ID_FROM..=12).flat_map(by_id));
    probes.extend((8..=10).map(operations));
    probes
}

/// Those that have Kafka make topics, which it then lists.
pub fn making_probes() -> Vec<Probe> {
    let made = VERSIONS.flat_map(|version| {
        let topic = format!("made-v{version}");
        let missing = format!("missing-v{version}");
        let first = named(version, &[&missing], true);
        [
            Probe::ask(format!("Metadata v{version}, a topic to be made"), first).alike(),
            made(version, &topic).alike(),
        ]
    });
    made.chain((0..CREATION_FLAG_FROM).flat_map(refused))
        .collect()
}

/// Asks until the topic is there.
pub fn made(version: i16, topic: &str) -> Probe {
    let request = named(version, &[topic], true);
    Probe::new(
        format!("Metadata v{version}, a made topic"),
        vec![Step::Ask(request)],
    )
    .settles()
}

pub fn named(version: i16, topics: &[&str], create: bool) -> Request {
    let head = Request::new(METADATA, version).count(topics.len() as i64);
    let topic = |request: Request, name: &&str| {
        request
            .when(version >= TOPIC_ID_FROM, |request| request.raw(&[0; 16]))
            .text(name)
            .tags()
    };
    flags(topics.iter().fold(head, topic), version, create, false)
}

/// What follows the topics.
fn flags(request: Request, version: i16, create: bool, operations: bool) -> Request {
    request
        .when(version >= CREATION_FLAG_FROM, |request| {
            request.bool(create)
        })
        .when((8..=10).contains(&version), |request| {
            request.bool(operations)
        })
        .when(version >= 8, |request| request.bool(operations))
        .tags()
}

fn count(version: i16, count: i64) -> Request {
    flags(
        Request::new(METADATA, version).count(count),
        version,
        false,
        false,
    )
}

fn asked(version: i16) -> Vec<Probe> {
    let case = |what: &str| format!("Metadata v{version}, {what}");
    vec![
        Probe::ask(case("a topic"), named(version, &[LOGSTORE], false)),
        Probe::ask(
            case("a topic twice"),
            named(version, &[LOGSTORE, LOGSTORE], false),
        ),
        Probe::ask(case("an empty list"), count(version, 0)),
        Probe::ask(case("a null list"), count(version, -1)),
    ]
}

fn malformed(version: i16) -> Vec<Probe> {
    let case = |what: &str| format!("Metadata v{version}, {what}");
    let whole = || named(version, &[LOGSTORE], false);
    vec![
        Probe::ask(case("a negative count"), count(version, -2)),
        Probe::ask(
            case("a huge count"),
            count(version, i64::from(i32::MAX - 1)),
        ),
        Probe::ask(case("cut"), whole().cut(1)),
        Probe::ask(case("an empty body"), Request::new(METADATA, version)),
        Probe::ask(case("bytes behind the body"), whole().raw(b"more")),
    ]
}

/// Names that no topic has. Up to v3 Kafka makes those that it can.
fn refused(version: i16) -> Vec<Probe> {
    let long = "x".repeat(250);
    let names = [
        ("an unknown topic", "unknown-1"),
        ("a name with a slash", "a/b"),
        ("an empty name", ""),
        ("the name .", "."),
        ("the name ..", ".."),
        ("a name of 250 bytes", &long),
        ("a name with an umlaut", "ö"),
        ("a name with a zero byte", "a\0b"),
        ("a name in capitals", "UPPER-1"),
        ("a name of one letter", "a"),
        ("a name with a dot", "a.b-1"),
    ];
    let one = |(case, name): (&str, &str)| {
        let request = named(version, &[name], false);
        Probe::ask(format!("Metadata v{version}, {case}"), request)
    };
    let mut probes: Vec<Probe> = names.map(one).into();
    if version < CREATION_FLAG_FROM {
        // Kafka makes what it can: no Sluice does just that.
        probes.retain(|probe| {
            !["unknown topic", "capitals", "letter", "a dot"]
                .iter()
                .any(|end| probe.case.ends_with(end))
        });
        return probes;
    }
    let both = named(version, &["unknown-1", LOGSTORE], false);
    probes.push(Probe::ask(
        format!("Metadata v{version}, a topic and an unknown one"),
        both,
    ));
    probes
}

fn by_id(version: i16) -> [Probe; 3] {
    let with = |id: [u8; 16], name: Option<&str>| {
        let topic = Request::new(METADATA, version).count(1).raw(&id);
        flags(topic.nullable_text(name).tags(), version, false, false)
    };
    let case = |what: &str| format!("Metadata v{version}, {what}");
    [
        Probe::ask(case("an unknown id"), with([7; 16], None)),
        Probe::ask(case("a zero id without a name"), with([0; 16], None)),
        Probe::ask(
            case("an unknown id with a name"),
            with([7; 16], Some(LOGSTORE)),
        ),
    ]
}

fn operations(version: i16) -> Probe {
    let topic = Request::new(METADATA, version)
        .count(1)
        .when(version >= TOPIC_ID_FROM, |request| request.raw(&[0; 16]));
    let request = flags(topic.text(LOGSTORE).tags(), version, false, true);
    Probe::ask(format!("Metadata v{version}, with operations"), request)
}
