//! The Alibaba Cloud Log Service behind the gateway: each client's logs are written to its own project with its own key.
//!
//! ```text
//! describe ── account (memory) ── ask, once for all who wait ──▶ client ──▶ ListShards
//! put      ── group, tries, quotas (put) ─────────────────────▶ client ──▶ PutLogs
//!               └── refused for its content (isolate)
//! ```
//!
//! This file answers what the gateway asks; [`client`] speaks HTTP, `account` remembers what a key was told, `put` writes
//! and `isolate` takes apart what is refused. Keys are the clients' own and are kept only while they are used.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::{Instant as TokioInstant, sleep_until, timeout};

use super::{
    Answer, Backend, BoxFuture, DescribeError, Linger, LoginOutcome, Logstore, Mark, Profile,
    SetError, WriteSet,
};
use crate::logs::{Bounds, SourceRule, TimeWindow};
use crate::refusals::{Refusals, shown};
use crate::tenant::{LogstoreName, Tenant};

use account::{Account, Look, Next};
use accounts::Accounts;
use callers::Callers;
use client::{CallError, Client, ClientError, Kind};
use levels::Levels;

mod account;
mod accounts;
mod callers;
pub mod client;
pub mod config;
mod isolate;
mod levels;
mod put;
mod standing;

pub use config::{Config, Projects, Route};

/// The Log Service takes logs of the last seven days, and up to 15 minutes ahead; less what clocks and queues may be off.
const WINDOW: TimeWindow = TimeWindow {
    past_seconds_max: Some(7 * 24 * 3600 - 3600),
    future_seconds_max: 14 * 60,
};
const BOUNDS: Bounds = Bounds {
    // "1 MB" for one log.
    log_bytes_max: 1_000_000,
    // A tenth of what one call may hold.
    piece_bytes_max: 1 << 20,
    piece_logs_max: 4096,
    name_bytes_max: 128,
    expansion_bytes_max: 128 << 20,
};

/// A login waits no longer for the Log Service; then it is taken unproven.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(3);

/// The backend. Cheap to clone.
#[derive(Clone)]
pub struct Sls(Arc<Shared>);

/// What all calls share.
struct Shared {
    client: Client,
    config: Config,
    accounts: Accounts,
    callers: Callers,
    levels: Levels,
    refusals: Refusals,
    /// The regions that have accepted a signature: elsewhere "does not match" may be our own fault.
    signatures_accepted: HashMap<Arc<str>, AtomicBool>,
}

impl Sls {
    /// Connects nowhere yet.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn new(config: Config) -> Result<Self, ClientError> {
        let regions = config.client.endpoints.iter();
        let signatures_accepted = regions
            .map(|endpoint| (Arc::clone(&endpoint.region), AtomicBool::new(false)))
            .collect();
        Ok(Self(Arc::new(Shared {
            client: Client::new(&config.client)?,
            accounts: Accounts::new(config.key_grace, config.shards_refresh),
            callers: Callers::default(),
            levels: Levels::default(),
            refusals: Refusals::default(),
            signatures_accepted,
            config,
        })))
    }
}

impl Backend for Sls {
    fn profile(&self) -> Profile {
        let config = &self.0.config;
        Profile {
            window: WINDOW,
            bounds: BOUNDS,
            codec: self.0.client.codec(),
            linger: Linger {
                min: config.linger_min,
                max: config.linger_max,
            },
            writes_in_flight_max: config.writes_per_logstore_max,
            source: SourceRule::Field,
            durable_marks: false,
        }
    }

    fn log_in(&self, tenant: &Arc<Tenant>) -> Answer<LoginOutcome> {
        let shared = &self.0;
        let known = shared.accounts.find(tenant);
        if known.is_some_and(|account| account.is_proven()) {
            return Answer::Now(LoginOutcome::Proven);
        }
        // A project that is not passed on is told to be missing, topic by topic, as any other.
        if !shared.config.verify_logins || !shared.config.projects.contain(&tenant.project) {
            return Answer::Now(LoginOutcome::Unproven);
        }
        let (shared, tenant) = (Arc::clone(shared), Arc::clone(tenant));
        Answer::Later(Box::pin(async move { shared.verify(&tenant).await }))
    }

