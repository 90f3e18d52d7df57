//! The command line: parses arguments, calls the crates that do the work, and maps results to exit codes.
//!
//! 0 = holds, 1 = a deviation or damage was found, 2 = could not run.

mod aof;
mod check;
mod rdb;
mod replay;
mod serve;
mod spec;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Counts what is allocated, for `used_memory`.
#[global_allocator]
static ALLOCATOR: tally_server::CountingAllocator = tally_server::CountingAllocator;

/// Specification, model, engine and checker of the Redis 5 data store.
#[derive(Parser)]
#[command(version, about, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(check::Check),
    Replay(replay::Replay),
    Aof(aof::Aof),
    Rdb(rdb::Rdb),
    Serve(serve::Serve),
    Spec(spec::Spec),
}

fn main() -> ExitCode {
    match CommandLine::parse().command {
        Command::Check(check) => check.run(),
        Command::Replay(replay) => replay.run(),
        Command::Aof(aof) => aof.run(),
        Command::Rdb(rdb) => rdb.run(),
        Command::Serve(serve) => serve.run(),
        Command::Spec(spec) => spec.run(),
    }
}
