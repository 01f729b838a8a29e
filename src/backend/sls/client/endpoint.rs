//! Where a region's Log Service is: the host that is named and signed, and the address that is dialled.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rustls_pki_types::{DnsName, ServerName};

use crate::tenant::ProjectName;

/// The endpoint of one region. Its projects are reached as `{project}.{host}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub region: Arc<str>,
    /// In lower case, without project and port.
    pub host: Arc<str>,
    pub https: bool,
    pub port: u16,
    /// What is dialled instead of the host; names and signatures stay the host's.
    pub connect: Option<ConnectAddress>,
    /// The region in signatures of version 4.
    pub signing_region: Option<Arc<str>>,
}

/// A name or address with the port to dial there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectAddress {
    /// An IPv6 address without brackets.
    pub host: Arc<str>,
    pub port: u16,
}

/// What is wrong with an endpoint's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    #[error("it does not begin with https:// or http://")]
    Scheme,
    #[error("only a host and a port may follow the scheme")]
    NotOnlyHost,
    #[error("the host is not a DNS name that a project can stand in front of")]
    Host,
    #[error("the port is not a number from 1 to 65535")]
    Port,
}

const HTTPS_PORT: u16 = 443;
const HTTP_PORT: u16 = 80;
/// What may follow the region in a host's first label, by network.
const NETWORK_SUFFIXES: [&str; 4] = ["-intranet", "-internal", "-share", "-vpc"];
/// The first label of the one host that stands for all regions.
const GLOBAL_LABEL: &str = "log-global";
/// The longest project, and the dot behind it.
const PROJECT_BYTES_MAX: usize = 64;
const NAME_BYTES_MAX: usize = 253;

impl Endpoint {
    /// Reads a URL like `https://cn-hangzhou-intranet.log.aliyuncs.com`; the region for signing is taken from it where
    /// it says one.
    ///
    /// # Errors
    /// When it is more or less than scheme, host and port.
    pub fn parse(region: &str, url: &str) -> Result<Self, EndpointError> {
        let url = url.to_ascii_lowercase();
        let (https, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(EndpointError::Scheme),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#', '@']) {
            return Err(EndpointError::NotOnlyHost);
        }
        let (host, port) = match rest.split_once(':') {
            _ if rest.starts_with('[') => return Err(EndpointError::Host),
            Some((host, port)) => (host, parse_port(port)?),
            None => (rest, if https { HTTPS_PORT } else { HTTP_PORT }),
        };
        check_host(host)?;
        Ok(Self {
            region: region.into(),
            host: host.into(),
            https,
            port,
            connect: None,
            signing_region: signing_region(host).map(Into::into),
        })
    }

    /// The `Host` of a project, as it is sent and signed.
    pub(super) fn host_of(&self, project: &ProjectName) -> String {
        let default = if self.https { HTTPS_PORT } else { HTTP_PORT };
        match self.port {
            port if port == default => format!("{project}.{}", self.host),
            port => format!("{project}.{}:{port}", self.host),
        }
    }
}

impl FromStr for ConnectAddress {
    type Err = EndpointError;

    /// `host:port`, `address:port` or `[IPv6 address]:port`.
    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let (host, port) = text.rsplit_once(':').ok_or(EndpointError::Port)?;
        let port = parse_port(port)?;
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        // An IPv6 address without brackets could as well be one with a port.
        let is_host = match bare {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.contains(':') && ServerName::try_from(host).is_ok(),
        };
        if !is_host {
            return Err(EndpointError::Host);
        }
        Ok(Self {
            host: bare.unwrap_or(host).into(),
            port,
        })
    }
}

impl fmt::Display for ConnectAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

fn parse_port(text: &str) -> Result<u16, EndpointError> {
    match text.parse() {
        Ok(port) if port != 0 => Ok(port),
        _ => Err(EndpointError::Port),
    }
}

/// A name whose last label is a number is read as an IPv4 address by URL readers, whatever stands before it.
fn check_host(host: &str) -> Result<(), EndpointError> {
    let is_name = DnsName::try_from(host).is_ok() && !host.ends_with('.');
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_number = last.starts_with(|first: char| first.is_ascii_digit());
    if is_name && !is_number && host.len() + PROJECT_BYTES_MAX <= NAME_BYTES_MAX {
        Ok(())
    } else {
        Err(EndpointError::Host)
    }
}

