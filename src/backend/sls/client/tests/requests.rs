//! What is sent: lines, headers, signatures, bodies.

use super::server::{Received, answer, ok};
use super::*;
use crate::logs::Digest;
use crate::signature::{self, Request, parse_compact_date, parse_http_date, v1, v4};

/// The secret's holder checks the signature over what arrived.
fn verified(request: &Received, check: impl Fn(&Request<'_>, &str) -> bool) -> bool {
    let (target, _) = request.line.rsplit_once(' ').unwrap();
    let (method, target) = target.split_once(' ').unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query: Vec<_> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .collect();
    let headers = request.headers.iter();
    let headers: Vec<_> = headers
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let received = Request {
        method,
        path,
        query: &query,
        headers: &headers,
    };
    check(&received, request.header("authorization").unwrap())
}

fn verified_v1(request: &Received) -> bool {
    verified(request, |received, authorization| {
        let authorization = v1::Authorization::parse(authorization).unwrap();
        authorization.id == ID && authorization.verify(&Secret::new(SECRET), received)
    })
}

fn verified_v4(request: &Received, region: &str) -> bool {
    verified(request, |received, authorization| {
        let authorization = v4::Authorization::parse(authorization).unwrap();
        let key = v4::SigningKey::derive(&Secret::new(SECRET), authorization.day, region);
        authorization.id == ID && authorization.verify(&key, received)
    })
}

fn names(request: &Received) -> Vec<&str> {
    let mut names: Vec<_> = request
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    names.sort_unstable();
    names
}

fn check(request: &Received, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(request.header(name), Some(*value), "{name}");
    }
}

fn is_now(unix_s: Option<i64>) -> bool {
    unix_s.is_some_and(|unix_s| unix_s.abs_diff(clock::local_s()) < 60)
}

#[tokio::test]
async fn a_write_of_version_1_has_these_headers_and_no_other() {
    let server = Server::plain([ok()]).await;
    put(&client(&server)).await.unwrap();
    let request = server.request();
    assert_eq!(
        request.line,
        "POST /logstores/test-logstore-1/shards/lb HTTP/1.1"
    );
    assert_eq!(request.body, b"compressed");
    let expected = [
        ("content-length", "10"),
        ("content-md5", &signature::md5_hex_upper(b"compressed")),
        ("content-type", "application/x-protobuf"),
        ("host", "test-project-1.log.example.com"),
        ("x-log-apiversion", "0.6.0"),
        ("x-log-bodyrawsize", "165"),
        ("x-log-compresstype", "lz4"),
        ("x-log-signaturemethod", "hmac-sha1"),
    ];
    check(&request, &expected);
    let mut known: Vec<_> = expected.iter().map(|(name, _)| *name).collect();
    known.extend(["accept", "authorization", "date", "user-agent"]);
    known.sort_unstable();
    assert_eq!(names(&request), known);
    assert!(is_now(parse_http_date(request.header("date").unwrap())));
    assert!(verified_v1(&request));
}

#[tokio::test]
async fn a_write_of_version_4_has_these_headers_and_no_other() {
    let server = Server::plain([ok()]).await;
    let client = Client::new(&Settings {
        signature: SignatureVersion::V4,
        compression: Compression::Zstd,
        ..settings(endpoint(
            "http://cn-hangzhou-intranet.log.aliyuncs.com:8080",
            &server,
        ))
    })
    .unwrap();
    put(&client).await.unwrap();
    let request = server.request();
    let expected = [
        ("content-length", "10"),
        ("content-type", "application/x-protobuf"),
        (
            "host",
            "test-project-1.cn-hangzhou-intranet.log.aliyuncs.com:8080",
        ),
        ("x-log-apiversion", "0.6.0"),
        ("x-log-bodyrawsize", "165"),
        ("x-log-compresstype", "zstd"),
        (
            "x-log-content-sha256",
            &signature::sha256_hex(b"compressed"),
        ),
    ];
    check(&request, &expected);
    let mut known: Vec<_> = expected.iter().map(|(name, _)| *name).collect();
    known.extend(["accept", "authorization", "user-agent", "x-log-date"]);
    known.sort_unstable();
    assert_eq!(names(&request), known);
    assert!(is_now(parse_compact_date(
        request.header("x-log-date").unwrap()
    )));
    assert!(verified_v4(&request, "cn-hangzhou"));
}

#[tokio::test]
async fn a_key_addresses_the_shard_that_holds_it() {
    let server = Server::plain([ok(), ok()]).await;
    let plain = client(&server);
    send(
        &plain,
        &plain.payload(&group()),
        Target::Key(0x14d2_f850),
        TIMEOUT,
    )
    .await
    .unwrap();
    let client = Client::new(&Settings {
        signature: SignatureVersion::V4,
        ..settings(endpoint("http://eu.example.com", &server))
    })
    .unwrap();
    send(
        &client,
        &client.payload(&group()),
        Target::Key(u128::MAX),
        TIMEOUT,
    )
    .await
    .unwrap();
    let [first, second] = &server.received()[..] else {
        panic!("two requests");
    };
    let path = "POST /logstores/test-logstore-1/shards/route?key=";
    assert_eq!(
        first.line,
        format!("{path}00000000000000000000000014d2f850 HTTP/1.1")
    );
    assert_eq!(
        second.line,
        format!("{path}ffffffffffffffffffffffffffffffff HTTP/1.1")
    );
    assert!(verified_v1(first));
    assert!(verified_v4(second, "eu"));
}

