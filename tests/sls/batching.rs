//! Many small requests become few writes; a group that is too large becomes several.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use crate::support::client::{Client, PRODUCE_VERSION, ask, batch};
use crate::support::request::Call;
use crate::support::script::{Action, Pause, Rule};
use crate::support::setup::{Setup, address};
use crate::support::{LOGSTORE, PASSWORD, PROJECT};

#[test]
fn small_requests_from_200_addresses_become_few_writes() {
    let setup = Setup::new();
    // As far away as a Log Service may be.
    let far = Action::AnswerLate(Pause::For(Duration::from_millis(20)));
    setup.service.script(Rule::on(Call::PutLogs, far));
    thread::scope(|scope| {
        for source in 0..200 {
            let setup = &setup;
            scope.spawn(move || {
                let mut client = Client::dial_from(
                    address(source),
                    setup.gateway.address,
                    &setup.gateway.certificate,
                );
                client.log_in(PROJECT, PASSWORD).expect("a good key");
                assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
                for number in 0..5 {
                    let value = format!("{source} {number}");
                    assert_eq!(client.produce(&ask(LOGSTORE, batch(&[&value]))), [0]);
                }
            });
        }
    });
    let logs = setup.service.logs(PROJECT, LOGSTORE);
    let contents: BTreeSet<_> = logs.iter().filter_map(|log| log.field("content")).collect();
    assert_eq!((logs.len(), contents.len()), (1_000, 1_000));
    for log in &logs {
        let source = log
            .field("content")
            .and_then(|content| content.split(' ').next());
        let source: u16 = source.expect("two words").parse().expect("a number");
        let expected = address(source).to_string();
        assert_eq!(log.field("__client_ip__"), Some(&*expected));
    }
    let writes = setup.service.count(Call::PutLogs);
    assert!(writes <= 250, "{writes} writes for 1000 requests");
}

#[test]
fn writes_of_one_logstore_are_as_many_at_once_as_the_limit_says() {
    let setup = Setup::with(|wishes| wishes.sls.writes_per_logstore_max = 2);
    let slow = Action::AnswerLate(Pause::For(Duration::from_millis(50)));
    setup.service.script(Rule::on(Call::PutLogs, slow));
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    for _ in 0..16 {
        client.send_produce(&ask(LOGSTORE, batch(&["a"])));
        thread::sleep(Duration::from_millis(15));
    }
    for _ in 0..16 {
        let told = client.receive_produce(PRODUCE_VERSION).expect("an answer");
        assert_eq!(told[0].error_code, 0);
    }
    assert_eq!(setup.service.traffic().at_once_max(PROJECT), 2);
    assert_eq!(setup.stored().len(), 16);
}

#[test]
fn a_group_that_is_too_large_is_split_and_stored_once() {
    let setup = Setup::new();
    let too_large = Rule::refuse(Call::PutLogs, 413, "PostBodyTooLarge");
    setup.service.script(too_large.logs_over(10));
    let values: Vec<String> = (0..100).map(|number| format!("log {number:03}")).collect();
    let values: Vec<&str> = values.iter().map(|value| &**value).collect();
    assert_eq!(setup.client().produce(&ask(LOGSTORE, batch(&values))), [0]);
    assert_eq!(setup.stored(), values);
}

#[test]
fn a_merged_group_that_is_too_large_is_split_and_all_its_requests_succeed() {
    let setup = Setup::with(|wishes| {
        wishes.sls.linger_min = Duration::from_millis(200);
        wishes.sls.linger_max = Duration::from_millis(200);
    });
    assert_eq!(setup.client().metadata(LOGSTORE, false), (0, 3));
    let too_large = Rule::refuse(Call::PutLogs, 413, "PostBodyTooLarge");
    setup.service.script(too_large.logs_over(3));
    thread::scope(|scope| {
        for number in 0..20 {
            let mut client = setup.client();
            scope.spawn(move || {
                let (one, two) = (format!("{number:02} a"), format!("{number:02} b"));
                assert_eq!(client.produce(&ask(LOGSTORE, batch(&[&one, &two]))), [0]);
            });
        }
    });
    let expected: Vec<String> = (0..20)
        .flat_map(|number| [format!("{number:02} a"), format!("{number:02} b")])
        .collect();
    assert_eq!(setup.stored(), expected);
}

#[test]
fn a_batch_of_megabytes_becomes_groups_that_the_log_service_takes() {
    let setup = Setup::new();
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    let values: Vec<String> = (0..60_000).map(|number| format!("{number:05}")).collect();
    let values: Vec<&str> = values.iter().map(|value| &**value).collect();
    let large = "x".repeat(700_000);
    assert_eq!(client.produce(&ask(LOGSTORE, batch(&values))), [0]);
    assert_eq!(setup.stored(), values);
    assert_eq!(
        client.produce(&ask(LOGSTORE, batch(&vec![&*large; 20]))),
        [0]
    );
    assert_eq!(setup.stored().len(), 60_020);
    let groups = setup.service.requests(Call::PutLogs);
    assert!(
        groups.iter().all(|request| request.status() == Some(200)),
        "at the first try"
    );
    for request in &groups {
        let logs = request.group().expect("it was read").logs.len();
        assert!(logs <= 40_960, "{logs} logs in a group");
    }
}
