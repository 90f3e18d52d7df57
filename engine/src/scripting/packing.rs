//! The library `struct`: values packed as C lays them out.

use mlua::{Lua, MultiValue, Table, Value};

use super::arguments::Arguments;
use super::raise::raise_here;

/// The most bytes that an integer may take.
const INTEGER_MAX: i32 = 32;
/// The alignment of `!` without a number.
const NATIVE_ALIGNMENT: i32 = 8;
/// Values that one call returns.
const VALUES_MAX: usize = 7000;

/// Makes the table.
pub(super) fn create(lua: &Lua) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("pack", lua.create_function(pack)?)?;
    table.raw_set("unpack", lua.create_function(unpack)?)?;
    table.raw_set("size", lua.create_function(size)?)?;
    Ok(table)
}

/// A format that is read from left to right.
struct Format<'a> {
    arguments: &'a Arguments<'a>,
    rest: &'a [u8],
    little: bool,
    align: i32,
}

/// An option and the bytes that it takes, 0 where they depend on the value.
#[derive(Clone, Copy)]
struct Field {
    option: u8,
    size: i32,
}

impl<'a> Format<'a> {
    fn new(arguments: &'a Arguments<'a>, format: &'a [u8]) -> Format<'a> {
        Format { arguments, rest: format, little: true, align: 1 }
    }

    fn next(&mut self) -> mlua::Result<Option<Field>> {
        let Some((&option, rest)) = self.rest.split_first() else { return Ok(None) };
        self.rest = rest;
        let size = match option {
            b'B' | b'b' | b'x' => 1,
            b'H' | b'h' => 2,
            b'L' | b'l' | b'T' | b'd' => 8,
            b'f' => 4,
            b'c' => self.number(1)?,
            b'i' | b'I' => {
                let size = self.number(4)?;
                if size > INTEGER_MAX {
                    let words = format!("integral size {size} is larger than limit of {INTEGER_MAX}");
                    return Err(raise_here(self.arguments.lua, words));
                }
                size
            }
            _ => 0,
        };
        Ok(Some(Field { option, size }))
    }

    /// The digits that follow, or `default` where none do.
    fn number(&mut self, default: i32) -> mlua::Result<i32> {
        let len = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if len == 0 {
            return Ok(default);
        }
        let (digits, rest) = self.rest.split_at(len);
        self.rest = rest;
        let add = |number: i32, &digit: &u8| number.checked_mul(10)?.checked_add(i32::from(digit - b'0'));
        let number = digits.iter().try_fold(0, add);
        number.ok_or_else(|| raise_here(self.arguments.lua, "integral size overflow"))
    }

    /// Bytes left out before the field when `len` bytes came before it.
    fn gap(&self, len: usize, field: Field) -> usize {
        if field.size == 0 || field.option == b'c' {
            return 0;
        }
        // Masks, also where the size is no power of two.
        let size = field.size.min(self.align).unsigned_abs() as usize;
        size.wrapping_sub(len & (size - 1)) & (size - 1)
    }

    /// Options that only change how others are read.
    fn control(&mut self, option: u8) -> mlua::Result<()> {
        match option {
            b' ' => {}
            b'>' => self.little = false,
            b'<' => self.little = true,
            b'!' => {
                let align = self.number(NATIVE_ALIGNMENT)?;
                if align <= 0 || align & (align - 1) != 0 {
                    let words = format!("alignment {align} is not a power of 2");
                    return Err(raise_here(self.arguments.lua, words));
                }
                self.align = align;
            }
            other => {
                let words = [&b"invalid format option '"[..], &[other], b"'"].concat();
                return Err(self.arguments.bad(1, String::from_utf8_lossy(&words)));
            }
        }
        Ok(())
    }

    /// Bytes of a number in the order that the format asks for; given and returned in the order of small ones.
    fn ordered(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        if !self.little {
            bytes.reverse();
        }
        bytes
    }
}

fn pack(lua: &Lua, values: MultiValue) -> mlua::Result<mlua::LuaString> {
    let arguments = Arguments::new(lua, "pack", values);
    let text = arguments.string(1)?;
    let arguments = arguments.filled_with_nil();
    let bytes = text.as_bytes();
    let mut format = Format::new(&arguments, &bytes);
    let mut out: Vec<u8> = Vec::new();
    let mut place = 2;
    while let Some(field) = format.next()? {
        let gap = format.gap(out.len(), field);
        out.resize(out.len() + gap, 0);
        let size = usize::try_from(field.size).unwrap_or(0);
        match field.option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                let mut number = integer_bits(arguments.number(place)?).to_le_bytes().to_vec();
                number.resize(size, 0);
                out.extend(format.ordered(number));
                place += 1;
            }
            b'x' => out.push(0),
            b'f' => {
                let number = arguments.number(place)? as f32;
                out.extend(format.ordered(number.to_le_bytes().to_vec()));
                place += 1;
            }
            b'd' => {
                let number = arguments.number(place)?;
                out.extend(format.ordered(number.to_le_bytes().to_vec()));
                place += 1;
            }
            b'c' | b's' => {
                let text = arguments.string(place)?;
                let bytes = text.as_bytes();
                place += 1;
                let wanted = if size == 0 { bytes.len() } else { size };
                let Some(taken) = bytes.get(..wanted) else {
                    return Err(arguments.bad(place, "string too short"));
                };
                out.extend_from_slice(taken);
                if field.option == b's' {
                    out.push(0);
                }
            }
            other => format.control(other)?,
        }
    }
    lua.create_string(out)
}

