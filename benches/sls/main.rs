//! What the path to the Log Service costs: Produce frames over TLS → `sluice serve` in a process of its own → a stand-in for
//! the Log Service that only counts.
//!
//! ```text
//! clients (here) ──TLS──▶ sluice, backend = "sls" ──plain HTTP──▶ service (here)
//! ```
//!
//! `cargo bench --bench sls` prints CPU seconds of the gateway alone, beside what its parts cost by themselves in the same
//! run; how many writes a thousand small clients make; how long answers take; and its memory while the service hangs.
//! `cargo bench --bench sls -- costs` runs only the sections whose name begins so.

#[path = "../support/client.rs"]
mod client;
mod costs;
mod gateway;
mod hang;
mod network;
#[path = "../support/parts.rs"]
mod parts;
#[path = "../support/process.rs"]
mod process;
mod service;
mod small;
#[path = "../support/mod.rs"]
mod support;

use std::env;

/// As the program has it; the parts run here.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SECTIONS: [(&str, fn()); 5] = [
    ("costs", costs::run),
    ("requests", small::requests),
    ("writes", small::writes),
    ("latency", small::latency),
    ("hang", hang::run),
];

fn main() {
    let words: Vec<String> = env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    for (name, run) in SECTIONS {
        if words.is_empty() || words.iter().any(|word| name.starts_with(word.as_str())) {
            run();
        }
    }
}
