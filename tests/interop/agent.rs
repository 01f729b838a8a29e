//! Agents: programs that read a log file and send its lines, with the output configuration that the README gives for them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::programs::cache;
use crate::records::Stored;
use crate::trials::Row;

mod lines;
mod process;
mod refusals;
pub mod scenarios;
mod stage;

/// `row.toml`.
#[derive(Clone, Deserialize)]
pub struct Agent {
    #[serde(skip)]
    pub name: String,
    /// The file of `config/agents` that the README shows.
    snippet: Option<String>,
    /// The rest of its configuration, in the row's folder.
    config: String,
    /// Another `config`, with which it sends in transactions.
    transactions: Option<String>,
    /// Where the line is in a record that is JSON; without it the record is the line.
    line: Option<String>,
    /// Only the number of a line arrives.
    #[serde(default)]
    numbers: bool,
    /// It sends what the file has and ends, so the file is whole before it starts.
    #[serde(default)]
    ends: bool,
    /// CI puts it through every scenario that is for agents.
    #[serde(default)]
    thorough: bool,
    /// It takes long to install: for a whole card only.
    #[serde(default)]
    slow: bool,
    /// Scenario → why it loses or repeats lines there, on Kafka too.
    #[serde(default)]
    own_ways: BTreeMap<String, String>,
    /// Scenario → why this agent is not put through it.
    #[serde(default)]
    reasons: BTreeMap<String, String>,
}

/// The names of the folders that are agents, sorted.
pub fn folders() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(home())
        .expect("the folder of agents can be read")
        .map(|entry| entry.expect("its entries too").file_name())
        .map(|name| name.into_string().expect("row names are text"))
        .collect();
    names.sort();
    names
}

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/agents")
}

impl Agent {
    pub fn read(name: &str) -> Self {
        let file = home().join(name).join("row.toml");
        let text = fs::read_to_string(&file).expect("row.toml can be read");
        let agent =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        Self {
            name: name.to_owned(),
            ..agent
        }
    }

    fn installed(&self) -> PathBuf {
        cache().join(&self.name)
    }

    fn program(&self) -> PathBuf {
        self.installed().join("run")
    }

    /// The line that a record brought; `None` where it brought none.
    fn line_of(&self, stored: &Stored) -> Option<String> {
        let content = String::from_utf8_lossy(&stored.content);
        let Some(pointer) = &self.line else {
            return Some(content.into_owned());
        };
        let value: Value = serde_json::from_str(&content).ok()?;
        Some(value.pointer(pointer)?.as_str()?.to_owned())
    }
}

impl Row for Agent {
    const TABLE: &'static str = "agents";

    fn name(&self) -> &str {
        &self.name
    }

    fn is_installed(&self) -> bool {
        self.program().exists()
    }

    fn is_thorough(&self) -> bool {
        self.thorough
    }

    fn is_slow(&self) -> bool {
        self.slow
    }

    fn reasons(&self) -> &BTreeMap<String, String> {
        &self.reasons
    }
}
