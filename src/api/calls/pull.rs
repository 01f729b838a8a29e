//! PullLogs: LogGroups of one shard from a cursor on, as they were written.

use crate::api::answer::{self, Answer};
use crate::api::call::Pull;
use crate::api::compression::Codec;
use crate::api::cursor;
use crate::api::error::Error;
use crate::api::head::Head;
use crate::api::limits::{PULL_RAW_BYTES_MAX, PULL_STORED_BYTES_MAX};
use crate::api::service::Service;
use crate::backend::embedded::reader::{Reader, ShardPlace, StoredGroup};
use crate::logs::decompress;

/// `LogGroupList.LogGroups`.
const LOG_GROUPS: u8 = 0x0a;

/// Tag and length of a group in a list.
const PREFIX_BYTES_MAX: usize = 6;

/// A page of the store and its compressed form: what one pull may hold at once.
const SHARE_BYTES: usize = PULL_STORED_BYTES_MAX + 2 * PULL_RAW_BYTES_MAX;

/// A LogGroupList, and what a client must know to read on.
#[derive(Debug, Default)]
struct Pulled {
    list: Vec<u8>,
    count: u64,
    last: Option<u64>,
    next: u64,
}

pub async fn pull_logs(
    service: &Service,
    place: ShardPlace,
    wanted: Pull,
    head: &Head<'_>,
) -> Result<Answer, Error> {
    let codec = head.accepted_encodings().find_map(Codec::parse);
    let share = service.memory.take(&place.project, SHARE_BYTES).await?;
    let read = service.readers.read(move |reader| {
        let pulled = pull(reader, &place, wanted)?;
        let body = codec
            .filter(|_| pulled.count > 0)
            .and_then(|codec| Some((codec, codec.compress(&pulled.list)?)));
        Ok((pulled, body, share))
    });
    let (pulled, compressed, share) = read.await?;
    let raw_bytes = pulled.list.len();
    let (codec, body) = match compressed {
        Some((codec, body)) => (Some(codec), body),
        None => (None, pulled.list),
    };
    let mut answer = answer::protobuf(body, share);
    answer::set(&mut answer, "x-log-cursor", &cursor::write(pulled.next));
    answer::set(&mut answer, "x-log-count", &pulled.count.to_string());
    answer::set(&mut answer, "x-log-bodyrawsize", &raw_bytes.to_string());
    if let Some(codec) = codec {
        answer::set(&mut answer, "x-log-compresstype", codec.name());
    }
    if let Some(last) = pulled.last {
        answer::set(&mut answer, "x-log-read-last-cursor", &last.to_string());
    }
    Ok(answer)
}

fn pull(reader: &Reader, place: &ShardPlace, wanted: Pull) -> Result<Pulled, Error> {
    let begin = reader.begin(place)?;
    // What retention has overtaken goes on at the oldest group.
    let from = wanted.cursor.max(begin);
    let until = from.saturating_add(wanted.count);
    let until = wanted.end.map_or(until, |end| end.min(until));
    let mut pulled = Pulled {
        next: until.min(from).max(wanted.cursor),
        ..Pulled::default()
    };
    if until <= from {
        return Ok(pulled);
    }
    let page = reader.read_range(place, from..until, PULL_STORED_BYTES_MAX)?;
    if page.groups.is_empty() && wanted.cursor > reader.end(place)? {
        return Err(Error::InvalidCursor);
    }
    for group in page.groups {
        let group = match group {
            Ok(group) => group,
            Err(damaged) => {
                tracing::error!(%damaged, "a group cannot be read and is left out");
                continue;
            }
        };
        if !pulled.take(&group)? {
            return Ok(pulled);
        }
    }
    pulled.next = page.next;
    Ok(pulled)
}

impl Pulled {
    /// False, and nothing taken: the list is full.
    fn take(&mut self, group: &StoredGroup) -> Result<bool, Error> {
        let raw_bytes = group.raw_bytes as usize;
        if self.count > 0 && self.list.len() + raw_bytes + PREFIX_BYTES_MAX > PULL_RAW_BYTES_MAX {
            return Ok(false);
        }
        let Ok(raw) = decompress(&group.lz4, raw_bytes) else {
            tracing::error!(sequence = group.sequence, "a group is no LZ4 block");
            return Err(Error::Unreadable);
        };
        self.list.push(LOG_GROUPS);
        put_varint(&mut self.list, raw_bytes);
        self.list.extend_from_slice(&raw);
        self.count += 1;
        self.last = Some(group.sequence);
        self.next = group.sequence + 1;
        Ok(true)
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
