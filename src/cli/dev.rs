//! `sluice dev`: a gateway without configuration. Its folder is made once, then read like any other configuration.
//!
//! On loopback the key is the published one, so that every example works as it stands. A published key must not face a
//! network: with any listener off loopback it is replaced by a random one, for good.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use rustls_pki_types::ServerName;
use time::OffsetDateTime;

use super::authority::{self, AuthorityError, Files, Made, Name};
use super::serve;
use super::{DevArguments, Failure};
use crate::config::{self, Backend, Config, Endpoint};
use crate::telemetry;

mod greeting;

/// Where everything is kept unless told otherwise; `sluice logs` looks there too.
pub const DIR: &str = "sluice-dev";
pub const FILE: &str = "sluice.toml";

const TEMPLATE: &str = include_str!("../../config/dev.toml");
const PUBLISHED_SECRET: &str = "dev-access-key-secret";
/// 30 of 62 letters and digits: 178 bits.
const SECRET_CHARS: usize = 30;
pub fn run(arguments: &DevArguments) -> Result<(), Failure> {
    let prepared = prepare(arguments, OffsetDateTime::now_utc())?;
    telemetry::init(&prepared.config.log)?;
    let config = prepared.config.clone();
    serve::runtime()?.block_on(async {
        let stop = serve::stop_signal()?;
        serve::start(
            config,
            |reachable| show(&prepared.greeting(reachable)),
            stop,
        )
        .await
    })
}

