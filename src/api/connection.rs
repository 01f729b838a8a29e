//! Connections: accepted up to a limit, TLS where it is configured, HTTP/1.1, and their end.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::Config;
use super::limits::{BUFFER_BYTES_MAX, CONNECTIONS_MAX, HEAD_BYTES_MAX, HEADERS_MAX, Timeouts};
use super::paced::Paced;
use super::service::Service;

/// After a failed accept (no more file handles), others get time to leave.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// See [`super::Api::run`].
pub async fn serve(
    socket: TcpListener,
    config: Config,
    service: Arc<Service>,
    stop: impl Future<Output = ()>,
) -> bool {
    let (stopping, stopped) = watch::channel(false);
    let (alive, mut all_gone) = mpsc::channel::<()>(1);
    let serving = Serving {
        timeouts: config.timeouts,
        acceptor: config.tls.map(TlsAcceptor::from),
        service,
        stopped,
        _alive: alive,
    };
    let accepting = tokio::spawn(accept_all(socket, serving));
    stop.await;
    let _ = stopping.send(true);
    let in_order = timeout(config.drain_grace, all_gone.recv()).await.is_ok();
    accepting.abort();
    if !in_order {
        tracing::warn!("the grace period is over, remaining API connections are cut");
    }
    in_order
}

/// What each connection needs.
#[derive(Clone)]
struct Serving {
    timeouts: Timeouts,
    acceptor: Option<TlsAcceptor>,
    service: Arc<Service>,
    stopped: watch::Receiver<bool>,
    /// The drain ends when all are dropped.
    _alive: mpsc::Sender<()>,
}

async fn accept_all(socket: TcpListener, serving: Serving) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let next = async {
            let permit = Arc::clone(&permits).acquire_owned().await.ok()?;
            Some((permit, socket.accept().await))
        };
        let accepted = tokio::select! {
            accepted = next => accepted,
            () = serving.stop() => return,
        };
        match accepted {
            None => return,
            Some((permit, Ok((stream, peer)))) => {
                let serving = serving.clone();
                tokio::spawn(async move {
                    serving.begin(stream, peer).await;
                    drop(permit);
                });
            }
            Some((_, Err(error))) => {
                if let Some(unlogged) = serving.service.refusals().count("accept", Instant::now()) {
                    tracing::warn!(%error, unlogged, "cannot accept an API connection");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Serving {
    /// Ends when the server is to stop.
    async fn stop(&self) {
        let mut stopped = self.stopped.clone();
        let _ = stopped.wait_for(|stop| *stop).await;
    }

    async fn begin(self, stream: TcpStream, peer: SocketAddr) {
        // Answers leave at once; failing to say so harms nobody.
        let _ = stream.set_nodelay(true);
        let Some(acceptor) = &self.acceptor else {
            return self.converse(stream, peer).await;
        };
        let shaken = tokio::select! {
            shaken = timeout(self.timeouts.handshake, acceptor.accept(stream)) => shaken,
            () = self.stop() => return,
        };
        match shaken {
            Ok(Ok(stream)) => self.converse(stream, peer).await,
            Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake with the API failed"),
            Err(_) => tracing::debug!(%peer, "TLS handshake with the API took too long"),
        }
    }

    async fn converse(&self, stream: impl AsyncRead + AsyncWrite + Unpin, peer: SocketAddr) {
        let answer = |request| {
            let service = Arc::clone(&self.service);
            async move { Ok::<_, Infallible>(service.answer(request, peer).await) }
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.timeouts.head)
            .max_headers(HEADERS_MAX)
            .max_header_size(HEAD_BYTES_MAX)
            .max_buf_size(BUFFER_BYTES_MAX)
            .serve_connection(
                TokioIo::new(Paced::new(stream, self.timeouts.answer)),
                service_fn(answer),
            );
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stop() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "an API connection ended early");
        }
    }
}
