//! Requests that are not what somebody with the key sent now.

use crate::support::group::encoded;
use crate::support::request::{Key, Request, VERSIONS, Version, exchange};
use crate::support::{ALL, LOGSTORE, OTHER, OTHER_PROJECT, PROJECT, REGION, Server, now_s};
use sluice::signature::{md5_hex_upper, sha256_hex};

const PUT: &str = "/logstores/logstore-1/shards/lb";

fn put(version: Version) -> Request {
    Request::put(PUT, &encoded("hello")).signed(version, ALL)
}

#[test]
fn a_wrong_secret_and_an_unknown_id_are_told_apart_and_store_nothing() {
    let server = Server::start();
    let wrong = Key {
        secret: "the-secreT",
        ..ALL
    };
    let unknown = Key {
        id: "nobody",
        ..ALL
    };
    for version in VERSIONS {
        let request = |key| Request::put(PUT, &encoded("hello")).signed(version, key);
        server
            .send(&request(wrong))
            .expect(401, "SignatureNotMatch");
        server.send(&request(unknown)).expect(401, "Unauthorized");
        server.send(&request(ALL)).ok();
    }
    assert_eq!(server.stored_count(), 2);
}

#[test]
fn a_request_of_another_time_is_refused() {
    let server = Server::start();
    for version in VERSIONS {
        let at = |offset| {
            let request = Request::put(PUT, &encoded("hello"));
            server.send(&request.signed_at(version, ALL, now_s() + offset))
        };
        at(-905).expect(400, "RequestTimeExpired");
        at(905).expect(400, "RequestTimeExpired");
        at(-880).ok();
        at(880).ok();
    }
    assert_eq!(server.stored_count(), 4);
}

#[test]
fn a_new_date_on_an_old_request_does_not_bring_it_back() {
    let server = Server::start();
    let old = now_s() - 7200;
    let now = put(Version::V1);
    let date = now.headers.iter().find(|(name, _)| name == "Date").unwrap();
    let captured = Request::put(PUT, &encoded("hello")).signed_at(Version::V1, ALL, old);
    let renewed = captured.clone().with("Date", &date.1);
    server.send(&renewed).expect(401, "SignatureNotMatch");
    let renewed = captured.with("x-log-date", &date.1);
    server.send(&renewed).expect(401, "SignatureNotMatch");

    let now = put(Version::V4);
    let date = now
        .headers
        .iter()
        .find(|(name, _)| name == "x-log-date")
        .unwrap();
    let captured = Request::put(PUT, &encoded("hello")).signed_at(Version::V4, ALL, old);
    let renewed = captured.with("x-log-date", &date.1);
    server.send(&renewed).expect(401, "SignatureNotMatch");
    assert_eq!(server.stored_count(), 0);
}

#[test]
fn a_body_swapped_under_a_good_signature_is_not_stored() {
    let server = Server::start();
    for version in VERSIONS {
        let mut swapped = put(version);
        swapped.body = encoded("jello");
        server.send(&swapped).expect(401, "SignatureNotMatch");
        let rehashed = match version {
            Version::V1 => swapped
                .clone()
                .with("Content-MD5", &md5_hex_upper(&swapped.body)),
            Version::V4 => swapped
                .clone()
                .with("x-log-content-sha256", &sha256_hex(&swapped.body)),
        };
        server.send(&rehashed).expect(401, "SignatureNotMatch");
    }
    assert_eq!(server.stored_count(), 0);
}

#[test]
fn a_signature_without_the_bodys_hash_is_refused() {
    let server = Server::start();
    let unhashed = put(Version::V1)
        .without("Content-MD5")
        .sign(Version::V1, ALL, REGION);
    server.send(&unhashed).expect(401, "SignatureNotMatch");
    let unhashed = put(Version::V4).without("x-log-content-sha256");
    // Version 4 does not sign this one, so it proves nothing.
    let md5 = unhashed
        .clone()
        .with("Content-MD5", &md5_hex_upper(&unhashed.body));
    for request in [unhashed, md5] {
        let request = request.sign(Version::V4, ALL, REGION);
        server.send(&request).expect(401, "SignatureNotMatch");
    }
    assert_eq!(server.stored_count(), 0);
}

