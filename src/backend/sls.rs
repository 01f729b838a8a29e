//! The Alibaba Cloud Log Service behind the gateway: each client's logs are written to its own project with its own key.
//!
//! ```text
//! describe ── account (memory) ── ask, once for all who wait ──▶ client ──▶ ListShards
//! put      ── group, tries, quotas (send) ────────────────────▶ client ──▶ PutLogs
//!               └── refused for its content (isolate)
//! ```
//!
//! This file answers what the gateway asks; `ask` finds out what is not known and `account` remembers what a key was told,
//! `put` writes, `send` tries, `isolate` takes apart what is refused, [`client`] speaks HTTP. Keys are the clients' own and
//! are kept only while they are used.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use tokio::sync::Semaphore;

use super::{
    Answer, Backend, BoxFuture, DescribeError, Linger, LoginOutcome, Logstore, Mark, Profile,
    SetError, WriteSet,
};
use crate::logs::{Bounds, SourceRule, TimeWindow};
use crate::tenant::{LogstoreName, Tenant};

use accounts::Accounts;
use callers::Callers;
use client::{Client, ClientError};
use levels::Levels;
use reports::Reports;

mod account;
mod accounts;
mod ask;
mod callers;
pub mod client;
pub mod config;
mod isolate;
mod levels;
mod pause;
mod put;
mod reports;
mod send;
mod standing;
mod tries;

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
    reports: Reports,
    /// For work that is too much for an I/O thread.
    threads: Arc<Semaphore>,
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
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self(Arc::new(Shared {
            client: Client::new(&config.client)?,
            accounts: Accounts::new(config.key_grace, config.shards_refresh),
            callers: Callers::default(),
            levels: Levels::default(),
            reports: Reports::default(),
            threads: Arc::new(Semaphore::new(threads)),
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
