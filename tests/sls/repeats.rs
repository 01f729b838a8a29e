//! What an idempotent producer sends again: once more where nobody knows, and no second time where the gateway does.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::support::client::{PRODUCE_VERSION, ask, batch, producer_batch, timed_producer_batch};
use crate::support::group::Group;
use crate::support::request::Call;
use crate::support::script::{Action, Gate, Moment, Pause, Rule};
use crate::support::setup::{Setup, now_ms, short};
use crate::support::{LOGSTORE, eventually};

#[test]
fn a_repeat_after_a_lost_answer_is_known_and_stored_once() {
    let setup = Setup::new();
    let gate = Gate::closed();
    let late = Action::AnswerLate(Pause::Until(gate.clone()));
    setup.service.script(Rule::on(Call::PutLogs, late));
    let mut first = setup.client();
    let id = first.producer_id();
    let set = || producer_batch(&["once"], id, 0, 0);
    first.send_produce(&ask(LOGSTORE, set()));
    setup.service.traffic().wait_for(Call::PutLogs, 1);
    first.cut();
    // One repeat comes while the write is under way, one after it.
    let mut second = setup.client();
    second.send_produce(&ask(LOGSTORE, set()));
    thread::sleep(Duration::from_millis(100));
    gate.open();
    let told = second.receive_produce(PRODUCE_VERSION).expect("an answer");
    assert_eq!(told[0].error_code, 0);
    assert_eq!(setup.client().produce(&ask(LOGSTORE, set())), [0]);
    assert_eq!(setup.service.count(Call::PutLogs), 1);
    assert_eq!(setup.stored(), ["once"]);
}

#[test]
fn a_repeat_of_what_is_uncertain_is_written_again() {
    let setup = Setup::with(|wishes| {
        wishes.sls.client.request_timeout = Duration::from_secs(1);
    });
    let mut client = setup.client();
    let id = client.producer_id();
    let set = || producer_batch(&["a"], id, 0, 0);
    let hang = Rule::on(Call::PutLogs, Action::Hang(Moment::AfterBody));
    setup.service.script(hang);
    assert_eq!(client.produce(&short(set())), [7]);
    setup.service.heal();
    // While the last try still hangs, nobody knows yet whether it has to be.
    eventually("it is", || client.produce(&short(set())) == [0]);
    assert_eq!(setup.stored(), ["a"]);
}

#[test]
fn a_partly_stored_batch_of_an_idempotent_producer_sends_only_the_rest_again() {
    let setup = Setup::new();
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    let id = client.producer_id();
    let values: Vec<String> = (0..60_000).map(|number| format!("{number:05}")).collect();
    let values: Vec<&str> = values.iter().map(|value| &**value).collect();
    let set = producer_batch(&values, id, 0, 0);
    // All that follows the first group fails for a time, surely not stored.
    let later = Rule::refuse(Call::PutLogs, 403, "ProjectForbidden");
    setup.service.script(later.when(|request| {
        let group = request.group();
        group.is_some_and(|group| group.values("content").first() != Some(&"00000"))
    }));
    assert_eq!(
        client.produce(&ask(LOGSTORE, set.clone())),
        [7],
        "a part of it is"
    );
    let part = setup.stored().len();
    assert!(part > 0 && part < values.len(), "{part} logs");
    setup.service.heal();
    assert_eq!(client.produce(&ask(LOGSTORE, set.clone())), [0]);
    assert_eq!(setup.stored(), values, "each once");
    assert_eq!(client.produce(&ask(LOGSTORE, set)), [0]);
    assert_eq!(setup.stored().len(), values.len());
}

/// After some logs of a split batch were stored, the rest is refused for a time.
fn interrupt_a_split(setup: &Setup) {
    let too_large = Rule::refuse(Call::PutLogs, 413, "PostBodyTooLarge");
    setup.service.script(too_large.logs_over(4));
    setup
        .service
        .script(Rule::on(Call::PutLogs, Action::Pass).times(2));
    setup
        .service
        .script(Rule::refuse(Call::PutLogs, 403, "ProjectForbidden"));
}

