//! Errors of our functions that a script sees as the plain strings which Lua's own functions raise.
//!
//! mlua raises what a Rust function returns as an object of its own kind. A script never holds one: all places where a
//! script can catch an error (`pcall`, `xpcall`, `coroutine.resume`) give it [`plain`] instead.

use std::fmt;

use mlua::{Error, Lua, Value};

/// What a function of ours raises.
#[derive(Debug)]
pub(super) struct Raised {
    /// The words.
    pub(super) text: Vec<u8>,
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
    Error::external(Raised { text: text.into(), origin: None, ends_script: false })
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

/// What an error is as a Lua value that a script may see.
pub(super) fn plain(lua: &Lua, value: Value) -> mlua::Result<Value> {
    match value {
        Value::Error(error) => Ok(Value::String(lua.create_string(words(&error))?)),
        other => Ok(other),
    }
}

/// What a function of ours raised, when it was one.
pub(super) fn raised(value: &Value) -> Option<&Raised> {
    match value {
        Value::Error(error) => error.downcast_ref::<Raised>(),
        _ => None,
    }
}

/// The words of an error.
pub(super) fn words(error: &Error) -> Vec<u8> {
    match error {
        Error::CallbackError { cause, .. } | Error::WithContext { cause, .. } | Error::BadArgument { cause, .. } => {
            words(cause)
        }
        Error::RuntimeError(text) => text.clone().into_bytes(),
        Error::SyntaxError { message, .. } => message.clone().into_bytes(),
        Error::MemoryError(_) => b"not enough memory".to_vec(),
        other => match other.downcast_ref::<Raised>() {
            Some(raised) => raised.text.clone(),
            None => other.to_string().into_bytes(),
        },
    }
}
