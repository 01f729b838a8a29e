//! What the calls answer.

use std::io::Write;

use serde_json::{Value, json};

use crate::support::group::encoded;
use crate::support::request::{Reply, Request, VERSIONS, Version, connect};
use crate::support::{ALL, LOGSTORE, PROJECT, Server, Settings, now_s};

fn get(server: &Server, target: &str) -> Value {
    server.send(&Request::get(ALL, target)).ok().json()
}

fn create(server: &Server, body: &str) -> Reply {
    let request = Request::new("POST", "/logstores", body.as_bytes());
    let request = request.with("Content-Type", "application/json");
    server.send(&request.signed(Version::V1, ALL))
}

#[test]
fn every_answer_says_which_it_is_and_what_time_it_is() {
    let server = Server::start();
    let mut seen = Vec::new();
    for request in [
        Request::get(ALL, "/"),
        Request::get(ALL, "/nothing"),
        Request::new("GET", "/", &[]),
        Request::put("/logstores/logstore-1", &encoded("x")).signed(Version::V4, ALL),
    ] {
        let reply = server.send(&request);
        let id = reply.header("x-log-requestid").expect("an id").to_owned();
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte);
        assert!(id.len() == 24 && id.bytes().all(is_hex), "{id}");
        assert!(!seen.contains(&id));
        seen.push(id);
        let time: i64 = reply.header("x-log-time").unwrap().parse().unwrap();
        assert!((time - now_s()).abs() < 5);
        let date = reply.header("date").expect("a date");
        assert!((sluice::signature::parse_http_date(date).unwrap() - now_s()).abs() < 5);
    }
}

#[test]
fn a_project_is_described() {
    let server = Server::start();
    let project = get(&server, "/");
    assert_eq!(project["projectName"], PROJECT);
    assert_eq!(project["status"], "Normal");
    assert_eq!(project["region"], "test-region");
    for name in ["description", "owner", "createTime", "lastModifyTime"] {
        assert!(project[name].is_string(), "{name}");
    }
}

#[test]
fn logstores_are_listed_by_part_of_their_name_and_by_page() {
    let server = Server::start();
    for number in 1..=4 {
        let body = json!({"logstoreName": format!("more-{number}"), "ttl": 1, "shardCount": 1});
        create(&server, &body.to_string()).ok();
    }
    let all = get(&server, "/logstores");
    assert_eq!(all["count"], 6);
    assert_eq!(all["logstores"][0], LOGSTORE);
    let some = get(&server, "/logstores?logstoreName=more&offset=1&size=2");
    assert_eq!(
        some,
        json!({"count": 2, "total": 4, "logstores": ["more-2", "more-3"]})
    );
    let none = get(&server, "/logstores?logstoreName=&offset=99&size=500");
    assert_eq!(none, json!({"count": 0, "total": 6, "logstores": []}));
    for query in ["size=501", "size=x", "offset=-1"] {
        let request = Request::get(ALL, &format!("/logstores?{query}"));
        server.send(&request).expect(400, "ParameterInvalid");
    }
}

#[test]
fn a_logstore_is_described() {
    let server = Server::start();
    let logstore = get(&server, "/logstores/logstore-1");
    assert_eq!(logstore["logstoreName"], LOGSTORE);
    assert_eq!(
        (&logstore["ttl"], &logstore["shardCount"]),
        (&json!(3), &json!(2))
    );
    for name in ["enable_tracking", "appendMeta", "autoSplit"] {
        assert_eq!(logstore[name], false, "{name}");
    }
    assert!(logstore["maxSplitShard"].is_number());
    assert!((logstore["createTime"].as_i64().unwrap() - now_s()).abs() < 60);
    for name in ["missing-1", "Up", "a.json"] {
        let request = Request::get(ALL, &format!("/logstores/{name}"));
        server.send(&request).expect(404, "LogStoreNotExist");
    }
}

#[test]
fn a_call_to_a_missing_logstore_makes_none() {
    let server = Server::start();
    for version in VERSIONS {
        let put = Request::put("/logstores/missing-1/shards/lb", &encoded("x"));
        server
            .send(&put.signed(version, ALL))
            .expect(404, "LogStoreNotExist");
    }
    for target in [
        "/logstores/missing-1/shards",
        "/logstores/missing-1/shards/0?type=cursor&from=begin",
        "/logstores/missing-1/shards/0?type=logs&cursor=MA==",
    ] {
        server
            .send(&Request::get(ALL, target))
            .expect(404, "LogStoreNotExist");
    }
    assert_eq!(get(&server, "/logstores")["total"], 2);
}

