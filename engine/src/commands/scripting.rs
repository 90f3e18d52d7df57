//! EVAL, EVALSHA, SCRIPT.

use super::{Context, Refusal, unknown_subcommand};
use crate::faults::{self, Fault};
use crate::number::parse_i64;
use crate::propagation::Targets;
use crate::resp::Args;
use crate::scripting::{self, HandedOn, Sha};

const NO_SCRIPT: Refusal = Refusal::Fixed("NOSCRIPT No matching script. Please use EVAL.");

const HELP: &[&str] = &[
    "SCRIPT <subcommand> arg arg ... arg. Subcommands are:",
    "DEBUG (yes|sync|no) -- Set the debug mode for subsequent scripts executed.",
    "EXISTS <sha1> [<sha1> ...] -- Return information about the existence of the scripts in the script cache.",
    "FLUSH -- Flush the Lua scripts cache. Very dangerous on replicas.",
    "KILL -- Kill the currently executing Lua script.",
    "LOAD <script> -- Load a script into the scripts cache, without executing it.",
];

/// `EVAL script numkeys key… arg…`.
pub(crate) fn eval(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let keys = keys(args)?;
    let sha = cx.server.scripting.load(&args[1])?;
    scripting::run(cx, &sha, args.between(3, 3 + keys), args.from(3 + keys))?;
    Ok(())
}

/// `EVALSHA sha1 numkeys key… arg…`.
pub(crate) fn evalsha(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let sha = Sha::spelled(&args[1]).ok_or(NO_SCRIPT)?;
    let keys = keys(args)?;
    if !cx.server.scripting.knows(&sha) {
        return Err(NO_SCRIPT);
    }
    let handed_on = scripting::run(cx, &sha, args.between(3, 3 + keys), args.from(3 + keys))?;
    if let HandedOn::Itself(targets) = handed_on
        && !faults::is(Fault::ScriptNameIsNotExplained)
        && let Some(text) = cx.server.scripting.text_to_hand_on(&sha)
    {
        // Who hears of it for the first time does not know the script by its name.
        cx.server.propagation.reset();
        for (target, runs) in [(Targets::AOF, targets.aof), (Targets::REPLICAS, targets.replicas)] {
            if runs {
                let rest: Vec<&[u8]> = args.iter().skip(2).collect();
                cx.propagate_instead(target, &[&[b"EVAL".as_slice(), &text], rest.as_slice()].concat());
            } else {
                cx.propagate_instead(target, &[b"SCRIPT", b"LOAD", &text]);
            }
        }
    }
    Ok(())
}

/// How many of the arguments are keys.
fn keys(args: &Args<'_>) -> Result<usize, Refusal> {
    let keys = parse_i64(&args[2]).ok_or(Refusal::NOT_AN_INTEGER)?;
    if keys < 0 {
        return Err("ERR Number of keys can't be negative".into());
    }
    match usize::try_from(keys) {
        Ok(keys) if keys <= args.len() - 3 => Ok(keys),
        _ => Err("ERR Number of keys can't be greater than number of args".into()),
    }
}

/// `SCRIPT LOAD|EXISTS|FLUSH|KILL|DEBUG|HELP`.
pub(crate) fn script(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    match (args[1].to_ascii_lowercase().as_slice(), args.len()) {
        (b"help", 2) => cx.reply().lines(HELP.iter().copied()),
        (b"flush", 2) => {
            cx.server.scripting.flush();
            cx.propagate_as_it_came(Targets::ALL);
            cx.reply().ok();
        }
        (b"exists", _) => {
            cx.reply().array(args.len() - 2);
            for name in args.iter().skip(2) {
                let known = Sha::spelled(name).is_some_and(|sha| cx.server.scripting.knows(&sha));
                cx.reply().integer(i64::from(known));
            }
        }
        (b"load", 3) => {
            let sha = cx.server.scripting.load(&args[2])?;
            cx.propagate_as_it_came(Targets::ALL);
            cx.reply().bulk(sha.bytes());
        }
        (b"kill", 2) => {
            cx.server.scripting.kill()?;
            cx.reply().ok();
        }
        (b"debug", 3) => match args[2].to_ascii_lowercase().as_slice() {
            b"no" => cx.reply().ok(),
            b"yes" | b"sync" => return Err("ERR There is no script debugger".into()),
            _ => return Err("ERR Use SCRIPT DEBUG yes/sync/no".into()),
        },
        _ => return Err(unknown_subcommand("SCRIPT", &args[1], ".")),
    }
    Ok(())
}