#[test]
fn a_split_batch_of_which_a_part_is_stored_is_not_surely_unstored() {
    let setup = Setup::new();
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    interrupt_a_split(&setup);
    let values: Vec<String> = (0..16).map(|number| format!("{number:02}")).collect();
    let values: Vec<&str> = values.iter().map(|value| &**value).collect();
    assert_eq!(client.produce(&short(batch(&values))), [7]);
    assert_eq!(setup.stored(), values[..8]);
}

#[test]
fn a_split_batch_of_an_idempotent_producer_is_whole_in_the_end() {
    let setup = Setup::new();
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    interrupt_a_split(&setup);
    let values: Vec<String> = (0..16).map(|number| format!("{number:02}")).collect();
    let values: Vec<&str> = values.iter().map(|value| &**value).collect();
    let set = producer_batch(&values, client.producer_id(), 0, 0);
    assert_eq!(client.produce(&short(set.clone())), [7]);
    setup.service.heal();
    assert_eq!(client.produce(&short(set)), [0]);
    // The smallest that is left out is a group, so some are there twice.
    let stored: BTreeSet<String> = setup.stored().into_iter().collect();
    assert!(stored.iter().eq(values), "{stored:?}");
}

#[test]
fn the_guilty_record_of_a_partly_stored_batch_is_named_as_in_the_whole() {
    let setup = Setup::new();
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    let id = client.producer_id();
    let values: Vec<String> = (0..20_000).map(|number| format!("{number:05}")).collect();
    let values: Vec<&str> = values.iter().map(|value| &**value).collect();
    let set = producer_batch(&values, id, 0, 0);
    let first = Rule::on(Call::PutLogs, Action::Pass).holding("00000");
    setup.service.script(first);
    setup
        .service
        .script(Rule::refuse(Call::PutLogs, 403, "ProjectForbidden"));
    assert_eq!(client.produce(&ask(LOGSTORE, set.clone())), [7]);
    setup.service.heal();
    let encoded = STANDARD.encode("15000");
    setup
        .service
        .script(
            Rule::refuse(Call::PutLogs, 400, "InvalidEncoding").when(move |request| {
                let group = request.group();
                let repaired = |group: &Group| group.values("content_base64").contains(&&*encoded);
                group.is_some_and(|group| group.holds("15000") || repaired(group))
            }),
        );
    client.send_produce(&ask(LOGSTORE, set));
    let told = client
        .receive_produce(PRODUCE_VERSION)
        .expect("an answer")
        .remove(0);
    let guilty = told.record_errors.iter().map(|error| error.batch_index);
    assert_eq!(
        (told.error_code, Vec::from_iter(guilty)),
        (87, vec![15_000])
    );
}

#[test]
fn what_follows_a_refused_batch_under_its_numbers_is_stored_whole() {
    let setup = Setup::new();
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    let id = client.producer_id();
    let values = |word: &str| {
        (0..20_000)
            .map(|number| format!("{word} {number:05}"))
            .collect()
    };
    let (old, new): (Vec<String>, Vec<String>) = (values("old"), values("new"));
    let set = |values: &[String]| {
        let values: Vec<&str> = values.iter().map(|value| &**value).collect();
        producer_batch(&values, id, 0, 0)
    };
    // The first groups are stored, then one is refused for good.
    let guilty = Rule::refuse(Call::PutLogs, 413, "PostBodyTooLarge");
    setup.service.script(guilty.holding("old 15000"));
    assert_eq!(client.produce(&ask(LOGSTORE, set(&old))), [10]);
    // To Kafka, nothing of it was appended, so its numbers are free.
    assert_eq!(client.produce(&ask(LOGSTORE, set(&new))), [0]);
    let mut stored = setup.stored();
    stored.retain(|value| value.starts_with("new"));
    assert_eq!(stored.len(), new.len());
}

