//! An SDK's program: where `tests/run` puts it, and one run of it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::programs::{self, Ended, cache, missing};

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
    missing(&format!("{what}: SDK {sdk}"));
    None
}

/// Runs a scenario, and whatever else the program can do; returns what it printed.
pub fn run(program: &Path, what: [&str; 2], place: &Value) -> String {
    let mut command = Command::new(program);
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        // SDKs heed them, even on the way to this machine.
        command.env_remove(name);
    }
    let input = place.to_string();
    let Ended {
        status,
        stdout,
        stderr,
    } = programs::run(command.args(what), input.as_bytes(), RUN_MAX);
    let is_good = status.is_some_and(|status| status.success());
    assert!(is_good, "{what:?}: {status:?}\n{stderr}");
    stdout
}
