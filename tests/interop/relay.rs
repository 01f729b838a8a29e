//! Stands between a client and its server, under the server's own name and certificate, notes the requests that pass, and can
//! hold answers back or answer in the server's place. Every request is to have an answer: acks=0 is not for it.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use sluice::server::tls::provider;

mod refusal;
mod request;

pub use request::Request;

/// More than any client of these tests sends in one request.
const FRAME_BYTES_MAX: usize = 32 << 20;

/// What is done to a client.
#[derive(Clone, Copy)]
pub enum Fault {
    None,
    /// Each answer to a Produce comes so much later.
    Late(Duration),
    /// The Produce of this number, from 0, is answered with Kafka's code and does not reach the server.
    Refused {
        number: usize,
        code: i16,
    },
}

/// The server beyond, and what shows its identity.
pub struct Beyond {
    pub address: SocketAddr,
    pub chain: PathBuf,
    pub key: PathBuf,
    pub ca: PathBuf,
}

/// Passes on until dropped.
pub struct Relay {
    runtime: Runtime,
    listener: Option<TcpListener>,
    pub port: u16,
    noted: Arc<Noted>,
}

#[derive(Default)]
struct Noted {
    seen: Mutex<BTreeSet<Request>>,
    produced: AtomicUsize,
    refused: AtomicUsize,
}

/// What a connection of the relay needs.
#[derive(Clone)]
struct Way {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    server: SocketAddr,
    fault: Fault,
    noted: Arc<Noted>,
}

/// The answers of a connection in their order.
enum Answer {
    /// The server's next one, not before this.
    Passed(Option<Instant>),
    Made(Vec<u8>),
}

impl Relay {
    /// On this port, which the server must advertise as its own; 0 for a free one.
    pub fn bind(port: u16) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime starts");
        let listener = runtime
            .block_on(TcpListener::bind(("127.0.0.1", port)))
            .expect("the port is free");
        let port = listener.local_addr().expect("it is bound").port();
        Self {
            runtime,
            listener: Some(listener),
            port,
            noted: Arc::default(),
        }
    }

    /// Begins to pass on; once.
    pub fn start(&mut self, beyond: Beyond, fault: Fault) {
        let listener = self.listener.take().expect("started once");
        let way = Way {
            acceptor: TlsAcceptor::from(Arc::new(server_config(&beyond))),
            connector: TlsConnector::from(Arc::new(client_config(&beyond))),
            server: beyond.address,
            fault,
            noted: self.noted.clone(),
        };
        self.runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let way = way.clone();
                // Either side may leave at any time: what passed until then was noted.
                tokio::spawn(async move { way.pass(stream).await });
            }
        });
    }

    /// What passed since the last call.
    pub fn take_seen(&self) -> BTreeSet<Request> {
        std::mem::take(&mut self.noted.seen.lock().expect("no writer panics"))
    }

    /// How many requests it answered in the server's place.
    pub fn refused(&self) -> usize {
        self.noted.refused.load(Ordering::Relaxed)
    }
}

impl Way {
    async fn pass(self, stream: TcpStream) -> io::Result<()> {
        let client = self.acceptor.accept(stream).await?;
        let name = ServerName::try_from("localhost").expect("a name");
        let server = TcpStream::connect(self.server).await?;
        let server = self.connector.connect(name, server).await?;
        let (from_client, to_client) = split(client);
        let (from_server, to_server) = split(server);
        let (answers, expected) = mpsc::unbounded_channel();
        let requests = self.pass_requests(from_client, to_server, answers);
        let answers = pass_answers(from_server, to_client, expected);
        let (requests, answers) = tokio::join!(requests, answers);
        requests.and(answers)
    }

    async fn pass_requests(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        answers: mpsc::UnboundedSender<Answer>,
    ) -> io::Result<()> {
        let mut raw_token_follows = false;
        while let Ok(frame) = read_frame(&mut from).await {
            let request = if raw_token_follows {
                Some(Request::RawToken)
            } else {
                Request::of(&frame)
            };
            raw_token_follows = request.is_some_and(Request::is_raw_handshake);
            if let Some(made) = self.refuse(request, &frame) {
                let _ = answers.send(Answer::Made(made));
                continue;
            }
            let _ = answers.send(Answer::Passed(self.not_before(request)));
            self.note(request);
            write_frame(&mut to, &frame).await?;
        }
        to.shutdown().await
    }

    fn note(&self, request: Option<Request>) {
        let mut seen = self.noted.seen.lock().expect("no writer panics");
        seen.extend(request);
    }

    fn not_before(&self, request: Option<Request>) -> Option<Instant> {
        match self.fault {
            Fault::Late(late) if request.is_some_and(Request::is_produce) => {
                Some(Instant::now() + late)
            }
            _ => None,
        }
    }

    /// The answer that is made here, if it is this request's turn.
    fn refuse(&self, request: Option<Request>, frame: &[u8]) -> Option<Vec<u8>> {
        let Fault::Refused { number, code } = self.fault else {
            return None;
        };
        let produces = request.is_some_and(Request::is_produce);
        if !produces || self.noted.produced.fetch_add(1, Ordering::Relaxed) != number {
            return None;
        }
        self.noted.refused.fetch_add(1, Ordering::Relaxed);
        Some(refusal::answer(frame, code))
    }
}

/// Gives each request its answer, in the order of the requests.
async fn pass_answers(
    from: impl AsyncRead + Unpin + Send + 'static,
    mut to: impl AsyncWrite + Unpin,
    mut expected: mpsc::UnboundedReceiver<Answer>,
) -> io::Result<()> {
    let (frames_in, mut frames) = mpsc::unbounded_channel();
    let mut reading = tokio::spawn(read_frames(from, frames_in));
    loop {
        let answer = tokio::select! {
            biased;
            answer = expected.recv() => answer,
            // The server may also close while nothing is asked of it.
            _ = &mut reading => None,
        };
        let frame = match answer {
            None => break,
            Some(Answer::Made(frame)) => Some(frame),
            Some(Answer::Passed(not_before)) => {
                let frame = frames.recv().await;
                if let Some(at) = not_before {
                    tokio::time::sleep_until(at).await;
                }
                frame
            }
        };
        let Some(frame) = frame else {
            break;
        };
        write_frame(&mut to, &frame).await?;
    }
    reading.abort();
    to.shutdown().await
}

/// To the end of what the server says.
async fn read_frames(mut from: impl AsyncRead + Unpin, frames: mpsc::UnboundedSender<Vec<u8>>) {
    while let Ok(frame) = read_frame(&mut from).await {
        // Whoever no longer listens has left.
        let _ = frames.send(frame);
    }
}

/// Without its size.
async fn read_frame(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let size = from.read_u32().await? as usize;
    if size > FRAME_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut frame = vec![0; size];
    from.read_exact(&mut frame).await?;
    Ok(frame)
}

async fn write_frame(to: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> io::Result<()> {
    to.write_u32(frame.len() as u32).await?;
    to.write_all(frame).await?;
    to.flush().await
}

fn server_config(beyond: &Beyond) -> ServerConfig {
    let chain = CertificateDer::pem_file_iter(&beyond.chain)
        .and_then(Iterator::collect)
        .expect("the server's certificate can be read");
    let key = PrivateKeyDer::from_pem_file(&beyond.key).expect("its key too");
    ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("they belong together")
}

fn client_config(beyond: &Beyond) -> ClientConfig {
    let ca = CertificateDer::from_pem_file(&beyond.ca).expect("the CA can be read");
    let mut roots = RootCertStore::empty();
    roots.add(ca).expect("the CA is a certificate");
    ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
