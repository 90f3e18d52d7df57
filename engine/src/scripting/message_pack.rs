//! The library `cmsgpack`: MessagePack without its binary, extension and time types.

use mlua::{Lua, MultiValue, Table, Value};

use super::arguments::Arguments;
use super::raise::{raise, raise_here};
use super::reply::truncated;

/// Tables within tables that are packed; what is deeper becomes nil.
const PACK_DEPTH: usize = 16;
/// Arrays and maps within each other that are unpacked.
const UNPACK_DEPTH: usize = 1000;
/// Values that one call returns.
const VALUES_MAX: usize = 7000;

/// Makes the table.
pub(super) fn create(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("_NAME", "cmsgpack")?;
    table.raw_set("_VERSION", "lua-cmsgpack 0.4.0")?;
    table.raw_set("_COPYRIGHT", "Copyright (C) 2012, Salvatore Sanfilippo")?;
    table.raw_set("_DESCRIPTION", "MessagePack C implementation for Lua")?;
    table.raw_set("pack", lua.create_function(pack)?)?;
    let unpack_all = |lua: &Lua, values: MultiValue| {
        let arguments = Arguments::new(lua, "unpack", values);
        unpack(&arguments, 0, 0)
    };
    table.raw_set("unpack", lua.create_function(unpack_all)?)?;
    let unpack_one = |lua: &Lua, values: MultiValue| {
        let arguments = Arguments::new(lua, "unpack_one", values);
        let offset = if arguments.is_absent(2) { 0 } else { arguments.integer(2)? };
        unpack(&arguments, 1, offset)
    };
    table.raw_set("unpack_one", lua.create_function(unpack_one)?)?;
    let unpack_limit = |lua: &Lua, values: MultiValue| {
        let arguments = Arguments::new(lua, "unpack_limit", values);
        let limit = arguments.integer(2)?;
        let offset = if arguments.is_absent(3) { 0 } else { arguments.integer(3)? };
        unpack(&arguments, limit, offset)
    };
    table.raw_set("unpack_limit", lua.create_function(unpack_limit)?)?;
    Ok(table)
}

fn pack(lua: &Lua, values: MultiValue) -> mlua::Result<mlua::LuaString> {
    if values.is_empty() {
        return Err(super::raise::bad_argument(lua, 0, "pack", "MessagePack pack needs input."));
    }
    let mut out = Vec::new();
    for value in &values {
        pack_value(&mut out, value, 0)?;
    }
    lua.create_string(out)
}

fn pack_value(out: &mut Vec<u8>, value: &Value, depth: usize) -> mlua::Result<()> {
    match value {
        Value::String(text) => {
            let bytes = text.as_bytes();
            match bytes.len() {
                len @ 0..=31 => out.push(0xA0 | len as u8),
                len @ 32..=0xFF => out.extend_from_slice(&[0xD9, len as u8]),
                len => pack_length(out, 0xDA, len),
            }
            out.extend_from_slice(&bytes);
        }
        Value::Boolean(held) => out.push(if *held { 0xC3 } else { 0xC2 }),
        Value::Integer(number) => pack_integer(out, *number),
        Value::Number(number) => pack_number(out, *number),
        Value::Table(table) if depth < PACK_DEPTH => pack_table(out, table, depth)?,
        _ => out.push(0xC0),
    }
    Ok(())
}