#[test]
fn shards_share_all_keys() {
    let server = Server::start();
    create(
        &server,
        r#"{"logstoreName": "three", "ttl": 3650, "shardCount": 3}"#,
    )
    .ok();
    let shards = get(&server, "/logstores/three/shards");
    let shards = shards.as_array().unwrap();
    let ids: Vec<i64> = shards
        .iter()
        .map(|shard| shard["shardID"].as_i64().unwrap())
        .collect();
    assert_eq!(ids, [0, 1, 2]);
    assert_eq!(shards[0]["inclusiveBeginKey"], "0".repeat(32));
    assert_eq!(shards[2]["exclusiveEndKey"], "f".repeat(32));
    for pair in shards.windows(2) {
        assert_eq!(pair[0]["exclusiveEndKey"], pair[1]["inclusiveBeginKey"]);
        assert_eq!(pair[0]["status"], "readwrite");
    }
}

#[test]
fn a_logstore_is_made_once_and_only_by_the_rules() {
    let server = Server::start();
    let check = |body: &str, code: &str| {
        create(&server, body).expect(400, code);
    };
    create(
        &server,
        r#"{"logstoreName": "made", "ttl": 30, "shardCount": 4, "autoSplit": false}"#,
    )
    .ok();
    assert_eq!(get(&server, "/logstores/made")["shardCount"], 4);
    check(
        r#"{"logstoreName": "made", "ttl": 30, "shardCount": 4}"#,
        "LogStoreAlreadyExist",
    );
    for body in [
        "",
        "no json",
        "[]",
        r#"{"logstoreName": "x", "ttl": 1, "shardCount": 1}"#,
        r#"{"logstoreName": "../etc", "ttl": 1, "shardCount": 1}"#,
        r#"{"logstoreName": "more", "ttl": 0, "shardCount": 1}"#,
        r#"{"logstoreName": "more", "ttl": 3651, "shardCount": 1}"#,
        r#"{"logstoreName": "more", "ttl": 1, "shardCount": 0}"#,
        r#"{"logstoreName": "more", "ttl": 1, "shardCount": 101}"#,
        r#"{"logstoreName": "more", "ttl": 1, "shardCount": -1}"#,
        r#"{"logstoreName": "more", "ttl": 1}"#,
    ] {
        check(body, "LogStoreInfoInvalid");
    }
    for name in ["wide-1", "wide-2", "wide-3"] {
        create(
            &server,
            &format!(r#"{{"logstoreName": "{name}", "ttl": 1, "shardCount": 100}}"#),
        )
        .ok();
    }
    check(
        r#"{"logstoreName": "wide-4", "ttl": 1, "shardCount": 100}"#,
        "ProjectQuotaExceed",
    );
}

#[test]
fn many_requests_go_over_one_connection() {
    let server = Server::start();
    let mut stream = connect(server.address);
    for number in 0..20 {
        let put = Request::put("/logstores/logstore-1", &encoded(&number.to_string()));
        stream
            .write_all(&put.signed(Version::V4, ALL).bytes())
            .unwrap();
        Reply::read(&mut stream).ok();
        let refused = Request::put("/logstores/missing-1", &encoded("x")).signed(Version::V1, ALL);
        stream.write_all(&refused.bytes()).unwrap();
        Reply::read(&mut stream).expect(404, "LogStoreNotExist");
    }
    assert_eq!(server.stored_count(), 20);
}

#[test]
fn https_is_served_with_a_certificate() {
    use rustls::pki_types::{PrivateKeyDer, ServerName};
    use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
    use std::collections::HashMap;
    use std::sync::Arc;

    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let private = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(sluice::server::tls::provider());
    let certificate = made.cert.der().clone();
    let certified =
        rustls::sign::CertifiedKey::from_der(vec![certificate.clone()], private, &provider)
            .unwrap();
    let tls = sluice::server::tls::server_config(sluice::server::tls::Certificates {
        default: Arc::new(certified),
        by_name: HashMap::new(),
        strict: false,
    });
    let server = Server::start_with(Settings {
        tls: Some(tls.unwrap()),
        ..Settings::default()
    });

    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, connect(server.address));
    let put = Request::put("/logstores/logstore-1", &encoded("over TLS"));
    stream
        .write_all(&put.signed(Version::V4, ALL).bytes())
        .unwrap();
    Reply::read(&mut stream).ok();
    assert_eq!(server.stored_count(), 1);
}
