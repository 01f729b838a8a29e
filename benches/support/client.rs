//! A Kafka client that costs as little as it can: requests laid by hand, of answers only the error code read.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use socket2::{Domain, Socket, Type};

use sluice::server::tls::provider;

/// Where to dial, and as whom.
#[derive(Clone)]
pub struct Door {
    pub address: SocketAddr,
    pub tls: Arc<ClientConfig>,
    pub project: &'static str,
    pub logstore: &'static str,
    /// `None`: whatever the system takes.
    pub from: Option<IpAddr>,
}

/// TLS that trusts one certificate.
pub fn tls(certificate: CertificateDer<'static>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .expect("both versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// How a Produce request with one batch was answered.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    pub after: Duration,
    /// Kafka's error code.
    pub code: i16,
}

/// A connection that is logged in.
pub struct Client {
    stream: StreamOwned<ClientConnection, TcpStream>,
    /// When the requests went out that are not answered.
    sent: VecDeque<Instant>,
}

impl Client {
    pub fn log_in(door: &Door) -> Self {
        let name = ServerName::try_from("localhost").expect("a name");
        let session = ClientConnection::new(Arc::clone(&door.tls), name).expect("TLS");
        let mut client = Self {
            stream: StreamOwned::new(session, dial(door)),
            sent: VecDeque::new(),
        };
        let mut handshake = request(17, 0);
        put_string(&mut handshake, "PLAIN");
        client.call(handshake);
        client.call(format!("\0{}\0id#secret", door.project).into_bytes());
        // As every client does; until then it may have one request in flight.
        let mut metadata = request(3, 1);
        metadata.extend_from_slice(&1_i32.to_be_bytes());
        put_string(&mut metadata, door.logstore);
        client.call(metadata);
        client
    }

    /// One request, and the body of its answer.
    pub fn call(&mut self, request: Vec<u8>) -> Vec<u8> {
        send(&mut self.stream, &sized(request));
        receive(&mut self.stream)
    }

    /// Sends one Produce frame after another, `depth` of them in flight, as long as `more` says so; it may change the
    /// frame first.
    pub fn replay(
        &mut self,
        frame: &mut [u8],
        depth: usize,
        more: impl FnMut(&mut [u8]) -> bool,
    ) -> Vec<Answered> {
        let mut answers = Vec::new();
        self.replay_telling(frame, depth, more, |answer| answers.push(answer));
        answers
    }

    /// As [`Client::replay`], for who wants to know each answer at once.
    pub fn replay_telling(
        &mut self,
        frame: &mut [u8],
        depth: usize,
        mut more: impl FnMut(&mut [u8]) -> bool,
        mut told: impl FnMut(Answered),
    ) {
        while more(frame) {
            if self.sent.len() == depth {
                self.answer().into_iter().for_each(&mut told);
            }
            self.sent.push_back(Instant::now());
            send(&mut self.stream, frame);
        }
        while let Some(answer) = self.answer() {
            told(answer);
        }
    }

    /// The answer to the oldest request that has none.
    fn answer(&mut self) -> Option<Answered> {
        let sent = self.sent.pop_front()?;
        let answer = receive(&mut self.stream);
        let short = |at: usize| i16::from_be_bytes([answer[at], answer[at + 1]]);
        // One topic, one partition: the error code stands behind correlation id, two counts, the name and the index.
        let name_len = usize::try_from(short(8)).expect("a name");
        Some(Answered {
            after: sent.elapsed(),
            code: short(4 + 4 + 2 + name_len + 4 + 4),
        })
    }
}

/// For [`Client::replay`]: so many times the same.
pub fn times(count: u64) -> impl FnMut(&mut [u8]) -> bool {
    let mut left = count;
    move |_| {
        let more = left > 0;
        left = left.saturating_sub(1);
        more
    }
}

/// Milliseconds of an answer that is slower than so large a share of all.
pub fn milliseconds_at(sorted: &[Duration], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3
}

fn dial(door: &Door) -> TcpStream {
    let socket = Socket::new(Domain::for_address(door.address), Type::STREAM, None);
    let socket = socket.expect("a socket");
    if let Some(from) = door.from {
        let from = SocketAddr::new(from, 0);
        socket.bind(&from.into()).expect("an address of ours");
    }
    let address = door.address.into();
    socket.connect(&address).expect("the server listens");
    socket.set_tcp_nodelay(true).expect("a socket option");
    socket.into()
}

/// A Produce v7 request, acks=all, with its size prefix; the record set stands last.
pub fn produce_frame(logstore: &str, set: &[u8]) -> Vec<u8> {
    let mut frame = request(0, 7);
    frame.extend_from_slice(&(-1_i16).to_be_bytes());
    frame.extend_from_slice(&(-1_i16).to_be_bytes());
    frame.extend_from_slice(&30_000_i32.to_be_bytes());
    frame.extend_from_slice(&1_i32.to_be_bytes());
    put_string(&mut frame, logstore);
    frame.extend_from_slice(&1_i32.to_be_bytes());
    frame.extend_from_slice(&0_i32.to_be_bytes());
    frame.extend_from_slice(&i32::try_from(set.len()).expect("small").to_be_bytes());
    frame.extend_from_slice(set);
    sized(frame)
}

/// The head of a request.
pub fn request(key: i16, version: i16) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend_from_slice(&key.to_be_bytes());
    frame.extend_from_slice(&version.to_be_bytes());
    frame.extend_from_slice(&7_i32.to_be_bytes());
    put_string(&mut frame, "bench");
    frame
}

fn put_string(frame: &mut Vec<u8>, text: &str) {
    frame.extend_from_slice(&i16::try_from(text.len()).expect("short").to_be_bytes());
    frame.extend_from_slice(text.as_bytes());
}

fn sized(body: Vec<u8>) -> Vec<u8> {
    let mut frame = i32::try_from(body.len())
        .expect("small")
        .to_be_bytes()
        .to_vec();
    frame.extend(body);
    frame
}

fn send(stream: &mut impl Write, bytes: &[u8]) {
    stream.write_all(bytes).expect("the server reads");
    stream.flush().expect("the server reads");
}

fn receive(stream: &mut impl Read) -> Vec<u8> {
    let mut size = [0; 4];
    stream.read_exact(&mut size).expect("the server answers");
    let mut body = vec![0; usize::try_from(i32::from_be_bytes(size)).expect("not negative")];
    stream.read_exact(&mut body).expect("the server answers");
    body
}
