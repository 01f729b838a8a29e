//! `sluice dev` in a folder of its own on free ports, and `sluice logs` on the same folder.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::greeting::Greeting;
use super::lines::{Content, Lines};
use super::{Key, Target, Wants};
use crate::programs;
use crate::records::{self, Stored, StoredLog};
use crate::relay::Beyond;

/// More than the gateway's own grace for requests under way.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// What `sluice dev` would make.
const CONFIGURATION: &str = include_str!("../../../config/dev.toml");
const FILE: &str = "sluice.toml";
const SECRET: &str = "dev-access-key-secret";
const READER: &str = "reader-id#reader-secret";
const STRANGER: &str = "other-id#other-secret";
/// The Logstore that `sluice dev` makes, and one that nobody makes.
const LOGSTORE: &str = "test-logstore-1";
const NO_LOGSTORE: &str = "no-such-logstore";

/// Beside what `dev` makes: headers are kept and a partition is a shard, so that both can be compared; a key that may read; and
/// another project, with a Logstore of the same name.
const ADDED: &str = r#"
[[embedded.projects.keys]]
id = "reader-id"
secret = "reader-secret"
rights = ["read"]

[[embedded.projects]]
name = "test-project-2"

[[embedded.projects.keys]]
id = "other-id"
secret = "other-secret"
rights = ["write", "read", "admin"]

[[embedded.projects.logstores]]
name = "test-logstore-1"

[mapping]
headers = "keep"

[spread]
mode = "by-partition"
"#;

/// Killed when dropped, its folder removed.
pub struct Sluice {
    process: Child,
    pub greeting: Greeting,
    dir: TempDir,
    logstore: &'static str,
}

impl Sluice {
    /// `advertised_port`: of the relay that clients pass.
    pub fn start(wants: Wants, advertised_port: Option<u16>) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder can be made");
        let text = configuration(wants, advertised_port);
        fs::write(dir.path().join(FILE), text).expect("the folder can be written");
        let (process, greeting) = launch(dir.path(), &["--port", "0"]);
        Self {
            process,
            greeting,
            dir,
            logstore: if wants.topic_exists {
                LOGSTORE
            } else {
                NO_LOGSTORE
            },
        }
    }

    pub fn target(&self, key: Key) -> Target {
        let Greeting {
            bootstrap,
            user,
            password,
            ca,
            ..
        } = self.greeting.clone();
        let password = match key {
            Key::Good => password,
            Key::Wrong => format!("{password}-wrong"),
            Key::Strange => STRANGER.to_owned(),
            Key::Reader => READER.to_owned(),
        };
        Target {
            bootstrap,
            user,
            password,
            ca,
            topic: self.logstore.to_owned(),
        }
    }

    /// For a relay before it.
    pub fn beyond(&self) -> Beyond {
        let port = self.greeting.bootstrap.rsplit(':').next();
        let port = port.and_then(|port| port.parse().ok()).expect("a port");
        Beyond {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            chain: self.dir.path().join("server.pem"),
            key: self.dir.path().join("server.key"),
            ca: self.greeting.ca.clone(),
        }
    }

    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    pub fn drain(&mut self) {
        let process = Pid::from_child(&self.process);
        kill_process(process, Signal::TERM).expect("it runs");
        let status = programs::wait(&mut self.process, DRAIN_MAX);
        let drained = status.is_some_and(|status| status.success());
        assert!(drained, "drained with {status:?}");
    }

    pub fn start_again(&mut self) {
        let Greeting {
            bootstrap,
            intranet,
            ..
        } = self.greeting.clone();
        let own = |address: String| address.replace("localhost", "127.0.0.1");
        self.change(|text| {
            text.replace("127.0.0.1:10012", &own(bootstrap))
                .replace("127.0.0.1:10011", &own(intranet))
                .replace("127.0.0.1:10080", "127.0.0.1:0")
        });
        let (process, greeting) = launch(self.dir.path(), &[]);
        assert_eq!(greeting.bootstrap, self.greeting.bootstrap);
        self.process = process;
    }

    /// It reads its configuration when it starts.
    fn change(&self, change: impl FnOnce(String) -> String) {
        let file = self.dir.path().join(FILE);
        let text = fs::read_to_string(&file).expect("the configuration can be read");
        fs::write(&file, change(text)).expect("the configuration can be changed");
    }

    pub fn add_shards(&mut self) {
        self.drain();
        self.change(|text| text.replace("shards = 2", "shards = 4"));
        self.start_again();
    }

    /// From its next start on its key's secret is another one.
    pub fn revoke_key(&self) {
        self.change(|text| text.replace(SECRET, "another-secret"));
    }

    /// From its next start on its key is what it was.
    pub fn restore_key(&self) {
        self.change(|text| text.replace("another-secret", SECRET));
    }

    /// All logs of the Logstore, as `sluice logs` tells them.
    pub fn logs(&self) -> Vec<StoredLog> {
        let log = |line: String| serde_json::from_str(&line).expect("a log is a JSON object");
        self.lines().map(log).collect()
    }

    /// The field `content` of all logs, read as it is asked for.
    pub fn contents(&self) -> impl Iterator<Item = String> {
        self.lines().map(|line| {
            let log: Content = serde_json::from_str(&line).expect("every log has content");
            log.content
        })
    }

    fn lines(&self) -> Lines {
        let mut logs = sluice("logs", self.dir.path());
        logs.args(["--project", &self.greeting.user])
            .args(["--format", "json", self.logstore]);
        Lines::of(logs)
    }

    pub fn stored(&self) -> Vec<Stored> {
        records::stored(&self.logs())
    }
}

impl Drop for Sluice {
    fn drop(&mut self) {
        self.kill();
    }
}

fn configuration(wants: Wants, advertised_port: Option<u16>) -> String {
    let mut text = CONFIGURATION.replace("{{secret}}", SECRET);
    if !wants.topic_exists {
        text = text.replace("create-on-first-use = true", "create-on-first-use = false");
    }
    if let Some(port) = advertised_port {
        let address = "address = \"127.0.0.1:10012\"\n";
        text = text.replace(address, &format!("{address}advertised-port = {port}\n"));
    }
    text.push_str(ADDED);
    if let Some(max) = wants.batch_bytes_max {
        text.push_str(&format!(
            "\n[limits]\ndecompressed = \"{}KiB\"\n",
            max >> 10
        ));
    }
    if wants.holds_bad_keys {
        text.push_str("\n[auth]\nbad-key = \"hold\"\n");
    }
    text
}

/// Starts `sluice dev` and waits for its greeting.
fn launch(dir: &Path, arguments: &[&str]) -> (Child, Greeting) {
    let errors = dir.join("stderr");
    let log = File::options().create(true).append(true).open(&errors);
    let mut process = sluice("dev", dir)
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(log.expect("the folder can be written"))
        .spawn()
        .expect("sluice starts");
    let stdout = process.stdout.take().expect("stdout is piped");
    let Some(greeting) = Greeting::read(stdout) else {
        let _ = process.kill();
        let _ = process.wait();
        let errors = fs::read_to_string(errors).unwrap_or_default();
        panic!("sluice dev did not greet: {errors}");
    };
    (process, greeting)
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
