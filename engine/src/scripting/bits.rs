//! The library `bit`: operations on 32 bits.

use mlua::{Lua, MultiValue, Table};

use super::arguments::Arguments;

/// An operation on a number, with the name of its function.
type Unary = (&'static str, fn(i32) -> i32);
/// An operation on two numbers.
type Binary = (&'static str, fn(i32, i32) -> i32);
/// An operation on a number and a distance.
type Shift = (&'static str, fn(i32, u32) -> i32);

/// Makes the table.
pub(super) fn create(lua: &Lua) -> mlua::Result<Table> {
    let bit = lua.create_table()?;
    let unary: [Unary; 3] = [("tobit", |bits| bits), ("bnot", |bits| !bits), ("bswap", i32::swap_bytes)];
    for (name, operation) in unary {
        let function = move |lua: &Lua, values: MultiValue| {
            let arguments = Arguments::new(lua, name, values);
            Ok(f64::from(operation(bits(&arguments, 1)?)))
        };
        bit.raw_set(name, lua.create_function(function)?)?;
    }
    let gathering: [Binary; 3] =
        [("band", |one, other| one & other), ("bor", |one, other| one | other), ("bxor", |one, other| one ^ other)];
    for (name, operation) in gathering {
        let function = move |lua: &Lua, values: MultiValue| {
            let arguments = Arguments::new(lua, name, values);
            let mut sum = bits(&arguments, 1)?;
            for place in 2..=arguments.len() {
                sum = operation(sum, bits(&arguments, place)?);
            }
            Ok(f64::from(sum))
        };
        bit.raw_set(name, lua.create_function(function)?)?;
    }
    // The distance counts modulo 32.
    let shifts: [Shift; 5] = [
        ("lshift", |bits, by| bits.wrapping_shl(by)),
        ("rshift", |bits, by| (bits as u32).wrapping_shr(by) as i32),
        ("arshift", |bits, by| bits.wrapping_shr(by)),
        ("rol", |bits, by| bits.rotate_left(by & 31)),
        ("ror", |bits, by| bits.rotate_right(by & 31)),
    ];
    for (name, operation) in shifts {
        let function = move |lua: &Lua, values: MultiValue| {
            let arguments = Arguments::new(lua, name, values);
            let bits_given = bits(&arguments, 1)?;
            Ok(f64::from(operation(bits_given, bits(&arguments, 2)? as u32)))
        };
        bit.raw_set(name, lua.create_function(function)?)?;
    }
    bit.raw_set("tohex", lua.create_function(tohex)?)?;
    Ok(bit)
}

/// The argument's integral part modulo 2^32, rounded to even; of numbers beyond 2^51 the bits that happen to lie there.
fn bits(arguments: &Arguments<'_>, place: usize) -> mlua::Result<i32> {
    /// Shifts the unit to the lowest bit of a double's fraction.
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    Ok((arguments.number(place)? + SHIFT).to_bits() as u32 as i32)
}

/// `tohex(bits, digits)`: lower case digits, upper case when the number of digits is negative.
fn tohex(lua: &Lua, values: MultiValue) -> mlua::Result<String> {
    let arguments = Arguments::new(lua, "tohex", values);
    let number = bits(&arguments, 1)?;
    let digits = if arguments.len() < 2 { 8 } else { bits(&arguments, 2)? };
    let count = usize::try_from(digits.unsigned_abs()).unwrap_or(8).min(8);
    let text = if digits < 0 { format!("{number:08X}") } else { format!("{number:08x}") };
    Ok(text.get(8 - count..).unwrap_or_default().to_owned())
}
