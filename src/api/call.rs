//! Which call a request makes, what right it takes and which Logstore it touches. Carrying it out is for `calls`.
//!
//! | call | request | right |
//! | --- | --- | --- |
//! | GetProject | `GET /` | any |
//! | ListLogStores | `GET /logstores` | read or admin |
//! | CreateLogStore | `POST /logstores` | admin |
//! | GetLogStore | `GET /logstores/{logstore}` | any |
//! | ListShards | `GET /logstores/{logstore}/shards` | any |
//! | PutLogs | `POST /logstores/{logstore}/shards/lb`, `/shards/route?key=`, or `/logstores/{logstore}` alone | write |
//! | GetCursor | `GET /logstores/{logstore}/shards/{shard}?type=cursor&from=` | read |
//! | GetCursorTime | the same with `type=cursor_time&cursor=` | read |
//! | PullLogs | the same with `type=logs` or `log`, `cursor=`, `count=`, `end_cursor=` | read |

use super::cursor::{self, From};
use super::error::Error;
use super::head::Head;
use super::limits::{LIST_DEFAULT, LIST_MAX, PULL_GROUPS_DEFAULT, PULL_GROUPS_MAX};
use super::ranges;
use crate::backend::embedded::access::{Key, Rights};
use crate::refusals::shown;
use crate::tenant::LogstoreName;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    GetProject,
    ListLogStores(Listing),
    CreateLogStore,
    GetLogStore(LogstoreName),
    ListShards(LogstoreName),
    PutLogs(LogstoreName, Target),
    GetCursor(Shard, From),
    GetCursorTime(Shard, u64),
    PullLogs(Shard, Pull),
}

/// A page of the Logstores whose names hold a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    pub name_part: String,
    pub offset: usize,
    pub size: usize,
}

/// Which shard a group goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    InTurn,
    /// The shard whose range holds this key.
    Key(u128),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    pub logstore: LogstoreName,
    pub number: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pull {
    pub cursor: u64,
    /// The first cursor that is not wanted.
    pub end: Option<u64>,
    /// Groups.
    pub count: u64,
}

const NOT_SERVED: &str = "this call is not served here: the store serves PutLogs, PullLogs, GetCursor, GetCursorTime, \
    ListShards, GetLogStore, ListLogStores, CreateLogStore and GetProject";

impl Call {
    pub fn read(head: &Head<'_>) -> Result<Self, Error> {
        let mut segments = head.path.strip_prefix('/').unwrap_or_default().split('/');
        let path = [(); 5].map(|()| segments.next());
        match (head.method, path) {
            ("GET", [Some(""), None, ..]) => Ok(Self::GetProject),
            ("GET", [Some("logstores"), None, ..]) => Ok(Self::ListLogStores(listing(head)?)),
            ("POST", [Some("logstores"), None, ..]) => Ok(Self::CreateLogStore),
            ("GET", [Some("logstores"), Some(name), None, ..])
                if head.parameter("type").is_none() =>
            {
                Ok(Self::GetLogStore(logstore(name)?))
            }
            ("POST", [Some("logstores"), Some(name), None, ..]) => put(head, name, Target::InTurn),
            ("GET", [Some("logstores"), Some(name), Some("shards"), None, _]) => {
                Ok(Self::ListShards(logstore(name)?))
            }
            (
                "POST",
                [
                    Some("logstores"),
                    Some(name),
                    Some("shards"),
                    Some("lb"),
                    None,
                ],
            ) => put(head, name, Target::InTurn),
            (
                "POST",
                [
                    Some("logstores"),
                    Some(name),
                    Some("shards"),
                    Some("route"),
                    None,
                ],
            ) => put(head, name, target(head)?),
            (
                "GET",
                [
                    Some("logstores"),
                    Some(name),
                    Some("shards"),
                    Some(shard),
                    None,
                ],
            ) => of_shard(head, logstore(name)?, shard),
            _ => Err(Error::NotSupported(NOT_SERVED)),
        }
    }

