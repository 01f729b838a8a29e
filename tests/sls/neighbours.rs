//! One whose writes hang or are refused holds up nobody else.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::{Ask, batch, compressed_batch};
use crate::support::request::Call;
use crate::support::script::{Action, Moment, Rule};
use crate::support::setup::{OTHER_PROJECT, Setup, short, told, two_projects};
use crate::support::{LOGSTORE, PASSWORD, PROJECT};

/// How long a client of the other project takes for some requests.
fn pace(setup: &Setup) -> Duration {
    let mut other = setup.client_of(OTHER_PROJECT, PASSWORD);
    assert_eq!(other.metadata(LOGSTORE, false), (0, 3));
    let begin = Instant::now();
    for _ in 0..30 {
        assert_eq!(told(&mut other, &short(batch(&["a"]))).0, 0);
    }
    begin.elapsed()
}

#[test]
fn a_project_that_hangs_slows_no_other() {
    let setup = Setup::before(two_projects(), |_| {});
    let alone = pace(&setup);
    let hang = Rule::on(Call::PutLogs, Action::Hang(Moment::AfterBody));
    setup.service.script(hang.project(PROJECT));
    thread::scope(|scope| {
        let hanging: Vec<_> = (0..60)
            .map(|_| {
                let mut client = setup.client();
                let asked = Ask {
                    timeout_ms: 5_000,
                    ..short(batch(&["a"]))
                };
                scope.spawn(move || (told(&mut client, &asked).0, Instant::now()))
            })
            .collect();
        setup.service.traffic().wait_for(Call::PutLogs, 31);
        let beside = pace(&setup);
        let done = Instant::now();
        assert!(
            beside < alone * 4 + Duration::from_secs(1),
            "{beside:?} beside one that hangs, {alone:?} alone"
        );
        for thread in hanging {
            let (code, answered) = thread.join().expect("it was answered");
            assert!([7, 56].contains(&code), "{code}");
            assert!(answered > done, "it did not hang");
        }
    });
}

#[test]
fn a_project_for_which_the_log_service_is_busy_slows_no_other() {
    let setup = Setup::before(two_projects(), |_| {});
    let alone = pace(&setup);
    let busy = Rule::refuse(Call::PutLogs, 503, "ServerBusy");
    setup.service.script(busy.project(PROJECT));
    thread::scope(|scope| {
        let refused: Vec<_> = (0..40)
            .map(|_| {
                let mut client = setup.client();
                let asked = Ask {
                    timeout_ms: 10_000,
                    ..short(batch(&["a"]))
                };
                scope.spawn(move || told(&mut client, &asked).0)
            })
            .collect();
        // Long enough for the longest pauses.
        thread::sleep(Duration::from_secs(3));
        let beside = pace(&setup);
        setup.service.heal();
        for thread in refused {
            let code = thread.join().expect("it was answered");
            assert!([0, 56].contains(&code), "{code}");
        }
        assert!(
            beside < alone * 4 + Duration::from_secs(1),
            "{beside:?} beside one that is refused, {alone:?} alone"
        );
    });
}

#[test]
fn a_logstore_that_hangs_slows_no_other_of_its_project() {
    let setup = Setup::new();
    setup.service.change(|world| {
        world.project(PROJECT).logstore("logstore-2", 3);
    });
    let hang = Rule::on(Call::PutLogs, Action::Hang(Moment::AfterBody));
    setup.service.script(hang.logstore("logstore-2"));
    thread::scope(|scope| {
        for _ in 0..30 {
            let mut client = setup.client();
            let asked = Ask {
                topic: "logstore-2",
                ..short(batch(&["a"]))
            };
            scope.spawn(move || told(&mut client, &asked));
        }
        setup.service.traffic().wait_for(Call::PutLogs, 1);
        let mut other = setup.client();
        for _ in 0..20 {
            let asked = Instant::now();
            assert_eq!(told(&mut other, &short(batch(&["a"]))).0, 0);
            assert!(
                asked.elapsed() < Duration::from_secs(1),
                "{:?}",
                asked.elapsed()
            );
        }
    });
}

/// Decoding what is large takes the pool for long, and a group of many small batches waits for it to be compressed; what
/// needs no pool must not wait behind that.
#[test]
fn large_batches_of_one_project_do_not_hold_back_the_small_ones_of_another() {
    let setup = Setup::before(two_projects(), |wishes| {
        wishes.sls.linger_min = Duration::from_millis(100);
        wishes.sls.linger_max = Duration::from_millis(100);
    });
    let large = compressed_batch(&"x".repeat(60 << 20));
    let medium = "y".repeat(20_000);
    let mut heavy = setup.client();
    let mut light = setup.client_of(OTHER_PROJECT, PASSWORD);
    assert_eq!(heavy.metadata(LOGSTORE, false), (0, 3));
    assert_eq!(light.metadata(LOGSTORE, false), (0, 3));
    let patient = |set| Ask {
        timeout_ms: 30_000,
        ..short(set)
    };
    for _ in 0..12 {
        heavy.send_produce(&patient(large.clone()));
    }
    // Three of these share a group that is compressed on the pool.
    for _ in 0..3 {
        heavy.send_produce(&patient(batch(&[&medium])));
    }
    thread::sleep(Duration::from_millis(500));
    let begin = Instant::now();
    assert_eq!(told(&mut light, &short(batch(&["a"]))).0, 0);
    let waited = begin.elapsed();
    assert!(waited < Duration::from_secs(1), "{waited:?}");
}
