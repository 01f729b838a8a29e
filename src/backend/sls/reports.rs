//! What is said of failed calls, at a bounded rate for each kind; never with a secret.

use std::time::{Duration, Instant};

use super::client::{CallError, Kind};
use crate::refusals::{Refusals, shown};
use crate::tenant::{LogstoreName, Tenant};

/// The backend's own log lines.
#[derive(Debug, Default)]
pub struct Reports(Refusals);

impl Reports {
    /// Logs a failed call, at a bounded rate for each kind. What no client can mend is an error, the rest a warning.
    pub fn failed(
        &self,
        tenant: &Tenant,
        logstore: Option<&LogstoreName>,
        error: &CallError,
        failures_before: u32,
    ) {
        let Some(unlogged) = self.0.count(label(error.kind), Instant::now()) else {
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
    pub fn held(&self, tenant: &Tenant, key_grace: Duration) {
        if let Some(unlogged) = self.0.count("key-held", Instant::now()) {
            let key = tail_of_key(tenant);
            tracing::error!(
                project = %tenant.project,
                region = &*tenant.region,
                key,
                grace_seconds = key_grace.as_secs(),
                unlogged,
                "a key that worked is refused by the Log Service; its agents are held until the grace is over, then they may drop their data"
            );
        }
    }

    /// Counts what is refused here without a call; how many went unlogged, when it is to be logged now.
    pub fn count(&self, reason: &'static str) -> Option<u64> {
        self.0.count(reason, Instant::now())
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
