//! `[auth]` and `[log]`: what becomes of a wrong key, and what the gateway writes about itself.

use std::time::Duration;

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use super::problem::Problems;
use super::units::period;
use crate::server::{self, BadKey};

/// `[auth]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Auth {
    pub bad_key: BadKey,
    /// How long the answer to a failed login waits.
    #[serde(with = "period")]
    pub failed_login_delay: Duration,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            bad_key: BadKey::TopicError,
            failed_login_delay: server::limits::Limits::default().failed_login_delay,
        }
    }
}

/// Clients give a login up after 10 s or more; a longer delay would read as a dead server.
const FAILED_LOGIN_DELAY_MAX: Duration = Duration::from_secs(5);

impl Auth {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        if self.failed_login_delay > FAILED_LOGIN_DELAY_MAX {
            problems.error(
                "auth.failed-login-delay",
                format_args!("{} ms is too long", self.failed_login_delay.as_millis()),
                "the most is 5s",
            );
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    Text,
    Json,
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Log {
    pub format: LogFormat,
    /// A level, or directives like `info,sluice::server=debug`.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            filter: "info".into(),
        }
    }
}

impl Log {
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        if let Err(error) = EnvFilter::builder().parse(&self.filter) {
            problems.error(
                "log.filter",
                error,
                "write a level (error, warn, info, debug, trace) or target=level, separated by commas",
            );
        }
    }
}
