//! SaslHandshake and SaslAuthenticate: good, wrong, out of order.

use super::producers::init;
use super::refused::fetch;
use super::versions::api_versions;
use super::{Produce, metadata};
use crate::dialogue::{Of, Probe, Step, authenticate, good_token, handshake};
use crate::request::Request;
use crate::schemas::SASL_AUTHENTICATE;
use crate::sets;
use crate::support::{LOGSTORE, PASSWORD, PROJECT};

pub fn probes() -> Vec<Probe> {
    [
        good(),
        bad_tokens(),
        wrong_keys(),
        mechanisms(),
        out_of_order(),
        again(),
    ]
    .concat()
}

/// In the order that they are said, from the first byte of a connection on.
fn dialogue(case: impl Into<String>, steps: Vec<Step>) -> Probe {
    Probe::new(case, steps).unknown()
}

fn ask(request: Request) -> Step {
    Step::Ask(request)
}

fn good() -> Vec<Probe> {
    let mut probes = vec![dialogue(
        "login, raw token",
        vec![ask(handshake(0, "PLAIN")), Step::Token(good_token())],
    )];
    for version in 0..=2 {
        probes.push(dialogue(
            format!("login, SaslAuthenticate v{version}"),
            vec![
                ask(handshake(1, "PLAIN")),
                ask(authenticate(version, &good_token())),
            ],
        ));
    }
    probes
}

/// Each in both dialects.
fn token(case: &str, token: &[u8], of: Of) -> Vec<Probe> {
    let framed = dialogue(
        format!("token, {case}"),
        vec![ask(handshake(1, "PLAIN")), ask(authenticate(2, token))],
    );
    let raw = dialogue(
        format!("raw token, {case}"),
        vec![ask(handshake(0, "PLAIN")), Step::Token(token.to_vec())],
    );
    [framed, raw].map(|probe| Probe { of, ..probe }).into()
}

fn bad_tokens() -> Vec<Probe> {
    let same = |text: String| text.into_bytes();
    let texts: [(&str, Vec<u8>); 11] = [
        (
            "authorization as the user",
            same(format!("{PROJECT}\0{PROJECT}\0{PASSWORD}")),
        ),
        (
            "authorization as another",
            same(format!("other\0{PROJECT}\0{PASSWORD}")),
        ),
        ("empty", Vec::new()),
        ("two parts", same(format!("{PROJECT}\0{PASSWORD}"))),
        ("four parts", same(format!("\0{PROJECT}\0{PASSWORD}\0"))),
        ("no user", same(format!("\0\0{PASSWORD}"))),
        ("no password", same(format!("\0{PROJECT}\0"))),
        ("not UTF-8", b"\0\xff\xfe\0x#y".to_vec()),
        ("one byte", b"x".to_vec()),
        ("a user with blanks", b"\0a b\0x#y".to_vec()),
        (
            "a password without a number sign",
            same(format!("\0{PROJECT}\0password")),
        ),
    ];
    let null = Request::new(SASL_AUTHENTICATE, 2).bytes(None).tags();
    let mut probes: Vec<Probe> = texts
        .iter()
        .flat_map(|(case, bytes)| token(case, bytes, Of::Alike))
        .collect();
    probes.push(dialogue(
        "token, null",
        vec![ask(handshake(1, "PLAIN")), ask(null)],
    ));
    probes
}

/// In the form of a key, and not one.
fn wrong_keys() -> Vec<Probe> {
    let secret = format!("\0{PROJECT}\0key-id#wrong").into_bytes();
    let id = format!("\0{PROJECT}\0wrong#key-secret").into_bytes();
    let user = format!("\0project-2\0{PASSWORD}").into_bytes();
    let mut probes = Vec::new();
    for (case, bytes) in [
        ("wrong secret", secret),
        ("wrong id", id),
        ("wrong user", user),
    ] {
        probes.extend(token(case, &bytes, Of::Alike));
        let mut published = token(case, &bytes, Of::Published);
        for probe in &mut published {
            probe.case = format!("{}, as published", probe.case);
            probe
                .steps
                .push(ask(metadata::named(9, &[LOGSTORE], false)));
            probe
                .steps
                .push(ask(Produce::new(9).set(&sets::set(2, sets::NONE))));
        }
        probes.extend(published);
    }
    probes
}

fn mechanisms() -> Vec<Probe> {
    let mut probes = Vec::new();
    for version in 0..=1 {
        for mechanism in ["SCRAM-SHA-256", "GSSAPI", "plain", ""] {
            let case = format!("SaslHandshake v{version}, mechanism \"{mechanism}\"");
            probes.push(dialogue(case, vec![ask(handshake(version, mechanism))]));
        }
    }
    probes
}

fn out_of_order() -> Vec<Probe> {
    let metadata = || ask(metadata::named(9, &[LOGSTORE], false));
    let handshake = |version| ask(handshake(version, "PLAIN"));
    let authenticate = || ask(authenticate(1, &good_token()));
    let produce = ask(Produce::new(9).set(&sets::set(2, sets::NONE)));
    vec![
        dialogue("before the login, Metadata", vec![metadata()]),
        dialogue("before the login, Produce", vec![produce.clone()]),
        dialogue(
            "before the login, Metadata behind ApiVersions",
            vec![ask(api_versions(3)), metadata()],
        ),
        dialogue(
            "before the login, SaslAuthenticate without SaslHandshake",
            vec![authenticate()],
        ),
        dialogue(
            "before the login, SaslHandshake twice",
            vec![handshake(1), handshake(1)],
        ),
        dialogue(
            "before the login, Metadata behind SaslHandshake",
            vec![handshake(1), metadata()],
        ),
        dialogue(
            "before the login, ApiVersions behind SaslHandshake",
            vec![handshake(1), ask(api_versions(3)), authenticate()],
        ),
        dialogue(
            "before the login, Produce behind SaslHandshake",
            vec![handshake(1), produce.clone()],
        ),
        dialogue(
            "before the login, InitProducerId behind SaslHandshake",
            vec![handshake(1), ask(init(4, None, 60_000, (-1, -1)))],
        ),
        dialogue(
            "before the login, Fetch behind SaslHandshake",
            vec![handshake(1), ask(fetch(11))],
        ),
        dialogue(
            "before the login, raw token behind SaslHandshake v1",
            vec![handshake(1), Step::Token(good_token())],
        ),
        dialogue(
            "before the login, SaslAuthenticate behind SaslHandshake v0",
            vec![handshake(0), authenticate()],
        ),
        dialogue(
            "before the login, raw token first",
            vec![Step::Token(good_token())],
        ),
    ]
}

fn again() -> Vec<Probe> {
    let other = b"\0project-2\0key-id#key-secret";
    vec![
        Probe::ask(
            "after the login, SaslAuthenticate v2",
            authenticate(2, &good_token()),
        ),
        Probe::new(
            "after the login, SaslHandshake v1 and SaslAuthenticate v2",
            vec![
                ask(handshake(1, "PLAIN")),
                ask(authenticate(2, &good_token())),
            ],
        ),
        Probe::new(
            "after the login, SaslHandshake v1 and another user",
            vec![ask(handshake(1, "PLAIN")), ask(authenticate(2, other))],
        ),
        Probe::new(
            "after the login, another mechanism",
            vec![ask(handshake(1, "GSSAPI"))],
        ),
    ]
}
