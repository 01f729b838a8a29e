//! One run of an agent, in a folder of its own.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use super::{Agent, home};
use crate::programs;
use crate::server::Target;

/// Most flush what they have when they are asked to end.
const STOP_MAX: Duration = Duration::from_secs(20);
/// For one that ends by itself.
const END_MAX: Duration = Duration::from_secs(120);
const SNIPPETS: &str = "config/agents";

/// Killed with all that it started when dropped, its folder removed.
pub struct Running {
    process: Child,
    dir: TempDir,
}

/// The folder of a run before it begins.
pub struct Prepared {
    dir: TempDir,
}

impl Prepared {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder can be made");
        fs::create_dir(dir.path().join("state")).expect("the folder can be written");
        Self { dir }
    }

    /// The file that the agent is to read.
    pub fn input(&self) -> PathBuf {
        self.dir.path().join("input.log")
    }

    pub fn start(self, agent: &Agent, target: &Target) -> Running {
        let config = self.dir.path().join(&agent.config);
        let text = configuration(agent, target, &self.dir, &self.input());
        fs::write(&config, text).expect("the folder can be written");
        let log = File::create(log_file(&self.dir)).expect("the folder can be written");
        let process = Command::new(agent.program())
            .arg(&config)
            .current_dir(self.dir.path().join("state"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", agent.name));
        Running {
            process,
            dir: self.dir,
        }
    }
}

fn configuration(agent: &Agent, target: &Target, dir: &TempDir, input: &Path) -> String {
    let own = fs::read_to_string(home().join(&agent.name).join(&agent.config));
    let snippet = agent.snippet.as_ref().map(|name| {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(SNIPPETS);
        fs::read_to_string(file.join(name)).expect("the README's snippet can be read")
    });
    let path = |path: &Path| path.display().to_string();
    own.expect("the row's configuration can be read")
        .replace("{{snippet}}", &snippet.unwrap_or_default())
        .replace("{{bootstrap}}", &target.bootstrap)
        .replace("{{project}}", &target.user)
        .replace("{{password}}", &target.password)
        .replace("{{topic}}", &target.topic)
        .replace("{{ca}}", &path(&target.ca))
        .replace("{{input}}", &path(input))
        .replace("{{state}}", &path(&dir.path().join("state")))
        .replace("{{installed}}", &path(&agent.installed()))
}

impl Running {
    /// What it has said until now.
    pub fn said(&self) -> String {
        let bytes = fs::read(log_file(&self.dir)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub fn has_ended(&mut self) -> bool {
        let status = self.process.try_wait().expect("a child can be waited for");
        status.is_some()
    }

    /// Waits for its end; `false`: it did not come, or it says that it failed.
    pub fn end_by_itself(&mut self) -> bool {
        programs::wait(&mut self.process, END_MAX).is_some_and(|status| status.success())
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(&mut self) {
        if !self.has_ended() {
            self.signal(Signal::TERM);
            programs::wait(&mut self.process, STOP_MAX);
        }
    }

    fn signal(&self, signal: Signal) {
        // Who has left already needs no signal.
        let _ = kill_process_group(Pid::from_child(&self.process), signal);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.process.wait();
    }
}

fn log_file(dir: &TempDir) -> PathBuf {
    dir.path().join("said")
}
