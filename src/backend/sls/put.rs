//! One write set on its way to the Log Service: group after group, each tried until it is stored, refused, or its time is
//! over.
//!
//! ```text
//! set ── each group ──▶ tries (shard, times, quotas' pauses, one call) ──▶ stored, or why not
//!                         └── refused for its content ──▶ taken apart (isolate)
//! ```
//!
//! A set cannot be stored whole or not at all here: each batch gets its own outcome, and how much of it is stored.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{Instant as TokioInstant, sleep_until};

use super::account::{Account, WriteRuling};
use super::client::{CallError, Kind, Payload, QuotaLevel, Target};
use super::levels::Level;
use super::standing::CONFIRMATION_PAUSE;
use super::{Route, Shared, jitter};
use crate::backend::{BatchOutcome, Placed, PutError, SetError, Share, WriteSet};
use crate::logs::{Apart, GroupCloser, LogGroup, Repair};

/// Of a set that has no deadline.
const TIME_DEFAULT: Duration = Duration::from_secs(24);
/// Pauses between tries: at random up to so much, which doubles.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(2);
const DOUBLINGS_MAX: u32 = 5;
/// A pause that would outlast the deadline ends so long before it.
const LAST_TRY_BEFORE: Duration = Duration::from_millis(100);
/// Tries of a body that cannot be decompressed.
const UNREADABLE_TRIES_MAX: u32 = 3;

/// Why a group is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    Put(PutError),
    /// The Log Service does not take what is in it.
    Content(Kind),
}

/// What became of a group's shares, in order.
pub type ShareResults = Vec<Result<(), PutError>>;

/// Writes the whole set.
pub async fn put(shared: Arc<Shared>, set: WriteSet) -> Result<(), SetError> {
    let deadline = set
        .deadline
        .unwrap_or_else(|| Instant::now() + TIME_DEFAULT);
    let mut batches = vec![Batch::default(); set.batch_count as usize];
    for placed in set.groups {
        let is_given_up = |share: &Share| batches[share.batch as usize].failed.is_some();
        // What follows a part that could not be stored would only be stored twice.
        if placed.shares.iter().all(is_given_up) {
            continue;
        }
        let shares = placed.shares.clone();
        let results = put_group(&shared, placed, deadline).await;
        for (share, result) in shares.into_iter().zip(results) {
            batches[share.batch as usize].take(share, result);
        }
    }
    match batches.iter().all(|batch| batch.failed.is_none()) {
        true => Ok(()),
        false => Err(SetError::Each(
            batches.into_iter().map(Batch::outcome).collect(),
        )),
    }
}

/// A batch as its groups are written.
#[derive(Clone, Copy, Default)]
struct Batch {
    stored_logs: u32,
    failed: Option<PutError>,
}

impl Batch {
    fn take(&mut self, share: Share, result: Result<(), PutError>) {
        match (self.failed, result) {
            (Some(_), _) => {}
            (None, Ok(())) => self.stored_logs += share.log_count,
            (None, Err(PutError::Content { log, why })) => {
                let log = self.stored_logs + log;
                self.failed = Some(PutError::Content { log, why });
            }
            (None, Err(error)) => self.failed = Some(error),
        }
    }

    /// How much is stored matters only where the same batch comes again; of one that is refused for good the numbers are
    /// free for another.
    fn outcome(self) -> BatchOutcome {
        let (result, stored_logs) = match self.failed {
            None => (Ok(()), 0),
            Some(
                error @ (PutError::Content { .. } | PutError::BadKey | PutError::Unauthorized),
            ) => (Err(error), 0),
            Some(error) if self.stored_logs > 0 => (Err(in_part(error)), self.stored_logs),
            Some(error) => (Err(error), 0),
        };
        BatchOutcome {
            result,
            stored_logs,
        }
    }
}

/// A failure of what is stored in part.
pub fn in_part(error: PutError) -> PutError {
    match error {
        PutError::NotStored(_) | PutError::Throttled { .. } | PutError::Unreachable(_) => {
            PutError::Uncertain("only a part of it is stored")
        }
        error => error,
    }
}

