//! A caller in the small: signs a request, sends it, reads the answer.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use md5::{Digest, Md5};
use prost::Message;

use crate::support::group::{Group, Log, Pair};
use crate::support::http::Head;
use crate::support::rfc_1123;
use crate::support::signature::{expected, hex};

pub const PROJECT: &str = "project-1";
pub const LOGSTORE: &str = "logstore-1";
pub const KEY: (&str, &str) = ("key-id", "key-secret");
pub const LOAD_BALANCED: &str = "/logstores/logstore-1/shards/lb";

pub struct Caller {
    stream: TcpStream,
    /// Id and secret that it signs with.
    pub key: (&'static str, &'static str),
    pub host: String,
    /// How far its clock is ahead.
    pub ahead_s: i64,
}

/// What came back.
#[derive(Debug)]
pub struct Told {
    pub status: u16,
    /// As sent, names in lower case.
    pub head: String,
    pub body: Vec<u8>,
}

impl Told {
    /// Status and error code, as `403 WriteQuotaExceed`; the status alone where there is none.
    pub fn outcome(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        match body["errorCode"].as_str() {
            Some(code) => format!("{} {code}", self.status),
            None => self.status.to_string(),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl Caller {
    pub fn dial(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        let limit = Some(Duration::from_secs(20));
        stream.set_read_timeout(limit).expect("a socket option");
        Self {
            stream,
            key: KEY,
            host: format!("{PROJECT}.endpoint.example"),
            ahead_s: 0,
        }
    }

    pub fn get(&mut self, target: &str) -> io::Result<Told> {
        let head = self.signed("GET", target, &[], &[("x-log-bodyrawsize", "0")]);
        self.exchange(&head, &[])
    }

    /// One log for each content.
    pub fn put(&mut self, target: &str, contents: &[&str]) -> io::Result<Told> {
        self.put_group(target, &group(contents))
    }

    pub fn put_group(&mut self, target: &str, group: &Group) -> io::Result<Told> {
        let raw = group.encode_to_vec();
        let size = raw.len().to_string();
        let headers = [("x-log-bodyrawsize", &*size), ("x-log-compresstype", "lz4")];
        let body = lz4_flex::block::compress(&raw);
        let head = self.signed("POST", target, &body, &headers);
        self.exchange(&head, &body)
    }

    pub fn signed(
        &self,
        method: &str,
        target: &str,
        body: &[u8],
        headers: &[(&str, &str)],
    ) -> Head {
        let date = rfc_1123(now_s() + self.ahead_s);
        let own = [
            ("host", &*self.host),
            ("date", &date),
            ("x-log-apiversion", "0.6.0"),
            ("x-log-signaturemethod", "hmac-sha1"),
            ("authorization", "LOG "),
        ];
        let mut all: Vec<(String, String)> = own
            .iter()
            .chain(headers)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        if !body.is_empty() {
            all.push(("content-length".into(), body.len().to_string()));
            all.push(("content-type".into(), "application/x-protobuf".into()));
            all.push(("content-md5".into(), hex(&Md5::digest(body)).to_uppercase()));
        }
        let mut head = Head {
            method: method.into(),
            target: target.into(),
            headers: all,
        };
        let signature = expected(&head, self.key.0, self.key.1).expect("all is there");
        head.headers.retain(|(name, _)| name != "authorization");
        head.headers.push(("authorization".into(), signature));
        head
    }

    pub fn exchange(&mut self, head: &Head, body: &[u8]) -> io::Result<Told> {
        self.stream.write_all(&head.to_bytes())?;
        self.stream.write_all(body)?;
        self.read()
    }

    /// The next answer.
    pub fn read(&mut self) -> io::Result<Told> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("text");
        let status = head.get(9..12).and_then(|digits| digits.parse().ok());
        let status = status.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        let mut told = Told {
            status,
            head,
            body: Vec::new(),
        };
        let length = told
            .header("content-length")
            .map_or(0, |length| length.parse().expect("a number"));
        told.body = vec![0; length];
        self.stream.read_exact(&mut told.body)?;
        Ok(told)
    }

    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }
}

pub fn group(contents: &[&str]) -> Group {
    let log = |content: &&str| Log {
        time: u32::try_from(now_s()).expect("before 2106"),
        contents: vec![pair(b"content", content.as_bytes())],
        time_ns: None,
    };
    Group {
        logs: contents.iter().map(log).collect(),
        ..Group::default()
    }
}

pub fn pair(key: &[u8], value: &[u8]) -> Pair {
    Pair {
        key: key.into(),
        value: value.into(),
    }
}

pub fn now_s() -> i64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    i64::try_from(elapsed.as_secs()).expect("not that late")
}
