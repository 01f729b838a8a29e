//! A request as it goes over the wire, and its answer.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use sluice::signature::{self, compact_date, http_date, md5_hex_upper, sha256_hex, v1, v4};
use sluice::tenant::Secret;

use super::{PROJECT, REGION, now_s};

#[derive(Clone, Copy)]
pub struct Key {
    pub id: &'static str,
    pub secret: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V1,
    V4,
}

pub const VERSIONS: [Version; 2] = [Version::V1, Version::V4];

#[derive(Clone)]
pub struct Request {
    pub method: &'static str,
    pub path: String,
    /// Names and decoded values.
    pub query: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    /// Without signature.
    pub fn new(method: &'static str, target: &str, body: &[u8]) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (name.to_owned(), value.to_owned())
            });
        let mut request = Self {
            method,
            path: path.to_owned(),
            query: query.collect(),
            headers: Vec::new(),
            body: body.to_vec(),
        };
        request.set("Host", &format!("{PROJECT}.example.com"));
        request.set("Content-Length", &body.len().to_string());
        request.set("x-log-apiversion", "0.6.0");
        request.set("x-log-bodyrawsize", "0");
        request
    }

    /// A good GET.
    pub fn get(key: Key, target: &str) -> Self {
        Self::new("GET", target, &[]).signed(Version::V1, key)
    }

    /// A good PutLogs of an uncompressed group, not signed yet.
    pub fn put(target: &str, raw: &[u8]) -> Self {
        Self::new("POST", target, raw)
            .with("Content-Type", "application/x-protobuf")
            .with("x-log-bodyrawsize", &raw.len().to_string())
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    pub fn remove(&mut self, name: &str) {
        self.headers
            .retain(|(other, _)| !other.eq_ignore_ascii_case(name));
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.remove(name);
        self
    }

    pub fn signed(self, version: Version, key: Key) -> Self {
        self.signed_at(version, key, now_s())
    }

    /// Adds the date, the body's hash and the signature.
    pub fn signed_at(mut self, version: Version, key: Key, unix_s: i64) -> Self {
        match version {
            Version::V1 => {
                self.set("Date", &http_date(unix_s));
                self.set("x-log-signaturemethod", "hmac-sha1");
                if !self.body.is_empty() {
                    self.set("Content-MD5", &md5_hex_upper(&self.body));
                }
            }
            Version::V4 => {
                self.set("x-log-date", &compact_date(unix_s));
                self.set("x-log-content-sha256", &sha256_hex(&self.body));
            }
        }
        self.sign(version, key, REGION)
    }

    /// Adds the signature only.
    pub fn sign(self, version: Version, key: Key, region: &str) -> Self {
        let pairs = |pairs: &[(String, String)]| -> Vec<(String, String)> { pairs.to_vec() };
        let (query, headers) = (pairs(&self.query), pairs(&self.headers));
        let query: Vec<(&str, &str)> = refer(&query);
        let headers: Vec<(&str, &str)> = refer(&headers);
        let request = signature::Request {
            method: self.method,
            path: &self.path,
            query: &query,
            headers: &headers,
        };
        let secret = Secret::new(key.secret);
        let authorization = match version {
            Version::V1 => v1::authorization(key.id, &secret, &request),
            Version::V4 => v4::authorization(key.id, &secret, region, &request),
        };
        self.with("Authorization", &authorization)
    }

    /// The target in origin form.
    pub fn target(&self) -> String {
        let query = signature::query_string(&refer(&self.query));
        if query.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{query}", self.path)
        }
    }

    /// Request line and headers.
    pub fn head(&self) -> Vec<u8> {
        self.head_for(&self.target())
    }

    pub fn head_for(&self, target: &str) -> Vec<u8> {
        let mut text = format!("{} {target} HTTP/1.1\r\n", self.method);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    pub fn bytes(&self) -> Vec<u8> {
        [self.head(), self.body.clone()].concat()
    }

    pub fn send(&self, address: SocketAddr) -> Reply {
        exchange(address, &self.bytes())
    }
}

fn refer(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

/// A connection that gives up when nothing comes.
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it accepts");
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a time-out");
    stream
}

/// Sends bytes and reads one answer.
pub fn exchange(address: SocketAddr, bytes: &[u8]) -> Reply {
    let mut stream = connect(address);
    // A server that has refused may close before all was sent; its answer tells.
    let _ = stream.write_all(bytes);
    Reply::read(&mut stream)
}

impl Reply {
    pub fn read(stream: &mut impl Read) -> Self {
        let mut bytes = Vec::new();
        let head_len = loop {
            if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            let mut byte = [0];
            let read = stream.read(&mut byte).expect("an answer");
            assert_eq!(
                read,
                1,
                "it closed after {:?}",
                String::from_utf8_lossy(&bytes)
            );
            bytes.push(byte[0]);
        };
        let head = String::from_utf8(bytes[..head_len].to_vec()).expect("a text");
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let headers: BTreeMap<String, String> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let len = headers.get("content-length").map(|len| len.parse());
        let mut body = vec![0; len.unwrap_or(Ok(0)).expect("a number")];
        stream.read_exact(&mut body).expect("the whole body");
        Self {
            status: status.and_then(|text| text.parse().ok()).expect("a status"),
            headers,
            body,
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("no JSON: {:?}", String::from_utf8_lossy(&self.body)))
    }

    /// Status and code of a refusal; code "" of a success.
    pub fn outcome(&self) -> (u16, String) {
        let code = match self.status {
            200 => "",
            _ => return (self.status, self.text("errorCode")),
        };
        (self.status, code.to_owned())
    }

    pub fn message(&self) -> String {
        self.text("errorMessage")
    }

    fn text(&self, name: &str) -> String {
        self.json()[name].as_str().expect("a text").to_owned()
    }

    #[track_caller]
    pub fn expect(self, status: u16, code: &str) -> Self {
        let found = self.outcome();
        assert_eq!(
            (found.0, found.1.as_str()),
            (status, code),
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        self
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        self.expect(200, "")
    }
}
