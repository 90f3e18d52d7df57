//! CLUSTER, READONLY, READWRITE, ASKING and MODULE: what a server answers that is no node of a cluster and has no
//! modules.

use super::{Context, Refusal, unknown_subcommand};
use crate::effect::LogLevel;
use crate::resp::Args;

const NO_CLUSTER: Refusal = Refusal::Fixed("ERR This instance has cluster support disabled");

/// `CLUSTER …`, `READONLY` and `ASKING`: refused outside a cluster.
pub(crate) fn refused(_cx: &mut Context<'_>, _args: &Args<'_>) -> Result<(), Refusal> {
    Err(NO_CLUSTER)
}

/// `READWRITE`: does nothing, and is not refused outside a cluster.
pub(crate) fn readwrite(cx: &mut Context<'_>, _args: &Args<'_>) -> Result<(), Refusal> {
    cx.reply().ok();
    Ok(())
}

/// `MODULE LIST|LOAD|UNLOAD|HELP`: there are none, and none can be loaded.
pub(crate) fn module(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    const HELP: [&str; 4] = [
        "MODULE <subcommand> arg arg ... arg. Subcommands are:",
        "LIST -- Return a list of loaded modules.",
        "LOAD <path> [arg ...] -- Load a module library from <path>.",
        "UNLOAD <name> -- Unload a module.",
    ];
    if args.len() == 2 && args.is(1, "help") {
        cx.reply().lines(HELP.into_iter());
        Ok(())
    } else if args.len() >= 3 && args.is(1, "load") {
        let path = String::from_utf8_lossy(&args[2]).into_owned();
        cx.server.log(LogLevel::Warning, format!("Module {path} failed to load: native modules are not supported"));
        Err("ERR Error loading the extension. Please check the server logs.".into())
    } else if args.len() == 3 && args.is(1, "unload") {
        Err("ERR Error unloading module: no such module with that name".into())
    } else if args.len() == 2 && args.is(1, "list") {
        cx.reply().array(0);
        Ok(())
    } else {
        Err(unknown_subcommand("MODULE", &args[1], "."))
    }
}
