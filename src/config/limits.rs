//! `[limits]`: what a client may take of the gateway. Who keeps each limit is the server's business.

use std::time::Duration;

use serde::Deserialize;

use super::problem::Problems;
use super::units::{period, size};
use crate::{records, server};

/// Every limit with its default. Sizes are bytes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    #[serde(rename = "frame-before-login", with = "size")]
    pub frame_before_login_bytes_max: usize,
    #[serde(rename = "frame-before-proof", with = "size")]
    pub frame_before_proof_bytes_max: usize,
    #[serde(rename = "frame", with = "size")]
    pub frame_bytes_max: usize,
    /// Of one record batch.
    #[serde(rename = "decompressed", with = "size")]
    pub decompressed_bytes_max: usize,
    #[serde(rename = "records-per-batch")]
    pub records_per_batch_max: usize,
    /// Produce frames held in memory, of the whole process.
    #[serde(rename = "in-flight", with = "size")]
    pub in_flight_bytes_max: u64,
    #[serde(rename = "requests-per-connection")]
    pub requests_per_connection_max: usize,
    #[serde(rename = "connections")]
    pub connections_max: usize,
    #[serde(rename = "connections-per-address")]
    pub connections_per_address_max: usize,
    #[serde(rename = "connections-per-project")]
    pub connections_per_project_max: usize,
    /// TLS handshakes under way at once.
    #[serde(rename = "handshakes")]
    pub handshakes_max: usize,
    #[serde(rename = "handshake-timeout", with = "period")]
    pub handshake_timeout: Duration,
    #[serde(rename = "login-timeout", with = "period")]
    pub login_timeout: Duration,
    #[serde(rename = "idle-timeout", with = "period")]
    pub idle_timeout: Duration,
    /// Bytes a second below which a request's body is given up, averaged over `body_rate_window`.
    #[serde(rename = "body-rate", with = "size")]
    pub body_rate_min: u64,
    #[serde(rename = "body-rate-window", with = "period")]
    pub body_rate_window: Duration,
    /// How long a stop waits for requests under way.
    #[serde(rename = "drain-grace", with = "period")]
    pub drain_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let (server, records) = (
            server::limits::Limits::default(),
            records::Limits::default(),
        );
        Self {
            frame_before_login_bytes_max: server.session.frame_before_login_bytes_max,
            frame_before_proof_bytes_max: server.session.frame_before_proof_bytes_max,
            frame_bytes_max: server.session.frame_bytes_max,
            decompressed_bytes_max: records.decompressed_bytes_max,
            records_per_batch_max: records.records_max,
            in_flight_bytes_max: server.in_flight_bytes_max,
            requests_per_connection_max: server.requests_per_connection_max,
            connections_max: server.connections_max,
            connections_per_address_max: server.connections_per_address_max,
            connections_per_project_max: server.connections_per_project_max,
            handshakes_max: server.handshakes_max,
            handshake_timeout: server.handshake_timeout,
            login_timeout: server.login_timeout,
            idle_timeout: server.idle_timeout,
            body_rate_min: server.body_rate_min,
            body_rate_window: server.body_rate_window,
            drain_grace: server.drain_grace,
        }
    }
}

impl Limits {
    /// Notes values that no gateway could work with.
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        let mut at_least = |key: &str, value: u64, least: u64, unit: &str| {
            if value < least {
                problems.error(
                    &format!("limits.{key}"),
                    format_args!("{value}{unit} is too small"),
                    format_args!("the least is {least}{unit}"),
                );
            }
        };
        // A login with a temporary key does not fit in less.
        at_least(
            "frame-before-login",
            self.frame_before_login_bytes_max as u64,
            4 << 10,
            " bytes",
        );
        at_least(
            "frame-before-proof",
            self.frame_before_proof_bytes_max as u64,
            self.frame_before_login_bytes_max as u64,
            " bytes",
        );
        at_least(
            "frame",
            self.frame_bytes_max as u64,
            self.frame_before_proof_bytes_max as u64,
            " bytes",
        );
        // Agents send up to 1 MB by default.
        at_least(
            "decompressed",
            self.decompressed_bytes_max as u64,
            1 << 20,
            " bytes",
        );
        at_least(
            "records-per-batch",
            self.records_per_batch_max as u64,
            1,
            "",
        );
        at_least(
            "in-flight",
            self.in_flight_bytes_max,
            self.frame_bytes_max as u64,
            " bytes",
        );
        at_least(
            "requests-per-connection",
            self.requests_per_connection_max as u64,
            1,
            "",
        );
        at_least("connections", self.connections_max as u64, 1, "");
        at_least(
            "connections-per-address",
            self.connections_per_address_max as u64,
            1,
            "",
        );
        at_least(
            "connections-per-project",
            self.connections_per_project_max as u64,
            1,
            "",
        );
        at_least("handshakes", self.handshakes_max as u64, 1, "");
        let seconds = Duration::as_secs;
        at_least(
            "handshake-timeout",
            seconds(&self.handshake_timeout),
            1,
            " s",
        );
        at_least("login-timeout", seconds(&self.login_timeout), 1, " s");
        at_least("idle-timeout", seconds(&self.idle_timeout), 600, " s");
        at_least("body-rate-window", seconds(&self.body_rate_window), 1, " s");
    }
}
