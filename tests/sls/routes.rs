//! The ways to a shard, and the forms of a request: each from end to end.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use sluice::backend::sls::Route;
use sluice::backend::sls::client::SignatureVersion;
use sluice::catalog::Spread;
use sluice::logs::Compression;

use crate::support::client::{Ask, PRODUCE_VERSION, ask, batch};
use crate::support::request::Call;
use crate::support::script::{Action, Moment, Pause, Rule};
use crate::support::setup::{KEY, Setup, Wishes};
use crate::support::{LOGSTORE, PASSWORD, PROJECT};

fn in_order(wishes: &mut Wishes) {
    wishes.sls.by_partition = true;
    wishes.gateway.spread = Spread::ByPartition;
}

/// Content of the logs of each shard, in order.
fn by_shard(setup: &Setup) -> BTreeMap<u32, Vec<String>> {
    setup.service.change(|world| {
        let mut shards: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        for stored in &world.stored {
            let values = stored.group.values("content");
            let shard = shards.entry(stored.shard).or_default();
            shard.extend(values.into_iter().map(str::to_owned));
        }
        shards
    })
}

#[test]
fn by_key_hash_groups_go_over_the_shards_in_turn() {
    let setup = Setup::new();
    let mut client = setup.client();
    for number in 0..9 {
        let value = format!("{number}");
        assert_eq!(client.produce(&ask(LOGSTORE, batch(&[&value]))), [0]);
    }
    let counts: Vec<usize> = by_shard(&setup).values().map(Vec::len).collect();
    assert_eq!(counts, [3, 3, 3]);
    for request in setup.service.requests(Call::PutLogs) {
        assert!(request.hash_key().is_some(), "{:?}", request.head);
    }
}

#[test]
fn by_load_balance_the_log_service_chooses() {
    let setup = Setup::with(|wishes| wishes.sls.route = Route::LoadBalanced);
    let mut client = setup.client();
    assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
    for number in 0..6 {
        let value = format!("{number}");
        assert_eq!(client.produce(&ask(LOGSTORE, batch(&[&value]))), [0]);
    }
    assert_eq!(setup.stored().len(), 6);
    for request in setup.service.requests(Call::PutLogs) {
        assert_eq!(
            request.head.path(),
            format!("/logstores/{LOGSTORE}/shards/lb")
        );
        assert!(request.head.query().is_empty());
    }
}

#[test]
fn by_load_balance_a_shard_over_its_quota_is_tried_again() {
    let setup = Setup::with(|wishes| wishes.sls.route = Route::LoadBalanced);
    let quota = Rule::refuse(Call::PutLogs, 403, "ShardWriteQuotaExceed");
    setup.service.script(quota.times(3));
    assert_eq!(setup.client().produce(&ask(LOGSTORE, batch(&["a"]))), [0]);
    assert_eq!(setup.stored(), ["a"]);
}

#[test]
fn groups_are_taken_with_either_compression_and_either_signature() {
    for compression in [Compression::Lz4, Compression::Zstd] {
        for signature in [SignatureVersion::V1, SignatureVersion::V4] {
            let setup = Setup::with(|wishes| {
                wishes.sls.client.compression = compression;
                wishes.sls.client.signature = signature;
            });
            setup.service.change(|world| {
                let project = world.project("project-2");
                project.key("STS.id", "secret").token = Some("a+token/with=signs".into());
                project.logstore(LOGSTORE, 2);
            });
            let mut client = setup.client();
            assert_eq!(client.metadata(LOGSTORE, false), (0, 3));
            let large = "x".repeat(400_000);
            for value in ["small", &large] {
                assert_eq!(client.produce(&ask(LOGSTORE, batch(&[value]))), [0]);
            }
            assert_eq!(setup.stored(), ["small", &large]);
            let password = "STS.id#secret#a+token/with=signs";
            let mut temporary = setup.client_of("project-2", password);
            assert_eq!(temporary.produce(&ask(LOGSTORE, batch(&["a"]))), [0]);
            let request = setup.service.requests(Call::PutLogs).remove(0);
            let expected = match compression {
                Compression::Lz4 => "lz4",
                Compression::Zstd => "zstd",
            };
            let head = &request.head;
            assert_eq!(head.header("x-log-compresstype"), Some(expected));
            let v4 = head
                .header("authorization")
                .expect("signed")
                .contains("Credential=");
            assert_eq!(v4, signature == SignatureVersion::V4);
        }
    }
}

#[test]
fn a_wrong_secret_is_29_with_either_signature() {
    for signature in [SignatureVersion::V1, SignatureVersion::V4] {
        let setup = Setup::with(|wishes| wishes.sls.client.signature = signature);
        assert_eq!(setup.client().metadata(LOGSTORE, false), (0, 3));
        let mut wrong = setup.client_of(PROJECT, "key-id#wrong");
        assert_eq!(wrong.metadata(LOGSTORE, false).0, 29);
        assert_eq!(
            setup.client_of(PROJECT, PASSWORD).metadata(LOGSTORE, false),
            (0, 3)
        );
    }
}

#[test]
fn json_is_taken_apart_and_shares_the_logstore() {
    let setup = Setup::new();
    let mut client = setup.client();
    let json = format!("{LOGSTORE}.json");
    assert_eq!(client.metadata(&json, false), (0, 3));
    let set = batch(&[r#"{"level":"info","code":7}"#]);
    assert_eq!(client.produce(&ask(&json, set)), [0]);
    let log = setup.service.logs(PROJECT, LOGSTORE).remove(0);
    assert_eq!(
        (log.field("level"), log.field("code")),
        (Some("info"), Some("7"))
    );
}

// By partition

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
    for (shard, values) in by_shard(&setup) {
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
fn the_keys_id_that_signs_is_the_clients_own() {
    let setup = Setup::new();
    setup.service.change(|world| {
        world.project(PROJECT).key("other-id", "other-secret");
    });
    let mut client = setup.client_of(PROJECT, "other-id#other-secret");
    assert_eq!(client.produce(&ask(LOGSTORE, batch(&["a"]))), [0]);
    assert_eq!(setup.client().produce(&ask(LOGSTORE, batch(&["b"]))), [0]);
    let requests = setup.service.requests(Call::PutLogs);
    let ids: Vec<_> = requests
        .iter()
        .filter_map(|request| request.key_id())
        .collect();
    assert_eq!(ids, ["other-id", KEY.0]);
}
