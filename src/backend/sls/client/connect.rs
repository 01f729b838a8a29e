//! How connections are made: HTTP/1.1 over our TLS, to the configured address, through the configured proxy or none.
//!
//! No redirects are followed and no proxy is taken from the environment: requests carry secrets, which must go nowhere
//! else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};

use super::trust::authorities;
use super::{ClientError, Endpoint, Settings};
use crate::tenant::Secret;

/// Servers close at 60 s, it seems, since the official clients close at 55.
const IDLE_MAX: Duration = Duration::from_secs(50);
/// Connections to one project that are kept for later.
const IDLE_PER_PROJECT_MAX: usize = 32;

const USER_AGENT: &str = concat!("sluice/", env!("CARGO_PKG_VERSION"));

/// An HTTP proxy between the gateway and the Log Service; its URL may hold a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    url: Secret,
    https: bool,
}

/// What is wrong with a proxy's URL, in words that repeat nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    #[error("it is not a URL")]
    NoUrl,
    #[error("it does not begin with http:// or https://")]
    Scheme,
    #[error("it has a path or a query")]
    NotOnlyHost,
}

impl Proxy {
    /// Reads a URL like `http://user:password@proxy.example.com:3128`.
    ///
    /// # Errors
    /// When it is none, or of another kind of proxy.
    pub fn parse(text: &str) -> Result<Self, ProxyError> {
        let url = Url::parse(text).map_err(|_| ProxyError::NoUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ProxyError::Scheme);
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(ProxyError::NotOnlyHost);
        }
        Ok(Self {
            https: url.scheme() == "https",
            url: Secret::new(text),
        })
    }
}

/// The TLS side of all connections.
pub(super) fn tls(settings: &Settings) -> Result<ClientConfig, ClientError> {
    let endpoints = settings.endpoints.iter().any(|endpoint| endpoint.https);
    let roots = match endpoints || settings.proxy.as_ref().is_some_and(|proxy| proxy.https) {
        true => authorities(&settings.authorities)?,
        false => RootCertStore::empty(),
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The connections of one endpoint.
pub(super) fn http_client(
    endpoint: &Endpoint,
    settings: &Settings,
    tls: ClientConfig,
) -> Result<reqwest::Client, ClientError> {
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .user_agent(USER_AGENT)
        .connect_timeout(settings.connect_timeout)
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(IDLE_PER_PROJECT_MAX)
        .tcp_nodelay(true);
    let builder = match &settings.proxy {
        Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy.url.expose())?),
        None => builder.dns_resolver(Arc::new(Address::of(endpoint))),
    };
    Ok(builder.build()?)
}

/// What stands in a request's URL before the path. Without a proxy it has no port, since a port there would win over that
/// of [`Address`]; a proxy must be told.
pub(super) fn origin(endpoint: &Endpoint, host: &str, proxied: bool) -> String {
    let scheme = if endpoint.https { "https" } else { "http" };
    let named = match host.split_once(':') {
        Some((name, _)) if !proxied => name,
        _ => host,
    };
    format!("{scheme}://{named}")
}

/// The address that is dialled, whatever project's host is asked for.
struct Address {
    /// `None`: the host that is asked for.
    host: Option<Arc<str>>,
    port: u16,
}

impl Address {
    fn of(endpoint: &Endpoint) -> Self {
        match &endpoint.connect {
            Some(connect) => Self {
                host: Some(Arc::clone(&connect.host)),
                port: connect.port,
            },
            None => Self {
                host: None,
                port: endpoint.port,
            },
        }
    }
}

impl Resolve for Address {
    fn resolve(&self, name: Name) -> Resolving {
        let host = self.host.clone();
        let host = host.unwrap_or_else(|| name.as_str().into());
        let port = self.port;
        Box::pin(async move {
            let found = tokio::net::lookup_host((&*host, port)).await?;
            let found: Vec<SocketAddr> = found.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
