//! What was good is not called bad on the word of one refusal.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::{Ask, ask, batch};
use crate::support::request::Call;
use crate::support::script::Rule;
use crate::support::service::Service;
use crate::support::setup::Setup;
use crate::support::{LOGSTORE, PROJECT};

/// Asks until the answer changes; gives the new one.
fn watch(setup: &Setup, topic: &str) -> i16 {
    let mut client = setup.client();
    let end = Instant::now() + Duration::from_secs(15);
    loop {
        let (code, _) = client.metadata(topic, false);
        if code != 0 {
            return code;
        }
        assert!(Instant::now() < end, "it never changed");
        thread::sleep(Duration::from_millis(20));
    }
}

/// How long after the first refused call a test came to its end, and how many were refused.
fn refused(service: &Service, call: Call) -> (Duration, usize) {
    let mut requests = service.requests(call);
    requests.retain(|request| request.status() != Some(200));
    (requests[0].arrived.elapsed(), requests.len())
}

#[test]
fn what_was_there_is_3_only_after_two_refusals_a_second_apart() {
    let setup = Setup::refreshing();
    assert_eq!(setup.client().metadata(LOGSTORE, false), (0, 3));
    setup
        .service
        .change(|world| world.project(PROJECT).logstores.clear());
    assert_eq!(watch(&setup, LOGSTORE), 3);
    let (since, count) = refused(&setup.service, Call::ListShards);
    assert!(since >= Duration::from_secs(1), "after {since:?}");
    assert!(count >= 2, "after {count}");
}

#[test]
fn what_was_allowed_is_29_only_after_two_refusals_a_second_apart() {
    let setup = Setup::refreshing();
    assert_eq!(setup.client().metadata(LOGSTORE, false), (0, 3));
    setup
        .service
        .change(|world| world.project(PROJECT).keys.clear());
    assert_eq!(watch(&setup, LOGSTORE), 29);
    let (since, count) = refused(&setup.service, Call::ListShards);
    assert!(since >= Duration::from_secs(1), "after {since:?}");
    assert!(count >= 2, "after {count}");
}

#[test]
fn one_refusal_of_what_was_good_changes_nothing() {
    let setup = Setup::refreshing();
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    let refusal = Rule::refuse(Call::ListShards, 404, "LogStoreNotExist");
    setup.service.script(refusal.times(1));
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(3) {
        assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
        thread::sleep(Duration::from_millis(20));
    }
    assert!(setup.service.count(Call::ListShards) > 2);
}

#[test]
fn one_refused_write_of_what_was_good_does_not_lose_its_logs() {
    for (status, code) in [(404, "LogStoreNotExist"), (401, "Unauthorized")] {
        let setup = Setup::new();
        let mut client = setup.client();
        let first = Ask {
            timeout_ms: 3_000,
            ..ask(LOGSTORE, batch(&["a"]))
        };
        assert_eq!(client.produce(&first), [0]);
        setup
            .service
            .script(Rule::refuse(Call::PutLogs, status, code).times(1));
        let told = client.produce(&first)[0];
        assert!([0, 56].contains(&told), "{code}: {told}");
    }
}

#[test]
fn refused_writes_of_what_was_good_are_final_after_a_second() {
    let run = |status, code, expected| {
        let setup = Setup::new();
        let mut client = setup.client();
        assert_eq!(client.produce(&ask(LOGSTORE, batch(&["a"]))), [0]);
        setup
            .service
            .script(Rule::refuse(Call::PutLogs, status, code));
        let end = Instant::now() + Duration::from_secs(15);
        let told = loop {
            let told = client.produce(&ask(LOGSTORE, batch(&["b"])))[0];
            if told != 56 {
                break told;
            }
            assert!(Instant::now() < end, "it never became final");
        };
        assert_eq!(told, expected, "{code}");
        let (since, count) = refused(&setup.service, Call::PutLogs);
        assert!(since >= Duration::from_secs(1), "{code} after {since:?}");
        assert!(count >= 2, "{code} after {count}");
    };
    thread::scope(|scope| {
        scope.spawn(|| run(404, "LogStoreNotExist", 3));
        scope.spawn(|| run(404, "ProjectNotExist", 3));
        scope.spawn(|| run(401, "Unauthorized", 29));
        scope.spawn(|| run(401, "SignatureNotMatch", 29));
        scope.spawn(|| run(401, "InvalidAccessKeyId", 29));
    });
}