async fn put_group(shared: &Arc<Shared>, placed: Placed, deadline: Instant) -> ShareResults {
    let sender = Sender::new(shared, &placed, deadline);
    match sender.send(placed.group.clone()).await {
        Ok(()) => vec![Ok(()); placed.shares.len()],
        Err(Failed::Put(error)) => vec![Err(error); placed.shares.len()],
        Err(Failed::Content(kind)) => sender.isolate(&placed, kind).await,
    }
}

/// Sends groups to one Logstore.
pub struct Sender<'a> {
    pub shared: &'a Arc<Shared>,
    placed: &'a Placed,
    account: Option<Arc<Account>>,
    deadline: Instant,
}

/// How the tries of one group went so far.
#[derive(Default)]
struct Tries {
    failures: u32,
    /// The Log Service could not decompress it.
    unreadable: u32,
    /// When a shard was first missing.
    shardless: Option<Instant>,
    /// A try may have stored it.
    uncertain: bool,
    /// The shard, where it is no more the one that was chosen first.
    shard: Option<u32>,
}

impl<'a> Sender<'a> {
    fn new(shared: &'a Arc<Shared>, placed: &'a Placed, deadline: Instant) -> Self {
        Self {
            shared,
            account: shared.accounts.of(&placed.tenant, Instant::now()),
            placed,
            deadline,
        }
    }

    /// Tries until the group is stored, refused, or no further try may begin.
    pub async fn send(&self, group: LogGroup) -> Result<(), Failed> {
        let mut group = self.timely(group).await?;
        let mut payload = self.shared.client.payload(&group);
        let mut tries = Tries::default();
        loop {
            let pause = self.wait_for_quotas(&mut tries).await;
            pause.map_err(Failed::Put)?;
            if !self.is_timely(&group) {
                group = self.timely(group).await?;
                payload = self.shared.client.payload(&group);
            }
            let error = match self.try_once(&payload, &tries).await {
                Ok(()) => {
                    self.stored(&tries);
                    return Ok(());
                }
                Err(error) => error,
            };
            self.report(&error, &tries);
            tries.uncertain |= error.may_be_stored();
            let next = self.judge(&error, &mut tries)?;
            if next >= self.deadline {
                return Err(Failed::Put(tries.verdict(&error)));
            }
            sleep_until(TokioInstant::from_std(next)).await;
        }
    }

    async fn try_once(&self, payload: &Payload, tries: &Tries) -> Result<(), CallError> {
        let Placed {
            tenant, logstore, ..
        } = self.placed;
        let key = match self.shared.config.route {
            Route::LoadBalanced => None,
            Route::KeyHash => {
                let account = self.account.as_ref();
                account.and_then(|account| account.shard_key(logstore, self.shard(tries)))
            }
        };
        let target = key.map_or(Target::AnyShard, Target::Key);
        // A try that has begun is waited for beyond the deadline: its outcome answers the repeat that may come.
        let timeout = self.shared.config.client.request_timeout;
        let client = &self.shared.client;
        client
            .put_logs(tenant, logstore, target, payload, timeout)
            .await
    }

    fn shard(&self, tries: &Tries) -> u32 {
        tries.shard.unwrap_or(self.placed.shard)
    }

    fn stored(&self, tries: &Tries) {
        let Placed {
            tenant, logstore, ..
        } = self.placed;
        if let Some(account) = &self.account {
            account.wrote(logstore, Instant::now());
        }
        self.shared.signature_accepted(&tenant.region);
        if !self.shared.levels.is_quiet() {
            self.shared.levels.passed([
                Level::shard(self.placed, self.shard(tries)),
                Level::project(self.placed),
                Level::region(self.placed),
            ]);
        }
    }

    // Quotas

    /// Waits until shard, project and region take something; goes to another shard where that one takes it earlier.
    async fn wait_for_quotas(&self, tries: &mut Tries) -> Result<(), PutError> {
        loop {
            let now = Instant::now();
            if now >= self.deadline {
                return Err(tries.surely(PutError::NotStored(TOO_LATE)));
            }
            if self.shared.levels.is_quiet() {
                return Ok(());
            }
            let until = self.quota_pause(tries, now);
            let Some(until) = until else { return Ok(()) };
            if until >= self.deadline {
                return Err(tries.throttled(until - now));
            }
            sleep_until(TokioInstant::from_std(until)).await;
        }
    }

