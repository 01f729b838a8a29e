//! `sluice serve`: configuration → store → ingest → listeners → run until told to stop → drain → close the store.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::timeout;

use super::{Failure, ServeArguments};
use crate::api::Api;
use crate::backend::Backend;
use crate::backend::embedded::writer::Counters;
use crate::backend::embedded::{self, Embedded};
use crate::backend::sls::Sls;
use crate::catalog;
use crate::config::{self, Config, SpreadMode};
use crate::ingest;
use crate::records;
use crate::server::limits::Limits;
use crate::server::tls::{Certificates, server_config};
use crate::server::{Listener, Server, Shared};
use crate::session;
use crate::telemetry;
use crate::tenant::{Endpoint, Endpoints};

mod api;

/// How long writes may go on after the last connection has closed; those have been answered as uncertain.
const AFTERMATH: Duration = Duration::from_secs(3);

/// A listener with the port it really has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The listener's name.
    pub name: String,
    pub address: SocketAddr,
}

/// Where clients may come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reachable {
    /// In the order of the configuration.
    pub listeners: Vec<Bound>,
    /// Of the store's HTTP API, like `http://127.0.0.1:10080`.
    pub api: Option<String>,
}

pub fn run(arguments: &ServeArguments) -> Result<(), Failure> {
    let config = config::load(&arguments.config)?;
    telemetry::init(&config.log)?;
    runtime()?.block_on(async {
        let stop = stop_signal()?;
        start(config, |_| (), stop).await
    })
}

pub(super) fn runtime() -> Result<Runtime, Failure> {
    Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Runtime(format!("cannot start threads: {error}")))
}

/// Runs the gateway until `stop`, then drains and closes the store. `ready` is told the bound addresses once clients may
/// come.
pub async fn start(
    config: Config,
    ready: impl FnOnce(&Reachable),
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let opened = open(&config.backend)?;
    let backend = opened.backend();
    let shared = Shared::start(
        Arc::clone(&backend),
        ingest_config(&config),
        limits(&config),
        config.auth.bad_key,
    )
    .map_err(|error| Failure::Runtime(format!("cannot start threads: {error}")))?;
    let ingest = shared.ingest().clone();
    let listeners = config
        .listeners
        .iter()
        .map(listener)
        .collect::<Result<_, _>>()?;
    let server = Server::bind(listeners, shared).await.map_err(not_bound)?;
    let api = match &opened {
        Opened::Embedded(store) => api::bind(&config, store).await?,
        Opened::Sls(_) => None,
    };
    let listeners = server
        .addresses()
        .map(|(name, address)| Bound {
            name: name.to_owned(),
            address,
        })
        .collect();
    ready(&Reachable {
        listeners,
        api: api.as_ref().map(|api| api::url(&config, api)),
    });
    let in_order = run_until(stop, server, api).await;
    // What its clients no longer wait for may still be under way: it gets a moment more.
    let in_order = in_order && timeout(AFTERMATH, ingest.drain()).await.is_ok();
    backend.close().await;
    match &opened {
        Opened::Embedded(store) => report(store.counters(), in_order),
        Opened::Sls(_) => tracing::info!(in_order, "stopped"),
    }
    Ok(())
}

