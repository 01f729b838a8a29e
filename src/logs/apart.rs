//! A complete LogGroup taken apart again, for the rare case that the Log Service refuses it, or would by now: its logs
//! can go in smaller groups, and can be repaired before.
//!
//! ```text
//! LogGroup ──open──▶ Apart ──group──▶ LogGroup (some of its logs, the same envelope)
//!                    └──◀── repair
//! ```
//!
//! When to do so, and with which logs, is the backend's business; what a repair does to a log is left to
//! [`mend`](super::mend).

use std::ops::Range;

use super::mend::{Mender, Repair};
use super::{Compression, GroupCloser, LogGroup, LogGroupError, LogGroupReader, LogReader, Piece};

/// The logs of one group and what stands around them.
#[derive(Clone, Debug)]
pub struct Apart {
    /// The group's protobuf; behind it, the logs that repairs have written.
    bytes: Vec<u8>,
    /// In the group's order.
    logs: Vec<Entry>,
    /// Topic, source and tags, encoded.
    envelope: Vec<u8>,
}

/// One log.
#[derive(Clone, Debug)]
struct Entry {
    /// Where its entry of `LogGroup.Logs` lies, with tag and length.
    at: Range<usize>,
    /// Unix seconds.
    time: u32,
}

impl Apart {
    /// Decompresses the group and checks all of it.
    ///
    /// # Errors
    /// [`LogGroupError`]: the group is not one of ours, or was damaged.
    pub fn open(group: &LogGroup, compression: Compression) -> Result<Self, LogGroupError> {
        let bytes = compression.decompress(&group.body, group.raw_bytes as usize)?;
        let (mut logs, mut envelope, mut start) = (Vec::new(), Vec::new(), 0);
        for field in LogGroupReader::new(&bytes)?.fields() {
            let at = start..start + field.len();
            start = at.end;
            match LogReader::of_entry(field) {
                Some(log) => logs.push(Entry {
                    at,
                    time: log.time(),
                }),
                None => envelope.extend_from_slice(field),
            }
        }
        Ok(Self {
            bytes,
            logs,
            envelope,
        })
    }

    pub fn log_count(&self) -> usize {
        self.logs.len()
    }

    /// A complete group of the logs with these indices, at least one, in the envelope of the whole.
    ///
    /// # Panics
    /// When an index is not below [`log_count`](Self::log_count).
    pub fn group(&self, logs: Range<usize>, closer: &mut GroupCloser) -> LogGroup {
        let logs = &self.logs[logs];
        let mut piece = Piece {
            logs: closer.take_buffer(),
            // Each took two bytes of a group, whose own size has 32 bits.
            log_count: u32::try_from(logs.len()).expect("a group's logs are counted in 32 bits"),
            time_min: logs.iter().map(|log| log.time).min().unwrap_or_default(),
            time_max: logs.iter().map(|log| log.time).max().unwrap_or_default(),
        };
        for log in logs {
            piece.logs.extend_from_slice(&self.bytes[log.at.clone()]);
        }
        closer.close_with(vec![piece], |raw| raw.extend_from_slice(&self.envelope))
    }

    /// Repairs the logs with these indices; gives the number of those that it changed.
    ///
    /// # Panics
    /// When an index is not below [`log_count`](Self::log_count).
    pub fn repair(&mut self, logs: Range<usize>, repair: Repair) -> usize {
        let mut mender = Mender::new(repair);
        let mut changed = 0;
        for log in &mut self.logs[logs] {
            let read = LogReader::of_entry(&self.bytes[log.at.clone()]);
            let Some(mended) = read.and_then(|read| mender.mend(read)) else {
                continue;
            };
            let start = self.bytes.len();
            mended.put(&mut self.bytes);
            log.at = start..self.bytes.len();
            log.time = mended.time.seconds;
            changed += 1;
        }
        changed
    }
}
