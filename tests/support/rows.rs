//! Rows: a client of one version, what it can do, and one run of it. How it was installed is for `tests/run` to know.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::programs::{self, Ended, cache, is_on_path, missing};

/// A client's own time-out for a record, ample for a busy machine.
pub const TIMEOUT: Duration = Duration::from_secs(20);
/// A run that outlives its records' time-out by this much is killed; programs end by themselves after 8 s.
const KILL_AFTER: Duration = Duration::from_secs(20);

/// `row.toml`.
#[derive(Clone, Deserialize)]
pub struct Row {
    #[serde(skip)]
    pub name: String,
    /// Programs of Debian packages of the same name, beside what is installed in the row's folder.
    #[serde(default)]
    programs: Vec<String>,
    pub idempotent: bool,
    pub timestamps: bool,
    /// Kafka's codes that it keeps from its user when Metadata refuses the topic, who sees a time-out.
    #[serde(default)]
    pub untold: Vec<i64>,
    /// What it is given while a batch is tried again it may lose, even idempotent.
    #[serde(default)]
    pub loses_behind_retries: bool,
    /// CI puts it through every scenario. Without it only through those that are for every row.
    #[serde(default)]
    pub thorough: bool,
    /// It takes long to install: for a whole card only.
    #[serde(default)]
    pub slow: bool,
    /// Scenario → why not all that it was given is delivered there, or some twice, on Kafka too.
    #[serde(default)]
    pub own_ways: BTreeMap<String, String>,
    /// Scenario → why this client is not put through it.
    #[serde(default)]
    pub reasons: BTreeMap<String, String>,
    /// Versions of Kafka that it can be told to speak to, beside what it does by itself.
    #[serde(default)]
    pub brokers: Vec<String>,
    /// Message format → codecs. TOML's keys are strings.
    formats: BTreeMap<String, Vec<String>>,
}

/// What is sent.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source<'a> {
    /// A file of records, which the program reads at once.
    Records(&'a Path),
    /// The numbers below this one as text, for more records than a program should hold.
    Numbers(usize),
}

/// What stands on a program's standard input.
#[derive(Clone, Serialize)]
pub struct Spec<'a> {
    pub bootstrap: &'a str,
    pub user: &'a str,
    pub password: &'a str,
    pub ca: &'a Path,
    pub topic: &'a str,
    pub codec: &'a str,
    pub acks: &'a str,
    pub idempotent: bool,
    pub message_format: u8,
    /// The version of Kafka that the client is told to speak to; `None`: as the message format wants it.
    pub broker: Option<&'a str>,
    pub timeout_ms: u64,
    /// It is to try again until its time-out, however seldom it does so by default.
    pub patient: bool,
    /// How many producers share the records, all at the same time.
    pub producers: usize,
    /// Before each record.
    pub pause_ms: u64,
    /// What the broker is told to take at most for a request; `None`: what the program chooses.
    pub request_timeout_ms: Option<u64>,
    /// The client's own log shows what it is answered.
    pub verbose: bool,
    #[serde(flatten)]
    pub source: Source<'a>,
}

/// What a program prints, as far as a test asks; the rest is there for whoever reads a failure.
#[derive(Debug, Deserialize)]
pub struct Report {
    pub delivered: usize,
    pub errors: Vec<Value>,
    pub library: String,
    pub version: String,
    /// What it wrote on standard error, the client's own log among it.
    #[serde(skip)]
    pub log: String,
}

/// The names of the folders that are rows, sorted.
pub fn folders() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(home())
        .expect("the folder of rows can be read")
        .map(|entry| entry.expect("its entries too"))
        .filter(|entry| entry.path().join("row.toml").exists())
        .map(|entry| entry.file_name().into_string().expect("row names are text"))
        .collect();
    names.sort();
    names
}

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/clients")
}

impl Report {
    /// Some record failed with this code of Kafka's.
    pub fn names(&self, code: i64) -> bool {
        self.errors.iter().any(|error| error["code"] == code)
    }
}

impl Row {
    /// The row, or `None`, said aloud, when its client is not installed.
    pub fn installed(name: &str, what: &str) -> Option<Self> {
        let row = Self::read(name);
        if row.is_installed() {
            return Some(row);
        }
        missing(&format!("{what}: {name}"));
        None
    }

    pub fn is_installed(&self) -> bool {
        self.program().exists() && self.programs.iter().all(|program| is_on_path(program))
    }

    pub fn read(name: &str) -> Self {
        let file = home().join(name).join("row.toml");
        let text = fs::read_to_string(&file).expect("row.toml can be read");
        let row =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        Self {
            name: name.to_owned(),
            ..row
        }
    }

    fn program(&self) -> PathBuf {
        cache().join(&self.name).join("run")
    }

    /// Each message format with each of its codecs.
    pub fn formats(&self) -> impl Iterator<Item = (u8, &str)> {
        self.formats.iter().flat_map(|(format, codecs)| {
            let format = format.parse().expect("message formats are 0, 1 or 2");
            codecs.iter().map(move |codec| (format, codec.as_str()))
        })
    }

    /// The newest message format that the row sends.
    pub fn newest_format(&self) -> u8 {
        self.formats()
            .map(|(format, _)| format)
            .max()
            .expect("a row sends some format")
    }

    /// Runs the client once.
    pub fn send(&self, spec: &Spec) -> Report {
        let input = serde_json::to_vec(spec).expect("a specification is JSON");
        let time_max = Duration::from_millis(spec.timeout_ms) + KILL_AFTER;
        let Ended {
            status,
            stdout,
            stderr,
        } = programs::run(&mut Command::new(self.program()), &input, time_max);
        assert!(
            status.is_some(),
            "{} did not end in time: {stderr}",
            self.name
        );
        let report: Report = serde_json::from_str(&stdout).unwrap_or_else(|error| {
            panic!("{} gave no report ({error}): {stdout}{stderr}", self.name)
        });
        Report {
            log: stderr,
            ..report
        }
    }
}
