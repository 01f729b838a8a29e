//! The client against a small HTTP server with a script, over real sockets.

mod faults;
mod network;
mod requests;
mod server;
mod table;

use std::sync::Arc;
use std::time::Duration;

use server::Server;

use super::*;
use crate::tenant::{Credentials, ProjectName, Secret};

const ID: &str = "FAKEACCESSKEYID0001";
const SECRET: &str = "FakeAccessKeySecretForTestsOnly01";
/// Long enough for a busy machine; no test waits for it in vain.
const TIMEOUT: Duration = Duration::from_secs(20);

fn tenant() -> Tenant {
    with_credentials(ID, None)
}

fn with_credentials(id: &str, token: Option<&str>) -> Tenant {
    Tenant {
        peer: [127, 0, 0, 1].into(),
        project: ProjectName::parse("test-project-1").unwrap(),
        credentials: Arc::new(Credentials {
            access_key_id: id.into(),
            access_key_secret: Secret::new(SECRET),
            security_token: token.map(Secret::new),
        }),
        region: "r".into(),
        endpoint: "log.example.com".into(),
    }
}

fn logstore() -> LogstoreName {
    LogstoreName::parse("test-logstore-1").unwrap()
}

fn group() -> LogGroup {
    LogGroup {
        body: b"compressed".as_slice().into(),
        digest: None,
        raw_bytes: 165,
        log_count: 1,
        time_min: 1,
        time_max: 1,
    }
}

/// The endpoint of a URL, dialled at a server of this machine.
fn endpoint(url: &str, server: &Server) -> Endpoint {
    Endpoint {
        connect: Some(server.address().to_string().parse().unwrap()),
        ..Endpoint::parse("r", url).unwrap()
    }
}

fn settings(endpoint: Endpoint) -> Settings {
    Settings {
        signature: SignatureVersion::V1,
        compression: Compression::Lz4,
        endpoints: vec![endpoint],
        request_timeout: TIMEOUT,
        connect_timeout: TIMEOUT,
        proxy: None,
        authorities: Vec::new(),
    }
}

/// Of plain HTTP, with default settings.
fn client(server: &Server) -> Client {
    Client::new(&settings(endpoint("http://log.example.com", server))).unwrap()
}

async fn put(client: &Client) -> Result<(), CallError> {
    send(client, &client.payload(&group()), Target::AnyShard, TIMEOUT).await
}

async fn send(
    client: &Client,
    payload: &Payload,
    target: Target,
    timeout: Duration,
) -> Result<(), CallError> {
    client
        .put_logs(&tenant(), &logstore(), target, payload, timeout)
        .await
}
