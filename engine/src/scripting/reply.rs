//! Replies as Lua values, and Lua values as replies.

use mlua::{Lua, Table, Value};

use super::raise;
use crate::faults::{self, Fault};
use crate::number::parse_i64;
use crate::resp::Reply;

/// Tables within tables that a reply may have: what is deeper is answered as an error, and so is what holds itself.
const DEPTH_MAX: usize = 512;

/// What comes of a command's reply.
pub(super) enum Answered {
    /// Anything but an error.
    Value(Value),
    /// The words of an error.
    Error(Vec<u8>),
}

/// Reads one reply in the protocol's form, which the engine itself wrote.
pub(super) fn to_lua(lua: &Lua, bytes: &[u8], sorted: bool) -> mlua::Result<Answered> {
    if let Some(text) = bytes.strip_prefix(b"-") {
        return Ok(Answered::Error(text.strip_suffix(b"\r\n").unwrap_or(text).to_vec()));
    }
    let mut reader = Reader { bytes, at: 0 };
    Ok(Answered::Value(reader.value(lua, sorted)?))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// The rest of the line, without its end.
    fn line(&mut self) -> &'a [u8] {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let len = rest.iter().position(|&byte| byte == b'\r').unwrap_or(rest.len());
        self.at += len + 2;
        rest.get(..len).unwrap_or_default()
    }

    fn bulk(&mut self, length: i64) -> Option<&'a [u8]> {
        let length = usize::try_from(length).ok()?;
        let bytes = self.bytes.get(self.at..)?.get(..length)?;
        self.at += length + 2;
        Some(bytes)
    }

    fn value(&mut self, lua: &Lua, sorted: bool) -> mlua::Result<Value> {
        let line = self.line();
        let (kind, text) = line.split_first().unwrap_or((&b'*', b"-1"));
        let number = || parse_i64(text).unwrap_or(-1);
        match kind {
            // Lua's numbers are doubles: what is beyond 2^53 is rounded.
            b':' => Ok(Value::Number(number() as f64)),
            b'+' => field(lua, "ok", text),
            b'-' => field(lua, "err", text),
            b'$' => match self.bulk(number()) {
                Some(bytes) => Ok(Value::String(lua.create_string(bytes)?)),
                None => Ok(Value::Boolean(false)),
            },
            _ => match usize::try_from(number()) {
                Ok(count) => self.array(lua, count, sorted),
                Err(_) => Ok(Value::Boolean(false)),
            },
        }
    }

    fn array(&mut self, lua: &Lua, count: usize, sorted: bool) -> mlua::Result<Value> {
        let table = lua.create_table_with_capacity(count.min(self.bytes.len()), 0)?;
        if sorted && let Some(mut bulks) = self.bulks(count) {
            bulks.sort_unstable();
            for (index, bulk) in bulks.into_iter().enumerate() {
                match bulk {
                    Some(bytes) => table.raw_set(index + 1, lua.create_string(bytes)?)?,
                    None => table.raw_set(index + 1, false)?,
                }
            }
            return Ok(Value::Table(table));
        }
        for index in 1..=count {
            let value = self.value(lua, false)?;
            table.raw_set(index, value)?;
        }
        Ok(Value::Table(table))
    }

    /// The elements of an array that holds nothing but bulk strings; an absent one sorts first.
    fn bulks(&mut self, count: usize) -> Option<Vec<Option<&'a [u8]>>> {
        let begin = self.at;
        let mut bulks = Vec::with_capacity(count.min(self.bytes.len()));
        for _ in 0..count {
            match self.line().split_first() {
                Some((b'$', text)) => bulks.push(self.bulk(parse_i64(text).unwrap_or(-1))),
                _ => {
                    self.at = begin;
                    return None;
                }
            }
        }
        Some(bulks)
    }
}

/// A table with one field.
pub(super) fn field(lua: &Lua, name: &str, text: &[u8]) -> mlua::Result<Value> {
    let table = lua.create_table()?;
    table.raw_set(name, lua.create_string(text)?)?;
    Ok(Value::Table(table))
}

/// Writes what a script returned.
pub(super) fn write(reply: &mut Reply<'_>, value: &Value) {
    write_at(reply, value, 0);
}

fn write_at(reply: &mut Reply<'_>, value: &Value, depth: usize) {
    match value {
        Value::String(text) => reply.bulk(&text.as_bytes()),
        Value::Integer(number) => reply.integer(*number),
        Value::Number(number) => reply.integer(truncated(*number)),
        Value::Boolean(true) => reply.integer(1),
        Value::Table(table) => write_table(reply, table, depth),
        Value::Error(error) => reply.error(&raise::words(error)),
        _ => reply.nil(),
    }
}

fn write_table(reply: &mut Reply<'_>, table: &Table, depth: usize) {
    if depth >= DEPTH_MAX {
        reply.error(b"ERR reached lua stack limit");
        return;
    }
    // Without metamethods: they are scripts, and the script is over.
    if let Ok(Value::String(text)) = table.raw_get("err") {
        reply.error(&text.as_bytes());
        return;
    }
    if let Ok(Value::String(text)) = table.raw_get("ok") {
        reply.status_bytes(&text.as_bytes());
        return;
    }
    let place = reply.later_array();
    let mut count = 0;
    loop {
        match table.raw_get(count + 1) {
            Ok(Value::Nil) if count > 0 || !faults::is(Fault::ScriptTableSkipsFirstNil) => break,
            Err(_) => break,
            Ok(element) => write_at(reply, &element, depth + 1),
        }
        count += 1;
    }
    reply.set_array(place, count);
}

/// The number's integral part. Where that is no 64-bit integer the processor's own answer stands, the least of all.
pub(super) fn truncated(number: f64) -> i64 {
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    if (-BOUND..BOUND).contains(&number) { number as i64 } else { i64::MIN }
}