/// Nobody need read it: a closed standard output must not end the gateway.
fn show(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Everything that stands before the first socket is bound.
struct Prepared {
    config: Config,
    dir: PathBuf,
    /// What clients dial: the names given, then an address that only this listener has.
    hosts: Vec<String>,
    made: Made,
    secret_replaced: bool,
}

fn prepare(arguments: &DevArguments, now: OffsetDateTime) -> Result<Prepared, Failure> {
    let hosts = hosts(arguments)?;
    fs::create_dir_all(&arguments.dir).map_err(|error| {
        Failure::Runtime(format!("cannot make {}: {error}", arguments.dir.display()))
    })?;
    let dir = fs::canonicalize(&arguments.dir).map_err(|error| {
        Failure::Runtime(format!("cannot open {}: {error}", arguments.dir.display()))
    })?;
    let file = dir.join(FILE);
    if !file.exists() {
        write(&file, &TEMPLATE.replace("{{secret}}", PUBLISHED_SECRET))?;
    }
    let made = ensure_certificates(&dir, &file, &hosts, now)?;
    let load = || Ok::<_, Failure>(applied(config::load(&file)?, arguments, &hosts));
    let mut config = load()?;
    let secret_replaced = endangered(&config);
    if secret_replaced {
        replace_secret(&file)?;
        config = load()?;
    }
    if endangered(&config) {
        return Err(Failure::Usage(format!(
            "the published secret must not face a network; give the keys in {} others",
            file.display()
        )));
    }
    Ok(Prepared {
        config,
        dir,
        hosts,
        made,
        secret_replaced,
    })
}

/// What clients dial beside `localhost`, in the order of preference.
fn hosts(arguments: &DevArguments) -> Result<Vec<String>, Failure> {
    let mut hosts = Vec::new();
    for host in &arguments.host {
        if ServerName::try_from(host.as_str()).is_err() {
            return Err(Failure::Usage(format!(
                "--host {host}: neither a host name nor an address; leave the port away"
            )));
        }
        hosts.push(host.trim_end_matches('.').to_ascii_lowercase());
    }
    // Clients reach a listener on one address by that address only; `localhost` may be another one.
    let bind = arguments
        .bind
        .filter(|bind| !bind.is_unspecified() && !is_localhost(*bind));
    hosts.extend(bind.map(|bind| bind.to_string()));
    Ok(hosts)
}

fn is_localhost(address: IpAddr) -> bool {
    address == Ipv4Addr::LOCALHOST || address == Ipv6Addr::LOCALHOST
}

fn ensure_certificates(
    dir: &Path,
    file: &Path,
    hosts: &[String],
    now: OffsetDateTime,
) -> Result<Made, Failure> {
    let projects = config::load_store(file)?.projects;
    let hosts: BTreeSet<Name> = hosts.iter().map(|host| Name::parse(host)).collect();
    let mut names = BTreeSet::from([
        Name::Address(Ipv4Addr::LOCALHOST.into()),
        Name::Address(Ipv6Addr::LOCALHOST.into()),
    ]);
    let mut domains = hosts.clone();
    domains.retain(|host| !is_own(host));
    names.extend(hosts.iter().cloned());
    names.insert(Name::parse("localhost"));
    let under: Vec<Name> = names
        .iter()
        .filter(|name| matches!(name, Name::Dns(_)))
        .cloned()
        .collect();
    for domain in under {
        let Name::Dns(domain) = domain else { continue };
        names.extend(
            projects
                .iter()
                .map(|project| Name::Dns(format!("{project}.{domain}"))),
        );
    }
    authority::ensure(&Files::of(dir), &names, &domains, now).map_err(|error| match error {
        AuthorityError::Name(_) => Failure::Usage(error.to_string()),
        _ => Failure::Runtime(error.to_string()),
    })
}

/// A name or an address that the authority may vouch for anyway.
fn is_own(host: &Name) -> bool {
    match host {
        Name::Dns(name) => name == "localhost" || name.ends_with(".localhost"),
        Name::Address(address) => {
            is_localhost(*address) || address.is_ipv4() && address.is_loopback()
        }
    }
}

/// The configuration with what the command line says over it.
fn applied(mut config: Config, arguments: &DevArguments, hosts: &[String]) -> Config {
    // The API stays on the address that the file gives it: plain HTTP is not for a network.
    if let (Some(0), Some(api)) = (arguments.port, &mut config.api) {
        api.address.set_port(0);
    }
    let ports = arguments.port.map(|port| [port, port.saturating_sub(1)]);
    for (index, listener) in config.listeners.iter_mut().enumerate() {
        if let Some(bind) = arguments.bind {
            listener.address.set_ip(bind);
        }
        if let Some(port) = ports.and_then(|ports| ports.get(index).copied()) {
            listener.address.set_port(port);
        }
        if let Some(host) = hosts.first() {
            listener.advertised_host = Some(host.clone());
        }
        // No listener is without endpoint.
        let first = listener.endpoints[0].clone();
        let named = hosts.iter().filter(|host| host.parse::<IpAddr>().is_err());
        for host in named {
            if listener
                .endpoints
                .iter()
                .all(|endpoint| endpoint.name != *host)
            {
                listener.endpoints.push(Endpoint {
                    name: host.clone(),
                    ..first.clone()
                });
            }
        }
    }
    config
}

/// Would a key that everybody can read face a network?
fn endangered(config: &Config) -> bool {
    let Backend::Embedded(store) = &config.backend else {
        return false;
    };
    let mut keys = store.projects.iter().flat_map(|project| &project.keys);
    let listeners = config.listeners.iter().map(|listener| listener.address);
    let mut addresses = listeners.chain(config.api.as_ref().map(|api| api.address));
    keys.any(|key| key.secret.expose() == PUBLISHED_SECRET)
        && addresses.any(|address| !address.ip().is_loopback())
}

/// Puts a random secret in the place of the published one, wherever the file has it as a text.
fn replace_secret(file: &Path) -> Result<(), Failure> {
    let text = config::read(file)?;
    let random = format!("\"{}\"", authority::random_text(SECRET_CHARS));
    let replaced = ['"', '\'']
        .map(|quote| format!("{quote}{PUBLISHED_SECRET}{quote}"))
        .iter()
        .fold(text.to_string(), |text, published| {
            text.replace(published, &random)
        });
    write(file, &replaced)
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    authority::write_private(file, text.as_bytes())
        .map_err(|error| Failure::Runtime(error.to_string()))
}

#[cfg(test)]
mod tests;
