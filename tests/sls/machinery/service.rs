//! The stand-in does what the Log Service does.

use super::caller::{Caller, KEY, LOAD_BALANCED, LOGSTORE, PROJECT, group, now_s, pair};
use crate::support::group::Group;
use crate::support::request::Call;
use crate::support::service::Service;
use crate::support::world::Shard;

use prost::Message;

fn start() -> (Service, Caller) {
    let service = Service::with(PROJECT, KEY, LOGSTORE);
    let caller = Caller::dial(service.address());
    (service, caller)
}

fn outcome(caller: &mut Caller, target: &str) -> String {
    caller.get(target).expect("an answer").outcome()
}

fn put(caller: &mut Caller, group: &Group) -> String {
    caller
        .put_group(LOAD_BALANCED, group)
        .expect("an answer")
        .outcome()
}

#[test]
fn all_four_calls_are_answered_with_id_and_clock() {
    let (service, mut caller) = start();
    for target in ["/", "/logstores/logstore-1", "/logstores/logstore-1/shards"] {
        let told = caller.get(target).expect("an answer");
        assert_eq!(told.outcome(), "200");
        assert_eq!(told.header("x-log-requestid").map(str::len), Some(24));
        let clock = told.header("x-log-time").expect("a clock");
        assert!((clock.parse::<i64>().expect("seconds") - now_s()).abs() < 60);
    }
    let told = caller.put(LOAD_BALANCED, &["a"]).expect("an answer");
    assert_eq!((told.status, &*told.body), (200, &b""[..]));
    let calls: Vec<Call> = service
        .traffic()
        .requests()
        .iter()
        .map(|request| request.call)
        .collect();
    assert_eq!(
        calls,
        [
            Call::GetProject,
            Call::GetLogStore,
            Call::ListShards,
            Call::PutLogs
        ]
    );
    assert_eq!(service.traffic().connected(), 1);
}

#[test]
fn each_request_is_kept_with_its_connection_and_its_time() {
    let (service, mut caller) = start();
    for _ in 0..2 {
        assert_eq!(outcome(&mut caller, "/"), "200");
    }
    let port = caller
        .stream()
        .local_addr()
        .expect("it is connected")
        .port();
    let mut other = Caller::dial(service.address());
    assert_eq!(outcome(&mut other, "/"), "200");
    let requests = service.requests(Call::GetProject);
    let connections: Vec<u64> = requests.iter().map(|request| request.connection).collect();
    assert_eq!(connections, [1, 1, 2]);
    assert_eq!(requests[1].peer.port(), port);
    assert!(requests.is_sorted_by_key(|request| request.arrived));
}

#[test]
fn shards_are_told_with_ranges_that_cover_all_keys_once() {
    let (service, mut caller) = start();
    let shards = [(0, false), (2, true), (5, true)].map(|(id, writable)| Shard { id, writable });
    service.change(|world| world.project(PROJECT).logstore(LOGSTORE, 1).shards = shards.into());
    let told = caller
        .get("/logstores/logstore-1/shards")
        .expect("an answer");
    let told: serde_json::Value = serde_json::from_slice(&told.body).expect("JSON");
    let list = told.as_array().expect("a list");
    let text = |shard: &serde_json::Value, name: &str| shard[name].as_str().map(str::to_owned);
    assert_eq!(list.len(), 3);
    assert_eq!(text(&list[0], "status").as_deref(), Some("readonly"));
    assert_eq!(
        text(&list[1], "exclusiveEndKey"),
        text(&list[2], "inclusiveBeginKey")
    );
    assert_eq!(text(&list[2], "exclusiveEndKey"), Some("f".repeat(32)));
}

#[test]
fn a_write_goes_to_the_shard_of_its_key_or_to_the_next_in_turn() {
    let (service, mut caller) = start();
    for content in ["a", "b", "c", "d"] {
        caller.put(LOAD_BALANCED, &[content]).expect("an answer");
    }
    let key = format!("/logstores/logstore-1/shards/route?key={}", "f".repeat(32));
    caller.put(&key, &["e", "f"]).expect("an answer");
    assert_eq!(
        service.contents(PROJECT, LOGSTORE),
        ["a", "b", "c", "d", "e", "f"]
    );
    let shards = service.change(|world| {
        world
            .stored
            .iter()
            .map(|stored| stored.shard)
            .collect::<Vec<_>>()
    });
    assert_eq!(shards, [0, 1, 2, 0, 2]);
    let request = service.requests(Call::PutLogs).remove(4);
    assert_eq!(
        (request.hash_key(), request.status()),
        (Some(u128::MAX), Some(200))
    );
    assert_eq!(
        (request.key_id(), &*request.logstore),
        (Some("key-id"), LOGSTORE)
    );
}

