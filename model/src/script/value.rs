//! What scripts work with: values, tables, and how replies become values and values become replies.

use std::collections::BTreeMap;

use super::words::plain_number;
use crate::allowed::Allowed;
use crate::clause::Clause;
use crate::reply::{Bytes, Reply};

/// A value. Tables are places in [`Tables`], so that two names may stand for the same one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Nil,
    Boolean(bool),
    Number(f64),
    Text(Bytes),
    Table(usize),
    /// A function of the library, by its whole name.
    Function(&'static str),
    /// The answer to a command that leaves a choice, by its number, while nobody has told it.
    Untold(usize),
}

/// A table's key. Fractions are no keys in any script here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Index(i64),
    Text(Bytes),
}

/// How deep tables may be nested that are answered.
const DEEPEST: usize = 100;

/// Integers up to here are doubles too.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// All tables of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tables(Vec<BTreeMap<Key, Value>>);

impl Value {
    pub(crate) fn text(text: impl Into<Bytes>) -> Self {
        Self::Text(text.into())
    }

    /// As `type` names it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Boolean(_) => "boolean",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::Table(_) => "table",
            Self::Function(_) => "function",
            Self::Untold(_) => "untold",
        }
    }

    /// A number, or a string that reads as one; `None` in the second place where only a real Lua could tell.
    pub(crate) fn number(&self) -> Result<Option<f64>, Beyond> {
        match self {
            Self::Number(number) => Ok(Some(*number)),
            Self::Text(text) => number_of(text),
            Self::Untold(_) => Err(Beyond),
            _ => Ok(None),
        }
    }
}

/// What only a real Lua, or the answer that is not told, could decide.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beyond;

/// The number that a text is written for: decimal, with white space around it.
fn number_of(text: &[u8]) -> Result<Option<f64>, Beyond> {
    let trimmed = text.trim_ascii();
    let (negative, digits) = match trimmed.split_first() {
        Some((b'-', digits)) => (true, digits),
        Some((b'+', digits)) => (false, digits),
        _ => (false, trimmed),
    };
    if let Some(number) = plain_number(digits) {
        return Ok(Some(if negative { -number } else { number }));
    }
    // Hexadecimal digits, `.5`, `inf` and `nan` are read too, as the C library pleases.
    match digits.first() {
        Some(b'0'..=b'9' | b'.' | b'i' | b'I' | b'n' | b'N') => Err(Beyond),
        _ => Ok(None),
    }
}

/// A number as `%.{precision}g` of C writes it.
pub(crate) fn number_text(number: f64, precision: usize) -> Bytes {
    if number.is_infinite() {
        return if number > 0.0 { b"inf".to_vec() } else { b"-inf".to_vec() };
    }
    let scientific = format!("{number:.*e}", precision - 1);
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let without_zeros = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if exponent < -4 || exponent >= precision as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", without_zeros(digits), exponent.unsigned_abs()).into_bytes();
    }
    let decimals = (precision as i32 - 1 - exponent).max(0) as usize;
    without_zeros(&format!("{number:.decimals$}")).into_bytes()
}

impl Tables {
    pub(crate) fn new_table(&mut self) -> usize {
        self.0.push(BTreeMap::new());
        self.0.len() - 1
    }

    /// A table of these elements from index 1 on.
    pub(crate) fn list(&mut self, elements: impl IntoIterator<Item = Value>) -> Value {
        let table = self.new_table();
        for (index, element) in (1..).zip(elements) {
            self.set(table, Key::Index(index), element);
        }
        Value::Table(table)
    }

    /// A table with one field.
    pub(crate) fn with_field(&mut self, field: &str, text: impl Into<Bytes>) -> Value {
        let table = self.new_table();
        self.set(table, Key::Text(field.into()), Value::text(text));
        Value::Table(table)
    }

    pub(crate) fn get(&self, table: usize, key: &Key) -> Value {
        self.0.get(table).and_then(|table| table.get(key)).cloned().unwrap_or(Value::Nil)
    }

    pub(crate) fn set(&mut self, table: usize, key: Key, value: Value) {
        let Some(table) = self.0.get_mut(table) else { return };
        if value == Value::Nil {
            table.remove(&key);
        } else {
            table.insert(key, value);
        }
    }

    /// The length, unless there is an element beyond the first hole: then any border may be answered.
    pub(crate) fn length(&self, table: usize) -> Result<i64, Beyond> {
        let elements = self.0.get(table).ok_or(Beyond)?;
        let mut length = 0;
        for key in elements.keys() {
            match key {
                Key::Index(index) if *index == length + 1 => length = *index,
                Key::Index(1..) => return Err(Beyond),
                _ => {}
            }
        }
        Ok(length)
    }

    /// What a reply becomes. [EVAL-19] [EVAL-25]
    pub(crate) fn of_reply(&mut self, reply: &Reply) -> Value {
        match reply {
            Reply::Status(text) => self.with_field("ok", text.clone()),
            Reply::Error(line) => self.with_field("err", line.clone()),
            Reply::Integer(value) => Value::Number(*value as f64),
            Reply::Bulk(bytes) => Value::Text(bytes.clone()),
            Reply::NilBulk | Reply::NilArray => Value::Boolean(false),
            Reply::Array(elements) => {
                let elements: Vec<Value> = elements.iter().map(|element| self.of_reply(element)).collect();
                self.list(elements)
            }
        }
    }

