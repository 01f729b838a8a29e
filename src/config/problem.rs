//! What is wrong with a configuration and where: file, line, column, key, cause and cure.
//!
//! Problems are collected, so that one run of `sluice check` shows them all. No line of the file is quoted: it may hold a secret.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    pub file: PathBuf,
    /// Line and column, both from 1; `None` when the file could not be read at all.
    pub position: Option<(usize, usize)>,
    /// Like `listeners[0].address`; empty for the file as a whole.
    pub key: String,
    pub cause: String,
    /// What to do; may be empty where the cause says it.
    pub cure: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        if self.severity == Severity::Warning {
            f.write_str(": warning")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.cause)?;
        if !self.cure.is_empty() {
            write!(f, "; {}", self.cure)?;
        }
        Ok(())
    }
}

/// Collects problems of one file and finds where their keys stand.
#[derive(Debug)]
pub struct Problems<'a> {
    file: &'a Path,
    text: &'a str,
    found: Vec<Problem>,
}

impl<'a> Problems<'a> {
    pub fn new(file: &'a Path, text: &'a str) -> Self {
        Self {
            file,
            text,
            found: Vec::new(),
        }
    }

    /// Notes an error at a key path. A key that is not written (a default, a missing one) is shown at its nearest parent.
    pub fn error(&mut self, key: &str, cause: impl fmt::Display, cure: impl fmt::Display) {
        self.add(Severity::Error, key, &cause, &cure);
    }

    pub fn warn(&mut self, key: &str, cause: impl fmt::Display, cure: impl fmt::Display) {
        self.add(Severity::Warning, key, &cause, &cure);
    }

    fn add(
        &mut self,
        severity: Severity,
        key: &str,
        cause: &dyn fmt::Display,
        cure: &dyn fmt::Display,
    ) {
        let position = span_of(self.text, key).map(|span| position(self.text, span.start));
        self.found.push(Problem {
            severity,
            file: self.file.to_owned(),
            position,
            key: key.to_owned(),
            cause: cause.to_string(),
            cure: cure.to_string(),
        });
    }

    /// Notes what the TOML reader said.
    pub fn toml(&mut self, error: &toml::de::Error) {
        let start = error.span().map_or(0, |span| span.start);
        let cause = error.message().trim().to_owned();
        self.found.push(Problem {
            severity: Severity::Error,
            file: self.file.to_owned(),
            position: Some(position(self.text, start)),
            key: key_at(self.text, start),
            cure: meant(&cause),
            cause,
        });
    }

    pub fn has_errors(&self) -> bool {
        self.found.iter().any(|p| p.severity == Severity::Error)
    }

    pub fn into_list(self) -> Vec<Problem> {
        self.found
    }
}

/// Line and column (in characters) of a byte offset, both from 1.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.matches('\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

/// Where the value of a key path stands, or its nearest parent that is written.
fn span_of(text: &str, key: &str) -> Option<Range<usize>> {
    let tree = DeTable::parse(text).ok()?;
    let mut inside: Option<&DeValue<'_>> = None;
    let mut span = 0..0;
    for step in key.split(['.', '[']).filter(|step| !step.is_empty()) {
        let next = match (inside, step.strip_suffix(']')) {
            (None, _) => tree.get_ref().get(step),
            (Some(DeValue::Table(table)), None) => table.get(step),
            (Some(DeValue::Array(array)), Some(index)) => {
                index.parse().ok().and_then(|index: usize| array.get(index))
            }
            _ => None,
        };
        let Some(value) = next else { break };
        span = value.span();
        inside = Some(value.get_ref());
    }
    Some(span)
}

/// The path of the innermost key whose name or value covers a byte offset.
fn key_at(text: &str, offset: usize) -> String {
    let Ok(tree) = DeTable::parse(text) else {
        return String::new();
    };
    let mut path = String::new();
    descend_table(tree.get_ref(), offset, &mut path);
    path
}

