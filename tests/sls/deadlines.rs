//! Tries until the time is over, and what is told then.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::{Ask, Client, PRODUCE_VERSION, ask, batch};
use crate::support::request::Call;
use crate::support::script::{Action, Moment, Rule};
use crate::support::setup::{Setup, short};
use crate::support::{LOGSTORE, PROJECT, eventually};

fn outcome(action: Action, version: i16) -> i16 {
    let setup = Setup::new();
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    setup.service.script(Rule::on(Call::PutLogs, action));
    let begin = Instant::now();
    let asked = Ask {
        version,
        ..short(batch(&["a"]))
    };
    let code = client.produce(&asked)[0];
    // 0.8 of the time-out, with everything included.
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
    code
}

#[test]
fn at_its_deadline_a_write_that_may_have_happened_is_7() {
    thread::scope(|scope| {
        for action in [
            Action::Hang(Moment::BeforeBody),
            Action::Hang(Moment::AfterBody),
            Action::Hang(Moment::CarriedOut),
            Action::Close(Moment::CarriedOut),
            Action::Reset(Moment::CarriedOut),
            Action::CutAnswer(10),
            Action::Drip(Duration::from_millis(300)),
        ] {
            for version in [7, 9] {
                let action = action.clone();
                scope.spawn(move || {
                    let name = format!("{action:?}");
                    assert_eq!(outcome(action, version), 7, "{name} v{version}");
                });
            }
        }
    });
}

#[test]
fn at_its_deadline_a_write_that_surely_did_not_happen_is_56_or_6() {
    for (version, code) in [(7, 6), (9, 56)] {
        let setup = Setup::new();
        let mut client = setup.client();
        assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
        setup.service.go_down();
        let begin = Instant::now();
        let asked = Ask {
            version,
            ..short(batch(&["a"]))
        };
        assert_eq!(client.produce(&asked), [code]);
        assert!(
            begin.elapsed() < Duration::from_secs(4),
            "{:?}",
            begin.elapsed()
        );
    }
}

#[test]
fn one_ambiguous_try_makes_the_outcome_uncertain_whatever_comes_later() {
    let setup = Setup::new();
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    let lost = Rule::on(Call::PutLogs, Action::Close(Moment::CarriedOut));
    setup.service.script(lost.times(1));
    setup
        .service
        .script(Rule::refuse(Call::PutLogs, 403, "ProjectForbidden"));
    assert_eq!(client.produce(&short(batch(&["a"]))), [7]);
    assert_eq!(setup.stored(), ["a"]);
}

#[test]
fn a_log_service_that_comes_back_in_time_loses_nothing() {
    let setup = Setup::new();
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    setup.service.go_down();
    client.send_produce(&Ask {
        timeout_ms: 10_000,
        ..ask(LOGSTORE, batch(&["a"]))
    });
    thread::sleep(Duration::from_millis(700));
    setup.service.come_back();
    let told = client.receive_produce(PRODUCE_VERSION).expect("an answer");
    assert_eq!(told[0].error_code, 0);
    assert_eq!(setup.stored(), ["a"]);
}

#[test]
fn a_kept_connection_that_the_log_service_closed_costs_nothing() {
    let setup = Setup::new();
    let mut client = setup.client();
    let close = Rule::on(Call::PutLogs, Action::Close(Moment::Answered));
    setup.service.script(close);
    let mut values = BTreeSet::new();
    for number in 0..10 {
        let value = format!("{number}");
        assert_eq!(client.produce(&short(batch(&[&value]))), [0]);
        values.insert(value);
    }
    assert_eq!(setup.stored(), Vec::from_iter(values), "each once");
}

#[test]
fn retries_are_apart_and_spread() {
    let setup = Setup::new();
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    setup
        .service
        .script(Rule::refuse(Call::PutLogs, 503, "ServerBusy"));
    let asked = Ask {
        timeout_ms: 5_000,
        ..ask(LOGSTORE, batch(&["a"]))
    };
    let begin = Instant::now();
    assert_eq!(client.produce(&asked), [56]);
    let tries = setup.service.requests(Call::PutLogs);
    assert!(
        (2..=40).contains(&tries.len()),
        "{} tries in 4 s",
        tries.len()
    );
    let last = tries.iter().map(|request| request.arrived).max();
    let last = last.expect("there was one").duration_since(begin);
    assert!(
        last < Duration::from_millis(3_950),
        "a try began after {last:?}"
    );
}

#[test]
fn a_client_that_leaves_cancels_nothing() {
    let setup = Setup::new();
    let mut client: Client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    setup
        .service
        .script(Rule::refuse(Call::PutLogs, 503, "ServerBusy").times(2));
    client.send_produce(&ask(LOGSTORE, batch(&["a"])));
    setup.service.traffic().wait_for(Call::PutLogs, 1);
    client.cut();
    eventually("it is stored", || {
        setup.service.contents(PROJECT, LOGSTORE) == ["a"]
    });
}
