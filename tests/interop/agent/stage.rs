//! An agent that reads a log file before a server, and what became of the lines.

use std::thread;
use std::time::{Duration, Instant};

use super::Agent;
use super::lines::{Found, LogFile};
use super::process::{Prepared, Running};
use crate::card::Seen;
use crate::server::{Server, Target};

/// Over some three seconds.
pub const LINES: usize = 600;
/// So many are stored when something happens to the server.
const BEFORE: usize = 50;
/// Whoever has sent nothing new for so long has given up.
const QUIET_MAX: Duration = Duration::from_secs(25);
const FIRST_MAX: Duration = Duration::from_secs(40);

/// An agent with its file before a server.
pub struct Stage<'a> {
    agent: &'a Agent,
    pub server: Server,
    pub file: LogFile,
    pub running: Running,
}

impl<'a> Stage<'a> {
    /// An agent that ends by itself gets all its lines now.
    pub fn set(agent: &'a Agent, server: Server, target: &Target, lines: usize) -> Self {
        let prepared = Prepared::new();
        let mut file = LogFile::make(&prepared.input());
        if agent.ends {
            file.append(lines);
        }
        let running = prepared.start(agent, target);
        Self {
            agent,
            server,
            file,
            running,
        }
    }

    pub fn follows(&self) -> bool {
        !self.agent.ends
    }

    /// Waits until everything is stored, or nothing more comes.
    pub fn settle(&mut self) -> Found {
        let mut count = 0;
        let mut last = Instant::now();
        loop {
            let stored = self.server.stored();
            let found = self.file.found(self.agent, &stored);
            if stored.len() != count {
                count = stored.len();
                last = Instant::now();
            }
            if found.missing == 0 || last.elapsed() > QUIET_MAX {
                self.running.stop();
                // What it still had when it was asked to end.
                return self.file.found(self.agent, &self.server.stored());
            }
            thread::sleep(Duration::from_millis(200));
        }
    }

    fn wait_for_some(&self) {
        let deadline = Instant::now() + FIRST_MAX;
        while self.server.stored().len() < BEFORE {
            let said = || last_lines(&self.running.said());
            assert!(Instant::now() < deadline, "nothing arrives:\n{}", said());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Lines go on being written while this is done to the server.
    pub fn meanwhile(&mut self, midway: impl FnOnce(&mut Server)) {
        if !self.follows() {
            self.wait_for_some();
            return midway(&mut self.server);
        }
        self.file.append_slowly(BEFORE + LINES / 4);
        self.wait_for_some();
        let Self { server, file, .. } = self;
        thread::scope(|threads| {
            threads.spawn(|| file.append_slowly(3 * LINES / 4 - BEFORE));
            midway(server);
        });
    }

    /// Nothing lost, and nothing twice but where at least once is all that is promised.
    pub fn judge(mut self, scenario: &str) -> Seen {
        let Found { missing, repeats } = self.settle();
        let written = self.file.len();
        let told = match (missing, repeats) {
            (0, 0) => return Seen::Good,
            (0, repeats) => format!("{repeats} of {written} stored twice"),
            (missing, 0) => format!("{missing} of {written} dropped by the agent"),
            _ => format!("{missing} of {written} dropped by the agent, {repeats} stored twice"),
        };
        match self.agent.own_ways.get(scenario) {
            Some(why) => Seen::Noted(format!("{told}: {why}")),
            None if missing == 0 => Seen::Noted(told),
            None => panic!("{told}\n{}", last_lines(&self.running.said())),
        }
    }
}

pub fn last_lines(said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