#[test]
fn headers_added_changed_or_taken_away_break_the_signature() {
    let server = Server::start();
    for version in VERSIONS {
        for (name, value) in [
            ("x-log-compresstype", "lz4"),
            ("x-log-project", OTHER_PROJECT),
            ("x-log-anything", "x"),
            ("x-acs-anything", "x"),
            ("x-log-bodyrawsize", "1"),
            ("Content-Type", "application/json"),
        ] {
            let request = put(version).with(name, value);
            let (status, code) = server.send(&request).outcome();
            assert_eq!(status, 401, "{version:?} {name} {code}");
        }
        let request = put(version).without("x-log-bodyrawsize");
        server.send(&request).expect(401, "SignatureNotMatch");
        let mut doubled = put(version);
        doubled
            .headers
            .push(("X-Log-Bodyrawsize".into(), "1".into()));
        server.send(&doubled).expect(400, "ParameterInvalid");
    }
    assert_eq!(server.stored_count(), 0);
}

#[test]
fn method_path_and_query_are_signed() {
    let server = Server::start();
    for version in VERSIONS {
        let mut other = put(version);
        other.path = "/logstores/narrow-1/shards/lb".into();
        server.send(&other).expect(401, "SignatureNotMatch");
        let mut other = put(version);
        other.query.push(("key".into(), "00".into()));
        server.send(&other).expect(401, "SignatureNotMatch");
        let mut other = put(version);
        other.method = "PUT";
        server.send(&other).expect(401, "SignatureNotMatch");
        let encoded = put(version).head_for("/logstores/logstore%2D1/shards/lb");
        let bytes = [encoded, put(version).body].concat();
        exchange(server.address, &bytes).expect(401, "SignatureNotMatch");
    }
    assert_eq!(server.stored_count(), 0);
}

#[test]
fn a_key_is_good_in_its_own_project_only() {
    let server = Server::start();
    for version in VERSIONS {
        let to = |project: &str, key| {
            let request = Request::put(PUT, &encoded("hello"));
            let request = request.with("Host", &format!("{project}.example.com"));
            server.send(&request.signed(version, key))
        };
        to(OTHER_PROJECT, OTHER).ok();
        to(PROJECT, OTHER).expect(401, "Unauthorized");
        // Both projects have a key of this id, with a secret each.
        to(OTHER_PROJECT, ALL).expect(401, "SignatureNotMatch");
        to("project-3", ALL).expect(404, "ProjectNotExist");
    }
    assert_eq!(server.stored_count(), 0);
}

#[test]
fn the_host_is_signed_in_version_4_as_it_was_received() {
    let server = Server::start();
    let moved = put(Version::V4).with("Host", &format!("{PROJECT}.elsewhere.com"));
    server.send(&moved).expect(401, "SignatureNotMatch");
    let port = Request::put(PUT, &encoded("hello")).with("Host", "project-1.example.com:8080");
    server.send(&port.signed(Version::V4, ALL)).ok();
    let named = Request::put(PUT, &encoded("hello"))
        .with("Host", "custom.example.com")
        .with("x-log-project", PROJECT);
    for version in VERSIONS {
        server.send(&named.clone().signed(version, ALL)).ok();
    }
}

#[test]
fn a_target_in_absolute_form_is_served_where_it_names_the_signed_host() {
    let server = Server::start();
    let request = put(Version::V4);
    let send = |target: &str| {
        exchange(
            server.address,
            &[request.head_for(target), request.body.clone()].concat(),
        )
    };
    send(&format!("http://project-1.example.com:80{PUT}")).ok();
    send(&format!("http://project-2.example.com{PUT}")).expect(400, "InvalidHost");
}

#[test]
fn another_region_day_or_token_is_refused() {
    let server = Server::start();
    let request = put(Version::V4).sign(Version::V4, ALL, "cn-hangzhou");
    let reply = server.send(&request).expect(401, "SignatureNotMatch");
    assert!(reply.message().contains("region"), "{}", reply.message());
    let token = Request::put(PUT, &encoded("hello")).with("x-acs-security-token", "token");
    for version in VERSIONS {
        let request = token.clone().signed(version, ALL);
        server.send(&request).expect(401, "Unauthorized");
    }
    let day = put(Version::V4);
    let authorization = day.headers.iter().find(|(name, _)| name == "Authorization");
    let other_day = authorization.unwrap().1.replacen("/20", "/19", 1);
    server
        .send(&day.with("Authorization", &other_day))
        .expect(401, "SignatureNotMatch");
}

