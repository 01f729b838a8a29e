//! The real program in front of the service.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use tempfile::TempDir;

use sluice::backend::{Backend, Profile, sls};
use sluice::config;

use super::client::{self, Door};
use super::process::{cpu_seconds, resident_kib};
use super::service::Service;

pub const PROJECT: &str = "bench-project";
pub const LOGSTORE: &str = "bench-logstore";
/// What is written to the Log Service by default.
pub const DEFAULT: Body = Body {
    compression: "lz4",
    signature: "v1",
};

const START_MAX: Duration = Duration::from_secs(10);

/// How groups are compressed, and which digest of them is signed.
#[derive(Clone, Copy)]
pub struct Body {
    pub compression: &'static str,
    pub signature: &'static str,
}

/// `sluice serve`; killed when dropped.
pub struct Gateway {
    process: Child,
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    config: PathBuf,
    _folder: TempDir,
}

impl Gateway {
    pub fn start(service: &Service, body: Body) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = free_address();
        let config = folder.path().join("sluice.toml");
        let text = configuration(address, service.address, body);
        fs::write(&config, text).expect("written");
        let tls = certificate(folder.path());
        let process = Command::new(env!("CARGO_BIN_EXE_sluice"))
            .args(["serve", "--config"])
            .arg(&config)
            .env_remove("SLUICE_LOG")
            .spawn()
            .expect("the program starts");
        wait_for(address);
        Self {
            process,
            address,
            tls,
            config,
            _folder: folder,
        }
    }

    /// Of the gateway alone, so far.
    pub fn cpu_seconds(&self) -> f64 {
        cpu_seconds(self.process.id())
    }

    pub fn resident_mib(&self) -> f64 {
        resident_kib(self.process.id()) / 1024.0
    }

    pub fn door(&self, project: &'static str) -> Door {
        Door {
            address: self.address,
            tls: Arc::clone(&self.tls),
            project,
            logstore: LOGSTORE,
            from: None,
        }
    }

    /// What its backend asks of groups.
    pub fn profile(&self) -> Profile {
        let loaded = config::load(&self.config).expect("a good configuration");
        let config::Backend::Sls(config) = loaded.backend else {
            unreachable!("the file says sls")
        };
        sls::Sls::new(config).expect("nobody is asked").profile()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn configuration(address: SocketAddr, service: SocketAddr, body: Body) -> String {
    let Body {
        compression,
        signature,
    } = body;
    format!(
        r#"
backend = "sls"

[[listeners]]
name = "bench"
address = "{address}"

[[listeners.endpoints]]
name = "localhost"
region = "bench"
certificate = "server.pem"
key = "server.key"

[log]
filter = "error"

[sls]
projects = ["*"]
compression = "{compression}"
signature = "{signature}"

[[sls.endpoints]]
region = "bench"
url = "http://bench.log.localhost"
connect = "{service}"
"#
    )
}

/// Writes a certificate and its key; gives TLS that trusts it.
fn certificate(folder: &Path) -> Arc<ClientConfig> {
    let names = vec!["localhost".to_owned(), "*.localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    fs::write(folder.join("server.pem"), made.cert.pem()).expect("written");
    let key = made.signing_key.serialize_pem();
    fs::write(folder.join("server.key"), key).expect("written");
    client::tls(made.cert.der().clone())
}

fn free_address() -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("it is bound")
}

fn wait_for(address: SocketAddr) {
    let began = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(began.elapsed() < START_MAX, "the gateway does not listen");
        thread::sleep(Duration::from_millis(20));
    }
}
