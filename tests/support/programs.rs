//! Programs that `tests/run` installs: where they are, what is said where they are not, and one run of one, with an end.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Where `tests/run` installs to.
pub fn cache() -> PathBuf {
    let set = |name| std::env::var_os(name).map(PathBuf::from);
    set("SLUICE_TEST_CACHE")
        .or_else(|| Some(set("XDG_CACHE_HOME")?.join("sluice-tests")))
        .or_else(|| Some(set("HOME")?.join(".cache/sluice-tests")))
        .expect("SLUICE_TEST_CACHE or HOME is set")
}

pub fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).exists())
}

/// What a test lacks: said aloud, and a failure where everything must be installed.
pub fn missing(text: &str) {
    let text = format!("{text} is not installed; tests/run installs it");
    let required = std::env::var("SLUICE_TEST_CLIENTS").is_ok_and(|set| set == "required");
    assert!(!required, "{text}");
    skipped(&text);
}

/// Says so past the test runner's capture: a skipped test must be seen.
pub fn skipped(text: &str) {
    let line = format!("skipped: {text}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// How a run ended, and what it said.
pub struct Ended {
    /// `None`: it took too long and was killed.
    pub status: Option<ExitStatus>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a program to its end with this on its standard input.
pub fn run(command: &mut Command, input: &[u8], time_max: Duration) -> Ended {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display()));
    // Dropped at once: the program sees the end. One that died already is found by its output.
    let _ = child.stdin.take().expect("stdin is piped").write_all(input);
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let status = wait(&mut child, time_max);
    Ended {
        status,
        stdout: stdout.join().expect("reading ends"),
        stderr: stderr.join().expect("reading ends"),
    }
}

/// Reads a pipe to its end, so that whoever writes never waits.
pub fn drain(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    let mut pipe = pipe.expect("it is piped");
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// `None`: it had to be killed.
pub fn wait(child: &mut Child, time_max: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + time_max;
    loop {
        let status = child.try_wait().expect("a child can be waited for");
        if status.is_some() {
            return status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        thread::sleep(Duration::from_millis(20));
    }
}
