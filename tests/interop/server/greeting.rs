//! What the gateway prints for its users to copy.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::ChildStdout;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// From the start of the process to its greeting, on a busy machine.
const START_MAX: Duration = Duration::from_secs(60);
#[derive(Clone, Default)]
pub struct Greeting {
    pub bootstrap: String,
    pub intranet: String,
    pub user: String,
    pub password: String,
    pub ca: PathBuf,
}

impl Greeting {
    /// Reads until the last fact, then keeps the pipe empty. `None` when the process ends or takes too long.
    pub fn read(stdout: ChildStdout) -> Option<Self> {
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
