//! Errors of our functions that a script sees as the plain strings which Lua's own functions raise.
//!
//! mlua raises what a Rust function returns as an object of its own kind. A script never holds one: all places where a
//! script can catch an error (`pcall`, `xpcall`, `coroutine.resume`) give it [`plain`] instead.

use std::fmt;

use mlua::{Error, Function, Lua, MultiValue, Value};

use super::environment::is_prelude;

/// What a function of ours raises.
#[derive(Debug)]
pub(super) struct Raised {
    /// The words.
    pub(super) text: Vec<u8>,
    /// What a script raised, when it is neither words nor a number that became some.
    pub(super) value: Option<Value>,
    /// Where the error handler says it came from, when it is not the place of the call.
    pub(super) origin: Option<&'static str>,
    /// It ends the script, which cannot catch it.
    pub(super) ends_script: bool,
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.text))
    }
}

impl std::error::Error for Raised {}

/// An error of exactly these words.
pub(super) fn raise(text: impl Into<Vec<u8>>) -> Error {
    Error::external(Raised { text: text.into(), value: None, origin: None, ends_script: false })
}

/// An error of these words behind the place from which the function that runs was called, as Lua's libraries raise it.
pub(super) fn raise_here(lua: &Lua, text: impl AsRef<[u8]>) -> Error {
    raise([position(lua, 1).as_bytes(), text.as_ref()].concat())
}

/// What Lua's libraries say of an argument that does not fit.
pub(super) fn bad_argument(lua: &Lua, place: usize, function: &str, why: impl fmt::Display) -> Error {
    raise_here(lua, format!("bad argument #{place} to '{function}' ({why})"))
}

/// The name of a value's type, as it stands in messages: `no value` where there is none.
pub(super) fn type_name(value: Option<&Value>) -> &'static str {
    match value {
        None => "no value",
        Some(Value::LightUserData(_)) => "userdata",
        Some(Value::Integer(_)) => "number",
        Some(value) => value.type_name(),
    }
}

/// `chunk:line: ` of the function at this level of the stack, 0 being the one that runs; empty where there is no line.
pub(super) fn position(lua: &Lua, level: usize) -> String {
    let found = lua.inspect_stack(level, |debug| {
        let source = debug.source().short_src.unwrap_or_default().into_owned();
        debug.current_line().map(|line| format!("{source}:{line}: "))
    });
    found.flatten().unwrap_or_default()
}

/// As [`position`], for a function that stands where one of Lua's own does: what the prelude adds to the stack does not
/// count as a level.
fn position_for_script(lua: &Lua, level: usize) -> String {
    let mut left = level;
    let mut at = 0;
    loop {
        let found = lua.inspect_stack(at, |debug| is_prelude(&debug.source()));
        match found {
            None => return String::new(),
            Some(false) if left == 0 => return position(lua, at),
            Some(false) => left -= 1,
            Some(true) => {}
        }
        at += 1;
    }
}

/// The complaint of a function that stands where one of Lua's own does, with the name under which it was called.
/// `level` is its place on the stack: 0, or 1 for a function of the prelude that calls one of ours.
fn complain(lua: &Lua, level: usize, place: usize, why: &str) -> Error {
    let name = lua.inspect_stack(level, |debug| debug.names().name.map(std::borrow::Cow::into_owned));
    let name = name.flatten().unwrap_or_else(|| "?".to_owned());
    raise(format!("{}bad argument #{place} to '{name}' ({why})", position_for_script(lua, 1)))
}

/// `error(message, level)`, which counts levels as if Lua's own functions caught errors.
pub(super) fn error(lua: &Lua, arguments: MultiValue) -> mlua::Result<()> {
    let mut arguments = arguments.into_iter();
    let message = arguments.next().unwrap_or(Value::Nil);
    let level = match arguments.next() {
        None | Some(Value::Nil) => 1,
        Some(level) => match lua.coerce_number(level.clone())? {
            Some(number) => super::reply::truncated(number),
            None => {
                let why = format!("number expected, got {}", type_name(Some(&level)));
                return Err(complain(lua, 0, 2, &why));
            }
        },
    };
    let text = match &message {
        Value::String(text) => Some(text.as_bytes().to_vec()),
        Value::Integer(_) | Value::Number(_) if level > 0 => {
            lua.coerce_string(message.clone())?.map(|text| text.as_bytes().to_vec())
        }
        _ => None,
    };
    let Some(text) = text else {
        let value = Some(message);
        return Err(Error::external(Raised { text: Vec::new(), value, origin: None, ends_script: false }));
    };
    let place = usize::try_from(level).ok().filter(|level| *level > 0);
    let place = place.map(|level| position_for_script(lua, level)).unwrap_or_default();
    Err(raise([place.as_bytes(), &text].concat()))
}

/// The complaint of `pcall` without arguments.
pub(super) fn value_expected(lua: &Lua, (): ()) -> mlua::Result<()> {
    Err(complain(lua, 1, 1, "value expected"))
}

/// `load(reader, name)`: `original` with a reader that `guarded` makes.
pub(super) fn load(
    lua: &Lua,
    arguments: &MultiValue,
    original: &Function,
    guarded: &Function,
) -> mlua::Result<MultiValue> {
    let Some(Value::Function(reader)) = arguments.front() else {
        let why = format!("function expected, got {}", type_name(arguments.front()));
        return Err(complain(lua, 0, 1, &why));
    };
    original.call((guarded.call::<Function>(reader)?, arguments.get(1)))
}

/// `loadstring(text, name)`: `original`, once the text is one.
pub(super) fn loadstring(lua: &Lua, arguments: MultiValue, original: &Function) -> mlua::Result<MultiValue> {
    match arguments.front() {
        Some(Value::String(_) | Value::Integer(_) | Value::Number(_)) => original.call(arguments),
        other => Err(complain(lua, 0, 1, &format!("string expected, got {}", type_name(other)))),
    }
}

/// What an error is as a Lua value that a script may see.
pub(super) fn plain(lua: &Lua, value: Value) -> mlua::Result<Value> {
    match value {
        Value::Error(error) if raised_by(&error).is_some_and(|raised| raised.value.is_some()) => {
            Ok(raised_by(&error).and_then(|raised| raised.value.clone()).unwrap_or(Value::Nil))
        }
        Value::Error(error) => Ok(Value::String(lua.create_string(words(&error))?)),
        other => Ok(other),
    }
}

/// What a function of ours raised, when it was one.
pub(super) fn raised(value: &Value) -> Option<&Raised> {
    match value {
        Value::Error(error) => raised_by(error),
        _ => None,
    }
}

fn raised_by(error: &Error) -> Option<&Raised> {
    error.downcast_ref::<Raised>()
}

/// The words of an error.
pub(super) fn words(error: &Error) -> Vec<u8> {
    match error {
        Error::CallbackError { cause, .. } | Error::WithContext { cause, .. } | Error::BadArgument { cause, .. } => {
            words(cause)
        }
        // Behind the words stands what was on the stack, where Rust called Lua.
        Error::RuntimeError(text) => text.split("\nstack traceback:\n").next().unwrap_or_default().as_bytes().to_vec(),
        Error::SyntaxError { message, .. } => message.clone().into_bytes(),
        Error::MemoryError(_) => b"not enough memory".to_vec(),
        other => match other.downcast_ref::<Raised>() {
            Some(raised) => raised.text.clone(),
            None => other.to_string().into_bytes(),
        },
    }
}
