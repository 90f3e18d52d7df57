//! The arguments of library functions, with the words that Lua's own libraries have for those that do not fit.

use mlua::{Lua, LuaString, MultiValue, Value};

use super::raise::{bad_argument, type_name};

/// The arguments of a call of `function`.
pub(super) struct Arguments<'a> {
    pub(super) lua: &'a Lua,
    pub(super) function: &'static str,
    values: Vec<Value>,
    /// What a missing argument counts for.
    missing: Option<Value>,
}

impl<'a> Arguments<'a> {
    pub(super) fn new(lua: &'a Lua, function: &'static str, values: MultiValue) -> Arguments<'a> {
        Arguments { lua, function, values: values.into_iter().collect(), missing: None }
    }

    /// Missing arguments count for nil.
    pub(super) fn filled_with_nil(self) -> Arguments<'a> {
        Arguments { missing: Some(Value::Nil), ..self }
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// The argument at a place, counted from 1.
    pub(super) fn get(&self, place: usize) -> Option<&Value> {
        let missing = if place == 0 { None } else { self.missing.as_ref() };
        self.values.get(place.wrapping_sub(1)).or(missing)
    }

    /// Whether there is none, or nil, at the place.
    pub(super) fn is_absent(&self, place: usize) -> bool {
        matches!(self.get(place), None | Some(Value::Nil))
    }

    /// The argument as a number; strings that are numerals count as such.
    pub(super) fn number(&self, place: usize) -> mlua::Result<f64> {
        let value = self.get(place).cloned().unwrap_or(Value::Nil);
        match value {
            Value::Number(number) => Ok(number),
            other => self.lua.coerce_number(other)?.ok_or_else(|| self.expected("number", place)),
        }
    }

    /// The argument as an integer, cut off as C cuts it.
    pub(super) fn integer(&self, place: usize) -> mlua::Result<i64> {
        self.number(place).map(super::reply::truncated)
    }

    /// The argument as a string; numbers count as their numerals.
    pub(super) fn string(&self, place: usize) -> mlua::Result<LuaString> {
        match self.get(place) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(number @ (Value::Integer(_) | Value::Number(_))) => {
                self.lua.coerce_string(number.clone())?.ok_or_else(|| self.expected("string", place))
            }
            _ => Err(self.expected("string", place)),
        }
    }

    /// The complaint about the argument at a place.
    pub(super) fn bad(&self, place: usize, why: impl std::fmt::Display) -> mlua::Error {
        bad_argument(self.lua, place, self.function, why)
    }

    fn expected(&self, what: &str, place: usize) -> mlua::Error {
        self.bad(place, format_args!("{what} expected, got {}", type_name(self.get(place))))
    }
}
