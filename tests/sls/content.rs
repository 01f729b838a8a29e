//! Records that the Log Service does not take: repaired or refused, and nobody beside them suffers.

use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kafka_protocol::messages::produce_response::PartitionProduceResponse;

use crate::support::client::{Ask, Client, ask, batch, timed_batch};
use crate::support::group::Log;
use crate::support::request::{Call, Request};
use crate::support::script::{Action, Moment, Pause, Rule};
use crate::support::setup::{Setup, now_ms};
use crate::support::{LOGSTORE, PROJECT};

const POISON: &str = "poison";

/// Also after a repair.
fn for_good(status: u16, code: &str) -> Rule {
    let repaired = STANDARD.encode(POISON);
    Rule::refuse(Call::PutLogs, status, code).when(move |request: &Request| {
        let holds = |log: &Log| {
            let mut values = log.contents.iter().map(|pair| &pair.value);
            values.any(|value| value == POISON.as_bytes() || value == repaired.as_bytes())
        };
        request
            .group()
            .is_some_and(|group| group.logs.iter().any(holds))
    })
}

fn answer(client: &mut Client, version: i16, values: &[&str]) -> PartitionProduceResponse {
    client.send_produce(&Ask {
        version,
        ..ask(LOGSTORE, batch(values))
    });
    client
        .receive_produce(version)
        .expect("an answer")
        .remove(0)
}

/// Eight clients with two records each, which meet in one group, and one more with the poison; gives what that one is told.
fn among_neighbours(setup: &Setup, version: i16) -> PartitionProduceResponse {
    thread::scope(|scope| {
        for number in 0..8 {
            let mut client = setup.client();
            scope.spawn(move || {
                let values = [format!("{number} a"), format!("{number} b")];
                let told = answer(&mut client, 9, &[&*values[0], &*values[1]]);
                assert_eq!(told.error_code, 0, "a neighbour's request fails");
            });
        }
        answer(&mut setup.client(), version, &["before", POISON, "behind"])
    })
}

fn neighbours() -> Vec<String> {
    let each = (0..8).flat_map(|number| [format!("{number} a"), format!("{number} b")]);
    each.collect()
}

#[test]
fn a_poisonous_record_is_repaired_and_neighbours_succeed() {
    for code in ["PostBodyInvalid", "InvalidEncoding", "InvalidKey"] {
        let setup = Setup::lingering();
        setup
            .service
            .script(Rule::refuse(Call::PutLogs, 400, code).holding(POISON));
        assert_eq!(among_neighbours(&setup, 9).error_code, 0, "{code}");
        let mut expected = neighbours();
        expected.extend(["before".into(), "behind".into()]);
        expected.sort();
        assert_eq!(setup.stored(), expected, "{code}");
        let logs = setup.service.logs(PROJECT, LOGSTORE);
        let repaired: Vec<&str> = logs
            .iter()
            .filter_map(|log| log.field("content_base64"))
            .collect();
        assert_eq!(repaired, [STANDARD.encode(POISON)], "{code}");
    }
}

/// The Log Service cannot be asked without storing: what stands in front of the guilty record may be stored.
fn without_those_in_front(setup: &Setup) -> Vec<String> {
    let mut stored = setup.stored();
    stored.retain(|value| value != "before");
    stored
}

#[test]
fn a_record_that_cannot_be_repaired_fails_its_batch_alone_and_is_named() {
    for (status, code, expected) in [
        (400, "PostBodyInvalid", 87),
        (400, "InvalidEncoding", 87),
        (413, "PostBodyTooLarge", 10),
    ] {
        let setup = Setup::lingering();
        setup.service.script(for_good(status, code));
        let told = among_neighbours(&setup, 9);
        assert_eq!(told.error_code, expected, "{code}");
        let guilty = told.record_errors.iter().map(|error| error.batch_index);
        assert_eq!(Vec::from_iter(guilty), [1], "{code}");
        assert_eq!(without_those_in_front(&setup), neighbours(), "{code}");
    }
}

#[test]
fn before_v8_the_code_of_a_guilty_batch_is_the_same() {
    let setup = Setup::lingering();
    setup.service.script(for_good(400, "PostBodyInvalid"));
    assert_eq!(among_neighbours(&setup, 7).error_code, 87);
    assert_eq!(without_those_in_front(&setup), neighbours());
}

