//! What is remembered of a Logstore: asked for once, and served while it may be true.

use std::thread;
use std::time::{Duration, Instant};

use kafka_protocol::messages::{ApiKey, MetadataRequest, MetadataResponse};

use crate::support::client::{Ask, Client, ask, batch};
use crate::support::eventually;
use crate::support::request::Call;
use crate::support::script::{Action, Gate, Moment, Pause, Rule};
use crate::support::setup::{KEY, SHARDS_REFRESH, Setup};
use crate::support::{LOGSTORE, PROJECT};

#[test]
fn a_hundred_connections_that_ask_for_one_logstore_are_one_call() {
    let setup = Setup::new();
    let gate = Gate::closed();
    let wait = Rule::on(Call::ListShards, Action::Pass).after(Pause::Until(gate.clone()));
    setup.service.script(wait);
    let clients: Vec<_> = (0..100).map(|_| setup.client()).collect();
    thread::scope(|scope| {
        for mut client in clients {
            scope.spawn(move || assert_eq!(client.metadata(LOGSTORE, false), (0, 3)));
        }
        setup.service.traffic().wait_for(Call::ListShards, 1);
        thread::sleep(Duration::from_millis(500));
        gate.open();
    });
    assert_eq!(setup.client().metadata(LOGSTORE, false), (0, 3));
    assert_eq!(setup.service.count(Call::ListShards), 1);
    assert_eq!(setup.service.traffic().requests().len(), 1);
}

#[test]
fn what_is_known_is_served_while_the_log_service_hangs() {
    let setup = Setup::refreshing();
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    let hang = Rule::on(Call::ListShards, Action::Hang(Moment::AfterBody));
    setup.service.script(hang);
    let begin = Instant::now();
    while begin.elapsed() < SHARDS_REFRESH * 6 {
        let asked = Instant::now();
        assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
        assert_eq!(client.produce(&ask(LOGSTORE, batch(&["a"]))), [0]);
        assert!(asked.elapsed() < Duration::from_secs(2), "it waited");
        thread::sleep(Duration::from_millis(20));
    }
    let asked = setup.service.count(Call::ListShards);
    assert!((2..=4).contains(&asked), "{asked} calls");
}

#[test]
fn what_is_known_is_served_while_the_log_service_is_down() {
    let setup = Setup::refreshing();
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    setup.service.go_down();
    thread::sleep(SHARDS_REFRESH * 2);
    for _ in 0..20 {
        assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn where_nothing_is_known_a_produce_is_surely_not_stored() {
    let setup = Setup::new();
    let hang = Rule::on(Call::ListShards, Action::Hang(Moment::AfterBody));
    setup.service.script(hang);
    thread::scope(|scope| {
        for (version, timeout_ms, code) in [(9, 2_000, 56), (7, 2_000, 6), (9, 30_000, 56)] {
            let mut client = setup.client();
            scope.spawn(move || {
                let asked = Ask {
                    version,
                    timeout_ms,
                    ..ask(LOGSTORE, batch(&["a"]))
                };
                assert_eq!(
                    client.produce(&asked),
                    [code],
                    "v{version}, {timeout_ms} ms"
                );
            });
        }
    });
    assert_eq!(setup.service.count(Call::PutLogs), 0);
}

/// The topics of an all-topics Metadata.
fn listed(client: &mut Client) -> Vec<String> {
    let request = MetadataRequest::default().with_topics(None);
    client.send(ApiKey::Metadata, 9, &request);
    let answer: MetadataResponse = client.receive(ApiKey::Metadata, 9).expect("an answer");
    let names = answer.topics.iter().filter_map(|topic| topic.name.as_ref());
    names.map(|name| name.to_string()).collect()
}

#[test]
fn listing_names_what_this_key_has_used_here_and_asks_nobody() {
    let setup = Setup::new();
    let mut client = setup.client();
    assert!(listed(&mut client).is_empty());
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    assert_eq!(client.metadata("logstore-2", false).0, 3);
    assert_eq!(listed(&mut client), [LOGSTORE]);
    assert_eq!(listed(&mut setup.client()), [LOGSTORE]);
    let mut thief = setup.client_of(PROJECT, "key-id#wrong-secret");
    assert!(listed(&mut thief).is_empty());
    assert_eq!(setup.service.traffic().requests().len(), 2);
}

#[test]
fn what_is_not_there_is_remembered_for_a_second() {
    let setup = Setup::new();
    let mut client = setup.client();
    let asked = Instant::now();
    while asked.elapsed() < Duration::from_millis(700) {
        assert_eq!(client.metadata("logstore-2", false).0, 3);
        assert_eq!(client.produce(&ask("logstore-2", batch(&["a"]))), [3]);
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(setup.service.count(Call::ListShards), 1);
    let made = Instant::now();
    setup.service.change(|world| {
        world.project(PROJECT).logstore("logstore-2", 2);
    });
    eventually("it is seen", || {
        thread::sleep(Duration::from_millis(20));
        client.metadata("logstore-2", false) == (0, 2)
    });
    assert!(
        made.elapsed() < Duration::from_secs(4),
        "{:?}",
        made.elapsed()
    );
}

#[test]
fn where_nothing_is_known_metadata_waits_3_seconds_and_says_5() {
    let setup = Setup::with(|wishes| {
        wishes.sls.client.request_timeout = Duration::from_millis(3_500);
    });
    let hang = Rule::on(Call::ListShards, Action::Hang(Moment::AfterBody));
    setup.service.script(hang);
    let begin = Instant::now();
    assert_eq!(setup.client().metadata(LOGSTORE, false).0, 5);
    let took = begin.elapsed();
    let expected = Duration::from_secs(3)..Duration::from_secs(8);
    assert!(expected.contains(&took), "{took:?}");
    setup.service.heal();
    let mut client = setup.client();
    eventually("it is asked for again", || {
        client.metadata(LOGSTORE, false) == (0, 3)
    });
}

#[test]
fn what_is_known_of_one_project_is_not_known_of_another() {
    let setup = Setup::new();
    setup.service.change(|world| {
        let project = world.project("project-2");
        project.key(KEY.0, KEY.1);
        project.logstore(LOGSTORE, 5);
    });
    assert_eq!(setup.client().metadata(LOGSTORE, false), (0, 3));
    let mut other = setup.client_of("project-2", crate::support::PASSWORD);
    assert_eq!(other.metadata(LOGSTORE, false), (0, 5));
    assert_eq!(other.produce(&ask(LOGSTORE, batch(&["a"]))), [0]);
    assert!(setup.stored().is_empty());
}
