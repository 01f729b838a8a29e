//! HTTP/1.1 by hand, as far as the Log Service speaks it: heads and bodies of known length, both bounded.

use std::fmt::Write as _;
use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpStream;

/// A connection on either side.
pub type Wire = BufReader<TcpStream>;

const HEAD_BYTES_MAX: u64 = 64 << 10;
/// Above the Log Service's own limit, so that this one can be tried.
const BODY_BYTES_MAX: usize = 64 << 20;

/// A request up to its body.
#[derive(Clone, Debug)]
pub struct Head {
    pub method: String,
    pub target: String,
    /// Names in lower case, values trimmed, in the order of arrival.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// `None`: the peer closed before the first byte.
    pub async fn read(wire: &mut Wire) -> io::Result<Option<Self>> {
        let Some((first, headers)) = read_lines(wire).await? else {
            return Ok(None);
        };
        let mut words = first.split(' ');
        let (Some(method), Some(target), Some("HTTP/1.1"), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(malformed("not a request line"));
        };
        Ok(Some(Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers,
        }))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Path and query; of the absolute form too, which goes to proxies.
    fn origin_form(&self) -> &str {
        let Some((_, rest)) = self.target.split_once("://") else {
            return &self.target;
        };
        rest.find('/').map_or("/", |at| &rest[at..])
    }

    pub fn path(&self) -> &str {
        self.origin_form().split('?').next().unwrap_or_default()
    }

    /// Names and values, decoded.
    pub fn query(&self) -> Vec<(String, String)> {
        let Some((_, query)) = self.origin_form().split_once('?') else {
            return Vec::new();
        };
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (percent_decoded(name), percent_decoded(value)))
            .collect()
    }

    pub fn content_length(&self) -> io::Result<usize> {
        content_length(&self.headers)
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let first = format!("{} {} HTTP/1.1", self.method, self.target);
        lines(&first, &self.headers)
    }
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Not the Log Service's own: goes out as it is, without a request id.
    pub foreign: bool,
}

impl Answer {
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: vec![("content-type".into(), content_type.into())],
            body: body.into(),
            foreign: false,
        }
    }

    /// A success without a body.
    pub fn empty() -> Self {
        let mut answer = Self::new(200, "", []);
        answer.headers.clear();
        answer
    }

    pub fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::new(status, "application/json", value.to_string())
    }

    /// A refusal in the Log Service's form.
    pub fn refusal(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!({"errorCode": code, "errorMessage": message});
        Self::json(status, &body)
    }

    /// From something between: a proxy, a captive portal.
    pub fn foreign(mut self) -> Self {
        self.foreign = true;
        self
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub async fn read(wire: &mut Wire) -> io::Result<Self> {
        let closed = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let (first, headers) = read_lines(wire).await?.ok_or_else(closed)?;
        let status = first
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3));
        let status = status.and_then(|digits| digits.parse().ok());
        let body = read_body(wire, content_length(&headers)?).await?;
        Ok(Self {
            status: status.ok_or_else(|| malformed("not a status line"))?,
            headers,
            body,
            foreign: true,
        })
    }

    /// Its length is told, unless a header tells another one.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut headers = self.headers.clone();
        if find(&headers, "content-length").is_none() {
            headers.push(("content-length".into(), self.body.len().to_string()));
        }
        let mut bytes = lines(&format!("HTTP/1.1 {} As told", self.status), &headers);
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

pub async fn read_body(wire: &mut Wire, length: usize) -> io::Result<Vec<u8>> {
    if length > BODY_BYTES_MAX {
        return Err(malformed("too large a body"));
    }
    let mut body = Vec::new();
    let bounded = u64::try_from(length).expect("below the limit");
    wire.take(bounded).read_to_end(&mut body).await?;
    if body.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(body)
}

type Lines = (String, Vec<(String, String)>);

/// The first line and the headers.
async fn read_lines(wire: &mut Wire) -> io::Result<Option<Lines>> {
    let mut bounded = wire.take(HEAD_BYTES_MAX);
    let mut first = None;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if bounded.read_line(&mut line).await? == 0 && first.is_none() {
            return Ok(None);
        }
        let Some(line) = line.strip_suffix("\r\n") else {
            return Err(malformed("a line without an end"));
        };
        match first {
            None => first = Some(line.to_owned()),
            Some(first) if line.is_empty() => return Ok(Some((first, headers))),
            Some(_) => {
                let pair = line.split_once(':').ok_or_else(|| malformed("no header"))?;
                headers.push((pair.0.to_ascii_lowercase(), pair.1.trim().to_owned()));
            }
        }
    }
}

fn content_length(headers: &[(String, String)]) -> io::Result<usize> {
    match find(headers, "content-length") {
        None => Ok(0),
        Some(digits) => digits.parse().map_err(|_| malformed("not a length")),
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut named = headers.iter().filter(|(found, _)| found == name);
    named.next().map(|(_, value)| &**value)
}

fn lines(first: &str, headers: &[(String, String)]) -> Vec<u8> {
    let mut text = format!("{first}\r\n");
    for (name, value) in headers {
        write!(text, "{name}: {value}\r\n").expect("into memory");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        let hex = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match hex.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(decoded) if *byte == b'%' => {
                bytes.push(decoded);
                rest = &tail[2..];
            }
            _ => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
