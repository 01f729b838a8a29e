use std::collections::BTreeMap;

use clap::Parser;

use super::query::{FOLLOW_LIMIT, parse_moment};
use super::*;

/// Shards in memory; a group's `lz4` is its logs as text, one a line. Pages hold two groups.
#[derive(Default)]
struct Memory {
    shards: BTreeMap<u32, Vec<Group>>,
    decoded: usize,
}

const PAGE_GROUPS: usize = 2;

impl Memory {
    /// Adds a group that arrived at `second`; its logs bear the same time.
    fn add(&mut self, shard: u32, second: u32, logs: &[&str]) {
        let group = self.group(shard, second, logs);
        self.shards.entry(shard).or_default().push(group);
    }

    fn group(&self, shard: u32, second: u32, logs: &[&str]) -> Group {
        let before = self.shards.get(&shard).map_or(0, Vec::len);
        Group {
            // Retention took the first ones.
            sequence: 100 + before as u64,
            receive_ms: i64::from(second) * 1000,
            time_min: second,
            time_max: second,
            raw_bytes: 0,
            lz4: logs.join("\n").into_bytes(),
        }
    }
}

impl Source for Memory {
    fn shards(&mut self) -> Result<Vec<u32>, ReadError> {
        Ok(self.shards.keys().copied().collect())
    }

    fn range(&mut self, shard: u32) -> Result<Range<u64>, ReadError> {
        Ok(100..100 + self.shards[&shard].len() as u64)
    }

    fn read(&mut self, shard: u32, from: u64) -> Result<Vec<Group>, ReadError> {
        let groups = self.shards[&shard]
            .iter()
            .filter(|group| group.sequence >= from);
        Ok(groups.take(PAGE_GROUPS).cloned().collect())
    }

    fn logs(&mut self, group: &Group, each: &mut dyn FnMut(Log<'_>)) -> Result<(), ReadError> {
        self.decoded += 1;
        for line in std::str::from_utf8(&group.lz4).unwrap().lines() {
            each(Log {
                time: group.time_min,
                time_ns: 0,
                source: "",
                fields: &[("content", line)],
            });
        }
        Ok(())
    }
}

fn two_shards() -> Memory {
    let mut memory = Memory::default();
    memory.add(0, 10, &["a1", "a2"]);
    memory.add(1, 11, &["b1"]);
    memory.add(0, 12, &["a3"]);
    memory.add(1, 12, &["b2"]);
    memory.add(0, 13, &["a4"]);
    memory.add(1, 20, &["b3"]);
    memory
}

fn query(options: &[&str]) -> Result<Query, Failure> {
    #[derive(Parser)]
    struct Options {
        #[command(flatten)]
        logs: LogsArguments,
    }
    let command = ["logs", "some-logstore"].iter().chain(options);
    let options = Options::try_parse_from(command).unwrap_or_else(|error| panic!("{error}"));
    Query::new(
        &options.logs,
        OffsetDateTime::from_unix_timestamp(1000).unwrap(),
    )
}

/// The contents that are printed, in order.
fn printed(source: &mut dyn Source, options: &[&str]) -> Vec<String> {
    let query = query(options).unwrap_or_else(|failure| panic!("{failure}"));
    let mut printer = Printer {
        query: &query,
        out: Vec::new(),
    };
    printer
        .print(source, || panic!("nobody asked to follow"))
        .unwrap();
    contents(&printer.out)
}

fn contents(out: &[u8]) -> Vec<String> {
    let lines = std::str::from_utf8(out).unwrap().lines();
    lines
        .map(|line| line.split_once(' ').unwrap().1.to_owned())
        .collect()
}

#[test]
fn shards_are_merged_in_the_order_of_arrival() {
    let all = printed(&mut two_shards(), &[]);
    assert_eq!(all, ["a1", "a2", "b1", "a3", "b2", "a4", "b3"]);
}

#[test]
fn a_limit_takes_the_newest() {
    let check = |limit: &str, expected: &[&str]| {
        assert_eq!(
            printed(&mut two_shards(), &["--limit", limit]),
            expected,
            "{limit}"
        );
    };
    check("0", &[]);
    check("1", &["b3"]);
    check("3", &["b2", "a4", "b3"]);
    check("6", &["a2", "b1", "a3", "b2", "a4", "b3"]);
    check("100", &["a1", "a2", "b1", "a3", "b2", "a4", "b3"]);
}

#[test]
fn a_limit_reads_back_only_as_far_as_it_must() {
    let mut memory = Memory::default();
    for second in 0..1000 {
        memory.add(0, second, &[&second.to_string()]);
    }
    assert_eq!(printed(&mut memory, &["--limit", "2"]), ["998", "999"]);
    assert_eq!(memory.decoded, BACKWARD_GROUPS as usize);
    assert_eq!(
        printed(&mut memory, &["--limit", "2", "--grep", "^1.$"]),
        ["18", "19"]
    );
}

#[test]
fn time_bounds_take_since_and_leave_until() {
    let check = |options: &[&str], expected: &[&str]| {
        assert_eq!(printed(&mut two_shards(), options), expected, "{options:?}");
    };
    check(&["--since", "12"], &["a3", "b2", "a4", "b3"]);
    check(&["--until", "12"], &["a1", "a2", "b1"]);
    check(&["--since", "11", "--until", "13"], &["b1", "a3", "b2"]);
    check(&["--since", "12.000000001"], &["a4", "b3"]);
    check(&["--since", "12", "--limit", "2"], &["a4", "b3"]);
}

#[test]
fn groups_outside_the_time_bounds_are_not_decoded() {
    let mut memory = two_shards();
    printed(&mut memory, &["--since", "13"]);
    assert_eq!(memory.decoded, 2);
}

#[test]
fn a_pattern_takes_logs_with_a_value_that_matches() {
    assert_eq!(
        printed(&mut two_shards(), &["--grep", "^b|4"]),
        ["b1", "b2", "a4", "b3"]
    );
}

#[test]
fn following_begins_with_the_newest_and_goes_on_with_what_arrives() {
    let mut memory = two_shards();
    memory.add(0, 21, &["old5", "old6", "old7", "old8", "old9", "old10"]);
    let mut source = Growing { memory, looks: 0 };
    let query = query(&["-f"]).unwrap_or_else(|failure| panic!("{failure}"));
    let mut printer = Printer {
        query: &query,
        out: Vec::new(),
    };
    let error = printer.print(&mut source, || ()).unwrap_err();
    assert_eq!(error.to_string(), "cannot read the store: enough");
    let lines = contents(&printer.out);
    assert_eq!(lines.len(), FOLLOW_LIMIT + 3);
    assert_eq!(lines[FOLLOW_LIMIT - 1..], ["old10", "new1", "new2", "new3"]);
}

/// Gets a group in the middle of each of the first three looks, and fails once all are taken.
struct Growing {
    memory: Memory,
    looks: u32,
}

impl Source for Growing {
    fn shards(&mut self) -> Result<Vec<u32>, ReadError> {
        self.memory.shards()
    }

