//! `sluice dev` in a folder of its own on free ports, and `sluice logs` on the same folder.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::records::StoredLog;

/// From the start of the process to its greeting, on a busy machine.
const START_MAX: Duration = Duration::from_secs(60);
/// How long logs that nobody confirmed (acks=0) may take to appear.
const ARRIVAL_MAX: Duration = Duration::from_secs(30);

/// The Logstore that `sluice dev` makes.
pub const LOGSTORE: &str = "test-logstore-1";

/// Killed when dropped, its folder removed.
pub struct Gateway {
    process: Child,
    pub greeting: Greeting,
    dir: TempDir,
}

/// What the gateway prints for its users to copy.
#[derive(Default)]
pub struct Greeting {
    pub bootstrap: String,
    pub intranet: String,
    pub user: String,
    pub password: String,
    pub ca: PathBuf,
}

impl Gateway {
    pub fn start() -> Self {
        Self::start_in(new_dir())
    }

    /// With a configuration that makes no Logstore on first use.
    pub fn start_without_creation() -> Self {
        let Self { dir, .. } = &Self::start();
        let kept = new_dir();
        for name in fs::read_dir(dir).expect("the folder was made") {
            let from = name.expect("its entries can be read").path();
            if from.is_file() {
                let to = kept
                    .path()
                    .join(from.file_name().expect("a file has a name"));
                fs::copy(from, to).expect("its files can be copied");
            }
        }
        let file = kept.path().join("sluice.toml");
        let text = fs::read_to_string(&file).expect("the configuration was made");
        let without = text.replace("create-on-first-use = true", "create-on-first-use = false");
        assert_ne!(text, without, "dev makes Logstores on first use");
        fs::write(&file, without).expect("the configuration can be changed");
        Self::start_in(kept)
    }

    fn start_in(dir: TempDir) -> Self {
        let errors = dir.path().join("stderr");
        let mut process = sluice("dev", dir.path())
            .args(["--port", "0"])
            .stdout(Stdio::piped())
            .stderr(File::create(&errors).expect("the folder can be written"))
            .spawn()
            .expect("sluice starts");
        let stdout = process.stdout.take().expect("stdout is piped");
        let Some(greeting) = Greeting::read(stdout) else {
            let _ = process.kill();
            let _ = process.wait();
            let errors = fs::read_to_string(errors).unwrap_or_default();
            panic!("sluice dev did not greet: {errors}");
        };
        Self {
            process,
            greeting,
            dir,
        }
    }

    /// All logs of a Logstore.
    pub fn logs(&self, logstore: &str) -> Vec<StoredLog> {
        let output = sluice("logs", self.dir.path())
            .args(["--project", &self.greeting.user])
            .args(["--format", "json", logstore])
            .output()
            .expect("sluice logs starts");
        assert!(
            output.status.success(),
            "sluice logs: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output
            .stdout
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).expect("a log is a JSON object"))
            .collect()
    }

    /// All logs of a Logstore, once there are `count` or it took too long.
    pub fn logs_when(&self, logstore: &str, count: usize) -> Vec<StoredLog> {
        let deadline = Instant::now() + ARRIVAL_MAX;
        loop {
            let logs = self.logs(logstore);
            if logs.len() >= count || Instant::now() > deadline {
                return logs;
            }
            thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Greeting {
    /// Reads until the last fact, then keeps the pipe empty. `None` when the process ends or takes too long.
    fn read(stdout: ChildStdout) -> Option<Self> {
        let (lines_in, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Nobody listens after the last fact.
                let _ = lines_in.send(line);
            }
        });
        let deadline = Instant::now() + START_MAX;
        let mut greeting = Self::default();
        while !greeting.complete() {
            let left = deadline.saturating_duration_since(Instant::now());
            greeting.take(&lines.recv_timeout(left).ok()?);
        }
        Some(greeting)
    }

    fn take(&mut self, line: &str) {
        let Some((name, value)) = line.trim().split_once(char::is_whitespace) else {
            return;
        };
        let value = value.trim().to_owned();
        match name {
            "bootstrap" => self.bootstrap = value,
            "(intranet)" => self.intranet = value,
            "user" => self.user = value,
            "password" => self.password = value,
            "CA" => self.ca = value.into(),
            _ => {}
        }
    }

    fn complete(&self) -> bool {
        let Self {
            bootstrap,
            intranet,
            user,
            password,
            ca,
        } = self;
        let texts = [bootstrap, intranet, user, password];
        texts.iter().all(|text| !text.is_empty()) && !ca.as_os_str().is_empty()
    }
}

fn new_dir() -> TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

fn sluice(command: &str, dir: &Path) -> Command {
    let mut sluice = Command::new(env!("CARGO_BIN_EXE_sluice"));
    sluice
        .arg(command)
        .arg("--dir")
        .arg(dir)
        .stdin(Stdio::null());
    sluice
}