    /// As the Log Service calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::GetProject => "GetProject",
            Self::ListLogStores(_) => "ListLogStores",
            Self::CreateLogStore => "CreateLogStore",
            Self::GetLogStore(_) => "GetLogStore",
            Self::ListShards(_) => "ListShards",
            Self::PutLogs(..) => "PutLogs",
            Self::GetCursor(..) => "GetCursor",
            Self::GetCursorTime(..) => "GetCursorTime",
            Self::PullLogs(..) => "PullLogs",
        }
    }

    /// May this key make the call?
    pub fn check_rights(&self, key: &Key) -> Result<(), Error> {
        let Rights { write, read, admin } = key.rights;
        let (may, rights) = match self {
            Self::GetProject | Self::GetLogStore(_) | Self::ListShards(_) => {
                (write || read || admin, "any")
            }
            Self::PutLogs(..) => (write, "write"),
            Self::ListLogStores(_) => (read || admin, "read or admin"),
            Self::GetCursor(..) | Self::GetCursorTime(..) | Self::PullLogs(..) => (read, "read"),
            Self::CreateLogStore => (admin, "admin"),
        };
        if !may {
            let call = self.name();
            return Err(Error::NoRight { call, rights });
        }
        match self.logstore() {
            Some(logstore) if !key.covers(logstore) => Err(Error::OtherLogstore(logstore.clone())),
            _ => Ok(()),
        }
    }

    /// The Logstore that the target names.
    pub fn logstore(&self) -> Option<&LogstoreName> {
        match self {
            Self::GetProject | Self::ListLogStores(_) | Self::CreateLogStore => None,
            Self::GetLogStore(logstore)
            | Self::ListShards(logstore)
            | Self::PutLogs(logstore, _) => Some(logstore),
            Self::GetCursor(shard, _)
            | Self::GetCursorTime(shard, _)
            | Self::PullLogs(shard, _) => Some(&shard.logstore),
        }
    }
}

/// What breaks the rules of names cannot exist.
fn logstore(name: &str) -> Result<LogstoreName, Error> {
    LogstoreName::parse(name).map_err(|_| Error::NoLogstore(shown(name)))
}

fn put(head: &Head<'_>, name: &str, target: Target) -> Result<Call, Error> {
    for unknown in ["seqid", "processor"] {
        if head.parameter(unknown).is_some() {
            return Err(Error::Parameter("seqid and processor are not served here"));
        }
    }
    Ok(Call::PutLogs(logstore(name)?, target))
}

fn target(head: &Head<'_>) -> Result<Target, Error> {
    match head.parameter("key") {
        None | Some("") => Ok(Target::InTurn),
        Some(text) => ranges::parse_key(text)
            .map(Target::Key)
            .ok_or(Error::Parameter(
                "key is not a number of up to 32 hexadecimal digits",
            )),
    }
}

fn listing(head: &Head<'_>) -> Result<Listing, Error> {
    let size = number(head, "size")?.unwrap_or(LIST_DEFAULT);
    if size > LIST_MAX {
        return Err(Error::Parameter("size is over 500"));
    }
    Ok(Listing {
        name_part: head
            .parameter("logstoreName")
            .unwrap_or_default()
            .to_owned(),
        offset: number(head, "offset")?.unwrap_or(0),
        size,
    })
}

fn of_shard(head: &Head<'_>, logstore: LogstoreName, shard: &str) -> Result<Call, Error> {
    let number = shard.parse();
    let Ok(number) = number else {
        let shard = shown(shard);
        return Err(Error::NoShard { logstore, shard });
    };
    let shard = Shard { logstore, number };
    match head.parameter("type") {
        Some("cursor") => {
            let from = head.parameter("from").and_then(From::parse);
            let from = from.ok_or(Error::Parameter("from is not begin, end or Unix seconds"))?;
            Ok(Call::GetCursor(shard, from))
        }
        Some("cursor_time") => Ok(Call::GetCursorTime(shard, wanted_cursor(head)?)),
        Some("logs" | "log") => Ok(Call::PullLogs(shard, pull(head)?)),
        _ => Err(Error::Parameter(
            "type is not cursor, cursor_time, logs or log",
        )),
    }
}

fn pull(head: &Head<'_>) -> Result<Pull, Error> {
    for unknown in ["query", "processor", "pullMode"] {
        if head.parameter(unknown).is_some_and(|text| !text.is_empty()) {
            return Err(Error::NotSupported(
                "logs are pulled as they are; filters are not served here",
            ));
        }
    }
    let count = number(head, "count")?.unwrap_or(PULL_GROUPS_DEFAULT);
    if count > PULL_GROUPS_MAX {
        return Err(Error::Parameter("count is over 1000"));
    }
    let end = head
        .parameter("end_cursor")
        .or_else(|| head.parameter("endCursor"));
    let end = end.filter(|text| !text.is_empty());
    Ok(Pull {
        cursor: wanted_cursor(head)?,
        end: end
            .map(|text| cursor::parse(text).ok_or(Error::InvalidCursor))
            .transpose()?,
        count: count.max(1),
    })
}

fn wanted_cursor(head: &Head<'_>) -> Result<u64, Error> {
    let cursor = head.parameter("cursor").and_then(cursor::parse);
    cursor.ok_or(Error::InvalidCursor)
}

fn number<N: std::str::FromStr>(head: &Head<'_>, name: &str) -> Result<Option<N>, Error> {
    let text = head.parameter(name).filter(|text| !text.is_empty());
    text.map(|text| {
        text.parse()
            .map_err(|_| Error::Parameter("count, offset and size are numbers"))
    })
    .transpose()
}