#[test]
fn a_guilty_log_is_named_by_the_record_that_it_came_from() {
    let setup = Setup::lingering();
    setup.service.script(for_good(400, "PostBodyInvalid"));
    let array = r#"[{"a":"1"},{"a":"2"},{"a":"3"}]"#;
    let poison = format!(r#"[{{"a":"4"}},{{"a":"{POISON}"}}]"#);
    let topic = format!("{LOGSTORE}.json");
    let mut client = setup.client();
    client.send_produce(&ask(&topic, batch(&[array, "{}", &poison, array])));
    let told = client.receive_produce(9).expect("an answer").remove(0);
    let guilty = told.record_errors.iter().map(|error| error.batch_index);
    assert_eq!((told.error_code, Vec::from_iter(guilty)), (87, vec![2]));
}

#[test]
fn of_hundreds_of_requests_in_one_group_only_the_guilty_one_fails() {
    let setup = Setup::lingering();
    setup.service.script(for_good(400, "PostBodyInvalid"));
    // As far away as a Log Service may be.
    let far = Action::AnswerLate(Pause::For(Duration::from_millis(10)));
    setup.service.script(Rule::on(Call::PutLogs, far));
    thread::scope(|scope| {
        for number in 0..40 {
            let mut client = setup.client();
            assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
            scope.spawn(move || {
                let value = |place: usize| match (number, place) {
                    (20, 7) => POISON.to_owned(),
                    _ => format!("{number} {place}"),
                };
                for place in 0..15 {
                    client.send_produce(&ask(LOGSTORE, batch(&[&value(place)])));
                }
                for place in 0..15 {
                    let code = client.receive_produce(9).expect("an answer")[0].error_code;
                    let expected = if value(place) == POISON { 87 } else { 0 };
                    assert_eq!(code, expected, "{number} {place}");
                }
            });
        }
    });
    assert_eq!(setup.stored().len(), 40 * 15 - 1);
}

#[test]
fn several_guilty_batches_in_one_group_are_all_found() {
    let setup = Setup::lingering();
    setup.service.script(for_good(400, "PostBodyInvalid"));
    thread::scope(|scope| {
        for number in 0..12 {
            let mut client = setup.client();
            scope.spawn(move || {
                let own = format!("{number:02}");
                let guilty = number % 4 == 0;
                let values = if guilty {
                    [&*own, POISON]
                } else {
                    [&*own, "fine"]
                };
                let told = answer(&mut client, 9, &values);
                assert_eq!(told.error_code, if guilty { 87 } else { 0 }, "{number}");
            });
        }
    });
    let mut stored = setup.stored();
    // Those may be stored that stand in front of a guilty record.
    stored.retain(|value| !["00", "04", "08"].contains(&&**value));
    assert_eq!(stored.len(), 18, "{stored:?}");
}

/// Whatever the Log Service's real rule is: where it refuses each log of a batch as it is, no search may end before all
/// are repaired, or the same batch comes again for ever, its first logs stored once more each time.
#[test]
fn a_batch_of_which_every_log_is_refused_is_repaired_as_a_whole() {
    let setup = Setup::new();
    let now_s = u32::try_from(now_ms() / 1_000).expect("not that late");
    let yesterday = now_s - 86_400;
    let old = move |log: &Log| log.time < yesterday;
    setup
        .service
        .script(
            Rule::refuse(Call::PutLogs, 400, "InvalidTimestamp").when(move |request| {
                let group = request.group();
                group.is_some_and(|group| group.logs.iter().any(old))
            }),
        );
    let time_ms = now_ms() - 3 * 86_400_000;
    let values: Vec<String> = (0..1_000).map(|number| format!("{number:04}")).collect();
    let timed: Vec<(i64, &str)> = values.iter().map(|value| (time_ms, &**value)).collect();
    let mut client = setup.client();
    assert_eq!(client.produce(&ask(LOGSTORE, timed_batch(&timed))), [0]);
    assert_eq!(setup.stored(), values, "each once");
}

#[test]
fn what_the_log_service_cannot_read_is_not_the_records_fault() {
    let setup = Setup::lingering();
    let damaged = Rule::refuse(Call::PutLogs, 400, "PostBodyUncompressError");
    setup.service.script(damaged.times(1));
    assert_eq!(setup.client().produce(&ask(LOGSTORE, batch(&["a"]))), [0]);
    let hang = Rule::on(Call::PutLogs, Action::Close(Moment::BeforeBody));
    setup.service.script(hang.times(1));
    assert_eq!(setup.client().produce(&ask(LOGSTORE, batch(&["b"]))), [0]);
    assert_eq!(setup.stored(), ["a", "b"]);
}
