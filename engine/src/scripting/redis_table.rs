//! The table `redis`: all of its functions but `call` and `pcall`, which end with the script ([`super::call`]).

use std::rc::Rc;

use mlua::{Lua, MultiValue, Table, Value};

use super::call::complaint;
use super::hexadecimal;
use super::raise::raise;
use super::state::ScriptState;
use crate::effect::LogLevel;
use crate::propagation::Targets;

/// The numbers by which scripts name the levels of the log.
const LEVELS: [(&str, LogLevel); 4] = [
    ("LOG_DEBUG", LogLevel::Debug),
    ("LOG_VERBOSE", LogLevel::Verbose),
    ("LOG_NOTICE", LogLevel::Notice),
    ("LOG_WARNING", LogLevel::Warning),
];

/// The numbers by which scripts name who is told of their effects.
const TARGETS: [(&str, i64); 5] =
    [("REPL_NONE", 0), ("REPL_AOF", 1), ("REPL_SLAVE", 2), ("REPL_REPLICA", 2), ("REPL_ALL", 3)];

/// Makes the table.
pub(super) fn create(lua: &Lua, state: &Rc<ScriptState>) -> mlua::Result<Table> {
    let redis = lua.create_table()?;
    for (number, (name, _)) in LEVELS.iter().enumerate() {
        redis.raw_set(*name, number)?;
    }
    for (name, number) in TARGETS {
        redis.raw_set(name, number)?;
    }
    let of_script = Rc::clone(state);
    redis.raw_set("log", lua.create_function(move |lua, arguments| log(lua, &of_script, arguments))?)?;
    redis.raw_set("sha1hex", lua.create_function(sha1hex)?)?;
    redis.raw_set("error_reply", lua.create_function(|lua, arguments| one_field(lua, "err", arguments))?)?;
    redis.raw_set("status_reply", lua.create_function(|lua, arguments| one_field(lua, "ok", arguments))?)?;
    let of_script = Rc::clone(state);
    let replicate_commands = lua.create_function(move |_, _: MultiValue| {
        let in_time = !of_script.wrote.get();
        if in_time {
            of_script.replicates_effects.set(true);
        }
        Ok(in_time)
    })?;
    redis.raw_set("replicate_commands", replicate_commands)?;
    let of_script = Rc::clone(state);
    redis.raw_set("set_repl", lua.create_function(move |lua, arguments| set_repl(lua, &of_script, arguments))?)?;
    // There is no debugger that would stop at one.
    redis.raw_set("breakpoint", lua.create_function(|_, _: MultiValue| Ok(false))?)?;
    redis.raw_set("debug", lua.create_function(|_, _: MultiValue| Ok(()))?)?;
    Ok(redis)
}

fn log(lua: &Lua, state: &ScriptState, arguments: MultiValue) -> mlua::Result<()> {
    if arguments.len() < 2 {
        return Err(raise("redis.log() requires two arguments or more."));
    }
    let mut arguments = arguments.into_iter();
    let level = arguments.next().unwrap_or(Value::Nil);
    let Some(level) = lua.coerce_number(level)? else {
        return Err(raise("First argument must be a number (log level)."));
    };
    let level = usize::try_from(level as i64).ok().and_then(|level| LEVELS.get(level));
    let Some(&(_, level)) = level else {
        return Err(raise("Invalid debug level."));
    };
    if level < state.verbosity.get() {
        return Ok(());
    }
    let mut text = Vec::new();
    for (place, argument) in arguments.enumerate() {
        if let Some(piece) = lua.coerce_string(argument)? {
            if place > 0 {
                text.push(b' ');
            }
            text.extend_from_slice(&piece.as_bytes());
        }
    }
    state.log.borrow_mut().push((level, String::from_utf8_lossy(&text).into_owned()));
    Ok(())
}

fn sha1hex(lua: &Lua, arguments: MultiValue) -> mlua::Result<mlua::LuaString> {
    if arguments.len() != 1 {
        return Err(raise("wrong number of arguments"));
    }
    let text = lua.coerce_string(arguments.front().cloned().unwrap_or(Value::Nil))?;
    lua.create_string(hexadecimal(&text.map(|text| text.as_bytes().to_vec()).unwrap_or_default()))
}

/// A table whose only field is the string given, or the complaint that it is none.
fn one_field(lua: &Lua, field: &str, arguments: MultiValue) -> mlua::Result<Table> {
    match arguments.front() {
        Some(Value::String(text)) if arguments.len() == 1 => {
            let table = lua.create_table()?;
            table.raw_set(field, text)?;
            Ok(table)
        }
        _ => complaint(lua, b"wrong number or type of arguments"),
    }
}

fn set_repl(lua: &Lua, state: &ScriptState, arguments: MultiValue) -> mlua::Result<()> {
    if !state.replicates_effects.get() {
        return Err(raise(
            "You can set the replication behavior only after turning on single commands replication with \
             redis.replicate_commands().",
        ));
    }
    if arguments.len() != 1 {
        return Err(raise("redis.set_repl() requires two arguments."));
    }
    let number = lua.coerce_number(arguments.front().cloned().unwrap_or(Value::Nil))?.unwrap_or(0.0) as i64;
    if !(0..=3).contains(&number) {
        return Err(raise("Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE."));
    }
    state.targets.set(Targets { aof: number & 1 != 0, replicas: number & 2 != 0 });
    Ok(())
}
