//! One TOML file becomes final types, or a list of problems that each say where and what to do.
//!
//! Each section's shape stands in a file of its own below this one. Nothing here binds, opens or makes anything: the
//! components take their part and know nothing of the rest. Paths are relative to the file's folder.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::failure::NetworkError;
use crate::tenant::ProjectName;

pub mod api;
pub mod auth;
pub mod certificate;
pub mod embedded;
pub mod limits;
pub mod listeners;
pub mod mapping;
pub mod problem;
pub mod sls;
pub mod units;

pub use api::Api;
pub use auth::{Auth, Log, LogFormat};
pub use limits::Limits;
pub use listeners::{Endpoint, Listener};
pub use mapping::{Spread, SpreadMode};
pub use problem::{Problem, Problems, Severity};

/// A configuration that the gateway can start with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it was read from.
    pub file: PathBuf,
    /// Never empty.
    pub listeners: Vec<Listener>,
    pub limits: Limits,
    pub mapping: crate::logs::Mapping,
    pub spread: Spread,
    pub auth: Auth,
    pub backend: Backend,
    /// Of use only where the Log Service lies behind a network.
    pub network_error: NetworkError,
    /// `None`: the store has no HTTP API.
    pub api: Option<Api>,
    pub log: Log,
}

/// Where logs go.
#[derive(Clone, Debug)]
pub enum Backend {
    Embedded(crate::backend::embedded::Config),
    Sls(crate::backend::sls::Config),
}

/// A configuration that cannot be used; its text has one line for each problem.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct ConfigError(pub Vec<Problem>);

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}

/// The file's shape.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    #[serde(default)]
    backend: BackendName,
    #[serde(default)]
    listeners: Vec<listeners::ListenerSection>,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    mapping: mapping::MappingSection,
    #[serde(default)]
    spread: Spread,
    #[serde(default)]
    auth: Auth,
    #[serde(default)]
    log: Log,
    #[serde(default)]
    embedded: embedded::EmbeddedSection,
    #[serde(default)]
    sls: sls::SlsSection,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum BackendName {
    #[default]
    Embedded,
    Sls,
}

/// Reads a configuration and all files that it names.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = read(path)?;
    let mut problems = Problems::new(path, &text);
    let config = parse(path, &text, &mut problems);
    match config {
        Some(config) if !problems.has_errors() => Ok(config),
        _ => Err(ConfigError(problems.into_list())),
    }
}

/// Where the embedded store is and whose: enough to read it back, without the right to read keys and secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreLocation {
    pub data_dir: PathBuf,
    pub projects: Vec<ProjectName>,
}

/// Reads only what names the store; problems elsewhere in the file count only where its shape is wrong.
pub fn load_store(path: &Path) -> Result<StoreLocation, ConfigError> {
    let text = read(path)?;
    let mut problems = Problems::new(path, &text);
    match toml::from_str::<File>(&text) {
        Ok(file) if file.backend == BackendName::Embedded => {
            return Ok(file.embedded.location(base_of(path)));
        }
        Ok(_) => problems.error(
            "backend",
            "the logs go to the Log Service, so there is no store here",
            "read them in its console",
        ),
        Err(error) => problems.toml(&error),
    }
    Err(ConfigError(problems.into_list()))
}

fn base_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// The text of a configuration; wiped when dropped, for it may hold secrets.
pub fn read(path: &Path) -> Result<Zeroizing<String>, ConfigError> {
    std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|cause| {
            ConfigError(vec![Problem {
                severity: Severity::Error,
                file: path.to_owned(),
                position: None,
                key: String::new(),
                cause: format!("cannot read the configuration: {cause}"),
                cure: "check the path, or start with `sluice dev`, which needs none".into(),
            }])
        })
}

/// Turns the text of `path` into a configuration. Problems are noted; with an error among them the result is not to be used.
pub fn parse(path: &Path, text: &str, problems: &mut Problems<'_>) -> Option<Config> {
    let mut file: File = match toml::from_str(text) {
        Ok(file) => file,
        Err(error) => {
            problems.toml(&error);
            return None;
        }
    };
    let base = base_of(path);
    file.limits.check(problems);
    file.mapping.check(problems);
    file.spread.check(problems);
    file.auth.check(problems);
    file.log.check(problems);
    let listeners = listeners::convert(file.listeners, base, problems);
    let rest = sls::Rest {
        listeners: &listeners,
        spread: file.spread,
        auth: file.auth,
    };
    let api = file.embedded.take_api().convert(base, problems);
    let network_error = file.sls.network_error;
    let backend = match file.backend {
        BackendName::Embedded => Backend::Embedded(file.embedded.convert(base, problems)),
        BackendName::Sls => Backend::Sls(file.sls.convert(base, &rest, problems)),
    };
    Some(Config {
        file: path.to_owned(),
        listeners,
        limits: file.limits,
        mapping: file.mapping.convert(),
        spread: file.spread,
        auth: file.auth,
        backend,
        network_error,
        api,
        log: file.log,
    })
}

#[cfg(test)]
mod tests;
