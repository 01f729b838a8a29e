//! What the gateway writes about itself, to standard error. What is worth an event is each module's to say.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat};

/// The environment variable that wins over the configuration's filter.
pub const FILTER_VARIABLE: &str = "SLUICE_LOG";

/// Why events cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error(
        "cannot read {FILTER_VARIABLE}: {0}; write a level or target=level, separated by commas"
    )]
    Filter(String),
    #[error("events are written already: {0}")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// Starts writing events as the configuration says. Once per process.
pub fn init(log: &Log) -> Result<(), TelemetryError> {
    let filter = filter(log, std::env::var(FILTER_VARIABLE).ok())?;
    let events = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match log.format {
        LogFormat::Text => events.finish().try_init()?,
        LogFormat::Json => events.json().flatten_event(true).finish().try_init()?,
    }
    Ok(())
}

fn filter(log: &Log, variable: Option<String>) -> Result<EnvFilter, TelemetryError> {
    let text = variable
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| log.filter.clone());
    EnvFilter::builder()
        .parse(&text)
        .map_err(|error| TelemetryError::Filter(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_wins_over_the_configuration_unless_empty() {
        let log = Log {
            filter: "warn".into(),
            ..Log::default()
        };
        let check = |variable: Option<&str>, expected| {
            let filter = filter(&log, variable.map(str::to_owned)).unwrap();
            assert_eq!(filter.to_string(), expected);
        };
        check(None, "warn");
        check(Some(""), "warn");
        check(Some("sluice=debug"), "sluice=debug");
    }

    #[test]
    fn a_bad_filter_is_refused() {
        assert!(filter(&Log::default(), Some("sluice=loud".into())).is_err());
    }
}
