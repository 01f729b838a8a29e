//! `sluice logs`: reads a Logstore back from the embedded store, one log a line, while the server runs or not.
//!
//! Shards are merged in the order of arrival. What a line looks like stands in `format.rs`; how a store is read is the
//! [`Source`]'s to know.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use time::OffsetDateTime;

use super::{Failure, Format, dev};
use crate::config::{self, StoreLocation};
use crate::tenant::{LogstoreName, ProjectName};

mod format;
mod merge;
mod query;
mod stored;

use merge::{Merge, for_each_group};
use query::Query;
use stored::StoredLogs;

/// Print the logs of a Logstore, one a line, oldest first by arrival.
///
/// As text: time, source, the field `content` as it is, then other fields as name=value. As JSON: an object with the fields
/// and __time__ (seconds), __source__, __shard__ and __cursor__.
#[derive(Debug, Args)]
pub struct LogsArguments {
    /// The Logstore.
    logstore: String,
    /// The folder of `sluice dev`.
    #[arg(long, value_name = "DIR", default_value = dev::DIR)]
    dir: PathBuf,
    /// The configuration of `sluice serve`.
    #[arg(long, value_name = "FILE", conflicts_with = "dir")]
    config: Option<PathBuf>,
    /// The project; needed where the configuration has several.
    #[arg(long)]
    project: Option<String>,
    /// Go on with what arrives from now on, after the newest 10 logs, or those that --limit or --since name.
    #[arg(short, long)]
    follow: bool,
    /// Only logs of this time or later, by the log's own time: RFC 3339, a date, Unix seconds, or a period ago like 10m.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only logs before this time.
    #[arg(long, value_name = "TIME", conflicts_with = "follow")]
    until: Option<String>,
    /// Only logs with a value that matches this regular expression.
    #[arg(long, value_name = "REGEX")]
    grep: Option<String>,
    /// Only the newest N of the logs that are asked for.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// One stored LogGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub sequence: u64,
    /// Arrival, milliseconds since the epoch; never decreasing in a shard.
    pub receive_ms: i64,
    /// Range of its logs' times, Unix seconds.
    pub time_min: u32,
    pub time_max: u32,
    /// Size of the protobuf that `lz4` holds as one raw block.
    pub raw_bytes: u32,
    pub lz4: Vec<u8>,
}

/// One log, borrowed from its group.
#[derive(Clone, Copy, Debug)]
pub struct Log<'a> {
    /// Unix seconds, and nanoseconds of that second.
    pub time: u32,
    pub time_ns: u32,
    pub source: &'a str,
    pub fields: &'a [(&'a str, &'a str)],
}

/// Why a Logstore could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read the store: {0}")]
pub struct ReadError(pub String);

/// One Logstore's reading side.
pub trait Source {
    fn shards(&mut self) -> Result<Vec<u32>, ReadError>;

    /// Sequences that the shard holds: from the oldest kept to the one that comes next.
    fn range(&mut self, shard: u32) -> Result<Range<u64>, ReadError>;

    /// One page of groups from a sequence on, ascending; empty: nothing more yet.
    fn read(&mut self, shard: u32, from: u64) -> Result<Vec<Group>, ReadError>;

    /// Gives each log of a group, in order.
    fn logs(&mut self, group: &Group, each: &mut dyn FnMut(Log<'_>)) -> Result<(), ReadError>;
}

/// Groups that are read at once when going backwards from the newest.
const BACKWARD_GROUPS: u64 = 64;
/// How often a followed Logstore is looked at. Less than a second feels immediate to somebody watching.
const FOLLOW_PERIOD: Duration = Duration::from_millis(200);

pub fn run(arguments: &LogsArguments) -> Result<(), Failure> {
    let query = Query::new(arguments, OffsetDateTime::now_utc())?;
    let file = arguments
        .config
        .clone()
        .unwrap_or_else(|| arguments.dir.join(dev::FILE));
    let location = config::load_store(&file)?;
    let project = project_of(arguments.project.as_deref(), &location)?;
    let logstore = LogstoreName::parse(&arguments.logstore).map_err(|error| {
        Failure::Usage(format!(
            "`{}` is not a Logstore: {error}",
            arguments.logstore
        ))
    })?;
    let since = query.since_seconds();
    let mut source = StoredLogs::open(&location.data_dir, project, logstore, since)
        .map_err(|error| Failure::Runtime(error.to_string()))?;
    let stdout = io::stdout().lock();
    let mut printer = Printer {
        query: &query,
        out: io::BufWriter::new(stdout),
    };
    match printer.print(&mut source, || std::thread::sleep(FOLLOW_PERIOD)) {
        // Whoever read us has enough, as `head` does.
        Err(PrintError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::Runtime(error.to_string())),
        Ok(()) => Ok(()),
    }
}

fn project_of(asked: Option<&str>, location: &StoreLocation) -> Result<ProjectName, Failure> {
    let known = || {
        let names: Vec<&str> = location.projects.iter().map(ProjectName::as_str).collect();
        names.join(", ")
    };
    match (asked, location.projects.as_slice()) {
        (Some(name), projects) => projects
            .iter()
            .find(|project| project.as_str() == name)
            .cloned()
            .ok_or_else(|| {
                Failure::Usage(format!(
                    "there is no project `{name}`; there are: {}",
                    known()
                ))
            }),
        (None, [only]) => Ok(only.clone()),
        (None, _) => Err(Failure::Usage(format!("say which --project: {}", known()))),
    }
}

#[derive(Debug, thiserror::Error)]
enum PrintError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
}

struct Printer<'q, W> {
    query: &'q Query,
    out: W,
}

