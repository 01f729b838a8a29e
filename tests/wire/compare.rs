//! Where two courses of one probe differ.

use std::collections::BTreeSet;

use super::answer::Fields;
use super::dialogue::{Course, Heed};

/// One field, or one step, of one probe.
#[derive(Debug)]
pub struct Difference {
    pub case: String,
    /// `Produce.topics[logstore-1].partitions[0].error_code`, or only `Produce` where one server gave no such answer.
    pub field: String,
    pub kafka: String,
    pub sluice: String,
}

/// What a field reads as on the side that lacks it.
const ABSENT: &str = "absent";
const ERROR_CODE: &str = "error_code";

/// Ends with the first step in which only one server answers: what follows can but differ.
pub fn differences(case: &str, kafka: &Course, sluice: &Course) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut note = |field: String, kafka: String, sluice: String| {
        found.push(Difference {
            case: case.to_owned(),
            field,
            kafka,
            sluice,
        });
    };
    for ((step, kafka), (_, sluice)) in kafka.iter().zip(sluice) {
        match (kafka, sluice) {
            (Heed::Answered(kafka), Heed::Answered(sluice)) => {
                for (field, kafka, sluice) in unequal(kafka, sluice) {
                    note(format!("{step}.{field}"), kafka, sluice);
                }
            }
            _ if kafka == sluice => {}
            _ => {
                note(step.clone(), summary(kafka), summary(sluice));
                break;
            }
        }
    }
    found
}

/// Path, Kafka's value, Sluice's value.
type Unequal = (String, String, String);

/// What can but differ is left out: the rest of an element with another error code or of one that only one side has.
fn unequal(kafka: &Fields, sluice: &Fields) -> Vec<Unequal> {
    let paths: BTreeSet<&String> = kafka.keys().chain(sluice.keys()).collect();
    let mut found: Vec<Unequal> = Vec::new();
    for path in paths {
        let (path, kafka, sluice) = whole(path, kafka, sluice);
        if kafka != sluice && found.last().is_none_or(|last| last.0 != path) {
            found.push((path, kafka, sluice));
        }
    }
    let coded: Vec<String> = found
        .iter()
        .filter_map(|(path, ..)| path.strip_suffix(ERROR_CODE))
        .map(str::to_owned)
        .collect();
    let is_consequence = |path: &str| {
        let is_under = |element: &String| path.starts_with(element.as_str());
        !path.ends_with(ERROR_CODE) && coded.iter().any(is_under)
    };
    found.retain(|(path, ..)| !is_consequence(path));
    found
}

/// The outermost element around the path that one side lacks, or the path itself, with the value on each side.
fn whole(path: &str, kafka: &Fields, sluice: &Fields) -> Unequal {
    let ends = path.match_indices("].").map(|(at, _)| at + 1);
    let has = |fields: &Fields, element: &str| {
        fields.keys().any(|path| {
            path.strip_prefix(element)
                .is_some_and(|rest| rest.starts_with('.'))
        })
    };
    let there = |fields: &Fields, element: &str| match has(fields, element) {
        true => "there".to_owned(),
        false => ABSENT.to_owned(),
    };
    for element in ends.map(|end| &path[..end]) {
        if has(kafka, element) != has(sluice, element) {
            let (kafka, sluice) = (there(kafka, element), there(sluice, element));
            return (element.to_owned(), kafka, sluice);
        }
    }
    let value = |fields: &Fields| fields.get(path).map_or(ABSENT.to_owned(), String::clone);
    (path.to_owned(), value(kafka), value(sluice))
}

fn summary(heed: &Heed) -> String {
    match heed {
        Heed::Answered(fields) => {
            let is_code = |(path, _): &(&String, &String)| path.ends_with(ERROR_CODE);
            let codes: BTreeSet<&str> = fields
                .iter()
                .filter(is_code)
                .map(|(_, code)| code.as_str())
                .collect();
            let codes: Vec<&str> = codes.into_iter().collect();
            format!("answered {}", codes.join(","))
                .trim_end()
                .to_owned()
        }
        Heed::Unanswered => "unanswered".to_owned(),
        Heed::Closed => "closed".to_owned(),
        Heed::Silent => "silent".to_owned(),
        Heed::Unreadable(why) => format!("unreadable: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields {
        let field = |line: &str| {
            let (path, value) = line.rsplit_once(' ').expect("a path and a value");
            (path.to_owned(), value.to_owned())
        };
        text.split(';').map(field).collect()
    }

    fn check(kafka: &str, sluice: &str, expected: &[&str]) {
        let told: Vec<String> = unequal(&fields(kafka), &fields(sluice))
            .into_iter()
            .map(|(path, kafka, sluice)| format!("{path} {kafka} {sluice}"))
            .collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn a_field_that_differs_is_told() {
        check("a 1;b 2", "a 1;b 2", &[]);
        check("a 1;b 2", "a 1;b 3", &["b 2 3"]);
        check("a 1;b 2", "a 1;c 2", &["b 2 absent", "c absent 2"]);
    }

    #[test]
    fn what_follows_from_an_error_code_or_a_missing_element_is_not() {
        check(
            "p[0].error_code 3;p[0].offset -1;p[1].error_code 0;p[1].offset 5",
            "p[0].error_code 0;p[0].offset 0;p[1].error_code 0;p[1].offset 0",
            &["p[0].error_code 3 0", "p[1].offset 5 0"],
        );
        check(
            "t[a].p[0].x 1;t[a].p[1].x 1;t[b].y 1",
            "t[a].p[0].x 1;t[c].y 1",
            &[
                "t[a].p[1] there absent",
                "t[b] there absent",
                "t[c] absent there",
            ],
        );
        check(
            "t[a].e 1",
            "t[a].e 1;t[a again].e 1",
            &["t[a again] absent there"],
        );
    }

    #[test]
    fn nothing_is_compared_behind_a_step_that_one_server_did_not_answer() {
        let course = |first: Heed| -> Course {
            let answered = |text| Heed::Answered(fields(text));
            let second = if first == Heed::Closed {
                Heed::Closed
            } else {
                answered("a 1")
            };
            vec![("Metadata".to_owned(), first), ("end".to_owned(), second)]
        };
        let answered = course(Heed::Answered(fields("error_code 7;t[x].error_code 3")));
        let found = differences("case", &course(Heed::Closed), &answered);
        assert_eq!(found.len(), 1);
        let only = &found[0];
        assert_eq!(
            (&*only.field, &*only.kafka, &*only.sluice),
            ("Metadata", "closed", "answered 3,7")
        );
    }
}