#[test]
fn what_is_missing_is_named() {
    let server = Server::start();
    let v1 = |name: &str| put(Version::V1).without(name);
    let check = |request: Request, status, code: &str| {
        let found = server.send(&request).outcome();
        assert_eq!(found, (status, code.to_owned()));
    };
    check(v1("Host"), 400, "MissingHost");
    check(v1("Authorization"), 400, "MissAccessKeyId");
    check(v1("Date"), 400, "MissingDate");
    check(v1("x-log-apiversion"), 400, "MissingAPIVersion");
    check(v1("x-log-signaturemethod"), 400, "MissingSignatureMethod");
    check(
        v1("x").with("x-log-apiversion", "0.4.0"),
        400,
        "InvalidAPIVersion",
    );
    check(
        v1("x").with("x-log-signaturemethod", "md5"),
        400,
        "InvalidSignatureMethod",
    );
    check(v1("x").with("Date", "yesterday"), 400, "InvalidDateFormat");
    check(
        v1("x").with("Authorization", "Basic eDp5"),
        401,
        "Unauthorized",
    );
    check(put(Version::V4).without("x-log-date"), 400, "MissingDate");
    check(
        put(Version::V4).with("x-log-signaturemethod", "hmac-sha1"),
        400,
        "InvalidSignatureMethod",
    );
    let resigned = |request: Request| request.signed(Version::V1, ALL);
    check(resigned(v1("x-log-bodyrawsize")), 400, "MissingBodyRawSize");
    check(resigned(v1("Content-Type")), 400, "MissingContentType");
    check(
        resigned(v1("x").with("Content-Type", "text/plain")),
        415,
        "InvalidContentType",
    );
    check(
        resigned(v1("x").with("x-log-compresstype", "gzip")),
        400,
        "InvalidCompressType",
    );
    check(
        resigned(v1("x").with("x-log-bodyrawsize", "many")),
        400,
        "InvalidBodyRawSize",
    );
    assert_eq!(server.stored_count(), 0);
}

#[test]
fn a_page_in_a_browser_gets_nothing() {
    let server = Server::start();
    for name in ["Origin", "Accept-Language", "Sec-Fetch-Site"] {
        let request = put(Version::V1).with(name, "x");
        server.send(&request).expect(401, "Unauthorized");
    }
    let preflight = Request::new("OPTIONS", PUT, &[]).with("Origin", "https://example.com");
    let reply = server.send(&preflight).expect(401, "Unauthorized");
    assert_eq!(reply.header("access-control-allow-origin"), None);
    assert_eq!(server.stored_count(), 0);
}

#[test]
fn no_path_leads_elsewhere() {
    let server = Server::start();
    for path in [
        "/logstores/../logstores/logstore-1",
        "/logstores/./logstore-1/x",
        "//logstores",
        "/logstores/",
        "/logstores//shards",
        "/logstores/logstore-1/shards/0/x/y",
        "/logstores/logstore-1/shards/lb/",
        "/Logstores",
        "/logstores/logstore-1;x=y",
        "/logstores/..%2F..%2Fetc",
        "/favicon.ico",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let request = Request::new(method, path, &[]).signed(Version::V1, ALL);
            let (status, code) = server.send(&request).outcome();
            let is_refused =
                ["NotSupported", "LogStoreNotExist", "ParameterInvalid"].contains(&code.as_str());
            assert!(
                is_refused && status < 500,
                "{method} {path} {status} {code}"
            );
        }
    }
    server
        .send(&Request::get(ALL, &format!("/logstores/{LOGSTORE}")))
        .ok();
}

#[test]
fn a_secret_reaches_no_answer() {
    let server = Server::start();
    for request in [
        put(Version::V1).with("x-log-a", "b"),
        Request::get(ALL, "/"),
        Request::get(ALL, "/x"),
    ] {
        let reply = server.send(&request);
        let text = format!("{reply:?}{}", String::from_utf8_lossy(&reply.body));
        assert!(!text.contains(ALL.secret), "{text}");
    }
}
