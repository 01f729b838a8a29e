//! The outcome of each row in each scenario as a line of JSON, from which `report_card.py` makes the report card.

use std::fs::File;
use std::io::Write;
use std::sync::Mutex;
use std::time::Duration;

use serde::Serialize;

use crate::server::Kind;

/// Names the file to write; set, every row is put through every scenario, in full, on Kafka too.
const VARIABLE: &str = "SLUICE_TEST_CARD";

/// Names the server, where only one is asked: `sluice` or `kafka`.
const SERVER: &str = "SLUICE_TEST_ON";

/// Are tests on this server wanted? On Kafka for a card only.
pub fn wanted_on(on: Kind) -> bool {
    let asked = std::env::var(SERVER);
    let is_asked = asked.map_or(true, |asked| asked == on.name());
    is_asked && (wanted() || on == Kind::Sluice)
}

/// Is a card wanted?
pub fn wanted() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// How a scenario ended, unless it panicked.
pub enum Seen {
    Good,
    /// Good, and worth a word on the card.
    Noted(String),
    /// Good: refused as it should be, and this is what the client's user reads.
    Shown(String),
    /// The client's own ways do not allow it, for this reason.
    Other(String),
    /// This machine does not allow it.
    Skipped(String),
}

/// One row in one scenario, as far as it does not depend on the outcome.
#[derive(Serialize)]
pub struct Cell<'a> {
    pub on: Kind,
    /// Rows of a kind share a table.
    pub table: &'static str,
    pub row: &'a str,
    pub thorough: bool,
    pub slow: bool,
    pub scenario: &'static str,
    /// Among the scenarios of its table.
    pub place: usize,
    pub section: Section,
    pub title: &'static str,
    pub in_ci: bool,
    /// Why what is seen on Sluice differs from what is seen on Kafka.
    pub differs: Option<&'static str>,
    /// Kafka has nothing to compare with.
    pub alone: bool,
}

/// What is asked; columns of one kind stand together.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    Stored,
    Refused,
    Trouble,
}

/// How it ended.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    cell: &'a Cell<'a>,
    outcome: &'static str,
    text: &'a str,
    seconds: u64,
}

pub struct Card {
    lines: Option<Mutex<File>>,
}

impl Card {
    pub fn wanted() -> Self {
        let lines = std::env::var_os(VARIABLE).map(|name| {
            let file = File::options().create(true).append(true).open(&name);
            Mutex::new(file.unwrap_or_else(|error| panic!("{}: {error}", name.display())))
        });
        Self { lines }
    }

    pub fn note(&self, cell: &Cell, seen: &Result<Seen, String>, took: Duration) {
        let Some(lines) = &self.lines else {
            return;
        };
        let (outcome, text) = match seen {
            Ok(Seen::Good) => ("good", ""),
            Ok(Seen::Noted(text)) => ("good", text.as_str()),
            Ok(Seen::Shown(text)) => ("shown", text.as_str()),
            Ok(Seen::Other(text)) => ("other", text.as_str()),
            Ok(Seen::Skipped(text)) => ("skipped", text.as_str()),
            Err(text) => ("bad", text.as_str()),
        };
        let line = Line {
            cell,
            outcome,
            text,
            seconds: took.as_secs(),
        };
        let line = serde_json::to_string(&line).expect("a cell is JSON");
        let mut lines = lines.lock().expect("no writer panics");
        writeln!(lines, "{line}").expect("the card can be written");
    }
}
