//! `[sls]`: the Log Service of Alibaba Cloud, its endpoints, and whose logs are passed on. What the backend makes of it
//! is its own business.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use serde::Deserialize;

use super::auth::Auth;
use super::certificate;
use super::embedded::secret;
use super::listeners::Listener;
use super::mapping::{Spread, SpreadMode};
use super::problem::Problems;
use super::units::period;
use crate::backend::sls::client::{Proxy, Settings, SignatureVersion};
use crate::backend::sls::{Config, Route};
use crate::failure::NetworkError;
use crate::logs::Compression;
use crate::server::BadKey;
use crate::tenant::Secret;

mod endpoints;
mod projects;

pub(super) use endpoints::EndpointSection;

/// The file's words for [`Compression`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Compressed {
    Lz4,
    Zstd,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct SlsSection {
    pub projects: Option<Vec<String>>,
    signature: SignatureVersion,
    route: Route,
    compression: Compressed,
    #[serde(with = "period")]
    request_timeout: Duration,
    #[serde(with = "period")]
    connect_timeout: Duration,
    #[serde(with = "period")]
    linger_min: Duration,
    #[serde(with = "period")]
    linger_max: Duration,
    writes_per_logstore: usize,
    #[serde(with = "period")]
    shards_refresh: Duration,
    #[serde(with = "period")]
    key_grace: Duration,
    pub network_error: NetworkError,
    #[serde(deserialize_with = "secret")]
    proxy: Option<Secret>,
    ca_file: Option<PathBuf>,
    pub endpoints: Vec<EndpointSection>,
}

impl Default for SlsSection {
    fn default() -> Self {
        Self {
            projects: None,
            signature: SignatureVersion::V1,
            route: Route::KeyHash,
            compression: Compressed::Lz4,
            // Less than the 24 s that a Produce request with Java's timeout of 30 s may take.
            request_timeout: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(5),
            linger_min: Duration::from_millis(5),
            linger_max: Duration::from_millis(20),
            writes_per_logstore: 8,
            shards_refresh: Duration::from_secs(60),
            key_grace: Duration::from_secs(3600),
            network_error: NetworkError::Safe,
            proxy: None,
            ca_file: None,
            endpoints: Vec::new(),
        }
    }
}

/// What other sections say that counts here.
pub(super) struct Rest<'a> {
    pub listeners: &'a [Listener],
    pub spread: Spread,
    pub auth: Auth,
}

impl SlsSection {
    /// Whatever is wrong is noted, and then the result is not to be used.
    pub fn convert(self, base: &Path, rest: &Rest<'_>, problems: &mut Problems<'_>) -> Config {
        self.check(rest, problems);
        let proxy = self.proxy.as_ref().and_then(|url| proxy(url, problems));
        let endpoints = endpoints::convert(&self, problems);
        endpoints::check_regions(&endpoints, rest.listeners, problems);
        let authorities = self.ca_file.as_ref().map(|file| base.join(file));
        Config {
            client: Settings {
                signature: self.signature,
                compression: match self.compression {
                    Compressed::Lz4 => Compression::Lz4,
                    Compressed::Zstd => Compression::Zstd,
                },
                endpoints,
                request_timeout: self.request_timeout,
                connect_timeout: self.connect_timeout,
                proxy,
                authorities: authorities
                    .map_or_else(Vec::new, |file| read_authorities(&file, problems)),
            },
            projects: projects::convert(self.projects, rest.listeners, problems),
            route: self.route,
            by_partition: rest.spread.mode == SpreadMode::ByPartition,
            verify_logins: rest.auth.bad_key != BadKey::TopicError,
            linger_min: self.linger_min,
            linger_max: self.linger_max,
            writes_per_logstore_max: self.writes_per_logstore,
            shards_refresh: self.shards_refresh,
            key_grace: self.key_grace,
        }
    }

    fn check(&self, rest: &Rest<'_>, problems: &mut Problems<'_>) {
        let second = Duration::from_secs(1);
        let ms = Duration::from_millis;
        for (key, value, least, most) in [
            ("request-timeout", self.request_timeout, second, 60 * second),
            (
                "connect-timeout",
                self.connect_timeout,
                ms(100),
                self.request_timeout,
            ),
            ("linger-min", self.linger_min, ms(0), self.linger_max),
            // A Kafka client waits for its answer all the while.
            ("linger-max", self.linger_max, ms(0), second),
            ("shards-refresh", self.shards_refresh, second, 3600 * second),
            ("key-grace", self.key_grace, ms(0), 86_400 * second),
        ] {
            if !(least..=most).contains(&value) {
                problems.error(
                    &format!("sls.{key}"),
                    format_args!("{} ms is out of range", value.as_millis()),
                    format_args!("choose {} ms to {} ms", least.as_millis(), most.as_millis()),
                );
            }
        }
        if !(1..=WRITES_PER_LOGSTORE_MAX).contains(&self.writes_per_logstore) {
            problems.error(
                "sls.writes-per-logstore",
                format_args!("{} is out of range", self.writes_per_logstore),
                format_args!("choose 1 to {WRITES_PER_LOGSTORE_MAX}"),
            );
        }
        if self.route == Route::LoadBalanced && rest.spread.mode == SpreadMode::ByPartition {
            problems.error(
                "sls.route",
                "\"load-balanced\" leaves the shard to the Log Service, and spread.mode = \"by-partition\" does not",
                "change one of the two",
            );
        }
    }
}

/// Each holds a connection; a shard takes 500 writes a second.
const WRITES_PER_LOGSTORE_MAX: usize = 256;

fn proxy(url: &Secret, problems: &mut Problems<'_>) -> Option<Proxy> {
    Proxy::parse(url.expose())
        .map_err(|error| {
            problems.error(
                "sls.proxy",
                error,
                "write it like \"http://user:password@proxy.example.com:3128\"",
            );
        })
        .ok()
}

fn read_authorities(file: &Path, problems: &mut Problems<'_>) -> Vec<CertificateDer<'static>> {
    certificate::load_chain(file).unwrap_or_else(|error| {
        problems.error(
            "sls.ca-file",
            error,
            "give the certificates of authorities, each as a CERTIFICATE block",
        );
        Vec::new()
    })
}

#[cfg(test)]
mod tests;
