//! The command line: which command, its options, and what a failure says. What a command does stands in a file of its own.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::ConfigError;
use crate::telemetry::TelemetryError;

mod authority;
mod check;
mod dev;
pub mod logs;
pub mod serve;
mod snippets;

/// A Kafka-protocol ingestion gateway for a Log Service.
///
/// Exit codes: 0 all went well, 1 something failed while running, 2 the usage or the configuration is wrong.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(ServeArguments),
    Dev(DevArguments),
    Check(CheckArguments),
    Logs(logs::LogsArguments),
}

/// Run the gateway.
///
/// SIGTERM or Ctrl-C stops it after the requests under way are answered; a second one stops it at once.
#[derive(Debug, Args)]
pub struct ServeArguments {
    /// The configuration; config/sluice.toml documents every key.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Run a gateway to try things out: no configuration needed.
///
/// The first start makes DIR with a configuration, a certificate authority that vouches only for this machine's own names,
/// a server certificate, a project, a key and a Logstore. Later starts use them again.
#[derive(Debug, Args)]
pub struct DevArguments {
    /// Where everything is kept.
    #[arg(long, value_name = "DIR", default_value = dev::DIR)]
    dir: PathBuf,
    /// Listen on this address. Off loopback, the published secret is replaced by a random one.
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<IpAddr>,
    /// The internet listener's port; the intranet listener takes the one before it. 0: any free ones.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// A further name or address by which clients dial this machine; may be repeated. The certificate names it, and clients
    /// are told to come back to the first one.
    #[arg(long, value_name = "HOST")]
    host: Vec<String>,
}

/// Say what is wrong with a configuration and its certificates, and where.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// The configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// How output is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
}

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error("the configuration cannot be used:\n{0}")]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error("{0}")]
    Runtime(String),
}

impl Failure {
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Runtime(_) => 1,
            Self::Usage(_) | Self::Config(_) | Self::Telemetry(_) => 2,
        }
    }
}

/// Carries a command out.
pub fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Dev(arguments) => dev::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Logs(arguments) => logs::run(&arguments),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn bad_usage_and_bad_configuration_exit_with_2_and_the_rest_with_1() {
        assert_eq!(Failure::Usage(String::new()).exit_code(), 2);
        assert_eq!(Failure::Config(ConfigError(Vec::new())).exit_code(), 2);
        assert_eq!(Failure::Runtime(String::new()).exit_code(), 1);
        let error = Arguments::try_parse_from(["sluice", "serve"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }
}