    fn quota_pause(&self, tries: &mut Tries, now: Instant) -> Option<Instant> {
        let levels = &self.shared.levels;
        let wide = [Level::project(self.placed), Level::region(self.placed)];
        let wide = wide
            .iter()
            .filter_map(|level| levels.until(level, now))
            .max();
        let shard = self.shard(tries);
        let mut pause = levels.until(&Level::shard(self.placed, shard), now);
        if pause.is_some()
            && self.may_change_shard()
            && let Some((other, until)) = self.calmest_shard(shard, now)
        {
            tries.shard = Some(other);
            pause = until;
        }
        wide.max(pause)
    }

    fn may_change_shard(&self) -> bool {
        let config = &self.shared.config;
        !config.by_partition && config.route == Route::KeyHash
    }

    /// The shard behind this one that takes something first.
    fn calmest_shard(&self, shard: u32, now: Instant) -> Option<(u32, Option<Instant>)> {
        let shards = self.account.as_ref()?.shards(&self.placed.logstore);
        let start = shards.iter().position(|id| *id > shard).unwrap_or(0);
        let (before, behind) = shards.split_at(start);
        let each = behind.iter().chain(before).map(|id| {
            let level = Level::shard(self.placed, *id);
            (*id, self.shared.levels.until(&level, now))
        });
        each.min_by_key(|(_, until)| *until)
    }

    // Judging

    /// When to try again; or why not.
    fn judge(&self, error: &CallError, tries: &mut Tries) -> Result<Instant, Failed> {
        let now = Instant::now();
        let logstore = &self.placed.logstore;
        match error.kind {
            Kind::Content(_) | Kind::TooLarge => return Err(Failed::Content(error.kind)),
            Kind::SignatureNotMatch
                if !self
                    .shared
                    .is_signature_accepted(&self.placed.tenant.region) =>
            {
                return Err(Failed::Put(PutError::NotStored(SIGNATURE_UNPROVEN)));
            }
            Kind::Unauthorized
            | Kind::InvalidAccessKeyId
            | Kind::SignatureNotMatch
            | Kind::NoProject
            | Kind::NoLogstore => {
                let account = self.account.as_ref();
                let ruling =
                    account.and_then(|account| account.write_refused(logstore, error.kind, now));
                return match ruling {
                    Some(WriteRuling::AskAgain(at)) => Ok(at),
                    Some(WriteRuling::Final(told)) => {
                        if told == PutError::KeyHeld {
                            self.shared.alarm_held(&self.placed.tenant);
                        }
                        Err(Failed::Put(match told {
                            PutError::NoProject | PutError::NoLogstore => tries.surely(told),
                            told => told,
                        }))
                    }
                    None => Err(Failed::Put(PutError::NotStored(TOO_MANY_KEYS))),
                };
            }
            Kind::NoShard => {
                if let Some(account) = &self.account {
                    account.outdate(logstore, now);
                    // Only to have the shards asked for anew.
                    let _ = self.shared.look(&self.placed.tenant, logstore);
                }
                let confirmed_at = *tries.shardless.get_or_insert(now) + CONFIRMATION_PAUSE;
                if now >= confirmed_at {
                    return Err(Failed::Put(tries.surely(PutError::NoLogstore)));
                }
                tries.failures += 1;
                return Ok(confirmed_at.min(now + tries.pause()));
            }
            Kind::BadCompression => {
                tries.unreadable += 1;
                if tries.unreadable >= UNREADABLE_TRIES_MAX {
                    return Err(Failed::Put(tries.verdict(error)));
                }
            }
            _ if !error.is_worth_retrying() => return Err(Failed::Put(tries.verdict(error))),
            _ => {}
        }
        self.back_off(error, tries, now);
        tries.failures += 1;
        // The last try comes in time rather than never.
        let last = self.deadline.checked_sub(LAST_TRY_BEFORE).unwrap_or(now);
        let next = now + tries.pause();
        Ok(if now < last { next.min(last) } else { next })
    }

