//! The command line: parses arguments, calls the crates that do the work, and maps results to exit codes.
//!
//! 0 = holds, 1 = a deviation or damage was found, 2 = could not run.

use std::process::ExitCode;

use clap::Parser;

/// Specification, model, engine and checker of the Redis 5 data store.
#[derive(Parser)]
#[command(version, about, subcommand_required = true, arg_required_else_help = true)]
struct CommandLine {}

fn main() -> ExitCode {
    let CommandLine {} = CommandLine::parse();
    ExitCode::SUCCESS
}
