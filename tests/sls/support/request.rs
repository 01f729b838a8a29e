//! A request as it was received: who sent it, what it asks for, what its body holds.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Instant;

use super::group::{Fault, Group};
use super::http::Head;

/// The calls that a gateway may make, and all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    GetProject,
    GetLogStore,
    ListShards,
    PutLogs,
    Other,
}

#[derive(Debug)]
pub struct Request {
    /// In order of arrival, from 1.
    pub number: u64,
    /// Which connection of this server it came over.
    pub connection: u64,
    pub peer: SocketAddr,
    pub arrived: Instant,
    pub call: Call,
    pub project: String,
    /// Empty for calls that concern none.
    pub logstore: String,
    pub head: Head,
    content: OnceLock<Result<Group, Fault>>,
    status: OnceLock<u16>,
}

impl Request {
    pub fn new(number: u64, connection: u64, peer: SocketAddr, head: Head) -> Self {
        let (call, logstore) = classify(&head);
        Self {
            number,
            connection,
            peer,
            arrived: Instant::now(),
            call,
            project: project(&head),
            logstore: logstore.to_owned(),
            head,
            content: OnceLock::new(),
            status: OnceLock::new(),
        }
    }

    /// Its body is there.
    pub fn complete(&self, body: &[u8]) {
        if self.call == Call::PutLogs {
            let _ = self.content.set(Group::read(&self.head, body));
        }
    }

    /// Of a PutLogs whose body was read.
    pub fn content(&self) -> Option<&Result<Group, Fault>> {
        self.content.get()
    }

    /// Of a PutLogs whose body could be read.
    pub fn group(&self) -> Option<&Group> {
        self.content().and_then(|content| content.as_ref().ok())
    }

    pub fn answered(&self, status: u16) {
        let _ = self.status.set(status);
    }

    /// What it was answered, if it was.
    pub fn status(&self) -> Option<u16> {
        self.status.get().copied()
    }

    /// Where a key-hash write goes.
    pub fn hash_key(&self) -> Option<u128> {
        let query = self.head.query();
        let (_, key) = query.iter().find(|(name, _)| name == "key")?;
        u128::from_str_radix(key, 16)
            .ok()
            .filter(|_| key.len() == 32)
    }

    /// The id of the key that signed it.
    pub fn key_id(&self) -> Option<&str> {
        let text = self.head.header("authorization")?;
        match text.strip_prefix("LOG ") {
            Some(v1) => v1.split_once(':').map(|(id, _)| id),
            None => {
                let (_, credential) = text.split_once("Credential=")?;
                credential.split_once('/').map(|(id, _)| id)
            }
        }
    }
}

fn classify(head: &Head) -> (Call, &str) {
    let segments: Vec<&str> = head.path().split('/').skip(1).collect();
    match (&*head.method, &*segments) {
        ("GET", [""]) => (Call::GetProject, ""),
        ("GET", ["logstores", name]) => (Call::GetLogStore, name),
        ("GET", ["logstores", name, "shards"]) => (Call::ListShards, name),
        ("POST", ["logstores", name]) => (Call::PutLogs, name),
        ("POST", ["logstores", name, "shards", "lb" | "route"]) => (Call::PutLogs, name),
        _ => (Call::Other, ""),
    }
}

/// From the header made for it, else the first label of the host.
fn project(head: &Head) -> String {
    let host = head.header("host").unwrap_or_default();
    let label = host.split('.').next().unwrap_or_default();
    head.header("x-log-project").unwrap_or(label).to_owned()
}
