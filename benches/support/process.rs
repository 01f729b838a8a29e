//! What a process takes: CPU and memory, as Linux tells.

use std::fs;

/// CPU seconds of a process so far, in all threads that it still has.
pub fn cpu_seconds(process: u32) -> f64 {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
    threads
        .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("schedstat")).ok())
        .map(|text| nanoseconds(&text) / 1e9)
        .sum()
}

/// The time on a CPU, which stands first.
fn nanoseconds(schedstat: &str) -> f64 {
    let first = schedstat.split(' ').next();
    first
        .and_then(|first| first.parse().ok())
        .expect("a number")
}

/// KiB of a process that are in memory now.
pub fn resident_kib(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let words = line.expect("it has a size").split_whitespace();
    words
        .filter_map(|word| word.parse().ok())
        .next()
        .expect("in KiB")
}
