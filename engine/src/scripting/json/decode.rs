//! JSON text as Lua values.

use mlua::{Lua, Value};

use super::scan::{Scanner, Token};
use super::settings::{DEPTH_MAX, Settings};
use crate::scripting::raise::raise_here;

/// The value of a JSON text.
pub(super) fn decode(lua: &Lua, settings: &Settings, text: &[u8]) -> mlua::Result<Value> {
    if matches!(text, [0, _, ..] | [_, 0, ..]) {
        return Err(raise_here(lua, "JSON parser does not support UTF-16 or UTF-32"));
    }
    let most = u32::try_from(settings.decode_depth).unwrap_or(0).min(DEPTH_MAX);
    let mut decoder = Decoder { lua, scanner: Scanner::new(text, settings.decode_invalid), depth: 0, most };
    let first = decoder.scanner.next();
    let value = decoder.value(first)?;
    match decoder.scanner.next() {
        Token::End => Ok(value),
        other => decoder.expected("the end", &other),
    }
}

struct Decoder<'a> {
    lua: &'a Lua,
    scanner: Scanner<'a>,
    depth: u32,
    most: u32,
}

impl Decoder<'_> {
    fn expected<T>(&self, what: &str, found: &Token) -> mlua::Result<T> {
        let (name, character) = (found.name(), self.scanner.index + 1);
        Err(raise_here(self.lua, format!("Expected {what} but found {name} at character {character}")))
    }

    fn value(&mut self, token: Token) -> mlua::Result<Value> {
        match token {
            Token::String(bytes) => self.lua.create_string(bytes).map(Value::String),
            Token::Number(number) => Ok(Value::Number(number)),
            Token::Boolean(held) => Ok(Value::Boolean(held)),
            Token::Null => Ok(Value::NULL),
            Token::ObjectBegin => self.nested(Self::object),
            Token::ArrayBegin => self.nested(Self::array),
            other => self.expected("value", &other),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> mlua::Result<Value>) -> mlua::Result<Value> {
        self.depth += 1;
        let (depth, at) = (self.depth, self.scanner.at);
        if depth > self.most {
            let words = format!("Found too many nested data structures ({depth}) at character {at}");
            return Err(raise_here(self.lua, words));
        }
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> mlua::Result<Value> {
        let table = self.lua.create_table()?;
        let mut token = self.scanner.next();
        if token == Token::ObjectEnd {
            return Ok(Value::Table(table));
        }
        loop {
            let Token::String(key) = token else { return self.expected("object key string", &token) };
            match self.scanner.next() {
                Token::Colon => {}
                other => return self.expected("colon", &other),
            }
            let next = self.scanner.next();
            let value = self.value(next)?;
            table.raw_set(self.lua.create_string(key)?, value)?;
            match self.scanner.next() {
                Token::ObjectEnd => return Ok(Value::Table(table)),
                Token::Comma => token = self.scanner.next(),
                other => return self.expected("comma or object end", &other),
            }
        }
    }

    fn array(&mut self) -> mlua::Result<Value> {
        let table = self.lua.create_table()?;
        let mut token = self.scanner.next();
        if token == Token::ArrayEnd {
            return Ok(Value::Table(table));
        }
        for index in 1.. {
            let value = self.value(token)?;
            table.raw_set(index, value)?;
            match self.scanner.next() {
                Token::ArrayEnd => break,
                Token::Comma => token = self.scanner.next(),
                other => return self.expected("comma or array end", &other),
            }
        }
        Ok(Value::Table(table))
    }
}
