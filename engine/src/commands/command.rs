//! COMMAND: what the command table says of itself.

use super::table::{COMMANDS, Command, FLAG_NAMES, MOVABLEKEYS};
use super::{Context, Refusal, movable_keys, unknown_subcommand};
use crate::resp::{Args, Reply};

/// `COMMAND [COUNT | INFO name… | GETKEYS command… | HELP]`.
pub(crate) fn command(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    const HELP: [&str; 5] = [
        "COMMAND <subcommand> arg arg ... arg. Subcommands are:",
        "(no subcommand) -- Return details about all Redis commands.",
        "COUNT -- Return the total number of commands in this Redis server.",
        "GETKEYS <full-command> -- Return the keys from a full Redis command.",
        "INFO [command-name ...] -- Return details about multiple Redis commands.",
    ];
    if args.len() == 1 {
        let renames = &cx.server.renames;
        let present: Vec<&Command> =
            COMMANDS.iter().enumerate().filter(|(index, _)| renames.is_present(*index)).map(|(_, one)| one).collect();
        let mut reply = cx.reply();
        reply.array(present.len());
        for one in present {
            describe(&mut reply, one);
        }
    } else if args.len() == 2 && args.is(1, "help") {
        cx.reply().lines(HELP.into_iter());
    } else if args.is(1, "info") {
        let found: Vec<Option<usize>> = args.iter().skip(2).map(|name| cx.server.renames.find(name)).collect();
        let mut reply = cx.reply();
        reply.array(found.len());
        for index in found {
            match index {
                Some(index) => describe(&mut reply, &COMMANDS[index]),
                None => reply.nil(),
            }
        }
    } else if args.len() == 2 && args.is(1, "count") {
        let renames = &cx.server.renames;
        let count = (0..COMMANDS.len()).filter(|&index| renames.is_present(index)).count();
        cx.reply().count(count);
    } else if args.len() >= 3 && args.is(1, "getkeys") {
        return keys(cx, args);
    } else {
        return Err(unknown_subcommand("COMMAND", &args[1], "."));
    }
    Ok(())
}

/// One command as COMMAND shows it.
fn describe(reply: &mut Reply<'_>, command: &Command) {
    reply.array(6);
    reply.bulk(command.name.as_bytes());
    reply.integer(i64::from(command.arity));
    let flags = FLAG_NAMES.iter().filter(|(flag, _)| command.has(*flag));
    reply.array(flags.clone().count());
    for (_, name) in flags {
        reply.status(name);
    }
    reply.integer(i64::from(command.first_key));
    reply.integer(i64::from(command.last_key));
    reply.integer(i64::from(command.step));
}

/// `COMMAND GETKEYS command…`.
fn keys(cx: &mut Context<'_>, args: &Args<'_>) -> Result<(), Refusal> {
    let request = args.from(2);
    let command = cx.server.renames.find(&request[0]).map(|index| &COMMANDS[index]);
    let command = command.ok_or("ERR Invalid command specified")?;
    if command.first_key == 0 && !command.has(MOVABLEKEYS) {
        return Err("ERR The command has no key arguments".into());
    }
    if !command.accepts(request.len()) {
        return Err("ERR Invalid number of arguments specified for command".into());
    }
    // A key behind the end of what the arity allows.
    if usize::try_from(command.last_key).is_ok_and(|last| last >= request.len()) {
        return Err("ERR Invalid arguments specified for command".into());
    }
    let places = movable_keys::places(command, &request).ok_or("ERR Invalid arguments specified for command")?;
    let mut reply = cx.reply();
    reply.array(places.len());
    for place in places {
        reply.bulk(request.get(place).unwrap_or_default());
    }
    Ok(())
}
