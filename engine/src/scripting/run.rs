//! Runs a script from its beginning to its reply.

use std::cell::RefCell;

use mlua::MultiValue;

use super::call::Running;
use super::slow::Patience;
use super::{Sha, raise, reply};
use crate::commands::{self, Context, Refusal};
use crate::faults::{self, Fault};
use crate::propagation::{Cause, Held, Targets};
use crate::resp::{Args, Output, OwnedArgs};

/// How a script is handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HandedOn {
    /// By what its commands did, which has been done.
    Effects,
    /// As the command that ran it, to those whom its commands would have been handed on to.
    Itself(Targets),
}

/// Runs a script that is known, with these keys and arguments, and writes its reply.
pub(crate) fn run(cx: &mut Context<'_>, sha: &Sha, keys: Args<'_>, arguments: Args<'_>) -> Result<HandedOn, Refusal> {
    let scripting = &mut cx.server.scripting;
    let environment = scripting.environment()?;
    let Some(script) = scripting.scripts.get(sha) else {
        return Err("NOSCRIPT No matching script. Please use EVAL.".into());
    };
    let function = script.function.clone();
    let state = &environment.state;
    // What comes as a script from a file came as one from whoever wrote it.
    let replicates_effects = scripting.replicates_effects && !cx.server.loading;
    state.begin(replicates_effects, cx.server.config.loglevel);
    cx.server.propagation.held = (!replicates_effects).then(Vec::new);
    let db = cx.client.db;
    let began_us = cx.server.clock.now_us;
    let out_of_memory = cx.server.was_short_of_memory();
    let lua = &environment.lua;
    let strings = |arguments: Args<'_>| {
        let strings: mlua::Result<Vec<_>> = arguments.iter().map(|text| lua.create_string(text)).collect();
        lua.create_sequence_from(strings?)
    };
    let outcome = strings(keys).and_then(|keys| {
        let globals = lua.globals();
        globals.raw_set("KEYS", keys)?;
        globals.raw_set("ARGV", strings(arguments)?)
    });
    let outcome = outcome.and_then(|()| {
        let running = RefCell::new(Running {
            cx: &mut *cx,
            state,
            db,
            out_of_memory,
            arguments: OwnedArgs::default(),
            output: Output::default(),
            scratch: Vec::new(),
            patience: Patience::new(began_us),
        });
        let outcome = lua.scope(|scope| {
            for (name, raises) in [("call", true), ("pcall", false)] {
                let running = &running;
                let function = scope.create_function(move |lua, values: MultiValue| {
                    // A command runs no Lua, so no call begins within another.
                    let mut running = running.try_borrow_mut().map_err(|_| raise::raise("nested call"))?;
                    running.call(lua, &values, raises)
                })?;
                environment.redis.raw_set(name, function)?;
            }
            let goes_on = scope.create_function(|_, ()| {
                // It is asked by Lua's code, which does not run while a command does.
                Ok(running.try_borrow_mut().is_ok_and(|mut running| running.goes_on()))
            })?;
            state.goes_on.replace(Some(goes_on));
            environment.run(&function)
        });
        running.into_inner().end();
        outcome
    });
    state.goes_on.take();
    if !faults::is(Fault::ScriptKeepsDatabase) {
        cx.client.db = db;
    }
    let wrapped = state.wrapped.get();
    for (level, text) in state.log.borrow_mut().drain(..) {
        cx.server.log(level, text);
    }
    match outcome {
        Ok(Ok(value)) => reply::write(&mut cx.reply(), &value),
        Ok(Err(text)) => write_error(cx, sha, &text),
        Err(error) => write_error(cx, sha, &raise::words(&error)),
    }
    if wrapped {
        cx.server.hand_on_for(Cause::Wrapping, Targets::ALL, db, [&b"EXEC"[..]].into_iter());
    }
    cx.server.propagation.reset();
    let held = cx.server.propagation.held.take().unwrap_or_default();
    let by_effects =
        state.replicates_effects.get() || state.rewritten.get() && !faults::is(Fault::ScriptChanceIsRepeated);
    let mut targets = Targets::NONE;
    for Held { cause, command } in held {
        if by_effects || cause == Cause::Expiry {
            let arguments = command.arguments.iter().map(Vec::as_slice);
            cx.server.hand_on_for(cause, command.targets, command.db, arguments);
        } else if cause == Cause::Command {
            targets = targets.or(command.targets);
        }
    }
    if by_effects {
        cx.server.propagation.nothing();
        return Ok(HandedOn::Effects);
    }
    cx.propagate_as_it_came(targets);
    Ok(HandedOn::Itself(targets))
}

fn write_error(cx: &mut Context<'_>, sha: &Sha, text: &[u8]) {
    let begin: &[u8] = b"ERR Error running script (call to f_";
    let text = [begin, sha.bytes(), b"): ", commands::until_nul(text), b"\n"].concat();
    cx.reply().error(&text);
}
