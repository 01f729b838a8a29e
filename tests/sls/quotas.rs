//! Quotas that are used up: each holds back its own level, and nothing is lost.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::{Ask, ask, batch};
use crate::support::request::Call;
use crate::support::script::Rule;
use crate::support::setup::{OTHER_PROJECT, Setup, short, told, two_projects};
use crate::support::{LOGSTORE, PASSWORD, PROJECT, eventually};

/// As far as the Log Service's quotas are concerned.
const MINUTE: Duration = Duration::from_secs(60);

fn first_shard(setup: &Setup) -> Rule {
    let range = setup.service.change(|world| {
        let logstores = &world.project(PROJECT).logstores;
        logstores[LOGSTORE].range(0).expect("it is writable")
    });
    Rule::refuse(Call::PutLogs, 403, "ShardWriteQuotaExceed").keys(range)
}

fn stored_by_shard(setup: &Setup) -> [usize; 3] {
    setup.service.change(|world| {
        let mut counts = [0; 3];
        for stored in &world.stored {
            counts[stored.shard as usize] += stored.group.logs.len();
        }
        counts
    })
}

#[test]
fn a_shard_over_its_quota_sends_its_groups_to_the_next() {
    let setup = Setup::new();
    setup.service.script(first_shard(&setup));
    let mut client = setup.client();
    let begin = Instant::now();
    for _ in 0..12 {
        assert_eq!(told(&mut client, &short(batch(&["a"]))), (0, 0));
    }
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "{:?}",
        begin.elapsed()
    );
    let [first, second, third] = stored_by_shard(&setup);
    assert_eq!((first, second + third), (0, 12));
    assert!(second > 0 && third > 0, "{second} and {third}");
}

#[test]
fn by_partition_a_shard_over_its_quota_keeps_its_own() {
    let setup = Setup::with(|wishes| {
        wishes.sls.by_partition = true;
        wishes.gateway.spread = sluice::catalog::Spread::ByPartition;
    });
    setup.service.script(first_shard(&setup));
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    let to = |partition: i32| Ask {
        sets: vec![(partition, batch(&["a"]))],
        ..short(batch(&["a"]))
    };
    let (code, throttle_ms) = told(&mut client, &to(0));
    assert_eq!(code, 56);
    assert!(throttle_ms > 0, "the client is told to wait");
    assert_eq!(told(&mut client, &to(1)), (0, 0));
    assert_eq!(stored_by_shard(&setup), [0, 1, 0]);
}

#[test]
fn a_project_over_its_quota_backs_off_alone_and_is_told_to_wait() {
    let setup = Setup::before(two_projects(), |_| {});
    let quota = Rule::refuse(Call::PutLogs, 403, "WriteQuotaExceed");
    setup
        .service
        .script(quota.project(PROJECT).until(Instant::now() + MINUTE));
    thread::scope(|scope| {
        let refused: Vec<_> = (0..10)
            .map(|_| scope.spawn(|| told(&mut setup.client(), &short(batch(&["a"])))))
            .collect();
        let mut other = setup.client_of(OTHER_PROJECT, PASSWORD);
        for _ in 0..30 {
            assert_eq!(told(&mut other, &short(batch(&["a"]))), (0, 0));
        }
        for thread in refused {
            let (code, throttle_ms) = thread.join().expect("it was answered");
            assert_eq!(code, 56);
            assert!(throttle_ms > 0, "the client is told to wait");
        }
    });
    let mut tries = setup.service.requests(Call::PutLogs);
    tries.retain(|request| request.project == PROJECT);
    assert!(tries.len() <= 40, "{} tries in two seconds", tries.len());
}

#[test]
fn a_quota_used_up_for_a_minute_is_never_perhaps_stored() {
    let run = |code: &str| {
        let setup = Setup::new();
        let quota = Rule::refuse(Call::PutLogs, 403, code);
        setup.service.script(quota.until(Instant::now() + MINUTE));
        thread::scope(|scope| {
            for number in 0..20 {
                let setup = &setup;
                scope.spawn(move || {
                    let (version, expected) = [(7, 6), (8, 56), (9, 56)][number % 3];
                    let mut client = setup.client();
                    for _ in 0..2 {
                        let (found, _) = told(
                            &mut client,
                            &Ask {
                                version,
                                ..short(batch(&["a"]))
                            },
                        );
                        assert_eq!(found, expected, "v{version} of {code}");
                    }
                });
            }
        });
        assert!(setup.stored().is_empty());
        setup.service.heal();
        let mut client = setup.client();
        eventually("it goes on", || {
            told(&mut client, &short(batch(&["a"]))).0 == 0
        });
    };
    thread::scope(|scope| {
        scope.spawn(|| run("ShardWriteQuotaExceed"));
        scope.spawn(|| run("WriteQuotaExceed"));
    });
}

#[test]
fn a_quota_that_is_free_again_within_the_time_costs_nothing_but_time() {
    for code in ["ShardWriteQuotaExceed", "WriteQuotaExceed"] {
        let setup = Setup::new();
        let quota = Rule::refuse(Call::PutLogs, 403, code);
        let end = Instant::now() + Duration::from_millis(700);
        setup.service.script(quota.until(end));
        let patient = ask(LOGSTORE, batch(&["a"]));
        assert_eq!(told(&mut setup.client(), &patient).0, 0, "{code}");
        assert_eq!(setup.stored(), ["a"]);
    }
}
