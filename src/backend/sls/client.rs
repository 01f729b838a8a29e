//! The Log Service's HTTP API as the gateway calls it: GetProject, ListShards, PutLogs.
//!
//! ```text
//! call ──headers, signature (signed)──▶ one HTTP/1.1 exchange (upstream) ──▶ answer ──▶ result, or CallError
//!   ▲                                                                          │
//!   └────────── once more, with the Log Service's time, where ours is off ◀────┘
//! ```
//!
//! Each region has one pool of connections for all projects and keys. Whether a refusal is worth another try, when, and
//! what a Kafka client is told, is left to the backend; so is what is remembered of an answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use serde::Deserialize;
use tokio::time::Instant;

mod answer;
mod body;
mod call;
mod clock;
mod codes;
mod connect;
mod endpoint;
mod error;
mod shards;
mod signed;
mod trust;
mod upstream;

#[cfg(test)]
mod tests;

pub use call::Payload;
pub use connect::{Proxy, ProxyError};
pub use endpoint::{ConnectAddress, Endpoint, EndpointError};
pub use error::{CallError, Content, Kind, Measure, Quota, QuotaLevel, Sent};
pub use shards::Shard;
pub use trust::TrustError;

use call::Call;
use upstream::{Errand, Upstream};

use crate::logs::{Codec, Compression, DigestKind, LogGroup};
use crate::tenant::{LogstoreName, Tenant};

/// How the Log Service is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub signature: SignatureVersion,
    pub compression: Compression,
    /// One for each region.
    pub endpoints: Vec<Endpoint>,
    /// Of one call, with everything in it; a write may be given less.
    pub request_timeout: Duration,
    pub connect_timeout: Duration,
    /// `None`: none, whatever the environment says.
    pub proxy: Option<Proxy>,
    /// Certificate authorities beside the system's.
    pub authorities: Vec<CertificateDer<'static>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureVersion {
    V1,
    V4,
}

impl SignatureVersion {
    fn digest(self) -> DigestKind {
        match self {
            Self::V1 => DigestKind::Md5,
            Self::V4 => DigestKind::Sha256,
        }
    }
}

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    #[error("cannot set up the HTTP client: {0}")]
    Http(#[from] reqwest::Error),
}

/// Which shard a group goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The Log Service chooses.
    AnyShard,
    /// The writable shard whose range holds this key.
    Key(u128),
}

/// The client of all regions; shared.
pub struct Client {
    signature: SignatureVersion,
    compression: Compression,
    request_timeout: Duration,
    upstreams: HashMap<Arc<str>, Upstream>,
}

impl Client {
    /// Reads the system's certificate authorities; connects nowhere.
    ///
    /// # Errors
    /// When there is nobody to trust, or the parts do not fit.
    pub fn new(settings: &Settings) -> Result<Self, ClientError> {
        let tls = connect::tls(settings)?;
        let mut upstreams = HashMap::with_capacity(settings.endpoints.len());
        for endpoint in &settings.endpoints {
            let http = connect::http_client(endpoint, settings, tls.clone())?;
            let upstream = Upstream::new(endpoint.clone(), http, settings.proxy.is_some());
            upstreams.insert(Arc::clone(&endpoint.region), upstream);
        }
        Ok(Self {
            signature: settings.signature,
            compression: settings.compression,
            request_timeout: settings.request_timeout,
            upstreams,
        })
    }

    /// How groups must be closed.
    pub fn codec(&self) -> Codec {
        Codec {
            compression: self.compression,
            digest: Some(self.signature.digest()),
        }
    }

    /// A group that was closed so, ready to be sent any number of times.
    pub fn payload(&self, group: &LogGroup) -> Payload {
        Payload::new(group, self.compression, self.signature.digest())
    }

    /// Unix seconds by the Log Service's clock of a region, as far as it is known.
    pub fn now_s(&self, region: &str) -> i64 {
        match self.upstreams.get(region) {
            Some(upstream) => upstream.clock.now_s(),
            None => clock::local_s(),
        }
    }

    /// Does the project exist, and may the key ask?
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn get_project(&self, tenant: &Tenant) -> Result<(), CallError> {
        self.carry_out(tenant, &Call::get_project(), self.request_timeout)
            .await
            .map(drop)
    }

    /// All shards of a Logstore, also those that take no more logs.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn list_shards(
        &self,
        tenant: &Tenant,
        logstore: &LogstoreName,
    ) -> Result<Vec<Shard>, CallError> {
        let call = Call::list_shards(logstore);
        let answer = self.carry_out(tenant, &call, self.request_timeout).await?;
        shards::parse(&answer.body).map_err(|error| answer.unreadable(&error))
    }

    /// Writes a group. `timeout` counts for the whole call and is cut to the configured one.
    ///
    /// # Errors
    /// See [`CallError`]; [`CallError::may_be_stored`] says what became of the group.
    pub async fn put_logs(
        &self,
        tenant: &Tenant,
        logstore: &LogstoreName,
        target: Target,
        payload: &Payload,
        timeout: Duration,
    ) -> Result<(), CallError> {
        let call = Call::put_logs(logstore, target, payload.clone());
        self.carry_out(tenant, &call, timeout.min(self.request_timeout))
            .await
            .map(drop)
    }

    async fn carry_out(
        &self,
        tenant: &Tenant,
        call: &Call,
        timeout: Duration,
    ) -> Result<answer::Answer, CallError> {
        let Some(upstream) = self.upstreams.get(&*tenant.region) else {
            return Err(CallError::ours("the region has no endpoint"));
        };
        upstream
            .carry_out(Errand {
                tenant,
                call,
                signature: self.signature,
                deadline: Instant::now() + timeout,
            })
            .await
    }
}
