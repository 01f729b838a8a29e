//! The one table of what Sluice answers otherwise than Kafka, with the reasons.

use std::fmt::Write;

use regex::Regex;

use super::compare::Difference;

/// Rows of `case | field | Kafka | Sluice`, each a regular expression for the whole of what it is compared with. The lines
/// with a number sign before them say why. The first row that fits a difference explains it; every row must explain one.
const TABLE: &str = include_str!("differences.txt");

/// How many unexplained differences are shown.
const SHOWN_MAX: usize = 200;

/// The rows in use.
pub struct Table {
    rows: Vec<Row>,
    unexplained: Vec<Difference>,
}

struct Row {
    text: &'static str,
    case: Regex,
    field: Regex,
    kafka: Regex,
    sluice: Regex,
    times: usize,
}

impl Table {
    pub fn new() -> Self {
        Self::of(TABLE)
    }

    fn of(text: &'static str) -> Self {
        Self {
            rows: rows(text),
            unexplained: Vec::new(),
        }
    }

    pub fn judge(&mut self, difference: Difference) {
        match self.rows.iter_mut().find(|row| row.fits(&difference)) {
            Some(row) => row.times += 1,
            None => self.unexplained.push(difference),
        }
    }

    pub fn holds(&self) -> bool {
        self.unexplained.is_empty() && self.unused().next().is_none()
    }

    pub fn counts(&self) -> String {
        let explained: usize = self.rows.iter().map(|row| row.times).sum();
        format!(
            "{explained} differences explained by {} rows",
            self.rows.len()
        )
    }

    pub fn complaints(&self) -> String {
        let mut text = format!("{} unexplained differences\n", self.unexplained.len());
        for difference in self.unexplained.iter().take(SHOWN_MAX) {
            let Difference {
                case,
                field,
                kafka,
                sluice,
            } = difference;
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{case} | {field} | Kafka {kafka} | Sluice {sluice}");
        }
        for row in self.unused() {
            let _ = writeln!(text, "no such difference any more: {}", row.text);
        }
        text
    }

    fn unused(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.times == 0)
    }
}

fn rows(text: &'static str) -> Vec<Row> {
    let mut has_reason = false;
    let mut rows = Vec::new();
    for line in text.lines() {
        match line {
            "" => has_reason = false,
            _ if line.starts_with("# ") => has_reason = true,
            _ => {
                assert!(has_reason, "why? {line}");
                rows.push(Row::parse(line));
            }
        }
    }
    rows
}

impl Row {
    fn parse(text: &'static str) -> Self {
        let columns: Vec<&str> = text.split(" | ").collect();
        let [case, field, kafka, sluice] = columns[..] else {
            panic!("four columns: {text}");
        };
        let whole = |text| Regex::new(&format!("^(?:{text})$")).expect("a regular expression");
        Self {
            text,
            case: whole(case),
            field: whole(field),
            kafka: whole(kafka),
            sluice: whole(sluice),
            times: 0,
        }
    }

    fn fits(&self, difference: &Difference) -> bool {
        self.case.is_match(&difference.case)
            && self.field.is_match(&difference.field)
            && self.kafka.is_match(&difference.kafka)
            && self.sluice.is_match(&difference.sluice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &'static str, cases: &[&str]) -> bool {
        let mut table = Table::of(text);
        for case in cases {
            table.judge(Difference {
                case: (*case).to_owned(),
                field: "Produce".to_owned(),
                kafka: "closed".to_owned(),
                sluice: "answered 0".to_owned(),
            });
        }
        table.holds()
    }

    #[test]
    fn every_difference_needs_a_row_and_every_row_a_difference() {
        let text = "# Because.\nProduce v[01] | Produce | closed | answered 0\n";
        assert!(judged(text, &["Produce v0", "Produce v1"]));
        assert!(!judged(text, &["Produce v0", "Produce v2"]));
        assert!(!judged(text, &["Produce v0", "a Produce v1"]));
        assert!(!judged(text, &[]));
    }

    #[test]
    #[should_panic(expected = "why?")]
    fn a_row_needs_a_reason() {
        judged("# Because.\n\nProduce | Produce | closed | closed\n", &[]);
    }
}