#[tokio::test]
async fn a_temporary_keys_token_is_sent_and_signed() {
    for signature in [SignatureVersion::V1, SignatureVersion::V4] {
        let server = Server::plain([ok()]).await;
        let client = Client::new(&Settings {
            signature,
            ..settings(endpoint("http://eu.example.com", &server))
        })
        .unwrap();
        let token = "FAKE/STS+TOKEN=for-tests-only==";
        let tenant = with_credentials(ID, Some(token));
        client.get_project(&tenant).await.unwrap();
        let mut request = server.request();
        assert_eq!(request.header("x-acs-security-token"), Some(token));
        let verified = |request: &Received| match signature {
            SignatureVersion::V1 => verified_v1(request),
            SignatureVersion::V4 => verified_v4(request, "eu"),
        };
        assert!(verified(&request));
        request
            .headers
            .retain(|(name, _)| name != "x-acs-security-token");
        assert!(!verified(&request));
    }
}

#[tokio::test]
async fn questions_have_no_body_and_are_signed_too() {
    let shards = r#"[{"shardID":3,"status":"readwrite","inclusiveBeginKey":"80000000000000000000000000000000"}]"#;
    let server = Server::plain([ok(), answer(200, "", shards)]).await;
    let client = client(&server);
    client.get_project(&tenant()).await.unwrap();
    let found = client.list_shards(&tenant(), &logstore()).await.unwrap();
    assert_eq!((found[0].id, found[0].begin_key), (3, 1 << 127));
    let received = server.received();
    let lines: Vec<_> = received
        .iter()
        .map(|request| request.line.as_str())
        .collect();
    assert_eq!(
        lines,
        [
            "GET / HTTP/1.1",
            "GET /logstores/test-logstore-1/shards HTTP/1.1"
        ]
    );
    for request in &received {
        check(
            request,
            &[("x-log-bodyrawsize", "0"), ("content-length", "0")],
        );
        for absent in ["content-type", "content-md5", "x-log-compresstype"] {
            assert_eq!(request.header(absent), None);
        }
        assert!(verified_v1(request));
    }
}

#[tokio::test]
async fn calls_share_a_connection_and_a_body_can_be_sent_again() {
    let server = Server::plain([ok(), ok()]).await;
    let client = client(&server);
    let payload = client.payload(&group());
    for _ in 0..2 {
        send(&client, &payload, Target::AnyShard, TIMEOUT)
            .await
            .unwrap();
    }
    let received = server.received();
    assert_eq!(received[0].body, received[1].body);
    assert_eq!((received[0].connection, received[1].connection), (0, 0));
}

#[tokio::test]
async fn a_digest_that_the_group_has_is_taken_where_it_is_of_the_right_kind() {
    let told = Digest::Md5([0xab; 16]);
    for (digest, md5) in [
        (Some(told), "AB".repeat(16)),
        (None, signature::md5_hex_upper(b"compressed")),
        (
            Some(Digest::Sha256([0xab; 32])),
            signature::md5_hex_upper(b"compressed"),
        ),
    ] {
        let server = Server::plain([ok()]).await;
        let client = client(&server);
        let payload = client.payload(&LogGroup { digest, ..group() });
        send(&client, &payload, Target::AnyShard, TIMEOUT)
            .await
            .unwrap();
        assert_eq!(server.request().header("content-md5"), Some(&*md5));
    }
}

#[tokio::test]
async fn a_key_with_bytes_that_no_header_takes_is_refused_and_nothing_is_sent() {
    let server = Server::plain([]).await;
    let client = client(&server);
    for (id, token, kind) in [
        ("id\r\nx-log-more: 1", None, Kind::InvalidAccessKeyId),
        ("schlüssel", None, Kind::InvalidAccessKeyId),
        (ID, Some("token\n"), Kind::Unauthorized),
    ] {
        let error = client
            .get_project(&with_credentials(id, token))
            .await
            .unwrap_err();
        assert_eq!((error.kind, error.may_be_stored()), (kind, false), "{id}");
    }
    assert!(server.received().is_empty());
}

#[test]
fn secrets_do_not_show_where_headers_are_printed() {
    let tenant = with_credentials(ID, Some("hush-token"));
    let endpoint = Endpoint::parse("r", "https://log.example.com").unwrap();
    let call = Call::get_project();
    let version = SignatureVersion::V1;
    let headers = signed::headers(&call, version, &endpoint, "h", &tenant.credentials, 0).unwrap();
    let printed = format!("{headers:?}");
    assert!(printed.contains("x-log-apiversion"), "{printed}");
    assert!(
        !printed.contains("hush") && !printed.contains(ID),
        "{printed}"
    );
}

#[tokio::test]
async fn a_region_without_endpoint_is_no_reason_to_refuse_a_key() {
    let server = Server::plain([]).await;
    let elsewhere = Tenant {
        region: "elsewhere".into(),
        ..tenant()
    };
    let error = client(&server).get_project(&elsewhere).await.unwrap_err();
    assert_eq!(error.kind, Kind::OurFault);
}
