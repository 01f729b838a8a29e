//! An HTTP server that does what its script says, one step a request, and keeps what it received.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::signature::http_date;

pub enum Step {
    /// These bytes, whole or not.
    Answer(String),
    /// These, and then the connection ends.
    AnswerAndClose(String),
    /// A head, then bytes for as long as they are taken.
    Endless(String),
    /// Nothing, for ever.
    Silence,
    /// The connection is reset: when it is accepted, or once the request is here.
    ResetAtOnce,
    ResetAfterRequest,
}

#[derive(Clone, Debug)]
pub struct Received {
    /// The number of its connection, from 0.
    pub connection: usize,
    /// The TLS name; `None` without TLS or name.
    pub sni: Option<String>,
    pub line: String,
    /// Names in lower case, in order.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }
}

struct Inner {
    script: Mutex<VecDeque<Step>>,
    received: Mutex<Vec<Received>>,
}

pub struct Server {
    address: SocketAddr,
    inner: Arc<Inner>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub async fn plain(script: impl IntoIterator<Item = Step>) -> Self {
        Self::start(script, None).await
    }

    pub async fn tls(script: impl IntoIterator<Item = Step>, config: Arc<ServerConfig>) -> Self {
        Self::start(script, Some(TlsAcceptor::from(config))).await
    }

    async fn start(script: impl IntoIterator<Item = Step>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let inner = Arc::new(Inner {
            script: Mutex::new(script.into_iter().collect()),
            received: Mutex::default(),
        });
        Self {
            address: listener.local_addr().unwrap(),
            task: tokio::spawn(accept(listener, tls, Arc::clone(&inner))),
            inner,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn received(&self) -> Vec<Received> {
        self.inner.received.lock().unwrap().clone()
    }

    /// The only request.
    pub fn request(&self) -> Received {
        let mut received = self.received();
        assert_eq!(received.len(), 1, "{received:?}");
        received.remove(0)
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, inner: Arc<Inner>) {
    let mut connections = tokio::task::JoinSet::new();
    for connection in 0.. {
        let (stream, _) = listener.accept().await.unwrap();
        let (tls, inner) = (tls.clone(), Arc::clone(&inner));
        connections.spawn(async move { serve(connection, stream, tls, &inner).await });
    }
}

async fn serve(connection: usize, stream: TcpStream, tls: Option<TlsAcceptor>, inner: &Inner) {
    let first = inner
        .script
        .lock()
        .unwrap()
        .front()
        .map(|step| matches!(step, Step::ResetAtOnce));
    if first == Some(true) {
        inner.script.lock().unwrap().pop_front();
        reset(&stream);
        return;
    }
    let Some(tls) = tls else {
        let reset_it = converse(connection, None, stream, inner).await;
        if let Some(stream) = reset_it {
            reset(&stream);
        }
        return;
    };
    let Ok(stream) = tls.accept(stream).await else {
        return;
    };
    let sni = stream.get_ref().1.server_name().map(str::to_owned);
    converse(connection, sni, stream, inner).await;
}

fn reset(stream: &TcpStream) {
    SockRef::from(stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
}

/// Answers until the script, or the connection, ends. Gives back a stream that is to be reset.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    connection: usize,
    sni: Option<String>,
    mut stream: S,
    inner: &Inner,
) -> Option<S> {
    while let Some(mut request) = read_request(&mut stream).await {
        request.connection = connection;
        request.sni.clone_from(&sni);
        inner.received.lock().unwrap().push(request);
        let step = inner.script.lock().unwrap().pop_front();
        match step.expect("a step for each request") {
            Step::Answer(bytes) => stream.write_all(bytes.as_bytes()).await.ok()?,
            Step::AnswerAndClose(bytes) => {
                stream.write_all(bytes.as_bytes()).await.ok()?;
                return None;
            }
            Step::Endless(head) => {
                stream.write_all(head.as_bytes()).await.ok()?;
                while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
                return None;
            }
            Step::Silence => std::future::pending().await,
            Step::ResetAtOnce => panic!("the connection was kept"),
            Step::ResetAfterRequest => return Some(stream),
        }
    }
    None
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<Received> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let line = lines.next().unwrap().to_owned();
    let pair = |line: &str| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_ascii_lowercase(), value.trim().to_owned())
    };
    let mut request = Received {
        connection: 0,
        sni: None,
        line,
        headers: lines.map(pair).collect(),
        body: Vec::new(),
    };
    let length = request
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    request.body.resize(length, 0);
    stream.read_exact(&mut request.body).await.ok()?;
    Some(request)
}

/// A head and a body that belongs to it, with a request id.
pub fn answer(status: u16, headers: &str, body: &str) -> Step {
    let id = format!("x-log-requestid: 0123456789ABCDEF01234567\r\n{headers}");
    foreign_answer(status, &id, body)
}

/// An answer that is not the Log Service's.
pub fn foreign_answer(status: u16, headers: &str, body: &str) -> Step {
    let length = body.len();
    Step::Answer(format!(
        "HTTP/1.1 {status} Status\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    ))
}

pub fn ok() -> Step {
    answer(200, "", "")
}

pub fn refusal(status: u16, code: &str, message: &str) -> Step {
    refusal_at(status, code, message, "")
}

/// A refusal at a time of the Log Service's clock, as a header.
pub fn refusal_at(status: u16, code: &str, message: &str, time: &str) -> Step {
    let body = format!(r#"{{"errorCode":"{code}","errorMessage":"{message}","requestID":"1"}}"#);
    answer(status, time, &body)
}

pub fn log_time(unix_s: i64) -> String {
    format!("x-log-time: {unix_s}\r\n")
}

pub fn date(unix_s: i64) -> String {
    format!("date: {}\r\n", http_date(unix_s))
}

/// A server's TLS with a certificate for these names, and the authority behind it.
pub fn certified(names: &[&str]) -> (Arc<ServerConfig>, CertificateDer<'static>) {
    let authority = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, authority).unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(names).unwrap();
    let leaf = leaf.signed_by(&key, &authority).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    (Arc::new(config), authority.der().clone())
}