/// The kind for lengths of 16 bits, or the one after it for those of 32.
fn pack_length(out: &mut Vec<u8>, kind: u8, len: usize) {
    match u16::try_from(len) {
        Ok(len) => {
            out.push(kind);
            out.extend_from_slice(&len.to_be_bytes());
        }
        Err(_) => {
            out.push(kind + 1);
            out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
}

fn pack_number(out: &mut Vec<u8>, number: f64) {
    let integer = truncated(number);
    if integer as f64 == number {
        pack_integer(out, integer);
    } else if f64::from(number as f32) == number {
        out.push(0xCA);
        out.extend_from_slice(&(number as f32).to_be_bytes());
    } else {
        out.push(0xCB);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

fn pack_integer(out: &mut Vec<u8>, number: i64) {
    let bytes = number.to_be_bytes();
    let (kind, len) = match number {
        -32..=0x7F => {
            out.push(number as u8);
            return;
        }
        0x80..=0xFF => (0xCC, 1),
        0x100..=0xFFFF => (0xCD, 2),
        0x1_0000..=0xFFFF_FFFF => (0xCE, 4),
        0x1_0000_0000.. => (0xCF, 8),
        -0x80..=-33 => (0xD0, 1),
        -0x8000..=-0x81 => (0xD1, 2),
        -0x8000_0000..=-0x8001 => (0xD2, 4),
        _ => (0xD3, 8),
    };
    out.push(kind);
    out.extend_from_slice(bytes.get(8 - len..).unwrap_or_default());
}

fn pack_table(out: &mut Vec<u8>, table: &Table, depth: usize) -> mlua::Result<()> {
    let mut entries = 0;
    let mut highest = 0.0;
    let mut is_array = true;
    for pair in table.pairs::<Value, Value>() {
        let (key, _) = pair?;
        entries += 1;
        match number_of(&key) {
            Some(number) if number > 0.0 && number.fract() == 0.0 => highest = number.max(highest),
            _ => is_array = false,
        }
    }
    if is_array && highest == f64::from(entries) {
        match entries {
            0..=15 => out.push(0x90 | entries as u8),
            _ => pack_length(out, 0xDC, entries as usize),
        }
        for index in 1..=entries {
            pack_value(out, &table.raw_get(index)?, depth + 1)?;
        }
        return Ok(());
    }
    match entries {
        0..=15 => out.push(0x80 | entries as u8),
        _ => pack_length(out, 0xDE, entries as usize),
    }
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair?;
        pack_value(out, &key, depth + 1)?;
        pack_value(out, &value, depth + 1)?;
    }
    Ok(())
}

fn number_of(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Number(number) => Some(*number),
        _ => None,
    }
}

/// Unpacks at most `limit` values from `offset` on and returns where it stopped (-1: at the end) before them; all values
/// alone where both are 0.
fn unpack(arguments: &Arguments<'_>, limit: i64, offset: i64) -> mlua::Result<MultiValue> {
    let lua = arguments.lua;
    let text = arguments.string(1)?;
    let bytes = text.as_bytes();
    let len = bytes.len();
    if limit < 0 || offset < 0 {
        let words = format!("Invalid request to unpack with offset of {offset} and limit of {len}.");
        return Err(raise_here(lua, words));
    }
    let begin = usize::try_from(offset).unwrap_or(usize::MAX);
    let Some(rest) = bytes.get(begin..) else {
        return Err(raise_here(lua, format!("Start offset {offset} greater than input length {len}.")));
    };
    let all = limit == 0 && offset == 0;
    let most = if all { usize::MAX } else { usize::try_from(limit).unwrap_or(usize::MAX) };
    let mut input = Input { lua, rest };
    let mut values = Vec::new();
    while !input.rest.is_empty() && values.len() < most {
        if values.len() >= VALUES_MAX {
            return Err(raise_here(lua, "stack overflow (too many values to unpack)"));
        }
        values.push(input.value(0)?);
    }
    if !all {
        let stopped = if input.rest.is_empty() { -1 } else { (len - input.rest.len()) as i64 };
        values.insert(0, Value::Number(stopped as f64));
    }
    Ok(MultiValue::from_iter(values))
}

struct Input<'a> {
    lua: &'a Lua,
    rest: &'a [u8],
}

impl Input<'_> {
    fn take(&mut self, len: usize) -> mlua::Result<&[u8]> {
        match self.rest.split_at_checked(len) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(raise_here(self.lua, "Missing bytes in input.")),
        }
    }

    fn unsigned(&mut self, len: usize) -> mlua::Result<u64> {
        Ok(self.take(len)?.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn length(&mut self, len: usize) -> mlua::Result<usize> {
        self.unsigned(len).map(|number| usize::try_from(number).unwrap_or(usize::MAX))
    }

    fn value(&mut self, depth: usize) -> mlua::Result<Value> {
        if depth > UNPACK_DEPTH {
            return Err(raise_here(self.lua, "stack overflow (in function mp_decode_to_lua_array)"));
        }
        let kind = self.unsigned(1)? as u8;
        let number = match kind {
            0x00..=0x7F => f64::from(kind),
            0xE0..=0xFF => f64::from(kind as i8),
            0x80..=0x8F => return self.map(usize::from(kind & 0x0F), depth),
            0x90..=0x9F => return self.array(usize::from(kind & 0x0F), depth),
            0xA0..=0xBF => return self.string(usize::from(kind & 0x1F)),
            0xC0 => return Ok(Value::Nil),
            0xC2 | 0xC3 => return Ok(Value::Boolean(kind == 0xC3)),
            0xCA => f64::from(f32::from_bits(self.unsigned(4)? as u32)),
            0xCB => f64::from_bits(self.unsigned(8)?),
            0xCC => self.unsigned(1)? as f64,
            0xCD => self.unsigned(2)? as f64,
            0xCE => self.unsigned(4)? as f64,
            // Of 64 bits the highest counts as a sign here, too.
            0xCF | 0xD3 => self.unsigned(8)? as i64 as f64,
            0xD0 => f64::from(self.unsigned(1)? as u8 as i8),
            0xD1 => f64::from(self.unsigned(2)? as u16 as i16),
            0xD2 => f64::from(self.unsigned(4)? as u32 as i32),
            0xD9..=0xDB => {
                let len = self.length(1 << (kind - 0xD9))?;
                return self.string(len);
            }
            0xDC | 0xDD => {
                let len = self.length(2 << (kind - 0xDC))?;
                return self.array(len, depth);
            }
            0xDE | 0xDF => {
                let len = self.length(2 << (kind - 0xDE))?;
                return self.map(len, depth);
            }
            _ => return Err(raise_here(self.lua, "Bad data format in input.")),
        };
        Ok(Value::Number(number))
    }

    fn string(&mut self, len: usize) -> mlua::Result<Value> {
        let lua = self.lua;
        lua.create_string(self.take(len)?).map(Value::String)
    }

    fn array(&mut self, len: usize, depth: usize) -> mlua::Result<Value> {
        let table = self.lua.create_table()?;
        for index in 1..=len {
            table.raw_set(index, self.value(depth + 1)?)?;
        }
        Ok(Value::Table(table))
    }

    fn map(&mut self, len: usize, depth: usize) -> mlua::Result<Value> {
        let table = self.lua.create_table()?;
        for _ in 0..len {
            let key = self.value(depth + 1)?;
            let value = self.value(depth + 1)?;
            match key {
                Value::Nil => return Err(raise("table index is nil")),
                Value::Number(number) if number.is_nan() => return Err(raise("table index is NaN")),
                key => table.raw_set(key, value)?,
            }
        }
        Ok(Value::Table(table))
    }
}
