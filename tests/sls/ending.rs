//! What is left when all is answered, and what becomes of requests when the gateway stops.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::{PRODUCE_VERSION, ask, batch, producer_batch};
use crate::support::request::Call;
use crate::support::script::{Action, Gate, Moment, Pause, Rule};
use crate::support::setup::{Setup, short};
use crate::support::{LOGSTORE, PROJECT, eventually};

#[test]
fn no_memory_is_held_when_all_is_answered() {
    let setup = Setup::with(|wishes| {
        wishes.sls.client.request_timeout = Duration::from_millis(300);
    });
    let faults = [
        Action::Pass,
        Action::Hang(Moment::AfterBody),
        Action::Close(Moment::CarriedOut),
        Action::Reset(Moment::AfterBody),
    ];
    for (phase, action) in (0..).zip(faults) {
        let rule = Rule::on(Call::PutLogs, action);
        setup
            .service
            .script(rule.when(move |request| request.number % 4 == phase));
    }
    let large = "x".repeat(200_000);
    thread::scope(|scope| {
        for number in 0..12 {
            let (setup, large) = (&setup, &large);
            scope.spawn(move || {
                let mut client = setup.client();
                assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
                let id = client.producer_id();
                for sequence in 0..4 {
                    let set = match number % 3 {
                        0 => producer_batch(&[large], id, 0, sequence),
                        _ => batch(&[large, "small"]),
                    };
                    client.send_produce(&short(set));
                }
                if number % 4 == 3 {
                    return client.cut();
                }
                for _ in 0..4 {
                    client.receive_produce(PRODUCE_VERSION).expect("an answer");
                }
            });
        }
    });
    setup.service.heal();
    eventually("all memory is given back", || {
        setup.gateway.budget.used() == 0
    });
}

#[test]
fn a_stopping_gateway_stores_and_answers_what_it_has_received() {
    let mut setup = Setup::with(|wishes| {
        wishes.sls.linger_min = Duration::from_millis(300);
        wishes.sls.linger_max = Duration::from_millis(300);
    });
    let gate = Gate::closed();
    let wait = Rule::on(Call::PutLogs, Action::Pass).after(Pause::Until(gate.clone()));
    setup.service.script(wait);
    let mut clients: Vec<_> = (0..5).map(|_| setup.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
        let value = format!("{number}");
        client.send_produce(&ask(LOGSTORE, batch(&[&value])));
    }
    // One that is still waiting for company, or on its way.
    thread::sleep(Duration::from_millis(50));
    setup.gateway.begin_stop();
    thread::sleep(Duration::from_millis(500));
    gate.open();
    for client in &mut clients {
        let told = client.receive_produce(PRODUCE_VERSION).expect("an answer");
        assert_eq!(told[0].error_code, 0);
        client.expect_close();
    }
    drop(setup.gateway);
    assert_eq!(setup.service.contents(PROJECT, LOGSTORE).len(), 5);
}

#[test]
fn a_stopping_gateway_goes_on_with_its_retries() {
    let mut setup = Setup::new();
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    setup
        .service
        .script(Rule::refuse(Call::PutLogs, 503, "ServerBusy"));
    client.send_produce(&ask(LOGSTORE, batch(&["a"])));
    setup.service.traffic().wait_for(Call::PutLogs, 1);
    setup.gateway.begin_stop();
    thread::sleep(Duration::from_millis(300));
    setup.service.heal();
    let told = client.receive_produce(PRODUCE_VERSION).expect("an answer");
    assert_eq!(told[0].error_code, 0);
    drop(setup.gateway);
    assert_eq!(setup.service.contents(PROJECT, LOGSTORE), ["a"]);
}

#[test]
fn a_stopping_gateway_does_not_wait_for_ever_for_one_that_hangs() {
    let mut setup = Setup::with(|wishes| {
        wishes.sls.client.request_timeout = Duration::from_secs(3);
    });
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    let hang = Rule::on(Call::PutLogs, Action::Hang(Moment::AfterBody));
    setup.service.script(hang);
    client.send_produce(&short(batch(&["a"])));
    setup.service.traffic().wait_for(Call::PutLogs, 1);
    let begin = Instant::now();
    setup.gateway.begin_stop();
    let told = client.receive_produce(PRODUCE_VERSION).expect("an answer");
    assert_eq!(told[0].error_code, 7);
    drop(setup.gateway);
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "{:?}",
        begin.elapsed()
    );
}

#[test]
fn a_stopping_gateway_stores_what_clients_that_left_have_sent() {
    let mut setup = Setup::with(|wishes| {
        wishes.sls.linger_min = Duration::from_millis(300);
        wishes.sls.linger_max = Duration::from_millis(300);
    });
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    client.send_produce(&ask(LOGSTORE, batch(&["a"])));
    thread::sleep(Duration::from_millis(100));
    client.cut();
    setup.gateway.begin_stop();
    drop(setup.gateway);
    assert_eq!(setup.service.contents(PROJECT, LOGSTORE), ["a"]);
}
