//! Arguments → command → exit code.

use std::process::ExitCode;

use clap::Parser;
use sluice::cli;

/// Requests of very different sizes are freed by other threads than those that made them, where the system's allocator
/// keeps much memory for long.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    match cli::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("sluice: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
