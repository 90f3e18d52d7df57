//! CONFIG: the settings, read and changed at run time.

use super::{Context, Refusal, unknown_subcommand, until_nul};
use crate::client::Waiting;
use crate::config::{DIRECTIVES, SetError};
use crate::effect::Effect;
use crate::glob::{self, Case};
use crate::number::parse_i64;
use crate::resp::Args;

const HELP: [&str; 5] = [
    "CONFIG <subcommand> arg arg ... arg. Subcommands are:",
    "GET <pattern> -- Return parameters matching the glob-like <pattern> and their values.",
    "SET <parameter> <value> -- Set parameter to value.",
    "RESETSTAT -- Reset statistics reported by INFO.",
    "REWRITE -- Rewrite the configuration file.",
];

/// Directives whose change at run time the driver has to act on.
const DRIVERS: [&str; 6] = ["dir", "hz", "loglevel", "maxclients", "protected-mode", "tcp-keepalive"];

/// `CONFIG GET pattern`, `CONFIG SET name value`, `CONFIG RESETSTAT`, `CONFIG REWRITE`, `CONFIG HELP`.
pub(crate) fn config(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    // An append-only file would begin with what is loaded so far. [LOADING-4]
    if cx.server.loading && !args.is(1, "get") {
        return Err("ERR Only CONFIG GET is allowed during loading".into());
    }
    match args.len() {
        2 if args.is(1, "help") => cx.reply().lines(HELP.into_iter()),
        3 if args.is(1, "get") => get(cx, &args[2]),
        4 if args.is(1, "set") => return set(cx, &args[2], &args[3]),
        2 if args.is(1, "resetstat") => {
            cx.server.stats.reset();
            cx.server.aof.delayed_syncs = 0;
            cx.reply().ok();
        }
        2 if args.is(1, "rewrite") => {
            if cx.server.config.config_file.is_empty() {
                return Err("ERR The server is running without a config file".into());
            }
            cx.server.effects.push(Effect::RewriteConfig);
            cx.wait(Waiting::ConfigRewrite);
        }
        _ => return Err(unknown_subcommand("CONFIG", &args[1], ".")),
    }
    Ok(())
}

fn get(cx: &mut Context<'_>, pattern: &[u8]) {
    let selects = |name: &str| glob::matches(pattern, name.as_bytes(), Case::Insensitive);
    let mut found = 0;
    let mut reply = cx.client.reply();
    let place = reply.later_array();
    for directive in DIRECTIVES {
        if !directive.shown {
            continue;
        }
        // One line answers to both names of the primary, under the old one if the pattern selects it.
        let name = match directive.name {
            "slaveof" if !selects("slaveof") => "replicaof",
            name => name,
        };
        if selects(name) {
            reply.bulk(name.as_bytes());
            reply.bulk(&directive.printed(&cx.server.config));
            found += 2;
        }
    }
    reply.set_array(place, found);
}

fn set(cx: &mut Context<'_>, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
    if name.eq_ignore_ascii_case(b"maxclients") {
        check_open_files(cx, value)?;
    }
    let changed = if name.eq_ignore_ascii_case(b"dir") {
        let absolute =
            cx.world.change_directory(value).map_err(|reason| format!("ERR Changing directory: {reason}"))?;
        cx.server.config.set(name, &absolute)
    } else {
        cx.server.config.set(name, value)
    };
    let directive = changed.map_err(|error| refusal(error, name, value))?;
    let directive = directive.name;
    match directive {
        "appendonly" => cx.server.switch_aof(),
        // Whether that was enough is told to who writes next.
        "maxmemory" => _ = cx.server.make_room(cx.world, cx.client),
        _ => {}
    }
    if DRIVERS.contains(&directive) {
        cx.server.effects.push(Effect::ConfigChanged { directive });
    }
    cx.reply().ok();
    Ok(())
}

/// Each connection takes a descriptor, and the process some for itself; more clients than that cannot be served.
fn check_open_files(cx: &Context<'_>, value: &[u8]) -> Result<(), Refusal> {
    const RESERVED: i64 = 32;
    let limit = cx.world.process_fact("open_files_limit").and_then(|text| text.parse::<u64>().ok());
    let Some((limit, wanted)) = limit.zip(parse_i64(value)) else { return Ok(()) };
    let most = i64::try_from(limit).unwrap_or(i64::MAX).saturating_sub(RESERVED).max(1);
    if wanted > most && wanted <= i64::from(i32::MAX) {
        let text =
            format!("ERR The operating system is not able to handle the specified number of clients, try with {most}");
        return Err(text.into());
    }
    Ok(())
}

fn refusal(error: SetError, name: &[u8], value: &[u8]) -> Refusal {
    match error {
        SetError::Unsupported => [b"ERR Unsupported CONFIG parameter: ", until_nul(name)].concat().into(),
        SetError::Invalid => {
            let (value, name) = (until_nul(value), until_nul(name));
            [b"ERR Invalid argument '", value, b"' for CONFIG SET '", name, b"'"].concat().into()
        }
        SetError::DbfilenameIsPath => "ERR dbfilename can't be a path, just a filename".into(),
    }
}
