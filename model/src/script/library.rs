//! The functions that scripts may call, as far as the model knows them, but for those that call commands.

use super::meaning::{Meaning, Stop};
use super::value::{Beyond, Key, Value, number_text};
use crate::clause::Clause;
use crate::server::sha1;

/// How long a string may get.
const LONGEST: usize = 1 << 20;

/// Names of functions, whole.
pub(super) const FUNCTIONS: [&str; 26] = [
    "error",
    "ipairs",
    "math.floor",
    "math.max",
    "math.min",
    "pcall",
    "redis.call",
    "redis.error_reply",
    "redis.log",
    "redis.pcall",
    "redis.replicate_commands",
    "redis.set_repl",
    "redis.sha1hex",
    "redis.status_reply",
    "string.len",
    "string.lower",
    "string.rep",
    "string.reverse",
    "string.sub",
    "string.upper",
    "table.concat",
    "table.insert",
    "tonumber",
    "tostring",
    "type",
    "unpack",
];

/// Names that a real Lua knows too.
pub(super) const OTHER_GLOBALS: [&str; 29] = [
    "_G",
    "_VERSION",
    "assert",
    "bit",
    "cjson",
    "cmsgpack",
    "collectgarbage",
    "coroutine",
    "debug",
    "gcinfo",
    "getfenv",
    "getmetatable",
    "load",
    "loadstring",
    "next",
    "newproxy",
    "os",
    "pairs",
    "print",
    "rawequal",
    "rawget",
    "rawset",
    "select",
    "setfenv",
    "setmetatable",
    "struct",
    "xpcall",
    "__redis__err__handler",
    "__redis__compare_helper",
];

/// Constants of the table `redis`.
pub(super) fn constant(name: &[u8]) -> Option<f64> {
    Some(match name {
        b"REPL_NONE" | b"LOG_DEBUG" => 0.0,
        b"REPL_AOF" | b"LOG_VERBOSE" => 1.0,
        b"REPL_SLAVE" | b"REPL_REPLICA" | b"LOG_NOTICE" => 2.0,
        b"REPL_ALL" | b"LOG_WARNING" => 3.0,
        _ => return None,
    })
}

