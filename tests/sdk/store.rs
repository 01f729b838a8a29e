//! `sluice dev` in a folder of its own on free ports, with a writing and a reading key beside the published one.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tempfile::TempDir;

/// From the start of the process to its greeting, on a busy machine.
const START_MAX: Duration = Duration::from_secs(60);

/// The configuration that `dev` would make.
const TEMPLATE: &str = include_str!("../../config/dev.toml");
const MORE_KEYS: &str = r#"
[[embedded.projects.keys]]
id = "agent"
secret = "agent-secret"

[[embedded.projects.keys]]
id = "reader"
secret = "reader-secret"
rights = ["read"]
"#;

/// Killed when dropped, its folder removed.
pub struct Store {
    process: Child,
    place: Value,
    _dir: TempDir,
}

impl Store {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder can be made");
        let config = TEMPLATE.replace("{{secret}}", "dev-access-key-secret") + MORE_KEYS;
        fs::write(dir.path().join("sluice.toml"), config).expect("the folder can be written");
        let errors = dir.path().join("stderr");
        let mut process = Command::new(env!("CARGO_BIN_EXE_sluice"))
            .args(["dev", "--port", "0", "--dir"])
            .arg(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&errors).expect("the folder can be written"))
            .spawn()
            .expect("sluice starts");
        let stdout = process.stdout.take().expect("stdout is piped");
        let Some(place) = read_greeting(stdout) else {
            let _ = process.kill();
            let _ = process.wait();
            let errors = fs::read_to_string(errors).unwrap_or_default();
            panic!("sluice dev did not greet: {errors}");
        };
        Self {
            process,
            place,
            _dir: dir,
        }
    }

    /// Where the store is: `url`, and for Kafka `bootstrap` and `ca`.
    pub fn place(&self) -> &Value {
        &self.place
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads until the last fact, then keeps the pipe empty. `None` when the process ends or takes too long.
fn read_greeting(stdout: ChildStdout) -> Option<Value> {
    let (lines_in, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Nobody listens after the last fact.
            let _ = lines_in.send(line);
        }
    });
    let deadline = Instant::now() + START_MAX;
    let mut place = Map::new();
    while place.len() < 3 {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = lines.recv_timeout(left).ok()?;
        let mut words = line.split_whitespace();
        let name = match words.next() {
            Some("API") => "url",
            Some("bootstrap") => "bootstrap",
            Some("CA") => "ca",
            _ => continue,
        };
        place.insert(name.to_owned(), words.next()?.into());
    }
    Some(Value::Object(place))
}
