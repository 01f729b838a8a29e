//! An SDK's program: where `tests/run` puts it, and one run of it.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::store::Store;

/// A scenario takes seconds; the Python SDK tries for ten of them before it gives up.
const RUN_MAX: Duration = Duration::from_secs(60);

/// The SDK's folder in the source.
pub fn home(sdk: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/sdk")
        .join(sdk)
}

/// The program, or `None`, said aloud, when the SDK is not installed.
pub fn installed(sdk: &str, what: &str) -> Option<PathBuf> {
    let program = cache().join(format!("sdk-{sdk}")).join("run");
    if program.exists() {
        return Some(program);
    }
    let text = format!("{what}: SDK {sdk} is not installed; tests/run installs it");
    let required = std::env::var("SLUICE_TEST_CLIENTS").is_ok_and(|set| set == "required");
    assert!(!required, "{text}");
    // Past the test runner's capture: a skipped test must be seen.
    let _ = writeln!(std::io::stderr(), "skipped: {text}");
    None
}

fn cache() -> PathBuf {
    let set = |name| std::env::var_os(name).map(PathBuf::from);
    set("SLUICE_TEST_CACHE")
        .or_else(|| Some(set("XDG_CACHE_HOME")?.join("sluice-tests")))
        .or_else(|| Some(set("HOME")?.join(".cache/sluice-tests")))
        .expect("SLUICE_TEST_CACHE or HOME is set")
}

/// Runs one scenario against a store of its own.
pub fn run(program: &Path, scenario: &str, version: &str) {
    let store = Store::start();
    let mut command = Command::new(program);
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        // SDKs heed them, even on the way to this machine.
        command.env_remove(name);
    }
    let mut child = command
        .args([scenario, version])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    // Dropped at once: the program sees the end. One that died already is found by its exit code.
    let place = store.place().to_string();
    let _ = child
        .stdin
        .take()
        .expect("stdin is piped")
        .write_all(place.as_bytes());
    let mut stderr = child.stderr.take().expect("stderr is piped");
    let told = thread::spawn(move || {
        let mut text = String::new();
        let _ = stderr.read_to_string(&mut text);
        text
    });
    let deadline = Instant::now() + RUN_MAX;
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break Some(status);
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        thread::sleep(Duration::from_millis(20));
    };
    let told = told.join().expect("reading ends");
    let is_good = status.is_some_and(|status| status.success());
    assert!(is_good, "{scenario} {version}: {status:?}\n{told}");
}