    fn range(&mut self, shard: u32) -> Result<Range<u64>, ReadError> {
        self.memory.range(shard)
    }

    fn read(&mut self, shard: u32, from: u64) -> Result<Vec<Group>, ReadError> {
        let page = self.memory.read(shard, from)?;
        if page.is_empty() && shard == 1 {
            self.looks += 1;
            match self.looks {
                1..=3 => self
                    .memory
                    .add(0, 30 + self.looks, &[&format!("new{}", self.looks)]),
                4 => {}
                _ => return Err(ReadError("enough".into())),
            }
        }
        Ok(page)
    }

    fn logs(&mut self, group: &Group, each: &mut dyn FnMut(Log<'_>)) -> Result<(), ReadError> {
        self.memory.logs(group, each)
    }
}

#[test]
fn a_limit_holds_although_logs_arrive_meanwhile() {
    let mut source = Busy(two_shards());
    assert_eq!(printed(&mut source, &["--limit", "1"]), ["b3"]);
}

/// Gets a group whenever one is decoded.
struct Busy(Memory);

impl Source for Busy {
    fn shards(&mut self) -> Result<Vec<u32>, ReadError> {
        self.0.shards()
    }

    fn range(&mut self, shard: u32) -> Result<Range<u64>, ReadError> {
        self.0.range(shard)
    }

    fn read(&mut self, shard: u32, from: u64) -> Result<Vec<Group>, ReadError> {
        self.0.read(shard, from)
    }

    fn logs(&mut self, group: &Group, each: &mut dyn FnMut(Log<'_>)) -> Result<(), ReadError> {
        self.0.logs(group, each)?;
        self.0.add(0, 40, &["late"]);
        Ok(())
    }
}

#[test]
fn moments_are_told_in_four_ways() {
    let now = OffsetDateTime::from_unix_timestamp(1_751_371_200).unwrap();
    let check = |text: &str, expected: Option<i128>| {
        assert_eq!(
            parse_moment(text, now),
            expected.map(|ms| ms * 1_000_000),
            "{text}"
        );
    };
    check("10m", Some(1_751_370_600_000));
    check("500ms", Some(1_751_371_199_500));
    check("1751371200", Some(1_751_371_200_000));
    check("1751371200.25", Some(1_751_371_200_250));
    check("2025-07-01T12:00:00Z", Some(1_751_371_200_000));
    check("2025-07-01T14:00:00.5+02:00", Some(1_751_371_200_500));
    check("2025-07-01", Some(1_751_328_000_000));
    for text in [
        "",
        "yesterday",
        "-5",
        "1.",
        ".5",
        "1.0000000001",
        "2025-07-01T12:00",
    ] {
        check(text, None);
    }
}

#[test]
fn bad_moments_and_patterns_are_bad_usage() {
    for options in [["--since", "soon"], ["--until", "late"], ["--grep", "("]] {
        let failure = query(&options).map(|_| ()).unwrap_err();
        assert_eq!(failure.exit_code(), 2);
        assert!(failure.to_string().starts_with(options[0]), "{failure}");
    }
}

#[test]
fn a_project_is_named_where_there_are_several() {
    let location = |names: &[&str]| StoreLocation {
        data_dir: PathBuf::new(),
        projects: names
            .iter()
            .map(|name| ProjectName::parse(name).unwrap())
            .collect(),
    };
    let two = location(&["one", "two"]);
    assert_eq!(
        project_of(None, &location(&["one"])).unwrap().as_str(),
        "one"
    );
    assert_eq!(project_of(Some("two"), &two).unwrap().as_str(), "two");
    assert_eq!(
        project_of(None, &two).unwrap_err().to_string(),
        "say which --project: one, two"
    );
    let error = project_of(Some("three"), &two).unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no project `three`; there are: one, two"
    );
}
