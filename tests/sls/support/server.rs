//! A scripted HTTP server on a loopback port: reads requests, lets an origin answer them, and breaks what it is told to.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::exchange::converse;
use super::http::Answer;
use super::request::Request;
use super::script::Script;
use super::traffic::Traffic;

/// Where answers come from when no rule gives one.
pub trait Origin: Send + Sync + 'static {
    fn answer(
        &self,
        request: &Request,
        body: &[u8],
    ) -> impl Future<Output = io::Result<Answer>> + Send;

    /// Headers of every answer that is the Log Service's own.
    fn own_headers(&self, request: &Request) -> Vec<(String, String)>;
}

/// Stopped when dropped.
pub struct Server<O: Origin> {
    pub address: SocketAddr,
    pub shared: Arc<Shared<O>>,
    up: watch::Sender<bool>,
    runtime: Option<Runtime>,
}

pub struct Shared<O> {
    pub origin: O,
    pub script: Script,
    pub traffic: Traffic,
}

impl<O: Origin> Server<O> {
    pub fn start(origin: O) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a thread");
        let listener = runtime
            .block_on(TcpListener::bind(("127.0.0.1", 0)))
            .expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            origin,
            script: Script::default(),
            traffic: Traffic::default(),
        });
        let up = watch::Sender::new(true);
        runtime.spawn(listen(listener, Arc::clone(&shared), up.subscribe()));
        Self {
            address,
            shared,
            up,
            runtime: Some(runtime),
        }
    }

    /// Cuts all connections; new ones are refused until it comes back on the same port.
    pub fn go_down(&self) {
        self.up.send_replace(false);
        self.probe(false);
    }

    pub fn come_back(&self) {
        self.up.send_replace(true);
        self.probe(true);
    }

    /// Waits until the port takes connections, or does not.
    fn probe(&self, up: bool) {
        let taken = || std::net::TcpStream::connect(self.address).is_ok();
        let met = (0..1_000).any(|_| {
            std::thread::sleep(Duration::from_millis(5));
            taken() == up
        });
        assert!(met, "the port did not change");
    }
}

impl<O: Origin> Drop for Server<O> {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

async fn listen<O: Origin>(
    listener: TcpListener,
    shared: Arc<Shared<O>>,
    mut up: watch::Receiver<bool>,
) {
    let address = listener.local_addr().expect("it is bound");
    let mut listener = Some(listener);
    loop {
        if let Some(listener) = &listener {
            accept(listener, &shared, &mut up).await;
        }
        listener = None;
        if up.wait_for(|up| *up).await.is_err() {
            return;
        }
        listener.replace(TcpListener::bind(address).await.expect("the same port"));
    }
}

/// Until it goes down.
async fn accept<O: Origin>(
    listener: &TcpListener,
    shared: &Arc<Shared<O>>,
    up: &mut watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            () = down(up) => return,
            accepted = listener.accept() => accepted,
        };
        if let Ok((stream, peer)) = accepted {
            let (shared, mut up) = (Arc::clone(shared), up.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = down(&mut up) => {}
                    // The peer's leaving is its own affair.
                    _ = converse(&shared, stream, peer) => {}
                }
            });
        }
    }
}

async fn down(up: &mut watch::Receiver<bool>) {
    // It fails when the server is gone, which is down too.
    let _ = up.wait_for(|up| !*up).await;
}
