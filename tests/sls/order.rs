//! Where partitions are shards: each shard keeps the order of its partition, and holds up no other.

use std::thread;
use std::time::Duration;

use sluice::catalog::Spread;

use crate::support::client::{Ask, PRODUCE_VERSION, ask, batch};
use crate::support::request::Call;
use crate::support::script::{Action, Moment, Pause, Rule};
use crate::support::setup::{Setup, Wishes};
use crate::support::{LOGSTORE, PROJECT};

fn in_order(wishes: &mut Wishes) {
    wishes.sls.by_partition = true;
    wishes.gateway.spread = Spread::ByPartition;
}

#[test]
fn by_partition_each_shard_keeps_the_order_of_its_partition_under_retries() {
    let setup = Setup::with(in_order);
    // Refusals and lost connections of which none has stored anything.
    let mut turn = 0_u32;
    for (every, action) in [
        (5, Rule::refuse(Call::PutLogs, 503, "ServerBusy")),
        (7, Rule::refuse(Call::PutLogs, 403, "ShardWriteQuotaExceed")),
        (
            11,
            Rule::on(Call::PutLogs, Action::Close(Moment::AfterBody)),
        ),
    ] {
        turn += 1;
        let phase = u64::from(turn);
        setup
            .service
            .script(action.when(move |request| request.number % every == phase));
    }
    thread::scope(|scope| {
        for partition in 0..3 {
            let mut client = setup.client();
            scope.spawn(move || {
                assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
                let to = |number: usize| Ask {
                    sets: vec![(partition, batch(&[&format!("{partition} {number:02}")]))],
                    ..ask(LOGSTORE, batch(&["a"]))
                };
                // As many at once as a client may have.
                for number in 0..40 {
                    client.send_produce(&to(number));
                    if number % 4 == 0 {
                        thread::sleep(Duration::from_millis(10));
                    }
                }
                for number in 0..40 {
                    let told = client.receive_produce(PRODUCE_VERSION).expect("an answer");
                    assert_eq!(told[0].error_code, 0, "{partition} {number}");
                }
            });
        }
    });
    let expected = |shard: u32| (0..40).map(move |number| format!("{shard} {number:02}"));
    for (shard, values) in setup.by_shard() {
        assert_eq!(values, Vec::from_iter(expected(shard)), "shard {shard}");
    }
}

#[test]
fn by_partition_a_shard_that_hangs_holds_up_no_other() {
    let setup = Setup::with(in_order);
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    let range = setup.service.change(|world| {
        let logstores = &world.project(PROJECT).logstores;
        logstores[LOGSTORE].range(0).expect("it is writable")
    });
    let slow = Action::AnswerLate(Pause::For(Duration::from_secs(3)));
    setup
        .service
        .script(Rule::on(Call::PutLogs, slow).keys(range));
    let to = |partition: i32| Ask {
        sets: vec![(partition, batch(&["a"]))],
        ..ask(LOGSTORE, batch(&["a"]))
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut slow = setup.client();
            assert_eq!(slow.produce(&to(0)), [0]);
        });
        setup.service.traffic().wait_for(Call::PutLogs, 1);
        for _ in 0..10 {
            assert_eq!(client.produce(&to(1)), [0]);
            assert_eq!(client.produce(&to(2)), [0]);
        }
        assert_eq!(
            setup.service.traffic().at_once(PROJECT),
            1,
            "it still hangs"
        );
    });
}

#[test]
fn by_partition_a_large_batch_is_not_overtaken_by_the_small_ones_behind_it() {
    let setup = Setup::with(in_order);
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    let filler = |number: usize| {
        if number.is_multiple_of(4) {
            400_000
        } else {
            10
        }
    };
    let name = |number: usize| format!("{number:02}");
    for number in 0..16 {
        for partition in 0..3 {
            let value = format!("{} {}", name(number), "x".repeat(filler(number)));
            let asked = Ask {
                sets: vec![(partition, batch(&[&value]))],
                ..ask(LOGSTORE, batch(&["a"]))
            };
            client.send_produce(&asked);
        }
    }
    for _ in 0..16 * 3 {
        let told = client.receive_produce(PRODUCE_VERSION).expect("an answer");
        assert_eq!(told[0].error_code, 0);
    }
    for (shard, values) in setup.by_shard() {
        let names: Vec<&str> = values.iter().map(|value| &value[..2]).collect();
        assert_eq!(names, Vec::from_iter((0..16).map(name)), "shard {shard}");
    }
}