fn descend_table(table: &DeTable<'_>, offset: usize, path: &mut String) {
    for (name, value) in table {
        let on_name = name.span().contains(&offset);
        if on_name || covers(value.get_ref(), value.span(), offset) {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(name.get_ref());
            if !on_name {
                descend_value(value.get_ref(), offset, path);
            }
            return;
        }
    }
}

fn descend_value(value: &DeValue<'_>, offset: usize, path: &mut String) {
    match value {
        DeValue::Table(table) => descend_table(table, offset, path),
        DeValue::Array(array) => {
            for (index, item) in array.iter().enumerate() {
                if covers(item.get_ref(), item.span(), offset) {
                    path.push_str(&format!("[{index}]"));
                    return descend_value(item.get_ref(), offset, path);
                }
            }
        }
        _ => {}
    }
}

/// A table's own span is only its header, so its members are asked too.
fn covers(value: &DeValue<'_>, span: Range<usize>, offset: usize) -> bool {
    span.contains(&offset)
        || match value {
            DeValue::Table(table) => table.iter().any(|(name, value)| {
                name.span().contains(&offset) || covers(value.get_ref(), value.span(), offset)
            }),
            DeValue::Array(array) => array
                .iter()
                .any(|item| covers(item.get_ref(), item.span(), offset)),
            _ => false,
        }
}

/// "did you mean" for an unknown key or word, from the names that the reader's message quotes.
fn meant(message: &str) -> String {
    if !message.starts_with("unknown ") {
        return String::new();
    }
    let mut quoted = message.split('`').skip(1).step_by(2);
    let Some(wrong) = quoted.next() else {
        return String::new();
    };
    // Two slips in a short word still leave it recognisable; more would be guessing.
    quoted
        .map(|known| (distance(wrong, known), known))
        .filter(|(slips, _)| *slips <= 2)
        .min()
        .map_or(String::new(), |(_, known)| {
            format!("did you mean `{known}`?")
        })
}

/// Edit distance (insert, delete, replace), row by row.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "backend = 1\n[[listeners]]\nname = \"a\"\n[[listeners]]\nname = \"b\"\n  address = 5\n";

    #[test]
    fn a_key_path_is_found_by_line_and_column() {
        let check = |key, expected| {
            let span = span_of(TEXT, key).unwrap();
            assert_eq!(position(TEXT, span.start), expected, "{key}");
        };
        check("backend", (1, 11));
        check("listeners[1].address", (6, 13));
        check("listeners[1].missing", (4, 1));
    }

    #[test]
    fn a_place_is_named_by_its_key_path() {
        let check = |needle: &str, expected: &str| {
            assert_eq!(key_at(TEXT, TEXT.find(needle).unwrap()), expected);
        };
        check("1\n", "backend");
        check("\"b\"", "listeners[1].name");
        check("5", "listeners[1].address");
        check("address", "listeners[1].address");
    }

    #[test]
    fn a_slip_of_the_pen_is_guessed_and_nothing_more() {
        assert_eq!(
            meant("unknown field `adress`, expected one of `name`, `address`"),
            "did you mean `address`?"
        );
        assert_eq!(
            meant("unknown field `colour`, expected one of `name`, `address`"),
            ""
        );
        assert_eq!(meant("missing field `name`"), "");
    }

    #[test]
    fn a_problem_reads_as_one_line_with_place_key_cause_and_cure() {
        let mut problems = Problems::new(Path::new("s.toml"), TEXT);
        problems.error("listeners[1].address", "is no text", "write it in quotes");
        problems.warn("", "is short", "");
        let lines: Vec<String> = problems
            .into_list()
            .iter()
            .map(Problem::to_string)
            .collect();
        assert_eq!(
            lines,
            [
                "s.toml:6:13: listeners[1].address: is no text; write it in quotes",
                "s.toml:1:1: warning: is short",
            ]
        );
    }
}
