//! MODULE on a server without modules.

use super::container::{help, unknown_subcommand};
use crate::call::Call;
use crate::clause::Clause;
use crate::plan::{Plan, Refusal};
use crate::reply::Reply;

/// [MODULE-1] to [MODULE-4]
pub(crate) fn module(call: &Call<'_>) -> Result<Plan, Refusal> {
    let name = call.args[1].to_ascii_lowercase();
    match (name.as_slice(), call.args.len()) {
        (b"help", 2) => Ok(Plan::new(Clause::CLIENT_28, help("MODULE"))),
        (b"list", 2) => Ok(Plan::reply(Clause::MODULE_1, Reply::Array(Vec::new()))),
        (b"load", 3..) => {
            let line = "ERR Error loading the extension. Please check the server logs.";
            Err(Refusal::new(Clause::MODULE_2, line))
        }
        (b"unload", 3) => {
            let line = "ERR Error unloading module: no such module with that name";
            Err(Refusal::new(Clause::MODULE_3, line))
        }
        _ => Err(unknown_subcommand(Clause::MODULE_4, call.args[1], "MODULE HELP.")),
    }
}
