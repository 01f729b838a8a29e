//! What a client may do before its key is known to be good.

use std::thread;
use std::time::{Duration, Instant};

use sluice::server::BadKey;

use crate::support::client::{Client, PRODUCE_VERSION, ask, batch};
use crate::support::request::Call;
use crate::support::script::{Action, Gate, Pause, Rule};
use crate::support::setup::{Setup, address};
use crate::support::{LOGSTORE, PROJECT};

#[test]
fn an_unproven_session_has_one_request_in_flight_and_a_proven_one_several() {
    let setup = Setup::new();
    let gate = Gate::closed();
    let wait = Rule::on(Call::PutLogs, Action::Pass).after(Pause::Until(gate.clone()));
    setup.service.script(wait);
    let mut unproven = setup.client();
    let two = |client: &mut Client| {
        for value in ["a", "b"] {
            client.send_produce(&ask(LOGSTORE, batch(&[value])));
            thread::sleep(Duration::from_millis(200));
        }
    };
    two(&mut unproven);
    assert_eq!(setup.service.count(Call::PutLogs), 1);
    let mut proven = setup.client();
    assert_eq!(proven.metadata(LOGSTORE, false), (0, 3));
    two(&mut proven);
    assert_eq!(setup.service.count(Call::PutLogs), 3);
    gate.open();
    for client in [&mut unproven, &mut proven] {
        for _ in 0..2 {
            let told = client.receive_produce(PRODUCE_VERSION).expect("an answer");
            assert_eq!(told[0].error_code, 0);
        }
    }
}

#[test]
fn an_unproven_session_sends_frames_of_1_mib_at_most_and_a_proven_one_larger_ones() {
    let setup = Setup::new();
    let large = "x".repeat(900_000);
    let mut client = setup.client();
    let two = || ask(LOGSTORE, batch(&[&large, &large]));
    let frame = client.produce_frame(&two());
    // It may be closed while the frame is still being written.
    let _ = client.try_write(&frame);
    assert!(client.receive_produce(PRODUCE_VERSION).is_err());
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    assert_eq!(client.produce(&two()), [0]);
}

/// Agents ask for Metadata on one connection and produce on others, which may have logged in before.
#[test]
fn a_session_is_proven_by_what_another_one_of_the_same_key_has_shown() {
    let setup = Setup::new();
    let mut producer = setup.client();
    let mut other = setup.client();
    assert_eq!(other.metadata(LOGSTORE, false), (0, 3));
    let large = "x".repeat(900_000);
    let two = ask(LOGSTORE, batch(&[&large, &large]));
    assert_eq!(producer.produce(&two), [0]);
}

/// What 60 guesses from one address come to, while another asks for something of its own.
fn guess(setup: &Setup, attempt: fn(&mut Client, &str)) {
    assert_eq!(setup.client().metadata(LOGSTORE, false), (0, 3));
    let own = setup.service.traffic().requests().len();
    let begin = Instant::now();
    thread::scope(|scope| {
        for guess in 0..60 {
            scope.spawn(move || {
                let mut client = Client::dial_from(
                    address(60_000),
                    setup.gateway.address,
                    &setup.gateway.certificate,
                );
                attempt(&mut client, &format!("key-id#guess-{guess}"));
            });
        }
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(500));
            let asked = Instant::now();
            let mut other = setup.client();
            assert_eq!(other.metadata("logstore-2", false).0, 3);
            let took = asked.elapsed();
            assert!(took < Duration::from_secs(2), "{took:?}");
        });
    });
    let calls = setup.service.traffic().requests().len() - own;
    let seconds = usize::try_from(begin.elapsed().as_secs()).expect("few") + 1;
    assert!(calls > 5, "none came through");
    // One is the other address's own.
    let most = 10 * (seconds + 1) + 1;
    assert!(calls <= most, "{calls} calls in {seconds} s");
}

#[test]
fn unproven_sessions_of_an_address_make_10_calls_a_second_and_others_wait_for_none() {
    guess(&Setup::new(), |client, password| {
        client.log_in(PROJECT, password).expect("it is taken");
        let (code, _) = client.metadata(LOGSTORE, false);
        assert!([29, 5].contains(&code), "{code}");
    });
}

#[test]
fn logins_of_an_address_that_are_verified_make_10_calls_a_second_too() {
    let setup = Setup::with(|wishes| {
        wishes.sls.verify_logins = true;
        wishes.gateway.bad_key = BadKey::RefuseLogin;
    });
    guess(&setup, |client, password| {
        match client.log_in(PROJECT, password) {
            // It could not be asked for.
            Ok(()) => assert!([29, 5].contains(&client.metadata(LOGSTORE, false).0)),
            Err((code, _)) => assert_eq!(code, 58),
        }
    });
}