impl<W: Write> Printer<'_, W> {
    /// Prints what the query asks for; following, it returns only with an error. `pause` waits between two looks.
    fn print(
        &mut self,
        source: &mut dyn Source,
        mut pause: impl FnMut(),
    ) -> Result<(), PrintError> {
        let mut merge = match self.query.limit {
            None => Merge::from_oldest(source)?,
            Some(limit) => {
                let merge = Merge::from_next(source)?;
                self.print_newest(source, &merge, limit)?;
                if !self.query.follow {
                    return Ok(self.out.flush()?);
                }
                merge
            }
        };
        loop {
            self.print_waiting(source, &mut merge)?;
            if !self.query.follow {
                return Ok(());
            }
            pause();
        }
    }

    /// Prints all that arrived since the last look.
    fn print_waiting(
        &mut self,
        source: &mut dyn Source,
        merge: &mut Merge,
    ) -> Result<(), PrintError> {
        merge.look_again();
        while let Some((shard, group)) = merge.next(source)? {
            self.print_group(source, shard, &group)?;
        }
        Ok(self.out.flush()?)
    }

    fn print_group(
        &mut self,
        source: &mut dyn Source,
        shard: u32,
        group: &Group,
    ) -> Result<(), PrintError> {
        let mut lines = String::new();
        each_line(self.query, source, shard, group, |line| {
            lines.push_str(&line)
        })?;
        Ok(self.out.write_all(lines.as_bytes())?)
    }

    /// Prints the newest `limit` logs that lie before where `merge` begins.
    fn print_newest(
        &mut self,
        source: &mut dyn Source,
        merge: &Merge,
        limit: usize,
    ) -> Result<(), PrintError> {
        let mut newest = Vec::new();
        for shard in &merge.shards {
            newest.extend(newest_of(self.query, source, shard.id, shard.next, limit)?);
        }
        newest.sort_by_key(|line| (line.receive_ms, line.shard, line.sequence));
        for line in &newest[newest.len().saturating_sub(limit)..] {
            self.out.write_all(line.text.as_bytes())?;
        }
        Ok(())
    }
}

/// Formats each log of a group that the query asks for.
fn each_line(
    query: &Query,
    source: &mut dyn Source,
    shard: u32,
    group: &Group,
    mut each: impl FnMut(String),
) -> Result<(), ReadError> {
    if !query.may_match(group) {
        return Ok(());
    }
    let place = format::Place {
        shard,
        sequence: group.sequence,
    };
    source.logs(group, &mut |log| {
        if query.matches(&log) {
            each(match query.format {
                Format::Text => format::text(&log),
                Format::Json => format::json(&log, place),
            });
        }
    })
}

struct Line {
    receive_ms: i64,
    shard: u32,
    sequence: u64,
    text: String,
}

/// The newest lines of one shard before a sequence, in order, found by going backwards.
fn newest_of(
    query: &Query,
    source: &mut dyn Source,
    shard: u32,
    before: u64,
    limit: usize,
) -> Result<VecDeque<Line>, ReadError> {
    let oldest = source.range(shard)?.start;
    let mut newest = VecDeque::new();
    let mut end = before;
    while newest.len() < limit && end > oldest {
        let start = end.saturating_sub(BACKWARD_GROUPS).max(oldest);
        let mut older = VecDeque::new();
        for_each_group(source, shard, start..end, |source, group| {
            each_line(query, source, shard, group, |text| {
                older.push_back(Line {
                    receive_ms: group.receive_ms,
                    shard,
                    sequence: group.sequence,
                    text,
                });
                if older.len() > limit {
                    older.pop_front();
                }
            })
        })?;
        older.append(&mut newest);
        newest = older;
        end = start;
    }
    newest.drain(..newest.len().saturating_sub(limit));
    Ok(newest)
}

#[cfg(test)]
mod tests;
