//! `[[listeners]]`: where clients dial, under which names, and the certificate of each name.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::sign::CertifiedKey;
use rustls_pki_types::{DnsName, ServerName};
use serde::Deserialize;

use super::certificate;
use super::problem::Problems;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ListenerSection {
    name: String,
    address: String,
    advertised_port: Option<u16>,
    advertised_host: Option<String>,
    #[serde(default)]
    strict_sni: bool,
    #[serde(default)]
    endpoints: Vec<EndpointSection>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct EndpointSection {
    name: String,
    region: String,
    certificate: PathBuf,
    key: PathBuf,
}

/// One port that clients dial.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Its key path in the file, like `listeners[0]`.
    pub place: String,
    /// For logs and metrics.
    pub name: String,
    pub address: SocketAddr,
    /// Told to clients in Metadata; `None`: the bound port.
    pub advertised_port: Option<u16>,
    /// Told to clients that sent no SNI; `None`: the first endpoint's name.
    pub advertised_host: Option<String>,
    /// Refuse names that no endpoint has, instead of showing the first endpoint's certificate.
    pub strict_sni: bool,
    /// Never empty; the first is the default.
    pub endpoints: Vec<Endpoint>,
}

/// A name under which projects are reached, as `{project}.{name}` or alone.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its key path in the file, like `listeners[0].endpoints[0]`.
    pub place: String,
    /// Lower case, without a dot at the end.
    pub name: String,
    pub region: String,
    /// Files of the chain and its key, for a reload.
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub certified: Arc<CertifiedKey>,
}

/// Turns the sections into listeners; whatever is wrong is noted, and then the result is not to be used.
pub(super) fn convert(
    sections: Vec<ListenerSection>,
    base: &Path,
    problems: &mut Problems<'_>,
) -> Vec<Listener> {
    if sections.is_empty() {
        problems.error(
            "",
            "there is no listener",
            "add a [[listeners]] section with a name, an address and an endpoint",
        );
    }
    let mut listeners = Vec::with_capacity(sections.len());
    for (index, section) in sections.into_iter().enumerate() {
        let path = format!("listeners[{index}]");
        check_unique(&listeners, &section, &path, problems);
        listeners.extend(convert_one(section, &path, base, problems));
    }
    listeners
}

fn check_unique(
    earlier: &[Listener],
    section: &ListenerSection,
    path: &str,
    problems: &mut Problems<'_>,
) {
    if section.name.is_empty() {
        problems.error(
            &format!("{path}.name"),
            "is empty",
            "name the listener, like \"internet\"",
        );
    }
    if earlier.iter().any(|other| other.name == section.name) {
        problems.error(
            &format!("{path}.name"),
            format_args!("another listener is called `{}`", section.name),
            "give each its own name",
        );
    }
    let same = |other: &Listener| {
        other.address.port() != 0 && other.address.to_string() == section.address
    };
    if earlier.iter().any(same) {
        problems.error(
            &format!("{path}.address"),
            format_args!("another listener has `{}`", section.address),
            "give each its own port",
        );
    }
}

fn convert_one(
    section: ListenerSection,
    path: &str,
    base: &Path,
    problems: &mut Problems<'_>,
) -> Option<Listener> {
    let address = section.address.parse();
    if address.is_err() {
        problems.error(
            &format!("{path}.address"),
            format_args!("`{}` is not an IP address with a port", section.address),
            "write it like \"0.0.0.0:10012\" or \"[::]:10012\"",
        );
    }
    if section.advertised_port == Some(0) {
        problems.error(
            &format!("{path}.advertised-port"),
            "no client can dial port 0",
            "remove it to advertise the bound port",
        );
    }
    if let Some(host) = &section.advertised_host
        && ServerName::try_from(host.as_str()).is_err()
    {
        problems.error(
            &format!("{path}.advertised-host"),
            format_args!("`{host}` is neither a host name nor an address"),
            "write what clients without SNI can dial",
        );
    }
    if section.endpoints.is_empty() {
        problems.error(
            path,
            "there is no endpoint",
            "add a [[listeners.endpoints]] section with name, region, certificate and key",
        );
    }
    let mut endpoints: Vec<Endpoint> = Vec::with_capacity(section.endpoints.len());
    for (index, endpoint) in section.endpoints.into_iter().enumerate() {
        let path = format!("{path}.endpoints[{index}]");
        let endpoint = convert_endpoint(endpoint, &path, base, problems);
        if let Some(endpoint) = endpoint {
            if endpoints.iter().any(|other| other.name == endpoint.name) {
                problems.error(
                    &format!("{path}.name"),
                    format_args!("this listener has `{}` already", endpoint.name),
                    "remove one of the two",
                );
            }
            endpoints.push(endpoint);
        }
    }
    Some(Listener {
        place: path.to_owned(),
        name: section.name,
        address: address.ok()?,
        advertised_port: section.advertised_port,
        advertised_host: section.advertised_host,
        strict_sni: section.strict_sni,
        endpoints,
    })
}

fn convert_endpoint(
    section: EndpointSection,
    path: &str,
    base: &Path,
    problems: &mut Problems<'_>,
) -> Option<Endpoint> {
    let name = host_name(&section.name, &format!("{path}.name"), problems);
    if section.region.is_empty() {
        problems.error(
            &format!("{path}.region"),
            "is empty",
            "name the region, like \"region-1\"",
        );
    }
    let certificate = base.join(section.certificate);
    let key = base.join(section.key);
    match certificate::load(&certificate, &key) {
        Ok(certified) => Some(Endpoint {
            place: path.to_owned(),
            name,
            region: section.region,
            certificate,
            key,
            certified,
        }),
        Err(error) => {
            let at = if error.concerns_key() {
                "key"
            } else {
                "certificate"
            };
            problems.error(&format!("{path}.{at}"), &error, error.cure());
            None
        }
    }
}

/// A host name as clients dial it: lower case, no dot at the end.
fn host_name(name: &str, key: &str, problems: &mut Problems<'_>) -> String {
    let plain = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    if DnsName::try_from(plain.as_str()).is_err() {
        problems.error(
            key,
            format_args!("`{name}` is not a host name"),
            "write the name that clients dial, without port, like \"region-1.log.example.com\"",
        );
    }
    plain
}
