//! Listeners, connections and their end: bind, accept, TLS, one task per connection, drain.
//!
//! What a client says is the session's; what becomes of its records is ingest's. Here are sockets, limits and time.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use serde::Deserialize;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, info, warn};

use crate::backend::Backend;
use crate::catalog::Catalog;
use crate::ingest::{self, ConnectionId, Ingest};
use crate::memory::Budget;
use crate::refusals::Refusals;
use crate::session::Session;
use crate::tenant::{Endpoints, ProjectName};

use connection::Connection;
use limits::{Census, Limits};

mod connection;
pub mod limits;
mod steps;
pub mod tls;

/// A dead peer behind a vanished network path is found in about this time; librdkafka and sarama send no keepalives.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// After a failed accept (no more file handles), others get time to leave.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// One address that clients dial.
pub struct Listener {
    pub name: Arc<str>,
    pub address: SocketAddr,
    /// `None`: the bound port.
    pub advertised_port: Option<u16>,
    /// For clients without SNI; `None`: the default endpoint.
    pub advertised_host: Option<Arc<str>>,
    pub endpoints: Endpoints,
    pub tls: Arc<ServerConfig>,
}

/// What becomes of a login whose key is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BadKey {
    /// Let it in and answer 29 to each topic, as published.
    TopicError,
    /// Refuse the login with 58.
    RefuseLogin,
    /// Close without an answer, after a delay: the agent keeps its data.
    Hold,
}

/// What all connections share.
pub struct Shared {
    backend: Arc<dyn Backend>,
    catalog: Arc<Catalog>,
    ingest: Ingest,
    budget: Budget,
    limits: Limits,
    bad_key: BadKey,
    refusals: Arc<Refusals>,
    per_address: Census<IpAddr>,
    per_project: Census<ProjectName>,
}

impl Shared {
    /// Joins the parts in front of a backend and starts the Produce path.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(
        backend: Arc<dyn Backend>,
        ingest: ingest::Config,
        limits: Limits,
        bad_key: BadKey,
    ) -> std::io::Result<Self> {
        let catalog = Arc::new(Catalog::new(Arc::clone(&backend), ingest.spread));
        let refusals = Arc::new(Refusals::default());
        Ok(Self {
            ingest: Ingest::start_up(
                Arc::clone(&backend),
                Arc::clone(&catalog),
                ingest,
                Arc::clone(&refusals),
            )?,
            backend,
            catalog,
            budget: Budget::new(limits.in_flight_bytes_max),
            limits,
            bad_key,
            refusals,
            per_address: Census::default(),
            per_project: Census::default(),
        })
    }

    /// The Produce path, to be drained when the server has ended.
    pub fn ingest(&self) -> &Ingest {
        &self.ingest
    }

    /// What was refused, by reason.
    pub fn refusals(&self) -> &Arc<Refusals> {
        &self.refusals
    }

    /// The memory that requests hold.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }
}

/// Who is at the other end, for logs, limits and order.
#[derive(Clone, Debug)]
struct Peer {
    address: SocketAddr,
    /// The address without the port, as logs show it.
    source: Arc<str>,
    /// Whose requests keep their order.
    connection: ConnectionId,
    listener: Arc<str>,
    sni: Option<String>,
}

/// A server whose sockets are bound.
pub struct Server {
    bound: Vec<(Listener, TcpListener, SocketAddr)>,
    shared: Arc<Shared>,
}

impl Server {
    /// Binds all listeners, or none.
    ///
    /// # Errors
    /// Names the listener and address that could not be bound.
    pub async fn bind(listeners: Vec<Listener>, shared: Shared) -> std::io::Result<Self> {
        let mut bound = Vec::new();
        for listener in listeners {
            let socket = TcpListener::bind(listener.address).await.map_err(|error| {
                let text = format!(
                    "cannot listen on {} (listener {}): {error}",
                    listener.address, listener.name
                );
                std::io::Error::new(error.kind(), text)
            })?;
            let address = socket.local_addr()?;
            bound.push((listener, socket, address));
        }
        Ok(Self {
            bound,
            shared: Arc::new(shared),
        })
    }

    /// Name and bound address of each listener.
    pub fn addresses(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        self.bound
            .iter()
            .map(|(listener, _, address)| (&*listener.name, *address))
    }

