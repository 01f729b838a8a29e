//! `[[sls.endpoints]]`: the Log Service of each region.

use std::net::IpAddr;

use serde::Deserialize;

use super::super::listeners::Listener;
use super::super::problem::Problems;
use super::SlsSection;
use crate::backend::sls::client::{ConnectAddress, Endpoint, SignatureVersion};

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct EndpointSection {
    region: String,
    url: String,
    connect: Option<String>,
    signing_region: Option<String>,
}

pub(super) fn convert(section: &SlsSection, problems: &mut Problems<'_>) -> Vec<Endpoint> {
    if section.endpoints.is_empty() {
        problems.error(
            "sls",
            "there is no endpoint, so no Log Service to write to",
            "add [[sls.endpoints]] with a region and the url of its Log Service",
        );
    }
    let mut endpoints: Vec<Endpoint> = Vec::with_capacity(section.endpoints.len());
    for (index, row) in section.endpoints.iter().enumerate() {
        let path = format!("sls.endpoints[{index}]");
        if endpoints.iter().any(|other| *other.region == *row.region) {
            problems.error(
                &format!("{path}.region"),
                format_args!("`{}` stands twice", row.region),
                "a region has one endpoint; remove the other",
            );
        }
        endpoints.extend(row.convert(&path, section, problems));
    }
    endpoints
}

impl EndpointSection {
    fn convert(
        &self,
        path: &str,
        section: &SlsSection,
        problems: &mut Problems<'_>,
    ) -> Option<Endpoint> {
        let mut endpoint = Endpoint::parse(&self.region, &self.url)
            .map_err(|error| {
                problems.error(
                    &format!("{path}.url"),
                    format_args!("`{}`: {error}", self.url),
                    "write it without project, like \"https://cn-hangzhou-intranet.log.aliyuncs.com\"; an address \
                     goes into connect",
                );
            })
            .ok()?;
        endpoint.connect = self.connect_address(path, section, problems);
        if let Some(region) = &self.signing_region {
            endpoint.signing_region = Some(region.as_str().into());
        }
        check_signing_region(&endpoint, path, section.signature, problems);
        check_clear_text(&endpoint, path, problems);
        Some(endpoint)
    }

    fn connect_address(
        &self,
        path: &str,
        section: &SlsSection,
        problems: &mut Problems<'_>,
    ) -> Option<ConnectAddress> {
        let text = self.connect.as_ref()?;
        let key = format!("{path}.connect");
        if section.proxy.is_some() {
            problems.error(
                &key,
                "has no meaning with sls.proxy, which dials for the gateway",
                "remove one of the two",
            );
        }
        let parsed = text.parse().map_err(|error| {
            problems.error(
                &key,
                format_args!("`{text}`: {error}"),
                "write host:port, address:port or [IPv6 address]:port",
            );
        });
        parsed.ok()
    }
}

fn check_signing_region(
    endpoint: &Endpoint,
    path: &str,
    signature: SignatureVersion,
    problems: &mut Problems<'_>,
) {
    let key = format!("{path}.signing-region");
    match &endpoint.signing_region {
        None if signature == SignatureVersion::V4 => problems.error(
            &key,
            format_args!(
                "`{}` does not tell the region, which signature \"v4\" needs",
                endpoint.host
            ),
            "name it, like \"cn-hangzhou\"",
        ),
        Some(region) if !is_region(region) => problems.error(
            &key,
            format_args!("`{region}` is no region's id"),
            "use a-z, 0-9 and -, like \"cn-hangzhou\"",
        ),
        _ => {}
    }
}

fn is_region(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(allowed)
}

fn check_clear_text(endpoint: &Endpoint, path: &str, problems: &mut Problems<'_>) {
    let is_here = |connect: &ConnectAddress| {
        let address = connect.host.parse::<IpAddr>();
        address.is_ok_and(|address| address.is_loopback())
    };
    if !endpoint.https && !endpoint.connect.as_ref().is_some_and(is_here) {
        problems.warn(
            &format!("{path}.url"),
            "logs and security tokens travel in clear text",
            "use https://",
        );
    }
}

/// A client that dials a listener's endpoint must find that region's Log Service.
pub(super) fn check_regions(
    endpoints: &[Endpoint],
    listeners: &[Listener],
    problems: &mut Problems<'_>,
) {
    for dialled in listeners.iter().flat_map(|listener| &listener.endpoints) {
        if !endpoints.is_empty()
            && endpoints
                .iter()
                .all(|endpoint| *endpoint.region != *dialled.region)
        {
            problems.error(
                &format!("{}.region", dialled.place),
                format_args!(
                    "no [[sls.endpoints]] that can be used has the region `{}`",
                    dialled.region
                ),
                "add one, or correct the name",
            );
        }
    }
}
