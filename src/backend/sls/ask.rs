//! Asking the Log Service: once for all who wait, never on a stranger's word more often than his address may.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::{Instant as TokioInstant, sleep_until, timeout};

use super::Shared;
use super::account::{Account, Look, Next};
use super::client::{CallError, Kind};
use crate::backend::{DescribeError, LoginOutcome, Logstore};
use crate::tenant::{LogstoreName, Tenant};

/// A login waits no longer for the Log Service; then it is taken unproven.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a judgement of a key answers further logins.
const LOGIN_LIFE: Duration = Duration::from_secs(1);

impl Shared {
    /// What is known of a Logstore; else, who is asking. Starts to ask where nobody does.
    pub(super) fn look(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        logstore: &LogstoreName,
    ) -> Result<Result<Logstore, DescribeError>, watch::Receiver<()>> {
        if !self.config.projects.contain(&tenant.project) {
            return Ok(Err(DescribeError::NoProject));
        }
        let now = Instant::now();
        let known = self.accounts.find(tenant);
        let is_new = known.is_none();
        // A key that may not be asked for is not remembered either, or guesses would leave no room for others' keys.
        if is_new && !self.admit(tenant, now) {
            return Ok(Err(DescribeError::Unavailable));
        }
        let Some(account) = known.or_else(|| self.accounts.of(tenant, now)) else {
            return Ok(Err(DescribeError::Unavailable));
        };
        match account.look(logstore, now) {
            Look::Refused(error) => Ok(Err(error)),
            Look::Wait(asked) => Err(asked),
            Look::Known {
                logstore: found,
                refresh,
            } => {
                if let Some(asking) = refresh {
                    self.ask(tenant, account, logstore, asking);
                }
                Ok(Ok(found))
            }
            Look::Ask(asking, asked) => {
                if is_new || account.was_proven() || self.admit(tenant, now) {
                    self.ask(tenant, account, logstore, asking);
                    Err(asked)
                } else {
                    account.asked(logstore);
                    Ok(Err(DescribeError::Unavailable))
                }
            }
        }
    }

    /// Whether a call may be made for a key that nobody has proven.
    fn admit(&self, tenant: &Tenant, now: Instant) -> bool {
        let admitted = self.callers.admit(tenant.peer, now);
        if !admitted && let Some(unlogged) = self.reports.count("calls-unproven") {
            let reason = "calls-unproven";
            tracing::info!(peer = %tenant.peer, project = %tenant.project, reason, unlogged, "the Log Service was not asked");
        }
        admitted
    }

    /// Asks for a Logstore's shards until there is an answer that stands; then all who wait look again.
    fn ask(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        account: Arc<Account>,
        logstore: &LogstoreName,
        asking: watch::Sender<()>,
    ) {
        let (shared, tenant) = (Arc::clone(self), Arc::clone(tenant));
        let asked = Asked {
            account,
            logstore: logstore.clone(),
            _asking: asking,
        };
        tokio::spawn(async move {
            let (account, logstore) = (&asked.account, &asked.logstore);
            loop {
                let answer = shared.client.list_shards(&tenant, logstore).await;
                let answer = shared.heard(&tenant, Some(logstore), answer);
                match account.listed(logstore, &answer, Instant::now()) {
                    Next::Done => return,
                    Next::Held => return shared.reports.held(&tenant, shared.config.key_grace),
                    Next::AskAgain(at) => sleep_until(TokioInstant::from_std(at)).await,
                }
            }
        });
    }

    /// Asks for the project: the one call that says of a key that it is good.
    pub(super) async fn verify(&self, tenant: &Tenant) -> LoginOutcome {
        let now = Instant::now();
        let known = self.accounts.find(tenant);
        let was_proven = known.as_ref().is_some_and(|known| known.was_proven());
        if !was_proven && !self.admit(tenant, now) {
            return LoginOutcome::Unproven;
        }
        let Some(account) = known.or_else(|| self.accounts.of(tenant, now)) else {
            return LoginOutcome::Unproven;
        };
        let judging = timeout(LOGIN_TIMEOUT, self.judge(tenant, &account));
        judging.await.unwrap_or(LoginOutcome::Unproven)
    }

    /// One asks, and all who come meanwhile get his answer.
    async fn judge(&self, tenant: &Tenant, account: &Account) -> LoginOutcome {
        let mut last = account.login.lock().await;
        match *last {
            Some((at, outcome)) if at.elapsed() < LOGIN_LIFE => outcome,
            _ => {
                let outcome = self.ask_for_project(tenant, account).await;
                *last = Some((Instant::now(), outcome));
                outcome
            }
        }
    }

    async fn ask_for_project(&self, tenant: &Tenant, account: &Account) -> LoginOutcome {
        let answer = self.client.get_project(tenant).await;
        match self.heard(tenant, None, answer) {
            Ok(()) => {
                account.accepted(Instant::now());
                LoginOutcome::Proven
            }
            // One that worked before is judged by what it does: two refusals, and the grace.
            Err(_) if account.was_proven() => LoginOutcome::Unproven,
            Err(error) => match error.kind {
                Kind::Unauthorized => {
                    LoginOutcome::Refused("the Log Service does not know the key")
                }
                Kind::InvalidAccessKeyId => LoginOutcome::Refused("no such access key"),
                Kind::SignatureNotMatch => LoginOutcome::Refused("wrong access key secret"),
                _ => LoginOutcome::Unproven,
            },
        }
    }

    /// Notes what an answer says of the region, and logs a failure. A signature that does not match where none was ever
    /// accepted is not the client's fault.
    fn heard<T>(
        &self,
        tenant: &Tenant,
        logstore: Option<&LogstoreName>,
        answer: Result<T, CallError>,
    ) -> Result<T, CallError> {
        answer
            .inspect(|_| self.signature_accepted(&tenant.region))
            .map_err(|mut error| {
                if error.kind == Kind::SignatureNotMatch
                    && !self.is_signature_accepted(&tenant.region)
                {
                    error.kind = Kind::OurFault;
                }
                self.reports.failed(tenant, logstore, &error, 0);
                error
            })
    }

    pub(super) fn signature_accepted(&self, region: &str) {
        if let Some(accepted) = self.signatures_accepted.get(region)
            && !accepted.load(Ordering::Relaxed)
        {
            accepted.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn is_signature_accepted(&self, region: &str) -> bool {
        let accepted = self.signatures_accepted.get(region);
        accepted.is_some_and(|accepted| accepted.load(Ordering::Relaxed))
    }
}

/// Tells all who wait that the asking is over, however it ended.
struct Asked {
    account: Arc<Account>,
    logstore: LogstoreName,
    _asking: watch::Sender<()>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.account.asked(&self.logstore);
    }
}
