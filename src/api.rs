//! The embedded store's own HTTP interface, in the words of the Log Service: PutLogs, PullLogs and what a client of these
//! needs around them, so that the official SDKs write to the store and read it back.
//!
//! ```text
//! connection ──▶ head ──▶ identity ──▶ call ──▶ body ──▶ calls ──▶ answer
//!  TCP, TLS,     target,   signature,   what,    bounded,  one file
//!  HTTP/1.1      texts     key, clock   rights   its hash  each
//! ```
//!
//! A request proves itself by its head alone, so nothing of an unproven one is kept; its body is then held to the hash
//! that was signed. Kafka is not known here. What is stored, and when, is the store's.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::TcpListener;

use self::limits::Timeouts;
use self::service::Service;
use crate::backend::embedded::Embedded;

mod answer;
mod body;
mod call;
mod calls;
mod compression;
mod connection;
mod cursor;
mod error;
mod group;
mod head;
mod identity;
pub mod limits;
mod memory;
mod paced;
mod ranges;
mod readers;
mod service;

/// How the interface is offered.
#[derive(Clone, Debug)]
pub struct Config {
    pub address: SocketAddr,
    /// `None`: plain HTTP.
    pub tls: Option<Arc<ServerConfig>>,
    /// The region that clients of signature version 4 name.
    pub region: Arc<str>,
    /// Refuse logs whose times the Log Service would refuse.
    pub check_times: bool,
    /// Of the store, to read it.
    pub data_dir: PathBuf,
    /// Of the store, as clients are told it.
    pub retention_age: Duration,
    pub timeouts: Timeouts,
    /// How long a stop waits for requests under way.
    pub drain_grace: Duration,
}

/// An interface whose socket is bound.
#[derive(Debug)]
pub struct Api {
    socket: TcpListener,
    address: SocketAddr,
    config: Config,
    service: Arc<Service>,
}

impl Api {
    /// # Errors
    /// Names the address that could not be bound.
    pub async fn bind(config: Config, store: Arc<Embedded>) -> std::io::Result<Self> {
        let socket = TcpListener::bind(config.address).await.map_err(|error| {
            let text = format!(
                "cannot listen on {} ([embedded.api]): {error}",
                config.address
            );
            std::io::Error::new(error.kind(), text)
        })?;
        Ok(Self {
            address: socket.local_addr()?,
            socket,
            service: Arc::new(Service::new(&config, store)?),
            config,
        })
    }

    /// As it was bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`; then accepts no more, answers what is under way, and ends when all connections are closed or the
    /// grace period is over. True: all went in order.
    pub async fn run(self, stop: impl Future<Output = ()>) -> bool {
        let scheme = match self.config.tls {
            Some(_) => "https",
            None => "http",
        };
        tracing::info!(address = %self.address, scheme, "the store's HTTP API listens");
        connection::serve(self.socket, self.config, self.service, stop).await
    }
}
