//! Frames and request headers.

use super::produce::good;
use super::{Produce, metadata};
use crate::dialogue::{Probe, Step};
use crate::request::Request;
use crate::support::LOGSTORE;

pub fn probes() -> Vec<Probe> {
    [frames(), before_login(), headers()].concat()
}

/// Whoever waits for the rest of a frame takes the request that ends every probe for it.
fn sizes() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("size -1", i32::to_be_bytes(-1).into()),
        ("size least", i32::MIN.to_be_bytes().into()),
        ("size huge", i32::MAX.to_be_bytes().into()),
        ("size 0", vec![0; 4]),
        ("one byte", b"\0\0\0\x01x".to_vec()),
        ("half a header", b"\0\0\0\x04\0\x03\0\x01".to_vec()),
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
    ]
}

fn frames() -> Vec<Probe> {
    let probe = |(case, bytes)| Probe::new(format!("frame, {case}"), vec![Step::Send(bytes)]);
    let mut probes: Vec<Probe> = sizes().into_iter().map(probe).collect();
    let over = ((4 << 20) + 1_i32).to_be_bytes().to_vec();
    probes.push(probe(("size over the limit", over)));
    probes
}

fn before_login() -> Vec<Probe> {
    let probe = |(case, bytes)| {
        Probe::new(
            format!("frame before the login, {case}"),
            vec![Step::Send(bytes)],
        )
        .unknown()
    };
    let mut probes: Vec<Probe> = sizes().into_iter().map(probe).collect();
    let over = ((16 << 10) + 1_i32).to_be_bytes().to_vec();
    probes.push(probe(("size over the limit", over)));
    probes
}

/// In place of what follows the correlation id.
fn headers() -> Vec<Probe> {
    let plain: [(&str, &[u8]); 6] = [
        ("no client id", b"\xff\xff"),
        ("an empty client id", b"\0\0"),
        ("a client id not UTF-8", b"\0\x02\xff\xfe"),
        ("client id length -2", b"\xff\xfe"),
        ("client id length too great", b"\x7f\xffa"),
        ("client id with a blank", b"\0\x03a b"),
    ];
    let flexible: [(&str, &[u8]); 5] = [
        ("an unknown tag", b"\xff\xff\x01\x07\x02ab"),
        ("a tag without bytes", b"\xff\xff\x01\x07\x00"),
        ("a tag twice", b"\xff\xff\x02\x07\x00\x07\x00"),
        ("a tag count too great", b"\xff\xff\xff\xff\xff\xff\x0f"),
        ("a tag length too great", b"\xff\xff\x01\x07\xff\xff\x03"),
    ];
    let mut probes = Vec::new();
    for (case, header) in plain {
        probes.push(header_probe(
            case,
            metadata::named(1, &[LOGSTORE], false),
            header,
        ));
        probes.push(header_probe(case, Produce::new(7).set(&good(7)), header));
    }
    for (case, header) in flexible {
        probes.push(header_probe(
            case,
            metadata::named(12, &[LOGSTORE], false),
            header,
        ));
        probes.push(header_probe(case, Produce::new(9).set(&good(9)), header));
    }
    probes
}

fn header_probe(case: &str, request: Request, header: &[u8]) -> Probe {
    let case = format!(
        "header of {} v{}, {case}",
        request.api.name, request.version
    );
    Probe::ask(case, request.header(header))
}