    /// Serves until `stop`; then accepts no more, lets each connection answer what it has read, and ends when all are
    /// closed or the grace period is over. True: all went in order.
    pub async fn run(self, stop: impl Future<Output = ()>) -> bool {
        let (stopping, stopped) = watch::channel(false);
        let (alive, mut all_gone) = mpsc::channel::<()>(1);
        let permits = Arc::new(Semaphore::new(self.shared.limits.connections_max));
        let handshakes = Arc::new(Semaphore::new(self.shared.limits.handshakes_max));
        for (listener, socket, address) in self.bound {
            info!(listener = %listener.name, %address, "listening");
            let accepting = Accepting {
                advertised_port: listener.advertised_port.unwrap_or(address.port()),
                acceptor: TlsAcceptor::from(Arc::clone(&listener.tls)),
                listener,
                shared: Arc::clone(&self.shared),
                handshakes: Arc::clone(&handshakes),
                stopped: stopped.clone(),
                alive: alive.clone(),
            };
            tokio::spawn(Arc::new(accepting).accept_all(socket, Arc::clone(&permits)));
        }
        drop(alive);
        stop.await;
        info!("stopping: no more connections are accepted, those open are answered");
        let _ = stopping.send(true);
        let grace = self.shared.limits.drain_grace;
        let in_order = tokio::time::timeout(grace, all_gone.recv()).await.is_ok();
        if !in_order {
            warn!(
                seconds = grace.as_secs(),
                "the grace period is over, remaining connections are cut"
            );
        }
        in_order
    }
}

/// One listener at work.
struct Accepting {
    listener: Listener,
    advertised_port: u16,
    acceptor: TlsAcceptor,
    shared: Arc<Shared>,
    handshakes: Arc<Semaphore>,
    stopped: watch::Receiver<bool>,
    /// Held by each task; the drain ends when all are dropped.
    alive: mpsc::Sender<()>,
}

impl Accepting {
    async fn accept_all(self: Arc<Self>, socket: TcpListener, permits: Arc<Semaphore>) {
        let mut stopped = self.stopped.clone();
        loop {
            let next = async {
                let permit = Arc::clone(&permits).acquire_owned().await.ok()?;
                Some((permit, socket.accept().await))
            };
            let accepted = tokio::select! {
                accepted = next => accepted,
                _ = stopped.wait_for(|stop| *stop) => return,
            };
            match accepted {
                None => return,
                Some((permit, Ok((stream, address)))) => self.begin(stream, address, permit),
                Some((_, Err(error))) => {
                    if let Some(unlogged) = self.shared.refusals.count("accept", Instant::now()) {
                        warn!(listener = %self.listener.name, %error, unlogged, "cannot accept a connection");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn begin(
        self: &Arc<Self>,
        stream: TcpStream,
        address: SocketAddr,
        permit: OwnedSemaphorePermit,
    ) {
        let max = self.shared.limits.connections_per_address_max;
        let Some(counted) = self.shared.per_address.enter(address.ip(), max) else {
            if let Some(unlogged) = self.shared.refusals.count("address-full", Instant::now()) {
                warn!(peer = %address, max, unlogged, "refused: this address has its most connections already");
            }
            return;
        };
        let this = Arc::clone(self);
        let alive = self.alive.clone();
        tokio::spawn(async move {
            this.serve(stream, address).await;
            drop((counted, permit, alive));
        });
    }

    async fn serve(&self, stream: TcpStream, address: SocketAddr) {
        tune(&stream);
        let mut stopped = self.stopped.clone();
        let handshake = tokio::select! {
            handshake = self.handshake(stream) => handshake,
            _ = stopped.wait_for(|stop| *stop) => return,
        };
        let stream = match handshake {
            Ok(stream) => stream,
            Err(error) => return self.handshake_failed(address, &error),
        };
        let sni = stream.get_ref().1.server_name().map(str::to_owned);
        let dialled = self.listener.endpoints.resolve(sni.as_deref());
        let session = Session::new(
            dialled,
            address.ip(),
            self.listener.advertised_host.clone(),
            self.advertised_port,
            self.shared.limits.session.clone(),
        );
        let peer = Peer {
            address,
            source: address.ip().to_string().into(),
            connection: self.shared.ingest.connection(),
            listener: Arc::clone(&self.listener.name),
            sni,
        };
        let mut stopped = self.stopped.clone();
        let drain = Box::pin(async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        });
        Connection::new(stream, session, Arc::clone(&self.shared), peer, drain)
            .run()
            .await;
    }

    async fn handshake(
        &self,
        stream: TcpStream,
    ) -> std::io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
        let shaken = tokio::time::timeout(self.shared.limits.handshake_timeout, async {
            let _permit = self.handshakes.acquire().await;
            self.acceptor.accept(stream).await
        });
        shaken
            .await
            .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
    }

    /// A port check that hangs up before its ClientHello is no event; a failed handshake is.
    fn handshake_failed(&self, address: SocketAddr, error: &std::io::Error) {
        if matches!(
            error.kind(),
            std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset
        ) {
            debug!(peer = %address, "left before the TLS handshake was done");
        } else if let Some(unlogged) = self.shared.refusals.count("tls", Instant::now()) {
            warn!(peer = %address, listener = %self.listener.name, %error, unlogged, "TLS handshake failed");
        }
    }
}

/// Answers leave at once; a silent peer is found. Neither failing harms anybody.
fn tune(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE);
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}
