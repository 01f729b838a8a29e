//! `[embedded.api]`: the store's HTTP API, off unless it has an address. What it serves is the API's business.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::sign::CertifiedKey;
use serde::Deserialize;

use super::certificate;
use super::problem::Problems;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ApiSection {
    address: Option<String>,
    region: String,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    allow_plain_http: bool,
    check_times: bool,
}

impl Default for ApiSection {
    fn default() -> Self {
        Self {
            address: None,
            region: "local".into(),
            certificate: None,
            key: None,
            allow_plain_http: false,
            check_times: false,
        }
    }
}

/// The API as it is to be served.
#[derive(Clone, Debug)]
pub struct Api {
    pub address: SocketAddr,
    /// The region that clients of signature version 4 name.
    pub region: String,
    /// `None`: plain HTTP.
    pub certified: Option<Arc<CertifiedKey>>,
    /// Refuse logs whose times the Log Service would refuse.
    pub check_times: bool,
}

impl ApiSection {
    /// `None`: the API is off, or something is wrong and noted.
    pub fn convert(self, base: &Path, problems: &mut Problems<'_>) -> Option<Api> {
        let certified = self.certified(base, problems);
        let is_region_plain = self.region.bytes().all(|byte| byte.is_ascii_graphic());
        if self.region.is_empty() || self.region.contains(['/', ',']) || !is_region_plain {
            problems.error(
                "embedded.api.region",
                "is not a region that a signature can name",
                "name the region, like \"local\"",
            );
        }
        let address = self.address?;
        let Ok(address) = address.parse::<SocketAddr>() else {
            problems.error(
                "embedded.api.address",
                format_args!("`{address}` is not an IP address with a port"),
                "write it like \"127.0.0.1:10080\"",
            );
            return None;
        };
        let is_plain = self.certificate.is_none() && !self.allow_plain_http;
        if is_plain && !address.ip().is_loopback() {
            problems.error(
                "embedded.api.address",
                format_args!("{address} faces a network, where plain HTTP shows every log to whoever listens"),
                "give certificate and key, choose an address like \"127.0.0.1:10080\", or set allow-plain-http = true",
            );
        }
        Some(Api {
            address,
            region: self.region,
            certified,
            check_times: self.check_times,
        })
    }

    fn certified(&self, base: &Path, problems: &mut Problems<'_>) -> Option<Arc<CertifiedKey>> {
        let (certificate, key) = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => (base.join(certificate), base.join(key)),
            (None, None) => return None,
            (Some(_), None) | (None, Some(_)) => {
                problems.error(
                    "embedded.api",
                    "certificate and key belong together",
                    "give both for HTTPS, or none for plain HTTP",
                );
                return None;
            }
        };
        let loaded = certificate::load(&certificate, &key).map_err(|error| {
            let at = if error.concerns_key() {
                "key"
            } else {
                "certificate"
            };
            problems.error(&format!("embedded.api.{at}"), &error, error.cure());
        });
        loaded.ok()
    }
}