    fn describe(
        &self,
        tenant: &Arc<Tenant>,
        logstore: &LogstoreName,
    ) -> Answer<Result<Logstore, DescribeError>> {
        let shared = &self.0;
        match shared.look(tenant, logstore) {
            Ok(found) => Answer::Now(found),
            Err(mut asked) => {
                let (shared, tenant) = (Arc::clone(shared), Arc::clone(tenant));
                let logstore = logstore.clone();
                Answer::Later(Box::pin(async move {
                    // It ends when whoever asks has his answer.
                    while asked.changed().await.is_ok() {}
                    match shared.look(&tenant, &logstore) {
                        Ok(found) => found,
                        Err(_) => Err(DescribeError::Unavailable),
                    }
                }))
            }
        }
    }

    /// Names what this key has used here: listing takes a right that the gateway must not need.
    fn list(
        &self,
        tenant: &Arc<Tenant>,
        max: usize,
    ) -> Answer<Result<Vec<(LogstoreName, Logstore)>, DescribeError>> {
        let account = self.0.accounts.find(tenant);
        let listed = account.map(|account| account.list(max, Instant::now()));
        Answer::Now(Ok(listed.unwrap_or_default()))
    }

    fn put(&self, set: WriteSet) -> BoxFuture<'static, Result<(), SetError>> {
        // A task of its own, so that dropping the future cancels nothing.
        let put = tokio::spawn(put::put(Arc::clone(&self.0), set));
        Box::pin(async move {
            put.await
                .unwrap_or(Err(SetError::Whole(super::PutError::Uncertain(
                    "internal failure",
                ))))
        })
    }

    fn marks(&self) -> Vec<(Mark, i64)> {
        Vec::new()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

impl Shared {
    fn window(&self) -> TimeWindow {
        WINDOW
    }

    /// What is known of a Logstore; else, who is asking. Starts to ask where nobody does.
    fn look(
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
        if !admitted && let Some(unlogged) = self.refusals.count("calls-unproven", now) {
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
                    Next::Held => return shared.alarm_held(&tenant),
                    Next::AskAgain(at) => sleep_until(TokioInstant::from_std(at)).await,
                }
            }
        });
    }

    /// Asks for the project: the one call that says of a key that it is good.
    async fn verify(&self, tenant: &Tenant) -> LoginOutcome {
        let now = Instant::now();
        let known = self.accounts.find(tenant);
        let was_proven = known.as_ref().is_some_and(|known| known.was_proven());
        if !was_proven && !self.admit(tenant, now) {
            return LoginOutcome::Unproven;
        }
        let Some(account) = known.or_else(|| self.accounts.of(tenant, now)) else {
            return LoginOutcome::Unproven;
        };
        let asked = timeout(LOGIN_TIMEOUT, self.client.get_project(tenant));
        let Ok(answer) = asked.await else {
            return LoginOutcome::Unproven;
        };
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
                self.report(tenant, logstore, &error, 0);
                if error.kind == Kind::SignatureNotMatch
                    && !self.is_signature_accepted(&tenant.region)
                {
                    error.kind = Kind::OurFault;
                }
                error
            })
    }

    fn signature_accepted(&self, region: &str) {
        if let Some(accepted) = self.signatures_accepted.get(region)
            && !accepted.load(Ordering::Relaxed)
        {
            accepted.store(true, Ordering::Relaxed);
        }
    }

    fn is_signature_accepted(&self, region: &str) -> bool {
        let accepted = self.signatures_accepted.get(region);
        accepted.is_some_and(|accepted| accepted.load(Ordering::Relaxed))
    }

    /// Logs a failed call, at a bounded rate for each kind. What no client can mend is an error, the rest a warning.
    fn report(
        &self,
        tenant: &Tenant,
        logstore: Option<&LogstoreName>,
        error: &CallError,
        failures_before: u32,
    ) {
        let Some(unlogged) = self.refusals.count(label(error.kind), Instant::now()) else {
            return;
        };
        let (project, region) = (&tenant.project, &*tenant.region);
        let logstore = logstore.map(LogstoreName::as_str);
        let key = tail_of_key(tenant);
        let request_id = error.request_id.as_deref();
        if is_alarm(error.kind) {
            tracing::error!(%project, logstore, region, key, request_id, %error, failures_before, unlogged, "the Log Service refused a call; see to it");
        } else {
            tracing::warn!(%project, logstore, region, key, request_id, %error, failures_before, unlogged, "a call of the Log Service failed");
        }
    }

    /// A key that worked within the grace is refused: someone has to see to it before it is over.
    fn alarm_held(&self, tenant: &Tenant) {
        if let Some(unlogged) = self.refusals.count("key-held", Instant::now()) {
            let key = tail_of_key(tenant);
            tracing::error!(
                project = %tenant.project,
                region = &*tenant.region,
                key,
                grace_seconds = self.config.key_grace.as_secs(),
                unlogged,
                "a key that worked is refused by the Log Service; its agents are held until the grace is over, then they may drop their data"
            );
        }
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

/// Enough of a key's id for its owner to know it by.
fn tail_of_key(tenant: &Tenant) -> String {
    let id: Vec<char> = tenant.credentials.access_key_id.chars().collect();
    let tail: String = id[id.len() - id.len().min(4)..].iter().collect();
    format!("…{}", shown(&tail))
}

fn is_alarm(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::ProjectForbidden | Kind::OurFault | Kind::ClockSkew | Kind::Unknown
    )
}

