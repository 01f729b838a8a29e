//! Rows: a client of one version, what it can do, and one run of it. How it was installed is for `tests/run` to know.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A client's own time-out for a record, ample for a busy machine.
pub const TIMEOUT: Duration = Duration::from_secs(20);
/// A run that outlives its records' time-out by this much is killed; programs end by themselves after 8 s.
const KILL_AFTER: Duration = Duration::from_secs(20);

/// `row.toml`.
#[derive(Deserialize)]
pub struct Row {
    #[serde(skip)]
    pub name: String,
    /// Programs of Debian packages of the same name, beside what is installed in the row's folder.
    #[serde(default)]
    programs: Vec<String>,
    pub idempotent: bool,
    pub timestamps: bool,
    pub names_refusals: bool,
    /// Message format → codecs. TOML's keys are strings.
    formats: BTreeMap<String, Vec<String>>,
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
    pub timeout_ms: u64,
    pub records: &'a Path,
}

/// What a program prints, as far as a test asks; the rest is there for whoever reads a failure.
#[derive(Debug, Deserialize)]
pub struct Report {
    pub delivered: usize,
    pub errors: Vec<Value>,
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
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

fn cache() -> PathBuf {
    let set = |name| std::env::var_os(name).map(PathBuf::from);
    set("SLUICE_TEST_CACHE")
        .or_else(|| Some(set("XDG_CACHE_HOME")?.join("sluice-tests")))
        .or_else(|| Some(set("HOME")?.join(".cache/sluice-tests")))
        .expect("SLUICE_TEST_CACHE or HOME is set")
}

/// Says so past the test runner's capture: a skipped test must be seen.
pub fn skipped(text: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {text}");
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
        if row.program().exists() && row.programs.iter().all(|program| on_path(program)) {
            return Some(row);
        }
        let text = format!("{what}: {name} is not installed; tests/run installs it");
        let required = std::env::var("SLUICE_TEST_CLIENTS").is_ok_and(|set| set == "required");
        assert!(!required, "{text}");
        skipped(&text);
        None
    }

    fn read(name: &str) -> Self {
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
        let mut child = Command::new(self.program())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.program().display()));
        let input = serde_json::to_vec(spec).expect("a specification is JSON");
        // Dropped at once: the program sees the end. One that died already is found by its output.
        let _ = child
            .stdin
            .take()
            .expect("stdin is piped")
            .write_all(&input);
        let stdout = drain(child.stdout.take());
        let stderr = drain(child.stderr.take());
        let in_time = wait(
            &mut child,
            Duration::from_millis(spec.timeout_ms) + KILL_AFTER,
        );
        let (stdout, stderr) = (stdout.join(), stderr.join());
        let (stdout, stderr) = (stdout.expect("reading ends"), stderr.expect("reading ends"));
        assert!(in_time, "{} did not end in time: {stderr}", self.name);
        serde_json::from_str(&stdout).unwrap_or_else(|error| {
            panic!("{} gave no report ({error}): {stdout}{stderr}", self.name)
        })
    }
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).exists())
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    let mut pipe = pipe.expect("it is piped");
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// False when it had to be killed.
fn wait(child: &mut Child, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if child
            .try_wait()
            .expect("a child can be waited for")
            .is_some()
        {
            return true;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
}
