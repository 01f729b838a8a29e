//! ApiVersions, and what is not served: versions and APIs.

use super::Produce;
use crate::dialogue::{Probe, Step, authenticate, good_token, handshake};
use crate::probes::metadata;
use crate::request::Request;
use crate::schemas::{API_VERSIONS, INIT_PRODUCER_ID, LIST_OFFSETS, UNKNOWN};
use crate::sets;

pub fn probes() -> Vec<Probe> {
    [asked(), odd(), unserved()].concat()
}

/// As clients ask.
pub fn api_versions(version: i16) -> Request {
    Request::new(API_VERSIONS, version).when(version >= 3, |request| {
        request.text("test").text("1.0").tags()
    })
}

fn asked() -> Vec<Probe> {
    let mut probes = Vec::new();
    for version in [0, 1, 2, 3, 4, 5, 99, -1] {
        let request = api_versions(version);
        let before = vec![
            Step::Ask(request.clone()),
            Step::Ask(handshake(1, "PLAIN")),
            Step::Ask(authenticate(1, &good_token())),
        ];
        probes.push(
            Probe::new(format!("ApiVersions v{version}, before the login"), before).unknown(),
        );
        probes.push(Probe::ask(format!("ApiVersions v{version}"), request));
    }
    probes
}

fn odd() -> Vec<Probe> {
    let request = || Request::new(API_VERSIONS, 3);
    let tag = b"\x01\x07\x02ab";
    vec![
        Probe::ask(
            "ApiVersions v3, a software name with blanks",
            request().text("a b").text("1").tags(),
        ),
        Probe::ask(
            "ApiVersions v3, an empty software name",
            request().text("").text("").tags(),
        ),
        Probe::ask(
            "ApiVersions v3, no software name",
            request().nullable_text(None).text("1").tags(),
        ),
        Probe::ask(
            "ApiVersions v3, an unknown tag",
            request().text("a").text("1").raw(tag),
        ),
        Probe::ask("ApiVersions v3, an empty body", request()),
        Probe::ask(
            "ApiVersions v0, bytes behind the body",
            Request::new(API_VERSIONS, 0).raw(b"more"),
        ),
        Probe::new(
            "ApiVersions again before the login",
            vec![Step::Ask(api_versions(3)), Step::Ask(api_versions(0))],
        )
        .unknown(),
        Probe::new(
            "ApiVersions again after a version that is not served",
            vec![
                Step::Ask(api_versions(99)),
                Step::Ask(api_versions(3)),
                Step::Ask(handshake(1, "PLAIN")),
            ],
        )
        .unknown(),
    ]
}

fn unserved() -> Vec<Probe> {
    let unknown = |key, version| {
        let mut request = Request::new(UNKNOWN, version);
        request.api.key = key;
        request
    };
    let offsets = Request::new(LIST_OFFSETS, 1).i32(-1).count(0);
    let next_init = Request::new(INIT_PRODUCER_ID, 5)
        .nullable_text(None)
        .i32(1_000)
        .i64(-1)
        .i16(-1)
        .tags();
    vec![
        Probe::ask("API 999", unknown(999, 0)),
        Probe::ask("API -1", unknown(-1, 0)),
        Probe::ask("ListOffsets v1", offsets),
        Probe::ask(
            "Produce v12, good",
            Produce::new(12).set(&sets::set(2, sets::NONE)),
        ),
        Probe::ask(
            "Produce v13",
            Produce::new(13).set(&sets::set(2, sets::NONE)),
        ),
        Probe::ask(
            "Produce v-1",
            Produce::new(-1).set(&sets::set(2, sets::NONE)),
        ),
        Probe::ask("Metadata v13", metadata::named(13, &["logstore-1"], false)),
        Probe::ask("InitProducerId v5", next_init),
        Probe::new("SaslHandshake v2", vec![Step::Ask(handshake(2, "PLAIN"))]).unknown(),
        Probe::new(
            "SaslAuthenticate v3",
            vec![
                Step::Ask(handshake(1, "PLAIN")),
                Step::Ask(authenticate(3, &good_token())),
            ],
        )
        .unknown(),
    ]
}
