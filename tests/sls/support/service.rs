//! A Log Service in this process, scripted: it does what the real one does, and goes wrong when told.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::calls::rfc_1123;
use super::group::Log;
use super::http::Answer;
use super::request::{Call, Request};
use super::script::Rule;
use super::server::{Origin, Server};
use super::traffic::Traffic;
use super::world::World;

/// Stopped when dropped; a request that no gateway may send fails the test then.
pub struct Service {
    server: Server<State>,
}

#[derive(Default)]
struct State(Mutex<World>);

impl State {
    fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Origin for State {
    async fn answer(&self, request: &Request, body: &[u8]) -> io::Result<Answer> {
        Ok(self.lock().answer(request, body))
    }

    fn own_headers(&self, request: &Request) -> Vec<(String, String)> {
        own_headers(self.lock().now_s(), request)
    }
}

/// What the Log Service writes over each answer.
pub fn own_headers(now_s: i64, request: &Request) -> Vec<(String, String)> {
    let headers = [
        ("server", "stand-in".to_owned()),
        ("date", rfc_1123(now_s)),
        ("x-log-time", now_s.to_string()),
        ("x-log-requestid", format!("{:024X}", request.number)),
    ];
    headers.map(|(name, value)| (name.to_owned(), value)).into()
}

impl Service {
    pub fn start() -> Self {
        Self {
            server: Server::start(State::default()),
        }
    }

    /// With a project, a key and a Logstore of three shards.
    pub fn with(project: &str, key: (&str, &str), logstore: &str) -> Self {
        let service = Self::start();
        service.change(|world| {
            let project = world.project(project);
            project.key(key.0, key.1);
            project.logstore(logstore, 3);
        });
        service
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

    /// Cuts all connections and takes none.
    pub fn go_down(&self) {
        self.server.go_down();
    }

    pub fn come_back(&self) {
        self.server.come_back();
    }

    /// Looks at what it knows, or changes it.
    pub fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.server.shared.origin.lock())
    }

    /// In the order of storing.
    pub fn logs(&self, project: &str, logstore: &str) -> Vec<Log> {
        self.change(|world| world.logs(project, logstore))
    }

    /// The field `content` of each of them.
    pub fn contents(&self, project: &str, logstore: &str) -> Vec<String> {
        let logs = self.logs(project, logstore);
        let contents = logs.iter().filter_map(|log| log.field("content"));
        contents.map(str::to_owned).collect()
    }

    pub fn count(&self, call: Call) -> usize {
        self.traffic().count(call)
    }

    pub fn requests(&self, call: Call) -> Vec<Arc<Request>> {
        let mut requests = self.traffic().requests();
        requests.retain(|request| request.call == call);
        requests
    }

    /// What no gateway may send; to be taken by a test that expects some.
    pub fn take_complaints(&self) -> Vec<String> {
        self.change(|world| std::mem::take(&mut world.complaints))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let complaints = self.take_complaints();
        if !std::thread::panicking() {
            assert!(complaints.is_empty(), "{complaints:#?}");
        }
    }
}