    /// Each quota holds back its own level only.
    fn back_off(&self, error: &CallError, tries: &Tries, now: Instant) {
        let level = match (error.kind, error.quota().map(|quota| quota.level)) {
            (_, Some(QuotaLevel::Shard)) => Level::shard(self.placed, self.shard(tries)),
            (_, Some(QuotaLevel::Project | QuotaLevel::Reads)) => Level::project(self.placed),
            (Kind::Busy, _) => {
                let (project, region) = (Level::project(self.placed), Level::region(self.placed));
                return self.shared.levels.busy(project, region, now);
            }
            _ => return,
        };
        self.shared.levels.exceeded(level, now);
    }

    /// Every failure is counted; with its request id it is logged, at a bounded rate.
    fn report(&self, error: &CallError, tries: &Tries) {
        let Placed {
            tenant, logstore, ..
        } = self.placed;
        self.shared
            .report(tenant, Some(logstore), error, tries.failures);
    }

    // Times

    fn is_timely(&self, group: &LogGroup) -> bool {
        let window = self.shared.window();
        window.covers(group.time_min, group.time_max, self.now_s())
    }

    /// Unix seconds by the Log Service's clock.
    pub fn now_s(&self) -> u32 {
        let now_s = self.shared.client.now_s(&self.placed.tenant.region);
        u32::try_from(now_s).unwrap_or_default()
    }

    /// A log may have become too old while it waited, by the Log Service's clock: it gets the time of now.
    async fn timely(&self, group: LogGroup) -> Result<LogGroup, Failed> {
        if self.is_timely(&group) {
            return Ok(group);
        }
        let repair = Repair::Time {
            now_s: self.now_s(),
            window: Some(self.shared.window()),
        };
        let codec = self.shared.client.codec();
        off_thread(move || {
            let mut apart = Apart::open(&group, codec.compression).ok()?;
            let all = 0..apart.log_count();
            apart.repair(all.clone(), repair);
            Some(apart.group(all, &mut GroupCloser::new(codec)))
        })
        .await
        .ok_or(Failed::Put(PutError::NotStored(INTERNAL)))
    }
}

const NO_ANSWER: &str = "the Log Service did not answer in time";
const TOO_LATE: &str = "its time was over before it could be written";
const SIGNATURE_UNPROVEN: &str =
    "the Log Service refuses signatures, of which it has accepted none yet";
const TOO_MANY_KEYS: &str = "too many access keys are in use";
const KEY_UNDER_TEST: &str = "the Log Service refuses what was good a moment ago";
const INTERNAL: &str = "internal failure";

impl Tries {
    /// At random up to the longest, so that those who failed together do not come back together.
    fn pause(&self) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(DOUBLINGS_MAX);
        jitter((PAUSE_FIRST * 2_u32.pow(doublings)).min(PAUSE_MAX))
    }

    fn throttled(&self, pause: Duration) -> PutError {
        self.surely(PutError::Throttled {
            why: "a quota of the Log Service is used up",
            pause,
        })
    }

    /// This, unless an earlier try may have stored it.
    fn surely(&self, error: PutError) -> PutError {
        if self.uncertain {
            return PutError::Uncertain(NO_ANSWER);
        }
        error
    }

    /// What is told when the last try ended so.
    fn verdict(&self, error: &CallError) -> PutError {
        let why = match error.kind {
            Kind::Quota(_) => return self.throttled(PAUSE_MAX / 2),
            Kind::Network { .. } | Kind::BadAnswer => {
                return self.surely(PutError::Unreachable("the Log Service cannot be reached"));
            }
            Kind::NoShard => "the Logstore has no such shard now",
            Kind::ServerError => "the Log Service failed",
            Kind::Busy => "the Log Service is busy",
            Kind::ClockSkew => "the clock of this machine is wrong",
            Kind::ProjectForbidden => "the project is disabled",
            Kind::Unauthorized
            | Kind::InvalidAccessKeyId
            | Kind::SignatureNotMatch
            | Kind::NoProject
            | Kind::NoLogstore => KEY_UNDER_TEST,
            Kind::BadCompression => "the Log Service cannot decompress it",
            _ => "the Log Service refuses the gateway's request",
        };
        self.surely(PutError::NotStored(why))
    }
}

/// For the rare work on a whole group that is too much for an I/O thread.
pub async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Option<T> + Send + 'static,
) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok().flatten()
}