/// A batch whose oldest logs leave the time window between two tries: it is divided as at first, and repaired then.
#[test]
fn a_batch_whose_logs_grow_between_its_tries_is_stored_once() {
    let setup = Setup::new();
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    let id = client.producer_id();
    // Inside for another two seconds.
    let time_ms = now_ms() - (7 * 24 - 1) * 3_600_000 + 2_000;
    let values: Vec<String> = (0..9_000).map(|number| format!("{number:0210}")).collect();
    let timed: Vec<(i64, &str)> = values.iter().map(|value| (time_ms, &**value)).collect();
    let set = timed_producer_batch(&timed, id, 0, 0);
    // Each try stores one group more.
    for pause in [2_600, 0] {
        setup
            .service
            .script(Rule::on(Call::PutLogs, Action::Pass).times(1));
        setup
            .service
            .script(Rule::refuse(Call::PutLogs, 403, "ProjectForbidden"));
        assert_eq!(client.produce(&ask(LOGSTORE, set.clone())), [7]);
        setup.service.heal();
        thread::sleep(Duration::from_millis(pause));
    }
    assert_eq!(client.produce(&ask(LOGSTORE, set)), [0]);
    assert_eq!(setup.stored(), values, "each once");
}

/// A batch that is sent again from another address, whose logs are shorter by that: one that had to be cut in two before
/// fits a log now.
#[test]
fn a_batch_whose_logs_shrink_between_its_tries_is_stored_whole() {
    let setup = Setup::new();
    // From 127.1.0.0 to 127.1.0.10; the last one's address is longer by a digit.
    let mut clients: Vec<_> = (0..11).map(|_| setup.client()).collect();
    let mut far = clients.pop().expect("eleven");
    let mut near = clients.swap_remove(0);
    assert_eq!(far.metadata(LOGSTORE, false), (0, 3));
    assert_eq!(near.metadata(LOGSTORE, false), (0, 3));
    let id = far.producer_id();
    // In a log of the longest size, beside an address of nine characters and a time without fraction.
    let values = ["a", "b", "c"].map(|letter| letter.repeat(1_000_000 - 46 - 9));
    let time_ms = now_ms() / 1_000 * 1_000;
    let timed = values.each_ref().map(|value| (time_ms, &**value));
    let set = timed_producer_batch(&timed, id, 0, 0);
    // The first record is stored, the rest is refused for a time.
    setup
        .service
        .script(Rule::on(Call::PutLogs, Action::Pass).times(1));
    setup
        .service
        .script(Rule::refuse(Call::PutLogs, 403, "ProjectForbidden"));
    assert_eq!(far.produce(&ask(LOGSTORE, set.clone())), [7]);
    setup.service.heal();
    assert_eq!(near.produce(&ask(LOGSTORE, set)), [0]);
    let stored = setup.stored().concat();
    for (letter, value) in ['a', 'b', 'c'].into_iter().zip(&values) {
        let found = stored.chars().filter(|c| *c == letter).count();
        assert_eq!(
            found,
            value.len(),
            "of {letter}; acknowledged, and not stored"
        );
    }
}

#[test]
fn success_comes_only_in_sequence_where_an_earlier_batch_fails() {
    let setup = Setup::new();
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    let id = client.producer_id();
    let set = |sequence: i32| producer_batch(&[&format!("n{sequence}")], id, 0, sequence);
    let first = Rule::refuse(Call::PutLogs, 503, "ServerBusy");
    setup.service.script(first.holding("n0"));
    for sequence in 0..5 {
        client.send_produce(&short(set(sequence)));
        // Far enough apart for a group each.
        thread::sleep(Duration::from_millis(150));
    }
    for sequence in 0..5 {
        let told = client.receive_produce(PRODUCE_VERSION).expect("an answer");
        assert_eq!(told[0].error_code, 56, "n{sequence}");
    }
    setup.service.heal();
    for sequence in 0..5 {
        assert_eq!(client.produce(&ask(LOGSTORE, set(sequence))), [0]);
    }
    assert_eq!(setup.stored(), ["n0", "n1", "n2", "n3", "n4"], "each once");
}

#[test]
fn a_gap_is_taken_from_a_producer_that_may_have_been_elsewhere() {
    let setup = Setup::new();
    let mut client = setup.client();
    let id = client.producer_id();
    let set = |sequence: i32| producer_batch(&["a"], id, 0, sequence);
    assert_eq!(client.produce(&ask(LOGSTORE, set(0))), [0]);
    assert_eq!(client.produce(&ask(LOGSTORE, set(7))), [0]);
}
