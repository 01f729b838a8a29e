//! What is stored, read back by the Log Service's official SDK.

use serde_json::Value;

use crate::program;

const SDK: &str = "python-0.9.52";

/// False, said aloud, when it is not.
pub fn is_installed(what: &str) -> bool {
    program::installed(SDK, what).is_some()
}

/// All logs of the project, as `reading.py` prints them.
pub fn read(place: &Value) -> Vec<Value> {
    let program = program::installed(SDK, "reading").expect("the test has asked for it");
    let printed = program::run(&program, ["read", "v4"], place);
    let log = |line| serde_json::from_str(line).expect("a log is a JSON object");
    printed.lines().map(log).collect()
}
