//! Whose logs are passed on: the gateway must not be an open relay.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::super::listeners::Listener;
use super::super::problem::Problems;
use crate::backend::sls::Projects;
use crate::tenant::ProjectName;

/// In the place of a list of projects: all.
const ANY_PROJECT: &str = "*";

pub(super) fn convert(
    names: Option<Vec<String>>,
    listeners: &[Listener],
    problems: &mut Problems<'_>,
) -> Projects {
    let Some(names) = names else {
        if let Some(open) = listeners
            .iter()
            .find(|listener| !is_private(listener.address.ip()))
        {
            problems.error(
                "sls.projects",
                format_args!(
                    "is missing, and the listener `{}` takes connections from anywhere: everybody could send to any \
                     project through it",
                    open.name
                ),
                "list the projects to serve, or write [\"*\"] to serve all",
            );
        }
        return Projects::All;
    };
    if names == [ANY_PROJECT] {
        return Projects::All;
    }
    if names.is_empty() {
        problems.error(
            "sls.projects",
            "is empty, so nobody can log in",
            "list the projects to serve, or write [\"*\"] to serve all",
        );
    }
    let mut only = BTreeSet::new();
    for (index, name) in names.iter().enumerate() {
        match ProjectName::parse(name) {
            Ok(name) => drop(only.insert(name)),
            Err(error) => problems.error(
                &format!("sls.projects[{index}]"),
                format_args!("`{name}`: {error}"),
                "use 3 to 63 of a-z, 0-9 and -; \"*\" only alone",
            ),
        }
    }
    Projects::Only(only)
}

/// Loopback, private and link-local addresses. The address that stands for all is none of them.
pub(super) fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            address.is_loopback() || address.is_private() || address.is_link_local()
        }
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}