/// The region that a host's first label names, like `cn-hangzhou` in `cn-hangzhou-intranet.log.aliyuncs.com`.
fn signing_region(host: &str) -> Option<&str> {
    let (label, _) = host.split_once('.')?;
    let suffix = NETWORK_SUFFIXES
        .iter()
        .find_map(|suffix| label.strip_suffix(suffix));
    let region = suffix.unwrap_or(label);
    (!region.is_empty() && region != GLOBAL_LABEL).then_some(region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_scheme_host_and_port() {
        let check = |url, https, host: &str, port| {
            let endpoint =
                Endpoint::parse("r", url).unwrap_or_else(|error| panic!("{url}: {error}"));
            let found = (endpoint.https, &*endpoint.host, endpoint.port);
            assert_eq!(found, (https, host, port), "{url}");
        };
        check("https://log.example.com", true, "log.example.com", 443);
        check("http://log.example.com/", false, "log.example.com", 80);
        check(
            "HTTPS://LOG.example.com:8443",
            true,
            "log.example.com",
            8443,
        );
        check("http://localhost:18080", false, "localhost", 18080);
    }

    #[test]
    fn other_urls_are_refused() {
        let check = |url, expected| {
            assert_eq!(Endpoint::parse("r", url).err(), Some(expected), "{url}");
        };
        check("log.example.com", EndpointError::Scheme);
        check("ftp://log.example.com", EndpointError::Scheme);
        check("https://log.example.com/path", EndpointError::NotOnlyHost);
        check("https://log.example.com?a", EndpointError::NotOnlyHost);
        check("https://user@log.example.com", EndpointError::NotOnlyHost);
        check("https://", EndpointError::Host);
        check("https://log example", EndpointError::Host);
        check("https://127.0.0.1", EndpointError::Host);
        check("https://[::1]:443", EndpointError::Host);
        check("https://log.example.com.", EndpointError::Host);
        check("https://log.example.com:0", EndpointError::Port);
        check("https://log.example.com:65536", EndpointError::Port);
        let long = format!("https://{}", ["a"; 126].join("."));
        check(&long, EndpointError::Host);
    }

    #[test]
    fn the_region_for_signing_comes_from_the_first_label() {
        let check = |host: &str, expected| assert_eq!(signing_region(host), expected, "{host}");
        check("cn-hangzhou.log.aliyuncs.com", Some("cn-hangzhou"));
        check("cn-hangzhou-intranet.log.aliyuncs.com", Some("cn-hangzhou"));
        check(
            "ap-southeast-1-internal.log.aliyuncs.com",
            Some("ap-southeast-1"),
        );
        check("rus-west-1-share.log.aliyuncs.com", Some("rus-west-1"));
        check(
            "cn-heyuan-acdr-1-vpc.log.aliyuncs.com",
            Some("cn-heyuan-acdr-1"),
        );
        check("log-global.aliyuncs.com", None);
        check("localhost", None);
    }

    #[test]
    fn the_host_has_a_port_only_where_it_is_not_the_default() {
        let project = ProjectName::parse("test-project-1").unwrap();
        let check = |url, expected: &str| {
            let endpoint = Endpoint::parse("r", url).unwrap();
            assert_eq!(endpoint.host_of(&project), expected, "{url}");
        };
        check(
            "https://log.example.com:443",
            "test-project-1.log.example.com",
        );
        check(
            "https://log.example.com:80",
            "test-project-1.log.example.com:80",
        );
        check(
            "http://log.example.com:8080",
            "test-project-1.log.example.com:8080",
        );
    }

    #[test]
    fn a_connect_address_is_host_and_port() {
        let check = |text: &str, host: &str, port| {
            let address: ConnectAddress = text.parse().unwrap();
            assert_eq!((&*address.host, address.port), (host, port), "{text}");
            assert_eq!(address.to_string(), text);
        };
        check("10.1.2.3:443", "10.1.2.3", 443);
        check("[fd00::1]:8443", "fd00::1", 8443);
        check("gateway.example.com:443", "gateway.example.com", 443);
        for bad in [
            "10.1.2.3",
            "fd00::1:443",
            ":443",
            "a b:1",
            "host:0",
            "host:x",
            "[10.1.2.3]:1",
        ] {
            assert!(bad.parse::<ConnectAddress>().is_err(), "{bad}");
        }
    }
}
