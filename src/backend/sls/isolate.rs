//! A group that the Log Service refuses for its content is taken apart until only the guilty log is left: each batch goes
//! alone, the guilty one in halves, the guilty log repaired. Nobody else's logs are lost for it.

use std::ops::Range;

use super::client::{Content, Kind};
use super::put::{Failed, Sender, ShareResults, off_thread};
use crate::backend::{Placed, PutError, Unstorable};
use crate::logs::{Apart, GroupCloser, LogGroup, Repair};

/// Calls that one group may cost: to find one log of 4,096 takes two dozen.
const CALLS_MAX: u32 = 256;
const NAME_BYTES_MAX: usize = 128;

/// Some logs of a group, all of one share or all of several.
type Logs = Range<usize>;

/// A group under examination.
struct Suspect<'s, 'a> {
    sender: &'s Sender<'a>,
    apart: Apart,
    calls_left: u32,
}

impl Sender<'_> {
    /// Stores what can be stored of a group that was refused for this; a result for each share.
    pub async fn isolate(&self, placed: &Placed, kind: Kind) -> ShareResults {
        let (group, codec) = (placed.group.clone(), self.shared.client.codec());
        let apart = off_thread(move || Apart::open(&group, codec.compression).ok()).await;
        let Some(apart) = apart else {
            return vec![Err(PutError::NotStored("internal failure")); placed.shares.len()];
        };
        let mut suspect = Suspect {
            sender: self,
            apart,
            calls_left: CALLS_MAX,
        };
        let alone = placed.shares.len() == 1;
        let mut results = Vec::with_capacity(placed.shares.len());
        let mut start = 0;
        for share in &placed.shares {
            let logs = start..start + share.log_count as usize;
            start = logs.end;
            let refused = alone.then_some(kind);
            results.push(suspect.store(logs, refused).await);
        }
        results
    }
}

impl Suspect<'_, '_> {
    /// Stores the logs of one share, in halves where they are refused, in order, and nothing behind a log that cannot be
    /// stored. `refused`: they were sent and refused already. An index in the error counts from their start.
    async fn store(&mut self, logs: Logs, refused: Option<Kind>) -> Result<(), PutError> {
        let start = logs.start;
        let mut parts = vec![(logs, refused)];
        while let Some((logs, refused)) = parts.pop() {
            match refused {
                None => match self.send(logs.clone()).await {
                    Ok(()) => {}
                    Err(Failed::Put(error)) => return Err(error),
                    Err(Failed::Content(kind)) => parts.push((logs, Some(kind))),
                },
                Some(kind) if logs.len() <= 1 => self.store_repaired(logs, start, kind).await?,
                Some(_) => {
                    let middle = logs.start + logs.len() / 2;
                    parts.push((middle..logs.end, None));
                    parts.push((logs.start..middle, None));
                }
            }
        }
        Ok(())
    }

    /// One log, which was refused as it is: with the time of now, then in base64.
    async fn store_repaired(
        &mut self,
        log: Logs,
        start: usize,
        kind: Kind,
    ) -> Result<(), PutError> {
        let now_s = self.sender.now_s();
        let repairs = [
            Repair::Time {
                now_s,
                window: None,
            },
            Repair::Base64 {
                name_bytes_max: NAME_BYTES_MAX,
            },
        ];
        let repairs = match kind {
            Kind::TooLarge => &[],
            Kind::Content(Content::Encoding | Content::Key) => &repairs[1..],
            _ => &repairs[..],
        };
        let mut why = kind;
        for repair in repairs {
            self.apart.repair(log.clone(), *repair);
            match self.send(log.clone()).await {
                Ok(()) => return Ok(()),
                Err(Failed::Put(error)) => return Err(error),
                Err(Failed::Content(kind)) => why = kind,
            }
        }
        let why = match why {
            Kind::TooLarge => Unstorable::TooLarge,
            _ => Unstorable::Invalid,
        };
        let log = u32::try_from(log.start - start).unwrap_or(u32::MAX);
        Err(PutError::Content { log, why })
    }

    async fn send(&mut self, logs: Logs) -> Result<(), Failed> {
        if self.calls_left == 0 {
            let error = PutError::NotStored("too many of its logs are refused");
            return Err(Failed::Put(error));
        }
        self.calls_left -= 1;
        let group = self.group(logs).await;
        let group = group.ok_or(Failed::Put(PutError::NotStored("internal failure")))?;
        self.sender.send(group).await
    }

    async fn group(&self, logs: Logs) -> Option<LogGroup> {
        let codec = self.sender.shared.client.codec();
        let apart = self.apart.clone();
        off_thread(move || Some(apart.group(logs, &mut GroupCloser::new(codec)))).await
    }
}
