//! One process of the real program, its events in a file.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// From the start of a process to its listening, on a busy machine.
const START_MAX: Duration = Duration::from_secs(60);

/// Killed when dropped.
pub struct Process {
    process: Child,
    events: PathBuf,
}

impl Process {
    /// In this folder, with events as JSON in `{name}.log` there.
    pub fn start(folder: &Path, name: &str, arguments: &[&str]) -> Self {
        let events = folder.join(name).with_extension("log");
        let process = Command::new(env!("CARGO_BIN_EXE_sluice"))
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&events).expect("the folder can be written"))
            .spawn()
            .expect("sluice starts");
        Self { process, events }
    }

    /// What the process has written about itself.
    pub fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.events).expect("its events can be read");
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let read = |line| serde_json::from_str(line).unwrap_or(Value::Null);
        whole.lines().map(read).collect()
    }

    /// The address in the first event with this message, once there is one.
    pub fn address(&mut self, message: &str) -> SocketAddr {
        let deadline = Instant::now() + START_MAX;
        loop {
            let events = self.events();
            let event = events.iter().find(|event| event["message"] == message);
            if let Some(address) = event.and_then(|event| event["address"].as_str()) {
                return address.parse().expect("an address and a port");
            }
            let ended = self.process.try_wait().expect("it can be waited for");
            let gone = ended.is_some() || Instant::now() > deadline;
            assert!(!gone, "sluice did not come up: {events:#?}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
