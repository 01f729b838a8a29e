//! Imports point one way: each module of `src` may use only those that its row names. One crate cannot enforce that by
//! itself, so this test reads the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Module → what it may import, in reading order.
const ALLOWED: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("records", &[]),
    ("tenant", &[]),
    ("signature", &["tenant"]),
    ("logs", &["records"]),
    ("session", &["protocol", "refusals", "tenant"]),
    ("memory", &["tenant"]),
    ("refusals", &[]),
    ("idempotence", &["records", "tenant"]),
    ("backend", &["signature", "logs", "refusals", "tenant"]),
    (
        "api",
        &[
            "backend",
            "logs",
            "memory",
            "refusals",
            "signature",
            "spread",
            "tenant",
        ],
    ),
    ("spread", &["backend", "logs", "tenant"]),
    (
        "failure",
        &[
            "protocol",
            "records",
            "tenant",
            "logs",
            "idempotence",
            "backend",
        ],
    ),
    ("catalog", &["tenant", "backend", "failure"]),
    (
        "ingest",
        &[
            "protocol",
            "records",
            "tenant",
            "logs",
            "session",
            "memory",
            "refusals",
            "idempotence",
            "backend",
            "spread",
            "failure",
            "catalog",
        ],
    ),
    (
        "server",
        &[
            "protocol",
            "tenant",
            "session",
            "memory",
            "refusals",
            "idempotence",
            "backend",
            "failure",
            "catalog",
            "ingest",
        ],
    ),
    (
        "config",
        &[
            "tenant", "logs", "session", "records", "backend", "catalog", "failure", "ingest",
            "server",
        ],
    ),
    ("telemetry", &["config"]),
];

#[test]
fn imports_point_one_way() {
    let allowed: BTreeMap<&str, BTreeSet<&str>> = ALLOWED
        .iter()
        .map(|(module, others)| (*module, others.iter().copied().collect()))
        .collect();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in rust_files(&source) {
        let relative = file.strip_prefix(&source).expect("it was found there");
        let first = relative
            .iter()
            .next()
            .and_then(|part| part.to_str())
            .expect("a UTF-8 name");
        let module = first.trim_end_matches(".rs");
        // `cli`, `main` and the crate's root join everything.
        let Some(may) = allowed.get(module) else {
            continue;
        };
        let text = fs::read_to_string(&file).expect("a readable source");
        for used in crate_paths(&text) {
            seen += 1;
            if used != module && !may.contains(used.as_str()) {
                wrong.push(format!("{} uses {used}", relative.display()));
            }
        }
    }
    assert!(
        seen > 50,
        "the sources were not read: only {seen} imports seen"
    );
    assert!(
        wrong.is_empty(),
        "imports against the order of the modules:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_core_is_free_of_sockets_and_clocks() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for module in [
        "protocol",
        "records",
        "tenant",
        "signature",
        "logs",
        "session",
        "idempotence",
        "spread",
    ] {
        for file in rust_files(&source).into_iter().filter(|file| {
            let first = file
                .strip_prefix(&source)
                .ok()
                .and_then(|path| path.iter().next());
            first
                .and_then(|part| part.to_str())
                .is_some_and(|part| part.trim_end_matches(".rs") == module)
        }) {
            let text = fs::read_to_string(&file).expect("a readable source");
            for word in [
                "tokio::",
                "std::net::Tcp",
                "SystemTime::now",
                "Instant::now",
                "std::fs::",
            ] {
                let code = text.split("#[cfg(test)]").next().unwrap_or_default();
                let is_test = file.file_name().is_some_and(|name| name == "tests.rs");
                assert!(
                    is_test || !code.contains(word),
                    "{} contains {word}",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn grouped_imports_are_seen() {
    let text = "use crate::{records, server::{self, Peer},\n    logs::Bounds};\nlet x = crate::tenant::parse();";
    assert_eq!(crate_paths(text), ["records", "server", "logs", "tenant"]);
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The first segment of each `crate::…` path in code, of each member where the path is a group; comments left out.
fn crate_paths(text: &str) -> Vec<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    code.split("crate::")
        .skip(1)
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(group) => group_members(group),
            None => vec![rest],
        })
        .filter_map(|path| {
            path.split(|c: char| !c.is_ascii_lowercase() && c != '_')
                .next()
        })
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Where each outermost member starts in the text that follows a group's opening brace.
fn group_members(group: &str) -> Vec<&str> {
    let mut members = Vec::new();
    let mut start = 0;
    let mut depth = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' if depth == 0 => {
                members.push(group[start..].trim_start());
                start = at + 1;
            }
            '}' => {
                members.push(group[start..].trim_start());
                break;
            }
            _ => {}
        }
    }
    members
}
