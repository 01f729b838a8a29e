//! One group on its way to a shard: tried until it is stored, refused, or no further try may begin.
//!
//! ```text
//! try ── quotas' pauses, shard, times ──▶ one call ──▶ stored
//!  ▲                                         └── judged: refused, or once more after a pause
//!  └────────────────────────────────────────────┘
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{Instant as TokioInstant, sleep_until};

use super::account::{Account, WriteRuling};
use super::client::{CallError, Kind, Payload, QuotaLevel, Target};
use super::levels::Level;
use super::standing::CONFIRMATION_PAUSE;
use super::tries::Tries;
use super::{Route, Shared, WINDOW};
use crate::backend::{Placed, PutError};
use crate::logs::{Apart, GroupCloser, LogGroup, Repair};

/// A pause that would outlast the deadline ends so long before it.
const LAST_TRY_BEFORE: Duration = Duration::from_millis(100);
/// Tries of a body that cannot be decompressed.
const UNREADABLE_TRIES_MAX: u32 = 3;
const TOO_LATE: &str = "its time was over before it could be written";
const SIGNATURE_UNPROVEN: &str =
    "the Log Service refuses signatures, of which it has accepted none yet";
const TOO_MANY_KEYS: &str = "too many access keys are in use";
const INTERNAL: &str = "internal failure";

/// Why a group is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    Put(PutError),
    /// The Log Service does not take what is in it.
    Content(Kind),
}

/// Sends groups to one Logstore.
pub struct Sender<'a> {
    pub shared: &'a Arc<Shared>,
    placed: &'a Placed,
    account: Option<Arc<Account>>,
    deadline: Instant,
}

impl<'a> Sender<'a> {
    pub fn new(shared: &'a Arc<Shared>, placed: &'a Placed, deadline: Instant) -> Self {
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
        let mut last: Option<CallError> = None;
        loop {
            self.wait_for_quotas(&mut tries, last.as_ref())
                .await
                .map_err(Failed::Put)?;
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
            last = Some(error);
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
    async fn wait_for_quotas(
        &self,
        tries: &mut Tries,
        last: Option<&CallError>,
    ) -> Result<(), PutError> {
        loop {
            let now = Instant::now();
            if now >= self.deadline {
                // Who overslept tells why his last try failed.
                return Err(match last {
                    Some(error) => tries.verdict(error),
                    None => tries.surely(PutError::NotStored(TOO_LATE)),
                });
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
                            self.shared
                                .reports
                                .held(&self.placed.tenant, self.shared.config.key_grace);
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
        let reports = &self.shared.reports;
        reports.failed(tenant, Some(logstore), error, tries.failures);
    }

    // Times

    fn is_timely(&self, group: &LogGroup) -> bool {
        WINDOW.covers(group.time_min, group.time_max, self.now_s())
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
            window: Some(WINDOW),
        };
        let codec = self.shared.client.codec();
        let work = move || {
            let mut apart = Apart::open(&group, codec.compression).ok()?;
            let all = 0..apart.log_count();
            apart.repair(all.clone(), repair);
            Some(apart.group(all, &mut GroupCloser::new(codec)))
        };
        let mended = self.shared.off_thread(work).await;
        mended.ok_or(Failed::Put(PutError::NotStored(INTERNAL)))
    }
}

impl Shared {
    /// For the rare work on a whole group that is too much for an I/O thread: on one thread a core, for logs that all
    /// became too old in a queue would take hundreds, each with its buffers.
    pub(super) async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Option<T> + Send + 'static,
    ) -> Option<T> {
        // It is never closed.
        let thread = Arc::clone(&self.threads).acquire_owned().await.ok()?;
        let done = tokio::task::spawn_blocking(move || {
            let outcome = work();
            drop(thread);
            outcome
        });
        done.await.ok().flatten()
    }
}
