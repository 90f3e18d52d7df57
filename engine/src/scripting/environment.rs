//! The Lua state of scripts: which libraries there are, and what keeps scripts apart from each other and from the
//! process.
//!
//! Invariant: no script holds a function that loads Lua's bytecode, opens a file or ends the process.

use std::rc::Rc;

use mlua::debug::DebugSource;
use mlua::{Function, Lua, LuaOptions, LuaString, MultiValue, StdLib, Table, Value};

use super::raise::{self, Raised, position};
use super::state::ScriptState;
use super::{Sha, bits, json, message_pack, packing, random, redis_table, slow};

/// Bytes that the Lua state may take: a script that wants more is told so, and the process lives.
const MEMORY_MAX: usize = 1024 * 1024 * 1024;

/// The name under which error messages know scripts.
const SCRIPT_CHUNK: &str = "@user_script";
/// The name of the chunk below; the frames of its functions are as good as those of C functions.
const PRELUDE_CHUNK: &str = "=[C]";

/// The functions that catch errors. They are Lua and not Rust so that a script's calls nest as deep as with Lua's own.
const PRELUDE: &str = r"
local pcall, xpcall, resume, select, value_expected, plain, text_only = ...
local function settle(ok, ...)
    if ok then return true, ... end
    return false, plain((...))
end
return function(...)
    if select('#', ...) == 0 then return value_expected() end
    return settle(pcall(...))
end, function(f, handler)
    return settle(xpcall(f, function(err) return handler(plain(err)) end))
end, function(...)
    return settle(resume(...))
end, function(reader)
    local begun = false
    return function()
        local piece = reader()
        if not begun then
            begun = true
            text_only(piece)
        end
        return piece
    end
end
";

/// A Lua state made ready for scripts.
pub(super) struct Environment {
    pub(super) lua: Lua,
    pub(super) state: Rc<ScriptState>,
    /// The table `redis`.
    pub(super) redis: Table,
    /// Lua's own xpcall.
    xpcall: Function,
    /// Lua's own loadstring.
    loadstring: Function,
    /// Adds the place to what a script raises.
    handler: Function,
}

impl Environment {
    pub(super) fn new() -> mlua::Result<Environment> {
        let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH;
        let lua = Lua::new_with(libraries, LuaOptions::default())?;
        lua.set_memory_limit(MEMORY_MAX)?;
        let globals = lua.globals();
        let state = Rc::new(ScriptState::default());
        let xpcall: Function = globals.raw_get("xpcall")?;
        let loadstring: Function = globals.raw_get("loadstring")?;
        install_catching(&lua, &globals, &state)?;
        for gone in ["dofile", "loadfile"] {
            globals.raw_set(gone, Value::Nil)?;
        }
        random::install(&lua, &globals.raw_get("math")?, &state)?;
        globals.raw_set("bit", bits::create(&lua)?)?;
        globals.raw_set("cjson", json::create(&lua)?)?;
        globals.raw_set("cmsgpack", message_pack::create(&lua)?)?;
        globals.raw_set("struct", packing::create(&lua)?)?;
        let redis = redis_table::create(&lua, &state)?;
        globals.raw_set("redis", &redis)?;
        protect_globals(&lua, &globals)?;
        forget_libraries(&lua)?;
        slow::watch(&lua, &state)?;
        let handler = lua.create_function(|lua, error: Value| add_place(lua, &error))?;
        Ok(Environment { lua, state, redis, xpcall, loadstring, handler })
    }

    /// Compiles a script; its function is a global variable, as scripts may know.
    pub(super) fn compile(&self, sha: &Sha, text: &[u8]) -> Result<Function, Vec<u8>> {
        let name = [b"f_", sha.bytes()].concat();
        let chunk = [b"function ", name.as_slice(), b"() ", text, b"\nend"].concat();
        self.define(&name, &chunk).map_err(|error| raise::words(&error))?
    }