/// One of a closed set, for the rate limit of the log.
fn label(kind: Kind) -> &'static str {
    match kind {
        Kind::Unauthorized => "unauthorized",
        Kind::InvalidAccessKeyId => "invalid-access-key-id",
        Kind::SignatureNotMatch => "signature-not-match",
        Kind::ProjectForbidden => "project-forbidden",
        Kind::OurFault => "our-fault",
        Kind::ClockSkew => "clock-skew",
        Kind::NoProject => "no-project",
        Kind::NoLogstore => "no-logstore",
        Kind::NoShard => "no-shard",
        Kind::Content(_) => "content",
        Kind::TooLarge => "too-large",
        Kind::BadCompression => "bad-compression",
        Kind::Quota(_) => "quota",
        Kind::ServerError => "server-error",
        Kind::Busy => "busy",
        Kind::Network { .. } => "network",
        Kind::BadAnswer => "bad-answer",
        Kind::Unknown => "unknown",
    }
}

/// A random time up to this one.
fn jitter(longest: Duration) -> Duration {
    let mut bytes = [0; 4];
    // Without randomness everybody waits the longest.
    if getrandom::fill(&mut bytes).is_err() {
        return longest;
    }
    longest.mul_f64(f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::client::{Endpoint, Settings, SignatureVersion};
    use super::*;
    use crate::logs::Compression;
    use crate::tenant::{Credentials, ProjectName, Secret};

    /// Of a Log Service that is not there.
    fn config() -> Config {
        let endpoint = Endpoint {
            connect: Some("127.0.0.1:1".parse().expect("an address")),
            ..Endpoint::parse("r", "http://log.example.com").expect("a URL")
        };
        Config {
            client: Settings {
                signature: SignatureVersion::V1,
                compression: Compression::Lz4,
                endpoints: vec![endpoint],
                request_timeout: Duration::from_secs(1),
                connect_timeout: Duration::from_secs(1),
                proxy: None,
                authorities: Vec::new(),
            },
            projects: Projects::All,
            route: Route::KeyHash,
            by_partition: false,
            verify_logins: true,
            linger_min: Duration::ZERO,
            linger_max: Duration::from_millis(1),
            writes_per_logstore_max: 1,
            shards_refresh: Duration::from_secs(60),
            key_grace: Duration::ZERO,
        }
    }

    fn guess(secret: usize) -> Arc<Tenant> {
        Arc::new(Tenant {
            project: ProjectName::parse("project-1").expect("a name"),
            credentials: Arc::new(Credentials {
                access_key_id: "id".into(),
                access_key_secret: Secret::new(secret.to_string()),
                security_token: None,
            }),
            region: "r".into(),
            endpoint: "localhost".into(),
            peer: [127, 0, 0, 1].into(),
        })
    }

    #[tokio::test]
    async fn guesses_of_one_address_leave_room_for_others_keys() {
        let sls = Sls::new(config()).expect("nothing is missing");
        let logstore = LogstoreName::parse("logstore-1").expect("a name");
        for secret in 0..5_000 {
            let _ = sls.describe(&guess(secret), &logstore);
            if let Answer::Later(answer) = sls.log_in(&guess(10_000 + secret)) {
                let refused = tokio::time::timeout(Duration::ZERO, answer).await;
                assert!(!matches!(refused, Ok(LoginOutcome::Refused(_))));
            }
        }
        assert!(sls.0.accounts.count() <= 100, "{}", sls.0.accounts.count());
    }
}
