//! The ways to a shard, and the forms of a request: each from end to end.

use sluice::backend::sls::Route;
use sluice::backend::sls::client::SignatureVersion;
use sluice::logs::Compression;

use crate::support::client::{ask, batch};
use crate::support::request::Call;
use crate::support::script::Rule;
use crate::support::setup::{KEY, Setup};
use crate::support::{LOGSTORE, PASSWORD, PROJECT};

#[test]
fn by_key_hash_groups_go_over_the_shards_in_turn() {
    let setup = Setup::new();
    let mut client = setup.client();
    for number in 0..9 {
        let value = format!("{number}");
        assert_eq!(client.produce(&ask(LOGSTORE, batch(&[&value]))), [0]);
    }
    let counts: Vec<usize> = setup.by_shard().values().map(Vec::len).collect();
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