impl Meaning<'_> {
    /// Calls a function; its results.
    pub(super) fn function(&mut self, name: &str, arguments: Vec<Value>, line: u32) -> Result<Vec<Value>, Stop> {
        let one = |value| Ok(vec![value]);
        match (name, arguments.as_slice()) {
            ("redis.call", _) => Ok(vec![self.redis_call(&arguments, true, line)?]),
            ("redis.pcall", _) => Ok(vec![self.redis_call(&arguments, false, line)?]),
            ("redis.replicate_commands", _) => {
                self.model.witness(Clause::EVAL_34);
                self.repl.by_effects |= !self.repl.wrote;
                one(Value::Boolean(!self.repl.wrote))
            }
            ("redis.set_repl", _) if !self.repl.by_effects => {
                self.model.witness(Clause::EVAL_32);
                let text = "You can set the replication behavior only after turning on single commands replication \
                            with redis.replicate_commands().";
                Err(self.raise(text, line))
            }
            ("redis.set_repl", [Value::Number(flags)]) => {
                match *flags {
                    0.0 | 1.0 | 2.0 | 3.0 => {
                        (self.repl.to_aof, self.repl.to_replicas) = (*flags as u32 & 1 != 0, *flags as u32 & 2 != 0);
                        Ok(Vec::new())
                    }
                    flags if flags.fract() == 0.0 && flags.abs() < 1e6 => Err(self
                        .raise("Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.", line)),
                    _ => Err(Stop::Beyond),
                }
            }
            ("redis.set_repl", []) => Err(self.raise("redis.set_repl() requires two arguments.", line)),
            ("redis.sha1hex", [Value::Text(text)]) => {
                one(Value::text(sha1(text).map(|byte| format!("{byte:02x}")).concat()))
            }
            ("redis.sha1hex", []) => Err(self.raise("wrong number of arguments", line)),
            ("redis.log", [Value::Number(0.0..=3.0), Value::Text(_)]) => Ok(Vec::new()),
            ("redis.error_reply", [Value::Text(text)]) => one(self.tables.with_field("err", text.clone())),
            ("redis.status_reply", [Value::Text(text)]) => one(self.tables.with_field("ok", text.clone())),
            ("redis.error_reply" | "redis.status_reply", arguments) => {
                if arguments.iter().any(|argument| matches!(argument, Value::Untold(_))) {
                    return Err(Stop::Beyond);
                }
                one(self.own_error("wrong number or type of arguments", line))
            }
            ("error", [Value::Text(text)]) => {
                let text = [format!("user_script:{line}: ").as_bytes(), text].concat();
                Err(self.raise(text, line))
            }
            ("error", [Value::Text(text), Value::Number(0.0)]) => Err(self.raise(text.clone(), line)),
            ("error", [Value::Number(_) | Value::Untold(_), ..]) => Err(Stop::Beyond),
            ("error", []) => Err(Stop::Raised { value: Value::Nil, at: format!("@user_script:{line}") }),
            ("error", [value]) => Err(Stop::Raised { value: value.clone(), at: format!("@user_script:{line}") }),
            ("pcall", [Value::Function("redis.call"), arguments @ ..]) => {
                // Errors of the call itself tell a line that depends on who called it.
                let called = self.redis_call(arguments, false, line)?;
                self.as_caught(called)
            }
            ("type", [value]) if !matches!(value, Value::Untold(_)) => one(Value::text(value.type_name())),
            ("tostring", [value]) => match value {
                Value::Nil => one(Value::text("nil")),
                Value::Boolean(value) => one(Value::text(value.to_string())),
                Value::Number(number) if !number.is_nan() => one(Value::Text(number_text(*number, 14))),
                Value::Text(_) => one(value.clone()),
                _ => Err(Stop::Beyond),
            },
            ("tonumber", [value]) => one(value.number()?.map_or(Value::Nil, Value::Number)),
            ("unpack", [Value::Table(table)]) => {
                let length = self.tables.length(*table)?;
                self.spend(length)?;
                Ok((1..=length).map(|index| self.tables.get(*table, &Key::Index(index))).collect())
            }
            ("table.insert", [Value::Table(table), value]) if *value != Value::Nil => {
                let length = self.tables.length(*table)?;
                self.tables.set(*table, Key::Index(length + 1), value.clone());
                Ok(Vec::new())
            }
            ("table.concat", [Value::Table(table)]) => one(self.joined(*table, b"")?),
            ("table.concat", [Value::Table(table), Value::Text(between)]) => one(self.joined(*table, between)?),
            ("math.floor", [value]) => one(Value::Number(value.number()?.ok_or(Beyond)?.floor())),
            ("math.max", [Value::Number(one_number), Value::Number(other)]) => {
                one(Value::Number(if other > one_number { *other } else { *one_number }))
            }
            ("math.min", [Value::Number(one_number), Value::Number(other)]) => {
                one(Value::Number(if other < one_number { *other } else { *one_number }))
            }
            ("string.len", [Value::Text(text)]) => one(Value::Number(text.len() as f64)),
            ("string.upper", [Value::Text(text)]) if text.is_ascii() => one(Value::Text(text.to_ascii_uppercase())),
            ("string.lower", [Value::Text(text)]) if text.is_ascii() => one(Value::Text(text.to_ascii_lowercase())),
            ("string.reverse", [Value::Text(text)]) => one(Value::Text(text.iter().rev().copied().collect())),
            ("string.rep", [Value::Text(text), Value::Number(count)]) => {
                let times = count.max(0.0);
                if count.is_nan() || times * (text.len() as f64) > LONGEST as f64 || times > LONGEST as f64 {
                    return Err(Stop::Beyond);
                }
                one(Value::Text(text.repeat(times as usize)))
            }
            ("string.sub", [Value::Text(text), Value::Number(from)]) => one(part(text, *from, -1.0)?),
            ("string.sub", [Value::Text(text), Value::Number(from), Value::Number(to)]) => one(part(text, *from, *to)?),
            _ => Err(Stop::Beyond),
        }
    }

    fn joined(&self, table: usize, between: &[u8]) -> Result<Value, Stop> {
        let mut text = Vec::new();
        for index in 1..=self.tables.length(table)? {
            if index > 1 {
                text.extend_from_slice(between);
            }
            match self.tables.get(table, &Key::Index(index)) {
                Value::Text(part) => text.extend(part),
                Value::Number(number) if !number.is_nan() => text.extend(number_text(number, 14)),
                _ => return Err(Stop::Beyond),
            }
            if text.len() > LONGEST {
                return Err(Stop::Beyond);
            }
        }
        Ok(Value::Text(text))
    }

    /// What `pcall` answers for what `redis.pcall` would.
    fn as_caught(&self, called: Value) -> Result<Vec<Value>, Stop> {
        if let Value::Table(table) = called
            && let Value::Text(line) = self.tables.get(table, &Key::Text(b"err".to_vec()))
        {
            if line.starts_with(b"@user_script: ") {
                return Err(Stop::Beyond);
            }
            return Ok(vec![Value::Boolean(false), Value::Text(line)]);
        }
        Ok(vec![Value::Boolean(true), called])
    }

    /// Strings may not grow beyond all bounds.
    pub(super) fn bounded(text: Vec<u8>) -> Result<Value, Stop> {
        if text.len() > LONGEST { Err(Stop::Beyond) } else { Ok(Value::Text(text)) }
    }
}

/// The bytes between two places, counted from 1 or, if negative, from the end.
fn part(text: &[u8], from: f64, to: f64) -> Result<Value, Stop> {
    if from.fract() != 0.0 || to.fract() != 0.0 || from.abs() > 1e9 || to.abs() > 1e9 {
        return Err(Stop::Beyond);
    }
    let length = text.len() as i64;
    let place = |number: f64| if number < 0.0 { (length + number as i64 + 1).max(0) } else { number as i64 };
    let (from, to) = (place(from).max(1), place(to).min(length));
    if from > to {
        return Ok(Value::Text(Vec::new()));
    }
    Ok(Value::Text(text[(from - 1) as usize..to as usize].to_vec()))
}
