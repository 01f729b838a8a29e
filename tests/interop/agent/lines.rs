//! The log file that an agent reads, and what became of its lines.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::Agent;
use crate::records::Stored;

/// Between two lines.
const PAUSE: Duration = Duration::from_millis(5);

/// A log file as a service writes it: a line at a time.
pub struct LogFile {
    path: PathBuf,
    lines: Vec<String>,
}

impl LogFile {
    /// Empty.
    pub fn make(path: &Path) -> Self {
        File::create(path).expect("the folder can be written");
        Self {
            path: path.to_owned(),
            lines: Vec::new(),
        }
    }

    /// Like an access log's line, its number first.
    fn next_line(&self) -> String {
        let number = self.lines.len();
        format!(
            "{number} 10.1.2.{} - - \"GET /item/{}?q=%20 HTTP/1.1\" 200 {} \"журнал 日志\"",
            number % 250,
            number * 7,
            1_000 + number
        )
    }

    pub fn append(&mut self, count: usize) {
        let file = File::options().append(true).open(&self.path);
        let mut file = file.expect("it was made");
        for _ in 0..count {
            let line = self.next_line();
            writeln!(file, "{line}").expect("it can be written");
            self.lines.push(line);
        }
    }

    /// The same over some time.
    pub fn append_slowly(&mut self, count: usize) {
        for _ in 0..count {
            self.append(1);
            thread::sleep(PAUSE);
        }
    }

    /// As logrotate does it: the file is renamed, and a new one begun.
    pub fn rotate(&mut self) {
        fs::rename(&self.path, self.path.with_extension("log.1")).expect("it can be renamed");
        File::create(&self.path).expect("the folder can be written");
    }

    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// What of it is stored.
    ///
    /// # Panics
    /// Where something is stored that was never written.
    pub fn found(&self, agent: &Agent, stored: &[Stored]) -> Found {
        let mut counts = vec![0_usize; self.lines.len()];
        for each in stored {
            let line = agent.line_of(each);
            let line = line.unwrap_or_else(|| panic!("no line in {each:?}"));
            let number = line.split(' ').next().and_then(|text| text.parse().ok());
            let number: usize = number.unwrap_or_else(|| panic!("no number in {line:?}"));
            let sent = self.lines.get(number);
            let sent = sent.unwrap_or_else(|| panic!("never written: {line:?}"));
            assert!(
                agent.numbers || line.trim_end() == sent,
                "{line:?}, not {sent:?}"
            );
            counts[number] += 1;
        }
        Found {
            missing: counts.iter().filter(|&&count| count == 0).count(),
            repeats: counts.iter().map(|count| count.saturating_sub(1)).sum(),
        }
    }
}

/// What became of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub missing: usize,
    pub repeats: usize,
}
