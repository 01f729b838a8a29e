//! What each key may do.

use crate::support::group::encoded;
use crate::support::request::{Key, Request, Version};
use crate::support::{ADMIN, ALL, LOGSTORE, NARROW, NARROW_KEY, READER, Server, WRITER};

fn calls() -> Vec<(&'static str, Request)> {
    let get = |target: &str| Request::new("GET", target, &[]);
    let shard = "/logstores/logstore-1/shards/0";
    vec![
        ("GetProject", get("/")),
        ("GetLogStore", get("/logstores/logstore-1")),
        ("ListShards", get("/logstores/logstore-1/shards")),
        (
            "PutLogs",
            Request::put("/logstores/logstore-1/shards/lb", &encoded("x")),
        ),
        (
            "PutLogs by key",
            Request::put("/logstores/logstore-1/shards/route?key=00", &encoded("x")),
        ),
        (
            "PutLogs alone",
            Request::put("/logstores/logstore-1", &encoded("x")),
        ),
        ("ListLogStores", get("/logstores")),
        ("GetCursor", get(&format!("{shard}?type=cursor&from=begin"))),
        (
            "GetCursorTime",
            get(&format!("{shard}?type=cursor_time&cursor=MA==")),
        ),
        (
            "PullLogs",
            get(&format!("{shard}?type=logs&cursor=MA==&count=10")),
        ),
        ("CreateLogStore", create("made-by-key")),
    ]
}

fn create(name: &str) -> Request {
    let body = format!(r#"{{"logstoreName": "{name}", "ttl": 1, "shardCount": 1}}"#);
    Request::new("POST", "/logstores", body.as_bytes()).with("Content-Type", "application/json")
}

/// The calls that the key may make.
fn allowed(key: Key) -> Vec<&'static str> {
    let server = Server::start();
    let calls = calls().into_iter();
    let allowed = calls.filter(|(name, request)| {
        let reply = server.send(&request.clone().signed(Version::V1, key));
        if reply.status == 200 {
            return true;
        }
        let reply = reply.expect(401, "Unauthorized");
        assert!(
            reply.message().contains("right"),
            "{name}: {}",
            reply.message()
        );
        false
    });
    allowed.map(|(name, _)| name).collect()
}

#[test]
fn an_agents_key_writes_and_cannot_read() {
    assert_eq!(
        allowed(WRITER),
        [
            "GetProject",
            "GetLogStore",
            "ListShards",
            "PutLogs",
            "PutLogs by key",
            "PutLogs alone"
        ]
    );
}

#[test]
fn a_readers_key_reads_and_cannot_write() {
    assert_eq!(
        allowed(READER),
        [
            "GetProject",
            "GetLogStore",
            "ListShards",
            "ListLogStores",
            "GetCursor",
            "GetCursorTime",
            "PullLogs"
        ]
    );
}

#[test]
fn an_admins_key_makes_logstores_and_sees_no_log() {
    assert_eq!(
        allowed(ADMIN),
        [
            "GetProject",
            "GetLogStore",
            "ListShards",
            "ListLogStores",
            "CreateLogStore"
        ]
    );
}

#[test]
fn all_rights_make_all_calls() {
    assert_eq!(allowed(ALL).len(), calls().len());
}

#[test]
fn a_key_for_some_logstores_reaches_no_other() {
    let server = Server::start();
    let send = |request: Request| server.send(&request.signed(Version::V1, NARROW_KEY));
    for (name, request) in calls() {
        if ["GetProject", "ListLogStores"].contains(&name) {
            continue;
        }
        // The same whether the other one exists or not.
        for logstore in [LOGSTORE, "missing-1"] {
            let mut request = request.clone();
            request.path = request.path.replace(LOGSTORE, logstore);
            let reply = send(request).expect(401, "Unauthorized");
            assert!(reply.message().contains("does not reach"), "{name}");
        }
        if name != "CreateLogStore" {
            let mut request = request;
            request.path = request.path.replace(LOGSTORE, NARROW);
            send(request).ok();
        }
    }
    send(create("narrow-2")).ok();
    let listed = send(Request::new("GET", "/logstores", &[])).ok().json();
    assert_eq!(
        listed["logstores"],
        serde_json::json!(["narrow-1", "narrow-2"])
    );
    assert_eq!(listed["total"], 2);
}