/// Serves on all sockets until `stop`, then drains them side by side. True: all went in order.
async fn run_until(stop: impl Future<Output = ()>, server: Server, api: Option<Api>) -> bool {
    let (stopping, mut stopped) = watch::channel(false);
    let stop = async {
        stop.await;
        let _ = stopping.send(true);
    };
    let stop_api = async {
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let served_api = async {
        match api {
            Some(api) => api.run(stop_api).await,
            None => true,
        }
    };
    let (served, served_api) = tokio::join!(server.run(stop), served_api);
    served && served_api
}

fn not_bound(error: std::io::Error) -> Failure {
    Failure::Runtime(format!(
        "{error}; stop what uses the port or choose another"
    ))
}

/// Where logs go.
enum Opened {
    Embedded(Arc<Embedded>),
    Sls(Arc<Sls>),
}

impl Opened {
    fn backend(&self) -> Arc<dyn Backend> {
        match self {
            Self::Embedded(store) => Arc::clone(store) as _,
            Self::Sls(service) => Arc::clone(service) as _,
        }
    }
}

fn open(config: &config::Backend) -> Result<Opened, Failure> {
    match config {
        config::Backend::Embedded(store) => open_store(store).map(Opened::Embedded),
        config::Backend::Sls(service) => {
            let regions = service.client.endpoints.iter();
            for endpoint in regions {
                tracing::info!(
                    region = &*endpoint.region,
                    host = &*endpoint.host,
                    "logs go to the Log Service"
                );
            }
            Sls::new(service.clone())
                .map(|service| Opened::Sls(Arc::new(service)))
                .map_err(|error| Failure::Runtime(format!("cannot use the Log Service: {error}")))
        }
    }
}

fn open_store(store: &embedded::Config) -> Result<Arc<Embedded>, Failure> {
    tracing::info!(
        data_dir = %store.data_dir.display(),
        retention_seconds = store.retention_age.as_secs(),
        retention_bytes = store.retention_bytes_max,
        "opening the store; older logs, and those over the bytes of their Logstore, are deleted"
    );
    match Embedded::open(store.clone()) {
        Ok(embedded) => Ok(Arc::new(embedded)),
        Err(error) => Err(Failure::Runtime(error.to_string())),
    }
}

/// The last event: what the store took, and what it let go by age and size.
fn report(counters: &Counters, in_order: bool) {
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    tracing::info!(
        in_order,
        commits = count(&counters.commits),
        groups = count(&counters.groups),
        logs = count(&counters.logs),
        bytes = count(&counters.bytes),
        expired_groups = count(&counters.expired_groups),
        expired_logs = count(&counters.expired_logs),
        failures = count(&counters.failures),
        "stopped"
    );
}

fn spread(config: &Config) -> catalog::Spread {
    match config.spread.mode {
        SpreadMode::RoundRobin => catalog::Spread::RoundRobin {
            partitions: config.spread.partitions,
        },
        SpreadMode::ByPartition => catalog::Spread::ByPartition,
    }
}

fn ingest_config(config: &Config) -> ingest::Config {
    ingest::Config {
        mapping: config.mapping.clone(),
        spread: spread(config),
        records: records::Limits {
            decompressed_bytes_max: config.limits.decompressed_bytes_max,
            records_max: config.limits.records_per_batch_max,
        },
        network_error: config.network_error,
    }
}

fn limits(config: &Config) -> Limits {
    let limits = &config.limits;
    Limits {
        session: session::Limits {
            frame_before_login_bytes_max: limits.frame_before_login_bytes_max,
            frame_before_proof_bytes_max: limits.frame_before_proof_bytes_max,
            frame_bytes_max: limits.frame_bytes_max,
        },
        in_flight_bytes_max: limits.in_flight_bytes_max,
        requests_per_connection_max: limits.requests_per_connection_max,
        connections_max: limits.connections_max,
        connections_per_address_max: limits.connections_per_address_max,
        connections_per_project_max: limits.connections_per_project_max,
        handshakes_max: limits.handshakes_max,
        handshake_timeout: limits.handshake_timeout,
        login_timeout: limits.login_timeout,
        idle_timeout: limits.idle_timeout,
        failed_login_delay: config.auth.failed_login_delay,
        body_rate_min: limits.body_rate_min,
        body_rate_window: limits.body_rate_window,
        drain_grace: limits.drain_grace,
    }
}

fn listener(config: &config::Listener) -> Result<Listener, Failure> {
    let endpoints = config.endpoints.iter().map(|endpoint| Endpoint {
        name: endpoint.name.as_str().into(),
        region: endpoint.region.as_str().into(),
    });
    let tls = server_config(certificates(config)).map_err(|error| {
        Failure::Runtime(format!("cannot set up TLS for {}: {error}", config.place))
    })?;
    Ok(Listener {
        name: config.name.as_str().into(),
        address: config.address,
        advertised_port: config.advertised_port,
        advertised_host: config.advertised_host.as_deref().map(Into::into),
        endpoints: Endpoints::new(endpoints.collect())
            .ok_or_else(|| Failure::Usage(format!("{} has no endpoint", config.place)))?,
        tls,
    })
}

/// Each endpoint's certificate serves its name and the projects below it.
fn certificates(config: &config::Listener) -> Certificates {
    let by_name = config.endpoints.iter().flat_map(|endpoint| {
        [endpoint.name.clone(), format!("*.{}", endpoint.name)]
            .map(|name| (name, Arc::clone(&endpoint.certified)))
    });
    Certificates {
        by_name: by_name.collect(),
        default: Arc::clone(&config.endpoints[0].certified),
        strict: config.strict_sni,
    }
}

/// Ends at the first SIGTERM or SIGINT; a second one ends the process, for whoever cannot wait for the drain.
pub(super) fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let catch = |kind| {
        signal(kind).map_err(|error| Failure::Runtime(format!("cannot catch signals: {error}")))
    };
    let mut terminate = catch(SignalKind::terminate())?;
    let mut interrupt = catch(SignalKind::interrupt())?;
    Ok(async move {
        let first = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = first, "stopping");
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::process::exit(1);
        });
    })
}