    fn define(&self, name: &[u8], chunk: &[u8]) -> mlua::Result<Result<Function, Vec<u8>>> {
        let (function, error): (Option<Function>, Option<LuaString>) =
            self.loadstring.call((self.lua.create_string(chunk)?, SCRIPT_CHUNK))?;
        let words = |what: &[u8], why: &[u8]| {
            [b"ERR Error ", what, b": ", super::super::commands::until_nul(why), b"\n"].concat()
        };
        let Some(function) = function else {
            let error = error.map(|error| error.as_bytes().to_vec()).unwrap_or_default();
            return Ok(Err(words(b"compiling script (new function)", &error)));
        };
        if let Err(error) = function.call::<()>(()) {
            return Ok(Err(words(b"running script (new function)", &raise::words(&error))));
        }
        let defined: Value = self.lua.globals().raw_get(self.lua.create_string(name)?)?;
        match defined {
            Value::Function(function) => Ok(Ok(function)),
            // The text ended the function and took its name away.
            _ => Ok(Err(words(b"running script (new function)", b"the script removed itself"))),
        }
    }

    /// Runs a function as a script: what it returned, or the words of what it raised.
    pub(super) fn run(&self, function: &Function) -> mlua::Result<Result<Value, Vec<u8>>> {
        let (held, value): (bool, Value) = self.xpcall.call((function, &self.handler))?;
        if held {
            return Ok(Ok(value));
        }
        Ok(Err(match &value {
            Value::String(text) => text.as_bytes().to_vec(),
            Value::Error(error) => raise::words(error),
            _ => b"(error object is not a string)".to_vec(),
        }))
    }
}

/// Replaces what catches errors, and what loads code.
fn install_catching(lua: &Lua, globals: &Table, state: &Rc<ScriptState>) -> mlua::Result<()> {
    let coroutine: Table = globals.raw_get("coroutine")?;
    let of_script = Rc::clone(state);
    let plain = lua.create_function(move |lua, value: Value| {
        let ends = raise::raised(&value).is_some_and(|raised| raised.ends_script);
        match value {
            Value::Error(error) if ends => Err(*error),
            // An error of the handler that saw the end of the script hides it.
            _ if of_script.ended.get() => Err(slow::killed()),
            other => raise::plain(lua, other),
        }
    })?;
    let text_only = lua.create_function(|lua, piece: Value| match piece {
        Value::String(text) if is_bytecode(&text.as_bytes()) => Err(raise::raise_here(lua, "bytecode is not allowed")),
        _ => Ok(()),
    })?;
    let chunk = lua.load(PRELUDE).set_name(PRELUDE_CHUNK);
    let (pcall, xpcall, resume, guarded): (Function, Function, Function, Function) = chunk.call((
        globals.raw_get::<Function>("pcall")?,
        globals.raw_get::<Function>("xpcall")?,
        coroutine.raw_get::<Function>("resume")?,
        globals.raw_get::<Function>("select")?,
        lua.create_function(raise::value_expected)?,
        plain,
        text_only,
    ))?;
    globals.raw_set("pcall", pcall)?;
    globals.raw_set("xpcall", xpcall)?;
    globals.raw_set("error", lua.create_function(raise::error)?)?;
    let original: Function = globals.raw_get("load")?;
    let load = move |lua: &Lua, arguments: MultiValue| raise::load(lua, &arguments, &original, &guarded);
    globals.raw_set("load", lua.create_function(load)?)?;
    coroutine.raw_set("resume", resume)?;
    let original: Function = globals.raw_get("loadstring")?;
    let loadstring = lua.create_function(move |lua, arguments: MultiValue| match arguments.front() {
        Some(Value::String(text)) if is_bytecode(&text.as_bytes()) => {
            let refusal = lua.create_string("bytecode is not allowed")?;
            Ok(MultiValue::from_iter([Value::Nil, Value::String(refusal)]))
        }
        _ => raise::loadstring(lua, arguments, &original),
    })?;
    globals.raw_set("loadstring", loadstring)
}

/// Whether a function on the stack is the prelude's, and not one of C, whose chunk has the same name.
pub(super) fn is_prelude(source: &DebugSource<'_>) -> bool {
    source.what != "C" && source.source.as_deref() == Some(PRELUDE_CHUNK)
}

