//! Lua values as JSON text.

use mlua::{Lua, LuaString, Table, Value};

use super::settings::{DEPTH_MAX, InvalidNumbers, Settings};
use crate::number::format_significant;
use crate::scripting::raise::{raise_here, type_name};

/// The JSON text of a value.
pub(super) fn encode(lua: &Lua, settings: &Settings, value: &Value) -> mlua::Result<LuaString> {
    let mut encoder = Encoder { lua, settings, out: Vec::new() };
    encoder.value(value, 0)?;
    lua.create_string(encoder.out)
}

struct Encoder<'a> {
    lua: &'a Lua,
    settings: &'a Settings,
    out: Vec<u8>,
}

impl Encoder<'_> {
    fn refuse<T>(&self, value: &Value, why: &str) -> mlua::Result<T> {
        let kind = type_name(Some(value));
        Err(raise_here(self.lua, format!("Cannot serialise {kind}: {why}")))
    }

    fn value(&mut self, value: &Value, depth: u32) -> mlua::Result<()> {
        match value {
            Value::String(text) => self.string(&text.as_bytes()),
            Value::Integer(number) => self.number(*number as f64)?,
            Value::Number(number) => self.number(*number)?,
            Value::Boolean(true) => self.out.extend_from_slice(b"true"),
            Value::Boolean(false) => self.out.extend_from_slice(b"false"),
            Value::Nil => self.out.extend_from_slice(b"null"),
            Value::LightUserData(pointer) if pointer.0.is_null() => self.out.extend_from_slice(b"null"),
            Value::Table(table) => {
                let depth = depth + 1;
                let most = u32::try_from(self.settings.encode_depth).unwrap_or(0).min(DEPTH_MAX);
                if depth > most {
                    return Err(raise_here(self.lua, format!("Cannot serialise, excessive nesting ({depth})")));
                }
                match self.array_length(table)? {
                    Some(len) if len > 0 => self.array(table, len, depth)?,
                    _ => self.object(table, depth)?,
                }
            }
            other => return self.refuse(other, "type not supported"),
        }
        Ok(())
    }

    fn string(&mut self, text: &[u8]) {
        self.out.push(b'"');
        for &byte in text {
            let named = match byte {
                b'"' | b'\\' | b'/' => byte,
                0x08 => b'b',
                b'\t' => b't',
                b'\n' => b'n',
                0x0C => b'f',
                b'\r' => b'r',
                0..0x20 | 0x7F => {
                    self.out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
                    continue;
                }
                other => {
                    self.out.push(other);
                    continue;
                }
            };
            self.out.extend_from_slice(&[b'\\', named]);
        }
        self.out.push(b'"');
    }

    fn number(&mut self, number: f64) -> mlua::Result<()> {
        if !number.is_finite() {
            match self.settings.encode_invalid {
                InvalidNumbers::Refused => return self.refuse(&Value::Number(number), "must not be NaN or Inf"),
                InvalidNumbers::Null => {
                    self.out.extend_from_slice(b"null");
                    return Ok(());
                }
                InvalidNumbers::Written if number.is_nan() => {
                    self.out.extend_from_slice(b"nan");
                    return Ok(());
                }
                InvalidNumbers::Written => {}
            }
        }
        let digits = u8::try_from(self.settings.precision).unwrap_or(14);
        self.out.extend_from_slice(format_significant(number, digits).as_bytes());
        Ok(())
    }

    /// The highest index, when all keys are indexes and lie close enough; otherwise the table is an object.
    fn array_length(&self, table: &Table) -> mlua::Result<Option<usize>> {
        let mut highest: f64 = 0.0;
        let mut items: f64 = 0.0;
        for pair in table.pairs::<Value, Value>() {
            let number = match pair?.0 {
                Value::Integer(number) => number as f64,
                Value::Number(number) => number,
                _ => return Ok(None),
            };
            if number < 1.0 || number.floor() != number || !number.is_finite() {
                return Ok(None);
            }
            highest = highest.max(number);
            items += 1.0;
        }
        let ratio = f64::from(self.settings.sparse_ratio);
        if ratio > 0.0 && highest > items * ratio && highest > f64::from(self.settings.sparse_safe) {
            if !self.settings.sparse_converts {
                let table = Value::Table(table.clone());
                return self.refuse(&table, "excessively sparse array");
            }
            return Ok(None);
        }
        // Where sparse arrays are allowed without end, the text grows until the memory is short.
        Ok(Some(highest as usize))
    }

    fn array(&mut self, table: &Table, len: usize, depth: u32) -> mlua::Result<()> {
        self.out.push(b'[');
        for index in 1..=len {
            if index > 1 {
                self.out.push(b',');
            }
            let element: Value = table.raw_get(index)?;
            self.value(&element, depth)?;
            self.limit()?;
        }
        self.out.push(b']');
        Ok(())
    }

    /// A string cannot be longer than this; the text is given up before the process runs out of memory.
    fn limit(&self) -> mlua::Result<()> {
        const TEXT_MAX: usize = 1024 * 1024 * 1024;
        if self.out.len() > TEXT_MAX {
            return Err(mlua::Error::MemoryError("not enough memory".to_owned()));
        }
        Ok(())
    }

    fn object(&mut self, table: &Table, depth: u32) -> mlua::Result<()> {
        self.out.push(b'{');
        let mut first = true;
        for pair in table.pairs::<Value, Value>() {
            let (key, value) = pair?;
            if !std::mem::take(&mut first) {
                self.out.push(b',');
            }
            match &key {
                Value::String(text) => self.string(&text.as_bytes()),
                Value::Integer(_) | Value::Number(_) => {
                    self.out.push(b'"');
                    let number = match key {
                        Value::Integer(number) => number as f64,
                        Value::Number(number) => number,
                        _ => 0.0,
                    };
                    self.number(number)?;
                    self.out.push(b'"');
                }
                other => return self.refuse(other, "table key must be a number or string"),
            }
            self.out.push(b':');
            self.value(&value, depth)?;
            self.limit()?;
        }
        self.out.push(b'}');
        Ok(())
    }
}
