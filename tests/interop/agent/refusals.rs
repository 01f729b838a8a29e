//! What an agent's own log says where nothing gets through.

use std::thread;
use std::time::{Duration, Instant};

use super::Agent;
use super::stage::{LINES, Stage};
use crate::card::Seen;
use crate::scenarios::other_authority;
use crate::server::{Key, Kind, Server, Target, Wants};

/// How long an agent is watched.
const WATCHED: Duration = Duration::from_secs(8);

/// What the line that tells why has in it, the surest first.
const WRONG_KEY: [&str; 5] = [
    "authorized to access",
    "uthorization failed",
    "AUTHORIZATION",
    "SASL",
    "uthenticat",
];
const NO_TOPIC: [&str; 6] = [
    "does not exist on this broker",
    "nknown topic",
    "UNKNOWN_TOPIC",
    "does not host",
    "not present in metadata",
    "does not exist",
];
const NO_TRUST: [&str; 6] = [
    "unknown authority",
    "PKIX",
    "certificate verify",
    "certificate",
    "SSL",
    "run out of available brokers",
];

/// As Sluice has none.
const NO_TRANSACTIONS: [&str; 2] = [
    "Transactional Id authorization failed",
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
];

pub fn transactions(agent: &Agent, on: Kind) -> Seen {
    let Some(config) = agent.transactions.clone() else {
        return Seen::Other("it does not send in transactions".to_owned());
    };
    let agent = Agent {
        config,
        ..agent.clone()
    };
    let server = Server::start(on, Wants::default());
    let target = server.target();
    told(&agent, server, &target, &NO_TRANSACTIONS)
}

pub fn wrong_key(agent: &Agent, on: Kind) -> Seen {
    let server = Server::start(on, Wants::default());
    let target = server.target_as(Key::Wrong);
    told(agent, server, &target, &WRONG_KEY)
}

pub fn missing_logstore(agent: &Agent, on: Kind) -> Seen {
    let wants = Wants {
        topic_exists: false,
        ..Wants::default()
    };
    let server = Server::start(on, wants);
    let target = server.target();
    told(agent, server, &target, &NO_TOPIC)
}

pub fn unknown_authority(agent: &Agent, on: Kind) -> Seen {
    let server = Server::start(on, Wants::default());
    let (_folder, ca) = other_authority();
    let target = Target {
        ca,
        ..server.target()
    };
    told(agent, server, &target, &NO_TRUST)
}

/// Nothing gets through, and the agent's own log says why; the last line that does is shown.
fn told(agent: &Agent, server: Server, target: &Target, words: &[&str]) -> Seen {
    let mut stage = Stage::set(agent, server, target, LINES / 10);
    let until = Instant::now() + WATCHED;
    while Instant::now() < until && !stage.running.has_ended() {
        if stage.follows() {
            stage.file.append(1);
        }
        thread::sleep(Duration::from_millis(200));
    }
    stage.running.stop();
    assert!(stage.server.stored().is_empty(), "it was stored");
    let said = stage.running.said();
    if let Some(text) = words.iter().find_map(|word| line_with(&said, word)) {
        return Seen::Shown(text);
    }
    let last = said.lines().last().unwrap_or("nothing");
    let last = part_with(last, "");
    Seen::Noted(format!("its log does not tell why; last: {last}"))
}

/// The last line with this word that is meant for a user: a Java program's stack is not, nor is what a program says of itself.
fn line_with(said: &str, word: &str) -> Option<String> {
    let is_meant =
        |line: &&str| !line.trim_start().starts_with("at ") && !line.contains("DEPRECATED");
    let mut lines = said.lines().filter(is_meant);
    let line = lines.rfind(|line| line.contains(word))?;
    Some(part_with(line, word))
}

/// The line, or where it is long the part of it with this word.
fn part_with(line: &str, word: &str) -> String {
    const BEFORE: usize = 150;
    const SHOWN_MAX: usize = 300;
    let line = line.trim();
    let place = line.find(word).unwrap_or_default();
    let place = line[..place].chars().count();
    let is_far = place + word.len() > SHOWN_MAX;
    let skipped = if is_far { place - BEFORE } else { 0 };
    line.chars().skip(skipped).take(SHOWN_MAX).collect()
}
