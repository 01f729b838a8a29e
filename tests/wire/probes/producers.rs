//! InitProducerId, versions 0–4, and the sequences of idempotent producers.

use super::Produce;
use crate::dialogue::{Probe, Step};
use crate::request::Request;
use crate::schemas::INIT_PRODUCER_ID;
use crate::sets::Batch;

pub fn probes() -> Vec<Probe> {
    let mut probes: Vec<Probe> = (0..=4).flat_map(ids).collect();
    probes.extend((3..=4).flat_map(own_ids));
    probes.extend(sequences());
    probes
}

/// `own`: the producer's id and epoch.
pub fn init(version: i16, transaction: Option<&str>, timeout_ms: i32, own: (i64, i16)) -> Request {
    Request::new(INIT_PRODUCER_ID, version)
        .nullable_text(transaction)
        .i32(timeout_ms)
        .when(version >= 3, |request| request.i64(own.0).i16(own.1))
        .tags()
}

const NO_ID: (i64, i16) = (-1, -1);

fn ids(version: i16) -> Vec<Probe> {
    let case = |what: &str| format!("InitProducerId v{version}, {what}");
    let ask = |what: &str, request| Probe::ask(case(what), request);
    vec![
        ask("new", init(version, None, 60_000, NO_ID)),
        ask("no time-out", init(version, None, 0, NO_ID)),
        ask("a negative time-out", init(version, None, -1, NO_ID)),
        ask(
            "an empty transactional id",
            init(version, Some(""), 60_000, NO_ID),
        ),
        ask(
            "a transactional id",
            init(version, Some("transaction-1"), 60_000, NO_ID),
        ),
        ask(
            "bytes behind the body",
            init(version, None, 60_000, NO_ID).raw(b"more"),
        ),
        ask("an empty body", Request::new(INIT_PRODUCER_ID, version)),
    ]
}

fn own_ids(version: i16) -> Vec<Probe> {
    [
        (7_000, 0),
        (7_000, 5),
        (7_000, i16::MAX),
        (7_000, -1),
        (-1, 5),
        (-5, -5),
    ]
    .map(|own| {
        let case = format!("InitProducerId v{version}, id {} epoch {}", own.0, own.1);
        Probe::ask(case, init(version, None, 60_000, own))
    })
    .into()
}

/// What one batch says of its producer: epoch, first sequence, records.
type Said = (i16, i32, usize);

/// Both servers take any id, so that the same bytes go to both.
fn sequences() -> Vec<Probe> {
    const LAST: i32 = i32::MAX;
    let cases: &[(&str, &[Said])] = &[
        ("in order", &[(0, 0, 2), (0, 2, 1), (0, 3, 1)]),
        ("a repeat", &[(0, 0, 2), (0, 0, 2)]),
        (
            "a repeat of the last but one",
            &[(0, 0, 1), (0, 1, 1), (0, 0, 1), (0, 2, 1)],
        ),
        (
            "a repeat of the fifth from the end",
            &[
                (0, 0, 1),
                (0, 1, 1),
                (0, 2, 1),
                (0, 3, 1),
                (0, 4, 1),
                (0, 0, 1),
            ],
        ),
        (
            "a repeat of the sixth from the end",
            &[
                (0, 0, 1),
                (0, 1, 1),
                (0, 2, 1),
                (0, 3, 1),
                (0, 4, 1),
                (0, 5, 1),
                (0, 0, 1),
            ],
        ),
        ("a repeat with more records", &[(0, 0, 2), (0, 0, 3)]),
        ("a repeat with fewer records", &[(0, 0, 2), (0, 0, 1)]),
        ("a repeat of the end of a batch", &[(0, 0, 3), (0, 2, 1)]),
        ("a gap", &[(0, 0, 1), (0, 5, 1)]),
        (
            "a gap, then the missing",
            &[(0, 0, 1), (0, 2, 1), (0, 1, 1), (0, 2, 1)],
        ),
        ("an unknown producer in the middle", &[(0, 5, 1), (0, 6, 1)]),
        (
            "an unknown producer of a late epoch",
            &[(7, 0, 1), (7, 1, 1)],
        ),
        ("an old epoch", &[(1, 0, 1), (0, 1, 1)]),
        ("an old epoch from 0", &[(1, 0, 1), (0, 0, 1)]),
        ("a new epoch", &[(0, 0, 1), (1, 0, 1), (1, 1, 1)]),
        ("a new epoch that skips", &[(0, 0, 1), (9, 0, 1)]),
        ("a new epoch not from 0", &[(0, 0, 1), (1, 1, 1)]),
        (
            "a new epoch, then the old one",
            &[(0, 0, 1), (1, 0, 1), (0, 1, 1)],
        ),
        ("over the greatest sequence", &[(0, LAST - 1, 2), (0, 0, 1)]),
        (
            "across the greatest sequence",
            &[(0, LAST - 1, 4), (0, 2, 1)],
        ),
        (
            "across the greatest sequence, repeated",
            &[(0, LAST - 1, 4), (0, LAST - 1, 4)],
        ),
    ];
    let mut probes = Vec::new();
    for version in [3, 7, 9] {
        for (index, (case, batches)) in cases.iter().enumerate() {
            let id = 10_000 + i64::from(version) * 1_000 + index as i64;
            let steps = batches
                .iter()
                .map(|said| Step::Ask(batch(version, id, *said, 0)));
            probes.push(Probe::new(
                format!("producer by v{version}, {case}"),
                steps.collect(),
            ));
        }
        probes.push(two_partitions(version));
    }
    probes
}

fn two_partitions(version: i16) -> Probe {
    let id = 50_000 + i64::from(version);
    let steps = [(0, 0), (1, 0), (0, 1), (1, 1)]
        .map(|(partition, sequence)| Step::Ask(batch(version, id, (0, sequence, 1), partition)));
    Probe::new(
        format!("producer by v{version}, two partitions"),
        steps.into(),
    )
}

fn batch(version: i16, id: i64, (epoch, sequence, records): Said, partition: i32) -> Request {
    let values = vec!["one"; records];
    let set = Batch::new(&values).producer(id, epoch, sequence).bytes();
    Produce::new(version).request(&[(partition, Some(&set))])
}
