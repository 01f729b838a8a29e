//! A fault proxy in front of a real Log Service API: each request is passed on, unless a rule says otherwise.

use std::io;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::http::Answer;
use super::request::Request;
use super::script::Rule;
use super::server::{Origin, Server};
use super::service::own_headers;
use super::traffic::Traffic;

/// Stopped when dropped.
pub struct Proxy {
    server: Server<Upstream>,
}

struct Upstream(SocketAddr);

impl Origin for Upstream {
    /// Over a connection of its own for each request.
    async fn answer(&self, request: &Request, body: &[u8]) -> io::Result<Answer> {
        let mut wire = BufReader::new(TcpStream::connect(self.0).await?);
        wire.write_all(&request.head.to_bytes()).await?;
        wire.write_all(body).await?;
        Answer::read(&mut wire).await
    }

    fn own_headers(&self, request: &Request) -> Vec<(String, String)> {
        let elapsed = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970");
        own_headers(
            i64::try_from(elapsed.as_secs()).expect("not that late"),
            request,
        )
    }
}

impl Proxy {
    pub fn start(upstream: SocketAddr) -> Self {
        Self {
            server: Server::start(Upstream(upstream)),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    pub fn traffic(&self) -> &Traffic {
        &self.server.shared.traffic
    }

    /// Adds a rule behind those that are there.
    pub fn script(&self, rule: Rule) {
        self.server.shared.script.add(rule);
    }

    /// No rule any more.
    pub fn heal(&self) {
        self.server.shared.script.clear();
    }

    /// Cuts all connections and refuses new ones.
    pub fn go_down(&self) {
        self.server.go_down();
    }

    pub fn come_back(&self) {
        self.server.come_back();
    }
}
