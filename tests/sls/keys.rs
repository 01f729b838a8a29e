//! Whose key is good for whom, and what becomes of one that was good.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::{Client, PRODUCE_VERSION, ask, batch};
use crate::support::request::Call;
use crate::support::script::{Action, Gate, Pause, Rule};
use crate::support::setup::{KEY, Setup, WRONG_PASSWORD, short};
use crate::support::{LOGSTORE, PASSWORD, PROJECT, events, eventually};

// Another's key

#[test]
fn a_wrong_secret_never_reads_anothers_cached_answer() {
    let setup = Setup::new();
    assert_eq!(setup.client().metadata(LOGSTORE, false), (0, 3));
    let mut thief = setup.client_of(PROJECT, WRONG_PASSWORD);
    assert_eq!(thief.metadata(LOGSTORE, false).0, 29);
    assert_eq!(setup.client().metadata(LOGSTORE, false), (0, 3));
    assert_eq!(setup.service.count(Call::ListShards), 2);
}

#[test]
fn a_wrong_secret_never_rides_in_anothers_group() {
    // Long enough for all to meet.
    let setup = Setup::with(|wishes| {
        wishes.sls.linger_min = Duration::from_millis(300);
        wishes.sls.linger_max = Duration::from_millis(300);
    });
    assert_eq!(setup.client().metadata(LOGSTORE, false), (0, 3));
    thread::scope(|scope| {
        for number in 0..10 {
            let setup = &setup;
            let asked = move |mut client: Client, value: &str| {
                client.produce(&ask(LOGSTORE, batch(&[value])))
            };
            scope.spawn(move || assert_eq!(asked(setup.client(), &format!("own {number}")), [0]));
            scope.spawn(move || {
                let thief = setup.client_of(PROJECT, WRONG_PASSWORD);
                assert_eq!(asked(thief, "stolen"), [29]);
            });
        }
    });
    let stored = setup.stored();
    assert_eq!(stored.len(), 10);
    assert!(!stored.contains(&"stolen".to_owned()), "{stored:?}");
}

#[test]
fn a_secret_that_is_wrong_is_found_out_while_the_right_ones_call_is_under_way() {
    let setup = Setup::new();
    setup.service.change(|world| {
        world.project(PROJECT).logstore("logstore-2", 2);
    });
    assert_eq!(setup.client().metadata("logstore-2", false), (0, 2));
    let gate = Gate::closed();
    let wait = Rule::on(Call::ListShards, Action::Pass).after(Pause::Until(gate.clone()));
    setup.service.script(wait);
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(setup.client().metadata(LOGSTORE, false), (0, 3)));
        setup.service.traffic().wait_for(Call::ListShards, 2);
        scope.spawn(|| {
            let mut thief = setup.client_of(PROJECT, WRONG_PASSWORD);
            assert_eq!(thief.metadata(LOGSTORE, false).0, 29);
        });
        setup.service.traffic().wait_for(Call::ListShards, 3);
        gate.open();
    });
}

#[test]
fn a_wrong_token_gains_nothing_from_the_right_one() {
    let setup = Setup::new();
    setup.service.change(|world| {
        let key = world.project(PROJECT).key(KEY.0, KEY.1);
        key.token = Some("the+right/token=".into());
    });
    let mut right = setup.client_of(PROJECT, &format!("{PASSWORD}#the+right/token="));
    assert_eq!(right.metadata(LOGSTORE, false), (0, 3));
    assert_eq!(right.produce(&ask(LOGSTORE, batch(&["own"]))), [0]);
    for password in [format!("{PASSWORD}#another"), PASSWORD.into()] {
        let mut wrong = setup.client_of(PROJECT, &password);
        assert_eq!(wrong.produce(&ask(LOGSTORE, batch(&["stolen"]))), [29]);
        assert_eq!(wrong.metadata(LOGSTORE, false).0, 29);
    }
    assert_eq!(setup.stored(), ["own"]);
}

