//! Against the vectors in tests/data, made by the official Python SDK, and against the official Rust signing crate.

use aliyun_log_sdk_sign::{QueryParams, sign_v1};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::tenant::Secret;

const VECTORS: &str = include_str!("../../tests/data/sls-signature-vectors.json");
/// Thu, 02 Jan 2025 03:04:05 GMT.
const NOW: i64 = 1_735_787_045;

fn vectors(version: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(VECTORS).unwrap();
    let all = all["vectors"].as_array().unwrap().iter();
    let found: Vec<Value> = all
        .filter(|one| one["version"] == version)
        .cloned()
        .collect();
    assert_eq!(found.len(), 11);
    found
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn pairs(object: &Value) -> Vec<(&str, &str)> {
    let pairs = object.as_object().unwrap().iter();
    pairs
        .map(|(name, value)| (name.as_str(), text(value)))
        .collect()
}

/// Calls with the request of a vector, its id, its secret and what is expected.
fn each(version: &str, check: impl Fn(&Request<'_>, &str, &Secret, &Value, &Value)) {
    for vector in vectors(version) {
        let (input, expected) = (&vector["input"], &vector["expected"]);
        let request = Request {
            method: text(&input["method"]),
            path: text(&input["path"]),
            query: &pairs(&input["query"]),
            headers: &pairs(&input["headers"]),
        };
        let secret = Secret::new(text(&input["access_key_secret"]));
        let id = text(&input["access_key_id"]);
        check(&request, id, &secret, input, expected);
    }
}

fn body(input: &Value) -> Vec<u8> {
    let digits = text(&input["body_hex"]).as_bytes().chunks(2);
    let pair = |pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.map(pair).collect()
}

#[test]
fn version_1_signs_as_the_official_sdk() {
    each("v1", |request, id, secret, _, expected| {
        let string = text(&expected["string_to_sign"]);
        assert_eq!(v1::string_to_sign(request), string);
        let signed = v1::authorization(id, secret, request);
        assert_eq!(signed, text(&expected["authorization"]));
        let parsed = v1::Authorization::parse(&signed).unwrap();
        assert_eq!(parsed.id, id);
        assert!(parsed.verify(secret, request));
        assert!(!parsed.verify(&Secret::new("another"), request));
    });
}

#[test]
fn version_4_signs_as_the_official_sdk() {
    each("v4", |request, id, secret, input, expected| {
        let region = text(&input["region"]);
        let canonical = text(&expected["canonical_request"]);
        assert_eq!(v4::canonical_request(request), canonical);
        let key = v4::SigningKey::derive(secret, v4::day_of(request), region);
        let string = text(&expected["string_to_sign"]);
        assert_eq!(key.string_to_sign(request), string);
        let signed = v4::authorization(id, secret, region, request);
        assert_eq!(signed, text(&expected["authorization"]));
        let parsed = v4::Authorization::parse(&signed).unwrap();
        assert_eq!((parsed.id, parsed.region), (id, region));
        assert!(parsed.verify(&key, request));
        let other = v4::SigningKey::derive(&Secret::new("another"), parsed.day, region);
        assert!(!parsed.verify(&other, request));
        let elsewhere = v4::SigningKey::derive(secret, parsed.day, "cn-beijing");
        assert!(!parsed.verify(&elsewhere, request));
    });
}

#[test]
fn the_hashes_and_dates_are_those_of_the_vectors() {
    for version in ["v1", "v4"] {
        each(version, |_, _, _, input, expected| {
            let body = body(input);
            assert_eq!(sha256_hex(&body), text(&expected["content_sha256"]));
            if let Some(md5) = expected["content_md5"].as_str() {
                assert_eq!(md5_hex_upper(&body), md5);
            }
            let date = match version {
                "v1" => http_date(NOW),
                _ => compact_date(NOW),
            };
            assert_eq!(date, text(&input["date"]));
        });
    }
}

#[test]
fn the_query_on_the_wire_is_that_of_the_vectors() {
    each("v1", |request, _, _, input, _| {
        let wire = text(&input["query_string_on_the_wire"]);
        assert_eq!(query_string(request.query), wire);
    });
}

#[test]
fn a_change_anywhere_breaks_the_signature() {
    let headers = [
        ("Date", "Thu, 02 Jan 2025 03:04:05 GMT"),
        ("Host", "p.example.com"),
        ("Content-MD5", "00"),
        ("Content-Type", "application/json"),
        ("x-log-date", "20250102T030405Z"),
        ("x-log-content-sha256", "00"),
    ];
    let query = [("key", "00")];
    let request = Request {
        method: "POST",
        path: "/logstores/a",
        query: &query,
        headers: &headers,
    };
    let secret = Secret::new("secret");
    let v1_signed = v1::authorization("id", &secret, &request);
    let v4_signed = v4::authorization("id", &secret, "r", &request);
    let key = v4::SigningKey::derive(&secret, "20250102", "r");
    let both = |changed: &Request<'_>| {
        let v1 = v1::Authorization::parse(&v1_signed).unwrap();
        let v4 = v4::Authorization::parse(&v4_signed).unwrap();
        (v1.verify(&secret, changed), v4.verify(&key, changed))
    };
    assert_eq!(both(&request), (true, true));
    let method = Request {
        method: "PUT",
        ..request
    };
    assert_eq!(both(&method), (false, false));
    let path = Request {
        path: "/logstores/b",
        ..request
    };
    assert_eq!(both(&path), (false, false));
    let query = Request {
        query: &[("key", "01")],
        ..request
    };
    assert_eq!(both(&query), (false, false));
    for (index, signed) in [
        (1, (true, false)),
        (2, (false, true)),
        (3, (false, false)),
        (4, (false, false)),
        (5, (false, false)),
    ] {
        let mut headers = headers;
        headers[index].1 = "other";
        assert_eq!(
            both(&Request {
                headers: &headers,
                ..request
            }),
            signed,
            "{index}"
        );
    }
    let mut more = headers.to_vec();
    more.push(("X-Log-Compresstype", "lz4"));
    assert_eq!(
        both(&Request {
            headers: &more,
            ..request
        }),
        (false, false)
    );
    more[6] = ("x-other", "free");
    assert_eq!(
        both(&Request {
            headers: &more,
            ..request
        }),
        (true, true)
    );
}

#[test]
fn a_malformed_authorization_is_none() {
    for bad in [
        "",
        "LOG",
        "LOG ",
        "LOG id",
        "LOG :sig",
        "LOG id:",
        "log id:sig",
        "Basic id:sig",
        "SLS4-HMAC-SHA256 Credential=id/20250102/r/sls/aliyun_v4_request",
        "SLS4-HMAC-SHA256 Credential=id/20250102/r/oss/aliyun_v4_request,Signature=00",
        "SLS4-HMAC-SHA256 Credential=id/2025/r/sls/aliyun_v4_request,Signature=00",
        "SLS4-HMAC-SHA256 Credential=/20250102/r/sls/aliyun_v4_request,Signature=00",
        "SLS4-HMAC-SHA256 Credential=id/20250102//sls/aliyun_v4_request,Signature=00",
        "SLS4-HMAC-SHA256 id,Signature=00",
    ] {
        assert_eq!(v1::Authorization::parse(bad), None, "{bad}");
        assert_eq!(v4::Authorization::parse(bad), None, "{bad}");
    }
}

#[test]
fn dates_are_read_back_and_other_texts_are_none() {
    for (unix_s, http, compact) in [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT", "19700101T000000Z"),
        (NOW, "Thu, 02 Jan 2025 03:04:05 GMT", "20250102T030405Z"),
        (
            951_782_400,
            "Tue, 29 Feb 2000 00:00:00 GMT",
            "20000229T000000Z",
        ),
    ] {
        assert_eq!(http_date(unix_s), http);
        assert_eq!(compact_date(unix_s), compact);
        assert_eq!(parse_http_date(http), Some(unix_s));
        assert_eq!(parse_compact_date(compact), Some(unix_s));
    }
    assert_eq!(compact_date(i64::MAX), "99991231T235959Z");
    assert_eq!(http_date(i64::MIN), http_date(0));
    for bad in [
        "",
        "Thu, 2 Jan 2025 03:04:05 GMT",
        "Thu, 02 Jan 2025 03:04:05 UTC",
        "Thu, 32 Jan 2025 03:04:05 GMT",
        "20250102T030405",
        "20251302T030405Z",
        "+2025102T030405Z",
        "20250102 030405Z",
        "2025010ä030405Z",
    ] {
        assert_eq!(parse_http_date(bad), None, "{bad}");
        assert_eq!(parse_compact_date(bad), None, "{bad}");
    }
}

/// Names as the Log Service's headers have them.
fn header_name() -> impl Strategy<Value = String> {
    prop_oneof![
        "x-log-[a-z]{1,12}".prop_filter("is added after signing", |name| name != LOG_DATE),
        "x-acs-[a-z]{1,12}",
        "[a-w][a-z]{2,8}".prop_filter("set by the signer", |name| name != "date"),
        Just("content-type".to_owned()),
    ]
}

proptest! {
    #[test]
    fn version_1_agrees_with_the_official_crate(
        method in prop_oneof![Just(Method::GET), Just(Method::POST), Just(Method::DELETE)],
        path in "/[a-z0-9/_-]{0,40}",
        id in "[A-Za-z0-9]{1,24}",
        secret in "[ -~]{1,90}",
        token in prop::option::of("[A-Za-z0-9+/=]{1,60}"),
        query in prop::collection::btree_map("[a-zA-Z]{1,8}", "\\PC{0,20}", 0..5),
        headers in prop::collection::btree_map(header_name(), "[!-~]([ -~]{0,20}[!-~])?", 0..6),
        body in prop::option::of(prop::collection::vec(any::<u8>(), 0..200)),
    ) {
        let mut sent = HeaderMap::new();
        for (name, value) in &headers {
            let name: HeaderName = name.parse().unwrap();
            sent.insert(name, HeaderValue::from_str(value).unwrap());
        }
        let params = QueryParams::from(query.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let theirs = sign_v1(
            &id, &secret, token.as_deref(), method.clone(), &path, &mut sent, params, body.as_deref(),
        ).unwrap();
        let headers: Vec<(&str, &str)> =
            sent.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        let query: Vec<(&str, &str)> =
            query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let request = Request { method: method.as_str(), path: &path, query: &query, headers: &headers };
        let secret = Secret::new(secret);
        prop_assert_eq!(&v1::authorization(&id, &secret, &request), &theirs);
        prop_assert!(v1::Authorization::parse(&theirs).unwrap().verify(&secret, &request));
        if let Some(body) = body.filter(|body| !body.is_empty()) {
            let md5 = md5_hex_upper(&body);
            prop_assert_eq!(request.header(CONTENT_MD5), Some(md5.as_str()));
        }
    }

    #[test]
    fn no_header_text_panics_the_readers(text in "\\PC{0,80}") {
        let _ = v1::Authorization::parse(&text);
        let _ = v4::Authorization::parse(&text);
        let _ = v4::Authorization::parse(&format!("SLS4-HMAC-SHA256 Credential={text}"));
        let _ = parse_http_date(&text);
        let _ = parse_compact_date(&text);
    }

    #[test]
    fn every_date_is_read_back(unix_s in 0..253_402_300_799_i64) {
        prop_assert_eq!(parse_http_date(&http_date(unix_s)), Some(unix_s));
        prop_assert_eq!(parse_compact_date(&compact_date(unix_s)), Some(unix_s));
    }
}