    /// What is answered for a value; `untold` says what the answers may be that nobody has told yet.
    /// [EVAL-20] [EVAL-21] [EVAL-22] [EVAL-23]
    pub(crate) fn to_allowed(&self, value: &Value, untold: &[Allowed]) -> Result<Allowed, Beyond> {
        self.allowed_at(value, untold, 0)
    }

    fn allowed_at(&self, value: &Value, untold: &[Allowed], depth: usize) -> Result<Allowed, Beyond> {
        if depth > DEEPEST {
            return Err(Beyond);
        }
        let reply = match value {
            Value::Nil | Value::Boolean(false) => Reply::NilBulk,
            Value::Boolean(true) => Reply::Integer(1),
            Value::Number(number) if number.is_nan() => return Err(Beyond),
            Value::Number(number) if *number >= 2.0 * EXACT * 512.0 || *number < -2.0 * EXACT * 512.0 => {
                // E-141
                Reply::Integer(i64::MIN)
            }
            Value::Number(number) => Reply::Integer(*number as i64),
            Value::Text(text) => Reply::Bulk(text.clone()),
            Value::Function(_) => return Err(Beyond),
            Value::Untold(number) => return untold.get(*number).cloned().ok_or(Beyond),
            Value::Table(table) => {
                if let Value::Text(line) = self.get(*table, &Key::Text(b"err".to_vec())) {
                    return Ok(Allowed::Error(one_line(&line).into()));
                }
                if let Value::Text(line) = self.get(*table, &Key::Text(b"ok".to_vec())) {
                    return Ok(Allowed::Exactly(Reply::Status(one_line(&line))));
                }
                let mut elements = Vec::new();
                for index in 1.. {
                    match self.get(*table, &Key::Index(index)) {
                        Value::Nil => break,
                        element => elements.push(self.allowed_at(&element, untold, depth + 1)?),
                    }
                }
                let exact = elements.iter().map(|element| match element {
                    Allowed::Exactly(reply) => Some(reply.clone()),
                    _ => None,
                });
                return Ok(match exact.collect() {
                    Some(exact) => Allowed::Exactly(Reply::Array(exact)),
                    None => Allowed::Elements(elements),
                });
            }
        };
        Ok(Allowed::Exactly(reply))
    }

    /// Whether the value shows the answer of this number.
    pub(crate) fn holds(&self, value: &Value, number: usize) -> bool {
        match value {
            Value::Untold(of) => *of == number,
            Value::Table(table) => {
                let elements = (1..).map(|index| self.get(*table, &Key::Index(index)));
                elements.take_while(|element| *element != Value::Nil).any(|element| self.holds(&element, number))
            }
            _ => false,
        }
    }

    /// The answer that stands in a reply where the value holds the one of this number.
    pub(crate) fn told(&self, value: &Value, number: usize, reply: &Reply) -> Option<Reply> {
        match (value, reply) {
            (Value::Untold(of), reply) if *of == number => Some(reply.clone()),
            (Value::Table(table), Reply::Array(elements)) => (1..)
                .zip(elements)
                .find_map(|(index, element)| self.told(&self.get(*table, &Key::Index(index)), number, element)),
            _ => None,
        }
    }
}

/// A status or an error stays one line. [REPLY-4]
fn one_line(text: &[u8]) -> Bytes {
    text.iter().map(|&byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }).collect()
}

/// Answers that come through a script as they are, so that what the script answered tells them.
pub(crate) fn passes_unchanged(allowed: &Allowed) -> bool {
    let exact = |reply: &Reply| match reply {
        Reply::Integer(value) => value.unsigned_abs() <= EXACT as u64,
        Reply::Bulk(_) | Reply::NilBulk => true,
        _ => false,
    };
    match allowed {
        Allowed::Exactly(reply) => exact(reply),
        Allowed::AnyOrder(elements) => elements.iter().all(exact),
        Allowed::PairsInAnyOrder(pairs) => pairs.iter().all(|(one, other)| exact(one) && exact(other)),
        Allowed::Between { .. } | Allowed::OneOf(_) | Allowed::Page { .. } | Allowed::Judged(_) => true,
        Allowed::Checked(..) => true,
        Allowed::Within(range) => range.start().unsigned_abs().max(range.end().unsigned_abs()) <= EXACT as u64,
        Allowed::Elements(parts) => parts.iter().all(passes_unchanged),
        Allowed::Either(one, other) => passes_unchanged(one) && passes_unchanged(other),
        Allowed::Unspecified(clause) => *clause != Clause::EVAL_1,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_c_writes_them() {
        let cases: [(f64, &str, &str); 12] = [
            (1.5, "1.5", "1.5"),
            (1e15, "1e+15", "1000000000000000"),
            (1e17, "1e+17", "1e+17"),
            (123_456_789_012_345_678.0, "1.2345678901235e+17", "1.2345678901234568e+17"),
            (0.1, "0.1", "0.10000000000000001"),
            (1.0 / 3.0, "0.33333333333333", "0.33333333333333331"),
            (EXACT, "9.007199254741e+15", "9007199254740992"),
            (-0.0, "-0", "-0"),
            (1e300, "1e+300", "1.0000000000000001e+300"),
            (1e14 + 0.5, "1e+14", "100000000000000.5"),
            (f64::INFINITY, "inf", "inf"),
            (0.00001, "1e-05", "1.0000000000000001e-05"),
        ];
        for (number, short, long) in cases {
            assert_eq!(String::from_utf8(number_text(number, 14)).as_deref(), Ok(short));
            assert_eq!(String::from_utf8(number_text(number, 17)).as_deref(), Ok(long));
        }
    }
}
