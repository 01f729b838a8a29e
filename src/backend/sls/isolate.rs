//! A group that the Log Service refuses for its content is taken apart until only the guilty log is left: its batches go
//! in halves, the guilty one's logs too, the guilty log repaired. Nobody else's logs are lost for it.

use std::ops::Range;

use super::client::{Content, Kind};
use super::put::{ShareResults, in_part};
use super::send::{Failed, Sender};
use crate::backend::{Placed, PutError, Unstorable};
use crate::logs::{Apart, GroupCloser, LogGroup, Repair};

/// Calls that one group may cost: to find one log of 4,096 takes two dozen.
const CALLS_MAX: u32 = 256;
/// Logs of one batch that the same repair has saved, after which it is tried on what is left of that batch at once: where
/// each log is refused, as they come from one agent, there are not calls enough for a search.
const SAVED_ONE_BY_ONE_MAX: usize = 8;
const NAME_BYTES_MAX: usize = 128;

/// What is sent together: some shares, or some logs of one share.
#[derive(Clone, Debug)]
struct Run {
    shares: Range<usize>,
    logs: Range<usize>,
}

/// A group under examination.
struct Suspect<'s, 'a> {
    sender: &'s Sender<'a>,
    apart: Apart,
    calls_left: u32,
    /// Where each share's logs lie.
    shares: Vec<Range<usize>>,
    results: ShareResults,
    /// The shares of which something is stored.
    begun: Vec<bool>,
    /// What has saved logs of the share that was looked at last, and how many of them.
    saved: Option<(usize, Repair, usize)>,
}

impl Sender<'_> {
    /// Stores what can be stored of a group that was refused for this; a result for each share.
    pub async fn isolate(&self, placed: &Placed, kind: Kind) -> ShareResults {
        let count = placed.shares.len();
        let (group, codec) = (placed.group.clone(), self.shared.client.codec());
        let open = move || Apart::open(&group, codec.compression).ok();
        let apart = self.shared.off_thread(open).await;
        let Some(apart) = apart else {
            return vec![Err(PutError::NotStored("internal failure")); count];
        };
        let mut end = 0;
        let each = placed.shares.iter().map(|share| {
            let start = end;
            end += share.log_count as usize;
            start..end
        });
        let mut suspect = Suspect {
            sender: self,
            shares: each.collect(),
            apart,
            calls_left: CALLS_MAX,
            results: vec![Ok(()); count],
            begun: vec![false; count],
            saved: None,
        };
        suspect.store_all(kind).await;
        suspect.results
    }
}

impl Suspect<'_, '_> {
    /// Stores in halves what is refused as a whole, in order, and of a share nothing behind a log that cannot be stored.
    async fn store_all(&mut self, kind: Kind) {
        let all = Run {
            shares: 0..self.shares.len(),
            logs: 0..self.apart.log_count(),
        };
        let mut runs = vec![(all, Some(kind))];
        while let Some((run, refused)) = runs.pop() {
            if self.results[run.shares.clone()].iter().all(Result::is_err) {
                continue;
            }
            let Some(kind) = refused else {
                let refused = self.store(&run).await;
                runs.extend(refused.map(|kind| (run, Some(kind))));
                continue;
            };
            match self.halves(&run) {
                Some(_) if self.store_as_saved(&run).await => {}
                Some([first, second]) => runs.extend([(second, None), (first, None)]),
                None => self.store_repaired(&run, kind).await,
            }
        }
    }

    /// `None`: it is one log.
    fn halves(&self, run: &Run) -> Option<[Run; 2]> {
        let Run { shares, logs } = run;
        if shares.len() > 1 {
            let middle = shares.start + shares.len() / 2;
            let cut = self.shares[middle].start;
            return Some([
                Run {
                    shares: shares.start..middle,
                    logs: logs.start..cut,
                },
                Run {
                    shares: middle..shares.end,
                    logs: cut..logs.end,
                },
            ]);
        }
        let cut = logs.start + logs.len() / 2;
        let half = |logs| Run {
            shares: shares.clone(),
            logs,
        };
        (logs.len() > 1).then(|| [half(logs.start..cut), half(cut..logs.end)])
    }

    /// Logs of a share of which the same repair has saved enough: all repaired. False: they are refused even so, and are as
    /// they were.
    async fn store_as_saved(&mut self, run: &Run) -> bool {
        let repair = match self.saved {
            Some((share, repair, count))
                if run.shares == (share..share + 1) && count >= SAVED_ONE_BY_ONE_MAX =>
            {
                repair
            }
            _ => return false,
        };
        let untouched = self.apart.clone();
        self.apart.repair(run.logs.clone(), repair);
        let is_stored = self.store(run).await.is_none();
        if !is_stored {
            self.apart = untouched;
        }
        is_stored
    }

    fn note_saved(&mut self, share: usize, repair: Repair) {
        let count = match self.saved {
            Some((last, by, count)) if last == share && same_kind(by, repair) => count,
            _ => 0,
        };
        self.saved = Some((share, repair, count + 1));
    }

    /// One log, which was refused as it is: with the time of now, then in base64.
    async fn store_repaired(&mut self, run: &Run, kind: Kind) {
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
            self.apart.repair(run.logs.clone(), *repair);
            match self.store(run).await {
                Some(kind) => why = kind,
                None => return self.note_saved(run.shares.start, *repair),
            }
        }
        let why = match why {
            Kind::TooLarge => Unstorable::TooLarge,
            _ => Unstorable::Invalid,
        };
        let start = self.shares[run.shares.start].start;
        let log = u32::try_from(run.logs.start - start).unwrap_or(u32::MAX);
        self.note(run, Err(PutError::Content { log, why }));
    }

    /// What it was refused for, if it was for its content. Everything else is noted.
    async fn store(&mut self, run: &Run) -> Option<Kind> {
        let result = match self.send(run.logs.clone()).await {
            Err(Failed::Content(kind)) => return Some(kind),
            Err(Failed::Put(error)) => Err(error),
            Ok(()) => Ok(()),
        };
        self.note(run, result);
        None
    }

    fn note(&mut self, run: &Run, result: Result<(), PutError>) {
        for share in run.shares.clone() {
            match result {
                Ok(()) => self.begun[share] = true,
                Err(error) if self.begun[share] => self.results[share] = Err(in_part(error)),
                Err(error) => self.results[share] = Err(error),
            }
        }
    }

    async fn send(&mut self, logs: Range<usize>) -> Result<(), Failed> {
        if self.calls_left == 0 {
            let error = PutError::NotStored("too many of its logs are refused");
            return Err(Failed::Put(error));
        }
        self.calls_left -= 1;
        let group = self.group(logs).await;
        let group = group.ok_or(Failed::Put(PutError::NotStored("internal failure")))?;
        self.sender.send(group).await
    }

    async fn group(&self, logs: Range<usize>) -> Option<LogGroup> {
        let codec = self.sender.shared.client.codec();
        let apart = self.apart.clone();
        let close = move || Some(apart.group(logs, &mut GroupCloser::new(codec)));
        self.sender.shared.off_thread(close).await
    }
}

/// The time that it sets may be another.
fn same_kind(one: Repair, other: Repair) -> bool {
    std::mem::discriminant(&one) == std::mem::discriminant(&other)
}
