//! `tally serve`: the engine as a server.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Args;

/// Serves the dataset to RESP clients, as redis-server 5.0 does.
///
/// Every directive of redis.conf can be given as an option: `tally serve redis.conf --port 7000 --save 60 1`.
#[derive(Args)]
#[command(override_usage = "tally serve [redis.conf | -] [--DIRECTIVE VALUE...]...")]
pub(crate) struct Serve {
    /// A configuration file, or `-` for standard input; then directives as options.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<OsString>,
}

impl Serve {
    pub(crate) fn run(&self) -> ExitCode {
        ExitCode::from(tally_server::serve(&self.arguments))
    }
}