#[test]
fn bodies_may_be_plain_or_compressed_two_ways() {
    let (service, mut caller) = start();
    let raw = group(&["x"]).encode_to_vec();
    let size = raw.len().to_string();
    let zstd = zstd::bulk::compress(&raw, 3).expect("into memory");
    for (body, kind) in [(&zstd, Some("zstd")), (&raw, None)] {
        let mut headers = vec![("x-log-bodyrawsize", &*size)];
        headers.extend(kind.map(|kind| ("x-log-compresstype", kind)));
        let head = caller.signed("POST", LOAD_BALANCED, body, &headers);
        assert_eq!(
            caller.exchange(&head, body).expect("an answer").outcome(),
            "200"
        );
    }
    assert_eq!(service.contents(PROJECT, LOGSTORE), ["x", "x"]);
    let head = caller.signed("POST", LOAD_BALANCED, &raw, &[("x-log-bodyrawsize", "7")]);
    let told = caller.exchange(&head, &raw).expect("an answer");
    assert_eq!(told.outcome(), "400 PostBodyUncompressError");
}

#[test]
fn wrong_names_keys_and_rights_are_refused_apart() {
    let (service, mut caller) = start();
    let shards = "/logstores/logstore-1/shards";
    assert_eq!(
        outcome(&mut caller, "/logstores/other"),
        "404 LogStoreNotExist"
    );
    caller.key = ("key-id", "wrong");
    assert_eq!(outcome(&mut caller, shards), "401 SignatureNotMatch");
    caller.key = ("other", "key-secret");
    assert_eq!(outcome(&mut caller, shards), "401 Unauthorized");
    caller.key = KEY;
    service.change(|world| world.project(PROJECT).key(KEY.0, KEY.1).may_write = false);
    assert_eq!(outcome(&mut caller, shards), "200");
    assert_eq!(put(&mut caller, &group(&["a"])), "401 Unauthorized");
    service.change(|world| world.project(PROJECT).key(KEY.0, KEY.1).may_describe = false);
    assert_eq!(outcome(&mut caller, shards), "401 Unauthorized");
    service.change(|world| world.project(PROJECT).key(KEY.0, KEY.1).token = Some("t".into()));
    assert_eq!(
        outcome(&mut caller, shards),
        "401 Unauthorized",
        "without its token"
    );
    service.change(|world| world.endpoint = Some("elsewhere.example".into()));
    assert_eq!(outcome(&mut caller, shards), "404 ProjectNotExist");
    service.change(|world| {
        world.endpoint = None;
        world.remove_project(PROJECT);
    });
    assert_eq!(outcome(&mut caller, shards), "404 ProjectNotExist");
}

#[test]
fn one_bad_log_refuses_its_whole_group() {
    let (service, mut caller) = start();
    let mut spoiled = |spoil: fn(&mut Group)| {
        let mut group = group(&["good", "bad"]);
        spoil(&mut group);
        put(&mut caller, &group)
    };
    assert_eq!(
        spoiled(|group| group.logs[1].contents[0].value = vec![0xff]),
        "400 InvalidEncoding"
    );
    assert_eq!(
        spoiled(|group| group.logs[1].contents[0].key.clear()),
        "400 InvalidKey"
    );
    assert_eq!(
        spoiled(|group| group.logs[1].contents.clear()),
        "400 PostBodyInvalid"
    );
    assert_eq!(
        spoiled(|group| group.logs[1].time = 1),
        "400 PostBodyInvalid"
    );
    assert_eq!(
        spoiled(|group| group.logs[1].time_ns = Some(u32::MAX)),
        "400 InvalidTimestamp"
    );
    assert_eq!(
        spoiled(|group| group.logs = vec![group.logs[0].clone(); 40_961]),
        "413 PostBodyTooLarge"
    );
    assert!(service.logs(PROJECT, LOGSTORE).is_empty());
    let twice = |group: &mut Group| group.logs[1].contents.push(pair(b"content", b"again"));
    assert_eq!(spoiled(twice), "200");
    assert_eq!(
        service.take_complaints().len(),
        1,
        "legal, but promised not to come"
    );
}

#[test]
fn a_clock_too_far_off_is_refused_with_the_right_one_beside() {
    let (service, mut caller) = start();
    service.change(|world| world.clock_offset_s = 3_600);
    let told = caller.get("/").expect("an answer");
    assert_eq!(told.outcome(), "400 RequestTimeExpired");
    let clock: i64 = told
        .header("x-log-time")
        .expect("a clock")
        .parse()
        .expect("seconds");
    assert!((clock - now_s() - 3_600).abs() < 60);
    caller.ahead_s = 3_600;
    assert_eq!(outcome(&mut caller, "/"), "200");
}

#[test]
fn what_no_gateway_may_send_is_noticed() {
    let (service, mut caller) = start();
    assert_eq!(
        outcome(&mut caller, "/logstores"),
        "401 Unauthorized",
        "listing"
    );
    let mut head = caller.signed(
        "POST",
        LOAD_BALANCED,
        b"body",
        &[("x-log-bodyrawsize", "4")],
    );
    head.headers.retain(|(name, _)| name != "content-md5");
    assert_eq!(
        caller.exchange(&head, b"body").expect("an answer").status,
        400
    );
    let mut head = caller.signed("GET", "/", &[], &[("x-log-bodyrawsize", "0")]);
    head.headers
        .push(("transfer-encoding".into(), "chunked".into()));
    assert_eq!(caller.exchange(&head, &[]).expect("an answer").status, 400);
    assert_eq!(service.take_complaints().len(), 3);
}