#[test]
fn a_signature_refused_where_none_was_ever_accepted_is_no_reason_to_drop_data() {
    let setup = Setup::new();
    let mut first = setup.client_of(PROJECT, WRONG_PASSWORD);
    assert_eq!(
        first.metadata(LOGSTORE, false).0,
        5,
        "perhaps all of ours are refused"
    );
    assert_eq!(setup.client().metadata(LOGSTORE, false), (0, 3));
    eventually("now it is the key's fault", || {
        thread::sleep(Duration::from_millis(100));
        setup
            .client_of(PROJECT, WRONG_PASSWORD)
            .metadata(LOGSTORE, false)
            .0
            == 29
    });
}

#[test]
fn a_second_login_with_a_wrong_secret_gains_nothing_from_the_first() {
    let setup = Setup::new();
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    assert_eq!(client.produce(&ask(LOGSTORE, batch(&["own"]))), [0]);
    client.log_in(PROJECT, WRONG_PASSWORD).expect("it is taken");
    assert_eq!(client.produce(&ask(LOGSTORE, batch(&["stolen"]))), [29]);
    assert_eq!(client.metadata(LOGSTORE, false).0, 29);
    client.log_in(PROJECT, PASSWORD).expect("it is taken");
    assert_eq!(client.produce(&ask(LOGSTORE, batch(&["own"]))), [0]);
    assert_eq!(setup.stored(), ["own", "own"]);
}

// A key that has worked

#[test]
fn a_key_that_worked_is_held_for_its_grace_and_then_refused() {
    let grace = Duration::from_secs(4);
    let setup = Setup::with(|wishes| {
        wishes.sls.key_grace = grace;
        wishes.sls.shards_refresh = Duration::from_millis(200);
    });
    setup.service.change(|world| {
        let project = world.project("project-of-the-grace");
        project.key(KEY.0, KEY.1);
        project.logstore(LOGSTORE, 3);
    });
    let project = "project-of-the-grace";
    let mut client = setup.client_of(project, PASSWORD);
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    let worked = Instant::now();
    assert_eq!(client.produce(&ask(LOGSTORE, batch(&["a"]))), [0]);
    setup
        .service
        .change(|world| world.project(project).keys.clear());
    let mut held = 0;
    let (refused, code) = loop {
        let mut client = setup.client_of(project, PASSWORD);
        client.send_produce(&short(batch(&["b"])));
        match client.receive_produce(PRODUCE_VERSION) {
            Err(_) => held += 1,
            Ok(partitions) if partitions[0].error_code == 29 => {
                break (worked.elapsed(), partitions[0].error_code);
            }
            // The first refusal counts for nothing yet.
            Ok(partitions) => assert!([56, 0].contains(&partitions[0].error_code)),
        }
        assert!(worked.elapsed() < grace * 5, "it was never refused");
        thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(code, 29);
    assert!(
        held > 0,
        "closed without an answer, so that the agent keeps its data"
    );
    assert!(refused >= grace, "after {refused:?}");
    let alarms = events::lines(&[project, "WARN"]);
    assert!(!alarms.is_empty(), "an alarm");
}

#[test]
fn a_key_that_is_put_right_within_its_grace_goes_on() {
    let setup = Setup::with(|wishes| {
        wishes.sls.key_grace = Duration::from_secs(60);
        wishes.sls.shards_refresh = Duration::from_millis(100);
    });
    assert_eq!(setup.client().produce(&ask(LOGSTORE, batch(&["a"]))), [0]);
    setup
        .service
        .change(|world| world.project(PROJECT).keys.clear());
    let end = Instant::now() + Duration::from_secs(2);
    while Instant::now() < end {
        let mut client = setup.client();
        client.send_produce(&ask(LOGSTORE, batch(&["b"])));
        if let Ok(partitions) = client.receive_produce(PRODUCE_VERSION) {
            assert_ne!(partitions[0].error_code, 29);
        }
    }
    setup.service.change(|world| {
        world.project(PROJECT).key(KEY.0, KEY.1);
    });
    eventually("it is stored", || {
        let mut client = setup.client();
        client.send_produce(&ask(LOGSTORE, batch(&["c"])));
        let told = client.receive_produce(PRODUCE_VERSION);
        told.is_ok_and(|partitions| partitions[0].error_code == 0)
    });
    assert!(setup.stored().contains(&"c".to_owned()));
}
