//! Requests that are cut off, random or spoiled: no panic in any state, and no answer out of proportion.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::protocol::metadata::AskedTopics;

/// An answer may be larger than its request: each requested partition takes at least 6 bytes, its answer up to 43.
const ANSWER_FACTOR_MAX: usize = 16;
/// Answers to requests without bodies: the whole table, or the one broker.
const ANSWER_BYTES_FREE: usize = 512;

#[test]
fn every_strict_prefix_of_a_request_closes_the_connection() {
    for (row, version) in requests::served_versions() {
        let frame = requests::request(row.api, version);
        for at in [At::Start, At::FramedToken, At::Proven, At::RefusedKey] {
            for length in 0..frame.len() {
                let step = give(&mut session(at), &frame.slice(..length));
                assert!(
                    matches!(step, Step::Close(_) | Step::AnswerThenClose(..)),
                    "{:?} v{version}, {length} bytes, {at:?}",
                    row.api
                );
            }
        }
    }
}

/// Carries a step out as the connection would; gives the bytes that the client is sent.
fn carry_out(session: &mut Session, step: Step) -> usize {
    match step {
        Step::Answer(frame) | Step::Deny(frame, _) | Step::Refused(frame) => frame.len(),
        Step::AnswerThenClose(frame, _) | Step::RefuseLogin(frame, _) => frame.len(),
        Step::Nothing | Step::Close(_) => 0,
        Step::LogIn(_) => {
            let step = session.logged_in(LoginVerdict::Proven);
            carry_out(session, step)
        }
        Step::Describe(step) => {
            let asked = match step.topics() {
                AskedTopics::Named(asked) => &asked[..],
                AskedTopics::All | AskedTopics::None => &[],
            };
            let answers: Vec<_> = asked
                .iter()
                .map(|one| match &one.name {
                    Some(name) => step.topic(name, Ok(1)),
                    None => MetadataStep::unknown_id(one.id),
                })
                .collect();
            step.respond(&answers).len()
        }
        Step::InitProducerId(step) => step.respond(1, 0).len(),
        Step::Produce(step) => {
            let partitions = &step.request().partitions;
            let results: Vec<_> = (0..partitions.len())
                .map(|at| match step.request().records(at) {
                    [] => PartitionResult::refused(ErrorCode::InvalidRecord, None),
                    _ => PartitionResult::stored(),
                })
                .collect();
            step.respond(&results, std::time::Duration::ZERO)
                .map_or(0, |frame| frame.len())
        }
    }
}

/// One way of spoiling a frame.
#[derive(Clone, Debug)]
enum Spoil {
    Byte(Index, u8),
    /// Counts and lengths that lie.
    Number(Index, i32),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Repeat(Index, Index),
}

fn spoil() -> impl Strategy<Value = Spoil> {
    let number = prop_oneof![
        Just(i32::MAX),
        Just(i32::MIN),
        Just(-1),
        Just(-2),
        0..70_000,
        any::<i32>()
    ];
    prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Spoil::Byte(at, byte)),
        4 => (any::<Index>(), number).prop_map(|(at, number)| Spoil::Number(at, number)),
        1 => any::<Index>().prop_map(Spoil::Cut),
        2 => (any::<Index>(), prop::collection::vec(any::<u8>(), 1..40))
            .prop_map(|(at, bytes)| Spoil::Insert(at, bytes)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Spoil::Repeat(from, to)),
    ]
}

fn spoilt(mut frame: Vec<u8>, spoils: Vec<Spoil>) -> Bytes {
    for spoil in spoils {
        let end = frame.len() + 1;
        match spoil {
            _ if frame.is_empty() => {}
            Spoil::Byte(at, byte) => *at.get_mut(&mut frame) = byte,
            Spoil::Number(at, number) => {
                let at = at.index(frame.len());
                let bytes = number.to_be_bytes();
                let to = (at + bytes.len()).min(frame.len());
                frame[at..to].copy_from_slice(&bytes[..to - at]);
            }
            Spoil::Cut(at) => frame.truncate(at.index(end)),
            Spoil::Insert(at, bytes) => {
                let at = at.index(end);
                frame.splice(at..at, bytes);
            }
            Spoil::Repeat(from, to) => {
                let (from, to) = (from.index(end), to.index(end));
                let part = frame[from.min(to)..from.max(to)].to_vec();
                frame.splice(from..from, part);
            }
        }
    }
    frame.into()
}

/// Random bytes, bare or behind the header of a served API; or a request, spoilt.
fn frames() -> impl Strategy<Value = Bytes> {
    let row = any::<Index>().prop_map(|index| {
        let all: Vec<_> = requests::served_versions().collect();
        let (row, version) = index.get(&all);
        (row.api, *version)
    });
    let random = || prop::collection::vec(any::<u8>(), 0..120);
    prop_oneof![
        1 => random().prop_map(Bytes::from),
        3 => (row.clone(), random())
            .prop_map(|((api, version), body)| requests::frame_of(api, version, &body)),
        6 => (row, prop::collection::vec(spoil(), 0..4)).prop_map(|((api, version), spoils)| {
            spoilt(requests::request(api, version).to_vec(), spoils)
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn no_frame_panics_in_any_state_and_no_answer_is_out_of_proportion(
        at in prop::sample::select(&STATES[..]),
        frames in prop::collection::vec(frames(), 1..4),
    ) {
        let mut session = session(at);
        for frame in frames {
            let step = give(&mut session, &frame);
            let sent = carry_out(&mut session, step);
            prop_assert!(sent <= ANSWER_FACTOR_MAX * frame.len() + ANSWER_BYTES_FREE);
        }
    }
}
