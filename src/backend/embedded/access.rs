//! Projects, access keys and their rights, as configured. Which Logstores exist is the catalogue's.
//!
//! Keys are looked up by (project, id); secrets are compared in constant time on every question, which costs no more
//! than caching the verdict would. Project, id and secret that are wrong differ only in the reason for the log.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::store::LogstoreSpec;
use crate::tenant::{Credentials, LogstoreName, ProjectName, Secret, Tenant};

/// Most shards of one Logstore, as in the Log Service.
pub const SHARDS_MAX: u32 = 256;

/// One project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectConfig {
    pub name: ProjectName,
    pub keys: Vec<KeyConfig>,
    /// Made if they do not exist. Those that exist stay, named here or not.
    pub logstores: Vec<LogstoreConfig>,
    /// The first stored group makes a Logstore that does not exist.
    pub create_on_first_use: bool,
    /// Shards of a Logstore made so.
    pub created_shard_count: u32,
}

/// An access key of one project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyConfig {
    pub id: String,
    pub secret: Secret,
    pub rights: Rights,
    /// The only Logstores that the key may touch; `None`: all of the project.
    pub logstores: Option<Vec<LogstoreName>>,
}

/// What a key may do. An agent's key cannot read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    pub write: bool,
    pub read: bool,
    pub admin: bool,
}

impl Default for Rights {
    fn default() -> Self {
        Self {
            write: true,
            read: false,
            admin: false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogstoreConfig {
    pub name: LogstoreName,
    /// Writable shards. Shards that exist above them stay readable.
    pub shard_count: u32,
}

/// What is wrong in the configured projects.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("project {0} stands there twice")]
    ProjectTwice(ProjectName),
    #[error("project {project} has the access key {id:?} twice")]
    KeyTwice { project: ProjectName, id: String },
    #[error("project {project}: an access key's id and secret must not be empty or contain '#'")]
    KeyUnusable { project: ProjectName },
    #[error("project {project} has the Logstore {logstore} twice")]
    LogstoreTwice {
        project: ProjectName,
        logstore: LogstoreName,
    },
    #[error("project {project}: a Logstore takes 1 to {SHARDS_MAX} shards, not {shard_count}")]
    ShardCount {
        project: ProjectName,
        shard_count: u32,
    },
}

/// Why a key is not taken; for the log only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    NoProject,
    NoKey,
    WrongSecret,
    Token,
}

impl Refusal {
    pub fn reason(self) -> &'static str {
        match self {
            Self::NoProject => "no such project",
            Self::NoKey => "no such access key in this project",
            Self::WrongSecret => "wrong access key secret",
            Self::Token => "the embedded store takes no security tokens",
        }
    }
}

#[derive(Debug)]
pub struct Access(HashMap<ProjectName, Project>);

#[derive(Debug)]
pub struct Project {
    keys: HashMap<String, Key>,
    /// Writable shards of the configured Logstores.
    pub logstores: HashMap<LogstoreName, Arc<[u32]>>,
    /// Shards of a Logstore made on first use; `None`: none is made.
    pub created: Option<Arc<[u32]>>,
}

#[derive(Debug)]
pub struct Key {
    pub credentials: Arc<Credentials>,
    pub rights: Rights,
    logstores: Option<HashSet<LogstoreName>>,
}

impl Key {
    pub fn covers(&self, logstore: &LogstoreName) -> bool {
        self.logstores
            .as_ref()
            .is_none_or(|only| only.contains(logstore))
    }
}

impl Access {
    pub fn new(projects: Vec<ProjectConfig>) -> Result<Self, ConfigError> {
        let mut access = HashMap::new();
        for config in projects {
            let name = config.name.clone();
            if access.insert(name.clone(), Project::new(config)?).is_some() {
                return Err(ConfigError::ProjectTwice(name));
            }
        }
        Ok(Self(access))
    }

    /// The project and the key of a client, if both and the secret are right.
    pub fn admit(&self, tenant: &Tenant) -> Result<(&Project, &Key), Refusal> {
        let Credentials {
            access_key_id,
            access_key_secret,
            security_token,
        } = &*tenant.credentials;
        let (project, key) = self.find(&tenant.project, access_key_id)?;
        if key.credentials.access_key_secret != *access_key_secret {
            return Err(Refusal::WrongSecret);
        }
        if security_token.is_some() {
            return Err(Refusal::Token);
        }
        Ok((project, key))
    }

    /// A project and its key of this id. Whoever asks has proven nothing yet.
    pub fn find(&self, project: &ProjectName, id: &str) -> Result<(&Project, &Key), Refusal> {
        let project = self.0.get(project).ok_or(Refusal::NoProject)?;
        let key = project.keys.get(id).ok_or(Refusal::NoKey)?;
        Ok((project, key))
    }

    pub fn project(&self, project: &ProjectName) -> Option<&Project> {
        self.0.get(project)
    }

    pub fn projects(&self) -> Vec<ProjectName> {
        self.0.keys().cloned().collect()
    }

    /// All configured Logstores.
    pub fn logstores(&self) -> Vec<LogstoreSpec> {
        let of =
            |project: &ProjectName, logstore: &LogstoreName, shards: &Arc<[u32]>| LogstoreSpec {
                project: project.clone(),
                logstore: logstore.clone(),
                shard_count: u32::try_from(shards.len()).unwrap_or(SHARDS_MAX),
            };
        let each = self.0.iter();
        each.flat_map(|(name, project)| {
            project
                .logstores
                .iter()
                .map(move |(logstore, shards)| of(name, logstore, shards))
        })
        .collect()
    }

    /// Shard counts of Logstores made on first use, for the projects that make them.
    pub fn created_shard_counts(&self) -> HashMap<ProjectName, u32> {
        let count = |shards: &Arc<[u32]>| u32::try_from(shards.len()).unwrap_or(SHARDS_MAX);
        let each = self.0.iter();
        each.filter_map(|(name, project)| Some((name.clone(), count(project.created.as_ref()?))))
            .collect()
    }
}

impl Project {
    fn new(config: ProjectConfig) -> Result<Self, ConfigError> {
        let project = config.name;
        let shards = |shard_count: u32| match shard_count {
            1..=SHARDS_MAX => Ok((0..shard_count).collect()),
            _ => Err(ConfigError::ShardCount {
                project: project.clone(),
                shard_count,
            }),
        };
        let mut logstores = HashMap::new();
        for LogstoreConfig { name, shard_count } in config.logstores {
            if logstores
                .insert(name.clone(), shards(shard_count)?)
                .is_some()
            {
                return Err(ConfigError::LogstoreTwice {
                    project: project.clone(),
                    logstore: name,
                });
            }
        }
        let created = config
            .create_on_first_use
            .then(|| shards(config.created_shard_count))
            .transpose()?;
        let mut keys = HashMap::new();
        for KeyConfig {
            id,
            secret,
            rights,
            logstores,
        } in config.keys
        {
            // '#' parts id and secret in the password; such a key could never log in, and an empty secret always could.
            if [id.as_str(), secret.expose()]
                .iter()
                .any(|text| text.is_empty() || text.contains('#'))
            {
                return Err(ConfigError::KeyUnusable { project });
            }
            let credentials = Credentials {
                access_key_id: id.clone(),
                access_key_secret: secret,
                security_token: None,
            };
            let key = Key {
                credentials: Arc::new(credentials),
                rights,
                logstores: logstores.map(HashSet::from_iter),
            };
            if keys.insert(id.clone(), key).is_some() {
                return Err(ConfigError::KeyTwice { project, id });
            }
        }
        Ok(Self {
            keys,
            logstores,
            created,
        })
    }
}
