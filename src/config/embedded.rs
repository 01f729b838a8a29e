//! `[embedded]`: the durable local store, its projects, keys and Logstores. How they are stored is the backend's business.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use super::StoreLocation;
use super::api::ApiSection;
use super::problem::Problems;
use super::units::{period, size};
use crate::backend::embedded::access::{
    KeyConfig, LogstoreConfig, ProjectConfig, Rights, SHARDS_MAX,
};
use crate::backend::embedded::schema::SyncMode;
use crate::backend::embedded::{
    Config, FREE_BYTES_MIN_DEFAULT, RETENTION_AGE_DEFAULT, RETENTION_BYTES_DEFAULT,
};
use crate::tenant::{LogstoreName, ProjectName, Secret};

/// The file's words for [`SyncMode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Sync {
    Full,
    Normal,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct EmbeddedSection {
    data_dir: PathBuf,
    sync: Sync,
    #[serde(with = "period")]
    retention_age: Duration,
    #[serde(with = "size")]
    retention_bytes: u64,
    #[serde(with = "size")]
    min_free: u64,
    api: ApiSection,
    projects: Vec<ProjectSection>,
}

impl Default for EmbeddedSection {
    fn default() -> Self {
        Self {
            data_dir: "data".into(),
            sync: Sync::Full,
            retention_age: RETENTION_AGE_DEFAULT,
            retention_bytes: RETENTION_BYTES_DEFAULT,
            min_free: FREE_BYTES_MIN_DEFAULT,
            api: ApiSection::default(),
            projects: Vec::new(),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ProjectSection {
    name: String,
    #[serde(default)]
    create_on_first_use: bool,
    #[serde(default = "two_shards")]
    created_shards: u32,
    #[serde(default)]
    keys: Vec<KeySection>,
    #[serde(default)]
    logstores: Vec<LogstoreSection>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct KeySection {
    id: String,
    #[serde(default, deserialize_with = "secret")]
    secret: Option<Secret>,
    secret_file: Option<PathBuf>,
    secret_env: Option<String>,
    #[serde(default = "write_only")]
    rights: Vec<Right>,
    logstores: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Right {
    Write,
    Read,
    Admin,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct LogstoreSection {
    name: String,
    #[serde(default = "two_shards")]
    shards: u32,
}

/// As the Log Service's console proposes.
fn two_shards() -> u32 {
    2
}

fn write_only() -> Vec<Right> {
    vec![Right::Write]
}

impl EmbeddedSection {
    /// Where the store is and whose; names that break the rules are left out.
    pub fn location(&self, base: &Path) -> StoreLocation {
        let names = self.projects.iter();
        StoreLocation {
            data_dir: base.join(&self.data_dir),
            projects: names
                .filter_map(|project| ProjectName::parse(&project.name).ok())
                .collect(),
        }
    }

    /// Hands out what concerns the HTTP API.
    pub fn take_api(&mut self) -> ApiSection {
        std::mem::take(&mut self.api)
    }

    /// Whatever is wrong is noted, and then the result is not to be used.
    pub fn convert(self, base: &Path, problems: &mut Problems<'_>) -> Config {
        self.check(problems);
        let mut seen = HashSet::new();
        let mut projects = Vec::with_capacity(self.projects.len());
        for (index, section) in self.projects.into_iter().enumerate() {
            let path = format!("embedded.projects[{index}]");
            note_repeated(&mut seen, &section.name, &path, problems);
            projects.extend(section.convert(&path, base, problems));
        }
        Config {
            data_dir: base.join(self.data_dir),
            sync: match self.sync {
                Sync::Full => SyncMode::Full,
                Sync::Normal => SyncMode::Normal,
            },
            retention_age: self.retention_age,
            retention_bytes_max: self.retention_bytes,
            free_bytes_min: self.min_free,
            projects,
        }
    }

    fn check(&self, problems: &mut Problems<'_>) {
        if self.projects.is_empty() {
            problems.error(
                "embedded",
                "there is no project, so nobody can log in",
                "add [[embedded.projects]] with a name, a key and a Logstore",
            );
        }
        if self.retention_age < Duration::from_secs(60) {
            problems.error("embedded.retention-age", "is too short", "the least is 1m");
        }
        if self.retention_bytes < 1 << 20 {
            problems.error(
                "embedded.retention-bytes",
                "is too small",
                "the least is 1MiB",
            );
        }
    }
}

impl ProjectSection {
    fn convert(
        self,
        path: &str,
        base: &Path,
        problems: &mut Problems<'_>,
    ) -> Option<ProjectConfig> {
        let name = ProjectName::parse(&self.name)
            .map_err(|error| {
                problems.error(
                    &format!("{path}.name"),
                    format_args!("`{}`: {error}", self.name),
                    "use 3 to 63 of a-z, 0-9 and -",
                );
            })
            .ok();
        if self.keys.is_empty() {
            problems.error(
                path,
                "there is no key, so nobody can log in to this project",
                "add [[embedded.projects.keys]] with an id and a secret",
            );
        }
        if self.logstores.is_empty() && !self.create_on_first_use {
            problems.error(
                path,
                "there is no Logstore, and none would be created",
                "add [[embedded.projects.logstores]] or set create-on-first-use = true",
            );
        }
        check_shards(
            self.created_shards,
            &format!("{path}.created-shards"),
            problems,
        );
        let keys = convert_keys(self.keys, path, base, problems);
        let logstores = convert_logstores(self.logstores, path, problems);
        Some(ProjectConfig {
            name: name?,
            keys,
            logstores,
            create_on_first_use: self.create_on_first_use,
            created_shard_count: self.created_shards,
        })
    }
}

fn convert_keys(
    sections: Vec<KeySection>,
    path: &str,
    base: &Path,
    problems: &mut Problems<'_>,
) -> Vec<KeyConfig> {
    let mut seen = HashSet::new();
    let mut keys = Vec::with_capacity(sections.len());
    for (index, section) in sections.into_iter().enumerate() {
        let path = format!("{path}.keys[{index}]");
        if !seen.insert(section.id.clone()) {
            problems.error(
                &format!("{path}.id"),
                "this id stands twice in the project",
                "remove one",
            );
        }
        keys.extend(section.convert(&path, base, problems));
    }
    keys
}

fn convert_logstores(
    sections: Vec<LogstoreSection>,
    path: &str,
    problems: &mut Problems<'_>,
) -> Vec<LogstoreConfig> {
    let mut seen = HashSet::new();
    let mut logstores = Vec::with_capacity(sections.len());
    for (index, section) in sections.into_iter().enumerate() {
        let path = format!("{path}.logstores[{index}]");
        note_repeated(&mut seen, &section.name, &path, problems);
        check_shards(section.shards, &format!("{path}.shards"), problems);
        let name = logstore_name(&section.name, &format!("{path}.name"), problems);
        logstores.extend(name.map(|name| LogstoreConfig {
            name,
            shard_count: section.shards,
        }));
    }
    logstores
}

impl KeySection {
    fn convert(self, path: &str, base: &Path, problems: &mut Problems<'_>) -> Option<KeyConfig> {
        if self.id.is_empty() || self.id.contains(['#', '\0']) {
            problems.error(
                &format!("{path}.id"),
                "an id is not empty and has no `#`, which ends it in the password",
                "choose another id",
            );
        }
        if self.rights.is_empty() {
            problems.error(
                &format!("{path}.rights"),
                "a key without rights is good for nothing",
                "give it \"write\", \"read\" or \"admin\", or remove it",
            );
        }
        let secret = self.find_secret(path, base, problems);
        let logstores = self.logstores.map(|names| {
            names
                .iter()
                .enumerate()
                .filter_map(|(index, name)| {
                    logstore_name(name, &format!("{path}.logstores[{index}]"), problems)
                })
                .collect()
        });
        let has = |right| self.rights.contains(&right);
        Some(KeyConfig {
            id: self.id,
            secret: secret?,
            rights: Rights {
                write: has(Right::Write),
                read: has(Right::Read),
                admin: has(Right::Admin),
            },
            logstores,
        })
    }

    /// The secret from the one place that is given; what it is never reaches a message.
    fn find_secret(&self, path: &str, base: &Path, problems: &mut Problems<'_>) -> Option<Secret> {
        let found = match (&self.secret, &self.secret_file, &self.secret_env) {
            (Some(secret), None, None) => Ok((secret.clone(), "secret")),
            (None, Some(file), None) => secret_of_file(&base.join(file))
                .map(|secret| (secret, "secret-file"))
                .map_err(|cause| ("secret-file", cause)),
            (None, None, Some(name)) => std::env::var(name)
                .map(|text| (Secret::new(text), "secret-env"))
                .map_err(|cause| ("secret-env", format!("{name}: {cause}"))),
            (None, None, None) => Err(("secret", "is missing".to_owned())),
            _ => Err(("secret", "is given in more than one way".to_owned())),
        };
        match found {
            Ok((secret, _)) if !secret.expose().is_empty() => Some(secret),
            Ok((_, key)) => {
                problems.error(&format!("{path}.{key}"), "is empty", "give a secret");
                None
            }
            Err((key, cause)) => {
                problems.error(
                    &format!("{path}.{key}"),
                    cause,
                    "give one of secret-file, secret-env and secret",
                );
                None
            }
        }
    }
}

/// A file's text without the newline that editors and `echo` put at its end.
fn secret_of_file(path: &Path) -> Result<Secret, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|cause| format!("cannot read {}: {cause}", path.display()))?;
    let text = zeroize::Zeroizing::new(text);
    Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
}

fn note_repeated(seen: &mut HashSet<String>, name: &str, path: &str, problems: &mut Problems<'_>) {
    if !seen.insert(name.to_owned()) {
        problems.error(
            &format!("{path}.name"),
            format_args!("`{name}` stands twice"),
            "remove one of the two",
        );
    }
}

fn logstore_name(name: &str, key: &str, problems: &mut Problems<'_>) -> Option<LogstoreName> {
    LogstoreName::parse(name)
        .map_err(|error| {
            problems.error(
                key,
                format_args!("`{name}`: {error}"),
                "use 3 to 63 of a-z, 0-9, - and _",
            );
        })
        .ok()
}

fn check_shards(count: u32, key: &str, problems: &mut Problems<'_>) {
    if !(1..=SHARDS_MAX).contains(&count) {
        problems.error(
            key,
            format_args!("{count} is out of range"),
            format_args!("choose 1 to {SHARDS_MAX}"),
        );
    }
}

/// Reads a secret so that no message can show it, not even the one about a secret written without quotes.
pub(super) fn secret<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
    from.deserialize_any(SecretText).map(Some)
}

struct SecretText;

const NO_TEXT: &str = "a secret is a text in quotes";

impl Visitor<'_> for SecretText {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NO_TEXT)
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret::new(text))
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<Secret, E> {
        Err(E::custom(NO_TEXT))
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<Secret, E> {
        Err(E::custom(NO_TEXT))
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<Secret, E> {
        Err(E::custom(NO_TEXT))
    }
}
