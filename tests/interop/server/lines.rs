//! What `sluice logs` prints, line by line: there may be more than should be held.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde::Deserialize;

/// Of a log, what is asked for.
#[derive(Deserialize)]
pub struct Content {
    pub content: String,
}

/// What `sluice logs` prints; ended when dropped.
pub struct Lines {
    process: Child,
    lines: io::Lines<BufReader<ChildStdout>>,
}

impl Iterator for Lines {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let line = self.lines.next();
        if line.is_none() {
            self.assert_all_read();
        }
        line.map(|line| line.expect("logs are text"))
    }
}

impl Lines {
    pub fn of(mut logs: Command) -> Self {
        let mut process = logs
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("sluice logs starts");
        let stdout = process.stdout.take().expect("stdout is piped");
        Self {
            process,
            lines: BufReader::new(stdout).lines(),
        }
    }

    fn assert_all_read(&mut self) {
        let mut errors = String::new();
        let stderr = self.process.stderr.as_mut().expect("stderr is piped");
        let _ = stderr.read_to_string(&mut errors);
        let status = self.process.wait().expect("a child can be waited for");
        let nothing = errors.contains("nothing was stored there");
        assert!(status.success() || nothing, "sluice logs: {errors}");
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
