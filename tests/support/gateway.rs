//! A gateway in this process, on a port of its own, in front of any backend.

#![allow(dead_code, reason = "each binary uses a part of it")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use sluice::backend::Backend;
use sluice::catalog::Spread;
use sluice::failure::NetworkError;
use sluice::ingest;
use sluice::logs::Mapping;
use sluice::memory::Budget;
use sluice::records;
use sluice::refusals::Refusals;
use sluice::server::limits::Limits;
use sluice::server::tls::{Certificates, provider, server_config};
use sluice::server::{BadKey, Listener, Server, Shared};
use sluice::tenant::{Endpoint, Endpoints};

pub const PROJECT: &str = "project-1";
pub const LOGSTORE: &str = "logstore-1";
pub const PASSWORD: &str = "key-id#key-secret";

/// A running server; stopped and drained when dropped.
pub struct Gateway {
    pub address: SocketAddr,
    pub certificate: CertificateDer<'static>,
    pub budget: Budget,
    pub refusals: Arc<Refusals>,
    backend: Arc<dyn Backend>,
    runtime: Option<Runtime>,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<bool>>,
}

/// What a test may want otherwise.
pub struct Settings {
    pub limits: Limits,
    pub bad_key: BadKey,
    pub spread: Spread,
    pub decompressed_bytes_max: usize,
    pub network_error: NetworkError,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits {
                failed_login_delay: Duration::from_millis(50),
                ..Limits::default()
            },
            bad_key: BadKey::TopicError,
            spread: Spread::RoundRobin { partitions: None },
            decompressed_bytes_max: records::Limits::default().decompressed_bytes_max,
            network_error: NetworkError::Safe,
        }
    }
}

impl Gateway {
    pub fn start(backend: Arc<dyn Backend>, settings: Settings) -> Self {
        let made = rcgen::generate_simple_self_signed(vec![
            "localhost".into(),
            format!("{PROJECT}.localhost"),
        ])
        .expect("a certificate");
        let private = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("PKCS#8");
        let certificate = made.cert.der().clone();
        let key = CertifiedKey::from_der(vec![certificate.clone()], private, &provider())
            .expect("they fit");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("threads");
        let (server, budget, refusals) =
            runtime.block_on(bind(Arc::clone(&backend), settings, Arc::new(key)));
        let address = server.addresses().next().expect("one listener").1;
        let (stop, stopped) = oneshot::channel();
        let serving = runtime.spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self {
            address,
            certificate,
            budget,
            refusals,
            backend,
            runtime: Some(runtime),
            stop: Some(stop),
            serving: Some(serving),
        }
    }

    /// Begins the drain, as SIGTERM does.
    pub fn begin_stop(&mut self) {
        self.stop.take();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.begin_stop();
        let (Some(runtime), Some(serving)) = (self.runtime.take(), self.serving.take()) else {
            return;
        };
        let backend = Arc::clone(&self.backend);
        runtime.block_on(async move {
            let _ = serving.await;
            backend.close().await;
        });
        runtime.shutdown_timeout(Duration::from_secs(5));
    }
}

async fn bind(
    backend: Arc<dyn Backend>,
    settings: Settings,
    key: Arc<CertifiedKey>,
) -> (Server, Budget, Arc<Refusals>) {
    let config = ingest::Config {
        mapping: Mapping::default(),
        spread: settings.spread,
        records: records::Limits {
            decompressed_bytes_max: settings.decompressed_bytes_max,
            ..records::Limits::default()
        },
        network_error: settings.network_error,
    };
    let shared =
        Shared::start(backend, config, settings.limits, settings.bad_key).expect("threads");
    let (budget, refusals) = (shared.budget().clone(), Arc::clone(shared.refusals()));
    let endpoint = Endpoint {
        name: "localhost".into(),
        region: "local".into(),
    };
    let listener = Listener {
        name: "test".into(),
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        advertised_port: None,
        advertised_host: None,
        endpoints: Endpoints::new(vec![endpoint]).expect("one"),
        tls: server_config(Certificates {
            default: key,
            by_name: Default::default(),
            strict: false,
        })
        .expect("TLS"),
    };
    let server = Server::bind(vec![listener], shared).await;
    (server.expect("a free port"), budget, refusals)
}