/// Whether Lua would take this for a compiled chunk.
fn is_bytecode(chunk: &[u8]) -> bool {
    chunk.first() == Some(&0x1B)
}

/// Empties the registry's list of libraries. Nothing here asks for it but mlua, which looks all their functions through for the
/// name of each that stands on the stack when one of ours raises, and nobody reads what it makes of them.
fn forget_libraries(lua: &Lua) -> mlua::Result<()> {
    lua.set_named_registry_value("_LOADED", lua.create_table()?)
}

/// Makes scripts fail that use a global variable which is not there.
fn protect_globals(lua: &Lua, globals: &Table) -> mlua::Result<()> {
    // The places are those of Redis' own code, which clients find in error messages.
    let newindex = lua.create_function(|lua, (table, name, value): (Table, Value, Value)| {
        if !matches!(caller(lua), Some("main" | "C") | None) {
            return Err(refuse(lua, "create", &name, "@enable_strict_lua:8")?);
        }
        table.raw_set(name, value)
    })?;
    let index = lua.create_function(|lua, (_, name): (Value, Value)| {
        if !matches!(caller(lua), Some("C") | None) {
            return Err::<Value, _>(refuse(lua, "access nonexistent", &name, "@enable_strict_lua:15")?);
        }
        Ok(Value::Nil)
    })?;
    let metatable = lua.create_table()?;
    metatable.raw_set("__newindex", newindex)?;
    metatable.raw_set("__index", index)?;
    globals.set_metatable(Some(metatable))
}

/// What kind of function called the one that runs.
fn caller(lua: &Lua) -> Option<&'static str> {
    lua.inspect_stack(1, |debug| debug.source().what)
}

fn refuse(lua: &Lua, what: &str, name: &Value, origin: &'static str) -> mlua::Result<mlua::Error> {
    let tostring: Function = lua.globals().raw_get("tostring")?;
    let name: LuaString = tostring.call(name)?;
    let mut text = format!("{}Script attempted to {what} global variable '", position(lua, 1)).into_bytes();
    text.extend_from_slice(&name.as_bytes());
    text.push(b'\'');
    Ok(mlua::Error::external(Raised { text, value: None, origin: Some(origin), ends_script: false }))
}

/// The error with the place in front from which it was raised.
fn add_place(lua: &Lua, error: &Value) -> mlua::Result<LuaString> {
    // What Redis' own handler raises when it cannot put a place before the error.
    let unprintable = |kind: &str| {
        lua.create_string(format!(
            "@err_handler_def:8: err_handler_def:8: attempt to concatenate local 'err' (a {kind} value)"
        ))
    };
    let text = match error {
        Value::String(_) | Value::Integer(_) | Value::Number(_) => {
            lua.coerce_string(error.clone())?.map(|text| text.as_bytes().to_vec()).unwrap_or_default()
        }
        Value::Error(inner) => match raise::raised(error).and_then(|raised| raised.value.as_ref()) {
            Some(value) => return add_place(lua, value),
            None => raise::words(inner),
        },
        other => return unprintable(raise::type_name(Some(other))),
    };
    let origin = raise::raised(error).and_then(|raised| raised.origin).map(|origin| format!("{origin}: "));
    let place = origin.or_else(|| place_raised(lua)).unwrap_or_default();
    lua.create_string([place.as_bytes(), &text].concat())
}

/// `@chunk:line: ` of the function that raised, or of the one that called it when that is none of Lua's.
fn place_raised(lua: &Lua) -> Option<String> {
    let mut level = 1;
    let mut own = true;
    loop {
        let found = lua.inspect_stack(level, |debug| {
            let source = debug.source();
            let foreign = source.what == "C";
            let prelude = is_prelude(&source);
            let line = debug.current_line().map_or(-1, |line| i64::try_from(line).unwrap_or(-1));
            let place = format!("{}:{line}: ", source.source.unwrap_or_default());
            (prelude, foreign, place)
        });
        let (prelude, foreign, place) = found?;
        if !prelude && (!foreign || !std::mem::take(&mut own)) {
            return Some(place);
        }
        level += 1;
    }
}