/// The 64 bits that the processor makes of a double.
fn integer_bits(number: f64) -> u64 {
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    if number >= BOUND {
        let rest = number - BOUND;
        return if rest < BOUND { rest as u64 | 1 << 63 } else { 0 };
    }
    super::reply::truncated(number) as u64
}

fn unpack(lua: &Lua, values: MultiValue) -> mlua::Result<MultiValue> {
    let arguments = Arguments::new(lua, "unpack", values);
    let text = arguments.string(1)?;
    let data = arguments.string(2)?;
    let offset = if arguments.is_absent(3) { 1 } else { arguments.integer(3)? };
    if offset == 0 {
        return Err(arguments.bad(3, "offset must be 1 or greater"));
    }
    let (bytes, data) = (text.as_bytes(), data.as_bytes());
    let mut format = Format::new(&arguments, &bytes);
    // A negative offset is far behind the end.
    let mut at = (offset as usize).wrapping_sub(1);
    let mut values: Vec<Value> = Vec::new();
    while let Some(field) = format.next()? {
        at = at.wrapping_add(format.gap(at, field));
        let size = usize::try_from(field.size).unwrap_or(0);
        let short = || arguments.bad(2, "data string too short");
        let rest = data.get(at..).ok_or_else(short)?;
        let piece = rest.get(..size).ok_or_else(short)?;
        if values.len() >= VALUES_MAX {
            return Err(raise_here(lua, "stack overflow (too many results)"));
        }
        at += size;
        match field.option {
            b'b' | b'B' | b'h' | b'H' | b'l' | b'L' | b'T' | b'i' | b'I' => {
                let number = format.ordered(piece.to_vec());
                let signed = field.option.is_ascii_lowercase();
                values.push(Value::Number(integer(&number, signed)));
            }
            b'x' => {}
            b'f' => {
                let number = format.ordered(piece.to_vec());
                values.push(Value::Number(f64::from(f32::from_le_bytes(number.try_into().unwrap_or_default()))));
            }
            b'd' => {
                let number = format.ordered(piece.to_vec());
                values.push(Value::Number(f64::from_le_bytes(number.try_into().unwrap_or_default())));
            }
            b'c' if size == 0 => {
                let previous = values.pop().and_then(|value| lua.coerce_number(value).ok().flatten());
                let Some(previous) = previous else {
                    return Err(raise_here(lua, "format 'c0' needs a previous size"));
                };
                let taken = usize::try_from(super::reply::truncated(previous)).ok().and_then(|len| rest.get(..len));
                let taken = taken.ok_or_else(short)?;
                at += taken.len();
                values.push(Value::String(lua.create_string(taken)?));
            }
            b'c' => values.push(Value::String(lua.create_string(piece)?)),
            b's' => {
                let Some(len) = rest.iter().position(|&byte| byte == 0) else {
                    return Err(raise_here(lua, "unfinished string in data"));
                };
                at += len + 1;
                values.push(Value::String(lua.create_string(rest.get(..len).unwrap_or_default())?));
            }
            other => format.control(other)?,
        }
    }
    values.push(Value::Number(at.wrapping_add(1) as i64 as f64));
    Ok(MultiValue::from_iter(values))
}

/// A number of these bytes, small ones first; of more than eight the rest counts for nothing.
fn integer(bytes: &[u8], signed: bool) -> f64 {
    let low = bytes.iter().take(8).rev().fold(0, |number: u64, &byte| number << 8 | u64::from(byte));
    if !signed {
        return low as f64;
    }
    let unused = 64 - 8 * u32::try_from(bytes.len().min(8)).unwrap_or(8);
    match unused {
        64 => 0.0,
        unused => ((low << unused) as i64 >> unused) as f64,
    }
}

fn size(lua: &Lua, values: MultiValue) -> mlua::Result<f64> {
    let arguments = Arguments::new(lua, "size", values);
    let text = arguments.string(1)?;
    let bytes = text.as_bytes();
    let mut format = Format::new(&arguments, &bytes);
    let mut sum: usize = 0;
    while let Some(field) = format.next()? {
        sum = sum.saturating_add(format.gap(sum, field));
        match (field.option, field.size) {
            (b's', _) => return Err(arguments.bad(1, "option 's' has no fixed size")),
            (b'c', 0) => return Err(arguments.bad(1, "option 'c0' has no fixed size")),
            _ => {}
        }
        sum = sum.saturating_add(usize::try_from(field.size).unwrap_or(0));
        if !field.option.is_ascii_alphanumeric() {
            format.control(field.option)?;
        }
    }
    Ok(sum as f64)
}
